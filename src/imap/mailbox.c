#include "imap/mailbox.h"

#include "base/limits.h"
#include "base/text.h"
#include "mutf7_priv.h"

static bool is_level_end(char c, char delimiter) {
    return c == '\0' || (delimiter && c == delimiter);
}

static const char *check_levels(const char *name, char delimiter) {
    const char *start = name;

    for (const char *p = name;; p++) {
        if (!is_level_end(*p, delimiter)) {
            continue;
        }
        if (p == start) {
            return "has an empty level";
        }
        if (p - start == 2 && start[0] == '.' && start[1] == '.') {
            return "has a level \"..\"";
        }
        if (!*p) {
            return NULL;
        }
        start = p + 1;
    }
}

/* What is wrong with a name; NULL if nothing. */
static const char *find_fault(const char *name, char delimiter) {
    if (!*name) {
        return "is empty";
    }
    if (strlen(name) > LIMIT_IMAP_MAILBOX_NAME) {
        return "is too long";
    }
    if (!g_utf8_validate(name, -1, NULL)) {
        return "is not UTF-8";
    }
    for (const char *p = name; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) {
            return "has control characters";
        }
    }
    return check_levels(name, delimiter);
}

error *imap_mailbox_check(const char *name, char delimiter) {
    const char *fault = find_fault(name, delimiter);
    char *shown;
    error *err;

    if (!fault) {
        return NULL;
    }
    shown = text_escape(name, (gssize)MIN(strlen(name), (size_t)100));
    err = error_new(ERROR_INVALID, "folder name \"%s\" %s", shown, fault);
    g_free(shown);
    return err;
}

bool imap_mailbox_is_inbox(const char *name) {
    return g_ascii_strcasecmp(name, "INBOX") == 0;
}

bool imap_mailbox_equal(const char *a, const char *b) {
    return strcmp(a, b) == 0 || (imap_mailbox_is_inbox(a) && imap_mailbox_is_inbox(b));
}

/* "inbox" and "inbox/x" get their first level written as INBOX. */
static void fix_inbox(char *name, char delimiter) {
    if (g_ascii_strncasecmp(name, "INBOX", 5) == 0 && is_level_end(name[5], delimiter)) {
        memcpy(name, "INBOX", 5); /* NOLINT(bugprone-not-null-terminated-result): the rest of the name stays */
    }
}

bool imap_mailbox_decode(imap_str wire, bool utf8, char delimiter, char **name_out) {
    char *name = NULL;

    if (!memchr(wire.data, '\0', wire.len)) {
        name = utf8 ? g_strndup(wire.data, wire.len) : mutf7_decode(wire);
    }
    if (name && imap_mailbox_is_inbox(name)) {
        memcpy(name, "INBOX", 5); /* NOLINT(bugprone-not-null-terminated-result): as long as what it replaces */
    }
    if (name && !find_fault(name, delimiter)) {
        *name_out = name;
        return true;
    }
    g_free(name);
    *name_out = text_escape(wire.data, (gssize)wire.len);
    return false;
}

error *imap_mailbox_encode(const char *name, bool utf8, char **wire_out) {
    if (!g_utf8_validate(name, -1, NULL)) {
        return error_new(ERROR_INVALID, "a folder name is not UTF-8");
    }
    *wire_out = utf8 ? g_strdup(name) : mutf7_encode(name);
    return NULL;
}

char *imap_mailbox_localize(const char *name, char delimiter) {
    char *out = g_strdup(name);

    if (delimiter && delimiter != '/') {
        for (char *p = out; *p; p++) {
            *p = *p == '/' ? delimiter : *p;
        }
    }
    fix_inbox(out, delimiter);
    return out;
}

char *imap_mailbox_join(const char *parent, char delimiter, const char *child) {
    return parent && *parent && delimiter ? g_strdup_printf("%s%c%s", parent, delimiter, child) : g_strdup(child);
}

/* ---- patterns ---- */

bool imap_mailbox_is_pattern(const char *text) {
    return strpbrk(text, "*?") != NULL;
}

static bool is_separator(gunichar c, char delimiter) {
    return c == '/' || (delimiter && c == (gunichar)(uint8_t)delimiter);
}

static bool same_char(const char *pattern, const char *name, char delimiter, bool fold) {
    gunichar p = g_utf8_get_char(pattern), n = g_utf8_get_char(name);

    if (p == '/' && delimiter) {
        return is_separator(n, delimiter) && (n != '/' || delimiter == '/');
    }
    return p == n || (fold && p < 0x80 && n < 0x80 && g_ascii_tolower((char)p) == g_ascii_tolower((char)n));
}

/* How many bytes at the start of name are INBOX as a level, which matches without regard to case. */
static size_t inbox_length(const char *name, char delimiter) {
    return g_ascii_strncasecmp(name, "INBOX", 5) == 0 && is_level_end(name[5], delimiter) ? 5 : 0;
}

/* The set of places in the pattern that the name read so far can stand at, moved on one character at a time. */
bool imap_mailbox_match(const char *pattern, const char *name, char delimiter) {
    size_t n = strlen(pattern), folded = inbox_length(name, delimiter);
    g_autofree bool *at = g_new0(bool, n + 1);
    g_autofree bool *next = g_new0(bool, n + 1);
    const char *p = name;

    if (!g_utf8_validate(pattern, -1, NULL) || !g_utf8_validate(name, -1, NULL)) {
        return strcmp(pattern, name) == 0;
    }
    at[0] = true;
    for (;; p = g_utf8_next_char(p)) {
        for (size_t i = 0; i < n; i++) { /* a star may stand for nothing */
            if (at[i] && pattern[i] == '*') {
                at[i + 1 + (pattern[i + 1] == '*')] = true;
            }
        }
        if (!*p) {
            return at[n];
        }
        bool level = !(delimiter && *p == delimiter);
        memset(next, 0, n + 1);
        for (size_t i = 0; i < n; i++) {
            if (!at[i]) {
                continue;
            }
            if (pattern[i] == '*') {
                next[i] |= level || pattern[i + 1] == '*';
            } else if (pattern[i] == '?' ? level : same_char(pattern + i, p, delimiter, p < name + folded)) {
                next[(size_t)(g_utf8_next_char(pattern + i) - pattern)] = true;
            }
        }
        bool *swapped = at;
        at = next;
        next = swapped;
    }
}

/* ---- special use ---- */

static const struct {
    const char *word;
    uint32_t attr;
} special_uses[] = {
    /* the first of each is its proper name */
    {"\\All", IMAP_ATTR_ALL},         {"\\Archive", IMAP_ATTR_ARCHIVE},     {"\\Drafts", IMAP_ATTR_DRAFTS},
    {"\\Flagged", IMAP_ATTR_FLAGGED}, {"\\Important", IMAP_ATTR_IMPORTANT}, {"\\Junk", IMAP_ATTR_JUNK},
    {"\\Sent", IMAP_ATTR_SENT},       {"\\Trash", IMAP_ATTR_TRASH},         {"\\AllMail", IMAP_ATTR_ALL},
    {"\\Spam", IMAP_ATTR_JUNK},       {"\\Starred", IMAP_ATTR_FLAGGED},
};

uint32_t imap_special_use_parse(const char *text) {
    for (size_t i = 0; i < G_N_ELEMENTS(special_uses); i++) {
        if (g_ascii_strcasecmp(text, special_uses[i].word) == 0) {
            return special_uses[i].attr;
        }
    }
    return 0;
}

const char *imap_special_use_name(uint32_t attr) {
    for (size_t i = 0; i < G_N_ELEMENTS(special_uses); i++) {
        if (attr == special_uses[i].attr) {
            return special_uses[i].word;
        }
    }
    return NULL;
}

/* Usual names, case-folded, from the clients and providers that make them. */
static const struct {
    uint32_t attr;
    const char *names[20];
} usual_names[] = {
    {IMAP_ATTR_TRASH,
     {"trash", "deleted", "deleted items", "deleted messages", "bin", "papierkorb", "gelöschte elemente",
      "gelöschte objekte", "corbeille", "éléments supprimés", "cestino", "posta eliminata", "papelera",
      "elementos eliminados", "prullenbak", "verwijderde items", "kosz", "lixeira", "itens excluídos"}},
    {IMAP_ATTR_JUNK,
     {"junk", "spam", "junk email", "junk e-mail", "junk mail", "bulk mail", "bulk", "spamverdacht", "unerwünscht",
      "courrier indésirable", "pourriel", "indésirables", "posta indesiderata", "correo no deseado",
      "ongewenste e-mail", "ongewenst", "wiadomości-śmieci", "lixo eletrônico"}},
    {IMAP_ATTR_SENT,
     {"sent", "sent items", "sent messages", "sent mail", "gesendet", "gesendete elemente", "gesendete objekte",
      "envoyés", "éléments envoyés", "messages envoyés", "inviata", "posta inviata", "enviados", "elementos enviados",
      "verzonden", "verzonden items", "wysłane", "itens enviados"}},
    {IMAP_ATTR_DRAFTS,
     {"drafts", "draft", "entwürfe", "entwurf", "brouillons", "bozze", "borradores", "concepten", "kopie robocze",
      "rascunhos"}},
    {IMAP_ATTR_ARCHIVE, {"archive", "archives", "archiv", "archivio", "archivo", "archief", "archiwum", "arquivo"}},
    {IMAP_ATTR_ALL, {"all mail", "alle nachrichten", "tous les messages", "tutti i messaggi", "todos"}},
};

uint32_t imap_special_use_guess(const char *name, char delimiter) {
    const char *last = delimiter ? strrchr(name, delimiter) : NULL;
    char *folded;
    uint32_t attr = 0;

    last = last ? last + 1 : name;
    if (!g_utf8_validate(last, -1, NULL)) {
        return 0;
    }
    folded = g_utf8_strdown(last, -1);
    for (size_t i = 0; i < G_N_ELEMENTS(usual_names); i++) {
        for (const char *const *word = usual_names[i].names; *word; word++) {
            attr = strcmp(folded, *word) == 0 ? usual_names[i].attr : attr;
        }
    }
    g_free(folded);
    return attr;
}
