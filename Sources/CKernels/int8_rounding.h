// SPDX-License-Identifier: Apache-2.0
// Sums to bytes as float32 arithmetic rounds them. See ckernels_rounding.h.
#pragma once
#include "ckernels_int8.h"
#include "int8_vectors.h"
#include "int8_window.h"

/// A sum of float32 terms in one of the orders.
struct float_sum {
    float total, part, lanes[8];
    /// Terms so far, and the number of them at which the part that is added up ends.
    ptrdiff_t count, end;
};

INLINE ptrdiff_t part_end(const struct int8_float_layer *l, ptrdiff_t begin, ptrdiff_t steps) {
    if (l->order == float_order_blocks) return begin + l->block;
    return steps - begin >= 4 ? begin + 4 : steps - begin >= 2 ? begin + 2 : begin + 1;
}

INLINE void float_sum_add(struct float_sum *s, const struct int8_float_layer *l, float weight, float x, ptrdiff_t steps) {
    if (l->order == float_order_lanes) {
        s->lanes[s->count++ % 8] += weight * x;
        return;
    }
    if (l->order == float_order_blocks)
        s->part = __builtin_fmaf(weight, x, s->part);
    else
        s->part += weight * x;
    if (++s->count != s->end) return;
    s->total += s->part;
    s->part = 0;
    s->end = part_end(l, s->count, steps);
}

INLINE float float_sum_total(const struct float_sum *s, const struct int8_float_layer *l, ptrdiff_t filter) {
    if (l->order != float_order_lanes) return s->total + s->part;
    const float *a = s->lanes;
    // Four filters at a time, then two, then one.
    if (filter < l->filters / 4 * 4) return s->total + ((((a[0] + a[1]) + a[2]) + a[3]) + (((a[4] + a[5]) + a[6]) + a[7]));
    if (filter < l->filters / 2 * 2) return s->total + (((a[2] + a[0]) + (a[6] + a[4])) + ((a[3] + a[1]) + (a[7] + a[5])));
    return s->total + (((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7])));
}

/// The result of a filter at an output pixel, computed in float32.
static uint8_t float_layer_byte(const struct int8_float_layer *l, const uint8_t *input, ptrdiff_t pixel, ptrdiff_t filter) {
    const struct float_window *w = &l->window;
    const ptrdiff_t y0 = pixel / w->output_width * w->stride_y - w->pad_top;
    const ptrdiff_t x0 = pixel % w->output_width * w->stride_x - w->pad_left;
    const ptrdiff_t steps = l->channels * w->kernel_height * w->kernel_width;
    const float scale = l->weight_scale[filter], bias = l->bias ? l->bias[filter] : 0;
    const int8_t *weight = l->weight + filter * l->filter_stride;
    struct float_sum sum = {.total = l->starts_with_bias ? bias : 0, .end = part_end(l, 0, steps)};
    for (ptrdiff_t c = 0; c < l->channels; c++) {
        const uint8_t *channel = input + (l->is_depthwise ? filter : c);
        for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
            const ptrdiff_t y = y0 + ky * w->dilation_y;
            for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++, weight += l->step_stride) {
                const ptrdiff_t x = x0 + kx * w->dilation_x;
                const int is_inside = y >= 0 && y < w->input_height && x >= 0 && x < w->input_width;
                const int stored = is_inside ? channel[(y * w->input_width + x) * w->input_pitch] - l->input_zero : 0;
                float_sum_add(&sum, l, (float)(*weight - l->weight_zero) * scale, (float)stored * l->input_scale, steps);
            }
        }
    }
    float real = float_sum_total(&sum, l, filter);
    if (!l->starts_with_bias) real += bias;
    real = real < l->high ? real : l->high;
    real = real > l->low ? real : l->low;
    const float stored = __builtin_rintf(real / l->output_scale) + (float)l->output_zero;
    return stored > 0 ? stored < 255 ? (uint8_t)stored : 255 : 0;
}

static void resolve_ties(const struct int8_float_layer *l, const uint8_t *input, uint8_t *output, const struct int8_ties *ties) {
    const ptrdiff_t pitch = l->window.output_pitch, count = ties->count < ties->capacity ? ties->count : ties->capacity;
    for (ptrdiff_t i = 0; i < count; i++) {
        const ptrdiff_t pixel = ties->offsets[i] / pitch, filter = ties->offsets[i] % pitch;
        output[ties->offsets[i]] = float_layer_byte(l, input, pixel, filter);
    }
}

static void round_results(const struct int8_float_layer *l, const float *results, const float *tie, const uint8_t *input,
                          uint8_t *output, ptrdiff_t pixels) {
    const vector inverse = splat(1 / l->output_scale), zero = splat((float)l->output_zero);
    const vector low = splat(-1) - zero, high = splat(256) - zero;
    for (ptrdiff_t pixel = 0; pixel < pixels; pixel++, results += l->filters) {
        uint8_t *y = output + pixel * l->window.output_pitch;
        for (ptrdiff_t c = 0; c < l->filters; c += WIDTH) {
            const ptrdiff_t count = l->filters - c < WIDTH ? l->filters - c : WIDTH;
            const vector steps = least(greatest(load_part(results + c, count) * inverse, low), high);
            const vector whole = rounded(steps);
            store_bytes(y + c, whole + zero, count);
            const integers near = greatest(steps - whole, whole - steps) > load(tie + c);
            if (!__builtin_reduce_or(near)) continue;
            for (ptrdiff_t i = 0; i < count; i++)
                if (near[i]) y[c + i] = float_layer_byte(l, input, pixel, c + i);
        }
    }
}

/// A vector of channels of each position of a window.
struct float_positions {
    struct window_part window;
    ptrdiff_t c, count;
    vector zero, scale;
};

INLINE vector float_at(const struct float_positions *p, ptrdiff_t row, ptrdiff_t column) {
    const uint8_t *first = p->window.first + row * p->window.row_step + column * p->window.column_step;
    return (load_bytes_part(first + p->c, p->count) - p->zero) * p->scale;
}

static vector sum_by_columns(const struct float_positions *p) {
    vector sum = {0};
    for (ptrdiff_t column = 0; column < p->window.columns; column++) {
        vector part = {0};
        for (ptrdiff_t row = 0; row < p->window.rows; row++) part += float_at(p, row, column);
        sum += part;
    }
    return sum;
}

static vector sum_by_rows(const struct float_positions *p, const int by_fours) {
    const ptrdiff_t count = by_fours ? p->window.rows * p->window.columns / 4 * 4 : 0;
    vector sums[4] = {{0}}, sum = {0};
    ptrdiff_t i = 0;
    for (ptrdiff_t row = 0; row < p->window.rows; row++)
        for (ptrdiff_t column = 0; column < p->window.columns; column++, i++) {
            if (i == count) sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
            if (i < count)
                sums[i % 4] += float_at(p, row, column);
            else
                sum += float_at(p, row, column);
        }
    return i == count ? (sums[0] + sums[2]) + (sums[1] + sums[3]) : sum;
}

static void average_pool_floats(const struct float_pool *pool, const struct int8_float_pool *by, const uint8_t *input,
                                uint8_t *output, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &pool->window;
    for (ptrdiff_t y = begin; y < end; y++)
        for (ptrdiff_t x = 0; x < w->output_width; x++) {
            struct float_positions positions = {
                .window = part_inside(w, input, y, x),
                .zero = splat((float)by->input_zero),
                .scale = splat(by->input_scale),
            };
            const ptrdiff_t number = positions.window.rows * positions.window.columns;
            const vector divisor = splat(number > 0 ? (float)number : 1);
            uint8_t *target = output + (y * w->output_width + x) * w->output_pitch;
            for (ptrdiff_t c = 0; c < pool->channels; c += WIDTH) {
                const ptrdiff_t left = pool->channels - c;
                positions.c = c, positions.count = left < WIDTH ? left : WIDTH;
                const vector sum = by->order == float_pool_columns ? sum_by_columns(&positions)
                                                                   : sum_by_rows(&positions, by->order == float_pool_lanes);
                const vector steps = rounded(sum / divisor / splat(by->output_scale));
                store_bytes(target + c, steps + splat((float)by->output_zero), positions.count);
            }
        }
}
