package hls

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rushes/transcode/mp4"
)

// checkedMaster is a multivariant playlist with the playlists that it names.
type checkedMaster struct {
	*parsedList
	entries []masterEntry
}

// masterEntry is one line of it that names a playlist, or a rendition without one.
type masterEntry struct {
	streamTag
	name string
	list *checkedList // nil when it could not be read
}

// readMaster lists what a multivariant playlist names: its parts of points 1, 17, 19, 20 and 22.
func (c *packageCheck) readMaster(p *parsedList) *checkedMaster {
	m := &checkedMaster{parsedList: p}
	for _, s := range p.streams {
		e := masterEntry{streamTag: s}
		switch s.tag {
		case "EXT-X-MEDIA":
			for _, name := range []string{"TYPE", "GROUP-ID", "NAME"} {
				if !s.attrs.has(name) {
					c.line(20, mp4.Must, p.file, s.line, "EXT-X-MEDIA has no %s", name)
				}
			}
		case "EXT-X-STREAM-INF":
			if s.attrs.number("BANDWIDTH") <= 0 {
				c.line(17, mp4.Must, p.file, s.line, "EXT-X-STREAM-INF has no BANDWIDTH")
			}
			if !s.attrs.has("AVERAGE-BANDWIDTH") {
				c.line(17, mp4.Must, p.file, s.line, "EXT-X-STREAM-INF has no AVERAGE-BANDWIDTH")
			}
		default:
			number := 22
			if s.tag == "EXT-X-IMAGE-STREAM-INF" {
				number = 39
			}
			for _, name := range []string{"BANDWIDTH", "CODECS", "RESOLUTION", "URI"} {
				if !s.attrs.has(name) {
					c.line(number, mp4.Must, p.file, s.line, "%s has no %s", s.tag, name)
				}
			}
		}
		if s.uri != "" {
			e.name = c.resolve(p.file, s.line, s.uri)
		}
		m.entries = append(m.entries, e)
	}
	return m
}

// loadLists reads all playlists, each once.
func (c *packageCheck) loadLists(ctx context.Context, m *checkedMaster) error {
	for i := range m.entries {
		e := &m.entries[i]
		if e.name == "" {
			continue
		}
		if l, ok := c.lists[e.name]; ok {
			if l != nil && l.parsedList == m.parsedList {
				c.line(1, mp4.Must, m.file, e.line, "the playlist names itself")
				continue
			}
			e.list = l
			continue
		}
		if len(c.lists) > maxCheckedLists {
			return fmt.Errorf("hls: %q names more than %d playlists: %w", m.file, maxCheckedLists, ErrCheckLimit)
		}
		l, err := c.loadList(ctx, m, e)
		if err != nil {
			return err
		}
		if c.lists[e.name] = l; l != nil {
			e.list = l
			c.order = append(c.order, l)
		}
	}
	return nil
}

// loadList reads one playlist, nil when a finding says that it cannot be read.
func (c *packageCheck) loadList(ctx context.Context, m *checkedMaster, e *masterEntry) (*checkedList, error) {
	f, err := c.open(ctx, e.name)
	if err != nil {
		if stops(err) || ctx.Err() != nil {
			return nil, err
		}
		c.line(7, mp4.Must, m.file, e.line, "the playlist %s cannot be opened: %v", strconv.Quote(e.name), err)
		return nil, nil
	}
	defer func() { _ = f.Close() }() // only read
	text, err := c.readText(f, e.name)
	if err != nil {
		if stops(err) {
			return nil, err
		}
		c.line(7, mp4.Must, m.file, e.line, "the playlist %s cannot be read", strconv.Quote(e.name))
		return nil, nil
	}
	l := &checkedList{parsedList: c.parseList(e.name, text)}
	switch {
	case e.tag == "EXT-X-I-FRAME-STREAM-INF":
		l.kind = listIFrames
	case e.tag == "EXT-X-IMAGE-STREAM-INF":
		l.kind = listImages
	case e.attrs.get("TYPE") == "SUBTITLES":
		l.kind = listText
	}
	if l.multivariant {
		c.line(1, mp4.Must, m.file, e.line, "%s is a multivariant playlist too", strconv.Quote(e.name))
		return nil, nil
	}
	return l, nil
}

// of lists the entries with a tag.
func (m *checkedMaster) of(tag string) (out []*masterEntry) {
	for i := range m.entries {
		if m.entries[i].tag == tag {
			out = append(out, &m.entries[i])
		}
	}
	return out
}

// group lists the renditions of a group.
func (m *checkedMaster) group(kind, id string) (out []*masterEntry) {
	for _, e := range m.of("EXT-X-MEDIA") {
		if id != "" && e.attrs.get("TYPE") == kind && e.attrs.get("GROUP-ID") == id {
			out = append(out, e)
		}
	}
	return out
}

// master checks the multivariant playlist against what its playlists hold: points 17 to 23.
func (c *packageCheck) master(m *checkedMaster) {
	for _, e := range m.of("EXT-X-STREAM-INF") {
		sound := m.group("AUDIO", e.attrs.get("AUDIO"))
		for _, kind := range []string{"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"} {
			id, ok := e.attrs.find(kind)
			if ok && id.quoted && len(m.group(kind, id.value)) == 0 {
				c.line(20, mp4.Must, m.file, e.line, "there is no group %s of type %s", strconv.Quote(id.value), kind)
			}
		}
		if e.list == nil {
			continue
		}
		c.bandwidth(m, e, sound)
		c.codecs(m, e, sound)
		c.pictureOf(m, e)
	}
	c.groups(m)
	c.captions(m)
	c.iframeStreams(m)
	c.order23(m)
}

// bitsOf measures a playlist: the largest rate of a run of segments of 0.5 to 1.5 target durations and the average of
// all, in bit/s (RFC 8216bis, 4.1). ok is false when a segment is not known.
func (l *checkedList) bitsOf() (peak, average int64, ok bool) {
	var total int64
	var length Tick
	limit := 3 * Tick(l.parsedList.target) * Timescale
	for i := range l.infos {
		s := &l.parsedList.segments[i]
		if s.gap {
			continue
		}
		if l.infos[i].bytes == 0 {
			return 0, 0, false
		}
		total, length = total+l.infos[i].bytes, length+s.duration
		var n int64
		var run Tick
		for j := i; j < len(l.infos) && j < i+1000 && !l.parsedList.segments[j].gap; j++ {
			n, run = n+l.infos[j].bytes, run+l.parsedList.segments[j].duration
			if 2*run > limit || run <= 0 {
				break
			}
			if 6*run >= limit {
				peak = max(peak, scale(8*n, Timescale, int64(run)))
			}
		}
	}
	if length <= 0 {
		return 0, 0, false
	}
	average = scale(8*total, Timescale, int64(length))
	return max(peak, average), average, true
}

// bandwidth is point 17: both attributes within a tenth of what is measured.
func (c *packageCheck) bandwidth(m *checkedMaster, e *masterEntry, sound []*masterEntry) {
	peak, average, ok := e.list.bitsOf()
	if !ok {
		return
	}
	var morePeak, moreAverage int64
	for _, a := range sound {
		if a.list == nil || a.list == e.list {
			continue
		}
		p, v, ok := a.list.bitsOf()
		if !ok {
			return
		}
		morePeak, moreAverage = max(morePeak, p), max(moreAverage, v)
	}
	severity := mp4.Must
	if e.tag != "EXT-X-STREAM-INF" {
		severity = mp4.Should
	}
	for _, x := range []struct {
		name string
		real int64
	}{{"BANDWIDTH", peak + morePeak}, {"AVERAGE-BANDWIDTH", average + moreAverage}} {
		said := e.attrs.number(x.name)
		off := said - x.real
		switch {
		case said <= 0:
		case off > said/10 || -off > said/10:
			c.line(17, severity, m.file, e.line, "%s is %d, measured are %d", x.name, said, x.real)
		case off < 0 && x.name == "BANDWIDTH":
			c.line(17, mp4.Practice, m.file, e.line, "BANDWIDTH is %d, less than the measured %d", said, x.real)
		}
	}
}

// codecs is point 18.
func (c *packageCheck) codecs(m *checkedMaster, e *masterEntry, sound []*masterEntry) {
	real, known := codecsOf(e.list)
	for _, a := range sound {
		if a.list != nil {
			more, ok := codecsOf(a.list)
			real, known = append(real, more...), known && ok
		}
	}
	text, ok := e.attrs.find("CODECS")
	if !ok {
		c.line(18, mp4.Must, m.file, e.line, "%s has no CODECS", e.tag)
		return
	}
	var said []string
	for _, s := range strings.Split(text.value, ",") {
		said = append(said, strings.ToLower(strings.TrimSpace(s)))
	}
	for _, r := range real {
		if !slices.ContainsFunc(said, func(s string) bool { return sameCodec(s, r) }) {
			c.line(18, mp4.Must, m.file, e.line, "CODECS is %s and lacks %s", strconv.Quote(text.value), strconv.Quote(r.codec))
		}
	}
	for _, s := range said {
		if known && !slices.ContainsFunc(real, func(r *trackInfo) bool { return sameCodec(s, r) }) && !textCodec(s) {
			c.line(18, mp4.Must, m.file, e.line, "CODECS names %s, which is not in the media", strconv.Quote(s))
		}
	}
}

func textCodec(s string) bool {
	return strings.HasPrefix(s, "wvtt") || strings.HasPrefix(s, "stpp")
}

// codecsOf lists the different tracks of a playlist; known is false when not all of it was read.
func codecsOf(l *checkedList) (out []*trackInfo, known bool) {
	known = true
	var before *initHeader
	for i := range l.infos {
		h := l.infos[i].header
		if h == nil || h == before {
			known = known && (h != nil || l.parsedList.segments[i].gap)
			continue
		}
		before = h
		for _, t := range h.tracks {
			if (t.kind == kindVideo || t.kind == kindAudio) && !slices.ContainsFunc(out, func(o *trackInfo) bool { return o.codec == t.codec }) && len(out) < 64 {
				out = append(out, t)
			}
		}
	}
	return out, known
}

// sameCodec compares a string of CODECS with a track.
func sameCodec(said string, t *trackInfo) bool {
	switch {
	case said == t.codec:
		return true
	case strings.HasPrefix(t.codec, "mp4a.40"):
		// Spectral band replication may be told by nothing but the low rate (ISO/IEC 14496-3, 1.6.6).
		return t.rate <= 24000 && (said == "mp4a.40.5" || said == "mp4a.40.29") || t.codec == "mp4a.40.34" && (said == "mp4a.6b" || said == "mp4a.69") || t.codec == "mp4a.40" && strings.HasPrefix(said, "mp4a.40.")
	case strings.HasPrefix(t.codec, "avc"):
		return t.codec == "avc1" && strings.HasPrefix(said, "avc") // no parameter set was found
	}
	return strings.HasPrefix(said, t.codec+".") || t.codec == "hvc1" && strings.HasPrefix(said, "hev1.")
}
