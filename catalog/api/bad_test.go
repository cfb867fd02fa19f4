package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/api"
)

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// same runs fn and checks that it changed nothing: no row, no object, no call.
func (w *world) same(t *testing.T, fn func()) {
	t.Helper()
	snapshot := func() string {
		jobs, err := w.store.ListJobs(context.Background(), catalog.JobFilter{})
		require.NoError(t, err)
		assets, err := w.store.ListAssets(context.Background(), catalog.Filter{Superseded: true})
		require.NoError(t, err)
		w.once.mu.Lock()
		defer w.once.mu.Unlock()
		w.actions.mu.Lock()
		defer w.actions.mu.Unlock()
		text, err := json.Marshal([]any{jobs, assets, len(w.once.rows), w.actions.calls})
		require.NoError(t, err)
		return string(text)
	}
	before := snapshot()
	fn()
	require.Equal(t, before, snapshot())
}

// quiet checks that no secret is in the log.
func (w *world) quiet(t *testing.T, secrets ...string) {
	t.Helper()
	log := w.log.String()
	require.NotEmpty(t, log)
	for _, s := range append(secrets, linkSecret, fileSecret, "Bearer", "&s=") {
		require.NotContains(t, log, s)
	}
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := w.capture(otherApp, "theirs", "sfu")
	theirAsset := w.finish(theirs, w.file(catalog.TrackAsset, "theirs/a.webm", []byte("x")))[0]
	mine := w.capture(defaultApp, "mine", "sfu")
	asset := w.finish(mine, w.file(catalog.TrackAsset, "mine/a.webm", []byte("x")))[0]
	w.same(t, func() {
		for path, field := range map[string]string{
			"limit=0": "query.limit", "limit=9": "query.limit", "limit=101": "query.limit", "limit=1000": "query.limit",
			"limit=-10": "query.limit", "limit=ten": "query.limit", "limit=1e1": "query.limit", "limit=10.5": "query.limit",
			"start=x": "query.start", "start=0123456789ABCDEF01234567": "query.start", "start=0123456789abcdef0123456": "query.start",
			"start=../0123456789abcdef0123": "query.start", "start=%27%20OR%201=1": "query.start",
			"room_id=" + strings.Repeat("x", 1025): "query.room_id",
		} {
			for _, list := range []string{"/v2/recording-assets", "/v2/recordings", "/v2/live-streams", "/v2/jobs"} {
				message, details := w.call("GET", list+"?"+path, "key-a", "").wrong(t, http.StatusBadRequest)
				require.Equal(t, "bad request", message)
				require.Contains(t, fmt.Sprint(details), field, list)
			}
		}
		for _, path := range []string{
			"/v2/recording-assets?status=done", "/v2/recording-assets?type=chat", "/v2/recordings?status=queued", "/v2/jobs?state=done",
			"/v2/recording-assets?start=" + theirAsset.ID, "/v2/recordings?start=" + theirs.ID, "/v2/live-streams?start=" + theirs.ID,
			"/v2/jobs?start=" + theirs.ID, "/v2/jobs?parent_id=x",
		} {
			w.call("GET", path, "key-a", "").wrong(t, http.StatusBadRequest)
		}
		for path, status := range map[string]int{
			"/v2/recording-assets/x":                                       http.StatusNotFound,
			"/v2/recording-assets/0123456789abcdef01234567":                http.StatusNotFound,
			"/v2/recording-assets/" + strings.ToUpper(asset.ID[:23]) + "A": http.StatusNotFound,
			"/v2/recording-assets/" + asset.ID + "%2f..":                   http.StatusNotFound,
			"/v2/recording-assets/" + asset.ID + "/":                       http.StatusNotFound,
			"/v2/recording-assets/../recording-assets":                     http.StatusNotFound,
			"//v2/recording-assets":                                        http.StatusNotFound,
			"/v2":                                                          http.StatusNotFound,
			"/":                                                            http.StatusNotFound,
			"/metrics":                                                     http.StatusNotFound,
			"/v2/rooms":                                                    http.StatusNotFound,
		} {
			a := w.call("GET", path, "key-a", "")
			a.wrong(t, status)
			require.Empty(t, a.header.Get("Location"))
		}
		for path, allow := range map[string]string{
			"/v2/recording-assets": "GET, HEAD", "/v2/captures": "POST", "/openapi.json": "GET, HEAD",
			"/v2/recording-assets/" + asset.ID: "DELETE, GET, HEAD",
		} {
			for _, method := range []string{"PUT", "PATCH", "OPTIONS", "TRACE", "BREW"} {
				a := w.call(method, path, "key-a", "")
				a.wrong(t, http.StatusMethodNotAllowed)
				require.Equal(t, allow, a.header.Get("Allow"), method+" "+path)
			}
		}
	})
	// An asset that is gone may begin a page all the same.
	require.Equal(t, http.StatusOK, w.call("GET", "/v2/recording-assets?start=0123456789abcdef01234567", "key-a", "").status)
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asset := w.finish(w.capture(defaultApp, "room", "sfu"), w.file(catalog.TrackAsset, "room/a.webm", []byte("x")))[0]
	reprocess := "/v2/recording-assets/" + asset.ID + "/reprocess"
	w.same(t, func() {
		for body, status := range map[string]int{
			``: 400, `{`: 400, `null`: 400, `[]`: 400, `"x"`: 400, `{}`: 400, `{"uri":""}`: 400, `{"uri":1}`: 400, `{"uri":null}`: 400,
			`{"uri":"captures/of/r"} {}`: 400, `{"uri":"captures/of/r"}x`: 400, "\xef\xbb\xbf{\"uri\":\"x\"}": 400, "{\"uri\":\"\x01\"}": 400,
			`{"uri":"captures/of/r","more":1}`: 400, `{"uri":"captures/of/r","$schema":"x"}`: 400,
			`{"uri":"captures/of/r","outputs":[]}`: 400, `{"uri":"captures/of/r","outputs":"x"}`: 400,
			`{"uri":"https://user:hunter2@host/x"}`: 400, `{"uri":"a\u0000b"}`: 400, `{"uri":"` + strings.Repeat("x", 2049) + `"}`: 400,
			strings.Repeat("[", 200_000): 400, `{"uri":"` + strings.Repeat("x", 2<<20) + `"}`: 413,
		} {
			a := w.call("POST", "/v2/captures", "key-a", body, "Idempotency-Key", "k")
			a.wrong(t, status)
			require.NotContains(t, string(a.body), "hunter2")
		}
		for _, body := range []string{`{"composition":1}`, `{"composition":{},"x":1}`, `{"layout":"grid"}`, `[]`} {
			w.call("POST", reprocess, "key-a", body).wrong(t, http.StatusBadRequest)
		}
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "x", "",
			"application/json; charset=latin1", "application/cbor"} {
			w.call("POST", "/v2/captures", "key-a", `{"uri":"captures/of/r"}`, "Content-Type", kind).wrong(t, http.StatusUnsupportedMediaType)
		}
		w.call("POST", "/v2/captures", "key-a", `{"uri":"captures/of/r"}`, "Content-Encoding", "gzip").wrong(t, http.StatusUnsupportedMediaType)
		for _, key := range []string{"", " ", "a b", "ü", strings.Repeat("k", 256)} {
			w.call("POST", "/v2/captures", "key-a", `{"uri":"captures/of/r"}`, "Idempotency-Key", key).wrong(t, http.StatusBadRequest)
		}
	})
	// A capture that is none, which only Actions can tell.
	_, details := w.call("POST", "/v2/captures", "key-a", `{"uri":"nowhere"}`).wrong(t, http.StatusBadRequest)
	require.Contains(t, details[0], "no manifest")
	a := w.call("POST", "/v2/captures", "key-a", `{"uri":"captures/of/r","outputs":null}`, "Content-Type", "application/json; charset=UTF-8")
	require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
	w.quiet(t, "hunter2")
}

// endless is a body that counts what was taken of it.
type endless struct {
	left, taken atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := min(int64(len(p)), e.left.Load())
	if n <= 0 {
		return 0, io.EOF
	}
	for i := range p[:n] {
		p[i] = ' '
	}
	e.left.Add(-n)
	e.taken.Add(n)
	return int(n), nil
}

// TestHugeBody: 100 MB are refused, and most of them are never taken.
func TestHugeBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const size = 100 << 20
	for _, length := range []int64{size, -1} {
		w.same(t, func() {
			body := &endless{}
			body.left.Store(size)
			r, err := http.NewRequestWithContext(t.Context(), "POST", w.server.URL+"/v2/captures", body)
			require.NoError(t, err)
			r.ContentLength = length
			r.Header.Set("Authorization", "Bearer "+w.token("key-a"))
			r.Header.Set("Content-Type", "application/json")
			res, err := w.server.Client().Do(r)
			if err == nil {
				// The answer may be lost when the server closes on a client that still sends.
				require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
				require.NoError(t, res.Body.Close())
			}
			require.Less(t, body.taken.Load(), int64(size/2))
		})
	}
}

func TestPanicsAndFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *api.Config) {
		c.Keys = faultyKeys{c.Keys}
		c.RequestTime = 50 * time.Millisecond
	})
	w.actions.panic = true
	_, details := w.call("POST", "/v2/captures", "key-a", `{"uri":"captures/of/r"}`, "X-Request-Id", "req-1", "Idempotency-Key", "k").
		wrong(t, http.StatusInternalServerError)
	require.Equal(t, []string{"request id: req-1"}, details)
	require.Contains(t, w.log.String(), `"panic":"a bug with`)
	require.Empty(t, w.once.rows, "the key is free again")

	w.actions.panic, w.actions.block = false, make(chan struct{})
	w.call("POST", "/v2/captures", "key-a", `{"uri":"captures/of/r"}`).wrong(t, http.StatusServiceUnavailable)

	token := sign(map[string]any{"alg": "HS256"}, w.claims("broken"), "x")
	_, details = w.call("GET", "/v2/jobs", "", "", "Authorization", "Bearer "+token).wrong(t, http.StatusInternalServerError)
	require.NotContains(t, fmt.Sprint(details), "database")
	require.Contains(t, w.log.String(), "database is on fire")
}

// TestPanicInTheMiddle: an answer that a panic cuts off never looks whole.
func TestPanicInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"bug": "a bug", "abort": http.ErrAbortHandler} {
		w := newWorld(t, func(c *api.Config) {
			c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(strings.Repeat("half of it\n", 10_000)))
				panic(value)
			})
		})
		r, err := http.NewRequestWithContext(t.Context(), "GET", w.server.URL+"/metrics", http.NoBody)
		require.NoError(t, err)
		res, err := w.server.Client().Do(r)
		if err == nil {
			_, err = io.ReadAll(res.Body)
			require.NoError(t, res.Body.Close())
		}
		require.Error(t, err, name)
		require.Equal(t, name == "bug", strings.Contains(w.log.String(), `"msg":"panic"`))
	}
}

type faultyKeys struct{ api.Keys }

func (f faultyKeys) KeyByAccessKey(ctx context.Context, k string) (catalog.AccessKey, error) {
	if k == "broken" {
		return catalog.AccessKey{}, errors.New("database is on fire")
	}
	return f.Keys.KeyByAccessKey(ctx, k)
}
