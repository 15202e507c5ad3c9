#include "worker/child_impl.h"
#include "worker/cpu.h"
#include "worker/orphans.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10, GRACE_MS = 2000, GOODBYE_MS = 500 };
// For the end of a program that closed a pipe, if it comes: pipes close before it is dead.
static const ns_t HANG_UP = NS_S;

// Whom we started and did not bury yet: other threads have children too.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct child *live;

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

// Under the lock, so that nobody takes the new process for an orphan.
pid_t child_fork(struct child *c)
{
    pthread_mutex_lock(&lock);
    pid_t pid = fork();
    if (pid == 0) return 0;
    c->pid = pid;
    c->next = live;
    live = c;
    pthread_mutex_unlock(&lock);
    return pid;
}

void child_close(struct child *c)
{
    pthread_mutex_lock(&lock);
    for (struct child **at = &live; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    pthread_mutex_unlock(&lock);
    close_fd(&c->in);
    close_fd(&c->out);
    close_fd(&c->err);
    close_fd(&c->pidfd);
    c->pid = 0;
}

// ---- ending ----

static bool is_ours(const void *arg, pid_t pid)
{
    (void)arg;
    for (const struct child *c = live; c; c = c->next)
        if (c->pid == pid) return true;
    return false;
}

// The group first: its members may be about to fork.
static void kill_rest(pid_t group)
{
    kill(-group, SIGKILL);
    pthread_mutex_lock(&lock);
    orphans_kill(is_ours, NULL);
    pthread_mutex_unlock(&lock);
}

// A group that is not reaped keeps its number: nobody else is hit.
static int bury(struct child *c)
{
    int status = 0;
    struct rusage use = { 0 };
    kill(c->pid, SIGKILL);
    kill(-c->pid, SIGKILL);
    siginfo_t info;
    while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    kill_rest(c->pid);
    while (wait4(c->pid, &status, 0, &use) < 0 && errno == EINTR) {
    }
    cpu_meter_end(&c->cpu, &use);
    return status;
}

void child_end(struct child *c)
{
    struct pollfd p = { c->pidfd, POLLIN, 0 };
    if (c->pid <= 0) return;
    close_fd(&c->in);
    (void)poll(&p, 1, GOODBYE_MS);
    child_kill(c);
}

void child_kill(struct child *c)
{
    if (c->pid <= 0) return;
    bury(c);
    child_close(c);
}

static void keep_tail(struct child *c, const char *p, size_t n)
{
    if (n > CHILD_TAIL) {
        p += n - CHILD_TAIL;
        n = CHILD_TAIL;
    }
    if (c->tail_n + n > CHILD_TAIL) {
        size_t drop = c->tail_n + n - CHILD_TAIL;
        memmove(c->tail, c->tail + drop, c->tail_n - drop);
        c->tail_n -= drop;
    }
    memcpy(c->tail + c->tail_n, p, n);
    c->tail_n += n;
}

// ---- talking ----

struct talk {
    struct child *c;
    const struct child_talk *t;
    size_t written;
    const char *closed; // "input", "output": by the child, that was to keep it open
    ns_t until;         // its end must come then
};

static void hung_up(struct talk *k, const char *what)
{
    if (k->t->close_in || k->closed) return;
    k->closed = what;
    k->until = clock_ns() + HANG_UP;
}

static void write_some(struct talk *k)
{
    size_t left = k->t->input.n - k->written;
    ssize_t n = left ? write(k->c->in, k->t->input.p + k->written, left) : 0;
    if (!left && !k->t->close_in) n = -1, errno = EPIPE; // its reader is gone
    if (n > 0) k->written += (size_t)n;
    bool gone = n < 0 && errno != EAGAIN && errno != EINTR; // it wants no more
    if (gone) k->written = k->t->input.n;
    if (gone) hung_up(k, "input");
    if (gone || (k->written == k->t->input.n && k->t->close_in)) close_fd(&k->c->in);
}

// *more: there may be more to read at once.
static err_t read_some(struct talk *k, bool *more, struct err *e)
{
    struct buf *to = k->t->answer;
    *more = false;
    TRY(buf_reserve(to, READ_BYTES, e));
    ssize_t n = read(k->c->out, to->p + to->n, to->cap - to->n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(&k->c->out);
        hung_up(k, "output");
    }
    if (n <= 0) return ERR_OK;
    to->n += (size_t)n;
    *more = true;
    if (to->n > k->t->max_bytes)
        return err_set(e, ERR_TOOBIG,
                       "its output for one batch is larger than %zu MiB; make batches "
                       "smaller (batch.bytes) or raise limits.worker_memory",
                       k->t->max_bytes >> 20);
    return ERR_OK;
}

static bool read_errors(struct child *c)
{
    char block[16384];
    ssize_t n = read(c->err, block, sizeof block);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close_fd(&c->err);
    if (n > 0) keep_tail(c, block, (size_t)n);
    return n > 0;
}

// What it had written is in the pipes now, and nobody is left to add to it.
static err_t drain(struct talk *k, struct err *e)
{
    bool more = true;
    while (more && k->c->out >= 0)
        TRY(read_some(k, &more, e));
    while (k->c->err >= 0 && read_errors(k->c)) {
    }
    return ERR_OK;
}

static int poll_ms(ns_t deadline)
{
    if (deadline == NS_NEVER) return -1;
    ns_t left = deadline - clock_ns();
    if (left <= 0) return 0;
    ns_t ms = (left + NS_MS - 1) / NS_MS;
    return ms > 3600000 ? 3600000 : (int)ms;
}

// Gives it two seconds to put things away. Its pipes stay open, nobody reads them.
static void end_politely(struct child *c)
{
    struct pollfd p = { c->pidfd, POLLIN, 0 };
    kill(-c->pid, SIGTERM);
    kill(-c->pid, SIGCONT); // a stopped one would not hear it
    if (poll(&p, 1, GRACE_MS) < 0 && errno != EINTR) return;
    char block[4096];
    for (ssize_t n; c->err >= 0 && (n = read(c->err, block, sizeof block)) > 0;)
        keep_tail(c, block, (size_t)n);
}

static err_t say_hung_up(const struct talk *k, struct err *e)
{
    return err_set(e, ERR_TRANSFORM,
                   "closed its standard %s and lives on; a persistent program keeps both "
                   "open until its input ends",
                   k->closed);
}

enum { IN, OUT, ERR, END, N_FDS };

static err_t turn(struct talk *k, ns_t deadline, bool *ended, struct err *e)
{
    struct child *c = k->c;
    bool writes = k->written < k->t->input.n || k->t->close_in;
    struct pollfd fd[N_FDS] = {
        [IN] = { c->in, writes ? POLLOUT : 0, 0 }, // the end of its reader always shows
        [OUT] = { c->out, POLLIN, 0 },
        [ERR] = { c->err, POLLIN, 0 },
        [END] = { c->pidfd, POLLIN, 0 },
    };
    bool more;
    ns_t wake = k->closed && k->until < deadline ? k->until : deadline;
    int n = poll(fd, N_FDS, poll_ms(wake));
    if (n < 0 && errno != EINTR) return err_sys(e, "cannot wait for a program");
    if (n == 0 && clock_ns() >= deadline)
        return err_set(e, ERR_TIMEOUT, "it takes too long");
    if (n == 0 && k->closed && clock_ns() >= k->until) return say_hung_up(k, e);
    if (n <= 0) return ERR_OK;
    if (fd[IN].revents) write_some(k);
    if (fd[OUT].revents) TRY(read_some(k, &more, e));
    if (fd[ERR].revents) read_errors(c);
    *ended = fd[END].revents != 0;
    return clock_ns() >= deadline ? err_set(e, ERR_TIMEOUT, "it takes too long") : ERR_OK;
}

err_t child_talk(struct child *c, const struct child_talk *t, ns_t deadline, bool *ended,
                 int *status, struct err *e)
{
    struct talk k = { .c = c, .t = t };
    err_t rc = ERR_OK;
    *ended = false;
    *status = 0;
    assert(c->pid > 0);
    while (rc == ERR_OK && !*ended && !(t->whole && t->whole(t->arg, t->answer)))
        rc = turn(&k, deadline, ended, e);
    if (rc == ERR_OK && !*ended) return ERR_OK;
    if (rc == ERR_TIMEOUT) end_politely(c);
    *status = bury(c);
    if (rc == ERR_OK) rc = drain(&k, e);
    *ended = true;
    child_close(c);
    return rc;
}
