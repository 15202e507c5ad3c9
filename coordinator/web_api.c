#include "coordinator/web_api.h"

#include "coordinator/backlog_json.h"
#include "coordinator/past_json.h"
#include "coordinator/web_json.h"

#include <string.h>

static void integer(const char *key, int64_t n, FILE *out)
{
    fprintf(out, ",\"%s\":%lld", key, (long long)n);
}

// -1: nobody knows.
static void maybe(const char *key, int64_t n, FILE *out)
{
    if (n < 0)
        fprintf(out, ",\"%s\":null", key);
    else
        integer(key, n, out);
}

err_t web_api_error(const char *text, struct buf *out, struct err *e)
{
    struct web_json j;
    TRY(web_json_begin(&j, e));
    fputs("{\"error\":", j.f);
    json_string(text, j.f);
    fputs("}\n", j.f);
    return web_json_end(&j, ERR_OK, out, e);
}

err_t web_api_health(struct web_view *v, const struct web_request *r, int *status,
                     struct buf *out, struct err *e)
{
    (void)v, (void)r, (void)status;
    return buf_printf(out, e, "ok\n");
}

// ---- the server ----

err_t web_api_server(struct web_view *v, const struct web_request *r, int *status,
                     struct buf *out, struct err *e)
{
    struct web_json j;
    uint64_t on = 0;
    (void)r, (void)status;
    for (uint32_t i = 0; i < v->n_runs; i++)
        on += v->runs[i].goes_on;
    TRY(web_json_begin(&j, e));
    fputs("{\"version\":", j.f);
    json_string(v->facts.version, j.f);
    past_json_text("state_folder", v->facts.state, j.f);
    integer("since_ms", v->facts.since_ms, j.f);
    integer("now_ms", v->taken_ms, j.f);
    past_json_number("snapshot", v->version, j.f);
    past_json_number("jobs_at_a_time", v->facts.jobs, j.f);
    fputs(",\"jobs\":{", j.f);
    for (uint64_t i = 0; i < BACKLOG_N_STATES; i++)
        fprintf(j.f, "%s\"%s\":%llu", i ? "," : "", backlog_state_text(i),
                (unsigned long long)v->jobs_in[i]);
    fputc('}', j.f);
    past_json_number("runs", v->all_runs, j.f);
    past_json_number("runs_going_on", on, j.f);
    past_json_number("workers", v->n_workers, j.f);
    fputs("}\n", j.f);
    return web_json_end(&j, ERR_OK, out, e);
}

// ---- lists of jobs and runs ----

struct page { // of a list, by `before` and `limit`
    struct web_json j;
    uint64_t before, limit, n;
    int64_t last; // number of the last one
    bool more;
};

static err_t page_begin(struct page *p, const struct web_request *r, const char *list,
                        struct err *e)
{
    *p = (struct page){ 0 };
    TRY(web_param_number(r, "before", 1, INT64_MAX, 0, &p->before, e));
    TRY(web_param_number(r, "limit", 1, WEB_API_LIMIT_MAX, WEB_API_LIMIT, &p->limit, e));
    TRY(web_json_begin(&p->j, e));
    fprintf(p->j.f, "{\"%s\":[", list);
    return ERR_OK;
}

// False: it does not belong to this page any more. One more is asked for than it has.
static bool page_next(struct page *p, int64_t number)
{
    p->more = p->n == p->limit;
    if (p->more) return false;
    fputs(p->n++ ? ",{" : "{", p->j.f);
    p->last = number;
    return true;
}

static err_t page_end(struct page *p, err_t rc, struct buf *out, struct err *e)
{
    fputc(']', p->j.f);
    maybe("next", p->more ? p->last : -1, p->j.f);
    fputs("}\n", p->j.f);
    return web_json_end(&p->j, rc, out, e);
}

static void json_job(const struct web_job *job, FILE *out)
{
    struct backlog_job b = job->job;
    if (job->run) b.run = job->run->run.id;
    backlog_json(&b, out);
}

static bool add_job(void *arg, const struct web_job *job)
{
    struct page *p = arg;
    if (!page_next(p, job->job.id)) return false;
    json_job(job, p->j.f);
    fputc('}', p->j.f);
    return true;
}

err_t web_api_jobs(struct web_view *v, const struct web_request *r, int *status,
                   struct buf *out, struct err *e)
{
    struct page p;
    (void)status;
    TRY(page_begin(&p, r, "jobs", e));
    err_t rc = web_view_jobs(v, (int64_t)p.before, (uint32_t)p.limit + 1, add_job, &p, e);
    return page_end(&p, rc, out, e);
}

static void json_now(const struct web_run *r, FILE *out)
{
    const struct journal_now *n = &r->now;
    if (!r->goes_on || !n->at_ms) {
        fputs(",\"now\":null", out);
        return;
    }
    fprintf(out, ",\"now\":{\"at_ms\":%lld", (long long)n->at_ms);
    past_json_number("rows_read", n->rows_read, out);
    past_json_number("rows_rejected", n->rows_rejected, out);
    past_json_number("rows_loaded", n->rows_loaded, out);
    fprintf(out, ",\"rows_per_second\":%.1f", r->rows_per_second);
    fprintf(out, ",\"input_in\":\"%s\"", n->in_rows ? "rows" : "bytes");
    past_json_number("input_done", n->bytes, out);
    maybe("input_all", n->bytes_total ? (int64_t)n->bytes_total : -1, out);
    maybe("left_ms", r->left_ms, out);
    past_json_number("chunks_done", n->chunks, out);
    past_json_number("chunks_running", n->running, out);
    past_json_number("chunks_waiting", n->waiting, out);
    maybe("chunks_to_come", n->to_come, out);
    past_json_number("results_waiting", n->results, out);
    past_json_number("retries", n->retries, out);
    past_json_number("workers", n->workers, out);
    past_json_number("slots", n->slots, out);
    past_json_number("slots_busy", n->busy, out);
    fputc('}', out);
}

static void json_run(const struct web_run *w, FILE *out)
{
    const struct journal_run *r = &w->run;
    fprintf(out, "\"run\":\"%s\"", r->id);
    integer("number", w->seq, out);
    maybe("job", w->job ? w->job : -1, out);
    past_json_text("status", r->status, out);
    past_json_text("error", r->error, out);
    past_json_text("name", r->name, out);
    past_json_text("job_file", r->job_file, out);
    past_json_text("into", r->into, out);
    past_json_text("table", r->table, out);
    fprintf(out, ",\"goes_on\":%s", w->goes_on ? "true" : "false");
    integer("started_ms", w->started_ms, out);
    maybe("ended_ms", w->ended_ms ? w->ended_ms : -1, out);
    fprintf(out, ",\"seconds\":%.3f", r->seconds);
    integer("exit_code", r->exit_code, out);
    past_json_counts(r, out);
    json_now(w, out);
}

static bool add_run(void *arg, const struct web_run *w)
{
    struct page *p = arg;
    if (!page_next(p, w->seq)) return false;
    json_run(w, p->j.f);
    fputc('}', p->j.f);
    return true;
}

err_t web_api_runs(struct web_view *v, const struct web_request *r, int *status,
                   struct buf *out, struct err *e)
{
    struct page p;
    (void)status;
    TRY(page_begin(&p, r, "runs", e));
    err_t rc = web_view_runs(v, (int64_t)p.before, (uint32_t)p.limit + 1, add_run, &p, e);
    return page_end(&p, rc, out, e);
}

err_t web_api_run(struct web_view *v, const struct web_request *r, int *status,
                  struct buf *out, struct err *e)
{
    struct page p = { .limit = 1 };
    (void)status;
    TRY(web_json_begin(&p.j, e));
    err_t rc = web_view_run(v, r->name, add_run, &p, e);
    fputc('\n', p.j.f);
    return web_json_end(&p.j, rc, out, e);
}

// ---- one job ----

static bool tell_job(void *arg, const struct web_job *job)
{
    struct page *p = arg;
    fputc('{', p->j.f);
    json_job(job, p->j.f);
    fputs(",\"runs\":[", p->j.f);
    return true;
}

err_t web_api_job(struct web_view *v, const struct web_request *r, int *status,
                  struct buf *out, struct err *e)
{
    struct page p = { .limit = WEB_API_LIMIT };
    int64_t id;
    (void)status;
    TRY(web_name_number(r, &id, e));
    TRY(web_json_begin(&p.j, e));
    err_t rc = web_view_job(v, id, tell_job, &p, e);
    if (rc == ERR_OK) rc = web_view_runs_of(v, id, WEB_API_LIMIT, add_run, &p, e);
    fputs("]}\n", p.j.f);
    return web_json_end(&p.j, rc, out, e);
}

// ---- workers ----

static void json_worker(const struct web_worker *w, FILE *out)
{
    past_json_worker(&w->w, out);
    fprintf(out, ",\"run\":\"%s\"", w->run->run.id);
    maybe("job", w->run->job ? w->run->job : -1, out);
    integer("since_ms", w->run->started_ms + w->w.came_ms, out);
    fprintf(out, ",\"leaving\":%s,\"doing\":", w->leaving ? "true" : "false");
    if (!w->chunks) {
        fputs("null", out);
        return;
    }
    fputs("{\"input\":", out);
    json_string(w->input, out);
    fprintf(out, ",\"in\":\"%s\"", w->in_rows ? "rows" : "bytes");
    past_json_number("begin", w->begin, out);
    past_json_number("end", w->end, out);
    past_json_number("chunks", w->chunks, out);
    fputc('}', out);
}

err_t web_api_workers(struct web_view *v, const struct web_request *r, int *status,
                      struct buf *out, struct err *e)
{
    struct web_json j;
    uint64_t from, limit;
    (void)status;
    TRY(web_param_number(r, "after", 0, WEB_WORKERS_MAX, 0, &from, e));
    TRY(web_param_number(r, "limit", 1, WEB_API_LIMIT_MAX, WEB_API_LIMIT, &limit, e));
    TRY(web_json_begin(&j, e));
    fprintf(j.f, "{\"all\":%u,\"workers\":[", v->n_workers);
    uint64_t i = from;
    for (; i < v->n_workers && i < from + limit; i++) {
        fputs(i > from ? ",{" : "{", j.f);
        json_worker(&v->workers[i], j.f);
        fputc('}', j.f);
    }
    fputc(']', j.f);
    maybe("next", i < v->n_workers ? (int64_t)i : -1, j.f);
    fputs("}\n", j.f);
    return web_json_end(&j, ERR_OK, out, e);
}
