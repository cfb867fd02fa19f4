package mp4

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// maxChunkBytes bounds a chunk so that the buffer it is built in is still
	// in the processor's cache when it is written.
	maxChunkBytes = 1 << 20
	// holdBytes of samples are seen before the moov's size is extrapolated.
	holdBytes = 4 << 20
	// spareBuffers is how many chunk buffers a track keeps for reuse.
	spareBuffers = 4
)

// chunk is a run of one track's samples in the file.
type chunk struct {
	off   int64 // from the start of the mdat payload
	first uint32
	n     uint32
}

// pending is a chunk that is not written yet.
type pending struct {
	buf    []byte
	first  int
	n      int
	start  int64 // DTS of the first sample
	closed bool
}

type trackWriter struct {
	spec         Track
	log          sampleLog
	last         entry
	lastDuration uint32
	chunkTicks   int64
	chunks       []chunk
	queue        []*pending
	spare        []*pending
	limit        int64
	limited      bool
}

func newTrackWriter(t Track, chunkDuration time.Duration) *trackWriter {
	ns := min(int64(chunkDuration), int64(time.Hour))
	ticks := ns / int64(time.Second) * int64(t.Timescale)
	ticks += ns % int64(time.Second) * int64(t.Timescale) / int64(time.Second)
	return &trackWriter{spec: t, chunkTicks: max(ticks, 1)}
}

// begin returns the pending chunk that the sample goes to.
func (w *Writer) begin(t *trackWriter, s *Sample, size int) *pending {
	w.started = true
	if n := len(t.queue); n > 0 && !t.queue[n-1].closed {
		p := t.queue[n-1]
		if s.DTS-p.start < t.chunkTicks && len(p.buf)+size <= maxChunkBytes {
			w.buffered -= cap(p.buf)
			return p
		}
		p.closed = true
	}
	var p *pending
	if n := len(t.spare); n > 0 {
		p, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		p = new(pending)
	}
	p.first, p.start = t.log.len(), s.DTS
	t.queue = append(t.queue, p)
	return p
}

// finish books a sample whose bytes were appended to p and writes what is due.
func (w *Writer) finish(t *trackWriter, p *pending, s *Sample, size int) error {
	w.buffered += cap(p.buf)
	p.n++
	t.last = entry{dts: s.DTS, size: uint32(size), cts: int32(s.PTS - s.DTS), sync: s.Sync}
	t.lastDuration = s.Duration
	t.log.push(t.last)
	// Nothing can have become due inside a chunk unless the buffer is full.
	if p.n > 1 && w.buffered <= w.opt.BufferBytes {
		return nil
	}
	if !w.placed {
		if w.buffered < min(holdBytes, w.opt.BufferBytes) {
			return nil
		}
		if err := w.reserve(); err != nil {
			return w.fail(err)
		}
	}
	return w.drain(false)
}

// drain writes pending chunks in the order of their times: each is written when
// no track can still deliver an earlier one, when the buffer is full, or when
// everything has to go.
func (w *Writer) drain(all bool) error {
	for {
		due, withData := w.nextChunk()
		if withData == nil {
			return nil
		}
		switch {
		case due != nil && due.queue[0].closed:
		case all || w.buffered > w.opt.BufferBytes:
			due = withData
		default:
			return nil
		}
		if err := w.writeChunk(due); err != nil {
			return w.fail(err)
		}
	}
}

// nextChunk returns the track whose pending chunk comes first, or nil for due
// when a track that has nothing pending could still deliver an earlier one.
func (w *Writer) nextChunk() (due, withData *trackWriter) {
	earliest, head := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for _, t := range w.tracks {
		at := time.Duration(math.MinInt64)
		switch {
		case len(t.queue) > 0:
			at = ticksToDuration(t.queue[0].start, t.spec.Timescale)
			if withData == nil || at < head {
				withData, head = t, at
			}
		case t.log.len() > 0:
			at = ticksToDuration(t.last.dts+t.nextDuration(), t.spec.Timescale)
		}
		if at < earliest {
			earliest, due = at, t
		}
	}
	if due != nil && len(due.queue) == 0 {
		due = nil
	}
	return due, withData
}

// writeChunk puts the track's first pending chunk at the end of the file.
func (w *Writer) writeChunk(t *trackWriter) error {
	p := t.queue[0]
	if _, err := w.f.WriteAt(p.buf, w.payload+w.end); err != nil {
		return fmt.Errorf("mp4: writing %d bytes of samples: %w", len(p.buf), err)
	}
	t.chunks = append(t.chunks, chunk{off: w.end, first: uint32(p.first), n: uint32(p.n)})
	w.end += int64(len(p.buf))
	w.endTrack = slices.Index(w.tracks, t)
	t.queue = slices.Delete(t.queue, 0, 1)
	w.release(t, p)
	return nil
}

// release gives a pending chunk's buffer back.
func (w *Writer) release(t *trackWriter, p *pending) {
	w.buffered -= cap(p.buf)
	if len(t.spare) < spareBuffers && cap(p.buf) <= 2*maxChunkBytes {
		*p = pending{buf: p.buf[:0]}
		t.spare = append(t.spare, p)
	}
}

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}
