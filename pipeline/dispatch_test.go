package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// box is an outbox and a queue that write down when they are called. It stands in
// for them where the calls themselves are looked at.
type box struct {
	mu       sync.Mutex
	due      []Ticket
	looks    []time.Time
	enqueued []string
	fail     map[string]error // by method
	hang     bool             // Enqueue hangs until its context ends
}

func (b *box) DueTickets(_ context.Context, limit int) ([]Ticket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks = append(b.looks, time.Now())
	return append([]Ticket(nil), b.due[:min(limit, len(b.due))]...), b.fail["DueTickets"]
}

func (b *box) Enqueue(ctx context.Context, tickets []Ticket) error {
	b.mu.Lock()
	hang, err := b.hang, b.fail["Enqueue"]
	b.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range tickets {
		b.enqueued = append(b.enqueued, t.ID)
	}
	return err
}

func (b *box) Dispatched(_ context.Context, tickets []Ticket) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fail["Dispatched"]; err != nil {
		return err
	}
	b.due = b.due[len(tickets):]
	return nil
}

func (b *box) Lost(context.Context, []Ticket) ([]Ticket, error) { return nil, nil }

func (b *box) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range n {
		b.due = append(b.due, Ticket{ID: fmt.Sprint(len(b.enqueued) + len(b.due))})
	}
}

func (b *box) set(hang bool, fail map[string]error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hang, b.fail, b.looks = hang, fail, nil
}

// dispatching runs a dispatcher in a bubble.
func dispatching(t *testing.T, fn func(t *testing.T, b *box, d *Dispatcher, errs *[]error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &box{}
		var errs []error
		d, err := NewDispatcher(DispatcherConfig{Outbox: b, Queue: b, Batch: 10, OnError: func(err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			errs = append(errs, err)
		}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		defer func() {
			cancel()
			require.NoError(t, <-done)
		}()
		synctest.Wait()
		fn(t, b, d, &errs)
		synctest.Wait()
	})
}

func TestDispatcherIsWokenAndPolls(t *testing.T) {
	t.Parallel()
	dispatching(t, func(t *testing.T, b *box, d *Dispatcher, errs *[]error) {
		sleep(t.Context(), 10*time.Second)
		synctest.Wait()
		require.LessOrEqual(t, len(b.looks), 12, "idle costs nothing")
		b.add(25)
		d.Wake()
		d.Wake()
		synctest.Wait()
		require.Len(t, b.enqueued, 25, "in three batches, without a wait")
		require.Empty(t, b.due)
		b.add(1)
		sleep(t.Context(), time.Second)
		synctest.Wait()
		require.Len(t, b.enqueued, 26, "found without being woken")
		require.Empty(t, *errs)
	})
}

func TestDispatcherGetsOver(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, method := range []string{"DueTickets", "Enqueue", "Dispatched", "hangs"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			dispatching(t, func(t *testing.T, b *box, d *Dispatcher, errs *[]error) {
				b.set(method == "hangs", map[string]error{method: broken})
				b.add(3)
				sleep(t.Context(), 30*time.Second)
				d.Wake()
				synctest.Wait()
				require.NotEmpty(t, *errs)
				require.Less(t, len(b.looks), 60, "it does not hammer on what is broken")
				if method != "hangs" {
					require.ErrorIs(t, (*errs)[0], broken)
				}
				require.Len(t, b.due, 3)
				b.set(false, nil)
				sleep(t.Context(), 10*time.Second+errorPause)
				synctest.Wait()
				require.Empty(t, b.due)
				require.GreaterOrEqual(t, len(b.enqueued), 3)
			})
		})
	}
}

func TestConfigsAreChecked(t *testing.T) {
	t.Parallel()
	b := &box{}
	for _, cfg := range []DispatcherConfig{{}, {Queue: b}, {Outbox: b}, {Outbox: b, Queue: b, Poll: -1}, {Outbox: b, Queue: b, Batch: -1}} {
		_, err := NewDispatcher(cfg)
		require.Error(t, err)
	}
	s := &sweepCounter{}
	for _, cfg := range []SweeperConfig{
		{}, {Queue: b}, {Catalog: s}, {Catalog: s, Queue: b, Every: -1}, {Catalog: s, Queue: b, Every: time.Minute}, {Catalog: s, Queue: b, Page: -1},
	} {
		_, err := NewSweeper(cfg)
		require.Error(t, err)
	}
}
