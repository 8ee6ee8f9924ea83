// SPDX-License-Identifier: Apache-2.0
// Kernels over float32. Images are channels last: pixel after pixel, each `pitch` floats from the next, of which the first
// `channels` are the pixel's. What a kernel computes does not depend on how its work is cut into ranges.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// What follows the sum in a layer. Values in `low` and `high`: the bounds of `float_clamp`, the slope of
/// `float_leaky_relu` (low), slope and offset of `float_hard_sigmoid`.
enum float_activation {
    float_clamp,
    float_leaky_relu,
    float_sigmoid,
    float_silu,
    float_hard_sigmoid,
    float_hard_swish,
    float_tanh,
    float_exp,
    float_abs,
    float_negate,
    float_sqrt,
    float_reciprocal,
    float_erf,
    /// x (1 + erf(x / sqrt 2)) / 2
    float_gelu,
};

struct float_epilogue {
    enum float_activation activation;
    float low, high;
};

/// A window that moves over an image: output pixel (y, x) reads input rows `y * stride_y + ky * dilation_y - pad_top`.
struct float_window {
    ptrdiff_t input_height, input_width, input_pitch;
    ptrdiff_t output_height, output_width, output_pitch;
    ptrdiff_t kernel_height, kernel_width;
    ptrdiff_t stride_y, stride_x, dilation_y, dilation_x, pad_top, pad_left;
};

/// y = activation(bias + sum of weight * x [+ residual]) [+ residual], for `channels` inputs and `filters` outputs.
struct float_convolution {
    struct float_window window;
    ptrdiff_t channels, filters;
    /// As `float_pack_weights` (dense) or `float_pack_depthwise` made them, for the same kernels.
    const float *weights;
    /// At least kernel_width * channels zeros, which stand for rows outside of the image.
    const float *zeros;
    ptrdiff_t residual_pitch;
    int residual_after_activation;
    struct float_epilogue epilogue;
};

enum float_pool_kind { float_pool_maximum, float_pool_average };

struct float_pool {
    struct float_window window;
    ptrdiff_t channels;
    enum float_pool_kind kind;
    /// Average: the divisor counts positions in the padding (of these extents at the end), but none beyond it.
    int counts_padding;
    ptrdiff_t pad_bottom, pad_right;
};

/// How the pixels of an image become those of another size: each output row is a sum of `row_taps` input rows, each column of
/// `column_taps` input columns. Taps that are not needed have the weight 0. Pitches in elements.
struct interpolation {
    ptrdiff_t input_width, input_pitch, output_width, output_pitch, channels;
    int row_taps, column_taps;
    /// Positions, and weights, [output][taps].
    const int32_t *rows, *columns;
    const float *row_weights, *column_weights;
};

enum float_binary {
    float_add,
    float_subtract,
    float_multiply,
    float_divide,
    float_maximum,
    float_minimum,
};

struct float_ordered;

/// One implementation of everything, for one instruction set.
struct float_kernels {
    const char *name;
    /// Floats in a vector; pixels of an output tile.
    int width, tile_pixels;
    /// Output pixels [begin, end) in row-major order of one image. `patches`: `tile_pixels * kernel_height * kernel_width *
    /// channels` floats of scratch. `residual` may be null.
    void (*convolution)(const struct float_convolution *, const float *input, const float *residual, float *output,
                        float *patches, ptrdiff_t begin, ptrdiff_t end);
    /// Output rows [begin, end) of one image.
    void (*depthwise)(const struct float_convolution *, const float *input, const float *residual, float *output,
                      ptrdiff_t begin, ptrdiff_t end);
    /// Output pixels [begin, end) of one image, sums in the order that the layer says, the same bits on every processor. `patches`:
    /// `tile_pixels` windows.
    void (*ordered)(const struct float_ordered *, const float *input, float *output, float *patches, ptrdiff_t begin,
                    ptrdiff_t end);
    /// The same with a filter per channel.
    void (*ordered_depthwise)(const struct float_ordered *, const float *input, float *output, ptrdiff_t begin, ptrdiff_t end);
    void (*pool)(const struct float_pool *, const float *input, float *output, ptrdiff_t begin, ptrdiff_t end);
    /// y[i, c] = f(x[i, c]) over `rows` rows. May work in place.
    void (*unary)(const struct float_epilogue *, const float *x, ptrdiff_t x_pitch, float *y, ptrdiff_t y_pitch,
                  ptrdiff_t rows, ptrdiff_t count);
    /// y[i, c] = f(a[i * a_pitch + c * a_step], b[...]) with steps of 0 or 1, then the epilogue.
    void (*binary)(enum float_binary, const struct float_epilogue *, const float *a, ptrdiff_t a_pitch, int a_step,
                   const float *b, ptrdiff_t b_pitch, int b_step, float *y, ptrdiff_t y_pitch, ptrdiff_t rows,
                   ptrdiff_t count);
    /// c[m, n] = sum over k of a[m, k] * b[k, n]; all dense row-major.
    void (*matmul)(const float *a, const float *b, float *c, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k);
    /// y = sum over rows and columns of (row weight * column weight) * x, in that order; output rows [begin, end).
    void (*interpolate)(const struct interpolation *, const float *input, float *output, ptrdiff_t begin, ptrdiff_t end);
    /// Softmax of each of `rows` rows of `count` numbers, dense.
    void (*softmax)(const float *x, float *y, ptrdiff_t rows, ptrdiff_t count);
    /// y[i, c] = (pixel[i, c] - mean[c]) * scale[c], `channels` in 1...4.
    void (*pixels)(const uint8_t *pixels, ptrdiff_t pixel_stride, const float *mean, const float *scale, float *y,
                   ptrdiff_t count, ptrdiff_t channels);
};

/// The kernels for this processor, or those that the environment variable BROKERSIDE_CPU names (scalar, avx2, avx512) if the
/// processor has them.
const struct float_kernels *float_kernels_best(void);
/// All kernels that this processor can run; null from `index` = their number on.
const struct float_kernels *float_kernels_available(int index);

/// Number of floats of packed weights: `steps` = kernel_height * kernel_width * channels.
ptrdiff_t float_packed_count(const struct float_kernels *, ptrdiff_t filters, ptrdiff_t steps);
/// From weight[filter * filter_stride + ...] as OIHW (channels, taps) and bias (may be null) to
/// [filter tile][bias, then taps in row-major order, channels][filters of the tile].
void float_pack_weights(const struct float_kernels *, const float *weight, const float *bias, ptrdiff_t filters,
                        ptrdiff_t channels, ptrdiff_t taps, float *packed);
/// From weight[channel][tap] and bias (may be null) to [bias, then taps][channels rounded up to the width].
void float_pack_depthwise(const struct float_kernels *, const float *weight, const float *bias, ptrdiff_t channels,
                          ptrdiff_t taps, float *packed);
ptrdiff_t float_packed_depthwise_count(const struct float_kernels *, ptrdiff_t channels, ptrdiff_t taps);

/// Number of floats of the weights of `struct float_ordered`, and these from weight[f * filter_stride + s * step_stride].
ptrdiff_t float_ordered_count(const struct float_kernels *, ptrdiff_t filters, ptrdiff_t steps);
void float_pack_ordered(const struct float_kernels *, const float *weight, ptrdiff_t filter_stride, ptrdiff_t step_stride,
                        ptrdiff_t filters, ptrdiff_t steps, float *packed);

/// Copies a block of up to 8 axes, outermost first. Strides are in bytes and may be zero or negative on the source side.
void strided_copy(void *target, const void *source, ptrdiff_t element_size, int rank, const ptrdiff_t *extents,
                  const ptrdiff_t *target_strides, const ptrdiff_t *source_strides);

/// target[i] = `bytes` bytes at source + offsets[i], each `target_pitch` bytes after the one before.
void gather_blocks(void *target, ptrdiff_t target_pitch, const void *source, const int32_t *offsets, ptrdiff_t count,
                   ptrdiff_t bytes);

/// Of each of `pixels` pixels, which lie `source_pitch` bytes apart, the channels of `size` bytes (1, 2, 4 or 8) of these indices.
void select_channels(void *target, ptrdiff_t target_pitch, const void *source, ptrdiff_t source_pitch, ptrdiff_t size,
                     const int32_t *channels, ptrdiff_t count, ptrdiff_t pixels);

/// Tells the processor that a thread only waits for another one.
static inline void processor_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
