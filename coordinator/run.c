#include "coordinator/run.h"

#include "coordinator/app.h"
#include "coordinator/cli.h"
#include "coordinator/door.h"
#include "coordinator/interrupt.h"
#include "coordinator/plan.h"
#include "coordinator/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SLOT_BYTES_MIN = 16 << 20,  // with less, a runner takes no ordinary batch
    LANE_BYTES_MIN = 512 << 10, // a stack, and a small batch on its way
};

static const ns_t BEGIN_LOCKED_MAX = 10 * NS_S; // a lock at the start is waited for so long

struct run {
    const struct job *job;
    struct plan plan;
    struct local local;
    struct link *ipc; // to the worker of this machine
    struct door door; // for those of others
    struct journal *journal;
    struct journal_run record;
    const struct warehouse_ops *ops;
    struct warehouse *warehouse;
    struct load_state load;
    struct arena mem;
    struct cell watermark; // above what an incremental load takes rows; text in mem
    struct buf spec;
    struct progress progress;
    struct app_totals totals;
    struct ledger_row *by_input; // once the load is proven
    uint32_t slots;
    ns_t started;
    char load_name[4400]; // in the journal: warehouse, table, load
    char state_dir[4096];
};

static void say(void *arg, const char *text)
{
    struct run *r = arg;
    if (r->job->output != OUTPUT_QUIET) progress_say(&r->progress, text);
}

// ---- opening, in the order in which mistakes are cheapest to tell ----

static void state_folder(struct run *r)
{
    const char *home = getenv("TRANCHE_HOME");
    if (home && home[0])
        snprintf(r->state_dir, sizeof r->state_dir, "%s", home);
    else
        snprintf(r->state_dir, sizeof r->state_dir, "%s/.tranche",
                 r->job->dir ? r->job->dir : ".");
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
    if (!r->slots) return ERR_OK;
    TRY(link_listen(&r->ipc, r->local.endpoint, &ipc_link, e));
    return local_start(&r->local, r->slots, e);
}

static void say_notes(struct run *r, size_t from)
{
    for (size_t i = from; i < r->plan.notes.n; i++)
        say(r, r->plan.notes.v[i]);
}

static err_t open_input(struct run *r, struct err *e)
{
    bool seen = r->watermark.kind != CELL_NULL;
    TRY(plan_input(&r->plan, r->job, seen ? &r->watermark : NULL, e));
    say_notes(r, 0);
    return ERR_OK;
}

static err_t settle_output(struct run *r, struct err *e)
{
    size_t said = r->plan.notes.n;
    TRY(plan_output(&r->plan, r->job, &r->local, e));
    say_notes(r, said);
    return ERR_OK;
}

static err_t find_warehouse(struct run *r, struct err *e)
{
    const struct job *j = r->job;
    r->ops = warehouse_find(j->into);
    if (!r->ops)
        return err_set(e, ERR_INVALID, "load.into: no warehouse of this kind: %s",
                       j->into_written);
    if (r->ops->merges || (!j->merge_sql && !job_aggregates(j))) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%s is done in the warehouse, and %s is none: load into sqlite:PATH",
                   job_aggregates(j) ? "aggregate" : "merge", j->into_written);
}

static err_t open_warehouse(struct run *r, struct err *e)
{
    TRY(find_warehouse(r, e));
    r->plan.spec.sink = strdup(r->ops->sink);
    if (!r->plan.spec.sink) return err_set(e, ERR_NOMEM, "out of memory");
    return r->ops->open(&r->warehouse, r->job->into, say, r, e);
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
        say(r, line);
        time_t now = time(NULL);
        struct tm t;
        strftime(r->record.id, sizeof r->record.id, "%Y%m%d-%H%M%S", gmtime_r(&now, &t));
        return ERR_OK;
    }
    if (journal_note(r->journal)[0]) say(r, journal_note(r->journal));
    rc = job_canonical(r->job, &text, e);
    if (rc == ERR_OK) rc = buf_add(&text, "", 1, e);
    if (rc == ERR_OK)
        rc = journal_run_begin(r->journal, &r->record, (const char *)text.p, e);
    buf_free(&text);
    return rc;
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
        if (rc != ERR_BUSY || clock_ns() - since > BEGIN_LOCKED_MAX) return rc;
        say(r, e->text);
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
                                   .fresh = r->job->fresh };
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
    snprintf(r->load_name, sizeof r->load_name, "%.4200s %.64s %llu", r->job->into,
             r->job->table, (unsigned long long)r->load.load_id);
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
    say(r, line);
    return ERR_OK;
}

static err_t open_all(struct run *r, struct err *e)
{
    TRY(choose_slots(r, e));
    TRY(check_lanes(r, e));
    state_folder(r);
    TRY(door_prepare(&r->door, r->job, r->state_dir, e));
    TRY(start_worker(r, e)); // it starts while we read the input
    TRY(plan_identity(&r->plan, r->job, e));
    if (r->job->mode != MODE_INCREMENTAL) TRY(open_input(r, e));
    TRY(take_run_lock(r, e));
    TRY(open_warehouse(r, e));
    TRY(read_watermark(r, e));
    if (r->job->mode == MODE_INCREMENTAL) TRY(open_input(r, e));
    TRY(plan_params(&r->plan, r->job, r->ops, r->warehouse, e));
    TRY(settle_output(r, e));
    TRY(begin_load(r, e));
    name_load(r);
    TRY(skip_committed(r, e));
    TRY(make_spec(r, e));
    return open_door(r, e);
}

// ---- the end ----

static bool past_limit(const struct job *j, const struct balance *b)
{
    double bad = (double)(b->rejected + b->refused);
    if (j->bad_rows_share >= 0) return bad > j->bad_rows_share * (double)b->read;
    return bad > (double)j->bad_rows;
}

// The load's rejects, before the last step decides whether a replace is swapped in.
static struct balance rejects_so_far(const struct run *r)
{
    struct balance b = { .read = r->totals.rows_read,
                         .rejected = r->totals.rows_rejected,
                         .refused = r->totals.rows_refused };
    for (size_t i = 0; i < r->load.n_ledger; i++) {
        const struct ledger_row *l = &r->load.ledger[i];
        if (l->state == LEDGER_SPLIT) continue;
        b.read += l->rows_read;
        b.rejected += l->rows_rejected;
        b.refused += l->rows_refused;
    }
    return b;
}

static err_t ends_of_inputs(const struct run *r, uint64_t **out, struct err *e)
{
    uint32_t n;
    const struct source_input *in = source_inputs(r->plan.source, &n);
    *out = calloc(n ? n : 1, sizeof **out);
    if (!*out) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < n; i++)
        (*out)[i] = in[i].data_end;
    return ERR_OK;
}

static err_t finish_load(struct run *r, bool *limit, struct err *e)
{
    uint32_t n;
    uint64_t *ends = NULL;
    struct balance b = rejects_so_far(r);
    *limit = past_limit(r->job, &b);
    source_inputs(r->plan.source, &n);
    r->by_input = calloc(n ? n : 1, sizeof *r->by_input);
    if (!r->by_input) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = ends_of_inputs(r, &ends, e);
    for (ns_t since = clock_ns(); rc == ERR_OK;) {
        rc = r->ops->finish(r->warehouse, ends, !*limit, r->by_input, e);
        if ((rc != ERR_BUSY && rc != ERR_FULL && rc != ERR_UNKNOWN) ||
            clock_ns() - since > 6 * BEGIN_LOCKED_MAX)
            break;
        say(r, e->text);
        nanosleep(&(struct timespec){ 1, 0 }, NULL);
        rc = ERR_OK;
    }
    if (rc != ERR_OK) {
        free(r->by_input);
        r->by_input = NULL;
    }
    free(ends);
    return rc;
}

static int exit_code_of(err_t rc, const struct app_totals *t)
{
    if (t->interrupted) return CLI_INTERRUPTED;
    if (t->limit_passed) return CLI_LIMIT;
    if (rc == ERR_INVALID || rc == ERR_TOOBIG || rc == ERR_TRANSFORM || rc == ERR_PARSE)
        return CLI_USAGE;
    return CLI_INFRASTRUCTURE;
}

static void keep_record(struct run *r, const char *status, int code, const char *error)
{
    struct err e;
    const struct app_totals *t = &r->totals;
    r->record.status = status;
    r->record.exit_code = code;
    r->record.error = error;
    r->record.rows_read = t->rows_read;
    r->record.rows_parsed = t->rows_parsed;
    r->record.rows_rejected = t->rows_rejected;
    r->record.rows_emitted = t->rows_emitted;
    r->record.rows_loaded = t->rows_loaded;
    r->record.rows_refused = t->rows_refused;
    r->record.chunks = t->chunks;
    r->record.retries = t->retries;
    r->record.bytes_read = t->bytes_read;
    r->record.seconds = (double)(clock_ns() - r->started) / (double)NS_S;
    if (r->journal && journal_run_end(r->journal, &r->record, &e) != ERR_OK) say(r, e.text);
}

// Standard output may be what the rows go to.
static FILE *report_stream(const struct job *j)
{
    return j->into && strncmp(j->into, "stdout:", 7) == 0 ? stderr : stdout;
}

// False: it could not be written. Whoever waits for it must not take silence for success.
static bool print_report(struct run *r, const char *status, const char *error,
                         bool balanced)
{
    uint32_t n = 0;
    const struct source_input *in =
        r->plan.source ? source_inputs(r->plan.source, &n) : NULL;
    struct report x = { .job = r->job,
                        .run = r->record.id,
                        .status = status,
                        .error = error,
                        .run_totals = &r->totals,
                        .inputs = in,
                        .n_inputs = n,
                        .merge = plan_merge(&r->plan),
                        .by_input = r->by_input,
                        .resumed = r->load.resumed,
                        .nothing_new = r->load.complete_before,
                        .balanced = balanced,
                        .seconds = (double)(clock_ns() - r->started) / (double)NS_S,
                        .coordinator_cpu_seconds = (double)clock_cpu_ns() / (double)NS_S };
    FILE *out = report_stream(r->job);
    if (r->job->output == OUTPUT_JSON)
        report_json(&x, out);
    else if (r->job->output == OUTPUT_HUMAN && r->by_input)
        report_human(&x, out);
    if (fflush(out) == 0 && !ferror(out)) return true;
    fprintf(stderr, "tranche: the report cannot be written to standard output: %s\n",
            strerror(errno));
    return false;
}

static int end_badly(struct run *r, err_t rc, const struct err *e)
{
    int code = exit_code_of(rc, &r->totals);
    const char *status = r->totals.interrupted    ? "interrupted"
                         : r->totals.limit_passed ? "limit passed"
                                                  : "failed";
    progress_end(&r->progress);
    fprintf(stderr, "tranche: %s\n", e->text);
    if (r->load.load_id && !r->ops->forgets && r->totals.chunks + r->load.n_ledger > 0)
        fprintf(stderr,
                "tranche: what was committed is safe; the same command continues there\n");
    keep_record(r, status, code, e->text);
    (void)print_report(r, status, e->text, false); // the code says that it went wrong
    return code;
}

static int end_well(struct run *r, bool limit)
{
    struct balance b;
    uint32_t n;
    source_inputs(r->plan.source, &n);
    report_sum(r->by_input, n, &b);
    bool balanced = report_balances(r->by_input, n);
    const char *status = limit                    ? "limit passed"
                         : b.rejected + b.refused ? "loaded with rejects"
                                                  : "loaded";
    int code = !balanced                ? CLI_INFRASTRUCTURE
               : limit                  ? CLI_LIMIT
               : b.rejected + b.refused ? CLI_REJECTS
                                        : CLI_OK;
    char error[400] = "";
    if (limit)
        snprintf(
            error, sizeof error, "%llu row%s rejected, limits.bad_rows allows %s: %s",
            (unsigned long long)(b.rejected + b.refused),
            b.rejected + b.refused == 1 ? " was" : "s were",
            r->job->bad_rows_share >= 0 ? "a smaller share" : "fewer",
            r->job->mode == MODE_REPLACE
                ? "the old table stands, nothing was swapped in; see the rejected rows, or "
                  "raise --bad-rows"
                : "the good rows are loaded; see the rejected rows, or raise --bad-rows");
    keep_record(r, status, code, error);
    if (!print_report(r, status, error, balanced) && code == CLI_OK)
        code = CLI_INFRASTRUCTURE;
    if (limit) fprintf(stderr, "tranche: %s\n", error);
    return code;
}

static void close_all(struct run *r)
{
    if (r->ops && r->warehouse) r->ops->close(&r->warehouse);
    link_close(&r->ipc, 200);
    door_close(&r->door);
    local_close(&r->local);
    journal_close(&r->journal);
    load_state_free(&r->load);
    arena_free(&r->mem);
    plan_free(&r->plan);
    buf_free(&r->spec);
    free(r->by_input);
}

static err_t run_all(struct run *r, bool *limit, struct err *e)
{
    TRY(open_all(r, e));
    struct app_in in = { .job = r->job,
                         .source = r->plan.source,
                         .ops = r->ops,
                         .warehouse = r->warehouse,
                         .load = &r->load,
                         .load_name = r->load_name,
                         .journal = r->journal,
                         .link = { r->ipc, r->door.link },
                         .gate = r->door.gate,
                         .secret = r->door.secret,
                         .local = &r->local,
                         .slots = r->slots,
                         .spec = &r->spec,
                         .files = &r->plan.spec.files,
                         .result_max_bytes = r->plan.spec.result_max_bytes,
                         .progress = &r->progress };
    TRY(app_run(&in, &r->totals, e));
    return finish_load(r, limit, e);
}

// Ends the process from the signal thread. What was committed is safe at every moment; the
// worker dies with us, and the history sees that we are gone.
static void stop_at_once(void *arg, int signo)
{
    struct run *r = arg;
    struct app_totals none = { 0 };
    char error[100], *json = NULL;
    size_t n = 0;
    if (!interrupt_claim_end(true)) _exit(CLI_INTERRUPTED); // all is said already
    snprintf(error, sizeof error, "interrupted by %s", strsignal(signo));
    if (r->job->output == OUTPUT_JSON) {
        struct report x = { .job = r->job,
                            .run = r->record.id,
                            .status = "interrupted",
                            .error = error,
                            .run_totals = &none,
                            .seconds = (double)(clock_ns() - r->started) / (double)NS_S };
        FILE *f = open_memstream(&json, &n);
        if (f) {
            report_json(&x, f);
            fclose(f);
        }
    }
    // Not through stdio: the main thread may hold its locks and be stuck.
    dprintf(STDERR_FILENO, "tranche: %s; %s\n", error,
            r->ops && r->ops->forgets
                ? "what was done is not kept: run it again from the start"
                : "the same command continues");
    if (json && write(fileno(report_stream(r->job)), json, n) < 0) n = 0; // nobody reads it
    local_abandon(&r->local);
    _exit(CLI_INTERRUPTED);
}

int run_job(const struct job *j)
{
    struct run r = { .job = j, .started = clock_ns() };
    struct err e = { 0 };
    bool limit = false;
    r.local.pidfd = -1;
    progress_init(&r.progress, j->progress, j->output == OUTPUT_QUIET, r.started);
    err_t rc = interrupt_start(stop_at_once, &r, &e);
    if (rc == ERR_OK) rc = run_all(&r, &limit, &e);
    interrupt_claim_end(false);
    int code = rc == ERR_OK ? end_well(&r, limit) : end_badly(&r, rc, &e);
    close_all(&r);
    return code;
}

void run_refused(const struct job *j, const char *complaints)
{
    struct app_totals none = { 0 };
    char error[1024];
    snprintf(error, sizeof error, "%s", complaints);
    error[strcspn(error, "\n")] = 0;
    struct report x = {
        .job = j, .run = "", .status = "failed", .error = error, .run_totals = &none
    };
    report_json(&x, stdout);
}

// ---- check ----

static void print_schema(const char *title, const struct schema *s)
{
    printf("%s\n", title);
    for (uint32_t i = 0; i < s->n; i++)
        printf("  %-30s %s%s\n", s->f[i].name, type_name(s->f[i].type),
               s->f[i].given ? " (given)" : "");
}

static err_t check(struct run *r, struct err *e)
{
    TRY(local_open(&r->local, e));
    TRY(plan_identity(&r->plan, r->job, e));
    TRY(open_input(r, e));
    r->plan.spec.sink = strdup("null");
    if (!r->plan.spec.sink) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(find_warehouse(r, e));
    if (r->job->params.n == 0) return settle_output(r, e);
    // Params are read from the warehouse, which a check does not touch: stand-ins do.
    r->plan.spec.params = calloc(r->job->params.n, sizeof *r->plan.spec.params);
    if (!r->plan.spec.params) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < r->job->params.n; i++) {
        r->plan.spec.params[i] =
            (struct spec_param){ .name = strdup(r->job->params.v[i].name) };
        r->plan.spec.n_params = i + 1;
        if (!r->plan.spec.params[i].name) return err_set(e, ERR_NOMEM, "out of memory");
    }
    return settle_output(r, e);
}

int run_check(const struct job *j)
{
    struct run r = { .job = j, .started = clock_ns() };
    struct err e = { 0 };
    r.local.pidfd = -1;
    progress_init(&r.progress, PROGRESS_NONE, j->output == OUTPUT_QUIET, r.started);
    err_t rc = check(&r, &e);
    if (rc != ERR_OK) fprintf(stderr, "tranche: %s\n", e.text);
    if (rc != ERR_OK && j->output == OUTPUT_JSON) {
        printf("{\"job\":");
        json_string(j->name, stdout);
        printf(",\"status\":\"failed\",\"error\":");
        json_string(e.text, stdout);
        printf("}\n");
    } else if (rc != ERR_OK) {
        // said
    } else if (j->output == OUTPUT_HUMAN) {
        uint32_t n;
        source_inputs(r.plan.source, &n);
        printf("%s: ok, %u input%s, about %llu rows\n", j->name, n, n == 1 ? "" : "s",
               (unsigned long long)r.plan.estimate_rows);
        print_schema("input", &r.plan.spec.in);
        if (j->n_steps || job_aggregates(j)) print_schema("output", &r.plan.rows);
        if (j->merge_sql) printf("merge.sql is tried when a run begins\n");
        printf("into %s%s%s\n", j->into_written, job_into_text(j) ? "" : ", table ",
               job_into_text(j) ? "" : j->table);
    } else if (j->output == OUTPUT_JSON) {
        printf("{\"job\":");
        json_string(j->name, stdout);
        printf(",\"status\":\"ok\"}\n");
    }
    close_all(&r);
    return rc == ERR_OK ? CLI_OK : exit_code_of(rc, &r.totals);
}

// ---- runs ----

struct listing {
    enum job_output output;
    uint64_t n;
};

static int list_one(void *arg, const struct journal_run *run, int64_t started_wall_ms)
{
    struct listing *l = arg;
    char when[32], rows[32];
    time_t t = (time_t)(started_wall_ms / 1000);
    struct tm tm;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
    format_count(run->rows_loaded, rows, sizeof rows);
    if (l->output == OUTPUT_JSON) {
        printf("{\"run\":");
        json_string(run->id, stdout);
        printf(",\"name\":");
        json_string(run->name, stdout);
        printf(",\"status\":");
        json_string(run->status, stdout);
        printf(
            ",\"started_ms\":%lld,\"seconds\":%.3f,\"rows_read\":%llu,\"rows_loaded\":%llu,"
            "\"rows_rejected\":%llu,\"exit_code\":%d,\"table\":",
            (long long)started_wall_ms, run->seconds, (unsigned long long)run->rows_read,
            (unsigned long long)run->rows_loaded, (unsigned long long)run->rows_rejected,
            run->exit_code);
        json_string(run->table, stdout);
        printf(",\"error\":");
        json_string(run->error, stdout);
        printf("}\n");
    } else {
        if (l->n == 0)
            printf("%-22s %-19s %-20s %-20s %14s %10s\n", "run", "started", "name",
                   "status", "rows loaded", "seconds");
        printf("%-22s %-19s %-20s %-20s %14s %10.2f\n", run->id, when, run->name,
               run->status, rows, run->seconds);
    }
    l->n++;
    return 1;
}

int run_list(const struct job *j)
{
    struct run r = { .job = j };
    struct err e = { 0 };
    struct listing l = { .output = j->output };
    state_folder(&r);
    err_t rc = journal_runs(r.state_dir, list_one, &l, &e);
    if (rc != ERR_OK) {
        fprintf(stderr, "tranche: %s\n", e.text);
        return CLI_INFRASTRUCTURE;
    }
    if (l.n == 0 && j->output == OUTPUT_HUMAN) printf("no runs yet in %s\n", r.state_dir);
    return CLI_OK;
}
