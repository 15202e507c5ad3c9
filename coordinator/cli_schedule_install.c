#include "coordinator/cli_schedule_impl.h"

#include "common/clock.h"
#include "common/cron.h"
#include "common/say.h"
#include "common/text.h"
#include "coordinator/cli.h"
#include "coordinator/schedule_lock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })

// Its path from the root: links stay, for they may lead elsewhere one day.
static err_t absolute(const char *path, char **out, struct err *e)
{
    char *here = *path == '/' ? NULL : getcwd(NULL, 0);
    if (*path != '/' && !here) return err_sys(e, "cannot find out the current folder");
    while (here && strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    bool root = here && strcmp(here, "/") == 0;
    int n = asprintf(out, "%s%s%s", here && !root ? here : "", here ? "/" : "", path);
    free(here);
    if (n < 0) *out = NULL;
    return n < 0 ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
}

// Who writes a line end or a control character into a unit or a crontab writes more.
static err_t check_path(const char *path, const char *what, struct err *e)
{
    if (path && (text_has_control(path) || !text_is_utf8(path, strlen(path))))
        return err_set(e, ERR_INVALID,
                       "%s: %s has a character that no schedule can hold; "
                       "rename it",
                       what, QUOTED(path));
    return ERR_OK;
}

static err_t find_program(char **out, struct err *e)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0) return err_sys(e, "cannot find out where tranche is");
    path[n] = 0;
    if (access(path, X_OK) != 0) return err_sys(e, "cannot find %s", path);
    *out = strdup(path);
    return *out ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t fill(struct asked *a, struct read_job *job, struct schedule *s, struct err *e)
{
    char name[SCHEDULE_NAME_MAX + 1];
    const char *home = getenv("TRANCHE_HOME");
    if (!job->when)
        return err_set(e, ERR_INVALID,
                       "%s has no schedule; write e.g. schedule: weekly into it",
                       QUOTED(a->what));
    struct stat st;
    if (stat(a->what, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID,
                       "%s is no plain file, and a schedule needs one that stays",
                       QUOTED(a->what));
    if (!schedule_name(job->name, name))
        return err_set(e, ERR_INVALID,
                       "%s: its name has neither a letter nor a digit: give it another one "
                       "(name: NAME)",
                       QUOTED(a->what));
    s->name = strdup(name);
    s->when = job->when;
    job->when = NULL;
    s->since = clock_wall_ms() / 1000;
    TRY(absolute(a->what, &s->job, e));
    if (home && *home) TRY(absolute(home, &s->home, e));
    TRY(find_program(&s->program, e));
    TRY(check_path(s->job, "the job file", e));
    TRY(check_path(s->home, "TRANCHE_HOME", e));
    TRY(check_path(s->program, "tranche", e));
    if (!s->name) return err_set(e, ERR_NOMEM, "out of memory");
    if (!a->cron && !a->systemd) return schedule_host_pick(a->user, &s->by, e);
    s->by = a->cron                     ? SCHEDULE_CRON
            : a->user || geteuid() != 0 ? SCHEDULE_SYSTEMD_USER
                                        : SCHEDULE_SYSTEMD;
    return ERR_OK;
}

// Of the same name is the same job, in the same place; *was: it stands there already.
static err_t check_others(struct schedule *s, bool *was, struct err *e)
{
    struct schedule *v = NULL;
    size_t n = 0;
    err_t rc = schedule_host_list(&v, &n, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        bool same_name = strcmp(v[i].name, s->name) == 0;
        bool same_job = schedule_same_file(v[i].job, s->job);
        if (same_name && !same_job)
            rc = err_set(e, ERR_INVALID,
                         "%s is the schedule of %s already; give the job another name, or "
                         "remove that one: tranche schedule remove %s",
                         s->name, QUOTED(v[i].job), s->name);
        else if (same_job && (!same_name || v[i].by != s->by))
            rc = err_set(e, ERR_INVALID,
                         "this job is scheduled already, as %s by %s; take that out first: "
                         "tranche schedule remove %s",
                         v[i].name, schedule_host_name(v[i].by), v[i].name);
        else if (same_name) {
            *was = true;
            if (strcmp(v[i].when, s->when) == 0) s->since = v[i].since;
        }
    }
    schedule_host_free(&v, n);
    return rc;
}

static void say_installed(struct asked *a, const struct schedule *s, const char *status)
{
    char next[CRON_TIME];
    int64_t at = schedule_next(s);
    if (schedule_wants(a, "json")) {
        schedule_json(a->say, s);
        fprintf(a->say, ",\"status\":\"%s\"", status);
        if (at >= 0) fprintf(a->say, ",\"next_ms\":%lld", (long long)at * 1000);
        fputs("}\n", a->say);
    } else if (schedule_wants(a, "human")) {
        say_to(a->say, "%s: %s (%s), %s; due next at %s\n", s->name, status,
               schedule_host_name(s->by), s->when,
               at < 0 ? "no time within 8 years" : cron_time(at, next));
    }
}

// Timers of a user's manager end with their last session, unless the user lingers.
static void say_linger(struct asked *a, const struct schedule *s)
{
    char path[300];
    const char *user = getenv("USER");
    snprintf(path, sizeof path, "/var/lib/systemd/linger/%.200s", user ? user : "");
    if (s->by != SCHEDULE_SYSTEMD_USER || !schedule_wants(a, "human") ||
        access(path, F_OK) == 0)
        return;
    say_to(a->complain,
           "tranche: %s runs only while you are logged in, unless: loginctl "
           "enable-linger\n",
           s->name);
}

static err_t dry_run(struct asked *a, const struct schedule *s, struct err *e)
{
    struct buf text = { 0 };
    err_t rc = schedule_host_show(s, &text, e);
    if (rc == ERR_OK && fwrite(text.p, 1, text.n, a->say) != text.n)
        rc = err_sys(e, "cannot write to standard output");
    buf_free(&text);
    return rc;
}

static err_t install_one(struct asked *a, struct schedule *s, struct err *e)
{
    bool was = false, changed;
    TRY(check_others(s, &was, e));
    if (a->dry_run) return dry_run(a, s, e);
    TRY(schedule_host_install(s, &changed, e));
    say_installed(a, s, !was ? "installed" : changed ? "updated" : "unchanged");
    say_linger(a, s);
    return ERR_OK;
}

static err_t install_alone(struct asked *a, struct schedule *s, struct err *e)
{
    int lock;
    err_t rc = schedule_lock(&lock, e);
    if (rc == ERR_OK) rc = install_one(a, s, e);
    schedule_unlock(&lock);
    return rc;
}

int schedule_install(struct asked *a)
{
    struct err e;
    struct read_job job = { 0 };
    struct schedule s = { 0 };
    struct strings mistakes = { 0 };
    if (a->systemd && a->cron)
        return schedule_usage(a, "--systemd and --cron exclude each other");
    if (a->user && a->cron) return schedule_usage(a, "--user is for systemd");
    err_t rc = schedule_read_job(a->what, &job, &mistakes, &e);
    for (size_t i = 0; i < mistakes.n; i++)
        say_to(a->complain, "%s\n", mistakes.v[i]);
    int code = rc == ERR_OK ? CLI_OK
               : mistakes.n ? CLI_USAGE
                            : schedule_failed(a, ERR_INVALID, &e);
    if (rc == ERR_OK) rc = fill(a, &job, &s, &e);
    if (rc == ERR_OK) rc = install_alone(a, &s, &e);
    if (rc != ERR_OK && code == CLI_OK) code = schedule_failed(a, rc, &e);
    strings_free(&mistakes);
    schedule_free(&s);
    free(job.name);
    free(job.when);
    return code;
}
