// SPDX-License-Identifier: Apache-2.0
// What the three AArch64 instruction sets share: vectors of four, and a choice of the products by
//   NEON_WIDE      8-bit products widened to 16 bits and added up in pairs, for any AArch64
//   NEON_DOTPROD   udot, which takes two unsigned numbers: weights + 128, less 128 times the sum of x
//   NEON_I8MM      usdot, which is what is asked for
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "inline.h"

#define WIDTH 4
#define ROW_BLOCK 4
#define BLOCK_VECTORS 4

INLINE uint8x16_t four_steps(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return vreinterpretq_u8_u32(vdupq_n_u32(v));
}

#ifdef NEON_WIDE
/// The products of one group, as four sums of four.
INLINE int32x4_t added(int32x4_t sum, uint8x16_t x, int8x16_t w) {
    const int16x8_t a = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x)));
    const int16x8_t low = vmovl_s8(vget_low_s8(w)), high = vmovl_high_s8(w);
    const int32x4_t first = vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(low)), vmull_high_s16(a, low));
    const int32x4_t second = vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(high)), vmull_high_s16(a, high));
    return vaddq_s32(sum, vpaddq_s32(first, second));
}
#elif defined(NEON_DOTPROD)
INLINE int32x4_t added(int32x4_t sum, uint8x16_t x, int8x16_t w) {
    const uint8x16_t shifted = veorq_u8(vreinterpretq_u8_s8(w), vdupq_n_u8(128));
    return vreinterpretq_s32_u32(vdotq_u32(vreinterpretq_u32_s32(sum), shifted, x));
}
#else
INLINE int32x4_t added(int32x4_t sum, uint8x16_t x, int8x16_t w) { return vusdotq_s32(sum, x, w); }
#endif

INLINE void products(int32x4_t (*sums)[64 / WIDTH], const int rows, const int vectors, const uint8_t *const *x,
                     const int8_t *packed, ptrdiff_t stride, ptrdiff_t groups, int lane_products) {
    (void)lane_products;
    int32x4_t a[ROW_BLOCK][16];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) a[r][v] = sums[r][v];
    for (ptrdiff_t g = 0; g < groups; g++, packed += stride)
        for (int v = 0; v < vectors; v++) {
            const int8x16_t w = vld1q_s8(packed + v * 16);
            for (int r = 0; r < rows; r++) a[r][v] = added(a[r][v], four_steps(x[r] + g * 4), w);
        }
    for (int r = 0; r < rows; r++) {
#ifdef NEON_DOTPROD
        // Sums wrap around, so the detour over weights + 128 is exact.
        uint32_t total = 0;
        for (ptrdiff_t k = 0; k < groups * 4; k += 8) total += vaddlv_u8(vld1_u8(x[r] + k));
        const int32x4_t excess = vreinterpretq_s32_u32(vdupq_n_u32(total * 128));
        for (int v = 0; v < vectors; v++) sums[r][v] = vsubq_s32(a[r][v], excess);
#else
        for (int v = 0; v < vectors; v++) sums[r][v] = a[r][v];
#endif
    }
}

#include "int8_dense_template.h"
