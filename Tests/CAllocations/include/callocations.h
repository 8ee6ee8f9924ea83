// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How often this thread has asked for memory so far; -1 where that cannot be counted (beside a sanitizer, or another C
/// library than glibc).
long allocations_of_this_thread(void);
