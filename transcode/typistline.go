package transcode

import (
	"slices"
	"sort"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"
)

const (
	// shapeSize is the em, in pixels, at which all text is shaped; positions are kept in ems and scaled
	// when drawn, so that a line has the same shape in every size.
	shapeSize = 1024
	// capHeight is the height of a capital letter of the embedded fonts, in ems.
	capHeight = 0.72
	// boxWidth is the room, in ems, of the box that stands for a character no font has.
	boxWidth = 0.74
)

// glyph is one drawing of a line; its place is in ems from the beginning of the base line, y growing upwards.
type glyph struct {
	face *font.Face // nil for the box of a character that no font has
	id   font.GID
	x, y float32
	// ink is where the drawing lies, relative to x and y; bitmaps are drawn into it.
	ink struct{ left, top, width, height float32 }
}

// line is a shaped text, in visual order from left to right, all in ems.
type line struct {
	glyphs          []glyph
	width           float32
	ascent, descent float32 // of the ink, both positive
}

// segment is a stretch of a line with one face and one direction.
type segment struct {
	input shaping.Input // Face is nil for characters that no font has
	level int
}

// fit shapes as many characters as pass, with "…" for those that do not; ok is false when not even one "…" does.
// The longest cut is searched by halves: wider texts hardly ever pass where shorter ones do not.
func (t *typist) fit(chars []rune, face *typeface, pass func(line) bool) (best line, ok bool) {
	if ln := t.line(chars, face); pass(ln) {
		return ln, true
	}
	ends := append([]int{0}, clusters(chars)...)
	sort.Search(len(ends)-1, func(i int) bool {
		cut := ends[i]
		for cut > 0 && chars[cut-1] == ' ' {
			cut--
		}
		ln := t.line(append(slices.Clone(chars[:cut]), '…'), face)
		if !pass(ln) {
			return true
		}
		best, ok = ln, true
		return false
	})
	return best, ok
}

// line shapes a text and puts its stretches in the order in which they are seen.
func (t *typist) line(chars []rune, face *typeface) line {
	var ln line
	for _, s := range visualOrder(t.segments(chars, face)) {
		if s.input.Face == nil {
			ln.boxes(chars[s.input.RunStart:s.input.RunEnd])
			continue
		}
		ln.shaped(t.shaper.Shape(s.input), s.input.Face)
	}
	return ln
}

// segments cuts a text where its direction, its script or its font changes.
func (t *typist) segments(chars []rune, face *typeface) []segment {
	in := shaping.Input{Text: chars, RunEnd: len(chars), Direction: di.DirectionLTR, Size: fixed.I(shapeSize), Language: "en"}
	base := 0
	if rightToLeft(chars) {
		in.Direction, base = di.DirectionRTL, 1
	}
	var out []segment
	for _, run := range t.split.Split(in, oneFace{face.embedded}) {
		for _, part := range byLevel(run, base) {
			for _, input := range byFace(part.input, face) {
				out = append(out, segment{input, part.level})
			}
		}
	}
	return out
}

// byLevel gives a run its embedding level. Without embeddings and isolates, which readable drops, a level
// follows from the direction; only numbers in a line from left to right have level 2 (UAX 9, I1) where
// letters have 0, and the splitter, which knows directions alone, leaves the two together.
func byLevel(run shaping.Input, base int) []segment {
	switch {
	case run.Direction == di.DirectionRTL:
		return []segment{{run, 1}}
	case base == 1:
		return []segment{{run, 2}}
	}
	var out []segment
	for at := run.RunStart; at < run.RunEnd; {
		part, level := run, 2
		end := numberEnd(run.Text[:run.RunEnd], at)
		if end == at {
			level = 0
			for end++; end < run.RunEnd && numberEnd(run.Text[:run.RunEnd], end) == end; {
				end++
			}
		}
		part.RunStart, part.RunEnd = at, end
		out = append(out, segment{part, level})
		at = end
	}
	return out
}

// numberEnd gives the end of a number at a place of a text if it is read as part of the right-to-left text
// around it: Arabic digits always, others after a letter from right to left. Without one it gives the place.
func numberEnd(text []rune, at int) int {
	european := afterRightToLeft(text, at)
	end := at
	for i := at; i < len(text); i++ {
		p, _ := bidi.LookupRune(text[i])
		switch c := p.Class(); {
		case c == bidi.AN || c == bidi.EN && european:
			end = i + 1
		case c == bidi.ET && european && (end == i || i == at):
			if end == i && i > at {
				end = i + 1
			}
		case (c == bidi.CS || c == bidi.ES && european) && end == i && i > at:
		case c == bidi.NSM && end == i && i > at:
			end = i + 1
		default:
			return end
		}
	}
	return end
}

// afterRightToLeft tells whether the last letter with a direction before a place runs from right to left (UAX 9, W7).
func afterRightToLeft(text []rune, at int) bool {
	for i := at - 1; i >= 0; i-- {
		p, _ := bidi.LookupRune(text[i])
		switch p.Class() {
		case bidi.L:
			return false
		case bidi.R, bidi.AL:
			return true
		}
	}
	return false
}

// oneFace lets a text be split by direction and script alone.
type oneFace struct{ face *font.Face }

// ResolveFace implements shaping.Fontmap.
func (f oneFace) ResolveFace(rune) *font.Face { return f.face }

// byFace gives each run the font that has all of it, or else each of its characters the font that has that
// one: a word in two fonts reads worse than a word in a font that is not ours.
func byFace(run shaping.Input, face *typeface) []shaping.Input {
	text := run.Text[run.RunStart:run.RunEnd]
	if !isEmoji(text) {
		if f := face.resolve(text, run.Script); f != nil {
			run.Face = f
			return []shaping.Input{run}
		}
	}
	var out []shaping.Input
	start, inherit := 0, false
	for _, end := range clusters(text) {
		part, only := run, text[start:end]
		if inherit && len(only) == 1 && joins(only[0]) {
			part.Face = out[len(out)-1].Face // a space keeps a stretch of joined letters whole
		} else {
			part.Face = face.resolve(only, scriptOf(only, run.Script))
			inherit = part.Face != nil && !isEmoji(only)
		}
		part.RunStart, part.RunEnd = run.RunStart+start, run.RunStart+end
		start = end
		if n := len(out); n > 0 && out[n-1].Face == part.Face {
			out[n-1].RunEnd = part.RunEnd
			continue
		}
		out = append(out, part)
	}
	return out
}

// scriptOf is the script of a character of a run; signs and emoji have none of their own.
func scriptOf(cluster []rune, run language.Script) language.Script {
	if s := language.LookupScript(cluster[0]); s.Strong() || isEmoji(cluster) {
		return s
	}
	return run
}

// rightToLeft tells the direction of a text by its first letter that has one (UAX 9, P2 and P3).
func rightToLeft(chars []rune) bool {
	for _, r := range chars {
		p, _ := bidi.LookupRune(r)
		switch p.Class() {
		case bidi.L:
			return false
		case bidi.R, bidi.AL:
			return true
		}
	}
	return false
}

// visualOrder puts stretches from left to right (UAX 9, L2). What lies inside a stretch is the shaper's.
func visualOrder(s []segment) []segment {
	highest := 0
	for _, seg := range s {
		highest = max(highest, seg.level)
	}
	for level := highest; level > 0; level-- {
		for i := 0; i < len(s); i++ {
			j := i
			for j < len(s) && s[j].level >= level {
				j++
			}
			slices.Reverse(s[i:j])
			i = max(i, j)
		}
	}
	return s
}

// shaped appends a stretch that the shaper gave.
func (ln *line) shaped(out shaping.Output, face *font.Face) {
	em := func(v fixed.Int26_6) float32 { return float32(v) / (64 * shapeSize) }
	for _, g := range out.Glyphs {
		d := glyph{face: face, id: g.GlyphID, x: ln.width + em(g.XOffset), y: em(g.YOffset)}
		d.ink.left, d.ink.top, d.ink.width, d.ink.height = em(g.XBearing), em(g.YBearing), em(g.Width), -em(g.Height)
		ln.glyphs = append(ln.glyphs, d)
		ln.width += max(em(g.Advance), 0)
		if d.ink.height > 0 {
			ln.ascent = max(ln.ascent, d.y+d.ink.top)
			ln.descent = max(ln.descent, d.ink.height-d.ink.top-d.y)
		}
	}
}

// boxes appends a box for each character that no font has.
func (ln *line) boxes(text []rune) {
	for range clusters(text) {
		ln.glyphs = append(ln.glyphs, glyph{x: ln.width})
		ln.width += boxWidth
	}
	ln.ascent = max(ln.ascent, capHeight)
}
