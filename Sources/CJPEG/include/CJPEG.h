// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

/// libjpeg behind functions that catch its longjmp in C and return a code, and the loop that resamples decoded pixels.
/// Nothing here keeps state outside the handles; a handle belongs to one thread at a time.

#ifdef __cplusplus
extern "C" {
#endif

/// Why a picture gave no pixels.
typedef enum {
    CJPEG_OK = 0,
    CJPEG_EMPTY,           ///< no bytes
    CJPEG_NOT_JPEG,        ///< does not begin with a start-of-image marker
    CJPEG_TRUNCATED,       ///< the data ends before the picture does
    CJPEG_CORRUPT,         ///< contradicts the standard, or more than an eighth of the picture is lost
    CJPEG_TOO_MANY_BYTES,  ///< more bytes than the limit
    CJPEG_TOO_LARGE,       ///< width, height, pixels or working memory above the limit
    CJPEG_TOO_MANY_SCANS,  ///< more scans, or more scans times pixels, than the limit
    CJPEG_UNSUPPORTED,     ///< legal but not decoded here: lossless, hierarchical, 12 bit, 2 or more than 4 components
    CJPEG_OUT_OF_MEMORY,
} cjpeg_status;

enum { CJPEG_MESSAGE_BYTES = 256 };

/// What a decoder accepts. All of it but the scans and the working memory is checked on the header alone.
typedef struct {
    size_t bytes;
    uint32_t width, height;
    uint64_t pixels;
    uint32_t scans;
    uint64_t scan_pixels;   ///< scans * width * height: bounds the work that a small progressive file can cause
    size_t working_bytes;   ///< what libjpeg may take for coefficients of multi-scan pictures
} cjpeg_limits;

/// What the header says.
typedef struct {
    uint32_t width, height;  ///< as stored, before the orientation is applied
    uint32_t components;
    uint32_t orientation;    ///< EXIF 1...8; 1 where there is none or it is not sane
} cjpeg_header;

/// Decoded rows, top to bottom as stored, valid until the next call with the same handle.
typedef struct {
    const uint8_t *pixels;
    uint32_t width, height;
    uint32_t channels;       ///< 1 (gray) or 3 (red, green, blue)
    size_t row_bytes;
    uint32_t warnings;       ///< faults that left the picture usable
} cjpeg_image;

typedef struct cjpeg_decoder cjpeg_decoder;

/// NULL when there is no memory.
cjpeg_decoder *cjpeg_decoder_create(void);
void cjpeg_decoder_destroy(cjpeg_decoder *decoder);

/// Reads the header of `data`, which must stay valid until the picture is decoded. Takes no memory that depends on it.
cjpeg_status cjpeg_decoder_open(
    cjpeg_decoder *decoder, const uint8_t *data, size_t length, const cjpeg_limits *limits, cjpeg_header *header);

/// Decodes the opened picture at `numerator`/8 of its size (1...8, rounded up) into `channels` (1 or 3).
cjpeg_status cjpeg_decoder_decode(cjpeg_decoder *decoder, uint32_t numerator, uint32_t channels, cjpeg_image *image);

/// Text of the last failure, in the words of libjpeg where it has some. Lives as long as the decoder.
const char *cjpeg_decoder_message(const cjpeg_decoder *decoder);

/// Walks the marker segments up to the first scan: size and type of the frame, EXIF orientation. Takes no memory.
/// CJPEG_TRUNCATED when the data ends before a frame header. `header` holds what was found.
cjpeg_status cjpeg_scan_header(const uint8_t *data, size_t length, cjpeg_header *header);

/// EXIF orientation 1...8 in the payload of an APP1 segment, 0 if there is none.
uint32_t cjpeg_exif_orientation(const uint8_t *payload, size_t length);

typedef enum { CJPEG_GRAY = 1, CJPEG_RGB = 3, CJPEG_CMYK = 4 } cjpeg_pixel_format;

typedef struct {
    uint32_t width, height;        ///< 1...65500
    cjpeg_pixel_format format;     ///< of the pixels given: rows without gaps, one byte per channel
    int32_t quality;               ///< 1...100
    uint32_t horizontal_sampling;  ///< of luma against chroma, 1 or 2; colour only
    uint32_t vertical_sampling;    ///< likewise
    int32_t progressive;           ///< not 0: progressive with libjpeg's standard script
    uint32_t restart_rows;         ///< a restart marker every so many rows of MCUs; 0 for none
    int32_t rgb;                   ///< not 0: store red, green, blue instead of luma and chroma
} cjpeg_encoding;

typedef struct cjpeg_encoder cjpeg_encoder;

cjpeg_encoder *cjpeg_encoder_create(void);
void cjpeg_encoder_destroy(cjpeg_encoder *encoder);
/// Compresses `pixels`. The result lives in the encoder until its next call.
cjpeg_status cjpeg_encoder_encode(
    cjpeg_encoder *encoder, const uint8_t *pixels, const cjpeg_encoding *encoding, const uint8_t **data,
    size_t *length);
const char *cjpeg_encoder_message(const cjpeg_encoder *encoder);

/// One sampling position: between source elements `index` and `index + 1`, the second with weight `fraction` / 16384.
typedef struct {
    uint32_t index;
    uint16_t fraction;  ///< 0...16383
} cjpeg_position;

/// Positions of `count` samples laid evenly over `source` elements, centre on centre, clamped at the borders:
/// p(i) = (i + 1/2) * source / count - 1/2. In exact integers: equal on every machine.
void cjpeg_sample_positions(uint32_t source, uint32_t count, cjpeg_position *positions);

typedef enum {
    CJPEG_TO_RGB = 0,
    CJPEG_TO_BGR = 1,
    CJPEG_TO_GRAY = 2,
} cjpeg_target;

typedef struct {
    const uint8_t *source;
    uint32_t source_width, source_height;
    uint32_t source_channels;     ///< 1 or 3
    size_t source_row_bytes;

    /// Where the first pixel of the source goes, and the steps in bytes for the next column and row **of the source**:
    /// a rotation or mirroring is a choice of steps.
    uint8_t *target;
    ptrdiff_t column_step, row_step;
    uint32_t columns, rows;       ///< target pixels along the source's columns and rows
    uint32_t target_pixel_bytes;  ///< 1 (gray), 3, or 4 (fourth byte written 0)
    cjpeg_target order;

    const cjpeg_position *column_positions;  ///< `columns` of them
    const cjpeg_position *row_positions;     ///< `rows` of them
    int16_t *row;                            ///< scratch, (source_width + 2) * source_channels elements
} cjpeg_resampling;

/// Bilinear interpolation, rows first: r = (a * (256 - f) + b * f) >> 1 with f the row's fraction rounded to 8 bits,
/// then columns: (r0 * (16384 - g) + r1 * g + 2^20) >> 21. Before the last rounding it is off by less than 0.52 of
/// exact arithmetic (255/512 by f, 1/256 by the shift, 255/32768 by g), so the result is within one of the exact one rounded
/// to nearest. Integers throughout: the same on every machine.
void cjpeg_resample(const cjpeg_resampling *resampling);

/// Averages blocks of `across` x `down` pixels (1...256 each), rounded to nearest; incomplete blocks at the right and
/// bottom average what there is. Target rows have no gaps.
void cjpeg_box_reduce(
    const uint8_t *source, uint32_t width, uint32_t height, uint32_t channels, size_t row_bytes, uint32_t across,
    uint32_t down, uint8_t *target);

#ifdef __cplusplus
}
#endif
