#include "coordinator/web_metrics.h"

#include "common/utf8.h"
#include "coordinator/web_json.h"

#include <string.h>

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP tranche_%s %s\n# TYPE tranche_%s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, double n)
{
    head(out, name, type, help);
    fprintf(out, "tranche_%s %.15g\n", name, n);
}

// Of any text: the format knows three escapes, and wants UTF-8.
static void label(FILE *out, const char *key, const char *s)
{
    size_t n = strlen(s), bad = utf8_bad((const uint8_t *)s, n);
    fprintf(out, "%s=\"", key);
    for (size_t i = 0; i < n; i++) {
        bool broken = i == bad;
        if (broken) bad = i + 1 + utf8_bad((const uint8_t *)s + i + 1, n - i - 1);
        if (broken)
            fputs("\xef\xbf\xbd", out);
        else if (s[i] == '\n')
            fputs("\\n", out);
        else if (s[i] == '"' || s[i] == '\\')
            fprintf(out, "\\%c", s[i]);
        else
            fputc(s[i], out);
    }
    fputc('"', out);
}

// ---- of the server ----

static void server(const struct web_view *v, FILE *out)
{
    head(out, "info", "gauge", "Version of the server; always 1.");
    fputs("tranche_info{", out);
    label(out, "version", v->facts.version);
    fputs("} 1\n", out);
    one(out, "start_time_seconds", "gauge", "When the server began, in seconds since 1970.",
        (double)v->facts.since_ms / 1000);
    one(out, "jobs_at_a_time_limit", "gauge", "Jobs that may run at the same time.",
        v->facts.jobs);
    head(out, "jobs", "gauge", "Jobs in the queue and in its memory, by state.");
    for (uint64_t i = 0; i < BACKLOG_N_STATES; i++)
        fprintf(out, "tranche_jobs{state=\"%s\"} %llu\n", backlog_state_text(i),
                (unsigned long long)v->jobs_in[i]);
}

static void sums(const struct web_sums *s, FILE *out)
{
    one(out, "runs_begun_total", "counter", "Runs of this folder since the server began.",
        (double)s->begun);
    head(out, "runs_ended_total", "counter", "Runs that are over, by how they ended.");
#define X(member, text)                                                  \
    fprintf(out, "tranche_runs_ended_total{status=\"" text "\"} %llu\n", \
            (unsigned long long)s->member);
    WEB_ENDS(X)
#undef X
    one(out, "run_seconds_total", "counter", "How long the runs that are over took.",
        (double)s->seconds_ms / 1000);
    one(out, "rows_read_total", "counter", "Rows read by all runs.", (double)s->rows_read);
    one(out, "rows_rejected_total", "counter", "Rows rejected or refused by all runs.",
        (double)s->rows_rejected);
    one(out, "rows_loaded_total", "counter", "Rows loaded by all runs.",
        (double)s->rows_loaded);
    one(out, "chunks_total", "counter", "Chunks committed by all runs.", (double)s->chunks);
    one(out, "retries_total", "counter", "Attempts that had to be repeated.",
        (double)s->retries);
    one(out, "read_bytes_total", "counter", "Bytes of input read by all runs.",
        (double)s->bytes_read);
}

// ---- of the runs that go on ----

static double run_rows_read(const struct web_run *r)
{
    return (double)r->now.rows_read;
}
static double run_rejected(const struct web_run *r)
{
    return (double)r->now.rows_rejected;
}
static double run_loaded(const struct web_run *r)
{
    return (double)r->now.rows_loaded;
}
static double run_chunks(const struct web_run *r)
{
    return (double)r->now.chunks;
}
static double run_retries(const struct web_run *r)
{
    return (double)r->now.retries;
}
static double run_read_bytes(const struct web_run *r)
{
    return (double)r->now.bytes_read;
}
static double run_running(const struct web_run *r)
{
    return (double)r->now.running;
}
static double run_waiting(const struct web_run *r)
{
    return (double)r->now.waiting;
}
static double run_results(const struct web_run *r)
{
    return (double)r->now.results;
}
static double run_workers(const struct web_run *r)
{
    return r->now.workers;
}
static double run_slots(const struct web_run *r)
{
    return r->now.slots;
}
static double run_busy(const struct web_run *r)
{
    return r->now.busy;
}

static double run_share(const struct web_run *r)
{
    const struct journal_now *n = &r->now;
    if (!n->bytes_total) return -1;
    return n->bytes < n->bytes_total ? (double)n->bytes / (double)n->bytes_total : 1;
}

static double run_left(const struct web_run *r)
{
    return r->left_ms < 0 ? -1 : (double)r->left_ms / 1000;
}

static double run_started(const struct web_run *r)
{
    return (double)r->started_ms / 1000;
}

static const struct {
    const char *name, *type, *help;
    double (*of)(const struct web_run *r); // below 0: unknown
} of_runs[] = {
    { "run_start_time_seconds", "gauge", "When the run began, in seconds since 1970.",
      run_started },
    { "run_rows_read_total", "counter", "Rows that the run has read.", run_rows_read },
    { "run_rows_rejected_total", "counter", "Rows that it has rejected or refused.",
      run_rejected },
    { "run_rows_loaded_total", "counter", "Rows that it has loaded.", run_loaded },
    { "run_chunks_total", "counter", "Chunks that it has committed.", run_chunks },
    { "run_retries_total", "counter", "Attempts that it had to repeat.", run_retries },
    { "run_read_bytes_total", "counter", "Bytes of input that it has read.",
      run_read_bytes },
    { "run_input_done_ratio", "gauge", "Share of the input that is done, where known.",
      run_share },
    { "run_left_seconds", "gauge", "How long it will still take, where known.", run_left },
    { "run_chunks_running", "gauge", "Chunks that workers have.", run_running },
    { "run_chunks_waiting", "gauge", "Chunks that wait for a worker.", run_waiting },
    { "run_results_waiting", "gauge", "Results that wait for the warehouse.", run_results },
    { "run_workers", "gauge", "Workers of the run.", run_workers },
    { "run_slots", "gauge", "Slots of its workers.", run_slots },
    { "run_slots_busy", "gauge", "Slots that are at work.", run_busy },
};

static void run_line(FILE *out, const char *name, const struct web_run *r, double n)
{
    fprintf(out, "tranche_%s{", name);
    label(out, "run", r->run.id);
    fputc(',', out);
    label(out, "name", r->run.name);
    fprintf(out, ",job=\"%lld\"} %.15g\n", (long long)r->job, n);
}

static void runs(const struct web_view *v, FILE *out)
{
    for (size_t k = 0; k < sizeof of_runs / sizeof *of_runs; k++) {
        bool any = false;
        for (uint32_t i = 0; i < v->n_runs; i++) {
            const struct web_run *r = &v->runs[i];
            double n = r->goes_on ? of_runs[k].of(r) : -1;
            if (n < 0) continue;
            if (!any) head(out, of_runs[k].name, of_runs[k].type, of_runs[k].help);
            any = true;
            run_line(out, of_runs[k].name, r, n);
        }
    }
}

static void crew(const struct web_view *v, FILE *out)
{
    uint64_t slots = 0, busy = 0, workers = 0;
    for (uint32_t i = 0; i < v->n_runs; i++) {
        if (!v->runs[i].goes_on) continue;
        workers += v->runs[i].now.workers;
        slots += v->runs[i].now.slots;
        busy += v->runs[i].now.busy;
    }
    one(out, "workers", "gauge", "Workers of the runs that go on.", (double)workers);
    one(out, "slots", "gauge", "Slots of these workers.", (double)slots);
    one(out, "slots_busy", "gauge", "Slots that are at work.", (double)busy);
}

err_t web_metrics(struct web_view *v, const struct web_request *r, int *status,
                  struct buf *out, struct err *e)
{
    struct web_json j; // a stream is a stream
    (void)r, (void)status;
    TRY(web_json_begin(&j, e));
    server(v, j.f);
    sums(&v->totals.now, j.f);
    crew(v, j.f);
    runs(v, j.f);
    return web_json_end(&j, ERR_OK, out, e);
}
