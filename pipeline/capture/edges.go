package capture

import "time"

const (
	leastStop   = 300 * time.Millisecond // by which the ends of a track must be off for its clock to have stood still there
	longestStop = 5 * time.Minute
)

// mendEdges looks for stops of the media clock that no two sender reports enclose: before the first of them or after
// the last. A unit that the reports place later than it came was not sent that late; the clock stood still between.
// Where, the arrival times tell, or a mute.
func (t *TrackIndex) mendEdges() {
	if t.Mapping.Kind != MappedByReports || len(t.Files) == 0 || len(t.reports) == 0 {
		return
	}
	first, last := t.Files[0], t.Files[len(t.Files)-1]
	if late := t.Mapping.Session(first.First) - first.started; late > leastStop && late < longestStop {
		t.stopBefore(late)
	}
	if last.length == 0 {
		return
	}
	if early := last.started + last.length - t.Mapping.Session(last.Last); early > leastStop && early < longestStop {
		t.stopAfter(early)
	}
}

// stopBefore takes the stop out of the time before the first report.
func (t *TrackIndex) stopBefore(stop time.Duration) {
	m := &t.Mapping
	line, begin := m.Pieces[0], t.Files[0].First
	cut, measured, ok := t.cutBetween(begin, line.From) // the line begins at the first report that is believed
	if !ok {
		cut, ok = t.muteBetween(line, stop, begin, line.From, false)
		measured = stop
	}
	if !ok {
		return
	}
	before := Piece{From: begin, At: line.session(begin, m.Rate) - measured, PPM: line.PPM}
	after := Piece{From: cut, At: line.session(cut, m.Rate), PPM: line.PPM}
	m.Pieces = append([]Piece{before, after}, m.Pieces[1:]...)
}

// stopAfter puts the stop into the time after the last report.
func (t *TrackIndex) stopAfter(stop time.Duration) {
	m := &t.Mapping
	line, end := m.Pieces[len(m.Pieces)-1], t.Files[len(t.Files)-1].Last
	cut, measured, ok := t.cutBetween(t.lastReport(), end)
	if !ok {
		cut, ok = t.muteBetween(line, stop, t.lastReport(), end, true)
		measured = stop
	}
	if ok {
		m.Pieces = append(m.Pieces, Piece{From: cut, At: line.session(cut, m.Rate) + measured, PPM: line.PPM})
	}
}

// lastReport is the tick of the last report.
func (t *TrackIndex) lastReport() int64 {
	last := t.reports[0].ticks
	for _, r := range t.reports {
		last = max(last, r.ticks)
	}
	return last
}

// cutBetween finds where the arrival times say that the clock stood still, and for how long.
func (t *TrackIndex) cutBetween(from, to int64) (cut int64, stop time.Duration, ok bool) {
	pieces, _, _ := t.arrivals.pieces()
	for i := 1; i < len(pieces); i++ {
		at := pieces[i].From
		if at <= from || at > to {
			continue
		}
		if step := pieces[i].At - pieces[i-1].session(at, t.Mapping.Rate); step > leastStop {
			return at, step, true
		}
	}
	return 0, 0, false
}

// muteBetween finds a mute of about the length of a stop, and the tick at which it began. line holds on the far side
// of the mute from an edge report: after it for the beginning of a track, before it for the end.
func (t *TrackIndex) muteBetween(line Piece, stop time.Duration, from, to int64, after bool) (int64, bool) {
	for _, mute := range t.mutes {
		at := mute.To
		if after {
			at = mute.From
		}
		tick := line.ticksAt(at, t.Mapping.Rate)
		if length := mute.To - mute.From; tick > from && tick <= to && (length-stop).Abs() < 500*time.Millisecond && !t.hasHole(tick, durationTicks(length/2, t.Mapping.Rate)) {
			return tick, true
		}
	}
	return 0, false
}
