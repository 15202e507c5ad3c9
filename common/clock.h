// clock - the only place that asks what time it is.

#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

typedef int64_t ns_t; // nanoseconds on CLOCK_MONOTONIC
#define NS_MS    ((ns_t)1000000)
#define NS_S     ((ns_t)1000000000)
#define NS_NEVER INT64_MAX

ns_t clock_ns(void);
int64_t clock_wall_ms(void); // milliseconds since 1970, UTC
ns_t clock_cpu_ns(void);     // CPU time of this process, all threads

// What the protocol calls `t` (a silence, a lease, a heartbeat), in time that passes here.
// Builds with TRANCHE_TEST_HOOKS divide it by the environment's TRANCHE_TIME_SCALE, 1 to
// 100, so that a minute of protocol need not take one; releases know nothing of it.
#ifdef TRANCHE_TEST_HOOKS
ns_t clock_protocol(ns_t t);
#else
static inline ns_t clock_protocol(ns_t t)
{
    return t;
}
#endif

#endif
