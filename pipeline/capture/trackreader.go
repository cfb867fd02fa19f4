package capture

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Access is a unit with its place on the session clock.
type Access struct {
	*Unit
	// Number counts the units of the track from 0.
	Number int
	// Ticks is the session time in ticks of the track's clock rate: zero is the capture's started_at.
	Ticks int64
	// At is the same as a duration.
	At time.Duration
}

// TrackReader gives the access units of a track, all its files in a row, in the order of decoding. It holds a
// bounded part of one file in memory and serves one goroutine at a time.
type TrackReader struct {
	c      *Capture
	t      *TrackIndex
	file   int
	r      UnitReader
	close  func() error
	number int
	begin  int        // number of the file's first unit
	marks  []unitMark // of the file, not yet come to
	access Access
}

// OpenTrack begins to read a track at its first unit. The caller closes the reader.
func (c *Capture) OpenTrack(t *TrackIndex) *TrackReader {
	return &TrackReader{c: c, t: t, file: -1}
}

// Next gives the next unit, io.EOF after the last. What it returns is good until the next call. Files that the
// index found to be broken end where they ended then.
func (r *TrackReader) Next() (*Access, error) {
	for {
		if r.r == nil {
			if err := r.nextFile(); err != nil {
				return nil, err
			}
		}
		u, err := r.r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) && !badFile(err) {
				return nil, fmt.Errorf("track %s: %w", r.t.Track.ID, err)
			}
			if err := r.endFile(); err != nil {
				return nil, err
			}
			continue
		}
		for len(r.marks) > 0 && r.marks[0].unit <= r.number-r.begin {
			if r.marks[0].unit == r.number-r.begin {
				r.marks[0].apply(u)
			}
			r.marks = r.marks[1:]
		}
		f := &r.t.Files[r.file]
		ticks := f.First + (u.Ticks-r.zero())*f.num/f.den
		at := r.t.Mapping.Session(ticks)
		r.access = Access{Unit: u, Number: r.number, At: at, Ticks: durationTicks(at, r.t.Mapping.Rate)}
		r.number++
		if at > r.t.limit {
			continue
		}
		return &r.access, nil
	}
}

// zero is the tick of the file's first unit in the file's own count.
func (r *TrackReader) zero() int64 {
	f := &r.t.Files[r.file]
	return f.First - f.Base
}

func (r *TrackReader) nextFile() error {
	r.file++
	if r.file >= len(r.t.Files) {
		return io.EOF
	}
	r.begin, r.marks = r.number, r.t.Files[r.file].marks
	var err error
	r.r, r.close, err = r.c.openUnits(r.t.Track, r.t.Files[r.file].File)
	if err != nil {
		return fmt.Errorf("track %s: %w", r.t.Track.ID, err)
	}
	return nil
}

func (r *TrackReader) endFile() error {
	if r.r == nil {
		return nil
	}
	r.r = nil
	if err := r.close(); err != nil {
		return fmt.Errorf("track %s: %w", r.t.Track.ID, err)
	}
	return nil
}

// Close frees what the reader holds. It may be called again.
func (r *TrackReader) Close() error {
	r.file = len(r.t.Files)
	return r.endFile()
}
