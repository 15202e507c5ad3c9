// Rows in text files: what the store of csv: and jsonl: does in the verbs of the ledger.

#include "coordinator/warehouse_file.h"

#include "common/crash.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct output { // a row of tranche_output
    bool there;
    uint64_t bytes, ino;
};

static err_t nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory");
}

static err_t read_output(struct warehouse *w, const char *name, struct output *o,
                         struct err *e)
{
    sqlite3_stmt *st;
    *o = (struct output){ 0 };
    TRY(wsq_prepare(w, &st, e, "SELECT bytes, ino FROM main.tranche_output WHERE name = %Q",
                    name));
    err_t rc = wsq_step(w, st, &o->there, e, "reading tranche_output");
    if (o->there) {
        o->bytes = (uint64_t)sqlite3_column_int64(st, 0);
        o->ino = (uint64_t)sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    return rc;
}

static err_t add_output(struct warehouse *w, const char *name, uint64_t bytes, uint64_t ino,
                        struct err *e)
{
    return wsq_exec(w, e, "writing tranche_output",
                    "INSERT INTO main.tranche_output VALUES(%Q, %lld, %lld, %lld, 'open')",
                    name, (long long)w->load_id, (long long)bytes, (long long)ino);
}

static err_t set_bytes(struct warehouse *w, const char *name, uint64_t bytes, struct err *e)
{
    return wsq_exec(w, e, "writing tranche_output",
                    "UPDATE main.tranche_output SET bytes = %lld WHERE name = %Q",
                    (long long)bytes, name);
}

static err_t set_current(struct wf *f, const char *name, struct err *e)
{
    char *copy = name ? strdup(name) : NULL;
    if (name && !copy) return nomem(e);
    wf_close_fd(f);
    free(f->current);
    f->current = copy;
    return ERR_OK;
}

// ---- what is to be deleted

static err_t delete_trash(struct warehouse *w, struct err *e)
{
    sqlite3_stmt *st;
    bool row;
    err_t rc;
    TRY(wsq_prepare(w, &st, e,
                    "SELECT name FROM main.tranche_output WHERE state = 'trash' "
                    "AND name NOT LIKE '%%/%%'"));
    while ((rc = wsq_step(w, st, &row, e, "reading tranche_output")) == ERR_OK && row) {
        const char *name = (const char *)sqlite3_column_text(st, 0);
        for (int unfinished = 0; name && unfinished < 2; unfinished++) {
            char *path = wf_path(w->files, name, unfinished);
            if (path && unlink(path) == 0) crash_point("file-after-delete");
            free(path); // what could not be deleted is tried again next time
        }
    }
    sqlite3_finalize(st);
    return rc;
}

static err_t tidy(struct warehouse *w, struct err *e)
{
    TRY(wsq_exec(w, e, "creating the ledger",
                 "CREATE TABLE IF NOT EXISTS main.tranche_output(name TEXT PRIMARY KEY, "
                 "load INTEGER NOT NULL, bytes INTEGER NOT NULL, ino INTEGER NOT NULL, "
                 "state TEXT NOT NULL)"));
    TRY(delete_trash(w, e));
    return wsq_exec(w, e, "writing tranche_output",
                    "DELETE FROM main.tranche_output WHERE state = 'trash'");
}

// ---- one file

static err_t is_an_input(struct warehouse *w, const struct stat *st, struct err *e)
{
    for (size_t i = 0; i < w->n_inputs; i++)
        if (w->inputs[i].ino == st->st_ino && w->inputs[i].size == (uint64_t)st->st_size &&
            w->inputs[i].mtime_ns ==
                (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec)
            return err_set(e, ERR_INVALID,
                           "%s is among the inputs (%s): write to another file",
                           w->files->shown, w->inputs[i].name);
    return ERR_OK;
}

err_t wf_not_an_input(struct warehouse *w, struct err *e)
{
    struct stat st;
    bool there;
    char *path = wf_path(w->files, w->files->base, false);
    if (!path) return nomem(e);
    err_t rc = wf_stat(w->files, path, &st, &there, e);
    free(path);
    return rc == ERR_OK && there ? is_an_input(w, &st, e) : rc;
}

static err_t gone(struct warehouse *w, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "%s %s, but rows of earlier loads stood in it. --fresh starts over; so "
                   "does deleting it together with its .ledger",
                   w->files->shown, what);
}

// The first load into this file, as far as the ledger knows.
static err_t adopt(struct warehouse *w, const char *name, const char *path, bool there,
                   const struct stat *st, struct err *e)
{
    struct wf *f = w->files;
    bool staged = strcmp(name, f->base) != 0;
    uint64_t bytes = f->header.n, ino = 0;
    if (!there || staged || st->st_size == 0) {
        TRY(wf_create(f, path, !staged, &ino, e));
        crash_point("file-after-rename");
    } else {
        TRY(wf_check_there(f, path, (uint64_t)st->st_size, &w->schema, e));
        bytes = (uint64_t)st->st_size;
        ino = st->st_ino;
    }
    return add_output(w, name, bytes, ino, e);
}

// Somebody may have added rows since the last load was complete.
static err_t look_at_known(struct warehouse *w, const char *name, const char *path,
                           const struct output *o, const struct stat *st, struct err *e)
{
    uint64_t size = (uint64_t)st->st_size;
    if (size < o->bytes) return gone(w, "is shorter than it was", e);
    if (strcmp(name, w->files->base) != 0) return ERR_OK;
    uint64_t whole = w->torn ? o->bytes : size;
    if (whole > 0) TRY(wf_check_there(w->files, path, whole, &w->schema, e));
    return size > o->bytes && !w->torn ? set_bytes(w, name, size, e) : ERR_OK;
}

static err_t swapped_already(struct warehouse *w, const struct output *o, struct err *e)
{
    struct wf *f = w->files;
    struct stat st;
    bool there;
    char *path = wf_path(f, f->base, false);
    if (!path) return nomem(e);
    err_t rc = wf_stat(f, path, &st, &there, e);
    free(path);
    if (rc != ERR_OK) return rc;
    f->swapped = there && st.st_ino == o->ino && (uint64_t)st.st_size == o->bytes;
    return f->swapped ? ERR_OK : gone(w, "has lost the file that was to replace it", e);
}

static err_t ensure_file(struct warehouse *w, const char *name, const char *path,
                         struct err *e)
{
    struct output o;
    struct stat st;
    bool there;
    TRY(read_output(w, name, &o, e));
    TRY(wf_stat(w->files, path, &st, &there, e));
    if (!o.there) return adopt(w, name, path, there, &st, e);
    if (there) return look_at_known(w, name, path, &o, &st, e);
    if (strcmp(name, w->files->base) != 0) return swapped_already(w, &o, e);
    if (o.bytes > w->files->header.n) return gone(w, "is gone", e);
    TRY(wsq_exec(w, e, "writing tranche_output",
                 "DELETE FROM main.tranche_output WHERE name = %Q", name));
    return adopt(w, name, path, false, &st, e);
}

// ---- parts

// Nobody else writes a part: it has the committed bytes, or more of an unfinished one.
static err_t check_part(struct warehouse *w, const char *name, const char *state,
                        uint64_t bytes, struct err *e)
{
    struct stat st;
    bool there = false;
    err_t rc = ERR_OK;
    for (int unfinished = 1; rc == ERR_OK && !there && unfinished >= 0; unfinished--) {
        char *path = wf_path(w->files, name, unfinished && strcmp(state, "done") != 0);
        rc = path ? wf_stat(w->files, path, &st, &there, e) : nomem(e);
        free(path);
    }
    if (rc != ERR_OK || (there && (uint64_t)st.st_size >= bytes)) return rc;
    return err_set(e, ERR_INVALID,
                   "%s: %s %s, but load %" PRIu64 " had put rows into it. --fresh starts "
                   "over",
                   w->files->shown, name, there ? "is shorter than it was" : "is gone",
                   w->load_id);
}

static err_t ensure_parts(struct warehouse *w, struct err *e)
{
    sqlite3_stmt *st;
    bool row;
    err_t rc;
    TRY(wsq_prepare(w, &st, e,
                    "SELECT name, state, bytes FROM main.tranche_output WHERE load = %lld",
                    (long long)w->load_id));
    while ((rc = wsq_step(w, st, &row, e, "reading tranche_output")) == ERR_OK && row) {
        rc = check_part(w, (const char *)sqlite3_column_text(st, 0),
                        (const char *)sqlite3_column_text(st, 1),
                        (uint64_t)sqlite3_column_int64(st, 2), e);
        if (rc != ERR_OK) break;
    }
    sqlite3_finalize(st);
    return rc;
}

// part-00001.csv, part-00002.csv, ...: the number after the greatest that was ever used.
static err_t next_part(struct warehouse *w, char **name, struct err *e)
{
    struct wf *f = w->files;
    int star = (int)strcspn(f->base, "*");
    int64_t last;
    bool any;
    TRY(wsq_int(w, e, &last, &any,
                "SELECT max(CAST(substr(name, %d) AS INTEGER)) FROM main.tranche_output",
                star + 1));
    if (asprintf(name, "%.*s%05lld%s", star, f->base, (long long)last + 1,
                 f->base + star + 1) < 0)
        return nomem(e);
    return ERR_OK;
}

static err_t start_part(struct warehouse *w, struct err *e)
{
    struct wf *f = w->files;
    char *name = NULL, *path = NULL;
    uint64_t ino;
    err_t rc = next_part(w, &name, e);
    if (rc == ERR_OK && !(path = wf_path(f, name, true))) rc = nomem(e);
    if (rc == ERR_OK) rc = wf_create(f, path, false, &ino, e);
    if (rc == ERR_OK) rc = add_output(w, name, f->header.n, ino, e);
    if (rc == ERR_OK) rc = set_current(f, name, e);
    if (rc == ERR_OK) rc = wf_open_at(f, path, f->header.n, e);
    free(name);
    free(path);
    return rc;
}

// Gives whole parts their names. A crash may have come between the name and the ledger.
static err_t name_part(struct warehouse *w, const char *name, struct err *e)
{
    struct wf *f = w->files;
    struct stat st;
    bool there;
    char *from = wf_path(f, name, true), *to = wf_path(f, name, false);
    err_t rc = from && to ? wf_stat(f, from, &st, &there, e) : nomem(e);
    if (rc == ERR_OK && there) rc = wf_rename(f, from, to, true, e);
    free(from);
    free(to);
    crash_point("file-after-part");
    if (rc != ERR_OK) return rc;
    return wsq_exec(w, e, "writing tranche_output",
                    "UPDATE main.tranche_output SET state = 'done' WHERE name = %Q", name);
}

static err_t name_parts(struct warehouse *w, const char *states, struct err *e)
{
    for (;;) {
        sqlite3_stmt *st;
        bool row;
        TRY(wsq_prepare(
            w, &st, e,
            "SELECT name FROM main.tranche_output WHERE load = %lld AND state IN "
            "(%s) ORDER BY name LIMIT 1",
            (long long)w->load_id, states));
        err_t rc = wsq_step(w, st, &row, e, "reading tranche_output");
        char *name = row ? strdup((const char *)sqlite3_column_text(st, 0)) : NULL;
        sqlite3_finalize(st);
        if (rc == ERR_OK && row) rc = name ? name_part(w, name, e) : nomem(e);
        free(name);
        if (rc != ERR_OK || !row) return rc;
    }
}

// ---- begin

static err_t ensure(struct warehouse *w, struct err *e)
{
    struct wf *f = w->files;
    f->swapped = false;
    TRY(set_current(f, NULL, e));
    TRY(text_header(f->format, &w->schema, &f->header, e));
    if (f->parts) return ensure_parts(w, e);
    TRY(wf_not_an_input(w, e));
    char *path = wf_path(f, w->target, false);
    err_t rc = path ? ensure_file(w, w->target, path, e) : nomem(e);
    free(path);
    return rc;
}

static err_t cut_to_committed(struct warehouse *w, struct err *e)
{
    struct wf *f = w->files;
    struct output o;
    if (f->parts || f->swapped) return ERR_OK;
    TRY(set_current(f, w->target, e));
    TRY(read_output(w, w->target, &o, e));
    char *path = wf_path(f, w->target, false);
    err_t rc = path ? wf_open_at(f, path, o.bytes, e) : nomem(e);
    free(path);
    crash_point("file-after-cut");
    return rc;
}

// Of a load into another file: what --fresh dropped still stands in this one.
static err_t cut_dropped(struct warehouse *w, bool *any, struct err *e)
{
    struct wf *f = w->files;
    struct stat st;
    int64_t bytes;
    bool there;
    TRY(wsq_int(w, e, &bytes, any,
                "SELECT bytes FROM main.tranche_output WHERE name = %Q AND state = 'cut'",
                f->base));
    if (!*any) return ERR_OK;
    char *path = wf_path(f, f->base, false);
    err_t rc = path ? wf_stat(f, path, &st, &there, e) : nomem(e);
    if (rc == ERR_OK && there) rc = wf_open_at(f, path, (uint64_t)bytes, e);
    wf_close_fd(f);
    free(path);
    crash_point("file-after-cut-dropped");
    if (rc != ERR_OK) return rc;
    return wsq_exec(w, e, "writing tranche_output",
                    "UPDATE main.tranche_output SET state = 'open' WHERE state = 'cut'");
}

static err_t settle_in_txn(struct warehouse *w, bool *wrote, struct err *e)
{
    TRY(wsq_ledger_fence(w, e));
    (void)delete_trash(w, NULL); // tidy() does it, should it fail here
    return cut_dropped(w, wrote, e);
}

// A run that took the load over since may be writing: who cuts, or deletes a file by its
// name, holds the lock that writers hold.
err_t wf_settle(struct warehouse *w, bool cuts_target, struct err *e)
{
    bool wrote = false;
    TRY(wsq_txn_begin(w, e));
    err_t rc = settle_in_txn(w, &wrote, e);
    if (rc == ERR_OK && cuts_target) rc = cut_to_committed(w, e);
    if (rc == ERR_OK && wrote) return wsq_txn_commit(w, e);
    wsq_txn_rollback(w);
    return rc;
}

static err_t settle(struct warehouse *w, struct err *e)
{
    return wf_settle(w, true, e);
}

static err_t attach(struct warehouse *w, struct err *e)
{
    (void)w, (void)e;
    return ERR_OK;
}

// ---- results

static err_t check(const struct warehouse *w, const struct result *r, struct err *e)
{
    return text_check(w->files->format, &w->schema, r, e);
}

static bool shares(const struct warehouse *w)
{
    (void)w;
    return true;
}

static err_t fill(struct warehouse *w, unsigned slot, struct result *const *r, size_t n,
                  struct err *e)
{
    (void)w, (void)slot, (void)r, (void)n, (void)e;
    return ERR_OK;
}

// The part that the ledger calls open, if there is one. One that has its name already was
// named by a finish() that failed behind that: it is done.
static err_t open_part(struct warehouse *w, bool *any, struct err *e)
{
    struct wf *f = w->files;
    struct stat file;
    sqlite3_stmt *st;
    *any = false;
    TRY(wsq_prepare(
        w, &st, e,
        "SELECT name, bytes FROM main.tranche_output WHERE load = %lld AND state "
        "= 'open'",
        (long long)w->load_id));
    err_t rc = wsq_step(w, st, any, e, "reading tranche_output");
    const char *name = *any ? (const char *)sqlite3_column_text(st, 0) : NULL;
    uint64_t bytes = *any ? (uint64_t)sqlite3_column_int64(st, 1) : 0;
    if (rc == ERR_OK && *any) rc = name ? set_current(f, name, e) : nomem(e);
    sqlite3_finalize(st);
    if (rc != ERR_OK || !*any) return rc;
    char *path = wf_path(f, f->current, true);
    rc = path ? wf_stat(f, path, &file, any, e) : nomem(e);
    if (rc == ERR_OK)
        rc = *any ? wf_open_at(f, path, bytes, e) : name_part(w, f->current, e);
    free(path);
    return rc;
}

static err_t find_part(struct warehouse *w, struct err *e)
{
    bool any;
    TRY(name_parts(w, "'full'", e));
    TRY(open_part(w, &any, e));
    return any ? ERR_OK : start_part(w, e);
}

// Where the last transaction that is in ended: one that was rolled back left more.
static err_t start(struct warehouse *w, struct err *e)
{
    struct output o;
    if (w->files->parts) return find_part(w, e);
    assert(w->files->fd >= 0);
    TRY(read_output(w, w->files->current, &o, e));
    w->files->at = o.bytes;
    return wf_still_there(w->files, e);
}

static err_t add(struct warehouse *w, unsigned slot, struct result *r,
                 struct rejects *refused, struct wsq_added *added, struct err *e)
{
    struct wf *f = w->files;
    (void)slot, (void)refused;
    uint64_t from = f->at;
    TRY(wf_write(f, r->image, r->image_bytes, e));
    crash_point("file-after-write");
    r->row.rows_loaded = r->row.rows_emitted;
    if (f->at > from) {
        added->first = (int64_t)from + 1;
        added->last = (int64_t)f->at;
    }
    return ERR_OK;
}

static err_t commit_bytes(struct warehouse *w, struct err *e)
{
    struct wf *f = w->files;
    TRY(wf_sync(f, e));
    crash_point("file-after-sync");
    TRY(set_bytes(w, f->current, f->at, e));
    if (!f->parts || f->at < f->part_bytes) return ERR_OK;
    TRY(wf_cut(f, f->at, e));
    return wsq_exec(w, e, "writing tranche_output",
                    "UPDATE main.tranche_output SET state = 'full' WHERE name = %Q",
                    f->current);
}

static void empty(struct warehouse *w, unsigned slot)
{
    (void)w, (void)slot;
}

// ---- the end

static err_t prepare(struct warehouse *w, bool swaps, struct err *e)
{
    (void)w, (void)swaps, (void)e;
    return ERR_OK;
}

// It may have its name since an earlier try, which failed behind that.
static err_t take_name(struct warehouse *w, const char *from, const char *to, struct err *e)
{
    struct wf *f = w->files;
    struct output o;
    struct stat st;
    bool there;
    TRY(wf_stat(f, from, &st, &there, e));
    if (there) return wf_rename(f, from, to, false, e);
    TRY(read_output(w, w->target, &o, e));
    TRY(swapped_already(w, &o, e));
    return wf_sync_folder(f, e);
}

static err_t swap(struct warehouse *w, struct err *e)
{
    struct wf *f = w->files;
    char *from = wf_path(f, w->target, false), *to = wf_path(f, f->base, false);
    err_t rc = from && to ? ERR_OK : nomem(e);
    if (rc == ERR_OK && !f->swapped) rc = take_name(w, from, to, e);
    free(from);
    free(to);
    if (rc != ERR_OK) return rc;
    f->swapped = true;
    crash_point("file-after-swap");
    return wsq_exec(w, e, "writing tranche_output",
                    "DELETE FROM main.tranche_output WHERE name = %Q;"
                    "UPDATE main.tranche_output SET name = %Q WHERE name = %Q",
                    f->base, f->base, w->target);
}

// Of a merge there is a table too.
static err_t drop_staged(struct warehouse *w, const char *staging, struct err *e)
{
    return wsq_exec(w, e, "writing tranche_output",
                    "INSERT INTO main.tranche_output VALUES(%Q, 0, 0, 0, 'trash') "
                    "ON CONFLICT DO UPDATE SET state = 'trash';"
                    "DROP TABLE IF EXISTS main.\"%w\"",
                    staging, staging);
}

static err_t cut_what_is_extra(struct warehouse *w, struct err *e)
{
    struct wf *f = w->files;
    struct output o;
    if (f->fd < 0) return ERR_OK;
    TRY(read_output(w, f->current, &o, e));
    return wf_cut(f, o.bytes, e);
}

static err_t complete(struct warehouse *w, bool swaps, bool drops, struct err *e)
{
    if (drops) return drop_staged(w, w->target, e);
    if (w->files->parts) {
        bool any;
        if (w->files->fd >= 0) TRY(open_part(w, &any, e)); // cut to what is committed
        return name_parts(w, "'full','open'", e);
    }
    if (!w->files->swapped) TRY(cut_what_is_extra(w, e));
    return swaps ? swap(w, e) : ERR_OK;
}

// Of two loads that end at a time each writes the rejects of both, one after the other.
static err_t done(struct warehouse *w, bool swaps, bool is_complete, struct err *e)
{
    (void)swaps;
    if (!is_complete) return ERR_OK;
    TRY(set_current(w->files, NULL, e));
    TRY(wsq_ready(w, e));
    TRY(wsq_txn_begin(w, e));
    (void)delete_trash(w, NULL); // else the next load does it
    err_t rc = wf_rejects_export(w, e);
    wsq_txn_rollback(w);
    return rc;
}

// ---- --fresh

// Bytes in the middle can't be taken out while somebody reads.
static err_t drop_rows(struct warehouse *w, uint64_t load_id, struct err *e)
{
    struct wf *f = w->files;
    struct output o;
    int64_t first, last, sum;
    bool any;
    if (f->parts)
        return wsq_exec(w, e, "writing tranche_output",
                        "UPDATE main.tranche_output SET state = 'trash' WHERE load = %lld",
                        (long long)load_id);
#define OF_LOAD " FROM main.tranche_ledger WHERE load = %lld AND first_rowid IS NOT NULL"
    TRY(wsq_int(w, e, &first, &any, "SELECT min(first_rowid)" OF_LOAD, (long long)load_id));
    if (!any) return ERR_OK;
    TRY(wsq_int(w, e, &last, &any, "SELECT max(last_rowid)" OF_LOAD, (long long)load_id));
    TRY(wsq_int(w, e, &sum, &any, "SELECT sum(last_rowid - first_rowid + 1)" OF_LOAD,
                (long long)load_id));
    TRY(read_output(w, f->base, &o, e));
    struct stat st = { 0 };
    bool there;
    char *path = wf_path(f, f->base, false);
    err_t rc = path ? wf_stat(f, path, &st, &there, e) : nomem(e);
    free(path);
    TRY(rc);
    bool more = there && (uint64_t)st.st_size > o.bytes && !w->torn;
    if ((uint64_t)last != o.bytes || sum != last - first + 1 || more)
        return err_set(e, ERR_INVALID,
                       "%s: the rows of load %" PRIu64
                       " can't be dropped, others stand behind or between them. To start "
                       "over delete the file together with its .ledger",
                       f->shown, load_id);
    w->torn = true; // what stands there now is cut off
    TRY(set_bytes(w, f->base, there ? (uint64_t)first - 1 : 0, e));
    return wsq_exec(w, e, "writing tranche_output",
                    "UPDATE main.tranche_output SET state = 'cut' WHERE name = %Q",
                    f->base);
}

const struct wsq_store wf_store = {
    .tidy = tidy,
    .ensure = ensure,
    .settle = settle,
    .attach = attach,
    .check = check,
    .shares = shares,
    .fill = fill,
    .start = start,
    .add = add,
    .sync = commit_bytes,
    .empty = empty,
    .prepare = prepare,
    .complete = complete,
    .done = done,
    .drop_rows = drop_rows,
    .drop_staged = drop_staged,
};
