// SPDX-License-Identifier: Apache-2.0
// Windows of 3x3, one filter per channel, where inputs or outputs are int16; outputs may be float. A column of a window is two
// pairs of rows, {upper two rows} and {third row, the one below}, interleaved once for all windows that share it, those of the
// next row of outputs among them, which multiply the same pairs by other weights. Interleaving within 128-bit lanes leaves the
// channels of a block in another order, which packing the results undoes: vector j has channels 8 * lane + 4 * j ... 4 * j + 3
// of each lane. Everything per channel is brought into that order first.
#pragma once
#include "int8_epilogue.h"

enum {
    /// Channels of a block; outputs of a row that are computed together.
    words_channels = 2 * WIDTH,
    words_outputs = 3,
    /// Rows for which the numbers of a block are prepared once.
    words_strip = 16
};

typedef uint8_t bytes_of_words __attribute__((vector_size(words_channels)));

/// What stands beside a block of channels, in the order of the sums.
struct beside_words {
    vector multiplier[2], bias[2], inverse_scale[2], zero[2];
    words low, high;
    float least, most;
    /// As `int8_pack_depthwise_words` has them.
    const int8_t *packed;
};

/// One row of outputs, or two, of one block of channels.
struct words_row {
    const struct beside_words *beside;
    /// Rows outside of the image are one pixel over and over.
    const uint8_t *rows[4], *outside;
    ptrdiff_t pitches[4];
    ptrdiff_t width, pad;
    uint8_t *output;
    /// In bytes, from a pixel, and from a row, to the next one.
    ptrdiff_t output_pitch, output_row;
    /// Channels that exist, and outputs.
    ptrdiff_t count, outputs;
};

INLINE words words_or_bytes(const uint8_t *p, const int takes_words) {
    if (takes_words) {
        words w;
        memcpy(&w, p, sizeof w);
        return w;
    }
    bytes_of_words b;
    memcpy(&b, p, sizeof b);
    return __builtin_convertvector(b, words);
}

/// Steps of outputs x ... x + outputs of one or two rows, of one half of the channels.
INLINE void words_steps(integers (*steps)[words_outputs][2], const struct words_row *r, const enum finish finish,
                        const int takes_words, const int stride, const int rows, const int checked, const int outputs,
                        ptrdiff_t x, const int half) {
    const struct beside_words *b = r->beside;
    const ptrdiff_t ix = x * stride - r->pad;
    const int8_t *packed = b->packed + half * WIDTH * 4;
    integers sums[2][words_outputs];
    for (int y = 0; y < rows; y++)
        for (int o = 0; o < outputs; o++) sums[y][o] = *(const loose_integers *)packed;
    // Of each row, the pixel of the first column; from there on additions are all it takes.
    const uint8_t *pixels[4];
    ptrdiff_t pitches[4];
    for (int ky = 0; ky < rows + 2; ky++) {
        pitches[ky] = r->pitches[ky];
        pixels[ky] = r->rows[ky] + ix * pitches[ky];
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < (outputs - 1) * stride + 3; i++) {
        const int is_outside = checked && (ix + i < 0 || ix + i >= r->width);
        words in[4];
        for (int ky = 0; ky < rows + 2; ky++) {
            in[ky] = words_or_bytes(is_outside ? r->outside : pixels[ky], takes_words);
            pixels[ky] += pitches[ky];
        }
        const integers upper = interleaved_words(in[0], in[1], half);
        const integers lower = interleaved_words(in[2], in[rows > 1 ? 3 : 2], half);
        for (int o = 0; o < outputs; o++) {
            const int kx = i - o * stride;
            if (kx < 0 || kx >= 3) continue;
            for (int y = 0; y < rows; y++) {
                const int8_t *weights = packed + (2 + 12 * y + 4 * kx) * WIDTH * 4;
                sums[y][o] = pairs_added(sums[y][o], upper, *(const loose_integers *)weights);
                sums[y][o] = pairs_added(sums[y][o], lower, *(const loose_integers *)(weights + 2 * WIDTH * 4));
            }
        }
        // Column after column: else the compiler finishes window after window and keeps what they share in memory.
        for (int y = 0; y < rows; y++)
            for (int o = 0; o < outputs; o++) KEEP_IN_REGISTER(sums[y][o]);
    }
    for (int y = 0; y < rows; y++)
        for (int o = 0; o < outputs; o++) {
            vector f = fused(__builtin_convertvector(sums[y][o], vector), b->multiplier[half], b->bias[half]);
            if (finish == finish_silu || finish == finish_words_silu)
                f = fused(f / one_and_exponential(f), b->inverse_scale[half], b->zero[half]);
            if (finish == finish_float) f = least(greatest(f, splat(b->least)), splat(b->most));
            steps[y][o][half] = finish == finish_float ? (integers)f : nearest(f);
        }
}

/// Floats of both halves of the channels, `count` of them that exist.
INLINE void words_stored_as_floats(uint8_t *target, const integers halves[2], ptrdiff_t count) {
    float numbers[words_channels], in_order[words_channels];
    memcpy(numbers, halves, sizeof numbers);
    for (int j = 0; j < 2; j++)
        for (int lane = 0; lane < WIDTH / 4; lane++) memcpy(in_order + lane * 8 + j * 4, numbers + j * WIDTH + lane * 4, 16);
    memcpy(target, in_order, (size_t)(count < words_channels ? count : words_channels) * sizeof(float));
}

/// Outputs x ... x + outputs of one or two rows.
INLINE void words_windows(const struct words_row *r, const enum finish finish, const int takes_words, const int stride,
                          const int rows, const int checked, const int outputs, ptrdiff_t x) {
    integers steps[2][words_outputs][2];
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
        words_steps(steps, r, finish, takes_words, stride, rows, checked, outputs, x, half);
        // What the other half loaded is loaded again, rather than kept in memory.
        __asm__ volatile("" ::: "memory");
    }
    for (int y = 0; y < rows; y++)
        for (int o = 0; o < outputs; o++) {
            if (finish == finish_float) {
                words_stored_as_floats(r->output + y * r->output_row + (x + o) * r->output_pitch, steps[y][o], r->count);
                continue;
            }
            const words packed = (words)pack_words(steps[y][o][0], steps[y][o][1]);
            const words w = within(packed, r->beside->low, r->beside->high);
            uint8_t *target = r->output + y * r->output_row + (x + o) * r->output_pitch;
            if (is_of_words(finish)) {
                if (r->count >= words_channels)
                    memcpy(target, &w, sizeof w);
                else
                    copy_few(target, &w, r->count * 2);
            } else {
                const bytes_of_words octets = __builtin_convertvector(w, bytes_of_words);
                if (r->count >= words_channels)
                    memcpy(target, &octets, sizeof octets);
                else
                    copy_few(target, &octets, r->count);
            }
        }
}

INLINE void words_row(const struct words_row *r, const enum finish finish, const int takes_words, const int stride,
                      const int rows) {
    ptrdiff_t x = 0;
    for (; x + words_outputs <= r->outputs; x += words_outputs) {
        const ptrdiff_t first = x * stride - r->pad;
        if (first >= 0 && first + (words_outputs - 1) * stride + 3 <= r->width)
            words_windows(r, finish, takes_words, stride, rows, 0, words_outputs, x);
        else
            words_windows(r, finish, takes_words, stride, rows, 1, words_outputs, x);
    }
    for (; x < r->outputs; x++) words_windows(r, finish, takes_words, stride, rows, 1, 1, x);
}

#define ROW(finish, takes_words, stride, rows)                                            \
    static __attribute__((noinline)) void words_##finish##_##takes_words##_##stride##_##rows( \
        const struct words_row *r) {                                                      \
        words_row(r, finish, takes_words, stride, rows);                                  \
    }
#define ROWS_OF(finish)  \
    ROW(finish, 0, 1, 1) \
    ROW(finish, 0, 1, 2) \
    ROW(finish, 0, 2, 1) \
    ROW(finish, 1, 1, 1) \
    ROW(finish, 1, 1, 2) \
    ROW(finish, 1, 2, 1)
ROWS_OF(finish_linear)
ROWS_OF(finish_silu)
ROWS_OF(finish_words)
ROWS_OF(finish_words_silu)
ROWS_OF(finish_float)
#undef ROW
#undef ROWS_OF

/// By function, input (bytes, words) and {stride 1, two rows of stride 1, stride 2}.
#define RUNS(finish)                                                                          \
    [finish] = {{words_##finish##_0_1_1, words_##finish##_0_1_2, words_##finish##_0_2_1},     \
                {words_##finish##_1_1_1, words_##finish##_1_1_2, words_##finish##_1_2_1}}
static void (*const words_runs[finish_count][2][3])(const struct words_row *) = {
    RUNS(finish_linear),
    RUNS(finish_silu),
    RUNS(finish_words),
    RUNS(finish_words_silu),
    RUNS(finish_float),
};
#undef RUNS

/// Channels c ... c + words_channels in the order of the sums.
INLINE void in_order_of_sums(vector *target, const float *source) {
    float numbers[words_channels];
    for (int j = 0; j < 2; j++)
        for (int lane = 0; lane < WIDTH / 4; lane++) memcpy(numbers + j * WIDTH + lane * 4, source + lane * 8 + j * 4, 16);
    memcpy(target, numbers, sizeof numbers);
}

/// Prepares the numbers of channels c ... c + words_channels.
static void words_block_beside(struct beside_words *b, const struct int8_convolution *task, ptrdiff_t c) {
    const struct int8_epilogue *e = &task->epilogue;
    in_order_of_sums(b->multiplier, e->multiplier + c);
    in_order_of_sums(b->bias, e->bias + c);
    if (e->inverse_scale) {
        in_order_of_sums(b->inverse_scale, e->inverse_scale + c);
        in_order_of_sums(b->zero, e->zero + c);
    }
    b->least = e->activation.low, b->most = e->activation.high;
    for (int i = 0; i < words_channels && (e->high_words || e->high); i++) {
        b->low[i] = e->high_words ? e->low_words[c + i] : e->low[c + i];
        b->high[i] = e->high_words ? e->high_words[c + i] : e->high[c + i];
    }
    b->packed = (const int8_t *)task->weights + c * INT8_DEPTHWISE_WORDS_BYTES;
}

#ifdef NARROW_WORDS
/// The layer of channels from c on.
static struct int8_convolution words_from(const struct int8_convolution *task, ptrdiff_t c) {
    struct int8_convolution rest = *task;
    struct int8_epilogue *e = &rest.epilogue;
    rest.filters -= c;
    rest.weights = (const int8_t *)task->weights + c * INT8_DEPTHWISE_WORDS_BYTES;
    rest.outside += task->takes_words ? 2 * c : c;
    e->multiplier += c, e->bias += c;
    if (e->inverse_scale) e->inverse_scale += c, e->zero += c;
    if (e->high_words)
        e->low_words += c, e->high_words += c;
    else if (e->high)
        e->low += c, e->high += c;
    return rest;
}
#endif

static void depthwise_words(const struct int8_convolution *task, const void *input, void *output, ptrdiff_t begin,
                            ptrdiff_t end) {
    const struct float_window *w = &task->window;
    const struct int8_epilogue *e = &task->epilogue;
    const int takes_words = task->takes_words != 0, pairs = w->stride_x == 1 && w->stride_y == 1;
    void (*const *const runs)(const struct words_row *) = words_runs[finish_of(e, NULL)][takes_words];
    const ptrdiff_t element = takes_words ? 2 : 1, output_pitch = w->output_pitch * element_bytes(e);
    for (ptrdiff_t strip = begin; strip < end; strip += words_strip)
        for (ptrdiff_t c = 0; c < task->filters; c += words_channels) {
            const ptrdiff_t stop = strip + words_strip < end ? strip + words_strip : end;
#ifdef NARROW_WORDS
            if (task->filters - c <= 2 * NARROW_WORDS) {
                const struct int8_convolution rest = words_from(task, c);
                depthwise_narrow_words(&rest, (const uint8_t *)input + c * element,
                                       (uint8_t *)output + c * element_bytes(e), strip, stop);
                continue;
            }
#endif
            struct beside_words beside;
            words_block_beside(&beside, task, c);
            struct words_row row = {
                .beside = &beside,
                .outside = task->outside + c * element,
                .width = w->input_width,
                .pad = w->pad_left,
                .output_pitch = output_pitch,
                .output_row = w->output_width * output_pitch,
                .count = task->filters - c,
                .outputs = w->output_width,
            };
            for (ptrdiff_t y = strip; y < stop;) {
                const int rows = pairs && y + 1 < stop ? 2 : 1;
                for (int ky = 0; ky < rows + 2; ky++) {
                    const ptrdiff_t iy = y * w->stride_y - w->pad_top + ky;
                    const int is_inside = iy >= 0 && iy < w->input_height;
                    row.rows[ky] = is_inside ? (const uint8_t *)input + iy * w->input_width * w->input_pitch + c * element
                                             : row.outside;
                    row.pitches[ky] = is_inside ? w->input_pitch : 0;
                }
                row.output = (uint8_t *)output + y * row.output_row + c * element_bytes(e);
                runs[w->stride_x == 2 ? 2 : rows - 1](&row);
                y += rows;
            }
        }
}
