package av

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMatrix changes colours from every matrix to BT.709 and compares with the formula by way of RGB.
func TestMatrix(t *testing.T) {
	t.Parallel()
	weights := map[int][2]float64{6: {0.299, 0.114}, 7: {0.212, 0.087}, 9: {0.2627, 0.0593}}
	for from, k := range weights {
		c := matrixCoefficients(matrixKey{from: from})
		for r := 0.0; r <= 1; r += 0.125 {
			for g := 0.0; g <= 1; g += 0.125 {
				for b := 0.0; b <= 1; b += 0.125 {
					y, cb, cr := toYCbCr(r, g, b, k[0], k[1])
					wantY, wantCb, wantCr := toYCbCr(r, g, b, 0.2126, 0.0722)
					u, v := cb-128, cr-128
					gotY := y + (float64(c[0])*u+float64(c[1])*v)/8192
					gotCb := cb + (float64(c[2])*u+float64(c[3])*v)/8192
					gotCr := cr + (float64(c[4])*u+float64(c[5])*v)/8192
					require.InDelta(t, wantY, gotY, 0.05)
					require.InDelta(t, wantCb, gotCb, 0.05)
					require.InDelta(t, wantCr, gotCr, 0.05)
				}
			}
		}
	}
	for _, v := range matrixCoefficients(matrixKey{from: 6}) {
		require.Less(t, v, 1<<15)
	}
}

func toYCbCr(r, g, b, kr, kb float64) (y, cb, cr float64) {
	l := kr*r + (1-kr-kb)*g + kb*b
	return 16 + 219*l, 128 + 224*(b-l)/(2*(1-kb)), 128 + 224*(r-l)/(2*(1-kr))
}

// TestDrawMatrix draws a BT.601 picture of one colour at its own size and scaled; both give BT.709.
func TestDrawMatrix(t *testing.T) {
	t.Parallel()
	scaler := NewScaler()
	defer func() { require.NoError(t, scaler.Close()) }()
	for _, rgb := range [][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, {0, 1, 1}, {1, 0, 1}, {0.5, 0.5, 0.5}, {1, 1, 1}, {0, 0, 0}} {
		src, dst := frame(t), frame(t)
		require.NoError(t, src.AllocPicture(64, 48, YUV420P))
		y, cb, cr := toYCbCr(rgb[0], rgb[1], rgb[2], 0.299, 0.114)
		Fill(src, Rect{W: 64, H: 48}, uint8(y+0.5), uint8(cb+0.5), uint8(cr+0.5))
		src.Color.Matrix = 6
		for _, to := range []Rect{{W: 64, H: 48}, {X: 8, Y: 4, W: 40, H: 30}} {
			require.NoError(t, dst.AllocPicture(64, 48, YUV420P))
			Fill(dst, Rect{W: 64, H: 48}, 16, 128, 128)
			require.NoError(t, scaler.Draw(dst, src, to))
			wantY, wantCb, wantCr := toYCbCr(rgb[0], rgb[1], rgb[2], 0.2126, 0.0722)
			for i, want := range []float64{wantY, wantCb, wantCr} {
				rows, x, row := 48, to.X+to.W/2, to.Y+to.H/2
				if i > 0 {
					rows, x, row = rows/2, x/2, row/2
				}
				plane, stride := dst.Plane(i, rows)
				require.InDelta(t, want, float64(plane[row*stride+x]), 1.5, "plane %d of %v into %+v", i, rgb, to)
			}
			if plane, _ := dst.Plane(0, 48); to.X > 0 {
				require.Equal(t, byte(16), plane[0], "outside of the rectangle")
			}
		}
	}
}

func frame(t *testing.T) *Frame {
	t.Helper()
	f, err := NewFrame()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// TestCloseTwice closes everything twice, and what never was.
func TestCloseTwice(t *testing.T) {
	t.Parallel()
	before := []io.Closer{(*Frame)(nil), (*Packet)(nil), (*Decoder)(nil), (*Encoder)(nil), (*Input)(nil), (*Output)(nil), (*Scaler)(nil), (*Resampler)(nil)}
	f, err := NewFrame()
	require.NoError(t, err)
	p, err := NewPacket()
	require.NoError(t, err)
	e, err := NewEncoder(EncoderSpec{Encoder: "aac", TimeBase: Rational{1, 48000}, SampleRate: 48000, Channels: 2, SampleFormat: FloatPlanar})
	require.NoError(t, err)
	d, err := NewDecoder(DecoderSpec{Name: "x", Stream: -1, Codec: "vp8", TimeBase: Rational{1, 1000}})
	require.NoError(t, err)
	file, err := os.Create(filepath.Join(t.TempDir(), "x.mp4"))
	require.NoError(t, err)
	o, err := NewOutput(t.Context(), file, "mp4", "x.mp4")
	require.NoError(t, err)
	for _, c := range append(before, f, p, e, d, o, NewScaler(), NewResampler(48000, 2)) {
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
	}
	require.NoError(t, file.Close())
}

func TestErrors(t *testing.T) {
	t.Parallel()
	_, err := NewDecoder(DecoderSpec{Name: "film.mkv", Stream: 3, Codec: "nonsense"})
	require.EqualError(t, err, `decode film.mkv: stream 3: codec "nonsense" is not built in`)
	_, err = NewEncoder(EncoderSpec{Encoder: "nonsense"})
	require.ErrorContains(t, err, "nonsense")
	_, err = NewEncoder(EncoderSpec{Encoder: "aac", TimeBase: Rational{1, 48000}, SampleRate: 48000, Channels: 2, SampleFormat: FloatPlanar, Options: map[string]string{"colour": "red"}})
	require.EqualError(t, err, `encoder aac knows no option "colour"`)

	_, err = OpenInput(t.Context(), Source{Name: "film.mkv", R: bytes.NewReader([]byte("no film")), Size: 7})
	var e *Error
	require.ErrorAs(t, err, &e)
	require.True(t, e.Invalid())
	require.ErrorContains(t, err, "film.mkv")

	_, err = OpenInput(t.Context(), Source{Name: "film.mkv", R: broken{}, Size: 7000})
	require.ErrorAs(t, err, &e)
	require.False(t, e.Invalid(), "a disk that fails is not the film's fault")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = OpenInput(ctx, Source{Name: "film.mkv", R: bytes.NewReader(nil)})
	require.ErrorIs(t, err, context.Canceled)
}

// TestInterruptedOpening ends the context, or breaks the disk, while the streams are being looked at: libav itself
// is content with what it has by then.
func TestInterruptedOpening(t *testing.T) {
	t.Parallel()
	ts := bytes.Repeat(append([]byte{0x47, 0x1f, 0xff, 0x10}, make([]byte, 184)...), 4000) // nothing but stuffing
	ctx, cancel := context.WithCancel(t.Context())
	_, err := OpenInput(ctx, Source{Name: "film.ts", R: &fading{data: ts, then: func() error { cancel(); return nil }}, Size: int64(len(ts))})
	require.ErrorIs(t, err, context.Canceled)
	_, err = OpenInput(t.Context(), Source{Name: "film.ts", R: &fading{data: ts, then: func() error { return errors.New("fire") }}, Size: int64(len(ts))})
	var e *Error
	require.ErrorAs(t, err, &e)
	require.False(t, e.Invalid())
}

// fading calls then from the third read on.
type fading struct {
	data  []byte
	reads int
	then  func() error
}

func (f *fading) ReadAt(p []byte, off int64) (int, error) {
	if f.reads++; f.reads > 2 {
		if err := f.then(); err != nil {
			return 0, err
		}
	}
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	return copy(p, f.data[off:]), nil
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("the disk is on fire") }
