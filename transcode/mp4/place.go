package mp4

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"

	mp4ff "github.com/Eyevinn/mp4ff/mp4"
)

const (
	// mdatHeader is kept free in front of the payload: a header of 8 bytes and
	// room for the 8 more that a mdat beyond 4 GiB needs.
	mdatHeader = 16
	// unknownReserve is the room for the moov of an input of unknown length:
	// about two hours of a call.
	unknownReserve = 4 << 20
	maxReserve     = 256 << 20
	reserveMargin  = 64 << 10
	moveBlock      = 1 << 20
)

// reserve decides where the media begins, leaving room for the moov in front.
func (w *Writer) reserve() error {
	var done, total int64
	if w.opt.Forecast != nil {
		done, total = w.opt.Forecast()
	}
	fixed, tables := int64(4096), int64(0)
	for _, t := range w.tracks {
		fixed += int64(1024 + len(t.spec.Name))
		if v := t.spec.Video; v != nil {
			fixed += int64(len(v.Config))
		}
		if t.log.len() == 0 {
			continue
		}
		s := t.gather()
		tables += int64(s.sttsRuns)*8 + int64(s.cttsRuns)*8 + int64(s.samples-s.nonSync)*4 + int64(s.samples)*4
		// Every chunk may have its own stsc entry, and offsets may be wide.
		tables += int64(len(t.queue)+1) * (12 + 8)
	}
	room := fixed + max(unknownReserve, 4*tables)
	if done > 0 && total > 0 {
		// A recording's later part may have more samples per byte than its
		// beginning; half as much again costs a fraction of a per cent.
		ratio := max(1, float64(total)/float64(done))
		room = fixed + reserveMargin + int64(min(1.5*ratio*float64(tables), maxReserve))
	}
	w.payload = min(room, maxReserve)
	w.placed = true
	// What an old file left there would otherwise stay in the free box.
	if err := w.f.Truncate(0); err != nil {
		return fmt.Errorf("mp4: emptying the file: %w", err)
	}
	return nil
}

// Close writes what is still buffered, then the moov; the file is complete
// when it returns without an error. A track with nothing to present is left
// out. Close may be called again and then returns ErrClosed.
func (w *Writer) Close() (Summary, error) {
	if w.err != nil {
		return Summary{}, w.err
	}
	sum, err := w.close()
	if err != nil {
		w.err = err
		return Summary{}, err
	}
	w.err = ErrClosed
	return sum, nil
}

func (w *Writer) close() (Summary, error) {
	if !w.placed {
		if err := w.placeExactly(); err != nil {
			return Summary{}, err
		}
	}
	if err := w.drain(true); err != nil {
		return Summary{}, err
	}
	m, tracks := w.gather()
	if len(m.tracks) == 0 {
		return Summary{}, ErrNoSamples
	}
	sum := Summary{Tracks: tracks, Duration: ticksToDuration(m.duration, MovieTimescale)}
	payload, moov, gap := m.fit(w.payload, w.end)
	if payload != w.payload {
		if err := w.move(payload); err != nil {
			return Summary{}, err
		}
		sum.MoovMoved = true
	}
	if err := w.writeHead(m.ftyp(), moov, gap); err != nil {
		return Summary{}, err
	}
	sum.Size = w.payload + w.end
	if err := w.f.Truncate(sum.Size); err != nil {
		return Summary{}, fmt.Errorf("mp4: setting the file's size: %w", err)
	}
	return sum, nil
}

// placeExactly lays the file out when all of it is still buffered. The moov's
// size depends on how many samples each chunk has, and that is known already.
func (w *Writer) placeExactly() error {
	for _, t := range w.tracks {
		for _, p := range t.queue {
			t.chunks = append(t.chunks, chunk{n: uint32(p.n)})
		}
	}
	m, _ := w.gather()
	w.payload, _, _ = m.fit(0, int64(w.buffered))
	w.placed = true
	for _, t := range w.tracks {
		t.chunks = nil
	}
	if err := w.f.Truncate(0); err != nil {
		return fmt.Errorf("mp4: emptying the file: %w", err)
	}
	return nil
}

// mdatHeaderSize is 16 when the box does not fit into a 32-bit size.
func mdatHeaderSize(payload int64) int64 {
	if payload+8 > math.MaxUint32 {
		return mdatHeader
	}
	return 8
}

// fit returns the first place at or after payload where the media can begin
// with ftyp, moov and the mdat header in front, the moov for that place, and
// the size of the free box between them (0 or at least 8).
func (m *movie) fit(payload, mediaBytes int64) (int64, *mp4ff.MoovBox, int64) {
	for {
		moov := m.moov(payload)
		head := int64(m.ftyp().Size()+moov.Size()) + mdatHeaderSize(mediaBytes)
		gap := payload - head
		if gap == 0 || gap >= 8 {
			return payload, moov, gap
		}
		if gap < 0 {
			payload = head
		} else {
			payload = head + 8
		}
	}
}

// move shifts the media up to a later start, from its end so that nothing is
// overwritten before it was read.
func (w *Writer) move(payload int64) error {
	shift := payload - w.payload
	buf := make([]byte, moveBlock)
	for left := w.end; left > 0; {
		n := min(left, moveBlock)
		left -= n
		if got, err := w.f.ReadAt(buf[:n], w.payload+left); int64(got) < n {
			return fmt.Errorf("mp4: moving the media by %d bytes: %w", shift, err)
		}
		if _, err := w.f.WriteAt(buf[:n], payload+left); err != nil {
			return fmt.Errorf("mp4: moving the media by %d bytes: %w", shift, err)
		}
	}
	w.payload = payload
	return nil
}

// writeHead writes everything before the payload.
func (w *Writer) writeHead(ftyp *mp4ff.FtypBox, moov *mp4ff.MoovBox, gap int64) error {
	out := &offsetWriter{f: w.f}
	buf := bufio.NewWriterSize(out, 64<<10)
	if err := ftyp.Encode(buf); err != nil {
		return fmt.Errorf("mp4: writing ftyp: %w", err)
	}
	if err := moov.Encode(buf); err != nil {
		return fmt.Errorf("mp4: writing moov: %w", err)
	}
	if gap > 0 {
		if _, err := buf.Write(append(binary.BigEndian.AppendUint32(nil, uint32(gap)), "free"...)); err != nil {
			return fmt.Errorf("mp4: writing free: %w", err)
		}
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("mp4: writing the head: %w", err)
	}
	size := mdatHeaderSize(w.end)
	head := binary.BigEndian.AppendUint32(nil, uint32(w.end+8))
	if size == mdatHeader {
		head = binary.BigEndian.AppendUint32(nil, 1)
	}
	head = append(head, "mdat"...)
	if size == mdatHeader {
		head = binary.BigEndian.AppendUint64(head, uint64(w.end+size))
	}
	if _, err := w.f.WriteAt(head, w.payload-size); err != nil {
		return fmt.Errorf("mp4: writing the mdat header: %w", err)
	}
	return nil
}

// offsetWriter writes sequentially into a File.
type offsetWriter struct {
	f   File
	off int64
}

func (w *offsetWriter) Write(p []byte) (int, error) {
	n, err := w.f.WriteAt(p, w.off)
	w.off += int64(n)
	return n, err
}
