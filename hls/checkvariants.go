package hls

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"rushes/transcode/mp4"
)

// pictureOf is point 19: RESOLUTION and FRAME-RATE.
func (c *packageCheck) pictureOf(m *checkedMaster, e *masterEntry) {
	if !e.list.has(kindVideo) {
		return
	}
	width, height := 0, 0
	var fastest, mean int64 // pictures per 1000 s
	var pictures int64
	var length Tick
	for i := range e.list.infos {
		s := &e.list.infos[i]
		if !s.looked || !s.video.has() {
			continue
		}
		t := s.header.first(kindVideo)
		if t.width*t.height > width*height {
			width, height = t.width, t.height
		}
		if s.video.frame > 0 {
			fastest = max(fastest, scale(1_000_000, int64(t.timescale), s.video.frame*1000))
		}
		pictures += int64(s.video.samples)
		length += max(t.time(s.video.decodeEnd)-t.time(s.video.decode), 0)
	}
	if length > 0 {
		mean = scale(pictures*1000, Timescale, int64(length))
	}
	must := func(format string, args ...any) { c.line(19, mp4.Must, m.file, e.line, format, args...) }
	w, h, ok := parseSize(e.attrs.get("RESOLUTION"))
	switch {
	case !ok:
		must("%s has no RESOLUTION", e.tag)
	case width > 0 && (w > int64(width)+1 || w < int64(width)-1 || h > int64(height)+1 || h < int64(height)-1):
		must("RESOLUTION is %dx%d, the pictures have %dx%d", w, h, width, height)
	}
	if e.tag != "EXT-X-STREAM-INF" {
		return
	}
	text, ok := e.attrs.find("FRAME-RATE")
	if !ok {
		must("%s has no FRAME-RATE", e.tag)
		return
	}
	rate, digits, ok := parseDecimal(text.value)
	milli := scale(int64(rate), 1000, Timescale)
	near := func(real int64) bool { return real > 0 && milli-real <= real/100 && real-milli <= real/100 }
	switch {
	case !ok || rate <= 0:
		must("FRAME-RATE is no rate")
	case milli > 60_000:
		must("FRAME-RATE is %s, more than 60", text.value)
	case fastest > 0 && !near(fastest) && !near(mean):
		must("FRAME-RATE is %s, measured are %s", text.value, decimal(fastest*1000))
	case digits != 3:
		c.line(19, mp4.Practice, m.file, e.line, "FRAME-RATE has %d decimals, not 3", digits)
	}
}

// groups is point 20: renditions of sound and text.
func (c *packageCheck) groups(m *checkedMaster) {
	type group struct {
		line, defaults int
		names          []string
	}
	groups := map[string]map[string]*group{} // by type and ID
	for _, e := range m.of("EXT-X-MEDIA") {
		kind, id, name := e.attrs.get("TYPE"), e.attrs.get("GROUP-ID"), e.attrs.get("NAME")
		if groups[kind] == nil {
			groups[kind] = map[string]*group{}
		}
		g := groups[kind][id]
		if g == nil {
			g = &group{line: e.line}
			groups[kind][id] = g
		}
		if slices.Contains(g.names, name) {
			c.line(20, mp4.Must, m.file, e.line, "the name %s is in group %s already", strconv.Quote(name), strconv.Quote(id))
		}
		g.names = append(g.names, name)
		if e.attrs.get("DEFAULT") == "YES" {
			if g.defaults++; g.defaults == 2 {
				c.line(20, mp4.Must, m.file, e.line, "group %s has two renditions with DEFAULT=YES", strconv.Quote(id))
			}
		}
		if kind != "VIDEO" && !e.attrs.has("LANGUAGE") {
			c.line(20, mp4.Must, m.file, e.line, "EXT-X-MEDIA has no LANGUAGE")
		}
		if kind == "AUDIO" {
			c.channels(m, e)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(groups)) {
		var first *group
		byID := groups[kind]
		for _, id := range slices.Sorted(maps.Keys(byID)) {
			g := byID[id]
			slices.Sort(g.names)
			if first == nil {
				first = g
			} else if !slices.Equal(first.names, g.names) {
				c.line(20, mp4.Must, m.file, g.line, "group %s of type %s has other names than the first one", strconv.Quote(id), kind)
			}
			if g.defaults == 0 && kind == "AUDIO" {
				c.line(20, mp4.Practice, m.file, g.line, "no rendition of group %s is the default", strconv.Quote(id))
			}
		}
	}
}

// channels compares CHANNELS with the sound.
func (c *packageCheck) channels(m *checkedMaster, e *masterEntry) {
	said, ok := e.attrs.find("CHANNELS")
	if !ok {
		c.line(20, mp4.Should, m.file, e.line, "EXT-X-MEDIA of sound has no CHANNELS")
		return
	}
	if e.list == nil {
		return
	}
	count, _, _ := strings.Cut(said.value, "/")
	n, err := strconv.Atoi(count)
	most := 0
	for i := range e.list.infos {
		if t := e.list.infos[i].header.first(kindAudio); t != nil {
			most = max(most, t.channels)
		}
	}
	if err != nil || most > 0 && n != most {
		c.line(20, mp4.Must, m.file, e.line, "CHANNELS is %s, the sound has %d", strconv.Quote(said.value), most)
	}
}

// captions is point 21.
func (c *packageCheck) captions(m *checkedMaster) {
	none, all := 0, m.of("EXT-X-STREAM-INF")
	for _, e := range all {
		if a, ok := e.attrs.find("CLOSED-CAPTIONS"); ok && !a.quoted && a.value == "NONE" {
			none++
		}
	}
	if none == 0 || none == len(all) {
		return
	}
	for _, e := range all {
		if a, ok := e.attrs.find("CLOSED-CAPTIONS"); !ok || a.quoted || a.value != "NONE" {
			c.line(21, mp4.Must, m.file, e.line, "CLOSED-CAPTIONS is not NONE, but for other variants it is")
		}
	}
}

// iframeStreams is point 22 and what 17 to 19 say of I-frame playlists.
func (c *packageCheck) iframeStreams(m *checkedMaster) {
	var have []string
	for _, e := range m.of("EXT-X-I-FRAME-STREAM-INF") {
		have = append(have, e.attrs.get("RESOLUTION"))
		if e.list == nil {
			continue
		}
		c.bandwidth(m, e, nil)
		if e.attrs.has("CODECS") {
			c.codecs(m, e, nil)
		}
		if e.attrs.has("RESOLUTION") {
			c.pictureOf(m, e)
		}
	}
	for _, e := range m.of("EXT-X-STREAM-INF") {
		size := e.attrs.get("RESOLUTION")
		if e.list == nil || size == "" || slices.Contains(have, size) {
			continue
		}
		have = append(have, size) // say it once
		c.line(22, mp4.Must, m.file, e.line, "there is no EXT-X-I-FRAME-STREAM-INF for %s", size)
	}
}

// order23 is point 23: what variants should share.
func (c *packageCheck) order23(m *checkedMaster) {
	var sound, shape string
	var w, h int64
	begun := false
	for _, e := range m.of("EXT-X-STREAM-INF") {
		if e.list == nil || !e.list.has(kindVideo) {
			continue
		}
		var names []string
		for _, a := range m.group("AUDIO", e.attrs.get("AUDIO")) {
			names = append(names, a.name)
		}
		slices.Sort(names)
		mine := strings.Join(names, "\n")
		x, y, ok := parseSize(e.attrs.get("RESOLUTION"))
		switch {
		case !begun:
			begun, sound = true, mine
		case mine != sound:
			c.line(23, mp4.Should, m.file, e.line, "the variant has other sound than the first one")
		}
		if !ok {
			continue
		}
		if w == 0 {
			w, h, shape = x, y, e.attrs.get("RESOLUTION")
		} else if off := x*h - w*y; off > 2*max(x, w) || -off > 2*max(x, w) { // sizes are even numbers
			c.line(23, mp4.Should, m.file, e.line, "the shape of %s is not that of %s", e.attrs.get("RESOLUTION"), shape)
		}
	}
}
