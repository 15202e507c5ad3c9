#include "coordinator/trial.h"

#include "common/clock.h"
#include "common/rejects.h"
#include "common/utf8.h"
#include "coordinator/cli.h"
#include "coordinator/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH = 4400 };

struct changed { // what the trial's job has of its own
    struct job job;
    struct strings file, file_written, names;
    char *path, into[PATH];
    char *query;
};

// ---- its job ----

static bool is_text_source(const struct job *j)
{
    return j->source == SOURCE_CSV || j->source == SOURCE_LINES ||
           j->source == SOURCE_JSONL;
}

// Into files of the same kind. What is no file is stood in for by a database.
static void turn_into(struct changed *c, const struct trial_in *in)
{
    const char *into = in->job->into;
    const char *star = strchr(into, '*') ? "-*" : "";
    if (strcmp(into, "null:") == 0) return;
    if (strncmp(into, "csv:", 4) == 0 || strcmp(into, "stdout:") == 0)
        snprintf(c->into, sizeof c->into, "csv:%s/out%s.csv", in->room, star);
    else if (strncmp(into, "jsonl:", 6) == 0 || strncmp(into, "stdout:", 7) == 0)
        snprintf(c->into, sizeof c->into, "jsonl:%s/out%s.jsonl", in->room, star);
    else
        snprintf(c->into, sizeof c->into, "sqlite:%s/out.db", in->room);
    c->job.into = c->job.into_written = c->into;
    c->job.into_secret = NULL;
}

static void leave_out(struct job *t)
{
    t->output = OUTPUT_QUIET;
    t->progress = PROGRESS_NONE;
    t->bad_rows = UINT64_MAX;
    t->bad_rows_share = -1;
    t->cache_bytes = 0;
    t->listen = NULL;
    t->closely = false;
    t->insecure = t->workers_remote = t->fresh = t->stdout_taken = false;
    t->workers_min = 0;
    t->labels = (struct strings){ 0 };
    t->from = NULL;
    t->place = JOB_ALONE;
}

// The excerpt has no header.
static err_t read_excerpt(struct changed *c, const struct trial_in *in, struct excerpt *x,
                          struct err *e)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/in", in->room);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return err_sys(e, "cannot create %s", path);
    uint64_t bytes = (uint64_t)((double)in->rows * in->row_bytes) + 1;
    err_t rc = source_excerpt(in->source, in->types->n, bytes, fd, x, e);
    if (close(fd) && rc == ERR_OK) rc = err_sys(e, "cannot write %s", path);
    if (rc == ERR_OK) rc = strings_add(&c->file, path, strlen(path), e);
    for (uint32_t i = 0; rc == ERR_OK && i < in->types->n; i++)
        rc = strings_add(&c->names, in->types->f[i].name, strlen(in->types->f[i].name), e);
    TRY(rc);
    c->job.files = c->job.file_paths = c->file;
    if (c->job.source != SOURCE_CSV) return ERR_OK;
    c->job.header = HEADER_NAMES;
    c->job.header_names = c->names;
    return ERR_OK;
}

static err_t limit_query(struct changed *c, const struct trial_in *in, struct err *e)
{
    const struct job *j = in->job;
    const char *table = j->source == SOURCE_SQLITE ? j->sqlite_table : j->postgres_table;
    const char *from = table ? table : j->query;
    size_t n = strlen(from);
    while (!table && n && strchr("; \t\r\n", from[n - 1]))
        n--;
    char rows[32];
    snprintf(rows, sizeof rows, "%llu", (unsigned long long)in->rows);
    if (table && j->source == SOURCE_SQLITE) { // a name; of PostgreSQL it is written as SQL
        c->query = malloc(2 * n + 80);
        if (!c->query) return err_set(e, ERR_NOMEM, "out of memory");
        char *p = stpcpy(c->query, "SELECT * FROM \"");
        for (const char *s = table; *s; s++) {
            if (*s == '"') *p++ = '"';
            *p++ = *s;
        }
        sprintf(p, "\" LIMIT %s", rows);
    } else if (asprintf(&c->query,
                        table ? "SELECT * FROM %.*s LIMIT %s"
                              : "SELECT * FROM (%.*s\n) AS a_part LIMIT %s",
                        (int)n, from, rows) < 0) {
        c->query = NULL;
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    c->job.query = c->query;
    c->job.sqlite_table = c->job.postgres_table = NULL;
    return ERR_OK;
}

static err_t change(struct changed *c, const struct trial_in *in, struct excerpt *x,
                    struct err *e)
{
    *c = (struct changed){ .job = *in->job };
    struct job *t = &c->job;
    leave_out(t);
    turn_into(c, in);
    t->params = *in->params;
    if (in->without_merge) t->merge_sql = NULL;
    if (in->whole) return ERR_OK;
    if (is_text_source(t)) return read_excerpt(c, in, x, e);
    if (t->source != SOURCE_RANGE) return limit_query(c, in, e);
    t->range_rows = in->rows;
    return ERR_OK;
}

static void changed_free(struct changed *c)
{
    strings_free(&c->file);
    strings_free(&c->names);
    free(c->query);
}

// ---- its process ----

static void cut(char *to, size_t size, const void *p, size_t n)
{
    if (n > size - 1) n = utf8_cut(p, n, size - 1);
    memcpy(to, p, n);
    to[n] = 0;
}

static void on_result(void *arg, size_t image_bytes, const void *rejects, size_t n)
{
    struct trial *t = arg;
    struct slice list = { rejects, n };
    struct reject r;
    size_t at = 0;
    bool bad;
    t->image_bytes += image_bytes;
    while (n && t->n_rejects < TRIAL_REJECTS && rejects_next(list, &at, &r, &bad)) {
        struct trial_reject *to = &t->reject[t->n_rejects++];
        to->line = r.line;
        to->byte = r.byte;
        cut(to->column, sizeof to->column, r.column.p, r.column.n);
        cut(to->reason, sizeof to->reason, r.reason.p, r.reason.n);
        cut(to->raw, sizeof to->raw, r.raw.p, r.raw.n);
    }
}

static void add_up(struct trial *t, const struct run_sums *s)
{
    struct rusage own, below;
    t->cost = (struct trial_cost){ .rows = s->rows_read,
                                   .chunks = s->chunks,
                                   .wall = s->seconds,
                                   .busy = (double)s->busy_ns / 1e9,
                                   .worker_cpu = (double)s->worker_cpu_ns / 1e9,
                                   .coordinator = s->coordinator_seconds,
                                   .loading = s->loading_seconds };
    t->slots = s->slots;
    t->bytes_read = s->bytes_read;
    t->retries = s->retries;
    t->rows_emitted = s->rows_emitted;
    t->rows_rejected = s->rows_rejected + s->rows_refused;
    if (getrusage(RUSAGE_SELF, &own) == 0) t->coordinator_kib = (uint64_t)own.ru_maxrss;
    if (getrusage(RUSAGE_CHILDREN, &below) == 0) t->runner_kib = (uint64_t)below.ru_maxrss;
}

static int log_path(const struct trial_in *in, char path[PATH])
{
    return snprintf(path, PATH, "%s/stderr", in->room);
}

__attribute__((noreturn)) static void child(const struct trial_in *in, struct job *j,
                                            pid_t parent, int fd)
{
    static struct trial t;
    static struct job_trial trial;
    char path[PATH];
    struct run_sums sums = { 0 };
    trial = (struct job_trial){ in->types, on_result, &t };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(CLI_INTERRUPTED);
    log_path(in, path);
    int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (log < 0 || dup2(log, STDERR_FILENO) < 0) _exit(CLI_INFRASTRUCTURE);
    if (setenv("TRANCHE_HOME", in->home, 1)) _exit(CLI_INFRASTRUCTURE);
    j->trial = &trial;
    t.code = run_job_summed(j, &sums);
    fflush(NULL);
    add_up(&t, &sums);
    _exit(write(fd, &t, sizeof t) == sizeof t ? t.code : CLI_INFRASTRUCTURE);
}

// The sentence that the run ended with.
static void read_log(const struct trial_in *in, char *to, size_t size)
{
    char path[PATH], line[1024];
    log_path(in, path);
    FILE *f = fopen(path, "re");
    *to = 0;
    while (f && !*to && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "tranche: ", 9) == 0) snprintf(to, size, "%s", line + 9);
    }
    if (f) fclose(f);
}

// True: all of it came.
static bool hear(int fd, struct trial *out, ns_t until)
{
    size_t got = 0;
    while (got < sizeof *out) {
        struct pollfd p = { fd, POLLIN, 0 };
        ns_t left = until - clock_ns();
        if (left <= 0) return false;
        int n = poll(&p, 1, (int)(left / NS_MS) + 1);
        if (n < 0 && errno != EINTR) return false;
        if (n <= 0) continue;
        ssize_t k = read(fd, (char *)out + got, sizeof *out - got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        got += (size_t)k;
    }
    return true;
}

static err_t fork_trial(const struct trial_in *in, struct job *j, struct trial *out,
                        struct err *e)
{
    int pipes[2], status = 0;
    if (pipe2(pipes, O_CLOEXEC)) return err_sys(e, "cannot begin a trial");
    fflush(NULL);
    ns_t until = clock_ns() + TRIAL_SECONDS * NS_S;
    pid_t self = getpid(), pid = fork();
    if (pid == 0) child(in, j, self, pipes[1]);
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return err_sys(e, "cannot begin a trial");
    }
    bool told = hear(pipes[0], out, until), late = !told && clock_ns() >= until;
    close(pipes[0]);
    if (!told) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (told) return ERR_OK;
    if (late)
        return err_set(e, ERR_TIMEOUT, "a trial of %llu row%s did not end within %d s",
                       (unsigned long long)in->rows, in->rows == 1 ? "" : "s",
                       TRIAL_SECONDS);
    return err_set(e, ERR_DIED, "the process of a trial ended by itself (status %d)",
                   status);
}

err_t trial_run(const struct trial_in *in, struct trial *out, struct excerpt *x,
                struct err *e)
{
    struct changed c;
    *x = (struct excerpt){ 0 };
    *out = (struct trial){ 0 };
    err_t rc = change(&c, in, x, e);
    if (rc == ERR_OK) rc = fork_trial(in, &c.job, out, e);
    if (rc == ERR_OK && out->code != CLI_OK && out->code != CLI_REJECTS)
        read_log(in, out->error, sizeof out->error);
    changed_free(&c);
    return rc;
}
