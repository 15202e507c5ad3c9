#include "common/job_write.h"

#include "common/opt.h"
#include "common/text.h"
#include "common/units.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct writer {
    struct yaml y;
    const struct job *j;
    struct job initial;
    char folder[PATH_MAX]; // absolute
    bool section;          // one is open
};

// The first sentence of what --help says of the key.
static void explain(struct writer *w, const char *key)
{
    char text[400];
    const struct opt *o = opt_by_key(key);
    if (!o) return;
    size_t n = strcspn(o->help, ";");
    const char *dot = strstr(o->help, ". ");
    if (dot && (size_t)(dot - o->help) < n) n = (size_t)(dot - o->help);
    snprintf(text, sizeof text, "%.*s", (int)n, o->help);
    yaml_comment(&w->y, text);
}

static const char *last_part(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

// The section is begun by the first key in it.
static void key(struct writer *w, const char *name)
{
    char section[32];
    snprintf(section, sizeof section, "%.*s", (int)strcspn(name, "."), name);
    if (!w->section && strchr(name, '.')) {
        yaml_begin(&w->y, section);
        w->section = true;
    }
    explain(w, name);
}

static void end_section(struct writer *w)
{
    if (w->section) yaml_end(&w->y);
    w->section = false;
}

static void text(struct writer *w, const char *name, const char *value)
{
    if (!value) return;
    key(w, name);
    yaml_text(&w->y, last_part(name), value);
}

static void number(struct writer *w, const char *name, uint64_t n, uint64_t initial)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    if (n != initial) text(w, name, digits);
}

static void size(struct writer *w, const char *name, uint64_t n, uint64_t initial)
{
    char shown[UNITS_TEXT];
    if (n != initial) text(w, name, units_size_text(n, shown));
}

static void duration(struct writer *w, const char *name, int64_t ms, int64_t initial)
{
    char shown[UNITS_TEXT];
    if (ms != initial) text(w, name, units_duration_text(ms, shown));
}

static void list(struct writer *w, const char *name, const struct strings *s)
{
    if (s->n == 0) return;
    key(w, name);
    yaml_strings(&w->y, last_part(name), s);
}

static void pairs(struct writer *w, const char *name, const struct job_pairs *p)
{
    if (p->n == 0) return;
    key(w, name);
    yaml_pairs(&w->y, last_part(name), p);
}

// ---- paths ----

// Without "." and "//": what names the same file reads the same. Globs stay.
static void absolute(const char *base, const char *path, char out[PATH_MAX])
{
    char all[2 * PATH_MAX];
    size_t n = 0;
    snprintf(all, sizeof all, "%s/%s", path[0] == '/' ? "" : base, path);
    out[0] = 0;
    for (char *rest = all, *part; (part = strsep(&rest, "/"));) {
        if (!*part || strcmp(part, ".") == 0) continue;
        int k = snprintf(out + n, PATH_MAX - n, "/%s", part);
        if (k < 0 || (size_t)k >= PATH_MAX - n) return;
        n += (size_t)k;
    }
}

static void from_cwd(const char *path, char out[PATH_MAX])
{
    char cwd[PATH_MAX];
    absolute(getcwd(cwd, sizeof cwd) ? cwd : "/", path, out);
}

// As it was written if that means the same there; else where it is.
static const char *path_there(const struct writer *w, const char *written,
                              const char *resolved, char out[PATH_MAX])
{
    char there[PATH_MAX];
    absolute(w->folder, written, there);
    from_cwd(resolved, out);
    return strcmp(there, out) == 0 ? written : out;
}

// ---- source ----

static err_t files(struct writer *w, const char *name, struct err *e)
{
    const struct job *j = w->j;
    struct strings there = { 0 };
    char path[PATH_MAX];
    err_t rc = ERR_OK;
    for (size_t i = 0; i < j->files.n && rc == ERR_OK; i++) {
        const char *p = path_there(w, j->files.v[i], j->file_paths.v[i], path);
        rc = strings_add(&there, p, strlen(p), e);
    }
    if (rc == ERR_OK && there.n == 1) text(w, name, there.v[0]);
    if (rc == ERR_OK && there.n > 1) list(w, name, &there);
    strings_free(&there);
    return rc;
}

static void dialect(struct writer *w)
{
    const struct job *j = w->j;
    char one[2] = { (char)j->delimiter, 0 };
    if (j->delimiter_given || j->delimiter != w->initial.delimiter)
        text(w, "source.delimiter", one);
    one[0] = (char)j->quote;
    if (j->quote != w->initial.quote) text(w, "source.quote", j->quote ? one : "none");
    if (j->header == HEADER_FALSE) text(w, "source.header", "false");
    if (j->header == HEADER_NAMES) list(w, "source.header", &j->header_names);
    if (j->nulls_given) {
        key(w, "source.null");
        yaml_strings(&w->y, "null", &j->nulls);
    }
}

static err_t databases(struct writer *w, struct err *e)
{
    const struct job *j = w->j;
    char path[PATH_MAX];
    if (j->postgres && strcmp(j->postgres, j->postgres_public) != 0)
        return err_set(e, ERR_INVALID,
                       "the address of the source holds a password, which is written "
                       "nowhere: put it into ~/.pgpass");
    if (j->sqlite)
        text(w, "source.sqlite", path_there(w, j->sqlite_written, j->sqlite, path));
    text(w, "source.postgres", j->postgres);
    text(w, "source.query", j->query);
    text(w, "source.sqlite_table", j->sqlite_table);
    text(w, "source.postgres_table", j->postgres_table);
    return ERR_OK;
}

static void row_list(struct writer *w)
{
    char *path = NULL;
    if (asprintf(&path, "%s[*]", w->j->list) < 0) path = NULL;
    text(w, "source.rows", path);
    free(path);
}

static err_t source(struct writer *w, const struct job_comments *c, struct err *e)
{
    static const char *const names[] = { [SOURCE_CSV] = "source.csv",
                                         [SOURCE_LINES] = "source.lines",
                                         [SOURCE_JSONL] = "source.jsonl" };
    const struct job *j = w->j;
    if (j->files.n) TRY(files(w, names[j->source], e));
    if (j->source == SOURCE_RANGE) number(w, "source.range", j->range_rows, UINT64_MAX);
    TRY(databases(w, e));
    list(w, "source.fields", &j->fields);
    if (j->list) row_list(w);
    dialect(w);
    pairs(w, "source.types", &j->types);
    for (size_t i = 0; i < c->columns.n; i++)
        yaml_comment(&w->y, c->columns.v[i]);
    end_section(w);
    size(w, "batch.bytes", j->batch_bytes, 0);
    number(w, "batch.rows", j->batch_rows, 0);
    text(w, "batch.by", j->batch_by);
    end_section(w);
    return ERR_OK;
}

// ---- transforms ----

static err_t exec(struct writer *w, const struct step *s, struct err *e)
{
    static const char *const boxes[] = { "default", "strict", "none" };
    char here[PATH_MAX];
    struct yaml *y = &w->y;
    from_cwd(s->dir, here);
    if (strcmp(here, w->folder) != 0)
        return err_set(e, ERR_INVALID,
                       "the paths of its programs are seen from %s: write the job file "
                       "into that folder",
                       here);
    yaml_strings(y, "exec", &s->argv);
    if (s->format == STEP_JSONL) yaml_text(y, "format", "jsonl");
    if (s->persistent) yaml_text(y, "persistent", "true");
    if (s->env.n) yaml_pairs(y, "env", &s->env);
    if (s->with.n) yaml_strings(y, "files", &s->with);
    if (s->sandbox != STEP_BOXED) yaml_text(y, "sandbox", boxes[s->sandbox]);
    return ERR_OK;
}

static void number_of(struct yaml *y, const char *name, uint64_t n, uint64_t initial)
{
    if (n != initial) yaml_number(y, name, n);
}

// The unit in which it is a whole number.
static void rate_of(int64_t gap_ns, char out[UNITS_TEXT])
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = { { "/s", 1000000000 }, { "/m", 60000000000 }, { "/h", 3600000000000 } };
    size_t i = 0;
    while (i < 2 &&
           (units[i].ns / gap_ns == 0 || units[i].ns / (units[i].ns / gap_ns) != gap_ns))
        i++;
    snprintf(out, UNITS_TEXT, "%lld%s", (long long)(units[i].ns / gap_ns), units[i].unit);
}

static void http(struct writer *w, const struct step_http *h)
{
    struct yaml *y = &w->y;
    struct step_http of;
    char shown[UNITS_TEXT];
    step_http_init(&of);
    yaml_begin(y, "http");
    yaml_text(y, "url", h->url);
    if (h->rows) yaml_text(y, "rows", h->rows);
    if (h->fields_given) yaml_pairs(y, "fields", &h->fields);
    if (h->keep_given) yaml_strings(y, "keep", &h->keep);
    if (h->next) yaml_text(y, "next", h->next);
    if (h->headers.n) yaml_pairs(y, "headers", &h->headers);
    number_of(y, "pages", h->pages, of.pages);
    number_of(y, "concurrency", h->concurrency, of.concurrency);
    if (h->gap_ns) {
        rate_of(h->gap_ns, shown);
        yaml_text(y, "rate", shown);
    }
    number_of(y, "retries", h->retries, of.retries);
    number_of(y, "redirects", h->redirects, of.redirects);
    if (h->timeout_ms != of.timeout_ms)
        yaml_text(y, "timeout", units_duration_text(h->timeout_ms, shown));
    if (h->connect_ms != of.connect_ms)
        yaml_text(y, "connect_timeout", units_duration_text(h->connect_ms, shown));
    if (h->body_bytes != of.body_bytes)
        yaml_text(y, "max_body", units_size_text(h->body_bytes, shown));
    yaml_end(y);
}

static void forecast(struct writer *w, const struct step_forecast *f)
{
    static const char *const every[] = { "day", "week", "month" };
    struct yaml *y = &w->y;
    char share[24];
    snprintf(share, sizeof share, "%u.%u%%", f->permille / 10, f->permille % 10);
    yaml_begin(y, "forecast");
    yaml_number(y, "periods", f->periods);
    if (f->by.n) yaml_strings(y, "by", &f->by);
    yaml_text(y, "ds", f->ds);
    yaml_text(y, "y", f->y);
    yaml_text(y, "every", every[f->every]);
    yaml_text(y, "holidays", f->holidays == STEP_NO_HOLIDAYS ? "none" : "us");
    yaml_text(y, "interval", share);
    yaml_end(y);
}

static err_t step(struct writer *w, const struct step *s, struct err *e)
{
    char path[PATH_MAX];
    switch (s->kind) {
    case STEP_SQL: yaml_text(&w->y, "sql", s->sql); return ERR_OK;
    case STEP_EXEC: return exec(w, s, e);
    case STEP_PLUGIN:
        yaml_text(&w->y, "plugin", path_there(w, s->path_written, s->path, path));
        if (s->args.n) yaml_pairs(&w->y, "args", &s->args);
        return ERR_OK;
    case STEP_HTTP: http(w, &s->http); return ERR_OK;
    case STEP_FORECAST: forecast(w, &s->forecast); return ERR_OK;
    case STEP_NONE: break;
    }
    return err_set(e, ERR_INVALID, "a transform of no kind");
}

static void items(struct writer *w, const char *name, const struct job_items *v)
{
    key(w, name);
    yaml_begin(&w->y, last_part(name));
    for (size_t i = 0; i < v->n; i++)
        yaml_text(&w->y, v->v[i].name, v->v[i].text);
    yaml_end(&w->y);
}

static err_t groups(struct writer *w, struct err *e)
{
    const struct job *j = w->j;
    struct strings by = { 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; i < j->agg_by.n && rc == ERR_OK; i++)
        rc = strings_add(&by, j->agg_by.v[i].text, strlen(j->agg_by.v[i].text), e);
    if (rc == ERR_OK) list(w, "aggregate.by", &by);
    if (rc == ERR_OK && j->agg_compute.n) items(w, "aggregate.compute", &j->agg_compute);
    end_section(w);
    strings_free(&by);
    return rc;
}

static err_t transforms(struct writer *w, struct err *e)
{
    const struct job *j = w->j;
    if (j->n_steps) yaml_begin(&w->y, "transform");
    for (size_t i = 0; i < j->n_steps; i++) {
        yaml_item(&w->y);
        TRY(step(w, &j->steps[i], e));
        yaml_end(&w->y);
    }
    if (j->n_steps) yaml_end(&w->y);
    TRY(groups(w, e));
    text(w, "merge.sql", j->merge_sql);
    end_section(w);
    return ERR_OK;
}

// ---- where to ----

static err_t destination(struct writer *w, struct err *e)
{
    const struct job *j = w->j;
    const char *written = strchr(j->into_written, ':'), *resolved = strchr(j->into, ':');
    char path[PATH_MAX], into[PATH_MAX + 40];
    bool file = strncmp(j->into, "sqlite:", 7) == 0 || strncmp(j->into, "csv:", 4) == 0 ||
                strncmp(j->into, "jsonl:", 6) == 0;
    if (j->into_secret && strcmp(j->into_secret, j->into_written) != 0)
        return err_set(e, ERR_INVALID,
                       "the address of the warehouse holds a password, which is written "
                       "nowhere: put it into ~/.pgpass");
    snprintf(into, sizeof into, "%s", j->into_written);
    if (file && written && resolved)
        snprintf(into, sizeof into, "%.*s:%s", (int)(written - j->into_written),
                 j->into_written, path_there(w, written + 1, resolved + 1, path));
    text(w, "load.into", into);
    return ERR_OK;
}

static err_t load(struct writer *w, struct err *e)
{
    static const char *const modes[] = { "append", "replace", "upsert", "incremental" };
    const struct job *j = w->j;
    TRY(destination(w, e));
    if (!job_into_text(j)) text(w, "load.table", j->table);
    if (j->mode != MODE_APPEND && !j->merge_sql && !job_aggregates(j))
        text(w, "load.mode", modes[j->mode]);
    list(w, "load.key", &j->key);
    text(w, "load.watermark", j->watermark);
    if (!j->ordered) text(w, "load.ordered", "false");
    if (j->n_indexes) {
        key(w, "load.indexes");
        yaml_begin(&w->y, "indexes");
        for (size_t i = 0; i < j->n_indexes; i++)
            yaml_item_strings(&w->y, &j->indexes[i]);
        yaml_end(&w->y);
    }
    end_section(w);
    return ERR_OK;
}

static void lookups(struct writer *w)
{
    const struct job *j = w->j;
    char path[PATH_MAX];
    if (j->params.n) yaml_begin(&w->y, "params");
    for (size_t i = 0; i < j->params.n; i++) {
        yaml_begin(&w->y, j->params.v[i].name);
        yaml_text(&w->y, "sql", j->params.v[i].value);
        yaml_end(&w->y);
    }
    if (j->params.n) yaml_end(&w->y);
    if (j->tables.n) yaml_begin(&w->y, "tables");
    for (size_t i = 0; i < j->tables.n; i++) {
        const char *written = job_pairs_get(&j->tables_written, j->tables.v[i].name);
        yaml_text(&w->y, j->tables.v[i].name,
                  path_there(w, written ? written : "", j->tables.v[i].value, path));
    }
    if (j->tables.n) yaml_end(&w->y);
}

static void charts(struct writer *w)
{
    const struct job *j = w->j;
    struct yaml *y = &w->y;
    if (!j->charts.n) return;
    key(w, "charts");
    yaml_begin(y, "charts");
    for (size_t i = 0; i < j->charts.n; i++) {
        const struct chart *c = &j->charts.v[i];
        yaml_item(y);
        if (c->title) yaml_text(y, "title", c->title);
        if (c->table) yaml_text(y, "table", c->table);
        yaml_text(y, "x", c->x);
        yaml_strings(y, "y", &c->y);
        if (c->by) yaml_text(y, "by", c->by);
        if (c->band.n) yaml_strings(y, "band", &c->band);
        if (c->forecast) yaml_text(y, "forecast", c->forecast);
        if (c->last) yaml_number(y, "last", c->last);
        yaml_end(y);
    }
    yaml_end(y);
}

static void limits(struct writer *w)
{
    const struct job *j = w->j, *of = &w->initial;
    char share[40];
    snprintf(share, sizeof share, "%.12g%%", j->bad_rows_share * 100);
    if (j->bad_rows_share >= 0) text(w, "limits.bad_rows", share);
    if (j->bad_rows_share < 0) number(w, "limits.bad_rows", j->bad_rows, of->bad_rows);
    number(w, "limits.retries", j->retries, of->retries);
    duration(w, "limits.timeout", j->timeout_ms, of->timeout_ms);
    size(w, "limits.memory", j->memory_bytes, of->memory_bytes);
    size(w, "limits.worker_memory", j->worker_memory_bytes, of->worker_memory_bytes);
    end_section(w);
    if (!j->workers_remote) number(w, "workers.local", j->workers_local, 0);
    number(w, "workers.concurrency", j->workers_concurrency, of->workers_concurrency);
    duration(w, "workers.wait", j->workers_wait_ms, of->workers_wait_ms);
    end_section(w);
}

static err_t write_all(struct writer *w, const struct job_comments *c, struct err *e)
{
    const struct job *j = w->j;
    for (size_t i = 0; i < c->about.n; i++)
        yaml_comment(&w->y, c->about.v[i]);
    text(w, "name", j->name);
    text(w, "schedule", j->schedule);
    size(w, "cache", j->cache_bytes, 0);
    TRY(source(w, c, e));
    TRY(transforms(w, e));
    TRY(load(w, e));
    lookups(w);
    charts(w);
    limits(w);
    return w->y.rc;
}

err_t job_write(const struct job *j, const char *folder, const struct job_comments *c,
                struct buf *out, struct err *e)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w) return err_set(e, ERR_NOMEM, "out of memory");
    w->j = j;
    w->y.e = e;
    job_init(&w->initial);
    from_cwd(folder, w->folder);
    err_t rc = write_all(w, c, e);
    if (rc == ERR_OK) rc = buf_add(out, w->y.out.p, w->y.out.n, e);
    buf_free(&w->y.out);
    free(w);
    return rc;
}
