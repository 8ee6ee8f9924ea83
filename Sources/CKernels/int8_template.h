// SPDX-License-Identifier: Apache-2.0
// The int8 kernels, written once over vectors of WIDTH numbers. Included by one file per instruction set, which defines
// WIDTH, TILE_PIXELS, KERNELS_NAME, KERNELS_SYMBOL, and what the instruction sets do differently:
// - `least`, `greatest`, `nearest`: see int8_vectors.h;
// - `dot`: adds the products of eight steps to sums of 1 or 2 vectors of filters; if it has HAS_HALVES, `dot_with_half`: to
//   one and the first half of another;
// - `store_saturated`: 1 or 2 vectors of integers for each of two pixels as bytes, at least `low` and at most `high`;
//   if it has HAS_FOURS, `store_saturated_four`: one vector, up to `count` bytes of it, for each of four pixels;
// - `joined_words`: two vectors of integers as words, in their order, those beyond 16 bits the outermost ones; `interleaved_words`:
//   words of the first or second half of each 128-bit lane of two vectors in turn; `pack_words`: vectors of such halves as words;
// - WINOGRAD_TILES; `word_pair` and `pairs_added`: sums of pairs of products of int16;
// - if it has integer depthwise kernels, DEPTHWISE_FORM, `interleaved`, `column_added`, `pack_octets`; with vectors of eight or
//   more, `store_octets_part`: one of several equal parts of a block;
// - if tiles are to be finished in stages, HAS_STAGES and, of what `pack_words` made, `store_words_saturated`, as `store_saturated`,
//   and `ordered_words`: in order;
// - if it has 32 vectors, HAS_MANY_REGISTERS;
// - if it has narrower vectors too, NARROW_WORDS and `depthwise_narrow_words`, for few channels;
// - if `dot` and `column_added` take inputs less a number, INPUT_OFFSET; if `dot` relies on the lane limit, KERNELS_UNLIMITED.
#include "int8_convolution.h"
#include "int8_depthwise.h"
#include "int8_depthwise_words.h"
#include "int8_elementwise.h"
#include "int8_rounding.h"
#include "int8_winograd.h"
#include "int8_winograd_filters.h"

#ifdef KERNELS_UNLIMITED
extern const struct int8_kernels KERNELS_UNLIMITED;
#endif

static ptrdiff_t peak(ptrdiff_t rounds) {
    uint8_t pixels[TILE_PIXELS][8] = {{1}};
    int8_t weights[2 * WIDTH * 8] = {1};
    const uint8_t *rows[TILE_PIXELS];
    integers sums[TILE_PIXELS][2] = {{{0}}};
    for (int p = 0; p < TILE_PIXELS; p++) rows[p] = pixels[p];
    for (ptrdiff_t i = 0; i < rounds; i++) {
        dot(sums, TILE_PIXELS, 2, rows, 0, weights);
        // Operands might be others by now.
        __asm__ volatile("" : : "r"(rows), "r"(weights) : "memory");
    }
    // The sums are wanted.
    integers all = {0};
    for (int p = 0; p < TILE_PIXELS; p++) all += sums[p][0] + sums[p][1];
    __asm__ volatile("" : : "r"(&all) : "memory");
    return rounds * TILE_PIXELS * 2 * WIDTH * 8;
}

const struct int8_kernels KERNELS_SYMBOL = {
    .name = KERNELS_NAME,
    .width = WIDTH,
    .tile_pixels = TILE_PIXELS,
#ifdef NARROW_WORDS
    .narrow_words = NARROW_WORDS,
#else
    .narrow_words = WIDTH,
#endif
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
    .winograd_filters = winograd_filters,
    .depthwise = depthwise,
    .depthwise_words = depthwise_words,
    .max_pool = max_pool,
    .max_pool_words = max_pool_words,
    .average_pool = average_pool,
    .interpolate = interpolate,
    .requantize = requantize,
    .add = add,
    .resolve_ties = resolve_ties,
    .round_results = round_results,
    .average_pool_floats = average_pool_floats,
    .quantize = quantize,
    .quantize_planes = quantize_planes,
    .dequantize = dequantize,
    .peak = peak,
};
