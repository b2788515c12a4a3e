#include "queue_priv.h"

#include <string.h>

/* Commands of one queue that may be under way at once. */
#define BATCHES 8
/* In a backlog a command waits until so many items do, at most so long: to a server a command with five messages costs
 * nearly as much as one with fifty. */
#define GATHER_ITEMS 500
#define GATHER_MS 200
/* Patience with a server that asks for it again and again for the same messages. */
#define THROTTLED_MAX 5

static const struct action_verb *const verbs[] = {
    [WIRE_VERB_MOVE] = &action_verb_move,     [WIRE_VERB_COPY] = &action_verb_copy,
    [WIRE_VERB_FLAG] = &action_verb_flag,     [WIRE_VERB_UNFLAG] = &action_verb_unflag,
    [WIRE_VERB_DELETE] = &action_verb_delete, [WIRE_VERB_JUNK] = &action_verb_junk,
    [WIRE_VERB_ARCHIVE] = &action_verb_archive,
};

static const struct action_verb *verb_of(const action_item *item) {
    unsigned verb = item->step->verb;

    return verb < G_N_ELEMENTS(verbs) ? verbs[verb] : NULL;
}

static void flush(void *user);

action_queue *action_queue_new(const action_env *env) {
    action_queue *q = g_new0(action_queue, 1);

    q->env = *env;
    q->waiting = g_ptr_array_new();
    q->batches = g_ptr_array_new();
    q->turn = loop_timer_new(env->loop, flush, q);
    return q;
}

void action_queue_free(action_queue *q) {
    if (!q) {
        return;
    }
    state_cancel(q->env.state, q);
    while (q->reports) {
        report_free(q->reports);
    }
    loop_timer_free(q->turn);
    while (q->batches->len) {
        batch_free(q->batches->pdata[0]);
    }
    g_ptr_array_free(q->batches, TRUE);
    g_ptr_array_free(q->waiting, TRUE);
    g_free(q);
}

void action_queue_add(action_queue *q, action_item *item) {
    item->batch = NULL;
    g_ptr_array_add(q->waiting, item);
    loop_timer_start(q->turn, 0);
}

bool action_queue_remove(action_queue *q, action_item *item) {
    return !item->batch && g_ptr_array_remove(q->waiting, item);
}

void action_queue_attach(action_queue *q, session *s, uint32_t uidvalidity) {
    q->session = s;
    q->uidvalidity = uidvalidity;
    loop_timer_start(q->turn, 0);
}

void action_queue_detach(action_queue *q) {
    q->session = NULL;
}

size_t action_queue_length(const action_queue *q) {
    size_t n = q->waiting->len;

    for (guint i = 0; i < q->batches->len; i++) {
        n += ((struct action_batch *)q->batches->pdata[i])->items->len;
    }
    return n;
}

size_t action_queue_waiting(const action_queue *q) {
    return q->waiting->len;
}

static int by_uid(const void *a, const void *b) {
    const action_item *const *x = a, *const *y = b;

    return (*x)->uid < (*y)->uid ? -1 : (*x)->uid > (*y)->uid;
}

static bool fits(const action_item *first, const action_item *item) {
    return item->step->verb == first->step->verb && item->maybe_done == first->maybe_done &&
           verb_of(first)->together(first, item);
}

/* How many of the batch's first items fit into one line beside a folder's name. */
static size_t count_fitting(const action_queue *q, const struct action_batch *batch) {
    const action_item *first = batch->items->pdata[0];
    size_t name = first->step->folder ? 3 * strlen(first->step->folder) : 0; /* encoded, quoted */
    imap_set all = IMAP_SET_INIT, chunk = IMAP_SET_INIT;

    for (guint i = 0; i < batch->items->len; i++) {
        imap_set_add(&all, ((action_item *)batch->items->pdata[i])->uid);
    }
    imap_set_take(&all, session_batch(q->session), session_set_room(q->session, 300 + name), &chunk);
    size_t n = (size_t)imap_set_size(&chunk);
    imap_set_release(&all);
    imap_set_release(&chunk);
    return n;
}

/* Those that do not fit go back to the head of those that wait. */
static void cut_batch(action_queue *q, struct action_batch *batch) {
    size_t fitting = count_fitting(q, batch);

    while (batch->items->len > fitting) {
        action_item *item = g_ptr_array_remove_index(batch->items, batch->items->len - 1);
        item->batch = NULL;
        g_ptr_array_insert(q->waiting, 0, item);
    }
}

/* Takes the first waiting item and all that may go with it. */
static struct action_batch *form_batch(action_queue *q) {
    action_item *first = q->waiting->pdata[0];
    struct action_batch *batch = g_new0(struct action_batch, 1);
    guint kept = 0;

    batch->queue = q;
    batch->verb = verb_of(first);
    batch->items = g_ptr_array_new();
    for (guint i = 0; i < q->waiting->len; i++) {
        action_item *item = q->waiting->pdata[i];
        if (batch->items->len < session_batch(q->session) && (item == first || fits(first, item))) {
            g_ptr_array_add(batch->items, item);
            item->batch = batch;
        } else {
            q->waiting->pdata[kept++] = item;
        }
    }
    g_ptr_array_set_size(q->waiting, (int)kept);
    g_ptr_array_sort(batch->items, by_uid);
    cut_batch(q, batch);
    for (guint i = 0; i < batch->items->len; i++) {
        imap_set_add(&batch->uids, ((action_item *)batch->items->pdata[i])->uid);
    }
    g_ptr_array_add(q->batches, batch);
    return batch;
}

/* Wait for more? Once not, everything leaves before it is waited again. */
static bool gather(action_queue *q) {
    uint64_t now = loop_now(q->env.loop);

    if (!q->waiting->len) {
        return false;
    }
    q->gathered = q->gathered ? q->gathered : now;
    if (!q->leaving && q->waiting->len < GATHER_ITEMS && now < q->gathered + GATHER_MS && q->env.more &&
        q->env.more(q->env.user)) {
        loop_timer_start(q->turn, q->gathered + GATHER_MS - now);
        return true;
    }
    q->leaving = true;
    return false;
}

/* A lone message leaves at once; in a backlog what piles up while BATCHES commands are under way leaves in large
 * sets. */
static void flush(void *user) {
    action_queue *q = user;

    if (!q->session || gather(q)) {
        return;
    }
    while (q->session && q->waiting->len && q->batches->len < BATCHES) {
        struct action_batch *batch = form_batch(q);
        if (batch->verb) {
            verify_start(batch);
        } else {
            batch_failed(batch, error_new(ERROR_INVALID, "nothing here carries out \"%s\"",
                                          wire_verb_name(((action_item *)batch->items->pdata[0])->step->verb)));
        }
    }
    if (!q->waiting->len) {
        q->gathered = 0;
        q->leaving = false;
    }
}

void batch_free(struct action_batch *batch) {
    action_queue *q = batch->queue;

    g_ptr_array_remove(q->batches, batch);
    g_ptr_array_free(batch->items, TRUE);
    imap_set_release(&batch->uids);
    g_free(batch->target);
    g_free(batch->pairs);
    g_free(batch);
    loop_timer_start(q->turn, 0);
}

/* Takes the item out of its batch. */
void batch_take(struct action_batch *batch, action_item *item) {
    g_ptr_array_remove(batch->items, item);
    imap_set_remove_range(&batch->uids, item->uid, item->uid);
    item->batch = NULL;
}

session *batch_session(const struct action_batch *batch) {
    return batch->queue->session;
}

const action_env *batch_env(const struct action_batch *batch) {
    return &batch->queue->env;
}

const char *batch_folder(const struct action_batch *batch) {
    return batch->queue->env.folder;
}

session_call batch_call(struct action_batch *batch, session_done_fn done) {
    return (session_call){.done = done, .user = batch, .uidvalidity = batch->queue->uidvalidity};
}

bool batch_move_works(const struct action_batch *batch) {
    const session_info *info = session_info_get(batch_session(batch));

    return info && imap_can(info->caps, IMAP_CAP_MOVE) && !batch->queue->move_refused;
}

void batch_move_refused(struct action_batch *batch) {
    batch->queue->move_refused = true;
    log_notice(&batch->queue->env.log,
               "MOVE does not work here although the server offers it: COPY and EXPUNGE instead");
}

void batch_again(struct action_batch *batch, bool maybe_done) {
    action_queue *q = batch->queue;

    for (guint i = 0; i < batch->items->len; i++) {
        action_item *item = batch->items->pdata[i];
        item->batch = NULL;
        item->maybe_done |= maybe_done;
        g_ptr_array_add(q->waiting, item);
    }
    g_ptr_array_set_size(batch->items, 0);
    batch_free(batch);
}

/* What concerns the account, not these messages: they wait until the session lets commands leave again. */
static bool throttled(struct action_batch *batch, const error *err) {
    if (err->code != ERROR_BUSY || err->class_ != ERROR_CLASS_ACCOUNT) {
        return false;
    }
    for (guint i = 0; i < batch->items->len; i++) {
        if (((action_item *)batch->items->pdata[i])->throttled++ >= THROTTLED_MAX) {
            return false;
        }
    }
    return true;
}

bool batch_trouble(struct action_batch *batch, const session_result *result) {
    const error *err = result->err;

    if (!err) {
        return false;
    }
    if (result->answered && result->code->name == IMAP_CODE_MESSAGELIMIT && err->retry == ERROR_RETRY_NOW &&
        batch->items->len > MAX(result->code->number, 1)) {
        batch_again(batch, batch->emulate); /* in smaller ones */
    } else if (result->answered && throttled(batch, err)) {
        batch_again(batch, batch->emulate);
    } else if (result->answered || (!result->sent && err->class_ == ERROR_CLASS_MESSAGE &&
                                    err->code != ERROR_CANCELLED && err->code != ERROR_GONE)) {
        batch_failed(batch, error_copy(err));
    } else {
        batch_again(batch, result->sent);
    }
    return true;
}
