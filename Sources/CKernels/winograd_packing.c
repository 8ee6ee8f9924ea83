// SPDX-License-Identifier: Apache-2.0
// Transformed filters of int8_winograd.h. Double precision throughout: the results are the same on every machine.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckernels_int8.h"

/// G of F(4x4, 3x3), and B^T, row by row.
static const double filter_transform[6][3] = {
    {1.0 / 4, 0, 0},           {-1.0 / 6, -1.0 / 6, -1.0 / 6}, {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 24, 1.0 / 12, 1.0 / 6}, {1.0 / 24, -1.0 / 12, 1.0 / 6}, {0, 0, 1},
};
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

/// G g G^T of one 3x3 filter.
static void transformed(const int8_t g[9], double u[36]) {
    double half[6][3];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 3; j++)
            half[i][j] = filter_transform[i][0] * g[j] + filter_transform[i][1] * g[3 + j] + filter_transform[i][2] * g[6 + j];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
            u[i * 6 + j] = half[i][0] * filter_transform[j][0] + half[i][1] * filter_transform[j][1] +
                           half[i][2] * filter_transform[j][2];
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

/// To the nearest integer, halves to the even one, for magnitudes below 2^51: what `rint` gives, without a call.
static double rounded(double value) {
    const double magic = 0x1.8p52;
    return value + magic - magic;
}

void int8_pack_winograd(const struct int8_kernels *kernels, const int8_t *weight, const uint8_t *zero_points,
                        ptrdiff_t filters, ptrdiff_t channels, void *packed) {
    const ptrdiff_t tile = 2 * kernels->width, pairs = (channels + 1) / 2;
    char *target = packed;
    // Of one filter: as it is transformed, and then as it is stored, [36][2 * pairs].
    double(*transforms)[36] = malloc((size_t)(channels + 1) * sizeof *transforms);
    int16_t *rows = calloc((size_t)(36 * pairs + 1), 2 * sizeof *rows);
    if (!transforms || !rows) abort();
    memset(packed, 0, (size_t)int8_winograd_bytes(kernels, filters, channels));
    for (ptrdiff_t first = 0; first < filters; first += tile) {
        float *numbers = (float *)target;
        int16_t *stored = (int16_t *)(numbers + 37 * tile);
        for (ptrdiff_t f = 0; f < tile && first + f < filters; f++) {
            const int8_t *g = weight + (first + f) * channels * 9;
            double largest[36] = {0}, total[36] = {0};
            for (ptrdiff_t c = 0; c < channels; c++) {
                double *u = transforms[c];
                transformed(g + c * 9, u);
                for (int p = 0; p < 36; p++) {
                    const double size = fabs(u[p]);
                    largest[p] = largest[p] > size ? largest[p] : size;
                    total[p] += size;
                }
            }
            double scales[36], inverses[36];
            for (int p = 0; p < 36; p++) {
                // Rounding may add half a step per channel to the total.
                const double room = 2147483647.0 / largest_input(p / 6, p % 6) - (double)channels;
                scales[p] = fmax(fmax(largest[p] / 32000, total[p] / room), 1e-30);
                inverses[p] = 1 / scales[p];
                numbers[(1 + p) * tile + f] = (float)scales[p];
            }
            double correction = 0;
            for (ptrdiff_t c = 0; c < channels; c++) {
                double steps[36];
                for (int p = 0; p < 36; p++) steps[p] = rounded(transforms[c][p] * inverses[p]);
                for (int p = 0; p < 36; p++) rows[p * pairs * 2 + c] = (int16_t)steps[p];
                // Of an image that is the zero point all over only position (1, 1) differs from zero.
                correction -= 36.0 * zero_points[c] * steps[7];
            }
            for (ptrdiff_t pair = 0; pair < 36 * pairs; pair++)
                memcpy(stored + (pair * tile + f) * 2, rows + pair * 2, 2 * sizeof *rows);
            numbers[f] = (float)(correction * scales[7]);
        }
        target = (char *)(stored + 36 * pairs * tile * 2);
    }
    free(transforms);
    free(rows);
}
