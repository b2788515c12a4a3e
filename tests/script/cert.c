#include "tests/script/script_priv.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DAY 86400L

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* issuer NULL: signs itself. */
static X509 *make_cert(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *alt_names,
                       bool expired) {
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer ? 2 : 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -30 * DAY);
    X509_gmtime_adj(X509_getm_notAfter(cert), expired ? -DAY : 30 * DAY);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject);
    add_extension(cert, issuer ? issuer : cert, NID_basic_constraints, alt_names ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt_names) {
        add_extension(cert, issuer ? issuer : cert, NID_subject_alt_name, alt_names);
    }
    X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256());
    return cert;
}

static bool write_pem(const char *path, X509 *cert) {
    FILE *file = fopen(path, "we");
    bool ok = file && PEM_write_X509(file, cert);

    if (file) {
        fclose(file);
    }
    return ok;
}

SSL_CTX *cert_context(const char *kind, const char *ca_file) {
    bool self_signed = strcmp(kind, "self-signed") == 0;
    const char *names = strcmp(kind, "wrong-host") == 0 ? "DNS:elsewhere.example" : "DNS:localhost,IP:127.0.0.1";
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_cert("Test CA", ca_key, NULL, NULL, NULL, false);
    X509 *cert = make_cert("localhost", key, self_signed ? NULL : ca, self_signed ? NULL : ca_key, names,
                           strcmp(kind, "expired") == 0);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool ok = SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
              (!ca_file || write_pem(ca_file, ca));

    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    if (!ok) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}
