#include "common/crash.h"

#ifdef TRANCHE_TEST_HOOKS

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void trace(const char *name)
{
    const char *path = getenv("TRANCHE_CRASH_TRACE");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0) return;
    dprintf(fd, "%s\n", name);
    close(fd);
}

static bool is_at(const char *variable, const char *name, _Atomic long *passed)
{
    const char *at = getenv(variable);
    if (!at) return false;
    size_t n = strcspn(at, ":");
    if (strlen(name) != n || memcmp(name, at, n) != 0) return false;
    long wanted = at[n] ? strtol(at + n + 1, NULL, 10) : 1;
    return atomic_fetch_add(passed, 1) + 1 == wanted;
}

void crash_point(const char *name)
{
    static _Atomic long killed, stopped;
    trace(name);
    if (is_at("TRANCHE_CRASH_AT", name, &killed)) kill(getpid(), SIGKILL);
    if (is_at("TRANCHE_STOP_AT", name, &stopped)) raise(SIGSTOP); // this thread first
}

#else

extern int crash_points_are_not_built; // a file of C needs one declaration

#endif
