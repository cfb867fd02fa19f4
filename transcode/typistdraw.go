package transcode

import (
	"image"
	"image/color"

	"github.com/go-text/typesetting/font"
	ot "github.com/go-text/typesetting/font/opentype"
	"golang.org/x/image/vector"
)

// glyphCanvas draws glyphs; it keeps the rasterizer's buffers between them.
type glyphCanvas struct {
	raster vector.Rasterizer
}

// place is where a glyph's em square stands in a picture: its origin and its size, in pixels.
type place struct{ x, y, size float32 }

// text draws a line whose base line begins at x, y, with an em of size pixels. What lies outside the
// picture is not drawn.
func (c *glyphCanvas) text(img *image.RGBA, ln line, x, y, size float32, ink color.RGBA) {
	for _, g := range ln.glyphs {
		at := place{x + g.x*size, y - g.y*size, size}
		if g.face == nil {
			strokeRoundRect(img, at.x+0.08*size, at.y-capHeight*size, (boxWidth-0.16)*size, capHeight*size, max(size*0.07, 1), ink)
			continue
		}
		if c.colour(img, g, at, ink) {
			continue
		}
		if o, ok := g.face.GlyphDataOutline(g.id); ok {
			c.outline(img, g.face, o, at, ink)
		}
	}
}

// outline fills a glyph's outline. Each is rasterised alone: fonts turn their outlines either way round, and
// two that overlap would take each other's ink away.
func (c *glyphCanvas) outline(img *image.RGBA, face *font.Face, o font.GlyphOutline, at place, ink color.Color) {
	upem := float32(face.Upem())
	if upem <= 0 || len(o.Segments) == 0 {
		return
	}
	scale := at.size / upem
	box := outlineBounds(o, at, scale).Intersect(img.Rect)
	if box.Empty() {
		return
	}
	c.raster.Reset(box.Dx(), box.Dy())
	to := func(p ot.SegmentPoint) (float32, float32) {
		return at.x + p.X*scale - float32(box.Min.X), at.y - p.Y*scale - float32(box.Min.Y)
	}
	for _, s := range o.Segments {
		x0, y0 := to(s.Args[0])
		x1, y1 := to(s.Args[1])
		x2, y2 := to(s.Args[2])
		switch s.Op {
		case ot.SegmentOpMoveTo:
			c.raster.ClosePath()
			c.raster.MoveTo(x0, y0)
		case ot.SegmentOpLineTo:
			c.raster.LineTo(x0, y0)
		case ot.SegmentOpQuadTo:
			c.raster.QuadTo(x0, y0, x1, y1)
		case ot.SegmentOpCubeTo:
			c.raster.CubeTo(x0, y0, x1, y1, x2, y2)
		}
	}
	c.raster.ClosePath()
	c.raster.Draw(img, box, image.NewUniform(ink), image.Point{})
}

// outlineBounds is the rectangle of pixels that an outline's points span.
func outlineBounds(o font.GlyphOutline, at place, scale float32) image.Rectangle {
	var box image.Rectangle
	for _, s := range o.Segments {
		for _, p := range s.ArgsSlice() {
			x, y := pixel(at.x+p.X*scale), pixel(at.y-p.Y*scale)
			box = box.Union(image.Rect(x-1, y-1, x+2, y+2))
		}
	}
	return box
}

// pixel rounds down, and keeps what is far outside any picture within what an int can be added to.
func pixel(v float32) int { return int(max(min(v, 1<<20), -1<<20)) }
