package capture

import "encoding/binary"

// tsPacket is a transport packet (ISO/IEC 13818-1, section 2.4.3.2).
type tsPacket struct {
	pid, counter int
	begins       bool // payload_unit_start_indicator
	jump         bool // discontinuity_indicator
	payload      []byte
}

// parseTSPacket reads 188 bytes; false when they are marked as damaged, scrambled or make no sense.
func parseTSPacket(b []byte) (p tsPacket, ok bool) {
	p.pid, p.begins, p.counter = int(b[1]&0x1f)<<8|int(b[2]), b[1]&0x40 != 0, int(b[3]&15)
	if b[1]&0x80 != 0 || b[3]&0xc0 != 0 {
		return p, false
	}
	at := 4
	if b[3]&0x20 != 0 {
		if at += 1 + int(b[4]); at > tsPacketBytes {
			return p, false
		}
		p.jump = b[4] > 0 && b[5]&0x80 != 0
	}
	if b[3]&0x10 != 0 {
		p.payload = b[at:tsPacketBytes]
	}
	return p, true
}

// tsSection gathers a table that may span packets (section 2.4.4).
type tsSection struct{ data []byte }

// add takes a packet's payload and returns the section when it is whole.
func (s *tsSection) add(p tsPacket) []byte {
	b := p.payload
	if p.begins {
		if len(b) == 0 || 1+int(b[0]) > len(b) {
			return nil
		}
		s.data = append(s.data[:0], b[1+int(b[0]):]...)
	} else if len(s.data) > 0 && len(s.data) < 8192 {
		s.data = append(s.data, b...)
	}
	if len(s.data) < 3 {
		return nil
	}
	size := 3 + int(binary.BigEndian.Uint16(s.data[1:])&0xfff)
	if size < 12 || len(s.data) < size || crcUpdate(0xffffffff, s.data[:size]) != 0 {
		return nil
	}
	return s.data[:size-4]
}

// tables follows PAT and PMT until the stream that is asked for is known.
func (r *TSReader) tables(p tsPacket) {
	switch {
	case p.pid == 0:
		b := r.pat.add(p)
		for at := 8; b != nil && at+4 <= len(b); at += 4 {
			if binary.BigEndian.Uint16(b[at:]) != 0 {
				r.pmtPID = int(binary.BigEndian.Uint16(b[at+2:]) & 0x1fff)
				return
			}
		}
	case p.pid == r.pmtPID && r.pmtPID != 0:
		b := r.pmt.add(p)
		if len(b) < 12 {
			return
		}
		r.streams(b[min(len(b), 12+int(binary.BigEndian.Uint16(b[10:])&0xfff)):])
	}
}

// streams picks the stream out of a program map (section 2.4.4.8).
func (r *TSReader) streams(b []byte) {
	for len(b) >= 5 {
		pid, info := int(binary.BigEndian.Uint16(b[1:])&0x1fff), int(binary.BigEndian.Uint16(b[3:])&0xfff)
		end := min(len(b), 5+info)
		kind, codec := tsCodec(b[0], b[5:end])
		if kind == r.cfg.Kind && (r.pid < 0 || r.codec != r.cfg.Codec && codec == r.cfg.Codec) {
			r.pid, r.codec = pid, codec
		}
		b = b[end:]
	}
}

// tsCodec returns what a stream type stands for (section 2.4.4.9); Opus is private data with a registration.
func tsCodec(kind byte, descriptors []byte) (Kind, string) {
	switch kind {
	case 0x1b:
		return KindVideo, "H264"
	case 0x0f:
		return KindAudio, "AAC"
	case 0x06:
		for b := descriptors; len(b) >= 2 && 2+int(b[1]) <= len(b); b = b[2+int(b[1]):] {
			if b[0] == 5 && string(b[2:min(6, 2+int(b[1]))]) == "Opus" {
				return KindAudio, "OPUS"
			}
		}
	}
	return "", ""
}

// tsPES is a PES packet in work (section 2.4.3.6).
type tsPES struct {
	open    bool
	damaged bool
	pts     int64 // -1 without
	size    int   // of the data as the header says, 0 when it does not
	buffer  []byte
	data    []byte // what of buffer is not handed out yet, once the packet is whole
}

func (p *tsPES) reset() {
	*p = tsPES{buffer: p.buffer[:0]}
	if cap(p.buffer) > 1<<20 {
		p.buffer = nil
	}
}

// start reads the header that the payload begins with.
func (p *tsPES) start(b []byte) {
	p.reset()
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[6]>>6 != 2 {
		return
	}
	head := 9 + int(b[8])
	if head > len(b) {
		return
	}
	p.open, p.pts = true, -1
	if b[7]&0x80 != 0 && b[8] >= 5 {
		p.pts = int64(b[9]>>1&7)<<30 | int64(binary.BigEndian.Uint16(b[10:])>>1)<<15 | int64(binary.BigEndian.Uint16(b[12:])>>1)
	}
	if length := int(binary.BigEndian.Uint16(b[4:])); length > 3+int(b[8]) {
		p.size = length - 3 - int(b[8])
	}
	p.buffer = append(p.buffer[:0], b[head:]...)
}

// finish makes the data ready: cut to the size that the header says. Missing bytes damage a picture; sound tells by
// its own lengths what is whole.
func (p *tsPES) finish(picture bool) {
	p.data = p.buffer
	if p.size > 0 && len(p.data) > p.size {
		p.data = p.data[:p.size]
	}
	p.damaged = p.damaged || picture && len(p.data) < p.size
}

// tsSound cuts PES packets of sound into frames; an ADTS frame may span two.
type tsSound struct {
	rest   []byte
	time   int64 // of the next frame, in 90 kHz
	late   bool  // the first frame began before the PES packet's time
	header [7]byte
}

// adtsRate returns the sampling frequency by index (ISO/IEC 14496-3, table 1.18).
func adtsRate(index byte) int64 {
	rates := [...]int64{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	if int(index) >= len(rates) {
		return 0
	}
	return rates[index]
}

// next takes the next frame off the PES packet. duration is in 90 kHz.
func (s *tsSound) next(p *tsPES, codec string, log *defectLog) (frame []byte, duration int64, ok bool) {
	if codec == "OPUS" {
		return s.opus(p, log)
	}
	if len(s.rest) > 0 { // the frame that began in the packet before
		p.data, s.rest = append(s.rest, p.data...), nil
	}
	for len(p.data) >= 7 {
		b := p.data
		size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5]>>5)
		rate := adtsRate(b[2] >> 2 & 15)
		head := 7
		if b[1]&1 == 0 {
			head = 9
		}
		if b[0] != 0xff || b[1]&0xf6 != 0xf0 || size <= head || rate == 0 {
			log.add(DefectCorruptData, "there is something else than ADTS in the stream of sound")
			p.data = b[1:]
			for len(p.data) > 1 && (p.data[0] != 0xff || p.data[1]&0xf6 != 0xf0) {
				p.data = p.data[1:]
			}
			continue
		}
		if size > len(b) {
			break
		}
		copy(s.header[:], b)
		p.data = b[size:]
		return b[head:size], 1024 * int64(b[6]&3+1) * tsRate / rate, true
	}
	s.rest = append([]byte{}, p.data...)
	p.data = nil
	return nil, 0, false
}

// opus takes an access unit with its control header ("Opus in MPEG-2 TS", the draft that FFmpeg follows).
func (s *tsSound) opus(p *tsPES, log *defectLog) (frame []byte, duration int64, ok bool) {
	b := p.data
	if len(b) < 3 || b[0] != 0x7f || b[1]&0xe0 != 0xe0 {
		if len(b) > 0 {
			log.add(DefectCorruptData, "there is something else than Opus in the stream of sound")
		}
		return nil, 0, false
	}
	flags, size, at := b[1], 0, 2
	for at < len(b) {
		size += int(b[at])
		at++
		if b[at-1] != 255 {
			break
		}
	}
	at += int(flags>>4&1)*2 + int(flags>>3&1)*2 // start and end trim
	if flags&4 != 0 && at < len(b) {
		at += 1 + int(b[at])
	}
	if size == 0 || at+size > len(b) {
		log.add(DefectCorruptData, "an Opus packet is longer than its PES packet")
		return nil, 0, false
	}
	p.data = b[at+size:]
	samples, ok := opusDuration(b[at : at+size])
	return b[at : at+size], samples * tsRate / opusRate, ok
}

// config makes the AudioSpecificConfig of the last ADTS header (ISO/IEC 14496-3, section 1.6.2.1).
func (s *tsSound) config() []byte {
	object, rate, channels := s.header[2]>>6+1, s.header[2]>>2&15, s.header[2]&1<<2|s.header[3]>>6
	return []byte{object<<3 | rate>>1, rate<<7 | channels<<3}
}
