#include "visit_priv.h"

#include <string.h>

static void secret_known(void *user, secret *s, error *err) {
    struct visit *v = user;

    v->secret = NULL;
    session_give_secret(v->session, s, err);
}

static void on_secret(void *user, bool refused) {
    struct visit *v = user;
    error *err = connect_no_secret(&v->account->password, refused);

    if (err) {
        session_give_secret(v->session, NULL, err);
        return;
    }
    v->secret = connect_secret(v->offline->loop, &v->account->password, secret_known, v);
}

static void on_ready(void *user, const session_info *info) {
    struct visit *v = user;

    v->ready = true;
}

static void on_closed(void *user, error *err) {
    struct visit *v = user;

    v->err = err ? err : error_new(ERROR_NETWORK, "the server closed the connection");
    session_free(g_steal_pointer(&v->session));
}

error *visit_wait(struct visit *v, const bool *done) {
    while (!*done && v->session && loop_turn(v->offline->loop, true)) {
    }
    return *done ? NULL : error_copy(v->err);
}

error *visit_begin(struct visit *v, struct offline *o, const wire_account *account) {
    static const session_events events = {.secret = on_secret, .ready = on_ready, .closed = on_closed};

    *v = (struct visit){.offline = o, .account = account};
    v->trust = tls_trust_new();
    v->transports = transport_pool_new(o->loop, v->trust);
    random_init_real(&v->random);
    v->log = (log_ctx){.logger = &o->logger, .group = "imap", .account = account->name};
    struct connect_env env = {o->loop, v->transports, &v->random, &o->config->u.config.limits, false};
    v->session = connect_new(&env, account, NULL, NULL, &events, v, &v->log);
    error *err = session_open(v->session);
    if (!err) {
        err = visit_wait(v, &v->ready);
    }
    return error_at(err, account->name, NULL, 0, NULL);
}

void visit_end(struct visit *v) {
    secret_cancel(v->secret);
    session_free(v->session);
    transport_pool_free(v->transports);
    tls_trust_free(v->trust);
    error_free(v->err);
}

const wire_account *visit_find_account(const wire_config *config, const char *name) {
    for (size_t i = 0; i < config->n_accounts; i++) {
        if (strcmp(config->accounts[i].name, name) == 0) {
            return &config->accounts[i];
        }
    }
    return NULL;
}
