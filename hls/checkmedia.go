package hls

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"rushes/transcode/mp4"
)

// slack is added to all tolerances: what milliseconds and microseconds in texts are rounded by.
const slack = Tick(Timescale / 1000)

// mediaTags holds what a media playlist's own tags tell: points 3, 5, 9, 10, 12 and parts of 1, 37 and 39.
func (c *packageCheck) mediaTags(l *checkedList) {
	p := l.parsedList
	must := func(number, line int, format string, args ...any) {
		c.line(number, mp4.Must, l.file, line, format, args...)
	}
	c.highVersion(l)
	if len(p.segments) == 0 {
		must(1, 0, "the playlist has no segments")
	}
	if p.lines["#EXT-X-TARGETDURATION"] == 0 {
		must(3, 0, "there is no EXT-X-TARGETDURATION")
	} else if p.target > 0 && l.kind != listImages {
		c.target(l)
	}
	if p.lines["#EXT-X-ENDLIST"] == 0 {
		must(5, 0, "there is no EXT-X-ENDLIST")
	}
	if p.playlistType != "VOD" {
		must(5, p.lines["#EXT-X-PLAYLIST-TYPE"], "EXT-X-PLAYLIST-TYPE is not VOD")
	}
	if p.sequence != 0 {
		must(5, p.lines["#EXT-X-MEDIA-SEQUENCE"], "EXT-X-MEDIA-SEQUENCE is %d, not 0", p.sequence)
	}
	for i := range p.segments {
		switch s := &p.segments[i]; {
		case s.duration < 0:
			must(1, s.line, "EXTINF is negative")
		case s.duration == 0:
			c.line(10, mp4.Practice, l.file, s.line, "EXTINF is zero")
		}
	}
	if l.kind == listIFrames && !p.iframesOnly {
		must(37, 0, "there is no EXT-X-I-FRAMES-ONLY")
	}
	if l.kind == listImages && !p.imagesOnly {
		must(39, 0, "there is no EXT-X-IMAGES-ONLY")
	}
	if len(p.ranges) > 0 && !slices.ContainsFunc(p.segments, func(s listed) bool { return s.dateLine > 0 }) {
		must(12, p.ranges[0].line, "there is an EXT-X-DATERANGE, but no EXT-X-PROGRAM-DATE-TIME")
	}
}

// inSeconds prints a span that may be negative.
func inSeconds(t Tick) string {
	if t < 0 {
		return "-" + seconds(-t)
	}
	return seconds(t)
}

// target is point 3.
func (c *packageCheck) target(l *checkedList) {
	limit, longest := Tick(l.parsedList.target)*Timescale, Tick(0)
	for i := range l.parsedList.segments {
		s := &l.parsedList.segments[i]
		if longest = max(longest, s.duration); s.duration >= limit+Timescale/2 {
			c.line(3, mp4.Must, l.file, s.line, "EXTINF %s is rounded more than the target duration %d", inSeconds(s.duration), l.parsedList.target)
		}
	}
	if l.kind == listMedia && limit-longest >= Timescale {
		c.line(3, mp4.Practice, l.file, l.lines["#EXT-X-TARGETDURATION"], "the target duration is %d, but no segment lasts longer than %s", l.parsedList.target, inSeconds(longest))
	}
}

// independent is point 9: whether EXT-X-INDEPENDENT-SEGMENTS is there, and true.
func (c *packageCheck) independent(l *checkedList, m *checkedMaster) {
	line := l.lines["#EXT-X-INDEPENDENT-SEGMENTS"]
	said := line > 0 || m != nil && m.lines["#EXT-X-INDEPENDENT-SEGMENTS"] > 0
	for i := range l.infos {
		s := &l.infos[i]
		if !s.looked || !s.video.has() {
			continue
		}
		if !said {
			c.line(9, mp4.Should, l.file, 0, "there is no EXT-X-INDEPENDENT-SEGMENTS")
			return
		}
		if !s.video.key {
			c.line(9, mp4.Must, l.file, line, "EXT-X-INDEPENDENT-SEGMENTS is not true for %s", strconv.Quote(s.file))
			return
		}
	}
}

// lengths is point 6 and the rest of 10: what EXTINF says against the samples.
func (c *packageCheck) lengths(l *checkedList) {
	var sum, from, base, decoded Tick
	begun, told, rough := false, false, false
	for i := range l.infos {
		s := &l.parsedList.segments[i]
		if s.breaks {
			begun, told = false, false
		}
		if t, info := l.infos[i].main(); t != nil && l.infos[i].looked {
			start, end := info.time(t.start), info.time(t.end)
			if !begun {
				begun, from, base, decoded = true, sum, start, info.time(t.decode)
			}
			listed := sum + s.duration - from
			off := listed - (end - base)
			if next := l.next(i); next != nil {
				if other := listed - (*next - base); abs(other) < abs(off) { // pictures of an open GOP are shown before it
					off = other
				}
			}
			// A first picture that is shown late lasts from zero on in decoding time.
			if other := listed - (info.time(t.decodeEnd) - decoded); abs(other) < abs(off) {
				off = other
			}
			if abs(off) > info.time(t.frame)+slack && !told {
				told = true
				c.line(6, mp4.Must, l.file, s.line, "EXTINF adds up to %s up to here, the samples to %s", inSeconds(listed), inSeconds(end-base))
			}
			if real := end - start; s.digits < 6 && abs(real-s.duration) > Timescale/500_000 && !rough {
				rough = true
				c.line(6, mp4.Practice, l.file, s.line, "EXTINF has %d decimals, and the samples last %s", s.digits, inSeconds(real))
			}
			if i == len(l.infos)-1 && s.duration > 0 && s.duration <= info.time(t.frame)+slack {
				c.line(10, mp4.Practice, l.file, s.line, "the last segment lasts a single frame")
			}
		}
		sum += s.duration
	}
}

// next is when the segment after the i-th begins, if it goes on there.
func (l *checkedList) next(i int) *Tick {
	if i+1 >= len(l.infos) || l.parsedList.segments[i+1].breaks || !l.infos[i+1].looked {
		return nil
	}
	t, info := l.infos[i+1].main()
	if t == nil {
		return nil
	}
	v := info.time(t.start)
	return &v
}

// length is the sum of EXTINF.
func (l *checkedList) length() (sum Tick) {
	for i := range l.parsedList.segments {
		sum += l.parsedList.segments[i].duration
	}
	return sum
}

// frame is the longest usual frame of a playlist's segments.
func (l *checkedList) frame() (longest Tick) {
	for i := range l.infos {
		if t, info := l.infos[i].main(); t != nil {
			longest = max(longest, info.time(t.frame))
		}
	}
	return min(longest, Timescale)
}

// has reports whether a playlist has media of a kind.
func (l *checkedList) has(k mediaKind) bool {
	return slices.ContainsFunc(l.infos, func(s segInfo) bool {
		return s.looked && (k == kindVideo && s.video.has() || k == kindAudio && s.audio.has())
	})
}

// dates is point 11 within one playlist.
func (c *packageCheck) dates(l *checkedList) {
	var last time.Time
	var elapsed Tick
	dated := slices.ContainsFunc(l.parsedList.segments, func(s listed) bool { return s.dateLine > 0 })
	frame, gap := max(l.frame(), Timescale/100)+2*slack, false
	for i := range l.parsedList.segments {
		s := &l.parsedList.segments[i]
		if s.breaks && s.dateLine == 0 && dated && l.kind != listImages {
			c.line(11, mp4.Should, l.file, s.line, "there is no EXT-X-PROGRAM-DATE-TIME after EXT-X-DISCONTINUITY")
		}
		if s.dateLine > 0 {
			if !last.IsZero() && !s.breaks && !gap {
				expected := last.Add(elapsed.Duration())
				c.dateJump(l, s, expected, s.date.Sub(expected), frame.Duration())
			}
			last, elapsed = s.date, 0
		}
		elapsed, gap = elapsed+s.duration, s.gap
	}
}

// dateJump looks at a date that is not where the durations lead.
func (c *packageCheck) dateJump(l *checkedList, s *listed, expected time.Time, off, frame time.Duration) {
	switch {
	case off.Abs() <= frame:
	case off < -time.Second:
		c.line(11, mp4.Must, l.file, s.dateLine, "EXT-X-PROGRAM-DATE-TIME goes back %v: one date means two media times", -off)
	case slices.ContainsFunc(l.ranges, func(r dateRange) bool {
		return r.start.Sub(expected).Abs() <= time.Second && (r.span-off).Abs() <= time.Second
	}):
		// A hole that was closed, with its cause.
	default:
		c.line(11, mp4.Should, l.file, s.dateLine, "EXT-X-PROGRAM-DATE-TIME is off by %v, and neither a discontinuity nor a DATERANGE says why", off)
	}
}

// iframeTimes is point 38 within one playlist.
func (c *packageCheck) iframeTimes(l *checkedList) {
	if l.kind != listIFrames {
		return
	}
	frame := max(l.frame(), Timescale/24) + slack
	for i := 0; i+1 < len(l.infos); i++ {
		a, b := &l.infos[i], &l.infos[i+1]
		s := &l.parsedList.segments[i]
		if !a.video.has() || !b.video.has() || l.parsedList.segments[i+1].breaks || s.gap {
			continue
		}
		real := b.header.first(kindVideo).time(b.video.start) - a.header.first(kindVideo).time(a.video.start)
		// What lies before the first picture counts for it, so that all add up to the length.
		late := i == 0 && abs(b.header.first(kindVideo).time(b.video.start)-s.duration) <= frame
		if abs(real-s.duration) > frame && !late {
			c.line(38, mp4.Must, l.file, s.line, "EXTINF is %s, the next I-frame comes after %s", inSeconds(s.duration), inSeconds(real))
		}
	}
}

// tiling is point 8: the byte ranges of a file follow each other and fill it.
func (c *packageCheck) tiling(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(c.claimed)) {
		f := c.claimed[name]
		if !slices.ContainsFunc(f.parts, func(p claimedPart) bool { return !p.header }) {
			continue
		}
		slices.SortStableFunc(f.parts, func(a, b claimedPart) int {
			if a.from != b.from {
				return int(min(max(a.from-b.from, -1), 1))
			}
			return int(min(max(a.to-b.to, -1), 1))
		})
		end, before := int64(0), claimedPart{}
		var holes [][2]int64
		for i, p := range f.parts {
			if i > 0 && p.from == before.from && p.to == before.to {
				continue
			}
			if p.from < end {
				c.line(8, mp4.Must, f.list.file, p.line, "the byte range %d@%d overlaps the one of line %d", p.to-p.from, p.from, before.line)
			} else if p.from > end {
				holes = append(holes, [2]int64{end, p.from})
			}
			if p.to > end {
				end, before = p.to, p
			}
		}
		if end < f.size {
			holes = append(holes, [2]int64{end, f.size})
		}
		if err := c.holes(ctx, f, name, holes); err != nil {
			return err
		}
	}
	return nil
}

// holes looks at what no byte range has: an index is no loss, media are.
func (c *packageCheck) holes(ctx context.Context, f *claimedFile, name string, holes [][2]int64) error {
	if len(holes) == 0 {
		return nil
	}
	file, err := c.open(ctx, name)
	if err != nil {
		if stops(err) {
			return err
		}
		return nil // the segments' check has said so
	}
	defer func() { _ = file.Close() }() // only read
	for _, h := range holes {
		at := h[0]
		for at < h[1] {
			b, ok := readBox(file, at, h[1])
			if !ok || b.end > h[1] || !slices.Contains([]string{"sidx", "ssix", "styp", "free", "skip", "mfra", "emsg", "prft", "uuid", "ftyp", "moov"}, b.kind) {
				c.at(8, mp4.Must, name, h[0], "the %d bytes from here to %d are in no segment of %s", h[1]-h[0], h[1], strconv.Quote(f.list.file))
				break
			}
			at = b.end
		}
	}
	return nil
}
