/*
 * Messages made to break parsers. Each is asked everything; the answers are checked for what must still be there. The
 * whole program may use 60 s of CPU (with sanitizers), and a view 64 MiB beside its message: anything worse than linear
 * does not fit.
 */
#include "src/mail/html_priv.h"
#include "src/mail/reply_priv.h"
#include "tests/unit/mail/mail_test.h"

#include <malloc.h>
#include <sys/resource.h>

static GString *repeat(GString *message, const char *what, size_t times) {
    for (size_t i = 0; i < times; i++) {
        g_string_append(message, what);
    }
    return message;
}

static void ask_everything(mail_view *view) {
    const mail_header_field *fields;
    const mail_attachment *files;
    const mail_address *list;
    const mail_text *text;
    const char *value;
    mail_strings strings;
    mail_date date;
    mail_need need;
    size_t count;
    char hex[MAIL_IDENTITY_SIZE];

    for (int q = MAIL_FROM; q <= MAIL_RECIPIENT; q++) {
        assert_int_not_equal(mail_view_addresses(view, (enum mail_query)q, &list, &count, &need), MAIL_NEED);
    }
    for (int q = MAIL_IS_AUTO; q <= MAIL_IS_SIGNED; q++) {
        assert_int_not_equal(mail_view_class(view, (enum mail_query)q, &strings, &need), MAIL_NEED);
    }
    assert_int_not_equal(mail_view_subject(view, &value, &need), MAIL_NEED);
    assert_int_not_equal(mail_view_date(view, &date, &need), MAIL_NEED);
    assert_int_not_equal(mail_view_references(view, &strings, &need), MAIL_NEED);
    assert_int_not_equal(mail_view_thread_key(view, &value, &need), MAIL_NEED);
    assert_int_not_equal(mail_view_list_id(view, &value, &need), MAIL_NEED);
    assert_int_not_equal(mail_view_headers(view, &fields, &count, &need), MAIL_NEED);
    assert_int_equal(mail_view_identity(view, hex, &need), MAIL_OK);
    assert_int_equal(mail_view_structure(view, &value, &need), MAIL_OK);
    assert_int_not_equal(mail_view_text(view, &text, &need), MAIL_NEED);
    assert_true(!text || g_utf8_validate(text->text, (gssize)text->len, NULL));
    assert_true(!text || text->len <= test_limits.text);
    assert_int_not_equal(mail_view_html(view, &text, &need), MAIL_NEED);
    assert_int_not_equal(mail_view_reply_text(view, &text, &need), MAIL_NEED);
    assert_int_not_equal(mail_view_attachments(view, &files, &count, &need), MAIL_NEED);
    if (count) {
        assert_int_not_equal(mail_view_attachment_sha256(view, 0, hex, &need), MAIL_NEED);
    }
}

/* Takes the message; to be freed with mail_view_free(). problems: what must be noticed, and nothing else. */
static mail_view *survive(GString *message, unsigned problems) {
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    GBytes *raw = g_string_free_to_bytes(message);
    mail_view *view = mail_view_new(&test_limits);

    mail_view_set_raw(view, raw, false);
    g_bytes_unref(raw);
    ask_everything(view);
    size_t used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    assert_true(used < 64u << 20 || used > (size_t)1 << 60); /* it may also have shrunk */
    assert_int_equal(mail_view_problems(view), problems);
    return view;
}

static void fault_59_nested_groups_cost_no_stack(void **state) {
    GString *message = repeat(g_string_new("Subject: s\nTo: "), "g:", 100000);
    const mail_address *list;

    (void)state;
    mail_view *view = survive(g_string_append(message, "a@b\n\nbody"), 0);
    assert_string_equal(subject_of(view), "s");
    assert_int_equal(addresses_of(view, MAIL_TO, &list), 1);
    assert_string_equal(list[0].address, "a@b");
    mail_view_free(view);
}

static void fault_59_address_lists_are_linear_and_cut(void **state) {
    static const struct {
        const char *piece;
        unsigned problems;
    } pieces[] = {{"a,", MAIL_HEADER_CUT}, {"\" ,", MAIL_HEADER_CUT}, {"x@(,", 0}, {"<a", 0}, {"((", 0}, {"\"\\\",", 0},
                  {"[:", 0}, {"a@", 0}, {"a@\xc3\xbc,", MAIL_HEADER_CUT}, {"=?utf-8?q?a?= <a@b>,", MAIL_HEADER_CUT}};
    const mail_address *list;

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        size_t times = 200000 / strlen(pieces[i].piece);
        GString *message = repeat(g_string_new("Subject: s\nTo: "), pieces[i].piece, times);
        mail_view *view = survive(g_string_append(message, "\n\nbody"), pieces[i].problems);
        assert_in_range(addresses_of(view, MAIL_TO, &list), 0, LIMIT_MIME_ADDRESSES);
        assert_string_equal(text_of(view)->text, "body");
        mail_view_free(view);
    }
}

static void fault_59_200000_empty_parts_are_cut(void **state) {
    GString *message = g_string_new("Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n");
    const mail_part *parts;
    mail_need need;
    size_t count;

    (void)state;
    mail_view *view = survive(repeat(message, "--b\n\n", 200000), MAIL_TOO_COMPLEX);
    assert_int_equal(mail_view_parts(view, &parts, &count, &need), MAIL_OK);
    assert_int_equal(count, LIMIT_MIME_PARTS);
    assert_string_equal(subject_of(view), "s");
    mail_view_free(view);
}

static void fault_59_1000_nested_boundaries_with_200000_dash_lines_are_cut(void **state) {
    GString *message = g_string_new("Subject: s\nContent-Type: multipart/mixed; boundary=b0\n\n");
    const mail_part *parts;
    mail_need need;
    size_t count;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        g_string_append_printf(message, "--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n", i, i + 1);
    }
    mail_view *view = survive(repeat(message, "--x\n", 200000), MAIL_TOO_COMPLEX);
    assert_int_equal(mail_view_parts(view, &parts, &count, &need), MAIL_OK);
    assert_in_range(count, LIMIT_MIME_DEPTH, LIMIT_MIME_PARTS);
    assert_int_equal(parts[count - 1].depth, LIMIT_MIME_DEPTH);
    mail_view_free(view);
}

static void fault_59_messages_in_messages_are_cut(void **state) {
    (void)state;
    mail_view_free(survive(repeat(g_string_new(NULL), "Content-Type: message/rfc822\n\n", 5000), MAIL_TOO_COMPLEX));
}

static void fault_59_parts_without_an_end_to_their_header_are_read_once(void **state) {
    GString *message = g_string_new("Content-Type: multipart/mixed; boundary=b\n\n");

    (void)state;
    repeat(message, "--b\nA: b\n", 990);
    mail_view_free(survive(repeat(message, "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n", 200000), 0));
}

static void fault_59_a_body_of_64_mb_is_cut_at_the_text_limit(void **state) {
    GString *message = g_string_new("Subject: s\n\n");

    (void)state;
    g_string_set_size(message, 64u << 20);
    memset(message->str + 12, 'a', message->len - 12);
    mail_view *view = survive(message, MAIL_TEXT_CUT);
    assert_int_equal(text_of(view)->len, test_limits.text);
    assert_true(text_of(view)->truncated);
    mail_view_free(view);
}

static void fault_59_without_a_header_the_body_is_still_text(void **state) {
    (void)state;
    mail_view *view = survive(g_string_new("no header at all\nand more\n"), MAIL_UNPARSABLE);
    assert_string_equal(text_of(view)->text, "no header at all\nand more\n");
    mail_view_free(view);
    view = survive(g_string_new(""), MAIL_UNPARSABLE);
    assert_string_equal(text_of(view)->text, "");
    mail_view_free(view);
    view = survive(g_string_new("\n\nbody"), MAIL_UNPARSABLE);
    assert_string_equal(text_of(view)->text, "\n\nbody");
    mail_view_free(view);
}

static void fault_59_a_header_alone_is_a_message(void **state) {
    (void)state;
    mail_view *view = survive(g_string_new("Subject: s"), 0);
    assert_string_equal(subject_of(view), "s");
    assert_string_equal(text_of(view)->text, "");
    mail_view_free(view);
}

static void fault_59_nuls_are_shown_as_replacement_characters(void **state) {
    (void)state;
    mail_view *view = survive(g_string_new_len("Subj\0ect: x\nSubject: a\0b\n\nc\0d", 29), MAIL_UNPARSABLE);
    assert_string_equal(subject_of(view), "ab");
    assert_string_equal(text_of(view)->text, "c\xef\xbf\xbd" "d");
    mail_view_free(view);
    GString *nuls = g_string_set_size(g_string_new(NULL), 1 << 20);
    memset(nuls->str, 0, nuls->len);
    view = survive(nuls, MAIL_UNPARSABLE | MAIL_HEADER_CUT | MAIL_TEXT_CUT);
    mail_view_free(view);
}

static void fault_59_20000_parameter_pieces_are_cut(void **state) {
    GString *message = g_string_new("Subject: s\nContent-Type: a/b;");
    const mail_attachment *list;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        g_string_append_printf(message, "%s name*%d=ab;", i % 50 ? "" : "\n", i);
    }
    mail_view *view = survive(g_string_append(message, "\n\nx"), MAIL_HEADER_CUT);
    assert_int_equal(attachments_of(view, &list), 1);
    assert_int_equal(strlen(list[0].filename), 255);
    mail_view_free(view);
}

static void fault_59_every_part_may_have_thousands_of_parameters(void **state) {
    GString *message = g_string_new("Content-Type: multipart/mixed; boundary=b\n\n"), *part = g_string_new(NULL);
    const mail_attachment *list;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        g_string_append_printf(part, " name*%d=a;", i);
    }
    for (int i = 0; i < 300; i++) {
        g_string_append_printf(message, "--b\nContent-Type: a/b;%s\n\nx\n", part->str);
    }
    g_string_free(part, TRUE);
    mail_view *view = survive(message, 0);
    assert_int_equal(attachments_of(view, &list), 300);
    mail_view_free(view);
}

static void fault_59_long_and_many_header_fields_are_cut(void **state) {
    GString *message = repeat(g_string_new("From: a@b\nSubject: "), "aaaaaaaa", 131072);
    const mail_address *list;

    (void)state;
    mail_view *view = survive(g_string_append(message, "\n\nbody"), MAIL_HEADER_CUT);
    assert_int_equal(addresses_of(view, MAIL_FROM, &list), 1);
    assert_string_equal(text_of(view)->text, "body");
    mail_view_free(view);
    message = repeat(g_string_new("From: a@b\n"), "Received: x\n", 20000);
    view = survive(g_string_append(message, "\nbody"), MAIL_HEADER_CUT);
    assert_string_equal(text_of(view)->text, "body");
    mail_view_free(view);
}

static void fault_59_encoded_words_without_end_are_linear(void **state) {
    static const char *const pieces[] = {
        "=?utf-8?q?a?= ", "=?iso-2022-jp?b?GyRCJCIbKEI=?= ", "=?", "=?a?b?", "=?x?q?\xe9?=", "\xe9 ", "=?utf-8?b?",
        "=?utf-8?q?=?"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        GString *message = repeat(g_string_new("Subject: =? "), pieces[i], 200000 / strlen(pieces[i]));
        mail_view *view = survive(g_string_append(message, "\n\nbody"), 0);
        assert_true(g_utf8_validate(subject_of(view), -1, NULL));
        mail_view_free(view);
    }
}

static void fault_59_html_is_linear(void **state) {
    static const char *const pieces[] = {
        "<a ", "<", "&", "<a href=\"", "<!--", "<script>", "<blockquote>x<br>", "</", "<a href=http://x>y", "&#",
        "&amp", "<p>&nbsp;", "<li>", "<!", "<a \">\"", "<?", "<img alt='", "<pre>\n", "<td>"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        GString *message =
            repeat(g_string_new("Content-Type: text/html\n\n"), pieces[i], (1 << 18) / strlen(pieces[i]));
        GBytes *raw = g_string_free_to_bytes(message);
        mail_view *view = mail_view_new(&test_limits);
        mail_view_set_raw(view, raw, false);
        g_bytes_unref(raw);
        ask_everything(view);
        mail_view_free(view);
    }
}

static void fault_59_finding_the_reply_is_linear(void **state) {
    static const char *const pieces[] = {
        "On 2\n", "From: x\n\n\n", "Sent from my a\n\n", "2 @\n\n\n\n\n", "2 @:\n", "> \n", "a\n", "\n", "--\n \n",
        "From:\nTo:\n"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        GString *message = repeat(g_string_new("A: b\n\nx\n"), pieces[i], 300000 / strlen(pieces[i]));
        mail_view_free(survive(repeat(message, "\n", 30000), 0));
    }
}

static void a_truncated_message_gives_what_is_there(void **state) {
    mail_view *view = mail_view_new(&test_limits);
    GBytes *raw = g_bytes_new_static("Subject: s\n\nhalf a bo", 21);

    (void)state;
    mail_view_set_raw(view, raw, true);
    g_bytes_unref(raw);
    assert_string_equal(text_of(view)->text, "half a bo");
    assert_true(text_of(view)->truncated);
    assert_int_equal(mail_view_problems(view), MAIL_RAW_TRUNCATED | MAIL_TEXT_CUT);
    mail_view_free(view);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_59_nested_groups_cost_no_stack),
        cmocka_unit_test(fault_59_address_lists_are_linear_and_cut),
        cmocka_unit_test(fault_59_200000_empty_parts_are_cut),
        cmocka_unit_test(fault_59_1000_nested_boundaries_with_200000_dash_lines_are_cut),
        cmocka_unit_test(fault_59_messages_in_messages_are_cut),
        cmocka_unit_test(fault_59_parts_without_an_end_to_their_header_are_read_once),
        cmocka_unit_test(fault_59_a_body_of_64_mb_is_cut_at_the_text_limit),
        cmocka_unit_test(fault_59_without_a_header_the_body_is_still_text),
        cmocka_unit_test(fault_59_a_header_alone_is_a_message),
        cmocka_unit_test(fault_59_nuls_are_shown_as_replacement_characters),
        cmocka_unit_test(fault_59_20000_parameter_pieces_are_cut),
        cmocka_unit_test(fault_59_every_part_may_have_thousands_of_parameters),
        cmocka_unit_test(fault_59_long_and_many_header_fields_are_cut),
        cmocka_unit_test(fault_59_encoded_words_without_end_are_linear),
        cmocka_unit_test(fault_59_html_is_linear),
        cmocka_unit_test(fault_59_finding_the_reply_is_linear),
        cmocka_unit_test(a_truncated_message_gives_what_is_there),
    };
    const struct rlimit cpu = {60, 60};
    setrlimit(RLIMIT_CPU, &cpu);
    mail_runtime *runtime = mail_runtime_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mail_runtime_free(runtime);
    return failed;
}
