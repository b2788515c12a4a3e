#include "imap/capability.h"

#include "lexer_priv.h"

#define BIT(cap) (UINT64_C(1) << (cap))

static const char *const names[IMAP_CAPS] = {
    [IMAP_CAP_IMAP4REV1] = "IMAP4rev1",
    [IMAP_CAP_IMAP4REV2] = "IMAP4rev2",
    [IMAP_CAP_ACL] = "ACL",
    [IMAP_CAP_APPENDLIMIT] = "APPENDLIMIT",
    [IMAP_CAP_BINARY] = "BINARY",
    [IMAP_CAP_CHILDREN] = "CHILDREN",
    [IMAP_CAP_COMPRESS_DEFLATE] = "COMPRESS=DEFLATE",
    [IMAP_CAP_CONDSTORE] = "CONDSTORE",
    [IMAP_CAP_CREATE_SPECIAL_USE] = "CREATE-SPECIAL-USE",
    [IMAP_CAP_ENABLE] = "ENABLE",
    [IMAP_CAP_ESEARCH] = "ESEARCH",
    [IMAP_CAP_ID] = "ID",
    [IMAP_CAP_IDLE] = "IDLE",
    [IMAP_CAP_INPROGRESS] = "INPROGRESS",
    [IMAP_CAP_LIST_EXTENDED] = "LIST-EXTENDED",
    [IMAP_CAP_LIST_STATUS] = "LIST-STATUS",
    [IMAP_CAP_LITERAL_MINUS] = "LITERAL-",
    [IMAP_CAP_LITERAL_PLUS] = "LITERAL+",
    [IMAP_CAP_LOGINDISABLED] = "LOGINDISABLED",
    [IMAP_CAP_MESSAGELIMIT] = "MESSAGELIMIT",
    [IMAP_CAP_METADATA] = "METADATA",
    [IMAP_CAP_MOVE] = "MOVE",
    [IMAP_CAP_MULTIAPPEND] = "MULTIAPPEND",
    [IMAP_CAP_NAMESPACE] = "NAMESPACE",
    [IMAP_CAP_NOTIFY] = "NOTIFY",
    [IMAP_CAP_OBJECTID] = "OBJECTID",
    [IMAP_CAP_PARTIAL] = "PARTIAL",
    [IMAP_CAP_PREVIEW] = "PREVIEW",
    [IMAP_CAP_QRESYNC] = "QRESYNC",
    [IMAP_CAP_QUOTA] = "QUOTA",
    [IMAP_CAP_REPLACE] = "REPLACE",
    [IMAP_CAP_SASL_IR] = "SASL-IR",
    [IMAP_CAP_SAVEDATE] = "SAVEDATE",
    [IMAP_CAP_SEARCHRES] = "SEARCHRES",
    [IMAP_CAP_SORT] = "SORT",
    [IMAP_CAP_SPECIAL_USE] = "SPECIAL-USE",
    [IMAP_CAP_STARTTLS] = "STARTTLS",
    [IMAP_CAP_STATUS_SIZE] = "STATUS=SIZE",
    [IMAP_CAP_UIDONLY] = "UIDONLY",
    [IMAP_CAP_UIDPLUS] = "UIDPLUS",
    [IMAP_CAP_UNAUTHENTICATE] = "UNAUTHENTICATE",
    [IMAP_CAP_UNSELECT] = "UNSELECT",
    [IMAP_CAP_UTF8_ACCEPT] = "UTF8=ACCEPT",
    [IMAP_CAP_UTF8_ONLY] = "UTF8=ONLY",
    [IMAP_CAP_WITHIN] = "WITHIN",
    [IMAP_CAP_X_GM_EXT_1] = "X-GM-EXT-1",
    [IMAP_CAP_XSTOP] = "XSTOP",
    [IMAP_CAP_XYMHIGHESTMODSEQ] = "XYMHIGHESTMODSEQ",
};

static const char *const auth_names[IMAP_AUTHS] = {
    [IMAP_AUTH_PLAIN] = "PLAIN",
    [IMAP_AUTH_LOGIN] = "LOGIN",
    [IMAP_AUTH_CRAM_MD5] = "CRAM-MD5",
    [IMAP_AUTH_XOAUTH2] = "XOAUTH2",
    [IMAP_AUTH_OAUTHBEARER] = "OAUTHBEARER",
    [IMAP_AUTH_EXTERNAL] = "EXTERNAL",
    [IMAP_AUTH_SCRAM_SHA_1] = "SCRAM-SHA-1",
    [IMAP_AUTH_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [IMAP_AUTH_SCRAM_SHA_1_PLUS] = "SCRAM-SHA-1-PLUS",
    [IMAP_AUTH_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
    [IMAP_AUTH_GSSAPI] = "GSSAPI",
};

/* RFC 9051 appendix E. */
static const uint64_t implied_by_rev2 =
    BIT(IMAP_CAP_ENABLE) | BIT(IMAP_CAP_ESEARCH) | BIT(IMAP_CAP_IDLE) | BIT(IMAP_CAP_LIST_EXTENDED) |
    BIT(IMAP_CAP_LIST_STATUS) | BIT(IMAP_CAP_LITERAL_MINUS) | BIT(IMAP_CAP_MOVE) | BIT(IMAP_CAP_NAMESPACE) |
    BIT(IMAP_CAP_SASL_IR) | BIT(IMAP_CAP_SEARCHRES) | BIT(IMAP_CAP_SPECIAL_USE) | BIT(IMAP_CAP_STATUS_SIZE) |
    BIT(IMAP_CAP_UIDPLUS) | BIT(IMAP_CAP_UNSELECT) | BIT(IMAP_CAP_CHILDREN);

const char *imap_capability_name(enum imap_capability cap) {
    return (unsigned)cap < IMAP_CAPS ? names[cap] : "";
}

const char *imap_auth_name(enum imap_auth auth) {
    return (unsigned)auth < IMAP_AUTHS ? auth_names[auth] : "";
}

/* Index in list, or n. */
static unsigned find(imap_str word, const char *const *list, unsigned n) {
    unsigned i;

    for (i = 0; i < n && !imap_str_is(word, list[i]); i++) {
    }
    return i;
}

static bool is_auth(imap_str *word) {
    bool is = word->len > 5 && g_ascii_strncasecmp(word->data, "AUTH=", 5) == 0;

    if (is) {
        word->data += 5;
        word->len -= 5;
    }
    return is;
}

/* Cuts "=1000" off APPENDLIMIT and MESSAGELIMIT; other words keep theirs. */
static bool take_value(imap_str *word, const char *name, uint64_t max, uint64_t *out) {
    size_t n = strlen(name);

    return word->len > n && word->data[n] == '=' && imap_str_is((imap_str){word->data, n}, name) &&
           number_parse((imap_str){word->data + n + 1, word->len - n - 1}, 0, max, out) && (word->len = n, true);
}

bool imap_capabilities_add(imap_capabilities *caps, imap_str word) {
    uint64_t value;
    unsigned i;

    if (is_auth(&word)) {
        i = find(word, auth_names, IMAP_AUTHS);
        caps->auths |= i < IMAP_AUTHS ? 1u << i : 0;
        return i < IMAP_AUTHS;
    }
    if (take_value(&word, "APPENDLIMIT", INT64_MAX, &value)) {
        caps->append_limit = value;
    } else if (take_value(&word, "MESSAGELIMIT", UINT32_MAX, &value)) {
        caps->message_limit = (uint32_t)value;
    }
    i = find(word, names, IMAP_CAPS);
    if (i == IMAP_CAPS) {
        return false;
    }
    caps->bits |= BIT(i);
    if (i == IMAP_CAP_QRESYNC) {
        caps->bits |= BIT(IMAP_CAP_CONDSTORE);
    }
    return true;
}

bool imap_capabilities_remove(imap_capabilities *caps, imap_str word) {
    unsigned i;

    if (is_auth(&word)) {
        i = find(word, auth_names, IMAP_AUTHS);
        caps->auths &= i < IMAP_AUTHS ? ~(1u << i) : ~0u;
        return i < IMAP_AUTHS;
    }
    i = find(word, names, IMAP_CAPS);
    caps->bits &= i < IMAP_CAPS ? ~BIT(i) : ~UINT64_C(0);
    return i < IMAP_CAPS;
}

void imap_capabilities_parse(imap_capabilities *caps, imap_str list) {
    lexer lex = {.at = list.data, .end = list.data + list.len};

    *caps = (imap_capabilities){0};
    while (!lex_at_end(&lex)) {
        imap_str word = lex_token(&lex);
        if (word.len == 0) {
            break;
        }
        imap_capabilities_add(caps, word);
    }
    if (imap_can(caps, IMAP_CAP_IMAP4REV2) && !imap_can(caps, IMAP_CAP_IMAP4REV1)) {
        caps->bits |= implied_by_rev2;
    }
}

char *imap_capabilities_format(const imap_capabilities *caps) {
    GString *out = g_string_new(NULL);

    for (unsigned i = 0; i < IMAP_CAPS; i++) {
        if (caps->bits >> i & 1) {
            g_string_append_printf(out, "%s%s", out->len ? " " : "", names[i]);
        }
    }
    for (unsigned i = 0; i < IMAP_AUTHS; i++) {
        if (caps->auths >> i & 1) {
            g_string_append_printf(out, "%sAUTH=%s", out->len ? " " : "", auth_names[i]);
        }
    }
    return g_string_free(out, FALSE);
}
