package mp4

import (
	"errors"
	"fmt"
	"sort"
)

// Ref names a sample that a Writer has taken. It stays valid until the sample
// is dropped or the writer is closed.
type Ref struct {
	// Offset is where the sample lies in the file now, or -1 while it is still
	// buffered. Closing may move it.
	Offset   int64
	Size     uint32
	DTS, PTS int64
	Sync     bool

	track, index int
}

// TailSamples lists the samples of a track, written or still buffered, from its
// last sync sample on, in decoding order. The list is nil when the track has no
// sync sample among its last maxSamples samples (zero or less: no limit),
// because what follows could not be decoded.
func (w *Writer) TailSamples(track, maxSamples int) []Ref {
	if track < 0 || track >= len(w.tracks) {
		return nil
	}
	t := w.tracks[track]
	n := t.log.len()
	first := n - 1
	for ; first >= 0 && !t.log.at(first).sync; first-- {
		if maxSamples > 0 && n-first >= maxSamples {
			return nil
		}
	}
	if first < 0 {
		return nil
	}
	refs := make([]Ref, 0, n-first)
	for i := first; i < n; i++ {
		e := t.log.at(i)
		refs = append(refs, Ref{Offset: -1, Size: e.size, DTS: e.dts, PTS: e.dts + int64(e.cts), Sync: e.sync, track: track, index: i})
	}
	w.locate(t, refs)
	return refs
}

// locate fills in the file offsets of those refs, consecutive samples of one
// track, that are written already.
func (w *Writer) locate(t *trackWriter, refs []Ref) {
	ci := sort.Search(len(t.chunks), func(i int) bool { return int(t.chunks[i].first) > refs[0].index }) - 1
	if ci < 0 {
		return
	}
	c := t.chunks[ci]
	off := c.off + t.log.bytesBetween(int(c.first), refs[0].index)
	for i := range refs {
		for refs[i].index >= int(c.first+c.n) {
			if ci++; ci == len(t.chunks) {
				return
			}
			c = t.chunks[ci]
			off = c.off
		}
		refs[i].Offset = w.payload + off
		off += int64(refs[i].Size)
	}
}

// ReadSample returns a copy of a sample's bytes, from the buffer or from the file.
func (w *Writer) ReadSample(ref Ref) ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	if ref.track < 0 || ref.track >= len(w.tracks) || ref.index < 0 || ref.index >= w.tracks[ref.track].log.len() {
		return nil, fmt.Errorf("mp4: sample %d of track %d does not exist", ref.index, ref.track)
	}
	t := w.tracks[ref.track]
	size := t.log.at(ref.index).size
	out := make([]byte, size)
	for _, p := range t.queue {
		if ref.index >= p.first && ref.index < p.first+p.n {
			copy(out, p.buf[t.log.bytesBetween(p.first, ref.index):])
			return out, nil
		}
	}
	one := []Ref{ref}
	one[0].Offset, one[0].Size = -1, size
	w.locate(t, one)
	if one[0].Offset < 0 {
		return nil, fmt.Errorf("mp4: sample %d of track %d cannot be found", ref.index, ref.track)
	}
	if n, err := w.f.ReadAt(out, one[0].Offset); n < len(out) {
		return nil, fmt.Errorf("mp4: reading back sample %d of track %d: %w", ref.index, ref.track, err)
	}
	return out, nil
}

// DropTail takes the last n samples of a track back. Samples still buffered are
// not written at all; of written ones only the reference is gone, except at
// the very end of the file, where the room is used again.
func (w *Writer) DropTail(track, n int) error {
	if w.err != nil {
		return w.err
	}
	if track < 0 || track >= len(w.tracks) {
		return fmt.Errorf("mp4: track %d does not exist", track)
	}
	t := w.tracks[track]
	if n < 0 || n > t.log.len() {
		return fmt.Errorf("mp4: cannot drop %d of the %d samples of track %d", n, t.log.len(), track)
	}
	for range n {
		dropped := t.log.pop()
		if err := w.unbook(t, track, dropped.size); err != nil {
			return err
		}
		t.last, t.lastDuration = entry{}, 0
		if left := t.log.len(); left > 0 {
			t.last = t.log.at(left - 1)
			t.lastDuration = uint32(dropped.dts - t.last.dts)
		}
	}
	return nil
}

// unbook takes the newest sample out of its pending or written chunk.
func (w *Writer) unbook(t *trackWriter, track int, size uint32) error {
	if last := len(t.queue) - 1; last >= 0 {
		p := t.queue[last]
		p.buf = p.buf[:len(p.buf)-int(size)]
		if p.n--; p.n == 0 {
			t.queue = t.queue[:last]
			w.release(t, p)
		}
		return nil
	}
	last := len(t.chunks) - 1
	if last < 0 {
		return errors.New("mp4: the sample to drop is in no chunk")
	}
	if w.endTrack == track {
		w.end -= int64(size)
	}
	if t.chunks[last].n--; t.chunks[last].n == 0 {
		t.chunks = t.chunks[:last]
		if w.endTrack == track {
			w.endTrack = -1
		}
	}
	return nil
}
