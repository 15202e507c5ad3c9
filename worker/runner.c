#include "worker/runner.h"

#include "worker/http_share.h"
#include "worker/runner_files.h"
#include "worker/runner_lane.h"
#include "worker/runner_start.h"
#include "worker/runner_train.h"
#include "worker/sandbox.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void runner_harden(uint64_t memory_bytes)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    // Private memory only: the shared regions are large and mostly untouched.
    // The soft limit alone: a program that transforms may take a larger share, see xf_exec.
    struct rlimit data = { memory_bytes, RLIM_INFINITY };
    if (memory_bytes) setrlimit(RLIMIT_DATA, &data);
#else
    (void)memory_bytes;
#endif
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_NAME, "tranche-runner"); // exec named it after /proc/self/exe
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); // Ctrl-C is the coordinator's to handle
}

static err_t read_whole_fd(int fd, uint8_t **out, size_t *n, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st)) return err_sys(e, "cannot stat the spec");
    *n = (size_t)st.st_size;
    *out = malloc(*n ? *n : 1);
    if (!*out) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t got = 0; got < *n;) {
        ssize_t k = pread(fd, *out + got, *n - got, (off_t)got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return err_sys(e, "cannot read the spec");
        got += (size_t)k;
    }
    return ERR_OK;
}

static err_t map_all(struct runner *r, uint64_t result_max, struct err *e)
{
    size_t n = runner_results_bytes(result_max);
    r->result_max = result_max;
    r->results = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                      RUNNER_FD_RESULT, 0);
    if (r->results == MAP_FAILED) return err_sys(e, "cannot map %zu bytes for results", n);
    return ERR_OK;
}

static err_t open_runner(struct runner *r, const struct runner_start *o, struct err *e)
{
    uint8_t *p = NULL;
    size_t n = 0;
    TRY(map_all(r, o->result_max_bytes, e));
    TRY(http_share_join(RUNNER_FD_SHARE, o->number, e));
    err_t rc = read_whole_fd(RUNNER_FD_SPEC, &p, &n, e);
    if (rc == ERR_OK) rc = spec_decode(&r->spec, p, n, e);
    free(p);
    if (rc == ERR_OK) rc = runner_files_open(&r->spec, RUNNER_FD_FILES, e);
    if (rc == ERR_OK) sandbox_runner(&r->spec);
    if (rc == ERR_OK) rc = pipeline_open(&r->pipeline, &r->spec, e);
    return rc;
}

// Lanes may use the parts of a thousand; blocks that a batch leaves go back at once.
static void tune_malloc(void)
{
    enum { ARENAS = 2, FROM_THE_SYSTEM = 32 << 10 };
    mallopt(M_ARENA_MAX, ARENAS);
    mallopt(M_MMAP_THRESHOLD, FROM_THE_SYSTEM);
}

static err_t open_lanes(struct runner *r, uint32_t n, struct err *e)
{
    r->lane = calloc(n, sizeof *r->lane);
    if (!r->lane) return err_set(e, ERR_NOMEM, "out of memory");
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->pack_lock, NULL);
    pthread_mutex_init(&r->rows.lock, NULL);
    r->n_lanes = n;
    for (uint32_t i = 0; i < n; i++) {
        struct runner_lane *l = &r->lane[i];
        l->r = r;
        l->number = i;
        l->input.file = -1;
        pthread_cond_init(&l->wake, NULL);
    }
    r->lane[0].p = pipeline_first_lane(r->pipeline);
    return ERR_OK;
}

static void begin(struct runner_lane *l, const struct runner_task *t)
{
    memcpy(&l->task, t, offsetof(struct runner_task, path));
    memcpy(l->task.path, t->path, strnlen(t->path, TASK_PATH_MAX - 1) + 1);
    l->start = clock_ns();
    l->region = t->result;
    l->result_at = 0;
    l->input_at = CSV_PAD;
}

// With lanes the shared memory is wanted for the next chunk at once.
static void begin_in_thread(struct runner *r, struct runner_lane *l)
{
    const uint8_t *bytes = NULL;
    struct err e = { 0 };
    err_t rc = ERR_OK;
    if (l->task.bytes && !l->task.path[0]) {
        size_t n = (size_t)l->task.bytes, packed = (size_t)l->task.packed;
        rc = runner_input_map(&r->shared, packed ? packed : n, &bytes, &e);
        if (rc == ERR_OK)
            rc = packed ? runner_input_unpack(&l->input, bytes, packed, n, &e)
                        : runner_input_copy(&l->input, bytes, n, &e);
    }
    struct runner_done d = { .what = RUNNER_TAKEN, .lane = l->number };
    runner_say(&d);
    if (rc == ERR_OK) {
        runner_lane_start(l);
        return;
    }
    d = (struct runner_done){ .what = RUNNER_DONE, .lane = l->number, .code = rc };
    memcpy(d.text, e.text, sizeof d.text);
    runner_say(&d);
}

static void take_train(struct runner *r, const struct runner_task *t,
                       const struct runner_wagon *w)
{
    if (r->n_lanes > 1 || t->result >= RESULTS_PER_SLOT) _exit(0);
    begin(&r->lane[0], t);
    runner_train(&r->lane[0], w, t->train);
}

static void take(struct runner *r, const struct runner_task *t)
{
    bool threads = r->n_lanes > 1;
    if (t->lane >= r->n_lanes) _exit(0);
    struct runner_lane *l = &r->lane[t->lane];
    if (t->result >= RESULTS_PER_SLOT && !(threads && t->result == RUNNER_NO_ROOM))
        _exit(0);
    if (threads && t->result != RUNNER_NO_ROOM) {
        runner_lane_give_room(l, t->result);
        return;
    }
    if (t->end <= t->begin) _exit(0);
    pthread_mutex_lock(&r->lock);
    begin(l, t);
    pthread_mutex_unlock(&r->lock);
    if (threads) {
        begin_in_thread(r, l);
        return;
    }
    runner_begins(r);
    runner_lane_work(l);
}

void runner_main(void)
{
    static struct runner r;
    struct runner_start o;
    static struct {
        struct runner_task task;
        struct runner_wagon wagon[TRAIN_MAX];
    } p;
    struct err e = { 0 };

    prctl(PR_SET_NAME, "tranche-runner"); // exec named it after /proc/self/exe
    signal(SIGINT, SIG_IGN);              // Ctrl-C is the coordinator's to handle
    if (!runner_hear(&o) || o.lanes < 1 || o.lanes > RUNNER_LANES_MAX) _exit(0);
    runner_harden(o.memory_bytes);
    if (o.lanes > 1) tune_malloc();
    struct runner_done d = { .what = RUNNER_OPENED, .code = open_runner(&r, &o, &e) };
    if (d.code == ERR_OK) d.code = open_lanes(&r, o.lanes, &e);
    memcpy(d.text, e.text, sizeof d.text);
    runner_say(&d);
    if (d.code != ERR_OK) _exit(0);
    for (;;) {
        ssize_t n = recv(RUNNER_FD_CHANNEL, &p, sizeof p, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < (ssize_t)sizeof p.task || p.task.train > TRAIN_MAX) break;
        if ((size_t)n != sizeof p.task + p.task.train * sizeof p.wagon[0]) break;
        if (p.task.train)
            take_train(&r, &p.task, p.wagon);
        else
            take(&r, &p.task);
    }
    if (r.n_lanes == 1) pipeline_close(&r.pipeline); // programs end, their folders go
    _exit(0);
}
