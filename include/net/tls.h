/*
 * net/tls.h - the certificates that are trusted, loaded once a file and shared by all connections.
 *
 * The system's store is /etc/ssl/certs/ca-certificates.crt, or what SSL_CERT_FILE names. A CA file given by the user
 * replaces it for that connection. A file that has changed is loaded again for the next connection; those made before
 * keep theirs.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

typedef struct tls_trust tls_trust;

tls_trust *tls_trust_new(void);
void tls_trust_free(tls_trust *trust); /* after its transports and http clients. Accepts NULL */

#endif
