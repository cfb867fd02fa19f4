package transcode_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/transcode"
	"rushes/transcode/mp4"
)

// The benchmarks compare Convert with the ffmpeg command line. Both run in processes of their own, one after
// the other in turns, on files in memory, and are judged by their processor time: the machine may have others
// to serve. Convert's process is this test binary again.

const (
	childEnv = "RUSHES_BENCH_CONVERT" // in, a newline, out
	rounds   = 5
)

// cost is what one process took. rss is known for Convert only.
type cost struct {
	cpu, user, wall time.Duration
	rss             int64 // bytes, the most that it ever had
}

// childReport is what Convert's process says of itself: ru_maxrss would include the process that started it.
type childReport struct {
	Peak         int64 // bytes
	Video, Audio bool  // copied
	MoovMoved    bool  // a second pass over the media
	Defects      []transcode.Defect
}

// BenchmarkConvertChild is the process that the others measure; by itself it does nothing.
func BenchmarkConvertChild(b *testing.B) {
	job, ok := os.LookupEnv(childEnv)
	if !ok {
		b.Skip("runs inside the other benchmarks only")
	}
	from, to, _ := strings.Cut(job, "\n")
	in, err := os.Open(from)
	require.NoError(b, err)
	defer in.Close()
	src, err := transcode.FileSource(filepath.Base(from), in)
	require.NoError(b, err)
	out, err := os.Create(to)
	require.NoError(b, err)
	res, err := transcode.Convert(b.Context(), transcode.Recording{Parts: []transcode.Part{{Source: src}}}, out)
	require.NoError(b, err)
	require.NoError(b, out.Close())
	report, err := json.Marshal(childReport{Peak: peakRSS(b), Video: res.VideoCopied, Audio: res.AudioCopied, MoovMoved: res.MoovMoved, Defects: res.Defects})
	require.NoError(b, err)
	fmt.Fprintf(os.Stderr, "report %s\n", report)
}

func peakRSS(b *testing.B) int64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); f[0] == "VmHWM:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			require.NoError(b, err)
			return kb << 10
		}
	}
	b.Fatal("/proc/self/status has no VmHWM")
	return 0
}

func run(b *testing.B, cmd *exec.Cmd) (cost, []byte) {
	b.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begin := time.Now()
	require.NoError(b, cmd.Run(), "%s", &stderr)
	s := cmd.ProcessState
	return cost{cpu: s.UserTime() + s.SystemTime(), user: s.UserTime(), wall: time.Since(begin)}, stderr.Bytes()
}

func convert(b *testing.B, from, to string) (cost, childReport) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run", "^$", "-test.bench", "^BenchmarkConvertChild$", "-test.benchtime", "1x", "-test.timeout", "0")
	cmd.Env = append(os.Environ(), childEnv+"="+from+"\n"+to)
	c, stderr := run(b, cmd)
	var r childReport
	for line := range bytes.Lines(stderr) {
		if text, ok := bytes.CutPrefix(line, []byte("report ")); ok {
			require.NoError(b, json.Unmarshal(text, &r))
		}
	}
	require.NotZero(b, r.Peak, "%s", stderr)
	c.rss = r.Peak
	return c, r
}

func ffmpeg(b *testing.B, args ...string) cost {
	b.Helper()
	c, _ := run(b, exec.CommandContext(b.Context(), "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...))
	return c
}

// middle is the median of a value over the rounds.
func middle(costs []cost, value func(cost) float64) float64 {
	v := make([]float64, 0, len(costs))
	for _, c := range costs {
		v = append(v, value(c))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func cpu(c cost) float64  { return c.cpu.Seconds() }
func wall(c cost) float64 { return c.wall.Seconds() }
func user(c cost) float64 { return c.user.Seconds() }

func mostRSS(costs []cost) float64 {
	most := int64(0)
	for _, c := range costs {
		most = max(most, c.rss)
	}
	return float64(most) / (1 << 20)
}

// memoryDir is a folder in memory, where the machine has one, that goes with the benchmark.
func memoryDir(b *testing.B) string {
	b.Helper()
	if os.Getenv("RUSHES_BENCH") != "1" {
		b.Skip("takes minutes and gigabytes: RUSHES_BENCH=1 runs it")
	}
	dir, err := os.MkdirTemp("/dev/shm", "rushes-bench-")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { require.NoError(b, os.RemoveAll(dir)) })
	return dir
}

// samples hashes what the packets of a file hold, a line for each stream. It goes through Matroska, where
// there are neither start codes nor ADTS headers, so that all containers can be compared.
func samples(b *testing.B, file string) string {
	b.Helper()
	same := file + ".same.mkv"
	defer os.Remove(same)
	ffmpeg(b, "-i", file, "-map", "0", "-c", "copy", "-bsf:a", "aac_adtstoasc", same)
	hash, err := exec.CommandContext(b.Context(), "ffmpeg", "-v", "error", "-i", same, "-map", "0", "-c", "copy", "-f", "streamhash", "-").Output()
	require.NoError(b, err)
	return string(hash)
}

// checkMovie holds a finished file against the numbered list for progressive MP4.
func checkMovie(b *testing.B, file string) {
	b.Helper()
	f, err := os.Open(file)
	require.NoError(b, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(b, err)
	problems, err := mp4.Check(f, info.Size())
	require.NoError(b, err)
	require.Empty(b, problems)
}

// BenchmarkCopy puts 1 GB of H.264 and AAC into a progressive MP4, from each container that browsers' and
// encoders' recordings come in.
func BenchmarkCopy(b *testing.B) {
	dir := memoryDir(b)
	minute := filepath.Join(dir, "minute.mp4")
	ffmpeg(b, "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", "64", "-vf", "noise=alls=12:allf=t",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "superfast", "-b:v", "5M", "-maxrate", "5M", "-bufsize", "5M", "-g", "60", "-c:a", "aac", "-b:a", "128k", "-ac", "2", minute)
	for _, c := range []struct {
		name, ext string
		options   []string
		rate      float64 // GB per CPU-second that is asked for, 0 = ratio
		ratio     float64 // of ffmpeg's rate
	}{
		{name: "fmp4", ext: "mp4", options: []string{"-movflags", "+frag_keyframe+delay_moov+default_base_moof"}, rate: 1},
		{name: "matroska", ext: "mkv", ratio: 1.3},
		{name: "flv", ext: "flv", ratio: 1.3},
		{name: "mpegts", ext: "ts", ratio: 1.3},
	} {
		b.Run(c.name, func(b *testing.B) {
			loop := func(times int) string {
				file := filepath.Join(dir, "in."+c.ext)
				ffmpeg(b, append(append([]string{"-stream_loop", strconv.Itoa(times - 1), "-i", minute, "-map", "0", "-c", "copy"}, c.options...), file)...)
				return file
			}
			in := loop(25)
			defer os.Remove(in)
			info, err := os.Stat(in)
			require.NoError(b, err)
			out := filepath.Join(dir, "out.mp4")
			defer os.Remove(out)
			ours, theirs := copyRounds(b, in, out)
			long, _ := convert(b, loop(75), out)
			gb := float64(info.Size()) / 1e9
			rate, other := gb/middle(ours, cpu), gb/middle(theirs, cpu)
			b.ReportMetric(rate, "GB/cpu-s")
			b.ReportMetric(other, "ffmpeg-GB/cpu-s")
			b.ReportMetric(rate/other, "×ffmpeg")
			b.ReportMetric(mostRSS(ours), "MiB-peak")
			b.ReportMetric(mostRSS([]cost{long}), "MiB-peak-3GB")
			b.Logf("copy %-8s %.2f GB: ours %.2f GB per CPU-second (user %.2f s, all %.2f s), ffmpeg %.2f (user %.2f s, all %.2f s), ratio %.2f; peak %.0f MiB, of three times the length %.0f MiB",
				c.name, gb, rate, middle(ours, user), middle(ours, cpu), other, middle(theirs, user), middle(theirs, cpu), rate/other, mostRSS(ours), mostRSS([]cost{long}))
			missed(b, rate < c.rate || rate/other < c.ratio || max(mostRSS(ours), mostRSS([]cost{long})) > 64,
				fmt.Sprintf("copy %s: %.1f GB per CPU-second, %.1f times ffmpeg, 64 MiB", c.name, c.rate, c.ratio))
		})
	}
}

// BenchmarkCopyLong copies twelve hours: what grows with the length is the number of samples, not their bytes.
func BenchmarkCopyLong(b *testing.B) {
	dir := memoryDir(b)
	minute, in, out := filepath.Join(dir, "minute.mp4"), filepath.Join(dir, "in.mp4"), filepath.Join(dir, "out.mp4")
	ffmpeg(b, "-f", "lavfi", "-i", "testsrc2=s=160x90:r=30", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", "64",
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "superfast", "-bf", "2", "-b:v", "100k", "-g", "60", "-c:a", "aac", "-b:a", "64k", "-ac", "2", minute)
	ffmpeg(b, "-stream_loop", "674", "-i", minute, "-map", "0", "-c", "copy", "-movflags", "+frag_keyframe+delay_moov+default_base_moof", in)
	c, r := convert(b, in, out)
	require.True(b, r.Video && r.Audio && !r.MoovMoved, "%+v", r)
	require.Empty(b, r.Defects)
	checkMovie(b, out)
	b.ReportMetric(mostRSS([]cost{c}), "MiB-peak")
	b.Logf("copy twelve hours of fmp4: %.2f s CPU, peak %.0f MiB", c.cpu.Seconds(), mostRSS([]cost{c}))
	missed(b, mostRSS([]cost{c}) > 64, "copy twelve hours of fmp4: 64 MiB")
}

// copyRounds measures both in turns, after a first round that is looked at and not measured. The output before
// stays until the next one is begun: memory that the machine has taken back costs whoever asks for it first.
func copyRounds(b *testing.B, in, out string) (ours, theirs []cost) {
	b.Helper()
	again := func() { require.NoError(b, os.Remove(out)) }
	_, r := convert(b, in, out)
	require.True(b, r.Video && r.Audio && !r.MoovMoved, "%+v", r)
	require.Empty(b, r.Defects)
	checkMovie(b, out)
	require.Equal(b, samples(b, in), samples(b, out))
	for range rounds {
		again()
		c, _ := convert(b, in, out)
		ours = append(ours, c)
		again()
		theirs = append(theirs, ffmpeg(b, "-i", in, "-map", "0", "-c", "copy", "-movflags", "+faststart", out))
	}
	return ours, theirs
}

// BenchmarkTranscode makes H.264 and AAC of VP8 and Opus, beside the ffmpeg command line with the same settings.
func BenchmarkTranscode(b *testing.B) {
	dir := memoryDir(b)
	inputs := map[string]string{}
	input := func(name string, args ...string) string {
		inputs[name] = filepath.Join(dir, name+".webm")
		ffmpeg(b, append(args, inputs[name])...)
		return inputs[name]
	}
	made := input("made-720p", "-f", "lavfi", "-i", "mandelbrot=s=1280x720:r=30", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", "20", "-vf", "noise=alls=6:allf=t",
		"-pix_fmt", "yuv420p", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2500k", "-g", "300", "-c:a", "libopus", "-b:a", "48k")
	input("made-720p-60s", "-stream_loop", "2", "-i", made, "-map", "0", "-c", "copy")
	delete(inputs, "made-720p")
	captures := filepath.Join("..", "..", "shared", "captures")
	if beam := filepath.Join(captures, "beam-vp8", "recording.webm"); exists(beam) {
		input("browser-screen-60s", "-stream_loop", "3", "-i", beam, "-map", "0", "-c", "copy")
	}
	if cam := filepath.Join(captures, "nine", "tracks", "p0"); exists(cam + "-cam.ivf") {
		input("webcam-40s", "-i", cam+"-cam.ivf", "-i", cam+"-mic.ogg", "-map", "0", "-map", "1", "-c", "copy")
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		b.Run(name, func(b *testing.B) {
			var ours, theirs []cost
			out := filepath.Join(dir, "out.mp4")
			for range rounds {
				c, r := convert(b, inputs[name], out)
				require.False(b, r.Video || r.Audio, "%+v", r)
				ours = append(ours, c)
				checkMovie(b, out)
				theirs = append(theirs, ffmpeg(b, "-i", inputs[name], "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-force_key_frames", "expr:gte(t,n_forced*2)",
					"-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", "-fps_mode", "vfr", out))
			}
			cpuRatio, wallRatio := middle(ours, cpu)/middle(theirs, cpu), middle(ours, wall)/middle(theirs, wall)
			b.ReportMetric(cpuRatio, "cpu/ffmpeg")
			b.ReportMetric(wallRatio, "wall/ffmpeg")
			b.ReportMetric(mostRSS(ours), "MiB-peak")
			b.Logf("transcode %s: ours %.2f s CPU, %.2f s wall; ffmpeg %.2f s CPU, %.2f s wall; ratios %.3f and %.3f; peak %.0f MiB",
				name, middle(ours, cpu), middle(ours, wall), middle(theirs, cpu), middle(theirs, wall), cpuRatio, wallRatio, mostRSS(ours))
			missed(b, cpuRatio > 1.05 || wallRatio > 0.9, fmt.Sprintf("transcode %s: CPU 1.05 and wall 0.9 of ffmpeg's", name))
		})
	}
}

// missed reports a target that was not met. It is no failure: others may have kept the machine busy.
func missed(b *testing.B, miss bool, target string) {
	b.Helper()
	count := 0.0
	if miss {
		count = 1
		b.Logf("MISSED %s", target)
	}
	b.ReportMetric(count, "missed")
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
