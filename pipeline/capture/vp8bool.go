package capture

import (
	"encoding/binary"
	"math/bits"
)

// vp8Bool is the boolean entropy decoder (RFC 6386, section 7). Past the end of its data it reads zeros and goes on
// counting, so that used tells how much the coded symbols would have needed.
type vp8Bool struct {
	data  []byte
	pos   int    // of the next byte to load; beyond the data when zeros were loaded
	value uint64 // loaded bits that are not used up, from the top
	held  uint   // how many of them count
	width uint32 // range of the coder, 128..255
}

func (b *vp8Bool) reset(data []byte) {
	*b = vp8Bool{data: data, width: 255}
	b.fill()
}

// fill loads until more than 56 bits are held. What is loaded beyond them is the same that the next call loads.
func (b *vp8Bool) fill() {
	if b.pos+8 <= len(b.data) {
		b.value |= binary.BigEndian.Uint64(b.data[b.pos:]) >> (b.held & 63)
		n := (64 - b.held) >> 3
		b.pos += int(n)
		b.held += n << 3
		return
	}
	for b.held <= 56 {
		if b.pos < len(b.data) {
			b.value |= uint64(b.data[b.pos]) << ((56 - b.held) & 63)
		}
		b.pos++
		b.held += 8
	}
}

// vp8Step decodes one symbol: the coder's state, the number of bits used and the symbol. It is apart so that it can
// be inlined.
func vp8Step(value uint64, width uint32, p uint8) (uint64, uint32, uint, bool) {
	split := 1 + ((width-1)*uint32(p))>>8
	one := value>>56 >= uint64(split)
	if one {
		width -= split
		value -= uint64(split) << 56
	} else {
		width = split
	}
	n := uint(bits.LeadingZeros8(uint8(width))) & 7
	return value << n, width << n, n, one
}

// bit decodes one symbol of which p/256 is the probability to be false.
func (b *vp8Bool) bit(p uint8) bool {
	if b.held < 16 {
		b.fill()
	}
	value, width, n, one := vp8Step(b.value, b.width, p)
	b.value, b.width = value, width
	b.held -= n
	return one
}

// flag decodes a symbol of even odds.
func (b *vp8Bool) flag() bool { return b.bit(128) }

// number decodes n bits of even odds, the highest first.
func (b *vp8Bool) number(n int) int {
	v := 0
	for ; n > 0; n-- {
		v <<= 1
		if b.bit(128) {
			v |= 1
		}
	}
	return v
}

// skipIf passes over a number of n bits that is there when a flag says so.
func (b *vp8Bool) skipIf(n int) {
	if b.flag() {
		b.number(n)
	}
}

// used is how many bits the symbols so far have used up.
func (b *vp8Bool) used() int { return b.pos*8 - int(b.held) }

// beyond tells whether the symbols so far need clearly more than the data. Encoders may leave out a last zero byte
// or two, because a decoder reads zeros there.
func (b *vp8Bool) beyond() bool { return b.used() > 8*len(b.data)+vp8SpareBits }

// rest is how many bytes follow the last that the symbols can have needed, up to the last that is not zero: some
// encoders fill up with zeros.
func (b *vp8Bool) rest() int {
	from := (b.used()+15)/8 + vp8TailBytes
	if from >= len(b.data) {
		return 0
	}
	for to := len(b.data); to > from; to-- {
		if b.data[to-1] != 0 {
			return to - from
		}
	}
	return 0
}

const (
	vp8SpareBits = 16
	// vp8TailBytes are the bytes that encoders flush behind the last symbol: libvpx up to two.
	vp8TailBytes = 3
)
