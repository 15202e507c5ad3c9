#include "worker/slot_impl.h"

#include "common/csv.h"
#include "common/say.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GOODBYE_MS = 1000 };      // of a dismissed runner
enum { SHRINK_ABOVE = 8 << 20 }; // a region that grew larger gives its memory back

static err_t memory_new(const char *name, uint64_t n, int *fd, struct err *e)
{
    *fd = memfd_create(name, MFD_CLOEXEC);
    if (*fd < 0) return err_sys(e, "cannot create shared memory");
    if (ftruncate(*fd, (off_t)n))
        return err_sys(e, "cannot size shared memory to %llu bytes", (unsigned long long)n);
    return ERR_OK;
}

void slot_init(struct slot *s, uint32_t number, bool spare)
{
    struct err none;
    *s = (struct slot){ .number = number,
                        .p = RUNNER_NO_PROCESS,
                        .spare = RUNNER_NO_PROCESS,
                        .input_fd = -1,
                        .result_fd = -1 };
    if (spare && runner_spawn(&s->spare, true, &none) != ERR_OK) return; // so without it
}

err_t slot_open(struct slot *s, uint64_t result_max, struct err *e)
{
    *s = (struct slot){ .number = s->number,
                        .p = RUNNER_NO_PROCESS,
                        .spare = s->spare,
                        .untidy = s->untidy,
                        .input_fd = -1,
                        .result_fd = -1,
                        .lane = s->lane,
                        .lanes = s->lanes,
                        .culprit = -1,
                        .result_max = result_max };
    size_t n = runner_results_bytes(result_max);
    TRY(memory_new("tranche-results", n, &s->result_fd, e));
    TRY(memory_new("tranche-input", 0, &s->input_fd, e));
    void *p =
        mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s->result_fd, 0);
    if (p == MAP_FAILED) return err_sys(e, "cannot map results");
    s->results = p;
    return ERR_OK;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void free_lane(struct slot_lane *l)
{
    *l = (struct slot_lane){ .region = SLOT_NO_REGION };
}

err_t slot_set_lanes(struct slot *s, uint32_t n, struct err *e)
{
    struct slot_lane *lane = realloc(s->lane, n * sizeof *lane);
    if (!lane) return err_set(e, ERR_NOMEM, "out of memory: %u batches at a time", n);
    s->lane = lane;
    s->lanes = n;
    s->busy = 0;
    for (uint32_t i = 0; i < n; i++)
        free_lane(&lane[i]);
    return ERR_OK;
}

// Nothing more is written there.
void slot_settle_region(struct slot *s, int region)
{
    if (region != SLOT_NO_REGION && s->result[region].state == RESULT_FILLING)
        s->result[region].state = s->result[region].n ? RESULT_SENT : RESULT_FREE;
}

// What its lanes did is lost; the culprit is still to be asked for.
static void close_process(struct slot *s)
{
    for (uint32_t i = 0; i < s->lanes; i++) {
        slot_settle_region(s, s->lane[i].region);
        free_lane(&s->lane[i]);
    }
    for (uint32_t i = 0; i < s->n_given; i++)
        slot_settle_region(s, s->given[i].region);
    s->busy = 0;
    s->taking = false;
    s->n_given = s->answered = 0;
    s->packet_n = s->packet_at = 0;
    s->p.pid = 0; // it is dead
    runner_end(&s->p);
    s->state = SLOT_EMPTY;
}

void slot_stop(struct slot *s)
{
    s->untidy |= s->p.pid > 0;
    runner_end(&s->p);
    close_process(s);
}

void slot_dismiss(struct slot *s)
{
    if (s->state == SLOT_IDLE) shutdown(s->p.channel, SHUT_WR);
}

// By itself, as one that was dismissed does; soon.
static bool leaves_well(const struct slot *s)
{
    struct pollfd p = { s->p.pidfd, POLLIN, 0 };
    siginfo_t how = { .si_pid = 0 };
    return s->p.pid > 0 && s->state == SLOT_IDLE && poll(&p, 1, GOODBYE_MS) == 1 &&
           waitid(P_PID, (id_t)s->p.pid, &how, WEXITED | WNOWAIT) == 0 &&
           how.si_code == CLD_EXITED && how.si_status == 0;
}

void slot_close(struct slot *s)
{
    bool untidy = s->untidy, well = leaves_well(s);
    slot_stop(s);
    if (well) s->untidy = untidy;
    runner_end(&s->spare);
    if (s->results) munmap(s->results, runner_results_bytes(s->result_max));
    s->results = NULL;
    close_fd(&s->input_fd);
    close_fd(&s->result_fd);
    free(s->lane);
    s->lane = NULL;
    s->lanes = 0;
}

// The spare process, if it is still there; else another.
static err_t make_process(struct slot *s, const struct runner_start *start, const int *fds,
                          struct err *e)
{
    if (s->spare.pid > 0) {
        s->p = s->spare;
        s->spare = RUNNER_NO_PROCESS;
        if (runner_tell(&s->p, start, fds, e) == ERR_OK) return ERR_OK;
        runner_end(&s->p);
    }
    TRY(runner_spawn(&s->p, false, e));
    err_t rc = runner_tell(&s->p, start, fds, e);
    if (rc != ERR_OK) runner_end(&s->p);
    return rc;
}

err_t slot_start(struct slot *s, const struct slot_job *job, struct err *e)
{
    int fds[] = { job->spec_fd, s->input_fd, s->result_fd, job->files_fd, job->share_fd };
    struct runner_start start = { .result_max_bytes = s->result_max,
                                  .memory_bytes = job->memory_bytes,
                                  .lanes = s->lanes,
                                  .number = s->number };
    atomic_store(&runner_board(s->results, s->result_max)->begun, 0);
    s->culprit = -1;
    s->doomed = false;
    s->started = clock_ns();
    s->tail_n = s->n_cut = 0;
    TRY(make_process(s, &start, fds, e));
    s->state = SLOT_STARTING;
    return ERR_OK;
}

void slot_kill(struct slot *s)
{
    if (s->p.pid > 0) kill(s->p.pid, SIGKILL);
}

void slot_doom(struct slot *s)
{
    s->doomed = true;
    slot_kill(s);
}

bool slot_reap(struct slot *s, struct slot_death *d)
{
    int status;
    struct rusage use;
    if (s->p.pid <= 0 || wait4(s->p.pid, &status, WNOHANG, &use) != s->p.pid) return false;
    slot_drain_stderr(s);
    *d = (struct slot_death){ .peak_kb = use.ru_maxrss,
                              .unsaid = slot_unsaid(s),
                              .between = s->answered && slot_begun(s) == s->answered };
    if (WIFSIGNALED(status)) {
        d->signal = WTERMSIG(status);
        snprintf(d->text, sizeof d->text,
                 "was killed by signal %d (%s), peak memory %lld KiB", d->signal,
                 strsignal(d->signal), (long long)d->peak_kb);
    } else {
        d->exit_code = WEXITSTATUS(status);
        snprintf(d->text, sizeof d->text, "exited with code %d, peak memory %lld KiB",
                 d->exit_code, (long long)d->peak_kb);
    }
    if (s->state == SLOT_STARTING) s->deaths++;
    s->untidy = true;
    close_process(s);
    return true;
}

void slot_forget(struct slot *s, int i)
{
    struct result_region *r = &s->result[i];
    if (r->touched_bytes > SHRINK_ABOVE) {
        fallocate(s->result_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)((size_t)i * s->result_max), (off_t)s->result_max);
        r->touched_bytes = 0;
    }
    r->state = RESULT_FREE;
    r->n = r->open = r->looked = 0;
}

int slot_room(struct slot *s)
{
    int oldest = -1;
    for (int i = 0; i < RESULTS_PER_SLOT; i++) {
        const struct result_region *r = &s->result[i];
        if (atomic_load(&r->lent) || r->state == RESULT_FILLING) continue;
        if (r->state == RESULT_FREE) return i;
        if (oldest < 0 || r->seq < s->result[oldest].seq) oldest = i;
    }
    if (oldest >= 0) slot_forget(s, oldest);
    return oldest;
}

err_t slot_put_input(struct slot *s, struct slice bytes, struct err *e)
{
    static const uint8_t zeros[CSV_PAD];
    size_t n = bytes.n + 2 * CSV_PAD;
    if (s->input_cap < n || s->input_cap > n + SHRINK_ABOVE) {
        if (ftruncate(s->input_fd, (off_t)n))
            return err_sys(e, "no shared memory for a chunk of %zu bytes", bytes.n);
        s->input_cap = n;
    }
    for (size_t put = 0; put < bytes.n;) {
        ssize_t k =
            pwrite(s->input_fd, bytes.p + put, bytes.n - put, (off_t)(CSV_PAD + put));
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return err_sys(e, "no shared memory for a chunk of %zu bytes", bytes.n);
        put += (size_t)k;
    }
    if (pwrite(s->input_fd, zeros, CSV_PAD, (off_t)(CSV_PAD + bytes.n)) != CSV_PAD)
        return err_sys(e, "no shared memory for a chunk of %zu bytes", bytes.n);
    return ERR_OK;
}

int slot_free_lane(const struct slot *s)
{
    if (s->state < SLOT_IDLE || s->taking || s->busy == s->lanes) return -1;
    for (uint32_t i = 0; i < s->lanes; i++)
        if (!s->lane[i].busy) return (int)i;
    return -1;
}

static err_t tell(struct slot *s, const struct runner_task *t, struct err *e)
{
    if (TEMP_FAILURE_RETRY(send(s->p.channel, t, sizeof *t, MSG_NOSIGNAL)) !=
        (ssize_t)sizeof *t)
        return err_sys(e, "cannot reach the runner");
    return ERR_OK;
}

err_t slot_give(struct slot *s, struct runner_task *t, int region, struct err *e)
{
    struct slot_lane *l = &s->lane[t->lane];
    t->result = region == SLOT_NO_REGION ? RUNNER_NO_ROOM : (uint32_t)region;
    TRY(tell(s, t, e));
    if (region != SLOT_NO_REGION) s->result[region].state = RESULT_FILLING;
    if (s->lanes == 1) {
        slot_packet_add(s, region, 1);
        return ERR_OK;
    }
    *l = (struct slot_lane){ .busy = true, .region = region };
    s->busy++;
    s->taking = true;
    s->state = SLOT_BUSY;
    return ERR_OK;
}

bool slot_wants_room(const struct slot *s)
{
    for (uint32_t i = 0; i < s->lanes; i++)
        if (s->lane[i].wants_room) return true;
    return false;
}

err_t slot_give_room(struct slot *s, uint32_t lane, int region, struct err *e)
{
    static struct runner_task t;
    t = (struct runner_task){ .lane = lane, .result = (uint32_t)region };
    TRY(tell(s, &t, e));
    s->result[region].state = RESULT_FILLING;
    s->lane[lane].region = region;
    s->lane[lane].wants_room = false;
    return ERR_OK;
}

// The runner runs job code, which may write to any descriptor.
static bool makes_sense(const struct slot *s, const struct runner_done *d)
{
    bool busy = d->lane < s->lanes && s->lane[d->lane].busy;
    switch (d->what) {
    case RUNNER_OPENED: return s->state == SLOT_STARTING;
    case RUNNER_TAKEN: return s->taking;
    case RUNNER_WANTS_ROOM: return busy && s->lane[d->lane].region == SLOT_NO_REGION;
    case RUNNER_DONE:
        return busy && (d->code != ERR_OK || s->lane[d->lane].region != SLOT_NO_REGION);
    case RUNNER_CRASHES: return d->lane < s->lanes;
    }
    return false;
}

// The next thing said; false: nothing is there, or it is no such thing.
static bool next_said(struct slot *s, struct runner_done *d)
{
    if (s->packet_at >= s->packet_n) {
        ssize_t n = recv(s->p.channel, s->packet, sizeof s->packet, MSG_DONTWAIT);
        s->packet_at = 0;
        s->packet_n = n > 0 ? (size_t)n : 0;
    }
    bool whole = s->packet_n == sizeof *d;
    size_t n = whole ? sizeof *d : RUNNER_SHORT;
    if (s->packet_n == 0 || s->packet_n % n != 0) return s->packet_n = 0, false;
    memcpy(d, s->packet + s->packet_at, n);
    s->packet_at += n;
    if (whole)
        d->text[sizeof d->text - 1] = 0;
    else
        d->text[0] = 0;
    return whole || (d->what == RUNNER_DONE && d->code == ERR_OK);
}

void slot_answered(struct slot *s, uint32_t lane)
{
    struct slot_lane *l = &s->lane[lane];
    if (s->lanes == 1 && slot_packet_goes_on(s)) return;
    slot_settle_region(s, l->region);
    free_lane(l);
    s->busy--;
    if (s->busy == 0) s->state = SLOT_IDLE;
}

bool slot_take(struct slot *s, struct runner_done *d)
{
    if (s->p.channel < 0) return false;
    if (!next_said(s, d) || !makes_sense(s, d)) return s->packet_n = 0, false;
    switch (d->what) {
    case RUNNER_OPENED:
        s->deaths = 0;
        s->state = SLOT_IDLE;
        break;
    case RUNNER_TAKEN: s->taking = false; break;
    case RUNNER_WANTS_ROOM: s->lane[d->lane].wants_room = true; break;
    case RUNNER_CRASHES: s->culprit = (int)d->lane; break;
    case RUNNER_DONE: s->deaths = 0; break;
    }
    return true;
}

// Bytes at the end of p[n] that begin a character and are not all of it.
static size_t begun(const char *p, size_t n)
{
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        unsigned char c = (unsigned char)p[n - k];
        size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if (length > k) return k;
        if (c < 0x80 || c >= 0xc0) return 0;
    }
    return 0;
}

// It may be a terminal, which obeys what a plugin has printed. A character that a read has
// cut waits for its rest.
static void show(struct slot *s, const char *p, size_t n)
{
    char text[sizeof s->cut + STDERR_BLOCK];
    memcpy(text, s->cut, s->n_cut);
    memcpy(text + s->n_cut, p, n);
    n += s->n_cut;
    s->n_cut = begun(text, n);
    n -= s->n_cut;
    memcpy(s->cut, text + n, s->n_cut);
    say_bytes(stderr, text, n);
    if (ferror(stderr)) clearerr(stderr);
}

void slot_drain_stderr(struct slot *s)
{
    char block[STDERR_BLOCK];
    ssize_t n;
    // Bounded a call: a runner that floods must not keep its parent from its heartbeats.
    for (int i = 0;
         i < 64 && s->p.errors >= 0 && (n = read(s->p.errors, block, sizeof block)) > 0;
         i++) {
        size_t k = (size_t)n;
        show(s, block, k);
        if (s->tail_n + k > STDERR_TAIL) {
            size_t drop = s->tail_n + k - STDERR_TAIL;
            memmove(s->tail, s->tail + drop, s->tail_n - drop);
            s->tail_n -= drop;
        }
        memcpy(s->tail + s->tail_n, block, k);
        s->tail_n += k;
    }
}

bool slot_release(struct slot *s, struct hash128 token)
{
    for (int i = 0; i < RESULTS_PER_SLOT; i++) {
        struct result_region *r = &s->result[i];
        for (uint32_t k = 0; k < r->n && r->state != RESULT_FREE; k++) {
            uint32_t at = (r->looked + k) % r->n; // they are committed in order, mostly
            if (!hash_equal(r->token[at], token)) continue;
            r->token[at] = (struct hash128){ 0 };
            r->looked = (at + 1) % r->n;
            r->open--;
            if (!r->open && r->state == RESULT_SENT && !atomic_load(&r->lent))
                slot_forget(s, i);
            return true;
        }
    }
    return false;
}

int64_t slot_cpu_ms(const struct slot *s)
{
    clockid_t clock;
    struct timespec t;
    if (s->p.pid <= 0 || clock_getcpuclockid(s->p.pid, &clock) || clock_gettime(clock, &t))
        return 0;
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
