package av

/*
#include "native.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// formats are the demuxers that may answer, by libav's names. None of them follows a name to another file.
const formats = "aac,aiff,flac,flv,h264,hevc,ivf,live_flv,matroska,mov,mp3,mpegts,obu,ogg,wav"

// Stream describes one stream of an Input, as the container and the first packets tell it.
type Stream struct {
	Index     int
	Kind      Kind
	Codec     string // libav's name: "h264", "vp8", "aac", "opus", …
	CodecTag  uint32
	Profile   int
	TimeBase  Rational // seconds per tick of every timestamp of this stream
	Start     int64    // ticks, or NoPTS
	Duration  int64    // ticks, or NoPTS
	FrameRate Rational // 0/0 or 0/1 when unknown
	Delay     int      // frames by which decoding order may differ from presentation order

	Width, Height int
	SAR           Rational // 0/1 = unknown
	PixelFormat   PixelFormat
	Color         Color
	Rotation      *[9]int32 // display matrix, 16.16 and 2.30 fixed point as in MP4's tkhd; nil = identity

	SampleRate, Channels, FrameSize int
	InitialPadding                  int // samples of encoder delay, of which the container told
	BitsPerCodedSample, BlockAlign  int

	Extradata []byte // codec configuration, a copy
	Supported bool   // a decoder for it is built in
}

// Input is an open demuxer. It serves one goroutine at a time.
type Input struct {
	name    string
	fc      *astiav.FormatContext
	io      *ioFile
	stop    func() bool
	streams []Stream
}

// OpenInput finds out what src is from its bytes, never from its name, and reads as far as is needed to
// describe its streams. The end of ctx interrupts it and every later read.
func OpenInput(ctx context.Context, src Source) (in *Input, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in = &Input{name: src.Name}
	opened()
	defer func() {
		if err != nil {
			err = errors.Join(err, in.Close())
			in = nil
		}
	}()
	if in.io, err = newIO(src.R, src.Size, false); err != nil {
		return in, fmt.Errorf("open %s: %w", src.Name, err)
	}
	in.stop = in.io.interruptOn(ctx)
	in.fc = astiav.AllocFormatContext()
	if in.fc == nil {
		return in, fmt.Errorf("open %s: out of memory", src.Name)
	}
	C.rushes_io_attach(in.io.c, in.context())
	if src.Forward {
		in.context().flags |= C.AVFMT_FLAG_IGNIDX
	}
	opts := astiav.NewDictionary()
	defer opts.Free()
	for k, v := range map[string]string{"format_whitelist": formats, "protocol_whitelist": "none", "probesize": "8000000", "analyzeduration": "15000000"} {
		if err := opts.Set(k, v, 0); err != nil {
			return in, fmt.Errorf("open %s: option %s: %w", src.Name, k, err)
		}
	}
	var format *astiav.InputFormat
	if src.PES {
		if format, err = in.plainPES(opts); err != nil {
			return in, err
		}
	}
	obj := unsafe.Pointer(in.context())
	if e := in.fc.OpenInput("", format, opts); e != nil {
		in.fc = nil // avformat_open_input has freed it
		return in, in.fail(ctx, "open", -1, e, obj)
	}
	if !src.PES {
		if e := in.fc.FindStreamInfo(nil); e != nil {
			return in, in.fail(ctx, "read the streams of", -1, e, obj)
		}
	}
	// libav makes do with what it has when reading ends early, whatever ended it.
	if ctx.Err() != nil || in.io.failed() != nil {
		return in, in.fail(ctx, "read the streams of", -1, astiav.ErrExit, obj)
	}
	return in, in.describe()
}

// plainPES keeps libav from changing or guessing anything of a transport stream.
func (in *Input) plainPES(opts *astiav.Dictionary) (*astiav.InputFormat, error) {
	in.context().flags |= C.AVFMT_FLAG_NOPARSE | C.AVFMT_FLAG_NOFILLIN
	for k, v := range map[string]string{"correct_ts_overflow": "0", "probesize": "1000000"} {
		if err := opts.Set(k, v, 0); err != nil {
			return nil, fmt.Errorf("open %s: option %s: %w", in.name, k, err)
		}
	}
	format := astiav.FindInputFormat("mpegts")
	if format == nil {
		return nil, fmt.Errorf("open %s: MPEG-TS is not built in", in.name)
	}
	return format, nil
}

func (in *Input) context() *C.AVFormatContext { return (*C.AVFormatContext)(cptr(in.fc)) }

// fail puts together what ctx, the operating system and libav say of a failure.
func (in *Input) fail(ctx context.Context, op string, stream int, e error, obj unsafe.Pointer) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, in.name, err)
	}
	code := astiav.ErrUnknown
	errors.As(e, &code)
	err := newError(op, in.name, stream, C.int(code), obj)
	if cause := in.io.failed(); cause != nil {
		if e := (*Error)(nil); errors.As(err, &e) {
			e.machine = true
		}
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

func (in *Input) describe() error {
	n := in.fc.NbStreams()
	in.streams = make([]Stream, n)
	for i := range n {
		var c C.rushes_stream
		if r := C.rushes_stream_info(in.context(), C.int(i), &c); r < 0 {
			return newError("describe", in.name, i, r, nil)
		}
		in.streams[i] = streamFrom(i, &c)
	}
	return nil
}

func streamFrom(i int, c *C.rushes_stream) Stream {
	s := Stream{
		Index: i, Codec: C.GoString(c.codec), CodecTag: uint32(c.codec_tag), Profile: int(c.profile),
		TimeBase: Rational{int(c.tb_num), int(c.tb_den)}, FrameRate: Rational{int(c.fr_num), int(c.fr_den)},
		Start: int64(c.start), Duration: int64(c.duration), Delay: int(c.delay),
		Width: int(c.width), Height: int(c.height), SAR: Rational{int(c.sar_num), int(c.sar_den)},
		Color:      Color{Primaries: int(c.primaries), Transfer: int(c.transfer), Matrix: int(c.matrix), Range: int(c._range)},
		SampleRate: int(c.sample_rate), Channels: int(c.channels), FrameSize: int(c.frame_size),
		InitialPadding: int(c.initial_padding), BitsPerCodedSample: int(c.bits_per_coded_sample), BlockAlign: int(c.block_align),
		Supported: c.supported != 0,
	}
	switch {
	case c.kind == C.AVMEDIA_TYPE_VIDEO && c.attached_pic == 0:
		s.Kind, s.PixelFormat = KindVideo, PixelFormat(c.format)
	case c.kind == C.AVMEDIA_TYPE_AUDIO:
		s.Kind = KindAudio
	}
	if c.extradata_size > 0 {
		s.Extradata = C.GoBytes(unsafe.Pointer(c.extradata), c.extradata_size)
	}
	if c.has_rotation != 0 {
		m := [9]int32{}
		for k := range m {
			m[k] = int32(c.rotation[k])
		}
		s.Rotation = &m
	}
	return s
}

// Name is the name that the Source had.
func (in *Input) Name() string { return in.name }

// Format is libav's name of the container, such as "matroska,webm".
func (in *Input) Format() string { return in.fc.InputFormat().Name() }

// Streams describes the streams as they were found at opening. Some formats (MPEG-TS, FLV) may show more later: see Refresh.
func (in *Input) Streams() []Stream { return in.streams }

// Refresh describes the streams again, for formats in which a stream may appear after the beginning.
func (in *Input) Refresh() ([]Stream, error) {
	if in.fc.NbStreams() == len(in.streams) {
		return in.streams, nil
	}
	err := in.describe()
	return in.streams, err
}

// ReadPacket fills p with the next packet of any stream, in the order of the file. It gives io.EOF at
// the end, ctx's error when that has ended.
func (in *Input) ReadPacket(ctx context.Context, p *Packet) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read %s: %w", in.name, err)
	}
	r := C.rushes_read(in.io.c, in.context(), p.context())
	if r == C.AVERROR_EOF && in.io.failed() == nil && ctx.Err() == nil {
		return newError("read", in.name, -1, r, nil)
	}
	if r < 0 {
		return in.fail(ctx, "read", -1, astiav.Error(r), unsafe.Pointer(in.context()))
	}
	p.fill(&in.io.c.packet)
	return nil
}

// Position is how many bytes of the source have been read, for progress.
func (in *Input) Position() int64 { return int64(in.io.c.pos) }

// Seek goes to the last key frame of a stream at or before ts (ticks of that stream).
func (in *Input) Seek(ctx context.Context, stream int, ts int64) error {
	if e := in.fc.SeekFrame(stream, ts, astiav.NewSeekFlags(astiav.SeekFlagBackward)); e != nil {
		return in.fail(ctx, "seek in", stream, e, unsafe.Pointer(in.context()))
	}
	return nil
}

// Close frees the demuxer. The Source stays open. It may be called again.
func (in *Input) Close() error {
	if in == nil || in.io == nil && in.fc == nil && in.stop == nil {
		return nil
	}
	if in.stop != nil {
		in.stop()
		in.stop = nil
	}
	if in.fc != nil {
		in.fc.CloseInput()
		in.fc = nil
	}
	if in.io != nil {
		in.io.close()
		in.io = nil
	}
	closed()
	return nil
}
