// SPDX-License-Identifier: Apache-2.0
// Parts of a vector of 16 floats: the first `count`, 0 <= count <= 16.
#pragma once
#include <immintrin.h>
#include <stddef.h>

#include "inline.h"

#define HAS_PARTS
INLINE __m512 load_part(const float *p, ptrdiff_t count) {
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
}
INLINE void store_part(float *p, __m512 v, ptrdiff_t count) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), v);
}
