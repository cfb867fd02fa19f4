package capture

import (
	"bytes"
	"fmt"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/pion/rtp/codecs/vp9"
)

// maxPictureSide is the widest or highest picture that is believed: more than any encoder of a call makes.
const maxPictureSide = 16384

// inspectUnit looks at the first bytes of an access unit (in the form that Unit.Data has) and tells whether
// decoding can begin with it, and the picture's size in pixels where the unit says so, else 0. Sound can always
// begin. It never panics and believes no size above maxPictureSide.
func inspectUnit(codec string, data []byte) (key bool, width, height int) {
	switch codec {
	case "VP8":
		key, width, height = inspectVP8(data)
	case "VP9":
		key, width, height = inspectVP9(data)
	case "H264":
		key, width, height = inspectH264(data)
	case "AV1":
		key, width, height = inspectAV1(data)
	default:
		return true, 0, 0
	}
	if width <= 0 || height <= 0 || width > maxPictureSide || height > maxPictureSide {
		width, height = 0, 0
	}
	return key, width, height
}

// inspectVP8 reads the frame tag and the key frame header (RFC 6386, section 9.1).
func inspectVP8(data []byte) (key bool, width, height int) {
	if len(data) < 10 || data[0]&1 != 0 || data[3] != 0x9d || data[4] != 0x01 || data[5] != 0x2a {
		return false, 0, 0
	}
	// The two bits above the 14 of each side are a scaling hint.
	width = (int(data[6]) | int(data[7])<<8) & 0x3fff
	height = (int(data[8]) | int(data[9])<<8) & 0x3fff
	return true, width, height
}

// inspectVP9 reads the uncompressed header of the first frame, which decides for a superframe too: the frames
// behind it lean on it.
func inspectVP9(data []byte) (key bool, width, height int) {
	var h vp9.Header
	if h.Unmarshal(data) != nil || h.ShowExistingFrame || h.NonKeyFrame || h.FrameSize == nil {
		return false, 0, 0
	}
	return true, int(h.FrameSize.FrameWidthMinus1) + 1, int(h.FrameSize.FrameHeightMinus1) + 1
}

// inspectH264 walks the NAL units up to the first slice: parameter sets come before it (ITU-T H.264, 7.4.1.2.3).
func inspectH264(data []byte) (key bool, width, height int) {
	for {
		i := bytes.Index(data, []byte{0, 0, 1})
		if i < 0 || i+3 >= len(data) {
			return false, width, height
		}
		data = data[i+3:]
		switch t := avc.GetNaluType(data[0]); {
		case t == avc.NALU_IDR:
			return true, width, height
		case t >= avc.NALU_NON_IDR && t < avc.NALU_IDR:
			return false, width, height
		case t == avc.NALU_SPS:
			if w, h, err := spsSize(nextNALU(data)); err == nil {
				width, height = w, h
			}
		}
	}
}

// nextNALU cuts data, which begins with a NAL unit, before the next start code.
func nextNALU(data []byte) []byte {
	if i := bytes.Index(data, []byte{0, 0, 1}); i >= 0 {
		data = data[:i]
	}
	return bytes.TrimRight(data, "\x00")
}

// spsSize gives the cropped picture size that a sequence parameter set says.
func spsSize(nalu []byte) (width, height int, err error) {
	err = guarded(func() error {
		sps, err := avc.ParseSPSNALUnit(nalu, false)
		if err != nil {
			return fmt.Errorf("reading a sequence parameter set: %w", err)
		}
		if sps.Width > maxPictureSide || sps.Height > maxPictureSide {
			return fmt.Errorf("a sequence parameter set says %dx%d pixels", sps.Width, sps.Height)
		}
		width, height = int(sps.Width), int(sps.Height)
		return nil
	})
	return width, height, err
}

// guarded runs a parser of another module over bytes from a capture. Such parsers check lengths, but not all of
// them everywhere (pion's AV1 depacketizer slices by a LEB128 number that may wrap negative): a panic there is
// bad input, not a reason to end the process. It is the only recover of the package.
func guarded(parse func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a parser gave up on the bytes: %v", r)
		}
	}()
	return parse()
}

// The AV1 OBU types that tell something (AV1 specification, section 6.2.2).
const (
	obuSequenceHeader    = 1
	obuTemporalDelimiter = 2
	obuFrameHeader       = 3
	obuTileGroup         = 4
	obuFrame             = 6
)

// inspectAV1 walks the OBUs of a temporal unit in low-overhead format (AV1 specification, section 5.2): the
// sequence header has the size, the first frame header the kind of frame.
func inspectAV1(data []byte) (key bool, width, height int) {
	still := false
	for len(data) > 0 {
		kind, body, rest, ok := splitOBU(data)
		if !ok {
			return false, width, height
		}
		switch kind {
		case obuSequenceHeader:
			width, height, still = av1Sequence(body)
		case obuFrameHeader, obuFrame:
			r := bitReader{data: body}
			if !still && r.read(1) == 1 {
				return false, width, height // show_existing_frame
			}
			return (still || r.read(2) == 0) && !r.short, width, height
		}
		data = rest
	}
	return false, width, height
}

// splitOBU cuts the first OBU off data. An OBU without a size field reaches to the end.
func splitOBU(data []byte) (kind int, body, rest []byte, ok bool) {
	head := data[0]
	kind, data = int(head>>3)&15, data[1:]
	if head&4 != 0 { // extension
		if len(data) == 0 {
			return 0, nil, nil, false
		}
		data = data[1:]
	}
	if head&2 == 0 {
		return kind, data, nil, head&0x80 == 0
	}
	var size uint64
	for i := 0; ; i++ {
		if i == len(data) || i == 8 {
			return 0, nil, nil, false
		}
		size |= uint64(data[i]&0x7f) << (7 * i)
		if data[i]&0x80 == 0 {
			data = data[i+1:]
			break
		}
	}
	if size > uint64(len(data)) {
		return 0, nil, nil, false
	}
	return kind, data[:size], data[size:], head&0x80 == 0
}

// av1Sequence reads the largest picture size out of a sequence header OBU (AV1 specification, section 5.5.1).
// still is reduced_still_picture_header: frame headers are then shorter.
func av1Sequence(body []byte) (width, height int, still bool) {
	r := bitReader{data: body}
	r.skip(4) // seq_profile, still_picture
	if still = r.read(1) == 1; still {
		r.skip(5) // seq_level_idx[0]
	} else {
		r.av1OperatingPoints()
	}
	wbits, hbits := int(r.read(4))+1, int(r.read(4))+1
	width, height = int(r.read(wbits))+1, int(r.read(hbits))+1
	if r.short {
		return 0, 0, still
	}
	return width, height, still
}

// av1OperatingPoints skips timing info, decoder model and operating points of a sequence header.
func (r *bitReader) av1OperatingPoints() {
	model, delayBits := false, 0
	if r.read(1) == 1 { // timing_info_present_flag
		r.skip(64)
		if r.read(1) == 1 { // equal_picture_interval
			r.skipUvlc()
		}
		if model = r.read(1) == 1; model {
			delayBits = int(r.read(5)) + 1
			r.skip(32 + 5 + 5)
		}
	}
	display := r.read(1) == 1
	for n := int(r.read(5)) + 1; n > 0 && !r.short; n-- {
		r.skip(12)
		if r.read(5) > 7 {
			r.skip(1) // seq_tier
		}
		if model && r.read(1) == 1 {
			r.skip(2*delayBits + 1)
		}
		if display && r.read(1) == 1 {
			r.skip(4)
		}
	}
}

// bitReader reads bits, most significant first. Past the end it gives zeros and sets short.
type bitReader struct {
	data  []byte
	pos   int
	short bool
}

// read gives the next n bits, at most 32.
func (r *bitReader) read(n int) uint32 {
	var v uint32
	for ; n > 0; n-- {
		v <<= 1
		if r.pos>>3 >= len(r.data) {
			r.short = true
			continue
		}
		v |= uint32(r.data[r.pos>>3]>>(7-r.pos&7)) & 1
		r.pos++
	}
	return v
}

func (r *bitReader) skip(n int) {
	if r.pos += n; r.pos > 8*len(r.data) {
		r.pos, r.short = 8*len(r.data), true
	}
}

// skipUvlc skips a variable length number (AV1 specification, section 4.10.3).
func (r *bitReader) skipUvlc() {
	zeros := 0
	for !r.short && r.read(1) == 0 {
		zeros++
	}
	if zeros < 32 {
		r.skip(zeros)
	}
}

// opusDuration tells how many samples at 48 kHz an Opus packet holds, by its TOC byte (RFC 6716, section 3.1);
// ok is false when the packet cannot be Opus.
func opusDuration(packet []byte) (samples48k int64, ok bool) {
	if len(packet) == 0 {
		return 0, false
	}
	var frame int64
	switch config := packet[0] >> 3; {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		frame = [4]int64{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		frame = 480 << (config & 1)
	default: // CELT: 2.5, 5, 10, 20 ms
		frame = 120 << (config & 3)
	}
	frames := int64(1)
	switch packet[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0, false
		}
		frames = int64(packet[1] & 0x3f)
	}
	samples48k = frame * frames
	return samples48k, samples48k > 0 && samples48k <= 5760 // 120 ms, [R5]
}
