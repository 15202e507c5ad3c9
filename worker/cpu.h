// cpu - the CPU time of a program and of what it starts, while it runs and when it ended.

#ifndef WORKER_CPU_H
#define WORKER_CPU_H

#include "common/clock.h"

#include <sys/resource.h>
#include <sys/types.h>

struct cpu_meter { // zero-initialised: nothing was used
    ns_t ended;    // by programs that have ended
    ns_t below;    // by what the running one started, when it was last looked at ...
    ns_t looked;   // ... then
    ns_t most;     // never told less than this
};

// So far; `pid` runs now, 0: none does. What it started is looked at ten times a second.
ns_t cpu_meter_read(struct cpu_meter *m, pid_t pid);
// The one that ran was waited for (wait4): its own and that of all it waited for.
void cpu_meter_end(struct cpu_meter *m, const struct rusage *use);

#endif
