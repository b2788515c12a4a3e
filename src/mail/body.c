/* Text, HTML and the reply: which parts they are made of, and how those are read. */
#include "view_priv.h"

#include "charset_priv.h"
#include "html_priv.h"
#include "reply_priv.h"

#include <string.h>

/* --- which parts are the text ------------------------------------------------------------------------------------- */

static bool has_file_name(const struct part *part) {
    for (size_t i = 0; i < part->pub.param_count; i++) {
        if (g_str_has_prefix(part->pub.params[i].name, "name")) {
            return true;
        }
    }
    for (size_t i = 0; i < part->pub.disposition_param_count; i++) {
        if (g_str_has_prefix(part->pub.disposition_params[i].name, "filename")) {
            return true;
        }
    }
    return false;
}

static bool is_html(const struct part *part) {
    return strcmp(part->pub.subtype, "html") == 0;
}

bool part_is_body_text(const struct part *part) {
    static const char *const subtypes[] = {"plain", "html", "enriched", "richtext", "markdown", ""};

    if (part_is(part, "multipart", NULL)) { /* without parts: what is there is text, if the message is nothing else */
        return part->parent < 0;
    }
    if (strcmp(part->pub.type, "text") != 0 || strcmp(part->pub.disposition, "attachment") == 0) {
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(subtypes); i++) {
        if (strcmp(part->pub.subtype, subtypes[i]) == 0) {
            return part->parent < 0 || !has_file_name(part);
        }
    }
    return false;
}

static bool has_children(const struct tree *tree, size_t i) {
    return tree_skip(tree, i) > i + 1;
}

/* Whether the tree at i holds a body that is HTML (or is not). */
static bool holds(const struct tree *tree, size_t i, bool html) {
    size_t end = tree_skip(tree, i);

    while (i < end) {
        const struct part *part = &tree->parts[i];
        if (part_is(part, "message", "rfc822")) {
            i = tree_skip(tree, i);
            continue;
        }
        if (!has_children(tree, i) && part_is_body_text(part) && is_html(part) == html) {
            return true;
        }
        i++;
    }
    return false;
}

/* The branch of a multipart/alternative to read: of plain ones the first, of HTML ones the last (the richest). */
static size_t pick_branch(const struct tree *tree, size_t i, bool html) {
    size_t end = tree_skip(tree, i), same = end, other = end;

    for (size_t child = i + 1; child < end; child = tree_skip(tree, child)) {
        if (holds(tree, child, html) && (same == end || html)) {
            same = child;
        }
        if (holds(tree, child, !html)) {
            other = child;
        }
    }
    return same != end ? same : other;
}

/* Appends the indices of the parts that make up the text. Goes as deep as the tree, LIMIT_MIME_DEPTH. */
static void choose(const struct tree *tree, size_t i, bool html, GArray *chosen) {
    const struct part *part = &tree->parts[i];
    size_t end = tree_skip(tree, i);

    if (end == i + 1) {
        if (part_is_body_text(part) && (!html || is_html(part))) {
            g_array_append_val(chosen, i);
        }
        return;
    }
    if (!part_is(part, "multipart", NULL)) {
        return;
    }
    if (part_is(part, NULL, "alternative")) {
        size_t branch = pick_branch(tree, i, html);
        if (branch < end) {
            choose(tree, branch, html, chosen);
        }
        return;
    }
    if (part_is(part, NULL, "related") || part_is(part, NULL, "signed")) {
        choose(tree, i + 1, html, chosen);
        return;
    }
    for (size_t child = i + 1; child < end; child = tree_skip(tree, child)) {
        choose(tree, child, html, chosen);
    }
}

/* --- decoding them ------------------------------------------------------------------------------------------------ */

/* CRLF and CR to LF in place. */
static void unify_newlines(GString *text) {
    gsize n = 0;

    for (gsize i = 0; i < text->len; i++) {
        if (text->str[i] == '\r') {
            if (i + 1 == text->len || text->str[i + 1] != '\n') {
                text->str[n++] = '\n';
            }
        } else {
            text->str[n++] = text->str[i];
        }
    }
    g_string_truncate(text, n);
}

/* <meta charset="x">, <meta ... content="text/html; charset=x"> */
static bool charset_in_html(const char *html, size_t len, char *name, size_t size) {
    static const char key[] = "charset=";
    size_t n = 0;

    len = MIN(len, 2048);
    for (size_t i = 0; i + sizeof key < len; i++) {
        if (g_ascii_strncasecmp(html + i, key, sizeof key - 1) == 0) {
            i += sizeof key - 1;
            i += html[i] == '"' || html[i] == '\'';
            while (i < len && n + 1 < size && (g_ascii_isalnum(html[i]) || strchr("-_.:", html[i])) && html[i]) {
                name[n++] = html[i++];
            }
            name[n] = '\0';
            return n > 0 && g_ascii_strncasecmp(name, "utf-16", 6) != 0;
        }
    }
    return false;
}

static GString *decode_text(mail_view *view, const struct part *part, bool *truncated) {
    mail_arena *a = &view->memory;
    GByteArray *bytes = g_byte_array_new();
    GString *text = g_string_new(NULL);
    const char *charset = params_get(a, part->pub.params, part->pub.param_count, "charset");
    char from_html[64];

    if (!encoding_decode(part->pub.encoding, part->body, part->body_len, view->limits->text, bytes)) {
        *truncated = true;
    }
    const char *in = bytes->data ? (const char *)bytes->data : "";
    if (!charset && is_html(part) && charset_in_html(in, bytes->len, from_html, sizeof from_html)) {
        charset = from_html;
    }
    if (!charset_append(text, charset, in, bytes->len)) {
        view->problems |= MAIL_BAD_CHARSET;
    }
    g_byte_array_free(bytes, TRUE);
    unify_newlines(text);
    *truncated = *truncated || part->truncated;
    return text;
}

static void append_as_text(mail_view *view, const struct part *part, GString *decoded, mail_text *out, GString *to) {
    mail_arena *a = &view->memory;

    if (is_html(part)) {
        out->from_html = true;
        if (!html_to_text(decoded->str, decoded->len, view->limits->text, to)) {
            out->truncated = true;
        }
        return;
    }
    const char *format = params_get(a, part->pub.params, part->pub.param_count, "format");
    const char *delsp = params_get(a, part->pub.params, part->pub.param_count, "delsp");
    if (format && g_ascii_strcasecmp(format, "flowed") == 0) {
        flowed_join(to, decoded->str, decoded->len, delsp && g_ascii_strcasecmp(delsp, "yes") == 0);
    } else {
        g_string_append_len(to, decoded->str, (gssize)decoded->len);
    }
}

/* Cuts at limit, between characters. */
static void cut(mail_view *view, GString *text, bool *truncated) {
    gsize n = view->limits->text;

    if (text->len > n) {
        while (n && ((unsigned char)text->str[n] & 0xc0) == 0x80) {
            n--;
        }
        g_string_truncate(text, n);
        *truncated = true;
    }
    if (*truncated) {
        view->problems |= MAIL_TEXT_CUT;
    }
}

static bool have_bodies(mail_view *view, const GArray *chosen, mail_need *need_out) {
    uint64_t limit = 0;

    g_ptr_array_set_size(view->need_names, 0);
    for (guint i = 0; i < chosen->len; i++) {
        const struct part *part = &view->tree.parts[g_array_index(chosen, size_t, i)];
        if (!part->has_body) {
            uint64_t encoded = encoding_encoded_size(part->pub.encoding, view->limits->text);
            g_ptr_array_add(view->need_names, (gpointer)part->pub.section);
            limit = MAX(limit, encoded);
        }
    }
    if (!view->need_names->len) {
        return true;
    }
    g_ptr_array_add(view->need_names, NULL);
    *need_out = (mail_need){MAIL_NEED_PARTS, (const char *const *)view->need_names->pdata, limit};
    return false;
}

static const mail_text *keep_text(mail_view *view, mail_text *text, GString *content) {
    mail_text *kept = mail_arena_alloc(&view->memory, sizeof *kept);

    *kept = *text;
    kept->text = mail_arena_strndup(&view->memory, content->str, content->len);
    kept->len = content->len;
    return kept;
}

static const mail_text *join_bodies(mail_view *view, const GArray *chosen, bool as_html) {
    GString *whole = g_string_new(NULL);
    mail_text text = {0};
    const mail_text *kept;

    for (guint i = 0; i < chosen->len && !text.truncated && whole->len <= view->limits->text; i++) {
        const struct part *part = &view->tree.parts[g_array_index(chosen, size_t, i)];
        GString *decoded = decode_text(view, part, &text.truncated);
        if (whole->len && whole->str[whole->len - 1] != '\n') {
            g_string_append_c(whole, '\n');
        }
        if (as_html) {
            g_string_append_len(whole, decoded->str, (gssize)decoded->len);
        } else {
            append_as_text(view, part, decoded, &text, whole);
        }
        g_string_free(decoded, TRUE);
    }
    cut(view, whole, &text.truncated);
    kept = keep_text(view, &text, whole);
    g_string_free(whole, TRUE);
    return kept;
}

static enum mail_status read_bodies(mail_view *view, bool html, bool as_html, const mail_text **out, mail_need *need) {
    GArray *chosen = g_array_new(FALSE, FALSE, sizeof(size_t));
    enum mail_status status = MAIL_OK;

    choose(&view->tree, 0, html, chosen);
    if (!chosen->len) {
        status = MAIL_ABSENT;
    } else if (!have_bodies(view, chosen, need)) {
        status = MAIL_NEED;
    } else {
        *out = join_bodies(view, chosen, as_html);
    }
    g_array_free(chosen, TRUE);
    return status;
}

static bool is_blank(const mail_text *text) {
    return text->text[strspn(text->text, " \t\n")] == '\0';
}

enum mail_status mail_view_text(mail_view *view, const mail_text **text_out, mail_need *need_out) {
    enum mail_status status;
    const mail_text *text = NULL, *instead = NULL;

    *text_out = view->text;
    if (view->text) {
        return MAIL_OK;
    }
    if (!view_tree(view, need_out)) {
        return MAIL_NEED;
    }
    status = read_bodies(view, false, false, &text, need_out);
    if (status != MAIL_OK) {
        return status;
    }
    if (is_blank(text) && !text->from_html) { /* an empty plain part beside the real one */
        status = read_bodies(view, true, false, &instead, need_out);
        if (status == MAIL_NEED) {
            return MAIL_NEED;
        }
        text = instead ? instead : text;
    }
    *text_out = view->text = text;
    return MAIL_OK;
}

enum mail_status mail_view_html(mail_view *view, const mail_text **html_out, mail_need *need_out) {
    enum mail_status status;

    *html_out = view->html;
    if (view->html) {
        return MAIL_OK;
    }
    if (!view_tree(view, need_out)) {
        return MAIL_NEED;
    }
    status = read_bodies(view, true, true, &view->html, need_out);
    *html_out = view->html;
    return status;
}

enum mail_status mail_view_reply_text(mail_view *view, const mail_text **text_out, mail_need *need_out) {
    enum mail_status status;
    const mail_text *whole;
    GString *reply;

    *text_out = view->reply;
    if (view->reply) {
        return MAIL_OK;
    }
    status = mail_view_text(view, &whole, need_out);
    if (status != MAIL_OK) {
        return status;
    }
    mail_text text = *whole;
    reply = g_string_new(NULL);
    reply_extract(whole->text, whole->len, reply);
    *text_out = view->reply = keep_text(view, &text, reply);
    g_string_free(reply, TRUE);
    return MAIL_OK;
}
