// backlog_json - a job of the queue for programs: `tranche jobs --output json`, and the
// API.

#ifndef COORDINATOR_BACKLOG_JSON_H
#define COORDINATOR_BACKLOG_JSON_H

#include "coordinator/backlog.h"

#include <stdio.h>

void backlog_json(const struct backlog_job *j, FILE *out); // members, without { and }

#endif
