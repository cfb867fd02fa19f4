package av

/*
#include "native.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// Output is an open muxer of libav, for the containers that Rushes does not write itself.
type Output struct {
	name, format string
	fc           *astiav.FormatContext
	io           *ioFile
	stop         func() bool
	header       bool
}

// NewOutput opens a muxer ("webm", "matroska", "mp4", "mpegts", "flv", "ogg", …) that writes to w.
func NewOutput(ctx context.Context, w io.WriterAt, format, name string) (*Output, error) {
	fc, err := astiav.AllocOutputFormatContext(nil, format, "")
	if err != nil {
		return nil, newError("write", name+" as "+format, -1, C.int(errCode(err)), nil)
	}
	o := &Output{name: name, format: format, fc: fc}
	opened()
	if o.io, err = newIO(w, 0, true); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", name, err), o.Close())
	}
	o.stop = o.io.interruptOn(ctx)
	C.rushes_io_attach(o.io.c, o.context())
	return o, nil
}

func (o *Output) context() *C.AVFormatContext { return (*C.AVFormatContext)(cptr(o.fc)) }

// AddEncoder gives the muxer a stream for what e encodes, and its index.
func (o *Output) AddEncoder(e *Encoder) (int, error) {
	r := C.rushes_encoder_stream(o.context(), e.cc)
	if r < 0 {
		return 0, newError("add a stream to", o.name, -1, r, nil)
	}
	return int(r), nil
}

// AddStream gives the muxer a stream for packets that are copied, and its index. Of s, Kind, Codec, TimeBase, size or
// rate and channels, and Extradata count.
func (o *Output) AddStream(s *Stream) (int, error) {
	c := C.rushes_codec_spec{tb_num: C.int(s.TimeBase.Num), tb_den: C.int(s.TimeBase.Den), width: C.int(s.Width), height: C.int(s.Height),
		sample_rate: C.int(s.SampleRate), channels: C.int(s.Channels)}
	if len(s.Extradata) > 0 {
		var pin runtime.Pinner
		defer pin.Unpin()
		pin.Pin(&s.Extradata[0])
		c.extradata, c.extradata_size = (*C.uint8_t)(&s.Extradata[0]), C.int(len(s.Extradata))
	}
	r := C.rushes_add_stream(o.context(), codecID(s.Codec), cbool(s.Kind == KindVideo), &c)
	if r < 0 {
		return 0, newError("add a stream to", o.name, -1, r, nil)
	}
	return int(r), nil
}

// Header writes the beginning of the file. options are the muxer's own.
func (o *Output) Header(options map[string]string) error {
	d := astiav.NewDictionary()
	defer d.Free()
	for k, v := range options {
		if err := d.Set(k, v, 0); err != nil {
			return fmt.Errorf("write %s: option %s: %w", o.name, k, err)
		}
	}
	if err := o.fc.WriteHeader(d); err != nil {
		return o.fail(err)
	}
	o.header = true
	return nil
}

// Write interleaves p, whose timestamps are in ticks of tb, into stream. p is empty afterwards.
func (o *Output) Write(stream int, p *Packet, tb Rational) error {
	p.Stream = stream
	p.stamp()
	st := o.fc.Streams()[stream].TimeBase()
	C.av_packet_rescale_ts(p.context(), C.AVRational{C.int(tb.Num), C.int(tb.Den)}, C.AVRational{C.int(st.Num()), C.int(st.Den())})
	if err := o.fc.WriteInterleavedFrame(p.p); err != nil {
		return o.fail(err)
	}
	return nil
}

// Finish writes what is still held and the end of the file.
func (o *Output) Finish() error {
	if err := o.fc.WriteTrailer(); err != nil {
		return o.fail(err)
	}
	o.header = false
	C.avio_flush(o.context().pb)
	if cause := o.io.failed(); cause != nil {
		return fmt.Errorf("write %s: %w", o.name, cause)
	}
	return nil
}

func (o *Output) fail(e error) error {
	err := newError("write", o.name, -1, C.int(errCode(e)), unsafe.Pointer(o.context()))
	if cause := o.io.failed(); cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// Close frees the muxer without finishing the file; the writer stays open. It may be called again.
func (o *Output) Close() error {
	if o == nil || o.fc == nil {
		return nil
	}
	if o.stop != nil {
		o.stop()
	}
	o.fc.Free()
	o.fc = nil
	if o.io != nil {
		o.io.close()
	}
	closed()
	return nil
}
