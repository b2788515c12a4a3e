/*
 * net/tls.h - the certificates that are trusted, loaded once a file and shared by every connection.
 *
 * The system's store is /etc/ssl/certs/ca-certificates.crt, or what SSL_CERT_FILE names. A CA file given by the user
 * replaces it for that connection. What is loaded stays until tls_trust_reload(); connections made before keep theirs.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/error.h"

typedef struct tls_trust tls_trust;

tls_trust *tls_trust_new(void);
void tls_trust_free(tls_trust *trust); /* after its transports and http clients. Accepts NULL */
/* Load a CA file now (NULL = the system's), to find its mistakes early. ERROR_CONFIG: unreadable, or no certificate. */
error *tls_trust_load(tls_trust *trust, const char *ca_file);
/* Forget what was loaded: the next connection reads the files again. */
void tls_trust_reload(tls_trust *trust);

#endif
