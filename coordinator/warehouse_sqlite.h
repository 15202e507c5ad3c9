// warehouse_sqlite - what the files of the SQLite warehouse share (prefix wsq_). Nobody
// else includes this.
//
// One connection, one thread. A transaction is opened by wsq_txn_begin and ended by
// wsq_txn_commit or wsq_txn_rollback in the same function.

#ifndef COORDINATOR_WAREHOUSE_SQLITE_H
#define COORDINATOR_WAREHOUSE_SQLITE_H

#include "common/agg_group.h"
#include "common/sqlite_image.h"
#include "coordinator/ledger.h"
#include "coordinator/load_columns.h"
#include "coordinator/load_which.h"
#include "coordinator/warehouse.h"

#include <sqlite3.h>

enum { WSQ_CACHE_KIB = 32 << 10 };

enum wsq_cached { // statements that every commit runs
    WSQ_FENCE,
    WSQ_OVERLAP,
    WSQ_LEDGER_ADD,
    WSQ_REJECT_ADD,
    WSQ_MAX_ROWID,
    WSQ_ROW,
    WSQ_N_CACHED
};

enum wsq_kind { WSQ_KIND_OPEN, WSQ_KIND_NUMBER, WSQ_KIND_TEXT };

struct wsq_watermark {
    int column;              // of the schema; -1: the mode has none
    enum wsq_kind kind;      // what its values are; OPEN until the first is seen
    sqlite3_value *floor;    // the greatest that is loaded already; NULL: nothing is
    sqlite3_value *greatest; // of the rows that the statement added; NULL: of none
    uint64_t skipped;        // rows at or below the floor, by the statement that runs
};

struct wsq_added { // what one result brought, beside the counts
    bool marked;   // `mark` is one: see wsq_table_mark
    struct hash128 mark;
    int64_t first, last; // rowids, or bytes of the output from 1; 0: not to be had
    const sqlite3_value *greatest; // watermark; NULL: none
};

// Where the rows of a load go. The ledger is a SQLite database in any case; what a store
// does inside one of its transactions must bear to be done again after a rollback.
struct wsq_store {
    // What an earlier run could not tidy up any more, in begin()'s transaction.
    err_t (*tidy)(struct warehouse *w, struct err *e);
    // w->target is there and takes the schema: made, or checked. In begin()'s transaction.
    err_t (*ensure)(struct warehouse *w, struct err *e);
    err_t (*settle)(struct warehouse *w, struct err *e); // after it
    err_t (*attach)(struct warehouse *w, struct err *e); // to a connection opened again
    // Any thread; ERR_PROTO: the bytes are not `row.rows_emitted` rows of the schema.
    err_t (*check)(const struct warehouse *w, const struct result *r, struct err *e);
    // Whether small results may share a slot: then none of them can be left out.
    bool (*shares)(const struct warehouse *w);
    // A group of results: before its transaction, those of each slot; in it, first, for
    // each result with rows, and last; and after it, whatever happened. ERR_DUP from fill:
    // they can't share it.
    err_t (*fill)(struct warehouse *w, unsigned slot, struct result *const *r, size_t n,
                  struct err *e);
    err_t (*start)(struct warehouse *w, struct err *e);
    err_t (*add)(struct warehouse *w, unsigned slot, struct result *r,
                 struct rejects *refused, struct wsq_added *added, struct err *e);
    err_t (*sync)(struct warehouse *w, struct err *e);
    void (*empty)(struct warehouse *w, unsigned slot);
    // The end: before the last transaction; in it; after it, however it ended.
    err_t (*prepare)(struct warehouse *w, bool swaps, struct err *e);
    err_t (*complete)(struct warehouse *w, bool swaps, bool drops, struct err *e);
    err_t (*done)(struct warehouse *w, bool swaps, bool complete, struct err *e);
    // Takes back what a load put in: into the table, or into its own staged one.
    err_t (*drop_rows)(struct warehouse *w, uint64_t load_id, struct err *e);
    err_t (*drop_staged)(struct warehouse *w, const char *staging, struct err *e);
};
extern const struct wsq_store wsq_tables; // warehouse_sqlite_store.c

// What another store may have in common with it, whose rows are in a table for a while.
err_t wsq_rows_ensure(struct warehouse *w, struct err *e);
err_t wsq_rows_settle(struct warehouse *w, struct err *e);
err_t wsq_rows_check(const struct warehouse *w, const struct result *r, struct err *e);
bool wsq_rows_share(const struct warehouse *w);
err_t wsq_rows_fill(struct warehouse *w, unsigned slot, struct result *const *r, size_t n,
                    struct err *e);
err_t wsq_rows_start(struct warehouse *w, struct err *e);
err_t wsq_rows_add(struct warehouse *w, unsigned slot, struct result *r,
                   struct rejects *refused, struct wsq_added *added, struct err *e);
void wsq_rows_empty(struct warehouse *w, unsigned slot);
err_t wsq_rows_prepare(struct warehouse *w, bool swaps, struct err *e);
err_t wsq_rows_done(struct warehouse *w, bool swaps, bool is_complete, struct err *e);
#define WSQ_ROWS_VERBS                                                          \
    .attach = wsq_slots_attach, .check = wsq_rows_check, .fill = wsq_rows_fill, \
    .shares = wsq_rows_share, .start = wsq_rows_start, .add = wsq_rows_add,     \
    .sync = wsq_rows_start, .empty = wsq_rows_empty, .prepare = wsq_rows_prepare

struct wsq_slot {      // see warehouse_sqlite_share.c
    size_t n;          // results in it
    uint64_t rows;     // of all of them
    bool in, numbered; // the rows are in the table; their rowids are SQLite's own
    int64_t next;      // rowid of the next result's first row
    struct buf joined; // its image, when there are several
};

struct warehouse {
    const struct wsq_store *store;
    struct wf *files; // of a store of text; see warehouse_file.h
    char *path;       // resolved and absolute; "": a temporary file, gone when closed
    char *shown;      // as the user wrote it
    warehouse_say *say;
    void *say_arg;
    int busy_ms; // how long one step waits for another process's lock
    uint64_t dev, ino;
    sqlite3 *db;       // NULL: given up after an error, opened again by the next call
    bool slots;        // there may be images: the first slot is attached
    uint32_t attached; // those that are, a bit each

    // The load, from begin() on; load_id 0: none.
    uint64_t load_id, epoch;
    unsigned cache_kib; // 0: as much as is of use
    enum job_mode mode;
    char *place;           // "table t of wh.db", "out.csv"
    char *table, *rejects; // names as the user has them
    char *target;          // where rows go: the table, or the one staged for MODE_REPLACE
    const char *rowid;     // the name by which the target's rowid can be had; NULL: none
    bool fast;             // raw records are copied (xfer)
    struct schema schema;
    struct buf image_sql; // CREATE TABLE t(...), NUL-terminated
    uint8_t *empty_image; // what a slot holds when it holds nothing
    sqlite3_int64 empty_bytes;
    struct sqlite_image *joiner;
    struct wsq_slot slot[WAREHOUSE_GROUP];
    char *insert;                // INSERT ... FROM, then the slot's table, then ...
    char *insert_rule;           // ... WHERE and ON CONFLICT, or nothing
    char *insert_row;            // INSERT ... VALUES(?,...)
    struct load_columns key;     // MODE_UPSERT
    struct load_indexes indexes; // to be built at the end
    struct load_merge *merge;    // as given to begin(); NULL: none
    bool unfit; // a column of the result would change a value: see wsq_merge_rows
    const struct strings *merge_indexes; // with a merge: to be built at the end
    size_t n_merge_indexes;
    struct buf lookups;             // names of the lookup tables in temp
    struct wsq_watermark watermark; // MODE_INCREMENTAL
    uint64_t replaced;              // rows, by the statement that runs
    struct load_input *inputs;      // as given to begin()
    size_t n_inputs;
    uint32_t *ids;             // number in the ledger of each input
    struct load_input *stored; // inputs as the ledger numbers them
    size_t n_stored;
    bool torn;         // an unfinished load may have left more than is committed
    size_t n_known;    // of them, those that the load knew before this run
    bool untouched;    // it was complete, and tranche_runs says so until the first commit
    struct buf params; // ... which puts these there
    sqlite3_stmt *cached[WSQ_N_CACHED];
};

void wsq_set_busy_ms(struct warehouse *w, int ms); // for tests; default 2000

// ---- the file (warehouse_sqlite_file.c; no SQLite in it)

// Absolute path without symbolic links for a path that may not exist yet. Refuses, with the
// reason: a missing folder, a folder, a link or device in its place, no permission, a file
// system whose locks can't be trusted.
MUST_CHECK err_t wsq_resolve(const char *given, char **out, struct err *e);
const char *wsq_remote_fs(unsigned long f_type); // "NFS", ...; NULL: its locks are fine
// "process 4711 (sqlite3 wh.db)", from /proc/locks; the file itself is never opened (R16).
// False: nobody else holds a lock of SQLite's on it.
bool wsq_lock_holder(const char *path, char *out, size_t cap);

// ---- the connection (warehouse_sqlite.c)

MUST_CHECK err_t wsq_ready(struct warehouse *w, struct err *e); // opens it again if need be
void wsq_give_up(struct warehouse *w);                          // closes it
// A commit ends with the name of the journal, and SQLite leaves it to chance when that
// reaches the disk: a power cut may take the last transaction back. Not while this is on,
// which costs one more sync each.
MUST_CHECK err_t wsq_outlives_power_cuts(struct warehouse *w, bool yes, struct err *e);
// Of pages in memory: at most `kib`, 0: as large as the load's limit on memory allows.
MUST_CHECK err_t wsq_page_cache(struct warehouse *w, unsigned kib, struct err *e);
void wsq_look_afresh(struct warehouse *w); // the same, where what is in it stays
// The sentence and kind for SQLite's `rc`. `doing`: "adding rows".
err_t wsq_fail(struct warehouse *w, int rc, struct err *e, const char *doing);
MUST_CHECK err_t wsq_txn_begin(struct warehouse *w, struct err *e);
void wsq_txn_rollback(struct warehouse *w);
// ERR_BUSY, ERR_FULL: rolled back. ERR_UNKNOWN: the connection was given up (R5).
MUST_CHECK err_t wsq_txn_commit(struct warehouse *w, struct err *e);

// `sql` is a format of sqlite3_mprintf: %w inside double quotes for names.
MUST_CHECK err_t wsq_prepare(struct warehouse *w, sqlite3_stmt **st, struct err *e,
                             const char *sql, ...);
MUST_CHECK err_t wsq_cached(struct warehouse *w, enum wsq_cached which, sqlite3_stmt **st,
                            struct err *e);
// Kinds: i int64_t, t const char * (NULL: NULL), b const void * and size_t, n NULL. Text
// and blobs are borrowed until the statement is reset.
MUST_CHECK err_t wsq_bind(struct warehouse *w, sqlite3_stmt *st, struct err *e,
                          const char *kinds, ...);
// One row: *row = true. After the last, or after an error, the statement is reset.
MUST_CHECK err_t wsq_step(struct warehouse *w, sqlite3_stmt *st, bool *row, struct err *e,
                          const char *doing);
// A whole statement without values to bind and without rows.
MUST_CHECK err_t wsq_exec(struct warehouse *w, struct err *e, const char *doing,
                          const char *sql, ...);
// The first column of the first row; *found = false: no row, or NULL.
MUST_CHECK err_t wsq_int(struct warehouse *w, struct err *e, int64_t *out, bool *found,
                         const char *sql, ...);

// ---- image slots (warehouse_sqlite_slots.c)

MUST_CHECK err_t wsq_slots_attach(struct warehouse *w, struct err *e);
// Outside a transaction: with the empty image in it, if it is not attached.
MUST_CHECK err_t wsq_slot_attach(struct warehouse *w, unsigned slot, struct err *e);
// Outside a transaction. The image is borrowed until wsq_slot_clear.
MUST_CHECK err_t wsq_slot_fill(struct warehouse *w, unsigned slot, const uint8_t *p,
                               size_t n, struct err *e);
MUST_CHECK err_t wsq_slot_clear(struct warehouse *w, unsigned slot, struct err *e);
// The same for results that share it. ERR_DUP: they can't.
MUST_CHECK err_t wsq_slot_share(struct warehouse *w, unsigned slot, struct result *const *r,
                                size_t n, struct err *e);
void wsq_slots_free(struct warehouse *w); // what is kept for sharing
// The next of those results, the first time with the rows of all of them.
MUST_CHECK err_t wsq_slot_add_shared(struct warehouse *w, unsigned slot,
                                     struct ledger_row *row, struct wsq_added *added,
                                     struct err *e);
// All rows of the slot, raw, which are row->rows_emitted: fills in row->rows_loaded.
MUST_CHECK err_t wsq_slot_copy(struct warehouse *w, unsigned slot, struct ledger_row *row,
                               struct err *e);
// Adds the slot's `rows` rows to the target, and fills in row->rows_loaded and _refused.
// Refused rows join `refused`. `added` is valid until the next call.
MUST_CHECK err_t wsq_slot_insert(struct warehouse *w, unsigned slot, struct ledger_row *row,
                                 struct rejects *refused, struct wsq_added *added,
                                 struct err *e);

// ---- the user's table (warehouse_sqlite_table.c)

MUST_CHECK err_t wsq_table_check_name(const char *table, struct err *e);
MUST_CHECK err_t wsq_table_create(struct warehouse *w, const char *table,
                                  const struct schema *s, struct err *e);
// Creates `table` with the schema's columns, or checks that the one there takes them.
MUST_CHECK err_t wsq_table_ensure(struct warehouse *w, const char *table, struct err *e);
MUST_CHECK err_t wsq_table_exists(struct warehouse *w, const char *table, bool *exists,
                                  struct err *e);
MUST_CHECK err_t wsq_table_no_view(struct warehouse *w, const char *table, struct err *e);
// Which columns of the schema the table lacks, which of the table's the schema lacks, and
// whether they stand in the same order. Generated columns fill themselves.
struct wsq_difference {
    struct buf missing, extra;
    bool same_order;
};
MUST_CHECK err_t wsq_difference(struct warehouse *w, const char *table,
                                struct wsq_difference *d, struct err *e);
void wsq_difference_free(struct wsq_difference *d);
MUST_CHECK err_t wsq_rejects_ensure(struct warehouse *w, struct err *e);
// Which name of the rowid is free, whether raw records are copied, the INSERT statements
// (warehouse_sqlite_plan.c).
MUST_CHECK err_t wsq_table_plan(struct warehouse *w, struct err *e);
// Name for rowids of `table` that are SQLite's own and ascend; NULL: there is none.
MUST_CHECK err_t wsq_table_rowid(struct warehouse *w, const char *table, const char **name,
                                 struct err *e);
// A mark of the rows first and last, to know them again before they are dropped.
MUST_CHECK err_t wsq_table_mark(struct warehouse *w, const char *table, const char *rowid,
                                int64_t first, int64_t last, struct hash128 *mark,
                                struct err *e);
// Of rows of the target that were just added, `first` to `last`, if any: added->first,
// last, mark.
MUST_CHECK err_t wsq_target_mark(struct warehouse *w, int64_t first, int64_t last,
                                 struct wsq_added *added, struct err *e);
MUST_CHECK err_t wsq_max_rowid(struct warehouse *w, int64_t *out, struct err *e);
// Whether `rows` rows came behind `before` in one go, none of them numbered by the table.
bool wsq_in_a_row(const struct warehouse *w, int64_t before, uint64_t rows);
// In MODE_REPLACE's last transaction: `staged` takes the table's name, its indexes and
// triggers. wsq_swap_prepare before, wsq_swap_done after that transaction, however it
// ended.
MUST_CHECK err_t wsq_swap_prepare(struct warehouse *w, struct err *e);
MUST_CHECK err_t wsq_swap(struct warehouse *w, const char *staged, struct err *e);
void wsq_swap_done(struct warehouse *w);

// ---- aggregates and merge (warehouse_sqlite_merge.c). Without a merge all do nothing.

// The states of an aggregate are staged as sorted runs (warehouse_sqlite_runs.c): a result
// is some rows of the staging table, pieces of its bytes.
bool wsq_runs_given(const struct load_merge *m);
MUST_CHECK err_t wsq_runs_schema(struct schema *out, struct err *e); // of the staging table
MUST_CHECK err_t wsq_runs_check(const struct warehouse *w, const struct result *r,
                                struct err *e); // any thread
MUST_CHECK err_t wsq_runs_stage(struct warehouse *w, struct result *r, struct err *e);
MUST_CHECK err_t wsq_prepare_insert(struct warehouse *w, const char *table,
                                    uint32_t columns, sqlite3_stmt **st, struct err *e);
// What merging all staged runs at once takes.
MUST_CHECK err_t wsq_runs_memory(struct warehouse *w, uint64_t *bytes, struct err *e);
// All states in the order of their keys, merged: a row of the result each.
MUST_CHECK err_t wsq_runs_merge(struct warehouse *w, agg_group_fn *fn, void *arg,
                                struct err *e);

// After the tables are there: whether merge.sql is good. Outside a transaction.
MUST_CHECK err_t wsq_merge_try(struct warehouse *w, struct err *e);
// The states of an aggregate in a result; any thread may call it. ERR_PROTO.
// Around the last transaction, whatever its end.
MUST_CHECK err_t wsq_merge_prepare(struct warehouse *w, struct err *e);
void wsq_merge_done(struct warehouse *w);
// In it: a table is made of the target, which is dropped. *result is its name, malloced.
// The schema and the indexes are those of the result from now on.
MUST_CHECK err_t wsq_merge(struct warehouse *w, char **result, struct err *e);
// The same for those that keep its rows elsewhere: `take` gets a statement that gives them,
// and steps it by wsq_merge_step, which counts them; or NULL: then it is wsq_runs_merge
// that has the rows, to be counted in w->merge->rows_out. When it fails there with w->unfit
// set, it is called again with a statement, whose values have gone through a table.
typedef err_t wsq_take_rows(struct warehouse *w, sqlite3_stmt *rows, void *arg,
                            struct err *e);
MUST_CHECK err_t wsq_merge_rows(struct warehouse *w, wsq_take_rows *take, void *arg,
                                struct err *e);
// ERR_INVALID: merge.sql fails.
MUST_CHECK err_t wsq_merge_step(struct warehouse *w, sqlite3_stmt *st, bool *row,
                                struct err *e);

// ---- keys and indexes (warehouse_sqlite_index.c)

// Finds the columns of load.indexes in the schema.
// `"a","b"`, malloced.
MUST_CHECK err_t wsq_columns_text(const struct schema *s, const struct load_columns *c,
                                  char **out, struct err *e);
// A table that was just made gets a UNIQUE index on the key; one that was there must have
// one: ERR_INVALID says how to make it.
MUST_CHECK err_t wsq_key_ensure(struct warehouse *w, bool table_is_new, struct err *e);
// Before the last transaction, and after it however it ended: sorting may use files.
MUST_CHECK err_t wsq_indexes_prepare(struct warehouse *w, struct err *e);
void wsq_indexes_done(struct warehouse *w);
// In the last transaction: the indexes that are asked for, on `table`, unless they are
// there. ERR_INVALID: something else has the name of one.
MUST_CHECK err_t wsq_indexes_build(struct warehouse *w, const char *table, struct err *e);
// The same without building.
MUST_CHECK err_t wsq_indexes_check(struct warehouse *w, const char *table, struct err *e);

// ---- watermarks (warehouse_sqlite_watermark.c)

// Of a load that is in tranche_runs: what it takes, and what kind of value that is.
MUST_CHECK err_t wsq_watermark_start(struct warehouse *w, struct err *e);
MUST_CHECK err_t wsq_watermark_read(struct warehouse *w, const struct load_identity *id,
                                    struct arena *mem, struct cell *value, struct err *e);
void wsq_watermark_free(struct wsq_watermark *m);
enum wsq_above { WSQ_ABOVE, WSQ_BELOW, WSQ_UNFIT };
// UNFIT: NULL, or a value of another kind than the others.
enum wsq_above wsq_watermark_judge(struct wsq_watermark *m, sqlite3_value *v);
const char *wsq_watermark_unfit(const struct warehouse *w); // why: a sentence
MUST_CHECK err_t wsq_watermark_raise(struct wsq_watermark *m, sqlite3_value *v,
                                     struct err *e);
// Before a statement that adds rows.
void wsq_watermark_reset(struct wsq_watermark *m);
// The SQL functions tranche_above(x) and tranche_replaced() of a new connection.
MUST_CHECK err_t wsq_rules_add(struct warehouse *w, struct err *e);

// ---- tranche_runs and tranche_ledger (warehouse_sqlite_ledger.c)

MUST_CHECK err_t wsq_ledger_create(struct warehouse *w, struct err *e);
MUST_CHECK err_t wsq_ledger_fence(struct warehouse *w, struct err *e); // ERR_FENCED
// What the ledger says to a range: *dup when it is forbidden; *same when this very range
// stands there, then `row` gets its state, rows_loaded and rows_refused.
MUST_CHECK err_t wsq_ledger_overlap(struct warehouse *w, struct ledger_row *row, bool *dup,
                                    bool *same, struct err *e);
MUST_CHECK err_t wsq_ledger_add(struct warehouse *w, const struct ledger_row *row,
                                const struct wsq_added *added, struct err *e);
// The rows of the load in the caller's numbering. Only input `only`, unless it is -1.
typedef err_t wsq_ledger_fn(void *arg, const struct ledger_row *row, struct err *e);
MUST_CHECK err_t wsq_ledger_each(struct warehouse *w, int64_t only, wsq_ledger_fn *fn,
                                 void *arg, struct err *e);
MUST_CHECK err_t wsq_reject_add(struct warehouse *w, uint32_t input, const struct reject *r,
                                struct err *e);

// ---- inputs as text in tranche_runs (warehouse_sqlite_inputs.c)

MUST_CHECK err_t wsq_inputs_read(struct warehouse *w, uint64_t load_id, struct err *e);
// Fills w->ids: known names keep their number, new ones join w->stored.
MUST_CHECK err_t wsq_inputs_match(struct warehouse *w, struct err *e);
// ERR_CHANGED: an input that is not among the caller's any more was loaded in part.
MUST_CHECK err_t wsq_inputs_check_gone(struct warehouse *w, struct err *e);
// Says, of an append that begins, which input another load of the table has, byte for byte:
// most often the same job by another path.
void wsq_inputs_say_known(struct warehouse *w);

// ---- a load that goes on (warehouse_sqlite_resume.c)

// In begin()'s transaction. `params` NULL: it is unfinished, and those that it has stay;
// else it is complete.
MUST_CHECK err_t wsq_go_on(struct warehouse *w, const struct load_row *load,
                           const struct buf *params, struct err *e);
// Before the first commit: a transaction that calls a complete load unfinished again.
// ERR_INVALID: another load of the table is unfinished now.
MUST_CHECK err_t wsq_reopen(struct warehouse *w, struct err *e);

// ---- the verbs

// A value of a row: text and blobs are SQLite's until the next step, or copied.
struct cell wsq_cell(sqlite3_stmt *st, int i);
MUST_CHECK err_t wsq_copy_cell(sqlite3_stmt *st, int i, struct arena *mem, struct cell *out,
                               struct err *e);

// `path` NULL: a temporary file (SQLITE_TMPDIR, TMPDIR, else /var/tmp), which nobody else
// sees.
MUST_CHECK err_t wsq_open(struct warehouse **out, const char *path,
                          const struct wsq_store *store, warehouse_say *say, void *say_arg,
                          struct err *e);
void wsq_close(struct warehouse **w);

MUST_CHECK err_t wsq_query_value(struct warehouse *w, const char *sql, struct arena *mem,
                                 struct cell *value, struct err *e);
// See warehouse_ops.
MUST_CHECK err_t wsq_try_value(const char *url, const char *sql, struct arena *mem,
                               struct cell *value, bool *tried, struct err *e);
MUST_CHECK err_t wsq_try_merge(struct load_merge *m, const struct strings *indexes,
                               size_t n_indexes, struct err *e);
MUST_CHECK err_t wsq_begin(struct warehouse *w, const struct load_identity *id,
                           const struct schema *schema, const struct load_input *inputs,
                           size_t n_inputs, const struct buf *params,
                           struct load_state *state, struct err *e);
MUST_CHECK err_t wsq_drop_load(struct warehouse *w, const struct load_row *load,
                               bool its_rows, struct err *e);
MUST_CHECK err_t wsq_drop_rows(struct warehouse *w, uint64_t load_id, struct err *e);
void wsq_forget_load(struct warehouse *w); // frees what begin() made
MUST_CHECK err_t wsq_check(const struct warehouse *w, const struct result *r,
                           struct err *e);
MUST_CHECK err_t wsq_commit(struct warehouse *w, struct result *results, size_t n,
                            bool *dup, size_t *failed, struct err *e);
MUST_CHECK err_t wsq_note(struct warehouse *w, const struct ledger_row *row, struct err *e);
MUST_CHECK err_t wsq_finish(struct warehouse *w, const uint64_t *input_end, bool swap,
                            struct ledger_row *totals_by_input, struct err *e);

#endif
