package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

// sweepCounter counts calls on the way to a catalog; with none behind it, it has
// the lease and endless tickets that are all waiting rightly.
type sweepCounter struct {
	Sweepable
	waiting, took atomic.Int64
	fail          atomic.Bool
}

func (c *sweepCounter) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	if c.fail.Load() {
		return false, errGate
	}
	if c.Sweepable == nil {
		return true, nil
	}
	return c.Sweepable.Lease(ctx, name, holder, ttl)
}

func (c *sweepCounter) Release(ctx context.Context, name, holder string) error {
	if c.Sweepable == nil {
		return nil
	}
	return c.Sweepable.Release(ctx, name, holder)
}

func (c *sweepCounter) TakeOver(ctx context.Context, before time.Time, most, limit int) ([]catalog.Job, error) {
	c.took.Add(1)
	if c.Sweepable == nil {
		return nil, nil
	}
	return c.Sweepable.TakeOver(ctx, before, most, limit)
}

func (c *sweepCounter) Waiting(ctx context.Context, before time.Time, after string, limit int) ([]Ticket, error) {
	c.waiting.Add(1)
	if c.Sweepable != nil {
		return c.Sweepable.Waiting(ctx, before, after, limit)
	}
	tickets := make([]Ticket, 0, limit)
	for i := range limit {
		tickets = append(tickets, Ticket{ID: fmt.Sprint(after, i), JobID: fmt.Sprint(after, "x")})
	}
	return tickets, nil
}

// sweeping runs a sweeper in a bubble for as long as fn runs.
func sweeping(t *testing.T, cfg SweeperConfig, fn func(s *Sweeper)) {
	t.Helper()
	s, err := NewSweeper(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-done)
	}()
	synctest.Wait()
	fn(s)
}

// TestSweeperIsCheap has endless waiting tickets.
func TestSweeperIsCheap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &sweepCounter{}
		sweeping(t, SweeperConfig{Catalog: c, Queue: &box{}, OnError: func(err error) { t.Error(err) }}, func(s *Sweeper) {
			sleep(t.Context(), 61*time.Second)
			require.EqualValues(t, 13, c.waiting.Load(), "one page a round")
			require.EqualValues(t, 13, c.took.Load())
			require.True(t, s.Held())
		})
	})
}

// TestOneSweeperAtATime has two of them; the second one goes on when the first one
// stops, and soon after it dies.
func TestOneSweeperAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		var chores [2]atomic.Int64
		var errs atomic.Int64
		cfg := func(i int) (SweeperConfig, *sweepCounter) {
			c := &sweepCounter{Sweepable: store}
			chore := func(context.Context) error { chores[i].Add(1); return errors.New("told") }
			return SweeperConfig{
				Catalog: c, Queue: &box{}, ChoresEvery: 10 * time.Second,
				Chores: []func(context.Context) error{chore}, OnError: func(error) { errs.Add(1) },
			}, c
		}
		one, first := cfg(0)
		two, second := cfg(1)
		sweeping(t, two, func(b *Sweeper) {
			sweeping(t, one, func(a *Sweeper) {
				sleep(t.Context(), time.Minute+time.Second)
				require.True(t, b.Held())
				require.False(t, a.Held())
				require.Zero(t, first.took.Load())
				require.Zero(t, chores[0].Load())
				require.EqualValues(t, 6, chores[1].Load())
				require.EqualValues(t, 6, errs.Load())

				second.fail.Store(true) // it cannot reach the catalog any more
				sleep(t.Context(), 21*time.Second)
				require.True(t, a.Held())
				require.False(t, b.Held())
				second.fail.Store(false)
				sleep(t.Context(), 20*time.Second)
				require.False(t, b.Held())
			})
			sleep(t.Context(), 6*time.Second)
			require.True(t, b.Held(), "given up at the end, not run out")
		})
	})
}

// TestQueueLosesEverything wipes a queue with many tickets.
func TestQueueLosesEverything(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		const n = 33
		for i := range n {
			h.add(fmt.Sprint(i), nil)
		}
		sleep(t.Context(), 2*time.Second)
		h.queue.mu.Lock()
		require.Len(t, h.queue.tickets, n)
		h.queue.mu.Unlock()
		h.queue.wipe()
		sleep(t.Context(), 20*time.Second)
		h.queue.mu.Lock()
		defer h.queue.mu.Unlock()
		require.Len(t, h.queue.tickets, n, "all of them in the next rounds, seven pages")
	})
}

// TestRebuild gives a queue that begins empty what it should hold, and no job two
// tickets.
func TestRebuild(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	ctx := t.Context()
	jobs := make([]catalog.Job, 0, 503)
	for i := range cap(jobs) {
		jobs = append(jobs, catalog.Job{CaptureURI: "file:///x", CaptureKey: fmt.Sprint(i)})
	}
	added, _, err := store.AddJobs(ctx, jobs, true)
	require.NoError(t, err)
	due, err := store.DueTickets(ctx, 502)
	require.NoError(t, err)
	require.NoError(t, store.Dispatched(ctx, due))
	running, err := store.ClaimJob(ctx, due[0].JobID, "me")
	require.NoError(t, err)
	n, err := Rebuild(ctx, store)
	require.NoError(t, err)
	require.Equal(t, 501, n, "not the one in the outbox, nor the one that runs")
	due, err = store.DueTickets(ctx, 5000)
	require.NoError(t, err)
	seen := map[string]bool{running.ID: true}
	for _, ticket := range due {
		require.False(t, seen[ticket.JobID])
		seen[ticket.JobID] = true
	}
	require.Len(t, seen, len(added))
	n, err = Rebuild(ctx, store)
	require.NoError(t, err)
	require.Zero(t, n)
}
