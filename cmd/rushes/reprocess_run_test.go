package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/fixtures"
	"rushes/pipeline"
)

// meeting is a short call of two people in a room.
func meeting(t *testing.T, room string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "capture")
	track := func(peer, codec string, format fixtures.SFUFormat) fixtures.SFUTrack {
		return fixtures.SFUTrack{ID: peer + "-" + codec, Peer: peer, Codec: codec, Format: format, Script: script(2 * time.Second)}
	}
	_, err := fixtures.SFU(t.Context(), folder, fixtures.SFUSpec{Room: room, Seed: 3, Tracks: []fixtures.SFUTrack{
		track("ann", "VP8", fixtures.IVF), track("ann", "OPUS", fixtures.Ogg), track("bob", "VP8", fixtures.IVF)}})
	require.NoError(t, err)
	return folder
}

// TestReprocess makes the assets of two captures again with another layout: each new one takes the place of the old one,
// which can be reached until it is purged.
func TestReprocess(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "data")
	doc := process(t, folder, meeting(t, "talk"), "--layout", "grid", "--preset", "ultrafast")
	require.Len(t, doc.Assets, 4)
	rooms(t, folder, "beam")
	before, bytesBefore := listed(t, folder, false), files(t, filepath.Join(folder, "blobs"))
	startServe(t, folder)

	run := again(t, pipeline.ExitOK, folder, "--all", "--layout", "sidebar", "--size", "640x360", "--crf", "40", "--rate", "0")
	require.Equal(t, catalog.BackfillDone, run.State)
	require.Equal(t, counts{catalog.ItemDone: int64(len(before))}, run.Counts)
	require.Empty(t, run.Items)
	after := listed(t, folder, false)
	require.Len(t, after, len(before))
	was := map[string]catalog.Asset{}
	for _, a := range before {
		was[a.Key] = a
	}
	withData(t, folder, func(d *data) {
		jobs := jobsOf(t, d, run.ID)
		require.Len(t, jobs, 2, "one for each capture")
		for _, j := range jobs {
			require.Equal(t, catalog.JobCompleted, j.State)
			require.Equal(t, catalog.QueueBackfill, j.Queue)
			require.Equal(t, 1, j.Generation)
		}
		for _, a := range after {
			old := was[a.Key]
			require.Equal(t, 2, a.Version)
			require.Equal(t, old.ID, a.Supersedes)
			require.NotEqual(t, old.Path, a.Path)
			if a.Type == catalog.RoomCompositeLegacy {
				require.Equal(t, &catalog.Resolution{Width: 640, Height: 360}, a.Metadata.Resolution)
				require.Equal(t, "sidebar", a.Metadata.Layout)
				require.Equal(t, "grid", old.Metadata.Layout)
			}
			show := rushes(t, "assets", "show", old.ID, "--data", folder)
			requireSuccess(t, show)
			require.Equal(t, old.ID, parse[assetJSON](t, show.stdout).ID)
			_, err := d.blobs.Stat(t.Context(), old.Path)
			require.NoError(t, err, "the old bytes are there")
		}
	})
	bytesAfter := files(t, filepath.Join(folder, "blobs"))
	require.Subset(t, bytesAfter, bytesBefore)
	requirePurge(t, folder, before, bytesBefore, bytesAfter)

	// Options that were given once stay where later runs do not give others.
	screen, stdout, code := shown(t, "xterm", "reprocess", "--data", folder, "--type", "room-composite-legacy", "--background", "#102030")
	require.Equal(t, pipeline.ExitOK, code)
	require.Contains(t, screen, "0 pending, 1 done, 0 skipped, 0 failed, 0 jobs in flight")
	require.Regexp(t, `\Arun [0-9a-f]{24}: 1 assets\nrun [0-9a-f]{24}: done\nselection .*\n(?s:.*)^?done +1\n`, stdout)
	for _, a := range listed(t, folder, false) {
		if a.Type == catalog.RoomCompositeLegacy {
			require.Equal(t, 3, a.Version)
			require.Equal(t, "sidebar", a.Metadata.Layout)
			require.Equal(t, 640, a.Metadata.Resolution.Width)
		} else {
			require.Equal(t, 2, a.Version, "was not chosen")
		}
	}
	got := rushes(t, "reprocess", "list", "--data", folder)
	requireSuccess(t, got)
	require.Regexp(t, `(?m)^[0-9a-f]{24}  done   0        0       1     0        0 .*"type":"room-composite-legacy"`, got.stdout)
}

// requirePurge deletes what was replaced, of one room first, and exactly that.
func requirePurge(t *testing.T, folder string, before []catalog.Asset, bytesBefore, bytesAfter []string) {
	t.Helper()
	run := func(args ...string) purged {
		got := rushes(t, append([]string{"reprocess", "--purge", "--json", "--data", folder}, args...)...)
		requireSuccess(t, got)
		return parse[purged](t, got.stdout)
	}
	total := purged{Assets: int64(len(before)), Kept: []keptAsset{}}
	for _, a := range before {
		total.Bytes += a.Size
	}
	dry := total
	dry.DryRun = true
	require.Equal(t, dry, run("--all", "--dry-run"))
	require.Equal(t, bytesAfter, files(t, filepath.Join(folder, "blobs")))
	require.Len(t, listed(t, folder, true), 2*len(before))
	first := run("--room", "room-beam")
	require.Equal(t, int64(1), first.Assets)
	second := run("--all")
	require.Equal(t, total.Assets, first.Assets+second.Assets)
	require.Equal(t, total.Bytes, first.Bytes+second.Bytes)
	kept := slices.DeleteFunc(slices.Clone(bytesAfter), func(name string) bool { return slices.Contains(bytesBefore, name) })
	require.Equal(t, kept, files(t, filepath.Join(folder, "blobs")))
	require.Len(t, listed(t, folder, true), len(before))
	for _, a := range before {
		requireOneLine(t, rushes(t, "assets", "show", a.ID, "--data", folder), pipeline.ExitOther, "no asset has the id")
	}
	require.Equal(t, purged{Kept: []keptAsset{}}, run("--all"), "there is nothing left to purge")
}

// TestReprocessKilled kills the feeder in mid-run; resumed, it brings every capture to its end once, whatever that is.
func TestReprocessKilled(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "data")
	captures := rooms(t, folder, "k1", "k2", "k3", "k4", "k5", "k6", "k7")
	require.NoError(t, os.RemoveAll(captures[5]))
	for _, name := range files(t, captures[6]) {
		if name != "capture.json" {
			require.NoError(t, os.WriteFile(filepath.Join(captures[6], name), []byte("no film"), 0o644))
		}
	}
	moved := filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.Rename(captures[4], moved))
	requireSuccess(t, rushes(t, "enqueue", moved, "--data", folder)) // tells where it lies now
	before := listed(t, folder, false)
	startServe(t, folder)
	id := killed(t, folder, 3, "--all", "--rate", "4")

	run := again(t, pipeline.ExitPartial, folder, "--resume", id, "--rate", "0")
	require.Equal(t, id, run.ID)
	require.Equal(t, catalog.BackfillDone, run.State)
	require.Equal(t, counts{catalog.ItemDone: 5, catalog.ItemSkipped: 1, catalog.ItemFailed: 1}, run.Counts)
	reasons := map[catalog.BackfillItemState]string{}
	for _, i := range run.Items {
		reasons[i.State] = i.Reason
	}
	require.Contains(t, reasons[catalog.ItemSkipped], "the capture has vanished: "+captures[5])
	require.Contains(t, reasons[catalog.ItemFailed], "not a media file")
	withData(t, folder, func(d *data) {
		jobs := jobsOf(t, d, id)
		require.Len(t, jobs, 6, "one for each capture that is there")
		seen := map[string]bool{}
		for _, j := range jobs {
			require.False(t, seen[j.CaptureKey])
			seen[j.CaptureKey] = true
		}
	})
	rooms := map[string]int{}
	for _, a := range listed(t, folder, false) {
		require.Equal(t, catalog.AssetCompleted, a.Status)
		rooms[a.RoomID] = a.Version
	}
	require.Equal(t, map[string]int{"room-k1": 2, "room-k2": 2, "room-k3": 2, "room-k4": 2, "room-k5": 2, "room-k6": 1, "room-k7": 1}, rooms)
	require.Len(t, listed(t, folder, true), len(before)+5)

	// Killed after a job was queued and before that was written down, the same job is taken.
	withData(t, folder, func(d *data) {
		items, err := d.catalog.Items(t.Context(), id, catalog.ItemDone, "", 2)
		require.NoError(t, err)
		for _, i := range items {
			require.NoError(t, d.catalog.UpdateItem(t.Context(), catalog.BackfillItem{BackfillID: id, AssetID: i.AssetID, State: catalog.ItemPending}))
		}
		require.Equal(t, run, again(t, pipeline.ExitPartial, folder, "--resume", id))
		require.Len(t, jobsOf(t, d, id), 6)
	})
	// Resumed once more, there is nothing to do; the reasons are still there.
	require.Equal(t, run, again(t, pipeline.ExitPartial, folder, "--resume", id))
	show := rushes(t, "reprocess", "show", id, "--data", folder)
	requireSuccess(t, show)
	require.Regexp(t, `(?m)^done +5\n(skipped) +1\n +1: the capture has vanished`, show.stdout)
	require.Regexp(t, `(?m)^failed +1\n +1: .*not a media file`, show.stdout)
	requireIDs(t, folder, before)
}

// requireIDs reprocesses from a file of ids that were all replaced, but for two.
func requireIDs(t *testing.T, folder string, assets []catalog.Asset) {
	t.Helper()
	list := filepath.Join(t.TempDir(), "ids")
	text := "ffffffffffffffffffffffff\n"
	for _, a := range assets {
		if a.RoomID != "room-k6" && a.RoomID != "room-k7" {
			text += a.ID + "\n"
		}
	}
	require.NoError(t, os.WriteFile(list, []byte(text), 0o644))
	run := again(t, pipeline.ExitOK, folder, "--ids", list)
	require.Equal(t, counts{catalog.ItemSkipped: 6}, run.Counts)
	for _, i := range run.Items {
		if i.AssetID[0] == 'f' {
			require.Equal(t, notInCatalog, i.Reason)
		} else {
			require.Equal(t, "a newer asset has replaced it already", i.Reason)
		}
	}
}

// TestReprocessLimits counts in the catalog what is queued at a time and each second, without a worker and with one; and
// stops the feeder the gentle way in between.
func TestReprocessLimits(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "data")
	rooms(t, folder, "l1", "l2", "l3", "l4", "l5")
	cmd := child(t.Context(), t, "reprocess", "--all", "--data", folder, "--rate", "0", "--max-in-flight", "2")
	require.NoError(t, cmd.Start())
	var id string
	open := func(d *data) (open int) {
		for _, j := range jobsOf(t, d, id) {
			if !j.State.Final() {
				open++
			}
		}
		return open
	}
	withData(t, folder, func(d *data) {
		require.Eventually(t, func() bool {
			runs, err := d.catalog.Backfills(t.Context())
			require.NoError(t, err)
			if len(runs) > 0 {
				id = runs[0].ID
			}
			return id != "" && open(d) == 2
		}, 20*time.Second, 5*time.Millisecond)
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		require.Error(t, cmd.Wait())
		require.Equal(t, pipeline.ExitOther, cmd.ProcessState.ExitCode())
		run, err := d.catalog.Backfill(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, catalog.BackfillStopped, run.State)
		require.Equal(t, 2, open(d), "nobody works, so no more were queued")

		ctx, stop := context.WithCancel(t.Context())
		most := make(chan int, 1)
		go func() {
			n := 0
			for ctx.Err() == nil {
				jobs, err := d.catalog.ListJobs(ctx, catalog.JobFilter{BackfillID: id, Kind: catalog.CaptureJob})
				if err != nil {
					continue
				}
				n = max(n, len(slices.DeleteFunc(jobs, func(j catalog.Job) bool { return j.State.Final() })))
			}
			most <- n
		}()
		startServe(t, folder)
		done := again(t, pipeline.ExitOK, folder, "--resume", id)
		stop()
		require.Equal(t, counts{catalog.ItemDone: 5}, done.Counts)
		require.Equal(t, 2, <-most)

		paced := again(t, pipeline.ExitOK, folder, "--all", "--rate", "5", "--max-in-flight", "0")
		jobs := jobsOf(t, d, paced.ID)
		require.Len(t, jobs, 5)
		for i := range jobs[1:] {
			require.GreaterOrEqual(t, jobs[i+1].CreatedAt.Sub(jobs[i].CreatedAt), time.Second/5)
		}
	})
}

// TestReprocessFailedAssets makes again what had failed, after the capture was mended, and what a job has not made says
// why. Without a worker, that is said.
func TestReprocessFailedAssets(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "data")
	capture := meeting(t, "mended")
	name := filepath.Join(capture, "tracks", "bob-VP8.ivf")
	film, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, []byte("no film"), 0o644))
	got := rushes(t, "process", capture, "--assets", "track", "--data", folder)
	require.Equal(t, pipeline.ExitPartial, got.code, got.stderr)
	require.NoError(t, os.WriteFile(name, film, 0o644))
	other := filepath.Join(capture, "tracks", "ann-VP8.ivf")
	require.NoError(t, os.WriteFile(other, []byte("no film"), 0o644))

	startServe(t, folder)
	run := again(t, pipeline.ExitPartial, folder, "--all")
	require.Equal(t, counts{catalog.ItemDone: 2, catalog.ItemFailed: 1}, run.Counts, fmt.Sprint(run.Items))
	require.Contains(t, run.Items[0].Reason, "ann-VP8")
	for _, a := range listed(t, folder, false) {
		require.Equal(t, catalog.AssetCompleted, a.Status, a.Metadata.TrackID)
		want := 2
		if a.Metadata.TrackID == "ann-VP8" {
			want = 1
		}
		require.Equal(t, want, a.Version, a.Metadata.TrackID)
	}
	require.Len(t, listed(t, folder, false), 3, "what failed was replaced")
	require.Equal(t, counts{}, again(t, pipeline.ExitOK, folder, "--status", "failed").Counts)
}
