package hls

import (
	"slices"
	"strconv"

	"rushes/transcode/mp4"
)

// configs is point 15: changes of what the decoder is told.
func (c *packageCheck) configs(l *checkedList) {
	var before *segInfo
	broken := false
	for i := range l.infos {
		s, listed := &l.infos[i], &l.parsedList.segments[i]
		broken = broken || listed.breaks
		if !s.looked {
			continue
		}
		if before != nil {
			same := before.header.same(s.header)
			switch {
			case !same && !broken:
				c.line(15, mp4.Must, l.file, listed.line, "the decoder's parameters change without EXT-X-DISCONTINUITY and a new EXT-X-MAP")
			case same && broken && goesOn(before, s):
				c.line(15, mp4.Practice, l.file, listed.line, "EXT-X-DISCONTINUITY has no cause: parameters and times go on")
			}
		}
		before, broken = s, false
	}
}

// goesOn reports whether a segment begins when the other one ends.
func goesOn(a, b *segInfo) bool {
	s, t := a.main()
	u, v := b.main()
	if s == nil || u == nil {
		return false
	}
	return abs(v.time(u.start)-t.time(s.end)) <= t.time(s.frame)+slack
}

// continuity holds points 16, 27, 28 and 29 between segments.
func (c *packageCheck) continuity(l *checkedList) {
	last, hole := -1, Tick(0)
	broken := false
	for i := range l.infos {
		s, listed := &l.infos[i], &l.parsedList.segments[i]
		broken = broken || listed.breaks
		if listed.gap {
			if i == 0 {
				c.line(16, mp4.Practice, l.file, listed.line, "the first segment is a gap")
			}
			hole += listed.duration
			continue
		}
		if !s.looked {
			last, hole, broken = -1, 0, false
			continue
		}
		if last >= 0 && !broken {
			before := &l.infos[last]
			if hole > 0 {
				c.gapLength(l, listed, before, s, hole)
			} else {
				c.goOn(l, before, s)
			}
		}
		last, hole, broken = i, 0, false
	}
}

// gapLength is the part of point 16 about the length of gaps.
func (c *packageCheck) gapLength(l *checkedList, s *listed, a, b *segInfo, hole Tick) {
	x, t := a.main()
	y, u := b.main()
	if x == nil || y == nil {
		return
	}
	if real := u.time(y.start) - t.time(x.end); abs(real-hole) > t.time(x.frame)+slack {
		c.line(16, mp4.Should, l.file, s.line, "the gaps before the segment last %s, the hole in the media %s", inSeconds(hole), inSeconds(real))
	}
}

// goOn compares a segment with the one before it.
func (c *packageCheck) goOn(l *checkedList, a, b *segInfo) {
	if b.header == nil || a.header == nil {
		return
	}
	if b.header.format == "fmp4" && b.counter != a.last+1 {
		c.at(28, mp4.Practice, b.file, b.offset, "fragment %d follows fragment %d", b.counter, a.last)
	}
	for _, kind := range []mediaKind{kindVideo, kindAudio} {
		x, y, what := &a.video, &b.video, "pictures"
		if kind == kindAudio {
			x, y, what = &a.audio, &b.audio, "sound"
		}
		t, u := a.header.first(kind), b.header.first(kind)
		if !x.has() || !y.has() || t == nil || u == nil || t.timescale != u.timescale {
			continue
		}
		off := y.decode - x.decodeEnd
		switch {
		case off == 0:
		case b.header.format == "fmp4":
			c.at(27, mp4.Must, b.file, b.offset, "the decoding times of the %s go on at %d, but the segment before ends at %d", what, y.decode, x.decodeEnd)
		case off < -2*x.frame || u.time(off) > Timescale/2:
			c.at(27, mp4.Must, b.file, b.offset, "the timestamps of the %s jump by %s without EXT-X-DISCONTINUITY", what, inSeconds(u.time(off)))
		case off > 2*x.frame && x.frame > 0:
			c.at(27, mp4.Should, b.file, b.offset, "%s of %s are missing before the segment", inSeconds(u.time(off)), what)
		}
		early := x.end - y.start
		if kind == kindVideo && early > 0 && (b.header.format == "fmp4" || early > x.frame/2) {
			c.at(29, mp4.Practice, b.file, b.offset, "a picture is shown %s before the segment before ends", inSeconds(u.time(early)))
		}
	}
}

// across compares media playlists: points 4, 11 to 14, 16, 30, 31, 33 and 38.
func (c *packageCheck) across() {
	var videos, audios, all []*checkedList
	for _, l := range c.order {
		if l.kind == listMedia && (l.has(kindVideo) || l.has(kindAudio)) {
			all = append(all, l)
		}
		switch {
		case l.kind != listMedia:
		case l.has(kindVideo):
			videos = append(videos, l)
		case l.has(kindAudio):
			audios = append(audios, l)
		}
	}
	if len(all) > 0 {
		for _, l := range all[1:] {
			if l.parsedList.target != all[0].parsedList.target {
				c.line(4, mp4.Must, l.file, l.lines["#EXT-X-TARGETDURATION"], "the target duration is %d, that of %s is %d", l.parsedList.target, strconv.Quote(all[0].file), all[0].parsedList.target)
			}
		}
		for _, l := range c.order {
			if l != all[0] && l.kind != listText {
				c.breaksOf(all[0], l)
			}
		}
	}
	c.sameDates()
	for _, l := range videos[min(1, len(videos)):] {
		c.boundaries(videos[0], l)
	}
	for _, l := range all[min(1, len(all)):] {
		c.sameSpan(all[0], l)
	}
	for _, a := range audios {
		if len(videos) > 0 {
			c.lip(videos[0], a)
		}
	}
	c.muxedStart(videos)
	c.covered(videos)
	if len(videos) > 0 {
		for _, l := range c.order {
			if off := abs(l.length() - videos[0].length()); l.kind == listIFrames && off > max(videos[0].frame(), l.frame())+slack {
				c.line(38, mp4.Must, l.file, 0, "the I-frames last %s, the pictures %s", inSeconds(l.length()), inSeconds(videos[0].length()))
			}
		}
	}
}

// starts lists when the parts between discontinuities begin.
func (l *checkedList) starts() (out []Tick, lines []int) {
	var sum Tick
	for i := range l.parsedList.segments {
		s := &l.parsedList.segments[i]
		if s.breaks {
			out, lines = append(out, sum), append(lines, s.line)
		}
		sum += s.duration
	}
	return out, lines
}

// breaksOf is point 14.
func (c *packageCheck) breaksOf(ref, l *checkedList) {
	want, _ := ref.starts()
	have, lines := l.starts()
	if len(want) != len(have) {
		c.line(14, mp4.Must, l.file, 0, "there are %d EXT-X-DISCONTINUITY, in %s %d", len(have), strconv.Quote(ref.file), len(want))
		return
	}
	for i := range want {
		if abs(want[i]-have[i]) > max(ref.frame(), l.frame())+slack {
			c.line(14, mp4.Must, l.file, lines[i], "EXT-X-DISCONTINUITY is at %s, in %s at %s", inSeconds(have[i]), strconv.Quote(ref.file), inSeconds(want[i]))
		}
	}
}

// sameDates is points 11 and 12 between playlists.
func (c *packageCheck) sameDates() {
	var dated, ranged, bare *checkedList
	for _, l := range c.order {
		if l.kind == listImages {
			continue
		}
		i := slices.IndexFunc(l.parsedList.segments, func(s listed) bool { return s.dateLine > 0 })
		switch {
		case i < 0 && l.kind != listText && bare == nil:
			bare = l
		case i >= 0 && dated == nil:
			dated = l
		case i >= 0:
			c.sameClock(dated, l)
		}
		switch {
		case len(l.ranges) == 0:
		case ranged == nil:
			ranged = l
		case !slices.EqualFunc(byID(ranged.ranges), byID(l.ranges), func(a, b dateRange) bool { return a.text == b.text }):
			c.line(12, mp4.Must, l.file, l.ranges[0].line, "the date ranges are not those of %s", strconv.Quote(ranged.file))
		}
	}
	if dated != nil && bare != nil {
		c.line(11, mp4.Must, bare.file, 0, "there is no EXT-X-PROGRAM-DATE-TIME, but in %s there is", strconv.Quote(dated.file))
	}
}

func byID(list []dateRange) []dateRange {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b dateRange) int {
		if a.text < b.text {
			return -1
		}
		return 1
	})
	return out
}

// sameClock compares what dates two playlists give to the same media times.
func (c *packageCheck) sameClock(ref, l *checkedList) {
	a, b := ref.dateAt(), l.dateAt()
	tolerance := max(ref.frame(), l.frame()) + 2*slack
	for i := range b {
		j := slices.IndexFunc(a, func(d dateMark) bool { return abs(d.at-b[i].at) <= tolerance })
		if j < 0 {
			continue
		}
		if off := b[i].date.Sub(a[j].date) - (b[i].at - a[j].at).Duration(); off.Abs() > tolerance.Duration() {
			c.line(11, mp4.Must, l.file, b[i].line, "EXT-X-PROGRAM-DATE-TIME is %v off from that of %s", off, strconv.Quote(ref.file))
			return
		}
	}
}
