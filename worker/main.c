// tranche-worker - the worker program.

#include "worker/app.h"
#include "worker/runner.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: tranche-worker [OPTION...] ENDPOINT\n"
    "\n"
    "Runs the batches that a tranche coordinator hands out. `tranche run` starts the\n"
    "workers of its own machine by itself; nobody needs to type this.\n"
    "\n"
    "  ENDPOINT          where the coordinator listens: ipc:///path/to/socket\n"
    "      --name NAME   the worker's name in reports (default: host and process id)\n"
    "      --slots N     batches that run at the same time (default: the cores)\n"
    "      --describe    answer on standard output what columns the job on standard\n"
    "                    input gives (used by the coordinator)\n"
    "      --help        print this and exit\n"
    "      --version     print the version and exit\n"
    "\n"
    "SIGTERM drains: what runs is finished, nothing new is taken. Exit codes: 0 the run "
    "is\n"
    "over, 1 the coordinator is gone or refused this worker, 2 usage.\n";

static int usage(const char *text, const char *arg)
{
    fprintf(stderr, "tranche-worker: %s%s%s; see tranche-worker --help\n", text,
            arg ? ": " : "", arg ? arg : "");
    return 2;
}

static int runner(char **argv) // --runner RESULT_MAX MEMORY
{
    if (!argv[2] || !argv[3]) return usage("--runner is not for people", NULL);
    runner_main(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "name", required_argument, NULL, 'n' }, { "slots", required_argument, NULL, 's' },
        { "describe", no_argument, NULL, 'd' },   { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' },    { NULL, 0, NULL, 0 },
    };
    if (argc > 1 && strcmp(argv[1], "--runner") == 0) return runner(argv);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct worker_opts o = { .slots = cores > 0 ? (uint32_t)cores : 1 };
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        char *end = NULL;
        unsigned long n;
        switch (c) {
        case 'n': o.name = optarg; break;
        case 's':
            errno = 0;
            n = strtoul(optarg, &end, 10);
            if (errno || *end || end == optarg || n < 1 || n > 1024)
                return usage("--slots takes a number from 1 to 1024", optarg);
            o.slots = (uint32_t)n;
            break;
        case 'd': return runner_describe();
        case 'h': return fputs(help, stdout) < 0 || fflush(stdout);
        case 'v': return puts("tranche-worker " TRANCHE_VERSION) < 0 || fflush(stdout);
        case ':': return usage("an argument is missing after", argv[optind - 1]);
        default: return usage("unknown option", argv[optind - 1]);
        }
    }
    if (optind >= argc) return usage("no endpoint given", NULL);
    if (optind + 1 < argc) return usage("more than one endpoint given", argv[optind + 1]);
    o.endpoint = argv[optind];
    return worker_run(&o);
}
