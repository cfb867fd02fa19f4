package mp4

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
)

// tableAt is a sample table in the file; its entries are read when needed.
type tableAt struct {
	present bool
	version byte
	off     int64 // of the first entry
	count   uint32
	width   int64 // bytes per entry
}

// cursor reads the 32-bit words of a table one after the other.
type cursor struct {
	r        io.ReaderAt
	off, end int64
	buf      [4096]byte
	pos, n   int
	err      error
}

func (t tableAt) cursor(r io.ReaderAt) *cursor {
	return &cursor{r: r, off: t.off, end: t.off + int64(t.count)*t.width}
}

// next returns the next word; ok is false at the end and after an error.
func (c *cursor) next() (v uint32, ok bool) {
	if c.pos+4 > c.n {
		if c.err != nil || c.off >= c.end {
			return 0, false
		}
		n := min(int64(len(c.buf)), c.end-c.off)
		if c.err = readFull(c.r, c.buf[:n], c.off); c.err != nil {
			return 0, false
		}
		c.off += n
		c.pos, c.n = 0, int(n)
	}
	v = binary.BigEndian.Uint32(c.buf[c.pos:])
	c.pos += 4
	return v, true
}

// runs reads tables of (count, value) pairs one sample at a time.
type runs struct {
	c     *cursor
	left  uint32
	value uint32
}

func (r *runs) next() (uint32, bool) {
	for r.left == 0 {
		count, ok := r.c.next()
		if !ok {
			return 0, false
		}
		if r.value, ok = r.c.next(); !ok {
			return 0, false
		}
		r.left = count
	}
	r.left--
	return r.value, true
}

// chunkWalk yields the number of samples and the offset of each chunk.
type chunkWalk struct {
	stsc, offsets *cursor
	wide          bool
	chunk         uint32 // 1-based, of the chunk last returned
	perChunk      uint32
	nextFirst     uint32
	nextPer       uint32
	more          bool
}

func (t *MovieTrack) chunkWalk() *chunkWalk {
	w := &chunkWalk{stsc: t.stsc.cursor(t.r), offsets: t.stco.cursor(t.r), wide: t.stco.width == 8}
	w.load()
	return w
}

func (w *chunkWalk) load() {
	w.nextFirst, w.more = w.stsc.next()
	w.nextPer, _ = w.stsc.next()
	w.stsc.next() // sample description index
}

func (w *chunkWalk) next() (off int64, samples uint32, ok bool) {
	word, ok := w.offsets.next()
	if !ok {
		return 0, 0, false
	}
	off = int64(word)
	if w.wide {
		low, _ := w.offsets.next()
		off = int64(uint64(word)<<32 | uint64(low))
	}
	w.chunk++
	// Entries that do not move forward are skipped; Check reports them.
	for w.more && w.nextFirst <= w.chunk {
		w.perChunk = w.nextPer
		w.load()
	}
	return off, w.perChunk, true
}

// MovieSample is one sample of a file. Times are ticks of the track's
// timescale on the movie's presentation line, as in [Sample].
type MovieSample struct {
	Offset   int64
	Size     uint32
	DTS, PTS int64
	// Duration is the stts delta.
	Duration uint32
	Sync     bool
	// Chunk counts the track's chunks from zero.
	Chunk int
}

// Samples yields the track's samples in decoding order, reading the tables as
// it goes. It ends with an error when the tables disagree or cannot be read.
// Several iterations may run at once.
func (t *MovieTrack) Samples() iter.Seq2[MovieSample, error] {
	return func(yield func(MovieSample, error) bool) {
		if err := t.walk(func(s MovieSample) bool { return yield(s, nil) }); err != nil {
			yield(MovieSample{}, fmt.Errorf("mp4: track %d: %w", t.ID, err))
		}
	}
}

// walk calls fn for every sample until it returns false.
func (t *MovieTrack) walk(fn func(MovieSample) bool) error {
	sizes, durations, offsets := t.stsz.cursor(t.r), runs{c: t.stts.cursor(t.r)}, runs{c: t.ctts.cursor(t.r)}
	syncs := t.stss.cursor(t.r)
	nextSync, moreSync := syncs.next()
	chunks := t.chunkWalk()
	var left uint32
	s := MovieSample{Chunk: -1, DTS: -t.mediaStart()}
	var off int64
	for i := range t.SampleCount {
		for left == 0 {
			var ok bool
			if off, left, ok = chunks.next(); !ok {
				return fmt.Errorf("the chunks end at sample %d of %d", i, t.SampleCount)
			}
			s.Chunk++
		}
		left--
		s.Size = t.uniformSize
		if t.uniformSize == 0 {
			s.Size, _ = sizes.next()
		}
		duration, ok := durations.next()
		if !ok {
			return fmt.Errorf("stts ends at sample %d of %d", i, t.SampleCount)
		}
		cts, _ := offsets.next() // missing entries count as zero
		s.Duration, s.Offset = duration, off
		s.PTS = s.DTS + t.compositionOffset(cts)
		s.Sync = !t.stss.present
		if moreSync && nextSync == uint32(i+1) {
			s.Sync = true
			nextSync, moreSync = syncs.next()
		}
		if s.Offset < 0 || s.Offset+int64(s.Size) > t.fileSize {
			return fmt.Errorf("sample %d of %d bytes at %d lies outside the file", i, s.Size, s.Offset)
		}
		if !fn(s) {
			return nil
		}
		s.DTS += int64(duration)
		off += int64(s.Size)
	}
	for _, c := range []*cursor{sizes, durations.c, offsets.c, syncs, chunks.stsc, chunks.offsets} {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// compositionOffset reads a ctts value; in version 0 some writers store
// negative values all the same.
func (t *MovieTrack) compositionOffset(v uint32) int64 { return int64(int32(v)) }
