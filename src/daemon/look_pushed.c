/*
 * New mail whose data came without a look: pushed by the server, or asked for together with SELECT.
 */
#include "look_priv.h"

/*
 * Only the very next UID: between it and the cursor there is nothing to have been missed. Anything else is a hint to
 * look, as is news of a folder that is being looked at or has no room.
 */
bool look_pushed(struct folder *f, const imap_fetch *fetch) {
    const session_folder *now = folder_session(f) ? session_selected(folder_session(f)) : NULL;
    const imap_fetch_want *want;

    if (!now || !f->scope || !f->cursor_known || f->settling || f->look || f->starved || f->not_before ||
        f->cursor.uidvalidity != f->uidvalidity || fetch->uid != f->cursor.last_uid + 1 ||
        !account_has_room(f->account)) {
        return false;
    }
    want = message_want(f, WIRE_EVENT_NEW);
    if ((want->items & ~fetch->have) ||
        (want->section_count && !imap_fetch_section(fetch, "", want->sections[0].kind))) {
        return false;
    }
    struct chunk *c = look_chunk_new(look_new(f));
    c->from = c->last = fetch->uid;
    look_chunk_take_in(c, fetch);
    look_chunk_arrive(c);
    return true;
}

/*
 * The server has told that there is something above the cursor of a folder that is about to be selected: SELECT and
 * FETCH leave in one write. If the folder turns out to be another one, nothing of the answer is delivered.
 */
void look_ahead(struct folder *f) {
    struct chunk *c;

    if (f->look || !f->scope || !f->cursor_known || !f->cursor.uidvalidity || f->settling || f->poison ||
        !f->resumed || !account_has_room(f->account)) {
        return;
    }
    c = look_chunk_new(look_new(f));
    c->from = f->cursor.last_uid + 1;
    session_fetch_from(f->watcher->session, c->from, message_want(f, WIRE_EVENT_NEW),
                       &(session_call){.done = look_chunk_fetched, .data = look_chunk_delivered, .user = c,
                                       .ahead = true, .uidvalidity = f->cursor.uidvalidity});
}
