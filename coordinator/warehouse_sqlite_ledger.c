// tranche_runs and tranche_ledger: one row a load, one row a range.

#include "coordinator/load_inputs.h"
#include "coordinator/warehouse_sqlite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_COLUMNS                                                                  \
    "load_id,table_name,sources,spec,mode,state,epoch,inputs,params,staging,started," \
    "finished,host,pid,watermark_from,watermark"
#define LEDGER_COLUMNS                                                                   \
    "load,input,byte_begin,byte_end,state,records,lines,unterminated,rows_read,"         \
    "rows_parsed,rows_rejected,rows_emitted,rows_loaded,rows_refused,misfits,digest,"    \
    "result_digest,epoch,attempt,worker,first_rowid,last_rowid,rows_mark,rows_replaced," \
    "rows_skipped,watermark"

static err_t create(struct warehouse *w, struct err *e)
{
    return wsq_exec(
        w, e, "creating the ledger",
        "CREATE TABLE IF NOT EXISTS main.tranche_runs("
        "load_id INTEGER PRIMARY KEY, table_name TEXT NOT NULL, sources TEXT NOT NULL,"
        "spec TEXT NOT NULL, mode TEXT NOT NULL, state TEXT NOT NULL, epoch INTEGER NOT "
        "NULL,"
        "inputs TEXT NOT NULL, params BLOB NOT NULL, staging TEXT, started TEXT NOT NULL,"
        "finished TEXT, host TEXT NOT NULL, pid INTEGER NOT NULL, watermark_from, "
        "watermark);"
        "CREATE TABLE IF NOT EXISTS main.tranche_ledger("
        "load INTEGER NOT NULL, input INTEGER NOT NULL, byte_begin INTEGER NOT NULL,"
        "byte_end INTEGER NOT NULL, state TEXT NOT NULL, records INTEGER NOT NULL,"
        "lines INTEGER NOT NULL, unterminated INTEGER NOT NULL, rows_read INTEGER NOT NULL,"
        "rows_parsed INTEGER NOT NULL, rows_rejected INTEGER NOT NULL,"
        "rows_emitted INTEGER NOT NULL, rows_loaded INTEGER NOT NULL,"
        "rows_refused INTEGER NOT NULL, misfits INTEGER NOT NULL, digest TEXT NOT NULL,"
        "result_digest TEXT NOT NULL, epoch INTEGER NOT NULL, attempt INTEGER NOT NULL,"
        "worker TEXT NOT NULL, first_rowid INTEGER, last_rowid INTEGER, rows_mark TEXT,"
        "rows_replaced INTEGER NOT NULL DEFAULT 0, rows_skipped INTEGER NOT NULL DEFAULT 0,"
        "watermark, PRIMARY KEY(load, input, byte_begin, byte_end)) WITHOUT ROWID");
}

// Columns that came later, in the order in which new tables have them.
static err_t add_columns(struct warehouse *w, struct err *e)
{
    static const char *const later[][3] = {
        { "tranche_runs", "watermark_from", "" },
        { "tranche_runs", "watermark", "" },
        { "tranche_ledger", "rows_replaced", "INTEGER NOT NULL DEFAULT 0" },
        { "tranche_ledger", "rows_skipped", "INTEGER NOT NULL DEFAULT 0" },
        { "tranche_ledger", "watermark", "" },
    };
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        int64_t n;
        bool there;
        TRY(wsq_int(w, e, &n, &there,
                    "SELECT 1 FROM pragma_table_info(%Q,'main') WHERE name = %Q",
                    later[i][0], later[i][1]));
        if (!there)
            TRY(wsq_exec(w, e, "creating the ledger",
                         "ALTER TABLE main.%s ADD COLUMN %s %s", later[i][0], later[i][1],
                         later[i][2]));
    }
    return ERR_OK;
}

// Rows are written by the order of their columns, and read by their names.
static err_t check_columns(struct warehouse *w, const char *table, const char *columns,
                           struct err *e)
{
    int64_t same;
    bool found;
    TRY(wsq_int(w, e, &same, &found,
                "SELECT lower(group_concat(name)) = %Q FROM (SELECT name FROM "
                "pragma_table_info(%Q,'main') ORDER BY cid)",
                columns, table));
    return found && same == 1
               ? ERR_OK
               : err_set(e, ERR_INVALID, LEDGER_STRANGE, w->shown, "another database");
}

err_t wsq_ledger_create(struct warehouse *w, struct err *e)
{
    TRY(create(w, e));
    TRY(add_columns(w, e));
    TRY(check_columns(w, "tranche_runs", RUNS_COLUMNS, e));
    return check_columns(w, "tranche_ledger", LEDGER_COLUMNS, e);
}

// ---- statements of every commit

#define OVERLAP_COLUMNS                                                                    \
    "byte_begin, byte_end, state, rows_loaded, rows_refused, rows_emitted, rows_replaced," \
    "rows_skipped"

static char *cached_sql(const struct warehouse *w, enum wsq_cached which)
{
    switch (which) {
    case WSQ_FENCE:
        return sqlite3_mprintf("SELECT epoch, state, host, pid FROM main.tranche_runs "
                               "WHERE load_id = ?1");
    case WSQ_OVERLAP:
        // The nearest row on the left, and all that begin inside. Whole rows on the left do
        // not overlap each other, and a split on the left forbids nothing.
        return sqlite3_mprintf(
            "SELECT " OVERLAP_COLUMNS " FROM (SELECT * "
            " FROM main.tranche_ledger WHERE load = ?1 AND input = ?2 AND byte_begin < ?3 "
            " AND state <> 'split' ORDER BY byte_begin DESC LIMIT 1) "
            "UNION ALL SELECT " OVERLAP_COLUMNS
            " FROM main.tranche_ledger WHERE load = ?1 AND input = ?2 "
            "AND byte_begin >= ?3 AND byte_begin < ?4");
    case WSQ_LEDGER_ADD:
        return sqlite3_mprintf(
            "INSERT INTO main.tranche_ledger VALUES(?1,?2,?3,?4,?5,?6,?7,?8,"
            "?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26)");
    case WSQ_REJECT_ADD:
        return sqlite3_mprintf("INSERT INTO main.\"%w\"(run, file, line, byte_offset, "
                               "\"column\", reason, raw) VALUES(?1,?2,?3,?4,?5,?6,?7)",
                               w->rejects);
    case WSQ_MAX_ROWID:
        return sqlite3_mprintf("SELECT max(%s) FROM main.\"%w\"", w->rowid, w->target);
    case WSQ_ROW:
        return sqlite3_mprintf("SELECT * FROM main.\"%w\" WHERE %s = ?1", w->target,
                               w->rowid);
    case WSQ_N_CACHED: break;
    }
    return NULL;
}

err_t wsq_cached(struct warehouse *w, enum wsq_cached which, sqlite3_stmt **st,
                 struct err *e)
{
    if (!w->cached[which]) {
        char *sql = cached_sql(w, which);
        if (!sql) return err_set(e, ERR_NOMEM, "out of memory");
        int rc = sqlite3_prepare_v3(w->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &w->cached[which], NULL);
        err_t out = rc == SQLITE_OK ? ERR_OK : wsq_fail(w, rc, e, sql);
        sqlite3_free(sql);
        TRY(out);
    }
    *st = w->cached[which];
    return ERR_OK;
}

static const char *text(sqlite3_stmt *st, int column)
{
    const char *p = (const char *)sqlite3_column_text(st, column);
    return p ? p : "";
}

err_t wsq_ledger_fence(struct warehouse *w, struct err *e)
{
    sqlite3_stmt *st;
    bool row;
    TRY(wsq_cached(w, WSQ_FENCE, &st, e));
    TRY(wsq_bind(w, st, e, "i", (int64_t)w->load_id));
    TRY(wsq_step(w, st, &row, e, "checking the epoch"));
    if (!row)
        return err_set(e, ERR_FENCED, "load %" PRIu64 " is no longer in %s", w->load_id,
                       w->shown);
    err_t rc = ERR_OK;
    if ((uint64_t)sqlite3_column_int64(st, 0) != w->epoch)
        rc = err_set(e, ERR_FENCED,
                     "another run took load %" PRIu64 " over: process %lld on host %s",
                     w->load_id, (long long)sqlite3_column_int64(st, 3), text(st, 2));
    else if (strcmp(text(st, 1), "loading") != 0 &&
             !(w->untouched && strcmp(text(st, 1), "complete") == 0))
        rc = err_set(e, ERR_FENCED, "load %" PRIu64 " is %s already", w->load_id,
                     text(st, 1));
    sqlite3_reset(st);
    return rc;
}

// ---- ranges

err_t wsq_ledger_overlap(struct warehouse *w, struct ledger_row *row, bool *dup, bool *same,
                         struct err *e)
{
    sqlite3_stmt *st;
    bool more;
    struct range r = row->range;
    *dup = *same = false;
    TRY(wsq_cached(w, WSQ_OVERLAP, &st, e));
    TRY(wsq_bind(w, st, e, "iiii", (int64_t)w->load_id, (int64_t)w->ids[r.input],
                 (int64_t)r.begin, (int64_t)r.end));
    for (;;) {
        TRY(wsq_step(w, st, &more, e, "reading the ledger"));
        if (!more) return ERR_OK;
        struct range have = { r.input, (uint64_t)sqlite3_column_int64(st, 0),
                              (uint64_t)sqlite3_column_int64(st, 1) };
        enum ledger_state state = LEDGER_DONE; // a state we don't know forbids most
        ledger_state_parse(text(st, 2), &state);
        *dup |= ledger_forbids(have, state, r);
        if (have.begin != r.begin || have.end != r.end) continue;
        *same = true;
        row->state = state;
        row->rows_loaded = (uint64_t)sqlite3_column_int64(st, 3);
        row->rows_refused = (uint64_t)sqlite3_column_int64(st, 4);
        row->rows_emitted = (uint64_t)sqlite3_column_int64(st, 5);
        row->rows_replaced = (uint64_t)sqlite3_column_int64(st, 6);
        row->rows_skipped = (uint64_t)sqlite3_column_int64(st, 7);
    }
}

err_t wsq_ledger_add(struct warehouse *w, const struct ledger_row *row,
                     const struct wsq_added *added, struct err *e)
{
    sqlite3_stmt *st;
    bool more;
    char digest[HASH_HEX], result[HASH_HEX], mark[HASH_HEX], worker[sizeof row->worker + 1];
    hash_hex(row->digest, digest);
    hash_hex(row->result_digest, result);
    snprintf(worker, sizeof worker, "%.*s", (int)sizeof row->worker, row->worker);
    hash_hex(added->mark, mark);
    TRY(wsq_cached(w, WSQ_LEDGER_ADD, &st, e));
    const char *kinds = !added->first   ? "iiiitiiiiiiiiiittiitnnn"
                        : added->marked ? "iiiitiiiiiiiiiittiitiit"
                                        : "iiiitiiiiiiiiiittiitiin";
    TRY(wsq_bind(
        w, st, e, kinds, (int64_t)w->load_id, (int64_t)w->ids[row->range.input],
        (int64_t)row->range.begin, (int64_t)row->range.end, ledger_state_name(row->state),
        (int64_t)row->records, (int64_t)row->lines, (int64_t)row->unterminated,
        (int64_t)row->rows_read, (int64_t)row->rows_parsed, (int64_t)row->rows_rejected,
        (int64_t)row->rows_emitted, (int64_t)row->rows_loaded, (int64_t)row->rows_refused,
        (int64_t)row->misfits, digest, result, (int64_t)w->epoch, (int64_t)row->attempt,
        worker, added->first, added->last, mark));
    int rc = sqlite3_bind_int64(st, 24, (int64_t)row->rows_replaced);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(st, 25, (int64_t)row->rows_skipped);
    if (rc == SQLITE_OK)
        rc = added->greatest ? sqlite3_bind_value(st, 26, added->greatest)
                             : sqlite3_bind_null(st, 26);
    if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "binding a value");
    return wsq_step(w, st, &more, e, "writing the ledger");
}

static err_t hex_digest(const char *hex, struct hash128 *out, struct err *e)
{
    if (sscanf(hex, "%16" SCNx64 "%16" SCNx64, &out->hi, &out->lo) != 2)
        return err_set(e, ERR_DB, "tranche_ledger has a digest that is none: '%.40s'", hex);
    return ERR_OK;
}

// SQLite keeps a text or a real in an INTEGER column, and gives 0 for it.
static err_t only_integers(sqlite3_stmt *st, struct err *e)
{
    static const int columns[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 16, 18, 19 };
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (sqlite3_column_type(st, columns[i]) != SQLITE_INTEGER)
            return err_set(e, ERR_DB,
                           "tranche_ledger is damaged: %s is no integer but '%.40s'. Bring "
                           "the database back from a copy, or start over with --fresh",
                           sqlite3_column_name(st, columns[i]), text(st, columns[i]));
    return ERR_OK;
}

static err_t read_row(sqlite3_stmt *st, uint32_t input, struct ledger_row *row,
                      struct err *e)
{
    *row = (struct ledger_row){ .range.input = input };
    uint64_t *const numbers[] = {
        &row->range.begin, &row->range.end,    &row->records,       &row->lines,
        &row->rows_read,   &row->rows_parsed,  &row->rows_rejected, &row->rows_emitted,
        &row->rows_loaded, &row->rows_refused, &row->misfits,
    };
    for (int i = 0; i < 11; i++)
        *numbers[i] = (uint64_t)sqlite3_column_int64(st, 1 + i);
    if (!ledger_state_parse(text(st, 12), &row->state))
        return err_set(e, ERR_DB, "tranche_ledger has a state that is none: '%.40s'",
                       text(st, 12));
    row->unterminated = sqlite3_column_int(st, 13);
    TRY(hex_digest(text(st, 14), &row->digest, e));
    TRY(hex_digest(text(st, 15), &row->result_digest, e));
    row->attempt = (uint32_t)sqlite3_column_int64(st, 16);
    snprintf(row->worker, sizeof row->worker, "%s", text(st, 17));
    row->rows_replaced = (uint64_t)sqlite3_column_int64(st, 18);
    row->rows_skipped = (uint64_t)sqlite3_column_int64(st, 19);
    return ledger_check_stored(row, e);
}

static err_t walk(struct warehouse *w, sqlite3_stmt *st, const int64_t *here,
                  wsq_ledger_fn *fn, void *arg, struct err *e)
{
    bool more;
    for (;;) {
        TRY(wsq_step(w, st, &more, e, "reading the ledger"));
        if (!more) return ERR_OK;
        TRY(only_integers(st, e));
        int64_t input = sqlite3_column_int64(st, 0);
        if (input < 0 || input >= (int64_t)w->n_stored)
            return err_set(e, ERR_DB,
                           "tranche_ledger names an input that is not in "
                           "tranche_runs: %lld",
                           (long long)input);
        if (here[input] < 0) continue;
        struct ledger_row row;
        TRY(read_row(st, (uint32_t)here[input], &row, e));
        TRY(fn(arg, &row, e));
    }
}

err_t wsq_ledger_each(struct warehouse *w, int64_t only, wsq_ledger_fn *fn, void *arg,
                      struct err *e)
{
    sqlite3_stmt *st = NULL;
    int64_t *here = load_inputs_numbers(w->ids, w->n_inputs, w->n_stored);
    if (!here) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wsq_prepare(
        w, &st, e,
        "SELECT input, byte_begin, byte_end, records, lines, rows_read, rows_parsed,"
        "rows_rejected, rows_emitted, rows_loaded, rows_refused, misfits, state, "
        "unterminated,"
        "digest, result_digest, attempt, worker, rows_replaced, rows_skipped "
        "FROM main.tranche_ledger "
        "WHERE load = ?1 %s ORDER BY input, byte_begin, byte_end",
        only >= 0 ? "AND input = ?2" : "");
    if (rc == ERR_OK)
        rc = wsq_bind(w, st, e, only >= 0 ? "ii" : "i", (int64_t)w->load_id,
                      only >= 0 ? (int64_t)w->ids[only] : (int64_t)0);
    if (rc == ERR_OK) rc = walk(w, st, here, fn, arg, e);
    sqlite3_finalize(st);
    free(here);
    return rc;
}

// ---- rejects

static err_t bind_words(struct warehouse *w, sqlite3_stmt *st, int i, struct slice s,
                        struct err *e)
{
    if (s.n == 0) return ERR_OK; // stays NULL
    int rc = sqlite3_bind_text64(st, i, (const char *)s.p, s.n, SQLITE_STATIC, SQLITE_UTF8);
    return rc == SQLITE_OK ? ERR_OK : wsq_fail(w, rc, e, "binding a value");
}

err_t wsq_reject_add(struct warehouse *w, uint32_t input, const struct reject *r,
                     struct err *e)
{
    sqlite3_stmt *st;
    bool more;
    TRY(wsq_cached(w, WSQ_REJECT_ADD, &st, e));
    sqlite3_clear_bindings(st);
    TRY(wsq_bind(w, st, e, "it", (int64_t)w->load_id, w->inputs[input].name));
    bool fits = (!r->line || sqlite3_bind_int64(st, 3, (int64_t)r->line) == SQLITE_OK) &&
                (r->byte == REJECT_NO_BYTE ||
                 sqlite3_bind_int64(st, 4, (int64_t)r->byte) == SQLITE_OK);
    if (!fits) return wsq_fail(w, SQLITE_ERROR, e, "binding a value");
    TRY(bind_words(w, st, 5, r->column, e));
    TRY(bind_words(w, st, 6, r->reason, e));
    int rc = sqlite3_bind_blob64(st, 7, r->raw.n ? (const void *)r->raw.p : "", r->raw.n,
                                 SQLITE_STATIC);
    if (rc != SQLITE_OK) return wsq_fail(w, rc, e, "binding a value");
    return wsq_step(w, st, &more, e, "adding a reject");
}
