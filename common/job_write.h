// job_write - a job as the text of a job file that gives the same job when it is read.
//
// Only what differs from the defaults is written, under its key, each with a comment of
// what it is. Paths are written as they were if they mean the same from the new file's
// folder, else as absolute ones.

#ifndef COMMON_JOB_WRITE_H
#define COMMON_JOB_WRITE_H

#include "common/job.h"
#include "common/yaml_write.h"

// What the caller has to say: `about` at the top of the file, `columns` below source.
struct job_comments {
    struct strings about, columns;
};

// `folder`: where the file will stand. ERR_INVALID: the job cannot be written there (a
// program whose files stand elsewhere, a password).
MUST_CHECK err_t job_write(const struct job *j, const char *folder,
                           const struct job_comments *c, struct buf *out, struct err *e);

#endif
