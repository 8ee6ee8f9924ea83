// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <math.h>
#include <stdint.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define WIDTH 8
#define TILE_PIXELS 6
#define HAS_FMA 1
#define KERNELS_NAME "avx2"
#define KERNELS_SYMBOL float_kernels_avx2
#include "float_template.h"
#pragma clang attribute pop
#endif
