package hls

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"rushes/transcode/mp4"
)

// attr is one attribute (RFC 8216bis, 4.2).
type attr struct {
	name, value string
	quoted      bool
}

type attrList []attr

func (a attrList) find(name string) (attr, bool) {
	i := slices.IndexFunc(a, func(x attr) bool { return x.name == name })
	if i < 0 {
		return attr{}, false
	}
	return a[i], true
}

func (a attrList) has(name string) bool { _, ok := a.find(name); return ok }

// get is an attribute's value without quotes, empty when it is not there.
func (a attrList) get(name string) string { x, _ := a.find(name); return x.value }

// number is a whole number, 0 when it is not there or none.
func (a attrList) number(name string) int64 {
	n, err := strconv.ParseInt(a.get(name), 10, 62)
	if err != nil {
		return 0
	}
	return n
}

// attrs reads an attribute list strictly.
func (p *listParser) attrs(s string) (out attrList) {
	for s != "" {
		if len(out) == maxCheckedAttrs {
			p.must(1, "there are more than %d attributes", maxCheckedAttrs)
			return out
		}
		name, rest, ok := strings.Cut(s, "=")
		if !ok || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			p.must(1, "the attribute list is broken at %s", strconv.Quote(s[:min(len(s), 40)]))
			return out
		}
		a := attr{name: name}
		if strings.HasPrefix(rest, `"`) {
			a.quoted = true
			var closed bool
			if a.value, rest, closed = strings.Cut(rest[1:], `"`); !closed {
				p.must(1, "the quotes of %s are not closed", name)
				return out
			}
			if rest != "" && rest[0] != ',' {
				p.must(1, "something follows the quotes of %s", name)
				return out
			}
		} else {
			end := strings.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			if a.value, rest = rest[:end], rest[end:]; a.value == "" || strings.ContainsAny(a.value, " \t\"") {
				p.must(1, "the value of %s is empty or has spaces or quotes", name)
			}
		}
		if out.has(name) {
			p.must(1, "the attribute %s is there twice", name)
		}
		out = append(out, a)
		if s = strings.TrimPrefix(rest, ","); s == "" && rest != "" {
			p.must(1, "the attribute list ends with a comma")
		}
	}
	return out
}

// parseDecimal reads a decimal number of seconds without going through floating point.
func parseDecimal(s string) (t Tick, digits int, ok bool) {
	negative := strings.HasPrefix(s, "-")
	whole, frac, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if whole == "" && frac == "" || strings.Trim(whole+frac, "0123456789") != "" {
		return 0, 0, false
	}
	digits = len(frac)
	if whole == "" {
		whole = "0"
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > int64(maxTick/Timescale) {
		return 0, 0, false
	}
	frac = (frac + "000000000")[:9]
	nanos, err := strconv.ParseInt(frac, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	if t = Tick(n)*Timescale + ticksOf(time.Duration(nanos)); negative {
		t = -t
	}
	return t, digits, true
}

// byteRange reads EXT-X-BYTERANGE; follow completes it.
func (p *listParser) byteRange(value string) {
	length, offset, explicit := parseRange(value)
	if length <= 0 || strings.Contains(value, "@") && !explicit {
		p.must(8, "EXT-X-BYTERANGE is not length@offset")
		return
	}
	p.seg.ranged, p.seg.length, p.seg.offset = true, length, offset
	if !explicit {
		p.seg.offset = -1
	}
}

// follow gives a range without an offset its place: behind the one before, which must be of the same file.
func (p *listParser) follow(s *listed) {
	if s.offset < 0 {
		n := len(p.out.segments)
		if s.offset = 0; n == 0 || p.out.segments[n-1].uri != s.uri || !p.out.segments[n-1].ranged {
			p.must(8, "the byte range has no offset, and the segment before is not a range of the same file")
			s.name = "" // nobody knows what to read
		} else {
			s.offset = p.out.segments[n-1].offset + p.out.segments[n-1].length
		}
	}
}

// mapTag reads EXT-X-MAP (RFC 8216bis, 4.4.4.5).
func (p *listParser) mapTag(value string) {
	if p.out.iframesOnly {
		p.need(5, "EXT-X-MAP")
	} else {
		p.need(6, "EXT-X-MAP")
	}
	a := p.attrs(value)
	m := parsedMap{line: p.n, uri: a.get("URI")}
	if m.uri == "" {
		p.must(7, "EXT-X-MAP has no URI")
		return
	}
	m.name = p.c.resolve(p.out.file, p.n, m.uri)
	if r, ok := a.find("BYTERANGE"); ok {
		length, offset, explicit := parseRange(r.value)
		if !explicit || length <= 0 {
			p.must(7, "the BYTERANGE of EXT-X-MAP has no offset")
		}
		m.ranged, m.offset, m.length = true, offset, length
	}
	if len(p.out.maps) < maxCheckedSegments {
		p.out.maps = append(p.out.maps, m)
	}
	p.mapI = len(p.out.maps) - 1
}

// date reads EXT-X-PROGRAM-DATE-TIME: the form is part of point 11.
func (p *listParser) date(value string) {
	at, ok := parseWall(value)
	if !ok {
		p.must(11, "EXT-X-PROGRAM-DATE-TIME is no date")
		return
	}
	p.seg.date, p.seg.dateLine = at, p.n
	_, clock, _ := strings.Cut(value, "T")
	if !strings.ContainsAny(clock, "Z+-") {
		p.c.line(11, mp4.Should, p.out.file, p.n, "EXT-X-PROGRAM-DATE-TIME has no time zone")
	}
	if _, frac, _ := strings.Cut(clock, "."); len(frac) < 3 || strings.Trim(frac[:3], "0123456789") != "" {
		p.c.line(11, mp4.Should, p.out.file, p.n, "EXT-X-PROGRAM-DATE-TIME has no milliseconds")
	}
}

// dateRange reads EXT-X-DATERANGE: point 12 within one playlist.
func (p *listParser) dateRange(value string) {
	a := p.attrs(value)
	r := dateRange{line: p.n, id: a.get("ID")}
	if r.id == "" {
		p.must(12, "EXT-X-DATERANGE has no ID")
		return
	}
	start, ok := parseWall(a.get("START-DATE"))
	if r.start = start; !ok && a.has("START-DATE") {
		p.must(12, "the START-DATE of %s is no date", strconv.Quote(r.id))
	}
	old, again := p.ids[r.id]
	if !again && !a.has("START-DATE") {
		p.must(12, "EXT-X-DATERANGE %s has no START-DATE", strconv.Quote(r.id))
	}
	p.span(a, &r)
	var parts []string
	for _, x := range a {
		parts = append(parts, x.name+"="+x.value)
	}
	slices.Sort(parts)
	r.text = strings.Join(parts, ",")
	if again {
		// Two tags of one ID are one range, of which each tag tells a part (4.4.5.1).
		if a.has("START-DATE") && !old.start.Equal(r.start) || old.span > 0 && r.span > 0 && old.span != r.span {
			p.must(12, "EXT-X-DATERANGE %s says something else than in line %d", strconv.Quote(r.id), old.line)
		}
		return
	}
	p.ids[r.id] = r
	if len(p.out.ranges) < maxCheckedRanges {
		p.out.ranges = append(p.out.ranges, r)
	}
}

// span reads how long a date range is.
func (p *listParser) span(a attrList, r *dateRange) {
	lasts, hasDuration := a.find("DURATION")
	if hasDuration {
		d, _, ok := parseDecimal(lasts.value)
		if !ok || d < 0 {
			p.must(12, "the DURATION of %s is not a number of seconds", strconv.Quote(r.id))
			return
		}
		r.span = d.Duration()
	}
	end, hasEnd := a.find("END-DATE")
	if !hasEnd || r.start.IsZero() {
		return
	}
	at, ok := parseWall(end.value)
	switch span := at.Sub(r.start); {
	case !ok:
		p.must(12, "the END-DATE of %s is no date", strconv.Quote(r.id))
	case span < 0:
		p.must(12, "%s ends before it starts", strconv.Quote(r.id))
	case hasDuration && (span-r.span).Abs() > time.Millisecond:
		p.must(12, "the DURATION of %s is not that from START-DATE to END-DATE", strconv.Quote(r.id))
	default:
		r.span = span
	}
}

// tiles reads EXT-X-TILES.
func (p *listParser) tiles(value string) {
	a := p.attrs(value)
	t := &tileTag{line: p.n}
	var ok1, ok2, ok3 bool
	t.width, t.height, ok1 = parseSize(a.get("RESOLUTION"))
	t.columns, t.rows, ok2 = parseSize(a.get("LAYOUT"))
	t.each, _, ok3 = parseDecimal(a.get("DURATION"))
	if !ok1 || !ok2 || !ok3 || t.each <= 0 {
		p.must(39, "EXT-X-TILES lacks RESOLUTION, LAYOUT or DURATION")
		return
	}
	p.seg.tiles = t
}

// parseSize reads "640x360".
func parseSize(s string) (w, h int64, ok bool) {
	a, b, _ := strings.Cut(s, "x")
	w, err1 := strconv.ParseInt(a, 10, 32)
	h, err2 := strconv.ParseInt(b, 10, 32)
	return w, h, err1 == nil && err2 == nil && w > 0 && h > 0 && w < 1<<16 && h < 1<<16
}
