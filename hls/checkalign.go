package hls

import (
	"strconv"
	"time"

	"rushes/transcode/mp4"
)

// dateMark is a date with its media time.
type dateMark struct {
	at   Tick
	date time.Time
	line int
}

// maxDateMarks bounds what is compared: a playlist may date every segment.
const maxDateMarks = 64

func (l *checkedList) dateAt() (out []dateMark) {
	var sum Tick
	for i := range l.parsedList.segments {
		s := &l.parsedList.segments[i]
		if s.dateLine > 0 && len(out) < maxDateMarks {
			out = append(out, dateMark{sum, s.date, s.dateLine})
		}
		sum += s.duration
	}
	return out
}

// startOf is when a segment begins in media time.
func (l *checkedList) startOf(i int) (Tick, bool) {
	t, info := l.infos[i].main()
	if t == nil || !l.infos[i].looked {
		return 0, false
	}
	return info.time(t.start), true
}

// boundaries is point 30: segments of all variants begin at the same times.
func (c *packageCheck) boundaries(ref, l *checkedList) {
	if len(ref.infos) != len(l.infos) {
		c.line(30, mp4.Should, l.file, 0, "there are %d segments, in %s %d", len(l.infos), strconv.Quote(ref.file), len(ref.infos))
		return
	}
	for i := range l.infos {
		a, ok := ref.startOf(i)
		b, ok2 := l.startOf(i)
		if ok && ok2 && abs(a-b) > slack {
			c.line(30, mp4.Should, l.file, l.parsedList.segments[i].line, "the segment begins at %s, in %s at %s", inSeconds(b), strconv.Quote(ref.file), inSeconds(a))
			return
		}
	}
}

// sameSpan is point 13: all playlists cover the same time.
func (c *packageCheck) sameSpan(ref, l *checkedList) {
	frame := max(ref.frame(), l.frame()) + slack
	least := Tick(min(ref.parsedList.target, l.parsedList.target)) * Timescale
	switch off := abs(ref.length() - l.length()); {
	case off > max(least, frame):
		c.line(13, mp4.Must, l.file, 0, "the segments last %s, those of %s %s", inSeconds(l.length()), strconv.Quote(ref.file), inSeconds(ref.length()))
	case off > frame:
		c.line(13, mp4.Should, l.file, 0, "the segments last %s, those of %s %s", inSeconds(l.length()), strconv.Quote(ref.file), inSeconds(ref.length()))
	}
	if len(ref.infos) == 0 || len(l.infos) == 0 {
		return
	}
	a, ok := ref.startOf(0)
	b, ok2 := l.startOf(0)
	if !ok || !ok2 || abs(a-b) <= frame {
		return
	}
	severity := mp4.Must
	if abs(ref.decodeStart()-l.decodeStart()) <= frame && abs(a-b) <= least {
		severity = mp4.Practice // the media begin together, but the first picture or the first sound is late
	}
	c.line(13, severity, l.file, 0, "the media begin at %s, those of %s at %s", inSeconds(b), strconv.Quote(ref.file), inSeconds(a))
}

// decodeStart is when decoding of the first segment begins.
func (l *checkedList) decodeStart() Tick {
	t, info := l.infos[0].main()
	return max(info.time(t.decode-info.skip), 0)
}

// lip holds points 31 and 33 of sound in a playlist of its own.
func (c *packageCheck) lip(video, audio *checkedList) {
	frame := audio.frame()
	if a, ok := audio.startOf(0); ok {
		if v, ok := video.startOf(0); ok && a > v+max(frame, video.frame()) {
			c.line(33, mp4.Practice, audio.file, 0, "the sound begins %s after the pictures", inSeconds(a-v))
		}
	}
	if len(video.infos) != len(audio.infos) {
		c.line(31, mp4.Practice, audio.file, 0, "there are %d segments of sound and %d of pictures", len(audio.infos), len(video.infos))
		return
	}
	var first, last Tick
	n := 0
	for i := range audio.infos {
		a, ok := audio.startOf(i)
		v, ok2 := video.startOf(i)
		if !ok || !ok2 {
			continue
		}
		off := a - v
		if abs(off) >= frame+slack {
			c.line(31, mp4.Practice, audio.file, audio.parsedList.segments[i].line, "the segment begins %s from that of the pictures, more than a frame", inSeconds(off))
			return
		}
		if n == 0 {
			first = off
		}
		last = off
		n++
	}
	if n > 2 && abs(last-first) > 2*frame {
		c.line(31, mp4.Practice, audio.file, 0, "segments of sound and pictures drift apart by %s", inSeconds(last-first))
	}
}

// muxedStart is point 33 of sound in the pictures' segments.
func (c *packageCheck) muxedStart(videos []*checkedList) {
	for _, l := range videos {
		if len(l.infos) == 0 {
			continue
		}
		s := &l.infos[0]
		if !s.looked || !s.audio.has() || !s.video.has() {
			continue
		}
		a, v := s.header.first(kindAudio), s.header.first(kindVideo)
		if late := a.time(s.audio.start) - v.time(s.video.start); late > v.time(s.video.frame)+slack {
			c.at(33, mp4.Practice, s.file, s.offset, "the sound begins %s after the pictures", inSeconds(late))
		}
	}
}

// covered is the part of point 16 about what is shown instead of a gap.
func (c *packageCheck) covered(videos []*checkedList) {
	for _, l := range videos {
		var at Tick
		gaps := 0
		for i := range l.parsedList.segments {
			s := &l.parsedList.segments[i]
			if s.gap {
				gaps++
			}
			if s.gap && !anyShown(videos, at+s.duration/2) {
				c.line(16, mp4.Practice, l.file, s.line, "no other rendition has pictures for the gap")
				break
			}
			if gaps == maxDateMarks { // enough is enough
				break
			}
			at += s.duration
		}
	}
}

// anyShown reports whether a playlist has a segment at a time.
func anyShown(lists []*checkedList, at Tick) bool {
	for _, l := range lists {
		var sum Tick
		for i := range l.parsedList.segments {
			s := &l.parsedList.segments[i]
			if sum <= at && at < sum+s.duration && !s.gap {
				return true
			}
			sum += s.duration
		}
	}
	return false
}
