// SPDX-License-Identifier: Apache-2.0
// Dense convolution. Windows are read where the image has them if each of their rows (or taps) is a multiple of eight
// bytes; windows over the edge, and those of few channels, are copied together first. Pixels come in blocks that fit the
// first-level cache; within a block every tile of filters meets every tile of pixels.
#pragma once
#include "int8_epilogue.h"
#include "int8_window.h"

/// A window and where its result goes.
struct place {
    const uint8_t *window;
    ptrdiff_t index;
};

/// What the tiles of a pass have in common: one tile of filters, windows of one form.
struct pass {
    struct int8_epilogue epilogue;
    const uint8_t *residual;
    uint8_t *output;
    /// In bytes.
    ptrdiff_t residual_pitch, output_pitch;
    /// A window is `segments` runs of `length` bytes at these offsets.
    const ptrdiff_t *offsets;
    ptrdiff_t segments, length;
    const int8_t *packed;
    ptrdiff_t first, count;
    /// What the zero point of the weights adds to all sums of a place, from that of `places` on; null if it is zero. Only
    /// `finish_any` takes it.
    const int32_t *starts;
    const struct place *places;
};

/// Adds four steps of words, as `dot` adds eight of bytes.
INLINE void dot_words(integers (*sums)[2], const int pixels, const int vectors, const uint8_t *const *rows, ptrdiff_t step,
                      const int8_t *packed) {
    for (int group = 0; group < 2; group++) {
        integers weights[2];
        for (int v = 0; v < vectors; v++)
            weights[v] = *(const loose_integers *)(packed + (group * vectors + v) * WIDTH * 4);
        for (int p = 0; p < pixels; p++) {
            const integers pair = word_pair((const int16_t *)(rows[p] + step + 4 * group));
            for (int v = 0; v < vectors; v++) sums[p][v] = pairs_added(sums[p][v], pair, weights[v]);
        }
    }
}

/// Vectors of filters in a tile: one, two, or one and the first half of another.
enum form { one_vector, two_vectors, vector_and_half, form_count };

INLINE int vectors_of(const enum form form) { return form == one_vector ? 1 : 2; }

/// Adds one step of eight bytes, or four words.
INLINE void step_added(integers (*sums)[2], const int takes_words, const int pixels, const enum form form,
                       const uint8_t *const *rows, ptrdiff_t step, const int8_t *packed) {
    if (takes_words) return dot_words(sums, pixels, vectors_of(form), rows, step, packed);
#ifdef HAS_HALVES
    if (form == vector_and_half) return dot_with_half(sums, pixels, rows, step, packed);
#endif
    dot(sums, pixels, vectors_of(form), rows, step, packed);
}

/// The epilogue of `pixels` places.
INLINE void places_finished(const struct pass *pass, const enum finish finish, const int vectors,
                            const struct ending *ending, const struct place *places, const integers (*sums)[2],
                            const int pixels) {
    const struct int8_epilogue *epilogue = &pass->epilogue;
    const ptrdiff_t c = pass->first;
#ifdef HAS_FOURS
    const int fours = vectors == 1 && pixels % 4 == 0 && makes_bytes(finish);
#else
    const int fours = 0;
#endif
    vector ties[2];
    for (int v = 0; v < vectors && is_watched(epilogue, finish); v++) ties[v] = load(epilogue->tie + c + v * WIDTH);
    const int together = fours ? 4 : 2;
    // Unrolled, or the sums would be kept in memory.
#pragma clang loop unroll(full)
    for (int p = 0; p < pixels; p += together) {
        vector values[4][2];
        uint8_t *targets[4];
        for (int i = 0; i < together; i++) {
            const int q = p + i < pixels ? p + i : p;
            const ptrdiff_t index = places[q].index;
            const uint8_t *residual = pass->residual ? pass->residual + index * pass->residual_pitch : NULL;
            targets[i] = pass->output + index * pass->output_pitch;
            for (int v = 0; v < vectors; v++) {
                const ptrdiff_t left = pass->count - v * WIDTH;
                values[i][v] = finished(epilogue, finish, __builtin_convertvector(sums[q][v], vector),
                                        &ending->factors[v], residual, c + v * WIDTH, left < WIDTH ? left : WIDTH);
#ifdef HAS_MANY_REGISTERS
                if (finish == finish_silu || finish == finish_silu_residual) KEEP_IN_REGISTER(values[i][v]);
#endif
            }
        }
        if (is_watched(epilogue, finish)) {
            integers near[4][2], any = {0};
            for (int i = 0; i < together; i++)
                for (int v = 0; v < vectors; v++) any |= near[i][v] = near_tie(values[i][v], ties[v]);
            for (int i = 0; i < together && __builtin_reduce_or(any); i++)
                for (int v = 0; v < vectors; v++)
                    note_ties(epilogue->ties, targets[i] + c + v * WIDTH, &near[i][v], pass->count - v * WIDTH);
        }
#ifdef HAS_FOURS
        if (fours) {
            integers steps[4];
            for (int i = 0; i < 4; i++) steps[i] = nearest(values[i][0]), targets[i] += c;
            store_saturated_four(targets, steps, ending->bounds.low, ending->bounds.high, pass->count);
            continue;
        }
#endif
        for (int i = 0; makes_words(epilogue, finish) && i < 2 && p + i < pixels; i++)
            store_words(&ending->word_bounds, (int16_t *)targets[i] + c, values[i], vectors, pass->count);
        if (!makes_words(epilogue, finish))
            store_pair(epilogue, finish, &ending->bounds, targets[0], targets[1], values[0], values[1], vectors, c,
                       pass->count);
    }
}

/// Windows of `pixels` places and what their sums begin with, of two vectors of filters or one. Returns where the weights are.
INLINE const int8_t *tile_begun(integers (*sums)[2], const uint8_t **rows, const struct pass *pass, const int pixels,
                                const int vectors, const struct place *places) {
    for (int p = 0; p < pixels; p++) rows[p] = places[p].window;
    for (int v = 0; v < vectors; v++) {
        const integers start = *(const loose_integers *)(pass->packed + v * WIDTH * 4);
        for (int p = 0; p < pixels; p++) sums[p][v] = start;
    }
    return pass->packed + vectors * WIDTH * 4;
}

/// Sums of `pixels` windows, then the epilogue.
INLINE void tile(const struct pass *pass, const enum finish finish, const int takes_words, const int pixels,
                 const enum form form, const struct place *places) {
    const int vectors = vectors_of(form);
    const uint8_t *rows[TILE_PIXELS];
    integers sums[TILE_PIXELS][2];
    const int8_t *packed = tile_begun(sums, rows, pass, pixels, vectors, places);
    if (finish == finish_any && pass->starts) {
        for (int p = 0; p < pixels; p++)
            for (int v = 0; v < vectors; v++) sums[p][v] += pass->starts[places - pass->places + p];
    }
    for (ptrdiff_t segment = 0; segment < pass->segments; segment++) {
        ptrdiff_t step = pass->offsets[segment];
        const ptrdiff_t end = step + pass->length;
        for (; step < end; step += 8) {
            step_added(sums, takes_words, pixels, form, rows, step, packed);
            packed += vectors * WIDTH * 8;
        }
    }
    struct ending ending;
    ending_loaded(&ending, &pass->epilogue, finish, vectors, pass->first);
    places_finished(pass, finish, vectors, &ending, places, (const integers(*)[2])sums, pixels);
}

#ifdef HAS_MANY_REGISTERS
INLINE void kept(integers (*sums)[2], const int pixels, const int vectors) {
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++) KEEP_IN_REGISTER(sums[p][v]);
}

/// Tiles of eight sums, each multiplied while the one before it is finished, which other parts of the processor do. `count`
/// is a multiple of such tiles; windows are of one segment.
INLINE void overlapping_tiles(const struct pass *pass, const enum finish finish, const int takes_words,
                              const enum form form, const struct place *places, ptrdiff_t count) {
    enum { most = 8 };
    const int vectors = vectors_of(form), pixels = most / vectors, half = pixels / 2;
    struct ending ending;
    ending_loaded(&ending, &pass->epilogue, finish, vectors, pass->first);
    integers sums[most][2], ready[most][2];
    for (ptrdiff_t i = 0; i <= count; i += pixels) {
        const int8_t *packed = pass->packed;
        const uint8_t *rows[most];
        ptrdiff_t step = pass->offsets[0];
        const ptrdiff_t end = i < count ? step + pass->length : step;
        if (step < end) packed = tile_begun(sums, rows, pass, pixels, vectors, places + i);
        for (int part = 0; part < 2; part++) {
            if (step < end) {
                step_added(sums, takes_words, pixels, form, rows, step, packed);
                packed += vectors * WIDTH * 8, step += 8;
                kept(sums, pixels, vectors);
            }
            if (i > 0)
                places_finished(pass, finish, vectors, &ending, places + (i - pixels + part * half),
                                (const integers(*)[2])(ready + part * half), half);
        }
        for (; step < end; step += 8, packed += vectors * WIDTH * 8)
            step_added(sums, takes_words, pixels, form, rows, step, packed);
        for (int p = 0; p < pixels; p++)
            for (int v = 0; v < vectors; v++) ready[p][v] = sums[p][v];
    }
}
#endif

#ifdef HAS_STAGES
/// Places and vectors of filters of a tile in stages.
enum { stage_places = 2, stage_vectors = 2, stage_bytes = stage_vectors * WIDTH * 8 };

/// Sums of the windows of a tile; `steps` is how many eight bytes they have, in one segment, or zero for any.
INLINE void stage_of_sums(integers (*sums)[2], const struct pass *pass, const int takes_words, const int steps,
                          const struct place *places) {
    const uint8_t *rows[stage_places];
    const int8_t *packed = tile_begun(sums, rows, pass, stage_places, stage_vectors, places);
    if (steps) {
#pragma clang loop unroll(full)
        for (int step = 0; step < steps; step++)
            step_added(sums, takes_words, stage_places, two_vectors, rows, pass->offsets[0] + step * 8,
                       packed + step * stage_bytes);
    } else {
        for (ptrdiff_t segment = 0; segment < pass->segments; segment++) {
            ptrdiff_t step = pass->offsets[segment];
            const ptrdiff_t end = step + pass->length;
            for (; step < end; step += 8, packed += stage_bytes)
                step_added(sums, takes_words, stage_places, two_vectors, rows, step, packed);
        }
    }
    for (int p = 0; p < stage_places; p++)
        for (int v = 0; v < stage_vectors; v++) KEEP_IN_REGISTER(sums[p][v]);
}

/// What the sums are to be stored as, as words.
INLINE void stage_of_words(integers *packed_words, const integers (*sums)[2], const struct pass *pass,
                           const enum finish finish, const struct ending *ending, const struct place *places) {
    for (int p = 0; p < stage_places; p++) {
        const uint8_t *residual = pass->residual ? pass->residual + places[p].index * pass->residual_pitch : NULL;
        integers steps[stage_vectors];
        for (int v = 0; v < stage_vectors; v++)
            steps[v] = nearest(finished(&pass->epilogue, finish, __builtin_convertvector(sums[p][v], vector),
                                        &ending->factors[v], residual, pass->first + v * WIDTH, WIDTH));
        packed_words[p] = pack_words(steps[0], steps[1]);
        KEEP_IN_REGISTER(packed_words[p]);
    }
}

INLINE void stage_of_stores(const integers *packed_words, const struct pass *pass, const enum finish finish,
                            const struct ending *ending, const struct place *places) {
    uint8_t *targets[stage_places];
    for (int p = 0; p < stage_places; p++)
        targets[p] = pass->output + places[p].index * pass->output_pitch + pass->first * element_bytes(&pass->epilogue);
    if (finish == finish_words) {
        for (int p = 0; p < stage_places; p++) {
            const words w = within(ordered_words(packed_words[p]), ending->word_bounds.low, ending->word_bounds.high);
            memcpy(targets[p], &w, sizeof w);
        }
    } else {
        store_words_saturated(targets[0], targets[1], packed_words[0], packed_words[1], stage_vectors, ending->bounds.low,
                              ending->bounds.high);
    }
}

/// Tiles whose ends overlap: beside the sums of one, those of the tile before become words, and the words before them are stored.
/// A tile that is finished on its own makes the processor wait, which looks only some tens of instructions ahead: 59 and 94
/// billions of products a second for 16 and 64 channels on a Zen 3, in stages 65 and 98. `count` is even and at least four;
/// all filters exist.
INLINE void staged_tiles(const struct pass *pass, const enum finish finish, const int takes_words, const int steps,
                         const struct place *places, ptrdiff_t count) {
    struct ending ending;
    ending_loaded(&ending, &pass->epilogue, finish, stage_vectors, pass->first);
    integers sums[stage_places][2], packed_words[stage_places];
    const integers(*ready)[2] = (const integers(*)[2])sums;
    const struct place *last = places + count - 2 * stage_places;
    stage_of_sums(sums, pass, takes_words, steps, places);
    stage_of_words(packed_words, ready, pass, finish, &ending, places);
    stage_of_sums(sums, pass, takes_words, steps, places + stage_places);
    for (; places < last; places += stage_places) {
        stage_of_stores(packed_words, pass, finish, &ending, places);
        stage_of_words(packed_words, ready, pass, finish, &ending, places + stage_places);
        stage_of_sums(sums, pass, takes_words, steps, places + 2 * stage_places);
    }
    stage_of_stores(packed_words, pass, finish, &ending, places);
    stage_of_words(packed_words, ready, pass, finish, &ending, places + stage_places);
    stage_of_stores(packed_words, pass, finish, &ending, places + stage_places);
}

/// Whether a form of epilogue leaves registers for the stages before and after it.
INLINE int is_staged(const enum finish finish) {
    return finish == finish_linear || finish == finish_linear_residual || finish == finish_rounded ||
           finish == finish_bounds_residual || finish == finish_words;
}

/// Bytes of a window in stages. Weights of longer ones leave the first-level cache before they come round, so that the four
/// places of a tile that is finished on its own should share them.
enum { most_staged = 160 };

/// Short windows have loops of their own.
INLINE void staged(const struct pass *pass, const enum finish finish, const int takes_words, const struct place *places,
                   ptrdiff_t count) {
    switch (pass->segments == 1 ? pass->length : 0) {
    case 16: return staged_tiles(pass, finish, takes_words, 2, places, count);
    case 24: return staged_tiles(pass, finish, takes_words, 3, places, count);
    case 32: return staged_tiles(pass, finish, takes_words, 4, places, count);
    case 64: return staged_tiles(pass, finish, takes_words, 8, places, count);
    default: return staged_tiles(pass, finish, takes_words, 0, places, count);
    }
}
#endif

INLINE void tiles(const struct pass *shared, const enum finish finish, const int takes_words, const enum form form,
                  const struct place *places, ptrdiff_t count) {
    // A copy that no store of bytes can change, as far as the compiler knows.
    const struct pass own = *shared, *pass = &own;
#ifdef HAS_MANY_REGISTERS
    if (form != vector_and_half && finish != finish_any && finish != finish_float && pass->segments == 1) {
        const ptrdiff_t whole = count & ~(form == one_vector ? 7 : 3);
        overlapping_tiles(pass, finish, takes_words, form, places, whole);
        count -= whole, places += whole;
    }
#endif
#ifdef HAS_STAGES
    if (form == two_vectors && is_staged(finish) && pass->count == 2 * WIDTH && count >= 4 &&
        pass->segments * pass->length <= most_staged) {
        const ptrdiff_t whole = count & ~1;
        staged(pass, finish, takes_words, places, whole);
        count -= whole, places += whole;
    }
#endif
    for (; count >= TILE_PIXELS; count -= TILE_PIXELS, places += TILE_PIXELS)
        tile(pass, finish, takes_words, TILE_PIXELS, form, places);
    if (TILE_PIXELS >= 8 && count >= 4) {
        tile(pass, finish, takes_words, 4, form, places);
        count -= 4, places += 4;
    }
    if (TILE_PIXELS >= 4 && count >= 2) {
        tile(pass, finish, takes_words, 2, form, places);
        count -= 2, places += 2;
    }
    if (count > 0) tile(pass, finish, takes_words, 1, form, places);
}

#define TILES(finish, takes_words, form)                                                                          \
    static __attribute__((noinline)) void tiles_##finish##_##takes_words##_##form(const struct pass *pass,        \
                                                                                  const struct place *places,     \
                                                                                  ptrdiff_t count) {              \
        tiles(pass, finish, takes_words, form, places, count);                                                    \
    }
#define WORD_TILES(finish)       \
    TILES(finish, 1, one_vector) \
    TILES(finish, 1, two_vectors)
#define RUNS(finish, takes_words, third) \
    {tiles_##finish##_##takes_words##_one_vector, tiles_##finish##_##takes_words##_two_vectors, third}
#ifdef HAS_HALVES
#define BYTE_TILES(finish)        \
    TILES(finish, 0, one_vector)  \
    TILES(finish, 0, two_vectors) \
    TILES(finish, 0, vector_and_half)
#define BYTES(finish) [finish] = RUNS(finish, 0, tiles_##finish##_0_vector_and_half)
#else
#define BYTE_TILES(finish)       \
    TILES(finish, 0, one_vector) \
    TILES(finish, 0, two_vectors)
#define BYTES(finish) [finish] = RUNS(finish, 0, tiles_##finish##_0_two_vectors)
#endif
BYTE_TILES(finish_linear)
BYTE_TILES(finish_linear_residual)
BYTE_TILES(finish_rounded)
BYTE_TILES(finish_watched)
BYTE_TILES(finish_silu)
BYTE_TILES(finish_silu_residual)
BYTE_TILES(finish_bounds_residual)
BYTE_TILES(finish_float)
BYTE_TILES(finish_words)
BYTE_TILES(finish_words_silu)
BYTE_TILES(finish_any)
WORD_TILES(finish_linear)
WORD_TILES(finish_silu)
WORD_TILES(finish_float)
WORD_TILES(finish_words)
WORD_TILES(finish_words_silu)
WORD_TILES(finish_any)
#define WORDS(finish) [finish] = RUNS(finish, 1, tiles_##finish##_1_two_vectors)
#define WORDS_AS_ANY(finish) [finish] = RUNS(finish_any, 1, tiles_finish_any_1_two_vectors)

/// By input (bytes, words), function, and form.
static void (*const tile_runs[2][finish_count][form_count])(const struct pass *, const struct place *, ptrdiff_t) = {
    {BYTES(finish_linear), BYTES(finish_linear_residual), BYTES(finish_rounded), BYTES(finish_watched),
     BYTES(finish_silu), BYTES(finish_silu_residual), BYTES(finish_bounds_residual), BYTES(finish_float),
     BYTES(finish_words), BYTES(finish_words_silu), BYTES(finish_any)},
    {WORDS(finish_linear), WORDS_AS_ANY(finish_linear_residual), WORDS_AS_ANY(finish_rounded),
     WORDS_AS_ANY(finish_watched), WORDS(finish_silu), WORDS_AS_ANY(finish_silu_residual),
     WORDS_AS_ANY(finish_bounds_residual), WORDS(finish_float), WORDS(finish_words), WORDS(finish_words_silu),
     WORDS(finish_any)},
};
#undef TILES
#undef BYTE_TILES
#undef WORD_TILES
#undef RUNS
#undef BYTES
#undef WORDS
#undef WORDS_AS_ANY

/// Copies `count` bytes, or some more if it is few: 32 more may be read and written.
INLINE void copy_run(uint8_t *target, const uint8_t *source, ptrdiff_t count) {
    if (count <= 16) {
        memcpy(target, source, 16);
    } else if (count <= 32) {
        memcpy(target, source, 32);
    } else {
        memcpy(target, source, (size_t)count);
    }
}

/// Copies the window of an output pixel: kernel_height * kernel_width * channels bytes, and up to 32 of no meaning.
INLINE void gather(const struct int8_convolution *task, const uint8_t *input, ptrdiff_t y, ptrdiff_t x, uint8_t *patch) {
    const struct float_window *w = &task->window;
    const ptrdiff_t channels = task->channels, x0 = x * w->stride_x - w->pad_left;
    const int dense = w->input_pitch == channels && w->dilation_x == 1;
    for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
        const ptrdiff_t iy = y * w->stride_y - w->pad_top + ky * w->dilation_y;
        if (iy < 0 || iy >= w->input_height) {
            copy_run(patch, task->outside, w->kernel_width * channels);
            patch += w->kernel_width * channels;
            continue;
        }
        const uint8_t *row = input + iy * w->input_width * w->input_pitch;
        if (dense && x0 >= 0 && x0 + w->kernel_width <= w->input_width) {
            copy_run(patch, row + x0 * channels, w->kernel_width * channels);
            patch += w->kernel_width * channels;
            continue;
        }
        for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++, patch += channels) {
            const ptrdiff_t ix = x0 + kx * w->dilation_x;
            const uint8_t *source = ix < 0 || ix >= w->input_width ? task->outside : row + ix * w->input_pitch;
            copy_run(patch, source, channels);
        }
    }
}

/// Three runs of nine bytes one after the other, and five bytes of no meaning: a window of 3x3 over three channels.
INLINE void copy_nines(uint8_t *target, const uint8_t *a, const uint8_t *b, const uint8_t *c) {
#ifdef HAS_MASKS
    store_nines(target, a, b, c);
#elif WIDTH >= 8 || defined(__aarch64__)
    typedef uint8_t sixteen __attribute__((vector_size(16)));
    sixteen x, y, z;
    memcpy(&x, a, 16);
    memcpy(&y, b, 16);
    memcpy(&z, c, 16);
    const sixteen first = __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18, 19, 20, 21, 22);
    const sixteen second = __builtin_shufflevector(y, z, 7, 8, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
    memcpy(target, &first, 16);
    memcpy(target + 16, &second, 16);
#else
    memcpy(target, a, 9);
    memcpy(target + 9, b, 9);
    memcpy(target + 18, c, 9);
#endif
}

/// Copies the windows of `count` pixels of a row that lie within the image.
INLINE void gather_row(const struct float_window *w, const uint8_t *window, ptrdiff_t channels, uint8_t *patch,
                       ptrdiff_t steps, ptrdiff_t count) {
    const ptrdiff_t run = w->kernel_width * channels, row = w->dilation_y * w->input_width * channels;
    const ptrdiff_t rows = w->kernel_height, step = w->stride_x * channels;
    if (run == 9 && rows == 3) {
        for (ptrdiff_t i = 0; i < count; i++, window += step, patch += steps)
            copy_nines(patch, window, window + row, window + 2 * row);
    } else if (run <= 16) {
        for (ptrdiff_t i = 0; i < count; i++, window += step, patch += steps)
            for (ptrdiff_t ky = 0; ky < rows; ky++) memcpy(patch + ky * run, window + ky * row, 16);
    } else {
        for (ptrdiff_t i = 0; i < count; i++, window += step, patch += steps)
            for (ptrdiff_t ky = 0; ky < rows; ky++) copy_run(patch + ky * run, window + ky * row, run);
    }
}

/// Places of windows `distance` apart whose results follow one another.
INLINE void places_set(struct place *places, const uint8_t *window, ptrdiff_t distance, ptrdiff_t index, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) places[i] = (struct place){window + i * distance, index + i};
}

/// Sum of what a window reads: `segments` runs of `length` bytes at these offsets.
static int32_t sum_of_window(const uint8_t *window, const ptrdiff_t *offsets, ptrdiff_t segments, ptrdiff_t length) {
    int32_t sum = 0;
    for (ptrdiff_t s = 0; s < segments; s++) {
        const uint8_t *run = window + offsets[s];
        for (ptrdiff_t i = 0; i < length; i++) sum += run[i];
    }
    return sum;
}

/// Sets what the zero point of the weights takes away: sum((x - zero point of x) * (w - zero)) = sum((x - zero point of x) *
/// w) - zero * (sum(x) - `centre`), where `centre` is the sum of the zero points of x.
static void set_starts(int32_t *starts, const struct place *places, ptrdiff_t count, int zero, int32_t centre,
                       const ptrdiff_t *offsets, ptrdiff_t segments, ptrdiff_t length) {
    for (ptrdiff_t i = 0; i < count; i++)
        starts[i] = zero * (centre - sum_of_window(places[i].window, offsets, segments, length));
}

enum { block_bytes = 16384, most_places = 256, most_segments = 64 };

static void convolution(const struct int8_convolution *task, const uint8_t *input, const uint8_t *residual, void *output,
                        uint8_t *patches, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t first_filter, ptrdiff_t last_filter) {
    const struct float_window *w = &task->window;
    const ptrdiff_t channels = task->channels, taps = w->kernel_height * w->kernel_width;
    const ptrdiff_t steps = int8_padded_steps(taps * channels);
    const int dense = w->input_pitch == channels && w->dilation_x == 1;
    ptrdiff_t offsets[most_segments];
    const ptrdiff_t whole = 0;
    ptrdiff_t segments = dense ? w->kernel_height : taps, length = dense ? w->kernel_width * channels : channels;
    const int in_place = taps == 1 || (length % 8 == 0 && segments <= most_segments);
    if (taps == 1) {
        segments = 1, length = steps, offsets[0] = 0;
    } else if (in_place) {
        for (ptrdiff_t s = 0; s < segments; s++) {
            const ptrdiff_t ky = dense ? s : s / w->kernel_width, kx = dense ? 0 : s % w->kernel_width;
            offsets[s] = (ky * w->dilation_y * w->input_width + kx * w->dilation_x) * w->input_pitch;
        }
    }
    const int direct = taps == 1 && w->pad_top == 0 && w->pad_left == 0 && w->stride_y == 1 && w->stride_x == 1 &&
                       w->output_width == w->input_width;
    const struct inner columns = inner_columns(w);
    // Bytes that a pixel adds to what a block reads.
    ptrdiff_t block = block_bytes / (in_place ? channels * w->stride_x : steps) / TILE_PIXELS * TILE_PIXELS;
    block = block < 4 * TILE_PIXELS ? 4 * TILE_PIXELS : block > most_places ? most_places : block;
    const ptrdiff_t most_patches = int8_patch_count(TILE_PIXELS, steps);
    const enum finish finish = task->weight_zero ? finish_any : finish_of(&task->epilogue, residual);
    void (*const (*runs)[form_count])(const struct pass *, const struct place *, ptrdiff_t) = tile_runs[task->takes_words != 0];
    struct place inside[most_places], copied[most_places];
    int32_t inside_starts[most_places], copied_starts[most_places];
    const int zero = task->weight_zero;
    int32_t centre = 0;
    for (ptrdiff_t c = 0; zero && c < channels; c++) centre += (int32_t)taps * task->outside[c];
    ptrdiff_t y = begin / w->output_width, x = begin % w->output_width, copies = 0;
    for (ptrdiff_t pixel = begin; pixel < end;) {
        ptrdiff_t insides = 0;
        if (direct) {
            insides = end - pixel < block ? end - pixel : block;
            places_set(inside, input + pixel * w->input_pitch, w->input_pitch, pixel, insides);
            pixel += insides;
        }
        while (pixel < end && insides < block && copies < most_patches) {
            const ptrdiff_t iy = y * w->stride_y - w->pad_top;
            const int row_inside = iy >= 0 && iy + (w->kernel_height - 1) * w->dilation_y < w->input_height;
            const ptrdiff_t last = w->output_width - x < end - pixel ? w->output_width : x + end - pixel;
            if (in_place && row_inside && x >= columns.begin && x < columns.end) {
                const uint8_t *window = input + (iy * w->input_width + x * w->stride_x - w->pad_left) * w->input_pitch;
                const ptrdiff_t stop = last < columns.end ? last : columns.end;
                for (; x < stop && insides < block; x++, pixel++, window += w->stride_x * w->input_pitch)
                    inside[insides++] = (struct place){window, pixel};
            } else {
                ptrdiff_t count = 1;
                if (dense && row_inside && x >= columns.begin && x < columns.end) {
                    count = (last < columns.end ? last : columns.end) - x;
                    if (count > most_patches - copies) count = most_patches - copies;
                    gather_row(w, input + (iy * w->input_width + x * w->stride_x - w->pad_left) * channels, channels,
                               patches + copies * steps, steps, count);
                } else {
                    gather(task, input, y, x, patches + copies * steps);
                }
                places_set(copied + copies, patches + copies * steps, steps, pixel, count);
                x += count, pixel += count, copies += count;
            }
            if (x == w->output_width) x = 0, y++;
        }
        // Copies wait until they fill tiles.
        const int copies_are_due = copies == most_patches || (copies > 0 && pixel == end);
        if (zero) {
            set_starts(inside_starts, inside, insides, zero, centre, offsets, segments, taps == 1 ? channels : length);
            if (copies_are_due) set_starts(copied_starts, copied, copies, zero, centre, &whole, 1, taps * channels);
        }
        struct pass pass = {
            .epilogue = task->epilogue,
            .residual = residual,
            .output = output,
            .residual_pitch = task->residual_pitch,
            .output_pitch = w->output_pitch * element_bytes(&task->epilogue),
        };
        for (ptrdiff_t f = first_filter; f < last_filter; f += 2 * WIDTH) {
            const ptrdiff_t left = task->filters - f;
            const enum form form = left > WIDTH + WIDTH / 2 ? two_vectors : left > WIDTH ? vector_and_half : one_vector;
            pass.packed = (const int8_t *)task->weights + f * (steps + 4);
            pass.first = f;
            pass.count = left < 2 * WIDTH ? left : 2 * WIDTH;
            pass.offsets = offsets, pass.segments = segments, pass.length = length;
            pass.starts = zero ? inside_starts : NULL, pass.places = inside;
            if (insides) runs[finish][form](&pass, inside, insides);
            pass.offsets = &whole, pass.segments = 1, pass.length = steps;
            pass.starts = zero ? copied_starts : NULL, pass.places = copied;
            if (copies_are_due) runs[finish][form](&pass, copied, copies);
        }
        if (copies_are_due) copies = 0;
    }
}
