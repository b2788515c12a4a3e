/* Every message of the corpus: asked everything, and its structure compared with another parser's. */
#include "tests/unit/mail/corpus.h"

#include <gmime/gmime.h>

static void check_texts(const char *path, mail_view *view) {
    static enum mail_status (*const queries[])(mail_view *, const mail_text **, mail_need *) = {
        mail_view_text, mail_view_html, mail_view_reply_text};
    const mail_text *text;
    mail_need need;

    for (size_t i = 0; i < G_N_ELEMENTS(queries); i++) {
        if (queries[i](view, &text, &need) == MAIL_OK &&
            (text->len > test_limits.text || strlen(text->text) != text->len ||
             !g_utf8_validate(text->text, (gssize)text->len, NULL) || strchr(text->text, '\r'))) {
            fail_msg("%s: text %zu is not clean", path, i);
        }
    }
}

static void check_headers(const char *path, mail_view *view) {
    const mail_header_field *fields;
    const mail_address *list;
    mail_need need;
    size_t count;

    for (int q = MAIL_FROM; q <= MAIL_RECIPIENT; q++) {
        size_t n = addresses_of(view, (enum mail_query)q, &list);
        for (size_t i = 0; i < n; i++) {
            if (!g_utf8_validate(list[i].name, -1, NULL) || !g_utf8_validate(list[i].address, -1, NULL) ||
                !list[i].local || !list[i].domain || (!*list[i].name && !*list[i].address)) {
                fail_msg("%s: address %zu of field %d", path, i, q);
            }
        }
    }
    mail_view_headers(view, &fields, &count, &need);
    for (size_t i = 0; i < count; i++) {
        if (!g_utf8_validate(fields[i].value, -1, NULL) || strpbrk(fields[i].value, "\r\n")) {
            fail_msg("%s: value of %s", path, fields[i].name);
        }
    }
}

static void check_attachments(const char *path, mail_view *view) {
    const mail_attachment *list;
    size_t n = attachments_of(view, &list);

    for (size_t i = 0; i < n; i++) {
        bool truncated;
        mail_need need;
        GBytes *content;
        assert_int_equal(mail_view_attachment_content(view, i, &content, &truncated, &need), MAIL_OK);
        if (strpbrk(list[i].filename, "/\\\r\n") || !g_utf8_validate(list[i].filename, -1, NULL)) {
            fail_msg("%s: file name %s", path, list[i].filename);
        }
        if (!list[i].size_estimated && !truncated &&
            ABS((gint64)list[i].size - (gint64)g_bytes_get_size(content)) > 2 + (gint64)list[i].size / 50) {
            fail_msg("%s: attachment %zu should have %zu bytes, has %zu", path, i, (size_t)list[i].size,
                     g_bytes_get_size(content));
        }
    }
}

static void check(const char *path, GBytes *bytes) {
    mail_view *view = mail_view_new(&test_limits);

    mail_view_set_raw(view, bytes, false);
    check_headers(path, view);
    check_texts(path, view);
    check_attachments(path, view);
    for (int q = MAIL_IS_AUTO; q <= MAIL_IS_SIGNED; q++) {
        g_free(reasons_of(view, (enum mail_query)q));
    }
    mail_view_free(view);
}

static void every_message_gives_clean_answers(void **state) {
    (void)state;
    corpus_each(check);
}

/* --- another parser ----------------------------------------------------------------------------------------------- */

static void describe(GMimeObject *object, GString *out) {
    GMimeContentType *type = g_mime_object_get_content_type(object);
    char *name = g_mime_content_type_get_mime_type(type), *lower = g_ascii_strdown(name, -1);
    int n = GMIME_IS_MULTIPART(object) ? g_mime_multipart_get_count(GMIME_MULTIPART(object)) : 0;
    GMimeMessage *inner =
        GMIME_IS_MESSAGE_PART(object) ? g_mime_message_part_get_message(GMIME_MESSAGE_PART(object)) : NULL;

    g_string_append(out, lower);
    g_free(lower);
    g_free(name);
    for (int i = 0; i < n; i++) {
        g_string_append_c(out, i ? ',' : '(');
        describe(g_mime_multipart_get_part(GMIME_MULTIPART(object), i), out);
    }
    if (inner && g_mime_message_get_mime_part(inner)) {
        g_string_append_c(out, '(');
        describe(g_mime_message_get_mime_part(inner), out);
        n = 1;
    }
    if (n) {
        g_string_append_c(out, ')');
    }
}

/* Messages broken in ways that may be read one way or the other: empty parts, two content types, a boundary inside its
 * own header, a boundary that starts with another, several messages in one file. */
static const char *const disputed[] = {
    "simple.mbox.txt", "substring.mbox", "msg_14.txt", "msg_37.txt", "msg_38.txt", "000.eml", "007.eml", "013.eml",
    "014.eml",         "017.eml",        "020.eml",    "021.eml",    "multiple_content_types.eml"};

static bool is_disputed(const char *path) {
    char *name = g_path_get_basename(path);
    bool found = false;

    for (size_t i = 0; i < G_N_ELEMENTS(disputed); i++) {
        found = found || strcmp(name, disputed[i]) == 0;
    }
    g_free(name);
    return found;
}

static void compare(const char *path, GBytes *bytes) {
    gsize len;
    const char *data = g_bytes_get_data(bytes, &len);
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer(data, len);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    bool mbox = len > 5 && memcmp(data, "From ", 5) == 0;

    g_mime_parser_set_format(parser, mbox ? GMIME_FORMAT_MBOX : GMIME_FORMAT_MESSAGE);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    if (message && g_mime_message_get_mime_part(message) && !is_disputed(path)) {
        mail_view *view = view_of_bytes(data, len);
        GString *expected = g_string_new(NULL);
        describe(g_mime_message_get_mime_part(message), expected);
        if (strcmp(expected->str, structure_of(view)) != 0) {
            fail_msg("%s: %s, and by GMime %s", path, structure_of(view), expected->str);
        }
        g_string_free(expected, TRUE);
        mail_view_free(view);
    }
    g_clear_object(&message);
    g_object_unref(parser);
    g_object_unref(stream);
}

static void the_structure_is_what_gmime_finds(void **state) {
    (void)state;
    corpus_each(compare);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_gives_clean_answers),
        cmocka_unit_test(the_structure_is_what_gmime_finds),
    };
    mail_runtime *runtime = mail_runtime_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mail_runtime_free(runtime);
    return failed;
}
