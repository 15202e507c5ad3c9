#include "coordinator/past_json.h"

#include "coordinator/past_say.h"

void past_json_number(const char *key, uint64_t n, FILE *out)
{
    fprintf(out, ",\"%s\":%llu", key, (unsigned long long)n);
}

void past_json_text(const char *key, const char *s, FILE *out)
{
    fprintf(out, ",\"%s\":", key);
    json_string(s, out);
}

void past_json_worker(const struct journal_worker *w, FILE *out)
{
    fputs("\"name\":", out);
    json_string(w->name, out);
    past_json_text("role", w->role, out);
    past_json_text("host", w->host, out);
    past_json_text("cpu", w->cpu, out);
    past_json_number("cores", w->cores, out);
    past_json_number("slots", w->slots, out);
    past_json_number("memory_bytes", w->memory_bytes, out);
    past_json_number("sessions", w->sessions, out);
    fprintf(out, ",\"came_ms\":%lld,\"left_ms\":", (long long)w->came_ms);
    if (w->left_ms < 0)
        fputs("null", out);
    else
        fprintf(out, "%lld", (long long)w->left_ms);
    past_json_number("chunks", w->chunks, out);
    past_json_number("failed", w->failed, out);
    past_json_number("busy_ms", (uint64_t)w->busy_ms, out);
}

static void json_workers(const struct past *p, FILE *out)
{
    fputs(",\"workers\":[", out);
    for (uint32_t i = 0; i < p->n_workers; i++) {
        fputs(i ? ",{" : "{", out);
        past_json_worker(&p->workers[i], out);
        fputc('}', out);
    }
    fputc(']', out);
}

void past_json_samples(const struct past *p, FILE *out)
{
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct journal_sample *s = &p->samples[i];
        fprintf(out, "%s{\"at_ms\":%lld", i ? "," : "", (long long)s->at_ms);
        past_json_number("rows_read", s->rows_read, out);
        past_json_number("bytes", s->bytes, out);
        past_json_number("chunks", s->chunks, out);
        past_json_number("workers", s->workers, out);
        past_json_number("slots", s->slots, out);
        past_json_number("busy", s->busy, out);
        fputc('}', out);
    }
}

void past_json_chunks(const struct past *p, const struct past_chunk *c, uint32_t n,
                      FILE *out)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i) fputc(',', out);
        past_json_chunk(p, &c[i], out);
    }
}

void past_json_reasons(const struct past *p, FILE *out)
{
    for (uint32_t i = 0; i < p->n_reasons; i++) {
        fprintf(out, "%s{\"reason\":", i ? "," : "");
        json_string(p->reasons[i].reason, out);
        past_json_number("rows", p->reasons[i].rows, out);
        fputc('}', out);
    }
}

static void json_cache(const struct past *p, FILE *out)
{
    fputs(",\"cache\":[", out);
    for (uint32_t i = 0; i < p->n_reused; i++) {
        const struct past_reused *r = &p->reused[i];
        fprintf(out, "%s{\"input\":", i ? "," : "");
        json_string(past_input_name(p, r->range.input), out);
        past_json_number("begin", r->range.begin, out);
        past_json_number("end", r->range.end, out);
        past_json_number("chunks", r->chunks, out);
        fprintf(out, ",\"reused\":%s", r->why[0] ? "false" : "true");
        past_json_text("why", r->why, out);
        fputc('}', out);
    }
    fputc(']', out);
}

void past_json_counts(const struct journal_run *r, FILE *out)
{
    past_json_number("rows_read", r->rows_read, out);
    past_json_number("rows_parsed", r->rows_parsed, out);
    past_json_number("rows_rejected", r->rows_rejected, out);
    past_json_number("rows_emitted", r->rows_emitted, out);
    past_json_number("rows_loaded", r->rows_loaded, out);
    past_json_number("rows_refused", r->rows_refused, out);
    past_json_number("chunks_done", r->chunks, out);
    past_json_number("retries", r->retries, out);
    past_json_number("bytes_read", r->bytes_read, out);
}

void past_json_totals(const struct past *p, FILE *out)
{
    const struct journal_run *r = &p->run;
    fputs("\"run\":", out);
    json_string(r->id, out);
    past_json_text("status", r->status, out);
    past_json_text("error", r->error, out);
    past_json_text("name", r->name, out);
    past_json_text("job_file", r->job_file, out);
    past_json_text("into", r->into, out);
    past_json_text("table", r->table, out);
    fprintf(out, ",\"goes_on\":%s,\"started_ms\":%lld,\"seconds\":%.3f,\"exit_code\":%d",
            p->goes_on ? "true" : "false", (long long)p->started_ms, r->seconds,
            r->exit_code);
    past_json_counts(r, out);
    past_json_number("attempts", p->attempts, out);
    past_json_number("attempts_failed", p->failed, out);
    past_json_number("attempts_lost", p->lost, out);
    if (p->planned) fprintf(out, ",\"planned_seconds\":%.3f", p->plan.seconds);
}

void past_json_run(const struct past *p, FILE *out)
{
    past_json_totals(p, out);
    json_workers(p, out);
    json_cache(p, out);
}

static void json_try(const struct past_try *t, FILE *out)
{
    fputs("{\"run\":", out);
    json_string(t->run, out);
    past_json_number("attempt", t->attempt, out);
    past_json_text("worker", t->worker, out);
    past_json_text("host", t->host, out);
    fprintf(out, ",\"started_ms\":%lld", (long long)t->started_ms);
    past_json_number("ms", (uint64_t)t->ms, out);
    past_json_number("peak_kb", (uint64_t)t->peak_kb, out);
    past_json_number("chunks", t->chunks, out);
    past_json_text("outcome", t->outcome, out);
    past_json_text("text", t->text, out);
    fputc('}', out);
}

void past_json_chunk(const struct past *p, const struct past_chunk *c, FILE *out)
{
    fputs("{\"number\":", out);
    fprintf(out, c->number ? "%llu" : "null", (unsigned long long)c->number);
    past_json_text("input", past_input_name(p, c->range.input), out);
    past_json_number("begin", c->range.begin, out);
    past_json_number("end", c->range.end, out);
    past_json_number("chunks", c->chunks, out);
    past_json_number("ms", c->ms > 0 ? (uint64_t)c->ms : 0, out);
    fputs(",\"attempts\":[", out);
    for (uint32_t i = 0; i < c->n; i++) {
        if (i) fputc(',', out);
        json_try(&c->tries[i], out);
    }
    fputs("]}", out);
}

void past_json_events(const struct past *p, FILE *out)
{
    for (uint32_t i = 0; i < p->n_events; i++) {
        fprintf(out, "%s{\"at_ms\":%lld", i ? "," : "", (long long)p->events[i].at_ms);
        past_json_text("kind", p->events[i].kind, out);
        past_json_text("text", p->events[i].text, out);
        fputc('}', out);
    }
}

void past_json_rows(const struct past_rows *r, FILE *out)
{
    if (r->unknown) {
        fputs("{\"unknown\":", out);
        json_string(r->unknown, out);
        fputc('}', out);
        return;
    }
    fputs("{\"state\":", out);
    json_string(r->state, out);
    past_json_text("worker", r->worker, out);
    past_json_number("attempt", r->attempt, out);
    past_json_number("first_line", r->first_line, out);
    past_json_number("lines", r->lines, out);
    past_json_number("rows_read", r->rows_read, out);
    past_json_number("rows_rejected", r->rows_rejected, out);
    past_json_number("rows_loaded", r->rows_loaded, out);
    past_json_number("rows_refused", r->rows_refused, out);
    if (r->first >= 0) past_json_number("first", (uint64_t)r->first, out);
    if (r->last >= 0) past_json_number("last", (uint64_t)r->last, out);
    fputc('}', out);
}

void past_json_cached(const struct past *p, struct range r, FILE *out)
{
    const struct past_reused *x = past_reused_of(p, r);
    if (x)
        json_string(x->why, out);
    else
        fputs("null", out);
}
