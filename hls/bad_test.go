package hls_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

// plain is a stream of some layers and segments without restarts.
func plain(layers, segments int, change func(*encoder)) *stream {
	s := newStream(layers)
	for l := range layers {
		e := encoder{layer: l, level: byte(30 - l), width: 640 >> l}
		if change != nil {
			change(&e)
		}
		s.encode(e, 0, segments, 0, 10)
	}
	return s
}

func without(list []unit, prefix string, from, to float64) []unit {
	return slices.DeleteFunc(slices.Clone(list), func(u unit) bool {
		return strings.HasPrefix(u.name, prefix) && u.at >= from-1e-6 && u.at < to-1e-6
	})
}

// damaged is a damaged dump and what should become of it.
type damaged struct {
	make    func() *stream
	defects []string
	layers  int // in the package; all of the dump when zero
	runs    int // offsets between input and output; 1 when zero
	list    func(t *testing.T, p *product, playlist string, layer int)
}

func damagedLayers() map[string]damaged {
	return map[string]damaged{
		"a layer is missing": {make: func() *stream {
			s := plain(3, 6, nil)
			for i := range s.dump.Layers[1].Segments {
				delete(s.files, s.dump.Layers[1].Segments[i].Name)
			}
			return s
		}, layers: 2, defects: []string{"layer-missing", "missing-file", "missing-file", "missing-file", "missing-file", "missing-file", "missing-file"}},
		"a long part of one layer is missing": {make: func() *stream {
			s := plain(2, 24, nil)
			s.dump.Layers[1].Segments = slices.Delete(s.dump.Layers[1].Segments, 4, 14)
			s.video[1] = without(s.video[1], "v", 8, 28)
			return s
		}, defects: []string{"layer-hole"}, list: func(t *testing.T, _ *product, playlist string, layer int) {
			require.Equal(t, layer == 1, strings.Contains(playlist, "#EXT-X-GAP"), playlist)
		}},
		"a layer begins late": {make: func() *stream {
			s := plain(2, 12, nil)
			s.dump.Layers[1].Segments = slices.Delete(s.dump.Layers[1].Segments, 0, 8)
			s.video[1] = without(s.video[1], "v", 0, 16)
			return s
		}, layers: 1, defects: []string{"layer-hole", "layer-late"}},
		"no init segment": {make: func() *stream {
			s := plain(2, 4, nil)
			delete(s.files, "l1/init-0.mp4")
			return s
		}, layers: 1, defects: []string{"layer-missing", "missing-map", "missing-map", "missing-map", "missing-map"}},
		"sound in one layer only": {make: func() *stream {
			return plain(3, 6, func(e *encoder) { e.noAudio = e.layer != 2 })
		}},
	}
}

func damagedSegments() map[string]damaged {
	return map[string]damaged{
		"a segment of one layer is missing": {make: func() *stream {
			s := plain(3, 9, nil)
			delete(s.files, "l1/seg00003.m4s")
			s.video[1] = without(s.video[1], "v", 6, 8)
			return s
		}, defects: []string{"layer-hole", "missing-file"}},
		"a segment of one layer is not listed": {make: func() *stream {
			s := plain(2, 9, nil)
			s.dump.Layers[0].Segments = slices.Delete(s.dump.Layers[0].Segments, 4, 5)
			s.video[0] = without(s.video[0], "v", 8, 10)
			return s
		}, defects: []string{"layer-hole"}},
		"the first segment of one layer is missing": {make: func() *stream {
			s := plain(2, 9, nil)
			delete(s.files, "l1/seg00000.m4s")
			s.video[1] = without(s.video[1], "v", 0, 2)
			return s
		}, runs: -1, defects: []string{"layer-hole", "missing-file"}},
		"a segment is missing in all layers": {make: func() *stream {
			s := plain(2, 9, nil)
			for l := range 2 {
				s.dump.Layers[l].Segments = slices.Delete(s.dump.Layers[l].Segments, 4, 5)
				s.video[l] = without(s.video[l], "v", 8, 10)
			}
			s.audio = without(s.audio, "a", 8, 10)
			return s
		}, runs: 2, defects: []string{"hole"}},
		"an empty segment": {make: func() *stream {
			s := plain(2, 6, nil)
			s.files["l0/seg00002.m4s"] = nil
			s.video[0] = without(s.video[0], "v", 4, 6)
			return s
		}, defects: []string{"empty-file", "layer-hole"}},
		"garbage": {make: func() *stream {
			s := plain(2, 6, nil)
			s.files["l0/seg00002.m4s"] = []byte("<html>404</html>")
			s.video[0] = without(s.video[0], "v", 4, 6)
			return s
		}, defects: []string{"layer-hole", "unreadable-file"}},
	}
}

func damagedSound() map[string]damaged {
	return map[string]damaged{
		"no sound": {make: func() *stream { return plain(2, 6, func(e *encoder) { e.noAudio = true }) }},
		"sound in files of its own": {make: func() *stream {
			return plain(3, 6, func(e *encoder) { e.noAudio, e.noVideo = e.layer != 2, e.layer == 2 })
		}, layers: 2},
		"a file of sound is missing": {make: func() *stream {
			s := plain(2, 9, func(e *encoder) { e.noAudio, e.noVideo = e.layer != 1, e.layer == 1 })
			delete(s.files, "l1/seg00003.m4s")
			s.audio = without(s.audio, "a", 6, 8)
			return s
		}, layers: 1, defects: []string{"missing-file", "sound-hole"}},
	}
}

func damagedClocks() map[string]damaged {
	return map[string]damaged{
		"an encoder with another size": {make: func() *stream {
			s := plain(2, 4, nil)
			for l := range 2 {
				s.encode(encoder{layer: l, run: 1, level: 20, width: 320 >> l, offset: 3}, 0, 4, 4, 21)
			}
			return s
		}, runs: 2, defects: []string{"encoder-restart"}, list: func(t *testing.T, _ *product, playlist string, _ int) {
			require.Equal(t, 1, strings.Count(playlist, "#EXT-X-DISCONTINUITY\n"), playlist)
		}},
		"one layer changes its size in the middle": {make: func() *stream {
			s := newStream(2)
			s.encode(encoder{layer: 0, level: 30, width: 640}, 0, 8, 0, 10)
			s.encode(encoder{layer: 1, level: 30, width: 640, noAudio: true}, 0, 4, 0, 10)
			s.encode(encoder{layer: 1, level: 20, width: 320, run: 1, noAudio: true}, 4, 8, 4, 10)
			return s
		}, defects: []string{"config-change"}, list: func(t *testing.T, _ *product, playlist string, layer int) {
			require.Equal(t, 1, strings.Count(playlist, "#EXT-X-DISCONTINUITY\n"), playlist)
			require.Equal(t, 1+layer, strings.Count(playlist, "#EXT-X-MAP"), playlist)
		}},
		"a clock of 33 bits wraps": {make: func() *stream {
			const wrap = float64(1<<33) / 90000
			return plain(2, 9, func(e *encoder) { e.offset, e.wrap = wrap-6, wrap })
		}},
		"a clock that jumps backwards": {make: func() *stream {
			s := plain(2, 4, func(e *encoder) { e.offset = 100 })
			for l := range 2 {
				s.encode(encoder{layer: l, run: 1, level: byte(30 - l), width: 640 >> l, offset: 50}, 0, 4, 4, 18)
			}
			return s
		}, runs: 2, defects: []string{"clock-jump"}},
		"names that nothing can be told from": {make: func() *stream {
			s := plain(1, 6, nil)
			list := s.dump.Layers[0].Segments
			for i, n := range []string{"q", "b", "z", "a", "x", "c"} {
				s.files[n] = s.files[list[i].Name]
				list[i].Name, list[i].WallTime = n, time.Time{}
			}
			list[0], list[3], list[1], list[5] = list[3], list[0], list[5], list[1]
			return s
		}},
	}
}

func TestDamagedDumps(t *testing.T) {
	t.Parallel()
	for _, group := range []map[string]damaged{damagedLayers(), damagedSegments(), damagedSound(), damagedClocks()} {
		for name, tc := range group {
			for _, reader := range []string{"mp4", "demuxer"} {
				t.Run(name+", "+reader, func(t *testing.T) {
					t.Parallel()
					tc.check(t, reader == "demuxer" && name != "no init segment")
				})
			}
		}
	}
}

// check makes everything from the dump; with a demuxer only the beginnings of segments are looked at before.
func (tc *damaged) check(t *testing.T, demuxed bool) {
	t.Helper()
	s := tc.make()
	if demuxed {
		asForeign(s)
	}
	p := produce(t, s, nil)
	require.ElementsMatch(t, tc.defects, p.kinds(), "%v", p.res.Defects)
	packaged := 0
	var audioOffsets []float64
	if p.t.HasSound {
		audio, _ := readPackage(t, p.tree.files, "audio/index.m3u8")
		audioOffsets = exactly(t, s.audio, audio)
	}
	for _, l := range p.res.Layers {
		mv, ma := readMovie(t, p.movies[l.Index].p)
		exactly(t, s.video[l.Index], mv)
		exactly(t, s.audio, ma)
		if l.Dir == "" {
			continue
		}
		packaged++
		video, _ := readPackage(t, p.tree.files, l.Dir+"/index.m3u8")
		offsets := exactly(t, s.video[l.Index], video)
		if p.t.HasSound && tc.runs >= 0 {
			held(t, max(tc.runs, 1), offsets, audioOffsets)
		}
		if tc.list != nil {
			tc.list(t, p, string(p.tree.files[l.Dir+"/index.m3u8"]), l.Index)
		}
	}
	want := len(s.dump.Layers)
	if tc.layers > 0 {
		want = tc.layers
	}
	require.Equal(t, want, packaged)
	aligned(t, p)
}

func TestTornSegments(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		layer, segment int
		share          float64
	}{
		"in the middle":          {0, 3, 0.6},
		"at the end":             {1, 8, 0.6},
		"within moof":            {0, 3, 0.01},
		"at the beginning":       {0, 0, 0.5},
		"one byte is missing":    {1, 4, 0.9999},
		"nearly nothing is left": {0, 5, 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := plain(2, 9, nil)
			seg := s.dump.Layers[tc.layer].Segments[tc.segment].Name
			whole := s.files[seg]
			s.files[seg] = whole[:int(float64(len(whole))*tc.share)]
			var kept []unit
			for _, u := range s.video[tc.layer] {
				in := u.at >= float64(tc.segment*2) && u.at < float64(tc.segment*2+2)
				if !in || present(s.files[seg], u.name) {
					kept = append(kept, u)
				}
			}
			s.video[tc.layer] = kept
			p := produce(t, s, nil)
			audio, _ := readPackage(t, p.tree.files, "audio/index.m3u8")
			audioOffsets := exactly(t, s.audio, audio) // the other layer has it
			for l := range 2 {
				video, _ := readPackage(t, p.tree.files, p.res.Layers[l].Dir+"/index.m3u8")
				held(t, 1, exactly(t, s.video[l], video), audioOffsets)
			}
			aligned(t, p)
			require.NotEmpty(t, p.res.Defects)
		})
	}
}

// present reports whether a sample is whole in torn bytes: the next one has begun.
func present(data []byte, name string) bool {
	at := strings.Index(string(data), name+"\n")
	if at < 5 {
		return false
	}
	size := int(data[at-5])<<24 | int(data[at-4])<<16 | int(data[at-3])<<8 | int(data[at-2])
	return at-1+size <= len(data)
}

func TestPauses(t *testing.T) {
	t.Parallel()
	s := plain(2, 12, nil)
	// Wall time 10 s is media time 0: cut from 5.2 s to 12.9 s, borders at 6 s and 12 s.
	s.dump.Paused = []hls.Interval{{From: epoch.Add(15200 * time.Millisecond), To: epoch.Add(22900 * time.Millisecond)}}
	for l := range 2 {
		s.video[l] = without(s.video[l], "v", 6, 12)
	}
	s.audio = without(s.audio, "a", 6, 12)
	p := produce(t, s, nil)
	require.Empty(t, p.res.Defects)
	require.Len(t, p.t.Joins, 1)
	require.Equal(t, hls.JoinPause, p.t.Joins[0].Kind)
	require.InDelta(t, 6, p.t.Joins[0].To.Sub(p.t.Joins[0].From).Seconds(), 0.03)
	audio, _ := readPackage(t, p.tree.files, "audio/index.m3u8")
	offsets := exactly(t, s.audio, audio)
	for l := range 2 {
		video, _ := readPackage(t, p.tree.files, p.res.Layers[l].Dir+"/index.m3u8")
		held(t, 2, exactly(t, s.video[l], video), offsets)
	}
	require.Contains(t, string(p.tree.files["L0/index.m3u8"]), `CLASS="rushes.paused"`)
}

func TestNothingToPlay(t *testing.T) {
	t.Parallel()
	s := plain(2, 3, nil)
	clear(s.files)
	_, err := hls.Open(t.Context(), s.dump, s.files, nil, hls.Options{})
	var bad *hls.InputError
	require.ErrorAs(t, err, &bad)
	require.True(t, bad.BadInput())
}
