// SPDX-License-Identifier: Apache-2.0
// How filters of int8_winograd.h are stored.
#include <stdlib.h>
#include <string.h>

#include "ckernels_int8.h"

/// B^T of F(4x4, 3x3), row by row.
static const int input_transform[6][6] = {
    {4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
    {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1},
};

ptrdiff_t int8_winograd_bytes(const struct int8_kernels *kernels, ptrdiff_t filters, ptrdiff_t channels) {
    const ptrdiff_t tile = 2 * kernels->width, tiles = (filters + tile - 1) / tile, pairs = (channels + 1) / 2;
    return tiles * tile * (37 * (ptrdiff_t)sizeof(float) + 36 * pairs * 2 * (ptrdiff_t)sizeof(int16_t));
}

ptrdiff_t int8_winograd_scratch_bytes(const struct int8_kernels *kernels, ptrdiff_t channels) {
    const ptrdiff_t most = int8_winograd_tiles(kernels->width, channels);
    return 36 * (most * (int8_winograd_padded(kernels->width, channels) * 2 + 2 * kernels->width * 4) + 2 * 64) + 64;
}

/// The largest magnitude that a transformed input can have at a position: bytes on one side of zero at their largest.
static double largest_input(int i, int j) {
    int positive = 0, negative = 0;
    for (int a = 0; a < 6; a++)
        for (int b = 0; b < 6; b++) {
            const int factor = input_transform[i][a] * input_transform[j][b];
            if (factor > 0) positive += factor;
            else negative -= factor;
        }
    return 255.0 * (positive > negative ? positive : negative);
}

void int8_pack_winograd(const struct int8_kernels *kernels, const int8_t *weight, const uint8_t *zero_points,
                        ptrdiff_t filters, ptrdiff_t channels, void *packed) {
    const ptrdiff_t width = kernels->width, tile = 2 * width, pairs = (channels + 1) / 2, steps = channels * 9;
    // Rounding may add half a step per channel to the total.
    double rooms[36];
    for (int p = 0; p < 36; p++) rooms[p] = 2147483647.0 / largest_input(p / 6, p % 6) - (double)channels;
    char *target = packed;
    int8_t *columns = malloc((size_t)(steps * width + 1));
    if (!columns) abort();
    for (ptrdiff_t first = 0; first < filters; first += tile) {
        float *numbers = (float *)target;
        int16_t *stored = (int16_t *)(numbers + 37 * tile);
        for (ptrdiff_t f = 0; f < tile; f += width) {
            const ptrdiff_t rest = filters - first - f, count = rest < 0 ? 0 : rest > width ? width : rest;
            memset(columns, 0, (size_t)(steps * width));
            strided_copy(columns, weight + (filters - rest) * steps, 1, 2, (const ptrdiff_t[]){steps, count},
                         (const ptrdiff_t[]){width, 1}, (const ptrdiff_t[]){1, steps});
            kernels->winograd_filters(columns, zero_points, channels, rooms, numbers + f, stored + f * 2);
        }
        target = (char *)(stored + 36 * pairs * tile * 2);
    }
    free(columns);
}
