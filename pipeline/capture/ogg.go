package capture

import (
	"encoding/binary"
	"io"
)

// opusRate is the clock of Opus granules and of its RTP payload format (RFC 7845 section 4, RFC 7587 section 4.1).
const opusRate = 48000

// OggReader reads the first Opus stream of an Ogg file (RFC 3533, RFC 7845).
//
// Two conventions of page granules are told apart by the first page of sound. The normal one counts the samples up
// to the end of the page's last packet. Pion's v3 writer puts 1 plus the RTP time since the first packet, which is
// where the packet begins.
type OggReader struct {
	noted
	pages   oggPages
	cfg     ReaderConfig
	page    oggPage
	packets []oggPacket
	next    int
	// carry is the packet that began on an earlier page; spare is the buffer that takes the next such packet.
	carry, spare []byte
	carrying     bool

	chosen   bool
	ended    bool // the chosen stream's last page was seen
	serial   uint32
	sequence uint32
	foreign  map[uint32]bool
	preSkip  int

	conventionKnown bool
	startGranules   bool
	lastGranule     int64
	pos             int64 // where the last page's granule stands in samples, unwrapped
	end             int64 // where the last packet ends
	first           int64
	started         bool
	gaps            int
	lost            int
	unit            Unit
	stats           ReadStats
	done            bool
}

type oggPacket struct {
	data     []byte
	duration int64
	start    int64
}

func newOggReader(f FileReader, cfg ReaderConfig) (*OggReader, error) {
	if cfg.Kind == KindVideo {
		return nil, &InputError{File: cfg.Name, Reason: "is Ogg, which is read for sound only, but the track is video"}
	}
	r := &OggReader{cfg: cfg, foreign: map[uint32]bool{}}
	r.pages = oggPages{src: newByteSource(f), log: &r.log}
	noteCodec(&r.log, cfg, "OPUS")
	if len(r.pages.src.peek(1)) == 0 {
		if err := r.pages.src.failed(cfg.Name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// PreSkip returns the samples of 48 kHz that OpusHead says to skip. They are not skipped here: the dump of an SFU
// starts in mid-air, and Pion writes 3840 although nothing is to be skipped. 0 before the header was read.
func (r *OggReader) PreSkip() int { return r.preSkip }

// StartGranules reports whether the granules are of Pion's v3 kind, known after the first unit.
func (r *OggReader) StartGranules() bool { return r.startGranules }

// Continuous reports whether no page's granule ever jumped, so far. At the end of a file with normal granules it
// means that gaps, if the sender made any, have vanished: Pion's v4 writer adds up the packets' durations.
func (r *OggReader) Continuous() bool { return r.gaps == 0 }

// Codec returns OPUS.
func (r *OggReader) Codec() string { return "OPUS" }

// Next gives the next packet, io.EOF after the last.
func (r *OggReader) Next() (*Unit, error) {
	for !r.done {
		if r.next < len(r.packets) {
			p := &r.packets[r.next]
			r.next++
			if !r.started {
				r.started, r.first = true, p.start
			}
			r.unit = Unit{Data: p.data, Key: true, Arrival: -1, Lost: r.lost}
			r.lost = 0
			r.unit.Ticks = rescale(p.start-r.first, int64(r.cfg.ClockRate), opusRate)
			r.unit.Duration = rescale(p.duration, int64(r.cfg.ClockRate), opusRate)
			r.stats.Packets++
			return &r.unit, nil
		}
		if !r.pages.next(&r.page) {
			return r.finish()
		}
		r.take(&r.page)
	}
	return nil, io.EOF
}

func (r *OggReader) finish() (*Unit, error) {
	r.done = true
	if err := r.pages.src.failed(r.cfg.Name); err != nil {
		return nil, err
	}
	r.stats.TornBytes = r.pages.torn + int64(len(r.carry))
	if r.stats.Packets == 0 && len(r.foreign) > 0 && !r.chosen {
		return nil, &InputError{File: r.cfg.Name, Reason: "is Ogg without an Opus stream"}
	}
	return nil, io.EOF
}

// take makes packets of one page, when it belongs to the stream that is read.
func (r *OggReader) take(p *oggPage) {
	r.packets, r.next = r.packets[:0], 0
	if !r.choose(p) {
		return
	}
	if missing := p.sequence - r.sequence; missing != 0 && missing < 1<<16 {
		r.lost += int(missing)
		r.stats.Lost += int(missing)
		r.carrying = false
	}
	r.sequence = p.sequence + 1
	if !r.carrying {
		r.carry = r.carry[:0]
	}
	r.split(p)
	r.ended = p.last
	r.place(p)
}

// choose says whether the page is of the stream that is read, and follows a chain of streams (RFC 3533 section 4):
// the next link continues where the one before ended.
func (r *OggReader) choose(p *oggPage) bool {
	if p.begins && len(p.body) >= 8 && string(p.body[:8]) == "OpusHead" {
		if r.chosen && !r.ended {
			if r.serial != p.serial {
				r.foreign[p.serial] = true
			}
			return false
		}
		if len(p.body) >= 12 {
			r.preSkip = int(binary.LittleEndian.Uint16(p.body[10:]))
		}
		r.adopt(p)
		return false
	}
	switch {
	case p.begins || len(r.foreign) > 64:
		if !r.chosen || r.serial != p.serial {
			r.foreign[p.serial] = true
			return false
		}
	case r.foreign[p.serial]:
		return false
	case !r.chosen:
		// The first page was lost, and nothing says that this stream is of another codec.
		r.log.add(DefectCorruptData, "the page with OpusHead is missing")
		r.adopt(p)
		r.sequence = p.sequence
	case r.serial != p.serial:
		return false
	}
	return len(p.body) < 8 || string(p.body[:8]) != "OpusTags" || r.skipTags(p)
}

// skipTags passes over the page of tags, keeping the sequence.
func (r *OggReader) skipTags(p *oggPage) bool {
	r.sequence = p.sequence + 1
	r.carrying = false
	return false
}

func (r *OggReader) adopt(p *oggPage) {
	r.chosen, r.ended, r.serial, r.sequence = true, false, p.serial, p.sequence+1
	r.conventionKnown, r.carrying = false, false
	delete(r.foreign, p.serial)
}

// split cuts the page's body into packets by its lacing values (RFC 3533 section 5).
func (r *OggReader) split(p *oggPage) {
	body, from, to := p.body, 0, 0
	drop := p.continued && !r.carrying // the rest of a packet whose beginning is lost
	if !p.continued && r.carrying {
		r.log.add(DefectCorruptData, "an Ogg packet breaks off before byte %d", r.pages.src.off)
		r.carrying, r.carry = false, r.carry[:0]
	}
	for _, lace := range p.lacing {
		to += int(lace)
		if lace == 255 {
			continue
		}
		data := body[from:to]
		from = to
		switch {
		case drop:
			drop = false
			continue
		case r.carrying:
			whole := append(r.carry, data...)
			r.carry, r.spare, r.carrying = r.spare[:0], whole, false
			data = whole
		}
		r.addPacket(data)
	}
	if from == to || drop {
		return
	}
	if len(r.carry)+to-from > maxUnitBytes {
		r.log.add(DefectOversizedUnit, "an Ogg packet at byte %d is larger than %d bytes", r.pages.src.off, maxUnitBytes)
		r.carrying, r.carry = false, r.carry[:0]
		return
	}
	r.carry, r.carrying = append(r.carry, body[from:to]...), true
}

func (r *OggReader) addPacket(data []byte) {
	duration, ok := opusDuration(data)
	if !ok {
		if len(data) < 8 || string(data[:8]) != "OpusTags" {
			r.log.add(DefectCorruptData, "a packet before byte %d is not Opus", r.pages.src.off)
			r.lost++
		}
		return
	}
	r.packets = append(r.packets, oggPacket{data: data, duration: duration})
}

// place gives the page's packets their times: counted back from the granule.
func (r *OggReader) place(p *oggPage) {
	if len(r.packets) == 0 {
		return
	}
	var total int64
	for i := range r.packets {
		total += r.packets[i].duration
	}
	start := r.startOf(p, total)
	if r.started && start != r.end {
		r.gaps++
	}
	for i := range r.packets {
		r.packets[i].start = start
		start += r.packets[i].duration
	}
	r.end = start
}

// startOf returns where the first packet of a page begins, in samples.
func (r *OggReader) startOf(p *oggPage, total int64) int64 {
	if p.granule < 0 || p.granule > maxTicks {
		if p.granule != -1 {
			r.log.add(DefectBadTime, "a page before byte %d has the granule %d", r.pages.src.off, p.granule)
		}
		return r.end
	}
	tail := r.packets[len(r.packets)-1].duration
	if !r.conventionKnown {
		// A page that also ends the stream may be cut short by its granule (RFC 7845 section 4.5).
		r.conventionKnown = true
		r.startGranules = p.granule < total && !(p.last && len(r.packets) > 1)
		r.lastGranule = p.granule
		r.pos = p.granule
		if r.started { // a chained stream goes on where the one before ended
			r.pos = r.end + total
			if r.startGranules {
				r.pos -= tail
			}
		}
	}
	step := p.granule - r.lastGranule
	r.lastGranule = p.granule
	if r.startGranules {
		// Pion adds up differences of 32 bits: a packet older than the one before adds almost 2^32.
		step = int64(int32(uint32(step)))
		r.pos += step
		return r.pos - (total - tail)
	}
	r.pos += step
	start := r.pos - total
	if p.last && start < r.end {
		return max(start, r.end)
	}
	return start
}

// Stats tells what was met so far.
func (r *OggReader) Stats() ReadStats {
	s := r.stats
	s.Defects = r.log.defects()
	return s
}

// Close frees the buffers.
func (r *OggReader) Close() error {
	r.done = true
	r.pages.src.buf, r.pages.src.start, r.pages.src.end = nil, 0, 0
	r.carry, r.spare, r.packets = nil, nil, nil
	return nil
}
