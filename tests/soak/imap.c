/* The IMAP server: commands, the session's state, what it tells by itself. RFC 3501 with the extensions in store.c. */
#include "tests/soak/imap_priv.h"

#include <string.h>

/* --- flags and sets ----------------------------------------------------------------------------------------------- */

const char *const flag_items[FLAG_ITEMS] = {"UID", "FLAGS", "MODSEQ"};
static const char *const flag_names[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "Soaked"};

uint32_t imap_flag(const char *name) {
    for (unsigned i = 0; i < G_N_ELEMENTS(flag_names); i++) {
        if (g_ascii_strcasecmp(name, flag_names[i]) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

void imap_flags_text(uint32_t flags, GString *out) {
    const char *gap = "";

    for (unsigned i = 0; i < G_N_ELEMENTS(flag_names); i++) {
        if (flags >> i & 1) {
            g_string_append_printf(out, "%s%s", gap, flag_names[i]);
            gap = " ";
        }
    }
}

unsigned imap_number_of(const peer *p, uint32_t uid) {
    guint low = 0, high = p->view->len;

    while (low < high) {
        guint middle = (low + high) / 2;
        if (g_array_index(p->view, uint32_t, middle) < uid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < p->view->len && g_array_index(p->view, uint32_t, low) == uid ? low + 1 : 0;
}

static bool add_range(const folder *f, uint32_t from, uint32_t to, GArray *out) {
    for (guint i = 0; i < f->entries->len; i++) {
        uint32_t uid = g_array_index(f->entries, entry, i).uid;
        if (uid >= from && uid <= to) {
            g_array_append_val(out, uid);
        }
    }
    return true;
}

bool imap_read_set(const peer *p, const char *text, GArray *uids_out) {
    const folder *f = p->selected;
    uint32_t last = f->entries->len ? g_array_index(f->entries, entry, f->entries->len - 1).uid : 0;

    while (*text) {
        char *end = (char *)(uintptr_t)text;
        uint32_t a = *text == '*' ? (end++, last) : (uint32_t)strtoul(text, &end, 10), b = a;
        if (*end == ':') {
            text = end + 1;
            b = *text == '*' ? (end = (char *)(uintptr_t)text + 1, last) : (uint32_t)strtoul(text, &end, 10);
        }
        if (end == text || (*end && *end != ',')) {
            return false;
        }
        add_range(f, MIN(a, b), MAX(a, b), uids_out);
        text = *end ? end + 1 : end;
    }
    return true;
}

/* --- what is new -------------------------------------------------------------------------------------------------- */

void imap_sync(peer *p) {
    const folder *f = p->selected;
    guint before;
    GString *vanished;

    if (!f || p->seen == f->modseq) {
        return;
    }
    vanished = g_string_new(NULL);
    for (guint i = 0; i < p->view->len;) {
        uint32_t uid = g_array_index(p->view, uint32_t, i);
        if (folder_entry(f, uid)) {
            i++;
            continue;
        }
        g_array_remove_index(p->view, i);
        if (p->qresync) {
            g_string_append_printf(vanished, "%s%u", vanished->len ? "," : "", uid);
        } else {
            peer_say(p, "* %u EXPUNGE\r\n", i + 1);
        }
    }
    if (vanished->len) {
        peer_say(p, "* VANISHED %s\r\n", vanished->str);
    }
    g_string_free(vanished, TRUE);
    before = p->view->len;
    uint32_t known = before ? g_array_index(p->view, uint32_t, before - 1) : 0;
    for (guint i = 0; i < f->entries->len; i++) {
        uint32_t uid = g_array_index(f->entries, entry, i).uid;
        if (uid > known) {
            g_array_append_val(p->view, uid);
        }
    }
    if (p->view->len > before) {
        peer_say(p, "* %u EXISTS\r\n", p->view->len);
    }
    for (guint i = before; p->pushed && i < p->view->len; i++) {
        const entry *e = folder_entry(f, g_array_index(p->view, uint32_t, i));
        imap_fetch_entry(p, e, (const char *const *)p->pushed->pdata, p->pushed->len);
    }
    p->seen = f->modseq;
}

void imap_push(peer *p) {
    if ((p->idle_tag || p->pushed) && !p->silent && !p->closing) {
        imap_sync(p);
        peer_send(p);
    }
}

void imap_news(folder *f) {
    g_autoptr(GPtrArray) list = peers_of(f->account->soak, NULL, f->account);

    for (guint i = 0; i < list->len; i++) {
        peer *p = list->pdata[i];
        if (p->selected == f) {
            imap_push(p);
        } else {
            notify_tell(p, f);
        }
    }
}

/* --- any state ---------------------------------------------------------------------------------------------------- */

static void do_capability(peer *p, const char *tag, const words *w) {
    (void)w;
    peer_say(p, "* CAPABILITY %s\r\n%s OK done\r\n", p->server->provider->capabilities, tag);
}

static void do_id(peer *p, const char *tag, const words *w) {
    (void)w;
    peer_say(p, "* ID (\"name\" \"soak-%s\")\r\n%s OK done\r\n", p->server->provider->name, tag);
}

static void do_enable(peer *p, const char *tag, const words *w) {
    peer_say(p, "* ENABLED");
    for (guint i = 2; i < w->at->len; i++) {
        bool qresync = g_ascii_strcasecmp(word(w, i), "QRESYNC") == 0 && p->server->provider->qresync;
        bool condstore = g_ascii_strcasecmp(word(w, i), "CONDSTORE") == 0 && p->server->provider->condstore;
        p->qresync |= qresync;
        p->condstore |= qresync || condstore;
        if (qresync || condstore) {
            peer_say(p, " %s", word(w, i));
        }
    }
    peer_say(p, "\r\n%s OK done\r\n", tag);
}

static void do_namespace(peer *p, const char *tag, const words *w) {
    (void)w;
    peer_say(p, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n%s OK done\r\n", tag);
}

static void do_logout(peer *p, const char *tag, const words *w) {
    (void)w;
    peer_say(p, "* BYE bye\r\n%s OK bye\r\n", tag);
}

static void do_noop(peer *p, const char *tag, const words *w) {
    (void)w;
    imap_sync(p);
    peer_say(p, "%s OK done\r\n", tag);
}

static void do_nothing(peer *p, const char *tag, const words *w) {
    (void)w;
    peer_say(p, "%s OK done\r\n", tag);
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

static void had_enough(soak *s, void *user, uint64_t id) {
    peer *p = g_hash_table_lookup(s->peers, &id);

    (void)user;
    if (p && p->idle_tag && s->now - p->heard_at >= p->server->provider->silence) {
        s->count.hangups++;
        peer_end(p, p->id % 2 ? FATE_CLOSE : FATE_BYE);
    }
}

static void do_idle(peer *p, const char *tag, const words *w) {
    (void)w;
    if (!p->server->provider->idle) {
        peer_say(p, "%s BAD what is that\r\n", tag);
        return;
    }
    p->idle_tag = g_strdup(tag);
    p->soak->count.renewals++;
    peer_say(p, "+ idling\r\n");
    imap_sync(p);
    if (p->server->provider->silence) {
        agenda_add(p->soak, p->soak->now + p->server->provider->silence, had_enough, NULL, p->id);
    }
}

static void take_done(peer *p) {
    g_autofree char *tag = g_steal_pointer(&p->idle_tag);

    imap_sync(p);
    peer_say(p, "%s OK idled\r\n", tag);
    peer_send(p);
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static GArray *set_of(peer *p, const char *tag, const char *text) {
    GArray *uids = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    if (!imap_read_set(p, text, uids)) {
        peer_say(p, "%s BAD not a set\r\n", tag);
        g_array_free(uids, TRUE);
        return NULL;
    }
    return uids;
}

static uint32_t flags_in(const words *w, guint from) {
    uint32_t flags = 0;

    for (guint i = from; i < w->at->len; i++) {
        flags |= imap_flag(word(w, i));
    }
    return flags;
}

static void store_one(peer *p, entry *e, const char *how, uint32_t flags) {
    uint32_t now = *how == '+' ? e->flags | flags : *how == '-' ? e->flags & ~flags : flags;

    if (*how == '+' && (flags & (FLAG_KEYWORD | FLAG_SEEN)) && e->letter->marked < UINT8_MAX) {
        e->letter->marked++;
    }
    folder_set_flags(p->selected, e, now);
    g_ptr_array_add(p->touched, e->letter);
    if (!g_str_has_suffix(how, ".SILENT") || p->condstore) {
        imap_fetch_entry(p, e, flag_items, FLAG_ITEMS - !p->condstore);
    }
}

static void do_store(peer *p, const char *tag, const words *w) {
    bool condition = strcmp(word(w, 4), "(") == 0;
    uint64_t unchanged = condition ? g_ascii_strtoull(word(w, 6), NULL, 10) : UINT64_MAX;
    guint how = condition ? 8 : 4;
    g_autoptr(GArray) uids = set_of(p, tag, word(w, 3));
    g_autoptr(GString) modified = g_string_new(NULL);

    for (guint i = 0; uids && i < uids->len; i++) {
        entry *e = folder_entry(p->selected, g_array_index(uids, uint32_t, i));
        if (e->modseq > unchanged) {
            g_string_append_printf(modified, "%s%u", modified->len ? "," : " [MODIFIED ", e->uid);
        } else {
            store_one(p, e, word(w, how), flags_in(w, how + 1));
        }
    }
    imap_sync(p);
    if (uids) {
        peer_say(p, "%s OK%s%s done\r\n", tag, modified->str, modified->len ? "]" : "");
    }
    imap_news(p->selected);
}

/* COPYUID's text, or nothing. */
static GString *copy_all(peer *p, const GArray *uids, folder *to) {
    GString *source = g_string_new(NULL), *target = g_string_new(NULL), *code = g_string_new(NULL);

    for (guint i = 0; i < uids->len; i++) {
        entry *e = folder_entry(p->selected, g_array_index(uids, uint32_t, i));
        uint32_t uid = e->uid, new_uid = folder_add(to, e->letter, e->flags);
        g_ptr_array_add(p->touched, folder_entry(to, new_uid)->letter);
        g_string_append_printf(source, "%s%u", i ? "," : "", uid);
        g_string_append_printf(target, "%s%u", i ? "," : "", new_uid);
    }
    if (p->server->provider->uidplus && uids->len) {
        g_string_printf(code, "[COPYUID %u %s %s] ", to->uidvalidity, source->str, target->str);
    }
    g_string_free(source, TRUE);
    g_string_free(target, TRUE);
    return code;
}

static void do_copy(peer *p, const char *tag, const words *w) {
    folder *to = folder_find(p->account, word(w, 4));
    g_autoptr(GArray) uids = set_of(p, tag, word(w, 3));

    if (!uids) {
        return;
    }
    if (!to) {
        peer_say(p, "%s NO [TRYCREATE] no such folder\r\n", tag);
        return;
    }
    g_autoptr(GString) code = copy_all(p, uids, to);
    imap_sync(p);
    peer_say(p, "%s OK %sdone\r\n", tag, code->str);
    imap_news(to);
}

static void do_move(peer *p, const char *tag, const words *w) {
    folder *to = folder_find(p->account, word(w, 4));
    g_autoptr(GArray) uids = set_of(p, tag, word(w, 3));

    if (!uids || !p->server->provider->move || !to) {
        peer_say(p, !to && p->server->provider->move ? "%s NO [TRYCREATE] no such folder\r\n" : "%s BAD no\r\n", tag);
        return;
    }
    g_autoptr(GString) code = copy_all(p, uids, to);
    if (code->len) {
        peer_say(p, "* OK %smoved\r\n", code->str);
    }
    for (guint i = 0; i < uids->len; i++) {
        folder_remove(p->selected, g_array_index(uids, uint32_t, i));
    }
    imap_sync(p);
    peer_say(p, "%s OK done\r\n", tag);
    imap_news(to);
    imap_news(p->selected);
}

static void expunge(peer *p, const char *tag, const GArray *uids) {
    folder *f = p->selected;

    for (guint i = 0; i < uids->len; i++) {
        uint32_t uid = g_array_index(uids, uint32_t, i);
        const entry *e = folder_entry(f, uid);
        if (e->flags & FLAG_DELETED) {
            g_ptr_array_add(p->touched, e->letter);
            folder_remove(f, uid);
        }
    }
    imap_sync(p);
    peer_say(p, "%s OK done\r\n", tag);
    imap_news(f);
}

static void do_uid_expunge(peer *p, const char *tag, const words *w) {
    g_autoptr(GArray) uids = set_of(p, tag, word(w, 3));

    if (uids) {
        expunge(p, tag, uids);
    }
}

static void do_expunge(peer *p, const char *tag, const words *w) {
    g_autoptr(GArray) uids = set_of(p, tag, "1:*");

    (void)w;
    if (uids) {
        expunge(p, tag, uids);
    }
}

static void do_fetch(peer *p, const char *tag, const words *w) {
    imap_sync(p);
    imap_fetch(p, tag, w);
}

static void do_search(peer *p, const char *tag, const words *w) {
    imap_sync(p);
    imap_search(p, tag, w);
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

enum needs { NOTHING, A_LOGIN, A_FOLDER };

static const struct command {
    const char *name;
    enum needs needs;
    void (*run)(peer *p, const char *tag, const words *w);
} commands[] = {
    {"CAPABILITY", NOTHING, do_capability}, {"NOOP", NOTHING, do_noop},
    {"LOGOUT", NOTHING, do_logout},         {"ID", NOTHING, do_id},
    {"LOGIN", NOTHING, do_login},           {"AUTHENTICATE", NOTHING, do_authenticate},
    {"ENABLE", A_LOGIN, do_enable},         {"NAMESPACE", A_LOGIN, do_namespace},
    {"LIST", A_LOGIN, do_list},             {"STATUS", A_LOGIN, do_status},
    {"CREATE", A_LOGIN, do_create},         {"SUBSCRIBE", A_LOGIN, do_nothing},
         {"NOTIFY", A_LOGIN, imap_notify},       {"SELECT", A_LOGIN, do_select},
    {"EXAMINE", A_LOGIN, do_select},        {"IDLE", A_LOGIN, do_idle},
    {"UNSELECT", A_FOLDER, do_unselect},    {"EXPUNGE", A_FOLDER, do_expunge},
    {"UID FETCH", A_FOLDER, do_fetch},      {"UID SEARCH", A_FOLDER, do_search},
    {"UID STORE", A_FOLDER, do_store},      {"UID COPY", A_FOLDER, do_copy},
    {"UID MOVE", A_FOLDER, do_move},        {"UID EXPUNGE", A_FOLDER, do_uid_expunge},
};

/* True: the command is not carried out. */
static bool strike(peer *p, const char *tag, const char *name) {
    account *a = p->account;
    soak *s = p->soak;

    if (a && s->now < a->throttled) {
        p->select_refused |= strcmp(name, "SELECT") == 0;
        peer_say(p, "%s BAD Request is throttled. Suggested Backoff Time: %" G_GINT64_FORMAT " milliseconds\r\n", tag,
                 a->throttled - s->now);
        return true;
    }
    if (!a || !a->armed || s->over || strcmp(a->armed, name) != 0) {
        return false;
    }
    soak_log(s, "%s: %s struck (%d)", a->name, name, a->armed_how);
    a->armed = NULL;
    switch (a->armed_how) {
    case ARMED_LOSE_COMMAND:
        s->count.cuts++;
        peer_end(p, FATE_RESET);
        return true;
    case ARMED_REFUSE:
        p->select_refused |= strcmp(name, "SELECT") == 0;
        s->count.refusals++;
        peer_say(p, "%s NO [UNAVAILABLE] not now\r\n", tag);
        return true;
    default:
        s->count.cuts++;
        p->lose_answer = true;
        p->lose_how = a->armed_how == ARMED_HALF_ANSWER ? FATES : (enum fate)(p->id % 2 ? FATE_RESET : FATE_SILENCE);
        return false;
    }
}

static void carry_out(peer *p, const words *w) {
    const char *tag = word(w, 0);
    bool uid = g_ascii_strcasecmp(word(w, 1), "UID") == 0;
    g_autofree char *name = uid ? g_strdup_printf("UID %s", word(w, 2)) : g_strdup(word(w, 1));

    p->soak->count.commands++;
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        const struct command *c = &commands[i];
        if (g_ascii_strcasecmp(name, c->name) == 0) {
            if (c->needs > (p->account ? p->selected ? A_FOLDER : A_LOGIN : NOTHING)) {
                if (!p->select_refused) { /* what left in one write with it */
                    soak_fail(p->soak, "%s in the wrong state", c->name);
                }
                peer_say(p, "%s BAD not in this state\r\n", tag);
            } else if (!strike(p, tag, c->name)) {
                c->run(p, tag, w);
            }
            peer_send(p);
            return;
        }
    }
    soak_fail(p->soak, "a command that is not known: %s", name);
    peer_say(p, "%s BAD what is that\r\n", tag);
    peer_send(p);
}

void imap_take(peer *p) {
    size_t len;

    while (!p->closing && !p->silent && (len = words_complete(p))) {
        g_autofree char *command = g_strndup(p->in->str, len);
        g_string_erase(p->in, 0, (gssize)len);
        p->literal_told = 0;
        if (p->auth_tag) {
            command[strcspn(command, "\r\n")] = '\0';
            login_line(p, command);
        } else if (p->idle_tag && g_ascii_strncasecmp(command, "DONE\r\n", 6) == 0) {
            take_done(p);
        } else {
            words *w = words_split(command, command + len);
            carry_out(p, w);
            words_free(w);
        }
    }
}
