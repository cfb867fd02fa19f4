package av

/*
#include "resize.h"
*/
import "C"

// resizer makes 8-bit 4:2:0 pictures of one size those of another, with a triangle filter.
type resizer struct{ c *C.rushes_resizer }

// newResizer gives nil where one of the sides shrinks by more than the resizer can. plain leaves the vector
// instructions out: the results are the same.
func newResizer(w, h int, to Rect, plain bool) *resizer {
	c := C.rushes_resizer_new(C.int(w), C.int(h), C.int(to.W), C.int(to.H), cbool(plain))
	if c == nil {
		return nil
	}
	return &resizer{c}
}

// draw puts the part of src that begins at x, y into dst at the corner of to.
func (r *resizer) draw(dst *Frame, to Rect, src *Frame, x, y int) {
	C.rushes_resize(r.c, src.context(), C.int(x), C.int(y), dst.context(), C.int(to.X), C.int(to.Y))
}

func (r *resizer) close() {
	if r != nil {
		C.rushes_resizer_free(r.c)
	}
}
