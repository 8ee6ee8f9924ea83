// SPDX-License-Identifier: Apache-2.0
// For any processor: what the compiler makes of vectors of four for its baseline.
#define WIDTH 4
#define TILE_PIXELS 4
#define KERNELS_NAME "scalar"
#define KERNELS_SYMBOL float_kernels_portable
#ifdef __aarch64__
#define HAS_FMA 1
#endif
#include "float_template.h"
