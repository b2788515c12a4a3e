/*
 * A whole session against any bytes of a server, from the greeting to IDLE, with the owner's commands in between: each
 * command is told once how it ended, the end is told once, and nothing is touched after it was freed.
 *
 * The first byte chooses how the session logs in, the second after how many callbacks its owner frees it (0 = never).
 * Then bytes of the server, but for
 *     \1     what came so far arrives as one piece      \4 X   the owner does X (see `acts`)
 *     \2     the newest tag of the client               \5 X   X seconds pass
 *     \3     the oldest tag not yet named so            \6     the server hangs up
 *
 * The transport below is a stand-in: it sends nowhere, and never calls back from inside a call.
 */
#include "session/session.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct transport {
    transport_events events;
    void *user;
    bool compressed;
    GString *rest; /* what was said to be compressed */
};

typedef struct run {
    clock_source clock;
    random_source random;
    event_loop *loop;
    session *session;
    transport *transport; /* NULL: closed */
    GPtrArray *tags;      /* of the client's commands */
    guint oldest;
    unsigned pending, callbacks, free_at, ended;
    uint8_t way;
    uint64_t seen; /* what the owner looked at */
} run;

static run *current; /* for the stand-in */

static void insist(bool so) {
    if (!so) {
        abort();
    }
}

/* ---- the stand-in ---- */

error *transport_open(transport_pool *pool, const transport_options *options, const transport_events *events,
                      void *user, const log_ctx *log, transport **transport_out) {
    transport *t = g_new0(transport, 1);

    (void)pool, (void)options, (void)log;
    t->events = *events;
    t->user = user;
    *transport_out = current->transport = t;
    return NULL;
}

void transport_free(transport *t) {
    if (t) {
        current->transport = NULL;
        if (t->rest) {
            g_string_free(t->rest, TRUE);
        }
        g_free(t);
    }
}

/* The first word of each line is a tag, or looks like one. */
void transport_send(transport *t, const void *bytes, size_t len) {
    const char *at = bytes, *end = at + len;

    (void)t;
    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at)), *blank = memchr(at, ' ', (size_t)(end - at));
        if (blank && (!lf || blank < lf) && current->tags->len < 1000) {
            g_ptr_array_add(current->tags, g_strndup(at, (size_t)MIN(blank - at, 40)));
        }
        at = lf ? lf + 1 : end;
    }
}

size_t transport_queued(const transport *t) {
    (void)t;
    return 0;
}

void transport_pause(transport *t, bool paused) {
    (void)t, (void)paused;
}

/* Compresses nothing: the octets behind the OK come once more as they are. */
void transport_compress(transport *t, const uint8_t *rest, size_t len) {
    insist(!t->compressed);
    t->compressed = true;
    t->rest = g_string_new_len((const char *)rest, (gssize)len);
}

void transport_traffic(const transport *t, uint64_t *in_out, uint64_t *out_out) {
    (void)t;
    *in_out = *out_out = 0;
}

bool transport_host_is_loopback(const char *host) {
    (void)host;
    return true;
}

/* ---- the owner ---- */

static void heard(run *r) {
    if (r->session && ++r->callbacks == r->free_at) {
        session *s = r->session;
        r->session = NULL;
        session_free(s);
    }
}

static void look_at(run *r, const char *text) {
    r->seen += text ? strlen(text) : 0;
}

static void on_secret(void *user, bool refused) {
    run *r = user;

    (void)refused;
    if (r->way & 0x40) {
        session_give_secret(r->session, NULL, error_new(ERROR_CONFIG, "none"));
    } else {
        session_give_secret(r->session, secret_new("secret", 6), NULL);
    }
    heard(r);
}

static void on_ready(void *user, const session_info *info) {
    run *r = user;

    look_at(r, info->prefix);
    look_at(r, info->server);
    heard(r);
}

static void on_exists(void *user, uint32_t count, bool grew) {
    run *r = user;

    r->seen += count + grew;
    heard(r);
}

static void on_gone(void *user, imap_ranges uids, bool earlier) {
    run *r = user;

    r->seen += imap_ranges_size(uids) + earlier;
    heard(r);
}

static void on_fetch(void *user, const imap_fetch *fetch) {
    run *r = user;

    for (size_t i = 0; i < fetch->section_count; i++) {
        r->seen += fetch->sections[i].data.len;
    }
    heard(r);
}

static void on_status(void *user, const char *name, const imap_status *status) {
    run *r = user;

    look_at(r, name);
    r->seen += status->uidnext;
    heard(r);
}

static void on_list(void *user, const char *name, const imap_list *list) {
    run *r = user;

    look_at(r, name);
    r->seen += list->attrs;
    heard(r);
}

static void on_notice(void *user, enum session_notice notice, const char *text) {
    run *r = user;

    (void)notice;
    look_at(r, text);
    heard(r);
}

static void on_plain(void *user) {
    heard(user);
}

static void on_closed(void *user, error *err) {
    run *r = user;

    insist(++r->ended == 1);
    look_at(r, err ? err->text : NULL);
    error_free(err);
    heard(r);
}

static const session_events events = {
    .secret = on_secret, .ready = on_ready, .exists = on_exists, .gone = on_gone, .fetch = on_fetch,
    .status = on_status, .list = on_list, .notice = on_notice, .watching = on_plain, .poll_needed = on_plain,
    .closed = on_closed,
};

static void on_done(void *user, const session_result *result) {
    run *r = user;

    insist(r->pending-- > 0);
    insist(result->code && result->text);
    insist(result->sent || !result->answered);
    insist(!result->err || result->err->text);
    insist(result->err || (result->sent && result->answered && result->condition == IMAP_OK));
    if (result->found) {
        insist(imap_set_min(result->found) <= imap_set_max(result->found));
    }
    for (size_t i = 0; i < result->pair_count; i++) {
        insist(result->pairs[i].source && result->pairs[i].target);
        insist(i == 0 || result->pairs[i - 1].source < result->pairs[i].source);
    }
    if (result->folder) {
        look_at(r, result->folder->name);
        for (const char *const *flag = result->folder->permanent; flag && *flag; flag++) {
            look_at(r, *flag);
        }
    }
    heard(r);
}

static void on_data(void *user, const imap_response *response) {
    run *r = user;

    insist(response->kind != IMAP_FETCH || response->fetch.uid);
    heard(r);
}

/* ---- what it does ---- */

static const char *const seen_flag[] = {"\\Seen", "Word", NULL}, *const subject[] = {"SUBJECT", NULL};
static const imap_section_want section = {.kind = IMAP_SECTION_FIELDS, .fields = subject};
static const imap_fetch_want want = {
    .items = IMAP_WANT_FLAGS | IMAP_WANT_STRUCTURE, .sections = &section, .section_count = 1};

static void act_select(session *s, const imap_set *set, const session_call *call) {
    const imap_select_options options = {.condstore = true};
    (void)set;
    session_select(s, "INBOX", false, &options, call);
}
static void act_examine(session *s, const imap_set *set, const session_call *call) {
    const imap_select_options options = {.qresync_uidvalidity = 7, .qresync_modseq = 9, .qresync_known = set};
    session_select(s, "Other", true, &options, call);
}
static void act_fetch(session *s, const imap_set *set, const session_call *call) {
    session_fetch(s, set, &want, call);
}
static void act_fetch_from(session *s, const imap_set *set, const session_call *call) {
    (void)set;
    session_fetch_from(s, 5, &want, call);
}
static void act_store(session *s, const imap_set *set, const session_call *call) {
    const imap_store store = {.names = seen_flag, .unchanged_since = 5};
    session_store(s, set, &store, call);
}
static void act_copy(session *s, const imap_set *set, const session_call *call) {
    session_copy(s, set, "Other", call);
}
static void act_move(session *s, const imap_set *set, const session_call *call) {
    session_move(s, set, "Other", call);
}
static void act_expunge(session *s, const imap_set *set, const session_call *call) {
    session_expunge_uids(s, set, call);
}
static void act_expunge_all(session *s, const imap_set *set, const session_call *call) {
    (void)set;
    session_expunge(s, call);
}
static void act_search(session *s, const imap_set *set, const session_call *call) {
    const imap_search_want search = {.uids = set, .returns = IMAP_SEARCH_FOUND | IMAP_SEARCH_COUNT};
    session_search(s, &search, call);
}
static void act_list(session *s, const imap_set *set, const session_call *call) {
    const imap_list_options options = {.extended = true, .status = IMAP_STATUS_UIDNEXT};
    (void)set;
    session_list(s, "", "*", &options, call);
}
static void act_status(session *s, const imap_set *set, const session_call *call) {
    (void)set;
    session_status(s, "Other", IMAP_STATUS_UIDNEXT, call);
}
static void act_create(session *s, const imap_set *set, const session_call *call) {
    (void)set;
    session_create(s, "Caf\xc3\xa9", IMAP_ATTR_TRASH, call);
}
static void act_append(session *s, const imap_set *set, const session_call *call) {
    const imap_append append = {.mailbox = "Other", .message = {"a: b\r\n\r\nc\r\n", 11}};
    (void)set;
    session_append(s, &append, call);
}
static void act_noop(session *s, const imap_set *set, const session_call *call) {
    const session_call urgent = {.done = call->done, .user = call->user, .urgent = true};
    (void)set;
    session_noop(s, &urgent);
}
static void act_notify(session *s, const imap_set *set, const session_call *call) {
    const imap_notify notify = {.selected = true, .selected_want = &want, .names = true, .status = true};
    (void)set;
    session_notify(s, &notify, call);
}
static void act_unselect(session *s, const imap_set *set, const session_call *call) {
    (void)set;
    session_unselect(s, call);
}

static void (*const acts[])(session *s, const imap_set *set, const session_call *call) = {
    act_select, act_examine, act_fetch, act_fetch_from, act_store, act_copy, act_move, act_expunge, act_expunge_all,
    act_search, act_list, act_status, act_create, act_append, act_noop, act_notify, act_unselect,
};

/* Behind the commands: what is done at once. */
static void act(run *r, uint8_t which) {
    const session_call call = {.done = on_done, .data = on_data, .user = r, .uidvalidity = which & 0x40 ? 7 : 0};
    g_auto(imap_set) set = IMAP_SET_INIT;

    if (!r->session) {
        return;
    }
    which %= 32;
    if (which < G_N_ELEMENTS(acts)) {
        imap_set_add_range(&set, 5, 8);
        imap_set_add(&set, 4000000000u);
        r->pending++;
        acts[which](r->session, &set, &call);
    } else if (which < 20) {
        session_watch(r->session, which != 19);
    } else if (which < 22) {
        session_hold(r->session);
        session_release(r->session);
    } else if (which < 24) {
        session_probe(r->session, 1000);
    } else if (which == 30) {
        session_close(r->session, SESSION_CLOSE_LOGOUT);
    } else if (which == 31) {
        session_close(r->session, SESSION_CLOSE_NOW);
    }
}

/* ---- the input ---- */

static void turn(run *r) {
    for (int i = 0; i < 3; i++) {
        loop_turn(r->loop, false);
    }
}

static void arrive(run *r, GString *bytes) {
    if (r->transport && r->transport->rest) {
        g_string_prepend_len(bytes, r->transport->rest->str, (gssize)r->transport->rest->len);
        g_string_truncate(r->transport->rest, 0);
    }
    if (r->transport && bytes->len) {
        r->transport->events.data(r->transport->user, (const uint8_t *)bytes->str, bytes->len);
    }
    g_string_truncate(bytes, 0);
    turn(r);
}

static void hang_up(run *r) {
    transport *t = r->transport;

    if (t) {
        t->events.closed(t->user, NULL);
    }
    turn(r);
}

static const char *tag(run *r, bool newest) {
    if (newest) {
        return r->tags->len ? r->tags->pdata[r->tags->len - 1] : "x";
    }
    return r->oldest < r->tags->len ? r->tags->pdata[r->oldest++] : "x";
}

static void play(run *r, const uint8_t *data, size_t size) {
    GString *bytes = g_string_new(NULL);

    for (size_t i = 0; i < size; i++) {
        uint8_t operand = i + 1 < size ? data[i + 1] : 0;
        switch (data[i]) {
        case 1:
            arrive(r, bytes);
            break;
        case 2:
        case 3:
            g_string_append(bytes, tag(r, data[i] == 2));
            break;
        case 4:
            arrive(r, bytes);
            act(r, operand);
            turn(r);
            i++;
            break;
        case 5:
            arrive(r, bytes);
            clock_fake_advance(&r->clock, operand * UINT64_C(1000));
            turn(r);
            i++;
            break;
        case 6:
            arrive(r, bytes);
            hang_up(r);
            break;
        default:
            g_string_append_c(bytes, (char)data[i]);
            break;
        }
    }
    arrive(r, bytes);
    g_string_free(bytes, TRUE);
}

static void open_session(run *r) {
    static const char *const enable[] = {"CONDSTORE", "QRESYNC", NULL};
    static const char *const capabilities[] = {
        NULL, "IMAP4rev1 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=XOAUTH2 SASL-IR", "IMAP4rev1 AUTH=CRAM-MD5",
        "IMAP4rev1 AUTH=XOAUTH2 AUTH=OAUTHBEARER"};
    static const log_ctx log = {.group = "imap"};
    const struct limits limits = {.literal = 100000};
    static session_idle_memory memory;
    const session_config config = {.host = "localhost",
                                   .tls = TRANSPORT_TLS_NONE,
                                   .user = "me",
                                   .token = r->way & 4,
                                   .enable = enable,
                                   .idle_memory = &memory,
                                   .allow_expunge = true,
                                   .compress = (r->way & 0x10) != 0,
                                   .client_name = "fuzzer",
                                   .limits = &limits};
    const transport_greeting greeting = {
        .text = "OK", .preauth = (r->way & 8) != 0, .capability = capabilities[r->way & 3], .peer = "x"};

    memory = (session_idle_memory){0};
    r->session = session_new(r->loop, NULL, &r->random, &config, &events, r, &log);
    error_free(session_open(r->session));
    if (r->transport) {
        r->transport->events.connected(r->transport->user, &greeting);
    }
    turn(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    run r = {0};

    if (size < 2) {
        return 0;
    }
    current = &r;
    r.way = data[0];
    r.free_at = data[1];
    r.tags = g_ptr_array_new_with_free_func(g_free);
    clock_init_fake(&r.clock, 1000000);
    clock_fake_advance(&r.clock, 1000000);
    random_init_seeded(&r.random, 1);
    error_free(loop_new(&r.clock, &r.loop));
    open_session(&r);
    play(&r, data + 2, size - 2);
    session_free(r.session);
    insist(r.pending == 0);
    loop_free(r.loop);
    g_ptr_array_free(r.tags, TRUE);
    return 0;
}
