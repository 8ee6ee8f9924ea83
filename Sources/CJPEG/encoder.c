// SPDX-License-Identifier: Apache-2.0

#include "CJPEG.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include <jerror.h>

struct cjpeg_encoder {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf failure;
    int created;
    cjpeg_status status;
    char message[CJPEG_MESSAGE_BYTES];
    uint8_t *data;
    size_t capacity, length;
};

static cjpeg_encoder *owner(j_common_ptr jpeg) { return (cjpeg_encoder *)jpeg->client_data; }

static void on_error(j_common_ptr jpeg) {
    cjpeg_encoder *encoder = owner(jpeg);
    (*jpeg->err->format_message)(jpeg, encoder->message);
    encoder->status = jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? CJPEG_OUT_OF_MEMORY : CJPEG_UNSUPPORTED;
    longjmp(encoder->failure, 1);
}

static void on_message(j_common_ptr jpeg, int level) { (void)jpeg, (void)level; }
static void on_output(j_common_ptr jpeg) { (void)jpeg; }

static void offer(cjpeg_encoder *encoder) {
    encoder->destination.next_output_byte = encoder->data + encoder->length;
    encoder->destination.free_in_buffer = encoder->capacity - encoder->length;
}

static void destination_init(j_compress_ptr jpeg) {
    cjpeg_encoder *encoder = owner((j_common_ptr)jpeg);
    encoder->length = 0;
    offer(encoder);
}

static boolean destination_full(j_compress_ptr jpeg) {
    cjpeg_encoder *encoder = owner((j_common_ptr)jpeg);
    size_t larger = encoder->capacity * 2;
    uint8_t *data = realloc(encoder->data, larger);
    if (!data) {
        jpeg->err->msg_code = JERR_OUT_OF_MEMORY;
        on_error((j_common_ptr)jpeg);
    }
    encoder->length = encoder->capacity;  // libjpeg calls this when the buffer is full to the last byte
    encoder->data = data;
    encoder->capacity = larger;
    offer(encoder);
    return TRUE;
}

static void destination_end(j_compress_ptr jpeg) {
    cjpeg_encoder *encoder = owner((j_common_ptr)jpeg);
    encoder->length = encoder->capacity - encoder->destination.free_in_buffer;
}

cjpeg_encoder *cjpeg_encoder_create(void) {
    cjpeg_encoder *encoder = calloc(1, sizeof *encoder);
    if (!encoder) return NULL;
    encoder->capacity = 64 << 10;
    encoder->data = malloc(encoder->capacity);
    encoder->jpeg.err = jpeg_std_error(&encoder->errors);
    encoder->errors.error_exit = on_error;
    encoder->errors.emit_message = on_message;
    encoder->errors.output_message = on_output;
    encoder->jpeg.client_data = encoder;
    if (!encoder->data || setjmp(encoder->failure)) {
        cjpeg_encoder_destroy(encoder);
        return NULL;
    }
    encoder->created = 1;
    jpeg_create_compress(&encoder->jpeg);
    encoder->destination = (struct jpeg_destination_mgr){
        .init_destination = destination_init,
        .empty_output_buffer = destination_full,
        .term_destination = destination_end,
    };
    encoder->jpeg.dest = &encoder->destination;
    return encoder;
}

void cjpeg_encoder_destroy(cjpeg_encoder *encoder) {
    if (!encoder) return;
    if (encoder->created) jpeg_destroy_compress(&encoder->jpeg);
    free(encoder->data);
    free(encoder);
}

const char *cjpeg_encoder_message(const cjpeg_encoder *encoder) { return encoder->message; }

cjpeg_status cjpeg_encoder_encode(
    cjpeg_encoder *encoder, const uint8_t *pixels, const cjpeg_encoding *encoding, const uint8_t **data,
    size_t *length) {
    encoder->message[0] = 0;
    if (setjmp(encoder->failure)) {
        jpeg_abort_compress(&encoder->jpeg);
        return encoder->status;
    }
    j_compress_ptr jpeg = &encoder->jpeg;
    jpeg->image_width = encoding->width;
    jpeg->image_height = encoding->height;
    jpeg->input_components = (int)encoding->format;
    jpeg->in_color_space =
        encoding->format == CJPEG_GRAY ? JCS_GRAYSCALE : encoding->format == CJPEG_RGB ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(jpeg);
    if (encoding->format == CJPEG_CMYK) jpeg_set_colorspace(jpeg, JCS_YCCK);
    if (encoding->format == CJPEG_RGB && encoding->rgb) jpeg_set_colorspace(jpeg, JCS_RGB);
    jpeg_set_quality(jpeg, encoding->quality, TRUE);
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->restart_in_rows = (int)encoding->restart_rows;
    if (encoding->format == CJPEG_RGB && !encoding->rgb) {
        jpeg->comp_info[0].h_samp_factor = (int)encoding->horizontal_sampling;
        jpeg->comp_info[0].v_samp_factor = (int)encoding->vertical_sampling;
    }
    if (encoding->progressive) jpeg_simple_progression(jpeg);
    jpeg_start_compress(jpeg, TRUE);
    size_t row_bytes = (size_t)encoding->width * (size_t)encoding->format;
    while (jpeg->next_scanline < jpeg->image_height) {
        // libjpeg takes the rows as writable but does not write to them.
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)jpeg->next_scanline * row_bytes);
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
    *data = encoder->data;
    *length = encoder->length;
    return CJPEG_OK;
}
