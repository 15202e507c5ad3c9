#include "common/job.h"

#include <stdlib.h>
#include <string.h>

bool job_into_text(const struct job *j)
{
    static const char *const schemes[] = { "csv:", "jsonl:", "stdout:" };
    for (size_t i = 0; j->into && i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(j->into, schemes[i], strlen(schemes[i])) == 0) return true;
    return false;
}

void job_init(struct job *j)
{
    *j = (struct job){
        .delimiter = ',',
        .quote = '"',
        .ordered = true,
        .bad_rows_share = -1,
        .retries = 3,
        .timeout_ms = 10 * 60 * 1000,
        .memory_bytes = (uint64_t)128 << 20,
        .worker_memory_bytes = (uint64_t)1 << 30,
        .workers_concurrency = 1,
        .workers_wait_ms = 60 * 1000,
    };
}

void job_free(struct job *j)
{
    free(j->file);
    free(j->dir);
    free(j->name);
    strings_free(&j->files);
    strings_free(&j->file_paths);
    strings_free(&j->fields);
    free(j->list);
    free(j->sqlite);
    free(j->sqlite_written);
    free(j->postgres);
    free(j->postgres_public);
    free(j->query);
    free(j->sqlite_table);
    free(j->postgres_table);
    free(j->batch_by);
    strings_free(&j->header_names);
    job_pairs_free(&j->types);
    strings_free(&j->nulls);
    steps_free(&j->steps, &j->n_steps);
    job_items_free(&j->agg_by);
    job_items_free(&j->agg_compute);
    free(j->merge_sql);
    free(j->into);
    free(j->into_written);
    if (j->into_secret) explicit_bzero(j->into_secret, strlen(j->into_secret));
    free(j->into_secret);
    free(j->table);
    strings_free(&j->key);
    free(j->watermark);
    for (size_t i = 0; i < j->n_indexes; i++)
        strings_free(&j->indexes[i]);
    free(j->indexes);
    charts_free(&j->charts);
    job_pairs_free(&j->params);
    job_pairs_free(&j->tables);
    job_pairs_free(&j->tables_written);
    strings_free(&j->labels);
    free(j->listen);
    strings_free(&j->needs);
    free(j->write);
    free(j->from);
    free(j->state);
    free(j->schedule);
    *j = (struct job){ 0 };
}

// One line a fact, every text with its length before it: no two jobs write the same.
static err_t fact(struct buf *out, const char *key, const char *text, struct err *e)
{
    return buf_printf(out, e, "%s %zu:%s\n", key, strlen(text), text);
}

static err_t facts(struct buf *out, const char *key, const struct strings *s, struct err *e)
{
    for (size_t i = 0; i < s->n; i++)
        TRY(fact(out, key, s->v[i], e));
    return ERR_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct job_pair *)a)->name, ((const struct job_pair *)b)->name);
}

// The order of pairs means nothing.
static err_t pair_facts(struct buf *out, const char *key, const struct job_pairs *p,
                        struct err *e)
{
    if (p->n == 0) return ERR_OK;
    struct job_pair *sorted = malloc(p->n * sizeof *sorted);
    if (!sorted) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(sorted, p->v, p->n * sizeof *sorted);
    qsort(sorted, p->n, sizeof *sorted, by_name);
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < p->n; i++) {
        rc = fact(out, key, sorted[i].name, e);
        if (rc == ERR_OK) rc = fact(out, "=", sorted[i].value, e);
    }
    free(sorted);
    return rc;
}

// Nor does the order of NULL strings; no list is the same as [""].
static err_t null_facts(struct buf *out, const struct job *j, struct err *e)
{
    if (!j->nulls_given) return fact(out, "null", "", e);
    if (j->nulls.n == 0) return ERR_OK;
    char **sorted = malloc(j->nulls.n * sizeof *sorted);
    if (!sorted) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(sorted, j->nulls.v, j->nulls.n * sizeof *sorted);
    qsort(sorted, j->nulls.n, sizeof *sorted, by_text);
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < j->nulls.n; i++)
        if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0)
            rc = fact(out, "null", sorted[i], e);
    free(sorted);
    return rc;
}

static err_t exec_facts(struct buf *out, const struct step *s, struct err *e)
{
    TRY(fact(out, "exec", s->argv.v[0], e));
    for (size_t i = 1; i < s->argv.n; i++)
        TRY(fact(out, "argument", s->argv.v[i], e));
    if (s->format != STEP_CSV) TRY(fact(out, "format", "jsonl", e));
    if (s->persistent) TRY(fact(out, "persistent", "true", e));
    TRY(pair_facts(out, "env", &s->env, e));
    return facts(out, "beside", &s->with, e);
}

static err_t fact_of(struct buf *out, const char *key, const char *text, struct err *e)
{
    return text ? fact(out, key, text, e) : ERR_OK;
}

// Which column comes first means something, and a header's value is not in it.
static err_t http_facts(struct buf *out, const struct step_http *h, struct err *e)
{
    TRY(fact(out, "http", h->url, e));
    TRY(pair_facts(out, "header", &h->headers, e));
    TRY(fact_of(out, "rows", h->rows, e));
    if (h->fields_given) TRY(fact(out, "fields", "", e));
    for (size_t i = 0; i < h->fields.n; i++) {
        TRY(fact(out, "field", h->fields.v[i].name, e));
        TRY(fact(out, "=", h->fields.v[i].value, e));
    }
    if (h->keep_given) TRY(fact(out, "keep", "", e));
    TRY(facts(out, "keep", &h->keep, e));
    TRY(fact_of(out, "next", h->next, e));
    return buf_printf(out, e, "limits %u %u %llu\n", h->pages, h->redirects,
                      (unsigned long long)h->body_bytes);
}

static err_t forecast_facts(struct buf *out, const struct step_forecast *f, struct err *e)
{
    TRY(buf_printf(out, e, "forecast %u %u %u %u\n", f->periods, f->every, f->holidays,
                   f->permille));
    TRY(facts(out, "by", &f->by, e));
    TRY(fact(out, "ds", f->ds, e));
    return fact(out, "y", f->y, e);
}

static err_t step_facts(struct buf *out, const struct step *s, struct err *e)
{
    switch (s->kind) {
    case STEP_SQL: return fact(out, "sql", s->sql, e);
    case STEP_EXEC: return exec_facts(out, s, e);
    case STEP_PLUGIN:
        TRY(fact(out, "plugin", s->path_written, e));
        return pair_facts(out, "arg", &s->args, e);
    case STEP_HTTP: return http_facts(out, &s->http, e);
    case STEP_FORECAST: return forecast_facts(out, &s->forecast, e);
    case STEP_NONE: break;
    }
    return err_set(e, ERR_INVALID, "a transform of no kind");
}

static err_t source_facts(struct buf *out, const struct job *j, struct err *e)
{
    static const char *const names[] = {
        [SOURCE_NONE] = "csv",          [SOURCE_CSV] = "csv",
        [SOURCE_LINES] = "lines",       [SOURCE_JSONL] = "jsonl",
        [SOURCE_RANGE] = "range",       [SOURCE_SQLITE] = "sqlite",
        [SOURCE_POSTGRES] = "postgres",
    };
    TRY(facts(out, names[j->source], &j->files, e));
    if (j->source == SOURCE_RANGE)
        TRY(buf_printf(out, e, "range %llu\n", (unsigned long long)j->range_rows));
    TRY(facts(out, "field", &j->fields, e));
    TRY(fact_of(out, "rows", j->list, e));
    TRY(fact_of(out, "sqlite", j->sqlite_written, e));
    TRY(fact_of(out, "postgres", j->postgres_public, e));
    TRY(fact_of(out, "query", j->query, e));
    TRY(fact_of(out, "sqlite-table", j->sqlite_table, e));
    TRY(fact_of(out, "postgres-table", j->postgres_table, e));
    return fact_of(out, "by", j->batch_by, e);
}

err_t job_canonical(const struct job *j, struct buf *out, struct err *e)
{
    static const char *const headers[] = { "true", "false", "names" };
    static const char *const modes[] = { "append", "replace", "upsert", "incremental" };
    TRY(fact(out, "tranche-job", "1", e));
    TRY(source_facts(out, j, e));
    TRY(buf_printf(out, e, "dialect %d %d\n", j->delimiter, j->quote));
    TRY(fact(out, "header", headers[j->header], e));
    TRY(facts(out, "column", &j->header_names, e));
    TRY(pair_facts(out, "type", &j->types, e));
    TRY(null_facts(out, j, e));
    for (size_t i = 0; i < j->n_steps; i++)
        TRY(step_facts(out, &j->steps[i], e));
    for (size_t i = 0; i < j->agg_by.n; i++)
        TRY(fact(out, "by", j->agg_by.v[i].text, e));
    for (size_t i = 0; i < j->agg_compute.n; i++) {
        TRY(fact(out, "compute", j->agg_compute.v[i].name, e));
        TRY(fact(out, "=", j->agg_compute.v[i].text, e));
    }
    if (j->merge_sql) TRY(fact(out, "merge", j->merge_sql, e));
    TRY(pair_facts(out, "param", &j->params, e));
    TRY(pair_facts(out, "lookup", &j->tables_written, e));
    TRY(fact(out, "into", j->into_written ? j->into_written : "", e));
    TRY(fact(out, "table", j->table ? j->table : "", e));
    TRY(fact(out, "mode", modes[j->mode], e));
    TRY(facts(out, "key", &j->key, e));
    return j->watermark ? fact(out, "watermark", j->watermark, e) : ERR_OK;
}
