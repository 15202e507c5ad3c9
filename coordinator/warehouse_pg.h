// warehouse_pg - what the files of the PostgreSQL warehouse share (prefix wpg_). Nobody
// else includes this.
//
// One connection, one thread. A transaction is opened by wpg_txn_begin and ended by
// wpg_txn_commit or wpg_txn_rollback in the same function. Every commit holds its row of
// tranche_runs FOR SHARE, and who takes a load over updates that row: so the update waits
// until the old coordinator's transaction has ended, and what the ledger lacks then will
// never come (R3).
//
// Names are folded to lower case, as PostgreSQL does with names that are not quoted.

#ifndef COORDINATOR_WAREHOUSE_PG_H
#define COORDINATOR_WAREHOUSE_PG_H

#include "common/pg.h"
#include "common/pg_copy.h"
#include "common/rejects.h"
#include "coordinator/ledger.h"
#include "coordinator/load_columns.h"
#include "coordinator/load_which.h"
#include "coordinator/warehouse.h"

enum {
    WPG_NAME_MAX = 63,       // bytes
    WPG_TABLE_NAME_MAX = 40, // other names are made from it
    WPG_COLUMNS_MAX = 1600,
};

struct wpg_value { // a cell with the text of its own
    struct cell cell;
    struct buf text;
};

struct wpg_watermark {
    int column;                // of the schema; -1: the mode has none
    struct wpg_value floor;    // the greatest that is loaded already; NULL: nothing is
    struct wpg_value greatest; // of the rows at hand; NULL: of none
};

struct wpg_rows { // tuples one after the other
    const uint8_t *p;
    size_t bytes;
    uint64_t n;
};

struct warehouse {
    char *conninfo; // may hold a password: never shown
    char *shown;
    warehouse_say *say;
    void *say_arg;
    struct pg *pg;    // NULL: to be opened again
    char xact[24];    // number of the transaction that is open
    char unknown[24]; // of one whose COMMIT got no answer; "": there is none
    char why[800];    // what the server says against a row
    char why_column[64];

    struct warehouse *lane; // a second session; NULL: none. See warehouse_pg_lane.c

    // the load; load_id 0: there is none
    uint64_t load_id, epoch;
    enum job_mode mode;
    char *table, *rejects; // folded
    char *target;          // where rows go: the table, or the staged one
    char *place;           // "table t of postgresql://..."
    struct schema schema;  // with the names that the table has
    char *columns;         // of the schema, quoted, in a list
    char *copy_sql;        // COPY into the target, or what an upsert goes through
    char *upsert_sql;      // from there; NULL: no upsert
    unsigned care;         // so many groups are put in with savepoints
    struct load_columns key;
    struct load_indexes indexes;         // to be built at the end
    struct load_merge *merge;            // as given to begin(); NULL: none
    bool aggregates;                     // the rows are states
    uint32_t n_states;                   // of one, behind its keys
    const struct strings *merge_indexes; // with a merge: to be built at the end
    size_t n_merge_indexes;
    struct wpg_watermark watermark;
    struct load_input *inputs; // as given to begin()
    size_t n_inputs;
    uint32_t *ids;             // number in the ledger of each input
    struct load_input *stored; // inputs as the ledger numbers them
    size_t n_stored;
    size_t n_known;         // of them, those that the load knew before this run
    bool untouched;         // it was complete, and tranche_runs says so until ...
    struct buf params;      // ... the first commit, which puts these there
    struct buf kept;        // tuples that the mode takes
    struct buf reject_rows; // of a group, as tuples
};

// ---- the connection (warehouse_pg.c)

MUST_CHECK err_t wpg_ready(struct warehouse *w, struct err *e); // opens it again if need be
void wpg_give_up(struct warehouse *w);                          // closes it
// What pg.h said, as warehouse.h has it: what could be tried again is ERR_BUSY.
err_t wpg_fail(struct warehouse *w, err_t rc, struct err *e, const char *doing);
MUST_CHECK err_t wpg_txn_begin(struct warehouse *w, struct err *e);
void wpg_txn_rollback(struct warehouse *w);
// ERR_UNKNOWN: the connection was lost on the way (R5).
MUST_CHECK err_t wpg_txn_commit(struct warehouse *w, struct err *e);

// Statements without rows; the format is printf's, names are quoted already.
MUST_CHECK err_t wpg_do(struct warehouse *w, struct err *e, const char *doing,
                        const char *fmt, ...) __attribute__((format(printf, 4, 5)));
// One statement with values $1 ... as text; *out is the caller's to PQclear.
MUST_CHECK err_t wpg_query(struct warehouse *w, PGresult **out, struct err *e,
                           const char *doing, const char *sql, int n,
                           const char *const *values);
// The first column of the first row; *found = false: no row, or NULL.
MUST_CHECK err_t wpg_int(struct warehouse *w, struct err *e, int64_t *out, bool *found,
                         const char *sql, int n, const char *const *values);
const char *wpg_cell(const PGresult *r, int row, int column); // NULL: NULL
uint64_t wpg_u64(const PGresult *r, int row, int column);
// A number as a value of a statement.
struct wpg_number {
    char text[24];
};
const char *wpg_number(struct wpg_number *room, int64_t v);

// ---- names (warehouse_pg_names.c)

// Folded to lower case; malloced. ERR_INVALID: too long for PostgreSQL.
MUST_CHECK err_t wpg_fold(const char *what, const char *name, size_t max, char **out,
                          struct err *e);
MUST_CHECK err_t wpg_quote_add(struct buf *out, const char *name, struct err *e);
// "a","b"; malloced. columns NULL: all of the schema.
MUST_CHECK err_t wpg_columns_text(const struct schema *s, const struct load_columns *c,
                                  char **out, struct err *e);

// ---- the user's table (warehouse_pg_table.c)

enum wpg_there { WPG_NOTHING, WPG_TABLE, WPG_OTHER };
MUST_CHECK err_t wpg_table_find(struct warehouse *w, const char *table,
                                enum wpg_there *there, struct err *e);
MUST_CHECK err_t wpg_table_create(struct warehouse *w, const char *table,
                                  const struct schema *s, struct err *e);
MUST_CHECK err_t wpg_temp_create(struct warehouse *w, const char *table,
                                 const struct schema *s, struct err *e);
// Made in the first schema of the search path if it is not there.
MUST_CHECK err_t wpg_table_need(struct warehouse *w, const char *table, const char *columns,
                                const char *doing, struct err *e);
// w->target is there and takes the schema: made, or checked. Gives w->schema its names.
MUST_CHECK err_t wpg_table_ensure(struct warehouse *w, struct err *e);
MUST_CHECK err_t wpg_rejects_ensure(struct warehouse *w, struct err *e);
// ERR_INVALID: row level security hides rows of the table from this role.
MUST_CHECK err_t wpg_rows_visible(struct warehouse *w, const char *table, struct err *e);
// A copy in lower case.
MUST_CHECK err_t wpg_schema_fold(struct schema *to, const struct schema *from,
                                 struct err *e);
// The schema and its list of columns, in lower case.
MUST_CHECK err_t wpg_schema_take(struct warehouse *w, const struct schema *s,
                                 struct err *e);
MUST_CHECK err_t wpg_copy_statement(const char *table, const char *columns, char **out,
                                    struct err *e);
// The statements that put rows in; for an upsert also the table they go through, which is
// the session's own.
MUST_CHECK err_t wpg_table_plan(struct warehouse *w, struct err *e);
MUST_CHECK err_t wpg_table_settle(struct warehouse *w, struct err *e);

// ---- rows (warehouse_pg_rows.c)

// Puts the result's rows in; row->rows_loaded and so on are filled in, what is refused goes
// to `refused`. `care`: rows that the table refuses are found with savepoints; else they
// are ERR_INVALID, *refusal is set, and the transaction is to be begun anew.
MUST_CHECK err_t wpg_rows_add(struct warehouse *w, struct result *r, bool care,
                              bool *refusal, struct rejects *refused, struct err *e);
// Plain COPY of tuples of any shape.
MUST_CHECK err_t wpg_copy(struct warehouse *w, const char *sql, const struct wpg_rows *rows,
                          uint64_t *taken, struct err *e);

// ---- a second session (warehouse_pg_lane.c)

// Where the target takes one. The load's fields are borrowed from now on.
MUST_CHECK err_t wpg_lane_make(struct warehouse *w, struct err *e);
void wpg_lane_free(struct warehouse *w);
typedef err_t wpg_group_fn(struct warehouse *w, struct result *const *group, unsigned n,
                           bool *const *dup, struct err *e);
// Calls `commit` for the group, or in two threads for its halves. After an error one half
// may be in: the ledger tells.
MUST_CHECK err_t wpg_lane_commit(struct warehouse *w, struct result *const *group,
                                 unsigned n, bool *const *dup, wpg_group_fn *commit,
                                 struct err *e);

// ---- watermarks (warehouse_pg_watermark.c)

enum wpg_above { WPG_ABOVE, WPG_BELOW, WPG_UNFIT };
enum wpg_above wpg_watermark_judge(const struct wpg_watermark *m, const struct cell *c);
MUST_CHECK err_t wpg_watermark_raise(struct wpg_value *greatest, const struct cell *c,
                                     struct err *e);
void wpg_watermark_free(struct wpg_watermark *m);
MUST_CHECK err_t wpg_watermark_start(struct warehouse *w, struct err *e);
MUST_CHECK err_t wpg_watermark_read(struct warehouse *w, const struct load_identity *id,
                                    struct arena *mem, struct cell *value, struct err *e);
// As a text of the ledger's; malloced, NULL for NULL. And back.
MUST_CHECK err_t wpg_value_text(const struct cell *c, char **out, struct err *e);
MUST_CHECK err_t wpg_value_read(const char *text, struct wpg_value *out, struct err *e);
void wpg_value_free(struct wpg_value *v);
// The greatest of the load's, from before it or of its ledger, as such a text.
MUST_CHECK err_t wpg_watermark_end(struct warehouse *w, char **out, struct err *e);

// ---- tranche_runs and tranche_ledger (warehouse_pg_ledger.c)

MUST_CHECK err_t wpg_ledger_create(struct warehouse *w, struct err *e);
// In a transaction, whose number it keeps in w->xact. ERR_FENCED.
MUST_CHECK err_t wpg_ledger_fence(struct warehouse *w, struct err *e);
// What the ledger says to a range: *dup when it is forbidden; *same when this very range
// stands there, then `row` gets its state and counts.
MUST_CHECK err_t wpg_ledger_overlap(struct warehouse *w, struct ledger_row *row, bool *dup,
                                    bool *same, struct err *e);
// `own`: the rows are known by the number of the transaction.
MUST_CHECK err_t wpg_ledger_add(struct warehouse *w, const struct ledger_row *row, bool own,
                                struct err *e);
typedef err_t wpg_ledger_fn(void *arg, const struct ledger_row *row, struct err *e);
// The rows of the load in the caller's numbering, in order of input and begin.
MUST_CHECK err_t wpg_ledger_each(struct warehouse *w, wpg_ledger_fn *fn, void *arg,
                                 struct err *e);
// A value of a tuple: its length, and the bytes.
MUST_CHECK err_t wpg_bytes_add(struct buf *b, const void *p, size_t n, struct err *e);
// A row of the rejects, to be written by wpg_rejects_write.
enum { WPG_NO_INPUT = UINT32_MAX };
MUST_CHECK err_t wpg_reject_add(struct warehouse *w, uint32_t input, const struct reject *r,
                                struct err *e);
MUST_CHECK err_t wpg_rejects_write(struct warehouse *w, struct err *e);

// ---- aggregates (warehouse_pg_merge.c); w->merge is set
//
// A load whose rows are parts has them staged like any rows, or as states.

// ERR_PROTO: the result's bytes are no states. Any thread.
MUST_CHECK err_t wpg_states_check(const struct warehouse *w, const struct result *r,
                                  struct err *e);
MUST_CHECK err_t wpg_states_add(struct warehouse *w, struct result *r, struct err *e);
// In the last transaction: makes the table `result` of what is staged, which is dropped.
// Schema and indexes are those of the result from now on.
MUST_CHECK err_t wpg_merge(struct warehouse *w, const char *result, struct err *e);

// ---- merge.sql (warehouse_pg_sql.c)

// Before a load begins, over parts without a row; leaves nothing. Without a merge.sql it
// does nothing. ERR_INVALID: a mistake in it, or load.indexes are no columns of its result.
MUST_CHECK err_t wpg_sql_try(struct warehouse *w, struct err *e);
// In the last transaction: the table `result` of the table `parts`, which is dropped.
MUST_CHECK err_t wpg_sql_run(struct warehouse *w, const char *parts, const char *result,
                             struct err *e);

// ---- lookup tables of merge.sql (warehouse_pg_lookup.c)

// In the transaction in which it runs. ERR_INVALID: PostgreSQL can't have a row of one.
MUST_CHECK err_t wpg_lookups_make(struct warehouse *w, struct err *e);
MUST_CHECK err_t wpg_lookups_drop(struct warehouse *w, struct err *e);

// ---- tables that stay when they are replaced (warehouse_pg_kept.c)

struct wpg_kept {
    char what[80]; // the table has that a new one would not; "": nothing
    bool partitioned;
};
// `staged` NULL: its columns are not known yet. ERR_INVALID as wpg_swap_check.
MUST_CHECK err_t wpg_kept_find(struct warehouse *w, const char *staged,
                               struct wpg_kept *out, struct err *e);
// The table's rows for those of `staged`, which is dropped. ERR_INVALID: it refuses them.
MUST_CHECK err_t wpg_kept_exchange(struct warehouse *w, const struct wpg_kept *kept,
                                   const char *staged, struct err *e);

// ---- the verbs

// warehouse_pg_inputs.c: tells of another load that has the same files already. In
// begin()'s transaction.
MUST_CHECK err_t wpg_inputs_say_known(struct warehouse *w, struct err *e);

MUST_CHECK err_t wpg_query_value(struct warehouse *w, const char *sql, struct arena *mem,
                                 struct cell *value, struct err *e);
MUST_CHECK err_t wpg_begin(struct warehouse *w, const struct load_identity *id,
                           const struct schema *schema, const struct load_input *inputs,
                           size_t n_inputs, const struct buf *params,
                           struct load_state *state, struct err *e);
void wpg_forget_load(struct warehouse *w);               // frees what begin() made
const char *wpg_load_state(const struct load_row *load); // read without a lock
// Whether an UPDATE found w->load_id as it was read. ERR_BUSY: another run was faster, and
// what to do is to be decided anew. Clears the result.
MUST_CHECK err_t wpg_load_taken(struct warehouse *w, PGresult *updated, struct err *e);
// In begin()'s transaction: the load is the one to be continued. `params` NULL: those of
// the unfinished run stay. ERR_BUSY: as above.
MUST_CHECK err_t wpg_go_on(struct warehouse *w, const struct load_row *load,
                           const struct buf *params, struct err *e);
// Before the first commit: a transaction that calls a complete load unfinished again.
// ERR_INVALID: another load of the table is unfinished now.
MUST_CHECK err_t wpg_reopen(struct warehouse *w, struct err *e);
char *wpg_hex(const struct buf *b); // as a bytea wants it; malloced, NULL: out of memory
// As wpg_go_on, for a load to be taken back.
MUST_CHECK err_t wpg_drop_load(struct warehouse *w, const struct load_row *load,
                               bool its_rows, struct err *e);
MUST_CHECK err_t wpg_check(const struct warehouse *w, const struct result *r,
                           struct err *e);
MUST_CHECK err_t wpg_commit(struct warehouse *w, struct result *results, size_t n,
                            bool *dup, size_t *failed, struct err *e);
MUST_CHECK err_t wpg_note(struct warehouse *w, const struct ledger_row *row, struct err *e);
MUST_CHECK err_t wpg_finish(struct warehouse *w, const uint64_t *input_end, bool swap,
                            struct ledger_row *totals_by_input, struct err *e);
// When the load begins: the table may be replaced. ERR_INVALID: another one's foreign key
// refers to it, or it has to stay and does not take the rows.
MUST_CHECK err_t wpg_swap_check(struct warehouse *w, struct err *e);
// In the last transaction: `staged` takes the table's name and what belongs to it.
// ERR_INVALID: as above, or what the table has forbids the new rows.
MUST_CHECK err_t wpg_swap(struct warehouse *w, const char *staged, struct err *e);
// Indexes of load.indexes on `table`, made where they are missing.
MUST_CHECK err_t wpg_indexes_build(struct warehouse *w, const char *table, struct err *e);
MUST_CHECK err_t wpg_key_ensure(struct warehouse *w, bool table_is_new, struct err *e);

#endif
