// SPDX-License-Identifier: Apache-2.0
// Inlined whatever it costs the compiler: arguments that are constant where a function is called make its special cases. Where
// speed is not what matters, the command line can define it as `static inline`.
#pragma once

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif
