// SPDX-License-Identifier: Apache-2.0
// Fully connected and recurrent int8 kernels, written once over vectors of WIDTH numbers. Included by one file per
// instruction set, which defines WIDTH, ROW_BLOCK, BLOCK_VECTORS, KERNELS_NAME, KERNELS_SYMBOL and
//   products(sums, rows, vectors, x, packed, stride, groups, lane_products)
// which adds to sums[row][vector] the products of `groups` (an even number) groups of four steps; a vector's weights of
// group g begin at packed + g * stride + vector * WIDTH * 4.
#include "ckernels_dense.h"
#include "exact_vector.h"

/// Vectors in the widest tile.
#define TILE_VECTORS (int8_tile_rows / WIDTH)
/// Vectors in 16 rows.
#define UNIT_VECTORS (16 / WIDTH)

/// A tile of a packed matrix.
struct tile {
    const int32_t *correction;
    const int8_t *weights;
    /// Bytes from one group to the next, four per row.
    ptrdiff_t stride;
    ptrdiff_t groups;
};

INLINE struct tile tile_at(const struct int8_matrix *m, ptrdiff_t row) {
    const ptrdiff_t padded = (m->steps + 7) / 8 * 8, left = (m->rows - row + 15) / 16 * 16;
    const ptrdiff_t count = left < m->tile ? left : m->tile;
    // All tiles before this one are whole.
    const int8_t *begin = (const int8_t *)m->packed + row * (padded + 4);
    return (struct tile){(const int32_t *)(const void *)begin, begin + count * 4, count * 4, padded / 4};
}

/// Sums of `vectors` vectors from vector `first` of the tile on, for `rows` rows of x.
INLINE void sum_tile(integers (*sums)[TILE_VECTORS], const int rows, const int vectors, const uint8_t *const *x,
                     const struct tile *t, int first, int lane_products) {
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = *(const loose_integers *)(t->correction + (first + v) * WIDTH);
    products(sums, rows, vectors, x, t->weights + first * WIDTH * 4, t->stride, t->groups, lane_products);
}

// MARK: - Fully connected

INLINE void finish_dense(const struct int8_epilogue *e, enum float_activation activation, integers sum, void *row,
                         ptrdiff_t n, ptrdiff_t end) {
    const ptrdiff_t count = end - n < WIDTH ? end - n : WIDTH;
    if (count <= 0) return;
    const int whole = count == WIDTH;
    const vector multiplier = whole ? load(e->multiplier + n) : load_part(e->multiplier + n, count);
    const vector bias = whole ? load(e->bias + n) : load_part(e->bias + n, count);
    vector f = fused(real(sum), multiplier, bias);
    f = activated(f, activation, e->activation.low, e->activation.high);
    if (!e->inverse_scale) {
        memcpy((float *)row + n, &f, (size_t)count * sizeof(float));
        return;
    }
    const vector scale = whole ? load(e->inverse_scale + n) : load_part(e->inverse_scale + n, count);
    const vector zero = whole ? load(e->zero + n) : load_part(e->zero + n, count);
    store_bytes((uint8_t *)row + n, fused(f, scale, zero), count);
}

INLINE void dense_rows(const struct int8_dense *d, enum float_activation activation, const int rows, const int vectors,
                       const uint8_t *x, uint8_t *y, const struct tile *t, int first, ptrdiff_t n, ptrdiff_t end) {
    const ptrdiff_t element = d->epilogue.inverse_scale ? 1 : (ptrdiff_t)sizeof(float);
    const uint8_t *in[ROW_BLOCK];
    for (int r = 0; r < rows; r++) in[r] = x + r * d->x_pitch;
    integers sums[ROW_BLOCK][TILE_VECTORS];
    sum_tile(sums, rows, vectors, in, t, first, d->weights.lane_products);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            finish_dense(&d->epilogue, activation, sums[r][v], y + r * d->y_pitch * element, n + (first + v) * WIDTH, end);
}

INLINE void dense_with(const struct int8_dense *d, enum float_activation activation, const uint8_t *x, uint8_t *y,
                       ptrdiff_t rows, ptrdiff_t begin, ptrdiff_t end) {
    const ptrdiff_t element = d->epilogue.inverse_scale ? 1 : (ptrdiff_t)sizeof(float);
    for (ptrdiff_t n = begin; n < end; n += d->weights.tile) {
        const struct tile t = tile_at(&d->weights, n);
        const int vectors = (int)(t.stride / 4 / WIDTH);
        ptrdiff_t row = 0;
        for (; row + ROW_BLOCK <= rows; row += ROW_BLOCK) {
            const uint8_t *in = x + row * d->x_pitch;
            uint8_t *out = y + row * d->y_pitch * element;
            int first = 0;
            for (; first + BLOCK_VECTORS <= vectors; first += BLOCK_VECTORS)
                dense_rows(d, activation, ROW_BLOCK, BLOCK_VECTORS, in, out, &t, first, n, end);
            for (; first < vectors; first += UNIT_VECTORS)
                dense_rows(d, activation, ROW_BLOCK, UNIT_VECTORS, in, out, &t, first, n, end);
        }
        for (; row < rows; row++) {
            const uint8_t *in = x + row * d->x_pitch;
            uint8_t *out = y + row * d->y_pitch * element;
            if (vectors == TILE_VECTORS) {
                dense_rows(d, activation, 1, TILE_VECTORS, in, out, &t, 0, n, end);
            } else {
                for (int first = 0; first < vectors; first += UNIT_VECTORS)
                    dense_rows(d, activation, 1, UNIT_VECTORS, in, out, &t, first, n, end);
            }
        }
    }
}

static void dense(const struct int8_dense *d, const uint8_t *x, void *y, ptrdiff_t rows, ptrdiff_t begin,
                  ptrdiff_t end) {
    // The common case as a constant, so that the switch is outside of the loops.
    if (d->epilogue.activation.activation == float_clamp)
        dense_with(d, float_clamp, x, y, rows, begin, end);
    else
        dense_with(d, d->epilogue.activation.activation, x, y, rows, begin, end);
}

// MARK: - Recurrent

/// Where one sequence of a recurrent layer is.
struct position {
    const uint8_t *x, *last;
    uint8_t *next;
    float *hidden, *cell;
    uint8_t *y;
    float *real_y;
};

/// h of `count` units from unit `u` on.
INLINE void store_hidden(const struct int8_recurrent *r, const struct position *p, vector h, ptrdiff_t u) {
    const vector stored = fused(h, splat(r->inverse_scale), splat(r->zero));
    const ptrdiff_t count = r->units - u < WIDTH ? r->units - u : WIDTH;
    store(p->hidden + u, h);
    store_bytes(p->next + u, stored, WIDTH);
    if (count <= 0) return;
    if (p->y) store_bytes(p->y + u, stored, count);
    if (p->real_y) memcpy(p->real_y + u, &h, (size_t)count * sizeof(float));
}

/// 16 units of an LSTM, `u` a multiple of 16.
INLINE void lstm_units(const struct int8_recurrent *r, const struct position *p, ptrdiff_t u) {
    const vector one = splat(1);
    const struct tile w = tile_at(&r->input, u * 4), v = tile_at(&r->recurrence, u * 4);
    integers sums[1][TILE_VECTORS];
    vector gates[TILE_VECTORS];
    sum_tile(sums, 1, TILE_VECTORS, &p->x, &w, 0, r->input.lane_products);
    for (int i = 0; i < TILE_VECTORS; i++)
        gates[i] = fused(real(sums[0][i]), load(r->input_multiplier + u * 4 + i * WIDTH), load(r->bias + u * 4 + i * WIDTH));
    sum_tile(sums, 1, TILE_VECTORS, &p->last, &v, 0, r->recurrence.lane_products);
    for (int i = 0; i < TILE_VECTORS; i++)
        gates[i] = power_of_two(fused(real(sums[0][i]), load(r->recurrence_multiplier + u * 4 + i * WIDTH), gates[i]));
    for (int i = 0; i < UNIT_VECTORS; i++) {
        const vector input = gates[i], output = gates[UNIT_VECTORS + i], forget = gates[2 * UNIT_VECTORS + i],
                     candidate = gates[3 * UNIT_VECTORS + i];
        float *cell = p->cell + u + i * WIDTH;
        const vector a = (one + input) * (one + candidate), d = one + forget;
        const vector c = fused(load(cell), a, (one - candidate) * d) / (a * d);
        store(cell, c);
        const vector e = power_of_two(c * splat(-2.88539008f));
        store_hidden(r, p, (one - e) / ((one + output) * (one + e)), u + i * WIDTH);
    }
}

/// 16 units of a GRU.
INLINE void gru_units(const struct int8_recurrent *r, const struct position *p, ptrdiff_t u) {
    enum { vectors = 3 * UNIT_VECTORS };
    const vector one = splat(1);
    const struct tile w = tile_at(&r->input, u * 3), v = tile_at(&r->recurrence, u * 3);
    integers sums[1][TILE_VECTORS];
    vector in[vectors], back[vectors];
    sum_tile(sums, 1, vectors, &p->x, &w, 0, r->input.lane_products);
    for (int i = 0; i < vectors; i++)
        in[i] = fused(real(sums[0][i]), load(r->input_multiplier + u * 3 + i * WIDTH), load(r->bias + u * 3 + i * WIDTH));
    sum_tile(sums, 1, vectors, &p->last, &v, 0, r->recurrence.lane_products);
    for (int i = 0; i < vectors; i++) {
        const vector scale = load(r->recurrence_multiplier + u * 3 + i * WIDTH);
        const vector start = i < 2 * UNIT_VECTORS ? in[i] : load(r->recurrent_bias + u + (i - 2 * UNIT_VECTORS) * WIDTH);
        back[i] = fused(real(sums[0][i]), scale, start);
    }
    for (int i = 0; i < UNIT_VECTORS; i++) {
        const vector update = power_of_two(back[i]), reset = power_of_two(back[UNIT_VECTORS + i]);
        const vector e =
            power_of_two(fused(one / (one + reset), back[2 * UNIT_VECTORS + i], in[2 * UNIT_VECTORS + i]));
        const vector b = one + e, last = load(p->hidden + u + i * WIDTH);
        store_hidden(r, p, fused(last, b, (one - e) * update) / ((one + update) * b), u + i * WIDTH);
    }
}

INLINE void recurrent(const struct int8_recurrent *r, const uint8_t *x, const int is_lstm) {
    const ptrdiff_t padded = (r->units + 15) / 16 * 16;
    for (ptrdiff_t step = 0; step < r->length; step++) {
        const ptrdiff_t t = r->reversed ? r->length - 1 - step : step;
        for (ptrdiff_t n = 0; n < r->batch; n++) {
            uint8_t *states = r->state + n * 2 * padded;
            const ptrdiff_t target = t * r->y_step + n * r->y_sequence;
            const struct position p = {
                .x = x + t * r->x_step + n * r->x_sequence,
                .last = states + step % 2 * padded,
                .next = states + (step + 1) % 2 * padded,
                .hidden = r->hidden + n * padded,
                .cell = r->cell + n * padded,
                .y = r->y ? r->y + target : NULL,
                .real_y = r->real_y ? r->real_y + target : NULL,
            };
            for (ptrdiff_t u = 0; u < r->units; u += 16) {
                if (is_lstm)
                    lstm_units(r, &p, u);
                else
                    gru_units(r, &p, u);
            }
        }
    }
}

static void lstm(const struct int8_recurrent *r, const uint8_t *x) { recurrent(r, x, 1); }
static void gru(const struct int8_recurrent *r, const uint8_t *x) { recurrent(r, x, 0); }

INLINE vector quantized(vector x, float scale, float zero) {
    vector steps = x / splat(scale);
    // Zero for what is not a number.
    steps = (vector)((integers)steps & (integers)(steps == steps));
    steps = least(greatest(steps, splat(-4194304)), splat(4194304));
    return (steps + splat(12582912.0f)) - splat(12582912.0f) + splat(zero);
}

static void quantize(float scale, float zero, const float *x, uint8_t *y, ptrdiff_t count) {
    ptrdiff_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store_bytes(y + i, quantized(load(x + i), scale, zero), WIDTH);
    if (i < count) store_bytes(y + i, quantized(load_part(x + i, count - i), scale, zero), count - i);
}

const struct int8_dense_kernels KERNELS_SYMBOL = {KERNELS_NAME, dense, lstm, gru, quantize};
