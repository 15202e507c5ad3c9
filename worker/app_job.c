// A job is opened: its spec is kept for the runners, its files are found or asked for, and
// then the runners start.

#include "worker/app_impl.h"

#include "proto/sight.h"
#include "proto/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void close_job(struct app *a)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        slot_stop(&a->slot[i]);
        for (int k = 0; k < RESULTS_PER_SLOT; k++)
            slot_forget(&a->slot[i], k);
    }
    files_free(&a->files);
    if (a->runners.spec_fd >= 0) close(a->runners.spec_fd);
    a->runners.spec_fd = a->runners.files_fd = -1;
    http_share_drop(&a->share, &a->runners.share_fd);
}

static err_t keep_spec(struct app *a, struct slice spec)
{
    struct files_opts o = { .in_place = !uplink_is_tcp(a->opts),
                            .cache_bytes = a->opts->cache_bytes };
    int fd = a->runners.spec_fd = memfd_create("tranche-spec", MFD_CLOEXEC);
    if (fd < 0) return err_sys(&a->e, "cannot keep the job");
    for (size_t put = 0; put < spec.n;) {
        ssize_t n = write(fd, spec.p + put, spec.n - put);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_sys(&a->e, "cannot keep the job");
        put += (size_t)n;
    }
    TRY(files_new(&a->files, spec, &o, &a->e));
    a->runners.files_fd = files_list_fd(a->files);
    return http_share_new(&a->share, &a->runners.share_fd, &a->e);
}

static err_t start_runners(struct app *a)
{
    a->runners_wait = false;
    for (uint32_t i = 0; i < a->n_slots; i++)
        if (a->slot[i].state == SLOT_EMPTY)
            TRY(slot_start(&a->slot[i], &a->runners, &a->e));
    worker_tell_ready(a);
    return ERR_OK;
}

// Only before runners are started; what the old lanes ran was dropped with their session.
static err_t set_lanes(struct app *a, uint64_t n)
{
    if (n < 1 || n > RUNNER_LANES_MAX)
        return err_set(&a->e, ERR_PROTO, "this job wants %llu batches at a time in a slot",
                       (unsigned long long)n);
    struct task **running = calloc((size_t)a->n_slots * n, sizeof *running);
    if (!running) return err_set(&a->e, ERR_NOMEM, "out of memory");
    free(a->running);
    a->running = running;
    a->lanes = (uint32_t)n;
    for (uint32_t i = 0; i < a->n_slots; i++)
        TRY(slot_set_lanes(&a->slot[i], a->lanes, &a->e));
    return ERR_OK;
}

static unsigned look_for_input(const struct app *a, const struct msg_JOB *j)
{
    char path[TASK_PATH_MAX];
    struct sight_file own, want = { j->dev, j->ino, j->size, j->mtime_ns };
    if (!uplink_is_tcp(a->opts) || j->path.n == 0 || j->path.n >= sizeof path) return 0;
    memcpy(path, j->path.p, j->path.n);
    path[j->path.n] = 0;
    return sight_look(path, &want, &own);
}

// Runners that have this very job open go on with it, and its results are handed over.
static err_t open_job(struct app *a, const struct link_in *in)
{
    const struct msg_JOB *j = &link_msg(in)->JOB;
    if (j->timeout_ms > SPEC_TIMEOUT_MAX_MS)
        return err_set(&a->e, ERR_PROTO, "this job has a timeout of %llu ms",
                       (unsigned long long)j->timeout_ms);
    bool same = a->files && hash_equal(a->job, j->job) &&
                a->limits.result_max_bytes == j->result_max_bytes &&
                a->limits.concurrency == j->concurrency;
    if (!same) close_job(a);
    a->limits = *j;
    a->limits.path = msg_str("", 0); // the message does not live so long
    a->job = j->job;
    a->runners.memory_bytes = j->memory_bytes;
    if (!same) TRY(set_lanes(a, j->concurrency));
    if (!same) TRY(keep_spec(a, link_payload(in)));
    for (uint32_t i = 0; i < a->n_slots; i++) {
        struct slot *s = &a->slot[i];
        if (s->result_fd >= 0 && s->result_max != j->result_max_bytes)
            return err_set(&a->e, ERR_PROTO,
                           "this job wants results of another size: start "
                           "the worker again");
        if (s->result_fd < 0) TRY(slot_open(s, j->result_max_bytes, &a->e));
    }
    a->sees = look_for_input(a, j);
    a->has_job = true;
    a->runners_wait = true;
    files_ask_again(a->files);
    if (same) worker_send_all_held(a);
    return ERR_OK;
}

void worker_on_piece(struct app *a, const struct link_in *in)
{
    const struct msg_PIECE *p = &link_msg(in)->PIECE;
    if (!a->has_job || !hash_equal(p->job, a->job) || p->file > FILE_SET_MAX) return;
    size_t n = link_size(in);
    uint8_t *bytes = n <= FILE_PIECE_MAX ? malloc(n + 1) : NULL;
    bool damaged = !bytes || link_unpack(in, bytes, &a->e) != ERR_OK;
    struct slice piece = { bytes, damaged ? 0 : n };
    err_t rc = files_take(a->files, (uint32_t)p->file, p->at, piece, damaged, &a->e);
    free(bytes);
    if (rc != ERR_OK) worker_leave(a, 1, a->e.code, a->e.text);
}

static void ask_for_pieces(struct app *a)
{
    struct files_ask ask;
    while (files_next_ask(a->files, &ask)) {
        struct msg m = {
            .type = MSG_NEED,
            .NEED = { .job = a->job, .file = ask.file, .at = ask.at, .bytes = ask.bytes }
        };
        worker_post(a, &m);
    }
}

void worker_fetch_files(struct app *a)
{
    enum files_state state;
    a->hurry = false;
    if (!a->runners_wait || !a->has_job || a->stop) return;
    err_t rc = files_work(a->files, &state, &a->e);
    if (rc == ERR_OK && state == FILES_READY) rc = start_runners(a);
    if (rc != ERR_OK) {
        worker_leave(a, 1, a->e.code, a->e.text);
        return;
    }
    ask_for_pieces(a);
    a->hurry = state == FILES_WORK;
}

void worker_on_job(struct app *a, const struct link_in *in)
{
    if (!a->sid) return; // of a session that we gave up while it was on its way
    if (a->has_job && hash_equal(a->job, link_msg(in)->JOB.job)) return; // it came twice
    if (a->has_job) {
        worker_leave(a, 1, ERR_PROTO, "a second job came over one session");
        return;
    }
    if (!link_check(in)) {
        fprintf(stderr, "tranche-worker: the job arrived damaged: asking for it again\n");
        worker_begin_session(a);
        return;
    }
    if (open_job(a, in) == ERR_OK)
        worker_fetch_files(a);
    else
        worker_leave(a, 1, a->e.code, a->e.text);
}
