// SPDX-License-Identifier: Apache-2.0
// AVX2, which adds products of bytes in pairs as int16: the including file says with KERNELS_UNLIMITED that its weights keep
// the lane limit.
#define KERNELS_NAME "avx2"
#define TILE_PIXELS 4
#include "int8_256.h"

#ifndef KERNELS_UNLIMITED
/// Adds eight steps. Single products fit int16; those of even and of odd steps are widened each on their own.
INLINE void dot(__v8si (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows, ptrdiff_t step,
                const int8_t *packed) {
    const __m256i ones = _mm256_set1_epi16(1), even_bytes = _mm256_set1_epi16(0xFF);
    for (int group = 0; group < 2; group++) {
        __m256i even[2], odd[2];
        for (int v = 0; v < vectors; v++) {
            const __m256i weights = _mm256_loadu_si256((const __m256i *)(packed + (group * vectors + v) * 32));
            even[v] = _mm256_and_si256(weights, even_bytes);
            odd[v] = _mm256_andnot_si256(even_bytes, weights);
        }
        for (int p = 0; p < pixels; p++) {
            const __m256i pixel = four_steps(rows[p] + step + 4 * group);
            for (int v = 0; v < vectors; v++) {
                const __m256i first = _mm256_madd_epi16(_mm256_maddubs_epi16(pixel, even[v]), ones);
                const __m256i second = _mm256_madd_epi16(_mm256_maddubs_epi16(pixel, odd[v]), ones);
                sums[p][v] = (__v8si)_mm256_add_epi32((__m256i)sums[p][v], _mm256_add_epi32(first, second));
            }
        }
    }
}
#else
#define HAS_STAGES
/// Adds eight steps. The products of two groups are added in int16, which `int8_lane_limit_holds` makes safe, and widened
/// once: five instructions for 64 products instead of six.
INLINE void dot(__v8si (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows, ptrdiff_t step,
                const int8_t *packed) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i weights[2][2];
    for (int group = 0; group < 2; group++)
        for (int v = 0; v < vectors; v++)
            weights[group][v] = _mm256_loadu_si256((const __m256i *)(packed + (group * vectors + v) * 32));
    // With eight sums there is a register too few for all weights: the last are read for each pixel.
    const int8_t *last = packed + (2 * vectors - 1) * 32;
    for (int p = 0; p < pixels; p++) {
        const __m256i first = four_steps(rows[p] + step), second = four_steps(rows[p] + step + 4);
        for (int v = 0; v < vectors; v++) {
            __m256i other = weights[1][v];
            if (pixels * vectors == 8 && v == 1) {
                __asm__("" : "+r"(last));
                other = _mm256_loadu_si256((const __m256i *)last);
            }
            const __m256i products =
                _mm256_add_epi16(_mm256_maddubs_epi16(first, weights[0][v]), _mm256_maddubs_epi16(second, other));
            sums[p][v] = (__v8si)_mm256_add_epi32((__m256i)sums[p][v], _mm256_madd_epi16(products, ones));
        }
    }
}
#endif

/// Depthwise: taps of int16, in pairs. A column has two vectors of its upper two rows and two of its third row with zeros
/// or the row after it.
#define DEPTHWISE_FORM 4
#define THREE_OUTPUTS 2

INLINE void interleaved(__v8si *taps, const octets_of_block *rows, const int has_fourth, const int half) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i upper = in_turn((__m256i)rows[0], (__m256i)rows[1], half);
    const __m256i lower = in_turn((__m256i)rows[2], has_fourth ? (__m256i)rows[3] : zero, half);
    taps[0] = (__v8si)_mm256_unpacklo_epi8(upper, zero);
    taps[1] = (__v8si)_mm256_unpackhi_epi8(upper, zero);
    taps[2] = has_fourth ? (__v8si)_mm256_unpacklo_epi8(lower, zero) : (__v8si)_mm256_unpacklo_epi16(lower, zero);
    taps[3] = has_fourth ? (__v8si)_mm256_unpackhi_epi8(lower, zero) : (__v8si)_mm256_unpackhi_epi16(lower, zero);
}

INLINE __v8si column_added(__v8si sum, const __v8si *taps, const int8_t *weights, const int j) {
    const __m256i upper = _mm256_loadu_si256((const __m256i *)(weights + j * 32));
    const __m256i lower = _mm256_loadu_si256((const __m256i *)(weights + (2 + j) * 32));
    const __m256i products = _mm256_add_epi32(_mm256_madd_epi16((__m256i)taps[j], upper),
                                              _mm256_madd_epi16((__m256i)taps[2 + j], lower));
    return (__v8si)_mm256_add_epi32((__m256i)sum, products);
}

/// Multipliers of a column as the next row of outputs has them, {upper two rows} and {third row, zero} one tap further down.
INLINE void column_below(int8_t *target, const int8_t *source) {
    for (int j = 0; j < 2; j++) {
        const __m256i upper = _mm256_loadu_si256((const __m256i *)(source + j * 32));
        const __m256i lower = _mm256_loadu_si256((const __m256i *)(source + (2 + j) * 32));
        _mm256_storeu_si256((__m256i *)(target + j * 32), _mm256_slli_epi32(upper, 16));
        _mm256_storeu_si256((__m256i *)(target + (2 + j) * 32),
                            _mm256_or_si256(_mm256_srli_epi32(upper, 16), _mm256_slli_epi32(lower, 16)));
    }
}

INLINE __v8si pairs_added(__v8si sum, __v8si a, __v8si b) {
    return (__v8si)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16((__m256i)a, (__m256i)b));
}

#include "int8_template.h"
