// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#include "ckernels_int8.h"
#include "inline.h"

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma"))), apply_to = function)
#define WIDTH 16
#define TILE_PIXELS 8
#define KERNELS_NAME "avx512"
#define KERNELS_SYMBOL int8_kernels_avx512

INLINE __m512 least(__m512 a, __m512 b) { return _mm512_min_ps(a, b); }
INLINE __m512 greatest(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
INLINE __v16si nearest(__m512 x) { return (__v16si)_mm512_cvtps_epi32(x); }

#define HAS_MANY_REGISTERS
#include "parts_avx512.h"
#define HAS_MASKS
INLINE __m512 load_bytes_masked(const uint8_t *p, ptrdiff_t count) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8((__mmask16)((1u << count) - 1), p)));
}

typedef int16_t two_of_words __attribute__((vector_size(64)));
/// The first `count` of 16 words within the first 16 of the bounds.
INLINE void store_words_masked(int16_t *p, __v16si v, two_of_words low, two_of_words high, ptrdiff_t count) {
    __m256i w = _mm512_cvtsepi32_epi16((__m512i)v);
    w = _mm256_min_epi16(w, _mm512_castsi512_si256((__m512i)high));
    w = _mm256_max_epi16(w, _mm512_castsi512_si256((__m512i)low));
    if (count == 16)
        _mm256_storeu_si256((__m256i *)p, w);
    else
        _mm256_mask_storeu_epi16(p, (__mmask16)((1u << count) - 1), w);
}

/// Three runs of nine bytes one after the other; 32 bytes are written.
INLINE void store_nines(uint8_t *target, const uint8_t *a, const uint8_t *b, const uint8_t *c) {
    const __m256i first = _mm256_maskz_loadu_epi8(0x1FF, a), both = _mm256_mask_loadu_epi8(first, 0x1FF << 9, b - 9);
    _mm256_storeu_si256((__m256i *)target, _mm256_mask_loadu_epi8(both, 0x1FF << 18, c - 18));
}

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

#define HAS_HALVES
INLINE void dot_with_half(__v16si (*sums)[2], const int pixels, const uint8_t *const *rows, ptrdiff_t step,
                          const int8_t *packed) {
    for (int group = 0; group < 2; group++) {
        const __m512i weights = _mm512_loadu_si512((const void *)(packed + group * 128));
        const __m256i more = _mm256_loadu_si256((const __m256i *)(packed + group * 128 + 64));
        for (int p = 0; p < pixels; p++) {
            // As it stands: the compiler would load a number first, and spread it from there.
            __m512i pixel;
            __asm__("vpbroadcastd %1, %0" : "=v"(pixel) : "m"(*(const int32_t(*)[1])(rows[p] + step + 4 * group)));
            const __m256i half = _mm512_castsi512_si256((__m512i)sums[p][1]);
            sums[p][0] = (__v16si)_mm512_dpbusd_epi32((__m512i)sums[p][0], pixel, weights);
            sums[p][1] =
                (__v16si)_mm512_castsi256_si512(_mm256_dpbusd_epi32(half, _mm512_castsi512_si256(pixel), more));
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
                            const uint8_t *low, const uint8_t *high) {
    __m512i b = packed_bytes(p0, p1, q0, q1);
    b = _mm512_min_epu8(b, _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)high)));
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

/// The first `count` of 32 bytes for each of two pixels.
INLINE void store_saturated_part(uint8_t *p, uint8_t *q, __v16si p0, __v16si p1, __v16si q0, __v16si q1,
                                 const uint8_t *low, const uint8_t *high, ptrdiff_t count) {
    __m512i b = packed_bytes(p0, p1, q0, q1);
    b = _mm512_min_epu8(b, _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)high)));
    b = _mm512_max_epu8(b, _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)low)));
    const __mmask32 mask = (__mmask32)((1ull << count) - 1);
    _mm256_mask_storeu_epi8(p, mask, _mm512_castsi512_si256(b));
    _mm256_mask_storeu_epi8(q, mask, _mm512_extracti64x4_epi64(b, 1));
}

/// Up to 16 bytes, `count` of them, for each of four pixels.
#define HAS_FOURS
INLINE void store_saturated_four(uint8_t *const *targets, const __v16si *v, const uint8_t *low, const uint8_t *high,
                                 ptrdiff_t count) {
    __m512i b = packed_bytes(v[0], v[1], v[2], v[3]);
    b = _mm512_min_epu8(b, _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)high)));
    b = _mm512_max_epu8(b, _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)low)));
    const __mmask16 mask = (__mmask16)((1u << count) - 1);
    _mm_mask_storeu_epi8(targets[0], mask, _mm512_castsi512_si128(b));
    _mm_mask_storeu_epi8(targets[1], mask, _mm512_extracti32x4_epi32(b, 1));
    _mm_mask_storeu_epi8(targets[2], mask, _mm512_extracti32x4_epi32(b, 2));
    _mm_mask_storeu_epi8(targets[3], mask, _mm512_extracti32x4_epi32(b, 3));
}

/// Depthwise: taps of a column as four bytes, the last of them zero or that of the next row of outputs.
#define DEPTHWISE_FORM 2
#define THREE_OUTPUTS 4
typedef uint8_t octets_of_block __attribute__((vector_size(64)));

INLINE __v16si pack_words(__v16si a, __v16si b) { return (__v16si)_mm512_packs_epi32((__m512i)a, (__m512i)b); }
typedef int16_t words_of_block __attribute__((vector_size(64)));

INLINE words_of_block joined_words(__v16si a, __v16si b) {
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return (words_of_block)_mm512_permutexvar_epi64(order, (__m512i)pack_words(a, b));
}

INLINE __v16si interleaved_words(words_of_block a, words_of_block b, const int half) {
    return (__v16si)(half == 0 ? _mm512_unpacklo_epi16((__m512i)a, (__m512i)b) : _mm512_unpackhi_epi16((__m512i)a, (__m512i)b));
}

INLINE __v16si pack_octets(__v16si a, __v16si b) { return (__v16si)_mm512_packus_epi16((__m512i)a, (__m512i)b); }

INLINE __m256i two_lanes(const uint8_t *p, const uint8_t *q) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)),
                                   _mm_loadu_si128((const __m128i *)q), 1);
}

INLINE octets_of_block joined(const uint8_t *const *p, const int parts) {
    if (parts == 1) return (octets_of_block)_mm512_loadu_si512(p[0]);
    if (parts == 2)
        return (octets_of_block)_mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)p[0])),
                                                   _mm256_loadu_si256((const __m256i *)p[1]), 1);
    return (octets_of_block)_mm512_inserti64x4(_mm512_castsi256_si512(two_lanes(p[0], p[1])), two_lanes(p[2], p[3]), 1);
}

INLINE void store_octets_part(uint8_t *target, octets_of_block b, const int part, const int parts) {
    const __m512i all = (__m512i)b;
    if (parts == 2) {
        _mm256_storeu_si256((__m256i *)target, part == 0 ? _mm512_castsi512_si256(all) : _mm512_extracti64x4_epi64(all, 1));
        return;
    }
    switch (part) {
        case 0: return _mm_storeu_si128((__m128i *)target, _mm512_castsi512_si128(all));
        case 1: return _mm_storeu_si128((__m128i *)target, _mm512_extracti32x4_epi32(all, 1));
        case 2: return _mm_storeu_si128((__m128i *)target, _mm512_extracti32x4_epi32(all, 2));
        default: return _mm_storeu_si128((__m128i *)target, _mm512_extracti32x4_epi32(all, 3));
    }
}

INLINE void store_octets_masked(uint8_t *target, const uint8_t *source, ptrdiff_t count) {
    const __mmask64 mask = (__mmask64)((1ull << count) - 1);
    _mm512_mask_storeu_epi8(target, mask, _mm512_maskz_loadu_epi8(mask, source));
}

INLINE void interleaved(__v16si *taps, const octets_of_block *rows, const int has_fourth, const int half) {
    const __m512i a = (__m512i)rows[0], b = (__m512i)rows[1], c = (__m512i)rows[2];
    const __m512i d = has_fourth ? (__m512i)rows[3] : _mm512_setzero_si512();
    const __m512i upper = half == 0 ? _mm512_unpacklo_epi8(a, b) : _mm512_unpackhi_epi8(a, b);
    const __m512i lower = half == 0 ? _mm512_unpacklo_epi8(c, d) : _mm512_unpackhi_epi8(c, d);
    taps[0] = (__v16si)_mm512_unpacklo_epi16(upper, lower);
    taps[1] = (__v16si)_mm512_unpackhi_epi16(upper, lower);
}

INLINE __v16si column_added(__v16si sum, __v16si taps, __v16si weights) {
    return (__v16si)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)taps, (__m512i)weights);
}

/// The taps of the next row of outputs.
INLINE __v16si taps_below(__v16si taps) { return (__v16si)_mm512_srli_epi32((__m512i)taps, 8); }

#define WINOGRAD_TILES 12
INLINE __v16si word_pair(const int16_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return (__v16si)_mm512_set1_epi32(v);
}

INLINE __v16si pairs_added(__v16si sum, __v16si a, __v16si b) {
    // As it stands: of the intrinsic the compiler makes a multiplication and an addition.
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/// Layers that need words are often the first ones, of few channels.
#define NARROW_WORDS 8
extern const struct int8_kernels int8_kernels_avx2;
static void depthwise_narrow_words(const struct int8_convolution *task, const void *input, void *output, ptrdiff_t begin,
                                   ptrdiff_t end) {
    int8_kernels_avx2.depthwise_words(task, input, output, begin, end);
}

#include "int8_template.h"
#pragma clang attribute pop
#endif
