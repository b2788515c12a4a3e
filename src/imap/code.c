/* Conditions and their response codes: RFC 9051 section 7.1, RFC 5530 and others. */
#include "lexer_priv.h"

#include "base/limits.h"

typedef bool (*code_parser)(lexer *lex, imap_code *code);

static bool number_at_least(lexer *lex, imap_code *code, uint64_t max) {
    uint64_t n;

    if (!lex_number(lex, 1, max, &n)) {
        return false;
    }
    code->number = n;
    return true;
}

static bool parse_number(lexer *lex, imap_code *code) {
    return number_at_least(lex, code, UINT32_MAX);
}

static bool parse_modseq(lexer *lex, imap_code *code) {
    return number_at_least(lex, code, MODSEQ_MAX);
}

static bool parse_flag_list(lexer *lex, imap_code *code) {
    return lex_flags(lex, &code->flags);
}

static bool parse_caps(lexer *lex, imap_code *code) {
    imap_capabilities_parse(&code->caps, lex_rest(lex));
    return true;
}

static bool parse_set(lexer *lex, imap_code *code) {
    return lex_ranges(lex, LIMIT_IMAP_SET_RANGES, false, &code->set);
}

static bool parse_validity(lexer *lex, imap_code *code) {
    uint64_t n;

    if (!lex_number(lex, 1, UINT32_MAX, &n)) {
        return false;
    }
    code->uids.validity = (uint32_t)n;
    lex_blanks(lex);
    return true;
}

static bool parse_appenduid(lexer *lex, imap_code *code) {
    return parse_validity(lex, code) && lex_ranges(lex, LIMIT_IMAP_SET_RANGES, true, &code->uids.target);
}

static bool parse_copyuid(lexer *lex, imap_code *code) {
    if (!parse_validity(lex, code) || !lex_ranges(lex, LIMIT_IMAP_SET_RANGES, true, &code->uids.source)) {
        return false;
    }
    lex_blanks(lex);
    return lex_ranges(lex, LIMIT_IMAP_SET_RANGES, true, &code->uids.target);
}

static bool parse_id_argument(lexer *lex, imap_code *code) {
    imap_str id;

    if (!lex_take(lex, '(') || !lex_astring(lex, &id)) {
        return false;
    }
    code->argument = id;
    return true;
}

/* In the order of enum imap_code_name. */
static const struct {
    const char *name;
    code_parser parse; /* NULL: the argument, if any, is left raw */
} codes[IMAP_CODES] = {
    [IMAP_CODE_NONE] = {"", NULL},
    [IMAP_CODE_OTHER] = {"OTHER", NULL},
    [IMAP_CODE_ALERT] = {"ALERT", NULL},
    [IMAP_CODE_ALREADYEXISTS] = {"ALREADYEXISTS", NULL},
    [IMAP_CODE_APPENDUID] = {"APPENDUID", parse_appenduid},
    [IMAP_CODE_AUTHENTICATIONFAILED] = {"AUTHENTICATIONFAILED", NULL},
    [IMAP_CODE_AUTHORIZATIONFAILED] = {"AUTHORIZATIONFAILED", NULL},
    [IMAP_CODE_BADCHARSET] = {"BADCHARSET", NULL},
    [IMAP_CODE_BADEVENT] = {"BADEVENT", NULL},
    [IMAP_CODE_CANNOT] = {"CANNOT", NULL},
    [IMAP_CODE_CAPABILITY] = {"CAPABILITY", parse_caps},
    [IMAP_CODE_CLIENTBUG] = {"CLIENTBUG", NULL},
    [IMAP_CODE_CLOSED] = {"CLOSED", NULL},
    [IMAP_CODE_COMPRESSIONACTIVE] = {"COMPRESSIONACTIVE", NULL},
    [IMAP_CODE_CONTACTADMIN] = {"CONTACTADMIN", NULL},
    [IMAP_CODE_COPYUID] = {"COPYUID", parse_copyuid},
    [IMAP_CODE_CORRUPTION] = {"CORRUPTION", NULL},
    [IMAP_CODE_EXPIRED] = {"EXPIRED", NULL},
    [IMAP_CODE_EXPUNGEISSUED] = {"EXPUNGEISSUED", NULL},
    [IMAP_CODE_HASCHILDREN] = {"HASCHILDREN", NULL},
    [IMAP_CODE_HIGHESTMODSEQ] = {"HIGHESTMODSEQ", parse_modseq},
    [IMAP_CODE_INPROGRESS] = {"INPROGRESS", NULL},
    [IMAP_CODE_INUSE] = {"INUSE", NULL},
    [IMAP_CODE_LIMIT] = {"LIMIT", NULL},
    [IMAP_CODE_MAILBOXID] = {"MAILBOXID", parse_id_argument},
    [IMAP_CODE_MESSAGELIMIT] = {"MESSAGELIMIT", parse_number},
    [IMAP_CODE_MODIFIED] = {"MODIFIED", parse_set},
    [IMAP_CODE_NOMODSEQ] = {"NOMODSEQ", NULL},
    [IMAP_CODE_NONEXISTENT] = {"NONEXISTENT", NULL},
    [IMAP_CODE_NOPERM] = {"NOPERM", NULL},
    [IMAP_CODE_NOPRIVATE] = {"NOPRIVATE", NULL},
    [IMAP_CODE_NOTIFICATIONOVERFLOW] = {"NOTIFICATIONOVERFLOW", NULL},
    [IMAP_CODE_NOTSAVED] = {"NOTSAVED", NULL},
    [IMAP_CODE_OVERQUOTA] = {"OVERQUOTA", NULL},
    [IMAP_CODE_PARSE] = {"PARSE", NULL},
    [IMAP_CODE_PERMANENTFLAGS] = {"PERMANENTFLAGS", parse_flag_list},
    [IMAP_CODE_PRIVACYREQUIRED] = {"PRIVACYREQUIRED", NULL},
    [IMAP_CODE_READ_ONLY] = {"READ-ONLY", NULL},
    [IMAP_CODE_READ_WRITE] = {"READ-WRITE", NULL},
    [IMAP_CODE_REFERRAL] = {"REFERRAL", NULL},
    [IMAP_CODE_SERVERBUG] = {"SERVERBUG", NULL},
    [IMAP_CODE_THROTTLED] = {"THROTTLED", NULL},
    [IMAP_CODE_TOOBIG] = {"TOOBIG", NULL},
    [IMAP_CODE_TRYCREATE] = {"TRYCREATE", NULL},
    [IMAP_CODE_UIDNEXT] = {"UIDNEXT", parse_number},
    [IMAP_CODE_UIDNOTSTICKY] = {"UIDNOTSTICKY", NULL},
    [IMAP_CODE_UIDREQUIRED] = {"UIDREQUIRED", NULL},
    [IMAP_CODE_UIDVALIDITY] = {"UIDVALIDITY", parse_number},
    [IMAP_CODE_UNAVAILABLE] = {"UNAVAILABLE", NULL},
    [IMAP_CODE_UNKNOWN_CTE] = {"UNKNOWN-CTE", NULL},
    [IMAP_CODE_UNSEEN] = {"UNSEEN", parse_number},
    [IMAP_CODE_USEATTR] = {"USEATTR", NULL},
};

const char *imap_code_text(enum imap_code_name name) {
    return (unsigned)name < IMAP_CODES ? codes[name].name : "";
}

static enum imap_code_name code_find(imap_str word) {
    for (unsigned i = IMAP_CODE_ALERT; i < IMAP_CODES; i++) {
        if (imap_str_is(word, codes[i].name)) {
            return (enum imap_code_name)i;
        }
    }
    return IMAP_CODE_OTHER;
}

/* The ']' that closes the code which begins at p: the first outside of quotes, or the first at all. */
static const char *find_close(const char *p, const char *end) {
    bool quoted = false;

    for (const char *q = p; q < end; q++) {
        if (*q == '"') {
            quoted = !quoted;
        } else if (*q == '\\' && quoted) {
            q++;
        } else if (*q == ']' && !quoted) {
            return q;
        }
    }
    return memchr(p, ']', (size_t)(end - p));
}

static void parse_code(lexer lex, imap_code *out) {
    imap_str word = {lex.at, 0};

    while (lex.at < lex.end && *lex.at != ' ') {
        lex.at++;
    }
    word.len = (size_t)(lex.at - word.data);
    lex_blanks(&lex);
    *out = (imap_code){.name = code_find(word), .valid = true, .word = word};
    if (lex.at < lex.end) {
        out->argument = lex_rest(&lex);
    }
    if (codes[out->name].parse && !codes[out->name].parse(&lex, out)) {
        *out = (imap_code){.name = out->name, .word = out->word, .argument = out->argument};
    }
}

bool parse_condition(lexer *lex, imap_response *out) {
    if (lex_is(lex, '[')) {
        const char *close = find_close(lex->at + 1, lex->end);
        if (close) {
            parse_code((lexer){.at = lex->at + 1, .end = close, .arena = lex->arena}, &out->code);
            lex->at = close + 1;
            lex_blanks(lex);
        }
    }
    out->text = lex_rest(lex);
    return true;
}

bool imap_copyuid_maps(const imap_code *code) {
    uint64_t n;

    if (code->name != IMAP_CODE_COPYUID || !code->valid) {
        return false;
    }
    n = imap_ranges_size(code->uids.source);
    return n > 0 && n == imap_ranges_size(code->uids.target);
}

uint32_t imap_copyuid_target(const imap_code *code, uint32_t source) {
    uint64_t before = 0;

    if (!imap_copyuid_maps(code)) {
        return 0;
    }
    for (size_t i = 0; i < code->uids.source.count; i++) {
        imap_range r = code->uids.source.at[i];
        if (source >= r.low && source <= r.high) {
            before += source - r.low;
            for (size_t j = 0; j < code->uids.target.count; j++) {
                imap_range t = code->uids.target.at[j];
                uint64_t n = (uint64_t)t.high - t.low + 1;
                if (before < n) {
                    return t.low + (uint32_t)before;
                }
                before -= n;
            }
        }
        before += (uint64_t)r.high - r.low + 1;
    }
    return 0;
}
