package hls_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"rushes/hls"
	"rushes/transcode/mp4"
)

// sparse is a long dump that is made while it is read: all segments are one, with other decoding times.
type sparse struct {
	init, head []byte
	times      [2]int // where in head the decoding times are
	body       int
	seconds    int
}

// newSparse makes a stream of the given rate in bit/s, in segments of two seconds.
func newSparse(rate int) *sparse {
	e := encoder{level: 30, width: 1280}
	s := &sparse{init: e.init(), seconds: e.dur()}
	f, err := mp4ff.CreateMultiTrackFragment(1, []uint32{1, 2})
	if err != nil {
		panic(err)
	}
	frames := s.seconds * fps
	size := rate/8*s.seconds/frames - 400
	for i := range frames {
		flags := uint32(mp4ff.NonSyncSampleFlags)
		if i == 0 {
			flags = mp4ff.SyncSampleFlags
		}
		if err := f.AddFullSampleToTrack(mp4ff.FullSample{Sample: mp4ff.Sample{Flags: flags, Dur: frameTick, Size: uint32(size)}, Data: make([]byte, size)}, 1); err != nil {
			panic(err)
		}
		s.body += size
	}
	for range s.seconds * aScale / 1000 { // frames of 1000 samples, so that all segments are the same
		if err := f.AddFullSampleToTrack(mp4ff.FullSample{Sample: mp4ff.Sample{Flags: mp4ff.SyncSampleFlags, Dur: 1000, Size: 340}, Data: make([]byte, 340)}, 2); err != nil {
			panic(err)
		}
		s.body += 340
	}
	for _, t := range f.Moof.Trafs {
		t.Tfdt.SetBaseMediaDecodeTime(1 << 40)
	}
	var out bytes.Buffer
	if err := f.Encode(&out); err != nil {
		panic(err)
	}
	s.head = out.Bytes()[:out.Len()-s.body]
	mark := []byte{0, 0, 1, 0, 0, 0, 0, 0}
	s.times[0] = bytes.Index(s.head, mark)
	s.times[1] = bytes.LastIndex(s.head, mark)
	return s
}

func (s *sparse) dump(segments int) hls.Dump {
	l := hls.Layer{Name: "720p"}
	for n := range segments {
		l.Segments = append(l.Segments, hls.Segment{Name: fmt.Sprintf("seg%06d.m4s", n), Map: "init.mp4"})
	}
	return hls.Dump{Layers: []hls.Layer{l}, StartedAt: epoch}
}

type sparseFile struct {
	head []byte
	size int64
}

func (s *sparse) Open(_ context.Context, name string) (hls.File, error) {
	if name == "init.mp4" {
		return memoryFile{bytes.NewReader(s.init)}, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "seg"), ".m4s"))
	if err != nil {
		return nil, fs.ErrNotExist
	}
	head := bytes.Clone(s.head)
	binary.BigEndian.PutUint64(head[s.times[0]:], uint64(n*s.seconds*vScale))
	binary.BigEndian.PutUint64(head[s.times[1]:], uint64(n*s.seconds*aScale))
	return &sparseFile{head, int64(len(head) + s.body)}, nil
}

func (f *sparseFile) Close() error { return nil }
func (f *sparseFile) Size() int64  { return f.size }
func (f *sparseFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), f.size-off))
	clear(p[:n])
	if off < int64(len(f.head)) {
		copy(p[:n], f.head[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// counter is a sink, and a file, that counts what is written.
type counter struct {
	bytes int64
	peak  *atomic.Uint64
}

func (c *counter) Create(context.Context, string) (io.WriteCloser, error) { return c, nil }
func (c *counter) Write(p []byte) (int, error) {
	if c.bytes>>26 != (c.bytes+int64(len(p)))>>26 { // every 64 MB
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		c.peak.Store(max(c.peak.Load(), m.HeapInuse+m.StackInuse+m.MSpanInuse))
	}
	c.bytes += int64(len(p))
	return len(p), nil
}
func (c *counter) Close() error { return nil }
func (c *counter) WriteAt(p []byte, _ int64) (int, error) {
	return c.Write(p)
}
func (c *counter) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }
func (c *counter) Truncate(int64) error                  { return nil }

func cpuTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSparse packages six hours at 5 Mbit/s that cost nothing to read or write: what is left is ours.
func BenchmarkSparse(b *testing.B) {
	const rate, segments = 5_000_000, 6 * 3600 / 2
	s := newSparse(rate)
	total := float64(segments) * float64(len(s.head)+s.body) / 1e9
	for name, out := range map[string]func(c *counter) hls.Outputs{
		"hls":   func(c *counter) hls.Outputs { return hls.Outputs{Package: &hls.PackageOptions{Sink: c}} },
		"movie": func(c *counter) hls.Outputs { return hls.Outputs{Movies: map[int]mp4.File{0: c}} },
		"both": func(c *counter) hls.Outputs {
			return hls.Outputs{Package: &hls.PackageOptions{Sink: c}, Movies: map[int]mp4.File{0: c}}
		},
	} {
		b.Run(name, func(b *testing.B) {
			var peak atomic.Uint64
			for b.Loop() {
				start := cpuTime(b)
				tl, err := hls.Open(b.Context(), s.dump(segments), s, nil, hls.Options{})
				require.NoError(b, err)
				res, err := tl.Write(b.Context(), out(&counter{peak: &peak}))
				require.NoError(b, err)
				require.Equal(b, 6*time.Hour, res.Duration.Round(time.Second))
				b.ReportMetric(total/(cpuTime(b)-start).Seconds(), "GB/cpu-s")
			}
			b.ReportMetric(float64(peak.Load())/(1<<20), "MB-peak-heap")
		})
	}
}

// folder is a dump, and a sink, on disk.
type folder string

type folderFile struct {
	*os.File
	size int64
}

func (f folderFile) Size() int64 { return f.size }

func (d folder) Open(_ context.Context, name string) (hls.File, error) {
	f, err := os.Open(filepath.Join(string(d), filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return folderFile{f, st.Size()}, nil
}

func (d folder) Create(_ context.Context, name string) (io.WriteCloser, error) {
	full := filepath.Join(string(d), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		return nil, err
	}
	return os.Create(full)
}

// BenchmarkFolder packages files of a folder into files beside them, and lets ffmpeg do the same with -c copy. The
// folder is in TMPDIR, which should be in memory.
func BenchmarkFolder(b *testing.B) {
	const rate, segments = 5_000_000, 300
	s := newSparse(rate)
	dir := b.TempDir()
	in := folder(filepath.Join(dir, "in"))
	dump := s.dump(segments)
	list := "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"init.mp4\"\n"
	for _, name := range append([]string{"init.mp4"}, names(dump)...) {
		f, err := s.Open(b.Context(), name)
		require.NoError(b, err)
		w, err := in.Create(b.Context(), name)
		require.NoError(b, err)
		_, err = io.Copy(w, io.NewSectionReader(f, 0, f.Size()))
		require.NoError(b, err)
		require.NoError(b, w.Close())
		if name != "init.mp4" {
			list += "#EXTINF:2.0,\n" + name + "\n"
		}
	}
	require.NoError(b, os.WriteFile(filepath.Join(string(in), "index.m3u8"), []byte(list+"#EXT-X-ENDLIST\n"), 0o600))
	total := float64(segments) * float64(len(s.head)+s.body) / 1e9
	report := func(b *testing.B, cpu time.Duration) { b.ReportMetric(total/cpu.Seconds(), "GB/cpu-s") }
	b.Run("hls", func(b *testing.B) {
		for b.Loop() {
			start := cpuTime(b)
			tl, err := hls.Open(b.Context(), dump, in, nil, hls.Options{})
			require.NoError(b, err)
			_, err = tl.Write(b.Context(), hls.Outputs{Package: &hls.PackageOptions{Sink: folder(filepath.Join(dir, "hls"))}})
			require.NoError(b, err)
			report(b, cpuTime(b)-start)
		}
	})
	b.Run("movie", func(b *testing.B) {
		for b.Loop() {
			start := cpuTime(b)
			tl, err := hls.Open(b.Context(), dump, in, nil, hls.Options{})
			require.NoError(b, err)
			f, err := os.Create(filepath.Join(dir, "out.mp4"))
			require.NoError(b, err)
			_, err = tl.Write(b.Context(), hls.Outputs{Movies: map[int]mp4.File{0: f}})
			require.NoError(b, err)
			require.NoError(b, f.Close())
			report(b, cpuTime(b)-start)
		}
	})
	require.NoError(b, os.MkdirAll(filepath.Join(dir, "ff"), 0o750))
	for name, args := range map[string][]string{
		"ffmpeg-hls":   {"-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", filepath.Join(dir, "ff", "index.m3u8")},
		"ffmpeg-movie": {"-movflags", "+faststart", filepath.Join(dir, "ff.mp4")},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-y", "-i", filepath.Join(string(in), "index.m3u8"), "-map", "0", "-c", "copy"}, args...)...)
				out, err := cmd.CombinedOutput()
				require.NoError(b, err, "%s", out)
				report(b, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			}
		})
	}
}

func names(d hls.Dump) (out []string) {
	for _, s := range d.Layers[0].Segments {
		out = append(out, s.Name)
	}
	return out
}
