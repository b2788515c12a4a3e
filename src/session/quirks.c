#include "session/quirks.h"

#include "base/limits.h"

#include <string.h>

#define CAP(cap) (UINT64_C(1) << IMAP_CAP_##cap)
#define MINUTES(n) ((n) * 60000u)
#define SECONDS(n) ((n) * 1000u)
/* Measured with Dovecot; whether others need it nobody knows. */
#define SETTLE_MS 2000

/*
 * One row a server. Of the first group each given column is a way to know it; one that fits is enough. The second group
 * must fit, too. Patterns know * and ?, case does not count; several are separated by blanks ("_" is a blank).
 */
struct row {
    const char *name, *source;
    const char *host, *greeting, *id; /* id: name or vendor */
    uint64_t word;                    /* CAP(...): one of these is offered */

    const char *not_host;
    uint64_t lacks;            /* after the login none of these is offered */
    const char *version_below; /* told by ID: "2.3.15" */

    session_quirks quirks; /* names stays empty */
};

static const struct row rows[] = {
    {.name = "gmail",
     .source = "wildduck#35, FairEmail FAQ(23): 15 connections, half-open ones count",
     .host = "imap.gmail.com imap.googlemail.com",
     .greeting = "*Gimap_ready*",
     .word = CAP(X_GM_EXT_1),
     .quirks = {.connections_plan = 7, .connections_most = 15}},

    {.name = "exchange online",
     .source = "angus-mail#176, imapclient#349: IDLE goes silent; Exchange documentation: 16 connections a user",
     .host = "outlook.office365.com *.office365.com imap-mail.outlook.com *.outlook.com",
     .quirks = {.connections_plan = 16, .idle_ms = MINUTES(9)}},

    /* A 2013 cannot be told from its successors, by nothing that it says. */
    {.name = "exchange",
     .source = "isync README and mbsync(1): MOVE of Exchange 2013; Exchange documentation: 16 connections a user",
     .greeting = "*Microsoft_Exchange*",
     .not_host = "outlook.office365.com *.office365.com imap-mail.outlook.com *.outlook.com",
     .quirks = {.disbelieve = CAP(MOVE), .connections_plan = 16}},

    {.name = "yahoo",
     .source = "MailKit: commands of 1,000 octets; emailengine imap-client.js:1503: IDLE of 3 minutes",
     .host = "*.mail.yahoo.com imap.mail.yahoo.* *.aol.com *.mail.yahoo.co.jp *.verizon.net",
     .word = CAP(XYMHIGHESTMODSEQ),
     .quirks = {.command_octets = 1000, .idle_ms = MINUTES(3)}},

    {.name = "yahoo japan",
     .source = "FairEmail Core.java:1515, 890: NO [CANNOT] MOVE, SEARCH HEADER Message-ID broken",
     .host = "*.yahoo.co.jp",
     .quirks = {.disbelieve = CAP(MOVE), .command_octets = 1000}},

    /* XAPPLEPUSHSERVICE tells nothing: Cyrus and plug-ins of Dovecot offer it, too. */
    {.name = "icloud",
     .source = "Mailspring PR#91: VANISHED; nextcloud/mail#9454: ESEARCH; MailKit#1871: no ENABLED; FairEmail: HEADER",
     .host = "*.mail.me.com *.mail.icloud.com",
     .quirks = {.disbelieve = CAP(QRESYNC) | CAP(ESEARCH), .silent_enable = true}},

    {.name = "netease",
     .source = "emailengine imap-client.js:1499: NOOP keeps nothing alive, 55 s; gaia#27513: moves broken; chatmail",
     .host = "imap.163.com imap.126.com imap.yeah.net imap.188.com imap.vip.163.com imap.vip.126.com "
             "imap.qiye.163.com imaphz.qiye.163.com",
     .id = "*Coremail*",
     .quirks = {.disbelieve = CAP(MOVE) | CAP(IDLE), .poll = SESSION_POLL_STATUS, .poll_ms = SECONDS(55)}},

    {.name = "mail.ru",
     .source = "chatmail#1868: IDLE answered BAD [CLIENTBUG]",
     .host = "imap.mail.ru",
     .quirks = {.disbelieve = CAP(IDLE)}},

    {.name = "rambler",
     .source = "emailengine imap-client.js:1496: IDLE dies before 60 s",
     .host = "imap.rambler.ru",
     .quirks = {.idle_ms = SECONDS(55), .poll_ms = SECONDS(55)}},

    {.name = "naver",
     .source = "imapclient#238, emailengine imap-client.js:1515: IDLE is BAD, NOOP shows nothing, SELECT does",
     .host = "imap.naver.com",
     .quirks = {.disbelieve = CAP(IDLE), .poll = SESSION_POLL_SELECT, .idle_ms = SECONDS(55),
                .poll_ms = SECONDS(55)}},

    {.name = "1&1",
     .source = "FairEmail providers.xml: GMX, web.de, IONOS need a sign of life every 12 minutes",
     .host = "imap.gmx.* imap.web.de imap.ionos.* imap.1und1.*",
     .quirks = {.idle_ms = MINUTES(12), .poll_ms = MINUTES(12)}},

    {.name = "strato",
     .source = "MailKit#1957: LIST with RETURN gives nothing",
     .host = "imap.strato.*",
     .quirks = {.plain_list = true}},

    {.name = "proton bridge 1",
     .source = "MailKit: XSTOP tells it; proton-bridge#123: UID EXPUNGE refused; #220: UIDs hit other messages",
     .word = CAP(XSTOP),
     .quirks = {.disbelieve = CAP(UIDPLUS), .check_identity = true}},

    {.name = "proton bridge",
     .source = "proton-bridge#220: said to be mended in 3, reported of 3.4.1",
     .id = "gluon* *Proton*",
     .quirks = {.check_identity = true}},

    {.name = "dovecot",
     .source = "mail_max_userip_connections = 10; measured with 2.3.19: NOTIFY loses what comes within 2 s of SELECT",
     .greeting = "*Dovecot*",
     .id = "Dovecot*",
     .quirks = {.connections_plan = 10, .settle_ms = SETTLE_MS}},

    {.name = "dovecot before 2.3.15",
     .source = "Dovecot's NEWS of 2.3.13 and 2.3.15: NOTIFY crashes, COMPRESS hangs with commands over 8 KB. Told by "
               "ID, if at all",
     .id = "Dovecot*",
     .version_below = "2.3.15",
     .quirks = {.disbelieve = CAP(NOTIFY), .command_octets = 8000}},

    {.name = "old dovecot",
     .source = "2.3.19 offers SAVEDATE: one that does not is older, how much is not told",
     .greeting = "*Dovecot*",
     .id = "Dovecot*",
     .lacks = CAP(SAVEDATE) | CAP(IMAP4REV2),
     .quirks = {.disbelieve = CAP(NOTIFY)}},

    {.name = "gnu mailutils",
     .source = "measured with 3.15: SEARCH UID reads sequence numbers, a UID that is gone hits another message, IDLE "
               "tells at its end",
     .greeting = "IMAP4rev1 OK_IMAP4rev1",
     .lacks = CAP(ESEARCH) | CAP(UIDPLUS) | CAP(MOVE) | CAP(CONDSTORE),
     .quirks = {.disbelieve = CAP(IDLE), .check_identity = true, .search_by_sequence = true}},

    {.name = "stalwart",
     .source = "Stalwart's documentation: 16 connections",
     .greeting = "*Stalwart*",
     .id = "Stalwart*",
     .quirks = {.connections_plan = 16}},
};

/* ---- does a row fit? ---- */

/* '*' any run, '?' and '_' (a blank, in the list of patterns) one character. */
static bool glob(const char *pattern, size_t len, const char *text) {
    const char *p = pattern, *end = pattern + len, *star = NULL, *mark = text;

    while (*text) {
        if (p < end && *p == '*') {
            star = ++p;
            mark = text;
        } else if (p < end && (*p == '?' || g_ascii_tolower(*p == '_' ? ' ' : *p) == g_ascii_tolower(*text))) {
            p++;
            text++;
        } else if (star) {
            p = star;
            text = ++mark;
        } else {
            return false;
        }
    }
    while (p < end && *p == '*') {
        p++;
    }
    return p == end;
}

static bool any_of(const char *patterns, const char *text) {
    while (patterns && text && *patterns) {
        size_t len = strcspn(patterns, " ");
        if (len && glob(patterns, len, text)) {
            return true;
        }
        patterns += len + (patterns[len] == ' ');
    }
    return false;
}

/* Numbers between dots, one by one. */
static bool version_is_below(const char *version, const char *bound) {
    while (*version && *bound) {
        char *v, *b;
        guint64 x = g_ascii_strtoull(version, &v, 10), y = g_ascii_strtoull(bound, &b, 10);
        if (v == version || x != y) {
            return v != version && x < y;
        }
        version = v + (*v == '.');
        bound = b + (*b == '.');
    }
    return *bound != '\0';
}

static bool fits(const struct row *row, const session_server *s) {
    bool known = any_of(row->host, s->host) || any_of(row->greeting, s->greeting) || any_of(row->id, s->id_name) ||
                 any_of(row->id, s->id_vendor) || (s->caps && (s->caps->bits & row->word));

    if (!known || any_of(row->not_host, s->host)) {
        return false;
    }
    if (row->lacks && (!s->caps || (s->caps->bits & row->lacks))) {
        return false;
    }
    return !row->version_below || (s->id_version && version_is_below(s->id_version, row->version_below));
}

/* ---- adding up ---- */

static void lower(uint32_t *value, uint32_t other) {
    if (other && (!*value || other < *value)) {
        *value = other;
    }
}

static void add(session_quirks *q, const struct row *row) {
    const session_quirks *more = &row->quirks;

    if (*q->names) {
        g_strlcat(q->names, ", ", sizeof q->names);
    }
    g_strlcat(q->names, row->name, sizeof q->names);
    q->disbelieve |= more->disbelieve;
    lower(&q->command_octets, more->command_octets);
    lower(&q->batch, more->batch);
    lower(&q->connections_plan, more->connections_plan);
    lower(&q->connections_most, more->connections_most);
    lower(&q->idle_ms, more->idle_ms);
    lower(&q->poll_ms, more->poll_ms);
    q->poll = MAX(q->poll, more->poll);
    q->settle_ms = MAX(q->settle_ms, more->settle_ms);
    q->plain_list |= more->plain_list;
    q->silent_enable |= more->silent_enable;
    q->search_by_sequence |= more->search_by_sequence;
    q->check_identity |= more->check_identity;
}

void session_quirks_find(const session_server *server, session_quirks *quirks_out) {
    *quirks_out = (session_quirks){
        .command_octets = LIMIT_IMAP_COMMAND_LINE, .batch = LIMIT_IMAP_BATCH, .settle_ms = SETTLE_MS};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (fits(&rows[i], server)) {
            add(quirks_out, &rows[i]);
        }
    }
}

uint32_t session_quirks_connections(const session_quirks *quirks, uint32_t configured, bool stated) {
    uint32_t n = MAX(configured, 1);

    if (!stated) {
        lower(&n, quirks->connections_plan);
    }
    lower(&n, quirks->connections_most);
    return n;
}

const char *session_quirks_row(size_t i, const char **source_out) {
    if (i >= G_N_ELEMENTS(rows)) {
        return NULL;
    }
    *source_out = rows[i].source;
    return rows[i].name;
}
