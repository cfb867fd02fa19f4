package main

import (
	"context"
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
	"rushes/fixtures"
	"rushes/pipeline"
)

// startServe works at the jobs of a data folder until the test ends.
func startServe(t *testing.T, data string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := child(ctx, t, "serve", "--data", data, "--listen", "127.0.0.1:0", "--preset", "ultrafast", "--retry-base", "10ms", "--grace", "1s", "--disk-reserve", "0", "--cpus", "4", "--memory", "4GiB")
	var log strings.Builder
	cmd.Stderr = &log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("serve: %v\n%s", err, log.String())
		}
	})
}

// withData looks at a data folder that others use too.
func withData(t *testing.T, folder string, look func(d *data)) {
	t.Helper()
	d, err := openData(t.Context(), folder)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	look(d)
}

// rooms makes a short capture of each room and processes it.
func rooms(t *testing.T, data string, names ...string) (folders []string) {
	t.Helper()
	for _, name := range names {
		folder := beam(t, fixtures.BeamSpec{Script: script(time.Second), Record: fixtures.FragmentedMP4(), Room: name})
		process(t, data, folder)
		folders = append(folders, folder)
	}
	return folders
}

// listed are the assets that a list of the catalog holds.
func listed(t *testing.T, folder string, superseded bool) (assets []catalog.Asset) {
	t.Helper()
	withData(t, folder, func(d *data) {
		var err error
		assets, err = d.catalog.ListAssets(t.Context(), catalog.Filter{Superseded: superseded})
		require.NoError(t, err)
	})
	return assets
}

// again runs reprocess to its end and gives what it says of the run.
func again(t *testing.T, code int, data string, args ...string) runShown {
	t.Helper()
	got := rushes(t, append([]string{"reprocess", "--json", "--data", data}, args...)...)
	require.Equal(t, code, got.code, "stderr: %s\nstdout: %s", got.stderr, got.stdout)
	return parse[runShown](t, got.stdout)
}

// counts is how many items are in each state.
type counts = map[catalog.BackfillItemState]int64

// madeUp fills a catalog with assets that were never made: of rooms, sessions, types, states and versions.
func madeUp(t *testing.T, folder string) (ids map[string]string) {
	t.Helper()
	ids = map[string]string{}
	day := func(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
	withData(t, folder, func(d *data) {
		for i, a := range []catalog.Asset{
			{RoomID: "one", SessionID: "s1", Type: catalog.RoomComposite, Status: catalog.AssetCompleted, Software: "v1", CreatedAt: day(20)},
			{RoomID: "one", SessionID: "s2", Type: catalog.TrackAsset, Status: catalog.AssetCompleted, Software: "v2", CreatedAt: day(21)},
			{RoomID: "two", SessionID: "s3", Type: catalog.TrackAsset, Status: catalog.AssetFailed, Software: "v1", CreatedAt: day(22)},
			{RoomID: "two", SessionID: "s3", Type: catalog.StreamAsset, Status: catalog.AssetCompleted, Software: "v1", CreatedAt: day(21)},
		} {
			job, _, err := d.catalog.AddJob(t.Context(), catalog.Job{CaptureURI: fmt.Sprint("/capture/", i), CaptureKey: fmt.Sprint("capture ", i), RoomID: a.RoomID}, false)
			require.NoError(t, err)
			job, err = d.catalog.SeizeJob(t.Context(), job.ID, "test")
			require.NoError(t, err)
			claim := catalog.Claim{JobID: job.ID, Fence: job.Fence}
			a.ID = fmt.Sprintf("%08x%016x", a.CreatedAt.Unix(), i)
			a.Key = catalog.AssetKey(job.CaptureKey, a.Type)
			if a.Status == catalog.AssetFailed {
				a.Error = &catalog.AssetError{Kind: "INPUT_ERROR", Message: "torn"}
			} else {
				a.Path, a.Size, a.Duration = fmt.Sprint("made/up/", i), 1<<20, time.Hour
			}
			made, err := d.catalog.RegisterAssets(t.Context(), claim, []catalog.Asset{a})
			require.NoError(t, err)
			// The first one took twice what is usual, nothing is known of the others.
			usage := catalog.Usage{}
			if i == 0 {
				usage.CPU = 2 * time.Hour
			}
			_, err = d.catalog.EndAttempt(t.Context(), claim, catalog.Attempt{Ending: catalog.EndCompleted, Usage: usage})
			require.NoError(t, err)
			ids[string(rune('a'+i))] = made[0].ID
		}
	})
	return ids
}

// TestReprocessSelection chooses by every criterion, and by several.
func TestReprocessSelection(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ids := madeUp(t, folder)
	list := filepath.Join(t.TempDir(), "ids")
	unknown := strings.Repeat("f", 24)
	require.NoError(t, os.WriteFile(list, []byte("# some\n"+ids["b"]+"  because\n\n"+ids["c"]+"\r\n"+unknown+"\n"+ids["b"]), 0o644))
	fromFile, err := readIDs(list)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		f    selectFlags
		want string
	}{
		"all":               {selectFlags{All: true}, "abcd"},
		"room":              {selectFlags{Room: "one"}, "ab"},
		"session":           {selectFlags{Session: "s3"}, "cd"},
		"type":              {selectFlags{Type: "track"}, "bc"},
		"status":            {selectFlags{Status: "failed"}, "c"},
		"software":          {selectFlags{Software: "v1"}, "acd"},
		"from a date":       {selectFlags{From: "2026-11-21"}, "bcd"},
		"to a date":         {selectFlags{To: "2026-11-21"}, "abd"},
		"from a time":       {selectFlags{From: "2026-11-21T12:00:00Z"}, "bcd"},
		"after a time":      {selectFlags{From: "2026-11-21T13:00:01+01:00"}, "c"},
		"to a time":         {selectFlags{To: "2026-11-21T12:00:00Z"}, "a"},
		"one day":           {selectFlags{From: "2026-11-21", To: "2026-11-21"}, "bd"},
		"ids":               {selectFlags{IDs: list}, "bc?"},
		"ids and a room":    {selectFlags{IDs: list, Room: "two"}, "c?"},
		"ids and a version": {selectFlags{IDs: list, Software: "v2", To: "2026-11-21"}, "b?"},
		"several":           {selectFlags{Software: "v1", Room: "two", Type: "stream"}, "d"},
		"nothing":           {selectFlags{Room: "three"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, tc.f.check())
			found := ""
			withData(t, folder, func(d *data) {
				chosen, err := tc.f.choose(t.Context(), d, fromFile)
				require.NoError(t, err)
				for _, x := range chosen {
					name := "?"
					for n, id := range ids {
						if id == x.id {
							name = n
						}
					}
					found += name
				}
			})
			letters := strings.Split(found, "")
			slices.Sort(letters)
			want := strings.Split(tc.want, "")
			slices.Sort(want)
			require.Equal(t, want, letters)
		})
	}
}

// TestReprocessUsage refuses what cannot be meant, before a data folder is touched.
func TestReprocessUsage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ids")
	require.NoError(t, os.WriteFile(file, []byte("\nnot-an-id\n"), 0o644))
	for want, args := range map[string][]string{
		"no assets are chosen":                   {},
		"--all: nothing else":                    {"--all", "--room", "r"},
		`--type: "gif"`:                          {"--type", "gif"},
		`--status: "lost"`:                       {"--status", "lost"},
		`--from: "yesterday" is neither`:         {"--from", "yesterday"},
		"--from 2026-11-22 is not before --to":   {"--from", "2026-11-22", "--to", "2026-11-20"},
		`line 2 of`:                              {"--ids", file},
		"--ids: open":                            {"--ids", file + "-none"},
		"--rate: -1 is no number":                {"--all", "--rate=-1"},
		"--max-in-flight: -1":                    {"--all", "--max-in-flight=-1"},
		"--resume: a run keeps":                  {"--resume", "x", "--room", "r"},
		"--purge makes nothing":                  {"--purge", "--all", "--layout", "grid"},
		`"heap" is not a layout`:                 {"--all", "--layout", "heap"},
		`--size: "big"`:                          {"--all", "--size", "big"},
		"--crf: 70":                              {"--all", "--crf", "70"},
		"--audio-bitrate: 1 is not between":      {"--all", "--audio-bitrate", "1"},
		"--preset must be one of":                {"--all", "--preset", "quick"},
		`unexpected argument everything`:         {"everything"},
		"--resume: a run keeps its selection an": {"--resume", "x", "--dry-run"},
	} {
		data := filepath.Join(t.TempDir(), "data")
		requireOneLine(t, rushes(t, append([]string{"reprocess", "--data", data}, args...)...), pipeline.ExitUsage, want)
		require.NoDirExists(t, data)
	}
	data := t.TempDir()
	requireOneLine(t, rushes(t, "reprocess", "--data", data, "--resume", "x"), pipeline.ExitOther, "no run has the id", "reprocess list")
	requireOneLine(t, rushes(t, "reprocess", "show", "--data", data, "x"), pipeline.ExitOther, "no run has the id", "reprocess list")
}

// TestReprocessDryRun counts and estimates, and leaves all as it was.
func TestReprocessDryRun(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ids := madeUp(t, folder)
	before := listed(t, folder, true)
	got := rushes(t, "reprocess", "--dry-run", "--all", "--json", "--data", folder)
	requireSuccess(t, got)
	hour := time.Hour.Milliseconds()
	require.Equal(t, estimates{
		Types: []estimate{
			{Type: catalog.RoomComposite, Assets: 1, MediaMS: hour, Bytes: 1 << 20, CPUMS: 2 * hour},
			{Type: catalog.StreamAsset, Assets: 1, MediaMS: hour, Bytes: 1 << 20, CPUMS: hour * usualEffort(catalog.StreamAsset) / 1000, Guessed: 1},
			{Type: catalog.TrackAsset, Assets: 2, MediaMS: hour, Bytes: 1 << 20, CPUMS: hour * usualEffort(catalog.TrackAsset) / 1000, Guessed: 2},
		},
		Total: estimate{Assets: 4, MediaMS: 3 * hour, Bytes: 3 << 20, Guessed: 3,
			CPUMS: 2*hour + hour*usualEffort(catalog.StreamAsset)/1000 + hour*usualEffort(catalog.TrackAsset)/1000},
		Captures: 4,
	}, parse[estimates](t, got.stdout))
	got = rushes(t, "reprocess", "run", "--dry-run", "--room", "one", "--data", folder)
	requireSuccess(t, got)
	require.Regexp(t, `(?m)^room-composite +1 +1\.000 +1\.0 MiB +2\.000$`, got.stdout)
	require.Regexp(t, `(?m)^together +2 +2\.000 +2\.0 MiB `, got.stdout)
	require.Contains(t, got.stdout, "of 2 captures; nothing was written\n")
	require.Equal(t, before, listed(t, folder, true))
	got = rushes(t, "reprocess", "list", "--json", "--data", folder)
	requireSuccess(t, got)
	require.Equal(t, "[]\n", got.stdout)
	withData(t, folder, func(d *data) {
		jobs, err := d.catalog.ListJobs(t.Context(), catalog.JobFilter{})
		require.NoError(t, err)
		require.Len(t, jobs, len(ids))
	})
}

// killed starts reprocess and ends it by SIGKILL once its run has queued some jobs. It gives the run's id.
func killed(t *testing.T, folder string, jobs int, args ...string) (id string) {
	t.Helper()
	cmd := child(t.Context(), t, append([]string{"reprocess", "--data", folder}, args...)...)
	require.NoError(t, cmd.Start())
	withData(t, folder, func(d *data) {
		require.Eventually(t, func() bool {
			runs, err := d.catalog.Backfills(t.Context())
			require.NoError(t, err)
			if len(runs) == 0 {
				return false
			}
			id = runs[0].ID
			return len(jobsOf(t, d, id)) >= jobs
		}, 30*time.Second, 5*time.Millisecond)
	})
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	return id
}

// jobsOf are the jobs that a run has queued, the first one first.
func jobsOf(t *testing.T, d *data, run string) []catalog.Job {
	t.Helper()
	jobs, err := d.catalog.ListJobs(t.Context(), catalog.JobFilter{BackfillID: run, Kind: catalog.CaptureJob})
	require.NoError(t, err)
	slices.Reverse(jobs)
	return jobs
}

// TestReprocessNoWorker says once that nobody works, and only while something waits for a worker.
func TestReprocessNoWorker(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	f := &feeder{env: env{stderr: &stderr}, noWorker: time.Hour, flying: map[string][]string{"job": nil}, aliveAt: time.Now()}
	f.warn()
	require.Empty(t, stderr.String())
	f.aliveAt = time.Now().Add(-time.Hour)
	f.warn()
	require.Equal(t, "rushes: no worker has been at any of the run's jobs for 1h0m0s; is `rushes serve` or `rushes worker` running?\n", stderr.String())
	f.warn()
	require.Len(t, strings.Split(stderr.String(), "\n"), 2)
	idle := &feeder{env: env{stderr: &stderr}, noWorker: time.Hour, aliveAt: time.Now().Add(-time.Hour)}
	idle.warn()
	require.Len(t, strings.Split(stderr.String(), "\n"), 2)
}

// TestReprocessIDsFromInput reads ids as a list of assets gives them.
func TestReprocessIDsFromInput(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	madeUp(t, folder)
	table := rushes(t, "assets", "list", "--room", "two", "--data", folder)
	requireSuccess(t, table)
	_, rows, _ := strings.Cut(table.stdout, "\n")
	cmd := child(t.Context(), t, "reprocess", "--ids", "-", "--dry-run", "--json", "--data", folder)
	cmd.Stdin = strings.NewReader(rows + strings.Repeat("e", 24) + "\n")
	out, err := cmd.Output()
	require.NoError(t, err)
	got := parse[estimates](t, string(out))
	require.Equal(t, int64(2), got.Total.Assets)
	require.Equal(t, 1, got.Skipped)
}
