package av

/*
#include "native.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// DecoderSpec says what to decode; Stream.Decoder fills one from a container.
type DecoderSpec struct {
	Name    string // what is decoded, for messages
	Stream  int    // index, for messages; -1 = none
	Codec   string // libav's codec name
	Decoder string // a certain decoder by libav's name; empty = libav's first choice

	CodecTag                       uint32
	TimeBase                       Rational
	Width, Height                  int
	SampleRate, Channels           int
	BitsPerCodedSample, BlockAlign int
	Extradata                      []byte

	Threads int // 0 = one per core, more threads mean more frames in flight
	// LowDelay gives every picture at once, for streams whose pictures are in the order of presentation.
	LowDelay bool
	Strict   bool // errors inside a frame are errors, not something to conceal
}

// Decoder gives the spec that decodes this stream.
func (s *Stream) Decoder(name string) DecoderSpec {
	return DecoderSpec{
		Name: name, Stream: s.Index, Codec: s.Codec, CodecTag: s.CodecTag, TimeBase: s.TimeBase,
		Width: s.Width, Height: s.Height, SampleRate: s.SampleRate, Channels: s.Channels,
		BitsPerCodedSample: s.BitsPerCodedSample, BlockAlign: s.BlockAlign, Extradata: s.Extradata,
	}
}

// Decoder turns packets into frames. After the last packet Send(nil), then Receive until io.EOF.
type Decoder struct {
	spec DecoderSpec
	cc   *C.AVCodecContext
}

// NewDecoder opens a decoder. An unknown codec, or one that is not built in, is an error that names it.
func NewDecoder(spec DecoderSpec) (*Decoder, error) {
	codec := findDecoder(spec)
	if codec == nil {
		return nil, &Error{Op: "decode", Name: spec.Name, Stream: spec.Stream, Code: int(C.AVERROR_DECODER_NOT_FOUND),
			Text: fmt.Sprintf("codec %q is not built in", spec.Codec)}
	}
	s := C.rushes_codec_spec{
		codec_tag: C.uint(spec.CodecTag),
		tb_num:    C.int(spec.TimeBase.Num), tb_den: C.int(spec.TimeBase.Den),
		width: C.int(spec.Width), height: C.int(spec.Height),
		sample_rate: C.int(spec.SampleRate), channels: C.int(spec.Channels),
		bits_per_coded_sample: C.int(spec.BitsPerCodedSample), block_align: C.int(spec.BlockAlign),
		threads: C.int(threads(spec.Threads)), explode: cbool(spec.Strict), low_delay: cbool(spec.LowDelay),
	}
	if len(spec.Extradata) > 0 {
		var pin runtime.Pinner
		defer pin.Unpin()
		pin.Pin(&spec.Extradata[0])
		s.extradata, s.extradata_size = (*C.uint8_t)(&spec.Extradata[0]), C.int(len(spec.Extradata))
	}
	d := &Decoder{spec: spec}
	opened()
	if r := C.rushes_open_decoder((*C.AVCodec)(cptr(codec)), &s, &d.cc); r < 0 {
		closed()
		return nil, newError("open the decoder of", spec.Name, spec.Stream, r, nil)
	}
	return d, nil
}

func findDecoder(spec DecoderSpec) *astiav.Codec {
	if spec.Decoder != "" {
		return astiav.FindDecoderByName(spec.Decoder)
	}
	id := codecID(spec.Codec)
	if id == C.AV_CODEC_ID_NONE {
		return nil
	}
	return astiav.FindDecoder(astiav.CodecID(id))
}

// codecID finds libav's number of a codec by its name, for codecs that have no decoder or encoder of the same name too.
func codecID(name string) C.enum_AVCodecID {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	if d := C.avcodec_descriptor_get_by_name(c); d != nil {
		return d.id
	}
	return C.AV_CODEC_ID_NONE
}

func threads(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// Send gives the decoder a packet; nil says that there are no more. ErrAgain: Receive first, then send it again.
func (d *Decoder) Send(p *Packet) error {
	if p != nil {
		p.stamp()
	}
	return d.code("decode", C.avcodec_send_packet(d.cc, p.context()))
}

// Receive fills f with the next frame. ErrAgain: send more. io.EOF: all frames have been given out.
func (d *Decoder) Receive(f *Frame) error {
	var c C.rushes_frame
	if r := C.rushes_receive_frame(d.cc, f.context(), &c); r < 0 {
		return d.code("decode", r)
	}
	f.fill(&c)
	return nil
}

// Flush forgets all that is inside, to begin anew at another place of the stream.
func (d *Decoder) Flush() { C.avcodec_flush_buffers(d.cc) }

func (d *Decoder) code(op string, r C.int) error {
	if r >= 0 {
		return nil
	}
	return newError(op, d.spec.Name, d.spec.Stream, r, unsafe.Pointer(d.cc))
}

// Decode sends p and hands every frame that comes of it to fn, which must not keep it. nil drains.
// A packet that libav cannot decode is reported to bad, which may end the decoding by an error of its own.
func (d *Decoder) Decode(p *Packet, f *Frame, bad func(error) error, fn func(*Frame) error) error {
	for {
		err := d.Send(p)
		again := errors.Is(err, ErrAgain)
		if err != nil && !again && !errors.Is(err, io.EOF) {
			if err := bad(err); err != nil {
				return err
			}
		}
		if err := d.receiveAll(f, bad, fn); err != nil {
			return err
		}
		if !again {
			return nil
		}
	}
}

func (d *Decoder) receiveAll(f *Frame, bad func(error) error, fn func(*Frame) error) error {
	for {
		switch err := d.Receive(f); {
		case errors.Is(err, ErrAgain), errors.Is(err, io.EOF):
			return nil
		case err != nil:
			if err := bad(err); err != nil {
				return err
			}
		default:
			if err := fn(f); err != nil {
				return err
			}
		}
	}
}

// Close frees the decoder. It may be called again.
func (d *Decoder) Close() error {
	if d == nil || d.cc == nil {
		return nil
	}
	C.avcodec_free_context(&d.cc)
	closed()
	return nil
}
