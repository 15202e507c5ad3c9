// app - the worker's parent process: one connection, heartbeats, finished results, and a
// runner a slot. It never runs job code.

#ifndef WORKER_APP_H
#define WORKER_APP_H

#include "common/err.h"

#include <stdint.h>

struct worker_opts {
    const char *endpoint; // "ipc:///run/..."
    const char *name;     // as shown; NULL: host and pid
    uint32_t slots;
};

// Serves until the coordinator says STOP or is gone, or SIGTERM drains it. Exit code.
int worker_run(const struct worker_opts *o);

#endif
