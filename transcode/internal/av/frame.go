package av

/*
#include "native.h"
*/
import "C"

import (
	"errors"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// PixelFormat is libav's number of a pixel format.
type PixelFormat int

// The pixel formats that Rushes makes itself; others come out of decoders and go through a Scaler.
const (
	YUV420P PixelFormat = C.AV_PIX_FMT_YUV420P
	RGBA    PixelFormat = C.AV_PIX_FMT_RGBA
)

// String gives libav's name, such as "yuv420p".
func (f PixelFormat) String() string { return astiav.PixelFormat(f).String() }

// Color holds ISO/IEC 23091-2 code points; 2 is unspecified. Range: 0 unknown, 1 limited, 2 full.
type Color struct{ Primaries, Transfer, Matrix, Range int }

// BT709 gives the code points of BT.709 in limited range, what Rushes writes.
func BT709() Color { return Color{Primaries: 1, Transfer: 1, Matrix: 1, Range: 1} }

// Frame holds one picture or one run of sound samples. Its fields are those of what it was filled with last.
type Frame struct {
	f        *astiav.Frame
	PTS      int64 // ticks of the decoder's time base, or NoPTS
	Duration int64 // ticks, 0 = unknown
	Key      bool
	Broken   bool // decoded from damaged data

	Width, Height int
	Format        PixelFormat
	SAR           Rational
	Color         Color

	SampleRate, Samples, Channels int

	planes  [4]unsafe.Pointer
	strides [4]int
}

// NewFrame gives an empty frame.
func NewFrame() (*Frame, error) {
	f := &Frame{f: astiav.AllocFrame()}
	if f.f == nil {
		return nil, errors.New("allocate a frame: out of memory")
	}
	opened()
	return f, nil
}

func (f *Frame) context() *C.AVFrame {
	if f == nil {
		return nil
	}
	return (*C.AVFrame)(cptr(f.f))
}

func (f *Frame) fill(c *C.rushes_frame) {
	f.PTS, f.Duration, f.Key, f.Broken = int64(c.pts), int64(c.duration), c.key != 0, c.broken != 0
	f.Width, f.Height, f.Format = int(c.width), int(c.height), PixelFormat(c.format)
	f.SAR = Rational{int(c.sar_num), int(c.sar_den)}
	f.Color = Color{int(c.primaries), int(c.transfer), int(c.matrix), int(c._range)}
	f.SampleRate, f.Samples, f.Channels = int(c.sample_rate), int(c.samples), int(c.channels)
	for i := range f.planes {
		f.planes[i], f.strides[i] = unsafe.Pointer(c.data[i]), int(c.stride[i])
	}
}

func (f *Frame) refill() {
	var c C.rushes_frame
	C.rushes_frame_info(f.context(), &c)
	pts, dur := f.PTS, f.Duration
	f.fill(&c)
	f.PTS, f.Duration = pts, dur
}

// AllocPicture makes the frame hold a picture of its own, contents undefined.
func (f *Frame) AllocPicture(width, height int, format PixelFormat) error {
	if r := C.rushes_alloc_picture(f.context(), C.int(width), C.int(height), C.int(format)); r < 0 {
		return newError("allocate", "picture", -1, r, nil)
	}
	f.refill()
	return nil
}

// Writable makes sure that nobody else holds the same memory, by a copy when somebody does.
func (f *Frame) Writable() error {
	if r := C.av_frame_make_writable(f.context()); r < 0 {
		return newError("copy", "picture", -1, r, nil)
	}
	f.refill()
	return nil
}

// SetSound makes the frame hold a copy of planar float samples, one slice per channel, all of one length.
// The planes of the encoder's sample format must be float (FLTP).
func (f *Frame) SetSound(rate int, channels [][]float32) error {
	n := len(channels[0])
	if r := C.rushes_alloc_sound(f.context(), C.AV_SAMPLE_FMT_FLTP, C.int(rate), C.int(len(channels)), C.int(n)); r < 0 {
		return newError("allocate", "sound", -1, r, nil)
	}
	f.refill()
	for i, ch := range channels {
		copy(unsafe.Slice((*float32)(f.planes[i]), n), ch)
	}
	return nil
}

// SetSound16 is SetSound for interleaved 16-bit samples, for encoders that take no other (FLAC, Opus, PCM).
func (f *Frame) SetSound16(rate, channels int, samples []int16) error {
	n := len(samples) / channels
	if r := C.rushes_alloc_sound(f.context(), C.AV_SAMPLE_FMT_S16, C.int(rate), C.int(channels), C.int(n)); r < 0 {
		return newError("allocate", "sound", -1, r, nil)
	}
	f.refill()
	copy(unsafe.Slice((*int16)(f.planes[0]), n*channels), samples)
	return nil
}

// Plane is a view of one plane of a picture of 8-bit samples and the bytes from line to line.
// rows is the number of lines of that plane. A negative stride (a picture stored upside down) gives nil.
func (f *Frame) Plane(i, rows int) ([]byte, int) {
	if f.planes[i] == nil || f.strides[i] <= 0 {
		return nil, 0
	}
	return unsafe.Slice((*byte)(f.planes[i]), f.strides[i]*rows), f.strides[i]
}

// MoveTo gives all that f holds to dst and leaves f empty.
func (f *Frame) MoveTo(dst *Frame) {
	dst.f.Unref()
	dst.f.MoveRef(f.f)
	keep, own := dst.f, f.f
	*dst = *f
	dst.f = keep
	*f = Frame{f: own}
}

// Share makes dst hold the same picture or sound as f, without a copy of its bytes.
func (f *Frame) Share(dst *Frame) error {
	dst.f.Unref()
	if err := dst.f.Ref(f.f); err != nil {
		return newError("share", "frame", -1, C.int(errCode(err)), nil)
	}
	keep := dst.f
	*dst = *f
	dst.f = keep
	return nil
}

func errCode(err error) int {
	code := astiav.ErrUnknown
	errors.As(err, &code)
	return int(code)
}

// Close frees the frame. It may be called again.
func (f *Frame) Close() error {
	if f == nil || f.f == nil {
		return nil
	}
	f.f.Free()
	*f = Frame{}
	closed()
	return nil
}
