// How rows get into the user's table: the statements, and whether records are copied as
// they are.

#include "coordinator/warehouse_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct load_columns all_columns(uint32_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        v[i] = i;
    return (struct load_columns){ v, n };
}

static bool is_key(const struct warehouse *w, uint32_t column)
{
    for (size_t i = 0; i < w->key.n; i++)
        if (w->key.v[i] == column) return true;
    return false;
}

// The row that is there keeps its key and takes everything else. A statement without any
// column to set would count as nothing done.
static err_t add_replacement(struct warehouse *w, struct buf *out, struct err *e)
{
    char *key = NULL;
    bool any = false;
    TRY(wsq_columns_text(&w->schema, &w->key, &key, e));
    err_t rc = buf_printf(out, e, " ON CONFLICT(%s) DO UPDATE SET ", key);
    for (uint32_t i = 0; rc == ERR_OK && i <= w->schema.n; i++) {
        uint32_t column = i < w->schema.n ? i : w->key.v[0];
        if (i < w->schema.n ? is_key(w, i) : any) continue;
        char *set = sqlite3_mprintf("%s\"%w\"=excluded.\"%w\"", any ? "," : "",
                                    w->schema.f[column].name, w->schema.f[column].name);
        rc = set ? buf_printf(out, e, "%s", set) : err_set(e, ERR_NOMEM, "out of memory");
        sqlite3_free(set);
        any = true;
    }
    if (rc == ERR_OK) rc = buf_printf(out, e, " WHERE tranche_replaced()");
    free(key);
    return rc;
}

// What stands behind the rows to be added: which of them, and what of those that are there.
static err_t add_rules(struct warehouse *w, struct buf *out, struct err *e)
{
    TRY(buf_printf(out, e, "%s", ""));
    if (w->mode == MODE_INCREMENTAL) {
        char *sql = sqlite3_mprintf(" WHERE tranche_above(\"%w\")",
                                    w->schema.f[w->watermark.column].name);
        err_t rc =
            sql ? buf_printf(out, e, "%s", sql) : err_set(e, ERR_NOMEM, "out of memory");
        sqlite3_free(sql);
        return rc;
    }
    for (size_t i = 0; i < w->key.n; i++) {
        char *sql = sqlite3_mprintf(" %s \"%w\" IS NOT NULL", i ? "AND" : "WHERE",
                                    w->schema.f[w->key.v[i]].name);
        err_t rc =
            sql ? buf_printf(out, e, "%s", sql) : err_set(e, ERR_NOMEM, "out of memory");
        sqlite3_free(sql);
        TRY(rc);
    }
    return w->key.n ? add_replacement(w, out, e) : ERR_OK;
}

static err_t print_statements(struct warehouse *w, bool same_order, const char *columns,
                              const char *marks, struct err *e)
{
    struct buf rules = { 0 }, conflict = { 0 };
    err_t rc = add_rules(w, &rules, e);
    if (rc == ERR_OK) rc = buf_printf(&conflict, e, "%s", "");
    if (rc == ERR_OK && w->key.n) rc = add_replacement(w, &conflict, e);
    if (rc == ERR_OK) {
        // OR ABORT: a table may say that it silently ignores or replaces rows. Not with us.
        w->insert =
            same_order
                ? sqlite3_mprintf("INSERT OR ABORT INTO main.\"%w\" SELECT * FROM ",
                                  w->target)
                : sqlite3_mprintf("INSERT OR ABORT INTO main.\"%w\"(%s) SELECT %s FROM ",
                                  w->target, columns, columns);
        w->insert_rule = sqlite3_mprintf("%s", rules.p);
        w->insert_row = sqlite3_mprintf("INSERT OR ABORT INTO main.\"%w\"(%s) VALUES(%s)%s",
                                        w->target, columns, marks, conflict.p);
        if (!w->insert || !w->insert_rule || !w->insert_row)
            rc = err_set(e, ERR_NOMEM, "out of memory");
    }
    buf_free(&rules);
    buf_free(&conflict);
    return rc;
}

static err_t make_statements(struct warehouse *w, bool same_order, struct err *e)
{
    uint32_t numbers[SCHEMA_MAX_COLUMNS];
    struct load_columns all = all_columns(numbers, w->schema.n);
    char *columns = NULL;
    struct buf marks = { 0 };
    err_t rc = wsq_columns_text(&w->schema, &all, &columns, e);
    for (uint32_t i = 0; rc == ERR_OK && i < w->schema.n; i++)
        rc = buf_printf(&marks, e, "%s?%u", i ? "," : "", i + 1);
    if (rc == ERR_OK)
        rc = print_statements(w, same_order, columns, (const char *)marks.p, e);
    free(columns);
    buf_free(&marks);
    return rc;
}

// Whether the program for INSERT ... SELECT copies records as they are, in every case.
static err_t copies_records(struct warehouse *w, bool *fast, struct err *e)
{
    sqlite3_stmt *st;
    bool row, copies = false, decodes = false;
    TRY(wsq_prepare(w, &st, e, "EXPLAIN %sc0.t%s", w->insert, w->insert_rule));
    err_t rc;
    while ((rc = wsq_step(w, st, &row, e, "planning the load")) == ERR_OK && row) {
        const char *opcode = (const char *)sqlite3_column_text(st, 1);
        if (!opcode) continue;
        copies |= strcmp(opcode, "RowData") == 0 || strcmp(opcode, "RowCell") == 0;
        decodes |= strcmp(opcode, "Column") == 0;
    }
    sqlite3_finalize(st);
    *fast = copies && !decodes;
    return rc;
}

static err_t say_why_slow(struct warehouse *w, bool same_order, struct err *e)
{
    static const struct {
        const char *why, *sql;
    } causes[] = {
        { "it has a trigger", "SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' "
                              "AND tbl_name = %Q COLLATE NOCASE" },
        { "it has an index, a UNIQUE or a PRIMARY KEY (create indexes after the load)",
          "SELECT 1 FROM pragma_index_list(%Q,'main')" },
        { "it has a PRIMARY KEY",
          "SELECT 1 FROM pragma_table_info(%Q,'main') WHERE pk > 0" },
    };
    const char *why = same_order
                          ? "its columns are declared in another way (type, NOT NULL, "
                            "DEFAULT, COLLATE, CHECK, STRICT)"
                          : "its columns stand in another order";
    bool found = false;
    int64_t n;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0] && !found; i++) {
        TRY(wsq_int(w, e, &n, &found, causes[i].sql, w->target));
        if (found) why = causes[i].why;
    }
    char text[512];
    snprintf(text, sizeof text, "rows go into %s one by one, two to four times slower: %s",
             w->table, why);
    if (w->say) w->say(w->say_arg, text);
    return ERR_OK;
}

err_t wsq_table_plan(struct warehouse *w, struct err *e)
{
    struct wsq_difference d;
    err_t rc = wsq_difference(w, w->target, &d, e);
    bool same_order = d.same_order;
    wsq_difference_free(&d);
    TRY(rc);
    TRY(make_statements(w, same_order, e));
    TRY(wsq_table_rowid(w, w->target, &w->rowid, e));
    TRY(copies_records(w, &w->fast, e));
    // A rule of the mode looks at every row; rows that are replaced have no rowids of ours.
    bool ruled = w->insert_rule[0] != 0;
    if (w->key.n) w->rowid = NULL;
    if (ruled) w->fast = false;
    return w->fast || ruled ? ERR_OK : say_why_slow(w, same_order, e);
}
