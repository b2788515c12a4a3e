#include "frame_priv.h"

#include "base/limits.h"

enum { ROOM_MIN = 4096, ROOM_SPARE = 256 * 1024 };

void frame_init(frame *f, uint64_t max_literal) {
    *f = (frame){.max_literal = MIN(max_literal, (uint64_t)LIMIT_IMAP_RESPONSE), .fresh = true};
}

void frame_release(frame *f) {
    g_free(f->buffer);
    *f = (frame){.max_literal = f->max_literal, .fresh = true, .had_literal = f->had_literal};
}

/* Bytes are moved down only when at least as many were consumed, so each is moved once on average. What a large
 * response left behind is given back. */
static void make_room(frame *f, size_t len) {
    size_t kept = f->len - f->start;
    bool too_small, too_large;

    if (f->start && f->start >= kept) {
        memmove(f->buffer, f->buffer + f->start, kept);
        f->line -= f->start;
        f->scanned -= f->start;
        f->len = kept;
        f->start = 0;
    }
    too_small = f->room - f->len < len;
    too_large = f->room > ROOM_SPARE && f->len + len < f->room / 4;
    if (too_small || too_large) {
        f->room = too_small ? MAX(MAX(f->room * 2, f->len + len), (size_t)ROOM_MIN) : f->room / 4;
        f->buffer = g_realloc(f->buffer, f->room);
    }
}

void frame_feed(frame *f, const char *bytes, size_t len) {
    if (len == 0) {
        return;
    }
    make_room(f, len);
    memcpy(f->buffer + f->len, bytes, len);
    f->len += len;
}

static error *broken(enum error_code code, const char *what) {
    return error_set_scope(error_new(code, "server broke the protocol: %s", what), ERROR_CLASS_ACCOUNT,
                           ERROR_RETRY_LATER);
}

/* Past "* " and its blanks, or NULL if the line is not untagged. */
static const char *untagged(const char *p, const char *end) {
    if (p == end || *p != '*') {
        return NULL;
    }
    p++;
    while (p < end && *p == ' ') {
        p++;
    }
    return p;
}

static bool is_condition(const char *p, const char *end) {
    static const char *const words[] = {"OK", "NO", "BAD", "BYE", "PREAUTH"};

    if (p < end && *p == '[') { /* Exchange leaves the OK out */
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(end - p) >= n && g_ascii_strncasecmp(p, words[i], n) == 0 &&
            (p + n == end || !g_ascii_isalnum(p[n]))) {
            return true;
        }
    }
    return false;
}

/* Is the response that begins with p free text (true) or data (false)? */
static bool is_text(const char *p, const char *end) {
    p = untagged(p, end);
    return !p || is_condition(p, end);
}

/* The size of a literal that the line announces at its end: 0 = none, 1 = *size_out. Negative = malformed. */
static int announced(const char *line, const char *end, uint64_t *size_out) {
    const char *p = end - 1;
    imap_str digits;

    if (p < line || *p != '}') {
        return 0;
    }
    while (p > line && (g_ascii_isdigit(p[-1]) || p[-1] == '+' || p[-1] == '-')) {
        p--;
    }
    digits = (imap_str){p, (size_t)(end - 1 - p)};
    if (p == line || p[-1] != '{') {
        return 0;
    }
    *size_out = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (!g_ascii_isdigit(digits.data[i])) {
            return -1;
        }
        *size_out = MIN(*size_out, UINT64_MAX / 16) * 10 + (uint64_t)(digits.data[i] - '0');
    }
    return digits.len ? 1 : -1;
}

static enum imap_got bad(error **err_out, enum error_code code, const char *what) {
    *err_out = broken(code, what);
    return IMAP_BAD;
}

static enum imap_got check_line(const frame *f, size_t end, error **err_out) {
    size_t octets = f->line_octets + (end - f->line);

    if (octets <= LIMIT_IMAP_LINE ||
        (octets <= LIMIT_IMAP_DATA_LINE && !is_text(f->buffer + f->start, f->buffer + MIN(end, f->start + 64)))) {
        return IMAP_MORE;
    }
    return bad(err_out, ERROR_LIMIT, "a line is too long");
}

/* Drops what may stand before a response: NULs, empty lines. */
static void skip_padding(frame *f) {
    while (f->start < f->len &&
           (f->buffer[f->start] == '\0' || f->buffer[f->start] == '\r' || f->buffer[f->start] == '\n')) {
        f->start++;
    }
    f->fresh = f->start == f->len;
    f->line = f->scanned = f->start;
    f->line_octets = 0;
}

/* A line ends at `lf`. HAVE: the response does, too. MORE: a literal follows. */
static enum imap_got end_line(frame *f, size_t lf, error **err_out) {
    const char *line = f->buffer + f->line, *end = f->buffer + lf;
    uint64_t size;
    int has;

    end -= end > line && end[-1] == '\r';
    if (f->line == f->start) {
        f->text_only = is_text(line, end);
    }
    if (f->text_only || !(has = announced(line, end, &size))) {
        return IMAP_HAVE;
    }
    if (has < 0) {
        return bad(err_out, ERROR_PROTOCOL, "malformed literal");
    }
    if (size > f->max_literal || size + (lf - f->start) > LIMIT_IMAP_RESPONSE) {
        return bad(err_out, ERROR_LIMIT, "a literal is too large");
    }
    f->literal = size;
    f->had_literal = true;
    return IMAP_MORE;
}

/* Steps over a literal's bytes; false if not all are there yet. */
static bool skip_literal(frame *f) {
    size_t here = f->len - f->scanned;
    size_t n = f->literal < here ? (size_t)f->literal : here;

    f->scanned += n;
    f->literal -= n;
    f->line = f->scanned;
    return f->literal == 0;
}

enum imap_got frame_next(frame *f, imap_str *out, error **err_out) {
    if (f->fresh) {
        skip_padding(f);
    }
    if (f->fresh) {
        frame_release(f);
        return IMAP_MORE;
    }
    for (;;) {
        const char *found;
        size_t lf;
        enum imap_got got;

        if (f->literal && !skip_literal(f)) {
            return IMAP_MORE;
        }
        found = memchr(f->buffer + f->scanned, '\n', f->len - f->scanned);
        lf = found ? (size_t)(found - f->buffer) : f->len;
        if (check_line(f, lf, err_out) == IMAP_BAD) {
            return IMAP_BAD;
        }
        f->scanned = lf;
        if (!found) {
            return IMAP_MORE;
        }
        got = end_line(f, lf, err_out);
        if (got == IMAP_HAVE) {
            const char *begin = f->buffer + f->start;
            *out = (imap_str){begin, (size_t)(found - begin) - (found > begin && found[-1] == '\r')};
            f->start = f->line = f->scanned = lf + 1;
            f->fresh = true;
        }
        if (got != IMAP_MORE) {
            return got;
        }
        f->line_octets += lf + 1 - f->line;
        f->scanned = f->line = lf + 1;
    }
}

const char *frame_take(frame *f, size_t *len_out) {
    const char *bytes = f->buffer ? f->buffer + f->start : NULL;

    *len_out = frame_pending(f);
    f->len = f->line = f->scanned = f->start;
    f->literal = f->line_octets = 0;
    f->fresh = true;
    return bytes;
}
