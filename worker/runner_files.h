// runner_files - the job's files as a runner finds them: verified by its parent, in the
// cache or in place.

#ifndef WORKER_RUNNER_FILES_H
#define WORKER_RUNNER_FILES_H

#include "proto/spec.h"

// Gives each of spec->files the path that the parent has written to `fd`, and reads the
// tables that stand in files.
MUST_CHECK err_t runner_files_open(struct spec *spec, int fd, struct err *e);
// The same where the spec's own paths are right: on the coordinator's host.
MUST_CHECK err_t runner_files_open_local(struct spec *spec, struct err *e);
// ERR_CHANGED: a file that is used in place is not what it was when the job began.
MUST_CHECK err_t runner_files_check(struct spec *spec, struct err *e);

#endif
