#include "coordinator/local.h"

#include "common/clock.h"
#include "common/csv.h"
#include "common/scratch.h"
#include "proto/spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GOODBYE_MS = 2000, PATIENCE_MS = 2000 };

static const char *tmp_folder(void)
{
    const char *t = getenv("TMPDIR");
    return t && t[0] == '/' && strlen(t) < 40 ? t : "/tmp"; // a socket's path has 107 bytes
}

static void remove_folder(const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%.100s/socket", dir);
    unlink(path);
    rmdir(dir);
}

// Nobody listens on its socket any more. Asked too because a process id says nothing where
// two containers share a folder.
static bool is_deaf(const char *dir)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    snprintf(a.sun_path, sizeof a.sun_path, "%.90s/socket", dir);
    bool deaf = connect(fd, (struct sockaddr *)&a, sizeof a) != 0 &&
                (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return deaf;
}

// Folders of runs that were killed: tranche-run-PID-xxxxxx of this user without a process.
void local_sweep(void)
{
    const char *tmp = tmp_folder();
    DIR *d = opendir(tmp);
    if (!d) return;
    for (struct dirent *x; (x = readdir(d));) {
        int pid;
        struct stat st;
        if (sscanf(x->d_name, "tranche-run-%d-", &pid) != 1 || pid <= 0) continue;
        if (kill(pid, 0) == 0 || errno != ESRCH) continue;
        if (fstatat(dirfd(d), x->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
            continue;
        if (st.st_uid != getuid()) continue;
        char path[128];
        if (snprintf(path, sizeof path, "%s/%s", tmp, x->d_name) < (int)sizeof path &&
            is_deaf(path))
            remove_folder(path);
    }
    closedir(d);
}

static err_t find_worker(struct local *l, struct err *e)
{
    char self[4000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return err_sys(e, "cannot find our own program");
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (slash) *slash = 0;
    snprintf(l->worker, sizeof l->worker, "%s/tranche-worker", self);
    if (access(l->worker, X_OK) == 0) return ERR_OK;
    return err_sys(e, "no worker can be started: %s", l->worker);
}

err_t local_open(struct local *l, struct err *e)
{
    *l = (struct local){ .pidfd = -1 };
    TRY(find_worker(l, e));
    const char *tmp = tmp_folder();
    snprintf(l->dir, sizeof l->dir, "%s/tranche-run-%d-XXXXXX", tmp, (int)getpid());
    if (!mkdtemp(l->dir)) {
        l->dir[0] = 0;
        return err_sys(e, "cannot make a private folder in %s", tmp);
    }
    snprintf(l->endpoint, sizeof l->endpoint, "ipc://%s/socket", l->dir);
    return ERR_OK;
}

err_t local_listen(struct local *l, struct err *e)
{
    enum { BACKLOG = 100 };
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    snprintf(a.sun_path, sizeof a.sun_path, "%.90s/socket", l->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_sys(e, "no socket for the worker");
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, BACKLOG)) {
        err_sys(e, "cannot listen for the worker in %s", l->dir);
        close(fd);
        return ERR_IO;
    }
    l->listener = fd;
    return ERR_OK;
}

static void child_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

err_t local_start(struct local *l, uint32_t slots, struct err *e)
{
    char n[16];
    pid_t parent = getpid();
    snprintf(n, sizeof n, "%u", slots);
    l->pid = fork();
    if (l->pid < 0) {
        l->pid = 0;
        return err_sys(e, "no worker can be started: fork");
    }
    if (l->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        child_signals();
        setpgid(0, 0); // Ctrl-C is for the coordinator
        execl(l->worker, "tranche-worker", "--name", "local", "--slots", n, l->endpoint,
              (char *)NULL);
        dprintf(STDERR_FILENO, "tranche: cannot start %s: %s\n", l->worker,
                strerror(errno));
        _exit(127);
    }
    l->pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
    if (l->pidfd < 0) return err_sys(e, "cannot watch the worker (pidfd_open)");
    fcntl(l->pidfd, F_SETFD, FD_CLOEXEC);
    return ERR_OK;
}

bool local_reap(struct local *l, char *text, size_t cap)
{
    int status;
    struct rusage use;
    if (l->pid <= 0 || wait4(l->pid, &status, WNOHANG, &use) != l->pid) return false;
    if (WIFSIGNALED(status))
        snprintf(text, cap, "was killed by signal %d (%s), peak memory %ld KiB",
                 WTERMSIG(status), strsignal(WTERMSIG(status)), use.ru_maxrss);
    else
        snprintf(text, cap, "exited with code %d, peak memory %ld KiB", WEXITSTATUS(status),
                 use.ru_maxrss);
    close(l->pidfd);
    l->pidfd = -1;
    l->pid = 0;
    l->died = true;
    return true;
}

// Nobody wants to hear it.
static void dismiss_adviser(struct local *l)
{
    if (l->adviser.pid <= 0) return;
    kill(l->adviser.pid, SIGKILL);
    if (!l->adviser.was_asked) close(l->adviser.to);
    close(l->adviser.from);
    while (waitpid(l->adviser.pid, NULL, 0) < 0 && errno == EINTR) {
    }
    l->adviser.pid = 0;
    l->adviser.was_asked = false;
}

void local_close(struct local *l)
{
    dismiss_adviser(l);
    if (l->pid > 0) {
        struct pollfd p = { l->pidfd, POLLIN, 0 };
        if (!l->told_to_stop || poll(&p, 1, GOODBYE_MS) != 1) kill(l->pid, SIGKILL);
        int status = 0;
        l->died |= waitpid(l->pid, &status, 0) != l->pid || status != 0;
        close(l->pidfd);
    }
    if (l->died) scratch_sweep(); // of runners that were killed with it
    if (l->listener) close(l->listener);
    if (l->dir[0]) remove_folder(l->dir);
    *l = (struct local){ .pidfd = -1 };
}

void local_abandon(const struct local *l)
{
    if (l->pid > 0) kill(l->pid, SIGKILL);
    if (l->dir[0]) remove_folder(l->dir);
}

// ---- describe ----

void local_expect_describe(struct local *l)
{
    int in[2], out[2];
    if (l->adviser.pid > 0 || pipe2(in, O_CLOEXEC)) return;
    if (pipe2(out, O_CLOEXEC)) {
        close(in[0]), close(in[1]);
        return;
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        child_signals();
        if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0) _exit(127);
        execl(l->worker, "tranche-worker", "--describe", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    if (pid < 0) {
        close(in[1]), close(out[0]);
        return;
    }
    l->adviser.pid = pid;
    l->adviser.to = in[1];
    l->adviser.from = out[0];
}

static void write_all(int fd, const void *p, size_t n)
{
    for (size_t put = 0; put < n;) {
        ssize_t k = write(fd, (const uint8_t *)p + put, n - put);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return; // it died: the missing answer tells
        put += (size_t)k;
    }
}

// A slow program has 20 s for a thousand rows: nobody should have to guess.
static void say_what_takes_so_long(const struct local *l, int from)
{
    struct pollfd p = { from, POLLIN, 0 };
    if (l->say && poll(&p, 1, PATIENCE_MS) == 0)
        l->say(l->say_arg, "the transforms are being tried on a sample of the input, to "
                           "learn what columns they give");
}

static err_t make_request(const struct buf *spec, const struct buf *sample, struct buf *out,
                          struct err *e)
{
    static const uint8_t pad[CSV_PAD];
    uint64_t n = spec->n;
    TRY(buf_reserve(out, sizeof n + spec->n + sample->n + 2 * CSV_PAD, e));
    TRY(buf_add(out, &n, sizeof n, e));
    TRY(buf_add(out, spec->p, spec->n, e));
    TRY(buf_add(out, pad, CSV_PAD, e));
    TRY(buf_add(out, sample->p, sample->n, e));
    return buf_add(out, pad, CSV_PAD, e);
}

static bool has_room(int pipe, size_t n)
{
    int room = fcntl(pipe, F_GETPIPE_SZ);
    if (room >= 0 && (size_t)room < n && n <= INT_MAX)
        room = fcntl(pipe, F_SETPIPE_SZ, (int)n);
    return room >= 0 && (size_t)room >= n;
}

static void ask(struct local *l, const struct buf *request)
{
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    write_all(l->adviser.to, request->p, request->n);
    signal(SIGPIPE, old);
    close(l->adviser.to);
    l->adviser.asked = hash_bytes(request->p, request->n);
    l->adviser.was_asked = true;
}

void local_ask_early(struct local *l, const struct buf *spec, const struct buf *sample)
{
    struct buf request = { 0 };
    if (l->adviser.pid > 0 && !l->adviser.was_asked &&
        make_request(spec, sample, &request, NULL) == ERR_OK &&
        has_room(l->adviser.to, request.n))
        ask(l, &request);
    buf_free(&request);
}

// The worker reads all of its input before it answers, so plain blocking I/O cannot lock
// up.
static err_t hear_answer(const struct local *l, int from, struct buf *answer, struct err *e)
{
    say_what_takes_so_long(l, from);
    for (;;) {
        TRY(buf_reserve(answer, 4096, e));
        ssize_t k = read(from, answer->p + answer->n, answer->cap - answer->n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_sys(e, "cannot hear the worker");
        if (k == 0) return ERR_OK;
        answer->n += (size_t)k;
        if (answer->n > (16u << 20))
            return err_set(e, ERR_PROTO, "the worker's answer is too long");
    }
}

static err_t read_answer(const struct buf *a, int status, struct spec *out, struct err *e)
{
    uint32_t code;
    if (a->n < sizeof code || !WIFEXITED(status) || WEXITSTATUS(status)) {
        if (WIFSIGNALED(status))
            return err_set(e, ERR_DIED,
                           "trying the transform killed its process: signal %d (%s)",
                           WTERMSIG(status), strsignal(WTERMSIG(status)));
        return err_set(e, ERR_DIED,
                       "the worker could not be asked what the transform gives");
    }
    memcpy(&code, a->p, sizeof code);
    const uint8_t *body = a->p + sizeof code;
    size_t n = a->n - sizeof code;
    if (code == ERR_OK) return spec_decode(out, body, n, e);
    return err_set(e, code < ERR_N ? (err_t)code : ERR_PROTO, "%.*s",
                   (int)(n < 1000 ? n : 1000), (const char *)body);
}

static err_t describe_once(struct local *l, const struct buf *request, struct spec *out,
                           bool *killed, struct err *e)
{
    struct buf answer = { 0 };
    int status = 0;
    *killed = false;
    if (l->adviser.was_asked &&
        !hash_equal(l->adviser.asked, hash_bytes(request->p, request->n)))
        dismiss_adviser(l);
    local_expect_describe(l);
    pid_t pid = l->adviser.pid;
    if (pid <= 0) return err_sys(e, "no worker can be started");
    if (!l->adviser.was_asked) ask(l, request);
    l->adviser.pid = 0;
    l->adviser.was_asked = false;
    err_t rc = hear_answer(l, l->adviser.from, &answer, e);
    close(l->adviser.from);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (rc == ERR_OK) rc = read_answer(&answer, status, out, e);
    *killed = rc != ERR_OK && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    buf_free(&answer);
    return rc;
}

err_t local_describe(struct local *l, const struct buf *spec, const struct buf *sample,
                     struct spec *out, struct err *e)
{
    bool killed = false; // by somebody else: that says nothing about the job
    struct buf request = { 0 };
    err_t rc = make_request(spec, sample, &request, e);
    if (rc == ERR_OK) rc = describe_once(l, &request, out, &killed, e);
    if (killed) rc = describe_once(l, &request, out, &killed, e);
    buf_free(&request);
    return rc;
}
