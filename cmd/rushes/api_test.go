package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// service is a rushes serve of a test's own.
type service struct {
	t          *testing.T
	data, base string
	pid        int
	tokens     map[string]string // by app
}

// newService starts serve on a free port, as others do, and ends it with the test.
func newService(t *testing.T, args ...string) *service {
	t.Helper()
	s := &service{t: t, data: t.TempDir(), tokens: map[string]string{}}
	cmd := child(context.WithoutCancel(t.Context()), t, append([]string{"serve", "--data", s.data, "--listen", "127.0.0.1:0", "--log", "text"}, args...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	s.pid = cmd.Process.Pid
	address, rest := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(rest)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if m := regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		<-rest
		require.NoError(t, cmd.Wait())
	})
	select {
	case a := <-address:
		s.base = "http://" + a
	case <-rest:
		t.Fatal("serve has ended")
	}
	return s
}

// token makes a key for an app, and a management token with it.
func (s *service) token(app string) string {
	s.t.Helper()
	if s.tokens[app] == "" {
		got := rushes(s.t, "keys", "create", "--app", app, "--data", s.data)
		requireSuccess(s.t, got)
		key := regexp.MustCompile(`access key +(\S+)`).FindStringSubmatch(got.stdout)
		secret := regexp.MustCompile(`secret +(\S+)`).FindStringSubmatch(got.stdout)
		require.NotNil(s.t, key, got.stdout)
		require.NotNil(s.t, secret)
		now := time.Now()
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"access_key": key[1], "type": "management", "version": 2, "jti": "test",
			"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}).SignedString([]byte(secret[1]))
		require.NoError(s.t, err)
		s.tokens[app] = token
	}
	return s.tokens[app]
}

// call asks the service on behalf of an app and gives the status and the answer.
func (s *service) call(app, method, path string, body any) (int, map[string]any) {
	s.t.Helper()
	var text io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		require.NoError(s.t, err)
		text = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, text)
	require.NoError(s.t, err)
	r.Header.Set("Authorization", "Bearer "+s.token(app))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	raw, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	var out map[string]any
	if len(raw) > 0 {
		require.NoError(s.t, json.Unmarshal(raw, &out), "%s", raw)
	}
	return answer.StatusCode, out
}

// fetch follows a link of the service, which knows itself by its default address.
func (s *service) fetch(link string) (int, []byte) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, strings.Replace(link, "http://127.0.0.1:8470", s.base, 1), nil)
	require.NoError(s.t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	raw, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	return answer.StatusCode, raw
}

// finished waits for a job that is over.
func (s *service) finished(app string, job map[string]any) map[string]any {
	s.t.Helper()
	var now map[string]any
	require.Eventually(s.t, func() bool {
		var status int
		status, now = s.call(app, http.MethodGet, fmt.Sprint("/v2/jobs/", job["id"]), nil)
		return status == http.StatusOK && (now["state"] == "completed" || now["state"] == "failed")
	}, 2*time.Minute, 50*time.Millisecond)
	return now
}

// TestServeAPI takes captures through the service as a customer's program does: queued, found, fetched, made again,
// deleted; and another customer sees nothing of it.
func TestServeAPI(t *testing.T) {
	t.Parallel()
	folder, outside := copied(t), encoded(t)
	roots := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(roots, "call"), os.DirFS(folder)))
	require.NoError(t, os.Symlink(outside, filepath.Join(roots, "leads-out")))
	s := newService(t, "--captures", roots)

	for _, uri := range []string{outside, filepath.Join(roots, "leads-out"), filepath.Join(roots, "..", filepath.Base(roots)+"x"), "call", "s3://bucket/call/", "file://" + outside} {
		status, answer := s.call("one", http.MethodPost, "/v2/captures", map[string]any{"uri": uri})
		require.Equal(t, http.StatusBadRequest, status, "%s: %v", uri, answer)
	}
	status, job := s.call("one", http.MethodPost, "/v2/captures", map[string]any{"uri": filepath.Join(roots, "call"), "outputs": map[string]any{"assets": []string{"room-vod-x"}}})
	require.Equal(t, http.StatusBadRequest, status, "%v", job)
	status, job = s.call("one", http.MethodPost, "/v2/captures", map[string]any{"uri": filepath.Join(roots, "call")})
	require.Equal(t, http.StatusAccepted, status, "%v", job)
	require.Equal(t, "completed", s.finished("one", job)["state"])

	list := func(app string) []any {
		status, page := s.call(app, http.MethodGet, "/v2/recording-assets?limit=10", nil)
		require.Equal(t, http.StatusOK, status)
		return page["data"].([]any) //nolint:forcetypeassert // a test may fail so
	}
	require.Len(t, list("one"), 1)
	require.Empty(t, list("two"))
	asset := list("one")[0].(map[string]any) //nolint:forcetypeassert // a test may fail so
	path := fmt.Sprint("/v2/recording-assets/", asset["id"])
	status, link := s.call("one", http.MethodGet, path+"/presigned-url?presign_duration=60", nil)
	require.Equal(t, http.StatusOK, status)
	status, body := s.fetch(fmt.Sprint(link["url"]))
	require.Equal(t, http.StatusOK, status)
	stored, err := os.ReadFile(filepath.Join(s.data, "blobs", fmt.Sprint(asset["path"])))
	require.NoError(t, err)
	require.Equal(t, stored, body)
	status, _ = s.fetch(fmt.Sprint(link["url"]) + "0")
	require.Equal(t, http.StatusForbidden, status)

	for _, c := range []struct{ method, path string }{
		{http.MethodGet, path}, {http.MethodGet, path + "/presigned-url"}, {http.MethodDelete, path}, {http.MethodPost, path + "/reprocess"},
		{http.MethodGet, fmt.Sprint("/v2/jobs/", job["id"])}, {http.MethodPost, fmt.Sprint("/v2/jobs/", job["id"], "/cancel")},
	} {
		var body any
		if strings.HasSuffix(c.path, "/reprocess") {
			body = map[string]any{}
		}
		status, answer := s.call("two", c.method, c.path, body)
		require.Equal(t, http.StatusForbidden, status, "%s %s: %v", c.method, c.path, answer)
	}
	status, again := s.call("two", http.MethodPost, "/v2/captures", map[string]any{"uri": filepath.Join(roots, "call")})
	require.Equal(t, http.StatusForbidden, status, "%v", again)

	status, again = s.call("one", http.MethodPost, path+"/reprocess", map[string]any{})
	require.Equal(t, http.StatusAccepted, status, "%v", again)
	require.Equal(t, "completed", s.finished("one", again)["state"])
	require.Len(t, list("one"), 1)
	newer := list("one")[0].(map[string]any) //nolint:forcetypeassert // a test may fail so
	require.EqualValues(t, 2, newer["version"])
	require.Equal(t, asset["id"], newer["supersedes"])
	status, older := s.call("one", http.MethodGet, path, nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, asset, older, "the old one stays reachable")

	for range 2 {
		status, _ = s.call("one", http.MethodDelete, fmt.Sprint("/v2/recording-assets/", newer["id"]), nil)
		require.Contains(t, []int{http.StatusNoContent, http.StatusNotFound}, status)
	}
	require.NoFileExists(t, filepath.Join(s.data, "blobs", fmt.Sprint(newer["path"])))
	require.FileExists(t, filepath.Join(s.data, "blobs", fmt.Sprint(asset["path"])))
}
