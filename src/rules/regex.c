#include "regex_priv.h"

#include "base/text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string.h>
#include <time.h>

/* A look at the clock costs as much as some ten items of a pattern. */
enum { CALLOUTS_PER_LOOK = 512, JIT_STACK_START = 32 << 10, JIT_STACK_MAX = 1 << 20, NO_LIMIT_MESSAGE = 200 };

struct regex {
    pcre2_code *code;
    unsigned flags;
    unsigned groups;
    const char **names; /* [groups + 1], into code's name table */
};

struct regex_matcher {
    const struct limits *limits;
    const clock_source *clock;
    clock_source own_clock;
    pcre2_match_context *context;
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
    unsigned data_groups;
    uint64_t deadline;
    unsigned countdown;
};

/* What may stand at the start of a pattern as "(*NAME)" and changes nothing that protects us. */
static bool is_harmless_option(const char *name, size_t len) {
    static const char *const names[] = {"UTF",     "UCP", "CR",  "LF",          "CRLF",
                                        "ANYCRLF", "ANY", "NUL", "BSR_ANYCRLF", "BSR_UNICODE"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_start_option(const char *name, size_t len) {
    static const char *const prefixes[] = {"LIMIT_", "NO_", "NOTEMPTY", NULL};

    for (const char *const *p = prefixes; *p; p++) {
        if (len >= strlen(*p) && memcmp(name, *p, strlen(*p)) == 0) {
            return true;
        }
    }
    return is_harmless_option(name, len);
}

static error *check_options(const char *pattern, size_t len) {
    const char *p = pattern, *end = pattern + len;

    while (end - p > 2 && p[0] == '(' && p[1] == '*') {
        const char *name = p + 2;
        const char *close = memchr(name, ')', (size_t)(end - name));
        size_t n = close ? (size_t)(close - name) : 0;
        if (!close || !is_start_option(name, n)) {
            return NULL;
        }
        if (!is_harmless_option(name, n)) {
            g_autofree char *shown = text_escape(p, (gssize)MIN(n + 3, 40));
            return error_new(ERROR_CONFIG, "a pattern may not set %s", shown);
        }
        p = close + 1;
    }
    return NULL;
}

static error *compile_error(int code, const char *pattern, size_t len, size_t offset) {
    enum { AROUND = 20 };
    PCRE2_UCHAR message[NO_LIMIT_MESSAGE];
    size_t at = MIN(offset, len);
    size_t from = at > AROUND ? at - AROUND : 0;
    size_t to = MIN(at + AROUND, len);

    pcre2_get_error_message(code, message, sizeof message);
    while (from < at && (pattern[from] & 0xc0) == 0x80) {
        from++;
    }
    while (to > at && to < len && (pattern[to] & 0xc0) == 0x80) {
        to--;
    }
    g_autofree char *before = text_escape(pattern + from, (gssize)(at - from));
    g_autofree char *after = text_escape(pattern + at, (gssize)(to - at));
    return error_new(ERROR_CONFIG, "%s at %s%s>>>%s%s", (char *)message, from ? "..." : "", before, after,
                     to < len ? "..." : "");
}

static void read_names(struct regex *regex) {
    uint32_t count = 0, entry = 0, groups = 0;
    PCRE2_SPTR table = NULL;

    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMEENTRYSIZE, &entry);
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMETABLE, &table);
    regex->groups = groups;
    regex->names = g_new0(const char *, groups + 1);
    for (uint32_t i = 0; i < count; i++, table += entry) {
        unsigned group = (unsigned)table[0] << 8 | table[1];
        if (group <= groups) {
            regex->names[group] = (const char *)table + 2;
        }
    }
}

error *regex_compile(const char *pattern, size_t len, unsigned flags, struct regex **regex_out) {
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
    int code;
    size_t offset;

    *regex_out = NULL;
    if (len > LIMIT_REGEX_PATTERN) {
        return error_new(ERROR_CONFIG, "the pattern is longer than %d octets", LIMIT_REGEX_PATTERN);
    }
    if (!g_utf8_validate(pattern, (gssize)len, NULL)) {
        return error_new(ERROR_CONFIG, "the pattern is not UTF-8");
    }
    error *err = check_options(pattern, len);
    if (err) {
        return err;
    }
    options |= flags & REGEX_CASELESS ? PCRE2_CASELESS : 0;
    options |= flags & REGEX_ANCHORED ? PCRE2_ANCHORED : 0;
    options |= flags & REGEX_ANY_BYTES ? PCRE2_MATCH_INVALID_UTF : 0;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, len, options, &code, &offset, NULL);
    if (!compiled) {
        return compile_error(code, pattern, len, offset);
    }
    /* Whatever it answers (no executable memory, pattern too large, ...): the interpreter serves then. */
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    struct regex *regex = g_new0(struct regex, 1);
    regex->code = compiled;
    regex->flags = flags;
    read_names(regex);
    *regex_out = regex;
    return NULL;
}

void regex_free(struct regex *regex) {
    if (regex) {
        pcre2_code_free(regex->code);
        g_free(regex->names);
        g_free(regex);
    }
}

unsigned regex_groups(const struct regex *regex) {
    return regex->groups;
}

const char *regex_group_name(const struct regex *regex, unsigned group) {
    return group <= regex->groups ? regex->names[group] : NULL;
}

static int look_at_clock(pcre2_callout_block *block, void *user) {
    struct regex_matcher *matcher = user;

    (void)block;
    if (--matcher->countdown) {
        return 0;
    }
    matcher->countdown = CALLOUTS_PER_LOOK;
    return clock_elapsed_ms(matcher->clock) >= matcher->deadline ? PCRE2_ERROR_CALLOUT : 0;
}

/* CPU time of this thread: a busy machine must not make a pattern look slow. */
static uint64_t cpu_elapsed(const clock_source *self) {
    struct timespec t;

    (void)self;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct regex_matcher *regex_matcher_new(const struct limits *limits, const clock_source *clock) {
    struct regex_matcher *matcher = g_new0(struct regex_matcher, 1);

    matcher->limits = limits;
    clock_init_real(&matcher->own_clock);
    matcher->own_clock.elapsed = cpu_elapsed;
    matcher->clock = clock ? clock : &matcher->own_clock;
    matcher->context = pcre2_match_context_create(NULL);
    matcher->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, NULL);
    pcre2_set_match_limit(matcher->context, limits->regex_match);
    pcre2_set_depth_limit(matcher->context, limits->regex_depth);
    pcre2_set_heap_limit(matcher->context, limits->regex_heap_kb);
    pcre2_set_callout(matcher->context, look_at_clock, matcher);
    if (matcher->stack) {
        pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
    }
    return matcher;
}

void regex_matcher_free(struct regex_matcher *matcher) {
    if (matcher) {
        pcre2_match_data_free(matcher->data);
        pcre2_match_context_free(matcher->context);
        pcre2_jit_stack_free(matcher->stack);
        g_free(matcher);
    }
}

static void make_room(struct regex_matcher *matcher, unsigned groups) {
    if (!matcher->data || matcher->data_groups < groups + 1) {
        pcre2_match_data_free(matcher->data);
        matcher->data_groups = MAX(groups + 1, 16);
        matcher->data = pcre2_match_data_create(matcher->data_groups, NULL);
    }
}

static size_t cut_subject(const char *subject, size_t len, uint64_t max) {
    if (len <= max) {
        return len;
    }
    size_t cut = (size_t)max;
    while (cut > 0 && (subject[cut] & 0xc0) == 0x80) {
        cut--;
    }
    return cut;
}

static error *match_error(const struct regex_matcher *matcher, int code) {
    PCRE2_UCHAR message[NO_LIMIT_MESSAGE];

    if (code == PCRE2_ERROR_CALLOUT) {
        g_autofree char *time = text_format_duration(matcher->limits->regex_deadline);
        return error_new(ERROR_LIMIT, "the pattern took longer than %s (limits.regex_deadline)", time);
    }
    pcre2_get_error_message(code, message, sizeof message);
    return error_new(ERROR_LIMIT, "the pattern could not be matched: %s", (char *)message);
}

enum regex_status regex_match(struct regex_matcher *matcher, const struct regex *regex, const char *subject, size_t len,
                              size_t start, struct regex_match *match_out, error **error_out) {
    uint32_t options = regex->flags & REGEX_ANY_BYTES ? 0 : PCRE2_NO_UTF_CHECK;

    *error_out = NULL;
    len = cut_subject(subject, len, matcher->limits->text);
    if (start > len) {
        return REGEX_NO_MATCH;
    }
    make_room(matcher, regex->groups);
    matcher->countdown = CALLOUTS_PER_LOOK;
    matcher->deadline = clock_elapsed_ms(matcher->clock) + matcher->limits->regex_deadline;
    int rc = pcre2_match(regex->code, (PCRE2_SPTR)subject, len, start, options, matcher->data, matcher->context);
    if (rc == PCRE2_ERROR_NOMATCH) {
        return REGEX_NO_MATCH;
    }
    if (rc < 0) {
        *error_out = match_error(matcher, rc);
        return REGEX_FAILED;
    }
    if (match_out) {
        match_out->from = pcre2_get_ovector_pointer(matcher->data);
        match_out->n = (unsigned)rc;
    }
    return REGEX_MATCH;
}
