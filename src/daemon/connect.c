#include "connect_priv.h"

secret_request *connect_secret(event_loop *loop, const wire_secret *from, secret_fn fn, void *user) {
    static const enum secret_kind kinds[] = {
        [WIRE_SECRET_LITERAL] = SECRET_LITERAL, [WIRE_SECRET_FILE] = SECRET_FILE,
        [WIRE_SECRET_ENV] = SECRET_ENV,         [WIRE_SECRET_COMMAND] = SECRET_COMMAND,
        [WIRE_SECRET_CREDENTIAL] = SECRET_CREDENTIAL,
    };
    const char **argv = g_new0(const char *, from->argv.n + 1);
    secret_request *request;

    for (size_t i = 0; i < from->argv.n; i++) {
        argv[i] = from->argv.v[i];
    }
    request = secret_resolve(loop, &(secret_spec){kinds[from->kind], from->value, argv}, fn, user);
    g_free(argv);
    return request;
}

error *connect_no_secret(const wire_secret *from, bool refused) {
    if (from->kind == WIRE_SECRET_NONE) {
        return error_new(ERROR_CONFIG, "the account has no password");
    }
    return refused && from->kind != WIRE_SECRET_COMMAND ? error_new(ERROR_AUTH, "the server refused the access token")
                                                        : NULL;
}

static enum session_auth auth_of(enum wire_auth auth) {
    static const enum session_auth map[] = {
        [WIRE_AUTH_AUTO] = SESSION_AUTH_AUTO,         [WIRE_AUTH_PLAIN] = SESSION_AUTH_PLAIN,
        [WIRE_AUTH_LOGIN] = SESSION_AUTH_LOGIN,       [WIRE_AUTH_CRAM_MD5] = SESSION_AUTH_CRAM_MD5,
        [WIRE_AUTH_XOAUTH2] = SESSION_AUTH_XOAUTH2,   [WIRE_AUTH_OAUTHBEARER] = SESSION_AUTH_OAUTHBEARER,
        [WIRE_AUTH_EXTERNAL] = SESSION_AUTH_EXTERNAL,
    };

    return map[auth];
}

session *connect_new(const struct connect_env *env, const wire_account *c, session_idle_memory *memory,
                     session_pace *pace, const session_events *events, void *user, const log_ctx *log) {
    static const enum transport_tls tls[] = {
        [WIRE_TLS_IMPLICIT] = TRANSPORT_TLS_IMPLICIT, [WIRE_TLS_STARTTLS] = TRANSPORT_TLS_STARTTLS,
        [WIRE_TLS_NONE] = TRANSPORT_TLS_NONE,
    };
    static const char *const enable[] = {"CONDSTORE", "QRESYNC", NULL};
    const char **disabled = g_new0(const char *, c->disable_extensions.n + 1);
    session *s;

    for (size_t i = 0; i < c->disable_extensions.n; i++) {
        disabled[i] = c->disable_extensions.v[i];
    }
    session_config config = {
        .host = c->host, .behaves_like = c->behaves_like, .port = c->port, .tls = tls[c->tls], .tls_ca = c->tls_ca,
        .proxy = c->proxy, .user = c->user,
        .auth = auth_of(c->auth), .token = c->auth == WIRE_AUTH_XOAUTH2 || c->auth == WIRE_AUTH_OAUTHBEARER,
        .connect_ms = (uint32_t)MIN(c->timeout_ms, 30000), .timeout_ms = (uint32_t)c->timeout_ms,
        .idle_renew_ms = c->idle_renew_stated ? (uint32_t)c->idle_renew_ms : 0,
        .idle_memory = memory, .pace = pace, .disabled = disabled,
        .enable = env->changes ? enable : NULL,
        .allow_expunge = c->allow_expunge, .compress = c->compress,
        .client_name = "mailruled", .client_version = MAILRULED_VERSION,
        .limits = env->limits,
    };
    s = session_new(env->loop, env->transports, env->random, &config, events, user, log);
    g_free(disabled);
    return s;
}

char *connect_bound(const wire_account *c, const session_quirks *quirks) {
    uint32_t most = session_quirks_connections(quirks, c->connections, c->connections_stated);

    if (!c->connections_stated || most >= c->connections) {
        return NULL;
    }
    return g_strdup_printf("connections = %u: the server has no more than %u (%s), so %u it is", c->connections, most,
                           quirks->names, most);
}
