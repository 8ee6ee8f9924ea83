// SPDX-License-Identifier: Apache-2.0
#ifdef __x86_64__
#include <stddef.h>
#include <stdint.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define WIDTH 8
#define KERNELS_NAME "avx2"
#define KERNELS_SYMBOL float_recurrent_kernels_avx2
#include "float_recurrent_template.h"
#pragma clang attribute pop
#endif
