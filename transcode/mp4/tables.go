package mp4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/Eyevinn/mp4ff/bits"
	mp4ff "github.com/Eyevinn/mp4ff/mp4"
)

// table is a sample table box that produces its entries while it is written,
// so that no second copy of the samples' data is ever built. It fits into
// mp4ff's tree of boxes.
type table struct {
	name string
	head []byte // version, flags and counts
	body int64  // bytes that fill writes
	fill func(w *tableWriter)
}

var _ mp4ff.Box = (*table)(nil)

func (b *table) Type() string { return b.name }

func (b *table) Size() uint64 { return uint64(8 + int64(len(b.head)) + b.body) }

func (b *table) Encode(w io.Writer) error {
	if err := mp4ff.EncodeHeader(b, w); err != nil {
		return fmt.Errorf("%s header: %w", b.name, err)
	}
	tw := &tableWriter{w: w}
	tw.bytes(b.head)
	b.fill(tw)
	tw.flush()
	if tw.err != nil {
		return fmt.Errorf("%s: %w", b.name, tw.err)
	}
	if want := int64(len(b.head)) + b.body; tw.total != want {
		return fmt.Errorf("%s: wrote %d bytes where %d were announced", b.name, tw.total, want)
	}
	return nil
}

func (b *table) EncodeSW(sw bits.SliceWriter) error {
	var buf bytes.Buffer
	if err := b.Encode(&buf); err != nil {
		return err
	}
	sw.WriteBytes(buf.Bytes())
	return sw.AccError()
}

func (b *table) Info(w io.Writer, _, indent, _ string) error {
	_, err := fmt.Fprintf(w, "%s[%s] size=%d\n", indent, b.name, b.Size())
	return err
}

// tableWriter writes big-endian numbers through a small buffer.
type tableWriter struct {
	w     io.Writer
	buf   [4096]byte
	n     int
	total int64
	err   error
}

func (w *tableWriter) flush() {
	if w.n > 0 && w.err == nil {
		_, w.err = w.w.Write(w.buf[:w.n])
	}
	w.total += int64(w.n)
	w.n = 0
}

func (w *tableWriter) bytes(p []byte) {
	for _, b := range p {
		if w.n == len(w.buf) {
			w.flush()
		}
		w.buf[w.n] = b
		w.n++
	}
}

func (w *tableWriter) u32(v uint32) {
	if w.n+4 > len(w.buf) {
		w.flush()
	}
	binary.BigEndian.PutUint32(w.buf[w.n:], v)
	w.n += 4
}

func (w *tableWriter) u64(v uint64) {
	w.u32(uint32(v >> 32))
	w.u32(uint32(v))
}

// fullHead is version, flags zero, and the given 32-bit fields.
func fullHead(version byte, fields ...uint32) []byte {
	out := []byte{version, 0, 0, 0}
	for _, f := range fields {
		out = binary.BigEndian.AppendUint32(out, f)
	}
	return out
}

// stts is the decoding time to sample box (ISO/IEC 14496-12, 8.6.1.2).
func (t *trackWriter) stts(s *trackStats) *table {
	return &table{name: "stts", head: fullHead(0, s.sttsRuns), body: int64(s.sttsRuns) * 8, fill: func(w *tableWriter) {
		var run uint32
		var delta int64
		add := func(d int64) {
			if run > 0 && d != delta {
				w.u32(run)
				w.u32(uint32(delta))
				run = 0
			}
			delta = d
			run++
		}
		var prev int64
		first := true
		for e := range t.log.all() {
			if !first {
				add(e.dts - prev)
			}
			prev, first = e.dts, false
		}
		add(t.nextDuration())
		w.u32(run)
		w.u32(uint32(delta))
	}}
}

// ctts is the composition time to sample box (8.6.1.3), version 1 when an
// offset is negative.
func (t *trackWriter) ctts(s *trackStats) *table {
	var version byte
	if s.minCTS+s.shift < 0 {
		version = 1
	}
	return &table{name: "ctts", head: fullHead(version, s.cttsRuns), body: int64(s.cttsRuns) * 8, fill: func(w *tableWriter) {
		var run uint32
		var cts int32
		put := func() {
			w.u32(run)
			w.u32(uint32(int32(int64(cts) + s.shift)))
		}
		for e := range t.log.all() {
			if run > 0 && e.cts != cts {
				put()
				run = 0
			}
			cts = e.cts
			run++
		}
		put()
	}}
}

// stss is the sync sample box (8.6.2).
func (t *trackWriter) stss(s *trackStats) *table {
	n := uint32(s.samples - s.nonSync)
	return &table{name: "stss", head: fullHead(0, n), body: int64(n) * 4, fill: func(w *tableWriter) {
		var i uint32
		for e := range t.log.all() {
			i++
			if e.sync {
				w.u32(i)
			}
		}
	}}
}

// stsz is the sample size box (8.7.3.2).
func (t *trackWriter) stsz(s *trackStats) *table {
	// Size zero in the header would mean that a table follows.
	if s.uniform && s.size0 > 0 {
		return &table{name: "stsz", head: fullHead(0, s.size0, uint32(s.samples)), fill: func(*tableWriter) {}}
	}
	return &table{name: "stsz", head: fullHead(0, 0, uint32(s.samples)), body: int64(s.samples) * 4, fill: func(w *tableWriter) {
		for e := range t.log.all() {
			w.u32(e.size)
		}
	}}
}

// stsc is the sample to chunk box (8.7.4).
func (t *trackWriter) stsc(s *trackStats) *table {
	return &table{name: "stsc", head: fullHead(0, s.stscRuns), body: int64(s.stscRuns) * 12, fill: func(w *tableWriter) {
		var n uint32
		for i, c := range t.chunks {
			if c.n != n {
				w.u32(uint32(i + 1))
				w.u32(c.n)
				w.u32(1)
				n = c.n
			}
		}
	}}
}

// chunkOffsets is the chunk offset box (8.7.5), 64 bits wide when wide.
func (t *trackWriter) chunkOffsets(payload int64, wide bool) *table {
	n := uint32(len(t.chunks))
	if wide {
		return &table{name: "co64", head: fullHead(0, n), body: int64(n) * 8, fill: func(w *tableWriter) {
			for _, c := range t.chunks {
				w.u64(uint64(payload + c.off))
			}
		}}
	}
	return &table{name: "stco", head: fullHead(0, n), body: int64(n) * 4, fill: func(w *tableWriter) {
		for _, c := range t.chunks {
			w.u32(uint32(payload + c.off))
		}
	}}
}
