/*
 * net/crypto.h - digests, HMAC, base64, random, wiping. Thin over OpenSSL and getrandom(2); all pure but random.
 */
#ifndef NET_CRYPTO_H
#define NET_CRYPTO_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define CRYPTO_SHA256_LEN 32

void crypto_sha256(const void *data, size_t len, uint8_t digest_out[CRYPTO_SHA256_LEN]);
/* Several pieces as one message; count pieces. */
void crypto_hmac_sha256(const void *key, size_t key_len, const struct iovec *pieces, size_t count,
                        uint8_t mac_out[CRYPTO_SHA256_LEN]);
char *crypto_hex(const void *data, size_t len);           /* lower case, g_free */
char *crypto_base64(const void *data, size_t len);        /* RFC 4648 section 4, padded, g_free */
/* Strict: padding required, no white space. NULL if malformed, but not for an empty text. g_free. */
uint8_t *crypto_base64_decode(const char *text, size_t *len_out);
void crypto_random(void *out, size_t len);                /* never fails: waits for the kernel's pool at boot */
bool crypto_equal(const void *a, const void *b, size_t len); /* in constant time */
void crypto_wipe(void *data, size_t len);

/* Random numbers that are not secrets (jitter), injectable. */
typedef struct random_source {
    uint64_t (*next)(struct random_source *self);
    uint64_t state; /* of the seeded one */
} random_source;

void random_init_real(random_source *random);
void random_init_seeded(random_source *random, uint64_t seed); /* the same sequence for the same seed */
/* Uniform in [low, high]. */
uint64_t random_between(random_source *random, uint64_t low, uint64_t high);

#endif
