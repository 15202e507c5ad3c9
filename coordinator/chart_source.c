// The database that a chart is read from: hardened, and asked for so much only.

#include "coordinator/chart_read_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INSTRUCTIONS = 100000 };

err_t chart_note(struct chart_reading *r, const char *fmt, ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return r->d->notes.n < CHART_NOTES ? strings_add(&r->d->notes, text, strlen(text), r->e)
                                       : ERR_OK;
}

// What SQLite says of the last failure. ERR_OK: it is a note.
static err_t failed(struct chart_reading *r, const char *table)
{
    int rc = sqlite3_errcode(r->db) & 0xff;
    if (rc == SQLITE_NOMEM) return err_set(r->e, ERR_NOMEM, "out of memory");
    if (rc == SQLITE_INTERRUPT)
        return chart_note(
            r,
            "the table %.200s is too large to be read for a page: give last, and "
            "the table an index on x",
            table);
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return chart_note(r, "%.500s is locked by another program at the moment",
                          r->c->into);
    return chart_note(r, "the table %.200s cannot be drawn: %.500s", table,
                      sqlite3_errmsg(r->db));
}

static int enough(void *arg)
{
    struct chart_reading *r = arg;
    return *r->patience == 0 || --*r->patience == 0;
}

err_t chart_open(struct chart_reading *r)
{
    if (past_database(r->c->into, &r->db) != SQLITE_OK) {
        err_t rc = chart_note(r, "%.500s cannot be read: %.300s", r->c->into,
                              r->db ? sqlite3_errmsg(r->db) : "out of memory");
        sqlite3_close(r->db);
        r->db = NULL;
        return rc;
    }
    sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_VIEW, 1, NULL);
    sqlite3_progress_handler(r->db, INSTRUCTIONS, enough, r);
    return ERR_OK;
}

// ---- which columns there are ----

static err_t columns(struct chart_reading *r, const char *table, struct strings *out)
{
    sqlite3_stmt *q;
    err_t rc = past_ask(r->db, &q, "SELECT name FROM pragma_table_xinfo(?)",
                        &PAST_TEXT(table), 1, r->e);
    while (past_next(q, &rc, r->e)) {
        const char *name = (const char *)sqlite3_column_text(q, 0);
        rc = strings_add(out, name ? name : "", name ? strlen(name) : 0, r->e);
    }
    return rc;
}

static bool has(const struct strings *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (sqlite3_stricmp(s->v[i], name) == 0) return true;
    return false;
}

static err_t no_column(struct chart_reading *r, const char *table, const char *name,
                       const struct strings *there)
{
    char names[400] = "";
    size_t n = 0;
    for (size_t i = 0; i < there->n && n < 300; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%.40s", i ? ", " : "",
                              there->v[i]);
    return chart_note(r, "the table %.200s has no column %.200s; it has %s%s", table, name,
                      names, n < 300 ? "" : ", ...");
}

// *ok = false: something is missing, which has been noted.
static err_t look(struct chart_reading *r, const char *table, const char *const *wanted,
                  size_t n, bool *ok)
{
    struct strings there = { 0 };
    err_t rc = columns(r, table, &there);
    *ok = rc == ERR_OK && there.n;
    if (rc == ERR_OK && !there.n)
        rc = chart_note(r, "there is no table %.200s in %.500s", table, r->c->into);
    for (size_t i = 0; i < n && *ok; i++) {
        if (!wanted[i] || has(&there, wanted[i])) continue;
        rc = no_column(r, table, wanted[i], &there);
        *ok = false;
    }
    strings_free(&there);
    if (rc == ERR_OK || rc == ERR_NOMEM) return rc;
    return failed(r, table);
}

// ---- statements ----

// *q = NULL: it cannot be asked, which has been noted.
err_t chart_ask(struct chart_reading *r, const char *table, sqlite3_stmt **q,
                const char *fmt, ...)
{
    va_list ap;
    *q = NULL;
    va_start(ap, fmt);
    char *sql = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    if (!sql) return err_set(r->e, ERR_NOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(r->db, sql, -1, q, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? ERR_OK : failed(r, table);
}

// A row; false at the end, and when that came early, which has been noted.
bool chart_next(struct chart_reading *r, const char *table, sqlite3_stmt *q, err_t *rc)
{
    int step = q && *rc == ERR_OK ? sqlite3_step(q) : SQLITE_DONE;
    if (step == SQLITE_ROW) return true;
    if (step != SQLITE_DONE) *rc = failed(r, table);
    r->broken |= step != SQLITE_DONE;
    sqlite3_finalize(q);
    return false;
}

static void add(sqlite3_str *s, const char *column, const char *as)
{
    if (column)
        sqlite3_str_appendf(s, "t.\"%w\" AS %s, ", column, as);
    else
        sqlite3_str_appendf(s, "NULL AS %s, ", as);
}

static err_t write_select(struct chart_part *p, struct err *e)
{
    char as[24];
    sqlite3_str *s = sqlite3_str_new(NULL);
    sqlite3_str_appendall(s, "SELECT ");
    add(s, p->lower, "lo");
    add(s, p->upper, "hi");
    for (size_t i = 0; i < p->n_y; i++) {
        snprintf(as, sizeof as, "y%zu", i);
        add(s, p->y[i], as);
    }
    if (p->by)
        sqlite3_str_appendf(s, "substr(CAST(t.\"%w\" AS TEXT), 1, %d) AS b, ", p->by,
                            CHART_TEXT_MAX);
    else
        sqlite3_str_appendall(s, "NULL AS b, ");
    sqlite3_str_appendf(s, "t.\"%w\" AS x FROM \"%w\" AS t", p->x, p->table);
    if (p->last)
        sqlite3_str_appendf(s,
                            " WHERE t.\"%w\" >= (SELECT min(v) FROM (SELECT DISTINCT"
                            " u.\"%w\" AS v FROM \"%w\" AS u WHERE u.\"%w\" IS NOT NULL"
                            " ORDER BY 1 DESC LIMIT %u))",
                            p->x, p->x, p->table, p->x, p->last);
    p->rows = sqlite3_str_finish(s);
    return p->rows ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

err_t chart_select(struct chart_reading *r, struct chart_part *p)
{
    const char *wanted[CHART_LINES + 4] = { p->x, p->lower, p->upper, p->by };
    bool ok;
    for (size_t i = 0; i < p->n_y; i++)
        wanted[4 + i] = p->y[i];
    TRY(look(r, p->table, wanted, 4 + p->n_y, &ok));
    return ok ? write_select(p, r->e) : ERR_OK;
}
