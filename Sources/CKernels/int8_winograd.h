// SPDX-License-Identifier: Apache-2.0
// Dense 3x3 convolution of stride 1 as Winograd's F(4x4, 3x3) (Lavin and Gray, 2015, arXiv:1509.09308): tiles of 4x4 outputs
// from 6x6 inputs with 36 multiplications per channel instead of 144. Transformed inputs are exact in int16 (at most
// 50 * 255), transformed filters are int16 with a scale per filter and position, made so that int32 sums cannot
// overflow; the sums are transformed back in float. The order of float operations is the same everywhere.
#pragma once
#include "int8_epilogue.h"

typedef uint8_t word_bytes __attribute__((vector_size(WIDTH * 2)));

enum { winograd_words = 2 * WIDTH };

/// y = B^T x for one row or column of six.
INLINE void input_transformed(const words d[6], words y[6]) {
    const words a = d[4] - d[2], b = d[3] - d[1], c = d[4] - 4 * d[2], e = d[3] - 4 * d[1];
    y[0] = a + 4 * (d[0] - d[2]);
    y[1] = c + e;
    y[2] = c - e;
    y[3] = a + 2 * b;
    y[4] = a - 2 * b;
    y[5] = d[5] - d[3] - 4 * b;
}

/// y = A^T x for one row or column of six.
INLINE void output_transformed(const vector x[6], vector y[4]) {
    const vector a = x[1] + x[2], b = x[1] - x[2], c = x[3] + x[4], d = x[3] - x[4];
    y[0] = (x[0] + a) + c;
    y[1] = fused(d, splat(2), b);
    y[2] = fused(c, splat(4), a);
    y[3] = fused(d, splat(8), b) + x[5];
}

/// Transforms the inputs of a tile: `v` is [36 positions][most tiles][padded channels].
static void winograd_input(const struct int8_convolution *task, const uint8_t *input, ptrdiff_t ty, ptrdiff_t tx,
                           int16_t *v, ptrdiff_t plane) {
    const struct float_window *w = &task->window;
    const uint8_t *pixels[36];
    for (ptrdiff_t i = 0; i < 6; i++)
        for (ptrdiff_t j = 0; j < 6; j++) {
            const ptrdiff_t iy = ty * 4 + i - w->pad_top, ix = tx * 4 + j - w->pad_left;
            const int is_inside = iy >= 0 && iy < w->input_height && ix >= 0 && ix < w->input_width;
            pixels[i * 6 + j] = is_inside ? input + (iy * w->input_width + ix) * w->input_pitch : task->outside;
        }
    for (ptrdiff_t c = 0; c < task->channels; c += winograd_words) {
        words half[6][6];
#pragma clang loop unroll(disable)
        for (int j = 0; j < 6; j++) {
            words d[6], y[6];
            for (int i = 0; i < 6; i++) {
                word_bytes b;
                memcpy(&b, pixels[i * 6 + j] + c, sizeof b);
                d[i] = __builtin_convertvector(b, words);
            }
            input_transformed(d, y);
            for (int i = 0; i < 6; i++) half[i][j] = y[i];
        }
#pragma clang loop unroll(disable)
        for (int i = 0; i < 6; i++) {
            words y[6];
            input_transformed(half[i], y);
            for (int j = 0; j < 6; j++) memcpy(v + (i * 6 + j) * plane + c, &y[j], sizeof y[j]);
        }
    }
}

/// sums[tile][2 * WIDTH] of `tiles` rows of `v`, `padded` words apart; of the first of two vectors of filters alone, or both.
INLINE void winograd_products(const int tiles, const int vectors, const int16_t *v, ptrdiff_t padded, ptrdiff_t pairs,
                              const int16_t *packed, int32_t *sums) {
    integers total[WINOGRAD_TILES][2];
    for (int t = 0; t < tiles; t++) total[t][0] = total[t][1] = (integers){0};
    for (ptrdiff_t k = 0; k < pairs; k++, packed += 4 * WIDTH) {
        // Filters come from memory once per layer: asked for some steps before they are needed.
        for (int line = 0; line < WIDTH / 8; line++) __builtin_prefetch((const char *)packed + 8192 + 64 * line);
        const integers first = *(const loose_integers *)packed, second = *(const loose_integers *)(packed + 2 * WIDTH);
        for (int t = 0; t < tiles; t++) {
            const integers pair = word_pair(v + t * padded + 2 * k);
            total[t][0] = pairs_added(total[t][0], pair, first);
            if (vectors > 1) total[t][1] = pairs_added(total[t][1], pair, second);
        }
    }
    for (int t = 0; t < tiles; t++) memcpy(sums + t * 2 * WIDTH, total[t], sizeof total[t][0] * (size_t)vectors);
}

/// Of up to WINOGRAD_TILES tiles, each number of them compiled on its own.
INLINE void winograd_pass(const int vectors, ptrdiff_t tiles, const int16_t *v, ptrdiff_t padded, ptrdiff_t pairs,
                          const int16_t *packed, int32_t *sums) {
#define PASS(tiles) \
    case tiles: return winograd_products(tiles, vectors, v, padded, pairs, packed, sums);
    switch (tiles) {
        PASS(1)
        PASS(2)
#if WINOGRAD_TILES > 2
        PASS(3)
        PASS(4)
        PASS(5)
        PASS(6)
#endif
#if WINOGRAD_TILES > 6
        PASS(7)
        PASS(8)
        PASS(9)
        PASS(10)
        PASS(11)
        PASS(12)
#endif
        default: __builtin_unreachable();
    }
#undef PASS
}

/// In as few passes as it takes, of nearly equal size: passes over few tiles wait for their own sums.
INLINE void winograd_position(const int vectors, ptrdiff_t tiles, const int16_t *v, ptrdiff_t padded, ptrdiff_t pairs,
                              const int16_t *packed, int32_t *sums) {
    for (ptrdiff_t passes = (tiles + WINOGRAD_TILES - 1) / WINOGRAD_TILES; passes > 0; passes--) {
        const ptrdiff_t count = (tiles + passes - 1) / passes;
        winograd_pass(vectors, count, v, padded, pairs, packed, sums);
        tiles -= count, v += count * padded, sums += count * 2 * WIDTH;
    }
}

static __attribute__((noinline)) void winograd_position_1(ptrdiff_t tiles, const int16_t *v, ptrdiff_t padded,
                                                          ptrdiff_t pairs, const int16_t *packed, int32_t *sums) {
    winograd_position(1, tiles, v, padded, pairs, packed, sums);
}

static __attribute__((noinline)) void winograd_position_2(ptrdiff_t tiles, const int16_t *v, ptrdiff_t padded,
                                                          ptrdiff_t pairs, const int16_t *packed, int32_t *sums) {
    winograd_position(2, tiles, v, padded, pairs, packed, sums);
}

/// A tile's sums of one vector of filters to 16 outputs. `sums`: [36 positions] `plane` apart.
INLINE void winograd_output(const int32_t *sums, ptrdiff_t plane, const float *scales, vector correction,
                            vector (*outputs)[2], int v) {
    vector half[4][6];
#pragma clang loop unroll(disable)
    for (int j = 0; j < 6; j++) {
        vector x[6], y[4];
        for (int i = 0; i < 6; i++) {
            const integers sum = *(const loose_integers *)(sums + (i * 6 + j) * plane);
            x[i] = __builtin_convertvector(sum, vector) * load(scales + (i * 6 + j) * 2 * WIDTH);
        }
        output_transformed(x, y);
        for (int i = 0; i < 4; i++) half[i][j] = y[i];
    }
#pragma clang loop unroll(disable)
    for (int i = 0; i < 4; i++) {
        vector y[4];
        output_transformed(half[i], y);
        for (int j = 0; j < 4; j++) outputs[i * 4 + j][v] = y[j] + correction;
    }
}

/// The 16 outputs of a tile of 2 * WIDTH filters from `c` on, those within the image.
INLINE void winograd_stored(const struct int8_convolution *task, const enum finish finish, vector (*outputs)[2],
                            const uint8_t *residual, uint8_t *output, ptrdiff_t ty, ptrdiff_t tx, ptrdiff_t c) {
    const struct float_window *w = &task->window;
    const ptrdiff_t element = task->epilogue.high ? 1 : (ptrdiff_t)sizeof(float);
    const ptrdiff_t left = task->filters - c, count = left < 2 * WIDTH ? left : 2 * WIDTH;
    const int vectors = count > WIDTH ? 2 : 1;
    const ptrdiff_t columns = w->output_width - tx * 4 < 4 ? w->output_width - tx * 4 : 4;
    for (ptrdiff_t i = 0; i < 4 && ty * 4 + i < w->output_height; i++)
        for (ptrdiff_t j = 0; j < columns; j += 2) {
            vector values[2][2];
            uint8_t *targets[2];
            for (int p = 0; p < 2; p++) {
                const ptrdiff_t q = j + p < columns ? j + p : j;
                const ptrdiff_t index = (ty * 4 + i) * w->output_width + tx * 4 + q;
                const uint8_t *r = residual ? residual + index * task->residual_pitch : NULL;
                targets[p] = output + index * w->output_pitch * element;
                for (int v = 0; v < vectors; v++)
                    values[p][v] = finished(&task->epilogue, finish, outputs[i * 4 + q][v], r, c + v * WIDTH,
                                            count - v * WIDTH < WIDTH ? count - v * WIDTH : WIDTH);
            }
            store_pair(&task->epilogue, targets[0], targets[1], values[0], values[1], vectors, c, count);
        }
}

static void winograd_tile_stored(const struct int8_convolution *task, enum finish finish, vector (*outputs)[2],
                                 const uint8_t *residual, uint8_t *output, ptrdiff_t ty, ptrdiff_t tx, ptrdiff_t c) {
    switch (finish) {
        case finish_linear: return winograd_stored(task, finish_linear, outputs, residual, output, ty, tx, c);
        case finish_linear_residual:
            return winograd_stored(task, finish_linear_residual, outputs, residual, output, ty, tx, c);
        case finish_silu: return winograd_stored(task, finish_silu, outputs, residual, output, ty, tx, c);
        case finish_silu_residual:
            return winograd_stored(task, finish_silu_residual, outputs, residual, output, ty, tx, c);
        default: return winograd_stored(task, finish_any, outputs, residual, output, ty, tx, c);
    }
}

static void winograd(const struct int8_convolution *task, const uint8_t *input, const uint8_t *residual, void *output,
                     void *scratch, ptrdiff_t begin, ptrdiff_t end) {
    const ptrdiff_t across = (task->window.output_width + 3) / 4;
    const ptrdiff_t padded = int8_winograd_padded(WIDTH, task->channels), pairs = (task->channels + 1) / 2;
    const ptrdiff_t most = int8_winograd_tiles(WIDTH, task->channels);
    const enum finish finish = finish_of(&task->epilogue, residual);
    // A cache line more than it takes: the 36 positions of a tile do not fall on the same sets of the cache.
    const ptrdiff_t plane = most * padded + 32, sums_plane = most * 2 * WIDTH + 16;
    int16_t *v = scratch;
    int32_t *sums = (int32_t *)(v + 36 * plane);
    for (ptrdiff_t first = begin; first < end; first += most) {
        const ptrdiff_t count = end - first < most ? end - first : most;
        for (ptrdiff_t t = 0; t < count; t++)
            winograd_input(task, input, (first + t) / across, (first + t) % across, v + t * padded, plane);
        const char *packed = task->weights;
        for (ptrdiff_t c = 0; c < task->filters; c += 2 * WIDTH) {
            // [correction, 36 scales][2 * WIDTH filters], then [36 positions][pairs of channels][filters][2].
            const float *scales = (const float *)packed;
            const int16_t *filters = (const int16_t *)(scales + 37 * 2 * WIDTH);
            const int vectors = task->filters - c > WIDTH ? 2 : 1;
            for (int position = 0; position < 36; position++)
                (vectors > 1 ? winograd_position_2 : winograd_position_1)(
                    count, v + position * plane, padded, pairs, filters + position * pairs * 4 * WIDTH,
                    sums + position * sums_plane);
            packed = (const char *)(filters + 36 * pairs * 4 * WIDTH);
            for (ptrdiff_t t = 0; t < count; t++) {
                vector outputs[16][2];
                for (int half = 0; half < vectors; half++)
                    winograd_output(sums + t * 2 * WIDTH + half * WIDTH, sums_plane,
                                    scales + 2 * WIDTH + half * WIDTH, load(scales + half * WIDTH), outputs, half);
                winograd_tile_stored(task, finish, outputs, residual, output, (first + t) / across,
                                     (first + t) % across, c);
            }
        }
    }
}
