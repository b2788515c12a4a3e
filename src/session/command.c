#include "session_priv.h"

#include <string.h>

/* Some 40 KB of answer. */
#define SEARCH_ALL_MAX 5000

/* The first line, without what literals follow. */
static size_t line_length(const imap_command *command) {
    size_t len;
    const char *bytes = imap_command_segment(command, 0, &len), *end = memchr(bytes, '\n', len);

    return end ? (size_t)(end - bytes) + 1 : len;
}

static error *check_line(const session *s, const imap_command *command) {
    size_t len = line_length(command);

    if (len <= s->quirks.command_octets) {
        return NULL;
    }
    return error_new(ERROR_LIMIT, "a command of %zu octets in a line is more than the server takes (%u)", len,
                     s->quirks.command_octets);
}

/* Only between ready and logout; then as the writer said. */
static void make(session *s, exchange *x, imap_command *command, error *err) {
    if (!err && command) {
        err = check_line(s, command);
    }
    if (!err && s->state != SESSION_READY) {
        err = s->state < SESSION_READY ? error_new(ERROR_INTERNAL, "a command before the login is done")
                                       : error_new(ERROR_NETWORK, "the connection is closed");
    }
    exchange_queue(s, x, command, err);
}

static void refuse(session *s, const session_call *call, error *err) {
    make(s, exchange_new(&exchange_plain, call), NULL, err);
}

static bool lacks(session *s, enum imap_capability cap, const session_call *call) {
    if (imap_can(&s->caps, cap)) {
        return false;
    }
    refuse(s, call, error_new(ERROR_PERMISSION, "the server does not offer %s", imap_capability_name(cap)));
    return true;
}

static exchange *on_uids(const exchange_type *type, const imap_set *uids, const session_call *call) {
    exchange *x = exchange_new(type, call);

    imap_set_add_ranges(&x->asked, (imap_ranges){uids->ranges, uids->count});
    return x;
}

/* ---- mailboxes ---- */

void session_select(session *s, const char *name, bool read_only, const imap_select_options *options,
                    const session_call *call) {
    exchange *x = exchange_new(&exchange_select, call);
    imap_command *command = NULL;
    error *err;

    x->folder = selected_new(name);
    x->folder->pub.read_only = x->folder->examined = read_only;
    err = read_only ? imap_command_examine(&s->writer, name, options, &command)
                    : imap_command_select(&s->writer, name, options, &command);
    make(s, x, command, err);
}

void session_unselect(session *s, const session_call *call) {
    imap_command *command = NULL;
    error *err;

    if (lacks(s, IMAP_CAP_UNSELECT, call)) {
        return;
    }
    err = imap_command_unselect(&s->writer, &command);
    make(s, exchange_new(&exchange_unselect, call), command, err);
}

void session_list(session *s, const char *reference, const char *pattern, const imap_list_options *options,
                  const session_call *call) {
    exchange *x = exchange_new(&exchange_list, call);
    imap_command *command = NULL;
    error *err = imap_command_list(&s->writer, reference, pattern, options, &command);

    x->items = options ? options->status : 0;
    make(s, x, command, err);
}

void session_status(session *s, const char *name, uint32_t items, const session_call *call) {
    exchange *x = exchange_new(&exchange_status, call);
    imap_command *command = NULL;
    error *err = imap_command_status(&s->writer, name, items, &command);

    x->mailbox = g_strdup(name);
    make(s, x, command, err);
}

void session_create(session *s, const char *name, uint32_t special_use, const session_call *call) {
    uint32_t use = imap_can(&s->caps, IMAP_CAP_CREATE_SPECIAL_USE) ? special_use : 0;
    imap_command *command = NULL;
    error *err = imap_command_create(&s->writer, name, use, &command);

    make(s, exchange_new(&exchange_plain, call), command, err);
}

void session_subscribe(session *s, const char *name, const session_call *call) {
    imap_command *command = NULL;
    error *err = imap_command_subscribe(&s->writer, name, &command);

    make(s, exchange_new(&exchange_plain, call), command, err);
}

/* ---- messages ---- */

static void remember_want(exchange *x, const imap_fetch_want *want) {
    x->items = want->items;
    x->section_count = want->section_count;
    x->sections = g_new0(section_asked, want->section_count);
    for (size_t i = 0; i < want->section_count; i++) {
        const imap_section_want *from = &want->sections[i];
        x->sections[i].kind = from->kind;
        x->sections[i].binary = from->binary;
        x->sections[i].partial = from->length > 0;
        x->sections[i].part = g_strdup(from->part ? from->part : "");
    }
}

void session_fetch(session *s, const imap_set *uids, const imap_fetch_want *want, const session_call *call) {
    exchange *x = on_uids(&exchange_fetch, uids, call);
    imap_command *command = NULL;
    error *err = imap_command_uid_fetch(&s->writer, uids, want, &command);

    remember_want(x, want);
    again_fetch(s, x, want);
    make(s, x, command, err);
}

void session_fetch_from(session *s, uint32_t from, const imap_fetch_want *want, const session_call *call) {
    exchange *x = exchange_new(&exchange_fetch, call);
    imap_command *command = NULL;
    error *err = imap_command_uid_fetch_from(&s->writer, from, want, &command);

    imap_set_add_range(&x->asked, from, UINT32_MAX);
    x->open_ended = true;
    remember_want(x, want);
    again_fetch(s, x, want);
    make(s, x, command, err);
}

static error *check_flags(session *s, const imap_store *store) {
    bool known = s->folder && s->generation == s->generations; /* no SELECT on its way */

    if (store->gm_labels || !known || store->how == IMAP_STORE_REMOVE) {
        return NULL;
    }
    for (const char *const *name = store->names; name && *name; name++) {
        if (!session_may_keep_flag(s, *name)) {
            return error_new(ERROR_PERMISSION, "%s cannot keep the flag %s", s->folder->name, *name);
        }
    }
    return NULL;
}

void session_store(session *s, const imap_set *uids, const imap_store *store, const session_call *call) {
    imap_command *command = NULL;
    error *err = check_flags(s, store);

    if (!err) {
        err = imap_command_uid_store(&s->writer, uids, store, &command);
    }
    make(s, on_uids(&exchange_store, uids, call), command, err);
}

void session_copy(session *s, const imap_set *uids, const char *name, const session_call *call) {
    imap_command *command = NULL;
    error *err = imap_command_uid_copy(&s->writer, uids, name, &command);

    make(s, on_uids(&exchange_copy, uids, call), command, err);
}

void session_move(session *s, const imap_set *uids, const char *name, const session_call *call) {
    imap_command *command = NULL;
    error *err;

    if (lacks(s, IMAP_CAP_MOVE, call)) {
        return;
    }
    err = imap_command_uid_move(&s->writer, uids, name, &command);
    make(s, on_uids(&exchange_move, uids, call), command, err);
}

void session_expunge_uids(session *s, const imap_set *uids, const session_call *call) {
    imap_command *command = NULL;
    error *err;

    if (lacks(s, IMAP_CAP_UIDPLUS, call)) {
        return;
    }
    err = imap_command_uid_expunge(&s->writer, uids, &command);
    make(s, on_uids(&exchange_expunge, uids, call), command, err);
}

void session_expunge(session *s, const session_call *call) {
    imap_command *command = NULL;
    error *err = NULL;

    if (!s->config.allow_expunge) {
        refuse(s, call, error_new(ERROR_PERMISSION, "EXPUNGE removes what others deleted: allow_expunge is off"));
        return;
    }
    err = imap_command_expunge(&s->writer, &command);
    make(s, exchange_new(&exchange_expunge, call), command, err);
}

/* All is asked for and the answer cut, but for single messages of a folder so large that it would be a nuisance. */
static void ask_for_all(const session *s, imap_search_want *want) {
    const session_folder *f = session_selected(s);

    if (!want->uids || !f || f->exists <= SEARCH_ALL_MAX) {
        want->uids = NULL;
        want->uid_from = 0;
    }
}

/* Sets are shorter than lists, and pages do not have to be made all at once. */
static void fit_search(const session *s, imap_search_want *want) {
    if (s->quirks.search_by_sequence) {
        ask_for_all(s, want);
    }
    if (!imap_can(&s->caps, IMAP_CAP_ESEARCH)) {
        want->returns = 0;
        return;
    }
    if (!want->returns) {
        want->returns = IMAP_SEARCH_FOUND;
    }
    if (imap_can(&s->caps, IMAP_CAP_PARTIAL) && want->uid_from && !want->uids && want->returns == IMAP_SEARCH_FOUND) {
        want->partial = LIMIT_IMAP_SEARCH_PAGE;
        if (s->caps.message_limit && s->caps.message_limit < want->partial) {
            want->partial = s->caps.message_limit;
        }
    }
}

void session_search(session *s, const imap_search_want *want, const session_call *call) {
    exchange *x = want->uids ? on_uids(&exchange_search, want->uids, call) : exchange_new(&exchange_search, call);
    imap_search_want fitting = *want;
    imap_command *command = NULL;
    error *err;

    fit_search(s, &fitting);
    err = imap_command_uid_search(&s->writer, &fitting, &command);
    if (want->uid_from && !want->uids) {
        imap_set_add_range(&x->asked, want->uid_from, UINT32_MAX);
    }
    again_search(s, x, &fitting);
    make(s, x, command, err);
}

void session_append(session *s, const imap_append *append, const session_call *call) {
    uint64_t most = s->caps.append_limit;
    imap_command *command = NULL;
    error *err = NULL;

    if (most && append->message.len > most) {
        err = error_new(ERROR_LIMIT, "the server takes at most %" G_GUINT64_FORMAT " octets a message", most);
    }
    if (!err) {
        err = imap_command_append(&s->writer, append, &command);
    }
    make(s, exchange_new(&exchange_append, call), command, err);
}

/* ---- how much at a time ---- */

#define TAG_AND_VERB 64
#define SET_ROOM_MIN 100

size_t session_batch(const session *s) {
    uint32_t n = s->quirks.batch, limit = s->caps.message_limit;

    return limit && limit < n ? limit : n;
}

size_t session_set_room(const session *s, size_t others) {
    size_t used = TAG_AND_VERB + others;

    return s->quirks.command_octets > used + SET_ROOM_MIN ? s->quirks.command_octets - used : SET_ROOM_MIN;
}

size_t session_fetch_room(const session *s, const imap_fetch_want *want) {
    size_t others = 160; /* all items there are */

    for (size_t i = 0; i < want->section_count; i++) {
        const imap_section_want *section = &want->sections[i];
        others += 64 + (section->part ? strlen(section->part) : 0);
        for (size_t f = 0; section->fields && section->fields[f]; f++) {
            others += strlen(section->fields[f]) + 3;
        }
    }
    return session_set_room(s, others);
}

/* ---- the rest ---- */

void session_noop(session *s, const session_call *call) {
    imap_command *command = NULL;
    error *err = imap_command_noop(&s->writer, &command);

    make(s, exchange_new(&exchange_plain, call), command, err);
}

void session_poll(session *s, const session_call *call) {
    imap_select_options options = {0};

    if (!s->folder || s->quirks.poll == SESSION_POLL_NOOP) {
        session_noop(s, call);
    } else if (s->quirks.poll == SESSION_POLL_STATUS) {
        session_status(s, s->folder->name, IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY | IMAP_STATUS_MESSAGES, call);
    } else {
        session_select(s, s->folder->name, s->folder->examined, &options, call);
    }
}

void session_notify(session *s, const imap_notify *notify, const session_call *call) {
    imap_command *command = NULL;
    error *err;

    if (lacks(s, IMAP_CAP_NOTIFY, call)) {
        return;
    }
    err = notify ? imap_command_notify(&s->writer, notify, &command) : imap_command_notify_none(&s->writer, &command);
    make(s, exchange_new(&exchange_notify, call), command, err);
}

static bool changes_connection(const char *verb) {
    static const char *const words[] = {"SELECT", "EXAMINE", "UNSELECT", "CLOSE", "LOGIN", "AUTHENTICATE", "STARTTLS",
                                        "IDLE", "DONE", "LOGOUT", "ENABLE", "UNAUTHENTICATE", "COMPRESS", NULL};

    return g_strv_contains(words, verb);
}

void session_run(session *s, imap_command *command, uint32_t data_kinds, const session_call *call) {
    exchange *x = exchange_new(&exchange_other, call);
    error *err = NULL;

    x->data_kinds = data_kinds;
    if (changes_connection(imap_command_verb(command)) || !*imap_command_tag(command)) {
        err = error_new(ERROR_INTERNAL, "%s is not to be run by hand", imap_command_verb(command));
    }
    make(s, x, command, err);
}
