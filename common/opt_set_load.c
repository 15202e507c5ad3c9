// The setters of load, params and tables.

#include "common/opt_set.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool opt_sql_is_good(struct conf *c, const struct opt *o, const struct value *v,
                     const char *text)
{
    if (!text_is_utf8(text, strlen(text)))
        conf_wrong(c, o, v, "the SQL is not UTF-8");
    else if (!text[strspn(text, " \t\r\n")])
        conf_wrong(c, o, v, "an empty statement");
    else
        return true;
    return false;
}

const char *opt_table_name_wrong(const char *name)
{
    size_t n = strlen(name);
    if (!n) return "a table needs a name";
    if (n > OPT_TABLE_NAME_MAX) return "longer than 63 bytes";
    if (text_has_control(name) || strpbrk(name, "\"."))
        return "a table's name holds no control characters, points or double quotes";
    if (name[0] == ' ' || name[n - 1] == ' ') return "begins or ends with a space";
    if (strncasecmp(name, "sqlite_", 7) == 0) return "names with sqlite_ belong to SQLite";
    if (strncasecmp(name, "tranche_", 8) == 0)
        return "names with tranche_ belong to tranche's own tables";
    return NULL;
}

void set_table(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    const char *why = opt_table_name_wrong(text);
    if (why)
        conf_wrong(c, o, v, "%s: %s", QUOTED(text), why);
    else
        opt_copy_text(c, &c->job->table, text);
}

// Names of params and tables stand in SQL without quotes.
static bool sql_name_is_good(struct conf *c, const struct opt *o, const struct value *m)
{
    if (text_is_identifier(m->key) && strlen(m->key) <= OPT_TABLE_NAME_MAX) return true;
    conf_wrong(c, o, m, "%s is no name for SQL; letters, digits and _ make one",
               QUOTED(m->key));
    return false;
}

static const char *param_sql(struct conf *c, const struct opt *o, const struct value *m)
{
    if (!c->file) return m->text;
    const struct value *sql = m->kind == VALUE_MAP ? m->first : NULL;
    for (const struct value *x = sql; x; x = x->next)
        if (strcmp(x->key, "sql") != 0) {
            conf_wrong(c, o, x, "unknown key %s in '%s'; %s", QUOTED(x->key), m->key,
                       conf_cut_by_comma(x) ? CONF_CUT_BY_COMMA : "it has only 'sql'");
            return NULL;
        }
    if (sql && sql->kind == VALUE_TEXT) return sql->text;
    conf_wrong(c, o, m, "'%s' wants a mapping, e.g. {sql: SELECT avg(x) FROM t}", m->key);
    return NULL;
}

void set_params(struct conf *c, const struct opt *o, const struct value *v)
{
    if (!opt_is_map(c, o, v)) return;
    for (const struct value *m = v->first; m; m = m->next) {
        const char *sql = sql_name_is_good(c, o, m) ? param_sql(c, o, m) : NULL;
        if (sql && opt_sql_is_good(c, o, m, sql))
            conf_ok(c, job_pairs_set(&c->job->params, m->key, sql, NULL));
    }
}

static void set_lookup(struct conf *c, const struct opt *o, const struct value *m)
{
    if (!opt_path_is_good(c, o, m, m->text)) return;
    struct job *j = c->job;
    const char *name = opt_known_as(&j->tables, m->key);
    char *path = conf_resolve(c, m->text);
    if (conf_ok(c, path ? ERR_OK : ERR_NOMEM) &&
        conf_ok(c, job_pairs_set(&j->tables_written, name, m->text, NULL)))
        conf_ok(c, job_pairs_set(&j->tables, name, path, NULL));
    free(path);
}

void set_tables(struct conf *c, const struct opt *o, const struct value *v)
{
    if (!opt_is_map(c, o, v)) return;
    for (const struct value *m = v->first; m; m = m->next) {
        if (!sql_name_is_good(c, o, m) || !opt_unique(c, o, v, m)) continue;
        const char *why = opt_table_name_wrong(m->key);
        if (why)
            conf_wrong(c, o, m, "%s: %s", QUOTED(m->key), why);
        else if (strcasecmp(m->key, "batch") == 0)
            conf_wrong(c, o, m, "'%s' is what sql calls the rows it works on", m->key);
        else if (m->kind != VALUE_TEXT || m->nothing)
            conf_wrong(c, o, m, "'%s' wants the path of a CSV file", m->key);
        else if (strcmp(m->text, "-") == 0)
            conf_wrong(c, o, m, "'%s' cannot come from standard input", m->key);
        else
            set_lookup(c, o, m);
    }
}
