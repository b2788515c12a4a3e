#include "engine_priv.h"

#include <string.h>

static mail_param *convert_params(const wire_header *params, size_t n) {
    mail_param *list = g_new0(mail_param, n + 1);

    for (size_t i = 0; i < n; i++) {
        list[i] = (mail_param){params[i].name, params[i].value};
    }
    return list;
}

/* How deep a part is, from where its parent stands in depths (section -> depth + 1): of "2.1" that is "2.TEXT" if there
 * is one, else "2"; of "1" the top multipart "". */
static unsigned find_depth(GHashTable *depths, const char *section) {
    const char *dot = strrchr(section, '.');
    g_autofree char *parent = g_strndup(section, dot ? (gsize)(dot - section) : 0);
    g_autofree char *text = g_strconcat(parent, ".TEXT", NULL);
    gpointer found = NULL;

    if (!*section) {
        return 0;
    }
    if (!g_str_has_suffix(section, ".TEXT")) {
        found = g_hash_table_lookup(depths, text);
    }
    found = found ? found : g_hash_table_lookup(depths, parent);
    return GPOINTER_TO_UINT(found);
}

/* Servers give a multipart directly inside an enclosed message "2" that number once more; a view wants "2.TEXT". */
static const char *section_of(GHashTable *depths, const wire_part *part, GStringChunk *strings) {
    const char *section = part->section ? part->section : "";
    bool again = *section && g_hash_table_contains(depths, section);
    g_autofree char *text = again ? g_strconcat(section, ".TEXT", NULL) : NULL;

    return g_string_chunk_insert(strings, again ? text : section);
}

static mail_part convert_part(const wire_part *p, const char *section, unsigned depth) {
    return (mail_part){.section = section,
                       .depth = depth,
                       .type = p->type ? p->type : "application",
                       .subtype = p->subtype ? p->subtype : "octet-stream",
                       .params = convert_params(p->params, p->n_params),
                       .param_count = p->n_params,
                       .encoding = p->encoding,
                       .id = p->id,
                       .disposition = p->disposition,
                       .disposition_params = convert_params(p->disposition_params, p->n_disposition_params),
                       .disposition_param_count = p->n_disposition_params,
                       .size = p->size};
}

static void feed_structure(mail_view *view, const wire_part *parts, size_t n) {
    mail_part *list = g_new0(mail_part, n + 1);
    GHashTable *depths = g_hash_table_new(g_str_hash, g_str_equal);
    GStringChunk *strings = g_string_chunk_new(256);

    for (size_t i = 0; i < n; i++) {
        const char *section = section_of(depths, &parts[i], strings);
        unsigned depth = find_depth(depths, section);
        list[i] = convert_part(&parts[i], section, depth);
        g_hash_table_insert(depths, (gpointer)(uintptr_t)section, GUINT_TO_POINTER(depth + 1));
    }
    mail_view_set_structure(view, list, n);
    for (size_t i = 0; i < n; i++) {
        g_free((gpointer)(uintptr_t)list[i].params);
        g_free((gpointer)(uintptr_t)list[i].disposition_params);
    }
    g_hash_table_unref(depths);
    g_string_chunk_free(strings);
    g_free(list);
}

static const char **terminated(const wire_strings *list) {
    const char **v = g_new0(const char *, list->n + 1);

    for (size_t i = 0; i < list->n; i++) {
        v[i] = list->v[i];
    }
    return v;
}

static void feed_fields(mail_view *view, const wire_bytes *data, const char *const *names) {
    mail_view_set_fields(view, (const char *)data->data, data->len, names);
}

/* The message that holds the bytes outlives the view. */
static void feed_raw(mail_view *view, const wire_bytes *data, bool truncated) {
    g_autoptr(GBytes) raw = g_bytes_new_static(data->data, data->len);

    mail_view_set_raw(view, raw, truncated);
}

static void feed_meta(mail_view *view, const wire_eval *eval) {
    g_autofree const char **flags = terminated(&eval->flags);
    mail_meta meta = {.account = eval->account,
                      .folder = eval->folder,
                      .flags = flags,
                      .uid = eval->uid,
                      .uidvalidity = eval->uidvalidity,
                      .size = eval->size,
                      .internaldate = eval->internaldate};

    mail_view_set_meta(view, &meta);
}

void engine_feed_eval(rules_job *job) {
    const wire_eval *eval = &job->eval->u.eval;
    const char **fields;

    feed_meta(job->view, eval);
    switch (eval->level) {
    case WIRE_LEVEL_NOTHING:
        break;
    case WIRE_LEVEL_FIELDS:
        fields = terminated(&eval->fields);
        feed_fields(job->view, &eval->data, fields);
        g_free(fields);
        break;
    case WIRE_LEVEL_STRUCTURE:
        mail_view_set_header(job->view, (const char *)eval->data.data, eval->data.len);
        if (eval->n_parts) {
            feed_structure(job->view, eval->parts, eval->n_parts);
        }
        break;
    case WIRE_LEVEL_HEADER:
        mail_view_set_header(job->view, (const char *)eval->data.data, eval->data.len);
        break;
    case WIRE_LEVEL_RAW:
        feed_raw(job->view, &eval->data, eval->truncated);
        break;
    }
}

static void feed_parts(mail_view *view, const wire_answer *answer) {
    for (size_t i = 0; i < answer->n_part_data; i++) {
        const wire_part_data *p = &answer->part_data[i];
        g_autoptr(GBytes) body = p->body.data ? g_bytes_new_static(p->body.data, p->body.len) : NULL;
        mail_view_set_part(view, p->section, (const char *)p->header.data, p->header.len, body, p->truncated);
    }
}

char *engine_feed_answer(rules_job *job, const struct asked *asked) {
    const wire_answer *answer = &job->answer->u.answer;

    if (answer->kind != asked->kind) {
        return g_strdup("the answer is not to what was asked");
    }
    if (answer->kind == WIRE_NEED_HTTP || answer->kind == WIRE_NEED_KV) {
        return NULL; /* the coroutine looks at it */
    }
    if (answer->failure) {
        return g_strdup_printf("the message could not be read: %s", answer->failure);
    }
    switch (answer->kind) {
    case WIRE_NEED_FIELDS:
        feed_fields(job->view, &answer->data, (const char *const *)asked->names);
        break;
    case WIRE_NEED_HEADER:
        mail_view_set_header(job->view, (const char *)answer->data.data, answer->data.len);
        break;
    case WIRE_NEED_STRUCTURE:
        if (answer->n_parts) {
            feed_structure(job->view, answer->parts, answer->n_parts);
        }
        break;
    case WIRE_NEED_PARTS:
        feed_parts(job->view, answer);
        break;
    case WIRE_NEED_RAW:
        feed_raw(job->view, &answer->data, answer->truncated);
        break;
    case WIRE_NEED_HTTP:
    case WIRE_NEED_KV:
        break;
    }
    return NULL;
}
