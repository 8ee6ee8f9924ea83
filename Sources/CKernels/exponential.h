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

INLINE vector logistic(vector x) { return splat(1) / (splat(1) + exponential(-x)); }
