#include "coordinator/journal_stats.h"
#include "coordinator/run_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SLOT_BYTES_MIN = 16 << 20,  // with less, a runner takes no ordinary batch
    LANE_BYTES_MIN = 512 << 10, // a stack, and a small batch on its way
};

void run_state_dir(const char *dir, char out[RUN_STATE_DIR])
{
    const char *home = getenv("TRANCHE_HOME");
    if (home && home[0])
        snprintf(out, RUN_STATE_DIR, "%s", home);
    else
        snprintf(out, RUN_STATE_DIR, "%s/.tranche", dir ? dir : ".");
}

// Each batch in flight needs a thread, and room for its rows.
static err_t check_lanes(struct run *r, struct err *e)
{
    uint64_t slots = r->slots ? r->slots : 1, lanes = r->job->workers_concurrency;
    uint64_t fit = r->job->worker_memory_bytes / slots / LANE_BYTES_MIN;
    if (lanes <= 1 || lanes <= fit) return ERR_OK;
    return err_set(
        e, ERR_INVALID,
        "workers.concurrency: %llu batches at a time in %llu slots share "
        "limits.worker_memory, and each needs 512 KiB at least: take --concurrency "
        "%llu, or --worker-memory %lluMiB",
        (unsigned long long)lanes, (unsigned long long)slots,
        (unsigned long long)(fit ? fit : 1),
        (unsigned long long)(slots * lanes * LANE_BYTES_MIN >> 20));
}

// As many as the cores, unless their memory would not do.
static err_t choose_slots(struct run *r, struct err *e)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (r->job->workers_remote) return ERR_OK; // none here
    uint64_t fit = r->job->worker_memory_bytes / SLOT_BYTES_MIN;
    r->slots = r->job->workers_local ? r->job->workers_local
               : cores > 0           ? (uint32_t)cores
                                     : 1;
    if (r->slots <= fit) return ERR_OK;
    if (r->job->workers_local)
        return err_set(e, ERR_INVALID,
                       "%u workers share limits.worker_memory, and each needs 16 MiB at "
                       "least: take --workers %llu, or --worker-memory %lluMiB",
                       r->slots, (unsigned long long)fit,
                       (unsigned long long)r->slots * (SLOT_BYTES_MIN >> 20));
    r->slots = (uint32_t)fit;
    return ERR_OK;
}

static err_t start_worker(struct run *r, struct err *e)
{
    enum { HWM = 1024, LANES_FOR_MORE = 8 }; // ZeroMQ lets half of it pass in a burst
    uint64_t lanes = (uint64_t)r->slots * r->job->workers_concurrency;
    struct link_opts ipc_link = { .message_max_bytes = (uint64_t)SPEC_MAX_BYTES + 4096,
                                  .hwm = HWM };
    if (lanes * LANES_FOR_MORE > HWM) ipc_link.hwm = (int)(lanes * LANES_FOR_MORE);
    TRY(local_open(&r->local, e));
    // With a cache it is probably not asked.
    if (r->job->n_steps && !r->job->cache_bytes) local_expect_describe(&r->local);
    if (!r->slots) return ERR_OK;
    TRY(local_listen(&r->local, e));
    TRY(local_start(&r->local, r->slots, e));
    local_link_begin(&r->ipc_to_be, &r->local, &ipc_link);
    return ERR_OK;
}

static void say_notes(struct run *r, size_t from)
{
    for (size_t i = from; i < r->plan.notes.n; i++)
        run_say(r, r->plan.notes.v[i]);
}

err_t run_open_input(struct run *r, struct err *e)
{
    bool seen = r->watermark.kind != CELL_NULL;
    TRY(plan_input(&r->plan, r->job, seen ? &r->watermark : NULL, e));
    say_notes(r, 0);
    return ERR_OK;
}

// For people and for reports. A history that cannot be written is told when it is flushed.
static void record_sandboxes(struct run *r)
{
    char text[320];
    struct err e;
    for (size_t i = 0; r->journal && i < r->plan.spec.n_steps; i++) {
        const struct step *s = &r->plan.spec.steps[i];
        if (s->kind != STEP_EXEC || !s->said || !*s->said) continue;
        snprintf(text, sizeof text, "exec %.100s: %.160s", s->argv.v[0], s->said);
        if (journal_event(r->journal, "sandbox", text, &e) != ERR_OK) return;
    }
}

err_t run_settle_output(struct run *r, struct err *e)
{
    size_t said = r->plan.notes.n;
    r->local.say = run_say;
    r->local.say_arg = r;
    TRY(plan_output(&r->plan, r->job, &r->local, e));
    say_notes(r, said);
    record_sandboxes(r);
    return ERR_OK;
}

err_t run_find_warehouse(struct run *r, struct err *e)
{
    const struct job *j = r->job;
    r->ops = warehouse_find(j->into);
    if (!r->ops)
        return err_set(e, ERR_INVALID, "load.into: no warehouse of this kind: %s",
                       j->into_written);
    if (!j->merge_sql && !job_aggregates(j)) return ERR_OK;
    if (r->ops->merging && (job_aggregates(j) || !r->ops->merges)) r->ops = r->ops->merging;
    if (r->ops->merges) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%s is done in the warehouse, and %s is none: load into sqlite:PATH",
                   job_aggregates(j) ? "aggregate" : "merge", j->into_written);
}

static err_t choose_sink(struct run *r, struct err *e)
{
    TRY(run_find_warehouse(r, e));
    bool states = job_aggregates(r->job) && r->ops->states_sink;
    r->plan.spec.sink = strdup(states ? r->ops->states_sink : r->ops->sink);
    return r->plan.spec.sink ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

// The input of a load that does not begin where another one ended, and what its columns
// become: the worker is asked while history and warehouse are opened.
static err_t open_input_early(struct run *r, struct err *e)
{
    if (r->job->mode == MODE_INCREMENTAL) return ERR_OK;
    TRY(run_open_input(r, e));
    plan_output_early(&r->plan, r->job, &r->local);
    return ERR_OK;
}

static err_t open_warehouse(struct run *r, struct err *e)
{
    const char *url = r->job->into_secret ? r->job->into_secret : r->job->into;
    return r->ops->open(&r->warehouse, url, run_say, r, e);
}

static void describe_run(struct run *r)
{
    r->record = (struct journal_run){ .name = r->job->name,
                                      .job_file = r->job->file ? r->job->file : "",
                                      .table = r->job->table,
                                      .into = r->job->into_written,
                                      .status = "running",
                                      .workers = r->slots,
                                      .error = "" };
}

static err_t take_run_lock(struct run *r, struct err *e)
{
    struct buf text = { 0 };
    char key[4200];
    describe_run(r);
    snprintf(key, sizeof key, "%s %s", r->job->into, r->job->table);
    err_t rc = journal_open(&r->journal, r->state_dir, key, e);
    if (rc == ERR_BUSY) return rc;
    if (rc != ERR_OK) { // history is for people: the load is exactly-once without it
        char line[1200];
        snprintf(line, sizeof line, "no history is kept of this run: %s", e->text);
        run_say(r, line);
        time_t now = time(NULL);
        struct tm t;
        strftime(r->record.id, sizeof r->record.id, "%Y%m%d-%H%M%S", gmtime_r(&now, &t));
        return ERR_OK;
    }
    if (journal_note(r->journal)[0]) run_say(r, journal_note(r->journal));
    rc = job_canonical(r->job, &text, e);
    if (rc == ERR_OK) rc = buf_add(&text, "", 1, e);
    if (rc == ERR_OK)
        rc = journal_run_begin(r->journal, &r->record, (const char *)text.p, e);
    r->journal_began = clock_ns();
    buf_free(&text);
    return rc;
}

// A job that a server begins again goes on with what it began itself: it has dropped what
// was there before. Without a history nobody knows.
static err_t settle_fresh(struct run *r, struct err *e)
{
    bool began = false;
    if (r->job->fresh && r->job->served_job && r->journal)
        TRY(journal_job_began(r->journal, r->job->served_job, r->job->name, r->job->table,
                              &began, e));
    r->fresh = r->job->fresh && !began;
    return ERR_OK;
}

static err_t inputs_for_ledger(const struct run *r, struct load_input **out, uint32_t *n,
                               struct err *e)
{
    const struct source_input *in = source_inputs(r->plan.source, n);
    *out = calloc(*n ? *n : 1, sizeof **out);
    if (!*out) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < *n; i++)
        (*out)[i] = (struct load_input){ .name = in[i].name,
                                         .size = in[i].size,
                                         .mtime_ns = in[i].mtime_ns,
                                         .ctime_ns = in[i].ctime_ns,
                                         .by_value = in[i].by_value,
                                         .ino = in[i].ino,
                                         .data_begin = in[i].data_begin };
    return ERR_OK;
}

static err_t begin_patiently(struct run *r, const struct load_identity *id,
                             const struct load_input *in, uint32_t n,
                             const struct buf *params, struct err *e)
{
    for (ns_t since = clock_ns();;) {
        err_t rc =
            r->ops->begin(r->warehouse, id, &r->plan.spec.out, in, n, params, &r->load, e);
        bool again = rc == ERR_BUSY || rc == ERR_UNKNOWN; // what was begun is gone on with
        if (!again || clock_ns() - since > RUN_LOCK_WAIT_S * NS_S) return rc;
        run_note(r, e->text);
        nanosleep(&(struct timespec){ 1, 0 }, NULL);
    }
}

static struct load_identity identity_of(const struct run *r)
{
    return (struct load_identity){ .table = r->job->table,
                                   .sources = (const char *)r->plan.sources.p,
                                   .spec = r->plan.identity,
                                   .mode = r->job->mode,
                                   .key = r->job->key.n ? &r->job->key : NULL,
                                   .watermark = r->job->watermark,
                                   .indexes = r->job->indexes,
                                   .n_indexes = r->job->n_indexes,
                                   .fresh = r->fresh,
                                   .memory_bytes = r->job->memory_bytes };
}

// A query may ask for it, so it is read before the source is opened.
static err_t read_watermark(struct run *r, struct err *e)
{
    if (r->job->mode != MODE_INCREMENTAL || !r->ops->watermark) return ERR_OK;
    struct load_identity id = identity_of(r);
    return r->ops->watermark(r->warehouse, &id, &r->mem, &r->watermark, e);
}

static err_t begin_load(struct run *r, struct err *e)
{
    struct load_identity id = identity_of(r);
    id.merge = plan_merge(&r->plan);
    struct load_input *in = NULL;
    struct buf params = { 0 };
    uint32_t n = 0;
    err_t rc = inputs_for_ledger(r, &in, &n, e);
    if (rc == ERR_OK) rc = plan_params_encode(&r->plan, &params, e);
    if (rc == ERR_OK) rc = begin_patiently(r, &id, in, n, &params, e);
    if (rc == ERR_OK) rc = plan_params_decode(&r->plan, &r->load.params, e);
    free(in);
    buf_free(&params);
    return rc;
}

// Attempts of another load, or of the one that --fresh dropped, say nothing about this one.
static void name_load(struct run *r)
{
    struct hash128 h = hash_bytes(r->job->into, strlen(r->job->into));
    snprintf(r->load_name, sizeof r->load_name, "%.100s#%.60s@%llu-%08x", r->job->into,
             r->job->table, (unsigned long long)r->load.load_id, (unsigned)h.lo);
}

// Tells the source what is there already, input by input.
static err_t skip_committed(struct run *r, struct err *e)
{
    uint32_t n;
    const struct source_input *in = source_inputs(r->plan.source, &n);
    struct committed *c = calloc(r->load.n_ledger ? r->load.n_ledger : 1, sizeof *c);
    if (!c) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = ERR_OK;
    size_t x = 0; // the ledger is sorted by input
    for (uint32_t i = 0; rc == ERR_OK && i < n; i++) {
        size_t k = 0;
        for (; x < r->load.n_ledger && r->load.ledger[x].range.input == i; x++) {
            const struct ledger_row *l = &r->load.ledger[x];
            if (l->state == LEDGER_SPLIT) continue;
            c[k++] = (struct committed){ .range = l->range,
                                         .lines = l->lines,
                                         .records = l->records,
                                         .unterminated = l->unterminated,
                                         .digest = l->digest };
        }
        const struct load_input *was = i < r->load.n_inputs ? &r->load.inputs[i] : NULL;
        bool same = was && was->size == in[i].size && was->mtime_ns == in[i].mtime_ns &&
                    was->ctime_ns == in[i].ctime_ns && was->ino == in[i].ino &&
                    !in[i].by_value;
        if (k) rc = source_skip(r->plan.source, i, c, k, same, e);
    }
    free(c);
    return rc;
}

static err_t make_spec(struct run *r, struct err *e)
{
    r->plan.spec.result_max_bytes = (uint64_t)128 << 20;
    r->plan.spec.memory_bytes = r->job->worker_memory_bytes / (r->slots ? r->slots : 1);
    return spec_encode(&r->plan.spec, &r->spec, e);
}

// It saves time only: a run does without.
static void open_cache(struct run *r)
{
    char line[1200];
    struct err e;
    struct result_cache_opts o = { .state_dir = r->state_dir,
                                   .job = r->job->name,
                                   .spec = &r->plan.spec,
                                   .by_place = r->job->source == SOURCE_RANGE,
                                   .max_bytes = r->job->cache_bytes };
    if (!r->job->cache_bytes || result_cache_open(&r->cache, &o, &e) == ERR_OK) return;
    snprintf(line, sizeof line, "nothing is taken from the cache, or kept there: %s",
             e.text);
    run_say(r, line);
}

// Last of all: files and databases must not find every descriptor taken by strangers.
static err_t open_door(struct run *r, struct err *e)
{
    char load[sizeof r->load_name + 32], line[400];
    bool resumable = !r->ops->forgets;
    snprintf(load, sizeof load, "%s %llu", r->load_name,
             (unsigned long long)r->load.load_id);
    TRY(door_secret(&r->door, r->job, r->state_dir, resumable ? load : NULL, &r->spec, e));
    uint64_t largest = r->plan.spec.result_max_bytes;
    TRY(door_open(&r->door, r->job, largest > r->spec.n ? largest : r->spec.n, e));
    if (!r->door.link) return ERR_OK;
    snprintf(line, sizeof line, "listening on %s", link_endpoint(r->door.link));
    run_say(r, line);
    return ERR_OK;
}

err_t run_open_all(struct run *r, struct err *e)
{
    TRY(choose_slots(r, e));
    TRY(check_lanes(r, e));
    run_state_dir(r->job->dir, r->state_dir);
    TRY(door_prepare(&r->door, r->job, r->state_dir, e));
    TRY(start_worker(r, e)); // it starts while we read the input
    TRY(plan_identity(&r->plan, r->job, e));
    TRY(choose_sink(r, e));
    TRY(open_input_early(r, e));
    TRY(take_run_lock(r, e));
    TRY(settle_fresh(r, e));
    TRY(open_warehouse(r, e));
    TRY(read_watermark(r, e));
    if (r->job->mode == MODE_INCREMENTAL) TRY(run_open_input(r, e));
    TRY(plan_params(&r->plan, r->job, r->ops, r->warehouse, e));
    r->plan.cache_dir = r->job->cache_bytes ? r->state_dir : NULL;
    TRY(run_settle_output(r, e));
    TRY(source_settle(r->plan.source, e));
    TRY(begin_load(r, e));
    name_load(r);
    run_record_place(r);
    TRY(skip_committed(r, e));
    TRY(make_spec(r, e));
    open_cache(r);
    TRY(local_link_take(&r->ipc_to_be, &r->ipc, e));
    return open_door(r, e);
}
