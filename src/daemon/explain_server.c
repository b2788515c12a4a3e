/* A message on a server, for `explain`: imap:ACCOUNT/FOLDER/UID. Read with BODY.PEEK from a folder opened read-only. */
#include "source_priv.h"
#include "visit_priv.h"

#include <string.h>

struct reading {
    source_message *message;
    uint64_t max_size;
    uint32_t uid;
    bool done;
    error *err;
};

static void answered(void *user, const session_result *result) {
    struct reading *r = user;

    if (result->err && !r->err) {
        r->err = error_copy(result->err);
    }
}

static void fetched(void *user, const session_result *result) {
    struct reading *r = user;

    answered(r, result);
    if (!r->err && !r->message->raw) {
        r->err = error_new(ERROR_GONE, "the folder has no message with this UID");
    }
    r->done = true;
}

static void take_flags(source_message *m, const imap_flags *flags) {
    GPtrArray *list = g_ptr_array_new();

    for (size_t i = 0; i < flags->all.count; i++) {
        g_ptr_array_add(list, imap_str_dup(flags->all.at[i]));
    }
    g_ptr_array_add(list, NULL);
    m->flags = (char **)(void *)g_ptr_array_free(list, FALSE);
}

static void delivered(void *user, const imap_response *response) {
    struct reading *r = user;
    const imap_fetch *fetch = &response->fetch;

    if (response->kind != IMAP_FETCH || fetch->uid != r->uid || !fetch->section_count || r->message->raw ||
        !fetch->sections[0].data.data) {
        return;
    }
    r->message->raw = g_bytes_new(fetch->sections[0].data.data, fetch->sections[0].data.len);
    r->message->truncated = fetch->sections[0].data.len >= r->max_size;
    r->message->internaldate = (fetch->have & IMAP_HAVE_DATE) ? fetch->date : 0;
    take_flags(r->message, &fetch->flags);
}

static error *read_message(struct visit *v, const char *folder, struct reading *r) {
    imap_section_want whole = {.kind = IMAP_SECTION_ALL, .length = r->max_size};
    imap_fetch_want want = {
        .items = IMAP_WANT_FLAGS | IMAP_WANT_DATE, .sections = &whole, .section_count = 1};
    imap_set uids = IMAP_SET_INIT;

    imap_set_add(&uids, r->uid);
    session_select(v->session, folder, true, NULL, &(session_call){.done = answered, .user = r});
    session_fetch(v->session, &uids, &want, &(session_call){.done = fetched, .data = delivered, .user = r});
    imap_set_release(&uids);
    error *err = visit_wait(v, &r->done);
    session_free(g_steal_pointer(&v->session)); /* nothing answers into this frame any more */
    if (err) {
        error_free(r->err);
        return err;
    }
    return r->err;
}

/* "ACCOUNT/FOLDER/UID": the folder may hold slashes. */
static bool split(const char *path, char **account_out, char **folder_out, uint32_t *uid_out) {
    const char *first = strchr(path, '/'), *last = strrchr(path, '/');
    char *end;
    guint64 uid;

    if (!first || first == last || first == path || !g_ascii_isdigit(last[1])) {
        return false;
    }
    uid = g_ascii_strtoull(last + 1, &end, 10);
    if (*end || !uid || uid > UINT32_MAX) {
        return false;
    }
    *account_out = g_strndup(path, (gsize)(first - path));
    *folder_out = g_strndup(first + 1, (gsize)(last - first - 1));
    *uid_out = (uint32_t)uid;
    return true;
}

error *source_from_server(struct offline *o, const char *path, uint64_t max_size, source_message *message_out) {
    struct reading r = {.message = message_out, .max_size = max_size};
    const wire_account *account;
    struct visit v;
    error *err;

    *message_out = (source_message){.name = g_strdup(path)};
    if (!split(path + strlen("imap:"), &message_out->account, &message_out->folder, &r.uid)) {
        return error_new(ERROR_INVALID, "not of the form imap:ACCOUNT/FOLDER/UID");
    }
    account = visit_find_account(&o->config->u.config, message_out->account);
    if (!account) {
        return error_new(ERROR_INVALID, "the config has no account \"%s\"", message_out->account);
    }
    err = visit_begin(&v, o, account);
    if (!err) {
        err = read_message(&v, message_out->folder, &r);
    }
    visit_end(&v);
    return err;
}
