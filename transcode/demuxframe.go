package transcode

import (
	"bytes"

	"rushes/transcode/internal/av"
	"rushes/transcode/mp4"
)

// frameSplitter makes frames of the PES packets of an AAC stream with ADTS headers (ISO/IEC 13818-7, 6.2).
type frameSplitter struct {
	rest   []byte // beginning of a frame whose end is in the next packet
	base   int64  // time of the frame that frames are counted from
	frames int64  // given since then
	known  bool   // base is
	rate   int64
	config [2]byte
}

// sampleRate is one of those of ISO/IEC 14496-3, table 1.18.
func sampleRate(index byte) int {
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	if int(index) >= len(rates) {
		return 0
	}
	return rates[index]
}

// packet takes the packet that the segment has read. Its time is that of the first frame that begins in it.
func (a *frameSplitter) packet(s *Segment, l *segmentLane, pts int64) {
	data, carried := s.pkt.Data(), len(a.rest)
	if s.pkt.Corrupt {
		a.rest, carried = a.rest[:0], 0
	}
	if carried > 0 {
		a.rest = append(a.rest, data...)
		data = a.rest
	}
	at := 0
	for at < len(data) {
		frame, n := adtsFrame(data[at:])
		if n == 0 { // cut off, or none
			if !maybeADTS(data[at:]) {
				at = nextADTS(data, at+1)
				continue
			}
			break
		}
		if at >= carried && pts != av.NoPTS {
			a.base, a.frames, a.known = pts, 0, true
			pts = av.NoPTS
		}
		a.give(s, l, data[at:at+7], frame)
		at += n
	}
	if at >= carried && at < len(data) && pts != av.NoPTS { // the frame that is cut off is the packet's first
		a.base, a.frames, a.known = pts, 0, true
	}
	a.rest = append(a.rest[:0], data[at:]...)
}

// give makes a sample of a frame. Frames that come before any time are left out, and those of another configuration:
// their track is another one.
func (a *frameSplitter) give(s *Segment, l *segmentLane, header, frame []byte) {
	object, index := header[2]>>6+1, header[2]>>2&15
	channels := header[2]&1<<2 | header[3]>>6
	config := [2]byte{object<<3 | index>>1, index<<7 | channels<<3}
	if l.track == nil {
		rate := sampleRate(index)
		if rate == 0 || channels == 0 || header[6]&3 != 0 { // channels inside the frames, or several frames in one
			return
		}
		if channels == 7 {
			channels = 8
		}
		a.rate, a.config = int64(rate), config
		l.track = &mp4.Track{Timescale: segmentScale, Audio: &mp4.Audio{Codec: "mp4a", Config: config[:], SampleRate: rate, Channels: int(channels)}}
	}
	if a.config != config || !a.known {
		return
	}
	// Rounded to the nearest tick.
	t := a.base + (2*a.frames*aacFrame*segmentScale+a.rate)/(2*a.rate)
	a.frames++
	s.give(l, SegmentUnit{DTS: t, PTS: t, Sync: true}, append(l.buffer(), frame...))
}

// finish tells of a frame whose end is missing.
func (a *frameSplitter) finish(s *Segment, l *segmentLane) {
	if l.track == nil || len(a.rest) == 0 || !a.known {
		return
	}
	t := a.base + (2*a.frames*aacFrame*segmentScale+a.rate)/(2*a.rate)
	s.give(l, SegmentUnit{DTS: t, PTS: t, Sync: true, Torn: true}, append(l.buffer(), a.rest...))
	a.rest = nil
}

// adtsFrame gives the raw frame that data begins with and the length with its header, 0 when there is no whole one.
func adtsFrame(data []byte) (frame []byte, n int) {
	frame, ok := adtsPayload(data)
	if !ok {
		return nil, 0
	}
	return frame, int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5])>>5
}

// maybeADTS tells whether data may be the beginning of a frame whose end is missing.
func maybeADTS(data []byte) bool {
	if data[0] != 0xff || len(data) > 1 && data[1]&0xf6 != 0xf0 {
		return false
	}
	if len(data) < 7 {
		return true
	}
	n := int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5])>>5
	return n > len(data)
}

// nextADTS gives where the next frame may begin, or the end.
func nextADTS(data []byte, from int) int {
	for from < len(data) {
		i := bytes.IndexByte(data[from:], 0xff)
		if i < 0 {
			break
		}
		if from += i; maybeADTS(data[from:]) {
			return from
		}
		if _, n := adtsFrame(data[from:]); n > 0 {
			return from
		}
		from++
	}
	return len(data)
}
