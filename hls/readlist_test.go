package hls_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/hls"
)

func TestReadPlaylist(t *testing.T) {
	t.Parallel()
	list, err := hls.ReadPlaylist("720p/index.m3u8", []byte(`#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MAP:URI="init.mp4",BYTERANGE="700@16"
#EXTINF:2.000000,title, with a comma
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T17:38:26.098+0000
a.m4s?token=1
#EXTINF:1.5,
b.m4s
#EXT-X-DISCONTINUITY
#EXTINF:2,
c.m4s
#EXT-X-MAP:URI="init2.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:00:00Z
#EXTINF:2,
#EXT-X-BYTERANGE:1000@500
all.mp4
#EXTINF:2,
#EXT-X-BYTERANGE:300
all.mp4
#EXT-X-GAP
#EXTINF:2,
gone.m4s
#EXTINF:2,
../../etc/passwd
#EXTINF:2,
https://elsewhere/x.ts
/abs.ts
../audio/d.m4s
`))
	require.NoError(t, err)
	at := time.Date(2026, 11, 22, 17, 38, 26, 98_000_000, time.UTC)
	at2 := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	first := hls.Segment{Map: "720p/init.mp4", MapOffset: 16, MapLength: 700}
	seg := func(s hls.Segment, name string, d time.Duration, wall time.Time) hls.Segment {
		s.Name, s.Duration, s.WallTime = "720p/"+name, d, wall
		return s
	}
	want := []hls.Segment{
		seg(first, "a.m4s", 2*time.Second, at), seg(first, "b.m4s", 1500*time.Millisecond, at.Add(2*time.Second)), seg(first, "c.m4s", 2*time.Second, time.Time{}),
	}
	want[2].Discontinuity = true
	second := hls.Segment{Map: "720p/init2.mp4"}
	ranged := seg(second, "all.mp4", 2*time.Second, at2)
	ranged.Offset, ranged.Length = 500, 1000
	want = append(want, ranged)
	ranged.Offset, ranged.Length, ranged.WallTime = 1500, 300, at2.Add(2*time.Second)
	want = append(want, ranged)
	gap := seg(second, "gone.m4s", 2*time.Second, at2.Add(4*time.Second))
	gap.Gap = true
	last := second
	last.Name = "audio/d.m4s"
	want = append(want, gap, last)
	require.Len(t, list, len(want))
	for i := range want {
		require.True(t, want[i].WallTime.Equal(list[i].WallTime), "%d: %v", i, list[i].WallTime)
		list[i].WallTime = want[i].WallTime
	}
	require.Equal(t, want, list)
	for _, bad := range []string{"", "#EXTINF:2,\na.ts\n", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n"} {
		_, err := hls.ReadPlaylist("x.m3u8", []byte(bad))
		var input *hls.InputError
		require.ErrorAs(t, err, &input, bad)
	}
}

func TestFromNames(t *testing.T) {
	t.Parallel()
	list := hls.FromNames([]string{"v/seg10.m4s", "v/seg2.m4s", "v/init.mp4", "v/index.m3u8", "v/seg1.m4s", "v/notes.txt"})
	require.Equal(t, []hls.Segment{{Name: "v/seg1.m4s", Map: "v/init.mp4"}, {Name: "v/seg2.m4s", Map: "v/init.mp4"}, {Name: "v/seg10.m4s", Map: "v/init.mp4"}}, list)
	require.Equal(t, []hls.Segment{{Name: "a.ts"}}, hls.FromNames([]string{"a.ts"}))
}

// FuzzReadPlaylist checks that no playlist leads outside of the dump or makes impossible segments.
func FuzzReadPlaylist(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXT-X-MAP:URI=\"i.mp4\",BYTERANGE=\"7@1\"\n#EXTINF:2.5,\n#EXT-X-BYTERANGE:9@3\na.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T17:38:26.098+0000\nb/../../c.ts\n"))
	f.Add([]byte("#EXTM3U\n#EXT-X-BYTERANGE:4611686018427387903@4611686018427387903\na\n#EXT-X-BYTERANGE:4611686018427387903\na\n#EXTINF:1e300,\nb"))
	f.Add([]byte("\xef\xbb\xbf#EXTM3U\n#EXT-X-MAP:URI=../x\n..\n.\n//h/x\n\\\\h\\x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := hls.ReadPlaylist("l/index.m3u8", data)
		if err != nil {
			return
		}
		for _, s := range list {
			for _, name := range []string{s.Name, s.Map} {
				require.False(t, name != "" && (path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || path.Clean(name) != name), "%q", name)
			}
			require.GreaterOrEqual(t, s.Offset, int64(0))
			require.GreaterOrEqual(t, s.Length, int64(0))
			require.GreaterOrEqual(t, s.Duration, time.Duration(0))
		}
	})
}

// FuzzSegment damages one segment of a stream of two layers: whatever is in it, something comes out or a clear error.
func FuzzSegment(f *testing.F) {
	base := plain(2, 3, func(e *encoder) { e.seconds = 1 })
	f.Add(base.files["l0/seg00001.m4s"], base.files["l0/init-0.mp4"])
	f.Add([]byte("moof"), []byte{})
	f.Add(base.files["l0/seg00001.m4s"][:700], base.files["l0/init-0.mp4"])
	f.Fuzz(func(t *testing.T, segment, head []byte) {
		s := &stream{files: memory{}, dump: hls.Dump{StartedAt: epoch}}
		for n, p := range base.files {
			s.files[n] = p
		}
		for _, l := range base.dump.Layers {
			s.dump.Layers = append(s.dump.Layers, hls.Layer{Name: l.Name, Segments: append([]hls.Segment(nil), l.Segments...)})
		}
		s.files["l0/seg00001.m4s"], s.files["other"] = segment, head
		s.dump.Layers[0].Segments[1].Map = "other"
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // what takes longer is a fault
		defer cancel()
		tl, err := hls.Open(ctx, s.dump, s.files, nil, hls.Options{SegmentDuration: time.Second})
		require.NoError(t, err) // the other layer is whole
		out := newTree()
		_, err = tl.Write(ctx, hls.Outputs{Package: &hls.PackageOptions{Sink: limited{out}}})
		if errors.Is(err, errFull) {
			return
		}
		require.NoError(t, err)
		require.NotEmpty(t, out.files["master.m3u8"])
	})
}

var errFull = errors.New("full")

// limited is a sink for fuzzing: impossible times may make a great many silent frames.
type limited struct{ *tree }

func (l limited) Create(ctx context.Context, name string) (io.WriteCloser, error) {
	if len(l.files) > 2000 {
		return nil, errFull
	}
	return l.tree.Create(ctx, name)
}

func TestZip(t *testing.T) {
	t.Parallel()
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		s := plain(2, 6, nil)
		z := hls.NewZipSink(w)
		produce(t, s, func(o *hls.PackageOptions) { o.Sink = z })
		require.NoError(t, z.Close())
	}
	require.True(t, bytes.Equal(a.Bytes(), b.Bytes()))
	want := produce(t, plain(2, 6, nil), nil).tree
	r, err := zipFiles(a.Bytes())
	require.NoError(t, err)
	require.Equal(t, want.files, r)
}
