// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "ckernels_float.h"
#include "inline.h"

/// Side of the squares in which a transposition walks, so that both sides stay in the cache.
enum { block = 16 };

#define TRANSPOSE(T)                                                                                                \
    for (ptrdiff_t i = 0; i < rows; i += block)                                                                     \
        for (ptrdiff_t j = 0; j < columns; j += block)                                                              \
            for (ptrdiff_t y = i; y < rows && y < i + block; y++)                                                   \
                for (ptrdiff_t x = j; x < columns && x < j + block; x++)                                            \
                    memcpy(target + y * target_row + x * target_column, source + y * source_row + x * source_column, \
                           sizeof(T));

/// Four by four words: target[y][x] = source[x][y].
static void transpose_four(char *target, const char *source, ptrdiff_t target_row, ptrdiff_t source_column) {
    typedef uint32_t four __attribute__((vector_size(16)));
    four a, b, c, d;
    memcpy(&a, source, 16);
    memcpy(&b, source + source_column, 16);
    memcpy(&c, source + 2 * source_column, 16);
    memcpy(&d, source + 3 * source_column, 16);
    const four e = __builtin_shufflevector(a, b, 0, 4, 1, 5), f = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const four g = __builtin_shufflevector(c, d, 0, 4, 1, 5), h = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const four lines[4] = {
        __builtin_shufflevector(e, g, 0, 1, 4, 5), __builtin_shufflevector(e, g, 2, 3, 6, 7),
        __builtin_shufflevector(f, h, 0, 1, 4, 5), __builtin_shufflevector(f, h, 2, 3, 6, 7),
    };
    for (int y = 0; y < 4; y++) memcpy(target + y * target_row, &lines[y], 16);
}

/// A block of words, or what is left of one at an edge.
INLINE void transpose_block(
    char *target, const char *source, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t target_row, ptrdiff_t source_column) {
    for (ptrdiff_t y = 0; y < rows; y += 4)
        for (ptrdiff_t x = 0; x < columns; x += 4) {
            if (rows - y >= 4 && columns - x >= 4) {
                transpose_four(target + y * target_row + x * 4, source + x * source_column + y * 4, target_row, source_column);
                continue;
            }
            for (ptrdiff_t v = y; v < rows && v < y + 4; v++)
                for (ptrdiff_t u = x; u < columns && u < x + 4; u++)
                    memcpy(target + v * target_row + u * 4, source + u * source_column + v * 4, 4);
        }
}

/// Whole cache lines of both sides at a time. Those of the target, far apart, are asked for before they are needed.
static void transpose_words(char *target, const char *source, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t target_row,
                            ptrdiff_t source_column) {
    for (ptrdiff_t i = 0; i < rows; i += block, target += block * target_row, source += block * 4) {
        char *to = target;
        const char *from = source;
        for (ptrdiff_t j = 0; j < columns; j += block, to += block * 4, from += block * source_column) {
            if (rows - i < block || columns - j < block) {
                transpose_block(to, from, rows - i < block ? rows - i : block, columns - j < block ? columns - j : block,
                                target_row, source_column);
                continue;
            }
            for (ptrdiff_t y = 0; y < block; y++) __builtin_prefetch(to + y * target_row + 2 * block * 4, 1);
            transpose_block(to, from, block, block, target_row, source_column);
        }
    }
}

/// `count` times the element at `source`, one after the other.
static void fill(char *target, const char *source, ptrdiff_t size, ptrdiff_t count) {
    memcpy(target, source, (size_t)size);
    for (ptrdiff_t filled = 1; filled < count; filled *= 2)
        memcpy(target + filled * size, target, (size_t)((count - filled < filled ? count - filled : filled) * size));
}

/// Rows of `bytes` each; those of a few numbers, as boxes and points have, without a call.
static void copy_rows(char *target, const char *source, ptrdiff_t bytes, ptrdiff_t rows, ptrdiff_t target_row, ptrdiff_t source_row) {
#define CASE(N)                                                                                                     \
    case N:                                                                                                         \
        for (ptrdiff_t y = 0; y < rows; y++) memcpy(target + y * target_row, source + y * source_row, N);           \
        break;
    switch (bytes) {
        CASE(4) CASE(8) CASE(12) CASE(16) CASE(32)
        default:
            for (ptrdiff_t y = 0; y < rows; y++) memcpy(target + y * target_row, source + y * source_row, (size_t)bytes);
    }
#undef CASE
}

static void copy_plane(char *target, const char *source, ptrdiff_t size, ptrdiff_t rows, ptrdiff_t columns,
                       ptrdiff_t target_row, ptrdiff_t source_row, ptrdiff_t target_column, ptrdiff_t source_column) {
    if (target_column == size && source_column == size) {
        copy_rows(target, source, columns * size, rows, target_row, source_row);
        return;
    }
    if (target_column == size && source_column == 0 && columns > 0) {
        for (ptrdiff_t y = 0; y < rows; y++) fill(target + y * target_row, source + y * source_row, size, columns);
        return;
    }
    if (size == 4 && target_column == 4 && source_row == 4) {
        transpose_words(target, source, rows, columns, target_row, source_column);
        return;
    }
    switch (size) {
        case 1: TRANSPOSE(uint8_t) break;
        case 2: TRANSPOSE(uint16_t) break;
        case 4: TRANSPOSE(uint32_t) break;
        default: TRANSPOSE(uint64_t) break;
    }
}

void strided_copy(void *target, const void *source, ptrdiff_t element_size, int rank, const ptrdiff_t *extents,
                  const ptrdiff_t *target_strides, const ptrdiff_t *source_strides) {
    if (rank == 0) {
        memcpy(target, source, (size_t)element_size);
        return;
    }
    if (rank == 1) {
        copy_plane(target, source, element_size, 1, extents[0], 0, 0, target_strides[0], source_strides[0]);
        return;
    }
    if (rank == 2) {
        copy_plane(target, source, element_size, extents[0], extents[1], target_strides[0], source_strides[0],
                   target_strides[1], source_strides[1]);
        return;
    }
    for (ptrdiff_t i = 0; i < extents[0]; i++)
        strided_copy((char *)target + i * target_strides[0], (const char *)source + i * source_strides[0], element_size,
                     rank - 1, extents + 1, target_strides + 1, source_strides + 1);
}

void gather_blocks(void *target, ptrdiff_t target_pitch, const void *source, const int32_t *offsets, ptrdiff_t count,
                   ptrdiff_t bytes) {
    for (ptrdiff_t i = 0; i < count; i++)
        memcpy((char *)target + i * target_pitch, (const char *)source + offsets[i], (size_t)bytes);
}
