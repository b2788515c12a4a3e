/* FETCH and UIDFETCH data items: RFC 9051 section 7.5.2, 7162, 8474, Gmail's X-GM-*. */
#include "lexer_priv.h"

typedef struct fetching {
    imap_fetch *out;
    vec sections;
} fetching;

static imap_str without_prefix(imap_str s, size_t n) {
    return (imap_str){s.data + n, s.len - n};
}

/* A number may begin here. Else the item has no value at all (Yandex leaves some out), and what follows is the next. */
static bool number_here(const lexer *lex) {
    return lex->at < lex->end && (g_ascii_isdigit(*lex->at) || *lex->at == '-' || *lex->at == '+');
}

/* A number within min..max, where there is one; absent else. */
static bool item_number(lexer *lex, uint64_t min, uint64_t max, uint64_t *out) {
    if (!number_here(lex)) {
        lex_nil(lex);
        return false;
    }
    return lex_number(lex, min, max, out);
}

/* A list where none is wanted, NIL, or nothing. */
static bool skip_list(lexer *lex) {
    return lex_nil(lex) || !lex_is(lex, '(') || lex_skip(lex);
}

/* The first of a kind counts: a response that repeats one over and over may not take memory for each. */
static bool repeated(fetching *f, uint32_t have) {
    bool was = f->out->have & have;

    f->out->have |= have;
    return was;
}

static bool item_uid(lexer *lex, fetching *f) {
    uint64_t n;

    if (item_number(lex, 1, UINT32_MAX, &n)) {
        f->out->uid = (uint32_t)n;
    }
    return true;
}

static bool item_size(lexer *lex, fetching *f) {
    if (item_number(lex, 0, INT64_MAX, &f->out->size)) {
        f->out->have |= IMAP_HAVE_SIZE;
    } else {
        f->out->size = 0;
    }
    return true;
}

static bool item_modseq(lexer *lex, fetching *f) {
    bool list = lex_take(lex, '(');

    if (item_number(lex, 1, MODSEQ_MAX, &f->out->modseq)) {
        f->out->have |= IMAP_HAVE_MODSEQ;
    } else {
        f->out->modseq = 0;
    }
    return !list || lex_take(lex, ')') || lex_fail(lex, "malformed MODSEQ");
}

static bool item_gm_msgid(lexer *lex, fetching *f) {
    if (item_number(lex, 1, UINT64_MAX, &f->out->gm_msgid)) {
        f->out->have |= IMAP_HAVE_GM_MSGID;
    } else {
        f->out->gm_msgid = 0;
    }
    return true;
}

static bool item_gm_thrid(lexer *lex, fetching *f) {
    if (item_number(lex, 1, UINT64_MAX, &f->out->gm_thrid)) {
        f->out->have |= IMAP_HAVE_GM_THRID;
    } else {
        f->out->gm_thrid = 0;
    }
    return true;
}

static bool item_flags(lexer *lex, fetching *f) {
    if (!lex_is(lex, '(') || repeated(f, IMAP_HAVE_FLAGS)) {
        return skip_list(lex);
    }
    return lex_flags(lex, &f->out->flags);
}

static bool item_gm_labels(lexer *lex, fetching *f) {
    if (!lex_is(lex, '(') || repeated(f, IMAP_HAVE_GM_LABELS)) {
        return skip_list(lex);
    }
    return lex_strings(lex, &f->out->gm_labels);
}

static bool read_date(lexer *lex, int64_t *out, bool *has_out) {
    imap_str text;

    *has_out = false;
    if (!lex_is_string(lex)) {
        lex_nil(lex);
        return true;
    }
    if (!lex_string(lex, &text)) {
        return false;
    }
    *has_out = date_parse(text, out);
    return true;
}

static bool item_date(lexer *lex, fetching *f) {
    bool has, good = read_date(lex, &f->out->date, &has);

    f->out->have |= has ? IMAP_HAVE_DATE : 0;
    return good;
}

static bool item_save_date(lexer *lex, fetching *f) {
    bool has, good = read_date(lex, &f->out->save_date, &has);

    f->out->have |= has ? IMAP_HAVE_SAVE_DATE : 0;
    return good;
}

/* "(id)" or NIL. */
static bool read_object_id(lexer *lex, imap_str *out, bool *has_out) {
    *has_out = lex_take(lex, '(');
    if (!*has_out) {
        lex_nil(lex);
        return true;
    }
    return lex_astring(lex, out) && (lex_take(lex, ')') || lex_fail(lex, "malformed object id"));
}

static bool item_email_id(lexer *lex, fetching *f) {
    bool has, good = read_object_id(lex, &f->out->email_id, &has);

    f->out->have |= has ? IMAP_HAVE_EMAIL_ID : 0;
    return good;
}

static bool item_thread_id(lexer *lex, fetching *f) {
    bool has, good = read_object_id(lex, &f->out->thread_id, &has);

    f->out->have |= has ? IMAP_HAVE_THREAD_ID : 0;
    return good;
}

static bool item_envelope(lexer *lex, fetching *f) {
    const char *start = lex->at;

    if (!lex_is(lex, '(')) {
        return skip_list(lex);
    }
    if (!lex_skip(lex)) {
        return false;
    }
    f->out->envelope = (imap_str){start, (size_t)(lex->at - start)};
    f->out->have |= IMAP_HAVE_ENVELOPE;
    return true;
}

/* What cannot be understood is stepped over: a message is not lost because its structure is. */
static bool item_structure(lexer *lex, fetching *f) {
    const char *start = lex->at;

    if (!lex_is(lex, '(') || repeated(f, IMAP_HAVE_STRUCTURE)) {
        return skip_list(lex);
    }
    if (parse_structure(lex, &f->out->structure)) {
        return true;
    }
    lex->at = start;
    lex->why = NULL;
    return lex_skip(lex);
}

static bool add_section(lexer *lex, fetching *f, imap_section section) {
    imap_section *item = vec_add(lex, &f->sections, sizeof *item, VEC_MAX);

    if (item) {
        *item = section;
    }
    return item != NULL;
}

static bool legacy_section(lexer *lex, fetching *f, enum imap_section_kind kind) {
    imap_section section = {.kind = kind, .part = {"", 0}, .spec = {"", 0}};

    if (lex_nil(lex)) {
        return add_section(lex, f, section);
    }
    return !lex_is_string(lex) || (lex_string(lex, &section.data) && add_section(lex, f, section));
}

static bool item_rfc822(lexer *lex, fetching *f) {
    return legacy_section(lex, f, IMAP_SECTION_ALL);
}

static bool item_rfc822_header(lexer *lex, fetching *f) {
    return legacy_section(lex, f, IMAP_SECTION_HEADER);
}

static bool item_rfc822_text(lexer *lex, fetching *f) {
    return legacy_section(lex, f, IMAP_SECTION_TEXT);
}

/* In the order of how often they are met. */
static const struct {
    const char *name;
    bool (*parse)(lexer *lex, fetching *f);
} items[] = {
    {"UID", item_uid},
    {"FLAGS", item_flags},
    {"RFC822.SIZE", item_size},
    {"INTERNALDATE", item_date},
    {"MODSEQ", item_modseq},
    {"BODYSTRUCTURE", item_structure},
    {"X-GM-MSGID", item_gm_msgid},
    {"X-GM-THRID", item_gm_thrid},
    {"X-GM-LABELS", item_gm_labels},
    {"EMAILID", item_email_id},
    {"THREADID", item_thread_id},
    {"SAVEDATE", item_save_date},
    {"ENVELOPE", item_envelope},
    {"BODY", item_structure},
    {"RFC822", item_rfc822},
    {"RFC822.HEADER", item_rfc822_header},
    {"RFC822.TEXT", item_rfc822_text},
};

/* ---- BODY[...], BINARY[...] ---- */

static enum imap_section_kind section_kind(imap_str word) {
    static const struct {
        const char *name;
        enum imap_section_kind kind;
    } kinds[] = {
        {"", IMAP_SECTION_ALL},
        {"HEADER", IMAP_SECTION_HEADER},
        {"HEADER.FIELDS", IMAP_SECTION_FIELDS},
        {"HEADER.FIELDS.NOT", IMAP_SECTION_FIELDS_NOT},
        {"TEXT", IMAP_SECTION_TEXT},
        {"MIME", IMAP_SECTION_MIME},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (imap_str_is(word, kinds[i].name)) {
            return kinds[i].kind;
        }
    }
    return IMAP_SECTION_OTHER;
}

/* "1.2.HEADER.FIELDS (FROM)" -> part "1.2", kind FIELDS. */
static void read_spec(imap_section *section) {
    imap_str spec = section->spec, word;
    size_t n = 0, m;

    while (n < spec.len && (g_ascii_isdigit(spec.data[n]) || (spec.data[n] == '.' && n))) {
        n++;
    }
    section->part = (imap_str){spec.data, n && spec.data[n - 1] == '.' ? n - 1 : n};
    word = without_prefix(spec, n);
    for (m = 0; m < word.len && word.data[m] != ' ' && word.data[m] != '('; m++) {
    }
    section->kind = section_kind((imap_str){word.data, m});
}

/* Between the brackets; header names may be strings, and those may hold brackets. */
static bool read_brackets(lexer *lex, imap_section *section) {
    const char *start = ++lex->at;

    while (lex->at < lex->end && *lex->at != ']') {
        imap_str ignored;
        if (lex_is_string(lex)) {
            if (!lex_string(lex, &ignored)) {
                return false;
            }
        } else {
            lex->at++;
        }
    }
    section->spec = (imap_str){start, (size_t)(lex->at - start)};
    read_spec(section);
    return lex_take(lex, ']') || lex_fail(lex, "section not closed");
}

static bool read_origin(lexer *lex, imap_section *section) {
    const char *start;

    if (!lex_take(lex, '<')) {
        return true;
    }
    for (start = lex->at; lex->at < lex->end && *lex->at != '>'; lex->at++) {
    }
    section->has_origin = true;
    if (!number_parse((imap_str){start, (size_t)(lex->at - start)}, 0, UINT32_MAX, &section->origin)) {
        return lex_fail(lex, "malformed origin");
    }
    return lex_take(lex, '>') || lex_fail(lex, "malformed origin");
}

static bool item_section(lexer *lex, imap_str name, fetching *f) {
    bool body = imap_str_is(name, "BODY") || imap_str_is(name, "BODY.PEEK");
    imap_section section = {.is_size = imap_str_is(name, "BINARY.SIZE")};

    section.binary = section.is_size || imap_str_is(name, "BINARY");
    if (!read_brackets(lex, &section) || !read_origin(lex, &section)) {
        return false;
    }
    lex_blanks(lex);
    if (section.is_size) {
        return !item_number(lex, 0, INT64_MAX, &section.origin) || add_section(lex, f, section);
    }
    if (!lex_nil(lex)) {
        if (!lex_is_string(lex)) {
            return true; /* no value: absent */
        }
        if (!lex_string(lex, &section.data)) {
            return false;
        }
    }
    return (!body && !section.binary) || add_section(lex, f, section);
}

static bool parse_item(lexer *lex, fetching *f) {
    imap_str name = lex_item(lex);

    if (lex_is(lex, '[')) {
        return item_section(lex, name, f);
    }
    lex_blanks(lex);
    for (size_t i = 0; i < G_N_ELEMENTS(items); i++) {
        if (imap_str_is(name, items[i].name)) {
            return items[i].parse(lex, f);
        }
    }
    return !lex_more(lex) || lex_skip(lex);
}

bool parse_fetch(lexer *lex, imap_fetch *out) {
    fetching f = {.out = out};

    if (!lex_take(lex, '(')) {
        return lex_fail(lex, "a list of items was expected");
    }
    while (lex_more(lex)) {
        if (!parse_item(lex, &f)) {
            return false;
        }
    }
    out->sections = f.sections.items;
    out->section_count = f.sections.count;
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}

const imap_section *imap_fetch_section(const imap_fetch *fetch, const char *part, enum imap_section_kind kind) {
    for (size_t i = 0; i < fetch->section_count; i++) {
        const imap_section *section = &fetch->sections[i];
        if (section->kind == kind && !section->is_size && imap_str_equal(section->part, part)) {
            return section;
        }
    }
    return NULL;
}
