package transcode

import (
	"fmt"
	"math/bits"
	"sort"
	"time"

	"rushes/transcode/internal/av"
)

// Interval is a stretch of the session, from its beginning; To is not part of it.
type Interval struct{ From, To time.Duration }

const (
	backwardJump = 500 * time.Millisecond // timestamps that run back further begin a new run of time
	forwardJump  = 10 * time.Second       // timestamps that run ahead further are looked at twice
	trustedJump  = time.Hour              // the longest jump that is believed when nobody says how long the session was
	sessionSlack = time.Minute            // how much longer than the session said a recording may be
)

// nanos converts ticks of a time base into nanoseconds, to the nearest, saturating far beyond any session.
func nanos(ticks int64, tb av.Rational) int64 {
	neg := ticks < 0
	u := uint64(ticks)
	if neg {
		u = -u
	}
	hi, lo := bits.Mul64(u, uint64(tb.Num)*1_000_000_000)
	den := uint64(max(tb.Den, 1))
	lo, carry := bits.Add64(lo, den/2, 0)
	hi += carry
	if hi >= den {
		lo = 1 << 62
	} else {
		lo, _ = bits.Div64(hi, lo, den)
		lo = min(lo, 1<<62)
	}
	if neg {
		return -int64(lo)
	}
	return int64(lo)
}

// ticksOf converts nanoseconds into ticks of a timescale (ticks per second), to the nearest. It undoes nanos
// exactly for timescales below 10 MHz.
func ticksOf(ns int64, timescale int) int64 {
	sec, rest := ns/1_000_000_000, ns%1_000_000_000
	if rest < 0 {
		sec, rest = sec-1, rest+1_000_000_000
	}
	return sec*int64(timescale) + (rest*int64(timescale)+500_000_000)/1_000_000_000
}

// clock puts the timestamps of one file on the session's time line: nanoseconds from the session's
// beginning. Streams share it, so that a jump in one is the same jump in the other.
type clock struct {
	file   string
	shifts []int64 // nanoseconds added to the file's times, one per run of time
	runs   []int   // run that each stream is in
	last   []int64 // last time of each stream, or noTime
	end    int64   // end of all that has been placed
	limit  int64   // nothing is later than this, 0 = unknown
	report func(Defect)
}

const noTime = int64(-1) << 62

// newClock begins a file whose first timestamp is origin at the session time begin.
func newClock(file string, streams int, origin, begin, limit int64, report func(Defect)) *clock {
	c := &clock{file: file, shifts: []int64{begin - origin}, runs: make([]int, streams), last: make([]int64, streams), end: begin, limit: limit, report: report}
	for i := range c.last {
		c.last[i] = noTime
	}
	return c
}

// place gives how much to add to the timestamps of a packet of a stream, from its decoding time in the
// file, which runs forwards in sound files, and from its duration. All in nanoseconds.
func (c *clock) place(stream int, dts, duration int64) (shift int64) {
	t := dts + c.shifts[c.runs[stream]]
	if prev := c.last[stream]; prev != noTime && c.jumped(prev, t) || prev == noTime && c.tooFar(t) {
		c.next(stream, dts, prev)
		t = dts + c.shifts[c.runs[stream]]
	}
	c.last[stream] = t
	c.end = max(c.end, t+duration)
	return c.shifts[c.runs[stream]]
}

func (c *clock) tooFar(t int64) bool {
	limit := c.limit
	if limit == 0 {
		limit = c.end + int64(trustedJump)
	}
	return t > limit && t > c.end+int64(forwardJump)
}

func (c *clock) jumped(prev, t int64) bool {
	return t < prev-int64(backwardJump) || t-prev > int64(forwardJump) && c.tooFar(t)
}

// next moves a stream into the run of time that another stream has begun already, or begins a new one at the
// end of all that has been placed.
func (c *clock) next(stream int, dts, prev int64) {
	for run := c.runs[stream] + 1; run < len(c.shifts); run++ {
		if t := dts + c.shifts[run]; t >= prev-int64(backwardJump) && t <= c.end+int64(forwardJump) {
			c.runs[stream] = run
			return
		}
	}
	was := dts + c.shifts[c.runs[stream]]
	c.shifts = append(c.shifts, c.end-dts)
	c.runs[stream] = len(c.shifts) - 1
	c.report(Defect{Kind: DefectTimeJump, File: c.file, Detail: fmt.Sprintf(
		"timestamps jump from %v to %v; what follows is placed after what came before", show(max(prev, 0)), show(was))})
}

func show(ns int64) time.Duration { return time.Duration(ns).Round(time.Millisecond) }

// cutter takes the paused intervals out of session time.
type cutter struct {
	cuts []Interval // sorted, apart from each other
}

func newCutter(paused []Interval) cutter {
	cuts := append([]Interval(nil), paused...)
	sort.Slice(cuts, func(i, j int) bool { return cuts[i].From < cuts[j].From })
	var out []Interval
	for _, c := range cuts {
		if n := len(out); n > 0 && c.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, c.To)
		} else if c.To > c.From {
			out = append(out, c)
		}
	}
	return cutter{out}
}

// at gives the output time of a session time, and whether it lies in a pause (then it is the pause's output time).
func (c cutter) at(session int64) (out int64, paused bool) {
	out = session
	for _, p := range c.cuts {
		if session < int64(p.From) {
			break
		}
		if session < int64(p.To) {
			return out - (session - int64(p.From)), true
		}
		out -= int64(p.To - p.From)
	}
	return out, false
}

// run is how many of n samples from a session time on lie together inside or outside of a pause.
func (c cutter) run(at int64, n int) (int, bool) {
	_, paused := c.at(at)
	border := at + int64(n)*int64(time.Second)/outputRate
	for _, p := range c.cuts {
		for _, edge := range []int64{int64(p.From), int64(p.To)} {
			if edge > at && edge < border {
				border = edge
			}
		}
	}
	return min(max(int(ticksOf(border-at, outputRate)), 1), n), paused
}

// resumes gives the end of the pause that a session time lies in.
func (c cutter) resumes(session int64) int64 {
	for _, p := range c.cuts {
		if session >= int64(p.From) && session < int64(p.To) {
			return int64(p.To)
		}
	}
	return session
}

// total is the length of all pauses.
func (c cutter) total() int64 {
	sum := int64(0)
	for _, p := range c.cuts {
		sum += int64(p.To - p.From)
	}
	return sum
}
