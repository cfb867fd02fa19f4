package capture

import (
	"encoding/binary"
	"math"
)

// packer writes numbers and bytes one after the other, in few bytes each.
type packer struct{ b []byte }

func (p *packer) uint(v uint64)   { p.b = binary.AppendUvarint(p.b, v) }
func (p *packer) int(v int64)     { p.b = binary.AppendVarint(p.b, v) }
func (p *packer) float(v float64) { p.b = binary.LittleEndian.AppendUint64(p.b, math.Float64bits(v)) }

func (p *packer) bool(v bool) {
	if v {
		p.b = append(p.b, 1)
	} else {
		p.b = append(p.b, 0)
	}
}

func (p *packer) bytes(v []byte) {
	p.uint(uint64(len(v)))
	p.b = append(p.b, v...)
}

func (p *packer) text(v string) {
	p.uint(uint64(len(v)))
	p.b = append(p.b, v...)
}

// unpacker reads what a packer wrote. What is not there reads as zero and sets bad; it never reads past its bytes,
// and no count that it gives is larger than the bytes can hold.
type unpacker struct {
	b   []byte
	bad bool
}

func (u *unpacker) fail() {
	u.b, u.bad = nil, true
}

func (u *unpacker) uint() uint64 {
	v, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) int() int64 {
	v, n := binary.Varint(u.b)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.b = u.b[n:]
	return v
}

// number reads a count of something that is not in the bytes: zero or more.
func (u *unpacker) number() int {
	v := u.uint()
	if v > maxTicks {
		u.fail()
		return 0
	}
	return int(v)
}

// within reads a signed number whose size is at most limit.
func (u *unpacker) within(limit int64) int64 {
	v := u.int()
	if v > limit || v < -limit {
		u.fail()
		return 0
	}
	return v
}

func (u *unpacker) bool() bool {
	if len(u.b) == 0 || u.b[0] > 1 {
		u.fail()
		return false
	}
	v := u.b[0] == 1
	u.b = u.b[1:]
	return v
}

func (u *unpacker) float() float64 {
	if len(u.b) < 8 {
		u.fail()
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(u.b))
	u.b = u.b[8:]
	if math.IsNaN(v) || math.IsInf(v, 0) {
		u.fail()
		return 0
	}
	return v
}

// bytes gives bytes that stay the unpacker's, nil when there are none.
func (u *unpacker) bytes() []byte {
	n := u.uint()
	if n > uint64(len(u.b)) {
		u.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	v := u.b[:n:n]
	u.b = u.b[n:]
	return v
}

func (u *unpacker) text() string { return string(u.bytes()) }

// count reads how many elements follow, of which each takes at least so many bytes.
func (u *unpacker) count(least int) int {
	n := u.uint()
	if n > uint64(len(u.b)/least) {
		u.fail()
		return 0
	}
	return int(n)
}
