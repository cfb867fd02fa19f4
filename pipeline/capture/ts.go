package capture

import (
	"fmt"
	"io"
	"time"
)

// tsRate is the clock of PTS (ISO/IEC 13818-1, section 2.4.3.7).
const tsRate = 90000

// TSReader reads one elementary stream of an MPEG transport stream (ISO/IEC 13818-1): H.264, AAC in ADTS, or Opus. A
// PES packet of pictures is one unit; sound is cut into its frames.
type TSReader struct {
	noted
	src *byteSource
	cfg ReaderConfig
	pat tsSection
	pmt tsSection
	// pmtPID is of the first program's map, 0 unknown.
	pmtPID int
	// passed is the size of the packet in work, skipped at the next one.
	passed int64

	codec  string
	pes    tsPES
	ready  *tsPES // a whole PES packet whose frames are handed out
	sound  tsSound
	config []byte

	clock   int64 // the last PTS, unwrapped
	first   int64
	started bool
	lost    int
	pid     int
	counter int
	torn    bool
	done    bool
	unit    Unit
	stats   ReadStats
}

func newTSReader(f FileReader, cfg ReaderConfig) (*TSReader, error) {
	r := &TSReader{src: newByteSource(f), cfg: cfg, pid: -1, counter: -1}
	// The tables come first in every stream; what is before them cannot be understood anyway.
	for r.pid < 0 {
		p, ok := r.packet()
		if !ok {
			if err := r.src.failed(cfg.Name); err != nil {
				return nil, err
			}
			return nil, &InputError{File: cfg.Name, Reason: fmt.Sprintf("is a transport stream without %s stream that is read", article(cfg.Kind))}
		}
		r.tables(p)
	}
	noteCodec(&r.log, cfg, r.codec)
	return r, nil
}

// Codec returns the codec that the program map names.
func (r *TSReader) Codec() string { return r.codec }

// Config returns the AudioSpecificConfig of AAC, known after the first Next; nil for other codecs.
func (r *TSReader) Config() []byte { return r.config }

// Offset returns the first unit's time stamp on the stream's own clock, known after the first Next.
func (r *TSReader) Offset() time.Duration { return time.Duration(rescale(r.first, 1e9, tsRate)) }

// Next gives the next unit, io.EOF after the last.
func (r *TSReader) Next() (*Unit, error) {
	for !r.done {
		if r.ready != nil {
			if u := r.frame(); u != nil {
				return u, nil
			}
			r.ready.reset()
			r.ready = nil
		}
		p, ok := r.packet()
		if !ok {
			if err := r.src.failed(r.cfg.Name); err != nil {
				r.done = true
				return nil, err
			}
			if !r.pes.open || r.torn {
				r.done = true
				break
			}
			r.torn = true // once more, for what the last PES packet holds
			r.pes.damaged = r.pes.damaged || r.stats.TornBytes > 0 && r.cfg.Kind == KindVideo
			r.ready = &r.pes
			r.begin()
			continue
		}
		r.take(p)
	}
	return nil, io.EOF
}

// packet gives the next transport packet, false at the end.
func (r *TSReader) packet() (p tsPacket, ok bool) {
	r.src.skip(r.passed)
	r.passed = 0
	for {
		b := r.src.peek(tsPacketBytes)
		if len(b) < tsPacketBytes {
			r.stats.TornBytes = int64(len(b))
			return p, false
		}
		if b[0] == tsSync {
			r.passed = tsPacketBytes
			if p, ok = parseTSPacket(b); ok {
				return p, true
			}
			r.src.skip(tsPacketBytes)
			r.passed = 0
			continue
		}
		r.log.add(DefectCorruptData, "the transport stream loses its rhythm at byte %d", r.src.off)
		r.resync()
	}
}

// resync goes to the next byte that begins two packets in a row.
func (r *TSReader) resync() {
	for {
		r.src.skip(1)
		b := r.src.peek(tsPacketBytes + 1)
		if len(b) <= tsPacketBytes || b[0] == tsSync && b[tsPacketBytes] == tsSync {
			return
		}
	}
}

func (r *TSReader) take(p tsPacket) {
	if p.pid != r.pid || len(p.payload) == 0 {
		return
	}
	if r.counter >= 0 && p.counter == r.counter && !p.jump {
		return // a packet may be sent twice (section 2.4.3.3)
	}
	if missing := (p.counter - r.counter - 1) & 15; r.counter >= 0 && missing != 0 && !p.jump {
		r.lost += missing
		r.stats.Lost += missing
		r.pes.damaged = r.pes.open
	}
	r.counter = p.counter
	if p.begins {
		if r.pes.open {
			// The packet before ends here; it is handed out first, and this one is looked at again.
			r.ready = &r.pes
			r.begin()
			r.counter = (p.counter - 1) & 15
			r.passed = 0
			r.pes.open = false
			return
		}
		r.pes.start(p.payload)
		return
	}
	if !r.pes.open {
		return
	}
	if len(r.pes.buffer)+len(p.payload) > maxUnitBytes {
		r.log.add(DefectOversizedUnit, "a PES packet before byte %d is larger than %d bytes", r.src.off, maxUnitBytes)
		r.pes.reset()
		return
	}
	r.pes.buffer = append(r.pes.buffer, p.payload...)
}

// begin sets the clock for the frames of a whole PES packet.
func (r *TSReader) begin() {
	p := r.ready
	p.finish(r.cfg.Kind == KindVideo)
	if p.pts >= 0 {
		if !r.started {
			r.started, r.first, r.clock = true, p.pts, p.pts
		} else { // 33 bits (section 2.4.3.7)
			r.clock += (p.pts - r.clock) << 31 >> 31
		}
	}
	// A time stamp is of the first frame that begins in the packet (section 2.4.3.7).
	if r.sound.late = len(r.sound.rest) > 0; !r.sound.late {
		r.sound.time = r.clock
	}
}

// frame gives the next frame of the ready PES packet, nil when there is none left.
func (r *TSReader) frame() *Unit {
	p := r.ready
	r.unit = Unit{Arrival: -1, Key: true, Damaged: p.damaged, Lost: r.lost}
	rate := int64(r.cfg.ClockRate)
	if r.codec == "H264" {
		if len(p.data) == 0 || !r.started {
			return nil
		}
		r.unit.Data, p.data = p.data, p.data[len(p.data):]
		r.unit.Ticks = rescale(r.clock-r.first, rate, tsRate)
		r.unit.Key, r.unit.Width, r.unit.Height = inspectUnit("H264", r.unit.Data)
	} else {
		data, duration, ok := r.sound.next(p, r.codec, &r.log)
		if !ok || !r.started {
			return nil
		}
		r.unit.Data = data
		r.unit.Ticks = rescale(r.sound.time-r.first, rate, tsRate)
		r.unit.Duration = rescale(duration, rate, tsRate)
		if r.sound.time += duration; r.sound.late {
			r.sound.time, r.sound.late = r.clock, false
		}
		if r.config == nil && r.codec == "AAC" {
			r.config = r.sound.config()
		}
	}
	r.lost = 0
	r.stats.Packets++
	return &r.unit
}

// Stats tells what was met so far.
func (r *TSReader) Stats() ReadStats {
	s := r.stats
	s.Defects = r.log.defects()
	return s
}

// Close frees the buffers.
func (r *TSReader) Close() error {
	r.done = true
	r.src.buf, r.src.start, r.src.end, r.pes, r.sound = nil, 0, 0, tsPES{}, tsSound{}
	return nil
}
