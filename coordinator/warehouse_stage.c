// Aggregates and merge.sql into text: states and parts are staged in a SQLite database, and
// what is made of them is written out in the last transaction.
//
// For csv: and jsonl: the database is the ledger beside the output. A crash before the end
// of that transaction leaves what was staged, whether or not the new file has taken the old
// one's place: the same command makes the same file again. For stdout: it is a temporary
// file; the table is printed when the transaction is over.

#include "coordinator/warehouse_file.h"
#include "coordinator/warehouse_stdout.h"

#include "common/crash.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FREE_PAGES_MAX = 256 }; // more is given back when a load is over

static err_t ensure(struct warehouse *w, struct err *e)
{
    TRY(wf_not_an_input(w, e));
    return wsq_rows_ensure(w, e);
}

static err_t settle(struct warehouse *w, struct err *e)
{
    TRY(wf_settle(w, false, e));
    return wsq_rows_settle(w, e);
}

static err_t drop_table(struct warehouse *w, const char *table, struct err *e)
{
    return wsq_exec(w, e, "dropping the staged table", "DROP TABLE IF EXISTS main.\"%w\"",
                    table);
}

// ---- into a file

static err_t put_file(struct warehouse *w, const uint8_t *p, size_t n, struct err *e)
{
    return wf_write_on(w->files, p, n, e);
}

struct new_file {
    const char *path;
    uint64_t ino;
};

static err_t write_file(struct warehouse *w, sqlite3_stmt *rows, void *arg, struct err *e)
{
    struct new_file *to = arg;
    struct wf *f = w->files;
    TRY(text_header(f->format, &w->schema, &f->header, e));
    TRY(wf_create(f, to->path, false, &to->ino, e));
    err_t rc = wf_open_at(f, to->path, f->header.n, e);
    if (rc == ERR_OK) rc = wf_rows_text(w, rows, put_file, e);
    if (rc == ERR_OK) rc = wf_sync(f, e);
    wf_close_fd(f);
    if (rc != ERR_OK) unlink(to->path); // it takes room that may be short
    return rc;
}

static err_t note_file(struct warehouse *w, uint64_t ino, struct err *e)
{
    return wsq_exec(w, e, "writing tranche_output",
                    "INSERT OR REPLACE INTO main.tranche_output VALUES(%Q, %lld, %lld, "
                    "%lld, 'open')",
                    w->files->base, (long long)w->load_id, (long long)w->files->at,
                    (long long)ino);
}

static err_t replace_file(struct warehouse *w, struct err *e)
{
    struct wf *f = w->files;
    struct new_file to_write = { 0 };
    char *from = wf_path(f, w->target, false), *to = wf_path(f, f->base, false);
    err_t rc = from && to ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    to_write.path = from;
    if (rc == ERR_OK) rc = wsq_merge_rows(w, write_file, &to_write, e);
    crash_point("stage-after-write");
    if (rc == ERR_OK) rc = wf_rename(f, from, to, false, e);
    crash_point("stage-after-rename");
    free(from);
    free(to);
    return rc == ERR_OK ? note_file(w, to_write.ino, e) : rc;
}

static err_t complete(struct warehouse *w, bool swaps, bool drops, struct err *e)
{
    return drops || !swaps ? wf_store.drop_staged(w, w->target, e) : replace_file(w, e);
}

// What was staged may have been many times as large as everything else. Nothing depends on
// it, and the next load takes the room otherwise.
static void shrink(struct warehouse *w)
{
    int64_t pages;
    bool any;
    if (wsq_int(w, NULL, &pages, &any, "PRAGMA main.freelist_count") != ERR_OK) return;
    crash_point("stage-before-shrink");
    if (pages > FREE_PAGES_MAX &&
        wsq_exec(w, NULL, "giving room back", "VACUUM main") != ERR_OK)
        wsq_give_up(w); // opened again, it is as it was
}

static err_t done(struct warehouse *w, bool swaps, bool is_complete, struct err *e)
{
    err_t rc = wsq_rows_done(w, swaps, is_complete, e);
    if (rc == ERR_OK) rc = wf_store.done(w, swaps, is_complete, e);
    if (rc == ERR_OK && is_complete) shrink(w);
    return rc;
}

static err_t tidy(struct warehouse *w, struct err *e)
{
    return wf_store.tidy(w, e);
}

static err_t drop_rows(struct warehouse *w, uint64_t load_id, struct err *e)
{
    return wf_store.drop_rows(w, load_id, e);
}

static err_t drop_staged(struct warehouse *w, const char *staging, struct err *e)
{
    return wf_store.drop_staged(w, staging, e);
}

static const struct wsq_store into_file = {
    WSQ_ROWS_VERBS,       .tidy = tidy, .ensure = ensure,       .settle = settle,
    .complete = complete, .done = done, .drop_rows = drop_rows, .drop_staged = drop_staged,
};

// ---- to standard output

static err_t nothing(struct warehouse *w, struct err *e)
{
    (void)w, (void)e;
    return ERR_OK;
}

// The table keeps the target's name until it is printed.
static err_t complete_table(struct warehouse *w, bool swaps, bool drops, struct err *e)
{
    char *result = NULL;
    if (drops || !swaps) return drop_table(w, w->target, e);
    TRY(wsq_merge(w, &result, e));
    err_t rc = wsq_exec(w, e, "renaming the result",
                        "ALTER TABLE main.\"%w\" RENAME TO "
                        "\"%w\"",
                        result, w->target);
    free(result);
    return rc;
}

static err_t put_stdout(struct warehouse *w, const uint8_t *p, size_t n, struct err *e)
{
    (void)w;
    return stdout_write(p, n, e);
}

static struct slice text_at(sqlite3_stmt *st, int i)
{
    return (struct slice){ sqlite3_column_blob(st, i),
                           (size_t)sqlite3_column_bytes(st, i) };
}

static err_t say_rejects(struct warehouse *w, struct err *e)
{
    struct stdout_rejects said = { w->say, w->say_arg, 0 };
    sqlite3_stmt *st;
    bool row;
    err_t rc;
    TRY(wsq_prepare(w, &st, e,
                    "SELECT file, line, \"column\", reason FROM main.\"%w\" "
                    "ORDER BY rowid LIMIT %d",
                    w->rejects, STDOUT_REJECTS_SAID + 1));
    while ((rc = wsq_step(w, st, &row, e, "reading the rejects")) == ERR_OK && row) {
        const char *file = (const char *)sqlite3_column_text(st, 0);
        struct reject r = { .line = (uint64_t)sqlite3_column_int64(st, 1),
                            .column = text_at(st, 2),
                            .reason = text_at(st, 3) };
        stdout_say_reject(&said, file ? file : "", &r);
    }
    sqlite3_finalize(st);
    return rc;
}

static err_t print_table(struct warehouse *w, struct err *e)
{
    struct wf *f = w->files;
    TRY(text_header(f->format, &w->schema, &f->header, e));
    TRY(stdout_write(f->header.p, f->header.n, e));
    sqlite3_stmt *rows = NULL;
    TRY(wsq_prepare(w, &rows, e, "SELECT * FROM main.\"%w\" ORDER BY rowid", w->target));
    w->merge->rows_out = 0;
    err_t rc = wf_rows_text(w, rows, put_stdout, e);
    sqlite3_finalize(rows);
    return rc;
}

static err_t done_table(struct warehouse *w, bool swaps, bool is_complete, struct err *e)
{
    TRY(wsq_rows_done(w, swaps, is_complete, e));
    if (!is_complete) return ERR_OK;
    TRY(wsq_ready(w, e));
    TRY(say_rejects(w, e));
    return swaps ? print_table(w, e) : ERR_OK;
}

// There is never an earlier load.
static err_t drop_no_rows(struct warehouse *w, uint64_t load_id, struct err *e)
{
    (void)w, (void)load_id, (void)e;
    return ERR_OK;
}

static const struct wsq_store to_stdout = {
    WSQ_ROWS_VERBS,
    .tidy = nothing,
    .ensure = wsq_rows_ensure,
    .settle = wsq_rows_settle,
    .complete = complete_table,
    .done = done_table,
    .drop_rows = drop_no_rows,
    .drop_staged = drop_table,
};

// ---- opening

static err_t open_csv(struct warehouse **out, const char *url, warehouse_say *say,
                      void *say_arg, struct err *e)
{
    return wf_open(out, "csv", url, &into_file, say, say_arg, e);
}

static err_t open_jsonl(struct warehouse **out, const char *url, warehouse_say *say,
                        void *say_arg, struct err *e)
{
    return wf_open(out, "jsonl", url, &into_file, say, say_arg, e);
}

static err_t open_stdout(struct warehouse **out, const char *url, warehouse_say *say,
                         void *say_arg, struct err *e)
{
    struct wf *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f) return err_set(e, ERR_NOMEM, "out of memory");
    f->fd = -1;
    f->format = strcmp(url, "stdout:jsonl") == 0 ? "jsonl" : "csv";
    f->shown = strdup("stdout:");
    f->base = strdup("stdout");
    err_t rc = f->shown && f->base ? wsq_open(out, NULL, &to_stdout, say, say_arg, e)
                                   : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK)
        (*out)->files = f;
    else
        wf_free(&f);
    return rc;
}

#define VERBS                                                                            \
    .sink = "sqlite", .states_sink = "rows", .merges = true, .try_merge = wsq_try_merge, \
    .query_value = wf_no_values, .begin = wsq_begin, .check = wsq_check,                 \
    .commit = wsq_commit, .note = wsq_note, .finish = wsq_finish, .close = wsq_close

const struct warehouse_ops warehouse_csv_merged = { .scheme = "csv",
                                                    .open = open_csv,
                                                    VERBS };
const struct warehouse_ops warehouse_jsonl_merged = { .scheme = "jsonl",
                                                      .open = open_jsonl,
                                                      VERBS };
const struct warehouse_ops warehouse_stdout_merged = {
    .scheme = "stdout", .forgets = true, .open = open_stdout, VERBS
};
const struct warehouse_ops warehouse_stdout_jsonl_merged = {
    .scheme = "stdout:jsonl", .forgets = true, .open = open_stdout, VERBS
};
