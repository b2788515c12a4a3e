/*
 * What a message is (automatic, a bounce, of a list, a reply, encrypted, signed), decided by a table of evidence over
 * header fields. A row that finds its evidence gives a reason for each class it names.
 */
#include "view_priv.h"

#include <string.h>

enum test {
    PRESENT,    /* and neither empty nor "no" */
    WORD,       /* the first word of the value */
    NOT_WORD,   /* it has one, and another */
    STARTS,     /* the value, in any case */
    CONTAINS,   /* the value, in any case */
    NULL_PATH,  /* <> */
    LOCAL,      /* the local part of the first address */
    LOCAL_ENDS, /* likewise, its end */
    MEDIA,      /* the media type of Content-Type, and its parameter where one is named */
    REPLY_MARK, /* Subject: Re: */
};

#define AUTO (1u << (MAIL_IS_AUTO - MAIL_IS_AUTO))
#define BOUNCE (1u << (MAIL_IS_BOUNCE - MAIL_IS_AUTO))
#define LIST (1u << (MAIL_IS_LIST - MAIL_IS_AUTO))
#define REPLY (1u << (MAIL_IS_REPLY - MAIL_IS_AUTO))
#define ENCRYPTED (1u << (MAIL_IS_ENCRYPTED - MAIL_IS_AUTO))
#define SIGNED (1u << (MAIL_IS_SIGNED - MAIL_IS_AUTO))
/* Only beside other evidence of a bounce: an empty return path, or mail of a postmaster. */
#define IF_SYSTEM (1u << 30)

struct evidence {
    unsigned classes;
    const char *field;
    enum test test;
    const char *value;
    const char *param, *word; /* MEDIA: "" = the parameter is absent */
};

#define ROW(classes, field, test, value) {classes, field, test, value, NULL, NULL}

static const struct evidence table[] = {
    ROW(AUTO, "Auto-Submitted", NOT_WORD, "no"), /* RFC 3834 section 5 */
    {AUTO | BOUNCE, "Content-Type", MEDIA, "multipart/report", "report-type", "delivery-status"},
    ROW(AUTO | BOUNCE, "Content-Type", MEDIA, "message/delivery-status"),
    ROW(AUTO, "Content-Type", MEDIA, "multipart/report"),
    ROW(AUTO, "Content-Type", MEDIA, "message/disposition-notification"),
    ROW(AUTO | BOUNCE, "X-Failed-Recipients", PRESENT, NULL),
    ROW(AUTO | BOUNCE, "X-MS-Exchange-Message-Is-Ndr", PRESENT, NULL),
    ROW(AUTO | BOUNCE, "From", LOCAL, "mailer-daemon"),
    ROW(AUTO, "Return-Path", NULL_PATH, NULL),
    ROW(AUTO, "From", LOCAL, "listserv"),
    ROW(AUTO, "From", LOCAL, "majordomo"),
    ROW(AUTO | LIST, "Precedence", WORD, "bulk"),
    ROW(AUTO | LIST, "X-Precedence", WORD, "bulk"),
    ROW(AUTO, "Precedence", WORD, "junk"),
    ROW(AUTO, "Precedence", WORD, "auto_reply"),
    ROW(AUTO, "X-Precedence", WORD, "auto_reply"),
    ROW(AUTO, "Preference", WORD, "auto_reply"),
    ROW(AUTO, "X-Autoreply", PRESENT, NULL),
    ROW(AUTO, "X-Autorespond", PRESENT, NULL),
    ROW(AUTO, "X-Auto-Reply", PRESENT, NULL),
    ROW(AUTO, "X-Auto-Response", PRESENT, NULL),
    ROW(AUTO, "X-Autoreply-From", PRESENT, NULL),
    ROW(AUTO, "X-Auto-Reply-From", PRESENT, NULL),
    ROW(AUTO, "X-Mail-Autoreply", PRESENT, NULL),
    ROW(AUTO, "X-FC-MachineGenerated", WORD, "true"),
    ROW(AUTO, "X-Cron-Env", PRESENT, NULL),
    ROW(AUTO, "X-POST-MessageClass", CONTAINS, "autoresponder"),
    ROW(AUTO, "Delivered-To", STARTS, "autoresponder"),
    ROW(AUTO, "Subject", STARTS, "Automatic reply:"),
    ROW(AUTO, "Subject", STARTS, "Auto-Reply:"),
    ROW(AUTO, "Subject", STARTS, "Autoreply:"),
    ROW(AUTO, "Subject", STARTS, "Auto Response:"),
    ROW(AUTO, "Subject", STARTS, "Out of Office"),
    ROW(AUTO, "Subject", STARTS, "Out-of-Office"),
    ROW(AUTO, "Subject", STARTS, "Automatische Antwort:"),
    ROW(AUTO, "Subject", STARTS, "Abwesenheitsnotiz"),
    ROW(AUTO, "Subject", STARTS, "Abwesend:"),
    ROW(AUTO, "Subject", STARTS, "Réponse automatique"),
    ROW(AUTO, "Subject", STARTS, "Absence du bureau"),
    ROW(AUTO, "Subject", STARTS, "Respuesta automática"),
    ROW(AUTO, "Subject", STARTS, "Fuera de la oficina"),
    ROW(AUTO, "Subject", STARTS, "Resposta automática"),
    ROW(AUTO, "Subject", STARTS, "Risposta automatica"),
    ROW(AUTO, "Subject", STARTS, "Automatisch antwoord"),
    ROW(AUTO, "Subject", STARTS, "Autosvar"),
    ROW(AUTO, "Subject", STARTS, "Automatisk svar"),
    ROW(AUTO, "Subject", STARTS, "Automaattinen vastaus"),
    ROW(AUTO, "Subject", STARTS, "Odpowiedź automatyczna"),
    ROW(AUTO, "Subject", STARTS, "Автоответ"),
    ROW(AUTO, "Subject", STARTS, "自动回复"),
    ROW(AUTO, "Subject", STARTS, "自動応答"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Undelivered Mail Returned to Sender"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Undeliver"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Delivery Status Notification"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Delivery failure"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Mail delivery failed"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Mail delivery failure"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Mail System Error"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Warning: message "),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "failure notice"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Returned mail:"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Unzustellbar:"),
    ROW(BOUNCE | IF_SYSTEM, "Subject", STARTS, "Non remis"),
    ROW(LIST, "List-Id", PRESENT, NULL), /* RFC 2919; the next six RFC 2369 */
    ROW(LIST, "List-Post", PRESENT, NULL),
    ROW(LIST, "List-Unsubscribe", PRESENT, NULL),
    ROW(LIST, "List-Subscribe", PRESENT, NULL),
    ROW(LIST, "List-Help", PRESENT, NULL),
    ROW(LIST, "List-Owner", PRESENT, NULL),
    ROW(LIST, "List-Archive", PRESENT, NULL),
    ROW(LIST, "Precedence", WORD, "list"),
    ROW(LIST, "X-Precedence", WORD, "list"),
    ROW(LIST, "Mailing-List", PRESENT, NULL),
    ROW(LIST, "X-Mailing-List", PRESENT, NULL),
    ROW(LIST, "X-Mailman-Version", PRESENT, NULL),
    ROW(LIST, "X-BeenThere", PRESENT, NULL),
    ROW(LIST, "X-ML-Name", PRESENT, NULL),
    ROW(LIST, "X-Listserver", PRESENT, NULL),
    ROW(LIST, "X-Google-Group-Id", PRESENT, NULL),
    ROW(LIST, "Sender", LOCAL_ENDS, "-bounces"),
    ROW(LIST, "Sender", LOCAL_ENDS, "-request"),
    ROW(REPLY, "In-Reply-To", PRESENT, NULL),
    ROW(REPLY, "References", PRESENT, NULL),
    ROW(REPLY, "Subject", REPLY_MARK, NULL),
    ROW(ENCRYPTED, "Content-Type", MEDIA, "multipart/encrypted"),
    {ENCRYPTED, "Content-Type", MEDIA, "application/pkcs7-mime", "smime-type", "enveloped-data"},
    {ENCRYPTED, "Content-Type", MEDIA, "application/pkcs7-mime", "smime-type", "authenveloped-data"},
    {ENCRYPTED, "Content-Type", MEDIA, "application/pkcs7-mime", "smime-type", ""},
    {ENCRYPTED, "Content-Type", MEDIA, "application/x-pkcs7-mime", "smime-type", "enveloped-data"},
    {ENCRYPTED, "Content-Type", MEDIA, "application/x-pkcs7-mime", "smime-type", ""},
    ROW(SIGNED, "Content-Type", MEDIA, "multipart/signed"),
    {SIGNED, "Content-Type", MEDIA, "application/pkcs7-mime", "smime-type", "signed-data"},
    {SIGNED, "Content-Type", MEDIA, "application/x-pkcs7-mime", "smime-type", "signed-data"},
};

static bool starts(const char *value, const char *with) {
    return g_ascii_strncasecmp(value, with, strlen(with)) == 0;
}

static bool first_word_is(const char *value, const char *word) {
    size_t n = strlen(word);

    return starts(value, word) && !g_ascii_isalnum(value[n]) && value[n] != '-' && value[n] != '_';
}

static bool contains(const char *value, const char *what) {
    for (; *value; value++) {
        if (starts(value, what)) {
            return true;
        }
    }
    return false;
}

/* Reply prefixes that mail programs write, each before a colon. */
static size_t reply_mark(const char *subject) {
    static const char *const marks[] = {
        "re",  "aw",  "antw", "sv",   "vs",   "ynt",  "odp",  "r",   "rif", "res",
        "vá", "atb", "отв", "回复", "答复", "回覆", "השב", "απ",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++) {
        size_t n = strlen(marks[i]);
        if (!starts(subject, marks[i])) {
            continue;
        }
        if (subject[n] == '[' || subject[n] == '(') { /* "Re[2]:" */
            n += 1 + strspn(subject + n + 1, "0123456789");
            n += subject[n] == ']' || subject[n] == ')';
        }
        n += subject[n] == ' '; /* French: "Re :" */
        if (subject[n] == ':') {
            return n + 1;
        }
        if (g_str_has_prefix(subject + n, "：")) { /* the full-width colon */
            return n + 3;
        }
    }
    return 0;
}

static const mail_address *first_address(mail_view *view, const char *field) {
    const mail_address *list;
    mail_need need;
    size_t count;

    mail_view_addresses(view, *field == 'F' ? MAIL_FROM : MAIL_SENDER, &list, &count, &need);
    return count ? list : NULL;
}

static bool local_part_is(mail_view *view, const struct evidence *row) {
    const mail_address *address = first_address(view, row->field);
    const char *local = address ? address->local : "";
    size_t n = strlen(local), m = strlen(row->value);

    if (!address || n < m || (row->test == LOCAL && n != m)) {
        return false;
    }
    return g_ascii_strcasecmp(local + n - m, row->value) == 0;
}

static bool media_is(mail_view *view, const struct evidence *row, const char *value) {
    struct params params;
    const char *word;

    params_parse(&view->memory, value, &params);
    if (strcmp(params.head, row->value) != 0) {
        return false;
    }
    if (!row->param) {
        return true;
    }
    word = params_get(&view->memory, params.list, params.count, row->param);
    return g_ascii_strcasecmp(word ? word : "", row->word) == 0;
}

static bool null_path(const char *value) {
    value += strspn(value, " \t");
    if (*value != '<') {
        return false;
    }
    value += 1 + strspn(value + 1, " \t");
    return *value == '>';
}

static bool holds(mail_view *view, const struct evidence *row, const char *value) {
    switch (row->test) {
    case PRESENT:
        return *value && !first_word_is(value, "no");
    case WORD:
        return first_word_is(value, row->value);
    case NOT_WORD:
        return *value && !first_word_is(value, row->value);
    case STARTS:
        return starts(value, row->value);
    case CONTAINS:
        return contains(value, row->value);
    case NULL_PATH:
        return null_path(value);
    case LOCAL:
    case LOCAL_ENDS:
        return local_part_is(view, row);
    case MEDIA:
        return media_is(view, row, value);
    case REPLY_MARK:
        return reply_mark(value) > 0;
    }
    return false;
}

static char *reason(const struct evidence *row, const char *value) {
    switch (row->test) {
    case PRESENT:
        return g_strdup(row->field);
    case NULL_PATH:
        return g_strconcat(row->field, ": <>", NULL);
    case MEDIA:
        return row->param && *row->word ? g_strdup_printf("%s; %s=%s", row->value, row->param, row->word)
                                        : g_strdup(row->value);
    case REPLY_MARK:
        return g_strdup_printf("%s: %.*s", row->field, (int)reply_mark(value), value);
    default: {
        char *cut = g_utf8_substring(value, 0, MIN(g_utf8_strlen(value, -1), 200));
        char *text = g_strconcat(row->field, ": ", cut, NULL);
        g_free(cut);
        return text;
    }
    }
}

static bool from_system(mail_view *view) {
    const char *path = view_field_decoded(view, "Return-Path");
    const mail_address *from = first_address(view, "From");

    return (path && null_path(path)) || (from && g_ascii_strcasecmp(from->local, "postmaster") == 0);
}

static void find_reasons(mail_view *view, unsigned bit, GPtrArray *reasons) {
    bool media_found = false;

    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        const struct evidence *row = &table[i];
        struct field *field;
        size_t at = 0;

        if (row->test == MEDIA && media_found) {
            continue; /* the rows go from the exact type to the general one */
        }
        while ((row->classes & bit) && (field = view_field(view, row->field, &at))) {
            const char *value = field_decoded(view, field);
            if (holds(view, row, value) && (!(row->classes & IF_SYSTEM) || from_system(view))) {
                char *text = reason(row, value);
                g_ptr_array_add(reasons, mail_arena_strdup(&view->memory, text));
                g_free(text);
                media_found = media_found || row->test == MEDIA;
                break; /* one occurrence is enough */
            }
        }
    }
}

enum mail_status mail_view_class(mail_view *view, enum mail_query which, mail_strings *reasons_out,
                                 mail_need *need_out) {
    struct class_cache *cache;

    *reasons_out = (mail_strings){0};
    if (which < MAIL_IS_AUTO || which > MAIL_IS_SIGNED) {
        return MAIL_ABSENT;
    }
    if (!view_covers(view, mail_query_fields(which), need_out)) {
        return MAIL_NEED;
    }
    cache = &view->classes[which - MAIL_IS_AUTO];
    if (!cache->done) {
        GPtrArray *reasons = g_ptr_array_new();
        find_reasons(view, 1u << (which - MAIL_IS_AUTO), reasons);
        const char **items = mail_arena_alloc(&view->memory, (reasons->len + 1) * sizeof *items);
        for (guint i = 0; i < reasons->len; i++) {
            items[i] = g_ptr_array_index(reasons, i);
        }
        cache->reasons = (mail_strings){items, reasons->len};
        cache->done = true;
        g_ptr_array_free(reasons, TRUE);
    }
    *reasons_out = cache->reasons;
    return cache->reasons.count ? MAIL_OK : MAIL_ABSENT;
}
