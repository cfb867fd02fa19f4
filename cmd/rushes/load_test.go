package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// residentOf is the memory of a process in MiB.
func residentOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	require.NotNil(t, m)
	kib, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return kib >> 10
}

// TestMixedLoad has eight customers' programs list, filter, page, ask for links and follow them, while captures are made
// again: no answer is an error, and the memory stays as it is after the first tenth. In the long form, ten minutes.
func TestMixedLoad(t *testing.T) {
	t.Parallel()
	length := 3 * time.Second
	if os.Getenv("RUSHES_SOAK") != "" {
		length = 10 * time.Minute
	}
	roots := t.TempDir()
	for name, folder := range map[string]string{"a": copied(t), "b": encoded(t)} {
		require.NoError(t, os.CopyFS(filepath.Join(roots, name), os.DirFS(folder)))
	}
	s := newService(t, "--captures", roots, "--api-rate", "100000", "--api-burst", "100000")
	token := s.token("one")
	for _, name := range []string{"a", "b"} {
		status, job := s.call("one", http.MethodPost, "/v2/captures", map[string]any{"uri": filepath.Join(roots, name)})
		require.Equal(t, http.StatusAccepted, status, "%v", job)
		require.Equal(t, "completed", s.finished("one", job)["state"])
	}
	_, page := s.call("one", http.MethodGet, "/v2/recording-assets", nil)
	first := page["data"].([]any)[0].(map[string]any) //nolint:forcetypeassert // a test may fail so
	paths := []string{
		"/v2/recording-assets", "/v2/recording-assets?limit=10&type=room-composite&status=completed", "/v2/recording-assets?room_id=" + fmt.Sprint(first["room_id"]),
		"/v2/recording-assets?session_id=" + fmt.Sprint(first["session_id"]), fmt.Sprint("/v2/recording-assets/", first["id"]),
		fmt.Sprint("/v2/recording-assets/", first["id"], "/presigned-url?presign_duration=60"), "/v2/recordings", "/v2/live-streams", "/v2/jobs",
		fmt.Sprint("/v2/jobs/", first["job_id"]), "/healthz", "/readyz",
	}
	_, link := s.call("one", http.MethodGet, paths[5], nil)
	file := strings.Replace(fmt.Sprint(link["url"]), "http://127.0.0.1:8470", s.base, 1)
	end := time.Now().Add(length)
	var (
		clients  sync.WaitGroup
		mu       sync.Mutex
		failures []string
		answers  int
	)
	get := func(url string, bearer bool) (int, int64, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			return 0, 0, err
		}
		if bearer {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, 0, err
		}
		n, err := io.Copy(io.Discard, a.Body)
		if cErr := a.Body.Close(); err == nil {
			err = cErr
		}
		return a.StatusCode, n, err
	}
	for client := range 8 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(client), 1))
			for time.Now().Before(end) {
				url, bearer := s.base+paths[rng.IntN(len(paths))], true
				if rng.IntN(4) == 0 && time.Until(end) > length-50*time.Second { // the link ends after a minute
					url, bearer = file, false
				}
				status, n, err := get(url, bearer)
				mu.Lock()
				answers++
				if err != nil || status != http.StatusOK || n == 0 {
					failures = append(failures, fmt.Sprintf("%s: %d, %d bytes, %v", url, status, n, err))
				}
				mu.Unlock()
			}
		})
	}
	clients.Go(func() {
		for time.Now().Before(end) {
			_, job := s.call("one", http.MethodPost, fmt.Sprint("/v2/recording-assets/", first["id"], "/reprocess"), map[string]any{})
			s.finished("one", job)
		}
	})
	warm := make(chan int, 1)
	clients.Go(func() {
		<-time.After(length / 10)
		warm <- residentOf(t, s.pid)
	})
	clients.Wait()
	require.Empty(t, failures)
	require.Greater(t, answers, 100)
	before, after := <-warm, residentOf(t, s.pid)
	t.Logf("%d answers in %v; %d MiB after a tenth, %d MiB at the end", answers, length, before, after)
	require.Less(t, after, before+before/2+64, "MiB")
}
