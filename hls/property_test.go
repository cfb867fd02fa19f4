package hls_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/hls"
	"rushes/transcode/mp4"
)

// shape is a random live stream.
type shape struct {
	layers  int
	runs    []int // segments of each life of the encoder
	walls   bool
	offsets []int // seconds at which each life's clock begins
	bFrames bool
	late    float64
	foreign bool
	gone    map[string]bool // files that are missing
	doubles []string
}

func drawShape(t *rapid.T) shape {
	s := shape{
		layers: rapid.IntRange(1, 3).Draw(t, "layers"), walls: rapid.Bool().Draw(t, "walls"), bFrames: rapid.Bool().Draw(t, "bFrames"),
		late: float64(rapid.IntRange(-3, 3).Draw(t, "late")) * 0.013, foreign: rapid.Bool().Draw(t, "foreign"), gone: map[string]bool{},
	}
	total := 0
	for range rapid.IntRange(1, 3).Draw(t, "runs") {
		n := rapid.IntRange(2, 7).Draw(t, "segments")
		s.runs = append(s.runs, n)
		s.offsets = append(s.offsets, rapid.SampledFrom([]int{1, 1, 50, 3000}).Draw(t, "offset"))
		total += n
	}
	for l := 1; l < s.layers; l++ { // the first layer is whole, so that the others' holes are their own
		for range rapid.IntRange(0, 2).Draw(t, "gone") {
			s.gone[fmt.Sprintf("l%d/seg%05d.m4s", l, rapid.IntRange(0, total-1).Draw(t, "which"))] = true
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "doubles") {
		s.doubles = append(s.doubles, fmt.Sprintf("l%d/seg%05d.m4s", rapid.IntRange(0, s.layers-1).Draw(t, "layer"), rapid.IntRange(0, total-1).Draw(t, "double")))
	}
	return s
}

func (s *shape) build() *stream {
	out := newStream(s.layers)
	for l := range s.layers {
		number, wall := 0, 10.0
		for r, n := range s.runs {
			e := encoder{layer: l, run: r, level: byte(30 - l), width: 640 >> l, offset: float64(s.offsets[r]), late: s.late, bFrames: s.bFrames}
			at := wall
			if !s.walls {
				at = -1
			}
			out.encode(e, 0, n, number, at)
			number += n
			wall += float64(2*n) + 3.7
		}
	}
	for name := range s.gone {
		delete(out.files, name)
	}
	if s.foreign {
		asForeign(out)
	}
	for _, name := range s.doubles {
		if data := out.files[name]; data != nil {
			l := int(name[1] - '0')
			at := slices.IndexFunc(out.dump.Layers[l].Segments, func(g hls.Segment) bool { return g.Name == name })
			copied := out.dump.Layers[l].Segments[at]
			copied.Name = strings.TrimSuffix(name, ".m4s") + ".again.m4s"
			if out.files[copied.Name] == nil {
				out.files[copied.Name] = data
				out.dump.Layers[l].Segments = append(out.dump.Layers[l].Segments, copied)
			}
		}
	}
	return out
}

// left is what a layer should have: its own samples but for the missing files'.
func (s *shape) left(out *stream, layer int) (want []unit) {
	number := 0
	for r, n := range s.runs {
		for i := range n {
			if s.gone[fmt.Sprintf("l%d/seg%05d.m4s", layer, number+i)] {
				continue
			}
			for _, u := range out.video[layer] {
				var l, run, frame int
				_, err := fmt.Sscanf(u.name, "v%d.%d.%d", &l, &run, &frame)
				if err == nil && run == r && frame/(2*fps) == i {
					want = append(want, u)
				}
			}
		}
		number += n
	}
	return want
}

// TestAnyStream holds timelines of random streams against what every one must be: each sample that is there comes once,
// in order, pictures and sound keep their distance, all layers have the same borders, and order and doubles do not matter.
func TestAnyStream(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		sh := drawShape(rt)
		s := sh.build()
		first := write(rt, s)
		mix := sh.build()
		for l := range mix.dump.Layers {
			mix.dump.Layers[l].Segments = rapid.Permutation(mix.dump.Layers[l].Segments).Draw(rt, "order")
		}
		second := write(rt, mix)
		require.Equal(rt, len(first.tree.files), len(second.tree.files))
		for name, data := range first.tree.files {
			require.True(rt, bytes.Equal(data, second.tree.files[name]), "%s differs", name)
		}
		require.Len(rt, first.t.Joins, len(sh.runs)-1)
		_, sound := readMovie(t, first.movies[0].p)
		soundAt := byRun(rt, s.audio, sound, 1)
		for _, l := range first.res.Layers {
			video, _ := readMovie(t, first.movies[l.Index].p)
			for r, at := range byRun(rt, sh.left(s, l.Index), video, 2) {
				for i, offset := range at {
					// A layer that lacks the beginning of a life shows its first picture early.
					if i > 0 || len(sh.gone) == 0 {
						require.InDelta(rt, soundAt[r][0], offset, 0.001, "layer %d, run %d, picture %d", l.Index, r, i)
					}
				}
			}
			for _, offset := range soundAt {
				require.InDelta(rt, slices.Min(offset), slices.Max(offset), 0.001)
			}
			if l.Dir != "" {
				inPackage, _ := readPackage(t, first.tree.files, l.Dir+"/index.m3u8")
				require.Len(rt, inPackage, len(video))
			}
		}
		aligned(t, first)
	})
}

// byRun checks that each sample comes once and in order, and returns by how much it was moved.
func byRun(t *rapid.T, want []unit, made []got, field int) map[int][]float64 {
	index := map[string]int{}
	for i, u := range want {
		index[u.name] = i
	}
	out, last := map[int][]float64{}, -1
	for _, g := range made {
		i, ok := index[g.name]
		if !ok {
			require.False(t, strings.HasPrefix(g.name, "v") || strings.HasPrefix(g.name, "a"), "%q comes from nowhere", g.name)
			continue
		}
		require.Greater(t, i, last, "%q is out of order or comes twice", g.name)
		last = i
		var layer, run int
		if field == 1 {
			_, err := fmt.Sscanf(g.name, "a%d.", &run)
			require.NoError(t, err)
		} else {
			_, err := fmt.Sscanf(g.name, "v%d.%d.", &layer, &run)
			require.NoError(t, err)
		}
		out[run] = append(out[run], g.at-want[i].at)
		delete(index, g.name)
	}
	require.Empty(t, index)
	return out
}

func write(t *rapid.T, s *stream) *product {
	p := &product{tree: newTree(), movies: map[int]*disk{}}
	var err error
	p.t, err = hls.Open(t.Context(), s.dump, s.files, demuxer{}, hls.Options{})
	require.NoError(t, err)
	out := hls.Outputs{Package: &hls.PackageOptions{Sink: p.tree}, Movies: map[int]mp4.File{}}
	for _, l := range p.t.Layers {
		p.movies[l.Index] = &disk{}
		out.Movies[l.Index] = p.movies[l.Index]
	}
	p.res, err = p.t.Write(t.Context(), out)
	require.NoError(t, err)
	return p
}
