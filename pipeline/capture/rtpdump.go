package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	rtpdumpMagic = "#!rtpplay1.0 "
	// rtpdumpLine bounds the text line.
	rtpdumpLine = 256
)

// rtpdumpSource reads the records of an rtpdump file (rtptools, "rtpdump -F dump").
type rtpdumpSource struct {
	recordReader
	log *rtpLog
}

// newRTPDumpReader reads the file's header and gives the access units of its RTP packets.
func newRTPDumpReader(f FileReader, cfg ReaderConfig) (UnitReader, error) {
	s := &rtpdumpSource{recordReader: newRecordReader(f, cfg), log: &rtpLog{keepRTP: true}}
	s.torn = &s.log.stats.TornBytes
	if err := s.header(); err != nil {
		return nil, err
	}
	return newRTPUnits(s, s.log, cfg, cfg.Kind, cfg.Codec, cfg.ClockRate)
}

// header reads the text line and the 16 bytes behind it: start time, source address and port.
func (s *rtpdumpSource) header() error {
	line, err := s.in.Peek(rtpdumpLine)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading %s: %w", s.name, err)
	}
	if !bytes.HasPrefix(line, []byte(rtpdumpMagic)) {
		return dumpHeaderError(s.name, line, rtpdumpMagic, "rtpdump")
	}
	n := bytes.IndexByte(line, '\n') + 1
	if n == 0 {
		return &InputError{File: s.name, Reason: "the rtpdump header has no end"}
	}
	head := make([]byte, n+16)
	if _, err := io.ReadFull(s.in, head); err != nil {
		if isEOF(err) {
			return &InputError{File: s.name, Reason: "the file ends within the rtpdump header", Err: err}
		}
		return fmt.Errorf("reading %s: %w", s.name, err)
	}
	s.pos = int64(len(head))
	seconds, micros := binary.BigEndian.Uint32(head[n:]), binary.BigEndian.Uint32(head[n+4:])
	if seconds > 0 {
		s.log.start = time.Unix(int64(seconds), int64(micros)*1000).UTC()
	}
	return nil
}

// nextPacket implements rtpSource. RTCP goes to the log. A record that cannot be ends the file: records have no
// mark by which the next could be found.
func (s *rtpdumpSource) nextPacket(buf []byte) ([]byte, time.Duration, error) {
	for !s.done {
		head, err := s.in.Peek(8)
		if err != nil {
			return nil, 0, s.end(len(head), err)
		}
		length, plen := int(binary.BigEndian.Uint16(head)), int(binary.BigEndian.Uint16(head[2:]))
		arrival := time.Duration(binary.BigEndian.Uint32(head[4:])) * time.Millisecond
		if length < 8 {
			return nil, 0, s.end(len(head), io.EOF)
		}
		if buf, err = s.record(buf, 8, length-8); err != nil {
			return nil, 0, err
		}
		switch {
		case plen == 0 || isRTCP(buf):
			if len(buf) > 0 {
				s.log.control(buf, arrival)
			}
		case plen > len(buf):
			s.log.cut++
		default:
			return buf[:plen], arrival, nil
		}
	}
	return nil, 0, io.EOF
}

// isRTCP tells RTCP from RTP on one port (RFC 5761, section 4).
func isRTCP(packet []byte) bool {
	return len(packet) >= 8 && packet[0]>>6 == 2 && packet[1] >= 192 && packet[1] <= 223
}
