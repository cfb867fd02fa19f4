package hls

// spsInfo is what a sequence parameter set of H.264 says about the picture (ITU-T H.264, 7.3.2.1.1).
type spsInfo struct {
	width, height int // cropped, in pixels of the picture's own shape
	sarW, sarH    int // 0 when not said
	colour        bool
}

// square is the size in square pixels.
func (s *spsInfo) square() (int, int) {
	if s.sarW == 0 || s.sarH == 0 {
		return s.width, s.height
	}
	return int(scale(int64(s.width), int64(s.sarW), int64(s.sarH))), s.height
}

// bitReader reads bits of a NAL unit without emulation prevention. It fails once and then gives zeros.
type bitReader struct {
	p      []byte
	at     int
	failed bool
}

// unescape removes emulation prevention (7.4.1.1).
func unescape(nal []byte) []byte {
	out := make([]byte, 0, len(nal))
	zeros := 0
	for _, b := range nal {
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		if zeros++; b != 0 {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}

func (r *bitReader) bits(n int) (v uint32) {
	if r.at+n > 8*len(r.p) {
		r.failed = true
		return 0
	}
	for range n {
		v = v<<1 | uint32(r.p[r.at/8]>>(7-r.at%8)&1)
		r.at++
	}
	return v
}

func (r *bitReader) flag() bool { return r.bits(1) == 1 }

// golomb is ue(v); what does not fit into 16 bits is no parameter set.
func (r *bitReader) golomb() int {
	n := 0
	for !r.failed && r.bits(1) == 0 {
		if n++; n > 32 {
			r.failed = true
		}
	}
	if r.failed {
		return 0
	}
	if n > 16 {
		r.bits(n)
		return 0 // offsets of picture order; no size is this large
	}
	return 1<<n - 1 + int(r.bits(n))
}

// parseSPS reads a parameter set with its header.
func parseSPS(nal []byte) (s spsInfo, ok bool) {
	if len(nal) < 5 || nal[0]&31 != 7 || len(nal) > 1<<12 {
		return s, false
	}
	r := &bitReader{p: unescape(nal), at: 32}
	r.golomb()
	chroma := 1
	switch nal[1] {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma = r.chroma()
	}
	r.golomb()
	switch r.golomb() { // pic_order_cnt_type
	case 0:
		r.golomb()
	case 1:
		r.bits(1)
		r.golomb()
		r.golomb()
		for n := min(r.golomb(), 255); n > 0; n-- {
			r.golomb()
		}
	}
	r.golomb()
	r.bits(1)
	w, h := r.golomb()+1, r.golomb()+1
	fields := 1
	if !r.flag() { // frame_mbs_only_flag
		fields = 2
		r.bits(1)
	}
	r.bits(1)
	s.width, s.height = 16*w, 16*h*fields
	if r.flag() {
		x, y := 1, fields
		if chroma == 1 || chroma == 2 {
			x = 2
		}
		if chroma == 1 {
			y *= 2
		}
		s.width -= x * (r.golomb() + r.golomb())
		s.height -= y * (r.golomb() + r.golomb())
	}
	if r.flag() {
		r.vui(&s)
	}
	return s, !r.failed && s.width > 0 && s.height > 0
}

// chroma reads what high profiles have and returns the chroma format.
func (r *bitReader) chroma() int {
	format := r.golomb()
	if format == 3 {
		r.bits(1)
	}
	r.golomb()
	r.golomb()
	r.bits(1)
	if !r.flag() {
		return format
	}
	lists := 8
	if format == 3 {
		lists = 12
	}
	for i := range lists {
		if !r.flag() {
			continue
		}
		size, last, next := 16, 8, 8
		if i >= 6 {
			size = 64
		}
		for range size {
			if next != 0 {
				k := r.golomb()
				delta := (k + 1) / 2
				if k%2 == 0 {
					delta = -delta
				}
				next = (last + delta + 256) % 256
			}
			if next != 0 {
				last = next
			}
		}
	}
	return format
}

// vui reads the beginning of annex E.1.1.
func (r *bitReader) vui(s *spsInfo) {
	shapes := [...][2]int{{0, 0}, {1, 1}, {12, 11}, {10, 11}, {16, 11}, {40, 33}, {24, 11}, {20, 11}, {32, 11}, {80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3}, {3, 2}, {2, 1}}
	if r.flag() {
		if idc := int(r.bits(8)); idc == 255 {
			s.sarW, s.sarH = int(r.bits(16)), int(r.bits(16))
		} else if idc < len(shapes) {
			s.sarW, s.sarH = shapes[idc][0], shapes[idc][1]
		}
	}
	if r.flag() {
		r.bits(1)
	}
	if r.flag() {
		r.bits(4)
		s.colour = r.flag()
	}
}
