// SPDX-License-Identifier: Apache-2.0
// Transformed filters of int8_winograd.h. 24 G is made of integers, and so is 576 G g G^T: exact until it is rounded to its
// scale, the same everywhere.
#pragma once
#include "int8_vectors.h"

typedef int8_t signed_bytes __attribute__((vector_size(WIDTH)));

/// y = 24 G x for one row or column of three.
INLINE void filter_transformed(const integers x[3], integers y[6]) {
    const integers a = -4 * (x[0] + x[2]), b = 4 * x[1], c = x[0] + 4 * x[2], d = 2 * x[1];
    y[0] = 6 * x[0];
    y[1] = a - b;
    y[2] = a + b;
    y[3] = c + d;
    y[4] = c - d;
    y[5] = 24 * x[2];
}

/// 576 G g G^T of one channel of WIDTH filters: `columns` is [9][WIDTH].
INLINE void filters_transformed(const int8_t *columns, integers u[36]) {
    integers half[6][3];
    for (int j = 0; j < 3; j++) {
        integers x[3], y[6];
        for (int i = 0; i < 3; i++) {
            signed_bytes g;
            memcpy(&g, columns + (i * 3 + j) * WIDTH, WIDTH);
            x[i] = __builtin_convertvector(g, integers);
        }
        filter_transformed(x, y);
        for (int i = 0; i < 6; i++) half[i][j] = y[i];
    }
    for (int i = 0; i < 6; i++) filter_transformed(half[i], u + i * 6);
}

/// WIDTH filters, `columns` [channels][9][WIDTH], as `int8_pack_winograd` says. `rooms` are the largest totals of the magnitudes
/// of a filter's numbers at each position.
static void winograd_filters(const int8_t *columns, const uint8_t *zero_points, ptrdiff_t channels, const double rooms[36],
                             float *numbers, int16_t *stored) {
    integers u[36], largest[36] = {{0}};
    vector total[36] = {{0}}, inverses[36];
    for (ptrdiff_t c = 0; c < channels; c++) {
        filters_transformed(columns + c * 9 * WIDTH, u);
        for (int p = 0; p < 36; p++) {
            const integers size = __builtin_elementwise_abs(u[p]);
            largest[p] = __builtin_elementwise_max(largest[p], size);
            total[p] += real(size);
        }
    }
    // Each addition to a total may have lost half a bit.
    const double lost = 1 + (double)channels * 0x1p-24;
    double scale_of_centre[WIDTH];
    for (int p = 0; p < 36; p++)
        for (int f = 0; f < WIDTH; f++) {
            double scale = largest[p][f] / 32000.0;
            if (scale < total[p][f] * lost / rooms[p]) scale = total[p][f] * lost / rooms[p];
            if (scale < 1e-20) scale = 1e-20;
            inverses[p][f] = (float)(1 / scale);
            numbers[(1 + p) * 2 * WIDTH + f] = (float)(scale / 576);
            // Of an image that is the zero point all over only position (1, 1) differs from zero.
            if (p == 7) scale_of_centre[f] = scale / 576;
        }
    integers zeros = {0};
    for (ptrdiff_t c = 0; c < channels; c += 2) {
        integers steps[2][36];
        for (int k = 0; k < 2; k++) {
            if (c + k < channels)
                filters_transformed(columns + (c + k) * 9 * WIDTH, u);
            else
                memset(u, 0, sizeof u);
            for (int p = 0; p < 36; p++) steps[k][p] = nearest(real(u[p]) * inverses[p]);
            if (c + k < channels) zeros += steps[k][7] * zero_points[c + k];
        }
        for (int p = 0; p < 36; p++) {
            const integers pair = (steps[0][p] & 0xffff) | steps[1][p] << 16;
            memcpy(stored + (p * ((channels + 1) / 2) + c / 2) * 4 * WIDTH, &pair, sizeof pair);
        }
    }
    for (int f = 0; f < WIDTH; f++) numbers[f] = (float)(-36.0 * zeros[f] * scale_of_centre[f]);
}
