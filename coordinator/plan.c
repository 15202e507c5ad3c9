#include "coordinator/plan.h"

#include "coordinator/columns_cache.h"
#include "coordinator/field_names.h"
#include "coordinator/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FORMAT = 1, // of identities: another number, other loads
};

static err_t copy_dialect(struct csv_dialect *to, const struct csv_dialect *from,
                          struct err *e)
{
    char **nulls = calloc(from->n_nulls + 1, sizeof *nulls);
    if (!nulls) return err_set(e, ERR_NOMEM, "out of memory");
    *to = *from;
    to->nulls = from->nulls ? (const char *const *)nulls : NULL;
    for (size_t i = 0; i < from->n_nulls; i++)
        if (!(nulls[i] = strdup(from->nulls[i]))) {
            to->n_nulls = i;
            return err_set(e, ERR_NOMEM, "out of memory");
        }
    if (!from->nulls) free(nulls);
    return ERR_OK;
}

// ---- lookup tables ----

static err_t read_file(const char *path, uint64_t from, uint8_t **out, size_t *n,
                       struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st)) {
        if (fd >= 0) close(fd);
        return err_sys(e, "cannot open %s", path);
    }
    *n = (uint64_t)st.st_size > from ? (size_t)st.st_size - (size_t)from : 0;
    *out = malloc(*n + 1);
    err_t rc = *out ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory: %s", path);
    for (size_t got = 0; rc == ERR_OK && got < *n;) {
        ssize_t k = pread(fd, *out + got, *n - got, (off_t)(from + got));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) rc = err_sys(e, "cannot read %s", path);
        got += k > 0 ? (size_t)k : 0;
    }
    close(fd);
    return rc;
}

// Small ones go with the spec: that costs no question, and nothing in the worker's cache.
static err_t move_to_file(struct plan *p, struct spec_table *t,
                          const struct source_input *in, struct err *e)
{
    TRY(file_set_add(&p->spec.files, in->path, &t->file, e));
    if (in->data_begin + t->csv_bytes != p->spec.files.v[t->file].size)
        return err_set(e, ERR_CHANGED, "%s was written to while it was read", in->path);
    t->file_at = in->data_begin;
    free(t->csv);
    t->csv = NULL;
    return ERR_OK;
}

// A lookup table is a CSV file like the job's own: the same reader finds its names and
// types.
static err_t read_table(struct plan *p, struct spec_table *t, const struct job *of,
                        const struct job_pair *pair, struct err *e)
{
    struct job j;
    struct source *s = NULL;
    struct buf sample = { 0 };
    uint64_t rows;
    uint32_t n;
    job_init(&j);
    err_t rc = strings_add(&j.files, pair->value, strlen(pair->value), e);
    if (rc == ERR_OK) rc = strings_add(&j.file_paths, pair->value, strlen(pair->value), e);
    j.source = SOURCE_CSV;
    j.delimiter = of->delimiter; // runners read it with the job's dialect
    j.delimiter_given = of->delimiter_given;
    j.quote = of->quote;
    if (rc == ERR_OK) rc = source_open(&s, &j, e);
    if (rc == ERR_OK) rc = source_infer(s, &j, &t->schema, &sample, &rows, e);
    if (rc == ERR_OK) {
        const struct source_input *in = source_inputs(s, &n);
        if (n != 1 || in->by_value)
            rc = err_set(e, ERR_INVALID, "%s: a lookup table is one plain CSV file",
                         pair->value);
        else if (in->size > SPEC_TABLE_MAX)
            rc = err_set(e, ERR_TOOBIG, "%s has %llu bytes; a lookup table may have %d MiB",
                         pair->value, (unsigned long long)in->size, SPEC_TABLE_MAX >> 20);
        else
            rc = read_file(in->path, in->data_begin, &t->csv, &t->csv_bytes, e);
        if (rc == ERR_OK) t->digest = hash_bytes(t->csv, t->csv_bytes);
        if (rc == ERR_OK && t->csv_bytes > SPEC_TABLE_INLINE)
            rc = move_to_file(p, t, in, e);
    }
    if (rc == ERR_OK && !(t->name = strdup(pair->name)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc != ERR_OK) err_wrap(e, rc, "tables.%s", pair->name);
    buf_free(&sample);
    source_close(&s);
    job_free(&j);
    return rc;
}

static err_t read_tables(struct plan *p, const struct job *j, struct err *e)
{
    if (j->tables.n == 0) return ERR_OK;
    p->spec.tables = calloc(j->tables.n, sizeof *p->spec.tables);
    if (!p->spec.tables) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < j->tables.n; i++) {
        p->spec.n_tables = i + 1;
        TRY(read_table(p, &p->spec.tables[i], j, &j->tables.v[i], e));
    }
    return ERR_OK;
}

// ---- identity ----

static bool is_table(const struct plan *p, size_t file)
{
    for (size_t i = 0; i < p->spec.n_tables; i++)
        if (!p->spec.tables[i].csv && p->spec.tables[i].file == file) return true;
    return false;
}

// Other bytes in a program or a plugin, other rows.
static err_t identify_files(const struct plan *p, struct buf *text, struct err *e)
{
    for (size_t i = 0; i < p->spec.files.n; i++) {
        char hex[FILE_HEX];
        file_hex(&p->spec.files.v[i].digest, hex);
        if (!is_table(p, i))
            TRY(buf_printf(text, e, "file %s %s\n", p->spec.files.v[i].name, hex));
    }
    return ERR_OK;
}

static err_t identify(struct plan *p, const struct job *j, struct err *e)
{
    struct buf text = { 0 };
    err_t rc = buf_printf(&text, e, "format %d\n", FORMAT);
    if (rc == ERR_OK) rc = job_canonical(j, &text, e);
    for (size_t i = 0; rc == ERR_OK && i < p->spec.n_tables; i++) {
        char hex[HASH_HEX];
        hash_hex(p->spec.tables[i].digest, hex);
        rc = buf_printf(&text, e, "table %s %s\n", p->spec.tables[i].name, hex);
    }
    if (rc == ERR_OK) rc = identify_files(p, &text, e);
    for (size_t i = 0; rc == ERR_OK && i < p->spec.n_steps; i++)
        for (size_t k = 0; rc == ERR_OK && k < p->spec.steps[i].n_places; k++)
            rc = buf_printf(&text, e, "place %s\n", p->spec.steps[i].places[k].path);
    for (size_t i = 0; rc == ERR_OK && i < j->files.n; i++)
        rc = buf_printf(&p->sources, e, "%s%s", i ? "\n" : "", j->files.v[i]);
    if (rc == ERR_OK && j->sqlite_written)
        rc = buf_printf(&p->sources, e, "%s", j->sqlite_written);
    if (rc == ERR_OK && j->postgres_public)
        rc = buf_printf(&p->sources, e, "%s", j->postgres_public);
    if (rc == ERR_OK && j->source == SOURCE_RANGE)
        rc = buf_printf(&p->sources, e, "range %llu", (unsigned long long)j->range_rows);
    if (rc == ERR_OK) p->identity = hash_bytes(text.p, text.n);
    buf_free(&text);
    return rc;
}

static err_t copy_steps(struct spec *spec, const struct job *j, struct err *e)
{
    for (size_t i = 0; i < j->n_steps; i++) {
        struct step s;
        TRY(step_copy(&s, &j->steps[i], e));
        err_t rc = steps_add(&spec->steps, &spec->n_steps, &s, e);
        step_free(&s);
        TRY(rc);
    }
    return ERR_OK;
}

err_t plan_identity(struct plan *p, const struct job *j, struct err *e)
{
    *p = (struct plan){ 0 };
    TRY(copy_steps(&p->spec, j, e));
    TRY(programs_add(&p->spec, e));
    p->spec.timeout_ms = j->timeout_ms;
    p->spec.memory_bytes = j->worker_memory_bytes;
    TRY(read_tables(p, j, e));
    return identify(p, j, e);
}

// Programs, plugins and requests run beside each other in one runner.
static err_t note_fields(struct plan *p, const struct job *j, struct err *e)
{
    uint32_t n;
    if (j->source != SOURCE_JSONL) return ERR_OK;
    const struct infer_column *seen = source_evidence(p->source, &n);
    struct slice sample = { p->sample.p, p->sample.n };
    return field_names_check(&j->fields, seen, n, sample, &p->notes, e);
}

static err_t note_concurrency(struct plan *p, const struct job *j, struct err *e)
{
    static const char note[] =
        "workers.concurrency changes nothing here: only exec, plugin "
        "and http steps run at the same time in one runner";
    if (j->workers_concurrency <= 1) return ERR_OK;
    for (size_t i = 0; i < j->n_steps; i++)
        if (j->steps[i].kind != STEP_SQL) return ERR_OK;
    return strings_add(&p->notes, note, sizeof note - 1, e);
}

err_t plan_input(struct plan *p, const struct job *j, const struct cell *watermark,
                 struct err *e)
{
    struct schema names = { 0 };
    TRY(source_open_above(&p->source, j, watermark, e));
    err_t rc = source_names(p->source, &names, &p->notes, e);
    schema_free(&names);
    TRY(rc);
    TRY(note_concurrency(p, j, e));
    TRY(source_infer(p->source, j, &p->spec.in, &p->sample, &p->estimate_rows, e));
    TRY(note_fields(p, j, e));
    p->spec.reader = strdup(source_reader(p->source));
    const char *query = source_query(p->source);
    if (query) p->spec.query = strdup(query);
    if (!p->spec.reader || (query && !p->spec.query))
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < j->fields.n; i++)
        TRY(strings_add(&p->spec.fields, j->fields.v[i], strlen(j->fields.v[i]), e));
    if (j->list && !(p->spec.list = strdup(j->list)))
        return err_set(e, ERR_NOMEM, "out of memory");
    // Lookup tables are CSV whatever the source is.
    struct csv_dialect of_tables = { .delimiter = j->delimiter, .quote = j->quote };
    bool csv = j->source == SOURCE_CSV;
    TRY(copy_dialect(&p->spec.dialect, csv ? source_dialect(p->source) : &of_tables, e));
    return ERR_OK;
}

// ---- params ----

static err_t keep_cell(struct cell *c, struct err *e)
{
    if (c->kind != CELL_TEXT && c->kind != CELL_BLOB) return ERR_OK;
    uint8_t *copy = malloc(c->len ? c->len : 1);
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory");
    if (c->len) memcpy(copy, c->p, c->len);
    c->p = copy;
    return ERR_OK;
}

err_t plan_params(struct plan *p, const struct job *j, const struct warehouse_ops *ops,
                  struct warehouse *w, struct err *e)
{
    if (j->params.n == 0) return ERR_OK;
    p->spec.params = calloc(j->params.n, sizeof *p->spec.params);
    if (!p->spec.params) return err_set(e, ERR_NOMEM, "out of memory");
    struct arena mem = { 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < j->params.n; i++) {
        struct cell c = { 0 };
        rc = ops->query_value(w, j->params.v[i].value, &mem, &c, e);
        if (rc == ERR_OK) rc = keep_cell(&c, e);
        if (rc != ERR_OK) {
            err_wrap(e, rc, "params.%s", j->params.v[i].name);
            break;
        }
        p->spec.params[i].value = c;
        p->spec.n_params = i + 1;
        p->spec.params[i].name = strdup(j->params.v[i].name);
        if (!p->spec.params[i].name) rc = err_set(e, ERR_NOMEM, "out of memory");
    }
    arena_free(&mem);
    return rc;
}

// A spec with nothing in it but the params.
err_t plan_params_encode(const struct plan *p, struct buf *out, struct err *e)
{
    if (p->spec.n_params == 0) return ERR_OK;
    struct spec only = p->spec;
    only.steps = NULL;
    only.n_steps = 0;
    only.tables = NULL;
    only.n_tables = 0;
    only.aggregate = (struct agg){ 0 };
    only.files = (struct file_set){ 0 };
    only.out = (struct schema){ 0 };
    return spec_encode(&only, out, e);
}

err_t plan_params_decode(struct plan *p, const struct buf *kept, struct err *e)
{
    struct spec only = { 0 };
    if (kept->n == 0) return ERR_OK;
    TRY(spec_decode(&only, kept->p, kept->n, e));
    struct spec_param *params = p->spec.params;
    size_t n = p->spec.n_params;
    p->spec.params = only.params;
    p->spec.n_params = only.n_params;
    only.params = params;
    only.n_params = n;
    spec_free(&only);
    return ERR_OK;
}

// ---- output ----

static void place_of_steps(const struct job *j, char *out, size_t cap)
{
    const struct step *first = &j->steps[0];
    const char *kind = step_kind_name(first->kind);
    if (j->n_steps == 1 && first->line)
        snprintf(out, cap, "%s:%d: transform.%s", j->file ? j->file : "job", first->line,
                 kind);
    else
        snprintf(out, cap, "%s%s", first->line ? j->file : "--", first->line ? "" : kind);
}

void plan_output_early(const struct plan *p, const struct job *j, struct local *l)
{
    struct buf request = { 0 };
    if (j->params.n || j->cache_bytes) return;
    for (size_t i = 0; i < j->n_steps; i++)
        if (j->steps[i].kind == STEP_EXEC || j->steps[i].kind == STEP_HTTP) return;
    if (spec_encode(&p->spec, &request, NULL) == ERR_OK)
        local_ask_early(l, &request, &p->sample);
    buf_free(&request);
}

static err_t ask_worker(const struct plan *p, struct local *l, struct spec *answer,
                        struct err *e)
{
    struct buf request = { 0 };
    err_t rc = spec_encode(&p->spec, &request, e);
    if (rc == ERR_OK) rc = local_describe(l, &request, &p->sample, answer, e);
    buf_free(&request);
    return rc;
}

// Trying the transforms is work too: a job with a cache does it once.
static err_t ask(const struct plan *p, struct local *l, struct spec *answer, struct err *e)
{
    struct hash128 name;
    if (!p->cache_dir) return ask_worker(p, l, answer, e);
    TRY(columns_cache_name(&p->spec, &p->sample, &name, e));
    if (columns_cache_take(p->cache_dir, name, answer)) return ERR_OK;
    TRY(ask_worker(p, l, answer, e));
    columns_cache_keep(p->cache_dir, name, answer);
    return ERR_OK;
}

static err_t settle_output(struct plan *p, const struct job *j, struct local *l,
                           struct err *e)
{
    if (j->n_steps == 0) return schema_copy(&p->spec.out, &p->spec.in, e);
    struct spec answer = { 0 };
    schema_free(&p->spec.out);
    err_t rc = ask(p, l, &answer, e);
    if (rc == ERR_OK) rc = plan_note_gathers(p, j, &answer, e);
    if (rc == ERR_OK) rc = programs_learned(&p->spec, &answer, &p->notes, e);
    spec_free(&answer);
    if (rc == ERR_TRANSFORM || rc == ERR_INVALID) {
        char place[512];
        place_of_steps(j, place, sizeof place);
        return err_wrap(e, ERR_INVALID, "%s", place);
    }
    return rc;
}

// Workers give states then, not rows.
static err_t plan_aggregate(struct plan *p, const struct job *j, struct err *e)
{
    struct schema rows = p->spec.out;
    p->spec.out = (struct schema){ 0 };
    err_t rc = agg_of_job(&p->spec.aggregate, j, e);
    if (rc == ERR_OK) rc = agg_check(&p->spec.aggregate, j, &rows, p->estimate_rows > 0, e);
    if (rc == ERR_OK) rc = agg_result_schema(&p->spec.aggregate, &rows, &p->rows, e);
    if (rc == ERR_OK) rc = agg_partial_schema(&p->spec.aggregate, &p->spec.out, e);
    schema_free(&rows);
    return rc;
}

err_t plan_output(struct plan *p, const struct job *j, struct local *l, struct err *e)
{
    TRY(settle_output(p, j, l, e));
    if (job_aggregates(j))
        TRY(plan_aggregate(p, j, e));
    else
        TRY(schema_copy(&p->rows, &p->spec.out, e));
    p->merge = (struct load_merge){ .spec = &p->spec,
                                    .rows = &p->rows,
                                    .sql = j->merge_sql,
                                    .memory_bytes = j->memory_bytes / 2 };
    return j->merge_sql ? ERR_OK : plan_check_load(p, j, e);
}

struct load_merge *plan_merge(struct plan *p)
{
    return p->merge.sql || agg_given(&p->spec.aggregate) ? &p->merge : NULL;
}

void plan_free(struct plan *p)
{
    source_close(&p->source);
    spec_free(&p->spec);
    schema_free(&p->rows);
    for (size_t i = 0; i < p->notes.n; i++)
        free(p->notes.v[i]);
    free(p->notes.v);
    buf_free(&p->sample);
    buf_free(&p->sources);
}
