// The jobs that run: each a process of its own, which dies with us.

#include "coordinator/serve_impl.h"

#include "common/crash.h"
#include "coordinator/serve_job.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOGS_KEPT = 500, UNFOUND_MOST = 3 };
static const ns_t TELL_AGAIN = 10 * NS_S; // to stop: who is stuck is ended by a second word

struct child *serve_child_of(const struct serve *s, int64_t id)
{
    for (struct child *c = s->children; c; c = c->next)
        if (c->id == id) return c;
    return NULL;
}

static pid_t parent_of(pid_t pid)
{
    char path[40], line[400];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    // The program's name may hold anything but stands in the only parentheses.
    const char *end = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    if (!end || sscanf(end, ") %*c %d", &parent) != 1) parent = 0;
    fclose(f);
    return parent;
}

struct child *serve_child_with(struct serve *s, const char *holder)
{
    pid_t pid = (pid_t)strtol(holder, NULL, 10), parent = parent_of(pid);
    for (struct child *c = s->children; c; c = c->next)
        if (!c->over && (c->pid == pid || c->pid == parent)) return c;
    return NULL;
}

// ---- what it writes ----

static void log_add(struct serve *s, struct child *c, const void *p, size_t n)
{
    if (job_log_add(&c->log, p, n, &s->scratch) == ERR_OK) {
        c->log_failed = false;
        return;
    }
    if (!c->log_failed) serve_say(s, "log", c->id, s->scratch.text); // the job goes on
    c->log_failed = true;
}

void serve_hear_child(struct serve *s, struct child *c)
{
    char bytes[64 << 10];
    ssize_t n = c->out < 0 ? 0 : read(c->out, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0) {
        log_add(s, c, bytes, (size_t)n);
        serve_tell_watchers(s, c->id, false);
        return;
    }
    if (c->out >= 0) close(c->out);
    c->out = -1;
}

// All that it has written stands in the pipe. What it has left behind may keep that open,
// and may write faster than we read.
static void hear_the_rest(struct serve *s, struct child *c)
{
    char bytes[64 << 10];
    int room = c->out < 0 ? 0 : fcntl(c->out, F_GETPIPE_SZ);
    for (ssize_t n; room > 0; room -= (int)n) {
        if ((n = read(c->out, bytes, sizeof bytes)) <= 0) break;
        log_add(s, c, bytes, (size_t)n);
    }
    if (c->out >= 0) close(c->out);
    c->out = -1;
}

static void log_begin(struct serve *s, struct child *c)
{
    char line[100];
    time_t now = time(NULL);
    struct tm tm = { 0 };
    gmtime_r(&now, &tm);
    size_t n = strftime(line, sizeof line, "%Y-%m-%d %H:%M:%S UTC: ", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, "job %lld begins\n", (long long)c->id);
    log_add(s, c, line, n);
}

// ---- beginning ----

static void child_free(struct child *c)
{
    if (!c) return;
    if (c->out >= 0) close(c->out);
    job_log_close(&c->log);
    free(c->loads);
    free(c);
}

// Between fork and exec, with threads in the parent: system calls only.
__attribute__((noreturn)) static void become(const struct serve *s, char *id, pid_t parent,
                                             int in, int out)
{
    static char name[] = "tranche", word[] = "serve-job";
    char *argv[] = { name, word, id, (char *)(uintptr_t)s->opts->listen_workers, NULL };
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // what was committed is safe: it goes on
    if (getppid() != parent) _exit(CLI_INTERRUPTED);
    setsid(); // Ctrl-C is for the server
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(run_lock_fd(s->lock), SERVE_JOB_LOCK) < 0 || dup2(in, STDIN_FILENO) < 0 ||
        dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        _exit(CLI_INFRASTRUCTURE);
    execv("/proc/self/exe", argv);
    _exit(CLI_INFRASTRUCTURE);
}

static err_t write_spec(int fd, const struct buf *spec, struct err *e)
{
    for (size_t put = 0; put < spec->n;) {
        ssize_t k = write(fd, spec->p + put, spec->n - put);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_sys(e, "cannot hand the job over");
        put += (size_t)k;
    }
    return lseek(fd, 0, SEEK_SET) == 0 ? ERR_OK : err_sys(e, "cannot hand the job over");
}

static err_t spawn(struct serve *s, struct child *c, const struct buf *spec, struct err *e)
{
    int out[2] = { -1, -1 }, in = memfd_create("job", MFD_CLOEXEC);
    err_t rc = in < 0 ? err_sys(e, "cannot begin a job") : write_spec(in, spec, e);
    if (rc == ERR_OK && pipe2(out, O_CLOEXEC) != 0) rc = err_sys(e, "cannot begin a job");
    if (rc == ERR_OK) {
        c->out = out[0];
        fcntl(c->out, F_SETFL, O_NONBLOCK);
        pid_t parent = getpid();
        char id[24];
        snprintf(id, sizeof id, "%lld", (long long)c->id);
        c->pid = fork();
        if (c->pid == 0) become(s, id, parent, in, out[1]);
        if (c->pid < 0) rc = err_sys(e, "cannot begin a job: fork");
    }
    if (out[1] >= 0) close(out[1]);
    if (in >= 0) close(in);
    return rc;
}

// Of a job that runs, or is the one to run: a low priority may have kept it for long.
static bool log_is_in_use(const void *arg, int64_t id)
{
    return serve_child_of(arg, id) != NULL;
}

// A log that cannot be written holds up no job, nor those behind it.
static void log_open(struct serve *s, struct child *c)
{
    if (job_log_open(&c->log, s->logs, c->id, &s->scratch) == ERR_OK) return;
    if (s->unlogged != c->id) serve_say(s, "log", c->id, s->scratch.text);
    s->unlogged = c->id;
    c->log_failed = true;
}

static err_t prepare(struct serve *s, int64_t id, struct child **out, struct buf *spec,
                     struct err *e)
{
    struct buf loads = { 0 };
    err_t rc = backlog_spec(s->backlog, id, spec, &loads, e);
    struct child *c = rc == ERR_OK ? calloc(1, sizeof *c) : NULL;
    if (rc == ERR_OK && !c) rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) {
        *c = (struct child){
            .id = id, .out = -1, .log = { .fd = -1 }, .loads = (char *)loads.p
        };
        loads = (struct buf){ 0 };
        job_log_prune(s->logs, id - LOGS_KEPT, log_is_in_use, s);
        log_open(s, c);
    }
    buf_free(&loads);
    if (rc == ERR_OK)
        *out = c;
    else
        child_free(c);
    return rc;
}

static err_t begin(struct serve *s, int64_t id, struct err *e)
{
    struct buf spec = { 0 };
    struct child *c = NULL;
    err_t rc = prepare(s, id, &c, &spec, e);
    if (rc == ERR_OK) rc = backlog_start(s->backlog, id, e);
    bool started = rc == ERR_OK;
    if (started) {
        log_begin(s, c);
        c->began_ms = clock_wall_ms();
        rc = spawn(s, c, &spec, e);
    }
    buf_free(&spec);
    if (!started) {
        child_free(c);
        return rc;
    }
    c->next = s->children;
    s->children = c;
    s->n_children++;
    c->over = c->unbegun = rc != ERR_OK; // queued again as soon as that can be written
    if (rc != ERR_OK) return rc;
    crash_point("serve-forked");
    run_lock_holder_of(c->pid, c->holder);
    serve_say(s, "begin", id, "begins");
    return ERR_OK;
}

// No line of theirs is one of these. Tables of SQLite have no upper and lower case; who
// waits for one that has does so in vain, but not for ever.
static bool apart(const char *a, const char *b)
{
    for (const char *line = a; *line;) {
        size_t n = strcspn(line, "\n");
        for (const char *other = b; *other;) {
            size_t k = strcspn(other, "\n");
            if (n == k && strncasecmp(line, other, n) == 0) return false;
            other += k + (other[k] == '\n');
        }
        line += n + (line[n] == '\n');
    }
    return true;
}

// Two that load into one table would not go together: the second one waits.
static bool may_begin(void *arg, const char *loads)
{
    const struct serve *s = arg;
    for (const struct child *c = s->children; c; c = c->next)
        if (!apart(c->loads, loads)) return false;
    return true;
}

void serve_begin_jobs(struct serve *s)
{
    struct err e;
    s->look = false;
    while (!s->stopping && s->n_children < s->opts->jobs) {
        int64_t id;
        err_t rc = backlog_next(s->backlog, may_begin, s, &id, &e);
        if (rc == ERR_OK && !id) break;
        if (rc == ERR_OK) rc = begin(s, id, &e);
        if (rc == ERR_OK) continue;
        serve_trouble(s, &e);
        break;
    }
}

// ---- ending ----

void serve_stop_child(struct serve *s, struct child *c)
{
    (void)s;
    if (c->over) return;
    kill(c->pid, SIGTERM);
    c->told = clock_ns();
}

void serve_mind_children(struct serve *s, ns_t now)
{
    for (struct child *c = s->children; c; c = c->next)
        if (c->told && now - c->told >= TELL_AGAIN) serve_stop_child(s, c);
}

void serve_kill_children(struct serve *s)
{
    for (struct child *c = s->children; c; c = c->next)
        if (!c->over) kill(c->pid, SIGKILL);
}

bool serve_all_over(const struct serve *s)
{
    for (const struct child *c = s->children; c; c = c->next)
        if (!c->over) return false;
    return true;
}

void serve_leave_children(struct serve *s)
{
    for (struct child *c; (c = s->children); child_free(c))
        s->children = c->next;
    s->n_children = 0;
}

void serve_reap(struct serve *s)
{
    for (struct child *c = s->children; c; c = c->next) {
        if (c->over || waitpid(c->pid, &c->status, WNOHANG) != c->pid) continue;
        c->over = true;
        hear_the_rest(s, c);
    }
}

// What the process itself could not say.
static int exit_code(const struct child *c, char *text, size_t size)
{
    text[0] = 0;
    if (WIFEXITED(c->status)) return WEXITSTATUS(c->status);
    if (c->told) return CLI_INTERRUPTED;
    snprintf(text, size,
             "its process was ended by signal %d (%s); submitted again it goes on",
             WTERMSIG(c->status), strsignal(WTERMSIG(c->status)));
    return CLI_INFRASTRUCTURE;
}

// *ended: else it goes on one day.
static err_t record(struct serve *s, struct child *c, bool *ended, struct err *e)
{
    char run[40], text[200], line[300];
    int code = exit_code(c, text, sizeof text);
    *ended = !c->unbegun && !(s->stopping && code == CLI_INTERRUPTED);
    if (!*ended) {
        TRY(backlog_requeue(s->backlog, c->id, e));
        if (!c->unbegun)
            serve_say(s, "requeued", c->id, "is interrupted, and queued again");
        return ERR_OK;
    }
    TRY(backlog_run_of(s->backlog, c->holder, c->began_ms, run, e));
    TRY(backlog_end(s->backlog, c->id, code, run, text, e));
    snprintf(line, sizeof line, "has ended with exit code %d%s%s", code,
             text[0] ? ": " : "", text);
    serve_say(s, "end", c->id, line);
    return ERR_OK;
}

// Somebody has deleted or changed its row of runs.db by hand: there is nothing to write to.
// Said after some tries only: while its disk fails SQLite may see an older state.
static err_t given_up(struct serve *s, const struct child *c, bool *ended)
{
    serve_say(s, "end", c->id,
              "has ended, and runs.db knows nothing of it any more: its row of jobs was "
              "deleted or changed");
    *ended = true;
    return ERR_OK;
}

void serve_record_ends(struct serve *s)
{
    struct err e;
    for (struct child **at = &s->children; *at;) {
        struct child *c = *at;
        bool ended = false;
        if (!c->over) {
            at = &c->next;
            continue;
        }
        err_t rc = record(s, c, &ended, &e);
        if (rc == ERR_INVALID && ++c->unfound == UNFOUND_MOST) rc = given_up(s, c, &ended);
        if (rc != ERR_OK) {
            serve_trouble(s, &e); // for the others, too, after as long a wait
            return;
        }
        *at = c->next;
        s->n_children--;
        s->look |= ended; // what could not begin is tried again in a while
        serve_tell_watchers(s, c->id, ended);
        child_free(c);
    }
}
