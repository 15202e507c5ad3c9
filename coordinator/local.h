// local - the worker process of this machine: its private socket, its start and its end.

#ifndef COORDINATOR_LOCAL_H
#define COORDINATOR_LOCAL_H

#include "common/buf.h"
#include "common/err.h"
#include "common/hash.h"
#include "proto/spec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct local {
    char dir[80];       // 0700, ours alone; "" when closed
    char endpoint[100]; // ipc://DIR/socket
    int listener;       // listens there; 0: nobody does, or a link
    char worker[4096];  // path of tranche-worker
    pid_t pid;          // 0: none runs
    int pidfd;          // -1: none
    bool told_to_stop;  // a STOP is on its way: it ends by itself
    bool died;          // one did not: what its runners used is still there
    struct {            // a worker process that waits to be asked what columns a job gives
        pid_t pid;      // 0: none
        int to, from;   // its standard input and output
        struct hash128 asked; // the request that it has got already
        bool was_asked;
    } adviser;
    void (*say)(void *arg, const char *line); // to the user; NULL: nobody listens
    void *say_arg;
};

// Makes the private folder, finds the worker program beside our own.
MUST_CHECK err_t local_open(struct local *l, struct err *e);
void local_sweep(void); // removes the folders of dead runs of this user; any thread
// Makes the socket at `endpoint`, so that a worker may come before a link stands behind it.
MUST_CHECK err_t local_listen(struct local *l, struct err *e);
// pid stays 0 until this was called.
MUST_CHECK err_t local_start(struct local *l, uint32_t slots, struct err *e);
// True: the worker is gone; `text` says how ("killed by signal 9 (Killed), peak memory
// ...").
bool local_reap(struct local *l, char *text, size_t cap);
void local_close(
    struct local *l); // ends the worker, at once if it must, removes the folder
// From a thread that ends the process now: kills the worker, removes the folder, waits for
// nothing.
void local_abandon(const struct local *l);

// Starts what local_describe will ask, so that it is there by then. Whether that works
// shows when it is asked.
void local_expect_describe(struct local *l);
// Asks it now what local_describe will ask, if the pipe to it has room: it thinks while
// others open their files. A question that turns out to be another one is asked anew.
void local_ask_early(struct local *l, const struct buf *spec, const struct buf *sample);
// Asks a worker process what columns a job gives: `tranche-worker --describe`.
// The request is a spec; the sample whole records. *out, the caller's to free, has its
// columns and those that steps were found to give, but no params and tables. ERR_* and the
// sentence are the worker's. Says what it waits for when that takes seconds.
MUST_CHECK err_t local_describe(struct local *l, const struct buf *spec,
                                const struct buf *sample, struct spec *out, struct err *e);

#endif
