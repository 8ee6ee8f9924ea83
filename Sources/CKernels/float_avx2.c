// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "inline.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define WIDTH 8
#define TILE_PIXELS 6
#define HAS_FMA 1
#define KERNELS_NAME "avx2"
#define KERNELS_SYMBOL float_kernels_avx2

#define HAS_PARTS
INLINE __m256i mask_of(ptrdiff_t count) {
    static const int32_t masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(masks + 8 - count));
}
INLINE __m256 load_part(const float *p, ptrdiff_t count) {
    return _mm256_maskload_ps(p, mask_of(count));
}
INLINE void store_part(float *p, __m256 v, ptrdiff_t count) {
    _mm256_maskstore_ps(p, mask_of(count), v);
}

#include "float_template.h"
#pragma clang attribute pop
#endif
