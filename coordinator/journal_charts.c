#include "coordinator/journal_charts.h"

#include "coordinator/journal_impl.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static const char table[] =
    "CREATE TABLE IF NOT EXISTS run_charts(run INT NOT NULL, n INT NOT NULL,"
    " database TEXT NOT NULL, title TEXT, \"table\" TEXT NOT NULL, x TEXT NOT NULL,"
    " y TEXT NOT NULL, band TEXT NOT NULL, by TEXT, forecast TEXT, last INT NOT NULL,"
    " PRIMARY KEY(run, n)) WITHOUT ROWID";

// Names hold no control characters, so that lines keep them apart.
static err_t join(const struct strings *s, struct buf *out, struct err *e)
{
    for (size_t i = 0; i < s->n; i++)
        TRY(buf_printf(out, e, "%s%s", i ? "\n" : "", s->v[i]));
    return buf_add(out, "", 1, e);
}

static err_t split(const char *text, struct strings *out, struct err *e)
{
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        TRY(strings_add(out, text, n, e));
        text += n + (text[n] == '\n');
    }
    return ERR_OK;
}

static err_t insert(struct journal *j, sqlite3_stmt *q, size_t n, const struct chart *c,
                    struct err *e)
{
    struct buf y = { 0 }, band = { 0 };
    err_t rc = join(&c->y, &y, e);
    if (rc == ERR_OK) rc = join(&c->band, &band, e);
    const char *texts[] = { c->into, c->title,          c->table,
                            c->x,    (const char *)y.p, (const char *)band.p,
                            c->by,   c->forecast };
    sqlite3_bind_int64(q, 1, j->run);
    sqlite3_bind_int64(q, 2, (int64_t)n);
    for (int i = 0; i < 8 && rc == ERR_OK; i++)
        if (sqlite3_bind_text(q, i + 3, texts[i], -1, SQLITE_STATIC) != SQLITE_OK)
            rc = journal_db_fail(j->db, e);
    sqlite3_bind_int64(q, 11, c->last);
    if (rc == ERR_OK && sqlite3_step(q) != SQLITE_DONE) rc = journal_db_fail(j->db, e);
    sqlite3_reset(q);
    buf_free(&y);
    buf_free(&band);
    return rc;
}

static err_t put(struct journal *j, const struct charts *c, struct err *e)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(
            j->db, "INSERT OR REPLACE INTO run_charts VALUES(?,?,?,?,?,?,?,?,?,?,?)", -1,
            &q, NULL) != SQLITE_OK)
        return journal_db_fail(j->db, e);
    err_t rc = ERR_OK;
    for (size_t i = 0; i < c->n && rc == ERR_OK; i++)
        rc = insert(j, q, i, &c->v[i], e);
    sqlite3_finalize(q);
    return rc;
}

err_t journal_charts_put(struct journal *j, const struct charts *c, struct err *e)
{
    if (!j->run) return err_set(e, ERR_INVALID, "no run was begun");
    if (!c->n) return ERR_OK;
    TRY(journal_db_exec(j->db, table, e));
    TRY(journal_step(j, S_BEGIN, e));
    return journal_finish(j, put(j, c, e), e);
}

static err_t copy_text(sqlite3_stmt *q, int column, char **to, struct err *e)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    if (!text && sqlite3_column_type(q, column) == SQLITE_NULL) return ERR_OK;
    *to = text ? strdup(text) : NULL;
    return *to ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t read_row(sqlite3_stmt *q, struct chart *c, struct err *e)
{
    int64_t last = sqlite3_column_int64(q, 8);
    TRY(copy_text(q, 0, &c->into, e));
    TRY(copy_text(q, 1, &c->title, e));
    TRY(copy_text(q, 2, &c->table, e));
    TRY(copy_text(q, 3, &c->x, e));
    TRY(split((const char *)sqlite3_column_text(q, 4), &c->y, e));
    TRY(split((const char *)sqlite3_column_text(q, 5), &c->band, e));
    TRY(copy_text(q, 6, &c->by, e));
    TRY(copy_text(q, 7, &c->forecast, e));
    c->last = last > 0 && last <= CHART_LAST_MAX ? (uint32_t)last : 0;
    bool good = c->into && c->table && c->x && c->y.n && c->y.n <= CHART_LINES &&
                (c->band.n == 0 || c->band.n == 2);
    return good ? ERR_OK : err_set(e, ERR_DB, "runs.db: a row of run_charts is damaged");
}

err_t journal_charts_get(sqlite3 *db, int64_t seq, struct charts *out, struct err *e)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_table_column_metadata(db, NULL, "run_charts", "last", NULL, NULL, NULL,
                                      NULL, NULL) != SQLITE_OK)
        return ERR_OK;
    if (sqlite3_prepare_v2(db,
                           "SELECT database, title, \"table\", x, y, band, by, forecast,"
                           " last FROM run_charts WHERE run = ? ORDER BY n LIMIT 1000",
                           -1, &q, NULL) != SQLITE_OK)
        return journal_db_fail(db, e);
    sqlite3_bind_int64(q, 1, seq);
    err_t rc = ERR_OK;
    int step = SQLITE_DONE;
    while (rc == ERR_OK && (step = sqlite3_step(q)) == SQLITE_ROW) {
        struct chart c = { 0 };
        rc = read_row(q, &c, e);
        if (rc == ERR_OK) rc = charts_add(out, &c, e);
        chart_free(&c);
    }
    if (rc == ERR_OK && step != SQLITE_DONE) rc = journal_db_fail(db, e);
    sqlite3_finalize(q);
    return rc;
}
