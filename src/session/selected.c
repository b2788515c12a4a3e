#include "session_priv.h"

selected *selected_new(const char *name) {
    selected *f = g_new0(selected, 1);

    f->name = g_strdup(name);
    f->pub.name = f->name;
    return f;
}

void selected_free(selected *f) {
    if (f) {
        g_free(f->name);
        g_strfreev(f->permanent);
        g_free(f);
    }
}

static void set_flags(selected *f, const imap_flags *flags) {
    g_strfreev(f->permanent);
    f->permanent = g_new0(char *, flags->all.count + 1);
    for (size_t i = 0; i < flags->all.count; i++) {
        f->permanent[i] = imap_str_dup(flags->all.at[i]);
    }
    f->pub.permanent = (const char *const *)f->permanent;
}

static bool learn_code(selected *f, const imap_code *code) {
    switch (code->name) {
    case IMAP_CODE_UIDVALIDITY:
        f->pub.uidvalidity = code->valid ? (uint32_t)code->number : 0;
        return true;
    case IMAP_CODE_UIDNEXT:
        f->pub.uidnext = code->valid ? (uint32_t)code->number : f->pub.uidnext;
        return true;
    case IMAP_CODE_HIGHESTMODSEQ:
        f->pub.highestmodseq = code->valid ? code->number : f->pub.highestmodseq;
        return true;
    case IMAP_CODE_NOMODSEQ:
        f->pub.highestmodseq = 0;
        return true;
    case IMAP_CODE_PERMANENTFLAGS:
        if (code->valid) {
            set_flags(f, &code->flags);
            f->pub.any_keyword = code->flags.any;
            f->permanent_told = true;
        }
        return true;
    case IMAP_CODE_READ_ONLY:
        f->pub.read_only = true;
        return true;
    case IMAP_CODE_READ_WRITE:
        f->pub.read_only = false;
        return true;
    case IMAP_CODE_UNSEEN:
        return true;
    default:
        return false;
    }
}

bool selected_learn(selected *f, const imap_response *r) {
    switch (r->kind) {
    case IMAP_FLAGS:
        if (!f->permanent_told) {
            set_flags(f, &r->flags);
        }
        return true;
    case IMAP_EXISTS:
        f->pub.exists = r->number;
        return true;
    case IMAP_RECENT:
        return true;
    case IMAP_TAGGED:
    case IMAP_CONDITION:
        return r->condition == IMAP_OK && learn_code(f, &r->code);
    default:
        return false;
    }
}
