// SPDX-License-Identifier: Apache-2.0
// The reference: plain C over vectors of four, what every other instruction set must equal.
#include <stddef.h>
#include <stdint.h>

#define WIDTH 4
#define TILE_PIXELS 2
#define KERNELS_NAME "scalar"
#define KERNELS_SYMBOL int8_kernels_portable
#define INLINE static inline __attribute__((always_inline))

typedef int32_t sums_of_four __attribute__((vector_size(16)));

/// Adds eight steps: packed is [group of four steps][filters][four steps].
INLINE void dot(sums_of_four (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows, ptrdiff_t step,
                const int8_t *packed) {
    for (int p = 0; p < pixels; p++)
        for (int f = 0; f < vectors * WIDTH; f++) {
            int32_t sum = 0;
            for (int group = 0; group < 2; group++)
                for (int i = 0; i < 4; i++)
                    sum += rows[p][step + 4 * group + i] * packed[(group * vectors * WIDTH + f) * 4 + i];
            sums[p][f / WIDTH][f % WIDTH] += sum;
        }
}

#include "int8_template.h"
