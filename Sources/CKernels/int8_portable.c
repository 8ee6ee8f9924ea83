// SPDX-License-Identifier: Apache-2.0
// The reference: plain C over vectors of four, what every other instruction set must equal.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ckernels_int8.h"
#include "inline.h"

#define WIDTH 4
#define TILE_PIXELS 2
#define KERNELS_NAME "scalar"
#define KERNELS_SYMBOL int8_kernels_portable

typedef int32_t four_integers __attribute__((vector_size(16)));
typedef float four_floats __attribute__((vector_size(16)));

INLINE four_floats choose(four_integers mask, four_floats a, four_floats b) {
    return (four_floats)((mask & (four_integers)a) | (~mask & (four_integers)b));
}
INLINE four_floats least(four_floats a, four_floats b) { return choose(a < b, a, b); }
INLINE four_floats greatest(four_floats a, four_floats b) { return choose(a > b, a, b); }
/// What is far from zero stays there.
INLINE four_integers nearest(four_floats x) {
    x = least(greatest(x, (four_floats){0} - 4194304.0f), (four_floats){0} + 4194303.0f);
    return ((four_integers)(x + 12582912.0f) & 0x7FFFFF) - 0x400000;
}

/// Adds eight steps: packed is [group of four steps][filters][four steps].
INLINE void dot(four_integers (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows,
                ptrdiff_t step, const int8_t *packed) {
    for (int p = 0; p < pixels; p++)
        for (int f = 0; f < vectors * WIDTH; f++) {
            int32_t sum = 0;
            for (int group = 0; group < 2; group++)
                for (int i = 0; i < 4; i++)
                    sum += rows[p][step + 4 * group + i] * packed[(group * vectors * WIDTH + f) * 4 + i];
            sums[p][f / WIDTH][f % WIDTH] += sum;
        }
}

INLINE uint8_t saturated(int32_t x, uint8_t low, uint8_t high) {
    const int32_t byte = x < 0 ? 0 : x > high ? high : x;
    return (uint8_t)(byte < low ? low : byte);
}

INLINE void store_saturated(uint8_t *p, uint8_t *q, four_integers p0, four_integers p1, four_integers q0,
                            four_integers q1, const int vectors, const uint8_t *low, const uint8_t *high) {
    for (int i = 0; i < WIDTH; i++) {
        p[i] = saturated(p0[i], low[i], high[i]);
        q[i] = saturated(q0[i], low[i], high[i]);
        if (vectors > 1) {
            p[WIDTH + i] = saturated(p1[i], low[WIDTH + i], high[WIDTH + i]);
            q[WIDTH + i] = saturated(q1[i], low[WIDTH + i], high[WIDTH + i]);
        }
    }
}

typedef int16_t eight_words __attribute__((vector_size(16)));

INLINE eight_words joined_words(four_integers a, four_integers b) {
    eight_words w;
    for (int i = 0; i < 8; i++) {
        const int32_t x = i < 4 ? a[i] : b[i - 4];
        w[i] = (int16_t)(x < -32768 ? -32768 : x > 32767 ? 32767 : x);
    }
    return w;
}

INLINE four_integers pack_words(four_integers a, four_integers b) { return (four_integers)joined_words(a, b); }

INLINE four_integers interleaved_words(eight_words a, eight_words b, const int half) {
    eight_words w;
    for (int i = 0; i < 8; i++) w[i] = (i % 2 == 0 ? a : b)[half * 4 + i / 2];
    return (four_integers)w;
}

#define WINOGRAD_TILES 2
INLINE four_integers word_pair(const int16_t *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return (four_integers){0} + v;
}

INLINE four_integers pairs_added(four_integers sum, four_integers a, four_integers b) {
    int16_t x[8], y[8];
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    for (int i = 0; i < 4; i++) sum[i] += x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1];
    return sum;
}

#include "int8_template.h"
