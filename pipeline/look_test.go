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

// bare starts a worker that nobody shows tickets but the test.
func (h *house) bare(run Handler, change func(*WorkerConfig)) *Worker {
	h.t.Helper()
	h.queue.deaf.Store(true)
	w, _ := h.worker(run, change)
	return w
}

func TestLookNeedsNobody(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		g := &gate{Jobs: h.store}
		w := h.bare(takes(time.Minute), func(c *WorkerConfig) { c.Jobs = g })
		require.Equal(t, Taken, w.Look(t.Context(), "0123456789abcdef01234567"), "no such job")
		late := h.add("late", func(j *catalog.Job) { j.RunAt = time.Now().Add(time.Minute) })
		require.Equal(t, Taken, w.Look(t.Context(), late.ID))
		require.Equal(t, catalog.JobQueued, h.job(late.ID).State)
		skewed := h.add("skewed", func(j *catalog.Job) { j.RunAt = time.Now().Add(time.Second) })
		require.Equal(t, Taken, w.Look(t.Context(), skewed.ID))
		require.Equal(t, catalog.JobRunning, h.job(skewed.ID).State, "clocks differ a little")
		require.Equal(t, Taken, w.Look(t.Context(), skewed.ID), "it runs already")
		require.Equal(t, 1, w.Running())
		canceled := h.add("canceled", nil)
		_, err := h.store.CancelJob(t.Context(), canceled.ID)
		require.NoError(t, err)
		require.Equal(t, Taken, w.Look(t.Context(), canceled.ID))
		g.set(true, false)
		require.Equal(t, Later, w.Look(t.Context(), h.add("unread", nil).ID))
		g.set(false, true)
		require.Equal(t, Later, w.Look(t.Context(), h.add("unread either", nil).ID))
		g.set(false, false)
	})
}

// TestLookEndsTheJobGoesOn ends the ticket's context, as asynq does when Redis is
// away, while the job runs and the worker is full.
func TestLookEndsTheJobGoesOn(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		w := h.bare(takes(time.Minute), nil)
		id := h.add("capture", func(j *catalog.Job) { j.Cost.CPU = 9000 }).ID
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		began := time.Now()
		require.Equal(t, Taken, w.Look(ctx, id))
		require.Equal(t, 40*time.Second, time.Since(began).Round(time.Second), "full: no other ticket is fetched")
		require.Equal(t, catalog.JobRunning, h.job(id).State)

		other := h.add("other", nil).ID
		began = time.Now()
		require.Equal(t, Taken, w.Look(t.Context(), other), "there is room in time")
		require.Equal(t, 20*time.Second, time.Since(began).Round(time.Second))
		require.Equal(t, catalog.JobCompleted, h.job(id).State)
	})
}

// TestTwoTicketsOfOneJob shows the same job twice at once.
func TestTwoTicketsOfOneJob(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		w := h.bare(takes(20*time.Second), nil)
		h.add("capture", nil)
		full := h.add("full", func(j *catalog.Job) { j.Cost.CPU = 4000 }).ID
		go w.Look(t.Context(), full)
		synctest.Wait()
		id := h.add("wanted", nil).ID
		answers := make(chan Look, 2)
		for range 2 {
			go func() { answers <- w.Look(t.Context(), id) }()
		}
		require.Equal(t, []Look{Taken, Taken}, []Look{<-answers, <-answers})
		h.until(id, time.Minute, catalog.JobCompleted)
		require.Equal(t, []catalog.Ending{catalog.EndCompleted}, h.endings(id))
	})
}

// TestBigJobGetsItsTurn has an endless row of small long jobs and one that needs
// the whole machine.
func TestBigJobGetsItsTurn(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		small := func(i int) {
			h.add(fmt.Sprint("small ", i), func(j *catalog.Job) { j.Cost.CPU = 2000 })
		}
		w, _ := h.worker(func(ctx context.Context, job catalog.Job, claim catalog.Claim) catalog.Attempt {
			return takes(time.Duration(50+10*(len(job.CaptureKey)%3))*time.Second)(ctx, job, claim)
		}, func(c *WorkerConfig) { c.Wait = 5 * time.Second })
		for i := range 2 {
			small(i)
		}
		sleep(t.Context(), 2*time.Second)
		require.Equal(t, 2, w.Running())
		big := h.add("big", func(j *catalog.Job) { j.Cost.CPU = 4000 }).ID
		sleep(t.Context(), 2*time.Second)
		for i := range 8 {
			small(10 + i)
		}
		h.until(big, 4*time.Minute, catalog.JobRunning)
		h.until(big, 2*time.Minute, catalog.JobCompleted)
		n, err := h.store.ListJobs(t.Context(), catalog.JobFilter{State: catalog.JobQueued})
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(n), 4, "it did not wait for all the small ones")
	})
}

// TestPlaceIsGivenUp keeps a place in the line for a job until another worker takes
// it.
func TestPlaceIsGivenUp(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		w := h.bare(takes(time.Hour), nil)
		go w.Look(t.Context(), h.add("full", func(j *catalog.Job) { j.Cost.CPU = 4000 }).ID)
		synctest.Wait()
		answers := make(chan Look, 2)
		for _, name := range []string{"a", "b"} {
			id := h.add(name, nil).ID
			go func() { answers <- w.Look(t.Context(), id) }()
		}
		require.Equal(t, []Look{Later, Later}, []Look{<-answers, <-answers})
		synctest.Wait()
		require.Equal(t, 2, w.cfg.Admission.Waiting(), "one place is kept, and one waits for room")
		sleep(t.Context(), 100*time.Second)
		synctest.Wait()
		require.Equal(t, 2, w.cfg.Admission.Waiting(), "the job still waits")
		w.mu.Lock()
		kept := w.kept.job.ID
		w.mu.Unlock()
		_, err := h.store.ClaimJob(t.Context(), kept, "another worker")
		require.NoError(t, err)
		sleep(t.Context(), 31*time.Second)
		synctest.Wait()
		require.Equal(t, 1, w.cfg.Admission.Waiting())
	})
}

// TestDiskFull has a disk that is full for a while.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		var free, asked atomic.Int64
		rule := DiskRule{Path: "scratch", Reserve: -1, Free: func(string) (int64, error) { return free.Load(), nil }}
		h.worker(takes(0), func(c *WorkerConfig) {
			c.Ready = func(context.Context, catalog.Job) error {
				asked.Add(1)
				return rule.Check(1000)
			}
		})
		var ids []string
		for i := range 20 {
			ids = append(ids, h.add(fmt.Sprint(i), nil).ID)
		}
		sleep(t.Context(), time.Minute)
		require.Less(t, asked.Load(), int64(60), "the worker pauses")
		require.Contains(t, h.job(ids[0]).Error.Message, "scratch has 0 bytes free, the job needs 3000")
		require.Zero(t, h.job(ids[0]).Attempts)
		free.Store(3000)
		for _, id := range ids {
			h.until(id, 2*time.Minute, catalog.JobCompleted)
			require.Equal(t, 1, h.job(id).Attempts)
			require.Nil(t, h.job(id).Error)
		}
	})
}

func TestReadyDecides(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err   error
		state catalog.JobState
	}{
		"passes":    {errors.New("stat: try again"), catalog.JobQueued},
		"bad input": {blamed{input: true}, catalog.JobFailed},
		"permanent": {Permanent(errors.New("no scratch folder")), catalog.JobFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inHouse(t, func(t *testing.T, h *house) {
				h.worker(takes(0), func(c *WorkerConfig) { c.Ready = func(context.Context, catalog.Job) error { return tt.err } })
				id := h.add("capture", nil).ID
				sleep(t.Context(), 10*time.Second)
				job := h.job(id)
				require.Equal(t, tt.state, job.State)
				require.Contains(t, job.Error.Message, tt.err.Error())
				if tt.state == catalog.JobQueued {
					require.True(t, job.RunAt.After(time.Now()))
				}
			})
		})
	}
}

func TestWorkerConfig(t *testing.T) {
	t.Parallel()
	good := WorkerConfig{Jobs: &gate{}, Run: takes(0), Admission: NewAdmission(Capacity{})}
	for name, spoil := range map[string]func(*WorkerConfig){
		"no catalog":              func(c *WorkerConfig) { c.Jobs = nil },
		"no handler":              func(c *WorkerConfig) { c.Run = nil },
		"no admission":            func(c *WorkerConfig) { c.Admission = nil },
		"negative":                func(c *WorkerConfig) { c.Wait = -1 },
		"heartbeat as long as it": func(c *WorkerConfig) { c.Heartbeat = 15 * time.Second },
	} {
		cfg := good
		spoil(&cfg)
		_, err := NewWorker(cfg)
		require.Error(t, err, name)
	}
	a, err := NewWorker(good)
	require.NoError(t, err)
	b, err := NewWorker(good)
	require.NoError(t, err)
	require.NotEqual(t, a.Name(), b.Name())
	require.NoError(t, a.Stop(t.Context()))
	require.NoError(t, b.Stop(t.Context()))
}
