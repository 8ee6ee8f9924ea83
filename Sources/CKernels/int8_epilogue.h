// SPDX-License-Identifier: Apache-2.0
// What follows the sums of a layer: from float vectors of sums to stored bytes or floats. See `struct int8_epilogue`.
#pragma once
#include "int8_vectors.h"

/// Forms of epilogues that are compiled on their own, so that loops over pixels have no choices inside.
enum finish {
    finish_linear,
    finish_linear_residual,
    /// Linear, rounded before the zero point is added.
    finish_rounded,
    /// Linear, and what lies next to a tie is noted.
    finish_watched,
    finish_silu,
    /// SiLU, or bounds, then the residual.
    finish_silu_residual,
    finish_bounds_residual,
    /// Floats with bounds, without a residual.
    finish_float,
    /// Words without a residual, linear or through SiLU.
    finish_words,
    finish_words_silu,
    finish_any,
    finish_count
};

INLINE enum finish finish_of(const struct int8_epilogue *e, const uint8_t *residual) {
    const enum float_activation activation = e->activation.activation;
    if (residual && (e->high_words || e->residual_words)) return finish_any;
    if (e->high_words) return activation == float_silu ? finish_words_silu : finish_words;
    if (!e->high) return activation == float_clamp && !residual ? finish_float : finish_any;
    if (!e->is_bounded) return finish_any;
    if (!e->inverse_scale) {
        if (residual) return finish_linear_residual;
        if (e->zero) return finish_rounded;
        return e->tie ? finish_watched : finish_linear;
    }
    if (activation == float_silu && !residual) return finish_silu;
    if (activation == float_silu && e->residual_after_activation) return finish_silu_residual;
    if (activation == float_clamp && residual && e->residual_after_activation) return finish_bounds_residual;
    return finish_any;
}

/// Whether words are all that a form makes.
INLINE int is_of_words(const enum finish finish) { return finish == finish_words || finish == finish_words_silu; }

/// Of `finish_any` the epilogue decides.
INLINE int makes_words(const struct int8_epilogue *e, const enum finish finish) {
    return is_of_words(finish) || (finish == finish_any && e->high_words);
}

INLINE int makes_floats(const struct int8_epilogue *e, const enum finish finish) {
    return finish == finish_float || (finish == finish_any && !e->high && !e->high_words);
}

/// Whether bytes are all that a form makes.
INLINE int makes_bytes(const enum finish finish) {
    return finish != finish_any && finish != finish_float && !is_of_words(finish);
}

INLINE int has_silu(const enum finish finish) {
    return finish == finish_silu || finish == finish_silu_residual || finish == finish_words_silu;
}

/// Whether the residual comes after a function, or bounds.
INLINE int has_late_residual(const enum finish finish) {
    return finish == finish_silu_residual || finish == finish_bounds_residual;
}

/// Bytes of an element of the output.
INLINE ptrdiff_t element_bytes(const struct int8_epilogue *e) {
    return e->high ? 1 : e->high_words ? (ptrdiff_t)sizeof(int16_t) : (ptrdiff_t)sizeof(float);
}

/// Whether results next to a tie are noted.
INLINE int is_watched(const struct int8_epilogue *e, const enum finish finish) {
    return finish == finish_watched || (finish == finish_any && e->tie);
}

/// All bits of the numbers that lie further than `tie` from the nearest integer. Far beyond all bytes none does.
INLINE integers near_tie(vector f, vector tie) {
    f = least(greatest(f, splat(-1)), splat(256));
    const vector distance = f - real(nearest(f));
    return greatest(distance, -distance) > tie;
}

static __attribute__((noinline)) void note_tie(struct int8_ties *ties, const uint8_t *target) {
    if (ties->count < ties->capacity) ties->offsets[ties->count] = (uint32_t)(target - ties->origin);
    ties->count++;
}

/// Notes those of the first `count` bytes from `target` on that are near.
static __attribute__((noinline)) void note_ties(struct int8_ties *ties, const uint8_t *target, const integers *near,
                                                ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count && i < WIDTH; i++)
        if ((*near)[i]) note_tie(ties, target + i);
}

/// The bounds of bytes of two vectors of filters: a copy that no store of bytes can change, as far as the compiler knows.
struct bounds {
    uint8_t low[2 * WIDTH], high[2 * WIDTH];
};

INLINE struct bounds bounds_of(const struct int8_epilogue *e, const enum finish finish, ptrdiff_t c) {
    struct bounds b = {{0}, {0}};
    if (makes_words(e, finish) || makes_floats(e, finish)) return b;
    memcpy(b.low, e->low + c, sizeof b.low);
    memcpy(b.high, e->high + c, sizeof b.high);
    return b;
}

/// What stands beside the sums of a vector of filters, as far as a form of epilogue takes it.
struct factors {
    vector multiplier, bias, inverse_scale, zero, residual_scale, residual_zero;
};

/// Of filters c ... c + WIDTH.
INLINE struct factors factors_of(const struct int8_epilogue *e, const enum finish finish, ptrdiff_t c) {
    struct factors f = {.multiplier = load(e->multiplier + c)};
    const int is_rescaled = has_silu(finish) || has_late_residual(finish);
    if (finish != finish_rounded) f.bias = load(e->bias + c);
    if (finish == finish_rounded || is_rescaled) f.zero = load(e->zero + c);
    if (is_rescaled) f.inverse_scale = load(e->inverse_scale + c);
    if (finish == finish_linear_residual || has_late_residual(finish)) f.residual_scale = load(e->residual_scale + c);
    if (has_late_residual(finish)) f.residual_zero = load(e->residual_zero + c);
    return f;
}

/// Bounds of words, as `struct bounds` has those of bytes.
struct word_bounds {
    words low, high;
};

INLINE struct word_bounds word_bounds_of(const struct int8_epilogue *e, const enum finish finish, ptrdiff_t c) {
    struct word_bounds b = {{0}, {0}};
    if (!makes_words(e, finish)) return b;
    memcpy(&b.low, e->low_words + c, sizeof b.low);
    memcpy(&b.high, e->high_words + c, sizeof b.high);
    return b;
}

INLINE words within(words w, words low, words high) {
    return __builtin_elementwise_max(__builtin_elementwise_min(w, high), low);
}

/// What an epilogue takes beside the sums of one or two vectors of filters.
struct ending {
    struct factors factors[2];
    struct bounds bounds;
    struct word_bounds word_bounds;
};

INLINE void ending_loaded(struct ending *ending, const struct int8_epilogue *e, const enum finish finish, const int vectors,
                          ptrdiff_t c) {
    for (int v = 0; v < vectors; v++) {
        struct factors *factors = &ending->factors[v];
        *factors = factors_of(e, finish, c + v * WIDTH);
#ifdef HAS_MANY_REGISTERS
        KEEP_IN_REGISTER(factors->multiplier);
        KEEP_IN_REGISTER(factors->bias);
#endif
    }
    ending->bounds = bounds_of(e, finish, c);
    ending->word_bounds = word_bounds_of(e, finish, c);
}

/// rint(sum * multiplier) + zero. Beyond 2^22 it is no rounding any more, but far beyond all bytes.
INLINE vector rounded_product(vector sum, vector multiplier, vector zero) {
    return (sum * multiplier + splat(ROUNDING)) + (zero - splat(ROUNDING));
}

/// What the residual of filters c ... c + count stores.
INLINE vector load_residual(const struct int8_epilogue *e, const uint8_t *residual, ptrdiff_t c, ptrdiff_t count) {
    return e->residual_words ? load_words_part((const int16_t *)residual + c, count) : load_bytes_part(residual + c, count);
}

/// `finished` of `finish_any`, f after multiplier and bias.
INLINE vector finished_any(const struct int8_epilogue *e, vector f, const uint8_t *residual, ptrdiff_t c, ptrdiff_t count) {
    const int is_stored = e->high || e->high_words;
    if (is_stored && !e->inverse_scale) {
        if (residual)
            f = fused(load_residual(e, residual, c, count), load(e->residual_scale + c), f);
        else if (e->zero)
            f = rounded(f) + load(e->zero + c);
        return e->high ? least(f, splat(255)) : f;
    }
    vector r = {0};
    if (residual) r = load_residual(e, residual, c, count) - load(e->residual_zero + c);
    if (residual && !e->residual_after_activation) f = fused(r, load(e->residual_scale + c), f);
    if (is_stored && e->activation.activation == float_silu)
        f = f / one_and_exponential(f);
    else
        f = activated(f, e->activation.activation, e->activation.low, e->activation.high);
    if (residual && e->residual_after_activation) f = fused(r, load(e->residual_scale + c), f);
    if (!is_stored) return f;
    f = fused(f, load(e->inverse_scale + c), load(e->zero + c));
    return e->high ? least(f, splat(255)) : f;
}

/// The numbers to store, of filters c ... c + WIDTH, in units of the output if it is bytes.
INLINE vector finished(const struct int8_epilogue *e, const enum finish finish, vector sum, const struct factors *by,
                       const uint8_t *residual, ptrdiff_t c, ptrdiff_t count) {
    if (finish == finish_rounded) return rounded_product(sum, by->multiplier, by->zero);
    vector f = fused(sum, by->multiplier, by->bias);
    if (finish == finish_any) return finished_any(e, f, residual, c, count);
    if (finish == finish_linear_residual) f = fused(load_bytes_part(residual + c, count), by->residual_scale, f);
    if (finish == finish_float || finish == finish_bounds_residual)
        f = least(greatest(f, splat(e->activation.low)), splat(e->activation.high));
    if (has_silu(finish)) f = f / one_and_exponential(f);
    if (has_late_residual(finish))
        f = fused(load_bytes_part(residual + c, count) - by->residual_zero, by->residual_scale, f);
    if (has_silu(finish) || has_late_residual(finish)) f = fused(f, by->inverse_scale, by->zero);
    return f;
}

/// Floats of one pixel.
INLINE void store_floats(float *p, const vector *v, const int vectors, ptrdiff_t count) {
    if (vectors == 1) {
        store_part(p, v[0], count);
    } else {
        store_part(p, v[0], WIDTH);
        store_part(p + WIDTH, v[1], count - WIDTH);
    }
}

/// Stores a pixel as words from `p` on, `count` of them that exist, more than (vectors - 1) * WIDTH.
INLINE void store_words(const struct word_bounds *bounds, int16_t *p, const vector *v, const int vectors, ptrdiff_t count) {
#ifdef HAS_MASKS
    if (vectors == 1) return store_words_masked(p, nearest(v[0]), bounds->low, bounds->high, count);
#endif
    const integers first = nearest(v[0]), second = vectors > 1 ? nearest(v[1]) : first;
    const words w = within(joined_words(first, second), bounds->low, bounds->high);
    if (count == vectors * WIDTH)
        memcpy(p, &w, (size_t)vectors * WIDTH * 2);
    else
        copy_few(p, &w, count * 2);
}

/// Stores filters c ... c + vectors * WIDTH of two pixels, `count` of them that exist, more than (vectors - 1) * WIDTH.
INLINE void store_pair(const struct int8_epilogue *e, const enum finish finish, const struct bounds *bounds, void *first,
                       void *second, const vector *a, const vector *b, const int vectors, ptrdiff_t c, ptrdiff_t count) {
    if (makes_floats(e, finish)) {
        store_floats((float *)first + c, a, vectors, count);
        store_floats((float *)second + c, b, vectors, count);
        return;
    }
    uint8_t *p = (uint8_t *)first + c, *q = (uint8_t *)second + c;
    const integers zero = {0};
    const integers a0 = nearest(a[0]), a1 = vectors > 1 ? nearest(a[1]) : zero;
    const integers b0 = nearest(b[0]), b1 = vectors > 1 ? nearest(b[1]) : zero;
    if (count == vectors * WIDTH) {
        store_saturated(p, q, a0, a1, b0, b1, vectors, bounds->low, bounds->high);
        return;
    }
#ifdef HAS_MASKS
    store_saturated_part(p, q, a0, a1, b0, b1, bounds->low, bounds->high, count);
#else
    uint8_t whole[2][2 * WIDTH];
    store_saturated(whole[0], whole[1], a0, a1, b0, b1, vectors, bounds->low, bounds->high);
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
#endif
}
