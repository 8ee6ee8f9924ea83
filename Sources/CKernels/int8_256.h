// SPDX-License-Identifier: Apache-2.0
// What AVX2 and AVX-VNNI share: vectors of eight numbers and how they become bytes.
#pragma once
#include <immintrin.h>
#include <string.h>

#include "inline.h"

#define WIDTH 8

INLINE __m256 least(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
INLINE __m256 greatest(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
INLINE __v8si nearest(__m256 x) { return (__v8si)_mm256_cvtps_epi32(x); }

INLINE __m256i four_steps(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

/// The order that packing twice within 128-bit lanes leaves groups of four bytes in, undone.
INLINE __m256i ordered(__m256i packed) {
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

INLINE __v8si pack_words(__v8si a, __v8si b) { return (__v8si)_mm256_packs_epi32((__m256i)a, (__m256i)b); }
INLINE __v8si pack_octets(__v8si a, __v8si b) { return (__v8si)_mm256_packus_epi16((__m256i)a, (__m256i)b); }

/// Words that `pack_words` made, as bytes: those of `first` at p, of `second` at q.
INLINE void store_words_saturated(uint8_t *p, uint8_t *q, __v8si first, __v8si second, const int vectors, const uint8_t *low,
                                  const uint8_t *high) {
    __m256i b = ordered((__m256i)pack_octets(first, second));
    b = _mm256_min_epu8(b, _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)high)));
    b = _mm256_max_epu8(b, _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)low)));
    if (vectors > 1) {
        _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(b));
        _mm_storeu_si128((__m128i *)q, _mm256_extracti128_si256(b, 1));
    } else {
        _mm_storel_epi64((__m128i *)p, _mm256_castsi256_si128(b));
        _mm_storel_epi64((__m128i *)q, _mm256_extracti128_si256(b, 1));
    }
}

INLINE void store_saturated(uint8_t *p, uint8_t *q, __v8si p0, __v8si p1, __v8si q0, __v8si q1, const int vectors,
                            const uint8_t *low, const uint8_t *high) {
    store_words_saturated(p, q, pack_words(p0, p1), pack_words(q0, q1), vectors, low, high);
}

/// Up to 8 bytes, `count` of them, for each of four pixels.
#define HAS_FOURS
INLINE void store_saturated_four(uint8_t *const *targets, const __v8si *v, const uint8_t *low, const uint8_t *high,
                                 ptrdiff_t count) {
    const __m256i first = _mm256_packs_epi32((__m256i)v[0], (__m256i)v[1]);
    const __m256i second = _mm256_packs_epi32((__m256i)v[2], (__m256i)v[3]);
    __m256i b = ordered(_mm256_packus_epi16(first, second));
    b = _mm256_min_epu8(b, _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)high)));
    b = _mm256_max_epu8(b, _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)low)));
    if (count == 8) {
        const __m128i upper = _mm256_extracti128_si256(b, 1);
        _mm_storel_epi64((__m128i *)targets[0], _mm256_castsi256_si128(b));
        _mm_storeh_pd((double *)targets[1], (__m128d)_mm256_castsi256_si128(b));
        _mm_storel_epi64((__m128i *)targets[2], upper);
        _mm_storeh_pd((double *)targets[3], (__m128d)upper);
        return;
    }
    uint8_t whole[32];
    _mm256_storeu_si256((__m256i *)whole, b);
    for (int i = 0; i < 4; i++) memcpy(targets[i], whole + 8 * i, (size_t)count);
}

typedef uint8_t octets_of_block __attribute__((vector_size(32)));

INLINE octets_of_block joined(const uint8_t *const *p, const int parts) {
    if (parts == 1) return (octets_of_block)_mm256_loadu_si256((const __m256i *)p[0]);
    return (octets_of_block)_mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p[0])),
                                                    _mm_loadu_si128((const __m128i *)p[1]), 1);
}

INLINE void store_octets_part(uint8_t *target, octets_of_block b, const int part, const int parts) {
    (void)parts;
    const __m256i all = (__m256i)b;
    _mm_storeu_si128((__m128i *)target, part == 0 ? _mm256_castsi256_si128(all) : _mm256_extracti128_si256(all, 1));
}

/// Bytes of the first or second half of each lane of a and b in turn.
INLINE __m256i in_turn(__m256i a, __m256i b, const int half) {
    return half == 0 ? _mm256_unpacklo_epi8(a, b) : _mm256_unpackhi_epi8(a, b);
}

typedef int16_t words_of_block __attribute__((vector_size(32)));

/// What `pack_words` made, in order.
INLINE words_of_block ordered_words(__v8si packed) { return (words_of_block)_mm256_permute4x64_epi64((__m256i)packed, 0xD8); }

INLINE words_of_block joined_words(__v8si a, __v8si b) { return ordered_words(pack_words(a, b)); }

INLINE __v8si interleaved_words(words_of_block a, words_of_block b, const int half) {
    return (__v8si)(half == 0 ? _mm256_unpacklo_epi16((__m256i)a, (__m256i)b) : _mm256_unpackhi_epi16((__m256i)a, (__m256i)b));
}

#define WINOGRAD_TILES 6
INLINE __v8si word_pair(const int16_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return (__v8si)_mm256_set1_epi32(v);
}
