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

INLINE void depthwise_store(const struct run *r, const enum finish finish, const struct ending *ending, uint8_t *target,
                            vector v) {
    const struct int8_epilogue *epilogue = &r->task->epilogue;
    if (is_watched(epilogue, finish)) {
        const integers near = near_tie(v, load(epilogue->tie + r->c));
        if (__builtin_reduce_or(near)) note_ties(epilogue->ties, target + r->c, &near, r->count);
    }
    if (makes_floats(epilogue, finish))
        store_part((float *)target + r->c, v, r->count);
    else
        store_pair(epilogue, finish, &ending->bounds, target, target, &v, &v, 1, r->c, r->count);
}

/// Any window, any place.
INLINE void depthwise_any(const struct run *r, const enum finish finish, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &r->task->window;
    const ptrdiff_t padded = (r->task->channels + WIDTH - 1) / WIDTH * WIDTH;
    const float *packed = (const float *)r->task->weights + r->c;
    struct ending ending;
    ending_loaded(&ending, &r->task->epilogue, finish, 1, r->c);
    for (ptrdiff_t x = begin; x < end; x++) {
        vector sum = load(packed);
        const float *weight = packed + padded;
        for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
            const ptrdiff_t iy = r->y * w->stride_y - w->pad_top + ky * w->dilation_y;
            const uint8_t *row = iy < 0 || iy >= w->input_height ? NULL : r->input + iy * w->input_width * w->input_pitch;
            for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++, weight += padded) {
                const ptrdiff_t ix = x * w->stride_x - w->pad_left + kx * w->dilation_x;
                const uint8_t *p =
                    !row || ix < 0 || ix >= w->input_width ? r->task->outside : row + ix * w->input_pitch;
                sum = fused(load_bytes(p + r->c), load(weight), sum);
            }
        }
        depthwise_store(r, finish, &ending, target_of(r, x), depthwise_finished(r, finish, &ending, sum, x));
    }
}

#define RUNS(finish)                                                                                          \
    static __attribute__((noinline)) void any_##finish(const struct run *r, ptrdiff_t begin, ptrdiff_t end) { \
        depthwise_any(r, finish, begin, end);                                                                 \
    }
RUNS(finish_linear)
RUNS(finish_linear_residual)
RUNS(finish_rounded)
RUNS(finish_watched)
RUNS(finish_silu)
RUNS(finish_any)
#undef RUNS

static void (*const any_runs[finish_count])(const struct run *, ptrdiff_t, ptrdiff_t) = {
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
            any_runs[finish](&run, 0, task->window.output_width);
        }
}
