#include "coordinator/launcher.h"

#include "common/units.h"

#include <string.h>

const struct launcher_ops *const launchers[] = { &launcher_ssh, &launcher_slurm,
                                                 &launcher_compose, NULL };

err_t launcher_worker(struct strings *command, const struct launcher_opts *o,
                      uint32_t slots, bool stays, struct err *e)
{
    char idle[UNITS_TEXT];
    TRY(engine_add(command, e, o->worker, "--access", o->access, NULL));
    if (slots) TRY(engine_addf(command, e, "--slots"));
    if (slots) TRY(engine_addf(command, e, "%u", slots));
    for (size_t i = 0; i < o->labels.n; i++)
        TRY(engine_add(command, e, "--label", o->labels.v[i], NULL));
    if (stays) return ERR_OK;
    return engine_add(command, e, "--idle-timeout",
                      units_duration_text(o->idle_timeout_ms, idle), NULL);
}

err_t launcher_call(const struct launcher_opts *o, err_t built, struct strings *command,
                    struct buf *out, struct err *e)
{
    err_t rc = built;
    if (rc == ERR_OK)
        rc = o->show ? engine_show(command, o->show, e) : engine_call(command, out, e);
    strings_free(command);
    return rc;
}

err_t launcher_lines(struct launcher *l, const struct launcher_opts *o, err_t built,
                     struct strings *command, launcher_line_fn *fn,
                     struct launcher_count *out, struct err *e)
{
    struct buf answer = { 0 };
    err_t rc = launcher_call(o, built, command, &answer, e);
    for (char *rest = (char *)answer.p, *line; rc == ERR_OK && rest;) {
        line = strsep(&rest, "\n");
        line[strcspn(line, "\r")] = 0;
        if (*line) rc = fn(l, line, out, e);
    }
    buf_free(&answer);
    return rc;
}
