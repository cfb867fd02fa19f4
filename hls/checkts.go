package hls

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"

	"rushes/transcode/mp4"
)

const (
	tsPacket = 188
	tsWrap   = int64(1) << 33
	maxKept  = 64 << 10 // bytes of the first picture that are looked at
	maxUnits = 1 << 17  // of a stream in a segment
)

// tsWalk remembers what goes on from one MPEG-TS segment to the next.
type tsWalk struct {
	last  int64 // newest timestamp, unwrapped
	begun bool
}

// unwrap puts a timestamp of 33 bits beside those before.
func (w *tsWalk) unwrap(v int64) int64 {
	if w.begun {
		v += (w.last - v + tsWrap/2) &^ (tsWrap - 1)
	}
	w.last, w.begun = v, true
	return v
}

// tsStream is an elementary stream of a segment.
type tsStream struct {
	kind    mediaKind
	coding  byte // stream_type
	counter int
	pts     []int64
	dts     []int64
	first   []byte // beginning of the first picture
	units   int
	// ADTS frames
	track  *trackInfo
	skip   int    // bytes up to the next frame
	head   []byte // bytes of a header that goes on
	frames int    // since the last timestamp
}

// tsSegment is one MPEG-TS segment being read (ISO/IEC 13818-1, 2.4).
type tsSegment struct {
	walk    *tsWalk
	pmt     int
	streams map[int]*tsStream
	order   []int
	jumps   int
	sound   int // audio streams in PMT
}

// transport walks a segment and reports whether its times are known: points 25, 26, 36 and 37 of MPEG-TS.
func (r *segmentReader) transport(n int, f io.ReaderAt, from, to int64) bool {
	info, iframe := &r.l.infos[n], r.l.kind == listIFrames
	if r.l.parsedList.segments[n].breaks {
		r.walk = tsWalk{}
	}
	s := &tsSegment{walk: &r.walk, pmt: -1, streams: make(map[int]*tsStream)}
	window := slidingReader{f: f, end: to}
	for at := from; at < to; at += tsPacket {
		p := window.at(at, tsPacket)
		if len(p) < tsPacket || p[0] != 0x47 {
			number := 25
			if iframe {
				number = 37
			}
			r.c.at(number, mp4.Must, info.file, at, "there is no whole transport stream packet")
			return false
		}
		s.packet(p)
	}
	if s.jumps > 0 && !iframe {
		r.c.at(25, mp4.Practice, info.file, from, "packets are missing: continuity counters jump %d times", s.jumps)
	}
	if s.sound > 1 {
		r.c.at(36, mp4.Must, info.file, from, "there are %d audio streams", s.sound)
	}
	info.header = &initHeader{file: info.file, format: "ts"}
	for _, pid := range s.order {
		s.streams[pid].finish(info)
	}
	r.intern(n)
	number := 26
	if iframe {
		number = 37
	}
	if t := info.header.first(kindVideo); t != nil && info.video.has() && !info.video.key {
		r.c.at(number, mp4.Must, info.file, from, "the first picture is no IDR picture with its parameter sets")
	}
	if !info.video.has() && !info.audio.has() {
		r.c.at(25, mp4.Must, info.file, from, "the segment has no pictures and no sound that PAT and PMT lead to")
		return false
	}
	return true
}

func (s *tsSegment) packet(p []byte) {
	pid, start, counter := int(p[1]&0x1f)<<8|int(p[2]), p[1]&0x40 != 0, int(p[3]&15)
	body, marked := p[4:], false
	if p[3]&0x20 != 0 {
		n := int(body[0])
		if n+1 > len(body) {
			return
		}
		marked = n > 0 && body[1]&0x80 != 0
		body = body[n+1:]
	}
	if p[3]&0x10 == 0 || p[1]&0x80 != 0 {
		return
	}
	switch pid {
	case 0:
		s.pat(section(body, start))
		return
	case s.pmt:
		s.table(section(body, start))
		return
	}
	e := s.streams[pid]
	if e == nil {
		return
	}
	if e.counter >= 0 && !marked {
		if counter == e.counter {
			return // sent twice
		}
		if counter != (e.counter+1)&15 {
			s.jumps++
		}
	}
	e.counter = counter
	e.payload(s.walk, body, start)
}

// section is a table's section without its checksum; of longer ones than a packet there is nothing.
func section(p []byte, start bool) []byte {
	if !start || len(p) == 0 || int(p[0])+4 > len(p) {
		return nil
	}
	p = p[1+int(p[0]):]
	if len(p) < 3 {
		return nil
	}
	n := int(p[1]&15)<<8 | int(p[2])
	if n < 9 || 3+n > len(p) {
		return nil
	}
	return p[:3+n-4]
}

func (s *tsSegment) pat(p []byte) {
	for at := 8; at+4 <= len(p) && p[0] == 0; at += 4 {
		if p[at] != 0 || p[at+1] != 0 { // program 0 is the network's
			s.pmt = int(p[at+2]&0x1f)<<8 | int(p[at+3])
			return
		}
	}
}

// table reads the program map.
func (s *tsSegment) table(p []byte) {
	if len(p) < 12 || p[0] != 2 {
		return
	}
	at, sound := 12+(int(p[10]&15)<<8|int(p[11])), 0
	for at+5 <= len(p) {
		kind := kindOther
		switch p[at] {
		case 0x1b, 0x24, 0x01, 0x02:
			kind = kindVideo
		case 0x03, 0x04, 0x0f, 0x11, 0x81, 0x87:
			kind = kindAudio
			sound++
		}
		pid := int(p[at+1]&0x1f)<<8 | int(p[at+2])
		if kind != kindOther && s.streams[pid] == nil && len(s.streams) < 16 {
			s.streams[pid] = &tsStream{kind: kind, coding: p[at], counter: -1}
			s.order = append(s.order, pid)
		}
		at += 5 + (int(p[at+3]&15)<<8 | int(p[at+4]))
	}
	s.sound = max(s.sound, sound)
}

// payload takes the payload of a packet.
func (e *tsStream) payload(w *tsWalk, p []byte, start bool) {
	if start {
		if len(p) < 9 || p[0] != 0 || p[1] != 0 || p[2] != 1 || 9+int(p[8]) > len(p) {
			return
		}
		flags, times, rest := p[7]>>6, p[9:9+int(p[8])], p[9+int(p[8]):]
		if flags&2 != 0 && len(times) >= 5 {
			pts := w.unwrap(stamp(times))
			dts := pts
			if flags&1 != 0 && len(times) >= 10 {
				dts = w.unwrap(stamp(times[5:]))
			}
			if len(e.pts) < maxUnits {
				e.pts, e.dts = append(e.pts, pts), append(e.dts, dts)
			}
			e.frames = 0
		}
		e.units++
		p = rest
	}
	switch {
	case e.kind == kindVideo && e.units == 1 && len(e.first) < maxKept:
		e.first = append(e.first, p...)
	case e.coding == 0x0f:
		e.adts(p)
	}
}

// stamp reads a timestamp of 33 bits (2.4.3.7).
func stamp(p []byte) int64 {
	return int64(p[0]>>1&7)<<30 | int64(p[1])<<22 | int64(p[2]>>1)<<15 | int64(p[3])<<7 | int64(p[4]>>1)
}

// adts counts frames in a stream that comes in pieces.
func (e *tsStream) adts(p []byte) {
	for len(p) > 0 {
		if e.skip > 0 {
			n := min(e.skip, len(p))
			e.skip, p = e.skip-n, p[n:]
			continue
		}
		n := min(7-len(e.head), len(p))
		e.head, p = append(e.head, p[:n]...), p[n:]
		if len(e.head) < 7 {
			return
		}
		t, length, frames, ok := adtsInfo(e.head)
		if !ok { // look for the next frame
			e.head = slices.Delete(e.head, 0, 1)
			continue
		}
		if e.track == nil {
			e.track = &t
		}
		e.frames += frames
		e.skip, e.head = length-7, e.head[:0]
	}
}

// finish puts down what a stream of a segment is.
func (e *tsStream) finish(info *segInfo) {
	if len(e.pts) == 0 {
		return
	}
	t := e.track
	if t == nil {
		t = &trackInfo{kind: e.kind}
	}
	t.timescale = 90_000
	s := segTrack{samples: len(e.pts), start: math.MaxInt64, decode: e.dts[0], frame: usual(e.dts)}
	latest := int64(math.MinInt64)
	for _, v := range e.pts {
		s.start, latest = min(s.start, v), max(latest, v)
	}
	switch {
	case e.kind == kindVideo:
		s.key = e.video(t)
	case e.track != nil:
		s.frame = scale(1024, 90_000, int64(t.rate))
		latest += scale(int64(max(e.frames-1, 0))*1024, 90_000, int64(t.rate))
		e.dts[len(e.dts)-1] = latest
	default:
		t.entry, t.config = "mp4a", fmt.Sprint(e.coding)
		t.codec = map[byte]string{0x03: "mp4a.40.34", 0x04: "mp4a.40.34", 0x81: "ac-3", 0x87: "ec-3", 0x11: "mp4a.40"}[e.coding]
	}
	s.end, s.decodeEnd = latest+s.frame, e.dts[len(e.dts)-1]+s.frame
	if info.header.first(e.kind) == nil {
		if e.kind == kindVideo {
			info.video = s
		} else {
			info.audio = s
		}
	}
	info.header.tracks = append(info.header.tracks, t)
}

// usual is the usual distance of timestamps.
func usual(list []int64) int64 {
	if len(list) < 2 {
		return 0
	}
	steps := make([]int64, 0, len(list)-1)
	for i := 1; i < len(list); i++ {
		steps = append(steps, list[i]-list[i-1])
	}
	slices.Sort(steps)
	return max(steps[len(steps)/2], 0)
}

// video looks into the first picture: its parameter sets, and whether decoding can start there.
func (e *tsStream) video(t *trackInfo) (key bool) {
	if e.coding != 0x1b && e.coding != 0x24 {
		t.entry, t.codec, t.config = "mp2v", "mp2v", fmt.Sprint(e.coding)
		return true
	}
	t.entry, t.codec, t.hevc = "avc1", "avc1", e.coding == 0x24
	if t.hevc {
		t.entry, t.codec = "hvc1", "hvc1"
	}
	found := false
	for p := e.first; ; {
		at := bytes.Index(p, []byte{0, 0, 1})
		if at < 0 || at+3 >= len(p) {
			break
		}
		p = p[at+3:]
		end := bytes.Index(p, []byte{0, 0, 1})
		if end < 0 {
			end = len(p)
		}
		nal := bytes.TrimRight(p[:end], "\x00")
		found = found || isKeyNAL(t.hevc, p[0])
		switch {
		case !t.hevc && p[0]&31 == 7 && !t.hasSets && len(nal) >= 4:
			t.config, t.hasSets = keep(nal), true
			t.codec = fmt.Sprintf("avc1.%02x%02x%02x", nal[1], nal[2], nal[3])
			if s, ok := parseSPS(nal); ok {
				t.width, t.height = s.square()
			}
		case t.hevc && p[0]>>1&63 == 33 && !t.hasSets:
			t.config, t.hasSets = string(nal[:min(len(nal), 256)]), true
		}
	}
	return found && t.hasSets
}
