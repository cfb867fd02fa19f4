package av

/*
#include "native.h"
*/
import "C"

import "fmt"

// Resampler turns sound of any rate, format and channel layout into planar float of one rate and one or two
// channels. A change of the input in mid-stream is followed.
type Resampler struct {
	rate, channels           int
	swr                      *C.SwrContext
	inRate, inCh, inFmt      int
	left, right              []float32
	compensated, closedState bool
}

// NewResampler gives a Resampler to a rate in Hz and a number of channels (1 or 2).
func NewResampler(rate, channels int) *Resampler {
	opened()
	return &Resampler{rate: rate, channels: channels}
}

// Run converts one frame and gives the samples by channel; nil gets out what is still inside. The slices
// are good until the next call.
func (r *Resampler) Run(f *Frame) ([][]float32, error) {
	if f != nil && (r.swr == nil || r.inRate != f.SampleRate || r.inCh != f.Channels || r.inFmt != int(f.Format)) {
		C.swr_free(&r.swr)
		if e := C.rushes_swr_open(&r.swr, C.int(f.SampleRate), C.int(f.Format), f.context(), C.int(r.rate), C.int(r.channels)); e < 0 {
			return nil, newError("resample", fmt.Sprintf("%d Hz, %d channels", f.SampleRate, f.Channels), -1, e, nil)
		}
		r.inRate, r.inCh, r.inFmt = f.SampleRate, f.Channels, int(f.Format)
	}
	if r.swr == nil {
		return r.slices(0), nil
	}
	in := C.int(0)
	if f != nil {
		in = C.int(f.Samples)
	}
	room := int(C.swr_get_out_samples(r.swr, in)) + 64
	if len(r.left) < room {
		r.left, r.right = make([]float32, room*2), make([]float32, room*2)
	}
	n := C.rushes_swr_run(r.swr, f.context(), (*C.float)(&r.left[0]), (*C.float)(&r.right[0]), C.int(len(r.left)))
	if n < 0 {
		return nil, newError("resample", "sound", -1, n, nil)
	}
	return r.slices(int(n)), nil
}

func (r *Resampler) slices(n int) [][]float32 {
	if r.channels == 1 {
		return [][]float32{r.left[:n]}
	}
	return [][]float32{r.left[:n], r.right[:n]}
}

// Compensate spreads delta more (or, negative, fewer) output samples over the next distance output samples.
func (r *Resampler) Compensate(delta, distance int) error {
	if r.swr == nil {
		return nil
	}
	if e := C.swr_set_compensation(r.swr, C.int(delta), C.int(distance)); e < 0 {
		return newError("compensate", "sound", -1, e, nil)
	}
	return nil
}

// Close frees the resampler. It may be called again.
func (r *Resampler) Close() error {
	if r == nil || r.closedState {
		return nil
	}
	C.swr_free(&r.swr)
	r.closedState = true
	closed()
	return nil
}
