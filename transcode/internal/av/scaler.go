package av

/*
#include "native.h"
*/
import "C"

import (
	"fmt"
	"math"
)

// Rect is a part of a picture in luma samples; all four are even.
type Rect struct{ X, Y, W, H int }

// Scaler draws pictures of any size, format and colour into a part of a picture of BT.709, limited range,
// 8-bit 4:2:0 (or of RGBA). It keeps what it needs for the last kind of source; use one for each stream.
type Scaler struct {
	sws        *C.struct_SwsContext
	key        scaleKey
	matrix     [6]C.int16_t
	matrixOf   matrixKey
	outFmt     int
	resizer    *resizer // of DrawPart; nil where libswscale does it
	resizerKey scaleKey
}

// matrixKey is what a change to limited-range BT.709 starts from.
type matrixKey struct {
	from int
	full bool
}

type scaleKey struct {
	w, h, rng, matrix int
	format            PixelFormat
	to                Rect
	out               PixelFormat
}

// NewScaler gives a Scaler; it takes memory with the first picture.
func NewScaler() *Scaler {
	opened()
	return &Scaler{}
}

// Draw puts the whole of src into the rectangle to of dst. dst must be writable, in YUV420P or RGBA.
func (s *Scaler) Draw(dst, src *Frame, to Rect) error {
	m := matrixFor(src)
	fullRange := src.Color.Range == 2 || isFullRange(src.Format)
	planar := src.Format == YUV420P || src.Format == C.AV_PIX_FMT_YUVJ420P
	if planar && dst.Format == YUV420P && src.Width == to.W && src.Height == to.H {
		if m == 1 && !fullRange {
			C.rushes_copy_420(src.context(), dst.context(), C.int(to.X), C.int(to.Y))
		} else {
			s.toBT709(src, 0, 0, dst, to, matrixKey{m, fullRange})
		}
		return nil
	}
	if err := s.prepare(src, dst, to, fullRange, m); err != nil {
		return err
	}
	if r := C.rushes_scale(s.sws, src.context(), dst.context(), C.int(to.X), C.int(to.Y)); r < 0 {
		return newError("scale", fmt.Sprintf("%dx%d %v", src.Width, src.Height, src.Format), -1, r, nil)
	}
	if dst.Format == YUV420P && isYUV(src.Format) && m != 1 {
		s.toBT709(dst, to.X, to.Y, dst, to, matrixKey{from: m})
	}
	return nil
}

// Copies tells whether Draw would leave src as it is, so that src itself can take the place of a full-size dst.
func (s *Scaler) Copies(src *Frame, w, h int) bool {
	return src.Format == YUV420P && src.Color.Range != 2 && src.Width == w && src.Height == h && matrixFor(src) == 1
}

func (s *Scaler) prepare(src, dst *Frame, to Rect, fullRange bool, m int) error {
	key := scaleKey{src.Width, src.Height, int(cbool(fullRange)), m, src.Format, Rect{W: to.W, H: to.H}, dst.Format}
	if s.sws != nil && s.key == key {
		return nil
	}
	C.sws_freeContext(s.sws)
	// Between two kinds of YCbCr the matrix is done after scaling, in place: swscale would go through 16-bit RGB.
	srcMatrix, dstMatrix := m, 1
	if isYUV(src.Format) && dst.Format == YUV420P {
		srcMatrix = dstMatrix
	}
	flags := C.int(C.SWS_BICUBIC)
	if to.W*2 < src.Width {
		flags = C.SWS_AREA
	}
	s.sws = C.rushes_sws(C.int(src.Width), C.int(src.Height), C.int(src.Format), C.int(key.rng), swsMatrix(srcMatrix),
		C.int(to.W), C.int(to.H), C.int(dst.Format), cbool(dst.Format == RGBA), swsMatrix(dstMatrix), flags)
	if s.sws == nil {
		return fmt.Errorf("scale %dx%d %v to %dx%d: not possible", src.Width, src.Height, src.Format, to.W, to.H)
	}
	s.key = key
	return nil
}

// swsMatrix gives swscale's constant for an ISO/IEC 23091-2 matrix; they are the same numbers for the usual ones.
func swsMatrix(m int) C.int {
	switch m {
	case 1, 4, 5, 6, 7, 9:
		return C.int(m)
	}
	return 5
}

// matrixFor is the matrix of a picture; what is not said goes by size, as players do.
func matrixFor(f *Frame) int {
	switch f.Color.Matrix {
	case 1:
		return 1
	case 4, 5, 6:
		return 6
	case 7, 9, 10:
		return f.Color.Matrix
	}
	if f.Height >= 720 || f.Width >= 1280 {
		return 1
	}
	return 6
}

func isYUV(f PixelFormat) bool {
	d := C.av_pix_fmt_desc_get(int32(f))
	return d != nil && d.flags&C.AV_PIX_FMT_FLAG_RGB == 0 && d.nb_components >= 1
}

func isFullRange(f PixelFormat) bool {
	switch f {
	case C.AV_PIX_FMT_YUVJ420P, C.AV_PIX_FMT_YUVJ422P, C.AV_PIX_FMT_YUVJ444P, C.AV_PIX_FMT_YUVJ440P, C.AV_PIX_FMT_YUVJ411P:
		return true
	}
	return false
}

// toBT709 draws the part of src at x, y with its matrix and range changed into the rectangle to of dst, which may be src.
func (s *Scaler) toBT709(src *Frame, x, y int, dst *Frame, to Rect, from matrixKey) {
	if s.matrixOf != from {
		for i, v := range matrixCoefficients(from) {
			s.matrix[i] = C.int16_t(v)
		}
		s.matrixOf = from
	}
	C.rushes_matrix_420(src.context(), C.int(x), C.int(y), dst.context(), C.int(to.X), C.int(to.Y), C.int(to.W), C.int(to.H), &s.matrix[0], cbool(from.full))
}

// matrixCoefficients is what of Cb and Cr goes to Y, Cb and Cr when a picture changes from a matrix and range to
// limited-range BT.709, in 1/8192; the own part of Cb and Cr less one. (ITU-R BT.601-7 and BT.709-6, item 3; full
// range as in ITU-T H.273, 8.3.)
func matrixCoefficients(from matrixKey) [6]int {
	const r7, b7 = 0.2126, 0.0722
	kr, kb := 0.299, 0.114
	switch from.from {
	case 1:
		kr, kb = r7, b7
	case 7: // SMPTE 240M
		kr, kb = 0.212, 0.087
	case 9, 10: // BT.2020
		kr, kb = 0.2627, 0.0593
	}
	// R'-Y' = 2(1-Kr)·Pr and B'-Y' = 2(1-Kb)·Pb; G'-Y' follows. The new luma is a weighted sum of these.
	g := 1 - kr - kb
	yPb := b7*2*(1-kb) - (1-r7-b7)*2*(1-kb)*kb/g
	yPr := r7*2*(1-kr) - (1-r7-b7)*2*(1-kr)*kr/g
	pb, pbFromPr := (2*(1-kb)-yPb)/(2*(1-b7)), -yPr/(2*(1-b7))
	prFromPb, pr := -yPb/(2*(1-r7)), (2*(1-kr)-yPr)/(2*(1-r7))
	steps := 224.0 // of the chroma that comes in; what goes out has 224, and 219 of luma
	if from.full {
		steps = 255
	}
	luma, chroma := 219/steps, 224/steps
	var out [6]int
	for i, v := range [6]float64{yPb * luma, yPr * luma, pb*chroma - 1, pbFromPr * chroma, prFromPb * chroma, pr*chroma - 1} {
		out[i] = int(math.Round(v * 8192))
	}
	return out
}

// Fill paints a part of a YUV420P picture in one colour (limited range).
func Fill(f *Frame, r Rect, y, cb, cr uint8) {
	C.rushes_fill(f.context(), C.int(r.X), C.int(r.Y), C.int(r.W), C.int(r.H), C.int(y), C.int(cb), C.int(cr))
}

// Close frees the scaler. It may be called again.
func (s *Scaler) Close() error {
	if s == nil || s.outFmt < 0 {
		return nil
	}
	C.sws_freeContext(s.sws)
	s.resizer.close()
	s.sws, s.resizer, s.outFmt = nil, nil, -1
	closed()
	return nil
}
