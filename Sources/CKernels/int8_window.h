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
