#include "common/csv_read.h"
#include "proto/spec_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static err_t failed(sqlite3 *db, const char *name, struct err *e)
{
    bool nomem = (sqlite3_errcode(db) & 0xff) == SQLITE_NOMEM;
    return err_set(e, nomem ? ERR_NOMEM : ERR_TRANSFORM, "table %s: %s", name,
                   sqlite3_errmsg(db));
}

static err_t run(sqlite3 *db, const char *name, char *sql, struct err *e)
{
    if (!sql) return err_set(e, ERR_NOMEM, "out of memory: table %s", name);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? ERR_OK : failed(db, name, e);
}

static struct cell cell_of(const struct vec *v, uint32_t row)
{
    if (!vec_valid(v, row)) return (struct cell){ .kind = CELL_NULL };
    const struct misfit *m = v->n_misfits ? vec_misfit(v, row) : NULL;
    if (m) return (struct cell){ CELL_TEXT, m->len, { .p = m->p } };
    if (type_is_text(v->type)) {
        uint32_t at = v->off[row];
        return (struct cell){ CELL_TEXT, v->off[row + 1] - at, { .p = v->bytes + at } };
    }
    if (v->type == TYPE_REAL) return (struct cell){ .kind = CELL_REAL, .r = v->f64[row] };
    return (struct cell){ .kind = CELL_INTEGER, .i = v->i64[row] };
}

static err_t insert_rows(sqlite3 *db, const char *name, const struct batch *b,
                         sqlite3_stmt *stmt, struct err *e)
{
    for (uint32_t r = 0; r < b->rows; r++) {
        for (uint32_t i = 0; i < b->n_cols; i++) {
            struct cell c = cell_of(&b->col[i], r);
            if (spec_sql_bind_cell(stmt, (int)i + 1, &c) != SQLITE_OK)
                return failed(db, name, e);
        }
        sqlite3_step(stmt);
        if (sqlite3_reset(stmt) != SQLITE_OK) return failed(db, name, e);
    }
    return ERR_OK;
}

static err_t insert(sqlite3 *db, const char *into, const struct spec_table *t,
                    const struct batch *b, struct err *e)
{
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_str_appendf(sql, "INSERT INTO \"%w\".\"%w\" VALUES(?", into, t->name);
    for (uint32_t i = 1; i < t->schema.n; i++)
        sqlite3_str_appendall(sql, ",?");
    sqlite3_str_appendall(sql, ")");
    char *text = sqlite3_str_finish(sql);
    if (!text) return err_set(e, ERR_NOMEM, "out of memory: table %s", t->name);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &stmt, NULL);
    sqlite3_free(text);
    err_t result =
        rc == SQLITE_OK ? insert_rows(db, t->name, b, stmt, e) : failed(db, t->name, e);
    sqlite3_finalize(stmt);
    return result;
}

// A row that cannot be read would be missing from every join: not for a job to start with.
static err_t refuse(const struct spec_table *t, const struct rejects *rejects,
                    struct err *e)
{
    struct slice all = { rejects->bytes.p, rejects->bytes.n };
    struct reject r;
    size_t at = 0;
    bool bad;
    if (!rejects_next(all, &at, &r, &bad)) return ERR_OK;
    return err_set(e, ERR_TRANSFORM, "table %s: line %llu: %.*s%s%.*s", t->name,
                   (unsigned long long)r.line, (int)r.column.n, (const char *)r.column.p,
                   r.column.n ? ": " : "", (int)r.reason.n, (const char *)r.reason.p);
}

static err_t parse(const struct spec *spec, const struct spec_table *t, const uint8_t *p,
                   struct batch *b, struct err *e)
{
    struct csv_reader *reader = NULL;
    struct rejects rejects = { 0 };
    struct csv_read_stats stats = { 0 };
    struct csv_read_pos pos = { .byte = 0, .line = 2 }; // after the header
    TRY(csv_reader_new(&reader, &spec->dialect, &t->schema, NULL, e));
    err_t rc = csv_read_chunk(reader, p, t->csv_bytes, pos, b, &rejects, &stats, e);
    if (rc == ERR_OK) rc = refuse(t, &rejects, e);
    rejects_free(&rejects);
    csv_reader_free(&reader);
    return rc;
}

err_t spec_sql_table_read(const struct spec *spec, const struct spec_table *t,
                          struct batch *out, struct err *e)
{
    *out = (struct batch){ 0 };
    uint8_t *copy =
        calloc(1, t->csv_bytes + 2 * CSV_PAD); // the reader looks past both ends
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory: table %s", t->name);
    if (t->csv_bytes) memcpy(copy + CSV_PAD, t->csv, t->csv_bytes);
    err_t rc = parse(spec, t, copy + CSV_PAD, out, e);
    free(copy);
    return rc;
}

static err_t load_rows(sqlite3 *db, const struct spec *spec, const char *into,
                       const struct spec_table *t, struct err *e)
{
    struct batch b;
    err_t rc = spec_sql_table_read(spec, t, &b, e);
    if (rc == ERR_OK) rc = insert(db, into, t, &b, e);
    batch_free(&b);
    return rc;
}

static err_t check_name(const char *name, struct err *e)
{
    static const char *const taken[] = { "batch", "json_each", "json_tree" };
    bool bad = !*name || strncasecmp(name, "sqlite_", 7) == 0 ||
               strncasecmp(name, "pragma_", 7) == 0;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        bad |= strcasecmp(name, taken[i]) == 0;
    if (!bad) return ERR_OK;
    return err_set(e, ERR_TRANSFORM, "a lookup table cannot be named '%s'", name);
}

static err_t load(sqlite3 *db, const struct spec *spec, const char *into,
                  const struct spec_table *t, struct err *e)
{
    TRY(check_name(t->name, e));
    TRY(run(db, t->name, spec_sql_create(into, t->name, &t->schema), e));
    TRY(load_rows(db, spec, into, t, e));
    // Row counts make the planner look the tables up from the batch, not the other way.
    return run(db, t->name, sqlite3_mprintf("ANALYZE \"%w\".\"%w\"", into, t->name), e);
}

bool spec_sql_has_name(const struct buf *names, const char *name)
{
    for (size_t at = 0; at < names->n;) {
        const char *table = (const char *)names->p + at;
        if (strcasecmp(table, name) == 0) return true;
        at += strlen(table) + 1;
    }
    return false;
}

err_t spec_sql_tables_load(sqlite3 *db, const struct spec *spec, const char *into,
                           struct buf *names, struct err *e)
{
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL)) return failed(db, "", e);
    for (size_t i = 0; i < spec->n_tables; i++) {
        const struct spec_table *t = &spec->tables[i];
        TRY(load(db, spec, into, t, e));
        TRY(buf_add(names, t->name, strlen(t->name) + 1, e));
    }
    return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) ? failed(db, "", e) : ERR_OK;
}
