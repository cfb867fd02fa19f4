package capture

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// maxMoovBytes is the largest moov or moof that is read: the tables of a week of pictures take less.
const maxMoovBytes = 64 << 20

// mostOversized is how many samples in a row may be too large: a few bytes of a table can promise billions.
const mostOversized = 1000

// MP4Reader reads one track of an MP4 file, progressive or fragmented or both (ISO/IEC 14496-12). Only the tables are
// held, as they lie in the file. A torn fragmented file gives the samples that are whole.
type MP4Reader struct {
	noted
	f      FileReader
	cfg    ReaderConfig
	track  *mp4Track
	avc    *lengthPrefixed
	window atWindow
	at     int64 // of the next box at the top level
	part   *mp4Fragment
	begun  mp4Place
	// oversized counts such samples in a row.
	oversized int
	tables    bool // the samples of moov are still being read
	dts       int64
	first     int64
	started   bool
	done      bool
	unit      Unit
	scratch   []byte
	stats     ReadStats
}

func newMP4Reader(f FileReader, cfg ReaderConfig) (*MP4Reader, error) {
	r := &MP4Reader{f: f, cfg: cfg, window: atWindow{f: f}, tables: true}
	var moov []byte
	for moov == nil {
		kind, head, size, err := r.box()
		if err != nil {
			return nil, err
		}
		if kind == "" || kind == "moof" {
			return nil, &InputError{File: cfg.Name, Reason: "is MP4 without its moov box", Hint: "a progressive file that was cut off cannot be read"}
		}
		if kind == "moov" {
			if moov, err = r.body(head, size); err != nil {
				return nil, err
			}
			if moov == nil {
				return nil, &InputError{File: cfg.Name, Reason: "is MP4 whose moov box is cut off or too large"}
			}
		}
		r.at += size
	}
	return r, r.choose(parseMP4Tracks(moov))
}

func (r *MP4Reader) choose(tracks []*mp4Track) error {
	for _, t := range tracks {
		if t.kind == r.cfg.Kind && (r.track == nil || r.track.codec != r.cfg.Codec && t.codec == r.cfg.Codec) {
			r.track = t
		}
	}
	switch t := r.track; {
	case t == nil:
		return &InputError{File: r.cfg.Name, Reason: fmt.Sprintf("is MP4 without %s track", article(r.cfg.Kind))}
	case t.codec == "":
		return &InputError{File: r.cfg.Name, Reason: fmt.Sprintf("has the sample entry %q, which is not read", t.entry)}
	case t.timescale <= 0:
		return &InputError{File: r.cfg.Name, Reason: "is MP4 whose track has no timescale"}
	case t.codec == "H264":
		var ok bool
		if r.avc, ok = newLengthPrefixed(t.config); !ok {
			return &InputError{File: r.cfg.Name, Reason: "has H.264 whose configuration cannot be read"}
		}
	}
	noteCodec(&r.log, r.cfg, r.track.codec)
	return nil
}

// Codec returns the codec that the file itself names.
func (r *MP4Reader) Codec() string { return r.track.codec }

// Config returns the body of the codec's configuration box (avcC, av1C, vpcC, dOps), of AAC the AudioSpecificConfig.
func (r *MP4Reader) Config() []byte { return r.track.config }

// Offset returns when the first unit is presented on the file's own clock by its edit list, known after the first
// Next. It is negative where the edit list cuts the unit off.
func (r *MP4Reader) Offset() time.Duration {
	return time.Duration(rescale(r.first+r.track.shift, 1e9, r.track.timescale))
}

// box reads the head of the box at the current place. kind is "" at the end of what can be read.
func (r *MP4Reader) box() (kind string, head int, size int64, err error) {
	b, err := r.window.get(r.at, 16)
	if err != nil {
		return "", 0, 0, fmt.Errorf("reading %s: %w", r.cfg.Name, err)
	}
	kind, size, head = mp4Head(b)
	if head == 0 {
		return "", 0, 0, nil
	}
	if size == 0 {
		size = r.cfg.Size - r.at
	}
	if size < int64(head) || size > maxTicks {
		return "", 0, 0, nil
	}
	return kind, head, size, nil
}

// body reads a box whole, nil when the file or the limit ends before it.
func (r *MP4Reader) body(head int, size int64) ([]byte, error) {
	if size > maxMoovBytes || size > r.cfg.Size-r.at {
		return nil, nil
	}
	b := make([]byte, size-int64(head))
	if _, err := r.f.ReadAt(b, r.at+int64(head)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s: %w", r.cfg.Name, err)
	}
	return b, nil
}

// Next gives the next sample, io.EOF after the last that is whole.
func (r *MP4Reader) Next() (*Unit, error) {
	for !r.done {
		m, ok, err := r.sample()
		if err != nil {
			r.done = true
			return nil, err
		}
		if !ok {
			r.done = true
			break
		}
		r.dts = m.dts + m.duration
		if m.size > maxUnitBytes {
			r.log.add(DefectOversizedUnit, "a sample at byte %d says it has %d bytes", m.offset, m.size)
			if r.oversized++; r.oversized > mostOversized {
				r.done = true
				break
			}
			continue
		}
		r.oversized = 0
		if m.offset < 0 || m.offset+m.size > r.cfg.Size {
			r.done = true
			r.stats.TornBytes = max(r.cfg.Size-max(m.offset, 0), 0)
			break
		}
		data, err := r.window.get(m.offset, int(m.size))
		if err != nil {
			r.done = true
			return nil, fmt.Errorf("reading %s: %w", r.cfg.Name, err)
		}
		r.stats.Packets++
		if len(data) == 0 {
			continue
		}
		if r.fill(m, data) {
			return &r.unit, nil
		}
	}
	return nil, io.EOF
}

// sample finds the next sample: in moov's tables, then fragment by fragment.
func (r *MP4Reader) sample() (m mp4Sample, ok bool, err error) {
	if r.tables {
		if m, ok = r.track.samples.next(); ok {
			r.begun.taken++
			return m, true, nil
		}
		r.tables = false
	}
	for {
		if r.part != nil {
			if m, ok = r.part.nextSample(); ok {
				r.begun.taken++
				return m, true, nil
			}
			r.part = nil
		}
		kind, head, size, err := r.box()
		if err != nil || kind == "" {
			r.stats.TornBytes = max(r.cfg.Size-r.at, 0)
			return m, false, err
		}
		if kind == "moof" {
			moof, err := r.body(head, size)
			if err != nil || moof == nil {
				r.stats.TornBytes = r.cfg.Size - r.at
				return m, false, err
			}
			r.begun = mp4Place{at: r.at, dts: r.dts}
			r.part = newMP4Fragment(r.track, moof, r.at, r.at+size, r.dts)
		}
		r.at += size
	}
}

func (r *MP4Reader) fill(m mp4Sample, data []byte) bool {
	codec := r.track.codec
	key := m.sync
	switch {
	case r.avc != nil:
		out, whole := r.avc.annexB(data)
		if !whole {
			r.log.add(DefectCorruptData, "a sample at byte %d has a length field that reaches beyond it", m.offset)
		}
		data = out
	case codec == "AV1":
		data, r.scratch = av1Elementary(data, r.scratch)
		if obus := r.track.config; key && len(obus) > 4 && !av1HasSequenceHeader(data) {
			data = append(append([]byte{}, obus[4:]...), data...)
		}
	}
	if len(data) == 0 {
		return false
	}
	pts := min(max(m.dts+m.cts, -maxTicks), maxTicks)
	if !r.started {
		r.started, r.first = true, pts
	}
	rate, scale := int64(r.cfg.ClockRate), r.track.timescale
	r.unit = Unit{Data: data, Ticks: rescale(pts-r.first, rate, scale), Arrival: -1, Key: true}
	if r.cfg.Kind == KindVideo {
		r.unit.Key, r.unit.Width, r.unit.Height = inspectUnit(codec, data)
		return true
	}
	r.unit.Duration = rescale(m.duration, rate, scale)
	if samples, ok := opusDuration(data); codec == "OPUS" && ok {
		r.unit.Duration = rescale(samples, rate, opusRate)
	}
	return true
}

// Stats tells what was met so far.
func (r *MP4Reader) Stats() ReadStats {
	s := r.stats
	s.Defects = r.log.defects()
	return s
}

// Close frees the buffers.
func (r *MP4Reader) Close() error {
	r.done = true
	r.window.buf, r.scratch, r.part = nil, nil, nil
	return nil
}

// atWindow reads pieces of a file at any place through one buffer, reading ahead.
type atWindow struct {
	f   io.ReaderAt
	buf []byte
	at  int64 // of buf[0]
}

// get returns n bytes at an offset, fewer where the file ends. They are good until the next call.
func (w *atWindow) get(at int64, n int) ([]byte, error) {
	if at < w.at || at+int64(n) > w.at+int64(len(w.buf)) {
		size := max(n, sourceBytes)
		if cap(w.buf) < size {
			w.buf = make([]byte, size)
		}
		got, err := w.f.ReadAt(w.buf[:size], at)
		w.buf, w.at = w.buf[:got], at
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	from := int(at - w.at)
	return w.buf[from:min(from+n, len(w.buf))], nil
}
