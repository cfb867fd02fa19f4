package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// dumpBuffer is what is read of a dump at once.
const dumpBuffer = 256 << 10

// recordReader reads the records of a dump one after the other and keeps account of what is left at the end.
type recordReader struct {
	f    io.ReadSeeker
	in   *bufio.Reader
	name string
	size int64  // of the file, 0 unknown
	last int64  // beginning of the last whole record
	pos  int64  // its end
	torn *int64 // gets the bytes that could not be used
	done bool
}

func newRecordReader(f FileReader, cfg ReaderConfig) recordReader {
	buffer := dumpBuffer
	if cfg.Size > 0 { // most files of a call are small
		buffer = int(min(max(cfg.Size, 4096), dumpBuffer))
	}
	return recordReader{f: f, in: bufio.NewReaderSize(f, buffer), name: cfg.Name, size: cfg.Size}
}

// record passes over a record's header, which was peeked at, and reads the n bytes behind it into buf.
func (r *recordReader) record(buf []byte, header, n int) ([]byte, error) {
	if _, err := r.in.Discard(header); err != nil {
		return buf, r.end(0, err)
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if got, err := io.ReadFull(r.in, buf); err != nil {
		return buf, r.end(header+got, err)
	}
	r.last = r.pos
	r.pos += int64(header + n)
	return buf, nil
}

// place implements rtpSource.
func (r *recordReader) place() (last, next int64) { return r.last, r.pos }

// seek implements rtpSource.
func (r *recordReader) seek(to int64) error {
	if ahead := to - r.pos; !r.done && ahead >= 0 && ahead <= int64(r.in.Buffered()) {
		if _, err := r.in.Discard(int(ahead)); err != nil {
			return fmt.Errorf("reading %s: %w", r.name, err)
		}
	} else {
		if _, err := r.f.Seek(to, io.SeekStart); err != nil {
			return fmt.Errorf("going to byte %d of %s: %w", to, r.name, err)
		}
		r.in.Reset(r.f)
	}
	r.pos, r.done = to, false
	return nil
}

// end notes what is left over of the file; left bytes of it have been read or looked at. Records have no mark by
// which the next could be found again, so nothing behind a broken one is used.
func (r *recordReader) end(left int, err error) error {
	if !isEOF(err) {
		return fmt.Errorf("reading %s: %w", r.name, err)
	}
	r.done = true
	*r.torn = int64(left)
	if r.size > r.pos {
		*r.torn = r.size - r.pos
	}
	return io.EOF
}

// dumpHeaderError says why a file does not begin as its format does.
func dumpHeaderError(name string, head []byte, magic, format string) error {
	switch {
	case len(head) == 0:
		return &InputError{File: name, Reason: "the file is empty"}
	case len(head) < len(magic) && bytes.HasPrefix([]byte(magic), head):
		return &InputError{File: name, Reason: "the file ends within the " + format + " header"}
	}
	return &InputError{
		File: name, Reason: "the file does not begin as " + format + " does", Hint: "check its \"format\" in the manifest",
	}
}

// isEOF tells whether the file ended, between records or within one.
func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
