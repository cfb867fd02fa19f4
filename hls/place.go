package hls

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// zone is a part of the media time in which a layer has nothing.
type zone struct{ from, to Tick }

// holdTargets is how many segments' time a picture may be held at most.
const holdTargets = 2

// place puts the stretches behind each other and plans the segments.
func (b *builder) place(target Tick) {
	hold := holdTargets * target
	b.chooseLayers(hold)
	b.chooseSound()
	b.shifts()
	for i, s := range b.t.stretches {
		s.end = b.t.End
		if i+1 < len(b.t.stretches) {
			s.end = b.t.stretches[i+1].start
		}
		s.zones = make([][]zone, len(b.dump.Layers))
		for _, l := range b.t.Layers {
			s.zones[l.Index] = b.zonesOf(s, l.Index, hold)
		}
		b.t.cuts = append(b.t.cuts, b.cutsOf(i, target)...)
	}
	b.t.settle()
}

// firstSync is where a layer's pictures can begin in a stretch.
func (s *stretch) firstSync(layer int) (Tick, bool) {
	for _, p := range s.pieces[layer] {
		if p.hasV && len(p.syncs) > 0 {
			return p.syncs[0], true
		}
	}
	return 0, false
}

// chooseLayers leaves layers out of the package that begin so late that a picture would have to be held for too long:
// a playlist must not begin with a gap.
func (b *builder) chooseLayers(hold Tick) {
	s := b.t.stretches[0]
	first, ok := Tick(0), false
	for _, l := range b.t.Layers {
		if at, has := s.firstSync(l.Index); has && (!ok || at < first) {
			first, ok = at, true
		}
	}
	for i := range b.t.Layers {
		l := &b.t.Layers[i]
		at, has := s.firstSync(l.Index)
		if ok && (!has || at-first > hold) {
			l.Packaged = false
			b.defect(DefectLayerLate, l.Name, "", "the layer begins too late to be part of the package")
		}
	}
}

// packaged calls fn for the layers of the package.
func (b *builder) packaged(fn func(layer int)) {
	for _, l := range b.t.Layers {
		if l.Packaged {
			fn(l.Index)
		}
	}
}

// firstPicture is the least beginning of the pictures in a stretch; firstSound of what is used of the sound.
func (b *builder) firstPicture(s *stretch) (first Tick, ok bool) {
	b.packaged(func(layer int) {
		if at, has := s.firstSync(layer); has && (!ok || at < first) {
			first, ok = at, true
		}
	})
	return first, ok
}

// bounds are the least beginning and the last end of what is used of the sound.
func (s *stretch) soundBounds() (from, to Tick, ok bool) {
	for _, list := range s.pieces {
		for _, p := range list {
			for _, sp := range p.sound {
				if !ok {
					from, to, ok = sp.from, sp.to, true
				}
				from, to = min(from, sp.from), max(to, sp.to)
			}
		}
	}
	return from, to, ok
}

func (b *builder) lastPicture(s *stretch) (end Tick) {
	b.packaged(func(layer int) {
		for _, p := range s.pieces[layer] {
			if p.hasV {
				end = max(end, p.vEnd)
			}
		}
	})
	return end
}

// shifts closes the timeline: each stretch begins where both pictures and sound of the one before have ended, so that
// nothing is lost and pictures and sound keep their offset.
func (b *builder) shifts() {
	grid := Tick(1)
	if len(b.t.Layers) > 0 {
		grid = b.gridTick()
	}
	var videoEnd, soundEnd Tick
	for i, s := range b.t.stretches {
		first, hasV := b.firstPicture(s)
		from, to, hasA := s.soundBounds()
		if !hasV {
			first = from
		}
		switch {
		case i == 0:
			zero := first
			if hasA { // what a source marks as priming lies before its zero
				zero = min(first, max(from, min(first, 0)))
			}
			s.shift = -zero
			if s.start = first - zero; s.start > minHole {
				s.start = 0 // the first picture is shown from the beginning
			}
		default:
			s.shift = videoEnd - first
			if hasA {
				s.shift = max(s.shift, soundEnd-from)
			}
			if !hasV {
				s.shift = max(s.shift, soundEnd-first)
			}
			up := (first + s.shift) % grid
			if up > 0 {
				s.shift += grid - up
			}
			s.start = first + s.shift
			b.noteJoin(s, b.t.stretches[i-1], videoEnd)
		}
		if hasV {
			videoEnd = b.lastPicture(s) + s.shift
		}
		if hasA {
			soundEnd = to + s.shift
			b.t.HasSound = true
		}
		videoEnd = max(videoEnd, s.start)
		for _, list := range s.pieces {
			for _, p := range list {
				for k := range p.sound {
					p.sound[k].shift = s.shift
				}
			}
		}
	}
	b.t.End = max(videoEnd, soundEnd)
}

// gridTick is one tick of the first layer's pictures.
func (b *builder) gridTick() Tick {
	for _, s := range b.t.stretches {
		for _, p := range s.pieces[b.t.Layers[0].Index] {
			if p.hasV {
				return max(1, fromScale(1, p.vspec.Timescale))
			}
		}
	}
	return 1
}

// zonesOf finds where a layer has nothing for longer than a picture may be held.
func (b *builder) zonesOf(s *stretch, layer int, hold Tick) []zone {
	var out []zone
	note := func(from, to Tick, file string) {
		if to-from > minHole {
			how := "the picture before it is held"
			if to-from > hold {
				how = "the layer has a gap"
			}
			b.defect(DefectLayerHole, b.dump.Layers[layer].Name, file, fmt.Sprintf("%v are missing at %v of the output: %s",
				(to-from).Duration().Round(time.Millisecond), from.Duration().Round(time.Millisecond), how))
		}
		if to-from > hold {
			out = append(out, zone{from, to})
		}
	}
	end := s.start
	file := ""
	for _, p := range s.pieces[layer] {
		if !p.hasV {
			continue
		}
		if len(p.syncs) > 0 {
			note(end, p.syncs[0]+s.shift, file)
		}
		end = max(end, p.vEnd+s.shift)
		file = p.seg.Name
	}
	if end == s.start {
		if _, ok := s.firstSync(layer); !ok { // a segment without samples can only be a gap
			b.defect(DefectLayerHole, b.dump.Layers[layer].Name, "", fmt.Sprintf("nothing is there from %v to %v of the output",
				s.start.Duration().Round(time.Millisecond), s.end.Duration().Round(time.Millisecond)))
			return []zone{{s.start, s.end}}
		}
	}
	note(end, s.end, file)
	return out
}

// chooseSound takes the sound of the layer that has most of it, and what it lacks from the others.
func (b *builder) chooseSound() {
	count := make([]int, len(b.dump.Layers))
	for _, s := range b.t.stretches {
		for l, list := range s.pieces {
			for _, p := range list {
				if p.hasA {
					count[l]++
				}
			}
		}
	}
	order := make([]int, len(count))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(count[b], count[a]) })
	for _, s := range b.t.stretches {
		end, clip := b.lastPicture(s), len(b.t.Layers) > 0
		var covered []zone
		for _, l := range order {
			for _, p := range s.pieces[l] {
				if !p.hasA {
					continue
				}
				have := zone{p.aStart, p.aEnd}
				if clip && !p.hasV { // sound in files of its own runs on where the pictures have ended
					have.to = min(have.to, end)
				}
				p.sound = subtract(have, covered, p.aStep+p.aStep/2)
				for _, sp := range p.sound {
					covered = cover(covered, zone{sp.from, sp.to})
				}
			}
		}
	}
	for l := range b.dump.Layers {
		uses := slices.ContainsFunc(b.t.Layers, func(i LayerInfo) bool { return i.Index == l })
		for _, s := range b.t.stretches {
			uses = uses || slices.ContainsFunc(s.pieces[l], func(p *piece) bool { return len(p.sound) > 0 })
		}
		if uses {
			b.t.carriers = append(b.t.carriers, l)
		}
	}
}

// subtract is what of z is not covered, in parts longer than least.
func subtract(z zone, covered []zone, least Tick) []span {
	var out []span
	from := z.from
	add := func(to Tick) {
		if to-from > least || to-from > 0 && from == z.from && to == z.to {
			out = append(out, span{from: from, to: to})
		}
	}
	at, _ := slices.BinarySearchFunc(covered, from, func(c zone, t Tick) int { return cmp.Compare(c.to, t) })
	for _, c := range covered[at:] {
		if c.from >= z.to {
			break
		}
		if c.from > from {
			add(c.from)
		}
		from = max(from, c.to)
	}
	if from < z.to {
		add(z.to)
	}
	return out
}

// cover adds a zone to a list in order; zones that touch become one.
func cover(list []zone, z zone) []zone {
	at, _ := slices.BinarySearchFunc(list, z.from, func(c zone, t Tick) int { return cmp.Compare(c.to, t) })
	end := at
	for end < len(list) && list[end].from <= z.to {
		z.from, z.to = min(z.from, list[end].from), max(z.to, list[end].to)
		end++
	}
	return slices.Replace(list, at, end, z)
}
