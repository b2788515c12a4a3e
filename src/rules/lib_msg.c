#include "lib_msg_priv.h"

#include <string.h>

/* --- the userdata ----------------------------------------------------------------------------------------------- */

void lib_msg_push(lua_State *L, rules_job *job) {
    if (job->msg) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, job->msg->ref);
        return;
    }
    struct msg_ud *msg = lua_newuserdatauv(L, sizeof *msg, 1);
    *msg = (struct msg_ud){.job = job, .ref = LUA_NOREF};
    luaL_setmetatable(L, MSG_TYPE);
    lua_newtable(L); /* values that are made once */
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    msg->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    job->msg = msg;
}

void lib_msg_invalidate(rules_job *job) {
    struct msg_ud *msg = job->msg;

    if (msg) {
        job->msg = NULL;
        msg->job = NULL;
        luaL_unref(vm_state(job->rules->vm), LUA_REGISTRYINDEX, msg->ref);
    }
}

rules_job *msg_check_owner(lua_State *L, const struct msg_ud *msg) {
    if (!msg->job) {
        luaL_error(L, "message is no longer valid: it must not be kept after its rule has run");
    }
    return msg->job;
}

rules_job *msg_check(lua_State *L, int arg) {
    return msg_check_owner(L, luaL_checkudata(L, arg, MSG_TYPE));
}

int msg_wait(lua_State *L, rules_job *job, const mail_need *need, const char *what, lua_KContext ctx, lua_KFunction k) {
    job->need = job_need_mail(job, need);
    return vm_wait(L, what, ctx, k);
}

void msg_check_fetched(lua_State *L, rules_job *job) {
    if (job->answer && job->answer->u.answer.failure) {
        luaL_error(L, "the message could not be fetched: %s", job->answer->u.answer.failure);
    }
}

/* --- attributes ------------------------------------------------------------------------------------------------- */

static enum mail_status push_string(lua_State *L, const char *s) {
    lua_pushstring(L, s); /* NULL: nil */
    return MAIL_OK;
}

static enum mail_status push_integer(lua_State *L, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    return MAIL_OK;
}

static enum mail_status get_account(lua_State *L, rules_job *job, mail_need *need) {
    return push_string(L, job->eval->u.eval.account);
}

static enum mail_status get_folder(lua_State *L, rules_job *job, mail_need *need) {
    return push_string(L, job->eval->u.eval.folder);
}

static enum mail_status get_event(lua_State *L, rules_job *job, mail_need *need) {
    return push_string(L, rules_event_name(job->eval->u.eval.event));
}

static enum mail_status get_rule(lua_State *L, rules_job *job, mail_need *need) {
    return push_string(L, job->at ? job->at->wire->name : NULL);
}

static enum mail_status get_uid(lua_State *L, rules_job *job, mail_need *need) {
    return push_integer(L, job->eval->u.eval.uid);
}

static enum mail_status get_size(lua_State *L, rules_job *job, mail_need *need) {
    return push_integer(L, job->eval->u.eval.size);
}

static enum mail_status get_references(lua_State *L, rules_job *job, mail_need *need) {
    mail_strings values;
    enum mail_status status = mail_view_references(job->view, &values, need);

    if (status == MAIL_OK) {
        msg_push_strings(L, values.items, values.count);
    }
    return status;
}

/* When it was written; what says nothing readable of that was written when it arrived. */
static enum mail_status find_date(rules_job *job, mail_date *date_out, mail_need *need) {
    enum mail_status status = mail_view_date(job->view, date_out, need);

    if (status == MAIL_ABSENT) {
        int64_t arrived = job->eval->u.eval.internaldate;
        *date_out = (mail_date){.epoch = arrived ? arrived : job->now};
        status = MAIL_OK;
    }
    return status;
}

static enum mail_status get_date(lua_State *L, rules_job *job, mail_need *need) {
    mail_date date;
    enum mail_status status = find_date(job, &date, need);

    if (status == MAIL_OK) {
        lib_date_push(L, date.epoch, date.offset);
    }
    return status;
}

/* As the condition `age`: since it arrived; what arrived nowhere (a file), since it was written. */
static enum mail_status get_age(lua_State *L, rules_job *job, mail_need *need) {
    mail_date date = {.epoch = job->eval->u.eval.internaldate};
    enum mail_status status = date.epoch ? MAIL_OK : find_date(job, &date, need);

    if (status == MAIL_OK) {
        lua_pushinteger(L, MAX(job->now - date.epoch, 0));
    }
    return status;
}

static enum mail_status get_from(lua_State *L, rules_job *job, mail_need *need) {
    static const mail_address nobody = {.name = "", .address = "", .local = "", .domain = ""};
    const mail_address *list = NULL;
    size_t n = 0;
    enum mail_status status = mail_view_addresses(job->view, MAIL_FROM, &list, &n, need);

    if (status == MAIL_NEED) {
        return status;
    }
    msg_push_address(L, status == MAIL_OK && n ? &list[0] : &nobody);
    return MAIL_OK;
}

static enum mail_status get_raw(lua_State *L, rules_job *job, mail_need *need) {
    GBytes *raw = NULL;
    enum mail_status status = mail_view_raw(job->view, &raw, NULL, need);

    if (status == MAIL_OK) {
        gsize len;
        const char *data = g_bytes_get_data(raw, &len);
        lua_pushlstring(L, data ? data : "", len);
    }
    return status;
}

enum mail_status lib_msg_reasons(rules_job *job, const char *reasons_out[LIB_REASONS_MAX], size_t *n_out,
                                 mail_need *need_out) {
    static const enum mail_query classes[] = {MAIL_IS_AUTO, MAIL_IS_BOUNCE, MAIL_IS_LIST, MAIL_IS_REPLY};
    mail_strings reasons;
    size_t n = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++) {
        enum mail_status status = mail_view_class(job->view, classes[i], &reasons, need_out);
        if (status == MAIL_NEED) {
            return MAIL_NEED;
        }
        for (size_t k = 0; status == MAIL_OK && k < reasons.count && n < LIB_REASONS_MAX; k++) {
            size_t seen = 0;
            while (seen < n && strcmp(reasons_out[seen], reasons.items[k]) != 0) {
                seen++;
            }
            reasons_out[seen] = reasons.items[k];
            n = MAX(n, seen + 1);
        }
    }
    *n_out = n;
    return MAIL_OK;
}

static enum mail_status get_reasons(lua_State *L, rules_job *job, mail_need *need) {
    const char *reasons[LIB_REASONS_MAX];
    size_t n;

    if (lib_msg_reasons(job, reasons, &n, need) == MAIL_NEED) {
        return MAIL_NEED;
    }
    msg_push_strings(L, reasons, n);
    return MAIL_OK;
}

static enum mail_status get_captures(lua_State *L, rules_job *job, mail_need *need) {
    lua_newtable(L);
    for (guint i = 0; job->captures && i < job->captures->len; i++) {
        const struct capture *capture = &g_array_index(job->captures, struct capture, i);
        lua_pushstring(L, capture->value);
        lua_setfield(L, -2, capture->name);
    }
    return MAIL_OK;
}

static enum mail_status get_unparsable(lua_State *L, rules_job *job, mail_need *need) {
    lua_pushboolean(L, (mail_view_problems(job->view) & MAIL_UNPARSABLE) != 0);
    return MAIL_OK;
}

/* What an attribute is where the message does not have it. */
enum absent { ABSENT_NIL, ABSENT_EMPTY, ABSENT_LIST };

/* One of the ways to get it is set. */
static const struct attribute {
    const char *name;
    enum absent absent;
    bool cached; /* made once: lists, and what is long */
    msg_getter get;
    enum mail_status (*string)(mail_view *view, const char **value_out, mail_need *need_out);
    enum mail_status (*text)(mail_view *view, const mail_text **text_out, mail_need *need_out);
    enum mail_query query; /* a class, or a list of addresses */
} attributes[] = {
    {"account", ABSENT_NIL, .get = get_account},
    {"age", ABSENT_NIL, .get = get_age},
    {"attachments", ABSENT_LIST, .cached = true, .get = msg_get_attachments},
    {"captures", ABSENT_LIST, .get = get_captures},
    {"cc", ABSENT_LIST, .cached = true, .query = MAIL_CC},
    {"date", ABSENT_NIL, .cached = true, .get = get_date},
    {"event", ABSENT_NIL, .get = get_event},
    {"flags", ABSENT_LIST, .get = msg_get_flags},
    {"flags_added", ABSENT_LIST, .get = msg_get_flags_added},
    {"flags_removed", ABSENT_LIST, .get = msg_get_flags_removed},
    {"folder", ABSENT_NIL, .get = get_folder},
    {"from", ABSENT_NIL, .cached = true, .get = get_from},
    {"headers", ABSENT_NIL, .cached = true, .get = msg_get_headers},
    {"html", ABSENT_EMPTY, .cached = true, .text = mail_view_html},
    {"in_reply_to", ABSENT_NIL, .string = mail_view_in_reply_to},
    {"is_auto", ABSENT_NIL, .query = MAIL_IS_AUTO},
    {"is_bounce", ABSENT_NIL, .query = MAIL_IS_BOUNCE},
    {"is_encrypted", ABSENT_NIL, .query = MAIL_IS_ENCRYPTED},
    {"is_list", ABSENT_NIL, .query = MAIL_IS_LIST},
    {"is_reply", ABSENT_NIL, .query = MAIL_IS_REPLY},
    {"is_signed", ABSENT_NIL, .query = MAIL_IS_SIGNED},
    {"list_id", ABSENT_NIL, .string = mail_view_list_id},
    {"message_id", ABSENT_NIL, .string = mail_view_message_id},
    {"raw", ABSENT_EMPTY, .get = get_raw},
    {"reasons", ABSENT_LIST, .get = get_reasons},
    {"recipient", ABSENT_LIST, .cached = true, .query = MAIL_RECIPIENT},
    {"references", ABSENT_LIST, .cached = true, .get = get_references},
    {"reply_text", ABSENT_EMPTY, .cached = true, .text = mail_view_reply_text},
    {"reply_to", ABSENT_LIST, .cached = true, .query = MAIL_REPLY_TO},
    {"rule", ABSENT_NIL, .get = get_rule},
    {"size", ABSENT_NIL, .get = get_size},
    {"subject", ABSENT_EMPTY, .string = mail_view_subject},
    {"text", ABSENT_EMPTY, .cached = true, .text = mail_view_text},
    {"thread_key", ABSENT_NIL, .string = mail_view_thread_key},
    {"to", ABSENT_LIST, .cached = true, .query = MAIL_TO},
    {"uid", ABSENT_NIL, .get = get_uid},
    {"unparsable", ABSENT_NIL, .get = get_unparsable},
};

static enum mail_status get_string(lua_State *L, rules_job *job, const struct attribute *a, mail_need *need) {
    const char *value = NULL;
    enum mail_status status = a->string(job->view, &value, need);

    return status == MAIL_OK ? push_string(L, value) : status;
}

static enum mail_status get_text(lua_State *L, rules_job *job, const struct attribute *a, mail_need *need) {
    const mail_text *text = NULL;
    enum mail_status status = a->text(job->view, &text, need);

    if (status == MAIL_OK) {
        lua_pushlstring(L, text->text, text->len);
    }
    return status;
}

static enum mail_status get_class(lua_State *L, rules_job *job, const struct attribute *a, mail_need *need) {
    mail_strings reasons;
    enum mail_status status = mail_view_class(job->view, a->query, &reasons, need);

    if (status == MAIL_NEED) {
        return status;
    }
    lua_pushboolean(L, status == MAIL_OK);
    return MAIL_OK;
}

static enum mail_status get_addresses(lua_State *L, rules_job *job, const struct attribute *a, mail_need *need) {
    const mail_address *list = NULL;
    size_t n = 0;
    enum mail_status status = mail_view_addresses(job->view, a->query, &list, &n, need);

    if (status == MAIL_OK) {
        msg_push_addresses(L, list, n);
    }
    return status;
}

static enum mail_status get(lua_State *L, rules_job *job, const struct attribute *a, mail_need *need) {
    if (a->get) {
        return a->get(L, job, need);
    }
    if (a->string) {
        return get_string(L, job, a, need);
    }
    if (a->text) {
        return get_text(L, job, a, need);
    }
    return a->query >= MAIL_IS_AUTO ? get_class(L, job, a, need) : get_addresses(L, job, a, need);
}

/* --- methods that look ------------------------------------------------------------------------------------------ */

static int msg_has_flag(lua_State *L) {
    const wire_strings *flags = &msg_check(L, 1)->eval->u.eval.flags;
    const char *wanted = luaL_checkstring(L, 2);
    bool found = false;

    for (size_t i = 0; i < flags->n && !found; i++) {
        found = g_ascii_strcasecmp(flags->v[i], wanted) == 0;
    }
    lua_pushboolean(L, found);
    return 1;
}

static int msg_capture(lua_State *L) {
    rules_job *job = msg_check(L, 1);

    lua_pushstring(L, job_capture(job, luaL_checkstring(L, 2))); /* NULL: nil */
    return 1;
}

static int msg_header(lua_State *L);

static int msg_header_again(lua_State *L, int status, lua_KContext ctx) {
    msg_check_fetched(L, msg_check(L, 1));
    return msg_header(L);
}

static int msg_header(lua_State *L) {
    rules_job *job = msg_check(L, 1);
    const char *name = luaL_checkstring(L, 2);
    mail_strings values;
    mail_need need;

    switch (mail_view_header(job->view, name, &values, &need)) {
    case MAIL_OK:
        lua_pushstring(L, values.items[0]);
        return 1;
    case MAIL_ABSENT:
        lua_pushnil(L);
        return 1;
    default:
        return msg_wait(L, job, &need, "msg:header", 0, msg_header_again);
    }
}

const luaL_Reg lib_msg_methods[] = {
    {"capture", msg_capture}, {"has_flag", msg_has_flag}, {"header", msg_header}, {NULL, NULL}};

/* --- access ----------------------------------------------------------------------------------------------------- */

static int by_name(const void *name, const void *attribute) {
    return strcmp(name, ((const struct attribute *)attribute)->name);
}

const char *lib_msg_attribute(size_t i) {
    return i < G_N_ELEMENTS(attributes) ? attributes[i].name : NULL;
}

static const struct attribute *find_attribute(const char *name) {
    return bsearch(name, attributes, G_N_ELEMENTS(attributes), sizeof *attributes, by_name);
}

static int unknown(lua_State *L, const char *name) {
    const char *known[G_N_ELEMENTS(attributes) + 32];
    size_t n = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
        known[n++] = attributes[i].name;
    }
    for (const luaL_Reg *m = lib_msg_methods; m->name; m++) {
        known[n++] = m->name;
    }
    for (const luaL_Reg *m = lib_msg_actions; m->name; m++) {
        known[n++] = m->name;
    }
    known[n] = NULL;
    return vm_error_unknown(L, "attribute or method of a message:", name, known);
}

static void push_absent(lua_State *L, enum absent absent) {
    if (absent == ABSENT_EMPTY) {
        lua_pushliteral(L, "");
    } else if (absent == ABSENT_LIST) {
        lua_newtable(L);
    } else {
        lua_pushnil(L);
    }
}

static int index_again(lua_State *L, int status, lua_KContext ctx);

static int push_attribute(lua_State *L, rules_job *job, const struct attribute *attribute) {
    mail_need need;

    lua_getiuservalue(L, 1, 1);
    if (attribute->cached && lua_getfield(L, 3, attribute->name) != LUA_TNIL) {
        return 1;
    }
    lua_settop(L, 3);
    enum mail_status status = get(L, job, attribute, &need);
    if (status == MAIL_NEED) {
        return msg_wait(L, job, &need, lua_pushfstring(L, "msg.%s", attribute->name), 0, index_again);
    }
    if (status == MAIL_ABSENT) {
        push_absent(L, attribute->absent);
    }
    if (attribute->cached) {
        lua_pushvalue(L, -1);
        lua_setfield(L, 3, attribute->name);
    }
    return 1;
}

/* Upvalue: the methods. */
static int msg_index(lua_State *L) {
    rules_job *job = msg_check(L, 1);
    const char *name = luaL_checkstring(L, 2);
    const struct attribute *attribute = find_attribute(name);

    lua_settop(L, 2);
    if (attribute) {
        return push_attribute(L, job, attribute);
    }
    if (lua_getfield(L, lua_upvalueindex(1), name) == LUA_TNIL) {
        return unknown(L, name);
    }
    return 1;
}

static int index_again(lua_State *L, int status, lua_KContext ctx) {
    msg_check_fetched(L, msg_check(L, 1));
    return msg_index(L);
}

static int msg_newindex(lua_State *L) {
    return luaL_error(L, "msg.%s cannot be set: use an action, such as msg:flag or msg:move",
                      luaL_tolstring(L, 2, NULL));
}

static int msg_tostring(lua_State *L) {
    const struct msg_ud *msg = luaL_checkudata(L, 1, MSG_TYPE);

    if (!msg->job) {
        lua_pushliteral(L, "message (no longer valid)");
        return 1;
    }
    const wire_eval *eval = &msg->job->eval->u.eval;
    lua_pushfstring(L, "message %s/%s/%I", eval->account ? eval->account : "-", eval->folder ? eval->folder : "-",
                    (LUAI_UACINT)eval->uid);
    return 1;
}

static const luaL_Reg msg_meta[] = {{"__newindex", msg_newindex}, {"__tostring", msg_tostring}, {NULL, NULL}};

void lib_open_msg(struct vm *vm) {
    lua_State *L = vm_state(vm);

    msg_open_types(L);
    msg_open_actions(L);
    vm_new_type(L, MSG_TYPE, msg_meta);
    luaL_newlib(L, lib_msg_methods);
    luaL_setfuncs(L, lib_msg_actions, 0);
    lua_pushcclosure(L, msg_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
