package hls

import (
	"encoding/binary"
	"io"
	"math"
	"slices"

	"rushes/transcode/mp4"
)

// readWhole fills p.
func readWhole(r io.ReaderAt, p []byte, at int64) bool {
	n, _ := r.ReadAt(p, at) // a whole p at the end of the file comes with an error
	return n == len(p)
}

// boxAt is a box in a file.
type boxAt struct {
	kind     string
	at, body int64
	end      int64
}

// readBox reads the head of a box; ok is false when none fits before limit. Its end may lie behind.
func readBox(f io.ReaderAt, at, limit int64) (b boxAt, ok bool) {
	var head [16]byte
	n := min(16, limit-at)
	if n < 8 || !readWhole(f, head[:n], at) {
		return b, false
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	b = boxAt{kind: string(head[4:8]), at: at, body: at + 8}
	switch size {
	case 0:
		size = limit - at
	case 1:
		size = int64(min(binary.BigEndian.Uint64(head[8:]), math.MaxInt64))
		b.body += 8
	}
	if size < b.body-at {
		return b, false
	}
	b.end = at + min(size, math.MaxInt64-at)
	return b, true
}

// fragmentWalk goes through the boxes of one fMP4 segment: points 25, 26, 27, 29, 34 and 37.
type fragmentWalk struct {
	*segmentReader
	n        int
	f        File
	file     string
	info     *segInfo
	iframe   bool
	to       int64
	moofs    int
	pending  *fragmentData // a moof that waits for its mdat
	complete bool
}

// fragmentData is where a moof says that its samples are.
type fragmentData struct {
	moof     boxAt
	from, to int64
	bytes    int64
	video    firstSample
}

// firstSample is the first sample of the pictures.
type firstSample struct {
	at    int64
	size  uint32
	flags uint32
	ok    bool
}

// fragments walks a segment and reports whether its times are known.
func (r *segmentReader) fragments(n int, f File, from, to int64) bool {
	w := &fragmentWalk{segmentReader: r, n: n, f: f, to: to, info: &r.l.infos[n], iframe: r.l.kind == listIFrames, complete: true}
	w.file = w.info.file
	for at := from; at < to && w.complete; {
		b, ok := readBox(f, at, to)
		if !ok {
			r.c.at(25, mp4.Must, w.file, at, "there is no whole box")
			return false
		}
		cut := b.end > to
		if cut && (!w.iframe || b.kind != "mdat") {
			r.c.at(w.number(25), mp4.Must, w.file, at, "the %q box ends %d bytes behind the segment", b.kind, b.end-to)
			return false
		}
		w.box(b, at == from)
		at = b.end
	}
	if w.pending != nil && w.complete {
		r.c.at(w.number(25), mp4.Must, w.file, w.pending.moof.at, "no mdat follows the moof")
		return false
	}
	if w.moofs == 0 && w.complete {
		r.c.at(w.number(25), mp4.Must, w.file, from, "there is no moof in the segment")
		return false
	}
	if w.moofs > 1 && !w.iframe {
		r.c.at(25, mp4.Should, w.file, from, "there are %d fragments in the segment, not one", w.moofs)
	}
	return w.complete && (w.info.video.has() || w.info.audio.has())
}

// number is the point of a rule that I-frame playlists have under another one.
func (w *fragmentWalk) number(n int) int {
	if w.iframe {
		return 37
	}
	return n
}

func (w *fragmentWalk) box(b boxAt, first bool) {
	switch b.kind {
	case "moof":
		w.moofs++
		if w.pending != nil {
			w.c.at(w.number(25), mp4.Must, w.file, w.pending.moof.at, "no mdat follows the moof")
		}
		w.pending = nil
		if b.end-b.body > maxCheckedHeader {
			w.c.at(25, mp4.Must, w.file, b.at, "the moof has %d bytes", b.end-b.at)
			w.complete = false
			return
		}
		p := make([]byte, b.end-b.body)
		if !readWhole(w.f, p, b.body) {
			w.c.at(7, mp4.Must, w.file, b.at, "it cannot be read")
			w.complete = false
			return
		}
		w.pending = w.moof(b, p)
	case "mdat":
		if w.pending != nil {
			w.mdat(b)
		}
		w.pending = nil
	case "moov", "ftyp":
		if w.iframe {
			w.c.at(37, mp4.Must, w.file, b.at, "the range of an I-frame has the init segment in it")
		} else {
			w.c.at(25, mp4.Should, w.file, b.at, "a %q box is in the segment", b.kind)
		}
	default:
		if w.iframe && first {
			w.c.at(37, mp4.Practice, w.file, b.at, "the range of an I-frame begins with a %q box, not with moof", b.kind)
		}
	}
}

// mdat compares a moof with the data behind it.
func (w *fragmentWalk) mdat(b boxAt) {
	d := w.pending
	if !w.iframe {
		switch {
		case d.bytes != b.end-b.body:
			w.c.at(25, mp4.Must, w.file, d.moof.at, "the samples have %d bytes, mdat %d", d.bytes, b.end-b.body)
		case d.from != b.body || d.to != b.end:
			w.c.at(25, mp4.Must, w.file, d.moof.at, "the data offset leads to byte %d, the samples are from %d to %d", d.from, b.body, b.end)
		}
	}
	if !d.video.ok {
		if w.iframe {
			w.c.at(37, mp4.Must, w.file, d.moof.at, "there is no picture in the range")
		}
		return
	}
	end := d.video.at + int64(d.video.size)
	if w.iframe && end > w.to {
		w.c.at(37, mp4.Must, w.file, d.moof.at, "the range ends %d bytes before its I-frame does", end-w.to)
		return
	}
	if w.iframe && end < w.to {
		w.c.at(37, mp4.Practice, w.file, d.moof.at, "the range has %d bytes behind its I-frame", w.to-end)
	}
	if w.moofs == 1 {
		w.key(d)
	}
}

// moof reads a movie fragment.
func (w *fragmentWalk) moof(b boxAt, p []byte) *fragmentData {
	d := &fragmentData{moof: b, from: math.MaxInt64}
	trafs := 0
	whole := eachBox(p, func(kind string, body []byte, _ int) {
		switch kind {
		case "mfhd":
			if w.moofs == 1 {
				w.info.counter = u32(body, 4)
			} else if u32(body, 4) != w.info.last+1 && !w.iframe {
				w.c.at(28, mp4.Practice, w.file, b.at, "fragment %d follows fragment %d", u32(body, 4), w.info.last)
			}
			w.info.last = u32(body, 4)
		case "traf":
			trafs++
			w.traf(d, body)
		}
	})
	if !whole {
		w.c.at(w.number(25), mp4.Must, w.file, b.at, "the boxes in moof do not fill it")
	}
	switch {
	case trafs == 0:
		w.c.at(w.number(25), mp4.Must, w.file, b.at, "there is no traf in moof")
	case trafs > 1 && !w.iframe:
		w.c.at(25, mp4.Should, w.file, b.at, "there are %d track fragments in moof, not one", trafs)
	}
	return d
}

// trafRun is a track fragment being read.
type trafRun struct {
	t                     *trackInfo
	seg                   *segTrack
	duration, size, flags uint32
	decode                int64
	at                    int64 // of the next sample
	samples               int
	durations             []uint32
	shown                 []int64
	end                   int64
	latest                int64
}

// traf reads a track fragment.
func (w *fragmentWalk) traf(d *fragmentData, p []byte) {
	tfhd, tfdt := child(p, "tfhd"), child(p, "tfdt")
	if len(tfhd) < 8 {
		w.c.at(25, mp4.Must, w.file, d.moof.at, "a traf has no tfhd")
		return
	}
	r := trafRun{decode: -1, latest: math.MinInt64}
	for _, t := range w.info.header.tracks {
		if t.id == u32(tfhd, 4) {
			r.t = t
		}
	}
	if r.t == nil {
		w.c.at(25, mp4.Must, w.file, d.moof.at, "track %d is not in the init segment", u32(tfhd, 4))
		return
	}
	switch r.t {
	case w.info.header.first(kindVideo):
		r.seg = &w.info.video
	case w.info.header.first(kindAudio):
		r.seg = &w.info.audio
	default:
		r.seg = &segTrack{}
	}
	flags := u32(tfhd, 0)
	r.fields(tfhd, flags)
	if flags&1 != 0 {
		w.c.at(25, mp4.Must, w.file, d.moof.at, "tfhd has a base data offset: addresses must be relative to the fragment")
	} else if flags&tfhdBaseIsMoof == 0 {
		w.c.at(25, mp4.Must, w.file, d.moof.at, "tfhd lacks default-base-is-moof")
	}
	w.decodeTime(d, &r, tfdt)
	r.end = r.decode
	truns := 0
	r.durations, r.shown = w.sizes[:0], w.spans[:0]
	eachBox(p, func(kind string, body []byte, _ int) {
		if kind == "trun" {
			truns++
			w.trun(d, &r, body)
		}
	})
	w.sizes, w.spans = r.durations, r.shown
	if truns != 1 && !w.iframe {
		w.c.at(25, mp4.Should, w.file, d.moof.at, "there are %d trun in a traf, not one", truns)
	}
	if r.samples > 0 {
		w.times(d, &r)
	}
}

// fields reads the defaults of tfhd (ISO/IEC 14496-12, 8.8.7).
func (r *trafRun) fields(tfhd []byte, flags uint32) {
	r.duration, r.size, r.flags = r.t.duration, r.t.size, r.t.flags
	at := 8
	if flags&1 != 0 {
		at += 8
	}
	if flags&2 != 0 {
		at += 4
	}
	for _, x := range []struct {
		flag uint32
		to   *uint32
	}{{8, &r.duration}, {0x10, &r.size}, {0x20, &r.flags}} {
		if flags&x.flag != 0 {
			*x.to = u32(tfhd, at)
			at += 4
		}
	}
}

// decodeTime reads tfdt: parts of 25, 27 and 34.
func (w *fragmentWalk) decodeTime(d *fragmentData, r *trafRun, tfdt []byte) {
	switch {
	case len(tfdt) < 8:
		w.c.at(25, mp4.Must, w.file, d.moof.at, "a traf has no tfdt")
		r.decode = w.expected(r)
	case tfdt[0] == 1 && u64(tfdt, 4) >= 1<<62:
		w.c.at(34, mp4.Must, w.file, d.moof.at, "the decoding time of tfdt is negative or huge: %d", u64(tfdt, 4))
		r.decode = w.expected(r)
	case tfdt[0] == 1:
		r.decode = int64(u64(tfdt, 4))
	default:
		r.decode = int64(u32(tfdt, 4))
	}
	if r.seg.has() && r.decode != r.seg.decodeEnd {
		w.c.at(27, mp4.Must, w.file, d.moof.at, "track %d goes on at %d, but the fragment before ends at %d", r.t.id, r.decode, r.seg.decodeEnd)
	}
}

// expected is where a track goes on.
func (w *fragmentWalk) expected(r *trafRun) int64 {
	if r.seg.has() || w.n == 0 {
		return r.seg.decodeEnd
	}
	switch r.t.kind {
	case kindVideo:
		return w.l.infos[w.n-1].video.decodeEnd
	case kindAudio:
		return w.l.infos[w.n-1].audio.decodeEnd
	}
	return 0
}

// maxRun bounds the samples of a fragment; twelve minutes at 1000 a second fit.
const maxRun = 1 << 20

// trun reads a run of samples (8.8.8).
func (w *fragmentWalk) trun(d *fragmentData, r *trafRun, p []byte) {
	flags, count := u32(p, 0)&0xffffff, int(u32(p, 4))
	at, each := 8, 0
	if flags&1 != 0 {
		r.at = d.moof.at + int64(int32(u32(p, at)))
		at += 4
	} else if r.samples == 0 {
		r.at = d.moof.at
	}
	first := r.flags
	if flags&4 != 0 {
		first = u32(p, at)
		at += 4
	}
	for _, f := range []uint32{0x100, 0x200, 0x400, 0x800} {
		if flags&f != 0 {
			each += 4
		}
	}
	if len(p) < at || count > maxRun-r.samples || count*each != len(p)-at {
		w.c.at(25, mp4.Must, w.file, d.moof.at, "trun has %d samples, but %d bytes", count, len(p))
		w.complete = false
		return
	}
	negative := false
	next := func(have, otherwise uint32) uint32 { // of the fields of a sample, in their order
		if flags&have == 0 {
			return otherwise
		}
		at += 4
		return u32(p, at-4)
	}
	for i := range count {
		duration, size := next(0x100, r.duration), next(0x200, r.size)
		own := r.flags
		if i == 0 {
			own = first
		}
		own = next(0x400, own)
		offset := int64(int32(next(0x800, 0)))
		negative = negative || offset < 0
		r.sample(d, duration, size, own, offset)
	}
	switch {
	case negative && len(p) > 0 && p[0] == 0:
		w.c.at(34, mp4.Must, w.file, d.moof.at, "trun of version 0 has negative composition offsets")
	case !negative && p[0] == 1 && flags&0x800 != 0 && !w.iframe:
		w.c.at(34, mp4.Practice, w.file, d.moof.at, "trun of version 1 has no negative composition offset")
	}
}

func (r *trafRun) sample(d *fragmentData, duration, size, flags uint32, offset int64) {
	if r.samples++; r.t.kind == kindVideo && !d.video.ok {
		d.video = firstSample{at: r.at, size: size, flags: flags, ok: true}
	}
	r.durations = append(r.durations, duration)
	r.shown = append(r.shown, r.end+offset)
	r.latest = max(r.latest, r.end+offset+int64(duration))
	r.end += int64(duration)
	d.from, d.to = min(d.from, r.at), max(d.to, r.at+int64(size))
	d.bytes += int64(size)
	r.at += int64(size)
}

// times adds a fragment's samples to the segment: part of point 29.
func (w *fragmentWalk) times(d *fragmentData, r *trafRun) {
	slices.Sort(r.durations)
	slices.Sort(r.shown)
	middle := r.durations[len(r.durations)/2]
	if r.t.kind == kindVideo && !w.iframe {
		for i := 1; i < len(r.shown); i++ {
			if r.shown[i] == r.shown[i-1] {
				w.c.at(29, mp4.Practice, w.file, d.moof.at, "two pictures are shown at %d", r.shown[i])
				break
			}
		}
		if longest := r.durations[len(r.durations)-1]; uint64(longest) > 2*uint64(middle) {
			w.c.at(29, mp4.Practice, w.file, d.moof.at, "a picture lasts %d ticks, the usual ones %d", longest, middle)
		}
	}
	s := r.seg
	start, end := r.shown[0]-r.t.skip, r.latest-r.t.skip
	if r.t.skip > 0 { // what lies before the edit is not shown
		start, end = max(start, 0), max(end, 0)
	}
	if !s.has() {
		*s = segTrack{start: start, end: end, decode: r.decode, frame: int64(middle), key: s.key}
	}
	s.samples += r.samples
	s.start, s.end = min(s.start, start), max(s.end, end)
	s.decodeEnd = max(r.end, r.decode)
}
