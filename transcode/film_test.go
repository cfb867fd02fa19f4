package transcode_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/transcode"
	"rushes/transcode/mp4"
)

// small is the usual script of these tests.
func small(seconds float64) fixtures.Script {
	return fixtures.Script{Duration: time.Duration(seconds * float64(time.Second)), Width: 160, Height: 90, Rate: fixtures.Rate{Num: 25, Den: 1}, Identity: 5, SampleRate: 48000}
}

// record plays a script into a file of its own.
func record(t *testing.T, s fixtures.Script, spec fixtures.RecordSpec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "film"+spec.Suffix)
	require.NoError(t, fixtures.Record(t.Context(), path, s, spec))
	return path
}

// source opens a file until the test ends.
func source(t *testing.T, path string) transcode.Source {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	src, err := transcode.FileSource(filepath.Base(path), f)
	require.NoError(t, err)
	return src
}

// recording is files, each of which goes on where the one before it ended.
func recording(t *testing.T, paths ...string) transcode.Recording {
	t.Helper()
	rec := transcode.Recording{Video: transcode.VideoSettings{Preset: "ultrafast"}}
	for i, p := range paths {
		rec.Parts = append(rec.Parts, transcode.Part{Source: source(t, p), Follows: i > 0})
	}
	return rec
}

// try converts and gives whatever comes of it.
func try(t *testing.T, rec transcode.Recording) (string, *transcode.Result, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.mp4")
	out, err := os.Create(path)
	require.NoError(t, err)
	res, err := transcode.Convert(t.Context(), rec, out)
	require.NoError(t, out.Close())
	return path, res, err
}

// converted converts, holds the file against the rules for finished files and measures it.
func converted(t *testing.T, rec transcode.Recording) (string, *transcode.Result, fixtures.Report) {
	t.Helper()
	path, res, err := try(t, rec)
	require.NoError(t, err)
	for _, d := range res.Defects {
		t.Logf("defect %s: %s: %s", d.Kind, d.File, d.Detail)
	}
	playable(t, path, false)
	r, err := fixtures.Measure(t.Context(), path, fixtures.MeterConfig{})
	require.NoError(t, err)
	return path, res, r
}

// playable requires that a file meets the checklist and that ffprobe has nothing to say about it, unless
// damaged packets were copied.
func playable(t *testing.T, path string, copies bool) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	findings, err := mp4.Check(f, info.Size())
	require.NoError(t, err)
	for _, x := range findings {
		require.NotEqual(t, mp4.Must, x.Severity, "%v", x)
		t.Logf("check: %v", x)
	}
	require.NoError(t, f.Close())
	if probe := lookPath("ffprobe"); probe != "" {
		cmd := exec.CommandContext(t.Context(), probe, "-v", "warning", "-show_packets", "-of", "csv", path)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		require.NoError(t, cmd.Run())
		for line := range strings.Lines(complaint.String()) {
			require.True(t, copies, "ffprobe says %s", line)
		}
	}
}

func lookPath(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// commandLine runs the ffmpeg command line and gives what it prints. Without one, the test is skipped, unless
// RUSHES_TEST_REQUIRE lists ffmpeg.
func commandLine(t *testing.T, args ...string) string {
	t.Helper()
	path := lookPath("ffmpeg")
	if path == "" {
		if slices.Contains(strings.Split(os.Getenv("RUSHES_TEST_REQUIRE"), ","), "ffmpeg") {
			t.Fatal("no ffmpeg command line")
		}
		t.Skip("no ffmpeg command line")
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	require.NoError(t, cmd.Run(), "%v: %s", args, complaint.String())
	return out.String()
}

// expect says how an output may differ from its source.
type expect struct {
	lastLost  int           // frames that may be missing at the end
	firstLost int           // … at the beginning
	offset    time.Duration // how far A/V offsets may differ; 0 = 5 ms
	frame     time.Duration // of the source, for the duration; 0 = 40 ms
	noSound   bool
	noFilm    bool
}

// same requires that the output shows and plays what the source does, when it does.
func same(t *testing.T, src, out fixtures.Report, e expect) {
	t.Helper()
	if e.offset == 0 {
		e.offset = 5 * time.Millisecond
	}
	if e.frame == 0 {
		e.frame = 40 * time.Millisecond
	}
	begin := src.Video.First
	if e.noFilm || !e.noSound && src.Sound.First < begin {
		begin = src.Sound.First
	}
	require.Empty(t, out.Backwards)
	require.Empty(t, out.Holes)
	if !e.noFilm {
		require.Empty(t, out.Sequence.Missing)
		require.Empty(t, out.Sequence.Repeated)
		require.Empty(t, out.Sequence.OutOfOrder)
		require.Empty(t, out.Sequence.Torn)
		require.Empty(t, out.Sequence.Unreadable)
		require.Empty(t, out.Sequence.NoCode)
		require.LessOrEqual(t, out.Sequence.First, src.Sequence.First+e.firstLost)
		require.GreaterOrEqual(t, out.Sequence.Last, src.Sequence.Last-e.lastLost)
		times := map[int]time.Duration{}
		for _, f := range src.Frames {
			times[f.Code.Frame] = f.PTS - begin
		}
		// The output begins with the source's first timestamp, which a sound encoder's delay may put before all sound.
		delay := out.Frames[0].PTS - times[out.Frames[0].Code.Frame]
		require.GreaterOrEqual(t, delay, -time.Millisecond)
		require.Less(t, delay, ms(25))
		for _, f := range out.Frames {
			require.InDelta(t, times[f.Code.Frame].Seconds(), (f.PTS - delay).Seconds(), 0.00101, "time of frame %d", f.Code.Frame)
		}
	}
	if !e.noFilm && !e.noSound {
		offsets(t, src, out, e.offset)
	}
	if e.lastLost == 0 && e.firstLost == 0 {
		require.InDelta(t, src.Duration.Seconds(), out.Duration.Seconds(), e.frame.Seconds()+0.001, "duration")
	}
}

// offsets requires that sound and picture are as far from each other as in the source, at every beep.
func offsets(t *testing.T, src, out fixtures.Report, tolerance time.Duration) {
	t.Helper()
	want := map[time.Duration]time.Duration{}
	for _, o := range src.CodeOffsets {
		want[o.Session] = o.Offset
	}
	found := map[time.Duration]bool{}
	for _, o := range out.CodeOffsets {
		w, ok := want[o.Session]
		require.True(t, ok, "a beep at %v that the source does not have", o.Session)
		require.InDelta(t, w.Seconds(), o.Offset.Seconds(), tolerance.Seconds(), "A/V offset at %v", o.Session)
		found[o.Session] = true
	}
	var offs []string
	for _, o := range out.CodeOffsets {
		offs = append(offs, (o.Offset - want[o.Session]).Round(10*time.Microsecond).String())
	}
	t.Logf("A/V offsets against the source's: %v", offs)
	require.GreaterOrEqual(t, len(found), len(want)-1, "beeps %v of %v", out.CodeOffsets, src.CodeOffsets)
}

// measure measures a source.
func measure(t *testing.T, path string) fixtures.Report {
	t.Helper()
	r, err := fixtures.Measure(t.Context(), path, fixtures.MeterConfig{})
	if err != nil {
		require.ErrorIs(t, err, fixtures.ErrDamaged)
	}
	return r
}

// streamHash is the hash of all packets, one line per stream.
func streamHash(t *testing.T, path string) string {
	t.Helper()
	return commandLine(t, "-i", path, "-map", "0:v?", "-map", "0:a?", "-c", "copy", "-f", "streamhash", "-")
}

// probe runs the ffprobe command line.
func probe(t *testing.T, args ...string) string {
	t.Helper()
	if lookPath("ffprobe") == "" {
		t.Skip("no ffprobe command line")
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", append([]string{"-v", "error"}, args...)...).Output()
	require.NoError(t, err)
	return string(out)
}
