/* What an evaluator asks for while a rule runs: more of the message, an HTTP request, a key. */
#include "daemon_priv.h"

struct need {
    struct message *message; /* NULL = it went away meanwhile */
    struct folder *folder;
    wire_message *asked;
    wire_message *answer;
    bool sent;
    http_call *call;
};

static void need_free(struct need *n) {
    g_ptr_array_remove(n->folder->needs, n);
    state_cancel(n->folder->account->keeper->state, n);
    wire_message_free(n->asked);
    wire_message_free(n->answer);
    watcher_nudge(n->folder->watcher);
    g_free(n);
}

static void finish(struct need *n) {
    if (n->message) {
        pool_answer(n->folder->account->keeper->pool, n->message->job, g_steal_pointer(&n->answer));
    }
    need_free(n);
}

static void fail(struct need *n, const char *why) {
    n->answer->u.answer.failure = wire_str(n->answer, why);
    finish(n);
}

void need_forget(struct message *m) {
    GPtrArray *needs = m->folder->needs;

    for (guint i = needs->len; i-- > 0;) {
        struct need *n = needs->pdata[i];
        if (n->message != m) {
            continue;
        }
        n->message = NULL;
        if (n->call) {
            http_cancel(n->call);
            need_free(n);
        } else if (!n->sent) {
            need_free(n);
        }
    }
}

/* --- more of the message ------------------------------------------------------------------------------------------ */

static wire_header *copy_params(wire_message *w, imap_params params, size_t *n_out) {
    wire_header *list = wire_array(w, wire_header, params.count ? params.count : 1);
    size_t n = 0;

    for (size_t i = 0; i < params.count; i++) {
        if (g_utf8_validate_len(params.at[i].name.data, params.at[i].name.len, NULL) && params.at[i].value.data) {
            g_autofree char *value = g_utf8_make_valid(params.at[i].value.data, (gssize)params.at[i].value.len);
            list[n].name = wire_strn(w, params.at[i].name.data, params.at[i].name.len);
            list[n++].value = wire_str(w, value);
        }
    }
    *n_out = n;
    return list;
}

static char *copy_text(wire_message *w, imap_str s) {
    g_autofree char *valid = s.data ? g_utf8_make_valid(s.data, (gssize)s.len) : NULL;

    return wire_str(w, valid);
}

static void copy_structure(wire_message *w, const imap_structure *structure) {
    wire_answer *a = &w->u.answer;

    if (!structure->usable) {
        return;
    }
    a->parts = wire_array(w, wire_part, structure->count);
    for (size_t i = 0; i < structure->count; i++) {
        const imap_part *from = &structure->parts[i];
        wire_part *to = &a->parts[a->n_parts++];
        to->section = copy_text(w, from->section);
        to->type = from->multipart ? wire_str(w, "multipart") : copy_text(w, from->type);
        to->subtype = copy_text(w, from->subtype);
        to->encoding = copy_text(w, from->encoding);
        to->id = copy_text(w, from->id);
        to->size = from->size;
        to->disposition = copy_text(w, from->disposition);
        to->params = copy_params(w, from->params, &to->n_params);
        to->disposition_params = copy_params(w, from->disposition_params, &to->n_disposition_params);
    }
}

static const imap_section *find_section(const imap_fetch *fetch, enum imap_section_kind kind, const char *part) {
    for (size_t i = 0; i < fetch->section_count; i++) {
        const imap_section *s = &fetch->sections[i];
        if (s->kind == kind && imap_str_equal(s->part, part)) {
            return s;
        }
    }
    return NULL;
}

static void copy_parts(struct need *n, const imap_fetch *fetch) {
    const wire_need *asked = &n->asked->u.need;
    wire_answer *a = &n->answer->u.answer;

    a->part_data = wire_array(n->answer, wire_part_data, asked->names.n);
    for (size_t i = 0; i < asked->names.n; i++) {
        const imap_section *s = find_section(fetch, IMAP_SECTION_ALL, asked->names.v[i]);
        wire_part_data *to = &a->part_data[a->n_part_data++];
        to->section = wire_str(n->answer, asked->names.v[i]);
        if (s && s->data.data) {
            to->body = wire_copy(n->answer, s->data.data, s->data.len);
            to->truncated = asked->limit && s->data.len >= asked->limit;
        }
    }
}

static void delivered(void *user, const imap_response *response) {
    struct need *n = user;
    const imap_fetch *fetch = &response->fetch;
    wire_answer *a = &n->answer->u.answer;
    static const enum imap_section_kind kinds[] = {
        [WIRE_NEED_FIELDS] = IMAP_SECTION_FIELDS,
        [WIRE_NEED_HEADER] = IMAP_SECTION_HEADER,
        [WIRE_NEED_RAW] = IMAP_SECTION_ALL,
    };
    const imap_section *s;

    if (response->kind != IMAP_FETCH || !n->message || fetch->uid != n->message->uid) {
        return;
    }
    switch (n->asked->u.need.kind) {
    case WIRE_NEED_STRUCTURE:
        copy_structure(n->answer, &fetch->structure);
        a->data = (wire_bytes){(const uint8_t *)"", 0};
        break;
    case WIRE_NEED_PARTS:
        copy_parts(n, fetch);
        a->data = (wire_bytes){(const uint8_t *)"", 0};
        break;
    default:
        s = find_section(fetch, kinds[n->asked->u.need.kind], "");
        if (s && s->data.data) {
            a->data = wire_copy(n->answer, s->data.data, s->data.len);
            a->truncated = n->asked->u.need.kind == WIRE_NEED_RAW && n->asked->u.need.limit &&
                           s->data.len >= n->asked->u.need.limit;
        }
    }
}

static void verified(void *user, const session_result *result) {
    struct need *n = user;

    if (!n->message) {
        need_free(n);
    } else if (!result->err && result->found_whole && imap_set_is_empty(result->found)) {
        struct message *m = n->message;
        n->sent = false;
        message_gone(m); /* forgets the need */
    } else {
        fail(n, "the server did not deliver it");
    }
}

/* "Not now" says nothing about the message. */
static void put_off(struct need *n, const error *err) {
    struct message *m = n->message;
    log_ctx log = m->folder->log;

    log.uid = m->uid;
    log_warn(&log, "%s; again later", err->text);
    n->sent = false;
    message_put_off(m, DELIVERY_TEXT, err->retry_after_ms); /* forgets the need */
}

static void fetched(void *user, const session_result *result) {
    struct need *n = user;
    imap_set uid = IMAP_SET_INIT;

    if (!n->message) {
        need_free(n);
    } else if (result->err && !result->answered) {
        n->sent = false; /* again when the folder is back */
        watcher_nudge(n->folder->watcher);
    } else if (n->answer->u.answer.data.data) {
        if (n->asked->u.need.kind == WIRE_NEED_PARTS || n->asked->u.need.kind == WIRE_NEED_RAW) {
            folder_delivered(n->folder, DELIVERY_TEXT);
        }
        finish(n);
    } else if (result->err && result->err->code == ERROR_BUSY) {
        put_off(n, result->err);
    } else if (folder_session(n->folder)) {
        imap_set_add(&uid, n->message->uid);
        session_search(folder_session(n->folder), &(imap_search_want){.uids = &uid},
                       &(session_call){.done = verified, .user = n, .uidvalidity = n->folder->uidvalidity});
        imap_set_release(&uid);
    } else {
        n->sent = false;
    }
}

static void send_fetch(struct need *n) {
    const wire_need *asked = &n->asked->u.need;
    imap_section_want *sections = g_new0(imap_section_want, asked->names.n + 1);
    const char **fields = g_new0(const char *, asked->names.n + 1);
    imap_fetch_want want = {.sections = sections, .section_count = 1};
    imap_set uid = IMAP_SET_INIT;

    for (size_t i = 0; i < asked->names.n; i++) {
        fields[i] = asked->names.v[i];
    }
    switch (asked->kind) {
    case WIRE_NEED_FIELDS:
        sections[0] = (imap_section_want){.kind = IMAP_SECTION_FIELDS, .fields = fields};
        break;
    case WIRE_NEED_HEADER:
        sections[0].kind = IMAP_SECTION_HEADER;
        break;
    case WIRE_NEED_STRUCTURE:
        want = (imap_fetch_want){.items = IMAP_WANT_STRUCTURE};
        break;
    case WIRE_NEED_PARTS:
        want.section_count = asked->names.n;
        for (size_t i = 0; i < asked->names.n; i++) {
            sections[i] =
                (imap_section_want){.kind = IMAP_SECTION_ALL, .part = asked->names.v[i], .length = asked->limit};
        }
        break;
    default:
        sections[0] = (imap_section_want){.kind = IMAP_SECTION_ALL, .length = asked->limit};
    }
    imap_set_add(&uid, n->message->uid);
    n->sent = true;
    session_fetch(folder_session(n->folder), &uid, &want,
                  &(session_call){.done = fetched, .data = delivered, .user = n, .urgent = true,
                                  .uidvalidity = n->folder->uidvalidity});
    imap_set_release(&uid);
    g_free(sections);
    g_free(fields);
}

void need_resume(struct folder *f) {
    for (guint i = 0; i < f->needs->len; i++) {
        struct need *n = f->needs->pdata[i];
        if (!n->sent && n->message && folder_session(f) && n->asked->u.need.kind < WIRE_NEED_HTTP) {
            send_fetch(n);
        }
    }
}

/* --- HTTP --------------------------------------------------------------------------------------------------------- */

static void http_done(void *user, const http_result *result) {
    struct need *n = user;
    wire_answer *a = &n->answer->u.answer;
    size_t count = 0;

    n->call = NULL;
    if (result->err) {
        fail(n, result->err->text);
        return;
    }
    while (result->headers && result->headers[2 * count]) {
        count++;
    }
    a->http_status = (uint32_t)result->status;
    a->http_headers = wire_array(n->answer, wire_header, count + 1);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *value = g_utf8_make_valid(result->headers[2 * i + 1], -1);
        a->http_headers[a->n_http_headers].name = wire_str(n->answer, result->headers[2 * i]);
        a->http_headers[a->n_http_headers++].value = wire_str(n->answer, value);
    }
    a->data = wire_copy(n->answer, result->body, result->body_len);
    finish(n);
}

static void send_http(struct need *n) {
    struct keeper *k = n->folder->account->keeper;
    const wire_need *asked = &n->asked->u.need;
    const char **headers = g_new0(const char *, 2 * asked->http.n_headers + 1);
    GBytes *body = asked->http.body.data ? g_bytes_new(asked->http.body.data, asked->http.body.len) : NULL;

    for (size_t i = 0; i < asked->http.n_headers; i++) {
        headers[2 * i] = asked->http.headers[i].name;
        headers[2 * i + 1] = asked->http.headers[i].value;
    }
    http_request request = {
        .method = asked->http.method, .url = asked->http.url, .headers = headers, .body = body,
        .timeout_ms = asked->http.timeout_ms, .max_response = keeper_config(k)->limits.http_response,
        .allow_private = asked->http.allow_private,
    };
    n->sent = true;
    error *err = http_start(k->http, &request, http_done, n, &n->call);
    if (body) {
        g_bytes_unref(body);
    }
    g_free(headers);
    if (err) {
        fail(n, err->text);
        error_free(err);
    }
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static void kv_value(void *user, const error *err, const void *value, size_t len) {
    struct need *n = user;

    if (err) {
        fail(n, err->text);
        return;
    }
    n->answer->u.answer.kv_found = value != NULL;
    if (value) {
        n->answer->u.answer.data = wire_copy(n->answer, value, len);
    }
    finish(n);
}

static void kv_done(void *user, const error *err) {
    if (err) {
        fail(user, err->text);
    } else {
        finish(user);
    }
}

static void kv_number(void *user, const error *err, int64_t value) {
    struct need *n = user;

    n->answer->u.answer.kv_number = value;
    n->answer->u.answer.kv_found = true;
    kv_done(n, err);
}

static void send_kv(struct need *n) {
    state *st = n->folder->account->keeper->state;
    const wire_need *a = &n->asked->u.need;

    n->sent = true;
    switch (a->kv.op) {
    case WIRE_KV_GET:
        state_kv_get(st, a->kv.space, a->kv.key, kv_value, n);
        break;
    case WIRE_KV_SET:
        state_kv_set(st, a->kv.space, a->kv.key, a->kv.value.data, a->kv.value.len, a->kv.ttl_ms, kv_done, n);
        break;
    case WIRE_KV_DELETE:
        state_kv_delete(st, a->kv.space, a->kv.key, kv_done, n);
        break;
    case WIRE_KV_INCR:
        state_kv_incr(st, a->kv.space, a->kv.key, a->kv.delta, a->kv.ttl_ms, kv_number, n);
        break;
    }
}

void need_serve(struct message *m, wire_message *asked) {
    struct need *n = g_new0(struct need, 1);

    n->message = m;
    n->folder = m->folder;
    n->asked = asked;
    n->answer = wire_message_new(WIRE_ANSWER);
    n->answer->u.answer.kind = asked->u.need.kind;
    g_ptr_array_add(m->folder->needs, n);
    if (asked->u.need.kind == WIRE_NEED_HTTP) {
        send_http(n);
    } else if (asked->u.need.kind == WIRE_NEED_KV) {
        send_kv(n);
    } else if (folder_session(m->folder)) {
        send_fetch(n);
    } else {
        watcher_nudge(m->folder->watcher);
    }
}

void need_drop_all(struct folder *f) {
    while (f->needs->len) {
        need_free(f->needs->pdata[f->needs->len - 1]);
    }
}
