/* Greeting and login: passwords, and tokens that are good for an hour. */
#include "tests/soak/imap_priv.h"

#include <string.h>

#define TOKEN_LIFE HOUR

void imap_greet(peer *p) {
    if (p->server->unavailable) {
        peer_say(p, "* BYE [UNAVAILABLE] the service is being maintained, try again later\r\n");
    } else {
        peer_say(p, "* OK [CAPABILITY %s] ready\r\n", p->server->provider->capabilities);
    }
    peer_send(p);
}

static void expire(soak *s, void *user, uint64_t id) {
    peer *p = g_hash_table_lookup(s->peers, &id);

    (void)user;
    if (p) {
        s->count.token_expiries++;
        peer_end(p, FATE_BYE);
    }
}

static account *account_by_name(soak *s, const char *name, const server *v) {
    for (guint i = 0; i < s->all_accounts->len; i++) {
        account *a = s->all_accounts->pdata[i];
        if (strcmp(a->name, name) == 0 && a->server == v) {
            return a;
        }
    }
    return NULL;
}

static void logged_in(peer *p, const char *tag, account *a) {
    p->account = a;
    p->soak->count.logins++;
    peer_say(p, "%s OK [CAPABILITY %s] logged in\r\n", tag, p->server->provider->capabilities);
}

/* False: said so. */
static bool may_log_in(peer *p, const char *tag, account *a) {
    if (p->server->busy) {
        p->soak->count.refusals++;
        peer_say(p, "%s NO [UNAVAILABLE] Temporary authentication failure\r\n", tag);
        return false;
    }
    if (!a) {
        soak_fail(p->soak, "a login that cannot be: nobody of that name, or a wrong password");
        peer_say(p, "%s NO [AUTHENTICATIONFAILED] no\r\n", tag);
    }
    return a && !refused_login(p, tag, a);
}

static void take_password(peer *p, const char *tag, const char *user, const char *password) {
    account *a = strcmp(password, "secret") == 0 ? account_by_name(p->soak, user, p->server) : NULL;

    if (may_log_in(p, tag, a)) {
        logged_in(p, tag, a);
    }
}

/* "user=NAME^Aauth=Bearer NAME.SECONDS^A^A": a token is good for an hour. */
static void take_token(peer *p, const char *tag, const char *raw) {
    soak *s = p->soak;
    g_auto(GStrv) part = g_strsplit(raw, "\001", 3);
    const char *user = part[0] && g_str_has_prefix(part[0], "user=") ? part[0] + 5 : "";
    const char *token = part[0] && part[1] && g_str_has_prefix(part[1], "auth=Bearer ") ? part[1] + 12 : "";
    const char *made = strrchr(token, '.');
    account *a = made && strncmp(token, user, strlen(user)) == 0 ? account_by_name(s, user, p->server) : NULL;

    if (!may_log_in(p, tag, a)) {
        return;
    }
    int64_t until = strtoll(made + 1, NULL, 10) * 1000 - s->wall + TOKEN_LIFE;
    if (a->refusals || until <= s->now) {
        a->refusals -= a->refusals > 0;
        s->count.tokens_refused++;
        p->auth_tag = g_strdup(tag);
        peer_say(p, "+ eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0=\r\n"); /* {"status":"400","schemes":"Bearer"} */
        return;
    }
    agenda_add(s, until, expire, NULL, p->id);
    logged_in(p, tag, a);
}

static void take_initial(peer *p, const char *tag, const char *base64) {
    gsize len = 0;
    g_autofree guchar *raw = g_base64_decode(base64, &len);
    g_autofree char *text = g_strndup((char *)raw, len);
    const char *user = text + strlen(text) + 1; /* NUL user NUL password */

    if (g_str_has_prefix(text, "user=")) {
        take_token(p, tag, text);
    } else if (len > 2 && !raw[0]) {
        g_autofree char *terminated = g_malloc0(len + 1);
        memcpy(terminated, raw, len);
        user = terminated + 1;
        take_password(p, tag, user, user + strlen(user) + 1);
    } else {
        peer_say(p, "%s NO [AUTHENTICATIONFAILED] what is that\r\n", tag);
    }
}

void do_authenticate(peer *p, const char *tag, const words *w) {
    if (w->at->len > 3) {
        take_initial(p, tag, word(w, 3));
    } else {
        p->auth_tag = g_strdup(tag);
        peer_say(p, "+ \r\n");
    }
}

void login_line(peer *p, const char *line) {
    g_autofree char *tag = g_steal_pointer(&p->auth_tag);

    if (*line == '*' || !*line) {
        peer_say(p, "%s NO [AUTHENTICATIONFAILED] Invalid credentials\r\n", tag);
    } else {
        take_initial(p, tag, line);
    }
    peer_send(p);
}

void do_login(peer *p, const char *tag, const words *w) {
    take_password(p, tag, word(w, 2), word(w, 3));
}

