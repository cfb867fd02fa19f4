package hls_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

// TestMovieBecomesPackage makes a package of a progressive MP4, as a composite is one: one file, many key frames.
func TestMovieBecomesPackage(t *testing.T) {
	t.Parallel()
	s := plain(1, 12, func(e *encoder) { e.bFrames = true })
	first := produce(t, s, nil)
	files := memory{"talk.mp4": first.movies[0].p}
	again := &stream{files: files, dump: hls.Dump{Layers: []hls.Layer{{Name: "talk", Segments: []hls.Segment{{Name: "talk.mp4"}}}}, StartedAt: epoch}}
	p := produce(t, again, nil)
	require.Empty(t, p.res.Defects)
	require.Equal(t, first.res.Package.Segments, p.res.Package.Segments)
	a, _ := readPackage(t, first.tree.files, "L0/index.m3u8")
	b, list := readPackage(t, p.tree.files, "talk/index.m3u8")
	require.Equal(t, a, b)
	require.False(t, list.GetAllSegments()[0].ProgramDateTime.IsZero())
	a, _ = readPackage(t, first.tree.files, "audio/index.m3u8")
	b, _ = readPackage(t, p.tree.files, "audio/index.m3u8")
	require.Equal(t, a, b)
	require.True(t, bytes.Equal(first.movies[0].p, p.movies[0].p))
}

// TestEncodedFilm packages what an encoder made, priming and B-frames included, twice with a hole between, and compares
// what ffmpeg decodes of it: flashes of the picture and beeps of the sound must meet as in the source.
func TestEncodedFilm(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	dir := t.TempDir()
	list := filepath.Join(dir, "in", "index.m3u8")
	require.NoError(t, os.Mkdir(filepath.Dir(list), 0o750))
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=black:s=160x90:r=25:d=24,drawbox=c=white:t=fill:enable='lt(mod(t,2),0.1)'",
		"-f", "lavfi", "-i", "aevalsrc='if(lt(mod(t,2),0.1),0.5*sin(6283*t),0)':s=48000:d=24", "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "50", "-sc_threshold", "0",
		"-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-hls_segment_type", "fmp4", list).CombinedOutput()
	require.NoError(t, err, "%s", out)
	text, err := os.ReadFile(list)
	require.NoError(t, err)
	segments, err := hls.ReadPlaylist("index.m3u8", text)
	require.NoError(t, err)
	require.Len(t, segments, 12)
	segments = append(segments[:5], segments[6:]...)
	s := &stream{files: memory{}, dump: hls.Dump{Layers: []hls.Layer{{Name: "film", Segments: segments}}, StartedAt: epoch}}
	for _, seg := range segments {
		for _, n := range []string{seg.Name, seg.Map} {
			s.files[n], err = os.ReadFile(filepath.Join(dir, "in", n))
			require.NoError(t, err)
		}
	}
	p := produce(t, s, nil)
	require.Equal(t, []string{"hole"}, p.kinds())
	playable(t, p, "")
	movie := filepath.Join(dir, "film.mp4")
	require.NoError(t, os.WriteFile(movie, p.movies[0].p, 0o600))
	for name, data := range p.tree.files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, "out", name)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "out", name), data, 0o600))
	}
	for _, in := range []string{movie, filepath.Join(dir, "out", "master.m3u8")} {
		flashes := times(t, `black_end:([0-9.]+)`, "-i", in, "-vf", "blackdetect=d=0.5:pix_th=0.5")
		beeps := times(t, `silence_end: ([0-9.]+)`, "-i", in, "-af", "silencedetect=n=-30dB:d=0.5")
		require.Len(t, flashes, 11, "%s: the end counts", in)
		require.GreaterOrEqual(t, len(beeps), 10)
		for i := range 10 {
			require.InDelta(t, flashes[i], beeps[i], 0.03, "%s, flash %d", in, i)
			require.InDelta(t, float64(2*i+2), flashes[i], 0.06)
		}
	}
}

// times runs ffmpeg and collects what a filter reports.
func times(t *testing.T, pattern string, args ...string) (out []float64) {
	t.Helper()
	text, err := exec.Command("ffmpeg", append(append([]string{"-hide_banner", "-nostats"}, args...), "-f", "null", "-")...).CombinedOutput()
	require.NoError(t, err, "%s", text)
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		var v float64
		_, err := fmt.Sscan(m[1], &v)
		require.NoError(t, err)
		out = append(out, v)
	}
	return out
}

// generated makes the segments of one layer when they are asked for.
type generated struct{ e encoder }

func (g generated) Open(_ context.Context, name string) (hls.File, error) {
	if name == "init.mp4" {
		return memoryFile{bytes.NewReader(g.e.init())}, nil
	}
	var n int
	if _, err := fmt.Sscanf(name, "s%d.m4s", &n); err != nil {
		return nil, fs.ErrNotExist
	}
	data, _, _ := g.e.segment(n)
	return memoryFile{bytes.NewReader(data)}, nil
}

// TestTenThousandSegments goes through a stream of nearly three hours in segments of a second.
func TestTenThousandSegments(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long")
	}
	const n = 10_000
	var l hls.Layer
	for i := range n {
		l.Segments = append(l.Segments, hls.Segment{Name: fmt.Sprintf("s%d.m4s", i), Map: "init.mp4", Duration: time.Second})
	}
	tl, err := hls.Open(t.Context(), hls.Dump{Layers: []hls.Layer{l}}, generated{encoder{level: 30, width: 64, seconds: 1, layer: 3, noAudio: true}}, nil, hls.Options{})
	require.NoError(t, err)
	out := newTree()
	res, err := tl.Write(t.Context(), hls.Outputs{Package: &hls.PackageOptions{Sink: out, SingleFile: true}})
	require.NoError(t, err)
	require.Equal(t, n*time.Second, res.Duration)
	require.Empty(t, res.Defects)
	require.Equal(t, (n+5)/6, strings.Count(string(out.files["layer/index.m3u8"]), "#EXTINF"))
}
