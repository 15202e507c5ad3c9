#include "coordinator/survey.h"

#include "common/clock.h"
#include "common/rmtree.h"
#include "common/scratch.h"
#include "coordinator/cli.h"
#include "coordinator/journal_plan.h"
#include "coordinator/survey_params.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FIRST_ROWS = 24,
    FIRST_REQUESTS = 8,
    TRIALS_MOST = 5,
    WHOLE_BYTES = 96 << 20, // an input of so many is tried where it stands
    ROW_BYTES_GUESS = 128,  // of a compressed input, until the first trial
};
static const double WORK_SECONDS = 0.8;   // that the largest trial should take
static const double SHORT_SECONDS = 0.15; // of a run that is tried as a whole

// What COPY into a table costs the server, by row and by value: an assumption.
static const double PG_ROW_SECONDS = 130e-9, PG_VALUE_SECONDS = 42e-9;

struct surveyor {
    struct survey *s;
    const struct job *j;
    struct plan *p;
    struct job_pairs params;
    struct scratch scratch;
    char room[4200], home[4200]; // in it
    double row_bytes;
    bool streams; // nothing but compressed files
    bool without_merge;
};

static err_t note(struct survey *s, const char *text, struct err *e)
{
    return strings_add(&s->notes, text, strlen(text), e);
}

static bool has_step(const struct job *j, enum step_kind kind)
{
    for (size_t i = 0; i < j->n_steps; i++)
        if (j->steps[i].kind == kind) return true;
    return false;
}

// ---- the input ----

static void measure_input(struct surveyor *v)
{
    uint32_t n;
    const struct source_input *in = source_inputs(v->p->source, &n);
    uint64_t bytes = 0;
    bool text = n && !in[0].in_rows, plain = false;
    for (uint32_t i = 0; i < n && text; i++) {
        plain |= !in[i].by_value;
        if (!in[i].by_value) bytes += in[i].size - in[i].data_begin;
    }
    v->streams = text && !plain;
    v->row_bytes = !text            ? 0
                   : !plain         ? ROW_BYTES_GUESS
                   : v->s->rows > 0 ? (double)bytes / (double)v->s->rows
                                    : 1;
    v->s->bytes = plain ? (double)bytes : 0;
}

static uint64_t most_rows(const struct surveyor *v)
{
    double all = (double)v->s->rows * v->row_bytes;
    if (has_step(v->j, STEP_HTTP)) return v->j->batch_rows; // somebody else's server
    if (v->row_bytes <= 0 || all <= WHOLE_BYTES) return v->s->rows;
    return (uint64_t)((double)EXCERPT_BYTES_MAX / v->row_bytes);
}

// ---- trials ----

static err_t try_once(struct surveyor *v, uint64_t rows, struct trial *t, struct excerpt *x,
                      struct err *e)
{
    struct trial_in in = { .job = v->j,
                           .source = v->p->source,
                           .types = &v->p->spec.in,
                           .params = &v->params,
                           .room = v->room,
                           .home = v->home,
                           .rows = rows,
                           .row_bytes = v->row_bytes,
                           .whole = rows >= v->s->rows,
                           .without_merge = v->without_merge };
    rmtree(v->room);
    if (mkdir(v->room, 0700)) return err_sys(e, "cannot create %s", v->room);
    TRY(trial_run(&in, t, x, e));
    if (t->code == CLI_OK || t->code == CLI_REJECTS) return ERR_OK;
    v->s->code = t->code;
    return err_set(e, ERR_TRANSFORM, "%s", t->error[0] ? t->error : "a trial failed");
}

// merge.sql may want tables that stand in the warehouse only.
static err_t try_rows(struct surveyor *v, uint64_t rows, struct trial *t, struct excerpt *x,
                      struct err *e)
{
    struct err first;
    err_t rc = try_once(v, rows, t, x, e);
    if (rc != ERR_TRANSFORM || !v->j->merge_sql || v->without_merge) return rc;
    first = *e;
    v->without_merge = true;
    rc = try_once(v, rows, t, x, e);
    if (rc != ERR_OK) {
        *e = first;
        return rc;
    }
    return note(v->s, "merge.sql was left out: it cannot be tried without the warehouse",
                e);
}

static void take(struct surveyor *v, struct estimate_in *in, const struct trial *t,
                 const struct excerpt *x, uint64_t rows)
{
    struct survey *s = v->s;
    s->last = *t;
    s->excerpt = *x;
    s->whole = rows >= s->rows;
    in->last = t->cost;
    in->slots = t->slots;
    if (s->trials++ == 0) in->first = t->cost;
    if (v->streams && t->cost.rows && x->bytes)
        v->row_bytes = (double)x->bytes / (double)t->cost.rows;
}

static err_t try_growing(struct surveyor *v, struct estimate_in *in, struct err *e)
{
    struct survey *s = v->s;
    ns_t began = clock_ns();
    uint64_t rows = in->requests ? FIRST_REQUESTS : FIRST_ROWS;
    if (rows > s->rows) rows = s->rows;
    for (int i = 0; i < TRIALS_MOST && (rows || i == 0); i++) {
        struct trial t;
        struct excerpt x;
        err_t rc = try_rows(v, rows, &t, &x, e);
        if (rc != ERR_OK && i == 0) return rc;
        if (rc == ERR_OK && i && t.cost.rows <= in->last.rows)
            break; // no more is to be had
        if (rc != ERR_OK) {
            TRY(note(s, e->text, e));
            break;
        }
        take(v, in, &t, &x, rows);
        s->seconds = (double)(clock_ns() - began) / (double)NS_S;
        if (s->whole) break;
        rows = estimate_next_rows(in, WORK_SECONDS, s->seconds, most_rows(v));
    }
    return ERR_OK;
}

// A short run is as long as chance will have it: the middle one of three counts.
static err_t try_again(struct surveyor *v, struct estimate_in *in, struct err *e)
{
    double first = in->last.wall, wall[2];
    if (!v->s->whole || first > SHORT_SECONDS || in->requests) return ERR_OK;
    for (int i = 0; i < 2; i++) {
        struct trial t;
        struct excerpt x;
        TRY(try_rows(v, v->s->rows, &t, &x, e));
        wall[i] = t.cost.wall;
        v->s->trials++;
    }
    double low = fmin(wall[0], wall[1]), high = fmax(wall[0], wall[1]);
    in->last.wall = fmin(fmax(first, low), high);
    return ERR_OK;
}

// ---- what follows ----

static double emitted(const struct survey *s)
{
    const struct trial *t = &s->last;
    if (t->cost.rows == 0) return 0;
    return (double)t->rows_emitted / (double)t->cost.rows * (double)s->rows;
}

static err_t foresee_loading(struct surveyor *v, struct estimate_in *in, struct err *e)
{
    if (strncmp(v->j->into, "postgres:", 9) != 0) return ERR_OK;
    in->loading =
        emitted(v->s) * (PG_ROW_SECONDS + PG_VALUE_SECONDS * (double)v->p->rows.n);
    return note(v->s,
                "loading was tried into SQLite: what PostgreSQL takes is assumed, 130 ns a "
                "row and 42 ns a value",
                e);
}

static void foresee_source(struct surveyor *v, struct estimate_in *in)
{
    const struct excerpt *x = &v->s->excerpt;
    if (v->streams) v->s->bytes = v->row_bytes * (double)v->s->rows;
    if (x->unpacked == 0) return;
    in->source = x->unpack_seconds / (double)x->unpacked * v->s->bytes;
}

static void foresee_rows(struct survey *s)
{
    const struct trial *t = &s->last;
    double by = t->cost.rows ? (double)s->rows / (double)t->cost.rows : 0;
    s->output_bytes = (uint64_t)((double)t->image_bytes * by);
    s->rejected = (uint64_t)((double)t->rows_rejected * by + 0.5);
}

static err_t about_disks(struct surveyor *v, struct err *e)
{
    struct stat scratch, into;
    const char *path = strchr(v->j->into, ':') + 1, *slash = strrchr(path, '/');
    char dir[4096];
    if (strncmp(v->j->into, "sqlite:", 7) != 0 && strncmp(v->j->into, "csv:", 4) != 0 &&
        strncmp(v->j->into, "jsonl:", 6) != 0)
        return ERR_OK;
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    if (stat(v->scratch.room, &scratch) || stat(dir, &into)) return ERR_OK;
    if (scratch.st_dev == into.st_dev) return ERR_OK;
    return note(v->s,
                "trials were written to $TMPDIR, which is another file system than the "
                "destination's",
                e);
}

static err_t notes(struct surveyor *v, struct err *e)
{
    const struct job *j = v->j;
    if (v->streams && !v->s->whole)
        TRY(note(v->s, "compressed files were sampled from their heads", e));
    if (j->source == SOURCE_RANGE && !v->s->whole)
        TRY(note(v->s, "rows were taken from the head of the range", e));
    if ((j->source == SOURCE_SQLITE || j->source == SOURCE_POSTGRES) && !v->s->whole)
        TRY(note(v->s, "rows were taken from the head of the query or table", e));
    if (has_step(j, STEP_HTTP))
        TRY(note(v->s, "requests were made for the rows that were tried", e));
    if (j->mode == MODE_INCREMENTAL || j->mode == MODE_UPSERT)
        TRY(note(v->s,
                 "trials loaded into an empty table: a run finds what is there already",
                 e));
    if (v->s->last.retries && v->s->last.rows_rejected)
        TRY(note(v->s,
                 "the transforms failed on some rows, which are found by trying ever "
                 "smaller parts of their batch: how long that takes goes by how many of "
                 "them there are, and a part of the input tells little of that",
                 e));
    return about_disks(v, e);
}

static err_t survey(struct surveyor *v, const struct warehouse_ops *ops, struct err *e)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const struct job *j = v->j;
    struct estimate_in in = { .rows = v->s->rows,
                              .batch_rows = j->batch_rows,
                              .lanes = j->workers_concurrency,
                              .cores = cores > 0 ? (uint32_t)cores : 1,
                              .computes = !has_step(j, STEP_EXEC) &&
                                          !has_step(j, STEP_HTTP) &&
                                          !has_step(j, STEP_PLUGIN) };
    for (size_t i = 0; i < j->n_steps; i++) {
        const struct step_http *h = &j->steps[i].http;
        if (j->steps[i].kind != STEP_HTTP) continue;
        if (!in.requests || h->concurrency < in.requests) in.requests = h->concurrency;
        in.gap = fmax(in.gap, (double)h->gap_ns / (double)NS_S);
    }
    measure_input(v);
    TRY(survey_params(&v->params, j, ops, e));
    TRY(try_growing(v, &in, e));
    TRY(try_again(v, &in, e));
    if (v->s->whole) in.rows = v->s->rows = v->s->last.cost.rows; // blank lines are none
    in.fails = v->s->last.retries && v->s->last.rows_rejected;
    foresee_rows(v->s);
    foresee_source(v, &in);
    TRY(foresee_loading(v, &in, e));
    estimate_init(&v->s->estimate, &in);
    return notes(v, e);
}

// A run finds a history: plan keeps its prediction there. Made by another process: pages of
// memory that SQLite has used here would be copied in each trial, and in no run.
static err_t make_folders(struct surveyor *v, struct err *e)
{
    static const struct journal_plan none;
    int status = 0;
    snprintf(v->room, sizeof v->room, "%s/trial", v->scratch.room);
    snprintf(v->home, sizeof v->home, "%s/home", v->scratch.room);
    pid_t pid = fork();
    if (pid == 0) _exit(journal_plan_put(v->home, "", &none, e) != ERR_OK);
    if (pid < 0) return err_sys(e, "cannot begin a trial");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status ? err_set(e, ERR_IO, "cannot keep a history in %s", v->home) : ERR_OK;
}

err_t survey_run(struct survey *s, const struct job *j, struct plan *p,
                 const struct warehouse_ops *ops, struct err *e)
{
    struct surveyor v = { .s = s, .j = j, .p = p };
    *s = (struct survey){ .rows = p->estimate_rows };
    TRY(survey_count(j, &s->rows, &s->counted, e));
    TRY(scratch_open(&v.scratch, e));
    err_t rc = make_folders(&v, e);
    if (rc == ERR_OK) rc = survey(&v, ops, e);
    scratch_close(&v.scratch);
    job_pairs_free(&v.params);
    return rc;
}

void survey_free(struct survey *s)
{
    strings_free(&s->notes);
    *s = (struct survey){ 0 };
}
