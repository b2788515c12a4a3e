#include "mutf7_priv.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int digit(char c) {
    const char *p = c ? strchr(alphabet, c) : NULL;

    return p ? (int)(p - alphabet) : -1;
}

/* One UTF-16 unit. *high holds a first surrogate that waits for its second. */
static bool add_unit(GString *out, uint32_t unit, uint32_t *high) {
    bool is_low = unit >= 0xdc00 && unit < 0xe000;

    if (*high ? !is_low : is_low) {
        return false;
    }
    if (unit >= 0xd800 && unit < 0xdc00) {
        *high = unit;
        return true;
    }
    if (*high) {
        unit = 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00);
        *high = 0;
    } else if (unit == 0 || (unit >= 0x20 && unit < 0x7f)) {
        return false; /* printable ASCII stands for itself */
    }
    g_string_append_unichar(out, unit);
    return true;
}

/* From behind '&' to behind '-'; NULL if malformed. */
static const char *decode_shift(const char *p, const char *end, GString *out) {
    uint32_t bits = 0, high = 0;
    unsigned held = 0;

    if (p < end && *p == '-') {
        g_string_append_c(out, '&');
        return p + 1;
    }
    for (; p < end && *p != '-'; p++) {
        int value = digit(*p);
        if (value < 0) {
            return NULL;
        }
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 16) {
            held -= 16;
            if (!add_unit(out, bits >> held & 0xffff, &high)) {
                return NULL;
            }
        }
    }
    if (p == end || high || held >= 6 || (bits & ((1u << held) - 1))) {
        return NULL;
    }
    /* "&AOk-&AOk-" has to be one shift; "&AOk-&-" is an é and an ampersand */
    if (p + 2 < end && p[1] == '&' && p[2] != '-') {
        return NULL;
    }
    return p + 1;
}

char *mutf7_decode(imap_str wire) {
    GString *out = g_string_sized_new(wire.len);
    const char *p = wire.data, *end = wire.data + wire.len;

    while (p && p < end) {
        if (*p == '&') {
            p = decode_shift(p + 1, end, out);
        } else if (*p < 0x20 || *p > 0x7e) {
            p = NULL;
        } else {
            g_string_append_c(out, *p++);
        }
    }
    if (!p && wire.len) {
        g_string_free(out, TRUE);
        return NULL;
    }
    return g_string_free(out, FALSE);
}

typedef struct packer {
    GString *out;
    uint32_t bits;
    unsigned held;
} packer;

static void pack(packer *k, uint32_t unit) {
    k->bits = k->bits << 16 | unit;
    k->held += 16;
    while (k->held >= 6) {
        k->held -= 6;
        g_string_append_c(k->out, alphabet[k->bits >> k->held & 63]);
    }
}

/* Encodes a run of what is not printable ASCII; returns its end. */
static const char *encode_shift(const char *p, GString *out) {
    packer k = {.out = out};

    g_string_append_c(out, '&');
    for (; *p && (*p < 0x20 || *p > 0x7e); p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (c >= 0x10000) {
            pack(&k, 0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        pack(&k, c);
    }
    if (k.held) {
        g_string_append_c(out, alphabet[k.bits << (6 - k.held) & 63]);
    }
    g_string_append_c(out, '-');
    return p;
}

char *mutf7_encode(const char *utf8) {
    GString *out = g_string_new(NULL);

    while (*utf8) {
        if (*utf8 == '&') {
            g_string_append(out, "&-");
            utf8++;
        } else if (*utf8 < 0x20 || *utf8 > 0x7e) {
            utf8 = encode_shift(utf8, out);
        } else {
            g_string_append_c(out, *utf8++);
        }
    }
    return g_string_free(out, FALSE);
}
