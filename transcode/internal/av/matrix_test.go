package av

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMatrixEveryWidth holds the vectors and what is left over at their end against the plain formula, at
// the edges of every value and for a part of a picture as well as for all of it, from each range.
func TestMatrixEveryWidth(t *testing.T) {
	t.Parallel()
	for _, key := range []matrixKey{{from: 6}, {6, true}, {1, true}} {
		for _, w := range []int{2, 14, 16, 18, 34, 510, 512, 514, 1040} {
			matrixAsFormula(t, key, w)
		}
	}
}

func matrixAsFormula(t *testing.T, key matrixKey, w int) {
	t.Helper()
	k := matrixCoefficients(key)
	clip := func(v int) byte { return byte(max(0, min(v, 255))) }
	part := func(a, b, x, y int) int { return (k[a]*x + k[b]*y + 4096) >> 13 }
	luma := func(v byte) int { return int(v) }
	if key.full {
		luma = func(v byte) int { return 16 + int(math.Round(float64(v)*219/255)) }
	}
	rng := rand.New(rand.NewPCG(1, uint64(w)))
	src, dst := testPicture(t, w, 4, rng), testPicture(t, w+4, 6, rng)
	s := NewScaler()
	s.toBT709(src, 0, 0, dst, Rect{X: 2, Y: 2, W: w, H: 4}, key)
	require.NoError(t, s.Close())
	sy, sys := src.Plane(0, 4)
	su, sus := src.Plane(1, 2)
	sv, svs := src.Plane(2, 2)
	dy, dys := dst.Plane(0, 6)
	du, dus := dst.Plane(1, 3)
	dv, dvs := dst.Plane(2, 3)
	for y := range 4 {
		for x := range w {
			b, r := int(su[y/2*sus+x/2])-128, int(sv[y/2*svs+x/2])-128
			require.Equal(t, clip(luma(sy[y*sys+x])+part(0, 1, b, r)), dy[(y+2)*dys+x+2], "%v, width %d: Y at %d,%d", key, w, x, y)
			require.Equal(t, clip(b+128+part(2, 3, b, r)), du[(y/2+1)*dus+x/2+1], "%v, width %d: Cb at %d,%d", key, w, x, y)
			require.Equal(t, clip(r+128+part(4, 5, b, r)), dv[(y/2+1)*dvs+x/2+1], "%v, width %d: Cr at %d,%d", key, w, x, y)
		}
	}
	require.NoError(t, src.Close())
	require.NoError(t, dst.Close())
}

// TestRangeEveryColour draws full-range colours, all of which BT.709 can hold, and compares them with what the
// recommendations say of them in numbers that are not rounded on the way.
func TestRangeEveryColour(t *testing.T) {
	t.Parallel()
	for m, w := range map[int][2]float64{1: {0.2126, 0.0722}, 6: {0.299, 0.114}} {
		for rgb := range 9 * 9 * 9 {
			r, g, b := float64(rgb%9)/8, float64(rgb/9%9)/8, float64(rgb/81)/8
			y, pb, pr := inMatrix(r, g, b, w[0], w[1])
			src := plainPicture(t, [3]float64{y * 255, 128 + pb*255, 128 + pr*255})
			src.Color = Color{Matrix: m, Range: 2}
			dst := plainPicture(t, [3]float64{})
			s := NewScaler()
			require.NoError(t, s.Draw(dst, src, Rect{W: 16, H: 2}))
			require.NoError(t, s.Close())
			// What the source could hold of the colour, in the other matrix.
			y7, pb7, pr7 := inMatrix(r, g, b, 0.2126, 0.0722)
			for i, want := range []float64{16 + y7*219, 128 + pb7*224, 128 + pr7*224} {
				p, _ := dst.Plane(i, 1)
				require.InDelta(t, want, p[0], 1.6, "matrix %d, plane %d of %v %v %v", m, i, r, g, b)
			}
			require.NoError(t, src.Close())
			require.NoError(t, dst.Close())
		}
	}
}

func inMatrix(r, g, b, kr, kb float64) (y, pb, pr float64) {
	y = kr*r + (1-kr-kb)*g + kb*b
	return y, (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
}

func plainPicture(t *testing.T, colour [3]float64) *Frame {
	t.Helper()
	f, err := NewFrame()
	require.NoError(t, err)
	require.NoError(t, f.AllocPicture(16, 2, YUV420P))
	for i, v := range colour {
		plane, _ := f.Plane(i, []int{2, 1, 1}[i])
		for j := range plane {
			plane[j] = byte(min(math.Round(v), 255))
		}
	}
	return f
}

// testPicture is full of random samples, many of them at the ends of the range.
func testPicture(t *testing.T, w, h int, rng *rand.Rand) *Frame {
	t.Helper()
	f, err := NewFrame()
	require.NoError(t, err)
	require.NoError(t, f.AllocPicture(w, h, YUV420P))
	for i, rows := range []int{h, h / 2, h / 2} {
		plane, _ := f.Plane(i, rows)
		for j := range plane {
			plane[j] = [...]byte{0, math.MaxUint8, byte(rng.UintN(256)), byte(rng.UintN(256))}[rng.UintN(4)]
		}
	}
	return f
}

// TestStartCodeEverywhere puts a start code at every place of a buffer whose other bytes nearly are one.
func TestStartCodeEverywhere(t *testing.T) {
	t.Parallel()
	require.Equal(t, -1, StartCode(nil))
	for n := range 70 {
		data := make([]byte, n)
		require.Equal(t, -1, StartCode(data))
		for at := 0; at+3 <= n; at++ {
			for i := range data {
				data[i] = byte(i % 2) // 00 01 00 01
			}
			copy(data[at:], []byte{0, 0, 1})
			require.Equal(t, bytes.Index(data, []byte{0, 0, 1}), StartCode(data), "at %d of %d", at, n)
		}
	}
}
