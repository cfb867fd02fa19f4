package layout_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rushes/layout"
)

func TestPlace(t *testing.T) {
	t.Parallel()
	cell := layout.Rect{X: 8, Y: 4, Width: 416, Height: 234}
	for name, tc := range map[string]struct {
		src       layout.Size
		rect      layout.Rect
		fit       layout.Fit
		crop, dst layout.Rect
	}{
		"16:9 fills": {layout.Size{Width: 1280, Height: 720}, cell, layout.FitCropUpToQuarter, layout.Rect{Width: 1280, Height: 720}, cell},
		"4:3 loses a quarter": {layout.Size{Width: 640, Height: 480}, cell, layout.FitCropUpToQuarter,
			layout.Rect{Y: 60, Width: 640, Height: 360}, cell},
		"4:3 of a scaled-down sender": {layout.Size{Width: 426, Height: 320}, cell, layout.FitCropUpToQuarter,
			layout.Rect{Y: 40, Width: 426, Height: 240}, cell},
		"4:3 into the small cell of a sidebar": {layout.Size{Width: 320, Height: 240}, layout.Rect{Width: 240, Height: 136}, layout.FitCropUpToQuarter,
			layout.Rect{Y: 28, Width: 320, Height: 182}, layout.Rect{Width: 240, Height: 136}},
		"portrait fits inside": {layout.Size{Width: 360, Height: 640}, cell, layout.FitCropUpToQuarter,
			layout.Rect{Width: 360, Height: 640}, layout.Rect{X: 8 + 142, Y: 4, Width: 132, Height: 234}},
		"a screen is whole": {layout.Size{Width: 1024, Height: 768}, layout.Rect{Width: 1032, Height: 720}, layout.FitContain,
			layout.Rect{Width: 1024, Height: 768}, layout.Rect{X: 36, Width: 960, Height: 720}},
		"odd size whole": {layout.Size{Width: 427, Height: 241}, layout.Rect{Width: 854, Height: 720}, layout.FitContain,
			layout.Rect{Width: 427, Height: 241}, layout.Rect{Y: 118, Width: 854, Height: 482}},
		"a line stays visible": {layout.Size{Width: 10_000, Height: 1}, cell, layout.FitContain,
			layout.Rect{Width: 10_000, Height: 1}, layout.Rect{X: 8, Y: 4 + 116, Width: 416, Height: 2}},
		"nothing": {layout.Size{}, cell, layout.FitContain, layout.Rect{}, layout.Rect{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crop, dst := layout.Place(tc.src, tc.rect, tc.fit)
			require.Equal(t, tc.crop, crop)
			require.Equal(t, tc.dst, dst)
		})
	}
}

func TestPlaceProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		src := layout.Size{Width: rapid.IntRange(1, 8192).Draw(t, "w"), Height: rapid.IntRange(1, 8192).Draw(t, "h")}
		r := layout.Rect{
			X: 2 * rapid.IntRange(0, 900).Draw(t, "x"), Y: 2 * rapid.IntRange(0, 900).Draw(t, "y"),
			Width: 2 * rapid.IntRange(1, 1900).Draw(t, "rw"), Height: 2 * rapid.IntRange(1, 1900).Draw(t, "rh"),
		}
		fit := rapid.SampledFrom([]layout.Fit{layout.FitContain, layout.FitCropUpToQuarter}).Draw(t, "fit")
		crop, dst := layout.Place(src, r, fit)
		require.True(t, r.Contains(dst))
		requireEven(t, dst)
		require.True(t, layout.Rect{Width: src.Width, Height: src.Height}.Contains(crop))
		require.Zero(t, crop.X%2)
		require.Zero(t, crop.Y%2)
		require.True(t, crop.Width == src.Width || crop.Width%2 == 0)
		require.True(t, crop.Height == src.Height || crop.Height%2 == 0)
		require.GreaterOrEqual(t, 4*crop.Width*crop.Height, 3*src.Width*src.Height, "more than a quarter is lost")
		if fit == layout.FitContain {
			require.Equal(t, layout.Rect{Width: src.Width, Height: src.Height}, crop)
		}
		// The same scale in both directions, but for two pixels of rounding on either side.
		left := float64(dst.Width) * float64(crop.Height)
		right := float64(dst.Height) * float64(crop.Width)
		slack := 2 * float64(max(dst.Width, dst.Height)+max(crop.Width, crop.Height))
		require.LessOrEqual(t, math.Abs(left-right), slack)
		if crop.Width == src.Width && crop.Height == src.Height {
			require.True(t, dst.Width == r.Width || dst.Height == r.Height, "larger would fit")
		} else {
			require.Equal(t, r, dst)
		}
	})
}

func requireEven(t require.TestingT, r layout.Rect) {
	require.Zero(t, (r.X|r.Y|r.Width|r.Height)&1, "%+v is odd", r)
	require.Positive(t, r.Width)
	require.Positive(t, r.Height)
}

func TestAutoFPS(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		sources []float64
		want    int
	}{
		{nil, 15},
		{[]float64{5, 14.9, 15.1}, 15},
		{[]float64{7.5, 16}, 20},
		{[]float64{23.976}, 24},
		{[]float64{15, 25.02}, 25},
		{[]float64{25.5}, 30},
		{[]float64{29.97, 24}, 30},
		{[]float64{60}, 30},
		{[]float64{100_000, math.Inf(1)}, 30},
		{[]float64{math.NaN(), -3, 19}, 20},
	} {
		require.Equal(t, tc.want, layout.AutoFPS(tc.sources), "%v", tc.sources)
	}
}
