package stage_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/catalog"
	"rushes/catalog/blob/dir"
	"rushes/pipeline/capture"
	"rushes/pipeline/stage"
)

// The benchmark holds the composite of nine people against (a) the ffmpeg command line that a user would write and
// (c) the floor: decoding all tracks and encoding the finished picture. All run in processes of their own, in turns,
// on files in memory, and are judged by their processor time.

const (
	compositeChild = "RUSHES_BENCH_COMPOSITE" // capture, a newline, output file, a newline, crf
	benchRounds    = 3
	nineFrames     = 1260
)

// spent is what one process took.
type spent struct {
	cpu, wall time.Duration
	rss       int64 // bytes, of Rushes only
}

func (s spent) plus(o spent) spent { return spent{s.cpu + o.cpu, s.wall + o.wall, max(s.rss, o.rss)} }

func sampleCapture(tb testing.TB, name string) string {
	tb.Helper()
	path, err := filepath.Abs("../../../shared/captures/" + name)
	require.NoError(tb, err)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("the sample captures are not here: %v", err)
	}
	return path
}

// BenchmarkCompositeChild is the process that BenchmarkComposite measures; by itself it does nothing.
func BenchmarkCompositeChild(b *testing.B) {
	job, ok := os.LookupEnv(compositeChild)
	if !ok {
		b.Skip("runs inside BenchmarkComposite only")
	}
	args := strings.Split(job, "\n")
	folder, to := args[0], args[1]
	crf, err := strconv.ParseFloat(args[2], 64)
	require.NoError(b, err)
	c, err := capture.Open(b.Context(), folder)
	require.NoError(b, err)
	c.Manifest.Outputs.Assets = []string{capture.AssetRoomCompositeLegacy}
	c.Manifest.Outputs.Thumbnails.Enabled = false
	comp := &c.Manifest.Outputs.Composition
	comp.Layout, comp.Width, comp.Height, comp.FPS, comp.Names = "grid", 1280, 720, 30, false
	blobs, err := dir.Open(to + ".assets")
	require.NoError(b, err)
	cfg := stage.Config{Catalog: newTestCatalog(b), Blobs: blobs, Scratch: to + ".scratch", Software: "bench"}
	cfg.Video.CRF, cfg.Video.Preset = crf, "veryfast"
	if crf <= 1 {
		cfg.Video.Preset = "ultrafast"
	}
	out, err := stage.Process(b.Context(), cfg, c, "file://"+folder)
	require.NoError(b, err)
	require.NoError(b, c.Close())
	require.Equal(b, catalog.AssetCompleted, out.Assets[0].Status)
	require.NoError(b, os.Rename(filepath.Join(to+".assets", filepath.FromSlash(out.Assets[0].Path)), to))
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(b, peak)
	fmt.Fprintf(os.Stderr, "peak %s\n", peak[1])
}

func measured(b *testing.B, cmd *exec.Cmd) (spent, string) {
	b.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begin := time.Now()
	require.NoError(b, cmd.Run(), "%v: %s", cmd.Args, &stderr)
	s := cmd.ProcessState
	return spent{cpu: s.UserTime() + s.SystemTime(), wall: time.Since(begin)}, stderr.String()
}

func rushesComposite(b *testing.B, folder, to, crf string) spent {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run", "^$", "-test.bench", "^BenchmarkCompositeChild$", "-test.benchtime", "1x", "-test.timeout", "0")
	cmd.Env = append(os.Environ(), compositeChild+"="+folder+"\n"+to+"\n"+crf)
	s, text := measured(b, cmd)
	_, kb, ok := strings.Cut(text, "peak ")
	require.True(b, ok, "%s", text)
	n, err := strconv.ParseInt(strings.TrimSpace(strings.SplitN(kb, "\n", 2)[0]), 10, 64)
	require.NoError(b, err)
	s.rss = n << 10
	return s
}

func ffmpegRun(b *testing.B, args ...string) (spent, string) {
	b.Helper()
	return measured(b, exec.CommandContext(b.Context(), "ffmpeg", append([]string{"-nostdin", "-y", "-v", "error"}, args...)...))
}

// floorOf decodes all tracks in one process, one thread each, and encodes the finished picture in another.
func floorOf(b *testing.B, folder, raw string) (decode, encode spent) {
	b.Helper()
	var in, out []string
	for i := range 9 {
		in = append(in, "-threads", "1", "-i", fmt.Sprintf("%s/tracks/p%d-cam.ivf", folder, i), "-threads", "1", "-i", fmt.Sprintf("%s/tracks/p%d-mic.ogg", folder, i))
	}
	for i := range 18 {
		out = append(out, "-map", strconv.Itoa(i), "-fps_mode", "passthrough", "-f", "null", "-")
	}
	decode, _ = ffmpegRun(b, append(in, out...)...)
	encode, _ = ffmpegRun(b, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "1280x720", "-r", "30", "-i", raw, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-g", "60", "-f", "null", "-")
	return decode, encode
}

func ssimOf(b *testing.B, file, ref string) float64 {
	b.Helper()
	_, text := measured(b, exec.CommandContext(b.Context(), "ffmpeg", "-nostdin", "-i", file, "-i", ref, "-lavfi", "ssim", "-f", "null", "-"))
	m := regexp.MustCompile(`All:([0-9.]+)`).FindStringSubmatch(text)
	require.NotNil(b, m, "%s", text)
	v, err := strconv.ParseFloat(m[1], 64)
	require.NoError(b, err)
	return v
}

func middleOf(list []spent, value func(spent) time.Duration) float64 {
	var v []float64
	for _, s := range list {
		v = append(v, value(s).Seconds())
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkComposite measures nine people for 42 s.
func BenchmarkComposite(b *testing.B) {
	if os.Getenv("RUSHES_BENCH") != "1" {
		b.Skip("takes minutes and gigabytes: RUSHES_BENCH=1 runs it")
	}
	folder := sampleCapture(b, "nine")
	script, err := filepath.Abs("../../../shared/bench/ffmpeg-grid.sh")
	require.NoError(b, err)
	tmp, err := os.MkdirTemp("/dev/shm", "rushes-bench-")
	if err != nil {
		tmp = b.TempDir()
	}
	b.Cleanup(func() { require.NoError(b, os.RemoveAll(tmp)) })
	fa, fb, refA, refB, raw := tmp+"/a.mp4", tmp+"/b.mp4", tmp+"/ref-a.mp4", tmp+"/ref-b.mp4", tmp+"/b.yuv"
	rushesComposite(b, folder, refB, "1") // as good as lossless, which would be another profile
	ffmpegRun(b, "-i", refB, "-an", "-f", "rawvideo", "-pix_fmt", "yuv420p", raw)
	info, err := os.Stat(raw)
	require.NoError(b, err)
	require.EqualValues(b, nineFrames*1280*720*3/2, info.Size())
	var ra, rb, rc, rd, re []spent
	for range benchRounds {
		s, _ := measured(b, exec.CommandContext(b.Context(), "bash", script, folder, fa))
		ra = append(ra, s)
		rb = append(rb, rushesComposite(b, folder, fb, "23"))
		d, e := floorOf(b, folder, raw)
		rc, rd, re = append(rc, d.plus(e)), append(rd, d), append(re, e)
	}
	measured(b, exec.CommandContext(b.Context(), "bash", script, folder, refA, "-preset", "ultrafast", "-qp", "0"))
	cpu, wall := func(s spent) time.Duration { return s.cpu }, func(s spent) time.Duration { return s.wall }
	rss := func(s spent) time.Duration { return time.Duration(s.rss) * time.Second }
	report := map[string]any{
		"a cpu-s": middleOf(ra, cpu), "b cpu-s": middleOf(rb, cpu), "c cpu-s": middleOf(rc, cpu), "c decode cpu-s": middleOf(rd, cpu), "c encode cpu-s": middleOf(re, cpu),
		"a wall-s": middleOf(ra, wall), "b wall-s": middleOf(rb, wall), "b peak MB": middleOf(rb, rss) / (1 << 20),
		"a bytes": sizeOf(b, fa), "b bytes": sizeOf(b, fb), "a ssim": ssimOf(b, fa, refA), "b ssim": ssimOf(b, fb, refB),
	}
	text, err := json.MarshalIndent(report, "", "  ")
	require.NoError(b, err)
	b.Logf("%s", text)
	for _, r := range []struct {
		name          string
		value, target float64
	}{
		{"b/a-cpu", middleOf(rb, cpu) / middleOf(ra, cpu), 0.83},
		{"b/c-cpu", middleOf(rb, cpu) / middleOf(rc, cpu), 1.05},
		{"b/a-wall", middleOf(rb, wall) / middleOf(ra, wall), 0.75},
		{"peak-MB", middleOf(rb, rss) / (1 << 20), 400},
	} {
		b.ReportMetric(r.value, r.name)
		if r.value > r.target {
			b.Logf("missed: %s is %.3f, the target %.3f", r.name, r.value, r.target)
		}
	}
	b.ReportMetric(report["b ssim"].(float64)-report["a ssim"].(float64), "ssim-b-less-a")
	b.ReportMetric(0, "ns/op")
}

func sizeOf(b *testing.B, file string) int64 {
	b.Helper()
	info, err := os.Stat(file)
	require.NoError(b, err)
	return info.Size()
}
