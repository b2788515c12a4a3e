#include "config_priv.h"

#include "base/text.h"

#include <string.h>

enum { MINUTE = 60 * 1000, SECOND = 1000 };
#define HOUR (60 * (uint64_t)MINUTE)
#define DAY (24 * HOUR)

static const char *const tls_choices[] = {"implicit", "starttls", "none", NULL};
static const char *const auth_choices[] = {"auto",    "plain",       "login",    "cram-md5",
                                           "xoauth2", "oauthbearer", "external", NULL};
static const char *const providers[] = {"google", "microsoft", "yahoo", NULL};

static void read_host(struct reading_key *r, void *target) {
    char *s = reading_string(r);

    if (!s) {
        return;
    }
    if (strstr(s, "://")) {
        reading_mistake(r, "is a host name, not a URL: \"%s\"", s);
    } else if (strpbrk(s, " /@") || strlen(s) > 255) {
        reading_mistake(r, "\"%s\" is no host name", s);
    } else {
        *(char **)target = s;
    }
}

static void read_port(struct reading_key *r, void *target) {
    uint32_t port = 0;

    read_count(r, &port);
    *(uint16_t *)target = (uint16_t)port;
}

static void read_proxy(struct reading_key *r, void *target) {
    static const char *const schemes[] = {"http", "https", "socks4", "socks4a", "socks5", "socks5h", NULL};
    char *s = reading_string(r);
    g_autofree char *scheme = s ? g_uri_parse_scheme(s) : NULL;

    if (s && (!scheme || !g_strv_contains(schemes, scheme))) {
        reading_mistake(r, "must be a URL that starts with socks5h://, socks5://, http:// or https://");
    } else {
        *(char **)target = s;
    }
}

static void read_backlog(struct reading_key *r, void *target) {
    wire_account *account = (wire_account *)(void *)((char *)target - offsetof(wire_account, backlog));
    const char *s = lua_type(r->L, -1) == LUA_TSTRING ? lua_tostring(r->L, -1) : "";

    if (strcmp(s, "none") == 0) {
        account->backlog = WIRE_BACKLOG_NONE;
    } else if (strcmp(s, "all") == 0) {
        account->backlog = WIRE_BACKLOG_ALL;
    } else if (text_parse_duration(s, &account->backlog_ms) && account->backlog_ms) {
        account->backlog = WIRE_BACKLOG_SINCE;
    } else {
        reading_mistake(r, "must be \"none\", \"all\" or a duration such as \"7d\"");
    }
}

/* --- OAuth2 ------------------------------------------------------------------------------------------------------ */

struct oauth2 {
    int provider;
    char *token_url, *device_url, *scope, *client_id;
    wire_secret client_secret, refresh_token;
};

static void read_provider_table(struct reading_key *r, struct oauth2 *o) {
    static const struct key keys[] = {
        {.name = "token_url", .read = read_string, .offset = offsetof(struct oauth2, token_url)},
        {.name = "device_url", .read = read_string, .offset = offsetof(struct oauth2, device_url)},
        {.name = "scope", .read = read_string, .offset = offsetof(struct oauth2, scope)},
    };

    table_read(r->L, r->loader, -1, keys, G_N_ELEMENTS(keys), "account: oauth2.provider", &r->place, o);
    if (!o->token_url || !g_str_has_prefix(o->token_url, "https://")) {
        reading_mistake(r, "needs token_url, an https:// URL");
    }
}

static void read_provider(struct reading_key *r, void *target) {
    if (lua_istable(r->L, -1)) {
        read_provider_table(r, (struct oauth2 *)(void *)((char *)target - offsetof(struct oauth2, provider)));
    } else {
        read_choice(r, target);
    }
}

static void read_oauth2(struct reading_key *r, void *target) {
    static const struct key keys[] = {
        {.name = "provider", .read = read_provider, .offset = offsetof(struct oauth2, provider), .choices = providers},
        {.name = "client_id", .read = read_string, .offset = offsetof(struct oauth2, client_id)},
        {.name = "client_secret", .read = read_secret, .offset = offsetof(struct oauth2, client_secret)},
        {.name = "refresh_token", .read = read_secret, .offset = offsetof(struct oauth2, refresh_token)},
    };
    wire_account *account = (wire_account *)(void *)((char *)target - offsetof(wire_account, has_oauth2));
    struct oauth2 o = {.provider = -1};

    if (!lua_istable(r->L, -1)) {
        reading_mistake(r, "must be a table: { provider = \"google\", client_id = ... }");
        return;
    }
    table_read(r->L, r->loader, -1, keys, G_N_ELEMENTS(keys), "account: oauth2", &r->place, &o);
    if (o.provider < 0 && !o.token_url) {
        reading_mistake(r, "needs provider: \"google\", \"microsoft\", \"yahoo\" or { token_url, device_url, scope }");
    }
    if (!o.client_id) {
        reading_mistake(r, "needs client_id");
    }
    account->has_oauth2 = true;
    account->oauth2.provider = o.provider < 0 ? NULL : loader_str(r->loader, providers[o.provider]);
    account->oauth2.token_url = o.token_url;
    account->oauth2.device_url = o.device_url;
    account->oauth2.scope = o.scope;
    account->oauth2.client_id = o.client_id;
    account->oauth2.client_secret = o.client_secret;
    account->oauth2.refresh_token = o.refresh_token;
}

/* --- the account ------------------------------------------------------------------------------------------------- */

#define AT(member) offsetof(wire_account, member)
static const struct key keys[] = {
    {.name = "host", .read = read_host, .offset = AT(host)},
    {.name = "port", .read = read_port, .offset = AT(port), .min = 1, .max = 65535},
    {.name = "tls", .read = read_choice, .offset = AT(tls), .choices = tls_choices},
    {.name = "tls_ca", .read = read_path, .offset = AT(tls_ca)},
    {.name = "user", .read = read_string, .offset = AT(user)},
    {.name = "password", .read = read_secret, .offset = AT(password)},
    {.name = "auth", .read = read_choice, .offset = AT(auth), .choices = auth_choices},
    {.name = "oauth2", .read = read_oauth2, .offset = AT(has_oauth2)},
    {.name = "proxy", .read = read_proxy, .offset = AT(proxy)},
    {.name = "watch", .read = read_folders, .offset = AT(watch)},
    {.name = "backlog", .read = read_backlog, .offset = AT(backlog)},
    {.name = "connections", .read = read_count, .offset = AT(connections), .min = 1, .max = 100},
    {.name = "idle_renew", .read = read_duration, .offset = AT(idle_renew_ms), .min = SECOND, .max = 29 * MINUTE},
    {.name = "poll", .read = read_duration, .offset = AT(poll_ms), .min = SECOND, .max = DAY},
    {.name = "reconcile", .read = read_duration, .offset = AT(reconcile_ms), .min = SECOND, .max = 7 * DAY},
    {.name = "timeout", .read = read_duration, .offset = AT(timeout_ms), .min = SECOND, .max = HOUR},
    {.name = "compress", .read = read_bool, .offset = AT(compress)},
    {.name = "allow_expunge", .read = read_bool, .offset = AT(allow_expunge)},
    {.name = "disable_extensions", .read = read_strings, .offset = AT(disable_extensions)},
    {.name = "behaves_like", .read = read_string, .offset = AT(behaves_like)},
};

static bool is_loopback(const char *host) {

    if (g_ascii_strcasecmp(host, "localhost") == 0) {
        return true;
    }
    return g_str_has_prefix(host, "127.") ? strspn(host, "0123456789.") == strlen(host) : strcmp(host, "::1") == 0;
}

static void check_complete(lua_State *L, struct loader *loader, const wire_account *a) {
    bool token = a->auth == WIRE_AUTH_XOAUTH2 || a->auth == WIRE_AUTH_OAUTHBEARER;
    bool secret = table_has(L, 2, "oauth2") || table_has(L, 2, "password");

    if (!table_has(L, 2, "host")) {
        loader_mistake(loader, &a->place, "account \"%s\" has no host", a->name);
    }
    if (a->auth == WIRE_AUTH_EXTERNAL) {
        return;
    }
    if (!table_has(L, 2, "user")) {
        loader_mistake(loader, &a->place, "account \"%s\" has no user", a->name);
    }
    if (token && !secret) {
        loader_mistake(loader, &a->place, "account \"%s\": auth = \"%s\" needs oauth2 = { ... }", a->name,
                       auth_choices[a->auth]);
    } else if (!secret) {
        loader_mistake(loader, &a->place, "account \"%s\" has no password: secret.file, secret.command, ...", a->name);
    }
}

static void check_account(struct loader *loader, const wire_account *a) {
    wire_place tls = loader_key_place(loader, &a->place, "tls");

    if (a->host && a->tls == WIRE_TLS_NONE && !is_loopback(a->host)) {
        loader_mistake(loader, &tls,
                       "account \"%s\": tls = \"none\" is for loopback addresses only: it would send the "
                       "password in clear to %s",
                       a->name, a->host);
    }
    for (unsigned i = 0; i < loader->accounts->len; i++) {
        const wire_account *other = &g_array_index(loader->accounts, wire_account, i);
        if (strcmp(other->name, a->name) == 0) {
            loader_mistake(loader, &a->place, "account \"%s\" is already defined at %s:%u", a->name,
                           loader_shown(loader, other->place.file), other->place.line);
        }
    }
}

static void take(lua_State *L, struct loader *loader, const char *name, const wire_place *place, unsigned serial) {
    wire_account a = {.name = loader_str(loader, name),
                      .place = *place,
                      .connections = DEFAULT_CONNECTIONS,
                      .poll_ms = DEFAULT_POLL_MS,
                      .reconcile_ms = 15 * MINUTE,
                      .timeout_ms = MINUTE};

    (void)serial;
    if (table_read(L, loader, 2, keys, G_N_ELEMENTS(keys), "account", place, &a) == 0) {
        check_complete(L, loader, &a);
    }
    check_account(loader, &a);
    a.connections_stated = table_has(L, 2, "connections");
    a.poll_stated = table_has(L, 2, "poll");
    if (!a.port) {
        a.port = a.tls == WIRE_TLS_IMPLICIT ? 993 : 143;
    }
    if (!a.watch.n) {
        wire_strings_add(loader->out, &a.watch, "INBOX");
    }
    g_array_append_val(loader->accounts, a);
}

int config_account(lua_State *L) {
    return loader_curried(L, "account", take);
}
