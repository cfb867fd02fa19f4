package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

// testClaimAtOnce: of many that claim a job at once, over several handles,
// exactly one gets it.
func testClaimAtOnce(k *kit) {
	const workers, jobs = 12, 8
	handles := []Store{k.s, k.open(), k.open()}
	for i := range jobs {
		j := k.add(fmt.Sprint("c", i))
		var wins atomic.Int64
		var winner atomic.Value
		var wg sync.WaitGroup
		start := make(chan struct{})
		for w := range workers {
			wg.Go(func() {
				<-start
				name := fmt.Sprint("w", w)
				got, err := handles[w%len(handles)].ClaimJob(k.ctx(), j.ID, name)
				switch {
				case err == nil:
					wins.Add(1)
					winner.Store(got)
				case !errors.Is(err, catalog.ErrNotClaimable):
					k.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		require.Equal(k, int64(1), wins.Load())
		now := k.job(j.ID)
		require.Equal(k, winner.Load(), now)
		require.Equal(k, []any{int64(1), 1, catalog.JobRunning}, []any{now.Fence, now.Attempts, now.State})
		require.Empty(k, k.due())
	}
}

func testClaim(k *kit) {
	j := k.add("c")
	k.clock.Add(time.Second)
	got, err := k.s.ClaimJob(k.ctx(), j.ID, "host-1")
	require.NoError(k, err)
	want := j
	want.State, want.Fence, want.Attempts, want.Worker = catalog.JobRunning, 1, 1, "host-1"
	want.HeartbeatAt, want.UpdatedAt = k.clock.Now(), k.clock.Now()
	require.Equal(k, want, got)
	require.Equal(k, want, k.job(j.ID))
	require.Empty(k, k.tickets(), "the claim takes the ticket off the outbox")

	_, err = k.s.ClaimJob(k.ctx(), j.ID, "host-2")
	require.ErrorIs(k, err, catalog.ErrNotClaimable)

	k.clock.Add(time.Second)
	cancel, err := k.s.Heartbeat(k.ctx(), claimOf(got))
	require.NoError(k, err)
	require.False(k, cancel)
	require.Equal(k, k.clock.Now(), k.job(j.ID).HeartbeatAt)
	k.clock.Add(time.Second)
	require.NoError(k, k.s.UpdateJob(k.ctx(), claimOf(got), "render", 512))
	now := k.job(j.ID)
	require.Equal(k, []any{"render", 512, k.clock.Now(), k.clock.Now()}, []any{now.Stage, now.Progress, now.HeartbeatAt, now.UpdatedAt})
	for _, permille := range []int{-1, 1001} {
		require.ErrorIs(k, k.s.UpdateJob(k.ctx(), claimOf(got), "x", permille), catalog.ErrInvalid)
	}

	// Its time must have come.
	k.end(now, catalog.Attempt{Ending: catalog.EndRetry, Failure: &catalog.AssetError{Kind: "transient"}, RunAt: k.clock.Now().Add(time.Minute)})
	_, err = k.s.ClaimJob(k.ctx(), j.ID, "w")
	require.ErrorIs(k, err, catalog.ErrNotClaimable)
	k.clock.Add(time.Minute)
	got = k.claim(j.ID)
	require.Nil(k, got.Error)
	require.Equal(k, []any{int64(2), 2, ""}, []any{got.Fence, got.Attempts, got.Stage})
}

func testSeize(k *kit) {
	failure := &catalog.AssetError{Kind: "bad-input", Message: "m"}
	for name, bring := range map[string]func(j catalog.Job) catalog.Job{
		"queued":  func(j catalog.Job) catalog.Job { return j },
		"running": func(j catalog.Job) catalog.Job { return k.claim(j.ID) },
		"completed": func(j catalog.Job) catalog.Job {
			return k.end(k.claim(j.ID), catalog.Attempt{Ending: catalog.EndCompleted})
		},
		"failed": func(j catalog.Job) catalog.Job {
			return k.end(k.claim(j.ID), catalog.Attempt{Ending: catalog.EndFailed, Failure: failure})
		},
		"canceled": func(j catalog.Job) catalog.Job {
			j, err := k.s.CancelJob(k.ctx(), j.ID)
			require.NoError(k, err)
			return j
		},
		"waiting": func(j catalog.Job) catalog.Job {
			return k.end(k.claim(j.ID), catalog.Attempt{Ending: catalog.EndWaiting, Parts: []catalog.Job{{CaptureKey: "1"}}})
		},
	} {
		before := bring(k.add(name))
		require.Equal(k, catalog.JobState(name), before.State)
		got, err := k.s.SeizeJob(k.ctx(), before.ID, "local")
		require.NoError(k, err)
		require.Equal(k, got, k.job(before.ID))
		require.Equal(k, []any{catalog.JobRunning, before.Fence + 1, before.Attempts + 1, "local"},
			[]any{got.State, got.Fence, got.Attempts, got.Worker}, name)
		require.Nil(k, got.Error)
		require.Zero(k, got.FinishedAt)
		require.NotContains(k, k.due(), got.ID, name)
		if name == "running" {
			require.Equal(k, []catalog.Ending{catalog.EndLost}, k.endings(got.ID))
		}
		_, err = k.s.Heartbeat(k.ctx(), claimOf(before))
		require.ErrorIs(k, err, catalog.ErrClaimLost, name)
		end := k.end(got, catalog.Attempt{Ending: catalog.EndCompleted})
		require.Equal(k, catalog.JobCompleted, end.State)
	}
	require.Empty(k, k.due(), "the parts of the waiting one are canceled with its end")
}

// testFences: a claim that was lost changes nothing any more, in no way.
func testFences(k *kit) {
	old := k.begin("c")
	k.clock.Add(time.Hour)
	taken, err := k.s.TakeOver(k.ctx(), k.clock.Now(), 3, 10)
	require.NoError(k, err)
	require.Len(k, taken, 1)
	check := func(claim catalog.Claim) {
		before := k.job(old.ID)
		due := k.due()
		_, err := k.s.Heartbeat(k.ctx(), claim)
		require.ErrorIs(k, err, catalog.ErrClaimLost)
		require.ErrorIs(k, k.s.UpdateJob(k.ctx(), claim, "x", 7), catalog.ErrClaimLost)
		require.ErrorIs(k, k.s.ReservePlace(k.ctx(), claim, "a", "p"), catalog.ErrClaimLost)
		_, err = k.s.RegisterAssets(k.ctx(), claim, []catalog.Asset{completed("a")})
		require.ErrorIs(k, err, catalog.ErrClaimLost)
		for _, end := range []catalog.Attempt{
			{Ending: catalog.EndCompleted}, {Ending: catalog.EndFailed, Failure: &catalog.AssetError{}},
			{Ending: catalog.EndRetry, Failure: &catalog.AssetError{}}, {Ending: catalog.EndHandBack},
			{Ending: catalog.EndCanceled}, {Ending: catalog.EndWaiting, Parts: []catalog.Job{{CaptureKey: "1"}}},
		} {
			_, err = k.s.EndAttempt(k.ctx(), claim, end)
			require.ErrorIs(k, err, catalog.ErrClaimLost, end.Ending)
		}
		require.Equal(k, before, k.job(old.ID))
		require.Equal(k, due, k.due())
	}
	check(claimOf(old))
	next := k.claim(old.ID)
	require.Equal(k, old.Fence+2, next.Fence, "one for the takeover, one for the claim")
	check(claimOf(old))
	k.end(next, catalog.Attempt{Ending: catalog.EndCompleted})
	check(claimOf(old))
	future := claimOf(next)
	future.Fence++
	check(future)
	_, err = k.s.AssetByKey(k.ctx(), "a")
	require.ErrorIs(k, err, catalog.ErrNotFound)
	strays, err := k.s.Strays(k.ctx(), 10)
	require.NoError(k, err)
	require.Empty(k, strays)
	parts, err := k.s.ListJobs(k.ctx(), catalog.JobFilter{ParentID: old.ID})
	require.NoError(k, err)
	require.Empty(k, parts)
}
