package s3_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/catalog/blob/blobtest"
	"rushes/catalog/blob/s3"
)

func fetch(t *testing.T, method, address string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	require.NoError(t, err)
	request.Header = header
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response, b
}

// TestPresign fetches addresses from the server, by another name than the one
// that the store itself uses.
func TestPresign(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	cfg := settings(t, server)
	cfg.Prefix = "pre fix"
	cfg.PublicEndpoint = strings.Replace(server.Endpoint, "127.0.0.1", "localhost", 1)
	s := open(t, cfg)
	const key = "beam/room/%2F ü+&.mp4"
	body := content(1, 100_000)
	for _, k := range []string{key, "beam/other"} {
		require.NoError(t, s.Put(t.Context(), k, bytes.NewReader(body), blob.PutOptions{Size: 100_000}))
	}
	address, err := s.PresignGet(t.Context(), key, time.Minute, blob.PresignOptions{FileName: "Übung 1.mp4", ContentType: "video/x-test"})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(address, cfg.PublicEndpoint+"/"), address)
	require.NotContains(t, address, server.SecretKey)
	response, got := fetch(t, http.MethodGet, address, nil)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", got)
	require.True(t, bytes.Equal(body, got))
	require.Equal(t, "video/x-test", response.Header.Get("Content-Type"))
	require.Equal(t, `attachment; filename="_bung 1.mp4"; filename*=UTF-8''%C3%9Cbung%201.mp4`, response.Header.Get("Content-Disposition"))
	response, got = fetch(t, http.MethodGet, address, http.Header{"Range": {"bytes=10-19"}})
	require.Equal(t, http.StatusPartialContent, response.StatusCode)
	require.Equal(t, body[10:20], got)

	plain, err := s.PresignGet(t.Context(), "beam/other", time.Minute, blob.PresignOptions{})
	require.NoError(t, err)
	response, got = fetch(t, http.MethodGet, plain, nil)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", got)
	require.True(t, bytes.Equal(body, got))

	u, err := url.Parse(address)
	require.NoError(t, err)
	for name, change := range map[string]func(u *url.URL, q url.Values){
		"signature": func(_ *url.URL, q url.Values) {
			q.Set("X-Amz-Signature", strings.Repeat("0", 64))
		},
		"longer":       func(_ *url.URL, q url.Values) { q.Set("X-Amz-Expires", "604800") },
		"other object": func(u *url.URL, _ url.Values) { u.Path, u.RawPath = "/"+cfg.Bucket+"/pre fix/beam/other", "" },
		"file name":    func(_ *url.URL, q url.Values) { q.Set("response-content-disposition", "inline") },
		"content type": func(_ *url.URL, q url.Values) { q.Del("response-content-type") },
	} {
		altered, q := *u, u.Query()
		change(&altered, q)
		altered.RawQuery = q.Encode()
		response, got = fetch(t, http.MethodGet, altered.String(), nil)
		require.Equal(t, http.StatusForbidden, response.StatusCode, "%s: %s", name, got)
	}
}

// TestPresignExpires fetches an address whose time is over.
func TestPresignExpires(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	s := open(t, settings(t, server))
	require.NoError(t, s.Put(t.Context(), "a", strings.NewReader("x"), blob.PutOptions{Size: 1}))
	address, err := s.PresignGet(t.Context(), "a", time.Second, blob.PresignOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		response, _ := fetch(t, http.MethodGet, address, nil)
		return response.StatusCode == http.StatusForbidden
	}, 20*time.Second, 200*time.Millisecond)
}

func TestPresignRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, s3.Config{Endpoint: "http://127.0.0.1:1", Bucket: "b", AccessKey: "id", SecretKey: func() string { return "x" }})
	_, err := s.PresignGet(t.Context(), "../a", time.Minute, blob.PresignOptions{})
	require.ErrorIs(t, err, blob.ErrInvalidKey)
	for _, expires := range []time.Duration{0, -time.Second, blob.MaxPresign + time.Second} {
		_, err = s.PresignGet(t.Context(), "a", expires, blob.PresignOptions{})
		require.Error(t, err, expires)
	}
	_, err = s.PresignGet(t.Context(), "a", time.Minute, blob.PresignOptions{ContentType: "no type\r\n"})
	require.Error(t, err)
}

// BenchmarkPresign measures on one core; issue 6 asks for 2,000 a second.
func BenchmarkPresign(b *testing.B) {
	s := open(b, s3.Config{Endpoint: "https://store.example", Bucket: "b", AccessKey: "id", SecretKey: func() string { return "x" }})
	for b.Loop() {
		if _, err := s.PresignGet(b.Context(), "beam/room/20261122/Rec-room-1.mp4", time.Hour, blob.PresignOptions{FileName: "Rec.mp4", ContentType: "video/mp4"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "links/s")
}
