package hls

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// cut is where a segment begins, in all tracks.
type cut struct {
	at      Tick
	stretch int
	join    bool // the first of its stretch
}

const (
	cutError = Tick(Timescale / 50) // key frames of different layers this close are at the same time
	leastEnd = Tick(Timescale / 2)  // a segment shorter than this is added to the one before
)

// moment is where a segment may begin.
type moment struct {
	at     Tick
	forced bool
}

// cutsOf plans the segments of a stretch: as long as possible up to the target, longer only where there is no other way.
func (b *builder) cutsOf(index int, target Tick) []cut {
	s := b.t.stretches[index]
	out := []cut{{at: s.start, stretch: index, join: true}}
	if index == 0 {
		out[0].at = 0 // pictures that begin a moment after the sound count from where the sound begins
	}
	moments := b.moments(s)
	at := s.start
	for len(moments) > 0 {
		best := -1
		for i, m := range moments {
			if best >= 0 && m.at > at+target+cutError {
				break
			}
			if best = i; m.forced {
				break
			}
		}
		if !moments[best].forced && s.end-at <= target+cutError {
			// the rest fits; only a forced one may still come
			next := slices.IndexFunc(moments, func(m moment) bool { return m.forced })
			if next < 0 {
				break
			}
			best = next
		}
		at = moments[best].at
		out = append(out, cut{at: at, stretch: index})
		moments = moments[best+1:]
	}
	return out
}

// moments lists where all layers of the package that have something can begin a segment.
func (b *builder) moments(s *stretch) []moment {
	layers := b.layerSyncs(s)
	var all []moment
	for _, l := range layers {
		all = append(all, l.syncs...)
	}
	slices.SortStableFunc(all, func(x, y moment) int { return cmp.Compare(x.at, y.at) })
	at := make([]int, len(layers))
	var out []moment
	for _, m := range all {
		if m.at <= s.start+cutError || !m.forced && s.end-m.at < leastEnd {
			continue
		}
		if n := len(out); n > 0 && m.at-out[n-1].at <= cutError {
			out[n-1].forced = out[n-1].forced || m.forced
			continue
		}
		shared := true
		for i := range layers {
			shared = shared && layers[i].has(&at[i], m.at)
		}
		if shared {
			out = append(out, m)
		}
	}
	if len(layers) == 0 {
		out = b.soundMoments(s)
	}
	return out
}

// layerMoments is where one layer can begin segments.
type layerMoments struct {
	syncs []moment
	zones []zone
}

// has reports whether the layer has a key frame at a time, or nothing at all. i is the place in its list.
func (l *layerMoments) has(i *int, t Tick) bool {
	for *i < len(l.syncs) && l.syncs[*i].at < t-cutError {
		*i++
	}
	if *i < len(l.syncs) && l.syncs[*i].at <= t+cutError {
		return true
	}
	return inZones(l.zones, t)
}

func inZones(zones []zone, t Tick) bool {
	for _, z := range zones {
		if t >= z.from-cutError && t < z.to-cutError {
			return true
		}
	}
	return false
}

// layerSyncs collects the key frames of the packaged layers. Those where the decoder has to be told something new, or
// a layer comes back, are forced.
func (b *builder) layerSyncs(s *stretch) []layerMoments {
	var out []layerMoments
	b.packaged(func(layer int) {
		l := layerMoments{zones: s.zones[layer]}
		var before *piece
		for _, p := range s.pieces[layer] {
			if !p.hasV {
				continue
			}
			for i, t := range p.syncs {
				m := moment{at: t + s.shift}
				if before == nil && i == 0 && !inZones(l.zones, s.start) {
					m.at = s.start // a late first picture is shown from the beginning
				}
				if i == 0 {
					m.forced = before != nil && b.changes(before, p, m.at) || slices.ContainsFunc(l.zones, func(z zone) bool { return abs(z.to-m.at) <= cutError })
				}
				l.syncs = append(l.syncs, m)
			}
			before = p
		}
		out = append(out, l)
	})
	return out
}

// changes reports, and notes, that a decoder has to be told something new between two pieces.
func (b *builder) changes(before, p *piece, at Tick) bool {
	what := ""
	if before.hasV && p.hasV && !sameVideo(before.vspec, p.vspec) {
		what = fmt.Sprintf("the pictures change from %dx%d to %dx%d", before.vspec.Video.Width, before.vspec.Video.Height, p.vspec.Video.Width, p.vspec.Video.Height)
	}
	if len(before.sound) > 0 && len(p.sound) > 0 && !sameAudio(before.aspec, p.aspec) {
		what = fmt.Sprintf("the sound changes from %d to %d Hz", before.aspec.Audio.SampleRate, p.aspec.Audio.SampleRate)
	}
	if what == "" {
		return false
	}
	b.defect(DefectConfigChange, b.dump.Layers[p.layer].Name, p.seg.Name, fmt.Sprintf("%s at %v of the output", what, at.Duration().Round(time.Millisecond)))
	return true
}

// soundMoments is for streams without pictures: a segment may begin with any file.
func (b *builder) soundMoments(s *stretch) []moment {
	var out []moment
	for _, list := range s.pieces {
		for _, p := range list {
			for _, sp := range p.sound {
				if at := sp.from + s.shift; at > s.start+cutError && s.end-at >= leastEnd {
					out = append(out, moment{at: at})
				}
			}
		}
	}
	slices.SortStableFunc(out, func(x, y moment) int { return cmp.Compare(x.at, y.at) })
	return slices.CompactFunc(out, func(x, y moment) bool { return y.at-x.at <= cutError })
}

// settle drops what planning needed and writing does not: key frames of 12 hours are many.
func (t *Timeline) settle() {
	for _, s := range t.stretches {
		for _, list := range s.pieces {
			for _, p := range list {
				p.name = nil
				if len(p.syncs) > 1 {
					p.syncs = slices.Clone(p.syncs[:1])
				}
			}
		}
	}
}
