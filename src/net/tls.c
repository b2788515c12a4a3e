#include "tls_priv.h"

#include <glib.h>
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define NAMES_SHOWN 5

struct tls_trust {
    GHashTable *files; /* file name -> struct ca_file */
};

struct ca_file {
    struct stat as; /* as it was when it was read */
    X509_STORE *store;
};

static void ca_file_free(void *data) {
    struct ca_file *file = data;

    X509_STORE_free(file->store);
    g_free(file);
}

tls_trust *tls_trust_new(void) {
    tls_trust *trust = g_new0(tls_trust, 1);

    trust->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, ca_file_free);
    return trust;
}

void tls_trust_free(tls_trust *trust) {
    if (trust) {
        g_hash_table_unref(trust->files);
        g_free(trust);
    }
}

static error *load(const char *file, X509_STORE **store_out) {
    X509_STORE *store = X509_STORE_new();

    ERR_clear_error();
    if (X509_STORE_load_file(store, file) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        error *err = error_new(ERROR_CONFIG, "CA file %s: %s", file,
                               access(file, R_OK) != 0 ? g_strerror(errno) : reason ? reason : "no certificate in it");

        ERR_clear_error();
        X509_STORE_free(store);
        return error_set_scope(err, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER);
    }
    /* A certificate that the user lists is trusted itself, also when it is an intermediate's or the server's own. */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    *store_out = store;
    return NULL;
}

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

error *tls_trust_store(tls_trust *trust, const char *ca_file, X509_STORE **store_out) {
    const char *named = getenv("SSL_CERT_FILE");
    const char *name = ca_file ? ca_file : named && *named ? named : SYSTEM_CA;
    struct ca_file *file = g_hash_table_lookup(trust->files, name);
    struct stat now = {0};

    *store_out = NULL;
    /* Before it is read: what changes meanwhile is seen the next time. */
    if (stat(name, &now) != 0 || !file || !is_same(&file->as, &now)) {
        X509_STORE *store;
        error *err = load(name, &store);

        if (err) {
            return err;
        }
        file = g_new(struct ca_file, 1);
        *file = (struct ca_file){.as = now, .store = store};
        g_hash_table_replace(trust->files, g_strdup(name), file);
    }
    X509_STORE_up_ref(file->store);
    *store_out = file->store;
    return NULL;
}

/* --- judging a chain -------------------------------------------------------------------------------------------- */

void tls_verdict_release(tls_verdict *verdict) {
    g_clear_pointer(&verdict->text, g_free);
    g_clear_pointer(&verdict->names, g_free);
}

static char *name_text(const X509_NAME *name) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes, *text;
    long len;

    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    len = BIO_get_mem_data(bio, &bytes);
    text = g_strndup(bytes, (gsize)len);
    BIO_free(bio);
    return text;
}

static char *date_text(const ASN1_TIME *when) {
    struct tm tm = {0};
    char text[40] = "an unreadable date";

    if (ASN1_TIME_to_tm(when, &tm) == 1) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    }
    return g_strdup(text);
}

static char *alt_name_text(const GENERAL_NAME *name) {
    if (name->type == GEN_DNS) {
        return g_strndup((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                         (gsize)ASN1_STRING_length(name->d.dNSName));
    }
    if (name->type == GEN_IPADD) {
        int len = ASN1_STRING_length(name->d.iPAddress);
        char text[INET6_ADDRSTRLEN];

        return (len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6,
                                                    ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text)
                   ? g_strdup(text)
                   : NULL;
    }
    return NULL;
}

static char *leaf_names(X509 *leaf) {
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    GString *text = g_string_new(NULL);
    int count = names ? sk_GENERAL_NAME_num(names) : 0, shown = 0;

    for (int i = 0; i < count && shown < NAMES_SHOWN; i++) {
        g_autofree char *one = alt_name_text(sk_GENERAL_NAME_value(names, i));

        if (one) {
            g_string_append_printf(text, "%s%s", shown++ ? ", " : "", one);
        }
    }
    if (count > NAMES_SHOWN) {
        g_string_append(text, ", ...");
    }
    GENERAL_NAMES_free(names);
    if (!text->len) {
        g_string_free(text, TRUE);
        return name_text(X509_get_subject_name(leaf));
    }
    return g_string_free(text, FALSE);
}

static char *refusal_text(int code, X509 *cert) {
    g_autofree char *issuer = cert ? name_text(X509_get_issuer_name(cert)) : g_strdup("?");
    g_autofree char *subject = cert ? name_text(X509_get_subject_name(cert)) : g_strdup("?");
    g_autofree char *date = NULL;

    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        date = cert ? date_text(X509_get0_notAfter(cert)) : g_strdup("?");
        return g_strdup_printf("certificate expired on %s (%s)", date, subject);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        date = cert ? date_text(X509_get0_notBefore(cert)) : g_strdup("?");
        return g_strdup_printf("certificate is not valid before %s (%s)", date, subject);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return g_strdup_printf("self-signed certificate, not among the trusted ones (%s)", subject);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return g_strdup_printf("unknown issuer: %s is self-signed and not trusted", subject);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return g_strdup_printf("unknown issuer %s of certificate %s", issuer, subject);
    default:
        return g_strdup_printf("certificate refused: %s (%s)", X509_verify_cert_error_string(code), subject);
    }
}

static int judge(X509_STORE_CTX *ctx, void *user) {
    tls_verdict *verdict = user;
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    int ok = X509_verify_cert(ctx);

    tls_verdict_release(verdict);
    verdict->asked = true;
    verdict->code = ok > 0 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    verdict->names = leaf_names(X509_STORE_CTX_get0_cert(ctx));
    if (ssl) {
        g_snprintf(verdict->cipher, sizeof verdict->cipher, "%s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
    }
    if (ok <= 0) {
        verdict->text = refusal_text(verdict->code, X509_STORE_CTX_get_current_cert(ctx));
    }
    return ok > 0;
}

/* --- set-up ----------------------------------------------------------------------------------------------------- */

void tls_setup_easy(CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* it would take the store of another connection for ours */
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

void tls_setup_ctx(SSL_CTX *ctx, X509_STORE *store, tls_verdict *verdict) {
    SSL_CTX_set1_cert_store(ctx, store);
    SSL_CTX_set_cert_verify_callback(ctx, judge, verdict);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    /* Moving buffer: what waits in a queue may be sent from another address when it is tried again. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

error *tls_failure(const tls_verdict *verdict, const char *host, const char *curl_text) {
    /* libcurl and OpenSSL in the words for a connection that broke, when nothing was said about TLS. */
    static const char *const broken[] = {"SSL_connect: ", "unexpected eof", "Recv failure", "Send failure"};

    if (verdict->text) {
        return error_new(ERROR_TLS, "%s", verdict->text);
    }
    if (verdict->asked && strstr(curl_text, "match") && strstr(curl_text, "name")) {
        return error_new(ERROR_TLS, "host name %s does not match the certificate (it is for %s)", host,
                         verdict->names);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        if (strstr(curl_text, broken[i])) {
            return error_new(ERROR_NETWORK, "connection lost during the TLS handshake: %s", curl_text);
        }
    }
    if (strstr(curl_text, "wrong version number")) {
        return error_new(ERROR_TLS, "TLS handshake: the server answered in clear (is this a port for STARTTLS?)");
    }
    return error_new(ERROR_TLS, "TLS handshake: %s", curl_text);
}

bool tls_is_failure(CURLcode code) {
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
        return true;
    default:
        return false;
    }
}
