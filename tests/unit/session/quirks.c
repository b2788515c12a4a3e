/* Who is recognized by what, and what follows: the table of src/session/quirks.c. */
#include "base/limits.h"
#include "session/quirks.h"
#include "tests/unit/unit.h"

#include <glib.h>
#include <string.h>

static session_quirks find(const session_server *server) {
    session_quirks q;

    session_quirks_find(server, &q);
    return q;
}

static imap_capabilities caps_of(const char *list) {
    imap_capabilities caps;

    imap_capabilities_parse(&caps, imap_str_of(list));
    return caps;
}

static bool disbelieves(const session_quirks *q, enum imap_capability cap) {
    return q->disbelieve >> cap & 1;
}

static void a_server_that_is_not_known_has_no_quirk(void **state) {
    const imap_capabilities caps = caps_of("IMAP4rev1 IDLE MOVE UIDPLUS");
    session_quirks q = find(&(session_server){.host = "mail.example.org", .greeting = "OK ready",
                                              .id_name = "Example", .id_vendor = "Example", .caps = &caps});

    assert_string_equal(q.names, "");
    assert_int_equal(q.disbelieve, 0);
    assert_int_equal(q.command_octets, LIMIT_IMAP_COMMAND_LINE);
    assert_int_equal(q.batch, LIMIT_IMAP_BATCH);
    assert_int_equal(q.idle_ms, 0);
    q = find(&(session_server){0});
    assert_string_equal(q.names, "");
}

/* Each by the words of the field. */
static const struct known {
    const char *names;
    session_server server;
    const char *caps;
} known[] = {
    {"gmail", {.host = "imap.gmail.com"}, ""},
    {"gmail", {.greeting = "OK Gimap ready for requests from 127.0.0.1 i9if7359725qay.199"}, ""},
    {"gmail", {.host = "workspace.example.org"}, "IMAP4rev1 IDLE X-GM-EXT-1"},
    {"exchange online",
     {.host = "Outlook.Office365.com", .greeting = "OK The Microsoft Exchange IMAP4 service is ready. [TQ==]"},
     ""},
    {"exchange", {.host = "mail.corp.example", .greeting = "OK The Microsoft Exchange IMAP4 service is ready."}, ""},
    {"exchange", {.greeting = "OK Microsoft Exchange Server 2007 IMAP4 service is ready"}, ""},
    {"yahoo", {.host = "imap.mail.yahoo.com"}, ""},
    {"yahoo", {.host = "imap.aol.com"}, ""},
    {"yahoo", {.host = "relay.example"}, "IMAP4rev1 ID MOVE XYMHIGHESTMODSEQ UIDPLUS"},
    {"yahoo, yahoo japan", {.host = "imap.mail.yahoo.co.jp"}, ""},
    {"icloud", {.host = "p12-imap.mail.me.com"}, "IMAP4rev1 XAPPLEPUSHSERVICE"},
    {"", {.host = "imap.fastmail.com"}, "IMAP4rev1 XAPPLEPUSHSERVICE"},
    {"netease", {.host = "imap.163.com"}, ""},
    {"netease", {.host = "imap.yeah.net"}, ""},
    {"netease", {.host = "imap.hoster.example", .id_name = "Coremail Imap"}, ""},
    {"mail.ru", {.host = "imap.mail.ru"}, ""},
    {"rambler", {.host = "imap.rambler.ru"}, ""},
    {"naver", {.host = "imap.naver.com"}, ""},
    {"1&1", {.host = "imap.gmx.net"}, ""},
    {"1&1", {.host = "imap.web.de"}, ""},
    {"strato", {.host = "imap.strato.de"}, ""},
    {"proton bridge 1", {.host = "127.0.0.1"}, "IMAP4rev1 UIDPLUS MOVE XSTOP"},
    {"proton bridge", {.host = "127.0.0.1", .id_name = "gluon", .id_vendor = "Proton AG"}, "IMAP4rev1 UIDPLUS"},
    {"gnu mailutils", {.greeting = "IMAP4rev1"}, "IMAP4rev1 NAMESPACE ID IDLE LITERAL+ UNSELECT"},
    {"gnu mailutils", {.greeting = "OK IMAP4rev1"}, "IMAP4rev1 NAMESPACE ID IDLE LITERAL+ UNSELECT"},
    {"", {.greeting = "OK IMAP4rev1"}, "IMAP4rev1 IDLE UIDPLUS"},
    {"dovecot", {.id_name = "Dovecot"}, "IMAP4rev1 NOTIFY SAVEDATE"},
    {"dovecot", {.greeting = "OK [CAPABILITY IMAP4rev1] Dovecot (Debian) ready."}, "IMAP4rev1 NOTIFY IMAP4rev2"},
    /* before the login nothing is concluded from what is not there */
    {"dovecot", {.greeting = "OK Dovecot ready."}, NULL},
    {"dovecot, old dovecot", {.greeting = "OK Dovecot ready."}, "IMAP4rev1 NOTIFY"},
    {"dovecot, dovecot before 2.3.15", {.id_name = "Dovecot", .id_version = "2.3.13"}, "IMAP4rev1 NOTIFY SAVEDATE"},
    {"dovecot", {.id_name = "Dovecot", .id_version = "2.3.15"}, "IMAP4rev1 NOTIFY SAVEDATE"},
    {"dovecot", {.id_name = "Dovecot", .id_version = "2.4"}, "IMAP4rev1 NOTIFY SAVEDATE"},
    {"dovecot", {.id_name = "Dovecot", .id_version = "of today"}, "IMAP4rev1 NOTIFY SAVEDATE"},
    {"stalwart", {.greeting = "OK Stalwart IMAP4rev2 at your service."}, ""},
};

static void servers_are_known_by_host_greeting_id_or_a_word(void **state) {
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        session_server server = known[i].server;
        imap_capabilities caps = caps_of(known[i].caps ? known[i].caps : "");
        server.caps = known[i].caps ? &caps : NULL;
        session_quirks q = find(&server);
        if (strcmp(q.names, known[i].names) != 0) {
            fail_msg("row %zu: expected \"%s\", found \"%s\"", i, known[i].names, q.names);
        }
    }
}

static void every_row_is_known_by_something_here_and_names_its_source(void **state) {
    const char *name, *source;

    for (size_t i = 0; (name = session_quirks_row(i, &source)); i++) {
        bool found = false;
        for (size_t k = 0; k < G_N_ELEMENTS(known); k++) {
            g_auto(GStrv) names = g_strsplit(known[k].names, ", ", -1);
            found = found || g_strv_contains((const char *const *)names, name);
        }
        if (!found) {
            fail_msg("\"%s\" is recognized by no example of this test", name);
        }
        assert_true(strlen(source) > 10);
    }
}

static void every_row_stands_in_the_documentation(void **state) {
    g_autofree char *text = NULL;
    const char *name, *source;

    assert_true(g_file_get_contents("docs/providers.md", &text, NULL, NULL));
    for (size_t i = 0; (name = session_quirks_row(i, &source)); i++) {
        g_autofree char *row = g_strdup_printf("`%s`", name);
        if (!strstr(text, row)) {
            fail_msg("docs/providers.md does not name the row %s", row);
        }
    }
}

static void rows_add_up_and_the_more_careful_one_counts(void **state) {
    const imap_capabilities caps = caps_of("IMAP4rev1 XYMHIGHESTMODSEQ XSTOP");
    session_quirks q =
        find(&(session_server){.host = "imap.naver.com", .greeting = "OK Dovecot ready.", .caps = &caps});

    assert_string_equal(q.names, "yahoo, naver, proton bridge 1, dovecot, old dovecot");
    assert_int_equal(q.idle_ms, 55000); /* of 3 minutes and 55 s */
    assert_int_equal(q.command_octets, 1000);
    assert_int_equal(q.poll, SESSION_POLL_SELECT);
    assert_int_equal(q.settle_ms, 2000);
    assert_true(q.check_identity);
    assert_true(disbelieves(&q, IMAP_CAP_IDLE) && disbelieves(&q, IMAP_CAP_UIDPLUS) &&
                disbelieves(&q, IMAP_CAP_NOTIFY));
    assert_false(disbelieves(&q, IMAP_CAP_MOVE));
}

/* Their COMPRESS hangs with commands over 8 KB; how long lines are elsewhere is another matter. */
static void a_dovecot_before_2_3_15_gets_lines_of_8_kb_at_most(void **state) {
    session_quirks old = find(&(session_server){.id_name = "Dovecot", .id_version = "2.3.14"});

    assert_in_range(old.command_octets, 1, 8192);
    assert_false(disbelieves(&old, IMAP_CAP_COMPRESS_DEFLATE));
}

static void what_the_user_states_counts_but_for_what_the_server_does_not_have(void **state) {
    session_quirks gmail = find(&(session_server){.host = "imap.gmail.com"});
    session_quirks dovecot = find(&(session_server){.id_name = "Dovecot"});
    session_quirks none = find(&(session_server){0});

    assert_int_equal(session_quirks_connections(&gmail, 4, false), 4);
    assert_int_equal(session_quirks_connections(&gmail, 12, true), 12);
    assert_int_equal(session_quirks_connections(&gmail, 50, true), 15);
    assert_int_equal(session_quirks_connections(&gmail, 50, false), 7);
    assert_int_equal(session_quirks_connections(&dovecot, 50, false), 10);
    assert_int_equal(session_quirks_connections(&dovecot, 50, true), 50);
    assert_int_equal(session_quirks_connections(&none, 50, true), 50);
    assert_int_equal(session_quirks_connections(&none, 0, true), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_is_not_known_has_no_quirk),
        cmocka_unit_test(servers_are_known_by_host_greeting_id_or_a_word),
        cmocka_unit_test(every_row_is_known_by_something_here_and_names_its_source),
        cmocka_unit_test(every_row_stands_in_the_documentation),
        cmocka_unit_test(rows_add_up_and_the_more_careful_one_counts),
        cmocka_unit_test(a_dovecot_before_2_3_15_gets_lines_of_8_kb_at_most),
        cmocka_unit_test(what_the_user_states_counts_but_for_what_the_server_does_not_have),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
