/* Commands about mailboxes, NOTIFY among them. */
#include "build_priv.h"

#include "imap/mailbox.h"

#include <string.h>

struct bit_name {
    uint32_t bit;
    const char *name;
};

/* "A B C" for the bits set; false if there were none. */
static bool put_bits(build *b, uint32_t bits, const struct bit_name *names, size_t n) {
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        if (bits & names[i].bit) {
            put_text(b, any ? " " : "");
            put_text(b, names[i].name);
            any = true;
        }
    }
    return any;
}

static void put_status_items(build *b, uint32_t items) {
    static const struct bit_name names[] = {
        {IMAP_STATUS_MESSAGES, "MESSAGES"},
        {IMAP_STATUS_UIDNEXT, "UIDNEXT"},
        {IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY"},
        {IMAP_STATUS_UNSEEN, "UNSEEN"},
        {IMAP_STATUS_RECENT, "RECENT"},
        {IMAP_STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ"},
        {IMAP_STATUS_SIZE, "SIZE"},
        {IMAP_STATUS_DELETED, "DELETED"},
        {IMAP_STATUS_MAILBOXID, "MAILBOXID"},
        {IMAP_STATUS_APPENDLIMIT, "APPENDLIMIT"},
    };

    put_text(b, "(");
    if (!put_bits(b, items, names, G_N_ELEMENTS(names))) {
        build_refuse(b, "no status items");
    }
    put_text(b, ")");
}

static void put_list_returns(build *b, const imap_list_options *options) {
    static const struct bit_name names[] = {
        {IMAP_RETURN_SPECIAL_USE, "SPECIAL-USE"},
        {IMAP_RETURN_SUBSCRIBED, "SUBSCRIBED"},
        {IMAP_RETURN_CHILDREN, "CHILDREN"},
    };

    if (!options->returns && !options->status) {
        return;
    }
    put_text(b, " RETURN (");
    bool any = put_bits(b, options->returns, names, G_N_ELEMENTS(names));
    if (options->status) {
        put_text(b, any ? " STATUS " : "STATUS ");
        put_status_items(b, options->status);
    }
    put_text(b, ")");
}

/* Several patterns are a list; a name with a wildcard in it would be one. */
static void put_names(build *b, const char *const *names) {
    put_text(b, "(");
    for (size_t i = 0; names[i]; i++) {
        if (strpbrk(names[i], "*%")) {
            build_refuse(b, "a wildcard in a mailbox name");
        }
        put_text(b, i ? " " : "");
        put_pattern(b, names[i]);
    }
    if (!names[0]) {
        build_refuse(b, "no mailbox names");
    }
    put_text(b, ")");
}

error *imap_command_list(imap_writer *w, const char *reference, const char *pattern, const imap_list_options *options,
                         imap_command **command_out) {
    build *b = build_start(w, "LIST");
    bool extended = options && options->extended;

    if (extended && (options->select_special_use || options->select_subscribed)) {
        put_text(b, !options->select_special_use ? " (SUBSCRIBED)"
                    : options->select_subscribed ? " (SPECIAL-USE SUBSCRIBED)"
                                                 : " (SPECIAL-USE)");
    }
    put_text(b, " ");
    put_pattern(b, reference);
    put_text(b, " ");
    if (extended && options->names) {
        put_names(b, options->names);
    } else {
        put_pattern(b, pattern);
    }
    if (extended) {
        put_list_returns(b, options);
    }
    return build_finish(b, command_out);
}

error *imap_command_status(imap_writer *w, const char *mailbox, uint32_t items, imap_command **command_out) {
    build *b = build_start(w, "STATUS");

    put_text(b, " ");
    put_mailbox(b, mailbox);
    put_text(b, " ");
    put_status_items(b, items);
    return build_finish(b, command_out);
}

/* One select-param at most: some servers read a second one as the next command. QRESYNC implies CONDSTORE. */
static error *choose(imap_writer *w, const char *verb, const char *mailbox, const imap_select_options *options,
                     imap_command **out) {
    build *b = build_start(w, verb);

    put_text(b, " ");
    put_mailbox(b, mailbox);
    if (options && options->qresync_uidvalidity) {
        if (!options->qresync_modseq) {
            build_refuse(b, "QRESYNC without a mod-sequence");
        }
        put_text(b, " (QRESYNC (");
        put_number(b, options->qresync_uidvalidity);
        put_text(b, " ");
        put_number(b, options->qresync_modseq);
        if (options->qresync_known) {
            put_text(b, " ");
            put_set(b, options->qresync_known);
        }
        put_text(b, "))");
    } else if (options && options->condstore) {
        put_text(b, " (CONDSTORE)");
    }
    return build_finish(b, out);
}

error *imap_command_select(imap_writer *w, const char *mailbox, const imap_select_options *options,
                           imap_command **command_out) {
    return choose(w, "SELECT", mailbox, options, command_out);
}

error *imap_command_examine(imap_writer *w, const char *mailbox, const imap_select_options *options,
                            imap_command **command_out) {
    return choose(w, "EXAMINE", mailbox, options, command_out);
}

static error *on_mailbox(imap_writer *w, const char *verb, const char *mailbox, imap_command **out) {
    build *b = build_start(w, verb);

    put_text(b, " ");
    put_mailbox(b, mailbox);
    return build_finish(b, out);
}

error *imap_command_create(imap_writer *w, const char *mailbox, uint32_t special_use, imap_command **command_out) {
    const char *use = imap_special_use_name(special_use);
    build *b = build_start(w, "CREATE");

    put_text(b, " ");
    put_mailbox(b, mailbox);
    if (special_use && !use) {
        build_refuse(b, "not a special use");
    } else if (use) {
        put_text(b, " (USE (");
        put_text(b, use);
        put_text(b, "))");
    }
    return build_finish(b, command_out);
}

error *imap_command_delete(imap_writer *w, const char *mailbox, imap_command **command_out) {
    return on_mailbox(w, "DELETE", mailbox, command_out);
}

error *imap_command_subscribe(imap_writer *w, const char *mailbox, imap_command **command_out) {
    return on_mailbox(w, "SUBSCRIBE", mailbox, command_out);
}

/* ---- NOTIFY (RFC 5465) ---- */

static void put_selected_group(build *b, const imap_notify *notify) {
    put_text(b, notify->delayed ? " (selected-delayed (MessageNew" : " (selected (MessageNew");
    if (notify->selected_want) {
        put_text(b, " ");
        put_fetch_items(b, notify->selected_want, true);
    }
    put_text(b, notify->flag_changes ? " MessageExpunge FlagChange))" : " MessageExpunge))");
}

/* Every event group but the selected mailbox's: "mailboxes (a b)" or "personal". */
static void put_other_group(build *b, const imap_notify *notify, bool messages, bool names) {
    if (messages && !notify->personal) {
        put_text(b, " (mailboxes (");
        for (size_t i = 0; notify->mailboxes[i]; i++) {
            put_text(b, i ? " " : "");
            put_mailbox(b, notify->mailboxes[i]);
        }
        put_text(b, ") (");
    } else {
        put_text(b, " (personal (");
    }
    if (messages) {
        put_text(b,
                 notify->mailbox_flag_changes ? "MessageNew MessageExpunge FlagChange" : "MessageNew MessageExpunge");
    }
    put_text(b, !names ? "))" : messages ? " MailboxName))" : "MailboxName))");
}

error *imap_command_notify(imap_writer *w, const imap_notify *notify, imap_command **command_out) {
    bool others = notify->personal || (notify->mailboxes && notify->mailboxes[0]);
    bool apart = notify->names && !(others && notify->personal);
    build *b = build_start(w, "NOTIFY SET");

    put_text(b, notify->status ? " STATUS" : "");
    if (notify->selected) {
        put_selected_group(b, notify);
    }
    if (others) {
        put_other_group(b, notify, true, notify->names && notify->personal);
    }
    if (apart) {
        put_other_group(b, notify, false, true);
    }
    if (!notify->selected && !others && !notify->names) {
        build_refuse(b, "nothing to be notified of");
    }
    return build_finish(b, command_out);
}
