// SPDX-License-Identifier: Apache-2.0
// Rounding of the sums of a quantized layer as float32 arithmetic does it. A network that is written as operators over floats
// between conversions (QDQ) means the sums of floats, and those depend on the order of their terms; the sums of bytes are exact.
// Both become the same byte, unless the number lies next to the middle of two. A layer's kernels note where that is, and there
// the terms are added up once more in float32, in the order of ONNX Runtime's kernels for x86 (MLAS: sgemm.cpp, convolve.cpp,
// SgemmKernelM1*.S), which such networks are compared with.
#pragma once
#include "ckernels_float.h"

/// Bytes of an image that may be others in float32: what lies how far behind `origin`.
struct int8_ties {
    const uint8_t *origin;
    uint32_t *offsets;
    /// How many there are, some more than once; beyond `capacity` they are counted only.
    ptrdiff_t count, capacity;
};

enum float_order {
    /// Sums of `block` terms, each by fused multiply-adds from zero, are added up.
    float_order_blocks,
    /// Rounded products are added up by fours, and these sums in turn; of what is left two, then one. Where there is one filter.
    float_order_fours,
    /// Rounded products go to eight sums in turn, which are added up in one of three orders that depends on the filter. Where
    /// there is one pixel.
    float_order_lanes,
};

/// A layer of floats.
struct float_ordered {
    /// A matrix product is a window of one pixel over rows.
    struct float_window window;
    /// Channels that a filter reads, and filters; with a filter per channel these alone count.
    ptrdiff_t channels, filters;
    /// [vector of filters][step][filter], where steps are [channel][ky][kx].
    const float *weights;
    /// A whole number of vectors; or null.
    const float *bias;
    /// Whether the terms are added to the bias, and not the bias to their sum.
    int starts_with_bias;
    enum float_order order;
    ptrdiff_t block;
    /// Bounds of the result: the activation.
    float low, high;
};

/// A layer that makes bytes of bytes.
struct int8_float_layer {
    /// Pitches in bytes. A matrix product is a window of one pixel over rows.
    struct float_window window;
    /// Channels that a filter reads; a filter per channel reads its own.
    ptrdiff_t channels, filters;
    int is_depthwise;
    /// The weight of filter f and step s ([channel][ky][kx]) is at f * filter_stride + s * step_stride.
    const int8_t *weight;
    ptrdiff_t filter_stride, step_stride;
    int weight_zero;
    /// Per filter; `bias` in real units, or null.
    const float *weight_scale, *bias;
    /// Whether the terms are added to the bias, and not the bias to their sum.
    int starts_with_bias;
    float input_scale;
    int input_zero;
    enum float_order order;
    ptrdiff_t block;
    /// Bounds of the result in real units: the activation.
    float low, high;
    float output_scale;
    int output_zero;
};

enum float_pool_order {
    /// The columns of a window are added up, then their sums.
    float_pool_columns,
    /// All positions, row by row.
    float_pool_rows,
    /// Row by row four positions at a time go to four sums, of which the first and third, the second and fourth, and these two are
    /// added up, then what is left.
    float_pool_lanes,
};

/// Scale and zero point of a mean of floats, and of what it is stored as.
struct int8_float_pool {
    enum float_pool_order order;
    float input_scale, output_scale;
    int input_zero, output_zero;
};
