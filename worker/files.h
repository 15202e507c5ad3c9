// files - the job's files on this host, for its runners.

#ifndef WORKER_FILES_H
#define WORKER_FILES_H

#include "proto/spec.h"

// Makes RUNNER_FD_FILES for the files of an encoded spec. in_place: this is the host of the
// coordinator, and its own files will do if they have the right digests (ERR_CHANGED).
MUST_CHECK err_t files_find(int *list_fd, struct slice spec, bool in_place, struct err *e);

#endif
