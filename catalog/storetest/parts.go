package storetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

// parts returns n parts, as a job gives them when it ends its attempt.
func parts(n int) []catalog.Job {
	out := make([]catalog.Job, 0, n)
	for i := range n {
		out = append(out, catalog.Job{
			CaptureKey: fmt.Sprint("chunk-", i), CaptureURI: "c", Options: json.RawMessage(fmt.Sprintf(`{"chunk":%d}`, i)), MaxAttempts: 2,
		})
	}
	return out
}

// fanOut begins a job, lets it wait for n parts and returns it and them.
func (k *kit) fanOut(key string, n int) (catalog.Job, []catalog.Job) {
	k.Helper()
	parent := k.end(k.begin(key), catalog.Attempt{Ending: catalog.EndWaiting, Parts: parts(n)})
	require.Equal(k, catalog.JobWaiting, parent.State)
	return parent, k.partsOf(parent.ID)
}

// partsOf returns the parts of a job in their order.
func (k *kit) partsOf(id string) []catalog.Job {
	k.Helper()
	list, err := k.s.ListJobs(k.ctx(), catalog.JobFilter{ParentID: id})
	require.NoError(k, err)
	out := make([]catalog.Job, len(list))
	for i, j := range list {
		out[len(list)-1-i] = j
	}
	return out
}

func testFanOut(k *kit) {
	parent, list := k.fanOut("c", 3)
	require.Equal(k, []any{0, 1}, []any{parent.Attempts, int(parent.Fence)})
	require.Len(k, list, 3)
	for i, p := range list {
		require.Equal(k, catalog.Job{
			ID: p.ID, Kind: catalog.PartJob, ParentID: parent.ID, CaptureKey: fmt.Sprint("chunk-", i), CaptureURI: "c",
			Options: json.RawMessage(fmt.Sprintf(`{"chunk":%d}`, i)), Queue: catalog.QueueChunks, MaxAttempts: 2,
			State: catalog.JobQueued, RunAt: k.clock.Now(), CreatedAt: k.clock.Now(), UpdatedAt: k.clock.Now(), Defects: []catalog.Defect{},
		}, p)
	}
	require.Equal(k, ids(list), k.due())
	_, err := k.s.ClaimJob(k.ctx(), parent.ID, "w")
	require.ErrorIs(k, err, catalog.ErrNotClaimable)

	// A second job has parts of the same names.
	_, others := k.fanOut("d", 3)
	require.Len(k, others, 3)

	k.end(k.claim(list[0].ID), catalog.Attempt{Ending: catalog.EndCompleted, Result: json.RawMessage(`"first"`)})
	k.end(k.claim(list[1].ID), catalog.Attempt{Ending: catalog.EndRetry, Failure: failure()})
	require.Equal(k, catalog.JobWaiting, k.job(parent.ID).State)
	k.end(k.claim(list[2].ID), catalog.Attempt{Ending: catalog.EndCompleted})
	require.Equal(k, catalog.JobWaiting, k.job(parent.ID).State)
	k.clock.Add(time.Second)
	k.end(k.claim(list[1].ID), catalog.Attempt{Ending: catalog.EndRetry, Failure: failure()}) // its last
	require.Equal(k, catalog.JobFailed, k.job(list[1].ID).State)
	now := k.job(parent.ID)
	require.Equal(k, []any{catalog.JobQueued, k.clock.Now()}, []any{now.State, now.RunAt})
	require.Contains(k, k.due(), parent.ID)
	require.JSONEq(k, `"first"`, string(k.job(list[0].ID).Result))

	// A part has no parts.
	p := k.claim(others[0].ID)
	_, err = k.s.EndAttempt(k.ctx(), claimOf(p), catalog.Attempt{Ending: catalog.EndWaiting, Parts: parts(1)})
	require.ErrorIs(k, err, catalog.ErrInvalid)

}

// testFanInAtOnce: parts that end at the same time, over several handles, give
// their parent its turn exactly once.
func testFanInAtOnce(k *kit) {
	handles := []Store{k.s, k.open(), k.open()}
	endings := []catalog.Attempt{
		{Ending: catalog.EndCompleted}, {Ending: catalog.EndFailed, Failure: failure()}, {Ending: catalog.EndCanceled},
	}
	for round := range 8 {
		parent, list := k.fanOut(fmt.Sprint("c", round), 6)
		for i, p := range list {
			list[i] = k.claim(p.ID)
		}
		rand.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i, p := range list {
			wg.Go(func() {
				<-start
				if _, err := handles[i%len(handles)].EndAttempt(k.ctx(), claimOf(p), endings[i%len(endings)]); err != nil {
					k.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		require.Equal(k, catalog.JobQueued, k.job(parent.ID).State)
		require.Equal(k, []string{parent.ID}, k.due())
		k.end(k.claim(parent.ID), catalog.Attempt{Ending: catalog.EndCompleted})
	}
}

// testPartsAgain: a job that fans out again keeps what is completed, queues
// again what has failed and adds what is missing.
func testPartsAgain(k *kit) {
	parent, list := k.fanOut("c", 4)
	k.end(k.claim(list[0].ID), catalog.Attempt{Ending: catalog.EndCompleted, Result: json.RawMessage("1")})
	k.end(k.claim(list[1].ID), catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()})
	_, err := k.s.CancelJob(k.ctx(), list[2].ID)
	require.NoError(k, err)
	k.end(k.claim(list[3].ID), catalog.Attempt{Ending: catalog.EndCompleted})
	again := parts(5)
	again[1].Options = json.RawMessage(`{"chunk":1,"slower":true}`)
	parent = k.end(k.claim(parent.ID), catalog.Attempt{Ending: catalog.EndWaiting, Parts: again})
	require.Equal(k, catalog.JobWaiting, parent.State)
	now := k.partsOf(parent.ID)
	require.Len(k, now, 5)
	require.Equal(k, ids(list), ids(now[:4]))
	require.Equal(k, []catalog.JobState{catalog.JobCompleted, catalog.JobQueued, catalog.JobQueued, catalog.JobCompleted, catalog.JobQueued},
		k.states(ids(now)...))
	require.Equal(k, []any{0, (*catalog.AssetError)(nil)}, []any{now[1].Attempts, now[1].Error})
	require.Equal(k, again[1].Options, now[1].Options)
	require.ElementsMatch(k, []string{now[1].ID, now[2].ID, now[4].ID}, k.due())
	for _, p := range []catalog.Job{now[1], now[2], now[4]} {
		k.end(k.claim(p.ID), catalog.Attempt{Ending: catalog.EndCompleted})
	}
	// When all are over already, the job does not wait.
	parent = k.end(k.claim(parent.ID), catalog.Attempt{Ending: catalog.EndWaiting, Parts: again})
	require.Equal(k, catalog.JobQueued, parent.State)
	require.Equal(k, []string{parent.ID}, k.due())
	// The end of the job is the end of its parts.
	more := append(again, catalog.Job{CaptureKey: "more"})
	k.end(k.claim(parent.ID), catalog.Attempt{Ending: catalog.EndWaiting, Parts: more})
	got, err := k.s.SeizeJob(k.ctx(), parent.ID, "local")
	require.NoError(k, err)
	k.end(got, catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()})
	now = k.partsOf(parent.ID)
	require.Equal(k, catalog.JobCanceled, now[5].State)
	require.Equal(k, catalog.JobCompleted, now[4].State)
	require.Empty(k, k.due())
}

func testCancel(k *kit) {
	queued := k.add("queued")
	got, err := k.s.CancelJob(k.ctx(), queued.ID)
	require.NoError(k, err)
	require.Equal(k, got, k.job(queued.ID))
	require.Equal(k, []any{catalog.JobCanceled, k.clock.Now()}, []any{got.State, got.FinishedAt})
	require.Empty(k, k.due())
	_, err = k.s.ClaimJob(k.ctx(), queued.ID, "w")
	require.ErrorIs(k, err, catalog.ErrNotClaimable)

	// A running job is asked to stop. However its attempt ends then, unless the
	// work is done, it is canceled.
	for _, end := range []catalog.Attempt{
		{Ending: catalog.EndCanceled}, {Ending: catalog.EndRetry, Failure: failure()}, {Ending: catalog.EndHandBack},
		{Ending: catalog.EndWaiting, Parts: parts(2)},
	} {
		j := k.begin("running " + string(end.Ending))
		got, err := k.s.CancelJob(k.ctx(), j.ID)
		require.NoError(k, err)
		require.Equal(k, []any{catalog.JobRunning, true}, []any{got.State, got.CancelRequested})
		cancel, err := k.s.Heartbeat(k.ctx(), claimOf(j))
		require.NoError(k, err)
		require.True(k, cancel)
		got = k.end(j, end)
		require.Equal(k, catalog.JobCanceled, got.State)
		require.False(k, got.CancelRequested)
		require.Equal(k, []catalog.Ending{catalog.EndCanceled}, k.endings(j.ID))
		require.Empty(k, k.partsOf(j.ID))
		require.Empty(k, k.due())
	}
	j := k.begin("done")
	_, err = k.s.CancelJob(k.ctx(), j.ID)
	require.NoError(k, err)
	require.Equal(k, catalog.JobCompleted, k.end(j, catalog.Attempt{Ending: catalog.EndCompleted}).State)

	dead := k.begin("dead")
	_, err = k.s.CancelJob(k.ctx(), dead.ID)
	require.NoError(k, err)
	k.clock.Add(time.Minute)
	taken, err := k.s.TakeOver(k.ctx(), k.clock.Now(), 3, 10)
	require.NoError(k, err)
	require.Equal(k, []string{dead.ID}, ids(taken))
	require.Equal(k, catalog.JobCanceled, k.job(dead.ID).State)

	for _, over := range []string{queued.ID, j.ID, dead.ID} {
		before := k.job(over)
		_, err = k.s.CancelJob(k.ctx(), over)
		require.ErrorIs(k, err, catalog.ErrInvalid)
		require.Equal(k, before, k.job(over))
	}
}

func testCancelParts(k *kit) {
	parent, list := k.fanOut("c", 4)
	k.end(k.claim(list[0].ID), catalog.Attempt{Ending: catalog.EndCompleted})
	running := k.claim(list[1].ID)
	got, err := k.s.CancelJob(k.ctx(), parent.ID)
	require.NoError(k, err)
	require.Equal(k, catalog.JobCanceled, got.State)
	require.Equal(k, []catalog.JobState{catalog.JobCompleted, catalog.JobRunning, catalog.JobCanceled, catalog.JobCanceled}, k.states(ids(list)...))
	require.Empty(k, k.due())
	cancel, err := k.s.Heartbeat(k.ctx(), claimOf(running))
	require.NoError(k, err)
	require.True(k, cancel)
	k.end(running, catalog.Attempt{Ending: catalog.EndHandBack})
	require.Equal(k, []catalog.JobState{catalog.JobCanceled, catalog.JobCanceled}, k.states(running.ID, parent.ID))
	require.Empty(k, k.due())

	// The parts being canceled one by one is their end too.
	parent, list = k.fanOut("d", 2)
	for _, p := range list {
		_, err := k.s.CancelJob(k.ctx(), p.ID)
		require.NoError(k, err)
	}
	require.Equal(k, catalog.JobQueued, k.job(parent.ID).State)
	require.Equal(k, []string{parent.ID}, k.due())
}

func testRetry(k *kit) {
	bring := map[catalog.JobState]func(j catalog.Job) catalog.Job{
		catalog.JobQueued:  func(j catalog.Job) catalog.Job { return j },
		catalog.JobRunning: func(j catalog.Job) catalog.Job { return k.claim(j.ID) },
		catalog.JobWaiting: func(j catalog.Job) catalog.Job {
			return k.end(k.claim(j.ID), catalog.Attempt{Ending: catalog.EndWaiting, Parts: parts(1)})
		},
		catalog.JobCompleted: func(j catalog.Job) catalog.Job {
			return k.end(k.claim(j.ID), catalog.Attempt{Ending: catalog.EndCompleted})
		},
		catalog.JobFailed: func(j catalog.Job) catalog.Job {
			return k.end(k.claim(j.ID), catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()})
		},
		catalog.JobCanceled: func(j catalog.Job) catalog.Job {
			return k.end(k.claim(j.ID), catalog.Attempt{Ending: catalog.EndCanceled})
		},
	}
	for state, to := range bring {
		j := to(k.add(string(state)))
		require.Equal(k, state, j.State)
		k.clock.Add(time.Second)
		got, err := k.s.RetryJob(k.ctx(), j.ID)
		if state != catalog.JobFailed && state != catalog.JobCanceled {
			require.ErrorIs(k, err, catalog.ErrInvalid)
			require.Equal(k, j, k.job(j.ID))
			continue
		}
		require.NoError(k, err)
		require.Equal(k, got, k.job(j.ID))
		require.Equal(k, []any{catalog.JobQueued, 0, 0, k.clock.Now(), j.Fence}, []any{got.State, got.Attempts, got.Takeovers, got.RunAt, got.Fence})
		require.Nil(k, got.Error)
		require.Zero(k, got.FinishedAt)
		require.Contains(k, k.due(), j.ID)
		require.Len(k, k.endings(j.ID), 1, "the log stays")
		require.Greater(k, k.claim(j.ID).Fence, j.Fence)
	}
	_, list := k.fanOut("parent", 1)
	k.end(k.claim(list[0].ID), catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()})
	_, err := k.s.RetryJob(k.ctx(), list[0].ID)
	require.ErrorIs(k, err, catalog.ErrInvalid)

	parent, list := k.fanOut("retried with its part", 1)
	k.end(k.claim(list[0].ID), catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()})
	k.end(k.claim(parent.ID), catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()})
	_, err = k.s.RetryJob(k.ctx(), parent.ID)
	require.NoError(k, err)
	part := k.job(list[0].ID)
	require.Equal(k, catalog.JobCanceled, part.State, "it is tried again with its parent")
	require.Nil(k, part.Error)
}
