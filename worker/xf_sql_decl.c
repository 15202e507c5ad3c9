#include "worker/xf_sql.h"

#include <stddef.h>
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

enum type xf_sql_type(const char *decl)
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

char *xf_sql_create(const char *name, const struct schema *s)
{
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(sql, "CREATE TABLE \"%w\"(", name);
    for (uint32_t i = 0; i < s->n; i++)
        sqlite3_str_appendf(sql, "%s\"%w\" %s", i ? "," : "", s->f[i].name,
                            declaration(s->f[i].type));
    sqlite3_str_appendall(sql, ")");
    return sqlite3_str_finish(sql);
}
