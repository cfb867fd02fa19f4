package layout

// Fit says how a picture goes into its rectangle.
type Fit string

// The ways to fit a picture; both keep its aspect ratio.
const (
	// FitContain shows the whole picture, with background beside it.
	FitContain Fit = "contain"
	// FitCropUpToQuarter fills the rectangle when at most a quarter of the picture is lost by that (4:3 in
	// 16:9), else it shows the whole picture.
	FitCropUpToQuarter Fit = "crop-up-to-quarter"
)

// Place says which part of a picture of size src is drawn (crop, in pixels of the picture) and where on the
// canvas (dst, inside r). The renderer calls it whenever the size of a source changes. src is the upright
// picture with square pixels. Everything in dst is even; crop is the whole picture, whose size may be odd,
// or an even part from its middle. A picture or rectangle without area gives zero rectangles.
func Place(src Size, r Rect, fit Fit) (crop, dst Rect) {
	if src.Width <= 0 || src.Height <= 0 || r.Width < 2 || r.Height < 2 {
		return Rect{}, Rect{}
	}
	whole := Rect{Width: src.Width, Height: src.Height}
	if fit == FitCropUpToQuarter {
		if crop, ok := covering(src, r); ok {
			return crop, r
		}
	}
	// r.Width:h = src.Width:src.Height, in 64 bits as a header may claim any size.
	size := Size{Width: r.Width, Height: nearestEven(r.Width, src.Height, src.Width, r.Height)}
	if int64(src.Width)*int64(r.Height) < int64(src.Height)*int64(r.Width) {
		size = Size{Width: nearestEven(r.Height, src.Width, src.Height, r.Width), Height: r.Height}
	}
	return whole, r.centred(size)
}

// nearestEven returns a·b/c rounded to an even number between 2 and limit.
func nearestEven(a, b, c, limit int) int {
	n := 2 * ((int64(a)*int64(b) + int64(c)) / (2 * int64(c)))
	return int(min(max(n, 2), int64(limit)))
}

// covering returns the part of src that fills r, unless more than a quarter of src would be lost. The part
// is rounded up to even numbers before that is decided: a 426×320 camera is a 4:3 camera all the same.
func covering(src Size, r Rect) (Rect, bool) {
	part := src
	if int64(src.Width)*int64(r.Height) > int64(src.Height)*int64(r.Width) {
		part.Width = partUp(src.Height, r.Width, r.Height, src.Width)
	} else {
		part.Height = partUp(src.Width, r.Height, r.Width, src.Height)
	}
	if 4*int64(src.Width-part.Width) > int64(src.Width) || 4*int64(src.Height-part.Height) > int64(src.Height) {
		return Rect{}, false
	}
	return Rect{
		X: evenDown((src.Width - part.Width) / 2), Y: evenDown((src.Height - part.Height) / 2),
		Width: part.Width, Height: part.Height,
	}, true
}

// partUp returns a·b/c rounded up to an even number, at most limit.
func partUp(a, b, c, limit int) int {
	n := (int64(a)*int64(b) + int64(c) - 1) / int64(c)
	return int(min((n+1)&^1, int64(limit)))
}
