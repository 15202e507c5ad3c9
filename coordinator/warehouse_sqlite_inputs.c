// The inputs of a load in tranche_runs, as JSON.

#include "coordinator/warehouse_sqlite.h"

#include "coordinator/load_inputs.h"

#include <stdio.h>
#include <stdlib.h>

static err_t read_inputs(struct warehouse *w, sqlite3_stmt *st, struct err *e)
{
    bool row;
    for (;;) {
        TRY(wsq_step(w, st, &row, e, "reading the inputs of a load"));
        if (!row) return ERR_OK;
        const char *name = (const char *)sqlite3_column_text(st, 0);
        struct load_input in = {
            .name = (char *)(uintptr_t)(name ? name : ""),
            .size = (uint64_t)sqlite3_column_int64(st, 1),
            .mtime_ns = sqlite3_column_int64(st, 2),
            .ino = (uint64_t)sqlite3_column_int64(st, 3),
            .data_begin = (uint64_t)sqlite3_column_int64(st, 4),
            .ctime_ns = sqlite3_column_int64(st, 5),
            .by_value = sqlite3_column_int(st, 6) != 0,
            .end = (uint64_t)sqlite3_column_int64(st, 7),
        };
        TRY(load_inputs_add(&w->stored, &w->n_stored, &in, e));
    }
}

err_t wsq_inputs_read(struct warehouse *w, uint64_t load_id, struct err *e)
{
    sqlite3_stmt *st;
    TRY(wsq_prepare(
        w, &st, e,
        "SELECT value->>'name', value->>'size', value->>'mtime_ns', value->>'ino',"
        "value->>'data_begin', value->>'ctime_ns', value->>'by_value', value->>'end' FROM "
        "main.tranche_runs, json_each(inputs) "
        "WHERE load_id = %lld ORDER BY key",
        (long long)load_id));
    err_t rc = read_inputs(w, st, e);
    sqlite3_finalize(st);
    return rc;
}

err_t wsq_inputs_match(struct warehouse *w, struct err *e)
{
    return load_inputs_match(&w->stored, &w->n_stored, w->inputs, w->n_inputs, &w->ids, e);
}

// Whether the ledger has a part of a stored input, but not all of it.
static err_t check_gone(struct warehouse *w, uint32_t id, struct err *e)
{
    int64_t bytes, rows;
    bool any;
    TRY(wsq_int(w, e, &bytes, &any,
                "SELECT sum(byte_end - byte_begin) FROM main.tranche_ledger WHERE "
                "load = %lld AND input = %lld AND state <> 'split'",
                (long long)w->load_id, (long long)id));
    if (!any) return ERR_OK;
    TRY(wsq_int(w, e, &rows, &any,
                "SELECT sum(rows_loaded) FROM main.tranche_ledger WHERE load = %lld AND "
                "input = %lld",
                (long long)w->load_id, (long long)id));
    return load_inputs_check_gone(&w->stored[id], w->load_id, (uint64_t)bytes,
                                  (uint64_t)rows, e);
}

err_t wsq_inputs_check_gone(struct warehouse *w, struct err *e)
{
    bool *here = calloc(w->n_stored + 1, sizeof *here);
    err_t rc = here ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == ERR_OK && i < w->n_inputs; i++)
        here[w->ids[i]] = true;
    for (uint32_t id = 0; rc == ERR_OK && id < w->n_known; id++)
        if (!here[id]) rc = check_gone(w, id, e);
    free(here);
    return rc;
}

// ---- the same input by another load

void wsq_inputs_say_known(struct warehouse *w)
{
    struct err ignored;
    bool said = !w->say || w->mode != MODE_APPEND;
    for (size_t i = 0; !said && i < w->n_inputs && i < LOAD_INPUTS_LOOK_AT; i++) {
        const struct load_input *in = &w->inputs[i];
        sqlite3_stmt *st;
        if (!in->ino || !in->ctime_ns) continue; // no file
        if (wsq_prepare(w, &st, &ignored,
                        "SELECT load_id, started FROM main.tranche_runs, json_each(inputs) "
                        "WHERE table_name = %Q COLLATE NOCASE AND state = 'complete' AND "
                        "mode = 'append' AND load_id <> %lld AND value->>'ino' = %lld AND "
                        "value->>'size' = %lld AND value->>'ctime_ns' = %lld LIMIT 1",
                        w->table, (long long)w->load_id, (long long)in->ino,
                        (long long)in->size, (long long)in->ctime_ns) != ERR_OK)
            return;
        if (wsq_step(w, st, &said, &ignored, "reading tranche_runs") != ERR_OK)
            said = false;
        if (said)
            load_inputs_say_known(w->say, w->say_arg, w->place,
                                  (uint64_t)sqlite3_column_int64(st, 0),
                                  (const char *)sqlite3_column_text(st, 1), in->name);
        sqlite3_finalize(st);
    }
}
