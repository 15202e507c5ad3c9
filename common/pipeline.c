#include "common/pipeline.h"

#include "common/opt_set.h"
#include "common/pipeline_charts.h"
#include "common/suggest.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void pipeline_free(struct pipeline *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        job_free(&p->steps[i].job);
        free(p->steps[i].need);
    }
    free(p->steps);
    free(p->file);
    free(p->dir);
    free(p->name);
    free(p->schedule);
    charts_free(&p->charts);
    *p = (struct pipeline){ 0 };
}

static const struct value *member(const struct value *map, const char *key)
{
    for (const struct value *m = map->first; m; m = m->next)
        if (strcmp(m->key, key) == 0) return m;
    return NULL;
}

err_t pipeline_is(const struct buf *text, bool *is, struct err *e)
{
    struct arena mem = { 0 };
    struct value *root = NULL;
    struct value_place at;
    *is = false;
    err_t rc = value_parse(&root, &mem, (const char *)text->p, text->n, &at, e);
    if (rc == ERR_OK) *is = root && root->kind == VALUE_MAP && member(root, "steps");
    arena_free(&mem);
    return rc == ERR_NOMEM ? rc : ERR_OK;
}

// ---- reading ----

struct reading {
    struct pipeline *p;
    struct conf top; // says what is wrong outside of steps
    pipeline_flags *flags;
    void *arg;
};

__attribute__((format(printf, 3, 4))) static void
wrong(struct reading *r, const struct pipeline_step *s, const char *fmt, ...)
{
    char text[600];
    struct value here = { .line = s->line, .column = 1 };
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    conf_wrong_at(&r->top, &here, NULL, "%s", text);
}

static void read_step(struct reading *r, const struct value *v)
{
    struct pipeline *p = r->p;
    struct pipeline_step *s = &p->steps[p->n++];
    struct conf c;
    struct err e;
    s->line = v->line;
    job_init(&s->job);
    s->job.place = JOB_STEP;
    if (v->kind != VALUE_MAP) {
        wrong(r, s, "steps: each is a job, a mapping with a name");
        return;
    }
    if (!member(v, "name")) {
        wrong(r, s, "steps: this one has no name; give name: NAME");
        return;
    }
    conf_init(&c, &s->job, r->top.mistakes);
    c.n_mistakes = r->top.n_mistakes;
    err_t rc = conf_tree(&c, p->file, v, &e);
    if (rc == ERR_OK) rc = r->flags(r->arg, &c, &e);
    if (rc == ERR_OK) rc = conf_finish(&c, &e);
    r->top.n_mistakes = c.n_mistakes;
    r->top.no_memory |= rc == ERR_NOMEM;
}

static void read_steps(struct reading *r, const struct value *v)
{
    if (v->kind != VALUE_LIST || v->n == 0) {
        conf_wrong_at(&r->top, v, "steps", "wants a list of jobs, each with a name");
        return;
    }
    if (v->n > PIPELINE_STEPS_MAX) {
        conf_wrong_at(&r->top, v, "steps", "more than %d steps", PIPELINE_STEPS_MAX);
        return;
    }
    r->p->steps = calloc(v->n, sizeof *r->p->steps);
    if (!conf_ok(&r->top, r->p->steps ? ERR_OK : ERR_NOMEM)) return;
    for (const struct value *m = v->first; m && !r->top.no_memory; m = m->next)
        read_step(r, m);
}

static void read_name(struct reading *r, const struct value *v)
{
    if (v->kind != VALUE_TEXT || !*v->text || text_has_control(v->text))
        conf_wrong_at(&r->top, v, "name", "wants a name");
    else
        conf_ok(&r->top, opt_copy_text(&r->top, &r->p->name, v->text) ? ERR_OK : ERR_NOMEM);
}

static void read_schedule(struct reading *r, const struct value *v)
{
    struct err e;
    if (conf_flag(&r->top, opt_by_key("schedule"), v, &e) != ERR_OK) return; // remembered
    r->p->schedule = r->top.job->schedule;
    r->top.job->schedule = NULL;
}

static void read_charts(struct reading *r, const struct value *v)
{
    struct err e;
    if (conf_flag(&r->top, opt_by_key("charts"), v, &e) != ERR_OK) return; // remembered
    charts_free(&r->p->charts);
    r->p->charts = r->top.job->charts;
    r->top.job->charts = (struct charts){ 0 };
}

static void document(struct reading *r, const struct value *root)
{
    char shown[TEXT_QUOTED];
    for (const struct value *m = root->first; m; m = m->next) {
        if (member(root, m->key) != m)
            conf_wrong_at(&r->top, m, NULL, "%s is given twice",
                          text_quoted(m->key, shown));
        else if (strcmp(m->key, "name") == 0)
            read_name(r, m);
        else if (strcmp(m->key, "steps") == 0)
            read_steps(r, m);
        else if (strcmp(m->key, "schedule") == 0)
            read_schedule(r, m);
        else if (strcmp(m->key, "charts") == 0)
            read_charts(r, m);
        else if (opt_by_key(m->key) || opt_is_section(m->key))
            conf_wrong_at(&r->top, m, m->key,
                          "stands in a step; beside steps a pipeline has only name, "
                          "schedule and charts");
        else
            conf_wrong_at(&r->top, m, NULL,
                          "unknown key %s; a pipeline has name, schedule, charts and steps",
                          text_quoted(m->key, shown));
    }
}

// ---- what the steps are to each other ----

static uint32_t by_name(const struct pipeline *p, const char *name)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (strcmp(p->steps[i].job.name, name) == 0) return i;
    return p->n;
}

static void find_needs(struct reading *r, struct pipeline_step *s)
{
    const struct pipeline *p = r->p;
    const struct strings *needs = &s->job.needs;
    s->need = calloc(needs->n ? needs->n : 1, sizeof *s->need);
    if (!conf_ok(&r->top, s->need ? ERR_OK : ERR_NOMEM)) return;
    for (size_t i = 0; i < needs->n; i++) {
        struct suggest near = { .word = needs->v[i] };
        char a[TEXT_QUOTED], b[TEXT_QUOTED], hint[TEXT_QUOTED + 32] = "";
        uint32_t k = s->need[i] = by_name(p, needs->v[i]);
        for (uint32_t x = 0; x < p->n; x++)
            suggest_offer(&near, p->steps[x].job.name);
        if (near.best)
            snprintf(hint, sizeof hint, "; did you mean %s?", text_quoted(near.best, a));
        if (k == p->n)
            wrong(r, s, "needs: no step is called %s%s", text_quoted(needs->v[i], b), hint);
        else if (&p->steps[k] == s)
            wrong(r, s, "needs: the step %s needs itself", text_quoted(needs->v[i], b));
    }
}

bool pipeline_waits_for(const struct pipeline *p, uint32_t a, uint32_t b)
{
    bool seen[PIPELINE_STEPS_MAX] = { 0 };
    uint32_t todo[PIPELINE_STEPS_MAX], n = 0;
    todo[n++] = a;
    while (n) {
        const struct pipeline_step *s = &p->steps[todo[--n]];
        for (size_t i = 0; i < s->job.needs.n; i++) {
            if (s->need[i] == b) return true;
            if (!seen[s->need[i]]) todo[n++] = s->need[i];
            seen[s->need[i]] = true;
        }
    }
    return false;
}

// From the step `from` along its needs back to itself: "a needs b needs a".
static void name_circle(const struct pipeline *p, uint32_t from, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "%.60s", p->steps[from].job.name);
    for (uint32_t at = from; n < size;) {
        const struct pipeline_step *s = &p->steps[at];
        for (size_t i = 0; i < s->job.needs.n; i++)
            if (s->need[i] == from || pipeline_waits_for(p, s->need[i], from)) {
                at = s->need[i];
                break;
            }
        n += (size_t)snprintf(out + n, size - n, " needs %.60s", p->steps[at].job.name);
        if (at == from) return;
    }
}

// What a step needs is put before it; otherwise they stay as they were written. False:
// there is a circle.
static bool put_in_order(struct reading *r)
{
    struct pipeline *p = r->p;
    uint32_t place[PIPELINE_STEPS_MAX], done = 0;
    char circle[500];
    for (uint32_t i = 0; i < p->n; i++) {
        if (!pipeline_waits_for(p, i, i)) continue;
        name_circle(p, i, circle, sizeof circle);
        wrong(r, &p->steps[i], "needs: a circle, so none of them can begin: %s", circle);
        return false;
    }
    struct pipeline_step *sorted = calloc(p->n ? p->n : 1, sizeof *sorted);
    if (!conf_ok(&r->top, sorted ? ERR_OK : ERR_NOMEM)) return false;
    bool placed[PIPELINE_STEPS_MAX] = { 0 };
    while (done < p->n)
        for (uint32_t i = 0; i < p->n; i++) {
            struct pipeline_step *s = &p->steps[i];
            bool ready = !placed[i];
            for (size_t k = 0; k < s->job.needs.n; k++)
                ready &= placed[s->need[k]];
            if (!ready) continue;
            placed[i] = true;
            place[i] = done;
            sorted[done++] = *s;
            break;
        }
    for (uint32_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < sorted[i].job.needs.n; k++)
            sorted[i].need[k] = place[sorted[i].need[k]];
    free(p->steps);
    p->steps = sorted;
    return true;
}

static bool keeps_nothing(const struct job *j)
{
    return strcmp(j->into, "null:") == 0;
}

static bool same_destination(const struct job *a, const struct job *b)
{
    if (strcmp(a->into, b->into) != 0 || keeps_nothing(a)) return false;
    return job_into_text(a) || strcasecmp(a->table, b->table) == 0;
}

static bool is_file_of(const char *url, const char *path)
{
    const char *colon = strchr(url, ':');
    return colon && strcmp(colon + 1, path) == 0;
}

// As far as it can be seen: files by their names, tables that are read whole.
static bool reads_what_it_writes(const struct job *reader, const struct job *writer)
{
    if (job_into_text(writer))
        for (size_t i = 0; i < reader->file_paths.n; i++)
            if (is_file_of(writer->into, reader->file_paths.v[i])) return true;
    return reader->sqlite_table && is_file_of(writer->into, reader->sqlite) &&
           strcasecmp(reader->sqlite_table, writer->table) == 0;
}

static void check_pair(struct reading *r, uint32_t a, uint32_t b)
{
    const struct pipeline *p = r->p;
    const struct job *x = &p->steps[a].job, *y = &p->steps[b].job;
    char one[TEXT_QUOTED], other[TEXT_QUOTED];
    text_quoted(x->name, one);
    text_quoted(y->name, other);
    if (a < b && strcmp(x->name, y->name) == 0)
        wrong(r, &p->steps[b], "name: two steps are called %s", one);
    else if (a < b && same_destination(x, y))
        wrong(r, &p->steps[b], "load: it writes what the step %s writes: %s%s%s", one,
              x->into_written, job_into_text(x) ? "" : ", table ",
              job_into_text(x) ? "" : x->table);
}

static void check_order(struct reading *r, uint32_t a, uint32_t b)
{
    const struct pipeline *p = r->p;
    const struct job *x = &p->steps[a].job, *y = &p->steps[b].job;
    char name[TEXT_QUOTED];
    if (a == b || !reads_what_it_writes(x, y) || pipeline_waits_for(p, a, b) ||
        pipeline_waits_for(p, b, a))
        return;
    wrong(r, &p->steps[a], "source: it reads what the step %s writes; give needs: [%s]",
          text_quoted(y->name, name), y->name);
}

static void for_pairs(struct reading *r,
                      void (*check)(struct reading *, uint32_t, uint32_t))
{
    for (uint32_t a = 0; a < r->p->n; a++)
        for (uint32_t b = 0; b < r->p->n; b++)
            check(r, a, b);
}

static void check_steps(struct reading *r)
{
    for_pairs(r, check_pair);
    for (uint32_t i = 0; i < r->p->n; i++)
        find_needs(r, &r->p->steps[i]);
    if (r->top.n_mistakes || r->top.no_memory || !put_in_order(r)) return;
    for_pairs(r, check_order);
    pipeline_charts(r->p, &r->top);
}

static void see_who_writes_to_stdout(struct pipeline *p)
{
    bool taken = false;
    for (uint32_t i = 0; i < p->n; i++)
        taken |= strncmp(p->steps[i].job.into, "stdout:", 7) == 0;
    for (uint32_t i = 0; i < p->n; i++)
        p->steps[i].job.stdout_taken = taken;
}

// A bar for each of them, when none runs beside another.
static void see_who_is_alone(struct pipeline *p)
{
    for (uint32_t a = 0; a < p->n; a++)
        for (uint32_t b = 0; b < a; b++)
            if (!pipeline_waits_for(p, a, b))
                p->steps[a].job.place = p->steps[b].job.place = JOB_STEP_BESIDE;
}

static err_t name_pipeline(struct reading *r, const char *path, struct err *e)
{
    struct pipeline *p = r->p;
    p->file = strdup(path);
    p->dir = conf_folder(path);
    r->top.file = p->file;
    return p->file && p->dir ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

err_t pipeline_read(struct pipeline *p, const char *path, const struct buf *text,
                    pipeline_flags *flags, void *arg, struct strings *mistakes,
                    struct err *e)
{
    struct reading r = { .p = p, .flags = flags, .arg = arg };
    struct job nobody;
    struct arena mem = { 0 };
    struct value *root = NULL;
    struct value_place at;
    *p = (struct pipeline){ 0 };
    job_init(&nobody);
    conf_init(&r.top, &nobody, mistakes);
    err_t rc = name_pipeline(&r, path, e);
    nobody.file = p->file; // borrowed: mistakes are told with it
    if (rc == ERR_OK) rc = value_parse(&root, &mem, (const char *)text->p, text->n, &at, e);
    if (rc == ERR_OK && root && root->kind == VALUE_MAP) document(&r, root);
    if (rc == ERR_OK && !r.top.n_mistakes && !r.top.no_memory) check_steps(&r);
    if (rc == ERR_OK && !p->name && !r.top.no_memory)
        conf_derive_name(&r.top, path, &p->name);
    arena_free(&mem);
    TRY(rc);
    if (r.top.no_memory) return err_set(e, ERR_NOMEM, "out of memory");
    if (r.top.n_mistakes) return err_set(e, ERR_INVALID, "%s", mistakes->v[0]);
    see_who_is_alone(p);
    see_who_writes_to_stdout(p);
    return ERR_OK;
}
