#include "vm_state_priv.h"

#include "base/text.h"

#include <string.h>

#define WALK_LEVELS 64

void vm_error_clear(struct vm_error *err) {
    g_free(err->file);
    g_free(err->text);
    g_free(err->traceback);
    *err = (struct vm_error){0};
}

/* The name of a Lua chunk as it was given: "@rules/x.lua" -> "rules/x.lua". */
static const char *chunk_name(const lua_Debug *ar) {
    return *ar->source == '@' || *ar->source == '=' ? ar->source + 1 : ar->short_src;
}

bool vm_place(lua_State *L, int level, const char **file_out, uint32_t *line_out) {
    lua_Debug ar;

    for (int i = 0; i < WALK_LEVELS && lua_getstack(L, i, &ar); i++) {
        if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0 && level-- == 0) {
            *file_out = chunk_name(&ar);
            *line_out = (uint32_t)ar.currentline;
            return true;
        }
    }
    return false;
}

/* If message is "PREFIX:DIGITS: text", where the text starts and the line; else NULL. */
static const char *after_place(const char *message, const char *prefix, uint32_t *line_out) {
    size_t len = strlen(prefix);
    char *end;

    if (strncmp(message, prefix, len) != 0 || message[len] != ':' || !g_ascii_isdigit(message[len + 1])) {
        return NULL;
    }
    unsigned long line = strtoul(message + len + 1, &end, 10);
    if (end[0] != ':' || end[1] != ' ') {
        return NULL;
    }
    *line_out = (uint32_t)line;
    return end + 2;
}

static void set_text(struct vm_error *err, const char *text) {
    GString *out = g_string_new(NULL);

    text_append_escaped(out, text, (gssize)strnlen(text, ERROR_TEXT_MAX));
    err->text = g_string_free(out, FALSE);
}

/* "NAME.lua:12: text", also of a file that is not on the stack: require raises anew what it met in another file. */
static bool parse_place(const char *message, struct vm_error *err) {
    const char *end = strstr(message, ".lua:");
    g_autofree char *name = end ? g_strndup(message, (gsize)(end - message) + strlen(".lua")) : NULL;
    const char *text = name ? after_place(message, name, &err->line) : NULL;

    if (!text) {
        return false;
    }
    g_free(err->file);
    err->file = g_steal_pointer(&name);
    set_text(err, text);
    return true;
}

/* What the message says of its place (error() with a level names a caller) goes before where the stack ended. A long
 * name is cut in messages, hence the comparison with each level's. */
static void locate(lua_State *L, int level, const char *message, struct vm_error *err) {
    lua_Debug ar;
    const char *text;

    for (int i = level; i < level + WALK_LEVELS && lua_getstack(L, i, &ar); i++) {
        if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0) {
            continue;
        }
        if (!err->file) {
            err->file = g_strdup(chunk_name(&ar));
            err->line = (uint32_t)ar.currentline;
        }
        text = after_place(message, ar.short_src, &err->line);
        if (text) {
            g_free(err->file);
            err->file = g_strdup(chunk_name(&ar));
            set_text(err, text);
            return;
        }
    }
    if (!parse_place(message, err)) {
        set_text(err, message);
    }
}

/* Built on the main state: the stack of L may be full, which is what the error may be about. */
static void take_traceback(lua_State *L, int level, struct vm_error *err_out) {
    lua_State *M = vm_from(L)->L;

    if (lua_checkstack(M, LUA_MINSTACK)) {
        luaL_traceback(M, L, NULL, level);
        err_out->traceback = g_strdup(lua_tostring(M, -1));
        lua_pop(M, 1);
    }
}

void vm_error_capture(lua_State *L, int level, const struct vm_budget *budget, struct vm_error *err_out) {
    g_autofree char *message = NULL;

    if (budget->blown) {
        message = g_strdup(vm_blown_text(budget->blown));
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        message = g_strdup(lua_tostring(L, -1));
    } else {
        message = g_strdup_printf("error with a %s value", luaL_typename(L, -1));
    }
    err_out->blown = budget->blown;
    locate(L, level, message, err_out);
    if (budget->blown && budget->file) {
        g_free(err_out->file);
        err_out->file = g_strdup(budget->file);
        err_out->line = budget->line;
    }
    take_traceback(L, level, err_out);
}

void vm_error_parse(const char *message, struct vm_error *err_out) {
    if (!parse_place(message, err_out)) {
        set_text(err_out, message);
    }
}
