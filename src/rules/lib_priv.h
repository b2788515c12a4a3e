/*
 * lib_priv.h - what scripts find in the sandbox, one file a Lua table or type; what the rest of the layer needs of it.
 *
 *   lib_msg.c, lib_msg_actions.c, lib_msg_types.c   the message, its actions; addresses, dates, attachments
 *   lib_re.c lib_json.c lib_log.c lib_kv.c lib_http.c lib_time.c
 *   valid.c                                          names that go to a server
 *   payload.c, payload_message.c                     a webhook's body
 *
 * Each file has a list of the names it defines; lib_api() puts them together for the test that compares them with
 * rules/meta/mailruled.lua and mailruled-rules(7).
 */
#ifndef RULES_LIB_PRIV_H
#define RULES_LIB_PRIV_H

#include "rules_priv.h"
#include "vm_priv.h"

#include <jansson.h>

/* --- opening (each called once by vm_new) ----------------------------------------------------------------------- */
void lib_open_msg(struct vm *vm);
void lib_open_re(struct vm *vm);
void lib_open_json(struct vm *vm);
void lib_open_log(struct vm *vm);
void lib_open_kv(struct vm *vm);
void lib_open_http(struct vm *vm);
void lib_open_time(struct vm *vm);

/* --- the message (lib_msg.c) ------------------------------------------------------------------------------------ */

/* Pushes the job's message, the same userdata each time while the job lives. Outside a budget, or from Lua. */
void lib_msg_push(lua_State *L, rules_job *job);
/* To be called when the job ends: whatever Lua still holds of it raises "message is no longer valid". */
void lib_msg_invalidate(rules_job *job);

/* --- what the libraries share (lib_support.c) ------------------------------------------------------------------- */

/* A NEED of that kind for the rule at work. */
wire_message *lib_need_new(const rules_job *job, enum wire_need_kind kind);
/* The answer that just came, if it is of that kind; NULL otherwise. */
const wire_answer *lib_answer(const rules_job *job, enum wire_need_kind kind);
/* Pushes nil and the text; returns 2. */
int lib_nothing(lua_State *L, const char *why);
/* The argument as milliseconds: a number of seconds or "5m"; raises. none_ms where it is nil or absent. */
uint64_t lib_check_duration(lua_State *L, int arg, uint64_t none_ms);
/* True if what this job's rule does must have no effect outside. */
bool lib_is_trial(const rules_job *job);

/* Pushes s with its ASCII letters in lower case. */
void lib_push_lower(lua_State *L, const char *s);
/* Raises the error as one of the caller's own, "PREFIXfile:line: text", and clears it. */
int lib_raise(lua_State *L, const char *prefix, struct vm_error *err);

/* --- dates (lib_time.c) ----------------------------------------------------------------------------------------- */
void lib_date_push(lua_State *L, int64_t epoch, int32_t offset);
/* RFC 3339 in UTC, "2024-05-06T07:08:09Z". g_free. */
char *lib_date_rfc3339(int64_t epoch);

#define LIB_REASONS_MAX 32
/* Why the message is auto, bounce, list or reply: each reason once, at most LIB_REASONS_MAX; the view's strings. */
enum mail_status lib_msg_reasons(rules_job *job, const char *reasons_out[LIB_REASONS_MAX], size_t *n_out,
                                 mail_need *need_out);

/* --- validation (valid.c) --------------------------------------------------------------------------------------- */

/* NULL if it may be sent to a server, else why not, as the end of a sentence ("contains a control character"); static.
 * Folder: UTF-8, 1..LIMIT_IMAP_MAILBOX_NAME octets, no control character, no wildcard, no level that is empty, "."
 * or "..". Flag: a system flag (the five that may be stored, "\\Seen") or a keyword that is an IMAP atom of at most 100
 * octets. */
const char *valid_folder(const char *s, size_t len);
const char *valid_flag(const char *s, size_t len);

/* --- JSON (lib_json.c) ------------------------------------------------------------------------------------------ */

/* How JSON is written: on one line, numbers as people write them. */
#define LIB_JSON_FORMAT (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

/* A JSON string; what is not UTF-8 becomes U+FFFD. */
json_t *lib_json_text(const char *s, size_t len);
/* The Lua value at index as JSON; NULL and *why_out (static or on the stack) if it cannot be. Caller owns the result.
 * Never raises but for lack of memory. */
json_t *lib_json_from_lua(lua_State *L, int index, const char **why_out);
/* Pushes the value at index as JSON text, members sorted; raises "WHAT cannot be JSON: it has ...". */
void lib_json_push_text(lua_State *L, int index, const char *what);
/* Pushes what the text says and returns true, or why it is no JSON and false. */
bool lib_json_push(lua_State *L, const char *text, size_t len);

/* --- webhook bodies (payload.c) --------------------------------------------------------------------------------- */

enum payload_status { PAYLOAD_OK, PAYLOAD_NEED, PAYLOAD_ERROR };

struct payload; /* one body under construction */

struct payload_request {
    rules_job *job;
    const struct rule *rule;
    const wire_webhook *webhook;
    int payload_ref;      /* the webhook's `payload` function, LUA_NOREF = none */
    const char *event_id; /* copied, as is extra */
    const char *extra;    /* JSON object that becomes the key "extra", or NULL */
};

/* The captures are those of job->captures now. */
struct payload *payload_new(const struct payload_request *request);
void payload_free(struct payload *payload); /* accepts NULL */
/*
 *   PAYLOAD_OK     *body_out is in job->reply's arena
 *   PAYLOAD_NEED   job->need is set; call again once it was answered
 *   PAYLOAD_ERROR  err_out (zeroed before) is filled: the payload function raised, or gave what is no JSON
 */
enum payload_status payload_run(struct payload *payload, wire_bytes *body_out, struct vm_error *err_out);

/* --- enumeration (lib_api.c) ------------------------------------------------------------------------------------ */

/*
 * Every name that scripts can use, sorted, NULL-terminated, g_strfreev: globals as they are registered now ("print",
 * "rule", "json.encode", "secret.file"), and what our types have: "Message.subject", "Message:move", "Date:year", ...
 * The tests of the config's fields are "AddressField:domain" and so on. For the test that compares them with
 * rules/meta/mailruled.lua.
 */
char **lib_api(struct vm *vm);

const char *lib_msg_attribute(size_t i);           /* by name, NULL after the last */
extern const char *const lib_address_attributes[]; /* NULL-terminated, as below */
extern const char *const lib_attachment_attributes[];
extern const char *const lib_date_attributes[];
extern const char *const lib_response_attributes[];
extern const luaL_Reg lib_msg_actions[];
extern const luaL_Reg lib_msg_methods[];
extern const luaL_Reg lib_date_methods[];
extern const luaL_Reg lib_re_methods[];
extern const luaL_Reg lib_kv_methods[];
extern const luaL_Reg lib_response_methods[];

#endif
