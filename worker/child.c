#include "worker/child.h"

#include "worker/orphans.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20, READ_BYTES = 256 << 10, GRACE_MS = 2000, GOODBYE_MS = 500 };

// Whom we started and did not bury yet: other threads have children too.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct child *live;

struct trouble { // what the new process says when it cannot become the program
    enum { CANNOT_START, CANNOT_ENTER, CANNOT_RUN } at;
    int error;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void close_all(struct child *c)
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

// ---- starting ----

struct pipes {
    int in[2], out[2], err[2], say[2];
};

static void close_pipes(struct pipes *p)
{
    int *fd = p->in;
    for (size_t i = 0; i < sizeof *p / sizeof *fd; i++)
        close_fd(&fd[i]);
}

static err_t open_pipes(struct pipes *p, struct err *e)
{
    memset(p, 0xff, sizeof *p);
    if (pipe2(p->in, O_CLOEXEC) || pipe2(p->out, O_CLOEXEC) || pipe2(p->err, O_CLOEXEC) ||
        pipe2(p->say, O_CLOEXEC)) {
        err_sys(e, "cannot start a program: no pipes");
        close_pipes(p);
        return ERR_IO;
    }
    fcntl(p->in[1], F_SETPIPE_SZ, PIPE_BYTES); // as far as the user's limits allow
    fcntl(p->out[0], F_SETPIPE_SZ, PIPE_BYTES);
    int ours[] = { p->in[1], p->out[0], p->err[0] };
    for (int i = 0; i < 3; i++)
        fcntl(ours[i], F_SETFL, O_NONBLOCK);
    return ERR_OK;
}

static void default_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
}

static void limit_resources(uint64_t memory_bytes)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct rlimit data = { memory_bytes ? memory_bytes : RLIM_INFINITY, RLIM_INFINITY };
    data.rlim_max = data.rlim_cur;
    setrlimit(RLIMIT_DATA, &data);
#else
    (void)memory_bytes;
#endif
}

static void become(const struct child_plan *p, struct pipes *pipes, pid_t parent)
{
    struct trouble t = { CANNOT_START, 0 };
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    default_signals();
    // The pipes' numbers are all above stderr's: std_fds_keep saw to it.
    bool ok = dup2(pipes->in[0], STDIN_FILENO) >= 0 &&
              dup2(pipes->out[1], STDOUT_FILENO) >= 0 &&
              dup2(pipes->err[1], STDERR_FILENO) >= 0;
    if (ok && chdir(p->dir) != 0) ok = chdir(p->scratch) == 0;
    limit_resources(p->memory_bytes);
    if (ok && !sandbox_enter(p->sandbox)) {
        ok = false;
        t.at = CANNOT_ENTER;
    }
    if (ok) {
        t.at = CANNOT_RUN;
        // Everything else is close-on-exec; this does not rely on it.
        syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
        execvpe(p->argv[0], p->argv, p->env);
    }
    t.error = errno;
    if (write(pipes->say[1], &t, sizeof t) != sizeof t) _exit(126);
    _exit(127);
}

static err_t say_trouble(const struct trouble *t, const struct child_plan *p, struct err *e)
{
    const char *name = p->name;
    bool has_path = strchr(name, '/') != NULL;
    if (t->at == CANNOT_ENTER)
        return err_set(e, ERR_INVALID, "cannot run '%s': its sandbox failed: %s", name,
                       strerror(t->error));
    if (t->at == CANNOT_RUN && t->error == ENOENT && !has_path)
        return err_set(
            e, ERR_INVALID,
            "cannot run '%s': there is no such program in PATH; a program in the "
            "job's folder is written './%s'",
            name, name);
    if (t->at == CANNOT_RUN && t->error == ENOENT)
        return err_set(e, ERR_INVALID,
                       "cannot run '%s': the file, or the interpreter in its first line, "
                       "does not exist",
                       name);
    if (t->at == CANNOT_RUN && t->error == EACCES && p->sandbox->level == STEP_STRICT)
        return err_set(e, ERR_INVALID,
                       "cannot run '%s': it, or its interpreter, may not be executed; "
                       "sandbox: strict runs what is in /usr, /opt, the job's folder and "
                       "VIRTUAL_ENV",
                       name);
    if (t->at == CANNOT_RUN && t->error == EACCES)
        return err_set(e, ERR_INVALID,
                       "cannot run '%s': it may not be executed; chmod +x it, or name its "
                       "interpreter: [python3, %s]",
                       name, name);
    return err_set(e, ERR_INVALID, "cannot run '%s': %s", name, strerror(t->error));
}

// Waits until it runs: the pipe closes with exec.
static err_t hear_start(struct child *c, struct pipes *pipes, const struct child_plan *p,
                        struct err *e)
{
    struct trouble t;
    ssize_t n;
    while ((n = read(pipes->say[0], &t, sizeof t)) < 0 && errno == EINTR) {
    }
    if (n == 0) return ERR_OK;
    child_kill(c);
    if (n != sizeof t) return err_set(e, ERR_INVALID, "'%s' did not start", p->name);
    return say_trouble(&t, p, e);
}

err_t child_start(struct child *c, const struct child_plan *p, struct err *e)
{
    struct pipes pipes;
    pid_t parent = getpid();
    *c = (struct child){ .pidfd = -1, .in = -1, .out = -1, .err = -1 };
    TRY(open_pipes(&pipes, e));
    fflush(NULL);
    pthread_mutex_lock(&lock);
    c->pid = fork();
    if (c->pid == 0) become(p, &pipes, parent);
    c->next = live;
    live = c;
    pthread_mutex_unlock(&lock);
    err_t rc = c->pid < 0 ? err_sys(e, "cannot start a program: fork") : ERR_OK;
    if (rc != ERR_OK) close_all(c);
    close_fd(&pipes.say[1]);
    if (rc == ERR_OK) {
        setpgid(c->pid, c->pid); // whoever is first
        c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
        c->in = pipes.in[1];
        c->out = pipes.out[0];
        c->err = pipes.err[0];
        pipes.in[1] = pipes.out[0] = pipes.err[0] = -1;
        if (c->pidfd < 0) {
            rc = err_sys(e, "cannot watch a program (pidfd_open)");
            child_kill(c);
        }
    }
    if (rc == ERR_OK) rc = hear_start(c, &pipes, p, e);
    close_pipes(&pipes);
    return rc;
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
    kill(c->pid, SIGKILL);
    kill(-c->pid, SIGKILL);
    siginfo_t info;
    while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    kill_rest(c->pid);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
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
    close_all(c);
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
};

static void write_some(struct talk *k)
{
    size_t left = k->t->input.n - k->written;
    ssize_t n = left ? write(k->c->in, k->t->input.p + k->written, left) : 0;
    if (n > 0) k->written += (size_t)n;
    bool gone = n < 0 && errno != EAGAIN && errno != EINTR; // it wants no more
    if (gone) k->written = k->t->input.n;
    if (gone || (k->written == k->t->input.n && k->t->close_in)) close_fd(&k->c->in);
}

// *more: there may be more to read at once.
static err_t read_some(struct talk *k, bool *more, struct err *e)
{
    struct buf *to = k->t->answer;
    *more = false;
    TRY(buf_reserve(to, READ_BYTES, e));
    ssize_t n = read(k->c->out, to->p + to->n, to->cap - to->n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close_fd(&k->c->out);
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

enum { IN, OUT, ERR, END, N_FDS };

static err_t turn(struct talk *k, ns_t deadline, bool *ended, struct err *e)
{
    struct child *c = k->c;
    bool writes = k->written < k->t->input.n || k->t->close_in;
    struct pollfd fd[N_FDS] = {
        [IN] = { writes ? c->in : -1, POLLOUT, 0 },
        [OUT] = { c->out, POLLIN, 0 },
        [ERR] = { c->err, POLLIN, 0 },
        [END] = { c->pidfd, POLLIN, 0 },
    };
    bool more;
    int n = poll(fd, N_FDS, poll_ms(deadline));
    if (n < 0 && errno != EINTR) return err_sys(e, "cannot wait for a program");
    if (n == 0 && clock_ns() >= deadline)
        return err_set(e, ERR_TIMEOUT, "it takes too long");
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
    close_all(c);
    return rc;
}
