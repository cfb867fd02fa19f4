package backup

import (
	"errors"
	"io"
	"os"
)

// body is a body that can be read a second time: it goes back in it, or keeps
// what was read in a temporary file that has no name.
type body struct {
	from   io.Reader
	seeker io.Seeker // nil when from cannot go back
	start  int64
	spool  *os.File // nil when from can go back, or nothing was read yet
	folder string
	err    error // of from or of the spool
}

func newBody(from io.Reader, folder string) *body {
	b := &body{from: from, folder: folder}
	if seeker, ok := from.(io.Seeker); ok {
		// Some that have the method cannot do it: a pipe.
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil {
			b.seeker, b.start = seeker, start
		}
	}
	return b
}

// Read reads on, and keeps what it reads where it must.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	if n > 0 && b.seeker == nil {
		if keepErr := b.keep(p[:n]); keepErr != nil {
			b.err = keepErr
			return 0, keepErr
		}
	}
	return n, err
}

func (b *body) keep(p []byte) error {
	if b.spool == nil {
		f, err := os.CreateTemp(b.folder, "rushes-put-*")
		if err != nil {
			return err
		}
		b.spool = f
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	_, err := b.spool.Write(p)
	return err
}

// failed reports whether an error was the body's own.
func (b *body) failed() bool { return b.err != nil }

// again returns the body from its start on.
func (b *body) again() (io.Reader, error) {
	if b.seeker != nil {
		_, err := b.seeker.Seek(b.start, io.SeekStart)
		return b.from, err
	}
	if b.spool == nil {
		return b.from, nil
	}
	if _, err := b.spool.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.MultiReader(b.spool, b.from), nil
}

// close gives the temporary file back.
func (b *body) close() error {
	if b.spool == nil {
		return nil
	}
	return b.spool.Close()
}
