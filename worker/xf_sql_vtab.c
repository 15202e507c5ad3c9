#include "worker/row_filter.h"
#include "worker/xf_sql.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { FILTERS_MAX = 8 };

const char *const XF_SQL_BATCH = "batch";

// An eponymous virtual table: it exists as soon as its module is known, and can't be made
// or dropped by SQL.
struct table {
    sqlite3_vtab base;
    struct xf_sql_batch *b;
};

struct cursor {
    sqlite3_vtab_cursor base;
    struct xf_sql_batch *b;
    const struct batch *in;
    uint32_t row;
    uint32_t word; // row's word, and its rows from `row` on that may match
    uint64_t matches;
    uint32_t n_filters;
    struct row_filter filter[FILTERS_MAX];
    sqlite3_value *text[FILTERS_MAX]; // that the filters compare to
};

static int x_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                     sqlite3_vtab **out, char **message)
{
    (void)argc;
    (void)argv;
    (void)message;
    struct xf_sql_batch *b = aux;
    char *sql = spec_sql_create("main", XF_SQL_BATCH, b->schema);
    if (!sql) return SQLITE_NOMEM;
    int rc = sqlite3_declare_vtab(db, sql);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) return rc;
    sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
    struct table *t = sqlite3_malloc(sizeof *t);
    if (!t) return SQLITE_NOMEM;
    *t = (struct table){ .b = b };
    *out = &t->base;
    return SQLITE_OK;
}

static int x_disconnect(sqlite3_vtab *t)
{
    sqlite3_free(t);
    return SQLITE_OK;
}

static bool filter_op(int constraint, enum row_filter_op *op)
{
    switch (constraint) {
    case SQLITE_INDEX_CONSTRAINT_EQ: *op = ROW_FILTER_EQ; return true;
    case SQLITE_INDEX_CONSTRAINT_NE: *op = ROW_FILTER_NE; return true;
    case SQLITE_INDEX_CONSTRAINT_LT: *op = ROW_FILTER_LT; return true;
    case SQLITE_INDEX_CONSTRAINT_LE: *op = ROW_FILTER_LE; return true;
    case SQLITE_INDEX_CONSTRAINT_GT: *op = ROW_FILTER_GT; return true;
    case SQLITE_INDEX_CONSTRAINT_GE: *op = ROW_FILTER_GE; return true;
    case SQLITE_INDEX_CONSTRAINT_IS: *op = ROW_FILTER_IS; return true;
    case SQLITE_INDEX_CONSTRAINT_ISNULL: *op = ROW_FILTER_ISNULL; return true;
    case SQLITE_INDEX_CONSTRAINT_ISNOTNULL: *op = ROW_FILTER_NOTNULL; return true;
    default: return false;
    }
}

static bool can_filter(const struct schema *s, sqlite3_index_info *info, int i,
                       enum row_filter_op *op)
{
    int column = info->aConstraint[i].iColumn;
    if (!info->aConstraint[i].usable || column < 0) return false;
    if (!filter_op(info->aConstraint[i].op, op)) return false;
    if (sqlite3_vtab_in(info, i, -1)) return false; // would come as a scan for each element
    enum type t = s->f[column].type;
    bool has_text = type_is_text(t) || t == TYPE_ANY;
    return !has_text || strcmp(sqlite3_vtab_collation(info, i), "BINARY") == 0;
}

static void note_columns(struct xf_sql_batch *b, const sqlite3_index_info *info)
{
    for (uint32_t i = 0; b->want && i < b->schema->n; i++) {
        uint32_t bit = i < 63 ? i : 63; // the last bit stands for all that follow
        if (info->colUsed >> bit & 1) b->want[i] = true;
    }
}

// The plan, as idxStr: "column:op " for each filter. A filter reads the whole column and
// costs next to nothing beside a row that SQLite looks at; but the cost given stays that of
// a scan, so that SQLite never breaks an OR into several scans, which would change the
// order of the rows, nor scans the batch for each row of a lookup table.
static int x_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    enum { ROWS = 100000, SCAN_COST = 2000000 };
    const struct table *t = (const struct table *)base;
    char plan[FILTERS_MAX * 16];
    int n = 0, len = 0;
    double rows = ROWS;
    plan[0] = 0;
    note_columns(t->b, info);
    for (int i = 0; i < info->nConstraint && n < FILTERS_MAX; i++) {
        enum row_filter_op op;
        if (!can_filter(t->b->schema, info, i, &op)) continue;
        len += snprintf(plan + len, sizeof plan - (size_t)len, "%d:%d ",
                        info->aConstraint[i].iColumn, (int)op);
        info->aConstraintUsage[i].argvIndex = ++n;
        rows /= op == ROW_FILTER_EQ || op == ROW_FILTER_IS ? 50 : 3;
    }
    info->idxNum = n;
    info->idxStr = sqlite3_mprintf("%s", plan);
    info->needToFreeIdxStr = 1;
    info->estimatedRows = rows < 1 ? 1 : (sqlite3_int64)rows;
    info->estimatedCost = SCAN_COST;
    return info->idxStr ? SQLITE_OK : SQLITE_NOMEM;
}

static int x_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    (void)base;
    struct cursor *c = sqlite3_malloc(sizeof *c);
    if (!c) return SQLITE_NOMEM;
    memset(c, 0, sizeof *c);
    *out = &c->base;
    return SQLITE_OK;
}

static uint64_t word_matches(struct cursor *c)
{
    uint64_t m = ~UINT64_C(0);
    uint64_t left = c->in->rows - (uint64_t)c->word * 64;
    if (left < 64) m = (UINT64_C(1) << left) - 1;
    for (uint32_t i = 0; i < c->n_filters && m; i++)
        m &= row_filter_word(&c->filter[i], c->word);
    return m;
}

// Moves to the next row that may match, or to the end.
static void advance(struct cursor *c)
{
    while (!c->matches) {
        c->word++;
        if ((uint64_t)c->word * 64 >= c->in->rows) {
            c->row = c->in->rows;
            return;
        }
        c->matches = word_matches(c);
    }
    c->row = c->b->row = c->word * 64 + (uint32_t)__builtin_ctzll(c->matches);
    c->matches &= c->matches - 1;
}

// A value's text lives as long as `keep`, which is the cursor's.
static int cell_of_value(sqlite3_value *v, struct cell *c, sqlite3_value **keep)
{
    *c = (struct cell){ .kind = CELL_NULL };
    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
        c->kind = CELL_INTEGER;
        c->i = sqlite3_value_int64(v);
        return SQLITE_OK;
    case SQLITE_FLOAT:
        c->kind = CELL_REAL;
        c->r = sqlite3_value_double(v);
        return SQLITE_OK;
    case SQLITE_BLOB: c->kind = CELL_BLOB; return SQLITE_OK;
    case SQLITE_NULL: return SQLITE_OK;
    default: break;
    }
    *keep = sqlite3_value_dup(v);
    if (!*keep) return SQLITE_NOMEM;
    c->kind = CELL_TEXT;
    c->p = sqlite3_value_blob(*keep);
    c->len = (uint32_t)sqlite3_value_bytes(*keep);
    return SQLITE_OK;
}

static void forget_filters(struct cursor *c)
{
    for (uint32_t i = 0; i < c->n_filters; i++)
        sqlite3_value_free(c->text[i]);
    memset(c->text, 0, sizeof c->text);
    c->n_filters = 0;
}

static int x_close(sqlite3_vtab_cursor *base)
{
    forget_filters((struct cursor *)base);
    sqlite3_free(base);
    return SQLITE_OK;
}

static int x_filter(sqlite3_vtab_cursor *base, int n_filters, const char *plan, int argc,
                    sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)base;
    struct xf_sql_batch *b = ((const struct table *)base->pVtab)->b;
    assert(b->in && argc == n_filters && n_filters <= FILTERS_MAX);
    forget_filters(c);
    c->b = b;
    c->in = b->in;
    for (int i = 0; i < n_filters; i++) {
        int column, op, used;
        int got = sscanf(plan, "%d:%d %n", &column, &op, &used);
        assert(got == 2 && column >= 0 && (uint32_t)column < c->in->n_cols);
        plan += used;
        struct cell value;
        int rc = cell_of_value(argv[i], &value, &c->text[i]);
        if (rc != SQLITE_OK) return rc;
        row_filter_init(&c->filter[i], &c->in->col[column], c->in->rows,
                        b->schema->f[column].type, (enum row_filter_op)op, &value);
        c->n_filters++;
    }
    c->word = 0;
    c->matches = word_matches(c);
    advance(c);
    return SQLITE_OK;
}

static int x_next(sqlite3_vtab_cursor *base)
{
    advance((struct cursor *)base);
    return SQLITE_OK;
}

static int x_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *c = (const struct cursor *)base;
    return c->row >= c->in->rows;
}

static int x_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = ((const struct cursor *)base)->row;
    return SQLITE_OK;
}

static void result_text(sqlite3_context *ctx, const uint8_t *p, uint32_t n)
{
    // Static: the batch outlives the statement's run, and every value of it.
    sqlite3_result_text(ctx, n ? (const char *)p : "", (int)n, SQLITE_STATIC);
}

static void result_cell(sqlite3_context *ctx, const struct cell *c)
{
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL: return;
    case CELL_INTEGER: sqlite3_result_int64(ctx, c->i); return;
    case CELL_REAL: sqlite3_result_double(ctx, c->r); return;
    case CELL_TEXT: result_text(ctx, c->p, c->len); return;
    case CELL_BLOB:
        sqlite3_result_blob(ctx, c->len ? (const void *)c->p : "", (int)c->len,
                            SQLITE_STATIC);
    }
}

// A misfit's value is 0 or empty, so only those need a search.
static bool result_misfit(sqlite3_context *ctx, const struct vec *v, uint32_t row)
{
    const struct misfit *m = v->n_misfits ? vec_misfit(v, row) : NULL;
    if (m) result_text(ctx, m->p, m->len);
    return m;
}

static int x_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int column)
{
    const struct cursor *c = (const struct cursor *)base;
    const struct vec *v = &c->in->col[column];
    uint32_t row = c->row;
    assert(!v->absent); // the plan said that it reads this column
    if (v->type == TYPE_ANY) {
        result_cell(ctx, &v->any[row]);
        return SQLITE_OK;
    }
    if (!vec_valid(v, row)) return SQLITE_OK;
    if (type_is_text(v->type)) {
        uint32_t at = v->off[row], n = v->off[row + 1] - at;
        if (n || !result_misfit(ctx, v, row)) result_text(ctx, v->bytes + at, n);
    } else if (v->type == TYPE_REAL) {
        if (v->f64[row] != 0 || !result_misfit(ctx, v, row))
            sqlite3_result_double(ctx, v->f64[row]);
    } else if (v->i64[row] || !result_misfit(ctx, v, row)) {
        sqlite3_result_int64(ctx, v->i64[row]);
    }
    return SQLITE_OK;
}

err_t xf_sql_vtab_add(sqlite3 *db, struct xf_sql_batch *b, struct err *e)
{
    static const sqlite3_module module = {
        .xConnect = x_connect,
        .xBestIndex = x_best_index,
        .xDisconnect = x_disconnect,
        .xOpen = x_open,
        .xClose = x_close,
        .xFilter = x_filter,
        .xNext = x_next,
        .xEof = x_eof,
        .xColumn = x_column,
        .xRowid = x_rowid,
    };
    int rc = sqlite3_create_module_v2(db, XF_SQL_BATCH, &module, b, NULL);
    if (rc == SQLITE_OK) return ERR_OK;
    return err_set(e, rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_DB, "%s", sqlite3_errmsg(db));
}
