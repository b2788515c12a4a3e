#include "session_priv.h"

#include <string.h>

/* ---- an exchange, from made to told ---- */

exchange *exchange_new(const exchange_type *type, const session_call *call) {
    exchange *x = g_new0(exchange, 1);

    x->type = type;
    x->call = call ? *call : (session_call){0};
    imap_set_init(&x->asked);
    imap_set_init(&x->got);
    return x;
}

void exchange_free(exchange *x) {
    if (!x) {
        return;
    }
    imap_command_free(x->command);
    error_free(x->refused);
    imap_set_release(&x->asked);
    imap_set_release(&x->got);
    for (size_t i = 0; i < x->section_count; i++) {
        g_free(x->sections[i].part);
    }
    g_free(x->sections);
    g_free(x->mailbox);
    g_free(x->mailbox_id);
    if (x->pairs) {
        g_array_free(x->pairs, TRUE);
    }
    selected_free(x->folder);
    again_free(x->again);
    g_free(x);
}

static void tell(exchange *x, const session_result *result) {
    if (x->call.done) {
        x->call.done(x->call.user, result);
    }
    exchange_free(x);
}

/* No answer will come. */
static void tell_failure(exchange *x, error *err) {
    static const imap_code no_code = {0};
    const session_result result = {
        .err = err, .sent = x->sent > 0, .condition = IMAP_NO, .code = &no_code, .text = ""};

    tell(x, &result);
}

void exchanges_tell_refused(session *s) {
    exchange *x;

    /* Those that are made meanwhile wait for the next time; whoever is told may free the session and drain the
     * queue. */
    for (guint n = s->failed.length; n > 0 && (x = g_queue_pop_head(&s->failed)); n--) {
        error *err = x->refused;
        x->refused = NULL;
        tell_failure(x, err);
        error_free(err);
    }
}

void exchanges_fail(session *s, const error *err) {
    GQueue *const queues[] = {&s->flight, &s->queue};

    s->idle = IDLE_OFF;
    s->idling = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(queues); i++) {
        exchange *x;
        while ((x = g_queue_pop_head(queues[i]))) {
            error *copy = error_copy(err);
            tell_failure(x, copy);
            error_free(copy);
        }
    }
}

static void refuse(session *s, exchange *x, error *err) {
    x->refused = err;
    g_queue_push_tail(&s->failed, x);
    session_soon(s);
}

/* Behind the last barrier and the last urgent one, before the rest. */
static void insert_urgent(session *s, exchange *x) {
    GList *at = s->queue.tail;

    while (at) {
        const exchange *other = at->data;
        if (other->type->barrier || other->call.urgent) {
            break;
        }
        at = at->prev;
    }
    if (at) {
        g_queue_insert_after(&s->queue, at, x);
    } else {
        g_queue_push_head(&s->queue, x);
    }
}

void exchange_queue(session *s, exchange *x, imap_command *command, error *err) {
    x->command = command;
    if (!err && !session_alive(s)) {
        err = error_new(ERROR_NETWORK, "the connection is closed");
    }
    if (err) {
        refuse(s, x, err);
        return;
    }
    s->generations += x->type->moves_on;
    x->generation = s->generations;
    if (x->call.urgent && !x->type->barrier) {
        insert_urgent(s, x);
    } else {
        g_queue_push_tail(&s->queue, x);
    }
    session_soon(s);
}

void exchange_queue_first(session *s, exchange *x, imap_command *command) {
    x->command = command;
    x->generation = s->generations;
    g_queue_push_head(&s->queue, x);
    session_soon(s);
}

exchange *exchange_by_tag(session *s, imap_str tag) {
    for (GList *at = s->flight.head; at; at = at->next) {
        exchange *x = at->data;
        if (imap_str_equal(tag, imap_command_tag(x->command))) {
            return x;
        }
    }
    return NULL;
}

/* ---- sending ---- */

/* A SELECT may follow DONE or NOTIFY at once, NOTIFY a SELECT, and a FETCH the SELECT of its folder: it only reads. */
static bool follows(const exchange *x, const exchange *other) {
    return (x->type == &exchange_select &&
            (other->type == &exchange_notify || (other->type == &exchange_idle && other->done_sent))) ||
           (x->type == &exchange_notify && other->type == &exchange_select) ||
           (x->type == &exchange_fetch && x->call.ahead && other->type == &exchange_select &&
            x->generation == other->generation);
}

static bool conflicts(const exchange *x, const exchange *other) {
    if (follows(x, other) && other->sent == imap_command_segments(other->command)) {
        return false;
    }
    return other->type->barrier || x->type->barrier || other->sent < imap_command_segments(other->command) ||
           ((x->type->alone | x->data_kinds) & (other->type->alone | other->data_kinds));
}

/* May x leave with what is under way? */
static bool may_leave(const session *s, const exchange *x) {
    size_t bytes = imap_command_size(x->command);
    unsigned count = 0;

    for (GList *at = s->flight.head; at; at = at->next) {
        const exchange *other = at->data;
        if (conflicts(x, other)) {
            return false;
        }
        bytes += imap_command_size(other->command);
        count++;
    }
    return count < SESSION_IN_FLIGHT && (count == 0 || bytes <= SESSION_BYTES_IN_FLIGHT);
}

bool flight_lets_idle(const session *s) {
    for (GList *at = s->flight.head; at; at = at->next) {
        const exchange *x = at->data;
        if (x->type->barrier || x->sent < imap_command_segments(x->command)) {
            return false;
        }
    }
    return s->flight.length < SESSION_IN_FLIGHT;
}

static bool is_ahead(const session *s, const exchange *x) {
    for (GList *at = s->flight.head; at; at = at->next) {
        const exchange *other = at->data;
        if (other->type == &exchange_select && follows(x, other)) {
            return true;
        }
    }
    return false;
}

/* What has become wrong with x since it was made; NULL if nothing. */
static error *out_of_date(const session *s, const exchange *x) {
    if (!x->type->in_folder || is_ahead(s, x)) {
        return NULL;
    }
    if (!s->folder || s->generation != x->generation) {
        return error_new(ERROR_NO_FOLDER, "the folder is not selected any more");
    }
    if (x->call.uidvalidity && x->call.uidvalidity != s->folder->pub.uidvalidity) {
        return error_new(ERROR_GONE, "UIDVALIDITY of %s changed", s->folder->name);
    }
    return NULL;
}

static void append_segment(session *s, exchange *x, GString *out) {
    size_t len;
    const char *bytes = imap_command_segment(x->command, x->sent, &len);

    g_string_append_len(out, bytes, (gssize)len);
    x->sent++;
}

uint64_t session_pace_holds(session *s) {
    const exchange *head = g_queue_peek_head(&s->queue);

    if (s->state != SESSION_READY || !head || head->type->unpaced) {
        return 0;
    }
    return session_pace_wait(s->pace, session_now(s));
}

static void send_exchange(session *s, exchange *x, GString *out) {
    log_debug(&s->log, "> %s %s", imap_command_tag(x->command), imap_command_describe(x->command));
    if (!s->flight.head) {
        s->head_since = session_now(s);
    }
    append_segment(s, x, out);
    g_queue_push_tail(&s->flight, x);
    s->stats.commands++;
    if (s->state == SESSION_READY && !x->type->unpaced) {
        session_pace_sent(s->pace, session_now(s));
    }
}

static void send_queue(session *s, GString *out) {
    exchange *x;

    while ((x = g_queue_peek_head(&s->queue))) {
        error *err;
        if (!may_leave(s, x) || session_pace_holds(s)) {
            return;
        }
        g_queue_pop_head(&s->queue);
        err = out_of_date(s, x); /* only now: the SELECT before it has been answered */
        if (err) {
            refuse(s, x, err);
        } else {
            send_exchange(s, x, out);
        }
    }
}

/* A GString whose bytes may be secret. */
static void wipe(GString *out) {
    crypto_wipe(out->str, out->allocated_len);
    g_string_free(out, TRUE);
}

void session_write(session *s, const char *bytes, size_t len) {
    s->stats.plain_out += len;
    transport_send(s->transport, bytes, len);
}

/* All that may leave now, in one write. */
void session_flush(session *s) {
    GString *out;

    if (!session_alive(s) || s->state < SESSION_GREETED) {
        return;
    }
    idle_tell_poll(s);
    if (!session_alive(s) || s->idle == IDLE_ASKED) {
        return; /* "DONE" must not overtake the server's "+" */
    }
    if (!s->queue.head && !idle_must_end(s) && !idle_wanted(s)) {
        return;
    }
    const exchange *head = g_queue_peek_head(&s->queue);
    /* Large enough not to be moved: the command may hold a secret. */
    out = g_string_sized_new(256 + (head ? imap_command_size(head->command) : 0));
    if (idle_must_end(s)) {
        idle_append_done(s, out);
    }
    send_queue(s, out);
    if ((!s->queue.head || session_pace_holds(s)) && idle_wanted(s)) {
        idle_start(s);
        send_queue(s, out);
    }
    if (out->len) {
        session_write(s, out->str, out->len);
    }
    wipe(out);
    session_arm(s);
}

/* The server asks for the rest of a command. */
static void send_rest(session *s, exchange *x) {
    GString *out = g_string_new(NULL);

    append_segment(s, x, out);
    session_write(s, out->str, out->len);
    wipe(out);
}

void exchange_continue(session *s, const imap_response *r) {
    exchange *x = g_queue_peek_tail(&s->flight);

    if (x && x->sent < imap_command_segments(x->command)) {
        send_rest(s, x);
        session_soon(s); /* others may have waited for it */
    } else if (x && x->type->challenge) {
        x->type->challenge(s, x, r);
    } else {
        log_debug(&s->log, "a continuation that nobody waits for");
    }
}

/* ---- the tagged answer ---- */

static bool whole(const exchange *x) {
    return x->sent == imap_command_segments(x->command);
}

static bool is_limited(const imap_response *r) {
    return r->code.name == IMAP_CODE_MESSAGELIMIT && r->code.valid;
}

static error *too_many_messages(const imap_response *r) {
    error *err = error_new(ERROR_LIMIT, "the server does %" G_GUINT64_FORMAT " messages at a time", r->code.number);

    return error_set_scope(err, ERROR_CLASS_MESSAGE, ERROR_RETRY_NOW);
}

/* OK to a part of it, and nobody here who asks for the rest. */
static error *done_in_part(const exchange *x, const imap_response *r) {
    return is_limited(r) && x->type->in_folder && !x->type->go_on ? too_many_messages(r) : NULL;
}

static error *why_refused(session *s, const exchange *x, const imap_response *r, bool login) {
    error *err;

    if (is_limited(r)) {
        return too_many_messages(r);
    }
    err = refusal_error(r, login);
    if (x->type->limit_final && r->code.name == IMAP_CODE_LIMIT && !refusal_is_throttle(r->text)) {
        err->code = ERROR_LIMIT;
        return error_set_scope(err, ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER);
    }
    refusal_sets_pace(s, err);
    if (refusal_is_not_connected(r)) {
        session_fail(s, error_copy(err));
    } else if (x->type->in_folder && refusal_needs_select(r)) {
        session_fail(s, error_new(ERROR_NETWORK, "%s is read-only all of a sudden", s->folder ? s->folder->name : "?"));
    }
    return err;
}

void exchange_answered(session *s, exchange *x, const imap_response *r) {
    bool was_head = g_queue_peek_head(&s->flight) == x, login = s->state == SESSION_LOGIN;
    g_autofree char *words = refusal_words(r->text);
    session_result result = {
        .sent = true, .answered = true, .condition = r->condition, .code = &r->code, .text = words};

    if (r->condition == IMAP_OK && !whole(x)) {
        session_fail(s, error_new(ERROR_PROTOCOL, "the server answered %s before all of it was sent", x->type->name));
        return;
    }
    g_queue_remove(&s->flight, x);
    if (was_head) {
        s->head_since = session_now(s);
    }
    if (is_limited(r)) {
        limit_learn(s, &r->code);
    }
    if (r->condition == IMAP_OK && x->type->go_on && x->type->go_on(s, x, r)) {
        x->sent = 0;
        g_queue_push_head(&s->queue, x);
        session_soon(s);
        return;
    }
    g_autoptr(error) err = x->call.ahead ? out_of_date(s, x) : NULL;
    if (!err) {
        err = r->condition == IMAP_OK ? done_in_part(x, r) : why_refused(s, x, r, login);
    }
    result.err = err;
    if (x->type->finish) {
        x->type->finish(s, x, r, &result);
    }
    tell(x, &result);
    if (session_alive(s)) {
        session_soon(s);
    }
}
