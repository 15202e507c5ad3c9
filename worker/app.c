#include "worker/app_impl.h"

#include "common/say.h"
#include "common/scratch.h"
#include "worker/orphans.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    GOODBYE_MS = 500,
    DRAINED_MS = 5000, // its last results are on their way
};
static const ns_t BREATH = 5 * NS_S, // so often even an idle worker says something
    LOOK_EVERY = NS_S / 20;

static void beat(struct app *a, ns_t now)
{
    if (now < a->next_beat) return;
    a->next_beat = now + a->heartbeat;
    for (uint32_t i = 0; i < a->n_slots * a->lanes; i++) {
        // Those behind it in its train wait for nothing else, and are as good as begun.
        for (const struct task *t = a->running[i]; t; t = t->next) {
            struct msg m = { .type = MSG_PROGRESS };
            COPY_LEASE(m.PROGRESS, t->assign);
            m.PROGRESS.cpu_ms = (uint64_t)slot_cpu_ms(&a->slot[i / a->lanes]);
            worker_post(a, &m);
        }
    }
}

static void stop_late_batches(struct app *a, ns_t now)
{
    // A second more than the transform's own deadline: its sentence is better than ours.
    ns_t limit = (ns_t)a->limits.timeout_ms * NS_MS + NS_S;
    for (uint32_t i = 0; i < a->n_slots * a->lanes; i++) {
        struct task *t = worker_current(a, i);
        // Nobody wants it, but it was not this one's turn when that was said.
        bool unwanted = t && t->cancelled && a->lanes == 1;
        ns_t late = unwanted ? NS_S : limit;
        if (t && !t->started) t->started = now; // it was given ahead, and nobody looked
        if (!t || t->timed_out || now - t->started < late) continue;
        t->timed_out = true;
        slot_doom(&a->slot[i / a->lanes]);
    }
}

// Job code runs already when a runner opens its transforms.
static void stop_late_starts(struct app *a, ns_t now)
{
    ns_t limit = (ns_t)a->limits.timeout_ms * NS_MS + NS_S;
    for (uint32_t i = 0; i < a->n_slots; i++)
        if (a->slot[i].state == SLOT_STARTING && now - a->slot[i].started >= limit)
            slot_kill(&a->slot[i]);
}

static bool is_busy(const struct app *a)
{
    bool busy = a->queue != NULL;
    for (uint32_t i = 0; i < a->n_slots * a->lanes; i++)
        busy |= a->running[i] != NULL;
    return busy;
}

// A coordinator that is silent because it waits for us must hear that we are there.
static void breathe(struct app *a, ns_t now)
{
    struct msg m = { .type = MSG_PONG };
    if (a->sid && now - a->sent >= clock_protocol(BREATH)) worker_post(a, &m);
}

static void mind_the_uplink(struct app *a, ns_t now)
{
    switch (uplink_tick(&a->up, a->silence, now, &a->e)) {
    case UPLINK_QUIET: break;
    case UPLINK_HELLO: worker_begin_session(a); break;
    case UPLINK_GIVE_UP:
        say_to(stderr, "tranche-worker: %s: leaving\n", a->e.text);
        a->stop = true;
        a->exit_code = 1;
    }
}

// Results are packed on lines that are slower than the packer.
static void look_at_line(struct app *a, ns_t now)
{
    struct line_sample s;
    if (!a->up.link || !uplink_is_tcp(a->opts) || now - a->looked < LOOK_EVERY) return;
    a->looked = now;
    link_line(a->up.link, NULL, &s);
    line_look(&a->line, &s, &a->meter, 1, now);
}

static void tick(struct app *a)
{
    char text[100];
    ns_t now = clock_ns();
    beat(a, now);
    breathe(a, now);
    stop_late_batches(a, now);
    stop_late_starts(a, now);
    mind_the_uplink(a, now);
    look_at_line(a, now);
    if (is_busy(a) || a->runners_wait) a->worked = now;
    ns_t idle = a->opts->idle_timeout_ms * NS_MS;
    if (a->stop) return;
    if (a->draining && !is_busy(a)) {
        worker_leave(a, 0, ERR_OK, "");
    } else if (idle && now - a->worked >= idle) {
        snprintf(text, sizeof text, "nothing to do for %lld s: leaving",
                 (long long)((now - a->worked) / NS_S));
        say_to(stderr, "tranche-worker: %s\n", text);
        worker_leave(a, 0, ERR_OK, "");
    }
}

// Ctrl-C at a local worker reaches its whole group: there the coordinator decides.
static void on_signal(struct app *a)
{
    struct signalfd_siginfo si;
    while (read(a->signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo != SIGTERM && !uplink_is_tcp(a->opts)) continue;
        if (a->draining && si.ssi_signo == SIGINT) a->stop = true;
        a->draining = true;
        worker_drop_queue(a, true);
    }
}

static void wait_for_events(struct app *a, struct pollfd *fds, int ms)
{
    nfds_t n = 0;
    fds[n++] = (struct pollfd){ .fd = uplink_fd(&a->up), .events = POLLIN };
    fds[n++] = (struct pollfd){ .fd = a->signals, .events = POLLIN };
    for (uint32_t i = 0; i < a->n_slots; i++) {
        const struct slot *s = &a->slot[i];
        fds[n++] = (struct pollfd){ .fd = s->p.channel, .events = POLLIN };
        fds[n++] = (struct pollfd){ .fd = s->p.errors, .events = POLLIN };
        fds[n++] = (struct pollfd){ .fd = s->p.pidfd, .events = POLLIN };
    }
    // While the link holds every result of a slot that wants room, look again soon.
    bool waiting = false;
    for (uint32_t i = 0; i < a->n_slots; i++)
        waiting |=
            (a->queue && a->slot[i].state == SLOT_IDLE) || slot_wants_room(&a->slot[i]);
    poll(fds, n, a->hurry ? 0 : waiting && ms > 1 ? 1 : ms);
}

static void look_at_slots(struct app *a, const struct pollfd *fds)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        struct slot *s = &a->slot[i];
        const struct pollfd *f = &fds[2 + 3 * i];
        struct slot_death death;
        if (f[0].revents) worker_on_answer(a, i);
        if (f[1].revents) slot_drain_stderr(s);
        if (f[2].revents && slot_reap(s, &death)) {
            worker_end_orphans(a);
            if (a->share) http_share_forget(a->share, i);
            worker_on_death(a, i, &death);
        }
    }
}

static void serve(struct app *a, struct pollfd *fds)
{
    worker_hello(a);
    while (!a->stop) {
        // What sending does may eat the edge of ZeroMQ's descriptor: only when nothing is
        // there after it may we wait.
        while (worker_take_messages(a))
            worker_feed(a);
        // Nothing tells when a queue is no longer full.
        int later = worker_send_kept(a) ? 200 : 5;
        int ms = worker_take_messages(a) ? 0 : later;
        wait_for_events(a, fds, ms);
        on_signal(a);
        look_at_slots(a, fds);
        worker_take_messages(a);
        worker_fetch_files(a);
        worker_feed(a);
        worker_confirm_shares(a);
        tick(a);
    }
}

// Before anything is opened. Never a copy of who knows keys: a runner runs job code. Nor of
// who has files where a runner has its own, as a preloaded library may: it would go on
// writing there.
static bool has_spares(const struct app *a)
{
    enum { SPARES_MAX = 64 };
    for (int fd = RUNNER_FD_CHANNEL; fd < RUNNER_FDS_END; fd++)
        if (fcntl(fd, F_GETFD) >= 0) return false;
    return !a->opts->access && a->n_slots <= SPARES_MAX;
}

static err_t app_open(struct app *a, struct err *e)
{
    a->slot = calloc(a->n_slots, sizeof *a->slot);
    bool spares = has_spares(a);
    for (uint32_t i = 0; a->slot && i < a->n_slots; i++)
        slot_init(&a->slot[i], i, spares);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT); // Ctrl-C reaches the whole group; the coordinator decides
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (a->signals < 0) return err_sys(e, "cannot receive signals");
    a->held = calloc((size_t)a->n_slots * RESULTS_PER_SLOT * TRAIN_MAX, sizeof *a->held);
    if (!a->slot || !a->held) return err_set(e, ERR_NOMEM, "out of memory");
    if (getrandom(&a->instance, sizeof a->instance, 0) != sizeof a->instance)
        return err_sys(e, "no random numbers");
    orphans_adopt();
    return uplink_open(&a->up, a->opts, e);
}

static void app_close(struct app *a)
{
    worker_drop_queue(a, false);
    for (uint32_t i = 0; a->slot && i < a->n_slots; i++)
        slot_dismiss(&a->slot[i]); // they leave while the last messages do
    uplink_close(&a->up, a->draining && a->exit_code == 0 ? DRAINED_MS : GOODBYE_MS);
    for (uint32_t i = 0; i < a->n_slots * a->lanes; i++)
        worker_train_free(&a->running[i]);
    for (uint32_t i = 0; a->slot && i < a->n_slots; i++)
        slot_close(&a->slot[i]);
    if (a->slot) worker_end_orphans(a);
    bool untidy = false;
    for (uint32_t i = 0; a->slot && i < a->n_slots; i++)
        untidy |= a->slot[i].untidy;
    if (untidy) scratch_sweep();
    free(a->slot);
    free(a->running);
    free(a->held);
    if (a->runners.spec_fd >= 0) close(a->runners.spec_fd);
    files_free(&a->files);
    http_share_drop(&a->share, &a->runners.share_fd);
    if (a->signals >= 0) close(a->signals);
}

int worker_run(const struct worker_opts *o)
{
    struct app a = { .opts = o,
                     .n_slots = o->slots,
                     .runners = { .spec_fd = -1, .files_fd = -1, .share_fd = -1 },
                     .signals = -1,
                     .heartbeat = clock_protocol(2 * NS_S),
                     .silence = clock_protocol(12 * NS_S),
                     .worked = clock_ns() };
    a.queue_end = &a.queue;
    a.next_beat = a.worked + a.heartbeat;
    struct pollfd *fds = calloc(2 + 3 * (size_t)o->slots, sizeof *fds);
    if (!fds || app_open(&a, &a.e) != ERR_OK) {
        say_to(stderr, "tranche-worker: %s\n", fds ? a.e.text : "out of memory");
        a.exit_code = 1;
    } else {
        serve(&a, fds);
    }
    app_close(&a);
    free(fds);
    return a.exit_code;
}
