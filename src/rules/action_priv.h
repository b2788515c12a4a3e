/*
 * action_priv.h - what a rule's `actions` list says, and its templates ("Invoices/${year}/${number}").
 *
 * A template is text with ${name} in it: 1, 2, ... and names for captures of the rule's regular expressions; year,
 * month, day, date:FORMAT (strftime's %Y %m %d %H %M %S %y %b %B %a %A %j %V %G %u %%) for the message's Date as
 * written, else its arrival; from, from.name, from.local, from.domain and the same for to, cc, recipient and reply_to
 * (the first address each); subject, list_id, account, folder. "$$" is a dollar sign.
 *
 * What comes out of a message is a stranger's: in it control characters, hierarchy separators and wildcards become
 * "_", in keywords everything that an IMAP atom may not have; it is composed (NFC), trimmed and cut at
 * TEMPLATE_VALUE_MAX octets. A value that is then empty, and a folder with a level "." or "..", is an error.
 */
#ifndef RULES_ACTION_PRIV_H
#define RULES_ACTION_PRIV_H

#include "rules_priv.h"

#define TEMPLATE_VALUE_MAX 200

struct template;

enum template_use { TEMPLATE_FOLDER, TEMPLATE_FLAG };
enum template_status { TEMPLATE_OK, TEMPLATE_NEED, TEMPLATE_ERROR };

/* Fails with ERROR_CONFIG: malformed, an unknown date format, text that no folder or keyword may have. */
error *template_parse(const char *s, enum template_use use, struct template **template_out) G_GNUC_WARN_UNUSED_RESULT;
void template_free(struct template *template); /* accepts NULL */
/* Fails with ERROR_CONFIG if a name is neither known nor one of captures (set of strings; NULL = there are none). */
error *template_check(const struct template *template, GHashTable *captures) G_GNUC_WARN_UNUSED_RESULT;
/* Adds the header fields (lower case, owned by names) that it looks at. */
void template_fields_needed(const struct template *template, GHashTable *names);
/* OK: *out is a g_free string that a server may be sent. NEED: job->need is set. ERROR: *error_out (ERROR_RULE). */
enum template_status template_expand(const struct template *template, rules_job *job, char **out, error **error_out);

struct action {
    enum wire_verb verb;
    wire_place place;
    struct template *folder; /* MOVE COPY */
    struct template **flags; /* FLAG UNFLAG */
    size_t n_flags;
    char *webhook; /* POST */
    bool has_create, create;
};

struct action *action_new(enum wire_verb verb, const wire_place *place);
void action_free(struct action *action); /* accepts NULL */

/* Adds the action's step to the job. POST is the engine's, which must build the body. Results as template_expand(). */
enum template_status action_plan(const struct action *action, rules_job *job, bool create_default, error **error_out);

#endif
