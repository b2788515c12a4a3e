#include "view_priv.h"

#include <string.h>

mail_view *mail_view_new(const struct limits *limits) {
    mail_view *view = g_new0(mail_view, 1);

    view->limits = limits;
    mail_arena_init(&view->memory);
    view->fields = g_array_new(FALSE, FALSE, sizeof(struct field));
    view->covered = g_ptr_array_new();
    view->need_names = g_ptr_array_new();
    view->kept = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    return view;
}

void mail_view_free(mail_view *view) {
    if (!view) {
        return;
    }
    g_array_free(view->fields, TRUE);
    g_ptr_array_free(view->covered, TRUE);
    g_ptr_array_free(view->need_names, TRUE);
    g_ptr_array_free(view->kept, TRUE);
    g_clear_pointer(&view->values, g_hash_table_destroy);
    mail_arena_release(&view->memory);
    g_free(view);
}

void view_forget_header(mail_view *view) {
    memset(view->addresses, 0, sizeof view->addresses);
    memset(view->classes, 0, sizeof view->classes);
    view->all_fields = NULL;
    if (view->values) {
        g_hash_table_remove_all(view->values);
    }
}

void view_forget_bodies(mail_view *view) {
    view->text = view->html = view->reply = NULL;
    view->attachments = NULL;
    view->public_parts = NULL;
}

void view_forget_part(mail_view *view, size_t part) {
    view->text = view->html = view->reply = NULL;
    for (size_t i = 0; view->attachments && i < view->attachment_count; i++) {
        if (view->attachment_parts[i] == part) {
            view->contents[i] = (struct content){0};
        }
    }
}

enum mail_status view_need(mail_need *need_out, enum mail_need_kind kind) {
    *need_out = (mail_need){.kind = kind};
    return MAIL_NEED;
}

static const char *const *copy_list(mail_arena *a, const char *const *list) {
    size_t n = 0;
    const char **copy;

    while (list[n]) {
        n++;
    }
    copy = mail_arena_alloc(a, (n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = mail_arena_strdup(a, list[i]);
    }
    return copy;
}

void mail_view_set_meta(mail_view *view, const mail_meta *meta) {
    view->meta = *meta;
    view->meta.account = mail_arena_strdup(&view->memory, meta->account);
    view->meta.folder = mail_arena_strdup(&view->memory, meta->folder);
    if (meta->flags) {
        view->meta.flags = copy_list(&view->memory, meta->flags);
    }
}

const mail_meta *mail_view_meta(const mail_view *view) {
    return &view->meta;
}

bool mail_view_has_raw(const mail_view *view) {
    return view->raw != NULL;
}

enum mail_status mail_view_raw(mail_view *view, GBytes **raw_out, bool *truncated_out, mail_need *need_out) {
    *raw_out = view->raw;
    if (truncated_out) {
        *truncated_out = view->raw_truncated;
    }
    if (!view->raw) {
        *need_out = (mail_need){.kind = MAIL_NEED_RAW, .limit = view->limits->message};
        return MAIL_NEED;
    }
    return MAIL_OK;
}

unsigned mail_view_problems(const mail_view *view) {
    return view->problems;
}
