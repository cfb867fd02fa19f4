package queue

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"rushes/pipeline"
)

func TestLostAfterRedisForgot(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		all := append(tickets("default", 450), tickets("chunks", 3)...) // several batches
		require.NoError(t, q.Enqueue(t.Context(), all))
		lost, err := q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Empty(t, lost)
		require.NoError(t, rawClient(t, at).FlushAll(t.Context()).Err())
		lost, err = q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Equal(t, all, lost)

		require.NoError(t, q.Enqueue(t.Context(), all[440:]), "they can be put in again")
		lost, err = q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Equal(t, all[:440], lost)
		names, err := asynq.NewInspectorFromRedisClient(rawClient(t, at)).Queues()
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"chunks", "default", "backfill"}, names, "Asynq's tools see the queues again")
		var seen looks
		serve(t, q, ServeOptions{}, seen.taken)
		require.Eventually(t, func() bool { return seen.count() == 13 }, patience, time.Millisecond)
	})
}

// TestLostReadsTheStatesOfAsynq brings a ticket into each state, by Asynq itself
// where it can.
func TestLostReadsTheStatesOfAsynq(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		bring func(t *testing.T, q *Queue, client redis.UniversalClient, id string)
		held  bool
		gone  bool // nothing is left afterwards
	}{
		"pending":   {func(*testing.T, *Queue, redis.UniversalClient, string) {}, true, false},
		"archived":  {archive, false, true},
		"completed": {complete, false, true},
		"active": {func(t *testing.T, _ *Queue, client redis.UniversalClient, _ string) {
			t.Helper()
			activate(t, client, time.Now().Add(30*time.Second))
		}, true, false},
		"active, lease over by little": {func(t *testing.T, _ *Queue, client redis.UniversalClient, _ string) {
			t.Helper()
			activate(t, client, time.Now().Add(-2*time.Second))
		}, true, false},
		"active, worker gone": {func(t *testing.T, _ *Queue, client redis.UniversalClient, _ string) {
			t.Helper()
			activate(t, client, time.Now().Add(-time.Minute))
		}, false, false},
		"pending, list evicted": {func(t *testing.T, _ *Queue, client redis.UniversalClient, _ string) {
			t.Helper()
			require.NoError(t, client.Del(t.Context(), "asynq:{default}:pending").Err())
		}, false, true},
		"scheduled": {func(t *testing.T, q *Queue, client redis.UniversalClient, id string) {
			t.Helper()
			require.NoError(t, client.FlushAll(t.Context()).Err())
			_, err := q.asynq.EnqueueContext(t.Context(), asynq.NewTask("look", nil), asynq.TaskID(id), asynq.ProcessIn(time.Hour))
			require.NoError(t, err)
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachBroker(t, func(t *testing.T, at URL) {
				q, _ := newQueue(t, at)
				client := rawClient(t, at)
				all := tickets("default", 1)
				require.NoError(t, q.Enqueue(t.Context(), all))
				tc.bring(t, q, client, all[0].ID)
				lost, err := q.Lost(t.Context(), all)
				require.NoError(t, err)
				require.Equal(t, tc.held, len(lost) == 0)
				if !tc.gone {
					return
				}
				requireNoTasks(t, at)
				n, err := client.Exists(t.Context(), "asynq:{default}:archived", "asynq:{default}:completed").Result()
				require.NoError(t, err)
				require.Zero(t, n)
				require.NoError(t, q.Enqueue(t.Context(), all))
				var seen looks
				serve(t, q, ServeOptions{}, seen.taken)
				require.Eventually(t, func() bool { return seen.count() == 1 }, patience, time.Millisecond, "nothing blocks the id")
			})
		})
	}
}

func archive(t *testing.T, _ *Queue, client redis.UniversalClient, id string) {
	t.Helper()
	require.NoError(t, asynq.NewInspectorFromRedisClient(client).ArchiveTask("default", id))
}

// complete lets a server of Asynq complete the ticket under a retention that only
// another tool would give it.
func complete(t *testing.T, q *Queue, client redis.UniversalClient, id string) {
	t.Helper()
	require.NoError(t, client.FlushAll(t.Context()).Err())
	_, err := q.asynq.EnqueueContext(t.Context(), asynq.NewTask("look", []byte(`{"v":1,"job":"j"}`)), asynq.TaskID(id), asynq.Retention(time.Hour))
	require.NoError(t, err)
	s := serve(t, q, ServeOptions{}, func(context.Context, string) pipeline.Look { return pipeline.Taken })
	require.Eventually(t, func() bool {
		n, err := client.ZCard(context.Background(), "asynq:{default}:completed").Result()
		return err == nil && n == 1
	}, patience, time.Millisecond)
	require.NoError(t, s.stop(t))
}

// activate does what Asynq's script does when a worker takes the ticket.
func activate(t *testing.T, client redis.UniversalClient, lease time.Time) {
	t.Helper()
	id, err := client.RPopLPush(t.Context(), "asynq:{default}:pending", "asynq:{default}:active").Result()
	require.NoError(t, err)
	require.NoError(t, client.HSet(t.Context(), "asynq:{default}:t:"+id, "state", "active").Err())
	require.NoError(t, client.ZAdd(t.Context(), "asynq:{default}:lease", redis.Z{Score: float64(lease.Unix()), Member: id}).Err())
}

// TestDepthAgreesWithAsynq holds the keys that Depth and Lost read against what
// Asynq itself makes of them, with a look in progress and one put back.
func TestDepthAgreesWithAsynq(t *testing.T) {
	t.Parallel()
	eachBroker(t, func(t *testing.T, at URL) {
		q, _ := newQueue(t, at)
		q.pace.later = time.Hour
		all := tickets("default", 5)
		require.NoError(t, q.Enqueue(t.Context(), all))
		begun := make(chan struct{})
		var shown int
		serve(t, q, ServeOptions{Concurrency: 1}, func(ctx context.Context, _ string) pipeline.Look {
			if shown++; shown > 1 {
				close(begun)
				<-ctx.Done()
			}
			return pipeline.Later
		})
		<-begun
		client := rawClient(t, at)
		depths, err := q.Depth(t.Context())
		require.NoError(t, err)
		depth := depths[1]
		require.Equal(t, Depth{Queue: "default", Waiting: 3, PutBack: 1, Looking: 1, Oldest: depth.Oldest}, depth)
		inspector := asynq.NewInspectorFromRedisClient(client)
		for i, state := range []asynq.TaskState{asynq.TaskStateRetry, asynq.TaskStateActive, asynq.TaskStatePending, asynq.TaskStatePending} {
			info, err := inspector.GetTaskInfo("default", all[i].ID)
			require.NoError(t, err)
			require.Equal(t, state, info.State)
		}
		lease, err := client.ZScore(t.Context(), "asynq:{default}:lease", all[1].ID).Result()
		require.NoError(t, err)
		require.WithinDuration(t, time.Now().Add(30*time.Second), time.Unix(int64(lease), 0), 10*time.Second)
		since, err := client.HGet(t.Context(), "asynq:{default}:t:"+all[2].ID, "pending_since").Result()
		require.NoError(t, err)
		ns, err := strconv.ParseInt(since, 10, 64)
		require.NoError(t, err)
		require.InDelta(t, time.Since(time.Unix(0, ns)).Seconds(), depth.Oldest.Seconds(), 1)
		lost, err := q.Lost(t.Context(), all)
		require.NoError(t, err)
		require.Empty(t, lost)
	})
}
