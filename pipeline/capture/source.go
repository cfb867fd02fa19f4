package capture

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
)

const (
	// maxUnitBytes is the largest unit that a reader gives. The largest key frame seen of a 4K camera is 2 MiB; what
	// is larger is a length field that lies, and must not cost its memory.
	maxUnitBytes = 32 << 20
	// sourceBytes is how much is asked of the file at once.
	sourceBytes = 256 << 10
)

// byteSource reads a file front to back through one buffer, so that units can be handed out without being copied. The
// buffer grows with the bytes that really come, not with what a length field promises.
type byteSource struct {
	r          io.Reader
	buf        []byte
	start, end int
	// off is the file offset of buf[start].
	off int64
	err error
}

func newByteSource(r io.Reader) *byteSource {
	return &byteSource{r: r, buf: make([]byte, sourceBytes)}
}

// peek returns the next n bytes without going past them. At the end of the file, or after an error, there are fewer:
// failed then tells the two apart. The slice is good until the next call.
func (s *byteSource) peek(n int) []byte {
	if s.end-s.start < n {
		s.fill(n)
	}
	return s.buf[s.start:min(s.end, s.start+n)]
}

// held returns everything in the buffer, without reading.
func (s *byteSource) held() []byte { return s.buf[s.start:s.end] }

func (s *byteSource) fill(n int) {
	if s.start > 0 && s.start+n > len(s.buf) {
		copy(s.buf, s.buf[s.start:s.end])
		s.start, s.end = 0, s.end-s.start
	}
	for idle := 0; s.end-s.start < n && s.err == nil; idle++ {
		if s.end == len(s.buf) {
			grown := make([]byte, max(2*len(s.buf), sourceBytes))
			copy(grown, s.buf[s.start:s.end])
			s.buf, s.start, s.end = grown, 0, s.end-s.start
		}
		var got int
		got, s.err = s.r.Read(s.buf[s.end:])
		s.end += got
		if got > 0 {
			idle = 0
		} else if idle > 100 && s.err == nil {
			s.err = io.ErrNoProgress
		}
	}
}

// skip goes n bytes on and returns how many there were.
func (s *byteSource) skip(n int64) int64 {
	var done int64
	for {
		step := min(n-done, int64(s.end-s.start))
		s.start += int(step)
		s.off += step
		done += step
		if done == n || s.err != nil {
			return done
		}
		s.start, s.end = 0, 0
		s.fill(1)
	}
}

// failed returns why reading stopped, nil when it was the end of the file.
func (s *byteSource) failed(name string) error {
	if s.err == nil || errors.Is(s.err, io.EOF) {
		return nil
	}
	return fmt.Errorf("reading %s at byte %d: %w", name, s.off+int64(s.end-s.start), s.err)
}

// ended reports that the file has no more bytes than the buffer holds.
func (s *byteSource) ended() bool { return s.err != nil }

// maxTicks bounds the times that files may claim: sums and differences of two stay far from overflow.
const maxTicks = 1 << 60

// rescale returns v*num/den rounded to the nearest, halves away from zero. num and den are positive. The result is
// clamped to ±maxTicks.
func rescale(v, num, den int64) int64 {
	if num == den {
		return min(max(v, -maxTicks), maxTicks)
	}
	neg := v < 0
	u := uint64(v)
	if neg {
		u = -u
	}
	hi, lo := bits.Mul64(u, uint64(num))
	lo, carry := bits.Add64(lo, uint64(den)/2, 0)
	hi += carry
	if hi >= uint64(den) {
		lo = maxTicks
	} else {
		lo, _ = bits.Div64(hi, lo, uint64(den))
		lo = min(lo, maxTicks)
	}
	if neg {
		return -int64(lo)
	}
	return int64(lo)
}

// defectLog gathers what is wrong with a file, one line per kind however often it happens.
type defectLog struct {
	list   []Defect
	counts []int
}

// noted is the part that readers have in common: what is wrong with their file.
type noted struct{ log defectLog }

// note adds a defect that was found outside.
func (n *noted) note(d Defect) { n.log.add(d.Kind, "%s", d.Detail) }

func (l *defectLog) add(kind DefectKind, detail string, args ...any) {
	for i := range l.list {
		if l.list[i].Kind == kind {
			l.counts[i]++
			return
		}
	}
	l.list = append(l.list, Defect{Kind: kind, Detail: fmt.Sprintf(detail, args...)})
	l.counts = append(l.counts, 1)
}

// defects returns a copy of the list, with how often each came.
func (l *defectLog) defects() []Defect {
	out := make([]Defect, 0, len(l.list))
	for i, d := range l.list {
		if n := l.counts[i] - 1; n > 0 {
			d.Detail += fmt.Sprintf(" (and %d more like it)", n)
		}
		out = append(out, d)
	}
	return out
}
