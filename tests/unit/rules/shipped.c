/* The shipped rule sets, as a config uses them. */
#include "src/rules/rules_priv.h"

#include "mail/runtime.h"
#include "tests/unit/unit.h"

#include <glib/gstdio.h>
#include <string.h>

#define ACCOUNT "account 'a' { host = 'h.example', user = 'u', password = secret.env 'P' }\n"
#define DESK "webhook 'desk' { url = 'https://desk.example/', secret = secret.env 'S' }\n"

/* Loads the config; NULL and the first mistake where it is wrong. */
static struct rules *load(const char *source, char **mistake_out) {
    g_autofree char *folder = g_strdup("/tmp/mailruled-shipped-XXXXXX");
    g_autofree char *path = NULL;
    wire_message *config = wire_message_new(WIRE_CONFIG);
    struct rules *set = NULL;

    assert_non_null(g_mkdtemp(folder));
    path = g_build_filename(folder, "config.lua", NULL);
    assert_true(g_file_set_contents(path, source, -1, NULL));
    assert_null(rules_load(path, false, NULL, config, &set));
    *mistake_out = NULL;
    if (config->u.config.n_mistakes) {
        const wire_mistake *m = &config->u.config.mistakes[0];
        *mistake_out = g_strdup_printf("%u: %s", m->place.line, m->text);
    }
    wire_message_free(config);
    g_unlink(path);
    g_rmdir(folder);
    return set;
}

static wire_message *answer_kv(const wire_need *need, int64_t *counter) {
    wire_message *answer = wire_message_new(WIRE_ANSWER);

    assert_int_equal(need->kind, WIRE_NEED_KV);
    assert_int_equal(need->kv.op, WIRE_KV_INCR);
    answer->u.answer.kind = WIRE_NEED_KV;
    answer->u.answer.kv_number = *counter += need->kv.delta;
    return answer;
}

static void show_step(GString *out, const wire_step *step) {
    g_string_append_printf(out, "%s%s", out->len ? " " : "", wire_verb_name(step->verb));
    if (step->folder) {
        g_string_append_printf(out, ":%s", step->folder);
    }
    for (size_t i = 0; i < step->flags.n; i++) {
        g_string_append_printf(out, ":%s", step->flags.v[i]);
    }
    const char *extra = step->body.data ? strstr((const char *)step->body.data, "\"extra\":") : NULL;
    if (extra) {
        g_string_append_printf(out, ":%.*s", (int)(strlen(extra) - 1), extra + 0);
    }
}

/* What the rules make of a message, as "flag:\\Seen move:Bounces", or the error. */
static char *plan(struct rules *set, const char *mail, int64_t *counter) {
    wire_message *eval = wire_message_new(WIRE_EVAL), *reply;
    GString *out = g_string_new(NULL);

    eval->u.eval.job = 1;
    eval->u.eval.account = wire_str(eval, "a");
    eval->u.eval.folder = wire_str(eval, "INBOX");
    eval->u.eval.uid = 1;
    eval->u.eval.size = strlen(mail);
    eval->u.eval.level = WIRE_LEVEL_RAW;
    eval->u.eval.data = wire_copy(eval, mail, strlen(mail));
    rules_job *job = rules_begin(set, eval);
    while ((reply = rules_run(job))->type == WIRE_NEED) {
        rules_answer(job, answer_kv(&reply->u.need, counter));
        wire_message_free(reply);
    }
    if (reply->type == WIRE_FAIL) {
        g_string_append(out, reply->u.fail.error.text);
    }
    for (size_t i = 0; reply->type == WIRE_PLAN && i < reply->u.plan.n_steps; i++) {
        show_step(out, &reply->u.plan.steps[i]);
    }
    wire_message_free(reply);
    rules_job_free(job);
    return g_string_free(out, FALSE);
}

static void expect(const char *config, const char *mail, const char *expected) {
    g_autofree char *mistake = NULL;
    struct rules *set = load(config, &mistake);
    int64_t counter = 0;

    if (!set) {
        fail_msg("%s\n%s", config, mistake);
    }
    g_autofree char *got = plan(set, mail, &counter);
    if (strcmp(got, expected) != 0) {
        fail_msg("%s\n%s gives    %s\n expected %s", config, mail, got, expected);
    }
    rules_free(set);
}

static void expect_mistake(const char *config, const char *expected) {
    g_autofree char *mistake = NULL;
    struct rules *set = load(config, &mistake);

    assert_null(set);
    assert_string_equal(mistake, expected);
}

static void newsletters_go_to_their_folders(void **state) {
    static const char config[] =
        ACCOUNT "require 'mailruled.newsletters' { lists = {['a.example.org'] = 'Lists/A'},\n"
                "per_list = true, from = {'shop.example'}, except = from:domain 'boss.example' }";

    expect(config, "List-Id: A <a.example.org>\nSubject: x\n\n", "move:Lists/A");
    expect(config, "List-Id: B <b.example.org>\nSubject: x\n\n", "move:Newsletters/b.example.org");
    expect(config, "List-Unsubscribe: <mailto:u@c.example>\nSubject: x\n\n", "move:Newsletters");
    expect(config, "From: n@shop.example\nSubject: x\n\n", "move:Newsletters");
    expect(config, "From: n@boss.example\nList-Id: <a.example.org>\nSubject: x\n\n", "");
    expect(config, "From: n@friend.example\nSubject: x\n\n", "");
    expect(ACCOUNT "require 'mailruled.newsletters' { folder = false, lists = {['a.x'] = 'A'} }",
           "List-Id: <b.x>\nSubject: x\n\n", "");
    expect(ACCOUNT "require 'mailruled.newsletters' ()", "List-Id: <b.x>\nSubject: x\n\n", "move:Newsletters");
}

static void bounces_and_automatic_answers_are_put_aside(void **state) {
    static const char config[] = ACCOUNT "require 'mailruled.autoreplies' {}";

    expect(config,
           "Return-Path: <>\nFrom: MAILER-DAEMON@x.example\nSubject: failed\n"
           "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b--\n",
           "flag:\\Seen move:Bounces");
    expect(config, "Auto-Submitted: auto-replied\nSubject: Away\n\n", "flag:\\Seen move:Auto-Replies");
    expect(config, "Auto-Submitted: auto-generated\nSubject: Out of office: Re: x\n\n",
           "flag:\\Seen move:Auto-Replies");
    expect(config, "Auto-Submitted: auto-generated\nSubject: Your invoice\n\n", "");
    expect(config, "Subject: Lunch next week\n\n", "");
    expect(ACCOUNT "require 'mailruled.autoreplies' { flag = false, replies = 'A' }",
           "Auto-Submitted: auto-replied\nSubject: Away\n\n", "move:A");
}

static void the_helpdesk_gets_tickets_and_no_loops(void **state) {
    static const char config[] = ACCOUNT DESK "require 'mailruled.helpdesk' { webhook = 'desk',\n"
                                              "address = {'support@example.com'}, per_hour = 2 }";

    expect(config, "From: a@b.example\nTo: support@example.com\nSubject: Re: [#4711] broken\n\nHelp\n",
           "post:\"extra\":{\"ticket\":\"4711\"} move:Tickets");
    expect(config, "From: a@b.example\nTo: support@example.com\nSubject: broken\n\nHelp\n",
           "post:\"extra\":{\"ticket\":null} move:Tickets");
    expect(config, "From: a@b.example\nTo: other@example.com\nSubject: broken\n\nHelp\n", "");
    expect(config, "From: a@b.example\nTo: support@example.com\nSubject: x\nAuto-Submitted: auto-replied\n\n",
           "move:Automatic");
    expect(config, "From: support@example.com\nTo: support@example.com\nSubject: x\n\n", "move:Automatic");
}

static void fault_63_a_sender_who_answers_every_answer_is_stopped(void **state) {
    static const char mail[] = "From: robot@b.example\nTo: support@example.com\nSubject: Re: x\n\n";
    g_autofree char *mistake = NULL;
    struct rules *set = load(ACCOUNT DESK "require 'mailruled.helpdesk' { webhook = 'desk', per_hour = 2 }", &mistake);
    int64_t counter = 0;

    assert_non_null(set);
    for (int i = 1; i <= 3; i++) {
        g_autofree char *got = plan(set, mail, &counter);
        assert_string_equal(got, i <= 2 ? "post:\"extra\":{\"ticket\":null} move:Tickets" : "move:Loops");
    }
    rules_free(set);
}

static void a_filter_s_verdict_moves_to_junk(void **state) {
    static const char config[] = ACCOUNT "require 'mailruled.spam' { authserv = 'mx.example.com', score = 8,\n"
                                         "never = {'friend.example'} }";

    expect(config, "X-Spam-Flag: YES\nSubject: x\n\n", "junk");
    expect(config, "X-Spam-Status: Yes, score=9.1 required=5.0\nSubject: x\n\n", "junk");
    expect(config, "X-Spam-Status: No, score=1.0\nSubject: x\n\n", "");
    expect(config, "Authentication-Results: mx.example.com; spf=pass; dmarc=fail (p=none)\nSubject: x\n\n", "junk");
    expect(config, "Authentication-Results: mx.evil.example; dmarc=fail\nSubject: x\n\n", "");
    expect(config, "Authentication-Results: mx.example.com; dmarc=pass\nSubject: x\n\n", "");
    expect(config, "X-Spam-Score: 8.3\nSubject: x\n\n", "junk");
    expect(config, "X-Spam-Score: -1\nSubject: x\n\n", "");
    expect(config, "X-Spam-Score: high\nSubject: x\n\n", "");
    expect(config, "From: me@friend.example\nX-Spam-Flag: YES\nSubject: x\n\n", "");
}

static void mistakes_in_options_are_shown_at_the_user_s_line(void **state) {
    expect_mistake(ACCOUNT "\nrequire 'mailruled.helpdesk' {}", "3: mailruled.helpdesk needs the option 'webhook'");
    expect_mistake(ACCOUNT "require 'mailruled.spam' { never = 'x' }",
                   "2: mailruled.spam: option 'never' must be a table, not a string");
    expect_mistake(ACCOUNT "require 'mailruled.spam' { scor = 1 }",
                   "2: mailruled.spam has no option 'scor'; it has account, authserv, name, never, score, watch");
    expect_mistake(ACCOUNT "require 'mailruled.autoreplies' { bounces = 'a*b' }",
                   "2: folder \"a*b\" contains a wildcard, which names many folders");
    expect_mistake(ACCOUNT "require 'mailruled.nothing' {}", "2: mailruled/nothing.lua: No such file or directory");
}

static int set_up(void **state) {
    g_setenv("MAILRULED_LIBDIR", "rules", TRUE);
    *state = mail_runtime_new();
    return 0;
}

static int tear_down(void **state) {
    mail_runtime_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newsletters_go_to_their_folders),
        cmocka_unit_test(bounces_and_automatic_answers_are_put_aside),
        cmocka_unit_test(the_helpdesk_gets_tickets_and_no_loops),
        cmocka_unit_test(fault_63_a_sender_who_answers_every_answer_is_stopped),
        cmocka_unit_test(a_filter_s_verdict_moves_to_junk),
        cmocka_unit_test(mistakes_in_options_are_shown_at_the_user_s_line),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
