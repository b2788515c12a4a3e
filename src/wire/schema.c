#include "schema_priv.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

/* The offset of a member, refused by the compiler unless the member has that type. */
#define AT(s, m, ...) (offsetof(s, m) + 0 * sizeof(char[_Generic(((s *)0)->m, __VA_ARGS__, default: -1)]))
#define KEY(m) .key = #m, .key_len = sizeof #m - 1
#define FIELD(s, m, k, ...) KEY(m), .kind = (k), .offset = AT(s, m, __VA_ARGS__)

#define BOOL(s, m) {FIELD(s, m, KIND_BOOL, bool : 1)}
#define CHAR(s, m) {FIELD(s, m, KIND_CHAR, char : 1)}
#define U16(s, m) {FIELD(s, m, KIND_U16, uint16_t : 1)}
#define U32(s, m) {FIELD(s, m, KIND_U32, uint32_t : 1)}
#define U64(s, m) {FIELD(s, m, KIND_U64, uint64_t : 1)}
#define I64(s, m) {FIELD(s, m, KIND_I64, int64_t : 1)}
#define STR(s, m) {FIELD(s, m, KIND_STR, char * : 1)}
#define RAW(s, m) {FIELD(s, m, KIND_RAW, char * : 1)}
#define BYTES(s, m) {FIELD(s, m, KIND_BYTES, wire_bytes : 1)}
#define STRINGS(s, m) {FIELD(s, m, KIND_STRINGS, wire_strings : 1)}
#define ENUM(s, m, last) {FIELD(s, m, KIND_ENUM, unsigned : 1, int : 1), .max = (last) + 1}
#define STRUCT(s, m, t) {KEY(m), .kind = KIND_STRUCT, .offset = offsetof(s, m), .table = (t)}
#define LIST(s, m, num, t)                                                                                             \
    {KEY(m), .kind = KIND_LIST, .offset = offsetof(s, m), .count = AT(s, num, size_t : 1), .table = (t)}
#define U64S(s, m, num) {FIELD(s, m, KIND_U64S, uint64_t * : 1), .count = AT(s, num, size_t : 1)}

#define MUST_U32(s, m) {FIELD(s, m, KIND_U32, uint32_t : 1), .must = true}
#define MUST_U64(s, m) {FIELD(s, m, KIND_U64, uint64_t : 1), .must = true}
#define MUST_STR(s, m) {FIELD(s, m, KIND_STR, char * : 1), .must = true}
#define MUST_ENUM(s, m, last) {FIELD(s, m, KIND_ENUM, unsigned : 1, int : 1), .max = (last) + 1, .must = true}

#define TABLE(s, f) {.name = #f, .size = sizeof(s), .fields = f##_fields, .n = ARRAY_LEN(f##_fields)}
#define TABLE_OF(s, f) static const struct wire_table f##_table = TABLE(s, f)

static const struct wire_field place_fields[] = {STR(wire_place, file), U32(wire_place, line)};
TABLE_OF(wire_place, place);

static const struct wire_field header_fields[] = {MUST_STR(wire_header, name), STR(wire_header, value)};
TABLE_OF(wire_header, header);

/* BODYSTRUCTURE is the server's: it owes nobody UTF-8. */
static const struct wire_field param_fields[] = {RAW(wire_header, name), RAW(wire_header, value)};
TABLE_OF(wire_header, param);

static const struct wire_field secret_fields[] = {
    MUST_ENUM(wire_secret, kind, WIRE_SECRET_CREDENTIAL),
    STR(wire_secret, value),
    STRINGS(wire_secret, argv),
    STRUCT(wire_secret, place, &place_table),
};
TABLE_OF(wire_secret, secret);

static const struct wire_field account_fields[] = {
    MUST_STR(wire_account, name),
    STRUCT(wire_account, place, &place_table),
    STR(wire_account, host),
    U16(wire_account, port),
    ENUM(wire_account, tls, WIRE_TLS_NONE),
    STR(wire_account, tls_ca),
    STR(wire_account, user),
    STRUCT(wire_account, password, &secret_table),
    ENUM(wire_account, auth, WIRE_AUTH_EXTERNAL),
    BOOL(wire_account, has_oauth2),
    STR(wire_account, oauth2.provider),
    STR(wire_account, oauth2.token_url),
    STR(wire_account, oauth2.device_url),
    STR(wire_account, oauth2.scope),
    STR(wire_account, oauth2.client_id),
    STRUCT(wire_account, oauth2.client_secret, &secret_table),
    STRUCT(wire_account, oauth2.refresh_token, &secret_table),
    STR(wire_account, proxy),
    STRINGS(wire_account, watch),
    ENUM(wire_account, backlog, WIRE_BACKLOG_SINCE),
    U64(wire_account, backlog_ms),
    U32(wire_account, connections),
    U64(wire_account, idle_renew_ms),
    U64(wire_account, poll_ms),
    U64(wire_account, reconcile_ms),
    U64(wire_account, timeout_ms),
    BOOL(wire_account, compress),
    BOOL(wire_account, allow_expunge),
    STRINGS(wire_account, disable_extensions),
    STR(wire_account, behaves_like),
    BOOL(wire_account, connections_stated),
    BOOL(wire_account, idle_renew_stated),
    BOOL(wire_account, poll_stated),
};
TABLE_OF(wire_account, account);

static const struct wire_field webhook_fields[] = {
    MUST_STR(wire_webhook, name),
    STRUCT(wire_webhook, place, &place_table),
    STR(wire_webhook, url),
    STR(wire_webhook, method),
    LIST(wire_webhook, headers, n_headers, &header_table),
    LIST(wire_webhook, secrets, n_secrets, &secret_table),
    U64(wire_webhook, timeout_ms),
    U64S(wire_webhook, retries, n_retries),
    U32(wire_webhook, concurrency),
    U32(wire_webhook, include),
    U64(wire_webhook, max_size),
    BOOL(wire_webhook, allow_private),
};
TABLE_OF(wire_webhook, webhook);

static const struct wire_field rule_fields[] = {
    MUST_STR(wire_rule, name),
    STRUCT(wire_rule, place, &place_table),
    STRINGS(wire_rule, accounts),
    STRINGS(wire_rule, folders),
    ENUM(wire_rule, on, WIRE_EVENT_TIMER),
    U64(wire_rule, every_ms),
    BOOL(wire_rule, dry_run),
    BOOL(wire_rule, own),
    U32(wire_rule, limit),
};
TABLE_OF(wire_rule, rule);

static const struct wire_field mistake_fields[] = {
    STRUCT(wire_mistake, place, &place_table),
    MUST_STR(wire_mistake, text),
};
TABLE_OF(wire_mistake, mistake);

typedef struct limits limits;
static const struct wire_field limits_fields[] = {
    U64(limits, literal),        U64(limits, message),        U64(limits, header),
    U64(limits, text),           U64(limits, attachment),     U64(limits, evaluator_memory),
    U64(limits, lua_memory),     U64(limits, lua_instructions), U64(limits, deadline),
    U64(limits, rule_wait),      U64(limits, regex_deadline), U32(limits, regex_match),
    U32(limits, regex_depth),    U32(limits, regex_heap_kb),  U32(limits, in_flight),
    U32(limits, attempts),       U64(limits, http_response),
};
TABLE_OF(limits, limits);

static const struct wire_field part_fields[] = {
    MUST_STR(wire_part, section),
    RAW(wire_part, type),
    RAW(wire_part, subtype),
    LIST(wire_part, params, n_params, &param_table),
    RAW(wire_part, encoding),
    RAW(wire_part, id),
    U64(wire_part, size),
    RAW(wire_part, disposition),
    LIST(wire_part, disposition_params, n_disposition_params, &param_table),
};
TABLE_OF(wire_part, part);

static const struct wire_field part_data_fields[] = {
    MUST_STR(wire_part_data, section),
    BYTES(wire_part_data, header),
    BYTES(wire_part_data, body),
    BOOL(wire_part_data, truncated),
};
TABLE_OF(wire_part_data, part_data);

static const struct wire_field step_fields[] = {
    MUST_ENUM(wire_step, verb, WIRE_VERBS - 1),
    STR(wire_step, rule),
    BOOL(wire_step, dry_run),
    STR(wire_step, folder),
    BOOL(wire_step, create),
    STRINGS(wire_step, flags),
    STR(wire_step, webhook),
    STR(wire_step, event_id),
    BYTES(wire_step, body),
};
TABLE_OF(wire_step, step);

static const struct wire_field rule_trace_fields[] = {
    MUST_STR(wire_rule_trace, name),
    BOOL(wire_rule_trace, matched),
    BOOL(wire_rule_trace, skipped),
    STRINGS(wire_rule_trace, why),
};
TABLE_OF(wire_rule_trace, rule_trace);

static const struct wire_field rule_error_fields[] = {
    STR(wire_rule_error, rule),
    STRUCT(wire_rule_error, place, &place_table),
    MUST_STR(wire_rule_error, text),
    STR(wire_rule_error, traceback),
};
TABLE_OF(wire_rule_error, rule_error);

static const struct wire_field load_fields[] = {
    MUST_U32(wire_load, version),
    MUST_STR(wire_load, path),
    BOOL(wire_load, check_only),
};

static const struct wire_field config_fields[] = {
    STR(wire_config, path),
    STR(wire_config, state_dir),
    STR(wire_config, control),
    STR(wire_config, metrics),
    STR(wire_config, quarantine_flag),
    STRUCT(wire_config, limits, &limits_table),
    LIST(wire_config, accounts, n_accounts, &account_table),
    LIST(wire_config, webhooks, n_webhooks, &webhook_table),
    LIST(wire_config, rules, n_rules, &rule_table),
    LIST(wire_config, mistakes, n_mistakes, &mistake_table),
};

static const struct wire_field scope_fields[] = {
    MUST_U64(wire_scope, job),
    MUST_STR(wire_scope, account),
    MUST_STR(wire_scope, folder),
    STR(wire_scope, server_folder),
    STRINGS(wire_scope, roles),
    ENUM(wire_scope, event, WIRE_EVENT_TIMER),
};

static const struct wire_field scope_reply_fields[] = {
    MUST_U64(wire_scope_reply, job),
    U32(wire_scope_reply, rules),
    BOOL(wire_scope_reply, own),
    ENUM(wire_scope_reply, level, WIRE_LEVEL_RAW),
    STRINGS(wire_scope_reply, fields),
};

static const struct wire_field eval_fields[] = {
    MUST_U64(wire_eval, job),
    MUST_STR(wire_eval, account),
    MUST_STR(wire_eval, folder),
    STR(wire_eval, server_folder),
    STRINGS(wire_eval, roles),
    CHAR(wire_eval, delimiter),
    U32(wire_eval, uid),
    U32(wire_eval, uidvalidity),
    ENUM(wire_eval, event, WIRE_EVENT_TIMER),
    BOOL(wire_eval, own),
    BOOL(wire_eval, trace),
    BOOL(wire_eval, offline),
    BOOL(wire_eval, dry_run),
    STRINGS(wire_eval, flags),
    STRINGS(wire_eval, flags_added),
    STRINGS(wire_eval, flags_removed),
    STR(wire_eval, event_id),
    U64(wire_eval, size),
    I64(wire_eval, internaldate),
    STR(wire_eval, object_id),
    ENUM(wire_eval, level, WIRE_LEVEL_RAW),
    STRINGS(wire_eval, fields),
    BYTES(wire_eval, data),
    BOOL(wire_eval, truncated),
    LIST(wire_eval, parts, n_parts, &part_table),
};

static const struct wire_field need_fields[] = {
    MUST_U64(wire_need, job),
    MUST_ENUM(wire_need, kind, WIRE_NEED_KV),
    STR(wire_need, rule),
    STRINGS(wire_need, names),
    U64(wire_need, limit),
    STR(wire_need, http.method),
    STR(wire_need, http.url),
    LIST(wire_need, http.headers, http.n_headers, &header_table),
    BYTES(wire_need, http.body),
    U64(wire_need, http.timeout_ms),
    BOOL(wire_need, http.allow_private),
    ENUM(wire_need, kv.op, WIRE_KV_INCR),
    STR(wire_need, kv.space),
    STR(wire_need, kv.key),
    BYTES(wire_need, kv.value),
    I64(wire_need, kv.delta),
    U64(wire_need, kv.ttl_ms),
};

static const struct wire_field answer_fields[] = {
    MUST_U64(wire_answer, job),
    MUST_ENUM(wire_answer, kind, WIRE_NEED_KV),
    STR(wire_answer, failure),
    BYTES(wire_answer, data),
    BOOL(wire_answer, truncated),
    LIST(wire_answer, parts, n_parts, &part_table),
    LIST(wire_answer, part_data, n_part_data, &part_data_table),
    U32(wire_answer, http_status),
    LIST(wire_answer, http_headers, n_http_headers, &header_table),
    BOOL(wire_answer, kv_found),
    I64(wire_answer, kv_number),
};

static const struct wire_field plan_fields[] = {
    MUST_U64(wire_plan, job),
    STR(wire_plan, identity),
    STR(wire_plan, message_id),
    STR(wire_plan, subject),
    BOOL(wire_plan, unparsable),
    LIST(wire_plan, steps, n_steps, &step_table),
    LIST(wire_plan, errors, n_errors, &rule_error_table),
    LIST(wire_plan, rules, n_rules, &rule_trace_table),
};

static const struct wire_field fail_fields[] = {
    MUST_U64(wire_fail, job),
    STRUCT(wire_fail, error, &rule_error_table),
    STR(wire_fail, message_id),
    STR(wire_fail, subject),
    LIST(wire_fail, rules, n_rules, &rule_trace_table),
};

static const struct wire_field cancel_fields[] = {MUST_U64(wire_cancel, job)};

static const struct wire_field log_fields[] = {
    ENUM(wire_log, level, LOG_LEVELS - 1),
    U64(wire_log, job),
    STR(wire_log, rule),
    STRUCT(wire_log, place, &place_table),
    MUST_STR(wire_log, text),
};

static const struct wire_field ready_fields[] = {MUST_U32(wire_ready, pid)};

const struct wire_table wire_schema[WIRE_TYPES] = {
    [WIRE_LOAD] = TABLE(wire_load, load),       [WIRE_CONFIG] = TABLE(wire_config, config),
    [WIRE_SCOPE] = TABLE(wire_scope, scope),    [WIRE_SCOPE_REPLY] = TABLE(wire_scope_reply, scope_reply),
    [WIRE_EVAL] = TABLE(wire_eval, eval),       [WIRE_NEED] = TABLE(wire_need, need),
    [WIRE_ANSWER] = TABLE(wire_answer, answer), [WIRE_PLAN] = TABLE(wire_plan, plan),
    [WIRE_FAIL] = TABLE(wire_fail, fail),       [WIRE_CANCEL] = TABLE(wire_cancel, cancel),
    [WIRE_LOG] = TABLE(wire_log, log),          [WIRE_READY] = TABLE(wire_ready, ready),
};
