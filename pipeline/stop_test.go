package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

func TestStop(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		takes time.Duration
		state catalog.JobState
		stops time.Duration
		hurry func(t *testing.T, w *Worker, cancel context.CancelFunc)
	}{
		"ends within the grace period":    {15 * time.Second, catalog.JobCompleted, 15 * time.Second, nil},
		"is handed back":                  {time.Hour, catalog.JobQueued, 20 * time.Second, nil},
		"at once, by a second stop":       {time.Hour, catalog.JobQueued, 3 * time.Second, func(t *testing.T, w *Worker, _ context.CancelFunc) { require.NoError(t, w.Stop(t.Context())) }},
		"at once, by the end of the stop": {time.Hour, catalog.JobQueued, 3 * time.Second, func(_ *testing.T, _ *Worker, cancel context.CancelFunc) { cancel() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inHouse(t, func(t *testing.T, h *house) {
				w, heard := h.worker(takes(tt.takes), nil)
				id := h.add("capture", nil).ID
				h.until(id, 5*time.Second, catalog.JobRunning)
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.hurry != nil {
					time.AfterFunc(3*time.Second, func() { tt.hurry(t, w, cancel) })
				}
				began := time.Now()
				require.NoError(t, w.Stop(ctx))
				require.InDelta(t, tt.stops, time.Since(began), float64(300*time.Millisecond))
				require.Equal(t, tt.state, h.job(id).State)
				require.Zero(t, w.Running())
				require.Equal(t, [3]int{1, 1, 0}, heard.counts())
				require.Equal(t, Later, w.Look(t.Context(), id), "a worker that stops takes nothing")
				require.NoError(t, w.Stop(t.Context()))
				if tt.state == catalog.JobQueued {
					require.Zero(t, h.job(id).Attempts, "interrupted is not failed")
					require.Nil(t, h.job(id).Error)
					h.worker(takes(0), nil)
					require.Less(t, h.until(id, time.Minute, catalog.JobCompleted), 10*time.Second)
				}
				require.Equal(t, 1, h.job(id).Attempts)
			})
		})
	}
}

// TestStopWithoutAnybodyListening stops a worker whose handler does not heed its
// context, and one whose catalog is away.
func TestStopWithoutAnybodyListening(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		deaf := make(chan struct{})
		w, _ := h.worker(func(context.Context, catalog.Job, catalog.Claim) catalog.Attempt {
			<-deaf
			return catalog.Attempt{Ending: catalog.EndCompleted}
		}, nil)
		id := h.add("capture", nil).ID
		h.until(id, 5*time.Second, catalog.JobRunning)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		require.ErrorContains(t, w.Stop(ctx), "1 attempts do not end")
		close(deaf)
		synctest.Wait()
		require.NoError(t, w.Stop(ctx))
		require.Equal(t, catalog.JobRunning, h.job(id).State, "given up, for the sweeper")
		h.worker(takes(0), nil)
		h.until(id, 45*time.Second, catalog.JobCompleted)
	})
	inHouse(t, func(t *testing.T, h *house) {
		g := &gate{Jobs: h.store}
		w, heard := h.worker(takes(time.Hour), func(c *WorkerConfig) { c.Jobs, c.Grace = g, -1 })
		id := h.add("capture", nil).ID
		h.until(id, 5*time.Second, catalog.JobRunning)
		g.set(false, true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		require.NoError(t, w.Stop(ctx))
		require.Less(t, time.Since(began), 12*time.Second)
		require.Equal(t, [3]int{1, 0, 1}, heard.counts())
		h.worker(takes(0), nil)
		h.until(id, 45*time.Second, catalog.JobCompleted)
		require.Equal(t, 1, h.job(id).Attempts)
	})
}

// TestRollingRestart replaces two workers in turn, ten times, under load.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	inHouse(t, func(t *testing.T, h *house) {
		var ids []string
		for i := range 30 {
			ids = append(ids, h.add(string(rune('A'+i)), nil).ID)
		}
		start := func() *Worker {
			w, _ := h.worker(takes(25*time.Second), func(c *WorkerConfig) { c.Grace = 10 * time.Second })
			return w
		}
		workers := []*Worker{start(), start()}
		for i := range 10 {
			sleep(t.Context(), 4*time.Second)
			require.NoError(t, workers[i%2].Stop(t.Context()))
			workers[i%2] = start()
		}
		for _, id := range ids {
			h.until(id, 10*time.Minute, catalog.JobCompleted)
			endings := h.endings(id)
			require.Equal(t, catalog.EndCompleted, endings[len(endings)-1])
			for _, e := range endings[:len(endings)-1] {
				require.Equal(t, catalog.EndHandBack, e)
			}
			require.Equal(t, 1, h.job(id).Attempts)
			require.Zero(t, h.job(id).Takeovers)
		}
	})
}
