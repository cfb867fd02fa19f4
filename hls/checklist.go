package hls

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rushes/transcode/mp4"
)

// parsedList is a playlist as its text says, with line numbers (RFC 8216bis, 4).
type parsedList struct {
	file         string
	multivariant bool
	lines        map[string]int // first line of each tag that stands for the whole playlist

	version      int64
	target       int64
	sequence     int64
	playlistType string
	iframesOnly  bool
	imagesOnly   bool

	maps     []parsedMap
	ranges   []dateRange
	segments []listed
	streams  []streamTag // of a multivariant playlist
	needs    int64       // least EXT-X-VERSION, with why
	why      string
}

// listed is one segment of a media playlist.
type listed struct {
	line     int
	uri      string
	name     string // empty when it is not followed
	duration Tick
	digits   int // decimals of EXTINF
	ranged   bool
	offset   int64
	length   int64
	breaks   bool // EXT-X-DISCONTINUITY
	gap      bool
	date     time.Time
	dateLine int
	mapIndex int // -1 without
	sealed   bool
	tiles    *tileTag
}

type parsedMap struct {
	line   int
	uri    string
	name   string
	ranged bool
	offset int64
	length int64
}

// dateRange is EXT-X-DATERANGE (RFC 8216bis, 4.4.5.1).
type dateRange struct {
	line  int
	id    string
	start time.Time
	span  time.Duration // DURATION, or up to END-DATE
	text  string        // all attributes, in order of their names
}

// tileTag is EXT-X-TILES of an image playlist.
type tileTag struct {
	line          int
	width, height int64
	columns, rows int64
	each          Tick
}

// streamTag is a line of a multivariant playlist that names a playlist.
type streamTag struct {
	line  int
	tag   string
	attrs attrList
	uri   string
}

// listParser goes through the lines.
type listParser struct {
	c    *packageCheck
	out  *parsedList
	n    int // of the line
	seg  listed
	has  map[string]int // tags since the last URI
	ends map[string]int64
	key  bool
	mapI int
	inf  *streamTag
	both [2]int // first line with a tag of media and of multivariant playlists
	ids  map[string]dateRange
}

func (p *listParser) must(number int, format string, args ...any) {
	p.c.line(number, mp4.Must, p.out.file, p.n, format, args...)
}

func (p *listParser) need(version int64, why string) {
	if version > p.out.needs {
		p.out.needs, p.out.why = version, why
	}
}

// parseList reads a playlist and finds what is wrong with its lines: points 1 and 2 and parts of 7, 8, 11 and 12.
func (c *packageCheck) parseList(file string, text []byte) *parsedList {
	p := &listParser{c: c, out: &parsedList{file: file, lines: make(map[string]int), version: 1, needs: 1}, has: make(map[string]int),
		ends: make(map[string]int64), mapI: -1, ids: make(map[string]dateRange), n: 1}
	p.seg.mapIndex = -1
	if rest, found := bytes.CutPrefix(text, []byte("\xef\xbb\xbf")); found {
		p.must(1, "a byte order mark stands before the first tag")
		text = rest
	}
	if first, _, _ := bytes.Cut(text, []byte("\n")); string(bytes.TrimSuffix(first, []byte("\r"))) != "#EXTM3U" {
		p.must(1, "the first line is not #EXTM3U")
	}
	if !utf8.Valid(text) {
		p.must(1, "the text is not UTF-8")
	}
	p.n = 0
	for line := range bytes.Lines(text) {
		p.n++
		p.line(strings.TrimRight(string(line), "\r\n"))
	}
	if p.inf != nil {
		p.must(1, "no URI follows EXT-X-STREAM-INF")
	}
	if p.has["#EXTINF"] > 0 {
		p.must(1, "no URI follows EXTINF")
	}
	if p.both[0] > 0 && p.both[1] > 0 {
		p.c.line(1, mp4.Must, file, max(p.both[0], p.both[1]), "tags of media playlists and of multivariant playlists are mixed")
	}
	p.out.multivariant = p.both[1] > 0 && len(p.out.segments) == 0
	p.versions()
	return p.out
}

func (p *listParser) line(s string) {
	switch {
	case strings.TrimSpace(s) == "":
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f && r <= 0x9f }):
		p.must(1, "the line has control characters")
	case strings.HasPrefix(s, "#EXT"):
		p.tag(s)
	case strings.HasPrefix(s, "#"):
	default:
		p.uri(s)
	}
}

// The tags that stand once in a playlist.
var onceTags = map[string]bool{"#EXTM3U": true, "#EXT-X-VERSION": true, "#EXT-X-TARGETDURATION": true, "#EXT-X-MEDIA-SEQUENCE": true,
	"#EXT-X-DISCONTINUITY-SEQUENCE": true, "#EXT-X-PLAYLIST-TYPE": true, "#EXT-X-ENDLIST": true, "#EXT-X-I-FRAMES-ONLY": true,
	"#EXT-X-IMAGES-ONLY": true, "#EXT-X-INDEPENDENT-SEGMENTS": true, "#EXT-X-START": true}

// The tags that only one kind of playlists has: 0 media, 1 multivariant.
var kindTags = map[string]int{"#EXTINF": 0, "#EXT-X-BYTERANGE": 0, "#EXT-X-DISCONTINUITY": 0, "#EXT-X-KEY": 0, "#EXT-X-MAP": 0,
	"#EXT-X-PROGRAM-DATE-TIME": 0, "#EXT-X-GAP": 0, "#EXT-X-TARGETDURATION": 0, "#EXT-X-MEDIA-SEQUENCE": 0, "#EXT-X-ENDLIST": 0,
	"#EXT-X-PLAYLIST-TYPE": 0, "#EXT-X-I-FRAMES-ONLY": 0, "#EXT-X-IMAGES-ONLY": 0, "#EXT-X-DISCONTINUITY-SEQUENCE": 0,
	"#EXT-X-MEDIA": 1, "#EXT-X-STREAM-INF": 1, "#EXT-X-I-FRAME-STREAM-INF": 1, "#EXT-X-IMAGE-STREAM-INF": 1, "#EXT-X-SESSION-KEY": 1}

func (p *listParser) tag(s string) {
	tag, value, _ := strings.Cut(s, ":")
	if kind, ok := kindTags[tag]; ok && p.both[kind] == 0 {
		p.both[kind] = p.n
	}
	if onceTags[tag] {
		if p.out.lines[tag] > 0 {
			p.must(1, "%s stands in line %d already", tag[1:], p.out.lines[tag])
			return
		}
		p.out.lines[tag] = p.n
	}
	switch tag {
	case "#EXT-X-VERSION":
		p.number(tag, value, &p.out.version)
	case "#EXT-X-TARGETDURATION":
		p.target(value)
	case "#EXT-X-MEDIA-SEQUENCE":
		p.number(tag, value, &p.out.sequence)
	case "#EXT-X-PLAYLIST-TYPE":
		p.out.playlistType = value
	case "#EXT-X-I-FRAMES-ONLY":
		p.out.iframesOnly = true
		p.need(4, "EXT-X-I-FRAMES-ONLY")
	case "#EXT-X-IMAGES-ONLY":
		p.out.imagesOnly = true
	case "#EXT-X-DEFINE":
		p.need(8, "EXT-X-DEFINE")
	case "#EXT-X-MEDIA", "#EXT-X-STREAM-INF", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-IMAGE-STREAM-INF":
		p.stream(tag, value)
	case "#EXT-X-MAP":
		p.mapTag(value)
	case "#EXT-X-DATERANGE":
		p.dateRange(value)
	default:
		p.segmentTag(tag, value)
	}
}

// segmentTag reads what belongs to the next segment.
func (p *listParser) segmentTag(tag, value string) {
	switch tag {
	case "#EXTINF", "#EXT-X-BYTERANGE", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-TILES":
		if p.has[tag] > 0 && tag != "#EXT-X-PROGRAM-DATE-TIME" {
			p.must(1, "%s stands twice before a URI", tag[1:])
		}
		p.has[tag] = p.n
	}
	switch tag {
	case "#EXTINF":
		text, _, _ := strings.Cut(value, ",")
		d, digits, ok := parseDecimal(text)
		if !ok {
			p.must(1, "EXTINF is not a decimal number")
			return
		}
		if digits > 0 || strings.Contains(text, ".") {
			p.need(3, "EXTINF with decimals")
		}
		p.seg.duration, p.seg.digits = d, digits
	case "#EXT-X-BYTERANGE":
		p.need(4, "EXT-X-BYTERANGE")
		p.byteRange(value)
	case "#EXT-X-DISCONTINUITY":
		p.seg.breaks = true
	case "#EXT-X-GAP":
		p.seg.gap = true
	case "#EXT-X-KEY":
		a := p.attrs(value)
		p.key = a.get("METHOD") != "NONE"
		if a.has("KEYFORMAT") || a.has("KEYFORMATVERSIONS") {
			p.need(5, "KEYFORMAT")
		} else if a.has("IV") {
			p.need(2, "IV")
		}
	case "#EXT-X-PROGRAM-DATE-TIME":
		p.date(value)
	case "#EXT-X-TILES":
		p.tiles(value)
	case "#EXT-X-SKIP":
		p.need(9, "EXT-X-SKIP")
	}
}

func (p *listParser) number(tag, value string, to *int64) {
	n, err := strconv.ParseInt(value, 10, 62)
	if err != nil || n < 0 {
		p.must(1, "%s is not a whole number", tag[1:])
		return
	}
	*to = n
}

func (p *listParser) target(value string) {
	n, err := strconv.ParseInt(value, 10, 31)
	if err != nil || n < 1 {
		p.must(3, "EXT-X-TARGETDURATION is not a whole number of at least 1")
		return
	}
	p.out.target = n
}

// stream reads a tag that names a playlist.
func (p *listParser) stream(tag, value string) {
	s := streamTag{line: p.n, tag: tag[1:], attrs: p.attrs(value)}
	for _, a := range s.attrs {
		if strings.HasPrefix(a.name, "REQ-") {
			p.need(12, "an attribute that begins with REQ-")
		}
	}
	if i := s.attrs.get("INSTREAM-ID"); strings.HasPrefix(i, "SERVICE") {
		p.need(7, "a SERVICE in INSTREAM-ID")
	} else if i != "" && s.attrs.get("TYPE") != "CLOSED-CAPTIONS" {
		p.need(13, "INSTREAM-ID of other media than captions")
	}
	if tag == "#EXT-X-STREAM-INF" {
		if p.inf != nil {
			p.must(1, "no URI follows the EXT-X-STREAM-INF of line %d", p.inf.line)
		}
		p.inf = &s
		return
	}
	s.uri = s.attrs.get("URI")
	p.out.streams = append(p.out.streams, s)
}

// uri ends a segment or a variant.
func (p *listParser) uri(s string) {
	if p.inf != nil {
		p.inf.uri = s
		p.out.streams = append(p.out.streams, *p.inf)
		p.inf = nil
		return
	}
	seg := p.seg
	p.seg = listed{mapIndex: -1}
	if p.has["#EXTINF"] == 0 {
		p.must(1, "the URI has no EXTINF")
	}
	if len(p.out.segments) > maxCheckedSegments {
		return // Check ends with an error
	}
	seg.line, seg.uri, seg.mapIndex, seg.sealed = p.n, s, p.mapI, p.key
	seg.name = p.c.resolve(p.out.file, p.n, s)
	if seg.ranged {
		p.follow(&seg)
	}
	clear(p.has)
	p.out.segments = append(p.out.segments, seg)
}

// resolve names the file of a URI; what is not followed is a finding, because it is not checked.
func (c *packageCheck) resolve(file string, line int, uri string) string {
	name, err := c.src.Resolve(file, uri)
	if err != nil {
		c.line(7, mp4.Should, file, line, "%s is not checked: %v", strconv.Quote(uri), err)
		return ""
	}
	return name
}

// versions is the part of point 2 that must be.
func (p *listParser) versions() {
	if l := p.out; l.version < l.needs {
		p.c.line(2, mp4.Must, l.file, max(l.lines["#EXT-X-VERSION"], 1), "EXT-X-VERSION is %d, but %s needs %d", l.version, l.why, l.needs)
	}
}

// highVersion is the rest of point 2: no more than needed. Players that can read the media playlists of a package can
// read the others with the same version too.
func (c *packageCheck) highVersion(l *checkedList) {
	severity := mp4.Should
	for _, o := range c.order {
		if l.kind != listMedia && o.kind == listMedia && l.version <= o.needs {
			severity = mp4.Practice
		}
	}
	if l.version > l.needs {
		c.line(2, severity, l.file, l.lines["#EXT-X-VERSION"], "EXT-X-VERSION is %d, more than the needed %s", l.version, needed(l.parsedList))
	}
}

func needed(l *parsedList) string {
	if l.why == "" {
		return "1"
	}
	return fmt.Sprintf("%d of %s", l.needs, l.why)
}
