// SPDX-License-Identifier: Apache-2.0

#include "CJPEG.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

struct cjpeg_decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf failure;

    int created;              // `jpeg` holds libjpeg's memory
    int opened;               // a header was read, nothing decoded yet
    int ended;                // libjpeg asked for bytes after the last
    uint32_t warnings;
    uint64_t lost_mcus;
    uint32_t components_seen; // bit per component that a scan carried
    cjpeg_limits limits;

    cjpeg_status status;
    char message[CJPEG_MESSAGE_BYTES];

    uint8_t *pixels;
    size_t capacity;
    uint8_t *row;             // one row of four channels, for CMYK
    size_t row_capacity;
};

static _Noreturn void fail(cjpeg_decoder *decoder, cjpeg_status status, const char *message) {
    decoder->status = status;
    if (message) snprintf(decoder->message, sizeof decoder->message, "%s", message);
    longjmp(decoder->failure, 1);
}

static cjpeg_decoder *owner(j_common_ptr jpeg) { return (cjpeg_decoder *)jpeg->client_data; }

static cjpeg_status status_of_error(int code) {
    switch (code) {
        case JERR_INPUT_EMPTY: return CJPEG_EMPTY;
        case JERR_NO_SOI: return CJPEG_NOT_JPEG;
        case JERR_INPUT_EOF: return CJPEG_TRUNCATED;
        case JERR_IMAGE_TOO_BIG:
        case JERR_WIDTH_OVERFLOW:
        case JERR_NO_BACKING_STORE: return CJPEG_TOO_LARGE;
        case JERR_OUT_OF_MEMORY: return CJPEG_OUT_OF_MEMORY;
        case JERR_ARITH_NOTIMPL:
        case JERR_BAD_J_COLORSPACE:
        case JERR_BAD_PRECISION:
        case JERR_CCIR601_NOTIMPL:
        case JERR_COMPONENT_COUNT:
        case JERR_CONVERSION_NOTIMPL:
        case JERR_EMPTY_IMAGE:  // height 0: to be defined by a DNL marker
        case JERR_FRACT_SAMPLE_NOTIMPL:
        case JERR_NOTIMPL:
        case JERR_NOT_COMPILED:
        case JERR_SOF_UNSUPPORTED: return CJPEG_UNSUPPORTED;
        default: return CJPEG_CORRUPT;
    }
}

static void on_error(j_common_ptr jpeg) {
    cjpeg_decoder *decoder = owner(jpeg);
    (*jpeg->err->format_message)(jpeg, decoder->message);
    cjpeg_status status = status_of_error(jpeg->err->msg_code);
    // After the end libjpeg only sees an invented end of image, so whatever it misses then was cut off.
    if (decoder->ended && status == CJPEG_CORRUPT) status = CJPEG_TRUNCATED;
    // libjpeg's words for it are about the temporary files that it would use instead.
    int is_memory = jpeg->err->msg_code == JERR_NO_BACKING_STORE;
    fail(decoder, status, is_memory ? "its scans need more working memory" : NULL);
}

/// Which of libjpeg's warnings make a picture useless:
/// - the data of a scan ends early, at the end of the file or at an end-of-image marker: the picture is cut off;
/// - a code that does not exist, or a marker where none belongs: pixels are lost up to the next restart marker, or to
///   the end where there are none. More than an eighth of the picture lost is too much.
///   libjpeg-turbo looks for such codes only in the last half kilobyte or so; see `has_leftovers` for the rest.
/// All others (stray bytes between segments, unknown versions, strange parameters) leave the picture whole.
static void on_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    cjpeg_decoder *decoder = owner(jpeg);
    if (decoder->warnings < UINT32_MAX) decoder->warnings++;
    int code = jpeg->err->msg_code;
    if (code != JWRN_HIT_MARKER && code != JWRN_HUFF_BAD_CODE && code != JWRN_ARITH_BAD_CODE &&
        code != JWRN_MUST_RESYNC) return;
    j_decompress_ptr picture = &decoder->jpeg;
    (*jpeg->err->format_message)(jpeg, decoder->message);
    if (code == JWRN_HIT_MARKER && (decoder->ended || picture->unread_marker == JPEG_EOI))
        fail(decoder, CJPEG_TRUNCATED, NULL);
    uint64_t all = (uint64_t)picture->MCUs_per_row * picture->MCU_rows_in_scan;
    if (picture->restart_interval) {
        decoder->lost_mcus += picture->restart_interval;
    } else {
        uint64_t rows = picture->total_iMCU_rows;
        uint64_t left = all * (rows - picture->input_iMCU_row) / rows;
        if (decoder->lost_mcus < left) decoder->lost_mcus = left;
    }
    if (decoder->lost_mcus * 8 > all) fail(decoder, CJPEG_CORRUPT, NULL);
}

static void on_output(j_common_ptr jpeg) { (void)jpeg; }

static void source_nothing(j_decompress_ptr jpeg) { (void)jpeg; }

static boolean source_fill(j_decompress_ptr jpeg) {
    static const JOCTET end[2] = {0xFF, JPEG_EOI};
    owner((j_common_ptr)jpeg)->ended = 1;
    jpeg->src->next_input_byte = end;
    jpeg->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void source_skip(j_decompress_ptr jpeg, long count) {
    if (count <= 0) return;
    struct jpeg_source_mgr *source = jpeg->src;
    if ((size_t)count > source->bytes_in_buffer) {
        source_fill(jpeg);
    } else {
        source->next_input_byte += count;
        source->bytes_in_buffer -= (size_t)count;
    }
}

/// Called for every row of MCUs of every scan while libjpeg absorbs a multi-scan picture.
static void on_progress(j_common_ptr jpeg) {
    cjpeg_decoder *decoder = owner(jpeg);
    j_decompress_ptr picture = &decoder->jpeg;
    uint64_t scans = picture->input_scan_number > 0 ? (uint64_t)picture->input_scan_number : 0;
    uint64_t pixels = (uint64_t)picture->image_width * picture->image_height;
    if (scans > decoder->limits.scans || scans * pixels > decoder->limits.scan_pixels)
        fail(decoder, CJPEG_TOO_MANY_SCANS, "too many scans");
    for (int i = 0; i < picture->comps_in_scan; i++)
        decoder->components_seen |= 1u << picture->cur_comp_info[i]->component_index;
}

cjpeg_decoder *cjpeg_decoder_create(void) { return calloc(1, sizeof(cjpeg_decoder)); }

static void release(cjpeg_decoder *decoder) {
    if (decoder->created) jpeg_destroy_decompress(&decoder->jpeg);
    decoder->created = 0;
    decoder->opened = 0;
}

void cjpeg_decoder_destroy(cjpeg_decoder *decoder) {
    if (!decoder) return;
    release(decoder);
    free(decoder->pixels);
    free(decoder->row);
    free(decoder);
}

const char *cjpeg_decoder_message(const cjpeg_decoder *decoder) { return decoder->message; }

static void check_size(cjpeg_decoder *decoder, uint32_t width, uint32_t height) {
    const cjpeg_limits *limits = &decoder->limits;
    if (width <= limits->width && height <= limits->height && (uint64_t)width * height <= limits->pixels) return;
    snprintf(decoder->message, sizeof decoder->message, "%u x %u pixels", width, height);
    fail(decoder, CJPEG_TOO_LARGE, NULL);
}

cjpeg_status cjpeg_decoder_open(
    cjpeg_decoder *decoder, const uint8_t *data, size_t length, const cjpeg_limits *limits, cjpeg_header *header) {
    release(decoder);
    decoder->limits = *limits;
    decoder->ended = 0;
    decoder->warnings = 0;
    decoder->lost_mcus = 0;
    decoder->components_seen = 0;
    decoder->message[0] = 0;
    if (setjmp(decoder->failure)) {
        release(decoder);
        return decoder->status;
    }
    if (length > limits->bytes) fail(decoder, CJPEG_TOO_MANY_BYTES, "too many bytes");
    cjpeg_status scanned = cjpeg_scan_header(data, length, header);
    switch (scanned) {
        case CJPEG_OK: break;
        case CJPEG_EMPTY: fail(decoder, scanned, "no bytes");
        case CJPEG_NOT_JPEG: fail(decoder, scanned, "no start-of-image marker at the beginning");
        case CJPEG_TRUNCATED: fail(decoder, scanned, "the data ends before the frame header");
        default: fail(decoder, scanned, "no frame header before the picture's data");
    }
    check_size(decoder, header->width, header->height);

    // A new object for each picture: an old one keeps the tables of the picture before, and a picture without tables
    // would be decoded with those.
    decoder->jpeg.err = jpeg_std_error(&decoder->errors);
    decoder->errors.error_exit = on_error;
    decoder->errors.emit_message = on_message;
    decoder->errors.output_message = on_output;
    decoder->jpeg.client_data = decoder;
    decoder->created = 1;
    jpeg_create_decompress(&decoder->jpeg);  // keeps err and client_data
    decoder->jpeg.mem->max_memory_to_use = (long)limits->working_bytes;
    decoder->source = (struct jpeg_source_mgr){
        .next_input_byte = data,
        .bytes_in_buffer = length,
        .init_source = source_nothing,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing,
    };
    decoder->jpeg.src = &decoder->source;
    decoder->progress = (struct jpeg_progress_mgr){.progress_monitor = on_progress};
    decoder->jpeg.progress = &decoder->progress;
    jpeg_read_header(&decoder->jpeg, TRUE);
    // Ours and libjpeg's reading of a strange file could differ; libjpeg's is the one that takes memory.
    check_size(decoder, decoder->jpeg.image_width, decoder->jpeg.image_height);
    header->width = decoder->jpeg.image_width;
    header->height = decoder->jpeg.image_height;
    header->components = (uint32_t)decoder->jpeg.num_components;
    decoder->opened = 1;
    return CJPEG_OK;
}

/// Grows to `needed`; gives memory back when a far larger picture came once.
static void reserve(cjpeg_decoder *decoder, uint8_t **memory, size_t *capacity, size_t needed) {
    enum { worth_shrinking = 8 << 20 };
    if (*capacity >= needed && (*capacity <= worth_shrinking || *capacity / 4 <= needed)) return;
    free(*memory);
    *memory = malloc(needed);
    *capacity = *memory ? needed : 0;
    if (!*memory) fail(decoder, CJPEG_OUT_OF_MEMORY, "no memory for the pixels");
}

/// Ink to light. Adobe's files, which are nearly all there are, store the inks inverted: 255 is no ink.
static void convert_cmyk(const uint8_t *row, uint8_t *target, uint32_t width, uint32_t channels, int inverted) {
    uint32_t flip = inverted ? 0 : 255;
    for (uint32_t x = 0; x < width; x++) {
        uint32_t light[3], black = row[4 * x + 3] ^ flip;
        for (int c = 0; c < 3; c++) light[c] = ((row[4 * x + c] ^ flip) * black + 127) / 255;
        if (channels == 3) for (int c = 0; c < 3; c++) target[3 * x + c] = (uint8_t)light[c];
        // ITU-R BT.601 luma with 16 bit weights, as libjpeg computes it
        else target[x] = (uint8_t)((19595 * light[0] + 38470 * light[1] + 7471 * light[2] + 32768) >> 16);
    }
}

static int is_complete(const cjpeg_decoder *decoder) {
    const struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    if (jpeg->progressive_mode)
        for (int component = 0; component < jpeg->num_components; component++)
            for (int k = 0; k < DCTSIZE2; k++)
                if (jpeg->coef_bits[component][k] != 0) return 0;
    return 1;
}

/// Whether data follows where the picture's single scan should have ended. libjpeg-turbo's fast loop takes a code that
/// does not exist for a zero, without a word; then the data rarely lasts exactly as long as the picture.
static int has_leftovers(const struct jpeg_decompress_struct *jpeg) {
    if (jpeg->unread_marker) return 0;
    const JOCTET *at = jpeg->src->next_input_byte, *end = at + jpeg->src->bytes_in_buffer;
    if (at == end) return 0;
    if (*at != 0xFF) return 1;
    while (at < end && *at == 0xFF) at++;
    return at < end && *at == 0;
}

cjpeg_status cjpeg_decoder_decode(cjpeg_decoder *decoder, uint32_t numerator, uint32_t channels, cjpeg_image *image) {
    if (!decoder->opened || numerator < 1 || numerator > 8 || (channels != 1 && channels != 3)) {
        snprintf(decoder->message, sizeof decoder->message, "no picture is open");
        return CJPEG_UNSUPPORTED;
    }
    if (setjmp(decoder->failure)) {
        release(decoder);
        return decoder->status;
    }
    j_decompress_ptr jpeg = &decoder->jpeg;
    int is_cmyk = jpeg->num_components == 4;
    jpeg->scale_num = numerator;
    jpeg->scale_denom = 8;
    jpeg->out_color_space = is_cmyk ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;           // the one that is the same on every machine, and hardly slower
    jpeg->do_fancy_upsampling = numerator == 8;  // a reduced picture loses the difference anyway
    jpeg->do_block_smoothing = FALSE;
    jpeg_start_decompress(jpeg);
    if (jpeg_has_multiple_scans(jpeg)) {
        if (decoder->components_seen != (1u << jpeg->num_components) - 1)
            fail(decoder, decoder->ended ? CJPEG_TRUNCATED : CJPEG_CORRUPT, "a colour component is missing");
        if (decoder->ended && !is_complete(decoder))
            fail(decoder, CJPEG_TRUNCATED, "the data ends before the last scan");
    }

    size_t row_bytes = (size_t)jpeg->output_width * channels;
    reserve(decoder, &decoder->pixels, &decoder->capacity, row_bytes * jpeg->output_height);
    if (is_cmyk) reserve(decoder, &decoder->row, &decoder->row_capacity, (size_t)jpeg->output_width * 4);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *first = decoder->pixels + (size_t)jpeg->output_scanline * row_bytes;
        if (is_cmyk) {
            JSAMPROW row = decoder->row;
            if (jpeg_read_scanlines(jpeg, &row, 1) == 0) fail(decoder, CJPEG_CORRUPT, "no rows");
            convert_cmyk(row, first, jpeg->output_width, channels, jpeg->saw_Adobe_marker);
        } else {
            enum { at_once = 16 };
            JSAMPROW rows[at_once];
            JDIMENSION left = jpeg->output_height - jpeg->output_scanline;
            JDIMENSION count = left < at_once ? left : at_once;
            for (JDIMENSION i = 0; i < count; i++) rows[i] = first + i * row_bytes;
            if (jpeg_read_scanlines(jpeg, rows, count) == 0) fail(decoder, CJPEG_CORRUPT, "no rows");
        }
    }
    // The arithmetic decoder takes zeros after the end without a word.
    if (jpeg->arith_code && decoder->ended) fail(decoder, CJPEG_TRUNCATED, "the data ends before the picture");
    if (!jpeg_has_multiple_scans(jpeg) && has_leftovers(jpeg)) decoder->warnings++;
    *image = (cjpeg_image){
        .pixels = decoder->pixels,
        .width = jpeg->output_width,
        .height = jpeg->output_height,
        .channels = channels,
        .row_bytes = row_bytes,
        .warnings = decoder->warnings,
    };
    release(decoder);  // what follows the picture is of no interest
    return CJPEG_OK;
}
