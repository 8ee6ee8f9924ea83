// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "inline.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma"))), apply_to = function)
#define WIDTH 16
#define ROW_BLOCK 4
#define BLOCK_VECTORS 4
#define KERNELS_NAME "avx512"
#define KERNELS_SYMBOL int8_dense_kernels_avx512

typedef int32_t sums_of_sixteen __attribute__((vector_size(64)));

INLINE __m512i four_steps(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

/// `vpdpbusd` adds four products in int32. One row has sums of even and of odd groups, so that it need not wait for itself.
INLINE void products(sums_of_sixteen (*sums)[64 / WIDTH], const int rows, const int vectors, const uint8_t *const *x,
                     const int8_t *packed, ptrdiff_t stride, ptrdiff_t groups, int lane_products) {
    (void)lane_products;
    __m512i a[ROW_BLOCK][4], b[4];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) a[r][v] = (__m512i)sums[r][v];
    for (int v = 0; v < vectors; v++) b[v] = _mm512_setzero_si512();
    for (ptrdiff_t g = 0; g < groups; g += 2, packed += 2 * stride) {
        for (int v = 0; v < vectors; v++) {
            const __m512i first = _mm512_loadu_si512((const void *)(packed + v * 64));
            const __m512i second = _mm512_loadu_si512((const void *)(packed + stride + v * 64));
            for (int r = 0; r < rows; r++) {
                a[r][v] = _mm512_dpbusd_epi32(a[r][v], four_steps(x[r] + g * 4), first);
                if (rows == 1)
                    b[v] = _mm512_dpbusd_epi32(b[v], four_steps(x[r] + g * 4 + 4), second);
                else
                    a[r][v] = _mm512_dpbusd_epi32(a[r][v], four_steps(x[r] + g * 4 + 4), second);
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = (sums_of_sixteen)(rows == 1 ? _mm512_add_epi32(a[r][v], b[v]) : a[r][v]);
}

#define HAS_LEAST
typedef float sixteen_floats __attribute__((vector_size(64)));
INLINE sixteen_floats least(sixteen_floats a, sixteen_floats b) {
    return (sixteen_floats)_mm512_min_ps((__m512)a, (__m512)b);
}
INLINE sixteen_floats greatest(sixteen_floats a, sixteen_floats b) {
    return (sixteen_floats)_mm512_max_ps((__m512)a, (__m512)b);
}

#include "int8_dense_template.h"
#pragma clang attribute pop
#endif
