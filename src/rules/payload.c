#include "payload_priv.h"

#include <string.h>

#define WHOLE_MAX (128u << 10) /* up to this size the message is fetched whole: one round trip instead of three */

struct payload *payload_new(const struct payload_request *request) {
    struct payload *payload = g_new0(struct payload, 1);

    payload->request = *request;
    payload->event_id = g_strdup(request->event_id);
    payload->extra = g_strdup(request->extra);
    payload->text_max = SIZE_MAX;
    return payload;
}

void payload_free(struct payload *payload) {
    if (payload) {
        vm_thread_free(payload->thread);
        g_free(payload->event_id);
        g_free(payload->extra);
        g_free(payload);
    }
}

/* --- the standard body ------------------------------------------------------------------------------------------ */

static json_t *captures_json(const rules_job *job) {
    json_t *object = json_object();

    for (guint i = 0; job->captures && i < job->captures->len; i++) {
        const struct capture *capture = &g_array_index(job->captures, struct capture, i);
        payload_set(object, capture->name, payload_text(capture->value));
    }
    return object;
}

static const char *event_type(enum wire_event event) {
    static const char *const names[] = {[WIRE_EVENT_NEW] = "message.new",
                                        [WIRE_EVENT_FLAGS] = "message.flags",
                                        [WIRE_EVENT_GONE] = "message.gone",
                                        [WIRE_EVENT_TIMER] = "message.timer"};

    return names[event];
}

/* NULL: something has to be fetched. */
static json_t *build(struct payload *payload, mail_need *need) {
    const struct payload_request *request = &payload->request;
    const wire_eval *eval = &request->job->eval->u.eval;
    json_t *message = json_object();

    if (!payload_add_message(payload, message, need)) {
        json_decref(message);
        return NULL;
    }
    json_t *body = json_object();
    g_autofree char *now = lib_date_rfc3339(request->job->now);
    payload_set(body, "id", payload_text(payload->event_id));
    payload_set(body, "type", payload_text(event_type(eval->event)));
    payload_set(body, "timestamp", payload_text(now));
    payload_set(body, "account", payload_text(eval->account));
    payload_set(body, "folder", payload_text(eval->folder));
    payload_set(body, "uid", json_integer(eval->uid));
    payload_set(body, "uidvalidity", json_integer(eval->uidvalidity));
    payload_set(body, "rule", payload_text(request->rule ? request->rule->wire->name : NULL));
    payload_set(body, "captures", captures_json(request->job));
    if (eval->event == WIRE_EVENT_FLAGS) {
        payload_set(body, "flags_added", payload_flags(&eval->flags_added));
        payload_set(body, "flags_removed", payload_flags(&eval->flags_removed));
    }
    payload_set(body, "message", message);
    if (payload->extra) {
        payload_set(body, "extra", json_loads(payload->extra, JSON_ALLOW_NUL, NULL));
    }
    return body;
}

/* Takes the JSON; false if it is above max_size. */
static bool write_body(const struct payload *payload, json_t *json, wire_bytes *body_out, size_t *size_out) {
    wire_message *reply = payload->request.job->reply;

    *size_out = json_dumpb(json, NULL, 0, LIB_JSON_FORMAT);
    bool fits = *size_out <= payload->request.webhook->max_size;
    if (fits) {
        uint8_t *data = wire_alloc(reply, *size_out + 1);
        json_dumpb(json, (char *)data, *size_out, LIB_JSON_FORMAT);
        *body_out = (wire_bytes){.data = data, .len = *size_out};
    }
    json_decref(json);
    return fits;
}

/* One step less. Text is halved until it is too short to matter. */
static void cut_more(struct payload *payload, size_t size) {
    if (payload->cut < CUT_TEXT) {
        payload->cut++;
        payload->text_max = payload->cut == CUT_TEXT ? MIN(size, payload->request.webhook->max_size) : SIZE_MAX;
    } else if (payload->text_max > 256) {
        payload->text_max /= 2;
    } else {
        payload->cut++;
        payload->text_max = 0;
    }
}

/* Contents are nearly all of a message: better one fetch of the whole than one for each. */
static bool whole_is_better(const struct payload *payload) {
    const mail_attachment *list;
    size_t n;
    mail_need ignored;
    const rules_job *job = payload->request.job;
    uint64_t size = job->eval->u.eval.size;

    if (size == 0 || size > job->rules->limits.message) {
        return false;
    }
    return size <= WHOLE_MAX || (mail_view_attachments(job->view, &list, &n, &ignored) == MAIL_OK &&
                                 payload_wants_contents(payload, list, n));
}

static enum payload_status need_mail(struct payload *payload, mail_need *need, bool whole) {
    rules_job *job = payload->request.job;
    uint64_t size = job->eval->u.eval.size;

    if (whole) {
        *need = (mail_need){.kind = MAIL_NEED_RAW, .limit = size};
    }
    job->need = job_need_mail(job, need);
    payload->asked = true;
    return PAYLOAD_NEED;
}

static enum payload_status run_standard(struct payload *payload, wire_bytes *body_out, struct vm_error *err_out) {
    const wire_message *answer = payload->request.job->answer;

    if (payload->asked && answer && answer->u.answer.failure) {
        err_out->text = g_strdup_printf("the message could not be fetched: %s", answer->u.answer.failure);
        return PAYLOAD_ERROR;
    }
    while (payload->cut < CUT_ALL) {
        mail_need need;
        size_t size;
        bool whole = whole_is_better(payload); /* asked first: a need is valid until the next query */
        json_t *json = build(payload, &need);
        if (!json) {
            return need_mail(payload, &need, whole);
        }
        if (write_body(payload, json, body_out, &size)) {
            return PAYLOAD_OK;
        }
        cut_more(payload, size);
    }
    err_out->text = g_strdup("the body is above max_size even without text and headers");
    return PAYLOAD_ERROR;
}

/* --- the webhook's own function --------------------------------------------------------------------------------- */

static enum payload_status take_result(struct payload *payload, lua_State *L, wire_bytes *body_out,
                                       struct vm_error *err_out) {
    const char *why = NULL;
    size_t len = 0;
    json_t *json = NULL;
    int type = lua_gettop(L) ? lua_type(L, 1) : LUA_TNIL;

    if (type == LUA_TSTRING) {
        const char *text = lua_tolstring(L, 1, &len);
        if (len <= payload->request.webhook->max_size) {
            *body_out = wire_copy(payload->request.job->reply, text, len);
            return PAYLOAD_OK;
        }
    } else if (type == LUA_TTABLE) {
        json = lib_json_from_lua(L, 1, &why);
        if (json && write_body(payload, json, body_out, &len)) {
            return PAYLOAD_OK;
        }
    } else {
        err_out->text = g_strdup("the payload function must return a table or a string");
        return PAYLOAD_ERROR;
    }
    err_out->text = why ? g_strdup_printf("what the payload function returned cannot be JSON: it has %s", why)
                        : g_strdup("what the payload function returned is above max_size");
    return PAYLOAD_ERROR;
}

static enum payload_status run_function(struct payload *payload, wire_bytes *body_out, struct vm_error *err_out) {
    rules_job *job = payload->request.job;
    int nargs = 0;

    if (!payload->thread) {
        payload->thread = vm_thread_new(job->rules->vm, job, payload->request.payload_ref);
        vm_thread_set_readonly(payload->thread, "a payload function");
        lib_msg_push(vm_thread_stack(payload->thread), job);
        nargs = 1;
    }
    switch (vm_thread_resume(payload->thread, nargs, err_out)) {
    case VM_YIELD:
        return PAYLOAD_NEED;
    case VM_ERROR:
        return PAYLOAD_ERROR;
    default:
        return take_result(payload, vm_thread_stack(payload->thread), body_out, err_out);
    }
}

enum payload_status payload_run(struct payload *payload, wire_bytes *body_out, struct vm_error *err_out) {
    *body_out = (wire_bytes){0};
    if (payload->request.payload_ref != LUA_NOREF) {
        return run_function(payload, body_out, err_out);
    }
    return run_standard(payload, body_out, err_out);
}
