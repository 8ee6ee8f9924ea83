// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"))), apply_to = function)
#define WIDTH 16
#define TILE_PIXELS 8
#define HAS_FMA 1
#define KERNELS_NAME "avx512"
#define KERNELS_SYMBOL float_kernels_avx512

#define HAS_PARTS
static inline __attribute__((always_inline)) __m512 load_part(const float *p, ptrdiff_t count) {
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
}
static inline __attribute__((always_inline)) void store_part(float *p, __m512 v, ptrdiff_t count) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), v);
}

#include "float_template.h"
#pragma clang attribute pop
#endif
