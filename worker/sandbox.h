// sandbox - what a program that transforms may do, and a runner. docs/EXEC.md says it for
// users.
//
//   STEP_BOXED    no new privileges, no core files; writes its scratch folder, /dev/shm and
//                 nothing else (Landlock); reads what the user may; has the network
//   STEP_STRICT   the same, and: reads the system's folders and the job's only, no network,
//                 no other process (worker/space), no strange system calls (seccomp)
//   STEP_UNBOXED  no new privileges and no core files
//
// Landlock: docs.kernel.org/userspace-api/landlock.html. Without it (kernel before 5.13, or
// switched off) BOXED goes on and says so, STRICT refuses.

#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include "common/err.h"
#include "common/step.h"
#include "proto/spec.h"

#include <stdbool.h>

struct sandbox {
    enum step_sandbox level;
    int rules;            // Landlock ruleset; -1: none, or STRICT, which makes its own
    bool proc;            // STRICT: /proc shows the program's own processes; else: nothing
    struct strings rooms; // STRICT: where it may write ...
    struct strings paths; // ... and read
    char said[160];       // the level that is reached, for a person
};

// `scratch` may be written; at STRICT the files and folders of `paths` may be read and run
// from (those that are NULL or not there are skipped). ERR_TRANSFORM: STRICT cannot be had
// on this host, and why.
MUST_CHECK err_t sandbox_open(struct sandbox *b, enum step_sandbox level,
                              const char *scratch, const char *const *paths, size_t n,
                              struct err *e);
void sandbox_close(struct sandbox *b);

// In the new process, before exec: only system calls. False: errno says why not. STRICT
// returns in another process, see space_enter.
bool sandbox_enter(const struct sandbox *b);

// What a runner may do, from before it runs job code or reads input: as much of it as this
// kernel has. Only SQL: it reads files, has threads, and that is all; with an aggregate it
// writes temporary files. Plugins and requests: a filter against calls that no library
// needs. With a program none, because filters are
// inherited and `sandbox:` says what that may do.
void sandbox_runner(const struct spec *spec);

// For tests: as if the kernel had no such feature.
extern bool sandbox_without_landlock;

#endif
