package capture

import "slices"

const (
	// rtpProbation is how many packets a new source has to send before it is followed (RFC 3550, A.1).
	rtpProbation = 2
	// rtpReturn is how many in a row, with none of the present source between, a source needs that was left, or
	// one whose numbers went back.
	rtpReturn = 16
	// rtpOldest is how many seconds a packet that comes again may be old.
	rtpOldest = 1800
	// rtpNear is how far apart the numbers of packets on probation may be.
	rtpNear = 16
	// rtpOldSources bounds the sources that are remembered.
	rtpOldSources = 8
)

// rtpCandidate are packets that do not fit the present sequence: a new source, or a stray.
type rtpCandidate struct {
	packets []*rtpPacket
	need    int
}

// sort puts one packet in its place, or drops it as a duplicate or as too late.
func (t *rtpTrack) sort(p *rtpPacket) {
	o := &t.order
	if !o.live {
		o.begin(p)
		t.add(p, o.high)
		return
	}
	if p.ssrc != o.ssrc {
		need := rtpProbation
		if slices.Contains(t.old, p.ssrc) {
			need = rtpReturn
		}
		t.propose(p, need)
		return
	}
	switch d := int64(int16(p.seq - uint16(o.high))); {
	case d > rtpMaxDropout:
		t.propose(p, rtpProbation)
	case d > 0:
		t.fits()
		t.add(p, o.high+d)
	default:
		t.older(p, o.high+d)
	}
}

// fits ends what only counts without packets that fit.
func (t *rtpTrack) fits() {
	t.order.run = 0
	if t.cand.need == rtpReturn {
		t.drop(&t.cand)
	}
}

// older takes a packet whose number is not above the highest.
func (t *rtpTrack) older(p *rtpPacket, ext int64) {
	o := &t.order
	again := o.isSeen(ext)
	if !again && ext >= o.next || !again && !o.moving && o.high-ext < o.window() {
		t.fits()
		t.log.stats.Reordered++
		t.add(p, ext)
		return
	}
	if t.restarts(p) {
		t.log.restarts++
		t.follow(p, []*rtpPacket{p})
		return
	}
	if again {
		t.log.stats.Duplicates++
	} else {
		t.log.stats.Late++
		if o.moving && ext >= o.base {
			t.log.stats.Lost-- // it did come, only too late to be used
		}
		o.mark(ext)
	}
	t.release(p)
}

// restarts tells whether a source began to count anew: old numbers in a row with times that cannot be old. A packet
// that comes again, as probes for bandwidth do in long rows, has a time not above the newest one's.
func (t *rtpTrack) restarts(p *rtpPacket) bool {
	o := &t.order
	age := int64(int32(o.highTS - p.ts))
	if age >= 0 && age < rtpOldest*int64(t.rate) {
		o.run = 0
		return false
	}
	if o.run == 0 || p.seq != o.runSeq+1 {
		o.run = 0
	}
	o.run++
	o.runSeq = p.seq
	return o.run >= rtpReturn
}

// add puts a packet that fits into the window and gives out what is due.
func (t *rtpTrack) add(p *rtpPacket, ext int64) {
	o := &t.order
	p.ext = ext
	if ext-o.next >= o.window() {
		o.advance(ext-o.window()+1, t.deliver)
	}
	now := p.arrival
	o.insert(p)
	if o.moving {
		o.advance(o.next, t.deliver)
	} else if o.high-o.next+1 >= o.window() {
		o.advance(o.next, t.deliver)
	}
	// More than one hole may have run out of patience.
	for now >= 0 && o.count > 0 {
		first := o.first()
		if now-first.arrival <= rtpPatience {
			return
		}
		o.advance(first.ext, t.deliver)
	}
}

// propose keeps a packet on probation, and follows its source when that has sent enough.
func (t *rtpTrack) propose(p *rtpPacket, need int) {
	c := &t.cand
	if n := len(c.packets); n > 0 {
		last := c.packets[n-1]
		d := int16(p.seq - last.seq)
		if p.ssrc != last.ssrc || d > rtpNear || d < -rtpNear {
			t.drop(c)
		} else if d == 0 {
			t.log.stats.Duplicates++
			t.release(p)
			return
		}
	}
	c.need = need
	c.packets = append(c.packets, p)
	if len(c.packets) < need {
		return
	}
	packets := c.packets
	c.packets = nil
	if p.ssrc == t.order.ssrc {
		t.jump(p, packets)
		return
	}
	t.log.stats.SourceChanges++
	t.follow(p, packets)
}

// jump goes on behind a jump in the numbers of the same source. Where the timestamps went on as the arrivals did,
// packets were lost; else the source began anew.
func (t *rtpTrack) jump(p *rtpPacket, packets []*rtpPacket) {
	o := &t.order
	first := packets[0]
	o.flush(t.deliver)
	ticks := int64(int32(first.ts - t.clock.last))
	coherent := first.arrival < 0 || t.clock.arrival < 0
	if !coherent {
		off := ticks - durationTicks(first.arrival-t.clock.arrival, t.rate)
		coherent = max(off, -off) < 2*int64(t.rate)
	}
	if !coherent {
		t.log.restarts++
		t.follow(p, packets)
		return
	}
	for _, p := range packets {
		switch d := int64(int16(p.seq - uint16(o.high))); {
		case d > 0:
			t.add(p, o.high+d)
		default:
			t.older(p, o.high+d)
		}
	}
}

// follow leaves the present sequence for the one of p, whose first packets are given.
func (t *rtpTrack) follow(p *rtpPacket, packets []*rtpPacket) {
	o := &t.order
	o.flush(t.deliver)
	if p.ssrc != o.ssrc {
		t.old = append(slices.DeleteFunc(t.old, func(s uint32) bool { return s == p.ssrc }), o.ssrc)
		if len(t.old) > rtpOldSources {
			t.old = t.old[1:]
		}
	}
	t.typeRun = 0
	for i, p := range packets {
		if i == 0 {
			o.begin(p)
		}
		if d := int64(int16(p.seq - uint16(o.high))); d > 0 || i == 0 {
			t.add(p, o.high+d)
		} else {
			t.older(p, o.high+d)
		}
	}
}

// drop gives up packets on probation: those of a source that was left are late, others are strays.
func (t *rtpTrack) drop(c *rtpCandidate) {
	for _, p := range c.packets {
		if c.need == rtpReturn {
			t.log.stats.Late++
		} else {
			t.log.strays++
		}
		t.release(p)
	}
	c.packets, c.need = nil, 0
}
