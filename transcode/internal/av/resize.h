// Resizing of 8-bit 4:2:0 pictures with a triangle filter, which is what libswscale calls bilinear. libswscale filters
// every source line first and reads with gathers; a compositor that makes everything smaller does a third of the work
// by going down before it goes across.
#ifndef RUSHES_RESIZE_H
#define RUSHES_RESIZE_H

#include "native.h"

// The most that a picture can be made smaller by: what one shuffle can reach.
enum { MOST_SHRINK = 4 };

typedef struct rushes_resizer rushes_resizer;

// rushes_resizer_new prepares for sw*sh luma samples to dw*dh, which are even. NULL: out of memory or out of reach.
// plain leaves the vector instructions out; the results are the same.
rushes_resizer *rushes_resizer_new(int sw, int sh, int dw, int dh, int plain);
void rushes_resizer_free(rushes_resizer *r);
// rushes_resize draws the part of src that begins at sx, sy (even) at x, y (even) of dst.
void rushes_resize(rushes_resizer *r, const AVFrame *src, int sx, int sy, AVFrame *dst, int x, int y);
#endif
