// SPDX-License-Identifier: Apache-2.0
// The float32 kernels, written once over vectors of WIDTH floats. Included by one file per instruction set, which defines
// WIDTH, TILE_PIXELS, KERNELS_NAME, KERNELS_SYMBOL and, where the hardware has it, HAS_FMA.
#include <math.h>
#include <string.h>

#include "ckernels_float.h"
#include "inline.h"

typedef float vector __attribute__((vector_size(WIDTH * 4)));
typedef int32_t integers __attribute__((vector_size(WIDTH * 4)));
typedef float loose __attribute__((vector_size(WIDTH * 4), aligned(4)));

INLINE vector load(const float *p) { return *(const loose *)p; }
INLINE void store(float *p, vector v) { *(loose *)p = v; }
/// Taking 0 away changes no number, which the compiler knows; adding it would make 0 of -0, and take an addition.
INLINE vector splat(float x) { return x - (vector){0}; }
INLINE vector least(vector a, vector b) { return __builtin_elementwise_min(a, b); }
INLINE vector greatest(vector a, vector b) { return __builtin_elementwise_max(a, b); }

/// a * b + c, fused where the hardware can.
INLINE vector fused(vector a, vector b, vector c) {
#ifdef HAS_FMA
    return __builtin_elementwise_fma(a, b, c);
#else
    return a * b + c;
#endif
}

#ifndef HAS_PARTS
/// The first `count` numbers, 0 <= count <= WIDTH, the others zero; an instruction set may have its own.
INLINE vector load_part(const float *p, ptrdiff_t count) {
    vector v = {0};
    memcpy(&v, p, (size_t)count * sizeof(float));
    return v;
}

INLINE void store_part(float *p, vector v, ptrdiff_t count) { memcpy(p, &v, (size_t)count * sizeof(float)); }
#endif

#include "exponential.h"

INLINE vector activated(vector x, enum float_activation activation, float low, float high) {
    const vector zero = {0};
    switch (activation) {
        case float_clamp: return least(greatest(x, splat(low)), splat(high));
        case float_leaky_relu: return greatest(x, zero) + splat(low) * least(x, zero);
        case float_sigmoid: return logistic(x);
        case float_silu: return x * logistic(x);
        case float_hard_sigmoid: return greatest(zero, least(splat(1), splat(low) * x + high));
        case float_hard_swish: return x * greatest(zero, least(splat(1), x * splat(1.0f / 6) + 0.5f));
        case float_tanh: return splat(2) * logistic(x + x) - 1;
        case float_exp: return exponential(x);
        case float_abs: return greatest(x, -x);
        case float_negate: return -x;
        case float_sqrt: return __builtin_elementwise_sqrt(x);
        case float_reciprocal: return splat(1) / x;
        case float_erf: return error_function(x);
        case float_gelu: return splat(0.5f) * x * (splat(1) + error_function(x * splat(0.70710678f)));
    }
    return x;
}

/// One row of `count` numbers. The activation is a constant at each place of use, so that the switch is outside of the loop.
INLINE void unary_row(enum float_activation f, float low, float high, const float *x, float *y, ptrdiff_t count) {
    ptrdiff_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(y + i, activated(load(x + i), f, low, high));
    if (i < count) store_part(y + i, activated(load_part(x + i, count - i), f, low, high), count - i);
}

#define EACH_ACTIVATION(CASE)                                                                                        \
    CASE(float_clamp) CASE(float_leaky_relu) CASE(float_sigmoid) CASE(float_silu) CASE(float_hard_sigmoid)           \
    CASE(float_hard_swish) CASE(float_tanh) CASE(float_exp) CASE(float_abs) CASE(float_negate) CASE(float_sqrt)      \
    CASE(float_reciprocal) CASE(float_erf) CASE(float_gelu)

static void unary(const struct float_epilogue *e, const float *x, ptrdiff_t x_pitch, float *y, ptrdiff_t y_pitch,
                  ptrdiff_t rows, ptrdiff_t count) {
    if (x_pitch == count && y_pitch == count) {
        count *= rows;
        rows = 1;
    }
#define CASE(F)                                                                                                      \
    case F:                                                                                                          \
        for (ptrdiff_t i = 0; i < rows; i++) unary_row(F, e->low, e->high, x + i * x_pitch, y + i * y_pitch, count); \
        break;
    switch (e->activation) { EACH_ACTIVATION(CASE) }
#undef CASE
}

/// What the tiles leave to do on finished rows: activations other than a clamp, and a residual behind them.
INLINE void finish(const struct float_convolution *c, const float *residual, float *output, ptrdiff_t pixels) {
    if (c->epilogue.activation != float_clamp)
        unary(&c->epilogue, output, c->window.output_pitch, output, c->window.output_pitch, pixels, c->filters);
    if (residual && c->residual_after_activation)
        for (ptrdiff_t p = 0; p < pixels; p++)
            for (ptrdiff_t i = 0; i < c->filters; i++)
                output[p * c->window.output_pitch + i] += residual[p * c->residual_pitch + i];
}

// MARK: - Dense convolution

struct tile_job {
    /// Per segment, TILE_PIXELS pointers to `length` floats.
    const float *const *rows;
    ptrdiff_t segments, length;
    const float *weights;
    float *output;
    ptrdiff_t output_pitch;
    const float *residual;
    ptrdiff_t residual_pitch;
    /// Filters of the tile that exist.
    ptrdiff_t filters;
    float low, high;
};

/// PIXELS x (VECTORS * WIDTH) outputs.
INLINE void tile(const struct tile_job *job, const int PIXELS, const int VECTORS) {
    vector sums[TILE_PIXELS][2];
    const float *w = job->weights;
#pragma clang loop unroll(full)
    for (int p = 0; p < PIXELS; p++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < VECTORS; v++) sums[p][v] = load(w + v * WIDTH);
    }
    w += VECTORS * WIDTH;
    for (ptrdiff_t s = 0; s < job->segments; s++) {
        const float *x[TILE_PIXELS];
#pragma clang loop unroll(full)
        for (int p = 0; p < PIXELS; p++) x[p] = job->rows[s * TILE_PIXELS + p];
        for (ptrdiff_t k = 0; k < job->length; k++) {
            vector weights[2];
#pragma clang loop unroll(full)
            for (int v = 0; v < VECTORS; v++) weights[v] = load(w + v * WIDTH);
#pragma clang loop unroll(full)
            for (int p = 0; p < PIXELS; p++) {
                vector value = splat(x[p][k]);
#pragma clang loop unroll(full)
                for (int v = 0; v < VECTORS; v++) sums[p][v] = fused(value, weights[v], sums[p][v]);
            }
            w += VECTORS * WIDTH;
        }
    }
    const vector low = splat(job->low), high = splat(job->high);
#pragma clang loop unroll(full)
    for (int p = 0; p < PIXELS; p++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < VECTORS; v++) {
            ptrdiff_t count = job->filters - v * WIDTH;
            float *y = job->output + p * job->output_pitch + v * WIDTH;
            vector sum = sums[p][v];
            if (count >= WIDTH) {
                if (job->residual) sum += load(job->residual + p * job->residual_pitch + v * WIDTH);
                store(y, least(greatest(sum, low), high));
            } else {
                if (job->residual) sum += load_part(job->residual + p * job->residual_pitch + v * WIDTH, count);
                store_part(y, least(greatest(sum, low), high), count);
            }
        }
    }
}

#define TILES(P)                                                              \
    static void tile_##P##_1(const struct tile_job *job) { tile(job, P, 1); } \
    static void tile_##P##_2(const struct tile_job *job) { tile(job, P, 2); }
TILES(1)
TILES(2)
TILES(3)
TILES(4)
#if TILE_PIXELS > 4
TILES(5)
TILES(6)
#endif
#if TILE_PIXELS > 6
TILES(7)
TILES(8)
#endif
#undef TILES

typedef void tile_function(const struct tile_job *);
static tile_function *const tiles[TILE_PIXELS][2] = {
    {tile_1_1, tile_1_2}, {tile_2_1, tile_2_2}, {tile_3_1, tile_3_2}, {tile_4_1, tile_4_2},
#if TILE_PIXELS > 4
    {tile_5_1, tile_5_2}, {tile_6_1, tile_6_2},
#endif
#if TILE_PIXELS > 6
    {tile_7_1, tile_7_2}, {tile_8_1, tile_8_2},
#endif
};

/// Most taps (or rows of taps) of a window; larger windows are the caller's to refuse.
#define MAXIMUM_SEGMENTS 256

static void convolution(const struct float_convolution *c, const float *input, const float *residual, float *output,
                        float *patches, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window w = c->window;
    const float *rows[MAXIMUM_SEGMENTS * TILE_PIXELS];
    // A row of taps lies together in memory when nothing stands between the pixels.
    const int merged = w.dilation_x == 1 && w.input_pitch == c->channels;
    const ptrdiff_t columns = merged ? 1 : w.kernel_width;
    const ptrdiff_t length = merged ? w.kernel_width * c->channels : c->channels;
    const ptrdiff_t segments = w.kernel_height * columns;
    struct tile_job job = {.rows = rows,
                           .segments = segments,
                           .length = length,
                           .output_pitch = w.output_pitch,
                           .residual_pitch = c->residual_pitch,
                           .low = -INFINITY,
                           .high = INFINITY};
    if (c->epilogue.activation == float_clamp) {
        job.low = c->epilogue.low;
        job.high = c->epilogue.high;
    }
    const float *early = c->residual_after_activation ? NULL : residual;
    for (ptrdiff_t first = begin; first < end; first += TILE_PIXELS) {
        const int pixels = end - first < TILE_PIXELS ? (int)(end - first) : TILE_PIXELS;
        for (int p = 0; p < pixels; p++) {
            const ptrdiff_t y0 = (first + p) / w.output_width * w.stride_y - w.pad_top;
            const ptrdiff_t x0 = (first + p) % w.output_width * w.stride_x - w.pad_left;
            for (ptrdiff_t ky = 0; ky < w.kernel_height; ky++) {
                const ptrdiff_t y = y0 + ky * w.dilation_y;
                const int outside = y < 0 || y >= w.input_height;
                const float *line = input + y * w.input_width * w.input_pitch;
                if (!merged) {
                    for (ptrdiff_t kx = 0; kx < w.kernel_width; kx++) {
                        const ptrdiff_t x = x0 + kx * w.dilation_x;
                        rows[(ky * columns + kx) * TILE_PIXELS + p] =
                            outside || x < 0 || x >= w.input_width ? c->zeros : line + x * w.input_pitch;
                    }
                } else if (outside) {
                    rows[ky * TILE_PIXELS + p] = c->zeros;
                } else if (x0 >= 0 && x0 + w.kernel_width <= w.input_width) {
                    rows[ky * TILE_PIXELS + p] = line + x0 * w.input_pitch;
                } else {
                    float *patch = patches + (p * w.kernel_height + ky) * length;
                    for (ptrdiff_t kx = 0; kx < w.kernel_width; kx++) {
                        const ptrdiff_t x = x0 + kx;
                        const float *from = x < 0 || x >= w.input_width ? c->zeros : line + x * w.input_pitch;
                        memcpy(patch + kx * c->channels, from, (size_t)c->channels * sizeof(float));
                    }
                    rows[ky * TILE_PIXELS + p] = patch;
                }
            }
        }
        job.weights = c->weights;
        float *const place = output + first * w.output_pitch;
        for (ptrdiff_t f = 0; f < c->filters; f += 2 * WIDTH) {
            const int vectors = c->filters - f > WIDTH ? 2 : 1;
            job.filters = c->filters - f;
            job.output = place + f;
            job.residual = early ? early + first * c->residual_pitch + f : NULL;
            tiles[pixels - 1][vectors - 1](&job);
            job.weights += (segments * length + 1) * vectors * WIDTH;
        }
        finish(c, residual ? residual + first * c->residual_pitch : NULL, place, pixels);
    }
}

// MARK: - Depthwise convolution

/// Columns whose window lies inside the image: [first, last).
INLINE void inner_columns(const struct float_window *w, ptrdiff_t *first, ptrdiff_t *last) {
    *first = (w->pad_left + w->stride_x - 1) / w->stride_x;
    const ptrdiff_t room = w->input_width - 1 - (w->kernel_width - 1) * w->dilation_x + w->pad_left;
    *last = room < 0 ? 0 : room / w->stride_x + 1;
    if (*first > w->output_width) *first = w->output_width;
    if (*last > w->output_width) *last = w->output_width;
    if (*last < *first) *last = *first;
}

/// One output pixel of any window, at any place.
static void depthwise_pixel(const struct float_convolution *c, const float *input, float *y, ptrdiff_t oy, ptrdiff_t ox,
                            ptrdiff_t from, ptrdiff_t count) {
    const struct float_window *w = &c->window;
    const ptrdiff_t padded = (c->channels + WIDTH - 1) / WIDTH * WIDTH;
    vector sum = load(c->weights + from);
    for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
        const ptrdiff_t iy = oy * w->stride_y + ky * w->dilation_y - w->pad_top;
        if (iy < 0 || iy >= w->input_height) continue;
        for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++) {
            const ptrdiff_t ix = ox * w->stride_x + kx * w->dilation_x - w->pad_left;
            if (ix < 0 || ix >= w->input_width) continue;
            const float *x = input + (iy * w->input_width + ix) * w->input_pitch + from;
            const vector value = count >= WIDTH ? load(x) : load_part(x, count);
            sum = fused(value, load(c->weights + (1 + ky * w->kernel_width + kx) * padded + from), sum);
        }
    }
    if (count >= WIDTH)
        store(y + from, sum);
    else
        store_part(y + from, sum, count);
}

/// Inner columns of one row and WIDTH channels; the taps' weights stay in registers where the window's size is a constant.
INLINE void depthwise_columns(const struct float_convolution *c, const float *x, float *y, ptrdiff_t from,
                              ptrdiff_t columns, const int HEIGHT, const int BREADTH) {
    const struct float_window *w = &c->window;
    const ptrdiff_t padded = (c->channels + WIDTH - 1) / WIDTH * WIDTH;
    const ptrdiff_t row = w->dilation_y * w->input_width * w->input_pitch, column = w->dilation_x * w->input_pitch;
    const float *weights = c->weights + padded + from;
    vector taps[HEIGHT * BREADTH];
#pragma clang loop unroll(full)
    for (int t = 0; t < HEIGHT * BREADTH; t++) taps[t] = load(weights + t * padded);
    const vector bias = load(c->weights + from);
    for (ptrdiff_t i = 0; i < columns; i++) {
        vector sum = bias;
#pragma clang loop unroll(full)
        for (int ky = 0; ky < HEIGHT; ky++) {
#pragma clang loop unroll(full)
            for (int kx = 0; kx < BREADTH; kx++)
                sum = fused(load(x + ky * row + kx * column), taps[ky * BREADTH + kx], sum);
        }
        store(y, sum);
        x += w->stride_x * w->input_pitch;
        y += w->output_pitch;
    }
}

static void depthwise(const struct float_convolution *c, const float *input, const float *residual, float *output,
                      ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &c->window;
    ptrdiff_t first, last;
    inner_columns(w, &first, &last);
    const int is_3 = w->kernel_height == 3 && w->kernel_width == 3;
    const int is_5 = w->kernel_height == 5 && w->kernel_width == 5;
    for (ptrdiff_t oy = begin; oy < end; oy++) {
        float *line = output + oy * w->output_width * w->output_pitch;
        const ptrdiff_t iy = oy * w->stride_y - w->pad_top;
        const int inside = iy >= 0 && iy + (w->kernel_height - 1) * w->dilation_y < w->input_height;
        for (ptrdiff_t from = 0; from < c->channels; from += WIDTH) {
            const ptrdiff_t count = c->channels - from;
            const int fast = inside && count >= WIDTH && (is_3 || is_5);
            for (ptrdiff_t ox = 0; ox < w->output_width; ox++) {
                if (fast && ox == first && last > first) {
                    const float *x =
                        input + (iy * w->input_width + ox * w->stride_x - w->pad_left) * w->input_pitch + from;
                    float *y = line + ox * w->output_pitch + from;
                    if (is_3)
                        depthwise_columns(c, x, y, from, last - first, 3, 3);
                    else
                        depthwise_columns(c, x, y, from, last - first, 5, 5);
                    ox = last - 1;
                    continue;
                }
                depthwise_pixel(c, input, line + ox * w->output_pitch, oy, ox, from, count);
            }
        }
        const float *rest = residual ? residual + oy * w->output_width * c->residual_pitch : NULL;
        if (rest && !c->residual_after_activation)
            for (ptrdiff_t ox = 0; ox < w->output_width; ox++)
                for (ptrdiff_t i = 0; i < c->channels; i++)
                    line[ox * w->output_pitch + i] += rest[ox * c->residual_pitch + i];
        if (c->epilogue.activation == float_clamp && (c->epilogue.low != -INFINITY || c->epilogue.high != INFINITY))
            unary(&c->epilogue, line, w->output_pitch, line, w->output_pitch, w->output_width, c->channels);
        finish(c, rest, line, w->output_width);
    }
}

// MARK: - The rest

static void pool(const struct float_pool *pool, const float *input, float *output, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &pool->window;
    for (ptrdiff_t oy = begin; oy < end; oy++) {
        for (ptrdiff_t ox = 0; ox < w->output_width; ox++) {
            float *y = output + (oy * w->output_width + ox) * w->output_pitch;
            const ptrdiff_t y0 = oy * w->stride_y - w->pad_top, x0 = ox * w->stride_x - w->pad_left;
            ptrdiff_t positions = 0;
            for (ptrdiff_t ky = 0; pool->kind == float_pool_average && ky < w->kernel_height; ky++)
                for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++) {
                    const ptrdiff_t iy = y0 + ky * w->dilation_y, ix = x0 + kx * w->dilation_x;
                    const int inside = iy >= 0 && iy < w->input_height && ix >= 0 && ix < w->input_width;
                    positions += pool->counts_padding ? iy < w->input_height + pool->pad_bottom &&
                                                            ix < w->input_width + pool->pad_right
                                                      : inside;
                }
            const vector factor = splat(positions > 0 ? 1.0f / (float)positions : 0.0f);
            for (ptrdiff_t from = 0; from < pool->channels; from += WIDTH) {
                const ptrdiff_t count = pool->channels - from;
                vector result = splat(pool->kind == float_pool_maximum ? -INFINITY : 0.0f);
                for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
                    const ptrdiff_t iy = y0 + ky * w->dilation_y;
                    if (iy < 0 || iy >= w->input_height) continue;
                    for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++) {
                        const ptrdiff_t ix = x0 + kx * w->dilation_x;
                        if (ix < 0 || ix >= w->input_width) continue;
                        const float *x = input + (iy * w->input_width + ix) * w->input_pitch + from;
                        const vector value = count >= WIDTH ? load(x) : load_part(x, count);
                        result = pool->kind == float_pool_maximum ? greatest(result, value) : result + value;
                    }
                }
                if (pool->kind == float_pool_average) result *= factor;
                if (count >= WIDTH)
                    store(y + from, result);
                else
                    store_part(y + from, result, count);
            }
        }
    }
}

INLINE vector combined(enum float_binary f, vector a, vector b) {
    switch (f) {
        case float_add: return a + b;
        case float_subtract: return a - b;
        case float_multiply: return a * b;
        case float_divide: return a / b;
        case float_maximum: return greatest(a, b);
        case float_minimum: return least(a, b);
    }
    return a;
}

INLINE vector operand(const float *p, ptrdiff_t i, int step, ptrdiff_t count) {
    if (!step) return splat(p[0]);
    return count >= WIDTH ? load(p + i) : load_part(p + i, count);
}

static void binary(enum float_binary f, const struct float_epilogue *e, const float *a, ptrdiff_t a_pitch, int a_step,
                   const float *b, ptrdiff_t b_pitch, int b_step, float *y, ptrdiff_t y_pitch, ptrdiff_t rows,
                   ptrdiff_t count) {
    const int plain = e->activation == float_clamp && e->low == -INFINITY && e->high == INFINITY;
#define CASE(F)                                                                                                      \
    case F:                                                                                                          \
        for (ptrdiff_t r = 0; r < rows; r++)                                                                         \
            for (ptrdiff_t i = 0; i < count; i += WIDTH) {                                                           \
                const ptrdiff_t left = count - i;                                                                    \
                const vector result = combined(F, operand(a + r * a_pitch, i, a_step, left),                         \
                                               operand(b + r * b_pitch, i, b_step, left));                           \
                if (left >= WIDTH)                                                                                   \
                    store(y + r * y_pitch + i, result);                                                              \
                else                                                                                                 \
                    store_part(y + r * y_pitch + i, result, left);                                                   \
            }                                                                                                        \
        break;
    switch (f) {
        CASE(float_add)
        CASE(float_subtract)
        CASE(float_multiply)
        CASE(float_divide)
        CASE(float_maximum)
        CASE(float_minimum)
    }
#undef CASE
    if (!plain) unary(e, y, y_pitch, y, y_pitch, rows, count);
}

static void matmul(const float *a, const float *b, float *c, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j += 4 * WIDTH) {
            if (n - j >= 4 * WIDTH) {
                vector s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
                for (ptrdiff_t l = 0; l < k; l++) {
                    const vector value = splat(a[i * k + l]);
                    const float *row = b + l * n + j;
                    s0 = fused(value, load(row), s0);
                    s1 = fused(value, load(row + WIDTH), s1);
                    s2 = fused(value, load(row + 2 * WIDTH), s2);
                    s3 = fused(value, load(row + 3 * WIDTH), s3);
                }
                float *y = c + i * n + j;
                store(y, s0);
                store(y + WIDTH, s1);
                store(y + 2 * WIDTH, s2);
                store(y + 3 * WIDTH, s3);
                continue;
            }
            for (ptrdiff_t q = j; q < n; q += WIDTH) {
                const ptrdiff_t left = n - q;
                vector sum = {0};
                for (ptrdiff_t l = 0; l < k; l++)
                    sum = fused(splat(a[i * k + l]), operand(b + l * n, q, 1, left), sum);
                if (left >= WIDTH)
                    store(c + i * n + q, sum);
                else
                    store_part(c + i * n + q, sum, left);
            }
        }
}

typedef float element;

/// As ONNX Runtime adds them: without fusing.
INLINE vector tap_added(vector sum, vector weight, const float *p, ptrdiff_t count) {
    return sum + weight * operand(p, 0, 1, count);
}

INLINE void sum_stored(float *p, vector sum, ptrdiff_t count) {
    if (count == WIDTH)
        store(p, sum);
    else
        store_part(p, sum, count);
}

#include "interpolation.h"

/// Rows shorter than a vector, WIDTH of them side by side.
static void softmax_of_short_rows(const float *x, float *y, ptrdiff_t rows, ptrdiff_t count) {
    float part[WIDTH * WIDTH] = {0};
    for (ptrdiff_t r = 0; r < rows; r += WIDTH, x += WIDTH * count, y += WIDTH * count) {
        const ptrdiff_t n = rows - r < WIDTH ? rows - r : WIDTH;
        for (ptrdiff_t row = 0; row < n; row++)
            for (ptrdiff_t i = 0; i < count; i++) part[i * WIDTH + row] = x[row * count + i];
        vector highest = splat(-INFINITY), sum = {0};
        for (ptrdiff_t i = 0; i < count; i++) highest = greatest(highest, load(part + i * WIDTH));
        for (ptrdiff_t i = 0; i < count; i++) {
            const vector e = exponential(load(part + i * WIDTH) - highest);
            store(part + i * WIDTH, e);
            sum += e;
        }
        for (ptrdiff_t i = 0; i < count; i++) store(part + i * WIDTH, load(part + i * WIDTH) / sum);
        for (ptrdiff_t row = 0; row < n; row++)
            for (ptrdiff_t i = 0; i < count; i++) y[row * count + i] = part[i * WIDTH + row];
    }
}

static void softmax(const float *x, float *y, ptrdiff_t rows, ptrdiff_t count) {
    if (count < WIDTH) {
        softmax_of_short_rows(x, y, rows, count);
        return;
    }
    for (ptrdiff_t r = 0; r < rows; r++, x += count, y += count) {
        float highest = -INFINITY, sum = 0;
        for (ptrdiff_t i = 0; i < count; i++) highest = x[i] > highest ? x[i] : highest;
        for (ptrdiff_t i = 0; i < count; i += WIDTH) {
            const ptrdiff_t left = count - i;
            const vector e = exponential(operand(x, i, 1, left) - highest);
            if (left >= WIDTH)
                store(y + i, e);
            else
                store_part(y + i, e, left);
        }
        for (ptrdiff_t i = 0; i < count; i++) sum += y[i];
        for (ptrdiff_t i = 0; i < count; i++) y[i] /= sum;
    }
}

static void pixels(const uint8_t *pixels, ptrdiff_t pixel_stride, const float *mean, const float *scale, float *y,
                   ptrdiff_t count, ptrdiff_t channels) {
    if (channels == 3 && pixel_stride == 3) {
        // Three vectors hold WIDTH whole pixels.
        float means[3 * WIDTH], scales[3 * WIDTH];
        for (int i = 0; i < 3 * WIDTH; i++) {
            means[i] = mean[i % 3];
            scales[i] = scale[i % 3];
        }
        ptrdiff_t i = 0;
        for (; i + 3 * WIDTH <= 3 * count; i += 3 * WIDTH)
            for (int j = 0; j < 3 * WIDTH; j++) y[i + j] = ((float)pixels[i + j] - means[j]) * scales[j];
        for (; i < 3 * count; i++) y[i] = ((float)pixels[i] - mean[i % 3]) * scale[i % 3];
        return;
    }
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t c = 0; c < channels; c++)
            y[i * channels + c] = ((float)pixels[i * pixel_stride + c] - mean[c]) * scale[c];
}

#include "float_ordered.h"

const struct float_kernels KERNELS_SYMBOL = {
    .name = KERNELS_NAME,
    .width = WIDTH,
    .tile_pixels = TILE_PIXELS,
    .convolution = convolution,
    .depthwise = depthwise,
    .ordered = ordered,
    .ordered_depthwise = ordered_depthwise,
    .pool = pool,
    .unary = unary,
    .binary = binary,
    .matmul = matmul,
    .interpolate = interpolate,
    .softmax = softmax,
    .pixels = pixels,
};
