/*
 * state/kv.h - small values that rules keep between messages.
 *
 * Namespaces separate owners (a rule, a webhook, the daemon itself). Keys are bytes without NUL, at most LIMIT_KV_KEY;
 * values are bytes, at most LIMIT_KV_VALUE; more is ERROR_LIMIT. Calling rules: state.h.
 */
#ifndef STATE_KV_H
#define STATE_KV_H

#include "state/state.h"

/* value NULL = there is none (or it expired). */
typedef void (*state_kv_fn)(void *user, const error *err, const void *value, size_t len);
typedef void (*state_kv_number_fn)(void *user, const error *err, int64_t value);

void state_kv_get(state *st, const char *ns, const char *key, state_kv_fn done, void *user);
/* ttl_ms 0 = for ever. */
void state_kv_set(state *st, const char *ns, const char *key, const void *value, size_t len, uint64_t ttl_ms,
                  state_done_fn done, void *user);
void state_kv_delete(state *st, const char *ns, const char *key, state_done_fn done, void *user);
/* Adds by (may be negative) to a decimal number, 0 where there is none, and answers the sum. ttl_ms is set when the key
 * is made, not by later calls: a counter per window. ERROR_INVALID if the value is no number or would overflow. */
void state_kv_incr(state *st, const char *ns, const char *key, int64_t by, uint64_t ttl_ms, state_kv_number_fn done,
                   void *user);

#endif
