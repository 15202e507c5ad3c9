// `tranche scale` with a launcher and a run that do what a table says: what is started and
// stopped, what is said, and how it ends.

#include "common/say.h"
#include "coordinator/cli.h"
#include "coordinator/interrupt.h"
#include "coordinator/journal.h"
#include "coordinator/scale.h"
#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

// ---- a run, by seconds

struct second {
    err_t rc;
    enum journal_live_state state;
    int64_t seq;
    uint64_t running, waiting;
};

static struct {
    const struct second *at; // the last one goes on for ever
    size_t n, now;
    ns_t passed;
    unsigned interrupt_at; // look; 0: never
} play;

err_t __real_journal_live_get(const char *dir, struct journal_live *out, struct err *e);
err_t __wrap_journal_live_get(const char *dir, struct journal_live *out, struct err *e);
err_t __wrap_journal_live_get(const char *dir, struct journal_live *out, struct err *e)
{
    const struct second *s = &play.at[play.now < play.n ? play.now : play.n - 1];
    (void)dir;
    play.now++;
    *out = (struct journal_live){ .state = s->state,
                                  .seq = s->seq,
                                  .run = "r1",
                                  .running = s->running,
                                  .waiting = s->waiting };
    return s->rc == ERR_OK ? ERR_OK : err_set(e, s->rc, "the history cannot be read");
}

ns_t __real_clock_ns(void);
ns_t __wrap_clock_ns(void);
ns_t __wrap_clock_ns(void)
{
    return NS_S + play.passed;
}

int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
    (void)fds, (void)n;
    play.passed += ms * NS_MS;
    return 0;
}

int __real_interrupt_seen(void);
int __wrap_interrupt_seen(void);
int __wrap_interrupt_seen(void)
{
    return play.interrupt_at && play.now >= play.interrupt_at ? 15 : 0;
}
void __real_interrupt_watch(bool on);
void __wrap_interrupt_watch(bool on);
void __wrap_interrupt_watch(bool on)
{
    (void)on;
}
int __real_interrupt_fd(void);
int __wrap_interrupt_fd(void);
int __wrap_interrupt_fd(void)
{
    return -1;
}
static err_t starts = ERR_OK;
err_t __real_interrupt_start(interrupt_fn *at_once, void *arg, struct err *e);
err_t __wrap_interrupt_start(interrupt_fn *at_once, void *arg, struct err *e);
err_t __wrap_interrupt_start(interrupt_fn *at_once, void *arg, struct err *e)
{
    (void)at_once, (void)arg;
    return starts == ERR_OK ? ERR_OK : err_set(e, starts, "no thread");
}

static char heard[8000];
void __real_say_to_v(FILE *to, const char *fmt, va_list ap);
void __wrap_say_to_v(FILE *to, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
void __wrap_say_to_v(FILE *to, const char *fmt, va_list ap)
{
    size_t n = strlen(heard);
    (void)to;
    vsnprintf(heard + n, sizeof heard - n, fmt, ap);
}
void __real_say_to(FILE *to, const char *fmt, ...);
void __wrap_say_to(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void __wrap_say_to(FILE *to, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    __wrap_say_to_v(to, fmt, ap);
    va_end(ap);
}

// ---- a launcher

enum call { OPEN = 1, START, COUNT, STOP, CLOSE };

static struct engine {
    enum call fails;    // all of these; 0: none does
    enum call fails_in; // from the third second on
    uint32_t room;
    uint32_t fail_some; // workers that fail at each count
    bool ends_well;     // all of them leave at each count
    bool hold;          // what is started waits for a place
    uint32_t up, pending, started, stays, stopped;
    bool open, kept;
} engine;

static err_t may(enum call c, struct err *e)
{
    bool no = engine.fails == c || (engine.fails_in == c && play.now >= 3);
    return no ? err_set(e, ERR_IO, "the engine refuses") : ERR_OK;
}

static err_t open_engine(struct launcher **out, const struct launcher_opts *o,
                         struct err *e)
{
    (void)o;
    TRY(may(OPEN, e));
    engine.open = true;
    *out = (struct launcher *)(void *)&engine;
    return ERR_OK;
}
static uint32_t room(const struct launcher *l)
{
    (void)l;
    return engine.room;
}
static err_t start(struct launcher *l, uint32_t n, bool stays, struct err *e)
{
    (void)l;
    TRY(may(START, e));
    engine.started += n;
    if (stays) engine.stays += n;
    if (engine.hold)
        engine.pending += n;
    else
        engine.up += n;
    return ERR_OK;
}
static err_t count(struct launcher *l, struct launcher_count *out, struct err *e)
{
    (void)l;
    TRY(may(COUNT, e));
    *out = (struct launcher_count){ .up = engine.up, .pending = engine.pending };
    out->failed = engine.up < engine.fail_some ? engine.up : engine.fail_some;
    if (out->failed) strcpy(out->why, "no memory there");
    out->up = engine.up -= out->failed;
    if (engine.ends_well) out->ended_well = engine.up, out->up = engine.up = 0;
    return ERR_OK;
}
static err_t stop(struct launcher *l, uint32_t n, struct err *e)
{
    (void)l;
    TRY(may(STOP, e));
    engine.stopped += n;
    uint32_t waits = n < engine.pending ? n : engine.pending;
    engine.pending -= waits;
    n -= waits;
    engine.up -= n < engine.up ? n : engine.up;
    return ERR_OK;
}
static err_t close_engine(struct launcher **l, bool keep, struct err *e)
{
    assert_true(engine.open);
    engine.open = false;
    engine.kept = keep;
    *l = NULL;
    return may(CLOSE, e);
}

static const struct launcher_ops OPS = { "fake", open_engine, room,        start,
                                         count,  stop,        close_engine };

// ---- rows

static const struct second NOTHING[] = { { 0, JOURNAL_LIVE_NONE, 0, 0, 0 } };
static const struct second A_RUN[] = {
    { 0, JOURNAL_LIVE_NONE, 0, 0, 0 },  { ERR_BUSY, JOURNAL_LIVE_NONE, 0, 0, 0 },
    { 0, JOURNAL_LIVE_RUNS, 1, 0, 40 }, { 0, JOURNAL_LIVE_RUNS, 1, 4, 20 },
    { 0, JOURNAL_LIVE_RUNS, 1, 2, 0 },  { 0, JOURNAL_LIVE_ENDED, 1, 0, 0 }
};
static const struct second OLD_THEN_RUN[] = { { 0, JOURNAL_LIVE_ENDED, 7, 0, 0 },
                                              { 0, JOURNAL_LIVE_ENDED, 7, 0, 0 },
                                              { 0, JOURNAL_LIVE_RUNS, 8, 0, 9 },
                                              { 0, JOURNAL_LIVE_RUNS, 8, 0, 9 },
                                              { 0, JOURNAL_LIVE_ENDED, 8, 0, 0 } };
static const struct second OLD_ENDS_UNSEEN[] = { { 0, JOURNAL_LIVE_NONE, 0, 0, 0 },
                                                 { 0, JOURNAL_LIVE_ENDED, 7, 0, 0 } };
static const struct second DIES[] = { { 0, JOURNAL_LIVE_RUNS, 1, 0, 40 },
                                      { 0, JOURNAL_LIVE_DIED, 1, 0, 0 } };
static const struct second LONG[] = { { 0, JOURNAL_LIVE_RUNS, 1, 0, 40 } };
static const struct second DAMAGED[] = { { 0, JOURNAL_LIVE_NONE, 0, 0, 0 },
                                         { ERR_DB, 0, 0, 0, 0 } };

#define RUN(a) a, N_OF(a)

static const struct row {
    const char *name;
    const struct second *at;
    size_t n;
    struct engine engine;
    struct scale_rule rule; // min, max, per_worker
    int code;
    const char *says; // NULL: nothing is said
    unsigned interrupt_at;
    bool dry, keep;
    enum job_output output;
} rows[] = {
    { "a_run_gets_workers",
      RUN(A_RUN),
      { .room = 9 },
      { .max = 5, .per_worker = 4 },
      CLI_OK,
      "the run is over: 5 workers started, at most 5 at a time, 0 failed",
      0,
      false,
      false,
      0 },
    { "nobody_is_told_when_it_is_quiet",
      RUN(A_RUN),
      { .room = 9 },
      { .max = 5, .per_worker = 4 },
      CLI_OK,
      NULL,
      0,
      false,
      false,
      OUTPUT_QUIET },
    { "one_is_enough",
      RUN(A_RUN),
      { .room = 1 },
      { .max = 0, .per_worker = 4 },
      CLI_OK,
      "1 worker started, at most 1",
      0,
      false,
      false,
      0 },
    { "a_run_that_was_over_is_not_followed",
      RUN(OLD_THEN_RUN),
      { .room = 9 },
      { .min = 2, .max = 3, .per_worker = 1 },
      CLI_OK,
      "the run is over: 3 workers",
      0,
      false,
      false,
      0 },
    { "one_that_ended_unseen_is_none_that_was_followed",
      RUN(OLD_ENDS_UNSEEN),
      { .room = 9 },
      { .max = 3, .per_worker = 1 },
      CLI_INFRASTRUCTURE,
      "no run that takes workers began",
      0,
      false,
      false,
      0 },
    { "no_run_comes",
      RUN(NOTHING),
      { .room = 9 },
      { .max = 5 },
      CLI_INFRASTRUCTURE,
      "no run that takes workers began in state within",
      0,
      false,
      false,
      0 },
    { "a_run_that_died_is_not_continued",
      RUN(DIES),
      { .room = 9 },
      { .max = 5 },
      CLI_INFRASTRUCTURE,
      "no run that takes workers was continued in state",
      0,
      false,
      true,
      0 },
    { "workers_are_kept",
      RUN(LONG),
      { .room = 9 },
      { .max = 5, .per_worker = 4 },
      CLI_INTERRUPTED,
      "the workers are kept",
      4,
      false,
      true,
      0 },
    { "kept_of_a_run_that_is_over",
      RUN(A_RUN),
      { .room = 9 },
      { .max = 5, .per_worker = 4 },
      CLI_OK,
      "the run is over",
      0,
      false,
      true,
      0 },
    { "a_history_that_cannot_be_read",
      RUN(DAMAGED),
      { .room = 9 },
      { .max = 5 },
      CLI_INFRASTRUCTURE,
      "the history cannot be read",
      0,
      false,
      false,
      0 },
    { "an_engine_that_cannot_be_asked",
      RUN(LONG),
      { .room = 9, .fails = COUNT },
      { .max = 5, .per_worker = 4 },
      CLI_INTERRUPTED,
      "the engine refuses",
      9,
      false,
      false,
      0 },
    { "an_engine_that_starts_nobody",
      RUN(LONG),
      { .room = 9, .fails = START },
      { .min = 1, .max = 5, .per_worker = 4 },
      CLI_INTERRUPTED,
      "3 workers in a row failed to start, no more are started for 5m. The last: the "
      "engine "
      "refuses",
      9,
      false,
      false,
      0 },
    { "an_engine_that_stops_nobody",
      RUN(A_RUN),
      { .room = 9, .fails = STOP },
      { .max = 5, .per_worker = 4 },
      CLI_OK,
      "the engine refuses",
      0,
      false,
      false,
      0 },
    { "those_who_wait_for_a_place_are_not_needed_at_the_end",
      RUN(A_RUN),
      { .room = 9, .hold = true },
      { .max = 5, .per_worker = 4 },
      CLI_OK,
      "the run is over",
      0,
      false,
      false,
      0 },
    { "those_who_wait_cannot_be_stopped",
      RUN(A_RUN),
      { .room = 9, .hold = true, .fails = STOP },
      { .max = 5, .per_worker = 4 },
      CLI_OK,
      "the run is over",
      0,
      false,
      false,
      0 },
    { "at_the_end_it_cannot_be_asked",
      RUN(OLD_THEN_RUN),
      { .room = 9, .fails_in = COUNT },
      { .max = 5, .per_worker = 4 },
      CLI_OK,
      "the engine refuses",
      0,
      false,
      false,
      0 },
    { "workers_that_fail",
      RUN(LONG),
      { .room = 9, .fail_some = 1 },
      { .max = 2, .per_worker = 4 },
      CLI_INTERRUPTED,
      "a worker failed: no memory there",
      9,
      false,
      false,
      0 },
    { "workers_that_leave_though_batches_wait",
      RUN(LONG),
      { .room = 9, .ends_well = true },
      { .max = 2, .per_worker = 4 },
      CLI_INTERRUPTED,
      "a worker got no batch and left",
      99,
      false,
      false,
      0 },
    { "an_engine_that_cannot_be_opened",
      RUN(NOTHING),
      { .fails = OPEN },
      { .max = 5 },
      CLI_INFRASTRUCTURE,
      "scale: the engine refuses",
      0,
      false,
      false,
      0 },
    { "workers_that_cannot_be_stopped",
      RUN(A_RUN),
      { .room = 9, .fails = CLOSE },
      { .max = 5, .per_worker = 4 },
      CLI_INFRASTRUCTURE,
      "the workers could not be stopped: the engine refuses",
      0,
      false,
      false,
      0 },
    { "stopped_neither_after_a_failure",
      RUN(DAMAGED),
      { .room = 9, .fails = CLOSE },
      { .max = 5 },
      CLI_INFRASTRUCTURE,
      "the workers could not be stopped",
      0,
      false,
      false,
      0 },
    { "nobody_knows_how_many",
      RUN(NOTHING),
      { .room = UINT32_MAX },
      { .max = 0 },
      CLI_USAGE,
      "how many workers may there be? --max N",
      0,
      false,
      false,
      0 },
    { "more_than_there_is_room_for",
      RUN(NOTHING),
      { .room = 1 },
      { .max = 5 },
      CLI_USAGE,
      "--max 5, but the hosts file has 1 host\n",
      0,
      false,
      false,
      0 },
    { "more_than_hosts",
      RUN(NOTHING),
      { .room = 2 },
      { .max = 5 },
      CLI_USAGE,
      "--max 5, but the hosts file has 2 hosts\n",
      0,
      false,
      false,
      0 },
    { "the_least_is_more_than_the_most",
      RUN(NOTHING),
      { .room = 9, .fails = CLOSE },
      { .min = 6, .max = 5 },
      CLI_INFRASTRUCTURE,
      "--min 6 is more than --max 5",
      0,
      false,
      false,
      0 },
    { "shown",
      RUN(NOTHING),
      { .room = 9 },
      { .min = 2, .max = 5 },
      CLI_OK,
      NULL,
      0,
      true,
      false,
      0 },
    { "shown_as_many_as_the_least",
      RUN(NOTHING),
      { .room = 9 },
      { .min = 2, .max = 2 },
      CLI_OK,
      NULL,
      0,
      true,
      false,
      0 },
    { "not_shown",
      RUN(NOTHING),
      { .room = 9, .fails = START },
      { .min = 2, .max = 5 },
      CLI_INFRASTRUCTURE,
      "scale: the engine refuses",
      0,
      true,
      false,
      0 },
    { "not_shown_further",
      RUN(NOTHING),
      { .room = 9, .fails = START },
      { .max = 5 },
      CLI_INFRASTRUCTURE,
      "scale: the engine refuses",
      0,
      true,
      false,
      0 },
    { "shown_but_not_counted",
      RUN(NOTHING),
      { .room = 9, .fails = COUNT },
      { .max = 5 },
      CLI_INFRASTRUCTURE,
      "scale: the engine refuses",
      0,
      true,
      false,
      0 },
};

static int scale(const struct row *row)
{
    struct scale_opts o = { .ops = &OPS,
                            .launcher = { .idle_timeout_ms = 1000, .keep = row->keep },
                            .rule = row->rule,
                            .state = "state",
                            .interval_ms = 500,
                            .wait_ms = 60000,
                            .pause_ms = 300000,
                            .dry_run = row->dry,
                            .output = row->output };
    heard[0] = 0;
    play.at = row->at;
    play.n = row->n;
    play.now = 0;
    play.passed = 0;
    play.interrupt_at = row->interrupt_at;
    engine = row->engine;
    int was = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDERR_FILENO); // its lines begin there
    int code = scale_run(&o);
    dup2(was, STDERR_FILENO);
    close(was);
    close(nowhere);
    return code;
}

static void ends_as_it_should(void **state)
{
    const struct row *row = *state;
    int code = scale(row);
    if (code != row->code) fail_msg("code %d: %s", code, heard);
    if (row->says ? !strstr(heard, row->says) : heard[0]) fail_msg("%s", heard);
    assert_false(engine.open);
    if (code == CLI_OK && row->rule.min) EQ_I64(row->rule.min, engine.stays);
    assert_true(engine.started <= (row->rule.max ? row->rule.max : engine.room) ||
                engine.fail_some || engine.ends_well);
}

static void without_signals_nothing_begins(void **state)
{
    static const struct row row = { "",   RUN(A_RUN), { .room = 9 }, { .max = 5 }, 0,
                                    NULL, 0,          false,         false,        0 };
    (void)state;
    starts = ERR_IO;
    EQ_I64(CLI_INFRASTRUCTURE, scale(&row));
    starts = ERR_OK;
    EQ_I64(0, engine.started);
    assert_non_null(strstr(heard, "scale: no thread"));
}

int main(void)
{
    const struct CMUnitTest plain[] = { cmocka_unit_test(without_signals_nothing_begins) };
    return test_main("scale", plain, N_OF(plain), TABLE(rows, ends_as_it_should),
                     N_OF(rows));
}
