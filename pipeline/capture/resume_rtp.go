package capture

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"
)

// How the reader of an RTP dump is left and gone on with. Packets that were read and not yet given out are written
// down as places in the file and read again: most of the time that is the first packet of the unit to come, and no
// other.

// mostHeldPackets is more than a reader ever holds: windows, lookahead, probation.
const mostHeldPackets = 4096

// mark implements resumer.
func (r *rtpUnits) mark(p *packer) bool {
	t := r.track
	if !t.begun || t.ended != nil && !errors.Is(t.ended, io.EOF) {
		return false
	}
	_, next := t.src.place()
	p.place(pointRTP, next)
	p.bool(t.ended != nil)
	p.uint(uint64(t.pt))
	p.uint(uint64(t.typeRun))
	p.uint(uint64(t.runType))
	p.int(int64(t.begin))
	t.order.pack(p)
	t.clock.pack(p)
	p.uint(uint64(len(t.old)))
	for _, ssrc := range t.old {
		p.uint(uint64(ssrc))
	}
	p.uint(uint64(t.cand.need))
	p.bool(r.marks)
	p.bool(r.known)
	p.uint(uint64(r.source))
	h264, ok := r.dep.(*h264Depacketizer)
	p.bool(ok && h264.inBand)
	for _, list := range r.waiting() {
		p.uint(uint64(len(list)))
		for _, k := range list {
			k.pack(p, next)
		}
	}
	return true
}

// waiting are the packets that were read and not given out: the first of the next unit and those in order behind it,
// those that wait for others, those on probation, and those not looked at.
func (r *rtpUnits) waiting() [4][]*rtpPacket {
	t := r.track
	ready := t.ready[t.readyN:]
	if r.held != nil {
		ready = append([]*rtpPacket{r.held}, ready...)
	}
	var ring []*rtpPacket
	if o := &t.order; o.count > 0 {
		for ext := o.next; ext <= o.high; ext++ {
			if k := *o.slot(ext); k != nil {
				ring = append(ring, k)
			}
		}
	}
	return [4][]*rtpPacket{ready, ring, t.cand.packets, t.head}
}

func (k *rtpPacket) pack(p *packer, from int64) {
	p.int(k.pos - from)
	p.int(k.ext)
	p.int(k.ticks)
	p.uint(uint64(k.lost))
	p.uint(uint64(k.source))
}

// resume implements resumer.
func (r *rtpUnits) resume(u *unpacker) error {
	t := r.track
	next, ok := u.place(pointRTP, maxTicks)
	ended := u.bool()
	t.begun, t.pt, t.typeRun, t.runType = true, uint8(u.uint()&0x7f), u.number(), uint8(u.uint()&0x7f)
	t.begin = time.Duration(u.within(maxTicks))
	ok = t.order.unpack(u) && ok
	t.clock.unpack(u)
	for range u.count(1) {
		t.old = append(t.old, uint32(u.uint()))
	}
	t.cand.need = u.number()
	r.marks, r.known, r.source = u.bool(), u.bool(), u.number()
	inBand := u.bool()
	if h264, is := r.dep.(*h264Depacketizer); is {
		h264.inBand = inBand
	}
	var lists [4][]*rtpPacket
	var all []*rtpPacket
	for i := range lists {
		for range u.count(5) {
			k := &rtpPacket{pos: next + u.within(maxTicks), ext: u.within(maxTicks), ticks: u.int(), lost: u.number(), source: u.number()}
			lists[i] = append(lists[i], k)
		}
		all = append(all, lists[i]...)
	}
	if !ok || u.bad || len(t.old) > rtpOldSources || len(all) > mostHeldPackets {
		return errBadPoint
	}
	if err := t.readAgain(all); err != nil {
		return err
	}
	if err := t.src.seek(next); err != nil {
		return err
	}
	t.ready, t.cand.packets, t.head = lists[0], lists[2], lists[3]
	if ended {
		t.ended = io.EOF
	}
	return t.order.refill(lists[1])
}

// readAgain fills packets with what lies at their places in the file.
func (t *rtpTrack) readAgain(packets []*rtpPacket) error {
	sorted := slices.Clone(packets)
	slices.SortFunc(sorted, func(a, b *rtpPacket) int { return cmp.Compare(a.pos, b.pos) })
	for _, k := range sorted {
		if k.pos < 0 {
			return errBadPoint
		}
		if err := t.src.seek(k.pos); err != nil {
			return err
		}
		buf, arrival, err := t.src.nextPacket(nil)
		if errors.Is(err, io.EOF) {
			return errBadPoint
		}
		if err != nil {
			return err
		}
		k.buf, k.arrival = buf, arrival
		if at, _ := t.src.place(); at != k.pos || !t.parse(k) {
			return errBadPoint
		}
	}
	return nil
}

func (o *rtpOrder) pack(p *packer) {
	p.bool(o.live)
	p.bool(o.moving)
	p.uint(uint64(o.ssrc))
	p.uint(uint64(o.source))
	p.int(o.next)
	p.int(o.high)
	p.uint(uint64(o.highTS))
	p.uint(uint64(o.lost))
	p.uint(uint64(o.run))
	p.uint(uint64(o.runSeq))
}

// unpack reads all but the packets that wait. What came long ago is not remembered: it only told duplicates from late
// packets in the statistics.
func (o *rtpOrder) unpack(u *unpacker) bool {
	o.live, o.moving = u.bool(), u.bool()
	o.ssrc, o.source = uint32(u.uint()), u.number()
	o.next, o.high = u.within(maxTicks), u.within(maxTicks)
	o.highTS, o.lost, o.run, o.runSeq = uint32(u.uint()), u.number(), u.number(), uint16(u.uint())
	o.base = o.next
	return o.next >= 0 && o.high >= o.next-1 && o.high-o.next < o.window()
}

// refill puts the packets that wait back.
func (o *rtpOrder) refill(packets []*rtpPacket) error {
	for _, k := range packets {
		if k.ext < o.next || k.ext > o.high || *o.slot(k.ext) != nil {
			return errBadPoint
		}
		*o.slot(k.ext) = k
		o.seen[uint16(k.ext)>>6] |= 1 << (k.ext & 63)
		o.count++
	}
	return nil
}

func (c *rtpClock) pack(p *packer) {
	p.uint(uint64(c.last))
	p.int(c.ticks)
	p.int(int64(c.arrival))
	p.uint(uint64(c.source))
	p.uint(uint64(c.carry))
	p.int(c.step)
}

func (c *rtpClock) unpack(u *unpacker) {
	c.last, c.ticks, c.arrival = uint32(u.uint()), u.within(maxTicks), time.Duration(u.within(maxTicks))
	c.source, c.carry, c.step = u.number(), u.number(), u.within(maxTicks)
}
