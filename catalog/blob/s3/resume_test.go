package s3_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob"
	"rushes/catalog/blob/blobtest"
	"rushes/catalog/blob/s3"
)

// interrupt begins a PutFile and ends it after so many parts.
func interrupt(t *testing.T, s *s3.Store, proxy *blobtest.FaultProxy, key, path string, parts int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	proxy.Set(func(operation string, _ *http.Request) blobtest.Fault {
		if operation != "UploadPart" {
			return blobtest.Pass
		}
		if parts--; parts < 0 {
			cancel()
			return blobtest.Hang
		}
		return blobtest.Pass
	})
	require.ErrorIs(t, s.PutFile(ctx, key, path, blob.PutOptions{Size: blob.UnknownSize}), context.Canceled)
}

// TestResume: a PutFile that was interrupted goes on with what the store has,
// and sends again what differs.
func TestResume(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	proxy := blobtest.NewFaultProxy(t, server.Endpoint)
	for name, c := range map[string]struct {
		mode   s3.ChecksumMode
		change func(body []byte)
		parts  int // sent by the second call, of 4
	}{
		"when supported":     {s3.WhenSupported, func([]byte) {}, 2},
		"when required":      {s3.WhenRequired, func([]byte) {}, 2},
		"first part differs": {s3.WhenSupported, func(b []byte) { b[17]++ }, 3},
		"last part differs":  {s3.WhenSupported, func(b []byte) { b[len(b)-1]++ }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := settings(t, server)
			cfg.Endpoint, cfg.ChecksumMode, cfg.Concurrency = proxy.Address, c.mode, 1
			body := content(5, 15<<20+1000)
			path := filepath.Join(t.TempDir(), "file.mp4")
			require.NoError(t, os.WriteFile(path, body, 0o600))
			interrupt(t, open(t, cfg), proxy, "a/file.mp4", path, 2)
			proxy.Set(nil)

			c.change(body)
			require.NoError(t, os.WriteFile(path, body, 0o600))
			again := open(t, cfg) // another process, as it were
			require.NoError(t, again.PutFile(t.Context(), "a/file.mp4", path, blob.PutOptions{Size: int64(len(body))}))
			require.Equal(t, c.parts, proxy.Seen("UploadPart"))
			require.Zero(t, proxy.Seen("CreateMultipartUpload"))
			require.True(t, bytes.Equal(body, read(t, again, "a/file.mp4", blob.Range{})))
			requireNoUploads(t, cfg)
		})
	}
}

// TestResumeOfOtherLayout: parts of another size, and uploads of other keys,
// are no use, and do no harm.
func TestResumeOfOtherLayout(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	proxy := blobtest.NewFaultProxy(t, server.Endpoint)
	cfg := settings(t, server)
	cfg.Endpoint, cfg.Concurrency = proxy.Address, 1
	body := content(6, 15<<20+1000)
	path := filepath.Join(t.TempDir(), "file.mp4")
	require.NoError(t, os.WriteFile(path, body, 0o600))
	s := open(t, cfg)
	interrupt(t, s, proxy, "a/file.mp4.longer", path, 1)
	interrupt(t, s, proxy, "a/file.mp4", path, 2)
	proxy.Set(nil)
	cfg.PartSize = 6 << 20
	s = open(t, cfg)
	require.NoError(t, s.PutFile(t.Context(), "a/file.mp4", path, blob.PutOptions{Size: int64(len(body))}))
	require.True(t, bytes.Equal(body, read(t, s, "a/file.mp4", blob.Range{})))
	require.Equal(t, 3, proxy.Seen("UploadPart"))
}

func TestAbortStale(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	proxy := blobtest.NewFaultProxy(t, server.Endpoint)
	cfg := settings(t, server)
	cfg.Endpoint, cfg.Prefix = proxy.Address, "ours"
	path := filepath.Join(t.TempDir(), "file.mp4")
	require.NoError(t, os.WriteFile(path, content(7, 6<<20), 0o600))
	s := open(t, cfg)
	interrupt(t, s, proxy, "a/one", path, 1)
	interrupt(t, s, proxy, "a/two", path, 1)
	cfg.Prefix = "theirs"
	other := open(t, cfg)
	interrupt(t, other, proxy, "a/one", path, 1)
	proxy.Set(nil)
	for _, c := range []struct {
		olderThan time.Duration
		want      int
	}{{time.Hour, 0}, {-time.Minute, 2}, {-time.Minute, 0}} {
		n, err := s.AbortStale(t.Context(), c.olderThan)
		require.NoError(t, err)
		require.Equal(t, c.want, n)
	}
	n, err := other.AbortStale(t.Context(), -time.Minute)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// TestSettingsReachTheStore looks at the requests that the settings make.
func TestSettingsReachTheStore(t *testing.T) {
	t.Parallel()
	var headers []http.Header
	cfg := s3.Config{
		Endpoint: "http://store.invalid", Bucket: "b", PathStyle: true, AccessKey: "id", SecretKey: func() string { return "the-secret-key" },
		SSE: "aws:kms", SSEKeyID: "key-1", StorageClass: "STANDARD_IA", MaxAttempts: 1, PartSize: 5 << 20,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			headers = append(headers, r.Header)
			return nil, context.DeadlineExceeded
		}),
	}
	s := open(t, cfg)
	for _, n := range []int{10, 6 << 20} {
		err := s.Put(t.Context(), "a.mp4", bytes.NewReader(content(1, n)), blob.PutOptions{Size: int64(n), ContentType: "video/x-test"})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "the-secret-key")
	}
	found := 0
	for _, h := range headers {
		if h.Get("Content-Type") != "video/x-test" {
			continue
		}
		found++
		require.Equal(t, "aws:kms", h.Get("X-Amz-Server-Side-Encryption"))
		require.Equal(t, "key-1", h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"))
		require.Equal(t, "STANDARD_IA", h.Get("X-Amz-Storage-Class"))
		require.True(t, h.Get("X-Amz-Checksum-Crc32") != "" || h.Get("X-Amz-Checksum-Algorithm") == "CRC32")
	}
	require.Equal(t, 2, found, "a put and the beginning of an upload")
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	good := s3.Config{Endpoint: "http://127.0.0.1:1", Bucket: "b", AccessKey: "id", SecretKey: func() string { return "x" }}
	open(t, good)
	for name, change := range map[string]func(*s3.Config){
		"no bucket":      func(c *s3.Config) { c.Bucket = "" },
		"bucket/x":       func(c *s3.Config) { c.Bucket = "a/b" },
		"prefix":         func(c *s3.Config) { c.Prefix = "../x" },
		"scheme":         func(c *s3.Config) { c.Endpoint = "ftp://x" },
		"password":       func(c *s3.Config) { c.PublicEndpoint = "http://u:hidden-word@x" },
		"mode":           func(c *s3.Config) { c.ChecksumMode = "sometimes" },
		"sse":            func(c *s3.Config) { c.SSE = "rot13" },
		"sse key":        func(c *s3.Config) { c.SSEKeyID = "x" },
		"small parts":    func(c *s3.Config) { c.PartSize = 1 },
		"concurrency":    func(c *s3.Config) { c.Concurrency = -1 },
		"no secret key":  func(c *s3.Config) { c.SecretKey = nil },
		"attempts":       func(c *s3.Config) { c.MaxAttempts = -1 },
		"larger parts":   func(c *s3.Config) { c.PartSize = 6 << 30 },
		"not an address": func(c *s3.Config) { c.Endpoint = "http://%zz" },
	} {
		cfg := good
		change(&cfg)
		_, err := s3.Open(t.Context(), cfg)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hidden-word")
	}
}

// TestErrorsTellWhatIsWrong: a missing bucket, or a wrong key, is not a missing
// object.
func TestErrorsTellWhatIsWrong(t *testing.T) {
	t.Parallel()
	server := blobtest.StartS3(t)
	cfg := settings(t, server)
	require.NoError(t, open(t, cfg).Check(t.Context()))
	missing, denied := cfg, cfg
	missing.Bucket = "bucket-that-is-not-there"
	denied.SecretKey = func() string { return "another" + strings.Repeat("x", 20) }
	for _, bad := range []s3.Config{missing, denied} {
		s := open(t, bad)
		_, statErr := s.Stat(t.Context(), "a")
		_, getErr := s.Get(t.Context(), "a", blob.Range{})
		putErr := s.Put(t.Context(), "a", strings.NewReader("x"), blob.PutOptions{Size: 1})
		for _, err := range []error{s.Check(t.Context()), statErr, getErr, putErr} {
			require.Error(t, err)
			require.NotErrorIs(t, err, blob.ErrNotFound)
			require.NotContains(t, err.Error(), server.SecretKey)
		}
	}
}
