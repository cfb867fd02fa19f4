package hls_test

import (
	"bytes"
	"path"
	"sort"
	"testing"

	"github.com/Eyevinn/hls-m3u8/m3u8"
	mp4ff "github.com/Eyevinn/mp4ff/mp4"
	"github.com/stretchr/testify/require"

	"rushes/hls"
	"rushes/transcode/mp4"
)

// got is a sample of an output.
type got struct {
	name string
	at   float64 // presentation, seconds
	dur  float64
	sync bool
}

// readPackage reads a rendition back with other people's code.
func readPackage(t testing.TB, files map[string][]byte, playlist string) (samples []got, list *m3u8.MediaPlaylist) {
	t.Helper()
	pl, kind, err := m3u8.DecodeFrom(bytes.NewReader(files[playlist]), true)
	require.NoError(t, err, "%s\n%s", playlist, files[playlist])
	require.Equal(t, m3u8.MEDIA, kind)
	list = pl.(*m3u8.MediaPlaylist)
	dir := path.Dir(playlist)
	part := func(uri string, limit, offset int64) []byte {
		p, ok := files[path.Join(dir, uri)]
		require.True(t, ok, "%s names %s", playlist, uri)
		if limit > 0 {
			require.LessOrEqual(t, offset+limit, int64(len(p)))
			return p[offset : offset+limit]
		}
		return p
	}
	var head []byte
	for _, seg := range list.GetAllSegments() {
		if m := seg.Map; m != nil {
			head = part(m.URI, m.Limit, m.Offset)
		} else if head == nil {
			head = part(list.Map.URI, list.Map.Limit, list.Map.Offset)
		}
		if seg.Gap {
			continue
		}
		samples = append(samples, readSegment(t, head, part(seg.URI, seg.Limit, seg.Offset))...)
	}
	return samples, list
}

func readSegment(t testing.TB, head, body []byte) (out []got) {
	t.Helper()
	f, err := mp4ff.DecodeFile(bytes.NewReader(append(bytes.Clone(head), body...)))
	require.NoError(t, err)
	trak := f.Init.Moov.Trak
	scale, skip := float64(trak.Mdia.Mdhd.Timescale), int64(0)
	if trak.Edts != nil {
		skip = trak.Edts.Elst[0].Entries[0].MediaTime
	}
	require.Len(t, f.Segments, 1)
	require.Len(t, f.Segments[0].Fragments, 1)
	list, err := f.Segments[0].Fragments[0].GetFullSamples(f.Init.Moov.Mvex.Trex)
	require.NoError(t, err)
	for _, s := range list {
		out = append(out, got{nameOf(s.Data), float64(int64(s.DecodeTime)+int64(s.CompositionTimeOffset)-skip) / scale, float64(s.Dur) / scale, s.IsSync()})
	}
	return out
}

// readMovie reads a progressive MP4 back.
func readMovie(t testing.TB, p []byte) (video, audio []got) {
	t.Helper()
	findings, err := mp4.Check(bytes.NewReader(p), int64(len(p)))
	require.NoError(t, err)
	for _, f := range findings {
		require.NotContains(t, []mp4.Severity{mp4.Must, mp4.Should}, f.Severity, f.String())
	}
	m, err := mp4.Read(bytes.NewReader(p), int64(len(p)))
	require.NoError(t, err)
	for _, tr := range m.Tracks {
		var out []got
		for s, err := range tr.Samples() {
			require.NoError(t, err)
			ts := float64(tr.Timescale)
			out = append(out, got{nameOf(p[s.Offset : s.Offset+int64(s.Size)]), float64(s.PTS) / ts, float64(s.Duration) / ts, s.Sync})
		}
		if tr.Video != nil {
			video = out
		} else {
			audio = out
		}
	}
	return video, audio
}

// product is everything made from a stream.
type product struct {
	t        *hls.Timeline
	res      *hls.Result
	tree     *tree
	movies   map[int]*disk
	timeline hls.Options
}

func produce(t testing.TB, s *stream, change func(*hls.PackageOptions)) *product {
	t.Helper()
	p := &product{tree: newTree(), movies: map[int]*disk{}}
	var err error
	p.t, err = hls.Open(t.Context(), s.dump, s.files, demuxer{}, p.timeline)
	require.NoError(t, err)
	out := hls.Outputs{Package: &hls.PackageOptions{Sink: p.tree}, Movies: map[int]mp4.File{}}
	if change != nil {
		change(out.Package)
	}
	for _, l := range p.t.Layers {
		p.movies[l.Index] = &disk{}
		out.Movies[l.Index] = p.movies[l.Index]
	}
	p.res, err = p.t.Write(t.Context(), out)
	require.NoError(t, err)
	return p
}

func (p *product) kinds() []string {
	var out []string
	for _, d := range p.res.Defects {
		out = append(out, string(d.Kind))
	}
	sort.Strings(out)
	return out
}
