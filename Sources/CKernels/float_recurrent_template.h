// SPDX-License-Identifier: Apache-2.0
// Recurrent float32 layers, written once over vectors of WIDTH numbers. Included by one file per instruction set, which
// defines WIDTH, KERNELS_NAME and KERNELS_SYMBOL.
#include "ckernels_dense.h"
#include "exact_vector.h"

/// Vectors in 16 units.
#define UNIT_VECTORS (16 / WIDTH)

/// exp(-x) for x limited to -25...25: beyond it sigmoid and tanh of float32 no longer change by more than 1e-10, and
/// products of three such numbers stay finite.
INLINE vector decay(vector x) { return exponential(-least(greatest(x, splat(-25)), splat(25))); }

/// sums[i] += sum over k of x[k] * packed[k][i], for `vectors` vectors.
INLINE void add_products(vector *sums, const int vectors, const float *x, const float *packed, ptrdiff_t steps) {
    vector s[4 * UNIT_VECTORS];
    for (int v = 0; v < vectors; v++) s[v] = sums[v];
    for (ptrdiff_t k = 0; k < steps; k++, packed += vectors * WIDTH) {
        const vector value = splat(x[k]);
        for (int v = 0; v < vectors; v++) s[v] = fused(value, load(packed + v * WIDTH), s[v]);
    }
    for (int v = 0; v < vectors; v++) sums[v] = s[v];
}

INLINE void set_bias(vector *sums, const int vectors, const float *bias) {
    for (int v = 0; v < vectors; v++) sums[v] = load(bias + v * WIDTH);
}

struct position {
    const float *x, *last;
    float *next, *cell, *scratch, *y;
};

INLINE void store_hidden(const struct float_recurrent *r, const struct position *p, vector h, ptrdiff_t u) {
    const ptrdiff_t count = r->units - u < WIDTH ? r->units - u : WIDTH;
    store(p->next + u, h);
    if (p->y && count > 0) memcpy(p->y + u, &h, (size_t)count * sizeof(float));
}

INLINE void lstm_units(const struct float_recurrent *r, const struct position *p, ptrdiff_t u) {
    const vector one = splat(1);
    vector gates[4 * UNIT_VECTORS];
    set_bias(gates, 4 * UNIT_VECTORS, r->bias + u * 4);
    add_products(gates, 4 * UNIT_VECTORS, p->x, r->input + u * 4 * r->inputs, r->inputs);
    add_products(gates, 4 * UNIT_VECTORS, p->last, r->recurrence + u * 4 * r->units, r->units);
    for (int i = 0; i < UNIT_VECTORS; i++) {
        const vector input = decay(gates[i]), output = decay(gates[UNIT_VECTORS + i]),
                     forget = decay(gates[2 * UNIT_VECTORS + i]),
                     candidate = decay(gates[3 * UNIT_VECTORS + i] * splat(2));
        float *cell = p->cell + u + i * WIDTH;
        const vector a = (one + input) * (one + candidate), d = one + forget;
        const vector c = fused(load(cell), a, (one - candidate) * d) / (a * d);
        store(cell, c);
        const vector e = decay(c + c);
        store_hidden(r, p, (one - e) / ((one + output) * (one + e)), u + i * WIDTH);
    }
}

/// (1 - z) * tanh(n) + z * h with z = sigmoid(update).
INLINE vector mixed(vector update, vector n, vector last) {
    const vector one = splat(1), z = decay(update), e = decay(n + n), b = one + e;
    return fused(last, b, (one - e) * z) / ((one + z) * b);
}

INLINE void gru_units(const struct float_recurrent *r, const struct position *p, ptrdiff_t u) {
    vector in[3 * UNIT_VECTORS], back[3 * UNIT_VECTORS];
    set_bias(in, 3 * UNIT_VECTORS, r->bias + u * 3);
    add_products(in, 3 * UNIT_VECTORS, p->x, r->input + u * 3 * r->inputs, r->inputs);
    for (int i = 0; i < UNIT_VECTORS; i++) {
        back[i] = in[i];
        back[UNIT_VECTORS + i] = in[UNIT_VECTORS + i];
        back[2 * UNIT_VECTORS + i] = load(r->recurrent_bias + u + i * WIDTH);
    }
    add_products(back, 3 * UNIT_VECTORS, p->last, r->recurrence + u * 3 * r->units, r->units);
    for (int i = 0; i < UNIT_VECTORS; i++) {
        const vector reset = splat(1) / (splat(1) + decay(back[UNIT_VECTORS + i]));
        const vector n = fused(reset, back[2 * UNIT_VECTORS + i], in[2 * UNIT_VECTORS + i]);
        store_hidden(r, p, mixed(back[i], n, load(p->last + u + i * WIDTH)), u + i * WIDTH);
    }
}

/// The gates of all units first, as the candidate needs every r * h: scratch = [z before its function][r * h].
INLINE void gru_gates_first(const struct float_recurrent *r, const struct position *p, ptrdiff_t padded) {
    vector in[3 * UNIT_VECTORS];
    for (ptrdiff_t u = 0; u < r->units; u += 16) {
        set_bias(in, 3 * UNIT_VECTORS, r->bias + u * 3);
        add_products(in, 3 * UNIT_VECTORS, p->x, r->input + u * 3 * r->inputs, r->inputs);
        add_products(in, 2 * UNIT_VECTORS, p->last, r->recurrence + u * 2 * r->units, r->units);
        for (int i = 0; i < UNIT_VECTORS; i++) {
            const vector reset = splat(1) / (splat(1) + decay(in[UNIT_VECTORS + i]));
            store(p->scratch + u + i * WIDTH, in[i]);
            store(p->scratch + padded + u + i * WIDTH, reset * load(p->last + u + i * WIDTH));
            // The input's part of the candidate waits where h will be.
            store(p->next + u + i * WIDTH, in[2 * UNIT_VECTORS + i]);
        }
    }
    for (ptrdiff_t u = 0; u < r->units; u += 16) {
        vector back[UNIT_VECTORS];
        set_bias(back, UNIT_VECTORS, r->recurrent_bias + u);
        add_products(back, UNIT_VECTORS, p->scratch + padded, r->candidate_recurrence + u * r->units, r->units);
        for (int i = 0; i < UNIT_VECTORS; i++) {
            const vector n = load(p->next + u + i * WIDTH) + back[i];
            store_hidden(r, p, mixed(load(p->scratch + u + i * WIDTH), n, load(p->last + u + i * WIDTH)), u + i * WIDTH);
        }
    }
}

INLINE void recurrent(const struct float_recurrent *r, const float *x, const int is_lstm) {
    const ptrdiff_t padded = (r->units + 15) / 16 * 16;
    for (ptrdiff_t step = 0; step < r->length; step++) {
        const ptrdiff_t t = r->reversed ? r->length - 1 - step : step;
        for (ptrdiff_t n = 0; n < r->batch; n++) {
            float *states = r->state + n * 2 * padded;
            const struct position p = {
                .x = x + t * r->x_step + n * r->x_sequence,
                .last = states + step % 2 * padded,
                .next = states + (step + 1) % 2 * padded,
                .cell = is_lstm ? r->cell + n * padded : NULL,
                .scratch = r->scratch,
                .y = r->y ? r->y + t * r->y_step + n * r->y_sequence : NULL,
            };
            if (!is_lstm && r->resets_first) {
                gru_gates_first(r, &p, padded);
                continue;
            }
            for (ptrdiff_t u = 0; u < r->units; u += 16) {
                if (is_lstm)
                    lstm_units(r, &p, u);
                else
                    gru_units(r, &p, u);
            }
        }
    }
}

static void lstm(const struct float_recurrent *r, const float *x) { recurrent(r, x, 1); }
static void gru(const struct float_recurrent *r, const float *x) { recurrent(r, x, 0); }

const struct float_recurrent_kernels KERNELS_SYMBOL = {KERNELS_NAME, lstm, gru};
