// What is to fail, and when: see shim.h.

#include "tests/faults/shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define INITIAL __attribute__((tls_model("initial-exec")))
enum { DEPTH = 7, FRAMES = 24 };

static const char *const names[] = {
#define X(name) #name,
    SHIM_CALLS(X)
#undef X
};

static struct {
    const char *is, *wanted; // roles
    bool ours;               // they are the same
    int call;                // -1: none
    uint64_t at, count, every, stack;
    int error; // 0: short
    bool survey;
    char under[PATH_MAX];
    size_t under_n;
    struct shim_state *state;
} it = { .call = -1 };

static __thread bool inside INITIAL; // calls of the shim itself are none

void *shim_next(const char *name)
{
    bool was = inside;
    inside = true;
    void *f = dlsym(RTLD_NEXT, name);
    inside = was;
    if (!f) _exit(99);
    return f;
}

static const char *role_of(const char *cmdline, size_t n)
{
    const char *base = strrchr(cmdline, '/');
    base = base ? base + 1 : cmdline;
    if (strcmp(base, "tranche") == 0) return "coordinator";
    if (strcmp(base, "tranche-runner") == 0) return "runner";
    if (strcmp(base, "tranche-worker") != 0) return "";
    size_t first = strlen(cmdline) + 1;
    return first < n && strcmp(cmdline + first, "--describe") == 0 ? "describe" : "worker";
}

static const char *role_here(void)
{
    static char line[4096];
    int fd =
        (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = fd >= 0 ? syscall(SYS_read, fd, line, sizeof line - 1) : 0;
    if (fd >= 0) syscall(SYS_close, fd);
    return n > 0 ? role_of(line, (size_t)n) : "";
}

static uint64_t number(const char *name, uint64_t missing)
{
    const char *s = getenv(name);
    return s ? strtoull(s, NULL, 0) : missing;
}

static int error_of(const char *s)
{
    static const struct {
        const char *name;
        int error;
    } known[] = { { "EIO", EIO },      { "ENOSPC", ENOSPC }, { "ENOMEM", ENOMEM },
                  { "EINTR", EINTR },  { "EMFILE", EMFILE }, { "SHORT", 0 },
                  { "EAGAIN", EAGAIN } };
    for (size_t i = 0; s && i < sizeof known / sizeof *known; i++)
        if (strcmp(s, known[i].name) == 0) return known[i].error;
    return EIO;
}

static void map_state(const char *path)
{
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0) return;
    long p = syscall(SYS_mmap, NULL, sizeof *it.state, PROT_READ | PROT_WRITE, MAP_SHARED,
                     fd, 0);
    if (p > 0) it.state = (struct shim_state *)p;
    syscall(SYS_close, fd);
}

static void say(const char *text, size_t n)
{
    uint64_t from = atomic_fetch_add(&it.state->text_used, n);
    if (from + n <= SHIM_TEXT_BYTES) memcpy(it.state->text + from, text, n);
}

// ---- places

static size_t frames_here(void **frame)
{
    void *all[FRAMES];
    int n = backtrace(all, FRAMES);
    struct dl_find_object self, o;
    if (_dl_find_object((void *)frames_here, &self) != 0) return 0;
    size_t k = 0;
    for (int i = 0; i < n; i++)
        if (_dl_find_object(all[i], &o) == 0 && o.dlfo_map_start != self.dlfo_map_start)
            frame[k++] = all[i];
    return k;
}

static uint64_t place(void)
{
    void *frame[FRAMES];
    size_t n = frames_here(frame);
    uint64_t h = 1469598103934665603u;
    struct dl_find_object o;
    for (size_t i = 0; i < n && i < DEPTH; i++) {
        uint64_t at = _dl_find_object(frame[i], &o) == 0
                          ? (uint64_t)((char *)frame[i] - (char *)o.dlfo_map_start)
                          : 0;
        h = (h ^ at) * 1099511628211u;
    }
    return h ? h : 1;
}

static void note_place(uint64_t h, uint64_t n)
{
    for (size_t i = 0; i < SHIM_PLACES; i++) {
        struct shim_place *p = &it.state->places[(h + i) % SHIM_PLACES];
        uint64_t none = 0;
        if (atomic_compare_exchange_strong(&p->hash, &none, h)) atomic_store(&p->n, n);
        if (atomic_load(&p->hash) == h) return;
    }
}

static void tell(uint64_t n)
{
    char line[512];
    void *frame[FRAMES];
    size_t k = frames_here(frame);
    int m = snprintf(line, sizeof line, "%s %llu failed in process %d:", names[it.call],
                     (unsigned long long)n, (int)getpid());
    say(line, (size_t)m);
    for (size_t i = 0; i < k; i++) {
        struct dl_find_object o;
        if (_dl_find_object(frame[i], &o) != 0) continue;
        const char *file = o.dlfo_link_map->l_name, *base = strrchr(file, '/');
        m = snprintf(
            line, sizeof line, " %s+%#lx", *file ? base ? base + 1 : file : "program",
            (unsigned long)((char *)frame[i] - (char *)o.dlfo_link_map->l_addr - 1));
        say(line, (size_t)m);
    }
    say("\n", 1);
}

// ---- the decision

static bool now(uint64_t n)
{
    if (it.every) return n % it.every == 0;
    return n >= it.at && (it.count == 0 || n < it.at + it.count);
}

static bool decide(enum shim_call call)
{
    uint64_t n = atomic_fetch_add(&it.state->seen[call], 1) + 1;
    if (it.call != (int)call) return false;
    if (it.stack || it.survey) {
        uint64_t h = place();
        if (it.survey) note_place(h, n);
        if (it.survey || h != it.stack) return false;
        n = atomic_fetch_add(&it.state->matched, 1) + 1;
    }
    if (!now(n)) return false;
    if (atomic_fetch_add(&it.state->fired, 1) == 0) tell(n);
    return true;
}

bool shim_fails(enum shim_call call, bool *is_short)
{
    if (!it.ours || !it.state || inside) return false;
    inside = true;
    int before = errno;
    bool fails = decide(call);
    inside = false;
    errno = fails && it.error ? it.error : before;
    if (fails && is_short) *is_short = it.error == 0;
    if (fails && it.error == 0) errno = EIO;
    return fails;
}

bool shim_is_under(const char *path)
{
    return it.under_n && strncmp(path, it.under, it.under_n) == 0 &&
           (path[it.under_n] == '/' || path[it.under_n] == 0);
}

static bool is_file(int fd)
{
    struct stat st;
    char link[40], path[PATH_MAX];
    int before = errno;
    bool yes = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    if (yes && it.under_n) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof path - 1);
        path[n > 0 ? n : 0] = 0;
        yes = shim_is_under(path);
    }
    errno = before;
    return yes;
}

bool shim_fails_fd(enum shim_call call, int fd, bool *is_short)
{
    if (!it.ours || !it.state || inside) return false;
    inside = true;
    bool yes = is_file(fd);
    inside = false;
    return yes && shim_fails(call, is_short);
}

bool shim_fails_path(enum shim_call call, const char *path)
{
    if (!it.ours || !it.state || inside || strncmp(path, "/proc", 5) == 0) return false;
    char whole[PATH_MAX * 2], cwd[PATH_MAX];
    if (it.under_n && path[0] != '/') {
        snprintf(whole, sizeof whole, "%s/%s", getcwd(cwd, sizeof cwd) ? cwd : "", path);
        path = whole;
    }
    if (it.under_n && !shim_is_under(path)) return false;
    return shim_fails(call, NULL);
}

// ---- signals

static void nothing(int sig)
{
    (void)sig;
}

static void died(int sig)
{
    static const char *const called[] = {
        [SIGABRT] = "abort", [SIGSEGV] = "segv", [SIGBUS] = "bus", [SIGFPE] = "fpe"
    };
    say("died of ", 8);
    say(called[sig], strlen(called[sig]));
    say("\n", 1);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void start_storm(void)
{
    uint64_t every_us = number("FAULT_STORM", 0);
    if (!every_us) return;
    struct sigaction sa = { .sa_handler = nothing };
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 9 };
    struct itimerspec each = { 0 };
    timer_t timer;
    each.it_value.tv_sec = each.it_interval.tv_sec = (time_t)(every_us / 1000000);
    each.it_value.tv_nsec = each.it_interval.tv_nsec = (long)(every_us % 1000000) * 1000;
    sigaction(SIGRTMIN + 9, &sa, NULL);
    if (timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0)
        timer_settime(timer, 0, &each, NULL);
}

// A worker's first runners are copies of it.
static void forked(void)
{
    bool from_worker = strcmp(it.is, "worker") == 0;
    if (!from_worker) return;
    it.is = "runner";
    it.ours = strcmp(it.wanted, it.is) == 0;
    if (it.ours) start_storm(); // timers are not inherited
}

// ---- the start

__attribute__((constructor)) static void start(void)
{
    void *warm[2];
    const char *role = getenv("FAULT_ROLE"), *call = getenv("FAULT_CALL");
    inside = true;
    map_state(getenv("FAULT_STATE"));
    it.at = number("FAULT_AT", 0);
    it.count = number("FAULT_COUNT", 1);
    it.every = number("FAULT_EVERY", 0);
    it.stack = number("FAULT_STACK", 0);
    it.survey = number("FAULT_SURVEY", 0) != 0;
    it.error = error_of(getenv("FAULT_ERROR"));
    for (int i = 0; call && i < SHIM_CALLS_END; i++)
        if (strcmp(call, names[i]) == 0) it.call = i;
    if (!it.every && !it.at) it.at = UINT64_MAX;
    const char *under = getenv("FAULT_UNDER");
    if (under) snprintf(it.under, sizeof it.under, "%s", under);
    it.under_n = strlen(it.under);
    backtrace(warm, 2); // loads what it needs
    it.is = role_here();
    it.wanted = role ? role : "";
    it.ours = strcmp(it.is, it.wanted) == 0;
    bool worker = strcmp(it.is, "worker") == 0 && strcmp(it.wanted, "runner") == 0;
    if (strcmp(it.is, "worker") == 0) pthread_atfork(NULL, NULL, forked);
    if ((it.ours || worker) && it.state) {
        struct sigaction sa = { .sa_handler = died, .sa_flags = (int)SA_RESETHAND };
        if (!dlsym(RTLD_DEFAULT, "__asan_init")) {
            sigaction(SIGSEGV, &sa, NULL);
            sigaction(SIGBUS, &sa, NULL);
            sigaction(SIGFPE, &sa, NULL);
        }
        sigaction(SIGABRT, &sa, NULL);
        if (it.ours) start_storm();
    }
    inside = false;
}
