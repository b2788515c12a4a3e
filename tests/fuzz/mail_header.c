/*
 * One value, read in each way that header fields are read: as addresses, as a content type with a file name, as text,
 * and as a whole block that covers some names.
 */
#include "mail/runtime.h"
#include "src/mail/charset_priv.h"
#include "src/mail/view_priv.h"

#include <stdlib.h>
#include <string.h>

static const struct limits limits = LIMITS_DEFAULT;

static mail_runtime *runtime; /* for the life of the process */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    runtime = mail_runtime_new();
    return 0;
}

static void check_utf8(const char *s) {
    if (s && !g_utf8_validate(s, -1, NULL)) {
        abort();
    }
}

static void read_value(const char *value) {
    GArray *list = g_array_new(FALSE, FALSE, sizeof(mail_address));
    struct params params;
    mail_arena memory;

    mail_arena_init(&memory);
    addresses_parse(&memory, value, list);
    for (guint i = 0; i < list->len; i++) {
        check_utf8(g_array_index(list, mail_address, i).name);
        check_utf8(g_array_index(list, mail_address, i).address);
    }
    params_parse(&memory, value, &params);
    check_utf8(params_get(&memory, params.list, params.count, "name"));
    char *text = charset_decode_header(value, strlen(value));
    check_utf8(text);
    g_free(text);
    mail_arena_release(&memory);
    g_array_free(list, TRUE);
}

static void read_block(const char *bytes, size_t len) {
    static const char *const first[] = {"Subject", "From", NULL};
    mail_view *view = mail_view_new(&limits);
    mail_strings values;
    mail_date date;
    mail_need need;

    mail_view_set_fields(view, bytes, len, first);
    mail_view_set_fields(view, bytes, len, mail_query_fields(MAIL_IDENTITY));
    for (int q = MAIL_IS_AUTO; q <= MAIL_IS_SIGNED; q++) {
        mail_view_set_fields(view, bytes, len, mail_query_fields((enum mail_query)q));
        if (mail_view_class(view, (enum mail_query)q, &values, &need) == MAIL_NEED) {
            abort();
        }
    }
    if (mail_view_date(view, &date, &need) == MAIL_NEED || mail_view_header(view, "X", &values, &need) != MAIL_NEED) {
        abort();
    }
    mail_view_set_header(view, bytes, len);
    mail_view_header_raw(view, "Date", &values, &need);
    mail_view_free(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *value = g_strndup((const char *)data, size); /* up to the first NUL, as an unfolded value is */

    read_value(value);
    read_block((const char *)data, size);
    g_free(value);
    return 0;
}
