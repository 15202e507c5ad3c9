// --fresh: takes back what a load put into the user's table. The ledger knows the rows by
// their rowids; because a VACUUM or a person may have moved them since, each range must
// still hold as many rows as were loaded, with the first and the last one unchanged.

#include "coordinator/warehouse_sqlite.h"

#include <inttypes.h>
#include <string.h>

struct dropping {
    const char *table, *rowid;
    uint64_t load_id;
    sqlite3_stmt *ranges, *count, *remove;
};

static err_t cannot(struct warehouse *w, const struct dropping *d, const char *why,
                    struct err *e)
{
    return err_set(
        e, ERR_INVALID,
        "the rows of load %" PRIu64 " in table %s of %s can't be dropped: %s. --mode "
        "replace puts a new table in the place of all of it. Or delete "
        "them yourself or drop the table; if rows of others stay in it, also run: "
        "UPDATE tranche_runs SET state = 'dropped' WHERE load_id = %" PRIu64,
        d->load_id, d->table, w->shown, why, d->load_id);
}

static err_t count_rows(struct warehouse *w, sqlite3_stmt *st, int64_t first, int64_t last,
                        int64_t *n, struct err *e)
{
    bool row;
    TRY(wsq_bind(w, st, e, "ii", first, last));
    TRY(wsq_step(w, st, &row, e, "counting rows"));
    *n = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return ERR_OK;
}

static err_t drop_range(struct warehouse *w, const struct dropping *d, struct err *e)
{
    bool row;
    int64_t n, loaded = sqlite3_column_int64(d->ranges, 0);
    int64_t first = sqlite3_column_int64(d->ranges, 1);
    int64_t last = sqlite3_column_int64(d->ranges, 2);
    const char *mark = (const char *)sqlite3_column_text(d->ranges, 3);
    if (first == 0 || !mark)
        return cannot(w, d, "the ledger does not have their rowids", e);
    TRY(count_rows(w, d->count, first, last, &n, e));
    if (n == 0) return ERR_OK; // somebody did it already
    struct hash128 h;
    char hex[HASH_HEX];
    TRY(wsq_table_mark(w, d->table, d->rowid, first, last, &h, e));
    hash_hex(h, hex);
    if (n != loaded || strcmp(hex, mark) != 0)
        return cannot(w, d, "they were changed or moved since (a VACUUM does that)", e);
    TRY(wsq_bind(w, d->remove, e, "ii", first, last));
    return wsq_step(w, d->remove, &row, e, "dropping rows");
}

static err_t drop_ranges(struct warehouse *w, struct dropping *d, struct err *e)
{
    bool row;
    TRY(wsq_table_rowid(w, d->table, &d->rowid, e));
    if (!d->rowid)
        return cannot(w, d,
                      "the table has no rowids of SQLite's own (it has an INTEGER PRIMARY "
                      "KEY, or is WITHOUT ROWID)",
                      e);
    TRY(wsq_prepare(w, &d->ranges, e,
                    "SELECT rows_loaded, first_rowid, last_rowid, rows_mark "
                    "FROM main.tranche_ledger WHERE load = %lld AND rows_loaded > 0",
                    (long long)d->load_id));
    TRY(wsq_prepare(w, &d->count, e,
                    "SELECT count(*) FROM main.\"%w\" WHERE %s BETWEEN ?1 AND ?2", d->table,
                    d->rowid));
    TRY(wsq_prepare(w, &d->remove, e, "DELETE FROM main.\"%w\" WHERE %s BETWEEN ?1 AND ?2",
                    d->table, d->rowid));
    for (;;) {
        TRY(wsq_step(w, d->ranges, &row, e, "reading the ledger"));
        if (!row) return ERR_OK;
        TRY(drop_range(w, d, e));
    }
}

err_t wsq_drop_rows(struct warehouse *w, uint64_t load_id, struct err *e)
{
    const char *table = w->table;
    struct dropping d = { .table = table, .load_id = load_id };
    int64_t n;
    bool exists, any, loaded;
    TRY(wsq_table_exists(w, table, &exists, e));
    if (!exists) return ERR_OK;
    TRY(wsq_int(w, e, &n, &any, "SELECT 1 FROM main.\"%w\" LIMIT 1", table));
    TRY(wsq_int(
        w, e, &n, &loaded,
        "SELECT 1 FROM main.tranche_ledger WHERE load = %lld AND rows_loaded > 0 LIMIT 1",
        (long long)load_id));
    if (!any || !loaded) return ERR_OK;
    err_t rc = drop_ranges(w, &d, e);
    sqlite3_finalize(d.ranges);
    sqlite3_finalize(d.count);
    sqlite3_finalize(d.remove);
    return rc;
}

err_t wsq_drop_load(struct warehouse *w, const struct load_row *load, bool its_rows,
                    struct err *e)
{
    bool rejects;
    long long load_id = (long long)load->id;
    if (load->staging)
        TRY(w->store->drop_staged(w, load->staging, e));
    else if (its_rows)
        TRY(w->store->drop_rows(w, load->id, e));
    TRY(wsq_table_exists(w, w->rejects, &rejects, e));
    if (rejects)
        TRY(wsq_exec(w, e, "dropping rejects", "DELETE FROM main.\"%w\" WHERE run = %lld",
                     w->rejects, load_id));
    return wsq_exec(w, e, "dropping a load",
                    "DELETE FROM main.tranche_ledger WHERE load = %lld;"
                    "UPDATE main.tranche_runs SET state = 'dropped' WHERE load_id = %lld",
                    load_id, load_id);
}
