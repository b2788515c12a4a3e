#include "tests/soak/soak.h"

struct point {
    int64_t at;
    uint64_t order;
    agenda_fn fn;
    void *user;
    uint64_t number;
};

static struct point *at(const soak *s, guint i) {
    return s->agenda->pdata[i];
}

static bool before(const struct point *a, const struct point *b) {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(soak *s, guint i, guint j) {
    gpointer kept = s->agenda->pdata[i];

    s->agenda->pdata[i] = s->agenda->pdata[j];
    s->agenda->pdata[j] = kept;
}

void agenda_add(soak *s, int64_t when, agenda_fn fn, void *user, uint64_t number) {
    struct point *p = g_new(struct point, 1);
    guint i = s->agenda->len;

    *p = (struct point){when, ++s->agenda_order, fn, user, number};
    g_ptr_array_add(s->agenda, p);
    for (; i && before(p, at(s, (i - 1) / 2)); i = (i - 1) / 2) {
        swap(s, i, (i - 1) / 2);
    }
}

int64_t agenda_next(const soak *s) {
    return s->agenda->len ? at(s, 0)->at : INT64_MAX;
}

static struct point take(soak *s) {
    struct point first = *at(s, 0);
    guint i = 0;

    g_free(at(s, 0));
    s->agenda->pdata[0] = s->agenda->pdata[s->agenda->len - 1];
    g_ptr_array_set_size(s->agenda, (gint)s->agenda->len - 1);
    for (;;) {
        guint child = 2 * i + 1;
        if (child + 1 < s->agenda->len && before(at(s, child + 1), at(s, child))) {
            child++;
        }
        if (child >= s->agenda->len || !before(at(s, child), at(s, i))) {
            return first;
        }
        swap(s, i, child);
        i = child;
    }
}

void agenda_run(soak *s) {
    while (s->agenda->len && at(s, 0)->at <= s->now) {
        struct point p = take(s);
        p.fn(s, p.user, p.number);
    }
}

void agenda_release(soak *s) {
    for (guint i = 0; i < s->agenda->len; i++) {
        g_free(at(s, i));
    }
    g_ptr_array_free(s->agenda, TRUE);
}
