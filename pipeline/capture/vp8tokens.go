package capture

import "math/bits"

// vp8Edge remembers which blocks along an edge of a macroblock have coefficients: four of luma, two of each chroma,
// one of second order. They are the contexts of their neighbours.
type vp8Edge [9]uint8

// tokens passes over the coefficients of a macroblock (RFC 6386, section 13).
func (b *vp8Bool) tokens(coefs *vp8Coefs, above, left *vp8Edge, second bool) {
	kind, first := 3, 0
	if second {
		n := b.block(&coefs[1], above[8]+left[8], 0)
		above[8], left[8] = n, n
		kind, first = 0, 1
	}
	probs := &coefs[kind]
	for y := range 4 {
		l := left[y]
		for x := range 4 {
			l = b.block(probs, above[x]+l, first)
			above[x] = l
		}
		left[y] = l
	}
	probs = &coefs[2]
	for plane := 4; plane < 8; plane += 2 {
		for y := plane; y < plane+2; y++ {
			l := left[y]
			for x := plane; x < plane+2; x++ {
				l = b.block(probs, above[x]+l, 0)
				above[x] = l
			}
			left[y] = l
		}
	}
}

// block passes over the tokens of one block from coefficient i on. It gives 1 when there are any before the end of
// the block, else 0.
func (b *vp8Bool) block(probs *[8][3][11]uint8, context uint8, i int) uint8 {
	if b.held < 16 {
		b.fill()
	}
	p := &probs[vp8Bands[i]][context]
	value, width, n, one := vp8Step(b.value, b.width, p[0])
	b.value, b.width = value, width
	b.held -= n
	if one {
		b.coefficients(probs, p, i)
		return 1
	}
	return 0
}

// coefficients passes over the tokens of a block that is not empty; p are the probabilities of the first.
func (b *vp8Bool) coefficients(probs *[8][3][11]uint8, p *[11]uint8, i int) {
	value, width, held := b.value, b.width, b.held
	var n uint
	var one bool
	for {
		if held < 40 { // the symbols up to the next fill use at most 28 bits, and 8 must be there
			b.value, b.held = value, held
			b.fill()
			value, held = b.value, b.held
		}
		value, width, n, one = vp8Step(value, width, p[1])
		held -= n
		if !one { // a zero: no end of the block can follow
			i++
			if i == 16 {
				break
			}
			p = &probs[vp8Bands[i&15]][0]
			continue
		}
		value, width, n, one = vp8Step(value, width, p[2])
		held -= n
		context := 1
		if one {
			b.value, b.width, b.held = value, width, held
			b.large(p)
			value, width, held = b.value, b.width, b.held
			context = 2
		}
		value, width, n = vp8Sign(value, width)
		held -= n
		i++
		if i == 16 {
			break
		}
		p = &probs[vp8Bands[i&15]][context]
		value, width, n, one = vp8Step(value, width, p[0])
		held -= n
		if !one {
			break
		}
	}
	b.value, b.width, b.held = value, width, held
}

// vp8Sign passes over a symbol of even odds as vp8Step does, but without a branch: no processor can foresee it.
func vp8Sign(value uint64, width uint32) (uint64, uint32, uint) {
	split := (width + 1) >> 1
	none := uint64(int64(value>>56-uint64(split)) >> 63) // all ones for a zero
	value -= uint64(split) << 56 &^ none
	width = width - split + (2*split-width)&uint32(none)
	n := uint(bits.LeadingZeros8(uint8(width))) & 7
	return value << n, width << n, n
}

// large passes over the rest of a token above one, and leaves enough bits for a sign and the next token's start.
func (b *vp8Bool) large(p *[11]uint8) {
	switch {
	case !b.bit(p[3]):
		if b.bit(p[4]) {
			b.bit(p[5])
		}
	case !b.bit(p[6]):
		if !b.bit(p[7]) {
			b.bit(159)
		} else {
			b.bit(165)
			b.bit(145)
		}
	default:
		category := 0
		next := p[9]
		if b.bit(p[8]) {
			category, next = 2, p[10]
		}
		if b.bit(next) {
			category++
		}
		for _, q := range vp8Extra[category] {
			b.bit(q)
		}
	}
	if b.held < 32 {
		b.fill()
	}
}
