// SPDX-License-Identifier: Apache-2.0
// Vectors of WIDTH numbers, and the functions of numbers that layers end with. Every operation is one that IEEE 754 rounds
// exactly, so all instruction sets compute the same bits. The including file defines WIDTH, and for its instruction
// set `least`, `greatest` (the second operand if one is NaN) and `nearest` (to integers, ties to even; beyond 2^22 to one
// beyond 255 with the same sign); if it has loads and stores of parts of vectors, HAS_PARTS for those of floats, `load_part`
// and `store_part`, and HAS_MASKS, `load_bytes_masked`, `store_words_masked` and `store_saturated_part`.
#pragma once
#include "ckernels_int8.h"

#define HAS_LEAST
#include "exact_vector.h"

typedef int16_t words __attribute__((vector_size(WIDTH * 4)));

/// Keeps a vector where it is, which the compiler would rather load again wherever it is used.
#ifdef __aarch64__
#define KEEP_IN_REGISTER(v) __asm__ volatile("" : "+w"(v))
#else
#define KEEP_IN_REGISTER(v) __asm__ volatile("" : "+v"(v))
#endif

#ifndef HAS_PARTS
/// Stores `count` floats, 1 <= count <= WIDTH.
INLINE void store_part(float *p, vector v, ptrdiff_t count) {
    if (count == WIDTH) {
        *(loose *)p = v;
    } else {
        for (ptrdiff_t i = 0; i < count; i++) p[i] = v[i];
    }
}
#endif

/// 1 ... 64 bytes.
INLINE void copy_few(void *target, const void *source, ptrdiff_t count) {
    char *t = target;
    const char *s = source;
    if (count >= 32) {
        memcpy(t, s, 32);
        memcpy(t + count - 32, s + count - 32, 32);
    } else if (count >= 16) {
        memcpy(t, s, 16);
        memcpy(t + count - 16, s + count - 16, 16);
    } else if (count >= 8) {
        memcpy(t, s, 8);
        memcpy(t + count - 8, s + count - 8, 8);
    } else if (count >= 4) {
        memcpy(t, s, 4);
        memcpy(t + count - 4, s + count - 4, 4);
    } else {
        for (ptrdiff_t i = 0; i < count; i++) t[i] = s[i];
    }
}

/// WIDTH bytes as float.
INLINE vector load_bytes(const uint8_t *p) {
    bytes b;
    memcpy(&b, p, WIDTH);
    return __builtin_convertvector(__builtin_convertvector(b, integers), vector);
}

/// `count` bytes as float, 0 <= count <= WIDTH, the others zero.
INLINE vector load_bytes_part(const uint8_t *p, ptrdiff_t count) {
#ifdef HAS_MASKS
    return load_bytes_masked(p, count);
#else
    if (count == WIDTH) return load_bytes(p);
    uint8_t whole[WIDTH] = {0};
    memcpy(whole, p, (size_t)count);
    return load_bytes(whole);
#endif
}

/// `count` words as float, 0 <= count <= WIDTH, the others zero.
INLINE vector load_words_part(const int16_t *p, ptrdiff_t count) {
    typedef int16_t words_of_vector __attribute__((vector_size(WIDTH * 2)));
    words_of_vector w = {0};
    if (count == WIDTH)
        memcpy(&w, p, sizeof w);
    else
        memcpy(&w, p, (size_t)count * 2);
    return __builtin_convertvector(__builtin_convertvector(w, integers), vector);
}

/// 1.5 * 2^23: adding it to |x| < 2^22 leaves the nearest integer in the lowest bits.
#define ROUNDING 12582912.0f

INLINE vector rounded(vector v) {
    v = least(greatest(v, splat(-4194304)), splat(4194304));
    return (v + splat(ROUNDING)) - splat(ROUNDING);
}

/// 1 + exp(-x) to 1e-4 of its value, for results of 8 bits: 2^f over |f| <= 1/2 by a cubic (minimax, with 2^0 = 1).
INLINE vector one_and_exponential(vector x) {
    x = least(greatest(x, splat(-80.0f)), splat(80.0f));
    vector shifted = fused(x, splat(-1.44269504088896f), splat(ROUNDING));
    vector f = fused(x, splat(-1.44269504088896f), splat(ROUNDING) - shifted);
    vector p = fused(splat(0.0558011f), f, splat(0.2401389f));
    p = fused(p, f, splat(0.6931472f));
    p = fused(p, f, splat(1.0f));
    return splat(1) + (vector)((integers)p + ((integers)shifted << 23));
}
