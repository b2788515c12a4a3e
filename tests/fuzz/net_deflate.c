/*
 * What a server compressed, or says it did, cut and asked for in any way: the octets are those that zlib alone makes of
 * the whole, as far as they are asked for; damage is told behind what was good; memory stays within what is promised.
 * And what is packed here is unpacked again as it was.
 *
 * The first two bytes choose how it is cut and how much is asked for at a time; the rest is the stream.
 */
#include "net/deflate.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MOST = 1 << 20 }; /* inflated octets that are looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool so) {
    if (!so) {
        abort();
    }
}

/* All at once; *good_out: no damage within the first MOST octets. */
static GByteArray *reference(const uint8_t *data, size_t size, bool *good_out) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
    GByteArray *out = g_byte_array_new();
    int got;

    g_byte_array_set_size(out, MOST);
    inflateInit2(&z, -MAX_WBITS);
    z.next_out = out->data;
    z.avail_out = MOST;
    got = inflate(&z, Z_SYNC_FLUSH);
    *good_out = got == Z_OK || got == Z_BUF_ERROR || (got == Z_STREAM_END && z.avail_in == 0);
    g_byte_array_set_size(out, MOST - z.avail_out);
    inflateEnd(&z);
    return out;
}

static void unpack(const uint8_t *data, size_t size, size_t piece, size_t room) {
    static uint8_t to[70000];
    g_autoptr(deflate_pair) d = deflate_pair_new();
    g_autoptr(error) err = NULL;
    bool good;
    g_autoptr(GByteArray) wanted = reference(data, size, &good);
    size_t n = 0, sum = 0;

    while (size && !err && sum < MOST) {
        size_t len = MIN(piece, size);
        deflate_pair_feed(d, data, len);
        data += len;
        size -= len;
        while (sum < MOST && (n = deflate_pair_unpack(d, to, room, &err)) > 0) {
            insist(n <= room && !err);
            size_t known = sum < wanted->len ? MIN(n, wanted->len - sum) : 0;
            insist(memcmp(to, wanted->data + sum, known) == 0);
            insist(known == n || wanted->len == MOST);
            sum += n;
        }
        insist(deflate_pair_memory(d) <= DEFLATE_PAIR_MEMORY + len);
        insist(sum >= MOST || !deflate_pair_ended(d) || deflate_pair_at_rest(d));
    }
    if (sum < MOST && wanted->len < MOST) {
        insist(sum == wanted->len);
        insist(good == !err);
    }
}

static void round_trip(const uint8_t *data, size_t size, size_t piece, size_t room) {
    static uint8_t to[70000];
    g_autoptr(deflate_pair) here = deflate_pair_new(), there = deflate_pair_new();
    g_autoptr(GByteArray) wire = g_byte_array_new();
    g_autoptr(error) err = NULL;

    while (size) {
        size_t len = MIN(piece, size), n, sum = 0;
        g_byte_array_set_size(wire, 0);
        deflate_pair_pack(here, data, len, wire);
        deflate_pair_feed(there, wire->data, wire->len);
        while ((n = deflate_pair_unpack(there, to, room, &err)) > 0) {
            insist(sum + n <= len && memcmp(to, data + sum, n) == 0);
            sum += n;
        }
        insist(!err && sum == len && deflate_pair_at_rest(there));
        data += len;
        size -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    size_t piece = data[0] ? data[0] * (size_t)data[0] : size, room = data[1] ? data[1] * (size_t)data[1] : 65536;

    unpack(data + 2, size - 2, piece, room);
    round_trip(data + 2, size - 2, piece, room);
    return 0;
}
