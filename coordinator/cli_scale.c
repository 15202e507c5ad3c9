#include "coordinator/cli_scale.h"

#include "common/long_flag.h"
#include "common/say.h"
#include "common/suggest.h"
#include "common/text.h"
#include "common/units.h"
#include "coordinator/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })

enum { SLOTS_MAX = 1024, WORKERS_MAX = 100000 };

const char cli_scale_help[] =
    "Usage: tranche scale --launcher ssh --hosts FILE --access FILE [FLAGS] [-- OPTIONS]\n"
    "       tranche scale --launcher slurm --max N --access FILE [FLAGS] [-- OPTIONS]\n"
    "       tranche scale --launcher compose --max N [FLAGS] [-- OPTIONS]\n"
    "\n"
    "Starts workers for the run that 'tranche run --listen' has going in the current "
    "folder,\n"
    "as many as its queue wants, and lets them leave when they have nothing to do. "
    "Call it on\n"
    "the coordinator's host, before the run or while it goes on; it ends with the run. "
    "What\n"
    "stands behind -- goes to ssh, sbatch or docker-compose as it is. docs/SCALING.md goes "
    "from\n"
    "a laptop to a cluster step by step.\n"
    "\n"
    "      --launcher ssh|slurm|compose\n"
    "                          what starts them\n"
    "      --access FILE       the access file (tranche keys new), where the workers' "
    "hosts\n"
    "                          have it; all these workers come in with it. Not for "
    "compose,\n"
    "                          whose file says what a worker runs\n"
    "      --hosts FILE        ssh: one host a line, its slots behind it; '#' begins a "
    "comment\n"
    "      --service NAME      compose: the workers' service (default: worker)\n"
    "      --min N             so many in any case, and they stay (default: 0)\n"
    "      --max N             never more (ssh: the number of hosts)\n"
    "      --by queue          what the number follows: the batches that are not done\n"
    "      --per-worker N      batches that are reason enough for one worker (default: two "
    "for\n"
    "                          each of its slots)\n"
    "      --slots N           of each worker (default: ssh: what the hosts file says, or "
    "the\n"
    "                          host's cores; slurm: the CPUs of the allocation)\n"
    "      --label LABEL       what the workers offer to jobs (workers.labels); "
    "repeatable\n"
    "      --idle-timeout TIME\n"
    "                          workers leave after so long without work (default: 1m)\n"
    "      --worker PROGRAM    where the hosts have tranche-worker (default: in PATH)\n"
    "      --interval TIME     how often to count and decide (default: 10s)\n"
    "      --pause TIME        how long to start none after three in a row that failed to\n"
    "                          start; then one is tried, and the pause doubles (default: "
    "1m)\n"
    "      --wait TIME         how long to wait for a run to begin, or to be continued\n"
    "                          after its coordinator has died (default: 5m)\n"
    "      --state DIR         folder of the run's runs.db (default: $TRANCHE_HOME, or\n"
    "                          .tranche)\n"
    "      --keep              interrupted: leave the workers to the run\n"
    "      --dry-run           print the commands for --max workers and run none\n"
    "      --output human|json|quiet\n"
    "                          json: one object on standard output at the end\n"
    "  -h, --help              show this help\n"
    "\n"
    "Examples:\n"
    "  tranche scale --launcher ssh --hosts hosts.txt --access fleet.access\n"
    "  tranche scale --launcher slurm --access fleet.access --max 40 -- --partition=long\n"
    "  tranche scale --launcher compose --max 8 -- -f docker-compose.yml\n"
    "\n"
    "Exit codes:\n"
    "  0    the run is over, and the workers are gone\n"
    "  1    infrastructure: no run, the engine cannot be started, disk\n"
    "  2    usage\n"
    "  130  interrupted: what was started is stopped, unless --keep\n";

enum {
    LAUNCHER = 256,
    ACCESS,
    HOSTS,
    SERVICE,
    MIN,
    MAX,
    BY,
    PER_WORKER,
    SLOTS,
    LABEL,
    IDLE,
    WORKER,
    INTERVAL,
    PAUSE,
    WAIT,
    STATE,
    KEEP,
    DRY_RUN,
    OUTPUT,
};

static const struct option flags[] = {
    { "launcher", required_argument, NULL, LAUNCHER },
    { "access", required_argument, NULL, ACCESS },
    { "hosts", required_argument, NULL, HOSTS },
    { "service", required_argument, NULL, SERVICE },
    { "min", required_argument, NULL, MIN },
    { "max", required_argument, NULL, MAX },
    { "by", required_argument, NULL, BY },
    { "per-worker", required_argument, NULL, PER_WORKER },
    { "slots", required_argument, NULL, SLOTS },
    { "label", required_argument, NULL, LABEL },
    { "idle-timeout", required_argument, NULL, IDLE },
    { "worker", required_argument, NULL, WORKER },
    { "interval", required_argument, NULL, INTERVAL },
    { "pause", required_argument, NULL, PAUSE },
    { "wait", required_argument, NULL, WAIT },
    { "state", required_argument, NULL, STATE },
    { "keep", no_argument, NULL, KEEP },
    { "dry-run", no_argument, NULL, DRY_RUN },
    { "output", required_argument, NULL, OUTPUT },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

struct asked {
    struct scale_opts *o;
    bool idle, service; // was given
    FILE *say, *complain;
};

__attribute__((format(printf, 2, 3))) static int usage(struct asked *k, const char *fmt,
                                                       ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("tranche: scale: ", k->complain);
    say_to_v(k->complain, fmt, ap);
    fputs("; see 'tranche scale --help'\n", k->complain);
    va_end(ap);
    return CLI_USAGE;
}

// ---- values ----

static int number(struct asked *k, const char *flag, const char *text, uint32_t least,
                  uint32_t most, uint32_t *out)
{
    uint64_t n;
    if (units_count(text, &n) || n < least || n > most)
        return usage(k, "--%s takes a number from %u to %u, not %s", flag, least, most,
                     QUOTED(text));
    *out = (uint32_t)n;
    return -1;
}

static int duration(struct asked *k, const char *flag, const char *text, int64_t *out)
{
    const char *why = units_duration(text, out);
    if (why) return usage(k, "--%s %s: %s", flag, QUOTED(text), why);
    if (*out <= 0) return usage(k, "--%s is longer than nothing, e.g. 10s", flag);
    return -1;
}

static int word(struct asked *k, const char *flag, const char *text, const char **out)
{
    if (!*text || text_has_control(text) || !text_is_utf8(text, strlen(text)))
        return usage(k, "--%s: %s cannot be meant", flag, QUOTED(text));
    *out = text;
    return -1;
}

// Which of the NULL-terminated choices it is; -1: none, and it was said.
static int choice(struct asked *k, const char *flag, const char *text,
                  const char *const *choices, const char *all)
{
    struct suggest s = { .word = text };
    for (int i = 0; choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0) return i;
        suggest_offer(&s, choices[i]);
    }
    if (s.best)
        usage(k, "--%s %s: did you mean '%s'?", flag, QUOTED(text), s.best);
    else
        usage(k, "--%s is %s, not %s", flag, all, QUOTED(text));
    return -1;
}

static int set_launcher(struct asked *k, const char *text)
{
    static const char *const names[] = { "ssh", "slurm", "compose", NULL };
    int i = choice(k, "launcher", text, names, "ssh, slurm or compose");
    if (i < 0) return CLI_USAGE;
    k->o->ops = launchers[i];
    return -1;
}

static int set_output(struct asked *k, const char *text)
{
    static const char *const names[] = { "human", "json", "quiet", NULL };
    int i = choice(k, "output", text, names, "human, json or quiet");
    if (i < 0) return CLI_USAGE;
    k->o->output = (enum job_output)i;
    return -1;
}

static int set_by(struct asked *k, const char *text)
{
    static const char *const names[] = { "queue", NULL };
    return choice(k, "by", text, names, "queue") < 0 ? CLI_USAGE : -1;
}

static int add_label(struct asked *k, const char *text)
{
    if (!*text || strlen(text) > 60 || strpbrk(text, " \t\n") || text_has_control(text))
        return usage(k, "--label takes a short word without spaces, not %s", QUOTED(text));
    if (strings_add(&k->o->launcher.labels, text, strlen(text), NULL) != ERR_OK) {
        fputs("tranche: out of memory\n", k->complain);
        return CLI_INFRASTRUCTURE;
    }
    return -1;
}

// ---- flags ----

static int set(struct asked *k, int flag, const char *text)
{
    struct scale_opts *o = k->o;
    struct launcher_opts *l = &o->launcher;
    switch (flag) {
    case LAUNCHER: return set_launcher(k, text);
    case ACCESS: return word(k, "access", text, &l->access);
    case HOSTS: return word(k, "hosts", text, &l->hosts);
    case SERVICE: k->service = true; return word(k, "service", text, &l->service);
    case MIN: return number(k, "min", text, 0, WORKERS_MAX, &o->rule.min);
    case MAX: return number(k, "max", text, 1, WORKERS_MAX, &o->rule.max);
    case BY: return set_by(k, text);
    case PER_WORKER: return number(k, "per-worker", text, 1, 1000000, &o->rule.per_worker);
    case SLOTS: return number(k, "slots", text, 1, SLOTS_MAX, &l->slots);
    case LABEL: return add_label(k, text);
    case IDLE:
        k->idle = true;
        return duration(k, "idle-timeout", text, &l->idle_timeout_ms);
    case WORKER: return word(k, "worker", text, &l->worker);
    case INTERVAL: return duration(k, "interval", text, &o->interval_ms);
    case PAUSE: return duration(k, "pause", text, &o->pause_ms);
    case WAIT: return duration(k, "wait", text, &o->wait_ms);
    case STATE: return word(k, "state", text, &o->state);
    case KEEP: l->keep = true; break;
    case DRY_RUN: o->dry_run = true; break;
    case OUTPUT: return set_output(k, text);
    default: break;
    }
    return -1;
}

static int unknown(struct asked *k, const char *arg)
{
    char name[64];
    struct suggest s = { .word = name };
    snprintf(name, sizeof name, "%.*s", (int)strcspn(arg + strspn(arg, "-"), "="),
             arg + strspn(arg, "-"));
    for (const struct option *f = flags; f->name; f++) {
        if (strcmp(f->name, name) == 0) return usage(k, "--%s takes no value", name);
        suggest_offer(&s, f->name);
    }
    return s.best ? usage(k, "unknown flag %s; did you mean '--%s'?", QUOTED(arg), s.best)
                  : usage(k, "unknown flag %s", QUOTED(arg));
}

static int set_whole(struct asked *k, char **argv, int at, int v)
{
    const char *whole = long_flag_cut_short(argv, flags, v);
    return whole ? usage(k, LONG_FLAG_SENTENCE, QUOTED(argv[at]), whole)
                 : set(k, v, optarg);
}

static int read_flags(struct asked *k, int argc, char **argv)
{
    optind = 0; // glibc: start anew
    opterr = 0;
    for (;;) {
        int at = optind ? optind : 1, code = -1;
        int v = getopt_long(argc, argv, "-:h", flags, NULL);
        if (v == -1) break;
        if (v == 'h') {
            fputs(cli_scale_help, k->say);
            return fflush(k->say) == 0 ? CLI_OK : CLI_INFRASTRUCTURE;
        }
        if (v == 1)
            code = usage(k,
                         "%s is no flag; what ssh, sbatch or docker-compose get stands "
                         "behind --",
                         QUOTED(optarg));
        else if (v == ':')
            code = usage(k, "%s needs a value", QUOTED(argv[at]));
        else if (v == '?')
            code = unknown(k, argv[at]);
        else
            code = set_whole(k, argv, at, v);
        if (code >= 0) return code;
    }
    k->o->launcher.args = argv + optind;
    k->o->launcher.n_args = (size_t)(argc - optind);
    return -1;
}

// ---- what fits together ----

static int check(struct asked *k)
{
    const struct launcher_opts *l = &k->o->launcher;
    const struct launcher_ops *ops = k->o->ops;
    if (!ops) return usage(k, "what starts the workers? --launcher ssh, slurm or compose");
    if (l->hosts && ops != &launcher_ssh)
        return usage(k, "--hosts is for --launcher ssh, not for %s", ops->name);
    if (k->service && ops != &launcher_compose)
        return usage(k, "--service is for --launcher compose, not for %s", ops->name);
    if (ops == &launcher_compose) {
        const char *what = l->access     ? "access"
                           : l->slots    ? "slots"
                           : l->labels.n ? "label"
                           : k->idle     ? "idle-timeout"
                           : l->worker   ? "worker"
                                         : NULL;
        if (what)
            return usage(k,
                         "--%s is not for compose: what a worker runs stands in the "
                         "compose file",
                         what);
    } else if (!l->access) {
        return usage(k, "how do the workers come in? --access FILE, made by 'tranche keys "
                        "new'");
    }
    return -1;
}

static const char *state_folder(void)
{
    const char *home = getenv("TRANCHE_HOME");
    return home && *home ? home : ".tranche";
}

// Where workers of Slurm write what they say: a path that holds on other hosts too.
static int logs_folder(struct asked *k, char **out)
{
    struct err e;
    char *dir = realpath(k->o->state, NULL);
    if (!dir && !k->o->dry_run) {
        err_sys(&e, "cannot find the folder %s of the run; --state names another",
                k->o->state);
        say_to(k->complain, "tranche: scale: %s\n", e.text);
        return CLI_INFRASTRUCTURE;
    }
    int n = asprintf(out, "%s/workers", dir ? dir : k->o->state);
    free(dir);
    if (n >= 0) return -1;
    *out = NULL;
    fputs("tranche: out of memory\n", k->complain);
    return CLI_INFRASTRUCTURE;
}

int cli_scale_parse(int argc, char **argv, struct scale_opts *out, FILE *say,
                    FILE *complain)
{
    struct asked k = { .o = out, .say = say, .complain = complain };
    *out = (struct scale_opts){ .state = state_folder(),
                                .interval_ms = 10000,
                                .wait_ms = 5 * 60000,
                                .pause_ms = 60000,
                                .launcher = { .idle_timeout_ms = 60000 } };
    int code = read_flags(&k, argc, argv);
    if (code < 0) code = check(&k);
    if (code < 0 && out->ops == &launcher_slurm)
        code = logs_folder(&k, &out->launcher.logs);
    if (!out->launcher.worker) out->launcher.worker = "tranche-worker";
    if (!out->launcher.service) out->launcher.service = "worker";
    return code;
}

void cli_scale_free(struct scale_opts *o)
{
    strings_free(&o->launcher.labels);
    free(o->launcher.logs);
}

int cli_scale(int argc, char **argv, FILE *say, FILE *complain)
{
    struct scale_opts o;
    int code = cli_scale_parse(argc, argv, &o, say, complain);
    if (code < 0) code = scale_run(&o);
    cli_scale_free(&o);
    return code;
}
