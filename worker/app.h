// app - the worker's parent process: one connection, heartbeats, finished results, and a
// runner a slot. It never runs job code.

#ifndef WORKER_APP_H
#define WORKER_APP_H

#include "common/err.h"
#include "proto/keys.h"

#include <stdbool.h>
#include <stdint.h>

enum on_server_lost {
    LOST_DEFAULT, // over tcp as WAIT, but a host that has no address ends it; over ipc STOP
    LOST_WAIT,    // goes on for ever
    LOST_STOP,    // ends after the silence that the coordinator allows
};

struct worker_opts {
    const char *endpoint; // "ipc:///run/...", "tcp://host:5555"
    const char *name; // as shown; NULL: host and pid. With an access file it has the name
    uint32_t slots;
    const struct access *access; // NULL: ipc, or plaintext
    bool insecure;
    enum on_server_lost on_server_lost;
    int64_t idle_timeout_ms; // 0: none
    double volatility;       // chance that it kills itself instead of returning a result
    uint64_t cache_bytes;    // of files of jobs; what runs may need more
    uint64_t memory_bytes;   // that it may take; 0: unknown
    char labels[512];        // with spaces between
};

// Serves until the coordinator says STOP or is gone, or SIGTERM drains it. Exit code.
int worker_run(const struct worker_opts *o);

#endif
