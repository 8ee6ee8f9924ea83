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

/// A tile within the image, of one vector of filters from `c` on.
struct winograd_place {
    ptrdiff_t first, rows, columns, c, count;
    const uint8_t *residual;
    uint8_t *output;
};

/// Four outputs of a row, those within the image: from pixel `index` on.
INLINE void winograd_row_stored(const struct int8_convolution *task, const enum finish finish, const struct ending *ending,
                                const struct winograd_place *place, ptrdiff_t index, const vector y[4]) {
    const struct int8_epilogue *epilogue = &task->epilogue;
    const ptrdiff_t pitch = task->window.output_pitch * element_bytes(epilogue), last = place->columns - 1;
    // Where outputs go that are outside of the image.
    float spare[2 * WIDTH];
    vector values[4];
    uint8_t *targets[4];
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
        const ptrdiff_t pixel = index + (j < last ? j : last);
        const uint8_t *residual = place->residual ? place->residual + pixel * task->residual_pitch : NULL;
        targets[j] = j <= last ? place->output + pixel * pitch : (uint8_t *)spare - place->c * element_bytes(epilogue);
        values[j] = finished(epilogue, finish, y[j], &ending->factors[0], residual, place->c, place->count);
    }
#ifdef HAS_FOURS
    if (makes_bytes(finish)) {
        integers steps[4];
        for (int j = 0; j < 4; j++) steps[j] = nearest(values[j]), targets[j] += place->c;
        return store_saturated_four(targets, steps, ending->bounds.low, ending->bounds.high, place->count);
    }
#endif
    for (int j = 0; j < 4; j += 2)
        store_pair(epilogue, finish, &ending->bounds, targets[j], targets[j + 1], &values[j], &values[j + 1], 1, place->c,
                   place->count);
}

/// A tile's sums of one vector of filters to its outputs. `sums`: [36 positions] `plane` apart.
INLINE void winograd_output(const struct int8_convolution *task, const enum finish finish, const struct ending *ending,
                            const struct winograd_place *place, const int32_t *sums, ptrdiff_t plane, const float *scales,
                            vector correction) {
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
    for (int i = 0; i < place->rows; i++) {
        vector y[4];
        output_transformed(half[i], y);
        for (int j = 0; j < 4; j++) y[j] += correction;
        winograd_row_stored(task, finish, ending, place, place->first + i * task->window.output_width, y);
    }
}

/// Tiles [first, first + count) of the filters of one vector or two from `c` on.
INLINE void winograd_outputs(const struct int8_convolution *task, const enum finish finish, const uint8_t *residual,
                             uint8_t *output, ptrdiff_t first, ptrdiff_t count, ptrdiff_t c, const int32_t *sums,
                             ptrdiff_t plane, const float *scales) {
    const struct float_window *w = &task->window;
    const ptrdiff_t across = (w->output_width + 3) / 4, filters = task->filters - c;
    for (int v = 0; v < 2 && v * WIDTH < filters; v++) {
        const ptrdiff_t left = filters - v * WIDTH;
        struct winograd_place place = {
            .c = c + v * WIDTH, .count = left < WIDTH ? left : WIDTH, .residual = residual, .output = output};
        struct ending ending;
        ending_loaded(&ending, &task->epilogue, finish, 1, place.c);
        const vector correction = load(scales + v * WIDTH);
        for (ptrdiff_t t = 0; t < count; t++) {
            const ptrdiff_t y = (first + t) / across * 4, x = (first + t) % across * 4;
            place.first = y * w->output_width + x;
            place.rows = w->output_height - y < 4 ? w->output_height - y : 4;
            place.columns = w->output_width - x < 4 ? w->output_width - x : 4;
            winograd_output(task, finish, &ending, &place, sums + (t * 2 + v) * WIDTH, plane, scales + (2 + v) * WIDTH, correction);
        }
    }
}

static void winograd_finished(const struct int8_convolution *task, enum finish finish, const uint8_t *residual,
                              uint8_t *output, ptrdiff_t first, ptrdiff_t count, ptrdiff_t c, const int32_t *sums,
                              ptrdiff_t plane, const float *scales) {
#define OUTPUTS(finish) winograd_outputs(task, finish, residual, output, first, count, c, sums, plane, scales)
    switch (finish) {
        case finish_linear: return OUTPUTS(finish_linear);
        case finish_linear_residual: return OUTPUTS(finish_linear_residual);
        case finish_silu: return OUTPUTS(finish_silu);
        case finish_silu_residual: return OUTPUTS(finish_silu_residual);
        default: return OUTPUTS(finish_any);
    }
#undef OUTPUTS
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
            winograd_finished(task, finish, residual, output, first, count, c, sums, sums_plane, scales);
        }
    }
}
