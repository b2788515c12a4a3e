#include "payload_priv.h"

#include <string.h>

/* --- values ----------------------------------------------------------------------------------------------------- */

json_t *payload_text(const char *s) {
    return s ? lib_json_text(s, strlen(s)) : json_null();
}

void payload_set(json_t *object, const char *key, json_t *value) {
    json_object_set_new_nocheck(object, key, value);
}

/* A view's query for one string as a member; false: it has to be fetched. */
typedef enum mail_status (*string_query)(mail_view *view, const char **value_out, mail_need *need_out);

static bool add_string(json_t *object, const char *key, string_query query, mail_view *view, mail_need *need) {
    const char *value = NULL;

    if (query(view, &value, need) == MAIL_NEED) {
        return false;
    }
    payload_set(object, key, payload_text(value));
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
        payload_set(address, "name", payload_text(list[i].name));
        payload_set(address, "address", payload_text(list[i].address));
        json_array_append_new(array, address);
    }
    payload_set(object, key, array);
    return true;
}

static bool add_references(json_t *object, mail_view *view, mail_need *need) {
    mail_strings values = {0};

    if (mail_view_references(view, &values, need) == MAIL_NEED) {
        return false;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < values.count; i++) {
        json_array_append_new(array, payload_text(values.items[i]));
    }
    payload_set(object, "references", array);
    return true;
}

static bool add_date(json_t *object, mail_view *view, mail_need *need) {
    mail_date date;
    enum mail_status status = mail_view_date(view, &date, need);

    if (status == MAIL_NEED) {
        return false;
    }
    g_autofree char *text = status == MAIL_OK ? lib_date_rfc3339(date.epoch) : NULL;
    payload_set(object, "date", payload_text(text));
    return true;
}

static bool add_headers(const struct payload *payload, json_t *object, mail_view *view, mail_need *need) {
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
            payload_set(headers, name, values);
        }
        json_array_append_new(values, payload_text(fields[i].value));
    }
    payload_set(object, "headers", headers);
    if (payload->cut >= CUT_HEADERS) {
        payload_set(object, "headers_omitted", json_true());
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

static bool add_body(const struct payload *payload, json_t *object, const char *key, body_query query,
                     mail_need *need) {
    const mail_text *text = NULL;

    if (query(payload->request.job->view, &text, need) == MAIL_NEED) {
        return false;
    }
    size_t len = text ? cut_at_character(text->text, text->len, payload->text_max) : 0;
    payload_set(object, key, text ? lib_json_text(text->text, len) : json_null());
    if (text && (len < text->len || text->truncated)) {
        g_autofree char *flag = g_strconcat(key, "_truncated", NULL);
        payload_set(object, flag, json_true());
    }
    return true;
}

static bool add_bodies(const struct payload *payload, json_t *object, mail_need *need) {
    uint32_t include = payload->request.webhook->include;
    bool html = include & WIRE_INCLUDE_HTML;

    if (!(include & WIRE_INCLUDE_TEXT)) {
        payload_set(object, "text", json_null());
        payload_set(object, "reply_text", json_null());
    } else if (!add_body(payload, object, "text", mail_view_text, need) ||
               !add_body(payload, object, "reply_text", mail_view_reply_text, need)) {
        return false;
    }
    if (!html || payload->cut >= CUT_HTML) {
        payload_set(object, "html", json_null());
        if (html) {
            payload_set(object, "html_omitted", json_true());
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
static bool add_content(const struct payload *payload, json_t *object, size_t index, bool wanted, mail_need *need) {
    mail_view *view = payload->request.job->view;
    GBytes *content = NULL;
    bool truncated = false;
    char hash[MAIL_IDENTITY_SIZE];
    enum mail_status status = mail_view_attachment_content(view, index, &content, &truncated, need);

    if (status == MAIL_NEED) {
        return false;
    }
    if (status == MAIL_OK && !truncated) {
        payload_set(object, "size", json_integer((json_int_t)g_bytes_get_size(content)));
    }
    if (mail_view_attachment_sha256(view, index, hash, need) == MAIL_OK) {
        payload_set(object, "sha256", json_string(hash));
    }
    if (wanted && status == MAIL_OK && !truncated) {
        payload_set(object, "content", base64(content));
    }
    return true;
}

static bool includes_attachments(const struct payload *payload) {
    return payload->request.webhook->include & WIRE_INCLUDE_ATTACHMENTS;
}

bool payload_wants_contents(const struct payload *payload, const mail_attachment *list, size_t n) {
    uint64_t sum = 0;

    for (size_t i = 0; i < n && sum <= payload->request.webhook->max_size; i++) {
        sum += list[i].size / 3 * 4;
    }
    return n && includes_attachments(payload) && payload->cut < CUT_CONTENT &&
           sum <= payload->request.webhook->max_size;
}

static bool add_attachments(const struct payload *payload, json_t *object, mail_need *need) {
    const mail_attachment *list = NULL;
    size_t n = 0;
    bool ok = true;

    if (mail_view_attachments(payload->request.job->view, &list, &n, need) == MAIL_NEED) {
        return false;
    }
    bool wanted = payload_wants_contents(payload, list, n);
    bool at_hand = mail_view_has_raw(payload->request.job->view);
    json_t *array = json_array();
    for (size_t i = 0; i < n && ok; i++) {
        json_t *attachment = json_object();
        payload_set(attachment, "filename", payload_text(list[i].filename));
        payload_set(attachment, "type", payload_text(list[i].type));
        payload_set(attachment, "size", json_integer((json_int_t)list[i].size));
        payload_set(attachment, "sha256", json_null());
        if (wanted || at_hand) {
            ok = add_content(payload, attachment, i, wanted, need);
        }
        if (includes_attachments(payload) && !json_object_get(attachment, "content")) {
            payload_set(attachment, "content_omitted", json_true());
        }
        json_array_append_new(array, attachment);
    }
    payload_set(object, "attachments", array);
    return ok;
}

static bool add_raw(const struct payload *payload, json_t *object, mail_need *need) {
    GBytes *raw = NULL;
    bool truncated = false;
    const rules_job *job = payload->request.job;

    if (!(payload->request.webhook->include & WIRE_INCLUDE_RAW)) {
        return true;
    }
    if (payload->cut >= CUT_CONTENT || job->eval->u.eval.size / 3 * 4 > payload->request.webhook->max_size) {
        payload_set(object, "raw_omitted", json_true());
        return true;
    }
    enum mail_status status = mail_view_raw(job->view, &raw, &truncated, need);
    if (status == MAIL_OK && !truncated) {
        payload_set(object, "raw", base64(raw));
    } else if (status != MAIL_NEED) {
        payload_set(object, "raw_omitted", json_true());
    }
    return status != MAIL_NEED;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

json_t *payload_flags(const wire_strings *flags) {
    json_t *array = json_array();

    for (size_t i = 0; i < flags->n; i++) {
        json_array_append_new(array, payload_text(flags->v[i]));
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
        payload_set(class_, classes[i].key,
                    json_boolean(mail_view_class(job->view, classes[i].query, &ignored, need) == MAIL_OK));
    }
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, payload_text(reasons[i]));
    }
    payload_set(class_, "reasons", list);
    payload_set(object, "class", class_);
    return true;
}

/* Of a message that is gone only what was known before. */
static bool add_remains(json_t *object, rules_job *job, mail_need *need_out) {
    bool ok = add_string(object, "message_id", mail_view_message_id, job->view, need_out);

    payload_set(object, "flags", payload_flags(&job->eval->u.eval.flags));
    return ok;
}

/* The message's members in the order of the interface, but what costs the largest fetch is asked for first; false:
 * something has to be fetched. */
bool payload_add_message(const struct payload *payload, json_t *object, mail_need *need_out) {
    const mail_header_field *fields;
    size_t n;
    rules_job *job = payload->request.job;
    mail_view *view = job->view;

    if (job->eval->u.eval.event == WIRE_EVENT_GONE) {
        return add_remains(object, job, need_out);
    }
    bool ok = add_raw(payload, object, need_out) && mail_view_headers(view, &fields, &n, need_out) != MAIL_NEED &&
              add_string(object, "message_id", mail_view_message_id, view, need_out) &&
              add_string(object, "in_reply_to", mail_view_in_reply_to, view, need_out) &&
              add_references(object, view, need_out) &&
              add_string(object, "thread_key", mail_view_thread_key, view, need_out) &&
              add_date(object, view, need_out) && add_addresses(object, "from", MAIL_FROM, view, need_out) &&
              add_addresses(object, "to", MAIL_TO, view, need_out) &&
              add_addresses(object, "cc", MAIL_CC, view, need_out) &&
              add_addresses(object, "reply_to", MAIL_REPLY_TO, view, need_out) &&
              add_string(object, "subject", mail_view_subject, view, need_out) &&
              add_headers(payload, object, view, need_out) && add_bodies(payload, object, need_out) &&
              add_attachments(payload, object, need_out) && add_class(object, job, need_out);

    if (ok) {
        payload_set(object, "flags", payload_flags(&job->eval->u.eval.flags));
        payload_set(object, "size", json_integer((json_int_t)job->eval->u.eval.size));
    }
    return ok;
}
