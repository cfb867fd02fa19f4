package storetest

import (
	"encoding/json"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func failure() *catalog.AssetError {
	return &catalog.AssetError{Kind: "transient", Message: "disk full"}
}

func testEndings(k *kit) {
	in := time.Minute
	for name, c := range map[string]struct {
		end      catalog.Attempt
		attempts int // that the job has
		state    catalog.JobState
		left     int // attempts counted afterwards
		logged   catalog.Ending
	}{
		"completed": {catalog.Attempt{Ending: catalog.EndCompleted, Defects: []catalog.Defect{{Kind: "torn", Detail: "tail"}}, Result: json.RawMessage(`{"x":1}`)}, 5, catalog.JobCompleted, 1, catalog.EndCompleted},
		"failed":    {catalog.Attempt{Ending: catalog.EndFailed, Failure: failure()}, 5, catalog.JobFailed, 1, catalog.EndFailed},
		"canceled":  {catalog.Attempt{Ending: catalog.EndCanceled}, 5, catalog.JobCanceled, 1, catalog.EndCanceled},
		"retry":     {catalog.Attempt{Ending: catalog.EndRetry, Failure: failure(), RunAt: k.clock.Now().Add(in)}, 5, catalog.JobQueued, 1, catalog.EndRetry},
		"last":      {catalog.Attempt{Ending: catalog.EndRetry, Failure: failure(), RunAt: k.clock.Now().Add(in)}, 1, catalog.JobFailed, 1, catalog.EndFailed},
		"hand-back": {catalog.Attempt{Ending: catalog.EndHandBack, RunAt: k.clock.Now().Add(in)}, 1, catalog.JobQueued, 0, catalog.EndHandBack},
		"because":   {catalog.Attempt{Ending: catalog.EndHandBack, Failure: failure(), RunAt: k.clock.Now().Add(in)}, 1, catalog.JobQueued, 0, catalog.EndHandBack},
		"no parts":  {catalog.Attempt{Ending: catalog.EndWaiting}, 1, catalog.JobQueued, 0, catalog.EndWaiting},
	} {
		add := jobOf(name)
		add.MaxAttempts = c.attempts
		j, _, err := k.s.AddJob(k.ctx(), add, true)
		require.NoError(k, err)
		j = k.claim(j.ID)
		require.NoError(k, k.s.UpdateJob(k.ctx(), claimOf(j), "render", 400))
		c.end.Usage = catalog.Usage{CPU: 3 * time.Second, Memory: 1 << 31}
		got := k.end(j, c.end)
		require.Equal(k, []any{c.state, c.left, j.Fence}, []any{got.State, got.Attempts, got.Fence}, name)
		require.Equal(k, c.end.Failure, got.Error, name)
		require.Equal(k, c.end.Result, got.Result, name)
		if c.end.Defects != nil {
			require.Equal(k, c.end.Defects, got.Defects)
		}
		if c.state == catalog.JobCompleted {
			require.Equal(k, catalog.ProgressDone, got.Progress)
		} else {
			require.Equal(k, 400, got.Progress, name)
		}
		if c.state.Final() {
			require.Equal(k, k.clock.Now(), got.FinishedAt)
			require.NotContains(k, k.allTickets(), j.ID, name)
		} else {
			require.Zero(k, got.FinishedAt)
			require.Contains(k, k.allTickets(), j.ID, name)
			due := k.clock.Now()
			if !c.end.RunAt.IsZero() {
				due = c.end.RunAt
				require.NotContains(k, k.due(), j.ID, name)
			}
			require.Equal(k, due, got.RunAt)
		}
		log, err := k.s.Attempts(k.ctx(), j.ID)
		require.NoError(k, err)
		require.Equal(k, []catalog.AttemptRecord{{
			Fence: j.Fence, Worker: "w", Stage: "render", Ending: c.logged, Failure: c.end.Failure,
			StartedAt: k.clock.Now(), EndedAt: k.clock.Now(), Usage: c.end.Usage,
		}}, log, name)
	}
}

// allTickets returns the jobs of all tickets of the outbox, also of those that
// are not due for a long time.
func (k *kit) allTickets() []string {
	k.Helper()
	k.clock.Add(100 * time.Hour)
	defer k.clock.Add(-100 * time.Hour)
	return k.due()
}

// testEndingTwice: whoever does not know whether the end was written may write
// it again.
func testEndingTwice(k *kit) {
	for _, end := range []catalog.Attempt{
		{Ending: catalog.EndCompleted}, {Ending: catalog.EndRetry, Failure: failure()}, {Ending: catalog.EndHandBack},
		{Ending: catalog.EndWaiting, Parts: []catalog.Job{{CaptureKey: "1"}}},
	} {
		j := k.begin(string(end.Ending))
		first := k.end(j, end)
		k.clock.Add(time.Second)
		require.Equal(k, first, k.end(j, end))
		require.Len(k, k.endings(j.ID), 1)
		k.clock.Add(-time.Second)
	}
	// Also when the next attempt runs already.
	j := k.begin("c")
	k.end(j, catalog.Attempt{Ending: catalog.EndHandBack})
	next := k.claim(j.ID)
	require.Equal(k, next, k.end(j, catalog.Attempt{Ending: catalog.EndHandBack}))
	require.Equal(k, catalog.JobRunning, k.job(j.ID).State)
}

func testEndingRefusals(k *kit) {
	j := k.begin("c")
	for _, end := range []catalog.Attempt{
		{}, {Ending: "x"}, {Ending: catalog.EndLost}, {Ending: catalog.EndFailed}, {Ending: catalog.EndRetry},
		{Ending: catalog.EndCompleted, Failure: failure()}, {Ending: catalog.EndWaiting, Failure: failure()},
		{Ending: catalog.EndCompleted, Parts: []catalog.Job{{CaptureKey: "1"}}},
		{Ending: catalog.EndCompleted, Result: json.RawMessage("{")},
		{Ending: catalog.EndHandBack, Result: json.RawMessage("{}")},
		{Ending: catalog.EndWaiting, Parts: []catalog.Job{{CaptureKey: "1"}, {}}},
	} {
		_, err := k.s.EndAttempt(k.ctx(), claimOf(j), end)
		require.ErrorIs(k, err, catalog.ErrInvalid)
	}
	require.Equal(k, j, k.job(j.ID))
	require.Empty(k, k.tickets())
	require.Empty(k, k.endings(j.ID))
}
