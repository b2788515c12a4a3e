#include "session_priv.h"

#include <string.h>

char *refusal_words(imap_str text) {
    size_t len = MIN(text.len, SESSION_TEXT_MAX);

    return text.data ? text_escape(text.data, (gssize)len) : g_strdup("");
}

/* ---- by response code (RFC 5530) ---- */

static const struct by_code {
    enum imap_code_name name;
    enum error_code code;
    enum error_class class_;
    enum error_retry retry;
} by_code[] = {
    {IMAP_CODE_ALREADYEXISTS, ERROR_REFUSED, ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    {IMAP_CODE_AUTHENTICATIONFAILED, ERROR_AUTH, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    {IMAP_CODE_AUTHORIZATIONFAILED, ERROR_AUTH, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    {IMAP_CODE_CANNOT, ERROR_PERMISSION, ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    {IMAP_CODE_EXPIRED, ERROR_AUTH, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    {IMAP_CODE_EXPUNGEISSUED, ERROR_REFUSED, ERROR_CLASS_MESSAGE, ERROR_RETRY_NOW},
    {IMAP_CODE_INUSE, ERROR_BUSY, ERROR_CLASS_MESSAGE, ERROR_RETRY_LATER},
    {IMAP_CODE_LIMIT, ERROR_BUSY, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    {IMAP_CODE_NONEXISTENT, ERROR_NO_FOLDER, ERROR_CLASS_FOLDER, ERROR_RETRY_LATER},
    {IMAP_CODE_NOPERM, ERROR_PERMISSION, ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    {IMAP_CODE_OVERQUOTA, ERROR_QUOTA, ERROR_CLASS_MESSAGE, ERROR_RETRY_LATER},
    {IMAP_CODE_PRIVACYREQUIRED, ERROR_AUTH, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    {IMAP_CODE_READ_ONLY, ERROR_PERMISSION, ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    {IMAP_CODE_THROTTLED, ERROR_BUSY, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    {IMAP_CODE_TOOBIG, ERROR_LIMIT, ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    {IMAP_CODE_TRYCREATE, ERROR_NO_FOLDER, ERROR_CLASS_FOLDER, ERROR_RETRY_LATER},
    {IMAP_CODE_UNAVAILABLE, ERROR_BUSY, ERROR_CLASS_MESSAGE, ERROR_RETRY_LATER},
};

/* ---- by words, where there is no code: what servers of the field are known to say ---- */

static const char *const throttle_words[] = {
    "throttled",      "backoff time",        "rate limit",   "too many simultaneous",         "too many connections",
    "too many login", "server unavailable.", "bandwidth limit", "maximum number of connections", NULL};
static const char *const too_many_words[] = {
    "too many simultaneous", "too many connections", "maximum number of connections", NULL};
static const char *const busy_words[] = {
    "try again later", "temporarily unavailable", "temporary", "server unavailable", "server busy",
    "system error",    "internal error",          "overloaded", NULL};
/* GNU Mailutils: "NO UID COPY [TRYCREATE] failed". */
static const char *const missing_words[] = {"[trycreate]", NULL};
/* As show() puts a code before the words. */
static const char *const throttle_codes[] = {"[limit]", "[throttled]", NULL};
static const char *const auth_words[] = {
    "authentication failed", "invalid credentials", "login failed", "authentication credentials", NULL};

static bool has_word(imap_str text, const char *const *words) {
    g_autofree char *plain = g_ascii_strdown(text.data ? text.data : "", (gssize)MIN(text.len, SESSION_TEXT_MAX));

    for (; *words; words++) {
        if (strstr(plain, *words)) {
            return true;
        }
    }
    return false;
}

bool refusal_is_throttle(imap_str text) {
    return has_word(text, throttle_words);
}

void refusal_sets_pace(session *s, const error *err) {
    const imap_str text = imap_str_of(err->text);
    uint64_t pauses = s->pace->pauses;

    if (err->code != ERROR_BUSY) {
        return;
    }
    if (has_word(text, too_many_words)) {
        bool known = session_now(s) == s->pace->crowded; /* the answer said it, now the end of the session does */
        session_pace_too_many(s->pace, session_now(s));
        if (known) {
            return;
        }
        log_notice(&s->log, "the server has no more connections for this account than %u for now", s->pace->fewer);
    } else if (has_word(text, throttle_words) || has_word(text, throttle_codes)) {
        session_pace_refused(s->pace, session_now(s), err->retry_after_ms);
        if (s->pace->pauses != pauses) {
            log_notice(&s->log, "the server asks for patience: nothing is sent for %" G_GUINT64_FORMAT " s",
                       session_pace_wait(s->pace, session_now(s)) / 1000);
        }
    }
}

bool refusal_needs_select(const imap_response *r) {
    static const char *const words[] = {"mailbox selected read-only", NULL};

    return r->condition == IMAP_NO && has_word(r->text, words);
}

/* Exchange lets a user in who may not use the mailbox, and says so to the next command. */
bool refusal_is_not_connected(const imap_response *r) {
    static const char *const words[] = {"authenticated but not connected", NULL};

    return r->condition != IMAP_OK && has_word(r->text, words);
}

/* "Suggested Backoff Time: 299961 milliseconds". Too long for a number is as long as it gets. */
static uint64_t backoff_hint(imap_str text) {
    g_autofree char *plain = g_ascii_strdown(text.data ? text.data : "", (gssize)MIN(text.len, SESSION_TEXT_MAX));
    const char *at = strstr(plain, "backoff time:");

    return at ? g_ascii_strtoull(at + strlen("backoff time:"), NULL, 10) : 0;
}

static error *by_words(const imap_response *r, bool login, const char *words) {
    if (refusal_is_not_connected(r)) {
        return error_new(ERROR_AUTH, "%s", words);
    }
    if (refusal_is_throttle(r->text)) {
        return error_new(ERROR_BUSY, "%s", words);
    }
    if (has_word(r->text, busy_words) || (login && r->code.name == IMAP_CODE_SERVERBUG)) {
        return error_set_scope(error_new(ERROR_BUSY, "%s", words), ERROR_CLASS_MESSAGE, ERROR_RETRY_LATER);
    }
    if (has_word(r->text, missing_words)) {
        return error_set_scope(error_new(ERROR_NO_FOLDER, "%s", words), ERROR_CLASS_FOLDER, ERROR_RETRY_LATER);
    }
    return login ? error_new(ERROR_AUTH, "%s", words) : NULL;
}

static error *by_response_code(const imap_response *r, const char *words) {
    for (size_t i = 0; i < G_N_ELEMENTS(by_code); i++) {
        const struct by_code *row = &by_code[i];
        if (row->name == r->code.name) {
            return error_set_scope(error_new(row->code, "%s", words), row->class_, row->retry);
        }
    }
    return NULL;
}

/* The server's words with their code in front, as it would be seen on the wire. */
static char *show(const imap_response *r) {
    g_autofree char *words = refusal_words(r->text);

    if (r->code.name == IMAP_CODE_NONE) {
        return g_strdup_printf("%s %s", imap_condition_name(r->condition), words);
    }
    g_autofree char *code = refusal_words(r->code.word);
    return g_strdup_printf("%s [%s] %s", imap_condition_name(r->condition), code, words);
}

error *refusal_error(const imap_response *r, bool login) {
    g_autofree char *words = show(r);
    error *err = by_response_code(r, words);

    if (!err) {
        err = by_words(r, login, words);
    }
    if (!err) {
        err = error_new(ERROR_REFUSED, "%s", words);
        if (r->condition == IMAP_BAD_COMMAND) {
            error_set_scope(err, ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER);
        }
    }
    err->retry_after_ms = backoff_hint(r->text);
    if (login) {
        error_set_scope(err, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER);
    }
    return err;
}

error *bye_error(const imap_response *r, bool login) {
    g_autofree char *words = show(r);
    error *err = by_response_code(r, words);

    if (!err && login && has_word(r->text, auth_words)) {
        err = error_new(ERROR_AUTH, "%s", words);
    }
    if (!err) {
        err = by_words(r, false, words);
    }
    if (!err) {
        err = error_new(ERROR_NETWORK, "%s", words);
    }
    err->retry_after_ms = backoff_hint(r->text);
    return error_set_scope(err, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER);
}
