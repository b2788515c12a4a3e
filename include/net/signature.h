/*
 * net/signature.h - Standard Webhooks 1.0.0, symmetric scheme "v1": HMAC-SHA256 over "id.timestamp.body".
 */
#ifndef NET_SIGNATURE_H
#define NET_SIGNATURE_H

#include "base/error.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_KEY_MAX 1024
#define SIGNATURE_TOLERANCE_S (5 * 60)

typedef struct signature_key {
    uint8_t bytes[SIGNATURE_KEY_MAX];
    size_t len;
} signature_key;

/* "whsec_" + base64, or bare base64 of at least 24 bytes. ERROR_CONFIG (the text never holds the secret): malformed,
 * empty, too long, an asymmetric key (whsk_, whpk_). The caller wipes the key (crypto_wipe) when done. */
error *signature_key_parse(const char *text, size_t len, signature_key *key_out);

/* The header's value: "v1,BASE64" for each key, separated by a space (rotation). id holds no '.', timestamp is Unix
 * seconds. g_free. */
char *signature_sign(const signature_key *keys, size_t count, const char *id, int64_t timestamp, const void *body,
                     size_t body_len);
/* Does one of the signatures in header match one of the keys, and is timestamp within the tolerance of now? */
bool signature_verify(const signature_key *keys, size_t count, const char *header, const char *id, int64_t timestamp,
                      int64_t now, const void *body, size_t body_len);

#endif
