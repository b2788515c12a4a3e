/* Content-Transfer-Encoding (RFC 2045 section 6) by GMime's decoders, which are linear and keep no more than a
 * group. */
#include "view_priv.h"

#include <gmime/gmime.h>
#include <string.h>

static GMimeContentEncoding encoding_of(const char *name) {
    static const struct {
        const char *name;
        GMimeContentEncoding encoding;
    } names[] = {
        {"base64", GMIME_CONTENT_ENCODING_BASE64},         {"quoted-printable", GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE},
        {"x-uuencode", GMIME_CONTENT_ENCODING_UUENCODE},   {"uuencode", GMIME_CONTENT_ENCODING_UUENCODE},
        {"x-uue", GMIME_CONTENT_ENCODING_UUENCODE},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(name, names[i].name) == 0) {
            return names[i].encoding;
        }
    }
    return GMIME_CONTENT_ENCODING_DEFAULT;
}

static void decode_step(GMimeEncoding *state, const char *in, size_t len, GByteArray *out) {
    guint before = out->len;

    g_byte_array_set_size(out, before + (guint)g_mime_encoding_outlen(state, len));
    size_t got = g_mime_encoding_step(state, in, len, (char *)out->data + before);
    g_byte_array_set_size(out, before + (guint)got);
}

/* Behind the line "begin 644 name"; the decoder wants it gone. */
static size_t uuencode_start(const char *in, size_t len) {
    const char *end = in + len;

    for (const char *line = in; line < end; line = line_next(line, end)) {
        if (end - line > 6 && memcmp(line, "begin ", 6) == 0) {
            return (size_t)(line_next(line, end) - in);
        }
    }
    return 0;
}

bool encoding_decode(const char *encoding, const char *in, size_t len, uint64_t limit, GByteArray *out) {
    enum { CHUNK = 64 * 1024 };
    GMimeContentEncoding kind = encoding_of(encoding);
    GMimeEncoding state;
    size_t done = 0;

    if (kind == GMIME_CONTENT_ENCODING_DEFAULT) {
        done = MIN(len, limit);
        g_byte_array_append(out, (const guint8 *)in, (guint)done);
        return done == len;
    }
    if (kind == GMIME_CONTENT_ENCODING_UUENCODE) {
        done = uuencode_start(in, len);
    }
    g_mime_encoding_init_decode(&state, kind);
    while (done < len && out->len < limit) {
        size_t n = MIN(len - done, CHUNK);
        decode_step(&state, in + done, n, out);
        done += n;
    }
    if (kind == GMIME_CONTENT_ENCODING_BASE64 && done == len) {
        decode_step(&state, "=", 1, out); /* for senders that leave the padding out */
    }
    return done == len && out->len <= limit;
}

uint64_t encoding_encoded_size(const char *encoding, uint64_t limit) {
    switch (encoding_of(encoding)) {
    case GMIME_CONTENT_ENCODING_BASE64:
    case GMIME_CONTENT_ENCODING_UUENCODE:
        return limit + limit / 2 + 1024;
    case GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE:
        return limit * 3 + limit / 8 + 1024;
    default:
        return limit + 1;
    }
}

static uint64_t count_base64(const char *in, size_t len) {
    uint8_t counts[256] = {0};
    uint64_t n = 0;

    for (int c = 1; c < 128; c++) {
        counts[c] = g_ascii_isalnum(c) || c == '+' || c == '/';
    }
    for (size_t i = 0; i < len && in[i] != '='; i++) {
        n += counts[(uint8_t)in[i]];
    }
    return n / 4 * 3 + (n % 4 ? n % 4 - 1 : 0);
}

static uint64_t count_quoted(const char *in, size_t len) {
    uint64_t n = len;
    const char *end = in + len;

    for (const char *p = in; (p = memchr(p, '=', (size_t)(end - p))); p++) {
        if (end - p > 2 && g_ascii_isxdigit(p[1]) && g_ascii_isxdigit(p[2])) {
            n -= 2;
        } else if (end - p > 2 && p[1] == '\r' && p[2] == '\n') {
            n -= 3;
        } else if (end - p > 1 && p[1] == '\n') {
            n -= 2;
        }
    }
    return n;
}

uint64_t encoding_decoded_size(const char *encoding, const char *in, size_t len) {
    switch (encoding_of(encoding)) {
    case GMIME_CONTENT_ENCODING_BASE64:
        return count_base64(in, len);
    case GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE:
        return count_quoted(in, len);
    case GMIME_CONTENT_ENCODING_UUENCODE:
        return (uint64_t)len * 45 / 62;
    default:
        return len;
    }
}
