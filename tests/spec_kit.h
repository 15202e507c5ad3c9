// spec_kit - specs as values: the smallest, and one that has everything.

#ifndef TESTS_SPEC_KIT_H
#define TESTS_SPEC_KIT_H

#include "proto/spec.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline char *dup(const char *s)
{
    return strdup(s);
}

static inline void add_column(struct schema *s, const char *name, enum type t, bool given)
{
    struct err e;
    PASS(&e, schema_add(s, name, strlen(name), t, given, &e));
}

static inline void add_param(struct spec *s, const char *name, struct cell value)
{
    s->params = realloc(s->params, (s->n_params + 1) * sizeof *s->params);
    s->params[s->n_params++] = (struct spec_param){ dup(name), value };
}

static inline struct cell bytes_cell(enum cell_kind kind, const char *p, uint32_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    return (struct cell){ .kind = kind, .len = n, .p = copy };
}

static inline void set_nulls(struct spec *s, size_t n, const char *const *v)
{
    char **nulls = malloc((n ? n : 1) * sizeof *nulls);
    for (size_t i = 0; i < n; i++)
        nulls[i] = dup(v[i]);
    s->dialect.nulls = (const char *const *)nulls;
    s->dialect.n_nulls = n;
}

static inline void set_sql(struct spec *s, const char *sql)
{
    struct err e;
    struct step step = { .kind = STEP_SQL, .sql = dup(sql) };
    PASS(&e, steps_add(&s->steps, &s->n_steps, &step, &e));
}

static inline void add_exec(struct spec *s)
{
    struct err e;
    struct step step = { .kind = STEP_EXEC,
                         .format = STEP_JSONL,
                         .persistent = true,
                         .sandbox = STEP_STRICT,
                         .dir = dup("/home/a") };
    PASS(&e, strings_add(&step.argv, "python3", 7, &e));
    PASS(&e, strings_add(&step.argv, "", 0, &e));
    PASS(&e, job_pairs_set(&step.env, "A", "b=c", &e));
    PASS(&e, job_pairs_set(&step.env, "EMPTY", "", &e));
    step.said = dup("strict");
    add_column(&step.out, "id", TYPE_INTEGER, false);
    PASS(&e, steps_add(&s->steps, &s->n_steps, &step, &e));
}

static inline void add_plugin(struct spec *s)
{
    struct err e;
    struct step step = { .kind = STEP_PLUGIN, .path = dup("/home/a/libx.so") };
    PASS(&e, job_pairs_set(&step.args, "limit", "5", &e));
    PASS(&e, steps_add(&s->steps, &s->n_steps, &step, &e));
}

static inline void add_http(struct spec *s)
{
    struct err e;
    struct step step = { .kind = STEP_HTTP };
    step_http_init(&step.http);
    step.http.url = dup("https://host/api?x={id}");
    step.http.rows = dup("$.items[*]");
    step.http.next = dup("link");
    step.http.keep_given = step.http.fields_given = true;
    step.http.gap_ns = 1000000;
    PASS(&e, job_pairs_set(&step.http.headers, "Authorization", "Bearer $TOKEN", &e));
    PASS(&e, job_pairs_set(&step.http.fields, "city", "address.city", &e));
    PASS(&e, strings_add(&step.http.keep, "id", 2, &e));
    PASS(&e, steps_add(&s->steps, &s->n_steps, &step, &e));
}

static inline void add_forecast(struct spec *s)
{
    struct err e;
    struct step step = { .kind = STEP_FORECAST };
    PASS(&e, step_forecast_init(&step.forecast, &e));
    PASS(&e, strings_add(&step.forecast.by, "region", 6, &e));
    step.forecast.periods = 30;
    step.forecast.permille = 950;
    step.forecast.every = STEP_WEEK;
    step.forecast.holidays = STEP_NO_HOLIDAYS;
    PASS(&e, steps_add(&s->steps, &s->n_steps, &step, &e));
}

static inline void add_table(struct spec *s, const char *name, const char *csv)
{
    s->tables = realloc(s->tables, (s->n_tables + 1) * sizeof *s->tables);
    struct spec_table *t = &s->tables[s->n_tables++];
    *t = (struct spec_table){ .name = dup(name), .csv_bytes = strlen(csv) };
    t->csv = (uint8_t *)dup(csv);
    add_column(&t->schema, "code", TYPE_TEXT, false);
    add_column(&t->schema, "n", TYPE_INTEGER, true);
}

static inline void add_file(struct spec *s, const char *name, uint32_t mode)
{
    char path[100];
    snprintf(path, sizeof path, "/job/%s", name);
    s->files.v = realloc(s->files.v, (s->files.n + 1) * sizeof *s->files.v);
    struct job_file *f = &s->files.v[s->files.n++];
    *f = (struct job_file){
        .name = dup(name), .path = dup(path), .size = 5000000000 / 2, .mode = mode
    };
    for (int i = 0; i < FILE_DIGEST; i++)
        f->digest.b[i] = (uint8_t)(i * 7 + mode);
}

static inline void table_in_file(struct spec *s, uint32_t file)
{
    add_table(s, "large", "");
    struct spec_table *t = &s->tables[s->n_tables - 1];
    free(t->csv);
    t->csv = NULL;
    t->csv_bytes = 3000000;
    t->digest = (struct hash128){ 0x123456789abcdef0, 0xfedcba9876543210 };
    t->file = file;
    t->file_at = 1000;
}

static inline struct spec small_spec(void)
{
    return (struct spec){ .dialect = { .delimiter = ',', .quote = '"' },
                          .sink = dup("null") };
}

static inline struct spec full_spec(void)
{
    static const char *const nulls[] = { "", "NA", "\xe2\x88\x85" };
    struct spec s = small_spec();
    s.dialect.delimiter = ';';
    set_nulls(&s, N_OF(nulls), nulls);
#define X(name, num, text, decl, aff) add_column(&s.in, text, TYPE_##name, num % 2);
    TYPES(X)
#undef X
    add_column(&s.out,
               "Gr\xc3\xb6\xc3\x9f"
               "e",
               TYPE_ANY, false);
    set_sql(&s, "SELECT 'a''b' FROM batch -- \xc3\xa4");
    s.reader = dup("jsonl");
    s.fields.v = malloc(sizeof *s.fields.v);
    s.fields.v[s.fields.n++] = dup("address.city");
    s.list = dup("emails");
    add_exec(&s);
    add_plugin(&s);
    add_http(&s);
    add_forecast(&s);
    struct err e;
    PASS(&e, agg_add_by(&s.aggregate, "origin", &e));
    PASS(&e, agg_add_fn(&s.aggregate, "n", "count(*)", &e));
    PASS(&e, agg_add_fn(&s.aggregate, "p95", "quantile(delay, 0.95)", &e));
    PASS(&e, agg_add_fn(&s.aggregate, "last", "max_by(tail, hour)", &e));
    add_param(&s, "none", (struct cell){ .kind = CELL_NULL });
    add_param(&s, "max", (struct cell){ .kind = CELL_INTEGER, .i = INT64_MAX });
    add_param(&s, "min", (struct cell){ .kind = CELL_INTEGER, .i = INT64_MIN });
    add_param(&s, "pi", (struct cell){ .kind = CELL_REAL, .r = 0x1.921fb54442d18p+1 });
    add_param(&s, "text", bytes_cell(CELL_TEXT, "a\0\xc3\xa4", 4));
    add_param(&s, "blob", bytes_cell(CELL_BLOB, "\xff\x00\xfe", 3));
    add_param(&s, "empty", bytes_cell(CELL_TEXT, "", 0));
    add_table(&s, "airports", "JFK,1\nLAX,2\n");
    add_table(&s, "empty", "");
    add_file(&s, "clean.py", 0500);
    add_file(&s, "\xff.csv", 0400);
    table_in_file(&s, 1);
    s.timeout_ms = 600000;
    s.memory_bytes = 1ull << 40;
    s.result_max_bytes = 64 << 20;
    return s;
}

#endif
