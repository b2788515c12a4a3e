#include "session_priv.h"

/* ---- trace: what came, without anything a person wrote in a mail ---- */

static void trace(const session *s, const imap_response *r) {
    if (!log_enabled(&s->log, LOG_LEVEL_DEBUG)) {
        return;
    }
    g_autofree char *words = refusal_words(r->text);
    switch (r->kind) {
    case IMAP_TAGGED:
        log_debug(&s->log, "< %.*s %s [%s] %s", (int)r->tag.len, r->tag.data, imap_condition_name(r->condition),
                  imap_code_text(r->code.name), words);
        break;
    case IMAP_CONDITION:
        log_debug(&s->log, "< * %s [%s] %s", imap_condition_name(r->condition), imap_code_text(r->code.name), words);
        break;
    case IMAP_FETCH:
        log_debug(&s->log, "< * %u FETCH uid=%u sections=%zu", r->fetch.seq, r->fetch.uid, r->fetch.section_count);
        break;
    case IMAP_EXISTS:
    case IMAP_EXPUNGE:
        log_debug(&s->log, "< * %u %s", r->number, imap_kind_name(r->kind));
        break;
    case IMAP_UNKNOWN:
        log_debug(&s->log, "< * (ignored: %s)", r->reason ? r->reason : "unknown");
        break;
    default:
        log_debug(&s->log, "< %s", imap_kind_name(r->kind));
    }
}

/* ---- the folder's own news ---- */

/* Another SELECT was made meanwhile: what is still said of this folder interests nobody. */
static bool is_left(const session *s) {
    return s->generation != s->generations;
}

static void told_exists(session *s, const imap_response *r) {
    uint32_t before;

    if (!s->folder) {
        return;
    }
    before = s->folder->pub.exists;
    s->folder->pub.exists = r->number;
    if (!is_left(s)) {
        session_tell(s, exists, r->number, r->number > before);
    }
}

static void told_expunge(session *s, const imap_response *r) {
    const imap_ranges nothing = {NULL, 0};

    if (!s->folder) {
        return;
    }
    s->folder->pub.exists -= s->folder->pub.exists > 0; /* too low is safe: what comes then looks like more */
    if (!is_left(s)) {
        session_tell(s, gone, nothing, false);
    }
}

static void told_vanished(session *s, const imap_response *r) {
    const imap_ranges nothing = {NULL, 0};
    const imap_vanished *v = &r->vanished;

    if (s->folder && v->valid && !v->earlier) {
        uint64_t n = imap_ranges_size(v->uids);
        s->folder->pub.exists -= (uint32_t)MIN(n, s->folder->pub.exists);
    }
    if (v->earlier || !is_left(s)) {
        session_tell(s, gone, v->valid ? v->uids : nothing, v->earlier);
    }
}

static void told_fetch(session *s, const imap_response *r) {
    if (!is_left(s) || !s->folder) {
        session_tell(s, fetch, &r->fetch);
    }
}

static void told_status(session *s, const imap_response *r) {
    g_autofree char *name = NULL;
    bool usable = session_decode_name(s, r->status.name, s->info.delimiter, &name);

    session_tell(s, status, usable ? name : NULL, &r->status);
}

static void told_list(session *s, const imap_response *r) {
    g_autofree char *name = NULL;
    bool usable = session_decode_name(s, r->list.name, r->list.delimiter, &name);

    session_tell(s, list, usable ? name : NULL, &r->list);
}

static void told_flags(session *s, const imap_response *r) {
    if (s->folder) {
        selected_learn(s->folder, r);
    }
}

/* ---- conditions ---- */

/* Codes that say something to the owner, on tagged and untagged answers alike. */
static void told_code(session *s, const imap_response *r) {
    enum session_notice notice;

    if (r->code.name == IMAP_CODE_ALERT) {
        notice = SESSION_NOTICE_ALERT;
    } else if (r->code.name == IMAP_CODE_NOTIFICATIONOVERFLOW) {
        notice = SESSION_NOTICE_NOTIFY_OVERFLOW;
    } else if (r->condition == IMAP_OK && (r->code.name == IMAP_CODE_THROTTLED || refusal_is_throttle(r->text))) {
        notice = SESSION_NOTICE_THROTTLED;
        session_pace_slow_down(s->pace, session_now(s));
    } else {
        return;
    }
    g_autofree char *words = refusal_words(r->text);
    session_tell(s, notice, notice, words);
}

/* A folder that is a new one under our hands: no UID known before means anything any more. */
static bool uidvalidity_changed(session *s, const imap_response *r) {
    return s->folder && r->code.name == IMAP_CODE_UIDVALIDITY &&
           (!r->code.valid || r->code.number != s->folder->pub.uidvalidity);
}

static void told_condition(session *s, const imap_response *r) {
    if (r->condition == IMAP_BYE) {
        if (s->state == SESSION_LOGOUT) {
            return;
        }
        if (s->idle == IDLE_ON) {
            idle_hung_up(s, s->quiet_before);
        }
        session_fail(s, bye_error(r, s->state == SESSION_LOGIN));
        return;
    }
    if (uidvalidity_changed(s, r)) {
        session_fail(s, error_new(ERROR_NETWORK, "UIDVALIDITY of %s changed while it was selected", s->folder->name));
        return;
    }
    if (s->folder) {
        selected_learn(s->folder, r);
    }
    told_code(s, r);
}

/* ---- to where it belongs ---- */

static void (*const told[IMAP_KINDS])(session *s, const imap_response *r) = {
    [IMAP_CONDITION] = told_condition, [IMAP_EXISTS] = told_exists, [IMAP_EXPUNGE] = told_expunge,
    [IMAP_VANISHED] = told_vanished,   [IMAP_FETCH] = told_fetch,   [IMAP_STATUS] = told_status,
    [IMAP_LIST] = told_list,           [IMAP_FLAGS] = told_flags,
};

static void answer_tagged(session *s, const imap_response *r) {
    exchange *x = exchange_by_tag(s, r->tag);

    if (!x) {
        g_autofree char *tag = refusal_words(r->tag);
        session_fail(s, error_new(ERROR_PROTOCOL, "the server answered %s, which was not sent", tag));
        return;
    }
    told_code(s, r);
    if (session_alive(s)) {
        exchange_answered(s, x, r);
    }
}

/* The oldest command that wants it gets it. BYE and [UIDVALIDITY] of an open folder go to nobody. */
static bool claimed(session *s, const imap_response *r) {
    for (GList *at = s->flight.head; at; at = at->next) {
        exchange *x = at->data;
        if (x->type->barrier && at != s->flight.head) {
            break; /* what comes is still of the time before it */
        }
        if (x->type->claim && x->type->claim(s, x, r)) {
            return true;
        }
    }
    return false;
}

void session_answer(session *s, const imap_response *r) {
    trace(s, r);
    if (r->kind == IMAP_TAGGED) {
        answer_tagged(s, r);
    } else if (r->kind == IMAP_CONTINUATION) {
        exchange_continue(s, r);
    } else if (!claimed(s, r) && told[r->kind]) {
        told[r->kind](s, r);
    }
}
