package capture

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// The marks of Janus recordings: files begin with one of the first three, frames with MEETECHO, or with MEET in
// files of version 2.
const (
	mjrOld      = "MEETECHO"
	mjrVersion1 = "MJR00001"
	mjrVersion2 = "MJR00002"
	mjrFrame2   = "MEET"
)

// mjrHeader is the JSON of a new header (janus-gateway, record.c).
type mjrHeader struct {
	Type      string `json:"t"`  // "a", "v" or "d"
	Codec     string `json:"c"`  // in lower case
	Created   int64  `json:"s"`  // µs
	First     int64  `json:"u"`  // µs of the first frame
	Encrypted bool   `json:"e"`  // end to end: nobody but the callers can decode it
	RED       int    `json:"or"` // payload type of Opus in RED
}

// mjrSource reads the frames of a Janus recording.
type mjrSource struct {
	recordReader
	log   *rtpLog
	timed bool // frames carry arrival times
}

// newMJRReader reads the file's header and gives the access units of its RTP packets.
func newMJRReader(f FileReader, cfg ReaderConfig) (UnitReader, error) {
	s := &mjrSource{recordReader: newRecordReader(f, cfg), log: &rtpLog{}}
	s.torn = &s.log.stats.TornBytes
	h, err := s.header()
	if err != nil {
		return nil, err
	}
	kind, codec, rate, err := s.media(h, cfg)
	if err != nil {
		return nil, err
	}
	if first := max(h.First, 0); first > 0 || h.Created > 0 {
		if first == 0 {
			first = h.Created
		}
		s.log.stats.FirstWall = time.UnixMicro(first).UTC()
	}
	r, err := newRTPUnits(s, s.log, cfg, kind, codec, rate)
	if err != nil {
		return nil, err
	}
	if h.RED > 0 {
		r.track.red = h.RED
	}
	return r, nil
}

// header reads the mark, the length and what has that length: "audio" or "video", or JSON.
func (s *mjrSource) header() (h mjrHeader, err error) {
	head, err := s.in.Peek(10)
	if err != nil && !isEOF(err) {
		return h, fmt.Errorf("reading %s: %w", s.name, err)
	}
	magic := string(head[:min(len(head), 8)])
	if magic != mjrOld && magic != mjrVersion1 && magic != mjrVersion2 {
		want := mjrOld
		if strings.HasPrefix(magic, "MJ") {
			want = mjrVersion2
		}
		return h, dumpHeaderError(s.name, head, want, "mjr")
	}
	s.timed = magic == mjrVersion2
	body := make([]byte, 10)
	if len(head) == 10 {
		body = make([]byte, 10+int(binary.BigEndian.Uint16(head[8:])))
	}
	if _, err := io.ReadFull(s.in, body); err != nil {
		if isEOF(err) {
			return h, &InputError{File: s.name, Reason: "the file ends within the mjr header", Err: err}
		}
		return h, fmt.Errorf("reading %s: %w", s.name, err)
	}
	s.pos = int64(len(body))
	body = body[10:]
	switch {
	case magic != mjrOld || len(body) > 0 && body[0] == '{':
		if err := json.Unmarshal(body, &h); err != nil {
			return h, &InputError{File: s.name, Reason: "the mjr header is not JSON: " + err.Error(), Err: err}
		}
	case string(body) == "audio":
		h.Type = "a"
	case string(body) == "video":
		h.Type = "v"
	default:
		return h, &InputError{File: s.name, Reason: fmt.Sprintf("the mjr header says %.20q, not audio or video", body)}
	}
	return h, nil
}

// media decides what the file holds: its own header is believed, the manifest fills in what that leaves out.
func (s *mjrSource) media(h mjrHeader, cfg ReaderConfig) (kind Kind, codec string, rate int, err error) {
	switch h.Type {
	case "a":
		kind = KindAudio
	case "v":
		kind = KindVideo
	case "d":
		return "", "", 0, &InputError{File: s.name, Reason: "the mjr file is a recording of a data channel, which has no media"}
	default:
		return "", "", 0, &InputError{File: s.name, Reason: fmt.Sprintf("the mjr header has the unknown type %.20q", h.Type)}
	}
	if h.Encrypted {
		return "", "", 0, &InputError{File: s.name, Reason: "the mjr file is encrypted end to end"}
	}
	codec, rate = strings.ToUpper(h.Codec), cfg.ClockRate
	if codec == "MULTIOPUS" {
		return "", "", 0, &InputError{File: s.name, Reason: "multi-channel Opus in mjr is not supported"}
	}
	if kind == cfg.Kind && (codec == "" || codec == cfg.Codec) {
		return kind, cfg.Codec, rate, nil
	}
	if codec == "" { // the old header: what Janus recorded in those days
		codec = map[Kind]string{KindAudio: "OPUS", KindVideo: "VP8"}[kind]
	}
	found, detail := DefectWrongCodec, fmt.Sprintf("the mjr header says %s, the manifest %s; the header is believed", codec, cfg.Codec)
	if kind != cfg.Kind {
		found, detail = DefectWrongKind, fmt.Sprintf("the file holds %s (%s), the manifest says %s", kind, codec, cfg.Kind)
	}
	s.log.defects = append(s.log.defects, Defect{Kind: found, Detail: detail})
	switch codec {
	case "OPUS":
		rate = 48000
	case "PCMU", "PCMA":
		rate = 8000
	default:
		rate = 90000
	}
	return kind, codec, rate, nil
}

// nextPacket implements rtpSource.
func (s *mjrSource) nextPacket(buf []byte) ([]byte, time.Duration, error) {
	for !s.done {
		head, err := s.in.Peek(10)
		if err != nil {
			return nil, 0, s.end(len(head), err)
		}
		mark, arrival := mjrOld, time.Duration(-1)
		if s.timed {
			mark = mjrFrame2
			arrival = time.Duration(binary.BigEndian.Uint32(head[4:])) * time.Millisecond
		}
		if string(head[:len(mark)]) != mark {
			return nil, 0, s.end(len(head), io.EOF)
		}
		length := int(binary.BigEndian.Uint16(head[8:]))
		if buf, err = s.record(buf, 10, length); err != nil {
			return nil, 0, err
		}
		if length >= 12 {
			return buf, arrival, nil
		}
		s.log.badPackets++
	}
	return nil, 0, io.EOF
}
