// The part of this package that runs beside libav in C: reading and writing through a file
// descriptor without a call into Go, reading many fields of a struct in one call, and the
// arithmetic on whole pictures. Nothing here owns memory across calls but what has a _free.
#ifndef RUSHES_NATIVE_H
#define RUSHES_NATIVE_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct rushes_packet {
    int64_t pts, dts, duration, pos;
    uint8_t *data;
    int size, stream, flags;
    const uint8_t *extradata;
    size_t extradata_size;
} rushes_packet;

// rushes_io is the opaque behind an AVIOContext: a descriptor, or (fd < 0) a Go handle.
typedef struct rushes_io {
    int fd;
    uintptr_t handle;
    int64_t pos, size;
    int interrupted; // written by any thread, atomically
    int failed;      // errno of the last failed read or write
    AVIOContext *avio;
    rushes_packet packet; // what rushes_read has read: no Go memory, which cgo would have to look through
} rushes_io;

rushes_io *rushes_io_new(int fd, uintptr_t handle, int64_t size, int writable);
void rushes_io_interrupt(rushes_io *io, int on);
void rushes_io_attach(rushes_io *io, AVFormatContext *fc);
void rushes_io_free(rushes_io *io);

typedef struct rushes_stream {
    int kind, codec_id, profile, level;
    unsigned codec_tag;
    const char *codec;
    int64_t start, duration;
    int tb_num, tb_den, fr_num, fr_den, sar_num, sar_den;
    int width, height, format, delay;
    int primaries, transfer, matrix, range;
    int sample_rate, channels, frame_size, initial_padding, trailing_padding, seek_preroll;
    int bits_per_coded_sample, block_align, attached_pic, supported;
    const uint8_t *extradata;
    int extradata_size, has_rotation;
    int32_t rotation[9];
} rushes_stream;

int rushes_stream_info(AVFormatContext *fc, int i, rushes_stream *out);

void rushes_packet_info(const AVPacket *p, rushes_packet *out);
int rushes_read(rushes_io *io, AVFormatContext *fc, AVPacket *p);

// rushes_start_code gives where the first 00 00 01 begins, or -1.
int64_t rushes_start_code(const uint8_t *p, int64_t n);

typedef struct rushes_frame {
    int64_t pts, duration;
    int width, height, format, key, broken, sar_num, sar_den;
    int primaries, transfer, matrix, range;
    int sample_rate, samples, channels;
    uint8_t *data[4];
    int stride[4];
} rushes_frame;

void rushes_frame_info(const AVFrame *f, rushes_frame *out);
int rushes_receive_frame(AVCodecContext *c, AVFrame *f, rushes_frame *out);
int rushes_receive_packet(AVCodecContext *c, AVPacket *p, rushes_packet *out);
int rushes_alloc_picture(AVFrame *f, int w, int h, int fmt);
int rushes_alloc_sound(AVFrame *f, int fmt, int rate, int channels, int n);

typedef struct rushes_codec_spec {
    const char *name;
    int tb_num, tb_den, fr_num, fr_den, sar_num, sar_den;
    int width, height, format;
    int primaries, transfer, matrix, range;
    int sample_rate, channels, bits_per_coded_sample, block_align, initial_padding;
    int64_t bit_rate;
    int threads, global_header, gop, explode, low_delay, profile;
    unsigned codec_tag;
    const uint8_t *extradata;
    int extradata_size;
} rushes_codec_spec;

// Both give a context that avcodec_free_context frees; opts is consumed.
int rushes_open_decoder(const AVCodec *codec, const rushes_codec_spec *s, AVCodecContext **out);
int rushes_open_encoder(const AVCodec *codec, const rushes_codec_spec *s, AVDictionary **opts, AVCodecContext **out);
int rushes_add_stream(AVFormatContext *fc, enum AVCodecID id, int video, const rushes_codec_spec *s);
int rushes_encoder_stream(AVFormatContext *fc, AVCodecContext *c);

int rushes_scale(struct SwsContext *sws, const AVFrame *src, AVFrame *dst, int x, int y);
struct SwsContext *rushes_sws(int sw, int sh, int sf, int srange, int smatrix, int dw, int dh, int df, int drange, int dmatrix, int flags);
void rushes_copy_420(const AVFrame *src, AVFrame *dst, int x, int y);
void rushes_fill(AVFrame *f, int x, int y, int w, int h, int Y, int U, int V);
// rushes_matrix_420 draws the part of src at sx, sy in another matrix at x, y of dst, which may be src itself. full says
// that src is of full range and k of that; dst is of limited range always.
void rushes_matrix_420(const AVFrame *src, int sx, int sy, AVFrame *dst, int x, int y, int w, int h, const int16_t k[6], int full);

int rushes_swr_open(SwrContext **s, int in_rate, int in_fmt, const AVFrame *like, int out_rate, int out_channels);
int rushes_swr_run(SwrContext *s, const AVFrame *in, float *l, float *r, int room);

void rushes_log_install(void);
void rushes_log_last(const void *obj, char *out, int n);
#endif
