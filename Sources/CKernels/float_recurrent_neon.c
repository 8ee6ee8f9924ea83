// SPDX-License-Identifier: Apache-2.0
#ifdef __aarch64__
#include <stddef.h>
#include <stdint.h>

#define WIDTH 4
#define KERNELS_NAME "neon"
#define KERNELS_SYMBOL float_recurrent_kernels_neon
#include "float_recurrent_template.h"
#endif
