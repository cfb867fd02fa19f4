package transcode

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype/tables"
	"golang.org/x/image/draw"
)

const (
	// maxBitmap is the side, in pixels, of the largest bitmap that is taken from a font.
	maxBitmap = 1024
	// maxPaints bounds how deep and how often the layers of a colour glyph may refer to others.
	maxPaints = 256
	// foreground is the palette entry that stands for the colour of the text (OpenType, CPAL).
	foreground = 0xffff
)

// colour draws a glyph that has colours of its own: layers of a COLR table, or a bitmap. False means that it
// has none, or such as are not understood, and is to be drawn by its outline.
func (c *glyphCanvas) colour(img *image.RGBA, g glyph, at place, ink color.RGBA) bool {
	if paint, ok := g.face.GlyphDataColor(g.id); ok {
		p := layers{canvas: c, img: img, face: g.face, at: at, ink: ink}
		// Understood first, drawn then: half an emoji is worse than its outline.
		if p.paint(paint.Paint, nil) {
			p.left, p.draws = 0, true
			return p.paint(paint.Paint, nil)
		}
		return false
	}
	if bitmap, ok := g.face.GlyphDataBitmap(g.id); ok {
		return drawBitmap(img, bitmap, g, at)
	}
	return false
}

// layers walks the paints of a COLR glyph: filled outlines, one over the other. Gradients become one middle
// colour, which at the height of a line cannot be told apart; transformations are not understood.
type layers struct {
	canvas *glyphCanvas
	img    *image.RGBA
	face   *font.Face
	at     place
	ink    color.RGBA
	left   int // paints seen
	draws  bool
}

// paint walks one paint; shape is the outline that it fills, nil at the top.
func (p *layers) paint(t tables.PaintTable, shape *font.GlyphOutline) bool {
	if p.left++; p.left > maxPaints {
		return false
	}
	switch t := t.(type) {
	case tables.PaintColrLayersResolved:
		for _, l := range t {
			o, ok := p.face.GlyphDataOutline(font.GID(l.GlyphID))
			if !ok || !p.fill(o, l.PaletteIndex, 1) {
				return false
			}
		}
		return true
	case tables.PaintColrLayers:
		layers, err := p.face.COLR.LayerList.Resolve(t)
		for _, l := range layers {
			if !p.paint(l, shape) {
				return false
			}
		}
		return err == nil
	case tables.PaintColrGlyph:
		next, ok := p.face.COLR.Search(t.GlyphID)
		return ok && p.paint(next, shape)
	case tables.PaintGlyph:
		o, ok := p.face.GlyphDataOutline(font.GID(t.GlyphID))
		return ok && p.paint(t.Paint, &o)
	}
	if shape == nil {
		return false
	}
	switch t := t.(type) {
	case tables.PaintSolid:
		return p.fill(*shape, t.PaletteIndex, fraction(t.Alpha))
	case tables.PaintLinearGradient:
		return p.gradient(*shape, t.ColorLine.ColorStops)
	case tables.PaintRadialGradient:
		return p.gradient(*shape, t.ColorLine.ColorStops)
	case tables.PaintSweepGradient:
		return p.gradient(*shape, t.ColorLine.ColorStops)
	}
	return false
}

// gradient fills with the colour in the middle of a gradient.
func (p *layers) gradient(o font.GlyphOutline, stops []tables.ColorStop) bool {
	if len(stops) == 0 {
		return false
	}
	s := stops[len(stops)/2]
	return p.fill(o, s.PaletteIndex, fraction(s.Alpha))
}

// fill fills an outline with an entry of the font's first palette.
func (p *layers) fill(o font.GlyphOutline, entry uint16, alpha float32) bool {
	c := color.NRGBA{p.ink.R, p.ink.G, p.ink.B, p.ink.A}
	if entry != foreground {
		if len(p.face.CPAL) == 0 || int(entry) >= len(p.face.CPAL[0]) {
			return false
		}
		r := p.face.CPAL[0][entry]
		c = color.NRGBA{r.Red, r.Green, r.Blue, r.Alpha}
	}
	c.A = uint8(float32(c.A)*min(max(alpha, 0), 1) + 0.5)
	if p.draws {
		p.canvas.outline(p.img, p.face, o, p.at, c)
	}
	return true
}

// fraction reads a number with 14 binary places.
func fraction(v tables.Fixed214) float32 { return float32(v) / (1 << 14) }

// drawBitmap scales a glyph's bitmap into the place of its ink. Bitmaps of one bit, which only fonts of
// old terminals have, and TIFF are left to the outline.
func drawBitmap(img *image.RGBA, b font.GlyphBitmap, g glyph, at place) bool {
	var decode func([]byte) (image.Image, error)
	switch b.Format {
	case font.PNG:
		decode = func(d []byte) (image.Image, error) { return png.Decode(bytes.NewReader(d)) }
	case font.JPG:
		decode = func(d []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(d)) }
	default:
		return false
	}
	if conf, _, err := image.DecodeConfig(bytes.NewReader(b.Data)); err != nil || conf.Width > maxBitmap || conf.Height > maxBitmap {
		return false
	}
	src, err := decode(b.Data)
	if err != nil {
		return false
	}
	x, y := at.x+g.ink.left*at.size, at.y-g.ink.top*at.size
	box := image.Rect(pixel(x+0.5), pixel(y+0.5), pixel(x+g.ink.width*at.size+0.5), pixel(y+g.ink.height*at.size+0.5))
	if box.Empty() || box.Dx() > 4*maxBitmap || box.Dy() > 4*maxBitmap {
		return false
	}
	draw.CatmullRom.Scale(img, box, src, src.Bounds(), draw.Over, nil)
	return true
}
