#include "net/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/random.h>

#define BLOCK 64 /* of SHA-256, which HMAC pads its key to */

static void sha256_pieces(const struct iovec *pieces, size_t count, uint8_t digest_out[CRYPTO_SHA256_LEN]) {
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    for (size_t i = 0; i < count; i++) {
        EVP_DigestUpdate(md, pieces[i].iov_base, pieces[i].iov_len);
    }
    EVP_DigestFinal_ex(md, digest_out, NULL);
    EVP_MD_CTX_free(md);
}

void crypto_sha256(const void *data, size_t len, uint8_t digest_out[CRYPTO_SHA256_LEN]) {
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};

    sha256_pieces(&piece, 1, digest_out);
}

/* RFC 2104: H(K ^ opad, H(K ^ ipad, text)). */
void crypto_hmac_sha256(const void *key, size_t key_len, const struct iovec *pieces, size_t count,
                        uint8_t mac_out[CRYPTO_SHA256_LEN]) {
    uint8_t padded[BLOCK] = {0}, inner[CRYPTO_SHA256_LEN];
    struct iovec *all = g_new(struct iovec, count + 1);

    if (key_len > BLOCK) {
        crypto_sha256(key, key_len, padded);
    } else if (key_len) {
        memcpy(padded, key, key_len);
    }
    for (size_t i = 0; i < BLOCK; i++) {
        padded[i] ^= 0x36;
    }
    all[0] = (struct iovec){.iov_base = padded, .iov_len = BLOCK};
    if (count) {
        memcpy(all + 1, pieces, count * sizeof *pieces);
    }
    sha256_pieces(all, count + 1, inner);
    g_free(all);
    for (size_t i = 0; i < BLOCK; i++) {
        padded[i] ^= 0x36 ^ 0x5c;
    }
    struct iovec outer[2] = {{.iov_base = padded, .iov_len = BLOCK}, {.iov_base = inner, .iov_len = sizeof inner}};
    sha256_pieces(outer, 2, mac_out);
    crypto_wipe(padded, sizeof padded);
    crypto_wipe(inner, sizeof inner);
}

char *crypto_hex(const void *data, size_t len) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    char *text = g_malloc(2 * len + 1);

    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
    return text;
}

char *crypto_base64(const void *data, size_t len) {
    return len ? g_base64_encode(data, len) : g_strdup("");
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

uint8_t *crypto_base64_decode(const char *text, size_t *len_out) {
    size_t len = strlen(text), digits = len, out = 0;
    uint8_t *bytes;
    uint32_t bits = 0;

    *len_out = 0;
    while (digits && text[digits - 1] == '=' && len - digits < 2) {
        digits--;
    }
    if (len % 4 || digits % 4 == 1) {
        return NULL;
    }
    bytes = g_malloc(len / 4 * 3 + 1);
    for (size_t i = 0; i < digits; i++) {
        int value = base64_value(text[i]);

        if (value < 0) {
            crypto_wipe(bytes, out);
            g_free(bytes);
            return NULL;
        }
        bits = bits << 6 | (uint32_t)value;
        if (i % 4) {
            bytes[out++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
        }
    }
    *len_out = out;
    return bytes;
}

void crypto_random(void *out, size_t len) {
    uint8_t *bytes = out;

    while (len) {
        ssize_t n = getrandom(bytes, MIN(len, 256), 0);

        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
}

bool crypto_equal(const void *a, const void *b, size_t len) {
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *data, size_t len) {
    if (len) {
        explicit_bzero(data, len);
    }
}

/* --- random numbers --------------------------------------------------------------------------------------------- */

static uint64_t real_next(random_source *self) {
    uint64_t value;

    (void)self;
    crypto_random(&value, sizeof value);
    return value;
}

/* SplitMix64. */
static uint64_t seeded_next(random_source *self) {
    uint64_t z = self->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void random_init_real(random_source *random) {
    *random = (random_source){.next = real_next};
}

void random_init_seeded(random_source *random, uint64_t seed) {
    *random = (random_source){.next = seeded_next, .state = seed};
}

uint64_t random_between(random_source *random, uint64_t low, uint64_t high) {
    uint64_t span = high - low + 1, value;

    if (high <= low) {
        return low;
    }
    if (!span) {
        return random->next(random);
    }
    do { /* drop the few values that would make small results likelier */
        value = random->next(random);
    } while (value >= UINT64_MAX - UINT64_MAX % span);
    return low + value % span;
}
