package capture

import "bytes"

// webmTrack is what of a TrackEntry is used (RFC 9559, section 5.1.4).
type webmTrack struct {
	number   uint64
	kind     Kind
	codecID  string
	codec    string // our name, "" when it is not read
	private  []byte
	sequence []byte // AV1: the sequence header out of the configuration record
	frame    int64  // ns, 0 unknown
	stripped []byte // bytes that every frame has lost at its beginning
	refused  string // why the track cannot be read
}

// inspected reports whether inspectUnit knows the codec.
func (t *webmTrack) inspected() bool {
	switch t.codec {
	case "VP8", "VP9", "H264", "AV1":
		return true
	}
	return false
}

// matroskaCodec returns our name of a codec id, "" when it is not read.
func matroskaCodec(id string) string {
	switch id {
	case "V_VP8":
		return "VP8"
	case "V_VP9":
		return "VP9"
	case "V_AV1":
		return "AV1"
	case "V_MPEG4/ISO/AVC":
		return "H264"
	case "A_OPUS":
		return "OPUS"
	case "A_AAC":
		return "AAC"
	}
	return ""
}

// parseWebMTracks reads the body of Tracks. It copies what it keeps.
func parseWebMTracks(body []byte) (tracks []webmTrack) {
	ebmlChildren(body, func(id uint32, b []byte) {
		if id == idTrackEntry && len(tracks) < 256 {
			tracks = append(tracks, parseWebMTrack(b))
		}
	})
	return tracks
}

func parseWebMTrack(body []byte) (t webmTrack) {
	ebmlChildren(body, func(id uint32, b []byte) {
		switch id {
		case idTrackNumber:
			t.number = ebmlUint(b)
		case idTrackType:
			switch ebmlUint(b) {
			case 1:
				t.kind = KindVideo
			case 2:
				t.kind = KindAudio
			}
		case idCodecID:
			t.codecID = string(bytes.TrimRight(b[:min(len(b), 64)], "\x00"))
			t.codec = matroskaCodec(t.codecID)
		case idCodecPrivate:
			t.private = bytes.Clone(b)
		case idDefaultDuration:
			if v := ebmlUint(b); v < 60e9 {
				t.frame = int64(v)
			}
		case idContentEncodings:
			ebmlChildren(b, func(id uint32, b []byte) {
				if id == idContentEncoding {
					t.encoding(b)
				}
			})
		}
	})
	if t.codec == "AV1" && len(t.private) > 4 {
		if obus, _ := av1Elementary(t.private[4:], nil); av1HasSequenceHeader(obus) {
			t.sequence = bytes.Clone(obus)
		}
	}
	if t.codec == "H264" {
		if _, ok := newLengthPrefixed(t.private); !ok && len(t.private) > 0 && startCode(t.private) == 0 {
			t.refused = "has H.264 whose configuration cannot be read"
		}
	}
	return t
}

// encoding reads a ContentEncoding (RFC 9559, section 5.1.4.1.31): only stripped headers are undone.
func (t *webmTrack) encoding(body []byte) {
	algorithm, found := uint64(0), false
	var settings []byte
	ebmlChildren(body, func(id uint32, b []byte) {
		switch id {
		case idContentCompression:
			found = true
			ebmlChildren(b, func(id uint32, b []byte) {
				switch id {
				case idContentCompAlgo:
					algorithm = ebmlUint(b)
				case idContentCompSettings:
					settings = b
				}
			})
		case idContentEncryption:
			t.refused = "is encrypted"
		}
	})
	switch {
	case found && algorithm == 3 && len(settings) <= 1<<16:
		t.stripped = bytes.Clone(settings)
	case found && t.refused == "":
		t.refused = "has compressed frames, which are not read"
	}
}

// cutLaces appends the frames of a block's payload (RFC 9559, section 10.3). false says that the sizes do not fit;
// the frames that do are still there.
func cutLaces(out [][]byte, b []byte, lacing byte) ([][]byte, bool) {
	if lacing == 0 {
		return append(out, b), true
	}
	if len(b) == 0 {
		return out, false
	}
	count := int(b[0]) + 1
	b = b[1:]
	if lacing == 2 { // fixed
		if len(b)%count != 0 {
			return out, false
		}
		for size := len(b) / count; count > 0; count-- {
			out, b = append(out, b[:size]), b[size:]
		}
		return out, true
	}
	var sizes [256]int
	for i := range count - 1 {
		var n int
		if lacing == 1 {
			sizes[i], n = xiphSize(b)
		} else {
			v, width := ebmlVint(b)
			n = width
			sizes[i] = int(min(v, maxUnitBytes+1))
			if i > 0 && n > 0 { // a difference with a bias
				sizes[i] = sizes[i-1] + int(min(v, 1<<40)) - (1<<(7*n-1) - 1)
			}
		}
		if n == 0 || sizes[i] < 0 || sizes[i] > maxUnitBytes {
			return out, false
		}
		b = b[n:]
	}
	for i := range count - 1 {
		if sizes[i] > len(b) {
			return out, false
		}
		out, b = append(out, b[:sizes[i]]), b[sizes[i]:]
	}
	return append(out, b), true
}

func xiphSize(b []byte) (size, n int) {
	for n < len(b) {
		size += int(b[n])
		n++
		if b[n-1] != 255 {
			return size, n
		}
	}
	return 0, 0
}
