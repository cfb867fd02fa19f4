package mp4

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// ErrClosed is returned by a Writer that was closed or has failed to close.
var ErrClosed = errors.New("mp4: writer is closed")

// ErrNoSamples is returned by Close when there is nothing to present: no
// sample was written, or all of them lie before the start of the movie.
var ErrNoSamples = errors.New("mp4: no samples to present")

// File is where the movie goes; *os.File is one. The writer owns its content
// from byte zero on, but neither syncs nor closes it.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Truncate sets the size in bytes; what is cut off is gone, what is added is zero.
	Truncate(size int64) error
}

// Options holds the settings of a Writer; the zero value is usable.
type Options struct {
	// Forecast tells, when asked, how many input bytes have been consumed and
	// how many there are in all (0 = unknown). The writer asks once, when it
	// has seen enough samples to extrapolate how large the moov will be.
	Forecast func() (done, total int64)
	// BufferBytes is the most bytes of samples held for interleaving; it
	// defaults to 16 MiB.
	BufferBytes int
	// ChunkDuration is the longest run of one track before the next track's
	// turn; it defaults to 500 ms.
	ChunkDuration time.Duration
}

// Summary tells what Close has written.
type Summary struct {
	// Size is the file's length in bytes.
	Size int64
	// Duration is the length of the presentation.
	Duration time.Duration
	// Tracks has one entry per AddTrack, in that order.
	Tracks []TrackSummary
	// MoovMoved is set when the reserved room was too small and the media had
	// to be moved up: correct, but it costs a second pass.
	MoovMoved bool
}

// TrackSummary tells what Close has written of one track.
type TrackSummary struct {
	// Samples counts the samples in the file; zero when the track was left out.
	Samples int
	// Duration is the presented time, without an empty edit in front.
	Duration time.Duration
	// Start is where on the movie's line the track's presentation begins.
	Start time.Duration
}

// Writer writes one progressive MP4 with its moov first. It must not be used
// by two goroutines at once. After an error of the file underneath every later
// call returns that error.
type Writer struct {
	f        File
	opt      Options
	tracks   []*trackWriter
	payload  int64 // where the mdat's payload begins in the file, once placed
	placed   bool
	end      int64 // bytes of payload written
	endTrack int   // track whose chunk is the last in the file, -1 if none
	buffered int   // capacity of all buffers that hold samples
	started  bool
	err      error
}

// NewWriter returns a Writer on f. It writes nothing before it has samples.
func NewWriter(f File, opt Options) *Writer {
	opt.BufferBytes = cmp.Or(max(opt.BufferBytes, 0), 16<<20)
	opt.ChunkDuration = cmp.Or(max(opt.ChunkDuration, 0), 500*time.Millisecond)
	return &Writer{f: f, opt: opt, endTrack: -1}
}

// AddTrack declares a track and returns its index. All tracks are added before
// the first sample is written.
func (w *Writer) AddTrack(t Track) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.started {
		return 0, errors.New("mp4: a track was added after the first sample")
	}
	if err := t.validate(); err != nil {
		return 0, fmt.Errorf("mp4: track %d: %w", len(w.tracks), err)
	}
	w.tracks = append(w.tracks, newTrackWriter(t, w.opt.ChunkDuration))
	return len(w.tracks) - 1, nil
}

// Write adds a sample to a track. The data is copied or written before Write
// returns; the caller keeps it.
func (w *Writer) Write(track int, s Sample) error {
	t, err := w.admit(track, &s, len(s.Data))
	if err != nil {
		return err
	}
	p := w.begin(t, &s, len(s.Data))
	p.buf = append(p.buf, s.Data...)
	return w.finish(t, p, &s, len(s.Data))
}

// WriteV is Write for a sample whose bytes are given in pieces; s.Data must be
// nil. It saves the caller from joining them.
func (w *Writer) WriteV(track int, s Sample, parts ...[]byte) error {
	if s.Data != nil {
		return errors.New("mp4: WriteV was given both data and parts")
	}
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	t, err := w.admit(track, &s, size)
	if err != nil {
		return err
	}
	p := w.begin(t, &s, size)
	for _, part := range parts {
		p.buf = append(p.buf, part...)
	}
	return w.finish(t, p, &s, size)
}

// SetEnd says that the presentation of a track ends at the given tick of the
// movie's line, which trims an encoder's padding through the edit list. It may
// be called any time before Close; it cannot lengthen a track.
func (w *Writer) SetEnd(track int, ticks int64) {
	if track >= 0 && track < len(w.tracks) {
		w.tracks[track].limit, w.tracks[track].limited = ticks, true
	}
}

// maxTicks keeps sums and differences of times far from overflow.
const maxTicks = 1 << 60

// admit decides whether a sample may follow what was written before.
func (w *Writer) admit(track int, s *Sample, size int) (*trackWriter, error) {
	if w.err != nil {
		return nil, w.err
	}
	if track < 0 || track >= len(w.tracks) {
		return nil, fmt.Errorf("mp4: track %d does not exist", track)
	}
	t := w.tracks[track]
	fail := func(format string, args ...any) (*trackWriter, error) {
		return nil, fmt.Errorf("mp4: track %d sample %d: %w", track, t.log.len(), fmt.Errorf(format, args...))
	}
	if s.DTS < -maxTicks || s.DTS > maxTicks {
		return fail("DTS %d is out of range", s.DTS)
	}
	if off := s.PTS - s.DTS; s.PTS < -2*maxTicks || s.PTS > 2*maxTicks || off < math.MinInt32/2 || off > math.MaxInt32/2 {
		return fail("PTS %d is too far from DTS %d", s.PTS, s.DTS)
	}
	if int64(size) > math.MaxInt32 {
		return fail("%d bytes are too many", size)
	}
	if t.log.len() > 0 {
		if s.DTS <= t.last.dts {
			return fail("DTS %d does not follow %d", s.DTS, t.last.dts)
		}
		if s.DTS-t.last.dts > math.MaxUint32 {
			return fail("DTS %d is too far from %d", s.DTS, t.last.dts)
		}
	}
	return t, nil
}

// nextDuration is how long the newest sample lasts as far as is known.
func (t *trackWriter) nextDuration() int64 {
	if t.lastDuration > 0 {
		return int64(t.lastDuration)
	}
	if n := t.log.len(); n > 1 {
		return t.last.dts - t.log.at(n-2).dts
	}
	return 1
}
