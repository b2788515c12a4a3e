#include "verb_priv.h"

struct creation {
    struct action_batch *batch;
    void (*then)(struct action_batch *batch);
};

static bool may_create(const struct action_batch *batch) {
    action_item *item = batch->items->pdata[0];

    return item->step->create;
}

static void created(void *user, const error *err) {
    struct creation c = *(struct creation *)user;

    g_free(user);
    if (!err) {
        c.then(c.batch);
    } else if (err->class_ == ERROR_CLASS_ACCOUNT || err->code == ERROR_CANCELLED || !batch_session(c.batch)) {
        batch_again(c.batch, false);
    } else {
        batch_failed(c.batch, error_prefix(error_copy(err), "creating folder \"%s\"", c.batch->target));
    }
}

static void create(struct action_batch *batch, void (*then)(struct action_batch *batch)) {
    struct creation *c = g_new0(struct creation, 1);

    batch->created = true;
    *c = (struct creation){batch, then};
    mailboxes_create(batch_env(batch)->mailboxes, batch_session(batch), batch->target, created, c);
}

void target_ensure(struct action_batch *batch, void (*then)(struct action_batch *batch)) {
    const mailboxes *m = batch_env(batch)->mailboxes;

    if (mailboxes_known(m) && !mailboxes_find(m, batch->target) && may_create(batch) && !batch->created) {
        create(batch, then);
    } else {
        then(batch);
    }
}

bool target_missing(struct action_batch *batch, const session_result *result,
                    void (*then)(struct action_batch *batch)) {
    if (!result->err || !result->answered || result->err->code != ERROR_NO_FOLDER) {
        return false;
    }
    mailboxes_forget(batch_env(batch)->mailboxes, batch->target);
    if (!may_create(batch)) {
        error *err = error_new(ERROR_NO_FOLDER, "there is no folder \"%s\" (create = false)", batch->target);
        batch_failed(batch, error_set_scope(err, ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER));
        return true;
    }
    if (batch->created || !batch_session(batch)) {
        return false;
    }
    create(batch, then);
    return true;
}
