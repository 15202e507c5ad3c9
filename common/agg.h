// agg - what a job's `aggregate:` asks for: the columns to group by and the functions to
// compute. Pure data and its parser; agg_table, agg_state and agg_merge do the work.

#ifndef COMMON_AGG_H
#define COMMON_AGG_H

#include "common/job.h"
#include "common/types.h"

// X(NAME, name in job files, least arguments, most arguments, works on numbers only)
#define AGG_FUNCTIONS(X)                         \
    X(COUNT, "count", 1, 1, 0)                   \
    X(SUM, "sum", 1, 1, 1)                       \
    X(AVG, "avg", 1, 1, 1)                       \
    X(MIN, "min", 1, 1, 0)                       \
    X(MAX, "max", 1, 1, 0)                       \
    X(STDDEV, "stddev", 1, 1, 1)                 \
    X(VARIANCE, "variance", 1, 1, 1)             \
    X(QUANTILE, "quantile", 2, 2, 1)             \
    X(MEDIAN, "median", 1, 1, 1)                 \
    X(COUNT_DISTINCT, "count_distinct", 1, 1, 0) \
    X(MAX_BY, "max_by", 2, 2, 0)                 \
    X(MIN_BY, "min_by", 2, 2, 0)

enum agg_kind {
#define X(id, text, least, most, numbers) AGG_##id,
    AGG_FUNCTIONS(X)
#undef X
};

struct agg_fn {
    char *name; // of the result's column
    char *text; // "quantile(delay, 0.95)", as written
    enum agg_kind kind;
    char *column;   // NULL: count(*)
    char *deciding; // column of MAX_BY and MIN_BY that says which row it is; else NULL
    double q;       // of QUANTILE and MEDIAN, 0 to 1
};

enum { AGG_MAX_KEYS = 100, AGG_MAX_FUNCTIONS = 200 };

struct agg { // owns all of it; zero-initialised: no aggregate
    struct strings by;
    struct agg_fn *fn;
    size_t n_fn;
};

static inline bool agg_given(const struct agg *a)
{
    return a->by.n || a->n_fn;
}

// One expression: name(column), name(column, number), name(column, column), count(*). A
// column is a word of letters, digits and _, or stands in double quotes. ERR_PARSE: the
// sentence is in e, *at is the byte of the text that it is about. out->name is left NULL.
MUST_CHECK err_t agg_fn_parse(struct agg_fn *out, const char *text, size_t *at,
                              struct err *e);
void agg_fn_free(struct agg_fn *f);

MUST_CHECK err_t agg_add_by(struct agg *a, const char *column, struct err *e);
// Parses and adds. ERR_PARSE as agg_fn_parse.
MUST_CHECK err_t agg_add_fn(struct agg *a, const char *name, const char *text,
                            struct err *e);
void agg_free(struct agg *a); // leaves no aggregate

// The job's aggregate, parsed. ERR_INVALID names place and mistake.
MUST_CHECK err_t agg_of_job(struct agg *a, const struct job *j, struct err *e);

// Whether the aggregate can be computed over rows of this schema, before anything runs:
// every column exists and, where a function works on numbers, is not text. `typed`: the
// types are more than guesses, some value was seen. `j` gives the places of the sentence.
// ERR_INVALID.
MUST_CHECK err_t agg_check(const struct agg *a, const struct job *j,
                           const struct schema *rows, bool typed, struct err *e);

// What a chunk gives (the keys, then the states of agg_plan.h), and what the table has in
// the end, for rows of this schema. Columns are known to exist.
MUST_CHECK err_t agg_partial_schema(const struct agg *a, struct schema *out, struct err *e);
MUST_CHECK err_t agg_result_schema(const struct agg *a, const struct schema *rows,
                                   struct schema *out, struct err *e);

#endif
