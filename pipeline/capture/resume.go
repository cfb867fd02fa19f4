package capture

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// A resume point is what a reader has to know to go on in the middle of its file: where, and what it remembers of all
// that came before. A reader that goes on from one gives the same units as one that read up to there.
//
// All formats have them but the sound of a transport stream, whose frames do not end where its packets do; such a
// file is read from its beginning.

const (
	// pointUnits and pointBytes are how far apart resume points are: what lies between is read and passed over, which
	// takes some milliseconds.
	pointUnits = 256
	pointBytes = 1 << 20
)

// errBadPoint says that a resume point is not one of the file that it is used on.
var errBadPoint = errors.New("reading cannot go on at this point of the file")

// resumePoint is the state of a reader just before a unit.
type resumePoint struct {
	unit  int // its number in the file
	state []byte
}

// resumer is a reader that can be left between two units and gone on with by another one.
type resumer interface {
	// mark writes what it takes to go on with the next unit. false says that the reader cannot be left here.
	mark(p *packer) bool
	// resume brings a reader that has given nothing yet to where another one was marked. An error leaves it unusable;
	// it is errBadPoint's or the machine's.
	resume(u *unpacker) error
}

// The first byte of a state names the reader that it is of.
const (
	pointIVF    = 1
	pointOgg    = 2
	pointAnnexB = 3
	pointWebM   = 4
	pointMP4    = 5
	pointTS     = 6
	pointRTP    = 7
)

func resumerOf(r UnitReader) (resumer, bool) {
	if renamed, ok := r.(*renamedReader); ok {
		r = renamed.UnitReader
	}
	m, ok := r.(resumer)
	return m, ok
}

// goOn brings a new reader to a resume point.
func goOn(r UnitReader, name string, point []byte) error {
	m, ok := resumerOf(r)
	if !ok {
		return fmt.Errorf("%s: %w", name, errBadPoint)
	}
	u := &unpacker{b: point}
	if err := m.resume(u); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if u.bad || len(u.b) > 0 {
		return fmt.Errorf("%s: %w", name, errBadPoint)
	}
	return nil
}

// pointScan collects resume points while a file is read.
type pointScan struct {
	r     resumer // nil: it has none
	state packer
	good  bool // state is of the unit to come
	units int  // since the latest point
	bytes int
	found []resumePoint
}

func newPointScan(r UnitReader) *pointScan {
	m, _ := resumerOf(r)
	return &pointScan{r: m}
}

// before marks the reader before it gives a unit: whether decoding can begin there is only known afterwards.
func (s *pointScan) before() {
	if s.good = s.r != nil && (s.units >= pointUnits || s.bytes >= pointBytes); s.good {
		s.state.b = s.state.b[:0]
		s.good = s.r.mark(&s.state)
	}
}

// after keeps the mark if the unit with this number is one that decoding can begin at.
func (s *pointScan) after(number int, u *Unit) {
	if s.good && u.Key {
		s.found = append(s.found, resumePoint{unit: number, state: append([]byte(nil), s.state.b...)})
		s.units, s.bytes = 0, 0
	}
	s.units++
	s.bytes += len(u.Data)
}

// jump goes to another place of the file.
func (s *byteSource) jump(off int64) error {
	seeker, ok := s.r.(io.Seeker)
	if !ok || off < 0 {
		return errBadPoint
	}
	if _, err := seeker.Seek(off, io.SeekStart); err != nil {
		return fmt.Errorf("going to byte %d: %w", off, err)
	}
	s.start, s.end, s.off, s.err = 0, 0, off, nil
	return nil
}

// place reads the byte offset that a state of a reader begins with, and checks whose state it is.
func (u *unpacker) place(kind uint64, size int64) (off int64, ok bool) {
	ok = u.uint() == kind
	off = u.int()
	return off, ok && !u.bad && off >= 0 && off <= size
}

func (p *packer) place(kind uint64, off int64) {
	p.uint(kind)
	p.int(off)
}

// mark implements resumer.
func (r *IVFReader) mark(p *packer) bool {
	p.place(pointIVF, r.src.off+r.frame)
	p.uint(r.first)
	p.uint(r.last)
	p.int(r.pts)
	p.bool(r.started)
	return !r.done
}

// resume implements resumer.
func (r *IVFReader) resume(u *unpacker) error {
	off, ok := u.place(pointIVF, r.cfg.Size)
	r.first, r.last, r.pts, r.started = u.uint(), u.uint(), u.int(), u.bool()
	if !ok || u.bad {
		return errBadPoint
	}
	return r.src.jump(off)
}

// mark implements resumer. Pages may be left, packets that span two may not.
func (r *OggReader) mark(p *packer) bool {
	p.place(pointOgg, r.pages.src.off+r.pages.size)
	p.bool(r.chosen)
	p.bool(r.ended)
	p.bool(r.conventionKnown)
	p.bool(r.startGranules)
	p.bool(r.started)
	p.uint(uint64(r.serial))
	p.uint(uint64(r.sequence))
	p.int(r.lastGranule)
	p.int(r.pos)
	p.int(r.end)
	p.int(r.first)
	p.uint(uint64(r.lost))
	p.uint(uint64(len(r.foreign)))
	for _, serial := range slices.Sorted(maps.Keys(r.foreign)) {
		p.uint(uint64(serial))
	}
	return !r.done && !r.carrying && r.next == len(r.packets)
}

// resume implements resumer.
func (r *OggReader) resume(u *unpacker) error {
	off, ok := u.place(pointOgg, r.cfg.Size)
	r.chosen, r.ended, r.conventionKnown, r.startGranules, r.started = u.bool(), u.bool(), u.bool(), u.bool(), u.bool()
	r.serial, r.sequence = uint32(u.uint()), uint32(u.uint())
	r.lastGranule, r.pos, r.end, r.first = u.int(), u.int(), u.int(), u.int()
	r.lost = u.number()
	for range u.count(1) {
		r.foreign[uint32(u.uint())] = true
	}
	if !ok || u.bad {
		return errBadPoint
	}
	r.packets, r.next, r.pages.size = r.packets[:0], 0, 0
	return r.pages.src.jump(off)
}

// mark implements resumer. A block with several frames is left only behind its last.
func (r *WebMReader) mark(p *packer) bool {
	p.place(pointWebM, r.src.off+r.element)
	p.int(r.scale)
	p.int(r.clusterEnd)
	p.int(r.cluster)
	p.int(r.base)
	p.int(r.lastEnd)
	p.int(r.first)
	p.bool(r.started)
	return !r.done && r.found && r.lace == len(r.laces)
}

// resume implements resumer.
func (r *WebMReader) resume(u *unpacker) error {
	off, ok := u.place(pointWebM, r.cfg.Size)
	r.scale, r.clusterEnd, r.cluster, r.base = u.within(1e9), u.int(), u.int(), u.int()
	r.lastEnd, r.first, r.started = u.int(), u.int(), u.bool()
	if !ok || u.bad || r.scale <= 0 {
		return errBadPoint
	}
	r.element, r.laces, r.lace = 0, r.laces[:0], 0
	return r.src.jump(off)
}

// mark implements resumer. Pictures only: a PES packet ends where the next begins, and nothing is held over.
func (r *TSReader) mark(p *packer) bool {
	p.place(pointTS, r.src.off+r.passed)
	p.int(int64(r.counter))
	p.int(r.clock)
	p.int(r.first)
	p.bool(r.started)
	return r.codec == "H264" && !r.done && !r.torn && r.ready != nil && len(r.ready.data) == 0 && r.lost == 0
}

// resume implements resumer.
func (r *TSReader) resume(u *unpacker) error {
	off, ok := u.place(pointTS, r.cfg.Size)
	r.counter = int(u.within(15))
	r.clock, r.first, r.started = u.within(maxTicks), u.within(maxTicks), u.bool()
	if !ok || u.bad || r.codec != "H264" {
		return errBadPoint
	}
	r.passed, r.ready, r.pes = 0, nil, tsPES{}
	return r.src.jump(off)
}
