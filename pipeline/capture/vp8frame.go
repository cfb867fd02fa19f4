package capture

// vp8MaxBlocks bounds the macroblocks of a picture that is looked into: 4096x4096 pixels.
const vp8MaxBlocks = 1 << 16

// vp8Frame is what a look into one frame has told.
type vp8Frame struct {
	judged bool // the frame could be looked into
	short  bool // its symbols need more data than there is, or its header cannot be
	long   bool // its symbols leave data over
	key    bool
	kept   bool // it changed probabilities for the frames after it
	refers bool // frames after it can refer to it
}

// vp8Parser reads the symbols of VP8 frames in the order of decoding, without making pictures of them (RFC 6386). A
// frame with a piece missing, or one that is read with other probabilities than it was written with because a frame
// before it is missing, almost never ends where its data ends. It allocates only when the picture's size changes.
type vp8Parser struct {
	live  bool // a key frame was read and nothing broken since
	probs vp8Probs
	saved vp8Probs

	columns, rows int
	above         []vp8Block // of the row above, by column
	edges         []vp8Edge
	bias          [4]bool // motion vectors of the reference frame point the other way
	modes         vp8Bool
	parts         [8]vp8Bool
	partCount     int
	head          vp8Head
}

// vp8Probs are the probabilities that frames hand on.
type vp8Probs struct {
	coefs  vp8Coefs
	motion [2][19]uint8
	luma   [4]uint8
	chroma [3]uint8
}

// vp8Head is what the header of a frame says of its macroblocks (section 9 and 19.2).
type vp8Head struct {
	key       bool
	segments  bool // macroblocks name their segment
	segment   [3]uint8
	skips     bool // macroblocks may say that they have no coefficients
	skip      uint8
	intra     uint8
	last      uint8
	golden    uint8
	forgotten bool // the probabilities before this frame hold again after it
	changed   bool
	refers    bool
}

// frame looks into the next frame.
func (p *vp8Parser) frame(data []byte) vp8Frame {
	f := vp8Frame{}
	if len(data) < 3 {
		return f
	}
	f.key = data[0]&1 == 0
	if !f.key && !p.live {
		return f
	}
	p.live = false
	f.judged = true
	first := int(data[0])>>5 | int(data[1])<<3 | int(data[2])<<11
	body := data[3:]
	if f.key {
		if key, w, h := inspectVP8(data); !key || w == 0 || h == 0 {
			f.short = true
			return f
		} else if f.judged = p.resize((w+15)/16, (h+15)/16); !f.judged {
			return f
		}
		body = data[10:]
	}
	if first > len(body) {
		f.short = true
		return f
	}
	p.modes.reset(body[:first])
	p.header(f.key)
	f.refers, f.kept = p.head.refers, p.head.changed && !p.head.forgotten
	if !p.partitions(body[first:]) || p.modes.beyond() {
		f.short = true
		return f
	}
	f.short, f.long = p.blocks()
	p.live = !f.short && !f.long
	if p.head.forgotten {
		p.probs = p.saved
	}
	return f
}

// resize makes room for a row of macroblocks; false says that the picture is too large.
func (p *vp8Parser) resize(columns, rows int) bool {
	if columns*rows > vp8MaxBlocks {
		return false
	}
	if columns > cap(p.above) {
		p.above, p.edges = make([]vp8Block, columns), make([]vp8Edge, columns)
	}
	p.above, p.edges = p.above[:columns], p.edges[:columns]
	p.columns, p.rows = columns, rows
	return true
}

// partitions finds the partitions of coefficients behind the first one (section 9.5).
func (p *vp8Parser) partitions(data []byte) bool {
	sizes := 3 * (p.partCount - 1)
	if sizes > len(data) {
		return false
	}
	body := data[sizes:]
	for i := range p.partCount - 1 {
		n := int(data[3*i]) | int(data[3*i+1])<<8 | int(data[3*i+2])<<16
		if n > len(body) {
			return false
		}
		p.parts[i].reset(body[:n])
		body = body[n:]
	}
	p.parts[p.partCount-1].reset(body)
	return true
}

// header reads the frame header in the first partition (section 19.2).
func (p *vp8Parser) header(key bool) {
	b := &p.modes
	p.head = vp8Head{key: key, refers: key}
	h := &p.head
	if key {
		b.number(2) // color space, clamping
		p.probs = vp8Probs{coefs: vp8DefaultCoefs, motion: vp8DefaultMotion, luma: vp8DefaultLuma, chroma: vp8DefaultChroma}
		p.bias = [4]bool{}
	}
	if b.flag() {
		p.segmentation()
	}
	b.number(1 + 6 + 3)       // loop filter
	if b.flag() && b.flag() { // its adjustments
		for range 8 {
			b.skipIf(7)
		}
	}
	p.partCount = 1 << b.number(2)
	b.number(7) // quantizer
	for range 5 {
		b.skipIf(5)
	}
	if !key {
		p.references()
	}
	if h.forgotten = !b.flag(); h.forgotten {
		p.saved = p.probs
	}
	if !key && b.flag() { // refresh_last
		h.refers = true
	}
	p.coefficientProbs()
	if h.skips = b.flag(); h.skips {
		h.skip = uint8(b.number(8))
	}
	if !key {
		h.intra, h.last, h.golden = uint8(b.number(8)), uint8(b.number(8)), uint8(b.number(8))
		p.modeProbs()
	}
}

// segmentation reads update_segmentation (section 9.3).
func (p *vp8Parser) segmentation() {
	b, h := &p.modes, &p.head
	h.segments = b.flag()
	if b.flag() { // quantizer and filter of the segments
		b.flag()
		for range 4 {
			b.skipIf(8)
		}
		for range 4 {
			b.skipIf(7)
		}
	}
	if !h.segments {
		return
	}
	for i := range h.segment {
		h.segment[i] = 255
		if b.flag() {
			h.segment[i] = uint8(b.number(8))
		}
	}
}

// references reads which reference frames the frame replaces (section 9.7).
func (p *vp8Parser) references() {
	b := &p.modes
	golden, other := b.flag(), b.flag()
	p.head.refers = golden || other
	if !golden {
		b.number(2)
	}
	if !other {
		b.number(2)
	}
	p.bias[vp8Golden], p.bias[vp8Other] = b.flag(), b.flag()
}

func (p *vp8Parser) coefficientProbs() {
	b := &p.modes
	for i := range p.probs.coefs {
		for j := range p.probs.coefs[i] {
			for k := range p.probs.coefs[i][j] {
				for l := range p.probs.coefs[i][j][k] {
					if b.bit(vp8CoefUpdates[i][j][k][l]) {
						p.set(&p.probs.coefs[i][j][k][l], uint8(b.number(8)))
					}
				}
			}
		}
	}
}

// modeProbs reads the new probabilities of modes and motion vectors (sections 9.10 and 17.2).
func (p *vp8Parser) modeProbs() {
	b := &p.modes
	if b.flag() {
		for i := range p.probs.luma {
			p.set(&p.probs.luma[i], uint8(b.number(8)))
		}
	}
	if b.flag() {
		for i := range p.probs.chroma {
			p.set(&p.probs.chroma[i], uint8(b.number(8)))
		}
	}
	for i := range p.probs.motion {
		for j := range p.probs.motion[i] {
			if b.bit(vp8MotionUpdates[i][j]) {
				p.set(&p.probs.motion[i][j], max(uint8(b.number(7))<<1, 1))
			}
		}
	}
}

func (p *vp8Parser) set(old *uint8, to uint8) {
	p.head.changed = p.head.changed || *old != to
	*old = to
}

// blocks reads all macroblocks and tells whether the data of a partition is too short or too long for them.
func (p *vp8Parser) blocks() (short, long bool) {
	clear(p.above)
	clear(p.edges)
	for y := range p.rows {
		var left, corner vp8Block
		var edge vp8Edge
		part := &p.parts[y&(p.partCount-1)]
		for x := range p.columns {
			above := p.above[x]
			block, skip := p.mode(x, y, &above, &left, &corner)
			switch second := !block.split; {
			case !skip:
				part.tokens(&p.probs.coefs, &p.edges[x], &edge, second)
			case second:
				p.edges[x], edge = vp8Edge{}, vp8Edge{}
			default: // without a second order block its context stays as it is
				p.edges[x], edge = vp8Edge{8: p.edges[x][8]}, vp8Edge{8: edge[8]}
			}
			corner, left = above, block
			p.above[x] = block
		}
		if p.modes.beyond() || part.beyond() {
			return true, false
		}
	}
	long = p.modes.rest() > 0
	for i := range p.partCount {
		long = long || p.parts[i].rest() > 0
	}
	return false, long
}
