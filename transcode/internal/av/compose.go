package av

/*
#include "compose.h"
*/
import "C"

import "fmt"

// DrawPart scales a part of src into a rectangle of dst, a writable YUV420P picture, bilinearly, and changes its
// colours to BT.709 in limited range. Both rectangles are even; crop lies inside src.
func (s *Scaler) DrawPart(dst *Frame, to Rect, src *Frame, crop Rect) error {
	m := matrixFor(src)
	fullRange := src.Color.Range == 2 || isFullRange(src.Format)
	if src.Format == YUV420P && !fullRange && crop.W == to.W && crop.H == to.H {
		var part C.AVFrame
		C.rushes_crop(src.context(), &part, C.int(crop.X), C.int(crop.Y), C.int(crop.W), C.int(crop.H))
		if m == 1 {
			C.rushes_copy_420(&part, dst.context(), C.int(to.X), C.int(to.Y))
			return nil
		}
		s.toBT709(src, crop.X, crop.Y, dst, to, matrixKey{from: m})
		return nil
	}
	key := scaleKey{crop.W, crop.H, int(cbool(fullRange)), m, src.Format, Rect{W: to.W, H: to.H}, dst.Format}
	if src.Format == YUV420P && !fullRange && s.resizes(key) {
		s.resizer.draw(dst, to, src, crop.X, crop.Y)
		if m != 1 {
			s.toBT709(dst, to.X, to.Y, dst, to, matrixKey{from: m})
		}
		return nil
	}
	if s.sws == nil || s.key != key {
		C.sws_freeContext(s.sws)
		srcMatrix := m
		if isYUV(src.Format) {
			srcMatrix = 1 // done after scaling, in place
		}
		flags := C.int(C.SWS_BILINEAR)
		if to.W*3 < crop.W {
			flags = C.SWS_AREA
		}
		s.sws = C.rushes_sws(C.int(crop.W), C.int(crop.H), C.int(src.Format), C.int(key.rng), swsMatrix(srcMatrix),
			C.int(to.W), C.int(to.H), C.int(dst.Format), 0, swsMatrix(1), flags)
		if s.sws == nil {
			return fmt.Errorf("scale %dx%d %v to %dx%d: not possible", crop.W, crop.H, src.Format, to.W, to.H)
		}
		s.key = key
	}
	if r := C.rushes_scale_part(s.sws, src.context(), C.int(crop.X), C.int(crop.Y), C.int(crop.W), C.int(crop.H), dst.context(), C.int(to.X), C.int(to.Y)); r < 0 {
		return newError("scale", fmt.Sprintf("%dx%d %v", crop.W, crop.H, src.Format), -1, r, nil)
	}
	if isYUV(src.Format) && m != 1 {
		s.toBT709(dst, to.X, to.Y, dst, to, matrixKey{from: m})
	}
	return nil
}

// resizes prepares our own resizer, where it can do what is asked.
func (s *Scaler) resizes(key scaleKey) bool {
	if s.resizerKey != key {
		s.resizer.close()
		s.resizer = newResizer(key.w, key.h, key.to, false)
		s.resizerKey = key
	}
	return s.resizer != nil
}

// CopyPart copies a rectangle of src to the same place of dst, both YUV420P.
func CopyPart(dst, src *Frame, r Rect) {
	C.rushes_copy_part(src.context(), dst.context(), C.int(r.X), C.int(r.Y), C.int(r.W), C.int(r.H))
}

// Overlay is a picture with transparency, in BT.709 limited range, ready to be blended onto YUV420P.
type Overlay struct {
	W, H     int    // even
	Y, Alpha []byte // W×H each; 255 is opaque
	Cb, Cr   []byte // W/2×H/2 each
	ChromaA  []byte // W/2×H/2
}

// Blend puts an overlay onto dst at x, y (even), inside dst.
func Blend(dst *Frame, o *Overlay, x, y int) {
	if o.W == 0 || o.H == 0 {
		return
	}
	C.rushes_blend(dst.context(), C.int(x), C.int(y), C.int(o.W), C.int(o.H), (*C.uint8_t)(&o.Y[0]), (*C.uint8_t)(&o.Cb[0]), (*C.uint8_t)(&o.Cr[0]),
		(*C.uint8_t)(&o.Alpha[0]), (*C.uint8_t)(&o.ChromaA[0]))
}
