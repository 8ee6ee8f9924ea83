// SPDX-License-Identifier: Apache-2.0
// The exponential function over what the including file has defined: `vector` and `integers`, `splat`, `least`, `greatest`
// and `fused`.
#pragma once

/// exp(x) to about 2 units in the last place: x = n ln 2 + r, Taylor series to degree 7.
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

/// erf(x) to about 2e-7: its series to x^21 up to 1, beyond that 7.1.26 of Abramowitz and Stegun ("Handbook of mathematical
/// functions", 1964).
INLINE vector error_function(vector x) {
    const vector size = least(greatest(x, -x), splat(6)), square = size * size;
    vector series = splat(1.48071928e-08f);
    series = fused(series, square, splat(-1.63658447e-07f));
    series = fused(series, square, splat(1.64621144e-06f));
    series = fused(series, square, splat(-1.49256504e-05f));
    series = fused(series, square, splat(0.00012055333f));
    series = fused(series, square, splat(-0.000854832702f));
    series = fused(series, square, splat(0.00522397763f));
    series = fused(series, square, splat(-0.0268661706f));
    series = fused(series, square, splat(0.112837917f));
    series = fused(series, square, splat(-0.376126389f));
    series = fused(series, square, splat(1.12837917f));
    const vector t = splat(1) / fused(splat(0.3275911f), size, splat(1));
    vector tail = splat(1.061405429f);
    tail = fused(tail, t, splat(-1.453152027f));
    tail = fused(tail, t, splat(1.421413741f));
    tail = fused(tail, t, splat(-0.284496736f));
    tail = fused(tail, t, splat(0.254829592f));
    const vector far = splat(1) - tail * t * exponential(-square);
    const integers is_near = size < splat(1), sign = (integers){0} + INT32_MIN;
    return (vector)((is_near & (integers)(series * size)) | (~is_near & (integers)far) | ((integers)x & sign));
}

INLINE vector logistic(vector x) { return splat(1) / (splat(1) + exponential(-x)); }
