// SPDX-License-Identifier: Apache-2.0
#ifdef __aarch64__
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#define NEON_I8MM
#define KERNELS_NAME "i8mm"
#define KERNELS_SYMBOL int8_kernels_i8mm
#include "int8_neon.h"
#pragma clang attribute pop
#endif
