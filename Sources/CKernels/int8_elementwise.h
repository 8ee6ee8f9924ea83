// SPDX-License-Identifier: Apache-2.0
// Pools, sums of images, and conversions between float and bytes.
#pragma once
#include "int8_vectors.h"
#include "int8_window.h"

/// Of bytes alone, whatever the width of the other kernels.
typedef uint8_t octets __attribute__((vector_size(32)));

/// The same bits as words.
typedef int16_t sixteen_words __attribute__((vector_size(32)));

/// The largest of `rows` by `columns` vectors of bytes, or words, from byte c of each on.
INLINE void window_maximum(octets *largest, const struct window_part *w, const int takes_words, const ptrdiff_t rows,
                           const ptrdiff_t columns, ptrdiff_t c) {
    octets best = takes_words ? (octets)((sixteen_words){0} + INT16_MIN) : (octets){0};
    const uint8_t *row = w->first + c;
    for (ptrdiff_t ky = 0; ky < rows; ky++, row += w->row_step) {
        const uint8_t *p = row;
        for (ptrdiff_t kx = 0; kx < columns; kx++, p += w->column_step) {
            octets b;
            memcpy(&b, p, sizeof b);
            best = takes_words ? (octets)__builtin_elementwise_max((sixteen_words)best, (sixteen_words)b)
                               : __builtin_elementwise_max(best, b);
        }
    }
    *largest = best;
}

INLINE void largest_of_windows(const struct float_pool *pool, const int takes_words, const uint8_t *input, uint8_t *output,
                               ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &pool->window;
    const ptrdiff_t element = takes_words ? 2 : 1, count = pool->channels * element;
    for (ptrdiff_t y = begin; y < end; y++)
        for (ptrdiff_t x = 0; x < w->output_width; x++) {
            const struct window_part part = part_inside(w, input, y, x);
            uint8_t *target = output + (y * w->output_width + x) * w->output_pitch * element;
            for (ptrdiff_t c = 0; c < count; c += 32) {
                octets best;
                if (part.rows == 3 && part.columns == 3)
                    window_maximum(&best, &part, takes_words, 3, 3, c);
                else if (part.rows == 2 && part.columns == 2)
                    window_maximum(&best, &part, takes_words, 2, 2, c);
                else
                    window_maximum(&best, &part, takes_words, part.rows, part.columns, c);
                if (count - c >= 32)
                    memcpy(target + c, &best, sizeof best);
                else
                    copy_few(target + c, &best, count - c);
            }
        }
}

static void max_pool(const struct float_pool *pool, const uint8_t *input, uint8_t *output, ptrdiff_t begin,
                     ptrdiff_t end) {
    largest_of_windows(pool, 0, input, output, begin, end);
}

static void max_pool_words(const struct float_pool *pool, const void *input, int16_t *output, ptrdiff_t begin, ptrdiff_t end) {
    largest_of_windows(pool, 1, input, (uint8_t *)output, begin, end);
}

/// `count` bytes from byte c of each position of a window on, added up.
INLINE integers window_sum(const struct window_part *w, ptrdiff_t c, ptrdiff_t count) {
    integers sum = {0};
    for (ptrdiff_t ky = 0; ky < w->rows; ky++)
        for (ptrdiff_t kx = 0; kx < w->columns; kx++) {
            const uint8_t *p = w->first + ky * w->row_step + kx * w->column_step + c;
            bytes b = {0};
            if (count == WIDTH)
                memcpy(&b, p, WIDTH);
            else
                memcpy(&b, p, (size_t)count);
            sum += __builtin_convertvector(b, integers);
        }
    return sum;
}

static void average_pool(const struct float_pool *pool, const float *multiplier, const float *bias, const uint8_t *input,
                         uint8_t *output, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &pool->window;
    for (ptrdiff_t y = begin; y < end; y++)
        for (ptrdiff_t x = 0; x < w->output_width; x++) {
            const struct window_part part = part_inside(w, input, y, x);
            const ptrdiff_t positions = part.rows * part.columns;
            const vector share = splat(positions > 0 ? 1.0f / (float)positions : 0);
            uint8_t *target = output + (y * w->output_width + x) * w->output_pitch;
            for (ptrdiff_t c = 0; c < pool->channels; c += WIDTH) {
                const ptrdiff_t left = pool->channels - c, count = left < WIDTH ? left : WIDTH;
                const vector mean = __builtin_convertvector(window_sum(&part, c, count), vector) * share;
                store_bytes(target + c, fused(mean, load_part(multiplier + c, count), load_part(bias + c, count)), count);
            }
        }
}

typedef uint8_t element;

INLINE vector tap_added(vector sum, vector weight, const uint8_t *p, ptrdiff_t count) {
    return fused(weight, load_bytes_part(p, count), sum);
}

INLINE void sum_stored(uint8_t *p, vector sum, ptrdiff_t count) { store_bytes(p, sum, count); }

#include "interpolation.h"

static void requantize(const float *multiplier, const float *bias, const uint8_t *x, ptrdiff_t x_pitch, uint8_t *y,
                       ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch) {
        ptrdiff_t c = 0;
        for (; c + WIDTH <= count; c += WIDTH)
            store_bytes(y + c, fused(load_bytes(x + c), load(multiplier + c), load(bias + c)), WIDTH);
        const ptrdiff_t n = count - c;
        if (n > 0)
            store_bytes(y + c,
                        fused(load_bytes_part(x + c, n), load_part(multiplier + c, n), load_part(bias + c, n)), n);
    }
}

/// x - zero of `count` channels.
INLINE vector less_zero(const uint8_t *x, const float *zero, ptrdiff_t count) {
    return load_bytes_part(x, count) - load_part(zero, count);
}

enum addition { addition_linear, addition_of_floats, addition_any };

/// Channels c ... c + count of `add`.
INLINE void added(const struct int8_epilogue *e, const enum addition form, const float *scale_a, const float *zero_a,
                  const uint8_t *a, const uint8_t *b, uint8_t *y, ptrdiff_t c, ptrdiff_t count) {
    const vector scale = load_part(scale_a + c, count), scale_b = load_part(e->residual_scale + c, count);
    if (form == addition_linear) {
        const vector second = fused(load_bytes_part(b + c, count), scale_b, load_part(e->bias + c, count));
        const vector f = fused(load_bytes_part(a + c, count), scale, second);
        const vector low = load_bytes_part(e->low + c, count), high = load_bytes_part(e->high + c, count);
        store_bytes(y + c, greatest(least(f, high), low), count);
        return;
    }
    const vector first = less_zero(a + c, zero_a + c, count);
    const vector second = less_zero(b + c, e->residual_zero + c, count) * scale_b;
    vector f = form == addition_of_floats ? first * scale + second : fused(first, scale, second);
    f = activated(f, e->activation.activation, e->activation.low, e->activation.high);
    if (form == addition_of_floats)
        store_bytes(y + c, rounded(f / load_part(e->multiplier + c, count)) + load_part(e->zero + c, count), count);
    else
        store_bytes(y + c, fused(f, load_part(e->inverse_scale + c, count), load_part(e->zero + c, count)), count);
}

INLINE void added_rows(const struct int8_epilogue *e, const enum addition form, const float *scale_a, const float *zero_a,
                       const uint8_t *a, ptrdiff_t a_pitch, const uint8_t *b, ptrdiff_t b_pitch, uint8_t *y,
                       ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, a += a_pitch, b += b_pitch, y += y_pitch) {
        ptrdiff_t c = 0;
        for (; c + WIDTH <= count; c += WIDTH) added(e, form, scale_a, zero_a, a, b, y, c, WIDTH);
        if (c < count) added(e, form, scale_a, zero_a, a, b, y, c, count - c);
    }
}

static void add(const struct int8_epilogue *e, const float *scale_a, const float *zero_a, const uint8_t *a,
                ptrdiff_t a_pitch, const uint8_t *b, ptrdiff_t b_pitch, uint8_t *y, ptrdiff_t y_pitch, ptrdiff_t rows,
                ptrdiff_t count) {
    const enum addition form =
        e->inverse_scale ? addition_any : e->multiplier ? addition_of_floats : addition_linear;
    switch (form) {
#define CASE(form)                                                                                       \
    case form:                                                                                           \
        added_rows(e, form, scale_a, zero_a, a, a_pitch, b, b_pitch, y, y_pitch, rows, count);           \
        break;
        CASE(addition_linear)
        CASE(addition_of_floats)
        CASE(addition_any)
#undef CASE
    }
}

static void quantize(const float *scale, const float *zero, const float *x, ptrdiff_t x_pitch, uint8_t *y,
                     ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch) {
        ptrdiff_t c = 0;
        for (; c + WIDTH <= count; c += WIDTH)
            store_bytes(y + c, rounded(load(x + c) / load(scale + c)) + load(zero + c), WIDTH);
        const ptrdiff_t n = count - c;
        if (n > 0) {
            vector divisor = splat(1);
            memcpy(&divisor, scale + c, (size_t)n * sizeof(float));
            store_bytes(y + c, rounded(load_part(x + c, n) / divisor) + load_part(zero + c, n), n);
        }
    }
}

/// a0 b0 c0 a1 b1 c1 ... of 16 each.
INLINE void store_triples(uint8_t *target, const uint8_t *a, const uint8_t *b, const uint8_t *c) {
    typedef uint8_t sixteen __attribute__((vector_size(16)));
    sixteen x, y, z;
    memcpy(&x, a, 16);
    memcpy(&y, b, 16);
    memcpy(&z, c, 16);
    const octets xy = __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                              21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    const octets zz = __builtin_shufflevector(z, z, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6,
                                              7, 8, 9, 10, 11, 12, 13, 14, 15);
    const sixteen first = __builtin_shufflevector(xy, zz, 0, 16, 32, 1, 17, 33, 2, 18, 34, 3, 19, 35, 4, 20, 36, 5);
    const sixteen second = __builtin_shufflevector(xy, zz, 21, 37, 6, 22, 38, 7, 23, 39, 8, 24, 40, 9, 25, 41, 10, 26);
    const sixteen third = __builtin_shufflevector(xy, zz, 42, 11, 27, 43, 12, 28, 44, 13, 29, 45, 14, 30, 46, 15, 31, 47);
    memcpy(target, &first, 16);
    memcpy(target + 16, &second, 16);
    memcpy(target + 32, &third, 16);
}

/// x / scale rounded once, as the division gives it: the product with the rounded reciprocal, corrected by what it leaves
/// (Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", 1990). |x| at most `limit`,
/// where bytes have been saturated for long and integers are still exact.
struct divisor {
    vector scale, inverse, limit;
    /// The reciprocal of a scale far out of the ordinary is no normal number; and where fused multiplications are
    /// functions, divisions are faster.
    int is_ordinary;
};

INLINE struct divisor divisor_of(float scale) {
    const int is_ordinary = WIDTH >= 8 && scale > 1e-18f && scale < 1e18f;
    const struct divisor d = {splat(scale), splat(1 / scale), splat(4e6f * scale), is_ordinary};
    return d;
}

INLINE vector quotient(vector x, const struct divisor *d) {
    if (!d->is_ordinary) return least(greatest(x / d->scale, splat(-4e6f)), splat(4e6f));
    x = least(greatest(x, -d->limit), d->limit);
    const vector q = x * d->inverse;
    return fused(fused(-q, d->scale, x), d->inverse, q);
}

/// Bytes of WIDTH numbers: rint(quotient) + zero.
INLINE bytes quantized(vector quotient, integers zero) {
    integers i = nearest(quotient) + zero;
    i = __builtin_elementwise_min(__builtin_elementwise_max(i, (integers){0}), (integers){0} + 255);
    return __builtin_convertvector(i, bytes);
}

static void quantize_planes(const float *scale, const float *zero, const float *x, ptrdiff_t plane, uint8_t *y,
                            ptrdiff_t y_pitch, ptrdiff_t pixels, ptrdiff_t channels) {
    enum { run = 256 };
    uint8_t stored[4][run], least_bytes[2 * WIDTH], most_bytes[2 * WIDTH];
    memset(least_bytes, 0, sizeof least_bytes);
    memset(most_bytes, 255, sizeof most_bytes);
    for (ptrdiff_t i = 0; i < pixels; i += run) {
        const ptrdiff_t count = pixels - i < run ? pixels - i : run;
        for (ptrdiff_t c = 0; c < channels; c++) {
            const struct divisor divisor = divisor_of(scale[c]);
            const integers offset = (integers){0} + (int32_t)zero[c];
            const float *p = x + c * plane + i;
            ptrdiff_t j = 0;
            for (; j + 4 * WIDTH <= count; j += 4 * WIDTH) {
                integers steps[4];
                for (int k = 0; k < 4; k++) steps[k] = nearest(quotient(load(p + j + k * WIDTH), &divisor)) + offset;
                store_saturated(stored[c] + j, stored[c] + j + 2 * WIDTH, steps[0], steps[1], steps[2], steps[3], 2, least_bytes,
                                most_bytes);
            }
            for (; j < count; j += WIDTH) {
                const vector v = count - j < WIDTH ? load_part(p + j, count - j) : load(p + j);
                const bytes b = quantized(quotient(v, &divisor), offset);
                memcpy(stored[c] + j, &b, sizeof b);
            }
        }
        uint8_t *target = y + i * y_pitch;
        ptrdiff_t j = 0;
        if (channels == 3 && y_pitch == 3)
            for (; j + 16 <= count; j += 16, target += 48)
                store_triples(target, stored[0] + j, stored[1] + j, stored[2] + j);
        if (channels == 3)
            for (; j < count; j++, target += y_pitch)
                target[0] = stored[0][j], target[1] = stored[1][j], target[2] = stored[2][j];
        else
            for (; j < count; j++, target += y_pitch)
                for (ptrdiff_t c = 0; c < channels; c++) target[c] = stored[c][j];
    }
}

static void dequantize(const float *scale, const float *zero, const uint8_t *x, ptrdiff_t x_pitch, float *y,
                       ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch) {
        ptrdiff_t c = 0;
        for (; c + WIDTH <= count; c += WIDTH) store(y + c, less_zero(x + c, zero + c, WIDTH) * load(scale + c));
        const ptrdiff_t n = count - c;
        if (n > 0) store_part(y + c, less_zero(x + c, zero + c, n) * load_part(scale + c, n), n);
    }
}
