#include "tests/unit/mail/mail_test.h"

static void assert_reply(const char *body, const char *expected) {
    char *message = g_strconcat("Subject: x\n\n", body, NULL);
    mail_view *view = view_of(message);

    assert_string_equal(reply_of(view), expected);
    mail_view_free(view);
    g_free(message);
}

static void the_text_above_an_attribution_is_the_reply(void **state) {
    (void)state;
    assert_reply("Hello\n\nOn Mon, 2 Apr 2012, Bob <b@x> wrote:\n> Hi\n", "Hello\n");
    assert_reply("Hello\n\nOn Mon, 2 Apr 2012 at 5:00 PM, Bob\n<b@x> wrote:\n\n> Hi\n", "Hello\n");
    assert_reply("Hello\n\nOn Apr 3, 2012, at 4:19 PM, bob wrote:\n\nHi\n", "Hello\n"); /* the quote is not marked */
}

static void attributions_are_known_in_several_languages(void **state) {
    (void)state;
    assert_reply("Hallo\n\nAm 02.04.2012 um 14:20 schrieb Bob:\n> Hi\n", "Hallo\n");
    assert_reply("Bonjour\n\nLe 2 avril 2012 à 14:20, Bob <b@x> a écrit :\n\n> Hi\n", "Bonjour\n");
    assert_reply("Hola\n\nEl 2 de abril de 2012, 14:20, Bob<b@x> escribió:\n> Hi\n", "Hola\n");
    assert_reply("Ciao\n\nIl giorno 2 aprile 2012 Bob <b@x> ha scritto:\n> Hi\n", "Ciao\n");
    assert_reply("Hej\n\nDen 2 april 2012 14:20 skrev Bob <b@x>:\n> Hi\n", "Hej\n");
    assert_reply("Привет\n\n02.04.2012, 14:20, \"Bob\" <b@x>:\n> Hi\n", "Привет\n");
    assert_reply("Hello\n\n2012/4/2 Bob <b@x>\n\n> Hi\n", "Hello\n");
}

static void an_original_behind_a_separator_is_cut(void **state) {
    (void)state;
    assert_reply("Hello\n\n-----Original Message-----\nFrom: b@x\nHi\n", "Hello\n");
    assert_reply("Hallo\n\n-----Ursprüngliche Nachricht-----\nVon: b@x\nHi\n", "Hallo\n");
    assert_reply("FYI\n\n---------- Forwarded message ---------\nFrom: b@x\nHi\n", "FYI\n");
    assert_reply("FYI\n\nBegin forwarded message:\n\nFrom: b@x\nHi\n", "FYI\n");
}

static void an_original_behind_a_header_block_is_cut_with_the_rule_above_it(void **state) {
    (void)state;
    assert_reply("Hello\n\n________________________________\nFrom: Bob\nSent: Monday\nTo: A\nSubject: x\n\nHi\n",
                 "Hello\n");
    assert_reply("Hallo\n\nVon: Bob\nGesendet: Montag\nAn: A\nBetreff: x\n\nHi\n", "Hallo\n");
    assert_reply("Bonjour\n\nDe : Bob\nEnvoyé : lundi\nÀ : A\nObjet : x\n\nHi\n", "Bonjour\n");
    assert_reply("Hello\n\n*From:* Bob\n*Sent:* Monday\n*To:* A\n\nHi\n", "Hello\n");
}

static void a_mailed_form_is_not_taken_for_an_original(void **state) {
    (void)state;
    assert_reply("From: Bob\nDate: today\nSubject: help\n\nIt broke.\n",
                 "From: Bob\nDate: today\nSubject: help\n\nIt broke.\n");
}

static void answers_between_and_below_quotes_are_kept(void **state) {
    (void)state;
    assert_reply("On 1 May 2020, Bob wrote:\n> one?\n\nYes.\n\n> two?\nNo.\n", "Yes.\n\nNo.\n");
}

static void the_signature_is_cut(void **state) {
    (void)state;
    assert_reply("Hello\n\n-- \nBob\nCompany\n", "Hello\n");
    assert_reply("Hello\n\nSent from my iPhone\n\n> Hi\n", "Hello\n");
    assert_reply("Sent from my desk, which is easier than my mobile phone.\n",
                 "Sent from my desk, which is easier than my mobile phone.\n");
}

static void ordinary_text_stays_as_it_is(void **state) {
    (void)state;
    assert_reply("On your host you can run:\n\n    telnet\n\n\nand 2 -- 3\nOne more: x\n",
                 "On your host you can run:\n\n    telnet\n\n\nand 2 -- 3\nOne more: x\n");
}

static void a_message_that_is_only_quote_has_an_empty_reply(void **state) {
    (void)state;
    assert_reply("> all\n> quoted\n", "");
    assert_reply("---------- Forwarded message ---------\nFrom: b@x\nHi\n", "");
}

static void quoted_html_is_cut_too(void **state) {
    mail_view *view =
        view_of("Content-Type: text/html\n\n<div>Hello</div><div class=gmail_quote>On Thu, Jun 26, 2014 at 2 PM, "
                "A &lt;<a href=\"mailto:a@x\">a@x</a>&gt; wrote:<br><blockquote>Hi</blockquote></div>");

    (void)state;
    assert_string_equal(reply_of(view), "Hello\n");
    mail_view_free(view);
}

/* --- what other reply parsers were tested with -------------------------------------------------------------------- */

static char *corpus_file(const char *name) {
    const char *root = g_getenv("CORPUS_DIR");
    char *path = g_build_filename(root ? root : "../shared/corpus", "mail", name, NULL), *content = NULL;

    g_file_get_contents(path, &content, NULL, NULL);
    g_free(path);
    if (!content) {
        print_message("CORPUS_DIR has no %s\n", name);
        skip(); /* leaves the test: nothing of it may be allocated yet */
    }
    return content;
}

static void assert_corpus_reply(const char *name, const char *header, const char *expected) {
    char *content = corpus_file(name);
    char *message = g_strconcat(header, content, NULL);
    mail_view *view = view_of(message);
    char *reply = g_strstrip(g_strdup(reply_of(view)));
    if (strcmp(reply, expected) != 0) {
        fail_msg("%s: got \"%s\", expected \"%s\"", name, reply, expected);
    }
    g_free(reply);
    mail_view_free(view);
    g_free(message);
    g_free(content);
}

static void replies_of_common_mail_programs_are_found(void **state) {
    static const char *const names[] = {"android", "aol",     "apple_mail", "apple_mail_2", "comcast",     "gmail",
                                        "hotmail", "outlook", "sparrow",    "thunderbird",  "yahoo",       "iphone"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        char name[80];
        g_snprintf(name, sizeof name, "talon/standard_replies/%s.eml", names[i]);
        assert_corpus_reply(name, "", "Hello");
    }
}

static void html_replies_of_common_mail_programs_are_found(void **state) {
    static const char *const names[] = {"gmail",           "hotmail",     "mail_ru",      "ms_outlook_2007",
                                        "ms_outlook_2010", "thunderbird", "windows_mail", "yandex_ru"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        char name[80];
        g_snprintf(name, sizeof name, "talon/html_replies/%s.html", names[i]);
        char *content = corpus_file(name);
        char *message = g_strconcat("Content-Type: text/html; charset=utf-8\n\n", content, NULL);
        mail_view *view = view_of(message);
        char **words = g_strsplit_set(reply_of(view), " \n", -1);
        GString *joined = g_string_new(NULL);
        for (char **w = words; *w; w++) {
            g_string_append_printf(joined, **w ? "%s " : "%s", *w);
        }
        assert_string_equal(joined->str, "Hi. I am fine. Thanks, Alex ");
        g_string_free(joined, TRUE);
        g_strfreev(words);
        mail_view_free(view);
        g_free(message);
        g_free(content);
    }
}

static void bodies_of_another_reply_parser_are_read_as_it_reads_them(void **state) {
    static const char *const cases[][2] = {
        {"email_1_4.txt", "Awesome! I haven't had another problem with it."},
        {"email_1_7.txt", ":+1:"},
        {"email_2_1.txt", "Outlook with a reply"},
        {"email_2_3.txt", "Outlook with a reply directly above line"},
        {"email_BlackBerry.txt", "Here is another email"},
        {"email_iPhone.txt", "Here is another email"},
        {"email_multi_word_sent_from_my_mobile_device.txt", "Here is another email"},
        {"email_sent_from_my_not_signature.txt",
         "Here is another email\n\nSent from my desk, is much easier then my mobile phone."},
        {"email_one_is_not_on.txt", "Thank, this is really helpful.\n\nOne outstanding question I had:\n\n"
                                    "Locally (on development), when I run..."},
        {"correct_sig.txt", "this is an email with a correct -- signature."},
        {"pathological.txt", "I think you're onto something. I will try to fix the problem as soon as I\n"
                             "get back to a computer."},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        char name[80];
        g_snprintf(name, sizeof name, "email_reply_parser/%s", cases[i][0]);
        assert_corpus_reply(name, "X: y\n\n", cases[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_above_an_attribution_is_the_reply),
        cmocka_unit_test(attributions_are_known_in_several_languages),
        cmocka_unit_test(an_original_behind_a_separator_is_cut),
        cmocka_unit_test(an_original_behind_a_header_block_is_cut_with_the_rule_above_it),
        cmocka_unit_test(a_mailed_form_is_not_taken_for_an_original),
        cmocka_unit_test(answers_between_and_below_quotes_are_kept),
        cmocka_unit_test(the_signature_is_cut),
        cmocka_unit_test(ordinary_text_stays_as_it_is),
        cmocka_unit_test(a_message_that_is_only_quote_has_an_empty_reply),
        cmocka_unit_test(quoted_html_is_cut_too),
        cmocka_unit_test(replies_of_common_mail_programs_are_found),
        cmocka_unit_test(html_replies_of_common_mail_programs_are_found),
        cmocka_unit_test(bodies_of_another_reply_parser_are_read_as_it_reads_them),
    };
    mail_runtime *runtime = mail_runtime_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mail_runtime_free(runtime);
    return failed;
}
