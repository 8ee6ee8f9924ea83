// SPDX-License-Identifier: Apache-2.0
// Choice of the int8 kernels, and the packing that they share.
#include <stdlib.h>
#include <string.h>

#include "arm_features.h"
#include "ckernels_int8.h"

extern const struct int8_kernels int8_kernels_portable;
#ifdef __x86_64__
extern const struct int8_kernels int8_kernels_avx2, int8_kernels_avxvnni, int8_kernels_avx512;
#elif defined(__aarch64__)
extern const struct int8_kernels int8_kernels_neon, int8_kernels_dotprod, int8_kernels_i8mm;
#endif

const struct int8_kernels *int8_kernels_available(int index) {
    const struct int8_kernels *list[4] = {0};
    int count = 0;
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
        list[count++] = &int8_kernels_avx512;
    if (__builtin_cpu_supports("avxvnni") && __builtin_cpu_supports("fma")) list[count++] = &int8_kernels_avxvnni;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list[count++] = &int8_kernels_avx2;
#elif defined(__aarch64__)
    const struct arm_features features = arm_features();
    if (features.has_i8mm) list[count++] = &int8_kernels_i8mm;
    if (features.has_dotprod) list[count++] = &int8_kernels_dotprod;
    list[count++] = &int8_kernels_neon;
#endif
    list[count++] = &int8_kernels_portable;
    return index >= 0 && index < count ? list[index] : NULL;
}

const struct int8_kernels *int8_kernels_best(void) {
    const char *wanted = getenv("BROKERSIDE_CPU");
    if (wanted)
        for (int i = 0; int8_kernels_available(i); i++)
            if (strcmp(int8_kernels_available(i)->name, wanted) == 0) return int8_kernels_available(i);
    return int8_kernels_available(0);
}

void int8_look_up(const uint8_t table[256], const uint8_t *x, ptrdiff_t x_pitch, uint8_t *y, ptrdiff_t y_pitch,
                  ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch)
        for (ptrdiff_t c = 0; c < count; c++) y[c] = table[x[c]];
}

void int8_look_up_pixels(const uint8_t *table, const uint8_t *x, uint8_t *y, ptrdiff_t y_pitch, ptrdiff_t pixels,
                         ptrdiff_t channels) {
    if (!table && y_pitch == channels) {
        memcpy(y, x, (size_t)(pixels * channels));
        return;
    }
    for (ptrdiff_t i = 0; i < pixels; i++, x += channels, y += y_pitch)
        for (ptrdiff_t c = 0; c < channels; c++) y[c] = table ? table[c * 256 + x[c]] : x[c];
}

ptrdiff_t int8_padded_steps(ptrdiff_t steps) { return (steps + 7) / 8 * 8; }

ptrdiff_t int8_patch_bytes(const struct int8_kernels *kernels, ptrdiff_t steps) {
    const ptrdiff_t padded = int8_padded_steps(steps);
    return int8_patch_count(kernels->tile_pixels, padded) * padded + 64;
}

ptrdiff_t int8_packed_bytes(const struct int8_kernels *kernels, ptrdiff_t filters, ptrdiff_t steps) {
    ptrdiff_t count = 0;
    for (ptrdiff_t f = 0; f < filters; f += 2 * kernels->width)
        count += int8_tile_filters(kernels, filters, f) * (int8_padded_steps(steps) + 4);
    return count;
}

/// One filter's weights [C, taps] in the order of the steps, [taps, C]. Returns what its sums begin with; 0 without zero points.
static int32_t ordered_filter(const int8_t *weight, const uint8_t *zero_points, int input_offset, ptrdiff_t channels,
                              ptrdiff_t taps, int8_t *steps) {
    int32_t correction = 0;
    for (ptrdiff_t t = 0; t < taps; t++, steps += channels) {
        for (ptrdiff_t c = 0; c < channels; c++) steps[c] = weight[c * taps + t];
        for (ptrdiff_t c = 0; zero_points && c < channels; c++)
            correction -= steps[c] * (zero_points[c] - input_offset);
    }
    return correction;
}

void int8_pack_weights(const struct int8_kernels *kernels, const int8_t *weight, const uint8_t *zero_points,
                       const int32_t *bias, ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps, void *packed) {
    const ptrdiff_t steps = taps * channels, padded = int8_padded_steps(steps);
    int8_t *target = packed, *ordered = calloc((size_t)(2 * kernels->width * padded + 1), 1);
    if (!ordered) abort();
    for (ptrdiff_t f = 0; f < filters; f += 2 * kernels->width) {
        const ptrdiff_t width = int8_tile_filters(kernels, filters, f), count = filters - f < width ? filters - f : width;
        if (count < width) memset(target, 0, (size_t)(width * (padded + 4)));
        for (ptrdiff_t i = 0; i < count; i++) {
            const int32_t correction = ordered_filter(weight + (f + i) * steps, zero_points, kernels->input_offset,
                                                      channels, taps, ordered + i * padded);
            const int32_t start = correction + (bias ? bias[f + i] : 0);
            memcpy(target + i * 4, &start, 4);
        }
        // Rows of steps become columns of groups of four.
        strided_copy(target + width * 4, ordered, 4, 2, (const ptrdiff_t[]){padded / 4, count},
                     (const ptrdiff_t[]){width * 4, 4}, (const ptrdiff_t[]){4, padded});
        target += width * (padded + 4);
    }
    free(ordered);
}

ptrdiff_t int8_packed_depthwise_bytes(const struct int8_kernels *kernels, ptrdiff_t channels, ptrdiff_t taps) {
    const ptrdiff_t block = 4 * kernels->width, blocks = (channels + block - 1) / block;
    const ptrdiff_t integers = kernels->depthwise_form && taps == 9 ? blocks * block * (4 + 6 * kernels->depthwise_form) : 0;
    return int8_depthwise_floats(kernels->width, channels, taps) + integers;
}

/// The channel of a block that element `i` of vector `j` holds.
static ptrdiff_t channel_at(ptrdiff_t j, ptrdiff_t i) { return i / 4 * 16 + j * 4 + i % 4; }

/// One 3x3 filter's taps of a column as a kernel's vector has them: {upper two rows} and {third row, zero} of int16, or all
/// of int8.
static void pack_column(int8_t *target, const int16_t *weight, int kx, int form, int is_lower) {
    const int16_t rows[4] = {weight[kx], weight[3 + kx], weight[6 + kx], 0};
    if (form == 2) {
        for (int i = 0; i < 4; i++) target[i] = (int8_t)rows[i];
    } else {
        memcpy(target, rows + 2 * is_lower, 4);
    }
}

static void pack_three(const struct int8_kernels *kernels, const int8_t *weight, int weight_zero, const float *corrections,
                       ptrdiff_t channels, int8_t *target) {
    const ptrdiff_t width = kernels->width;
    const int form = kernels->depthwise_form;
    for (ptrdiff_t block = 0; block < channels; block += 4 * width) {
        for (ptrdiff_t j = 0; j < 4; j++)
            for (ptrdiff_t i = 0; i < width; i++, target += 4) {
                const ptrdiff_t c = block + channel_at(j, i);
                int32_t start = c < channels ? (int32_t)corrections[c] : 0;
                for (int t = 0; c < channels && t < 9; t++) start += (weight[c * 9 + t] - weight_zero) * kernels->input_offset;
                memcpy(target, &start, 4);
            }
        for (int kx = 0; kx < 3; kx++)
            for (int half = 0; half < 2; half++)
                for (int v = 0; v < form; v++)
                    for (ptrdiff_t i = 0; i < width; i++, target += 4) {
                        const ptrdiff_t c = block + channel_at(half * 2 + v % 2, i);
                        int16_t taps[9] = {0};
                        for (int t = 0; c < channels && t < 9; t++) taps[t] = (int16_t)(weight[c * 9 + t] - weight_zero);
                        pack_column(target, taps, kx, form, v / 2);
                    }
    }
}

void int8_pack_depthwise(const struct int8_kernels *kernels, const int8_t *weight, int weight_zero,
                         const uint8_t *zero_points, const int32_t *bias, ptrdiff_t channels, ptrdiff_t taps, void *packed) {
    const ptrdiff_t padded = (channels + kernels->width - 1) / kernels->width * kernels->width;
    float *target = packed;
    for (ptrdiff_t c = 0; c < padded; c++) {
        int32_t correction = bias && c < channels ? bias[c] : 0;
        for (ptrdiff_t t = 0; c < channels && t < taps; t++) correction -= (weight[c * taps + t] - weight_zero) * zero_points[c];
        *target++ = (float)correction;
    }
    for (ptrdiff_t t = 0; t < taps; t++)
        for (ptrdiff_t c = 0; c < padded; c++) *target++ = c < channels ? (float)(weight[c * taps + t] - weight_zero) : 0;
    if (kernels->depthwise_form && taps == 9)
        pack_three(kernels, weight, weight_zero, packed, channels, (int8_t *)packed + int8_depthwise_floats(kernels->width, channels, 9));
}

typedef uint8_t sixteen_octets __attribute__((vector_size(16)));
typedef uint16_t eight_pairs __attribute__((vector_size(16)));

/// Of eight octets each: the sums of numbers 0, 1, 4 and 5, and of 2, 3, 6 and 7, then twice 0.
static eight_pairs lane_sums(sixteen_octets x) {
    typedef uint64_t eights __attribute__((vector_size(16)));
    const eights pairs = (eights)(((eight_pairs)x & 0xff) + ((eight_pairs)x >> 8));
    return (eight_pairs)((pairs + (pairs >> 32)) & 0xffffffff);
}

int int8_lane_limit_holds(const int8_t *weight, ptrdiff_t steps) {
    typedef int8_t sixteen_weights __attribute__((vector_size(16)));
    eight_pairs largest = {0};
    for (ptrdiff_t first = 0; first < steps; first += 16) {
        sixteen_weights w = {0};
        memcpy(&w, weight + first, (size_t)(steps - first < 16 ? steps - first : 16));
        const sixteen_octets positive = (sixteen_octets)(w & (w > 0)), negative = -(sixteen_octets)(w & (w < 0));
        largest = __builtin_elementwise_max(largest, lane_sums(positive));
        largest = __builtin_elementwise_max(largest, lane_sums(negative));
    }
    for (int i = 0; i < 8; i++)
        if (largest[i] > 128) return 0;
    return 1;
}

int int8_lane_limits_hold(const int8_t *weight, ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps) {
    const ptrdiff_t steps = taps * channels;
    int8_t *ordered = malloc((size_t)steps + 1);
    if (!ordered) abort();
    int holds = 1;
    for (ptrdiff_t f = 0; holds && f < filters; f++) {
        ordered_filter(weight + f * steps, NULL, 0, channels, taps, ordered);
        holds = int8_lane_limit_holds(ordered, steps);
    }
    free(ordered);
    return holds;
}
