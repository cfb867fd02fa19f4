package mp4

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAgainstFFmpeg rewrites real H.264 and AAC and lets the ffmpeg command
// line compare both files.
func TestAgainstFFmpeg(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "source.mp4")
	run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=5", "-f", "lavfi", "-i", "sine=1000:d=5:r=48000",
		"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "60", "-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709",
		"-color_trc", "bt709", "-c:a", "aac", "-metadata:s:a", "language=deu", "-movflags", "+faststart", source)
	in, size := open(t, source)
	requireClean(t, in, size, 46) // ffmpeg's own audio trails by its longer interleave
	m, err := Read(in, size)
	require.NoError(t, err)
	for _, buffer := range []int{0, 20000} {
		target := filepath.Join(dir, "target.mp4")
		rewrite(t, m, in, target, Options{BufferBytes: buffer})
		for _, args := range [][]string{
			{"-map", "0", "-c", "copy", "-f", "streamhash", "-"},
			{"-map", "0", "-c", "copy", "-f", "framehash", "-"},
			{"-map", "0", "-f", "streamhash", "-"}, // decoded: priming and end are cut alike
		} {
			hash := func(path string) string {
				return run(t, "ffmpeg", append([]string{"-v", "warning", "-i", path}, args...)...)
			}
			require.Equal(t, hash(source), hash(target))
		}
		require.Empty(t, run(t, "ffprobe", "-v", "warning", target))
		show := func(path string) string {
			return run(t, "ffprobe", "-v", "warning", "-show_entries", "stream=codec_name,start_time,duration,nb_frames,color_space,profile,channels:stream_tags=language", path)
		}
		require.Equal(t, show(source), show(target))
		out, outSize := open(t, target)
		requireClean(t, out, outSize)
	}
}

func open(t *testing.T, path string) (*os.File, int64) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	st, err := f.Stat()
	require.NoError(t, err)
	return f, st.Size()
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", name, args, out)
	return string(out)
}

// rewrite sends every sample of m through a Writer, in file order.
func rewrite(t *testing.T, m *Movie, in *os.File, target string, opt Options) {
	t.Helper()
	f, err := os.Create(target)
	require.NoError(t, err)
	s := scene{samples: make([][]Sample, len(m.Tracks))}
	for i, track := range m.Tracks {
		s.tracks = append(s.tracks, track.Track)
		for smp, err := range track.Samples() {
			require.NoError(t, err)
			data := make([]byte, smp.Size)
			require.NoError(t, readFull(in, data, smp.Offset))
			s.samples[i] = append(s.samples[i], Sample{Data: data, DTS: smp.DTS, PTS: smp.PTS, Duration: smp.Duration, Sync: smp.Sync})
		}
	}
	w := NewWriter(f, opt)
	writeInterleaved(t, w, s)
	for i, track := range m.Tracks {
		if n := len(track.Edits); n > 0 {
			w.SetEnd(i, track.PresentationStart()+rescale(track.Edits[n-1].Duration, m.Timescale, track.Timescale))
		}
	}
	_, err = w.Close()
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
