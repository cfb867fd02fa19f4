package capture

import (
	"errors"
	"io"
	"time"

	"github.com/pion/rtp"
)

// How RTP is put in order. Windows are in packets: the largest distance over which a late packet is waited for.
const (
	rtpVideoWindow = 256
	rtpAudioWindow = 64
	// rtpPatience is how long, by arrival, a missing packet is waited for.
	rtpPatience = time.Second
	// rtpLookahead is how many packets are looked at before the payload type is chosen.
	rtpLookahead = 256
	// rtpMaxDropout is the largest jump in sequence numbers that is taken for loss at once (RFC 3550, A.1).
	rtpMaxDropout = 3000
	// rtpTypeRun is how many packets in a row of another payload type, with none of the chosen one, change it.
	rtpTypeRun = 50
	// rtpBuffer fits any UDP packet and any record of the dumps.
	rtpBuffer = 2048
)

// rtpPacket is one packet with the buffer that it owns.
type rtpPacket struct {
	buf     []byte // the whole packet; rtpTrack.free keeps it for reuse
	payload []byte // inside buf; empty: padding only
	arrival time.Duration
	ssrc    uint32
	ts      uint32
	seq     uint16
	pt      uint8
	marker  bool
	pos     int64 // where its record begins in the file

	// What putting in order found out.
	ext    int64 // unwrapped sequence number
	ticks  int64 // unwrapped timestamp, from the file's first packet on
	lost   int   // packets missing before it
	source int   // counts the sequence spaces
}

// rtpSource gives the raw packets of a dump in the order of the file.
type rtpSource interface {
	// nextPacket reads the next packet into buf, which it may grow, and tells when it came, by the clock of the
	// dump, negative when the dump has none. io.EOF is the end, torn or not.
	nextPacket(buf []byte) (packet []byte, arrival time.Duration, err error)
	// place tells where the record of the packet given last begins, and where the record after it does.
	place() (last, next int64)
	// seek goes to a record, by what place told.
	seek(to int64) error
}

// rtpTrack makes one sequence of packets of one payload type out of a dump: in order, each once, times unwrapped.
// It holds at most a window of packets and the lookahead.
type rtpTrack struct {
	src    rtpSource
	log    *rtpLog
	rate   int
	red    int // payload type of RED (RFC 2198) to be unwrapped, or -1
	header rtp.Header

	head    []*rtpPacket // lookahead, not yet put in order
	pt      uint8
	typeRun int
	runType uint8
	begun   bool
	ended   error

	order  rtpOrder
	cand   rtpCandidate
	old    []uint32 // sources that were left
	ready  []*rtpPacket
	readyN int // how many of ready were given out
	spare  []*rtpPacket

	clock rtpClock
	begin time.Duration // arrival of the first packet by the dump's clock
}

func newRTPTrack(src rtpSource, kind Kind, rate int, log *rtpLog) *rtpTrack {
	window := rtpAudioWindow
	if kind == KindVideo {
		window = rtpVideoWindow
	}
	t := &rtpTrack{src: src, log: log, rate: max(rate, 1), red: -1}
	t.order.ring = make([]*rtpPacket, window)
	return t
}

// next gives the next packet with a payload. The caller gives it back with release.
func (t *rtpTrack) next() (*rtpPacket, error) {
	for {
		for t.readyN < len(t.ready) {
			p := t.ready[t.readyN]
			t.readyN++
			return p, nil
		}
		t.ready, t.readyN = t.ready[:0], 0
		if t.ended != nil {
			return nil, t.ended
		}
		if err := t.more(); err != nil {
			t.ended = err
			if errors.Is(err, io.EOF) {
				t.finish()
			}
		}
	}
}

// more takes one packet of the dump.
func (t *rtpTrack) more() error {
	if !t.begun {
		if err := t.choose(); err != nil {
			return err
		}
	}
	var p *rtpPacket
	if len(t.head) > 0 {
		p, t.head = t.head[0], t.head[1:]
	} else {
		var err error
		if p, err = t.read(); err != nil {
			return err
		}
	}
	if t.wanted(p) {
		t.log.stats.Packets++
		t.sort(p)
	} else {
		t.release(p)
	}
	return nil
}

// choose reads ahead and picks the payload type that most packets with a payload have: retransmissions, forward
// error correction and tones are fewer. A codec's static type (RFC 3551) wins where it occurs.
func (t *rtpTrack) choose() error {
	var count [128]int
	for len(t.head) < rtpLookahead {
		p, err := t.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		t.head = append(t.head, p)
		if len(p.payload) > 0 {
			count[p.pt]++
		}
	}
	if len(t.head) == 0 {
		return io.EOF
	}
	t.begun, t.pt = true, t.head[0].pt
	for pt, n := range count {
		if n > count[t.pt] {
			t.pt = uint8(pt)
		}
	}
	if static, ok := map[string]uint8{"PCMU": 0, "PCMA": 8}[t.log.codec]; ok && count[static] > 0 {
		t.pt = static
	}
	first := t.head[0]
	for _, p := range t.head {
		if p.pt == t.pt {
			first = p
			break
		}
	}
	t.begin, t.clock.last = first.arrival, first.ts
	t.log.first(first)
	return nil
}

// read reads and parses one RTP packet; what is no RTP is counted and passed over.
func (t *rtpTrack) read() (*rtpPacket, error) {
	for {
		p := t.get()
		buf, arrival, err := t.src.nextPacket(p.buf)
		if err != nil {
			t.release(p)
			return nil, err
		}
		p.buf, p.arrival = buf, arrival
		p.pos, _ = t.src.place()
		if t.parse(p) {
			return p, nil
		}
		t.log.badPackets++
		t.release(p)
	}
}

// parse reads the RTP header (RFC 3550, section 5.1) and cuts off padding.
func (t *rtpTrack) parse(p *rtpPacket) bool {
	n, err := t.header.Unmarshal(p.buf)
	h := &t.header
	if err != nil || h.Version != 2 || n > len(p.buf) {
		return false
	}
	p.payload = p.buf[n:]
	if h.Padding && len(p.payload) > 0 {
		pad := int(p.payload[len(p.payload)-1])
		if pad > len(p.payload) {
			return false
		}
		p.payload = p.payload[:len(p.payload)-pad]
	}
	p.pt, p.seq, p.ts, p.ssrc, p.marker = h.PayloadType, h.SequenceNumber, h.Timestamp, h.SSRC, h.Marker
	if int(p.pt) == t.red {
		if p.payload, p.pt, err = redPrimary(p.payload); err != nil {
			return false
		}
	}
	return true
}

// redPrimary gives the primary block of a RED payload (RFC 2198, section 3): the redundant ones before it were
// sent in packets of their own.
func redPrimary(payload []byte) ([]byte, uint8, error) {
	skip := 0
	for rest := payload; len(rest) > 0; {
		if rest[0]&0x80 == 0 {
			if skip > len(rest)-1 {
				break
			}
			return rest[1+skip:], rest[0] & 0x7f, nil
		}
		if len(rest) < 4 {
			break
		}
		skip += int(rest[2]&3)<<8 | int(rest[3])
		rest = rest[4:]
	}
	return nil, 0, errors.New("a RED payload is shorter than its blocks")
}

// wanted tells whether the packet is of the track's payload type. A source that changes its type for good is
// followed; RTX has a source of its own (RFC 4588), so it never looks like that.
func (t *rtpTrack) wanted(p *rtpPacket) bool {
	if p.pt == t.pt {
		t.typeRun = 0
		return true
	}
	if p.pt != t.runType {
		t.runType, t.typeRun = p.pt, 0
	}
	if t.order.live && p.ssrc == t.order.ssrc && len(p.payload) > 0 {
		if t.typeRun++; t.typeRun > rtpTypeRun {
			t.pt, t.typeRun = p.pt, 0
			return true
		}
	}
	t.log.foreign[p.pt]++
	return false
}

// finish gives out what still waits at the end of the dump.
func (t *rtpTrack) finish() {
	t.drop(&t.cand)
	t.order.flush(t.deliver)
}

// deliver takes the packets in order: padding is dropped here, since its sequence number had to count.
func (t *rtpTrack) deliver(p *rtpPacket, lost int) {
	p.lost = t.clock.carry + lost
	t.log.stats.Lost += lost
	if len(p.payload) == 0 {
		t.log.stats.PaddingOnly++
		t.clock.carry = p.lost
		t.release(p)
		return
	}
	t.clock.carry = 0
	t.clock.place(p, t.rate)
	t.log.anchor(p.ssrc, &t.clock)
	t.ready = append(t.ready, p)
}

// get and release keep buffers from being made for every packet.
func (t *rtpTrack) get() *rtpPacket {
	if n := len(t.spare); n > 0 {
		p := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return p
	}
	return &rtpPacket{buf: make([]byte, 0, rtpBuffer)}
}

func (t *rtpTrack) release(p *rtpPacket) {
	*p = rtpPacket{buf: p.buf[:0]}
	t.spare = append(t.spare, p)
}

// since is an arrival from the file's first packet on, negative when the dump does not tell.
func (t *rtpTrack) since(arrival time.Duration) time.Duration {
	if arrival < 0 {
		return -1
	}
	return max(arrival-t.begin, 0)
}

// rtpClock unwraps timestamps over packets in order.
type rtpClock struct {
	last    uint32 // timestamp at ticks; at first that of the file's first packet
	ticks   int64
	arrival time.Duration
	source  int
	carry   int // packets lost before a dropped padding packet
	step    int64
}

// place sets the packet's ticks. A new source has timestamps of its own: it begins as long after the old one's
// last packet as it arrived after it, or one step later where arrival is not known.
func (c *rtpClock) place(p *rtpPacket, rate int) {
	step := int64(int32(p.ts - c.last))
	if c.source != 0 && p.source != c.source {
		step = max(c.step, 1)
		if p.arrival >= 0 && c.arrival >= 0 {
			step = max(durationTicks(p.arrival-c.arrival, rate), 1)
		}
	} else if step > 0 {
		c.step = step
	}
	c.ticks += step
	c.last, c.arrival, c.source = p.ts, p.arrival, p.source
	p.ticks = c.ticks
}
