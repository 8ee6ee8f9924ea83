// SPDX-License-Identifier: Apache-2.0

#include "CDemoDetector.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char model[] __attribute__((aligned(64))) = {
#embed "demo-detector.bsm"
};

const void *demo_detector_bytes(void) { return model; }

size_t demo_detector_count(void) { return sizeof model; }
