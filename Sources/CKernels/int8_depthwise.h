// SPDX-License-Identifier: Apache-2.0
// Convolution with one filter per channel, in float: sums of at most 500 products of 8-bit numbers are exact there, and
// adding their products takes one instruction.
#pragma once
#include "int8_epilogue.h"
#include "int8_window.h"
#ifdef DEPTHWISE_FORM
#include "int8_depthwise_three.h"
#endif

/// A run of outputs of one row and one vector of channels.
struct run {
    const struct int8_convolution *task;
    const uint8_t *input, *residual;
    uint8_t *output;
    ptrdiff_t y, c, count;
};

INLINE uint8_t *target_of(const struct run *r, ptrdiff_t x) {
    const struct float_window *w = &r->task->window;
    const ptrdiff_t element = element_bytes(&r->task->epilogue);
    return r->output + (r->y * w->output_width + x) * w->output_pitch * element;
}

INLINE vector depthwise_finished(const struct run *r, const enum finish finish, const struct ending *ending, vector sum,
                                 ptrdiff_t x) {
    const struct int8_convolution *task = r->task;
    const ptrdiff_t index = r->y * task->window.output_width + x;
    const uint8_t *residual = r->residual ? r->residual + index * task->residual_pitch : NULL;
    return finished(&task->epilogue, finish, sum, &ending->factors[0], residual, r->c, r->count);
}

/// Stores outputs x ... x + count of a row, four at most.
INLINE void depthwise_stored(const struct run *r, const enum finish finish, const struct ending *ending, ptrdiff_t x,
                             const vector *v, const int count) {
    const struct int8_epilogue *epilogue = &r->task->epilogue;
    for (int i = 0; i < count && is_watched(epilogue, finish); i++) {
        const integers near = near_tie(v[i], load(epilogue->tie + r->c));
        if (__builtin_reduce_or(near)) note_ties(epilogue->ties, target_of(r, x + i) + r->c, &near, r->count);
    }
#ifdef HAS_FOURS
    if (count == 4 && makes_bytes(finish)) {
        uint8_t *targets[4];
        integers steps[4];
        for (int i = 0; i < 4; i++) steps[i] = nearest(v[i]), targets[i] = target_of(r, x + i) + r->c;
        return store_saturated_four(targets, steps, ending->bounds.low, ending->bounds.high, r->count);
    }
#endif
    for (int i = 0; i < count; i += 2) {
        const int next = i + 1 < count ? i + 1 : i;
        store_pair(epilogue, finish, &ending->bounds, target_of(r, x + i), target_of(r, x + next), v + i, v + next, 1, r->c,
                   r->count);
    }
}

/// Outputs of a row that are computed together, so that no sum waits for the one before it; the widest windows whose columns
/// they share.
enum { together = 8, widest_shared = 5 };

/// Windows next to one another: their first output, and whether some of their columns may lie outside of the image; the width of
/// windows and the steps between them, 0 if only the layer knows.
struct group {
    ptrdiff_t x;
    int outputs, is_checked, width, stride;
};

/// A row of an image. Rows outside of it are one pixel over and over.
struct image_row {
    const uint8_t *first, *outside;
    ptrdiff_t pitch, width;
};

INLINE vector column_of(const struct image_row *row, const struct group g, ptrdiff_t ix) {
    return load_bytes(g.is_checked && (ix < 0 || ix >= row->width) ? row->outside : row->first + ix * row->pitch);
}

/// Adds one row of the windows of a group.
INLINE void row_added(vector *sums, const struct run *r, const struct group g, const struct image_row *row, const float *weight,
                      ptrdiff_t padded) {
    const struct float_window *w = &r->task->window;
    if (g.width > 0) {
        // A column is converted once for all windows that it is part of.
        vector weights[widest_shared];
        for (int kx = 0; kx < g.width; kx++) weights[kx] = load(weight + kx * padded);
        const ptrdiff_t ix = g.x * g.stride - w->pad_left;
#pragma clang loop unroll(full)
        for (int i = 0; i < (g.outputs - 1) * g.stride + g.width; i++) {
            const vector in = column_of(row, g, ix + i);
            for (int o = 0; o < g.outputs; o++) {
                const int kx = i - o * g.stride;
                if (kx >= 0 && kx < g.width) sums[o] = fused(in, weights[kx], sums[o]);
            }
            // Column after column: else the compiler loads all of them first, and keeps them in memory.
            for (int o = 0; o < g.outputs; o++) KEEP_IN_REGISTER(sums[o]);
        }
        return;
    }
    for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++, weight += padded) {
        const vector factor = load(weight);
        const ptrdiff_t ix = g.x * w->stride_x - w->pad_left + kx * w->dilation_x;
        for (int o = 0; o < g.outputs; o++)
            sums[o] = fused(column_of(row, g, ix + o * w->stride_x), factor, sums[o]);
    }
}

/// The windows of a group.
INLINE void depthwise_group(const struct run *r, const enum finish finish, const struct ending *ending, const struct group g) {
    const struct float_window *w = &r->task->window;
    const ptrdiff_t padded = (r->task->channels + WIDTH - 1) / WIDTH * WIDTH;
    const float *weight = (const float *)r->task->weights + r->c;
    vector sums[together];
    for (int o = 0; o < g.outputs; o++) sums[o] = load(weight);
    weight += padded;
    for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++, weight += w->kernel_width * padded) {
        const ptrdiff_t iy = r->y * w->stride_y - w->pad_top + ky * w->dilation_y;
        const uint8_t *outside = r->task->outside + r->c;
        const int is_inside = iy >= 0 && iy < w->input_height;
        const struct image_row row = {is_inside ? r->input + iy * w->input_width * w->input_pitch + r->c : outside, outside,
                                      is_inside ? w->input_pitch : 0, w->input_width};
        row_added(sums, r, g, &row, weight, padded);
    }
    const int most = g.outputs < 4 ? g.outputs : 4;
#pragma clang loop unroll(full)
    for (int o = 0; o < g.outputs; o += most) {
        vector results[4];
        for (int i = 0; i < most; i++) results[i] = depthwise_finished(r, finish, ending, sums[o + i], g.x + o + i);
        depthwise_stored(r, finish, ending, g.x + o, results, most);
    }
}

/// A row. Where its end is no whole group, outputs are computed twice if that takes less time.
INLINE void depthwise_row(const struct run *r, const enum finish finish, const int width, const int stride) {
    struct ending ending;
    ending_loaded(&ending, &r->task->epilogue, finish, 1, r->c);
    const struct inner inner = inner_columns(&r->task->window);
    const ptrdiff_t end = r->task->window.output_width;
    ptrdiff_t x = 0;
    for (; end - x > together / 2 && end >= together; x += together) {
        if (end - x < together) x = end - together;
        if (x >= inner.begin && x + together <= inner.end)
            depthwise_group(r, finish, &ending, (struct group){x, together, 0, width, stride});
        else
            depthwise_group(r, finish, &ending, (struct group){x, together, 1, width, stride});
    }
    for (; x < end && end >= together / 2; x += together / 2) {
        if (end - x < together / 2) x = end - together / 2;
        depthwise_group(r, finish, &ending, (struct group){x, together / 2, 1, width, stride});
    }
    for (; x < end; x++) depthwise_group(r, finish, &ending, (struct group){x, 1, 1, width, stride});
}

/// A row of windows of one form: five columns of stride 1 or 2, or any.
INLINE void depthwise_any(const struct run *r, const enum finish finish) {
    const struct float_window *w = &r->task->window;
    const int five = w->kernel_width == 5 && w->dilation_x == 1;
    if (five && w->stride_x == 1)
        depthwise_row(r, finish, 5, 1);
    else if (five && w->stride_x == 2)
        depthwise_row(r, finish, 5, 2);
    else
        depthwise_row(r, finish, 0, 0);
}

#define RUNS(finish)                                                                                          \
    static __attribute__((noinline)) void any_##finish(const struct run *r) {                                 \
        depthwise_any(r, finish);                                                                             \
    }
RUNS(finish_linear)
RUNS(finish_linear_residual)
RUNS(finish_rounded)
RUNS(finish_watched)
RUNS(finish_silu)
RUNS(finish_any)
#undef RUNS

static void (*const any_runs[finish_count])(const struct run *) = {
    [finish_linear] = any_finish_linear,       [finish_linear_residual] = any_finish_linear_residual,
    [finish_rounded] = any_finish_rounded,     [finish_watched] = any_finish_watched,
    [finish_silu] = any_finish_silu,           [finish_silu_residual] = any_finish_any,
    [finish_bounds_residual] = any_finish_any, [finish_float] = any_finish_any,
    [finish_any] = any_finish_any,
};

static void depthwise(const struct int8_convolution *task, const uint8_t *input, const uint8_t *residual, void *output,
                      ptrdiff_t begin, ptrdiff_t end) {
    const enum finish finish = finish_of(&task->epilogue, residual);
#ifdef DEPTHWISE_FORM
    // Weights less their zero point take more than 8 bits.
    const int fits = task->weight_zero == 0 || DEPTHWISE_FORM == 4;
    if (fits && depthwise_three(task, finish, input, output, begin, end)) return;
#endif
    for (ptrdiff_t y = begin; y < end; y++)
        for (ptrdiff_t c = 0; c < task->channels; c += WIDTH) {
            const ptrdiff_t left = task->channels - c;
            const struct run run = {task, input, residual, output, y, c, left < WIDTH ? left : WIDTH};
            any_runs[finish](&run);
        }
}
