#include "session_priv.h"

#include <string.h>

/*
 * From the greeting to ready: CAPABILITY where the greeting's is not known, the login, CAPABILITY again (others are
 * offered then, whatever [CAPABILITY] said), then ID, ENABLE and NAMESPACE in one write, and
 * COMPRESS last, on its own.
 */

static void begin_login(session *s);
static void begin_setup(session *s);
static void finish_setup(session *s);

/* A step of the set-up that the account cannot do without, or that tells of trouble with all of it. */
static bool failed(session *s, const session_result *result, bool needed) {
    if (!session_alive(s)) {
        return true;
    }
    if (!result->err || (!needed && result->err->class_ != ERROR_CLASS_ACCOUNT)) {
        return false;
    }
    session_fail(s, error_copy(result->err));
    return true;
}

/* ---- CAPABILITY ---- */

/* Who is it, by all that is known so far, and what follows. */
static void recognize(session *s) {
    const session_server server = {
        .host = s->config.behaves_like,
        .greeting = s->greeting,
        .id_name = s->server,
        .id_vendor = s->id_vendor,
        .id_version = s->id_version,
        .caps = s->state == SESSION_SETUP ? &s->offered : NULL,
    };

    session_quirks_find(&server, &s->quirks);
}

static void disbelieve(session *s) {
    uint32_t limit = s->caps.message_limit;

    recognize(s);
    s->caps = s->offered;
    s->caps.message_limit = limit ? limit : s->offered.message_limit; /* one that was learned is lower */
    s->caps.bits &= ~s->quirks.disbelieve;
    for (char **word = s->disabled; word && *word; word++) {
        imap_capabilities_remove(&s->caps, imap_str_of(*word));
    }
    imap_writer_learn(&s->writer, &s->caps);
}

static bool claim_capability(session *s, exchange *x, const imap_response *r) {
    if (r->kind != IMAP_CAPABILITY) {
        return false;
    }
    s->offered = r->caps;
    x->got_any = true;
    return true;
}

static void finish_capability(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)result;
    if (!x->got_any && r->code.name == IMAP_CODE_CAPABILITY && r->code.valid) {
        s->offered = r->code.caps;
    }
    disbelieve(s);
}

static const exchange_type exchange_capability = {
    .name = "CAPABILITY", .barrier = true, .claim = claim_capability, .finish = finish_capability};

static void ask_capability(session *s, session_done_fn done) {
    const session_call call = {.done = done, .user = s};
    imap_command *command = NULL;
    error *err = imap_command_capability(&s->writer, &command);

    s->offered = s->caps = (imap_capabilities){0};
    exchange_queue(s, exchange_new(&exchange_capability, &call), command, err);
}

static void read_capability(session *s, const char *words) {
    g_auto(GStrv) list = g_strsplit(words, " ", -1);

    for (char **word = list; *word; word++) {
        imap_capabilities_add(&s->offered, imap_str_of(*word));
    }
    disbelieve(s);
}

/* ---- the greeting ---- */

static void capability_before_login(void *user, const session_result *result) {
    session *s = user;

    if (!failed(s, result, true)) {
        begin_login(s);
    }
}

void login_greeted(session *s, const transport_greeting *greeting) {
    s->tls = g_strdup(greeting->tls);
    s->peer = g_strdup(greeting->peer);
    s->greeting = g_strdup(greeting->text);
    session_go(s, SESSION_GREETED);
    if (greeting->capability) {
        read_capability(s, greeting->capability);
    }
    if (greeting->preauth) {
        begin_setup(s);
    } else if (greeting->capability) {
        begin_login(s);
    } else {
        ask_capability(s, capability_before_login);
    }
}

/* ---- the login ---- */

static void forget_secret(session *s) {
    secret_free(s->secret);
    s->secret = NULL;
}

static void wipe(GString *raw) {
    if (raw) {
        crypto_wipe(raw->str, raw->allocated_len);
        g_string_free(raw, TRUE);
    }
}

/* The challenge, decoded; also kept to be shown when it says why a token was refused. */
static char *decode_challenge(session *s, const imap_response *r, size_t *len_out) {
    g_autofree char *text = imap_str_dup(r->text);
    char *raw = (char *)crypto_base64_decode(text ? text : "", len_out);

    if (raw && s->mechanism->token) {
        g_free(s->challenge_words);
        s->challenge_words = refusal_words((imap_str){raw, *len_out});
    }
    return raw;
}

static void challenged(session *s, exchange *x, const imap_response *r) {
    size_t len = 0;
    g_autofree char *challenge = decode_challenge(s, r, &len);
    imap_command *line = NULL;
    GString *raw = NULL;
    error *err;

    (void)x;
    if (challenge && s->mechanism->reply && !s->challenge_answered) {
        raw = s->mechanism->reply(s, challenge, len);
        err = imap_command_sasl_reply((imap_str){raw->str, raw->len}, &line);
        s->challenge_answered = true;
    } else {
        err = imap_command_sasl_cancel(&line);
    }
    wipe(raw);
    if (err) {
        session_fail(s, err);
        return;
    }
    const char *bytes = imap_command_segment(line, 0, &len);
    session_write(s, bytes, len);
    imap_command_free(line);
}

/* OK although the server has not heard a secret from us: whoever says so is not the server. */
static void finish_login(session *s, exchange *x, const imap_response *r, session_result *result) {
    const sasl_mechanism *m = s->mechanism;

    (void)x;
    (void)r;
    if (!result->err && m->name && !m->initial && !s->challenge_answered) {
        session_fail(s, error_new(ERROR_PROTOCOL, "the server accepted %s before it was carried out", m->name));
    }
}

static const exchange_type exchange_login = {
    .name = "login", .barrier = true, .challenge = challenged, .finish = finish_login};
/* "+" asks nothing of LOGIN. */
static const exchange_type exchange_plain_login = {.name = "LOGIN", .barrier = true};

static void login_answered(void *user, const session_result *result) {
    session *s = user;
    error *err;

    forget_secret(s);
    if (!session_alive(s)) {
        return;
    }
    g_clear_pointer(&s->login_refused, error_free);
    if (!result->err) {
        begin_setup(s);
        return;
    }
    if (result->err->code == ERROR_AUTH && s->mechanism->token && !s->token_refused) {
        s->token_refused = true;
        s->login_refused = error_copy(result->err);
        session_go(s, SESSION_SECRET);
        session_tell(s, secret, true);
        return;
    }
    err = error_copy(result->err);
    session_fail(s, s->challenge_words ? error_prefix(err, "%s", s->challenge_words) : err);
}

static void send_login(session *s) {
    const session_call call = {.done = login_answered, .user = s};
    const sasl_mechanism *m = s->mechanism;
    GString *raw = NULL;
    imap_command *command = NULL;
    error *err;

    session_go(s, SESSION_LOGIN);
    s->challenge_answered = false;
    if (!m->name) {
        err = imap_command_login(&s->writer, s->config.user, s->secret->bytes, &command);
    } else {
        raw = m->initial ? m->initial(s) : NULL;
        err = imap_command_authenticate(&s->writer, m->name,
                                        raw ? (imap_str){raw->str, raw->len} : (imap_str){NULL, 0}, &command);
        wipe(raw);
    }
    if (err) {
        session_fail(s, error_set_scope(error_prefix(err, "login"), ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER));
        return;
    }
    exchange_queue(s, exchange_new(m->name ? &exchange_login : &exchange_plain_login, &call), command, NULL);
}

static void begin_login(session *s) {
    error *err = sasl_choose(s, &s->mechanism);

    if (!err && s->config.tls == TRANSPORT_TLS_NONE && !transport_host_is_loopback(s->config.host)) {
        err = error_new(ERROR_CONFIG, "no login without TLS but on loopback");
    }
    if (err) {
        session_fail(s, err);
    } else if (s->mechanism->needs_secret) {
        session_go(s, SESSION_SECRET);
        session_tell(s, secret, false);
    } else {
        send_login(s);
    }
}

void session_give_secret(session *s, secret *value, error *err) {
    if (s->state != SESSION_SECRET || s->freed) {
        secret_free(value);
        error_free(err);
        return;
    }
    if (err || !value) {
        secret_free(value);
        session_fail(s, err ? err : error_new(ERROR_AUTH, "no password or token"));
        return;
    }
    s->secret = value;
    send_login(s);
}

/* ---- ID, ENABLE, NAMESPACE ---- */

static bool claim_id(session *s, exchange *x, const imap_response *r) {
    (void)x;
    if (r->kind != IMAP_ID) {
        return false;
    }
    for (size_t i = 0; i + 1 < r->pairs.count; i += 2) {
        char **field = imap_str_is(r->pairs.at[i], "name")      ? &s->server
                       : imap_str_is(r->pairs.at[i], "vendor")  ? &s->id_vendor
                       : imap_str_is(r->pairs.at[i], "version") ? &s->id_version
                                                                : NULL;
        if (field && r->pairs.at[i + 1].data) {
            g_free(*field);
            *field = refusal_words(r->pairs.at[i + 1]);
        }
    }
    return true;
}

static bool claim_enabled(session *s, exchange *x, const imap_response *r) {
    if (r->kind != IMAP_ENABLED) {
        return false;
    }
    x->got_any = true;
    s->enabled.bits |= r->caps.bits;
    s->writer.utf8 = imap_can(&s->enabled, IMAP_CAP_UTF8_ACCEPT);
    return true;
}

static bool offers(const session *s, const char *word) {
    imap_capabilities one = {0};

    return imap_capabilities_add(&one, imap_str_of(word)) && (one.bits & s->caps.bits) == one.bits;
}

static void finish_enable(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)r;
    if (result->err || x->got_any || !s->quirks.silent_enable) {
        return;
    }
    for (char **word = s->enable; word && *word; word++) {
        if (offers(s, *word)) {
            imap_capabilities_add(&s->enabled, imap_str_of(*word));
        }
    }
}

static void learn_prefix(session *s, const imap_namespace *ns) {
    imap_str prefix = ns->prefix;
    g_autofree char *name = NULL;

    s->delimiter_told = true;
    s->info.delimiter = ns->delimiter;
    if (prefix.len && ns->delimiter && prefix.data[prefix.len - 1] == ns->delimiter) {
        prefix.len--;
    }
    if (!prefix.len || !session_decode_name(s, prefix, ns->delimiter, &name)) {
        return;
    }
    g_free(s->prefix);
    s->prefix = prefix.len < ns->prefix.len ? g_strdup_printf("%s%c", name, ns->delimiter) : g_steal_pointer(&name);
}

static bool claim_namespace(session *s, exchange *x, const imap_response *r) {
    (void)x;
    if (r->kind == IMAP_LIST) {
        s->delimiter_told = true;
        s->info.delimiter = r->list.delimiter;
        return true;
    }
    if (r->kind != IMAP_NAMESPACE) {
        return false;
    }
    for (size_t i = 0; i < r->namespaces.count && !s->delimiter_told; i++) {
        if (r->namespaces.at[i].kind == 0) {
            learn_prefix(s, &r->namespaces.at[i]);
        }
    }
    return true;
}

static const exchange_type exchange_id = {.name = "ID", .claim = claim_id};
static const exchange_type exchange_enable = {.name = "ENABLE", .claim = claim_enabled, .finish = finish_enable};
static const exchange_type exchange_namespace = {.name = "NAMESPACE", .claim = claim_namespace};

static void setup_answered(void *user, const session_result *result) {
    session *s = user;

    if (!failed(s, result, false) && --s->setup_left == 0) {
        finish_setup(s);
    }
}

static void set_up(session *s, const exchange_type *type, imap_command *command, error *err) {
    const session_call call = {.done = setup_answered, .user = s};

    s->setup_left++;
    exchange_queue(s, exchange_new(type, &call), command, err);
}

static void send_id(session *s) {
    const char *pairs[] = {"name", s->config.client_name, NULL, NULL, NULL};
    imap_command *command = NULL;
    error *err;

    if (!s->config.client_name || !imap_can(&s->caps, IMAP_CAP_ID)) {
        return;
    }
    if (s->config.client_version) {
        pairs[2] = "version";
        pairs[3] = s->config.client_version;
    }
    err = imap_command_id(&s->writer, pairs, &command);
    set_up(s, &exchange_id, command, err);
}

/* Servers that do a part of a command only (Yahoo) show a large folder in full to those who do without sequence
 * numbers; we never use any. */
static bool wants_uidonly(const session *s) {
    return imap_can(&s->caps, IMAP_CAP_UIDONLY) && imap_can(&s->caps, IMAP_CAP_MESSAGELIMIT);
}

static void send_enable(session *s) {
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    imap_command *command = NULL;
    error *err;

    if (!imap_can(&s->caps, IMAP_CAP_ENABLE)) {
        return;
    }
    for (char **word = s->enable; word && *word; word++) {
        if (offers(s, *word)) {
            g_ptr_array_add(words, *word);
        }
    }
    if (imap_can(&s->caps, IMAP_CAP_UTF8_ONLY)) {
        g_ptr_array_add(words, (void *)"UTF8=ACCEPT");
    }
    if (wants_uidonly(s)) {
        g_ptr_array_add(words, (void *)"UIDONLY");
    }
    if (words->len == 0) {
        return;
    }
    g_ptr_array_add(words, NULL);
    err = imap_command_enable(&s->writer, (const char *const *)words->pdata, &command);
    set_up(s, &exchange_enable, command, err);
}

static void send_list_root(session *s) {
    imap_command *command = NULL;
    error *err = imap_command_list(&s->writer, "", "", NULL, &command);

    set_up(s, &exchange_namespace, command, err);
}

static void send_namespace(session *s) {
    imap_command *command = NULL;
    error *err;

    if (!imap_can(&s->caps, IMAP_CAP_NAMESPACE)) {
        send_list_root(s);
        return;
    }
    err = imap_command_namespace(&s->writer, &command);
    set_up(s, &exchange_namespace, command, err);
}

static void capability_after_login(void *user, const session_result *result) {
    session *s = user;

    if (!failed(s, result, true)) {
        send_id(s);
        send_enable(s);
        send_namespace(s);
    }
}

static void begin_setup(session *s) {
    session_go(s, SESSION_SETUP);
    ask_capability(s, capability_after_login);
}

/* ---- COMPRESS ---- */

/* What the server has said behind its OK is compressed already. */
static void finish_compress(session *s, exchange *x, const imap_response *r, session_result *result) {
    size_t len;
    const char *rest;

    (void)x;
    (void)r;
    if (result->err) {
        log_info(&s->log, "the server offers to compress and does not: %s", result->text);
        return;
    }
    rest = imap_parser_take(s->parser, &len);
    transport_compress(s->transport, (const uint8_t *)rest, len);
    s->stats.plain_in -= len; /* they come again */
    s->info.compressed = true;
    log_debug(&s->log, "compressed from here on");
}

/* A barrier: nothing else is under way, and nothing follows before the answer (RFC 4978 section 3). */
static const exchange_type exchange_compress = {.name = "COMPRESS", .barrier = true, .finish = finish_compress};

/* Whatever it was: there is no need for it. */
static void compress_answered(void *user, const session_result *result) {
    session *s = user;

    (void)result;
    if (session_alive(s)) {
        finish_setup(s);
    }
}

/* False: not wanted, not offered, or asked already. */
static bool send_compress(session *s) {
    const session_call call = {.done = compress_answered, .user = s};
    imap_command *command = NULL;
    error *err;

    if (!s->config.compress || s->compress_asked || !imap_can(&s->caps, IMAP_CAP_COMPRESS_DEFLATE)) {
        return false;
    }
    s->compress_asked = true;
    err = imap_command_compress(&s->writer, &command);
    exchange_queue(s, exchange_new(&exchange_compress, &call), command, err);
    return true;
}

static void finish_setup(session *s) {
    if (!s->delimiter_told) {
        s->delimiter_told = true; /* asked once, whatever it answers */
        send_list_root(s);
        return;
    }
    disbelieve(s); /* now it has told its name */
    if (send_compress(s)) {
        return;
    }
    if (*s->quirks.names) {
        log_info(&s->log, "quirks: %s", s->quirks.names);
    }
    s->info.quirks = &s->quirks;
    s->info.caps = &s->caps;
    s->info.enabled = &s->enabled;
    s->info.prefix = s->prefix ? s->prefix : "";
    s->info.server = s->server;
    s->info.tls = s->tls;
    s->info.peer = s->peer;
    s->informed = true;
    s->idle_supported = imap_can(&s->caps, IMAP_CAP_IDLE);
    s->stats.ready = session_now(s);
    session_go(s, SESSION_READY);
    s->counted = true;
    s->pace->open++;
    session_tell(s, ready, &s->info);
}
