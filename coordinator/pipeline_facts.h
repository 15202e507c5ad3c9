// pipeline_facts - what a step depends on, as lines that can be compared with those of its
// last run: spec, programs, lookup tables, input files (size, times, inode), the rows of an
// SQLite source (by their hash), values of params; and what it has written.
//
// They are kept in runs.db, table `pipeline_steps`: a row for each step of each pipeline
// file.

#ifndef COORDINATOR_PIPELINE_FACTS_H
#define COORDINATOR_PIPELINE_FACTS_H

#include "common/job.h"

// A fact is "WHAT\tVALUE"; WHAT is what a person reads: "the file data/a.csv".
// *why_never: nothing tells whether this step would do the same again; static, NULL: the
// facts do. ERR_*: what the run itself will say, too.
MUST_CHECK err_t pipeline_facts_before(const struct job *j, struct strings *facts,
                                       const char **why_never, struct err *e);
// After a run that ended well: what it wrote. Before one: what stands there now.
MUST_CHECK err_t pipeline_facts_written(const struct job *j, struct strings *facts,
                                        struct err *e);

// The first difference, as "the file data/a.csv has changed", "... is new", "... is gone";
// false: there is none.
bool pipeline_facts_differ(const struct strings *was, const struct strings *is, char *out,
                           size_t size);

struct pipeline_past { // how the step ended well last time
    bool known;        // its facts are
    bool under_way;    // it has begun since then, and not ended well
    struct strings before, written;
    char run[40];
    char changed[40]; // the run that last changed what it loads into; "": not known
    int64_t ended_wall_ms;
};
// What a step depends on, too: which run last changed what `step`, which it needs, loads
// into.
MUST_CHECK err_t pipeline_facts_need(const char *step, const struct pipeline_past *past,
                                     struct strings *facts, struct err *e);

// DIR is the state folder, `pipeline` the absolute path of its file. Nothing there, or not
// readable: not known.
MUST_CHECK err_t pipeline_past_load(const char *dir, const char *pipeline, const char *step,
                                    struct pipeline_past *out, struct err *e);
// It begins: whatever becomes of it, it may change what it loads into.
MUST_CHECK err_t pipeline_past_begin(const char *dir, const char *pipeline,
                                     const char *step, struct err *e);
// It has ended well. Without facts (`before` empty) it will not be skipped.
MUST_CHECK err_t pipeline_past_store(const char *dir, const char *pipeline,
                                     const char *step, const struct pipeline_past *past,
                                     struct err *e);
void pipeline_past_free(struct pipeline_past *p);

#endif
