package stage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rushes/catalog"
	"rushes/fixtures"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
	"rushes/transcode"
)

// noHandles lets the tests fail when a libav handle is left open.
type noHandles struct{ *testing.M }

func (m noHandles) Run() int {
	code := m.M.Run()
	if n := transcode.Handles(); n != 0 {
		fmt.Fprintf(os.Stderr, "%d libav handles are still open\n", n)
		return max(code, 1)
	}
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(noHandles{m}) }

// world is a capture and all that Process works with; the catalog and the store can be made to fail.
type world struct {
	cfg     stage.Config
	catalog *testCatalog
	blobs   *memoryStore
	capture *capture.Capture
}

func newWorld(t *testing.T, spec fixtures.BeamSpec) *world {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "capture")
	require.NoError(t, fixtures.Beam(t.Context(), folder, spec))
	c, err := capture.Open(t.Context(), folder)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	w := &world{catalog: newTestCatalog(t), blobs: newMemoryStore(), capture: c}
	w.cfg = stage.Config{Catalog: w.catalog, Blobs: w.blobs, Scratch: filepath.Join(t.TempDir(), "scratch"), Software: "test"}
	w.cfg.Video.Preset = "ultrafast"
	return w
}

func (w *world) process(ctx context.Context) (stage.Outcome, error) {
	return stage.Process(ctx, w.cfg, w.capture, "file:///capture")
}

// copying and encoding are specs of two short captures, the one to be copied, the other to be encoded.
func copying() fixtures.BeamSpec {
	return fixtures.BeamSpec{Script: fixtures.Script{Duration: time.Second, Rate: fixtures.Rate{Num: 10, Den: 1}}, Record: fixtures.FragmentedMP4()}
}

func encoding() fixtures.BeamSpec {
	s := copying()
	s.Script.Duration, s.Record = 2*time.Second, fixtures.WebMVP8()
	return s
}

// requireHonest wants every completed asset's bytes in the store, whatever else has happened.
func (w *world) requireHonest(t *testing.T) {
	t.Helper()
	for _, a := range w.catalog.all() {
		if a.Status != catalog.AssetCompleted {
			continue
		}
		require.EqualValues(t, a.Size, len(w.blobs.bytes(a.Path)), "asset without bytes")
		for _, key := range a.Thumbnails {
			require.NotEmpty(t, w.blobs.bytes(key), "thumbnail without bytes")
		}
	}
}

// requireDone wants one completed job, one completed asset, its bytes and thumbnail, and an empty scratch folder.
func (w *world) requireDone(t *testing.T, out stage.Outcome, err error) {
	t.Helper()
	require.NoError(t, err)
	require.Equal(t, 1, out.Made)
	require.Zero(t, out.Failed)
	require.Equal(t, catalog.JobCompleted, out.Job.State)
	require.Equal(t, catalog.JobCompleted, w.catalog.job().State)
	require.Nil(t, w.catalog.job().Error)
	assets := w.catalog.all()
	require.Len(t, assets, 1)
	require.Equal(t, catalog.AssetCompleted, assets[0].Status)
	require.ElementsMatch(t, append(assets[0].Thumbnails, assets[0].Path), w.blobs.keys())
	w.requireHonest(t)
	entries, err := os.ReadDir(w.cfg.Scratch)
	require.NoError(t, err)
	require.Empty(t, entries)
}
