// --fresh: takes back what a load put into the user's table. The load is taken first, which
// waits for the transaction of an older coordinator: what that commits is taken back, too.
// Each of its rows has the number of the transaction that put it there (xmin), and the
// ledger knows these numbers. Rows that were changed since have another one, and numbers
// come again after four billion: so as many must be found as were loaded.

#include "coordinator/warehouse_pg.h"

#include <inttypes.h>
#include <stdlib.h>

static err_t cannot(struct warehouse *w, uint64_t load_id, const char *why, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "the rows of load %" PRIu64
                   " in %s can't be dropped: %s. --mode replace puts a new "
                   "table in the place of all of it. Or delete them yourself or drop the "
                   "table; if rows of others stay in it, also run: UPDATE tranche_runs SET "
                   "state = 'dropped' WHERE load_id = %" PRIu64,
                   load_id, w->place, why, load_id);
}

enum { ROWS, UNKNOWN, OLD, NUMBERS };

static err_t drop_numbered(struct warehouse *w, uint64_t load_id, const char *numbers,
                           uint64_t want, struct err *e)
{
    PGresult *r;
    char *table = pg_quoted(w->table), *sql = NULL;
    if (table && asprintf(&sql, "DELETE FROM %s WHERE xmin = ANY($1::xid[])", table) < 0)
        sql = NULL;
    free(table);
    if (!sql) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wpg_query(w, &r, e, "dropping rows", sql, 1, &numbers);
    free(sql);
    TRY(rc);
    uint64_t dropped = strtoull(PQcmdTuples(r), NULL, 10);
    PQclear(r);
    if (dropped == want) return ERR_OK;
    return cannot(w, load_id, "some of them were changed or deleted since", e);
}

static err_t drop_rows(struct warehouse *w, uint64_t load_id, struct err *e)
{
    enum wpg_there there;
    struct wpg_number id;
    PGresult *r;
    const char *const values[] = { wpg_number(&id, (int64_t)load_id) };
    TRY(wpg_table_find(w, w->table, &there, e));
    if (there != WPG_TABLE) return ERR_OK;
    TRY(wpg_query(w, &r, e, "reading the ledger",
                  "SELECT coalesce(sum(rows_loaded), 0), count(*) FILTER (WHERE xact IS "
                  "NULL), count(*) FILTER (WHERE pg_current_xact_id()::text::bigint - xact "
                  "> 2000000000), array_agg(DISTINCT (xact % 4294967296)::text) FROM "
                  "tranche_ledger WHERE load = $1 AND rows_loaded > 0",
                  1, values));
    uint64_t rows = wpg_u64(r, 0, ROWS);
    err_t rc = ERR_OK;
    if (rows && wpg_u64(r, 0, UNKNOWN))
        rc = cannot(w, load_id,
                    "some of them were put in one by one, because the table refused "
                    "others, and the ledger does not know them",
                    e);
    else if (rows && wpg_u64(r, 0, OLD))
        rc = cannot(w, load_id, "they are too old to be known by their transactions", e);
    else if (rows)
        rc = drop_numbered(w, load_id, PQgetvalue(r, 0, NUMBERS), rows, e);
    PQclear(r);
    return rc;
}

static err_t forget(struct warehouse *w, uint64_t load_id, struct err *e)
{
    enum wpg_there there;
    TRY(wpg_table_find(w, w->rejects, &there, e));
    if (there == WPG_TABLE) {
        char *rejects = pg_quoted(w->rejects);
        if (!rejects) return err_set(e, ERR_NOMEM, "out of memory");
        err_t rc = wpg_do(w, e, "dropping rejects", "DELETE FROM %s WHERE run = %" PRIu64,
                          rejects, load_id);
        free(rejects);
        TRY(rc);
    }
    return wpg_do(w, e, "dropping a load",
                  "DELETE FROM tranche_ledger WHERE load = %" PRIu64, load_id);
}

static err_t take(struct warehouse *w, const struct load_row *load, struct err *e)
{
    struct wpg_number id, epoch;
    PGresult *r;
    const char *const values[] = { wpg_number(&id, (int64_t)load->id),
                                   wpg_number(&epoch, (int64_t)load->epoch),
                                   wpg_load_state(load) };
    w->load_id = load->id;
    TRY(wpg_query(w, &r, e, "taking the load over",
                  "UPDATE tranche_runs SET state = 'dropped' WHERE load_id = $1 AND epoch "
                  "= $2 AND state = $3",
                  3, values));
    return wpg_load_taken(w, r, e);
}

err_t wpg_drop_load(struct warehouse *w, const struct load_row *load, bool its_rows,
                    struct err *e)
{
    uint64_t load_id = load->id;
    const char *staging = load->staging;
    TRY(take(w, load, e));
    if (staging) {
        char *quoted = pg_quoted(staging);
        if (!quoted) return err_set(e, ERR_NOMEM, "out of memory");
        err_t rc =
            wpg_do(w, e, "dropping the staged table", "DROP TABLE IF EXISTS %s", quoted);
        free(quoted);
        TRY(rc);
    } else if (its_rows) {
        TRY(drop_rows(w, load_id, e));
    }
    return forget(w, load_id, e);
}
