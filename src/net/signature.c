#include "net/signature.h"

#include "net/crypto.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "whsec_"
#define BARE_KEY_MIN 24

static error *malformed(const char *why) {
    return error_new(ERROR_CONFIG, "webhook secret %s", why);
}

error *signature_key_parse(const char *text, size_t len, signature_key *key_out) {
    char *copy = g_strndup(text, len);
    bool prefixed = g_str_has_prefix(copy, PREFIX);
    uint8_t *bytes = NULL;
    size_t count = 0;
    error *err = NULL;

    key_out->len = 0;
    if (strlen(copy) != len) {
        err = malformed("holds a NUL byte");
    } else if (g_str_has_prefix(copy, "whsk_") || g_str_has_prefix(copy, "whpk_")) {
        err = malformed("is an asymmetric key (whsk_, whpk_); a symmetric one begins with " PREFIX);
    } else if (!(bytes = crypto_base64_decode(copy + (prefixed ? strlen(PREFIX) : 0), &count))) {
        err = malformed("is not " PREFIX " and base64");
    } else if (count == 0 || count > SIGNATURE_KEY_MAX) {
        err = malformed(count ? "is too long" : "is empty");
    } else if (!prefixed && count < BARE_KEY_MIN) {
        err = malformed("without " PREFIX " has to hold at least 24 bytes");
    } else {
        memcpy(key_out->bytes, bytes, count);
        key_out->len = count;
    }
    if (bytes) {
        crypto_wipe(bytes, count);
    }
    g_free(bytes);
    crypto_wipe(copy, strlen(copy));
    g_free(copy);
    return err;
}

static void sign_one(const signature_key *key, const char *id, int64_t timestamp, const void *body, size_t body_len,
                     uint8_t mac_out[CRYPTO_SHA256_LEN]) {
    char *front = g_strdup_printf("%s.%" G_GINT64_FORMAT ".", id, timestamp);
    struct iovec pieces[2] = {{.iov_base = front, .iov_len = strlen(front)},
                              {.iov_base = (void *)(uintptr_t)body, .iov_len = body_len}};

    crypto_hmac_sha256(key->bytes, key->len, pieces, 2, mac_out);
    g_free(front);
}

char *signature_sign(const signature_key *keys, size_t count, const char *id, int64_t timestamp, const void *body,
                     size_t body_len) {
    GString *header = g_string_new(NULL);

    for (size_t i = 0; i < count; i++) {
        uint8_t mac[CRYPTO_SHA256_LEN];
        char *encoded;

        sign_one(&keys[i], id, timestamp, body, body_len, mac);
        encoded = crypto_base64(mac, sizeof mac);
        g_string_append_printf(header, "%sv1,%s", i ? " " : "", encoded);
        g_free(encoded);
    }
    return g_string_free(header, FALSE);
}

static bool matches(const char *candidate, const uint8_t *mac) {
    size_t len = 0;
    uint8_t *bytes = g_str_has_prefix(candidate, "v1,") ? crypto_base64_decode(candidate + 3, &len) : NULL;
    bool same = bytes && len == CRYPTO_SHA256_LEN && crypto_equal(bytes, mac, len);

    g_free(bytes);
    return same;
}

bool signature_verify(const signature_key *keys, size_t count, const char *header, const char *id, int64_t timestamp,
                      int64_t now, const void *body, size_t body_len) {
    char **candidates;
    bool valid = false;

    if (timestamp < now - SIGNATURE_TOLERANCE_S || timestamp > now + SIGNATURE_TOLERANCE_S) {
        return false;
    }
    candidates = g_strsplit(header, " ", 0);
    for (size_t i = 0; i < count; i++) {
        uint8_t mac[CRYPTO_SHA256_LEN];

        sign_one(&keys[i], id, timestamp, body, body_len, mac);
        for (char **c = candidates; *c; c++) {
            valid |= matches(*c, mac);
        }
    }
    g_strfreev(candidates);
    return valid;
}
