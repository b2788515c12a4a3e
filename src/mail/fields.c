/* Queries that header fields answer: addresses, ids, subject, date, identity. */
#include "view_priv.h"

#include <gmime/gmime.h>
#include <string.h>

static const char *first_name(enum mail_query query) {
    return mail_query_fields(query)[0];
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

/* "rfc822;user@host" (RFC 3461) in Original-Recipient */
static const char *without_type(const struct field *field, const char *value) {
    const char *semicolon = field_is(field, "Original-Recipient") ? strchr(value, ';') : NULL;

    return semicolon ? semicolon + 1 : value;
}

static void keep_distinct(GArray *list) {
    GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    guint n = 0;

    for (guint i = 0; i < list->len; i++) {
        mail_address *address = &g_array_index(list, mail_address, i);
        char *key = g_ascii_strdown(*address->address ? address->address : address->name, -1);
        if (g_hash_table_add(seen, key)) {
            g_array_index(list, mail_address, n++) = *address;
        }
    }
    g_array_set_size(list, n);
    g_hash_table_destroy(seen);
}

static void read_addresses(mail_view *view, enum mail_query which, struct address_cache *cache) {
    GArray *list = g_array_new(FALSE, FALSE, sizeof(mail_address));
    mail_address *kept;

    for (const char *const *name = mail_query_fields(which); *name; name++) {
        struct field *field;
        size_t at = 0;
        while ((field = view_field(view, *name, &at))) {
            if (!addresses_parse(&view->memory, without_type(field, field_unfolded(view, field)), list)) {
                view->problems |= MAIL_HEADER_CUT;
            }
        }
    }
    if (which == MAIL_RECIPIENT) {
        keep_distinct(list);
    }
    kept = mail_arena_alloc(&view->memory, (list->len + 1) * sizeof *kept);
    if (list->len) {
        memcpy(kept, list->data, list->len * sizeof *kept);
    }
    cache->list = kept;
    cache->count = list->len;
    g_array_free(list, TRUE);
}

enum mail_status mail_view_addresses(mail_view *view, enum mail_query which, const mail_address **list_out,
                                     size_t *count_out, mail_need *need_out) {
    struct address_cache *cache;

    *list_out = NULL;
    *count_out = 0;
    if (which > MAIL_RECIPIENT) {
        return MAIL_ABSENT;
    }
    if (!view_covers(view, mail_query_fields(which), need_out)) {
        return MAIL_NEED;
    }
    cache = &view->addresses[which];
    if (!cache->list) {
        read_addresses(view, which, cache);
    }
    *list_out = cache->count ? cache->list : NULL;
    *count_out = cache->count;
    return cache->count ? MAIL_OK : MAIL_ABSENT;
}

/* --- subject and date --------------------------------------------------------------------------------------------- */

enum mail_status mail_view_subject(mail_view *view, const char **value_out, mail_need *need_out) {
    *value_out = NULL;
    if (!view_covers(view, mail_query_fields(MAIL_SUBJECT), need_out)) {
        return MAIL_NEED;
    }
    *value_out = view_field_decoded(view, first_name(MAIL_SUBJECT));
    return *value_out ? MAIL_OK : MAIL_ABSENT;
}

enum mail_status mail_view_date(mail_view *view, mail_date *date_out, mail_need *need_out) {
    const char *value;
    GDateTime *date;

    *date_out = (mail_date){0};
    if (!view_covers(view, mail_query_fields(MAIL_DATE), need_out)) {
        return MAIL_NEED;
    }
    value = view_field_unfolded(view, first_name(MAIL_DATE));
    date = value && strlen(value) < 256 ? g_mime_utils_header_decode_date(value) : NULL;
    if (!date) {
        return MAIL_ABSENT;
    }
    date_out->epoch = g_date_time_to_unix(date);
    date_out->offset = (int32_t)(g_date_time_get_utc_offset(date) / G_TIME_SPAN_SECOND);
    g_date_time_unref(date);
    return MAIL_OK;
}

/* --- message ids -------------------------------------------------------------------------------------------------- */

#define IDS_MAX 1000 /* of one field */

static const char *keep_id(mail_view *view, const char *start, const char *end) {
    char *id = mail_arena_open(&view->memory, (size_t)(end - start) + 1);
    size_t n = 0;

    for (const char *p = start; p < end; p++) {
        if (*p > 32 && *p < 127) {
            id[n++] = *p;
        }
    }
    id[n] = '\0';
    mail_arena_close(&view->memory, n + 1);
    return n ? id : NULL;
}

/* What stands in angle brackets, each; a value without brackets is one id by its first word. */
static size_t read_ids(mail_view *view, const char *value, const char **ids, size_t max) {
    const char *open = strchr(value, '<'), *close;
    size_t n = 0;

    if (!open) {
        value += strspn(value, " \t");
        ids[0] = max ? keep_id(view, value, value + strcspn(value, " \t>")) : NULL;
        return ids[0] ? 1 : 0;
    }
    for (; open && n < max; open = strchr(close, '<')) {
        open++;
        close = open + strcspn(open, "<>");
        const char *id = keep_id(view, open, close);
        if (id) {
            ids[n++] = id;
        }
    }
    return n;
}

static enum mail_status first_id(mail_view *view, enum mail_query query, const char **value_out, mail_need *need_out) {
    const char *value;

    *value_out = NULL;
    if (!view_covers(view, mail_query_fields(query), need_out)) {
        return MAIL_NEED;
    }
    value = view_field_unfolded(view, first_name(query));
    return value && read_ids(view, value, value_out, 1) ? MAIL_OK : MAIL_ABSENT;
}

enum mail_status mail_view_message_id(mail_view *view, const char **value_out, mail_need *need_out) {
    return first_id(view, MAIL_MESSAGE_ID, value_out, need_out);
}

enum mail_status mail_view_in_reply_to(mail_view *view, const char **value_out, mail_need *need_out) {
    return first_id(view, MAIL_IN_REPLY_TO, value_out, need_out);
}

enum mail_status mail_view_references(mail_view *view, mail_strings *values_out, mail_need *need_out) {
    const char *ids[IDS_MAX], *value;
    const char **items;
    size_t n;

    *values_out = (mail_strings){0};
    if (!view_covers(view, mail_query_fields(MAIL_REFERENCES), need_out)) {
        return MAIL_NEED;
    }
    value = view_field_unfolded(view, first_name(MAIL_REFERENCES));
    n = value ? read_ids(view, value, ids, IDS_MAX) : 0;
    items = mail_arena_alloc(&view->memory, (n + 1) * sizeof *items);
    memcpy(items, ids, n * sizeof *items);
    *values_out = (mail_strings){items, n};
    return n ? MAIL_OK : MAIL_ABSENT;
}

enum mail_status mail_view_thread_key(mail_view *view, const char **value_out, mail_need *need_out) {
    const char *value;

    *value_out = NULL;
    if (!view_covers(view, mail_query_fields(MAIL_THREAD_KEY), need_out)) {
        return MAIL_NEED;
    }
    for (const char *const *name = mail_query_fields(MAIL_THREAD_KEY); *name; name++) {
        value = view_field_unfolded(view, *name);
        if (value && read_ids(view, value, value_out, 1)) {
            return MAIL_OK;
        }
    }
    return MAIL_ABSENT;
}

enum mail_status mail_view_list_id(mail_view *view, const char **value_out, mail_need *need_out) {
    const char *value, *open, *close;
    char *lower;

    *value_out = NULL;
    if (!view_covers(view, mail_query_fields(MAIL_LIST_ID), need_out)) {
        return MAIL_NEED;
    }
    value = view_field_decoded(view, first_name(MAIL_LIST_ID));
    if (!value || !*value) {
        return MAIL_ABSENT;
    }
    open = strrchr(value, '<');
    close = open ? strchr(open, '>') : NULL;
    lower = close ? g_utf8_strdown(open + 1, close - open - 1) : g_utf8_strdown(value, -1);
    *value_out = mail_arena_strdup(&view->memory, g_strstrip(lower));
    g_free(lower);
    return **value_out ? MAIL_OK : MAIL_ABSENT;
}

/* --- identity ----------------------------------------------------------------------------------------------------- */

/* name, colon, the value with each run of white space as one space, LF */
static void add_value(GChecksum *sum, const char *name, const char *value) {
    GString *line = g_string_new(name);
    bool space = false;

    g_string_append_c(line, ':');
    for (; *value; value++) {
        if (*value == ' ' || *value == '\t') {
            space = true;
            continue;
        }
        if (space) {
            g_string_append_c(line, ' ');
            space = false;
        }
        g_string_append_c(line, *value);
    }
    g_string_append_c(line, '\n');
    g_checksum_update(sum, (const guchar *)line->str, (gssize)line->len);
    g_string_free(line, TRUE);
}

static uint64_t known_size(const mail_view *view) {
    if (view->meta.size || !view->raw || view->raw_truncated) {
        return view->meta.size;
    }
    return g_bytes_get_size(view->raw);
}

enum mail_status mail_view_identity(mail_view *view, char hex_out[MAIL_IDENTITY_SIZE], mail_need *need_out) {
    GChecksum *sum;
    char size[24];

    *hex_out = '\0';
    if (!view_covers(view, mail_query_fields(MAIL_IDENTITY), need_out)) {
        return MAIL_NEED;
    }
    sum = g_checksum_new(G_CHECKSUM_SHA256);
    for (const char *const *name = mail_query_fields(MAIL_IDENTITY); *name; name++) {
        struct field *field;
        size_t at = 0;
        while ((field = view_field(view, *name, &at))) {
            add_value(sum, *name, field_unfolded(view, field));
        }
    }
    g_snprintf(size, sizeof size, "%" G_GUINT64_FORMAT, known_size(view));
    add_value(sum, "size", size);
    g_strlcpy(hex_out, g_checksum_get_string(sum), MAIL_IDENTITY_SIZE);
    g_checksum_free(sum);
    return MAIL_OK;
}
