package capture

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// Timeline is the session clock: an offset of zero is Start. It maps offsets to
// the time in an output from which the pauses are cut out, and back. Make one
// with NewTimeline; it is a value and is never changed.
type Timeline struct {
	// Start is zero of the session clock, in UTC.
	Start time.Time
	// Stop is the end of the session; zero when the recorder wrote none.
	Stop time.Time
	// Paused are the pauses as offsets from Start: sorted, not overlapping or
	// touching, not empty, inside the session.
	Paused []Pause
}

// Pause is a stretch of the session that is cut out of outputs.
type Pause struct {
	// From is the first offset that is cut out.
	From time.Duration
	// To is the first offset after it that is kept.
	To time.Duration
	// before is the length of all earlier pauses.
	before time.Duration
}

// NewTimeline returns the session clock from start to stop (zero: unknown)
// without the pauses. Pauses may come in any order and overlap; what reaches
// beyond the session is clipped, and clipped reports whether anything was. Pauses
// that do not end after they begin are left out.
func NewTimeline(start, stop time.Time, pauses []Interval) (t Timeline, clipped bool) {
	t = Timeline{Start: start.UTC(), Stop: stop.UTC()}
	if stop.IsZero() {
		t.Stop = time.Time{}
	}
	spans := make([]Pause, 0, len(pauses))
	for _, in := range pauses {
		p := Pause{From: in.From.Sub(start), To: in.To.Sub(start)}
		if p.From >= p.To {
			continue
		}
		inside := Pause{From: max(p.From, 0), To: p.To}
		if length, known := t.Length(); known {
			inside.To = min(inside.To, length)
		}
		clipped = clipped || inside != p
		if inside.From < inside.To {
			spans = append(spans, inside)
		}
	}
	t.Paused = merge(spans)
	return t, clipped
}

// merge sorts the pauses, joins those that overlap or touch, and fills in what
// lies before each.
func merge(spans []Pause) []Pause {
	slices.SortFunc(spans, func(a, b Pause) int { return cmp.Compare(a.From, b.From) })
	merged := spans[:0]
	for _, p := range spans {
		if n := len(merged); n > 0 && p.From <= merged[n-1].To {
			merged[n-1].To = max(merged[n-1].To, p.To)
			continue
		}
		merged = append(merged, p)
	}
	var before time.Duration
	for i := range merged {
		merged[i].before = before
		before += merged[i].To - merged[i].From
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}

// Length returns the session's length with its pauses, and whether it is known.
func (t Timeline) Length() (time.Duration, bool) {
	if t.Stop.IsZero() {
		return 0, false
	}
	return t.Stop.Sub(t.Start), true
}

// Duration returns the length of an output of the whole session, pauses cut out,
// and whether it is known.
func (t Timeline) Duration() (time.Duration, bool) {
	length, known := t.Length()
	if !known {
		return 0, false
	}
	return length - t.PausedTotal(), true
}

// PausedTotal returns the length of all pauses together.
func (t Timeline) PausedTotal() time.Duration {
	if len(t.Paused) == 0 {
		return 0
	}
	last := t.Paused[len(t.Paused)-1]
	return last.before + last.To - last.From
}

// Offset returns the place of a wall-clock time on the session clock; it is
// negative before Start.
func (t Timeline) Offset(wall time.Time) time.Duration { return wall.Sub(t.Start) }

// Wall returns the wall-clock time of an offset.
func (t Timeline) Wall(offset time.Duration) time.Time { return t.Start.Add(offset) }

// Output returns the output time of a session offset, and whether the offset lies
// in a pause and is cut out; then the output time is that of the cut. It never
// decreases, and goes on straight before the start and after the stop.
func (t Timeline) Output(offset time.Duration) (out time.Duration, paused bool) {
	i := sort.Search(len(t.Paused), func(i int) bool { return t.Paused[i].From > offset })
	if i == 0 {
		return offset, false
	}
	p := t.Paused[i-1]
	if offset < p.To {
		return p.From - p.before, true
	}
	return offset - p.before - (p.To - p.From), false
}

// Session returns the session offset of an output time: the inverse of Output. At
// a cut it is the moment after the pause.
func (t Timeline) Session(out time.Duration) time.Duration {
	i := sort.Search(len(t.Paused), func(i int) bool { return t.Paused[i].From-t.Paused[i].before > out })
	if i == 0 {
		return out
	}
	p := t.Paused[i-1]
	return out + p.before + (p.To - p.From)
}
