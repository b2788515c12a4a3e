#include "verb_priv.h"

#include <string.h>

static bool together(const action_item *a, const action_item *b) {
    const wire_strings *x = &a->step->flags, *y = &b->step->flags;

    for (size_t i = 0; i < x->n && x->n == y->n; i++) {
        if (strcmp(x->v[i], y->v[i]) != 0) {
            return false;
        }
    }
    return x->n == y->n;
}

static void stored(void *user, const session_result *result) {
    struct action_batch *batch = user;
    const action_env *env = batch_env(batch);

    if (!batch_trouble(batch, result)) {
        if (env->applied) {
            env->applied(env->user, (action_item *const *)batch->items->pdata, batch->items->len);
        }
        batch_done(batch, NULL, 0, NULL, 0);
    }
}

/* Idempotent: one whose answer never came is simply sent again. */
static void store(struct action_batch *batch, enum imap_store_how how) {
    const wire_strings *flags = &((action_item *)batch->items->pdata[0])->step->flags;
    const char **names = g_new0(const char *, flags->n + 1);
    session_call call = batch_call(batch, stored);

    memcpy(names, flags->v, flags->n * sizeof *names);
    session_store(batch_session(batch), &batch->uids, &(imap_store){.how = how, .silent = true, .names = names}, &call);
    g_free(names);
}

static void add(struct action_batch *batch) {
    store(batch, IMAP_STORE_ADD);
}

static void take_away(struct action_batch *batch) {
    store(batch, IMAP_STORE_REMOVE);
}

const struct action_verb action_verb_flag = {WIRE_VERB_FLAG, together, add};
const struct action_verb action_verb_unflag = {WIRE_VERB_UNFLAG, together, take_away};
