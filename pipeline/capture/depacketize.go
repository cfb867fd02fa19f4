package capture

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pion/rtp/codecs"
)

// depacketizer joins the RTP payloads of one access unit to the codec's elementary form.
type depacketizer interface {
	// begins tells whether a payload can be the first of an access unit. It is asked only where packets before
	// it are missing or unknown.
	begins(payload []byte) bool
	// push appends the payload's media to unit. An error says that the payload, or what it goes on from, is
	// broken; the unit is then damaged.
	push(unit, payload []byte) ([]byte, error)
	// gap says that packets are missing before the next payload.
	gap()
	// finish ends the unit: what has to stand behind its data is appended, and the depacketizer is ready for the
	// next unit. An error says that the end of the unit is missing.
	finish(unit []byte) ([]byte, error)
	// size is the picture's size as the payload headers tell, or 0.
	size() (width, height int)
}

var (
	errHalfUnit = errors.New("a part of the access unit is missing")
	errFragment = errors.New("a fragment without its beginning")
)

func newDepacketizer(codec string) (depacketizer, error) {
	switch codec {
	case "VP8":
		return &vp8Depacketizer{}, nil
	case "VP9":
		return &vp9Depacketizer{}, nil
	case "H264":
		return &h264Depacketizer{}, nil
	case "AV1":
		return &av1Depacketizer{}, nil
	case "OPUS", "PCMU", "PCMA":
		return soundDepacketizer{}, nil
	}
	return nil, fmt.Errorf("codec %q cannot be read from RTP packets", codec)
}

// soundDepacketizer is for codecs whose payload is the packet (RFC 7587, RFC 3551).
type soundDepacketizer struct{}

func (soundDepacketizer) begins([]byte) bool { return true }
func (soundDepacketizer) push(unit, payload []byte) ([]byte, error) {
	return append(unit, payload...), nil
}
func (soundDepacketizer) gap()                               {}
func (soundDepacketizer) finish(unit []byte) ([]byte, error) { return unit, nil }
func (soundDepacketizer) size() (width, height int)          { return 0, 0 }

// vp8Depacketizer reads RFC 7741.
type vp8Depacketizer struct{ packet codecs.VP8Packet }

func (d *vp8Depacketizer) begins(payload []byte) bool {
	_, err := d.packet.Unmarshal(payload)
	return err == nil && d.packet.S == 1 && d.packet.PID == 0
}

func (d *vp8Depacketizer) push(unit, payload []byte) ([]byte, error) {
	media, err := d.packet.Unmarshal(payload)
	return append(unit, media...), err
}

func (d *vp8Depacketizer) gap()                               {}
func (d *vp8Depacketizer) finish(unit []byte) ([]byte, error) { return unit, nil }
func (d *vp8Depacketizer) size() (width, height int)          { return 0, 0 }

// vp9Depacketizer reads RFC 9628. The frames of the spatial layers of one picture become a superframe.
type vp9Depacketizer struct {
	packet codecs.VP9Packet
	sizes  []int // of the frames that ended
	open   bool  // a frame has begun and not ended
	width  int
	height int
}

func (d *vp9Depacketizer) parse(payload []byte) ([]byte, error) {
	// pion appends to these for ever.
	d.packet.PDiff, d.packet.PGTID, d.packet.PGU = d.packet.PDiff[:0], d.packet.PGTID[:0], d.packet.PGU[:0]
	d.packet.SID = 0
	return d.packet.Unmarshal(payload)
}

func (d *vp9Depacketizer) begins(payload []byte) bool {
	_, err := d.parse(payload)
	// A frame of an upper layer that leans on the one below is the middle of a picture.
	return err == nil && d.packet.B && (!d.packet.L || d.packet.SID == 0 || !d.packet.D)
}

func (d *vp9Depacketizer) push(unit, payload []byte) ([]byte, error) {
	media, err := d.parse(payload)
	if err != nil {
		return unit, err
	}
	if d.packet.B == d.open {
		err = errFragment
	}
	if d.packet.V && d.packet.Y {
		top := len(d.packet.Width) - 1
		d.width, d.height = int(d.packet.Width[top]), int(d.packet.Height[top])
	}
	unit = append(unit, media...)
	if d.open = !d.packet.E; !d.open {
		before := 0
		for _, n := range d.sizes {
			before += n
		}
		d.sizes = append(d.sizes, len(unit)-before)
	}
	return unit, err
}

func (d *vp9Depacketizer) gap() {}

// finish writes the superframe index (VP9 bitstream specification, annex B) where there are several frames.
func (d *vp9Depacketizer) finish(unit []byte) ([]byte, error) {
	sizes, open := d.sizes, d.open
	d.sizes, d.open = d.sizes[:0], false
	d.width, d.height = 0, 0
	if open {
		return unit, errHalfUnit
	}
	if len(sizes) < 2 || len(sizes) > 8 {
		return unit, nil
	}
	marker := byte(0xc0 | 3<<3 | len(sizes) - 1)
	unit = append(unit, marker)
	for _, n := range sizes {
		unit = binary.LittleEndian.AppendUint32(unit, uint32(n))
	}
	return append(unit, marker), nil
}

func (d *vp9Depacketizer) size() (width, height int) { return d.width, d.height }

// The RTP packet types of H.264 (RFC 6184, section 5.2).
const (
	avcSPS    = 7
	h264STAPA = 24
	h264FUA   = 28
)

// h264Depacketizer reads RFC 6184, packetization modes 0 and 1, into Annex B.
type h264Depacketizer struct {
	packet codecs.H264Packet
	open   bool // a fragmented NAL unit has begun and not ended
	torn   bool // and a piece of it is missing
	from   int  // where it begins in the unit
	inBand bool // the sender sends parameter sets
}

// begins takes parameter sets, SEI, delimiters and slices that hold the first macroblock for a beginning. A sender
// that sends parameter sets puts them before each IDR picture, which may have another size than the one before.
func (d *h264Depacketizer) begins(payload []byte) bool {
	if len(payload) < 2 {
		return false
	}
	kind, body := payload[0]&31, payload[1:]
	switch kind {
	case h264STAPA:
		if len(payload) < 5 {
			return false
		}
		kind, body = payload[3]&31, payload[4:]
	case h264FUA:
		if len(payload) < 3 || payload[1]&0x80 == 0 {
			return false
		}
		kind, body = payload[1]&31, payload[2:]
	}
	if kind == 5 && d.inBand {
		return false
	}
	// first_mb_in_slice is 0 when its Exp-Golomb code begins with a one.
	return kind > 5 && kind < 24 || kind >= 1 && kind <= 5 && body[0]&0x80 != 0
}

func (d *h264Depacketizer) push(unit, payload []byte) ([]byte, error) {
	if len(payload) >= 2 && payload[0]&31 == h264FUA {
		return d.fragment(unit, payload)
	}
	unit, broken := d.finish(unit)
	media, err := d.packet.Unmarshal(payload)
	if err != nil {
		return unit, err
	}
	d.inBand = d.inBand || len(media) > 4 && media[4]&31 == avcSPS
	return append(unit, media...), broken
}

// fragment appends a FU-A payload (section 5.8) in place: pion's collects the NAL unit first and copies it twice.
func (d *h264Depacketizer) fragment(unit, payload []byte) ([]byte, error) {
	var broken error
	if payload[1]&0x80 != 0 {
		unit, broken = d.finish(unit)
		d.open, d.from = true, len(unit)
		unit = append(unit, 0, 0, 0, 1, payload[0]&0xe0|payload[1]&31)
	} else if !d.open || d.torn {
		unit, _ = d.finish(unit)
		return unit, errFragment
	}
	d.open = payload[1]&0x40 == 0
	return append(unit, payload[2:]...), broken
}

func (d *h264Depacketizer) gap() { d.torn = d.open }

// finish drops a NAL unit of which a piece is missing.
func (d *h264Depacketizer) finish(unit []byte) ([]byte, error) {
	open := d.open
	d.open, d.torn = false, false
	if open {
		return unit[:d.from], errHalfUnit
	}
	return unit, nil
}

func (d *h264Depacketizer) size() (width, height int) { return 0, 0 }

// av1Depacketizer reads the AV1 RTP specification (section 4) into OBUs with size fields.
type av1Depacketizer struct {
	packet codecs.AV1Depacketizer
	open   bool // the last OBU goes on in the next packet
}

// begins takes a packet that starts with an OBU other than the later tile groups of a frame for a beginning.
func (d *av1Depacketizer) begins(payload []byte) bool {
	if len(payload) < 2 || payload[0]&0x80 != 0 {
		return false
	}
	i := 1
	if payload[0]>>4&3 != 1 { // a length stands before the OBU
		for i < len(payload) && payload[i]&0x80 != 0 {
			i++
		}
		i++
	}
	if i >= len(payload) {
		return false
	}
	head := payload[i]
	if head&4 != 0 && i+1 < len(payload) && payload[i+1]>>3&3 != 0 {
		return false // an upper spatial layer
	}
	return head>>3&15 != obuTileGroup
}

func (d *av1Depacketizer) push(unit, payload []byte) ([]byte, error) {
	if len(payload) == 0 {
		return unit, errFragment
	}
	var broken error
	if goesOn := payload[0]&0x80 != 0; goesOn != d.open {
		broken = errFragment
	}
	var media []byte
	err := guarded(func() (err error) {
		media, err = d.packet.Unmarshal(payload)
		return err
	})
	if err != nil {
		d.gap()
		return unit, err
	}
	d.open = payload[0]&0x40 != 0
	return append(unit, media...), broken
}

func (d *av1Depacketizer) gap() { d.packet, d.open = codecs.AV1Depacketizer{}, false }

func (d *av1Depacketizer) finish(unit []byte) ([]byte, error) {
	if d.open {
		d.gap()
		return unit, errHalfUnit
	}
	return unit, nil
}

func (d *av1Depacketizer) size() (width, height int) { return 0, 0 }
