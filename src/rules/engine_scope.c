#include "engine_priv.h"

#include "action_priv.h"
#include "cond_priv.h"

#include <lauxlib.h>
#include <string.h>

enum { SCOPES_MAX = 1000 }; /* remembered; a config watches far fewer folders */

struct scopes {
    const rules *set;
    GHashTable *by_key;
};

/* --- does a rule apply? ------------------------------------------------------------------------------------------ */

/* RFC 3501 section 5.1: INBOX in any case. The rest of a name is as it is. */
static const char *after_inbox(const char *name) {
    return g_ascii_strncasecmp(name, "INBOX", 5) == 0 && (!name[5] || name[5] == '/') ? name + 5 : NULL;
}

static bool is_folder(const char *wanted, const char *name) {
    if (!name) {
        return false;
    }
    const char *a = after_inbox(wanted), *b = after_inbox(name);

    if (a && b) {
        return match_is_glob(a) || strchr(a, '%') ? match_folder_glob(a, b) : strcmp(a, b) == 0;
    }
    if (match_is_glob(wanted) || strchr(wanted, '%')) {
        return match_folder_glob(wanted, name);
    }
    return strcmp(wanted, name) == 0;
}

static bool is_role(const char *wanted, const wire_strings *roles) {
    for (size_t i = 0; roles && i < roles->n; i++) {
        if (g_ascii_strcasecmp(wanted, roles->v[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_wanted_folder(const wire_strings *wanted, const struct whereabouts *where) {
    for (size_t i = 0; i < wanted->n; i++) {
        const char *w = wanted->v[i];
        if (*w == '\\' ? is_role(w, where->roles) : is_folder(w, where->folder) || is_folder(w, where->server_folder)) {
            return true;
        }
    }
    return wanted->n == 0;
}

static bool is_wanted_account(const wire_strings *wanted, const char *account) {
    for (size_t i = 0; i < wanted->n; i++) {
        if (strcmp(wanted->v[i], account) == 0) {
            return true;
        }
    }
    return wanted->n == 0;
}

enum unwanted { WANTED, WRONG_EVENT, WRONG_ACCOUNT, WRONG_FOLDER, WRONG_ORIGIN };

static enum unwanted judge(const struct rule *rule, const struct whereabouts *where) {
    const wire_rule *wire = rule->wire;

    if (wire->on != where->event) {
        return WRONG_EVENT;
    }
    if (!is_wanted_account(&wire->accounts, where->account)) {
        return WRONG_ACCOUNT;
    }
    if (!is_wanted_folder(&wire->folders, where)) {
        return WRONG_FOLDER;
    }
    return where->own && !wire->own ? WRONG_ORIGIN : WANTED;
}

static char *list_of(const wire_strings *list) {
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < list->n && i < 5; i++) {
        g_string_append_printf(out, "%s%s", i ? ", " : "", list->v[i]);
    }
    g_string_append(out, list->n > 5 ? ", ..." : "");
    return g_string_free(out, FALSE);
}

char *scope_why_not(const struct rule *rule, const struct whereabouts *where) {
    g_autofree char *wanted = NULL;

    switch (judge(rule, where)) {
    case WANTED:
        break;
    case WRONG_EVENT:
        return g_strdup_printf("event is %s, rule wants %s", rules_event_name(where->event),
                               rules_event_name(rule->wire->on));
    case WRONG_ACCOUNT:
        wanted = list_of(&rule->wire->accounts);
        return g_strdup_printf("account is %s, rule wants %s", where->account, wanted);
    case WRONG_FOLDER:
        wanted = list_of(&rule->wire->folders);
        return g_strdup_printf("folder is %s, rule wants %s", where->folder, wanted);
    case WRONG_ORIGIN:
        return g_strdup("mailruled put the message here, and the rule does not say own = true");
    }
    return NULL;
}

/* --- remembered -------------------------------------------------------------------------------------------------- */

struct scopes *scopes_new(const rules *set) {
    struct scopes *scopes = g_new0(struct scopes, 1);

    scopes->set = set;
    scopes->by_key = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref);
    return scopes;
}

void scopes_free(struct scopes *scopes) {
    if (scopes) {
        g_hash_table_unref(scopes->by_key);
        g_free(scopes);
    }
}

static char *key_of(const struct whereabouts *where) {
    GString *key = g_string_new(NULL);

    g_string_append_printf(key, "%d%d\n%s\n%s\n%s", where->event, where->own, where->account, where->folder,
                           where->server_folder ? where->server_folder : "");
    for (size_t i = 0; where->roles && i < where->roles->n; i++) {
        g_string_append_printf(key, "\n%s", where->roles->v[i]);
    }
    return g_string_free(key, FALSE);
}

GArray *scopes_find(struct scopes *scopes, const struct whereabouts *where) {
    g_autofree char *key = key_of(where);
    GArray *found = g_hash_table_lookup(scopes->by_key, key);

    if (found) {
        return g_array_ref(found);
    }
    if (g_hash_table_size(scopes->by_key) >= SCOPES_MAX) {
        g_hash_table_remove_all(scopes->by_key);
    }
    found = g_array_new(FALSE, FALSE, sizeof(int));
    for (size_t i = 0; i < scopes->set->n_rules; i++) {
        if (judge(&scopes->set->rules[i], where) == WANTED) {
            g_array_append_val(found, scopes->set->rules[i].index);
        }
    }
    g_hash_table_insert(scopes->by_key, g_steal_pointer(&key), g_array_ref(found));
    return found;
}

/* --- what to fetch first ----------------------------------------------------------------------------------------- */

static void add_query(GHashTable *names, enum mail_query query) {
    for (const char *const *f = mail_query_fields(query); *f; f++) {
        g_hash_table_add(names, g_ascii_strdown(*f, -1));
    }
}

static void add_fields(const struct rule *rule, GHashTable *names) {
    if (rule->when) {
        cond_fields_needed(rule->when, names);
    }
    for (size_t i = 0; i < rule->n_actions; i++) {
        const struct action *a = rule->actions[i];
        if (a->folder) {
            template_fields_needed(a->folder, names);
        }
        for (size_t k = 0; k < a->n_flags; k++) {
            template_fields_needed(a->flags[k], names);
        }
    }
}

static enum wire_level level_of(const struct rule *rule) {
    if (rule->when) {
        return rule->when->rank >= RANK_STRUCTURE ? WIRE_LEVEL_STRUCTURE : WIRE_LEVEL_FIELDS;
    }
    return rule->run_ref != LUA_NOREF ? WIRE_LEVEL_HEADER : WIRE_LEVEL_FIELDS;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void rules_scope(const rules *set, const wire_scope *scope, wire_message *reply) {
    struct whereabouts where = {scope->account, scope->folder, &scope->roles,
                                scope->event,   false,         scope->server_folder};
    wire_scope_reply *out = &reply->u.scope_reply;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GArray) found = scopes_find(set->scopes, &where);

    out->job = scope->job;
    out->rules = found->len;
    for (unsigned i = 0; i < found->len; i++) {
        out->own |= set->rules[g_array_index(found, int, i)].wire->own;
    }
    if (scope->event == WIRE_EVENT_GONE) {
        return; /* nothing can be fetched */
    }
    out->level = WIRE_LEVEL_FIELDS;
    add_query(names, MAIL_IDENTITY);
    for (unsigned i = 0; i < found->len; i++) {
        const struct rule *rule = &set->rules[g_array_index(found, int, i)];
        add_fields(rule, names);
        out->level = MAX(out->level, level_of(rule));
    }
    unsigned n;
    g_autofree char **list = (char **)g_hash_table_get_keys_as_array(names, &n);
    qsort(list, n, sizeof *list, by_name);
    out->fields = wire_strv(reply, (const char *const *)list, n);
}
