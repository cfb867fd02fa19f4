package capture

// rtpOrder puts the packets of one sequence space in order within a window.
type rtpOrder struct {
	ring   []*rtpPacket
	live   bool // a source was taken
	moving bool // packets were given out: what is below next comes too late
	ssrc   uint32
	source int
	base   int64 // first sequence number given out
	next   int64 // the one to give out next; before moving the lowest that came
	high   int64 // highest that came
	highTS uint32
	count  int // packets in ring
	lost   int // missing before next, not yet told
	seen   [1 << 16 / 64]uint64
	run    int // packets in a row that seemed old
	runSeq uint16
}

// begin starts a sequence space with p's number, which the caller adds.
func (o *rtpOrder) begin(p *rtpPacket) {
	ring := o.ring
	*o = rtpOrder{ring: ring, live: true, ssrc: p.ssrc, source: o.source + 1}
	// Numbers below the first may still come: start where wrapping down stays positive.
	o.high = 1<<20 + int64(p.seq)
	o.next = o.high
}

func (o *rtpOrder) slot(ext int64) **rtpPacket { return &o.ring[ext%int64(len(o.ring))] }

func (o *rtpOrder) isSeen(ext int64) bool {
	i := uint16(ext)
	return o.seen[i>>6]>>(i&63)&1 == 1
}

// mark notes that ext came and forgets what is a whole round of numbers older.
func (o *rtpOrder) mark(ext int64) {
	for e := o.high + 1; e <= ext; e++ {
		o.seen[uint16(e)>>6] &^= 1 << (e & 63)
	}
	o.seen[uint16(ext)>>6] |= 1 << (ext & 63)
}

// insert puts a packet into the ring; the caller has checked that it is new and fits.
func (o *rtpOrder) insert(p *rtpPacket) {
	o.mark(p.ext)
	if p.ext >= o.high {
		o.high, o.highTS = p.ext, p.ts
	}
	if !o.moving {
		o.next = min(o.next, p.ext)
	}
	p.source = o.source
	*o.slot(p.ext) = p
	o.count++
}

// advance gives out everything below upto, then what follows without a hole. Holes below upto are lost packets.
func (o *rtpOrder) advance(upto int64, give func(p *rtpPacket, lost int)) {
	if !o.moving {
		o.moving, o.base = true, o.next
	}
	for {
		p := *o.slot(o.next)
		if p == nil {
			if o.next >= upto {
				return
			}
			o.lost++
			o.next++
			continue
		}
		*o.slot(o.next) = nil
		o.count--
		o.next++
		give(p, o.lost)
		o.lost = 0
	}
}

// flush gives out all that waits.
func (o *rtpOrder) flush(give func(p *rtpPacket, lost int)) {
	if o.count > 0 {
		o.advance(o.high+1, give)
	}
}

// first is the waiting packet with the lowest number, or nil.
func (o *rtpOrder) first() *rtpPacket {
	for ext := o.next; o.count > 0 && ext <= o.high; ext++ {
		if p := *o.slot(ext); p != nil {
			return p
		}
	}
	return nil
}

// window is how many numbers the ring spans.
func (o *rtpOrder) window() int64 { return int64(len(o.ring)) }
