#include "coordinator/scale.h"

#include "common/say.h"
#include "common/units.h"
#include "coordinator/cli.h"
#include "coordinator/interrupt.h"
#include "coordinator/journal.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const ns_t GRACE = 15 * NS_S, // for workers that were told that the run is over
    LOOK_EVERY = NS_S;

struct scale {
    struct scale_opts *o;
    struct launcher *launcher;
    struct launcher_count count;
    struct journal_live live;
    struct scale_brake brake;
    struct scale_spare spare;
    int64_t before;   // seq of the last run that was over when we came; -1: not asked
    bool followed;    // a run was seen to go on
    ns_t waits_since; // for a run to begin; 0: one goes on
    ns_t next;        // when to count and to decide
    uint32_t started, failed, most;
    bool engine_fails; // told already
    struct err e;
};

__attribute__((format(printf, 2, 3))) static void say(const struct scale *s,
                                                      const char *fmt, ...)
{
    va_list ap;
    if (s->o->output == OUTPUT_QUIET) return;
    va_start(ap, fmt);
    fputs("tranche: ", stderr);
    say_to_v(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

// ---- the run ----

static err_t look(struct scale *s, ns_t now)
{
    struct journal_live l;
    err_t rc = journal_live_get(s->o->state, &l, &s->e);
    if (rc == ERR_BUSY) return ERR_OK; // it will be free again
    if (rc != ERR_OK) return rc;
    bool runs = l.state == JOURNAL_LIVE_RUNS;
    if (s->before < 0) s->before = runs || l.state == JOURNAL_LIVE_NONE ? 0 : l.seq;
    if (l.state != JOURNAL_LIVE_NONE && l.seq <= s->before) l.state = JOURNAL_LIVE_NONE;
    if (runs && (!s->followed || strcmp(s->live.run, l.run) != 0))
        say(s, "run %s takes workers", l.run);
    if (l.state == JOURNAL_LIVE_DIED && s->live.state == JOURNAL_LIVE_RUNS)
        say(s, "the process of run %s is gone; waiting for the run to be continued", l.run);
    if (l.state == JOURNAL_LIVE_NONE && !s->waits_since)
        say(s, "no run takes workers in %s yet; waiting for one", s->o->state);
    s->followed |= runs;
    s->live = l;
    if (runs)
        s->waits_since = 0;
    else if (!s->waits_since)
        s->waits_since = now;
    return ERR_OK;
}

// ---- workers ----

static void on_failures(struct scale *s, uint32_t n, const char *why, ns_t now)
{
    char pause[UNITS_TEXT];
    if (!scale_failed(&s->brake, n, now)) {
        if (n) say(s, "a worker failed: %s", why);
        return;
    }
    int64_t ms = (s->brake.until - now) / NS_MS;
    say_to(stderr,
           "tranche: %u workers in a row failed to start, no more are started for %s. The "
           "last: %s\n",
           s->brake.failures, units_duration_text(ms, pause), why);
}

static void take_count(struct scale *s, ns_t now)
{
    const struct launcher_count *c = &s->count;
    s->failed += c->failed;
    if (c->up > s->most) s->most = c->up;
    if (c->failed) on_failures(s, c->failed, c->why, now);
    scale_counted(&s->brake, c->up, c->pending, c->ended_well, now);
}

static void say_left(const struct scale *s, uint32_t have, ns_t now)
{
    char pause[UNITS_TEXT];
    say(s,
        "a worker got no batch and left, though batches wait (the run says who gets none): "
        "%u stay, no more are started for %s",
        have, units_duration_text((s->spare.until - now) / NS_MS, pause));
}

// An engine that cannot be asked, or refuses: said once until it is well again.
static void engine_failed(struct scale *s)
{
    if (!s->engine_fails) say_to(stderr, "tranche: %s\n", s->e.text);
    s->engine_fails = true;
}

static err_t start_some(struct scale *s, uint32_t n, bool stays)
{
    if (n) TRY(s->o->ops->start(s->launcher, n, stays, &s->e));
    s->started += n;
    return ERR_OK;
}

static void start(struct scale *s, uint32_t n, ns_t now)
{
    const struct scale_rule *r = &s->o->rule;
    uint32_t have = s->count.up + s->count.pending, may = scale_may_start(&s->brake, now),
             room = scale_room(&s->spare, r, have, now);
    if (n > may) n = may;
    if (n > room) n = room;
    if (n == 0) return;
    uint32_t stay = have < r->min ? r->min - have : 0;
    if (stay > n) stay = n;
    say(s, "%s %u worker%s (%u of at most %u are there): %llu batches wait, %llu run",
        have ? "starting" : "starting the first", n, n == 1 ? "" : "s", have, r->max,
        (unsigned long long)s->live.waiting +
            (s->live.to_come > 0 ? (unsigned long long)s->live.to_come : 0),
        (unsigned long long)s->live.running);
    err_t rc = start_some(s, stay, true);
    if (rc == ERR_OK) rc = start_some(s, n - stay, false);
    if (rc != ERR_OK) on_failures(s, 1, s->e.text, now);
}

static void act(struct scale *s, ns_t now)
{
    if (s->o->ops->count(s->launcher, &s->count, &s->e) != ERR_OK) {
        engine_failed(s);
        return;
    }
    s->engine_fails = false;
    take_count(s, now);
    uint32_t have = s->count.up + s->count.pending;
    struct scale_view v = { .running = s->live.running,
                            .waiting = s->live.waiting,
                            .to_come = s->live.to_come,
                            .idle_slots = s->live.idle_slots,
                            .workers = s->live.workers,
                            .slots = s->live.slots,
                            .have = have };
    if (s->live.state != JOURNAL_LIVE_RUNS) return;
    if (scale_left(&s->spare, &v, s->count.ended_well, now)) say_left(s, have, now);
    uint32_t want = scale_wanted(&s->o->rule, &v);
    if (want > have)
        start(s, want - have, now);
    else if (want < have && s->o->ops->stop(s->launcher, have - want, &s->e) != ERR_OK)
        engine_failed(s);
}

// ---- the loop ----

static void nap(ns_t at_most)
{
    struct pollfd p = { interrupt_fd(), POLLIN, 0 };
    if (at_most > 0) poll(&p, 1, (int)(at_most / NS_MS) + 1);
}

// -1: it goes on.
static int step(struct scale *s)
{
    char wait[UNITS_TEXT];
    ns_t now = clock_ns(), interval = s->o->interval_ms * NS_MS;
    if (look(s, now) != ERR_OK) {
        say_to(stderr, "tranche: %s\n", s->e.text);
        return CLI_INFRASTRUCTURE;
    }
    if (s->live.state == JOURNAL_LIVE_ENDED && s->followed) return CLI_OK;
    if (s->waits_since && now - s->waits_since >= s->o->wait_ms * NS_MS) {
        say_to(stderr,
               "tranche: no run that takes workers %s in %s within %s: start one with "
               "tranche run --listen, or name its folder with --state\n",
               s->followed ? "was continued" : "began", s->o->state,
               units_duration_text(s->o->wait_ms, wait));
        return CLI_INFRASTRUCTURE;
    }
    if (now >= s->next) {
        act(s, now);
        s->next = clock_ns() + interval;
    }
    nap(interval < LOOK_EVERY ? interval : LOOK_EVERY);
    return interrupt_seen() ? CLI_INTERRUPTED : -1;
}

// The run's workers leave by themselves; those that wait for a place are not needed.
static void let_them_leave(struct scale *s)
{
    for (ns_t until = clock_ns() + GRACE; clock_ns() < until && !interrupt_seen();) {
        if (s->o->ops->count(s->launcher, &s->count, &s->e) != ERR_OK) return;
        take_count(s, clock_ns());
        if (s->count.pending &&
            s->o->ops->stop(s->launcher, s->count.pending, &s->e) != ERR_OK)
            return;
        if (!s->count.up && !s->count.pending) return;
        nap(NS_S / 2);
    }
}

static void report(const struct scale *s, int code)
{
    const char *status = code == CLI_OK            ? "the run is over"
                         : code == CLI_INTERRUPTED ? "interrupted"
                                                   : "failed";
    if (s->o->output == OUTPUT_JSON)
        printf("{\"launcher\":\"%s\",\"status\":\"%s\",\"run\":\"%s\",\"started\":%u,"
               "\"failed\":%u,\"most\":%u}\n",
               s->o->ops->name, status, s->followed ? s->live.run : "", s->started,
               s->failed, s->most);
    else
        say(s, "%s: %u worker%s started, at most %u at a time, %u failed", status,
            s->started, s->started == 1 ? "" : "s", s->most, s->failed);
}

static void stop_at_once(void *arg, int signo)
{
    static const char text[] = "tranche: interrupted again: workers may be left\n";
    (void)arg, (void)signo;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(CLI_INTERRUPTED);
    _exit(CLI_INTERRUPTED);
}

static int follow(struct scale *s)
{
    int code = -1;
    interrupt_watch(true);
    while (code < 0)
        code = step(s);
    if (code == CLI_OK) let_them_leave(s);
    interrupt_watch(false);
    bool keep = s->o->launcher.keep;
    if (keep && code != CLI_OK)
        say(s, "the workers are kept: they leave when the run is over, or when they are "
               "idle");
    if (s->o->ops->close(&s->launcher, keep, &s->e) != ERR_OK) {
        say_to(stderr, "tranche: the workers could not be stopped: %s\n", s->e.text);
        if (code == CLI_OK) code = CLI_INFRASTRUCTURE;
    }
    return code;
}

// The commands for as many workers as there may be.
static err_t show(struct scale *s)
{
    const struct scale_rule *r = &s->o->rule;
    if (r->min) TRY(s->o->ops->start(s->launcher, r->min, true, &s->e));
    if (r->max > r->min) TRY(s->o->ops->start(s->launcher, r->max - r->min, false, &s->e));
    TRY(s->o->ops->count(s->launcher, &s->count, &s->e));
    return s->o->ops->close(&s->launcher, s->o->launcher.keep, &s->e);
}

static int failed(const struct scale *s, err_t rc)
{
    say_to(stderr, "tranche: scale: %s\n", s->e.text);
    return rc == ERR_INVALID ? CLI_USAGE : CLI_INFRASTRUCTURE;
}

static err_t settle_room(struct scale *s)
{
    struct scale_rule *r = &s->o->rule;
    uint32_t room = s->o->ops->room(s->launcher);
    if (r->max == 0 && room == UINT32_MAX)
        return err_set(&s->e, ERR_INVALID, "how many workers may there be? --max N");
    if (r->max > room)
        return err_set(&s->e, ERR_INVALID, "--max %u, but the hosts file has %u host%s",
                       r->max, room, room == 1 ? "" : "s");
    if (r->max == 0) r->max = room;
    if (r->min > r->max)
        return err_set(&s->e, ERR_INVALID, "--min %u is more than --max %u", r->min,
                       r->max);
    return ERR_OK;
}

int scale_run(struct scale_opts *o)
{
    struct scale s = { .o = o,
                       .before = -1,
                       .brake.pause = o->pause_ms * NS_MS,
                       .spare = { .pause = o->pause_ms * NS_MS,
                                  .idle = o->launcher.idle_timeout_ms * NS_MS } };
    if (o->dry_run) o->launcher.show = stdout;
    o->rule.slots = o->launcher.slots;
    err_t rc = o->ops->open(&s.launcher, &o->launcher, &s.e);
    if (rc == ERR_OK) rc = settle_room(&s);
    if (rc == ERR_OK && o->dry_run) rc = show(&s);
    if (rc == ERR_OK && !o->dry_run) rc = interrupt_start(stop_at_once, &s, &s.e);
    int code = rc != ERR_OK ? failed(&s, rc) : o->dry_run ? CLI_OK : follow(&s);
    if (s.launcher && o->ops->close(&s.launcher, true, &s.e) != ERR_OK)
        code = CLI_INFRASTRUCTURE;
    if (!o->dry_run && rc == ERR_OK) report(&s, code);
    return fflush(stdout) == 0 ? code : CLI_INFRASTRUCTURE;
}
