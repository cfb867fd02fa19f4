package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/pipeline/stage"
)

// TestFullDisk begins jobs on a scratch disk that is too small, and later is not. Where a reserve is to stay free,
// they wait and use up nothing; without one they run out of space in the middle, and are tried again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	m := newMix(t)
	type machine struct {
		*cluster
		disk    string
		waiting bool // for the reserve
		ids     []string
	}
	var all []*machine
	for _, tc := range []struct {
		reserve, size string
		jobs          int
	}{{"1GiB", "1m", repeats(4, 20)}, {"0", "1500k", 20}} {
		c := &machine{cluster: newCluster(t, m, "--disk-reserve", tc.reserve, "--retry-base", "1s"), waiting: tc.reserve != "0"}
		c.disk = filepath.Join(c.home(1), "scratch")
		require.NoError(t, os.Mkdir(c.disk, 0o755))
		if err := unix.Mount("tmpfs", c.disk, "tmpfs", 0, "size="+tc.size); err != nil {
			t.Skipf("no disk of its own can be had: %v", err)
		}
		// With the workers gone, whose cleanup runs before this one.
		t.Cleanup(func() { require.NoError(t, unix.Unmount(c.disk, 0)) })
		c.start(1)
		c.ids = c.enqueueMix(tc.jobs, "--max-attempts", "100")
		all = append(all, c)
	}
	for _, c := range all {
		c.until("a job has met it", time.Minute, func() bool { return len(c.withoutSpace(c.ids)) > 0 })
		for _, r := range c.withoutSpace(c.ids) {
			require.Equal(t, c.waiting, r.Ending == catalog.EndHandBack, "%+v", r)
		}
		t.Log(c.withoutSpace(c.ids)[0].Failure.Message)
		require.NoError(t, unix.Mount("tmpfs", c.disk, "tmpfs", unix.MS_REMOUNT, "size=8g"))
	}
	for _, c := range all {
		c.over(3*time.Minute, c.ids...)
		t.Logf("%d attempts at %d jobs had no space", len(c.withoutSpace(c.ids)), len(c.ids))
		if c.waiting {
			c.requireOneAttempt(c.ids)
		}
		c.requireMade(c.ids...)
		c.requireClean()
	}
}

// withoutSpace are the attempts that ended for want of space on the disk. Those that were refused at once, because
// their capture alone would fill it, do not count where nothing else is to stay free.
func (c *cluster) withoutSpace(ids []string) (all []catalog.AttemptRecord) {
	c.Helper()
	for _, j := range c.family(ids) {
		for _, r := range c.attempts(j.ID) {
			if r.Failure != nil && strings.Contains(r.Failure.Message, "no space left on device") &&
				(strings.Contains(r.Failure.Message, "needs 1073741824") || !strings.Contains(r.Failure.Message, "not ready")) {
				all = append(all, r)
			}
		}
	}
	return all
}

// TestCancelIsFinal cancels jobs in every state: none of them goes on, nothing of them stays.
func TestCancelIsFinal(t *testing.T) {
	t.Parallel()
	c := newCluster(t, newMix(t), "--idle", "10m", "--retry-base", "10m")
	c.inject(append(held(), fault{Capture: "copied*", Step: stage.StepOpen, Do: doCrash})...)
	early := c.enqueue(kindEncoded)
	c.cancel(early)
	w := c.start(0)
	ids := []string{c.enqueue(kindCopied), c.enqueue(kindEncoded), c.enqueue(kindCall), c.enqueue(kindLong)}
	c.until("all are where they are to be", time.Minute, func() bool {
		return c.job(ids[0]).State == catalog.JobQueued && c.job(ids[0]).Attempts == 1 && len(c.stopped()) == 4 && c.job(ids[3]).State == catalog.JobWaiting
	})
	for i, state := range []catalog.JobState{catalog.JobQueued, catalog.JobRunning, catalog.JobRunning, catalog.JobWaiting} {
		require.Equal(t, state, c.job(ids[i]).State)
		c.cancel(ids[i])
	}
	ids = append(ids, early)
	c.over(time.Minute, ids...)
	c.until("their parts are over", time.Minute, func() bool {
		for _, j := range c.family(ids) {
			if !j.State.Final() {
				return false
			}
		}
		return len(c.stopped()) == 0
	})
	done := c.enqueue(kindEncoded)
	c.inject()
	c.over(time.Minute, done)
	w.stop(t)
	c.start(0)
	for _, id := range ids {
		require.Equal(t, catalog.JobCanceled, c.job(id).State)
		requireOneLine(t, rushes(t, "jobs", "cancel", id, "--data", c.home(0)), pipeline.ExitOther, "the job is over")
	}
	requireOneLine(t, rushes(t, "jobs", "cancel", done, "--data", c.home(0)), pipeline.ExitOther, "the job is over")
	if soak() {
		c.requireClean()
	}
	c.requireMade(done)
	// Until somebody asks for it again, when what the parts have shared is gone.
	require.NoError(t, os.RemoveAll(filepath.Join(c.home(0), "blobs", "scratch")))
	for _, id := range ids {
		requireSuccess(t, rushes(t, "jobs", "retry", id, "--data", c.home(0)))
	}
	c.over(time.Minute, ids...)
	c.requireMade(ids...)
	c.requireClean()
}

func (c *cluster) cancel(id string) {
	c.Helper()
	requireSuccess(c.T, rushes(c.T, "jobs", "cancel", id, "--data", c.home(0)))
}

// TestBadCaptures queues what cannot be made, or not yet.
func TestBadCaptures(t *testing.T) {
	t.Parallel()
	c := newCluster(t, newMix(t), "--settle", "3s")
	data := c.home(0)
	for _, tc := range []struct {
		code int
		args []string
		says string
	}{
		{pipeline.ExitBadInput, []string{"--size", "7x7", c.copyOf(kindCall)}, "outputs.composition"},
		{pipeline.ExitBadInput, []string{"--assets", "room-film", c.copyOf(kindCall)}, "room-film"},
		{pipeline.ExitBadInput, []string{filepath.Join(data, "nowhere")}, "nowhere"},
		{pipeline.ExitUsage, []string{"--size", "7", c.copyOf(kindCall)}, "--size"},
		{pipeline.ExitUsage, []string{"--max-attempts", "0", c.copyOf(kindCall)}, "--max-attempts"},
	} {
		got := rushes(t, append([]string{"enqueue", "--data", data}, tc.args...)...)
		require.Equal(t, tc.code, got.code, "%v: %s", tc.args, got.stderr)
		require.Contains(t, got.stderr, tc.says)
	}
	jobs, err := c.data.catalog.ListJobs(t.Context(), catalog.JobFilter{})
	require.NoError(t, err)
	require.Empty(t, jobs)

	gone := c.enqueue(kindCopied)
	require.NoError(t, os.RemoveAll(filepath.Join(c.folder, "captures", c.names[gone])))
	growing, stop := c.enqueueGrowing()
	c.start(0)
	c.over(time.Minute, gone)
	require.Equal(t, catalog.JobFailed, c.job(gone).State)
	require.Contains(t, c.job(gone).Error.Message, c.names[gone])
	require.Equal(t, []catalog.Ending{catalog.EndFailed}, c.endings(gone))

	c.until("it waits", time.Minute, func() bool { return len(c.attempts(growing)) > 1 })
	j := c.job(growing)
	require.Contains(t, j.Error.Message, "still being written")
	require.Zero(t, j.Attempts)
	require.Equal(t, catalog.JobQueued, j.State)
	stop()
	c.over(time.Minute, growing)
	require.Equal(t, 1, c.job(growing).Attempts)
	require.Equal(t, catalog.EndCompleted, c.attempts(growing)[len(c.attempts(growing))-1].Ending)
	c.requireMade(growing)
	c.requireClean()
}

// enqueueGrowing queues a capture without stopped_at, of which a file changes until stop is called.
func (c *cluster) enqueueGrowing() (id string, stop func()) {
	c.Helper()
	id = c.enqueue(kindEncoded)
	folder := filepath.Join(c.folder, "captures", c.names[id])
	c.cancel(id)
	text, err := os.ReadFile(filepath.Join(folder, "capture.json"))
	require.NoError(c, err)
	var kept []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, `"stopped_at"`) {
			kept = append(kept, line)
		}
	}
	changed := strings.ReplaceAll(strings.Join(kept, ""), "session-"+c.names[id], "session-growing")
	require.NotContains(c, changed, "stopped_at")
	require.NoError(c, os.WriteFile(filepath.Join(folder, "capture.json"), []byte(changed), 0o600))
	got := rushes(c.T, "enqueue", "--json", "--data", c.home(0), folder)
	requireSuccess(c.T, got)
	id = parse[[]struct{ ID string }](c.T, got.stdout)[0].ID
	c.kinds[id], c.names[id] = kindEncoded, filepath.Base(folder)
	media := ""
	for _, name := range files(c.T, folder) {
		if name != "capture.json" {
			media = filepath.Join(folder, name)
		}
	}
	end, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			now := time.Now()
			if err := os.Chtimes(media, now, now); err != nil {
				ended <- err
				return
			}
			select {
			case <-end:
				ended <- nil
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	c.Cleanup(func() {
		if c.Failed() {
			fmt.Fprintln(os.Stderr, c.states([]string{id}))
		}
	})
	return id, func() {
		close(end)
		require.NoError(c, errors.Join(<-ended))
	}
}
