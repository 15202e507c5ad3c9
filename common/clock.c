#include "common/clock.h"

#include <stdlib.h>
#include <time.h>

static int64_t get(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * NS_S + t.tv_nsec;
}

ns_t clock_ns(void)
{
    return get(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    return get(CLOCK_REALTIME) / NS_MS;
}

ns_t clock_cpu_ns(void)
{
    return get(CLOCK_PROCESS_CPUTIME_ID);
}

#ifdef TRANCHE_TEST_HOOKS
ns_t clock_protocol(ns_t t)
{
    const char *text = getenv("TRANCHE_TIME_SCALE");
    long scale = text ? strtol(text, NULL, 10) : 1;
    return scale > 1 && scale <= 100 ? t / scale : t;
}
#endif
