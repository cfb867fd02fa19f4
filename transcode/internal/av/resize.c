#include "resize.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// axis says which source samples each target sample is made of. Weights are 1/128 and sum up to 128 exactly, so that
// plain areas stay what they are; none is above 127, so that two products fit into 16 bits.
typedef struct axis {
    int n, taps, from; // taps is a multiple of 4; from is the source's length
    int *pos;
    int8_t *weight;   // taps for each of n
    uint8_t *shuffle; // for each 4 targets: 16 bytes that fetch 4 taps of each
    int8_t *packed;   // for each 4 targets: taps/4 times 16 weights in the shuffle's order
} axis;

struct rushes_resizer {
    axis across[2], down[2]; // luma, chroma
    uint8_t *line;
    int plain;
};

enum { PAD = 64 };

static void weigh(axis *a, int i) {
    double ratio = (double)a->from / a->n, radius = ratio > 1 ? ratio : 1, centre = (i + 0.5) * ratio - 0.5, w[32] = {0}, sum = 0;
    int first = (int)floor(centre - radius) + 1, left = first, given = 0, best = 0;
    if (left + a->taps > a->from) left = a->from - a->taps;
    if (left < 0) left = 0;
    for (int j = first; j < centre + radius; j++) {
        double v = 1 - fabs(j - centre) / radius;
        int at = (j < 0 ? 0 : j >= a->from ? a->from - 1 : j) - left;
        if (v > 0 && at >= 0 && at < a->taps) w[at] += v, sum += v;
    }
    for (int t = 0; t < a->taps; t++) {
        int v = (int)lrint(w[t] / sum * 128);
        a->weight[i * a->taps + t] = v > 127 ? 127 : v;
        given += a->weight[i * a->taps + t];
        if (w[t] > w[best]) best = t;
    }
    int8_t *most = &a->weight[i * a->taps + best];
    int whole = *most + 128 - given;
    *most = whole > 127 ? 127 : whole;
    if (whole > 127) a->weight[i * a->taps + (best ? best - 1 : best + 1)] += whole - 127;
    a->pos[i] = left;
}

static int axis_open(axis *a, int from, int n) {
    double ratio = (double)from / n;
    a->from = from, a->n = n;
    a->taps = ratio <= 2 ? 4 : 8;
    if (ratio > MOST_SHRINK || n < 1 || from < 1) return -1;
    int groups = (n + 3) / 4;
    a->pos = av_calloc(n, sizeof(int));
    a->weight = av_calloc(n, a->taps);
    a->shuffle = av_calloc(groups, 16);
    a->packed = av_calloc(groups, 4 * a->taps);
    if (!a->pos || !a->weight || !a->shuffle || !a->packed) return -1;
    for (int i = 0; i < n; i++) weigh(a, i);
    for (int i = 0; i < n; i++) {
        int g = i / 4, k = i % 4;
        for (int t = 0; t < 4; t++) {
            int reach = a->pos[i] - a->pos[4 * g] + t;
            if (reach > 15) return -1;
            a->shuffle[16 * g + 4 * k + t] = reach;
        }
        for (int t = 0; t < a->taps; t++) a->packed[4 * a->taps * g + 16 * (t / 4) + 4 * k + t % 4] = a->weight[i * a->taps + t];
    }
    return 0;
}

static void axis_close(axis *a) {
    av_free(a->pos), av_free(a->weight), av_free(a->shuffle), av_free(a->packed);
}

rushes_resizer *rushes_resizer_new(int sw, int sh, int dw, int dh, int plain) {
    rushes_resizer *r = av_mallocz(sizeof(*r));
    if (!r) return NULL;
    r->plain = plain;
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2")) r->plain = 1;
#endif
    int bad = 0;
    for (int c = 0; c < 2; c++) {
        bad |= axis_open(&r->across[c], (sw + c) >> c, dw >> c);
        bad |= axis_open(&r->down[c], (sh + c) >> c, dh >> c);
    }
    r->line = av_mallocz(sw + 2 * PAD);
    if (bad || !r->line) {
        rushes_resizer_free(r);
        return NULL;
    }
    return r;
}

void rushes_resizer_free(rushes_resizer *r) {
    if (!r) return;
    for (int c = 0; c < 2; c++) axis_close(&r->across[c]), axis_close(&r->down[c]);
    av_free(r->line);
    av_free(r);
}

// sum_down weighs taps rows into one line from a sample on.
static void sum_down(const uint8_t *src, int stride, const int8_t *w, int rows, uint8_t *to, int i, int n) {
    for (; i < n; i++) {
        int v = 64;
        for (int t = 0; t < rows; t++) v += src[(int64_t)t * stride + i] * w[t];
        to[i] = v >> 7;
    }
}

static void sum_across(const axis *a, const uint8_t *line, uint8_t *to, int i) {
    for (; i < a->n; i++) {
        int v = 64;
        const int8_t *w = a->weight + i * a->taps;
        for (int t = 0; t < a->taps; t++) v += line[a->pos[i] + t] * w[t];
        to[i] = v >> 7;
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static int down_avx2(const uint8_t *src, int stride, const int8_t *w, int rows, uint8_t *to, int n) {
    int i = 0;
    const __m256i half = _mm256_set1_epi16(64), zero = _mm256_setzero_si256();
    for (; i + 32 <= n; i += 32) {
        __m256i lo = half, hi = half;
        for (int t = 0; t < rows; t += 2) {
            const uint8_t *p = src + (int64_t)t * stride + i;
            __m256i a = _mm256_loadu_si256((const __m256i *)p), b = t + 1 < rows ? _mm256_loadu_si256((const __m256i *)(p + stride)) : zero;
            __m256i k = _mm256_set1_epi16((int16_t)((uint8_t)w[t] | (t + 1 < rows ? w[t + 1] : 0) << 8));
            lo = _mm256_adds_epi16(lo, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), k));
            hi = _mm256_adds_epi16(hi, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), k));
        }
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_packus_epi16(_mm256_srli_epi16(lo, 7), _mm256_srli_epi16(hi, 7)));
    }
    return i;
}

__attribute__((target("avx2"))) static int across_avx2(const axis *a, const uint8_t *line, uint8_t *to) {
    int i = 0, parts = a->taps / 4;
    const __m256i ones = _mm256_set1_epi16(1), half = _mm256_set1_epi32(64);
    for (; i + 8 <= a->n; i += 8) {
        const uint8_t *p = line + a->pos[i], *q = line + a->pos[i + 4];
        __m256i mask = _mm256_loadu_si256((const __m256i *)(a->shuffle + 4 * i)), sum = half;
        for (int g = 0; g < parts; g++) {
            __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(p + 4 * g))), _mm_loadu_si128((const __m128i *)(q + 4 * g)), 1);
            const int8_t *w = a->packed + a->taps * i + 16 * g;
            __m256i k = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)w)), _mm_loadu_si128((const __m128i *)(w + 4 * a->taps)), 1);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_shuffle_epi8(v, mask), k), ones));
        }
        sum = _mm256_srli_epi32(sum, 7);
        __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        _mm_storel_epi64((__m128i *)(to + i), _mm_packus_epi16(words, words));
    }
    return i;
}
#else
static int down_avx2(const uint8_t *src, int stride, const int8_t *w, int rows, uint8_t *to, int n) { return 0; }
static int across_avx2(const axis *a, const uint8_t *line, uint8_t *to) { return 0; }
#endif

static void resize_plane(rushes_resizer *r, int c, const uint8_t *src, int from, uint8_t *dst, int to) {
    const axis *h = &r->across[c], *v = &r->down[c];
    for (int y = 0; y < v->n; y++) {
        int rows = v->taps < v->from ? v->taps : v->from, done = 0;
        const uint8_t *p = src + (int64_t)v->pos[y] * from;
        const int8_t *w = v->weight + y * v->taps;
        while (rows > 1 && !w[rows - 1]) rows--;
        if (!r->plain) done = down_avx2(p, from, w, rows, r->line, h->from);
        sum_down(p, from, w, rows, r->line, done, h->from);
        done = r->plain ? 0 : across_avx2(h, r->line, dst + (int64_t)y * to);
        sum_across(h, r->line, dst + (int64_t)y * to, done);
    }
}

void rushes_resize(rushes_resizer *r, const AVFrame *src, int sx, int sy, AVFrame *dst, int x, int y) {
    for (int i = 0; i < 3; i++) {
        int c = i ? 1 : 0;
        resize_plane(r, c, src->data[i] + (int64_t)(sy >> c) * src->linesize[i] + (sx >> c), src->linesize[i],
                     dst->data[i] + (int64_t)(y >> c) * dst->linesize[i] + (x >> c), dst->linesize[i]);
    }
}
