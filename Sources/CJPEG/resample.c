// SPDX-License-Identifier: Apache-2.0

#include "CJPEG.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "pixels are written as little-endian words"
#endif

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef int16_t s16x4 __attribute__((vector_size(8)));
typedef int32_t s32x4 __attribute__((vector_size(16)));
typedef uint8_t u8x4 __attribute__((vector_size(4)));

void cjpeg_sample_positions(uint32_t source, uint32_t count, cjpeg_position *positions) {
    int64_t divisor = 2 * (int64_t)count;
    for (uint32_t i = 0; i < count; i++) {
        int64_t numerator = (2 * (int64_t)i + 1) * source - count;
        if (numerator < 0) numerator = 0;
        int64_t index = numerator / divisor;
        int64_t fraction = ((numerator - index * divisor) * 16384 + count) / divisor;
        if (fraction == 16384) index++, fraction = 0;
        if (index >= (int64_t)source - 1) index = (int64_t)source - 1, fraction = 0;
        positions[i] = (cjpeg_position){(uint32_t)index, (uint16_t)fraction};
    }
}

/// row[i] = (a[i] * (256 - weight) + b[i] * weight) >> 1, at most 255 * 128: a signed 16 bit number.
static void blend_rows(
    const uint8_t *restrict a, const uint8_t *restrict b, uint32_t weight, size_t count, int16_t *restrict row) {
    uint16_t upper = (uint16_t)(256 - weight), lower = (uint16_t)weight;
    size_t i = 0;
    // Written out because C's promotion to int would make it 32 bit arithmetic, at a third of the speed.
    for (; i + 16 <= count; i += 16) {
        u8x16 above, below;
        memcpy(&above, a + i, sizeof above);
        memcpy(&below, b + i, sizeof below);
        u16x16 sum = __builtin_convertvector(above, u16x16) * upper + __builtin_convertvector(below, u16x16) * lower;
        sum >>= 1;
        memcpy(row + i, &sum, sizeof sum);
    }
    for (; i < count; i++) row[i] = (int16_t)((uint16_t)(a[i] * upper + b[i] * lower) >> 1);
}

static uint8_t between(int16_t a, int16_t b, uint16_t fraction) {
    return (uint8_t)((a * (16384 - fraction) + b * fraction + (1 << 20)) >> 21);
}

/// The channels of a pixel of the blended row in the target's order, one byte each from the lowest up; the fourth is 0.
static inline __attribute__((always_inline)) uint32_t sample(
    const int16_t *row, cjpeg_position position, int is_bgr) {
    const int16_t *at = row + 3 * (size_t)position.index;
    int32_t g = position.fraction, f = 16384 - g;
#if defined(__SSE2__)
    // Left to itself the compiler does not find pmaddwd in the form below every time.
    __m128i left = _mm_loadl_epi64((const __m128i *)at), right = _mm_loadl_epi64((const __m128i *)(at + 3));
    __m128i values = _mm_unpacklo_epi16(left, right);
    __m128i sums = _mm_madd_epi16(values, _mm_set1_epi32(g << 16 | f));
    sums = _mm_srli_epi32(_mm_add_epi32(sums, _mm_set1_epi32(1 << 20)), 21);
    if (is_bgr) sums = _mm_shuffle_epi32(sums, _MM_SHUFFLE(3, 0, 1, 2));
    sums = _mm_packs_epi32(sums, sums);
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(sums, sums)) & 0xFFFFFF;
#else
    s16x4 left, right;
    memcpy(&left, at, sizeof left);
    memcpy(&right, at + 3, sizeof right);
    s32x4 sums = __builtin_convertvector(left, s32x4) * f + __builtin_convertvector(right, s32x4) * g;
    u8x4 bytes = __builtin_convertvector((sums + (1 << 20)) >> 21, u8x4);
    if (is_bgr) bytes = __builtin_shufflevector(bytes, bytes, 2, 1, 0, 3);
    uint32_t word;
    memcpy(&word, &bytes, sizeof word);
    return word & 0xFFFFFF;
#endif
}

/// Writes a row; a loop of its own for each pair of constants `bytes` and `is_bgr`.
static inline __attribute__((always_inline)) void write_pixels(
    const cjpeg_resampling *r, uint8_t *target, ptrdiff_t step, size_t bytes, int is_bgr) {
    // Copies in locals: for all the compiler knows, the pixels written could be these.
    const cjpeg_position *positions = r->column_positions, *end = positions + r->columns;
    const int16_t *row = r->row;
    for (; positions < end; positions++, target += step) {
        uint32_t word = sample(row, *positions, is_bgr);
        memcpy(target, &word, bytes);
    }
}

static void write_colour(const cjpeg_resampling *r, uint8_t *target) {
    int is_bgr = r->order == CJPEG_TO_BGR;
    if (r->target_pixel_bytes == 4 && is_bgr) write_pixels(r, target, r->column_step, 4, 1);
    else if (r->target_pixel_bytes == 4) write_pixels(r, target, r->column_step, 4, 0);
    else if (is_bgr) write_pixels(r, target, r->column_step, 3, 1);
    else write_pixels(r, target, r->column_step, 3, 0);
}

static void write_luma(const cjpeg_resampling *r, uint8_t *target) {
    for (uint32_t x = 0; x < r->columns; x++, target += r->column_step) {
        uint32_t pixel = sample(r->row, r->column_positions[x], 0);
        uint32_t red = pixel & 0xFF, green = pixel >> 8 & 0xFF, blue = pixel >> 16;
        *target = (uint8_t)((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16);
    }
}

static void write_from_gray(const cjpeg_resampling *r, uint8_t *target) {
    for (uint32_t x = 0; x < r->columns; x++, target += r->column_step) {
        cjpeg_position position = r->column_positions[x];
        const int16_t *at = r->row + position.index;
        uint8_t value = between(at[0], at[1], position.fraction);
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
        uint32_t weight = (position.fraction + 32) >> 6;
        blend_rows(above, weight ? above + r->source_row_bytes : above, weight, count, r->row);
        // The last pixel's right neighbour has weight 0 but is read; one more element fills the fourth lane.
        memset(r->row + count, 0, (r->source_channels + 1) * sizeof *r->row);
        uint8_t *target = r->target + (ptrdiff_t)y * r->row_step;
        if (r->source_channels == 1) write_from_gray(r, target);
        else if (r->order == CJPEG_TO_GRAY) write_luma(r, target);
        else write_colour(r, target);
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
