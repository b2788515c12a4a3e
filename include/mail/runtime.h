/*
 * mail/runtime.h - what the mail layer must load before its process is locked down.
 *
 * mail_runtime_new() starts GMime, opens an iconv descriptor each for the commonest charsets (and keeps it, so that
 * glibc's gconv modules stay loaded) and reads the time zone. After it returns, no query of the layer needs to open a
 * file: a charset outside the list then fails to open and its text is read as undeclared, so the lock-down must
 * answer open(2) with an errno, not with a signal. One runtime a process, made before the first view, freed after the
 * last.
 */
#ifndef MAIL_RUNTIME_H
#define MAIL_RUNTIME_H

#include <stddef.h>

typedef struct mail_runtime mail_runtime;

mail_runtime *mail_runtime_new(void);
void mail_runtime_free(mail_runtime *runtime); /* accepts NULL */
size_t mail_runtime_charsets(const mail_runtime *runtime); /* how many are loaded; for the log */

#endif
