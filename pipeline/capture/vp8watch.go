package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
)

// DefectLossy is a file without packet numbers of which pictures are proven to be broken by lost packets; they are
// held out like those of a dump that has the numbers.
const DefectLossy DefectKind = "lossy"

// unitMark says of a unit what its container cannot: its number in the file, and what is wrong.
type unitMark struct {
	unit    int
	damaged bool // else packets are missing before it
}

// apply adds the mark to the unit that it is about.
func (m unitMark) apply(u *Unit) {
	if m.damaged {
		u.Damaged = true
	} else {
		u.Lost = max(u.Lost, 1)
	}
}

// lossWatch looks at the units of a file that tells of no packets, while it is read for the index, for any sign of
// loss. A sign proves nothing; it is only a reason to look into all frames, which costs time.
type lossWatch struct {
	on    bool // pictures of VP8
	sign  bool
	prev  int64
	step  int64
	units int
}

func newLossWatch(track *Track, r UnitReader) *lossWatch {
	w := &lossWatch{on: track.Kind == KindVideo && track.Codec == "VP8"}
	if c, ok := r.(interface{ Codec() string }); ok && c.Codec() != "VP8" {
		w.on = false
	}
	return w
}

// unit looks at the next unit.
func (w *lossWatch) unit(u *Unit) {
	if !w.on || w.sign {
		return
	}
	if u.Arrival >= 0 { // made of packets whose numbers tell
		w.on = false
		return
	}
	step := u.Ticks - w.prev
	if w.units > 0 {
		w.sign = step <= 0 || w.step > 0 && 2*step > 3*w.step
		w.step = step
	}
	w.prev = u.Ticks
	w.units++
	w.sign = w.sign || vp8Suspect(u)
}

// vp8Suspect tells whether a frame ends or begins as no whole frame does: its first partition must fit, and libvpx,
// which writes most, flushes so many zeros behind the last symbol that the lowest two bits are never set.
func vp8Suspect(u *Unit) bool {
	d := u.Data
	if len(d) < 3 {
		return false
	}
	first := int(d[0])>>5 | int(d[1])<<3 | int(d[2])<<11
	return first+3 > len(d) || d[0]&1 == 0 && !u.Key || d[len(d)-1]&3 != 0
}

// findLoss reads the file again, looks into every frame and notes which cannot be shown.
func (c *Capture) findLoss(ctx context.Context, m *meter, t *TrackIndex, f *FileIndex) (err error) {
	m.pass(c.sizeOf(f.File.Path), false)
	r, closeAll, err := c.openUnits(t.Track, f.File, opening{ctx: ctx.Err, meter: m})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	s := &lossScan{}
	for s.unit < f.Units {
		if s.unit%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		u, err := r.Next()
		if errors.Is(err, io.EOF) || badFile(err) {
			break
		}
		if err != nil {
			return err
		}
		s.next(u)
	}
	f.marks = s.finish()
	damaged := 0
	for _, m := range f.marks {
		if m.damaged {
			damaged++
		}
	}
	if len(f.marks) > 0 {
		t.Damaged += damaged
		t.defect(DefectLossy, f.File.Path, fmt.Sprintf("%d pictures are broken, and before %d others some are missing: packets were lost that the file does not tell of", damaged, len(f.marks)-damaged))
	}
	return nil
}

const (
	// lossSteps is over how many pictures the usual time between two is taken.
	lossSteps = 31
	// lossLearn is how many pictures tell what is usual.
	lossLearn = 8
	// lossReach is how many frames may be read well by chance after a loss.
	lossReach = 30
)

// lossScan decides about the frames of one file.
type lossScan struct {
	parser vp8Parser
	unit   int
	good   int        // key frames that end where their data ends
	whole  int        // other frames that do
	long   int        // frames that have data over
	marks  []unitMark // of frames that are broken
	gaps   []unitMark // that count when any frame is
	overs  []bool     // by mark: the frame has data over

	steps   [lossSteps]int64 // between frames that others refer to, the latest ones
	stepped int
	prev    int64
	begun   bool
	chain   uint32 // by frame, the latest lowest: it handed on changed probabilities
	chained int    // frames so far
	cleared int    // unit behind the latest gap that was taken for the sender's, 0 = none
}

// next looks into the next unit.
func (s *lossScan) next(u *Unit) {
	number := s.unit
	s.unit++
	f := s.parser.frame(u.Data)
	if !f.judged || len(s.marks)+len(s.gaps) >= mostHoles {
		s.begun = false
		return
	}
	if f.key {
		s.cleared = 0
	}
	if f.short || f.long {
		s.broken(number, f)
		return
	}
	if f.key {
		s.good++
	} else {
		s.whole++
	}
	s.cadence(number, u, f)
	s.chain <<= 1
	s.chained++
	if f.kept {
		s.chain |= 1
	}
}

// broken notes a frame that is proven to be broken.
func (s *lossScan) broken(number int, f vp8Frame) {
	s.marks = append(s.marks, unitMark{unit: number, damaged: true})
	s.overs = append(s.overs, !f.short)
	if !f.short {
		s.long++
	}
	if s.cleared > 0 && number-s.cleared <= lossReach {
		s.gaps = append(s.gaps, unitMark{unit: s.cleared})
	}
	s.begun, s.cleared = false, 0
}

// cadence notices a gap between frames that others refer to: those that nothing refers to may be left out by anybody.
func (s *lossScan) cadence(number int, u *Unit, f vp8Frame) {
	if !f.refers {
		return
	}
	step := u.Ticks - s.prev
	s.prev = u.Ticks
	if !s.begun {
		s.begun = true
		return
	}
	if n := min(s.stepped, lossSteps); n >= lossLearn && !f.key {
		sorted := s.steps
		slices.Sort(sorted[:n])
		switch usual := sorted[n/2]; {
		case 5*step <= 8*usual:
		case s.tied():
			s.cleared = number
		default:
			s.gaps = append(s.gaps, unitMark{unit: number})
		}
	}
	if step > 0 {
		s.steps[s.stepped%lossSteps] = step
		s.stepped++
	}
}

// tied tells whether most frames hand changed probabilities on. A frame that is read well after a gap then says that
// nothing is missing: had a frame been lost, this one would not end where its data ends.
func (s *lossScan) tied() bool {
	n := min(s.chained, 32)
	return n >= lossLearn && 4*bits.OnesCount32(s.chain) >= 3*n
}

// finish gives all marks in the order of units.
func (s *lossScan) finish() []unitMark {
	if s.good == 0 {
		return nil // not one frame is understood: that is no loss, but bytes of another kind
	}
	if 2*s.long > s.whole { // an encoder that fills its frames up with something, or no picture worth the care
		kept := s.marks[:0]
		for i, m := range s.marks {
			if !s.overs[i] {
				kept = append(kept, m)
			}
		}
		s.marks = kept
	}
	if len(s.marks) == 0 {
		return nil
	}
	all := slices.Concat(s.marks, s.gaps)
	slices.SortStableFunc(all, func(a, b unitMark) int { return a.unit - b.unit })
	return all
}
