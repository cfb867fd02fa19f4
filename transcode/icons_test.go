package transcode

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype/tables"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write golden files anew")

// mean is the average colour of a picture.
func mean(img *image.RGBA) (r, g, b float64) {
	n := float64(len(img.Pix) / 4)
	for i := 0; i < len(img.Pix); i += 4 {
		r, g, b = r+float64(img.Pix[i]), g+float64(img.Pix[i+1]), b+float64(img.Pix[i+2])
	}
	return r / n, g / n, b / n
}

func opaque(t *testing.T, img *image.RGBA, w, h int) {
	require.Equal(t, image.Rect(0, 0, w, h), img.Rect)
	for i := 3; i < len(img.Pix); i += 4 {
		if img.Pix[i] != 0xff {
			require.Failf(t, "not opaque", "at %d", i)
		}
	}
}

var tileSizes = [][2]int{{16, 16}, {2, 2}, {64, 36}, {36, 64}, {400, 16}, {16, 400}, {240, 134}, {640, 360}, {1920, 1080}}

func TestAvatar(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	for _, size := range tileSizes {
		for _, initials := range []string{"AL", "É", "WWW", "宏", ""} {
			img := ty.avatar(size[0], size[1], initials, "#28506e")
			opaque(t, img, size[0], size[1])
			r, g, b := mean(img)
			require.InDelta(t, 0x28, r, 24)
			require.InDelta(t, 0x50, g, 24)
			require.InDelta(t, 0x6e, b, 24)
			require.Equal(t, color.RGBA{0x28, 0x50, 0x6e, 0xff}, img.RGBAAt(0, 0))
			count, middle := ink(img)
			if min(size[0], size[1]) >= 36 {
				require.Positive(t, count, "%v %q", size, initials)
				require.InDelta(t, 0.5, middle, 0.06, "%v %q", size, initials)
			}
		}
	}
	require.NotEqual(t, ty.avatar(64, 64, "A", "#28506e").Pix, ty.avatar(64, 64, "B", "#28506e").Pix)
	for _, bad := range []string{"", "#", "#12345", "28506e7", "#zzzzzz", "#1234567", "#+12345"} {
		opaque(t, ty.avatar(32, 32, "A", bad), 32, 32)
	}
	require.True(t, ty.avatar(-4, 0, "A", "#28506e").Rect.Empty())
}

// The initials stay in their circle, also wide ones.
func TestAvatarCircle(t *testing.T) {
	t.Parallel()
	img := latin(t).avatar(200, 200, "WWWWWWWWWW", "#28506e")
	for y := range 200 {
		for x := range 200 {
			if dx, dy := x-100, y-100; dx*dx+dy*dy > 62*62 {
				if img.RGBAAt(x, y) != (color.RGBA{0x28, 0x50, 0x6e, 0xff}) {
					require.Failf(t, "outside the circle", "at %d,%d", x, y)
				}
			}
		}
	}
}

func TestOverflow(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	for _, size := range tileSizes {
		for _, n := range []int{-1, 0, 1, 2, 12, 1 << 40} {
			img := ty.overflow(size[0], size[1], n)
			opaque(t, img, size[0], size[1])
			count, middle := ink(img)
			if min(size[0], size[1]) >= 134 {
				require.Positive(t, count)
				require.InDelta(t, 0.5, middle, 0.1)
			}
			for y := 0; size[0] >= 16 && y < size[1]; y++ {
				if img.RGBAAt(0, y) != tileColour || img.RGBAAt(size[0]-1, y) != tileColour {
					require.Failf(t, "the text ends before the edge", "%v, %d others", size, n)
				}
			}
		}
	}
	require.NotEqual(t, ty.overflow(160, 90, 12).Pix, ty.overflow(160, 90, 13).Pix)
}

func TestMicMuted(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	for _, h := range []int{2, 8, 12, 24, 48, 96} {
		img := ty.micMuted(h)
		require.Equal(t, image.Rect(0, 0, h, h), img.Rect)
		premultiplied(t, img)
		if h >= 8 {
			require.Zero(t, img.Pix[3], "the corner is clear")
		}
		if h < 24 {
			continue
		}
		white, red, alike := 0, 0, 0
		for y := range h {
			for x := range h {
				switch c := img.RGBAAt(x, y); {
				case c.A > 200 && c.R > 200 && c.G > 200:
					white++
					if m := img.RGBAAt(h-1-x, y); m.R > 150 {
						alike++
					}
				case c.A > 200 && c.R > 200 && c.G < 120:
					red++
					require.InDelta(t, 0, x-y, float64(h)*0.12, "the stroke runs from corner to corner")
				}
			}
		}
		require.InDelta(t, 0.09, float64(white)/float64(h*h), 0.05, "%d", h)
		require.InDelta(t, 0.045, float64(red)/float64(h*h), 0.03, "%d", h)
		require.Greater(t, float64(alike)/float64(white), 0.55, "a microphone is the same left and right, but for the stroke")
	}
	require.Nil(t, ty.micMuted(0))
	require.Nil(t, ty.micMuted(-7))
}

// Colour bitmaps are scaled into the place of their ink, and what cannot be read is left to the outline.
func TestGlyphBitmap(t *testing.T) {
	t.Parallel()
	src := image.NewNRGBA(image.Rect(0, 0, 136, 128))
	for i := 0; i < len(src.Pix); i += 4 {
		copy(src.Pix[i:], []byte{250, 200, 10, 255})
	}
	var data bytes.Buffer
	require.NoError(t, png.Encode(&data, src))
	var g glyph
	g.ink.top, g.ink.width, g.ink.height = 0.9, 1, 1
	img := image.NewRGBA(image.Rect(0, 0, 40, 24))
	require.True(t, drawBitmap(img, font.GlyphBitmap{Data: data.Bytes(), Format: font.PNG}, g, place{10, 20, 20}))
	require.Equal(t, color.RGBA{250, 200, 10, 255}, img.RGBAAt(20, 12))
	require.Zero(t, img.RGBAAt(5, 12).A)
	require.Zero(t, img.RGBAAt(32, 12).A)
	require.Zero(t, img.RGBAAt(20, 23).A)
	for _, b := range []font.GlyphBitmap{
		{Data: data.Bytes()[:40], Format: font.PNG}, {Format: font.PNG}, {Data: data.Bytes(), Format: font.TIFF}, {Data: data.Bytes()},
	} {
		require.False(t, drawBitmap(img, b, g, place{10, 20, 20}))
	}
}

// Layered glyphs are drawn whole or not at all.
func TestGlyphLayers(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	face := ty.regular.embedded
	id, _ := face.NominalGlyph('H')
	try := func(p tables.PaintTable) (*image.RGBA, bool) {
		img := image.NewRGBA(image.Rect(0, 0, 32, 32))
		l := layers{canvas: &ty.canvas, img: img, face: face, at: place{4, 28, 28}, ink: inkColour, draws: true}
		return img, l.paint(p, nil)
	}
	solid := tables.PaintSolid{PaletteIndex: foreground, Alpha: 1 << 14}
	img, ok := try(tables.PaintGlyph{Paint: solid, GlyphID: uint16(id)})
	require.True(t, ok)
	n, _ := ink(img)
	require.Positive(t, n)
	img, ok = try(tables.PaintColrLayersResolved{{GlyphID: uint16(id), PaletteIndex: foreground}})
	require.True(t, ok)
	m, _ := ink(img)
	require.Equal(t, n, m)
	for _, p := range []tables.PaintTable{
		nil, solid, tables.PaintTranslate{}, tables.PaintColrGlyph{GlyphID: 3},
		tables.PaintGlyph{Paint: tables.PaintSolid{PaletteIndex: 7}, GlyphID: uint16(id)},
		tables.PaintGlyph{Paint: tables.PaintLinearGradient{}, GlyphID: uint16(id)},
		tables.PaintColrLayersResolved{{GlyphID: 65000, PaletteIndex: foreground}},
	} {
		_, ok := try(p)
		require.False(t, ok, "%T", p)
	}
}

// What the embedded fonts and the icons look like is held by a picture (-update writes it anew). Processors
// round differently, by a step or two of brightness.
func TestLooksAsBefore(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	sheet := image.NewRGBA(image.Rect(0, 0, 320, 124))
	y := 0
	for _, part := range []*image.RGBA{
		ty.label("Élodie Çelik, Иван, Grażyna", 320, 24), ty.label("Ada Lovelace, Countess of Lovelace", 200, 24), ty.label("宏 Hiroshi", 200, 12),
		ty.micMuted(24), ty.avatar(64, 36, "ÉB", "#28506e"),
	} {
		draw.Draw(sheet, part.Rect.Add(image.Pt(0, y)), part, image.Point{}, draw.Src)
		y += part.Rect.Dy() + 1
	}
	name := filepath.Join("testdata", "typist.png")
	if *update {
		var data bytes.Buffer
		require.NoError(t, png.Encode(&data, sheet))
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(name, data.Bytes(), 0o644))
	}
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	golden, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, sheet.Rect, golden.Bounds())
	for y := range sheet.Rect.Dy() {
		for x := range sheet.Rect.Dx() {
			r, g, b, a := golden.At(x, y).RGBA()
			got := sheet.RGBAAt(x, y)
			for i, want := range []uint32{r, g, b, a} {
				if d := int(want>>8) - int([]uint8{got.R, got.G, got.B, got.A}[i]); d < -6 || d > 6 {
					require.Failf(t, "looks otherwise", "at %d,%d", x, y)
				}
			}
		}
	}
}
