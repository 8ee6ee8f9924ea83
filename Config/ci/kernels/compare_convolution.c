// SPDX-License-Identifier: Apache-2.0
// Compares the convolution kernels that this processor has, and those next to them, with the scalar ones, byte by byte. For
// processors that are only emulated, and for sanitizers. Prints what was compared; exits with 1 on a difference.
#include "ckernels_int8.h"

#define SLACK (4 * INT8_SLACK)
#include "cases.h"

/// Any weights, -128 as well; or those of one sign and full size; or such as keep the lane limit, also at its edge.
static int8_t *weights(ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps, int is_limited, int is_extreme) {
    const ptrdiff_t steps = channels * taps;
    int8_t *p = memory(filters * steps);
    for (ptrdiff_t i = 0; i < filters * steps; i++)
        p[i] = (int8_t)(is_extreme ? (number(2) ? 127 : -128) : (int)number(256) - 128);
    if (!is_limited) return p;
    for (ptrdiff_t f = 0; f < filters; f++) {
        int room[2][2] = {{0}};
        for (ptrdiff_t step = 0; step < steps; step++) {
            if (step % 8 == 0) room[0][0] = room[0][1] = room[1][0] = room[1][1] = 128;
            int8_t *w = &p[(f * channels + step % channels) * taps + step / channels];
            const int is_negative = *w < 0, magnitude = is_negative ? -*w : *w;
            int *left = &room[step / 2 % 2][is_negative];
            const int kept = magnitude < *left ? magnitude : *left;
            *left -= kept;
            *w = (int8_t)(is_negative ? -kept : kept);
        }
    }
    return p;
}

/// The numbers of an epilogue, its activation by `kind`: 0 linear, 1 linear with bounds, 2 SiLU, 3 hard swish or bounds of
/// the sum, 4 floats, 5 rounded before the zero point, 6 linear with ties noted.
struct numbers {
    float *multiplier, *bias, *inverse, *zero, *residual_scale, *residual_zero, *tie;
    uint8_t *low, *high;
};
static struct numbers numbers(ptrdiff_t count, ptrdiff_t steps, int kind) {
    const float spread = kind < 2 || kind > 4 ? 100 : 4;
    struct numbers n = {
        floats(count, 0, spread / (60 * 70 * sqrtf((float)steps))), floats(count, kind < 2 || kind == 6 ? 120 : 0, kind == 5 ? 0 : spread / 2),
        floats(count, 30, 10), floats(count, 100, 50), floats(count, 0.01f, 0.3f),
        floats(count, 128, 100), floats(count, 0.4f, 0.1f), memory(count), memory(count)};
    for (ptrdiff_t i = 0; i < count; i++) {
        n.low[i] = kind == 1 ? (uint8_t)number(60) : 0;
        n.high[i] = (uint8_t)(185 + number(71));
    }
    return n;
}
static struct int8_epilogue epilogue(const struct numbers *n, int kind) {
    struct int8_epilogue e = {n->multiplier, n->bias, {float_clamp, -INFINITY, INFINITY}, NULL, n->zero, n->low, n->high,
                              n->residual_scale, n->residual_zero, (int)number(2), 0, number(8) > 0, NULL, NULL,
                              kind == 6 ? n->tie : NULL, NULL};
    if (kind < 2 || kind == 6) e.zero = NULL;
    if (kind == 2 || kind == 3) {
        e.activation = kind == 2 ? (struct float_epilogue){float_silu, 0, 0}
                       : number(2) ? (struct float_epilogue){float_hard_swish, 0, 0} : (struct float_epilogue){float_clamp, -1, 6};
        e.inverse_scale = n->inverse;
    }
    if (kind == 4) {
        e.activation = (struct float_epilogue){float_clamp, -1, 6};
        e.high = NULL;
    }
    return e;
}
static void discard(struct numbers *n) {
    free(n->multiplier), free(n->bias), free(n->inverse), free(n->zero), free(n->residual_scale);
    free(n->residual_zero), free(n->tie), free(n->low), free(n->high);
}

enum form { dense, winograd, depthwise };

static struct float_window window(ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t dilation, ptrdiff_t pitch) {
    struct float_window w;
    memset(&w, 0, sizeof w);
    w.kernel_height = w.kernel_width = kernel;
    w.stride_y = w.stride_x = stride;
    w.dilation_y = w.dilation_x = dilation;
    w.pad_top = w.pad_left = kernel / 2;
    w.input_height = size, w.input_width = size + 1;
    const ptrdiff_t reach = (kernel - 1) * dilation;
    w.output_height = (size + 2 * (kernel / 2) - reach - 1) / stride + 1;
    w.output_width = (size + 1 + 2 * (kernel / 2) - reach - 1) / stride + 1;
    w.input_pitch = pitch;
    return w;
}

static void run(enum form form, const struct int8_kernels *kernels, struct int8_convolution task, const int8_t *weight,
                const uint8_t *zeros, const int32_t *bias, const uint8_t *input, const uint8_t *residual, void *output) {
    const ptrdiff_t taps = task.window.kernel_height * task.window.kernel_width, outputs = task.window.output_height;
    const ptrdiff_t pixels = outputs * task.window.output_width;
    void *packed, *scratch = NULL;
    if (form == dense) {
        packed = memory(int8_packed_bytes(kernels, task.filters, taps * task.channels));
        scratch = memory(int8_patch_bytes(kernels, taps * task.channels));
        int8_pack_weights(kernels, weight, zeros, bias, task.filters, task.channels, taps, packed);
    } else if (form == winograd) {
        packed = memory(int8_winograd_bytes(kernels, task.filters, task.channels));
        scratch = memory(int8_winograd_scratch_bytes(kernels, task.channels));
        int8_pack_winograd(kernels, weight, zeros, task.filters, task.channels, packed);
    } else {
        packed = memory(int8_packed_depthwise_bytes(kernels, task.channels, taps));
        int8_pack_depthwise(kernels, weight, 0, zeros, bias, task.channels, taps, packed);
    }
    task.weights = packed;
    const ptrdiff_t cut = pixels / 3;
    if (form == dense) {
        kernels->convolution(&task, input, residual, output, scratch, 0, cut, 0, task.filters);
        kernels->convolution(&task, input, residual, output, scratch, cut, pixels, 0, task.filters);
    } else if (form == winograd) {
        const ptrdiff_t tiles = (outputs + 3) / 4 * ((task.window.output_width + 3) / 4);
        kernels->winograd(&task, input, residual, output, scratch, 0, tiles);
    } else {
        kernels->depthwise(&task, input, residual, output, 0, outputs);
    }
    free(packed), free(scratch);
}

/// Marks what `run` notes, and after that the bytes of a layer that the ties are resolved for.
static void run_noting(enum form form, const struct int8_kernels *kernels, struct int8_convolution task,
                       const struct int8_float_layer *layer, const int8_t *weight, const uint8_t *zeros, const uint8_t *input,
                       uint8_t *output, ptrdiff_t bytes, uint8_t *marks) {
    struct int8_ties ties = {output, memory(8 * bytes), 0, 2 * bytes};
    task.epilogue.ties = &ties;
    run(form, kernels, task, weight, zeros, NULL, input, NULL, output);
    expect(ties.count <= ties.capacity, kernels->name, "number of ties", ties.count, bytes);
    for (ptrdiff_t i = 0; i < ties.count && i < ties.capacity; i++) marks[ties.offsets[i]] = 1;
    kernels->resolve_ties(layer, input, output, &ties);
    free(ties.offsets);
}

static void compare_layer(enum form form, const struct int8_kernels *kernels, const struct int8_kernels *scalar,
                          ptrdiff_t channels, ptrdiff_t filters, ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride,
                          ptrdiff_t dilation, int kind, int is_extreme) {
    const ptrdiff_t taps = kernel * kernel, in = form == depthwise ? 1 : channels;
    struct int8_convolution task;
    memset(&task, 0, sizeof task);
    task.window = window(size, kernel, stride, dilation, channels + (ptrdiff_t)number(2) * 8);
    task.window.output_pitch = filters + (ptrdiff_t)number(3);
    task.channels = channels, task.filters = filters;
    task.residual_pitch = filters;
    if (task.window.output_height < 1) return;
    const ptrdiff_t pixels = task.window.output_height * task.window.output_width;
    uint8_t *zeros = octets(channels, is_extreme), *outside = memory(kernel * channels + INT8_SLACK);
    for (ptrdiff_t i = 0; i < kernel * channels; i++) outside[i] = zeros[i % channels];
    task.outside = outside;
    int8_t *weight = weights(filters, in, taps, kernels->unlimited != NULL && form == dense, is_extreme);
    uint8_t *input = octets(size * (size + 1) * task.window.input_pitch, is_extreme);
    uint8_t *residual = kind != 6 && number(2) ? octets(pixels * filters, 0) : NULL;
    int32_t *bias = kind == 5 ? memory(filters * 4) : NULL;
    for (ptrdiff_t i = 0; bias && i < filters; i++) bias[i] = (int32_t)number(20000) - 10000;
    struct numbers n = numbers(filters, taps * in, kind);
    task.epilogue = epilogue(&n, kind);
    const ptrdiff_t bytes = pixels * task.window.output_pitch * (kind == 4 ? 4 : 1);
    uint8_t *y = memory(bytes), *expected = memory(bytes);
    if (kind == 6 && form != winograd) {
        const struct int8_float_layer layer = {
            .window = task.window, .channels = in, .filters = filters, .is_depthwise = form == depthwise,
            .weight = weight, .filter_stride = in * taps, .step_stride = 1, .weight_scale = n.multiplier, .bias = n.bias,
            .input_scale = 1, .input_zero = 120, .order = (enum float_order)number(3), .block = 8 + (ptrdiff_t)number(40),
            .low = -60, .high = 70, .output_scale = 0.7f, .output_zero = 90};
        uint8_t *marks[2] = {memory(bytes), memory(bytes)};
        run_noting(form, kernels, task, &layer, weight, zeros, input, y, bytes, marks[0]);
        run_noting(form, scalar, task, &layer, weight, zeros, input, expected, bytes, marks[1]);
        expect(memcmp(marks[0], marks[1], (size_t)bytes) == 0, kernels->name, "set of ties", channels, filters);
        free(marks[0]), free(marks[1]);
    } else {
        run(form, kernels, task, weight, zeros, bias, input, residual, y);
        run(form, scalar, task, weight, zeros, bias, input, residual, expected);
    }
    static const char *const names[] = {"convolution", "Winograd convolution", "depthwise convolution"};
    expect(memcmp(y, expected, (size_t)bytes) == 0, kernels->name, names[form], channels, filters);
    discard(&n);
    free(zeros), free(outside), free(weight), free(bias), free(input), free(residual), free(y), free(expected);
}

/// Layers whose inputs, outputs or residuals are words.
static void compare_words(const struct int8_kernels *kernels, const struct int8_kernels *scalar, int is_depthwise,
                          ptrdiff_t channels, ptrdiff_t filters, ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride, int takes,
                          int makes, int kind, int is_extreme) {
    const ptrdiff_t taps = kernel * kernel, in = is_depthwise ? 1 : channels, element = takes ? 2 : 1;
    struct int8_convolution task;
    memset(&task, 0, sizeof task);
    task.window = window(size, kernel, stride, 1, (channels + (ptrdiff_t)number(2) * 8) * element);
    task.window.output_pitch = filters + (ptrdiff_t)number(3);
    task.channels = channels * element, task.filters = filters, task.takes_words = takes;
    if (task.window.output_height < 1) return;
    const ptrdiff_t pixels = task.window.output_height * task.window.output_width;
    // Nothing, bytes, or words.
    const ptrdiff_t added = is_depthwise ? 0 : (ptrdiff_t)number(3);
    uint8_t *residual = added ? octets(pixels * filters * added, 0) : NULL;
    task.residual_pitch = filters * added;
    int16_t *zeros = memory(channels * 2);
    uint8_t *bytes_of_zeros = memory(channels), *outside = memory(kernel * channels * element + INT8_SLACK);
    for (ptrdiff_t c = 0; c < channels; c++) bytes_of_zeros[c] = (uint8_t)(zeros[c] = (int16_t)number(takes ? 4096 : 256));
    for (ptrdiff_t i = 0; i < kernel * channels; i++) {
        if (takes)
            memcpy(outside + 2 * i, &zeros[i % channels], 2);
        else
            outside[i] = bytes_of_zeros[i % channels];
    }
    task.outside = outside;
    int8_t *weight = weights(filters, in, taps, kernels->unlimited != NULL, is_extreme);
    // As large as the sums allow.
    const ptrdiff_t most = 58000 / (taps * in) < 32767 ? 58000 / (taps * in) : 32767;
    int16_t *wide = memory(filters * in * taps * 2);
    for (ptrdiff_t i = 0; i < filters * in * taps; i++)
        wide[i] = (int16_t)(is_extreme ? (number(2) ? most : -most) : (ptrdiff_t)number((unsigned)(2 * most + 1)) - most);
    expect(int8_word_sums_hold(wide, filters, in * taps), kernels->name, "sums", channels, filters);
    uint8_t *input = octets(size * (size + 1) * task.window.input_pitch, is_extreme);
    struct numbers n = numbers(filters, taps * in, kind);
    for (ptrdiff_t f = 0; f < filters; f++)
        n.multiplier[f] *= (takes ? 0.01f : 1) * (takes || is_depthwise ? 60.0f / (float)most : 1) * (makes ? 50 : 1);
    task.epilogue = epilogue(&n, kind);
    task.epilogue.is_bounded = 1;
    task.epilogue.residual_words = added == 2;
    int16_t *low = memory(filters * 2), *high = memory(filters * 2);
    for (ptrdiff_t f = 0; f < filters; f++) low[f] = (int16_t)(number(2) ? -32768 : 10), high[f] = (int16_t)number(32768);
    if (makes) task.epilogue.high = NULL, task.epilogue.low_words = low, task.epilogue.high_words = high;
    const ptrdiff_t bytes = pixels * task.window.output_pitch * (makes ? 2 : kind == 4 ? 4 : 1);
    const struct int8_kernels *both[2] = {kernels, scalar};
    uint8_t *y[2];
    for (int i = 0; i < 2; i++) {
        const struct int8_kernels *k = both[i];
        void *packed, *scratch = memory(int8_patch_bytes(k, taps * task.channels));
        y[i] = memory(bytes);
        if (is_depthwise) {
            packed = memory(int8_packed_depthwise_words_bytes(k, channels));
            int8_pack_depthwise_words(k, wide, zeros, channels, packed);
        } else {
            packed = memory(int8_packed_bytes(k, filters, taps * task.channels));
            if (takes)
                int8_pack_words(k, wide, zeros, filters, channels, taps, packed);
            else
                int8_pack_weights(k, weight, bytes_of_zeros, NULL, filters, channels, taps, packed);
        }
        task.weights = packed;
        if (is_depthwise)
            k->depthwise_words(&task, input, y[i], 0, task.window.output_height);
        else
            k->convolution(&task, input, residual, y[i], scratch, 0, pixels, 0, filters);
        free(packed), free(scratch);
    }
    expect(memcmp(y[0], y[1], (size_t)bytes) == 0, kernels->name,
           is_depthwise ? "depthwise convolution of words" : "convolution of words", channels, filters);
    discard(&n);
    free(zeros), free(bytes_of_zeros), free(outside), free(weight), free(wide), free(input), free(residual), free(low), free(high);
    free(y[0]), free(y[1]);
}

static void compare_elementwise(const struct int8_kernels *kernels, const struct int8_kernels *scalar, ptrdiff_t count) {
    enum { rows = 3 };
    uint8_t *a = octets(rows * count, 0), *b = octets(rows * count, 0);
    float *real = floats(rows * count, 0, 20);
    real[0] = NAN;
    struct numbers n = numbers(count, 1, 3);
    const struct int8_epilogue e = epilogue(&n, 3);
    uint8_t *y[2] = {memory(rows * count), memory(rows * count)};
    float *f[2] = {memory(rows * count * 4), memory(rows * count * 4)};
    const struct int8_kernels *both[2] = {kernels, scalar};
    const size_t size = (size_t)(rows * count);
    for (int i = 0; i < 2; i++) both[i]->requantize(n.residual_scale, n.bias, a, count, y[i], count, rows, count);
    expect(memcmp(y[0], y[1], size) == 0, kernels->name, "requantization", count, rows);
    for (int i = 0; i < 2; i++)
        both[i]->add(&e, n.residual_scale, n.residual_zero, a, count, b, count, y[i], count, rows, count);
    expect(memcmp(y[0], y[1], size) == 0, kernels->name, "addition", count, rows);
    struct int8_epilogue other = e;
    other.inverse_scale = NULL, other.multiplier = n.inverse;
    for (int i = 0; i < 2; i++)
        both[i]->add(&other, n.residual_scale, n.residual_zero, a, count, b, count, y[i], count, rows, count);
    expect(memcmp(y[0], y[1], size) == 0, kernels->name, "addition of floats", count, rows);
    other.multiplier = NULL;
    for (int i = 0; i < 2; i++)
        both[i]->add(&other, n.residual_scale, n.residual_zero, a, count, b, count, y[i], count, rows, count);
    expect(memcmp(y[0], y[1], size) == 0, kernels->name, "linear addition", count, rows);
    const int8_t *weight = (const int8_t *)b;
    const struct int8_float_layer layer = {
        .window = {1, rows, count, 1, rows, count, 1, 1, 1, 1, 1, 1, 0, 0}, .channels = count, .filters = count,
        .weight = weight, .filter_stride = 1, .weight_scale = n.inverse, .bias = n.bias, .starts_with_bias = 1,
        .input_scale = 0.01f, .input_zero = 100, .order = (enum float_order)number(3), .block = 16, .low = -INFINITY,
        .high = INFINITY, .output_scale = 1.3f, .output_zero = 50};
    for (int i = 0; i < 2; i++) both[i]->round_results(&layer, real, n.tie, a, y[i], rows);
    expect(memcmp(y[0], y[1], size) == 0, kernels->name, "rounding of floats", count, rows);
    for (int i = 0; i < 2; i++) both[i]->quantize(n.inverse, n.zero, real, count, y[i], count, rows, count);
    expect(memcmp(y[0], y[1], size) == 0, kernels->name, "quantization", count, rows);
    for (int i = 0; i < 2; i++) both[i]->dequantize(n.inverse, n.zero, a, count, f[i], count, rows, count);
    expect(memcmp(f[0], f[1], size * 4) == 0, kernels->name, "dequantization", count, rows);
    for (int i = 0; i < 2; i++) both[i]->quantize_planes(n.inverse, n.zero, real, count, y[i], 3, count, 3);
    expect(memcmp(y[0], y[1], size) == 0, kernels->name, "quantization of planes", count, 3);
    discard(&n);
    for (int i = 0; i < 2; i++) free(y[i]), free(f[i]);
    free(a), free(b), free(real);
}

static void compare_pools(const struct int8_kernels *kernels, const struct int8_kernels *scalar, ptrdiff_t channels,
                          ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride) {
    struct float_pool pool;
    memset(&pool, 0, sizeof pool);
    pool.window = window(size, kernel, stride, 1, channels);
    pool.window.output_pitch = channels;
    pool.channels = channels;
    uint8_t *input = octets(size * (size + 1) * channels, 0);
    float *multiplier = floats(channels, 1, 0.5f), *bias = floats(channels, 10, 20);
    const ptrdiff_t rows = pool.window.output_height, bytes = rows * pool.window.output_width * channels;
    uint8_t *y = memory(bytes), *expected = memory(bytes);
    kernels->max_pool(&pool, input, y, 0, rows), scalar->max_pool(&pool, input, expected, 0, rows);
    expect(memcmp(y, expected, (size_t)bytes) == 0, kernels->name, "maximum", channels, kernel);
    struct float_pool of_words = pool;
    of_words.window.input_pitch *= 2;
    uint8_t *words = octets(2 * size * (size + 1) * channels, 0);
    int16_t *largest[2] = {memory(2 * bytes), memory(2 * bytes)};
    kernels->max_pool_words(&of_words, words, largest[0], 0, rows);
    scalar->max_pool_words(&of_words, words, largest[1], 0, rows);
    expect(memcmp(largest[0], largest[1], (size_t)bytes * 2) == 0, kernels->name, "maximum of words", channels, kernel);
    free(words), free(largest[0]), free(largest[1]);
    kernels->average_pool(&pool, multiplier, bias, input, y, 0, rows);
    scalar->average_pool(&pool, multiplier, bias, input, expected, 0, rows);
    expect(memcmp(y, expected, (size_t)bytes) == 0, kernels->name, "average", channels, kernel);
    for (int order = float_pool_columns; order <= float_pool_lanes; order++) {
        const struct int8_float_pool by = {(enum float_pool_order)order, 0.3f, 0.31f, 100, 90};
        kernels->average_pool_floats(&pool, &by, input, y, 0, rows);
        scalar->average_pool_floats(&pool, &by, input, expected, 0, rows);
        expect(memcmp(y, expected, (size_t)bytes) == 0, kernels->name, "average of floats", channels, kernel);
    }
    free(input), free(multiplier), free(bias), free(y), free(expected);
}

static void compare_interpolation(const struct int8_kernels *kernels, const struct int8_kernels *scalar, ptrdiff_t channels,
                                  int taps) {
    enum { from = 5, to = 7 };
    int32_t *positions = memory(to * taps * 4);
    float *weights = floats(to * taps, 0.5f, 0.5f);
    for (int i = 0; i < to * taps; i++) positions[i] = (int32_t)number(from);
    const struct interpolation job = {from, channels, to, channels + 1, channels, taps, taps, positions, positions, weights, weights};
    uint8_t *input = octets(from * from * channels, 0);
    const ptrdiff_t bytes = to * to * (channels + 1);
    uint8_t *y = memory(bytes), *expected = memory(bytes);
    kernels->interpolate(&job, input, y, 0, to), scalar->interpolate(&job, input, expected, 0, to);
    expect(memcmp(y, expected, (size_t)bytes) == 0, kernels->name, "interpolation", channels, taps);
    free(positions), free(weights), free(input), free(y), free(expected);
}

static void compare(const struct int8_kernels *kernels, const struct int8_kernels *scalar) {
    for (ptrdiff_t channels = 1; channels <= 70; channels += 1 + channels / 5)
        for (ptrdiff_t kernel = 1; kernel <= 5; kernel += 2)
            for (int kind = 0; kind < 7; kind++) {
                const ptrdiff_t size = 3 + (ptrdiff_t)number(9), filters = 1 + (ptrdiff_t)number(75);
                const ptrdiff_t stride = 1 + (ptrdiff_t)number(2), dilation = kernel > 1 ? 1 + (ptrdiff_t)number(2) : 1;
                compare_layer(dense, kernels, scalar, channels, filters, size, kernel, stride, dilation, kind, (int)number(2));
                // Rows of several groups of outputs.
                compare_layer(depthwise, kernels, scalar, channels, channels, size + (kernel == 5 ? (ptrdiff_t)number(20) : 0),
                              kernel, stride, dilation, kind, (int)number(2));
                if (kernel == 3 && kind < 6)
                    compare_layer(winograd, kernels, scalar, channels, filters, size, 3, 1, 1, kind, (int)number(2));
            }
    for (ptrdiff_t channels = 1; channels <= 70; channels += 1 + channels / 3)
        for (int form = 0; form < 8; form++)
            for (int kind = 0; kind < 5; kind += 2) {
                const int takes = form & 1, makes = (form & 2) != 0, is_depthwise = (form & 4) != 0;
                const ptrdiff_t size = 3 + (ptrdiff_t)number(9), stride = 1 + (ptrdiff_t)number(2);
                if (kind == 4 && makes) continue;
                compare_words(kernels, scalar, is_depthwise, channels, is_depthwise ? channels : 1 + (ptrdiff_t)number(75), size,
                              is_depthwise ? 3 : 1 + 2 * (ptrdiff_t)number(3), stride, takes, makes, kind, (int)number(2));
            }
    for (ptrdiff_t count = 1; count <= 100; count += 1 + count / 7) {
        compare_elementwise(kernels, scalar, count);
        compare_interpolation(kernels, scalar, count, 2 + (int)number(3));
        compare_pools(kernels, scalar, count, 4 + (ptrdiff_t)number(5), 2 + (ptrdiff_t)number(2), 1 + (ptrdiff_t)number(2));
    }
}

int main(void) {
    int count = 0;
    while (int8_kernels_available(count)) count++;
    const struct int8_kernels *scalar = int8_kernels_available(count - 1);
    for (int k = 0; k + 1 < count; k++) {
        const struct int8_kernels *kernels = int8_kernels_available(k);
        compare(kernels, scalar);
        if (kernels->unlimited) compare(kernels->unlimited, scalar);
        printf("%s%s\n", kernels->name, kernels->unlimited ? ", with and without the lane limit" : "");
    }
    return outcome();
}
