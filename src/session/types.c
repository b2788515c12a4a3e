#include "session_priv.h"

#define BIT(kind) (1u << (kind))

/* ---- SELECT, EXAMINE, UNSELECT ---- */

static void forget_folder(session *s) {
    selected_free(s->folder);
    s->folder = NULL;
    s->generation = 0;
}

static bool claim_select(session *s, request *q, const imap_response *r) {
    session_folder *f = &q->folder->pub;

    (void)s;
    switch (r->kind) {
    case IMAP_EXPUNGE:
        f->exists -= r->number > 0 && f->exists > 0;
        return true;
    case IMAP_VANISHED:
        if (!r->vanished.earlier && r->vanished.valid) {
            f->exists -= (uint32_t)MIN(imap_ranges_size(r->vanished.uids), f->exists);
            return true;
        }
        return false;
    default:
        return folder_learn(q->folder, r);
    }
}

static void finish_select(session *s, request *q, const imap_response *r, session_result *result) {
    forget_folder(s);
    if (result->err) {
        return;
    }
    folder_learn(q->folder, r); /* [READ-ONLY] */
    if (!q->folder->permanent_told) {
        q->folder->pub.any_keyword = true;
    }
    s->folder = q->folder;
    s->generation = q->generation;
    q->folder = NULL;
    result->folder = &s->folder->pub;
}

static void finish_unselect(session *s, request *q, const imap_response *r, session_result *result) {
    (void)q;
    (void)r;
    (void)result;
    forget_folder(s);
}

/* ---- FETCH, STORE ---- */

static bool has_section(const imap_fetch *fetch, const section_asked *asked) {
    for (size_t i = 0; i < fetch->section_count; i++) {
        const imap_section *got = &fetch->sections[i];
        if (got->kind == asked->kind && got->binary == asked->binary && !got->is_size && got->data.data &&
            imap_str_is(got->part, asked->part) && (asked->partial || !got->has_origin)) {
            return true;
        }
    }
    return false;
}

/* Did all sections come that were asked for? NIL is not one. */
static bool has_sections(const request *q, const imap_fetch *fetch) {
    for (size_t i = 0; i < q->section_count; i++) {
        if (!has_section(fetch, &q->sections[i])) {
            return false;
        }
    }
    return true;
}

/* A FETCH is ours by its UID, and if it brings what was asked for: anything else is news, or somebody else's. */
static bool claim_fetch(session *s, request *q, const imap_response *r) {
    const imap_fetch *fetch = &r->fetch;

    (void)s;
    if (r->kind != IMAP_FETCH || !fetch->uid || !imap_set_contains(&q->asked, fetch->uid)) {
        return false;
    }
    if (!has_sections(q, fetch) || (!q->section_count && q->items && !(fetch->have & q->items))) {
        return false;
    }
    imap_set_remove_range(&q->asked, fetch->uid, fetch->uid);
    if (q->call.data) {
        q->call.data(q->call.user, r);
    }
    return true;
}

static void finish_fetch(session *s, request *q, const imap_response *r, session_result *result) {
    (void)s;
    (void)r;
    result->missing = q->open_ended ? NULL : &q->asked;
}

static bool claim_store(session *s, request *q, const imap_response *r) {
    (void)s;
    if (r->kind != IMAP_FETCH || !r->fetch.uid || !imap_set_contains(&q->asked, r->fetch.uid)) {
        return false;
    }
    if (q->call.data) {
        q->call.data(q->call.user, r);
    }
    return true;
}

/* [MODIFIED] comes with OK as well as with NO. Only what was asked for counts. */
static void finish_store(session *s, request *q, const imap_response *r, session_result *result) {
    (void)s;
    if (r->code.name != IMAP_CODE_MODIFIED || !r->code.valid) {
        return;
    }
    for (uint32_t uid = 0; (uid = imap_set_next(&q->asked, uid)) != 0;) {
        if (imap_ranges_contain(r->code.set, uid)) {
            imap_set_add(&q->got, uid);
        }
    }
    result->modified = &q->got;
}

/* ---- COPY, MOVE, APPEND ---- */

/* Walks what was asked for, never what the server names: its ranges may be huge. */
static bool learn_copyuid(request *q, const imap_code *code) {
    if (code->name != IMAP_CODE_COPYUID) {
        return false;
    }
    if (!code->valid) {
        return true;
    }
    q->target_validity = code->uids.validity;
    for (uint32_t uid = 0; (uid = imap_set_next(&q->asked, uid)) != 0;) {
        session_pair pair = {uid, imap_copyuid_target(code, uid)};
        if (!pair.target) {
            continue;
        }
        if (!q->pairs) {
            q->pairs = g_array_new(FALSE, FALSE, sizeof pair);
        }
        g_array_append_val(q->pairs, pair);
    }
    return true;
}

static bool claim_move(session *s, request *q, const imap_response *r) {
    (void)s;
    return r->kind == IMAP_CONDITION && r->condition == IMAP_OK && learn_copyuid(q, &r->code);
}

static int by_source(gconstpointer a, gconstpointer b) {
    const session_pair *x = a, *y = b;

    return (x->source > y->source) - (x->source < y->source);
}

static void finish_copy(session *s, request *q, const imap_response *r, session_result *result) {
    (void)s;
    learn_copyuid(q, &r->code);
    result->target_validity = q->target_validity;
    if (q->pairs) {
        g_array_sort(q->pairs, by_source);
        result->pairs = (const session_pair *)(void *)q->pairs->data;
        result->pair_count = q->pairs->len;
    }
}

static void finish_append(session *s, request *q, const imap_response *r, session_result *result) {
    (void)s;
    (void)q;
    if (result->err || r->code.name != IMAP_CODE_APPENDUID || !r->code.valid || r->code.uids.target.count != 1) {
        return;
    }
    result->target_validity = r->code.uids.validity;
    result->appended = r->code.uids.target.at[0].low;
}

/* ---- SEARCH, LIST, STATUS ---- */

/* A SEARCH may answer where ESEARCH was asked for, and the other way round. */
static bool claim_search(session *s, request *q, const imap_response *r) {
    const imap_search *found = &r->search;

    (void)s;
    if (r->kind != IMAP_SEARCH && r->kind != IMAP_ESEARCH) {
        return false;
    }
    if (found->tag.data && !imap_str_equal(found->tag, imap_command_tag(q->command))) {
        return false;
    }
    q->got_any = true;
    q->got_damaged = q->got_damaged || !found->valid || q->got.count > LIMIT_IMAP_SET_RANGES;
    if (q->got.count > LIMIT_IMAP_SET_RANGES) {
        return true; /* answers without end */
    }
    imap_set_add_ranges(&q->got, found->found);
    imap_set_add(&q->got, found->min);
    imap_set_add(&q->got, found->max);
    if (found->has_count) {
        q->count = found->count;
    }
    return true;
}

static void finish_search(session *s, request *q, const imap_response *r, session_result *result) {
    uint64_t size = imap_set_size(&q->got);

    (void)s;
    (void)r;
    result->found = &q->got;
    result->found_whole = !result->err && q->got_any && !q->got_damaged;
    result->found_count = q->count ? q->count : (uint32_t)MIN(size, UINT32_MAX);
}

static bool claim_list(session *s, request *q, const imap_response *r) {
    (void)s;
    if (r->kind != IMAP_LIST && !(r->kind == IMAP_STATUS && q->items)) {
        return false;
    }
    if (q->call.data) {
        q->call.data(q->call.user, r);
    }
    return true;
}

static bool claim_status(session *s, request *q, const imap_response *r) {
    g_autofree char *name = NULL;

    if (r->kind != IMAP_STATUS) {
        return false;
    }
    if (!session_decode_name(s, r->status.name, s->info.delimiter, &name) || !imap_mailbox_equal(name, q->mailbox)) {
        return false;
    }
    q->got_any = true;
    q->status = r->status;
    g_free(q->mailbox_id);
    q->mailbox_id = imap_str_dup(r->status.mailbox_id);
    q->status.mailbox_id.data = q->mailbox_id;
    q->status.name = imap_str_of(q->mailbox);
    return true;
}

static void finish_status(session *s, request *q, const imap_response *r, session_result *result) {
    (void)s;
    (void)r;
    result->status = q->got_any ? &q->status : NULL;
}

/* ---- anything else ---- */

static bool claim_other(session *s, request *q, const imap_response *r) {
    (void)s;
    if (!(q->data_kinds & BIT(r->kind))) {
        return false;
    }
    if (q->call.data) {
        q->call.data(q->call.user, r);
    }
    return true;
}

const request_type request_plain = {.name = "command"};
const request_type request_other = {.name = "command", .claim = claim_other};
const request_type request_select = {
    .name = "SELECT", .barrier = true, .moves_on = true, .claim = claim_select, .finish = finish_select};
const request_type request_unselect = {
    .name = "UNSELECT", .barrier = true, .moves_on = true, .finish = finish_unselect};
const request_type request_fetch = {
    .name = "UID FETCH", .in_folder = true, .claim = claim_fetch, .finish = finish_fetch};
const request_type request_store = {
    .name = "UID STORE", .in_folder = true, .claim = claim_store, .finish = finish_store};
const request_type request_copy = {.name = "UID COPY", .in_folder = true, .finish = finish_copy};
const request_type request_move = {
    .name = "UID MOVE", .in_folder = true, .claim = claim_move, .finish = finish_copy};
const request_type request_expunge = {.name = "EXPUNGE", .in_folder = true};
const request_type request_search = {.name = "UID SEARCH",
                                     .in_folder = true,
                                     .alone = BIT(IMAP_SEARCH) | BIT(IMAP_ESEARCH),
                                     .claim = claim_search,
                                     .finish = finish_search};
const request_type request_list = {
    .name = "LIST", .alone = BIT(IMAP_LIST) | BIT(IMAP_LSUB), .claim = claim_list};
const request_type request_status = {.name = "STATUS", .claim = claim_status, .finish = finish_status};
const request_type request_append = {.name = "APPEND", .finish = finish_append};
