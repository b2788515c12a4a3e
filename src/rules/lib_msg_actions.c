#include "lib_msg_priv.h"

#include "base/text.h"

#include <string.h>

#define STEPS_MAX 1000 /* of one message, by functions */
#define FLAGS_MAX 50   /* of one action */
#define POSTS_MAX 16   /* their bodies travel in one frame */
#define POST_TYPE "mailruled.post"

/* The job, once it is clear that this call may add a step. */
static rules_job *check_action(lua_State *L, const char *name, enum wire_verb verb) {
    rules_job *job = msg_check(L, 1);
    struct vm_thread *thread = vm_thread_current(L);

    if (job->eval->u.eval.event == WIRE_EVENT_GONE && verb_needs_message(verb)) {
        luaL_error(L, "msg:%s needs the message, which is gone: on = \"gone\" leaves post and stop", name);
    }
    if (!thread || vm_job(L) != job) {
        luaL_error(L, "msg:%s works only for the message that its rule runs for", name);
    }
    if (vm_thread_readonly(thread)) {
        luaL_error(L, "msg:%s cannot be used in %s", name, vm_thread_readonly(thread));
    }
    if (job->steps->len >= STEPS_MAX) {
        luaL_error(L, "more than %d actions for one message", STEPS_MAX);
    }
    return job;
}

static const char *push_escaped(lua_State *L, const char *s, size_t len) {
    GString *out = g_string_new(NULL);

    text_append_escaped(out, s, (gssize)MIN(len, 200));
    lua_pushlstring(L, out->str, out->len);
    g_string_free(out, TRUE);
    return lua_tostring(L, -1);
}

static int invalid(lua_State *L, const char *what, const char *s, size_t len, const char *why) {
    return luaL_error(L, "%s \"%s\" %s", what, push_escaped(L, s, len), why);
}

/* --- move, copy ------------------------------------------------------------------------------------------------- */

static bool check_create(lua_State *L, int arg, bool none) {
    static const char *const known[] = {"create", NULL};

    if (lua_isnoneornil(L, arg)) {
        return none;
    }
    luaL_checktype(L, arg, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (strcmp(key, "create") != 0) {
            vm_error_unknown(L, "option", key, known);
        }
    }
    if (lua_getfield(L, arg, "create") == LUA_TNIL) {
        return none;
    }
    luaL_checktype(L, -1, LUA_TBOOLEAN);
    return lua_toboolean(L, -1);
}

static int to_folder(lua_State *L, const char *name, enum wire_verb verb) {
    rules_job *job = check_action(L, name, verb);
    size_t len;
    const char *folder = luaL_checklstring(L, 2, &len), *why = valid_folder(folder, len);
    bool create = check_create(L, 3, job->rules->create_default);

    if (why) {
        return invalid(L, "folder", folder, len, why);
    }
    wire_step *step = job_add_step(job, verb);
    step->folder = wire_strn(job->reply, folder, len);
    step->create = create;
    return 0;
}

static int msg_move(lua_State *L) {
    return to_folder(L, "move", WIRE_VERB_MOVE);
}

static int msg_copy(lua_State *L) {
    return to_folder(L, "copy", WIRE_VERB_COPY);
}

/* --- flag, unflag ----------------------------------------------------------------------------------------------- */

/* The arguments, or a list as the only one, put on the stack from index 2. */
static int spread_list(lua_State *L) {
    if (lua_istable(L, 2)) {
        lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
        luaL_argcheck(L, n <= FLAGS_MAX, 2, "too many flags");
        luaL_checkstack(L, FLAGS_MAX, "flags");
        for (lua_Integer i = 1; i <= n; i++) {
            lua_rawgeti(L, 2, i);
        }
        lua_remove(L, 2);
    }
    return lua_gettop(L);
}

static int change_flags(lua_State *L, const char *name, enum wire_verb verb) {
    rules_job *job = check_action(L, name, verb);
    int last = spread_list(L);

    luaL_argcheck(L, last >= 2 && last <= FLAGS_MAX + 1, 2, "1 to 50 flags are needed");
    for (int i = 2; i <= last; i++) {
        size_t len;
        const char *flag = luaL_checklstring(L, i, &len), *why = valid_flag(flag, len);
        if (why) {
            return invalid(L, "flag", flag, len, why);
        }
    }
    wire_step *step = job_add_step(job, verb);
    for (int i = 2; i <= last; i++) {
        wire_strings_add(job->reply, &step->flags, lua_tostring(L, i));
    }
    return 0;
}

static int msg_flag(lua_State *L) {
    return change_flags(L, "flag", WIRE_VERB_FLAG);
}

static int msg_unflag(lua_State *L) {
    return change_flags(L, "unflag", WIRE_VERB_UNFLAG);
}

/* --- without arguments ------------------------------------------------------------------------------------------ */

static int plain(lua_State *L, const char *name, enum wire_verb verb) {
    wire_step *step = job_add_step(check_action(L, name, verb), verb);

    step->create = vm_job(L)->rules->create_default;
    return 0;
}

static int msg_delete(lua_State *L) {
    return plain(L, "delete", WIRE_VERB_DELETE);
}

static int msg_junk(lua_State *L) {
    return plain(L, "junk", WIRE_VERB_JUNK);
}

static int msg_archive(lua_State *L) {
    return plain(L, "archive", WIRE_VERB_ARCHIVE);
}

static int msg_stop(lua_State *L) {
    rules_job *job = check_action(L, "stop", WIRE_VERB_STOP);

    job_add_step(job, WIRE_VERB_STOP);
    job->stopped = true;
    return 0;
}

/* --- post ------------------------------------------------------------------------------------------------------- */

struct post {
    struct payload *payload; /* the userdata's, so that no error loses it */
    const wire_webhook *webhook;
    char *event_id; /* in the reply's arena */
};

static int post_gc(lua_State *L) {
    struct post *post = lua_touserdata(L, 1);

    g_clear_pointer(&post->payload, payload_free);
    return 0;
}

static const luaL_Reg post_meta[] = {{"__gc", post_gc}, {NULL, NULL}};

static const wire_webhook *check_webhook(lua_State *L, const rules_job *job, int arg, int *payload_ref_out) {
    const char *name = luaL_checkstring(L, arg);
    const wire_config *config = &job->rules->config->u.config;
    int index = rules_webhook(job->rules, name);

    if (index < 0) {
        const char **known = lua_newuserdatauv(L, (config->n_webhooks + 1) * sizeof *known, 0);
        for (size_t i = 0; i < config->n_webhooks; i++) {
            known[i] = config->webhooks[i].name;
        }
        known[config->n_webhooks] = NULL;
        vm_error_unknown(L, "webhook", name, known);
    }
    *payload_ref_out = job->rules->payload_refs ? job->rules->payload_refs[index] : LUA_NOREF;
    return &config->webhooks[index];
}

static void check_posts(lua_State *L, const rules_job *job) {
    unsigned posts = 0;

    for (guint i = 0; i < job->steps->len; i++) {
        posts += g_array_index(job->steps, wire_step, i).verb == WIRE_VERB_POST;
    }
    if (posts >= POSTS_MAX) {
        luaL_error(L, "more than %d posts for one message", POSTS_MAX);
    }
}

/* The post is at index 2. */
static int run_post(lua_State *L, int status, lua_KContext ctx) {
    rules_job *job = msg_check(L, 1);
    struct post *post = lua_touserdata(L, 2);
    struct vm_error err = {0};
    wire_bytes body;

    switch (payload_run(post->payload, &body, &err)) {
    case PAYLOAD_NEED:
        return vm_wait(L, "the message for a webhook", 0, run_post);
    case PAYLOAD_ERROR:
        lua_pushfstring(L, "payload of webhook '%s': ", post->webhook->name);
        return lib_raise(L, lua_tostring(L, -1), &err);
    default:
        break;
    }
    wire_step *step = job_add_step(job, WIRE_VERB_POST);
    step->webhook = wire_str(job->reply, post->webhook->name);
    step->event_id = post->event_id;
    step->body = body;
    g_clear_pointer(&post->payload, payload_free);
    return 0;
}

static int msg_post(lua_State *L) {
    rules_job *job = check_action(L, "post", WIRE_VERB_POST);
    struct payload_request request = {.job = job, .rule = job->at};

    check_posts(L, job);
    request.webhook = check_webhook(L, job, 2, &request.payload_ref);
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        lib_json_push_text(L, 3, "what is to be posted");
        request.extra = lua_tostring(L, -1);
    }
    struct post *post = lua_newuserdatauv(L, sizeof *post, 0);
    *post = (struct post){.webhook = request.webhook};
    luaL_setmetatable(L, POST_TYPE);
    lua_insert(L, 2);
    request.event_id = post->event_id = job_event_id(job, request.webhook->name);
    post->payload = payload_new(&request);
    lua_settop(L, 2);
    return run_post(L, LUA_OK, 0);
}

const luaL_Reg lib_msg_actions[] = {
    {"archive", msg_archive}, {"copy", msg_copy}, {"delete", msg_delete}, {"flag", msg_flag},     {"junk", msg_junk},
    {"move", msg_move},       {"post", msg_post}, {"stop", msg_stop},     {"unflag", msg_unflag}, {NULL, NULL}};

void msg_open_actions(lua_State *L) {
    vm_new_type(L, POST_TYPE, post_meta);
    lua_pop(L, 1);
}
