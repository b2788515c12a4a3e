/* The part tree: filled from BODYSTRUCTURE or by split.c, and what can be asked of it. */
#include "view_priv.h"

#include <string.h>

bool part_is(const struct part *part, const char *type, const char *subtype) {
    return (!type || strcmp(part->pub.type, type) == 0) && (!subtype || strcmp(part->pub.subtype, subtype) == 0);
}

static bool is_container(const struct part *part) {
    return part_is(part, "multipart", NULL) || part_is(part, "message", "rfc822");
}

size_t tree_skip(const struct tree *tree, size_t i) {
    unsigned depth = tree->parts[i].pub.depth;

    for (i++; i < tree->count && tree->parts[i].pub.depth > depth; i++) {
    }
    return i;
}

static const char *lower(mail_arena *a, const char *s) {
    char *copy = mail_arena_strdup(a, s ? s : "");

    for (char *p = copy; *p; p++) {
        *p = g_ascii_tolower(*p);
    }
    return copy;
}

/* --- from a MIME header ------------------------------------------------------------------------------------------- */

/* RFC 2045 section 5.2; what names no known kind of thing is bytes. */
static void set_type(mail_view *view, struct part *part, const char *content_type, bool digest) {
    struct params params = {0};
    char *slash;

    part->pub.type = digest ? "message" : "text";
    part->pub.subtype = digest ? "rfc822" : "plain";
    if (!content_type || !*content_type) {
        return;
    }
    params_parse(&view->memory, content_type, &params);
    part->pub.params = params.list;
    part->pub.param_count = params.count;
    slash = strchr(params.head, '/');
    if (slash && slash > params.head) {
        *slash = '\0';
        part->pub.type = params.head;
        part->pub.subtype = slash + 1;
    } else if (strcmp(params.head, "text") != 0 && *params.head) {
        part->pub.type = "application";
        part->pub.subtype = "octet-stream";
    }
}

static void set_disposition(mail_view *view, struct part *part, const char *value) {
    struct params params = {0};

    part->pub.disposition = "";
    if (value) {
        params_parse(&view->memory, value, &params);
        part->pub.disposition = params.head;
        part->pub.disposition_params = params.list;
        part->pub.disposition_param_count = params.count;
    }
}

static const char *bare_id(mail_view *view, const char *value) {
    if (!value) {
        return "";
    }
    value += strspn(value, "< \t");
    return mail_arena_strndup(&view->memory, value, strcspn(value, "> \t"));
}

/* values: content type, transfer encoding, disposition, id; each NULL if there is no such field. */
static void set_from_values(mail_view *view, struct part *part, const char *const values[4], bool digest) {
    struct params encoding = {0};

    set_type(view, part, values[0], digest);
    if (values[1]) {
        params_parse(&view->memory, values[1], &encoding);
    }
    part->pub.encoding = encoding.head ? encoding.head : "";
    set_disposition(view, part, values[2]);
    part->pub.id = bare_id(view, values[3]);
}

static const char *const mime_fields[4] = {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
                                           "Content-ID"};

void part_read_header(mail_view *view, struct part *part, const char *bytes, size_t len, bool digest) {
    const char *values[4] = {NULL};
    struct field_iter it;
    struct field field;

    field_iter_init(&it, bytes, MIN(len, view->limits->header));
    for (int n = 0; n < LIMIT_MIME_HEADERS && field_iter_next(&it, &field); n++) {
        for (int i = 0; i < 4; i++) {
            if (!values[i] && field_is(&field, mime_fields[i])) {
                values[i] = field_unfolded(view, &field);
            }
        }
    }
    set_from_values(view, part, values, digest);
}

/* --- from the server ---------------------------------------------------------------------------------------------- */

static const mail_param *copy_params(mail_arena *a, const mail_param *params, size_t *count) {
    mail_param *copy;

    *count = MIN(*count, 256);
    copy = mail_arena_alloc(a, (*count + 1) * sizeof *copy);
    for (size_t i = 0; i < *count; i++) {
        copy[i].name = lower(a, params[i].name);
        copy[i].value = mail_arena_strdup(a, params[i].value ? params[i].value : "");
    }
    return copy;
}

static void copy_part(mail_view *view, struct part *part, const mail_part *from) {
    mail_arena *a = &view->memory;
    mail_part *to = &part->pub;

    *to = *from;
    to->section = mail_arena_strdup(a, from->section ? from->section : "");
    to->type = lower(a, from->type);
    to->subtype = lower(a, from->subtype);
    to->encoding = lower(a, from->encoding);
    to->disposition = lower(a, from->disposition);
    to->id = bare_id(view, from->id);
    to->params = copy_params(a, from->params, &to->param_count);
    to->disposition_params = copy_params(a, from->disposition_params, &to->disposition_param_count);
}

void mail_view_set_structure(mail_view *view, const mail_part *parts, size_t count) {
    int path[LIMIT_MIME_DEPTH + 1];
    struct tree *tree = &view->tree;
    unsigned allowed = 0;
    size_t n = 0;

    if (view->raw || !count) {
        return;
    }
    tree->parts = mail_arena_alloc(&view->memory, MIN(count, LIMIT_MIME_PARTS) * sizeof *tree->parts);
    tree->from_raw = false;
    for (size_t i = 0; i < count; i++) {
        struct part *part = &tree->parts[n];
        if (n == LIMIT_MIME_PARTS || parts[i].depth > LIMIT_MIME_DEPTH) {
            view->problems |= MAIL_TOO_COMPLEX;
            continue;
        }
        copy_part(view, part, &parts[i]);
        part->pub.depth = n ? CLAMP(part->pub.depth, 1, allowed) : 0;
        part->parent = part->pub.depth ? path[part->pub.depth - 1] : -1;
        path[part->pub.depth] = (int)n++;
        allowed = MIN(part->pub.depth + 1, LIMIT_MIME_DEPTH);
    }
    tree->count = n;
    view->has_tree = n > 0;
    view_forget_bodies(view);
}

void mail_view_set_part(mail_view *view, const char *section, const char *mime_header, size_t mime_header_len,
                        GBytes *body, bool truncated) {
    for (size_t i = 0; i < view->tree.count && !view->raw; i++) {
        struct part *part = &view->tree.parts[i];
        const char *data = NULL;
        gsize len = 0;

        if (strcmp(part->pub.section, section) != 0) {
            continue;
        }
        if (mime_header && !is_container(part)) {
            part_read_header(view, part, mime_header, mime_header_len, false);
        }
        if (body) {
            g_ptr_array_add(view->kept, g_bytes_ref(body));
            data = g_bytes_get_data(body, &len);
        }
        part->body = data ? data : "";
        part->body_len = len;
        part->has_body = true;
        part->truncated = truncated;
        if (mime_header) {
            view_forget_bodies(view);
        }
        view_forget_part(view, i);
        return;
    }
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

bool view_tree(mail_view *view, mail_need *need_out) {
    if (view->has_tree) {
        return true;
    }
    if (!view->raw) {
        view_need(need_out, MAIL_NEED_STRUCTURE);
        return false;
    }
    gsize len;
    const char *bytes = g_bytes_get_data(view->raw, &len);
    split_message(view, bytes ? bytes : "", len);
    view->has_tree = true;
    return true;
}

enum mail_status mail_view_parts(mail_view *view, const mail_part **parts_out, size_t *count_out, mail_need *need_out) {
    mail_part *list;

    *parts_out = NULL;
    *count_out = 0;
    if (!view_tree(view, need_out)) {
        return MAIL_NEED;
    }
    if (!view->public_parts) {
        list = mail_arena_alloc(&view->memory, view->tree.count * sizeof *list);
        for (size_t i = 0; i < view->tree.count; i++) {
            list[i] = view->tree.parts[i].pub;
        }
        view->public_parts = list;
    }
    *parts_out = view->public_parts;
    *count_out = view->tree.count;
    return MAIL_OK;
}

enum mail_status mail_view_structure(mail_view *view, const char **summary_out, mail_need *need_out) {
    const struct tree *tree = &view->tree;
    GString *out;
    unsigned depth = 0;

    *summary_out = NULL;
    if (!view_tree(view, need_out)) {
        return MAIL_NEED;
    }
    out = g_string_new(NULL);
    for (size_t i = 0; i < tree->count; i++) {
        const mail_part *part = &tree->parts[i].pub;
        for (; depth > part->depth; depth--) {
            g_string_append_c(out, ')');
        }
        if (i) {
            g_string_append_c(out, part->depth > tree->parts[i - 1].pub.depth ? '(' : ',');
        }
        g_string_append_printf(out, "%s/%s", part->type, part->subtype);
        depth = part->depth;
    }
    while (depth--) {
        g_string_append_c(out, ')');
    }
    *summary_out = mail_arena_strndup(&view->memory, out->str, out->len);
    g_string_free(out, TRUE);
    return MAIL_OK;
}
