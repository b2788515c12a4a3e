/*
 * A server that does a command in part only, and how the rest is asked for (RFC 9738, RFC 9394).
 *
 * MESSAGELIMIT: it works downwards from the highest UID, and "OK [MESSAGELIMIT n uid]" says how far it came: what is
 * below that UID is asked for with another command. PARTIAL: we ask for the lowest so many results, then for those
 * above the highest of them: nothing is lost if messages go meanwhile.
 */
#include "session_priv.h"

/* What was wanted, copied. */
struct again {
    imap_fetch_want fetch;
    imap_search_want search;
    imap_set uids;    /* of the search */
    bool has_uids;
    uint32_t from;    /* FETCH or SEARCH from:*, 0 = none */
    uint64_t counted; /* results of the pages before */
    GStringChunk *strings;
    GPtrArray *lists;
};

void again_free(struct again *again) {
    if (!again) {
        return;
    }
    imap_set_release(&again->uids);
    g_string_chunk_free(again->strings);
    g_ptr_array_free(again->lists, TRUE);
    g_free(again);
}

static struct again *again_new(void) {
    struct again *a = g_new0(struct again, 1);

    a->strings = g_string_chunk_new(128);
    a->lists = g_ptr_array_new_with_free_func(g_free);
    return a;
}

static const char *keep(struct again *a, const char *text) {
    return text ? g_string_chunk_insert(a->strings, text) : NULL;
}

static void *keep_list(struct again *a, void *list) {
    g_ptr_array_add(a->lists, list);
    return list;
}

void again_fetch(session *s, exchange *x, const imap_fetch_want *want) {
    struct again *a;
    imap_section_want *sections;

    if (!imap_can(&s->caps, IMAP_CAP_MESSAGELIMIT)) {
        return;
    }
    a = x->again = again_new();
    a->fetch = *want;
    a->from = x->open_ended ? imap_set_min(&x->asked) : 0;
    sections = keep_list(a, g_new0(imap_section_want, want->section_count + 1));
    for (size_t i = 0; i < want->section_count; i++) {
        sections[i] = want->sections[i];
        sections[i].part = keep(a, sections[i].part);
        if (sections[i].fields) {
            guint n = g_strv_length((char **)sections[i].fields);
            const char **fields = keep_list(a, g_new0(const char *, n + 1));
            for (guint f = 0; f < n; f++) {
                fields[f] = keep(a, sections[i].fields[f]);
            }
            sections[i].fields = fields;
        }
    }
    a->fetch.sections = sections;
}

void again_search(session *s, exchange *x, const imap_search_want *want) {
    struct again *a;

    if (!imap_can(&s->caps, IMAP_CAP_MESSAGELIMIT) && !want->partial) {
        return;
    }
    a = x->again = again_new();
    a->search = *want;
    a->search.header = keep(a, want->header);
    a->search.header_value = keep(a, want->header_value);
    a->search.gm_msgid = keep(a, want->gm_msgid);
    a->search.email_id = keep(a, want->email_id);
    a->search.keyword = keep(a, want->keyword);
    a->search.unkeyword = keep(a, want->unkeyword);
    a->from = want->uid_from;
    if (want->uids) {
        a->has_uids = true;
        imap_set_add_ranges(&a->uids, (imap_ranges){want->uids->ranges, want->uids->count});
    } else {
        imap_set_add_range(&a->uids, MAX(want->uid_from, 1), UINT32_MAX);
    }
}

void limit_learn(session *s, const imap_code *code) {
    uint32_t n = (uint32_t)code->number;

    if (!s->caps.message_limit || n < s->caps.message_limit) {
        log_info(&s->log, "the server does %u messages at a time", n);
        s->caps.message_limit = n;
    }
}

/* "[MESSAGELIMIT 1000 23221]": all from 23221 upwards is done. 0 = not told. */
static uint32_t done_down_to(const imap_response *r) {
    g_autofree char *argument = NULL;
    char *second;

    if (r->code.name != IMAP_CODE_MESSAGELIMIT || !r->code.valid) {
        return 0;
    }
    argument = imap_str_dup(r->code.argument);
    second = argument ? strchr(argument, ' ') : NULL;
    guint64 uid = second ? g_ascii_strtoull(second, NULL, 10) : 0;
    return uid <= UINT32_MAX ? (uint32_t)uid : 0;
}

/* x leaves once more, as command. */
static bool restart(session *s, exchange *x, imap_command *command, error *err) {
    if (err) {
        log_error_value(&s->log, LOG_LEVEL_WARN, err);
        error_free(err);
        return false;
    }
    imap_command_free(x->command);
    x->command = command;
    return true;
}

bool again_fetch_goes_on(session *s, exchange *x, const imap_response *r) {
    uint32_t uid = done_down_to(r);
    imap_command *command = NULL;
    imap_set rest = IMAP_SET_INIT;
    error *err;

    if (!x->again || uid < 2 || (x->again->from && x->again->from >= uid)) {
        return false;
    }
    imap_set_add_ranges(&rest, (imap_ranges){x->asked.ranges, x->asked.count});
    imap_set_clip(&rest, 1, uid - 1);
    bool more = !imap_set_is_empty(&rest);
    if (more) {
        err = imap_command_uid_fetch(&s->writer, &rest, &x->again->fetch, &command);
        more = restart(s, x, command, err);
    }
    imap_set_release(&rest);
    return more;
}

static bool search_rest(session *s, exchange *x, imap_search_want *want) {
    imap_command *command = NULL;
    error *err;

    if (!want->partial) {
        want->uids = &x->again->uids;
        want->uid_from = 0;
    }
    err = imap_command_uid_search(&s->writer, want, &command);
    return restart(s, x, command, err);
}

/* The page was full: the next one lies above its highest UID. */
static bool next_page(session *s, exchange *x) {
    struct again *a = x->again;
    uint64_t got = imap_set_size(&x->got), page = got - a->counted;
    uint32_t last = imap_set_max(&x->got);

    if (page < a->search.partial || last == UINT32_MAX) {
        return false;
    }
    a->counted = got;
    a->search.uid_from = last + 1;
    return search_rest(s, x, &a->search);
}

bool again_search_goes_on(session *s, exchange *x, const imap_response *r) {
    struct again *a = x->again;
    uint32_t uid = done_down_to(r);

    if (!a) {
        return false;
    }
    if (uid && a->search.partial) { /* of what it looked at, the lowest are not the lowest of all */
        a->search.partial = 0;
        a->search.returns = IMAP_SEARCH_FOUND;
        imap_set_clip(&a->uids, a->search.uid_from, UINT32_MAX);
        return search_rest(s, x, &a->search);
    }
    if (a->search.partial) {
        return next_page(s, x);
    }
    if (uid < 2 || imap_set_min(&a->uids) >= uid) {
        return false;
    }
    imap_set_clip(&a->uids, 1, uid - 1);
    return !imap_set_is_empty(&a->uids) && search_rest(s, x, &a->search);
}
