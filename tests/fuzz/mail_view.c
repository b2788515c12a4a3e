/*
 * A raw message, asked everything, and then the same message in pieces: the part tree of the first view is the server's
 * structure for the second, whose text must be the same. The first byte chooses the limits.
 */
#include "mail/runtime.h"
#include "mail/view.h"
#include "src/mail/view_priv.h"

#include <stdlib.h>
#include <string.h>

static void check(bool holds) {
    if (!holds) {
        abort();
    }
}

static void check_text(const mail_text *text, const struct limits *limits) {
    check(g_utf8_validate(text->text, (gssize)text->len, NULL));
    check(text->len <= limits->text && strlen(text->text) == text->len);
}

static void ask_header(mail_view *view) {
    const mail_header_field *fields;
    const mail_address *list;
    const char *value;
    mail_strings strings;
    mail_date date;
    mail_need need;
    size_t count;
    char hex[MAIL_IDENTITY_SIZE];

    for (int q = MAIL_FROM; q <= MAIL_RECIPIENT; q++) {
        check(mail_view_addresses(view, (enum mail_query)q, &list, &count, &need) != MAIL_NEED);
        for (size_t i = 0; i < count; i++) {
            check(g_utf8_validate(list[i].name, -1, NULL) && g_utf8_validate(list[i].address, -1, NULL));
        }
    }
    for (int q = MAIL_IS_AUTO; q <= MAIL_IS_SIGNED; q++) {
        check(mail_view_class(view, (enum mail_query)q, &strings, &need) != MAIL_NEED);
    }
    mail_view_headers(view, &fields, &count, &need);
    for (size_t i = 0; i < count; i++) {
        check(g_utf8_validate(fields[i].value, -1, NULL));
        check(mail_view_header(view, fields[i].name, &strings, &need) == MAIL_OK);
    }
    check(mail_view_subject(view, &value, &need) != MAIL_NEED);
    check(mail_view_date(view, &date, &need) != MAIL_NEED);
    check(mail_view_references(view, &strings, &need) != MAIL_NEED);
    check(mail_view_thread_key(view, &value, &need) != MAIL_NEED);
    check(mail_view_list_id(view, &value, &need) != MAIL_NEED);
    check(mail_view_identity(view, hex, &need) == MAIL_OK);
}

static void ask_bodies(mail_view *view, const struct limits *limits) {
    const mail_attachment *files;
    const mail_text *text;
    const char *summary;
    mail_need need;
    size_t count;
    char hex[MAIL_IDENTITY_SIZE];

    check(mail_view_structure(view, &summary, &need) == MAIL_OK);
    if (mail_view_html(view, &text, &need) == MAIL_OK) {
        check_text(text, limits);
    }
    if (mail_view_reply_text(view, &text, &need) == MAIL_OK) {
        check_text(text, limits);
    }
    mail_view_attachments(view, &files, &count, &need);
    for (size_t i = 0; i < count; i++) {
        check(g_utf8_validate(files[i].filename, -1, NULL) && !strpbrk(files[i].filename, "/\\\n"));
        check(mail_view_attachment_sha256(view, i, hex, &need) != MAIL_NEED);
    }
}

static void give_parts(mail_view *whole, mail_view *pieces, const mail_need *need) {
    char **sections = g_strdupv((char **)need->names);

    for (char **section = sections; *section; section++) {
        for (size_t i = 0; i < whole->tree.count; i++) {
            const struct part *part = &whole->tree.parts[i];
            if (strcmp(part->pub.section, *section) == 0) {
                GBytes *body = g_bytes_new_static(part->body, part->body_len);
                mail_view_set_part(pieces, *section, NULL, 0, body, part->truncated);
                g_bytes_unref(body);
            }
        }
    }
    g_strfreev(sections);
}

static void compare_pieces(mail_view *whole, const struct limits *limits) {
    mail_view *pieces = mail_view_new(limits);
    const mail_part *parts;
    const mail_text *a, *b;
    enum mail_status status;
    mail_need need;
    size_t count;

    mail_view_parts(whole, &parts, &count, &need);
    mail_view_set_structure(pieces, parts, count);
    for (int i = 0; i < 3 && (status = mail_view_text(pieces, &b, &need)) == MAIL_NEED; i++) {
        give_parts(whole, pieces, &need);
    }
    check(status == mail_view_text(whole, &a, &need));
    check(status != MAIL_NEED);
    check(status != MAIL_OK || strcmp(a->text, b->text) == 0);
    mail_view_free(pieces);
}

static mail_runtime *runtime; /* for the life of the process */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    runtime = mail_runtime_new();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct limits limits = LIMITS_DEFAULT;

    if (!size) {
        return 0;
    }
    if (data[0] & 1) {
        limits.text = limits.attachment = 16;
        limits.header = 200;
    }
    mail_view *view = mail_view_new(&limits);
    GBytes *raw = g_bytes_new(data + 1, size - 1);
    mail_view_set_raw(view, raw, data[0] & 2);
    g_bytes_unref(raw);
    ask_header(view);
    ask_bodies(view, &limits);
    compare_pieces(view, &limits);
    mail_view_free(view);
    return 0;
}
