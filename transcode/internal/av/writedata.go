package av

/*
#include "native.h"

// rushes_write_data writes one unit without taking a copy of it; the muxer makes its own where it keeps any.
static int rushes_write_data(AVFormatContext *fc, AVPacket *pkt, int stream, uint8_t *data, int size,
                             int64_t ts, int64_t duration, int key, AVRational tb) {
    AVRational own = fc->streams[stream]->time_base;
    pkt->data = data;
    pkt->size = size;
    pkt->stream_index = stream;
    pkt->flags = key ? AV_PKT_FLAG_KEY : 0;
    pkt->pts = pkt->dts = av_rescale_q(ts, tb, own);
    pkt->duration = av_rescale_q(duration, tb, own);
    pkt->pos = -1;
    int r = av_write_frame(fc, pkt);
    pkt->data = NULL;
    pkt->size = 0;
    return r;
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// WriteData writes a unit of the only stream of a file, in the order of its timestamps, which are ticks of tb. It asks
// less than Write with a Packet does: nothing waits to be interleaved, and data is not copied. p must be empty and
// stays so; data is the caller's again when the call returns, and must not be empty.
func (o *Output) WriteData(p *Packet, data []byte, ts, duration int64, key bool, tb Rational) error {
	r := C.rushes_write_data(o.context(), p.context(), 0, (*C.uint8_t)(unsafe.SliceData(data)), C.int(len(data)),
		C.int64_t(ts), C.int64_t(duration), cbool(key), C.AVRational{num: C.int(tb.Num), den: C.int(tb.Den)})
	if r < 0 {
		return o.failCode(r)
	}
	return nil
}

func (o *Output) failCode(code C.int) error {
	err := newError("write", o.name, -1, code, unsafe.Pointer(o.context()))
	if cause := o.io.failed(); cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
