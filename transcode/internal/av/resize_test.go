package av

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// triangle is the filter by its definition, in floating point.
func triangle(src []byte, stride, w, h, dw, dh, x, y int) float64 {
	weights := func(from, n, i int) map[int]float64 {
		ratio := float64(from) / float64(n)
		radius, centre := max(ratio, 1), (float64(i)+0.5)*ratio-0.5
		out, sum := map[int]float64{}, 0.0
		for j := int(centre - radius - 1); j <= int(centre+radius+1); j++ {
			if v := 1 - math.Abs(float64(j)-centre)/radius; v > 0 {
				out[min(max(j, 0), from-1)] += v
				sum += v
			}
		}
		for j := range out {
			out[j] /= sum
		}
		return out
	}
	v := 0.0
	across := weights(w, dw, x)
	for j, a := range weights(h, dh, y) {
		for i, b := range across {
			v += a * b * float64(src[j*stride+i])
		}
	}
	return v
}

// TestResize holds the resizer against the filter's definition, and its vectors against its plain code, for many
// ratios; what lies round the target stays as it is.
func TestResize(t *testing.T) {
	t.Parallel()
	for _, c := range [][4]int{{640, 360, 416, 232}, {640, 480, 312, 234}, {320, 180, 640, 360}, {64, 48, 16, 12}, {63, 47, 40, 30}, {34, 20, 32, 18}, {6, 4, 8, 6}, {2, 2, 2, 2}, {2, 2, 64, 36}, {130, 72, 66, 72}} {
		w, h, dw, dh := c[0], c[1], c[2], c[3]
		rng := rand.New(rand.NewPCG(2, uint64(w)))
		src, plain, fast := testPicture(t, w+6, h+6&^1, rng), testPicture(t, dw+8, dh+6, rng), testPicture(t, dw+8, dh+6, rng)
		for _, f := range []*Frame{plain, fast} {
			Fill(f, Rect{W: dw + 8, H: dh + 6}, 77, 78, 79)
		}
		to, crop := Rect{X: 4, Y: 2, W: dw, H: dh}, Rect{X: 2, Y: 2, W: w, H: h}
		for _, f := range []*Frame{plain, fast} {
			r := newResizer(crop.W, crop.H, to, f == plain)
			require.NotNil(t, r)
			r.draw(f, to, src, crop.X, crop.Y)
			r.close()
		}
		for i := range 3 {
			sh := min(i, 1)
			from, stride := src.Plane(i, (h+6)>>sh)
			a, as := plain.Plane(i, (dh+6)>>sh)
			b, bs := fast.Plane(i, (dh+6)>>sh)
			from = from[(2>>sh)*stride+2>>sh:]
			for y := range (dh + 6) >> sh {
				for x := range (dw + 8) >> sh {
					got := a[y*as+x]
					require.Equal(t, got, b[y*bs+x], "%v: plane %d at %d,%d", c, i, x, y)
					px, py := x-4>>sh, y-2>>sh
					if px < 0 || py < 0 || px >= dw>>sh || py >= dh>>sh {
						require.EqualValues(t, 77+i, got, "%v: plane %d at %d,%d", c, i, x, y)
						continue
					}
					want := triangle(from, stride, (w+sh)>>sh, (h+sh)>>sh, dw>>sh, dh>>sh, px, py)
					require.InDelta(t, want, float64(got), 4.5, "%v: plane %d at %d,%d", c, i, px, py)
				}
			}
		}
		for _, f := range []*Frame{src, plain, fast} {
			require.NoError(t, f.Close())
		}
	}
	require.Nil(t, newResizer(50, 10, Rect{W: 10, H: 10}, false), "more than a shuffle reaches")
}
