// SPDX-License-Identifier: Apache-2.0
// Windows of 3x3, one filter per channel, in integers. The three rows of a column are interleaved, so that one instruction
// multiplies and adds several taps; a column is interleaved once for all windows that share it. Interleaving within
// 128-bit lanes leaves the channels of a block in another order, which packing the results to bytes undoes: vector j has
// channels 16 * lane + 4 * j ... 4 * j + 3 of each lane. Everything per channel is brought into that order first.
#pragma once
#include "int8_epilogue.h"

/// Channels of a block; output pixels that are computed together; rows for which the numbers of a block are prepared once.
enum { block_channels = 4 * WIDTH, three_outputs = 4, strip_rows = 8 };

/// What stands beside a block of channels, in the order of the sums.
struct beside {
    vector multiplier[4], bias[4], high[4], inverse_scale[4], zero[4];
    uint8_t low[block_channels];
};

INLINE void reordered(vector *target, const float *source) {
    float numbers[block_channels];
    for (int j = 0; j < 4; j++)
        for (int lane = 0; lane < WIDTH / 4; lane++)
            memcpy(numbers + j * WIDTH + lane * 4, source + lane * 16 + j * 4, 16);
    memcpy(target, numbers, sizeof numbers);
}

/// One row of outputs of one block of channels.
struct row {
    const struct beside *beside;
    /// [4 vectors of starting sums, then per column and half its multipliers]
    const int8_t *packed;
    const uint8_t *rows[3], *outside;
    ptrdiff_t pitches[3];
    ptrdiff_t width, pad;
    uint8_t *output;
    ptrdiff_t output_pitch, count;
};

INLINE vector three_finished(const struct beside *b, const enum finish finish, integers sum, int j) {
    vector f = fused(__builtin_convertvector(sum, vector), b->multiplier[j], b->bias[j]);
    if (finish == finish_silu) f = fused(f / one_and_exponential(f), b->inverse_scale[j], b->zero[j]);
    return least(f, b->high[j]);
}

INLINE void three_windows(const struct row *r, const enum finish finish, const int stride, const int outputs,
                          ptrdiff_t x) {
    const uint8_t *columns[(three_outputs - 1) * 2 + 3][3];
    const int count = (outputs - 1) * stride + 3;
    for (int i = 0; i < count; i++) {
        const ptrdiff_t ix = x * stride - r->pad + i;
        const int is_inside = ix >= 0 && ix < r->width;
        for (int ky = 0; ky < 3; ky++) columns[i][ky] = is_inside ? r->rows[ky] + ix * r->pitches[ky] : r->outside;
    }
    integers packed[three_outputs][2];
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
        integers sums[three_outputs][2];
        for (int j = 0; j < 2; j++) {
            const integers start = *(const loose_integers *)(r->packed + (half * 2 + j) * WIDTH * 4);
            for (int o = 0; o < outputs; o++) sums[o][j] = start;
        }
        const int8_t *weights = r->packed + (4 + half * DEPTHWISE_FORM) * WIDTH * 4;
#pragma clang loop unroll(full)
        for (int i = 0; i < count; i++) {
            integers taps[DEPTHWISE_FORM];
            interleaved(taps, columns[i][0], columns[i][1], columns[i][2], half);
            for (int o = 0; o < outputs; o++) {
                const int kx = i - o * stride;
                if (kx < 0 || kx >= 3) continue;
                for (int j = 0; j < 2; j++)
                    sums[o][j] = column_added(sums[o][j], taps, weights + kx * 2 * DEPTHWISE_FORM * WIDTH * 4, j);
            }
        }
        for (int o = 0; o < outputs; o++)
            packed[o][half] = pack_words(nearest(three_finished(r->beside, finish, sums[o][0], half * 2)),
                                         nearest(three_finished(r->beside, finish, sums[o][1], half * 2 + 1)));
    }
    for (int o = 0; o < outputs; o++) {
        octets_of_block low, b = (octets_of_block)pack_octets(packed[o][0], packed[o][1]);
        memcpy(&low, r->beside->low, sizeof low);
        b = __builtin_elementwise_max(b, low);
        uint8_t *target = r->output + (x + o) * r->output_pitch;
        if (r->count >= block_channels) {
            memcpy(target, &b, sizeof b);
        } else {
            uint8_t whole[block_channels];
            memcpy(whole, &b, sizeof b);
            ptrdiff_t done = 0;
            for (; done + 16 <= r->count; done += 16) memcpy(target + done, whole + done, 16);
            for (; done + 4 <= r->count; done += 4) memcpy(target + done, whole + done, 4);
            for (; done < r->count; done++) target[done] = whole[done];
        }
    }
}

INLINE void three_row(const struct row *r, const enum finish finish, const int stride, ptrdiff_t outputs) {
    ptrdiff_t x = 0;
    for (; x + three_outputs <= outputs; x += three_outputs) three_windows(r, finish, stride, three_outputs, x);
    for (; x < outputs; x++) three_windows(r, finish, stride, 1, x);
}

static __attribute__((noinline)) void three_linear(const struct row *r, ptrdiff_t outputs) {
    three_row(r, finish_linear, 1, outputs);
}
static __attribute__((noinline)) void three_silu(const struct row *r, ptrdiff_t outputs) {
    three_row(r, finish_silu, 1, outputs);
}
static __attribute__((noinline)) void three_linear_strided(const struct row *r, ptrdiff_t outputs) {
    three_row(r, finish_linear, 2, outputs);
}
static __attribute__((noinline)) void three_silu_strided(const struct row *r, ptrdiff_t outputs) {
    three_row(r, finish_silu, 2, outputs);
}

/// Output rows [begin, end). False if it is another kind of layer.
static int depthwise_three(const struct int8_convolution *task, const enum finish finish, const uint8_t *input,
                           uint8_t *output, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &task->window;
    const struct int8_epilogue *e = &task->epilogue;
    if (w->kernel_height != 3 || w->kernel_width != 3 || w->dilation_x != 1 || w->stride_x < 1 || w->stride_x > 2 ||
        (finish != finish_linear && finish != finish_silu))
        return 0;
    void (*const run)(const struct row *, ptrdiff_t) =
        finish == finish_linear ? (w->stride_x == 1 ? three_linear : three_linear_strided)
                                : (w->stride_x == 1 ? three_silu : three_silu_strided);
    const int8_t *packed = (const int8_t *)task->weights + int8_depthwise_floats(WIDTH, task->channels, 9);
    for (ptrdiff_t strip = begin; strip < end; strip += strip_rows)
        for (ptrdiff_t c = 0; c < task->channels; c += block_channels) {
            struct beside beside;
            reordered(beside.multiplier, e->multiplier + c);
            reordered(beside.bias, e->bias + c);
            reordered(beside.high, e->high + c);
            if (finish == finish_silu) {
                reordered(beside.inverse_scale, e->inverse_scale + c);
                reordered(beside.zero, e->zero + c);
            }
            memcpy(beside.low, e->low + c, block_channels);
            struct row row = {
                .beside = &beside,
                .packed = packed + c * (4 + 6 * DEPTHWISE_FORM),
                .outside = task->outside + c,
                .width = w->input_width,
                .pad = w->pad_left,
                .output_pitch = w->output_pitch,
                .count = task->channels - c,
            };
            for (ptrdiff_t y = strip; y < end && y < strip + strip_rows; y++) {
                for (int ky = 0; ky < 3; ky++) {
                    const ptrdiff_t iy = y * w->stride_y - w->pad_top + ky * w->dilation_y;
                    // A row outside of the image is one pixel over and over.
                    const int is_inside = iy >= 0 && iy < w->input_height;
                    row.rows[ky] = is_inside ? input + iy * w->input_width * w->input_pitch + c : row.outside;
                    row.pitches[ky] = is_inside ? w->input_pitch : 0;
                }
                row.output = output + y * w->output_width * w->output_pitch + c;
                run(&row, w->output_width);
            }
        }
    return 1;
}
