#include "worker/runner_start.h"

#include "worker/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOLD = RUNNER_FDS_END - RUNNER_FD_SPEC }; // descriptors that come with the start

union rights { // room for them, aligned
    struct cmsghdr head;
    char room[CMSG_SPACE(TOLD * sizeof(int))];
};

// In the child. It keeps nothing of its parent's but the two ends.
__attribute__((noreturn)) static void become_runner(int channel, int errors, pid_t parent,
                                                    bool copy)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int away = fcntl(channel, F_DUPFD, RUNNER_FDS_END); // no dup2 may overwrite it
    if (away < 0 || dup2(errors, STDERR_FILENO) < 0 || dup2(away, RUNNER_FD_CHANNEL) < 0)
        _exit(127);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) dup2(null, STDIN_FILENO), dup2(null, STDOUT_FILENO);
    bool alone = syscall(SYS_close_range, RUNNER_FD_SPEC, ~0U, 0) == 0;
    if (copy && alone) runner_main();
    // Libraries that are preloaded may open files before we hear from our parent.
    for (int fd = RUNNER_FD_SPEC; fd < RUNNER_FDS_END; fd++)
        dup2(STDIN_FILENO, fd);
    execl("/proc/self/exe", "tranche-runner", "--runner", (char *)NULL);
    dprintf(STDERR_FILENO, "cannot start a runner: %s\n", strerror(errno));
    _exit(127);
}

static void close_both(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0) close(pair[i]);
}

err_t runner_spawn(struct runner_process *p, bool copy, struct err *e)
{
    int channel[2] = { -1, -1 }, errors[2] = { -1, -1 };
    pid_t parent = getpid();
    *p = RUNNER_NO_PROCESS;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel) ||
        pipe2(errors, O_CLOEXEC | O_NONBLOCK)) {
        err_sys(e, "cannot start a runner");
        close_both(channel);
        return ERR_IO;
    }
    fcntl(channel[1], F_SETFL, 0); // the runner blocks, its parent does not
    fcntl(errors[1], F_SETFL, O_WRONLY);
    pid_t pid = fork();
    if (pid < 0) {
        err_sys(e, "cannot start a runner: fork");
        close_both(channel);
        close_both(errors);
        return ERR_IO;
    }
    if (pid == 0) become_runner(channel[1], errors[1], parent, copy);
    close(channel[1]);
    close(errors[1]);
    *p = (struct runner_process){ pid, (int)syscall(SYS_pidfd_open, pid, 0), channel[0],
                                  errors[0] };
    if (p->pidfd >= 0) {
        fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
        return ERR_OK;
    }
    err_sys(e, "cannot watch a runner (pidfd_open)");
    runner_end(p);
    return ERR_IO;
}

void runner_end(struct runner_process *p)
{
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    const int ends[] = { p->pidfd, p->channel, p->errors };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends[i] >= 0) close(ends[i]);
    *p = RUNNER_NO_PROCESS;
}

err_t runner_tell(const struct runner_process *p, const struct runner_start *s,
                  const int *fds, struct err *e)
{
    struct runner_start copy = *s;
    struct iovec body = { &copy, sizeof copy };
    union rights rights = { .room = { 0 } };
    struct msghdr m = { .msg_iov = &body,
                        .msg_iovlen = 1,
                        .msg_control = rights.room,
                        .msg_controllen = sizeof rights.room };
    rights.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(TOLD * sizeof(int)),
                                    .cmsg_level = SOL_SOCKET,
                                    .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&rights.head), fds, TOLD * sizeof(int));
    if (sendmsg(p->channel, &m, MSG_NOSIGNAL) == (ssize_t)sizeof copy) return ERR_OK;
    return err_sys(e, "cannot reach the runner");
}

// They come with the lowest numbers that are free: in a copy theirs, otherwise above those
// that are kept for them.
static bool put_in_place(const union rights *r)
{
    int fds[TOLD];
    if (r->head.cmsg_type != SCM_RIGHTS || r->head.cmsg_len != CMSG_LEN(sizeof fds))
        return false;
    memcpy(fds, CMSG_DATA(&r->head), sizeof fds);
    for (int i = 0; i < TOLD; i++) {
        if (fds[i] == RUNNER_FD_SPEC + i) continue;
        if (fds[i] < RUNNER_FDS_END || dup2(fds[i], RUNNER_FD_SPEC + i) < 0) return false;
        close(fds[i]);
    }
    return true;
}

bool runner_hear(struct runner_start *s)
{
    struct iovec body = { s, sizeof *s };
    union rights rights = { .room = { 0 } };
    struct msghdr m = { .msg_iov = &body,
                        .msg_iovlen = 1,
                        .msg_control = rights.room,
                        .msg_controllen = sizeof rights.room };
    ssize_t n;
    do
        n = recvmsg(RUNNER_FD_CHANNEL, &m, 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *s && put_in_place(&rights);
}
