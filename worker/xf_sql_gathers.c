// Whether a statement sums up rows of `batch`, as SQLite's own program for it tells.
//
// An aggregate function is AggStep for each row and AggFinal for each group; a scan of a
// virtual table is a loop that VNext ends, of a lookup table one that Next ends. With GROUP
// BY the rows pass a sorter: what counts is the loop that they were put in from. See
// sqlite.org/opcode.html.

#include "worker/xf_sql.h"

#include <stdlib.h>
#include <string.h>

enum { ADDR, OPCODE, P1, P2, P3 }; // columns of EXPLAIN

enum op { OP_OTHER, OP_STEP, OP_FINAL, OP_BATCH_LOOP, OP_TABLE_LOOP, OP_PUT, OP_SORTED };

struct line {
    enum op op;
    int at, p1, p2, p3;
};

struct program {
    struct line *v;
    size_t n;
};

static enum op op_of(const char *name)
{
    static const struct {
        const char *name;
        enum op op;
    } ops[] = { { "AggStep", OP_STEP },     { "AggStep1", OP_STEP },
                { "AggFinal", OP_FINAL },   { "VNext", OP_BATCH_LOOP },
                { "Next", OP_TABLE_LOOP },  { "Prev", OP_TABLE_LOOP },
                { "SorterInsert", OP_PUT }, { "SorterNext", OP_SORTED } };
    for (size_t i = 0; name && i < sizeof ops / sizeof *ops; i++)
        if (strcmp(name, ops[i].name) == 0) return ops[i].op;
    return OP_OTHER;
}

static bool in_loop(const struct program *p, enum op kind, int at)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].op == kind && p->v[i].p2 <= at && at <= p->v[i].at) return true;
    return false;
}

// Where rows that a sorter gives at `at` are put into it; else `at`.
static int put_at(const struct program *p, int at)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct line *next = &p->v[i];
        if (next->op != OP_SORTED || at < next->p2 || at > next->at) continue;
        for (size_t k = 0; k < p->n; k++)
            if (p->v[k].op == OP_PUT && p->v[k].p1 == next->p1) return p->v[k].at;
    }
    return at;
}

// A result for each row of the batch, as a subquery over a lookup table gives it, is
// finished within the loop over the batch.
static bool ends_outside(const struct program *p, const struct line *step)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].op == OP_FINAL && p->v[i].p1 == step->p3)
            return !in_loop(p, OP_BATCH_LOOP, p->v[i].at);
    return false; // a window function's
}

static bool sums_up(const struct program *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct line *step = &p->v[i];
        if (step->op != OP_STEP || !ends_outside(p, step)) continue;
        int at = put_at(p, step->at);
        if (in_loop(p, OP_BATCH_LOOP, at) || !in_loop(p, OP_TABLE_LOOP, at)) return true;
    }
    return false;
}

static bool read_program(sqlite3_stmt *stmt, struct program *p)
{
    size_t cap = 0;
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        enum op op = op_of((const char *)sqlite3_column_text(stmt, OPCODE));
        if (op == OP_OTHER) continue;
        if (p->n == cap) {
            cap = cap ? 2 * cap : 16;
            struct line *v = realloc(p->v, cap * sizeof *v);
            if (!v) return false;
            p->v = v;
        }
        p->v[p->n++] =
            (struct line){ op, sqlite3_column_int(stmt, ADDR), sqlite3_column_int(stmt, P1),
                           sqlite3_column_int(stmt, P2), sqlite3_column_int(stmt, P3) };
    }
    return rc == SQLITE_DONE;
}

bool xf_sql_gathers(sqlite3 *db, const char *sql)
{
    struct program p = { 0 };
    sqlite3_stmt *stmt = NULL;
    char *explain = sqlite3_mprintf("EXPLAIN %s", sql);
    bool yes = explain && sqlite3_prepare_v2(db, explain, -1, &stmt, NULL) == SQLITE_OK &&
               stmt && read_program(stmt, &p) && sums_up(&p);
    sqlite3_finalize(stmt);
    sqlite3_free(explain);
    free(p.v);
    return yes;
}
