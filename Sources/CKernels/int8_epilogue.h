// SPDX-License-Identifier: Apache-2.0
// What follows the sums of a layer: from float vectors of sums to stored bytes or floats. See `struct int8_epilogue`.
#pragma once
#include "int8_vectors.h"

/// Forms of epilogues that are compiled on their own, so that loops over pixels have no choices inside.
enum finish { finish_linear, finish_linear_residual, finish_silu, finish_any };

INLINE enum finish finish_of(const struct int8_epilogue *e, const uint8_t *residual) {
    if (e->high && !e->inverse_scale) return residual ? finish_linear_residual : finish_linear;
    if (e->high && !residual && e->activation.activation == float_silu) return finish_silu;
    return finish_any;
}

/// The numbers to store, of filters c ... c + WIDTH: in units of the output and not above `high` if it is bytes.
INLINE vector finished(const struct int8_epilogue *e, const enum finish finish, vector sum, const uint8_t *residual,
                       ptrdiff_t c, ptrdiff_t count) {
    vector f = fused(sum, load(e->multiplier + c), load(e->bias + c));
    if (finish == finish_linear_residual)
        f = fused(load_bytes_part(residual + c, count), load(e->residual_scale + c), f);
    if (finish == finish_silu) f = fused(f / one_and_exponential(f), load(e->inverse_scale + c), load(e->zero + c));
    if (finish == finish_any) {
        vector r = {0};
        if (residual) r = load_bytes_part(residual + c, count) - load(e->residual_zero + c);
        if (residual && !e->residual_after_activation) f = fused(r, load(e->residual_scale + c), f);
        if (e->high && e->activation.activation == float_silu)
            f = f / one_and_exponential(f);
        else
            f = activated(f, e->activation.activation, e->activation.low, e->activation.high);
        if (residual && e->residual_after_activation) f = fused(r, load(e->residual_scale + c), f);
        if (!e->high) return f;
        f = fused(f, load(e->inverse_scale + c), load(e->zero + c));
    }
    return least(f, load(e->high + c));
}

/// Stores filters c ... c + 2 * WIDTH of two pixels, `count` of them that exist.
INLINE void store_pair(const struct int8_epilogue *e, void *first, void *second, const vector *a, const vector *b,
                       const int vectors, ptrdiff_t c, ptrdiff_t count) {
    if (!e->high) {
        memcpy((float *)first + c, a, (size_t)count * sizeof(float));
        memcpy((float *)second + c, b, (size_t)count * sizeof(float));
        return;
    }
    uint8_t *p = (uint8_t *)first + c, *q = (uint8_t *)second + c;
    const integers zero = {0};
    if (count == 2 * WIDTH || (vectors == 1 && count == WIDTH)) {
        store_saturated(p, q, nearest(a[0]), vectors > 1 ? nearest(a[1]) : zero, nearest(b[0]),
                        vectors > 1 ? nearest(b[1]) : zero, vectors, e->low + c);
        return;
    }
    uint8_t whole[2][2 * WIDTH];
    store_saturated(whole[0], whole[1], nearest(a[0]), vectors > 1 ? nearest(a[1]) : zero, nearest(b[0]),
                    vectors > 1 ? nearest(b[1]) : zero, vectors, e->low + c);
    if (2 * count >= WIDTH && WIDTH >= 8 && count <= WIDTH) {
        // Half a vector, and once more the half that ends where the filters end.
        memcpy(p, whole[0], WIDTH / 2);
        memcpy(p + count - WIDTH / 2, whole[0] + count - WIDTH / 2, WIDTH / 2);
        memcpy(q, whole[1], WIDTH / 2);
        memcpy(q + count - WIDTH / 2, whole[1] + count - WIDTH / 2, WIDTH / 2);
    } else if (count > WIDTH) {
        memcpy(p, whole[0], WIDTH);
        memcpy(p + count - WIDTH, whole[0] + count - WIDTH, WIDTH);
        memcpy(q, whole[1], WIDTH);
        memcpy(q + count - WIDTH, whole[1] + count - WIDTH, WIDTH);
    } else {
        memcpy(p, whole[0], (size_t)count);
        memcpy(q, whole[1], (size_t)count);
    }
}
