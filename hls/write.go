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

// Outputs says what Timeline.Write makes; at least one field is set.
type Outputs struct {
	// Package is the VOD package, nil for none.
	Package *PackageOptions
	// Movies has a file for each layer that becomes a progressive MP4, by LayerInfo.Index.
	Movies map[int]mp4.File
}

// PackageOptions says what a VOD package looks like.
type PackageOptions struct {
	// Sink takes the package's files.
	Sink Sink
	// SingleFile puts all segments of a track into one file, as byte ranges.
	SingleFile bool
	// Storyboard adds small stills and a poster, nil for none.
	Storyboard *Storyboard
}

// Result tells what Write made.
type Result struct {
	Duration time.Duration
	Layers   []LayerResult
	// Package tells of the VOD package, nil when there is none.
	Package *PackageResult
	// Defects are all defects, those of the timeline included.
	Defects []Defect
}

// LayerResult tells what became of a layer.
type LayerResult struct {
	LayerInfo
	// Movie tells of the progressive MP4, nil when none was asked for.
	Movie *mp4.Summary
	// Dir is the layer's folder in the package, empty when it is not part of it.
	Dir string
	// Bandwidth and AverageBandwidth of the variant with its sound, in bit/s, as measured.
	Bandwidth, AverageBandwidth int64
	// FrameRate is the highest measured, in pictures per 1000 seconds.
	FrameRate int64
	// Codecs is the CODECS attribute (RFC 6381).
	Codecs string
}

// writer is one run of Timeline.Write.
type writer struct {
	t        *Timeline
	out      Outputs
	tracks   []*videoTrack
	others   []*puller // layers of sound only
	line     *soundLine
	sound    *rendition // of the package, nil without
	soundAt  int        // segment that the sound is in
	soundEnd Tick
	movies   []*movie
	specA    *mp4.Track
	early    Tick // by how much the sound in a file begins before its pictures do, at most
	defects  []Defect
	seen     map[Defect]bool
}

// videoTrack is a layer being written.
type videoTrack struct {
	info  LayerInfo
	pull  *puller
	pack  *rendition // nil when the layer is not packaged
	movie *movie     // nil when none is wanted
}

// Write reads the dump and writes the package and the movies in one pass. Its
// memory does not grow with the length but for a few bytes per sample in movies and
// per segment in playlists. When it returns an error, what it has written is of no use.
func (t *Timeline) Write(ctx context.Context, out Outputs) (res *Result, err error) {
	w := &writer{t: t, out: out, seen: make(map[Defect]bool), defects: slices.Clone(t.Defects)}
	for _, d := range t.Defects {
		w.seen[d] = true
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.prepare(ctx); err != nil {
		return nil, err
	}
	for n := range t.cuts {
		if err := w.segment(ctx, n); err != nil {
			return nil, err
		}
	}
	if w.line != nil {
		if err := w.line.close(t.End); err != nil {
			return nil, err
		}
		if err := w.lastSound(ctx); err != nil {
			return nil, err
		}
	}
	return w.finish(ctx)
}

func (w *writer) note(d Defect) {
	if !w.seen[d] {
		w.seen[d] = true
		w.defects = append(w.defects, d)
	}
}

// prepare sets up readers and outputs.
func (w *writer) prepare(ctx context.Context) error {
	if w.out.Package == nil && len(w.out.Movies) == 0 {
		return errors.New("hls: nothing to write was asked for")
	}
	w.specA, w.early = w.t.firstSound(), w.t.early()
	if w.specA != nil {
		w.line = &soundLine{timescale: outTimescale(w.specA), note: w.note, emit: func(h heard) error { return w.listen(ctx, &h) }}
	}
	hear := func(s sound) { w.line.hear(s) }
	dirs := newNames("audio", "storyboard")
	prompt := w.t.changing()
	for _, l := range w.t.carriers {
		p := &puller{t: w.t, layer: l, note: w.note, hear: hear}
		at := slices.IndexFunc(w.t.Layers, func(i LayerInfo) bool { return i.Index == l })
		if at < 0 {
			w.others = append(w.others, p)
			continue
		}
		v := &videoTrack{info: w.t.Layers[at], pull: p}
		if w.out.Package != nil && v.info.Packaged {
			v.pack = &rendition{sink: w.out.Package.Sink, dir: dirs.unique(v.info.Name), joint: w.out.Package.SingleFile, video: true, prompt: prompt}
		}
		w.tracks = append(w.tracks, v)
		if err := w.addMovie(v); err != nil {
			return err
		}
	}
	if w.specA != nil && w.out.Package != nil {
		w.sound = &rendition{sink: w.out.Package.Sink, dir: "audio", joint: w.out.Package.SingleFile}
	}
	return nil
}

func (w *writer) addMovie(v *videoTrack) error {
	f := w.out.Movies[v.info.Index]
	if f == nil {
		return nil
	}
	var spec *mp4.Track
	for _, s := range w.t.stretches {
		for _, p := range s.pieces[v.info.Index] {
			if spec == nil && p.hasV && len(p.syncs) > 0 {
				spec = p.vspec
			}
		}
	}
	m, err := newMovie(f, spec, w.specA, w.t.End)
	if err != nil {
		return fmt.Errorf("layer %q: %w", v.info.Name, err)
	}
	v.movie = m
	w.movies = append(w.movies, m)
	return nil
}

// firstSound is the configuration of the first sound that is used, nil when there is none.
func (t *Timeline) firstSound() *mp4.Track {
	var first *piece
	var at Tick
	for _, s := range t.stretches {
		for _, list := range s.pieces {
			for _, p := range list {
				if len(p.sound) > 0 && (first == nil || p.sound[0].from+s.shift < at) {
					first, at = p, p.sound[0].from+s.shift
				}
			}
		}
		if first != nil {
			return first.aspec
		}
	}
	return nil
}

// end is where a segment ends.
func (t *Timeline) endOf(n int) Tick {
	if n+1 < len(t.cuts) {
		return t.cuts[n+1].at
	}
	return t.End
}

// early is by how much the sound in a file begins before its pictures do, at most.
func (t *Timeline) early() Tick {
	var most Tick
	for _, s := range t.stretches {
		for _, list := range s.pieces {
			for _, p := range list {
				if p.hasV && len(p.sound) > 0 {
					most = max(most, p.vStart-p.sound[0].from)
				}
			}
		}
	}
	return most + minHole
}

// segment writes a segment of all layers, one after the other. The sound follows as far as no file that is not read
// yet can have any of it.
func (w *writer) segment(ctx context.Context, n int) error {
	for i, v := range w.tracks {
		if err := w.pictures(ctx, v, n, i+1 == len(w.tracks) && len(w.others) == 0); err != nil {
			return fmt.Errorf("layer %q: %w", v.info.Name, err)
		}
	}
	for _, p := range w.others {
		for end := w.t.endOf(n); !p.done && (len(w.line.queue) == 0 || w.line.queue[len(w.line.queue)-1].pts < end); {
			if err := p.step(ctx); err != nil {
				return err
			}
		}
	}
	if w.line == nil {
		return nil
	}
	return w.line.flush(w.t.endOf(n) - w.early)
}

// pictures writes one layer's part of a segment.
func (w *writer) pictures(ctx context.Context, v *videoTrack, n int, last bool) error {
	for {
		if last && w.line != nil && len(w.line.queue) > 0 { // all other layers are through with this segment
			if err := w.line.flush(min(v.pull.passed, w.t.endOf(n)) - w.early); err != nil {
				return err
			}
		}
		pic, err := v.pull.peek(ctx)
		if err != nil {
			return err
		}
		if pic == nil || w.t.later(pic, n) {
			break
		}
		pic = v.pull.take()
		if v.movie != nil {
			if err := v.movie.see(pic); err != nil {
				return fmt.Errorf("movie: %w", err)
			}
		}
		if v.pack == nil {
			continue
		}
		if err := w.pack(ctx, v, pic); err != nil {
			return err
		}
	}
	if v.pack == nil {
		return nil
	}
	r, start, end := v.pack, w.t.cuts[n].at, w.t.endOf(n)
	joins := n+1 < len(w.t.cuts) && w.t.cuts[n+1].join
	if r.frag.empty() {
		r.skipTo(start, end)
		r.anew = r.anew || joins
		return nil
	}
	next := r.until(end)
	if head, err := v.pull.peek(ctx); err != nil {
		return err
	} else if head != nil && n+1 < len(w.t.cuts) && !w.t.later(head, n+1) && head.sync {
		next = head.dts
		if r.prompt && (joins || !sameVideo(&r.spec, head.spec)) {
			next = head.pts - r.delay
		}
	}
	r.anew = joins
	return r.finish(ctx, start, end, r.decode(next))
}

// pack puts a picture into the package's segment in work.
func (w *writer) pack(ctx context.Context, v *videoTrack, pic *picture) error {
	r := v.pack
	why := ""
	switch {
	case r.frag.empty() && !pic.sync:
		why = "pictures that no segment can begin with are not in the package"
	case !r.frag.empty() && !sameVideo(&r.spec, pic.spec):
		why = "pictures with other parameters than their segment's are not in the package"
	}
	if why != "" {
		w.note(Defect{Kind: DefectTimestamps, Layer: v.info.Name, Detail: why})
		return nil
	}
	if r.frag.empty() {
		if !r.hasSpec && !r.prompt {
			r.skip = max(0, toScale(pic.pts, pic.spec.Timescale)-toScale(pic.dts, pic.spec.Timescale))
		}
		if err := r.describe(ctx, pic.spec); err != nil {
			return err
		}
	}
	r.add(pic.data, pic.dts, pic.pts, pic.sync)
	return nil
}

// later reports whether a picture belongs to a segment after the n-th.
func (t *Timeline) later(p *picture, n int) bool {
	if p.stretch != t.cuts[n].stretch {
		return p.stretch > t.cuts[n].stretch
	}
	if n+1 == len(t.cuts) || t.cuts[n+1].stretch > p.stretch {
		return false
	}
	next := t.cuts[n+1].at
	return p.sync && p.pts >= next-cutError || p.pts >= next+Timescale
}

// finish writes the playlists and ends the movies.
func (w *writer) finish(ctx context.Context) (*Result, error) {
	res := &Result{Duration: w.t.End.Duration()}
	for _, v := range w.tracks {
		l := LayerResult{LayerInfo: v.info}
		if v.movie != nil {
			sum, err := v.movie.w.Close()
			if err != nil {
				return nil, fmt.Errorf("hls: layer %q: %w", v.info.Name, err)
			}
			l.Movie = &sum
		}
		res.Layers = append(res.Layers, l)
	}
	if w.out.Package != nil {
		if err := w.publish(ctx, res); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(w.defects, func(x, y Defect) int {
		return cmp.Or(cmp.Compare(x.Layer, y.Layer), cmp.Compare(x.File, y.File), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Detail, y.Detail))
	})
	res.Defects = w.defects
	return res, nil
}

// close lets go of everything that is still open.
func (w *writer) close() error {
	var errs []error
	for _, v := range w.tracks {
		errs = append(errs, v.pull.close())
		if v.pack != nil {
			errs = append(errs, v.pack.close())
		}
	}
	for _, p := range w.others {
		errs = append(errs, p.close())
	}
	if w.sound != nil {
		errs = append(errs, w.sound.close())
	}
	return errors.Join(errs...)
}
