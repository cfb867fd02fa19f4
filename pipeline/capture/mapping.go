package capture

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	leastMissing  = 300 * time.Millisecond // by which a file must be too short for time to be missing in it
	clockFarAway  = 2 * time.Second        // a wall clock without arrival times is off when it puts a file's first packet this far from started_at
	mappingTooFar = 10 * time.Second       // sender reports that put a track this far from where it was recorded are not believed
)

// group is the tracks that must stay in sync: one peer's of one stream.
type group []*TrackIndex

// groups sorts tracks by peer and stream; lists keep the manifest's order.
func groups(tracks []*TrackIndex) []group {
	at := map[[2]string]int{}
	var out []group
	for _, t := range tracks {
		key := [2]string{t.Track.PeerID, t.Track.StreamID}
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], t)
	}
	return out
}

// align gives every track of a group its mapping: the best kind that all of them can have.
func (g group) align() {
	var all []report
	for _, t := range g {
		all = append(all, t.reports...)
	}
	clock := senderClock(all)
	kind := MappedByReports
	for _, t := range g {
		if t.Units == 0 {
			continue
		}
		if k := t.bestKind(clock); k.trust() > kind.trust() {
			kind = k
		}
	}
	for _, t := range g {
		if t.Units > 0 {
			t.Mapping = t.mapping(kind, clock)
		}
	}
	if kind == MappedByReports && len(clock) == 0 {
		g.farClock()
	}
	for _, t := range g {
		if t.Units > 0 {
			t.mendEdges()
		}
	}
}

// farClock moves a group whose wall clock is far from the recorder's, where no report says when it was received:
// the files' started_at are all there is to tell by how much.
func (g group) farClock() {
	var offsets []time.Duration
	for _, t := range g {
		if t.Units > 0 && len(t.Files) > 0 {
			offsets = append(offsets, t.Files[0].started-t.Mapping.Session(t.Files[0].First))
		}
	}
	if len(offsets) == 0 {
		return
	}
	slices.Sort(offsets)
	off := offsets[len(offsets)/2]
	if off.Abs() < clockFarAway {
		return
	}
	for _, t := range g {
		for i := range t.Mapping.Pieces {
			t.Mapping.Pieces[i].At += off
		}
		t.Mapping.ClockOffset += off
	}
}

// bestKind is the most trusted kind that a track has what it needs for.
func (t *TrackIndex) bestKind(clock []clockRun) MappingKind {
	if len(t.reports) > 0 && !t.squeezed {
		points, _ := t.reportPoints(clock)
		if len(points) > 0 && t.plausible(points) {
			return MappedByReports
		}
	}
	if len(t.arrivals.windows) > 0 {
		return MappedByArrival
	}
	return MappedByFile
}

// plausible tells whether reports put the track near to where the recorder wrote it, once its wall clock is known.
func (t *TrackIndex) plausible(points []point) bool {
	known := false
	for _, r := range t.reports {
		known = known || r.known
	}
	if !known {
		return true // then farClock brings it there
	}
	runs, _ := reportRuns(points, t.Mapping.Rate)
	line, _, _ := fitLine(runs[0], t.Mapping.Rate, 0)
	return (line.session(t.Files[0].First, t.Mapping.Rate) - t.Files[0].started).Abs() < mappingTooFar+tickDuration(runs[0][0].Ticks-t.Files[0].First, t.Mapping.Rate)
}

func (t *TrackIndex) mapping(kind MappingKind, clock []clockRun) Mapping {
	m := Mapping{Kind: kind, Rate: t.Mapping.Rate}
	switch {
	case kind == MappedByReports:
		t.mapByReports(&m, clock)
	case kind == MappedByArrival && len(t.arrivals.windows) > 0:
		m.Pieces, m.Residual, m.Points = t.arrivals.pieces()
	default:
		m.Pieces = t.filePieces()
	}
	return m
}

// reportPoints are a track's reports on the recorder's clock, in order of media time.
func (t *TrackIndex) reportPoints(clock []clockRun) (points []point, rejected int) {
	for _, r := range t.reports {
		at, ok := correct(r, clock)
		if !ok {
			rejected++
			continue
		}
		points = append(points, point{Ticks: r.ticks, At: at})
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.Ticks, b.Ticks) })
	return points, rejected
}

func (t *TrackIndex) mapByReports(m *Mapping, clock []clockRun) {
	points, rejected := t.reportPoints(clock)
	runs, odd := reportRuns(points, m.Rate)
	m.Rejected, m.Points = rejected+odd, len(points)-odd
	if len(clock) > 0 {
		m.ClockOffset = clock[0].offset
	}
	drift := longestDrift(runs, m.Rate)
	var sum float64
	for i, run := range runs {
		line, res, _ := fitLine(run, m.Rate, drift)
		sum += float64(res) * float64(res) * float64(len(run))
		if i > 0 {
			prev := m.Pieces[i-1]
			from := t.boundary(prev, line, runs[i-1][len(runs[i-1])-1].Ticks, run[0].Ticks)
			line.At, line.From = line.session(from, m.Rate), from
		}
		m.Pieces = append(m.Pieces, line)
	}
	m.Residual = time.Duration(math.Sqrt(sum / float64(max(m.Points, 1))))
}

// longestDrift is the drift of the run that tells most about it: an oscillator has one, whatever stops between.
func longestDrift(runs [][]point, rate int) float64 {
	best, longest := 0.0, time.Duration(0)
	for _, run := range runs {
		if span := run[len(run)-1].At - run[0].At; span > longest {
			if line, _, ok := fitLine(run, rate, 0); ok {
				best, longest = line.PPM, span
			}
		}
	}
	return best
}

// boundary finds the tick between two runs of reports at which the media clock stopped or jumped: where the
// arrival times say, else where a mute began that lasted as long, else where a new file begins, else where any mute
// began, else in the middle of the largest hole, else in the middle.
func (t *TrackIndex) boundary(prev, next Piece, after, before int64) int64 {
	for _, c := range t.arrivals.cuts() {
		if c > after && c <= before {
			return c
		}
	}
	rate := t.Mapping.Rate
	inMute := func(mute Gap) (int64, bool) {
		at := prev.ticksAt(mute.From, rate)
		if back := next.ticksAt(mute.To, rate); (at-back)*2 < int64(rate) && (back-at)*2 < int64(rate) {
			at = (at + back) / 2
		}
		return min(max(at, after+1), before), at > after-int64(rate) && at <= before+int64(rate)
	}
	stood := next.session(before, rate) - prev.session(before, rate)
	for _, mute := range t.mutes { // as long as the clock stood still
		if at, ok := inMute(mute); ok && (mute.To-mute.From-stood).Abs() < leastMissing {
			return at
		}
	}
	for _, f := range t.Files {
		if f.Base > after && f.Base <= before {
			return f.Base // a new file, perhaps another sender's clock
		}
	}
	for _, mute := range t.mutes {
		if at, ok := inMute(mute); ok {
			return at
		}
	}
	hole, at := int64(0), after+(before-after)/2
	for _, g := range t.holes {
		if g.from >= after && g.to <= before && g.to-g.from > hole {
			hole, at = g.to-g.from, g.to
		}
	}
	return at
}

// filePieces lays every file from its started_at on. Where a file is too short for the wall time between its first
// and last packet, the time that is missing in it is put in where the track was muted.
func (t *TrackIndex) filePieces() []Piece {
	rate := t.Mapping.Rate
	var pieces []Piece
	for _, f := range t.Files {
		if f.Units == 0 {
			continue
		}
		p := Piece{From: f.First, At: f.started}
		pieces = append(pieces, p)
		missing := f.length - tickDuration(f.Last-f.First, rate)
		if f.length == 0 || missing < leastMissing {
			continue
		}
		for _, mute := range t.mutes {
			length := min(mute.To-mute.From, missing)
			from := p.ticksAt(mute.From, rate)
			if from <= f.First || from >= f.Last || length <= 0 || t.hasHole(from, durationTicks(length/2, rate)) {
				continue
			}
			p = Piece{From: from, At: p.session(from, rate) + length}
			pieces = append(pieces, p)
			missing -= length
		}
	}
	return pieces
}

// hasHole tells whether the media time itself has a hole at a tick.
func (t *TrackIndex) hasHole(at, length int64) bool {
	for _, h := range t.holes {
		if h.to-h.from >= length && h.from <= at+length && h.to >= at-length {
			return true
		}
	}
	return false
}
