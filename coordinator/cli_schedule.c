#include "coordinator/cli_schedule.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/cron.h"
#include "common/pipeline.h"
#include "common/say.h"
#include "common/suggest.h"
#include "common/text.h"
#include "coordinator/cli.h"
#include "coordinator/cli_schedule_impl.h"
#include "coordinator/report.h"
#include "coordinator/schedule_lock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })

static const char help[] =
    "Usage: tranche schedule install JOB.yaml [FLAGS]\n"
    "       tranche schedule list [--output human|json|quiet]\n"
    "       tranche schedule remove JOB.yaml|NAME [--output human|json|quiet]\n"
    "\n"
    "Has the host run a job or pipeline at the times that its key 'schedule' says: "
    "hourly,\n"
    "daily, weekly, monthly, yearly or a cron line such as '0 3 * * 1', in local time. "
    "That\n"
    "is done by a timer of systemd, or by a line of your crontab where systemd does not "
    "run.\n"
    "docs/SCHEDULE.md\n"
    "\n"
    "  install  writes it, or brings it up to date; the same again changes nothing\n"
    "  list     what is installed for you: when it ran last and how that ended, when it\n"
    "           is due next, and which runs were missed\n"
    "  remove   takes it out again\n"
    "\n"
    "      --systemd                  a timer of systemd (root: of the system; others: of\n"
    "                                 the user), whether it runs now or not\n"
    "      --user                     root, too: of the user\n"
    "      --cron                     a line of the crontab\n"
    "      --dry-run                  print what install would write, and write nothing\n"
    "      --output human|json|quiet  what is written to standard output (default: human)\n"
    "  -h, --help                     show this help\n"
    "\n"
    "Exit codes:\n"
    "  0    done\n"
    "  1    infrastructure: disk, systemctl or crontab failed\n"
    "  2    usage, or a mistake in the job file\n";

bool schedule_wants(const struct asked *a, const char *which)
{
    return strcmp(a->output, which) == 0;
}

int schedule_usage(struct asked *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("tranche: schedule: ", a->complain);
    say_to_v(a->complain, fmt, ap);
    fputs("; see 'tranche schedule --help'\n", a->complain);
    va_end(ap);
    return CLI_USAGE;
}

int schedule_failed(struct asked *a, err_t rc, const struct err *e)
{
    say_to(a->complain, "tranche: %s\n", e->text);
    return rc == ERR_INVALID || rc == ERR_TOOBIG ? CLI_USAGE : CLI_INFRASTRUCTURE;
}

bool schedule_same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0) return true;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

void schedule_json(FILE *out, const struct schedule *s)
{
    fputs("{\"name\":", out);
    json_string(s->name, out);
    fputs(",\"job\":", out);
    json_string(s->job, out);
    fputs(",\"schedule\":", out);
    json_string(s->when, out);
    fprintf(out, ",\"by\":\"%s\"", schedule_host_name(s->by));
}

int64_t schedule_next(const struct schedule *s)
{
    struct cron c;
    return cron_parse(s->when, &c) ? -1 : cron_next(&c, clock_wall_ms() / 1000);
}

static err_t no_flags(void *arg, struct conf *c, struct err *e)
{
    (void)arg, (void)c, (void)e;
    return ERR_OK;
}

// Of the text of a file; what the job owns becomes the caller's.
static err_t read_text(const char *path, const struct buf *text, struct read_job *out,
                       struct strings *mistakes, struct err *e)
{
    bool is_pipeline;
    struct pipeline p = { 0 };
    struct job j;
    struct conf c;
    job_init(&j);
    conf_init(&c, &j, mistakes);
    err_t rc = pipeline_is(text, &is_pipeline, e);
    if (rc == ERR_OK && is_pipeline)
        rc = pipeline_read(&p, path, text, no_flags, NULL, mistakes, e);
    else if (rc == ERR_OK)
        rc = conf_text(&c, path, (const char *)text->p, text->n, e);
    if (rc == ERR_OK && !is_pipeline) rc = conf_finish(&c, e);
    char **name = is_pipeline ? &p.name : &j.name;
    char **when = is_pipeline ? &p.schedule : &j.schedule;
    if (rc == ERR_OK) {
        out->name = *name;
        out->when = *when;
        *name = *when = NULL;
    }
    pipeline_free(&p);
    job_free(&j);
    return rc;
}

err_t schedule_read_job(const char *path, struct read_job *out, struct strings *mistakes,
                        struct err *e)
{
    struct strings own = { 0 };
    struct buf text = { 0 };
    err_t rc = conf_read_file(path, &text, e);
    if (rc == ERR_OK) rc = read_text(path, &text, out, mistakes ? mistakes : &own, e);
    for (char *t = out->when; t && *t; t++)
        if (*t == '\t') *t = ' ';
    strings_free(&own);
    buf_free(&text);
    return rc;
}

// ---- remove ----

static err_t no_such(struct asked *a, const struct schedule *v, size_t n, struct err *e)
{
    struct suggest s = { .word = a->what };
    for (size_t i = 0; i < n; i++)
        suggest_offer(&s, v[i].name);
    return s.best ? err_set(e, ERR_INVALID, "%s is not scheduled; did you mean '%s'?",
                            QUOTED(a->what), s.best)
                  : err_set(e, ERR_INVALID, "%s is not scheduled", QUOTED(a->what));
}

static err_t take_out(struct asked *a, struct err *e)
{
    struct schedule *v = NULL;
    size_t n = 0, removed = 0;
    err_t rc = schedule_host_list(&v, &n, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        if (strcmp(v[i].name, a->what) != 0 && !schedule_same_file(v[i].job, a->what))
            continue;
        rc = schedule_host_remove(&v[i], e);
        if (rc != ERR_OK) break;
        removed++;
        if (schedule_wants(a, "json")) {
            schedule_json(a->say, &v[i]);
            fputs(",\"status\":\"removed\"}\n", a->say);
        } else if (schedule_wants(a, "human"))
            say_to(a->say, "%s: removed (%s)\n", v[i].name, schedule_host_name(v[i].by));
    }
    if (rc == ERR_OK && !removed) rc = no_such(a, v, n, e);
    schedule_host_free(&v, n);
    return rc;
}

static int take_out_alone(struct asked *a)
{
    struct err e;
    int lock;
    err_t rc = schedule_lock(&lock, &e);
    if (rc == ERR_OK) rc = take_out(a, &e);
    schedule_unlock(&lock);
    return rc == ERR_OK ? CLI_OK : schedule_failed(a, rc, &e);
}

// ---- words ----

static int unknown(struct asked *a, const char *flag)
{
    static const char *const flags[] = { "--systemd", "--user",   "--cron",
                                         "--dry-run", "--output", "--help" };
    struct suggest s = { .word = flag };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        suggest_offer(&s, flags[i]);
    if (s.best && strcmp(s.best, flag) == 0)
        return schedule_usage(a, "%s needs a value", flag);
    return s.best ? schedule_usage(a, "unknown flag %s; did you mean '%s'?", QUOTED(flag),
                                   s.best)
                  : schedule_usage(a, "unknown flag %s", QUOTED(flag));
}

// -1: go on.
static int read_words(struct asked *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *x = argv[i];
        if (strcmp(x, "--output") == 0 && i + 1 < argc)
            a->output = argv[++i];
        else if (strncmp(x, "--output=", 9) == 0)
            a->output = x + 9;
        else if (strcmp(x, "--systemd") == 0)
            a->systemd = true;
        else if (strcmp(x, "--cron") == 0)
            a->cron = true;
        else if (strcmp(x, "--user") == 0)
            a->user = true;
        else if (strcmp(x, "--dry-run") == 0)
            a->dry_run = true;
        else if (x[0] == '-')
            return unknown(a, x);
        else if (!a->verb)
            a->verb = x;
        else if (!a->what)
            a->what = x;
        else
            return schedule_usage(a, "one job at a time, not also %s", QUOTED(x));
    }
    if (!schedule_wants(a, "human") && !schedule_wants(a, "json") &&
        !schedule_wants(a, "quiet"))
        return schedule_usage(a, "--output is human, json or quiet, not %s",
                              QUOTED(a->output));
    return a->verb ? -1 : schedule_usage(a, "say what to do: install, list or remove");
}

static int act(struct asked *a)
{
    bool to_install = strcmp(a->verb, "install") == 0;
    bool to_remove = strcmp(a->verb, "remove") == 0, to_list = strcmp(a->verb, "list") == 0;
    if (!to_install && !to_remove && !to_list)
        return schedule_usage(a, "it is install, list or remove, not %s", QUOTED(a->verb));
    if (!to_install && (a->systemd || a->cron || a->user || a->dry_run))
        return schedule_usage(a, "--systemd, --user, --cron and --dry-run are for install");
    if (!to_list && !a->what)
        return schedule_usage(a, "%s what? Name the job file%s", a->verb,
                              to_remove ? ", or what list shows" : "");
    if (to_list && a->what)
        return schedule_usage(a, "list shows all, not %s", QUOTED(a->what));
    return to_install ? schedule_install(a)
           : to_list  ? schedule_list(a)
                      : take_out_alone(a);
}

int cli_schedule(int argc, char **argv, FILE *say, FILE *complain)
{
    struct asked a = { .output = "human", .say = say, .complain = complain };
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return fputs(help, say) < 0 || fflush(say) ? CLI_INFRASTRUCTURE : CLI_OK;
    int code = read_words(&a, argc, argv);
    if (code < 0) code = act(&a);
    if (fflush(say) == 0) return code;
    say_to(complain, "tranche: cannot write to standard output: %s\n", strerror(errno));
    return code ? code : CLI_INFRASTRUCTURE;
}
