#include "bench.h"

static const char header[] = "From: Alice <alice@example.com>\r\nTo: me@example.org\r\nSubject: Report 7\r\n"
                             "Message-ID: <1@example.com>\r\nDate: Tue, 14 Nov 2023 10:00:00 +0100\r\n"
                             "X-Kind: report\r\nMIME-Version: 1.0\r\n"
                             "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
static const char body[] = "--b\r\nContent-Type: text/plain\r\n\r\nThe figures are below.\r\n"
                           "--b\r\nContent-Type: application/pdf; name=r.pdf\r\n"
                           "Content-Disposition: attachment; filename=r.pdf\r\n\r\nPDF\r\n--b--\r\n";

/* A job that is fed what it asks for, and what that was: "structure parts(1)". */
struct fed {
    struct bench *b;
    rules_job *job;
    GString *asked;
};

/* An EVAL with the fields that the scope asks for first. */
static wire_message *first_look(struct bench *b) {
    wire_message *scope = wire_message_new(WIRE_SCOPE_REPLY), *eval = bench_eval(b, "work", "INBOX");
    wire_scope ask = {.account = eval->u.eval.account, .folder = eval->u.eval.folder};

    rules_scope(b->rules, &ask, scope);
    eval->u.eval.level = WIRE_LEVEL_FIELDS;
    eval->u.eval.data = wire_copy(eval, header, strlen(header));
    eval->u.eval.size = strlen(header) + strlen(body);
    for (size_t i = 0; i < scope->u.scope_reply.fields.n; i++) {
        wire_strings_add(eval, &eval->u.eval.fields, scope->u.scope_reply.fields.v[i]);
    }
    wire_message_free(scope);
    return eval;
}

static void add_part(wire_message *m, wire_part *part, const char *section, const char *type, const char *subtype,
                     const char *filename) {
    part->section = wire_str(m, section);
    part->type = wire_str(m, type);
    part->subtype = wire_str(m, subtype);
    part->size = 30;
    if (filename) {
        part->disposition = wire_str(m, "attachment");
        part->disposition_params = wire_array(m, wire_header, 1);
        part->disposition_params[0] = (wire_header){wire_str(m, "filename"), wire_str(m, filename)};
        part->n_disposition_params = 1;
    }
}

static wire_message *answer(const wire_need *need) {
    wire_message *m = wire_message_new(WIRE_ANSWER);
    wire_answer *a = &m->u.answer;
    g_autofree char *whole = g_strconcat(header, body, NULL);

    a->job = need->job;
    a->kind = need->kind;
    switch (need->kind) {
    case WIRE_NEED_FIELDS:
    case WIRE_NEED_HEADER:
        a->data = wire_copy(m, header, strlen(header));
        break;
    case WIRE_NEED_STRUCTURE:
        a->n_parts = 3;
        a->parts = wire_array(m, wire_part, 3);
        add_part(m, &a->parts[0], "", "multipart", "mixed", NULL);
        add_part(m, &a->parts[1], "1", "text", "plain", NULL);
        add_part(m, &a->parts[2], "2", "application", "pdf", "r.pdf");
        break;
    case WIRE_NEED_PARTS:
        a->n_part_data = 1;
        a->part_data = wire_array(m, wire_part_data, 1);
        a->part_data[0].section = wire_str(m, need->names.v[0]);
        a->part_data[0].header = wire_copy(m, "Content-Type: text/plain\r\n\r\n", 28);
        a->part_data[0].body = wire_copy(m, "The figures are below.\r\n", 24);
        break;
    case WIRE_NEED_RAW:
        a->data = wire_copy(m, whole, strlen(whole));
        break;
    case WIRE_NEED_HTTP:
    case WIRE_NEED_KV:
        a->failure = wire_str(m, "offline");
    }
    return m;
}

static void note(GString *asked, const wire_need *need) {
    static const char *const kinds[] = {"fields", "header", "structure", "parts", "raw", "http", "kv"};

    g_string_append_printf(asked, "%s%s", asked->len ? " " : "", kinds[need->kind]);
    for (size_t i = 0; i < need->names.n; i++) {
        g_string_append_printf(asked, "%s%s", i ? "," : "(", need->names.v[i]);
    }
    g_string_append(asked, need->names.n ? ")" : "");
}

/* Runs to the end, answering everything; the plan as text, what was asked in b->needs. g_free. */
static char *run_fed(struct bench *b, wire_message *eval) {
    rules_job *job = rules_begin(b->rules, eval);
    wire_message *reply;

    g_string_truncate(b->needs, 0);
    for (reply = rules_run(job); reply->type == WIRE_NEED; reply = rules_run(job)) {
        note(b->needs, &reply->u.need);
        rules_answer(job, answer(&reply->u.need));
        wire_message_free(reply);
    }
    char *text = bench_reply(reply);
    wire_message_free(reply);
    rules_job_free(job);
    return text;
}

static void assert_asks(void **state, const char *when, const char *plan, const char *needs) {
    struct bench *b = *state;
    g_autofree char *config = g_strdup_printf("rule 'r' { when = %s, actions = { flag 'hit' } }", when);

    bench_load(b, config);
    g_autofree char *got = run_fed(b, first_look(b));
    if (strcmp(got, plan) != 0 || strcmp(b->needs->str, needs) != 0) {
        fail_msg("%s: expected \"%s\" after \"%s\", got \"%s\" after \"%s\"", when, plan, needs, got, b->needs->str);
    }
}

static void what_decides_without_the_body_does_not_fetch_it(void **state) {
    assert_asks(state, "text:contains 'figures' & attachment.name:glob '*.pdf' & from:domain 'other.net'", "", "");
    assert_asks(state, "text:contains 'figures' & attachment.name:glob '*.doc' & from:domain 'example.com'", "",
                "structure");
    assert_asks(state, "text:contains 'figures' & attachment.name:glob '*.pdf' & from:domain 'example.com'", "flag hit",
                "structure parts(1)");
    assert_asks(state, "text:contains 'figures' | from:domain 'example.com'", "flag hit", "");
    assert_asks(state, "text:contains 'nothing' | attachment.name:glob '*.pdf' | from:domain 'other.net'", "flag hit",
                "structure");
    assert_asks(state, "text:contains 'nothing' & (size:over '1MB' | header 'X-None':exists())", "", "");
    assert_asks(state, "~from:domain 'example.com' & text:contains 'figures'", "", "");
    assert_asks(state, "header 'X-Kind':is 'report' & subject:regex '(\\\\d)'", "flag hit", "");
}

static void a_second_rule_uses_what_the_first_fetched(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'a' { when = from:domain 'example.com' & text:contains 'figures', actions = { flag 'A' } }\n"
                  "rule 'b' { when = from:domain 'example.com' & text:contains 'below', actions = { flag 'B' } }\n");
    g_autofree char *plan = run_fed(b, first_look(b));
    assert_string_equal(plan, "flag A; flag B");
    assert_string_equal(b->needs->str, "structure parts(1)");
}

static void a_field_that_was_not_fetched_is_asked_for(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'a' { when = header 'X-Kind':is 'report', actions = { flag 'A' } }");
    wire_message *eval = first_look(b);
    eval->u.eval.fields.n = 0;
    wire_strings_add(eval, &eval->u.eval.fields, "from");
    g_autofree char *plan = run_fed(b, eval);
    assert_string_equal(plan, "flag A");
    assert_true(g_str_has_prefix(b->needs->str, "fields("));
    assert_has(b->needs->str, "fields(x-kind)");
}

static void a_structure_that_the_server_cannot_give_leads_to_the_whole(void **state) {
    struct bench *b = *state;
    wire_message *a = wire_message_new(WIRE_ANSWER);

    bench_load(b, "rule 'a' { when = attachment:exists(), actions = { flag 'A' } }");
    rules_job *job = rules_begin(b->rules, first_look(b));
    wire_message *need = rules_run(job);
    assert_int_equal(need->u.need.kind, WIRE_NEED_STRUCTURE);
    assert_string_equal(need->u.need.rule, "a");
    a->u.answer.kind = WIRE_NEED_STRUCTURE;
    rules_answer(job, a);
    wire_message_free(need);
    need = rules_run(job);
    assert_int_equal(need->type, WIRE_NEED);
    assert_int_equal(need->u.need.kind, WIRE_NEED_RAW);
    rules_answer(job, answer(&need->u.need));
    wire_message_free(need);
    wire_message *plan = rules_run(job);
    assert_int_equal(plan->type, WIRE_PLAN);
    assert_int_equal(plan->u.plan.n_steps, 1);
    wire_message_free(plan);
    rules_job_free(job);
}

/* The outer message's attachments are a picture and the message itself, whose own attachment is not one of them. */
static void an_enclosed_message_keeps_its_attachments_to_itself(void **state) {
    struct bench *b = *state;
    wire_message *eval;
    static const char *const parts[][4] = {
        {"", "multipart", "mixed", NULL},  {"1", "text", "plain", NULL},   {"2", "message", "rfc822", NULL},
        {"2", "multipart", "mixed", NULL}, {"2.1", "text", "plain", NULL}, {"2.2", "application", "pdf", "inner.pdf"},
        {"3", "image", "png", "outer.png"}};

    bench_load(b, "rule 'a' { when = attachment.name:is 'outer.png', actions = { flag 'outer' } }\n"
                  "rule 'b' { when = attachment.name:is 'inner.pdf', actions = { flag 'inner' } }\n"
                  "rule 'c' { when = attachment.type:is 'message/rfc822', actions = { flag 'message' } }\n");
    eval = first_look(b);
    eval->u.eval.level = WIRE_LEVEL_STRUCTURE;
    eval->u.eval.n_parts = G_N_ELEMENTS(parts);
    eval->u.eval.parts = wire_array(eval, wire_part, G_N_ELEMENTS(parts));
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        add_part(eval, &eval->u.eval.parts[i], parts[i][0], parts[i][1], parts[i][2], parts[i][3]);
    }
    wire_message *reply = bench_run(b, eval);
    g_autofree char *plan = bench_reply(reply);
    assert_string_equal(plan, "flag outer; flag message");
    wire_message_free(reply);
}

static void what_cannot_be_fetched_parks_the_message(void **state) {
    struct bench *b = *state;
    wire_message *a = wire_message_new(WIRE_ANSWER);

    bench_load(b, "rule 'a' { when = text:contains 'x', actions = { flag 'A' } }");
    rules_job *job = rules_begin(b->rules, first_look(b));
    wire_message *need = rules_run(job);
    a->u.answer.kind = need->u.need.kind;
    a->u.answer.failure = wire_str(a, "the server says NO");
    rules_answer(job, a);
    wire_message *fail = rules_run(job);
    assert_int_equal(fail->type, WIRE_FAIL);
    assert_has(fail->u.fail.error.text, "the server says NO");
    assert_string_equal(fail->u.fail.error.rule, "a");
    assert_string_equal(fail->u.fail.message_id, "1@example.com");
    wire_message_free(need);
    wire_message_free(fail);
    rules_job_free(job);
}

static void the_scope_names_what_the_first_look_needs(void **state) {
    struct bench *b = *state;
    wire_message *reply = wire_message_new(WIRE_SCOPE_REPLY);
    wire_scope scope = {.job = 3, .account = (char *)(uintptr_t) "work", .folder = (char *)(uintptr_t) "INBOX"};

    bench_load(b, "account 'work' { host = 'h', user = 'u', password = secret.env 'P' }\n"
                  "rule 'a' { folder = 'inbox', when = header 'X-A':is '1' & text:contains 'x', actions = { stop } }\n"
                  "rule 'b' { folder = 'Other', when = header 'X-B':is '1', actions = { stop } }\n"
                  "rule 'c' { when = list_id:exists(), actions = { move 'L/${cc.domain}' }, own = true }\n");
    rules_scope(b->rules, &scope, reply);
    const wire_scope_reply *r = &reply->u.scope_reply;
    GString *fields = g_string_new(NULL);

    for (size_t i = 0; i < r->fields.n; i++) {
        g_string_append_printf(fields, "%s%s", i ? " " : "", r->fields.v[i]);
    }
    assert_int_equal(r->job, 3);
    assert_int_equal(r->rules, 2);
    assert_true(r->own);
    assert_int_equal(r->level, WIRE_LEVEL_FIELDS);
    assert_string_equal(fields->str, "cc date from list-id message-id subject to x-a");
    g_string_free(fields, TRUE);
    wire_message_free(reply);
}

static void a_folder_is_known_by_its_name_here_and_on_the_server(void **state) {
    static const struct {
        const char *folder;
        unsigned rules;
    } list[] = {{"Lists/One", 1}, {"INBOX.Lists.One", 1}, {"Lists/*", 1},
                {"INBOX.*", 1},   {"Lists.One", 0},       {"INBOX", 0}};
    struct bench *b = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        g_autofree char *config = g_strdup_printf("rule 'r' { folder = '%s', actions = { stop } }", list[i].folder);
        wire_message *reply = wire_message_new(WIRE_SCOPE_REPLY);
        wire_scope scope = {.account = (char *)(uintptr_t) "work", .folder = (char *)(uintptr_t) "Lists/One",
                            .server_folder = (char *)(uintptr_t) "INBOX.Lists.One"};
        bench_load(b, config);
        rules_scope(b->rules, &scope, reply);
        if (reply->u.scope_reply.rules != list[i].rules) {
            fail_msg("%s: %u rule(s)", list[i].folder, (unsigned)reply->u.scope_reply.rules);
        }
        wire_message_free(reply);
    }
}

static void the_scope_asks_for_the_structure_where_every_message_needs_it(void **state) {
    static const struct {
        const char *rule;
        enum wire_level level;
    } list[] = {{"when = attachment:exists(), actions = { stop }", WIRE_LEVEL_STRUCTURE},
                {"when = text:contains 'x' | is_list, actions = { stop }", WIRE_LEVEL_STRUCTURE},
                {"when = text:contains 'x' & is_list, actions = { stop }", WIRE_LEVEL_FIELDS},
                {"when = size:over '1MB', actions = { stop }", WIRE_LEVEL_FIELDS},
                {"actions = { stop }", WIRE_LEVEL_FIELDS},
                {"run = function(msg) end", WIRE_LEVEL_HEADER}};
    struct bench *b = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        g_autofree char *config = g_strdup_printf("rule 'r' { %s }", list[i].rule);
        wire_message *reply = wire_message_new(WIRE_SCOPE_REPLY);
        wire_scope scope = {.account = (char *)(uintptr_t) "work", .folder = (char *)(uintptr_t) "INBOX"};
        bench_load(b, config);
        rules_scope(b->rules, &scope, reply);
        if (reply->u.scope_reply.level != list[i].level) {
            fail_msg("%s: level %d", list[i].rule, (int)reply->u.scope_reply.level);
        }
        wire_message_free(reply);
    }
}

static const char mail[] = "From: Bob <bob@example.com>\r\nSubject: Hi 42\r\nMessage-ID: <2@x>\r\n\r\nText.\r\n";

static void a_move_ends_evaluation_unless_the_rule_says_otherwise(void **state) {
    struct bench *b = *state;

    bench_load(
        b,
        "rule 'a' { actions = { flag 'A' } } rule 'b' { actions = { move 'B' } } rule 'c' { actions = { flag 'C' } }");
    assert_plan(b, mail, "flag A; move B");
    bench_load(b, "rule 'b' { actions = { move 'B' }, ['continue'] = true } rule 'c' { actions = { flag 'C' } }");
    assert_plan(b, mail, "flag C; move B");
    bench_load(b, "rule 'a' { actions = { flag 'A' }, ['continue'] = false } rule 'c' { actions = { flag 'C' } }");
    assert_plan(b, mail, "flag A");
    bench_load(b, "rule 'a' { actions = { flag 'A', stop } } rule 'c' { actions = { flag 'C' } }");
    assert_plan(b, mail, "flag A; stop");
    bench_load(b, "rule 'a' { actions = { delete }, ['continue'] = true } rule 'b' { actions = { junk } }");
    assert_plan(b, mail, "delete");
    bench_load(b, "rule 'f' { run = function(msg) msg:move 'F' end } rule 'c' { actions = { flag 'C' } }");
    assert_plan(b, mail, "move F");
}

static void a_rule_on_trial_is_shown_and_ends_nothing(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'a' { dry_run = true, actions = { move 'A', stop } } rule 'b' { actions = { flag 'B' } }");
    assert_plan(b, mail, "(dry) move A; (dry) stop; flag B");
}

static void every_verb_becomes_a_step(void **state) {
    struct bench *b = *state;

    bench_load(
        b,
        "rule 'a' { actions = { flag('A', '\\\\Seen'), unflag { 'B' }, copy('C', { create = false }), archive() } }");
    assert_plan(b, mail, "flag A \\Seen; unflag B; copy C (no create); archive");
    bench_load(b, "defaults { create = false }\nrule 'a' { actions = { copy 'C', move('D', { create = true }) } }");
    assert_plan(b, mail, "copy C (no create); move D");
    bench_load(b, "rule 'a' { actions = junk }");
    assert_plan(b, mail, "junk");
}

static void a_rule_applies_where_it_says(void **state) {
    static const struct {
        const char *place, *account, *folder, *role;
        bool own, applies;
    } list[] = {
        {"folder = 'INBOX'", "work", "inbox", NULL, false, true},
        {"folder = 'INBOX'", "work", "INBOX/Sub", NULL, false, false},
        {"folder = 'inbox/*'", "work", "INBOX/Sub", NULL, false, true},
        {"folder = 'Work'", "work", "work", NULL, false, false},
        {"folder = { 'A', 'Work/*' }", "work", "Work/a/b", NULL, false, true},
        {"folder = 'Work/%'", "work", "Work/a/b", NULL, false, false},
        {"folder = 'Work/%'", "work", "Work/a", NULL, false, true},
        {"folder = 'Work/*'", "work", "Work", NULL, false, false},
        {"folder = '\\\\Junk'", "work", "Spam", "\\Junk", false, true},
        {"folder = '\\\\junk'", "work", "Spam", "\\Junk", false, true},
        {"folder = '\\\\Junk'", "work", "Junk", NULL, false, false},
        {"account = 'work'", "work", "INBOX", NULL, false, true},
        {"account = 'work'", "home", "INBOX", NULL, false, false},
        {"account = { 'work', 'home' }", "home", "INBOX", NULL, false, true},
        {"own = true", "work", "INBOX", NULL, true, true},
        {"own = false", "work", "INBOX", NULL, true, false},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        g_autofree char *config =
            g_strdup_printf("account 'work' { host = 'h', user = 'u', password = secret.env 'P' }\n"
                            "account 'home' { host = 'h', user = 'u', password = secret.env 'P' }\n"
                            "rule 'r' { %s, actions = { stop } }",
                            list[i].place);
        bench_load(b, config);
        wire_message *eval = bench_eval(b, list[i].account, list[i].folder);
        eval->u.eval.level = WIRE_LEVEL_RAW;
        eval->u.eval.data = wire_copy(eval, mail, strlen(mail));
        eval->u.eval.own = list[i].own;
        if (list[i].role) {
            wire_strings_add(eval, &eval->u.eval.roles, list[i].role);
        }
        wire_message *reply = bench_run(b, eval);
        if (reply->u.plan.n_steps != list[i].applies) {
            fail_msg("%s in %s/%s: expected %s", list[i].place, list[i].account, list[i].folder,
                     list[i].applies ? "yes" : "no");
        }
        wire_message_free(reply);
    }
}

static void a_function_that_fails_parks_the_message_or_is_skipped(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'f' {\n  run = function(msg)\n    msg:flag 'F'\n    error 'broken'\n  end }\n"
                  "rule 'c' { actions = { flag 'C' } }");
    assert_plan(b, mail, "fail f:4: broken");
    bench_load(b, "defaults { on_error = 'skip' }\nrule 'f' {\n  run = function(msg)\n    msg:flag 'F'\n    error "
                  "'broken'\n  end }\n"
                  "rule 'c' { actions = { flag 'C' } }");
    wire_message *reply = bench_run(b, bench_raw(b, mail));
    g_autofree char *plan = bench_reply(reply);
    assert_string_equal(plan, "flag C");
    assert_int_equal(reply->u.plan.n_errors, 1);
    assert_string_equal(reply->u.plan.errors[0].text, "broken");
    assert_int_equal(reply->u.plan.errors[0].place.line, 5);
    assert_true(g_str_has_suffix(reply->u.plan.errors[0].place.file, "/config.lua"));
    assert_non_null(reply->u.plan.errors[0].traceback);
    wire_message_free(reply);
}

static void a_trace_tells_of_a_failure(void **state) {
    struct bench *b = *state;
    wire_message *eval;

    bench_load(b, "rule 'a' { actions = { flag 'A' } } rule 'f' { run = function(msg) error 'broken' end }\n"
                  "rule 'c' { actions = { flag 'C' } }");
    eval = bench_raw(b, mail);
    eval->u.eval.trace = true;
    wire_message *reply = bench_run(b, eval);
    assert_int_equal(reply->type, WIRE_FAIL);
    assert_int_equal(reply->u.fail.n_rules, 2);
    assert_string_equal(reply->u.fail.rules[1].name, "f");
    assert_string_equal(reply->u.fail.rules[1].why.v[1], "failed: broken");
    assert_string_equal(reply->u.fail.subject, "Hi 42");
    wire_message_free(reply);
}

static void a_function_waits_for_what_it_reads_and_goes_on(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'f' { when = from:domain 'example.com', run = function(msg)\n"
                  "  if msg.text:find 'figures' then msg:flag 'F' end\nend }\n"
                  "rule 'c' { when = text:contains 'below', actions = { flag 'C' } }");
    g_autofree char *plan = run_fed(b, first_look(b));
    assert_string_equal(plan, "flag F; flag C");
    assert_string_equal(b->needs->str, "structure parts(1)");
}

static void captures_are_of_the_rule_at_work_only(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'a' { when = subject:regex [[Hi (?<n>\\d+)]], actions = { flag 'x${n}' } }\n"
                  "rule 'b' { run = function(msg) msg:flag(msg.captures.n and 'leak' or 'clean') end }\n"
                  "rule 'c' { when = subject:regex [[Hi (?<n>\\d+)]], run = function(msg) msg:flag('y' .. "
                  "msg.captures.n) end }\n");
    assert_plan(b, mail, "flag x42; flag clean; flag y42");
}

static void posts_come_before_the_move_with_ids_that_stay(void **state) {
    struct bench *b = *state;
    const char *config =
        "webhook 'desk' { url = 'http://127.0.0.1/' }\n"
        "rule 'a' { actions = { post 'desk', post 'desk' } }\nrule 'b' { actions = { post 'desk', move 'M' } }";
    char *first[3] = {0};

    bench_load(b, config);
    for (int round = 0; round < 3; round++) {
        wire_message *eval = bench_raw(b, mail);
        eval->u.eval.uidvalidity = 100 + (uint32_t)round;
        eval->u.eval.uid = round == 2 ? 8 : 7;
        wire_message *reply = bench_run(b, eval);
        g_autofree char *plan = bench_reply(reply);
        assert_string_equal(plan, "post desk; post desk; post desk; move M");
        for (size_t i = 0; i < 3; i++) {
            const wire_step *s = &reply->u.plan.steps[i];
            assert_int_equal(strlen(s->event_id), 4 + 43);
            assert_true(s->body.len > 2 && s->body.data[0] == '{');
            if (round == 0) {
                first[i] = g_strdup(s->event_id);
            } else {
                assert_true((strcmp(first[i], s->event_id) == 0) == (round == 1));
            }
        }
        wire_message_free(reply);
    }
    assert_true(strcmp(first[0], first[1]) && strcmp(first[0], first[2]) && strcmp(first[1], first[2]));
    for (size_t i = 0; i < 3; i++) {
        g_free(first[i]);
    }
}

static char *identity_of(struct bench *b, const char *message, const char *object_id) {
    wire_message *eval = bench_raw(b, message);

    eval->u.eval.object_id = wire_str(eval, object_id);
    wire_message *reply = bench_run(b, eval);
    char *identity = g_strdup(reply->u.plan.identity);
    wire_message_free(reply);
    return identity;
}

static void fault_39_a_mail_is_known_by_what_the_server_knows_it_by(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'a' { actions = { stop } }");
    g_autofree char *one = identity_of(b, mail, "M1"), *edited = identity_of(b, "Subject: other\n\nx\n", "M1");
    g_autofree char *two = identity_of(b, mail, "M2"), *without = identity_of(b, mail, NULL);
    assert_string_equal(one, edited);
    assert_string_not_equal(one, two);
    assert_string_not_equal(one, without);
    assert_int_equal(strlen(one), MAIL_IDENTITY_SIZE - 1);
}

static void what_is_no_message_still_meets_the_rules(void **state) {
    struct bench *b = *state;

    bench_load(
        b, "rule 'a' { when = size:under '1MB' & ~from:exists(), actions = { flag 'odd' } }\n"
           "rule 'b' { when = text:contains 'x' | attachment:exists() | subject:exists(), actions = { flag 'X' } }");
    wire_message *reply = bench_run(b, bench_raw(b, "\x01\x02 no header at all\n\xff\xfe"));
    g_autofree char *plan = bench_reply(reply);
    assert_true(reply->u.plan.unparsable);
    assert_true(g_str_has_prefix(plan, "flag odd"));
    wire_message_free(reply);
}

/* --- templates --------------------------------------------------------------------------------------------------- */

static void templates_take_from_the_message(void **state) {
    struct bench *b = *state;

    bench_load(
        b,
        "rule 'a' { actions = { copy 'A/${year}-${month}-${day}/${date:%H%M}', copy '${from.domain}/${from.local}',\n"
        "  copy '${from}/${from.name}', copy '${account}/${folder}/x', copy '$$x/${subject}' } }");
    assert_plan(
        b, "From: \"Bob B.\" <bob@example.com>\r\nSubject: A b\r\nDate: Tue, 14 Nov 2023 23:30:00 -0500\r\n\r\n",
        "copy A/2023-11-14/2330; copy example.com/bob; copy bob@example.com/Bob B.; copy work/INBOX/x; copy $x/A b");
}

static void fault_49_what_a_stranger_wrote_cannot_leave_its_level(void **state) {
    static const struct {
        const char *subject, *expected;
    } list[] = {
        {"x\r\n y", "copy A/x y; flag x_y"},
        {"=?utf-8?q?a=0D=0AA1_DELETE_INBOX?=", "copy A/a  A1 DELETE INBOX; flag a__A1_DELETE_INBOX"},
        {"../../etc", "copy A/.._.._etc; flag ../../etc"},
        {"a/b\\c*d%e", "copy A/a_b_c_d_e; flag a/b_c_d_e"},
        {"quo\"te {5+}", "copy A/quo\"te {5+}; flag quo_te__5+}"},
        {"=?utf-8?b?4oCuZXhl?=", "copy A/_exe; flag _exe"}, /* a bidi override */
        {"..", "fail r:1: folder \"A/..\" has a level \".\" or \"..\""},
        {"", "fail r:1: ${subject} is empty for this message"},
        {"=?utf-8?q?=C3=BCber?=", "copy A/\xc3\xbc"
                                  "ber; flag _ber"},
    };
    struct bench *b = *state;

    bench_load(b, "rule 'r' { actions = { copy 'A/${subject}', flag '${subject}' } }");
    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        g_autofree char *message = g_strdup_printf("From: a@b.c\r\nSubject: %s\r\n\r\n", list[i].subject);
        assert_plan(b, message, list[i].expected);
    }
}

static void fault_49_a_level_of_the_account_s_own_delimiter_is_kept(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'r' { actions = { copy 'A/${from.domain}' } }");
    wire_message *eval = bench_raw(b, mail);
    eval->u.eval.delimiter = '.';
    wire_message *reply = bench_run(b, eval);
    g_autofree char *plan = bench_reply(reply);
    assert_string_equal(plan, "copy A/example_com");
    wire_message_free(reply);
}

static void a_value_is_cut(void **state) {
    struct bench *b = *state;
    GString *message = g_string_new("From: a@b.c\r\nSubject: ");

    for (int i = 0; i < 600; i++) {
        g_string_append(message, "\xc3\xbc");
    }
    g_string_append(message, "\r\n\r\n");
    bench_load(b, "rule 'r' { actions = { copy 'A/${subject}' } }");
    g_autofree char *plan = bench_plan(b, message->str);
    assert_int_equal(strlen(plan), strlen("copy A/") + 200);
    assert_true(g_utf8_validate(plan, -1, NULL));
    g_string_free(message, TRUE);
}

/* The same answers whatever the way, and each rule's own: an index must not show. */
static void ten_thousand_rules_answer_as_one(void **state) {
    struct bench *b = *state;
    GString *config = g_string_new(NULL);

    for (int i = 0; i < 10000; i++) {
        g_string_append_printf(
            config,
            i % 2 ? "rule 'r%d' { when = from:domain 'd%d.example', actions = { flag 'f%d' } }\n"
                  : "rule 'r%d' { when = subject:contains 'word%d.' & from:exists(), actions = { flag 'f%d' } }\n",
            i, i, i);
    }
    bench_load(b, config->str);
    assert_plan(b, "From: a@d777.example\r\nSubject: a word778. and word9998. word99\r\n\r\n",
                "flag f777; flag f778; flag f9998");
    g_string_free(config, TRUE);
}

/* What an index sifts out must be just what the pattern would not have matched. */
static void sifted_patterns_match_as_before(void **state) {
    static const struct {
        const char *condition;
        bool holds;
    } list[] = {
        {"subject:regex 'Invoice'", true},
        {"subject:regex 'invoice'", false},
        {"subject:regex '(?i)inVOICE'", true},
        {"subject:regex('INVOICE', { case = false })", true},
        {"subject:regex 'Invoicex?s? 4711'", true},
        {"subject:regex 'Invoicex* 47'", true},
        {"subject:regex 'Invoicex+ 47'", false},
        {"subject:regex 'Invoicex{0,3} 4711'", true},
        {"subject:regex 'zzzz|Invoice'", true},
        {"subject:regex '(zzzz|Invoice) 4711'", true},
        {"subject:regex '(?:zzzz)?Invoice'", true},
        {"subject:regex '(?!zzzz)Invoice'", true},
        {"subject:regex 'Invoice(?=zzzz)?'", true},
        {"subject:regex '[zzzz]?Invoice'", true},
        {"subject:regex 'Invoice\\\\s4711'", true},
        {"subject:regex 'Invoice\\\\x204711'", true},
        {"subject:regex '(?x) Inv oice'", true},
        {"subject:regex '(?i:iNVOICE) 4711'", true},
        {"subject:regex '\\\\QInvoice\\\\E'", true},
        {"subject:regex 'Invo\\\\x{69}ce'", true},
        {"subject:regex '(?i)r\xc3\x89sum'", true},
        {"subject:regex '(?i)resume'", false},
        {"subject:regex '(?i)plain e'", true},
        {"subject:regex '(?i)\xe2\x84\xaa"
         "elvin'",
         true},
        {"subject:regex '(?i)kelvin'", true},
        {"subject:regex '^Invoice 4711'", true},
        {"subject:regex 'a.c.e'", true},
        {"subject:regex 'ab\\\\.c'", false},
        {"subject:glob '*Invoice*4711*'", true},
        {"subject:glob '*invo[ij]ce*'", true},
        {"subject:glob '*[xyz]zzzz*'", false},
        {"subject:glob '*in?oice 47*'", true},
        {"subject:glob '*\\\\*zzzz*'", false},
    };
    struct bench *b = *state;
    GString *config = g_string_new(NULL), *expected = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        g_string_append_printf(config, "rule 'r%zu' { when = %s, actions = { flag 'f%zu' } }\n", i, list[i].condition,
                               i);
        if (list[i].holds) {
            g_string_append_printf(expected, "%sflag f%zu", expected->len ? "; " : "", i);
        }
    }
    bench_load(b, config->str);
    assert_plan(b,
                "From: a@b.c\r\nSubject: Invoice 4711 abcde r\xc3\xa9sum\xc3\xa9 plain e\xcc\x81 \xe2\x84\xaa"
                "elvin\r\n\r\n",
                expected->str);
    g_string_free(config, TRUE);
    g_string_free(expected, TRUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
        TEST(what_decides_without_the_body_does_not_fetch_it),
        TEST(a_second_rule_uses_what_the_first_fetched),
        TEST(a_field_that_was_not_fetched_is_asked_for),
        TEST(a_structure_that_the_server_cannot_give_leads_to_the_whole),
        TEST(an_enclosed_message_keeps_its_attachments_to_itself),
        TEST(what_cannot_be_fetched_parks_the_message),
        TEST(the_scope_names_what_the_first_look_needs),
        TEST(a_folder_is_known_by_its_name_here_and_on_the_server),
        TEST(the_scope_asks_for_the_structure_where_every_message_needs_it),
        TEST(a_move_ends_evaluation_unless_the_rule_says_otherwise),
        TEST(a_rule_on_trial_is_shown_and_ends_nothing),
        TEST(every_verb_becomes_a_step),
        TEST(a_rule_applies_where_it_says),
        TEST(a_function_that_fails_parks_the_message_or_is_skipped),
        TEST(a_trace_tells_of_a_failure),
        TEST(a_function_waits_for_what_it_reads_and_goes_on),
        TEST(captures_are_of_the_rule_at_work_only),
        TEST(posts_come_before_the_move_with_ids_that_stay),
        TEST(fault_39_a_mail_is_known_by_what_the_server_knows_it_by),
        TEST(what_is_no_message_still_meets_the_rules),
        TEST(templates_take_from_the_message),
        TEST(fault_49_what_a_stranger_wrote_cannot_leave_its_level),
        TEST(fault_49_a_level_of_the_account_s_own_delimiter_is_kept),
        TEST(a_value_is_cut),
        TEST(sifted_patterns_match_as_before),
        TEST(ten_thousand_rules_answer_as_one),
    };
    return cmocka_run_group_tests(tests, bench_start, bench_stop);
}
