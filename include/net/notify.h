/*
 * net/notify.h - tell the service manager how we are: the datagrams of sd_notify(3) over $NOTIFY_SOCKET.
 *
 * Without a manager (no variable) every call does nothing. Messages are sent without waiting; one that does not fit
 * the manager's queue is lost, as with libsystemd. Text is made one line.
 */
#ifndef NET_NOTIFY_H
#define NET_NOTIFY_H

#include "base/error.h"

#include <stdint.h>

typedef struct notify notify;

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from the environment and removes them from it, so that children
 * do not speak in our name. "@name" is an abstract socket. ERROR_CONFIG: neither absolute nor abstract, or too long. */
error *notify_new(notify **notify_out);
void notify_free(notify *n);

void notify_ready(notify *n, const char *status_format, ...) G_GNUC_PRINTF(2, 3);
void notify_status(notify *n, const char *status_format, ...) G_GNUC_PRINTF(2, 3);
void notify_reloading(notify *n); /* with MONOTONIC_USEC, as Type=notify-reload asks; follow with notify_ready() */
void notify_stopping(notify *n);
void notify_watchdog(notify *n);
/* How often notify_watchdog() has to be called at the latest, in ms: half of what the manager allows; 0 = never. */
uint64_t notify_watchdog_interval(const notify *n);

#endif
