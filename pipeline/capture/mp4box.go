package capture

import "encoding/binary"

// mp4Head reads the head of a box (ISO/IEC 14496-12, section 4.2). size is of the whole box, 0 when it reaches to the
// end of the file; head is 0 when b does not hold a head.
func mp4Head(b []byte) (kind string, size int64, head int) {
	if len(b) < 8 {
		return "", 0, 0
	}
	size, head = int64(binary.BigEndian.Uint32(b)), 8
	if size == 1 {
		if len(b) < 16 || b[8]&0x80 != 0 {
			return "", 0, 0
		}
		size, head = int64(binary.BigEndian.Uint64(b[8:])), 16
	}
	if size != 0 && size < int64(head) {
		return "", 0, 0
	}
	return string(b[4:8]), size, head
}

// mp4Children calls visit for every box that lies in b whole.
func mp4Children(b []byte, visit func(kind string, body []byte)) {
	for {
		kind, size, head := mp4Head(b)
		if head == 0 || size > int64(len(b)) {
			return
		}
		if size == 0 {
			size = int64(len(b))
		}
		visit(kind, b[head:size])
		b = b[size:]
	}
}

// mp4Find returns the body of the first box at a path, nil when there is none.
func mp4Find(b []byte, path ...string) (found []byte) {
	for _, want := range path {
		found = nil
		mp4Children(b, func(kind string, body []byte) {
			if kind == want && found == nil {
				found = body
			}
		})
		if found == nil {
			return nil
		}
		b = found
	}
	return found
}

// mp4Table is a table of entries of equal size inside a box.
type mp4Table struct {
	entries []byte
	width   int
}

// newMP4Table reads the table of a full box: version and flags, a count, entries.
func newMP4Table(body []byte, width int) mp4Table {
	if len(body) < 8 {
		return mp4Table{width: width}
	}
	n := min(int64(binary.BigEndian.Uint32(body[4:])), int64((len(body)-8)/width))
	return mp4Table{entries: body[8 : 8+int(n)*width], width: width}
}

func (t mp4Table) len() int { return len(t.entries) / t.width }

// at returns the 32 bit field of an entry, counted in fields.
func (t mp4Table) at(entry, field int) uint32 {
	return binary.BigEndian.Uint32(t.entries[entry*t.width+4*field:])
}

// mp4Sample is one sample and where it lies.
type mp4Sample struct {
	offset   int64
	size     int64
	dts, cts int64
	duration int64
	sync     bool
}

// mp4Samples walks the sample tables of a track (ISO/IEC 14496-12, section 8.6 and 8.7) without unpacking them.
type mp4Samples struct {
	stts, ctts, stsc, stss, chunks, sizes mp4Table
	uniform                               int64
	count                                 int64
	allSync                               bool

	n                int64 // of the next sample
	dts, offset      int64
	chunk, inChunk   int64 // chunk in work, samples of it that are left
	stscAt           int
	sttsAt, sttsLeft int64
	cttsAt, cttsLeft int64
	stssAt           int
}

func newMP4Samples(stbl []byte) *mp4Samples {
	s := &mp4Samples{
		stts: newMP4Table(mp4Find(stbl, "stts"), 8), ctts: newMP4Table(mp4Find(stbl, "ctts"), 8),
		stsc: newMP4Table(mp4Find(stbl, "stsc"), 12), stss: newMP4Table(mp4Find(stbl, "stss"), 4),
		chunks: newMP4Table(mp4Find(stbl, "stco"), 4), sttsAt: -1, cttsAt: -1, chunk: -1,
	}
	s.allSync = mp4Find(stbl, "stss") == nil
	if co64 := mp4Find(stbl, "co64"); co64 != nil {
		s.chunks = newMP4Table(co64, 8)
	}
	if stsz := mp4Find(stbl, "stsz"); len(stsz) >= 12 {
		s.uniform = int64(binary.BigEndian.Uint32(stsz[4:]))
		s.count = int64(binary.BigEndian.Uint32(stsz[8:]))
		if s.uniform == 0 {
			s.sizes = newMP4Table(stsz[4:], 4)
			s.count = int64(s.sizes.len())
		}
	}
	return s
}

// next gives the next sample, false at the end of the tables.
func (s *mp4Samples) next() (m mp4Sample, ok bool) {
	if s.n >= s.count {
		return m, false
	}
	for s.inChunk == 0 {
		if !s.nextChunk() {
			return m, false
		}
	}
	m = mp4Sample{offset: s.offset, size: s.uniform, dts: s.dts, sync: s.allSync}
	if s.uniform == 0 {
		m.size = int64(s.sizes.at(int(s.n), 0))
	}
	for s.stssAt < s.stss.len() && int64(s.stss.at(s.stssAt, 0)) <= s.n+1 {
		m.sync = int64(s.stss.at(s.stssAt, 0)) == s.n+1
		s.stssAt++
	}
	if i := run(s.stts, &s.sttsAt, &s.sttsLeft); i >= 0 {
		m.duration = int64(s.stts.at(i, 1))
	}
	if i := run(s.ctts, &s.cttsAt, &s.cttsLeft); i >= 0 {
		m.cts = int64(int32(s.ctts.at(i, 1))) // version 0 is unsigned on paper and signed in many files
	}
	s.dts += m.duration
	s.offset += m.size
	s.n++
	s.inChunk--
	return m, true
}

// run steps through a table of run lengths and returns the entry that holds, -1 behind its end.
func run(t mp4Table, at, left *int64) int {
	for *left == 0 {
		if *at+1 >= int64(t.len()) {
			return -1
		}
		*at++
		*left = int64(t.at(int(*at), 0))
	}
	*left--
	return int(*at)
}

func (s *mp4Samples) nextChunk() bool {
	s.chunk++
	if s.chunk >= int64(s.chunks.len()) || s.stsc.len() == 0 {
		return false
	}
	for s.stscAt+1 < s.stsc.len() && int64(s.stsc.at(s.stscAt+1, 0)) <= s.chunk+1 {
		s.stscAt++
	}
	s.inChunk = int64(s.stsc.at(s.stscAt, 1))
	s.offset = int64(s.chunks.at(int(s.chunk), 0))
	if s.chunks.width == 8 {
		s.offset = s.offset<<32 | int64(s.chunks.at(int(s.chunk), 1))
	}
	return true
}
