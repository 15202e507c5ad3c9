// schedule_host - what stands with the host's scheduler: units of systemd, lines of the
// user's crontab. They are found, written and removed; nothing is remembered elsewhere.
//
// systemd: root's units are the system's (/etc/systemd/system), other users' and, where it
// is wanted, root's too those of the user's manager ($XDG_CONFIG_HOME/systemd/user).
// `systemctl` and `crontab` are taken from PATH.

#ifndef COORDINATOR_SCHEDULE_HOST_H
#define COORDINATOR_SCHEDULE_HOST_H

#include "coordinator/schedule.h"

#include <stddef.h>

const char *schedule_host_name(enum schedule_by by); // "systemd", "systemd --user", "cron"

// Which of them runs here: systemd when it does, else cron when there is a crontab. `user`:
// the user's manager, even for root. ERR_INVALID: neither; the sentence says what to do.
MUST_CHECK err_t schedule_host_pick(bool user, enum schedule_by *out, struct err *e);

// All that stand there. Freed by schedule_host_free in any case.
MUST_CHECK err_t schedule_host_list(struct schedule **v, size_t *n, struct err *e);
void schedule_host_free(struct schedule **v, size_t n);

// What install does, as text for people: files with their names, then commands.
MUST_CHECK err_t schedule_host_show(const struct schedule *s, struct buf *out,
                                    struct err *e);
// Whole or not at all, but for what systemctl is told at the end: the same again mends
// that. *changed: something was written.
MUST_CHECK err_t schedule_host_install(const struct schedule *s, bool *changed,
                                       struct err *e);
MUST_CHECK err_t schedule_host_remove(const struct schedule *s, struct err *e);

#endif
