/*
 * Which UIDs are there. What arrives is added, what the server says went is taken off; where the number of messages is
 * not what that makes, the folder is listed. A message below the cursor that was not there before is one the server
 * slipped in (RFC 9051 section 2.3.1.1 forbids it, servers do it): it is looked at once, like a new one. And a listing
 * tells which messages went on servers that tell sequence numbers only.
 *
 * A listing is one UID SEARCH, of ranges of the UIDs where the folder is large: each answer stays small, on any server.
 */
#include "daemon_priv.h"

/* Holes kept in memory and in the journal; beyond it the lowest are taken for filled. */
#define RANGES_MAX 4096
/* Messages asked about in one SEARCH. */
#define WINDOW 5000
/* So many at once are no messages that slipped in, but a view of the folder that became larger. */
#define SLIPPED_MAX 500
#define DAY_MS (UINT64_C(24) * 3600 * 1000)

struct roll {
    imap_set known;      /* up to the cursor */
    bool loaded, asked;
    unsigned stale;      /* answers under way that are of before */
    bool refused;        /* the last listing failed */
    uint32_t lost;       /* of these went, it is not known which */
    uint64_t unnamed, taken; /* since the start: went without a UID; taken away by us */
    int64_t odd;         /* how many more messages the server counts than it lists */
    bool wanted;         /* a listing is due although the number fits */
    uint64_t since, listed; /* elapsed: first looked at, last listed; 0 = not yet */
    imap_set slipped;    /* found below the cursor, to be looked at */
    struct listing *listing;
};

/* A listing under way. */
struct listing {
    struct folder *folder; /* NULL = cancelled */
    uint32_t upto;
    GArray *windows; /* imap_range, the next one last */
    imap_set asked, found;
};

/* --- sets --------------------------------------------------------------------------------------------------------- */

struct state_range *roll_ranges(const imap_set *set, size_t *n_out) {
    struct state_range *ranges = g_new0(struct state_range, set->count + 1);

    for (size_t i = 0; i < set->count; i++) {
        ranges[i] = (struct state_range){set->ranges[i].low, set->ranges[i].high};
    }
    *n_out = set->count;
    return ranges;
}

static void add_all(imap_set *to, const imap_set *from) {
    for (size_t i = 0; i < from->count; i++) {
        imap_set_add_range(to, from->ranges[i].low, from->ranges[i].high);
    }
}

/* What is in a and not in b, in one pass over both. */
static void minus(const imap_set *a, const imap_set *b, imap_set *out) {
    size_t k = 0;

    for (size_t i = 0; i < a->count; i++) {
        uint32_t low = a->ranges[i].low, high = a->ranges[i].high;
        while (k < b->count && b->ranges[k].high < low) {
            k++;
        }
        for (size_t at = k; low && low <= high && at < b->count && b->ranges[at].low <= high; at++) {
            if (b->ranges[at].low > low) {
                imap_set_add_range(out, low, b->ranges[at].low - 1);
            }
            low = b->ranges[at].high + 1; /* 0: nothing is above */
        }
        if (low && low <= high) {
            imap_set_add_range(out, low, high);
        }
    }
}

static void bound(imap_set *set) {
    if (set->count > RANGES_MAX) {
        imap_set_add_range(set, set->ranges[0].low, set->ranges[set->count - RANGES_MAX].high);
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

struct roll *roll_new(struct folder *f) {
    struct roll *r = g_new0(struct roll, 1);

    r->since = loop_now(f->account->keeper->loop);
    return r;
}

static void listing_free(struct listing *l) {
    if (l->folder) {
        l->folder->roll->listing = NULL;
    }
    imap_set_release(&l->asked);
    imap_set_release(&l->found);
    g_array_unref(l->windows);
    g_free(l);
}

void roll_cancel(struct folder *f) {
    if (f->roll->listing) {
        f->roll->listing->folder = NULL; /* freed by its answer */
        f->roll->listing = NULL;
    }
    changes_cancel(f);
}

void roll_free(struct roll *r) {
    if (r->listing) {
        r->listing->folder = NULL;
    }
    imap_set_release(&r->known);
    imap_set_release(&r->slipped);
    g_free(r);
}

void roll_reset(struct folder *f) {
    struct roll *r = f->roll;

    roll_cancel(f);
    imap_set_release(&r->known);
    imap_set_release(&r->slipped);
    r->stale += r->asked;
    r->loaded = r->asked = r->wanted = false;
    r->lost = 0;
    r->odd = 0;
}

static void loaded(void *user, const error *err, const struct state_range *ranges, size_t n) {
    struct folder *f = user;
    struct roll *r = f->roll;

    if (r->stale) {
        r->stale--;
        return;
    }
    r->asked = false;
    if (err) {
        log_error_value(&f->log, LOG_LEVEL_ERROR, err);
        folder_resume_in(f, 10000);
        f->cursor_known = false;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        imap_set_add_range(&r->known, ranges[i].low, ranges[i].high);
    }
    imap_set_clip(&r->known, 1, MAX(f->cursor.last_uid, 1));
    r->loaded = true;
    folder_advance(f);
}

bool roll_ready(struct folder *f) {
    struct roll *r = f->roll;

    if (!r->loaded && !r->asked) {
        r->asked = true;
        state_present_load(f->account->keeper->state, f->account->name, f->name, loaded, f);
    }
    return r->loaded;
}

/* --- what is heard ------------------------------------------------------------------------------------------------ */

void roll_add(struct folder *f, const imap_set *uids) {
    add_all(&f->roll->known, uids);
    bound(&f->roll->known);
}

void roll_gone(struct folder *f, imap_ranges uids) {
    struct roll *r = f->roll;
    g_auto(imap_set) gone = IMAP_SET_INIT;

    if (!uids.count) {
        r->lost++;
        r->unnamed++;
        r->wanted |= changes_want_gone(f);
        roll_step(f);
        return;
    }
    imap_set_add_ranges(&gone, uids);
    imap_set_clip(&gone, 1, MAX(f->cursor.last_uid, 1));
    for (size_t i = 0; i < gone.count; i++) {
        imap_set_remove_range(&r->known, gone.ranges[i].low, gone.ranges[i].high);
        imap_set_remove_range(&r->slipped, gone.ranges[i].low, gone.ranges[i].high);
    }
    bound(&r->known);
    changes_gone(f, &gone);
}

void roll_want_listing(struct folder *f) {
    f->roll->wanted = true;
}

bool roll_has(const struct folder *f, uint32_t uid) {
    return imap_set_contains(&f->roll->known, uid);
}

void roll_taken(struct folder *f) {
    f->roll->taken++;
}

/* Of those who name UIDs none is unnamed. */
uint64_t roll_others(const struct folder *f) {
    return f->roll->unnamed > f->roll->taken ? f->roll->unnamed - f->roll->taken : 0;
}

const imap_set *roll_known(const struct folder *f) {
    return &f->roll->known;
}

static int64_t expected(const struct roll *r) {
    return (int64_t)imap_set_size(&r->known) - r->lost + r->odd;
}

int64_t roll_expected(const struct folder *f) {
    return f->roll->loaded && f->cursor.listed ? MAX(expected(f->roll), 0) : -1;
}

/* Could the folder hold so many messages if nothing was missed? */
static bool fits(const struct folder *f, uint32_t messages) {
    return f->roll->loaded && f->cursor.listed && expected(f->roll) == messages;
}

/* Fewer than expected: somebody deleted some. Where no rule asks which, the next listing tells. */
bool roll_told(struct folder *f, uint32_t messages) {
    struct roll *r = f->roll;

    if (r->loaded && f->cursor.listed && messages < expected(r) && !changes_want_gone(f)) {
        r->lost += (uint32_t)(expected(r) - messages);
    }
    return fits(f, messages);
}

bool roll_busy(const struct folder *f) {
    return f->roll->listing || !imap_set_is_empty(&f->roll->slipped) || changes_busy(f);
}

/* Nothing is proved while it is not known what should be there. */
bool roll_doubts(const struct folder *f) {
    return !f->roll->loaded || !f->cursor.listed || f->roll->refused || roll_busy(f);
}

/* --- listing ------------------------------------------------------------------------------------------------------ */

static void persist(struct folder *f) {
    size_t n;
    g_autofree struct state_range *ranges = roll_ranges(&f->roll->known, &n);

    f->cursor.listed = true;
    state_present_set(f->account->keeper->state, f->account->name, f->name, f->uidvalidity, ranges, n, NULL, NULL);
}

/* Where nothing was known all that is there is old. */
static void learn_first(struct folder *f, const imap_set *found) {
    struct roll *r = f->roll;

    imap_set_clip(&r->known, f->cursor.last_uid, UINT32_MAX);
    add_all(&r->known, found);
    bound(&r->known);
    persist(f);
}

static void tell_slipped(struct folder *f, const imap_set *fresh) {
    uint64_t n = imap_set_size(fresh);

    if (n > SLIPPED_MAX) {
        log_warn(&f->log, "%" G_GUINT64_FORMAT " messages turned up below UID %u: taken for old ones", n,
                 f->cursor.last_uid + 1);
        add_all(&f->roll->known, fresh);
        return;
    }
    log_notice(&f->log, "%" G_GUINT64_FORMAT " message(s) turned up below UID %u: looked at now", n,
               f->cursor.last_uid + 1);
    add_all(&f->roll->slipped, fresh);
}

static void learn(struct folder *f, const struct listing *l) {
    struct roll *r = f->roll;
    g_auto(imap_set) before = IMAP_SET_INIT, fresh = IMAP_SET_INIT, gone = IMAP_SET_INIT;

    add_all(&before, &r->known);
    imap_set_clip(&before, 1, MAX(l->upto, 1));
    minus(&l->found, &before, &fresh);
    minus(&before, &l->found, &gone);
    r->lost = 0;
    if (!imap_set_is_empty(&gone)) {
        g_auto(imap_set) left = IMAP_SET_INIT;
        minus(&r->known, &gone, &left);
        imap_set_release(&r->known);
        add_all(&r->known, &left);
        changes_gone(f, &gone);
    }
    if (!imap_set_is_empty(&fresh)) {
        tell_slipped(f, &fresh);
    }
    if (!imap_set_is_empty(&gone) || !imap_set_is_empty(&fresh)) {
        bound(&r->known);
        persist(f);
    }
}

static void listing_end(struct listing *l) {
    struct folder *f = l->folder;
    struct roll *r = f->roll;
    const session_folder *now = session_selected(folder_session(f));

    imap_set_clip(&l->found, 1, MAX(l->upto, 1));
    if (f->cursor.listed) {
        learn(f, l);
    } else {
        learn_first(f, &l->found);
    }
    r->wanted = r->refused = false;
    r->listed = loop_now(f->account->keeper->loop);
    if (l->upto == f->cursor.last_uid && now) {
        r->odd = (int64_t)now->exists - (int64_t)imap_set_size(&r->known) - (int64_t)imap_set_size(&r->slipped);
    }
    listing_free(l);
    roll_step(f);
    watcher_nudge(f->watcher);
}

static void next_window(struct listing *l);

static void listing_failed(struct listing *l, const char *why) {
    struct folder *f = l->folder;

    log_warn(&f->log, "cannot be listed: %s", why);
    f->roll->refused = true;
    f->roll->wanted = false;
    f->roll->listed = loop_now(f->account->keeper->loop);
    listing_free(l);
}

/* An answer that is damaged or has too many holes is asked for in halves. */
static void halve(struct listing *l) {
    uint32_t low = imap_set_min(&l->asked), high = imap_set_max(&l->asked), middle = low + (high - low) / 2;
    imap_range lower = {low, middle}, upper = {middle + 1, high};

    g_array_append_val(l->windows, upper);
    g_array_append_val(l->windows, lower);
    next_window(l);
}

static void window_listed(void *user, const session_result *result) {
    struct listing *l = user;
    struct folder *f = l->folder;

    if (f && result->err && result->answered) {
        folder_set_trouble(f, result->err);
        listing_failed(l, result->err->text);
    } else if (!f || result->err || !folder_session(f)) {
        listing_free(l);
    } else if (!result->found_whole && imap_set_size(&l->asked) > WINDOW) {
        halve(l);
    } else if (!result->found_whole) {
        listing_failed(l, "the server's answer is damaged");
    } else {
        add_all(&l->found, result->found);
        next_window(l);
    }
}

static void next_window(struct listing *l) {
    struct folder *f = l->folder;

    if (!l->windows->len) {
        listing_end(l);
        return;
    }
    imap_range window = g_array_index(l->windows, imap_range, l->windows->len - 1);
    g_array_set_size(l->windows, l->windows->len - 1);
    imap_set_clear(&l->asked);
    imap_set_add_range(&l->asked, window.low, window.high);
    session_search(folder_session(f), &(imap_search_want){.uids = &l->asked, .returns = IMAP_SEARCH_FOUND},
                   &(session_call){.done = window_listed, .user = l, .uidvalidity = f->uidvalidity});
}

/* Windows of as many messages as are known; where nothing is, one of all. */
static void make_windows(struct listing *l, const imap_set *known) {
    uint32_t low = 1;
    uint64_t n = 0;

    for (size_t i = 0; i < known->count; i++) {
        uint64_t size = (uint64_t)known->ranges[i].high - known->ranges[i].low + 1;
        for (; n + size > WINDOW; n = 0) {
            uint32_t high = known->ranges[i].high - (uint32_t)(size - (WINDOW - n));
            if (high < low || high >= l->upto) {
                break;
            }
            g_array_append_val(l->windows, ((imap_range){low, high}));
            low = high + 1;
            size -= WINDOW - n;
        }
        n += size;
    }
    g_array_append_val(l->windows, ((imap_range){low, l->upto}));
    for (guint i = 0; i < l->windows->len / 2; i++) {
        imap_range *a = &g_array_index(l->windows, imap_range, i);
        imap_range *b = &g_array_index(l->windows, imap_range, l->windows->len - 1 - i), keep = *a;
        *a = *b;
        *b = keep;
    }
}

static void list(struct folder *f) {
    struct listing *l = g_new0(struct listing, 1);

    l->folder = f;
    l->upto = f->cursor.last_uid;
    l->windows = g_array_new(FALSE, FALSE, sizeof(imap_range));
    f->roll->listing = l;
    make_windows(l, &f->roll->known);
    next_window(l);
}

/* --- the proof ---------------------------------------------------------------------------------------------------- */

/* Even where the number fits: once a reconcile after the start, then once a day. */
static bool is_due(const struct folder *f) {
    const struct roll *r = f->roll;
    uint64_t now = loop_now(f->account->keeper->loop);

    return r->wanted || now >= (r->listed ? r->listed + DAY_MS : r->since + f->account->config->reconcile_ms);
}

/* True if a folder that was never listed needs no listing: it is empty up to the cursor, or has no holes. */
static bool is_plain(struct folder *f, uint32_t exists) {
    g_auto(imap_set) found = IMAP_SET_INIT;
    const session_folder *now = session_selected(folder_session(f));

    if (exists && (exists != f->cursor.last_uid || now->uidnext != f->cursor.last_uid + 1)) {
        return false;
    }
    if (exists) {
        imap_set_add_range(&found, 1, exists);
    }
    learn_first(f, &found);
    return true;
}

/* A listing that was refused is not repeated for every message. */
static bool may_list(const struct folder *f) {
    const struct roll *r = f->roll;

    return !r->refused ||
           loop_now(f->account->keeper->loop) >= r->listed + f->account->config->reconcile_ms;
}

void roll_step(struct folder *f) {
    struct roll *r = f->roll;
    const session_folder *now = folder_session(f) ? session_selected(folder_session(f)) : NULL;

    if (!now || !r->loaded || r->listing || f->look || f->settling || f->cursor.uidvalidity != f->uidvalidity) {
        return;
    }
    if (!imap_set_is_empty(&r->slipped)) {
        if (look_below(f, &r->slipped)) {
            imap_set_release(&r->slipped);
        } else {
            f->starved = true;
        }
        return;
    }
    r->wanted &= f->cursor.last_uid > 0;
    bool listed = f->cursor.listed || is_plain(f, now->exists);
    if ((!listed || is_due(f) || !fits(f, now->exists)) && f->cursor.last_uid && may_list(f)) {
        list(f);
        return;
    }
    if (!changes_step(f)) {
        f->seen_once |= r->refused; /* as far as this server lets it be seen */
        folder_proved(f);
    }
}
