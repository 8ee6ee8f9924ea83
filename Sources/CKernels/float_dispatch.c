// SPDX-License-Identifier: Apache-2.0
// Choice of the kernels, and the packing that they share.
#include <stdlib.h>
#include <string.h>

#include "ckernels_float.h"

extern const struct float_kernels float_kernels_portable;
#ifdef __x86_64__
extern const struct float_kernels float_kernels_avx2, float_kernels_avx512;
#elif defined(__aarch64__)
extern const struct float_kernels float_kernels_neon;
#endif

const struct float_kernels *float_kernels_available(int index) {
    const struct float_kernels *list[3] = {0};
    int count = 0;
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq"))
        list[count++] = &float_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list[count++] = &float_kernels_avx2;
#elif defined(__aarch64__)
    list[count++] = &float_kernels_neon;
#endif
    list[count++] = &float_kernels_portable;
    return index >= 0 && index < count ? list[index] : NULL;
}

const struct float_kernels *float_kernels_best(void) {
    const char *wanted = getenv("BROKERSIDE_CPU");
    if (wanted)
        for (int i = 0; float_kernels_available(i); i++)
            if (strcmp(float_kernels_available(i)->name, wanted) == 0) return float_kernels_available(i);
    return float_kernels_available(0);
}

/// Filters of the tile that begins at filter `first`.
static ptrdiff_t tile_width(const struct float_kernels *kernels, ptrdiff_t filters, ptrdiff_t first) {
    return filters - first > kernels->width ? 2 * kernels->width : kernels->width;
}

ptrdiff_t float_packed_count(const struct float_kernels *kernels, ptrdiff_t filters, ptrdiff_t steps) {
    ptrdiff_t count = 0;
    for (ptrdiff_t f = 0; f < filters; f += 2 * kernels->width) count += tile_width(kernels, filters, f) * (steps + 1);
    return count;
}

void float_pack_weights(const struct float_kernels *kernels, const float *weight, const float *bias, ptrdiff_t filters,
                        ptrdiff_t channels, ptrdiff_t taps, float *packed) {
    for (ptrdiff_t f = 0; f < filters; f += 2 * kernels->width) {
        const ptrdiff_t width = tile_width(kernels, filters, f);
        for (ptrdiff_t i = 0; i < width; i++) *packed++ = bias && f + i < filters ? bias[f + i] : 0;
        for (ptrdiff_t t = 0; t < taps; t++)
            for (ptrdiff_t c = 0; c < channels; c++)
                for (ptrdiff_t i = 0; i < width; i++)
                    *packed++ = f + i < filters ? weight[((f + i) * channels + c) * taps + t] : 0;
    }
}

ptrdiff_t float_packed_depthwise_count(const struct float_kernels *kernels, ptrdiff_t channels, ptrdiff_t taps) {
    return (channels + kernels->width - 1) / kernels->width * kernels->width * (taps + 1);
}

void float_pack_depthwise(const struct float_kernels *kernels, const float *weight, const float *bias, ptrdiff_t channels,
                          ptrdiff_t taps, float *packed) {
    const ptrdiff_t padded = (channels + kernels->width - 1) / kernels->width * kernels->width;
    for (ptrdiff_t i = 0; i < padded; i++) *packed++ = bias && i < channels ? bias[i] : 0;
    for (ptrdiff_t t = 0; t < taps; t++)
        for (ptrdiff_t i = 0; i < padded; i++) *packed++ = i < channels ? weight[i * taps + t] : 0;
}

ptrdiff_t float_ordered_count(const struct float_kernels *kernels, ptrdiff_t filters, ptrdiff_t steps) {
    return (filters + kernels->width - 1) / kernels->width * kernels->width * steps;
}

void float_pack_ordered(const struct float_kernels *kernels, const float *weight, ptrdiff_t filter_stride,
                        ptrdiff_t step_stride, ptrdiff_t filters, ptrdiff_t steps, float *packed) {
    for (ptrdiff_t f = 0; f < filters; f += kernels->width)
        for (ptrdiff_t s = 0; s < steps; s++)
            for (ptrdiff_t i = 0; i < kernels->width; i++)
                *packed++ = f + i < filters ? weight[(f + i) * filter_stride + s * step_stride] : 0;
}
