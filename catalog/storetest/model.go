package storetest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/catalog"
)

// testNothingIsLost does what workers, sweepers, queues and people do, in any
// order, and holds the catalog to its promises after each step: no job that is
// to be done is out of everybody's sight, what is over stays over until somebody
// says otherwise, and every attempt is in the log once.
func testNothingIsLost(k *kit) {
	var round atomic.Int64
	rapid.Check(k.T, func(t *rapid.T) {
		w := &world{kit: k, rapid: t, seen: map[string]catalog.Job{}, round: round.Add(1)}
		defer w.leave()
		t.Repeat(map[string]func(*rapid.T){
			"add":      w.add,
			"claim":    w.claim,
			"end":      w.end,
			"dispatch": func(*rapid.T) { w.dispatch() },
			"lose":     w.lose,
			"die":      w.die,
			"cancel":   w.cancel,
			"retry":    w.retry,
			"":         w.check,
		})
	})
}

// world is a run of testNothingIsLost.
type world struct {
	*kit
	rapid  *rapid.T
	round  int64
	jobs   []string // parents
	claims []catalog.Job
	seen   map[string]catalog.Job // as they were last
	free   string                 // the job that somebody has just retried or reset
}

// leave ends all jobs, for the next run over the same catalog.
func (w *world) leave() {
	for _, id := range w.jobs {
		_, _ = w.s.CancelJob(w.ctx(), id) // one that is over is not valid
	}
	w.clock.Add(time.Minute)
	_, err := w.s.TakeOver(w.ctx(), w.clock.Now(), 1, 1000)
	require.NoError(w.kit, err)
}

// room is that of all jobs of this run.
func (w *world) room() string { return fmt.Sprint("w", w.round) }

// all returns the jobs and their parts, the oldest first.
func (w *world) all() []catalog.Job {
	list, err := w.s.ListJobs(w.ctx(), catalog.JobFilter{RoomID: w.room()})
	require.NoError(w.rapid, err)
	slices.Reverse(list)
	return list
}

func (w *world) pick(t *rapid.T) string {
	all := w.all()
	if len(all) == 0 {
		t.Skip("no job")
	}
	return rapid.SampledFrom(ids(all)).Draw(t, "job")
}

func (w *world) add(*rapid.T) {
	if len(w.jobs) == 3 {
		return
	}
	j := jobOf(fmt.Sprint("w", w.round, "-", len(w.jobs)))
	j.MaxAttempts, j.RoomID = 2, w.room()
	got, _, err := w.s.AddJob(w.ctx(), j, true)
	require.NoError(w.rapid, err)
	w.jobs = append(w.jobs, got.ID)
}

func (w *world) claim(t *rapid.T) {
	id := w.pick(t)
	got, err := w.s.ClaimJob(w.ctx(), id, "w")
	if err != nil {
		require.ErrorIs(t, err, catalog.ErrNotClaimable)
		return
	}
	w.claims = append(w.claims, got)
}

func (w *world) end(t *rapid.T) {
	if len(w.claims) == 0 {
		t.Skip("no claim")
	}
	i := rapid.IntRange(0, len(w.claims)-1).Draw(t, "claim")
	j := w.claims[i]
	end := catalog.Attempt{Ending: rapid.SampledFrom([]catalog.Ending{
		catalog.EndCompleted, catalog.EndFailed, catalog.EndRetry, catalog.EndHandBack, catalog.EndWaiting, catalog.EndCanceled,
	}).Draw(t, "ending")}
	switch end.Ending {
	case catalog.EndFailed, catalog.EndRetry:
		end.Failure = failure()
	case catalog.EndWaiting:
		if j.Kind == catalog.PartJob {
			t.Skip("a part has no parts")
		}
		end.Parts = parts(rapid.IntRange(0, 3).Draw(t, "parts"))
		for i := range end.Parts {
			end.Parts[i].RoomID = w.room()
		}
		w.free = j.ID
	}
	_, err := w.s.EndAttempt(w.ctx(), claimOf(j), end)
	if err != nil {
		require.ErrorIs(t, err, catalog.ErrClaimLost)
	}
	w.claims = slices.Delete(w.claims, i, i+1)
}

// lose is a queue that has lost everything, and a sweeper that finds out.
func (w *world) lose(t *rapid.T) {
	w.clock.Add(time.Second)
	waiting, err := w.s.Waiting(w.ctx(), w.clock.Now(), "", 1000)
	require.NoError(t, err)
	var lost []string
	for _, ticket := range waiting {
		lost = append(lost, ticket.JobID)
	}
	require.NoError(t, w.s.Redispatch(w.ctx(), lost))
}

// die is the death of all workers but those that are drawn.
func (w *world) die(t *rapid.T) {
	w.clock.Add(time.Minute)
	for _, j := range w.claims {
		if rapid.Bool().Draw(t, "lives") {
			if _, err := w.s.Heartbeat(w.ctx(), claimOf(j)); err != nil {
				require.ErrorIs(t, err, catalog.ErrClaimLost)
			}
		}
	}
	_, err := w.s.TakeOver(w.ctx(), w.clock.Now(), 1, 1000)
	require.NoError(t, err)
}

func (w *world) cancel(t *rapid.T) {
	id := w.pick(t)
	if _, err := w.s.CancelJob(w.ctx(), id); err != nil {
		require.ErrorIs(t, err, catalog.ErrInvalid)
		require.True(t, w.job(id).State.Final())
	}
}

func (w *world) retry(t *rapid.T) {
	id := w.pick(t)
	if _, err := w.s.RetryJob(w.ctx(), id); err != nil {
		require.ErrorIs(t, err, catalog.ErrInvalid)
		return
	}
	w.free = id
}

func (w *world) check(t *rapid.T) {
	inSight := map[string]bool{}
	for _, id := range w.allTickets() {
		require.False(t, inSight[id], "two tickets of job %s", id)
		inSight[id] = true
	}
	waiting, err := w.s.Waiting(w.ctx(), w.clock.Now().Add(time.Hour), "", 1000)
	require.NoError(t, err)
	for _, ticket := range waiting {
		require.False(t, inSight[ticket.JobID])
		inSight[ticket.JobID] = true
	}
	all := w.all()
	byID := map[string]catalog.Job{}
	for _, j := range all {
		byID[j.ID] = j
	}
	open := map[string]int{}
	for _, p := range all {
		if p.Kind != catalog.PartJob {
			continue
		}
		parent := byID[p.ParentID]
		if !p.State.Final() {
			open[parent.ID]++
		}
		require.NotEqual(t, catalog.JobWaiting, p.State)
		if parent.State.Final() {
			require.True(t, p.State.Final() || p.State == catalog.JobRunning && p.CancelRequested, "part %+v of %s", p, parent.State)
		}
	}
	for _, j := range all {
		require.False(t, j.State == catalog.JobWaiting && open[j.ID] == 0, "job %s waits for nothing", j.ID)
		w.checkJob(t, j, inSight, j.ID == w.free || j.ParentID != "" && j.ParentID == w.free)
	}
	w.free = ""
}

func (w *world) checkJob(t *rapid.T, j catalog.Job, inSight map[string]bool, freed bool) {
	require.Equal(t, j.State == catalog.JobQueued, inSight[j.ID], "job %+v", j)
	require.Equal(t, j.State.Final(), !j.FinishedAt.IsZero())
	require.Equal(t, j.State == catalog.JobFailed, j.State.Final() && j.Error != nil)
	require.True(t, 0 <= j.Attempts && j.Attempts <= j.MaxAttempts)
	old := w.seen[j.ID]
	require.GreaterOrEqual(t, j.Fence, old.Fence)
	if old.State.Final() && !freed {
		require.Equal(t, old, j, "what is over stays over")
	}
	w.seen[j.ID] = j
	if old.UpdatedAt.Equal(j.UpdatedAt) && old.Fence == j.Fence && old.State == j.State {
		return // nothing was done to it
	}
	log, err := w.s.Attempts(w.ctx(), j.ID)
	require.NoError(t, err)
	claims := int64(len(log))
	if j.State == catalog.JobRunning {
		claims++
		require.Equal(t, j.HeartbeatAt.IsZero(), false)
	}
	lost := int64(0)
	for i, a := range log {
		require.True(t, i == 0 || log[i-1].Fence < a.Fence)
		if a.Ending == catalog.EndLost {
			lost++
		}
	}
	require.Equal(t, j.Fence, claims+lost, "every claim and every takeover has raised the fence: %+v", j)
}
