// cli_schedule_impl.h - what the files of cli_schedule share. No one else includes it.

#ifndef COORDINATOR_CLI_SCHEDULE_IMPL_H
#define COORDINATOR_CLI_SCHEDULE_IMPL_H

#include "common/job_lists.h"
#include "coordinator/schedule_host.h"

#include <stdio.h>

struct asked {
    const char *verb, *what, *output;
    bool systemd, cron, user, dry_run;
    FILE *say, *complain;
};

bool schedule_wants(const struct asked *a, const char *output);
// Both say it and return the exit code.
int schedule_usage(struct asked *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int schedule_failed(struct asked *a, err_t rc, const struct err *e);

struct read_job { // the caller's to free
    char *name, *when;
};

// Of a job or pipeline file. Mistakes, unless NULL, as job_from_file has them.
err_t schedule_read_job(const char *path, struct read_job *out, struct strings *mistakes,
                        struct err *e);
bool schedule_same_file(const char *a, const char *b);
int64_t schedule_next(const struct schedule *s);         // when it is due; -1: never
void schedule_json(FILE *out, const struct schedule *s); // an object without its end

int schedule_install(struct asked *a);
int schedule_list(struct asked *a);

#endif
