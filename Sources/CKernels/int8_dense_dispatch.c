// SPDX-License-Identifier: Apache-2.0
// Choice of the fully connected and recurrent int8 kernels, and the packing that they share.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arm_features.h"
#include "ckernels_dense.h"

extern const struct int8_dense_kernels int8_dense_kernels_portable;
#ifdef __x86_64__
extern const struct int8_dense_kernels int8_dense_kernels_avx2, int8_dense_kernels_avx512;
#elif defined(__aarch64__)
extern const struct int8_dense_kernels int8_dense_kernels_neon, int8_dense_kernels_dotprod, int8_dense_kernels_i8mm;
#endif

const struct int8_dense_kernels *int8_dense_kernels_available(int index) {
    const struct int8_dense_kernels *list[4] = {0};
    int count = 0;
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
        list[count++] = &int8_dense_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list[count++] = &int8_dense_kernels_avx2;
#elif defined(__aarch64__)
    const struct arm_features features = arm_features();
    if (features.has_i8mm) list[count++] = &int8_dense_kernels_i8mm;
    if (features.has_dotprod) list[count++] = &int8_dense_kernels_dotprod;
    list[count++] = &int8_dense_kernels_neon;
#endif
    list[count++] = &int8_dense_kernels_portable;
    return index >= 0 && index < count ? list[index] : NULL;
}

const struct int8_dense_kernels *int8_dense_kernels_best(void) {
    const char *wanted = getenv("BROKERSIDE_CPU");
    if (wanted)
        for (int i = 0; int8_dense_kernels_available(i); i++)
            if (strcmp(int8_dense_kernels_available(i)->name, wanted) == 0) return int8_dense_kernels_available(i);
    return int8_dense_kernels_available(0);
}

static ptrdiff_t rounded_up(ptrdiff_t count, ptrdiff_t unit) { return (count + unit - 1) / unit * unit; }

ptrdiff_t int8_matrix_bytes(ptrdiff_t rows, ptrdiff_t steps, ptrdiff_t tile) {
    (void)tile;  // All tiles are multiples of 16 rows, so only the last 16 are filled up.
    return rounded_up(rows, 16) * (rounded_up(steps, 8) + 4);
}

void int8_matrix_pack(const int8_t *weight, ptrdiff_t row_stride, ptrdiff_t step_stride, const uint8_t *zero_points,
                      const int32_t *order, ptrdiff_t rows, ptrdiff_t steps, ptrdiff_t tile, void *packed) {
    const ptrdiff_t padded = rounded_up(steps, 8);
    int8_t *target = packed;
    for (ptrdiff_t first = 0; first < rows; first += tile) {
        const ptrdiff_t left = rounded_up(rows - first, 16), count = left < tile ? left : tile;
        int8_t *groups = target + count * 4;
        for (ptrdiff_t i = 0; i < count; i++) {
            const ptrdiff_t row = first + i >= rows ? -1 : order ? order[first + i] : first + i;
            const int8_t *source = row < 0 ? NULL : weight + row * row_stride;
            int32_t correction = 0;
            if (source && step_stride == 1)
                for (ptrdiff_t k = 0; k < steps; k++) correction -= source[k] * zero_points[k];
            else if (source)
                for (ptrdiff_t k = 0; k < steps; k++) correction -= source[k * step_stride] * zero_points[k];
            memcpy(target + i * 4, &correction, 4);
            int8_t *to = groups + i * 4;
            const ptrdiff_t whole = source && step_stride == 1 ? steps / 4 * 4 : 0;
            for (ptrdiff_t k = 0; k < whole; k += 4) memcpy(to + k * count, source + k, 4);
            for (ptrdiff_t k = whole; k < padded; k++)
                to[k / 4 * 4 * count + k % 4] = source && k < steps ? source[k * step_stride] : 0;
        }
        target = groups + count * padded;
    }
}

/// Largest sum of positive and of negative weights at the steps of a lane, which begins at `k`.
static int worst_sum(const int8_t *row, ptrdiff_t step_stride, ptrdiff_t k, ptrdiff_t steps, int is_pair) {
    int positive = 0, negative = 0;
    for (int i = 0; i < (is_pair ? 2 : 4); i++) {
        const ptrdiff_t step = k + (i & 1) + (i >> 1) * 4;
        const int w = step < steps ? row[step * step_stride] : 0;
        if (w > 0)
            positive += w;
        else
            negative -= w;
    }
    return positive > negative ? positive : negative;
}

int int8_matrix_lane_products(const int8_t *weight, ptrdiff_t row_stride, ptrdiff_t step_stride, ptrdiff_t rows,
                              ptrdiff_t steps) {
    // What keeps the limit for four keeps it for two, so rows once seen need not be seen again.
    int result = 2;
    for (ptrdiff_t row = 0; row < rows; row++) {
        const int8_t *w = weight + row * row_stride;
        for (ptrdiff_t k = 0; k < steps; k += 8)
            for (ptrdiff_t lane = k; lane < k + 4; lane += 2) {
                // 255 * 128 < 32768
                if (result == 2 && worst_sum(w, step_stride, lane, steps, 0) > 128) result = 1;
                if (result < 2 && (worst_sum(w, step_stride, lane, steps, 1) > 128 ||
                                   worst_sum(w, step_stride, lane + 4, steps, 1) > 128))
                    return 0;
            }
    }
    return result;
}

void int8_recurrent_start(const struct int8_recurrent *r, const float *h, const float *cell, ptrdiff_t pitch) {
    const ptrdiff_t padded = rounded_up(r->units, 16);
    for (ptrdiff_t n = 0; n < r->batch; n++)
        for (ptrdiff_t u = 0; u < padded; u++) {
            const float value = h && u < r->units ? h[n * pitch + u] : 0;
            float stored = fmaf(value, r->inverse_scale, r->zero);
            stored = stored > 0 ? stored : 0;
            stored = stored < 255 ? stored : 255;
            r->state[n * 2 * padded + u] = (uint8_t)rintf(stored);
            r->hidden[n * padded + u] = value;
            if (r->cell) r->cell[n * padded + u] = cell && u < r->units ? cell[n * pitch + u] : 0;
        }
}
