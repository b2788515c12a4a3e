/*
 * match_priv.h - comparing strings: case folding, globs, and many needles in one haystack.
 */
#ifndef RULES_MATCH_PRIV_H
#define RULES_MATCH_PRIV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Valid UTF-8 to what compares equal whatever the case: Unicode case folding, combining marks composed. g_free. */
char *match_fold(const char *s, size_t len, size_t *len_out);

/* `*` any run, `?` one character, `[a-z]` `[!a-z]` one of a set, `\` takes the next one as it is. UTF-8 both. Time is
 * at most pattern times subject. */
bool match_glob(const char *pattern, const char *s);
bool match_is_glob(const char *s); /* has one of * ? [ that no backslash hides */
/* NULL if it is well formed, else what is wrong with it; static. */
const char *match_glob_mistake(const char *pattern);

/* Folder names, "/" between levels: as above, and as in IMAP (RFC 3501 section 6.3.8) `%` is a run within one level. */
bool match_folder_glob(const char *pattern, const char *name);

/* A string that every text contains which the pattern matches; NULL if none of some length is seen at once. g_free.
 * Glob: in the text as compared. Regex (PCRE2 syntax): in the raw text, or where *caseless (in: the option; out: or the
 * pattern says so) in the folded one. */
char *match_glob_literal(const char *pattern);
char *match_regex_literal(const char *pattern, bool *caseless);

/* Needles that are looked for all at once, in time that hardly grows with their number. */
struct needles;

struct needles *needles_new(void);
void needles_free(struct needles *needles); /* accepts NULL */
enum needle_place { NEEDLE_ANYWHERE, NEEDLE_AT_START, NEEDLE_AT_END };
/* s is borrowed. */
void needles_add(struct needles *needles, const char *s, size_t len, enum needle_place place, unsigned id);
void needles_prepare(struct needles *needles); /* after the last add */
/* Calls hit at least once for each id that is found, whatever the order. */
void needles_scan(const struct needles *needles, const char *text, size_t len, void (*hit)(void *user, unsigned id),
                  void *user);

#endif
