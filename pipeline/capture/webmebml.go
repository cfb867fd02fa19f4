package capture

import "math/bits"

// The ids of the elements that are read or passed over (RFC 9559, section 5; RFC 8794, section 11).
const (
	idEBML           = 0x1A45DFA3
	idSegment        = 0x18538067
	idInfo           = 0x1549A966
	idTracks         = 0x1654AE6B
	idCluster        = 0x1F43B675
	idCues           = 0x1C53BB6B
	idSeekHead       = 0x114D9B74
	idTags           = 0x1254C367
	idChapters       = 0x1043A770
	idAttachments    = 0x1941A469
	idVoid           = 0xEC
	idCRC            = 0xBF
	idTimestamp      = 0xE7
	idPosition       = 0xA7
	idPrevSize       = 0xAB
	idSimpleBlock    = 0xA3
	idBlockGroup     = 0xA0
	idBlock          = 0xA1
	idReferenceBlock = 0xFB
	idBlockDuration  = 0x9B

	idTimestampScale      = 0x2AD7B1
	idTrackEntry          = 0xAE
	idTrackNumber         = 0xD7
	idTrackType           = 0x83
	idCodecID             = 0x86
	idCodecPrivate        = 0x63A2
	idDefaultDuration     = 0x23E383
	idContentEncodings    = 0x6D80
	idContentEncoding     = 0x6240
	idContentCompression  = 0x5034
	idContentCompAlgo     = 0x4254
	idContentCompSettings = 0x4255
	idContentEncryption   = 0x5035
)

const (
	// ebmlHeadBytes is the longest head of an element: id and size.
	ebmlHeadBytes = 12
	// ebmlUnknown stands for the size of an element that ends where the next of its level begins.
	ebmlUnknown = -1
)

// ebmlVint reads a variable length number without its marker (RFC 8794, section 4). n is 0 when b does not hold one.
func ebmlVint(b []byte) (v uint64, n int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	n = bits.LeadingZeros8(b[0]) + 1
	if len(b) < n {
		return 0, 0
	}
	v = uint64(b[0]) & (1<<(8-n) - 1)
	for _, x := range b[1:n] {
		v = v<<8 | uint64(x)
	}
	return v, n
}

// ebmlHead reads an element's id and size. head is 0 when b does not hold them. A size of all ones is ebmlUnknown.
func ebmlHead(b []byte) (id uint32, size int64, head int) {
	if len(b) == 0 || b[0] < 0x10 {
		return 0, 0, 0
	}
	n := bits.LeadingZeros8(b[0]) + 1
	if len(b) < n {
		return 0, 0, 0
	}
	for _, x := range b[:n] {
		id = id<<8 | uint32(x)
	}
	v, width := ebmlVint(b[n:])
	if width == 0 {
		return 0, 0, 0
	}
	if v == 1<<(7*width)-1 {
		return id, ebmlUnknown, n + width
	}
	return id, int64(v), n + width
}

// ebmlChildren calls visit for every child that lies in the body whole.
func ebmlChildren(body []byte, visit func(id uint32, b []byte)) {
	for {
		id, size, head := ebmlHead(body)
		if head == 0 || size < 0 || size > int64(len(body)-head) {
			return
		}
		visit(id, body[head:head+int(size)])
		body = body[head+int(size):]
	}
}

// ebmlUint reads an unsigned integer of up to 8 bytes.
func ebmlUint(b []byte) (v uint64) {
	if len(b) > 8 {
		return 0
	}
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}
