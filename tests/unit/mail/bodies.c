#include "tests/unit/mail/mail_test.h"

static void assert_text(const char *message, const char *expected) {
    mail_view *view = view_of(message);
    const mail_text *text = text_of(view);

    assert_non_null(text);
    assert_string_equal(text->text, expected);
    assert_int_equal(text->len, strlen(expected));
    mail_view_free(view);
}

static void transfer_encodings_and_charsets_are_decoded(void **state) {
    (void)state;
    assert_text("Content-Type: text/plain; charset=iso-8859-2\nContent-Transfer-Encoding: quoted-printable\n\n"
                "=A3=F3d=BC so=\nft\n", "Łódź soft\n");
    assert_text("Content-Type: text/plain; charset=\"iso-2022-jp\"\nContent-Transfer-Encoding: BASE64\n\n"
                "GyRCJDMkcyRLJEEkTxsoQg==\n", "こんにちは");
    assert_text("Content-Type: text/plain; charset=KOI8-R\n\n\xf0\xd2\xc9\xd7\xc5\xd4", "Привет");
    assert_text("Content-Type: text/plain; charset=windows-1255\n\n\xe0", "א"); /* a letter that iconv holds back */
    /* The last one is in GB18030 only. */
    assert_text("Content-Type: text/plain; charset=gb2312\n\n\xc4\xe3\xba\xc3\x81\x30\x81\x30", "你好\xc2\x80");
}

static void line_ends_become_lf(void **state) {
    (void)state;
    assert_text("A: b\r\n\r\none\r\ntwo\rthree\n", "one\ntwo\nthree\n");
}

static void a_wrong_or_unknown_charset_still_gives_text(void **state) {
    (void)state;
    assert_text("Content-Type: text/plain; charset=utf-8\n\ncaf\xe9", "café");
    assert_text("Content-Type: text/plain; charset=utf-8\n\n\xc3\xa9\xff", "é\xef\xbf\xbd");
    assert_text("Content-Type: text/plain; charset=iso-2022-jp\n\n\xc3\xa9", "é");
    assert_text("Content-Type: text/plain; charset=klingon\n\ncaf\xe9", "café");
    assert_text("Content-Type: text/plain; charset=utf-8//TRANSLIT\n\n\xc3\xa9", "é");
    assert_text("A: b\n\n\xef\xbb\xbfx", "x"); /* byte order mark */
}

static void flowed_text_is_joined(void **state) {
    (void)state;
    assert_text(
        "Content-Type: text/plain; format=flowed\n\nHello \nworld.\n  stuffed\n> quoted \n> on\n>> deeper \nout\n"
        "-- \nsig\n",
        "Hello world.\n stuffed\n> quoted on\n>> deeper \nout\n-- \nsig\n");
    assert_text("Content-Type: text/plain; format=flowed; delsp=yes\n\nha \nllo\n", "hallo\n");
}

#define ALTERNATIVE                                                                                                    \
    "Content-Type: multipart/alternative; boundary=\"b\"\n\npreamble\n--b\n\nplain\n--b\nContent-Type: text/html\n\n"  \
    "<p>rich</p>\n--b--\nepilogue\n"

static void of_an_alternative_the_plain_part_is_the_text_and_the_html_part_the_html(void **state) {
    mail_view *view = view_of(ALTERNATIVE);
    const mail_text *html;
    mail_need need;

    (void)state;
    assert_string_equal(text_of(view)->text, "plain");
    assert_false(text_of(view)->from_html);
    assert_int_equal(mail_view_html(view, &html, &need), MAIL_OK);
    assert_string_equal(html->text, "<p>rich</p>");
    mail_view_free(view);
}

static void an_empty_plain_part_gives_way_to_the_html_part(void **state) {
    (void)state;
    assert_text("Content-Type: multipart/alternative; boundary=b\n\n--b\n\n \n--b\nContent-Type: text/html\n\n"
                "<p>rich</p>\n--b--\n", "rich\n");
}

static void without_a_plain_part_the_html_becomes_text(void **state) {
    mail_view *view = view_of("Content-Type: text/html\n\n<p>Caf&eacute;</p>");

    (void)state;
    assert_string_equal(text_of(view)->text, "Café\n");
    assert_true(text_of(view)->from_html);
    mail_view_free(view);
}

static void an_html_part_may_name_its_charset_itself(void **state) {
    (void)state;
    assert_text("Content-Type: text/html\n\n<meta http-equiv=x content=\"text/html; charset=koi8-r\">\xf0", "П\n");
}

static void several_bodies_follow_each_other_and_attachments_stay_out(void **state) {
    (void)state;
    assert_text(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Disposition: attachment\n\nfile\n"
        "--b\nContent-Type: text/plain; name=x.txt\n\nfile\n--b\nContent-Type: message/rfc822\n\n"
        "Subject: inner\n\nenclosed\n--b\nContent-Type: text/html\n\n<b>two</b>\n--b--\n",
        "one\ntwo\n");
}

static void text_is_cut_at_the_limit_between_characters(void **state) {
    struct limits small = LIMITS_DEFAULT;
    const mail_text *text;
    mail_need need;

    (void)state;
    small.text = 4;
    mail_view *view = mail_view_new(&small);
    GBytes *raw = g_bytes_new_static("A: b\n\nab\xc3\xa9\xc3\xa9", 12);
    mail_view_set_raw(view, raw, false);
    g_bytes_unref(raw);
    assert_int_equal(mail_view_text(view, &text, &need), MAIL_OK);
    assert_string_equal(text->text, "abé");
    assert_true(text->truncated);
    assert_int_equal(mail_view_problems(view), MAIL_TEXT_CUT);
    mail_view_free(view);
}

static void a_message_without_text_has_none(void **state) {
    mail_view *view = view_of("Content-Type: image/png\n\nx");

    (void)state;
    assert_null(text_of(view));
    mail_view_free(view);
}

/* --- structure ---------------------------------------------------------------------------------------------------- */

static void assert_structure(const char *message, const char *expected) {
    mail_view *view = view_of(message);

    assert_string_equal(structure_of(view), expected);
    mail_view_free(view);
}

static void an_outer_boundary_ends_the_inner_parts(void **state) {
    (void)state;
    assert_structure("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n"
                     "--ab\n\nx\n--a\nContent-Type: a/b\n\n--a--\n--a\n\nno more\n",
                     "multipart/mixed(multipart/mixed(text/plain),a/b)");
}

static void a_boundary_must_match_as_a_whole(void **state) {
    (void)state;
    assert_structure("Content-Type: multipart/mixed; boundary=a\n\n--ab\n\nx\n--a \t\r\n\r\ny\n--a-- \n",
                     "multipart/mixed(text/plain)");
}

static void a_delimiter_ends_a_header_too(void **state) {
    (void)state;
    assert_structure("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: a/b\n--a\nContent-Type: c/d\n",
                     "multipart/mixed(a/b,c/d)");
}

static void a_digest_holds_messages(void **state) {
    (void)state;
    assert_structure("Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: x\n\ny\n--a\nContent-Type: a/b\n\n",
                     "multipart/digest(message/rfc822(text/plain),a/b)");
}

static void sections_are_numbered_as_imap_does(void **state) {
    static const char message[] =
        "Content-Type: multipart/mixed; boundary=a\n\n--a\n"
        "Content-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n"
        "--b--\n--a\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\ny\n--c\n\nz\n"
        "--c--\n--a\nContent-Type: message/rfc822\n\nSubject: s\n\nw\n--a--\n";
    mail_view *view = view_of(message);
    GString *sections = g_string_new(NULL);
    const mail_part *parts;
    mail_need need;
    size_t count;

    (void)state;
    assert_int_equal(mail_view_parts(view, &parts, &count, &need), MAIL_OK);
    for (size_t i = 0; i < count; i++) {
        g_string_append_printf(sections, "[%s]", parts[i].section);
    }
    assert_string_equal(sections->str, "[][1][1.1][2][2.TEXT][2.1][2.2][3][3.1]");
    g_string_free(sections, TRUE);
    mail_view_free(view);
}

static void a_multipart_without_parts_is_text(void **state) {
    (void)state;
    assert_text("Content-Type: multipart/mixed\n\nhello\n", "hello\n");
}

/* --- attachments -------------------------------------------------------------------------------------------------- */

static void assert_file_name(const char *mime_header, const char *expected) {
    char *message = g_strconcat(mime_header, "\n\nx", NULL);
    mail_view *view = view_of(message);
    const mail_attachment *list;

    assert_int_equal(attachments_of(view, &list), 1);
    assert_string_equal(list[0].filename, expected);
    mail_view_free(view);
    g_free(message);
}

static void file_names_are_decoded_however_they_were_encoded(void **state) {
    (void)state;
    assert_file_name("Content-Type: a/b; name=x.pdf", "x.pdf");
    assert_file_name("Content-Type: a/b; name=\"not this\"\nContent-Disposition: attachment; filename=\"a b.pdf\"",
                     "a b.pdf");
    assert_file_name("Content-Type: a/b; name=my file (1).pdf", "my file (1).pdf");
    assert_file_name("Content-Type: a/b; name*=utf-8'de'%C3%BCber.pdf", "über.pdf");
    assert_file_name("Content-Type: a/b;\n name*1*=%BCber; name*0*=iso-8859-1''%FC_;\n name*2=\" %41.pdf\"",
                     "ü_¼ber %41.pdf");
    assert_file_name("Content-Type: a/b; name*0=one; name*1=two; name*3=lost", "onetwo");
    assert_file_name("Content-Type: a/b; name=\"=?utf-8?Q?=C3=BCber.pdf?=\"", "über.pdf");
    assert_file_name("Content-Type: a/b; name=\"\xfc.pdf\"", "ü.pdf");
    assert_file_name("Content-Type: a/b; name=\"a\\\"b.pdf\"", "a\"b.pdf");
}

static void a_file_name_has_no_folders_and_no_hidden_characters(void **state) {
    (void)state;
    assert_file_name("Content-Type: a/b; name=\"../../etc/passwd\"", "passwd");
    assert_file_name("Content-Type: a/b; name=\"C:\\\\dir\\\\evil.exe\"", "evil.exe");
    assert_file_name("Content-Type: a/b; name=\"..\"", "");
    assert_file_name("Content-Type: a/b; name*=utf-8''in%E2%80%AEfdp.exe%00%0A", "infdp.exe\xef\xbf\xbd");
    assert_file_name("Content-Type: a/b; name=\"=?utf-8?q?=2E=2E=2Fx?=\"", "x");
}

static void attachments_have_type_size_and_content(void **state) {
    mail_view *view = view_of("Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<img>\n"
                              "--b\nContent-Type: Image/PNG\nContent-ID: <pic@x>\nContent-Transfer-Encoding: base64\n\n"
                              "aGVs\nbG8=\n--b\nContent-Type: application/pdf; name=x.pdf\n"
                              "Content-Disposition: ATTACHMENT\n\nhello\n--b--\n");
    char sha[MAIL_IDENTITY_SIZE], sha2[MAIL_IDENTITY_SIZE];
    const mail_attachment *list;
    mail_need need;
    GBytes *content;
    bool truncated;

    (void)state;
    assert_int_equal(attachments_of(view, &list), 2);
    assert_string_equal(list[0].type, "image/png");
    assert_string_equal(list[0].content_id, "pic@x");
    assert_string_equal(list[0].section, "2");
    assert_true(list[0].is_inline);
    assert_int_equal(list[0].size, 5);
    assert_false(list[0].size_estimated);
    assert_string_equal(list[1].disposition, "attachment");
    assert_false(list[1].is_inline);
    assert_int_equal(mail_view_attachment_content(view, 0, &content, &truncated, &need), MAIL_OK);
    assert_memory_equal(g_bytes_get_data(content, NULL), "hello", 5);
    assert_false(truncated);
    assert_int_equal(mail_view_attachment_sha256(view, 0, sha, &need), MAIL_OK);
    assert_int_equal(mail_view_attachment_sha256(view, 1, sha2, &need), MAIL_OK);
    assert_string_equal(sha, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_string_equal(sha, sha2);
    assert_int_equal(mail_view_attachment_content(view, 2, &content, &truncated, &need), MAIL_ABSENT);
    mail_view_free(view);
}

static void a_signature_is_no_attachment_and_an_enclosed_message_is_one(void **state) {
    mail_view *view = view_of("Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
                              "Content-Type: a/b\n\nx\n--b\nContent-Type: application/pgp-signature\n\nsig\n--b--\n");
    const mail_attachment *list;

    (void)state;
    assert_int_equal(attachments_of(view, &list), 1);
    assert_string_equal(list[0].type, "message/rfc822");
    mail_view_free(view);
}

static void content_is_cut_at_the_limit_and_then_has_no_hash(void **state) {
    struct limits small = LIMITS_DEFAULT;
    char sha[MAIL_IDENTITY_SIZE];
    mail_need need;
    GBytes *content;
    bool truncated;

    (void)state;
    small.attachment = 3;
    mail_view *view = mail_view_new(&small);
    GBytes *raw = g_bytes_new_static("Content-Type: a/b\nContent-Transfer-Encoding: base64\n\naGVsbG8=", 60);
    mail_view_set_raw(view, raw, false);
    g_bytes_unref(raw);
    assert_int_equal(mail_view_attachment_content(view, 0, &content, &truncated, &need), MAIL_OK);
    assert_int_equal(g_bytes_get_size(content), 3);
    assert_true(truncated);
    assert_int_equal(mail_view_attachment_sha256(view, 0, sha, &need), MAIL_ABSENT);
    mail_view_free(view);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transfer_encodings_and_charsets_are_decoded),
        cmocka_unit_test(line_ends_become_lf),
        cmocka_unit_test(a_wrong_or_unknown_charset_still_gives_text),
        cmocka_unit_test(flowed_text_is_joined),
        cmocka_unit_test(of_an_alternative_the_plain_part_is_the_text_and_the_html_part_the_html),
        cmocka_unit_test(an_empty_plain_part_gives_way_to_the_html_part),
        cmocka_unit_test(without_a_plain_part_the_html_becomes_text),
        cmocka_unit_test(an_html_part_may_name_its_charset_itself),
        cmocka_unit_test(several_bodies_follow_each_other_and_attachments_stay_out),
        cmocka_unit_test(text_is_cut_at_the_limit_between_characters),
        cmocka_unit_test(a_message_without_text_has_none),
        cmocka_unit_test(an_outer_boundary_ends_the_inner_parts),
        cmocka_unit_test(a_boundary_must_match_as_a_whole),
        cmocka_unit_test(a_delimiter_ends_a_header_too),
        cmocka_unit_test(a_digest_holds_messages),
        cmocka_unit_test(sections_are_numbered_as_imap_does),
        cmocka_unit_test(a_multipart_without_parts_is_text),
        cmocka_unit_test(file_names_are_decoded_however_they_were_encoded),
        cmocka_unit_test(a_file_name_has_no_folders_and_no_hidden_characters),
        cmocka_unit_test(attachments_have_type_size_and_content),
        cmocka_unit_test(a_signature_is_no_attachment_and_an_enclosed_message_is_one),
        cmocka_unit_test(content_is_cut_at_the_limit_and_then_has_no_hash),
    };
    mail_runtime *runtime = mail_runtime_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mail_runtime_free(runtime);
    return failed;
}
