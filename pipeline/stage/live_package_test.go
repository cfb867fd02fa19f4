package stage_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob"
	"rushes/catalog/blob/dir"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// TestLiveWorker takes a live stream through the worker's path, and its package away again.
func TestLiveWorker(t *testing.T) {
	t.Parallel()
	folder := makeStream(t, plainStream())
	w := liveWorld(t, folder)
	job, err := stage.NewJob(t.Context(), folder, stage.Options{})
	require.NoError(t, err)
	job, _, err = w.catalog.Store.AddJob(t.Context(), job, true)
	require.NoError(t, err)
	job, err = w.catalog.Store.ClaimJob(t.Context(), job.ID, "test")
	require.NoError(t, err)
	blobs, err := dir.Open(filepath.Join(t.TempDir(), "assets"))
	require.NoError(t, err)
	w.cfg.Blobs = blobs
	cfg := stage.WorkerConfig{Config: w.cfg, Steps: func(catalog.Job) stage.Steps { return &forger{} }, Disk: pipeline.DiskRule{Path: t.TempDir(), Reserve: -1}}
	end := stage.Work(cfg)(t.Context(), job, catalog.Claim{JobID: job.ID, Fence: job.Fence})
	require.Nil(t, end.Failure)
	require.Equal(t, catalog.EndCompleted, end.Ending)
	assets := w.catalog.all()
	require.Len(t, assets, 3)
	count := func() (n int) {
		for _, err := range blobs.List(t.Context(), "hls/") {
			require.NoError(t, err)
			n++
		}
		return n
	}
	require.Greater(t, count(), 15)
	for _, a := range assets {
		if a.Type == catalog.RoomVOD {
			beside := strings.TrimSuffix(a.Path, "master.m3u8") + "Rec-room-1795370400000.zip"
			require.NoError(t, blobs.Put(t.Context(), beside, strings.NewReader("another asset's"), blob.PutOptions{Size: blob.UnknownSize}))
			_, _, err := stage.Delete(t.Context(), w.catalog, blobs, a.ID)
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2*2+1, count(), "the MP4s with their thumbnails, and the zip")
}

// TestPackageIncomplete makes a package again of which a segment was lost in the store.
func TestPackageIncomplete(t *testing.T) {
	t.Parallel()
	folder := makeStream(t, plainStream())
	w := liveWorld(t, folder)
	out, err := w.process(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, out.Made)
	before := len(w.blobs.keys())
	again, err := w.process(t.Context())
	require.NoError(t, err)
	require.Equal(t, out.Assets, again.Assets)
	key := "hls/room/20261122/1795370400000/vod/180p/00001.m4s"
	sum := sha256.Sum256(w.blobs.bytes(key))
	require.NoError(t, w.blobs.Delete(t.Context(), key))
	w.blobs.calls = nil
	_, err = w.process(t.Context())
	require.NoError(t, err)
	require.Equal(t, sum, sha256.Sum256(w.blobs.bytes(key)))
	require.Len(t, w.blobs.keys(), before)
}

// TestPackagePublishedLast shows that no playlist is in the store before what it names, and nothing stays of a package
// when the store breaks down and the job is over.
func TestPackagePublishedLast(t *testing.T) {
	t.Parallel()
	folder := makeStream(t, plainStream())
	editManifest(t, folder, func(m *capture.Manifest) { m.Outputs.Assets = []string{capture.AssetRoomVOD} })
	w := liveWorld(t, folder)
	w.blobs.name, w.blobs.nth, w.blobs.often = "Put", 9, tooOften
	_, err := w.process(t.Context())
	require.ErrorIs(t, err, errFault)
	for _, key := range w.blobs.keys() {
		require.NotEqual(t, ".m3u8", filepath.Ext(key))
	}
	w.blobs.heal()
	out, err := w.process(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, out.Made)
}

// TestForgedPackage lets a step that was taken over leave files in a package that are another asset's, or none.
func TestForgedPackage(t *testing.T) {
	t.Parallel()
	folder := makeStream(t, plainStream())
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("the host's"), 0o600))
	for name, leave := range map[string]func(unit string) error{
		"a link": func(unit string) error { return os.Symlink(secret, filepath.Join(unit, "180p", "00009.m4s")) },
		"another's name": func(unit string) error {
			return os.WriteFile(filepath.Join(unit, "Rec-room-1.zip"), []byte("x"), 0o600)
		},
		"one file more": func(unit string) error { return os.WriteFile(filepath.Join(unit, "x.m4s"), []byte("x"), 0o600) },
		"a mark that leads out": func(unit string) error {
			mark := unit + ".done"
			text, err := os.ReadFile(mark)
			if err != nil {
				return err
			}
			return os.WriteFile(mark, bytes.Replace(text, []byte(`"files":{`), []byte(`"files":{"../../secret":10,`), 1), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := liveWorld(t, folder)
			job, err := stage.NewJob(t.Context(), folder, stage.Options{})
			require.NoError(t, err)
			job, _, err = w.catalog.Store.AddJob(t.Context(), job, true)
			require.NoError(t, err)
			job, err = w.catalog.Store.ClaimJob(t.Context(), job.ID, "test")
			require.NoError(t, err)
			f := &forger{files: func(step stage.StepName, scratch string) {
				if step == stage.StepThumbnails {
					require.NoError(t, leave(filepath.Join(scratch, "render.room-vod")))
				}
			}}
			end := stage.Work(stage.WorkerConfig{Config: w.cfg, Steps: func(catalog.Job) stage.Steps { return f }, Disk: pipeline.DiskRule{Path: t.TempDir(), Reserve: -1}})(
				t.Context(), job, catalog.Claim{JobID: job.ID, Fence: job.Fence})
			for _, key := range w.blobs.keys() {
				require.NotContains(t, string(w.blobs.bytes(key)), "the host's")
				require.NotContains(t, key, "Rec-room-1.zip")
				require.NotContains(t, key, "x.m4s")
			}
			if name == "a mark that leads out" {
				require.NotNil(t, end.Failure)
			}
		})
	}
}

// TestCompositePackage makes packages of a composite: of its one layer, and with a ladder, whose layers have the same
// borders and the same clock.
func TestCompositePackage(t *testing.T) {
	t.Parallel()
	spec := encoding()
	spec.Script.Duration, spec.Script.Width, spec.Script.Height = 9*time.Second, 320, 180
	w := newWorld(t, spec)
	require.NoError(t, w.capture.Override([]byte(`{"assets":["room-vod","room-composite"],"vod":{"ladder":[160,144,720]}}`)))
	folder := filepath.Join(t.TempDir(), "assets")
	blobs, err := dir.Open(folder)
	require.NoError(t, err)
	w.cfg.Blobs = blobs
	out, err := w.process(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, out.Made)
	b := &broadcast{session: &session{T: t, out: out, assets: folder}}
	vod := b.find(catalog.RoomVOD, "")
	require.Equal(t, "3", vod.Metadata.NumLayers)
	require.Equal(t, []int{320, 180}, []int{vod.Metadata.MaxWidth, vod.Metadata.MaxHeight})
	require.Len(t, vod.Thumbnails, 1)
	b.conforms()
	film := b.find(catalog.RoomComposite, "")
	video, audio := b.movie(film)
	top, borders := b.rendition("180p")
	sound, _ := b.rendition("audio")
	steady(t, moved(t, video, top, -1), moved(t, audio, sound, -1))
	require.Len(t, top, len(video))
	require.Greater(t, len(borders), 1)
	for _, rung := range []string{"160p", "144p"} {
		low, same := b.rendition(rung)
		require.Equal(t, borders, same)
		require.Len(t, low, len(top))
		for i := range low {
			require.InDelta(t, top[i].at, low[i].at, 0.001)
		}
	}
	require.InDelta(t, film.Duration.Seconds(), vod.Duration.Seconds(), 0.05)
}
