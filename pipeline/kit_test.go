package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/sqlstore"
)

var (
	_ Jobs      = (*sqlstore.Store)(nil)
	_ Outbox    = (*sqlstore.Store)(nil)
	_ Sweepable = (*sqlstore.Store)(nil)
)

// house is a catalog in SQLite with everything that works beside it, in a bubble
// of testing/synctest: hours pass in no time.
type house struct {
	t     *testing.T
	store *sqlstore.Store
	queue *bell
}

// inHouse runs fn in a bubble with a catalog, a queue, two dispatchers and two
// sweepers.
func inHouse(t *testing.T, fn func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, store: openStore(t), queue: &bell{tickets: make(map[string]Ticket)}}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 {
			d, err := NewDispatcher(DispatcherConfig{Outbox: h.store, Queue: h.queue, Batch: 7, OnError: h.unexpected})
			require.NoError(t, err)
			s, err := NewSweeper(SweeperConfig{Catalog: h.store, Queue: h.queue, Page: 5, Wake: d.Wake, OnError: h.unexpected})
			require.NoError(t, err)
			wg.Go(func() { h.unexpected(d.Run(ctx)) })
			wg.Go(func() { h.unexpected(s.Run(ctx)) })
		}
		defer wg.Wait()
		defer cancel()
		fn(t, h)
	})
}

func openStore(t *testing.T) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "catalog.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func (h *house) unexpected(err error) {
	if err != nil {
		h.t.Errorf("unexpected: %v", err)
	}
}

// add queues a job of its own capture.
func (h *house) add(name string, change func(*catalog.Job)) catalog.Job {
	h.t.Helper()
	j := catalog.Job{
		CaptureURI: "file:///captures/" + name, CaptureKey: name, RoomID: "room", SessionID: "session", Source: "sfu",
		Cost: catalog.Cost{CPU: 1000, Memory: 1},
	}
	if change != nil {
		change(&j)
	}
	j, created, err := h.store.AddJob(h.t.Context(), j, true)
	require.NoError(h.t, err)
	require.True(h.t, created)
	return j
}

func (h *house) job(id string) catalog.Job {
	h.t.Helper()
	j, err := h.store.JobByID(h.t.Context(), id)
	require.NoError(h.t, err)
	return j
}

// until waits until the job is in a state, in the bubble's time, and returns how
// long that took.
func (h *house) until(id string, most time.Duration, states ...catalog.JobState) time.Duration {
	h.t.Helper()
	began := time.Now()
	for !slices.Contains(states, h.job(id).State) {
		require.Less(h.t, time.Since(began), most, "job is still %s", h.job(id).State)
		sleep(h.t.Context(), max(250*time.Millisecond, most/300))
	}
	return time.Since(began)
}

// endings are those of the job's attempts, in order.
func (h *house) endings(id string) []catalog.Ending {
	h.t.Helper()
	records, err := h.store.Attempts(h.t.Context(), id)
	require.NoError(h.t, err)
	var endings []catalog.Ending
	for _, r := range records {
		endings = append(endings, r.Ending)
	}
	return endings
}

// worker starts a worker with two looks at a time. The test stops it with its
// Stop, or the house does when it ends.
func (h *house) worker(run Handler, change func(*WorkerConfig)) (*Worker, *ledger) {
	h.t.Helper()
	l := &ledger{}
	cfg := WorkerConfig{Jobs: h.store, Run: run, Admission: NewAdmission(Capacity{CPU: 4000, Memory: 1 << 30}), Events: l}
	if change != nil {
		change(&cfg)
	}
	w, err := NewWorker(cfg)
	require.NoError(h.t, err)
	ctx, cancel := context.WithCancel(h.t.Context())
	var looks sync.WaitGroup
	for range 2 {
		looks.Go(func() { h.queue.serve(ctx, w) })
	}
	h.t.Cleanup(func() {
		cancel()
		h.unexpected(w.Stop(context.WithoutCancel(ctx)))
		looks.Wait()
	})
	return w, l
}

// ledger writes down the events of a worker.
type ledger struct {
	mu      sync.Mutex
	started []catalog.Job
	ended   []catalog.Attempt
	lost    []error
	trouble []error
}

func (l *ledger) AttemptStarted(j catalog.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started = append(l.started, j)
}

func (l *ledger) AttemptEnded(_ catalog.Job, end catalog.Attempt, _ time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, end)
}

func (l *ledger) AttemptLost(_ catalog.Job, reason error, _ time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = append(l.lost, reason)
}

func (l *ledger) Trouble(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = append(l.trouble, err)
}

// counts returns how many attempts were started, ended and lost.
func (l *ledger) counts() [3]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return [3]int{len(l.started), len(l.ended), len(l.lost)}
}

// bell is a queue in this process that does what queues do: with faults it loses
// tickets, gives them out twice and late.
type bell struct {
	faults *rand.Rand  // nil for none; under mu
	deaf   atomic.Bool // shows nobody anything

	mu      sync.Mutex
	tickets map[string]Ticket
	ready   []Ticket
}

func (b *bell) Enqueue(_ context.Context, tickets []Ticket) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range tickets {
		if _, ok := b.tickets[t.ID]; ok {
			continue
		}
		b.tickets[t.ID] = t
		b.ready = append(b.ready, t)
		if b.faults == nil {
			continue
		}
		switch b.faults.IntN(4) {
		case 0: // lost
			delete(b.tickets, t.ID)
			b.ready = b.ready[:len(b.ready)-1]
		case 1: // twice, and out of order
			b.ready = append([]Ticket{t}, b.ready...)
		}
	}
	return nil
}

func (b *bell) Lost(_ context.Context, tickets []Ticket) ([]Ticket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lost []Ticket
	for _, t := range tickets {
		if _, ok := b.tickets[t.ID]; !ok {
			lost = append(lost, t)
		}
	}
	return lost, nil
}

// wipe loses everything.
func (b *bell) wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.tickets)
	b.ready = nil
}

func (b *bell) take() (Ticket, time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ready) == 0 || b.deaf.Load() {
		return Ticket{}, 0, false
	}
	t := b.ready[0]
	b.ready = b.ready[1:]
	if b.faults != nil {
		return t, time.Duration(b.faults.Int64N(int64(5 * time.Second))), true
	}
	return t, 0, true
}

// serve shows tickets to the worker until ctx ends.
func (b *bell) serve(ctx context.Context, w *Worker) {
	for ctx.Err() == nil {
		t, delay, ok := b.take()
		if !ok {
			sleep(ctx, 250*time.Millisecond)
			continue
		}
		sleep(ctx, delay)
		look := w.Look(ctx, t.JobID)
		b.mu.Lock()
		if look == Taken {
			delete(b.tickets, t.ID)
		} else {
			b.ready = append(b.ready, t)
		}
		b.mu.Unlock()
		if look == Later {
			sleep(ctx, time.Second)
		}
	}
}

var errGate = errors.New("the catalog is away")

// gate is a catalog behind a network that a test can cut.
type gate struct {
	Jobs

	mu       sync.Mutex
	cut      bool // every call fails
	hang     bool // every call hangs until its context ends
	failEnds int  // so many calls of EndAttempt fail
}

func (g *gate) set(cut, hang bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut, g.hang = cut, hang
}

func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	cut, hang := g.cut, g.hang
	g.mu.Unlock()
	if hang {
		<-ctx.Done()
		return fmt.Errorf("hung: %w", ctx.Err())
	}
	if cut {
		return errGate
	}
	return nil
}

func (g *gate) JobByID(ctx context.Context, id string) (catalog.Job, error) {
	if err := g.pass(ctx); err != nil {
		return catalog.Job{}, err
	}
	return g.Jobs.JobByID(ctx, id)
}

func (g *gate) ClaimJob(ctx context.Context, id, worker string) (catalog.Job, error) {
	if err := g.pass(ctx); err != nil {
		return catalog.Job{}, err
	}
	return g.Jobs.ClaimJob(ctx, id, worker)
}

func (g *gate) Heartbeat(ctx context.Context, claim catalog.Claim) (bool, error) {
	if err := g.pass(ctx); err != nil {
		return false, err
	}
	return g.Jobs.Heartbeat(ctx, claim)
}

// EndAttempt fails after it was done half of the times: the answer did not arrive.
func (g *gate) EndAttempt(ctx context.Context, claim catalog.Claim, end catalog.Attempt) (catalog.Job, error) {
	if err := g.pass(ctx); err != nil {
		return catalog.Job{}, err
	}
	g.mu.Lock()
	fail := g.failEnds
	g.failEnds = max(0, fail-1)
	g.mu.Unlock()
	switch {
	case fail == 0:
	case fail%2 == 0:
		return catalog.Job{}, errGate
	default:
		_, err := g.Jobs.EndAttempt(ctx, claim, end)
		return catalog.Job{}, errors.Join(errGate, err)
	}
	return g.Jobs.EndAttempt(ctx, claim, end)
}
