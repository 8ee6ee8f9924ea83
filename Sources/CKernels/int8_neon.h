// SPDX-License-Identifier: Apache-2.0
// What the AArch64 instruction sets share: vectors of four. Inputs are taken as x - 128 (`input_offset`), which suits products
// of two signed numbers. The including file says how these are added:
//   NEON_I8MM            usdot and sudot, of inputs as they are
//   NEON_DOTPROD         sdot
//   KERNELS_UNLIMITED    four of them in int16, as weights within the lane limit allow
//   nothing              each widened on its own
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ckernels_int8.h"
#include "inline.h"

#define WIDTH 4
#define TILE_PIXELS 8
#define WINOGRAD_TILES 6

typedef int32_t four_integers __attribute__((vector_size(16)));
typedef uint8_t octets_of_block __attribute__((vector_size(16)));

INLINE float32x4_t least(float32x4_t a, float32x4_t b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
INLINE float32x4_t greatest(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
INLINE four_integers nearest(float32x4_t x) { return (four_integers)vcvtnq_s32_f32(x); }

INLINE four_integers pack_words(four_integers a, four_integers b) {
    return (four_integers)vqmovn_high_s32(vqmovn_s32((int32x4_t)a), (int32x4_t)b);
}
INLINE four_integers pack_octets(four_integers a, four_integers b) {
    return (four_integers)vqmovun_high_s16(vqmovun_s16((int16x8_t)a), (int16x8_t)b);
}

typedef int16_t words_of_block __attribute__((vector_size(16)));

INLINE words_of_block joined_words(four_integers a, four_integers b) { return (words_of_block)pack_words(a, b); }
INLINE four_integers interleaved_words(words_of_block a, words_of_block b, const int half) {
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    return (four_integers)(half == 0 ? vzip1q_s16(x, y) : vzip2q_s16(x, y));
}

INLINE void store_saturated(uint8_t *p, uint8_t *q, four_integers p0, four_integers p1, four_integers q0, four_integers q1,
                            const int vectors, const uint8_t *low, const uint8_t *high) {
    const uint8x16_t both = (uint8x16_t)pack_octets(pack_words(p0, p1), pack_words(q0, q1));
    const uint8x8_t least_bytes = vld1_u8(low), most_bytes = vld1_u8(high);
    const uint8x16_t b = vmaxq_u8(vminq_u8(both, vcombine_u8(most_bytes, most_bytes)), vcombine_u8(least_bytes, least_bytes));
    memcpy(p, &b, vectors > 1 ? 8 : 4);
    memcpy(q, (const char *)&b + 8, vectors > 1 ? 8 : 4);
}

INLINE four_integers word_pair(const int16_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return (four_integers)vdupq_n_s32(v);
}

INLINE four_integers pairs_added(four_integers sum, four_integers a, four_integers b) {
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
    return (four_integers)vaddq_s32((int32x4_t)sum, vpaddq_s32(low, high));
}

#ifdef NEON_I8MM
#define INPUT_OFFSET 0
#else
#define INPUT_OFFSET 128
#endif

INLINE uint8x16_t offset(uint8x16_t x) { return veorq_u8(x, vdupq_n_u8(INPUT_OFFSET)); }

/// Adds eight steps: packed is [group of four steps][filters][four steps].
INLINE void dot(four_integers (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows, ptrdiff_t step,
                const int8_t *packed) {
    int8x16_t w[2][2];
    for (int group = 0; group < 2; group++)
        for (int v = 0; v < vectors; v++) w[group][v] = vld1q_s8(packed + (group * vectors + v) * 16);
    for (int p = 0; p < pixels; p++) {
        const uint8x8_t steps = veor_u8(vld1_u8(rows[p] + step), vdup_n_u8(INPUT_OFFSET));
        for (int v = 0; v < vectors; v++) {
            int32x4_t sum = (int32x4_t)sums[p][v];
#if defined(NEON_I8MM)
            sum = vsudotq_lane_s32(sum, w[0][v], steps, 0);
            sum = vsudotq_lane_s32(sum, w[1][v], steps, 1);
#elif defined(NEON_DOTPROD)
            sum = vdotq_lane_s32(sum, w[0][v], vreinterpret_s8_u8(steps), 0);
            sum = vdotq_lane_s32(sum, w[1][v], vreinterpret_s8_u8(steps), 1);
#else
            const int32x2_t groups = vreinterpret_s32_u8(steps);
            const int8x16_t x = vreinterpretq_s8_s32(vdupq_lane_s32(groups, 0));
            const int8x16_t z = vreinterpretq_s8_s32(vdupq_lane_s32(groups, 1));
            const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w[0][v])), high = vmull_high_s8(x, w[0][v]);
#ifdef KERNELS_UNLIMITED
            // At most 128 * (128 of one sign) + 127 * (128 of the other).
            sum = vpadalq_s16(sum, vpaddq_s16(vmlal_s8(low, vget_low_s8(z), vget_low_s8(w[1][v])),
                                              vmlal_high_s8(high, z, w[1][v])));
#else
            const int16x8_t more = vmull_s8(vget_low_s8(z), vget_low_s8(w[1][v])), most = vmull_high_s8(z, w[1][v]);
            sum = vaddq_s32(sum, vpaddq_s32(vpadalq_s16(vpaddlq_s16(low), more), vpadalq_s16(vpaddlq_s16(high), most)));
#endif
#endif
            sums[p][v] = (four_integers)sum;
        }
    }
}

/// Bytes of the first or second half of a and b in turn.
INLINE uint8x16_t in_turn(uint8x16_t a, uint8x16_t b, const int half) {
    return half == 0 ? vzip1q_u8(a, b) : vzip2q_u8(a, b);
}

INLINE octets_of_block joined(const uint8_t *const *p, const int parts) {
    (void)parts;
    return (octets_of_block)vld1q_u8(p[0]);
}

#if defined(NEON_I8MM) || defined(NEON_DOTPROD)
/// Depthwise: taps of a column as four bytes, the last of them without weight or that of the next row of outputs.
#define DEPTHWISE_FORM 2
#define THREE_OUTPUTS 4

INLINE void interleaved(four_integers *taps, const octets_of_block *rows, const int has_fourth, const int half) {
    const uint8x16_t fourth = has_fourth ? offset((uint8x16_t)rows[3]) : vdupq_n_u8(0);
    const uint16x8_t upper =
        vreinterpretq_u16_u8(in_turn(offset((uint8x16_t)rows[0]), offset((uint8x16_t)rows[1]), half));
    const uint16x8_t lower = vreinterpretq_u16_u8(in_turn(offset((uint8x16_t)rows[2]), fourth, half));
    taps[0] = (four_integers)vzip1q_u16(upper, lower);
    taps[1] = (four_integers)vzip2q_u16(upper, lower);
}

INLINE four_integers column_added(four_integers sum, four_integers taps, four_integers weights) {
#ifdef NEON_I8MM
    return (four_integers)vusdotq_s32((int32x4_t)sum, (uint8x16_t)taps, (int8x16_t)weights);
#else
    return (four_integers)vdotq_s32((int32x4_t)sum, (int8x16_t)taps, (int8x16_t)weights);
#endif
}

/// The taps of the next row of outputs.
INLINE four_integers taps_below(four_integers taps) { return (four_integers)vshrq_n_u32((uint32x4_t)taps, 8); }
#else
/// Depthwise: taps of int16, in pairs. A column has two vectors of its upper two rows and two of its third row with zeros
/// or the row after it.
#define DEPTHWISE_FORM 4
#define THREE_OUTPUTS 3

INLINE void interleaved(four_integers *taps, const octets_of_block *rows, const int has_fourth, const int half) {
    const int8x16_t upper =
        vreinterpretq_s8_u8(in_turn(offset((uint8x16_t)rows[0]), offset((uint8x16_t)rows[1]), half));
    taps[0] = (four_integers)vmovl_s8(vget_low_s8(upper));
    taps[1] = (four_integers)vmovl_high_s8(upper);
    if (has_fourth) {
        const int8x16_t lower =
            vreinterpretq_s8_u8(in_turn(offset((uint8x16_t)rows[2]), offset((uint8x16_t)rows[3]), half));
        taps[2] = (four_integers)vmovl_s8(vget_low_s8(lower));
        taps[3] = (four_integers)vmovl_high_s8(lower);
    } else {
        const int8x16_t third = vreinterpretq_s8_u8(offset((uint8x16_t)rows[2]));
        const int16x8_t lower = half == 0 ? vmovl_s8(vget_low_s8(third)) : vmovl_high_s8(third);
        taps[2] = (four_integers)vzip1q_s16(lower, vdupq_n_s16(0));
        taps[3] = (four_integers)vzip2q_s16(lower, vdupq_n_s16(0));
    }
}

INLINE four_integers column_added(four_integers sum, const four_integers *taps, const int8_t *weights, const int j) {
    sum = pairs_added(sum, taps[j], (four_integers)vld1q_s8(weights + j * 16));
    return pairs_added(sum, taps[2 + j], (four_integers)vld1q_s8(weights + (2 + j) * 16));
}

/// Multipliers of a column as the next row of outputs has them, {upper two rows} and {third row, zero} one tap further down.
INLINE void column_below(int8_t *target, const int8_t *source) {
    for (int j = 0; j < 2; j++) {
        const uint32x4_t upper = vreinterpretq_u32_s8(vld1q_s8(source + j * 16));
        const uint32x4_t lower = vreinterpretq_u32_s8(vld1q_s8(source + (2 + j) * 16));
        vst1q_s8(target + j * 16, vreinterpretq_s8_u32(vshlq_n_u32(upper, 16)));
        vst1q_s8(target + (2 + j) * 16,
                 vreinterpretq_s8_u32(vorrq_u32(vshrq_n_u32(upper, 16), vshlq_n_u32(lower, 16))));
    }
}
#endif

#include "int8_template.h"
