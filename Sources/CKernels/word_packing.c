// SPDX-License-Identifier: Apache-2.0
// Weights of layers whose inputs or outputs are int16.
#include <stdlib.h>
#include <string.h>

#include "ckernels_int8.h"

void int8_pack_words(const struct int8_kernels *kernels, const int16_t *weight, const int16_t *zero_points, ptrdiff_t filters,
                     ptrdiff_t channels, ptrdiff_t taps, void *packed) {
    const ptrdiff_t steps = taps * channels, pairs = int8_padded_steps(2 * steps) / 4;
    memset(packed, 0, (size_t)int8_packed_bytes(kernels, filters, 2 * steps));
    int8_t *tile = packed;
    for (ptrdiff_t first = 0; first < filters; first += 2 * kernels->width) {
        const ptrdiff_t left = filters - first, width = int8_tile_filters(kernels, filters, first);
        int32_t *starts = (int32_t *)tile;
        int16_t *words = (int16_t *)(tile + width * 4);
        for (ptrdiff_t f = 0; f < width && f < left; f++)
            for (ptrdiff_t t = 0; t < taps; t++)
                for (ptrdiff_t c = 0; c < channels; c++) {
                    const int16_t w = weight[((first + f) * channels + c) * taps + t];
                    const ptrdiff_t step = t * channels + c;
                    starts[f] -= w * zero_points[c];
                    words[(step / 2 * width + f) * 2 + step % 2] = w;
                }
        tile += width * 4 * (1 + pairs);
    }
}

ptrdiff_t int8_packed_depthwise_words_bytes(const struct int8_kernels *kernels, ptrdiff_t channels) {
    return (channels + 2 * kernels->width) * INT8_DEPTHWISE_WORDS_BYTES;
}

void int8_pack_depthwise_words(const struct int8_kernels *kernels, const int16_t *weight, const int16_t *zero_points,
                               ptrdiff_t channels, void *packed) {
    memset(packed, 0, (size_t)int8_packed_depthwise_words_bytes(kernels, channels));
    for (ptrdiff_t first = 0, width; first < channels; first += 2 * width) {
        width = channels - first <= 2 * kernels->narrow_words ? kernels->narrow_words : kernels->width;
        int8_t *block = (int8_t *)packed + first * INT8_DEPTHWISE_WORDS_BYTES;
        for (ptrdiff_t c = first; c < channels && c < first + 2 * width; c++, weight += 9) {
            // Where interleaving leaves the channel: lanes have their first four in one vector, their last four in another.
            const ptrdiff_t i = c - first, place = i % 8 / 4 * width + i / 8 * 4 + i % 4;
            int32_t *start = (int32_t *)block + place;
            for (int t = 0; t < 9; t++) *start -= weight[t] * zero_points[c];
            for (int y = 0; y < 2; y++)
                for (int kx = 0; kx < 3; kx++) {
                    // Of four rows of inputs; the second row of outputs begins one below.
                    int16_t rows[4] = {0};
                    for (int ky = 0; ky < 3; ky++) rows[y + ky] = weight[ky * 3 + kx];
                    int16_t *pairs = (int16_t *)(block + (2 + 12 * y + 4 * kx) * width * 4) + place * 2;
                    memcpy(pairs, rows, 4);
                    memcpy(pairs + 4 * width, rows + 2, 4);
                }
        }
    }
}

int int8_word_sums_hold(const int16_t *weight, ptrdiff_t filters, ptrdiff_t steps) {
    for (ptrdiff_t f = 0; f < filters; f++) {
        int64_t total = 0;
        for (ptrdiff_t i = 0; i < steps; i++) total += abs(weight[f * steps + i]);
        // What the zero points add is part of the sums.
        if (total * (32768 + 4095) > INT32_MAX) return 0;
    }
    return 1;
}
