package transcode

import (
	"fmt"
	"image"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// latin gives a typist that has the embedded fonts alone, so that what it draws is the same everywhere.
func latin(t testing.TB) *typist {
	ty, err := newTypist()
	require.NoError(t, err)
	ty.regular.system.looked = true
	return ty
}

// ink counts bright pixels and gives their middle, left to right, as a share of the width.
func ink(img *image.RGBA) (count int, middle float64) {
	if img == nil {
		return 0, 0
	}
	sum := 0
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if p := img.Pix[y*img.Stride+4*x:]; p[3] > 200 && p[0] > 120 && p[1] > 120 {
				count++
				sum += x
			}
		}
	}
	if count == 0 {
		return 0, 0
	}
	return count, float64(sum) / float64(count) / float64(img.Rect.Dx())
}

// premultiplied fails when a colour is brighter than its alpha allows.
func premultiplied(t require.TestingT, img *image.RGBA) {
	for i := 0; i < len(img.Pix); i += 4 {
		if p := img.Pix[i : i+4]; max(p[0], p[1], p[2]) > p[3] {
			require.Failf(t, "not premultiplied", "%v at %d", p, i)
		}
	}
}

func TestLabelSizes(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	for _, h := range []int{8, 12, 24, 48, 128} {
		before := 0
		for n := 1; n <= 12; n++ {
			img := ty.label(strings.Repeat("n", n), 4000, h)
			require.Equal(t, h, img.Rect.Dy())
			require.Zero(t, img.Rect.Dx()%2)
			require.GreaterOrEqual(t, img.Rect.Dx(), before, "%d letters at %d", n, h)
			before = img.Rect.Dx()
			premultiplied(t, img)
			require.Less(t, int(img.Pix[3]), 0x40, "the corner is round")
			if h >= 12 {
				count, middle := ink(img)
				require.Positive(t, count)
				require.InDelta(t, 0.5, middle, 0.15, "the text is in the middle of its plate")
			}
		}
		require.Greater(t, before, 3*h)
	}
}

// The margin of a plate stays free of ink: a cut text does not run over its end.
func TestLabelMargins(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	for _, text := range []string{"Ada", "Élodie Çelik", "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW", "jjjjjjjjjjjj", strings.Repeat("Á̧", 40)} {
		img := ty.label(text, 200, 24)
		for y := range 24 {
			for _, x := range []int{0, 1, 2, 3, img.Rect.Dx() - 4, img.Rect.Dx() - 3, img.Rect.Dx() - 2, img.Rect.Dx() - 1} {
				require.Less(t, img.Pix[y*img.Stride+4*x], uint8(60), "%q at %d,%d", text, x, y)
			}
		}
	}
}

func TestLabelCut(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	long := strings.Repeat("Wolfeschlegelstein ", 530)
	require.Greater(t, len(long), 10000)
	img := ty.label(long, 240, 24)
	require.LessOrEqual(t, img.Rect.Dx(), 240)
	require.Greater(t, img.Rect.Dx(), 200, "the cut uses the room")
	require.Nil(t, ty.label("Wolf", 8, 24), "no room for a single …")
	whole := ty.label("Ada", 240, 24)
	require.Equal(t, whole.Pix, ty.label("Ada", whole.Rect.Dx(), 24).Pix, "what just fits is not cut")
	cut := ty.label("Ada Ada Ada", whole.Rect.Dx()+20, 24)
	require.LessOrEqual(t, cut.Rect.Dx(), whole.Rect.Dx()+20)

	pass := func(width float32) func(line) bool { return func(ln line) bool { return ln.width <= width } }
	ln, ok := ty.fit([]rune("Ada Lovelace"), &ty.regular, pass(3.2))
	require.True(t, ok)
	same := ty.line([]rune("Ada…"), &ty.regular)
	require.GreaterOrEqual(t, ln.width, same.width)
	dots, _ := ty.regular.embedded.NominalGlyph('…')
	require.Equal(t, dots, ln.glyphs[len(ln.glyphs)-1].id)
	_, ok = ty.fit([]rune("Ada"), &ty.regular, pass(0.1))
	require.False(t, ok)
}

func TestLabelNothing(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	for _, text := range []string{"", " ", "\n\t ", "\u200b\u200d\ufeff", "\u202e\u202c", "\x00\x1b\x7f", "\u3164", "\ufe0f", "\u0301"} {
		require.Nil(t, ty.label(text, 200, 24), "%q", text)
	}
	for _, size := range [][2]int{{0, 24}, {200, 0}, {-5, 24}, {200, -1}, {1, 1}} {
		require.Nil(t, ty.label("Ada", size[0], size[1]))
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Ada\nLovelace":              "Ada Lovelace",
		"  Ada \t\r\n  L  ":          "Ada L",
		"A\u202ecod.exe\u202cB":      "Acod.exeB",
		"\u2066x\u2069\u2068y\u2067": "xy",
		"a\u200bb\ufeffc\u00add":     "abcd",
		"a\x00\x1b[31mb":             "a[31mb",
		"e\u0301":                    "é",
		"👩\u200d💻":                   "👩\u200d💻",
		"\u200dA":                    "A",
		"\xff\xfeA":                  "\ufffd\ufffdA",
		"نامه\u200cای":               "نامه\u200cای",
		"A\u2028B\u2029C":            "A B C",
	} {
		require.Equal(t, want, string(readable(in, maxChars)), "%q", in)
	}
	tower := readable("Z"+strings.Repeat("\u0335", 5000)+"x", maxChars)
	require.Len(t, tower, maxMarks+2)
	require.Len(t, readable(strings.Repeat("a", 10000), maxChars), maxChars)
	for i := range 4 {
		require.Empty(t, readable("\n\n\n\n"[:i]+strings.Repeat("\u200b", 1<<20)+"a", maxChars), "what is beyond the bound is not cut in a character")
	}
}

// Letters from right to left are put in the order of the Unicode bidirectional algorithm. A box stands for
// each letter that the embedded font lacks, so what is compared is the order of the stretches.
func TestVisualOrder(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	for _, c := range []struct{ text, want string }{
		{"abc xyz", "abc xyz"},
		{"שלום", "םולש"},
		{"Ada שלום", "Ada םולש"},
		{"שלום Ada", "Ada םולש"},
		{"Ada שלום 12 xyz", "Ada 12 םולש xyz"},
		{"Ada שלום 1,234 xyz", "Ada 1,234 םולש xyz"},
		{"Ada שלום 12, xyz", "Ada 12 םולש, xyz"},
		{"Ada 12 שלום", "Ada 12 םולש"},
		{"שלום 12 Ada", "Ada 12 םולש"},
		{"12 שלום", "םולש 12"},
		{"Ada ١٢ שלום", "Ada םולש ١٢"},
		{"Ada אב (גד) xyz", "Ada (דג) בא xyz"},
	} {
		got := ""
		for _, s := range visualOrder(ty.segments([]rune(c.text), &ty.regular)) {
			part := []rune(c.text)[s.input.RunStart:s.input.RunEnd]
			if s.level&1 == 1 {
				part = mirrored(part)
			}
			got += string(part)
		}
		require.Equal(t, c.want, got, c.text)
	}
}

func mirrored(s []rune) []rune {
	var out []rune
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case '(':
			out = append(out, ')')
		case ')':
			out = append(out, '(')
		default:
			out = append(out, s[i])
		}
	}
	return out
}

// Hebrew is drawn from the right, and what follows a name stands left of it.
func TestRightToLeftInk(t *testing.T) {
	t.Parallel()
	ty, err := newTypist()
	require.NoError(t, err)
	_, hebrew := ink(ty.label("ש........", 600, 48)) // a box where no font has the letter
	_, english := ink(ty.label("w........", 600, 48))
	require.Greater(t, hebrew, 0.6)
	require.Less(t, english, 0.4)
}

func TestBoxes(t *testing.T) {
	t.Parallel()
	ty := latin(t)
	one, two, three := ty.label("宏", 400, 24), ty.label("宏田", 400, 24), ty.label("👩\u200d💻 宏", 400, 24)
	require.Less(t, one.Rect.Dx(), two.Rect.Dx())
	n1, _ := ink(one)
	n2, _ := ink(two)
	n3, _ := ink(three)
	require.Positive(t, n1)
	require.InDelta(t, 2*n1, n2, 0.3*float64(n2))
	require.InDelta(t, 2*n1, n3, 0.3*float64(n3), "an emoji of three parts is one box")
}

func TestTypistsAtOnce(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	out := make([]*image.RGBA, 4)
	for i := range out {
		wg.Go(func() {
			ty, err := newTypist()
			if err != nil {
				return
			}
			for _, name := range []string{"Ada", "宏", "مرحبا", "👩\u200d💻", "नमस्ते"} {
				ty.label(name, 300, 24)
			}
			out[i] = ty.label("Élodie שלום Иван", 300, 24)
		})
	}
	wg.Wait()
	for _, img := range out {
		require.NotNil(t, img)
		require.Equal(t, out[0].Pix, img.Pix)
	}
}

func TestLabelProperties(t *testing.T) {
	t.Parallel()
	ty, err := newTypist()
	require.NoError(t, err)
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringN(0, 300, -1).Draw(r, "text")
		w, h := rapid.IntRange(0, 2000).Draw(r, "w"), rapid.IntRange(0, 64).Draw(r, "h")
		checkLabel(r, ty, text, w, h)
	})
}

func checkLabel(t require.TestingT, ty *typist, text string, w, h int) {
	img := ty.label(text, w, h)
	if img == nil {
		return
	}
	require.LessOrEqual(t, img.Rect.Dx(), w)
	require.Equal(t, h&^1, img.Rect.Dy())
	require.Zero(t, img.Rect.Dx()%2)
	require.Positive(t, img.Rect.Dx())
	premultiplied(t, img)
}

// FuzzLabel shows that no name makes a typist panic, or draw outside its room. System fonts are part of it.
func FuzzLabel(f *testing.F) {
	for _, s := range []string{"Ada", "Élodie Çelik", "Hiroshi 宏", "שלום", "مرحبا بالعالم", "Иван", "👩\u200d💻 dev", "\u202eevil", "Z\u0335\u0322\u0301\u0317", "नमस्ते", "ᄀ\u1161\u11a8", "🇩🇪🏴", "\xff\xc0", "Avi אבי 2% (ג)"} {
		f.Add(s, 240, 24)
	}
	ty, err := newTypist()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string, w, h int) {
		w, h = min(w, 2000), min(h, 128)
		checkLabel(t, ty, text, w, h)
		img := ty.avatar(64, 36, text, "#"+fmt.Sprintf("%06x", h&0xffffff))
		premultiplied(t, img)
	})
}
