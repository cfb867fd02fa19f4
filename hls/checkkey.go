package hls

import "rushes/transcode/mp4"

// key is point 26, and its counterpart in 37: the first picture.
func (w *fragmentWalk) key(d *fragmentData) {
	t := w.info.header.first(kindVideo)
	number := w.number(26)
	w.info.video.key = true
	fail := func(format string, args ...any) {
		w.info.video.key = false
		w.c.at(number, mp4.Must, w.file, d.video.at, format, args...)
	}
	if d.video.flags&0x10000 != 0 {
		fail("the first picture is not marked as a sync sample")
	}
	if t.lengths == 0 || t.sealed {
		return
	}
	if !t.hasSets && (t.entry == "avc1" || t.entry == "hvc1") {
		fail("the header of %s has no parameter sets", t.entry)
	}
	switch found, whole := w.randomAccess(t, d.video); {
	case !whole:
		fail("the first picture does not consist of whole NAL units")
	case !found:
		fail("the first picture is no IDR picture")
	}
}

// randomAccess walks the NAL units of a sample.
func (w *fragmentWalk) randomAccess(t *trackInfo, s firstSample) (found, whole bool) {
	window := slidingReader{f: w.f, end: s.at + int64(s.size)}
	for at := s.at; at < window.end; {
		p := window.at(at, t.lengths+1)
		if len(p) <= t.lengths {
			return found, false
		}
		n := int64(0)
		for _, b := range p[:t.lengths] {
			n = n<<8 | int64(b)
		}
		if n < 1 || n > window.end-at-int64(t.lengths) {
			return found, false
		}
		found = found || isKeyNAL(t.hevc, p[t.lengths])
		at += int64(t.lengths) + n
	}
	return found, true
}

// isKeyNAL tells by a NAL unit's first byte whether decoding can start at its picture.
func isKeyNAL(hevc bool, b byte) bool {
	if hevc {
		k := b >> 1 & 63
		return k >= 16 && k <= 21
	}
	return b&31 == 5
}
