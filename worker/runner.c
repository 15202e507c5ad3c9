#include "worker/runner.h"

#include "common/clock.h"
#include "worker/channel.h"
#include "worker/pipeline.h"
#include "worker/runner_files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct runner {
    struct spec spec;
    struct pipeline *pipeline;
    uint8_t *input, *results;
    size_t input_bytes; // mapped
    uint64_t result_max;
    int file; // the input read last, by reference
    uint64_t dev, ino;
    uint8_t *block; // bytes read by reference, CSV_PAD around them
    size_t block_cap;
};

void runner_harden(uint64_t memory_bytes)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    // Private memory only: the shared regions are large and mostly untouched.
    struct rlimit data = { memory_bytes, memory_bytes };
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
        if (k <= 0) return err_sys(e, "cannot read the spec");
        got += (size_t)k;
    }
    return ERR_OK;
}

static err_t map_all(struct runner *r, uint64_t result_max, struct err *e)
{
    size_t n = (size_t)result_max * RESULTS_PER_SLOT;
    r->result_max = result_max;
    r->results = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                      RUNNER_FD_RESULT, 0);
    if (r->results == MAP_FAILED) return err_sys(e, "cannot map %zu bytes for results", n);
    return ERR_OK;
}

static err_t open_runner(struct runner *r, uint64_t result_max, struct err *e)
{
    uint8_t *p = NULL;
    size_t n = 0;
    r->file = -1;
    TRY(map_all(r, result_max, e));
    err_t rc = read_whole_fd(RUNNER_FD_SPEC, &p, &n, e);
    if (rc == ERR_OK) rc = spec_decode(&r->spec, p, n, e);
    free(p);
    if (rc == ERR_OK) rc = runner_files_open(&r->spec, RUNNER_FD_FILES, e);
    if (rc == ERR_OK) rc = pipeline_open(&r->pipeline, &r->spec, e);
    return rc;
}

static err_t open_input(struct runner *r, const struct runner_task *t, struct err *e)
{
    if (r->file >= 0 && r->dev == t->dev && r->ino == t->ino) return ERR_OK;
    if (r->file >= 0) close(r->file);
    r->file = open(t->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (r->file < 0) return err_sys(e, "cannot open %s", t->path);
    struct stat st;
    if (fstat(r->file, &st)) return err_sys(e, "cannot stat %s", t->path);
    if ((uint64_t)st.st_dev != t->dev || (uint64_t)st.st_ino != t->ino) {
        close(r->file);
        r->file = -1;
        return err_set(e, ERR_CHANGED, "%s was replaced by another file during the run",
                       t->path);
    }
    r->dev = t->dev;
    r->ino = t->ino;
    return ERR_OK;
}

// By reference: the range of the file, into a block of our own.
static err_t read_range(struct runner *r, const struct runner_task *t,
                        const uint8_t **bytes, struct err *e)
{
    size_t n = (size_t)t->bytes;
    TRY(open_input(r, t, e));
    if (r->block_cap < n + 2 * CSV_PAD) {
        free(r->block);
        r->block_cap = 0;
        r->block = malloc(n + n / 4 + 2 * CSV_PAD);
        if (!r->block)
            return err_set(e, ERR_NOMEM, "out of memory: a chunk of %zu bytes", n);
        r->block_cap = n + n / 4 + 2 * CSV_PAD;
        memset(r->block, 0, CSV_PAD);
    }
    uint8_t *p = r->block + CSV_PAD;
    for (size_t got = 0; got < n;) {
        ssize_t k = pread(r->file, p + got, n - got, (off_t)(t->begin + got));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_sys(e, "cannot read %s at byte %zu", t->path, t->begin + got);
        if (k == 0)
            return err_set(e, ERR_CHANGED,
                           "%s was truncated during the run: it ends before byte %llu",
                           t->path, (unsigned long long)(t->begin + got + 1));
        got += (size_t)k;
    }
    memset(p + n, 0, CSV_PAD);
    *bytes = p;
    return ERR_OK;
}

// By value: the parent has put the bytes into the input memory.
static err_t map_input(struct runner *r, size_t n, const uint8_t **bytes, struct err *e)
{
    if (r->input_bytes < n + 2 * CSV_PAD) {
        if (r->input) munmap(r->input, r->input_bytes);
        r->input_bytes = 0;
        r->input = mmap(NULL, n + 2 * CSV_PAD, PROT_READ, MAP_SHARED, RUNNER_FD_INPUT, 0);
        if (r->input == MAP_FAILED) {
            r->input = NULL;
            return err_sys(e, "cannot map a chunk of %zu bytes", n);
        }
        r->input_bytes = n + 2 * CSV_PAD;
    }
    *bytes = r->input + CSV_PAD;
    return ERR_OK;
}

static err_t get_bytes(struct runner *r, const struct runner_task *t, const uint8_t **bytes,
                       struct err *e)
{
    size_t n = (size_t)t->bytes;
    if (t->path[0])
        TRY(read_range(r, t, bytes, e));
    else if (n)
        TRY(map_input(r, n, bytes, e));
    if (!hash_equal(hash_bytes(*bytes, n), t->digest))
        return err_set(
            e, ERR_CHANGED,
            "%s changed during the run: bytes %llu-%llu are not what was read before",
            t->path[0] ? t->path : "a chunk", (unsigned long long)t->begin,
            (unsigned long long)t->end);
    return ERR_OK;
}

static err_t run(struct runner *r, const struct runner_task *t, struct runner_done *d,
                 struct rejects *rejects, struct err *e)
{
    ns_t start = clock_ns(), cpu = clock_cpu_ns();
    ns_t deadline = start + (ns_t)r->spec.timeout_ms * NS_MS;
    const uint8_t *bytes = NULL;
    struct pipeline_stats s = { 0 };
    struct region to = { .p = r->results + t->result * r->result_max,
                         .cap = r->result_max };

    TRY(get_bytes(r, t, &bytes, e));
    d->read_ns = (uint64_t)(clock_ns() - start);
    struct reader_chunk c = { .bytes = bytes,
                              .n = (size_t)t->bytes,
                              .begin = t->begin,
                              .end = t->end,
                              .first_line = t->first_line };
    TRY(pipeline_run(r->pipeline, &c, deadline, &to, rejects, &s, e));
    TRY(runner_files_check(&r->spec, e)); // it must have been the same program till here
    if (rejects->bytes.n > to.cap - to.n)
        return err_set(e, ERR_TOOBIG,
                       "image and rejects of %zu bytes are larger than the limit of %zu",
                       to.n + rejects->bytes.n, to.cap);
    if (rejects->bytes.n) memcpy(to.p + to.n, rejects->bytes.p, rejects->bytes.n);
    d->image_bytes = to.n;
    d->rejects_bytes = rejects->bytes.n;
    d->payload_hash = hash_bytes(to.p, to.n + rejects->bytes.n);
    d->rows_read = s.read.rows;
    d->rows_parsed = s.read.parsed;
    d->rows_rejected = s.read.rejected;
    d->rows_blank = s.read.blank;
    d->misfits = s.read.misfits;
    d->rows_emitted = s.rows_emitted;
    d->parse_ns = (uint64_t)s.parse_ns;
    d->apply_ns = (uint64_t)s.apply_ns;
    d->encode_ns = (uint64_t)s.encode_ns;
    d->cpu_ns = (uint64_t)(clock_cpu_ns() - cpu);
    return ERR_OK;
}

static void answer(const struct runner_done *d)
{
    if (send(RUNNER_FD_CHANNEL, d, sizeof *d, MSG_NOSIGNAL) != (ssize_t)sizeof *d) _exit(1);
}

void runner_main(uint64_t result_max_bytes, uint64_t memory_bytes)
{
    static struct runner r;
    static struct runner_task t;
    struct err e = { 0 };

    runner_harden(memory_bytes);
    struct runner_done d = { .code = open_runner(&r, result_max_bytes, &e) };
    memcpy(d.text, e.text, sizeof d.text);
    answer(&d);
    if (d.code != ERR_OK) _exit(0);
    struct rejects rejects = { 0 };
    for (;;) {
        ssize_t n = recv(RUNNER_FD_CHANNEL, &t, sizeof t, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n != (ssize_t)sizeof t || t.end <= t.begin || t.result >= RESULTS_PER_SLOT)
            _exit(0);
        d = (struct runner_done){ 0 };
        e.text[0] = 0;
        rejects.bytes.n = 0;
        rejects.n = 0;
        d.code = run(&r, &t, &d, &rejects, &e);
        memcpy(d.text, e.text, sizeof d.text);
        answer(&d);
    }
}
