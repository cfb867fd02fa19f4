package mp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxBoxes bounds the work on a container that claims to be full of tiny boxes.
const maxBoxes = 4096

// boxAt is a box's place in the file.
type boxAt struct {
	kind string
	off  int64 // of the header
	body int64 // of the first byte after the header
	end  int64
}

func (b boxAt) bodySize() int64 { return b.end - b.body }

// boxesIn lists the boxes of one level (ISO/IEC 14496-12, 4.2).
func boxesIn(r io.ReaderAt, from, to int64) ([]boxAt, error) {
	var list []boxAt
	for off := from; off < to; {
		b, err := boxHeader(r, off, to)
		if err != nil {
			return list, err
		}
		if len(list) == maxBoxes {
			return list, fmt.Errorf("more than %d boxes at one level", maxBoxes)
		}
		list = append(list, b)
		off = b.end
	}
	return list, nil
}

func boxHeader(r io.ReaderAt, off, to int64) (boxAt, error) {
	var h [16]byte
	if to-off < 8 {
		return boxAt{}, fmt.Errorf("%d stray bytes at %d", to-off, off)
	}
	if err := readFull(r, h[:8], off); err != nil {
		return boxAt{}, err
	}
	b := boxAt{kind: string(h[4:8]), off: off, body: off + 8}
	size := int64(binary.BigEndian.Uint32(h[:4]))
	switch size {
	case 0:
		size = to - off
	case 1:
		if to-off < 16 {
			return boxAt{}, fmt.Errorf("box %q at %d is cut off", b.kind, off)
		}
		if err := readFull(r, h[8:], off+8); err != nil {
			return boxAt{}, err
		}
		size = int64(binary.BigEndian.Uint64(h[8:]))
		b.body = off + 16
	}
	if size < b.body-off || size > to-off {
		return boxAt{}, fmt.Errorf("box %q at %d claims %d bytes where %d are left", b.kind, off, size, to-off)
	}
	b.end = off + size
	return b, nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := 0, error(nil)
	for n < len(p) && err == nil { // some readers give less than was asked for, and no error
		var got int
		if got, err = r.ReadAt(p[n:], off+int64(n)); got == 0 && err == nil {
			err = io.ErrNoProgress
		}
		n += got
	}
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
}

// small reads a box's body that must fit into limit bytes.
func (b boxAt) small(r io.ReaderAt, limit int64) ([]byte, error) {
	if b.bodySize() > limit {
		return nil, fmt.Errorf("box %q of %d bytes is too large", b.kind, b.bodySize())
	}
	p := make([]byte, b.bodySize())
	return p, readFull(r, p, b.body)
}

// fields reads big-endian values from a box's body; reading past its end gives
// zeros and sets short.
type fields struct {
	p     []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.p) {
		f.short, f.p = true, nil
		return make([]byte, n)
	}
	out := f.p[:n]
	f.p = f.p[n:]
	return out
}

func (f *fields) u8() byte    { return f.take(1)[0] }
func (f *fields) u16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// sized reads a value of 64 bits in version 1 boxes and of 32 in others.
func (f *fields) sized(version byte) int64 {
	if version == 1 {
		return int64(f.u64())
	}
	return int64(f.u32())
}
