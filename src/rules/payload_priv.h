/*
 * payload_priv.h - a webhook's body under construction: payload_message.c says what is in it, payload.c makes it fit.
 */
#ifndef RULES_PAYLOAD_PRIV_H
#define RULES_PAYLOAD_PRIV_H

#include "lib_priv.h"

/* What is left out, step by step, until the body fits the webhook's max_size. */
enum cut { CUT_NOTHING, CUT_CONTENT, CUT_HTML, CUT_TEXT, CUT_HEADERS, CUT_ALL };

struct payload {
    struct payload_request request;
    char *event_id;
    char *extra;
    struct vm_thread *thread; /* of the webhook's own function */
    bool asked;               /* for the message's own data */
    enum cut cut;
    size_t text_max; /* octets of text and reply_text */
};

/* The key "message". False: *need_out has to be fetched; the object is then incomplete. */
bool payload_add_message(const struct payload *payload, json_t *object, mail_need *need_out);
/* Whether these attachments' contents belong into it and can fit at all. */
bool payload_wants_contents(const struct payload *payload, const mail_attachment *list, size_t n);
json_t *payload_text(const char *s); /* null for NULL */
void payload_set(json_t *object, const char *key, json_t *value);
json_t *payload_flags(const wire_strings *flags);

#endif
