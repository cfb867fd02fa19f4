package transcode

import (
	"unicode"
	"unicode/utf8"

	"github.com/go-text/typesetting/segmenter"
	"golang.org/x/text/unicode/norm"
)

const (
	// maxChars bounds what is shaped: no tile shows more, and shaping must take the same short time for any name.
	maxChars = 192
	// maxSource bounds what is looked at of a text, in bytes: a name may be megabytes of invisible characters.
	maxSource = 16 << 10
	// maxMarks is how many combining marks one letter keeps; no script needs more, and towers of them
	// are drawn over everything else.
	maxMarks = 6
)

// zwnj and zwj are the two invisible characters that writing needs: they part and join letters and emoji.
const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

// readable gives at most limit characters of a text as they are to be shaped: line breaks and other white
// space become single spaces; control characters, characters without width and those that override the
// direction of writing are dropped, so that a name cannot draw itself over, or pose as, something else.
func readable(text string, limit int) []rune {
	if len(text) > maxSource {
		end := maxSource
		for end > maxSource-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	out := make([]rune, 0, min(len(text), limit))
	marks, space, seen := 0, false, false
	for len(text) > 0 && len(out) < limit {
		r, n := utf8.DecodeRuneInString(text)
		text = text[n:]
		switch {
		case unicode.IsSpace(r) || r == '\u2800':
			space, marks = true, 0
			continue
		case invisible(r):
			continue
		case unicode.Is(unicode.M, r) || r == zwj || r == zwnj:
			if marks++; marks > maxMarks || len(out) == 0 && (r == zwj || r == zwnj) {
				continue
			}
		default:
			marks, seen = 0, true
		}
		if space && len(out) > 0 {
			out = append(out, ' ')
		}
		space = false
		out = append(out, r)
	}
	if !seen {
		return nil
	}
	// Composed letters are in more fonts than their parts.
	out = []rune(norm.NFC.String(string(out)))
	return out[:min(len(out), limit)]
}

// invisible tells what is dropped: it is never seen, or changes how other characters are seen.
func invisible(r rune) bool {
	switch {
	case r == zwj || r == zwnj || unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return false
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Noncharacter_Code_Point):
		return true
	}
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// clusters gives the end of each character as readers count them: a letter with its marks, a whole emoji.
func clusters(chars []rune) []int {
	var s segmenter.Segmenter
	s.Init(chars)
	var ends []int
	for it := s.GraphemeIterator(); it.Next(); {
		g := it.Grapheme()
		ends = append(ends, g.Offset+len(g.Text))
	}
	return ends
}

// isEmoji tells whether a character is to be taken from an emoji font first.
func isEmoji(cluster []rune) bool {
	for _, r := range cluster {
		if r == '\ufe0f' || r == '\u20e3' || r >= 0x1f1e6 && r <= 0x1faff {
			return true
		}
	}
	return false
}
