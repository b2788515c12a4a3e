/* Was every message handled once? The servers' folders and the receiver know. */
#include "tests/soak/soak.h"

#include <string.h>

#define MASK (FLAG_SEEN | FLAG_FLAGGED | FLAG_DELETED | FLAG_KEYWORD)

static const entry *find(const letter *l, const char *name) {
    const folder *f = name ? folder_find(l->to, name) : NULL;

    for (guint i = 0; f && i < f->entries->len; i++) {
        const entry *e = &g_array_index(f->entries, entry, i);
        if (e->letter == l) {
            return e;
        }
    }
    return NULL;
}

bool letter_is_done(const letter *l) {
    const char *second;
    uint32_t flags;
    const char *home = letter_home(l, &flags, &second);
    const entry *e = find(l, home);

    return e && (e->flags & MASK) == flags && (!second || find(l, second)) && (l->kind != KIND_HOOK || l->accepted);
}

static void look_at(soak *s, const folder *f, const entry *e) {
    letter *l = e->letter;
    const char *second;
    uint32_t flags;
    const char *home = letter_home(l, &flags, &second);

    if (home && strcmp(f->name, home) == 0) {
        l->here++;
        if ((e->flags & MASK) != flags) {
            soak_fail(s, "letter %u (%s) of %s is in %s with the flags %x", l->id, kind_name(l->kind), l->to->name,
                      f->name, e->flags);
        }
    } else if (second && strcmp(f->name, second) == 0) {
        l->here++;
    } else {
        l->wrong++;
        soak_fail(s, "letter %u (%s) of %s (%s), which came at %d s, is in %s", l->id, kind_name(l->kind), l->to->name,
                  l->to->server->provider->name, (int)(l->at / 1000), f->name);
    }
}

static void check_letter(soak *s, const letter *l) {
    const char *second;
    uint32_t flags;
    const char *home = letter_home(l, &flags, &second);
    unsigned want = l->tidied ? 0 : (home != NULL) + (second != NULL);
    bool killed = s->count.kills > 0;

    if (l->here != want) {
        soak_fail(s, "letter %u (%s) of %s (%s), which came at %d s: there are %u, not %u", l->id, kind_name(l->kind),
                  l->to->name, l->to->server->provider->name, (int)(l->at / 1000), l->here, want);
    }
    if ((l->kind == KIND_HOOK) != (l->accepted > 0)) {
        soak_fail(s, "letter %u (%s): %u webhooks", l->id, kind_name(l->kind), l->accepted);
    }
    if (!killed && l->accepted > 1 + l->answers_lost) {
        soak_fail(s, "letter %u: %u webhooks were accepted, and %u answers lost", l->id, l->accepted, l->answers_lost);
    }
    if (!killed && l->marked > 1 + l->answers_lost) {
        soak_fail(s, "letter %u (%s) of %s: flagged %u times, and %u answers lost", l->id, kind_name(l->kind),
                  l->to->name, l->marked, l->answers_lost);
    }
}

void check_all(soak *s) {
    for (guint i = 0; i < s->all_accounts->len; i++) {
        const account *a = s->all_accounts->pdata[i];
        for (guint j = 0; j < a->folders->len; j++) {
            const folder *f = a->folders->pdata[j];
            for (guint k = 0; k < f->entries->len; k++) {
                look_at(s, f, &g_array_index(f->entries, entry, k));
            }
        }
    }
    for (guint i = 0; i < s->letters->len; i++) {
        check_letter(s, s->letters->pdata[i]);
    }
}
