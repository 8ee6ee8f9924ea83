// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#include "ckernels_int8.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma"))), apply_to = function)
#define WIDTH 16
#define TILE_PIXELS 8
#define KERNELS_NAME "avx512"
#define KERNELS_SYMBOL int8_kernels_avx512
#define INLINE static inline __attribute__((always_inline))

INLINE __m512 least(__m512 a, __m512 b) { return _mm512_min_ps(a, b); }
INLINE __m512 greatest(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
INLINE __v16si nearest(__m512 x) { return (__v16si)_mm512_cvtps_epi32(x); }

INLINE __m512i four_steps(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

/// Adds eight steps; `vpdpbusd` adds four products in int32.
INLINE void dot(__v16si (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows, ptrdiff_t step,
                const int8_t *packed) {
    for (int group = 0; group < 2; group++) {
        __m512i weights[2];
        for (int v = 0; v < vectors; v++)
            weights[v] = _mm512_loadu_si512((const void *)(packed + (group * vectors + v) * 64));
        for (int p = 0; p < pixels; p++) {
            const __m512i pixel = four_steps(rows[p] + step + 4 * group);
            for (int v = 0; v < vectors; v++)
                sums[p][v] = (__v16si)_mm512_dpbusd_epi32((__m512i)sums[p][v], pixel, weights[v]);
        }
    }
}

/// Four vectors of integers as bytes; the order that packing within 128-bit lanes leaves is undone.
INLINE __m512i packed_bytes(__v16si a, __v16si b, __v16si c, __v16si d) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i first = _mm512_packs_epi32((__m512i)a, (__m512i)b), second = _mm512_packs_epi32((__m512i)c, (__m512i)d);
    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
}

INLINE void store_saturated(uint8_t *p, uint8_t *q, __v16si p0, __v16si p1, __v16si q0, __v16si q1, const int vectors,
                            const uint8_t *low) {
    __m512i b = packed_bytes(p0, p1, q0, q1);
    b = _mm512_max_epu8(b, _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)low)));
    const __m256i first = _mm512_castsi512_si256(b), second = _mm512_extracti64x4_epi64(b, 1);
    if (vectors > 1) {
        _mm256_storeu_si256((__m256i *)p, first);
        _mm256_storeu_si256((__m256i *)q, second);
    } else {
        _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(first));
        _mm_storeu_si128((__m128i *)q, _mm256_castsi256_si128(second));
    }
}

/// Depthwise: taps of a column as four bytes, the last of them zero.
#define DEPTHWISE_FORM 2
typedef uint8_t octets_of_block __attribute__((vector_size(64)));

INLINE __v16si pack_words(__v16si a, __v16si b) { return (__v16si)_mm512_packs_epi32((__m512i)a, (__m512i)b); }
INLINE __v16si pack_octets(__v16si a, __v16si b) { return (__v16si)_mm512_packus_epi16((__m512i)a, (__m512i)b); }

INLINE void interleaved(__v16si *taps, const uint8_t *first, const uint8_t *second, const uint8_t *third,
                        const int half) {
    const __m512i a = _mm512_loadu_si512(first), b = _mm512_loadu_si512(second), c = _mm512_loadu_si512(third);
    const __m512i zero = _mm512_setzero_si512();
    const __m512i upper = half == 0 ? _mm512_unpacklo_epi8(a, b) : _mm512_unpackhi_epi8(a, b);
    const __m512i lower = half == 0 ? _mm512_unpacklo_epi8(c, zero) : _mm512_unpackhi_epi8(c, zero);
    taps[0] = (__v16si)_mm512_unpacklo_epi16(upper, lower);
    taps[1] = (__v16si)_mm512_unpackhi_epi16(upper, lower);
}

INLINE __v16si column_added(__v16si sum, const __v16si *taps, const int8_t *weights, const int j) {
    return (__v16si)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)taps[j],
                                        _mm512_loadu_si512((const void *)(weights + j * 64)));
}

#define WINOGRAD_TILES 12
INLINE __v16si word_pair(const int16_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return (__v16si)_mm512_set1_epi32(v);
}

INLINE __v16si pairs_added(__v16si sum, __v16si a, __v16si b) {
    return (__v16si)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}

#include "int8_template.h"
#pragma clang attribute pop
#endif
