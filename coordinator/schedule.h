// schedule - a job that the host's own scheduler runs: what stands about it in a unit of
// systemd or in a crontab, as text. Nothing here touches the host; schedule_host does.
//
// Both begin with the same lines of comment, from which it is read back:
//
//     # tranche-schedule 1 NAME
//     # job: "/home/anna/sales.yaml"
//     # schedule: weekly
//     # program: "/usr/bin/tranche"
//     # home: "/srv/tranche"              $TRANCHE_HOME, where it was set
//     # since: 2026-11-22T16:00:00Z

#ifndef COORDINATOR_SCHEDULE_H
#define COORDINATOR_SCHEDULE_H

#include "common/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum schedule_by { SCHEDULE_SYSTEMD, SCHEDULE_SYSTEMD_USER, SCHEDULE_CRON };

struct schedule { // owns its texts; zero-initialised is a valid empty one
    enum schedule_by by;
    char *name;    // letters, digits, '_', '.' and '-': its units are tranche-NAME.*
    char *job;     // absolute path, no control characters
    char *when;    // good for cron_parse
    char *program; // absolute path of tranche
    char *home;    // NULL: .tranche beside the job
    int64_t since; // when it was installed, or last got another time; seconds
};
void schedule_free(struct schedule *s); // leaves a valid empty one

enum { SCHEDULE_NAME_MAX = 100 };
// What a job's name becomes: other characters turn into '-'. False: nothing is left.
bool schedule_name(const char *job_name, char out[SCHEDULE_NAME_MAX + 1]);

// Whether it says the same, whenever it was installed.
bool schedule_same(const struct schedule *a, const struct schedule *b);

// Appends the lines above.
MUST_CHECK err_t schedule_head(const struct schedule *s, struct buf *out, struct err *e);
// Reads them where a text begins with all of them; else *found is false, and *out empty.
MUST_CHECK err_t schedule_read(struct slice text, struct schedule *out, bool *found,
                               struct err *e);

// The units: tranche-NAME.service and tranche-NAME.timer. ERR_INVALID: a path that cannot
// stand in them.
MUST_CHECK err_t schedule_service(const struct schedule *s, struct buf *out, struct err *e);
MUST_CHECK err_t schedule_timer(const struct schedule *s, struct buf *out, struct err *e);

// The lines of a crontab, from its first comment to its last. ERR_INVALID likewise.
MUST_CHECK err_t schedule_lines(const struct schedule *s, struct buf *out, struct err *e);

// Where those of ours stand in a crontab: the next at or after *at, which moves behind it.
// False: there is no further one. ERR_PARSE: a first line without a last one, or the other
// way round; the sentence has the number of the line.
MUST_CHECK err_t schedule_find(struct slice crontab, size_t *at, bool *found,
                               struct slice *lines, struct err *e);
// The crontab without the lines of NAME, and with those of `s` in their place or at its
// end (NULL: without them). All other bytes stay as they are; *changed tells.
MUST_CHECK err_t schedule_replace(struct slice crontab, const char *name,
                                  const struct schedule *s, struct buf *out, bool *changed,
                                  struct err *e);

#endif
