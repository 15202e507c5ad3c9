// What runs.db remembers of the steps of pipelines.

#include "coordinator/journal_db.h"
#include "coordinator/pipeline_facts.h"
#include "coordinator/run_lock.h"

#include "common/buf.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static const char table[] =
    "CREATE TABLE IF NOT EXISTS pipeline_steps(pipeline TEXT NOT NULL, step TEXT NOT NULL,"
    " under_way INT NOT NULL, changed TEXT, run TEXT, ended_ms INT, before TEXT, written "
    "TEXT, PRIMARY KEY(pipeline, step)) WITHOUT ROWID";

void pipeline_past_free(struct pipeline_past *p)
{
    strings_free(&p->before);
    strings_free(&p->written);
    *p = (struct pipeline_past){ 0 };
}

static err_t lines_of(const char *text, struct strings *out, struct err *e)
{
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        TRY(strings_add(out, text, n, e));
        text += n + (text[n] == '\n');
    }
    return ERR_OK;
}

static err_t bind_two(sqlite3 *db, const char *sql, const char *pipeline, const char *step,
                      sqlite3_stmt **st, struct err *e)
{
    if (sqlite3_prepare_v2(db, sql, -1, st, NULL) != SQLITE_OK ||
        sqlite3_bind_text(*st, 1, pipeline, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(*st, 2, step, -1, SQLITE_STATIC) != SQLITE_OK)
        return journal_db_fail(db, e);
    return ERR_OK;
}

static void copy_text(char *to, size_t size, sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    snprintf(to, size, "%s", text ? text : "");
}

err_t pipeline_past_load(const char *dir, const char *pipeline, const char *step,
                         struct pipeline_past *out, struct err *e)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    char note[1200];
    *out = (struct pipeline_past){ 0 };
    if (journal_db_open(&db, dir, false, note, sizeof note, e) != ERR_OK || !db) {
        sqlite3_close(db);
        return ERR_OK;
    }
    err_t rc = ERR_OK;
    // An error is most often that there is no such table yet.
    if (bind_two(db,
                 "SELECT run, ended_ms, before, written, changed, under_way FROM "
                 "pipeline_steps WHERE pipeline = ?1 AND step = ?2",
                 pipeline, step, &st, e) == ERR_OK &&
        sqlite3_step(st) == SQLITE_ROW) {
        copy_text(out->run, sizeof out->run, st, 0);
        copy_text(out->changed, sizeof out->changed, st, 4);
        out->under_way = sqlite3_column_int(st, 5);
        out->ended_wall_ms = sqlite3_column_int64(st, 1);
        rc = lines_of((const char *)sqlite3_column_text(st, 2), &out->before, e);
        if (rc == ERR_OK)
            rc = lines_of((const char *)sqlite3_column_text(st, 3), &out->written, e);
        out->known = rc == ERR_OK && out->before.n && !out->under_way;
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    return rc;
}

static err_t joined(const struct strings *lines, struct buf *out, struct err *e)
{
    for (size_t i = 0; i < lines->n; i++)
        TRY(buf_printf(out, e, "%s\n", lines->v[i]));
    return ERR_OK;
}

static err_t store(sqlite3 *db, const char *pipeline, const char *step,
                   const struct pipeline_past *past, const struct buf *before,
                   const struct buf *written, struct err *e)
{
    sqlite3_stmt *st = NULL;
    err_t rc = bind_two(db,
                        "INSERT OR REPLACE INTO pipeline_steps(pipeline, step, run, "
                        "ended_ms, before, written, changed, under_way) "
                        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
                        pipeline, step, &st, e);
    if (rc == ERR_OK &&
        (sqlite3_bind_text(st, 3, past->run, -1, SQLITE_STATIC) != SQLITE_OK ||
         sqlite3_bind_int64(st, 4, past->ended_wall_ms) != SQLITE_OK ||
         sqlite3_bind_text(st, 5, (const char *)before->p, (int)before->n, SQLITE_STATIC) !=
             SQLITE_OK ||
         sqlite3_bind_text(st, 6, (const char *)written->p, (int)written->n,
                           SQLITE_STATIC) != SQLITE_OK ||
         sqlite3_bind_text(st, 7, past->changed, -1, SQLITE_STATIC) != SQLITE_OK ||
         sqlite3_step(st) != SQLITE_DONE))
        rc = journal_db_fail(db, e);
    sqlite3_finalize(st);
    return rc;
}

static err_t open_to_write(sqlite3 **db, const char *dir, struct err *e)
{
    char note[1200];
    TRY(run_lock_folder(dir, e));
    TRY(journal_db_open(db, dir, true, note, sizeof note, e));
    return journal_db_exec(*db, table, e);
}

err_t pipeline_past_begin(const char *dir, const char *pipeline, const char *step,
                          struct err *e)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    err_t rc = open_to_write(&db, dir, e);
    if (rc == ERR_OK)
        rc = bind_two(db,
                      "INSERT INTO pipeline_steps(pipeline, step, under_way) "
                      "VALUES(?1, ?2, 1) ON CONFLICT DO UPDATE SET under_way = 1",
                      pipeline, step, &st, e);
    if (rc == ERR_OK && sqlite3_step(st) != SQLITE_DONE) rc = journal_db_fail(db, e);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return rc;
}

err_t pipeline_past_store(const char *dir, const char *pipeline, const char *step,
                          const struct pipeline_past *past, struct err *e)
{
    sqlite3 *db = NULL;
    struct buf before = { 0 }, written = { 0 };
    err_t rc = open_to_write(&db, dir, e);
    if (rc == ERR_OK) rc = joined(&past->before, &before, e);
    if (rc == ERR_OK) rc = joined(&past->written, &written, e);
    if (rc == ERR_OK) rc = store(db, pipeline, step, past, &before, &written, e);
    buf_free(&before);
    buf_free(&written);
    sqlite3_close(db);
    return rc;
}
