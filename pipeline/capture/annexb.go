package capture

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// annexBRate is the pictures per second that are assumed when nothing at all is known.
const annexBRate = 30

// AnnexBReader reads an H.264 byte stream (ITU-T H.264, annex B). With a frames list its lengths are the borders of
// the access units and its RTP times their times. Without one the borders are found in the stream, and the units are
// spread evenly, with a defect.
type AnnexBReader struct {
	noted
	src    *byteSource
	cfg    ReaderConfig
	params h264Params
	list   *framesList
	// size is of the unit handed out last.
	size   int
	units  int64
	count  int64 // of units in the whole file; 0 unknown
	last   int64
	step   int64
	tail   bool // the list has ended or cannot be trusted, times go on by step
	byList bool // the list's lengths hold
	done   bool
	unit   Unit
	stats  ReadStats
}

func newAnnexBReader(f FileReader, cfg ReaderConfig) (*AnnexBReader, error) {
	if cfg.Kind == KindAudio {
		return nil, &InputError{File: cfg.Name, Reason: "is H.264, but the track is audio"}
	}
	r := &AnnexBReader{cfg: cfg}
	if cfg.Frames != nil {
		r.list = newFramesList(cfg.Frames)
		r.byList = true
	} else {
		if cfg.point == nil { // else the point knows
			if err := r.countUnits(f); err != nil {
				return nil, err
			}
		}
		r.log.add(DefectNoTimestamps, "the H.264 stream has no frames list; its pictures are spread evenly")
	}
	noteCodec(&r.log, cfg, "H264")
	r.src = newByteSource(f)
	r.step = int64(cfg.ClockRate) / annexBRate
	return r, nil
}

// countUnits reads the file once to learn how many units share its length.
func (r *AnnexBReader) countUnits(f FileReader) error {
	if r.cfg.Length <= 0 {
		return nil
	}
	r.src = newByteSource(f)
	for {
		size := r.find()
		if size == 0 {
			break
		}
		r.count++
		r.src.skip(int64(size))
	}
	if err := r.src.failed(r.cfg.Name); err != nil {
		return err
	}
	r.params, r.log = h264Params{}, defectLog{}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("going to the beginning of %s: %w", r.cfg.Name, err)
	}
	return nil
}

// Codec returns H264.
func (r *AnnexBReader) Codec() string { return "H264" }

// Next gives the next access unit, io.EOF after the last.
func (r *AnnexBReader) Next() (*Unit, error) {
	for !r.done {
		r.src.skip(int64(r.size))
		r.size = 0
		entry, listed := r.entry()
		if r.byList && listed {
			r.size = r.listed(entry)
		}
		if r.size == 0 {
			r.size = r.find()
		}
		data := r.src.peek(r.size)
		if len(data) == 0 {
			return r.end(listed)
		}
		r.stats.Packets++
		if len(data) > maxUnitBytes {
			r.log.add(DefectOversizedUnit, "an access unit at byte %d is larger than %d bytes", r.src.off, maxUnitBytes)
			continue
		}
		r.unit = Unit{Data: data, Ticks: r.ticks(entry, listed), Arrival: -1}
		r.unit.Key, r.unit.Width, r.unit.Height = inspectUnit("H264", data)
		r.units++
		return &r.unit, nil
	}
	return nil, io.EOF
}

func (r *AnnexBReader) end(listed bool) (*Unit, error) {
	r.done = true
	if err := r.src.failed(r.cfg.Name); err != nil {
		return nil, err
	}
	if listed && r.list != nil {
		r.log.add(DefectFramesMismatch, "the frames list goes on after the file's end")
	}
	r.stats.TornBytes = int64(len(r.src.held()))
	if r.stats.Packets == 0 && r.stats.TornBytes > 0 {
		return nil, &InputError{File: r.cfg.Name, Reason: "holds no H.264 picture"}
	}
	return nil, io.EOF
}

// entry takes the next line of the list.
func (r *AnnexBReader) entry() (framesEntry, bool) {
	if r.list == nil {
		return framesEntry{}, false
	}
	e, ok, err := r.list.next()
	if err != nil {
		r.log.add(DefectFramesMismatch, "the frames list cannot be used from line %d on: %v", r.list.line, err)
		r.list = nil
		return framesEntry{}, false
	}
	if !ok && !r.tail && len(r.src.peek(1)) > 0 {
		r.tail = true
		r.log.add(DefectFramesMismatch, "the frames list ends after %d units, the file goes on", r.units)
	}
	return e, ok
}

// listed returns the size of the unit that the list names, 0 when it cannot be: no start code where it begins or
// where the next begins. The stream itself then tells the borders for the rest of the file.
func (r *AnnexBReader) listed(e framesEntry) int {
	if e.size <= 0 || e.size > maxUnitBytes {
		r.byList = false
	} else {
		b := r.src.peek(e.size + 4)
		if len(b) < e.size { // torn: what is there is the beginning of the unit
			if len(b) > 0 {
				r.log.add(DefectFramesMismatch, "the file ends inside the unit of line %d of the frames list", r.list.line)
				r.done = true
				r.stats.TornBytes = int64(len(b))
				r.src.skip(int64(len(b)))
			}
			return 0
		}
		r.byList = startCode(b) > 0 && (len(b) < e.size+3 || startCode(b[e.size:]) > 0)
	}
	if !r.byList {
		r.log.add(DefectFramesMismatch, "line %d of the frames list does not end where an access unit does", r.list.line)
		return 0
	}
	return e.size
}

func (r *AnnexBReader) ticks(e framesEntry, listed bool) int64 {
	switch {
	case listed:
		t := e.ticks
		if d := t - r.last; r.units > 0 && d > 0 && d < int64(r.cfg.ClockRate) {
			r.step = d
		}
		r.last = t
	case r.count > 0:
		r.last = rescale(r.units*int64(r.cfg.ClockRate), int64(r.cfg.Length), r.count*1e9)
	case r.units > 0:
		r.last += r.step
	}
	return r.last
}

// find returns the size of the access unit at the current place; 0 when there is none.
func (r *AnnexBReader) find() int {
	w := auWalk{params: &r.params}
	if lead := r.src.peek(4); len(lead) > 0 && startCode(lead) == 0 {
		if !r.resync() {
			return 0
		}
	}
	for want := 64 << 10; ; want *= 2 {
		b := r.src.peek(want)
		ended := len(b) < want
		if size := w.walk(b, ended); size > 0 {
			return size
		}
		if ended {
			return 0
		}
		if len(b) > maxUnitBytes {
			return len(b)
		}
	}
}

// resync passes over bytes before a start code.
func (r *AnnexBReader) resync() bool {
	r.log.add(DefectCorruptData, "there is no start code at byte %d", r.src.off)
	for {
		b := r.src.peek(sourceBytes)
		if i := bytes.Index(b, []byte{0, 0, 1}); i >= 0 {
			if i > 0 && b[i-1] == 0 {
				i--
			}
			r.src.skip(int64(i))
			return true
		}
		if len(b) < sourceBytes {
			return false
		}
		r.src.skip(int64(len(b) - 3))
	}
}

// startCode returns the length of the start code that b begins with, leading zeros included, 0 for none.
func startCode(b []byte) int {
	zeros := 0
	for zeros < len(b) && b[zeros] == 0 {
		zeros++
	}
	if zeros < 2 || zeros == len(b) || b[zeros] != 1 {
		return 0
	}
	return zeros + 1
}

// auWalk goes from NAL unit to NAL unit until the second picture begins. It can go on when more bytes are there.
type auWalk struct {
	params *h264Params
	pos    int // where the search for the next start code goes on
	// cut is where the next unit begins if the next slice is of another picture; 0 undecided.
	cut     int
	slice   h264Slice
	picture bool
	paired  bool // both fields are there
}

// sliceHeadBytes is enough for the part of a slice header that is read.
const sliceHeadBytes = 24

// walk returns the size of the access unit that b begins with, 0 when b holds too little to know. ended says that b
// is all there is.
func (w *auWalk) walk(b []byte, ended bool) int {
	for {
		i := bytes.Index(b[w.pos:], []byte{0, 0, 1})
		if i >= 0 {
			w.pos += i
		} else {
			w.pos = max(w.pos, len(b)-2)
		}
		if i < 0 || w.pos+3 >= len(b) || !ended && !settled(b[w.pos+3:]) {
			if ended && w.picture {
				return len(b)
			}
			return 0
		}
		start := w.pos
		nalu := b[start+3:]
		if start > 0 && b[start-1] == 0 {
			start-- // the four byte start code, or trailing zeros of the NAL unit before
		}
		if size := w.nalu(nalu, start); size > 0 {
			return size
		}
		w.pos = len(b) - len(nalu)
	}
}

// settled reports whether enough of a NAL unit is there to be looked at.
func settled(nalu []byte) bool {
	if len(nalu) >= sliceHeadBytes && nalu[0]&31 != naluSPS || len(nalu) >= 1024 {
		return true
	}
	return bytes.Index(nalu, []byte{0, 0, 1}) >= 0
}

// nalu looks at the NAL unit that begins at byte start and returns the size of the access unit if it ends there or
// before.
func (w *auWalk) nalu(nalu []byte, start int) int {
	switch kind := nalu[0] & 31; {
	case kind == naluSlice || kind == naluIDR || kind == naluPartitionA:
		s := w.params.slice(nalu[:min(len(nalu), sliceHeadBytes)])
		if w.picture && w.slice.newPicture(s, w.paired) {
			if w.cut == 0 {
				w.cut = start
			}
			return w.cut
		}
		if w.picture && s.field && s.bottom != w.slice.bottom {
			w.paired = true
		}
		w.slice, w.picture, w.cut = s, true, 0
	case kind == naluSPS:
		w.mark(start)
		if end := bytes.Index(nalu, []byte{0, 0, 1}); end >= 0 {
			nalu = nalu[:end]
		}
		w.params.read(bytes.TrimRight(nalu[:min(len(nalu), 1024)], "\x00"))
	case kind == naluSEI, kind == naluPPS, kind == naluAUD, kind >= 14 && kind <= 18:
		w.mark(start)
	}
	return 0
}

// mark notes that the next access unit begins here, unless the slice that follows is of the same picture.
func (w *auWalk) mark(start int) {
	if w.picture && w.cut == 0 {
		w.cut = start
	}
}

// framesList reads the lines "rtp_timestamp byte_length" beside an h264 file.
type framesList struct {
	lines *bufio.Scanner
	line  int
	first bool
	last  uint32
	ticks int64
}

type framesEntry struct {
	ticks int64
	size  int
}

func newFramesList(r io.Reader) *framesList {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 256), 256)
	return &framesList{lines: s, first: true}
}

// next returns the next entry, false at the end of the list. A last line that is cut short ends the list.
func (l *framesList) next() (framesEntry, bool, error) {
	for l.lines.Scan() {
		l.line++
		text := strings.TrimSpace(l.lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		a, b, _ := strings.Cut(text, " ")
		rtp, err := strconv.ParseUint(a, 10, 32)
		if err != nil {
			return framesEntry{}, false, fmt.Errorf("%q is not an RTP timestamp", a)
		}
		size, err := strconv.ParseUint(strings.TrimSpace(b), 10, 31)
		if err != nil {
			return framesEntry{}, false, fmt.Errorf("%q is not a number of bytes", b)
		}
		if !l.first {
			l.ticks += int64(int32(uint32(rtp) - l.last))
		}
		l.first, l.last = false, uint32(rtp)
		return framesEntry{ticks: l.ticks, size: int(size)}, true, nil
	}
	if err := l.lines.Err(); err != nil {
		return framesEntry{}, false, fmt.Errorf("reading it: %w", err)
	}
	return framesEntry{}, false, nil
}

// Stats tells what was met so far.
func (r *AnnexBReader) Stats() ReadStats {
	s := r.stats
	s.Defects = r.log.defects()
	return s
}

// Close frees the buffer.
func (r *AnnexBReader) Close() error {
	r.done = true
	r.src.buf, r.src.start, r.src.end = nil, 0, 0
	return nil
}
