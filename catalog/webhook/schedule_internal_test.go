package webhook

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

// pipes is a listener whose connections are in memory, so that time can stand
// still around them.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	over  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestSchedule: attempts come 1, 3 and 10 s after each other, whatever the
// receiver does; one that hangs is given up after the timeout. The next event of
// the capture waits for the one before it, and no longer.
func TestSchedule(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path, Events: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		job, _, err := store.AddJob(t.Context(), catalog.Job{CaptureKey: "c", CaptureURI: "c", Source: "sfu"}, false)
		require.NoError(t, err)
		job, err = store.SeizeJob(t.Context(), job.ID, "w")
		require.NoError(t, err)
		claim := catalog.Claim{JobID: job.ID, Fence: job.Fence}
		_, err = store.RegisterAssets(t.Context(), claim, []catalog.Asset{
			{Type: catalog.TrackAsset, Status: catalog.AssetCompleted, Path: "1.webm", Size: 1, Key: "1"},
			{Type: catalog.TrackAsset, Status: catalog.AssetCompleted, Path: "2.webm", Size: 1, Key: "2"},
		})
		require.NoError(t, err)
		_, err = store.EndAttempt(t.Context(), claim, catalog.Attempt{Ending: catalog.EndCompleted})
		require.NoError(t, err)

		began := time.Now()
		var mu sync.Mutex
		var arrivals []time.Duration
		line := &pipes{conns: make(chan net.Conn), over: make(chan struct{})}
		server := &http.Server{ReadHeaderTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body)
			mu.Lock()
			arrivals = append(arrivals, time.Since(began))
			n := len(arrivals)
			mu.Unlock()
			switch {
			case n == 2:
				<-q.Context().Done() // hangs
			case n < 5:
				w.WriteHeader(http.StatusBadGateway)
			}
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(line) }()

		d, err := New(Config{Endpoints: []Endpoint{{URL: "http://example.com/", AllowPrivate: true}}}, store, fakeLinks{})
		require.NoError(t, err)
		d.endpoints[0].transport.DialContext = line.dial
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		<-time.After(2 * time.Minute) // of the bubble's time
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)

		require.Len(t, arrivals, 5)
		want := []time.Duration{0, time.Second, time.Second + DefaultTimeout + 3*time.Second, time.Second + DefaultTimeout + 13*time.Second, time.Second + DefaultTimeout + 13*time.Second}
		for i, at := range arrivals {
			require.InDelta(t, want[i].Seconds(), at.Seconds(), 0.05, "attempt %d", i+1)
		}
		require.Equal(t, []Counts{{Endpoint: d.endpoints[0].Name, Delivered: 1, Retried: 3, Failed: 1}}, d.Counts())
	})
}

// TestPruned: what was delivered long ago is dropped, what failed stays.
func TestPruned(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: path, Events: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		job, _, err := store.AddJob(t.Context(), catalog.Job{CaptureKey: "c", CaptureURI: "c", Source: "sfu"}, false)
		require.NoError(t, err)
		_, err = store.CancelJob(t.Context(), job.ID)
		require.NoError(t, err)
		events, err := store.Events(t.Context(), 1)
		require.NoError(t, err)
		require.NoError(t, store.Announce(t.Context(), events[0], []catalog.Delivery{
			{Endpoint: "a", Subject: "1", Lane: "1", Payload: []byte("{}")}, {Endpoint: "a", Subject: "2", Lane: "2", Payload: []byte("{}")},
		}))
		claimed, err := store.ClaimDeliveries(t.Context(), "a", time.Minute, 2)
		require.NoError(t, err)
		require.NoError(t, store.EndDelivery(t.Context(), claimed[0], catalog.DeliveryEnd{State: catalog.DeliveryDelivered}))
		require.NoError(t, store.EndDelivery(t.Context(), claimed[1], catalog.DeliveryEnd{State: catalog.DeliveryFailed}))
		d, err := New(Config{Endpoints: []Endpoint{{URL: "https://example.com/"}}, Poll: time.Hour, Keep: 24 * time.Hour}, store, fakeLinks{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		for _, left := range []int{2, 1} {
			<-time.After(20 * time.Hour) // of the bubble's time
			synctest.Wait()
			all, err := store.ListDeliveries(t.Context(), catalog.DeliveryFilter{})
			require.NoError(t, err)
			require.Len(t, all, left)
		}
		cancel()
		require.NoError(t, <-ended)
	})
}
