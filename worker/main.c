// tranche-worker - the worker program.

#include "common/host.h"
#include "common/long_flag.h"
#include "common/say.h"
#include "common/std_fds.h"
#include "common/units.h"
#include "common/version.h"
#include "worker/app.h"
#include "worker/channel.h"
#include "worker/describe.h"
#include "worker/runner.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: tranche-worker [OPTION...] --access FILE\n"
    "       tranche-worker [OPTION...] ENDPOINT\n"
    "\n"
    "Runs the batches that a tranche coordinator hands out. `tranche run` starts the\n"
    "workers of its own machine by itself; workers of other hosts come in through\n"
    "`tranche run --listen`, with an access file that `tranche keys new` makes.\n"
    "\n"
    "  ENDPOINT              where the coordinator listens: ipc:///path/to/socket, or\n"
    "                        tcp://HOST:PORT (instead of the access file's)\n"
    "      --access FILE     address and keys, in a file that only its owner can read\n"
    "      --insecure        speak plaintext over tcp, to a coordinator that does\n"
    "      --slots N         batches that run at the same time (default: the cores)\n"
    "      --label NAME      something that this host offers, for `workers.labels`;\n"
    "                        repeatable\n"
    "      --memory SIZE     what this host gives, for jobs whose `limits.worker_memory`\n"
    "                        needs more (default: what the machine, or this process's\n"
    "                        cgroup, has)\n"
    "      --idle-timeout TIME\n"
    "                        leave after so long without work, e.g. 5m\n"
    "      --on-server-lost wait|stop\n"
    "                        wait: keep finished results and look for the coordinator\n"
    "                        again and again (default over tcp); stop: leave when it is\n"
    "                        silent for 12 s\n"
    "      --cache-size SIZE\n"
    "                        what files of jobs may take on this host's disk (1GiB); more\n"
    "                        only while a run needs more. They stand in\n"
    "                        $TRANCHE_HOME/cache/files, or $XDG_CACHE_HOME/tranche/files\n"
    "                        (~/.cache/tranche/files)\n"
    "      --volatility P    for tests: kill itself with chance P before each result\n"
    "      --name NAME       the name in reports, without an access file (default: host\n"
    "                        and process id)\n"
    "      --describe        answer on standard output what columns the job on standard\n"
    "                        input gives (used by the coordinator)\n"
    "      --help            print this and exit\n"
    "      --version         print the version and exit\n"
    "\n"
    "SIGTERM drains: what runs is finished, nothing new is taken. Exit codes: 0 the run "
    "is\n"
    "over, 1 the coordinator is gone or refused this worker, 2 usage.\n";

static int say_version(void)
{
    const char *c = version_commit;
    return printf("tranche-worker %s%s%s%s\n", TRANCHE_VERSION, *c ? " (" : "", c,
                  *c ? ")" : "");
}

static int usage(const char *text, const char *arg)
{
    say_to(stderr, "tranche-worker: %s%s%s; see tranche-worker --help\n", text,
           arg ? ": " : "", arg ? arg : "");
    return 2;
}

static int runner(void)
{
    struct stat st; // of the channel, which a person has none of
    if (fstat(RUNNER_FD_CHANNEL, &st) || !S_ISSOCK(st.st_mode))
        return usage("--runner is not for people", NULL);
    runner_main();
}

enum {
    NAME = 256,
    SLOTS,
    DESCRIBE,
    HELP,
    VERSION,
    ACCESS,
    INSECURE,
    LABEL,
    IDLE,
    LOST,
    VOLATILITY,
    CACHE,
    MEMORY
};

static const struct option options[] = {
    { "name", required_argument, NULL, NAME },
    { "slots", required_argument, NULL, SLOTS },
    { "describe", no_argument, NULL, DESCRIBE },
    { "help", no_argument, NULL, HELP },
    { "version", no_argument, NULL, VERSION },
    { "access", required_argument, NULL, ACCESS },
    { "insecure", no_argument, NULL, INSECURE },
    { "label", required_argument, NULL, LABEL },
    { "idle-timeout", required_argument, NULL, IDLE },
    { "on-server-lost", required_argument, NULL, LOST },
    { "memory", required_argument, NULL, MEMORY },
    { "cache-size", required_argument, NULL, CACHE },
    { "volatility", required_argument, NULL, VOLATILITY },
    { NULL, 0, NULL, 0 },
};

static bool add_label(struct worker_opts *o, const char *label)
{
    size_t n = strlen(o->labels), k = strlen(label);
    if (k == 0 || k > 60 || strpbrk(label, " \t\n") || n + k + 2 > sizeof o->labels)
        return false;
    snprintf(o->labels + n, sizeof o->labels - n, "%s%s", n ? " " : "", label);
    return true;
}

static int set_option(struct worker_opts *o, int c, const char **access_file)
{
    const char *why;
    char *end = NULL;
    unsigned long n;
    switch (c) {
    case NAME: o->name = optarg; break;
    case SLOTS:
        errno = 0;
        n = strtoul(optarg, &end, 10);
        if (errno || *end || end == optarg || n < 1 || n > 1024)
            return usage("--slots takes a number from 1 to 1024", optarg);
        o->slots = (uint32_t)n;
        break;
    case ACCESS: *access_file = optarg; break;
    case INSECURE: o->insecure = true; break;
    case LABEL:
        if (!add_label(o, optarg))
            return usage("--label takes short words without spaces, some dozens at most",
                         optarg);
        break;
    case IDLE:
        why = units_duration(optarg, &o->idle_timeout_ms);
        if (why) return usage("--idle-timeout takes a duration, e.g. 5m", optarg);
        break;
    case LOST:
        if (strcmp(optarg, "wait") != 0 && strcmp(optarg, "stop") != 0)
            return usage("--on-server-lost is wait or stop", optarg);
        o->on_server_lost = optarg[0] == 'w' ? LOST_WAIT : LOST_STOP;
        break;
    case CACHE:
        why = units_size(optarg, &o->cache_bytes);
        if (why) return usage("--cache-size takes a size, e.g. 4GiB", optarg);
        break;
    case MEMORY:
        why = units_size(optarg, &o->memory_bytes);
        if (why || !o->memory_bytes)
            return usage("--memory takes a size, e.g. 4GiB", optarg);
        break;
    case VOLATILITY:
        o->volatility = strtod(optarg, &end);
        if (*end || end == optarg || !(o->volatility >= 0 && o->volatility <= 1))
            return usage("--volatility takes a number from 0 to 1", optarg);
        break;
    default: break;
    }
    return -1;
}

static int serve(struct worker_opts *o, const char *access_file)
{
    struct access access;
    struct err e;
    if (access_file) {
        if (o->insecure) return usage("--access and --insecure exclude each other", NULL);
        if (access_read(&access, access_file, &e) != ERR_OK) {
            say_to(stderr, "tranche-worker: %s\n", e.text);
            return e.code == ERR_INVALID ? 2 : 1;
        }
        o->access = &access;
        if (!o->endpoint) o->endpoint = access.address;
    }
    if (!o->endpoint) return usage("no access file and no endpoint given", NULL);
    int code = worker_run(o);
    if (access_file) keys_wipe(&access, sizeof access);
    return code;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--runner") == 0) return runner();
    if (!std_fds_keep()) return 1;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct worker_opts o = { .slots = cores > 0 ? (uint32_t)cores : 1,
                             .memory_bytes = host_memory_bytes(),
                             .cache_bytes = (uint64_t)1 << 30 };
    const char *access_file = NULL;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        const char *whole = long_flag_cut_short(argv, options, c);
        if (whole) return usage("a flag is cut short; write it out as", whole);
        if (c == DESCRIBE) return describe_main();
        if (c == HELP) return fputs(help, stdout) < 0 || fflush(stdout);
        if (c == VERSION) return say_version() < 0 || fflush(stdout);
        if (c == ':') return usage("an argument is missing after", argv[optind - 1]);
        if (c == '?') return usage("unknown option", argv[optind - 1]);
        int code = set_option(&o, c, &access_file);
        if (code >= 0) return code;
    }
    if (optind + 1 < argc) return usage("more than one endpoint given", argv[optind + 1]);
    o.endpoint = argv[optind];
    return serve(&o, access_file);
}
