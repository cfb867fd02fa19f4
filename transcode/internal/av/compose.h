// What the compositor does with parts of pictures, all 8-bit 4:2:0; x, y, w, h are even.
#ifndef RUSHES_COMPOSE_H
#define RUSHES_COMPOSE_H

#include "native.h"

// rushes_crop makes view a picture that is a part of f; it borrows f's memory.
void rushes_crop(const AVFrame *f, AVFrame *view, int x, int y, int w, int h);
int rushes_scale_part(struct SwsContext *sws, const AVFrame *src, int sx, int sy, int sw, int sh, AVFrame *dst, int x, int y);
void rushes_copy_part(const AVFrame *src, AVFrame *dst, int x, int y, int w, int h);
// rushes_blend puts a w*h overlay onto f: y, a are w*h; u, v, ca are (w/2)*(h/2); a 255 is opaque.
void rushes_blend(AVFrame *f, int x, int y, int w, int h, const uint8_t *oy, const uint8_t *ou, const uint8_t *ov, const uint8_t *a, const uint8_t *ca);
#endif
