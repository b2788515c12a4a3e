/* How the config writes actions: move "Folder", flag("A", "B"), stop. */
#include "config_priv.h"

#include <string.h>

#define ACTION_TYPE "mailruled.action"

enum argument { ARGUMENT_FOLDER, ARGUMENT_FLAGS, ARGUMENT_WEBHOOK, ARGUMENT_NONE, ARGUMENT_LATER };

static const struct maker {
    const char *name;
    enum wire_verb verb;
    enum argument argument;
} makers[] = {
    {"move", WIRE_VERB_MOVE, ARGUMENT_FOLDER},    {"copy", WIRE_VERB_COPY, ARGUMENT_FOLDER},
    {"flag", WIRE_VERB_FLAG, ARGUMENT_FLAGS},     {"unflag", WIRE_VERB_UNFLAG, ARGUMENT_FLAGS},
    {"post", WIRE_VERB_POST, ARGUMENT_WEBHOOK},   {"delete", WIRE_VERB_DELETE, ARGUMENT_NONE},
    {"junk", WIRE_VERB_JUNK, ARGUMENT_NONE},      {"archive", WIRE_VERB_ARCHIVE, ARGUMENT_NONE},
    {"stop", WIRE_VERB_STOP, ARGUMENT_NONE},      {"label", WIRE_VERB_LABEL, ARGUMENT_LATER},
    {"append", WIRE_VERB_APPEND, ARGUMENT_LATER}, {"forward", WIRE_VERB_STOP, ARGUMENT_LATER},
    {"reply", WIRE_VERB_STOP, ARGUMENT_LATER},    {"pipe", WIRE_VERB_STOP, ARGUMENT_LATER},
    {"save", WIRE_VERB_STOP, ARGUMENT_LATER},     {"notify", WIRE_VERB_STOP, ARGUMENT_LATER},
};

struct action_ud {
    struct action *action; /* the loader's */
    const struct maker *maker;
};

static struct action *push_action(lua_State *L, struct loader *loader, const struct maker *maker,
                                  const wire_place *place) {
    struct action_ud *ud = lua_newuserdatauv(L, sizeof *ud, 0);

    luaL_setmetatable(L, ACTION_TYPE);
    *ud = (struct action_ud){action_new(maker->verb, place), maker};
    g_ptr_array_add(loader->rules->actions, ud->action);
    return ud->action;
}

struct action *config_action(lua_State *L, int index) {
    const struct action_ud *ud = luaL_testudata(L, index, ACTION_TYPE);

    return ud ? ud->action : NULL;
}

static const char *plain_string(lua_State *L, int index) {
    size_t len;
    const char *s = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;

    return s && *s && strlen(s) == len ? s : NULL;
}

/* { create = false } */
static void read_options(lua_State *L, struct loader *loader, const struct maker *maker, struct action *action) {
    bool good = lua_isnoneornil(L, 2) || lua_istable(L, 2);

    if (lua_istable(L, 2)) {
        for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
            good = good && lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "create") == 0 &&
                   lua_isboolean(L, -1);
            action->has_create = true;
            action->create = lua_toboolean(L, -1);
        }
    }
    if (!good || lua_gettop(L) > 3) {
        loader_mistake(loader, &action->place, "%s: the only option is %s(\"Folder\", { create = false })", maker->name,
                       maker->name);
    }
}

static void read_folder(lua_State *L, struct loader *loader, const struct maker *maker, struct action *action) {
    const char *folder = plain_string(L, 1);

    if (!folder) {
        loader_mistake(loader, &action->place, "%s needs a folder: %s \"Archive/${year}\"", maker->name, maker->name);
        return;
    }
    loader_mistake_error(loader, &action->place, template_parse(folder, TEMPLATE_FOLDER, &action->folder));
    read_options(L, loader, maker, action);
}

static void add_flag(lua_State *L, struct loader *loader, const struct maker *maker, struct action *action) {
    const char *flag = plain_string(L, -1);
    struct template *template = NULL;

    if (!flag) {
        loader_mistake(loader, &action->place, "%s needs names of flags: %s \"Invoice\", %s(\"\\\\Seen\", \"Done\")",
                       maker->name, maker->name, maker->name);
        return;
    }
    if (!loader_mistake_error(loader, &action->place, template_parse(flag, TEMPLATE_FLAG, &template))) {
        action->flags[action->n_flags++] = template;
    }
}

static void read_flags(lua_State *L, struct loader *loader, const struct maker *maker, struct action *action) {
    bool list = lua_istable(L, 1);
    int arguments = lua_gettop(L) - 1; /* the action is on top */
    size_t n = list ? lua_rawlen(L, 1) : (size_t)arguments;

    action->flags = g_new0(struct template *, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (list) {
            lua_rawgeti(L, 1, (lua_Integer)i);
        } else {
            lua_pushvalue(L, (int)i);
        }
        add_flag(L, loader, maker, action);
        lua_pop(L, 1);
    }
    if (n == 0) {
        lua_pushnil(L);
        add_flag(L, loader, maker, action);
        lua_pop(L, 1);
    }
}

static void read_webhook(lua_State *L, struct loader *loader, struct action *action) {
    const char *name = plain_string(L, 1);

    if (!name || lua_gettop(L) > 2) {
        loader_mistake(loader, &action->place, "post needs the name of a webhook: post \"helpdesk\"");
    }
    action->webhook = g_strdup(name);
}

static int make_action(lua_State *L) {
    struct loader *loader = loader_from(L);
    const struct maker *maker = &makers[lua_tointeger(L, lua_upvalueindex(1))];
    wire_place place = loader_place(L, loader);

    if (maker->argument == ARGUMENT_FOLDER && lua_gettop(L) < 2) {
        lua_settop(L, 2);
    }
    struct action *action = push_action(L, loader, maker, &place);
    switch (maker->argument) {
    case ARGUMENT_FOLDER:
        read_folder(L, loader, maker, action);
        break;
    case ARGUMENT_FLAGS:
        read_flags(L, loader, maker, action);
        break;
    case ARGUMENT_WEBHOOK:
        read_webhook(L, loader, action);
        break;
    case ARGUMENT_LATER:
        loader_mistake(loader, &place, "%s is not available yet", maker->name);
        break;
    case ARGUMENT_NONE:
        break;
    }
    return 1;
}

/* stop() is stop. */
static int call_action(lua_State *L) {
    struct loader *loader = loader_from(L);
    const struct action_ud *ud = luaL_checkudata(L, 1, ACTION_TYPE);

    if (lua_gettop(L) > 1) {
        wire_place place = loader_place(L, loader);
        loader_mistake(loader, &place, "%s takes no arguments", ud->maker->name);
    }
    lua_settop(L, 1);
    return 1;
}

static const luaL_Reg methods[] = {{"__call", call_action}, {NULL, NULL}};

void config_open_actions(struct loader *loader) {
    lua_State *L = vm_state(loader->vm);
    wire_place nowhere = {0};

    vm_new_type(L, ACTION_TYPE, methods);
    lua_pop(L, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(makers); i++) {
        if (makers[i].argument == ARGUMENT_NONE) {
            push_action(L, loader, &makers[i], &nowhere);
        } else {
            lua_pushinteger(L, (lua_Integer)i);
            lua_pushcclosure(L, make_action, 1);
        }
        vm_set_global(loader->vm, makers[i].name);
    }
}
