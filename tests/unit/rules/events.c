/* Rules on changed flags and on messages that went. */
#include "tests/unit/rules/bench.h"

static const char mail[] = "From: Ann <ann@example.com>\nSubject: Hello\nMessage-ID: <1@example.com>\n\ntext\n";
static const char remains[] = "Message-ID: <1@example.com>\r\n\r\n";

static wire_message *change(struct bench *b, const char *flags, const char *added, const char *removed) {
    wire_message *m = bench_raw(b, mail);
    wire_eval *e = &m->u.eval;

    e->event = WIRE_EVENT_FLAGS;
    e->event_id = wire_str(m, "1.1700000000000");
    if (flags) {
        wire_strings_add(m, &e->flags, flags);
    }
    if (added) {
        wire_strings_add(m, &e->flags_added, added);
    }
    if (removed) {
        wire_strings_add(m, &e->flags_removed, removed);
    }
    return m;
}

static wire_message *gone(struct bench *b, const char *flag) {
    wire_message *m = bench_raw(b, remains);

    m->u.eval.event = WIRE_EVENT_GONE;
    m->u.eval.event_id = wire_str(m, "2.1700000000000");
    m->u.eval.size = 0;
    if (flag) {
        wire_strings_add(m, &m->u.eval.flags, flag);
    }
    return m;
}

#define assert_reply(b, eval, expected)                                                                                \
    do {                                                                                                               \
        wire_message *reply_ = bench_run((b), (eval));                                                                 \
        g_autofree char *plan_ = bench_reply(reply_);                                                                  \
        assert_string_equal(plan_, (expected));                                                                        \
        wire_message_free(reply_);                                                                                     \
    } while (0)

static void a_rule_sees_the_events_it_asks_for(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'n' { actions = flag 'New', continue = true }\n"
                  "rule 'f' { on = 'flags', actions = flag 'Changed' }\n"
                  "rule 'g' { on = 'gone', actions = stop }\n");
    assert_plan(b, mail, "flag New");
    assert_reply(b, change(b, "\\Seen", "\\Seen", NULL), "flag Changed");
    assert_reply(b, gone(b, NULL), "stop");
}

static void a_condition_sees_what_changed(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'a' { on = 'flags', when = flag_added '\\\\flagged', actions = flag 'A', continue = true }\n"
                  "rule 'r' { on = 'flags', when = flag_removed 'Todo' & from:domain 'example.com',\n"
                  "  actions = flag 'R', continue = true }\n"
                  "rule 'h' { on = 'flags', when = has_flag 'todo' & ~flag_added 'todo', actions = flag 'H' }\n");
    assert_reply(b, change(b, "\\Flagged", "\\Flagged", NULL), "flag A");
    assert_reply(b, change(b, NULL, NULL, "todo"), "flag R");
    assert_reply(b, change(b, "todo", "todo", NULL), "");
    assert_reply(b, change(b, "todo", NULL, "\\Seen"), "flag H");
}

static void a_function_sees_what_changed(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'f' { on = 'flags', run = function(msg)\n"
                  "  if msg.event == 'flags' and msg.flags_added['\\\\Flagged'] and not msg.flags_removed.x then\n"
                  "    msg:move('Starred/' .. msg.subject)\n  end\nend }\n");
    assert_reply(b, change(b, "\\Flagged", "\\Flagged", NULL), "move Starred/Hello");
    assert_reply(b, change(b, NULL, NULL, "\\Flagged"), "");
}

static void a_function_knows_of_a_gone_message_what_was_known(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'g' { on = 'gone', when = has_flag 'Ticket', run = function(msg)\n"
                  "  log.info(msg.event, msg.message_id, msg.uid, '[' .. msg.subject .. ']', #msg.to)\n"
                  "  if msg:has_flag 'Bad' then msg:move 'X' end\n  msg:stop()\nend }\n");
    assert_reply(b, gone(b, "Ticket"), "stop");
    assert_has(b->log->str, "gone 1@example.com 7 [] 0");
    assert_reply(b, gone(b, "Other"), "");
}

static void a_function_cannot_act_on_a_gone_message(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'g' { on = 'gone', run = function(msg) msg:flag 'x' end }\n");
    wire_message *reply = bench_run(b, gone(b, NULL));
    g_autofree char *text = bench_reply(reply);
    assert_has(text, "msg:flag needs the message, which is gone");
    wire_message_free(reply);
}

static char *body_of(wire_message *reply) {
    const wire_step *s = reply->u.plan.steps;

    assert_int_equal(reply->u.plan.n_steps, 1);
    return g_strndup((const char *)s->body.data, s->body.len);
}

static void a_webhook_is_told_what_happened(void **state) {
    struct bench *b = *state;

    bench_load(b,
               "webhook 'desk' { url = 'http://127.0.0.1/' }\n"
               "rule 'f' { on = 'flags', actions = post 'desk' }\nrule 'g' { on = 'gone', actions = post 'desk' }\n");
    wire_message *reply = bench_run(b, change(b, "\\Seen", "\\Seen", "Todo"));
    g_autofree char *flags = body_of(reply);
    wire_message_free(reply);
    assert_has(flags, "\"type\":\"message.flags\"");
    assert_has(flags, "\"flags_added\":[\"\\\\Seen\"],\"flags_removed\":[\"Todo\"]");
    assert_has(flags, "\"subject\":\"Hello\"");
    reply = bench_run(b, gone(b, "Todo"));
    g_autofree char *went = body_of(reply);
    wire_message_free(reply);
    assert_has(went, "\"type\":\"message.gone\"");
    assert_has(went, "\"message\":{\"message_id\":\"1@example.com\",\"flags\":[\"Todo\"]}");
}

static void each_change_has_an_id_of_its_own_that_stays(void **state) {
    struct bench *b = *state;
    char *ids[3];

    bench_load(b, "webhook 'desk' { url = 'http://127.0.0.1/' }\nrule 'f' { on = 'flags', actions = post 'desk' }\n");
    for (int i = 0; i < 3; i++) {
        wire_message *eval = change(b, "\\Seen", "\\Seen", NULL);
        eval->u.eval.event_id = wire_str(eval, i < 2 ? "5.1" : "6.1");
        wire_message *reply = bench_run(b, eval);
        ids[i] = g_strdup(reply->u.plan.steps[0].event_id);
        wire_message_free(reply);
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[0], ids[2]);
    for (int i = 0; i < 3; i++) {
        g_free(ids[i]);
    }
}

static void the_scope_of_an_event_is_its_rules(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'n' { when = subject:contains 'x', actions = stop }\n"
                  "rule 'f' { on = 'flags', when = flag_added 'x' & cc:exists(), actions = stop }\n"
                  "rule 'g' { on = 'gone', own = true, actions = stop }\n");
    for (int event = WIRE_EVENT_NEW; event <= WIRE_EVENT_GONE; event++) {
        wire_message *reply = wire_message_new(WIRE_SCOPE_REPLY);
        wire_scope scope = {.job = 1, .account = (char *)"work", .folder = (char *)"INBOX", .event = event};
        rules_scope(b->rules, &scope, reply);
        const wire_scope_reply *out = &reply->u.scope_reply;
        assert_int_equal(out->rules, 1);
        assert_int_equal(out->own, event == WIRE_EVENT_GONE);
        assert_int_equal(out->level, event == WIRE_EVENT_GONE ? WIRE_LEVEL_NOTHING : WIRE_LEVEL_FIELDS);
        bool cc = false;
        for (size_t i = 0; i < out->fields.n; i++) {
            cc |= strcmp(out->fields.v[i], "cc") == 0;
        }
        assert_int_equal(cc, event == WIRE_EVENT_FLAGS);
        wire_message_free(reply);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rule_sees_the_events_it_asks_for, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_condition_sees_what_changed, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_function_sees_what_changed, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_function_knows_of_a_gone_message_what_was_known, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(a_function_cannot_act_on_a_gone_message, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_webhook_is_told_what_happened, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(each_change_has_an_id_of_its_own_that_stays, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(the_scope_of_an_event_is_its_rules, bench_set_up, bench_tear_down),
    };

    return cmocka_run_group_tests_name("rules/events", tests, bench_start, bench_stop);
}
