#include "config_priv.h"

#define EVERY_TYPE "mailruled.every"

const char *const config_events[] = {"new", "flags", "gone", NULL};

/* --- on = every "1d" --------------------------------------------------------------------------------------------- */

static bool is_every(lua_State *L, int index, uint64_t *ms_out) {
    const uint64_t *ms = luaL_testudata(L, index, EVERY_TYPE);

    if (ms) {
        *ms_out = *ms;
    }
    return ms != NULL;
}

int config_every(lua_State *L) {
    struct loader *loader = loader_from(L);
    struct key key = {.name = "every", .min = 60 * 1000, .max = 366 * 24 * 3600 * UINT64_C(1000)};
    struct reading_key r = {L, loader, &key, "rule: on =", loader_place(L, loader)};
    uint64_t ms = key.max;

    lua_settop(L, 1);
    read_duration(&r, &ms);
    *(uint64_t *)lua_newuserdatauv(L, sizeof ms, 0) = ms;
    if (luaL_newmetatable(L, EVERY_TYPE)) {
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
    return 1;
}

void read_on(struct reading_key *r, void *target) {
    wire_rule *wire = (wire_rule *)(void *)((char *)target - offsetof(wire_rule, on));
    int choice = WIRE_EVENT_NEW;

    if (is_every(r->L, -1, &wire->every_ms)) {
        wire->on = WIRE_EVENT_TIMER;
        reading_mistake(r, "= every is not there yet: \"new\", \"flags\" and \"gone\" are");
        return;
    }
    read_choice(r, &choice);
    wire->on = (enum wire_event)choice;
}

/* --- what makes sense on an event -------------------------------------------------------------------------------- */

struct check {
    struct loader *loader;
    enum wire_event on;
};

static void check_test(const struct cond_test *test, const wire_place *place, void *user) {
    const struct check *check = user;
    const struct cond_field *field = test->source->field;
    bool change = field->kind == FIELD_FLAGS && field->flags != FLAGS_SET;

    if (change && check->on != WIRE_EVENT_FLAGS) {
        loader_mistake(check->loader, place, "%s tells what changed: it needs on = \"flags\"", field->name);
    } else if (check->on == WIRE_EVENT_GONE && field->kind != FIELD_FLAGS) {
        loader_mistake(check->loader, place,
                       "%s needs the message, which is gone: with on = \"gone\" has_flag is all that can be asked",
                       field->name);
    }
}

void config_check_event(struct loader *loader, const wire_rule *wire, const struct rule *rule) {
    struct check check = {loader, wire->on};

    if (rule->when && !rule->when->is_mistake) {
        cond_foreach_test(rule->when, check_test, &check);
    }
    for (size_t i = 0; i < rule->n_actions && wire->on == WIRE_EVENT_GONE; i++) {
        const struct action *a = rule->actions[i];
        if (verb_needs_message(a->verb)) {
            loader_mistake(loader, &a->place, "%s needs the message, which is gone: on = \"gone\" leaves post and stop",
                           wire_verb_name(a->verb));
        }
    }
}
