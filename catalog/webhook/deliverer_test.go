package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/webhook"
)

func TestDelivered(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, nil)
	e := to(r)
	e.Headers = map[string]catalog.Secret{"X-Passcode": "open sesame", "User-Agent": "mine"}
	job := k.finish("c", 3)
	d, stop := k.run(webhook.Config{Endpoints: []webhook.Endpoint{e}, AccountID: "acc", AppID: "app"})
	k.await(3)
	stop()
	got := r.all()
	require.Len(t, got, 3)
	verifier, err := standardwebhooks.NewWebhook(secret.Reveal())
	require.NoError(t, err)
	seen := map[string]bool{}
	for i, p := range got {
		require.NoError(t, verifier.Verify(p.body, p.header))
		require.Error(t, verifier.Verify(append(p.body, ' '), p.header))
		require.Equal(t, []string{p.ID, "application/json", "open sesame", "mine"},
			[]string{p.header.Get("Webhook-Id"), p.header.Get("Content-Type"), p.header.Get("X-Passcode"), p.header.Get("User-Agent")})
		require.Equal(t, "track.recording.success", p.Type)
		require.Equal(t, job.ID, p.Data["recording_id"])
		require.Equal(t, fmt.Sprintf("c-0-%d.webm", i), p.Data["recording_path"], "in order")
		require.False(t, p.IsReplay)
		require.False(t, seen[p.ID])
		seen[p.ID] = true
	}
	require.Equal(t, []webhook.Counts{{Endpoint: "hook", Delivered: 3}}, d.Counts())
	for _, delivery := range k.list(catalog.DeliveryFilter{}) {
		require.Equal(t, []any{catalog.DeliveryDelivered, 200, 1}, []any{delivery.State, delivery.Status, delivery.Attempts})
	}
	// A new process finds nothing to do.
	_, stop = k.run(webhook.Config{Endpoints: []webhook.Endpoint{e}})
	k.finish("d", 1)
	k.await(1)
	stop()
	require.Len(t, r.all(), 4)
}

// TestReceiversThatFail: every way of failing uses the attempts up, is kept, and
// is mended by a replay with the same id and fresh addresses.
func TestReceiversThatFail(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(code)
		}
	}
	hijack := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack() //nolint:forcetypeassert // HTTP/1.1
			if err == nil {
				_, _ = c.Write([]byte(text))
				_ = c.Close()
			}
		}
	}
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		status  int
		message string
		timeout time.Duration
	}{
		"500":               {status(500), 500, "the answer is 500", 0},
		"404":               {status(404), 404, "the answer is 404", 0},
		"204":               {status(204), 204, "the answer is 204", 0},
		"201":               {status(201), 201, "the answer is 201", 0},
		"redirect":          {status(302), 302, "the answer is 302", 0},
		"redirect for good": {status(308), 308, "the answer is 308", 0},
		"hangs":             {func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }, 0, "deadline exceeded", 250 * time.Millisecond},
		"closes early":      {hijack(""), 0, "EOF", 0},
		"closes in header":  {hijack("HTTP/1.1 200 O"), 0, "EOF", 0},
		"garbage":           {hijack("\x00\xff" + strings.Repeat("x", 5000) + "\r\n\r\n"), 0, "malformed", 0},
		"endless header":    {hijack("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n"), 0, "headers", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			r := newReceiver(t, c.answer)
			k.finish("c", 2)
			d, stop := k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(r)}, Timeout: c.timeout})
			for i, a := range k.await(8) {
				require.Equal(t, c.status, a.Status)
				require.ErrorContains(t, a.Err, c.message)
				require.NotContains(t, a.Err.Error(), "hush")
				require.Equal(t, i%4 == 3, a.Outcome == catalog.DeliveryFailed)
			}
			stop()
			require.Equal(t, []webhook.Counts{{Endpoint: "hook", Failed: 2, Retried: 6}}, d.Counts())
			got := r.all()
			require.Len(t, got, 8)
			for i, p := range got {
				require.Equal(t, got[i-i%4].ID, p.ID, "one event has one id")
			}
			kept := k.list(catalog.DeliveryFilter{State: catalog.DeliveryFailed})
			require.Len(t, kept, 2)
			require.Contains(t, kept[0].Error, c.message)
			require.NotContains(t, kept[0].Error, "hush")
			require.Less(t, len(kept[0].Error), 600)

			r.setAnswer(nil)
			replayed, err := k.store.ReplayDelivery(t.Context(), kept[0].ID)
			require.NoError(t, err)
			_, stop = k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(r)}})
			k.await(1)
			stop()
			last := r.all()[8]
			require.True(t, last.IsReplay)
			require.Equal(t, replayed.EventID, last.ID)
			require.Equal(t, got[4].ID, last.ID)
			require.NotEqual(t, got[4].Data["recording_presigned_url"], last.Data["recording_presigned_url"])
			require.Equal(t, got[4].Data["recording_path"], last.Data["recording_path"])
		})
	}
}

// TestLongBody: 200 is taken, and little of the rest is read.
func TestLongBody(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	written := make(chan int, 1)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		total, block := 0, make([]byte, 64<<10)
		for range 1000 {
			n, err := w.Write(block)
			total += n
			if err != nil {
				break
			}
		}
		written <- total
	})
	k.finish("c", 1)
	_, stop := k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(r)}})
	require.NoError(t, k.await(1)[0].Err)
	require.Less(t, <-written, 64<<20)
	stop()
}

// TestRestartInTheMiddle: Run is ended while a receiver hangs, and a process
// dies with a claim; the next ones go on, with the ids that were there.
func TestRestartInTheMiddle(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	arrived := make(chan struct{}, 10)
	r := newReceiver(t, func(_ http.ResponseWriter, q *http.Request) {
		arrived <- struct{}{}
		<-q.Context().Done()
	})
	k.finish("c", 3)
	d, stop := k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(r)}, Grace: time.Nanosecond})
	<-arrived
	stop()
	require.Equal(t, []webhook.Counts{{Endpoint: "hook", Interrupted: 1}}, d.Counts())
	a := k.await(1)[0]
	require.Equal(t, catalog.DeliveryPending, a.Outcome)

	dead, err := k.store.ClaimDeliveries(t.Context(), "hook", time.Minute, 10)
	require.NoError(t, err)
	require.Len(t, dead, 1)
	require.Equal(t, a.Delivery.ID, dead[0].ID)
	require.Zero(t, dead[0].Attempts)
	r.setAnswer(nil)
	_, stop = k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(r)}})
	k.finish("other", 1) // does not wait for the capture that is held
	k.await(1)
	k.later(time.Minute)
	k.await(3)
	stop()
	ids := r.ids()
	require.Len(t, ids, 5)
	require.Equal(t, ids[0], ids[2], "the interrupted one came again")
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), 4)
	require.Empty(t, k.list(catalog.DeliveryFilter{State: catalog.DeliveryPending}))
}

// TestGrace: what is under way when Run is to end is let finish.
func TestGrace(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-answer
	})
	k.finish("c", 1)
	d, stop := k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(r)}, Grace: time.Minute})
	<-arrived
	time.AfterFunc(time.Millisecond, func() { close(answer) })
	stop()
	require.Equal(t, int64(1), d.Counts()[0].Delivered)
}

// TestSlowReceiver: one that hangs holds up neither another endpoint nor, up to
// the limit, its own other captures.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	release := make(chan struct{})
	var mu sync.Mutex
	running, most := 0, 0
	slow := newReceiver(t, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		<-release
		mu.Lock()
		running--
		mu.Unlock()
	})
	fast := newReceiver(t, nil)
	for i := range 6 {
		k.finish(fmt.Sprint(i), 2)
	}
	other := to(fast)
	other.Name = "fast"
	_, stop := k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(slow), other}, Concurrency: 3})
	for _, a := range k.await(12) {
		require.Equal(t, "fast", a.Delivery.Endpoint)
	}
	require.LessOrEqual(t, len(slow.all()), 3)
	close(release)
	k.await(12)
	stop()
	require.LessOrEqual(t, most, 3)
	require.ElementsMatch(t, slow.ids(), fast.ids(), "an event has one id for all endpoints")
}

// TestSeveralProcesses: deliverers that share a catalog deliver each event once.
func TestSeveralProcesses(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, nil)
	var stops []func()
	for range 3 {
		_, stop := k.run(webhook.Config{Endpoints: []webhook.Endpoint{to(r)}})
		stops = append(stops, stop)
	}
	for i := range 10 {
		k.finish(fmt.Sprint(i), 3)
	}
	k.await(30)
	for _, stop := range stops {
		stop()
	}
	ids := r.ids()
	require.Len(t, ids, 30)
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), 30)
}

// brokenLinks makes no address.
type brokenLinks struct{}

func (brokenLinks) PresignGet(context.Context, string, string, time.Duration) (string, error) {
	return "", errors.New("the store is away")
}

// TestNoLinks: what has no address is not sent, but kept.
func TestNoLinks(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := newReceiver(t, nil)
	k.finish("c", 1)
	attempts := make(chan webhook.Attempt, 10)
	d, err := webhook.New(webhook.Config{
		Endpoints: []webhook.Endpoint{to(r)}, Backoff: []time.Duration{}, Poll: time.Millisecond,
		OnAttempt: func(a webhook.Attempt) { attempts <- a },
	}, k.store, brokenLinks{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	a := <-attempts
	cancel()
	require.NoError(t, <-ended)
	require.ErrorContains(t, a.Err, "the store is away")
	require.Equal(t, catalog.DeliveryFailed, a.Outcome)
	require.Empty(t, r.all())
}
