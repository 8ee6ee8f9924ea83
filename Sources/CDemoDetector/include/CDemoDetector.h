// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

/// The model file of the demo's detector, `demo-detector.bsm`, as part of the program: a single binary runs the demo
/// wherever it is put.
const void *demo_detector_bytes(void);
size_t demo_detector_count(void);
