// What the ledger and the rejects of the warehouse say: opened to read, hardened, and never
// waited for long.

#include "coordinator/past_impl.h"

#include "common/clock.h"
#include "common/hash_map.h"
#include "common/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 64 << 20 /* bytes: whoever wrote the file may have put any there */ };
enum { BUSY_MS = 2000, REASONS_READ = 20000, REASON_BYTES = 200 };

static const char *say(struct past *p, const char *text)
{
    char *copy = arena_strdup(&p->mem, text, strlen(text));
    return copy ? copy : "out of memory";
}

int past_database(const char *path, sqlite3 **db)
{
    int rc = sqlite3_open_v2(path, db,
                             SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW,
                             NULL);
    if (rc != SQLITE_OK) return rc;
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_limit(*db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(*db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
    sqlite3_busy_timeout(*db, BUSY_MS);
    return sqlite3_exec(*db, "PRAGMA query_only=ON; PRAGMA cell_size_check=ON", NULL, NULL,
                        NULL);
}

static int is_late(void *arg)
{
    const struct past *p = arg;
    return clock_ns() > p->deadline;
}

const char *past_ledger_trouble(struct past *p, sqlite3 *db, const struct err *e)
{
    return sqlite3_errcode(db) == SQLITE_INTERRUPT
               ? "there are too many to go through them here: ask 'tranche report'"
               : say(p, e->text);
}

sqlite3 *past_open_ledger(struct past *p, const char **why)
{
    sqlite3 *db = NULL;
    char text[4500];
    if (!p->database[0]) {
        *why = strncmp(p->run.into, "postgres", 8) == 0
                   ? "the ledger is in PostgreSQL; ask its table tranche_ledger"
               : p->load[0] ? "this destination keeps no ledger"
                            : "an older program wrote this history";
        return NULL;
    }
    int rc = past_database(p->database, &db);
    if (rc == SQLITE_OK && p->patience_ms && p->patience_ms < BUSY_MS)
        sqlite3_busy_timeout(db, (int)p->patience_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "SELECT 1 FROM tranche_runs LIMIT 1", NULL, NULL, NULL);
    p->deadline = clock_ns() + p->patience_ms * NS_MS;
    if (p->patience_ms && rc == SQLITE_OK) sqlite3_progress_handler(db, 1000, is_late, p);
    if (rc == SQLITE_OK) return db;
    snprintf(text, sizeof text, "%s cannot be read: %s", p->database,
             db ? sqlite3_errmsg(db) : "out of memory");
    sqlite3_close(db);
    *why = say(p, text);
    return NULL;
}

// The ledger's own number of this run's input.
static err_t number_of(struct past *p, sqlite3 *db, uint32_t input, int64_t *out,
                       struct err *e)
{
    sqlite3_stmt *q;
    const struct past_value v[] = { PAST_NUMBER(p->load_id),
                                    PAST_TEXT(past_input_name(p, input)) };
    *out = -1;
    err_t rc = past_ask(db, &q,
                        "SELECT j.key FROM tranche_runs r, json_each(r.inputs) j WHERE"
                        " r.load_id = ? AND json_extract(j.value, '$.name') = ?",
                        v, 2, e);
    while (past_next(q, &rc, e))
        *out = sqlite3_column_int64(q, 0);
    return rc;
}

static void read_row(struct past *p, sqlite3_stmt *q, uint64_t first_line,
                     struct past_rows *rows, uint32_t input)
{
    *rows = (struct past_rows){
        .range = { input, past_u64(q, 0), past_u64(q, 1) },
        .lines = past_u64(q, 2),
        .state = past_text(p, q, 3),
        .worker = past_text(p, q, 4),
        .attempt = (uint32_t)past_u64(q, 5),
        .rows_read = past_u64(q, 6),
        .rows_rejected = past_u64(q, 7),
        .rows_loaded = past_u64(q, 8),
        .rows_refused = past_u64(q, 9),
        .first =
            sqlite3_column_type(q, 10) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 10),
        .last =
            sqlite3_column_type(q, 11) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 11),
        .first_line = first_line,
    };
}

// Lines are counted from the front: the ledger tiles the input from its first record on.
static err_t search(struct past *p, sqlite3 *db, uint32_t input, int64_t id, uint64_t *byte,
                    uint64_t line, struct past_rows *rows, struct err *e)
{
    sqlite3_stmt *q;
    const struct past_value v[] = { PAST_NUMBER(p->load_id), PAST_NUMBER(id) };
    uint64_t next = input < p->n_inputs ? p->inputs[input].header_lines + 1 : 1;
    uint64_t at = input < p->n_inputs ? p->inputs[input].begin : 0;
    bool lines = !past_input_in_rows(p, input), tiled = true;
    rows->unknown = "it is not committed, or the load was dropped since";
    err_t rc = past_ask(db, &q,
                        "SELECT byte_begin, byte_end, lines, state, worker, attempt,"
                        " rows_read, rows_rejected, rows_loaded, rows_refused, first_rowid,"
                        " last_rowid FROM tranche_ledger WHERE load = ? AND input = ? AND"
                        " state <> 'split' ORDER BY byte_begin",
                        v, 2, e);
    while (past_next(q, &rc, e)) {
        uint64_t begin = past_u64(q, 0), end = past_u64(q, 1), n = past_u64(q, 2);
        tiled &= begin == at;
        bool hit = line ? tiled && line >= next && (line < next + n || (!n && line == next))
                        : *byte >= begin && *byte < end;
        if (hit && rows->unknown) read_row(p, q, lines && tiled ? next : 0, rows, input);
        if (hit && line) *byte = begin;
        next += n;
        at = end;
    }
    if (rc == ERR_OK && rows->unknown && line && !tiled)
        rows->unknown = "not all of the input before it is committed";
    return rc;
}

err_t past_ledger_at(struct past *p, uint32_t input, uint64_t *byte, uint64_t line,
                     struct past_rows *rows, struct err *e)
{
    int64_t id;
    *rows = (struct past_rows){ .first = -1, .last = -1 };
    sqlite3 *db = past_open_ledger(p, &rows->unknown);
    if (!db) return ERR_OK;
    err_t rc = number_of(p, db, input, &id, e);
    if (rc == ERR_OK && id < 0) rows->unknown = "the ledger no longer has this load";
    if (rc == ERR_OK && id >= 0) rc = search(p, db, input, id, byte, line, rows, e);
    if (rc != ERR_OK && rc != ERR_NOMEM) { // damaged, or locked: that is no news of ours
        *rows = (struct past_rows){ .first = -1, .last = -1, .unknown = say(p, e->text) };
        rc = ERR_OK;
    }
    sqlite3_close(db);
    return rc;
}

// ---- rejects ----

struct kind {
    char reason[REASON_BYTES];
    uint64_t rows;
    UT_hash_handle hh;
};

static err_t add_kind(struct kind **kinds, const char *text, uint64_t rows, struct err *e)
{
    char reason[REASON_BYTES];
    struct kind *k;
    reason_kind(text, reason, sizeof reason);
    HASH_FIND_STR(*kinds, reason, k);
    if (!k) {
        if (!(k = calloc(1, sizeof *k))) return err_set(e, ERR_NOMEM, "out of memory");
        memcpy(k->reason, reason, sizeof reason);
        HASH_ADD_STR(*kinds, reason, k);
        if (!k->hh.tbl) return free(k), err_set(e, ERR_NOMEM, "out of memory");
    }
    k->rows += rows;
    return ERR_OK;
}

static int most_rows(const struct kind *a, const struct kind *b)
{
    if (a->rows != b->rows) return a->rows < b->rows ? 1 : -1;
    return strcmp(a->reason, b->reason);
}

// The most frequent ones; frees all.
static err_t take_kinds(struct past *p, struct kind **kinds, err_t rc, struct err *e)
{
    struct kind *k, *tmp;
    HASH_SORT(*kinds, most_rows);
    HASH_ITER(hh, *kinds, k, tmp)
    {
        if (rc == ERR_OK && p->n_reasons < PAST_REASONS) {
            struct past_reason *r =
                past_grow(p, (void **)&p->reasons, p->n_reasons, sizeof *r);
            if (r)
                *r = (struct past_reason){ say(p, k->reason), k->rows }, p->n_reasons++;
            else
                rc = err_set(e, ERR_NOMEM, "out of memory");
        }
        HASH_DEL(*kinds, k);
        free(k);
    }
    return rc;
}

static err_t read_reasons(struct past *p, sqlite3 *db, struct err *e)
{
    sqlite3_stmt *q;
    struct kind *kinds = NULL;
    const struct past_value v[] = { PAST_NUMBER(p->load_id), PAST_NUMBER(REASONS_READ) };
    char *sql = sqlite3_mprintf("SELECT reason, count(*) FROM \"%w_rejects\" WHERE run = ?"
                                " GROUP BY 1 ORDER BY 2 DESC LIMIT ?",
                                p->run.table);
    err_t rc =
        sql ? past_ask(db, &q, sql, v, 2, e) : err_set(e, ERR_NOMEM, "out of memory");
    sqlite3_free(sql);
    if (rc != ERR_OK) return rc;
    if (!q) p->no_reasons = "the table of rejected rows is gone";
    while (past_next(q, &rc, e)) {
        const char *reason = (const char *)sqlite3_column_text(q, 0);
        rc = add_kind(&kinds, reason ? reason : "", past_u64(q, 1), e);
    }
    return take_kinds(p, &kinds, rc, e);
}

err_t past_load_rejects(struct past *p, struct err *e)
{
    bool text = strncmp(p->run.into, "sqlite:", 7) != 0;
    sqlite3 *db = text ? NULL : past_open_ledger(p, &p->no_reasons);
    if (text) p->no_reasons = "rejected rows are not kept in a database that is read here";
    if (!db) return ERR_OK;
    err_t rc = read_reasons(p, db, e);
    if (rc != ERR_OK && rc != ERR_NOMEM) {
        p->no_reasons = past_ledger_trouble(p, db, e);
        rc = ERR_OK;
    }
    sqlite3_close(db);
    return rc;
}
