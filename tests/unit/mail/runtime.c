#include "src/mail/charset_priv.h"
#include "tests/unit/mail/mail_test.h"

#include <sys/resource.h>

static void every_common_charset_is_loaded(void **state) {
    size_t n = 0;

    (void)state;
    while (charset_common[n]) {
        n++;
    }
    mail_runtime *runtime = mail_runtime_new();
    assert_int_equal(mail_runtime_charsets(runtime), n);
    mail_runtime_free(runtime);
}

static bool spells_ascii_otherwise(const char *charset) {
    return g_str_has_prefix(charset, "UTF-16") || g_str_has_prefix(charset, "UTF-32") ||
           strcmp(charset, "IBM037") == 0 || strcmp(charset, "IBM1047") == 0;
}

/* No descriptor can be had after the runtime is made, as in a process that is locked down. */
static void after_that_no_file_is_opened(void **state) {
    mail_runtime *runtime = mail_runtime_new();
    struct rlimit before, none;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    for (size_t i = 0; charset_common[i]; i++) {
        char *message = g_strdup_printf("Subject: =?%s?q?abc?=\nDate: Mon, 2 Jan 2006 15:04:05 EST\n"
                                        "Content-Type: text/plain; charset=%s\n\nabc",
                                        charset_common[i], charset_common[i]);
        mail_view *view = view_of(message);
        mail_date date;
        mail_need need;
        assert_int_equal(mail_view_date(view, &date, &need), MAIL_OK);
        if (!spells_ascii_otherwise(charset_common[i])) {
            assert_string_equal(subject_of(view), "abc");
            assert_string_equal(text_of(view)->text, "abc");
            assert_int_equal(mail_view_problems(view), 0);
        }
        mail_view_free(view);
        g_free(message);
    }
    mail_view *view = view_of("Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B$3$s\x1b(B");
    assert_string_equal(text_of(view)->text, "こん");
    mail_view_free(view);
    setrlimit(RLIMIT_NOFILE, &before);
    mail_runtime_free(runtime);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_common_charset_is_loaded),
        cmocka_unit_test(after_that_no_file_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
