package main

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
)

// TestFaultsOfRedis kills the Redis, which forgets everything, and empties it, again and again while jobs are queued
// and run. All finish, and no attempt knows of it.
func TestFaultsOfRedis(t *testing.T) {
	t.Parallel()
	c := newCluster(t, newMix(t))
	c.start(0)
	c.start(1)
	var ids []string
	for n := range repeats(8, 40) {
		ids = append(ids, c.enqueue(captureKinds()[n%len(captureKinds())]))
		c.until("something runs", time.Minute, func() bool {
			return c.count(ids, catalog.JobRunning) > 0 || c.count(ids, catalog.JobCompleted) == len(ids)
		})
		if n%2 == 0 {
			c.redis.kill(t)
			c.redis.start(t)
		} else {
			c.redis.flush(t)
		}
	}
	c.over(3*time.Minute, ids...)
	c.requireOneAttempt(ids)
	c.requireMade(ids...)
	c.requireClean()
}

// count is how many of the jobs are in a state.
func (c *cluster) count(ids []string, state catalog.JobState) (n int) {
	c.Helper()
	for _, id := range ids {
		if c.job(id).State == state {
			n++
		}
	}
	return n
}

// requireOneAttempt wants jobs of which no attempt failed or was lost.
func (c *cluster) requireOneAttempt(ids []string) {
	c.Helper()
	for _, j := range c.family(ids) {
		require.Equal(c, 1, j.Attempts, "%s: %v", c.names[j.ID], c.endings(j.ID))
		require.Zero(c, j.Takeovers, "%s: %v", c.names[j.ID], c.endings(j.ID))
	}
}

// silence is for how long the Redis does not answer.
func silence() time.Duration {
	if soak() {
		return 45 * time.Second
	}
	return 12 * time.Second
}

// TestRedisCut has the Redis silent for a while, longer than what Asynq gives a task's lease in the soak: whatever
// runs goes on under the same claim, also what finishes in that time.
func TestRedisCut(t *testing.T) {
	t.Parallel()
	c := newCluster(t, newMix(t), "--idle", "10m")
	n := repeats(8, 20)
	c.inject(held()...)
	workers := []*workerProcess{c.start(0), c.start(1)}
	ids := c.enqueueMix(n)
	c.until("all jobs are in the middle", time.Minute, func() bool {
		return len(c.stopped()) == n+n/4 && len(c.sharedUnits()) == n/4*2 && c.settled(ids)
	})
	before := c.family(ids)
	c.redis.signal(t, syscall.SIGSTOP)
	during := c.stopped()
	half, all := time.After(silence()/2), time.After(silence())
	<-half
	for _, s := range during[:n/2] {
		require.NoError(t, syscall.Kill(s.PID, syscall.SIGCONT))
	}
	<-all
	c.redis.signal(t, syscall.SIGCONT)
	for _, s := range during[n/2:] {
		require.NoError(t, syscall.Kill(s.PID, syscall.SIGCONT))
	}
	c.over(2*time.Minute, ids...)
	c.requireOneAttempt(ids)
	for _, old := range before {
		if old.State != catalog.JobRunning {
			continue
		}
		now := c.job(old.ID)
		require.Equal(t, old.Worker, now.Worker)
		require.Equal(t, old.Fence, now.Fence, "%s: %v", c.names[old.ID], c.endings(old.ID))
		require.Equal(t, []catalog.Ending{catalog.EndCompleted}, c.endings(old.ID))
	}
	for _, w := range workers {
		require.Equal(t, byte('S'), processState(w.cmd.Process.Pid), "a worker has ended")
	}
	c.requireMade(ids...)
	c.requireClean()
}

// TestRollingRestart restarts one of two workers after the other, ten times in all, in the middle of jobs: nothing
// is lost, nothing is completed twice, and no attempt is used up.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	// A grace period in which a job is finished now and then.
	c := newCluster(t, newMix(t), "--grace", "100ms")
	workers := []*workerProcess{c.start(0), c.start(1)}
	var ids []string
	for range repeats(5, 20) {
		for i, w := range workers {
			ids = append(ids, c.enqueueMix(repeats(2, 4))...)
			name := ""
			c.until("it is at work", time.Minute, func() bool {
				open := slices.DeleteFunc(c.family(ids), func(j catalog.Job) bool { return j.State != catalog.JobRunning })
				at := slices.IndexFunc(open, func(j catalog.Job) bool { return workerPID(j.Worker) == w.cmd.Process.Pid })
				if at >= 0 {
					name = open[at].Worker
				}
				return at >= 0 || c.count(ids, catalog.JobCompleted) == len(ids)
			})
			workers[i] = c.start(i)
			w.stop(t)
			for _, j := range c.family(ids) {
				require.False(t, j.Worker == name && j.State == catalog.JobRunning, "it has left a job")
			}
		}
	}
	c.over(2*time.Minute, ids...)
	c.requireOneAttempt(ids)
	handed := 0
	for _, j := range c.family(ids) {
		for _, e := range c.endings(j.ID) {
			if e == catalog.EndHandBack {
				handed++
			}
		}
	}
	t.Logf("%d jobs, %d attempts were handed back", len(ids), handed)
	require.Positive(t, handed)
	c.requireMade(ids...)
	c.requireClean()
}
