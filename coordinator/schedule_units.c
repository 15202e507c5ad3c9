// Units of systemd: systemd.service(5), systemd.timer(5), systemd.unit(5).

#include "coordinator/schedule.h"

#include "common/cron.h"
#include "common/text.h"

#include <string.h>

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })

// Between double quotes, where \ and " are escaped; % begins a specifier everywhere.
static err_t quoted(struct buf *out, const char *text, struct err *e)
{
    TRY(buf_add(out, "\"", 1, e));
    for (const char *p = text; *p; p++) {
        if (*p == '\\' || *p == '"') TRY(buf_add(out, "\\", 1, e));
        if (*p == '%') TRY(buf_add(out, "%", 1, e));
        TRY(buf_add(out, p, 1, e));
    }
    return buf_add(out, "\"", 1, e);
}

// Of the program systemd wants a path that needs no quotes.
static err_t check(const struct schedule *s, struct err *e)
{
    if (!strpbrk(s->program, "\\\"'$;`*?[]{}<>|&")) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "systemd cannot start %s: the path of the program has a character that "
                   "has a meaning there; install tranche elsewhere, or take --cron",
                   QUOTED(s->program));
}

// ':' before the program: no $NAME is looked up. 3: loaded, some rows were rejected within
// the limits. Only the coordinator is asked to stop; it ends its workers itself.
err_t schedule_service(const struct schedule *s, struct buf *out, struct err *e)
{
    TRY(check(s, e));
    TRY(schedule_head(s, out, e));
    TRY(buf_printf(out, e,
                   "[Unit]\nDescription=tranche run of %s\n\n[Service]\n"
                   "Type=oneshot\nExecStart=:",
                   s->name));
    TRY(quoted(out, s->program, e));
    TRY(buf_printf(out, e, " run "));
    TRY(quoted(out, s->job, e));
    TRY(buf_printf(out, e, " --scheduled --progress none\n"));
    if (s->home) {
        TRY(buf_printf(out, e, "Environment="));
        struct buf pair = { 0 };
        err_t rc = buf_printf(&pair, e, "TRANCHE_HOME=%s", s->home);
        if (rc == ERR_OK) rc = quoted(out, (const char *)pair.p, e);
        buf_free(&pair);
        TRY(rc);
        TRY(buf_printf(out, e, "\n"));
    }
    return buf_printf(out, e, "SuccessExitStatus=3\nKillMode=mixed\n");
}

static err_t calendars(const struct schedule *s, struct buf *out, struct err *e)
{
    struct cron c;
    struct buf lines = { 0 };
    const char *why = cron_parse(s->when, &c);
    if (why) return err_set(e, ERR_INVALID, "schedule: %s %s", QUOTED(s->when), why);
    err_t rc = cron_systemd(&c, &lines, e);
    for (char *p = (char *)lines.p, *end; rc == ERR_OK && *p; p = end + 1) {
        end = strchr(p, '\n');
        rc = buf_printf(out, e, "OnCalendar=%.*s\n", (int)(end - p), p);
    }
    buf_free(&lines);
    return rc;
}

// Persistent: a run that was missed while the host was off begins when it is on again.
err_t schedule_timer(const struct schedule *s, struct buf *out, struct err *e)
{
    TRY(schedule_head(s, out, e));
    TRY(buf_printf(out, e, "[Unit]\nDescription=%s runs of tranche\n\n[Timer]\n", s->name));
    TRY(calendars(s, out, e));
    return buf_printf(out, e,
                      "Persistent=true\nAccuracySec=1s\n\n[Install]\n"
                      "WantedBy=timers.target\n");
}
