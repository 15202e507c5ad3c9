// launcher - what starts workers on other machines: ssh, Slurm, docker-compose.
//
// It says how many it has and starts more. Who has nothing to do leaves by itself
// (tranche-worker --idle-timeout): a launcher never ends a worker that works, unless that
// is told to finish first (SIGTERM).

#ifndef COORDINATOR_LAUNCHER_H
#define COORDINATOR_LAUNCHER_H

#include "common/job_lists.h"
#include "coordinator/engine.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct launcher_opts {  // borrowed as long as the launcher lives
    const char *worker; // the program, as the workers' hosts find it
    const char *access; // their access file, as they find it; NULL: compose
    uint32_t slots;     // of each worker; 0: as many cores as it gets
    int64_t idle_timeout_ms;
    struct strings labels;
    const char *hosts;   // ssh: the file of hosts
    const char *service; // compose: which of the services are the workers
    char *logs;          // slurm: folder of what workers say
    char *const *args;   // for the engine's command
    size_t n_args;
    bool keep;  // workers outlive the launcher
    FILE *show; // not NULL: commands are written there and not run
};

struct launcher_count {
    uint32_t pending, up;        // asked for and not begun; begun and not ended
    uint32_t ended_well;         // since the count before
    uint32_t failed;             // likewise: ended with another exit code than 0
    char why[ENGINE_SAID + 300]; // of the last that failed
};

struct launcher;
struct launcher_ops {
    const char *name;
    // ERR_INVALID: something is wrong with the options.
    err_t (*open)(struct launcher **out, const struct launcher_opts *o, struct err *e);
    uint32_t (*room)(const struct launcher *l); // how many workers there can be; UINT32_MAX
    // So many more. `stays`: they don't leave when they are idle. ERR_IO: the engine has
    // refused, and the sentence says why; some may have been started.
    err_t (*start)(struct launcher *l, uint32_t n, bool stays, struct err *e);
    err_t (*count)(struct launcher *l, struct launcher_count *out, struct err *e);
    // Up to n workers less, those that have not begun first; workers that have only where
    // the engine lets them finish what they do.
    err_t (*stop)(struct launcher *l, uint32_t n, struct err *e);
    // Ends all that was started unless they are to be kept; the launcher is gone in any
    // case.
    err_t (*close)(struct launcher **l, bool keep, struct err *e);
};

extern const struct launcher_ops launcher_ssh, launcher_slurm, launcher_compose;
extern const struct launcher_ops *const launchers[]; // NULL-terminated

// The command of a worker. No `--slots` when they are 0.
MUST_CHECK err_t launcher_worker(struct strings *command, const struct launcher_opts *o,
                                 uint32_t slots, bool stays, struct err *e);
// Runs what was put together, if that went well (`built`), or only shows it, and `out`
// stays empty. Frees the words in any case.
MUST_CHECK err_t launcher_call(const struct launcher_opts *o, err_t built,
                               struct strings *command, struct buf *out, struct err *e);
// Likewise; `fn` gets each line of the answer.
typedef err_t launcher_line_fn(struct launcher *l, const char *line,
                               struct launcher_count *out, struct err *e);
MUST_CHECK err_t launcher_lines(struct launcher *l, const struct launcher_opts *o,
                                err_t built, struct strings *command, launcher_line_fn *fn,
                                struct launcher_count *out, struct err *e);

#endif
