package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// WebMReader reads one track of a WebM or Matroska file front to back (RFC 9559), as a recorder leaves it: without
// duration and cues, with segments and clusters of unknown size, torn in the middle of a cluster. It walks the
// elements flat: those of a segment and those of a cluster have different ids, so that nothing needs to be known about
// where a cluster ends.
type WebMReader struct {
	noted
	src   *byteSource
	cfg   ReaderConfig
	track webmTrack
	found bool
	avc   *lengthPrefixed
	scale int64 // ns per tick of the file

	// clusterEnd is the file offset at which the cluster of known size ends, -1 when there is none.
	clusterEnd int64
	cluster    int64
	base       int64 // ns, added for segments that follow another in one file

	element int64 // size of the element whose frames are handed out, skipped at the next step
	laces   [][]byte
	lace    int
	lastEnd int64 // ns

	first   int64 // ns
	started bool
	time    int64 // ns of the next lace
	length  int64 // ns of a lace, 0 unknown
	key     bool
	done    bool
	unit    Unit
	scratch []byte
	stats   ReadStats
}

func newWebMReader(f FileReader, cfg ReaderConfig) (*WebMReader, error) {
	r := &WebMReader{src: newByteSource(f), cfg: cfg, scale: 1e6, clusterEnd: -1}
	// The track is looked for now, so that a file without it is refused at once.
	for !r.found {
		if done, err := r.step(); err != nil {
			return nil, err
		} else if done {
			return nil, &InputError{File: cfg.Name, Reason: fmt.Sprintf("is WebM without %s track", article(cfg.Kind))}
		}
	}
	return r, nil
}

// article returns the kind with its article, for messages.
func article(k Kind) string {
	if k == KindAudio {
		return "an audio"
	}
	return "a video"
}

// Codec returns the codec that the file itself names.
func (r *WebMReader) Codec() string { return r.track.codec }

// Config returns the codec's private data: an AVC or AV1 configuration record, OpusHead, an AudioSpecificConfig.
func (r *WebMReader) Config() []byte { return r.track.private }

// Offset returns the time of the first unit on the file's own clock, known after the first Next: tracks of one file
// are lined up by it.
func (r *WebMReader) Offset() time.Duration { return time.Duration(r.first) }

// Next gives the next frame, io.EOF at the end of what is whole.
func (r *WebMReader) Next() (*Unit, error) {
	for !r.done {
		if r.lace < len(r.laces) {
			data := r.laces[r.lace]
			r.lace++
			if r.fill(data) {
				return &r.unit, nil
			}
			continue
		}
		if done, err := r.step(); err != nil {
			r.done = true
			return nil, err
		} else if done {
			r.done = true
		}
	}
	return nil, io.EOF
}

// fill makes the unit of a frame, false when nothing is left of it.
func (r *WebMReader) fill(data []byte) bool {
	r.stats.Packets++
	if len(r.track.stripped) > 0 {
		r.scratch = append(append(r.scratch[:0], r.track.stripped...), data...)
		data = r.scratch
	}
	data = r.elementary(data)
	if len(data) == 0 {
		r.log.add(DefectCorruptData, "a frame before byte %d is empty", r.src.off+r.element)
		return false
	}
	if r.track.codec == "OPUS" {
		if samples, ok := opusDuration(data); ok {
			r.length = samples * 1e9 / opusRate
		}
	}
	if !r.started {
		r.started, r.first = true, r.time
	}
	rate := int64(r.cfg.ClockRate)
	r.unit = Unit{Data: data, Ticks: rescale(r.time-r.first, rate, 1e9), Arrival: -1, Key: r.key}
	switch {
	case r.cfg.Kind == KindAudio:
		r.unit.Key, r.unit.Duration = true, rescale(r.length, rate, 1e9)
	case r.track.inspected():
		r.unit.Key, r.unit.Width, r.unit.Height = inspectUnit(r.track.codec, data)
	}
	r.time += r.length
	r.lastEnd = max(r.lastEnd, r.time)
	return true
}

// elementary brings a frame into the form of Unit.Data.
func (r *WebMReader) elementary(data []byte) []byte {
	switch {
	case r.avc != nil:
		out, whole := r.avc.annexB(data)
		if !whole {
			r.log.add(DefectCorruptData, "a frame before byte %d has a length field that reaches beyond it", r.src.off+r.element)
		}
		return out
	case r.track.codec == "AV1":
		var out []byte
		out, r.scratch = av1Elementary(data, r.scratch)
		if r.key && len(r.track.sequence) > 0 && !av1HasSequenceHeader(out) {
			whole := append(append([]byte{}, r.track.sequence...), out...)
			return whole
		}
		return out
	}
	return data
}

// step reads one element. done says that the file is at its end.
func (r *WebMReader) step() (done bool, err error) {
	r.src.skip(r.element)
	r.element = 0
	r.laces, r.lace = r.laces[:0], 0
	id, size, head := ebmlHead(r.src.peek(ebmlHeadBytes))
	switch {
	case head == 0 && len(r.src.held()) == 0:
		return true, r.src.failed(r.cfg.Name)
	case head == 0 || !r.plausible(id, size, head):
		return r.resync()
	}
	at := r.src.off
	switch id {
	case idSegment:
		r.src.skip(int64(head))
		if r.started { // another recording behind the first: its clock begins again
			r.base = r.lastEnd
		}
		r.clusterEnd = -1
		return false, nil
	case idCluster:
		r.src.skip(int64(head))
		r.clusterEnd = -1
		if size != ebmlUnknown {
			r.clusterEnd = at + int64(head) + size
		}
		return false, nil
	case idInfo, idTracks, idTimestamp, idSimpleBlock, idBlockGroup:
		return r.content(id, size, head)
	}
	if r.src.skip(int64(head)+size) < int64(head)+size {
		return true, r.src.failed(r.cfg.Name)
	}
	return false, nil
}

// content reads an element whose body is needed.
func (r *WebMReader) content(id uint32, size int64, head int) (done bool, err error) {
	body := r.src.peek(head + int(size))
	if len(body) < head+int(size) {
		return r.resync()
	}
	body = body[head:]
	r.element = int64(head) + size
	switch id {
	case idInfo:
		ebmlChildren(body, func(id uint32, b []byte) {
			if v := ebmlUint(b); id == idTimestampScale && v > 0 && v <= 1e9 {
				r.scale = int64(v)
			}
		})
	case idTracks:
		return false, r.choose(body)
	case idTimestamp:
		if v := ebmlUint(body); v < uint64(maxTicks/r.scale) {
			r.cluster = int64(v)
		} else {
			r.log.add(DefectBadTime, "the cluster at byte %d has the timestamp %d", r.src.off, v)
		}
	case idSimpleBlock:
		if len(body) > 0 {
			r.take(body, true, false, 0)
		}
	case idBlockGroup:
		r.group(body)
	}
	return false, nil
}

// choose picks the track when the list of tracks comes by.
func (r *WebMReader) choose(body []byte) error {
	if r.found {
		return nil
	}
	tracks := parseWebMTracks(body)
	best := -1
	for i, t := range tracks {
		if t.kind == r.cfg.Kind && (best < 0 || tracks[best].codec != r.cfg.Codec && t.codec == r.cfg.Codec) {
			best = i
		}
	}
	if best < 0 {
		return &InputError{File: r.cfg.Name, Reason: fmt.Sprintf("is WebM without %s track", article(r.cfg.Kind))}
	}
	r.track, r.found = tracks[best], true
	if r.track.refused != "" {
		return &InputError{File: r.cfg.Name, Reason: r.track.refused}
	}
	if r.track.codec == "" {
		return &InputError{File: r.cfg.Name, Reason: fmt.Sprintf("has the codec %q, which is not read", r.track.codecID)}
	}
	noteCodec(&r.log, r.cfg, r.track.codec)
	if r.track.codec == "H264" {
		r.avc, _ = newLengthPrefixed(r.track.private)
	}
	return nil
}

func (r *WebMReader) group(body []byte) {
	var block []byte
	key, duration := true, int64(0)
	ebmlChildren(body, func(id uint32, b []byte) {
		switch id {
		case idBlock:
			block = b
		case idReferenceBlock:
			key = false
		case idBlockDuration:
			if v := ebmlUint(b); v < uint64(maxTicks/r.scale) {
				duration = int64(v) * r.scale
			}
		}
	})
	if block != nil {
		r.take(block, false, key, duration)
	}
}

// take cuts a block of the chosen track into its frames (RFC 9559, section 10).
func (r *WebMReader) take(block []byte, simple, key bool, duration int64) {
	number, n := ebmlVint(block)
	if n == 0 || len(block) < n+3 {
		r.log.add(DefectCorruptData, "the block at byte %d is too short", r.src.off)
		return
	}
	if !r.found || number != r.track.number {
		return
	}
	relative := int64(int16(binary.BigEndian.Uint16(block[n:])))
	flags := block[n+2]
	r.key = key
	if simple {
		r.key = flags&0x80 != 0
	}
	r.time = r.base + (r.cluster+relative)*r.scale
	var ok bool
	r.laces, ok = cutLaces(r.laces[:0], block[n+3:], flags>>1&3)
	if !ok {
		r.log.add(DefectCorruptData, "the block at byte %d has lacing that does not fit", r.src.off)
	}
	r.length = r.track.frame
	if duration > 0 && len(r.laces) > 0 {
		r.length = duration / int64(len(r.laces))
	}
}

// Stats tells what was met so far.
func (r *WebMReader) Stats() ReadStats {
	s := r.stats
	s.Defects = r.log.defects()
	return s
}

// Close frees the buffers.
func (r *WebMReader) Close() error {
	r.done = true
	r.src.buf, r.src.start, r.src.end, r.scratch, r.laces = nil, 0, 0, nil, nil
	return nil
}
