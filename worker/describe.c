#include "worker/describe.h"

#include "common/csv.h"
#include "common/scratch.h"
#include "worker/pipeline.h"
#include "worker/runner.h"
#include "worker/runner_files.h"
#include "worker/sandbox.h"
#include "worker/xf_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// Somebody waits for the run to start. But what is not settled by then is text, in a table
// that the next run of the same command must find as it would make it: long enough for a
// machine that has other things to do.
static const ns_t SETTLE_MAX = 60 * NS_S;
static const ns_t GRACE = NS_S; // for transforms that see to the time themselves

struct request {
    struct spec spec;
    const uint8_t *sample;
    size_t sample_bytes;
    ns_t settle; // how long the transforms may work on the sample
};

static err_t read_stdin(struct buf *b, struct err *e)
{
    for (;;) {
        TRY(buf_reserve(b, 64 * 1024, e));
        ssize_t n = read(STDIN_FILENO, b->p + b->n, b->cap - b->n);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_sys(e, "cannot read standard input");
        if (n == 0) return ERR_OK;
        b->n += (size_t)n;
        if (b->n > SPEC_MAX_BYTES)
            return err_set(e, ERR_TOOBIG, "the request is too large");
    }
}

static err_t read_request(struct request *r, const struct buf *in, struct err *e)
{
    uint64_t n;
    if (in->n < 8 + 2 * CSV_PAD) return err_set(e, ERR_PROTO, "the request is too short");
    memcpy(&n, in->p, 8);
    if (n > in->n - 8 - 2 * CSV_PAD) return err_set(e, ERR_PROTO, "the request is cut");
    TRY(spec_decode(&r->spec, in->p + 8, (size_t)n, e));
    r->sample = in->p + 8 + n + CSV_PAD;
    r->sample_bytes = in->n - 8 - (size_t)n - 2 * CSV_PAD;
    ns_t limit = (ns_t)r->spec.timeout_ms * NS_MS;
    r->settle = limit < SETTLE_MAX ? limit : SETTLE_MAX;
    return ERR_OK;
}

// ---- the child: opens the transforms, says what they give, then tries the sample ----

static void say(int fd, err_t code, const void *body, size_t n)
{
    uint32_t head[2] = { (uint32_t)code, (uint32_t)n };
    if (write(fd, head, sizeof head) != (ssize_t)sizeof head) _exit(1);
    for (size_t put = 0; put < n;) {
        ssize_t k = write(fd, (const uint8_t *)body + put, n - put);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) _exit(1);
        put += (size_t)k;
    }
}

// The spec with its columns, and those of its steps.
static void say_columns(int fd, const struct spec *spec, const struct schema *s)
{
    struct buf b = { 0 };
    struct err e;
    struct spec only = *spec;
    only.params = NULL;
    only.tables = NULL;
    only.n_params = only.n_tables = 0;
    only.aggregate = (struct agg){ 0 };
    only.out = *s;
    err_t rc = spec_encode(&only, &b, &e);
    if (rc == ERR_OK)
        say(fd, rc, b.p, b.n);
    else
        say(fd, rc, e.text, strlen(e.text));
    buf_free(&b);
}

static bool settled(const struct schema *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->f[i].type == TYPE_ANY) return false;
    return true;
}

static void answer(struct request *r, int fd)
{
    struct pipeline *p = NULL;
    struct schema s = { 0 };
    struct err e;
    err_t rc = runner_files_open_local(&r->spec, &e);
    if (rc == ERR_OK) sandbox_runner(&r->spec);
    if (rc == ERR_OK) rc = pipeline_learn(&r->spec, r->sample, r->sample_bytes, &e);
    if (rc == ERR_OK) rc = pipeline_open(&p, &r->spec, &e);
    if (rc == ERR_OK) rc = schema_copy(&s, pipeline_schema(p), &e);
    if (rc != ERR_OK) {
        say(fd, rc, e.text, strlen(e.text));
        return;
    }
    pipeline_gathers(p, &r->spec);
    say_columns(fd, &r->spec, &s);
    if (!settled(&s))
        pipeline_settle(p, r->sample, r->sample_bytes, clock_ns() + r->settle, &s);
    say_columns(fd, &r->spec, &s);
    schema_free(&s);
    pipeline_close(&p);
}

__attribute__((noreturn)) static void child(struct request *r, int fd, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) _exit(1);
    answer(r, fd);
    _exit(0);
}

// ---- its parent ----

enum heard { HEARD_ALL, HEARD_END, HEARD_LATE };

static enum heard hear_bytes(int fd, void *to, size_t n, ns_t deadline)
{
    for (size_t got = 0; got < n;) {
        struct pollfd p = { fd, POLLIN, 0 };
        ns_t left = deadline - clock_ns();
        if (left <= 0) return HEARD_LATE;
        if (poll(&p, 1, left > NS_S ? 1000 : (int)(left / NS_MS) + 1) <= 0) continue;
        ssize_t k = read(fd, (uint8_t *)to + got, n - got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return HEARD_END;
        got += (size_t)k;
    }
    return HEARD_ALL;
}

// One whole message: u32 code, u32 length, body. Into `out` as the answer is written.
static enum heard hear(int fd, struct buf *out, ns_t deadline)
{
    enum { MOST = 16 << 20 };
    uint32_t head[2];
    struct buf b = { 0 };
    enum heard h = hear_bytes(fd, head, sizeof head, deadline);
    if (h != HEARD_ALL) return h;
    if (head[1] > MOST || buf_add(&b, head, sizeof *head, NULL) != ERR_OK ||
        buf_reserve(&b, head[1], NULL) != ERR_OK)
        h = HEARD_END;
    else
        h = hear_bytes(fd, b.p + b.n, head[1], deadline);
    if (h == HEARD_ALL) {
        b.n += head[1];
        buf_free(out);
        *out = b;
    } else {
        buf_free(&b);
    }
    return h;
}

static err_t say_end(enum heard h, int status, const struct request *r, struct err *e)
{
    if (h == HEARD_LATE)
        return err_set(e, ERR_TRANSFORM,
                       "the transform could not be opened within limits.timeout (%lld ms)",
                       (long long)r->spec.timeout_ms);
    if (WIFSIGNALED(status))
        return err_set(e, ERR_TRANSFORM,
                       "opening the transform killed its process: signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    return err_set(e, ERR_TRANSFORM,
                   "opening the transform ended its process: exit code %d",
                   WEXITSTATUS(status));
}

static bool is_good(const struct buf *message)
{
    uint32_t code;
    memcpy(&code, message->p, sizeof code);
    return code == ERR_OK;
}

// Programs are tried before; see xf_exec_learn.
static ns_t open_time(const struct spec *spec)
{
    ns_t limit = (ns_t)spec->timeout_ms * NS_MS;
    for (size_t i = 0; i < spec->n_steps; i++)
        if (spec->steps[i].kind == STEP_EXEC) limit += XF_EXEC_LEARN_TIME;
    return limit;
}

// *killed: by somebody else, which says nothing about the transform.
static err_t ask_once(struct request *r, struct buf *message, bool *killed, struct err *e)
{
    int pair[2], status = 0;
    *killed = false;
    if (pipe2(pair, O_CLOEXEC)) return err_sys(e, "cannot ask the transform");
    ns_t open_until = clock_ns() + open_time(&r->spec);
    pid_t self = getpid(), pid = fork();
    if (pid == 0) child(r, pair[1], self);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return err_sys(e, "cannot ask the transform: fork");
    }
    enum heard h = hear(pair[0], message, open_until);
    enum heard settled = h;
    if (h == HEARD_ALL && is_good(message))
        settled = hear(pair[0], message, clock_ns() + r->settle + GRACE);
    close(pair[0]);
    if (settled != HEARD_END) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0) scratch_sweep(); // it could not tidy up
    *killed = settled == HEARD_END && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return h == HEARD_ALL ? ERR_OK : say_end(h, status, r, e);
}

static err_t ask(struct request *r, struct buf *message, struct err *e)
{
    bool killed;
    err_t rc = ask_once(r, message, &killed, e);
    if (killed) rc = ask_once(r, message, &killed, e);
    if (!killed) return rc;
    return err_set(e, ERR_DIED,
                   "the process that tries the transform was killed twice (signal 9), by "
                   "somebody or by the kernel for want of memory; the same command tries "
                   "it again");
}

static err_t describe(struct buf *message, struct err *e)
{
    struct buf in = { 0 };
    struct request r = { 0 };
    err_t rc = read_stdin(&in, e);
    if (rc == ERR_OK) rc = read_request(&r, &in, e);
    if (rc == ERR_OK) rc = ask(&r, message, e);
    spec_free(&r.spec);
    buf_free(&in);
    return rc;
}

int describe_main(void)
{
    struct buf message = { 0 };
    struct err e = { 0 };
    runner_harden(0);
    uint32_t code = describe(&message, &e);
    int failed = 0;
    if (code == ERR_OK)
        failed = fwrite(message.p, message.n, 1, stdout) != 1;
    else
        failed = fwrite(&code, sizeof code, 1, stdout) != 1 ||
                 fwrite(e.text, strlen(e.text) + !*e.text, 1, stdout) != 1;
    failed |= fflush(stdout) != 0;
    buf_free(&message);
    return failed;
}
