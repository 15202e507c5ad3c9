// What an incremental load takes: rows whose watermark is above the greatest one that
// earlier complete loads of the same identity put in. Values of one kind are compared,
// numbers with numbers and text with text (byte by byte, as SQLite does): anything else
// would move the mark to where no later row gets above it, and is refused.

#include "coordinator/warehouse_sqlite.h"

#include <string.h>

static enum wsq_kind kind_of_type(enum type t)
{
    if (t == TYPE_INTEGER || t == TYPE_REAL || t == TYPE_BOOLEAN) return WSQ_KIND_NUMBER;
    return type_is_text(t) ? WSQ_KIND_TEXT : WSQ_KIND_OPEN;
}

static enum wsq_kind kind_of(sqlite3_value *v)
{
    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
    case SQLITE_FLOAT: return WSQ_KIND_NUMBER;
    case SQLITE_TEXT: return WSQ_KIND_TEXT;
    default: return WSQ_KIND_OPEN;
    }
}

void wsq_watermark_free(struct wsq_watermark *m)
{
    sqlite3_value_free(m->floor);
    sqlite3_value_free(m->greatest);
    *m = (struct wsq_watermark){ .column = -1 };
}

void wsq_watermark_reset(struct wsq_watermark *m)
{
    sqlite3_value_free(m->greatest);
    m->greatest = NULL;
    m->skipped = 0;
}

static int compare_numbers(sqlite3_value *a, sqlite3_value *b)
{
    if (sqlite3_value_type(a) == SQLITE_INTEGER &&
        sqlite3_value_type(b) == SQLITE_INTEGER) {
        int64_t x = sqlite3_value_int64(a), y = sqlite3_value_int64(b);
        return x < y ? -1 : x > y;
    }
    // Exact for every int64_t and every double: long double has at least 64 bits.
    _Static_assert(__LDBL_MANT_DIG__ >= 64, "int64_t and double compared as long double");
    long double x = sqlite3_value_type(a) == SQLITE_INTEGER
                        ? (long double)sqlite3_value_int64(a)
                        : (long double)sqlite3_value_double(a);
    long double y = sqlite3_value_type(b) == SQLITE_INTEGER
                        ? (long double)sqlite3_value_int64(b)
                        : (long double)sqlite3_value_double(b);
    return x < y ? -1 : x > y;
}

static int compare(sqlite3_value *a, sqlite3_value *b)
{
    if (kind_of(a) == WSQ_KIND_NUMBER) return compare_numbers(a, b);
    const unsigned char *x = sqlite3_value_text(a), *y = sqlite3_value_text(b);
    size_t n = (size_t)sqlite3_value_bytes(a), m = (size_t)sqlite3_value_bytes(b);
    int rc = x && y ? memcmp(x, y, n < m ? n : m) : 0;
    return rc ? rc : n < m ? -1 : n > m;
}

enum wsq_above wsq_watermark_judge(struct wsq_watermark *m, sqlite3_value *v)
{
    enum wsq_kind kind = kind_of(v);
    if (m->kind == WSQ_KIND_OPEN) m->kind = kind;
    if (kind == WSQ_KIND_OPEN || kind != m->kind) return WSQ_UNFIT;
    return !m->floor || compare(v, m->floor) > 0 ? WSQ_ABOVE : WSQ_BELOW;
}

err_t wsq_watermark_raise(struct wsq_watermark *m, sqlite3_value *v, struct err *e)
{
    if (m->greatest && compare(v, m->greatest) <= 0) return ERR_OK;
    sqlite3_value *copy = sqlite3_value_dup(v);
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory");
    sqlite3_value_free(m->greatest);
    m->greatest = copy;
    return ERR_OK;
}

const char *wsq_watermark_unfit(const struct warehouse *w)
{
    return w->watermark.kind == WSQ_KIND_TEXT
               ? "the watermark is no text, and can't be compared with those loaded"
           : w->watermark.kind == WSQ_KIND_NUMBER
               ? "the watermark is no number, and can't be compared with those loaded"
               : "there is no watermark, and nothing to compare with those loaded";
}

// ---- what is loaded already

static err_t read_value(struct warehouse *w, sqlite3_stmt *st, sqlite3_value **out,
                        struct err *e)
{
    bool row;
    TRY(wsq_step(w, st, &row, e, "reading the watermark"));
    if (!row || sqlite3_column_type(st, 0) == SQLITE_NULL) return ERR_OK;
    *out = sqlite3_value_dup(sqlite3_column_value(st, 0));
    return *out ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

err_t wsq_watermark_start(struct warehouse *w, struct err *e)
{
    struct wsq_watermark *m = &w->watermark;
    sqlite3_stmt *st;
    if (m->column < 0) return ERR_OK;
    TRY(wsq_prepare(w, &st, e,
                    "SELECT watermark_from FROM main.tranche_runs WHERE load_id = %lld",
                    (long long)w->load_id));
    err_t rc = read_value(w, st, &m->floor, e);
    sqlite3_finalize(st);
    TRY(rc);
    m->kind = kind_of_type(w->schema.f[m->column].type);
    if (m->kind != WSQ_KIND_OPEN) return ERR_OK;
    if (m->floor) m->kind = kind_of(m->floor);
    sqlite3_value *seen = NULL;
    TRY(wsq_prepare(w, &st, e,
                    "SELECT watermark FROM main.tranche_ledger WHERE load = %lld AND "
                    "watermark IS NOT NULL LIMIT 1",
                    (long long)w->load_id));
    rc = read_value(w, st, &seen, e);
    sqlite3_finalize(st);
    if (seen) m->kind = kind_of(seen);
    sqlite3_value_free(seen);
    return rc;
}

// An unfinished load goes on where it began; a ledger of an older version knows none.
err_t wsq_watermark_read(struct warehouse *w, const struct load_identity *id,
                         struct arena *mem, struct cell *value, struct err *e)
{
    char spec[HASH_HEX];
    int64_t n;
    bool known, row;
    sqlite3_stmt *st;
    *value = (struct cell){ .kind = CELL_NULL };
    hash_hex(id->spec, spec);
    TRY(wsq_ready(w, e));
    TRY(wsq_int(w, e, &n, &known,
                "SELECT 1 FROM pragma_table_info('tranche_runs','main') WHERE name = "
                "'watermark'"));
    if (!known || id->fresh) return ERR_OK;
    TRY(wsq_prepare(
        w, &st, e,
        "SELECT iif(state = 'loading', watermark_from, watermark) FROM "
        "main.tranche_runs WHERE table_name = %Q COLLATE NOCASE AND sources = %Q "
        "AND spec = %Q AND mode = 'incremental' AND state IN ('loading',"
        "'complete') ORDER BY state = 'complete', load_id DESC LIMIT 1",
        id->table, id->sources, spec));
    err_t rc = wsq_step(w, st, &row, e, "reading the watermark");
    if (row) rc = wsq_copy_cell(st, 0, mem, value, e);
    sqlite3_finalize(st);
    return rc;
}

// ---- in SQL

static void sql_above(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct warehouse *w = sqlite3_user_data(ctx);
    struct err e;
    (void)n;
    enum wsq_above is = wsq_watermark_judge(&w->watermark, v[0]);
    w->watermark.skipped += is == WSQ_BELOW;
    if (is == WSQ_ABOVE && wsq_watermark_raise(&w->watermark, v[0], &e) != ERR_OK)
        sqlite3_result_error_nomem(ctx);
    else
        sqlite3_result_int(ctx, is == WSQ_ABOVE);
}

static void sql_replaced(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct warehouse *w = sqlite3_user_data(ctx);
    (void)n, (void)v;
    w->replaced++;
    sqlite3_result_int(ctx, 1);
}

err_t wsq_rules_add(struct warehouse *w, struct err *e)
{
    const int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    int rc =
        sqlite3_create_function(w->db, "tranche_above", 1, flags, w, sql_above, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_function(w->db, "tranche_replaced", 0, flags, w, sql_replaced,
                                     NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : wsq_fail(w, rc, e, "setting up");
}
