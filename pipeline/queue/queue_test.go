package queue

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"rushes/pipeline"
)

var _ pipeline.Queue = (*Queue)(nil)

// looks counts the looks at each job.
type looks struct {
	mu    sync.Mutex
	jobs  map[string]int
	order []string
}

func (l *looks) taken(_ context.Context, job string) pipeline.Look {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.jobs == nil {
		l.jobs = map[string]int{}
	}
	l.jobs[job]++
	l.order = append(l.order, job)
	return pipeline.Taken
}

func (l *looks) at(job string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.jobs[job]
}

func (l *looks) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.order)
}

// requireNoTasks wants no task of any state in Redis.
func requireNoTasks(t *testing.T, at URL) {
	t.Helper()
	keys, err := rawClient(t, at).Keys(t.Context(), "asynq:{*}:t:*").Result()
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestEachTicketIsLookedAtOnce(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		require.NoError(t, q.Ping(t.Context()))
		var all []pipeline.Ticket
		for _, name := range pipeline.QueueNames() {
			all = append(all, tickets(name, 10)...)
		}
		require.NoError(t, q.Enqueue(t.Context(), all))
		require.NoError(t, q.Enqueue(t.Context(), all), "again")
		lost, err := q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Empty(t, lost)
		depths, err := q.Depth(t.Context())
		require.NoError(t, err)
		require.Len(t, depths, 3)
		for i, depth := range depths {
			require.Equal(t, pipeline.QueueNames()[i], depth.Queue)
			require.EqualValues(t, 10, depth.Waiting)
			require.Zero(t, depth.PutBack+depth.Looking)
			require.Positive(t, depth.Oldest)
			require.Less(t, depth.Oldest, patience)
		}

		var seen looks
		s := serve(t, q, ServeOptions{Concurrency: 3}, seen.taken)
		require.Eventually(t, func() bool { return q.Counts().Taken == 30 }, patience, time.Millisecond)
		require.NoError(t, s.stop(t))
		for _, ticket := range all {
			require.Equal(t, 1, seen.at(ticket.JobID), ticket.JobID)
		}
		require.Equal(t, Counts{Taken: 30}, q.Counts())
		lost, err = q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Equal(t, all, lost, "in the order asked")
		requireNoTasks(t, at)
	})
}

func TestTicketsOfOneQueueKeepTheirOrder(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		all := tickets("default", 20)
		all[3].Queue = "" // means default
		require.NoError(t, q.Enqueue(t.Context(), all))
		var seen looks
		serve(t, q, ServeOptions{Concurrency: 1}, seen.taken)
		require.Eventually(t, func() bool { return seen.count() == 20 }, patience, time.Millisecond)
		for i, ticket := range all {
			require.Equal(t, ticket.JobID, seen.order[i])
		}
	})
}

func TestLaterComesBackAndUsesNoRetry(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		all := tickets("chunks", 1)
		require.NoError(t, q.Enqueue(t.Context(), all))
		var shown atomic.Int64
		again := make(chan struct{})
		s := serve(t, q, ServeOptions{Concurrency: 2}, func(context.Context, string) pipeline.Look {
			switch shown.Add(1) {
			case 1, 2:
				return pipeline.Later
			case 3:
				close(again)
				return pipeline.Later
			}
			return pipeline.Taken
		})
		<-again
		require.NoError(t, s.stop(t))
		inspector := asynq.NewInspectorFromRedisClient(rawClient(t, at))
		if info, err := inspector.GetTaskInfo("chunks", all[0].ID); err == nil { // not yet taken at the fourth
			require.Zero(t, info.Retried)
			require.Equal(t, maxRetry, info.MaxRetry)
			require.Equal(t, LookLimit+time.Minute, info.Timeout)
			require.Zero(t, info.Retention)
			lost, err := q.Lost(t.Context(), all)
			require.NoError(t, err)
			require.Empty(t, lost, "put back is not lost")
		}
		serve(t, q, ServeOptions{}, func(context.Context, string) pipeline.Look { shown.Add(1); return pipeline.Taken })
		require.Eventually(t, func() bool { return q.Counts().Taken == 1 }, patience, time.Millisecond)
		require.EqualValues(t, 3, q.Counts().Later)
		require.EqualValues(t, 4, shown.Load())
	})
}

func TestQueuesShareByWeight(t *testing.T) {
	t.Parallel()
	const each = 150
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		var all []pipeline.Ticket
		for _, name := range pipeline.QueueNames() {
			all = append(all, tickets(name, each)...)
		}
		require.NoError(t, q.Enqueue(t.Context(), all))
		var seen looks
		s := serve(t, q, ServeOptions{Concurrency: 1}, seen.taken)
		require.Eventually(t, func() bool { return seen.count() >= each }, patience, time.Millisecond)
		require.NoError(t, s.stop(t))
		share := map[byte]int{}
		for _, job := range seen.order[:each] {
			share[job[0]]++
		}
		// 90, 45 and 15 are expected; these bounds are five deviations away.
		require.Greater(t, share['c'], share['d'], "chunks before default: %v", share)
		require.Greater(t, share['d'], share['b'], "default before backfill: %v", share)
		require.Positive(t, share['b'], "no queue starves")

		require.NoError(t, q.Enqueue(t.Context(), all))
		seen = looks{}
		s = serve(t, q, ServeOptions{Concurrency: 1, Weights: map[pipeline.QueueName]int{"backfill": 1, "chunks": 0}}, seen.taken)
		require.Eventually(t, func() bool { return seen.count() == each }, patience, time.Millisecond)
		require.NoError(t, s.stop(t))
		for _, job := range seen.order {
			require.Equal(t, byte('b'), job[0], "only the queues named")
		}
	})
}

func TestWhatCannotBeReadIsRemoved(t *testing.T) {
	t.Parallel()
	bad := []*asynq.Task{
		asynq.NewTask("look", []byte(`{"v":2,"job":"x"}`)),
		asynq.NewTask("look", []byte(`{"v":1}`)),
		asynq.NewTask("look", []byte(`{"v":1,"job":"a\nb"}`)),
		asynq.NewTask("look", []byte(`{"v":1,"job":7}`)),
		asynq.NewTask("look", []byte("\xff\xfe")),
		asynq.NewTask("look", nil),
		asynq.NewTask("render", []byte(`{"v":1,"job":"x"}`)),
	}
	eachBroker(t, func(t *testing.T, at URL) {
		q, logged := newQueue(t, at)
		for _, task := range bad {
			_, err := q.asynq.EnqueueContext(t.Context(), task)
			require.NoError(t, err)
		}
		require.NoError(t, q.Enqueue(t.Context(), tickets("default", 1)))
		var seen looks
		s := serve(t, q, ServeOptions{Concurrency: 2}, seen.taken)
		require.Eventually(t, func() bool { return q.Counts() == Counts{Bad: uint64(len(bad)), Taken: 1} }, patience, time.Millisecond)
		require.NoError(t, s.stop(t))
		require.Equal(t, 1, seen.count())
		require.Len(t, logged.with("cannot be read"), len(bad))
		requireNoTasks(t, at)
		n, err := rawClient(t, at).Exists(t.Context(), "asynq:{default}:archived").Result()
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestPanicMeansLater(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, logged := newQueue(t, at)
		require.NoError(t, q.Enqueue(t.Context(), tickets("default", 1)))
		var shown atomic.Int64
		s := serve(t, q, ServeOptions{}, func(context.Context, string) pipeline.Look {
			if shown.Add(1) == 1 {
				panic("made by the test")
			}
			return pipeline.Taken
		})
		require.Eventually(t, func() bool { return q.Counts() == Counts{Taken: 1, Later: 1, Panicked: 1} }, patience, time.Millisecond)
		require.NoError(t, s.stop(t))
		require.Len(t, logged.with("panic=made by the test"), 1)
	})
}

func TestOneLookAtAJobAtATime(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		all := tickets("default", 4)
		for i := range all {
			all[i].JobID = "same"
		}
		require.NoError(t, q.Enqueue(t.Context(), all))
		var now, most, begun atomic.Int64
		first := make(chan struct{})
		release := make(chan struct{})
		look := func(context.Context, string) pipeline.Look {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			if begun.Add(1) == 1 {
				close(first)
				<-release
			}
			return pipeline.Taken
		}
		serve(t, q, ServeOptions{Concurrency: 4}, look)
		serve(t, q, ServeOptions{Concurrency: 4}, look) // a second one in the process
		<-first
		client := rawClient(t, at)
		// All others have been put back at least once, while the first look is on.
		require.Eventually(t, func() bool {
			n, err := client.ZCard(context.Background(), "asynq:{default}:retry").Result()
			return err == nil && n > 0
		}, patience, time.Millisecond)
		close(release)
		require.Eventually(t, func() bool { return q.Counts().Taken == 4 }, patience, time.Millisecond)
		require.EqualValues(t, 1, most.Load())
	})
}

func TestStopTellsLooksInProgress(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		all := tickets("default", 3)
		require.NoError(t, q.Enqueue(t.Context(), all))
		begun := make(chan struct{}, 3)
		s := serve(t, q, ServeOptions{Concurrency: 1}, func(ctx context.Context, _ string) pipeline.Look {
			begun <- struct{}{}
			<-ctx.Done()
			return pipeline.Later
		})
		<-begun
		require.NoError(t, s.stop(t))
		require.Empty(t, begun, "no new look begins")
		lost, err := q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Empty(t, lost, "all tickets are still there")
	})
}

func TestStopLeavesALookThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		all := tickets("default", 1)
		require.NoError(t, q.Enqueue(t.Context(), all))
		begun, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
		s := serve(t, q, ServeOptions{Grace: 50 * time.Millisecond}, func(context.Context, string) pipeline.Look {
			defer close(ended)
			close(begun)
			<-release
			return pipeline.Taken
		})
		<-begun
		err := s.stop(t)
		require.ErrorIs(t, err, ErrLooksLeft)
		lost, err := q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Empty(t, lost, "the ticket waits for another worker")
		close(release)
		<-ended
	})
}

func TestEnqueueRefuses(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		for name, ticket := range map[string]pipeline.Ticket{
			"queue": {ID: "t", JobID: "j", Queue: "urgent"}, "job": {ID: "t", Queue: "default"}, "id": {JobID: "j", Queue: "default"},
		} {
			require.Error(t, q.Enqueue(t.Context(), []pipeline.Ticket{ticket}), name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, q.Enqueue(ctx, tickets("default", 1)), context.Canceled)
		require.NoError(t, q.Enqueue(ctx, nil))
		_, err := q.Lost(ctx, tickets("default", 1))
		require.ErrorIs(t, err, context.Canceled)
		_, err = q.Lost(t.Context(), []pipeline.Ticket{{ID: "t", Queue: "urgent"}})
		require.Error(t, err)
		requireNoTasks(t, at)
	})
}

func TestServeRefusesOptions(t *testing.T) {
	t.Parallel()
	q, _ := newQueue(t, "redis://127.0.0.1:1")
	for name, weights := range map[string]map[pipeline.QueueName]int{
		"unknown": {"urgent": 1}, "negative": {"default": -1}, "none": {}, "zeros": {"default": 0}, "huge": {"default": 1 << 30},
	} {
		require.Error(t, q.Serve(t.Context(), ServeOptions{Weights: weights}, nil), name)
	}
	require.False(t, errors.Is(q.Close(), context.Canceled))
}

// TestDefaultPace wants a ticket that was put back to come again within seconds, not
// at once and not after Asynq's own backoff.
func TestDefaultPace(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		q.pace = defaultPace()
		require.NoError(t, q.Enqueue(t.Context(), tickets("default", 1)))
		shown := make(chan time.Time, 2)
		serve(t, q, ServeOptions{}, func(context.Context, string) pipeline.Look {
			shown <- time.Now()
			if len(shown) == 2 {
				return pipeline.Taken
			}
			return pipeline.Later
		})
		require.Eventually(t, func() bool { return q.Counts() == Counts{Taken: 1, Later: 1} }, patience, 10*time.Millisecond)
		first, second := <-shown, <-shown
		require.Less(t, second.Sub(first), 8*time.Second)
	})
}
