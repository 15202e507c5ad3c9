#include "worker/cpu.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES_MAX = 1000 }; // that are looked at

static const ns_t LOOK_EVERY = 100 * NS_MS;

static size_t read_text(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
    if (fd >= 0) close(fd);
    to[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

// proc(5): behind the name in parentheses stand the state and 10 numbers, then utime,
// stime, cutime and cstime in clock ticks.
static void read_stat(pid_t pid, ns_t *own, ns_t *of_children)
{
    char path[64], text[1024];
    unsigned long long ticks[4] = { 0 };
    *own = *of_children = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    read_text(path, text, sizeof text);
    const char *p = strrchr(text, ')');
    if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
                     &ticks[0], &ticks[1], &ticks[2], &ticks[3]) != 4)
        return;
    ns_t tick = NS_S / sysconf(_SC_CLK_TCK);
    *own = (ns_t)(ticks[0] + ticks[1]) * tick;
    *of_children = (ns_t)(ticks[2] + ticks[3]) * tick;
}

static ns_t clock_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) return 0;
    return t.tv_sec * NS_S + t.tv_nsec;
}

static ns_t below(pid_t pid, int *left);

// The children that one thread of it started, and what is below them.
static ns_t below_thread(pid_t pid, const char *tid, int *left)
{
    char path[64], text[4096];
    ns_t all = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, tid);
    read_text(path, text, sizeof text);
    for (char *p = text, *end; *left > 0; p = end) {
        ns_t own, waited;
        pid_t child = (pid_t)strtol(p, &end, 10);
        if (end == p) break;
        --*left;
        read_stat(child, &own, &waited);
        all += own + waited + below(child, left);
    }
    return all;
}

static ns_t below(pid_t pid, int *left)
{
    char path[64];
    ns_t all = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.') all += below_thread(pid, x->d_name, left);
    if (d) closedir(d);
    return all;
}

ns_t cpu_meter_read(struct cpu_meter *m, pid_t pid)
{
    ns_t now = clock_ns(), sum = m->ended;
    if (pid > 0 && (m->looked == 0 || now - m->looked >= LOOK_EVERY)) {
        ns_t own, waited;
        int left = PROCESSES_MAX;
        read_stat(pid, &own, &waited);
        m->below = waited + below(pid, &left);
        m->looked = now;
    }
    if (pid > 0) sum += clock_of(pid) + m->below;
    if (sum > m->most) m->most = sum;
    return m->most;
}

void cpu_meter_end(struct cpu_meter *m, const struct rusage *use)
{
    m->ended += (use->ru_utime.tv_sec + use->ru_stime.tv_sec) * NS_S +
                (use->ru_utime.tv_usec + use->ru_stime.tv_usec) * (NS_S / 1000000);
    m->below = m->looked = 0;
}
