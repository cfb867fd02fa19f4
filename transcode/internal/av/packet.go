package av

/*
#include "native.h"
#cgo noescape rushes_start_code
#cgo nocallback rushes_start_code
*/
import "C"

import (
	"errors"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// Packet holds one access unit as it stands in the container. Its fields are those of the packet that it
// was filled with last; changing PTS, DTS or Duration has effect on Send and Write.
type Packet struct {
	p                  *astiav.Packet
	Stream             int
	PTS, DTS, Duration int64 // ticks of the stream's time base; PTS and DTS may be NoPTS, Duration 0 = unknown
	Position           int64 // bytes into the file, or -1
	Key                bool
	Corrupt            bool // the demuxer knows that bytes are missing
	Discard            bool // needed for decoding only, not to be shown
	data               unsafe.Pointer
	size               int
	extra              unsafe.Pointer
	extraSize          int
}

// NewPacket gives an empty packet.
func NewPacket() (*Packet, error) {
	p := &Packet{p: astiav.AllocPacket()}
	if p.p == nil {
		return nil, errors.New("allocate a packet: out of memory")
	}
	opened()
	return p, nil
}

func (p *Packet) context() *C.AVPacket {
	if p == nil {
		return nil
	}
	return (*C.AVPacket)(cptr(p.p))
}

func (p *Packet) fill(c *C.rushes_packet) {
	p.Stream, p.PTS, p.DTS, p.Duration, p.Position = int(c.stream), int64(c.pts), int64(c.dts), int64(c.duration), int64(c.pos)
	p.Key, p.Corrupt, p.Discard = c.flags&C.AV_PKT_FLAG_KEY != 0, c.flags&C.AV_PKT_FLAG_CORRUPT != 0, c.flags&C.AV_PKT_FLAG_DISCARD != 0
	p.data, p.size = unsafe.Pointer(c.data), int(c.size)
	p.extra, p.extraSize = unsafe.Pointer(c.extradata), int(c.extradata_size)
}

// Data is a view of the packet's bytes.
func (p *Packet) Data() []byte {
	if p.size <= 0 {
		return nil
	}
	return unsafe.Slice((*byte)(p.data), p.size)
}

// StartCode gives where the first start code (00 00 01; ITU-T H.264, B.1.1) begins in data, or -1.
func StartCode(data []byte) int {
	return int(C.rushes_start_code((*C.uint8_t)(unsafe.SliceData(data)), C.int64_t(len(data))))
}

// NewExtradata is a copy of the codec configuration that begins to apply with this packet, nil when it stays.
func (p *Packet) NewExtradata() []byte {
	if p.extraSize <= 0 {
		return nil
	}
	return C.GoBytes(p.extra, C.int(p.extraSize))
}

// SetData makes the packet hold a copy of data, without timestamps.
func (p *Packet) SetData(data []byte) error {
	p.p.Unref()
	if e := C.av_new_packet(p.context(), C.int(len(data))); e < 0 {
		return newError("allocate", "packet", -1, e, nil)
	}
	var c C.rushes_packet
	C.rushes_packet_info(p.context(), &c)
	p.fill(&c)
	copy(p.Data(), data)
	return nil
}

// View makes the packet show data, which stays the caller's, without timestamps. Only Data sees it: the packet holds
// nothing that a decoder or a muxer could take.
func (p *Packet) View(data []byte) {
	p.p.Unref()
	*p = Packet{p: p.p, PTS: NoPTS, DTS: NoPTS, Position: -1, data: unsafe.Pointer(unsafe.SliceData(data)), size: len(data)}
}

// MoveTo gives all that p holds to dst and leaves p empty.
func (p *Packet) MoveTo(dst *Packet) {
	dst.p.Unref()
	dst.p.MoveRef(p.p)
	keep, own := dst.p, p.p
	*dst = *p
	dst.p = keep
	*p = Packet{p: own}
}

// stamp writes the fields that a caller may change back to libav's packet.
func (p *Packet) stamp() {
	c := p.context()
	c.pts, c.dts, c.duration, c.stream_index = C.int64_t(p.PTS), C.int64_t(p.DTS), C.int64_t(p.Duration), C.int(p.Stream)
	if p.Key {
		c.flags |= C.AV_PKT_FLAG_KEY
	}
}

// Close frees the packet. It may be called again.
func (p *Packet) Close() error {
	if p == nil || p.p == nil {
		return nil
	}
	p.p.Free()
	*p = Packet{}
	closed()
	return nil
}
