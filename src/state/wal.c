#include "sqlite_priv.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 32, FRAME_HEADER = 24, PAGE_MIN = 512, PAGE_MAX = 65536 };

struct wal {
    int fd;
    bool big_endian; /* of the checksums */
    uint32_t page;
    uint32_t sum[2];
    unsigned char salts[8];
    unsigned char frame[FRAME_HEADER + PAGE_MAX];
};

static uint32_t word(const struct wal *w, const unsigned char *p) {
    uint32_t n = be32(p);

    return w->big_endian ? n : GUINT32_SWAP_LE_BE(n);
}

static void checksum(const struct wal *w, const unsigned char *p, size_t len, uint32_t sum[2]) {
    for (size_t i = 0; i < len; i += 8) {
        sum[0] += word(w, p + i) + sum[1];
        sum[1] += word(w, p + i + 4) + sum[0];
    }
}

static bool read_header(struct wal *w) {
    unsigned char h[HEADER];
    uint32_t magic;

    if (pread(w->fd, h, HEADER, 0) != HEADER) {
        return false;
    }
    magic = be32(h);
    w->big_endian = magic & 1;
    w->page = be32(h + 8);
    memcpy(w->salts, h + 16, sizeof w->salts);
    if ((magic & ~1u) != 0x377f0682 || be32(h + 4) != 3007000 || w->page < PAGE_MIN || w->page > PAGE_MAX ||
        (w->page & (w->page - 1))) {
        return false;
    }
    checksum(w, h, 24, w->sum);
    return be32(h + 24) == w->sum[0] && be32(h + 28) == w->sum[1];
}

/* Is its checksum right as the next of the chain? The salts are not part of it. */
static bool frame_continues(struct wal *w) {
    uint32_t sum[2] = {w->sum[0], w->sum[1]};

    checksum(w, w->frame, 8, sum);
    checksum(w, w->frame + FRAME_HEADER, w->page, sum);
    if (be32(w->frame + 16) != sum[0] || be32(w->frame + 20) != sum[1]) {
        return false;
    }
    w->sum[0] = sum[0];
    w->sum[1] = sum[1];
    return true;
}

/* A crash can leave at most the last transaction torn, so at most one commit mark from the first broken frame on.
 * Frames of earlier generations carry other salts; one with other salts that continues the chain is none of them. */
static enum wal_verdict read_frames(struct wal *w) {
    const size_t size = FRAME_HEADER + w->page;
    unsigned marks_behind = 0;
    bool broken = false;

    for (off_t at = HEADER; pread(w->fd, w->frame, size, at) == (ssize_t)size; at += (off_t)size) {
        bool salted = memcmp(w->frame + 8, w->salts, sizeof w->salts) == 0;
        bool continues = !broken && frame_continues(w);
        broken = broken || !salted || !continues;
        if (broken && (salted || continues) && be32(w->frame + 4)) {
            marks_behind++;
        }
    }
    return marks_behind > 1 ? WAL_DAMAGED : WAL_SOUND;
}

enum wal_verdict wal_check(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum wal_verdict verdict;
    struct stat st;

    if (fd < 0) {
        return WAL_ABSENT;
    }
    if (fstat(fd, &st) == 0 && st.st_size < HEADER) {
        close(fd);
        return WAL_ABSENT;
    }
    struct wal *w = g_new0(struct wal, 1);
    w->fd = fd;
    verdict = read_header(w) ? read_frames(w) : WAL_DAMAGED;
    g_free(w);
    close(fd);
    return verdict;
}
