package capture

import (
	"math"
	"time"
)

const (
	arrivalWindow   = 250 * time.Millisecond
	baselineWindows = 40                     // windows that tell the usual delay: 10 s
	lookAhead       = 5 * time.Second        // a late stretch that ends sooner was the network
	stopStep        = 150 * time.Millisecond // arrival ahead of media time by more: the sender's clock may have stopped
	jumpStep        = 500 * time.Millisecond // media time ahead of arrival by more: it may have jumped
)

// arrivalLog keeps, in a few bytes for each quarter of a second, how arrival times and media time of a track ran
// beside each other.
type arrivalLog struct {
	rate    int
	windows []window
	last    time.Duration // difference of the unit before
	any     bool
	fresh   bool // the next unit is the first of a file whose ticks do not go on from the one before
}

// window is what a quarter of a second has: the packet that was delayed least, and the largest change of delay
// between two units.
type window struct {
	arrival   time.Duration // of the first unit
	ticks     int64         // of the unit that was delayed least
	least     time.Duration // its arrival less its media time
	step      time.Duration
	stepTicks int64 // of the unit after the step
	first     bool  // of a file with ticks of its own
	begin     int64 // tick of the first unit
}

// restart says that the next unit is of a file whose ticks begin anew.
func (l *arrivalLog) restart() { l.fresh, l.any = len(l.windows) > 0, false }

// add takes a unit: its tick on the track's axis and its arrival in the session.
func (l *arrivalLog) add(ticks int64, arrival time.Duration) {
	diff := arrival - tickDuration(ticks, l.rate)
	n := len(l.windows)
	if n == 0 || l.fresh || arrival-l.windows[n-1].arrival >= arrivalWindow || arrival < l.windows[n-1].arrival-arrivalWindow {
		l.windows = append(l.windows, window{arrival: arrival, ticks: ticks, least: diff, stepTicks: ticks, first: l.fresh, begin: ticks})
		l.fresh = false
		n++
	}
	w := &l.windows[n-1]
	if diff < w.least {
		w.least, w.ticks = diff, ticks
	}
	if l.any && (diff-l.last).Abs() > w.step.Abs() {
		w.step, w.stepTicks = diff-l.last, ticks
	}
	l.last, l.any = diff, true
}

// cuts finds the ticks at which the media clock stopped or jumped: arrival and media time part and never meet again.
func (l *arrivalLog) cuts() []int64 {
	var cuts []int64
	begin := 0
	for i := 1; i < len(l.windows); i++ {
		if l.windows[i].first {
			cuts, begin = append(cuts, l.windows[i].begin), i
			continue
		}
		base := l.baseline(begin, i)
		off := l.windows[i].least - base
		if off <= stopStep && off >= -jumpStep || !l.lasts(i, base, off > 0) {
			continue
		}
		at := l.stepNear(i, begin, off)
		if off < 0 && l.windows[at].step > off/2 {
			continue // many small steps: a jam that dissolves, not a jump
		}
		cuts = append(cuts, l.windows[at].stepTicks)
		begin = i
	}
	return cuts
}

// baseline is the least delay of the windows before one.
func (l *arrivalLog) baseline(begin, i int) time.Duration {
	base := time.Duration(math.MaxInt64)
	for k := max(begin, i-baselineWindows); k < i; k++ {
		base = min(base, l.windows[k].least)
	}
	return base
}

// lasts tells whether a difference stays for a while, or to the end of the file if that is near.
func (l *arrivalLog) lasts(i int, base time.Duration, late bool) bool {
	seen := 0
	for k := i; k < len(l.windows) && l.windows[k].arrival-l.windows[i].arrival < lookAhead; k++ {
		if k > i && l.windows[k].first {
			break
		}
		off := l.windows[k].least - base
		if late && off < stopStep*2/3 || !late && off > -jumpStep*2/3 {
			return false
		}
		seen++
	}
	return seen >= 2
}

// stepNear finds the window with the step that made the difference: the one itself or the one before.
func (l *arrivalLog) stepNear(i, begin int, off time.Duration) int {
	at := i
	for k := max(begin, i-1); k <= min(i+1, len(l.windows)-1); k++ {
		if s := l.windows[k].step; (s > 0) == (off > 0) && s.Abs() > l.windows[at].step.Abs() {
			at = k
		}
	}
	return at
}

// pieces lays media time along the least delayed packets, piece by piece.
func (l *arrivalLog) pieces() (pieces []Piece, residual time.Duration, used int) {
	cuts := append(l.cuts(), math.MaxInt64)
	from := int64(math.MinInt64)
	drift := 0.0
	var sum float64
	for _, until := range cuts {
		points := l.envelope(from, until)
		if len(points) == 0 {
			from = until
			continue
		}
		line, res, fitted := fitLine(points, l.rate, drift)
		if fitted {
			drift = line.PPM
		}
		line.At += lowest(points, line, l.rate)
		if from != math.MinInt64 {
			line.At, line.From = line.session(from, l.rate), from
		}
		pieces = append(pieces, line)
		sum += float64(res) * float64(res) * float64(len(points))
		used += len(points)
		from = until
	}
	if used > 0 {
		residual = time.Duration(math.Sqrt(sum / float64(used)))
	}
	return pieces, residual, used
}

// envelope gives the least delayed packet of every few seconds between two ticks.
func (l *arrivalLog) envelope(from, until int64) []point {
	const group = 5 * time.Second
	var points []point
	var begin, best time.Duration
	for _, w := range l.windows {
		if w.ticks < from || w.ticks >= until {
			continue
		}
		p := point{Ticks: w.ticks, At: w.least + tickDuration(w.ticks, l.rate)}
		if n := len(points); n == 0 || w.arrival-begin >= group {
			points, begin, best = append(points, p), w.arrival, w.least
		} else if w.least < best {
			points[n-1], best = p, w.least
		}
	}
	return points
}

// lowest is how far below a line the least delayed points lie: the line through their middle is brought down to
// them, less what a single lucky one may be off.
func lowest(points []point, line Piece, rate int) time.Duration {
	least, second := time.Duration(0), time.Duration(0)
	for _, p := range points {
		miss := p.At - line.session(p.Ticks, rate)
		if miss < least {
			least, second = miss, least
		} else if miss < second {
			second = miss
		}
	}
	if len(points) < 4 {
		return least
	}
	return second
}
