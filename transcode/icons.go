package transcode

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/vector"
)

// circleArc is how far the control points of a cubic lie out, as a share of the radius, to draw a quarter circle.
const circleArc = 0.5522848

// micMuted draws a crossed-out microphone on a dark round plate, height pixels (rounded down to even) in
// both directions. It is nil for no height.
func (t *typist) micMuted(height int) *image.RGBA {
	height &^= 1
	if height < 2 {
		return nil
	}
	img := image.NewRGBA(image.Rect(0, 0, height, height))
	u := float32(height) / 24 // the icon is drawn on a grid of 24 units
	fillCircle(img, 12*u, 12*u, 12*u, plateColour)
	white := image.NewRGBA(img.Rect)
	for _, part := range []func(*pen){
		func(p *pen) { p.roundRect(9.2*u, 3.8*u, 5.6*u, 10*u, 2.8*u) },
		func(p *pen) { p.arc(12*u, 10.8*u, 5.9*u, 4.5*u) },
		func(p *pen) { p.rect(11.3*u, 16.4*u, 1.4*u, 3*u) },
		func(p *pen) { p.rect(8.8*u, 18.4*u, 6.4*u, 1.4*u) },
	} {
		fillPath(white, inkColour, part)
	}
	// The stroke stands clear of the white by a gap.
	erasePath(white, func(p *pen) { p.stroke(5*u, 4.5*u, 19.5*u, 19*u, 3.6*u) })
	draw.Draw(img, img.Rect, white, image.Point{}, draw.Over)
	fillPath(img, alertColour, func(p *pen) { p.stroke(5*u, 5*u, 19*u, 19*u, 1.8*u) })
	return img
}

// drawPerson draws a head and shoulders in a circle of radius r.
func drawPerson(img *image.RGBA, cx, cy, r float32, ink color.RGBA) {
	fillCircle(img, cx, cy-0.26*r, 0.32*r, ink)
	fillPath(img, ink, func(p *pen) {
		top, bottom, w := cy+0.14*r, cy+0.66*r, 0.56*r
		k := float32(circleArc)
		p.MoveTo(cx-w, bottom)
		p.CubeTo(cx-w, bottom-(bottom-top)*k, cx-w*k, top, cx, top)
		p.CubeTo(cx+w*k, top, cx+w, bottom-(bottom-top)*k, cx+w, bottom)
		p.ClosePath()
	})
}

// pen draws shapes into a rasterizer; all are drawn the same way round, so that they may overlap.
type pen struct{ *vector.Rasterizer }

// fillPath fills what path draws. It is for icons, which are drawn once: each call has its own rasterizer.
func fillPath(img *image.RGBA, c color.Color, path func(*pen)) {
	if img.Rect.Empty() {
		return
	}
	r := vector.NewRasterizer(img.Rect.Dx(), img.Rect.Dy())
	path(&pen{r})
	r.Draw(img, img.Rect, image.NewUniform(c), image.Point{})
}

// erasePath makes transparent what path draws.
func erasePath(img *image.RGBA, path func(*pen)) {
	r := vector.NewRasterizer(img.Rect.Dx(), img.Rect.Dy())
	path(&pen{r})
	hole := image.NewAlpha(img.Rect)
	r.Draw(hole, img.Rect, image.Opaque, image.Point{})
	for i, a := range hole.Pix {
		for p := 4 * i; p < 4*i+4; p++ {
			img.Pix[p] = uint8(int(img.Pix[p]) * (255 - int(a)) / 255)
		}
	}
}

func fillCircle(img *image.RGBA, cx, cy, r float32, c color.Color) {
	fillRoundRect(img, cx-r, cy-r, 2*r, 2*r, r, c)
}

func fillRoundRect(img *image.RGBA, x, y, w, h, r float32, c color.Color) {
	part, left, top := around(img, x, y, w, h)
	fillPath(part, c, func(p *pen) { p.roundRect(x-left, y-top, w, h, r) })
}

// strokeRoundRect draws the edge of a box, line pixels wide, inside of it.
func strokeRoundRect(img *image.RGBA, x, y, w, h, line float32, c color.Color) {
	part, left, top := around(img, x, y, w, h)
	fillPath(part, c, func(p *pen) {
		p.roundRect(x-left, y-top, w, h, line)
		if w > 2*line && h > 2*line {
			p.hole(x-left+line, y-top+line, w-2*line, h-2*line)
		}
	})
}

// around gives the part of a picture that holds a rectangle, and where it begins: a rasterizer is as large
// as the picture it draws into.
func around(img *image.RGBA, x, y, w, h float32) (part *image.RGBA, left, top float32) {
	box := image.Rect(pixel(x)-1, pixel(y)-1, pixel(x+w)+2, pixel(y+h)+2).Intersect(img.Rect)
	part = &image.RGBA{Stride: img.Stride, Rect: box}
	if !box.Empty() {
		part.Pix = img.Pix[img.PixOffset(box.Min.X, box.Min.Y):]
	}
	return part, float32(box.Min.X), float32(box.Min.Y)
}

func (p *pen) rect(x, y, w, h float32) { p.roundRect(x, y, w, h, 0) }

// hole takes a rectangle out: it is drawn the other way round.
func (p *pen) hole(x, y, w, h float32) {
	p.MoveTo(x, y)
	p.LineTo(x, y+h)
	p.LineTo(x+w, y+h)
	p.LineTo(x+w, y)
	p.ClosePath()
}

func (p *pen) roundRect(x, y, w, h, r float32) {
	r = min(r, w/2, h/2)
	k := r * (1 - circleArc)
	p.MoveTo(x+r, y)
	p.LineTo(x+w-r, y)
	p.CubeTo(x+w-k, y, x+w, y+k, x+w, y+r)
	p.LineTo(x+w, y+h-r)
	p.CubeTo(x+w, y+h-k, x+w-k, y+h, x+w-r, y+h)
	p.LineTo(x+r, y+h)
	p.CubeTo(x+k, y+h, x, y+h-k, x, y+h-r)
	p.LineTo(x, y+r)
	p.CubeTo(x, y+k, x+k, y, x+r, y)
	p.ClosePath()
}

// arc draws the lower half of a ring.
func (p *pen) arc(cx, cy, outer, inner float32) {
	ko, ki := outer*circleArc, inner*circleArc
	p.MoveTo(cx+outer, cy)
	p.CubeTo(cx+outer, cy+ko, cx+ko, cy+outer, cx, cy+outer)
	p.CubeTo(cx-ko, cy+outer, cx-outer, cy+ko, cx-outer, cy)
	p.LineTo(cx-inner, cy)
	p.CubeTo(cx-inner, cy+ki, cx-ki, cy+inner, cx, cy+inner)
	p.CubeTo(cx+ki, cy+inner, cx+inner, cy+ki, cx+inner, cy)
	p.ClosePath()
}

// stroke draws a straight line with round ends, width pixels wide.
func (p *pen) stroke(x0, y0, x1, y1, width float32) {
	length := float32(math.Hypot(float64(x1-x0), float64(y1-y0)))
	if length == 0 {
		return
	}
	dx, dy := (x1-x0)/length*width/2, (y1-y0)/length*width/2
	k := float32(circleArc)
	p.MoveTo(x0+dy, y0-dx)
	p.LineTo(x1+dy, y1-dx)
	p.CubeTo(x1+dy+dx*k, y1-dx+dy*k, x1+dx+dy*k, y1+dy-dx*k, x1+dx, y1+dy)
	p.CubeTo(x1+dx-dy*k, y1+dy+dx*k, x1-dy+dx*k, y1+dx+dy*k, x1-dy, y1+dx)
	p.LineTo(x0-dy, y0+dx)
	p.CubeTo(x0-dy-dx*k, y0+dx-dy*k, x0-dx-dy*k, y0-dy+dx*k, x0-dx, y0-dy)
	p.CubeTo(x0-dx+dy*k, y0-dy-dx*k, x0+dy-dx*k, y0-dx-dy*k, x0+dy, y0-dx)
	p.ClosePath()
}
