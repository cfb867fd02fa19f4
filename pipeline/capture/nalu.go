package capture

import (
	"bytes"
	"encoding/binary"

	"github.com/Eyevinn/mp4ff/avc"
)

// H.264 NAL unit types (ITU-T H.264, table 7-1).
const (
	naluSlice      = 1
	naluPartitionA = 2
	naluIDR        = 5
	naluSEI        = 6
	naluSPS        = 7
	naluPPS        = 8
	naluAUD        = 9
)

// h264Slice is what of a slice header tells pictures apart (ITU-T H.264, section 7.4.1.2.4).
type h264Slice struct {
	firstMB  uint32
	idr      bool
	ref      bool
	frameNum uint32
	field    bool
	bottom   bool
}

// h264Params is what of a sequence parameter set is needed to read slice headers. The last one seen counts: calls
// use one at a time.
type h264Params struct {
	known         bool
	frameNumBits  int
	framesOnly    bool
	coloursApart  bool
	previousBytes []byte
}

func (p *h264Params) read(sps []byte) {
	if bytes.Equal(sps, p.previousBytes) {
		return
	}
	p.previousBytes = append(p.previousBytes[:0], sps...)
	p.known = guarded(func() error {
		s, err := avc.ParseSPSNALUnit(sps, false)
		if err != nil {
			return err
		}
		p.frameNumBits = int(s.Log2MaxFrameNumMinus4) + 4
		p.framesOnly, p.coloursApart = s.FrameMbsOnlyFlag, s.SeparateColourPlaneFlag
		return nil
	}) == nil && p.frameNumBits <= 16
}

// slice reads the beginning of a slice header. Emulation prevention is left out of account: three bytes 00 00 03
// cannot come before frame_num ends in a real stream's header, and a wrong number only moves a border.
func (p *h264Params) slice(nalu []byte) h264Slice {
	s := h264Slice{idr: nalu[0]&31 == naluIDR, ref: nalu[0]>>5&3 != 0}
	r := bitReader{data: nalu[1:]}
	s.firstMB = r.golomb()
	r.golomb() // slice_type
	r.golomb() // pic_parameter_set_id
	if !p.known {
		return s
	}
	if p.coloursApart {
		r.skip(2)
	}
	s.frameNum = r.read(p.frameNumBits)
	if !p.framesOnly {
		if s.field = r.read(1) == 1; s.field {
			s.bottom = r.read(1) == 1
		}
	}
	return s
}

// golomb reads an unsigned Exp-Golomb number (ITU-T H.264, section 9.1).
func (r *bitReader) golomb() uint32 {
	zeros := 0
	for zeros < 32 && !r.short && r.read(1) == 0 {
		zeros++
	}
	if zeros >= 32 || r.short {
		return 0
	}
	return 1<<zeros - 1 + r.read(zeros)
}

// newPicture reports whether slice b begins another picture than slice a is of. The two fields of a frame count as
// one picture: containers and the clock think in frames.
func (a h264Slice) newPicture(b h264Slice, paired bool) bool {
	if a.field && b.field && a.bottom != b.bottom {
		return paired || a.frameNum != b.frameNum
	}
	return b.firstMB == 0 || a.idr != b.idr || a.ref != b.ref || a.frameNum != b.frameNum || a.field != b.field
}

// lengthPrefixed turns H.264 with length fields (ISO/IEC 14496-15) into Annex B, with the parameter sets before a
// key picture that lacks them.
type lengthPrefixed struct {
	lengthBytes int
	sets        []byte // SPS and PPS in Annex B
	out         []byte
}

// newLengthPrefixed reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 5.3.3.1). ok is false when it
// is none.
func newLengthPrefixed(avcC []byte) (l *lengthPrefixed, ok bool) {
	if len(avcC) < 7 || avcC[0] != 1 {
		return nil, false
	}
	l = &lengthPrefixed{lengthBytes: int(avcC[4]&3) + 1}
	rest := avcC[5:]
	for set := range 2 {
		if len(rest) == 0 {
			return l, true
		}
		n := int(rest[0])
		if set == 0 {
			n &= 31
		}
		for rest = rest[1:]; n > 0; n-- {
			if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
				return l, true
			}
			end := 2 + int(binary.BigEndian.Uint16(rest))
			l.sets = append(append(l.sets, 0, 0, 0, 1), rest[2:end]...)
			rest = rest[end:]
		}
	}
	return l, true
}

// annexB returns the unit with start codes, good until the next call. whole is false when a length field reaches
// beyond the unit; what came before is returned.
func (l *lengthPrefixed) annexB(data []byte) (out []byte, whole bool) {
	idr, sets := false, false
	l.out = l.out[:0]
	for len(data) > 0 {
		if len(data) < l.lengthBytes {
			return l.finish(idr && !sets), false
		}
		size := 0
		for _, b := range data[:l.lengthBytes] {
			size = size<<8 | int(b)
		}
		data = data[l.lengthBytes:]
		if size > len(data) {
			return l.finish(idr && !sets), false
		}
		if size > 0 {
			switch data[0] & 31 {
			case naluIDR:
				idr = true
			case naluSPS:
				sets = true
			}
			l.out = append(append(l.out, 0, 0, 0, 1), data[:size]...)
		}
		data = data[size:]
	}
	return l.finish(idr && !sets), true
}

// finish puts the parameter sets in, behind an access unit delimiter, which must stay the first.
func (l *lengthPrefixed) finish(lacking bool) []byte {
	if !lacking || len(l.sets) == 0 {
		return l.out
	}
	at := 0
	if len(l.out) > 4 && l.out[4]&31 == naluAUD {
		if next := bytes.Index(l.out[4:], []byte{0, 0, 0, 1}); next >= 0 {
			at = 4 + next
		}
	}
	old := len(l.out)
	l.out = append(l.out, l.sets...)
	copy(l.out[at+len(l.sets):], l.out[at:old])
	copy(l.out[at:], l.sets)
	return l.out
}
