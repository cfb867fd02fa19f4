package hls_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	"github.com/stretchr/testify/require"

	"rushes/hls"
)

// twoRuns is a stream of three layers whose encoder was restarted after four segments: its clock begins again.
func twoRuns() *stream {
	s := newStream(3)
	for l := range 3 {
		e := encoder{layer: l, level: byte(30 - l), width: 640 >> l, offset: 1.4, late: -0.021, bFrames: true}
		s.encode(e, 0, 4, 0, 10)
		e.run = 1
		s.encode(e, 0, 5, 4, 22.5)
	}
	return s
}

// exactly checks that what was made is what went in, each sample once and in order, and that pictures and sound have
// the same offset as before all the time.
func exactly(t testing.TB, want []unit, made []got) (offsets []float64) {
	t.Helper()
	at := map[string]float64{}
	for _, u := range want {
		at[u.name] = u.at
	}
	seen := map[string]int{}
	for _, g := range made {
		if !strings.HasPrefix(g.name, "v") && !strings.HasPrefix(g.name, "a") {
			continue // silence
		}
		in, ok := at[g.name]
		require.True(t, ok, "%q was not in the input", g.name)
		seen[g.name]++
		offsets = append(offsets, g.at-in)
	}
	for _, u := range want {
		require.Equal(t, 1, seen[u.name], "%s at %v", u.name, u.at)
	}
	return offsets
}

// held checks that the offsets at the beginning, the middle, the end and around a join are the same for pictures and
// sound, to a millisecond.
func held(t testing.TB, runs int, video, audio []float64) {
	t.Helper()
	distinct := func(list []float64) (out []float64) {
		for _, o := range list {
			if len(out) == 0 || math.Abs(out[len(out)-1]-o) > 0.001 {
				out = append(out, o)
			}
		}
		return out
	}
	v, a := distinct(video), distinct(audio)
	require.Len(t, v, runs, "offsets %v", v)
	require.Len(t, a, runs, "offsets %v", a)
	for i := range v {
		require.InDelta(t, v[i], a[i], 0.001)
	}
}

func TestPackageHoldsEverySampleOnce(t *testing.T) {
	t.Parallel()
	for name, single := range map[string]bool{"files": false, "ranges": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := twoRuns()
			p := produce(t, s, func(o *hls.PackageOptions) { o.SingleFile = single })
			require.Equal(t, []string{"encoder-restart"}, p.kinds())
			require.Len(t, p.t.Joins, 1)
			audio, audioList := readPackage(t, p.tree.files, "audio/index.m3u8")
			audioOffsets := exactly(t, s.audio, audio)
			for l, layer := range p.res.Layers {
				video, list := readPackage(t, p.tree.files, layer.Dir+"/index.m3u8")
				held(t, 2, exactly(t, s.video[l], video), audioOffsets)
				require.Len(t, list.GetAllSegments(), p.res.Package.Segments)
				require.Equal(t, audioList.TargetDuration, list.TargetDuration)
				mv, ma := readMovie(t, p.movies[l].p)
				held(t, 2, exactly(t, s.video[l], mv), exactly(t, s.audio, ma))
			}
			aligned(t, p)
			last := p.tree.order[len(p.tree.order)-1]
			require.Equal(t, "master.m3u8", last)
			playlists := false
			for _, f := range p.tree.order {
				isList := strings.HasSuffix(f, ".m3u8")
				require.True(t, isList || !playlists, "%s was written after a playlist", f)
				playlists = playlists || isList
			}
		})
	}
}

// aligned checks that segments of all layers begin with a key frame at the same time, and that sound follows.
func aligned(t testing.TB, p *product) {
	t.Helper()
	var reference []float64
	lists := []string{}
	for _, l := range p.res.Layers {
		if l.Dir != "" {
			lists = append(lists, l.Dir+"/index.m3u8")
		}
	}
	for _, name := range append(lists, "audio/index.m3u8") {
		if p.tree.files[name] == nil {
			continue
		}
		pl, _, err := m3u8.DecodeFrom(bytes.NewReader(p.tree.files[name]), true)
		require.NoError(t, err)
		at, sum := []float64{}, 0.0
		for _, seg := range pl.(*m3u8.MediaPlaylist).GetAllSegments() {
			at = append(at, sum)
			sum += seg.Duration
		}
		at = append(at, sum)
		if reference == nil {
			reference = at
		}
		require.Len(t, at, len(reference), name)
		for i := range at {
			delta := 1e-5
			if strings.HasPrefix(name, "audio/") {
				delta = 1024.0/48000 + 0.022
			}
			require.InDelta(t, reference[i], at[i], delta, "%s, segment %d", name, i)
		}
	}
}

func TestSameBytesFromAnyOrder(t *testing.T) {
	t.Parallel()
	want := produce(t, twoRuns(), nil)
	for seed := range uint64(5) {
		s := twoRuns()
		r := rand.New(rand.NewPCG(seed, 1))
		for l := range s.dump.Layers {
			list := s.dump.Layers[l].Segments
			double := list[r.IntN(len(list))]
			s.files[double.Name+"x"] = s.files[double.Name]
			list = append(list, list[0], double)
			double.Name += "x"
			list = append(list, double)
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			s.dump.Layers[l].Segments = list
			if seed%2 == 1 {
				for i := range list {
					list[i].WallTime = list[i].WallTime.Add(0)
				}
			}
		}
		p := produce(t, s, nil)
		require.Equal(t, len(want.tree.files), len(p.tree.files))
		for name, data := range want.tree.files {
			require.True(t, bytes.Equal(data, p.tree.files[name]), "seed %d: %s differs", seed, name)
		}
		for l, d := range want.movies {
			require.True(t, bytes.Equal(d.p, p.movies[l].p), "seed %d: movie %d differs", seed, l)
		}
		require.Contains(t, p.kinds(), "double-segment")
	}
}

func TestPlaylistsKeepTheRules(t *testing.T) {
	t.Parallel()
	s := twoRuns()
	p := produce(t, s, nil)
	pl, kind, err := m3u8.DecodeFrom(bytes.NewReader(p.tree.files["master.m3u8"]), true)
	require.NoError(t, err, "%s", p.tree.files["master.m3u8"])
	require.Equal(t, m3u8.MASTER, kind)
	master := pl.(*m3u8.MasterPlaylist)
	variants, iframes := 0, 0
	for _, v := range master.Variants {
		require.Positive(t, v.Bandwidth)
		require.GreaterOrEqual(t, v.Bandwidth, v.AverageBandwidth)
		require.NotEmpty(t, v.Resolution)
		if v.Iframe {
			iframes++
			require.NotContains(t, v.Codecs, "mp4a")
			continue
		}
		variants++
		require.Equal(t, "audio", v.Audio)
		require.InDelta(t, 25, v.FrameRate, 0.001)
		require.Contains(t, v.Codecs, "avc1.6400")
		require.Contains(t, v.Codecs, "mp4a.40.2")
		measured(t, p, path.Dir(v.URI), v)
	}
	require.Equal(t, 3, variants)
	require.Equal(t, 3, iframes)
	for _, l := range p.res.Layers {
		text := string(p.tree.files[l.Dir+"/index.m3u8"])
		// Shaka Player would leave a hole as long as a jump of the clock without a discontinuity.
		require.Equal(t, 1, strings.Count(text, "#EXT-X-PROGRAM-DATE-TIME"), text)
		require.Equal(t, 1, strings.Count(text, "#EXT-X-DATERANGE"))
		require.NotContains(t, text, "DISCONTINUITY\n") // the new encoder has the same parameters
		require.Contains(t, text, `CLASS="rushes.encoder-restart"`)
		iframesMatch(t, p, l.Dir)
	}
}

// measured recomputes what the multivariant playlist claims of the bit rates.
func measured(t *testing.T, p *product, dir string, v *m3u8.Variant) {
	t.Helper()
	var sum, dur float64
	for _, d := range []string{dir, "audio"} {
		pl, _, err := m3u8.DecodeFrom(bytes.NewReader(p.tree.files[d+"/index.m3u8"]), true)
		require.NoError(t, err)
		var bytesIn, secs float64
		for _, seg := range pl.(*m3u8.MediaPlaylist).GetAllSegments() {
			bytesIn += float64(len(p.tree.files[path.Join(d, seg.URI)]))
			secs += seg.Duration
		}
		sum += bytesIn * 8 / secs
		dur = secs
	}
	require.Positive(t, dur)
	require.InEpsilon(t, sum, float64(v.AverageBandwidth), 0.001)
}

// iframesMatch checks that an I-frame playlist's ranges begin with a moof and end with the key frame.
func iframesMatch(t *testing.T, p *product, dir string) {
	t.Helper()
	pl, _, err := m3u8.DecodeFrom(bytes.NewReader(p.tree.files[dir+"/iframes.m3u8"]), true)
	require.NoError(t, err)
	list := pl.(*m3u8.MediaPlaylist)
	require.True(t, list.Iframe)
	var sum float64
	for _, seg := range list.GetAllSegments() {
		data := p.tree.files[path.Join(dir, seg.URI)]
		require.Less(t, seg.Offset+seg.Limit, int64(len(data)))
		part := data[seg.Offset : seg.Offset+seg.Limit]
		require.Equal(t, "moof", string(part[4:8]))
		samples := readSegment(t, p.tree.files[dir+"/init.mp4"], data)
		require.True(t, samples[0].sync)
		require.True(t, bytes.HasSuffix(part, data[bytes.Index(data, []byte(samples[0].name)):len(part)]))
		require.Contains(t, string(part), samples[0].name+"\n")
		require.NotContains(t, string(part), samples[1].name+"\n")
		sum += seg.Duration
	}
	require.InDelta(t, p.res.Duration.Seconds(), sum, 0.05)
}
