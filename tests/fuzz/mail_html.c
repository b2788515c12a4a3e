/* HTML as text, and the reply in it. The first byte is the limit's size. */
#include "src/mail/html_priv.h"
#include "src/mail/reply_priv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) {
        return 0;
    }
    size_t limit = (size_t)1 << (data[0] % 24);
    char *html = g_utf8_make_valid((const char *)data + 1, (gssize)size - 1); /* as it is where this is used */
    GString *text = g_string_new(NULL), *reply = g_string_new(NULL);
    bool whole = html_to_text(html, strlen(html), limit, text);

    /* a character, a link or a line's quote marks may still be written when the limit is reached */
    if (!g_utf8_validate(text->str, (gssize)text->len, NULL) || text->len > limit + 3000 ||
        (limit > size * 30 + 3000 && !whole)) {
        abort();
    }
    reply_extract(text->str, text->len, reply);
    if (!g_utf8_validate(reply->str, (gssize)reply->len, NULL) || reply->len > text->len) {
        abort();
    }
    g_string_free(reply, TRUE);
    g_string_free(text, TRUE);
    g_free(html);
    return 0;
}
