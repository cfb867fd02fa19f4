package av

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMatrixEveryWidth holds the vectors and what is left over at their end against the plain formula, at
// the edges of every value and for a part of a picture as well as for all of it.
func TestMatrixEveryWidth(t *testing.T) {
	t.Parallel()
	k := matrixCoefficients(6)
	clip := func(v int) byte { return byte(max(0, min(v, 255))) }
	part := func(a, b, x, y int) int { return (k[a]*x + k[b]*y + 4096) >> 13 }
	for _, w := range []int{2, 14, 16, 18, 34, 510, 512, 514, 1040} {
		rng := rand.New(rand.NewPCG(1, uint64(w)))
		src, dst := testPicture(t, w, 4, rng), testPicture(t, w+4, 6, rng)
		s := NewScaler()
		s.toBT709(src, 0, 0, dst, Rect{X: 2, Y: 2, W: w, H: 4}, 6)
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
				require.Equal(t, clip(int(sy[y*sys+x])+part(0, 1, b, r)), dy[(y+2)*dys+x+2], "width %d: Y at %d,%d", w, x, y)
				require.Equal(t, clip(b+128+part(2, 3, b, r)), du[(y/2+1)*dus+x/2+1], "width %d: Cb at %d,%d", w, x, y)
				require.Equal(t, clip(r+128+part(4, 5, b, r)), dv[(y/2+1)*dvs+x/2+1], "width %d: Cr at %d,%d", w, x, y)
			}
		}
		require.NoError(t, src.Close())
		require.NoError(t, dst.Close())
	}
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
