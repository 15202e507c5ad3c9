#include "coordinator/past_say.h"

#include "common/say.h"
#include "common/utf8.h"
#include "coordinator/progress.h"

#include <string.h>
#include <time.h>

const char *past_time(int64_t wall_ms, bool date, char out[PAST_TIME])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm = { 0 };
    if (!localtime_r(&t, &tm)) return strcpy(out, "?");
    strftime(out, PAST_TIME, date ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &tm);
    return out;
}

const char *past_span(int64_t ms, char out[PAST_SPAN])
{
    if (ms < 1000)
        snprintf(out, PAST_SPAN, "%lld ms", (long long)ms);
    else if (ms < 60000)
        snprintf(out, PAST_SPAN, "%.1f s", (double)ms / 1000);
    else
        format_seconds((double)ms / 1000, out, PAST_SPAN);
    return out;
}

const char *past_title(const struct past *p, const struct past_chunk *c, char *out,
                       size_t cap)
{
    char name[300], number[40] = "", more[60] = "";
    if (c->number) snprintf(number, sizeof number, " %llu", (unsigned long long)c->number);
    if (c->chunks > 1)
        snprintf(more, sizeof more, ", %llu chunks given out together",
                 (unsigned long long)c->chunks);
    snprintf(out, cap, "chunk%s, %s%s", number,
             past_chunk_name(p, c->range, name, sizeof name), more);
    return out;
}

const char *past_short(const char *text, char *out, size_t cap)
{
    size_t n = strlen(text), k = utf8_cut((const uint8_t *)text, n, cap - 8);
    snprintf(out, cap, "%.*s%s", (int)k, text, k < n ? " ..." : "");
    for (char *c = out; *c; c++)
        if (*c == '\n') *c = ' ';
    return out;
}

const char *past_why_again(const struct past_try *t)
{
    if (!strcmp(t->outcome, "ok") || !strcmp(t->outcome, "late")) return NULL;
    return past_outcome(t->outcome);
}

const struct past_reused *past_reused_of(const struct past *p, struct range r)
{
    for (uint32_t i = 0; i < p->n_reused; i++)
        if (range_overlaps(p->reused[i].range, r)) return &p->reused[i];
    return NULL;
}

static const char *count(uint64_t n, char *out)
{
    format_count(n, out, 32);
    return out;
}

void past_say_head(const struct past *p, FILE *out)
{
    char began[PAST_TIME], took[PAST_SPAN];
    const struct journal_run *r = &p->run;
    say_to(out, "run %s: %s%s\n", r->id, r->status, p->goes_on ? ", it goes on" : "");
    if (r->error[0]) say_to(out, "  %s\n", r->error);
    say_to(out, "  job      %s%s%s%s, into %s%s%s\n", r->name, r->job_file[0] ? " (" : "",
           r->job_file, r->job_file[0] ? ")" : "", r->into, r->table[0] ? ", table " : "",
           r->table);
    say_to(out, "  time     began %s", past_time(p->started_ms, true, began));
    if (p->ended_ms)
        say_to(out, ", took %s, exit code %d",
               past_span((int64_t)(r->seconds * 1000), took), r->exit_code);
    say_to(out, "\n");
    if (p->planned && r->seconds > 0 && strncmp(r->status, "loaded", 6) == 0)
        say_to(out, "  plan     %s was expected with %u batches at a time: %+.0f %%\n",
               past_span((int64_t)(p->plan.seconds * 1000), took), p->plan.workers,
               journal_plan_error(&p->plan, r->seconds) * 100);
}

void past_say_balance(const struct past *p, FILE *out)
{
    char x[6][32];
    const struct journal_run *r = &p->run;
    if (!p->ended_ms) return; // nobody has added it up
    say_to(out, "  read     %s rows = parsed %s + rejected %s\n", count(r->rows_read, x[0]),
           count(r->rows_parsed, x[1]), count(r->rows_rejected, x[2]));
    say_to(out, "  emitted  %s rows = loaded %s + refused %s\n",
           count(r->rows_emitted, x[3]), count(r->rows_loaded, x[4]),
           count(r->rows_refused, x[5]));
    say_to(out, "  chunks   %s, %s retries; ", count(r->chunks, x[0]),
           count(r->retries, x[1]));
    say_to(out, "%s attempts on record, %s failed, %s lost or given back\n",
           count(p->attempts, x[2]), count(p->failed, x[3]), count(p->lost, x[4]));
}

void past_say_cache(const struct past *p, FILE *out)
{
    uint64_t had = 0;
    char x[32];
    if (!p->n_reused) return;
    for (uint32_t i = 0; i < p->n_reused; i++)
        had += p->reused[i].why[0] ? 0 : p->reused[i].chunks;
    say_to(out, "  cache    it had the results of %s chunks\n", count(had, x));
    for (uint32_t i = 0; i < p->n_reused; i++) {
        const struct past_reused *r = &p->reused[i];
        uint64_t same = 0;
        bool told = !r->why[0];
        for (uint32_t k = 0; k < p->n_reused && !told; k++) {
            if (strcmp(p->reused[k].why, r->why) != 0) continue;
            told = k < i; // each reason once
            same += p->reused[k].chunks;
        }
        if (!told) say_to(out, "           of %s not: %s\n", count(same, x), r->why);
    }
}

void past_say_workers(const struct past *p, FILE *out)
{
    char came[PAST_SPAN], left[PAST_SPAN], busy[PAST_SPAN], chunks[32];
    uint32_t shown = 0, n = 0;
    for (uint32_t i = 0; i < p->n_workers; i++)
        n += strcmp(p->workers[i].role, "coordinator") != 0;
    if (n) say_to(out, "\nworkers\n");
    for (uint32_t i = 0; i < p->n_workers && shown < 50; i++) {
        const struct journal_worker *w = &p->workers[i];
        if (!strcmp(w->role, "coordinator")) continue;
        shown++;
        bool here = w->left_ms < 0;
        say_to(out, "  %-20s %-7s %u slots on %s, %s to %s, busy %s, %s chunks", w->name,
               w->role, w->slots, w->host, past_span(w->came_ms, came),
               here ? "the end" : past_span(w->left_ms, left), past_span(w->busy_ms, busy),
               count(w->chunks, chunks));
        if (w->failed) say_to(out, ", %llu failures", (unsigned long long)w->failed);
        if (w->sessions > 1) say_to(out, ", came %u times", w->sessions);
        say_to(out, "\n");
    }
    if (n > shown) say_to(out, "  ... and %u more\n", n - shown);
}

static void say_try(const struct past *p, const struct past_try *t, FILE *out)
{
    char at[PAST_TIME], took[PAST_SPAN];
    bool other = strcmp(t->run, p->run.id) != 0;
    say_to(out, "    attempt %u%s%s on %s%s%s%s, given out %s", t->attempt,
           other ? " of run " : "", other ? t->run : "", t->worker, t->host[0] ? " (" : "",
           t->host, t->host[0] ? ")" : "", past_time(t->started_ms, true, at));
    if (t->chunks > 1)
        say_to(out, " together with %llu other%s", (unsigned long long)t->chunks - 1,
               t->chunks == 2 ? "" : "s");
    if (t->ms > 0) say_to(out, ", %s", past_span(t->ms, took));
    if (t->peak_kb > 0) say_to(out, ", peak %.1f MB", (double)t->peak_kb / 1e3);
    say_to(out, ": %s\n", past_outcome(t->outcome));
    if (!t->text[0]) return;
    fputs("      ", out);
    say_line(out, t->text);
}

void past_say_tries(const struct past *p, const struct past_chunk *c, FILE *out)
{
    for (uint32_t i = 0; i < c->n; i++)
        say_try(p, &c->tries[i], out);
    if (c->n_tries > c->n) say_to(out, "    ... and %u more attempts\n", c->n_tries - c->n);
}

// The last attempt that did not end well stands for all.
static void say_trouble(const struct past *p, const struct past_chunk *c, FILE *out)
{
    char name[400], line[300];
    const struct past_try *t = NULL;
    bool well = false;
    for (uint32_t i = 0; i < c->n; i++) {
        if (past_why_again(&c->tries[i])) t = &c->tries[i];
        well = !strcmp(c->tries[i].outcome, "ok");
    }
    say_to(out, "  %s", past_title(p, c, name, sizeof name));
    if (t)
        say_to(out, ": attempt %u of %u on %s: %s%s%s%s", t->attempt, c->n_tries, t->worker,
               past_outcome(t->outcome), t->text[0] ? ": " : "",
               past_short(t->text, line, sizeof line), well ? "; the next ended well" : "");
    say_to(out, "\n");
}

void past_say_troubled(const struct past *p, FILE *out)
{
    if (!p->n_troubled) return;
    say_to(out, "\nchunks that were tried more than once, or failed\n");
    for (uint32_t i = 0; i < p->n_troubled; i++)
        say_trouble(p, &p->troubled[i], out);
    if (p->all_troubled > p->n_troubled)
        say_to(out, "  ... and %llu more chunks\n",
               (unsigned long long)(p->all_troubled - p->n_troubled));
    if (p->all_halved)
        say_to(out, "  %llu more failed and %s only halved on the way to these\n",
               (unsigned long long)p->all_halved, p->all_halved == 1 ? "was" : "were");
}

void past_say_events(const struct past *p, FILE *out)
{
    char at[PAST_TIME];
    if (!p->n_events) return;
    say_to(out, "\nwhat happened\n");
    for (uint32_t i = 0; i < p->n_events; i++) {
        if (i == PAST_EVENTS / 2 && p->all_events > p->n_events)
            say_to(out, "  ... and %llu more lines\n",
                   (unsigned long long)(p->all_events - p->n_events));
        say_to(out, "  %s %-10s ", past_time(p->events[i].at_ms, false, at),
               p->events[i].kind);
        say_line(out, p->events[i].text);
    }
}
