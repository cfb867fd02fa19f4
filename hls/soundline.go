package hls

import (
	"fmt"
	"slices"
	"time"

	"rushes/transcode/mp4"
)

// heard is a frame of sound where it belongs in the output.
type heard struct {
	data []byte
	at   int64 // ticks of the line's timescale; below zero for what is decoded only
	dur  int64
	spec *mp4.Track
}

// soundLine makes one uninterrupted row out of frames from several places: it evens out the rounding of a container's
// clock, fills holes with silence and drops what comes twice.
type soundLine struct {
	timescale uint32
	note      func(Defect)
	emit      func(heard) error

	queue []sound // frames that wait, in order of time
	last  heard
	begun bool
}

// hear takes a frame; frames come almost in order.
func (l *soundLine) hear(s sound) {
	at := len(l.queue)
	for at > 0 && l.queue[at-1].pts > s.pts {
		at--
	}
	l.queue = slices.Insert(l.queue, at, s)
}

// flush hands on what begins before a time.
func (l *soundLine) flush(until Tick) error {
	n := 0
	for ; n < len(l.queue) && l.queue[n].pts < until; n++ {
		if err := l.push(&l.queue[n]); err != nil {
			return err
		}
	}
	l.queue = slices.Delete(l.queue, 0, n)
	return nil
}

// push puts a frame behind the last.
func (l *soundLine) push(s *sound) error {
	h := heard{data: s.data, at: toScale(s.pts, l.timescale), dur: max(1, toScale(s.dur, l.timescale)), spec: s.spec}
	if !l.begun {
		l.begun = true
		if h.at >= h.dur {
			if err := l.silence(h.at%h.dur, h.at, h.dur, h.spec); err != nil {
				return err
			}
		}
		l.last = h
		return l.emit(h)
	}
	expected := l.last.at + l.last.dur
	switch d := h.at - expected; {
	case d <= int64(l.timescale)/2000 && d >= -int64(l.timescale)/2000:
		h.at = expected
	case d <= -h.dur/2:
		l.note(Defect{Kind: DefectTimestamps, Detail: fmt.Sprintf("sound that comes twice at %v of the output is left out once", s.pts.Duration().Round(time.Second))})
		return nil
	case d >= h.dur:
		if err := l.silence(expected, h.at, l.last.dur, l.last.spec); err != nil {
			return err
		}
	}
	h.at = max(h.at, l.last.at+1)
	l.last = h
	return l.emit(h)
}

// silence fills a hole with whole frames; what is left of it, less than a frame, makes the last one longer.
func (l *soundLine) silence(from, to, dur int64, spec *mp4.Track) error {
	if Tick(to-from)*Timescale/Tick(l.timescale) > minHole {
		l.note(Defect{Kind: DefectSoundHole, Detail: fmt.Sprintf("%v without sound at %v of the output", fromScale(to-from, l.timescale).Duration().Round(time.Millisecond),
			fromScale(from, l.timescale).Duration().Round(time.Millisecond))})
	}
	data := silentFrame(spec.Audio)
	if data == nil {
		return nil // the frame before lasts longer; players fill up
	}
	for at := from; at+dur <= to; at += dur {
		h := heard{data: data, at: at, dur: dur, spec: spec}
		l.last = h
		if err := l.emit(h); err != nil {
			return err
		}
	}
	return nil
}

// close hands on everything and fills up to the end.
func (l *soundLine) close(end Tick) error {
	if err := l.flush(maxTick * 4); err != nil || !l.begun {
		return err
	}
	return l.silence(l.last.at+l.last.dur, toScale(end, l.timescale), l.last.dur, l.last.spec)
}

// silentFrame is a frame of AAC-LC without sound, nil when there is none for the configuration. One and two channels
// are a single or a channel pair element of zero spectrum (ISO/IEC 14496-3, 4.4.2.1).
func silentFrame(a *mp4.Audio) []byte {
	if audioObjectType(a.Config) != 2 || a.Config[1]&4 != 0 { // frames of 960 samples are another layout
		return nil
	}
	switch a.Channels {
	case 1:
		return []byte{0x00, 0xc8, 0x00, 0x80, 0x23, 0x80}
	case 2:
		return []byte{0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80}
	}
	return nil
}
