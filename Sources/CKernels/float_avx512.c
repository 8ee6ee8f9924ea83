// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <math.h>
#include <stdint.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"))), apply_to = function)
#define WIDTH 16
#define TILE_PIXELS 8
#define HAS_FMA 1
#define KERNELS_NAME "avx512"
#define KERNELS_SYMBOL float_kernels_avx512
#include "parts_avx512.h"
#include "float_template.h"
#pragma clang attribute pop
#endif
