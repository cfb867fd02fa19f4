package capture

import (
	"math"
	"sort"
	"time"
)

// MappingKind says what a track's media time was laid on the session clock by, in the order of capture.md's trust.
type MappingKind string

// The kinds of mapping. Tracks that must stay in sync with each other have the same.
const (
	MappedByReports MappingKind = "sender-reports" // RTP time to wall time by the track's RTCP sender reports
	MappedByFile    MappingKind = "file"           // the file's own timestamps from its started_at on
	MappedByArrival MappingKind = "arrival"        // RTP time against the arrival times inside the dump
)

// trust orders kinds; a lower number is better.
func (k MappingKind) trust() int {
	switch k {
	case MappedByReports:
		return 0
	case MappedByFile:
		return 1
	}
	return 2
}

// Piece is a stretch of a track on which media time and session time run together.
type Piece struct {
	// From is the first tick of the track that the piece holds for; the first piece holds for all before it too.
	From int64
	// At is the session time of From.
	At time.Duration
	// PPM is how much faster session time runs than media time, in millionths: a sender whose clock runs slow has a
	// positive one.
	PPM float64
}

// Mapping lays a track's media time on the session clock, piece by piece. It is a value and safe for concurrent use.
type Mapping struct {
	Kind   MappingKind
	Rate   int     // ticks per second
	Pieces []Piece // in order of From; at least one
	// Residual is the root mean square by which the points that the mapping was made of miss it.
	Residual time.Duration
	// Points is how many sender reports or arrival windows it was made of.
	Points int
	// Rejected is how many of them contradicted all others and were left out.
	Rejected int
	// ClockOffset is what was added to the sender's wall clock to get the recorder's.
	ClockOffset time.Duration
}

// Session gives the session time of a tick of the track.
func (m *Mapping) Session(ticks int64) time.Duration { return m.piece(ticks).session(ticks, m.Rate) }

func (m *Mapping) piece(ticks int64) Piece {
	i := sort.Search(len(m.Pieces), func(i int) bool { return m.Pieces[i].From > ticks })
	return m.Pieces[max(i-1, 0)]
}

func (p Piece) session(ticks int64, rate int) time.Duration {
	d := tickDuration(ticks-p.From, rate)
	return p.At + d + time.Duration(math.Round(float64(d)*p.PPM/1e6))
}

// ticksAt is the inverse of session on one piece, to the nearest tick.
func (p Piece) ticksAt(at time.Duration, rate int) int64 {
	d := float64(at-p.At) / (1 + p.PPM/1e6)
	return p.From + int64(math.Round(d*float64(rate)/float64(time.Second)))
}

// Drift is how much faster session time runs than media time over the whole track, in millionths: that of its
// longest piece.
func (m *Mapping) Drift(end int64) float64 {
	best, longest := 0.0, int64(-1)
	for i, p := range m.Pieces {
		until := end
		if i+1 < len(m.Pieces) {
			until = m.Pieces[i+1].From
		}
		if until-p.From > longest {
			best, longest = p.PPM, until-p.From
		}
	}
	return best
}

// tickDuration converts ticks of a rate into a duration, to the nearest nanosecond.
func tickDuration(ticks int64, rate int) time.Duration {
	r := int64(rate)
	sec, rest := ticks/r, ticks%r
	const limit = int64(math.MaxInt64/int64(time.Second)) / 2
	sec = min(max(sec, -limit), limit)
	half := r / 2
	if rest < 0 {
		half = -half
	}
	return time.Duration(sec)*time.Second + time.Duration((rest*int64(time.Second)+half)/r)
}

// durationTicks converts a duration into ticks of a rate, to the nearest.
func durationTicks(d time.Duration, rate int) int64 {
	sec, rest := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second) / 2
	if rest < 0 {
		half = -half
	}
	return sec*int64(rate) + (rest*int64(rate)+half)/int64(time.Second)
}

// point says that the session clock stood at At when the media clock stood at Ticks.
type point struct {
	Ticks int64
	At    time.Duration
}

const (
	leastDriftSpan   = time.Minute // points nearer together than this say nothing about drift
	leastDriftPoints = 4
	mostDrift        = 1000.0 // ppm; no oscillator is that bad, a fit that says so is wrong
)

// fitLine lays a straight line through points, those far off left out, and says how well it fits. With too few
// points for a drift the line has the drift given.
func fitLine(points []point, rate int, ppm float64) (line Piece, residual time.Duration, fitted bool) {
	line = Piece{From: points[0].Ticks, PPM: ppm}
	span := points[len(points)-1].At - points[0].At
	kept := points
	if len(points) >= leastDriftPoints && span >= leastDriftSpan {
		for range 3 {
			slope := leastSquares(kept, line.From, rate)
			if math.Abs(slope) > mostDrift {
				break
			}
			line.PPM, fitted = slope, true
			line.At = medianAt(kept, line, rate)
			next := within(kept, line, rate)
			if len(next) == len(kept) || len(next) < leastDriftPoints {
				break
			}
			kept = next
		}
	}
	line.At = medianAt(kept, line, rate)
	sum := 0.0
	for _, p := range kept {
		miss := float64(p.At - line.session(p.Ticks, rate))
		sum += miss * miss
	}
	return line, time.Duration(math.Sqrt(sum / float64(len(kept)))), fitted
}

// leastSquares gives the slope of session time over media time less one, in millionths.
func leastSquares(points []point, from int64, rate int) float64 {
	n, sx, sy := float64(len(points)), 0.0, 0.0
	xs, ys := make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		media := tickDuration(p.Ticks-from, rate)
		xs[i], ys[i] = media.Seconds(), (p.At - media).Seconds() // the difference keeps the precision
		sx, sy = sx+xs[i], sy+ys[i]
	}
	mx, my := sx/n, sy/n
	num, den := 0.0, 0.0
	for i := range xs {
		num += (xs[i] - mx) * (ys[i] - my)
		den += (xs[i] - mx) * (xs[i] - mx)
	}
	if den == 0 {
		return 0
	}
	return num / den * 1e6
}

// medianAt is the At of a line by which as many points are early as late.
func medianAt(points []point, line Piece, rate int) time.Duration {
	misses := make([]time.Duration, len(points))
	zero := Piece{From: line.From, PPM: line.PPM}
	for i, p := range points {
		misses[i] = p.At - zero.session(p.Ticks, rate)
	}
	sort.Slice(misses, func(i, j int) bool { return misses[i] < misses[j] })
	n := len(misses)
	return misses[(n-1)/2] + (misses[n/2]-misses[(n-1)/2])/2
}

// within keeps the points whose miss is not far beyond the usual one.
func within(points []point, line Piece, rate int) []point {
	misses := make([]time.Duration, len(points))
	for i, p := range points {
		misses[i] = (p.At - line.session(p.Ticks, rate)).Abs()
	}
	sorted := append([]time.Duration(nil), misses...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	limit := max(4*sorted[len(sorted)/2], 2*time.Millisecond)
	var kept []point
	for i, p := range points {
		if misses[i] <= limit {
			kept = append(kept, p)
		}
	}
	return kept
}
