package capture

import (
	"errors"
	"io"
	"strings"
)

// rtpMaxUnit bounds an access unit: a dump whose timestamps stand still must not fill the memory.
const rtpMaxUnit = 16 << 20

// rtpUnits makes access units of a track's packets. A unit is what has one timestamp; the marker bit only helps to
// tell whether its end is there.
type rtpUnits struct {
	track *rtpTrack
	log   *rtpLog
	dep   depacketizer
	kind  Kind
	codec string
	rate  int

	unit   Unit
	buf    []byte
	held   *rtpPacket // read, of the next unit
	marks  bool       // the sender sets marker bits
	source int        // sequence space of the unit before
	known  bool       // the unit before ended just before this one
}

// newRTPUnits wires a source of packets to the codec that they hold.
func newRTPUnits(src rtpSource, log *rtpLog, cfg ReaderConfig, kind Kind, codec string, rate int) (*rtpUnits, error) {
	codec = strings.ToUpper(codec)
	dep, err := newDepacketizer(codec)
	if err != nil {
		return nil, &InputError{File: cfg.Name, Reason: err.Error(), Err: err}
	}
	log.codec = codec
	return &rtpUnits{track: newRTPTrack(src, kind, rate, log), log: log, dep: dep, kind: kind, codec: codec, rate: rate}, nil
}

// Media tells what the file holds, which is not always what the manifest says: mjr headers name the codec.
func (r *rtpUnits) Media() (kind Kind, codec string, clockRate int) { return r.kind, r.codec, r.rate }

// Stats implements UnitReader.
func (r *rtpUnits) Stats() ReadStats { return r.log.report() }

// Close implements UnitReader.
func (r *rtpUnits) Close() error {
	r.buf, r.held = nil, nil
	return nil
}

// Next implements UnitReader.
func (r *rtpUnits) Next() (*Unit, error) {
	p, err := r.take()
	if err != nil {
		return nil, err
	}
	r.unit = Unit{Ticks: p.ticks, Lost: p.lost, Arrival: r.track.since(p.arrival)}
	r.buf = r.buf[:0]
	if r.kind == KindAudio {
		r.sound(p)
		return &r.unit, nil
	}
	return r.picture(p)
}

func (r *rtpUnits) take() (*rtpPacket, error) {
	if p := r.held; p != nil {
		r.held = nil
		return p, nil
	}
	return r.track.next()
}

// sound makes a unit of one packet.
func (r *rtpUnits) sound(p *rtpPacket) {
	u := &r.unit
	r.buf = append(r.buf, p.payload...)
	u.Data, u.Key = r.buf, true
	if r.codec == "OPUS" {
		samples, ok := opusDuration(u.Data)
		if !ok {
			r.log.badUnits++
			u.Damaged = true
		} else {
			u.Duration = samples * int64(r.rate) / 48000
		}
	} else {
		u.Duration = int64(len(u.Data)) * int64(r.rate) / 8000
	}
	r.track.release(p)
}

// picture joins all packets of p's timestamp.
func (r *rtpUnits) picture(p *rtpPacket) (*Unit, error) {
	u := &r.unit
	same := r.known && r.source == p.source && p.lost == 0
	if !same {
		u.Damaged = !r.dep.begins(p.payload)
	}
	if r.source != p.source {
		u.Lost = 0
	}
	r.source = p.source
	marked := false
	for {
		marked = p.marker
		r.marks = r.marks || marked
		r.push(p)
		ticks := p.ticks
		r.track.release(p)
		next, err := r.track.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return nil, err
			}
			r.end(!marked && r.marks)
			return u, nil
		}
		p = next
		if p.ticks != ticks || p.source != r.source || len(r.buf) > rtpMaxUnit {
			break
		}
		if p.lost > 0 {
			u.Damaged = true
			r.dep.gap()
		}
	}
	r.held = p
	r.known = p.ticks != u.Ticks
	if !r.known {
		r.log.huge++
		u.Damaged = true
	}
	r.end(!marked && (p.lost > 0 || p.source != r.source && r.marks))
	return u, nil
}

func (r *rtpUnits) push(p *rtpPacket) {
	var err error
	if r.buf, err = r.dep.push(r.buf, p.payload); err != nil {
		r.unit.Damaged = true
		if !errors.Is(err, errFragment) && !errors.Is(err, errHalfUnit) {
			r.log.badUnits++
		}
	}
	// Arrival never runs back within a unit: the last packet to come makes it whole.
	r.unit.Arrival = max(r.unit.Arrival, r.track.since(p.arrival))
}

// end finishes the unit; torn says that its last packets are missing.
func (r *rtpUnits) end(torn bool) {
	u := &r.unit
	w, h := r.dep.size()
	var err error
	if r.buf, err = r.dep.finish(r.buf); err != nil || torn {
		u.Damaged = true
	}
	u.Data = r.buf
	if u.Key, u.Width, u.Height = inspectUnit(r.codec, u.Data); u.Key && w > 0 && h > 0 {
		u.Width, u.Height = w, h
	}
	if !u.Key {
		u.Width, u.Height = 0, 0
	}
}
