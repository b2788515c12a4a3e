#include "tests/unit/mail/mail_test.h"

/* expected: reasons joined with "|"; NULL: the class does not hold. */
static void assert_class(const char *header, enum mail_query which, const char *expected) {
    char *message = g_strconcat(header, "\n\n", NULL);
    mail_view *view = view_of(message);
    char *reasons = reasons_of(view, which);

    if (expected) {
        assert_non_null(reasons);
        assert_string_equal(reasons, expected);
    } else {
        assert_null(reasons);
    }
    g_free(reasons);
    mail_view_free(view);
    g_free(message);
}

static void auto_submitted_means_automatic_unless_it_says_no(void **state) {
    (void)state;
    assert_class("Auto-Submitted: auto-replied (vacation)", MAIL_IS_AUTO, "Auto-Submitted: auto-replied (vacation)");
    assert_class("Auto-Submitted: auto-generated; x=y", MAIL_IS_AUTO, "Auto-Submitted: auto-generated; x=y");
    assert_class("Auto-Submitted: no", MAIL_IS_AUTO, NULL);
    assert_class("Auto-Submitted: NO (really)", MAIL_IS_AUTO, NULL);
    assert_class("Auto-Submitted:", MAIL_IS_AUTO, NULL);
}

static void an_ordinary_mail_is_nothing_of_all_that(void **state) {
    (void)state;
    for (int q = MAIL_IS_AUTO; q <= MAIL_IS_SIGNED; q++) {
        assert_class("From: a@x\nTo: b@x\nSubject: Reporting: no reply needed\nReturn-Path: <a@x>\n"
                     "Content-Type: text/plain\nX-Auto-Response-Suppress: All", (enum mail_query)q, NULL);
    }
}

static void the_habits_of_the_field_tell_automatic_mail(void **state) {
    (void)state;
    assert_class("Return-Path: <>", MAIL_IS_AUTO, "Return-Path: <>");
    assert_class("Precedence: junk", MAIL_IS_AUTO, "Precedence: junk");
    assert_class("X-Autoreply: yes", MAIL_IS_AUTO, "X-Autoreply");
    assert_class("X-Autoreply: no", MAIL_IS_AUTO, NULL);
    assert_class("Subject: =?utf-8?q?R=C3=A9ponse_automatique?= : absent", MAIL_IS_AUTO,
                 "Subject: Réponse automatique : absent");
    assert_class("From: MAJORDOMO@lists.example", MAIL_IS_AUTO, "From: MAJORDOMO@lists.example");
}

static void a_delivery_report_is_a_bounce_and_automatic(void **state) {
    static const char report[] = "Content-Type: multipart/report;\n report-type=\"Delivery-Status\"; boundary=x";

    (void)state;
    assert_class(report, MAIL_IS_BOUNCE, "multipart/report; report-type=delivery-status");
    assert_class(report, MAIL_IS_AUTO, "multipart/report; report-type=delivery-status");
    assert_class("From: Mail <MAILER-DAEMON@x>", MAIL_IS_BOUNCE, "From: Mail <MAILER-DAEMON@x>");
    assert_class("X-Failed-Recipients: a@x", MAIL_IS_BOUNCE, "X-Failed-Recipients");
}

static void a_read_receipt_is_automatic_but_no_bounce(void **state) {
    static const char receipt[] = "Content-Type: multipart/report; report-type=disposition-notification";

    (void)state;
    assert_class(receipt, MAIL_IS_BOUNCE, NULL);
    assert_class(receipt, MAIL_IS_AUTO, "multipart/report");
}

static void a_bounces_subject_counts_only_from_the_mail_system(void **state) {
    (void)state;
    assert_class("From: a@x\nSubject: Undeliverable: my parcel", MAIL_IS_BOUNCE, NULL);
    assert_class("Return-Path: <>\nSubject: Undeliverable: hello", MAIL_IS_BOUNCE, "Subject: Undeliverable: hello");
    assert_class("From: Postmaster@x\nSubject: failure notice", MAIL_IS_BOUNCE, "Subject: failure notice");
}

static void list_headers_and_bulk_precedence_tell_a_list(void **state) {
    (void)state;
    assert_class("List-Id: <a.example>\nPrecedence: list", MAIL_IS_LIST, "List-Id|Precedence: list");
    assert_class("List-Unsubscribe: NO", MAIL_IS_LIST, NULL);
    assert_class("Precedence: bulk", MAIL_IS_LIST, "Precedence: bulk");
    assert_class("Sender: mailman-bounces@x", MAIL_IS_LIST, "Sender: mailman-bounces@x");
    assert_class("List-Id: <a.example>", MAIL_IS_AUTO, NULL);
}

static void a_reply_is_told_by_reference_or_subject(void **state) {
    (void)state;
    assert_class("In-Reply-To: <a@x>\nReferences: <a@x>\nSubject: Re: x", MAIL_IS_REPLY,
                 "In-Reply-To|References|Subject: Re:");
    assert_class("Subject: AW: x", MAIL_IS_REPLY, "Subject: AW:");
    assert_class("Subject: Re[2]: x", MAIL_IS_REPLY, "Subject: Re[2]:");
    assert_class("Subject: Re : x", MAIL_IS_REPLY, "Subject: Re :");
    assert_class("Subject: 回复：x", MAIL_IS_REPLY, "Subject: 回复：");
    assert_class("Subject: Report: x", MAIL_IS_REPLY, NULL);
    assert_class("Subject: Ref: 123", MAIL_IS_REPLY, NULL);
    assert_class("In-Reply-To:", MAIL_IS_REPLY, NULL);
}

static void encryption_and_signature_are_told_by_the_content_type(void **state) {
    (void)state;
    assert_class("Content-Type: Multipart/Encrypted; protocol=\"application/pgp-encrypted\"", MAIL_IS_ENCRYPTED,
                 "multipart/encrypted");
    assert_class("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", MAIL_IS_ENCRYPTED,
                 "application/pkcs7-mime; smime-type=enveloped-data");
    assert_class("Content-Type: application/x-pkcs7-mime; name=smime.p7m", MAIL_IS_ENCRYPTED,
                 "application/x-pkcs7-mime");
    assert_class("Content-Type: application/pkcs7-mime; smime-type=signed-data", MAIL_IS_ENCRYPTED, NULL);
    assert_class("Content-Type: application/pkcs7-mime; smime-type=signed-data", MAIL_IS_SIGNED,
                 "application/pkcs7-mime; smime-type=signed-data");
    assert_class("Content-Type: multipart/signed; micalg=pgp-sha1", MAIL_IS_SIGNED, "multipart/signed");
}

static void a_reason_is_cut_to_a_sane_length(void **state) {
    GString *header = g_string_new("Auto-Submitted: auto-replied ");

    (void)state;
    for (int i = 0; i < 1000; i++) {
        g_string_append(header, "ü");
    }
    g_string_append(header, "\n\n");
    mail_view *view = view_of(header->str);
    char *reasons = reasons_of(view, MAIL_IS_AUTO);
    assert_int_equal(g_utf8_strlen(reasons, -1), 216);
    g_free(reasons);
    mail_view_free(view);
    g_string_free(header, TRUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_submitted_means_automatic_unless_it_says_no),
        cmocka_unit_test(an_ordinary_mail_is_nothing_of_all_that),
        cmocka_unit_test(the_habits_of_the_field_tell_automatic_mail),
        cmocka_unit_test(a_delivery_report_is_a_bounce_and_automatic),
        cmocka_unit_test(a_read_receipt_is_automatic_but_no_bounce),
        cmocka_unit_test(a_bounces_subject_counts_only_from_the_mail_system),
        cmocka_unit_test(list_headers_and_bulk_precedence_tell_a_list),
        cmocka_unit_test(a_reply_is_told_by_reference_or_subject),
        cmocka_unit_test(encryption_and_signature_are_told_by_the_content_type),
        cmocka_unit_test(a_reason_is_cut_to_a_sane_length),
    };
    mail_runtime *runtime = mail_runtime_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mail_runtime_free(runtime);
    return failed;
}
