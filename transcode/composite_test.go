package transcode

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rushes/layout"
)

// listed is a track of units in memory.
type listed struct {
	units []Unit
	next  int
}

func (l *listed) Next() (*Unit, error) {
	if l.next == len(l.units) {
		return nil, io.EOF
	}
	l.next++
	return &l.units[l.next-1], nil
}

func (l *listed) Close() error { return nil }

// camera is a track of grey pictures that grow brighter, 10 a second, with a key frame every so many.
func camera(t *testing.T, pictures, keyEvery int) *CompositeVideo {
	t.Helper()
	const w, h = 64, 48
	var units []Unit
	var keys []KeyPicture
	spec := RecorderSpec{Video: &RecorderVideo{Encoder: "libvpx", FrameRate: 10, BitRate: 100_000, KeyEvery: keyEvery, InBand: true,
		Options: map[string]string{"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}}}
	r, err := NewUnitRecorder(spec, func(_ bool, u *Unit) error {
		at := time.Duration(len(units)) * 100 * time.Millisecond
		if u.Key {
			keys = append(keys, KeyPicture{Unit: len(units), At: at})
		}
		units = append(units, Unit{Data: append([]byte(nil), u.Data...), At: at, Duration: 100 * time.Millisecond, Key: u.Key})
		return nil
	})
	require.NoError(t, err)
	for i := range pictures {
		p := Picture{PTS: time.Duration(i) * 100 * time.Millisecond, Width: w, Height: h, Y: make([]byte, w*h), Cb: make([]byte, w*h/4), Cr: make([]byte, w*h/4), StrideY: w, StrideC: w / 2}
		for k := range p.Y {
			p.Y[k] = byte(20 + i%200)
		}
		for k := range p.Cb {
			p.Cb[k], p.Cr[k] = 128, 128
		}
		require.NoError(t, r.Picture(p, i%keyEvery == 0))
	}
	require.NoError(t, r.Finish())
	require.NoError(t, r.Close())
	require.Len(t, units, pictures)
	return &CompositeVideo{TrackInput: TrackInput{Name: "cam", Codec: "vp8", Width: w, Height: h, FrameRate: 10, Open: func() (Units, error) { return &listed{units: units}, nil }}, Keys: keys}
}

func compositeOf(t *testing.T, v *CompositeVideo, length time.Duration) *Composite {
	t.Helper()
	plan, err := layout.Build(layout.Options{Canvas: layout.Canvas{Width: 256, Height: 144, FPS: 15}}, layout.Session{Duration: length,
		Peers:  []layout.Peer{{ID: "p", Leave: layout.Forever}},
		Tracks: []layout.Track{{ID: "cam", PeerID: "p", Kind: layout.Video, Present: []layout.Interval{{To: length}}}}})
	require.NoError(t, err)
	return &Composite{Plan: plan, Video: map[string]*CompositeVideo{"cam": v}, Encode: VideoSettings{Preset: "ultrafast", KeyInterval: time.Second}}
}

// TestChunksDecode renders every chunk by itself, as after a run that broke off before each: together they decode at
// most a tenth more than one pass, however few key frames there are.
func TestChunksDecode(t *testing.T) {
	t.Parallel()
	const pictures = 400
	for _, c := range []struct{ keyEvery, least, most int }{{10, 8, 21}, {100, 3, 21}, {1 << 20, 1, 3}} {
		comp := compositeOf(t, camera(t, pictures, c.keyEvery), pictures*100*time.Millisecond)
		chunks := comp.Chunks(2 * time.Second)
		require.GreaterOrEqual(t, len(chunks), c.least, "key frames every %d", c.keyEvery)
		require.LessOrEqual(t, len(chunks), c.most, "key frames every %d", c.keyEvery)
		next, decoded, drawn := int64(0), 0, 0
		for _, chunk := range chunks {
			require.Equal(t, next, chunk.First)
			require.Zero(t, chunk.First%comp.gop())
			next = chunk.End
			res := renderAlone(t, comp, chunk)
			decoded, drawn = decoded+res.Decoded, drawn+res.Drawn
			require.Zero(t, res.Bad)
		}
		require.Equal(t, comp.Plan.Frames, next)
		require.LessOrEqual(t, decoded, pictures*11/10, "key frames every %d, %d chunks", c.keyEvery, len(chunks))
		require.GreaterOrEqual(t, decoded, pictures)
		require.LessOrEqual(t, drawn, pictures+len(chunks), "a picture is drawn twice")
		t.Logf("key frames every %d: %d chunks, %d decoded, %d drawn", c.keyEvery, len(chunks), decoded, drawn)
	}
}

func renderAlone(t *testing.T, comp *Composite, chunk Chunk) *ChunkResult {
	t.Helper()
	r, err := NewRenderer(comp)
	require.NoError(t, err)
	f, err := os.Create(filepath.Join(t.TempDir(), "chunk.mp4"))
	require.NoError(t, err)
	res, err := r.Chunk(t.Context(), chunk, f, nil)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, r.Close())
	return res
}

// TestRenderAgain renders out of order with one renderer: what an earlier pass left on its canvases is not shown.
func TestRenderAgain(t *testing.T) {
	t.Parallel()
	comp := compositeOf(t, camera(t, 60, 10), 6*time.Second)
	r, err := NewRenderer(comp)
	require.NoError(t, err)
	var luma [2]byte
	for i, chunk := range []Chunk{{60, 90}, {0, 30}} {
		name := filepath.Join(t.TempDir(), "chunk.mp4")
		f, err := os.Create(name)
		require.NoError(t, err)
		_, err = r.Chunk(t.Context(), chunk, f, nil)
		require.NoError(t, err)
		src, err := FileSource(name, f)
		require.NoError(t, err)
		first := true
		_, err = Decode(t.Context(), src, Sink{Picture: func(p Picture) error {
			if first {
				luma[i], first = p.Y[72*p.StrideY+128], false
			}
			return nil
		}})
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.InDelta(t, 20+40, int(luma[0]), 4)
	require.InDelta(t, 20, int(luma[1]), 4)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
}

// TestBrokenTrack has a codec that nobody knows and a track that ends with an error: an avatar, and a defect.
func TestBrokenTrack(t *testing.T) {
	t.Parallel()
	comp := compositeOf(t, &CompositeVideo{TrackInput: TrackInput{Name: "cam", Codec: "no-such-codec", Open: func() (Units, error) { return &listed{}, nil }}}, time.Second)
	res := renderAlone(t, comp, Chunk{0, 15})
	require.Len(t, res.Defects, 1)
	good := camera(t, 10, 10)
	open := good.Open
	good.Open = func() (Units, error) {
		u, err := open()
		return &failing{Units: u}, err
	}
	res = renderAlone(t, compositeOf(t, good, time.Second), Chunk{0, 15})
	require.Len(t, res.Defects, 1)
	require.Equal(t, 4, res.Decoded)
}

type failing struct {
	Units
	n int
}

func (f *failing) Next() (*Unit, error) {
	if f.n++; f.n > 4 {
		return nil, &InputError{File: "cam", Reason: "torn"}
	}
	return f.Units.Next()
}
