// SPDX-License-Identifier: Apache-2.0
// The int8 kernels, written once over vectors of WIDTH numbers. Included by one file per instruction set, which defines
// WIDTH, TILE_PIXELS, KERNELS_NAME, KERNELS_SYMBOL, INLINE, and what the instruction sets do differently:
// - `least`, `greatest`, `nearest`: see int8_vectors.h;
// - `dot`: adds the products of eight steps to sums of 1 or 2 vectors of filters;
// - `store_saturated`: 1 or 2 vectors of integers for each of two pixels as bytes, at least `low`;
// - WINOGRAD_TILES, `word_pair` and `pairs_added`: sums of pairs of products of int16;
// - if it has integer depthwise kernels, DEPTHWISE_FORM, `interleaved`, `column_added`, `pack_words`, `pack_octets`;
// - if `dot` and `column_added` take inputs less a number, INPUT_OFFSET; if `dot` relies on the lane limit, KERNELS_UNLIMITED.
#include "int8_convolution.h"
#include "int8_depthwise.h"
#include "int8_elementwise.h"
#include "int8_winograd.h"

#ifdef KERNELS_UNLIMITED
extern const struct int8_kernels KERNELS_UNLIMITED;
#endif

const struct int8_kernels KERNELS_SYMBOL = {
    .name = KERNELS_NAME,
    .width = WIDTH,
    .tile_pixels = TILE_PIXELS,
#ifdef DEPTHWISE_FORM
    .depthwise_form = DEPTHWISE_FORM,
#endif
#ifdef INPUT_OFFSET
    .input_offset = INPUT_OFFSET,
#endif
#ifdef KERNELS_UNLIMITED
    .unlimited = &KERNELS_UNLIMITED,
#endif
    .convolution = convolution,
    .winograd = winograd,
    .depthwise = depthwise,
    .max_pool = max_pool,
    .average_pool = average_pool,
    .requantize = requantize,
    .add = add,
    .quantize = quantize,
    .quantize_planes = quantize_planes,
    .dequantize = dequantize,
};
