/* What the tests of the mail layer share: views of literal messages, and asking them in one line. */
#ifndef TESTS_MAIL_TEST_H
#define TESTS_MAIL_TEST_H

#include "mail/runtime.h"
#include "mail/view.h"
#include "tests/unit/unit.h"

#include <glib.h>
#include <string.h>

static const struct limits test_limits = LIMITS_DEFAULT;

static inline mail_view *view_of_bytes(const char *bytes, size_t len) {
    mail_view *view = mail_view_new(&test_limits);
    GBytes *raw = g_bytes_new(bytes, len);

    mail_view_set_raw(view, raw, false);
    g_bytes_unref(raw);
    return view;
}

static inline mail_view *view_of(const char *message) {
    return view_of_bytes(message, strlen(message));
}

/* Each answers NULL or 0 for MAIL_ABSENT and fails on MAIL_NEED: the view has the raw message. */
static inline const char *subject_of(mail_view *view) {
    const char *value;
    mail_need need;

    assert_int_not_equal(mail_view_subject(view, &value, &need), MAIL_NEED);
    return value;
}

static inline size_t addresses_of(mail_view *view, enum mail_query which, const mail_address **list_out) {
    mail_need need;
    size_t count;

    assert_int_not_equal(mail_view_addresses(view, which, list_out, &count, &need), MAIL_NEED);
    return count;
}

static inline const mail_text *text_of(mail_view *view) {
    const mail_text *text;
    mail_need need;

    assert_int_not_equal(mail_view_text(view, &text, &need), MAIL_NEED);
    return text;
}

static inline const char *reply_of(mail_view *view) {
    const mail_text *text;
    mail_need need;

    assert_int_not_equal(mail_view_reply_text(view, &text, &need), MAIL_NEED);
    return text ? text->text : NULL;
}

static inline size_t attachments_of(mail_view *view, const mail_attachment **list_out) {
    mail_need need;
    size_t count;

    assert_int_not_equal(mail_view_attachments(view, list_out, &count, &need), MAIL_NEED);
    return count;
}

static inline const char *structure_of(mail_view *view) {
    const char *summary;
    mail_need need;

    assert_int_equal(mail_view_structure(view, &summary, &need), MAIL_OK);
    return summary;
}

/* The reasons, joined with "|"; NULL if the class does not hold. */
static inline char *reasons_of(mail_view *view, enum mail_query which) {
    mail_strings reasons;
    mail_need need;
    enum mail_status status = mail_view_class(view, which, &reasons, &need);

    assert_int_not_equal(status, MAIL_NEED);
    return status == MAIL_OK ? g_strjoinv("|", (char **)reasons.items) : NULL;
}

#endif
