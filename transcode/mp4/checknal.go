package mp4

import "encoding/binary"

// syncChecker compares the sync sample table with the pictures (43).
type syncChecker struct {
	c      *checker
	t      *MovieTrack
	budget int64 // overlapping samples must not be walked again and again
	off    bool
	buf    [256]byte
}

func (s *syncChecker) check(index int, sample *MovieSample) {
	v := s.t.Video
	if s.off || v == nil {
		return
	}
	lengthSize, ok := v.nalLengthSize()
	if !ok {
		s.off = true
		return
	}
	if s.budget -= int64(sample.Size); s.budget < 0 {
		s.off = true
		s.c.add(42, Must, "track %d: the samples are larger than the file", s.t.ID)
		return
	}
	idr, err := s.syncInSample(sample, lengthSize)
	switch {
	case err:
		s.c.add(43, Must, "track %d: sample %d does not consist of whole NAL units", s.t.ID, index)
	case idr && !sample.Sync:
		s.c.add(43, Must, "track %d: sample %d is an IDR picture but not in stss", s.t.ID, index)
	case !idr && sample.Sync:
		s.c.add(43, Must, "track %d: sample %d is in stss but no IDR picture", s.t.ID, index)
	}
}

// nalLengthSize tells how many bytes a NAL unit's length has; ok is false for
// codecs that do not use NAL units.
func (v *Video) nalLengthSize() (n int64, ok bool) {
	switch {
	case v.Codec == "avc1" && len(v.Config) >= 5:
		return int64(v.Config[4]&3) + 1, true
	case v.Codec == "hvc1" && len(v.Config) >= 22:
		return int64(v.Config[21]&3) + 1, true
	}
	return 0, false
}

// syncInSample walks the NAL units and tells whether the picture is a random
// access point; bad reports that they do not fill the sample.
func (s *syncChecker) syncInSample(sample *MovieSample, lengthSize int64) (sync, bad bool) {
	at, size := int64(0), int64(sample.Size)
	from, have := int64(0), int64(0) // what part of the sample is in buf
	for at < size {
		if at+lengthSize+1 > size {
			return false, true
		}
		if at < from || at+lengthSize+1 > from+have {
			from, have = at, min(int64(len(s.buf)), size-at)
			if readFull(s.c.r, s.buf[:have], sample.Offset+from) != nil {
				return false, true
			}
		}
		p := s.buf[at-from:]
		n := int64(binary.BigEndian.Uint32(append(make([]byte, 4-lengthSize, 4), p[:lengthSize]...)))
		if n < 1 || n > size-at-lengthSize {
			return false, true
		}
		// The walk goes on to see that the rest of the sample is whole.
		sync = sync || syncNAL(s.t.Video.Codec, p[lengthSize])
		at += lengthSize + n
	}
	return sync, false
}

// syncNAL reports whether a NAL unit's first header byte makes its picture a
// random access point: IDR in H.264 (7.4.1), IRAP in H.265 (7.4.2.2).
func syncNAL(codec string, b byte) bool {
	if codec == "hvc1" {
		kind := b >> 1 & 63
		return kind >= 16 && kind <= 21
	}
	return b&31 == 5
}
