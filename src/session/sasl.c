#include "session_priv.h"

/* RFC 4616 */
static GString *plain_initial(const session *s) {
    GString *out = g_string_new(NULL);

    g_string_append_c(out, '\0');
    g_string_append(out, s->config.user);
    g_string_append_c(out, '\0');
    return g_string_append_len(out, s->secret->bytes, (gssize)s->secret->len);
}

/* RFC 2195 */
static GString *cram_md5_reply(const session *s, const char *challenge, size_t len) {
    g_autofree char *mac = g_compute_hmac_for_data(G_CHECKSUM_MD5, (const guchar *)s->secret->bytes, s->secret->len,
                                                   (const guchar *)challenge, len);
    GString *out = g_string_new(s->config.user);

    g_string_append_printf(out, " %s", mac);
    return out;
}

static GString *xoauth2_initial(const session *s) {
    GString *out = g_string_new("user=");

    g_string_append(out, s->config.user);
    g_string_append(out, "\001auth=Bearer ");
    g_string_append_len(out, s->secret->bytes, (gssize)s->secret->len);
    return g_string_append(out, "\001\001");
}

/* The challenge tells what is wrong; the empty line lets the server say NO. */
static GString *xoauth2_reply(const session *s, const char *challenge, size_t len) {
    (void)s;
    (void)challenge;
    (void)len;
    return g_string_new("");
}

/* RFC 7628 section 3.1; RFC 5801 section 4 for the name. */
static GString *oauthbearer_initial(const session *s) {
    GString *out = g_string_new("n,a=");

    for (const char *p = s->config.user; *p; p++) {
        if (*p == ',' || *p == '=') {
            g_string_append(out, *p == ',' ? "=2C" : "=3D");
        } else {
            g_string_append_c(out, *p);
        }
    }
    g_string_append_printf(out, ",\001host=%s\001port=%u\001auth=Bearer ", s->config.host,
                           s->config.port ? s->config.port : (s->config.tls == TRANSPORT_TLS_IMPLICIT ? 993 : 143));
    g_string_append_len(out, s->secret->bytes, (gssize)s->secret->len);
    return g_string_append(out, "\001\001");
}

static GString *oauthbearer_reply(const session *s, const char *challenge, size_t len) {
    (void)s;
    (void)challenge;
    (void)len;
    return g_string_new("\001");
}

/* RFC 4422 appendix A */
static GString *external_initial(const session *s) {
    return g_string_new(s->config.user);
}

/* In the order in which AUTO takes them. */
static const sasl_mechanism mechanisms[] = {
    {SESSION_AUTH_PLAIN, "PLAIN", IMAP_AUTH_PLAIN, false, true, plain_initial, NULL},
    {SESSION_AUTH_LOGIN, NULL, -1, false, true, NULL, NULL},
    {SESSION_AUTH_CRAM_MD5, "CRAM-MD5", IMAP_AUTH_CRAM_MD5, false, true, NULL, cram_md5_reply},
    {SESSION_AUTH_XOAUTH2, "XOAUTH2", IMAP_AUTH_XOAUTH2, true, true, xoauth2_initial, xoauth2_reply},
    {SESSION_AUTH_OAUTHBEARER, "OAUTHBEARER", IMAP_AUTH_OAUTHBEARER, true, true, oauthbearer_initial,
     oauthbearer_reply},
    {SESSION_AUTH_EXTERNAL, "EXTERNAL", IMAP_AUTH_EXTERNAL, false, false, external_initial, NULL},
};

static bool is_offered(const session *s, const sasl_mechanism *m) {
    bool no_clear_text = imap_can(&s->caps, IMAP_CAP_LOGINDISABLED);

    if (m->offered_as < 0) {
        return !no_clear_text;
    }
    if (no_clear_text && s->config.tls == TRANSPORT_TLS_NONE && m->auth != SESSION_AUTH_CRAM_MD5) {
        return false; /* it would be the same secret in the same clear text */
    }
    return imap_can_auth(&s->caps, (enum imap_auth)m->offered_as);
}

static bool fits(const session *s, const sasl_mechanism *m) {
    if (s->config.auth == SESSION_AUTH_AUTO) {
        return m->needs_secret && m->token == s->config.token;
    }
    return m->auth == s->config.auth;
}

error *sasl_choose(const session *s, const sasl_mechanism **mechanism_out) {
    for (size_t i = 0; i < G_N_ELEMENTS(mechanisms); i++) {
        if (fits(s, &mechanisms[i]) && is_offered(s, &mechanisms[i])) {
            *mechanism_out = &mechanisms[i];
            return NULL;
        }
    }
    if (imap_can(&s->caps, IMAP_CAP_LOGINDISABLED)) {
        return error_new(ERROR_AUTH, "the server does not allow a login here (LOGINDISABLED)");
    }
    return error_new(ERROR_AUTH, "the server offers no way of logging in that the account allows");
}
