package capture

import (
	"errors"
	"fmt"
	"io"
	"sort"
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
	from   int        // number of the unit to begin at
	begin  int        // number of the file's first unit
	marks  []unitMark // of the file, not yet come to
	access Access
}

// OpenTrack begins to read a track at its first unit. The caller closes the reader.
func (c *Capture) OpenTrack(t *TrackIndex) *TrackReader {
	return &TrackReader{c: c, t: t, file: -1}
}

// OpenTrackAt begins to read a track at the unit with a number, counted as in Access.Number and KeyUnit.Unit. From
// there on it gives exactly what a reader from OpenTrack gives. The first Next goes to the nearest place before the
// unit that the index knows and passes over what lies between, some hundred units at most; in a transport stream of
// sound, which cannot be entered in the middle, it reads from the beginning. The caller closes the reader.
func (c *Capture) OpenTrackAt(t *TrackIndex, unit int) *TrackReader {
	r := c.OpenTrack(t)
	r.from = max(unit, 0)
	return r
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
		if r.number < r.from {
			r.number++
			continue
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
	for r.file < len(r.t.Files) && r.number+r.t.Files[r.file].Units <= r.from {
		r.number += r.t.Files[r.file].Units
		r.file++
	}
	if r.file >= len(r.t.Files) {
		return io.EOF
	}
	f := &r.t.Files[r.file]
	r.begin, r.marks = r.number, f.marks
	if err := r.open(f); err != nil {
		return fmt.Errorf("track %s: %w", r.t.Track.ID, err)
	}
	return nil
}

// open opens a file at the last resume point before the unit to begin at, or at its first unit. A point that does not
// fit the file is not used: an index may come from anywhere.
func (r *TrackReader) open(f *FileIndex) (err error) {
	after := sort.Search(len(f.points), func(i int) bool { return f.points[i].unit > r.from-r.begin })
	if after > 0 {
		p := f.points[after-1]
		r.r, r.close, err = r.c.openUnits(r.t.Track, f.File, opening{point: p.state})
		if err == nil {
			r.number = r.begin + p.unit
			return nil
		}
		if !errors.Is(err, errBadPoint) {
			return err
		}
	}
	r.r, r.close, err = r.c.openUnits(r.t.Track, f.File, opening{})
	return err
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
