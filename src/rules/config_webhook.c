#include "config_priv.h"

#include <string.h>

enum { SECOND = 1000, SECRETS_MAX = 2, RETRIES_MAX = 100 };
#define DAY (24 * 3600 * (uint64_t)SECOND)

/* A wire_webhook and what does not go over the wire. */
struct webhook {
    wire_webhook wire;
    int payload;
};

static const char *const methods[] = {"POST", "PUT", "PATCH", NULL};

static void read_url(struct reading_key *r, void *target) {
    char *s = reading_string(r);
    g_autoptr(GUri) uri = s ? g_uri_parse(s, G_URI_FLAGS_NONE, NULL) : NULL;

    if (!s) {
        return;
    }
    const char *scheme = uri ? g_uri_get_scheme(uri) : "";
    if (!uri || !g_uri_get_host(uri) || !*g_uri_get_host(uri)) {
        reading_mistake(r, "\"%s\" is no URL", s);
    } else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
        reading_mistake(r, "must start with http:// or https://, not %s://", scheme);
    } else {
        *(char **)target = s;
    }
}

static void read_method(struct reading_key *r, void *target) {
    int choice = -1;

    read_choice(r, &choice);
    if (choice >= 0) {
        *(char **)target = loader_str(r->loader, methods[choice]);
    }
}

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *s) {
    return *s &&
           strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(s);
}

static bool is_ours(const char *name) {
    static const char *const names[] = {"host", "content-length", "transfer-encoding", "connection", NULL};
    g_autofree char *lower = g_ascii_strdown(name, -1);

    return g_strv_contains(names, lower) || g_str_has_prefix(lower, "webhook-");
}

static const char *why_no_header(lua_State *L) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
        return "must be a table of names and strings: { [\"X-Team\"] = \"support\" }";
    }
    size_t len;
    const char *value = lua_tolstring(L, -1, &len);
    if (!is_token(lua_tostring(L, -2))) {
        return "has a name that no header can have";
    }
    if (is_ours(lua_tostring(L, -2))) {
        return "has a name that mailruled sets itself";
    }
    if (strlen(value) != len || strpbrk(value, "\r\n") || !g_utf8_validate(value, (gssize)len, NULL)) {
        return "has a value with a line end, a NUL, or that is not UTF-8";
    }
    return NULL;
}

static void read_headers(struct reading_key *r, void *target) {
    wire_webhook *w = (wire_webhook *)(void *)((char *)target - offsetof(wire_webhook, headers));
    size_t max = 0;

    if (!lua_istable(r->L, -1)) {
        reading_mistake(r, "must be a table of names and strings: { [\"X-Team\"] = \"support\" }");
        return;
    }
    for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
        max++;
    }
    w->headers = wire_array(r->loader->out, wire_header, max + 1);
    for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
        const char *why = why_no_header(r->L);
        if (why) {
            reading_mistake(r, "%s", why);
            continue;
        }
        w->headers[w->n_headers++] =
            (wire_header){loader_str(r->loader, lua_tostring(r->L, -2)), loader_str(r->loader, lua_tostring(r->L, -1))};
    }
}

static void read_secrets(struct reading_key *r, void *target) {
    wire_webhook *w = (wire_webhook *)(void *)((char *)target - offsetof(wire_webhook, secrets));
    size_t n = lua_istable(r->L, -1) ? lua_rawlen(r->L, -1) : 1;

    if (n == 0 || n > SECRETS_MAX) {
        reading_mistake(r, "must be one secret, or a list of 1 to %d", SECRETS_MAX);
        return;
    }
    w->secrets = wire_array(r->loader->out, wire_secret, n);
    for (size_t i = 1; i <= n; i++) {
        if (lua_istable(r->L, -1)) {
            lua_rawgeti(r->L, -1, (lua_Integer)i);
        } else {
            lua_pushvalue(r->L, -1);
        }
        w->n_secrets += read_secret_value(r, &w->secrets[w->n_secrets]);
        lua_pop(r->L, 1);
    }
}

static void read_retries(struct reading_key *r, void *target) {
    wire_webhook *w = (wire_webhook *)(void *)((char *)target - offsetof(wire_webhook, retries));
    size_t n = lua_istable(r->L, -1) ? lua_rawlen(r->L, -1) : RETRIES_MAX + 1;

    if (n > RETRIES_MAX) {
        reading_mistake(r, "must be a list of at most %d durations: { \"5s\", \"5m\" }", RETRIES_MAX);
        return;
    }
    w->retries = wire_array(r->loader->out, uint64_t, n + 1);
    w->n_retries = n;
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(r->L, -1, (lua_Integer)i + 1);
        read_duration(r, &w->retries[i]);
        lua_pop(r->L, 1);
    }
}

static void read_include(struct reading_key *r, void *target) {
    static const char *const names[] = {"text", "html", "attachments", "raw", NULL};
    wire_strings list = {0};
    uint32_t bits = 0;

    read_strings(r, &list);
    for (size_t i = 0; i < list.n; i++) {
        unsigned k = 0;
        while (names[k] && strcmp(names[k], list.v[i]) != 0) {
            k++;
        }
        if (!names[k]) {
            reading_mistake(r, "\"%s\" is none of \"text\", \"html\", \"attachments\", \"raw\"", list.v[i]);
            continue;
        }
        bits |= 1u << k;
    }
    *(uint32_t *)target = bits;
}

#define AT(member) offsetof(struct webhook, wire.member)
static const struct key keys[] = {
    {.name = "url", .read = read_url, .offset = AT(url)},
    {.name = "method", .read = read_method, .offset = AT(method), .choices = methods},
    {.name = "headers", .read = read_headers, .offset = AT(headers)},
    {.name = "secret", .read = read_secrets, .offset = AT(secrets)},
    {.name = "timeout", .read = read_duration, .offset = AT(timeout_ms), .min = 100, .max = 600 * SECOND},
    {.name = "retries", .read = read_retries, .offset = AT(retries), .min = 0, .max = 30 * DAY},
    {.name = "concurrency", .read = read_count, .offset = AT(concurrency), .min = 1, .max = 1000},
    {.name = "include", .read = read_include, .offset = AT(include)},
    {.name = "max_size", .read = read_size, .offset = AT(max_size), .min = 1024, .max = 100u << 20},
    {.name = "payload", .read = read_function, .offset = offsetof(struct webhook, payload)},
    {.name = "allow_private", .read = read_bool, .offset = AT(allow_private)},
};

static void check_webhook(struct loader *loader, const wire_webhook *w) {
    for (unsigned i = 0; i < loader->webhooks->len; i++) {
        const wire_webhook *other = &g_array_index(loader->webhooks, wire_webhook, i);
        if (strcmp(other->name, w->name) == 0) {
            loader_mistake(loader, &w->place, "webhook \"%s\" is already defined at %s:%u", w->name,
                           loader_shown(loader, other->place.file), other->place.line);
        }
    }
}

static void take(lua_State *L, struct loader *loader, const char *name, const wire_place *place, unsigned serial) {
    static const uint64_t retries[] = {5,         5 * 60,    30 * 60,   2 * 3600, 5 * 3600,
                                       10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600};
    struct webhook w = {.wire = {.name = loader_str(loader, name),
                                 .place = *place,
                                 .timeout_ms = 20 * SECOND,
                                 .concurrency = 4,
                                 .include = WIRE_INCLUDE_TEXT,
                                 .max_size = 10u << 20},
                        .payload = LUA_NOREF};

    (void)serial;
    w.wire.method = loader_str(loader, "POST");
    w.wire.n_retries = G_N_ELEMENTS(retries);
    w.wire.retries = wire_array(loader->out, uint64_t, w.wire.n_retries);
    for (size_t i = 0; i < G_N_ELEMENTS(retries); i++) {
        w.wire.retries[i] = retries[i] * SECOND;
    }
    if (table_read(L, loader, 2, keys, G_N_ELEMENTS(keys), "webhook", place, &w) == 0 && !table_has(L, 2, "url")) {
        loader_mistake(loader, place, "webhook \"%s\" has no url", name);
    }
    check_webhook(loader, &w.wire);
    g_array_append_val(loader->webhooks, w.wire);
    g_array_append_val(loader->payloads, w.payload);
}

int config_webhook(lua_State *L) {
    return loader_curried(L, "webhook", take);
}
