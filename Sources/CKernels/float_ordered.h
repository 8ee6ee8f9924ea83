// SPDX-License-Identifier: Apache-2.0
// Layers of floats whose sums are made in a given order (`enum float_order`), the same on every processor. Windows are copied
// first, steps in that order, unless they are one pixel.
#pragma once
#include "ckernels_rounding.h"

INLINE vector ordered_bounds(const struct float_ordered *l, vector sum, const float *bias) {
    if (bias && !l->starts_with_bias) sum += load(bias);
    return least(greatest(sum, splat(l->low)), splat(l->high));
}

/// Step at which the part that is added up ends.
INLINE ptrdiff_t ordered_end(const struct float_ordered *l, ptrdiff_t begin, ptrdiff_t steps) {
    if (l->order == float_order_blocks) return steps - begin < l->block ? steps : begin + l->block;
    return steps - begin >= 4 ? begin + 4 : steps - begin >= 2 ? begin + 2 : steps;
}

/// WIDTH filters of TILE_PIXELS windows.
INLINE void ordered_tile(const struct float_ordered *l, const float *const *rows, const float *weights, const float *bias,
                         ptrdiff_t steps, vector *sums) {
    const int is_fused = l->order == float_order_blocks;
    for (int p = 0; p < TILE_PIXELS; p++) sums[p] = bias && l->starts_with_bias ? load(bias) : splat(0);
    for (ptrdiff_t begin = 0; begin < steps;) {
        const ptrdiff_t end = ordered_end(l, begin, steps);
        vector parts[TILE_PIXELS] = {{0}};
        if (is_fused) {
            for (ptrdiff_t k = begin; k < end; k++) {
                const vector weight = load(weights + k * WIDTH);
#pragma clang loop unroll(full)
                for (int p = 0; p < TILE_PIXELS; p++)
                    parts[p] = __builtin_elementwise_fma(weight, splat(rows[p][k]), parts[p]);
            }
        } else {
            for (ptrdiff_t k = begin; k < end; k++) {
                const vector weight = load(weights + k * WIDTH);
#pragma clang loop unroll(full)
                for (int p = 0; p < TILE_PIXELS; p++) parts[p] += weight * splat(rows[p][k]);
            }
        }
        for (int p = 0; p < TILE_PIXELS; p++) sums[p] += parts[p];
        begin = end;
    }
}

/// Filters first ... first + WIDTH of one window in eight sums.
INLINE vector ordered_lanes(const struct float_ordered *l, const float *row, const float *weights, const float *bias,
                            ptrdiff_t steps, ptrdiff_t first) {
    vector a[8] = {{0}};
    for (ptrdiff_t k = 0; k < steps; k++) a[k % 8] += load(weights + k * WIDTH) * splat(row[k]);
    const vector fours = (((a[0] + a[1]) + a[2]) + a[3]) + (((a[4] + a[5]) + a[6]) + a[7]);
    const vector twos = ((a[2] + a[0]) + (a[6] + a[4])) + ((a[3] + a[1]) + (a[7] + a[5]));
    const vector ones = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
    vector sum;
    for (int i = 0; i < WIDTH; i++)
        sum[i] = first + i < l->filters / 4 * 4 ? fours[i] : first + i < l->filters / 2 * 2 ? twos[i] : ones[i];
    return bias && l->starts_with_bias ? load(bias) + sum : sum;
}

/// Copies a window, channel after channel.
INLINE void ordered_window(const struct float_ordered *l, const float *input, ptrdiff_t pixel, float *patch) {
    const struct float_window *w = &l->window;
    const ptrdiff_t y0 = pixel / w->output_width * w->stride_y - w->pad_top;
    const ptrdiff_t x0 = pixel % w->output_width * w->stride_x - w->pad_left, taps = w->kernel_height * w->kernel_width;
    for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++)
        for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++, patch++) {
            const ptrdiff_t y = y0 + ky * w->dilation_y, x = x0 + kx * w->dilation_x;
            const int is_inside = y >= 0 && y < w->input_height && x >= 0 && x < w->input_width;
            const float *from = input + (is_inside ? (y * w->input_width + x) * w->input_pitch : 0);
            for (ptrdiff_t c = 0; c < l->channels; c++) patch[c * taps] = is_inside ? from[c] : 0;
        }
}

static void ordered(const struct float_ordered *l, const float *input, float *output, float *patches, ptrdiff_t begin,
                    ptrdiff_t end) {
    const struct float_window *w = &l->window;
    const ptrdiff_t steps = l->channels * w->kernel_height * w->kernel_width;
    for (ptrdiff_t first = begin; first < end; first += TILE_PIXELS) {
        const int pixels = end - first < TILE_PIXELS ? (int)(end - first) : TILE_PIXELS;
        const float *rows[TILE_PIXELS];
        for (int p = 0; p < TILE_PIXELS; p++) {
            rows[p] = patches + (p < pixels ? p : 0) * steps;
            if (p < pixels) ordered_window(l, input, first + p, patches + p * steps);
        }
        for (ptrdiff_t f = 0; f < l->filters; f += WIDTH) {
            const ptrdiff_t count = l->filters - f < WIDTH ? l->filters - f : WIDTH;
            const float *weights = l->weights + f * steps, *bias = l->bias ? l->bias + f : NULL;
            vector sums[TILE_PIXELS];
            if (l->order == float_order_lanes)
                for (int p = 0; p < pixels; p++) sums[p] = ordered_lanes(l, rows[p], weights, bias, steps, f);
            else
                ordered_tile(l, rows, weights, bias, steps, sums);
            for (int p = 0; p < pixels; p++)
                store_part(output + (first + p) * w->output_pitch + f, ordered_bounds(l, sums[p], bias), count);
        }
    }
}

static void ordered_depthwise(const struct float_ordered *l, const float *input, float *output, ptrdiff_t begin,
                              ptrdiff_t end) {
    const struct float_window *w = &l->window;
    const ptrdiff_t taps = w->kernel_height * w->kernel_width;
    for (ptrdiff_t pixel = begin; pixel < end; pixel++) {
        const ptrdiff_t y0 = pixel / w->output_width * w->stride_y - w->pad_top;
        const ptrdiff_t x0 = pixel % w->output_width * w->stride_x - w->pad_left;
        for (ptrdiff_t c = 0; c < l->filters; c += WIDTH) {
            const ptrdiff_t count = l->filters - c < WIDTH ? l->filters - c : WIDTH;
            const float *weights = l->weights + c * taps, *bias = l->bias ? l->bias + c : NULL;
            vector sum = {0}, part = {0};
            ptrdiff_t stop = ordered_end(l, 0, taps);
            for (ptrdiff_t t = 0; t < taps; t++) {
                const ptrdiff_t y = y0 + t / w->kernel_width * w->dilation_y, x = x0 + t % w->kernel_width * w->dilation_x;
                if (y >= 0 && y < w->input_height && x >= 0 && x < w->input_width)
                    part += load(weights + t * WIDTH) * load_part(input + (y * w->input_width + x) * w->input_pitch + c, count);
                if (t + 1 < stop) continue;
                sum += part;
                part = splat(0);
                stop = ordered_end(l, stop, taps);
            }
            store_part(output + pixel * w->output_pitch + c, ordered_bounds(l, sum, bias), count);
        }
    }
}
