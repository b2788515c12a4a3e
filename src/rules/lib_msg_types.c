#include "lib_msg_priv.h"

#include <string.h>

#define ADDRESS_TYPE "mailruled.address"
#define ATTACHMENT_TYPE "mailruled.attachment"
#define HEADERS_TYPE "mailruled.headers"

/* --- lists ------------------------------------------------------------------------------------------------------ */

void msg_push_strings(lua_State *L, const char *const *items, size_t n) {
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, items[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static enum mail_status push_flags(lua_State *L, const wire_strings *flags) {
    lua_createtable(L, 0, (int)flags->n);
    for (size_t i = 0; i < flags->n; i++) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, flags->v[i]);
    }
    return MAIL_OK;
}

enum mail_status msg_get_flags(lua_State *L, rules_job *job, mail_need *need) {
    return push_flags(L, &job->eval->u.eval.flags);
}

enum mail_status msg_get_flags_added(lua_State *L, rules_job *job, mail_need *need) {
    return push_flags(L, &job->eval->u.eval.flags_added);
}

enum mail_status msg_get_flags_removed(lua_State *L, rules_job *job, mail_need *need) {
    return push_flags(L, &job->eval->u.eval.flags_removed);
}

/* --- addresses: plain tables, which may be kept ----------------------------------------------------------------- */

const char *const lib_address_attributes[] = {"address", "domain", "local_part", "name", NULL};

void msg_push_address(lua_State *L, const mail_address *address) {
    lua_createtable(L, 0, 4);
    lua_pushstring(L, address->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, address->address);
    lua_setfield(L, -2, "address");
    lua_pushstring(L, address->local);
    lua_setfield(L, -2, "local_part");
    lua_pushstring(L, address->domain);
    lua_setfield(L, -2, "domain");
    luaL_setmetatable(L, ADDRESS_TYPE);
}

void msg_push_addresses(lua_State *L, const mail_address *list, size_t n) {
    vm_charge(L, n * 4);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        msg_push_address(L, &list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static int address_tostring(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushliteral(L, "name");
    lua_rawget(L, 1);
    lua_pushliteral(L, "address");
    lua_rawget(L, 1);
    const char *name = lua_tostring(L, 2), *address = lua_tostring(L, 3);
    if (name && *name) {
        lua_pushfstring(L, "%s <%s>", name, address ? address : "");
    }
    return 1;
}

static int address_index(lua_State *L) {
    return vm_error_unknown(L, "attribute of an address:", luaL_tolstring(L, 2, NULL), lib_address_attributes);
}

/* --- attachments ------------------------------------------------------------------------------------------------ */

struct attachment {
    const struct msg_ud *msg; /* kept alive as user value 1 */
    size_t index;
};

const char *const lib_attachment_attributes[] = {"content", "content_id", "is_inline", "name",
                                                 "sha256",  "size",       "type",      NULL};

enum mail_status msg_get_attachments(lua_State *L, rules_job *job, mail_need *need) {
    const mail_attachment *list;
    size_t n = 0;
    enum mail_status status = mail_view_attachments(job->view, &list, &n, need);

    if (status != MAIL_OK) {
        return status;
    }
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        struct attachment *attachment = lua_newuserdatauv(L, sizeof *attachment, 1);
        *attachment = (struct attachment){.msg = job->msg, .index = i};
        lib_msg_push(L, job);
        lua_setiuservalue(L, -2, 1);
        luaL_setmetatable(L, ATTACHMENT_TYPE);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return MAIL_OK;
}

static enum mail_status push_content(lua_State *L, rules_job *job, size_t index, mail_need *need) {
    GBytes *content = NULL;
    gsize len;
    enum mail_status status = mail_view_attachment_content(job->view, index, &content, NULL, need);

    if (status == MAIL_OK) {
        const char *data = g_bytes_get_data(content, &len);
        lua_pushlstring(L, data ? data : "", len);
    }
    return status;
}

static enum mail_status push_hash(lua_State *L, rules_job *job, size_t index, mail_need *need) {
    char hex[MAIL_IDENTITY_SIZE];
    enum mail_status status = mail_view_attachment_sha256(job->view, index, hex, need);

    if (status == MAIL_OK) {
        lua_pushstring(L, hex);
    }
    return status;
}

/* What the structure already tells. */
static void push_fact(lua_State *L, const mail_attachment *attachment, const char *name) {
    if (strcmp(name, "name") == 0) {
        lua_pushstring(L, attachment->filename);
    } else if (strcmp(name, "type") == 0) {
        lua_pushstring(L, attachment->type);
    } else if (strcmp(name, "size") == 0) {
        lua_pushinteger(L, (lua_Integer)attachment->size);
    } else if (strcmp(name, "is_inline") == 0) {
        lua_pushboolean(L, attachment->is_inline);
    } else if (strcmp(name, "content_id") == 0) {
        lua_pushstring(L, attachment->content_id);
    } else {
        vm_error_unknown(L, "attribute of an attachment:", name, lib_attachment_attributes);
    }
}

static int attachment_again(lua_State *L, int status, lua_KContext ctx);

static int attachment_index(lua_State *L) {
    const struct attachment *attachment = luaL_checkudata(L, 1, ATTACHMENT_TYPE);
    rules_job *job = msg_check_owner(L, attachment->msg);
    const char *name = luaL_checkstring(L, 2);
    const mail_attachment *list = NULL;
    size_t n = 0;
    mail_need need;
    enum mail_status status = mail_view_attachments(job->view, &list, &n, &need);

    lua_settop(L, 2);
    if (status == MAIL_OK && attachment->index >= n) {
        status = MAIL_ABSENT;
    }
    if (status == MAIL_OK && strcmp(name, "content") == 0) {
        status = push_content(L, job, attachment->index, &need);
    } else if (status == MAIL_OK && strcmp(name, "sha256") == 0) {
        status = push_hash(L, job, attachment->index, &need);
    } else if (status == MAIL_OK) {
        push_fact(L, &list[attachment->index], name);
    }
    if (status == MAIL_NEED) {
        return msg_wait(L, job, &need, "an attachment", 0, attachment_again);
    }
    if (status == MAIL_ABSENT) {
        lua_pushnil(L);
    }
    return 1;
}

static int attachment_again(lua_State *L, int status, lua_KContext ctx) {
    const struct attachment *attachment = luaL_checkudata(L, 1, ATTACHMENT_TYPE);

    msg_check_fetched(L, msg_check_owner(L, attachment->msg));
    return attachment_index(L);
}

/* --- headers: msg.headers["list-id"], msg:headers "received", pairs(msg.headers) -------------------------------- */

struct headers {
    const struct msg_ud *msg; /* kept alive as user value 1 */
};

enum mail_status msg_get_headers(lua_State *L, rules_job *job, mail_need *need) {
    struct headers *headers = lua_newuserdatauv(L, sizeof *headers, 1);

    headers->msg = job->msg;
    lib_msg_push(L, job);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, HEADERS_TYPE);
    return MAIL_OK;
}

static rules_job *check_headers(lua_State *L) {
    return msg_check_owner(L, ((struct headers *)luaL_checkudata(L, 1, HEADERS_TYPE))->msg);
}

/* The values of the field named at index 2; nil_if_absent, else an empty list. */
static int headers_get(lua_State *L, bool nil_if_absent, lua_KFunction again) {
    rules_job *job = check_headers(L);
    mail_strings values;
    mail_need need;

    switch (mail_view_header(job->view, luaL_checkstring(L, 2), &values, &need)) {
    case MAIL_OK:
        msg_push_strings(L, values.items, values.count);
        return 1;
    case MAIL_ABSENT:
        if (nil_if_absent) {
            lua_pushnil(L);
        } else {
            lua_newtable(L);
        }
        return 1;
    default:
        return msg_wait(L, job, &need, "msg.headers", 0, again);
    }
}

static int headers_index_again(lua_State *L, int status, lua_KContext ctx) {
    msg_check_fetched(L, check_headers(L));
    return headers_get(L, true, headers_index_again);
}

static int headers_index(lua_State *L) {
    return headers_get(L, true, headers_index_again);
}

static int headers_call_again(lua_State *L, int status, lua_KContext ctx) {
    msg_check_fetched(L, check_headers(L));
    return headers_get(L, false, headers_call_again);
}

/* msg:headers(name) arrives as headers(msg, name). */
static int headers_call(lua_State *L) {
    msg_check(L, 2);
    lua_remove(L, 2);
    return headers_get(L, false, headers_call_again);
}

static int next_pair(lua_State *L) {
    lua_settop(L, 2);
    if (lua_next(L, 1)) {
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

/* All fields as a table: name in lower case -> list of values. */
static int headers_pairs(lua_State *L);

static int headers_pairs_again(lua_State *L, int status, lua_KContext ctx) {
    msg_check_fetched(L, check_headers(L));
    return headers_pairs(L);
}

static void add_field(lua_State *L, int table, const mail_header_field *field) {
    lib_push_lower(L, field->name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, table) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, table);
    }
    lua_pushstring(L, field->value);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 2);
}

static int headers_pairs(lua_State *L) {
    rules_job *job = check_headers(L);
    const mail_header_field *fields = NULL;
    size_t n = 0;
    mail_need need;

    if (mail_view_headers(job->view, &fields, &n, &need) == MAIL_NEED) {
        return msg_wait(L, job, &need, "msg.headers", 0, headers_pairs_again);
    }
    lua_pushcfunction(L, next_pair);
    lua_newtable(L);
    for (size_t i = 0; i < n; i++) {
        add_field(L, lua_gettop(L), &fields[i]);
    }
    lua_pushnil(L);
    return 3;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static const luaL_Reg address_meta[] = {{"__index", address_index}, {"__tostring", address_tostring}, {NULL, NULL}};
static const luaL_Reg attachment_meta[] = {{"__index", attachment_index}, {NULL, NULL}};
static const luaL_Reg headers_meta[] = {
    {"__index", headers_index}, {"__call", headers_call}, {"__pairs", headers_pairs}, {NULL, NULL}};

void msg_open_types(lua_State *L) {
    vm_new_type(L, ADDRESS_TYPE, address_meta);
    vm_new_type(L, ATTACHMENT_TYPE, attachment_meta);
    vm_new_type(L, HEADERS_TYPE, headers_meta);
    lua_pop(L, 3);
}
