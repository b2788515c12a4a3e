#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The first match counts: what is more telling stands first. Sources: IANA's special-purpose address registries. */
static const struct {
    uint32_t net;
    int bits;
    const char *what;
} four_special[] = {
    {0xa9fea9fe, 32, "cloud metadata"},       /* 169.254.169.254 */
    {0x646464c8, 32, "cloud metadata"},       /* 100.100.100.200 */
    {0xc0000000, 24, "reserved"},             /* 192.0.0.0/24, with Oracle's metadata address */
    {0x7f000000, 8, "loopback"},              /* 127/8 */
    {0x0a000000, 8, "private network"},       /* RFC 1918 */
    {0xac100000, 12, "private network"},      /* 172.16/12 */
    {0xc0a80000, 16, "private network"},      /* 192.168/16 */
    {0xa9fe0000, 16, "link-local"},           /* RFC 3927 */
    {0x64400000, 10, "shared address space"}, /* 100.64/10, RFC 6598 */
    {0x00000000, 8, "unspecified"},           /* "this network": 0.0.0.0 reaches the local host */
    {0xc0000200, 24, "reserved"},             /* documentation: 192.0.2/24 */
    {0xc6336400, 24, "reserved"},             /* 198.51.100/24 */
    {0xcb007100, 24, "reserved"},             /* 203.0.113/24 */
    {0xc0586300, 24, "reserved"},             /* 6to4 relay anycast */
    {0xc6120000, 15, "reserved"},             /* benchmarking, RFC 2544 */
    {0xe0000000, 4, "multicast"},
    {0xf0000000, 4, "reserved"},              /* 240/4 and broadcast */
};

static const struct {
    uint8_t net[16];
    int bits;
    const char *what;
} six_special[] = {
    {{0xfd, 0x00, 0x0e, 0xc2, [15] = 0x54, [14] = 0x02}, 128, "cloud metadata"}, /* fd00:ec2::254 */
    {{[15] = 1}, 128, "loopback"},
    {{0}, 128, "unspecified"},
    {{0xfc}, 7, "private network"},     /* unique local, RFC 4193 */
    {{0xfe, 0x80}, 10, "link-local"},
    {{0xfe, 0xc0}, 10, "private network"}, /* site-local, deprecated */
    {{0xff}, 8, "multicast"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "reserved"},       /* documentation */
    {{0x3f, 0xff}, 20, "reserved"},                   /* documentation, RFC 9637 */
    {{0x20, 0x01, 0x00, 0x02}, 48, "reserved"},       /* benchmarking */
    {{0x20, 0x01, 0x00, 0x10}, 28, "reserved"},       /* ORCHID */
    {{0x20, 0x01, 0x00, 0x20}, 28, "reserved"},       /* ORCHIDv2 */
    {{0x01}, 64, "reserved"},                         /* discard only, RFC 6666 */
    {{0x5f}, 16, "reserved"},                         /* SRv6 SIDs, RFC 9602 */
};

/* Where an IPv4 address stands inside of IPv6 ones: at which byte, and whether it is written inverted. */
static const struct {
    uint8_t net[16];
    int bits, at;
    bool inverted;
} embedded[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, 12, false},               /* ::ffff:0:0/96, mapped */
    {{[8] = 0xff, [9] = 0xff}, 96, 12, false},                 /* ::ffff:0:0:0/96, translated (SIIT) */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12, false},                 /* NAT64, RFC 6052 */
    {{0x20, 0x02}, 16, 2, false},                              /* 6to4 */
    {{0x20, 0x01}, 32, 12, true},                              /* Teredo: the client */
    {{0}, 96, 12, false},                                      /* compatible, deprecated */
};

static bool six_in(const uint8_t *addr, const uint8_t *net, int bits) {
    int bytes = bits / 8, rest = bits % 8;

    if (memcmp(addr, net, (size_t)bytes) != 0) {
        return false;
    }
    return !rest || ((addr[bytes] ^ net[bytes]) >> (8 - rest)) == 0;
}

static const char *judge_four(uint32_t addr) {
    for (size_t i = 0; i < sizeof four_special / sizeof *four_special; i++) {
        if ((addr ^ four_special[i].net) >> (32 - four_special[i].bits) == 0) {
            return four_special[i].what;
        }
    }
    return NULL;
}

static uint32_t four_at(const uint8_t *bytes, bool inverted) {
    uint32_t addr = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];

    return inverted ? ~addr : addr;
}

static const char *judge_six(const uint8_t *addr) {
    static const uint8_t local_nat64[6] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};

    for (size_t i = 0; i < sizeof six_special / sizeof *six_special; i++) {
        if (six_in(addr, six_special[i].net, six_special[i].bits)) {
            return six_special[i].what;
        }
    }
    if (six_in(addr, local_nat64, 48)) { /* where the IPv4 address stands is up to the network, RFC 8215 */
        return "private network";
    }
    for (size_t i = 0; i < sizeof embedded / sizeof *embedded; i++) {
        if (six_in(addr, embedded[i].net, embedded[i].bits)) {
            return judge_four(four_at(addr + embedded[i].at, embedded[i].inverted));
        }
    }
    return NULL;
}

const char *address_special(const struct sockaddr *addr) {
    if (addr->sa_family == AF_INET) {
        return judge_four(ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr));
    }
    if (addr->sa_family == AF_INET6) {
        return judge_six(((const struct sockaddr_in6 *)addr)->sin6_addr.s6_addr);
    }
    return "reserved";
}

bool address_is_loopback(const struct sockaddr *addr) {
    const char *what = address_special(addr);

    return what && strcmp(what, "loopback") == 0;
}

void address_format(const struct sockaddr *addr, char text_out[ADDRESS_TEXT_MAX]) {
    const void *bytes = addr->sa_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)addr)->sin6_addr
                                                    : (const void *)&((const struct sockaddr_in *)addr)->sin_addr;

    if ((addr->sa_family != AF_INET && addr->sa_family != AF_INET6) ||
        !inet_ntop(addr->sa_family, bytes, text_out, ADDRESS_TEXT_MAX)) {
        snprintf(text_out, ADDRESS_TEXT_MAX, "address family %d", addr->sa_family);
    }
}
