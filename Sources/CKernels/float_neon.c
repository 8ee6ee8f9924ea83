// SPDX-License-Identifier: Apache-2.0
#ifdef __aarch64__
#include <math.h>
#include <stdint.h>
#include <string.h>

#define WIDTH 4
#define TILE_PIXELS 8
#define HAS_FMA 1
#define KERNELS_NAME "neon"
#define KERNELS_SYMBOL float_kernels_neon
#include "float_template.h"
#endif
