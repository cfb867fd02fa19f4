package queue

import (
	"context"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/pipeline"
)

// TestServeOutlivesRedis kills a Redis that keeps nothing, twice, and wants Serve to
// go on by itself, Lost to tell what is gone, and two lines per outage.
func TestServeOutlivesRedis(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	q, logged := newQueue(t, s.url)
	var seen looks
	serving := serve(t, q, ServeOptions{Concurrency: 2}, seen.taken) // before Redis is there
	require.Eventually(t, func() bool { return len(logged.with("Redis is away")) == 1 }, patience, time.Millisecond)
	s.start(t)
	for round := 1; round <= 3; round++ {
		require.Eventually(t, func() bool { return len(logged.with("Redis is back")) == round }, patience, time.Millisecond)
		all := tickets("default", 5)
		require.NoError(t, q.Enqueue(t.Context(), all))
		require.Eventually(t, func() bool { return seen.count() == 5*round }, patience, time.Millisecond)
		if round == 3 {
			break
		}
		s.kill(t)
		require.Eventually(t, func() bool { return len(logged.with("Redis is away")) == round+1 }, patience, time.Millisecond)
		require.Error(t, q.Enqueue(t.Context(), all))
		s.start(t)
	}
	require.NoError(t, serving.stop(t))
	require.Len(t, logged.with("Redis is away"), 3)
	require.Len(t, logged.with(""), 6, "nothing else: %v", logged.with(""))
	require.EqualValues(t, 3, q.Counts().Outages)
}

// TestKilledRedisLosesTickets wants Lost to tell what went with Redis, while a look
// goes on that began before.
func TestKilledRedisLosesTickets(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	q, _ := newQueue(t, s.url)
	all := tickets("default", 6)
	require.NoError(t, q.Enqueue(t.Context(), all))
	begun, release := make(chan struct{}), make(chan struct{})
	var shown, interrupted atomic.Int64
	serve(t, q, ServeOptions{Concurrency: 1}, func(ctx context.Context, _ string) pipeline.Look {
		if shown.Add(1) == 1 {
			close(begun)
			select {
			case <-release:
			case <-ctx.Done():
				interrupted.Add(1)
			}
		}
		return pipeline.Taken
	})
	<-begun
	s.kill(t)
	s.start(t)
	require.NoError(t, q.Ping(t.Context()))
	lost, err := q.Lost(t.Context(), all)
	require.NoError(t, err)
	require.Equal(t, all, lost)
	require.NoError(t, q.Enqueue(t.Context(), lost[1:]))
	close(release)
	require.Eventually(t, func() bool { return q.Counts().Taken == 6 }, patience, time.Millisecond)
	require.Zero(t, interrupted.Load())
}

// TestRedisHangs stops Redis for longer than a network timeout: what is bounded by a
// context ends with it, the look goes on, and no ticket is lost to a command whose
// answer nobody reads.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	s := startRedis(t)
	q, logged := newQueue(t, s.url)
	s.signal(t, syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	require.Error(t, q.Enqueue(ctx, tickets("default", 1)))
	require.Error(t, q.Ping(ctx))
	require.Less(t, time.Since(start), 2*time.Second)
	s.signal(t, syscall.SIGCONT)

	require.NoError(t, q.Enqueue(t.Context(), tickets("default", 3)))
	begun, release := make(chan struct{}), make(chan struct{})
	var shown atomic.Int64
	serving := serve(t, q, ServeOptions{Concurrency: 1}, func(context.Context, string) pipeline.Look {
		if shown.Add(1) == 1 {
			close(begun)
			<-release
		}
		return pipeline.Taken
	})
	<-begun
	s.signal(t, syscall.SIGSTOP)
	close(release)
	require.Eventually(t, func() bool { return len(logged.with("Redis is away")) == 1 }, patience, 10*time.Millisecond)
	s.signal(t, syscall.SIGCONT)
	require.Eventually(t, func() bool { return len(logged.with("Redis is back")) == 1 }, patience, 10*time.Millisecond)
	// The first ticket's end may have been heard or not; the others are shown.
	require.Eventually(t, func() bool { return shown.Load() >= 2 }, patience, 10*time.Millisecond)

	s.signal(t, syscall.SIGSTOP)
	start = time.Now()
	require.NoError(t, serving.stop(t), "a hanging Redis does not hold up the end")
	require.Less(t, time.Since(start), defaultGrace+stopSlack+stopLimit)
	s.signal(t, syscall.SIGCONT)
}

// TestWrongPassword wants a Redis that lets nobody in to be an outage, not a flood.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		parsed, err := url.Parse(string(at))
		require.NoError(t, err)
		parsed.User = url.UserPassword("", "guess")
		for _, user := range []*url.Userinfo{url.UserPassword("", "guess"), nil} {
			parsed.User = user
			q, logged := newQueue(t, URL(parsed.String()))
			require.Error(t, q.Ping(t.Context()))
			require.Error(t, q.Enqueue(t.Context(), tickets("default", 1)))
			s := serve(t, q, ServeOptions{}, func(context.Context, string) pipeline.Look { return pipeline.Taken })
			require.Eventually(t, func() bool { return len(logged.with("Redis is away")) == 1 }, patience, time.Millisecond)
			require.NoError(t, s.stop(t))
			require.Len(t, logged.with(""), 1)
			require.NotContains(t, logged.String(), "guess")
		}
		requireNoTasks(t, at)
	})
}

// TestOutageLongerThanTheLease (RUSHES_SOAK=1) stops Redis for 45 s, longer than the
// 30 s after which Asynq gives a ticket up, with a look in progress.
func TestOutageLongerThanTheLease(t *testing.T) {
	t.Parallel()
	soak(t, "RUSHES_SOAK")
	s := startRedis(t)
	q, logged := newQueue(t, s.url)
	all := tickets("default", 4)
	require.NoError(t, q.Enqueue(t.Context(), all))
	begun, release := make(chan struct{}), make(chan struct{})
	var now, most, interrupted atomic.Int64
	var seen looks
	var first atomic.Bool
	serve(t, q, ServeOptions{Concurrency: 1}, func(ctx context.Context, job string) pipeline.Look {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		if first.CompareAndSwap(false, true) {
			close(begun)
			select {
			case <-release:
			case <-ctx.Done():
				interrupted.Add(1)
			}
		}
		return seen.taken(ctx, job)
	})
	<-begun
	s.signal(t, syscall.SIGSTOP)
	<-time.After(45 * time.Second)
	s.signal(t, syscall.SIGCONT)
	require.Eventually(t, func() bool { return len(logged.with("Redis is back")) == 1 }, patience, 10*time.Millisecond)
	<-time.After(3 * time.Second)
	require.Zero(t, seen.count(), "one look at a time, although Asynq gave the slot away")
	close(release)
	require.Eventually(t, func() bool { return seen.count() == 4 || seen.count() == 5 }, patience, 10*time.Millisecond)
	start := time.Now()
	// The first ticket comes once more: Asynq forgot that it was taken.
	require.Eventually(t, func() bool { return seen.at(all[0].JobID) == 2 }, 3*time.Minute, 100*time.Millisecond)
	t.Logf("the ticket of the look in progress was shown again %v after Redis came back", time.Since(start))
	require.Eventually(t, func() bool { lost, err := q.Lost(context.Background(), all); return err == nil && len(lost) == 4 }, patience, 10*time.Millisecond)
	require.EqualValues(t, 1, most.Load())
	require.Zero(t, interrupted.Load())
	require.Len(t, logged.with(""), 2)
}
