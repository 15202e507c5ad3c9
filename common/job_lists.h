// job_lists - lists of texts, and of pairs of a name and a text.

#ifndef COMMON_JOB_LISTS_H
#define COMMON_JOB_LISTS_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

struct strings { // owns its strings; zero-initialised is a valid empty list
    char **v;
    size_t n;
};
MUST_CHECK err_t strings_add(struct strings *s, const char *p, size_t n, struct err *e);
MUST_CHECK err_t
strings_copy(struct strings *to, const struct strings *from,
             struct err *e);          // `to` is empty; freed by the caller in any case
void strings_free(struct strings *s); // leaves a valid empty list

struct job_pair { // name -> text: params (SQL), tables (path), types (type name), env
    char *name;
    char *value;
};
struct job_pairs { // names are unique; zero-initialised is a valid empty list
    struct job_pair *v;
    size_t n;
};
// Adds a pair, or gives the one of that name a new value.
MUST_CHECK err_t job_pairs_set(struct job_pairs *p, const char *name, const char *value,
                               struct err *e);
const char *job_pairs_get(const struct job_pairs *p, const char *name); // NULL: none
MUST_CHECK err_t job_pairs_copy(struct job_pairs *to, const struct job_pairs *from,
                                struct err *e); // likewise
void job_pairs_free(struct job_pairs *p);       // leaves a valid empty list

struct job_item { // a text that knows where it is written; `name` may be NULL
    char *name;
    char *text;
    int line, column; // of the text's first character in the job file; 0: from a flag
};
struct job_items { // zero-initialised is a valid empty list
    struct job_item *v;
    size_t n;
};
MUST_CHECK err_t job_items_add(struct job_items *s, const char *name, const char *text,
                               int line, int column, struct err *e);
void job_items_free(struct job_items *s); // leaves a valid empty list

#endif
