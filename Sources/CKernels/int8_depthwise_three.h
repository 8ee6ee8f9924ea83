// SPDX-License-Identifier: Apache-2.0
// Windows of 3x3, one filter per channel, in integers. The rows of a column are interleaved, so that one instruction
// multiplies and adds several taps; a column is interleaved once for all windows that share it, those of the next row of
// outputs among them. Interleaving within 128-bit lanes leaves the channels of a block in another order, which packing the
// results to bytes undoes: vector j has channels 16 * lane + 4 * j ... 4 * j + 3 of each lane. Everything per channel is
// brought into that order first. Where fewer channels are left than lanes hold, the lanes work on several parts of the row.
#pragma once
#include "int8_epilogue.h"

/// Channels of a block; rows for which the numbers of a block are prepared once; bytes of packed multipliers.
enum { block_channels = 4 * WIDTH, strip_rows = 16, packed_block = (4 + 6 * DEPTHWISE_FORM) * WIDTH * 4 };

/// What stands beside a block of channels, in the order of the sums.
struct beside {
    vector multiplier[4], bias[4], inverse_scale[4], zero[4], tie[4];
    /// [4 vectors of starting sums, then per column and half its multipliers], for a row of outputs and for the next one.
    int8_t packed[2][packed_block] __attribute__((aligned(64)));
    uint8_t low[block_channels], high[block_channels];
    struct int8_ties *ties;
};

/// Of `parts` times as many channels as are used, the first of them over and over. In bytes.
INLINE void repeated(void *target, const void *source, ptrdiff_t used) {
    for (ptrdiff_t i = 0; i < WIDTH * 4; i += 16) memcpy((char *)target + i, (const char *)source + i % used, 16);
}

INLINE void reordered(vector *target, const float *source, const int parts) {
    float numbers[block_channels];
    for (int j = 0; j < 4; j++)
        for (int lane = 0; lane < WIDTH / 4; lane++)
            memcpy(numbers + j * WIDTH + lane * 4, source + lane % (WIDTH / 4 / parts) * 16 + j * 4, 16);
    memcpy(target, numbers, sizeof numbers);
}

/// One row of outputs, or two, of one block of channels.
struct row {
    const struct beside *beside;
    /// Rows outside of the image are one pixel over and over.
    const uint8_t *rows[4], *outside;
    ptrdiff_t pitches[4];
    ptrdiff_t width, pad;
    uint8_t *output;
    /// From a pixel, and from a row, to the next one.
    ptrdiff_t output_pitch, output_row;
    /// Channels that exist; first outputs of the parts, and how many each has.
    ptrdiff_t count, starts[4], outputs;
};

INLINE void three_stored(const struct row *r, const int parts, octets_of_block b, uint8_t *target) {
    const int unit = block_channels / parts;
    if (parts == 1 && r->count >= unit) {
        memcpy(target, &b, sizeof b);
        return;
    }
#if WIDTH >= 8
    if (parts > 1 && r->count >= unit) {
#pragma clang loop unroll(full)
        for (int part = 0; part < parts; part++)
            store_octets_part(target + r->starts[part] * r->output_pitch, b, part, parts);
        return;
    }
#endif
    uint8_t whole[block_channels];
    memcpy(whole, &b, sizeof b);
    for (int part = 0; part < parts; part++) {
        uint8_t *t = target + r->starts[part] * r->output_pitch;
#ifdef HAS_MASKS
        store_octets_masked(t, whole + part * unit, r->count);
#else
        copy_few(t, whole + part * unit, r->count);
#endif
    }
}

/// Notes the bytes of vector j of a block that are near a tie, from `target` on.
static __attribute__((noinline)) void three_noted(const struct row *r, const int parts, const integers *near, const int j,
                                                  const uint8_t *target) {
    const int lanes = WIDTH / 4 / parts;
    for (int i = 0; i < WIDTH; i++) {
        const ptrdiff_t channel = i / 4 % lanes * 16 + j * 4 + i % 4;
        if ((*near)[i] && channel < r->count)
            note_tie(r->beside->ties, target + r->starts[i / 4 / lanes] * r->output_pitch + channel);
    }
}

/// Adds the products of one half of the channels for windows q ... q + outputs of each part, of one or two rows.
INLINE void three_sums(integers (*sums)[THREE_OUTPUTS][2], const struct row *r, const int stride, const int rows,
                       const int parts, const int checked, const int outputs, ptrdiff_t q, const int half) {
    const int count = (outputs - 1) * stride + 3;
    const ptrdiff_t ix = q * stride - r->pad;
    const int8_t *packed = r->beside->packed[0] + half * DEPTHWISE_FORM * WIDTH * 4;
    for (int j = 0; j < 2; j++) {
        const integers start = *(const loose_integers *)(r->beside->packed[0] + (half * 2 + j) * WIDTH * 4);
        for (int o = 0; o < outputs; o++)
            for (int y = 0; y < rows; y++) sums[y][o][j] = start;
    }
#if DEPTHWISE_FORM == 2
    // Loads would take longer than the multiplications: what is used more than once stays in registers.
    integers weights[3][2];
    for (int kx = 0; kx < 3; kx++)
        for (int j = 0; j < 2; j++) {
            weights[kx][j] = *(const loose_integers *)(packed + (4 + kx * 2 * DEPTHWISE_FORM + j) * WIDTH * 4);
            KEEP_IN_REGISTER(weights[kx][j]);
        }
#endif
    // Of each row and part, the pixel of the first column; from there on additions are all it takes.
    const uint8_t *pixels[4][4];
    ptrdiff_t pitches[4];
    for (int ky = 0; ky < rows + 2; ky++) {
        pitches[ky] = r->pitches[ky];
        for (int part = 0; part < parts; part++)
            pixels[ky][part] = r->rows[ky] + (ix + r->starts[part] * stride) * pitches[ky];
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < count; i++) {
        integers taps[2][DEPTHWISE_FORM];
        octets_of_block in[4] = {0};
        int is_outside[4] = {0};
        for (int part = 0; checked && part < parts; part++) {
            const ptrdiff_t x = ix + i + r->starts[part] * stride;
            is_outside[part] = x < 0 || x >= r->width;
        }
        for (int ky = 0; ky < rows + 2; ky++) {
            const uint8_t *p[4];
            for (int part = 0; part < parts; part++) {
                p[part] = is_outside[part] ? r->outside : pixels[ky][part];
                pixels[ky][part] += pitches[ky];
            }
            in[ky] = joined(p, parts);
        }
        interleaved(taps[0], in, rows > 1, half);
#if DEPTHWISE_FORM == 2
        for (int j = 0; rows > 1 && j < 2; j++) taps[1][j] = taps_below(taps[0][j]);
#endif
        for (int o = 0; o < outputs; o++) {
            const int kx = i - o * stride;
            if (kx < 0 || kx >= 3) continue;
            for (int y = 0; y < rows; y++)
                for (int j = 0; j < 2; j++) {
#if DEPTHWISE_FORM == 2
                    sums[y][o][j] = column_added(sums[y][o][j], taps[y][j], weights[kx][j]);
#else
                    sums[y][o][j] = column_added(sums[y][o][j], taps[0],
                                                 packed + y * packed_block + (4 + kx * 2 * DEPTHWISE_FORM) * WIDTH * 4, j);
#endif
                }
        }
        // Column after column: else the compiler finishes window after window and keeps what they share in memory.
        for (int o = 0; o < outputs; o++)
            for (int y = 0; y < rows; y++)
                for (int j = 0; j < 2; j++) KEEP_IN_REGISTER(sums[y][o][j]);
    }
}

/// Windows q ... q + outputs of each part, of one or two rows.
INLINE void three_windows(const struct row *r, const enum finish finish, const int stride, const int rows,
                          const int parts, const int checked, const int outputs, ptrdiff_t q) {
    integers packed[2][THREE_OUTPUTS][2];
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
        integers sums[2][THREE_OUTPUTS][2];
        // What the other half loaded is loaded again, rather than kept in memory.
        __asm__ volatile("" ::: "memory");
        three_sums(sums, r, stride, rows, parts, checked, outputs, q, half);
        integers words[2][THREE_OUTPUTS][2];
        for (int j = 0; j < 2; j++) {
            const struct beside *b = r->beside;
            vector multiplier = b->multiplier[half * 2 + j], bias = b->bias[half * 2 + j];
#if DEPTHWISE_FORM == 2
            KEEP_IN_REGISTER(multiplier);
            KEEP_IN_REGISTER(bias);
#endif
            for (int y = 0; y < rows; y++)
                for (int o = 0; o < outputs; o++) {
                    const vector sum = __builtin_convertvector(sums[y][o][j], vector);
                    vector f = finish == finish_rounded ? rounded_product(sum, multiplier, b->zero[half * 2 + j])
                                                        : fused(sum, multiplier, bias);
                    if (finish == finish_silu)
                        f = fused(f / one_and_exponential(f), b->inverse_scale[half * 2 + j], b->zero[half * 2 + j]);
                    words[y][o][j] = nearest(f);
                    if (finish == finish_silu) KEEP_IN_REGISTER(words[y][o][j]);
                    if (finish != finish_watched) continue;
                    const integers near = near_tie(f, b->tie[half * 2 + j]);
                    if (__builtin_reduce_or(near))
                        three_noted(r, parts, &near, half * 2 + j, r->output + y * r->output_row + (q + o) * r->output_pitch);
                }
        }
        for (int y = 0; y < rows; y++)
            for (int o = 0; o < outputs; o++) packed[y][o][half] = pack_words(words[y][o][0], words[y][o][1]);
    }
    octets_of_block low, high;
    memcpy(&low, r->beside->low, sizeof low);
    memcpy(&high, r->beside->high, sizeof high);
    for (int y = 0; y < rows; y++)
        for (int o = 0; o < outputs; o++) {
            const octets_of_block b = (octets_of_block)pack_octets(packed[y][o][0], packed[y][o][1]);
            three_stored(r, parts, __builtin_elementwise_max(__builtin_elementwise_min(b, high), low),
                         r->output + y * r->output_row + (q + o) * r->output_pitch);
        }
}

INLINE void three_row(const struct row *r, const enum finish finish, const int stride, const int rows,
                      const int parts) {
    // Fewer where the epilogue takes many registers.
    const int most = finish == finish_silu && THREE_OUTPUTS > 2 ? 2 : THREE_OUTPUTS;
    const ptrdiff_t outputs = r->outputs, last = r->starts[parts - 1];
    if (outputs < most) {
        for (ptrdiff_t q = 0; q < outputs; q++) three_windows(r, finish, stride, rows, parts, 1, 1, q);
        return;
    }
    for (ptrdiff_t q = 0; q < outputs; q += most) {
        // The last windows end where the row ends, some computed again.
        if (q + most > outputs) q = outputs - most;
        if (q * stride >= r->pad && (last + q + most - 1) * stride + 2 - r->pad < r->width)
            three_windows(r, finish, stride, rows, parts, 0, most, q);
        else
            three_windows(r, finish, stride, rows, parts, 1, most, q);
    }
}

#define ROWS(finish, stride, rows, parts)                                                                  \
    static __attribute__((noinline)) void three_##finish##_##stride##_##rows##_##parts(const struct row *r) { \
        three_row(r, finish, stride, rows, parts);                                                         \
    }
#if WIDTH >= 16
#define ROWS_OF_PARTS(finish, stride, rows) \
    ROWS(finish, stride, rows, 1)           \
    ROWS(finish, stride, rows, 2)           \
    ROWS(finish, stride, rows, 4)
#define ALL_PARTS(finish, stride, rows) \
    {three_##finish##_##stride##_##rows##_1, three_##finish##_##stride##_##rows##_2, three_##finish##_##stride##_##rows##_4}
#elif WIDTH >= 8
#define ROWS_OF_PARTS(finish, stride, rows) \
    ROWS(finish, stride, rows, 1)           \
    ROWS(finish, stride, rows, 2)
#define ALL_PARTS(finish, stride, rows) {three_##finish##_##stride##_##rows##_1, three_##finish##_##stride##_##rows##_2}
#else
#define ROWS_OF_PARTS(finish, stride, rows) ROWS(finish, stride, rows, 1)
#define ALL_PARTS(finish, stride, rows) {three_##finish##_##stride##_##rows##_1}
#endif
#define ROWS_OF_FINISH(finish)    \
    ROWS_OF_PARTS(finish, 1, 1)   \
    ROWS_OF_PARTS(finish, 1, 2)   \
    ROWS_OF_PARTS(finish, 2, 1)
#define RUNS_OF_FINISH(finish) \
    {ALL_PARTS(finish, 1, 1), ALL_PARTS(finish, 1, 2), ALL_PARTS(finish, 2, 1)}
ROWS_OF_FINISH(finish_linear)
ROWS_OF_FINISH(finish_rounded)
ROWS_OF_FINISH(finish_watched)
ROWS_OF_FINISH(finish_silu)

/// By function, {stride 1, two rows of stride 1, stride 2}, and parts {1, 2, 4}.
static void (*const three_runs[finish_count][3][3])(const struct row *) = {
    [finish_linear] = RUNS_OF_FINISH(finish_linear),
    [finish_rounded] = RUNS_OF_FINISH(finish_rounded),
    [finish_watched] = RUNS_OF_FINISH(finish_watched),
    [finish_silu] = RUNS_OF_FINISH(finish_silu),
};

/// Prepares the numbers of channels c ... c + block_channels.
static void beside_block(struct beside *b, const struct int8_convolution *task, const enum finish finish, ptrdiff_t c,
                         const int parts) {
    const struct int8_epilogue *e = &task->epilogue;
    reordered(b->multiplier, e->multiplier + c, parts);
    reordered(b->bias, e->bias + c, parts);
    if (finish == finish_silu) reordered(b->inverse_scale, e->inverse_scale + c, parts);
    if (finish == finish_watched) reordered(b->tie, e->tie + c, parts), b->ties = e->ties;
    if (finish == finish_silu || finish == finish_rounded) reordered(b->zero, e->zero + c, parts);
    for (int i = 0; i < block_channels; i += 16) {
        memcpy(b->low + i, e->low + c + i % (block_channels / parts), 16);
        memcpy(b->high + i, e->high + c + i % (block_channels / parts), 16);
    }
    const int8_t *packed = (const int8_t *)task->weights + int8_depthwise_floats(WIDTH, task->channels, 9) +
                           c * (4 + 6 * DEPTHWISE_FORM);
    for (int i = 0; i < packed_block; i += WIDTH * 4) repeated(b->packed[0] + i, packed + i, WIDTH * 4 / parts);
#if DEPTHWISE_FORM == 4
    for (int i = 4; i < 4 + 6 * DEPTHWISE_FORM; i += DEPTHWISE_FORM)
        column_below(b->packed[1] + i * WIDTH * 4, b->packed[0] + i * WIDTH * 4);
#endif
}

/// Output rows [begin, end). False if it is another kind of layer.
static int depthwise_three(const struct int8_convolution *task, const enum finish finish, const uint8_t *input,
                           uint8_t *output, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &task->window;
    if (w->kernel_height != 3 || w->kernel_width != 3 || w->dilation_x != 1 || w->stride_x < 1 || w->stride_x > 2 ||
        !three_runs[finish][0][0])
        return 0;
    const int pairs = w->stride_x == 1 && w->stride_y == 1 && w->dilation_y == 1;
    for (ptrdiff_t strip = begin; strip < end; strip += strip_rows)
        for (ptrdiff_t c = 0; c < task->channels; c += block_channels) {
            const ptrdiff_t left = task->channels - c;
            // Parts of 16 channels at least.
            const int most = WIDTH >= 16 ? 2 : WIDTH >= 8 ? 1 : 0;
            const int wanted = left > block_channels / 2 ? 0 : left > block_channels / 4 ? 1 : 2;
            const int form = wanted < most ? wanted : most;
            const int parts = 1 << form;
            struct beside beside;
            beside_block(&beside, task, finish, c, parts);
            struct row row = {
                .beside = &beside,
                .outside = task->outside + c,
                .width = w->input_width,
                .pad = w->pad_left,
                .output_pitch = w->output_pitch,
                .output_row = w->output_width * w->output_pitch,
                .count = left,
                .outputs = (w->output_width + parts - 1) / parts,
            };
            for (int part = 0; part < parts; part++) {
                const ptrdiff_t start = part * row.outputs, most = w->output_width - row.outputs;
                row.starts[part] = start < most ? start : most;
            }
            const ptrdiff_t stop = strip + strip_rows < end ? strip + strip_rows : end;
            for (ptrdiff_t y = strip; y < stop;) {
                const int rows = pairs && y + 1 < stop ? 2 : 1;
                for (int ky = 0; ky < rows + 2; ky++) {
                    const ptrdiff_t iy = y * w->stride_y - w->pad_top + ky * w->dilation_y;
                    const int is_inside = iy >= 0 && iy < w->input_height;
                    row.rows[ky] = is_inside ? input + iy * w->input_width * w->input_pitch + c : row.outside;
                    row.pitches[ky] = is_inside ? w->input_pitch : 0;
                }
                row.output = output + y * row.output_row + c;
                three_runs[finish][w->stride_x == 2 ? 2 : rows - 1][form](&row);
                y += rows;
            }
        }
    return 1;
}
