package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"rushes/transcode/mp4"
)

// Demuxer reads segments that are not MP4, MPEG-TS above all. The file stays open
// while the reader is used and is closed by the caller of Demux after the reader.
type Demuxer interface {
	// Demux begins to read the segment in f; the caller closes the reader.
	Demux(ctx context.Context, name string, f File) (Reader, error)
}

// Reader gives the access units of one segment. It serves one goroutine. One that
// also has a method Suspect() bool says with it, before the first unit, that the
// segment's end may be missing; it is then read to its end when it is looked at,
// so that another layer's sound can stand in for what it lacks.
type Reader interface {
	// Tracks describes the tracks, which stay the same for the whole segment. It
	// is asked once, before the first unit.
	Tracks() []mp4.Track
	// Next gives the next unit, io.EOF after the last. Units of one track come
	// in decoding order; tracks are interleaved as in the file.
	Next(ctx context.Context) (Unit, error)
	// Data gives the bytes of the unit that Next gave last for the track, as a
	// sample of an MP4 holds them: H.264 with four bytes of length before each NAL
	// unit and without parameter sets, AAC without ADTS. They are good until the
	// next unit of that track.
	Data(track int) ([]byte, error)
	// Close ends the reading. It does not close the file.
	Close() error
}

// Unit is one access unit.
type Unit struct {
	// Track is the index in Reader.Tracks.
	Track int
	// DTS and PTS are in ticks of the track's timescale. Values that wrap at 2^33
	// are unwrapped by the reader inside a segment, not between segments.
	DTS, PTS int64
	// Duration is in ticks of the track's timescale; zero unknown.
	Duration int64
	// Sync marks a picture from which decoding can start (IDR).
	Sync bool
	// Torn marks a unit whose end is missing.
	Torn bool
}

// maxMapBytes is the largest init segment that is read.
const maxMapBytes = 4 << 20

// segmentBytes is a segment seen as a file: its init segment, then a part of its file.
type segmentBytes struct {
	head   []byte
	file   io.ReaderAt
	offset int64
	size   int64 // of the part
}

func (s *segmentBytes) Size() int64 { return int64(len(s.head)) + s.size }

// Close does nothing: the file belongs to who opened it.
func (s *segmentBytes) Close() error { return nil }

func (s *segmentBytes) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= s.Size() {
		return 0, io.EOF
	}
	n := 0
	if off < int64(len(s.head)) {
		n = copy(p, s.head[off:])
	}
	rest := min(int64(len(p)-n), s.Size()-off-int64(n))
	if rest > 0 {
		got, err := s.file.ReadAt(p[n:n+int(rest)], s.offset+off+int64(n)-int64(len(s.head)))
		n += got
		if int64(got) < rest {
			if err == nil {
				err = io.ErrNoProgress
			}
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fragmentReader reads a fragmented MP4.
type fragmentReader struct {
	f    *mp4.Fragments
	last []mp4.FragmentSample
}

func openFragments(ctx context.Context, s *segmentBytes) (*fragmentReader, error) {
	f, err := mp4.OpenFragments(ctx, s, s.Size())
	if err != nil {
		return nil, fmt.Errorf("opening fragments: %w", err)
	}
	return &fragmentReader{f: f, last: make([]mp4.FragmentSample, len(f.Tracks))}, nil
}

func (r *fragmentReader) Tracks() []mp4.Track { return tracksOf(r.f.Tracks) }

func tracksOf(list []*mp4.MovieTrack) []mp4.Track {
	out := make([]mp4.Track, len(list))
	for i, t := range list {
		out[i] = t.Track
	}
	return out
}

func (r *fragmentReader) Next(ctx context.Context) (Unit, error) {
	s, err := r.f.Next(ctx)
	if err != nil {
		return Unit{}, err
	}
	r.last[s.Track] = s
	return Unit{Track: s.Track, DTS: s.DTS, PTS: s.PTS, Duration: int64(s.Duration), Sync: s.Sync, Torn: s.Torn}, nil
}

func (r *fragmentReader) Data(track int) ([]byte, error) {
	p, err := r.f.Data(&r.last[track])
	if err == nil && len(p) < int(r.last[track].Size) {
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

func (r *fragmentReader) Close() error { return nil }

// movieReader reads a progressive MP4, the tracks interleaved by time.
type movieReader struct {
	m      *mp4.Movie
	src    *segmentBytes
	tracks []movieTrack
}

type movieTrack struct {
	next func() (mp4.MovieSample, error, bool)
	stop func()
	head mp4.MovieSample
	live bool
	last mp4.MovieSample
	buf  []byte
}

func openMovie(s *segmentBytes) (*movieReader, error) {
	m, err := mp4.Read(s, s.Size())
	if err != nil {
		return nil, fmt.Errorf("opening movie: %w", err)
	}
	r := &movieReader{m: m, src: s, tracks: make([]movieTrack, len(m.Tracks))}
	for i, t := range m.Tracks {
		mt := &r.tracks[i]
		mt.next, mt.stop = iter.Pull2(t.Samples())
		if err := mt.advance(); err != nil {
			return nil, errors.Join(fmt.Errorf("opening movie: track %d: %w", i+1, err), r.Close())
		}
	}
	return r, nil
}

func (t *movieTrack) advance() error {
	s, err, ok := t.next()
	t.head, t.live = s, ok && err == nil
	return err
}

func (r *movieReader) Tracks() []mp4.Track { return tracksOf(r.m.Tracks) }

func (r *movieReader) Next(ctx context.Context) (Unit, error) {
	if err := ctx.Err(); err != nil {
		return Unit{}, err
	}
	best, bestAt := -1, Tick(0)
	for i := range r.tracks {
		if !r.tracks[i].live {
			continue
		}
		if at := fromScale(r.tracks[i].head.DTS, r.m.Tracks[i].Timescale); best < 0 || at < bestAt {
			best, bestAt = i, at
		}
	}
	if best < 0 {
		return Unit{}, io.EOF
	}
	t := &r.tracks[best]
	s := t.head
	t.last = s
	if err := t.advance(); err != nil {
		return Unit{}, fmt.Errorf("track %d: %w", best+1, err)
	}
	sync := s.Sync || r.m.Tracks[best].Video == nil
	return Unit{Track: best, DTS: s.DTS, PTS: s.PTS, Duration: int64(s.Duration), Sync: sync, Torn: s.Offset+int64(s.Size) > r.src.Size()}, nil
}

func (r *movieReader) Data(track int) ([]byte, error) {
	t := &r.tracks[track]
	n := int64(t.last.Size)
	if t.last.Offset < 0 || t.last.Offset+n > r.src.Size() {
		return nil, io.ErrUnexpectedEOF
	}
	if int64(cap(t.buf)) < n {
		t.buf = make([]byte, n)
	}
	t.buf = t.buf[:n]
	if _, err := r.src.ReadAt(t.buf, t.last.Offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %d bytes at %d: %w", n, t.last.Offset, err)
	}
	return t.buf, nil
}

func (r *movieReader) Close() error {
	for i := range r.tracks {
		if r.tracks[i].stop != nil {
			r.tracks[i].stop()
		}
	}
	return nil
}
