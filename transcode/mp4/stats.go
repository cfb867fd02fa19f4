package mp4

import "math"

// trackStats is what a pass over a track's samples tells before its tables
// are written: their sizes, and the terms of the edit list.
type trackStats struct {
	samples      int
	sttsRuns     uint32
	cttsRuns     uint32
	nonSync      int
	stscRuns     uint32
	chunks       uint32
	lastChunkOff int64
	uniform      bool // all samples have the same size
	size0        uint32
	bytes        int64
	maxSample    uint32
	maxSecond    int64 // most bytes within one second of decoding time
	mediaTicks   int64 // Σ stts
	minCTS       int64
	maxCTS       int64
	minPTS       int64
	end          int64 // presentation end, ticks of the movie's line
	dts0         int64
	shift        int64 // added to every composition offset, see edit
}

// gather walks the samples once. The track must not be empty.
func (t *trackWriter) gather() trackStats {
	s := trackStats{samples: t.log.len(), uniform: true, minPTS: math.MaxInt64, minCTS: math.MaxInt64, maxCTS: math.MinInt64}
	lastDuration := t.nextDuration()
	var prev entry
	var delta, maxPTS, second, secondEnd int64 = 0, math.MinInt64, 0, 0
	i := 0
	closeSample := func(d int64) {
		if d != delta || s.sttsRuns == 0 {
			s.sttsRuns++
			delta = d
		}
		s.mediaTicks += d
		if pts := prev.dts + int64(prev.cts); pts > maxPTS {
			maxPTS = pts
			s.end = pts + d
		}
	}
	for e := range t.log.all() {
		if i == 0 {
			s.dts0, s.size0, secondEnd = e.dts, e.size, e.dts+int64(t.spec.Timescale)
		} else {
			closeSample(e.dts - prev.dts)
		}
		if i == 0 || e.cts != prev.cts {
			s.cttsRuns++
		}
		if !e.sync {
			s.nonSync++
		}
		s.uniform = s.uniform && e.size == s.size0
		s.bytes += int64(e.size)
		s.maxSample = max(s.maxSample, e.size)
		if e.dts >= secondEnd {
			second, secondEnd = 0, e.dts+int64(t.spec.Timescale)
		}
		second += int64(e.size)
		s.maxSecond = max(s.maxSecond, second)
		s.minCTS, s.maxCTS = min(s.minCTS, int64(e.cts)), max(s.maxCTS, int64(e.cts))
		s.minPTS = min(s.minPTS, e.dts+int64(e.cts))
		prev = e
		i++
	}
	closeSample(lastDuration)
	s.shift = max(0, s.dts0-s.minPTS)
	t.countChunks(&s)
	return s
}

// countChunks adds what the chunk tables need.
func (t *trackWriter) countChunks(s *trackStats) {
	s.chunks = uint32(len(t.chunks))
	var n uint32
	for _, c := range t.chunks {
		if c.n != n {
			s.stscRuns++
			n = c.n
		}
	}
	if len(t.chunks) > 0 {
		s.lastChunkOff = t.chunks[len(t.chunks)-1].off
	}
}

// edit is the presentation of a track: first nothing for Empty movie ticks,
// then the media from MediaTime (track ticks) on for Duration movie ticks.
type edit struct {
	empty, duration int64
	mediaTime       int64
	startTicks      int64 // track ticks on the movie's line
	endTicks        int64
}

// edit derives the edit list. The file's media line begins at the first
// sample's decoding time, so the moment zero of the movie is media time
// -dts0. Where a composition would lie before the media line (PTS smaller than
// the first DTS), shift moves all compositions up by the same amount.
func (t *trackWriter) edit(s *trackStats) edit {
	e := edit{startTicks: max(s.minPTS, 0), endTicks: s.end}
	if t.limited {
		e.endTicks = min(e.endTicks, t.limit)
	}
	if e.endTicks <= e.startTicks {
		return e
	}
	e.mediaTime = e.startTicks - s.dts0 + s.shift
	e.empty = rescale(e.startTicks, t.spec.Timescale, MovieTimescale)
	e.duration = max(1, rescale(e.endTicks-e.startTicks, t.spec.Timescale, MovieTimescale))
	return e
}

// needed reports whether the presentation differs from the plain media.
func (e *edit) needed(s *trackStats) bool {
	return e.empty > 0 || e.mediaTime != 0 || e.endTicks-e.startTicks != s.mediaTicks
}

// hasCTS reports whether a ctts box is needed.
func (s *trackStats) hasCTS() bool { return s.minCTS+s.shift != 0 || s.maxCTS+s.shift != 0 }
