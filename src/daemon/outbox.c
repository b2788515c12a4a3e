/*
 * Webhooks: what is due is read from the journal a few at a time, signed, sent, and answered for. Each endpoint has its
 * own concurrency, so a dead one delays nobody; one that fails again and again is asked by a single request on its
 * schedule.
 */
#include "connect_priv.h"
#include "daemon_priv.h"

#include "base/text.h"
#include "net/secret.h"
#include "net/signature.h"

#include <string.h>

#define FAILURES_ALONE 3

struct hook {
    struct outbox *outbox;
    char *name;
    const wire_webhook *config; /* NULL: no longer in the config; what is due waits */
    log_ctx log;
    signature_key keys[2];
    size_t n_keys, resolving;
    secret_request *requests[2];
    bool ready, asking;
    bool disabled; /* 410: until the config is read again or the user retries */
    bool again;    /* asked to look while a question was under way */
    GPtrArray *under_way; /* struct delivery */
    loop_timer *timer;
    unsigned failures; /* in a row */
    char *trouble;
};

struct delivery {
    struct hook *hook;
    char *id, *rule;
    uint32_t attempts;
    http_call *call; /* NULL once answered: the journal is being told */
};

struct outbox {
    struct keeper *keeper;
    GPtrArray *hooks;
};

static void hook_pump(struct hook *h);

static void on_timer(void *user) {
    hook_pump(user);
}

static struct hook *hook_new(struct outbox *o, const char *name) {
    struct hook *h = g_new0(struct hook, 1);

    h->outbox = o;
    h->name = g_strdup(name);
    h->log = o->keeper->log;
    h->log.group = "webhook";
    h->log.webhook = h->name;
    h->under_way = g_ptr_array_new();
    h->timer = loop_timer_new(o->keeper->loop, on_timer, h);
    return h;
}

static void delivery_free(struct delivery *d) {
    if (d->call) {
        http_cancel(d->call);
    }
    state_cancel(d->hook->outbox->keeper->state, d);
    g_ptr_array_remove(d->hook->under_way, d);
    g_free(d->rule);
    g_free(d->id);
    g_free(d);
}

static void hook_free(gpointer data) {
    struct hook *h = data;

    while (h->under_way->len) {
        delivery_free(h->under_way->pdata[0]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(h->requests); i++) {
        secret_cancel(h->requests[i]);
    }
    state_cancel(h->outbox->keeper->state, h);
    crypto_wipe(h->keys, sizeof h->keys);
    g_ptr_array_free(h->under_way, TRUE);
    loop_timer_free(h->timer);
    g_free(h->trouble);
    g_free(h->name);
    g_free(h);
}

struct outbox *outbox_new(struct keeper *k) {
    struct outbox *o = g_new0(struct outbox, 1);

    o->keeper = k;
    o->hooks = g_ptr_array_new_with_free_func(hook_free);
    return o;
}

void outbox_free(struct outbox *o) {
    if (o) {
        g_ptr_array_free(o->hooks, TRUE);
        g_free(o);
    }
}

static struct hook *find(const struct outbox *o, const char *name) {
    for (guint i = 0; i < o->hooks->len; i++) {
        struct hook *h = o->hooks->pdata[i];
        if (strcmp(h->name, name) == 0) {
            return h;
        }
    }
    return NULL;
}

static void set_trouble(struct hook *h, const char *text) {
    g_free(h->trouble);
    h->trouble = g_strdup(text);
}

/* --- secrets ------------------------------------------------------------------------------------------------------ */

static void secret_known(void *user, secret *s, error *err) {
    struct hook *h = user;

    if (!err) {
        err = signature_key_parse(s->bytes, s->len, &h->keys[h->n_keys]);
    }
    if (err) {
        log_error(&h->log, "secret: %s: nothing is sent", err->text);
        set_trouble(h, err->text);
        error_free(err);
        h->resolving = SIZE_MAX;
    } else {
        h->n_keys++;
    }
    secret_free(s);
    for (size_t i = 0; i < G_N_ELEMENTS(h->requests); i++) {
        if (h->requests[i]) {
            h->requests[i] = NULL; /* they end in the order they began */
            break;
        }
    }
    if (h->resolving != SIZE_MAX && --h->resolving == 0) {
        h->ready = true;
        hook_pump(h);
    }
}

static void resolve(struct hook *h) {
    h->n_keys = 0;
    h->resolving = MIN(h->config->n_secrets, G_N_ELEMENTS(h->keys));
    h->ready = !h->resolving;
    for (size_t i = 0; i < h->resolving && h->resolving != SIZE_MAX; i++) {
        h->requests[i] = connect_secret(h->outbox->keeper->loop, &h->config->secrets[i], secret_known, h);
    }
}

void outbox_configure(struct outbox *o) {
    const wire_config *c = keeper_config(o->keeper);

    for (guint i = 0; i < o->hooks->len; i++) {
        ((struct hook *)o->hooks->pdata[i])->config = NULL;
    }
    for (size_t i = 0; i < c->n_webhooks; i++) {
        struct hook *h = find(o, c->webhooks[i].name);
        if (!h) {
            h = hook_new(o, c->webhooks[i].name);
            g_ptr_array_add(o->hooks, h);
        }
        for (size_t j = 0; j < G_N_ELEMENTS(h->requests); j++) {
            secret_cancel(g_steal_pointer(&h->requests[j]));
        }
        h->config = &c->webhooks[i];
        h->disabled = false;
        h->failures = 0;
        resolve(h);
        hook_pump(h);
    }
}

/* How long an endpoint that fails in a row is left alone: as its own schedule says, at most a minute. */
static uint64_t pause_of(const struct hook *h) {
    size_t step = MIN(h->failures - FAILURES_ALONE, h->config->n_retries ? h->config->n_retries - 1 : 0);

    return h->config->n_retries ? MIN(h->config->retries[step], 60000) : 1000;
}

/* Look for what is due: now, or after the pause of an endpoint that keeps failing. */
static void hook_next(struct hook *h) {
    if (h->failures < FAILURES_ALONE || !h->config) {
        hook_pump(h);
    } else {
        loop_timer_start_within(h->timer, pause_of(h)); /* a new event shall be tried before the old one is due again */
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void answered(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct delivery *d = user;
    struct hook *h = d->hook;

    if (err) {
        log_error_value(&h->log, LOG_LEVEL_ERROR, err); /* it stays due: sent again under the same id */
    }
    for (size_t i = 0; i < n; i++) {
        if (rows[i].due_webhook) {
            outbox_kick(h->outbox, rows[i].due_webhook);
        }
        if (!rows[i].gone && rows[i].next_seq && !rows[i].waiting && rows[i].stage == STATE_PLANNED) {
            resume_rows(h->outbox->keeper, &rows[i].row, 1);
        }
    }
    delivery_free(d);
    if (err) {
        loop_timer_start(h->timer, 5000);
    } else {
        hook_next(h);
    }
}

static uint64_t delay_for(const struct hook *h, uint32_t attempts, uint64_t retry_after) {
    uint64_t delay = h->config->retries[attempts];

    delay += random_between(&h->outbox->keeper->random, 0, delay / 10);
    return MAX(delay, retry_after);
}

static void succeeded(struct hook *h, const struct delivery *d, const http_result *result) {
    if (h->failures) {
        log_notice(&h->log, "accepts again after %u failures", h->failures);
    }
    h->failures = 0;
    set_trouble(h, NULL);
    log_info(&h->log, "%s accepted (%d, %ums)", d->id, result->status, (unsigned)result->took_ms);
}

/* The status line says it; how long the page behind it is does not matter. */
static bool is_accepted(const http_result *result) {
    return (result->outcome == HTTP_ANSWERED || result->outcome == HTTP_TOO_LARGE) && result->status >= 200 &&
           result->status < 300;
}

static error *refusal(const http_result *result) {
    return result->err ? error_copy(result->err) : error_new(ERROR_REFUSED, "the endpoint answered %d", result->status);
}

static void http_done(void *user, const http_result *result) {
    struct delivery *d = user;
    struct hook *h = d->hook;
    struct state_outbox_result outcome = {.id = d->id, .outcome = STATE_ACCEPTED, .http_status = result->status};
    error *err = NULL;

    d->call = NULL;
    if (is_accepted(result)) {
        succeeded(h, d, result);
    } else {
        err = refusal(result);
        outcome.err = err;
        h->failures++;
        set_trouble(h, err->text);
        h->disabled |= result->status == 410;
        if (h->disabled || !h->config || d->attempts >= h->config->n_retries) {
            outcome.outcome = STATE_GIVE_UP;
            h->outbox->keeper->failures++;
            log_error(&h->log, "%s given up after %u tries: %s%s", d->id, d->attempts + 1, err->text,
                      h->disabled ? "; gone (410): nothing more is sent there" : "");
            err = error_prefix(err, "webhook %s", h->name); /* what `queue` says of the message */
            error_at(err, NULL, NULL, 0, d->rule);
            outcome.err = err;
        } else {
            outcome.outcome = STATE_TRY_AGAIN;
            outcome.delay_ms = delay_for(h, d->attempts, result->retry_after_ms);
            g_autofree char *text = text_format_duration(outcome.delay_ms);
            log_warn(&h->log, "%s not accepted: %s; again in %s", d->id, err->text, text);
        }
    }
    state_outbox_result(h->outbox->keeper->state, &outcome, answered, d);
    error_free(err);
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static const char **make_headers(const struct hook *h, char *const own[]) {
    GPtrArray *list = g_ptr_array_new();

    for (size_t i = 0; own[i]; i++) {
        g_ptr_array_add(list, own[i]);
    }
    for (size_t i = 0; i < h->config->n_headers; i++) {
        g_ptr_array_add(list, h->config->headers[i].name);
        g_ptr_array_add(list, h->config->headers[i].value);
    }
    g_ptr_array_add(list, NULL);
    return (const char **)(void *)g_ptr_array_free(list, FALSE);
}

static error *start(struct hook *h, struct delivery *d, const struct state_outbox_entry *entry) {
    int64_t now = clock_wall_ms(h->outbox->keeper->clock) / 1000;
    g_autofree char *stamp = g_strdup_printf("%" G_GINT64_FORMAT, now), *signature = NULL;
    char *own[] = {(char *)"Content-Type", (char *)"application/json", (char *)"User-Agent",
                   (char *)"mailruled/" MAILRULED_VERSION, (char *)"webhook-id", d->id, (char *)"webhook-timestamp",
                   stamp, NULL, NULL, NULL};
    GBytes *body = g_bytes_new(entry->body, entry->body_len);

    if (h->n_keys) {
        signature = signature_sign(h->keys, h->n_keys, d->id, now, entry->body, entry->body_len);
        own[8] = (char *)"webhook-signature";
        own[9] = signature;
    }
    const char **headers = make_headers(h, own);
    http_request request = {
        .method = h->config->method, .url = h->config->url, .headers = headers, .body = body,
        .timeout_ms = h->config->timeout_ms, .allow_private = h->config->allow_private, .max_response = 64 * 1024,
    };
    error *err = http_start(h->outbox->keeper->http, &request, http_done, d, &d->call);
    g_bytes_unref(body);
    g_free(headers);
    return err;
}

static void send_one(struct hook *h, const struct state_outbox_entry *entry) {
    struct delivery *d = g_new0(struct delivery, 1);

    d->hook = h;
    d->id = g_strdup(entry->id);
    d->rule = g_strdup(entry->rule);
    d->attempts = entry->attempts;
    g_ptr_array_add(h->under_way, d);
    error *err = start(h, d, entry);
    if (err) {
        http_done(d, &(http_result){.outcome = HTTP_REFUSED, .err = err});
        error_free(err);
    }
}

static void next_known(void *user, const error *err, const struct state_next_due *next) {
    struct hook *h = user;

    /* Something may have become due since the journal was asked: the timer that was set for it stays. */
    if (!err && next->any) {
        loop_timer_start_within(h->timer, MAX(next->delay_ms, 1));
    }
    keeper_check_settled(h->outbox->keeper);
}

static const char **ids_under_way(const struct hook *h) {
    const char **ids = g_new0(const char *, h->under_way->len + 1);

    for (guint i = 0; i < h->under_way->len; i++) {
        ids[i] = ((struct delivery *)h->under_way->pdata[i])->id;
    }
    return ids;
}

static void due_known(void *user, const error *err, const struct state_outbox_entry *entries, size_t n, bool more) {
    struct hook *h = user;

    h->asking = false;
    if (err || !h->config) {
        loop_timer_start(h->timer, 5000);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        send_one(h, &entries[i]);
    }
    if (h->again) {
        h->again = false;
        hook_pump(h);
    } else if (!n) {
        const char **skip = ids_under_way(h);
        state_outbox_next(h->outbox->keeper->state, h->name, skip, h->under_way->len, next_known, h);
        g_free(skip);
    }
}

static void hook_pump(struct hook *h) {
    if (!h->ready || h->disabled || !h->config || h->outbox->keeper->stopping) {
        return;
    }
    if (h->asking) {
        h->again = true;
        return;
    }
    bool alone = h->failures >= FAILURES_ALONE;
    unsigned limit = alone ? 1 : h->config->concurrency;
    if (h->under_way->len >= limit) {
        return;
    }
    const char **skip = ids_under_way(h);
    h->asking = true;
    state_outbox_due(h->outbox->keeper->state,
                     &(struct state_due){.webhook = h->name, .limit = limit - h->under_way->len, .skip = skip,
                                         .n_skip = h->under_way->len},
                     due_known, h);
    g_free(skip);
}

void outbox_kick(struct outbox *o, const char *webhook) {
    for (guint i = 0; i < o->hooks->len; i++) {
        struct hook *h = o->hooks->pdata[i];
        if (webhook && strcmp(h->name, webhook) != 0) {
            continue;
        }
        if (!webhook) {
            h->disabled = false;
            h->failures = 0;
        }
        hook_next(h);
    }
}

bool outbox_settled(const struct outbox *o) {
    for (guint i = 0; i < o->hooks->len; i++) {
        const struct hook *h = o->hooks->pdata[i];
        if (h->under_way->len || h->asking || (!h->ready && h->resolving && h->resolving != SIZE_MAX)) {
            return false;
        }
    }
    return true;
}

void outbox_describe(const struct outbox *o, GString *out, bool json) {
    for (guint i = 0; i < o->hooks->len; i++) {
        const struct hook *h = o->hooks->pdata[i];
        const char *health = !h->config    ? "not in the config"
                             : h->disabled ? "disabled (410)"
                             : h->failures ? "failing"
                                           : "ok";
        if (json) {
            g_string_append(out, i ? ",{\"name\":" : "{\"name\":");
            text_append_json(out, h->name, -1);
            g_string_append_printf(out, ",\"state\":\"%s\",\"under_way\":%u,\"failures\":%u,\"trouble\":", health,
                                   h->under_way->len, h->failures);
            if (h->trouble) {
                text_append_json(out, h->trouble, -1);
            } else {
                g_string_append(out, "null");
            }
            g_string_append_c(out, '}');
        } else {
            g_string_append_printf(out, "webhook %-20s %s, %u under way%s%s\n", h->name, health, h->under_way->len,
                                   h->trouble ? ": " : "", h->trouble ? h->trouble : "");
        }
    }
}
