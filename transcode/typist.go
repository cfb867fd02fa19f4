package transcode

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strconv"
	"strings"

	"github.com/go-text/typesetting/shaping"
)

// typist sets and draws names in any script, and the pictures that stand in for a camera: avatars, the tile
// for those who found no room, icons. Everything it returns is premultiplied and belongs to the caller.
//
// A typist keeps the fonts that it had to load, and belongs to one goroutine. Several typists may work at
// once: what they share (the list of the system's fonts) is built once and only read.
type typist struct {
	shaper  shaping.HarfbuzzShaper
	split   shaping.Segmenter
	regular typeface
	bold    typeface
	canvas  glyphCanvas
}

// Colours of what is drawn over pictures: one plate for all of them, dark enough for white text over snow.
var (
	inkColour   = color.RGBA{0xf5, 0xf5, 0xf5, 0xff}
	alertColour = color.RGBA{0xff, 0x5a, 0x52, 0xff}
	plateColour = color.NRGBA{0x10, 0x13, 0x18, 0xa8}
	tileColour  = color.RGBA{0x26, 0x2b, 0x33, 0xff}
)

// newTypist reads the embedded fonts. The system's fonts are looked for when a text first needs them.
func newTypist() (*typist, error) {
	regular, bold, err := embeddedFaces()
	if err != nil {
		return nil, fmt.Errorf("reading the embedded fonts: %w", err)
	}
	system := &systemFaces{}
	return &typist{
		regular: typeface{embedded: regular, system: system},
		bold:    typeface{embedded: bold, system: system, bold: true},
	}, nil
}

// label draws text in one line on a translucent rounded plate of height pixels, at most maxWidth wide; both
// are rounded down to even numbers. A text that is too wide is cut between characters and ends with "…".
// It is nil when nothing of the text can be seen, or when not even the cut fits.
func (t *typist) label(text string, maxWidth, height int) *image.RGBA {
	maxWidth, height = maxWidth&^1, height&^1
	chars := readable(text, maxChars)
	if len(chars) == 0 || height < 2 || maxWidth < 2 {
		return nil
	}
	h := float32(height)
	pad := h * 0.34
	ln, ok := t.fit(chars, &t.regular, func(ln line) bool { return ln.width*labelSize(ln, h)+2*pad <= float32(maxWidth) })
	if !ok {
		return nil
	}
	size := labelSize(ln, h)
	width := min((int(ln.width*size+2*pad)+2)&^1, maxWidth)
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	fillRoundRect(img, 0, 0, float32(width), h, h*0.28, plateColour)
	t.canvas.text(img, ln, (float32(width)-ln.width*size)/2, labelBaseline(ln, size, h), size, inkColour)
	return img
}

// labelSize is the em, in pixels, of a label: a share of the height that leaves room for accents and
// descenders, and less for scripts that reach higher or deeper than that.
func labelSize(ln line, h float32) float32 {
	size := h * 0.68
	if tall := (ln.ascent + ln.descent) * size; tall > h*0.94 {
		size *= max(h*0.94/tall, 0.6)
	}
	return size
}

// labelBaseline centres capitals, moved as far as higher or deeper letters need.
func labelBaseline(ln line, size, h float32) float32 {
	base := h/2 + capHeight*size/2
	base = min(base, h*0.97-ln.descent*size)
	base = max(base, h*0.03+ln.ascent*size)
	return float32(int(base + 0.5))
}

// avatar draws initials in a circle on a ground of colour (#rrggbb), opaque and w by h pixels. Without
// initials it shows a head and shoulders.
func (t *typist) avatar(w, h int, initials, colour string) *image.RGBA {
	ground := parseColour(colour)
	img := image.NewRGBA(image.Rect(0, 0, max(w, 0), max(h, 0)))
	draw.Draw(img, img.Rect, image.NewUniform(ground), image.Point{}, draw.Src)
	cx, cy := float32(w)/2, float32(h)/2
	r := float32(min(w, h)) * 0.3
	if r < 1 {
		return img
	}
	fillCircle(img, cx, cy, r, mix(ground, color.RGBA{0, 0, 0, 0xff}, 0.28))
	chars := readable(initials, 16)
	if len(chars) == 0 {
		drawPerson(img, cx, cy, r, mix(ground, inkColour, 0.75))
		return img
	}
	t.centre(img, chars, &t.bold, 1.5*r, 0.86*r)
	return img
}

// overflow draws "+N others" centred on an opaque dark tile of w by h pixels.
func (t *typist) overflow(w, h, others int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, max(w, 0), max(h, 0)))
	draw.Draw(img, img.Rect, image.NewUniform(tileColour), image.Point{}, draw.Src)
	text := "+" + strconv.Itoa(max(others, 0)) + " others"
	if others == 1 {
		text = "+1 other"
	}
	t.centre(img, []rune(text), &t.regular, 0.8*float32(w), 0.2*float32(h))
	return img
}

// centre draws a text in the middle of a picture, as large as fits in w by h pixels; h is for capitals.
func (t *typist) centre(img *image.RGBA, chars []rune, face *typeface, w, h float32) {
	ln := t.line(chars, face)
	if ln.width <= 0 || w <= 0 || h <= 0 {
		return
	}
	size := min(w/ln.width, h/max(capHeight, ln.ascent))
	top, bottom := ln.ascent, ln.descent
	x := (float32(img.Rect.Dx()) - ln.width*size) / 2
	y := float32(img.Rect.Dy())/2 + (top-bottom)*size/2
	t.canvas.text(img, ln, x, y, size, inkColour)
}

// parseColour reads #rrggbb; anything else is a neutral grey.
func parseColour(s string) color.RGBA {
	v, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 16, 32)
	if err != nil || len(s) != 7 || s[0] != '#' {
		return color.RGBA{0x4a, 0x50, 0x5a, 0xff}
	}
	return color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 0xff}
}

// mix takes part (0 to 1) of b and the rest of a, both opaque.
func mix(a, b color.RGBA, part float32) color.RGBA {
	m := func(x, y uint8) uint8 { return uint8(float32(x)*(1-part) + float32(y)*part + 0.5) }
	return color.RGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), 0xff}
}
