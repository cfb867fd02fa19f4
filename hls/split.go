package hls

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// slotsOf lists the pieces of a run that carry its time, in order of it: those with pictures, or all when none has.
func slotsOf(r *run) []*piece {
	var all, pictures []*piece
	r.each(func(p *piece) {
		all = append(all, p)
		if p.hasV {
			pictures = append(pictures, p)
		}
	})
	if len(pictures) > 0 {
		all = pictures
	}
	slices.SortStableFunc(all, func(a, b *piece) int { return cmp.Compare(a.start(), b.start()) })
	return all
}

// border is where a run may be parted.
type border struct {
	at   Tick
	kind JoinKind
	cut  bool // what follows is cut out
}

// split parts a run at holes and pauses and adds the parts to the timeline.
func (b *builder) split(r *run, first bool) {
	slots := slotsOf(r)
	wall, known := r.wall()
	if !known && first && !b.dump.StartedAt.IsZero() {
		wall, known = b.dump.StartedAt.Add(-slots[0].start().Duration()), true
	}
	if !known {
		wall = time.Time{}
		if len(b.dump.Paused) > 0 {
			b.defect(DefectNoWallTime, "", "", "a pause cannot be cut out: the wall time of the segments is not known")
		}
	}
	kind := JoinRestart
	if r.cause == DefectClockJump {
		kind = JoinClock
	}
	borders := []border{{at: slots[0].start(), kind: kind}}
	borders = append(borders, b.holes(slots)...)
	if known {
		borders = b.pauses(borders, slots, wall)
	}
	for i, from := range borders {
		if from.cut {
			continue
		}
		to := maxTick * 4
		if i+1 < len(borders) {
			to = borders[i+1].at
		}
		s := &stretch{pieces: make([][]*piece, len(r.layers)), kind: from.kind, from: from.at, wallZero: wall}
		low := from.at - sameTime
		if i == 0 {
			low = -maxTick * 4
		}
		for l, list := range r.layers {
			for _, p := range list {
				if p.start() >= low && p.start() < to-sameTime {
					s.pieces[l] = append(s.pieces[l], p)
				}
			}
		}
		s.wallZero = s.ownWall(wall)
		b.t.stretches = append(b.t.stretches, s)
	}
}

// ownWall is the wall time of the line's moment zero as the stretch's own first piece tells it.
func (s *stretch) ownWall(wall time.Time) time.Time {
	for _, list := range s.pieces {
		if len(list) > 0 && !list[0].seg.WallTime.IsZero() {
			return list[0].seg.WallTime.Add(-list[0].start().Duration())
		}
	}
	return wall
}

// holes finds where all layers lack something.
func (b *builder) holes(slots []*piece) []border {
	var out []border
	end := slots[0].end()
	for _, p := range slots[1:] {
		if p.start()-end > minHole {
			out = append(out, border{at: p.start(), kind: JoinHole})
		}
		end = max(end, p.end())
	}
	return out
}

// pauses adds the borders nearest to the pauses. What is between the borders of a pause is cut.
func (b *builder) pauses(borders []border, slots []*piece, wall time.Time) []border {
	var times []Tick
	for _, p := range slots {
		if n := len(times); n == 0 || p.start() > times[n-1]+sameTime {
			times = append(times, p.start())
		}
	}
	end := slots[0].end()
	for _, p := range slots {
		end = max(end, p.end())
	}
	times = append(times, end)
	for _, pause := range b.dump.Paused {
		if !pause.To.After(pause.From) {
			continue
		}
		from, to := nearest(times, ticksOf(pause.From.Sub(wall))), nearest(times, ticksOf(pause.To.Sub(wall)))
		if from < to {
			borders = cutOut(borders, from, to, end)
		}
	}
	return borders
}

func nearest(times []Tick, at Tick) Tick {
	best := times[0]
	for _, t := range times {
		if abs(t-at) < abs(best-at) {
			best = t
		}
	}
	return best
}

// cutOut marks the time between two borders as cut.
func cutOut(list []border, from, to, end Tick) []border {
	var out []border
	resumes := border{at: to, kind: JoinPause}
	for _, b := range list {
		if b.at < from-sameTime {
			out = append(out, b)
		}
		if b.at <= to+sameTime {
			resumes.cut = b.cut
		}
	}
	out = append(out, border{at: from, kind: JoinPause, cut: true})
	if to < end-sameTime {
		out = append(out, resumes)
	}
	for _, b := range list {
		if b.at > to+sameTime {
			out = append(out, b)
		}
	}
	return out
}

// noteJoin keeps a join, and the defect that it stands for.
func (b *builder) noteJoin(s, before *stretch, lastEnd Tick) {
	j := Join{Kind: s.kind, At: s.start, To: s.wall(s.start), From: before.wall(lastEnd)}
	if !j.To.IsZero() && j.To.Before(j.From) {
		j.From = j.To // clocks overlap by less than a moment
	}
	b.t.Joins = append(b.t.Joins, j)
	if s.kind == JoinPause {
		return
	}
	detail := fmt.Sprintf("at %v of the output", s.start.Duration().Round(time.Millisecond))
	if !j.From.IsZero() && !j.To.IsZero() {
		detail += fmt.Sprintf(", %v are missing", j.To.Sub(j.From).Round(time.Millisecond))
	}
	b.defect(DefectKind(s.kind), "", "", detail)
}
