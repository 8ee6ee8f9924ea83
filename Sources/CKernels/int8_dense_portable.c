// SPDX-License-Identifier: Apache-2.0
// The reference: plain C over vectors of four, what every other instruction set must equal.
#include <stddef.h>
#include <stdint.h>

#include "inline.h"

#define WIDTH 4
#define ROW_BLOCK 2
#define BLOCK_VECTORS 4
#define KERNELS_NAME "scalar"
#define KERNELS_SYMBOL int8_dense_kernels_portable

typedef int32_t sums_of_four __attribute__((vector_size(16)));

INLINE void products(sums_of_four (*sums)[64 / WIDTH], const int rows, const int vectors, const uint8_t *const *x,
                     const int8_t *packed, ptrdiff_t stride, ptrdiff_t groups, int lane_products) {
    (void)lane_products;
    for (int r = 0; r < rows; r++)
        for (ptrdiff_t g = 0; g < groups; g++)
            for (int i = 0; i < vectors * WIDTH; i++) {
                const int8_t *w = packed + g * stride + i * 4;
                const uint8_t *a = x[r] + g * 4;
                sums[r][i / WIDTH][i % WIDTH] += a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3];
            }
}

#include "int8_dense_template.h"
