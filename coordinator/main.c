// tranche - the coordinator and everything a person types.

#include "coordinator/cli.h"
#include "coordinator/run.h"

int main(int argc, char **argv)
{
    struct cli c;
    int code = cli_parse(argc, argv, &c);
    if (code < 0) switch (c.command) {
        case CLI_RUN: code = run_job(&c.job); break;
        case CLI_CHECK: code = run_check(&c.job); break;
        case CLI_RUNS: code = run_list(&c.job); break;
        }
    cli_close(&c);
    return code;
}
