package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/pipeline/stage"
)

// takenOverWithin is how soon a dead worker's job is to be taken over.
const takenOverWithin = 45 * time.Second

// held has the steps that make media stop in the middle of it, once for each capture. Of the three parts of a long one,
// the first stops after its unit is finished, the second before.
func held() []fault {
	return []fault{
		{Capture: string(kindLong) + "*", Step: stage.StepUnits, At: "unit", Do: doStop, Times: 1},
		{Capture: string(kindLong) + "*", Step: stage.StepUnits, Do: doStop, Times: 1},
		{Capture: string(kindCall) + "*", Step: stage.StepRender, At: "progress", Do: doStop, Times: 1},
		{Capture: "co*", Step: stage.StepRender, At: "progress", Do: doStop, Times: 1},
		{Capture: "en*", Step: stage.StepRender, At: "progress", Do: doStop, Times: 1},
	}
}

// processState is the letter of a process's state, or 0 when there is none.
func processState(pid int) byte {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if _, after, ok := bytes.Cut(text, []byte(") ")); err == nil && ok && len(after) > 0 {
		return after[0]
	}
	return 0
}

// stopped are the steps whose processes are stopped.
func (c *cluster) stopped() []stepSeen {
	c.Helper()
	return slices.DeleteFunc(c.steps(), func(s stepSeen) bool { return processState(s.PID) != 'T' })
}

// TestFaultsOfWorkers kills workers in the middle of their jobs, one by a second SIGTERM, and stops one for so long
// that its jobs are taken over, then lets it go on. Another machine takes all of it over in time, and makes no
// finished chunk again.
func TestFaultsOfWorkers(t *testing.T) {
	t.Parallel()
	c := newCluster(t, newMix(t), "--idle", "10m", "--grace", "10m")
	n := repeats(12, 40)
	c.inject(held()...)
	var victims []*workerProcess
	for machine := range 4 {
		victims = append(victims, c.start(machine))
	}
	ids := c.enqueueMix(n)
	c.until("all jobs are in the middle", time.Minute, func() bool {
		return len(c.stopped()) == n+n/4 && len(c.sharedUnits()) == n/4*2 && c.settled(ids)
	})
	shared := c.sharedUnits()
	orphans := c.stopped()
	began := len(c.steps())
	frozen := c.freeze(victims[3])
	for _, w := range victims[:3] {
		if w.machine == 2 {
			w.signal(c, syscall.SIGTERM)
			c.until("it stops gracefully", time.Minute, func() bool { return strings.Contains(tail(w.log, 100), `"msg":"stopping"`) })
			w.signal(c, syscall.SIGTERM)
			<-w.over
			continue
		}
		w.kill()
	}
	death := time.Now()
	c.start(4)
	c.over(3*time.Minute, ids...)
	c.requireTakenOver(ids, death)
	c.requireReused(shared, c.steps()[began:])
	// The one that has slept through it all finds its claims lost.
	for _, s := range orphans {
		if frozen[s.PID] {
			require.NoError(c, syscall.Kill(s.PID, syscall.SIGCONT))
			continue
		}
		require.Contains(c, []byte{0, 'Z', 'X'}, processState(s.PID), "a step has survived its worker")
	}
	victims[3].signal(c, syscall.SIGCONT)
	c.until("it has noticed", time.Minute, func() bool {
		return strings.Count(tail(victims[3].log, 10_000), "attempt is lost") == len(frozen)
	})
	c.requireMade(ids...)
	c.requireClean()
}

// settled reports whether every job, or a part of it, runs.
func (c *cluster) settled(ids []string) bool {
	for _, id := range ids {
		if !slices.ContainsFunc(c.family([]string{id}), func(j catalog.Job) bool { return j.State == catalog.JobRunning }) {
			return false
		}
	}
	return true
}

// freeze stops a worker, but not in the middle of a transaction of SQLite, which would stop everybody, and then lets
// go of its steps: they finish, and nobody hears them. It gives their processes.
func (c *cluster) freeze(w *workerProcess) map[int]bool {
	c.Helper()
	c.until("the worker stands still", time.Minute, func() bool {
		w.signal(c, syscall.SIGSTOP)
		if _, err := c.data.catalog.Lease(c.Context(), "probe", "test", time.Second); err == nil {
			return true
		}
		w.signal(c, syscall.SIGCONT)
		return false
	})
	pids := map[int]bool{}
	for _, s := range c.stopped() {
		if parentOf(s.PID) == w.cmd.Process.Pid {
			pids[s.PID] = true
		}
	}
	require.NotEmpty(c, pids, "the worker has nothing to do")
	return pids
}

// parentOf gives the parent of a process, or 0.
func parentOf(pid int) (parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if _, after, ok := bytes.Cut(text, []byte(") ")); err == nil && ok {
		var state rune
		if _, err := fmt.Sscanf(string(after), "%c %d", &state, &parent); err == nil {
			return parent
		}
	}
	return 0
}

// sharedUnits are the units in the store whose marks are written: part and unit to the time of the mark.
func (c *cluster) sharedUnits() map[string]time.Time {
	c.Helper()
	found := map[string]time.Time{}
	root := filepath.Join(c.home(0), "blobs", "scratch")
	for _, name := range files(c.T, root) {
		job, rest, _ := strings.Cut(name, "/")
		unit, mark, _ := strings.Cut(rest, "/")
		if unit != "index" && strings.HasSuffix(mark, ".json") {
			info, err := os.Stat(filepath.Join(root, name))
			require.NoError(c, err)
			found[job+" "+unit] = info.ModTime()
		}
	}
	return found
}

// requireTakenOver wants every job, or a part of it, taken from a dead worker and begun by another one in time, and no
// attempt used up.
func (c *cluster) requireTakenOver(ids []string, death time.Time) {
	c.Helper()
	var took []time.Duration
	for _, id := range ids {
		lost := 0
		for _, j := range c.family([]string{id}) {
			log := c.attempts(j.ID)
			for i, r := range log {
				if r.Ending != catalog.EndLost {
					continue
				}
				lost++
				require.Greater(c, len(log), i+1, "lost and not begun again")
				took = append(took, log[i+1].StartedAt.Sub(death))
			}
			require.Equal(c, 1, j.Attempts, "an attempt was used up: %v", c.endings(j.ID))
		}
		require.Positive(c, lost, "%s was not taken over", c.names[id])
	}
	slices.Sort(took)
	c.Logf("%d attempts were taken over and begun again after %v to %v", len(took), took[0].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	require.Less(c, took[len(took)-1], takenOverWithin)
}

// requireReused wants none of the units made again in the steps.
func (c *cluster) requireReused(shared map[string]time.Time, after []stepSeen) {
	c.Helper()
	again := 0
	for _, s := range after {
		parent := c.job(s.JobID).ParentID
		for _, u := range s.Units {
			require.NotContains(c, shared, parent+" "+u, "a finished unit is made again")
			again++
		}
	}
	c.Logf("%d finished units were taken over, %d others made", len(shared), again)
	require.Positive(c, again)
}

// workerPID is the process of a worker, of its name.
func workerPID(worker string) (pid int) {
	fields := strings.Split(worker, "-")
	if n := len(fields); n >= 3 {
		_, _ = fmt.Sscan(fields[n-2], &pid)
	}
	return pid
}
