#include "lib_priv.h"

#include <string.h>
#include <time.h>

#define DATE_TYPE "mailruled.date"
#define EPOCH_MIN (-62135596800) /* year 1 */
#define EPOCH_MAX 253402300799   /* year 9999 */
#define FORMAT_MAX 256

struct date {
    int64_t epoch;
    int32_t offset; /* seconds east of UTC */
};

void lib_date_push(lua_State *L, int64_t epoch, int32_t offset) {
    struct date *date = lua_newuserdatauv(L, sizeof *date, 0);

    *date = (struct date){.epoch = CLAMP(epoch, EPOCH_MIN, EPOCH_MAX), .offset = CLAMP(offset, -86400, 86400)};
    luaL_setmetatable(L, DATE_TYPE);
}

static struct date *check_date(lua_State *L, int arg) {
    return luaL_checkudata(L, arg, DATE_TYPE);
}

static struct tm broken_down(const struct date *date) {
    struct tm tm = {0};
    time_t shifted = (time_t)(date->epoch + date->offset);

    gmtime_r(&shifted, &tm);
    tm.tm_gmtoff = date->offset;
    tm.tm_zone = date->offset ? "" : "UTC";
    return tm;
}

char *lib_date_rfc3339(int64_t epoch) {
    const struct date date = {.epoch = CLAMP(epoch, EPOCH_MIN, EPOCH_MAX)};
    struct tm tm = broken_down(&date);
    char text[40];

    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return g_strdup_printf("%0*d%s", 4, tm.tm_year + 1900, strchr(text, '-'));
}

/* --- methods ---------------------------------------------------------------------------------------------------- */

static struct tm check_tm(lua_State *L) {
    return broken_down(check_date(L, 1));
}

static int push_int(lua_State *L, int value) {
    lua_pushinteger(L, value);
    return 1;
}

static int date_year(lua_State *L) {
    return push_int(L, check_tm(L).tm_year + 1900);
}

static int date_month(lua_State *L) {
    return push_int(L, check_tm(L).tm_mon + 1);
}

static int date_day(lua_State *L) {
    return push_int(L, check_tm(L).tm_mday);
}

static int date_hour(lua_State *L) {
    return push_int(L, check_tm(L).tm_hour);
}

static int date_minute(lua_State *L) {
    return push_int(L, check_tm(L).tm_min);
}

static int date_second(lua_State *L) {
    return push_int(L, check_tm(L).tm_sec);
}

static int date_weekday(lua_State *L) {
    int day = check_tm(L).tm_wday;

    return push_int(L, day ? day : 7);
}

static int date_yearday(lua_State *L) {
    return push_int(L, check_tm(L).tm_yday + 1);
}

/* g_free; NULL if it is longer than FORMAT_MAX. */
static char *format_date(const struct date *date, const char *format) {
    GTimeZone *zone = g_time_zone_new_offset(date->offset);
    GDateTime *utc = g_date_time_new_from_unix_utc(date->epoch), *there = g_date_time_to_timezone(utc, zone);
    char *text = there ? g_date_time_format(there, format) : NULL;

    if (text && strlen(text) > FORMAT_MAX) {
        g_clear_pointer(&text, g_free);
    }
    g_clear_pointer(&there, g_date_time_unref);
    g_date_time_unref(utc);
    g_time_zone_unref(zone);
    return text;
}

static int date_format(lua_State *L) {
    const struct date *date = check_date(L, 1);
    const char *format = luaL_optstring(L, 2, "%Y-%m-%d %H:%M:%S");

    luaL_argcheck(L, strlen(format) <= FORMAT_MAX && g_utf8_validate(format, -1, NULL), 2, "too long, or not UTF-8");
    for (const char *p = strchr(format, '%'); p; p = strchr(p + 2, '%')) {
        if (!p[1] || !strchr("aAbBdeFgGHIjmMpPRsSTuVwyYzZ%", p[1])) {
            return luaL_argerror(L, 2, "unknown conversion after '%'");
        }
    }
    char *text = format_date(date, format);
    luaL_argcheck(L, text, 2, "the result is too long");
    lua_pushstring(L, text);
    g_free(text);
    return 1;
}

static int date_iso(lua_State *L) {
    struct tm tm = broken_down(check_date(L, 1));
    char text[64];
    size_t n = strftime(text, sizeof text, tm.tm_gmtoff ? "%Y-%m-%dT%H:%M:%S%z" : "%Y-%m-%dT%H:%M:%SZ", &tm);

    if (tm.tm_gmtoff) { /* +0200 -> +02:00 */
        memmove(text + n - 1, text + n - 2, 3);
        text[n - 2] = ':';
        n++;
    }
    lua_pushlstring(L, text, n);
    return 1;
}

static int date_utc(lua_State *L) {
    lib_date_push(L, check_date(L, 1)->epoch, 0);
    return 1;
}

static int date_local(lua_State *L) {
    time_t epoch = (time_t)check_date(L, 1)->epoch;
    struct tm tm = {0};

    localtime_r(&epoch, &tm);
    lib_date_push(L, epoch, (int32_t)tm.tm_gmtoff);
    return 1;
}

const luaL_Reg lib_date_methods[] = {{"day", date_day},
                                     {"format", date_format},
                                     {"hour", date_hour},
                                     {"iso", date_iso},
                                     {"local_time", date_local},
                                     {"minute", date_minute},
                                     {"month", date_month},
                                     {"second", date_second},
                                     {"utc", date_utc},
                                     {"weekday", date_weekday},
                                     {"year", date_year},
                                     {"yearday", date_yearday},
                                     {NULL, NULL}};
const char *const lib_date_attributes[] = {"epoch", "offset", NULL};

/* --- operators -------------------------------------------------------------------------------------------------- */

/* Upvalue: the methods. */
static int date_index(lua_State *L) {
    const struct date *date = check_date(L, 1);
    const char *name = luaL_checkstring(L, 2);

    if (strcmp(name, "epoch") == 0) {
        lua_pushinteger(L, date->epoch);
    } else if (strcmp(name, "offset") == 0) {
        lua_pushinteger(L, date->offset);
    } else if (lua_getfield(L, lua_upvalueindex(1), name) == LUA_TNIL) {
        return luaL_error(L, "a date has no '%s'", name);
    }
    return 1;
}

static int date_eq(lua_State *L) {
    lua_pushboolean(L, check_date(L, 1)->epoch == check_date(L, 2)->epoch);
    return 1;
}

static int date_lt(lua_State *L) {
    lua_pushboolean(L, check_date(L, 1)->epoch < check_date(L, 2)->epoch);
    return 1;
}

static int date_le(lua_State *L) {
    lua_pushboolean(L, check_date(L, 1)->epoch <= check_date(L, 2)->epoch);
    return 1;
}

/* date - date: seconds; date - duration: date */
static int date_sub(lua_State *L) {
    const struct date *date = check_date(L, 1), *other = luaL_testudata(L, 2, DATE_TYPE);

    if (other) {
        lua_pushinteger(L, date->epoch - other->epoch);
    } else {
        lib_date_push(L, date->epoch - (int64_t)(lib_check_duration(L, 2, 0) / 1000), date->offset);
    }
    return 1;
}

static int date_add(lua_State *L) {
    int at = luaL_testudata(L, 1, DATE_TYPE) ? 1 : 2;
    const struct date *date = check_date(L, at);

    lib_date_push(L, date->epoch + (int64_t)(lib_check_duration(L, 3 - at, 0) / 1000), date->offset);
    return 1;
}

static const luaL_Reg date_meta[] = {{"__eq", date_eq},   {"__lt", date_lt},   {"__le", date_le},
                                     {"__sub", date_sub}, {"__add", date_add}, {"__tostring", date_iso},
                                     {NULL, NULL}};

/* --- the library ------------------------------------------------------------------------------------------------ */

static int time_now(lua_State *L) {
    const rules_job *job = vm_job(L);

    lib_date_push(L, job ? job->now : clock_wall_ms(vm_clock(vm_from(L))) / 1000, 0);
    return 1;
}

/* RFC 3339, its date alone (midnight UTC), or a number of seconds. */
static int time_parse(lua_State *L) {
    const char *text;

    if (lua_type(L, 1) == LUA_TNUMBER) {
        lib_date_push(L, (int64_t)luaL_checkinteger(L, 1), 0);
        return 1;
    }
    text = luaL_checkstring(L, 1);
    g_autofree char *whole = strlen(text) == 10 ? g_strconcat(text, "T00:00:00Z", NULL) : g_strdup(text);
    GTimeZone *utc = g_time_zone_new_utc();
    GDateTime *parsed = g_date_time_new_from_iso8601(whole, utc);
    int64_t epoch = parsed ? g_date_time_to_unix(parsed) : 0;
    int32_t offset = parsed ? (int32_t)(g_date_time_get_utc_offset(parsed) / G_USEC_PER_SEC) : 0;

    g_time_zone_unref(utc);
    g_clear_pointer(&whole, g_free);
    if (!parsed) {
        return lib_nothing(L, "no date: RFC 3339 such as 2024-05-06T07:08:09Z, or 2024-05-06");
    }
    g_date_time_unref(parsed);
    lib_date_push(L, epoch, offset);
    return 1;
}

static int time_format(lua_State *L) {
    if (lua_type(L, 1) == LUA_TNUMBER) {
        lib_date_push(L, (int64_t)luaL_checkinteger(L, 1), 0);
        lua_replace(L, 1);
    }
    return date_format(L);
}

static int time_duration(lua_State *L) {
    lua_pushnumber(L, (lua_Number)lib_check_duration(L, 1, 0) / 1000);
    return 1;
}

static const luaL_Reg functions[] = {
    {"duration", time_duration}, {"format", time_format}, {"now", time_now}, {"parse", time_parse}, {NULL, NULL}};

void lib_open_time(struct vm *vm) {
    lua_State *L = vm_state(vm);

    vm_new_type(L, DATE_TYPE, date_meta);
    luaL_newlib(L, lib_date_methods);
    lua_pushcclosure(L, date_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    vm_set_library(vm, "time", functions);
}
