package hls

import (
	"cmp"
	"strings"
)

// naturalName is a file name in which runs of digits are numbers.
type naturalName struct {
	pattern string   // every run of digits is one '#'
	numbers []string // without leading zeros
	full    string
}

func splitName(s string) *naturalName {
	n := &naturalName{full: s}
	var pattern strings.Builder
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && s[j] >= '0' && s[j] <= '9' {
			j++
		}
		if j == i {
			pattern.WriteByte(s[i])
			i++
			continue
		}
		pattern.WriteByte('#')
		n.numbers = append(n.numbers, strings.TrimLeft(s[i:j], "0"))
		i = j
	}
	n.pattern = pattern.String()
	return n
}

// compareNames orders names of one pattern by their numbers, others as text.
func compareNames(a, b *naturalName) int {
	if c := compareNumbers(a, b); c != 0 {
		return c
	}
	return cmp.Compare(a.full, b.full)
}

// compareNumbers is compareNames without the last resort: 0 when the numbers are the same.
func compareNumbers(a, b *naturalName) int {
	if a.pattern != b.pattern {
		return cmp.Compare(a.pattern, b.pattern)
	}
	for i := range a.numbers {
		x, y := a.numbers[i], b.numbers[i]
		if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
			return c
		}
	}
	return 0
}

// numbered reports whether the names of all pieces follow one pattern and have different numbers.
func numbered(list []*piece) bool {
	seen := make(map[string]bool, len(list))
	for _, p := range list {
		key := strings.Join(p.name.numbers, ",")
		if p.name.pattern != list[0].name.pattern || len(p.name.numbers) == 0 || seen[key] && p.seg.Length == 0 {
			return false
		}
		seen[key] = true
	}
	return true
}
