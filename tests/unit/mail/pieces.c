/* A message that arrives in pieces, each only when it is needed, gives the answers of the whole message. */
#include "src/mail/view_priv.h"
#include "tests/unit/mail/corpus.h"

/* --- a server that has the message -------------------------------------------------------------------------------- */

static void give_fields(mail_view *server, mail_view *view, const char *const *names) {
    GString *block = g_string_new(NULL);

    for (guint i = 0; i < server->fields->len; i++) {
        const struct field *field = &g_array_index(server->fields, struct field, i);
        for (const char *const *name = names; *name; name++) {
            if (field_is(field, *name)) {
                g_string_append_len(block, field->name, (gssize)field->name_len);
                g_string_append_c(block, ':');
                g_string_append_len(block, field->raw, (gssize)field->raw_len);
                if (!g_str_has_suffix(block->str, "\n")) {
                    g_string_append(block, "\r\n");
                }
                break;
            }
        }
    }
    g_string_append(block, "\r\n");
    mail_view_set_fields(view, block->str, block->len, names);
    g_string_free(block, TRUE);
}

static void give_part(mail_view *server, mail_view *view, const char *section) {
    for (size_t i = 0; i < server->tree.count; i++) {
        const struct part *part = &server->tree.parts[i];
        if (strcmp(part->pub.section, section) == 0) {
            GBytes *body = g_bytes_new(part->body, part->body_len);
            mail_view_set_part(view, section, NULL, 0, body, false);
            g_bytes_unref(body);
            return;
        }
    }
    fail_msg("section %s is needed, which does not exist", section);
}

static void give(mail_view *server, mail_view *view, const mail_need *need) {
    const mail_part *parts;
    mail_need ignored;
    size_t count;

    switch (need->kind) {
    case MAIL_NEED_FIELDS:
        give_fields(server, view, need->names);
        break;
    case MAIL_NEED_HEADER: {
        gsize len;
        const char *bytes = g_bytes_get_data(server->raw, &len);
        mail_view_set_header(view, bytes, bytes ? header_end(bytes, len) : 0);
        break;
    }
    case MAIL_NEED_STRUCTURE:
        mail_view_parts(server, &parts, &count, &ignored);
        mail_view_set_structure(view, parts, count);
        break;
    case MAIL_NEED_PARTS: {
        char **sections = g_strdupv((char **)need->names);
        for (char **section = sections; *section; section++) {
            give_part(server, view, *section);
        }
        g_strfreev(sections);
        break;
    }
    default:
        fail_msg("need %d where pieces suffice", need->kind);
    }
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

/* One query as a line of text, so that two views are easily compared. False: *need_out is needed. */
typedef enum mail_status (*asker)(mail_view *view, int which, GString *out, mail_need *need_out);

static enum mail_status ask_addresses(mail_view *view, int which, GString *out, mail_need *need_out) {
    const mail_address *list;
    size_t count;
    enum mail_status status = mail_view_addresses(view, (enum mail_query)which, &list, &count, need_out);

    for (size_t i = 0; i < count; i++) {
        g_string_append_printf(out, "%s <%s>|%s|%s\n", list[i].name, list[i].address, list[i].local, list[i].domain);
    }
    return status;
}

static enum mail_status ask_value(mail_view *view, int which, GString *out, mail_need *need_out) {
    static enum mail_status (*const queries[])(mail_view *, const char **, mail_need *) = {
        mail_view_subject, mail_view_message_id, mail_view_in_reply_to, mail_view_list_id, mail_view_thread_key,
        mail_view_structure};
    const char *value;
    enum mail_status status = queries[which](view, &value, need_out);

    g_string_append(out, value ? value : "");
    return status;
}

static enum mail_status ask_class(mail_view *view, int which, GString *out, mail_need *need_out) {
    mail_strings reasons;
    enum mail_status status = mail_view_class(view, (enum mail_query)which, &reasons, need_out);

    for (size_t i = 0; i < reasons.count; i++) {
        g_string_append_printf(out, "%s\n", reasons.items[i]);
    }
    return status;
}

static enum mail_status ask_date(mail_view *view, int which, GString *out, mail_need *need_out) {
    mail_date date;
    enum mail_status status = mail_view_date(view, &date, need_out);

    g_string_append_printf(out, "%ld %d", (long)date.epoch, date.offset);
    return status;
}

static enum mail_status ask_text(mail_view *view, int which, GString *out, mail_need *need_out) {
    static enum mail_status (*const queries[])(mail_view *, const mail_text **, mail_need *) = {
        mail_view_text, mail_view_html, mail_view_reply_text};
    const mail_text *text;
    enum mail_status status = queries[which](view, &text, need_out);

    if (status == MAIL_OK) {
        g_string_append_printf(out, "%d %d %zu ", text->truncated, text->from_html, text->len);
        g_string_append_len(out, text->text, (gssize)text->len);
    }
    return status;
}

static enum mail_status ask_attachments(mail_view *view, int which, GString *out, mail_need *need_out) {
    const mail_attachment *list;
    size_t count;
    enum mail_status status = mail_view_attachments(view, &list, &count, need_out);

    for (size_t i = 0; i < count; i++) {
        char sha[MAIL_IDENTITY_SIZE];
        const mail_attachment *a = &list[i];
        if (mail_view_attachment_sha256(view, i, sha, need_out) == MAIL_NEED) {
            return MAIL_NEED;
        }
        g_string_append_printf(out, "%s %s %s %s %s %d %s\n", a->section, a->filename, a->type, a->disposition,
                               a->content_id, a->is_inline, sha);
    }
    return status;
}

static enum mail_status ask_headers(mail_view *view, int which, GString *out, mail_need *need_out) {
    const mail_header_field *fields;
    size_t count;
    enum mail_status status = mail_view_headers(view, &fields, &count, need_out);

    for (size_t i = 0; i < count; i++) {
        g_string_append_printf(out, "%s:%s\n", fields[i].name, fields[i].value);
    }
    return status;
}

static void assert_same(const char *path, mail_view *server, mail_view *view, asker ask, int which) {
    GString *expected = g_string_new(NULL), *got = g_string_new(NULL);
    enum mail_status a, b;
    mail_need need = {0};
    int rounds = 0;

    a = ask(server, which, expected, &need);
    assert_int_not_equal(a, MAIL_NEED);
    while ((b = ask(view, which, got, &need)) == MAIL_NEED) {
        if (++rounds > 8 + 1000) {
            fail_msg("%s: it never has enough", path);
        }
        give(server, view, &need);
        g_string_truncate(got, 0);
    }
    if (a != b || strcmp(expected->str, got->str) != 0) {
        fail_msg("%s, query %d: whole \"%.300s\", in pieces \"%.300s\"", path, which, expected->str, got->str);
    }
    g_string_free(expected, TRUE);
    g_string_free(got, TRUE);
}

static void compare(const char *path, GBytes *bytes) {
    mail_view *server = mail_view_new(&test_limits), *view = mail_view_new(&test_limits);

    mail_view_set_raw(server, bytes, false);
    for (int which = MAIL_FROM; which <= MAIL_RECIPIENT; which++) {
        assert_same(path, server, view, ask_addresses, which);
    }
    for (int which = 0; which < 6; which++) {
        assert_same(path, server, view, ask_value, which);
    }
    for (int which = MAIL_IS_AUTO; which <= MAIL_IS_SIGNED; which++) {
        assert_same(path, server, view, ask_class, which);
    }
    for (int which = 0; which < 3; which++) {
        assert_same(path, server, view, ask_text, which);
    }
    assert_same(path, server, view, ask_date, 0);
    assert_same(path, server, view, ask_attachments, 0);
    assert_same(path, server, view, ask_headers, 0);
    assert_false(mail_view_has_raw(view));
    mail_view_free(view);
    mail_view_free(server);
}

static void every_message_of_the_corpus_is_the_same_in_pieces(void **state) {
    (void)state;
    corpus_each(compare);
}

/* --- by hand ------------------------------------------------------------------------------------------------------ */

static const mail_param utf8[] = {{"CHARSET", "utf-8"}, {"name", "x"}};
static const mail_param file[] = {{"FileName*0*", "utf-8''%C3%BC"}, {"filename*1", ".pdf"}};
static const mail_part mixed[] = {
    {.section = "", .depth = 0, .type = "MULTIPART", .subtype = "MIXED"},
    {.section = "1", .depth = 1, .type = "TEXT", .subtype = "PLAIN", .params = utf8, .param_count = 1,
     .encoding = "BASE64", .size = 8},
    {.section = "2", .depth = 1, .type = "APPLICATION", .subtype = "PDF", .encoding = "BASE64", .size = 78000,
     .disposition = "ATTACHMENT", .disposition_params = file, .disposition_param_count = 2},
};

static void attachments_are_known_from_the_structure_alone(void **state) {
    mail_view *view = mail_view_new(&test_limits);
    const mail_attachment *list;
    mail_need need;
    size_t count;

    (void)state;
    assert_int_equal(mail_view_attachments(view, &list, &count, &need), MAIL_NEED);
    assert_int_equal(need.kind, MAIL_NEED_STRUCTURE);
    mail_view_set_structure(view, mixed, G_N_ELEMENTS(mixed));
    assert_int_equal(mail_view_attachments(view, &list, &count, &need), MAIL_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].filename, "ü.pdf");
    assert_string_equal(list[0].type, "application/pdf");
    assert_int_equal(list[0].size, 57000);
    assert_true(list[0].size_estimated);
    mail_view_free(view);
}

static void text_needs_only_its_part_and_only_so_much_of_it(void **state) {
    mail_view *view = mail_view_new(&test_limits);
    GBytes *body = g_bytes_new_static("w6nDqQ==", 8);
    const mail_text *text;
    mail_need need;

    (void)state;
    mail_view_set_structure(view, mixed, G_N_ELEMENTS(mixed));
    assert_int_equal(mail_view_text(view, &text, &need), MAIL_NEED);
    assert_int_equal(need.kind, MAIL_NEED_PARTS);
    assert_string_equal(need.names[0], "1");
    assert_null(need.names[1]);
    assert_in_range(need.limit, test_limits.text * 4 / 3, test_limits.text * 2);
    mail_view_set_part(view, "1", NULL, 0, body, true);
    assert_int_equal(mail_view_text(view, &text, &need), MAIL_OK);
    assert_string_equal(text->text, "éé");
    assert_true(text->truncated);
    g_bytes_unref(body);
    mail_view_free(view);
}

static void a_truncated_part_may_be_set_again_whole(void **state) {
    mail_view *view = mail_view_new(&test_limits);
    GBytes *half = g_bytes_new_static("aGVs", 4), *whole = g_bytes_new_static("aGVsbG8=", 8), *content;
    const mail_attachment *before, *after;
    char sha[MAIL_IDENTITY_SIZE];
    mail_need need;
    size_t count;
    bool truncated;

    (void)state;
    mail_view_set_structure(view, mixed, G_N_ELEMENTS(mixed));
    assert_int_equal(mail_view_attachments(view, &before, &count, &need), MAIL_OK);
    mail_view_set_part(view, "2", NULL, 0, half, true);
    assert_int_equal(mail_view_attachment_content(view, 0, &content, &truncated, &need), MAIL_OK);
    assert_true(truncated);
    assert_int_equal(mail_view_attachment_sha256(view, 0, sha, &need), MAIL_ABSENT);
    mail_view_set_part(view, "2", NULL, 0, whole, false);
    assert_int_equal(mail_view_attachment_content(view, 0, &content, &truncated, &need), MAIL_OK);
    assert_false(truncated);
    assert_int_equal(g_bytes_get_size(content), 5);
    assert_int_equal(mail_view_attachments(view, &after, &count, &need), MAIL_OK);
    assert_ptr_equal(before, after);
    g_bytes_unref(half);
    g_bytes_unref(whole);
    mail_view_free(view);
}

static void an_enclosed_multipart_may_bear_the_section_of_its_message(void **state) {
    static const mail_part parts[] = {
        {.section = "", .depth = 0, .type = "multipart", .subtype = "mixed"},
        {.section = "1", .depth = 1, .type = "message", .subtype = "rfc822"},
        {.section = "1", .depth = 2, .type = "multipart", .subtype = "mixed"},
        {.section = "1.1", .depth = 3, .type = "text", .subtype = "plain"},
    };
    mail_view *view = mail_view_new(&test_limits);
    GBytes *body = g_bytes_new_static("Subject: x\r\n\r\n", 14), *content;
    const mail_text *text;
    mail_need need;

    (void)state;
    mail_view_set_structure(view, parts, G_N_ELEMENTS(parts));
    assert_int_equal(mail_view_text(view, &text, &need), MAIL_ABSENT);
    mail_view_set_part(view, "1", NULL, 0, body, false);
    assert_int_equal(mail_view_attachment_content(view, 0, &content, NULL, &need), MAIL_OK);
    assert_int_equal(g_bytes_get_size(content), 14);
    g_bytes_unref(body);
    mail_view_free(view);
}

static void a_part_the_server_does_not_have_reads_as_empty(void **state) {
    mail_view *view = mail_view_new(&test_limits);
    const mail_text *text;
    mail_need need;

    (void)state;
    mail_view_set_structure(view, mixed, G_N_ELEMENTS(mixed));
    mail_view_set_part(view, "1", NULL, 0, NULL, false);
    mail_view_set_part(view, "no such", NULL, 0, NULL, false);
    assert_int_equal(mail_view_text(view, &text, &need), MAIL_OK);
    assert_string_equal(text->text, "");
    mail_view_free(view);
}

static void a_mime_header_corrects_the_structure(void **state) {
    static const char header[] = "Content-Type: text/plain; charset=koi8-r\r\n\r\n";
    mail_view *view = mail_view_new(&test_limits);
    GBytes *body = g_bytes_new_static("\xf0", 1);
    const mail_text *text;
    mail_need need;

    (void)state;
    mail_view_set_structure(view, mixed, G_N_ELEMENTS(mixed));
    mail_view_set_part(view, "1", header, sizeof header - 1, body, false);
    assert_int_equal(mail_view_text(view, &text, &need), MAIL_OK);
    assert_string_equal(text->text, "П");
    g_bytes_unref(body);
    mail_view_free(view);
}

static void a_structure_beyond_the_limits_is_cut(void **state) {
    enum { COUNT = LIMIT_MIME_PARTS + 100 };
    mail_part *parts = g_new0(mail_part, COUNT);
    mail_view *view = mail_view_new(&test_limits);
    const mail_part *list;
    mail_need need;
    size_t count;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        parts[i] = (mail_part){.section = "1", .depth = (unsigned)(i * 7 % 100), .type = NULL};
    }
    mail_view_set_structure(view, parts, COUNT);
    assert_int_equal(mail_view_parts(view, &list, &count, &need), MAIL_OK);
    assert_in_range(count, 1, LIMIT_MIME_PARTS);
    for (size_t i = 1; i < count; i++) {
        assert_in_range(list[i].depth, 1, MIN(list[i - 1].depth + 1, LIMIT_MIME_DEPTH));
    }
    assert_int_equal(mail_view_problems(view), MAIL_TOO_COMPLEX);
    mail_view_free(view);
    g_free(parts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_of_the_corpus_is_the_same_in_pieces),
        cmocka_unit_test(attachments_are_known_from_the_structure_alone),
        cmocka_unit_test(text_needs_only_its_part_and_only_so_much_of_it),
        cmocka_unit_test(a_truncated_part_may_be_set_again_whole),
        cmocka_unit_test(an_enclosed_multipart_may_bear_the_section_of_its_message),
        cmocka_unit_test(a_part_the_server_does_not_have_reads_as_empty),
        cmocka_unit_test(a_mime_header_corrects_the_structure),
        cmocka_unit_test(a_structure_beyond_the_limits_is_cut),
    };
    mail_runtime *runtime = mail_runtime_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mail_runtime_free(runtime);
    return failed;
}
