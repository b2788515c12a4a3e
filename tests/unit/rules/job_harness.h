/* tests/unit/rules/job_harness.h - a job without an engine: one message, and the needs of one thread answered by hand.
 */
#ifndef TESTS_RULES_JOB_HARNESS_H
#define TESTS_RULES_JOB_HARNESS_H

#include "mail/runtime.h"
#include "tests/unit/rules/vm_harness.h"

struct job_harness {
    struct harness h;
    struct rules rules;
    struct rule rule;
    wire_rule wire_rule;
    rules_job job;
    char *raw;
    GString *asked;   /* what was needed, in order: "header structure kv:get:default:key " */
    const char *http; /* body of the answer to an HTTP need; NULL = it failed */
    GHashTable *kv;   /* "space/key" -> JSON */
    bool fetch_fails;
    wire_need last; /* of kind HTTP or KV; strings in last_message */
    wire_message *last_message;
};

/* One runtime a process: group set-up and tear-down. */
static inline int job_group_init(void **state) {
    *state = mail_runtime_new();
    return *state ? 0 : -1;
}

static inline int job_group_release(void **state) {
    mail_runtime_free(*state);
    return 0;
}

static inline void job_init(struct job_harness *j, const char *raw) {
    memset(j, 0, sizeof *j);
    harness_init(&j->h);
    j->raw = g_strdup(raw);
    j->asked = g_string_new(NULL);
    j->kv = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    j->rules = (struct rules){
        .vm = j->h.vm, .config = wire_message_new(WIRE_CONFIG), .limits = j->h.limits, .create_default = true};
    j->wire_rule.name = (char *)"test";
    j->rule.wire = &j->wire_rule;
    j->job = (rules_job){.rules = &j->rules,
                         .eval = wire_message_new(WIRE_EVAL),
                         .view = mail_view_new(&j->h.limits),
                         .reply = wire_message_new(WIRE_PLAN),
                         .at = &j->rule,
                         .now = 1700000000};
    j->job.steps = g_array_new(FALSE, TRUE, sizeof(wire_step));
    j->job.captures = g_array_new(FALSE, TRUE, sizeof(struct capture));
    wire_eval *eval = &j->job.eval->u.eval;
    eval->job = 7;
    eval->account = wire_str(j->job.eval, "work");
    eval->folder = wire_str(j->job.eval, "INBOX");
    eval->uid = 42;
    eval->uidvalidity = 9;
    eval->size = strlen(raw);
    eval->internaldate = 1699999000;
    wire_strings_add(j->job.eval, &eval->flags, "\\Seen");
    wire_strings_add(j->job.eval, &eval->flags, "Invoice");
}

static inline void job_release(struct job_harness *j) {
    lib_msg_invalidate(&j->job);
    mail_view_free(j->job.view);
    wire_message_free(j->job.eval);
    wire_message_free(j->job.reply);
    wire_message_free(j->job.need);
    wire_message_free(j->job.answer);
    wire_message_free(j->last_message);
    wire_message_free(j->rules.config);
    g_array_unref(j->job.steps);
    g_array_unref(j->job.captures);
    g_hash_table_unref(j->kv);
    g_string_free(j->asked, TRUE);
    g_free(j->raw);
    harness_release(&j->h);
}

static inline void job_add_capture(struct job_harness *j, const char *name, const char *value) {
    struct capture capture = {wire_str(j->job.reply, name), wire_str(j->job.reply, value)};

    g_array_append_val(j->job.captures, capture);
}

static inline void job_give_raw(struct job_harness *j) {
    GBytes *raw = g_bytes_new(j->raw, strlen(j->raw));

    mail_view_set_raw(j->job.view, raw, false);
    g_bytes_unref(raw);
}

static inline void job_answer_kv(struct job_harness *j, const wire_need *need, wire_answer *answer,
                                 wire_message *owner) {
    static const char *const ops[] = {"get", "set", "delete", "incr"};
    g_autofree char *key = g_strconcat(need->kv.space, "/", need->kv.key, NULL);
    const char *old = g_hash_table_lookup(j->kv, key);

    g_string_append_printf(j->asked, "kv:%s:%s ", ops[need->kv.op], key);
    if (need->kv.op == WIRE_KV_SET) {
        g_hash_table_insert(j->kv, g_strdup(key), g_strndup((const char *)need->kv.value.data, need->kv.value.len));
    } else if (need->kv.op == WIRE_KV_DELETE) {
        g_hash_table_remove(j->kv, key);
    } else if (need->kv.op == WIRE_KV_INCR) {
        answer->kv_number = (old ? atoll(old) : 0) + need->kv.delta;
        g_hash_table_insert(j->kv, g_strdup(key), g_strdup_printf("%" G_GINT64_FORMAT, answer->kv_number));
    } else if (old) {
        answer->kv_found = true;
        answer->data = wire_copy(owner, old, strlen(old));
    }
}

static inline void job_answer_http(struct job_harness *j, const wire_need *need, wire_answer *answer,
                                   wire_message *owner) {
    g_string_append_printf(j->asked, "%s:%s ", need->http.method, need->http.url);
    if (!j->http) {
        answer->failure = wire_str(owner, "connection refused");
        return;
    }
    answer->http_status = 200;
    answer->data = wire_copy(owner, j->http, strlen(j->http));
    answer->n_http_headers = 2;
    answer->http_headers = wire_array(owner, wire_header, 2);
    answer->http_headers[0] = (wire_header){wire_str(owner, "Vary"), wire_str(owner, "a")};
    answer->http_headers[1] = (wire_header){wire_str(owner, "vary"), wire_str(owner, "b")};
}

static inline void job_answer_mail(struct job_harness *j, const wire_need *need) {
    static const char *const names[] = {"fields", "header", "structure", "parts", "raw"};
    const char *end = strstr(j->raw, "\n\n");

    g_string_append_printf(j->asked, "%s ", names[need->kind]);
    if (need->kind <= WIRE_NEED_HEADER) {
        mail_view_set_header(j->job.view, j->raw, end ? (size_t)(end - j->raw) + 1 : strlen(j->raw));
    } else {
        job_give_raw(j);
    }
}

/* Answers job->need as a keeper would. */
static inline void job_answer(struct job_harness *j) {
    wire_message *message = g_steal_pointer(&j->job.need);
    wire_message *reply = wire_message_new(WIRE_ANSWER);

    assert_non_null(message);
    assert_int_equal(message->u.need.job, 7);
    reply->u.answer.kind = message->u.need.kind;
    if (message->u.need.kind == WIRE_NEED_KV) {
        job_answer_kv(j, &message->u.need, &reply->u.answer, reply);
    } else if (message->u.need.kind == WIRE_NEED_HTTP) {
        job_answer_http(j, &message->u.need, &reply->u.answer, reply);
    } else if (j->fetch_fails) {
        reply->u.answer.failure = wire_str(reply, "connection lost");
    } else {
        job_answer_mail(j, &message->u.need);
    }
    wire_message_free(j->job.answer);
    j->job.answer = reply;
    wire_message_free(j->last_message);
    j->last_message = message;
    j->last = message->u.need;
}

/* Runs `return function(msg) BODY end` to its end: its first result as text, or the error's text. On h.vm's stack. */
static inline const char *job_lua(struct job_harness *j, const char *body) {
    g_autofree char *source = g_strconcat("return function(msg) ", body, "\nend", NULL);
    struct vm_thread *thread = harness_thread(&j->h, &j->job, source);
    lua_State *L = vm_state(j->h.vm);
    int nargs = 1;
    enum vm_status status;

    lib_msg_push(vm_thread_stack(thread), &j->job);
    while ((status = vm_thread_resume(thread, nargs, &j->h.err)) == VM_YIELD) {
        job_answer(j);
        nargs = 0;
    }
    lua_settop(L, 0);
    if (status == VM_ERROR) {
        lua_pushstring(L, j->h.err.text);
    } else if (lua_gettop(vm_thread_stack(thread)) == 0) {
        lua_pushliteral(L, "nothing");
    } else {
        lua_pushvalue(vm_thread_stack(thread), 1);
        lua_xmove(vm_thread_stack(thread), L, 1);
        luaL_tolstring(L, -1, NULL);
    }
    vm_thread_free(thread);
    return lua_tostring(L, -1);
}

static inline void job_expect(struct job_harness *j, const char *body, const char *expected) {
    const char *got = job_lua(j, body);

    if (strcmp(got, expected) != 0) {
        fail_msg("%s\n gives    %s\n expected %s", body, got, expected);
    }
}

#endif
