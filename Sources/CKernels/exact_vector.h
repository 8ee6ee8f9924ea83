// SPDX-License-Identifier: Apache-2.0
// Arithmetic on vectors of WIDTH numbers that gives the same bits on every processor: only operations that IEEE 754 rounds
// exactly, and minimum and maximum defined as a comparison. Included by one file per instruction set.
#pragma once
#include <math.h>
#include <string.h>

#include "ckernels_float.h"
#include "inline.h"

typedef float vector __attribute__((vector_size(WIDTH * 4)));
typedef int32_t integers __attribute__((vector_size(WIDTH * 4)));
typedef uint8_t bytes __attribute__((vector_size(WIDTH)));
typedef float loose __attribute__((vector_size(WIDTH * 4), aligned(1)));
typedef int32_t loose_integers __attribute__((vector_size(WIDTH * 4), aligned(1)));

INLINE vector load(const float *p) { return *(const loose *)p; }
INLINE void store(float *p, vector v) { *(loose *)p = v; }
/// Taking 0 away changes no number, which the compiler knows; adding it would make 0 of -0, and take an addition.
INLINE vector splat(float x) { return x - (vector){0}; }
#ifndef HAS_LEAST
INLINE vector choose(integers mask, vector a, vector b) {
    return (vector)((mask & (integers)a) | (~mask & (integers)b));
}
// As the x86 instructions: the second operand if one is NaN.
INLINE vector least(vector a, vector b) { return choose(a < b, a, b); }
INLINE vector greatest(vector a, vector b) { return choose(a > b, a, b); }
#endif
INLINE vector fused(vector a, vector b, vector c) { return __builtin_elementwise_fma(a, b, c); }
INLINE vector real(integers v) { return __builtin_convertvector(v, vector); }

#ifndef HAS_PARTS
/// The first `count` numbers, 0 <= count <= WIDTH, the others zero; an instruction set may have its own.
INLINE vector load_part(const float *p, ptrdiff_t count) {
    if (count == WIDTH) return load(p);
    vector v = {0};
    memcpy(&v, p, (size_t)count * sizeof(float));
    return v;
}
#endif

/// Nearest integer, ties to even, saturated to 0...255. Adding 1.5 * 2^23 rounds; the clamp comes first, so it is exact.
INLINE void store_bytes(uint8_t *p, vector v, ptrdiff_t count) {
    v = least(greatest(v, splat(0)), splat(255));
    integers i = (integers)(v + splat(12582912.0f)) & 255;
    bytes b = __builtin_convertvector(i, bytes);
    if (count >= WIDTH)
        memcpy(p, &b, WIDTH);
    else
        memcpy(p, &b, (size_t)count);
}

#include "exponential.h"

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

/// 2^t for t limited to -30...30: t = n + f with n nearest to even; 2^f = 1 + f q(f), q of degree 3 with the least largest
/// relative error (3e-6), found by Remez' method. The exponent takes n.
INLINE vector power_of_two(vector t) {
    t = least(greatest(t, splat(-30)), splat(30));
    const vector magic = splat(12582912.0f);
    const vector shifted = t + magic;
    const vector f = t - (shifted - magic);
    vector p = splat(0.00958285f);
    p = fused(p, f, splat(0.05590643f));
    p = fused(p, f, splat(0.24024099f));
    p = fused(p, f, splat(0.69312419f));
    p = fused(p, f, splat(1.0f));
    // The lower bits of `shifted` hold n; those of 1.5 * 2^23 are shifted out.
    return (vector)((integers)p + ((integers)shifted << 23));
}
