// What one value alone cannot tell: is everything there, does it go together.

#include "common/conf.h"
#include "common/opt_set.h"
#include "common/text.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const sources[] = { "source.csv",   "source.lines",  "source.jsonl",
                                       "source.range", "source.sqlite", "source.postgres" };

static const char *source_given(const struct conf *c)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (conf_given(c, sources[i])) return sources[i];
    return NULL;
}

// A flag may give another source than the file.
static void check_one_source(struct conf *c)
{
    const char *first = source_given(c);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (sources[i] != first && conf_given(c, sources[i]))
            conf_wrong_key(c, sources[i], "%s is given too; only one of them can be",
                           first);
}

// Keys that say how files of another kind are read must not be passed over.
static void check_about_source(struct conf *c)
{
    static const struct {
        const char *key;
        unsigned of; // bits of enum job_source
        const char *what;
    } about[] = {
        { "source.delimiter", 1 << SOURCE_CSV, "csv" },
        { "source.quote", 1 << SOURCE_CSV, "csv" },
        { "source.header", 1 << SOURCE_CSV, "csv" },
        { "source.null", 1 << SOURCE_CSV, "csv" },
        { "source.types",
          1 << SOURCE_CSV | 1 << SOURCE_JSONL | 1 << SOURCE_SQLITE | 1 << SOURCE_POSTGRES,
          "csv, jsonl, sqlite and postgres" },
        { "source.fields", 1 << SOURCE_JSONL, "jsonl" },
        { "source.rows", 1 << SOURCE_JSONL, "jsonl" },
        { "source.query", 1 << SOURCE_SQLITE | 1 << SOURCE_POSTGRES,
          "sqlite and postgres" },
        { "source.sqlite_table", 1 << SOURCE_SQLITE, "sqlite" },
        { "source.postgres_table", 1 << SOURCE_POSTGRES, "postgres" },
    };
    if (c->job->source == SOURCE_NONE) return;
    for (size_t i = 0; i < sizeof about / sizeof *about; i++)
        if (conf_given(c, about[i].key) && !(about[i].of & 1u << c->job->source))
            conf_wrong_key(c, about[i].key, "it is about %s, which is not the source",
                           about[i].what);
}

static void check_rows(struct conf *c)
{
    const struct job *j = c->job;
    if (j->source == SOURCE_JSONL && j->list && !j->fields.n)
        conf_wrong_key(c, "source.rows",
                       "which members are the columns of its elements? give source.fields, "
                       "such as [id, %.60s.name]",
                       j->list);
}

static void check_database(struct conf *c)
{
    const struct job *j = c->job;
    if (j->source == SOURCE_SQLITE && !j->query && !j->sqlite_table)
        conf_wrong_key(
            c, "source.sqlite",
            "what shall be read of it? give source.query or source.sqlite_table");
    if (j->source == SOURCE_POSTGRES && !j->query && !j->postgres_table)
        conf_wrong_key(
            c, "source.postgres",
            "what shall be read of it? give source.query or source.postgres_table");
    if (j->query && (j->sqlite_table || j->postgres_table))
        conf_wrong_key(c, j->sqlite_table ? "source.sqlite_table" : "source.postgres_table",
                       "source.query is given too; only one of them can be");
    if (j->batch_by && j->source != SOURCE_SQLITE && j->source != SOURCE_POSTGRES &&
        j->source != SOURCE_NONE)
        conf_wrong_key(c, "batch.by",
                       "only a source that comes in rows keeps groups together: sqlite and "
                       "postgres");
}

static void check_present(struct conf *c)
{
    if (c->n_mistakes) return; // such as a misspelt key: that one is missing
    if (!source_given(c))
        conf_wrong_job(c, c->job->file
                              ? "no source; give source: {csv: FILE}, or --csv FILE"
                              : "no source; give --csv FILE, or a job file");
    if (!conf_given(c, "load.into"))
        conf_wrong_job(c, c->job->file
                              ? "nowhere to load into; give load: {into: sqlite:FILE}, or "
                                "--into sqlite:FILE"
                              : "nowhere to load into; give --into sqlite:FILE");
}

static void check_dialect(struct conf *c)
{
    const struct job *j = c->job;
    if (j->quote == j->delimiter)
        conf_wrong_key(c,
                       conf_given(c, "source.quote") ? "source.quote" : "source.delimiter",
                       "the delimiter and the quote are the same character");
}

static void check_stdin(struct conf *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->job->files.n; i++)
        n += strcmp(c->job->files.v[i], "-") == 0;
    if (n > 1)
        conf_wrong_key(c, source_given(c), "standard input ('-') can be read only once");
}

static bool has_column(const struct job *j, const char *name)
{
    for (size_t i = 0; i < j->header_names.n; i++)
        if (strcasecmp(j->header_names.v[i], name) == 0) return true;
    return false;
}

static void check_types(struct conf *c)
{
    const struct job *j = c->job;
    char shown[TEXT_QUOTED];
    if (j->header != HEADER_NAMES) return;
    for (size_t i = 0; i < j->types.n; i++)
        if (!has_column(j, j->types.v[i].name))
            conf_wrong_key(c, "source.types",
                           "the column %s is not among those of source.header",
                           text_quoted(j->types.v[i].name, shown));
}

// Half of the memory for batches, half for their results.
static void check_memory(struct conf *c)
{
    const struct job *j = c->job;
    char batch[UNITS_TEXT], memory[UNITS_TEXT];
    if (j->batch_bytes <= j->memory_bytes / 2) return;
    conf_wrong_key(c, "batch.bytes", "%s is more than half of limits.memory (%s)",
                   units_size_text(j->batch_bytes, batch),
                   units_size_text(j->memory_bytes, memory));
}

static void check_workers(struct conf *c)
{
    const struct job *j = c->job;
    if (j->workers_remote && !j->listen)
        conf_wrong_key(c, "workers.local",
                       "0, only workers of other hosts: they come in through --listen");
    if (j->insecure && !j->listen)
        conf_wrong_job(c, "--insecure is about --listen, which is not given");
    if (j->workers_min > 1 && !j->listen)
        conf_wrong_key(c, "workers.min",
                       "one worker runs on this machine; further ones come in through "
                       "--listen");
    if (j->labels.n && !j->listen)
        conf_wrong_key(c, "workers.labels",
                       "the worker of this machine has no labels; others come in through "
                       "--listen");
}

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t k = strlen(end);
    return n > k && strncasecmp(s + n - k, end, k) == 0;
}

// The last part of a path without endings that tell the format; malloced.
static char *base_name(const char *path)
{
    static const char *const endings[] = { ".gz",     ".zst",  ".csv",   ".tsv",
                                           ".txt",    ".json", ".jsonl", ".ndjson",
                                           ".sqlite", ".db",   ".yaml",  ".yml" };
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t n = strlen(base);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(base, n, endings[i])) n -= strlen(endings[i]);
    return strndup(base, n);
}

void conf_derive_name(struct conf *c, const char *path, char **name)
{
    char *base = base_name(path);
    if (!conf_ok(c, base ? ERR_OK : ERR_NOMEM)) return;
    if (text_has_control(base))
        free(base);
    else
        *name = base;
}

static void set_text(struct conf *c, char **to, const char *text)
{
    *to = strdup(text);
    conf_ok(c, *to ? ERR_OK : ERR_NOMEM);
}

static const char *first_source(const struct job *j)
{
    switch (j->source) {
    case SOURCE_RANGE: return "range";
    case SOURCE_SQLITE: return j->sqlite_table ? j->sqlite_table : j->sqlite_written;
    case SOURCE_POSTGRES: return j->postgres_table ? j->postgres_table : "postgres";
    case SOURCE_NONE:
    case SOURCE_CSV:
    case SOURCE_LINES:
    case SOURCE_JSONL: break;
    }
    return strcmp(j->files.v[0], "-") == 0 ? "stdin" : j->files.v[0];
}

// Of "data/*.csv", whose last part has no letters, the folder's.
static char *folder_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup("");
    char *base = folder ? base_name(folder) : NULL;
    free(folder);
    return base;
}

// The folder itself would do, but a load must not become another one with the folder's
// name.
static void no_table_name(struct conf *c, const char *first)
{
    struct job *j = c->job;
    char shown[TEXT_QUOTED], table[OPT_TABLE_NAME_MAX + 1];
    char *folder = j->file || j->name ? NULL : conf_folder(first);
    char *real = folder ? realpath(folder, NULL) : NULL;
    char *base = real ? base_name(real) : NULL;
    bool made = base && text_to_identifier(base, table, sizeof table) &&
                !opt_table_name_wrong(table);
    conf_wrong_job(c, "no name for the table can be made from %s; give %s%s%s",
                   text_quoted(j->name ? j->name : first, shown),
                   j->file ? "load: {table: NAME}" : "--table NAME",
                   made ? ", e.g. --table " : "", made ? table : "");
    free(folder);
    free(real);
    free(base);
}

// From the name, which is given or the job file's; without both from the first source.
static void derive_table(struct conf *c)
{
    struct job *j = c->job;
    char table[OPT_TABLE_NAME_MAX + 1], safe[OPT_TABLE_NAME_MAX + 1];
    const char *first = first_source(j);
    char *base = j->name ? strdup(j->name) : base_name(first);
    if (!conf_ok(c, base ? ERR_OK : ERR_NOMEM)) return;
    bool made = text_to_identifier(base, table, sizeof table);
    free(base);
    if (!made && !j->name) {
        base = folder_name(first);
        if (!conf_ok(c, base ? ERR_OK : ERR_NOMEM)) return;
        made = text_to_identifier(base, table, sizeof table);
        free(base);
    }
    if (made && opt_table_name_wrong(table)) {
        snprintf(safe, sizeof safe, "t_%.*s", OPT_TABLE_NAME_MAX - 2, table);
        memcpy(table, safe, sizeof table);
    }
    if (made)
        set_text(c, &j->table, table);
    else if (strcmp(j->into, "null:") == 0 || job_into_text(j))
        set_text(c, &j->table, "data");
    else
        no_table_name(c, first);
}

// A row costs the time of a request, not that of its bytes. Batches of an aggregate do not
// follow from what may be changed between a run and its resume.
static void choose_rows(struct conf *c)
{
    enum { FEW = 64, OF_AGGREGATE = 256 };
    struct job *j = c->job;
    if (j->batch_rows || conf_given(c, "batch.bytes")) return;
    for (size_t i = 0; i < j->n_steps; i++) {
        if (j->steps[i].kind != STEP_HTTP) continue;
        uint64_t rows = 2 * (uint64_t)j->steps[i].http.concurrency;
        if (rows < FEW) rows = FEW;
        if (job_aggregates(j)) rows = OF_AGGREGATE;
        if (rows > j->batch_rows) j->batch_rows = rows;
    }
}

static bool names(const struct strings *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcasecmp(s->v[i], name) == 0) return true;
    return false;
}

// A series that is cut in two would be foretold twice. What steps before it make of the
// columns is not known here.
static void check_forecasts(struct conf *c)
{
    struct job *j = c->job;
    for (size_t i = 0; i < j->n_steps && !c->n_mistakes; i++) {
        struct strings *by = &j->steps[i].forecast.by;
        if (j->steps[i].kind != STEP_FORECAST) continue;
        if (!j->batch_by)
            conf_wrong_key(c, "transform.forecast",
                           "each series must stand in one batch: order the rows of an "
                           "sqlite or postgres source by a column that names it, and give "
                           "batch.by");
        else if (by->n == 0)
            conf_ok(c, strings_add(by, j->batch_by, strlen(j->batch_by), NULL));
        else if (i == 0 && !names(by, j->batch_by))
            conf_wrong_key(c, "transform.forecast.by",
                           "the column of batch.by is not among them: series would be cut "
                           "by batches");
    }
}

static void check_place(struct conf *c)
{
    const struct job *j = c->job;
    if (j->place != JOB_ALONE) return;
    if (j->needs.n) conf_wrong_key(c, "needs", "it stands in a step of a pipeline");
    if (j->from)
        conf_wrong_job(c, "--from is about the steps of a pipeline, and this is one job");
}

static void fill_in(struct conf *c)
{
    struct job *j = c->job;
    choose_rows(c);
    if (!j->dir) set_text(c, &j->dir, ".");
    if (!j->name && j->file) conf_derive_name(c, j->file, &j->name);
    if (!j->table && !c->no_memory) derive_table(c);
    if (!j->name && j->table) set_text(c, &j->name, j->table);
}

void conf_check(struct conf *c)
{
    check_present(c);
    conf_check_aggregate(c);
    check_one_source(c);
    check_about_source(c);
    check_rows(c);
    check_database(c);
    check_dialect(c);
    check_stdin(c);
    check_types(c);
    check_memory(c);
    check_workers(c);
    check_forecasts(c);
    conf_check_load(c);
    check_place(c);
    if (!c->n_mistakes && !c->no_memory) fill_in(c);
}
