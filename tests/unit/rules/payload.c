/* The body of a webhook: INTERFACE's keys, fitted to max_size, always JSON. */
#include "tests/unit/rules/job_harness.h"

static const char mail[] =
    "From: =?utf-8?q?Ren=C3=A9?= <rene@example.org>\nTo: a@x.example\n"
    "Subject: Order \xc3\xbc\nDate: Tue, 14 Nov 2023 23:13:20 +0200\n"
    "Message-ID: <one@example.org>\nReferences: <a@r>\nIn-Reply-To: <a@r>\n"
    "X-Odd: \xff\xfe\nReceived: 1\nReceived: 2\n"
    "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
    "--b\nContent-Type: text/html; charset=utf-8\n\n<p>Hello</p>\n"
    "--b\nContent-Type: text/csv\nContent-Disposition: attachment; filename=t.csv\n\n1,2\n--b--\n";

struct fixture {
    struct job_harness j;
    wire_webhook webhook;
    struct payload_request request;
    struct vm_error err;
};

static void init(struct fixture *f, uint32_t include) {
    memset(f, 0, sizeof *f);
    job_init(&f->j, mail);
    job_add_capture(&f->j, "number", "4711");
    f->webhook = (wire_webhook){.name = (char *)"desk", .include = include, .max_size = 10 << 20};
    f->request = (struct payload_request){
        .job = &f->j.job, .rule = &f->j.rule, .webhook = &f->webhook, .payload_ref = LUA_NOREF, .event_id = "msg_7"};
}

static void release(struct fixture *f) {
    vm_error_clear(&f->err);
    job_release(&f->j);
}

/* Runs it to its end. */
static enum payload_status run(struct fixture *f, wire_bytes *body_out) {
    struct payload *payload = payload_new(&f->request);
    enum payload_status status;

    vm_error_clear(&f->err);
    while ((status = payload_run(payload, body_out, &f->err)) == PAYLOAD_NEED) {
        job_answer(&f->j);
    }
    payload_free(payload);
    return status;
}

static json_t *build(struct fixture *f) {
    wire_bytes body;

    if (run(f, &body) != PAYLOAD_OK) {
        fail_msg("%s", f->err.text);
    }
    assert_true(body.len <= f->webhook.max_size);
    assert_true(g_utf8_validate((const char *)body.data, (gssize)body.len, NULL));
    json_t *json = json_loadb((const char *)body.data, body.len, 0, NULL);
    assert_non_null(json);
    return json;
}

/* The value at a path such as "message/from/0/name" as compact JSON equals expected. */
static void expect(json_t *json, const char *path, const char *expected) {
    g_auto(GStrv) keys = g_strsplit(path, "/", -1);
    json_t *at = json;

    for (size_t i = 0; keys[i] && at; i++) {
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(keys[i])) : json_object_get(at, keys[i]);
    }
    char *text = at ? json_dumps(at, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (g_strcmp0(text, expected) != 0) {
        fail_msg("%s is %s, expected %s", path, text ? text : "absent", expected ? expected : "absent");
    }
    free(text);
}

static void the_body_has_every_key_of_the_interface(void **state) {
    struct fixture f;

    init(&f, WIRE_INCLUDE_TEXT | WIRE_INCLUDE_HTML | WIRE_INCLUDE_ATTACHMENTS);
    json_t *json = build(&f);
    expect(json, "id", "\"msg_7\"");
    expect(json, "type", "\"message.new\"");
    expect(json, "timestamp", "\"2023-11-14T22:13:20Z\"");
    expect(json, "account", "\"work\"");
    expect(json, "folder", "\"INBOX\"");
    expect(json, "uid", "42");
    expect(json, "uidvalidity", "9");
    expect(json, "rule", "\"test\"");
    expect(json, "captures", "{\"number\":\"4711\"}");
    expect(json, "message/message_id", "\"one@example.org\"");
    expect(json, "message/in_reply_to", "\"a@r\"");
    expect(json, "message/references", "[\"a@r\"]");
    expect(json, "message/thread_key", "\"a@r\"");
    expect(json, "message/date", "\"2023-11-14T21:13:20Z\"");
    expect(json, "message/from", "[{\"name\":\"Ren\xc3\xa9\",\"address\":\"rene@example.org\"}]");
    expect(json, "message/to", "[{\"name\":\"\",\"address\":\"a@x.example\"}]");
    expect(json, "message/cc", "[]");
    expect(json, "message/reply_to", "[]");
    expect(json, "message/subject", "\"Order \xc3\xbc\"");
    expect(json, "message/headers/received", "[\"1\",\"2\"]");
    expect(json, "message/text", "\"Hello\\n\"");
    expect(json, "message/html", "\"<p>Hello</p>\"");
    expect(json, "message/attachments/0/filename", "\"t.csv\"");
    expect(json, "message/attachments/0/type", "\"text/csv\"");
    expect(json, "message/attachments/0/size", "3");
    expect(json, "message/attachments/0/sha256",
           "\"17f8af97ad4a7f7639a4c9171d5185cbafb85462877a4746c21bdb0a4f940ca0\"");
    expect(json, "message/attachments/0/content", "\"MSwy\"");
    expect(json, "message/flags", "[\"\\\\Seen\",\"Invoice\"]");
    expect(json, "message/class/auto", "false");
    expect(json, "message/class/bounce", "false");
    expect(json, "message/class/list", "false");
    expect(json, "message/class/reasons/0", "\"In-Reply-To\"");
    expect(json, "message/raw", NULL);
    assert_non_null(json_object_get(json_object_get(json, "message"), "reply_text"));
    assert_non_null(json_object_get(json_object_get(json, "message"), "size"));
    json_decref(json);
    release(&f);
}

static void what_is_not_included_is_null_and_raw_comes_on_request(void **state) {
    struct fixture f;

    init(&f, WIRE_INCLUDE_RAW);
    json_t *json = build(&f);
    g_autofree char *expected = g_base64_encode((const guchar *)mail, strlen(mail));
    expect(json, "message/text", "null");
    expect(json, "message/reply_text", "null");
    expect(json, "message/html", "null");
    expect(json, "message/attachments/0/content", NULL);
    expect(json, "message/attachments/0/content_omitted", NULL);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "message"), "raw")), expected);
    json_decref(json);
    release(&f);
}

static void a_small_message_is_fetched_whole_a_large_one_in_parts(void **state) {
    struct fixture f;

    init(&f, WIRE_INCLUDE_TEXT);
    json_decref(build(&f));
    assert_string_equal(f.j.asked->str, "raw ");
    release(&f);
    init(&f, WIRE_INCLUDE_TEXT);
    f.j.job.eval->u.eval.size = 50 << 20;
    json_decref(build(&f));
    assert_string_equal(f.j.asked->str, "header structure ");
    release(&f);
}

static void contents_are_fetched_with_the_whole_message_unless_they_cannot_fit(void **state) {
    static const mail_part parts[] = {
        {.section = "", .type = "multipart", .subtype = "mixed"},
        {.section = "1", .depth = 1, .type = "text", .subtype = "html", .size = 12},
        {.section = "2", .depth = 1, .type = "a", .subtype = "b", .disposition = "attachment", .size = 300000}};
    struct fixture f;

    init(&f, WIRE_INCLUDE_TEXT | WIRE_INCLUDE_ATTACHMENTS);
    f.j.job.eval->u.eval.size = 320000;
    mail_view_set_structure(f.j.job.view, parts, 3);
    json_decref(build(&f));
    assert_string_equal(f.j.asked->str, "raw ");
    release(&f);
    init(&f, WIRE_INCLUDE_TEXT | WIRE_INCLUDE_ATTACHMENTS);
    f.j.job.eval->u.eval.size = 320000;
    f.webhook.max_size = 100000;
    mail_view_set_structure(f.j.job.view, parts, 3);
    json_decref(build(&f));
    assert_string_equal(f.j.asked->str, "header parts ");
    release(&f);
}

static void the_same_job_gives_the_same_bytes(void **state) {
    struct fixture f;
    wire_bytes a, b;

    init(&f, WIRE_INCLUDE_TEXT | WIRE_INCLUDE_HTML | WIRE_INCLUDE_ATTACHMENTS | WIRE_INCLUDE_RAW);
    assert_int_equal(run(&f, &a), PAYLOAD_OK);
    assert_int_equal(run(&f, &b), PAYLOAD_OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    release(&f);
}

static void what_does_not_fit_is_left_out_in_order_and_said(void **state) {
    struct fixture f;
    json_t *json;
    GString *big = g_string_new("Subject: x\nX-Long: ");

    for (int i = 0; i < 300; i++) {
        g_string_append(big, "0123456789");
    }
    g_string_append(big,
                    "\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n");
    for (int i = 0; i < 2000; i++) {
        g_string_append(big, "\xc3\xbc");
    }
    g_string_append(big, "\n--b\nContent-Type: text/html\n\n<p>");
    for (int i = 0; i < 3000; i++) {
        g_string_append(big, "y");
    }
    g_string_append(big, "</p>\n--b\nContent-Type: a/b\nContent-Disposition: attachment\n\n");
    for (int i = 0; i < 3000; i++) {
        g_string_append(big, "z");
    }
    g_string_append(big, "\n--b--\n");
    init(&f, WIRE_INCLUDE_TEXT | WIRE_INCLUDE_HTML | WIRE_INCLUDE_ATTACHMENTS | WIRE_INCLUDE_RAW);
    g_free(f.j.raw);
    f.j.raw = g_string_free(big, FALSE);
    f.j.job.eval->u.eval.size = strlen(f.j.raw);

    f.webhook.max_size = 24000; /* neither raw nor contents fit */
    json = build(&f);
    expect(json, "message/raw_omitted", "true");
    expect(json, "message/attachments/0/content_omitted", "true");
    expect(json, "message/attachments/0/content", NULL);
    expect(json, "message/html_omitted", NULL);
    json_decref(json);
    f.webhook.max_size = 19000;
    json = build(&f);
    expect(json, "message/html_omitted", "true");
    expect(json, "message/html", "null");
    expect(json, "message/text_truncated", NULL);
    json_decref(json);
    f.webhook.max_size = 9000;
    json = build(&f);
    expect(json, "message/text_truncated", "true");
    expect(json, "message/headers_omitted", NULL);
    assert_true(json_string_length(json_object_get(json_object_get(json, "message"), "text")) > 500);
    json_decref(json);
    f.webhook.max_size = 1500;
    json = build(&f);
    expect(json, "message/headers_omitted", "true");
    expect(json, "message/subject", "\"x\"");
    json_decref(json);
    f.webhook.max_size = 100;
    wire_bytes body;
    assert_int_equal(run(&f, &body), PAYLOAD_ERROR);
    assert_string_equal(f.err.text, "the body is above max_size even without text and headers");
    release(&f);
}

static void a_message_that_cannot_be_fetched_is_an_error(void **state) {
    struct fixture f;
    wire_bytes body;

    init(&f, WIRE_INCLUDE_TEXT);
    f.j.fetch_fails = true;
    assert_int_equal(run(&f, &body), PAYLOAD_ERROR);
    assert_string_equal(f.err.text, "the message could not be fetched: connection lost");
    release(&f);
}

static enum payload_status run_function(struct fixture *f, const char *source, wire_bytes *body_out) {
    lua_State *L = vm_state(f->j.h.vm);

    lua_settop(L, 0);
    assert_true(vm_run_string(L, source, "config.lua", &f->err));
    f->request.payload_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    enum payload_status status = run(f, body_out);
    luaL_unref(L, LUA_REGISTRYINDEX, f->request.payload_ref);
    return status;
}

static void a_payload_function_replaces_the_body(void **state) {
    struct fixture f;
    wire_bytes body;

    init(&f, 0);
    assert_int_equal(run_function(&f, "return function(msg) return {s = msg.subject, t = #msg.text} end", &body),
                     PAYLOAD_OK);
    assert_int_equal(body.len, strlen("{\"s\":\"Order \xc3\xbc\",\"t\":6}"));
    assert_memory_equal(body.data, "{\"s\":\"Order \xc3\xbc\",\"t\":6}", body.len);
    assert_int_equal(run_function(&f, "return function(msg) return 'plain' end", &body), PAYLOAD_OK);
    assert_memory_equal(body.data, "plain", 5);
    release(&f);
}

static void a_payload_function_only_looks(void **state) {
    struct fixture f;
    wire_bytes body;

    init(&f, 0);
    assert_int_equal(run_function(&f, "return function(msg)\nmsg:flag 'x' return {} end", &body), PAYLOAD_ERROR);
    assert_string_equal(f.err.text, "msg:flag cannot be used in a payload function");
    assert_int_equal(f.err.line, 2);
    assert_int_equal(run_function(&f, "return function(msg) end", &body), PAYLOAD_ERROR);
    assert_string_equal(f.err.text, "the payload function must return a table or a string");
    assert_int_equal(run_function(&f, "return function(msg) return {print} end", &body), PAYLOAD_ERROR);
    assert_string_equal(f.err.text,
                        "what the payload function returned cannot be JSON: it has a value that is neither text, "
                        "number, boolean nor table");
    assert_int_equal(run_function(&f, "return function(msg) while true do end end", &body), PAYLOAD_ERROR);
    assert_int_equal(f.err.blown, VM_BLOWN_INSTRUCTIONS);
    release(&f);
}

static void a_function_posts_with_more_data(void **state) {
    struct fixture f;

    init(&f, 0);
    wire_config *config = &f.j.rules.config->u.config;
    config->webhooks = wire_array(f.j.rules.config, wire_webhook, 1);
    config->webhooks[0] = (wire_webhook){.name = (char *)"desk", .include = 0, .max_size = 10 << 20};
    config->n_webhooks = 1;
    job_expect(&f.j, "local ok = pcall(function() msg:post('desk', {priority = 2}) end) msg:move 'Done' return ok",
               "true");
    assert_int_equal(f.j.job.steps->len, 2);
    const wire_step *step = &g_array_index(f.j.job.steps, wire_step, 0);
    assert_int_equal(step->verb, WIRE_VERB_POST);
    assert_string_equal(step->webhook, "desk");
    json_t *json = json_loadb((const char *)step->body.data, step->body.len, 0, NULL);
    expect(json, "extra", "{\"priority\":2}");
    assert_string_equal(json_string_value(json_object_get(json, "id")), step->event_id);
    json_decref(json);
    job_expect(&f.j, "msg:post 'desc'", "unknown webhook 'desc'; did you mean 'desk'?");
    f.j.fetch_fails = true;
    job_expect(&f.j, "for i = 1, 100 do msg:post 'desk' end", "more than 16 posts for one message");
    release(&f);
}

static void a_function_posts_through_the_payload_function(void **state) {
    struct fixture f;
    lua_State *L;
    int refs[1];

    init(&f, 0);
    L = vm_state(f.j.h.vm);
    wire_config *config = &f.j.rules.config->u.config;
    config->webhooks = wire_array(f.j.rules.config, wire_webhook, 1);
    config->webhooks[0] = (wire_webhook){.name = (char *)"desk", .max_size = 10 << 20};
    config->n_webhooks = 1;
    assert_true(
        vm_run_string(L, "return function(msg) return {n = kv.incr 'n', s = msg.subject} end", "c.lua", &f.err));
    refs[0] = luaL_ref(L, LUA_REGISTRYINDEX);
    f.j.rules.payload_refs = refs;
    job_expect(&f.j, "msg:post 'desk' return 'on'", "on");
    const wire_step *step = &g_array_index(f.j.job.steps, wire_step, 0);
    assert_memory_equal(step->body.data, "{\"n\":1,\"s\":\"Order \xc3\xbc\"}", step->body.len);
    assert_true(vm_run_string(L, "return function(msg) return nothing_of_that_name end", "c.lua", &f.err));
    refs[0] = luaL_ref(L, LUA_REGISTRYINDEX);
    job_expect(&f.j, "local ok, e = pcall(msg.post, msg, 'desk') return e",
               "payload of webhook 'desk': c.lua:1: unknown name 'nothing_of_that_name'");
    release(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_has_every_key_of_the_interface),
        cmocka_unit_test(what_is_not_included_is_null_and_raw_comes_on_request),
        cmocka_unit_test(a_small_message_is_fetched_whole_a_large_one_in_parts),
        cmocka_unit_test(contents_are_fetched_with_the_whole_message_unless_they_cannot_fit),
        cmocka_unit_test(the_same_job_gives_the_same_bytes),
        cmocka_unit_test(what_does_not_fit_is_left_out_in_order_and_said),
        cmocka_unit_test(a_message_that_cannot_be_fetched_is_an_error),
        cmocka_unit_test(a_payload_function_replaces_the_body),
        cmocka_unit_test(a_payload_function_only_looks),
        cmocka_unit_test(a_function_posts_with_more_data),
        cmocka_unit_test(a_function_posts_through_the_payload_function),
    };
    return cmocka_run_group_tests(tests, job_group_init, job_group_release);
}
