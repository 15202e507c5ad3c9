// failing_processes - failing_calls.h for code that starts processes: fork and what belongs
// to it fails, too.
//
// A new process has a count of its own, so that what it calls between fork and its program
// can be made to fail while all goes well in ours. A test that has a poll of its own says
// so with FAILING_OWN_POLL.

#ifndef TESTS_FAILING_PROCESSES_H
#define TESTS_FAILING_PROCESSES_H

#include "tests/failing_calls.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static long failing_below =
    -1; // calls of a new process until one fails; negative: none does

pid_t __real_fork(void);
pid_t __real_waitpid(pid_t pid, int *status, int how);
int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __real___poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room);
int __real_memfd_create(const char *name, unsigned flags);
int __real_dup2(int from, int to);
int __real_setenv(const char *name, const char *value, int over);
int __real_chdir(const char *path);
int __real_chmod(const char *path, mode_t mode);
int __real_fchmod(int fd, mode_t mode);
int __real_link(const char *from, const char *to);
int __real_mkostemp(char *name, int flags);
off_t __real_lseek(int fd, off_t at, int from);

#ifndef FAILING_OWN_POLL
FAILING_FILE(int, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms), -1)
FAILING_FILE(int, __poll_chk, (struct pollfd * fds, nfds_t n, int ms, size_t room),
             (fds, n, ms, room), -1)
#endif
FAILING_FILE(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
FAILING_FILE(int, dup2, (int from, int to), (from, to), -1)
FAILING_FILE(int, setenv, (const char *name, const char *value, int over),
             (name, value, over), -1)
FAILING_FILE(int, chdir, (const char *path), (path), -1)
FAILING_FILE(int, chmod, (const char *path, mode_t mode), (path, mode), -1)
FAILING_FILE(int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
FAILING_FILE(int, link, (const char *from, const char *to), (from, to), -1)
FAILING_FILE(int, mkostemp, (char *name, int flags), (name, flags), -1)
FAILING_FILE(off_t, lseek, (int fd, off_t at, int from), (fd, at, from), -1)

pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    if (failing_now(FAILING_FILES, "fork")) return -1;
    pid_t pid = __real_fork();
    if (pid != 0) return pid;
    failing.left = failing_below;
    failing.kinds = FAILING_FILES;
    no_memory_left = -1;
    return 0;
}

// A process that nobody waits for any more would be there for good: only a signal comes.
pid_t __wrap_waitpid(pid_t pid, int *status, int how);
pid_t __wrap_waitpid(pid_t pid, int *status, int how)
{
    if (!how && failing.error == EINTR && failing_now(FAILING_FILES, "waitpid")) return -1;
    return __real_waitpid(pid, status, how);
}

#endif
