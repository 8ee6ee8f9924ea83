// SPDX-License-Identifier: Apache-2.0
// What comparisons of kernels share: numbers that are the same in every run, memory with nothing behind it but the SLACK bytes
// that kernels may read, and the count of differences. The including file defines SLACK.
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long state = 1;
static int failures = 0, cases = 0;

static unsigned number(unsigned count) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33) % count;
}
static float fraction(void) { return (float)number(1 << 20) / (1 << 19) - 1; }

/// Zeroed memory with the bytes after it that kernels may read.
static void *memory(ptrdiff_t bytes) {
    void *p = calloc(1, (size_t)bytes + SLACK);
    if (!p) exit(2);
    return p;
}
static float *floats(ptrdiff_t count, float middle, float reach) {
    float *p = memory(count * 4);
    for (ptrdiff_t i = 0; i < count; i++) p[i] = middle + fraction() * reach;
    return p;
}
/// Any bytes, or those at the ends of the range.
static uint8_t *octets(ptrdiff_t count, int is_extreme) {
    uint8_t *p = memory(count);
    for (ptrdiff_t i = 0; i < count; i++) p[i] = is_extreme ? (number(2) ? 255 : 0) : (uint8_t)number(256);
    return p;
}

static void expect(int holds, const char *kernels, const char *what, ptrdiff_t a, ptrdiff_t b) {
    cases++;
    if (holds) return;
    if (++failures < 20) printf("%s: %s of %td and %td differs\n", kernels, what, a, b);
}

/// The exit status.
static int outcome(void) {
    printf("%d cases, %d differences\n", cases, failures);
    return failures ? 1 : 0;
}
