#include "lib_priv.h"

#include <string.h>

#define FORMAT (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))
#define WHOLE_MAX (128u << 10) /* up to this size the message is fetched whole: one round trip instead of three */

/* What is left out, step by step, until the body fits the webhook's max_size. */
enum cut { CUT_NOTHING, CUT_CONTENT, CUT_HTML, CUT_TEXT, CUT_HEADERS, CUT_ALL };

struct payload {
    struct payload_request request;
    char *event_id;
    char *extra;
    struct vm_thread *thread; /* of the webhook's own function */
    bool asked;               /* for the message's own data */
    enum cut cut;
    size_t text_max;
};

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

/* --- values ----------------------------------------------------------------------------------------------------- */

static json_t *text_n(const char *s, size_t len) {
    json_t *json = json_stringn(s, len);

    if (!json) {
        g_autofree char *valid = g_utf8_make_valid(s, (gssize)len);
        json = json_string(valid);
    }
    return json;
}

static json_t *text_or_null(const char *s) {
    return s ? text_n(s, strlen(s)) : json_null();
}

static void set(json_t *object, const char *key, json_t *value) {
    json_object_set_new_nocheck(object, key, value);
}

/* A view's query for one string as a member; false: it has to be fetched. */
typedef enum mail_status (*string_query)(mail_view *view, const char **value_out, mail_need *need_out);

static bool add_string(json_t *object, const char *key, string_query query, mail_view *view, mail_need *need) {
    const char *value = NULL;

    if (query(view, &value, need) == MAIL_NEED) {
        return false;
    }
    set(object, key, text_or_null(value));
    return true;
}

static bool add_addresses(json_t *object, const char *key, enum mail_query which, mail_view *view, mail_need *need) {
    const mail_address *list = NULL;
    size_t n = 0;

    if (mail_view_addresses(view, which, &list, &n, need) == MAIL_NEED) {
        return false;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *address = json_object();
        set(address, "name", text_or_null(list[i].name));
        set(address, "address", text_or_null(list[i].address));
        json_array_append_new(array, address);
    }
    set(object, key, array);
    return true;
}

static bool add_references(json_t *object, mail_view *view, mail_need *need) {
    mail_strings values = {0};

    if (mail_view_references(view, &values, need) == MAIL_NEED) {
        return false;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < values.count; i++) {
        json_array_append_new(array, text_or_null(values.items[i]));
    }
    set(object, "references", array);
    return true;
}

static bool add_date(json_t *object, mail_view *view, mail_need *need) {
    mail_date date;
    enum mail_status status = mail_view_date(view, &date, need);

    if (status == MAIL_NEED) {
        return false;
    }
    g_autofree char *text = status == MAIL_OK ? lib_date_rfc3339(date.epoch) : NULL;
    set(object, "date", text_or_null(text));
    return true;
}

static bool add_headers(struct payload *payload, json_t *object, mail_view *view, mail_need *need) {
    const mail_header_field *fields = NULL;
    size_t n = 0;
    json_t *headers;

    if (mail_view_headers(view, &fields, &n, need) == MAIL_NEED) {
        return false;
    }
    headers = json_object();
    for (size_t i = 0; i < n && payload->cut < CUT_HEADERS; i++) {
        g_autofree char *lower = g_ascii_strdown(fields[i].name, -1), *name = g_utf8_make_valid(lower, -1);
        json_t *values = json_object_get(headers, name);
        if (!values) {
            values = json_array();
            set(headers, name, values);
        }
        json_array_append_new(values, text_or_null(fields[i].value));
    }
    set(object, "headers", headers);
    if (payload->cut >= CUT_HEADERS) {
        set(object, "headers_omitted", json_true());
    }
    return true;
}

/* --- bodies ----------------------------------------------------------------------------------------------------- */

typedef enum mail_status (*body_query)(mail_view *view, const mail_text **text_out, mail_need *need_out);

static size_t cut_at_character(const char *s, size_t len, size_t max) {
    if (len <= max) {
        return len;
    }
    while (max && ((unsigned char)s[max] & 0xc0) == 0x80) {
        max--;
    }
    return max;
}

static bool add_body(struct payload *payload, json_t *object, const char *key, body_query query, mail_need *need) {
    const mail_text *text = NULL;

    if (query(payload->request.job->view, &text, need) == MAIL_NEED) {
        return false;
    }
    size_t len = text ? cut_at_character(text->text, text->len, payload->text_max) : 0;
    set(object, key, text ? text_n(text->text, len) : json_null());
    if (text && (len < text->len || text->truncated)) {
        g_autofree char *flag = g_strconcat(key, "_truncated", NULL);
        set(object, flag, json_true());
    }
    return true;
}

static bool add_bodies(struct payload *payload, json_t *object, mail_need *need) {
    uint32_t include = payload->request.webhook->include;
    bool html = include & WIRE_INCLUDE_HTML;

    if (!(include & WIRE_INCLUDE_TEXT)) {
        set(object, "text", json_null());
        set(object, "reply_text", json_null());
    } else if (!add_body(payload, object, "text", mail_view_text, need) ||
               !add_body(payload, object, "reply_text", mail_view_reply_text, need)) {
        return false;
    }
    if (!html || payload->cut >= CUT_HTML) {
        set(object, "html", json_null());
        if (html) {
            set(object, "html_omitted", json_true());
        }
        return true;
    }
    return add_body(payload, object, "html", mail_view_html, need);
}

static json_t *base64(GBytes *bytes) {
    gsize len;
    const guchar *data = g_bytes_get_data(bytes, &len);
    g_autofree char *text = g_base64_encode(data ? data : (const guchar *)"", len);

    return json_string_nocheck(text);
}

/* The hash and, where it is wanted, the content of one attachment; false: it has to be fetched. */
static bool add_content(struct payload *payload, json_t *object, size_t index, bool wanted, mail_need *need) {
    mail_view *view = payload->request.job->view;
    GBytes *content = NULL;
    bool truncated = false;
    char hash[MAIL_IDENTITY_SIZE];
    enum mail_status status = mail_view_attachment_content(view, index, &content, &truncated, need);

    if (status == MAIL_NEED) {
        return false;
    }
    if (status == MAIL_OK && !truncated) {
        set(object, "size", json_integer((json_int_t)g_bytes_get_size(content)));
    }
    if (mail_view_attachment_sha256(view, index, hash, need) == MAIL_OK) {
        set(object, "sha256", json_string(hash));
    }
    if (wanted && status == MAIL_OK && !truncated) {
        set(object, "content", base64(content));
    }
    return true;
}

/* Whether the contents can fit at all; what cannot is not even fetched. */
static bool contents_fit(const struct payload *payload, const mail_attachment *list, size_t n) {
    uint64_t sum = 0;

    for (size_t i = 0; i < n && sum <= payload->request.webhook->max_size; i++) {
        sum += list[i].size / 3 * 4;
    }
    return sum <= payload->request.webhook->max_size;
}

static bool add_attachments(struct payload *payload, json_t *object, mail_need *need) {
    const mail_attachment *list = NULL;
    size_t n = 0;
    bool ok = true;

    if (mail_view_attachments(payload->request.job->view, &list, &n, need) == MAIL_NEED) {
        return false;
    }
    bool included = payload->request.webhook->include & WIRE_INCLUDE_ATTACHMENTS;
    bool wanted = included && payload->cut < CUT_CONTENT && contents_fit(payload, list, n);
    bool at_hand = mail_view_has_raw(payload->request.job->view);
    json_t *array = json_array();
    for (size_t i = 0; i < n && ok; i++) {
        json_t *attachment = json_object();
        set(attachment, "filename", text_or_null(list[i].filename));
        set(attachment, "type", text_or_null(list[i].type));
        set(attachment, "size", json_integer((json_int_t)list[i].size));
        set(attachment, "sha256", json_null());
        if (wanted || at_hand) {
            ok = add_content(payload, attachment, i, wanted, need);
        }
        if (included && !json_object_get(attachment, "content")) {
            set(attachment, "content_omitted", json_true());
        }
        json_array_append_new(array, attachment);
    }
    set(object, "attachments", array);
    return ok;
}

static bool add_raw(struct payload *payload, json_t *object, mail_need *need) {
    GBytes *raw = NULL;
    bool truncated = false;
    const rules_job *job = payload->request.job;

    if (!(payload->request.webhook->include & WIRE_INCLUDE_RAW)) {
        return true;
    }
    if (payload->cut >= CUT_CONTENT || job->eval->u.eval.size / 3 * 4 > payload->request.webhook->max_size) {
        set(object, "raw_omitted", json_true());
        return true;
    }
    enum mail_status status = mail_view_raw(job->view, &raw, &truncated, need);
    if (status == MAIL_OK && !truncated) {
        set(object, "raw", base64(raw));
    } else if (status != MAIL_NEED) {
        set(object, "raw_omitted", json_true());
    }
    return status != MAIL_NEED;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

static json_t *flags_json(const wire_strings *flags) {
    json_t *array = json_array();

    for (size_t i = 0; i < flags->n; i++) {
        json_array_append_new(array, text_or_null(flags->v[i]));
    }
    return array;
}

static bool add_class(json_t *object, rules_job *job, mail_need *need) {
    static const struct {
        const char *key;
        enum mail_query query;
    } classes[] = {
        {"auto", MAIL_IS_AUTO}, {"bounce", MAIL_IS_BOUNCE}, {"list", MAIL_IS_LIST}, {"reply", MAIL_IS_REPLY}};
    const char *reasons[LIB_REASONS_MAX];
    size_t n;
    mail_strings ignored;

    if (lib_msg_reasons(job, reasons, &n, need) == MAIL_NEED) {
        return false;
    }
    json_t *class_ = json_object(), *list = json_array();
    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
        set(class_, classes[i].key,
            json_boolean(mail_view_class(job->view, classes[i].query, &ignored, need) == MAIL_OK));
    }
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, text_or_null(reasons[i]));
    }
    set(class_, "reasons", list);
    set(object, "class", class_);
    return true;
}

/* The message's members in the order of the interface, but what costs the largest fetch is asked for first; false:
 * something has to be fetched. */
static bool add_message(struct payload *payload, json_t *object, mail_need *need) {
    const mail_header_field *fields;
    size_t n;
    rules_job *job = payload->request.job;
    mail_view *view = job->view;
    bool ok =
        add_raw(payload, object, need) && mail_view_headers(view, &fields, &n, need) != MAIL_NEED &&
        add_string(object, "message_id", mail_view_message_id, view, need) &&
        add_string(object, "in_reply_to", mail_view_in_reply_to, view, need) && add_references(object, view, need) &&
        add_string(object, "thread_key", mail_view_thread_key, view, need) && add_date(object, view, need) &&
        add_addresses(object, "from", MAIL_FROM, view, need) && add_addresses(object, "to", MAIL_TO, view, need) &&
        add_addresses(object, "cc", MAIL_CC, view, need) &&
        add_addresses(object, "reply_to", MAIL_REPLY_TO, view, need) &&
        add_string(object, "subject", mail_view_subject, view, need) && add_headers(payload, object, view, need) &&
        add_bodies(payload, object, need) && add_attachments(payload, object, need) && add_class(object, job, need);

    if (ok) {
        set(object, "flags", flags_json(&job->eval->u.eval.flags));
        set(object, "size", json_integer((json_int_t)job->eval->u.eval.size));
    }
    return ok;
}

static json_t *captures_json(const rules_job *job) {
    json_t *object = json_object();

    for (guint i = 0; job->captures && i < job->captures->len; i++) {
        const struct capture *capture = &g_array_index(job->captures, struct capture, i);
        set(object, capture->name, text_or_null(capture->value));
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

    if (!add_message(payload, message, need)) {
        json_decref(message);
        return NULL;
    }
    json_t *body = json_object();
    g_autofree char *now = lib_date_rfc3339(request->job->now);
    set(body, "id", text_or_null(payload->event_id));
    set(body, "type", text_or_null(event_type(eval->event)));
    set(body, "timestamp", text_or_null(now));
    set(body, "account", text_or_null(eval->account));
    set(body, "folder", text_or_null(eval->folder));
    set(body, "uid", json_integer(eval->uid));
    set(body, "uidvalidity", json_integer(eval->uidvalidity));
    set(body, "rule", text_or_null(request->rule ? request->rule->wire->name : NULL));
    set(body, "captures", captures_json(request->job));
    set(body, "message", message);
    if (payload->extra) {
        set(body, "extra", json_loads(payload->extra, JSON_ALLOW_NUL, NULL));
    }
    return body;
}

/* Takes the JSON; false if it is above max_size. */
static bool write_body(const struct payload *payload, json_t *json, wire_bytes *body_out, size_t *size_out) {
    wire_message *reply = payload->request.job->reply;

    *size_out = json_dumpb(json, NULL, 0, FORMAT);
    bool fits = *size_out <= payload->request.webhook->max_size;
    if (fits) {
        uint8_t *data = wire_alloc(reply, *size_out + 1);
        json_dumpb(json, (char *)data, *size_out, FORMAT);
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

static enum payload_status need_mail(struct payload *payload, mail_need *need) {
    rules_job *job = payload->request.job;
    uint64_t size = job->eval->u.eval.size;

    if (size && size <= WHOLE_MAX) {
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
        json_t *json = build(payload, &need);
        if (!json) {
            return need_mail(payload, &need);
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
