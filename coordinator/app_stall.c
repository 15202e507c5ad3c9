// A run without progress says what it waits for, once, and the bar shows it.

#include "coordinator/app_impl.h"

#include <stdio.h>
#include <string.h>

static const ns_t STALLED = 30 * NS_S,
                  UNPLACED = 5 * NS_S; // nobody can work at all

static long long seconds(ns_t t)
{
    return (long long)(t / NS_S);
}

// Who has the first chunk that is missing, since when.
static void explain_chunk(struct app *a, const struct sched_wait *w, ns_t now, char *out,
                          size_t cap)
{
    char name[300] = "a batch";
    struct work *k = work_by_id(&a->works, w->chunk);
    struct session *s = session_by_sid(&a->sessions, w->worker);
    long long since = seconds(now - w->since);
    if (k) app_chunk_name(a, k, name, sizeof name);
    if (w->state != CHUNK_LEASED)
        snprintf(out, cap,
                 w->state == CHUNK_SUSPECT
                     ? "%.150s failed and waits %lld s for a worker of its own"
                     : "%.150s waits %lld s for a worker that is free",
                 name, since);
    else
        snprintf(out, cap, "worker %.64s has %.150s for %lld s (attempt %u)",
                 s ? s->name : "?", name, since, w->attempt);
}

// All other runners, in a few words.
static void add_others(const struct sched_counts *c, char *out, size_t cap)
{
    size_t n = strlen(out);
    if (c->slots && n < cap)
        snprintf(out + n, cap - n, "; %u of %u slots of %u worker%s are busy", c->running,
                 c->slots, c->workers, c->workers == 1 ? "" : "s");
}

static void explain_wait(struct app *a, ns_t now, char *out, size_t cap)
{
    struct sched_wait w;
    struct sched_counts c;
    sched_count(a->sched, &c);
    ns_t loader = now - a->last_loaded;
    bool missing = sched_waits_for(a->sched, &w);
    // Workers that are idle while it loads are held back for it.
    if (a->in_loader && (!missing || !c.running)) {
        snprintf(out, cap,
                 "the warehouse has committed nothing for %lld s; %llu results (%.1f MB) "
                 "wait for it",
                 seconds(loader), (unsigned long long)a->in_loader,
                 (double)a->loading_bytes / 1e6);
    } else if (missing) {
        explain_chunk(a, &w, now, out, cap);
        add_others(&c, out, cap);
    } else if (!a->fed) {
        snprintf(out, cap, "no row has come from the input for %lld s",
                 seconds(now - a->last_fed));
    }
}

static ns_t last_progress(const struct app *a)
{
    return a->last_loaded > a->last_result ? a->last_loaded : a->last_result;
}

void app_mind_stall(struct app *a, ns_t now)
{
    char line[sizeof a->waits + 60];
    ns_t quiet = now - last_progress(a);
    bool was = a->waits[0] != 0;
    a->waits[0] = 0;
    if (now - a->last_result >= clock_protocol(UNPLACED))
        app_explain_workers(a, a->waits, sizeof a->waits);
    if (a->waits[0]) quiet = now - a->last_result; // a load that begins is no progress
    if (!a->waits[0] && quiet >= clock_protocol(STALLED))
        explain_wait(a, now, a->waits, sizeof a->waits);
    if (was || !a->waits[0]) return;
    snprintf(line, sizeof line, "no progress for %lld s: %s", seconds(quiet), a->waits);
    app_say(a, "stall", line);
}
