// SPDX-License-Identifier: Apache-2.0
// Where windows lie in their image.
#pragma once
#include "ckernels_int8.h"

/// Output columns [begin, end) whose windows lie within the image.
struct inner {
    ptrdiff_t begin, end;
};

INLINE struct inner inner_columns(const struct float_window *w) {
    const ptrdiff_t reach = (w->kernel_width - 1) * w->dilation_x - w->pad_left;
    struct inner s = {(w->pad_left + w->stride_x - 1) / w->stride_x, 0};
    if (w->input_width - 1 - reach >= 0) s.end = (w->input_width - 1 - reach) / w->stride_x + 1;
    if (s.end > w->output_width) s.end = w->output_width;
    return s;
}

/// The part of a window that lies within the image, along one axis.
struct span {
    ptrdiff_t begin, end;
};

INLINE struct span inside(ptrdiff_t origin, ptrdiff_t kernel, ptrdiff_t dilation, ptrdiff_t extent) {
    struct span s = {0, kernel};
    while (s.begin < kernel && origin + s.begin * dilation < 0) s.begin++;
    while (s.end > s.begin && origin + (s.end - 1) * dilation >= extent) s.end--;
    return s;
}

/// The part of a window that lies within the image: where it begins, its extents, and bytes from one row, or column, to the next.
struct window_part {
    const uint8_t *first;
    ptrdiff_t rows, columns, row_step, column_step;
};

/// Of the window of an output pixel.
INLINE struct window_part part_inside(const struct float_window *w, const uint8_t *input, ptrdiff_t y, ptrdiff_t x) {
    const ptrdiff_t y0 = y * w->stride_y - w->pad_top, x0 = x * w->stride_x - w->pad_left;
    const struct span rows = inside(y0, w->kernel_height, w->dilation_y, w->input_height);
    const struct span columns = inside(x0, w->kernel_width, w->dilation_x, w->input_width);
    const ptrdiff_t row = y0 + rows.begin * w->dilation_y, column = x0 + columns.begin * w->dilation_x;
    const struct window_part part = {input + (row * w->input_width + column) * w->input_pitch, rows.end - rows.begin,
                                     columns.end - columns.begin, w->dilation_y * w->input_width * w->input_pitch,
                                     w->dilation_x * w->input_pitch};
    return part;
}
