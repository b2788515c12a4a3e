/*
 * What is fetched of a message at first, as its folder's rules need it, and the EVAL frame that is made of what came.
 */
#include "message_priv.h"
#include "remains_priv.h"

#include <string.h>

/* Octets that the names of header fields must leave for UIDs in a command. */
#define FIELDS_ROOM 200

static const wire_scope_reply *scope_of(const struct folder *f, enum wire_event event, const char *const **fields_out) {
    *fields_out = (const char *const *)f->scope_fields;
    return event == WIRE_EVENT_NEW ? &f->scope->u.scope_reply : changes_scope(f, event, fields_out);
}

const imap_fetch_want *message_want(struct folder *f, enum wire_event event) {
    const char *const *fields;
    const wire_scope_reply *scope = scope_of(f, event, &fields);
    const session_info *info = session_info_get(f->watcher->session);

    f->want = (imap_fetch_want){.items = IMAP_WANT_FLAGS | IMAP_WANT_DATE | IMAP_WANT_SIZE};
    if (!scope || !scope->rules) {
        f->want.sections = changes_message_id();
        f->want.section_count = changes_want_gone(f);
        return &f->want;
    }
    if (info && imap_can(info->caps, IMAP_CAP_OBJECTID)) {
        f->want.items |= IMAP_WANT_EMAIL_ID;
    } else if (info && imap_can(info->caps, IMAP_CAP_X_GM_EXT_1)) {
        f->want.items |= IMAP_WANT_GM_MSGID;
    }
    f->want_section = (imap_section_want){.kind = IMAP_SECTION_HEADER};
    if (scope->level <= WIRE_LEVEL_FIELDS && scope->fields.n) {
        f->want_section.kind = IMAP_SECTION_FIELDS;
        f->want_section.fields = fields;
    }
    f->want.sections = &f->want_section;
    f->want.section_count = 1;
    if (f->watcher->session && session_fetch_room(f->watcher->session, &f->want) < FIELDS_ROOM) {
        f->want_section = (imap_section_want){.kind = IMAP_SECTION_HEADER}; /* so many names leave none for UIDs */
    }
    return &f->want;
}

static wire_strings words(wire_message *w, const char *text) {
    g_auto(GStrv) list = g_strsplit(text ? text : "", " ", -1);
    wire_strings out = {0};

    for (size_t i = 0; list[i]; i++) {
        if (*list[i] && g_utf8_validate(list[i], -1, NULL)) {
            wire_strings_add(w, &out, list[i]);
        }
    }
    return out;
}

static void fill_flags(wire_message *w, const imap_fetch *fetch) {
    for (size_t i = 0; i < fetch->flags.all.count; i++) {
        char *flag = imap_str_dup(fetch->flags.all.at[i]);
        if (flag && g_utf8_validate(flag, -1, NULL)) {
            wire_strings_add(w, &w->u.eval.flags, flag);
        }
        g_free(flag);
    }
}

static void fill_object_id(wire_message *w, const imap_fetch *fetch) {
    char text[32];

    if ((fetch->have & IMAP_HAVE_EMAIL_ID) && fetch->email_id.data) {
        w->u.eval.object_id = wire_strn(w, fetch->email_id.data, fetch->email_id.len);
    } else if (fetch->have & IMAP_HAVE_GM_MSGID) {
        g_snprintf(text, sizeof text, "%" G_GUINT64_FORMAT, fetch->gm_msgid);
        w->u.eval.object_id = wire_str(w, text);
    }
}

static wire_message *eval_new(struct message *m) {
    struct folder *f = m->folder;
    wire_message *w = wire_message_new(WIRE_EVAL);
    wire_eval *e = &w->u.eval;

    e->account = wire_str(w, f->account->name);
    g_autofree char *written = mailboxes_written(f->account->boxes, f->name);
    e->folder = wire_str(w, written);
    e->server_folder = wire_str(w, f->name);
    for (unsigned i = 0; f->roles[i]; i++) {
        wire_strings_add(w, &e->roles, f->roles[i]);
    }
    e->delimiter = mailboxes_delimiter(f->account->boxes);
    e->uid = m->uid;
    e->uidvalidity = m->uidvalidity;
    e->dry_run = message_keeper(m)->options->dry_run;
    e->event = m->event;
    e->event_id = wire_str(w, m->event_id);
    e->flags = words(w, m->flags);
    e->flags_added = words(w, m->flags_added);
    e->flags_removed = words(w, m->flags_removed);
    return w;
}

void message_fill_remains(struct message *m, const char *message_id) {
    wire_message *w = eval_new(m);
    g_autofree char *text = remains_of(message_id);

    w->u.eval.level = WIRE_LEVEL_RAW; /* there is no more */
    w->u.eval.data = wire_copy(w, text, strlen(text));
    wire_message_free(m->eval);
    m->eval = w;
}

void message_fill(struct message *m, const imap_fetch *fetch) {
    struct folder *f = m->folder;
    const char *const *ignored;
    const wire_scope_reply *scope = scope_of(f, m->event, &ignored);
    enum imap_section_kind kind =
        scope && scope->level <= WIRE_LEVEL_FIELDS && scope->fields.n ? IMAP_SECTION_FIELDS : IMAP_SECTION_HEADER;
    const session_info *info = session_info_get(f->watcher->session);
    wire_message *w = eval_new(m);
    wire_eval *e = &w->u.eval;
    const imap_section *section;

    e->size = fetch->size;
    e->internaldate = m->date = (fetch->have & IMAP_HAVE_DATE) ? fetch->date : 0;
    m->sizes_change = info && info->quirks->check_identity;
    if (m->event == WIRE_EVENT_NEW) {
        fill_flags(w, fetch);
    }
    fill_object_id(w, fetch);
    e->level = kind == IMAP_SECTION_FIELDS ? WIRE_LEVEL_FIELDS : WIRE_LEVEL_HEADER;
    if (e->level == WIRE_LEVEL_FIELDS) {
        e->fields = wire_strv(w, (const char *const *)scope->fields.v, scope->fields.n);
    }
    section = imap_fetch_section(fetch, "", kind);
    if (section && section->data.data) {
        e->data = wire_copy(w, section->data.data, section->data.len);
    } else {
        e->level = WIRE_LEVEL_NOTHING;
    }
    wire_message_free(m->eval);
    m->eval = w;
}
