// SPDX-License-Identifier: Apache-2.0
// Kernels over 8-bit numbers: activations uint8 with scale and zero point, weights int8 with a scale per filter.
// Images are channels last as in ckernels_float.h, pitches in bytes. Every instruction set gives the same bytes: sums are
// exact integers, what follows uses only operations that IEEE 754 rounds exactly, in one order.
#pragma once
#include "ckernels_float.h"
#include "ckernels_rounding.h"

/// What becomes of the sum of a layer, per filter c and in float32:
///   f = fma(sum, multiplier[c], bias[c])
/// Bytes, linear (`inverse_scale` null; f is in units of the output, and what a zero point of the residual adds is part of
/// the bias):
///   f = fma(residual, residual_scale[c], f)       if there is a residual
///   y = max(min(rint(f), high[c]), low[c])        the activation is the bounds
/// Bytes, rounded before the zero point is added, as integers are multiplied elsewhere (`inverse_scale` null, `zero` not; the
/// bias is zero, there is no residual):
///   y = max(min(rint(f) + zero[c], high[c]), low[c])
/// Bytes through a function (f in real units):
///   f = fma(residual - residual_zero[c], residual_scale[c], f)   if there is one, before or after the activation
///   f = activation(f)                             low and high as in `float_epilogue`
///   y = max(min(rint(fma(f, inverse_scale[c], zero[c])), high[c]), low[c])
/// Words, int16 (`high` null, `high_words` not): as bytes, linear or through SiLU, within the bounds of words. The residual is
/// uint8, or int16 with `residual_words`.
/// Floats (both null): the same up to the activation, y = f.
/// Bytes, linear, with `tie`: where |f - rint(f)| > tie[c], and f within -1...256, the byte is noted in `ties`, which a
/// thread has for itself.
/// Arrays have INT8_SLACK entries more than there are filters. `is_bounded` is set if no number that is rounded can reach
/// 2^30; without it they are brought to at most 255 first, which takes longer.
struct int8_epilogue {
    const float *multiplier, *bias;
    struct float_epilogue activation;
    const float *inverse_scale, *zero;
    const uint8_t *low, *high;
    const float *residual_scale, *residual_zero;
    int residual_after_activation, residual_words, is_bounded;
    const int16_t *low_words, *high_words;
    const float *tie;
    struct int8_ties *ties;
};

/// Kernels may read that many elements past the ends of arrays, and bytes past the last channel of an image.
enum { INT8_SLACK = 64 };

/// A convolution, or with a window of one pixel a matrix product over rows. The input is uint8, or int16 for layers that need
/// more. Pitches of the window are in elements, that of the input in bytes.
struct int8_convolution {
    struct float_window window;
    /// Bytes of the channels of a pixel, which are twice the channels if they are words.
    ptrdiff_t channels;
    ptrdiff_t filters;
    int takes_words;
    /// As one of the functions below made them that pack, for the same kernels.
    const void *weights;
    /// What all weights are stored too large by, -128 to 127: sums are those of weights less this number.
    int weight_zero;
    /// Zero points of the input, at least kernel_width * channels bytes ([kx][c]), words if it is: what stands outside of the
    /// image.
    const uint8_t *outside;
    /// In bytes.
    ptrdiff_t residual_pitch;
    struct int8_epilogue epilogue;
};

struct int8_kernels {
    const char *name;
    /// Filters in a vector; pixels of an output tile.
    int width, tile_pixels;
    /// The width that `depthwise_words` has for channels of which so many are left that twice this is enough.
    int narrow_words;
    /// Vectors of taps in half a column of a depthwise 3x3 window: 4 of int16 pairs, 2 of int8 quadruples, 0 if it has none.
    int depthwise_form;
    /// What the kernel subtracts from inputs before it multiplies; packing makes up for it.
    int input_offset;
    /// Null, or kernels that take weights of the same packing beyond int8_lane_limit_holds(), which these need.
    const struct int8_kernels *unlimited;
    /// Output pixels [begin, end) in row-major order of one image, filters [first_filter, last_filter) of which the first is
    /// a multiple of twice the width. `output` is uint8, int16 or float as the epilogue says. `patches`: int8_patch_bytes() of
    /// scratch. `residual` may be null.
    void (*convolution)(const struct int8_convolution *, const uint8_t *input, const uint8_t *residual, void *output,
                        uint8_t *patches, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t first_filter,
                        ptrdiff_t last_filter);
    /// A 3x3 convolution of stride and dilation 1: tiles of 4x4 outputs [begin, end) in row-major order. `weights` as
    /// `int8_pack_winograd` made them, `scratch` of int8_winograd_scratch_bytes(). It rounds what `convolution` does not.
    void (*winograd)(const struct int8_convolution *, const uint8_t *input, const uint8_t *residual, void *output,
                     void *scratch, ptrdiff_t begin, ptrdiff_t end);
    /// `width` filters for `winograd`, [channels][9][filters]: the part of `int8_pack_winograd` that depends on the processor.
    /// `rooms`: the largest total of the magnitudes of a filter's numbers at each of the 36 positions.
    void (*winograd_filters)(const int8_t *columns, const uint8_t *zero_points, ptrdiff_t channels, const double *rooms,
                             float *numbers, int16_t *stored);
    /// One filter per channel; output rows [begin, end). At most 500 taps, so that float sums are exact.
    void (*depthwise)(const struct int8_convolution *, const uint8_t *input, const uint8_t *residual, void *output,
                      ptrdiff_t begin, ptrdiff_t end);
    /// The same for windows of 3x3, dilation 1 and a horizontal stride of 1 or 2, of words or bytes to words or bytes, linear or
    /// SiLU, or to floats with bounds. Weights as `int8_pack_depthwise_words` made them.
    void (*depthwise_words)(const struct int8_convolution *, const void *input, void *output, ptrdiff_t begin, ptrdiff_t end);
    /// Maximum; rows [begin, end). Positions outside of the image do not count.
    void (*max_pool)(const struct float_pool *, const uint8_t *input, uint8_t *output, ptrdiff_t begin, ptrdiff_t end);
    /// The same of int16; the input's pitch in bytes.
    void (*max_pool_words)(const struct float_pool *, const void *input, int16_t *output, ptrdiff_t begin, ptrdiff_t end);
    /// y[i, c] = clamp(rint(fma(sum over a window of x, multiplier[c] / positions, bias[c]))); rows [begin, end).
    void (*average_pool)(const struct float_pool *, const float *multiplier, const float *bias, const uint8_t *input,
                         uint8_t *output, ptrdiff_t begin, ptrdiff_t end);
    /// The same in float32: y = clamp(rint(mean / output_scale) + output_zero).
    void (*average_pool_floats)(const struct float_pool *, const struct int8_float_pool *, const uint8_t *input,
                                uint8_t *output, ptrdiff_t begin, ptrdiff_t end);
    /// y = clamp(rint(sum of (row weight * column weight) * x)), where the weights of a row, and of a column, sum to 1; output rows
    /// [begin, end).
    void (*interpolate)(const struct interpolation *, const uint8_t *input, uint8_t *output, ptrdiff_t begin, ptrdiff_t end);
    /// y[i, c] = clamp(rint(fma(x, multiplier[c], bias[c]))) over `rows` rows.
    void (*requantize)(const float *multiplier, const float *bias, const uint8_t *x, ptrdiff_t x_pitch, uint8_t *y,
                       ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count);
    /// Through a function:
    ///   y = clamp(rint(fma(activation(fma(a - zero_a[c], scale_a[c], (b - residual_zero[c]) * residual_scale[c])),
    ///                      inverse_scale[c], zero[c])))
    /// Linear, if `inverse_scale` and `multiplier` are null, scales are in steps of y, and the activation is the bounds:
    ///   y = max(min(rint(fma(a, scale_a[c], fma(b, residual_scale[c], bias[c]))), high[c]), low[c])
    /// As floats are added, each operation rounded, if `inverse_scale` alone is null and `multiplier` the scale of y:
    ///   y = clamp(rint(activation((a - zero_a[c]) * scale_a[c] + (b - residual_zero[c]) * residual_scale[c]) / multiplier[c]) +
    ///             zero[c])
    void (*add)(const struct int8_epilogue *, const float *scale_a, const float *zero_a, const uint8_t *a,
                ptrdiff_t a_pitch, const uint8_t *b, ptrdiff_t b_pitch, uint8_t *y, ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count);
    /// Computes bytes of an image that `convolution` or `depthwise` noted once more, in float32.
    void (*resolve_ties)(const struct int8_float_layer *, const uint8_t *input, uint8_t *output, const struct int8_ties *);
    /// Bytes of the results of a layer over `pixels` of an image, within its bounds and without gaps, which are computed again where
    /// |result / scale - nearest| > tie[filter].
    void (*round_results)(const struct int8_float_layer *, const float *results, const float *tie, const uint8_t *input,
                          uint8_t *output, ptrdiff_t pixels);
    /// y = clamp(rint(x / scale[c]) + zero[c])
    void (*quantize)(const float *scale, const float *zero, const float *x, ptrdiff_t x_pitch, uint8_t *y,
                     ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count);
    /// The same from `channels` (1 to 4) planes of floats, each `plane` after the one before, to pixels of y.
    void (*quantize_planes)(const float *scale, const float *zero, const float *x, ptrdiff_t plane, uint8_t *y,
                            ptrdiff_t y_pitch, ptrdiff_t pixels, ptrdiff_t channels);
    /// y = (x - zero[c]) * scale[c]
    void (*dequantize)(const float *scale, const float *zero, const uint8_t *x, ptrdiff_t x_pitch, float *y,
                       ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count);
    /// The multiplications of one tile of a convolution over and over, operands in the first-level cache: as fast as this
    /// processor can be. Returns how many there were.
    ptrdiff_t (*peak)(ptrdiff_t rounds);
};

/// The kernels for this processor, or those that the environment variable BROKERSIDE_CPU names (scalar, avx2, avxvnni, avx512, neon,
/// dotprod, i8mm) if the processor has them.
const struct int8_kernels *int8_kernels_best(void);
/// All kernels that this processor can run; null from `index` = their number on.
const struct int8_kernels *int8_kernels_available(int index);

/// y[i] = table[x[i]] over `rows` rows.
void int8_look_up(const uint8_t table[256], const uint8_t *x, ptrdiff_t x_pitch, uint8_t *y, ptrdiff_t y_pitch,
                  ptrdiff_t rows, ptrdiff_t count);

/// y[pixel][c] = table[c][x[pixel][c]]; pixels of x lie without gaps. A null table copies.
void int8_look_up_pixels(const uint8_t *table, const uint8_t *x, uint8_t *y, ptrdiff_t y_pitch, ptrdiff_t pixels,
                         ptrdiff_t channels);

/// Steps (taps * channels) rounded up to what the kernels take at a time.
ptrdiff_t int8_padded_steps(ptrdiff_t steps);
/// Windows of `padded` bytes that are copied together before they are computed: a multiple of the tile, at most 256.
static inline ptrdiff_t int8_patch_count(ptrdiff_t tile_pixels, ptrdiff_t padded) {
    const ptrdiff_t least = 4 * tile_pixels, fitting = 16384 / (padded > 0 ? padded : 1) / tile_pixels * tile_pixels;
    return fitting < least ? least : fitting > 256 ? 256 : fitting;
}
/// Bytes of scratch for patches of `steps` = kernel_height * kernel_width * channels.
ptrdiff_t int8_patch_bytes(const struct int8_kernels *, ptrdiff_t steps);
/// Filters of the tile that begins at filter `first`.
static inline ptrdiff_t int8_tile_filters(const struct int8_kernels *kernels, ptrdiff_t filters, ptrdiff_t first) {
    return filters - first > kernels->width ? 2 * kernels->width : kernels->width;
}
/// Bytes of packed weights.
ptrdiff_t int8_packed_bytes(const struct int8_kernels *, ptrdiff_t filters, ptrdiff_t steps);
/// From weight[filter][channel][tap] (OIHW) and the input's zero points per channel to
/// [filter tile][int32 -sum(weight * (zero point - input offset)), then groups of four steps][filters of the tile][four steps],
/// where steps run over taps in row-major order, then channels. `bias[filter]` is added to the sums; it may be null.
void int8_pack_weights(const struct int8_kernels *, const int8_t *weight, const uint8_t *zero_points, const int32_t *bias,
                       ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps, void *packed);
/// The same for inputs and weights of int16 (weights from -32767), in groups of two steps [filters of the tile][two int16]; as
/// large as for twice the steps.
void int8_pack_words(const struct int8_kernels *, const int16_t *weight, const int16_t *zero_points, ptrdiff_t filters,
                     ptrdiff_t channels, ptrdiff_t taps, void *packed);
/// Channels of a transformed input in memory, and tiles that are transformed before they are multiplied.
static inline ptrdiff_t int8_winograd_padded(ptrdiff_t width, ptrdiff_t channels) {
    return (channels + 2 * width - 1) / (2 * width) * 2 * width;
}
static inline ptrdiff_t int8_winograd_tiles(ptrdiff_t width, ptrdiff_t channels) {
    // 256 KiB of transformed inputs: half of the second-level cache of most processors.
    const ptrdiff_t fitting = 262144 / (72 * int8_winograd_padded(width, channels));
    return fitting < 12 ? 12 : fitting > 60 ? 60 : fitting / 12 * 12;
}
ptrdiff_t int8_winograd_bytes(const struct int8_kernels *, ptrdiff_t filters, ptrdiff_t channels);
ptrdiff_t int8_winograd_scratch_bytes(const struct int8_kernels *, ptrdiff_t channels);
/// From weight[filter][channel][9] to tiles of 2 * width filters: [-sum(zero point * transformed weight), 36 scales][filters]
/// in float, then [36 positions][pairs of channels][filters][2] in int16.
void int8_pack_winograd(const struct int8_kernels *, const int8_t *weight, const uint8_t *zero_points, ptrdiff_t filters,
                        ptrdiff_t channels, void *packed);
/// Bytes of packed depthwise weights in float, up to which others may follow.
static inline ptrdiff_t int8_depthwise_floats(ptrdiff_t width, ptrdiff_t channels, ptrdiff_t taps) {
    const ptrdiff_t bytes = (channels + width - 1) / width * width * (taps + 1) * (ptrdiff_t)sizeof(float);
    return (bytes + 63) / 64 * 64;
}
ptrdiff_t int8_packed_depthwise_bytes(const struct int8_kernels *, ptrdiff_t channels, ptrdiff_t taps);
/// From weight[channel][tap] to float [-sum(weight * zero point), then taps][channels rounded up to the width]; of nine taps
/// (3x3) and kernels with a `depthwise_form` followed by [blocks of 4 * width channels][int32 -sum(weight * (zero point -
/// input offset)) in 4 vectors, then columns][half][vectors of taps] in the order that int8_depthwise_three.h explains.
/// Weights are packed less `weight_zero`; if it is not 0 there are at most 250 taps, and those who run it know it too.
/// `bias[channel]` is added to the sums, which must stay below 2^24 with it; it may be null.
void int8_pack_depthwise(const struct int8_kernels *, const int8_t *weight, int weight_zero, const uint8_t *zero_points,
                         const int32_t *bias,
                         ptrdiff_t channels, ptrdiff_t taps, void *packed);
/// Bytes of a channel in them: where its sum starts, and six columns of four words.
enum { INT8_DEPTHWISE_WORDS_BYTES = 4 * 13 };
ptrdiff_t int8_packed_depthwise_words_bytes(const struct int8_kernels *, ptrdiff_t channels);
/// From weight[channel][9] to blocks of twice the width in channels, or twice `narrow_words`, in the order that
/// int8_depthwise_words.h explains: [int32 -sum(weight * zero point)], then for a row of outputs and for the one below it columns
/// [{rows 0 and 1}, {rows 2 and 3}][channels][two int16].
void int8_pack_depthwise_words(const struct int8_kernels *, const int16_t *weight, const int16_t *zero_points,
                               ptrdiff_t channels, void *packed);
/// Whether no sum of weight[filter][step] and int16 inputs with zero points of 0 to 4095 can leave int32.
int int8_word_sums_hold(const int16_t *weight, ptrdiff_t filters, ptrdiff_t steps);
/// Whether no int16 lane can overflow when four products are added, which the kernels of AVX2 and of NEON rely on: in each
/// group of eight steps the positive weights of steps {0, 1, 4, 5} and of {2, 3, 6, 7} sum to at most 128, and so do the
/// negative ones (255 * 128 < 32768). `weight`: one filter in the order of the steps.
int int8_lane_limit_holds(const int8_t *weight, ptrdiff_t steps);
/// The same of all filters of weights [K, C, taps].
int int8_lane_limits_hold(const int8_t *weight, ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps);
