// tranche - the coordinator and everything a person types.

#include "coordinator/cli.h"
#include "coordinator/run.h"

#include <malloc.h>

// Results of a megabyte or two come and go all the time. By default each would be mapped
// fresh, or its memory given back, and the kernel would zero it again a page at a time.
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int main(int argc, char **argv)
{
    struct cli c;
    keep_freed_memory();
    int code = cli_parse(argc, argv, &c);
    if (code < 0) switch (c.command) {
        case CLI_RUN: code = run_job(&c.job); break;
        case CLI_CHECK: code = run_check(&c.job); break;
        case CLI_RUNS: code = run_list(&c.job); break;
        }
    cli_close(&c);
    return code;
}
