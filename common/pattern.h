// pattern - regular expressions, as Perl has them (PCRE2, compiled to machine code where
// the host allows that). Text is UTF-8; no pattern matches across bytes that are not.
//
// Patterns come from people who write SQL: one is at most PATTERN_MAX bytes, what it
// compiles to is bounded by PCRE2, and a match gives up after PATTERN_STEPS_MAX steps from
// one place of the text.

#ifndef COMMON_PATTERN_H
#define COMMON_PATTERN_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    PATTERN_MAX = 1000, // bytes
    PATTERN_STEPS_MAX = 1000000,
    PATTERN_HEAP_MAX = 16 << 20, // bytes, of one match
};

struct pattern;

// ERR_INVALID: it is longer than PATTERN_MAX or no regular expression; the sentence says
// where.
MUST_CHECK err_t pattern_new(struct pattern **out, const char *text, size_t n,
                             struct err *e);
void pattern_free(struct pattern **p);

// Whether it matches anywhere in the n bytes. ERR_TOOBIG: too many steps or too much
// memory. Not from two threads at once.
MUST_CHECK err_t pattern_matches(struct pattern *p, const char *text, size_t n,
                                 bool *matches, struct err *e);

#endif
