/*
 * net/address.h - which network an address belongs to. Pure.
 *
 * IPv4 inside IPv6 (::ffff:0:0/96, 64:ff9b::/96, 64:ff9b:1::/48, 6to4 2002::/16, Teredo 2001::/32, ::/96) is judged by
 * the IPv4 address it leads to.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Longest text of an address, with its NUL. */
#define ADDRESS_TEXT_MAX 64

/* NULL: an ordinary public address. Else why it is not, static: "loopback", "private network", "link-local", "shared
 * address space", "multicast", "unspecified", "cloud metadata", "reserved". A family other than IPv4 and IPv6 is
 * "reserved". */
const char *address_special(const struct sockaddr *addr);
bool address_is_loopback(const struct sockaddr *addr);
void address_format(const struct sockaddr *addr, char text_out[ADDRESS_TEXT_MAX]);

#endif
