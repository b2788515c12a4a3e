#include "cond_priv.h"

#include <string.h>

/* A reader fills values->present and raw, or the number; MAIL_NEED: need is filled. */
struct reading {
    struct cond_run *run;
    const struct cond_source *source;
    struct cond_values *values;
    mail_need need;
};

static void reserve(struct reading *r, size_t n) {
    r->values->raw = g_new0(struct cond_string, n ? n : 1);
    g_ptr_array_add(r->run->owned, r->values->raw);
}

static void add(struct reading *r, const char *s, size_t len) {
    r->values->raw[r->values->n++] = (struct cond_string){s, len};
}

static void add_owned(struct reading *r, char *s) {
    g_ptr_array_add(r->run->owned, s);
    add(r, s, strlen(s));
}

static void add_address(struct reading *r, const mail_address *a) {
    enum cond_aspect aspect = r->source->aspect;
    bool named = *a->name;

    if (aspect == ASPECT_DOMAIN) {
        add(r, a->domain, strlen(a->domain));
    } else if (aspect == ASPECT_ADDRESS) {
        add_owned(r, *a->domain ? g_strdup_printf("%s@%s", a->local, a->domain) : g_strdup(a->local));
    } else if (aspect == ASPECT_FULL && !named) {
        add(r, a->address, strlen(a->address));
    }
    if (aspect == ASPECT_WIDE) {
        add(r, a->address, strlen(a->address));
    }
    if (aspect == ASPECT_WIDE && named) {
        add(r, a->name, strlen(a->name));
    }
    if ((aspect == ASPECT_WIDE || aspect == ASPECT_FULL) && named) {
        add_owned(r, g_strdup_printf("%s <%s>", a->name, a->address));
    }
}

static enum mail_status read_addresses(struct reading *r) {
    const mail_address *list;
    size_t n;
    enum mail_status status = mail_view_addresses(r->run->job->view, r->source->field->query, &list, &n, &r->need);

    if (status == MAIL_OK && r->source->aspect != ASPECT_VALUE) {
        reserve(r, n * (r->source->aspect == ASPECT_WIDE ? 3 : 1));
        for (size_t i = 0; i < n; i++) {
            add_address(r, &list[i]);
        }
    }
    return status;
}

static void add_strings(struct reading *r, const mail_strings *list) {
    reserve(r, list->count);
    for (size_t i = 0; i < list->count; i++) {
        add(r, list->items[i], strlen(list->items[i]));
    }
}

static enum mail_status read_header(struct reading *r) {
    mail_strings list;
    enum mail_status status = mail_view_header(r->run->job->view, r->source->header, &list, &r->need);

    if (status == MAIL_OK) {
        add_strings(r, &list);
    }
    return status;
}

static enum mail_status read_one(struct reading *r) {
    const char *s = NULL;
    mail_view *view = r->run->job->view;
    enum mail_status status = r->source->field->query == MAIL_SUBJECT ? mail_view_subject(view, &s, &r->need)
                                                                      : mail_view_list_id(view, &s, &r->need);

    if (status == MAIL_OK) {
        reserve(r, 1);
        add(r, s, strlen(s));
    }
    return status;
}

/* text: what a person reads. body: that and the HTML it came from, so that links and hidden text are found too. */
static enum mail_status read_text(struct reading *r) {
    const mail_text *text = NULL, *html = NULL;
    mail_view *view = r->run->job->view;
    enum mail_status status = mail_view_text(view, &text, &r->need);

    if (status != MAIL_NEED && r->source->field->query == MAIL_HTML) {
        enum mail_status second = mail_view_html(view, &html, &r->need);
        status = second == MAIL_ABSENT ? status : second;
    }
    if (status == MAIL_OK) {
        reserve(r, 2);
        if (text) {
            add(r, text->text, text->len);
        }
        if (html) {
            add(r, html->text, html->len);
        }
    }
    return status;
}

static enum mail_status read_attachments(struct reading *r) {
    const mail_attachment *list;
    size_t n;
    enum mail_status status = mail_view_attachments(r->run->job->view, &list, &n, &r->need);
    bool names = r->source->field->query == MAIL_ATTACHMENTS;

    if (status == MAIL_OK) {
        reserve(r, n);
        for (size_t i = 0; i < n; i++) {
            const char *s = names ? list[i].filename : list[i].type;
            if (*s) {
                add(r, s, strlen(s));
            }
        }
        status = r->values->n || r->source->field->kind == FIELD_THING ? MAIL_OK : MAIL_ABSENT;
    }
    return status;
}

static enum mail_status read_flags(struct reading *r) {
    const wire_eval *eval = &r->run->job->eval->u.eval;
    const wire_strings *of[] = {
        [FLAGS_SET] = &eval->flags, [FLAGS_ADDED] = &eval->flags_added, [FLAGS_REMOVED] = &eval->flags_removed};
    const wire_strings *flags = of[r->source->field->flags];

    reserve(r, flags->n);
    for (size_t i = 0; i < flags->n; i++) {
        add(r, flags->v[i], strlen(flags->v[i]));
    }
    return MAIL_OK;
}

static enum mail_status read_size(struct reading *r) {
    r->values->number = r->run->job->eval->u.eval.size;
    return MAIL_OK;
}

/* Since it arrived here; of a file, which arrived nowhere, since it was written. */
static enum mail_status read_age(struct reading *r) {
    int64_t since = r->run->job->eval->u.eval.internaldate;
    mail_date date;

    if (!since) {
        enum mail_status status = mail_view_date(r->run->job->view, &date, &r->need);
        if (status != MAIL_OK) {
            return status;
        }
        since = date.epoch;
    }
    r->values->number = r->run->job->now > since ? (uint64_t)(r->run->job->now - since) * 1000 : 0;
    return MAIL_OK;
}

static enum mail_status read_class(struct reading *r) {
    mail_strings reasons;
    enum mail_status status = mail_view_class(r->run->job->view, r->source->field->query, &reasons, &r->need);

    if (status == MAIL_OK) {
        add_strings(r, &reasons);
    }
    return status;
}

static enum mail_status read_source(struct reading *r) {
    switch (r->source->field->kind) {
    case FIELD_ADDRESSES:
        return read_addresses(r);
    case FIELD_FLAGS:
        return read_flags(r);
    case FIELD_SIZE:
        return read_size(r);
    case FIELD_AGE:
        return read_age(r);
    case FIELD_CLASS:
        return read_class(r);
    case FIELD_THING:
        return read_attachments(r);
    case FIELD_STRINGS:
        break;
    }
    if (r->source->header) {
        return read_header(r);
    }
    if (r->source->field->rank == RANK_TEXT) {
        return read_text(r);
    }
    return r->source->field->rank == RANK_STRUCTURE ? read_attachments(r) : read_one(r);
}

bool cond_values_read(struct cond_run *run, const struct cond_source *source, struct cond_values **values_out) {
    struct reading r = {.run = run, .source = source, .values = &run->values[source->id]};

    *values_out = r.values;
    if (r.values->read) {
        return true;
    }
    enum mail_status status = read_source(&r);
    if (status == MAIL_NEED) {
        run->job->need = job_need_mail(run->job, &r.need);
        return false;
    }
    r.values->read = true;
    r.values->present = status == MAIL_OK;
    return true;
}

bool cond_values_fold(struct cond_run *run, const struct cond_source *source, struct cond_values **values_out) {
    if (!cond_values_read(run, source, values_out)) {
        return false;
    }
    struct cond_values *v = *values_out;
    if (!v->folded) {
        v->fold = g_new0(struct cond_string, v->n + 1);
        g_ptr_array_add(run->owned, v->fold);
        for (unsigned i = 0; i < v->n; i++) {
            char *s = match_fold(v->raw[i].s, v->raw[i].len, &v->fold[i].len);
            v->fold[i].s = s;
            g_ptr_array_add(run->owned, s);
        }
        v->folded = true;
    }
    return true;
}
