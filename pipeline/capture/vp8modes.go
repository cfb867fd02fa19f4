package capture

// The reference frames of a macroblock; 0 is none: it is coded by itself.
const (
	vp8Last   = 1
	vp8Golden = 2
	vp8Other  = 3 // the "altref" frame
)

// The modes of luma in the order of the trees' leaves, and those of subblocks that contexts take for them.
const (
	vp8SubDC = 0
	vp8SubTM = 1
	vp8SubV  = 2
	vp8SubH  = 3
)

// vp8Motion is a motion vector in quarters of a pixel.
type vp8Motion struct{ y, x int16 }

// vp8Block is what the neighbours of a macroblock need to know of it. Outside of the picture it is zero.
type vp8Block struct {
	motion   vp8Motion // of its last part
	ref      uint8
	parted   bool         // its motion is divided
	split    bool         // it has no second order block: divided motion, or modes of its own for subblocks
	low      [4]vp8Motion // of the lowest row of subblocks
	right    [4]vp8Motion // of the rightmost column
	lowSub   [4]uint8     // modes of subblocks of a key frame, likewise
	rightSub [4]uint8
}

// mode reads a macroblock's header (RFC 6386, section 19.3).
func (p *vp8Parser) mode(x, y int, above, left, corner *vp8Block) (block vp8Block, skip bool) {
	b, h := &p.modes, &p.head
	if h.segments {
		if !b.bit(h.segment[0]) {
			b.bit(h.segment[1])
		} else {
			b.bit(h.segment[2])
		}
	}
	skip = h.skips && b.bit(h.skip)
	switch {
	case h.key:
		p.keyMode(&block, above, left)
	case b.bit(h.intra):
		p.motionMode(&block, x, y, above, left, corner)
	default:
		p.intraMode(&block)
	}
	return block, skip
}

// keyMode reads the modes of a macroblock in a key frame (section 11).
func (p *vp8Parser) keyMode(block, above, left *vp8Block) {
	b := &p.modes
	if b.bit(vp8KeyLuma[0]) {
		var sub uint8
		if !b.bit(vp8KeyLuma[1]) {
			sub = vp8SubDC
			if b.bit(vp8KeyLuma[2]) {
				sub = vp8SubV
			}
		} else {
			sub = vp8SubH
			if b.bit(vp8KeyLuma[3]) {
				sub = vp8SubTM
			}
		}
		block.lowSub = [4]uint8{sub, sub, sub, sub}
		block.rightSub = block.lowSub
	} else {
		block.split = true
		row := above.lowSub
		for y := range 4 {
			l := left.rightSub[y]
			for x := range 4 {
				l = b.subMode(&vp8KeyModes[row[x]][l])
				row[x] = l
			}
			block.rightSub[y] = l
		}
		block.lowSub = row
	}
	b.chroma(&vp8KeyChroma)
}

// intraMode reads the modes of a macroblock that is coded by itself in another frame (section 16.1).
func (p *vp8Parser) intraMode(block *vp8Block) {
	b, probs := &p.modes, &p.probs
	switch {
	case !b.bit(probs.luma[0]):
	case !b.bit(probs.luma[1]):
		b.bit(probs.luma[2])
	case b.bit(probs.luma[3]):
		block.split = true
		for range 16 {
			b.subMode(&vp8SubModes)
		}
	}
	b.chroma(&probs.chroma)
}

func (b *vp8Bool) chroma(probs *[3]uint8) {
	if b.bit(probs[0]) && b.bit(probs[1]) {
		b.bit(probs[2])
	}
}

// subMode reads the mode of a subblock (section 11.2).
func (b *vp8Bool) subMode(probs *[9]uint8) uint8 {
	switch {
	case !b.bit(probs[0]):
		return vp8SubDC
	case !b.bit(probs[1]):
		return vp8SubTM
	case !b.bit(probs[2]):
		return vp8SubV
	case !b.bit(probs[3]):
		switch {
		case !b.bit(probs[4]):
			return vp8SubH
		case !b.bit(probs[5]):
			return 5
		}
		return 6
	case !b.bit(probs[6]):
		return 4
	case !b.bit(probs[7]):
		return 7
	case !b.bit(probs[8]):
		return 8
	}
	return 9
}

// motionMode reads the motion of a macroblock (section 16.3).
func (p *vp8Parser) motionMode(block *vp8Block, x, y int, above, left, corner *vp8Block) {
	b := &p.modes
	block.ref = vp8Last
	if b.bit(p.head.last) {
		block.ref = vp8Golden
		if b.bit(p.head.golden) {
			block.ref = vp8Other
		}
	}
	near, count := p.neighbours(block.ref, above, left, corner)
	switch {
	case !b.bit(vp8MotionModes[count[0]][0]):
	case !b.bit(vp8MotionModes[count[1]][1]):
		block.motion = p.clamp(near[1], x, y)
	case !b.bit(vp8MotionModes[count[2]][2]):
		block.motion = p.clamp(near[2], x, y)
	default:
		best := vp8Motion{}
		if count[1] >= count[0] {
			best = near[1]
		}
		best = p.clamp(best, x, y)
		divided := 0
		for _, n := range [3]struct {
			block  *vp8Block
			weight int
		}{{above, 2}, {left, 2}, {corner, 1}} {
			if n.block.parted {
				divided += n.weight
			}
		}
		if b.bit(vp8MotionModes[divided][3]) {
			p.parted(block, best, above, left)
			return
		}
		block.motion = p.vector(best)
	}
	m := block.motion
	block.low = [4]vp8Motion{m, m, m, m}
	block.right = block.low
}

// neighbours collects the motion around a macroblock: near[1] is the most common, near[2] the next, and count how
// much each weighs; 0 is no motion (section 16.3).
func (p *vp8Parser) neighbours(ref uint8, above, left, corner *vp8Block) (near [4]vp8Motion, count [4]int) {
	at := 0
	for i, n := range [3]*vp8Block{above, left, corner} {
		weight := 2 - i/2
		switch {
		case n.ref == 0:
		case n.motion == vp8Motion{}:
			count[0] += weight
		default:
			m := n.motion
			if p.bias[n.ref] != p.bias[ref] {
				m.y, m.x = -m.y, -m.x
			}
			if at == 0 || m != near[at] {
				at++
				near[at] = m
			}
			count[at] += weight
		}
	}
	if count[3] > 0 && near[3] == near[1] {
		count[1]++
	}
	if count[2] > count[1] {
		near[1], near[2] = near[2], near[1]
		count[1], count[2] = count[2], count[1]
	}
	return near, count
}

// clamp keeps motion within a macroblock's length around the picture (section 5).
func (p *vp8Parser) clamp(m vp8Motion, x, y int) vp8Motion {
	const block = 64
	return vp8Motion{
		y: int16(min(max(int(m.y), -block*(y+1)), block*(p.rows-y))),
		x: int16(min(max(int(m.x), -block*(x+1)), block*(p.columns-x))),
	}
}

// parted reads the motion of a macroblock that is divided.
func (p *vp8Parser) parted(block *vp8Block, best vp8Motion, above, left *vp8Block) {
	b := &p.modes
	block.parted, block.split = true, true
	kind := 0
	if b.bit(vp8SplitProbs[0]) {
		kind = 1
		if b.bit(vp8SplitProbs[1]) {
			kind = 2
			if b.bit(vp8SplitProbs[2]) {
				kind = 3
			}
		}
	}
	var all [16]vp8Motion
	for part, k := range vp8Firsts[kind] {
		l, a := left.right[k>>2], above.low[k&3]
		if k&3 > 0 {
			l = all[k-1]
		}
		if k>>2 > 0 {
			a = all[k-4]
		}
		m := p.subMotion(l, a, best)
		for i := range all {
			if int(vp8Splits[kind][i]) == part {
				all[i] = m
			}
		}
	}
	block.motion = all[15]
	block.low = [4]vp8Motion(all[12:])
	block.right = [4]vp8Motion{all[3], all[7], all[11], all[15]}
}

// subMotion reads the motion of one part, of which l is to the left and a above.
func (p *vp8Parser) subMotion(l, a, best vp8Motion) vp8Motion {
	b := &p.modes
	none := vp8Motion{}
	context := 0
	switch {
	case l == a && l == none:
		context = 4
	case l == a:
		context = 3
	case a == none:
		context = 2
	case l == none:
		context = 1
	}
	probs := &vp8SubMotion[context]
	switch {
	case !b.bit(probs[0]):
		return l
	case !b.bit(probs[1]):
		return a
	case !b.bit(probs[2]):
		return none
	}
	return p.vector(best)
}

// vector reads a motion vector, coded as its difference from another (section 17).
func (p *vp8Parser) vector(from vp8Motion) vp8Motion {
	y := p.modes.component(&p.probs.motion[0])
	x := p.modes.component(&p.probs.motion[1])
	return vp8Motion{y: from.y + y, x: from.x + x}
}

func (b *vp8Bool) component(probs *[19]uint8) int16 {
	const sign, short, long, bits = 1, 2, 9, 10
	v := 0
	if b.bit(probs[0]) {
		for _, i := range [bits - 1]int{0, 1, 2, 9, 8, 7, 6, 5, 4} {
			if b.bit(probs[long+i]) {
				v |= 1 << i
			}
		}
		if v < 16 || b.bit(probs[long+3]) { // a long one is at least 8
			v |= 8
		}
	} else {
		node := 0
		for range 3 { // a full tree: its nodes stand in depth-first order
			one := b.bit(probs[short+vp8ShortNodes[node]])
			node = 2*node + 1
			v <<= 1
			if one {
				node++
				v |= 1
			}
		}
	}
	if v != 0 && b.bit(probs[sign]) {
		v = -v
	}
	return int16(v)
}

// vp8ShortNodes gives the number of a node of the tree of short motion vectors by its number in breadth-first order.
var vp8ShortNodes = [7]int{0, 1, 4, 2, 3, 5, 6}
