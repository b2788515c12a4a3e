#include "action_priv.h"
#include "lib_priv.h"

#include "base/text.h"

#include <string.h>

enum part_kind {
    PART_TEXT,
    PART_CAPTURE,
    PART_DATE,
    PART_ADDRESS,
    PART_SUBJECT,
    PART_LIST_ID,
    PART_ACCOUNT,
    PART_FOLDER
};
enum address_part { ADDRESS_WHOLE, ADDRESS_NAME, ADDRESS_LOCAL, ADDRESS_DOMAIN };

struct part {
    enum part_kind kind;
    char *text;         /* literal text, name as written, without "${}" */
    const char *format; /* DATE */
    enum mail_query query;
    enum address_part address;
};

struct template {
    enum template_use use;
    GArray *parts;
};

static void clear_part(gpointer data) {
    g_free(((struct part *)data)->text);
}

void template_free(struct template *template) {
    if (template) {
        g_array_unref(template->parts);
        g_free(template);
    }
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum part_kind kind;
    const char *format;
} names[] = {
    {"year", PART_DATE, "%Y"},       {"month", PART_DATE, "%m"},      {"day", PART_DATE, "%d"},
    {"date", PART_DATE, "%Y-%m-%d"}, {"subject", PART_SUBJECT, NULL}, {"list_id", PART_LIST_ID, NULL},
    {"account", PART_ACCOUNT, NULL}, {"folder", PART_FOLDER, NULL},
};
static const struct {
    const char *name;
    enum mail_query query;
} addresses[] = {
    {"from", MAIL_FROM}, {"to", MAIL_TO}, {"cc", MAIL_CC}, {"recipient", MAIL_RECIPIENT}, {"reply_to", MAIL_REPLY_TO}};
static const char *const address_parts[] = {
    [ADDRESS_WHOLE] = "", [ADDRESS_NAME] = ".name", [ADDRESS_LOCAL] = ".local", [ADDRESS_DOMAIN] = ".domain"};
static const char *const known_names[] = {
    "year",        "month",     "day",        "date", "subject",   "list_id",  "account",   "folder",           "from",
    "from.domain", "from.name", "from.local", "to",   "to.domain", "to.local", "recipient", "recipient.domain", NULL};

static error *check_format(const char *format) {
    for (const char *p = format; (p = strchr(p, '%')) != NULL; p += 2) {
        if (!p[1] || !strchr("YmdHMSybBaAjVGu%", p[1])) {
            return error_new(ERROR_CONFIG, "date format \"%s\": %%%.1s is not known", format, p + 1);
        }
    }
    return NULL;
}

static bool name_address(struct part *part) {
    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
        size_t len = strlen(addresses[i].name);
        for (size_t k = 0; k < G_N_ELEMENTS(address_parts) && strncmp(part->text, addresses[i].name, len) == 0; k++) {
            if (strcmp(part->text + len, address_parts[k]) == 0) {
                part->kind = PART_ADDRESS;
                part->query = addresses[i].query;
                part->address = (enum address_part)k;
                return true;
            }
        }
    }
    return false;
}

static error *name_part(struct part *part) {
    if (g_str_has_prefix(part->text, "date:")) {
        part->kind = PART_DATE;
        part->format = part->text + 5;
        return check_format(part->format);
    }
    part->kind = PART_CAPTURE;
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(names[i].name, part->text) == 0) {
            part->kind = names[i].kind;
            part->format = names[i].format;
            return NULL;
        }
    }
    name_address(part);
    return NULL;
}

/* --- parsing ----------------------------------------------------------------------------------------------------- */

static void add_text(struct template *template, GString *text) {
    struct part part = {.kind = PART_TEXT};

    if (text->len) {
        part.text = g_strdup(text->str);
        g_array_append_val(template->parts, part);
        g_string_truncate(text, 0);
    }
}

static error *parse_parts(struct template *template, const char *s, GString *text) {
    while (*s) {
        if (s[0] != '$' || (s[1] != '$' && s[1] != '{')) {
            g_string_append_c(text, *s++);
            continue;
        }
        if (s[1] == '$') {
            g_string_append_c(text, '$');
            s += 2;
            continue;
        }
        const char *end = strchr(s, '}');
        if (!end || end == s + 2) {
            return error_new(ERROR_CONFIG, end ? "\"${}\" names nothing" : "\"${\" without \"}\"");
        }
        add_text(template, text);
        struct part part = {.text = g_strndup(s + 2, (gsize)(end - s - 2))};
        error *err = name_part(&part);
        g_array_append_val(template->parts, part);
        if (err) {
            return err;
        }
        s = end + 1;
    }
    add_text(template, text);
    return NULL;
}

static const char *refused_level(const char *folder) {
    g_auto(GStrv) levels = g_strsplit(folder, "/", -1);

    for (size_t i = 0; levels[i]; i++) {
        if (strcmp(levels[i], ".") == 0 || strcmp(levels[i], "..") == 0) {
            return "has a level \".\" or \"..\"";
        }
    }
    return NULL;
}

static const char *why_invalid(const struct template *template, const char *s) {
    const char *why = template->use == TEMPLATE_FLAG ? valid_flag(s, strlen(s)) : valid_folder(s, strlen(s));

    return why || template->use == TEMPLATE_FLAG ? why : refused_level(s);
}

/* With a letter in place of each name it must be a folder or keyword. */
static error *check_text(const struct template *template, const char *s) {
    GString *sample = g_string_new(NULL);

    for (unsigned i = 0; i < template->parts->len; i++) {
        const struct part *part = &g_array_index(template->parts, struct part, i);
        g_string_append(sample, part->kind == PART_TEXT ? part->text : "x");
    }
    const char *why = why_invalid(template, sample->str);
    g_string_free(sample, TRUE);
    if (!why) {
        return NULL;
    }
    g_autofree char *shown = text_escape(s, -1);
    return error_new(ERROR_CONFIG, "%s \"%s\" %s", template->use == TEMPLATE_FLAG ? "flag" : "folder", shown, why);
}

error *template_parse(const char *s, enum template_use use, struct template **template_out) {
    struct template *template = g_new0(struct template, 1);
    GString *text = g_string_new(NULL);

    template->use = use;
    template->parts = g_array_new(FALSE, TRUE, sizeof(struct part));
    g_array_set_clear_func(template->parts, clear_part);
    error *err = g_utf8_validate(s, -1, NULL) ? parse_parts(template, s, text)
                                              : error_new(ERROR_CONFIG, "the name is not UTF-8");
    if (!err) {
        err = check_text(template, s);
    }
    g_string_free(text, TRUE);
    *template_out = err ? NULL : template;
    if (err) {
        template_free(template);
    }
    return err;
}

error *template_check(const struct template *template, GHashTable *captures) {
    for (unsigned i = 0; i < template->parts->len; i++) {
        const struct part *part = &g_array_index(template->parts, struct part, i);
        if (part->kind != PART_CAPTURE || (captures && g_hash_table_contains(captures, part->text))) {
            continue;
        }
        const char *near = text_nearest(part->text, known_names);
        if (near) {
            return error_new(ERROR_CONFIG, "unknown name ${%s}; did you mean ${%s}?", part->text, near);
        }
        return error_new(ERROR_CONFIG,
                         "${%s} is no name of a template, and no regular expression of this rule's `when` "
                         "captures it",
                         part->text);
    }
    return NULL;
}

void template_fields_needed(const struct template *template, GHashTable *fields) {
    static const enum mail_query queries[] = {
        [PART_DATE] = MAIL_DATE, [PART_SUBJECT] = MAIL_SUBJECT, [PART_LIST_ID] = MAIL_LIST_ID};

    for (unsigned i = 0; i < template->parts->len; i++) {
        const struct part *part = &g_array_index(template->parts, struct part, i);
        bool header = part->kind == PART_DATE || part->kind == PART_SUBJECT || part->kind == PART_LIST_ID;
        if (!header && part->kind != PART_ADDRESS) {
            continue;
        }
        for (const char *const *f = mail_query_fields(header ? queries[part->kind] : part->query); *f; f++) {
            g_hash_table_add(fields, g_ascii_strdown(*f, -1));
        }
    }
}

/* --- expanding --------------------------------------------------------------------------------------------------- */

static bool is_kept(gunichar c, enum template_use use, char delimiter) {
    if (use == TEMPLATE_FLAG) {
        return c > 0x20 && c < 0x7f && !strchr("(){%*\"\\]", (int)c);
    }
    return g_unichar_isprint(c) && (c >= 0x80 || (!strchr("/\\%*", (int)c) && c != (unsigned char)delimiter));
}

static void append_safe(GString *out, const char *value, enum template_use use, char delimiter) {
    g_autofree char *composed = g_utf8_normalize(value, -1, G_NORMALIZE_NFC);
    const char *s = g_strstrip(composed ? composed : (composed = g_strdup("")));
    size_t start = out->len;

    for (; *s && out->len - start < TEMPLATE_VALUE_MAX; s = g_utf8_next_char(s)) {
        gunichar c = g_utf8_get_char(s);
        g_string_append_unichar(out, is_kept(c, use, delimiter) ? c : '_');
    }
    while (out->len > start && out->str[out->len - 1] == ' ') {
        g_string_truncate(out, out->len - 1);
    }
}

static enum mail_status date_value(rules_job *job, const char *format, char **value_out, mail_need *need) {
    mail_date date;
    enum mail_status status = mail_view_date(job->view, &date, need);

    if (status == MAIL_NEED) {
        return status;
    }
    if (status == MAIL_ABSENT) {
        date = (mail_date){job->eval->u.eval.internaldate ? job->eval->u.eval.internaldate : job->now, 0};
    }
    g_autoptr(GTimeZone) zone = g_time_zone_new_offset(date.offset);
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(date.epoch);
    g_autoptr(GDateTime) time = utc ? g_date_time_to_timezone(utc, zone) : NULL;
    *value_out = time ? g_date_time_format(time, format) : NULL;
    return *value_out ? MAIL_OK : MAIL_ABSENT;
}

static enum mail_status address_value(rules_job *job, const struct part *part, char **value_out, mail_need *need) {
    const mail_address *list;
    size_t n;
    enum mail_status status = mail_view_addresses(job->view, part->query, &list, &n, need);

    if (status == MAIL_OK && n) {
        const char *values[] = {list[0].address, list[0].name, list[0].local, list[0].domain};
        *value_out = g_strdup(values[part->address]);
    }
    return status;
}

static enum mail_status part_value(rules_job *job, const struct part *part, char **value_out, mail_need *need) {
    const char *s = NULL;
    enum mail_status status = MAIL_OK;

    switch (part->kind) {
    case PART_DATE:
        return date_value(job, part->format, value_out, need);
    case PART_ADDRESS:
        return address_value(job, part, value_out, need);
    case PART_SUBJECT:
        status = mail_view_subject(job->view, &s, need);
        break;
    case PART_LIST_ID:
        status = mail_view_list_id(job->view, &s, need);
        break;
    case PART_ACCOUNT:
        s = job->eval->u.eval.account;
        break;
    case PART_FOLDER:
        s = job->eval->u.eval.folder;
        break;
    case PART_CAPTURE:
        s = job_capture(job, part->text);
        break;
    case PART_TEXT:
        break;
    }
    *value_out = status == MAIL_OK ? g_strdup(s) : NULL;
    return status;
}

static enum template_status expand_part(const struct template *template, const struct part *part, rules_job *job,
                                        GString *out, error **error_out) {
    char *value = NULL;
    mail_need need;
    size_t before = out->len;

    if (part->kind == PART_TEXT) {
        g_string_append(out, part->text);
        return TEMPLATE_OK;
    }
    if (part_value(job, part, &value, &need) == MAIL_NEED) {
        job->need = job_need_mail(job, &need);
        return TEMPLATE_NEED;
    }
    if (value && part->kind == PART_FOLDER) {
        g_string_append(out, value); /* a name that the server has */
    } else if (value) {
        append_safe(out, value, template->use, job->eval->u.eval.delimiter);
    }
    g_free(value);
    if (out->len == before) {
        *error_out = error_new(ERROR_RULE, "${%s} is empty for this message", part->text);
        return TEMPLATE_ERROR;
    }
    return TEMPLATE_OK;
}

enum template_status template_expand(const struct template *template, rules_job *job, char **out, error **error_out) {
    GString *text = g_string_new(NULL);
    enum template_status status = TEMPLATE_OK;

    *out = NULL;
    *error_out = NULL;
    for (unsigned i = 0; i < template->parts->len && status == TEMPLATE_OK; i++) {
        status = expand_part(template, &g_array_index(template->parts, struct part, i), job, text, error_out);
    }
    const char *why = status == TEMPLATE_OK ? why_invalid(template, text->str) : NULL;
    if (why) {
        g_autofree char *shown = text_escape(text->str, -1);
        *error_out =
            error_new(ERROR_RULE, "%s \"%s\" %s", template->use == TEMPLATE_FLAG ? "flag" : "folder", shown, why);
        status = TEMPLATE_ERROR;
    }
    if (status == TEMPLATE_OK) {
        *out = g_string_free(text, FALSE);
    } else {
        g_string_free(text, TRUE);
    }
    return status;
}
