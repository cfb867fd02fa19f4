package capture

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// opening is how a file of a track is opened.
type opening struct {
	// point is where to go on reading; nil begins at the first unit.
	point []byte
	// meter counts what is read until ctx says why to stop; both may be nil.
	meter *meter
	ctx   func() error
}

// openUnits opens a file of a track and the reader that its bytes ask for.
func (c *Capture) openUnits(track *Track, file *File, how opening) (_ UnitReader, closeAll func() error, err error) {
	f, err := c.OpenFile(file.Path)
	if err != nil {
		return nil, nil, err
	}
	closers := []io.Closer{f}
	closeOpen := func() error {
		var errs []error
		for i := len(closers) - 1; i >= 0; i-- {
			errs = append(errs, closers[i].Close())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeOpen())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("size of %s: %w", file.Path, err)
	}
	if info.Size() == 0 {
		return nil, nil, &InputError{File: file.Path, Reason: "the file is empty"}
	}
	cfg := ReaderConfig{Name: file.Path, Kind: track.Kind, Codec: track.Codec, ClockRate: track.ClockRate, Size: info.Size(), Length: c.fileLength(file), point: how.point}
	if file.Frames != "" {
		frames, err := c.OpenFile(file.Frames)
		if err == nil {
			closers = append(closers, frames)
			cfg.Frames = frames
		} else if !badFile(err) {
			return nil, nil, err
		}
	}
	var in FileReader = f
	if how.meter != nil {
		in = meteredFile{FileReader: f, meter: how.meter, giveUp: how.ctx}
	}
	r, err := NewReader(file.Format, in, cfg)
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, r)
	return r, closeOpen, nil
}

// sizeOf is the size of a file of the capture, 0 when it has none.
func (c *Capture) sizeOf(name string) int64 {
	info, err := c.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// fileLength is the wall time of a file's packets as the manifest tells it, or the rest of the session, or 0.
func (c *Capture) fileLength(f *File) time.Duration {
	begin := f.StartedAt.Time
	if f.StartedAt.IsZero() {
		begin = c.Session.Start
	}
	end := f.EndedAt.Time
	if f.EndedAt.IsZero() {
		end = c.Session.Stop
	}
	if end.IsZero() || !end.After(begin) {
		return 0
	}
	return end.Sub(begin)
}
