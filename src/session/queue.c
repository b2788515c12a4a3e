#include "session_priv.h"

#include <string.h>

/* ---- a request's life ---- */

request *session_request_new(const request_type *type, const session_call *call) {
    request *q = g_new0(request, 1);

    q->type = type;
    q->call = call ? *call : (session_call){0};
    imap_set_init(&q->asked);
    imap_set_init(&q->got);
    return q;
}

void request_free(request *q) {
    if (!q) {
        return;
    }
    imap_command_free(q->command);
    error_free(q->refused);
    imap_set_release(&q->asked);
    imap_set_release(&q->got);
    for (size_t i = 0; i < q->section_count; i++) {
        g_free(q->sections[i].part);
    }
    g_free(q->sections);
    g_free(q->mailbox);
    g_free(q->mailbox_id);
    if (q->pairs) {
        g_array_free(q->pairs, TRUE);
    }
    selected_free(q->folder);
    g_free(q);
}

static void tell(request *q, const session_result *result) {
    if (q->call.done) {
        q->call.done(q->call.user, result);
    }
    request_free(q);
}

/* No answer will come. */
static void tell_failure(request *q, error *err) {
    static const imap_code no_code = {0};
    const session_result result = {
        .err = err, .sent = q->sent > 0, .condition = IMAP_NO, .code = &no_code, .text = ""};

    tell(q, &result);
}

void requests_tell_refused(session *s) {
    for (guint n = s->failed.length; n > 0; n--) {
        request *q = g_queue_pop_head(&s->failed);
        error *err = q->refused;
        q->refused = NULL;
        tell_failure(q, err);
        error_free(err);
    }
}

void requests_fail(session *s, const error *err) {
    GQueue *const queues[] = {&s->flight, &s->queue};

    s->idle = IDLE_OFF;
    s->idling = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(queues); i++) {
        request *q;
        while ((q = g_queue_pop_head(queues[i]))) {
            error *copy = error_copy(err);
            tell_failure(q, copy);
            error_free(copy);
        }
    }
}

static void refuse(session *s, request *q, error *err) {
    q->refused = err;
    g_queue_push_tail(&s->failed, q);
    session_soon(s);
}

/* Behind the last barrier and the last urgent one, before the rest. */
static void insert_urgent(session *s, request *q) {
    GList *at = s->queue.tail;

    while (at) {
        const request *other = at->data;
        if (other->type->barrier || other->call.urgent) {
            break;
        }
        at = at->prev;
    }
    if (at) {
        g_queue_insert_after(&s->queue, at, q);
    } else {
        g_queue_push_head(&s->queue, q);
    }
}

void request_queue(session *s, request *q, imap_command *command, error *err) {
    q->command = command;
    if (!err && !session_alive(s)) {
        err = error_new(ERROR_NETWORK, "the connection is closed");
    }
    if (err) {
        refuse(s, q, err);
        return;
    }
    s->generations += q->type->moves_on;
    q->generation = s->generations;
    if (q->call.urgent && !q->type->barrier) {
        insert_urgent(s, q);
    } else {
        g_queue_push_tail(&s->queue, q);
    }
    session_soon(s);
}

request *request_by_tag(session *s, imap_str tag) {
    for (GList *at = s->flight.head; at; at = at->next) {
        request *q = at->data;
        if (imap_str_equal(tag, imap_command_tag(q->command))) {
            return q;
        }
    }
    return NULL;
}

/* ---- sending ---- */

static bool conflicts(const request *q, const request *other) {
    return other->type->barrier || q->type->barrier || other->sent < imap_command_segments(other->command) ||
           ((q->type->alone | q->data_kinds) & (other->type->alone | other->data_kinds));
}

/* May q leave with what is under way? */
static bool may_leave(const session *s, const request *q) {
    size_t bytes = imap_command_size(q->command);
    unsigned count = 0;

    for (GList *at = s->flight.head; at; at = at->next) {
        const request *other = at->data;
        if (conflicts(q, other)) {
            return false;
        }
        bytes += imap_command_size(other->command);
        count++;
    }
    return count < SESSION_IN_FLIGHT && (count == 0 || bytes <= SESSION_BYTES_IN_FLIGHT);
}

bool flight_lets_idle(const session *s) {
    for (GList *at = s->flight.head; at; at = at->next) {
        const request *q = at->data;
        if (q->type->barrier || q->sent < imap_command_segments(q->command)) {
            return false;
        }
    }
    return s->flight.length < SESSION_IN_FLIGHT;
}

/* What has become wrong with q since it was made; NULL if nothing. */
static error *out_of_date(const session *s, const request *q) {
    if (!q->type->in_folder) {
        return NULL;
    }
    if (!s->folder || s->generation != q->generation) {
        return error_new(ERROR_NO_FOLDER, "the folder is not selected any more");
    }
    if (q->call.uidvalidity && q->call.uidvalidity != s->folder->pub.uidvalidity) {
        return error_new(ERROR_GONE, "UIDVALIDITY of %s changed", s->folder->name);
    }
    return NULL;
}

static void append_segment(session *s, request *q, GString *out) {
    size_t len;
    const char *bytes = imap_command_segment(q->command, q->sent, &len);

    g_string_append_len(out, bytes, (gssize)len);
    q->sent++;
}

static void send_request(session *s, request *q, GString *out) {
    log_debug(&s->log, "> %s %s", imap_command_tag(q->command), imap_command_describe(q->command));
    if (!s->flight.head) {
        s->head_since = session_now(s);
    }
    append_segment(s, q, out);
    g_queue_push_tail(&s->flight, q);
    s->stats.commands++;
}

static void send_queue(session *s, GString *out) {
    request *q;

    while ((q = g_queue_peek_head(&s->queue))) {
        error *err;
        if (!may_leave(s, q)) {
            return;
        }
        g_queue_pop_head(&s->queue);
        err = out_of_date(s, q); /* only now: the SELECT before it has been answered */
        if (err) {
            refuse(s, q, err);
        } else {
            send_request(s, q, out);
        }
    }
}

/* A GString whose bytes may be secret. */
static void wipe(GString *out) {
    crypto_wipe(out->str, out->allocated_len);
    g_string_free(out, TRUE);
}

void session_write(session *s, const char *bytes, size_t len) {
    s->stats.bytes_out += len;
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
    const request *head = g_queue_peek_head(&s->queue);
    /* Large enough not to be moved: the command may hold a secret. */
    out = g_string_sized_new(256 + (head ? imap_command_size(head->command) : 0));
    if (idle_must_end(s)) {
        idle_append_done(s, out);
    }
    send_queue(s, out);
    if (!s->queue.head && idle_wanted(s)) {
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
static void send_rest(session *s, request *q) {
    GString *out = g_string_new(NULL);

    append_segment(s, q, out);
    session_write(s, out->str, out->len);
    wipe(out);
}

void request_continue(session *s, const imap_response *r) {
    request *q = g_queue_peek_tail(&s->flight);

    if (q && q->sent < imap_command_segments(q->command)) {
        send_rest(s, q);
        session_soon(s); /* others may have waited for it */
    } else if (q && q->type->challenge) {
        q->type->challenge(s, q, r);
    } else {
        log_debug(&s->log, "a continuation that nobody waits for");
    }
}

/* ---- the tagged answer ---- */

static bool whole(const request *q) {
    return q->sent == imap_command_segments(q->command);
}

void request_answered(session *s, request *q, const imap_response *r) {
    bool was_head = g_queue_peek_head(&s->flight) == q, login = s->state == SESSION_LOGIN;
    g_autofree char *words = refusal_words(r->text);
    session_result result = {
        .sent = true, .answered = true, .condition = r->condition, .code = &r->code, .text = words};

    if (r->condition == IMAP_OK && !whole(q)) {
        session_fail(s, error_new(ERROR_PROTOCOL, "the server answered %s before all of it was sent", q->type->name));
        return;
    }
    g_queue_remove(&s->flight, q);
    if (was_head) {
        s->head_since = session_now(s);
    }
    g_autoptr(error) err = r->condition == IMAP_OK ? NULL : refusal_error(r, login);
    if (refusal_is_not_connected(r)) {
        session_fail(s, error_copy(err));
    }
    result.err = err;
    if (q->type->finish) {
        q->type->finish(s, q, r, &result);
    }
    tell(q, &result);
    if (session_alive(s)) {
        session_soon(s);
    }
}
