package transcode

import (
	"errors"
	"fmt"
	"io"
)

// tsPacket is the length of a transport packet (ISO/IEC 13818-1, 2.4.3.2).
const tsPacket = 188

// tail says what the end of a file tells of the last PES packet of a stream.
type tail int

const (
	endUnknown tail = iota // it fills its last transport packet, as one in 184 does that is whole
	endWhole
	endTorn
)

// tailOf looks at the transport packets from the beginning of a stream's last PES packet on. A multiplexer fills up the
// last one of a PES packet, so that one without filling is followed by another.
func tailOf(src Source, from int64) (tail, error) {
	var head [4]byte
	if from < 0 || from+tsPacket > src.Size {
		return endUnknown, nil
	}
	if _, err := src.R.ReadAt(head[:], from); err != nil && !errors.Is(err, io.EOF) {
		return endUnknown, fmt.Errorf("read %s: %w", src.Name, err)
	}
	if head[0] != 0x47 {
		return endUnknown, nil
	}
	pid := pidOf(head[:])
	found := endUnknown
	// Where nothing else stands between the packets, the multiplexer writes one PES packet after the other, and what
	// begins behind them says that they are complete.
	mixed, behind := false, false
	buf := make([]byte, 256*tsPacket)
	for at := from; at < src.Size; {
		n, err := src.R.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return endUnknown, fmt.Errorf("read %s: %w", src.Name, err)
		}
		if n == 0 {
			break
		}
		for p := buf[:n]; len(p) >= 4; p = p[min(tsPacket, len(p)):] {
			switch {
			case p[0] != 0x47:
				return endUnknown, nil // packets of another length, or damage
			case pidOf(p) != pid:
				behind = behind || len(p) >= tsPacket && p[1]&0x40 != 0 && hasMedia(p[:tsPacket])
			case len(p) < tsPacket: // the file ends within it
				if p[1]&0x40 != 0 { // the beginning of another one, of which nothing is left
					return found, nil
				}
				return endTorn, nil
			default:
				mixed, behind = mixed || behind, false
				found = endUnknown
				if filling(p) {
					found = endWhole
				}
			}
		}
		at += int64(n)
	}
	if found == endUnknown && behind && !mixed {
		found = endWhole
	}
	return found, nil
}

func pidOf(p []byte) int { return int(p[1]&0x1f)<<8 | int(p[2]) }

// filling tells whether a transport packet has bytes that only fill it up (ISO/IEC 13818-1, 2.4.3.5).
func filling(p []byte) bool {
	if p[3]&0x20 == 0 {
		return false
	}
	length := int(p[4])
	if length == 0 {
		return true
	}
	if length > tsPacket-5 {
		return false
	}
	used, flags := 1, p[5]
	if flags&0x10 != 0 {
		used += 6
	}
	if flags&0x08 != 0 {
		used += 6
	}
	if flags&0x04 != 0 {
		used++
	}
	if flags&0x03 != 0 && length > used { // private data or an extension, each with its length before it
		used += 1 + int(p[5+used])
	}
	return length > used
}

// endPackets is how many transport packets at the end of a segment Suspect looks at.
const endPackets = 128

// suspectEnd tells whether the last transport packet of any stream, among the last of the file, is not filled up as the
// end of a PES packet is.
func suspectEnd(src Source) bool {
	if src.Size < tsPacket {
		return true
	}
	rest := src.Size % tsPacket
	from := max(src.Size-rest-endPackets*tsPacket, 0)
	buf := make([]byte, src.Size-rest-from)
	if n, err := src.R.ReadAt(buf, from); n < len(buf) && err != nil {
		return true // whoever reads it says why
	}
	open := map[int]bool{}
	for p := buf; len(p) >= tsPacket; p = p[tsPacket:] {
		if p[0] != 0x47 {
			return false // packets of another length, or damage; nothing is known
		}
		if hasMedia(p[:tsPacket]) {
			open[pidOf(p)] = !filling(p)
		}
	}
	for _, is := range open {
		if is {
			return true
		}
	}
	return rest != 0
}

// hasMedia tells whether a transport packet may hold a part of a PES packet: not one of the stream's tables, which are
// filled up in another way, and not nothing.
func hasMedia(p []byte) bool {
	if pid := pidOf(p); pid < 0x20 || pid == 0x1fff || p[3]&0x10 == 0 {
		return false
	}
	if p[1]&0x40 == 0 {
		return true
	}
	at := 4
	if p[3]&0x20 != 0 {
		at += 1 + int(p[4])
	}
	return at+3 <= len(p) && p[at] == 0 && p[at+1] == 0 && p[at+2] == 1
}
