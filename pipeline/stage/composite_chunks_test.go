package stage_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog/blob/dir"
	"rushes/fixtures"
	"rushes/pipeline"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
	"rushes/transcode"
	"rushes/transcode/mp4"
)

// pictures decodes a file and gives its pictures, and its sound as one row of samples.
func pictures(t *testing.T, file string) (out []*fixtures.Picture, sound []float32) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	src, err := transcode.FileSource(file, f)
	require.NoError(t, err)
	_, err = transcode.Decode(t.Context(), src, transcode.Sink{
		Picture: func(p transcode.Picture) error {
			q := &fixtures.Picture{Width: p.Width, Height: p.Height, Y: bytes.Clone(p.Y), Cb: bytes.Clone(p.Cb), Cr: bytes.Clone(p.Cr), YStride: p.StrideY, CStride: p.StrideC}
			out = append(out, q)
			return nil
		},
		Sound: func(s transcode.Sound) error { sound = append(sound, s.Channels[0]...); return nil },
	})
	require.NoError(t, err)
	return out, sound
}

// TestCompositeChunks renders in one piece and in many: codes and sound are the same, pictures nearly, also at seams.
func TestCompositeChunks(t *testing.T) {
	t.Parallel()
	tracks := append(append(person(0, 0, 12*time.Second), person(1, 1310*ms, 7*time.Second)...), share(0, 40, 4400*ms, 4*time.Second))
	c := newCall(t, fixtures.SFUSpec{Tracks: tracks}, nil)
	settings := func(chunk time.Duration) func(m *capture.Manifest, cfg *stage.Config) {
		return func(_ *capture.Manifest, cfg *stage.Config) {
			cfg.Video.Preset, cfg.Video.KeyInterval, cfg.Chunk = "veryfast", time.Second, chunk
		}
	}
	whole, many := c.compose(t, settings(time.Hour)), c.compose(t, settings(2*time.Second))
	whole.everyFrame(nil)
	many.everyFrame(nil)
	for k := range whole.report.Shown {
		for i, w := range whole.report.Shown[k] {
			require.Equal(t, w.Code.Frame, many.report.Shown[k][i].Code.Frame, "frame %d", k)
		}
	}
	a, sa := pictures(t, whole.file)
	b, sb := pictures(t, many.file)
	require.Equal(t, sa, sb, "sound")
	require.Len(t, b, len(a))
	for k := range a {
		v, err := fixtures.SSIM(a[k], b[k])
		require.NoError(t, err)
		require.Greater(t, v, 0.99, "frame %d", k)
	}
	for _, f := range []*film{whole, many} {
		file, err := os.Open(f.file)
		require.NoError(t, err)
		info, err := file.Stat()
		require.NoError(t, err)
		findings, err := mp4.Check(file, info.Size())
		require.NoError(t, err)
		for _, x := range findings {
			require.NotEqual(t, mp4.Must, x.Severity, "%v", x)
		}
		m, err := mp4.Read(file, info.Size())
		require.NoError(t, err)
		for s, err := range m.Tracks[0].Samples() {
			require.NoError(t, err)
			require.EqualValues(t, 1000, s.Duration, "sample at %d", s.DTS)
		}
		require.NoError(t, file.Close())
	}
}

const compositeVictim = "RUSHES_TEST_COMPOSITE" // folder of a capture, a newline, a data folder

// compositeIn processes a capture with data in a folder, in chunks of a second.
func compositeIn(t *testing.T, folder, data string, observer pipeline.Observer) stage.Outcome {
	t.Helper()
	cp, err := capture.Open(t.Context(), folder)
	require.NoError(t, err)
	defer func() { require.NoError(t, cp.Close()) }()
	small(cp.Manifest)
	blobs, err := dir.Open(filepath.Join(data, "assets"))
	require.NoError(t, err)
	cfg := stage.Config{Catalog: newTestCatalog(t), Blobs: blobs, Scratch: filepath.Join(data, "scratch"), Software: "test", Settings: stage.Settings{Chunk: time.Second}, Observer: observer}
	cfg.Video.Preset, cfg.Video.KeyInterval = "medium", time.Second
	out, err := stage.Process(t.Context(), cfg, cp, "file://"+folder)
	require.NoError(t, err)
	return out
}

// TestCompositeVictim is the process that TestCompositeKilled kills; by itself it does nothing.
func TestCompositeVictim(t *testing.T) {
	job, ok := os.LookupEnv(compositeVictim)
	if !ok {
		t.Skip("runs inside TestCompositeKilled only")
	}
	folder, data, _ := strings.Cut(job, "\n")
	compositeIn(t, folder, data, nil)
}

// TestCompositeKilled kills a process in the middle: the next one takes the finished chunks as they are, and the
// result is, byte for byte, that of a run that nobody disturbed.
func TestCompositeKilled(t *testing.T) {
	t.Parallel()
	tracks := append(person(0, 0, 16*time.Second), person(1, 1310*ms, 14*time.Second)...)
	for i := range tracks {
		tracks[i].KeyEvery = 100 * ms // borders cost nothing, so that there are many
	}
	c := newCall(t, fixtures.SFUSpec{Tracks: tracks}, nil)
	data, calm := t.TempDir(), t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestCompositeVictim$", "-test.count", "1")
	cmd.Env = append(os.Environ(), compositeVictim+"="+c.folder+"\n"+data)
	require.NoError(t, cmd.Start())
	marks := func() []string {
		all, err := filepath.Glob(filepath.Join(data, "scratch", "*", "composite.chunk.*", "chunk.mp4"))
		require.NoError(t, err)
		return all
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	poll := time.NewTicker(2 * ms)
	defer poll.Stop()
	for done := false; !done; {
		select {
		case err := <-ended:
			require.Fail(t, "it ended before it could be killed", "%v", err)
		case <-poll.C:
			done = len(marks()) >= 6
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	require.Error(t, <-ended)
	before := map[string]time.Time{}
	for _, m := range marks() {
		info, err := os.Stat(m)
		require.NoError(t, err)
		before[m] = info.ModTime()
	}
	reused := &chunkWatch{before: before}
	out := compositeIn(t, c.folder, data, reused)
	undisturbed := compositeIn(t, c.folder, calm, nil)
	require.GreaterOrEqual(t, reused.same, 3, "finished chunks are rendered again")
	t.Logf("%d of %d chunks that were begun are reused", reused.same, len(before))
	a, err := os.ReadFile(filepath.Join(data, "assets", filepath.FromSlash(out.Assets[0].Path)))
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(calm, "assets", filepath.FromSlash(undisturbed.Assets[0].Path)))
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b), "%d and %d bytes", len(a), len(b))
}

// chunkWatch counts, when rendering ends, the files of chunks that have not been written again.
type chunkWatch struct {
	before map[string]time.Time
	same   int
}

var _ pipeline.Observer = (*chunkWatch)(nil)

func (w *chunkWatch) StageStarted(string, int, int) {}

func (w *chunkWatch) Progress(string, pipeline.Progress) {}

func (w *chunkWatch) StageDone(name string, _ pipeline.StageResult) {
	if name != "render" {
		return
	}
	for file, at := range w.before {
		if info, err := os.Stat(file); err == nil && info.ModTime().Equal(at) {
			w.same++
		}
	}
}
