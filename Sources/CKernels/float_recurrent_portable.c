// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <stdint.h>

#define WIDTH 4
#define KERNELS_NAME "scalar"
#define KERNELS_SYMBOL float_recurrent_kernels_portable
#include "float_recurrent_template.h"
