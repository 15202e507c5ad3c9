// pipeline - a file with `steps:`, each of them a job with a name, and `needs` between
// them: read, checked, and put into an order in which they can run.

#ifndef COMMON_PIPELINE_H
#define COMMON_PIPELINE_H

#include "common/conf.h"

enum { PIPELINE_STEPS_MAX = 200 };

struct pipeline_step {
    struct job job; // its name is the step's
    uint32_t *need; // numbers of the steps that come before it, job.needs of them
    int line;       // where it stands
};

struct pipeline { // zero-initialised is a valid empty pipeline
    char *file, *dir, *name;
    char *schedule;              // as in struct job
    struct charts charts;        // likewise; `into` is that of the step
    struct pipeline_step *steps; // what a step needs stands before it
    uint32_t n;
};

// Whether this is one: a mapping with `steps`. False too for what is no YAML: reading it as
// a job says what is wrong with it. ERR_NOMEM.
MUST_CHECK err_t pipeline_is(const struct buf *text, bool *is, struct err *e);

// Called for each step, after what the file says of it: gives it the flags.
typedef err_t pipeline_flags(void *arg, struct conf *c, struct err *e);

// Reads all of it; `path` only names the text and its folder. Mistakes are collected as
// conf does, a line each: ERR_INVALID. Also refused: a name that comes twice or is missing,
// a need that no step has, needs in a circle, two steps that write one table, a step that
// reads what another one writes without needing it, a chart of a table that no step loads.
// `p` is freed by the caller in any case.
MUST_CHECK err_t pipeline_read(struct pipeline *p, const char *path, const struct buf *text,
                               pipeline_flags *flags, void *arg, struct strings *mistakes,
                               struct err *e);
void pipeline_free(struct pipeline *p); // leaves a valid empty one

// Whether step `a` waits for step `b`, through others or not.
bool pipeline_waits_for(const struct pipeline *p, uint32_t a, uint32_t b);

#endif
