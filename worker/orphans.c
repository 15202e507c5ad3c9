#include "worker/orphans.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void orphans_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

// One turn; false: none was left.
static bool kill_some(bool (*ours)(const void *arg, pid_t pid), const void *arg)
{
    char path[64], text[4096];
    bool found = false;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (n <= 0) return false;
    text[n] = 0;
    char *rest = text;
    for (char *end;; rest = end) {
        pid_t pid = (pid_t)strtol(rest, &end, 10);
        if (end == rest) return found;
        if (*end == 0 && n == (ssize_t)sizeof text - 1) return found; // cut: the next turn
        if (ours(arg, pid) || kill(pid, SIGKILL)) continue;
        if (waitpid(pid, NULL, 0) == pid) found = true; // its children come to us next
    }
}

void orphans_kill(bool (*ours)(const void *arg, pid_t pid), const void *arg)
{
    while (kill_some(ours, arg)) {
    }
}
