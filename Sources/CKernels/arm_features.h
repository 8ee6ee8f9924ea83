// SPDX-License-Identifier: Apache-2.0
// What an AArch64 processor has beyond the baseline, as the kernel of the operating system says.
#pragma once
#ifdef __aarch64__
struct arm_features {
    int has_dotprod, has_i8mm;
};

#ifdef __linux__
#include <sys/auxv.h>

static inline struct arm_features arm_features(void) {
    // HWCAP_ASIMDDP and HWCAP2_I8MM of asm/hwcap.h, which older headers lack.
    const unsigned long dotprod = 1ul << 20, i8mm = 1ul << 13;
    return (struct arm_features){(getauxval(AT_HWCAP) & dotprod) != 0, (getauxval(AT_HWCAP2) & i8mm) != 0};
}
#else
static inline struct arm_features arm_features(void) { return (struct arm_features){0, 0}; }
#endif
#endif
