// Starting a program: pipes, limits, sandbox, exec.

#include "worker/child_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20 };

struct trouble { // what the new process says when it cannot become the program
    enum { CANNOT_START, CANNOT_ENTER, CANNOT_RUN } at;
    int error;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

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
    setsid(); // no terminal, into which it could type
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

// The program, its interpreter or what its sandbox needs is not on this host.
static bool is_of_host(const struct trouble *t)
{
    return t->at == CANNOT_ENTER ||
           (t->at == CANNOT_RUN &&
            (t->error == ENOENT || t->error == EACCES || t->error == ENOTDIR ||
             t->error == EPERM || t->error == ENOEXEC));
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
    c->cannot_run = is_of_host(&t);
    return say_trouble(&t, p, e);
}

err_t child_start(struct child *c, const struct child_plan *p, struct err *e)
{
    struct pipes pipes;
    pid_t parent = getpid();
    *c = (struct child){ .pidfd = -1, .in = -1, .out = -1, .err = -1, .cpu = c->cpu };
    TRY(open_pipes(&pipes, e));
    fflush(NULL);
    if (child_fork(c) == 0) become(p, &pipes, parent);
    err_t rc = c->pid < 0 ? err_sys(e, "cannot start a program: fork") : ERR_OK;
    if (rc != ERR_OK) child_close(c);
    close_fd(&pipes.say[1]);
    if (rc == ERR_OK) {
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
