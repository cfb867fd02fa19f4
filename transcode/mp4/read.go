package mp4

import (
	"errors"
	"fmt"
	"io"
)

// ErrNotProgressive is wrapped by the error of Read for a file that has no moov
// or keeps its samples in fragments.
var ErrNotProgressive = errors.New("not a progressive MP4")

// Movie is an opened progressive MP4. It reads from the file given to Read for
// as long as it is used, and may be used by several goroutines if the file may.
type Movie struct {
	// Brands holds the major brand, then the compatible ones.
	Brands []string
	// Timescale is the number of movie ticks per second.
	Timescale uint32
	// Duration is mvhd's, in movie ticks.
	Duration int64
	Tracks   []*MovieTrack

	top []boxAt
}

// Edit is one entry of an edit list.
type Edit struct {
	// Duration is in movie ticks.
	Duration int64
	// MediaTime is in track ticks; -1 marks an empty edit.
	MediaTime int64
	// Rate is 16.16 fixed point; 1<<16 is normal speed.
	Rate int32
}

// MovieTrack is one track of a Movie. The embedded Track is what a Writer
// would need to write it again; a track that is neither video nor audio, or
// whose codec is not known, has no configuration.
type MovieTrack struct {
	Track
	// ID is the track's number in the file.
	ID uint32
	// Handler is the handler type, "vide" or "soun" for most.
	Handler string
	Edits   []Edit
	// HeaderDuration is tkhd's duration in movie ticks.
	HeaderDuration int64
	// MediaDuration is mdhd's duration in track ticks.
	MediaDuration int64
	SampleCount   int
	// Roll is set when the samples are in a roll group of distance -1.
	Roll bool

	r                            io.ReaderAt
	fileSize                     int64
	movieTimescale               uint32
	uniformSize                  uint32
	descriptions                 uint32 // entries of stsd
	stts, ctts, stsc, stsz, stss tableAt
	stco                         tableAt
	rollEntry, rollGroup         bool
	tkhdMatrix                   [9]int32 // kept until stsd tells that the track is video
}

// PresentationStart is where on the movie's line the track's first normal edit
// begins, in ticks of the track.
func (t *MovieTrack) PresentationStart() int64 {
	var empty int64
	for _, e := range t.Edits {
		if e.MediaTime >= 0 {
			break
		}
		empty += e.Duration
	}
	return rescale(empty, t.movieTimescale, t.Timescale)
}

// mediaTime is where the first normal edit begins on the media line.
func (t *MovieTrack) mediaTime() int64 {
	for _, e := range t.Edits {
		if e.MediaTime >= 0 {
			return e.MediaTime
		}
	}
	return 0
}

// mediaStart is the media time of the movie's moment zero.
func (t *MovieTrack) mediaStart() int64 { return t.mediaTime() - t.PresentationStart() }

const (
	maxTracks   = 64
	maxSmallBox = 1 << 20
)

// Read opens the progressive MP4 of the given size in bytes. It reads the
// headers only; samples are read by [MovieTrack.Samples].
func Read(r io.ReaderAt, size int64) (*Movie, error) {
	m, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("mp4: %w", err)
	}
	return m, nil
}

func read(r io.ReaderAt, size int64) (*Movie, error) {
	m := &Movie{}
	var err error
	if m.top, err = boxesIn(r, 0, size); err != nil && len(m.top) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrNotProgressive, err)
	}
	var moov *boxAt
	for i, b := range m.top {
		switch {
		case b.kind == "ftyp" && m.Brands == nil:
			p, err := b.small(r, 4096)
			if err != nil {
				return nil, err
			}
			m.Brands = brands(p)
		case b.kind == "moov" && moov == nil:
			moov = &m.top[i]
		case b.kind == "moof":
			return nil, fmt.Errorf("%w: it is fragmented", ErrNotProgressive)
		}
	}
	if moov == nil {
		return nil, fmt.Errorf("%w: no moov", ErrNotProgressive)
	}
	if err != nil {
		return nil, err
	}
	return m, m.readMoov(r, *moov, size, false)
}

func brands(p []byte) []string {
	var out []string
	for i := 0; i+4 <= len(p); i += 4 {
		if i != 4 { // minor version
			out = append(out, string(p[i:i+4]))
		}
	}
	return out
}

func (m *Movie) readMoov(r io.ReaderAt, moov boxAt, size int64, fragmented bool) error {
	list, err := boxesIn(r, moov.body, moov.end)
	if err != nil {
		return fmt.Errorf("moov: %w", err)
	}
	for _, b := range list {
		if b.kind != "mvhd" {
			continue
		}
		p, err := b.small(r, 4096)
		if err != nil {
			return err
		}
		f := fields{p: p}
		version := f.u8()
		f.take(3)
		f.sized(version)
		f.sized(version)
		m.Timescale = f.u32()
		m.Duration = f.sized(version)
		if f.short || m.Timescale == 0 {
			return errors.New("mvhd is damaged")
		}
	}
	if m.Timescale == 0 {
		return errors.New("moov has no mvhd")
	}
	for _, b := range list {
		if b.kind == "mvex" && !fragmented {
			return fmt.Errorf("%w: it is fragmented", ErrNotProgressive)
		}
		if b.kind != "trak" {
			continue
		}
		if len(m.Tracks) == maxTracks {
			return fmt.Errorf("more than %d tracks", maxTracks)
		}
		t := &MovieTrack{r: r, fileSize: size, movieTimescale: m.Timescale}
		if err := t.read(b); err != nil {
			return fmt.Errorf("track %d: %w", len(m.Tracks)+1, err)
		}
		m.Tracks = append(m.Tracks, t)
	}
	return nil
}
