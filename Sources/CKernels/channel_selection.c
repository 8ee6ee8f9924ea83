// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "ckernels_float.h"

/// What of a selection vectors compute: every second channel, or channels of two runs in turn.
enum pattern { no_pattern, every_second, two_in_turn };

static enum pattern pattern_of(const int32_t *channels, ptrdiff_t count) {
    int is_second = 1, is_in_turn = 1;
    for (ptrdiff_t i = 1; i < count; i++) is_second &= channels[i] == channels[i - 1] + 2;
    for (ptrdiff_t i = 2; i < count; i++) is_in_turn &= channels[i] == channels[i - 2] + 1;
    return is_second ? every_second : is_in_turn && count % 2 == 0 ? two_in_turn : no_pattern;
}

#define EVEN_4 0, 2, 4, 6
#define EVEN_8 EVEN_4, 8, 10, 12, 14
#define EVEN_16 EVEN_8, 16, 18, 20, 22, 24, 26, 28, 30
#define TURN_4 0, 4, 1, 5
#define TURN_8 0, 8, 1, 9, 2, 10, 3, 11
#define TURN_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23

/// Selections of one pixel of elements of which a vector holds `lanes`. The last vector ends where the selection ends, and may
/// compute some of it once more.
#define SELECTION(element, lanes)                                                                                           \
    static void select_##element(element *target, const element *source, const int32_t *channels, ptrdiff_t count,          \
                                 enum pattern pattern) {                                                                    \
        typedef element vector __attribute__((vector_size(16)));                                                            \
        if (pattern == no_pattern || count < lanes) {                                                                       \
            for (ptrdiff_t i = 0; i < count; i++) target[i] = source[channels[i]];                                          \
            return;                                                                                                         \
        }                                                                                                                   \
        for (ptrdiff_t i = 0; i < count; i += lanes) {                                                                      \
            if (count - i < lanes) i = count - lanes;                                                                       \
            const int is_second = pattern == every_second;                                                                  \
            const element *p = is_second ? source + channels[0] + 2 * i : source + channels[0] + i / 2;                     \
            const element *q = is_second ? p + lanes : source + channels[1] + i / 2;                                        \
            vector a, b;                                                                                                    \
            memcpy(&a, p, 16);                                                                                              \
            memcpy(&b, q, 16);                                                                                              \
            const vector selected = is_second ? __builtin_shufflevector(a, b, EVEN_##lanes)                                 \
                                              : __builtin_shufflevector(a, b, TURN_##lanes);                                \
            memcpy(target + i, &selected, 16);                                                                              \
        }                                                                                                                   \
    }
SELECTION(uint8_t, 16)
SELECTION(uint16_t, 8)
SELECTION(uint32_t, 4)
#undef SELECTION

void select_channels(void *target, ptrdiff_t target_pitch, const void *source, ptrdiff_t source_pitch, ptrdiff_t size,
                     const int32_t *channels, ptrdiff_t count, ptrdiff_t pixels) {
    const enum pattern pattern = pattern_of(channels, count);
    char *to = target;
    const char *from = source;
    for (ptrdiff_t i = 0; i < pixels; i++, to += target_pitch, from += source_pitch) {
        switch (size) {
            case 1: select_uint8_t((uint8_t *)to, (const uint8_t *)from, channels, count, pattern); break;
            case 2: select_uint16_t((uint16_t *)to, (const uint16_t *)from, channels, count, pattern); break;
            case 4: select_uint32_t((uint32_t *)to, (const uint32_t *)from, channels, count, pattern); break;
            default:
                for (ptrdiff_t c = 0; c < count; c++) memcpy(to + c * size, from + channels[c] * size, (size_t)size);
        }
    }
}
