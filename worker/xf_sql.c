#include "worker/xf_sql.h"

#include "common/sql_functions.h"
#include "common/sql_guard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char WHERE[] = "a transform";

struct xf_sql {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    bool emits; // the statement gives rows to tranche_emit, not to sqlite3_step
    struct sql_guard guard;
    struct schema in, result;
    struct buf tables; // names of the lookup tables, each with its NUL
    struct xf_sql_batch batch;
    struct xf_sql_out out;
    ns_t deadline;
    sqlite3_value **row; // the result's columns, when the statement does not emit
    uint32_t *source;    // of the result's columns: see xf_sql_out
};

// What the statement may read. `rowid` would be a row's number within its batch, which
// depends on how the input was cut.
static const char *judge_read(void *arg, const char *table, const char *column)
{
    struct xf_sql *x = arg;
    if (!*column) return NULL;
    if (strcasecmp(table, XF_SQL_BATCH) == 0) {
        int i = schema_find(&x->in, column);
        if (i < 0) return "rowid of batch, which depends on how the input is cut";
        if (x->batch.want) x->batch.want[i] = true;
        return NULL;
    }
    bool known = strcasecmp(table, "json_each") == 0 ||
                 strcasecmp(table, "json_tree") == 0 ||
                 spec_sql_has_name(&x->tables, table);
    return known ? NULL : "a table that is not of this job";
}

static err_t prepare_connection(struct xf_sql *x, const struct spec *spec, struct err *e)
{
    enum { SHARE = 2, USUAL = 512 << 20 }; // half for SQLite, half for the result
    uint64_t bytes = spec->memory_bytes ? spec->memory_bytes / SHARE : USUAL;
    x->guard = (struct sql_guard){ .read = judge_read, .arg = x, .heap_bytes = bytes };
    x->out.max_bytes = bytes;
    TRY(sql_guard_open(&x->db, e));
    TRY(sql_functions_add(x->db, e));
    TRY(xf_sql_vtab_add(x->db, &x->batch, e));
    TRY(spec_sql_tables_load(x->db, spec, "main", &x->tables, e));
    TRY(sql_guard_close_doors(&x->guard, x->db, XF_SQL_BATCH, e));
    sql_guard_deadline(x->db, &x->deadline);
    return ERR_OK;
}

static err_t say_more(const struct xf_sql *x, const char *sql, err_t rc, struct err *e)
{
    struct spec_sql_known known = { XF_SQL_BATCH, "the batch", &x->in, &x->tables };
    return rc == ERR_TRANSFORM ? spec_sql_say_more(x->db, &known, sql, rc, e) : rc;
}

// source: NULL, or only those that are computed.
static void append_columns(sqlite3_str *s, uint32_t n, const uint32_t *source)
{
    const char *comma = "";
    for (uint32_t i = 0; i < n; i++) {
        if (source && source[i] != XF_SQL_COMPUTED) continue;
        sqlite3_str_appendf(s, "%sc%u", comma, i);
        comma = ",";
    }
}

// WITH tranche_rows(c0,c1) AS (the statement) SELECT tranche_emit(c0,c1) FROM tranche_rows:
// rows go from SQLite's loop straight into our cells, text without a copy. An aggregate
// that is not SQLite's own sees rows in the order that the subquery asks for.
static char *emitting(const char *sql, uint32_t n_cols, const uint32_t *source)
{
    size_t n = strlen(sql);
    if (n && sql[n - 1] == ';') n--;
    sqlite3_str *s = sqlite3_str_new(NULL);
    sqlite3_str_appendall(s, "WITH tranche_rows(");
    append_columns(s, n_cols, NULL);
    sqlite3_str_appendall(s, ") AS (");
    sqlite3_str_append(s, sql, (int)n);
    sqlite3_str_appendf(s, "\n) SELECT %s(", XF_SQL_EMIT);
    append_columns(s, n_cols, source);
    sqlite3_str_appendall(s, ") FROM tranche_rows");
    return sqlite3_str_finish(s);
}

// Takes x->stmt's place when it can be had: functions take few arguments, and a comment
// that is never closed hides the end of our own SQL.
static err_t try_emitting(struct xf_sql *x, const char *user_sql, const uint32_t *source,
                          struct err *e)
{
    char *sql = emitting(user_sql, x->result.n, source);
    if (!sql) return err_set(e, ERR_NOMEM, "out of memory: SQL");
    sqlite3_stmt *stmt = NULL;
    err_t rc = sql_guard_prepare(x->db, sql, WHERE, ERR_TRANSFORM, &stmt, e);
    x->emits = rc == ERR_OK && (!source || xf_sql_scans_once(x->db, sql));
    sqlite3_free(sql);
    sqlite3_stmt *other = x->emits ? x->stmt : stmt;
    if (x->emits) x->stmt = stmt;
    sqlite3_finalize(other);
    return rc == ERR_TRANSFORM ? ERR_OK : rc;
}

static err_t prepare_emitting(struct xf_sql *x, struct err *e)
{
    enum { ARGS_MAX = 127 };
    uint32_t n = x->result.n;
    const char *sql = sqlite3_sql(x->stmt); // as long as x->stmt is this one
    x->source = calloc(n, sizeof *x->source);
    if (!x->source) return err_set(e, ERR_NOMEM, "out of memory: SQL");
    uint32_t plain = xf_sql_plain(x->stmt, &x->in, x->source);
    x->guard.own_function = XF_SQL_EMIT;
    TRY(xf_sql_out_add(x->db, &x->out, e));
    if (plain && n - plain <= ARGS_MAX) TRY(try_emitting(x, sql, x->source, e));
    if (x->emits) x->out.source = x->source;
    if (!x->emits && n <= ARGS_MAX) TRY(try_emitting(x, sql, NULL, e));
    return ERR_OK;
}

static err_t open_steps(struct xf_sql *x, const struct spec *spec, const char *sql,
                        struct err *e)
{
    TRY(prepare_connection(x, spec, e));
    err_t rc = sql_guard_prepare(x->db, sql, WHERE, ERR_TRANSFORM, &x->stmt, e);
    if (rc != ERR_OK) return say_more(x, sql, rc, e);
    TRY(spec_sql_columns(x->stmt, &x->result, e));
    TRY(prepare_emitting(x, e));
    TRY(spec_sql_bind(x->stmt, spec, e));
    x->row = calloc(x->result.n, sizeof *x->row);
    return x->row ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory: SQL");
}

static void close_sql(void **state)
{
    struct xf_sql *x = *state;
    *state = NULL;
    if (!x) return;
    sqlite3_finalize(x->stmt);
    sqlite3_close(x->db);
    schema_free(&x->in);
    schema_free(&x->result);
    buf_free(&x->tables);
    free(x->row);
    free(x->source);
    free(x);
}

static err_t open_sql(void **state, const struct spec *spec, const struct schema *in,
                      const struct step *step, bool *want, struct schema *out_schema,
                      struct err *e)
{
    *state = NULL;
    struct xf_sql *x = calloc(1, sizeof *x);
    if (!x) return err_set(e, ERR_NOMEM, "out of memory: a transform");
    x->deadline = NS_NEVER;
    x->batch = (struct xf_sql_batch){ .schema = &x->in, .want = want };
    err_t rc = schema_copy(&x->in, in, e);
    if (rc == ERR_OK) rc = open_steps(x, spec, step->sql, e);
    if (rc == ERR_OK) rc = schema_copy(out_schema, &x->result, e);
    x->batch.want = NULL;
    *state = x;
    if (rc != ERR_OK) close_sql(state);
    return rc;
}

static err_t say_failure(const struct xf_sql *x, int rc, struct err *e)
{
    unsigned long long mib = x->guard.heap_bytes >> 20;
    const char *message = sqlite3_errmsg(x->db);
    switch (rc & 0xff) {
    case SQLITE_INTERRUPT:
        return err_set(e, ERR_TIMEOUT, "the SQL ran past the time limit of its batch");
    case SQLITE_NOMEM:
        return err_set(
            e, ERR_TOOBIG,
            "the SQL needs more than its %llu MiB of memory for one batch; raise "
            "limits.worker_memory or make batches smaller",
            mib);
    case SQLITE_TOOBIG: return err_set(e, ERR_TRANSFORM, "a value is larger than 32 MiB");
    default: break;
    }
    if (strcmp(message, "local time unavailable") == 0)
        return err_set(e, ERR_TRANSFORM,
                       "'localtime' and 'utc' depend on the host's time "
                       "zone; add the offset, e.g. '+2 hours'");
    return err_set(e, ERR_TRANSFORM, "%s", message);
}

static int run(struct xf_sql *x)
{
    int rc;
    int n = sqlite3_column_count(x->stmt);
    while ((rc = sqlite3_step(x->stmt)) == SQLITE_ROW && x->out.rc == ERR_OK) {
        if (x->emits) continue;
        for (int i = 0; i < n; i++)
            x->row[i] = sqlite3_column_value(x->stmt, i);
        xf_sql_out_row(&x->out, x->row);
    }
    return rc;
}

static err_t apply_sql(void *state, const struct batch *in, struct batch *out,
                       ns_t deadline, struct err *e)
{
    struct xf_sql *x = state;
    assert(in->n_cols == x->in.n);
    TRY(batch_start(out, &x->result, e));
    x->batch.in = x->out.in = in;
    x->out.out = out;
    x->out.at = &x->batch.row;
    x->out.e = e;
    x->deadline = deadline;
    TRY(xf_sql_out_begin(&x->out, x->result.n));
    (void)sql_guard_clock_asked();
    int rc = run(x);
    err_t result = ERR_OK;
    if (x->out.rc != ERR_OK)
        result = x->out.rc;
    else if (sql_guard_clock_asked())
        result = err_set(e, ERR_TRANSFORM,
                         "'now' is not allowed in a transform, it has no "
                         "clock; pass the time as a param");
    else if (rc != SQLITE_DONE)
        result = say_failure(x, rc, e);
    else {
        xf_sql_out_end(&x->out);
        result = x->out.rc;
    }
    sqlite3_reset(x->stmt);
    x->batch.in = NULL;
    return result;
}

static bool gathers(void *state, const struct step *step)
{
    struct xf_sql *x = state;
    return xf_sql_gathers(x->db, step->sql);
}

const struct transform_ops transform_sql = { .name = "sql",
                                             .open = open_sql,
                                             .apply = apply_sql,
                                             .gathers = gathers,
                                             .close = close_sql };
