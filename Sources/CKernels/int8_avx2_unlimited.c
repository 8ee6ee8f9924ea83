// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <immintrin.h>

#include "ckernels_int8.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define KERNELS_SYMBOL int8_kernels_avx2_unlimited
#include "int8_avx2.h"
#pragma clang attribute pop
#endif
