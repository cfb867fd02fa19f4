package hls

import (
	"context"
	"fmt"
)

// listen takes the next frame of the shared sound.
func (w *writer) listen(ctx context.Context, h *heard) error {
	for _, m := range w.movies {
		fits, err := m.listen(h)
		if err != nil {
			return fmt.Errorf("hls: movie: %w", err)
		}
		if !fits {
			w.note(Defect{Kind: DefectConfigChange, Detail: "sound with other parameters than the first is not in the MP4"})
		}
	}
	r := w.sound
	if r == nil {
		return nil
	}
	at := fromScale(h.at, w.line.timescale)
	if !r.hasSpec {
		r.skip = max(0, -h.at)
	}
	differs := r.hasSpec && !sameAudio(&r.spec, h.spec)
	for w.soundAt+1 < len(w.t.cuts) {
		next := w.t.cuts[w.soundAt+1].at
		// Other parameters begin with the segment of the pictures that they came with, a moment early.
		if at < next && !(differs && !r.frag.empty() && next-at < Timescale/2) {
			break
		}
		if err := w.endSound(ctx, r.decode(at), at); err != nil {
			return err
		}
	}
	if differs && !r.frag.empty() {
		w.note(Defect{Kind: DefectConfigChange, Detail: "sound with other parameters than its segment's is not in the package"})
		return nil
	}
	if r.frag.empty() {
		if err := r.describe(ctx, h.spec); err != nil {
			return err
		}
	}
	r.add(h.data, at, at, true)
	w.soundEnd = at + fromScale(h.dur, w.line.timescale)
	return nil
}

// endSound writes the sound's segment in work.
func (w *writer) endSound(ctx context.Context, endDTS int64, end Tick) error {
	r, n := w.sound, w.soundAt
	w.soundAt++
	if r.frag.empty() {
		r.skipTo(w.t.cuts[n].at, w.t.endOf(n))
		return nil
	}
	start := fromScale(r.frag.base-r.skip, r.spec.Timescale)
	return r.finish(ctx, max(start, 0), end, endDTS)
}

// lastSound writes what is left.
func (w *writer) lastSound(ctx context.Context) error {
	for w.sound != nil && w.soundAt < len(w.t.cuts) {
		if err := w.endSound(ctx, w.sound.decode(w.soundEnd), w.soundEnd); err != nil {
			return err
		}
	}
	return nil
}
