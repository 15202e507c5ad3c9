#include "coordinator/cli_schedule_impl.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/say.h"
#include "common/text.h"
#include "coordinator/cli.h"
#include "coordinator/report.h"
#include "coordinator/run.h"
#include "coordinator/scheduled.h"

#include <stdlib.h>
#include <string.h>

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })

struct told { // about one
    struct scheduled_past past;
    struct scheduled_times missed;
    int64_t next;
    char note[1200];
};

// The job file may be another one by now.
static void compare(const struct schedule *s, struct told *t)
{
    struct err e;
    struct read_job now = { 0 };
    err_t rc = schedule_read_job(s->job, &now, NULL, &e);
    if (rc != ERR_OK)
        snprintf(t->note, sizeof t->note, "its job cannot be run: %.1000s", e.text);
    else if (!now.when)
        snprintf(t->note, sizeof t->note,
                 "its job has no schedule any more: tranche schedule remove %s", s->name);
    else if (strcmp(now.when, s->when) != 0)
        snprintf(t->note, sizeof t->note, "its job says %s now: install it again",
                 QUOTED(now.when));
    free(now.name);
    free(now.when);
}

static err_t look(const struct schedule *s, struct told *t, struct err *e)
{
    enum { GRACE_S = 120 }; // one that is due may be about to begin
    char dir[RUN_STATE_DIR];
    struct cron c;
    *t = (struct told){ .next = schedule_next(s) };
    char *real = realpath(s->job, NULL), *folder = conf_folder(s->job);
    err_t rc = folder ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK && s->home)
        snprintf(dir, sizeof dir, "%s", s->home);
    else if (rc == ERR_OK)
        snprintf(dir, sizeof dir, "%s/.tranche", folder);
    if (rc == ERR_OK) rc = scheduled_past(dir, real ? real : s->job, &t->past, e);
    int64_t after = t->past.began > s->since ? t->past.began : s->since;
    if (rc == ERR_OK && !cron_parse(s->when, &c))
        scheduled_times(&c, after, clock_wall_ms() / 1000 - GRACE_S, &t->missed);
    if (rc == ERR_OK) compare(s, t);
    free(real);
    free(folder);
    return rc;
}

static void show_json(struct asked *a, const struct schedule *s, const struct told *t)
{
    schedule_json(a->say, s);
    if (t->next >= 0) fprintf(a->say, ",\"next_ms\":%lld", (long long)t->next * 1000);
    if (t->past.began) {
        fprintf(a->say,
                ",\"last_ms\":%lld,\"last_status\":", (long long)t->past.began * 1000);
        json_string(t->past.status, a->say);
    }
    if (t->past.exit_code >= 0)
        fprintf(a->say, ",\"last_exit_code\":%d", t->past.exit_code);
    fprintf(a->say, ",\"missed\":%llu", (unsigned long long)t->missed.n);
    if (t->missed.n)
        fprintf(a->say, ",\"missed_first_ms\":%lld,\"missed_last_ms\":%lld",
                (long long)t->missed.first * 1000, (long long)t->missed.last * 1000);
    fputs(",\"note\":", a->say);
    json_string(t->note, a->say);
    fputs("}\n", a->say);
}

static void show(struct asked *a, const struct schedule *s, const struct told *t)
{
    struct cron c;
    char next[CRON_TIME] = "-", last[CRON_TIME] = "never", missed[SCHEDULED_SENTENCE];
    if (t->next >= 0) cron_time(t->next, next);
    if (t->past.began) cron_time(t->past.began, last);
    say_to(a->say, "%-24s %-14s %-17s %-17s %-20s %-14s %s\n", s->name, s->when, next, last,
           t->past.began ? t->past.status : "-", schedule_host_name(s->by), s->job);
    if (t->missed.n && !cron_parse(s->when, &c))
        say_to(a->say, "  %s\n", scheduled_missed(&c, &t->missed, missed));
    if (t->note[0]) say_to(a->say, "  %s\n", t->note);
}

int schedule_list(struct asked *a)
{
    struct err e;
    struct schedule *v = NULL;
    size_t n = 0;
    err_t rc = schedule_host_list(&v, &n, &e);
    if (rc == ERR_OK && schedule_wants(a, "human") && !n)
        say_to(a->say, "nothing is scheduled here\n");
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        struct told t;
        rc = look(&v[i], &t, &e);
        if (rc == ERR_OK && schedule_wants(a, "json")) show_json(a, &v[i], &t);
        if (rc != ERR_OK || !schedule_wants(a, "human")) continue;
        if (i == 0)
            say_to(a->say, "%-24s %-14s %-17s %-17s %-20s %-14s %s\n", "name", "schedule",
                   "due next", "last run", "status", "by", "job");
        show(a, &v[i], &t);
    }
    schedule_host_free(&v, n);
    return rc == ERR_OK ? CLI_OK : schedule_failed(a, rc, &e);
}
