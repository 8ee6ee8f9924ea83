// SPDX-License-Identifier: Apache-2.0
#ifdef __aarch64__
#define KERNELS_NAME "neon"
#define KERNELS_SYMBOL int8_kernels_neon_unlimited
#include "int8_neon.h"
#endif
