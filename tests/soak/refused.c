/*
 * Fault 9 in its own time: what is counted of logins that are refused (-R).
 *
 *     1:00  account A's password is refused for ever, B's server says UNAVAILABLE until 3:30
 *     3:00  A was refused five times, no two of them within a minute, and is parked; its password is put right
 *     4:10  nobody has tried A since; B is logged in by itself. `mailruled resume A`
 *
 * All letters are handled in the end, as ever.
 */
#include "tests/soak/soak.h"

#include <string.h>

#define TRIES 5          /* then the account is parked */
#define APART MINUTE     /* between two of them, at least */
#define PUT_OFF_LEAST 4  /* logins of B in two hours and a half: at most half an hour and a tenth apart, */
#define PUT_OFF_MOST 25  /* and not for ever as often as in the beginning */

static account *one_with_a_password(soak *s, unsigned which) {
    for (guint i = 0; i < s->all_accounts->len; i++) {
        account *a = s->all_accounts->pdata[i];
        if (!a->server->provider->token && !which--) {
            return a;
        }
    }
    return NULL;
}

bool refused_login(peer *p, const char *tag, account *a) {
    soak *s = p->soak;

    if (s->now < a->unavailable_until) {
        a->put_off++;
        peer_say(p, "%s NO [UNAVAILABLE] the directory does not answer\r\n", tag);
        return true;
    }
    if (!a->unwelcome) {
        return false;
    }
    if (a->refused && s->now - a->refused_at < APART) {
        soak_fail(s, "%s: two refused logins within %d s", a->name, (int)((s->now - a->refused_at) / SECOND));
    }
    a->refused++;
    a->refused_at = s->now;
    soak_log(s, "%s: login refused (%u)", a->name, a->refused);
    peer_say(p, "%s NO [AUTHENTICATIONFAILED] wrong password\r\n", tag);
    return true;
}

static bool is_logged_in(soak *s, const account *a) {
    g_autoptr(GPtrArray) list = peers_of(s, NULL, a);

    return list->len > 0;
}

static void begin(soak *s, void *user, uint64_t number) {
    account *a = one_with_a_password(s, 0), *b = one_with_a_password(s, 1);

    (void)user, (void)number;
    a->unwelcome = true;
    b->unavailable_until = s->now + 5 * HOUR / 2;
    peer_end_all(s, NULL, a, FATE_BYE);
    peer_end_all(s, NULL, b, FATE_BYE);
}

static void put_right(soak *s, void *user, uint64_t number) {
    account *a = one_with_a_password(s, 0);

    (void)user, (void)number;
    if (a->refused != TRIES) {
        soak_fail(s, "%s: %u refused logins, not %u", a->name, a->refused, TRIES);
    }
    a->unwelcome = false;
}

static void resume(soak *s, void *user, uint64_t number) {
    account *a = one_with_a_password(s, 0), *b = one_with_a_password(s, 1);

    (void)user, (void)number;
    if (is_logged_in(s, a)) {
        soak_fail(s, "%s: has logged in although it is parked", a->name);
    }
    if (!is_logged_in(s, b)) {
        soak_fail(s, "%s: was put off %u times and is not logged in", b->name, b->put_off);
    }
    if (b->put_off < PUT_OFF_LEAST || b->put_off > PUT_OFF_MOST) {
        soak_fail(s, "%s: was put off %u times in two hours and a half", b->name, b->put_off);
    }
    printf("%s: refused %u times and parked; %s: put off %u times\n", a->name, a->refused, b->name, b->put_off);
    keeper_command(s, "resume", a->name);
}

void refused_plan(soak *s) {
    int64_t start = s->now - s->now % HOUR;

    agenda_add(s, start + HOUR, begin, NULL, 0);
    agenda_add(s, start + 3 * HOUR, put_right, NULL, 0);
    agenda_add(s, start + 4 * HOUR + 10 * MINUTE, resume, NULL, 0);
}
