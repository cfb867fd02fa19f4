package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rushes/catalog"
	"rushes/pipeline"
	"rushes/transcode/mp4"
)

// kills is how often each of two captures is killed.
func kills() int {
	if os.Getenv("RUSHES_SOAK") != "" {
		return 100
	}
	return 10
}

// slowly makes encoding take a second or two, so that there is something to interrupt.
func slowly() []string { return []string{"--preset", "veryslow", "--crf", "1"} }

// TestKill kills process at random moments and runs it again: one asset, whole, and nothing else.
func TestKill(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{"copied": copied(t), "encoded": encoded(t)} {
		// How long a whole run takes tells from when to choose the moments.
		start := time.Now()
		out, err := child(t.Context(), t, "process", folder, "--data", t.TempDir()).CombinedOutput()
		require.NoError(t, err, "%s", out)
		whole := time.Since(start)
		for n := range kills() {
			t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(uint64(n), 7))
				data := filepath.Join(t.TempDir(), "data")
				attempts := 1 + rng.IntN(2)
				for range attempts {
					moment := time.Duration(rng.Int64N(int64(whole * 5 / 4)))
					killAfter(t, moment, "process", folder, "--data", data)
				}
				doc := process(t, data, folder)
				require.Equal(t, "completed", doc.Job.State)
				require.Equal(t, 1000, doc.Job.Progress)
				requireOnly(t, data, doc)
			})
		}
	}
}

// killAfter ends a process by SIGKILL after a time, unless it has ended before.
func killAfter(t *testing.T, moment time.Duration, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	out, err := child(ctx, t, args...).CombinedOutput()
	if ctx.Err() == nil {
		require.NoError(t, err, "%s", out)
	}
}

// requireOnly wants one asset in the catalog, that of the document, whole, and nothing else in the data folder.
func requireOnly(t *testing.T, data string, doc document) {
	t.Helper()
	require.Len(t, doc.Assets, 1)
	a := doc.Assets[0]
	got := rushes(t, "assets", "list", "--json", "--data", data)
	requireSuccess(t, got)
	require.Equal(t, doc.Assets, parse[[]assetJSON](t, got.stdout))
	requireNoStrays(t, data, append(a.Thumbnails, a.Path)...)
	require.NoDirExists(t, filepath.Join(data, "scratch", "places"))
	requireWhole(t, a)
}

// requireWhole looks at every box, picture and beep of three seconds of film.
func requireWhole(t *testing.T, a assetJSON) {
	t.Helper()
	f, err := os.Open(a.File)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	require.Equal(t, a.Size, info.Size())
	findings, err := mp4.Check(f, info.Size())
	require.NoError(t, err)
	for _, finding := range findings {
		require.NotEqual(t, mp4.Must, finding.Severity, "%v", finding)
	}
	require.NoError(t, f.Close())
	r := measure(t, a.File)
	require.EqualValues(t, 45, r.Video.Count)
	require.Equal(t, 0, r.Sequence.First)
	require.Equal(t, 44, r.Sequence.Last)
	require.Empty(t, r.Sequence.Missing)
	require.Len(t, r.Beeps, 3)
	require.InDelta(t, 3000, a.Metadata.DurationMS, 70)
	require.Len(t, a.Thumbnails, 1)
	require.Empty(t, a.Metadata.Defects)
}

// TestSignal interrupts a run: exit status 1, nothing published, and the same command goes on.
func TestSignal(t *testing.T) {
	t.Parallel()
	folder := encoded(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			args := append([]string{"process", folder, "--data", data}, slowly()...)
			cmd := child(t.Context(), t, args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return rendering(data) }, time.Minute, 5*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(sig))
			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Wait(), &exit)
			require.Equal(t, pipeline.ExitOther, exit.ExitCode(), stderr.String())
			require.Equal(t, "rushes: "+folder+": interrupted; the same command goes on where it was\n", stderr.String())
			require.Empty(t, files(t, filepath.Join(data, "blobs")), "it did not stop at once")
			job := onlyJob(t, data)
			require.Equal(t, catalog.JobQueued, job.State)
			require.Zero(t, job.Attempts, "an interruption uses up no attempt")
			doc := process(t, data, folder)
			require.Equal(t, job.ID, doc.Job.ID)
			requireOnly(t, data, doc)
		})
	}
}

// rendering tells whether a process has begun to write media.
func rendering(data string) bool {
	found, err := filepath.Glob(filepath.Join(data, "scratch", "*", "render.*", "*.mp4"))
	return err == nil && len(found) > 0
}

// onlyJob finds the job of a data folder by its scratch folder.
func onlyJob(t *testing.T, data string) catalog.Job {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(data, "scratch"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	d, err := openData(t.Context(), data)
	require.NoError(t, err)
	job, err := d.catalog.JobByID(t.Context(), entries[0].Name())
	require.NoError(t, errors.Join(err, d.Close()))
	return job
}

// TestTogether runs several processes at one capture at the same moment, and at another one that wants the same
// place: an asset each, nothing torn, and those who wait say so.
func TestTogether(t *testing.T) {
	t.Parallel()
	one, other, data := encoded(t), encoded(t), filepath.Join(t.TempDir(), "data")
	rename(t, other, "session-encoded", "session-other")
	var group errgroup.Group
	results := make([]outcome, 4)
	for i, folder := range []string{one, one, other, one} {
		cmd := child(t.Context(), t, append([]string{"process", folder, "--json", "--data", data}, slowly()...)...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		group.Go(func() error {
			err := cmd.Run()
			results[i] = outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
			return err
		})
	}
	require.NoError(t, group.Wait(), "%v", results)
	waited := 0
	var docs []document
	for _, r := range results {
		if r.stderr != "" {
			require.Equal(t, "rushes: another process works at this capture; waiting for it\n", r.stderr)
			waited++
		}
		docs = append(docs, parse[document](t, r.stdout))
	}
	require.Equal(t, 2, waited)
	a, b := docs[0].Assets[0], docs[2].Assets[0]
	require.Equal(t, docs[0].Assets, docs[1].Assets)
	require.Equal(t, docs[0].Assets, docs[3].Assets)
	require.NotEqual(t, a.Path, b.Path)
	requireWhole(t, a)
	requireWhole(t, b)
	requireNoStrays(t, data, append(append(a.Thumbnails, b.Thumbnails...), a.Path, b.Path)...)
	require.Equal(t, "completed", process(t, data, one).Job.State)
}

// TestKilledWhileOthersWait kills the one who works: the one who waits takes over.
func TestKilledWhileOthersWait(t *testing.T) {
	t.Parallel()
	folder, data := encoded(t), filepath.Join(t.TempDir(), "data")
	args := append([]string{"process", folder, "--data", data, "--json"}, slowly()...)
	first := child(t.Context(), t, args...)
	require.NoError(t, first.Start())
	require.Eventually(t, func() bool { return rendering(data) }, time.Minute, 5*time.Millisecond)
	second := child(t.Context(), t, args...)
	var stdout bytes.Buffer
	second.Stdout = &stdout
	said, err := second.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, second.Start())
	line := make([]byte, 200)
	n, err := said.Read(line)
	require.NoError(t, err)
	require.Contains(t, string(line[:n]), "waiting for it")
	require.NoError(t, first.Process.Kill())
	require.Error(t, first.Wait())
	require.NoError(t, second.Wait())
	doc := parse[document](t, stdout.String())
	require.Equal(t, "completed", doc.Job.State)
	requireOnly(t, data, doc)
	require.Equal(t, 1, strings.Count(stdout.String(), `"file"`))
}
