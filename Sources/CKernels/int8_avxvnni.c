// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>

#include "ckernels_int8.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#define KERNELS_NAME "avxvnni"
#define KERNELS_SYMBOL int8_kernels_avxvnni
#define TILE_PIXELS 4
#include "int8_256.h"

/// Adds eight steps; `vpdpbusd` adds four products in int32.
INLINE void dot(__v8si (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows, ptrdiff_t step,
                const int8_t *packed) {
    for (int group = 0; group < 2; group++) {
        __m256i weights[2];
        for (int v = 0; v < vectors; v++)
            weights[v] = _mm256_loadu_si256((const __m256i *)(packed + (group * vectors + v) * 32));
        for (int p = 0; p < pixels; p++) {
            const __m256i pixel = four_steps(rows[p] + step + 4 * group);
            for (int v = 0; v < vectors; v++)
                sums[p][v] = (__v8si)_mm256_dpbusd_avx_epi32((__m256i)sums[p][v], pixel, weights[v]);
        }
    }
}

/// Depthwise: taps of a column as four bytes, the last of them zero or that of the next row of outputs.
#define DEPTHWISE_FORM 2
#define THREE_OUTPUTS 2

INLINE void interleaved(__v8si *taps, const octets_of_block *rows, const int has_fourth, const int half) {
    const __m256i upper = in_turn((__m256i)rows[0], (__m256i)rows[1], half);
    const __m256i lower =
        in_turn((__m256i)rows[2], has_fourth ? (__m256i)rows[3] : _mm256_setzero_si256(), half);
    taps[0] = (__v8si)_mm256_unpacklo_epi16(upper, lower);
    taps[1] = (__v8si)_mm256_unpackhi_epi16(upper, lower);
}

INLINE __v8si column_added(__v8si sum, __v8si taps, __v8si weights) {
    return (__v8si)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)taps, (__m256i)weights);
}

/// The taps of the next row of outputs.
INLINE __v8si taps_below(__v8si taps) { return (__v8si)_mm256_srli_epi32((__m256i)taps, 8); }

INLINE __v8si pairs_added(__v8si sum, __v8si a, __v8si b) {
    // As it stands: of the intrinsic the compiler makes a multiplication and an addition.
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}

#include "int8_template.h"
#pragma clang attribute pop
#endif
