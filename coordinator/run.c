#include "common/say.h"
#include "coordinator/cli.h"
#include "coordinator/interrupt.h"
#include "coordinator/run_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void run_say(void *arg, const char *text)
{
    struct run *r = arg;
    if (r->job->output != OUTPUT_QUIET) progress_say(&r->progress, text);
}

void run_note(struct run *r, const char *text)
{
    struct err e;
    run_say(r, text);
    if (r->journal && journal_event(r->journal, "warehouse", text, &e) != ERR_OK)
        run_say(r, e.text);
}

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
            clock_ns() - since > 6 * RUN_LOCK_WAIT_S * NS_S)
            break;
        run_note(r, e->text);
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

int run_exit_code(err_t rc, const struct app_totals *t)
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
    if (r->journal && journal_run_end(r->journal, &r->record, &e) != ERR_OK)
        run_say(r, e.text);
}

// Standard output may be what the rows go to.
static FILE *report_stream(const struct job *j)
{
    bool taken = j->stdout_taken || (j->into && strncmp(j->into, "stdout:", 7) == 0);
    return taken ? stderr : stdout;
}

// Each run of an incremental load is one of its own: a watermark says that there was one
// before.
static bool was_complete(const struct run *r)
{
    return r->load.complete_before || (r->watermark.kind != CELL_NULL && !r->fresh);
}

// A plan of just this job, if the run did all of it. Without a history there is none.
static const struct journal_plan *find_plan(struct run *r, struct journal_plan *plan)
{
    struct err e;
    struct buf text = { 0 };
    bool found = false, whole = r->by_input && !r->load.resumed && !was_complete(r);
    if (!r->journal || !whole || r->totals.chunks_cached) return NULL;
    err_t rc = job_canonical(r->job, &text, &e);
    if (rc == ERR_OK) rc = buf_add(&text, "", 1, &e);
    if (rc == ERR_OK)
        rc = journal_plan_of(r->journal, (const char *)text.p, plan, &found, &e);
    buf_free(&text);
    return rc == ERR_OK && found && plan->workers == r->slots ? plan : NULL;
}

// False: it could not be written. Whoever waits for it must not take silence for success.
static bool print_report(struct run *r, const char *status, const char *error,
                         bool balanced)
{
    uint32_t n = 0;
    const struct source_input *in =
        r->plan.source ? source_inputs(r->plan.source, &n) : NULL;
    struct journal_plan plan;
    struct report x = { .job = r->job,
                        .run = r->record.id,
                        .status = status,
                        .error = error,
                        .plan = find_plan(r, &plan),
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
    say_to(stderr, "tranche: the report cannot be written to standard output: %s\n",
           strerror(errno));
    return false;
}

// What the same command would do, after something that another attempt may help.
static void say_what_stands(const struct run *r, err_t rc)
{
    if (!r->load.load_id || r->ops->forgets) return;
    if (rc == ERR_CHANGED || rc == ERR_INVALID) return; // it would be refused again
    if (r->totals.chunks + r->load.n_ledger > 0)
        say_to(stderr,
               "tranche: what was committed is safe; the same command continues there\n");
    else if (rc == ERR_CLOSED && !r->totals.interrupted)
        say_to(stderr, "tranche: nothing is known to be committed yet; the same command "
                       "tries it again\n");
}

static int end_badly(struct run *r, err_t rc, const struct err *e)
{
    int code = run_exit_code(rc, &r->totals);
    bool step = r->job->place != JOB_ALONE;
    const char *status = r->totals.interrupted    ? "interrupted"
                         : r->totals.limit_passed ? "limit passed"
                                                  : "failed";
    progress_end(&r->progress);
    say_to(stderr, "tranche: %s%s", step ? r->job->name : "", step ? ": " : "");
    say_line(stderr, e->text);
    say_what_stands(r, rc);
    keep_record(r, status, code, e->text);
    (void)print_report(r, status, e->text, false); // the code says that it went wrong
    return code;
}

// What became of the good rows.
static const char *past_limit_what(const struct run *r)
{
    if (r->job->mode != MODE_REPLACE)
        return "the good rows are loaded; see the rejected rows, or raise --bad-rows";
    if (r->ops->forgets)
        return "no table was made; see the rejected rows, or raise --bad-rows";
    return "the old table stands, nothing was swapped in; see the rejected rows, or raise "
           "--bad-rows";
}

static int end_well(struct run *r, bool limit)
{
    struct balance b;
    uint32_t n;
    source_inputs(r->plan.source, &n);
    report_sum(r->by_input, n, &b);
    bool balanced = report_balances(r->by_input, n);
    bool rejects = b.rejected + b.refused > 0;
    const char *status = limit     ? "limit passed"
                         : rejects ? "loaded with rejects"
                                   : "loaded";
    int code = !balanced ? CLI_INFRASTRUCTURE
               : limit   ? CLI_LIMIT
               : rejects ? CLI_REJECTS
                         : CLI_OK;
    char error[400] = "";
    if (limit)
        snprintf(
            error, sizeof error, "%llu row%s rejected%s, limits.bad_rows allows %s: %s",
            (unsigned long long)(b.rejected + b.refused),
            b.rejected + b.refused == 1 ? " was" : "s were",
            r->totals.rows_read ? "" : " by earlier runs of this load",
            r->job->bad_rows_share >= 0 ? "a smaller share" : "fewer", past_limit_what(r));
    keep_record(r, status, code, error);
    if (!print_report(r, status, error, balanced) && code == CLI_OK)
        code = CLI_INFRASTRUCTURE;
    if (limit) say_to(stderr, "tranche: %s\n", error);
    return code;
}

void run_close(struct run *r)
{
    if (r->ops && r->warehouse) r->ops->close(&r->warehouse);
    result_cache_close(&r->cache);
    journal_close(&r->journal); // the worker takes its leave meanwhile
    local_link_drop(&r->ipc_to_be);
    link_close(&r->ipc, 200);
    door_close(&r->door);
    local_close(&r->local);
    load_state_free(&r->load);
    arena_free(&r->mem);
    plan_free(&r->plan);
    buf_free(&r->spec);
    free(r->by_input);
}

static err_t run_all(struct run *r, bool *limit, struct err *e)
{
    TRY(run_open_all(r, e));
    struct app_in in = { .job = r->job,
                         .source = r->plan.source,
                         .ops = r->ops,
                         .warehouse = r->warehouse,
                         .load = &r->load,
                         .load_name = r->load_name,
                         .journal = r->journal,
                         .run_began = r->journal_began,
                         .link = { r->ipc, r->door.link },
                         .gate = r->door.gate,
                         .secret = r->door.secret,
                         .local = &r->local,
                         .slots = r->slots,
                         .spec = &r->spec,
                         .files = &r->plan.spec.files,
                         .result_max_bytes = r->plan.spec.result_max_bytes,
                         .progress = &r->progress,
                         .cache = r->cache };
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

static void sum_up(struct run *r, struct run_sums *s)
{
    const struct load_merge *merge = r->plan.source ? plan_merge(&r->plan) : NULL;
    const struct app_totals *t = &r->totals;
    *s = (struct run_sums){ .rows_read = t->rows_read,
                            .rows_parsed = t->rows_parsed,
                            .rows_rejected = t->rows_rejected,
                            .rows_emitted = t->rows_emitted,
                            .rows_loaded = t->rows_loaded,
                            .rows_made = merge ? merge->rows_out : t->rows_loaded,
                            .rows_refused = t->rows_refused,
                            .chunks = t->chunks,
                            .chunks_cached = t->chunks_cached,
                            .retries = t->retries,
                            .bytes_read = t->bytes_read,
                            .seconds = (double)(clock_ns() - r->started) / (double)NS_S,
                            .slots = r->slots,
                            .coordinator_seconds = (double)clock_cpu_ns() / (double)NS_S,
                            .loading_seconds = (double)t->commit_ns / (double)NS_S,
                            .worker_cpu_ns = t->worker_cpu_ns,
                            .busy_ns = t->parse_ns + t->apply_ns + t->encode_ns,
                            .changed = t->rows_loaded || !was_complete(r) };
    snprintf(s->run, sizeof s->run, "%s", r->record.id);
}

int run_job(const struct job *j)
{
    struct run_sums nobody;
    return run_job_summed(j, &nobody);
}

int run_job_summed(const struct job *j, struct run_sums *sums)
{
    struct run r = { .job = j, .started = clock_ns() };
    struct err e = { 0 };
    bool limit = false;
    r.local.pidfd = -1;
    progress_init(&r.progress, j->progress, j->output == OUTPUT_QUIET, r.started);
    if (j->place != JOB_ALONE) progress_label(&r.progress, j->name, j->place == JOB_STEP);
    err_t rc = interrupt_start(stop_at_once, &r, &e);
    if (rc == ERR_OK) rc = run_all(&r, &limit, &e);
    interrupt_claim_end(false);
    int code = rc == ERR_OK ? end_well(&r, limit) : end_badly(&r, rc, &e);
    sum_up(&r, sums);
    run_close(&r);
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
