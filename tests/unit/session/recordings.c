/*
 * Conversations that were recorded with real servers (CORPUS_DIR/imap/MailKit, see tests/script/recording.h), played to
 * a session: it becomes ready, or fails with the reason that the server gave; and every reply that was recorded reaches
 * it: as the answer to its own command of that kind, or, where it has no such command, as an answer to NOOP that nobody
 * asked for. Skipped where the recordings are absent.
 */
#include "tests/session/talk.h"

#include <string.h>

/* ---- conversations ---- */

typedef struct tally {
    unsigned conversations, ready, whole, replies, played, unasked, cut, made_up, listed, fetched;
} tally;

/* Those that the server ends, and in which words; the rest of them cannot be played. */
static const struct refusal {
    const char *name;
    enum error_code code;
    const char *words;
    unsigned unplayed;
} refusals[] = {
    {"CreateUnexpectedByeCommands", ERROR_NETWORK, "BYE System going down for a reboot", 0},
    {"CreateUnexpectedByeWithAlertCommands", ERROR_NETWORK, "BYE [ALERT] System going down for a reboot", 0},
    {"CreateUnexpectedByeInSaslAuthenticateCommands", ERROR_NETWORK, "BYE disconnecting", 0},
    {"CreateGMailWebAlertCommands", ERROR_AUTH, "Please log in via your web browser", 0},
    {"CreateUnicodeRespTextCommands", ERROR_AUTH, "NO ", 0},
    {"CreateInvalidUntaggedBadResponseCommands", ERROR_REFUSED, "NO [ALERT]", 2}, /* no CAPABILITY after the login */
    {"CreateLoginDisabledCommands", ERROR_AUTH, "LOGINDISABLED", 1}, /* and so nothing is sent */
    {"CreateExchangeUserIsAuthenticatedButNotConnectedCommands", ERROR_AUTH, "authenticated but not connected", 0},
    /* A literal that is longer than it says: what follows it is no response. */
    {"CreateFetchStreamUnsolicitedInfoCommands", ERROR_PROTOCOL, "what is no response", 2},
};

static const struct refusal *refusal_of(const char *name) {
    const char *method = strchr(name, '/') + 1;

    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (strcmp(refusals[i].name, method) == 0) {
            return &refusals[i];
        }
    }
    return NULL;
}

/* What the recorded server said to a command: OK, NO or BAD; NULL if it is a BYE or has no end. */
static const char *recorded_word(const recorded_step *step) {
    static const char *const words[] = {"OK", "NO", "BAD"};
    g_autofree char *tagged = g_strdup_printf("%s ", step->tag);
    const char *at = g_strrstr(step->reply->str, tagged);

    for (size_t i = 0; at && i < G_N_ELEMENTS(words); i++) {
        if (g_str_has_prefix(at + strlen(tagged), words[i])) {
            return words[i];
        }
    }
    return NULL;
}

/* A command that a session does not have, or does not send here. */
static void play_unasked(talk *t, unsigned index, tally *sum) {
    replay_answer_next(t->server, index);
    talk_say_text(t, "NOOP");
    sum->unasked += replay_used(t->server, index);
}

static void play_step(talk *t, unsigned index, tally *sum) {
    const recorded_step *step = t->recording->steps->pdata[index];
    const char *word = recorded_word(step);

    if (!talk_say_text(t, step->command) || (!t->closed && !replay_used(t->server, index))) {
        play_unasked(t, index, sum);
    } else if (word && !t->closed && (strcmp(word, "OK") == 0) != !t->last) {
        fail_msg("%s, step %u: %s was answered %s, and ended with: %s", t->recording->name, step->number,
                 step->command, word, t->last ? t->last : "success");
    }
}

/* Two recordings have several ends: only the last LOGOUT of each is played. */
static bool is_other_end(const recording *r, guint index) {
    const recorded_step *step = r->steps->pdata[index], *last = r->steps->pdata[r->steps->len - 1];

    return step != last && strcmp(step->command, "LOGOUT") == 0;
}

static bool can_be_played(const recording *r, guint index) {
    const recorded_step *step = r->steps->pdata[index];

    return !step->cut && !step->go_on && !is_other_end(r, index);
}

static void play_steps(talk *t, tally *sum) {
    for (guint i = 1; i < t->recording->steps->len && !t->closed; i++) {
        const recorded_step *step = t->recording->steps->pdata[i];
        if (strcmp(step->command, "LOGOUT") == 0 && !is_other_end(t->recording, i)) {
            replay_answer_next(t->server, i);
            session_close(t->session, SESSION_CLOSE_LOGOUT);
            talk_turn_until(t, &t->closed);
        } else if (can_be_played(t->recording, i) && !replay_used(t->server, i)) {
            play_step(t, i, sum);
        }
    }
}

static void check_end(const talk *t, const char *name, const struct refusal *expected) {
    if (!!t->end != !!expected) {
        fail_msg("%s ended with: %s", name, t->end ? t->end->text : "nothing wrong");
    }
    if (expected && (t->end->code != expected->code || !strstr(t->end->text, expected->words))) {
        fail_msg("%s: expected %s %s, ended with %s %s", name, error_code_name(expected->code), expected->words,
                 error_code_name(t->end->code), t->end->text);
    }
    if (expected) {
        print_message("%s is refused: %s\n", name, t->end->text);
    }
}

static void count(talk *t, const struct refusal *expected, tally *sum) {
    unsigned left = 0;

    for (guint i = 0; i < t->recording->steps->len; i++) {
        const recorded_step *step = t->recording->steps->pdata[i];
        sum->replies++;
        sum->cut += (step->cut || is_other_end(t->recording, i)) && !replay_used(t->server, i);
        sum->played += replay_used(t->server, i);
        if (can_be_played(t->recording, i) && !replay_used(t->server, i)) {
            print_message("   not played: %u %s\n", step->number, step->command);
            left++;
        }
    }
    assert_int_equal(left, expected ? expected->unplayed : 0);
    sum->conversations++;
    sum->ready += t->ready;
    sum->whole += left == 0;
    sum->made_up += replay_made_up(t->server);
    sum->listed += t->listed;
    sum->fetched += t->fetched;
}

static void play_conversation(const char *dir, const char *name, tally *sum) {
    const struct refusal *expected = refusal_of(name);
    talk t;

    talk_begin(&t, dir, name, NULL, SESSION_AUTH_AUTO);
    play_steps(&t, sum);
    check_end(&t, name, expected);
    count(&t, expected, sum);
    talk_end(&t);
}

static void every_conversation_can_be_replayed(void **state) {
    g_autofree char *dir = talk_directory();
    g_autoptr(GPtrArray) names = recording_names(dir);
    tally sum = {0};

    (void)state;
    assert_non_null(names);
    for (guint i = 0; i < names->len; i++) {
        play_conversation(dir, names->pdata[i], &sum);
    }
    print_message("%u conversations replayed, %u to their last command, %u sessions became ready\n"
                  "%u replies: %u played, %u of them to a NOOP; %u not in the recording; %u commands beyond it\n"
                  "%u folders listed, %u messages delivered\n",
                  sum.conversations, sum.whole, sum.ready, sum.replies, sum.played, sum.unasked, sum.cut, sum.made_up,
                  sum.listed, sum.fetched);
    assert_true(sum.conversations > 100 && sum.whole >= sum.conversations - 3);
    assert_true(sum.listed > 500 && sum.fetched > 100);
}

/* ---- servers ---- */

#define CAN(name) (UINT64_C(1) << IMAP_CAP_##name)

/* What must hold for a session with each, once it is ready. */
static const struct provider {
    const char *name;
    uint64_t can, cannot;
    uint32_t special; /* uses that its folders are listed with */
    bool idles;
    char delimiter;
    const char *host; /* where it stands, for what is known of it; NULL = nothing is */
} providers[] = {
    {"gmail", CAN(X_GM_EXT_1) | CAN(MOVE) | CAN(UIDPLUS) | CAN(CONDSTORE) | CAN(ESEARCH), CAN(QRESYNC) | CAN(NOTIFY),
     IMAP_ATTR_ALL | IMAP_ATTR_DRAFTS | IMAP_ATTR_IMPORTANT | IMAP_ATTR_SENT | IMAP_ATTR_JUNK | IMAP_ATTR_FLAGGED |
         IMAP_ATTR_TRASH,
     true, '/', NULL},
    {"exchange", CAN(MOVE) | CAN(UIDPLUS) | CAN(LITERAL_PLUS), CAN(CONDSTORE) | CAN(ESEARCH) | CAN(SPECIAL_USE), 0,
     true, '/', "outlook.office365.com"},
    {"yahoo", CAN(MOVE) | CAN(UIDPLUS) | CAN(OBJECTID), CAN(IDLE) | CAN(ESEARCH) | CAN(CONDSTORE), 0, false, '/', NULL},
    {"cyrus", CAN(UIDPLUS) | CAN(CONDSTORE) | CAN(BINARY) | CAN(LOGINDISABLED), CAN(MOVE) | CAN(ESEARCH), 0, true, '/',
     NULL},
    {"dovecot", CAN(MOVE) | CAN(QRESYNC) | CAN(LIST_STATUS) | CAN(SPECIAL_USE), CAN(X_GM_EXT_1) | CAN(NOTIFY),
     IMAP_ATTR_SENT | IMAP_ATTR_DRAFTS | IMAP_ATTR_TRASH | IMAP_ATTR_JUNK, true, '.', NULL},
    {"protonmail", CAN(ID), CAN(IDLE) | CAN(UIDPLUS) | CAN(MOVE) | CAN(NAMESPACE) | CAN(UNSELECT), 0, false, '/', NULL},
    {"common", CAN(IMAP4REV1), CAN(IDLE) | CAN(UIDPLUS) | CAN(MOVE) | CAN(NAMESPACE), 0, false, '/', NULL},
    {"acl", CAN(ACL) | CAN(X_GM_EXT_1), CAN(METADATA), IMAP_ATTR_ALL | IMAP_ATTR_TRASH, true, '/', NULL},
    {"metadata", CAN(METADATA) | CAN(X_GM_EXT_1), CAN(ACL), IMAP_ATTR_ALL | IMAP_ATTR_TRASH, true, '/', NULL},
};

/* What the server does not offer is refused without a word to it. */
static void check_not_sent(talk *t, uint64_t can, uint64_t bit, const char *command) {
    talk_say_text(t, command);
    if (!(can & bit)) {
        assert_non_null(t->last);
        assert_false(t->last_sent);
    } else {
        assert_true(t->last_sent);
    }
}

static void check_provider(const char *dir, const struct provider *p) {
    talk t;

    talk_begin(&t, dir, p->name, p->host, SESSION_AUTH_AUTO);
    if (!t.ready) {
        fail_msg("%s: %s", p->name, t.end ? t.end->text : "not ready");
    }
    uint64_t bits = session_info_get(t.session)->caps->bits;
    if ((bits & p->can) != p->can || bits & p->cannot) {
        fail_msg("%s: has %" G_GINT64_MODIFIER "x, must have %" G_GINT64_MODIFIER "x", p->name, bits, p->can);
    }
    assert_int_equal(session_info_get(t.session)->delimiter, p->delimiter);
    talk_say_text(&t, "LIST \"\" *");
    assert_null(t.last);
    assert_true(t.listed > 0);
    assert_int_equal(t.special & p->special, p->special);
    talk_say_text(&t, "SELECT INBOX");
    assert_null(t.last);
    check_not_sent(&t, bits, CAN(MOVE), "UID MOVE 1 Elsewhere");
    check_not_sent(&t, bits, CAN(UIDPLUS), "UID EXPUNGE 1");
    check_not_sent(&t, bits, CAN(UNSELECT), "UNSELECT");
    talk_say_text(&t, "SELECT INBOX");
    talk_watch(&t);
    assert_true(p->idles ? t.idling && !t.polling : t.polling);
    session_close(t.session, SESSION_CLOSE_LOGOUT);
    talk_turn_until(&t, &t.closed);
    assert_null(t.end);
    talk_end(&t);
}

static void each_server_is_used_for_what_it_is(void **state) {
    g_autofree char *dir = talk_directory();

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(providers); i++) {
        print_message("%s\n", providers[i].name);
        check_provider(dir, &providers[i]);
    }
}

/* Exchange offers MOVE only to whom it knows. */
static void exchange_offers_move_after_the_login_only(void **state) {
    g_autofree char *dir = talk_directory(), *why = NULL;
    recording *r = recording_load(dir, "exchange", &why);
    const recorded_command ask = {.verb = (char *)"CAPABILITY", .args = (char *)""};
    int before = recording_find(r, &ask, NULL);

    (void)state;
    assert_true(before > 0);
    assert_null(strstr(((recorded_step *)r->steps->pdata[before])->reply->str, " MOVE"));
    recording_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_conversation_can_be_replayed),
        cmocka_unit_test(each_server_is_used_for_what_it_is),
        cmocka_unit_test(exchange_offers_move_after_the_login_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
