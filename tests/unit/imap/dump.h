/*
 * dump.h - responses as text, so that two ways of feeding the same bytes can be compared and expectations read well.
 *
 * One line a response: "FETCH seq=1 uid=5 flags=(\Seen)". Absent things are left out.
 */
#ifndef TESTS_IMAP_DUMP_H
#define TESTS_IMAP_DUMP_H

#include "base/text.h"
#include "imap/parser.h"

static inline void dump_str(GString *out, const char *name, imap_str s) {
    if (s.data) {
        g_string_append_printf(out, " %s=\"", name);
        text_append_escaped(out, s.data, (gssize)s.len);
        g_string_append_c(out, '"');
    }
}

static inline void dump_ranges(GString *out, const char *name, imap_ranges ranges) {
    g_string_append_printf(out, " %s=", name);
    for (size_t i = 0; i < ranges.count; i++) {
        imap_range r = ranges.at[i];
        g_string_append_printf(out, r.low == r.high ? "%s%u" : "%s%u:%u", i ? "," : "", r.low, r.high);
    }
}

static inline void dump_strs(GString *out, const char *name, imap_strs strs) {
    g_string_append_printf(out, " %s=(", name);
    for (size_t i = 0; i < strs.count; i++) {
        g_string_append(out, i ? " " : "");
        if (strs.at[i].data) {
            text_append_escaped(out, strs.at[i].data, (gssize)strs.at[i].len);
        } else {
            g_string_append(out, "NIL");
        }
    }
    g_string_append_c(out, ')');
}

static inline void dump_flags(GString *out, const imap_flags *flags) {
    dump_strs(out, "flags", flags->all);
    g_string_append(out, flags->any ? " any" : "");
}

static inline void dump_caps(GString *out, const imap_capabilities *caps) {
    char *text = imap_capabilities_format(caps);

    g_string_append_printf(out, " caps=(%s)", text);
    g_free(text);
}

static inline void dump_number(GString *out, const char *name, bool have, uint64_t n) {
    if (have) {
        g_string_append_printf(out, " %s=%" G_GUINT64_FORMAT, name, n);
    } else if (n) {
        g_string_append_printf(out, " %s!=%" G_GUINT64_FORMAT, name, n); /* absent, yet a value: must never show */
    }
}

static inline void dump_code(GString *out, const imap_code *code) {
    if (code->name == IMAP_CODE_NONE) {
        return;
    }
    g_string_append_printf(out, " [%s", imap_code_text(code->name));
    if (code->name == IMAP_CODE_OTHER) {
        dump_str(out, "word", code->word);
    }
    dump_str(out, "arg", code->argument);
    g_string_append(out, code->valid ? "" : " invalid");
    switch (code->name) {
    case IMAP_CODE_APPENDUID:
    case IMAP_CODE_COPYUID:
        dump_number(out, "validity", code->valid, code->uids.validity);
        dump_ranges(out, "source", code->uids.source);
        dump_ranges(out, "target", code->uids.target);
        break;
    case IMAP_CODE_PERMANENTFLAGS:
        dump_flags(out, &code->flags);
        break;
    case IMAP_CODE_CAPABILITY:
        dump_caps(out, &code->caps);
        break;
    case IMAP_CODE_MODIFIED:
        dump_ranges(out, "set", code->set);
        break;
    default:
        dump_number(out, "n", code->number > 0, code->number);
        break;
    }
    g_string_append_c(out, ']');
}

static inline void dump_params(GString *out, const char *name, imap_params params) {
    for (size_t i = 0; i < params.count; i++) {
        g_string_append_printf(out, " %s", name);
        dump_str(out, "name", params.at[i].name);
        dump_str(out, "value", params.at[i].value);
    }
}

static inline void dump_structure(GString *out, const imap_structure *s) {
    if (!s->usable) {
        g_string_append_printf(out, " structure unusable: %s", s->reason ? s->reason : "(no reason)");
    }
    for (size_t i = 0; i < s->count; i++) {
        const imap_part *p = &s->parts[i];
        g_string_append_printf(out, "\n    part %zu of %d depth %u%s%s", i, p->parent, p->depth,
                               p->multipart ? " multipart" : "", p->message ? " message" : "");
        dump_str(out, "section", p->section);
        dump_str(out, "type", p->type);
        dump_str(out, "subtype", p->subtype);
        dump_params(out, "param", p->params);
        dump_str(out, "id", p->id);
        dump_str(out, "description", p->description);
        dump_str(out, "encoding", p->encoding);
        dump_number(out, "size", p->has_size, p->size);
        dump_str(out, "disposition", p->disposition);
        dump_params(out, "dparam", p->disposition_params);
    }
}

static inline void dump_fetch(GString *out, const imap_fetch *f) {
    dump_number(out, "seq", f->seq > 0, f->seq);
    dump_number(out, "uid", f->uid > 0, f->uid);
    if (f->have & IMAP_HAVE_FLAGS) {
        dump_flags(out, &f->flags);
    }
    if (f->have & IMAP_HAVE_DATE) {
        g_string_append_printf(out, " date=%" G_GINT64_FORMAT, f->date);
    }
    if (f->have & IMAP_HAVE_SAVE_DATE) {
        g_string_append_printf(out, " saved=%" G_GINT64_FORMAT, f->save_date);
    }
    dump_number(out, "size", f->have & IMAP_HAVE_SIZE, f->size);
    dump_number(out, "modseq", f->have & IMAP_HAVE_MODSEQ, f->modseq);
    dump_number(out, "msgid", f->have & IMAP_HAVE_GM_MSGID, f->gm_msgid);
    dump_number(out, "thrid", f->have & IMAP_HAVE_GM_THRID, f->gm_thrid);
    dump_str(out, "emailid", f->email_id);
    dump_str(out, "threadid", f->thread_id);
    if (f->have & IMAP_HAVE_GM_LABELS) {
        dump_strs(out, "labels", f->gm_labels);
    }
    dump_str(out, "envelope", f->envelope);
    if (f->have & IMAP_HAVE_STRUCTURE) {
        dump_structure(out, &f->structure);
    }
    for (size_t i = 0; i < f->section_count; i++) {
        const imap_section *s = &f->sections[i];
        g_string_append_printf(out, " section kind=%d%s%s", s->kind, s->binary ? " binary" : "",
                               s->is_size ? " is_size" : "");
        dump_str(out, "part", s->part);
        dump_str(out, "spec", s->spec);
        dump_number(out, "origin", s->has_origin || s->is_size, s->origin);
        dump_str(out, "data", s->data);
    }
}

static inline void dump_search(GString *out, const imap_search *s) {
    dump_str(out, "tag", s->tag);
    g_string_append(out, s->uid ? " uid" : "");
    g_string_append(out, s->valid ? "" : " invalid");
    dump_ranges(out, "found", s->found);
    dump_number(out, "min", s->min > 0, s->min);
    dump_number(out, "max", s->max > 0, s->max);
    dump_number(out, "count", s->has_count, s->count);
    dump_number(out, "modseq", s->modseq > 0, s->modseq);
}

static inline void dump_status(GString *out, const imap_status *s) {
    dump_str(out, "name", s->name);
    dump_number(out, "messages", s->have & IMAP_STATUS_MESSAGES, s->messages);
    dump_number(out, "uidnext", s->have & IMAP_STATUS_UIDNEXT, s->uidnext);
    dump_number(out, "uidvalidity", s->have & IMAP_STATUS_UIDVALIDITY, s->uidvalidity);
    dump_number(out, "unseen", s->have & IMAP_STATUS_UNSEEN, s->unseen);
    dump_number(out, "recent", s->have & IMAP_STATUS_RECENT, s->recent);
    dump_number(out, "deleted", s->have & IMAP_STATUS_DELETED, s->deleted);
    dump_number(out, "modseq", s->have & IMAP_STATUS_HIGHESTMODSEQ, s->highestmodseq);
    dump_number(out, "size", s->have & IMAP_STATUS_SIZE, s->size);
    dump_number(out, "appendlimit", s->have & IMAP_STATUS_APPENDLIMIT, s->append_limit);
    dump_str(out, "id", s->mailbox_id);
}

static inline void dump_data(GString *out, const imap_response *r) {
    switch (r->kind) {
    case IMAP_CAPABILITY:
    case IMAP_ENABLED:
        dump_caps(out, &r->caps);
        break;
    case IMAP_FLAGS:
        dump_flags(out, &r->flags);
        break;
    case IMAP_EXISTS:
    case IMAP_RECENT:
    case IMAP_EXPUNGE:
        dump_number(out, "n", true, r->number);
        break;
    case IMAP_VANISHED:
        g_string_append(out, r->vanished.earlier ? " earlier" : "");
        g_string_append(out, r->vanished.valid ? "" : " invalid");
        dump_ranges(out, "uids", r->vanished.uids);
        break;
    case IMAP_FETCH:
        dump_fetch(out, &r->fetch);
        break;
    case IMAP_LIST:
    case IMAP_LSUB:
        g_string_append_printf(out, " attrs=%x delimiter=%c", r->list.attrs,
                               r->list.delimiter ? r->list.delimiter : '0');
        dump_str(out, "name", r->list.name);
        dump_str(out, "old", r->list.old_name);
        break;
    case IMAP_STATUS:
        dump_status(out, &r->status);
        break;
    case IMAP_SEARCH:
    case IMAP_ESEARCH:
        dump_search(out, &r->search);
        break;
    case IMAP_ID:
        dump_strs(out, "pairs", r->pairs);
        break;
    case IMAP_NAMESPACE:
        for (size_t i = 0; i < r->namespaces.count; i++) {
            const imap_namespace *n = &r->namespaces.at[i];
            g_string_append_printf(out, " %d:%c", n->kind, n->delimiter ? n->delimiter : '0');
            dump_str(out, "prefix", n->prefix);
        }
        break;
    default:
        break;
    }
}

static inline void dump_response(GString *out, const imap_response *r) {
    g_string_append(out, imap_kind_name(r->kind));
    if (r->kind == IMAP_TAGGED || r->kind == IMAP_CONDITION) {
        g_string_append_printf(out, " %s", imap_condition_name(r->condition));
    }
    dump_str(out, "tag", r->tag);
    dump_code(out, &r->code);
    dump_data(out, r);
    dump_str(out, "raw", r->raw);
    if (r->reason) {
        g_string_append_printf(out, " reason: %s", r->reason);
    }
    dump_str(out, "text", r->text);
    g_string_append_c(out, '\n');
}

/* All that the parser says when fed `step` bytes at a time (0 = all at once): the responses, then "MORE n" if n bytes
 * are left over, or "BAD text". */
static inline void dump_stream(GString *out, const char *bytes, size_t len, size_t step, const struct limits *limits) {
    imap_parser *parser = imap_parser_new(limits);
    const imap_response *response;
    enum imap_got got = IMAP_MORE;
    error *err = NULL;

    for (size_t at = 0; at < len && got != IMAP_BAD;) {
        size_t n = step && step < len - at ? step : len - at;
        imap_parser_feed(parser, bytes + at, n);
        at += n;
        while ((got = imap_parser_next(parser, &response, &err)) == IMAP_HAVE) {
            dump_response(out, response);
        }
    }
    if (got == IMAP_BAD) {
        g_string_append_printf(out, "BAD %s: %s\n", error_code_name(err->code), err->text);
    } else if (imap_parser_pending(parser)) {
        g_string_append_printf(out, "MORE %zu\n", imap_parser_pending(parser));
    }
    error_free(err);
    imap_parser_free(parser);
}

#endif
