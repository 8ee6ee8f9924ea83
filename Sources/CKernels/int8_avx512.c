// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "ckernels_int8.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma"))), apply_to = function)
#define WIDTH 16
#define TILE_PIXELS 8
#define KERNELS_NAME "avx512"
#define KERNELS_SYMBOL int8_kernels_avx512
#define INLINE static inline __attribute__((always_inline))

typedef int32_t sums_of_sixteen __attribute__((vector_size(64)));

INLINE __m512i four_steps(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

/// Adds eight steps; `vpdpbusd` adds four products in int32.
INLINE void dot(sums_of_sixteen (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows,
                ptrdiff_t step, const int8_t *packed) {
    for (int group = 0; group < 2; group++) {
        __m512i weights[2];
        for (int v = 0; v < vectors; v++)
            weights[v] = _mm512_loadu_si512((const void *)(packed + (group * vectors + v) * 64));
        for (int p = 0; p < pixels; p++) {
            const __m512i pixel = four_steps(rows[p] + step + 4 * group);
            for (int v = 0; v < vectors; v++)
                sums[p][v] = (sums_of_sixteen)_mm512_dpbusd_epi32((__m512i)sums[p][v], pixel, weights[v]);
        }
    }
}

#include "int8_template.h"
#pragma clang attribute pop
#endif
