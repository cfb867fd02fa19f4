package capture

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// ErrIndexUnusable says that a stored index is not one of this capture as it is now, was written by a version of
// another format, or is broken. BuildIndex makes a new one.
var ErrIndexUnusable = errors.New("the stored index cannot be used")

const (
	indexMagic = "rushes index\n"
	// indexVersion rises with every change of the format, of what readers give, and of the states of resume points.
	indexVersion = 1
	// maxIndexBytes is the largest index that is written or read, unpacked: a day of a hundred tracks takes less. A
	// hostile one costs some ten times as much memory.
	maxIndexBytes = 64 << 20
)

// Encode writes the index, so that DecodeIndex can read it in another process or on another machine: some bytes for
// each key unit, compressed. It may be called from several goroutines at once.
func (ix *Index) Encode(w io.Writer) error {
	p := &packer{}
	p.uint(uint64(len(ix.Tracks)))
	for _, t := range ix.Tracks {
		t.pack(p)
	}
	if len(p.b) > maxIndexBytes {
		return fmt.Errorf("write index: its %d bytes are more than the %d that are read", len(p.b), maxIndexBytes)
	}
	head := append([]byte(indexMagic), indexVersion)
	if _, err := w.Write(append(head, ix.print[:]...)); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	z := gzip.NewWriter(w)
	if _, err := z.Write(p.b); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

// DecodeIndex reads what Encode wrote. It is the index that BuildIndex would build of c, without reading c's media; it
// refers to c's manifest. ErrIndexUnusable says that there is no way but to build it; other errors are r's or the file
// system's. The bytes need not be trusted: whatever they are, the memory is bounded, and reading by the index ends.
func DecodeIndex(r io.Reader, c *Capture) (*Index, error) {
	print, _, err := c.fingerprint()
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	in := &watchedReader{r: r}
	data, err := indexBody(in, print)
	if in.err != nil {
		return nil, fmt.Errorf("read index: %w", in.err)
	}
	if err != nil {
		return nil, fmt.Errorf("read index of %s: %w: %w", c.Name, ErrIndexUnusable, err)
	}
	u := &unpacker{b: data}
	ix := &Index{print: print}
	tracks := c.Manifest.Tracks
	if u.count(1) != len(tracks) {
		u.fail()
	}
	for i := range tracks {
		t := unpackTrack(u, &tracks[i])
		t.limit = c.believable()
		if u.bad {
			break
		}
		ix.Tracks = append(ix.Tracks, t)
	}
	if u.bad || len(u.b) > 0 {
		return nil, fmt.Errorf("read index of %s: %w: it contradicts itself", c.Name, ErrIndexUnusable)
	}
	return ix, nil
}

// indexBody checks what stands before the body and unpacks it.
func indexBody(r io.Reader, print fingerprint) ([]byte, error) {
	head := make([]byte, len(indexMagic)+1+len(print))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	switch {
	case string(head[:len(indexMagic)]) != indexMagic:
		return nil, errors.New("it is something else")
	case head[len(indexMagic)] != indexVersion:
		return nil, fmt.Errorf("it has version %d, not %d", head[len(indexMagic)], indexVersion)
	case !bytes.Equal(head[len(indexMagic)+1:], print[:]):
		return nil, errors.New("it is of another capture, or the capture has changed")
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(z, maxIndexBytes+1))
	if err == nil && len(data) > maxIndexBytes {
		err = errors.New("it is too large")
	}
	return data, err
}

// watchedReader remembers an error of its reader that is not its end, to tell it from bytes that make no sense.
type watchedReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (w *watchedReader) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	if err != nil && !isEOF(err) {
		w.err = err
	}
	return n, err
}
