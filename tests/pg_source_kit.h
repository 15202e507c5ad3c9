// pg_source_kit - the rows that a postgres source gives, for its tests.

#ifndef TESTS_PG_SOURCE_KIT_H
#define TESTS_PG_SOURCE_KIT_H

#include "coordinator/source_postgres.h"
#include "tests/pg_kit.h"

static struct pg_server server;

static inline struct job job_of_query(const char *query)
{
    struct job j;
    job_init(&j);
    j.source = SOURCE_POSTGRES;
    j.postgres = strdup(server.url);
    j.postgres_public = strdup(server.url);
    j.query = strdup(query);
    j.into = strdup("null:");
    return j;
}

struct result {
    struct schema schema;
    struct buf text; // rows as CSV, a line each
};

static inline void result_free(struct result *r)
{
    schema_free(&r->schema);
    buf_free(&r->text);
}

static inline err_t read_rest(struct source *s, struct buf *text, struct err *e)
{
    _Atomic uint64_t target = 1;
    struct chunk_data *c = NULL, *bad;
    err_t rc;
    while ((rc = source_next(s, &target, &c, &bad, e)) == ERR_OK && c) {
        for (size_t at = 0; at < c->held;) {
            PASS(e, source_show(s, c, &at, text, e));
            PASS(e, buf_printf(text, e, "\n"));
        }
        chunk_data_free(&c);
    }
    return rc;
}

static inline struct source *begun(struct job *j, struct result *r)
{
    struct err e;
    struct source *s;
    struct buf trial = { 0 };
    uint64_t rows;
    *r = (struct result){ 0 };
    PASS(&e, source_open(&s, j, &e));
    PASS(&e, source_infer(s, j, &r->schema, &trial, &rows, &e));
    buf_free(&trial);
    return s;
}

static inline struct result result_of(const char *query)
{
    struct err e;
    struct job j = job_of_query(query);
    struct result r;
    struct source *s = begun(&j, &r);
    PASS(&e, read_rest(s, &r.text, &e));
    PASS(&e, buf_add(&r.text, "", 1, &e));
    source_close(&s);
    job_free(&j);
    return r;
}

static inline struct job job_of_table(const char *table)
{
    struct job j = job_of_query("");
    free(j.query);
    j.query = NULL;
    j.postgres_table = strdup(table);
    return j;
}

enum { MANY = 400000 };
#define MAKE_MANY                                                                         \
    "DROP TABLE IF EXISTS many; CREATE TABLE many AS SELECT i, 'some text of row ' || i " \
    "AS t FROM generate_series(1, 400000) i"

static inline uint64_t lines_in(const struct buf *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->p[i] == '\n';
    return n;
}

#endif
