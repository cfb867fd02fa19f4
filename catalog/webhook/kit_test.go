package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
	"rushes/catalog/webhook"
)

const secret catalog.Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// links signs addresses that count up, so that a fresh one can be told.
type links struct{ made atomic.Int64 }

func (l *links) PresignGet(_ context.Context, assetID, key string, _ time.Duration) (string, error) {
	return fmt.Sprintf("https://bucket.example.com/%s?asset=%s&n=%d", key, assetID, l.made.Add(1)), nil
}

// posted is a request that a receiver got.
type posted struct {
	header http.Header
	body   []byte
	envelope
}

type envelope struct {
	ID       string         `json:"id"`
	Type     string         `json:"type"`
	IsReplay bool           `json:"is_replay"`
	Data     map[string]any `json:"data"`
}

// receiver is a server that keeps what it gets and answers with answer, or 200.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []posted
	answer http.HandlerFunc
}

func newReceiver(t testing.TB, answer http.HandlerFunc) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		p := posted{header: q.Header}
		p.body, _ = io.ReadAll(q.Body)
		if err := json.Unmarshal(p.body, &p.envelope); err != nil {
			t.Errorf("body %q: %v", p.body, err)
		}
		r.mu.Lock()
		r.got = append(r.got, p)
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w, q)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) setAnswer(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) all() []posted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]posted(nil), r.got...)
}

func (r *receiver) ids() (ids []string) {
	for _, p := range r.all() {
		ids = append(ids, p.ID)
	}
	return ids
}

// kit is a catalog with finished jobs and deliverers over it.
type kit struct {
	testing.TB
	store    *sqlstore.Store
	links    *links
	attempts chan webhook.Attempt
	jobs     int

	mu  sync.Mutex
	now time.Time
}

func newKit(t testing.TB) *kit {
	k := &kit{TB: t, links: &links{}, attempts: make(chan webhook.Attempt, 10000), now: time.Now()}
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{
		Path: filepath.Join(t.TempDir(), "catalog.db"), Events: true, Now: k.clock,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	k.store = s
	return k
}

func (k *kit) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *kit) later(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

// finish ends a job of the capture, the first or a further one, with that many
// new tracks.
func (k *kit) finish(capture string, tracks int) catalog.Job {
	k.Helper()
	k.later(time.Microsecond) // no two jobs end at the same time
	job, err := k.store.AddGeneration(k.Context(), catalog.Job{
		CaptureKey: capture, CaptureURI: "captures/" + capture, RoomID: "room", SessionID: capture, Source: "sfu",
	}, false)
	require.NoError(k, err)
	job, err = k.store.SeizeJob(k.Context(), job.ID, "test")
	require.NoError(k, err)
	assets := make([]catalog.Asset, tracks)
	for i := range assets {
		key := fmt.Sprintf("%s-%d-%d", capture, k.jobs, i)
		assets[i] = catalog.Asset{
			RoomID: "room", SessionID: capture, Type: catalog.TrackAsset, Status: catalog.AssetCompleted,
			Path: key + ".webm", Size: 1000, Duration: time.Second, Key: key,
		}
	}
	k.jobs++
	claim := catalog.Claim{JobID: job.ID, Fence: job.Fence}
	_, err = k.store.RegisterAssets(k.Context(), claim, assets)
	require.NoError(k, err)
	job, err = k.store.EndAttempt(k.Context(), claim, catalog.Attempt{Ending: catalog.EndCompleted})
	require.NoError(k, err)
	return job
}

// run runs a deliverer and returns what stops it and waits for its end. No wait
// lies between attempts.
func (k *kit) run(config webhook.Config) (d *webhook.Deliverer, stop func()) {
	k.Helper()
	if config.Backoff == nil {
		config.Backoff = []time.Duration{0, 0, 0}
	}
	config.Poll = 50 * time.Millisecond
	config.OnAttempt = func(a webhook.Attempt) { k.attempts <- a }
	config.OnError = func(err error) { k.Error(err) }
	d, err := webhook.New(config, k.store, k.links)
	require.NoError(k, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(k, <-ended)
	})
	k.Cleanup(stop)
	return d, stop
}

// await waits for that many attempts and returns them.
func (k *kit) await(n int) []webhook.Attempt {
	k.Helper()
	got := make([]webhook.Attempt, n)
	for i := range got {
		select {
		case got[i] = <-k.attempts:
		case <-time.After(20 * time.Second):
			k.Fatalf("%d of %d attempts were made", i, n)
		}
	}
	return got
}

func (k *kit) list(f catalog.DeliveryFilter) []catalog.Delivery {
	k.Helper()
	all, err := k.store.ListDeliveries(k.Context(), f)
	require.NoError(k, err)
	return all
}

func to(r *receiver) webhook.Endpoint {
	return webhook.Endpoint{Name: "hook", URL: r.URL + "/hook?token=hush", Secret: secret, AllowPrivate: true}
}
