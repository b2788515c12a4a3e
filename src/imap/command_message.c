/* Commands about messages: FETCH, STORE, COPY, MOVE, EXPUNGE, SEARCH, APPEND; by UID throughout. */
#include "build_priv.h"

#include "lexer_priv.h"

/* ---- FETCH ---- */

static const struct {
    uint32_t want;
    const char *name;
} want_names[] = {
    {IMAP_WANT_FLAGS, "FLAGS"},         {IMAP_WANT_DATE, "INTERNALDATE"},       {IMAP_WANT_SIZE, "RFC822.SIZE"},
    {IMAP_WANT_MODSEQ, "MODSEQ"},       {IMAP_WANT_EMAIL_ID, "EMAILID"},        {IMAP_WANT_THREAD_ID, "THREADID"},
    {IMAP_WANT_GM_MSGID, "X-GM-MSGID"}, {IMAP_WANT_GM_THRID, "X-GM-THRID"},     {IMAP_WANT_GM_LABELS, "X-GM-LABELS"},
    {IMAP_WANT_ENVELOPE, "ENVELOPE"},   {IMAP_WANT_STRUCTURE, "BODYSTRUCTURE"}, {IMAP_WANT_SAVE_DATE, "SAVEDATE"},
};

static const char *const section_words[] = {
    [IMAP_SECTION_ALL] = "",
    [IMAP_SECTION_HEADER] = "HEADER",
    [IMAP_SECTION_FIELDS] = "HEADER.FIELDS",
    [IMAP_SECTION_FIELDS_NOT] = "HEADER.FIELDS.NOT",
    [IMAP_SECTION_TEXT] = "TEXT",
    [IMAP_SECTION_MIME] = "MIME",
};

/* "1.2": numbers from 1, at most 300 octets. */
static bool is_part(const char *part) {
    const char *p = part;

    for (;;) {
        if (*p < '1' || *p > '9') {
            return false;
        }
        while (g_ascii_isdigit(*p)) {
            p++;
        }
        if (!*p) {
            return p - part <= 300;
        }
        if (*p++ != '.') {
            return false;
        }
    }
}

static void put_fields(build *b, const char *const *fields) {
    if (!fields || !fields[0]) {
        build_refuse(b, "no header fields named");
        return;
    }
    put_text(b, " (");
    for (size_t i = 0; fields[i]; i++) {
        const char *p = fields[i];
        while (*p > ' ' && *p < 0x7f && *p != ':') {
            p++;
        }
        if (*p || p == fields[i]) {
            build_refuse(b, "not the name of a header field");
            return;
        }
        put_text(b, i ? " " : "");
        put_astring(b, fields[i]);
    }
    put_text(b, ")");
}

static void put_section(build *b, const imap_section_want *want) {
    bool has_part = want->part && *want->part;

    if ((unsigned)want->kind >= G_N_ELEMENTS(section_words) || (has_part && !is_part(want->part)) ||
        (want->kind == IMAP_SECTION_MIME && !has_part) || (want->binary && want->kind != IMAP_SECTION_ALL) ||
        want->offset > UINT32_MAX || want->length > UINT32_MAX) {
        build_refuse(b, "not a section of a message");
        return;
    }
    put_text(b, want->binary ? "BINARY.PEEK[" : "BODY.PEEK[");
    put_text(b, has_part ? want->part : "");
    put_text(b, has_part && want->kind != IMAP_SECTION_ALL ? "." : "");
    put_text(b, section_words[want->kind]);
    if (want->kind == IMAP_SECTION_FIELDS || want->kind == IMAP_SECTION_FIELDS_NOT) {
        put_fields(b, want->fields);
    }
    put_text(b, "]");
    if (want->length) {
        put_text(b, "<");
        put_number(b, want->offset);
        put_text(b, ".");
        put_number(b, want->length);
        put_text(b, ">");
    }
}

void put_fetch_items(build *b, const imap_fetch_want *want, bool with_uid) {
    const char *gap = with_uid ? " " : "";

    put_text(b, with_uid ? "(UID" : "(");
    for (size_t i = 0; i < G_N_ELEMENTS(want_names); i++) {
        if (want->items & want_names[i].want) {
            put_text(b, gap);
            put_text(b, want_names[i].name);
            gap = " ";
        }
    }
    for (size_t i = 0; i < want->section_count; i++) {
        put_text(b, gap);
        put_section(b, &want->sections[i]);
        gap = " ";
    }
    put_text(b, ")");
}

static error *finish_fetch(build *b, const imap_fetch_want *want, imap_command **out) {
    put_text(b, " ");
    put_fetch_items(b, want, true);
    if (want->changed_since) {
        put_text(b, " (CHANGEDSINCE ");
        put_number(b, want->changed_since);
        put_text(b, want->vanished ? " VANISHED)" : ")");
    } else if (want->vanished) {
        build_refuse(b, "VANISHED without CHANGEDSINCE");
    }
    return build_finish(b, out);
}

static build *start_with_set(imap_writer *w, const char *verb, const imap_set *uids) {
    build *b = build_start(w, verb);

    put_text(b, " ");
    put_set(b, uids);
    return b;
}

error *imap_command_uid_fetch(imap_writer *w, const imap_set *uids, const imap_fetch_want *want,
                              imap_command **command_out) {
    return finish_fetch(start_with_set(w, "UID FETCH", uids), want, command_out);
}

error *imap_command_uid_fetch_from(imap_writer *w, uint32_t from, const imap_fetch_want *want,
                                   imap_command **command_out) {
    build *b = build_start(w, "UID FETCH");

    if (!from) {
        build_refuse(b, "UID 0");
    }
    put_text(b, " ");
    put_number(b, from);
    put_text(b, ":*");
    return finish_fetch(b, want, command_out);
}

/* ---- STORE, COPY, MOVE, EXPUNGE ---- */

/* Gmail's own labels begin with a backslash and are sent bare. */
static void put_label(build *b, const char *label) {
    if (label[0] == '\\' && is_atom(label + 1)) {
        put_text(b, label);
    } else {
        put_mailbox(b, label);
    }
}

error *imap_command_uid_store(imap_writer *w, const imap_set *uids, const imap_store *store,
                              imap_command **command_out) {
    static const char *const signs[] = {[IMAP_STORE_ADD] = "+", [IMAP_STORE_REMOVE] = "-", [IMAP_STORE_SET] = ""};
    bool any = store->names && store->names[0];
    build *b = start_with_set(w, "UID STORE", uids);

    if (!any && store->how != IMAP_STORE_SET) {
        build_refuse(b, "no flags named");
    }
    if (store->unchanged_since) {
        put_text(b, " (UNCHANGEDSINCE ");
        put_number(b, store->unchanged_since);
        put_text(b, ")");
    }
    put_text(b, " ");
    put_text(b, signs[store->how]);
    put_text(b, store->gm_labels ? "X-GM-LABELS" : "FLAGS");
    put_text(b, store->silent ? ".SILENT (" : " (");
    for (size_t i = 0; any && store->names[i]; i++) {
        put_text(b, i ? " " : "");
        if (store->gm_labels) {
            put_label(b, store->names[i]);
        } else {
            put_flag(b, store->names[i]);
        }
    }
    put_text(b, ")");
    return build_finish(b, command_out);
}

static error *to_mailbox(imap_writer *w, const char *verb, const imap_set *uids, const char *mailbox,
                         imap_command **out) {
    build *b = start_with_set(w, verb, uids);

    put_text(b, " ");
    put_mailbox(b, mailbox);
    return build_finish(b, out);
}

error *imap_command_uid_copy(imap_writer *w, const imap_set *uids, const char *mailbox, imap_command **command_out) {
    return to_mailbox(w, "UID COPY", uids, mailbox, command_out);
}

error *imap_command_uid_move(imap_writer *w, const imap_set *uids, const char *mailbox, imap_command **command_out) {
    return to_mailbox(w, "UID MOVE", uids, mailbox, command_out);
}

error *imap_command_uid_expunge(imap_writer *w, const imap_set *uids, imap_command **command_out) {
    return build_finish(start_with_set(w, "UID EXPUNGE", uids), command_out);
}

/* ---- SEARCH ---- */

static void put_search_returns(build *b, uint32_t returns) {
    static const char *const names[] = {"MIN", "MAX", "COUNT", "ALL"};
    const char *gap = " RETURN (";

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (returns >> i & 1) {
            put_text(b, gap);
            put_text(b, names[i]);
            gap = " ";
        }
    }
    put_text(b, returns ? ")" : "");
}

static void put_search_flags(build *b, const imap_search_want *want) {
    static const struct {
        uint32_t flag;
        const char *set, *unset;
    } names[] = {
        {IMAP_FLAG_SEEN, " SEEN", " UNSEEN"},          {IMAP_FLAG_ANSWERED, " ANSWERED", " UNANSWERED"},
        {IMAP_FLAG_FLAGGED, " FLAGGED", " UNFLAGGED"}, {IMAP_FLAG_DELETED, " DELETED", " UNDELETED"},
        {IMAP_FLAG_DRAFT, " DRAFT", " UNDRAFT"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        put_text(b, want->flags & names[i].flag ? names[i].set : "");
        put_text(b, want->not_flags & names[i].flag ? names[i].unset : "");
    }
    if (want->keyword) {
        put_text(b, " KEYWORD ");
        put_atom(b, want->keyword);
    }
    if (want->unkeyword) {
        put_text(b, " UNKEYWORD ");
        put_atom(b, want->unkeyword);
    }
}

static void put_search_numbers(build *b, const imap_search_want *want) {
    char day[32];

    if (want->since) {
        date_format_day(want->since, day);
        put_text(b, " SINCE ");
        put_text(b, day);
    }
    if (want->before) {
        date_format_day(want->before, day);
        put_text(b, " BEFORE ");
        put_text(b, day);
    }
    if (want->larger) {
        put_text(b, " LARGER ");
        put_number(b, want->larger);
    }
    if (want->modseq) {
        put_text(b, " MODSEQ ");
        put_number(b, want->modseq);
    }
}

static void put_search_ids(build *b, const imap_search_want *want) {
    if (want->header) {
        put_text(b, " HEADER ");
        put_astring(b, want->header);
        put_text(b, " ");
        put_string(b, want->header_value ? want->header_value : "");
    }
    if (want->gm_msgid) {
        uint64_t n = 0;
        if (!number_parse(imap_str_of(want->gm_msgid), 1, UINT64_MAX, &n)) {
            build_refuse(b, "not a Gmail message id");
        }
        put_text(b, " X-GM-MSGID ");
        put_number(b, n);
    }
    if (want->email_id) {
        put_text(b, " EMAILID ");
        put_astring(b, want->email_id);
    }
}

static bool is_ascii(const char *text) {
    return !text || g_str_is_ascii(text);
}

error *imap_command_uid_search(imap_writer *w, const imap_search_want *want, imap_command **command_out) {
    build *b = build_start(w, "UID SEARCH");

    if (want->partial) {
        put_text(b, " RETURN (PARTIAL 1:");
        put_number(b, want->partial);
        put_text(b, ")");
    } else {
        put_search_returns(b, want->returns);
    }
    if (!is_ascii(want->header_value) && !build_is_utf8(b)) { /* with UTF8=ACCEPT it is implied */
        put_text(b, " CHARSET UTF-8");
    }
    put_text(b, " ");
    if (want->uids) {
        put_text(b, "UID ");
        put_set(b, want->uids);
    } else if (want->uid_from) {
        put_text(b, "UID ");
        put_number(b, want->uid_from);
        put_text(b, ":*");
    } else {
        put_text(b, "ALL");
    }
    put_search_ids(b, want);
    put_search_flags(b, want);
    put_search_numbers(b, want);
    return build_finish(b, command_out);
}

/* ---- APPEND ---- */

error *imap_command_append(imap_writer *w, const imap_append *append, imap_command **command_out) {
    build *b = build_start(w, "APPEND");
    char date[32];

    put_text(b, " ");
    put_mailbox(b, append->mailbox);
    if (append->flags && append->flags[0]) {
        for (size_t i = 0; append->flags[i]; i++) {
            put_text(b, i ? " " : " (");
            put_flag(b, append->flags[i]);
        }
        put_text(b, ")");
    }
    if (append->has_date) {
        date_format(append->date, date);
        put_text(b, " \"");
        put_text(b, date);
        put_text(b, "\"");
    }
    put_text(b, " ");
    put_literal(b, append->message);
    return build_finish(b, command_out);
}
