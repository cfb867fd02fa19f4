package hls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rushes/transcode/mp4"
)

// Options holds the settings of Open; the zero value is usable.
type Options struct {
	// SegmentDuration is the target length of segments; it defaults to 6 s and is
	// at least 1 s. Segments end at key frames that all layers share.
	SegmentDuration time.Duration
}

// JoinKind tells why media time and wall time part at a Join.
type JoinKind string

// The kinds of joins.
const (
	// JoinRestart is an encoder that began again.
	JoinRestart JoinKind = "encoder-restart"
	// JoinHole is time that all layers lack.
	JoinHole JoinKind = "hole"
	// JoinClock is a clock that jumped.
	JoinClock JoinKind = "clock-jump"
	// JoinPause is an interval that was cut out on request.
	JoinPause JoinKind = "paused"
)

// Join is a place where the timeline was closed.
type Join struct {
	Kind JoinKind
	// At is the media time of the first picture after the join.
	At Tick
	// From and To are the wall times of the last moment before and the first
	// after it; zero when not known.
	From, To time.Time
}

// LayerInfo describes a layer of a timeline.
type LayerInfo struct {
	// Index is the layer's index in the dump.
	Index int
	Name  string
	// Width and Height are of the first picture, in pixels.
	Width, Height int
	// Packaged is set when the layer can be part of a package; the others begin
	// too late and become an MP4 only.
	Packaged bool
}

// Timeline is a dump on one clock. It is made by Open and may be written more than
// once, but not by two goroutines at once.
type Timeline struct {
	// Layers are those with pictures, highest first.
	Layers []LayerInfo
	// Joins are in order of time.
	Joins []Join
	// Defects are what Open found; Write finds more.
	Defects []Defect
	// End is the length of the presentation.
	End Tick
	// HasSound is set when there is sound.
	HasSound bool

	dump      *Dump
	open      *opener
	stretches []*stretch
	cuts      []cut
	carriers  []int // layers that are read: those with pictures, and those whose sound is used
}

// stretch is what lies between two joins: there, media time is the time of one line plus shift.
type stretch struct {
	pieces   [][]*piece // by layer
	shift    Tick
	start    Tick // media time of its first picture
	end      Tick // of the next one's
	kind     JoinKind
	wallZero time.Time // of the line's moment zero; zero unknown
	zones    [][]zone  // by layer
	from     Tick      // on the line, of its first piece
}

// wall is the wall time of a media time.
func (s *stretch) wall(at Tick) time.Time {
	if s.wallZero.IsZero() {
		return time.Time{}
	}
	return s.wallZero.Add((at - s.shift).Duration())
}

// changing reports whether a decoder has to be told something new somewhere, which takes a discontinuity. There, hls.js
// takes the first decoding time for where the buffer goes on, and Shaka Player for the time of the segment: both are right
// only if nothing is skipped and the first picture is decoded when it is shown, others before they are (negative
// composition offsets). Elsewhere pictures keep their delay and an edit skips it, because FFmpeg, which cannot follow a
// change of parameters anyway, shows pictures with negative offsets late.
func (t *Timeline) changing() bool {
	var sound *mp4.Track
	pictures := map[int]*mp4.Track{}
	for _, s := range t.stretches {
		for _, list := range s.pieces {
			for _, p := range list {
				if before := pictures[p.layer]; p.hasV {
					if before != nil && !sameVideo(before, p.vspec) {
						return true
					}
					pictures[p.layer] = p.vspec
				}
				if len(p.sound) > 0 {
					if sound != nil && !sameAudio(sound, p.aspec) {
						return true
					}
					sound = p.aspec
				}
			}
		}
	}
	return false
}

// builder makes a timeline.
type builder struct {
	dump *Dump
	open *opener
	t    *Timeline
	seen map[Defect]bool
}

// Open looks at a dump's segments and puts them on one clock. The names of the
// layers need not be unique. demux may be nil when all segments are MP4. An error
// that is an *InputError means that there is nothing to play.
func Open(ctx context.Context, dump Dump, files Files, demux Demuxer, opt Options) (*Timeline, error) {
	o := &opener{files: files, demux: demux, maps: make(map[mapKey][]byte)}
	b := &builder{dump: &dump, open: o, t: &Timeline{dump: &dump, open: o}, seen: make(map[Defect]bool)}
	target := max(opt.SegmentDuration, time.Second)
	if opt.SegmentDuration == 0 {
		target = 6 * time.Second
	}
	if err := b.build(ctx, ticksOf(target)); err != nil {
		return nil, err
	}
	slices.SortStableFunc(b.t.Defects, func(x, y Defect) int {
		return cmp.Or(cmp.Compare(x.Layer, y.Layer), cmp.Compare(x.File, y.File), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Detail, y.Detail))
	})
	return b.t, nil
}

func (b *builder) defect(kind DefectKind, layer, file, detail string) {
	if d := (Defect{Kind: kind, Layer: layer, File: file, Detail: detail}); !b.seen[d] {
		b.seen[d] = true
		b.t.Defects = append(b.t.Defects, d)
	}
}

// defectOf notes an error that is a file's, and tells whether it was one.
func (b *builder) defectOf(layer, file string, err error) bool {
	var bad *fileError
	if err == nil || !errors.As(err, &bad) {
		return false
	}
	b.defect(bad.kind, layer, file, bad.err.Error())
	return true
}

func (b *builder) build(ctx context.Context, target Tick) error {
	layers := make([][]*layerRun, len(b.dump.Layers))
	for i := range b.dump.Layers {
		list, err := b.scanLayer(ctx, i)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			b.defect(DefectLayerMissing, b.dump.Layers[i].Name, "", "nothing of the layer can be used")
			continue
		}
		if layers[i], err = b.runs(ctx, list); err != nil {
			return err
		}
	}
	runs := matchRuns(layers)
	if len(runs) == 0 {
		return &InputError{What: "live-stream dump", Reason: "no layer has a segment that can be read"}
	}
	for _, r := range runs {
		for _, list := range r.layers {
			if err := b.findEnds(ctx, list); err != nil {
				return err
			}
		}
	}
	for i, r := range runs {
		b.split(r, i == 0)
	}
	if len(b.t.stretches) == 0 {
		return &InputError{What: "live-stream dump", Reason: "the pauses cut everything out"}
	}
	b.describe()
	b.place(target)
	return nil
}

// findEnds makes the ends of pieces known: from the next piece where that follows at once, else from the whole segment.
func (b *builder) findEnds(ctx context.Context, list []*piece) error {
	usual := usualStep(list)
	for i, p := range list {
		follows := i+1 < len(list) && list[i+1].start()-p.start() < usual+usual/4
		if !p.ended && (!follows || p.hasV && len(p.syncs) == 0) {
			noMap, err := b.open.scan(ctx, p, true)
			_ = noMap // told before
			if err != nil && !b.defectOf(b.dump.Layers[p.layer].Name, p.seg.Name, err) {
				return fmt.Errorf("reading %q: %w", p.seg.Name, err)
			}
			if p.torn {
				b.defect(DefectTornFile, b.dump.Layers[p.layer].Name, p.seg.Name, "the segment's end is missing")
			}
		}
		if p.ended || !follows {
			continue
		}
		next := list[i+1]
		p.vEnd, p.aEnd = next.vStart, next.aStart
		if !next.hasV {
			p.vEnd = next.start()
		}
		if !next.hasA {
			p.aEnd = next.start()
		}
	}
	return nil
}

// describe lists the layers with pictures.
func (b *builder) describe() {
	for i := range b.dump.Layers {
		var first *piece
		for _, s := range b.t.stretches {
			at := slices.IndexFunc(s.pieces[i], func(p *piece) bool { return p.hasV && len(p.syncs) > 0 })
			if at >= 0 {
				first = s.pieces[i][at]
				break
			}
		}
		if first != nil {
			v := first.vspec.Video
			b.t.Layers = append(b.t.Layers, LayerInfo{Index: i, Name: b.dump.Layers[i].Name, Width: v.Width, Height: v.Height, Packaged: true})
		}
	}
}
