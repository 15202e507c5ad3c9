#include "coordinator/pipeline_run.h"

#include "common/clock.h"
#include "common/say.h"
#include "coordinator/cli.h"
#include "coordinator/pipeline_step.h"
#include "coordinator/progress.h"
#include "coordinator/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum state { WAITS, RUNS, ENDED, SKIPPED, FAILED, NOT_RUN, LEFT_OUT };

struct one { // a step while the pipeline runs
    enum state state;
    pid_t pid;
    int pipe; // what it tells; -1: closed
    struct step_told told;
    ns_t began;
    double seconds;
};

struct running {
    const struct pipeline *p;
    struct one *v; // one for each step
    uint32_t n_running, most;
    const char *from;
    pid_t self;
    sigset_t before; // the caller's signal mask
    int interrupted; // by this signal
    bool fresh;
    ns_t began;
};

static const struct job *job_of(const struct running *r, uint32_t i)
{
    return &r->p->steps[i].job;
}

static enum job_output output_of(const struct running *r)
{
    return job_of(r, 0)->output; // a flag, the same for all
}

// ---- one step ----

static void child(const struct running *r, uint32_t i, int fd)
{
    struct step_told told;
    const char *why = r->from ? "--from" : r->fresh ? "--fresh" : NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // the same command goes on where it stopped
    if (getppid() != r->self) _exit(CLI_INTERRUPTED);
    sigprocmask(SIG_SETMASK, &r->before, NULL);
    setvbuf(stdout, NULL, _IOFBF, 64 << 10); // others write there, too
    setvbuf(stderr, NULL, _IOLBF, 4 << 10);
    pipeline_step(r->p, i, why, &told);
    fflush(stdout);
    fflush(stderr);
    _exit(write(fd, &told, sizeof told) == sizeof told ? told.code : CLI_INFRASTRUCTURE);
}

static void fails(struct running *r, uint32_t i, const char *what)
{
    say_to(stderr, "tranche: %s: %s: %s\n", job_of(r, i)->name, what, strerror(errno));
    r->v[i].state = FAILED;
    r->v[i].told.code = CLI_INFRASTRUCTURE;
}

static void start(struct running *r, uint32_t i)
{
    struct one *x = &r->v[i];
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) != 0) {
        fails(r, i, "cannot start it");
        return;
    }
    fflush(stdout);
    fflush(stderr);
    x->began = clock_ns();
    x->pid = fork();
    if (x->pid == 0) {
        close(fd[0]);
        child(r, i, fd[1]);
    }
    if (x->pid < 0) fails(r, i, "cannot start it");
    close(fd[1]);
    if (x->pid < 0) {
        close(fd[0]);
        return;
    }
    x->pipe = fd[0];
    x->state = RUNS;
    r->n_running++;
}

static void take_end(struct running *r, uint32_t i, int status)
{
    struct one *x = &r->v[i];
    ssize_t n = read(x->pipe, &x->told, sizeof x->told);
    close(x->pipe);
    x->pipe = -1;
    x->pid = 0;
    r->n_running--;
    x->seconds = (double)(clock_ns() - x->began) / (double)NS_S;
    if (n != sizeof x->told) { // it could not tell any more
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : CLI_INFRASTRUCTURE;
        x->told = (struct step_told){ .code = code ? code : CLI_INFRASTRUCTURE };
        if (r->interrupted) x->told.code = CLI_INTERRUPTED; // before it was prepared for it
        if (WIFSIGNALED(status) && !r->interrupted)
            say_to(stderr,
                   "tranche: %s: its process ended by %s; the same command goes on\n",
                   job_of(r, i)->name, strsignal(WTERMSIG(status)));
    }
    bool good = x->told.code == CLI_OK || x->told.code == CLI_REJECTS;
    x->state = !good ? FAILED : x->told.skipped ? SKIPPED : ENDED;
}

// ---- all of them ----

static bool can_begin(const struct running *r, uint32_t i)
{
    const struct pipeline_step *s = &r->p->steps[i];
    for (size_t k = 0; k < s->job.needs.n; k++) {
        enum state need = r->v[s->need[k]].state;
        if (need != ENDED && need != SKIPPED && need != LEFT_OUT) return false;
    }
    return r->v[i].state == WAITS;
}

static void leave_out(struct running *r)
{
    uint32_t from = 0;
    if (!r->from) return;
    while (strcmp(job_of(r, from)->name, r->from) != 0)
        from++;
    for (uint32_t i = 0; i < r->p->n; i++)
        if (i != from && !pipeline_waits_for(r->p, i, from)) r->v[i].state = LEFT_OUT;
}

static void start_all_that_can(struct running *r)
{
    for (uint32_t i = 0; i < r->p->n && !r->interrupted && r->n_running < r->most; i++)
        if (can_begin(r, i)) start(r, i);
}

static void reap(struct running *r)
{
    int status;
    for (uint32_t i = 0; i < r->p->n; i++)
        if (r->v[i].state == RUNS && waitpid(r->v[i].pid, &status, WNOHANG) > 0)
            take_end(r, i, status);
}

static void pass_on(struct running *r, int signo)
{
    bool reload = signo == SIGHUP && r->most == 1; // keys are read again (--listen)
    if (!reload) r->interrupted = signo;
    for (uint32_t i = 0; i < r->p->n; i++)
        if (r->v[i].state == RUNS) kill(r->v[i].pid, signo);
}

static void run_all(struct running *r, const sigset_t *watched)
{
    start_all_that_can(r);
    while (r->n_running) {
        int signo = sigwaitinfo(watched, NULL);
        if (signo == SIGCHLD)
            reap(r);
        else if (signo > 0)
            pass_on(r, signo);
        start_all_that_can(r);
    }
    for (uint32_t i = 0; i < r->p->n; i++)
        if (r->v[i].state == WAITS) r->v[i].state = NOT_RUN;
}

// ---- the end ----

static int exit_code(const struct running *r)
{
    bool rejects = false, missing = false;
    int first = CLI_OK;
    for (uint32_t i = 0; i < r->p->n; i++) {
        const struct one *x = &r->v[i];
        if (x->state == FAILED && !first) first = x->told.code;
        rejects |= x->state == ENDED && x->told.code == CLI_REJECTS;
        missing |= x->state == NOT_RUN;
    }
    if (r->interrupted && (first || missing)) return CLI_INTERRUPTED;
    return first ? first : rejects ? CLI_REJECTS : CLI_OK;
}

static const char *status_of(const struct one *x)
{
    switch (x->state) {
    case SKIPPED: return "skipped";
    case NOT_RUN: return "not run";
    case LEFT_OUT: return "left out";
    case ENDED: return x->told.code == CLI_REJECTS ? "loaded with rejects" : "loaded";
    case WAITS:
    case RUNS:
    case FAILED: break;
    }
    return x->told.code == CLI_INTERRUPTED ? "interrupted"
           : x->told.code == CLI_LIMIT     ? "limit passed"
                                           : "failed";
}

// Why it did not run; NULL: it did, or was not meant to.
static const char *waited_for(const struct running *r, uint32_t i)
{
    const struct pipeline_step *s = &r->p->steps[i];
    for (size_t k = 0; r->v[i].state == NOT_RUN && k < s->job.needs.n; k++) {
        enum state need = r->v[s->need[k]].state;
        if (need == FAILED || need == NOT_RUN) return s->job.needs.v[k];
    }
    return NULL;
}

static void line_of(const struct running *r, uint32_t i, FILE *out)
{
    const struct one *x = &r->v[i];
    const char *need = waited_for(r, i);
    char rows[32];
    say_to(out, "  %-24s %-20s", job_of(r, i)->name, status_of(x));
    format_count(x->told.sums.rows_made, rows, sizeof rows);
    if (x->state == ENDED)
        say_to(out, "%12s rows  %8.2f s", rows, x->seconds);
    else if (x->state == SKIPPED)
        say_to(out, "%s", x->told.reason);
    else if (need)
        say_to(out, "it needs %s", need);
    else if (x->state == LEFT_OUT)
        say_to(out, "not among those of --from %s", r->from);
    say_to(out, "\n");
}

static void show(const struct running *r, FILE *out)
{
    say_to(out, "pipeline %s: %u step%s, %.2f s\n", r->p->name, r->p->n,
           r->p->n == 1 ? "" : "s", (double)(clock_ns() - r->began) / (double)NS_S);
    for (uint32_t i = 0; i < r->p->n; i++)
        line_of(r, i, out);
}

static void json_step(const struct running *r, uint32_t i, FILE *out)
{
    const struct one *x = &r->v[i];
    const char *need = waited_for(r, i);
    fputs("{\"step\":", out);
    json_string(job_of(r, i)->name, out);
    fprintf(out, ",\"status\":\"%s\",\"run\":", status_of(x));
    json_string(x->told.sums.run, out);
    fprintf(out, ",\"rows_loaded\":%llu,\"seconds\":%.3f,\"reason\":",
            (unsigned long long)x->told.sums.rows_loaded, x->seconds);
    json_string(need ? need : x->told.reason, out);
    fputc('}', out);
}

static const char *status_of_all(int code)
{
    return code == CLI_OK            ? "loaded"
           : code == CLI_REJECTS     ? "loaded with rejects"
           : code == CLI_LIMIT       ? "limit passed"
           : code == CLI_INTERRUPTED ? "interrupted"
                                     : "failed";
}

// The keys of a run, summed over the steps, and the steps.
static void json_all(const struct running *r, int code, FILE *out)
{
    struct run_sums s = { 0 };
    for (uint32_t i = 0; i < r->p->n; i++) {
        const struct run_sums *x = &r->v[i].told.sums;
        s.rows_read += x->rows_read, s.rows_parsed += x->rows_parsed;
        s.rows_rejected += x->rows_rejected, s.rows_emitted += x->rows_emitted;
        s.rows_loaded += x->rows_loaded, s.rows_refused += x->rows_refused;
        s.chunks += x->chunks, s.chunks_cached += x->chunks_cached, s.retries += x->retries,
            s.bytes_read += x->bytes_read;
    }
    fputs("{\"run\":\"\",\"pipeline\":", out);
    json_string(r->p->name, out);
    fprintf(out, ",\"status\":\"%s\"", status_of_all(code));
#define NUMBER(key) fprintf(out, ",\"" #key "\":%llu", (unsigned long long)s.key)
    NUMBER(rows_read);
    NUMBER(rows_parsed);
    NUMBER(rows_rejected);
    NUMBER(rows_emitted);
    NUMBER(rows_loaded);
    NUMBER(rows_refused);
    NUMBER(chunks);
    NUMBER(chunks_cached);
    NUMBER(retries);
    NUMBER(bytes_read);
#undef NUMBER
    fprintf(out, ",\"seconds\":%.3f,\"workers\":0,\"table\":\"\",\"steps\":[",
            (double)(clock_ns() - r->began) / (double)NS_S);
    for (uint32_t i = 0; i < r->p->n; i++) {
        if (i) fputc(',', out);
        json_step(r, i, out);
    }
    fputs("]}\n", out);
}

static int tell(const struct running *r)
{
    int code = exit_code(r);
    FILE *out = job_of(r, 0)->stdout_taken ? stderr : stdout;
    if (output_of(r) == OUTPUT_JSON)
        json_all(r, code, out);
    else if (output_of(r) == OUTPUT_HUMAN)
        show(r, out);
    if (fflush(out) == 0 && !ferror(out)) return code;
    say_to(stderr, "tranche: the report cannot be written to standard output: %s\n",
           strerror(errno));
    return code ? code : CLI_INFRASTRUCTURE;
}

static uint32_t most_at_once(const struct pipeline *p)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (uint32_t i = 0; i < p->n; i++)
        if (p->steps[i].job.listen) return 1; // the port is one step's at a time
    return cores > 1 ? (uint32_t)cores : 2;
}

int pipeline_run(const struct pipeline *p)
{
    struct running r = { .p = p,
                         .self = getpid(),
                         .most = most_at_once(p),
                         .from = p->steps[0].job.from,
                         .fresh = p->steps[0].job.fresh,
                         .began = clock_ns() };
    sigset_t watched;
    r.v = calloc(p->n, sizeof *r.v);
    if (!r.v) {
        say_to(stderr, "tranche: out of memory\n");
        return CLI_INFRASTRUCTURE;
    }
    for (uint32_t i = 0; i < p->n; i++)
        r.v[i].pipe = -1;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGHUP);
    signal(SIGCHLD, SIG_DFL); // who started us may have ignored it
    sigprocmask(SIG_BLOCK, &watched, &r.before);
    leave_out(&r);
    run_all(&r, &watched);
    int code = tell(&r);
    sigprocmask(SIG_SETMASK, &r.before, NULL);
    free(r.v);
    return code;
}

// What a step needs may be made only by a run: those are checked as far as their text goes.
int pipeline_check(const struct pipeline *p)
{
    int code = CLI_OK;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct job *j = &p->steps[i].job;
        if (j->needs.n && j->output == OUTPUT_HUMAN)
            say_to(stdout,
                   "%s: ok as it is written; its input and transforms are tried when %s%s "
                   "has run\n",
                   j->name, j->needs.v[0], j->needs.n > 1 ? " (and others)" : "");
        int one = j->needs.n ? CLI_OK : run_check(j);
        if (one && !code) code = one;
    }
    if (code == CLI_OK) run_check_schedule(p->schedule, p->steps[0].job.output);
    return code;
}
