package hls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"rushes/transcode/mp4"
)

// movie writes the progressive MP4 of one layer.
type movie struct {
	w            *mp4.Writer
	video, sound int // indices of the tracks, -1 none
	vspec, aspec mp4.Track
	end          Tick
	delay        Tick // first picture's PTS minus DTS
	begun        bool
	lastV, lastA int64
	hasA         bool
	changed      *mp4.Track // the specification that inBand was made of
	inBand       []byte     // parameter sets to put before key frames
}

// movieBuffer bounds what the movies of several layers hold for interleaving.
const movieBuffer = 8 << 20

func newMovie(f mp4.File, vspec, aspec *mp4.Track, end Tick) (*movie, error) {
	m := &movie{w: mp4.NewWriter(f, mp4.Options{BufferBytes: movieBuffer}), video: -1, sound: -1, end: end}
	var err error
	if vspec != nil {
		m.vspec = clean(*vspec)
		if m.video, err = m.w.AddTrack(m.vspec); err != nil {
			return nil, fmt.Errorf("hls: movie: %w", err)
		}
	}
	if aspec != nil {
		m.aspec = clean(*aspec)
		m.aspec.Timescale = outTimescale(aspec)
		if m.sound, err = m.w.AddTrack(m.aspec); err != nil {
			return nil, fmt.Errorf("hls: movie: %w", err)
		}
	}
	return m, nil
}

// see writes a picture. Parameters that differ from the track's go in front of the key frame that needs them.
func (m *movie) see(p *picture) error {
	ts := m.vspec.Timescale
	s := mp4.Sample{DTS: toScale(p.dts, ts), PTS: toScale(p.pts, ts), Sync: p.sync}
	if !m.begun {
		m.begun, m.delay = true, max(0, p.pts-p.dts)
	} else {
		s.DTS = max(s.DTS, m.lastV+1)
	}
	m.lastV = s.DTS
	// Only the last one's duration counts: it lasts until the end.
	s.Duration = uint32(min(max(toScale(m.end-m.delay, ts)-s.DTS, 1), math.MaxUint32))
	if p.sync && !sameVideo(&m.vspec, p.spec) {
		if m.changed != p.spec {
			m.changed, m.inBand = p.spec, parameterSets(p.spec.Video.Config)
		}
		return m.w.WriteV(m.video, s, m.inBand, p.data)
	}
	s.Data = p.data
	return m.w.Write(m.video, s)
}

// listen writes a frame of sound. Sound that the track's configuration does not fit is left out.
func (m *movie) listen(h *heard) (fits bool, err error) {
	if !sameAudio(&m.aspec, h.spec) {
		return false, nil
	}
	at := h.at
	if m.hasA {
		at = max(at, m.lastA+1)
	}
	m.hasA, m.lastA = true, at
	return true, m.w.Write(m.sound, mp4.Sample{Data: h.data, DTS: at, PTS: at, Duration: uint32(min(h.dur, math.MaxUint32)), Sync: true})
}

// parameterSets are the SPS and PPS of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1) as NAL units with
// four bytes of length; what is cut off is left out.
func parameterSets(config []byte) (out []byte) {
	eachSet(config, func(set []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(set)))
		out = append(out, set...)
	})
	return out
}

// trimmedSets is parameterSets without the zeros that a byte stream may have had between its NAL units
// (ISO/IEC 14496-10, B.2): two records that differ in nothing else mean the same.
func trimmedSets(config []byte) (out []byte) {
	eachSet(config, func(set []byte) {
		set = bytes.TrimRight(set, "\x00")
		out = binary.BigEndian.AppendUint32(out, uint32(len(set)))
		out = append(out, set...)
	})
	return out
}

// eachSet goes through the parameter sets of an AVCDecoderConfigurationRecord.
func eachSet(config []byte, fn func(set []byte)) {
	if len(config) < 6 {
		return
	}
	p := config[5:]
	for _, mask := range []byte{0x1f, 0xff} {
		if len(p) == 0 {
			return
		}
		n := int(p[0] & mask)
		p = p[1:]
		for range n {
			if len(p) < 2 {
				return
			}
			size := int(binary.BigEndian.Uint16(p))
			if p = p[2:]; size > len(p) {
				return
			}
			fn(p[:size])
			p = p[size:]
		}
	}
}
