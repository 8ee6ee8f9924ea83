// SPDX-License-Identifier: Apache-2.0

#include "CJPEG.h"

#include <string.h>

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef uint16_t u16x4 __attribute__((vector_size(8)));
typedef uint8_t u8x4 __attribute__((vector_size(4)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));

void cjpeg_sample_positions(uint32_t source, uint32_t count, cjpeg_position *positions) {
    int64_t divisor = 2 * (int64_t)count;
    for (uint32_t i = 0; i < count; i++) {
        int64_t numerator = (2 * (int64_t)i + 1) * source - count;
        if (numerator < 0) numerator = 0;
        int64_t index = numerator / divisor;
        int64_t fraction = ((numerator - index * divisor) * 32768 + count) / divisor;
        if (fraction == 32768) index++, fraction = 0;
        if (index >= (int64_t)source - 1) index = (int64_t)source - 1, fraction = 0;
        positions[i] = (cjpeg_position){(uint32_t)index, (uint16_t)fraction};
    }
}

/// row[i] = a[i] * (256 - weight) + b[i] * weight, at most 255 * 256.
static void blend_rows(
    const uint8_t *restrict a, const uint8_t *restrict b, uint32_t weight, size_t count, uint16_t *restrict row) {
    uint16_t upper = (uint16_t)(256 - weight), lower = (uint16_t)weight;
    size_t i = 0;
    // Written out because C's promotion to int would make it 32 bit arithmetic, at a third of the speed.
    for (; i + 16 <= count; i += 16) {
        u8x16 above, below;
        memcpy(&above, a + i, sizeof above);
        memcpy(&below, b + i, sizeof below);
        u16x16 sum = __builtin_convertvector(above, u16x16) * upper + __builtin_convertvector(below, u16x16) * lower;
        memcpy(row + i, &sum, sizeof sum);
    }
    for (; i < count; i++) row[i] = (uint16_t)(a[i] * upper + b[i] * lower);
}

static uint32_t between(uint32_t a, uint32_t b, uint32_t fraction) {
    return (a * (32768 - fraction) + b * fraction + (1u << 22)) >> 23;
}

static inline u16x4 load(const uint16_t *from) {
    u16x4 values;
    memcpy(&values, from, sizeof values);
    return values;
}

/// Products of 16 bits each: what the instruction sets have, where one of 32 bits is slow or missing.
static inline u32x4 scaled(u16x4 values, uint16_t weight) {
    u16x4 weights = {weight, weight, weight, weight};
    return __builtin_convertvector(values, u32x4) * __builtin_convertvector(weights, u32x4);
}

/// The three channels of a pixel of the blended row; the fourth lane is whatever follows.
static inline u32x4 sample(const uint16_t *row, cjpeg_position position) {
    const uint16_t *at = row + 3 * (size_t)position.index;
    return (scaled(load(at), (uint16_t)(32768 - position.fraction)) + scaled(load(at + 3), position.fraction) +
            (1u << 22)) >> 23;
}

/// Four bytes: the pixel in the target's order and 0.
static inline uint32_t packed(u32x4 pixel, int is_bgr) {
    u32x4 zero = {0};
    pixel = is_bgr ? __builtin_shufflevector(pixel, zero, 2, 1, 0, 4) : __builtin_shufflevector(pixel, zero, 0, 1, 2, 4);
    u8x4 bytes = __builtin_convertvector(pixel, u8x4);
    uint32_t word;
    memcpy(&word, &bytes, sizeof word);
    return word;
}

static inline __attribute__((always_inline)) void write_pixels(
    const cjpeg_resampling *r, uint8_t *target, ptrdiff_t step, size_t bytes, int is_bgr) {
    // Copies in locals: for all the compiler knows, the pixels written could be these.
    const cjpeg_position *positions = r->column_positions, *end = positions + r->columns;
    const uint16_t *row = r->row;
    for (; positions < end; positions++, target += step) {
        uint32_t word = packed(sample(row, *positions), is_bgr);
        memcpy(target, &word, bytes);
    }
}

static inline __attribute__((always_inline)) void write_colour(const cjpeg_resampling *r, uint8_t *target, int is_bgr) {
    if (r->target_pixel_bytes == 4) write_pixels(r, target, r->column_step, 4, is_bgr);
    else write_pixels(r, target, r->column_step, 3, is_bgr);
}

static void write_luma(const cjpeg_resampling *r, uint8_t *target) {
    for (uint32_t x = 0; x < r->columns; x++, target += r->column_step) {
        u32x4 pixel = sample(r->row, r->column_positions[x]);
        *target = (uint8_t)((19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 32768) >> 16);
    }
}

static void write_from_gray(const cjpeg_resampling *r, uint8_t *target) {
    for (uint32_t x = 0; x < r->columns; x++, target += r->column_step) {
        cjpeg_position position = r->column_positions[x];
        const uint16_t *at = r->row + position.index;
        uint8_t value = (uint8_t)between(at[0], at[1], position.fraction);
        target[0] = value;
        if (r->target_pixel_bytes == 1) continue;
        target[1] = value;
        target[2] = value;
        if (r->target_pixel_bytes == 4) target[3] = 0;
    }
}

void cjpeg_resample(const cjpeg_resampling *r) {
    size_t count = (size_t)r->source_width * r->source_channels;
    for (uint32_t y = 0; y < r->rows; y++) {
        cjpeg_position position = r->row_positions[y];
        const uint8_t *above = r->source + position.index * r->source_row_bytes;
        uint32_t weight = (position.fraction + 64) >> 7;
        blend_rows(above, weight ? above + r->source_row_bytes : above, weight, count, r->row);
        // The last pixel's right neighbour has weight 0 but is read; one more element fills the fourth lane.
        memset(r->row + count, 0, (r->source_channels + 1) * sizeof *r->row);
        uint8_t *target = r->target + (ptrdiff_t)y * r->row_step;
        if (r->source_channels == 1) write_from_gray(r, target);
        else if (r->order == CJPEG_TO_GRAY) write_luma(r, target);
        else write_colour(r, target, r->order == CJPEG_TO_BGR);
    }
}

void cjpeg_box_reduce(
    const uint8_t *source, uint32_t width, uint32_t height, uint32_t channels, size_t row_bytes, uint32_t across,
    uint32_t down, uint8_t *target) {
    for (uint32_t y = 0; y < height; y += down) {
        uint32_t rows = height - y < down ? height - y : down;
        for (uint32_t x = 0; x < width; x += across) {
            uint32_t columns = width - x < across ? width - x : across;
            const uint8_t *corner = source + (size_t)y * row_bytes + (size_t)x * channels;
            for (uint32_t c = 0; c < channels; c++) {
                uint32_t sum = 0;  // at most 256 * 256 * 255
                for (uint32_t v = 0; v < rows; v++)
                    for (uint32_t u = 0; u < columns; u++)
                        sum += corner[(size_t)v * row_bytes + (size_t)u * channels + c];
                uint32_t area = rows * columns;
                *target++ = (uint8_t)((sum + area / 2) / area);
            }
        }
    }
}
