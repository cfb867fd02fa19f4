package stage_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
	"rushes/pipeline/stage"
	"rushes/transcode/mp4"
)

// BenchmarkLiveTS makes a package and an MP4 of ten minutes of MPEG-TS at 5 Mbit/s, and lets ffmpeg do the same with
// -c copy. Set RUSHES_BENCH=1 and TMPDIR to a folder in memory.
func BenchmarkLiveTS(b *testing.B) {
	if os.Getenv("RUSHES_BENCH") == "" {
		b.Skip("RUSHES_BENCH is not set")
	}
	folder, dir := b.TempDir(), b.TempDir()
	dump, total := longDump(b, folder)
	report := func(b *testing.B, cpu time.Duration) {
		b.ReportMetric(float64(total)/1e9/cpu.Seconds(), "GB/cpu-s")
	}
	ours := func(out func(b *testing.B) (hls.Outputs, func() error)) func(b *testing.B) {
		return func(b *testing.B) {
			require.NoError(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
			for b.Loop() {
				start := selfCPU(b)
				files := stage.NewDumpFiles(func(name string) (*os.File, error) { return os.Open(filepath.Join(folder, name)) })
				tl, err := hls.Open(b.Context(), dump, files, stage.NewSegmentDemuxer(), hls.Options{})
				require.NoError(b, err)
				o, done := out(b)
				_, err = tl.Write(b.Context(), o)
				require.NoError(b, err)
				require.NoError(b, done())
				report(b, selfCPU(b)-start)
			}
			b.ReportMetric(peakMemory(b), "MB-peak")
		}
	}
	b.Run("hls", ours(func(*testing.B) (hls.Outputs, func() error) {
		return hls.Outputs{Package: &hls.PackageOptions{Sink: stage.NewPackageSink(filepath.Join(dir, "hls"))}}, func() error { return nil }
	}))
	b.Run("movie", ours(func(b *testing.B) (hls.Outputs, func() error) {
		f, err := os.Create(filepath.Join(dir, "ours.mp4"))
		require.NoError(b, err)
		return hls.Outputs{Movies: map[int]mp4.File{0: f}}, f.Close
	}))
	require.NoError(b, os.MkdirAll(filepath.Join(dir, "ff"), 0o755))
	for name, args := range map[string][]string{
		"ffmpeg-hls":   {"-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", filepath.Join(dir, "ff", "index.m3u8")},
		"ffmpeg-movie": {"-movflags", "+faststart", filepath.Join(dir, "ff.mp4")},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), "ffmpeg", append([]string{"-v", "error", "-y", "-i", filepath.Join(folder, "index.m3u8"), "-map", "0", "-c", "copy", "-bsf:a", "aac_adtstoasc"}, args...)...)
				out, err := cmd.CombinedOutput()
				require.NoError(b, err, "%s", out)
				report(b, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			}
		})
	}
}

// longDump encodes a minute and repeats it.
func longDump(b *testing.B, folder string) (hls.Dump, int64) {
	b.Helper()
	minute := filepath.Join(folder, "minute.mp4")
	for _, args := range [][]string{
		{"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=60", "-f", "lavfi", "-i", "sine=duration=60", "-vf", "noise=alls=12:allf=t",
			"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-b:v", "5M", "-maxrate", "5M", "-bufsize", "5M", "-g", "60", "-c:a", "aac", minute},
		{"-stream_loop", "9", "-i", minute, "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_list_size", "0",
			"-hls_segment_filename", filepath.Join(folder, "seg%05d.ts"), filepath.Join(folder, "index.m3u8")},
	} {
		out, err := exec.CommandContext(b.Context(), "ffmpeg", append([]string{"-v", "error", "-y"}, args...)...).CombinedOutput()
		require.NoError(b, err, "%s", out)
	}
	require.NoError(b, os.Remove(minute))
	files, err := filepath.Glob(filepath.Join(folder, "*.ts"))
	require.NoError(b, err)
	layer, total := hls.Layer{Name: "720p"}, int64(0)
	for _, f := range files {
		info, err := os.Stat(f)
		require.NoError(b, err)
		total += info.Size()
		layer.Segments = append(layer.Segments, hls.Segment{Name: filepath.Base(f)})
	}
	return hls.Dump{Layers: []hls.Layer{layer}}, total
}

func selfCPU(t testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the most memory that this process had since clear_refs was written to.
func peakMemory(t testing.TB) float64 {
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
			return kb / 1024
		}
	}
	return 0
}
