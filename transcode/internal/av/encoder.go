package av

/*
#include "native.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// SampleFormat is the form of sound samples that an encoder takes.
type SampleFormat int

// The sample formats that Frame can be filled with.
const (
	FloatPlanar SampleFormat = C.AV_SAMPLE_FMT_FLTP
	Int16       SampleFormat = C.AV_SAMPLE_FMT_S16
)

// EncoderSpec says what to encode and how. Video has Width, audio has SampleRate.
type EncoderSpec struct {
	Encoder  string   // libav's name of the encoder: "libx264", "aac", …
	TimeBase Rational // seconds per tick of the frames' PTS

	Width, Height int
	FrameRate     Rational // about, for rate control; times are in the frames
	SAR           Rational
	Color         Color
	GOP           int // frames between key frames at most; 0 = the encoder's default

	SampleRate, Channels int
	SampleFormat         SampleFormat

	BitRate      int64
	Threads      int               // 0 = the encoder's own choice
	GlobalHeader bool              // configuration in Extradata, not in the packets
	Options      map[string]string // the encoder's own: "preset", "crf", …
}

// Encoder turns frames into packets. After the last frame Send(nil), then Receive until io.EOF.
type Encoder struct {
	spec EncoderSpec
	cc   *C.AVCodecContext
}

// NewEncoder opens an encoder. An option that it does not know is an error.
func NewEncoder(spec EncoderSpec) (*Encoder, error) {
	codec := astiav.FindEncoderByName(spec.Encoder)
	if codec == nil {
		return nil, &Error{Op: "encode", Name: spec.Encoder, Stream: -1, Code: int(C.AVERROR_ENCODER_NOT_FOUND), Text: "encoder is not built in"}
	}
	opts := astiav.NewDictionary()
	defer opts.Free()
	for k, v := range spec.Options {
		if err := opts.Set(k, v, 0); err != nil {
			return nil, fmt.Errorf("encoder %s: option %s: %w", spec.Encoder, k, err)
		}
	}
	format := C.int(YUV420P)
	if spec.Width == 0 {
		format = C.int(spec.SampleFormat)
	}
	s := C.rushes_codec_spec{
		tb_num: C.int(spec.TimeBase.Num), tb_den: C.int(spec.TimeBase.Den),
		fr_num: C.int(spec.FrameRate.Num), fr_den: C.int(spec.FrameRate.Den),
		sar_num: C.int(spec.SAR.Num), sar_den: C.int(spec.SAR.Den),
		width: C.int(spec.Width), height: C.int(spec.Height), format: format,
		primaries: C.int(spec.Color.Primaries), transfer: C.int(spec.Color.Transfer), matrix: C.int(spec.Color.Matrix), _range: C.int(spec.Color.Range),
		sample_rate: C.int(spec.SampleRate), channels: C.int(spec.Channels), bit_rate: C.int64_t(spec.BitRate),
		threads: C.int(spec.Threads), global_header: cbool(spec.GlobalHeader), gop: C.int(spec.GOP),
	}
	e := &Encoder{spec: spec}
	opened()
	if r := C.rushes_open_encoder((*C.AVCodec)(cptr(codec)), &s, (**C.AVDictionary)(unsafe.Pointer(opts)), &e.cc); r < 0 {
		closed()
		return nil, newError("open the encoder", spec.Encoder, -1, r, nil)
	}
	if left := opts.Get("", nil, astiav.NewDictionaryFlags(astiav.DictionaryFlagIgnoreSuffix)); left != nil {
		name := left.Key()
		return nil, errors.Join(fmt.Errorf("encoder %s knows no option %q", spec.Encoder, name), e.Close())
	}
	return e, nil
}

// Extradata is a copy of the codec configuration: SPS and PPS in Annex B form, AudioSpecificConfig, OpusHead, ….
func (e *Encoder) Extradata() []byte {
	return C.GoBytes(unsafe.Pointer(e.cc.extradata), e.cc.extradata_size)
}

// FrameSize is how many samples each frame of sound must hold but for the last; 0 = any number.
func (e *Encoder) FrameSize() int { return int(e.cc.frame_size) }

// InitialPadding is how many samples of delay the encoder puts before the first one.
func (e *Encoder) InitialPadding() int { return int(e.cc.initial_padding) }

// Send gives the encoder a frame with its PTS; nil says that there are no more. With key set, a picture
// becomes an IDR frame.
func (e *Encoder) Send(f *Frame, key bool) error {
	if f != nil {
		c := f.context()
		c.pts, c.duration = C.int64_t(f.PTS), C.int64_t(f.Duration)
		c.pict_type = C.AV_PICTURE_TYPE_NONE
		if key {
			c.pict_type = C.AV_PICTURE_TYPE_I
		}
		if e.spec.Width > 0 {
			c.color_range, c.colorspace = C.enum_AVColorRange(e.spec.Color.Range), C.enum_AVColorSpace(e.spec.Color.Matrix)
			c.color_primaries, c.color_trc = C.enum_AVColorPrimaries(e.spec.Color.Primaries), C.enum_AVColorTransferCharacteristic(e.spec.Color.Transfer)
		}
	}
	return e.code(C.avcodec_send_frame(e.cc, f.context()))
}

// Receive fills p with the next packet, timestamps in the encoder's time base. ErrAgain: send more. io.EOF: that was all.
func (e *Encoder) Receive(p *Packet) error {
	var c C.rushes_packet
	if r := C.rushes_receive_packet(e.cc, p.context(), &c); r < 0 {
		return e.code(r)
	}
	p.fill(&c)
	return nil
}

func (e *Encoder) code(r C.int) error {
	if r >= 0 {
		return nil
	}
	return newError("encode", e.spec.Encoder, -1, r, unsafe.Pointer(e.cc))
}

// Encode sends f and hands every packet that comes of it to fn, which must not keep it. nil drains.
func (e *Encoder) Encode(f *Frame, key bool, p *Packet, fn func(*Packet) error) error {
	for {
		err := e.Send(f, key)
		again := errors.Is(err, ErrAgain)
		if err != nil && !again {
			return err
		}
		for {
			err := e.Receive(p)
			if errors.Is(err, ErrAgain) || errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if err := fn(p); err != nil {
				return err
			}
		}
		if !again {
			return nil
		}
	}
}

// Close frees the encoder. It may be called again.
func (e *Encoder) Close() error {
	if e == nil || e.cc == nil {
		return nil
	}
	C.avcodec_free_context(&e.cc)
	closed()
	return nil
}
