/* Untagged data but FETCH: LIST, STATUS, SEARCH, ESEARCH, VANISHED, NAMESPACE, ID. */
#include "lexer_priv.h"

#include "base/limits.h"
#include "imap/mailbox.h"

static const char *const kind_names[IMAP_KINDS] = {
    [IMAP_UNKNOWN] = "unknown",
    [IMAP_TAGGED] = "tagged",
    [IMAP_CONDITION] = "condition",
    [IMAP_CONTINUATION] = "+",
    [IMAP_CAPABILITY] = "CAPABILITY",
    [IMAP_ENABLED] = "ENABLED",
    [IMAP_FLAGS] = "FLAGS",
    [IMAP_EXISTS] = "EXISTS",
    [IMAP_RECENT] = "RECENT",
    [IMAP_EXPUNGE] = "EXPUNGE",
    [IMAP_VANISHED] = "VANISHED",
    [IMAP_FETCH] = "FETCH",
    [IMAP_LIST] = "LIST",
    [IMAP_LSUB] = "LSUB",
    [IMAP_STATUS] = "STATUS",
    [IMAP_SEARCH] = "SEARCH",
    [IMAP_ESEARCH] = "ESEARCH",
    [IMAP_ID] = "ID",
    [IMAP_NAMESPACE] = "NAMESPACE",
    [IMAP_QUOTA] = "QUOTA",
    [IMAP_QUOTAROOT] = "QUOTAROOT",
};

const char *imap_kind_name(enum imap_kind kind) {
    return (unsigned)kind < IMAP_KINDS ? kind_names[kind] : "unknown";
}

const char *imap_condition_name(enum imap_condition condition) {
    static const char *const names[] = {"OK", "NO", "BAD", "PREAUTH", "BYE"};

    return (unsigned)condition < G_N_ELEMENTS(names) ? names[condition] : "unknown";
}

/* ---- LIST ---- */

static const struct {
    const char *name;
    uint32_t attrs;
} attributes[] = {
    {"\\HasNoChildren", IMAP_ATTR_HASNOCHILDREN},
    {"\\HasChildren", IMAP_ATTR_HASCHILDREN},
    {"\\Noselect", IMAP_ATTR_NOSELECT},
    {"\\NonExistent", IMAP_ATTR_NONEXISTENT | IMAP_ATTR_NOSELECT},
    {"\\NoInferiors", IMAP_ATTR_NOINFERIORS},
    {"\\Marked", IMAP_ATTR_MARKED},
    {"\\Unmarked", IMAP_ATTR_UNMARKED},
    {"\\Subscribed", IMAP_ATTR_SUBSCRIBED},
    {"\\Remote", IMAP_ATTR_REMOTE},
    {"\\Inbox", IMAP_ATTR_INBOX},
};

static uint32_t attribute(imap_str name) {
    char text[32];

    for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
        if (imap_str_is(name, attributes[i].name)) {
            return attributes[i].attrs;
        }
    }
    if (name.len >= sizeof text) {
        return 0;
    }
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    return imap_special_use_parse(text);
}

static bool parse_delimiter(lexer *lex, char *out) {
    imap_str text;

    lex_blanks(lex);
    if (!lex_nstring(lex, &text) || text.len > 1) {
        return lex_fail(lex, "malformed delimiter");
    }
    *out = text.len ? text.data[0] : '\0';
    return true;
}

/* Exchange leaves names unquoted that need quotes: everything up to a blank is taken, whatever it is. */
static bool parse_name(lexer *lex, imap_str *out) {
    lex_blanks(lex);
    if (lex_is_string(lex)) {
        return lex_string(lex, out);
    }
    *out = (imap_str){lex->at, 0};
    while (lex->at < lex->end && *lex->at != ' ') {
        lex->at++;
        out->len++;
    }
    return out->len > 0 || lex_fail(lex, "a mailbox name was expected");
}

/* Extended data (RFC 9051 section 7.3.1); only OLDNAME matters here. */
static void parse_list_more(lexer *lex, imap_list *out) {
    if (!lex_take(lex, '(')) {
        return;
    }
    while (lex_more(lex)) {
        imap_str tag;
        if (!lex_astring(lex, &tag)) {
            return;
        }
        lex_blanks(lex);
        if (imap_str_is(tag, "OLDNAME") && lex_take(lex, '(')) {
            if (!lex_astring(lex, &out->old_name) || !lex_take(lex, ')')) {
                return;
            }
        } else if (!lex_skip(lex)) {
            return;
        }
    }
}

bool parse_list(lexer *lex, imap_response *out) {
    imap_list *list = &out->list;
    imap_flags attrs;

    if (!lex_flags(lex, &attrs) || !parse_delimiter(lex, &list->delimiter) || !parse_name(lex, &list->name)) {
        return false;
    }
    for (size_t i = 0; i < attrs.all.count; i++) {
        list->attrs |= attribute(attrs.all.at[i]);
    }
    lex_blanks(lex);
    if (lex->at < lex->end && !lex_is(lex, '(')) { /* a name with blanks and without quotes: which one is meant? */
        return lex_fail(lex, "words after the name");
    }
    parse_list_more(lex, list);
    return true;
}

/* ---- STATUS ---- */

static const struct {
    const char *name;
    enum imap_status_have have;
    uint64_t min, max;
    uint8_t offset;
    bool wide;
} status_items[] = {
#define ITEM32(name, field, min)                                                                                       \
    { #name, IMAP_STATUS_##name, min, UINT32_MAX, offsetof(imap_status, field), false }
#define ITEM64(name, field, min)                                                                                       \
    { #name, IMAP_STATUS_##name, min, MODSEQ_MAX, offsetof(imap_status, field), true }
    ITEM32(MESSAGES, messages, 0),
    ITEM32(UIDNEXT, uidnext, 1),
    ITEM32(UIDVALIDITY, uidvalidity, 1),
    ITEM32(UNSEEN, unseen, 0),
    ITEM32(RECENT, recent, 0),
    ITEM32(DELETED, deleted, 0),
    ITEM64(HIGHESTMODSEQ, highestmodseq, 1),
    ITEM64(SIZE, size, 0),
    ITEM64(APPENDLIMIT, append_limit, 0),
#undef ITEM32
#undef ITEM64
};

static void status_number(lexer *lex, size_t i, imap_status *out) {
    char *field = (char *)out + status_items[i].offset;
    uint64_t n;

    if (!lex_number(lex, status_items[i].min, status_items[i].max, &n)) {
        return;
    }
    out->have |= status_items[i].have;
    if (status_items[i].wide) {
        memcpy(field, &n, sizeof n);
    } else {
        uint32_t narrow = (uint32_t)n;
        memcpy(field, &narrow, sizeof narrow);
    }
}

/* One name and its value; a value that is no number leaves the item absent. */
static bool status_item(lexer *lex, imap_status *out) {
    imap_str name = lex_token(lex);

    lex_blanks(lex);
    for (size_t i = 0; i < G_N_ELEMENTS(status_items); i++) {
        if (imap_str_is(name, status_items[i].name)) {
            if (lex->at < lex->end && (g_ascii_isdigit(*lex->at) || *lex->at == '-' || *lex->at == '+')) {
                status_number(lex, i, out);
                return true;
            }
            lex_nil(lex);
            return true;
        }
    }
    if (imap_str_is(name, "MAILBOXID") && lex_take(lex, '(')) {
        if (!lex_astring(lex, &out->mailbox_id) || !lex_take(lex, ')')) {
            return lex_fail(lex, "malformed MAILBOXID");
        }
        out->have |= IMAP_STATUS_MAILBOXID;
        return true;
    }
    return !lex_more(lex) || lex_skip(lex);
}

bool parse_status(lexer *lex, imap_response *out) {
    if (!lex_astring(lex, &out->status.name)) {
        return false;
    }
    lex_blanks(lex);
    if (!lex_take(lex, '(')) {
        return lex_at_end(lex) || lex_fail(lex, "a list of items was expected");
    }
    while (lex_more(lex)) {
        if (!status_item(lex, &out->status)) {
            return false;
        }
    }
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}

/* ---- SEARCH, ESEARCH, VANISHED ---- */

static bool parse_search_modseq(lexer *lex, uint64_t *out) {
    lex_blanks(lex);
    return lex_number(lex, 1, MODSEQ_MAX, out);
}

bool parse_search(lexer *lex, imap_response *out) {
    imap_search *search = &out->search;
    vec found = {0};

    search->valid = true;
    while (!lex_at_end(lex)) {
        uint64_t n;
        if (lex_take(lex, '(')) {
            if (!imap_str_is(lex_token(lex), "MODSEQ") || !parse_search_modseq(lex, &search->modseq)) {
                search->modseq = 0;
            }
            break;
        }
        imap_str token = lex_token(lex);
        if (token.len == 0) {
            return lex_fail(lex, "a number was expected");
        }
        if (!number_parse(token, 1, UINT32_MAX, &n)) {
            search->valid = false;
        } else if (!ranges_push(lex, &found, SIZE_MAX, (uint32_t)n, (uint32_t)n)) {
            return false;
        }
    }
    search->found = (imap_ranges){found.items, found.count};
    return true;
}

static bool esearch_number(lexer *lex, uint64_t min, uint32_t *out, bool *has_out) {
    uint64_t n;

    *has_out = lex_number(lex, min, UINT32_MAX, &n);
    *out = *has_out ? (uint32_t)n : 0;
    return *has_out;
}

/* PARTIAL (range SP set|NIL), RFC 9394. */
static bool esearch_partial(lexer *lex, imap_search *out) {
    if (!lex_take(lex, '(') || lex_token(lex).len == 0) {
        return lex_fail(lex, "malformed PARTIAL");
    }
    lex_blanks(lex);
    if (!lex_nil(lex) && !lex_ranges(lex, LIMIT_IMAP_SET_RANGES, false, &out->found)) {
        out->valid = false;
        lex->why = NULL;
    }
    lex_blanks(lex);
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}

static bool esearch_item(lexer *lex, imap_search *out) {
    imap_str name = lex_token(lex);
    bool has;

    lex_blanks(lex);
    if (imap_str_is(name, "ALL")) {
        if (!lex_ranges(lex, LIMIT_IMAP_SET_RANGES, false, &out->found)) {
            out->valid = false;
            lex->why = NULL;
        }
    } else if (imap_str_is(name, "MIN")) {
        out->valid &= esearch_number(lex, 1, &out->min, &has);
    } else if (imap_str_is(name, "MAX")) {
        out->valid &= esearch_number(lex, 1, &out->max, &has);
    } else if (imap_str_is(name, "COUNT")) {
        out->valid &= esearch_number(lex, 0, &out->count, &out->has_count);
    } else if (imap_str_is(name, "MODSEQ")) {
        if (!lex_number(lex, 1, MODSEQ_MAX, &out->modseq)) {
            out->modseq = 0;
        }
    } else if (imap_str_is(name, "PARTIAL")) {
        return esearch_partial(lex, out);
    } else {
        return name.len ? lex_at_end(lex) || lex_skip(lex) : lex_fail(lex, "a word was expected");
    }
    return true;
}

bool parse_esearch(lexer *lex, imap_response *out) {
    imap_search *search = &out->search;

    search->valid = true;
    if (lex_take(lex, '(')) {
        imap_str word = lex_token(lex);
        lex_blanks(lex);
        if (!imap_str_is(word, "TAG") || !lex_astring(lex, &search->tag) || !lex_take(lex, ')')) {
            return lex_fail(lex, "malformed correlator");
        }
    }
    while (!lex_at_end(lex)) {
        const char *before = lex->at;
        if (!search->uid && imap_str_is(lex_token(lex), "UID")) {
            search->uid = true;
            continue;
        }
        lex->at = before;
        if (!esearch_item(lex, search)) {
            return false;
        }
    }
    return true;
}

bool parse_vanished(lexer *lex, imap_response *out) {
    imap_vanished *vanished = &out->vanished;

    if (lex_take(lex, '(')) {
        vanished->earlier = imap_str_is(lex_token(lex), "EARLIER");
        if (!vanished->earlier || !lex_take(lex, ')')) {
            return lex_fail(lex, "malformed VANISHED");
        }
        lex_blanks(lex);
    }
    vanished->valid = lex_ranges(lex, LIMIT_IMAP_SET_RANGES, false, &vanished->uids);
    return true;
}

/* ---- NAMESPACE, ID ---- */

static bool parse_namespaces(lexer *lex, int kind, vec *all) {
    lex_blanks(lex);
    if (lex_nil(lex)) {
        return true;
    }
    if (!lex_take(lex, '(')) {
        return lex_fail(lex, "a list of namespaces was expected");
    }
    while (lex_more(lex)) {
        imap_namespace *item = vec_add(lex, all, sizeof *item, VEC_MAX);
        if (!item || !lex_take(lex, '(')) {
            return lex_fail(lex, "a namespace was expected");
        }
        item->kind = kind;
        if (!lex_astring(lex, &item->prefix) || !parse_delimiter(lex, &item->delimiter)) {
            return false;
        }
        while (lex_more(lex)) { /* extensions */
            if (!lex_skip(lex)) {
                return false;
            }
        }
        if (!lex_take(lex, ')')) {
            return lex_fail(lex, "list not closed");
        }
    }
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}

bool parse_namespace(lexer *lex, imap_response *out) {
    vec all = {0};

    for (int kind = 0; kind < 3; kind++) {
        if (!parse_namespaces(lex, kind, &all)) {
            return false;
        }
    }
    out->namespaces.at = all.items;
    out->namespaces.count = all.count;
    return true;
}

bool parse_id(lexer *lex, imap_response *out) {
    vec all = {0};

    if (lex_nil(lex)) {
        return true;
    }
    if (!lex_take(lex, '(')) {
        return lex_fail(lex, "a list was expected");
    }
    while (lex_more(lex)) {
        imap_str *item = vec_add(lex, &all, sizeof *item, VEC_MAX);
        if (!item || !(lex_nil(lex) || lex_astring(lex, item))) {
            return false;
        }
    }
    out->pairs = (imap_strs){all.items, all.count & ~(size_t)1};
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}
