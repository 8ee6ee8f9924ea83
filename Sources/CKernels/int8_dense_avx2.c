// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "inline.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define WIDTH 8
#define ROW_BLOCK 4
#define BLOCK_VECTORS 2
#define KERNELS_NAME "avx2"
#define KERNELS_SYMBOL int8_dense_kernels_avx2

typedef int32_t sums_of_eight __attribute__((vector_size(32)));

INLINE __m256i four_steps(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

INLINE __m256i weights_at(const int8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }

/// Products of two groups added in int16, or each group widened by itself.
INLINE void products_in_lanes(sums_of_eight (*sums)[64 / WIDTH], const int rows, const int vectors,
                              const uint8_t *const *x, const int8_t *packed, ptrdiff_t stride, ptrdiff_t groups,
                              const int lane_products) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i a[ROW_BLOCK][8];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) a[r][v] = (__m256i)sums[r][v];
    for (ptrdiff_t g = 0; g < groups; g += 2, packed += 2 * stride)
        for (int r = 0; r < rows; r++) {
            const __m256i first = four_steps(x[r] + g * 4), second = four_steps(x[r] + g * 4 + 4);
            for (int v = 0; v < vectors; v++) {
                const __m256i p = _mm256_maddubs_epi16(first, weights_at(packed + v * 32));
                const __m256i q = _mm256_maddubs_epi16(second, weights_at(packed + stride + v * 32));
                const __m256i wide =
                    lane_products == 2
                        ? _mm256_madd_epi16(_mm256_add_epi16(p, q), ones)
                        : _mm256_add_epi32(_mm256_madd_epi16(p, ones), _mm256_madd_epi16(q, ones));
                a[r][v] = _mm256_add_epi32(a[r][v], wide);
            }
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sums[r][v] = (sums_of_eight)a[r][v];
}

/// For any weights: products of int16, rows 0 to 3 and 4 to 7 of a vector apart, each as two halves of its sum.
INLINE void products_of_words(sums_of_eight (*sums)[64 / WIDTH], const int rows, const int vectors,
                              const uint8_t *const *x, const int8_t *packed, ptrdiff_t stride, ptrdiff_t groups) {
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v += 2) {
            __m256i a[2][2] = {{_mm256_setzero_si256(), _mm256_setzero_si256()},
                               {_mm256_setzero_si256(), _mm256_setzero_si256()}};
            const int8_t *w = packed + v * 32;
            for (ptrdiff_t g = 0; g < groups; g++, w += stride) {
                const __m256i steps = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(four_steps(x[r] + g * 4)));
                for (int i = 0; i < 2; i++)
                    for (int half = 0; half < 2; half++) {
                        const __m128i part = _mm_loadu_si128((const __m128i *)(w + i * 32 + half * 16));
                        a[i][half] = _mm256_add_epi32(a[i][half], _mm256_madd_epi16(steps, _mm256_cvtepi8_epi16(part)));
                    }
            }
            for (int i = 0; i < 2; i++) {
                const __m256i sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(a[i][0], a[i][1]), 0xD8);
                sums[r][v + i] = (sums_of_eight)_mm256_add_epi32((__m256i)sums[r][v + i], sum);
            }
        }
}

INLINE void products(sums_of_eight (*sums)[64 / WIDTH], const int rows, const int vectors, const uint8_t *const *x,
                     const int8_t *packed, ptrdiff_t stride, ptrdiff_t groups, int lane_products) {
    if (lane_products == 2)
        products_in_lanes(sums, rows, vectors, x, packed, stride, groups, 2);
    else if (lane_products == 1)
        products_in_lanes(sums, rows, vectors, x, packed, stride, groups, 1);
    else
        products_of_words(sums, rows, vectors, x, packed, stride, groups);
}

#define HAS_LEAST
typedef float eight_floats __attribute__((vector_size(32)));
INLINE eight_floats least(eight_floats a, eight_floats b) { return (eight_floats)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE eight_floats greatest(eight_floats a, eight_floats b) {
    return (eight_floats)_mm256_max_ps((__m256)a, (__m256)b);
}

#include "int8_dense_template.h"
#pragma clang attribute pop
#endif
