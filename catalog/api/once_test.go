package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/api"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"uri":"captures/of/room"}`
	post := func(key, body string) answer {
		return w.call("POST", "/v2/captures", key, body, "Idempotency-Key", "one")
	}
	first := post("key-a", body)
	require.Equal(t, http.StatusAccepted, first.status)
	require.Empty(t, first.header.Get("Idempotency-Replayed"))
	again := post("key-a", body)
	require.Equal(t, http.StatusAccepted, again.status)
	require.Equal(t, string(first.body), string(again.body))
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, "application/json", again.header.Get("Content-Type"))
	require.Len(t, w.actions.calls, 1)

	// The same key for something else.
	for _, other := range []string{`{"uri":"captures/of/other"}`, body + " "} {
		post("key-a", other).wrong(t, http.StatusUnprocessableEntity)
	}
	job := w.capture(defaultApp, "room", "sfu")
	w.call("POST", "/v2/jobs/"+job.ID+"/cancel", "key-a", "", "Idempotency-Key", "one").wrong(t, http.StatusUnprocessableEntity)
	require.Len(t, w.actions.calls, 1)

	// Another app has keys of its own, and an error is not kept.
	post("key-b", `{"uri":"nowhere"}`).wrong(t, http.StatusBadRequest)
	require.Equal(t, http.StatusAccepted, post("key-b", `{"uri":"captures/of/room-b"}`).status)

	// After a day the key is anybody's.
	w.pass(25 * time.Hour)
	require.Equal(t, http.StatusAccepted, post("key-a", `{"uri":"captures/of/other"}`).status)
}

// TestIdempotencyKeyAtOnce: of sixteen requests at once one is done; the others
// hear that it is under way, or its answer.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.actions.block = make(chan struct{})
	var wg sync.WaitGroup
	answers := make(chan answer, 16)
	for range cap(answers) {
		wg.Go(func() {
			answers <- w.call("POST", "/v2/captures", "key-a", `{"uri":"captures/of/room"}`, "Idempotency-Key", "k")
		})
	}
	for range cap(answers) - 1 {
		a := <-answers
		a.wrong(t, http.StatusConflict)
		require.Equal(t, "1", a.header.Get("Retry-After"))
	}
	close(w.actions.block)
	wg.Wait()
	require.Equal(t, http.StatusAccepted, (<-answers).status)
	require.Len(t, w.actions.calls, 1)
}

// TestIdempotencyKeyOfDeadProcess: a reservation that nobody will answer any
// more is taken over.
func TestIdempotencyKeyOfDeadProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"uri":"captures/of/room"}`
	post := func() answer {
		return w.call("POST", "/v2/captures", "key-a", body, "Idempotency-Key", "k")
	}
	require.Equal(t, http.StatusAccepted, post().status)
	id := [2]string{defaultApp, "k"}
	dead := w.once.rows[id]
	dead.Status, dead.Body, dead.Holder = 0, nil, "dead"
	w.once.rows[id] = dead
	post().wrong(t, http.StatusConflict)
	w.pass(api.DefaultRequestTime + 2*time.Minute)
	require.Equal(t, http.StatusAccepted, post().status)
	require.Len(t, w.actions.calls, 2)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *api.Config) { c.Rate, c.Burst = 0.5, 5 })
	for range 5 {
		require.Equal(t, http.StatusOK, w.call("GET", "/v2/jobs", "key-a", "").status)
	}
	for range 3 {
		a := w.call("GET", "/v2/jobs", "key-a", "")
		a.wrong(t, http.StatusTooManyRequests)
		require.Equal(t, "2", a.header.Get("Retry-After"))
	}
	// Neither other keys nor bad tokens share the bucket, and it fills again.
	require.Equal(t, http.StatusOK, w.call("GET", "/v2/jobs", "key-b", "").status)
	w.call("GET", "/v2/jobs", "", "").wrong(t, http.StatusUnauthorized)
	w.pass(2 * time.Second)
	require.Equal(t, http.StatusOK, w.call("GET", "/v2/jobs", "key-a", "").status)
	w.call("GET", "/v2/jobs", "key-a", "").wrong(t, http.StatusTooManyRequests)
	require.Equal(t, http.StatusOK, w.call("GET", "/healthz", "", "").status)
}

// TestManyAtOnce reads and writes from all sides.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asset := w.vod(defaultApp, vodFiles())
	address := w.vodURL(asset.ID)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 10 {
				for _, c := range []struct {
					method, path, key, body string
					status                  int
				}{
					{"POST", "/v2/captures", "key-a", fmt.Sprintf(`{"uri":"captures/of/room-%d-%d"}`, g, i), http.StatusAccepted},
					{"GET", "/v2/recording-assets", "key-a", "", http.StatusOK},
					{"GET", "/v2/jobs?limit=100", "key-a", "", http.StatusOK},
					{"GET", "/v2/recording-assets/" + asset.ID, "key-b", "", http.StatusForbidden},
					{"GET", address, "", "", http.StatusOK},
				} {
					if a := w.call(c.method, c.path, c.key, c.body, "Idempotency-Key", fmt.Sprint(g, "-", i)); a.status != c.status {
						t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
					}
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, all[shownJob](t, w, "key-a", "/v2/jobs", 50, nil), 81)
}
