package capture

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const pathHint = "use a path relative to the manifest, with '/', that stays inside the capture"

// CheckPath says why a path must not be followed inside a capture, or "" when it
// may. It looks at the text only; symbolic links are refused when the file is
// opened.
func CheckPath(p string) string {
	switch {
	case p == "":
		return "missing"
	case len(p) > 4096:
		return "longer than 4096 bytes"
	case !utf8.ValidString(p):
		return "not valid UTF-8"
	case strings.HasPrefix(p, "/"):
		return "absolute path " + quote(p)
	case strings.Contains(p, `\`):
		return "backslash in " + quote(p)
	case strings.ContainsFunc(p, unicode.IsControl):
		return "control character in " + quote(p)
	case hasScheme(p):
		return "address instead of a path: " + quote(p)
	case strings.HasSuffix(p, "/"):
		return "folder instead of a file: " + quote(p)
	}
	for _, element := range strings.Split(p, "/") {
		switch {
		case element == "..":
			return "'..' leaves the capture: " + quote(p)
		case element == "" || element == ".":
			return "empty or '.' element in " + quote(p)
		case len(element) > 255:
			return "element longer than 255 bytes in " + quote(p)
		}
	}
	return ""
}

// hasScheme recognises "https://…", "file:…", "data:…" and a drive letter: what
// comes before the first ':' looks like a scheme (RFC 3986, section 3.1) and no
// '/' came before it. A time of day such as 17:42:10.webm starts with a digit and
// is a file name.
func hasScheme(p string) bool {
	scheme, _, found := strings.Cut(p, ":")
	if !found || scheme == "" {
		return false
	}
	for i, r := range scheme {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", r)) {
			return false
		}
	}
	return true
}

// quote shows a path in a message on one line, whatever is in it.
func quote(p string) string {
	p = clip(p)
	return "\"" + strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, p) + "\""
}
