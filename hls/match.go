package hls

import (
	"cmp"
	"slices"
	"time"
)

// run is one life of the encoder in all layers.
type run struct {
	layers [][]*piece // by layer, each in order of time
	cause  DefectKind
	first  *piece
}

// each calls fn for all pieces, the layers one after the other.
func (r *run) each(fn func(*piece)) {
	for _, list := range r.layers {
		for _, p := range list {
			fn(p)
		}
	}
}

// wall is the wall time of the line's moment zero.
func (r *run) wall() (time.Time, bool) {
	for _, list := range r.layers {
		for _, p := range list {
			if !p.seg.WallTime.IsZero() {
				return p.seg.WallTime.Add(-p.start().Duration()), true
			}
		}
	}
	return time.Time{}, false
}

// span is from the first piece's start to the last one's.
func (r *run) span() (from, to Tick) {
	from, to = maxTick*4, -maxTick*4
	r.each(func(p *piece) { from, to = min(from, p.start()), max(to, p.start()) })
	return from, to
}

// matchRuns puts the runs of the layers together. The layer with most segments leads.
func matchRuns(layers [][]*layerRun) []*run {
	order := make([]int, len(layers))
	count := make([]int, len(layers))
	for i, runs := range layers {
		order[i] = i
		for _, r := range runs {
			count[i] += len(r.pieces)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(count[b], count[a]) })
	var out []*run
	for _, layer := range order {
		previous := -1
		for _, lr := range layers[layer] {
			at := find(out, lr, layer, previous)
			if at < 0 {
				at = place(out, lr, previous)
				out = slices.Insert(out, at, &run{layers: make([][]*piece, len(layers)), cause: lr.cause, first: lr.pieces[0]})
			}
			out[at].layers[layer] = lr.pieces
			previous = at
		}
	}
	return out
}

// find looks for the run that a layer's run is part of, after the one that its last was part of.
func find(runs []*run, lr *layerRun, layer, previous int) int {
	for i := previous + 1; i < len(runs); i++ {
		r := runs[i]
		if r.layers[layer] != nil {
			continue
		}
		for _, wrap := range []Tick{0, wrap33, -wrap33} {
			if !overlaps(r, lr, wrap) {
				continue
			}
			for _, p := range lr.pieces {
				p.move(wrap)
			}
			return i
		}
	}
	return -1
}

// overlaps reports whether a layer's run, moved, lies in the time of a run.
func overlaps(r *run, lr *layerRun, by Tick) bool {
	from, to := r.span()
	const slack = Tick(30 * Timescale)
	if lr.last().start()+by < from-slack || lr.pieces[0].start()+by > to+slack {
		return false
	}
	p := lr.pieces[0]
	if wall, ok := r.wall(); ok && !p.seg.WallTime.IsZero() {
		return abs(ticksOf(p.seg.WallTime.Add(-(p.start() + by).Duration()).Sub(wall))) < wallError
	}
	return samePlaces(r, lr)
}

// samePlaces compares the numbers in names, when there are any: those of one life of the encoder overlap.
func samePlaces(r *run, lr *layerRun) bool {
	result := true
	for _, list := range r.layers {
		if len(list) == 0 {
			continue
		}
		a, aOK := lastNumber(list[0])
		b, bOK := lastNumber(list[len(list)-1])
		c, cOK := lastNumber(lr.pieces[0])
		d, dOK := lastNumber(lr.last())
		if !aOK || !bOK || !cOK || !dOK {
			continue
		}
		if a <= d && c <= b {
			return true
		}
		result = false
	}
	return result
}

// lastNumber is the last number in a piece's file name, if it is small enough to count segments.
func lastNumber(p *piece) (int64, bool) {
	n := p.name.numbers
	if len(n) == 0 || len(n[len(n)-1]) > 15 {
		return 0, false
	}
	var v int64
	for _, c := range n[len(n)-1] {
		v = v*10 + int64(c-'0')
	}
	return v, true
}

// place is where a run that other layers do not have goes: by wall time, by numbers, or after the layer's last.
func place(runs []*run, lr *layerRun, previous int) int {
	p := lr.pieces[0]
	for i := previous + 1; i < len(runs); i++ {
		q := runs[i].first
		if !p.seg.WallTime.IsZero() && !q.seg.WallTime.IsZero() {
			if p.seg.WallTime.Before(q.seg.WallTime) {
				return i
			}
			continue
		}
		a, aOK := lastNumber(p)
		b, bOK := lastNumber(q)
		if aOK && bOK && a < b {
			return i
		}
	}
	return len(runs)
}
