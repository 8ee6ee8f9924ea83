// SPDX-License-Identifier: Apache-2.0
// Fully connected and recurrent layers over 8-bit numbers: activations uint8, weights int8 with a scale per row. Every
// instruction set gives the same bytes, as in ckernels_int8.h, and takes the same packed weights.
#pragma once
#include "ckernels_int8.h"

/// Rows of a packed tile at most; tiles have a multiple of 16 rows.
enum { int8_tile_rows = 64 };

/// Weights [rows, steps] as `int8_matrix_pack` arranges them.
struct int8_matrix {
    const void *packed;
    ptrdiff_t rows, steps;
    /// Rows per tile; the last one is cut to a multiple of 16.
    ptrdiff_t tile;
    /// How many products of `vpmaddubsw` may be added in an int16 lane without overflow: 2, 1 or 0 for not even one (which
    /// is itself a sum of two). Says only how AVX2 computes; the sums are the same.
    int lane_products;
};

/// y[i, n] = epilogue(sum over k of (x[i, k] - zero point of k) * weight[n, k]), without a residual.
struct int8_dense {
    struct int8_matrix weights;
    /// Elements from one row of x, and of y, to the next.
    ptrdiff_t x_pitch, y_pitch;
    struct int8_epilogue epilogue;
};

/// One direction of a recurrent layer over `length` steps of `batch` sequences.
///
/// Unit j of a layer of H units has its gates at rows (j / 16 * G + g) * 16 + j % 16 of `input` and `recurrence`. What goes
/// into a gate is p = fma(sum of recurrence * h, recurrence_multiplier, fma(sum of input * x, input_multiplier, bias)),
/// where multipliers and bias carry the factor -log2(e), or -2 log2(e) for a gate with tanh, so that with E = 2^p
/// sigmoid = 1 / (1 + E) and tanh = (1 - E) / (1 + E). Products read the last h rounded to uint8.
///
/// LSTM, G = 4 in the order i, o, f, c:
///   a = (1 + Ei) * (1 + Ec), d = 1 + Ef, cell = fma(cell, a, (1 - Ec) * d) / (a * d)
///   E = 2^(cell * -2 log2(e)), h = (1 - E) / ((1 + Eo) * (1 + E))
/// GRU, G = 3 in the order z, r, h, the reset gate behind the recurrent product:
///   n = fma(1 / (1 + Er), recurrent part of h, input part of h), E = 2^n, b = 1 + E
///   h = fma(h, b, (1 - E) * Ez) / ((1 + Ez) * b)
/// The first has one bias per gate; for h of the GRU `bias` belongs to the input part and `recurrent_bias` to the other.
/// 2^p: p limited to -30...30, p = n + f with n nearest to even, 2^f a polynomial of degree 4 in Horner's form.
struct int8_recurrent {
    ptrdiff_t length, batch, units;
    int reversed;
    struct int8_matrix input, recurrence;
    const float *input_multiplier, *recurrence_multiplier, *bias, *recurrent_bias;
    /// h as uint8: clamp(rint(fma(h, inverse_scale, zero)), 0, 255)
    float inverse_scale, zero;
    /// Elements from one step, and from one sequence, to the next, in x and in y.
    ptrdiff_t x_step, x_sequence, y_step, y_sequence;
    /// Per sequence, for units rounded up to 16: h as uint8 twice (of which the first is read first), h and cell as float.
    /// They hold the initial state before and the last state after a run; the last h as uint8 lies at
    /// `length % 2`.
    uint8_t *state;
    float *hidden, *cell;
    /// Either may be null.
    uint8_t *y;
    float *real_y;
};

/// Sets state, hidden and cell to the given initial h and cell of each sequence, `pitch` apart; null stands for zeros.
void int8_recurrent_start(const struct int8_recurrent *, const float *h, const float *cell, ptrdiff_t pitch);

struct int8_dense_kernels {
    const char *name;
    /// Rows of x [0, rows), rows of weights [begin, end), where begin is a multiple of the tile.
    void (*dense)(const struct int8_dense *, const uint8_t *x, void *y, ptrdiff_t rows, ptrdiff_t begin, ptrdiff_t end);
    void (*lstm)(const struct int8_recurrent *, const uint8_t *x);
    void (*gru)(const struct int8_recurrent *, const uint8_t *x);
    /// y[i] = clamp(rint(x[i] / scale) + zero, 0, 255), where NaN becomes the zero point.
    void (*quantize)(float scale, float zero, const float *x, uint8_t *y, ptrdiff_t count);
};

/// The kernels for this processor, or those that BROKERSIDE_CPU names if the processor has them.
const struct int8_dense_kernels *int8_dense_kernels_best(void);
/// All kernels that this processor can run, the plain ones last; null from `index` = their number on.
const struct int8_dense_kernels *int8_dense_kernels_available(int index);

ptrdiff_t int8_matrix_bytes(ptrdiff_t rows, ptrdiff_t steps, ptrdiff_t tile);
/// From weight[row * row_stride + step * step_stride] and the input's zero points per step to tiles of
/// [int32 -sum(weight * zero point) per row][group of four steps][row][four steps], steps rounded up to 8.
/// Row i of the packed matrix is row order[i] of `weight`, or zeros where that is negative; null: row i.
void int8_matrix_pack(const int8_t *weight, ptrdiff_t row_stride, ptrdiff_t step_stride, const uint8_t *zero_points,
                      const int32_t *order, ptrdiff_t rows, ptrdiff_t steps, ptrdiff_t tile, void *packed);
/// `lane_products` of such weights.
int int8_matrix_lane_products(const int8_t *weight, ptrdiff_t row_stride, ptrdiff_t step_stride, ptrdiff_t rows,
                              ptrdiff_t steps);

/// One direction of a recurrent layer in float32. Packed weights are [16 units][step][gate][unit] with gates, and their
/// order, as in `int8_recurrent`, bias [16 units][gate][unit].
struct float_recurrent {
    ptrdiff_t length, batch, units, inputs;
    int reversed;
    /// GRU: the reset gate acts on h before the recurrent product; weights for z, r and for h are packed apart then.
    int resets_first;
    const float *input, *recurrence, *candidate_recurrence, *bias, *recurrent_bias;
    ptrdiff_t x_step, x_sequence, y_step, y_sequence;
    /// Per sequence, for units rounded up to 16: h twice, as in `int8_recurrent`; the cell of an LSTM; for a GRU with
    /// `resets_first` room for two rows.
    float *state, *cell, *scratch;
    /// May be null.
    float *y;
};

/// Sets state and cell to the given initial h and cell of each sequence, `pitch` apart; null stands for zeros.
void float_recurrent_start(const struct float_recurrent *, const float *h, const float *cell, ptrdiff_t pitch);

struct float_recurrent_kernels {
    const char *name;
    void (*lstm)(const struct float_recurrent *, const float *x);
    void (*gru)(const struct float_recurrent *, const float *x);
};

const struct float_recurrent_kernels *float_recurrent_kernels_best(void);
const struct float_recurrent_kernels *float_recurrent_kernels_available(int index);

/// packed[block][step][i] = weight[order[block * tile + i]][step], zero where `order` is negative; `rows` of them, a
/// multiple of the tile.
void float_matrix_pack(const float *weight, const int32_t *order, ptrdiff_t rows, ptrdiff_t steps, ptrdiff_t tile,
                       float *packed);
