#include "build_priv.h"

#include "base/text.h"
#include "imap/mailbox.h"

enum {
    QUOTED_MAX = 1000,        /* longer strings go out as literals */
    LITERAL_MINUS_MAX = 4096, /* RFC 7888 section 5 */
    SHOWN_MAX = 80,           /* longer arguments are shown by their size */
    FLAG_MAX = 255,
};

struct imap_command {
    char *bytes;
    size_t len, room;
    GArray *ends; /* size_t: where each segment ends; the last is added by build_finish */
    GString *shown;
    const char *verb;
    char tag[IMAP_TAG_MAX];
    imap_writer *writer; /* while it is built */
    error *fault;
};

/* ---- tags and writers ---- */

void imap_tags_init(imap_tags *tags, const uint8_t random[8]) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint64_t bits = 0;

    for (int i = 0; i < 8; i++) {
        bits = bits << 8 | random[i];
    }
    *tags = (imap_tags){.next = 0};
    for (int i = 0; i < 10; i++, bits >>= 5) {
        tags->prefix[i] = letters[bits & (i ? 31 : 15)]; /* a letter first */
    }
}

bool imap_tags_issued(const imap_tags *tags, imap_str tag, uint32_t *number_out) {
    size_t n = strlen(tags->prefix);
    uint64_t number = 0;

    if (tag.len <= n || tag.len > n + 10 || memcmp(tag.data, tags->prefix, n) != 0 ||
        (tag.data[n] == '0' && tag.len > n + 1)) {
        return false;
    }
    for (size_t i = n; i < tag.len; i++) {
        if (!g_ascii_isdigit(tag.data[i])) {
            return false;
        }
        number = number * 10 + (uint64_t)(tag.data[i] - '0');
    }
    if (number >= tags->next) {
        return false;
    }
    *number_out = (uint32_t)number;
    return true;
}

void imap_writer_init(imap_writer *writer, const uint8_t random[8]) {
    *writer = (imap_writer){0};
    imap_tags_init(&writer->tags, random);
}

void imap_writer_learn(imap_writer *writer, const imap_capabilities *caps) {
    writer->literal_plus = imap_can(caps, IMAP_CAP_LITERAL_PLUS);
    writer->literal_minus = imap_can(caps, IMAP_CAP_LITERAL_MINUS);
    writer->sasl_ir = imap_can(caps, IMAP_CAP_SASL_IR);
}

/* ---- the command ---- */

void imap_command_free(imap_command *command) {
    if (!command) {
        return;
    }
    if (command->bytes) {
        explicit_bzero(command->bytes, command->room);
    }
    g_free(command->bytes);
    g_array_free(command->ends, TRUE);
    g_string_free(command->shown, TRUE);
    error_free(command->fault);
    g_free(command);
}

const char *imap_command_tag(const imap_command *command) {
    return command->tag;
}

size_t imap_command_segments(const imap_command *command) {
    return command->ends->len;
}

const char *imap_command_segment(const imap_command *command, size_t i, size_t *len_out) {
    size_t start = i ? g_array_index(command->ends, size_t, i - 1) : 0;

    *len_out = g_array_index(command->ends, size_t, i) - start;
    return command->bytes + start;
}

size_t imap_command_size(const imap_command *command) {
    return command->len;
}

const char *imap_command_describe(const imap_command *command) {
    return command->shown->str;
}

const char *imap_command_verb(const imap_command *command) {
    return command->verb;
}

/* ---- bytes ---- */

/* Not realloc: what it would leave behind may hold a password. */
static void reserve(build *b, size_t more) {
    size_t room;
    char *moved;

    if (b->room - b->len >= more) {
        return;
    }
    room = MAX(b->room * 2, MAX(b->len + more, (size_t)256));
    moved = g_malloc(room);
    if (b->len) {
        memcpy(moved, b->bytes, b->len);
        explicit_bzero(b->bytes, b->room);
    }
    g_free(b->bytes);
    b->bytes = moved;
    b->room = room;
}

static void add(build *b, const char *bytes, size_t len) {
    if (b->fault || len == 0) {
        return;
    }
    reserve(b, len);
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static void add_char(build *b, char c) {
    add(b, &c, 1);
}

/* Sends and shows the same. */
static void add_shown(build *b, const char *text, size_t len) {
    add(b, text, len);
    g_string_append_len(b->shown, text, (gssize)len);
}

static void show(build *b, const char *text, size_t len) {
    if (len > SHOWN_MAX) {
        g_string_append_printf(b->shown, "{%zu}", len);
    } else {
        text_append_escaped(b->shown, text, (gssize)len);
    }
}

build *build_start(imap_writer *writer, const char *verb) {
    build *b = g_new0(build, 1);

    b->ends = g_array_new(FALSE, FALSE, sizeof(size_t));
    b->shown = g_string_new(NULL);
    b->verb = verb;
    b->writer = writer;
    if (writer) {
        g_snprintf(b->tag, sizeof b->tag, "%s%u", writer->tags.prefix, writer->tags.next);
        add(b, b->tag, strlen(b->tag));
        add_char(b, ' ');
        put_text(b, verb);
    }
    return b;
}

error *build_finish(build *b, imap_command **out) {
    error *fault = b->fault;

    if (fault) {
        b->fault = NULL;
        fault = error_prefix(fault, "%s", b->verb);
        imap_command_free(b);
        return fault;
    }
    add(b, "\r\n", 2);
    g_array_append_val(b->ends, b->len);
    if (b->writer) {
        b->writer->tags.next++;
        b->writer = NULL;
    }
    *out = b;
    return NULL;
}

void build_refuse(build *b, const char *format, ...) {
    va_list args;
    char *text;

    if (b->fault) {
        return;
    }
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    b->fault = error_new(ERROR_INVALID, "%s", text);
    g_free(text);
}

bool build_is_utf8(const build *b) {
    return b->writer && b->writer->utf8;
}

/* ---- arguments ---- */

void put_text(build *b, const char *text) {
    add_shown(b, text, strlen(text));
}

void put_number(build *b, uint64_t number) {
    char text[24];

    g_snprintf(text, sizeof text, "%" G_GUINT64_FORMAT, number);
    put_text(b, text);
}

static bool is_atom_char(char c) {
    return c > ' ' && c < 0x7f && !strchr("(){%*\"\\]", c);
}

bool is_atom(const char *text) {
    const char *p = text;

    while (*p && is_atom_char(*p)) {
        p++;
    }
    return *text && !*p;
}

void put_atom(build *b, const char *atom) {
    if (!is_atom(atom)) {
        build_refuse(b, "not an atom: %s", atom);
        return;
    }
    put_text(b, atom);
}

static void end_segment(build *b) {
    add(b, "\r\n", 2);
    if (!b->fault) {
        g_array_append_val(b->ends, b->len);
    }
}

void put_wait(build *b) {
    end_segment(b);
    g_string_append_c(b->shown, ' ');
}

static void add_literal(build *b, imap_str bytes) {
    bool now = b->writer && (b->writer->literal_plus || (b->writer->literal_minus && bytes.len <= LITERAL_MINUS_MAX));
    char head[32];

    g_snprintf(head, sizeof head, "{%zu%s}", bytes.len, now ? "+" : "");
    add(b, head, strlen(head));
    if (now) {
        add(b, "\r\n", 2);
    } else {
        end_segment(b);
    }
    add(b, bytes.data, bytes.len);
}

void put_literal(build *b, imap_str bytes) {
    if (bytes.len && memchr(bytes.data, '\0', bytes.len)) {
        build_refuse(b, "data with NUL");
        return;
    }
    add_literal(b, bytes);
    g_string_append_printf(b->shown, "{%zu}", bytes.len);
}

static void add_quoted(build *b, const char *text) {
    add_char(b, '"');
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\') {
            add_char(b, '\\');
        }
        add_char(b, *p);
    }
    add_char(b, '"');
}

/* One string in the shortest form that the grammar and the server allow; shows nothing. */
static void add_string(build *b, const char *text, bool atom_too) {
    bool eight_bit = false;
    size_t n;

    for (n = 0; text[n]; n++) {
        if (text[n] == '\r' || text[n] == '\n') {
            build_refuse(b, "an argument with a line break");
            return;
        }
        eight_bit |= (text[n] & 0x80) != 0;
    }
    if (n > QUOTED_MAX || (eight_bit && !(build_is_utf8(b) && g_utf8_validate(text, -1, NULL)))) {
        add_literal(b, (imap_str){text, n});
    } else if (atom_too && is_atom(text) && g_ascii_strcasecmp(text, "NIL") != 0) {
        add(b, text, n);
    } else {
        add_quoted(b, text);
    }
}

void put_astring(build *b, const char *text) {
    add_string(b, text, true);
    show(b, text, strlen(text));
}

void put_string(build *b, const char *text) {
    add_string(b, text, false);
    g_string_append_c(b->shown, '"');
    show(b, text, strlen(text));
    g_string_append_c(b->shown, '"');
}

void put_secret(build *b, const char *text) {
    add_string(b, text, true);
    g_string_append(b->shown, "***");
}

void put_base64(build *b, imap_str raw) {
    char *text = g_base64_encode((const guchar *)(raw.len ? raw.data : ""), raw.len);

    add(b, text, strlen(text));
    explicit_bzero(text, strlen(text));
    g_free(text);
    g_string_append(b->shown, "***");
}

/* Encoded for the wire; NULL if refused. */
static char *encode_name(build *b, const char *name, bool pattern) {
    char *wire = NULL;
    error *err = *name || pattern ? imap_mailbox_encode(name, build_is_utf8(b), &wire) : NULL;

    if (!*name && !pattern) {
        build_refuse(b, "an empty folder name");
    } else if (err) {
        build_refuse(b, "%s", err->text);
    }
    error_free(err);
    return wire;
}

/* The name is checked as it was given: encoded, a line break in it would be well-formed and only be wrong. */
static void put_name(build *b, const char *name, bool pattern) {
    char *wire;

    for (const char *p = name; *p; p++) {
        if ((uint8_t)*p < 0x20 || *p == 0x7f) {
            build_refuse(b, "a folder name with control characters");
            return;
        }
    }
    wire = encode_name(b, name, pattern);
    if (wire) {
        add_string(b, wire, !pattern);
        show(b, name, strlen(name));
    }
    g_free(wire);
}

void put_mailbox(build *b, const char *name) {
    put_name(b, name, false);
}

void put_pattern(build *b, const char *pattern) {
    g_string_append_c(b->shown, '"');
    put_name(b, pattern, true);
    g_string_append_c(b->shown, '"');
}

error *imap_flag_check(const char *name) {
    static const char *const system[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"};

    for (size_t i = 0; i < G_N_ELEMENTS(system); i++) {
        if (g_ascii_strcasecmp(name, system[i]) == 0) {
            return NULL;
        }
    }
    if (is_atom(name) && strlen(name) <= FLAG_MAX) {
        return NULL;
    }
    char *shown = text_escape(name, (gssize)MIN(strlen(name), (size_t)SHOWN_MAX));
    error *err = error_new(ERROR_INVALID, "not a flag or keyword: %s", shown);
    g_free(shown);
    return err;
}

void put_flag(build *b, const char *name) {
    error *err = imap_flag_check(name);

    if (err) {
        build_refuse(b, "%s", err->text);
        error_free(err);
        return;
    }
    put_text(b, name);
}

void put_set(build *b, const imap_set *set) {
    GString *text;

    if (imap_set_is_empty(set)) {
        build_refuse(b, "an empty set");
        return;
    }
    text = g_string_new(NULL);
    imap_set_format(set, text);
    add(b, text->str, text->len);
    show(b, text->str, text->len);
    g_string_free(text, TRUE);
}
