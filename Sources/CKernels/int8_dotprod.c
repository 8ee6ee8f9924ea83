// SPDX-License-Identifier: Apache-2.0
#ifdef __aarch64__
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define NEON_DOTPROD
#define KERNELS_NAME "dotprod"
#define KERNELS_SYMBOL int8_kernels_dotprod
#include "int8_neon.h"
#pragma clang attribute pop
#endif
