/* What happens: mail, people who tidy up, cuts, outages, expiries. Each kind of event has its own numbers and its own pace. */
#include "tests/soak/soak.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define AWAKE_MS (10 * SECOND)

/* --- a pace: something that happens again and again until it is over -------------------------------------------------------- */

struct pace {
    chance chance;
    int64_t every; /* on average */
    void (*fn)(soak *s, struct pace *pace);
    server *server;
    account *account;
};

static void beat(soak *s, void *user, uint64_t number) {
    struct pace *pace = user;

    (void)number;
    if (s->over) {
        g_free(pace);
        return;
    }
    pace->fn(s, pace);
    agenda_add(s, s->now + chance_pause(&pace->chance, pace->every), beat, pace, 0);
}

static void keep_pace(soak *s, const char *name, unsigned index, int64_t every, void (*fn)(soak *, struct pace *), server *v,
                      account *a) {
    struct pace *pace = g_new0(struct pace, 1);

    *pace = (struct pace){.every = every, .fn = fn, .server = v, .account = a};
    chance_init(&pace->chance, s->seed, name, index);
    agenda_add(s, s->now + chance_pause(&pace->chance, every), beat, pace, 0);
}

static int64_t between(chance *c, int64_t low, int64_t high) {
    return low + (int64_t)chance_below(c, (uint64_t)(high - low));
}

/* --- mail ---------------------------------------------------------------------------------------------------------------- */

static void deliver(soak *s, account *a, chance *c) {
    enum kind kind = (enum kind)chance_below(c, a->lists ? KINDS : KIND_LIST);
    const char *name = kind != KIND_LIST ? "INBOX" : chance_percent(c, 50) ? "Lists/a" : "Lists/b";
    letter *l = letter_new(s, a, kind);
    folder *f = folder_find(a, name);

    s->count.letters++;
    a->kv += kind == KIND_LUA;
    folder_add(f, l, 0);
    imap_news(f);
}

/* Announced, and gone before anybody can read it. */
static void deliver_ghost(soak *s, account *a) {
    letter *l = letter_new(s, a, KIND_NONE);
    folder *f = folder_find(a, "INBOX");
    uint32_t uid = folder_add(f, l, 0);

    s->count.ghosts++;
    l->tidied = true;
    imap_news(f);
    folder_remove(f, uid);
    imap_news(f);
}

static void mail(soak *s, struct pace *pace) {
    uint64_t n = chance_percent(&pace->chance, 5) ? 3 + chance_below(&pace->chance, 15) : 1;

    while (n--) {
        deliver(s, pace->account, &pace->chance);
    }
    if (chance_percent(&pace->chance, 2)) {
        deliver_ghost(s, pace->account);
    }
}

/* --- people ---------------------------------------------------------------------------------------------------------------- */

/* Somebody removes old messages that are as they shall be. */
static void tidy_folder(soak *s, folder *f) {
    for (guint i = f->entries->len; i-- > 0;) {
        const entry *e = &g_array_index(f->entries, entry, i);
        letter *l = e->letter;
        const char *second;
        uint32_t flags;
        const char *home = letter_home(l, &flags, &second);
        if (!home || strcmp(home, f->name) != 0 || second || s->now - l->at < 2 * HOUR || l->tidied || !letter_is_done(l)) {
            continue;
        }
        l->tidied = true;
        s->count.tidied++;
        folder_remove(f, e->uid);
    }
    imap_news(f);
}

static void tidy(soak *s, struct pace *pace) {
    for (guint i = 0; i < pace->account->folders->len; i++) {
        tidy_folder(s, pace->account->folders->pdata[i]);
    }
}

/* Somebody answers a message. */
static void answer_one(soak *s, struct pace *pace) {
    folder *f = folder_find(pace->account, "INBOX");

    (void)s;
    if (f->entries->len) {
        entry *e = &g_array_index(f->entries, entry, chance_below(&pace->chance, f->entries->len));
        folder_set_flags(f, e, e->flags | FLAG_ANSWERED);
    }
}

/* --- the network ------------------------------------------------------------------------------------------------------------ */

static int by_id(gconstpointer a, gconstpointer b) {
    const peer *const *one = a, *const *other = b;

    return (*one)->id < (*other)->id ? -1 : (*one)->id > (*other)->id;
}

/* One of the account's connections; their order does not depend on where they are in memory. */
static peer *pick_peer(soak *s, const account *a, chance *c) {
    g_autoptr(GPtrArray) list = peers_of(s, NULL, a);
    uint64_t turn = chance_below(c, 1000);

    g_ptr_array_sort(list, by_id);
    for (guint i = list->len; i-- > 0;) {
        if (((peer *)list->pdata[i])->silent) {
            g_ptr_array_remove_index(list, i);
        }
    }
    return list->len ? list->pdata[turn % list->len] : NULL;
}

static void cut(soak *s, struct pace *pace) {
    static const char *const commands[] = {
        "UID FETCH", "UID FETCH", "UID MOVE", "UID MOVE",  "UID STORE", "UID COPY", "UID EXPUNGE",
        "UID SEARCH", "SELECT",   "IDLE",     "STATUS",    "NOOP",      "CREATE",   "LIST",
    };
    account *a = pace->account;
    chance *c = &pace->chance;

    if (chance_percent(c, 50)) { /* in the middle of the next one of these */
        a->armed = commands[chance_below(c, G_N_ELEMENTS(commands))];
        a->armed_how = (int)chance_below(c, ARMED_HOW);
        return;
    }
    enum fate fate = (enum fate)chance_below(c, FATES);
    peer *p = pick_peer(s, a, c);
    if (p) {
        s->count.cuts++;
        soak_log(s, "%s: connection %" G_GUINT64_FORMAT " ends (%d)", a->name, p->id, (int)fate);
        peer_end(p, fate);
    }
}

/* --- servers ---------------------------------------------------------------------------------------------------------------- */

static void restart(soak *s, struct pace *pace) {
    static const enum fate fates[] = {FATE_RESET, FATE_CLOSE, FATE_BYE};

    soak_log(s, "%s: restarted", pace->server->provider->name);
    s->count.cuts += g_hash_table_size(s->peers) / s->servers->len;
    peer_end_all(s, pace->server, NULL, fates[chance_below(&pace->chance, G_N_ELEMENTS(fates))]);
}

static void recover(soak *s, void *user, uint64_t number) {
    server *v = user;

    (void)number;
    soak_log(s, "%s: is back", v->provider->name);
    if (v->down) {
        wire_listen(v, true);
    }
    v->unavailable = v->busy = false;
}

static void outage(soak *s, struct pace *pace) {
    server *v = pace->server;
    int64_t length = between(&pace->chance, 2 * MINUTE, 5 * HOUR);
    unsigned how = (unsigned)chance_below(&pace->chance, 3);

    if (v->down || v->unavailable || v->busy) {
        return;
    }
    s->count.outages++;
    soak_log(s, "%s: outage (%u) for %d minutes", v->provider->name, how, (int)(length / MINUTE));
    peer_end_all(s, v, NULL, how ? FATE_BYE : FATE_RESET);
    if (how == 0) {
        wire_listen(v, false);
    } else if (how == 1) {
        v->unavailable = true;
    } else {
        v->busy = true;
    }
    agenda_add(s, MIN(s->now + length, s->length), recover, v, 0);
}

static void throttle(soak *s, struct pace *pace) {
    s->count.throttles++;
    pace->account->throttled = s->now + between(&pace->chance, 10 * SECOND, 10 * MINUTE);
    soak_log(s, "%s: throttled", pace->account->name);
}

/* What was granted is taken back: the next login is refused, or the next two. */
static void revoke_token(soak *s, struct pace *pace) {
    pace->account->refusals = 1 + (unsigned)chance_below(&pace->chance, 2);
    soak_log(s, "%s: token revoked", pace->account->name);
    peer_end_all(s, NULL, pace->account, FATE_BYE);
}

static void renumber(soak *s, struct pace *pace) {
    account *a = pace->account;
    folder *f = folder_find(a, a->lists && chance_percent(&pace->chance, 30) ? "Lists/a" : "INBOX");

    s->count.validities++;
    soak_log(s, "%s: %s gets another UIDVALIDITY", a->name, f->name);
    peer_end_all(s, NULL, a, FATE_BYE);
    folder_renumber(s, f);
}

static void refuse_hooks(soak *s, struct pace *pace) {
    s->hooks->outage = s->now + between(&pace->chance, MINUTE, 90 * MINUTE); /* a retry falls into the two hours after it */
    soak_log(s, "the receiver of webhooks is out of order");
}

/* --- the machine ---------------------------------------------------------------------------------------------------------------- */

static void start_again(soak *s, void *user, uint64_t number) {
    (void)user, (void)number;
    keeper_start(s);
}

static void kill_daemon(soak *s, void *user, uint64_t away) {
    (void)user;
    if (s->over) {
        return;
    }
    if (!s->pid || s->stopped) {
        agenda_add(s, s->now + 10 * MINUTE, kill_daemon, NULL, away);
        return;
    }
    s->count.kills++;
    soak_log(s, "kill -9, for %d s", (int)(away / 1000));
    keeper_kill(s);
    agenda_add(s, s->now + (int64_t)away, start_again, NULL, 0);
}

/* The other side has ended the connection, or the network has. */
static bool is_given_up(const peer *p) {
    struct tcp_info info;
    socklen_t len = sizeof info;

    return getsockopt(p->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state != TCP_ESTABLISHED;
}

/* It was awake for AWAKE_MS: every connection was asked whether it lives, and those that do not were given up. */
static void check_awake(soak *s, void *user, uint64_t since) {
    g_autoptr(GPtrArray) list = peers_of(s, NULL, NULL);

    if (!s->pid || s->stopped || s->starts != GPOINTER_TO_UINT(user)) {
        return;
    }
    for (guint i = 0; i < list->len; i++) {
        const peer *p = list->pdata[i];
        if (!p->account || p->since >= (int64_t)since || (p->silent && p->silent_since >= (int64_t)since)) {
            continue;
        }
        if (p->silent ? !is_given_up(p) : p->heard_at < (int64_t)since) {
            soak_fail(s, "connection %" G_GUINT64_FORMAT " of %s, %s, heard of %d s before: not asked after a suspend", p->id,
                      p->account->name, p->silent ? "silent" : "alive", (int)((int64_t)since - p->heard_at) / 1000);
        }
    }
}

static void wake(soak *s, void *user, uint64_t number) {
    (void)user, (void)number;
    if (!s->stopped) {
        return;
    }
    keeper_stop(s, false);
    agenda_add(s, s->now + AWAKE_MS, check_awake, GUINT_TO_POINTER(s->starts), (uint64_t)s->now);
}

/* The machine sleeps: the daemon stands still, the world goes on; a third of the times everybody has forgotten it. */
static void sleep_now(soak *s, void *user, uint64_t length) {
    (void)user;
    if (s->over) {
        return;
    }
    if (!s->pid || s->stopped) {
        agenda_add(s, s->now + 10 * MINUTE, sleep_now, NULL, length);
        return;
    }
    s->count.suspends++;
    soak_log(s, "suspended for %d minutes", (int)(length / (uint64_t)MINUTE));
    keeper_stop(s, true);
    if (length % 3 == 0) {
        peer_end_all(s, NULL, NULL, FATE_SILENCE);
    }
    agenda_add(s, s->now + (int64_t)length, wake, NULL, 0);
}

static void plan_machine(soak *s) {
    chance c;

    chance_init(&c, s->seed, "machine", 0);
    for (unsigned i = 0; i < s->kills; i++) {
        int64_t away = chance_percent(&c, 50) ? 1 : between(&c, SECOND, 2 * HOUR);
        agenda_add(s, between(&c, HOUR, s->length - 2 * HOUR), kill_daemon, NULL, (uint64_t)away);
    }
    for (unsigned i = 0; i < s->suspends; i++) {
        int64_t length = between(&c, MINUTE, 4 * HOUR);
        agenda_add(s, between(&c, HOUR, s->length - 5 * HOUR), sleep_now, NULL, (uint64_t)length);
    }
}

void faults_plan(soak *s) {
    for (guint i = 0; i < s->all_accounts->len; i++) {
        account *a = s->all_accounts->pdata[i];
        keep_pace(s, "mail", i, s->mail_every, mail, NULL, a);
        if (s->refused) {
            continue;
        }
        keep_pace(s, "cut", i, s->cut_every, cut, NULL, a);
        keep_pace(s, "tidy", i, 6 * HOUR, tidy, NULL, a);
        keep_pace(s, "answer", i, HOUR, answer_one, NULL, a);
        keep_pace(s, "throttle", i, 40 * HOUR, throttle, NULL, a);
        keep_pace(s, "renumber", i, 60 * HOUR, renumber, NULL, a);
        if (a->server->provider->token) {
            keep_pace(s, "revoke", i, 20 * HOUR, revoke_token, NULL, a);
        }
    }
    if (s->refused) {
        refused_plan(s);
        return;
    }
    for (guint i = 0; i < s->servers->len; i++) {
        keep_pace(s, "restart", i, 12 * HOUR, restart, s->servers->pdata[i], NULL);
        keep_pace(s, "outage", i, 36 * HOUR, outage, s->servers->pdata[i], NULL);
    }
    keep_pace(s, "hooks", 0, 36 * HOUR, refuse_hooks, NULL, NULL);
    plan_machine(s);
}
