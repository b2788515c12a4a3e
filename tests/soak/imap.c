/* The IMAP server: commands, the session's state, what it tells by itself. RFC 3501 with the extensions in store.c. */
#include "tests/soak/soak.h"

#include <string.h>

#define TOKEN_LIFE HOUR

/* --- words ----------------------------------------------------------------------------------------------------------- */

static size_t literal_at(const char *line, size_t len, bool *waits_out) {
    size_t digits = len;
    bool plus = len >= 2 && line[len - 1] == '}' && (line[len - 2] == '+' || line[len - 2] == '-');

    if (len < 3 || line[len - 1] != '}') {
        return SIZE_MAX;
    }
    digits = len - (plus ? 2 : 1);
    while (digits && g_ascii_isdigit(line[digits - 1])) {
        digits--;
    }
    if (!digits || line[digits - 1] != '{') {
        return SIZE_MAX;
    }
    *waits_out = !plus;
    return strtoul(line + digits, NULL, 10);
}

/* Octets of the first command in `in`, 0: not all of it is there. */
static size_t complete(peer *p) {
    size_t from = 0, size;
    bool waits = false;

    for (;;) {
        const char *end = p->in->len > from ? strstr(p->in->str + from, "\r\n") : NULL;
        if (!end) {
            return 0;
        }
        size_t line_end = (size_t)(end - p->in->str);
        size = literal_at(p->in->str + from, line_end - from, &waits);
        if (size == SIZE_MAX) {
            return line_end + 2;
        }
        if (waits && p->literal_told < line_end) {
            p->literal_told = line_end;
            peer_say(p, "+ go ahead\r\n");
            peer_send(p);
        }
        from = line_end + 2 + size;
        if (p->in->len < from) {
            return 0;
        }
    }
}

static const char *take_quoted(const char *at, GString *word) {
    for (at++; *at && *at != '"'; at++) {
        at += *at == '\\' && at[1];
        g_string_append_c(word, *at);
    }
    return *at ? at + 1 : at;
}

static const char *take_atom(const char *at, GString *word) {
    int depth = 0;

    for (; *at && (depth || !strchr(" ()\r\n", *at)); at++) {
        depth += (*at == '[') - (*at == ']');
        g_string_append_c(word, *at);
    }
    return at;
}

static words *split(const char *at, const char *end) {
    words *w = g_new0(words, 1);
    bool waits;

    w->at = g_ptr_array_new_with_free_func(g_free);
    while (at < end && *at != '\r') {
        GString *word = g_string_new(NULL);
        if (*at == '(' || *at == ')') {
            g_string_append_c(word, *at++);
        } else if (*at == '"') {
            at = take_quoted(at, word);
        } else if (*at == '{') {
            const char *line_end = strstr(at, "\r\n");
            size_t size = literal_at(at, (size_t)(line_end - at), &waits);
            g_string_append_len(word, line_end + 2, (gssize)size);
            at = line_end + 2 + size;
        } else {
            at = take_atom(at, word);
        }
        g_ptr_array_add(w->at, g_string_free(word, FALSE));
        at += *at == ' ';
    }
    return w;
}

static const char *word(const words *w, guint i) {
    return i < w->at->len ? w->at->pdata[i] : "";
}

static void words_free(words *w) {
    g_ptr_array_free(w->at, TRUE);
    g_free(w);
}

/* --- flags and sets ------------------------------------------------------------------------------------------------------ */

static const char *const flag_items[] = {"UID", "FLAGS", "MODSEQ"};
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

/* --- what is new ------------------------------------------------------------------------------------------------------------ */

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

/* --- login ---------------------------------------------------------------------------------------------------------------- */

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
    return a != NULL;
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

static void do_authenticate(peer *p, const char *tag, const words *w) {
    if (w->at->len > 3) {
        take_initial(p, tag, word(w, 3));
    } else {
        p->auth_tag = g_strdup(tag);
        peer_say(p, "+ \r\n");
    }
}

/* The line behind a challenge: the initial response, or the end of a refused one. */
static void take_auth_line(peer *p, const char *line) {
    g_autofree char *tag = g_steal_pointer(&p->auth_tag);

    if (*line == '*' || !*line) {
        peer_say(p, "%s NO [AUTHENTICATIONFAILED] Invalid credentials\r\n", tag);
    } else {
        take_initial(p, tag, line);
    }
    peer_send(p);
}

static void do_login(peer *p, const char *tag, const words *w) {
    take_password(p, tag, word(w, 2), word(w, 3));
}

/* --- any state ---------------------------------------------------------------------------------------------------------------- */

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

/* --- folders --------------------------------------------------------------------------------------------------------------------- */

/* In a pattern "*" is anything, "%" anything within a level. */
static bool fits(const char *pattern, const char *name) {
    g_autofree char *glob = g_strdelimit(g_strdup(pattern), "%", '*');

    return g_pattern_match_simple(glob, name) && (!strchr(pattern, '%') || strchr(pattern, '*') || !strchr(name, '/'));
}

/* One of several patterns (RFC 5258), from behind "(". */
static bool is_listed(const words *w, guint at, const char *name) {
    for (; at < w->at->len && strcmp(word(w, at), ")") != 0; at++) {
        if (fits(word(w, at), name)) {
            return true;
        }
    }
    return false;
}

/* LIST-STATUS: the items behind RETURN (STATUS (...; 0 if it is not asked for. */
static guint status_items(const words *w, guint *end_out) {
    for (guint i = 2; i + 1 < w->at->len; i++) {
        if (g_ascii_strcasecmp(word(w, i), "STATUS") == 0 && strcmp(word(w, i + 1), "(") == 0) {
            for (*end_out = i + 2; *end_out < w->at->len && strcmp(word(w, *end_out), ")") != 0; ++*end_out) {
            }
            return i + 2;
        }
    }
    return 0;
}

static void do_list(peer *p, const char *tag, const words *w) {
    guint at = 2, end = 0, items = status_items(w, &end);

    while (strcmp(word(w, 2), "(") == 0 && at < w->at->len && strcmp(word(w, at++), ")") != 0) {
    }
    bool several = strcmp(word(w, at + 1), "(") == 0;
    const char *pattern = word(w, at + 1);
    if (!*pattern) {
        peer_say(p, "* LIST (\\Noselect) \"/\" \"\"\r\n");
    }
    for (guint i = 0; i < p->account->folders->len && *pattern; i++) {
        const folder *f = p->account->folders->pdata[i];
        if (several ? !is_listed(w, at + 2, f->name) : !fits(pattern, f->name)) {
            continue;
        }
        peer_say(p, "* LIST (\\HasNoChildren%s%s) \"/\" \"%s\"\r\n", f->role ? " " : "", f->role ? f->role : "", f->name);
        if (items) {
            imap_status(p, f, (const char *const *)w->at->pdata + items, end - items);
        }
    }
    peer_say(p, "%s OK done\r\n", tag);
}

void imap_status(peer *p, const folder *f, const char *const *items, unsigned n) {
    peer_say(p, "* STATUS \"%s\" (", f->name);
    for (unsigned i = 0; i < n; i++) {
        const char *item = items[i];
        unsigned long long value = g_ascii_strcasecmp(item, "MESSAGES") == 0        ? f->entries->len
                                   : g_ascii_strcasecmp(item, "UIDNEXT") == 0       ? f->uidnext
                                   : g_ascii_strcasecmp(item, "UIDVALIDITY") == 0   ? f->uidvalidity
                                   : g_ascii_strcasecmp(item, "HIGHESTMODSEQ") == 0 ? f->modseq
                                                                                    : 0;
        peer_say(p, "%s%s %llu", i ? " " : "", item, value);
    }
    peer_say(p, ")\r\n");
}

static void do_status(peer *p, const char *tag, const words *w) {
    const folder *f = folder_find(p->account, word(w, 2));

    if (!f) {
        peer_say(p, "%s NO [NONEXISTENT] no such folder\r\n", tag);
        return;
    }
    imap_status(p, f, (const char *const *)w->at->pdata + 4, w->at->len > 5 ? w->at->len - 5 : 0);
    peer_say(p, "%s OK done\r\n", tag);
}

static void do_create(peer *p, const char *tag, const words *w) {
    if (folder_find(p->account, word(w, 2))) {
        peer_say(p, "%s NO [ALREADYEXISTS] it is there\r\n", tag);
        return;
    }
    notify_named(folder_make(p->account, word(w, 2), NULL));
    peer_say(p, "%s OK done\r\n", tag);
}

/* QRESYNC: what went and what changed since the client was here (RFC 7162 section 3.2.5). */
static void catch_up(peer *p, const words *w) {
    const folder *f = p->selected;
    uint64_t since = g_ascii_strtoull(word(w, 7), NULL, 10);
    const char *gap = "* VANISHED (EARLIER) ";

    if (g_ascii_strcasecmp(word(w, 4), "QRESYNC") != 0 || g_ascii_strtoull(word(w, 6), NULL, 10) != f->uidvalidity) {
        return;
    }
    for (guint i = 0; i < f->gone->len; i++) {
        const gone *g = &g_array_index(f->gone, gone, i);
        if (g->modseq > since) {
            peer_say(p, "%s%u", gap, g->uid);
            gap = ",";
        }
    }
    peer_say(p, *gap == ',' ? "\r\n" : "");
    for (guint i = 0; i < f->entries->len; i++) {
        const entry *e = &g_array_index(f->entries, entry, i);
        if (e->modseq > since) {
            imap_fetch_entry(p, e, flag_items, G_N_ELEMENTS(flag_items));
        }
    }
}

static void do_select(peer *p, const char *tag, const words *w) {
    folder *f = folder_find(p->account, word(w, 2));

    p->selected = NULL;
    g_array_set_size(p->view, 0);
    if (!f) {
        peer_say(p, "%s NO [NONEXISTENT] no such folder\r\n", tag);
        return;
    }
    p->selected = f;
    p->select_refused = false;
    p->read_only = g_ascii_strcasecmp(word(w, 1), "EXAMINE") == 0;
    for (guint i = 0; i < f->entries->len; i++) {
        g_array_append_val(p->view, g_array_index(f->entries, entry, i).uid);
    }
    p->seen = f->modseq;
    peer_say(p,
             "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft Soaked)\r\n"
             "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] x\r\n"
             "* %u EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY %u] x\r\n* OK [UIDNEXT %u] x\r\n",
             f->entries->len, f->uidvalidity, f->uidnext);
    if (p->server->provider->condstore) {
        peer_say(p, "* OK [HIGHESTMODSEQ %" G_GUINT64_FORMAT "] x\r\n", f->modseq);
        catch_up(p, w);
    }
    peer_say(p, "%s OK [%s] selected\r\n", tag, p->read_only ? "READ-ONLY" : "READ-WRITE");
}

static void do_unselect(peer *p, const char *tag, const words *w) {
    (void)w;
    p->selected = NULL;
    peer_say(p, "%s OK done\r\n", tag);
}

/* --- waiting ------------------------------------------------------------------------------------------------------------------------ */

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

/* --- messages -------------------------------------------------------------------------------------------------------------------------- */

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
        imap_fetch_entry(p, e, flag_items, G_N_ELEMENTS(flag_items) - !p->condstore);
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

/* --- commands -------------------------------------------------------------------------------------------------------------------------- */

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

    while (!p->closing && !p->silent && (len = complete(p))) {
        g_autofree char *command = g_strndup(p->in->str, len);
        g_string_erase(p->in, 0, (gssize)len);
        p->literal_told = 0;
        if (p->auth_tag) {
            command[strcspn(command, "\r\n")] = '\0';
            take_auth_line(p, command);
        } else if (p->idle_tag && g_ascii_strncasecmp(command, "DONE\r\n", 6) == 0) {
            take_done(p);
        } else {
            words *w = split(command, command + len);
            carry_out(p, w);
            words_free(w);
        }
    }
}
