package mp4

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// maxSpans bounds the memory for chunks; twelve hours need 200 thousand.
const maxSpans = 1 << 20

// chunkSpan is a chunk's place and time.
type chunkSpan struct {
	off, end int64
	from, to time.Duration // decoding times on the movie's line
	track    uint32
	samples  uint32
	last     bool
}

// presentation is what a walk over the samples tells about the edit list.
type presentation struct {
	minPTS, end int64 // on the movie's line
	minDTS      int64
	ok          bool
}

// samples walks a track once: offsets (42), sync samples (43), chunk times.
func (c *checker) samples(t *MovieTrack) ([]chunkSpan, presentation) {
	var spans []chunkSpan
	info := presentation{minPTS: math.MaxInt64, end: math.MinInt64}
	syncs := syncChecker{c: c, t: t, budget: c.size}
	index, last := 0, -1
	outside := 0
	err := t.walk(func(s MovieSample) bool {
		index++
		if index == 1 {
			info.minDTS = s.DTS
		}
		info.minPTS = min(info.minPTS, s.PTS)
		info.end = max(info.end, s.PTS+int64(s.Duration))
		if !c.insideMdat(s.Offset, int64(s.Size)) {
			if outside++; outside <= 2 {
				c.add(42, Must, "track %d: sample %d (%d bytes at %d) is not inside mdat", t.ID, index, s.Size, s.Offset)
			}
		}
		syncs.check(index, &s)
		from, to := ticksToDuration(s.DTS, t.Timescale), ticksToDuration(s.DTS+int64(s.Duration), t.Timescale)
		if s.Chunk != last {
			if len(spans) == maxSpans {
				return false
			}
			spans = append(spans, chunkSpan{off: s.Offset, end: s.Offset, from: from, track: t.ID})
			last = s.Chunk
		}
		span := &spans[len(spans)-1]
		span.end += int64(s.Size)
		span.to = to
		span.samples++
		return true
	})
	if err != nil {
		c.add(42, Must, "track %d: %v", t.ID, err)
	}
	if len(spans) == maxSpans {
		c.add(46, Practice, "track %d has more than %d chunks", t.ID, maxSpans)
	}
	if len(spans) > 0 {
		spans[len(spans)-1].last = true
	}
	info.ok = err == nil && index > 0
	return spans, info
}

func (c *checker) insideMdat(off, size int64) bool {
	for _, b := range c.m.top {
		if b.kind == "mdat" && off >= b.body && off+size <= b.end {
			return true
		}
	}
	return size == 0
}

// edits holds checks 44 and 45.
func (c *checker) edits(t *MovieTrack, info *presentation) {
	var normal, empty int
	for i, e := range t.Edits {
		switch {
		case e.MediaTime == -1:
			if empty++; i > 0 {
				c.add(45, Practice, "track %d: an empty edit is not at the start", t.ID)
			}
		case e.MediaTime < -1:
			c.add(44, Practice, "track %d: media time %d is negative", t.ID, e.MediaTime)
		default:
			normal++
		}
		if e.Rate != 1<<16 {
			c.add(44, Practice, "track %d: edit %d has rate %d/65536", t.ID, i+1, e.Rate)
		}
	}
	if !info.ok {
		return
	}
	if normal > 1 {
		c.add(44, Practice, "track %d: %d edits show media", t.ID, normal)
		return
	}
	if len(t.Edits) > 0 && normal == 0 {
		c.add(44, Practice, "track %d: no edit shows media", t.ID)
		return
	}
	start := t.PresentationStart()
	// One movie tick of rounding on the track's own scale.
	tick := rescale(1, c.m.Timescale, t.Timescale) + 1
	if late := info.minPTS - start; late > tick {
		c.add(44, Practice, "track %d: the edit begins %d ticks before the first sample is shown; media time should be the first composition time", t.ID, late)
	}
	for _, e := range t.Edits {
		if e.MediaTime < 0 {
			continue
		}
		end := start + rescale(e.Duration, c.m.Timescale, t.Timescale)
		if over := end - info.end; over > tick {
			c.add(44, Practice, "track %d: the edit lasts %d ticks longer than the media", t.ID, over)
		}
		if start >= info.end {
			c.add(44, Practice, "track %d: the edit begins after the media's end", t.ID)
		}
	}
}

// overlap is the part of check 42 that compares the chunks' places. Written
// chunks of a shared sample would be legal, but nobody writes them on purpose.
func (c *checker) overlap(spans []chunkSpan) {
	slices.SortFunc(spans, func(a, b chunkSpan) int { return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.end, b.end)) })
	var end int64
	var owner uint32
	for _, s := range spans {
		if s.off < end && s.end > s.off {
			c.add(42, Must, "a chunk of track %d at %d overlaps one of track %d", s.track, s.off, owner)
		}
		if s.end > end {
			end, owner = s.end, s.track
		}
	}
}

// maxGap is how far a track may run ahead of the others in the file.
const maxGap = time.Second

// interleave is check 46. The chunks are in file order.
func (c *checker) interleave(spans []chunkSpan) {
	progress := map[uint32]time.Duration{}
	for _, s := range spans {
		if p, ok := progress[s.track]; !ok || s.from < p {
			progress[s.track] = s.from
		}
	}
	var worst time.Duration
	var at chunkSpan
	for _, s := range spans {
		if d := s.to - s.from; s.samples > 1 && d > maxGap+100*time.Millisecond {
			c.add(46, Practice, "track %d: a chunk lasts %v", s.track, d)
		}
		for other, p := range progress {
			if gap := s.from - p; other != s.track && gap > worst {
				worst, at = gap, s
			}
		}
		progress[s.track] = s.to
		if s.last {
			delete(progress, s.track)
		}
	}
	if worst > maxGap {
		c.add(46, Practice, "track %d is %v ahead of another track at byte %d", at.track, worst, at.off)
	}
}
