package layout

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
)

// maxLabel bounds a label in characters. No tile has room for more, and the plan repeats it in every scene.
const maxLabel = 128

// cleanName makes a name from outside safe to draw: valid UTF-8 on one line, without control characters
// and direction overrides, of bounded length.
func cleanName(s string) string {
	const enough = 16 * maxLabel // bytes; what comes after could only be cut away
	if len(s) > enough {
		s = s[:enough]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\ufeff':
			return -1 // they would turn round what is drawn after them
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxLabel {
		return strings.TrimSpace(string(runes[:maxLabel-1])) + "…"
	}
	return s
}

// initials returns the first letters of the first and the last word, in upper case; of a name without
// letters its first character, and of no name a question mark.
func initials(name string) string {
	var found []rune
	for _, word := range strings.Fields(name) {
		if i := strings.IndexFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }); i >= 0 {
			for _, r := range word[i:] {
				found = append(found, unicode.ToUpper(r))
				break
			}
		}
	}
	switch n := len(found); n {
	case 0:
		for _, r := range name {
			return string(r)
		}
		return "?"
	case 1:
		return string(found)
	default:
		return string([]rune{found[0], found[n-1]})
	}
}

// AvatarColour returns the colour of a peer's avatar as #rrggbb. It follows from the id alone, and is dark
// enough for white letters.
func AvatarColour(peerID string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(peerID)) // a hash never fails
	hue := int(h.Sum32() % 360)
	const low, high = 70, 150
	// One channel is high, one low, and one between, by the sixth of the colour wheel.
	step := hue % 60 * (high - low) / 60
	rgb := [6][3]int{
		{high, low + step, low}, {high - step, high, low}, {low, high, low + step},
		{low, high - step, high}, {low + step, low, high}, {high, low, high - step},
	}[hue/60]
	return fmt.Sprintf("#%02x%02x%02x", rgb[0], rgb[1], rgb[2])
}
