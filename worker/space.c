#include "worker/space.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

bool space_not_allowed, space_without_proc;

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t n = strlen(text);
    bool ok = write(fd, text, n) == (ssize_t)n;
    close(fd);
    return ok;
}

static void map_self(char *text, size_t size, unsigned id)
{
    snprintf(text, size, "%u %u 1", id, id);
}

// No network but a loopback that is down, no System V IPC of others. The user stays who he
// is. The PID namespace is that of children.
static bool leave_namespaces(void)
{
    char uid[40], gid[40];
    map_self(uid, sizeof uid, getuid());
    map_self(gid, sizeof gid, getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWPID))
        return false;
    (void)write_text("/proc/self/setgroups", "deny");
    return write_text("/proc/self/uid_map", uid) && write_text("/proc/self/gid_map", gid);
}

static bool keep_mounts_in(void)
{
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool mount_proc(void)
{
    if (space_without_proc) return errno = EPERM, false;
    return keep_mounts_in() &&
           mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
}

// Memory that the user's other programs share is theirs.
static bool mount_shm(void)
{
    return keep_mounts_in() &&
           mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0;
}

static pid_t wait_for(pid_t pid, int *status)
{
    pid_t ended;
    while ((ended = waitpid(pid, status, 0)) < 0 && errno == EINTR) {
    }
    return ended;
}

// ---- trying it ----

static int try_it(void)
{
    if (!leave_namespaces()) return SPACE_NONE;
    pid_t pid = fork();
    if (pid == 0) _exit(mount_proc() ? SPACE_WHOLE : SPACE_NO_PROC);
    int status = 0;
    if (pid < 0 || wait_for(pid, &status) != pid || !WIFEXITED(status)) return SPACE_NONE;
    return WEXITSTATUS(status);
}

enum space space_to_be_had(void)
{
    int status;
    if (space_not_allowed) return SPACE_NONE;
    pid_t pid = fork();
    if (pid == 0) _exit(try_it());
    if (pid < 0 || wait_for(pid, &status) != pid || !WIFEXITED(status)) return SPACE_NONE;
    return (enum space)WEXITSTATUS(status);
}

// ---- the three processes ----

// Pipes end when the program has closed its ends, not when we have.
static void close_all_but(int fd)
{
    if (fd > 0) syscall(SYS_close_range, 0, (unsigned)fd - 1, 0);
    syscall(SYS_close_range, (unsigned)fd + 1, ~0U, 0);
}

static void block_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

// A. Signals to the group are for the program.
__attribute__((noreturn)) static void stay_outside(pid_t first, int told)
{
    int status, ignored;
    block_signals();
    close_all_but(told);
    ssize_t n = read(told, &status, sizeof status);
    wait_for(first, &ignored); // then nothing is left in there
    if (n != sizeof status) status = SIGKILL;
    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    int sig = WTERMSIG(status);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    signal(sig, SIG_DFL);
    kill(getpid(), sig);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    _exit(128 + sig);
}

// B
__attribute__((noreturn)) static void reap(pid_t program, int tell)
{
    int status = 0;
    block_signals();
    close_all_but(tell);
    for (pid_t ended; (ended = wait_for(-1, &status)) != program;)
        if (ended < 0) _exit(1);
    _exit(write(tell, &status, sizeof status) != sizeof status);
}

bool space_enter(bool proc, bool *shm)
{
    int told[2];
    if (!leave_namespaces() || pipe2(told, O_CLOEXEC)) return false;
    // A new user namespace is a new uid as far as this signal is concerned.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pid_t first = fork();
    if (first < 0) return false;
    if (first > 0) {
        close(told[1]);
        stay_outside(first, told[0]);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(told[0]);
    if (proc && !mount_proc()) return false;
    *shm = mount_shm();
    pid_t program = fork();
    if (program > 0) reap(program, told[1]);
    close(told[1]);
    return program == 0;
}
