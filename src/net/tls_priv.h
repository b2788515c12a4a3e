/*
 * net/tls_priv.h - how every TLS connection of this layer is set up, and what is said when it is refused.
 */
#ifndef NET_TLS_PRIV_H
#define NET_TLS_PRIV_H

#include "base/error.h"
#include "net/tls.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

/* What was found about the server's certificate. Outlives the handshake. */
typedef struct tls_verdict {
    bool asked;    /* a chain was judged */
    int code;      /* X509_V_... */
    char *text;    /* why it was refused, or NULL */
    char *names;   /* whom the leaf is for: "a.example, b.example" */
    char cipher[80]; /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
} tls_verdict;

void tls_verdict_release(tls_verdict *verdict);

/* The store of a CA file (NULL = the system's); the caller gets a reference (X509_STORE_free). ERROR_CONFIG. */
error *tls_trust_store(tls_trust *trust, const char *ca_file, X509_STORE **store_out);

/* Shared set-up of an easy handle: no CA files of libcurl's own, TLS 1.2 at least, peer and host verified. */
void tls_setup_easy(CURL *easy);
/* Inside CURLOPT_SSL_CTX_FUNCTION: trust store, verdict recorded in *verdict. */
void tls_setup_ctx(SSL_CTX *ctx, X509_STORE *store, tls_verdict *verdict);
/* ERROR_TLS for a connection to host that failed with curl_text (libcurl's words); ERROR_NETWORK if it only broke. */
error *tls_failure(const tls_verdict *verdict, const char *host, const char *curl_text);
/* Is it a failure of TLS, certificate or STARTTLS? */
bool tls_is_failure(CURLcode code);

#endif
