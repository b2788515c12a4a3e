#include "view_priv.h"

#include "charset_priv.h"

#include <string.h>

/* --- scanning ----------------------------------------------------------------------------------------------------- */

void field_iter_init(struct field_iter *it, const char *bytes, size_t len) {
    *it = (struct field_iter){.p = bytes, .end = bytes + len, .first = true};
}

const char *line_next(const char *p, const char *end) {
    const char *lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

    return lf ? lf + 1 : end;
}

bool line_is_blank(const char *p, const char *end) {
    return p == end || *p == '\n' || (*p == '\r' && (p + 1 == end || p[1] == '\n'));
}

/* The length of the field name at p (RFC 5322 ftext; white space before the colon is let pass), 0 if none; *value_out
 * behind the colon. */
static size_t name_length(const char *p, const char *end, const char **value_out) {
    const char *q = p, *name_end;

    while (q < end && *q > 32 && *q < 127 && *q != ':') {
        q++;
    }
    name_end = q;
    while (q < end && (*q == ' ' || *q == '\t')) {
        q++;
    }
    if (q == end || *q != ':') {
        return 0;
    }
    *value_out = q + 1;
    return (size_t)(name_end - p);
}

bool field_iter_next(struct field_iter *it, struct field *field_out) {
    while (it->p < it->end && !line_is_blank(it->p, it->end)) {
        const char *start = it->p, *value = NULL, *next = line_next(start, it->end);
        bool envelope = it->first && next - start > 5 && memcmp(start + (*start == '>'), "From ", 5) == 0;

        while (next < it->end && (*next == ' ' || *next == '\t')) {
            next = line_next(next, it->end);
        }
        size_t n = name_length(start, next, &value);
        it->p = next;
        it->first = false;
        if (n && !envelope) {
            *field_out = (struct field){
                .name = start, .name_len = n, .raw = value, .raw_len = (size_t)(next - value)};
            return true;
        }
        it->junk = it->junk || !envelope;
    }
    return false;
}

size_t header_end(const char *bytes, size_t len) {
    const char *p = bytes, *end = bytes + len;

    while (p < end) {
        bool blank = line_is_blank(p, end);
        p = line_next(p, end);
        if (blank) {
            return (size_t)(p - bytes);
        }
    }
    return len;
}

bool field_is(const struct field *field, const char *name) {
    return g_ascii_strncasecmp(field->name, name, field->name_len) == 0 && name[field->name_len] == '\0';
}

static const char *unfold(mail_arena *a, const char *raw, size_t len) {
    char *out = mail_arena_open(a, len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        bool line_break = raw[i] == '\n' || (raw[i] == '\r' && (i + 1 == len || raw[i + 1] == '\n'));
        if (line_break || !raw[i] || (!n && (raw[i] == ' ' || raw[i] == '\t'))) {
            continue;
        }
        out[n++] = raw[i] == '\t' && i && raw[i - 1] == '\n' ? ' ' : raw[i];
    }
    while (n && (out[n - 1] == ' ' || out[n - 1] == '\t')) {
        n--;
    }
    out[n] = '\0';
    mail_arena_close(a, n + 1);
    return out;
}

const char *field_unfolded(mail_view *view, struct field *field) {
    if (!field->unfolded) {
        field->unfolded = unfold(&view->memory, field->raw, field->raw_len);
    }
    return field->unfolded;
}

static bool is_plain(const char *s) {
    for (; *s; s++) {
        if (*s < 32 || *s > 126 || (*s == '=' && s[1] == '?')) {
            return false;
        }
    }
    return true;
}

const char *field_decoded(mail_view *view, struct field *field) {
    const char *unfolded = field_unfolded(view, field);

    if (!field->decoded && is_plain(unfolded)) {
        field->decoded = unfolded;
    } else if (!field->decoded) {
        char *decoded = charset_decode_header(unfolded, strlen(unfolded));
        field->decoded = mail_arena_strdup(&view->memory, decoded);
        g_free(decoded);
    }
    return field->decoded;
}

/* --- filling ------------------------------------------------------------------------------------------------------ */

static bool in_names(const struct field *field, const char *const *names) {
    for (; *names; names++) {
        if (field_is(field, *names)) {
            return true;
        }
    }
    return false;
}

static bool is_covered(const mail_view *view, const char *name) {
    if (view->header_whole) {
        return true;
    }
    for (guint i = 0; i < view->covered->len; i++) {
        if (g_ascii_strcasecmp(g_ptr_array_index(view->covered, i), name) == 0) {
            return true;
        }
    }
    return false;
}

/* names NULL = every field. */
static void add_fields(mail_view *view, const char *bytes, size_t len, const char *const *names) {
    struct field_iter it;
    struct field field;

    field_iter_init(&it, bytes, len);
    while (field_iter_next(&it, &field)) {
        if (view->fields->len >= LIMIT_MIME_HEADERS) {
            view->problems |= MAIL_HEADER_CUT;
            break;
        }
        if (!names || in_names(&field, names)) {
            g_array_append_val(view->fields, field);
        }
    }
    if (it.junk) {
        view->problems |= MAIL_UNPARSABLE;
    }
}

static size_t cut_header(mail_view *view, size_t len) {
    if (len > view->limits->header) {
        view->problems |= MAIL_HEADER_CUT;
        return view->limits->header;
    }
    return len;
}

void mail_view_set_fields(mail_view *view, const char *bytes, size_t len, const char *const *names) {
    GPtrArray *fresh;

    if (view->header_whole) {
        return;
    }
    fresh = g_ptr_array_new();
    for (; *names; names++) {
        if (!is_covered(view, *names)) {
            g_ptr_array_add(fresh, mail_arena_strdup(&view->memory, *names));
        }
    }
    g_ptr_array_add(fresh, NULL);
    len = cut_header(view, len);
    add_fields(view, mail_arena_strndup(&view->memory, bytes, len), len, (const char *const *)fresh->pdata);
    for (guint i = 0; i + 1 < fresh->len; i++) {
        g_ptr_array_add(view->covered, g_ptr_array_index(fresh, i));
    }
    g_ptr_array_free(fresh, TRUE);
}

static void set_whole(mail_view *view, const char *bytes, size_t len) {
    view_forget_header(view);
    g_array_set_size(view->fields, 0);
    add_fields(view, bytes, cut_header(view, len), NULL);
    view->header_whole = true;
    if (!view->fields->len) {
        view->problems |= MAIL_UNPARSABLE;
    }
}

void mail_view_set_header(mail_view *view, const char *bytes, size_t len) {
    if (!view->raw) {
        len = MIN(len, view->limits->header + 1);
        set_whole(view, mail_arena_strndup(&view->memory, bytes, len), len);
    }
}

void mail_view_set_raw(mail_view *view, GBytes *raw, bool truncated) {
    gsize len;
    const char *data = g_bytes_get_data(raw, &len), *bytes = data ? data : "";

    g_ptr_array_add(view->kept, g_bytes_ref(raw));
    view->raw = raw;
    view->raw_truncated = truncated;
    if (truncated) {
        view->problems |= MAIL_RAW_TRUNCATED;
    }
    set_whole(view, bytes, header_end(bytes, len));
    view_forget_bodies(view);
    view->has_tree = false;
}

/* --- looking up --------------------------------------------------------------------------------------------------- */

bool view_covers(mail_view *view, const char *const *names, mail_need *need_out) {
    if (view->header_whole) {
        return true;
    }
    g_ptr_array_set_size(view->need_names, 0);
    for (; *names; names++) {
        if (!is_covered(view, *names)) {
            g_ptr_array_add(view->need_names, mail_arena_strdup(&view->memory, *names));
        }
    }
    if (!view->need_names->len) {
        return true;
    }
    g_ptr_array_add(view->need_names, NULL);
    *need_out = (mail_need){.kind = MAIL_NEED_FIELDS, .names = (const char *const *)view->need_names->pdata};
    return false;
}

struct field *view_field(mail_view *view, const char *name, size_t *at) {
    for (size_t i = *at; i < view->fields->len; i++) {
        struct field *field = &g_array_index(view->fields, struct field, i);
        if (field_is(field, name)) {
            *at = i + 1;
            return field;
        }
    }
    return NULL;
}

const char *view_field_unfolded(mail_view *view, const char *name) {
    size_t at = 0;
    struct field *field = view_field(view, name, &at);

    return field ? field_unfolded(view, field) : NULL;
}

const char *view_field_decoded(mail_view *view, const char *name) {
    size_t at = 0;
    struct field *field = view_field(view, name, &at);

    return field ? field_decoded(view, field) : NULL;
}

static mail_strings *collect(mail_view *view, const char *name, bool raw) {
    mail_strings *strings = mail_arena_alloc(&view->memory, sizeof *strings);
    struct field *field;
    const char **items;
    size_t at = 0, n = 0;

    while (view_field(view, name, &at)) {
        n++;
    }
    items = mail_arena_alloc(&view->memory, (n + 1) * sizeof *items);
    at = 0;
    while ((field = view_field(view, name, &at))) {
        items[strings->count++] = raw ? field_unfolded(view, field) : field_decoded(view, field);
    }
    strings->items = items;
    return strings;
}

static enum mail_status header_values(mail_view *view, const char *name, bool raw, mail_strings *out, mail_need *need) {
    const char *const names[] = {name, NULL};
    char key[256];
    mail_strings *strings;

    *out = (mail_strings){0};
    if (!view_covers(view, names, need)) {
        return MAIL_NEED;
    }
    g_snprintf(key, sizeof key, "%s%s", raw ? "\1" : "", name);
    if (!view->values) {
        view->values = g_hash_table_new(g_str_hash, g_str_equal);
    }
    strings = strlen(name) + 2 < sizeof key ? g_hash_table_lookup(view->values, key) : NULL;
    if (!strings) {
        strings = collect(view, name, raw);
        if (strlen(name) + 2 < sizeof key) {
            g_hash_table_insert(view->values, mail_arena_strdup(&view->memory, key), strings);
        }
    }
    *out = *strings;
    return out->count ? MAIL_OK : MAIL_ABSENT;
}

enum mail_status mail_view_header(mail_view *view, const char *name, mail_strings *values_out, mail_need *need_out) {
    return header_values(view, name, false, values_out, need_out);
}

enum mail_status mail_view_header_raw(mail_view *view, const char *name, mail_strings *values_out,
                                      mail_need *need_out) {
    return header_values(view, name, true, values_out, need_out);
}

enum mail_status mail_view_has_header(mail_view *view, const char *name, mail_need *need_out) {
    const char *const names[] = {name, NULL};
    size_t at = 0;

    if (!view_covers(view, names, need_out)) {
        return MAIL_NEED;
    }
    return view_field(view, name, &at) ? MAIL_OK : MAIL_ABSENT;
}

enum mail_status mail_view_headers(mail_view *view, const mail_header_field **fields_out, size_t *count_out,
                                   mail_need *need_out) {
    mail_header_field *list;

    *fields_out = NULL;
    *count_out = 0;
    if (!view->header_whole) {
        return view_need(need_out, MAIL_NEED_HEADER);
    }
    if (!view->all_fields) {
        list = mail_arena_alloc(&view->memory, (view->fields->len + 1) * sizeof *list);
        for (guint i = 0; i < view->fields->len; i++) {
            struct field *field = &g_array_index(view->fields, struct field, i);
            list[i].name = mail_arena_strndup(&view->memory, field->name, field->name_len);
            list[i].value = field_decoded(view, field);
        }
        view->all_fields = list;
    }
    *fields_out = view->all_fields;
    *count_out = view->fields->len;
    return view->fields->len ? MAIL_OK : MAIL_ABSENT;
}
