/* Commands built from any strings: exactly one on the wire, as a server reads it, or a refusal. */
#include "tests/unit/imap/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    imap_writer writer;
    imap_set set;
    const char *a, *b, *c;
    size_t a_len; /* a as bytes, NULs included */
} input;

static error *build(input *in, unsigned verb, imap_command **out) {
    imap_writer *w = &in->writer;
    const char *const list[] = {in->a, in->b, in->c, NULL}, *const pairs[] = {in->a, in->b, NULL};
    const imap_section_want sections[] = {{.kind = IMAP_SECTION_FIELDS, .fields = list},
                                          {.kind = IMAP_SECTION_ALL, .part = in->a, .length = 9},
                                          {.kind = IMAP_SECTION_MIME, .part = in->b}};
    const imap_fetch_want want = {.items = (uint32_t)verb, .sections = sections + verb % 3, .section_count = 1};

    switch (verb % 16) {
    case 0:
        return imap_command_login(w, in->a, in->b, out);
    case 1:
        return imap_command_id(w, pairs, out);
    case 2:
        return imap_command_enable(w, list, out);
    case 3:
        return imap_command_list(w, in->a, in->b, &(imap_list_options){.extended = true, .returns = 7}, out);
    case 4:
        return imap_command_status(w, in->a, 0xff, out);
    case 5:
        return imap_command_select(w, in->a, &(imap_select_options){.condstore = true}, out);
    case 6:
        return imap_command_create(w, in->a, IMAP_ATTR_TRASH, out);
    case 7:
        return imap_command_uid_move(w, &in->set, in->a, out);
    case 8:
        return imap_command_uid_store(w, &in->set, &(imap_store){.names = list}, out);
    case 9:
        return imap_command_uid_store(w, &in->set, &(imap_store){.names = list, .gm_labels = true}, out);
    case 10:
        return imap_command_uid_fetch(w, &in->set, &want, out);
    case 11:
        return imap_command_uid_search(
            w, &(imap_search_want){.header = in->a, .header_value = in->b, .email_id = in->c}, out);
    case 12:
        return imap_command_uid_search(w, &(imap_search_want){.keyword = in->a, .gm_msgid = in->b}, out);
    case 13:
        return imap_command_append(
            w, &(imap_append){.mailbox = in->b, .flags = list, .message = {in->a, in->a_len}, .has_date = true}, out);
    case 14:
        return imap_command_append(w, &(imap_append){.mailbox = in->b, .message = {in->a, in->a_len}}, out);
    default:
        return imap_command_notify(w, &(imap_notify){.selected = true, .selected_want = &want, .mailboxes = list}, out);
    }
}

/* Up to the first '|' or the end; *rest moves behind it. NUL-terminated, inner NULs kept. */
static char *take(const char **rest, const char *end, size_t *len_out) {
    const char *bar = memchr(*rest, '|', (size_t)(end - *rest)), *stop = bar ? bar : end;
    char *out = g_malloc((size_t)(stop - *rest) + 1);

    *len_out = (size_t)(stop - *rest);
    memcpy(out, *rest, *len_out);
    out[*len_out] = '\0';
    *rest = bar ? bar + 1 : end;
    return out;
}

static void run(const char *bytes, size_t size, unsigned verb, unsigned way) {
    static const uint8_t random[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const char *rest = bytes, *end = bytes + size;
    size_t ignored;
    input in = {0};
    char *a = take(&rest, end, &in.a_len), *b = take(&rest, end, &ignored), *c = take(&rest, end, &ignored);
    imap_command *command = NULL;
    error *err;

    in.a = a;
    in.b = b;
    in.c = c;
    imap_writer_init(&in.writer, random);
    in.writer.literal_plus = way & 1;
    in.writer.literal_minus = way & 2;
    in.writer.utf8 = way & 4;
    imap_set_add_range(&in.set, 1, 1 + way);
    err = build(&in, verb, &command);
    if (!err && wire_fault(command, in.writer.utf8)) {
        abort();
    }
    error_free(err);
    imap_command_free(command);
    imap_set_release(&in.set);
    g_free(a);
    g_free(b);
    g_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size >= 2) {
        run((const char *)data + 2, size - 2, data[0], data[1]);
    }
    return 0;
}
