package hls

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	sameTime   = Tick(Timescale / 100)     // two segments that begin closer than this begin at the same time
	minHole    = Tick(Timescale / 10)      // less than this missing is held, not closed
	wallError  = Tick(2 * Timescale)       // wall times of one run agree with its media times to this
	maxForward = Tick(10 * 60 * Timescale) // a jump further ahead is another clock
	wrap33     = Tick(1<<33) * (Timescale / 90000)
)

// layerRun is what one layer has of one life of the encoder: its pieces share a clock and come in its order.
type layerRun struct {
	pieces []*piece
	base   Tick
	cause  DefectKind // why it begins, empty for the first
}

func (r *layerRun) last() *piece { return r.pieces[len(r.pieces)-1] }

// scanLayer looks at all segments of a layer and returns those that hold something.
func (b *builder) scanLayer(ctx context.Context, layer int) ([]*piece, error) {
	l := &b.dump.Layers[layer]
	spare := onlyMap(l.Segments)
	var list []*piece
	seen := make(map[mapKey]bool, len(l.Segments))
	for i := range l.Segments {
		seg := &l.Segments[i]
		key := mapKey{seg.Name, seg.Offset, seg.Length}
		if seg.Gap || seen[key] {
			continue
		}
		seen[key] = true
		p := &piece{layer: layer, seg: seg, spare: spare, name: splitName(seg.Name)}
		noMap, err := b.open.scan(ctx, p, false)
		if b.defectOf(l.Name, seg.Name, err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if noMap {
			b.defect(DefectMissingMap, l.Name, seg.Name, "another init segment of the layer is used")
		}
		if p.torn {
			b.defect(DefectTornFile, l.Name, seg.Name, "the segment's end is missing")
		}
		if p.odd {
			b.defect(DefectTimestamps, l.Name, seg.Name, "some times in the segment cannot be true; what they belong to is left out")
		}
		list = append(list, p)
	}
	return list, nil
}

// onlyMap is a segment with the layer's init segment when it has exactly one, else nil.
func onlyMap(segments []Segment) *Segment {
	var found *Segment
	for i := range segments {
		s := &segments[i]
		if s.Map == "" {
			continue
		}
		if found != nil && (found.Map != s.Map || found.MapOffset != s.MapOffset) {
			return nil
		}
		found = s
	}
	return found
}

// inOrder puts pieces in the order in which they were made, whatever order they are given in.
func inOrder(list []*piece) {
	walls := !slices.ContainsFunc(list, func(p *piece) bool { return p.seg.WallTime.IsZero() })
	byName := func(a, b *piece) int {
		return cmp.Or(compareNames(a.name, b.name), cmp.Compare(a.seg.Offset, b.seg.Offset))
	}
	switch {
	case walls:
		slices.SortStableFunc(list, func(a, b *piece) int { return cmp.Or(a.seg.WallTime.Compare(b.seg.WallTime), byName(a, b)) })
	case numbered(list):
		slices.SortStableFunc(list, byName)
	}
	back := 0
	for i := 1; i < len(list); i++ {
		if d := list[i].start() - list[i-1].start(); d < 0 && d > -wrap33/2 {
			back++
		}
	}
	if back > 1 && back > len(list)/3 { // neither names nor wall times mean anything
		slices.SortStableFunc(list, func(a, b *piece) int { return cmp.Or(cmp.Compare(a.start(), b.start()), byName(a, b)) })
	}
}

// usualStep is how long a layer's segments last, mostly.
func usualStep(list []*piece) Tick {
	var steps []Tick
	counts := counting(list)
	for i, p := range list {
		switch {
		case p.ended && !p.torn:
			steps = append(steps, p.end()-p.start())
		case p.seg.Duration > 0:
			steps = append(steps, ticksOf(p.seg.Duration))
		case i+1 < len(list) && list[i+1].start() > p.start():
			step := list[i+1].start() - p.start()
			if counts {
				step /= max(1, list[i+1].countFrom(p))
			}
			steps = append(steps, step)
		}
	}
	if len(steps) == 0 {
		return 2 * Timescale
	}
	slices.Sort(steps)
	return steps[(len(steps)-1)/2]
}

// expected is when the segment after p should begin.
func (p *piece) expected(usual Tick) Tick {
	switch {
	case p.ended:
		return p.end()
	case p.seg.Duration > 0:
		return p.start() + ticksOf(p.seg.Duration)
	}
	return p.start() + usual
}

// runs splits a layer's pieces into the lives of its encoder.
func (b *builder) runs(ctx context.Context, list []*piece) ([]*layerRun, error) {
	inOrder(list)
	usual, counts := usualStep(list), counting(list)
	var out []*layerRun
	for _, p := range list {
		if len(out) == 0 {
			out = append(out, &layerRun{pieces: []*piece{p}})
			continue
		}
		run := out[len(out)-1]
		p.move(run.base)
		done, err := b.join(ctx, run, p, usual, counts)
		if err != nil {
			return nil, err
		}
		if done {
			continue
		}
		cause := DefectRestart
		if ahead := p.start() - run.last().expected(usual); !p.seg.Discontinuity && abs(ahead) < maxForward && gapOf(run.last(), p) < 2*usual {
			cause = DefectClockJump
		}
		p.move(-run.base)
		out = append(out, &layerRun{pieces: []*piece{p}, cause: cause})
	}
	return out, nil
}

// gapOf is how much wall time lies between the beginnings of two segments; huge when it is not known.
func gapOf(a, b *piece) Tick {
	if a.seg.WallTime.IsZero() || b.seg.WallTime.IsZero() {
		return maxTick
	}
	return ticksOf(min(b.seg.WallTime.Sub(a.seg.WallTime), 1000*time.Hour))
}

// join adds a piece to a run that it belongs to, or drops it as a double; false when it begins another run.
func (b *builder) join(ctx context.Context, run *layerRun, p *piece, usual Tick, counts bool) (bool, error) {
	last := run.last()
	for _, wrap := range p.wraps() {
		p.move(wrap)
		if p.follows(last, usual, counts) {
			run.base += wrap
			run.pieces = append(run.pieces, p)
			return true, nil
		}
		p.move(-wrap)
	}
	at, found := slices.BinarySearchFunc(run.pieces, p.start()-sameTime, func(q *piece, t Tick) int { return cmp.Compare(q.start(), t) })
	found = at < len(run.pieces) && run.pieces[at].start() < p.start()+sameTime
	known := gapOf(last, p) != maxTick
	agrees := known && abs(p.wallOffset(last)) < wallError
	if found {
		return b.double(ctx, run, at, p, agrees)
	}
	if at > 0 && at < len(run.pieces) && (agrees || !known && len(p.name.numbers) == 0) && run.pieces[at-1].expected(usual) <= p.start()+usual/2 && p.start()+usual/2 <= run.pieces[at].start() {
		run.pieces = slices.Insert(run.pieces, at, p)
		return true, nil
	}
	return false, nil
}

// wraps lists the shifts that a counter of limited width may need.
func (p *piece) wraps() []Tick {
	t := p.vspec
	if !p.hasV {
		t = p.aspec
	}
	return []Tick{0, wrap33, fromScale(1<<32, t.Timescale)}
}

// wallOffset is how far wall time and media time between two pieces differ; 0 when it is not known.
func (p *piece) wallOffset(q *piece) Tick {
	gap := gapOf(q, p)
	if gap == maxTick {
		return 0
	}
	return gap - (p.start() - q.start())
}

// counting reports whether the last numbers in names count segments.
func counting(list []*piece) bool {
	ones := 0
	for i := 1; i < len(list); i++ {
		if list[i].countFrom(list[i-1]) == 1 {
			ones++
		}
	}
	return 2*ones >= len(list)-1 && len(list) > 1
}

// countFrom is how many segments after q a piece comes, as far as names tell; at least 0.
func (p *piece) countFrom(q *piece) Tick {
	a, aOK := lastNumber(q)
	b, bOK := lastNumber(p)
	if !aOK || !bOK {
		return 0
	}
	return Tick(min(max(b-a, 0), 1_000_000))
}

// follows reports whether p is on the same clock as last and comes after it.
func (p *piece) follows(last *piece, usual Tick, counts bool) bool {
	d := p.start() - last.start()
	if d < sameTime {
		return false
	}
	if counts && gapOf(last, p) == maxTick && d < p.countFrom(last)*usual/2+usual/4 {
		return false // segments are missing between them, but no time: the clock began again
	}
	known := gapOf(last, p) != maxTick
	atOnce := abs(p.start()-last.expected(usual)) < Timescale/4
	if atOnce && (!known || counts && p.countFrom(last) == 1) {
		return true // whatever an unsteady wall clock says
	}
	if p.seg.Discontinuity && !atOnce {
		return false
	}
	if known {
		return abs(p.wallOffset(last)) < wallError
	}
	return d < maxForward
}

// double drops one of two pieces that begin at the same time.
func (b *builder) double(ctx context.Context, run *layerRun, at int, p *piece, agrees bool) (bool, error) {
	q := run.pieces[at]
	same, err := b.open.sameMedia(ctx, p, q)
	if err != nil {
		return false, fmt.Errorf("comparing %q with %q: %w", p.seg.Name, q.seg.Name, err)
	}
	// A still picture with silence gives the same bytes again in another life of the encoder: known wall times that are
	// apart tell them from copies.
	if apart := gapOf(q, p); apart != maxTick && abs(apart) >= wallError {
		same = false
	}
	if !same && !agrees {
		return false, nil
	}
	// The same choice must come out of any order.
	worse, better := p, q
	if c := cmp.Or(cmp.Compare(p.size, q.size), -compareNames(p.name, q.name)); c > 0 {
		worse, better = q, p
	}
	run.pieces[at] = better
	kind, detail := DefectDouble, fmt.Sprintf("%q holds the same", better.seg.Name)
	if !same {
		kind, detail = DefectOverlap, fmt.Sprintf("%q has the same time and more bytes", better.seg.Name)
	}
	b.defect(kind, b.dump.Layers[p.layer].Name, worse.seg.Name, detail)
	return true, nil
}
