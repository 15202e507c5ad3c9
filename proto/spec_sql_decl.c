#include "proto/spec_sql.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

// SQLite derives a column's affinity from words within its declared type, and hands the
// declaration back for each result column that is a plain input column.
static const struct {
    enum type type;
    const char *decl;
} DECLARED[] = {
    { TYPE_INTEGER, "INTEGER" }, { TYPE_REAL, "REAL" },
    { TYPE_TEXT, "TEXT" },       { TYPE_BOOLEAN, "BOOLEAN INTEGER" },
    { TYPE_DATE, "DATE TEXT" },  { TYPE_TIMESTAMP, "TIMESTAMP TEXT" },
};
enum { N_DECLARED = sizeof DECLARED / sizeof *DECLARED };

enum type spec_sql_type(const char *decl)
{
    for (size_t i = 0; decl && i < N_DECLARED; i++)
        if (strcasecmp(decl, DECLARED[i].decl) == 0) return DECLARED[i].type;
    return TYPE_ANY;
}

static const char *declaration(enum type t)
{
    for (size_t i = 0; i < N_DECLARED; i++)
        if (DECLARED[i].type == t) return DECLARED[i].decl;
    return "";
}

char *spec_sql_create(const char *into, const char *name, const struct schema *s)
{
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(sql, "CREATE TABLE \"%w\".\"%w\"(", into, name);
    for (uint32_t i = 0; i < s->n; i++)
        sqlite3_str_appendf(sql, "%s\"%w\" %s", i ? "," : "", s->f[i].name,
                            declaration(s->f[i].type));
    sqlite3_str_appendall(sql, ")");
    return sqlite3_str_finish(sql);
}

// ---- columns of a statement

static uint32_t same_before(sqlite3_stmt *stmt, int column)
{
    const char *name = sqlite3_column_name(stmt, column);
    uint32_t n = 0;
    for (int i = 0; i < column; i++)
        n += strcasecmp(name, sqlite3_column_name(stmt, i)) == 0;
    return n;
}

// SQLite's name, made unique by a suffix, and never empty. sqlite3_free it; NULL: no
// memory.
static char *result_name(const struct schema *s, sqlite3_stmt *stmt, int column)
{
    const char *given = sqlite3_column_name(stmt, column);
    if (!given) return NULL;
    uint32_t number = same_before(stmt, column) + 1;
    if (!*given) given = "column";
    char *name = number == 1 ? sqlite3_mprintf("%s", given)
                             : sqlite3_mprintf("%s_%u", given, number);
    while (name && schema_find(s, name) >= 0) {
        sqlite3_free(name);
        name = sqlite3_mprintf("%s_%u", given, ++number);
    }
    return name;
}

err_t spec_sql_columns(sqlite3_stmt *stmt, struct schema *out, struct err *e)
{
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        char *name = result_name(out, stmt, i);
        if (!name) return err_set(e, ERR_NOMEM, "out of memory: SQL");
        enum type type = spec_sql_type(sqlite3_column_decltype(stmt, i));
        err_t rc = schema_add(out, name, strlen(name), type, false, e);
        sqlite3_free(name);
        if (rc != ERR_OK) return rc;
    }
    return ERR_OK;
}
