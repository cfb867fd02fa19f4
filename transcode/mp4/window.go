package mp4

import "io"

const (
	smallWindow = 4 << 10
	readWindow  = 256 << 10 // large enough for few system calls, small enough to stay in the processor's cache
)

// window reads pieces of a file that mostly follow each other through one buffer.
type window struct {
	r   io.ReaderAt
	end int64 // reading ahead stops here
	buf []byte
	at  int64 // of buf[0]
}

// get gives n bytes at an offset, which must be in the file. They are good until the next call.
func (w *window) get(off, n int64) ([]byte, error) {
	from := off - w.at
	if from >= 0 && from+n <= int64(len(w.buf)) {
		return w.buf[from : from+n], nil
	}
	kept := 0
	if from >= 0 && from < int64(len(w.buf)) {
		kept = copy(w.buf, w.buf[from:])
	}
	want := max(n, min(readWindow, w.end-off))
	if int64(cap(w.buf)) < want {
		grown := make([]byte, max(want, min(2*int64(cap(w.buf)), readWindow)))
		copy(grown, w.buf[:kept])
		w.buf = grown
	}
	w.buf, w.at = w.buf[:want], off
	if err := readFull(w.r, w.buf[kept:], off+int64(kept)); err != nil {
		w.buf = w.buf[:0]
		return nil, err
	}
	return w.buf[:n], nil
}
