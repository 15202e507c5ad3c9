#include "coordinator/pipeline_facts.h"

#include "common/hash.h"
#include "common/row_step.h"
#include "common/sql_functions.h"
#include "common/sql_guard.h"
#include "coordinator/plan.h"
#include "coordinator/source_files.h"

#include <errno.h>
#include <glob.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char nothing_there[] = "-";

__attribute__((format(printf, 4, 5))) static err_t
fact(struct strings *to, struct err *e, const char *value, const char *fmt, ...)
{
    struct buf text = { 0 };
    char what[4400]; // a path, and some words
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    for (char *p = what; *p; p++) // facts are lines
        if ((unsigned char)*p < ' ') *p = '?';
    err_t rc = buf_printf(&text, e, "%s\t%s", what, value);
    if (rc == ERR_OK) rc = strings_add(to, (const char *)text.p, text.n, e);
    buf_free(&text);
    return rc;
}

static err_t hash_fact(struct strings *to, const char *what, struct hash128 h,
                       struct err *e)
{
    char hex[HASH_HEX];
    hash_hex(h, hex);
    return fact(to, e, hex, "%s", what);
}

// ---- files ----

static err_t look_at(const char *path, struct stat *st, bool *there, struct err *e)
{
    *there = stat(path, st) == 0;
    if (*there || errno == ENOENT || errno == ENOTDIR) return ERR_OK;
    return err_sys(e, "cannot examine %s", path);
}

static err_t file_fact(struct strings *to, const char *name, const char *path,
                       struct err *e)
{
    struct stat st;
    bool there;
    char stamp[160];
    TRY(look_at(path, &st, &there, e));
    if (!there) return fact(to, e, nothing_there, "the file %s", name);
    snprintf(stamp, sizeof stamp, "%lld %lld.%09ld %lld.%09ld %llu", (long long)st.st_size,
             (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
             st.st_ctim.tv_nsec, (unsigned long long)st.st_ino);
    return fact(to, e, stamp, "the file %s", name);
}

static err_t input_facts(const struct job *j, struct strings *to, struct err *e)
{
    struct source_files f = { 0 };
    err_t rc = source_files_expand(&j->files, &j->file_paths, &f, e);
    for (size_t i = 0; rc == ERR_OK && i < f.n; i++)
        if (f.v[i].path) rc = file_fact(to, f.v[i].name, f.v[i].path, e);
    source_files_free(&f);
    return rc;
}

// ---- databases ----

static err_t open_to_read(sqlite3 **db, const char *path, struct err *e)
{
    enum { BUSY_MS = 5000 };
    int rc = sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return err_set(e, ERR_IO, "cannot open %s: %s", path, sqlite3_errstr(rc));
    sqlite3_busy_timeout(*db, BUSY_MS);
    TRY(sql_guard_harden(*db, e));
    return sql_functions_add(*db, e);
}

// Of what the statement gives: names, then values with their types, in their order.
static err_t hash_rows(sqlite3 *db, const char *sql, struct hash128 *out, struct err *e)
{
    sqlite3_stmt *st = NULL;
    struct buf row = { 0 };
    struct hash_stream *h = hash_stream_new();
    if (!h) return err_set(e, ERR_NOMEM, "out of memory");
    sql_guard_read_only(db, true);
    err_t rc = sql_guard_prepare(db, sql, "a query", ERR_INVALID, &st, e);
    for (int i = 0; rc == ERR_OK && i < sqlite3_column_count(st); i++) {
        const char *name = sqlite3_column_name(st, i);
        if (!name) rc = err_set(e, ERR_NOMEM, "out of memory");
        if (name) hash_stream_add(h, name, strlen(name) + 1);
    }
    int step = SQLITE_DONE;
    while (rc == ERR_OK && (step = sqlite3_step(st)) == SQLITE_ROW) {
        row.n = 0;
        rc = row_step_put(st, (uint32_t)sqlite3_column_count(st), &row, e);
        hash_stream_add(h, row.p, row.n);
    }
    if (rc == ERR_OK && step != SQLITE_DONE)
        rc = err_set(e, ERR_DB, "%s", sqlite3_errmsg(db));
    *out = hash_stream_value(h);
    buf_free(&row);
    sqlite3_finalize(st);
    hash_stream_free(&h);
    return rc;
}

static err_t query_fact(struct strings *to, const char *what, const char *path,
                        const char *sql, struct err *e)
{
    sqlite3 *db = NULL;
    struct hash128 h;
    err_t rc = open_to_read(&db, path, e);
    if (rc == ERR_OK) rc = hash_rows(db, sql, &h, e);
    sqlite3_close(db);
    return rc == ERR_OK ? hash_fact(to, what, h, e) : rc;
}

static err_t rows_fact(const struct job *j, struct strings *to, struct err *e)
{
    char what[300], *made = NULL;
    snprintf(what, sizeof what, "what it reads of %.200s", j->sqlite_written);
    if (!j->query && !(made = sqlite3_mprintf("SELECT * FROM \"%w\"", j->sqlite_table)))
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = query_fact(to, what, j->sqlite, j->query ? j->query : made, e);
    sqlite3_free(made);
    return rc;
}

static const char *sqlite_path(const struct job *j)
{
    static const char scheme[] = "sqlite:";
    bool is = strncmp(j->into, scheme, sizeof scheme - 1) == 0;
    return is ? j->into + sizeof scheme - 1 : NULL;
}

static err_t param_facts(const struct job *j, struct strings *to, struct err *e)
{
    char what[120];
    for (size_t i = 0; i < j->params.n; i++) {
        snprintf(what, sizeof what, "the value of params.%.80s", j->params.v[i].name);
        TRY(query_fact(to, what, sqlite_path(j), j->params.v[i].value, e));
    }
    return ERR_OK;
}

// ---- spec and code ----

static err_t spec_fact(const struct job *j, struct strings *to, struct err *e)
{
    struct buf text = { 0 };
    err_t rc = job_canonical(j, &text, e);
    for (size_t i = 0; rc == ERR_OK && i < j->n_indexes; i++) {
        rc = buf_printf(&text, e, "index\n");
        for (size_t k = 0; rc == ERR_OK && k < j->indexes[i].n; k++)
            rc = buf_printf(&text, e, "%s\n", j->indexes[i].v[k]);
    }
    if (rc == ERR_OK) rc = buf_printf(&text, e, "%s", TRANCHE_VERSION);
    if (rc == ERR_OK) rc = hash_fact(to, "its spec", hash_bytes(text.p, text.n), e);
    buf_free(&text);
    return rc;
}

// Programs, plugins, files beside them, lookup tables; and with the identity what their
// environments have.
static err_t code_facts(const struct job *j, struct strings *to, struct err *e)
{
    struct plan p;
    char hex[FILE_HEX], what[300];
    err_t rc = plan_identity(&p, j, e);
    for (size_t i = 0; rc == ERR_OK && i < p.spec.files.n; i++) {
        file_hex(&p.spec.files.v[i].digest, hex);
        rc = fact(to, e, hex, "the file %s", p.spec.files.v[i].path);
    }
    for (size_t i = 0; rc == ERR_OK && i < p.spec.n_tables; i++) {
        snprintf(what, sizeof what, "the lookup table %.200s", p.spec.tables[i].name);
        rc = hash_fact(to, what, p.spec.tables[i].digest, e);
    }
    if (rc == ERR_OK) rc = hash_fact(to, "its code", p.identity, e);
    plan_free(&p);
    return rc;
}

static const char *never(const struct job *j)
{
    for (size_t i = 0; i < j->files.n; i++)
        if (strcmp(j->files.v[i], "-") == 0) return "it reads standard input";
    if (strcmp(j->into, "null:") == 0) return "its rows are kept nowhere";
    if (strncmp(j->into, "stdout:", 7) == 0) return "its rows go to standard output";
    if (j->source == SOURCE_POSTGRES || strncmp(j->into, "postgres", 8) == 0)
        return "PostgreSQL does not tell whether its tables are as they were";
    if (j->mode == MODE_INCREMENTAL) return "it is incremental: it loads what is new";
    if (j->params.n && !sqlite_path(j)) return "its params are read from elsewhere";
    return NULL;
}

err_t pipeline_facts_before(const struct job *j, struct strings *facts,
                            const char **why_never, struct err *e)
{
    *why_never = never(j);
    if (*why_never) return ERR_OK;
    TRY(spec_fact(j, facts, e));
    TRY(code_facts(j, facts, e));
    if (j->files.n) TRY(input_facts(j, facts, e));
    if (j->source == SOURCE_SQLITE) TRY(rows_fact(j, facts, e));
    return param_facts(j, facts, e);
}

// ---- what it wrote ----

// The first value of the first row, appended; "" when there is none.
static err_t look_up(sqlite3 *db, const char *path, const char *sql, const char *table,
                     struct buf *to, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_step(st);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    err_t code = rc == SQLITE_ROW || rc == SQLITE_DONE
                     ? buf_printf(to, e, "%s", text ? text : "")
                     : err_set(e, ERR_DB, "%s: %s", path, sqlite3_errmsg(db));
    sqlite3_finalize(st);
    return code;
}

// That it stands where it stood, as it was made, and that no other load has ended in it.
static err_t look_at_table(const char *path, const char *table, struct buf *to,
                           struct err *e)
{
    static const char made[] = "SELECT rootpage || ' ' || sql FROM sqlite_schema "
                               "WHERE name = ?1 COLLATE NOCASE",
                      loads[] = "SELECT group_concat(load_id || ' ' || state || ' ' || "
                                "ifnull(finished, '')) FROM tranche_runs "
                                "WHERE table_name = ?1 COLLATE NOCASE";
    sqlite3 *db = NULL;
    err_t rc = open_to_read(&db, path, e);
    if (rc == ERR_OK) rc = look_up(db, path, made, table, to, e);
    if (rc == ERR_OK && to->n) rc = look_up(db, path, loads, table, to, e);
    sqlite3_close(db);
    return rc;
}

static err_t table_fact(const struct job *j, const char *path, struct strings *to,
                        struct err *e)
{
    struct stat st;
    struct buf found = { 0 };
    char what[500];
    snprintf(what, sizeof what, "the table %.80s of %.300s", j->table, j->into_written);
    bool there;
    err_t rc = look_at(path, &st, &there, e);
    if (rc == ERR_OK && there) rc = look_at_table(path, j->table, &found, e);
    if (rc == ERR_OK)
        rc = found.n ? hash_fact(to, what, hash_bytes(found.p, found.n), e)
                     : fact(to, e, nothing_there, "%s", what);
    buf_free(&found);
    return rc;
}

static err_t output_files(const char *pattern, struct strings *to, struct err *e)
{
    glob_t g = { 0 };
    int rc = glob(pattern, 0, NULL, &g);
    if (rc == GLOB_NOSPACE) return err_set(e, ERR_NOMEM, "out of memory");
    err_t code = rc == 0 ? ERR_OK : file_fact(to, pattern, pattern, e);
    for (size_t i = 0; code == ERR_OK && rc == 0 && i < g.gl_pathc; i++)
        code = file_fact(to, g.gl_pathv[i], g.gl_pathv[i], e);
    globfree(&g);
    return code;
}

err_t pipeline_facts_written(const struct job *j, struct strings *facts, struct err *e)
{
    const char *path = sqlite_path(j);
    if (path) return table_fact(j, path, facts, e);
    path = strchr(j->into, ':') + 1;
    return strchr(path, '*') ? output_files(path, facts, e)
                             : file_fact(facts, path, path, e);
}

// ---- comparing ----

static size_t name_length(const char *line)
{
    return strcspn(line, "\t");
}

static const char *value_in(const char *fact, const char *line, size_t n)
{
    return strncmp(fact, line, n) == 0 && fact[n] == '\t' ? fact + n : NULL;
}

// `at` is where it most often stands.
static const char *value_of(const struct strings *facts, const char *line, size_t at)
{
    size_t n = name_length(line);
    const char *value = at < facts->n ? value_in(facts->v[at], line, n) : NULL;
    for (size_t i = 0; !value && i < facts->n; i++)
        value = value_in(facts->v[i], line, n);
    return value;
}

err_t pipeline_facts_need(const char *step, const struct pipeline_past *past,
                          struct strings *facts, struct err *e)
{
    return fact(facts, e, past->changed, "what %s loaded", step);
}

bool pipeline_facts_differ(const struct strings *was, const struct strings *is, char *out,
                           size_t size)
{
    for (size_t i = 0; i < is->n; i++) {
        const char *line = is->v[i], *old = value_of(was, line, i);
        size_t n = name_length(line);
        if (old && strcmp(old, line + n) == 0) continue;
        bool gone = old && strcmp(line + n + 1, nothing_there) == 0;
        snprintf(out, size, "%.*s %s", n < 300 ? (int)n : 300, line,
                 !old   ? "is new"
                 : gone ? "is gone"
                        : "has changed");
        return true;
    }
    for (size_t i = 0; i < was->n; i++) {
        if (value_of(is, was->v[i], i)) continue;
        size_t n = name_length(was->v[i]);
        snprintf(out, size, "%.*s is gone", n < 300 ? (int)n : 300, was->v[i]);
        return true;
    }
    return false;
}
