// opt_set - one setter a kind of value: each puts what was read into the job, or says with
// conf_wrong what is wrong with it and leaves the job as it was.

#ifndef COMMON_OPT_SET_H
#define COMMON_OPT_SET_H

#include "common/conf.h"

#define OPT_SETTERS(X)  \
    X(name)             \
    X(needs)            \
    X(cache)            \
    X(schedule)         \
    X(steps)            \
    X(files)            \
    X(fields)           \
    X(rows)             \
    X(range)            \
    X(sqlite_file)      \
    X(postgres)         \
    X(any_text)         \
    X(big_count)        \
    X(delimiter)        \
    X(quote)            \
    X(header)           \
    X(encoding)         \
    X(types)            \
    X(nulls)            \
    X(batch_bytes)      \
    X(sql)              \
    X(exec)             \
    X(env)              \
    X(beside)           \
    X(plugin)           \
    X(args)             \
    X(http)             \
    X(http_url)         \
    X(http_headers)     \
    X(http_rows)        \
    X(http_fields)      \
    X(http_keep)        \
    X(http_next)        \
    X(http_rate)        \
    X(forecast)         \
    X(forecast_periods) \
    X(forecast_by)      \
    X(forecast_share)   \
    X(by)               \
    X(compute)          \
    X(merge)            \
    X(into)             \
    X(table)            \
    X(key)              \
    X(watermark)        \
    X(indexes)          \
    X(charts)           \
    X(chart_title)      \
    X(chart_name)       \
    X(chart_names)      \
    X(chart_last)       \
    X(choice)           \
    X(bool)             \
    X(unordered)        \
    X(switch)           \
    X(params)           \
    X(tables) X(bad_rows) X(count) X(duration) X(size) X(workers) X(labels) X(listen)

#define X(name) void set_##name(struct conf *, const struct opt *, const struct value *);
OPT_SETTERS(X)
#undef X

enum {
    OPT_TABLE_NAME_MAX = 63,
    OPT_LABEL_MAX = 60,
    OPT_LABELS_MAX = 8,
    OPT_KEY_MAX = 64, // columns of a key or an index
    OPT_INDEXES_MAX = 64,
};
// NULL: a good name for a table; else what is wrong with it.
const char *opt_table_name_wrong(const char *name);

// ---- what the setters share ----

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })
#define PASSWORD_IN_A_FLAG                                                        \
    "everybody on this machine can see the password in a flag: it is taken from " \
    "~/.pgpass, PGPASSWORD or the job file"
#define LATER "not in this version of tranche (" TRANCHE_VERSION ")"

// The text of a single value. NULL: it is none, or not UTF-8; that has been said.
const char *opt_single(struct conf *c, const struct opt *o, const struct value *v);
bool opt_is_map(struct conf *c, const struct opt *o, const struct value *v);
bool opt_sql_is_good(struct conf *c, const struct opt *o, const struct value *v,
                     const char *text);
bool opt_path_is_good(struct conf *c, const struct opt *o, const struct value *v,
                      const char *path);
bool opt_big_count(struct conf *c, const struct opt *o, const struct value *v, uint64_t *n);
bool opt_truth(const char *text, bool *out); // false: neither true nor false
bool opt_copy_text(struct conf *c, char **to, const char *text); // false: no memory
// Keys that differ in case only name the same column or table; those of one mapping were
// compared byte by byte before.
bool opt_unique(struct conf *c, const struct opt *o, const struct value *map,
                const struct value *m);
// How an earlier place (the file, when a flag comes) wrote the same name; else the name.
const char *opt_known_as(const struct job_pairs *p, const char *name);

#endif
