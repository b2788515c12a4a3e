/*
 * regex_priv.h - regular expressions that cannot run away.
 *
 * PCRE2 with UTF and Unicode properties. Compiled with JIT where memory may be made executable, else interpreted: the
 * same answers, the same limits. PCRE2's own match limit starts anew at each position of the subject, so a match also
 * has a deadline on the clock, which a callout at every item of the pattern looks at (with JIT too).
 *
 * Patterns are UTF-8, at most LIMIT_REGEX_PATTERN octets. Options at the start that change limits or switch
 * optimisations off ("(*LIMIT_MATCH=...)", "(*NO_JIT)", ...) are refused, likewise \C. Subjects are cut at limits.text.
 */
#ifndef RULES_REGEX_PRIV_H
#define RULES_REGEX_PRIV_H

#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"

#include <stddef.h>

struct regex;         /* a compiled pattern: immutable, shared freely within a thread */
struct regex_matcher; /* what a match needs: limits, clock, room for the groups; one serves every pattern of a thread */

enum {
    REGEX_CASELESS = 1,
    REGEX_ANY_BYTES = 2, /* subjects need not be UTF-8: a pattern never matches across a broken octet */
    REGEX_ANCHORED = 4,  /* matches at the start offset only */
};

/* Fails with ERROR_CONFIG, the text says what and shows where: `missing closing parenthesis at "(abc" >>>""`. */
error *regex_compile(const char *pattern, size_t len, unsigned flags,
                     struct regex **regex_out) G_GNUC_WARN_UNUSED_RESULT;
void regex_free(struct regex *regex); /* accepts NULL */

unsigned regex_groups(const struct regex *regex); /* capture groups, without the whole match */
/* Name of a group, from 1, or NULL. Belongs to the regex. */
const char *regex_group_name(const struct regex *regex, unsigned group);

/* limits and clock are borrowed; clock NULL = this thread's CPU time. */
struct regex_matcher *regex_matcher_new(const struct limits *limits, const clock_source *clock);
void regex_matcher_free(struct regex_matcher *matcher); /* accepts NULL */

enum regex_status { REGEX_MATCH, REGEX_NO_MATCH, REGEX_FAILED };

#define REGEX_UNSET ((size_t)-1)

/* Octet offsets into the subject: group i is [from[2 * i], from[2 * i + 1]), 0 the whole match, REGEX_UNSET if the
 * group took no part. Valid until the matcher's next match. */
struct regex_match {
    const size_t *from;
    unsigned n; /* groups that may be looked at, the whole match included */
};

/*
 * Matches subject[start..len). Without REGEX_ANY_BYTES the subject must be valid UTF-8 (anything else is undefined).
 * REGEX_FAILED: *error_out is ERROR_LIMIT (a limit or the deadline, named). match_out may be NULL.
 */
enum regex_status regex_match(struct regex_matcher *matcher, const struct regex *regex, const char *subject, size_t len,
                              size_t start, struct regex_match *match_out, error **error_out);

#endif
