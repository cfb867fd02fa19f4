package transcode_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/fixtures"
	"rushes/transcode"
)

// concat puts files one after the other, byte by byte, as a restarted recorder leaves them.
func concat(t *testing.T, paths ...string) string {
	t.Helper()
	var all []byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		all = append(all, b...)
	}
	out := filepath.Join(t.TempDir(), "joined"+filepath.Ext(paths[0]))
	require.NoError(t, os.WriteFile(out, all, 0o600))
	return out
}

// inOrder requires that a film shows the numbers from first to last of several recordings, each counted from 0, one
// after the other without a jump of more than most, and that every beep is as far from its picture as want.
func inOrder(t *testing.T, r fixtures.Report, lengths []int, most time.Duration, want time.Duration) {
	t.Helper()
	var codes []int
	for _, f := range r.Frames {
		require.NoError(t, f.Err)
		codes = append(codes, f.Code.Frame)
	}
	var expected []int
	for _, n := range lengths {
		for i := range n {
			expected = append(expected, i)
		}
	}
	require.Equal(t, expected, codes)
	for i := 1; i < len(r.Frames); i++ {
		require.LessOrEqual(t, r.Frames[i].PTS-r.Frames[i-1].PTS, most, "before frame %d", i)
	}
	require.Empty(t, r.Holes)
	require.Empty(t, r.Backwards)
	require.NotEmpty(t, r.CodeOffsets)
	for _, o := range r.CodeOffsets {
		require.InDelta(t, want.Seconds(), o.Offset.Seconds(), 0.022, "A/V offset at %v", o.At)
	}
}

// TestConvertSizes changes the picture's size inside a recording: the first that lasts is kept, the others are
// fitted into it with bars, and nothing is stretched.
func TestConvertSizes(t *testing.T) {
	t.Parallel()
	size := func(at, w, h int) fixtures.SizeChange {
		return fixtures.SizeChange{At: ms(at), Width: w, Height: h}
	}
	for name, tc := range map[string]struct {
		spec          fixtures.RecordSpec
		first         [2]int
		sizes         []fixtures.SizeChange
		width, height int
	}{
		"vp8 up":          {fixtures.WebMVP8(), [2]int{160, 120}, []fixtures.SizeChange{size(600, 320, 240)}, 320, 240},
		"vp8 down":        {fixtures.WebMVP8(), [2]int{320, 180}, []fixtures.SizeChange{size(2200, 160, 90)}, 320, 180},
		"vp9 turned":      {fixtures.WebMVP9(), [2]int{320, 180}, []fixtures.SizeChange{size(2200, 180, 320)}, 320, 180},
		"vp8 and back":    {fixtures.WebMVP8(), [2]int{320, 180}, []fixtures.SizeChange{size(2100, 180, 180), size(2700, 320, 180)}, 320, 180},
		"h264 in ts":      {fixtures.MPEGTS(), [2]int{320, 180}, []fixtures.SizeChange{size(2200, 240, 180)}, 320, 180},
		"h264 in ts soon": {fixtures.MPEGTS(), [2]int{160, 90}, []fixtures.SizeChange{size(1000, 320, 180)}, 320, 180},
		"vp8 odd":         {fixtures.WebMVP8(), [2]int{321, 181}, nil, 320, 180},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := small(4)
			s.Width, s.Height, s.Sizes = tc.first[0], tc.first[1], tc.sizes
			path := record(t, s, tc.spec)
			src := measure(t, path)
			_, res, r := converted(t, recording(t, path))
			require.Equal(t, [2]int{tc.width, tc.height}, [2]int{res.Width, res.Height})
			same(t, src, r, expect{})
			require.Equal(t, []fixtures.Size{{At: r.Video.First, Width: tc.width, Height: tc.height}}, r.Sizes)
			for _, f := range r.Frames {
				box := f.Code.Box
				require.InDelta(t, 1.6, float64(box.Dx())/float64(box.Dy()), 0.1, "frame %d at %v is stretched: %v", f.Code.Frame, f.PTS, box)
			}
		})
	}
}

// TestConvertRestarts lets timestamps begin again inside a file.
func TestConvertRestarts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec fixtures.RecordSpec
		want time.Duration
	}{
		"ts": {fixtures.MPEGTS(), 0}, "webm": {fixtures.WebMVP8(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := small(3), small(2.2)
			path := concat(t, record(t, a, tc.spec), record(t, b, tc.spec))
			_, res, r := converted(t, recording(t, path))
			require.NotEmpty(t, res.Defects)
			inOrder(t, r, []int{75, 55}, ms(100), tc.want)
			require.InDelta(t, 5.2, r.Duration.Seconds(), 0.1)
		})
	}
}

// TestConvertJumps lets timestamps leap ahead by days in the middle: what is not believable is closed.
func TestConvertJumps(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec   fixtures.RecordSpec
		shift  time.Duration
		length time.Duration // of the session, as its manifest says
		keeps  bool          // the gap is believed
	}{
		"ts, a day":            {fixtures.MPEGTS(), 20 * time.Hour, 0, false},
		"webm, years":          {fixtures.WebMVP8(), 5 * 365 * 24 * time.Hour, 0, false},
		"webm, session known":  {fixtures.WebMVP8(), 10 * time.Minute, 6 * time.Second, false},
		"webm, twenty seconds": {fixtures.WebMVP8(), 20 * time.Second, 0, true},
		"ts, twenty seconds":   {fixtures.MPEGTS(), 20 * time.Second, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			later := tc.spec
			later.Shift = tc.shift
			path := concat(t, record(t, small(3), tc.spec), record(t, small(2.2), later))
			rec := recording(t, path)
			rec.Length = tc.length
			_, _, r := converted(t, rec)
			most := ms(100)
			if tc.keeps {
				most = 20 * time.Second
				require.InDelta(t, 22.2, r.Duration.Seconds(), 0.15)
			}
			inOrder(t, r, []int{75, 55}, most, 0)
		})
	}
}

// TestConvertWrap lets the 33 bits of MPEG-TS time run over.
func TestConvertWrap(t *testing.T) {
	t.Parallel()
	for _, before := range []time.Duration{ms(700), ms(1500), ms(2950)} {
		spec := fixtures.MPEGTS()
		spec.MuxerOptions = map[string]string{"muxdelay": "0", "muxpreload": "0"}
		spec.Shift = time.Duration((1<<33)*int64(time.Second)/90000) - before
		path := record(t, small(3.4), spec)
		src := measure(t, path)
		_, res, r := converted(t, recording(t, path))
		require.Empty(t, res.Defects)
		require.True(t, res.VideoCopied && res.AudioCopied)
		same(t, src, r, expect{})
		inOrder(t, r, []int{85}, ms(41), 0)
	}
}

// TestConvertOneKind converts sound without pictures and pictures without sound.
func TestConvertOneKind(t *testing.T) {
	t.Parallel()
	for kind, spec := range kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			quiet, blind := spec, spec
			quiet.Audio, blind.Video = nil, nil
			path := record(t, small(2), quiet)
			src := measure(t, path)
			_, res, r := converted(t, recording(t, path))
			require.True(t, res.Video && !res.Audio)
			require.Zero(t, r.Sound.Count)
			same(t, src, r, expect{noSound: true})

			path = record(t, small(2), blind)
			src = measure(t, path)
			_, res, r = converted(t, recording(t, path))
			require.True(t, res.Audio && !res.Video)
			require.Zero(t, r.Video.Count)
			same(t, src, r, expect{noFilm: true})
			require.Len(t, r.Beeps, len(src.Beeps))
		})
	}
}

// TestConvertSecondKeyFrame begins with pictures that need one that is lost.
func TestConvertSecondKeyFrame(t *testing.T) {
	t.Parallel()
	s := small(4)
	path := record(t, s, fixtures.MPEGTS())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	// Half a second in, between two key frames and at a packet's border. The tables come again and again.
	cut := len(data) / 8 / 188 * 188
	torn := filepath.Join(t.TempDir(), "torn.ts")
	require.NoError(t, os.WriteFile(torn, data[cut:], 0o600))
	_, res, r := converted(t, recording(t, torn))
	require.True(t, res.VideoCopied)
	require.Equal(t, 30, r.Sequence.First)
	require.Equal(t, 99, r.Sequence.Last)
	require.Empty(t, r.Sequence.Missing)
	for _, o := range r.CodeOffsets {
		require.InDelta(t, 0, o.Offset.Seconds(), 0.005)
	}
}

// TestConvertShape keeps sample aspect ratio and rotation, copied and encoded.
func TestConvertShape(t *testing.T) {
	t.Parallel()
	plain := record(t, small(1), fixtures.FragmentedMP4())
	path := filepath.Join(t.TempDir(), "turned.mp4")
	commandLine(t, "-i", plain, "-c", "copy", "-aspect", "2:1", "-metadata:s:v", "rotate=90", path)
	shape := func(file string) string {
		return probe(t, "-show_entries", "stream=width,height,sample_aspect_ratio:stream_side_data=rotation", "-select_streams", "v", "-of", "csv", file)
	}
	for _, encode := range []bool{false, true} {
		rec := recording(t, path)
		rec.Video.Encode = encode
		out, res, _ := converted(t, rec)
		require.Equal(t, !encode, res.VideoCopied)
		require.Equal(t, shape(path), shape(out))
	}
}

// TestConvertForeign converts what only the ffmpeg command line can make.
func TestConvertForeign(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		args []string
	}{
		"av1 opus webm": {"x.webm", []string{"-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "35", "-usage", "realtime", "-c:a", "libopus"}},
		"h264 mp3 ts":   {"x.ts", []string{"-c:v", "copy", "-c:a", "libmp3lame"}},
		"h264 mp3 mkv":  {"x.mkv", []string{"-c:v", "copy", "-c:a", "libmp3lame"}},
		"hevc aac mp4":  {"x.mp4", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-c:a", "copy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := record(t, small(3), fixtures.Matroska("aac"))
			path := filepath.Join(t.TempDir(), tc.file)
			commandLine(t, append(append([]string{"-i", plain, "-fps_mode", "passthrough"}, tc.args...), path)...)
			src := measure(t, path)
			_, _, r := converted(t, recording(t, path))
			same(t, src, r, expect{})
		})
	}
}

// TestConvertNothing refuses what is no recording, and says which file and why.
func TestConvertNothing(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"empty": {}, "one byte": {0x1a}, "text": []byte("this is not a film\n"), "zeros": make([]byte, 100_000), "noise": bytes.Repeat([]byte{0x47, 3, 7, 250, 11}, 40_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "nothing.webm")
			require.NoError(t, os.WriteFile(path, data, 0o600))
			_, _, err := try(t, recording(t, path))
			var bad *transcode.InputError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, "nothing.webm", bad.File)
			require.NotEmpty(t, bad.Reason)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}
