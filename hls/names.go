package hls

import (
	"cmp"
	"fmt"
	"path"
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
	ext := path.Ext(s) // the digit of ".m4s" counts nothing
	s = strings.TrimSuffix(s, ext)
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
	n.pattern = pattern.String() + ext
	return n
}

// compareNames orders names by the numbers in them, then as text: "seg2.ts" comes before "seg10.ts", and a copy like
// "seg2.again.ts" beside what it is a copy of.
func compareNames(a, b *naturalName) int {
	for i := range min(len(a.numbers), len(b.numbers)) {
		x, y := a.numbers[i], b.numbers[i]
		if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(a.numbers), len(b.numbers)), cmp.Compare(a.pattern, b.pattern), cmp.Compare(a.full, b.full))
}

// numbered reports whether names tell the order: most follow one pattern, and the numbers differ.
func numbered(list []*piece) bool {
	patterns, numbers := make(map[string]int), make(map[string]bool)
	most := 0
	for _, p := range list {
		if len(p.name.numbers) == 0 {
			return false
		}
		patterns[p.name.pattern]++
		most = max(most, patterns[p.name.pattern])
		numbers[fmt.Sprint(p.name.numbers, p.seg.Offset)] = true
	}
	return 2*most >= len(list) && 2*len(numbers) >= len(list)
}
