// Whether another load, which is complete, has the same files already.

#include "coordinator/warehouse_pg.h"

#include "coordinator/load_inputs.h"

#include <inttypes.h>
#include <stdlib.h>

static bool is_file(const struct load_input *in)
{
    return in->ino && in->ctime_ns;
}

// "('1','2','3'),('4','5','6')": node, size and time of each; nothing when none is a file.
static err_t add_files(const struct warehouse *w, struct buf *sql, struct err *e)
{
    for (size_t i = 0, n = 0; i < w->n_inputs && i < LOAD_INPUTS_LOOK_AT; i++) {
        const struct load_input *in = &w->inputs[i];
        if (!is_file(in)) continue;
        TRY(buf_printf(sql, e, "%s('%" PRIu64 "','%" PRIu64 "','%" PRId64 "')",
                       n++ ? "," : "", in->ino, in->size, in->ctime_ns));
    }
    return ERR_OK;
}

static void say_known(struct warehouse *w, PGresult *r)
{
    enum { LOAD, STARTED, NODE };
    uint64_t node = wpg_u64(r, 0, NODE);
    for (size_t i = 0; i < w->n_inputs && i < LOAD_INPUTS_LOOK_AT; i++) {
        if (!is_file(&w->inputs[i]) || w->inputs[i].ino != node) continue;
        load_inputs_say_known(w->say, w->say_arg, w->place, wpg_u64(r, 0, LOAD),
                              PQgetvalue(r, 0, STARTED), w->inputs[i].name);
        return;
    }
}

static err_t look(struct warehouse *w, const char *files, struct err *e)
{
    PGresult *r;
    struct buf sql = { 0 };
    struct wpg_number id;
    const char *const values[] = { w->table, wpg_number(&id, (int64_t)w->load_id) };
    err_t rc = buf_printf(
        &sql, e,
        "SELECT load_id, started, v->>'ino' FROM tranche_runs, "
        "json_array_elements(inputs::json) v WHERE table_name = $1 AND load_id <> $2 AND "
        "state = 'complete' AND mode = 'append' AND (v->>'ino', v->>'size', "
        "v->>'ctime_ns') IN (%s) LIMIT 1",
        files);
    if (rc == ERR_OK)
        rc = wpg_query(w, &r, e, "reading tranche_runs", (const char *)sql.p, 2, values);
    buf_free(&sql);
    TRY(rc);
    if (PQntuples(r)) say_known(w, r);
    PQclear(r);
    return ERR_OK;
}

// What others have written there must not keep this load from beginning.
err_t wpg_inputs_say_known(struct warehouse *w, struct err *e)
{
    struct buf files = { 0 };
    struct err ignored;
    if (!w->say || w->mode != MODE_APPEND) return ERR_OK;
    err_t rc = add_files(w, &files, e);
    if (rc == ERR_OK && files.n) {
        rc = wpg_do(w, e, "reading tranche_runs", "SAVEPOINT tranche_known");
        if (rc == ERR_OK && look(w, (const char *)files.p, &ignored) != ERR_OK)
            rc =
                wpg_do(w, e, "reading tranche_runs", "ROLLBACK TO SAVEPOINT tranche_known");
    }
    buf_free(&files);
    return rc;
}
