// Columns that a statement hands on as they are, so that their values need not pass through
// SQLite: they are taken from the batch at the row that its cursor stands at.
//
// That is right where each row of the result is emitted while the one cursor that there is
// stands at its row, which SQLite's own program for the statement tells: one loop over the
// batch, tranche_emit within it, and no operation that keeps rows, reads other tables, or
// jumps into subroutines. See sqlite.org/opcode.html.

#include "worker/xf_sql.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ADDR, OPCODE, P1, P2 }; // columns of EXPLAIN

struct loop {
    int emits, scans; // how many operations of this kind there are
    int emit_at, from, to;
};

// What a program without a memory of rows is made of.
static bool harmless(const char *op)
{
    static const char *const ops[] = {
        "Init",      "Goto",    "Halt",       "Transaction", "Null",      "Integer",
        "Int64",     "Real",    "String8",    "Blob",        "Variable",  "Move",
        "Copy",      "SCopy",   "ClrSubtype", "Function",    "PureFunc",  "Cast",
        "Affinity",  "Concat",  "Add",        "Subtract",    "Multiply",  "Divide",
        "Remainder", "BitAnd",  "BitOr",      "BitNot",      "ShiftLeft", "ShiftRight",
        "And",       "Or",      "Not",        "IsTrue",      "IsNull",    "NotNull",
        "If",        "IfNot",   "Eq",         "Ne",          "Lt",        "Le",
        "Gt",        "Ge",      "ElseEq",     "ZeroOrNull",  "CollSeq",   "RealAffinity",
        "VFilter",   "VColumn", "AggFinal",   "ResultRow",   "Noop",      "Explain",
    };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i], op) == 0) return true;
    return false;
}

// False: the statement is not of this kind.
static bool take_operation(struct loop *l, sqlite3_stmt *program)
{
    const char *op = (const char *)sqlite3_column_text(program, OPCODE);
    if (!op) return false;
    if (strcmp(op, "VOpen") == 0) return l->scans++ == 0;
    if (strcmp(op, "AggStep") == 0 || strcmp(op, "AggStep1") == 0) {
        l->emit_at = sqlite3_column_int(program, ADDR);
        return l->emits++ == 0;
    }
    if (strcmp(op, "VNext") == 0) {
        l->from = sqlite3_column_int(program, P2);
        l->to = sqlite3_column_int(program, ADDR);
        return true;
    }
    return harmless(op);
}

bool xf_sql_scans_once(sqlite3 *db, const char *sql)
{
    struct loop l = { 0 };
    sqlite3_stmt *program = NULL;
    char *explain = sqlite3_mprintf("EXPLAIN %s", sql);
    bool yes = explain && sqlite3_prepare_v2(db, explain, -1, &program, NULL) == SQLITE_OK;
    int rc = SQLITE_DONE;
    while (yes && (rc = sqlite3_step(program)) == SQLITE_ROW)
        yes = take_operation(&l, program);
    sqlite3_finalize(program);
    sqlite3_free(explain);
    return yes && rc == SQLITE_DONE && l.scans == 1 && l.emits == 1 &&
           l.from <= l.emit_at && l.emit_at <= l.to;
}

// A value of a subquery has the name of its column, too, and may be missing. One begins
// with SELECT or VALUES; that the words may stand for something else does no harm.
static bool has_subquery(const char *sql)
{
    static const char word[] = "select";
    const char *first = strcasestr(sql, word);
    return !first || strcasestr(first + 1, word) || strcasestr(sql, "values");
}

uint32_t xf_sql_plain(sqlite3_stmt *stmt, const struct schema *in, uint32_t *source)
{
    uint32_t n = 0;
    int columns = sqlite3_column_count(stmt);
    bool known = !has_subquery(sqlite3_sql(stmt));
    for (int i = 0; i < columns; i++) {
        const char *table = sqlite3_column_table_name(stmt, i);
        const char *name = sqlite3_column_origin_name(stmt, i);
        bool of_batch = known && table && name && strcasecmp(table, XF_SQL_BATCH) == 0;
        int at = of_batch ? schema_find(in, name) : -1;
        source[i] = at < 0 ? XF_SQL_COMPUTED : (uint32_t)at;
        n += at >= 0;
    }
    return n;
}

// As SQLite would give it.
static struct cell cell_of(const struct vec *v, uint32_t row)
{
    struct cell c = vec_cell(v, row);
    if (c.kind == CELL_REAL && c.r != c.r) c.kind = CELL_NULL;
    if ((c.kind == CELL_TEXT || c.kind == CELL_BLOB) && !c.len) c.p = (const uint8_t *)"";
    return c;
}

void xf_sql_plain_fill(struct cell *to, const struct vec *from, const uint32_t *row,
                       uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] = cell_of(from, row[i]);
}
