package capture

import (
	"sort"
	"time"
)

const (
	reportTolerance = 60 * time.Millisecond  // by which honest sender reports of one stretch differ
	driftAllowance  = 500.0                  // ppm, between two reports
	clockStep       = 250 * time.Millisecond // by which a sender's wall clock must change for it to count as set
	clockTrust      = 200 * time.Millisecond // a sender's wall clock that is off by less is taken at its word
)

// report is a sender report on the track's axis of ticks and the recorder's session clock.
type report struct {
	ticks    int64
	ntp      time.Duration // sender's wall clock, from the session's start
	received time.Duration // recorder's, 0 with known false
	known    bool
}

// clockRun is a stretch of reports over which a sender's wall clock was off by the same.
type clockRun struct {
	from   time.Duration // ntp of its first report
	offset time.Duration // to add to ntp
	count  int
}

// senderClock finds by how much a sender's wall clock is off from the recorder's: a report takes some
// milliseconds to arrive, so the least difference is the clocks'. A clock that is set during the session gives
// several runs; a report alone with its difference is wrong and gets none.
func senderClock(reports []report) []clockRun {
	var timed []report
	for _, r := range reports {
		if r.known {
			timed = append(timed, r)
		}
	}
	sort.SliceStable(timed, func(i, j int) bool { return timed[i].received < timed[j].received })
	var runs []clockRun
	for _, r := range timed {
		diff := r.received - r.ntp
		if n := len(runs); n > 0 && (diff-runs[n-1].offset).Abs() < clockStep {
			runs[n-1].offset = min(runs[n-1].offset, diff)
			runs[n-1].count++
			continue
		}
		runs = append(runs, clockRun{from: r.ntp, offset: diff, count: 1})
	}
	runs = mergeRuns(runs)
	off := false
	for _, r := range runs {
		off = off || r.offset.Abs() > clockTrust
	}
	if !off {
		return nil
	}
	return runs
}

// mergeRuns drops runs of a single report between others and joins what then is the same.
func mergeRuns(runs []clockRun) []clockRun {
	var out []clockRun
	for i, r := range runs {
		if r.count == 1 && len(runs) > 1 && (i > 0 || runs[1].count > 1) {
			continue
		}
		if n := len(out); n > 0 && (out[n-1].offset-r.offset).Abs() < clockStep {
			out[n-1].offset, out[n-1].count = min(out[n-1].offset, r.offset), out[n-1].count+r.count
			continue
		}
		out = append(out, r)
	}
	return out
}

// correct gives a report's place on the recorder's clock; false for one that fits no run.
func correct(r report, runs []clockRun) (time.Duration, bool) {
	if len(runs) == 0 {
		return r.ntp, !r.known || (r.received-r.ntp).Abs() < clockStep+clockTrust
	}
	if !r.known {
		return r.ntp + runs[0].offset, true
	}
	for _, run := range runs {
		if d := r.received - r.ntp - run.offset; d > -clockStep && d < clockStep {
			return r.ntp + run.offset, true
		}
	}
	return 0, false
}

// reportRuns splits points where media time and session time part: between two runs the media clock stopped or
// jumped. Points that agree with nobody are rejected.
func reportRuns(points []point, rate int) (runs [][]point, rejected int) {
	for _, p := range points {
		n := len(runs)
		switch {
		case n > 0 && agrees(runs[n-1], p, rate):
			runs[n-1] = append(runs[n-1], p)
		case n > 1 && len(runs[n-1]) == 1 && agrees(runs[n-2], p, rate):
			runs[n-2] = append(runs[n-2], p) // the one between them was wrong
			runs = runs[:n-1]
			rejected++
		default:
			runs = append(runs, []point{p})
		}
	}
	// Of the first two reports that contradict each other nobody can tell the wrong one but by what follows.
	if len(runs) > 1 && len(runs[0]) == 1 && len(runs[1]) > 2 && tickDuration(runs[1][0].Ticks-runs[0][0].Ticks, rate) < 3*time.Second {
		runs, rejected = runs[1:], rejected+1
	}
	return runs, rejected
}

// agrees tells whether a point lies on the line of a run, as far as clocks may drift apart since its last points.
func agrees(run []point, p point, rate int) bool {
	last := run[max(0, len(run)-5):]
	diffs := make([]time.Duration, len(last))
	for i, q := range last {
		diffs[i] = q.At - tickDuration(q.Ticks, rate)
	}
	sort.Slice(diffs, func(i, j int) bool { return diffs[i] < diffs[j] })
	since := tickDuration(p.Ticks-last[len(last)-1].Ticks, rate).Abs()
	tolerance := reportTolerance + time.Duration(float64(since)*driftAllowance/1e6)
	return (p.At - tickDuration(p.Ticks, rate) - diffs[len(diffs)/2]).Abs() <= tolerance
}
