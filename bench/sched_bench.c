// sched_bench - what a chunk's life costs the scheduler, in virtual time (sched_load.h).
// The bench's own queue of completions is included.
//
//   sched_bench [workers [chunks [slots [all]]]]     all: every chunk is added before the
//   first result

#include "bench/sched_load.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static long rss_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

int main(int argc, char **argv)
{
    struct sched_load l = { .workers = argc > 1 ? (uint32_t)atol(argv[1]) : 10000,
                            .chunks = argc > 2 ? (uint64_t)atoll(argv[2]) : 1000000,
                            .slots = argc > 3 ? (uint32_t)atol(argv[3]) : 1,
                            .all = argc > 4 && !strcmp(argv[4], "all") };
    if (!l.workers || !l.slots) return fprintf(stderr, "sched_bench: no worker\n"), 2;
    long before = rss_kb();
    ns_t begun = clock_cpu_ns();
    sched_load_run(&l);
    double seconds = (double)(clock_cpu_ns() - begun) / 1e9;
    printf("%u workers, %llu chunks%s: %.2f CPU s, %.0f chunks/s, %.0f calls/s, %.0f ns a "
           "chunk, %.1f MiB at most\n",
           l.workers, (unsigned long long)l.chunks, l.all ? " all at once" : "", seconds,
           (double)l.chunks / seconds, (double)l.events / seconds,
           seconds * 1e9 / (double)l.chunks, (double)(rss_kb() - before) / 1024);
    return 0;
}
