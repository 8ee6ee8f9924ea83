// SPDX-License-Identifier: Apache-2.0
// Resizing by weights of rows and columns, over `element`s. The including file defines that type and
// - `tap_added`: weight * the first `count` elements from p on, added to a sum;
// - `sum_stored`: the first `count` elements of a sum, WIDTH at most.
#pragma once

/// One pixel, of `rows` by `columns` taps.
INLINE void interpolated(const struct interpolation *job, const element *input, element *target, const int rows,
                         const int columns, ptrdiff_t y, ptrdiff_t x) {
    const int32_t *row = job->rows + y * rows, *column = job->columns + x * columns;
    const float *row_weight = job->row_weights + y * rows, *column_weight = job->column_weights + x * columns;
    for (ptrdiff_t c = 0; c < job->channels; c += WIDTH) {
        const ptrdiff_t left = job->channels - c, count = left < WIDTH ? left : WIDTH;
        vector sum = {0};
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) {
                const element *p = input + (row[i] * job->input_width + column[j]) * job->input_pitch + c;
                sum = tap_added(sum, splat(row_weight[i] * column_weight[j]), p, count);
            }
        sum_stored(target + c, sum, count);
    }
}

static void interpolate(const struct interpolation *job, const element *input, element *output, ptrdiff_t begin,
                        ptrdiff_t end) {
    for (ptrdiff_t y = begin; y < end; y++)
        for (ptrdiff_t x = 0; x < job->output_width; x++) {
            element *target = output + (y * job->output_width + x) * job->output_pitch;
            if (job->row_taps == 2 && job->column_taps == 2)
                interpolated(job, input, target, 2, 2, y, x);
            else
                interpolated(job, input, target, job->row_taps, job->column_taps, y, x);
        }
}
