#include "view_priv.h"

#include <string.h>

#define FILE_NAME_MAX 255 /* characters */

static bool is_unwanted(gunichar c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* The last path component without what hides or breaks: "..\x\evil\u202Etxt.exe" -> "eviltxt.exe" */
static const char *tidy_file_name(mail_view *view, const char *name) {
    const char *base = name;
    GString *clean;

    for (const char *p = name; *p; p++) {
        if (*p == '/' || *p == '\\') {
            base = p + 1;
        }
    }
    clean = g_string_new(NULL);
    for (size_t n = 0; *base && n < FILE_NAME_MAX; base = g_utf8_next_char(base)) {
        gunichar c = g_utf8_get_char(base);
        if (!is_unwanted(c)) {
            g_string_append_unichar(clean, c);
            n++;
        }
    }
    g_strstrip(clean->str);
    if (strcmp(clean->str, ".") == 0 || strcmp(clean->str, "..") == 0) {
        *clean->str = '\0';
    }
    const char *kept = mail_arena_strdup(&view->memory, clean->str);
    g_string_free(clean, TRUE);
    return kept;
}

static const char *file_name(mail_view *view, const mail_part *part) {
    mail_arena *a = &view->memory;
    const char *name = params_get(a, part->disposition_params, part->disposition_param_count, "filename");

    if (!name || !*name) {
        name = params_get(a, part->params, part->param_count, "name");
    }
    return name && *name ? tidy_file_name(view, name) : "";
}

static bool is_signature(const struct tree *tree, const struct part *part) {
    return part->parent >= 0 && part_is(&tree->parts[part->parent], "multipart", "signed") &&
           part_is(part, "application", NULL) && strstr(part->pub.subtype, "signature");
}

/* One more form of the text, such as AMP: neither shown nor a file. */
static bool is_other_form(const struct tree *tree, const struct part *part) {
    return part->parent >= 0 && part_is(&tree->parts[part->parent], "multipart", "alternative") &&
           part_is(part, "text", NULL) && !part_is(part, NULL, "calendar") && !*part->pub.disposition;
}

static bool is_attachment(const struct tree *tree, const struct part *part) {
    return !part_is(part, "multipart", NULL) && !part_is_body_text(part) && !is_signature(tree, part) &&
           !is_other_form(tree, part);
}

static void set_size(const struct part *part, mail_attachment *out) {
    uint64_t size = part->pub.size, lines;

    if (part->has_body && !part->truncated) {
        out->size = encoding_decoded_size(part->pub.encoding, part->body, part->body_len);
        out->size_estimated = strstr(part->pub.encoding, "uu") != NULL;
    } else if (strcmp(part->pub.encoding, "base64") == 0) {
        lines = size / 78;
        out->size = (size - 2 * lines) / 4 * 3;
        out->size_estimated = true;
    } else {
        out->size = size;
        out->size_estimated = strcmp(part->pub.encoding, "quoted-printable") == 0;
    }
}

static void describe(mail_view *view, const struct part *part, mail_attachment *out) {
    const struct tree *tree = &view->tree;
    bool related = part->parent >= 0 && part_is(&tree->parts[part->parent], "multipart", "related");
    char *type = g_strconcat(part->pub.type, "/", part->pub.subtype, NULL);

    out->section = part->pub.section;
    out->filename = file_name(view, &part->pub);
    out->type = mail_arena_strdup(&view->memory, type);
    out->disposition = part->pub.disposition;
    out->content_id = part->pub.id;
    out->is_inline = strcmp(part->pub.disposition, "inline") == 0 || (related && *part->pub.id);
    set_size(part, out);
    g_free(type);
}

static void list_attachments(mail_view *view) {
    const struct tree *tree = &view->tree;
    mail_attachment *list = mail_arena_alloc(&view->memory, tree->count * sizeof *list);
    size_t *parts = mail_arena_alloc(&view->memory, tree->count * sizeof *parts), n = 0;

    for (size_t i = 0; i < tree->count;) {
        const struct part *part = &tree->parts[i];
        if (is_attachment(tree, part)) {
            parts[n] = i;
            describe(view, part, &list[n++]);
        }
        i = part_is(part, "message", "rfc822") ? tree_skip(tree, i) : i + 1;
    }
    view->attachments = list;
    view->attachment_parts = parts;
    view->attachment_count = n;
    view->contents = mail_arena_alloc(&view->memory, (n + 1) * sizeof *view->contents);
}

enum mail_status mail_view_attachments(mail_view *view, const mail_attachment **list_out, size_t *count_out,
                                       mail_need *need_out) {
    *list_out = NULL;
    *count_out = 0;
    if (!view_tree(view, need_out)) {
        return MAIL_NEED;
    }
    if (!view->attachments) {
        list_attachments(view);
    }
    *count_out = view->attachment_count;
    *list_out = view->attachment_count ? view->attachments : NULL;
    return view->attachment_count ? MAIL_OK : MAIL_ABSENT;
}

static void decode_content(mail_view *view, const struct part *part, struct content *content) {
    GByteArray *bytes = g_byte_array_new();
    uint64_t limit = view->limits->attachment;
    bool whole = encoding_decode(part->pub.encoding, part->body, part->body_len, limit, bytes);

    if (bytes->len > limit) {
        g_byte_array_set_size(bytes, (guint)limit);
    }
    content->truncated = !whole || part->truncated;
    content->bytes = g_byte_array_free_to_bytes(bytes);
    g_ptr_array_add(view->kept, content->bytes);
}

enum mail_status mail_view_attachment_content(mail_view *view, size_t index, GBytes **content_out, bool *truncated_out,
                                              mail_need *need_out) {
    const mail_attachment *list;
    size_t count;
    enum mail_status status = mail_view_attachments(view, &list, &count, need_out);

    *content_out = NULL;
    if (status == MAIL_NEED || index >= count) {
        return status == MAIL_NEED ? MAIL_NEED : MAIL_ABSENT;
    }
    struct part *part = &view->tree.parts[view->attachment_parts[index]];
    struct content *content = &view->contents[index];
    if (!part->has_body) {
        g_ptr_array_set_size(view->need_names, 0);
        g_ptr_array_add(view->need_names, (gpointer)part->pub.section);
        g_ptr_array_add(view->need_names, NULL);
        *need_out = (mail_need){MAIL_NEED_PARTS, (const char *const *)view->need_names->pdata,
                                encoding_encoded_size(part->pub.encoding, view->limits->attachment)};
        return MAIL_NEED;
    }
    if (!content->bytes) {
        decode_content(view, part, content);
    }
    *content_out = content->bytes;
    if (truncated_out) {
        *truncated_out = content->truncated;
    }
    return MAIL_OK;
}

enum mail_status mail_view_attachment_sha256(mail_view *view, size_t index, char hex_out[MAIL_IDENTITY_SIZE],
                                             mail_need *need_out) {
    GBytes *content;
    bool truncated = false;
    enum mail_status status = mail_view_attachment_content(view, index, &content, &truncated, need_out);

    *hex_out = '\0';
    if (status != MAIL_OK || truncated) {
        return status == MAIL_NEED ? MAIL_NEED : MAIL_ABSENT;
    }
    char *hex = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, content);
    g_strlcpy(hex_out, hex, MAIL_IDENTITY_SIZE);
    g_free(hex);
    return MAIL_OK;
}
