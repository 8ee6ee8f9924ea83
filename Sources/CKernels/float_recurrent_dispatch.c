// SPDX-License-Identifier: Apache-2.0
// Choice of the recurrent float kernels, and their packing.
#include <stdlib.h>
#include <string.h>

#include "ckernels_dense.h"

extern const struct float_recurrent_kernels float_recurrent_kernels_portable;
#ifdef __x86_64__
extern const struct float_recurrent_kernels float_recurrent_kernels_avx2, float_recurrent_kernels_avx512;
#elif defined(__aarch64__)
extern const struct float_recurrent_kernels float_recurrent_kernels_neon;
#endif

const struct float_recurrent_kernels *float_recurrent_kernels_available(int index) {
    const struct float_recurrent_kernels *list[3] = {0};
    int count = 0;
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq"))
        list[count++] = &float_recurrent_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list[count++] = &float_recurrent_kernels_avx2;
#elif defined(__aarch64__)
    list[count++] = &float_recurrent_kernels_neon;
#endif
    list[count++] = &float_recurrent_kernels_portable;
    return index >= 0 && index < count ? list[index] : NULL;
}

const struct float_recurrent_kernels *float_recurrent_kernels_best(void) {
    const char *wanted = getenv("BROKERSIDE_CPU");
    if (wanted)
        for (int i = 0; float_recurrent_kernels_available(i); i++)
            if (strcmp(float_recurrent_kernels_available(i)->name, wanted) == 0)
                return float_recurrent_kernels_available(i);
    return float_recurrent_kernels_available(0);
}

void float_matrix_pack(const float *weight, const int32_t *order, ptrdiff_t rows, ptrdiff_t steps, ptrdiff_t tile,
                       float *packed) {
    for (ptrdiff_t first = 0; first < rows; first += tile, packed += tile * steps)
        for (ptrdiff_t i = 0; i < tile; i++) {
            const float *row = order[first + i] < 0 ? NULL : weight + order[first + i] * steps;
            for (ptrdiff_t k = 0; k < steps; k++) packed[k * tile + i] = row ? row[k] : 0;
        }
}

void float_recurrent_start(const struct float_recurrent *r, const float *h, const float *cell, ptrdiff_t pitch) {
    const ptrdiff_t padded = (r->units + 15) / 16 * 16;
    for (ptrdiff_t n = 0; n < r->batch; n++)
        for (ptrdiff_t u = 0; u < padded; u++) {
            r->state[n * 2 * padded + u] = h && u < r->units ? h[n * pitch + u] : 0;
            if (r->cell) r->cell[n * padded + u] = cell && u < r->units ? cell[n * pitch + u] : 0;
        }
}
