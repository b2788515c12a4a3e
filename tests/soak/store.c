#include "tests/soak/soak.h"

#include <string.h>

#define GONE_MAX 1000

static const provider providers[] = {
    {.name = "modern",
     .capabilities = "IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE ESEARCH UNSELECT "
                     "SPECIAL-USE LIST-EXTENDED LIST-STATUS CONDSTORE QRESYNC",
     .idle = true, .move = true, .uidplus = true, .esearch = true, .condstore = true, .qresync = true,
     .roles = true, .latency = 15},
    {.name = "pushing",
     .capabilities = "IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE ESEARCH UNSELECT "
                     "SPECIAL-USE LIST-EXTENDED LIST-STATUS CONDSTORE NOTIFY",
     .idle = true, .move = true, .uidplus = true, .esearch = true, .condstore = true, .notify = true,
     .roles = true, .latency = 25},
    {.name = "token",
     .capabilities = "IMAP4rev1 SASL-IR AUTH=XOAUTH2 LITERAL- ID ENABLE IDLE NAMESPACE UIDPLUS MOVE ESEARCH UNSELECT "
                     "SPECIAL-USE CONDSTORE X-GM-EXT-1",
     .idle = true, .move = true, .uidplus = true, .esearch = true, .condstore = true, .gmail = true, .token = true,
     .roles = true, .latency = 60},
    {.name = "hasty",
     .capabilities = "IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 LITERAL+ ID IDLE NAMESPACE UIDPLUS MOVE UNSELECT",
     .idle = true, .move = true, .uidplus = true, .silence = 6 * MINUTE, .roles = true, .latency = 40},
    {.name = "without-move",
     .capabilities = "IMAP4rev1 AUTH=PLAIN IDLE NAMESPACE UIDPLUS CHILDREN",
     .idle = true, .uidplus = true, .silence = 29 * MINUTE, .roles = true, .latency = 100},
    {.name = "old",
     .capabilities = "IMAP4rev1 AUTH=PLAIN CHILDREN",
     .latency = 200},
};

/* --- folders ------------------------------------------------------------------------------------------------------ */

folder *folder_find(const account *a, const char *name) {
    for (guint i = 0; i < a->folders->len; i++) {
        folder *f = a->folders->pdata[i];
        if (strcmp(f->name, name) == 0 || (g_ascii_strcasecmp(name, "INBOX") == 0 && strcmp(f->name, "INBOX") == 0)) {
            return f;
        }
    }
    return NULL;
}

folder *folder_make(account *a, const char *name, const char *role) {
    folder *f = g_new0(folder, 1);

    f->account = a;
    f->name = g_strdup(name);
    f->role = role;
    f->uidvalidity = (uint32_t)((a->soak->wall + a->soak->now) / 1000) + a->folders->len;
    f->uidnext = 1;
    f->modseq = 1;
    f->entries = g_array_new(FALSE, TRUE, sizeof(entry));
    f->gone = g_array_new(FALSE, TRUE, sizeof(gone));
    g_ptr_array_add(a->folders, f);
    return f;
}

static void folder_free(folder *f) {
    g_array_free(f->entries, TRUE);
    g_array_free(f->gone, TRUE);
    g_free(f->name);
    g_free(f);
}

static bool place_of(const folder *f, uint32_t uid, guint *index_out) {
    guint low = 0, high = f->entries->len;

    while (low < high) {
        guint middle = (low + high) / 2;
        if (g_array_index(f->entries, entry, middle).uid < uid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index_out = low;
    return low < f->entries->len && g_array_index(f->entries, entry, low).uid == uid;
}

uint32_t folder_add(folder *f, letter *l, uint32_t flags) {
    entry e = {.uid = f->uidnext++, .flags = flags, .modseq = ++f->modseq, .letter = l};

    g_array_append_val(f->entries, e);
    return e.uid;
}

entry *folder_entry(const folder *f, uint32_t uid) {
    guint i;

    return place_of(f, uid, &i) ? &g_array_index(f->entries, entry, i) : NULL;
}

void folder_remove(folder *f, uint32_t uid) {
    guint i;

    if (!place_of(f, uid, &i)) {
        return;
    }
    gone g = {uid, ++f->modseq};
    g_array_append_val(f->gone, g);
    if (f->gone->len > GONE_MAX) {
        g_array_remove_range(f->gone, 0, f->gone->len - GONE_MAX);
    }
    g_array_remove_index(f->entries, i);
}

void folder_set_flags(folder *f, entry *e, uint32_t flags) {
    if (e->flags != flags) {
        e->flags = flags;
        e->modseq = ++f->modseq;
    }
}

void folder_renumber(soak *s, folder *f) {
    uint32_t validity = (uint32_t)((s->wall + s->now) / 1000);

    f->uidvalidity = validity > f->uidvalidity ? validity : f->uidvalidity + 1;
    f->uidnext = 1;
    for (guint i = 0; i < f->entries->len; i++) {
        g_array_index(f->entries, entry, i).uid = f->uidnext++;
    }
    f->modseq++;
    g_array_set_size(f->gone, 0);
}

/* --- accounts ----------------------------------------------------------------------------------------------------- */

static void account_make(soak *s, unsigned index) {
    account *a = g_new0(account, 1);

    a->soak = s;
    a->index = index;
    a->server = s->servers->pdata[index % s->servers->len];
    a->lists = index / s->servers->len % 2 == 1;
    g_snprintf(a->name, sizeof a->name, "user%u", index);
    a->folders = g_ptr_array_new();
    chance_init(&a->mail, s->seed, "mail", index);
    folder_make(a, "INBOX", NULL);
    if (a->server->provider->roles) {
        folder_make(a, "Spam", "\\Junk");
        folder_make(a, "Bin", "\\Trash");
    }
    if (a->lists) {
        folder_make(a, "Lists/a", NULL);
        folder_make(a, "Lists/b", NULL);
    }
    g_ptr_array_add(s->all_accounts, a);
}

void store_init(soak *s) {
    for (unsigned i = 0; i < G_N_ELEMENTS(providers); i++) {
        server *v = g_new0(server, 1);
        v->soak = s;
        v->provider = &providers[i];
        v->index = i;
        v->listener = -1;
        chance_init(&v->chance, s->seed, "latency", i);
        g_ptr_array_add(s->servers, v);
    }
    for (unsigned i = 0; i < s->accounts; i++) {
        account_make(s, i);
    }
}

void store_release(soak *s) {
    for (guint i = 0; i < s->all_accounts->len; i++) {
        account *a = s->all_accounts->pdata[i];
        for (guint j = 0; j < a->folders->len; j++) {
            folder_free(a->folders->pdata[j]);
        }
        g_ptr_array_free(a->folders, TRUE);
        g_free(a);
    }
    for (guint i = 0; i < s->servers->len; i++) {
        g_free(s->servers->pdata[i]);
    }
    for (guint i = 0; i < s->letters->len; i++) {
        g_free(s->letters->pdata[i]);
    }
    g_ptr_array_free(s->all_accounts, TRUE);
    g_ptr_array_free(s->servers, TRUE);
    g_ptr_array_free(s->letters, TRUE);
}
