// SPDX-License-Identifier: Apache-2.0
// Vectors of WIDTH numbers, and the functions of numbers that layers end with. Every operation is one that IEEE 754 rounds
// exactly, so all instruction sets compute the same bits. The including file defines WIDTH, INLINE, and for its instruction
// set `least`, `greatest` (the second operand if one is NaN) and `nearest` (to integers, ties to even, |x| < 2^22 or below);
// if it has loads and stores of parts of vectors, HAS_MASKS, `load_bytes_masked`, `store_floats_masked` and
// `store_saturated_part`.
#pragma once
#include <math.h>
#include <string.h>

#include "ckernels_int8.h"

typedef float vector __attribute__((vector_size(WIDTH * 4)));
typedef int32_t integers __attribute__((vector_size(WIDTH * 4)));
typedef uint8_t bytes __attribute__((vector_size(WIDTH)));
typedef float loose __attribute__((vector_size(WIDTH * 4), aligned(1)));
typedef int32_t loose_integers __attribute__((vector_size(WIDTH * 4), aligned(1)));

INLINE vector load(const float *p) { return *(const loose *)p; }
INLINE vector splat(float x) { return (vector){0} + x; }
INLINE vector fused(vector a, vector b, vector c) { return __builtin_elementwise_fma(a, b, c); }

INLINE vector load_part(const float *p, ptrdiff_t count) {
    vector v = {0};
    memcpy(&v, p, (size_t)count * sizeof(float));
    return v;
}

/// Stores `count` floats, 1 <= count <= WIDTH.
INLINE void store_part(float *p, vector v, ptrdiff_t count) {
#ifdef HAS_MASKS
    store_floats_masked(p, v, count);
#else
    if (count == WIDTH) {
        *(loose *)p = v;
    } else {
        for (ptrdiff_t i = 0; i < count; i++) p[i] = v[i];
    }
#endif
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

/// Nearest integer, ties to even, saturated to 0...255.
INLINE void store_bytes(uint8_t *p, vector v, ptrdiff_t count) {
    v = least(greatest(v, splat(0)), splat(255));
    bytes b = __builtin_convertvector(nearest(v), bytes);
    if (count == WIDTH)
        memcpy(p, &b, WIDTH);
    else
        memcpy(p, &b, (size_t)count);
}

/// 1.5 * 2^23: adding it to |x| < 2^22 leaves the nearest integer in the lowest bits.
#define ROUNDING 12582912.0f

INLINE vector rounded(vector v) {
    v = least(greatest(v, splat(-4194304)), splat(4194304));
    return (v + splat(ROUNDING)) - splat(ROUNDING);
}

/// exp(x) to about 2 units in the last place: x = n ln 2 + r, Taylor series to degree 7.
INLINE vector exponential(vector x) {
    x = least(greatest(x, splat(-87.0f)), splat(88.0f));
    vector shifted = fused(x, splat(1.44269504088896f), splat(ROUNDING));
    vector n = shifted - splat(ROUNDING);
    vector r = fused(n, splat(-0.693145751953125f), x);
    r = fused(n, splat(-1.42860682030941723212e-6f), r);
    vector p = splat(1.0f / 5040);
    p = fused(p, r, splat(1.0f / 720));
    p = fused(p, r, splat(1.0f / 120));
    p = fused(p, r, splat(1.0f / 24));
    p = fused(p, r, splat(1.0f / 6));
    p = fused(p, r, splat(0.5f));
    p = fused(p, r, splat(1.0f));
    p = fused(p, r, splat(1.0f));
    return p * (vector)(((integers)shifted - (integers)splat(ROUNDING) + 127) << 23);
}

INLINE vector logistic(vector x) { return splat(1) / (splat(1) + exponential(-x)); }

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

INLINE vector activated(vector x, enum float_activation activation, float low, float high) {
    switch (activation) {
        case float_clamp: return least(greatest(x, splat(low)), splat(high));
        case float_leaky_relu: return fused(splat(low), least(x, splat(0)), greatest(x, splat(0)));
        case float_sigmoid: return logistic(x);
        case float_silu: return x * logistic(x);
        case float_hard_sigmoid: return greatest(least(fused(splat(low), x, splat(high)), splat(1)), splat(0));
        case float_hard_swish:
            return x * greatest(least(fused(x, splat(1.0f / 6), splat(0.5f)), splat(1)), splat(0));
        case float_tanh: return splat(2) * logistic(x + x) - splat(1);
        default: return x;
    }
}
