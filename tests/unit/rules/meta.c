/* The definition file for editors and the manual say what there is: no name more, none less. */
#include "tests/unit/rules/vm_harness.h"

#include <glib/gstdio.h>
#include <lualib.h>
#include <unistd.h>

#define META "rules/meta/mailruled.lua"
#define MANUAL "man/mailruled-rules.7"

/* What plain Lua has is not ours to describe. */
static bool is_plain_lua(lua_State *plain, const char *name) {
    const char *dot = strchr(name, '.');
    g_autofree char *first = dot ? g_strndup(name, (gsize)(dot - name)) : g_strdup(name);
    bool found = lua_getglobal(plain, first) != LUA_TNIL;

    if (dot && found) {
        found = lua_istable(plain, -1) && lua_getfield(plain, -1, dot + 1) != LUA_TNIL;
    }
    lua_settop(plain, 0);
    return found;
}

/* A minimal config, loaded, so that the config's own names are there too. */
static struct rules *load(void) {
    g_autofree char *template = g_strdup("/tmp/mailruled-meta-XXXXXX");
    g_autofree char *path = NULL;
    wire_message *config = wire_message_new(WIRE_CONFIG);
    struct rules *set = NULL;

    assert_non_null(g_mkdtemp(template));
    path = g_build_filename(template, "config.lua", NULL);
    assert_true(g_file_set_contents(path,
                                    "account 'a' { host = 'h.example', user = 'u', password = secret.env 'P' }\n"
                                    "rule 'r' { actions = { flag 'x' } }",
                                    -1, NULL));
    assert_null(rules_load(path, false, NULL, config, &set));
    if (config->u.config.n_mistakes) {
        fail_msg("%s", config->u.config.mistakes[0].text);
    }
    assert_non_null(set);
    wire_message_free(config);
    g_unlink(path);
    g_rmdir(template);
    return set;
}

static void take(GHashTable *names, GRegex *regex, const char *line, const char *class_, int groups) {
    GMatchInfo *match;

    if (g_regex_match(regex, line, 0, &match)) {
        g_autofree char *one = g_match_info_fetch(match, 1), *two = groups > 1 ? g_match_info_fetch(match, 2) : NULL;
        g_hash_table_add(names, class_ ? g_strconcat(class_, ".", one, NULL) : g_strconcat(one, two ? two : "", NULL));
    }
    g_match_info_free(match);
}

/* "Message.subject", "Message:move", "json.encode", "print" from the lines of the file. Option tables are left out. */
static GHashTable *read_meta(const char *text) {
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GRegex *class_line = g_regex_new("^---@class mailruled\\.(\\w+)", 0, 0, NULL);
    GRegex *field_line = g_regex_new("^---@field (\\w+)", 0, 0, NULL);
    GRegex *function_line = g_regex_new("^function ([\\w.:]+)\\(", 0, 0, NULL);
    GRegex *value_line = g_regex_new("^([a-z][\\w.]*) = ", 0, 0, NULL);
    static const char *const option_tables[] = {"TestOptions", "FolderOptions", "HttpOptions",     "OAuth2", "Account",
                                                "Webhook",     "Rule",          "AttachmentField", NULL};
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *class_ = NULL;

    for (size_t i = 0; lines[i]; i++) {
        GMatchInfo *match;
        if (g_regex_match(class_line, lines[i], 0, &match)) {
            g_free(class_);
            class_ = g_match_info_fetch(match, 1);
        }
        g_match_info_free(match);
        if (class_ && !g_strv_contains(option_tables, class_)) {
            take(names, field_line, lines[i], class_, 1);
        }
        take(names, function_line, lines[i], NULL, 1);
        take(names, value_line, lines[i], NULL, 1);
    }
    g_regex_unref(class_line);
    g_regex_unref(field_line);
    g_regex_unref(function_line);
    g_regex_unref(value_line);
    return names;
}

static void the_definition_file_and_the_api_are_the_same(void **state) {
    struct rules *set = load();
    lua_State *plain = luaL_newstate();
    g_auto(GStrv) api = lib_api(set->vm);
    g_autofree char *text = NULL;
    GString *wrong = g_string_new(NULL);
    GHashTableIter iter;
    gpointer name;

    luaL_openlibs(plain);
    assert_true(g_file_get_contents(META, &text, NULL, NULL));
    GHashTable *meta = read_meta(text);
    assert_true(g_hash_table_size(meta) > 150);
    for (size_t i = 0; api[i]; i++) {
        if (!is_plain_lua(plain, api[i]) && !g_hash_table_remove(meta, api[i])) {
            g_string_append_printf(wrong, "\n  %s is not in " META, api[i]);
        }
    }
    for (g_hash_table_iter_init(&iter, meta); g_hash_table_iter_next(&iter, &name, NULL);) {
        g_string_append_printf(wrong, "\n  %s does not exist", (char *)name);
    }
    if (wrong->len) {
        fail_msg("%s", wrong->str);
    }
    g_string_free(wrong, TRUE);
    g_hash_table_unref(meta);
    lua_close(plain);
    rules_free(set);
}

static void the_manual_names_everything(void **state) {
    static const char *const of_the_config[] = {"include", "defaults", "state",   "control", "metrics",
                                                "secret",  "webhook",  "account", "_G",      NULL};
    struct rules *set = load();
    lua_State *plain = luaL_newstate();
    g_auto(GStrv) api = lib_api(set->vm);
    g_autofree char *text = NULL;
    GString *wrong = g_string_new(NULL);

    luaL_openlibs(plain);
    assert_true(g_file_get_contents(MANUAL, &text, NULL, NULL));
    for (size_t i = 0; api[i]; i++) {
        const char *name = strpbrk(api[i], ".:") ? strpbrk(api[i], ".:") + 1 : api[i];
        g_autofree char *pattern = g_strdup_printf("\\b%s\\b", name);
        bool left_out = is_plain_lua(plain, api[i]) || g_strv_contains(of_the_config, api[i]) ||
                        g_str_has_prefix(api[i], "secret.");
        if (!left_out && !g_regex_match_simple(pattern, text, 0, 0)) {
            g_string_append_printf(wrong, "\n  %s is not in " MANUAL, api[i]);
        }
    }
    if (wrong->len) {
        fail_msg("%s", wrong->str);
    }
    g_string_free(wrong, TRUE);
    lua_close(plain);
    rules_free(set);
}

static void the_definition_file_is_lua(void **state) {
    lua_State *plain = luaL_newstate();

    if (luaL_loadfile(plain, META) != LUA_OK) {
        fail_msg("%s", lua_tostring(plain, -1));
    }
    lua_close(plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_definition_file_and_the_api_are_the_same),
        cmocka_unit_test(the_definition_file_is_lua),
        cmocka_unit_test(the_manual_names_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
