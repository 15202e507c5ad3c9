// pipeline_run - `tranche run` and `tranche check` of a pipeline.
//
// Each step is a process of its own, forked when all that it needs has ended well, so that
// steps which do not need each other run at the same time, up to as many as there are
// cores. A step is a job like any other: its own load, resumed by itself. Steps with
// --listen run one at a time, since they share the port.
//
// A step is skipped when what it would read, its spec, its code, what it loaded into and
// what the steps that it needs loaded are as when it last ended well (pipeline_facts).

#ifndef COORDINATOR_PIPELINE_RUN_H
#define COORDINATOR_PIPELINE_RUN_H

#include "common/pipeline.h"

// Exit codes of cli.h: that of the first step that failed; 3 when rows were rejected.
int pipeline_run(const struct pipeline *p);
int pipeline_check(const struct pipeline *p);

#endif
