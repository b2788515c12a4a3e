/* Bytes from the other process: nothing is read outside the frame, and what decodes must encode and decode again. */
#include "wire/frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const wire_message *message) {
    GByteArray *out = g_byte_array_new();
    wire_decoder *d = wire_decoder_new();
    wire_message *copy = NULL;
    error *err = wire_encode(message, out);

    if (err) {
        abort();
    }
    wire_decoder_feed(d, out->data, out->len);
    if (wire_decoder_next(d, &copy, &err) != WIRE_HAVE) {
        abort();
    }
    wire_message_free(copy);
    wire_decoder_free(d);
    g_byte_array_free(out, TRUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    wire_decoder *d = wire_decoder_new();
    size_t split = size ? data[0] % size : 0;
    wire_message *message = NULL;
    error *err = NULL;

    wire_decoder_feed(d, data, split);
    wire_decoder_feed(d, data + split, size - split);
    while (wire_decoder_next(d, &message, &err) == WIRE_HAVE) {
        again(message);
        wire_message_free(message);
    }
    error_free(err);
    wire_decoder_free(d);
    return 0;
}
