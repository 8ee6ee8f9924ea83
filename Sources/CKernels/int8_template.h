// SPDX-License-Identifier: Apache-2.0
// The int8 kernels, written once over vectors of WIDTH numbers. Included by one file per instruction set, which defines
// WIDTH, TILE_PIXELS, KERNELS_NAME, KERNELS_SYMBOL, and `dot`: the sums of eight steps for 2 vectors of filters.
#include <math.h>
#include <string.h>

#include "ckernels_int8.h"

typedef float vector __attribute__((vector_size(WIDTH * 4)));
typedef int32_t integers __attribute__((vector_size(WIDTH * 4)));
typedef uint8_t bytes __attribute__((vector_size(WIDTH)));
typedef float loose __attribute__((vector_size(WIDTH * 4), aligned(1)));
typedef int32_t loose_integers __attribute__((vector_size(WIDTH * 4), aligned(1)));

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

INLINE vector load(const float *p) { return *(const loose *)p; }
INLINE vector splat(float x) { return (vector){0} + x; }
INLINE vector choose(integers mask, vector a, vector b) {
    return (vector)((mask & (integers)a) | (~mask & (integers)b));
}
// As the x86 instructions: the second operand if one is NaN.
INLINE vector least(vector a, vector b) { return choose(a < b, a, b); }
INLINE vector greatest(vector a, vector b) { return choose(a > b, a, b); }
INLINE vector fused(vector a, vector b, vector c) { return __builtin_elementwise_fma(a, b, c); }

INLINE vector load_part(const float *p, ptrdiff_t count) {
    vector v = {0};
    memcpy(&v, p, (size_t)count * sizeof(float));
    return v;
}

/// `count` bytes as float, 0 <= count <= WIDTH.
INLINE vector load_bytes(const uint8_t *p, ptrdiff_t count) {
    bytes b = {0};
    if (count == WIDTH)
        memcpy(&b, p, WIDTH);
    else
        memcpy(&b, p, (size_t)count);
    return __builtin_convertvector(__builtin_convertvector(b, integers), vector);
}

/// Nearest integer, ties to even, saturated to 0...255. Adding 1.5 * 2^23 rounds; the clamp comes first, so it is exact.
INLINE void store_bytes(uint8_t *p, vector v, ptrdiff_t count) {
    v = least(greatest(v, splat(0)), splat(255));
    integers i = (integers)(v + splat(12582912.0f)) & 255;
    bytes b = __builtin_convertvector(i, bytes);
    if (count == WIDTH)
        memcpy(p, &b, WIDTH);
    else
        memcpy(p, &b, (size_t)count);
}

INLINE vector rounded(vector v) {
    v = least(greatest(v, splat(-4194304)), splat(4194304));
    return (v + splat(12582912.0f)) - splat(12582912.0f);
}

/// exp(x) to about 2 units in the last place, the same bits everywhere: x = n ln 2 + r, Taylor series to degree 7.
INLINE vector exponential(vector x) {
    x = least(greatest(x, splat(-87.0f)), splat(88.0f));
    const vector magic = splat(12582912.0f);
    vector shifted = fused(x, splat(1.44269504088896f), magic);
    vector n = shifted - magic;
    vector r = fused(n, splat(-0.693145751953125f), x);
    r = fused(n, splat(-1.42860682030941723212e-6f), r);
    vector p = splat(1.0f / 5040);
    p = fused(p, r, splat(1.0f / 720));
    p = fused(p, r, splat(1.0f / 120));
    p = fused(p, r, splat(1.0f / 24));
    p = fused(p, r, splat(1.0f / 6));
    p = fused(p, r, splat(0.5f));
    p = fused(p, r, splat(1.0f));
    p = fused(p, r, splat(1.0f));
    return p * (vector)(((integers)shifted - (integers)magic + 127) << 23);
}

INLINE vector logistic(vector x) { return splat(1) / (splat(1) + exponential(-x)); }

INLINE vector activated(vector x, enum float_activation activation, float low, float high) {
    switch (activation) {
        case float_clamp: return least(greatest(x, splat(low)), splat(high));
        case float_leaky_relu: return fused(splat(low), least(x, splat(0)), greatest(x, splat(0)));
        case float_sigmoid: return logistic(x);
        case float_silu: return x * logistic(x);
        case float_hard_sigmoid: return greatest(least(fused(splat(low), x, splat(high)), splat(1)), splat(0));
        case float_hard_swish:
            return x * greatest(least(fused(x, splat(1.0f / 6), splat(0.5f)), splat(1)), splat(0));
        case float_tanh: return splat(2) * logistic(x + x) - splat(1);
        default: return x;
    }
}

/// Everything after the sums of `count` filters from `c` on, for one pixel.
INLINE void finish(const struct int8_epilogue *e, enum float_activation activation, vector sum, const uint8_t *residual,
                   void *output, ptrdiff_t c, ptrdiff_t count) {
    vector multiplier, bias;
    if (count == WIDTH) {
        multiplier = load(e->multiplier + c);
        bias = load(e->bias + c);
    } else {
        multiplier = load_part(e->multiplier + c, count);
        bias = load_part(e->bias + c, count);
    }
    vector f = fused(sum, multiplier, bias);
    vector r = {0}, r_scale = {0};
    if (residual) {
        const int whole = count == WIDTH;
        r = load_bytes(residual + c, count) -
            (whole ? load(e->residual_zero + c) : load_part(e->residual_zero + c, count));
        r_scale = whole ? load(e->residual_scale + c) : load_part(e->residual_scale + c, count);
    }
    if (residual && !e->residual_after_activation) f = fused(r, r_scale, f);
    f = activated(f, activation, e->activation.low, e->activation.high);
    if (residual && e->residual_after_activation) f = fused(r, r_scale, f);
    if (e->inverse_scale) {
        vector scale = count == WIDTH ? load(e->inverse_scale + c) : load_part(e->inverse_scale + c, count);
        vector zero = count == WIDTH ? load(e->zero + c) : load_part(e->zero + c, count);
        store_bytes((uint8_t *)output + c, fused(f, scale, zero), count);
    } else {
        memcpy((float *)output + c, &f, (size_t)count * sizeof(float));
    }
}

/// Sums of `pixels` pixels and `vectors` (1 or 2) vectors of filters, then the epilogue.
INLINE void tile(const struct int8_convolution *task, enum float_activation activation, const int pixels,
                 const int vectors, const uint8_t *const *rows, const int8_t *packed, ptrdiff_t steps,
                 const uint8_t *const *residuals, uint8_t *const *outputs, ptrdiff_t first) {
    integers sums[TILE_PIXELS][2];
    for (int v = 0; v < vectors; v++) {
        integers start = *(const loose_integers *)(packed + v * WIDTH * 4);
        for (int p = 0; p < pixels; p++) sums[p][v] = start;
    }
    packed += vectors * WIDTH * 4;
    for (ptrdiff_t step = 0; step < steps; step += 8) {
        dot(sums, pixels, vectors, rows, step, packed);
        packed += vectors * WIDTH * 8;
    }
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++) {
            const ptrdiff_t c = first + v * WIDTH, left = task->filters - c;
            finish(&task->epilogue, activation, __builtin_convertvector(sums[p][v], vector),
                   residuals ? residuals[p] : NULL, outputs[p], c, left < WIDTH ? left : WIDTH);
        }
}

/// Copies the window of an output pixel: kernel_height * kernel_width * channels bytes.
INLINE void gather(const struct int8_convolution *task, const uint8_t *input, ptrdiff_t y, ptrdiff_t x, uint8_t *patch) {
    const struct float_window *w = &task->window;
    const ptrdiff_t channels = task->channels, x0 = x * w->stride_x - w->pad_left;
    const int dense = w->input_pitch == channels && w->dilation_x == 1;
    for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
        const ptrdiff_t iy = y * w->stride_y - w->pad_top + ky * w->dilation_y;
        if (iy < 0 || iy >= w->input_height) {
            memcpy(patch, task->outside, (size_t)(w->kernel_width * channels));
            patch += w->kernel_width * channels;
            continue;
        }
        const uint8_t *row = input + iy * w->input_width * w->input_pitch;
        if (dense && x0 >= 0 && x0 + w->kernel_width <= w->input_width) {
            memcpy(patch, row + x0 * channels, (size_t)(w->kernel_width * channels));
            patch += w->kernel_width * channels;
            continue;
        }
        for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++, patch += channels) {
            const ptrdiff_t ix = x0 + kx * w->dilation_x;
            const uint8_t *source = ix < 0 || ix >= w->input_width ? task->outside : row + ix * w->input_pitch;
            memcpy(patch, source, (size_t)channels);
        }
    }
}

INLINE void convolution_with(const struct int8_convolution *task, enum float_activation activation,
                             const uint8_t *input, const uint8_t *residual, uint8_t *output, uint8_t *patches,
                             ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &task->window;
    const ptrdiff_t raw = w->kernel_height * w->kernel_width * task->channels, steps = int8_padded_steps(raw);
    const int direct = w->kernel_height == 1 && w->kernel_width == 1 && w->pad_top == 0 && w->pad_left == 0 &&
                       w->stride_y == 1 && w->stride_x == 1 && w->output_width == w->input_width;
    const ptrdiff_t element = task->epilogue.inverse_scale ? 1 : (ptrdiff_t)sizeof(float);
    for (ptrdiff_t pixel = begin; pixel < end; pixel += TILE_PIXELS) {
        const int count = end - pixel < TILE_PIXELS ? (int)(end - pixel) : TILE_PIXELS;
        const uint8_t *rows[TILE_PIXELS], *residuals[TILE_PIXELS];
        uint8_t *outputs[TILE_PIXELS];
        for (int p = 0; p < TILE_PIXELS; p++) {
            // A tile that is not full computes its last pixel again.
            const ptrdiff_t index = pixel + (p < count ? p : count - 1);
            outputs[p] = output + index * w->output_pitch * element;
            residuals[p] = residual ? residual + index * task->residual_pitch : NULL;
            if (direct) {
                rows[p] = input + index * w->input_pitch;
            } else {
                uint8_t *patch = patches + p * steps;
                if (p < count) gather(task, input, index / w->output_width, index % w->output_width, patch);
                rows[p] = p < count ? patch : patches + (count - 1) * steps;
            }
        }
        const int8_t *packed = task->weights;
        for (ptrdiff_t f = 0; f < task->filters; f += 2 * WIDTH) {
            if (task->filters - f > WIDTH) {
                if (count == TILE_PIXELS)
                    tile(task, activation, TILE_PIXELS, 2, rows, packed, steps, residual ? residuals : NULL, outputs, f);
                else
                    for (int p = 0; p < count; p++)
                        tile(task, activation, 1, 2, rows + p, packed, steps, residual ? residuals + p : NULL,
                             outputs + p, f);
                packed += 2 * WIDTH * (steps + 4);
            } else {
                if (count == TILE_PIXELS)
                    tile(task, activation, TILE_PIXELS, 1, rows, packed, steps, residual ? residuals : NULL, outputs, f);
                else
                    for (int p = 0; p < count; p++)
                        tile(task, activation, 1, 1, rows + p, packed, steps, residual ? residuals + p : NULL,
                             outputs + p, f);
                packed += WIDTH * (steps + 4);
            }
        }
    }
}

static void convolution(const struct int8_convolution *task, const uint8_t *input, const uint8_t *residual, void *output,
                        uint8_t *patches, ptrdiff_t begin, ptrdiff_t end) {
    // Constants at each call, so that the switch over activations is outside of the loops.
    switch (task->epilogue.activation.activation) {
        case float_clamp:
            return convolution_with(task, float_clamp, input, residual, output, patches, begin, end);
        case float_silu: return convolution_with(task, float_silu, input, residual, output, patches, begin, end);
        default:
            return convolution_with(task, task->epilogue.activation.activation, input, residual, output, patches, begin,
                                    end);
    }
}

INLINE void depthwise_with(const struct int8_convolution *task, enum float_activation activation, const uint8_t *input,
                           const uint8_t *residual, uint8_t *output, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &task->window;
    const ptrdiff_t channels = task->channels, padded = (channels + WIDTH - 1) / WIDTH * WIDTH;
    const ptrdiff_t element = task->epilogue.inverse_scale ? 1 : (ptrdiff_t)sizeof(float);
    const float *correction = task->weights;
    for (ptrdiff_t y = begin; y < end; y++)
        for (ptrdiff_t c = 0; c < channels; c += WIDTH) {
            const ptrdiff_t count = channels - c < WIDTH ? channels - c : WIDTH;
            for (ptrdiff_t x = 0; x < w->output_width; x++) {
                vector sum = load(correction + c);
                const float *weight = correction + padded + c;
                for (ptrdiff_t ky = 0; ky < w->kernel_height; ky++) {
                    const ptrdiff_t iy = y * w->stride_y - w->pad_top + ky * w->dilation_y;
                    const uint8_t *row =
                        iy < 0 || iy >= w->input_height ? NULL : input + iy * w->input_width * w->input_pitch;
                    for (ptrdiff_t kx = 0; kx < w->kernel_width; kx++, weight += padded) {
                        const ptrdiff_t ix = x * w->stride_x - w->pad_left + kx * w->dilation_x;
                        const uint8_t *p =
                            !row || ix < 0 || ix >= w->input_width ? task->outside : row + ix * w->input_pitch;
                        sum = fused(load_bytes(p + c, count), load(weight), sum);
                    }
                }
                const ptrdiff_t index = y * w->output_width + x;
                finish(&task->epilogue, activation, sum, residual ? residual + index * task->residual_pitch : NULL,
                       output + index * w->output_pitch * element, c, count);
            }
        }
}

static void depthwise(const struct int8_convolution *task, const uint8_t *input, const uint8_t *residual, void *output,
                      ptrdiff_t begin, ptrdiff_t end) {
    switch (task->epilogue.activation.activation) {
        case float_clamp: return depthwise_with(task, float_clamp, input, residual, output, begin, end);
        case float_silu: return depthwise_with(task, float_silu, input, residual, output, begin, end);
        default:
            return depthwise_with(task, task->epilogue.activation.activation, input, residual, output, begin, end);
    }
}

/// The part of a window that lies within the image, along one axis.
struct span {
    ptrdiff_t begin, end;
};

INLINE struct span inside(ptrdiff_t origin, ptrdiff_t kernel, ptrdiff_t dilation, ptrdiff_t extent) {
    struct span s = {0, kernel};
    while (s.begin < kernel && origin + s.begin * dilation < 0) s.begin++;
    while (s.end > s.begin && origin + (s.end - 1) * dilation >= extent) s.end--;
    return s;
}

static void max_pool(const struct float_pool *pool, const uint8_t *input, uint8_t *output, ptrdiff_t begin,
                     ptrdiff_t end) {
    const struct float_window *w = &pool->window;
    for (ptrdiff_t y = begin; y < end; y++)
        for (ptrdiff_t x = 0; x < w->output_width; x++) {
            const ptrdiff_t y0 = y * w->stride_y - w->pad_top, x0 = x * w->stride_x - w->pad_left;
            const struct span rows = inside(y0, w->kernel_height, w->dilation_y, w->input_height);
            const struct span columns = inside(x0, w->kernel_width, w->dilation_x, w->input_width);
            uint8_t *target = output + (y * w->output_width + x) * w->output_pitch;
            for (ptrdiff_t c = 0; c < pool->channels; c += WIDTH) {
                const size_t count = (size_t)(pool->channels - c < WIDTH ? pool->channels - c : WIDTH);
                bytes best = {0};
                for (ptrdiff_t ky = rows.begin; ky < rows.end; ky++)
                    for (ptrdiff_t kx = columns.begin; kx < columns.end; kx++) {
                        bytes b = {0};
                        memcpy(&b,
                               input + ((y0 + ky * w->dilation_y) * w->input_width + x0 + kx * w->dilation_x) *
                                           w->input_pitch + c,
                               count);
                        best = __builtin_elementwise_max(best, b);
                    }
                memcpy(target + c, &best, count);
            }
        }
}

static void average_pool(const struct float_pool *pool, const float *multiplier, const float *bias, const uint8_t *input,
                         uint8_t *output, ptrdiff_t begin, ptrdiff_t end) {
    const struct float_window *w = &pool->window;
    for (ptrdiff_t y = begin; y < end; y++)
        for (ptrdiff_t x = 0; x < w->output_width; x++) {
            const ptrdiff_t y0 = y * w->stride_y - w->pad_top, x0 = x * w->stride_x - w->pad_left;
            const struct span rows = inside(y0, w->kernel_height, w->dilation_y, w->input_height);
            const struct span columns = inside(x0, w->kernel_width, w->dilation_x, w->input_width);
            const ptrdiff_t positions = (rows.end - rows.begin) * (columns.end - columns.begin);
            const vector share = splat(positions > 0 ? 1.0f / (float)positions : 0);
            uint8_t *target = output + (y * w->output_width + x) * w->output_pitch;
            for (ptrdiff_t c = 0; c < pool->channels; c += WIDTH) {
                const ptrdiff_t count = pool->channels - c < WIDTH ? pool->channels - c : WIDTH;
                integers sum = {0};
                for (ptrdiff_t ky = rows.begin; ky < rows.end; ky++)
                    for (ptrdiff_t kx = columns.begin; kx < columns.end; kx++) {
                        bytes b = {0};
                        memcpy(&b,
                               input + ((y0 + ky * w->dilation_y) * w->input_width + x0 + kx * w->dilation_x) *
                                           w->input_pitch + c,
                               (size_t)count);
                        sum += __builtin_convertvector(b, integers);
                    }
                const vector mean = __builtin_convertvector(sum, vector) * share;
                store_bytes(target + c, fused(mean, load_part(multiplier + c, count), load_part(bias + c, count)), count);
            }
        }
}

static void requantize(const float *multiplier, const float *bias, const uint8_t *x, ptrdiff_t x_pitch, uint8_t *y,
                       ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch)
        for (ptrdiff_t c = 0; c < count; c += WIDTH) {
            const ptrdiff_t n = count - c < WIDTH ? count - c : WIDTH;
            store_bytes(y + c, fused(load_bytes(x + c, n), load_part(multiplier + c, n), load_part(bias + c, n)), n);
        }
}

static void add(const struct int8_epilogue *e, const float *scale_a, const float *zero_a, const uint8_t *a,
                ptrdiff_t a_pitch, const uint8_t *b, ptrdiff_t b_pitch, uint8_t *y, ptrdiff_t y_pitch, ptrdiff_t rows,
                ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, a += a_pitch, b += b_pitch, y += y_pitch)
        for (ptrdiff_t c = 0; c < count; c += WIDTH) {
            const ptrdiff_t n = count - c < WIDTH ? count - c : WIDTH;
            const vector second =
                (load_bytes(b + c, n) - load_part(e->residual_zero + c, n)) * load_part(e->residual_scale + c, n);
            vector f = fused(load_bytes(a + c, n) - load_part(zero_a + c, n), load_part(scale_a + c, n), second);
            f = activated(f, e->activation.activation, e->activation.low, e->activation.high);
            store_bytes(y + c, fused(f, load_part(e->inverse_scale + c, n), load_part(e->zero + c, n)), n);
        }
}

static void quantize(const float *scale, const float *zero, const float *x, ptrdiff_t x_pitch, uint8_t *y,
                     ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch)
        for (ptrdiff_t c = 0; c < count; c += WIDTH) {
            const ptrdiff_t n = count - c < WIDTH ? count - c : WIDTH;
            vector divisor = splat(1);
            memcpy(&divisor, scale + c, (size_t)n * sizeof(float));
            store_bytes(y + c, rounded(load_part(x + c, n) / divisor) + load_part(zero + c, n), n);
        }
}

static void dequantize(const float *scale, const float *zero, const uint8_t *x, ptrdiff_t x_pitch, float *y,
                       ptrdiff_t y_pitch, ptrdiff_t rows, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < rows; i++, x += x_pitch, y += y_pitch)
        for (ptrdiff_t c = 0; c < count; c += WIDTH) {
            const ptrdiff_t n = count - c < WIDTH ? count - c : WIDTH;
            const vector v = (load_bytes(x + c, n) - load_part(zero + c, n)) * load_part(scale + c, n);
            memcpy(y + c, &v, (size_t)n * sizeof(float));
        }
}

const struct int8_kernels KERNELS_SYMBOL = {
    KERNELS_NAME, WIDTH, TILE_PIXELS, convolution, depthwise, max_pool, average_pool, requantize, add, quantize, dequantize,
};
