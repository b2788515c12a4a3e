#include "bench.h"

static const char account[] = "account 'work' { host = 'imap.example.com', user = 'me', password = secret.env 'P' }\n";

/* The line "N: text..." must be there. */
static void assert_mistake(void **state, const char *config, const char *expected) {
    g_autofree char *mistakes = bench_bad(*state, config);

    if (!strstr(mistakes, expected)) {
        fail_msg("expected \"%s\" for\n%s\ngot:\n%s", expected, config, mistakes);
    }
}

static void an_account_has_every_key(void **state) {
    struct bench *b = *state;

    bench_load(
        b,
        "account 'a' {\n"
        "  host = 'imap.example.com', port = 1993, tls = 'starttls', tls_ca = 'ca.pem', user = 'u',\n"
        "  password = secret.command { 'pass', 'show', 'x' }, auth = 'cram-md5', proxy = 'socks5h://127.0.0.1:9050',\n"
        "  watch = { 'INBOX', 'Work/*', '\\\\Junk' }, backlog = '7d', connections = 2, idle_renew = '5m',\n"
        "  poll = '30s', reconcile = '10m', timeout = '20s', compress = true, allow_expunge = true,\n"
        "  disable_extensions = 'NOTIFY',\n"
        "}\n"
        "account 'b' { host = '127.0.0.1', tls = 'none', user = 'u', backlog = 'all',\n"
        "  oauth2 = { provider = 'google', client_id = 'id', client_secret = secret.file 'cs',\n"
        "             refresh_token = secret.credential 'rt' } }\n");
    const wire_account *a = b->config->u.config.accounts;
    g_autofree char *ca = g_build_filename(b->folder, "ca.pem", NULL);
    assert_int_equal(b->config->u.config.n_accounts, 2);
    assert_int_equal(a[0].port, 1993);
    assert_int_equal(a[0].tls, WIRE_TLS_STARTTLS);
    assert_string_equal(a[0].tls_ca, ca);
    assert_int_equal(a[0].password.kind, WIRE_SECRET_COMMAND);
    assert_int_equal(a[0].password.argv.n, 3);
    assert_int_equal(a[0].auth, WIRE_AUTH_CRAM_MD5);
    assert_int_equal(a[0].watch.n, 3);
    assert_int_equal(a[0].backlog, WIRE_BACKLOG_SINCE);
    assert_int_equal(a[0].backlog_ms, 7 * 86400000);
    assert_int_equal(a[0].idle_renew_ms, 300000);
    assert_true(a[0].compress && a[0].allow_expunge);
    assert_true(a[0].connections_stated && a[0].idle_renew_stated && a[0].poll_stated);
    assert_false(a[1].connections_stated || a[1].idle_renew_stated || a[1].poll_stated || a[1].compress);
    assert_int_equal(a[1].connections, 4);
    assert_int_equal(a[1].poll_ms, 60000);
    assert_int_equal(a[1].port, 143);
    assert_int_equal(a[1].backlog, WIRE_BACKLOG_ALL);
    assert_int_equal(a[1].idle_renew_ms, 540000);
    assert_string_equal(a[1].watch.v[0], "INBOX");
    assert_string_equal(a[1].oauth2.provider, "google");
    assert_int_equal(a[1].oauth2.refresh_token.kind, WIRE_SECRET_CREDENTIAL);
    assert_int_equal(a[1].place.line, 8);
}

static void a_default_that_is_stated_is_told_from_one_that_is_not(void **state) {
    struct bench *b = *state;

    bench_load(b, "defaults { idle_renew = '9m' }\n"
                  "account 'a' { host = 'h', user = 'u', password = secret.env 'P', connections = 4 }\n"
                  "account 'b' { host = 'h', user = 'u', password = secret.env 'P', poll = '1m' }\n");
    const wire_account *a = b->config->u.config.accounts;
    assert_int_equal(a[0].connections, a[1].connections);
    assert_int_equal(a[0].poll_ms, a[1].poll_ms);
    assert_true(a[0].connections_stated && !a[1].connections_stated);
    assert_true(!a[0].poll_stated && a[1].poll_stated);
    assert_true(a[0].idle_renew_stated && a[1].idle_renew_stated); /* for both */
    assert_int_equal(a[0].idle_renew_ms, 540000);
    bench_load(b, "account 'c' { host = 'h', user = 'u', password = secret.env 'P', idle_renew = '9m' }\n"
                  "account 'd' { host = 'h', user = 'u', password = secret.env 'P' }\n");
    a = b->config->u.config.accounts;
    assert_true(a[0].idle_renew_stated && !a[1].idle_renew_stated);
    assert_int_equal(a[0].idle_renew_ms, a[1].idle_renew_ms);
}

static void a_webhook_has_every_key(void **state) {
    struct bench *b = *state;

    bench_load(
        b, "webhook 'desk' {\n  url = 'https://desk.example.com/api', method = 'PUT', headers = { ['X-Team'] = 'a' },\n"
           "  secret = { secret.file 'k1', 'whsec_AAAA' }, timeout = '5s', retries = { '1s', '1m' }, concurrency = 2,\n"
           "  include = { 'text', 'raw' }, max_size = '1MB', allow_private = true,\n"
           "  payload = function(msg) return {} end }\n"
           "webhook 'plain' { url = 'http://127.0.0.1:8080/' }\n");
    const wire_webhook *w = b->config->u.config.webhooks;
    assert_int_equal(b->config->u.config.n_webhooks, 2);
    assert_string_equal(w[0].method, "PUT");
    assert_string_equal(w[0].headers[0].name, "X-Team");
    assert_int_equal(w[0].n_secrets, 2);
    assert_int_equal(w[0].secrets[1].kind, WIRE_SECRET_LITERAL);
    assert_int_equal(w[0].n_retries, 2);
    assert_int_equal(w[0].retries[1], 60000);
    assert_int_equal(w[0].include, WIRE_INCLUDE_TEXT | WIRE_INCLUDE_RAW);
    assert_int_equal(w[0].max_size, 1 << 20);
    assert_true(w[0].allow_private);
    assert_string_equal(w[1].method, "POST");
    assert_int_equal(w[1].timeout_ms, 20000);
    assert_int_equal(w[1].n_retries, 9);
}

static void a_rule_has_every_key(void **state) {
    struct bench *b = *state;
    g_autofree char *config = g_strconcat(
        account,
        "rule 'r' { account = 'work', folder = { 'INBOX', '\\\\Junk' }, on = 'new', when = is_list, dry_run = true,\n"
        "  own = true, limit = 100, on_error = 'skip', ['continue'] = true, actions = { junk } }\n",
        NULL);

    bench_load(b, config);
    const wire_rule *r = b->config->u.config.rules;
    assert_int_equal(r->accounts.n, 1);
    assert_int_equal(r->folders.n, 2);
    assert_int_equal(r->on, WIRE_EVENT_NEW);
    assert_true(r->dry_run && r->own);
    assert_int_equal(r->limit, 100);
}

static void defaults_and_the_rest(void **state) {
    struct bench *b = *state;
    g_autofree char *state_dir = g_build_filename(b->folder, "state", NULL);

    bench_load(b, "state 'state'\ncontrol '/run/x.sock'\nmetrics '127.0.0.1:9464'\n"
                  "defaults { limits = { text = '64KB', regex_deadline = '50ms', attempts = 5 }, create = false,\n"
                  "  on_error = 'skip', idle_renew = '3m', quarantine_flag = 'Stuck' }\n"
                  "account 'a' { host = 'h', user = 'u', password = secret.env 'P' }\n");
    const wire_config *c = &b->config->u.config;
    assert_string_equal(c->state_dir, state_dir);
    assert_string_equal(c->control, "/run/x.sock");
    assert_string_equal(c->metrics, "127.0.0.1:9464");
    assert_string_equal(c->quarantine_flag, "Stuck");
    assert_int_equal(c->limits.text, 64 << 10);
    assert_int_equal(c->limits.regex_deadline, 50);
    assert_int_equal(c->limits.attempts, 5);
    assert_int_equal(c->limits.deadline, 2000);
    assert_int_equal(c->accounts[0].idle_renew_ms, 180000);
    assert_int_equal(c->accounts[0].port, 993);
}

static void ten_different_mistakes_are_ten(void **state) {
    static const char *const expected[] = {
        "3: account: port must be a whole number from 1 to 65535",
        "4: account: unknown key \"pasword\"; did you mean \"password\"?",
        "5: account: idle_renew must be a duration",
        "8: webhook: url must start with http:// or https://, not ftp://",
        "9: webhook: max_size must be a size",
        "12: regular expression: missing closing parenthesis",
        "13: unknown webhook \"helpdsk\"; did you mean \"helpdesk\"?",
        "15: rule \"b\" does nothing",
        "17: rule: folder \"\\Jnuk\" is no special use; did you mean \"\\Junk\"?",
        "18: subject has no test \"contain\"; did you mean \"contains\"?",
        "21: rule \"a\" is already defined at ",
        "22: unknown account \"wrok\"; did you mean \"work\"?",
        "24: unknown name ${yaer}; did you mean ${year}?",
    };
    g_autofree char *mistakes = bench_bad(*state, "account 'work' {\n"
                                                  "  host = 'imap.example.com', user = 'me',\n"
                                                  "  port = 70000,\n"
                                                  "  pasword = secret.env 'P',\n"
                                                  "  idle_renew = 'often',\n"
                                                  "}\n"
                                                  "webhook 'helpdesk' {\n"
                                                  "  url = 'ftp://desk.example.com/',\n"
                                                  "  max_size = 'big',\n"
                                                  "}\n"
                                                  "rule 'a' {\n"
                                                  "  when = subject:regex '(x',\n"
                                                  "  actions = { post 'helpdsk' },\n"
                                                  "}\n"
                                                  "rule 'b' { when = is_list }\n"
                                                  "rule 'c' {\n"
                                                  "  folder = '\\\\Jnuk',\n"
                                                  "  when = subject:contain 'x',\n"
                                                  "  actions = { stop },\n"
                                                  "}\n"
                                                  "rule 'a' { actions = { stop } }\n"
                                                  "rule 'd' { account = 'wrok', actions = { stop } }\n"
                                                  "rule 'e' {\n"
                                                  "  actions = { move 'A/${yaer}' } }\n");

    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        if (!strstr(mistakes, expected[i])) {
            fail_msg("expected \"%s\" in:\n%s", expected[i], mistakes);
        }
    }
    assert_true(((struct bench *)*state)->config->u.config.n_mistakes >= 13);
}

static void mistakes_of_accounts(void **state) {
    assert_mistake(state,
                   "account 'a' { host = 'mail.example.com', user = 'u', tls = 'none',\n password = secret.env 'P' }",
                   "1: account \"a\": tls = \"none\" is for loopback addresses only");
    assert_mistake(state, "account 'a' { host = 'imaps://h', user = 'u', password = secret.env 'P' }",
                   "1: account: host is a host name, not a URL");
    assert_mistake(state, "account 'a' { user = 'u', password = secret.env 'P' }", "1: account \"a\" has no host");
    assert_mistake(state, "account 'a' { host = 'h', user = 'u' }", "1: account \"a\" has no password");
    assert_mistake(state, "account 'a' { host = 'h', user = 'u', password = 5 }",
                   "1: account: password must be secret.file");
    assert_mistake(state, "account 'a' { host = 'h', user = 'u',\n tls = 'ssl', password = secret.env 'P' }",
                   "2: account: tls is \"ssl\"; it can be \"implicit\", \"starttls\", \"none\"");
    assert_mistake(state, "account 'a'\n", "1: account \"a\" has no table");
    assert_mistake(state, "account { host = 'h' }", "1: account needs a name");
    assert_mistake(state, "account 'a/b' { host = 'h', user = 'u', password = secret.env 'P' }", "without \"/\"");
    assert_mistake(state,
                   "account 'a' { host = 'h', user = 'u', password = secret.env 'P' }\n"
                   "account 'a' { host = 'h', user = 'u', password = secret.env 'P' }",
                   "2: account \"a\" is already defined at ");
    assert_mistake(state, "account 'a' { host = 'h', user = 'u', password = secret.file {} }",
                   "1: secret.file needs a path");
    assert_mistake(state, "account 'a' { host = 'h', user = 'u', password = secret.env 'P',\n\n watch = {} }",
                   "3: account: watch is an empty list");
}

static void a_password_in_a_file_that_others_read_is_refused(void **state) {
    struct bench *b = *state;
    g_autofree char *path = g_build_filename(b->folder, "config.lua", NULL);
    const char *config = "account 'a' {\n host = 'h', user = 'u',\n password = 'hunter2' }";

    bench_load(b, config);
    assert_int_equal(b->config->u.config.accounts[0].password.kind, WIRE_SECRET_LITERAL);
    assert_int_equal(g_chmod(path, 0644), 0);
    bench_read(b, true);
    g_autofree char *mistakes = bench_mistakes(b);
    assert_has(mistakes, "3: account: password stands in a file that others can read");
    assert_null(strstr(mistakes, "hunter2"));
}

static void mistakes_of_webhooks(void **state) {
    assert_mistake(state, "webhook 'a' {}", "1: webhook \"a\" has no url");
    assert_mistake(state, "webhook 'a' { url = 'nonsense' }", "1: webhook: url \"nonsense\" is no URL");
    assert_mistake(state, "webhook 'a' { url = 'http://h/', headers = { ['X'] = 'a\\r\\nB: c' } }", "line end");
    assert_mistake(state, "webhook 'a' { url = 'http://h/', headers = { ['Webhook-Id'] = 'a' } }",
                   "mailruled sets itself");
    assert_mistake(state, "webhook 'a' { url = 'http://h/', include = { 'texts' } }", "\"texts\" is none of");
    assert_mistake(state, "webhook 'a' { url = 'http://h/', retries = { 'soon' } }", "retries must be a duration");
    assert_mistake(state, "webhook 'a' { url = 'http://h/', payload = 'x' }",
                   "payload must be a function, not a string");
}

static void mistakes_of_rules(void **state) {
    assert_mistake(state, "rule 'r' { actions = { stop }, run = function() end }",
                   "1: rule \"r\" has both actions and run");
    assert_mistake(state, "rule 'r' { actions = { 'stop' } }", "1: rule: actions 1 is the string \"stop\"");
    assert_mistake(state, "rule 'r' { actions = {} }", "1: rule: actions is an empty list");
    assert_mistake(state, "rule 'r' { actions = { forward 'x@y.z' } }", "1: forward is not available yet");
    assert_mistake(state, "rule 'r' {\n actions = { move 'a/../b' } }",
                   "2: folder \"a/../b\" has a level \".\" or \"..\"");
    assert_mistake(state, "rule 'r' {\n actions = { move '' } }", "2: move needs a folder");
    assert_mistake(state, "rule 'r' {\n actions = { move('A', { creat = true }) } }", "2: move: the only option is");
    assert_mistake(state, "rule 'r' {\n actions = { flag 'a b' } }", "2: flag \"a b\"");
    assert_mistake(state, "rule 'r' {\n actions = { move 'A/${date:%Q}' } }", "2: date format \"%Q\": %Q is not known");
    assert_mistake(state, "rule 'r' {\n actions = { move 'A/${' } }", "2: \"${\" without \"}\"");
    assert_mistake(state, "rule 'r' {\n actions = { move 'A', delete } }", "delete comes too late");
    assert_mistake(state, "rule 'r' {\n when = function() end, actions = { stop } }", "2: rule: when is a function");
    assert_mistake(state, "rule 'r' {\n when = not is_list, actions = { stop } }", "2: rule: when is false");
    assert_mistake(state, "rule 'r' {\n when = subject, actions = { stop } }", "2: rule: when must be a condition");
    assert_mistake(state, "rule 'r' {\n limit = 0, actions = { stop } }", "2: rule: limit must be a whole number");
    assert_mistake(state, "rule 'r' {\n on = every '1d', actions = { stop } }",
                   "2: rule: on = every is not there yet");
    assert_mistake(state, "rule 'r' {\n when = flag_added 'x', actions = { stop } }",
                   "2: flag_added tells what changed: it needs on = \"flags\"");
    assert_mistake(state, "rule 'r' { on = 'gone',\n when = ~flag_removed 'x', actions = { stop } }",
                   "2: flag_removed tells what changed: it needs on = \"flags\"");
    assert_mistake(state, "rule 'r' { on = 'flags',\n when = flag_added '', actions = { stop } }",
                   "2: flag_added needs a flag");
    assert_mistake(state, "rule 'r' { on = 'gone',\n when = has_flag 'x' & ~subject:contains 'a', actions = { stop } }",
                   "2: subject needs the message, which is gone");
    assert_mistake(state, "rule 'r' { on = 'gone',\n when = size:over '1MB', actions = { stop } }",
                   "2: size needs the message, which is gone");
    assert_mistake(state, "rule 'r' { on = 'gone', actions = {\n stop,\n flag 'x' } }",
                   "3: flag needs the message, which is gone");
    assert_mistake(state, "rule 'r' { on = 'gone',\n actions = move 'Trash' }",
                   "2: move needs the message, which is gone");
    assert_mistake(state, "rule 'r' {\n on = 'never', actions = { stop } }", "2: rule: on is \"never\"");
    assert_mistake(state, "rule 'a' { actions = { delete } }\nrule 'b' { actions = { stop } }",
                   "2: rule \"b\" is never reached: rule \"a\" ends evaluation");
}

static void a_folder_that_nobody_watches_is_told_by_check(void **state) {
    static const char head[] =
        "account 'work' { host = 'h', user = 'u', password = secret.env 'P', watch = { 'INBOX', 'Junk' } }\n"
        "account 'home' { host = 'h', user = 'u', password = secret.env 'P', watch = 'Lists/*' }\n";
    g_autofree char *bad =
        g_strconcat(head, "rule 'a' { account = 'work',\n folder = 'Jnuk', actions = { stop } }", NULL);
    g_autofree char *good =
        g_strconcat(head, "rule 'a' { folder = { 'inbox', 'Lists/x', '\\\\Junk' }, actions = { stop } }", NULL);

    assert_mistake(state, bad, "4: rule \"a\": no account watches the folder \"Jnuk\"");
    bench_file(*state, "config.lua", bad);
    bench_read(*state, false); /* to run it is no reason to refuse the rest */
    assert_non_null(((struct bench *)*state)->rules);
    g_autofree char *mistakes = bench_bad(*state, good);
    assert_string_equal(mistakes, "");
}

static void mistakes_of_conditions(void **state) {
    static const char *const list[][2] = {
        {"subject:is(5)", "subject:is needs a string"},
        {"subject:is(true)", "subject:is cannot be given a boolean"},
        {"subject:is('x', { cas = true })", "the only option is { case = true }"},
        {"subject:contains ''", "holds for every text"},
        {"subject.is 'x'", "a test is called with a colon"},
        {"subject & is_list", "subject needs a test"},
        {"is_list & 'x'", "& needs conditions on both sides, not a string"},
        {"from:is 'Bob Smith'", "for names use from:contains"},
        {"from:domain 'a@b.c'", "from:address compares addresses"},
        {"from:address 'example.com'", "from:domain compares the domain"},
        {"subject:domain 'a'", "subject has no test \"domain\""},
        {"size:over 'x'", "a size such as"},
        {"age:over 'x'", "a duration such as"},
        {"size:is '5'", "size has no test \"is\"; it has over, under"},
        {"subject:glob '[a'", "\"[\" without \"]\""},
        {"subject:regex '(*LIMIT_MATCH=1)a'", "may not set (*LIMIT_MATCH=1)"},
        {"subject:any_of 'a'", "subject:any_of needs a list"},
        {"subject:any_of {}", "the list is empty"},
        {"subject:any_of { 1 }", "needs a list of strings"},
        {"header 'a b':is 'x'", "header needs the name of a field"},
        {"has_flag()", "has_flag needs a flag"},
        {"all {}", "all needs a list"},
        {"any { is_list, 'x' }", "any: entry 2 is no condition but a string"},
        {"subject:in_file 'none.txt'", "in_file: none.txt: No such file"},
        {"subject:in_file '../etc/passwd'", "in_file: ../etc/passwd"},
        {"is_list and subject:is 'x'", "not with `and`, `or`, `not`"},
        {"subject:is 'y' or is_list", "not with `and`, `or`, `not`"},
        {"is_list & not is_auto", "& needs conditions on both sides, not a boolean"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        g_autofree char *config = g_strdup_printf("rule 'r' {\n  when = %s,\n  actions = { stop },\n}", list[i][0]);
        g_autofree char *mistakes = bench_bad(*state, config);
        if (!strstr(mistakes, list[i][1]) || strncmp(mistakes, "2: ", 3) != 0) {
            fail_msg("%s: expected \"%s\" at line 2, got:\n%s", list[i][0], list[i][1], mistakes);
        }
    }
}

static void an_unknown_name_is_a_mistake_and_no_more(void **state) {
    g_autofree char *mistakes =
        bench_bad(*state, "rule 'a' { when = form:is 'x' & is_list, actions = { mvoe 'X' } }\n"
                          "rule 'b' { when = is_list & qqqqqq.bar(3), actions = { stop }, lmit = zzz }\n"
                          "rule 'c' { when = subject:is(undefined), actions = { stop } }\n"
                          "account 'a' { host = xx .. 'y', user = 1, password = secret.env 'P' }\n");

    assert_string_equal(mistakes, "1: unknown name 'form'; did you mean 'from'?\n"
                                  "1: unknown name 'mvoe'; did you mean 'move'?\n"
                                  "2: rule: unknown key \"lmit\"; did you mean \"limit\"?\n"
                                  "2: unknown name 'qqqqqq'\n2: unknown name 'zzz'\n3: unknown name 'undefined'\n"
                                  "4: account: user must be a string, not a number\n4: unknown name 'xx'\n");
}

static void a_condition_may_be_shared_and_kept_in_a_local(void **state) {
    struct bench *b = *state;

    bench_load(b, "local spam = header 'X-Spam':is 'yes' | subject:contains 'viagra'\n"
                  "rule 'a' { when = spam & is_list, actions = { flag 'A' } }\n"
                  "rule 'b' { when = spam, actions = { flag 'B' } }\n");
    assert_plan(b, "From: a@b.c\r\nSubject: Viagra!\r\n\r\n", "flag B");
}

static void a_syntax_error_in_one_file_leaves_the_others_checked(void **state) {
    struct bench *b = *state;

    bench_file(b, "rules/a.lua", "rule 'x' {\n  when = = 3 }");
    bench_file(b, "rules/b.lua", "rule 'y' {\n\n actionz = {} }");
    g_autofree char *mistakes =
        bench_bad(b, "include 'rules/*.lua'\nrule 'z' { actions = { post 'unknown' }, lmit = 3 }");
    assert_has(mistakes, "rules/a.lua:2: unexpected symbol near '='");
    assert_has(mistakes, "rules/b.lua:3: rule: unknown key \"actionz\"; did you mean \"actions\"?");
    assert_has(mistakes, "2: rule: unknown key \"lmit\"; did you mean \"limit\"?");
    assert_null(strstr(mistakes, "unknown webhook")); /* it may be in the file that did not run */
}

static void includes_are_sorted_and_run_once(void **state) {
    struct bench *b = *state;

    bench_file(b, "rules/20.lua", "rule 'second' { actions = { flag 'b' } }");
    bench_file(b, "rules/10.lua", "rule 'first' { actions = { flag 'a' } }\ninclude 'deeper/*.lua'");
    bench_file(b, "rules/deeper/x.lua", "rule 'deep' { actions = { flag 'd' } }");
    bench_load(
        b,
        "include 'rules/*.lua'\ninclude 'rules/*.lua'\ninclude 'none/*.lua'\nrule 'last' { actions = { flag 'c' } }");
    assert_plan(b, "From: a@b.c\r\n\r\n", "flag a; flag d; flag b; flag c");
    assert_true(g_str_has_suffix(b->config->u.config.rules[1].place.file, "/rules/deeper/x.lua"));
}

static void includes_stay_inside_the_folder(void **state) {
    struct bench *b = *state;
    g_autofree char *link = g_build_filename(b->folder, "out.lua", NULL);
    g_autofree char *outside = g_strconcat(b->folder, "-outside.lua", NULL);

    assert_true(g_file_set_contents(outside, "rule 'out' { actions = { stop } }", -1, NULL));
    assert_int_equal(symlink(outside, link), 0);
    g_autofree char *mistakes = bench_bad(b, "include 'out.lua'\ninclude '../*.lua'\ninclude 'missing.lua'");
    g_unlink(outside);
    assert_has(mistakes, "1: include: ");
    assert_has(mistakes, "outside the folder of the config");
    assert_has(mistakes, "3: include: ");
    assert_has(mistakes, "No such file");
}

static void a_config_that_is_not_there_is_a_mistake(void **state) {
    struct bench *b = *state;

    bench_read(b, true);
    g_autofree char *mistakes = bench_mistakes(b);
    assert_null(b->rules);
    assert_has(mistakes, "cannot be read");
}

static void an_endless_config_ends(void **state) {
    assert_mistake(state, "rule 'r' { lmit = 1 }\nwhile true do end", "2: instruction budget");
}

static void functions_cannot_build_config(void **state) {
    struct bench *b = *state;

    bench_load(b, "rule 'r' { run = function(msg)\n  rule 'x' { actions = { stop } }\nend }");
    g_autofree char *plan = bench_plan(b, "From: a@b.c\r\n\r\n");
    assert_has(plan, "fail r:2: this works only while the config is loaded");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_account_has_every_key, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_default_that_is_stated_is_told_from_one_that_is_not, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(a_webhook_has_every_key, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_rule_has_every_key, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(defaults_and_the_rest, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(ten_different_mistakes_are_ten, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(mistakes_of_accounts, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_password_in_a_file_that_others_read_is_refused, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(mistakes_of_webhooks, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(mistakes_of_rules, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_nobody_watches_is_told_by_check, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(mistakes_of_conditions, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_name_is_a_mistake_and_no_more, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_condition_may_be_shared_and_kept_in_a_local, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_syntax_error_in_one_file_leaves_the_others_checked, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(includes_are_sorted_and_run_once, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(includes_stay_inside_the_folder, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_config_that_is_not_there_is_a_mistake, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(an_endless_config_ends, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(functions_cannot_build_config, bench_set_up, bench_tear_down),
    };
    return cmocka_run_group_tests(tests, bench_start, bench_stop);
}
