// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "ckernels_float.h"
#include "ckernels_dense.h"
#include "ckernels_int8.h"
