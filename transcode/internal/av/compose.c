#include "compose.h"

#include <libavutil/imgutils.h>

void rushes_crop(const AVFrame *f, AVFrame *view, int x, int y, int w, int h) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    int planar = d->flags & AV_PIX_FMT_FLAG_PLANAR;
    *view = *f;
    for (int i = 0; i < 4 && f->data[i]; i++) {
        int cx = (i == 1 || i == 2) ? x >> d->log2_chroma_w : x, cy = (i == 1 || i == 2) ? y >> d->log2_chroma_h : y;
        int bytes = planar ? (d->comp[0].depth + 7) / 8 : d->comp[0].step;
        view->data[i] = f->data[i] + (int64_t)cy * f->linesize[i] + cx * bytes;
    }
    view->width = w;
    view->height = h;
}

int rushes_scale_part(struct SwsContext *sws, const AVFrame *src, int sx, int sy, int sw, int sh, AVFrame *dst, int x, int y) {
    AVFrame part, to;
    rushes_crop(src, &part, sx, sy, sw, sh);
    rushes_crop(dst, &to, x, y, dst->width - x, dst->height - y);
    return sws_scale(sws, (const uint8_t *const *)part.data, part.linesize, 0, sh, to.data, to.linesize);
}

void rushes_copy_part(const AVFrame *src, AVFrame *dst, int x, int y, int w, int h) {
    for (int i = 0; i < 3; i++) {
        int s = i ? 1 : 0;
        int64_t so = (int64_t)(y >> s) * src->linesize[i] + (x >> s), to = (int64_t)(y >> s) * dst->linesize[i] + (x >> s);
        av_image_copy_plane(dst->data[i] + to, dst->linesize[i], src->data[i] + so, src->linesize[i], w >> s, h >> s);
    }
}

__attribute__((optimize("O3"))) static void blend_row(uint8_t *restrict d, const uint8_t *restrict s, const uint8_t *restrict a, int n) {
    for (int i = 0; i < n; i++) {
        unsigned v = d[i] * (255 - a[i]) + s[i] * a[i] + 128;
        d[i] = (v + (v >> 8)) >> 8;
    }
}

void rushes_blend(AVFrame *f, int x, int y, int w, int h, const uint8_t *oy, const uint8_t *ou, const uint8_t *ov, const uint8_t *a, const uint8_t *ca) {
    for (int r = 0; r < h; r++) blend_row(f->data[0] + (int64_t)(y + r) * f->linesize[0] + x, oy + r * w, a + r * w, w);
    int cw = w / 2;
    for (int r = 0; r < h / 2; r++) {
        int64_t off = (int64_t)(y / 2 + r) * f->linesize[1] + x / 2;
        blend_row(f->data[1] + off, ou + r * cw, ca + r * cw, cw);
        off = (int64_t)(y / 2 + r) * f->linesize[2] + x / 2;
        blend_row(f->data[2] + off, ov + r * cw, ca + r * cw, cw);
    }
}
