// SPDX-License-Identifier: Apache-2.0
// Compares the fully connected and recurrent kernels that this processor has with the scalar ones: int8 byte by byte, float
// within 1e-5. For processors that are only emulated, and for sanitizers. Prints what was compared; exits with 1 on a difference.
#include "ckernels_dense.h"

#define SLACK 64
#include "cases.h"

static int8_t *weights(ptrdiff_t count, int products, int is_extreme) {
    const int bound = products == 2 ? 32 : products == 1 ? 64 : 127;
    int8_t *p = memory(count);
    for (ptrdiff_t i = 0; i < count; i++)
        p[i] = (int8_t)(is_extreme ? (number(2) ? bound : -bound) : (int)number((unsigned)(2 * bound + 1)) - bound);
    return p;
}

static struct int8_matrix packed(const int8_t *w, const int32_t *order, ptrdiff_t rows, ptrdiff_t steps, ptrdiff_t tile,
                                 int products) {
    uint8_t *zeros = octets(steps, 0);
    void *p = memory(int8_matrix_bytes(rows, steps, tile));
    int8_matrix_pack(w, steps, 1, zeros, order, rows, steps, tile, p);
    free(zeros);
    return (struct int8_matrix){p, rows, steps, tile, products};
}

static void compare_dense(const struct int8_dense_kernels *kernels, const struct int8_dense_kernels *scalar, ptrdiff_t rows,
                          ptrdiff_t steps, ptrdiff_t count, int products, int is_float, int is_extreme) {
    int8_t *w = weights(rows * steps, products, is_extreme);
    uint8_t *x = octets(count * steps, is_extreme);
    float *multiplier = floats(rows, 0, 1e-4f), *bias = floats(rows, 0, 1);
    float *inverse = floats(rows, 0, 0), *zero = floats(rows, 0, 0);
    for (ptrdiff_t i = 0; i < rows; i++) inverse[i] = 40, zero[i] = 99;
    const ptrdiff_t size = rows * count * (is_float ? 4 : 1);
    uint8_t *y = memory(size), *expected = memory(size);
    struct int8_dense job;
    memset(&job, 0, sizeof job);
    job.weights = packed(w, NULL, rows, steps, int8_tile_rows, products);
    job.x_pitch = steps;
    job.y_pitch = rows;
    job.epilogue.multiplier = multiplier;
    job.epilogue.bias = bias;
    job.epilogue.activation = (struct float_epilogue){number(2) ? float_clamp : float_silu, -1, 1};
    job.epilogue.inverse_scale = inverse;
    job.epilogue.zero = zero;
    if (is_float) job.epilogue.inverse_scale = NULL;
    kernels->dense(&job, x, y, count, 0, rows);
    scalar->dense(&job, x, expected, count, 0, rows);
    expect(memcmp(y, expected, (size_t)size) == 0, kernels->name, "dense", rows, steps);
    free((void *)job.weights.packed);
    free(w), free(x), free(multiplier), free(bias), free(inverse), free(zero), free(y), free(expected);
}

static int32_t *unit_order(ptrdiff_t units, int first, int gates) {
    const ptrdiff_t padded = (units + 15) / 16 * 16;
    int32_t *order = memory(padded * gates * 4);
    for (ptrdiff_t i = 0; i < padded * gates; i++) {
        const ptrdiff_t unit = i / (16 * gates) * 16 + i % 16;
        order[i] = unit < units ? (int32_t)((first + i / 16 % gates) * units + unit) : -1;
    }
    return order;
}

static void compare_recurrent(const struct int8_dense_kernels *kernels, const struct int8_dense_kernels *scalar,
                              int is_lstm, ptrdiff_t inputs, ptrdiff_t units, int products, int is_extreme) {
    enum { length = 4, batch = 2 };
    const int gates = is_lstm ? 4 : 3;
    const ptrdiff_t padded = (units + 15) / 16 * 16, rows = padded * gates;
    int32_t *order = unit_order(units, 0, gates);
    int8_t *w = weights(units * gates * inputs, products, is_extreme), *v = weights(units * gates * units, products, is_extreme);
    uint8_t *x = octets(length * batch * inputs, is_extreme);
    float *multiplier = floats(rows, 0, 1e-3f), *bias = floats(rows, 0, 1), *start = floats(batch * units, 0, 1);
    uint8_t *states[2], *results[2];
    float *real[2], *hidden[2], *cell[2];
    struct int8_recurrent job = {length, batch, units, (int)number(2), packed(w, order, rows, inputs, 16 * gates, products),
                                 packed(v, order, rows, units, 16 * gates, products), multiplier, multiplier, bias, bias,
                                 100, 120, batch * inputs, inputs, batch * units, units, NULL, NULL, NULL, NULL, NULL};
    for (int i = 0; i < 2; i++) {
        job.state = states[i] = memory(batch * 2 * padded);
        job.hidden = hidden[i] = memory(batch * padded * 4);
        job.cell = cell[i] = memory(batch * padded * 4);
        job.y = results[i] = memory(length * batch * units);
        job.real_y = real[i] = memory(length * batch * units * 4);
        int8_recurrent_start(&job, start, start, units);
        const struct int8_dense_kernels *used = i ? scalar : kernels;
        (is_lstm ? used->lstm : used->gru)(&job, x);
    }
    const size_t size = (size_t)(length * batch * units);
    expect(memcmp(results[0], results[1], size) == 0 && memcmp(real[0], real[1], size * 4) == 0 &&
               memcmp(cell[0], cell[1], (size_t)units * 4) == 0,
           kernels->name, is_lstm ? "LSTM" : "GRU", inputs, units);
    for (int i = 0; i < 2; i++) free(states[i]), free(results[i]), free(real[i]), free(hidden[i]), free(cell[i]);
    free((void *)job.input.packed), free((void *)job.recurrence.packed);
    free(order), free(w), free(v), free(x), free(multiplier), free(bias), free(start);
}

static void compare_float(const struct float_recurrent_kernels *kernels, const struct float_recurrent_kernels *scalar,
                          int kind, ptrdiff_t inputs, ptrdiff_t units) {
    enum { length = 4, batch = 2 };
    const int is_lstm = kind == 0, gates = is_lstm ? 4 : 3, resets_first = kind == 2;
    const ptrdiff_t padded = (units + 15) / 16 * 16, rows = padded * gates;
    float *x = floats(length * batch * inputs, 0, 1), *w = floats(rows * inputs, 0, 0.5f), *v = floats(rows * units, 0, 0.3f),
          *u = floats(padded * units, 0, 0.3f), *bias = floats(rows, 0, 0.5f);
    float *states[2], *cell[2], *scratch[2], *y[2];
    struct float_recurrent job = {length, batch, units, inputs, (int)number(2), resets_first, w, v, u, bias, bias,
                                  batch * inputs, inputs, batch * units, units, NULL, NULL, NULL, NULL};
    for (int i = 0; i < 2; i++) {
        job.state = states[i] = memory(batch * 2 * padded * 4);
        cell[i] = memory(batch * padded * 4);
        job.cell = is_lstm ? cell[i] : NULL;
        job.scratch = scratch[i] = memory(2 * padded * 4);
        job.y = y[i] = memory(length * batch * units * 4);
        float_recurrent_start(&job, NULL, NULL, 0);
        const struct float_recurrent_kernels *used = i ? scalar : kernels;
        (is_lstm ? used->lstm : used->gru)(&job, x);
    }
    float worst = 0;
    for (ptrdiff_t i = 0; i < length * batch * units; i++) worst = fmaxf(worst, fabsf(y[0][i] - y[1][i]));
    expect(worst < 1e-5f, kernels->name, "float recurrence", inputs, units);
    for (int i = 0; i < 2; i++) free(states[i]), free(cell[i]), free(scratch[i]), free(y[i]);
    free(x), free(w), free(v), free(u), free(bias);
}

static void compare_quantize(const struct int8_dense_kernels *kernels, const struct int8_dense_kernels *scalar,
                             ptrdiff_t count) {
    float *x = floats(count, 0, 300);
    x[0] = NAN;
    if (count > 1) x[1] = INFINITY;
    uint8_t *y = memory(count), *expected = memory(count);
    kernels->quantize(1.5f, 7, x, y, count);
    scalar->quantize(1.5f, 7, x, expected, count);
    expect(memcmp(y, expected, (size_t)count) == 0, kernels->name, "quantization", count, 1);
    free(x), free(y), free(expected);
}

int main(void) {
    int count = 0;
    while (int8_dense_kernels_available(count)) count++;
    const struct int8_dense_kernels *scalar = int8_dense_kernels_available(count - 1);
    for (int k = 0; k < count; k++) {
        const struct int8_dense_kernels *kernels = int8_dense_kernels_available(k);
        for (ptrdiff_t rows = 1; rows <= 130; rows += 1 + rows / 6)
            for (ptrdiff_t steps = 1; steps <= 70; steps += 1 + steps / 3)
                for (int products = 0; products < 3; products++)
                    compare_dense(kernels, scalar, rows, steps, 1 + (ptrdiff_t)number(9), products, products == 1, rows % 2);
        for (ptrdiff_t units = 1; units <= 50; units += 1 + units / 3)
            for (ptrdiff_t inputs = 1; inputs <= 40; inputs += 1 + inputs / 2)
                for (int i = 0; i < 4; i++)
                    compare_recurrent(kernels, scalar, i % 2, inputs, units, (int)number(3), i / 2);
        for (ptrdiff_t n = 1; n < 70; n++) compare_quantize(kernels, scalar, n);
        printf("%s\n", kernels->name);
    }
    int kinds = 0;
    while (float_recurrent_kernels_available(kinds)) kinds++;
    for (int k = 0; k < kinds; k++)
        for (ptrdiff_t units = 1; units <= 50; units += 1 + units / 3)
            for (int kind = 0; kind < 3; kind++)
                compare_float(float_recurrent_kernels_available(k), float_recurrent_kernels_available(kinds - 1), kind,
                              1 + (ptrdiff_t)number(40), units);
    return outcome();
}
