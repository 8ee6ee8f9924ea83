// SPDX-License-Identifier: Apache-2.0
#ifdef __aarch64__
#define NEON_WIDE
#define KERNELS_NAME "neon"
#define KERNELS_SYMBOL int8_dense_kernels_neon
#include "int8_dense_neon.h"
#endif
