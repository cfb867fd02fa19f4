#include "native.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

extern int rushesReadAt(uintptr_t handle, int64_t off, uint8_t *buf, int n);
extern int rushesWriteAt(uintptr_t handle, int64_t off, uint8_t *buf, int n);

enum { IO_BUFFER = 128 * 1024 };

static int interrupted(void *opaque) { return __atomic_load_n(&((rushes_io *)opaque)->interrupted, __ATOMIC_RELAXED); }

static int io_read(void *opaque, uint8_t *buf, int n) {
    rushes_io *io = opaque;
    if (interrupted(io)) return AVERROR_EXIT;
    ssize_t got;
    if (io->fd >= 0) {
        do got = pread(io->fd, buf, n, io->pos);
        while (got < 0 && errno == EINTR);
        if (got < 0) {
            io->failed = errno;
            return AVERROR(errno);
        }
    } else {
        got = rushesReadAt(io->handle, io->pos, buf, n);
        if (got < 0) {
            io->failed = EIO;
            return AVERROR(EIO);
        }
    }
    if (got == 0) return AVERROR_EOF;
    io->pos += got;
    return got;
}

static int io_write(void *opaque, const uint8_t *buf, int n) {
    rushes_io *io = opaque;
    if (interrupted(io)) return AVERROR_EXIT;
    int left = n;
    while (left > 0) {
        ssize_t put;
        if (io->fd >= 0) {
            put = pwrite(io->fd, buf, left, io->pos);
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) io->failed = errno;
        } else {
            put = rushesWriteAt(io->handle, io->pos, (uint8_t *)buf, left);
            if (put < 0) io->failed = EIO;
        }
        if (put <= 0) return AVERROR(io->failed ? io->failed : EIO);
        buf += put;
        left -= put;
        io->pos += put;
        if (io->pos > io->size) io->size = io->pos;
    }
    return n;
}

static int64_t io_seek(void *opaque, int64_t off, int whence) {
    rushes_io *io = opaque;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE: return io->size;
    case SEEK_SET: break;
    case SEEK_CUR: off += io->pos; break;
    case SEEK_END: off += io->size; break;
    default: return AVERROR(EINVAL);
    }
    if (off < 0) return AVERROR(EINVAL);
    return io->pos = off;
}

rushes_io *rushes_io_new(int fd, uintptr_t handle, int64_t size, int writable) {
    rushes_io *io = av_mallocz(sizeof *io);
    uint8_t *buf = av_malloc(IO_BUFFER);
    if (!io || !buf) goto fail;
    io->fd = fd;
    io->handle = handle;
    io->size = size;
    io->avio = avio_alloc_context(buf, IO_BUFFER, writable, io, writable ? NULL : io_read, writable ? io_write : NULL, io_seek);
    if (!io->avio) goto fail;
    return io;
fail:
    av_free(buf);
    av_free(io);
    return NULL;
}

void rushes_io_interrupt(rushes_io *io, int on) { __atomic_store_n(&io->interrupted, on, __ATOMIC_RELAXED); }

void rushes_io_attach(rushes_io *io, AVFormatContext *fc) {
    fc->pb = io->avio;
    fc->flags |= AVFMT_FLAG_CUSTOM_IO;
    fc->interrupt_callback = (AVIOInterruptCB){interrupted, io};
}

void rushes_io_free(rushes_io *io) {
    if (!io) return;
    if (io->avio) {
        av_freep(&io->avio->buffer);
        avio_context_free(&io->avio);
    }
    av_free(io);
}

int rushes_stream_info(AVFormatContext *fc, int i, rushes_stream *o) {
    memset(o, 0, sizeof *o);
    if (i < 0 || i >= (int)fc->nb_streams) return AVERROR(EINVAL);
    AVStream *st = fc->streams[i];
    AVCodecParameters *p = st->codecpar;
    AVRational fr = av_guess_frame_rate(fc, st, NULL);
    AVRational sar = av_guess_sample_aspect_ratio(fc, st, NULL);
    o->kind = p->codec_type;
    o->codec_id = p->codec_id;
    o->codec_tag = p->codec_tag;
    o->codec = avcodec_get_name(p->codec_id);
    o->profile = p->profile;
    o->level = p->level;
    o->start = st->start_time;
    o->duration = st->duration;
    o->tb_num = st->time_base.num, o->tb_den = st->time_base.den;
    o->fr_num = fr.num, o->fr_den = fr.den;
    o->sar_num = sar.num, o->sar_den = sar.den;
    o->width = p->width, o->height = p->height, o->format = p->format;
    o->delay = p->video_delay;
    o->primaries = p->color_primaries, o->transfer = p->color_trc, o->matrix = p->color_space, o->range = p->color_range;
    o->sample_rate = p->sample_rate, o->channels = p->ch_layout.nb_channels, o->frame_size = p->frame_size;
    o->initial_padding = p->initial_padding, o->trailing_padding = p->trailing_padding, o->seek_preroll = p->seek_preroll;
    o->bits_per_coded_sample = p->bits_per_coded_sample, o->block_align = p->block_align;
    o->attached_pic = !!(st->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS));
    o->supported = avcodec_find_decoder(p->codec_id) != NULL;
    o->extradata = p->extradata, o->extradata_size = p->extradata_size;
    const AVPacketSideData *sd = av_packet_side_data_get(p->coded_side_data, p->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (sd && sd->size >= sizeof o->rotation) {
        memcpy(o->rotation, sd->data, sizeof o->rotation);
        o->has_rotation = 1;
    }
    return 0;
}

void rushes_packet_info(const AVPacket *p, rushes_packet *o) {
    o->pts = p->pts, o->dts = p->dts, o->duration = p->duration, o->pos = p->pos;
    o->data = p->data, o->size = p->size, o->stream = p->stream_index, o->flags = p->flags;
    o->extradata = av_packet_get_side_data(p, AV_PKT_DATA_NEW_EXTRADATA, &o->extradata_size);
    if (!o->extradata) o->extradata_size = 0;
}

int rushes_read(rushes_io *io, AVFormatContext *fc, AVPacket *p) {
    av_packet_unref(p);
    int r = av_read_frame(fc, p);
    if (r >= 0) rushes_packet_info(p, &io->packet);
    return r;
}

static int64_t start_code_plain(const uint8_t *p, int64_t i, int64_t n) {
    for (; i + 2 < n; i++)
        if (p[i] == 0 && p[i + 1] == 0 && p[i + 2] == 1) return i;
    return -1;
}

int64_t rushes_start_code(const uint8_t *p, int64_t n) {
    int64_t i = 0;
#ifdef __SSE2__
    const __m128i zero = _mm_setzero_si128(), one = _mm_set1_epi8(1);
    for (; i + 18 <= n; i += 16) {
        __m128i a = _mm_or_si128(_mm_loadu_si128((const __m128i *)(p + i)), _mm_loadu_si128((const __m128i *)(p + i + 1)));
        __m128i b = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + i + 2)), one);
        int found = _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, zero), b));
        if (found) return i + __builtin_ctz(found);
    }
#endif
    return start_code_plain(p, i, n);
}

void rushes_frame_info(const AVFrame *f, rushes_frame *o) {
    o->pts = f->best_effort_timestamp != AV_NOPTS_VALUE ? f->best_effort_timestamp : f->pts;
    o->duration = f->duration;
    o->width = f->width, o->height = f->height, o->format = f->format;
    o->key = !!(f->flags & AV_FRAME_FLAG_KEY);
    o->broken = (f->flags & AV_FRAME_FLAG_CORRUPT) || f->decode_error_flags;
    o->sar_num = f->sample_aspect_ratio.num, o->sar_den = f->sample_aspect_ratio.den;
    o->primaries = f->color_primaries, o->transfer = f->color_trc, o->matrix = f->colorspace, o->range = f->color_range;
    o->sample_rate = f->sample_rate, o->samples = f->nb_samples, o->channels = f->ch_layout.nb_channels;
    for (int i = 0; i < 4; i++) o->data[i] = f->data[i], o->stride[i] = f->linesize[i];
}

int rushes_receive_frame(AVCodecContext *c, AVFrame *f, rushes_frame *o) {
    int r = avcodec_receive_frame(c, f);
    if (r >= 0) rushes_frame_info(f, o);
    return r;
}

int rushes_receive_packet(AVCodecContext *c, AVPacket *p, rushes_packet *o) {
    int r = avcodec_receive_packet(c, p);
    if (r >= 0) rushes_packet_info(p, o);
    return r;
}

int rushes_alloc_picture(AVFrame *f, int w, int h, int fmt) {
    av_frame_unref(f);
    f->width = w, f->height = h, f->format = fmt;
    return av_frame_get_buffer(f, 0);
}

int rushes_alloc_sound(AVFrame *f, int fmt, int rate, int channels, int n) {
    av_frame_unref(f);
    f->format = fmt, f->sample_rate = rate, f->nb_samples = n;
    av_channel_layout_default(&f->ch_layout, channels);
    return av_frame_get_buffer(f, 0);
}

static int set_extradata(AVCodecContext *c, const rushes_codec_spec *s) {
    if (s->extradata_size <= 0) return 0;
    c->extradata = av_mallocz(s->extradata_size + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!c->extradata) return AVERROR(ENOMEM);
    memcpy(c->extradata, s->extradata, s->extradata_size);
    c->extradata_size = s->extradata_size;
    return 0;
}

int rushes_open_decoder(const AVCodec *codec, const rushes_codec_spec *s, AVCodecContext **out) {
    AVCodecContext *c = avcodec_alloc_context3(codec);
    if (!c) return AVERROR(ENOMEM);
    int r = set_extradata(c, s);
    c->pkt_timebase = (AVRational){s->tb_num, s->tb_den};
    c->width = s->width, c->height = s->height;
    c->codec_tag = s->codec_tag;
    c->sample_rate = s->sample_rate;
    c->bits_per_coded_sample = s->bits_per_coded_sample;
    c->block_align = s->block_align;
    if (s->channels > 0) av_channel_layout_default(&c->ch_layout, s->channels);
    c->thread_count = s->threads;
    if (s->low_delay) c->flags |= AV_CODEC_FLAG_LOW_DELAY;
    if (s->explode) c->err_recognition |= AV_EF_EXPLODE | AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER;
    if (r >= 0) r = avcodec_open2(c, codec, NULL);
    if (r < 0) avcodec_free_context(&c);
    *out = c;
    return r;
}

int rushes_open_encoder(const AVCodec *codec, const rushes_codec_spec *s, AVDictionary **opts, AVCodecContext **out) {
    AVCodecContext *c = avcodec_alloc_context3(codec);
    if (!c) return AVERROR(ENOMEM);
    c->time_base = (AVRational){s->tb_num, s->tb_den};
    c->thread_count = s->threads;
    c->bit_rate = s->bit_rate;
    if (s->profile > 0) c->profile = s->profile;
    if (s->global_header) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (codec->type == AVMEDIA_TYPE_VIDEO) {
        c->framerate = (AVRational){s->fr_num, s->fr_den};
        c->sample_aspect_ratio = (AVRational){s->sar_num, s->sar_den};
        c->width = s->width, c->height = s->height, c->pix_fmt = s->format;
        c->color_primaries = s->primaries, c->color_trc = s->transfer, c->colorspace = s->matrix, c->color_range = s->range;
        if (s->gop > 0) c->gop_size = s->gop;
    } else {
        c->sample_rate = s->sample_rate, c->sample_fmt = s->format;
        av_channel_layout_default(&c->ch_layout, s->channels);
    }
    int r = avcodec_open2(c, codec, opts);
    if (r < 0) avcodec_free_context(&c);
    *out = c;
    return r;
}

int rushes_add_stream(AVFormatContext *fc, enum AVCodecID id, int video, const rushes_codec_spec *s) {
    AVStream *st = avformat_new_stream(fc, NULL);
    if (!st) return AVERROR(ENOMEM);
    AVCodecParameters *p = st->codecpar;
    st->time_base = (AVRational){s->tb_num, s->tb_den};
    p->codec_id = id;
    p->codec_type = video ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
    p->width = s->width, p->height = s->height;
    p->sample_rate = s->sample_rate;
    if (s->channels > 0) av_channel_layout_default(&p->ch_layout, s->channels);
    if (s->extradata_size > 0) {
        p->extradata = av_mallocz(s->extradata_size + AV_INPUT_BUFFER_PADDING_SIZE);
        if (!p->extradata) return AVERROR(ENOMEM);
        memcpy(p->extradata, s->extradata, s->extradata_size);
        p->extradata_size = s->extradata_size;
    }
    return st->index;
}

int rushes_encoder_stream(AVFormatContext *fc, AVCodecContext *c) {
    AVStream *st = avformat_new_stream(fc, NULL);
    if (!st) return AVERROR(ENOMEM);
    st->time_base = c->time_base;
    st->avg_frame_rate = c->framerate;
    int r = avcodec_parameters_from_context(st->codecpar, c);
    return r < 0 ? r : st->index;
}

struct SwsContext *rushes_sws(int sw, int sh, int sf, int srange, int smatrix, int dw, int dh, int df, int drange, int dmatrix, int flags) {
    struct SwsContext *c = sws_getContext(sw, sh, sf, dw, dh, df, flags, NULL, NULL, NULL);
    if (!c) return NULL;
    sws_setColorspaceDetails(c, sws_getCoefficients(smatrix), srange, sws_getCoefficients(dmatrix), drange, 0, 1 << 16, 1 << 16);
    return c;
}

int rushes_scale(struct SwsContext *sws, const AVFrame *src, AVFrame *dst, int x, int y) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(dst->format);
    uint8_t *planes[4] = {0};
    int planar = d->flags & AV_PIX_FMT_FLAG_PLANAR;
    for (int i = 0; i < 4 && dst->data[i]; i++) {
        int cx = (i == 1 || i == 2) ? x >> d->log2_chroma_w : x, cy = (i == 1 || i == 2) ? y >> d->log2_chroma_h : y;
        planes[i] = dst->data[i] + (int64_t)cy * dst->linesize[i] + cx * (planar ? 1 : d->comp[0].step);
    }
    return sws_scale(sws, (const uint8_t *const *)src->data, src->linesize, 0, src->height, planes, dst->linesize);
}

void rushes_copy_420(const AVFrame *s, AVFrame *d, int x, int y) {
    for (int i = 0; i < 3; i++) {
        int sh = i ? 1 : 0, w = (s->width + sh) >> sh, h = (s->height + sh) >> sh;
        av_image_copy_plane(d->data[i] + (int64_t)(y >> sh) * d->linesize[i] + (x >> sh), d->linesize[i], s->data[i], s->linesize[i], w, h);
    }
}

void rushes_fill(AVFrame *f, int x, int y, int w, int h, int Y, int U, int V) {
    int v[3] = {Y, U, V};
    for (int i = 0; i < 3; i++) {
        int sh = i ? 1 : 0, px = x >> sh, py = y >> sh, pw = (x + w + sh) >> sh, ph = (y + h + sh) >> sh;
        for (int r = py; r < ph; r++) memset(f->data[i] + (int64_t)r * f->linesize[i] + px, v[i], pw - px);
    }
}

static inline uint8_t clip8(int v) { return v < 0 ? 0 : v > 255 ? 255 : v; }

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((optimize("O3"), target_clones("avx2", "default")))
#else
#define WIDE
#endif

// The loops leave no room for anything but vectors; source and destination may be the same.
// k: what of Cb and Cr goes to Y, Cb, Cr, in 1/8192 (k[2], k[5] less one). dy is what the luma changes by:
// the chroma sample of a 2x2 block serves all four of its luma samples.
WIDE static void matrix_chroma(const uint8_t *su, const uint8_t *sv, uint8_t *du, uint8_t *dv, int16_t *dy, int n, const int16_t *k) {
    int i = 0;
#ifdef __SSE2__
    const __m128i zero = _mm_setzero_si128(), mid = _mm_set1_epi16(128), half = _mm_set1_epi32(4096);
    __m128i c[3], to[3];
    for (int j = 0; j < 3; j++) c[j] = _mm_unpacklo_epi16(_mm_set1_epi16(k[2 * j]), _mm_set1_epi16(k[2 * j + 1]));
    for (; i + 8 <= n; i += 8) {
        __m128i u = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(su + i)), zero), v = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(sv + i)), zero);
        __m128i b = _mm_sub_epi16(u, mid), r = _mm_sub_epi16(v, mid), lo = _mm_unpacklo_epi16(b, r), hi = _mm_unpackhi_epi16(b, r);
        for (int j = 0; j < 3; j++)
            to[j] = _mm_packs_epi32(_mm_srai_epi32(_mm_add_epi32(_mm_madd_epi16(lo, c[j]), half), 13), _mm_srai_epi32(_mm_add_epi32(_mm_madd_epi16(hi, c[j]), half), 13));
        _mm_storeu_si128((__m128i *)(dy + 2 * i), _mm_unpacklo_epi16(to[0], to[0]));
        _mm_storeu_si128((__m128i *)(dy + 2 * i + 8), _mm_unpackhi_epi16(to[0], to[0]));
        _mm_storel_epi64((__m128i *)(du + i), _mm_packus_epi16(_mm_add_epi16(u, to[1]), zero));
        _mm_storel_epi64((__m128i *)(dv + i), _mm_packus_epi16(_mm_add_epi16(v, to[2]), zero));
    }
#endif
#pragma GCC ivdep
    for (; i < n; i++) {
        int u = su[i], v = sv[i], b = u - 128, r = v - 128;
        dy[2 * i] = dy[2 * i + 1] = (k[0] * b + k[1] * r + 4096) >> 13;
        du[i] = clip8(u + ((k[2] * b + k[3] * r + 4096) >> 13));
        dv[i] = clip8(v + ((k[4] * b + k[5] * r + 4096) >> 13));
    }
}

WIDE static void matrix_luma(const uint8_t *s, uint8_t *d, const int16_t *dy, int n) {
#pragma GCC ivdep
    for (int i = 0; i < n; i++) {
        int16_t v = s[i] + dy[i];
        v = v < 0 ? 0 : v;
        d[i] = v > 255 ? 255 : v;
    }
}

// The same from full range: a luma of 255 becomes one of 219 above 16, rounded exactly.
WIDE static void matrix_luma_full(const uint8_t *s, uint8_t *d, const int16_t *dy, int n) {
#pragma GCC ivdep
    for (int i = 0; i < n; i++) {
        uint16_t x = (uint16_t)(s[i] * 219 + 128);
        x = (uint16_t)(x + (x >> 8)) >> 8;
        int16_t v = (int16_t)x + 16 + dy[i];
        v = v < 0 ? 0 : v;
        d[i] = v > 255 ? 255 : v;
    }
}

static uint8_t *at_420(const AVFrame *f, int plane, int x, int y) {
    int sh = plane ? 1 : 0;
    return f->data[plane] + (int64_t)(y >> sh) * f->linesize[plane] + (x >> sh);
}

// What is known of a strip's chroma stays near until its luma comes.
enum { STRIP = 512 };

void rushes_matrix_420(const AVFrame *s, int sx, int sy, AVFrame *d, int x, int y, int w, int h, const int16_t k[6], int full) {
    void (*luma)(const uint8_t *, uint8_t *, const int16_t *, int) = full ? matrix_luma_full : matrix_luma;
    int16_t dy[STRIP];
    for (int r = 0; r + 1 < h; r += 2) {
        for (int c = 0; c + 1 < w; c += STRIP) {
            int n = w - c < STRIP ? (w - c) & ~1 : STRIP, from = sx + c, to = x + c;
            matrix_chroma(at_420(s, 1, from, sy + r), at_420(s, 2, from, sy + r), at_420(d, 1, to, y + r), at_420(d, 2, to, y + r), dy, n >> 1, k);
            luma(at_420(s, 0, from, sy + r), at_420(d, 0, to, y + r), dy, n);
            luma(at_420(s, 0, from, sy + r + 1), at_420(d, 0, to, y + r + 1), dy, n);
        }
    }
}

int rushes_swr_open(SwrContext **s, int in_rate, int in_fmt, const AVFrame *like, int out_rate, int out_channels) {
    AVChannelLayout out;
    av_channel_layout_default(&out, out_channels);
    int r = swr_alloc_set_opts2(s, &out, AV_SAMPLE_FMT_FLTP, out_rate, &like->ch_layout, in_fmt, in_rate, 0, NULL);
    // libswresample takes 3 dB off mono that becomes stereo; a mix at unity gain keeps it.
    if (r >= 0 && like->ch_layout.nb_channels == 1 && out_channels == 2) r = swr_set_matrix(*s, (const double[]){1, 1}, 1);
    if (r >= 0) r = swr_init(*s);
    if (r < 0) swr_free(s);
    return r;
}

int rushes_swr_run(SwrContext *s, const AVFrame *in, float *l, float *r, int room) {
    uint8_t *out[2] = {(uint8_t *)l, (uint8_t *)r};
    return swr_convert(s, out, room, in ? (const uint8_t **)in->extended_data : NULL, in ? in->nb_samples : 0);
}

// libav reports what went wrong to a log of its own; the last lines are kept so that an error can say it.
enum { LINES = 64, WIDTH = 240 };
static struct { const void *obj, *parent; char text[WIDTH]; } lines[LINES];
static unsigned next_line;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void log_line(void *obj, int level, const char *fmt, va_list args) {
    if (level > AV_LOG_ERROR) return;
    const AVClass *cls = obj ? *(const AVClass **)obj : NULL;
    const void *parent = cls && cls->parent_log_context_offset ? *(void **)((char *)obj + cls->parent_log_context_offset) : NULL;
    pthread_mutex_lock(&log_lock);
    unsigned i = next_line++ % LINES;
    lines[i].obj = obj;
    lines[i].parent = parent;
    vsnprintf(lines[i].text, WIDTH, fmt, args);
    pthread_mutex_unlock(&log_lock);
}

void rushes_log_install(void) { av_log_set_callback(log_line); }

void rushes_log_last(const void *obj, char *out, int n) {
    out[0] = 0;
    if (!obj) return;
    pthread_mutex_lock(&log_lock);
    for (unsigned k = 0; k < LINES && k < next_line; k++) {
        unsigned i = (next_line - 1 - k) % LINES;
        if (lines[i].obj != obj && lines[i].parent != obj) continue;
        snprintf(out, n, "%s", lines[i].text);
        lines[i].obj = lines[i].parent = NULL;
        break;
    }
    pthread_mutex_unlock(&log_lock);
}
