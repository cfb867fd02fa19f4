package capture

import (
	"encoding/binary"
	"io"
)

const (
	ivfHeaderBytes      = 32
	ivfFrameHeaderBytes = 12
	// ivfFallbackRate is taken when the header has no usable tick length: Pion's default is 1/30 s.
	ivfFallbackRate = 30
)

// IVFReader reads IVF. It gives frames as they lie in the file: what the recorder's writer merged or cut stays so.
// The header's picture size and frame count are not looked at, because Pion's writer fills in constants.
type IVFReader struct {
	noted
	src      *byteSource
	cfg      ReaderConfig
	codec    string
	num, den uint32
	scaleNum int64
	scaleDen int64
	frame    int64 // bytes of the unit handed out last, passed over at the next call
	first    uint64
	last     uint64
	pts      int64
	started  bool
	done     bool
	unit     Unit
	scratch  []byte
	stats    ReadStats
}

func newIVFReader(f FileReader, cfg ReaderConfig) (*IVFReader, error) {
	r := &IVFReader{src: newByteSource(f), cfg: cfg, scaleNum: 1, scaleDen: 1}
	head := r.src.peek(ivfHeaderBytes)
	if len(head) < ivfHeaderBytes || string(head[:4]) != "DKIF" {
		if err := r.src.failed(cfg.Name); err != nil {
			return nil, err
		}
		return nil, &InputError{File: cfg.Name, Reason: "has no IVF header"}
	}
	if cfg.Kind == KindAudio {
		return nil, &InputError{File: cfg.Name, Reason: "is IVF, which holds pictures, but the track is audio"}
	}
	r.codec = ivfCodec(string(head[8:12]))
	if r.codec == "" {
		r.codec = cfg.Codec
	}
	noteCodec(&r.log, cfg, r.codec)
	r.den, r.num = binary.LittleEndian.Uint32(head[16:]), binary.LittleEndian.Uint32(head[20:])
	r.fixTimebase()
	size := int64(binary.LittleEndian.Uint16(head[6:]))
	if size < ivfHeaderBytes || size > 1024 {
		size = ivfHeaderBytes
	}
	r.src.skip(size)
	return r, nil
}

// ivfCodec returns our name of a FourCC, or "".
func ivfCodec(fourCC string) string {
	switch fourCC {
	case "VP80":
		return "VP8"
	case "VP90":
		return "VP9"
	case "AV01":
		return "AV1"
	case "H264", "AVC1":
		return "H264"
	}
	return ""
}

// fixTimebase makes num/den seconds per tick usable: no recorder ticks slower than once a second, so that a larger
// value is the two fields swapped.
func (r *IVFReader) fixTimebase() {
	switch {
	case r.num == 0 && r.den == 0, r.num <= 1 && r.den <= 1:
		r.log.add(DefectBadTime, "the IVF header says %d/%d s per tick; 1/%d s is taken", r.num, r.den, ivfFallbackRate)
		r.num, r.den = 1, ivfFallbackRate
	case r.num == 0:
		r.num = 1
	case r.den == 0:
		r.num, r.den = 1, r.num
	case r.num > r.den:
		r.num, r.den = r.den, r.num
	}
}

// Timebase returns the seconds per tick of RawPTS, num/den, as the header says (put right when swapped or zero).
func (r *IVFReader) Timebase() (num, den uint32) { return r.num, r.den }

// RawPTS returns the timestamp of the last unit in ticks of Timebase, unwrapped, less the first one.
func (r *IVFReader) RawPTS() int64 { return r.pts }

// Rescale multiplies the Ticks of all later units by num/den, both positive: the header's tick length may be wrong
// by a factor, which only the wall clock tells. Call it before the first Next.
func (r *IVFReader) Rescale(num, den int64) {
	if num > 0 && den > 0 {
		r.scaleNum, r.scaleDen = num, den
	}
}

// Codec returns the codec that the file itself names.
func (r *IVFReader) Codec() string { return r.codec }

// Next gives the next frame, io.EOF at the end of what is whole.
func (r *IVFReader) Next() (*Unit, error) {
	for !r.done {
		r.src.skip(r.frame)
		r.frame = 0
		head := r.src.peek(ivfFrameHeaderBytes)
		if len(head) < ivfFrameHeaderBytes {
			return r.end()
		}
		size := int64(binary.LittleEndian.Uint32(head))
		pts := binary.LittleEndian.Uint64(head[4:])
		if size > maxUnitBytes {
			r.log.add(DefectOversizedUnit, "a frame at byte %d says it has %d bytes; the file is read up to there",
				r.src.off, size)
			return r.end()
		}
		whole := r.src.peek(ivfFrameHeaderBytes + int(size))
		if len(whole) < ivfFrameHeaderBytes+int(size) {
			return r.end()
		}
		r.frame = int64(len(whole))
		r.stats.Packets++
		data := r.elementary(whole[ivfFrameHeaderBytes:])
		if len(data) == 0 {
			r.log.add(DefectCorruptData, "a frame at byte %d is empty", r.src.off)
			continue
		}
		r.unit = Unit{Data: data, Ticks: r.ticks(pts), Arrival: -1}
		r.unit.Key, r.unit.Width, r.unit.Height = inspectUnit(r.codec, data)
		return &r.unit, nil
	}
	return nil, io.EOF
}

func (r *IVFReader) elementary(data []byte) []byte {
	if r.codec != "AV1" {
		return data
	}
	var out []byte
	out, r.scratch = av1Elementary(data, r.scratch)
	return out
}

// ticks maps a timestamp to the track's clock. Writers that take the RTP time as it is (Pion's WithDirectPTS) wrap
// with it, and a packet older than the first one ends up just below 2^32.
func (r *IVFReader) ticks(pts uint64) int64 {
	switch {
	case !r.started:
		r.started, r.first = true, pts
		r.pts = 0
	case r.den == uint32(r.cfg.ClockRate) && r.num == 1 && pts>>32 == 0 && r.last>>32 == 0:
		r.pts += int64(int32(uint32(pts) - uint32(r.last)))
	default:
		r.pts = int64(pts - r.first)
	}
	r.last = pts
	t := rescale(r.pts, int64(r.num)*int64(r.cfg.ClockRate), int64(r.den))
	return rescale(t, r.scaleNum, r.scaleDen)
}

// end closes the file at the current place and counts what is left.
func (r *IVFReader) end() (*Unit, error) {
	r.done = true
	if err := r.src.failed(r.cfg.Name); err != nil {
		return nil, err
	}
	r.stats.TornBytes = max(r.cfg.Size-r.src.off, int64(len(r.src.held())))
	return nil, io.EOF
}

// Stats tells what was met so far.
func (r *IVFReader) Stats() ReadStats {
	s := r.stats
	s.Defects = r.log.defects()
	return s
}

// Close frees the buffer.
func (r *IVFReader) Close() error {
	r.done = true
	r.src.buf, r.src.start, r.src.end, r.scratch = nil, 0, 0, nil
	return nil
}
