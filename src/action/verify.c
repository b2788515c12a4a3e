/*
 * Servers whose UIDs may mean another message tomorrow (session_quirks.check_identity): before anything is done to a
 * batch its Message-IDs are fetched, and what is not the message that the plan was made for is left alone.
 */
#include "verb_priv.h"

#include "imap/header.h"

#include <string.h>

struct verification {
    struct action_batch *batch;
    GHashTable *ids; /* uid -> Message-ID without brackets, "" = has none */
};

static const char *const fields[] = {"MESSAGE-ID", NULL};
static const imap_section_want message_id_section = {.kind = IMAP_SECTION_FIELDS, .fields = fields};
const imap_fetch_want verify_want = {.sections = &message_id_section, .section_count = 1};

char *verify_message_id(const imap_fetch *fetch) {
    return imap_fetch_message_id(fetch);
}

bool verify_same_id(const char *journaled, const char *fetched) {
    return strcmp(journaled ? journaled : "", fetched) == 0;
}

static void delivered(void *user, const imap_response *response) {
    struct verification *v = user;
    char *id = response->kind == IMAP_FETCH ? verify_message_id(&response->fetch) : NULL;

    if (id) {
        g_hash_table_insert(v->ids, GUINT_TO_POINTER(response->fetch.uid), id);
    }
}

static bool is_ours(const struct verification *v, const action_item *item) {
    const char *id = g_hash_table_lookup(v->ids, GUINT_TO_POINTER(item->uid));

    return id && verify_same_id(item->message_id, id); /* on such a server a UID that is gone may hit another message */
}

/* Out of the batch with those whose UID has another message now. True if some are left. */
static bool drop_strangers(struct verification *v) {
    struct action_batch *batch = v->batch;

    for (guint i = 0; i < batch->items->len;) {
        action_item *item = batch->items->pdata[i];
        if (is_ours(v, item)) {
            i++;
            continue;
        }
        if (g_hash_table_contains(v->ids, GUINT_TO_POINTER(item->uid))) {
            log_warn(&batch_env(batch)->log, "UID %u is another message now: nothing is done to it", item->uid);
        }
        bool last = batch->items->len == 1;
        batch_done_item(batch, item, true, NULL, 0, 0);
        if (last) {
            return false;
        }
    }
    return true;
}

static void verification_free(struct verification *v) {
    g_hash_table_destroy(v->ids);
    g_free(v);
}

static void compared(void *user, const session_result *result) {
    struct verification *v = user;
    struct action_batch *batch = v->batch;

    if (!batch_trouble(batch, result) && drop_strangers(v)) {
        if (batch_session(batch)) {
            batch->verb->start(batch);
        } else {
            batch_again(batch, false);
        }
    }
    verification_free(v);
}

/* Of those that are there: asked for a message that is gone, GNU Mailutils answers BAD. */
static void found(void *user, const session_result *result) {
    struct verification *v = user;
    struct action_batch *batch = v->batch;
    imap_set here = IMAP_SET_INIT;

    if (!result->err && !result->found_whole) {
        batch_again(batch, false);
        verification_free(v);
        return;
    }
    if (result->err || imap_set_is_empty(result->found) || !batch_session(batch)) {
        compared(v, result);
        return;
    }
    imap_set_add_ranges(&here, (imap_ranges){result->found->ranges, result->found->count});
    session_call call = batch_call(batch, compared);
    call.data = delivered;
    call.user = v;
    session_fetch(batch_session(batch), &here, &verify_want, &call);
    imap_set_release(&here);
}

void verify_start(struct action_batch *batch) {
    const session_info *info = session_info_get(batch_session(batch));
    struct verification *v;

    if (!info || !info->quirks->check_identity) {
        batch->verb->start(batch);
        return;
    }
    v = g_new0(struct verification, 1);
    v->batch = batch;
    v->ids = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    session_call call = batch_call(batch, found);
    call.user = v;
    session_search(batch_session(batch), &(imap_search_want){.uids = &batch->uids}, &call);
}
