#include "session_priv.h"

#define BIT(kind) (1u << (kind))

G_STATIC_ASSERT((int)IMAP_WANT_FLAGS == (int)IMAP_HAVE_FLAGS && (int)IMAP_WANT_SAVE_DATE == (int)IMAP_HAVE_SAVE_DATE);

/* ---- SELECT, EXAMINE, UNSELECT ---- */

static void forget_folder(session *s) {
    selected_free(s->folder);
    s->folder = NULL;
    s->generation = 0;
}

static bool claim_select(session *s, exchange *x, const imap_response *r) {
    session_folder *f = &x->folder->pub;

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
        return selected_learn(x->folder, r);
    }
}

static void finish_select(session *s, exchange *x, const imap_response *r, session_result *result) {
    forget_folder(s);
    if (result->err) {
        return;
    }
    selected_learn(x->folder, r); /* [READ-ONLY] */
    if (!x->folder->permanent_told) {
        x->folder->pub.any_keyword = true;
    }
    s->folder = x->folder;
    s->generation = x->generation;
    x->folder = NULL;
    result->folder = &s->folder->pub;
}

static void finish_unselect(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)x;
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
static bool has_sections(const exchange *x, const imap_fetch *fetch) {
    for (size_t i = 0; i < x->section_count; i++) {
        if (!has_section(fetch, &x->sections[i])) {
            return false;
        }
    }
    return true;
}

/* Not all items: servers leave out what they cannot say. But more than news of flags would bring. */
static bool has_items(const exchange *x, const imap_fetch *fetch) {
    uint32_t telling = x->items & ~(uint32_t)(IMAP_WANT_FLAGS | IMAP_WANT_MODSEQ);

    return x->items == 0 || (fetch->have & (telling ? telling : x->items));
}

/* Sent before SELECT was answered: is it the folder that was meant? */
static bool folder_is_right(const session *s, const exchange *x) {
    return s->folder && s->generation == x->generation &&
           (!x->call.uidvalidity || x->call.uidvalidity == s->folder->pub.uidvalidity);
}

/* A FETCH is ours by its UID, and if it brings what was asked for: anything else is news, or somebody else's. */
static bool claim_fetch(session *s, exchange *x, const imap_response *r) {
    const imap_fetch *fetch = &r->fetch;

    if (r->kind != IMAP_FETCH || !fetch->uid || !imap_set_contains(&x->asked, fetch->uid)) {
        return false;
    }
    if (x->section_count ? !has_sections(x, fetch) : !has_items(x, fetch)) {
        return false;
    }
    if (x->call.ahead && !folder_is_right(s, x)) {
        return true;
    }
    imap_set_remove_range(&x->asked, fetch->uid, fetch->uid);
    if (x->call.data) {
        x->call.data(x->call.user, r);
    }
    return true;
}

static void finish_fetch(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)s;
    (void)r;
    result->missing = x->open_ended ? NULL : &x->asked;
}

/* Who does not want the answer (.SILENT) is told of others' changes meanwhile as at any time. */
static bool claim_store(session *s, exchange *x, const imap_response *r) {
    (void)s;
    if (r->kind != IMAP_FETCH || !r->fetch.uid || !imap_set_contains(&x->asked, r->fetch.uid) || !x->call.data) {
        return false;
    }
    x->call.data(x->call.user, r);
    return true;
}

/* [MODIFIED] comes with OK as well as with NO. Only what was asked for counts. */
static void finish_store(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)s;
    if (r->code.name != IMAP_CODE_MODIFIED || !r->code.valid) {
        return;
    }
    for (uint32_t uid = 0; (uid = imap_set_next(&x->asked, uid)) != 0;) {
        if (imap_ranges_contain(r->code.set, uid)) {
            imap_set_add(&x->got, uid);
        }
    }
    result->modified = &x->got;
}

/* ---- COPY, MOVE, APPEND ---- */

static int by_source(gconstpointer a, gconstpointer b) {
    const session_pair *x = a, *y = b;

    return (x->source > y->source) - (x->source < y->source);
}

/* In order, each source once: a server that names one again is believed what it said last. */
static void settle_pairs(GArray *pairs) {
    session_pair *at = (session_pair *)(void *)pairs->data;
    guint kept = 0;

    g_array_sort(pairs, by_source);
    for (guint i = 0; i < pairs->len; i++) {
        if (i + 1 == pairs->len || at[i + 1].source != at[i].source) {
            at[kept++] = at[i];
        }
    }
    g_array_set_size(pairs, kept);
}

/* Walks what was asked for, never what the server names: its ranges may be huge. */
static bool learn_copyuid(exchange *x, const imap_code *code) {
    if (code->name != IMAP_CODE_COPYUID) {
        return false;
    }
    if (!code->valid) {
        return true;
    }
    x->target_validity = code->uids.validity;
    for (uint32_t uid = 0; (uid = imap_set_next(&x->asked, uid)) != 0;) {
        session_pair pair = {uid, imap_copyuid_target(code, uid)};
        if (!pair.target) {
            continue;
        }
        if (!x->pairs) {
            x->pairs = g_array_new(FALSE, FALSE, sizeof pair);
        }
        g_array_append_val(x->pairs, pair);
    }
    if (x->pairs && x->pairs->len > 2 * imap_set_size(&x->asked)) {
        settle_pairs(x->pairs);
    }
    return true;
}

static bool claim_move(session *s, exchange *x, const imap_response *r) {
    (void)s;
    return r->kind == IMAP_CONDITION && r->condition == IMAP_OK && learn_copyuid(x, &r->code);
}

static void finish_copy(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)s;
    learn_copyuid(x, &r->code);
    result->target_validity = x->target_validity;
    if (x->pairs) {
        settle_pairs(x->pairs);
        result->pairs = (const session_pair *)(void *)x->pairs->data;
        result->pair_count = x->pairs->len;
    }
}

static void finish_append(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)s;
    (void)x;
    if (result->err || r->code.name != IMAP_CODE_APPENDUID || !r->code.valid || r->code.uids.target.count != 1) {
        return;
    }
    result->target_validity = r->code.uids.validity;
    result->appended = r->code.uids.target.at[0].low;
}

/* ---- SEARCH, LIST, STATUS ---- */

/* Page by page a folder of any size may be told; what is one answer may not. */
static size_t search_bound(const exchange *x) {
    return x->again ? SIZE_MAX / 2 : LIMIT_IMAP_SET_RANGES;
}

/* A SEARCH may answer where ESEARCH was asked for, and the other way round. */
static bool claim_search(session *s, exchange *x, const imap_response *r) {
    const imap_search *found = &r->search;

    (void)s;
    if (r->kind != IMAP_SEARCH && r->kind != IMAP_ESEARCH) {
        return false;
    }
    if (found->tag.data && !imap_str_equal(found->tag, imap_command_tag(x->command))) {
        return false;
    }
    x->got_any = true;
    x->got_damaged = x->got_damaged || !found->valid || x->got.count > search_bound(x);
    if (x->got.count > search_bound(x)) {
        return true; /* answers without end */
    }
    imap_set_add_ranges(&x->got, found->found);
    imap_set_add(&x->got, found->min);
    imap_set_add(&x->got, found->max);
    if (found->has_count) {
        x->count = found->count;
    }
    return true;
}

/* GNU Mailutils finds another message where the one that was asked for is gone. */
static void keep_asked(exchange *x) {
    uint32_t next = 1;

    for (size_t i = 0; i < x->asked.count; i++) {
        const imap_range *range = &x->asked.ranges[i];
        if (range->low > next) {
            imap_set_remove_range(&x->got, next, range->low - 1);
        }
        if (range->high == UINT32_MAX) {
            return;
        }
        next = range->high + 1;
    }
    if (x->asked.count) {
        imap_set_remove_range(&x->got, next, UINT32_MAX);
    }
}

static void finish_search(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)s;
    (void)r;
    keep_asked(x);
    uint64_t size = imap_set_size(&x->got);
    result->found = &x->got;
    result->found_whole = !result->err && x->got_any && !x->got_damaged;
    result->found_count = x->count ? x->count : (uint32_t)MIN(size, UINT32_MAX);
}

static bool claim_list(session *s, exchange *x, const imap_response *r) {
    (void)s;
    if (r->kind != IMAP_LIST && !(r->kind == IMAP_STATUS && x->items)) {
        return false;
    }
    if (x->call.data) {
        x->call.data(x->call.user, r);
    }
    return true;
}

static bool claim_status(session *s, exchange *x, const imap_response *r) {
    g_autofree char *name = NULL;

    if (r->kind != IMAP_STATUS) {
        return false;
    }
    if (!session_decode_name(s, r->status.name, s->info.delimiter, &name) || !imap_mailbox_equal(name, x->mailbox)) {
        return false;
    }
    x->got_any = true;
    x->status = r->status;
    g_free(x->mailbox_id);
    x->mailbox_id = imap_str_dup(r->status.mailbox_id);
    x->status.mailbox_id.data = x->mailbox_id;
    x->status.name = imap_str_of(x->mailbox);
    return true;
}

static void finish_status(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)s;
    (void)r;
    result->status = x->got_any ? &x->status : NULL;
}

/* ---- anything else ---- */

static void finish_probe(session *s, exchange *x, const imap_response *r, session_result *result) {
    if (s->state != SESSION_LOGOUT) {
        s->probe_until = 0;
    }
}

static bool claim_other(session *s, exchange *x, const imap_response *r) {
    (void)s;
    if (!(x->data_kinds & BIT(r->kind))) {
        return false;
    }
    if (x->call.data) {
        x->call.data(x->call.user, r);
    }
    return true;
}

const exchange_type exchange_plain = {.name = "command"};
const exchange_type exchange_notify = {.name = "NOTIFY"};
const exchange_type exchange_probe = {.name = "NOOP", .unpaced = true, .finish = finish_probe};
const exchange_type exchange_other = {.name = "command", .claim = claim_other};
const exchange_type exchange_select = {
    .name = "SELECT", .barrier = true, .moves_on = true, .claim = claim_select, .finish = finish_select};
const exchange_type exchange_unselect = {
    .name = "UNSELECT", .barrier = true, .moves_on = true, .finish = finish_unselect};
const exchange_type exchange_fetch = {
    .name = "UID FETCH",
                                    .in_folder = true,
                                    .claim = claim_fetch,
                                    .finish = finish_fetch,
                                    .go_on = again_fetch_goes_on};
const exchange_type exchange_store = {
    .name = "UID STORE", .in_folder = true, .limit_final = true, .claim = claim_store, .finish = finish_store};
const exchange_type exchange_copy = {.name = "UID COPY", .in_folder = true, .finish = finish_copy};
const exchange_type exchange_move = {
    .name = "UID MOVE", .in_folder = true, .claim = claim_move, .finish = finish_copy};
const exchange_type exchange_expunge = {.name = "EXPUNGE", .in_folder = true};
const exchange_type exchange_search = {.name = "UID SEARCH",
                                     .in_folder = true,
                                     .alone = BIT(IMAP_SEARCH) | BIT(IMAP_ESEARCH),
                                     .claim = claim_search,
                                     .finish = finish_search,
                                     .go_on = again_search_goes_on};
const exchange_type exchange_list = {
    .name = "LIST", .alone = BIT(IMAP_LIST) | BIT(IMAP_LSUB), .claim = claim_list};
const exchange_type exchange_status = {.name = "STATUS", .claim = claim_status, .finish = finish_status};
const exchange_type exchange_append = {.name = "APPEND", .finish = finish_append};
