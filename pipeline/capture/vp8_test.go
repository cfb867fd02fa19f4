package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// encodeVP8 makes an IVF file with libvpx.
func encodeVP8(t testing.TB, picture string, args ...string) []byte {
	t.Helper()
	tool, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("no ffmpeg")
	}
	out := filepath.Join(t.TempDir(), "out.ivf")
	all := append([]string{"-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "libvpx", "-threads", "1"}, args...)
	if msg, err := exec.Command(tool, append(all, out)...).CombinedOutput(); err != nil {
		if strings.Contains(string(msg), "Unknown encoder") {
			t.Skip("ffmpeg has no libvpx")
		}
		require.NoError(t, err, string(msg))
	}
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	return data
}

func ivfFrames(data []byte) (frames [][]byte) {
	for data = data[ivfHeaderBytes:]; len(data) > ivfFrameHeaderBytes; {
		n := ivfFrameHeaderBytes + int(binary.LittleEndian.Uint32(data))
		frames = append(frames, data[ivfFrameHeaderBytes:n])
		data = data[n:]
	}
	return frames
}

const (
	vp8Busy  = "testsrc2=size=320x240:rate=15,noise=alls=12:allf=t"
	vp8Quiet = "testsrc=size=322x242:rate=10"
)

// vp8Settings are encoders that are unlike each other in what the parser has to follow.
var vp8Settings = []struct {
	name, picture string
	args          []string
	small         bool // frames are one packet, and often change nothing
}{
	{name: "call", picture: vp8Busy, args: []string{"-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k", "-g", "40", "-lag-in-frames", "0"}},
	{name: "resilient", picture: vp8Busy, args: []string{"-deadline", "realtime", "-cpu-used", "6", "-b:v", "400k", "-g", "30", "-error-resilient", "default"}},
	{name: "partitions", picture: vp8Busy, args: []string{"-deadline", "realtime", "-cpu-used", "4", "-b:v", "600k", "-slices", "4", "-error-resilient", "default+partitions"}},
	{name: "slices", picture: vp8Busy, args: []string{"-deadline", "realtime", "-b:v", "600k", "-slices", "8", "-g", "40"}},
	{name: "altref", picture: vp8Busy, args: []string{"-deadline", "good", "-cpu-used", "3", "-b:v", "300k", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-arnr-maxframes", "7"}},
	{name: "best", picture: "mandelbrot=size=160x120:rate=15", args: []string{"-deadline", "best", "-b:v", "200k", "-auto-alt-ref", "1", "-lag-in-frames", "10"}},
	{name: "odd size", picture: "testsrc2=size=131x77:rate=15,noise=alls=20:allf=t", args: []string{"-deadline", "good", "-cpu-used", "4", "-b:v", "150k"}},
	{name: "tiny", picture: "testsrc2=size=16x16:rate=15", args: []string{"-deadline", "realtime", "-b:v", "20k"}, small: true},
	{name: "static", picture: vp8Quiet, args: []string{"-deadline", "realtime", "-static-thresh", "1000", "-b:v", "100k"}, small: true},
	{name: "sharp", picture: vp8Busy, args: []string{"-deadline", "good", "-cpu-used", "5", "-crf", "4", "-b:v", "2M", "-qmin", "0", "-s", "160x120"}},
	{name: "coarse", picture: vp8Busy, args: []string{"-deadline", "realtime", "-crf", "60", "-b:v", "30k", "-qmax", "63"}},
	{name: "moving", picture: "cellauto=size=320x240:rate=15,scroll=horizontal=0.07:vertical=0.05", args: []string{"-deadline", "good", "-cpu-used", "4", "-b:v", "300k"}},
	{name: "profile 3", picture: vp8Busy, args: []string{"-deadline", "good", "-cpu-used", "4", "-profile:v", "3", "-b:v", "300k"}},
}

func TestVP8Frames(t *testing.T) {
	t.Parallel()
	for _, s := range vp8Settings {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			frames := ivfFrames(encodeVP8(t, s.picture, append(s.args, "-t", "4")...))
			require.Greater(t, len(frames), 30)
			p := &vp8Parser{}
			for i, data := range frames {
				f := p.frame(data)
				require.True(t, f.judged, "frame %d", i)
				require.False(t, f.short || f.long, "frame %d of %d: %+v", i, len(frames), f)
			}
			if s.small {
				return
			}
			for _, b := range breakages {
				tried, found := tryBreakage(b, frames)
				least := 0.98
				if b.lostWhole { // a small frame's changes may stay unused for long
					least = 0.8
				}
				require.GreaterOrEqual(t, float64(found), least*float64(tried), "%s: %d of %d", b.name, found, tried)
				t.Logf("%s: %d of %d found", b.name, found, tried)
			}
		})
	}
}

// TestVP8Allocations must not run beside others, which allocate too.
func TestVP8Allocations(t *testing.T) {
	frames := ivfFrames(encodeVP8(t, vp8Busy, "-deadline", "realtime", "-t", "1"))
	p := &vp8Parser{}
	p.frame(frames[0])
	require.Zero(t, testing.AllocsPerRun(5, func() {
		for _, f := range frames {
			p.frame(f)
		}
	}))
}

// packets cuts a frame as senders do: into pieces of about the same size.
func packets(frame []byte) [][]byte {
	n := (len(frame) + 1099) / 1100
	out := make([][]byte, n)
	for i := range out {
		out[i] = frame[len(frame)*i/n : len(frame)*(i+1)/n]
	}
	return out
}

// breakage makes of the frames of a file what a recorder writes when packets were lost around frame i.
type breakage struct {
	name string
	// apply gives the frames from i on, fewer than there were when some are merged or missing.
	apply func(rnd *rand.Rand, frames [][]byte, i int) [][]byte
	// late is how many frames after the place may pass until the loss is proven; lostWhole needs the entropy chain.
	late      int
	lostWhole bool
}

var breakages = []breakage{
	{name: "the last packet", apply: func(_ *rand.Rand, f [][]byte, i int) [][]byte {
		p := packets(f[i])
		return append([][]byte{bytes.Join(p[:len(p)-1], nil)}, f[i+1:]...)
	}},
	{name: "a packet in the middle", apply: func(rnd *rand.Rand, f [][]byte, i int) [][]byte {
		p := packets(f[i])
		k := 1 + rnd.IntN(len(p)-1)
		return append([][]byte{bytes.Join(append(p[:k:k], p[k+1:]...), nil)}, f[i+1:]...)
	}},
	{name: "the end, so that the next is appended", apply: func(_ *rand.Rand, f [][]byte, i int) [][]byte {
		p := packets(f[i])
		return append([][]byte{append(bytes.Join(p[:len(p)-1], nil), f[i+1]...)}, f[i+2:]...)
	}},
	{name: "the marker, so that the next is appended", apply: func(_ *rand.Rand, f [][]byte, i int) [][]byte {
		return append([][]byte{append(bytes.Clone(f[i]), f[i+1]...)}, f[i+2:]...)
	}},
	{name: "a whole frame", late: 3, lostWhole: true, apply: func(_ *rand.Rand, f [][]byte, i int) [][]byte { return f[i+1:] }},
	{name: "three frames", late: 1, lostWhole: true, apply: func(_ *rand.Rand, f [][]byte, i int) [][]byte { return f[i+3:] }},
}

// tryBreakage breaks the file at every place where that is possible, one at a time.
func tryBreakage(b breakage, frames [][]byte) (tried, found int) {
	rnd := rand.New(rand.NewPCG(1, 2))
	before := &vp8Parser{}
	for i := 1; i+4 < len(frames); i++ {
		before.frame(frames[i-1])
		lost := copyVP8(before)
		kept := lost.frame(frames[i]).kept // only then can its absence be seen
		key := false
		for _, f := range frames[i : i+4] {
			key = key || f[0]&1 == 0
		}
		if key || b.lostWhole && !kept || !b.lostWhole && len(packets(frames[i])) < 2 {
			continue
		}
		after := copyVP8(before)
		tried++
		for _, f := range b.apply(rnd, frames, i)[:b.late+1] {
			if v := after.frame(f); v.short || v.long {
				found++
				break
			}
		}
	}
	return tried, found
}

func copyVP8(p *vp8Parser) *vp8Parser {
	c := *p
	c.above, c.edges = make([]vp8Block, len(p.above)), make([]vp8Edge, len(p.edges))
	return &c
}

// TestVP8SizeChange has two sizes in one file.
func TestVP8SizeChange(t *testing.T) {
	t.Parallel()
	args := []string{"-deadline", "realtime", "-b:v", "300k", "-t", "2"}
	p := &vp8Parser{}
	for _, picture := range []string{vp8Busy, "testsrc2=size=640x360:rate=15", vp8Quiet} {
		for i, data := range ivfFrames(encodeVP8(t, picture, args...)) {
			f := p.frame(data)
			require.True(t, f.judged && !f.short && !f.long, "frame %d of %s: %+v", i, picture, f)
		}
	}
}

// shownFrames passes the units of a track through the rule by which pictures are shown, and gives their ticks.
func shownFrames(t testing.TB, c *Capture, ix *TrackIndex) (shown, held map[int64]bool) {
	t.Helper()
	shown, held = map[int64]bool{}, map[int64]bool{}
	r := c.OpenTrack(ix)
	defer r.Close()
	open := false
	for {
		u, err := r.Next()
		if err != nil {
			return shown, held
		}
		switch {
		case u.Damaged:
			open = false
		case u.Key:
			open = true
		case u.Lost > 0:
			open = false
		}
		if open {
			shown[u.Unit.Ticks] = true
		} else {
			held[u.Unit.Ticks] = true
		}
	}
}

func indexOf(t testing.TB, path string) (*Capture, map[string]*TrackIndex) {
	t.Helper()
	c, err := Open(context.Background(), path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	ix, err := BuildIndex(context.Background(), c)
	require.NoError(t, err)
	out := map[string]*TrackIndex{}
	for _, i := range ix.Tracks {
		out[i.Track.ID] = i
	}
	return c, out
}

func TestVP8RealLoss(t *testing.T) {
	t.Parallel()
	c, tracks := indexOf(t, realCapture(t, "standup", "capture.json"))
	d, truth := indexOf(t, realCapture(t, "standup", "capture-rtpdump.json"))
	for id, ix := range tracks {
		if ix.Track.Kind != KindVideo {
			continue
		}
		shown, held := shownFrames(t, c, ix)
		if id != "carol-cam" {
			require.Empty(t, held, id)
			require.Zero(t, ix.Damaged, id)
			continue
		}
		good, _ := shownFrames(t, d, truth[id])
		wrong, missed := 0, 0
		for at := range shown {
			if !good[at] {
				wrong++
			}
		}
		for at := range held {
			if good[at] {
				missed++
			}
		}
		t.Logf("%s: %d shown, %d held; %d shown though broken, %d held though good; marks %v", id, len(shown), len(held), wrong, missed, ix.Files[0].marks)
		require.Zero(t, wrong)
		require.Zero(t, missed)
		require.Greater(t, len(held), 50)
		require.Contains(t, fmt.Sprint(ix.Defects), string(DefectLossy))
	}
}

func TestVP8RealClean(t *testing.T) {
	t.Parallel()
	c, tracks := indexOf(t, realCapture(t, "nine"))
	cams := 0
	for id, ix := range tracks {
		if ix.Track.Kind != KindVideo {
			continue
		}
		cams++
		_, held := shownFrames(t, c, ix)
		require.Empty(t, held, id)
		require.NoError(t, c.findLoss(t.Context(), &meter{}, ix, &ix.Files[0]))
		require.Empty(t, ix.Files[0].marks, id)
	}
	require.Equal(t, 9, cams)
}

func BenchmarkVP8Parser(b *testing.B) {
	for _, bench := range []struct{ name, rate string }{{"500k", "500k"}, {"4M", "4M"}} {
		frames := ivfFrames(encodeVP8(b, "testsrc2=size=640x480:rate=30,noise=alls=16:allf=t", "-deadline", "realtime", "-cpu-used", "8", "-b:v", bench.rate, "-t", "4"))
		size := 0
		for _, f := range frames {
			size += len(f)
		}
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			p := &vp8Parser{}
			for b.Loop() {
				for _, f := range frames {
					p.frame(f)
				}
			}
		})
	}
}
