// SPDX-License-Identifier: Apache-2.0
// What can be known of a JPEG before libjpeg sees it. Markers and segments: ITU-T T.81, B.1; EXIF: CIPA DC-008, 4.6.

#include "CJPEG.h"

#include <string.h>

enum { SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, APP1 = 0xE1, TEM = 0x01 };

static uint32_t big16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }

/// SOF0...SOF15 without DHT (C4), JPG (C8) and DAC (CC), which share the range.
static int is_frame_header(uint8_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

cjpeg_status cjpeg_scan_header(const uint8_t *data, size_t length, cjpeg_header *header) {
    *header = (cjpeg_header){.orientation = 1};
    if (length == 0) return CJPEG_EMPTY;
    if (data[0] != 0xFF) return CJPEG_NOT_JPEG;
    if (length < 2) return CJPEG_TRUNCATED;
    if (data[1] != SOI) return CJPEG_NOT_JPEG;
    int orientation_seen = 0;
    size_t at = 2;
    for (;;) {
        // libjpeg skips what is no marker, so this does too.
        while (at < length && data[at] != 0xFF) at++;
        while (at < length && data[at] == 0xFF) at++;
        if (at >= length) return CJPEG_TRUNCATED;
        uint8_t marker = data[at++];
        if (marker == 0 || marker == TEM || (marker >= 0xD0 && marker <= 0xD7)) continue;
        if (marker == SOI || marker == EOI || marker == SOS) return CJPEG_CORRUPT;
        if (length - at < 2) return CJPEG_TRUNCATED;
        size_t segment = big16(data + at);
        if (segment < 2) return CJPEG_CORRUPT;
        if (is_frame_header(marker)) {
            if (length - at < 8) return CJPEG_TRUNCATED;
            header->height = big16(data + at + 3);
            header->width = big16(data + at + 5);
            header->components = data[at + 7];
            return CJPEG_OK;
        }
        if (length - at < segment) return CJPEG_TRUNCATED;
        if (marker == APP1 && !orientation_seen) {
            uint32_t found = cjpeg_exif_orientation(data + at + 2, segment - 2);
            if (found) {
                header->orientation = found;
                orientation_seen = 1;
            }
        }
        at += segment;
    }
}

uint32_t cjpeg_exif_orientation(const uint8_t *payload, size_t length) {
    // "Exif", two zero bytes, then a TIFF file: byte order, 42, offset of the first directory; a directory is a count
    // and entries of 12 bytes: tag, type, count, value. Only the first directory describes the main picture.
    enum { tiff = 6, tag_orientation = 0x0112, type_short = 3, entry_bytes = 12 };
    if (length < tiff + 8 || memcmp(payload, "Exif\0", 6) != 0) return 0;
    const uint8_t *file = payload + tiff;
    size_t size = length - tiff;
    int little;
    if (memcmp(file, "II", 2) == 0) little = 1;
    else if (memcmp(file, "MM", 2) == 0) little = 0;
    else return 0;
#define read16(offset) \
    (little ? (uint32_t)file[(offset) + 1] << 8 | file[offset] : (uint32_t)file[offset] << 8 | file[(offset) + 1])
    if (read16(2) != 42) return 0;
    size_t directory = little ? (size_t)read16(6) << 16 | read16(4) : (size_t)read16(4) << 16 | read16(6);
    if (directory > size || size - directory < 2) return 0;
    size_t entries = read16(directory);
    size_t available = (size - directory - 2) / entry_bytes;
    if (entries > available) entries = available;
    for (size_t i = 0; i < entries; i++) {
        size_t entry = directory + 2 + i * entry_bytes;
        if (read16(entry) != tag_orientation) continue;
        if (read16(entry + 2) != type_short) return 0;
        uint32_t value = read16(entry + 8);
        return value >= 1 && value <= 8 ? value : 0;
    }
#undef read16
    return 0;
}
