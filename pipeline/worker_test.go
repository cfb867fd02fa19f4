package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

// takes returns a handler that works for d, unless its context ends.
func takes(d time.Duration) Handler {
	return func(ctx context.Context, job catalog.Job, _ catalog.Claim) catalog.Attempt {
		var err error
		if !sleep(ctx, d) {
			err = ctx.Err()
		}
		return AttemptOf(err, job, Backoff{}, time.Now())
	}
}

// TestEveryJobEndsOnce has two workers and a queue that loses, doubles and delays
// tickets and is wiped on the way; jobs fail, time out, fan out and are handed back.
func TestEveryJobEndsOnce(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		h.queue.faults = rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		dice := rand.New(rand.NewPCG(3, 4))
		roll := func(n int) int {
			mu.Lock()
			defer mu.Unlock()
			return dice.IntN(n)
		}
		parts := func(job catalog.Job) []catalog.Job {
			var parts []catalog.Job
			for i := range 3 {
				parts = append(parts, catalog.Job{
					Kind: catalog.PartJob, ParentID: job.ID, CaptureURI: job.CaptureURI, CaptureKey: fmt.Sprintf("part %d", i),
					RoomID: job.RoomID, SessionID: job.SessionID, Source: job.Source, Queue: catalog.QueueChunks, MaxAttempts: 50,
				})
			}
			return parts
		}
		run := func(ctx context.Context, job catalog.Job, claim catalog.Claim) catalog.Attempt {
			var err error
			switch roll(6) {
			case 0:
				err = errors.New("a bad day")
			case 1:
				err = &NotReadyError{After: time.Second, Err: errors.New("not yet")}
			case 2:
				if job.Kind == catalog.CaptureJob && job.Attempts < 4 && len(partsOf(h, job.ID)) == 0 {
					return catalog.Attempt{Ending: catalog.EndWaiting, Parts: parts(job)}
				}
			}
			if !sleep(ctx, time.Duration(roll(20))*time.Second) {
				err = context.Cause(ctx)
			}
			return AttemptOf(err, job, Backoff{}, time.Now())
		}
		many := func(c *WorkerConfig) { c.Backoff.Base = time.Second }
		h.worker(run, many)
		h.worker(run, many)
		const n = 24
		var ids []string
		for i := range n {
			ids = append(ids, h.add(fmt.Sprint("capture ", i), func(j *catalog.Job) { j.MaxAttempts = 50 }).ID)
		}
		sleep(t.Context(), 30*time.Second)
		h.queue.wipe()
		for _, id := range ids {
			h.until(id, 30*time.Minute, catalog.JobCompleted)
			ids = append(ids, partsOf(h, id)...)
		}
		require.Greater(t, len(ids), n, "some fanned out")
		for _, id := range ids {
			job := h.job(id)
			require.Equal(t, catalog.JobCompleted, job.State, "%s: %v, %v", job.CaptureKey, job.Error, h.endings(id))
			count := 0
			for _, e := range h.endings(id) {
				if e == catalog.EndCompleted {
					count++
				}
			}
			require.Equal(t, 1, count, "%v", h.endings(id))
		}
	})
}

func partsOf(h *house, id string) []string {
	parts, err := h.store.ListJobs(h.t.Context(), catalog.JobFilter{ParentID: id})
	h.unexpected(err)
	var ids []string
	for _, p := range parts {
		ids = append(ids, p.ID)
	}
	return ids
}

// TestDeadWorker cuts a worker off in the middle of a job: another one has it within
// 45 s, and what the first one says later is not heard.
func TestDeadWorker(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		g := &gate{Jobs: h.store}
		stubborn := make(chan struct{})
		first, heard := h.worker(func(ctx context.Context, _ catalog.Job, _ catalog.Claim) catalog.Attempt {
			<-ctx.Done()
			require.ErrorIs(t, context.Cause(ctx), ErrCatalogAway)
			<-stubborn
			return catalog.Attempt{Ending: catalog.EndCompleted, Result: json.RawMessage(`"late"`)}
		}, func(c *WorkerConfig) { c.Jobs = g })
		id := h.add("capture", nil).ID
		h.until(id, 5*time.Second, catalog.JobRunning)
		g.set(true, false)
		h.worker(func(context.Context, catalog.Job, catalog.Claim) catalog.Attempt {
			return catalog.Attempt{Ending: catalog.EndCompleted, Result: json.RawMessage(`"good"`)}
		}, nil)
		require.Less(t, h.until(id, time.Hour, catalog.JobCompleted), 45*time.Second)
		g.set(false, false)
		close(stubborn)
		synctest.Wait()
		sleep(t.Context(), 10*time.Second)
		require.Zero(t, first.Running())
		require.Equal(t, [3]int{1, 0, 1}, heard.counts())
		require.ErrorIs(t, heard.lost[0], catalog.ErrClaimLost)
		job := h.job(id)
		require.JSONEq(t, `"good"`, string(job.Result))
		require.Equal(t, 1, job.Attempts)
		require.Equal(t, 1, job.Takeovers)
		require.Equal(t, []catalog.Ending{catalog.EndLost, catalog.EndCompleted}, h.endings(id))
	})
}

// TestClaimLost takes a job away from a worker that lives.
func TestClaimLost(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		var attempts atomic.Int32
		_, heard := h.worker(func(ctx context.Context, job catalog.Job, claim catalog.Claim) catalog.Attempt {
			if attempts.Add(1) == 1 {
				<-ctx.Done()
				require.ErrorIs(t, context.Cause(ctx), catalog.ErrClaimLost)
				return catalog.Attempt{Ending: catalog.EndCompleted, Result: json.RawMessage(`"discarded"`)}
			}
			require.Equal(t, job.Fence, claim.Fence)
			return catalog.Attempt{Ending: catalog.EndCompleted, Result: json.RawMessage(`"kept"`)}
		}, nil)
		id := h.add("capture", nil).ID
		h.until(id, 5*time.Second, catalog.JobRunning)
		_, err := h.store.TakeOver(t.Context(), time.Now().Add(time.Hour), 5, 10)
		require.NoError(t, err)
		h.until(id, 30*time.Second, catalog.JobCompleted)
		require.JSONEq(t, `"kept"`, string(h.job(id).Result))
		require.Equal(t, [3]int{2, 1, 1}, heard.counts())
		require.Equal(t, 1, h.job(id).Attempts, "a take-over uses up no attempt")
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		run   Handler
		state catalog.JobState // in which it is canceled
		runAt time.Duration
	}{
		"queued":          {takes(0), catalog.JobQueued, 20 * time.Second},
		"running":         {takes(time.Hour), catalog.JobRunning, 0},
		"ends otherwise":  {cutOff(catalog.EndFailed), catalog.JobRunning, 0},
		"wants to retry":  {cutOff(catalog.EndRetry), catalog.JobRunning, 0},
		"waits for parts": {fanOut(takes(time.Hour)), catalog.JobWaiting, 0},
		"parts are late": {fanOut(func(_ context.Context, j catalog.Job, _ catalog.Claim) catalog.Attempt {
			return AttemptOf(&NotReadyError{After: 20 * time.Second, Err: errors.New("no")}, j, Backoff{}, time.Now())
		}), catalog.JobWaiting, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inHouse(t, func(t *testing.T, h *house) {
				h.worker(tt.run, nil)
				id := h.add("capture", func(j *catalog.Job) { j.RunAt = time.Now().Add(tt.runAt) }).ID
				h.until(id, 5*time.Second, tt.state)
				sleep(t.Context(), 2*time.Second)
				_, err := h.store.CancelJob(t.Context(), id)
				require.NoError(t, err)
				h.until(id, 5*time.Second, catalog.JobCanceled)
				sleep(t.Context(), 40*time.Second)
				require.Equal(t, catalog.JobCanceled, h.job(id).State, "that is final")
				for _, part := range partsOf(h, id) {
					require.Equal(t, catalog.JobCanceled, h.job(part).State)
				}
			})
		})
	}
}

// cutOff returns a handler that blames something else when its context ends.
func cutOff(ending catalog.Ending) Handler {
	return func(ctx context.Context, _ catalog.Job, _ catalog.Claim) catalog.Attempt {
		<-ctx.Done()
		return catalog.Attempt{Ending: ending, Failure: &catalog.AssetError{Kind: "permanent", Message: "torn"}}
	}
}

func fanOut(part Handler) Handler {
	return func(ctx context.Context, job catalog.Job, claim catalog.Claim) catalog.Attempt {
		if job.Kind == catalog.PartJob {
			return part(ctx, job, claim)
		}
		return catalog.Attempt{Ending: catalog.EndWaiting, Parts: []catalog.Job{
			{Kind: catalog.PartJob, ParentID: job.ID, CaptureURI: job.CaptureURI, CaptureKey: "part"},
		}}
	}
}

func TestRetryUntilFailed(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		backoff := Backoff{Random: func(n int64) int64 { return n - 1 }}
		var begins []time.Time
		h.worker(func(_ context.Context, job catalog.Job, _ catalog.Claim) catalog.Attempt {
			begins = append(begins, time.Now())
			return AttemptOf(fmt.Errorf("try %d", job.Attempts), job, backoff, time.Now())
		}, nil)
		id := h.add("capture", func(j *catalog.Job) { j.MaxAttempts = 4 }).ID
		h.until(id, time.Minute, catalog.JobFailed)
		require.Equal(t, &catalog.AssetError{Kind: "transient", Message: "try 4"}, h.job(id).Error)
		require.Equal(t, []catalog.Ending{catalog.EndRetry, catalog.EndRetry, catalog.EndRetry, catalog.EndFailed}, h.endings(id))
		for i, least := range []time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second} {
			require.InDelta(t, least+time.Second, begins[i+1].Sub(begins[i]), float64(1500*time.Millisecond))
		}
	})
}

func TestOneAttemptGoesWrong(t *testing.T) {
	t.Parallel()
	var nobody *catalog.Job
	for name, tt := range map[string]struct {
		run     Handler
		message string
		state   catalog.JobState
	}{
		"panic": {func(context.Context, catalog.Job, catalog.Claim) catalog.Attempt {
			return catalog.Attempt{Ending: catalog.Ending(nobody.ID)}
		}, "panic: runtime error: invalid memory address or nil pointer dereference < rushes/pipeline.TestOneAttemptGoesWrong.func1", catalog.JobFailed},
		"ends its goroutine": {func(context.Context, catalog.Job, catalog.Claim) catalog.Attempt {
			runtime.Goexit()
			return catalog.Attempt{}
		}, "without an answer", catalog.JobFailed},
		"says nothing": {func(context.Context, catalog.Job, catalog.Claim) catalog.Attempt {
			return catalog.Attempt{}
		}, "not valid in the catalog", catalog.JobFailed},
		"result is no JSON": {func(context.Context, catalog.Job, catalog.Claim) catalog.Attempt {
			return catalog.Attempt{Ending: catalog.EndCompleted, Result: json.RawMessage("{")}
		}, "not valid in the catalog", catalog.JobFailed},
		"hangs": {takes(100 * time.Hour), "took too long", catalog.JobFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inHouse(t, func(t *testing.T, h *house) {
				h.worker(tt.run, func(c *WorkerConfig) { c.Timeout = time.Minute })
				id := h.add("capture", func(j *catalog.Job) { j.MaxAttempts = 1 }).ID
				h.until(id, 2*time.Minute, tt.state)
				require.Contains(t, h.job(id).Error.Message, tt.message)
				require.NotContains(t, h.job(id).Error.Message, "\n")
			})
		})
	}
}

// TestCatalogAway takes the catalog away while a job runs.
func TestCatalogAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		hang      bool
		away      time.Duration
		endings   []catalog.Ending
		takeovers int
	}{
		{"cut for a moment", false, 10 * time.Second, []catalog.Ending{catalog.EndCompleted}, 0},
		{"hangs for a moment", true, 10 * time.Second, []catalog.Ending{catalog.EndCompleted}, 0},
		{"hangs longer than a claim lasts", true, 18 * time.Second, []catalog.Ending{catalog.EndHandBack, catalog.EndCompleted}, 0},
		{"cut for good", false, 30 * time.Second, []catalog.Ending{catalog.EndLost, catalog.EndCompleted}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inHouse(t, func(t *testing.T, h *house) {
				g := &gate{Jobs: h.store}
				h.worker(takes(time.Minute), func(c *WorkerConfig) { c.Jobs = g })
				id := h.add("capture", nil).ID
				h.until(id, 5*time.Second, catalog.JobRunning)
				sleep(t.Context(), 500*time.Millisecond) // away from the heartbeats
				g.set(!tt.hang, tt.hang)
				sleep(t.Context(), tt.away)
				g.set(false, false)
				h.until(id, 10*time.Minute, catalog.JobCompleted)
				require.Equal(t, tt.endings, h.endings(id))
				require.Equal(t, 1, h.job(id).Attempts)
				require.Equal(t, tt.takeovers, h.job(id).Takeovers)
			})
		})
	}
}

// TestEndIsWrittenAgain loses calls and answers of EndAttempt.
func TestEndIsWrittenAgain(t *testing.T) {
	t.Parallel()
	for lost := range 4 {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			t.Parallel()
			inHouse(t, func(t *testing.T, h *house) {
				g := &gate{Jobs: h.store, failEnds: lost}
				_, heard := h.worker(takes(time.Second), func(c *WorkerConfig) { c.Jobs = g })
				id := h.add("capture", nil).ID
				h.until(id, 30*time.Second, catalog.JobCompleted)
				sleep(t.Context(), 10*time.Second)
				require.Equal(t, [3]int{1, 1, 0}, heard.counts())
				require.Len(t, heard.trouble, lost)
				require.Equal(t, []catalog.Ending{catalog.EndCompleted}, h.endings(id))
			})
		})
	}
}
