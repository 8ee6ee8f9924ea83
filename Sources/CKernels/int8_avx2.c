// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "ckernels_int8.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define WIDTH 8
#define TILE_PIXELS 4
#define KERNELS_NAME "avx2"
#define KERNELS_SYMBOL int8_kernels_avx2
#define INLINE static inline __attribute__((always_inline))

typedef int32_t sums_of_eight __attribute__((vector_size(32)));

INLINE __m256i four_steps(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

/// Adds eight steps. The products of two groups are added in int16, which `int8_lane_limit_holds` makes safe, and widened
/// once: five instructions for 64 products instead of six.
INLINE void dot(sums_of_eight (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows, ptrdiff_t step,
                const int8_t *packed) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i weights[2][2];
    for (int group = 0; group < 2; group++)
        for (int v = 0; v < vectors; v++)
            weights[group][v] = _mm256_loadu_si256((const __m256i *)(packed + (group * vectors + v) * 32));
    for (int p = 0; p < pixels; p++) {
        const __m256i first = four_steps(rows[p] + step), second = four_steps(rows[p] + step + 4);
        for (int v = 0; v < vectors; v++) {
            const __m256i products = _mm256_add_epi16(_mm256_maddubs_epi16(first, weights[0][v]),
                                                      _mm256_maddubs_epi16(second, weights[1][v]));
            sums[p][v] = (sums_of_eight)_mm256_add_epi32((__m256i)sums[p][v], _mm256_madd_epi16(products, ones));
        }
    }
}

#include "int8_template.h"
#pragma clang attribute pop
#endif
