// The end of an aggregate. Its states are staged as they came: a row has its keys in a form
// in which equal ones are equal bytes, so that the server can put them beside each other,
// and all of its values as row_code.h has them. They are merged by the code that every
// warehouse uses, in the last transaction: a crash leaves the states as they were.

#include "coordinator/warehouse_pg.h"

#include "common/agg_group.h"
#include "common/crash.h"
#include "common/row_code.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STATE_COLUMNS = 2,
    FETCH_ROWS_MAX = 1024,
    FETCH_BYTES = 1 << 20,
    FLUSH_BYTES = 1 << 20
};

static bool read_row(struct agg_group *g, const uint8_t *p, size_t n, size_t *at)
{
    for (uint32_t i = 0; i < g->n_keys + g->n_states; i++)
        if (!row_code_next(p, n, at, &g->row[i])) return false;
    return true;
}

// ---- a chunk's states are looked at before they are taken in

err_t wpg_states_check(const struct warehouse *w, const struct result *r, struct err *e)
{
    struct agg_group g;
    const struct load_merge *m = w->merge;
    err_t rc = agg_group_open(&g, &m->spec->aggregate, m->memory_bytes, e);
    if (rc == ERR_OK)
        rc = agg_group_check(&g, r->image, r->image_bytes, r->row.rows_emitted, e);
    agg_group_close(&g);
    return rc;
}

// ---- staged

// 1 and 1.0 are one key.
static struct cell key_of(const struct cell *c)
{
    bool whole = c->kind == CELL_REAL && c->r == trunc(c->r) && fabs(c->r) < 0x1p63;
    return whole ? (struct cell){ .kind = CELL_INTEGER, .i = (int64_t)c->r } : *c;
}

// The columns of the user's table have types; these two are bytes.
static err_t stage_rows(struct warehouse *w, const struct result *r, struct buf *key,
                        struct err *e)
{
    const struct load_merge *m = w->merge;
    size_t at = 0;
    w->kept.n = 0;
    for (uint64_t i = 0; i < r->row.rows_emitted; i++) {
        size_t from = at;
        struct cell c;
        key->n = 0;
        TRY(buf_reserve(key, 1, e));
        for (uint32_t k = 0; k < m->spec->aggregate.by.n; k++) {
            if (!row_code_next(r->image, r->image_bytes, &at, &c))
                return err_set(e, ERR_PROTO, "the states are cut");
            c = key_of(&c);
            TRY(row_code_put(key, &c, e));
        }
        if (!row_code_skip(r->image, r->image_bytes, &at, w->n_states))
            return err_set(e, ERR_PROTO, "the states are cut");
        TRY(buf_add(&w->kept, (const uint8_t[]){ 0, STATE_COLUMNS }, 2, e));
        TRY(wpg_bytes_add(&w->kept, key->p, key->n, e));
        TRY(wpg_bytes_add(&w->kept, r->image + from, at - from, e));
    }
    return ERR_OK;
}

err_t wpg_states_add(struct warehouse *w, struct result *r, struct err *e)
{
    struct buf key = { 0 };
    uint64_t taken;
    err_t rc = stage_rows(w, r, &key, e);
    buf_free(&key);
    struct wpg_rows rows = { w->kept.p, w->kept.n, r->row.rows_emitted };
    if (rc == ERR_OK && rows.n) rc = wpg_copy(w, w->copy_sql, &rows, &taken, e);
    if (rc == ERR_OK) r->row.rows_loaded = r->row.rows_emitted;
    return rc;
}

// ---- merged

struct into { // where the result goes
    struct warehouse *w;
    struct agg_group group;
    char *copy_sql;
    uint64_t waiting, refused; // rows: in w->kept; that no column can have
};

static err_t flush(struct into *x, struct err *e)
{
    struct wpg_rows rows = { x->w->kept.p, x->w->kept.n, x->waiting };
    uint64_t taken;
    if (rows.n == 0) return ERR_OK;
    TRY(wpg_copy(x->w, x->copy_sql, &rows, &taken, e));
    x->w->merge->rows_out += taken;
    x->w->kept.n = 0;
    x->waiting = 0;
    return ERR_OK;
}

static err_t refuse(struct into *x, const struct cell *row, uint32_t column,
                    const char *why, struct err *e)
{
    struct buf csv = { 0 };
    const struct schema *s = &x->w->schema;
    char reason[REJECT_REASON_MAX];
    err_t rc = buf_reserve(&csv, 1, e);
    for (uint32_t i = 0; rc == ERR_OK && i < s->n && csv.n < REJECT_RAW_MAX; i++) {
        if (i) rc = buf_add(&csv, ",", 1, e);
        if (rc == ERR_OK) rc = pg_copy_field(&row[i], &csv, e);
    }
    int n = snprintf(reason, sizeof reason, "%s (a row of the aggregate's result)", why);
    struct reject r = { .byte = REJECT_NO_BYTE,
                        .column = { (const uint8_t *)s->f[column].name,
                                    strlen(s->f[column].name) },
                        .reason = { (const uint8_t *)reason, (size_t)n },
                        .raw = { csv.p, csv.n } };
    if (rc == ERR_OK) rc = wpg_reject_add(x->w, WPG_NO_INPUT, &r, e);
    buf_free(&csv);
    x->refused++;
    return rc;
}

static err_t add_row(struct into *x, const struct cell *row, struct err *e)
{
    struct warehouse *w = x->w;
    char why[PG_COPY_WHY_MAX];
    size_t most = 2;
    for (uint32_t i = 0; i < w->schema.n; i++)
        most += pg_copy_value_max(&row[i]);
    TRY(buf_reserve(&w->kept, most, e));
    uint8_t *p = pg_put16(w->kept.p + w->kept.n, (uint16_t)w->schema.n);
    for (uint32_t i = 0; i < w->schema.n; i++) {
        p = pg_copy_put(p, w->schema.f[i].type, &row[i], why);
        if (!p) return refuse(x, row, i, why, e);
    }
    w->kept.n = (size_t)(p - w->kept.p);
    x->waiting++;
    return w->kept.n < FLUSH_BYTES ? ERR_OK : flush(x, e);
}

static err_t add_group(void *arg, const struct cell *key, const struct cell *value,
                       struct err *e)
{
    struct into *x = arg;
    struct cell row[SCHEMA_MAX_COLUMNS];
    memcpy(row, key, x->group.n_keys * sizeof *row);
    memcpy(row + x->group.n_keys, value, x->group.n_fn * sizeof *row);
    return add_row(x, row, e);
}

static err_t merge_fetched(struct into *x, const PGresult *r, size_t *bytes, struct err *e)
{
    *bytes = 0;
    for (int i = 0; i < PQntuples(r); i++) {
        size_t at = 0, n = (size_t)PQgetlength(r, i, 0);
        if (!read_row(&x->group, (const uint8_t *)PQgetvalue(r, i, 0), n, &at))
            return err_set(e, ERR_DB, "%s: %s has states that are none", x->w->shown,
                           x->w->target);
        TRY(agg_group_add(&x->group, add_group, x, e));
        *bytes += n;
    }
    return ERR_OK;
}

// States may be large, so not many of them are asked for before their size is known.
static err_t merge_states(struct into *x, struct err *e)
{
    char fetch[64];
    for (int want = 4;;) {
        struct warehouse *w = x->w;
        size_t bytes = 0;
        snprintf(fetch, sizeof fetch, "FETCH %d FROM states", want);
        PGresult *r = PQexecParams(w->pg->c, fetch, 0, NULL, NULL, NULL, NULL, 1);
        err_t rc = PQresultStatus(r) == PGRES_TUPLES_OK
                       ? merge_fetched(x, r, &bytes, e)
                       : wpg_fail(w, pg_fail(w->pg, r, fetch, e), e, "reading the states");
        bool end = PQntuples(r) < want;
        PQclear(r);
        TRY(rc);
        if (end) break;
        if (bytes > FETCH_BYTES && want > 1)
            want /= 2;
        else if (bytes < FETCH_BYTES / 2 && want < FETCH_ROWS_MAX)
            want *= 2;
    }
    TRY(agg_group_end(&x->group, add_group, x, e));
    TRY(flush(x, e));
    return wpg_rejects_write(x->w, e);
}

static void say_refused(struct into *x)
{
    char line[200];
    if (!x->refused || !x->w->say) return;
    snprintf(line, sizeof line,
             "%" PRIu64
             " row%s of the aggregate's result can't stand in PostgreSQL: see %s",
             x->refused, x->refused == 1 ? "" : "s", x->w->rejects);
    x->w->say(x->w->say_arg, line);
}

static err_t make_result(struct into *x, const char *result, struct err *e)
{
    struct warehouse *w = x->w;
    const struct load_merge *m = w->merge;
    TRY(wpg_schema_take(w, m->rows, e));
    if (!m->sql)
        TRY(load_indexes_take(&w->indexes, &w->schema, w->merge_indexes, w->n_merge_indexes,
                              e));
    TRY(wpg_table_create(w, result, &w->schema, e));
    TRY(wpg_copy_statement(result, w->columns, &x->copy_sql, e));
    w->kept.n = w->reject_rows.n = 0;
    w->merge->rows_out = 0;
    TRY(agg_group_open(&x->group, &m->spec->aggregate, m->memory_bytes, e));
    TRY(merge_states(x, e));
    crash_point("merge-after-aggregate");
    return ERR_OK;
}

// The result is a table of that name; the states are dropped.
static err_t aggregate(struct warehouse *w, const char *result, struct err *e)
{
    struct into x = { .w = w };
    char *target = pg_quoted(w->target);
    err_t rc = target ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK)
        rc = wpg_do(w, e, "reading the states",
                    "DECLARE states NO SCROLL CURSOR FOR SELECT row FROM %s ORDER BY key",
                    target);
    if (rc == ERR_OK) rc = make_result(&x, result, e);
    agg_group_close(&x.group);
    free(x.copy_sql);
    if (rc == ERR_OK)
        rc = wpg_do(w, e, "dropping the states", "CLOSE states; DROP TABLE %s", target);
    free(target);
    if (rc == ERR_OK) say_refused(&x);
    return rc == ERR_INVALID ? err_wrap(e, ERR_DB, "%s", w->shown) : rc;
}

err_t wpg_merge(struct warehouse *w, const char *result, struct err *e)
{
    char *parts = NULL;
    crash_point("merge-before");
    if (!w->merge->sql) return aggregate(w, result, e);
    if (!w->aggregates) return wpg_sql_run(w, w->target, result, e);
    if (asprintf(&parts, "%s_parts", w->target) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = aggregate(w, parts, e);
    if (rc == ERR_OK) rc = wpg_sql_run(w, parts, result, e);
    free(parts);
    return rc;
}
