package hls

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
)

// Sink takes the files of a package. Names use "/" and have no leading one. A file
// counts when its writer was closed without an error; playlists come after all
// files that they name. With byte ranges several files are open at once, else one.
type Sink interface {
	// Create begins the file of that name; closing the writer ends it.
	Create(ctx context.Context, name string) (io.WriteCloser, error)
}

// ZipSink writes a package into one zip file, stored and not compressed: the media
// is compressed already. It has one file open at a time, so it takes packages of
// separate segments only.
type ZipSink struct {
	w    *zip.Writer
	open bool
}

// NewZipSink returns a sink that writes to w, which the caller closes after the sink.
func NewZipSink(w io.Writer) *ZipSink { return &ZipSink{w: zip.NewWriter(w)} }

var errZipBusy = errors.New("hls: a zip takes one file at a time")

// Create implements Sink. The entry has no time, so that the same package gives the same bytes.
func (z *ZipSink) Create(ctx context.Context, name string) (io.WriteCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if z.open {
		return nil, errZipBusy
	}
	w, err := z.w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		return nil, fmt.Errorf("hls: adding %q to zip: %w", name, err)
	}
	z.open = true
	return &zipEntry{Writer: w, z: z}, nil
}

// Close writes the zip's directory; without it the zip is not complete. It does not close the writer underneath.
func (z *ZipSink) Close() error {
	if err := z.w.Close(); err != nil {
		return fmt.Errorf("hls: closing zip: %w", err)
	}
	return nil
}

type zipEntry struct {
	io.Writer
	z *ZipSink
}

func (e *zipEntry) Close() error {
	e.z.open = false
	return nil
}

// store puts one whole file into a sink.
func store(ctx context.Context, sink Sink, name string, parts ...[]byte) error {
	w, err := sink.Create(ctx, name)
	if err != nil {
		return fmt.Errorf("hls: creating %q: %w", name, err)
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return errors.Join(fmt.Errorf("hls: writing %q: %w", name, err), w.Close())
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("hls: closing %q: %w", name, err)
	}
	return nil
}
