#include "charset_priv.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

const char *const charset_common[] = {
    "US-ASCII",     "UTF-8",        "UTF-7",        "UTF-16",       "UTF-16LE",     "UTF-16BE",     "UTF-32",
    "ISO-8859-1",   "ISO-8859-2",   "ISO-8859-3",   "ISO-8859-4",   "ISO-8859-5",   "ISO-8859-6",   "ISO-8859-7",
    "ISO-8859-8",   "ISO-8859-9",   "ISO-8859-10",  "ISO-8859-11",  "ISO-8859-13",  "ISO-8859-14",  "ISO-8859-15",
    "ISO-8859-16",  "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252", "WINDOWS-1253", "WINDOWS-1254", "WINDOWS-1255",
    "WINDOWS-1256", "WINDOWS-1257", "WINDOWS-1258", "WINDOWS-874",  "TIS-620",      "KOI8-R",       "KOI8-U",
    "KOI8-T",       "IBM437",       "IBM850",       "IBM852",       "IBM855",       "IBM857",       "IBM860",
    "IBM862",       "IBM863",       "IBM864",       "IBM865",       "IBM866",       "IBM869",       "IBM1047",
    "IBM037",       "MACINTOSH",    "MAC-CYRILLIC", "GB2312",       "GBK",          "GB18030",
    "BIG5",         "BIG5-HKSCS",   "CP950",        "EUC-TW",       "SHIFT_JIS",    "CP932",        "EUC-JP",
    "EUC-JISX0213", "ISO-2022-JP",  "ISO-2022-JP-2", "ISO-2022-JP-3", "EUC-KR",     "CP949",        "ISO-2022-KR",
    "ISO-2022-CN",  "JOHAB",        "VISCII",       "TCVN",         "ARMSCII-8",    "GEORGIAN-PS",  "PT154",
    "RK1048",       "ISO-8859-9E",  "HP-ROMAN8",    NULL,
};

/* What mail says and what it means: supersets that senders use under the smaller name, and names iconv lacks. */
static const char *const meant[][2] = {
    {"gb2312", "GB18030"},           {"gbk", "GB18030"},          {"x-gbk", "GB18030"},     {"cp936", "GB18030"},
    {"euc-cn", "GB18030"},           {"shift_jis", "CP932"},   {"shift-jis", "CP932"},
    {"sjis", "CP932"},               {"x-sjis", "CP932"},         {"windows-31j", "CP932"}, {"big5", "BIG5-HKSCS"},
    {"ks_c_5601-1987", "CP949"},     {"ks_c_5601", "CP949"},      {"euc-kr", "CP949"},      {"x-euc-jp", "EUC-JP"},
    {"x-windows-949", "CP949"},      {"x-mac-roman", "MACINTOSH"}, {"iso-8859-8-i", "ISO-8859-8"},
    {"iso-8859-8-e", "ISO-8859-8"},  {"unicode-1-1-utf-7", "UTF-7"}, {"x-unicode-2-0-utf-7", "UTF-7"},
    {"iso-8859-11", "WINDOWS-874"},  {"tis-620", "WINDOWS-874"},  {"iso-8859-9", "WINDOWS-1254"},
    {"iso2022-jp", "ISO-2022-JP-3"}, {"iso-2022-jp", "ISO-2022-JP-3"},
};

static const char *const undeclared[] = {"us-ascii", "ascii",     "ansi_x3.4-1968", "7bit",         "8bit",
                                         "unknown",  "x-unknown", "unknown-8bit",   "x-user-defined", "default"};
static const char *const western[] = {"iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "windows-1252", "cp1252"};

static bool in_list(const char *name, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (g_ascii_strcasecmp(name, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Appends in, which should be UTF-8, with NUL and broken sequences replaced. False if there were any. */
static bool append_utf8(GString *out, const char *in, size_t len) {
    bool clean = true;

    while (len) {
        const char *bad;
        if (g_utf8_validate_len(in, len, &bad)) {
            g_string_append_len(out, in, (gssize)len);
            break;
        }
        g_string_append_len(out, in, bad - in);
        g_string_append(out, REPLACEMENT);
        clean = false;
        bad++;
        len -= (size_t)(bad - in);
        in = bad;
    }
    return clean;
}

static void append_western(GString *out, const char *in, size_t len) {
    static const guint16 high[32] = {
        0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178,
    };

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)in[i];
        if (!c) {
            g_string_append(out, REPLACEMENT);
        } else if (c < 0x80) {
            g_string_append_c(out, (char)c);
        } else {
            g_string_append_unichar(out, c < 0xa0 ? high[c - 0x80] : c);
        }
    }
}

static bool has_sequence(const char *in, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)in[i] >= 0xc2) {
            gunichar c = g_utf8_get_char_validated(in + i, (gssize)(len - i));
            if (c != (gunichar)-1 && c != (gunichar)-2) {
                return true;
            }
        }
    }
    return false;
}

/* Whether in is UTF-8 but for NULs, and but for a character that is cut off at the end. */
static bool looks_like_utf8(const char *in, size_t len) {
    const char *bad, *end = in + len;

    for (const char *p = in; !g_utf8_validate_len(p, (gsize)(end - p), &bad); p = bad + 1) {
        bool cut_off = *bad && end - bad < 4 && g_utf8_get_char_validated(bad, end - bad) == (gunichar)-2;
        if (*bad && !(cut_off && has_sequence(in, (size_t)(bad - in)))) {
            return false;
        }
        if (cut_off) {
            return true;
        }
    }
    return true;
}

static void append_guessed(GString *out, const char *in, size_t len) {
    if (looks_like_utf8(in, len)) {
        append_utf8(out, in, len);
    } else {
        append_western(out, in, len);
    }
}

static bool append_declared_utf8(GString *out, const char *in, size_t len) {
    if (g_utf8_validate_len(in, len, NULL)) {
        g_string_append_len(out, in, (gssize)len);
        return true;
    }
    if (has_sequence(in, len)) {
        return append_utf8(out, in, len);
    }
    append_guessed(out, in, len); /* not one UTF-8 sequence in it: the label is wrong */
    return false;
}

static bool convert(GString *out, iconv_t cd, const char *in, size_t len) {
    char buffer[8192];
    bool clean = true, flushed = false;
    char *from = (char *)in;

    while (!flushed) {
        char *to = buffer;
        size_t room = sizeof buffer;
        bool flush = !len; /* some charsets hold a base letter back until they know what follows */
        size_t rc = flush ? iconv(cd, NULL, NULL, &to, &room) : iconv(cd, &from, &len, &to, &room);
        int why = errno;

        clean = append_utf8(out, buffer, sizeof buffer - room) && clean;
        if (rc == (size_t)-1 && why == EILSEQ && len) {
            g_string_append(out, REPLACEMENT);
            clean = false;
            from++;
            len--;
        } else if (rc == (size_t)-1 && why != E2BIG) { /* cut off inside a character */
            g_string_append(out, REPLACEMENT);
            clean = false;
            len = 0;
        }
        flushed = flush;
    }
    return clean;
}

bool charset_append(GString *out, const char *charset, const char *in, size_t len) {
    char name[64];

    if (len >= 3 && memcmp(in, "\xef\xbb\xbf", 3) == 0) {
        in += 3;
        len -= 3;
        charset = "utf-8";
    }
    if (!charset || !*charset || in_list(charset, undeclared, G_N_ELEMENTS(undeclared))) {
        append_guessed(out, in, len);
        return true;
    }
    if (g_ascii_strcasecmp(charset, "utf-8") == 0 || g_ascii_strcasecmp(charset, "utf8") == 0) {
        return append_declared_utf8(out, in, len);
    }
    if (in_list(charset, western, G_N_ELEMENTS(western))) {
        append_western(out, in, len);
        return true;
    }
    g_strlcpy(name, charset, sizeof name);
    for (size_t i = 0; i < G_N_ELEMENTS(meant); i++) {
        if (g_ascii_strcasecmp(charset, meant[i][0]) == 0) {
            g_strlcpy(name, meant[i][1], sizeof name);
        }
    }
    /* "//TRANSLIT" is not a stranger's to say */
    iconv_t cd = strpbrk(name, "/,") ? (iconv_t)-1 : iconv_open("UTF-8", name);
    if (cd == (iconv_t)-1) {
        append_guessed(out, in, len);
        return false;
    }
    gsize before = out->len;
    bool clean = convert(out, cd, in, len);
    iconv_close(cd);
    if (!clean && g_utf8_validate_len(in, len, NULL)) { /* converted on the way, but not relabelled */
        g_string_truncate(out, before);
        g_string_append_len(out, in, (gssize)len);
    }
    return clean;
}

static void tidy_value(GString *value) {
    gsize start = 0, end = value->len;

    for (gsize i = 0; i < value->len; i++) {
        if (value->str[i] == '\r' || value->str[i] == '\n') {
            value->str[i] = ' ';
        }
    }
    while (end && g_ascii_isspace(value->str[end - 1])) {
        end--;
    }
    while (start < end && g_ascii_isspace(value->str[start])) {
        start++;
    }
    g_string_truncate(value, end);
    g_string_erase(value, 0, (gssize)start);
}

char *charset_decode_header(const char *raw, size_t len) {
    GString *value = g_string_sized_new(len + 1);

    append_guessed(value, raw, len);
    if (strstr(value->str, "=?")) {
        GString *decoded = g_string_sized_new(value->len);
        encoded_words_decode(decoded, value->str);
        g_string_free(value, TRUE);
        value = decoded;
    }
    tidy_value(value);
    return g_string_free(value, FALSE);
}
