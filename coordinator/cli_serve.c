#include "coordinator/cli_serve.h"

#include "coordinator/cli.h"
#include "coordinator/words.h"
#include "proto/endpoint.h"

const char cli_serve_help[] =
    "Usage: tranche serve [FLAGS]\n"
    "\n"
    "Runs jobs from a queue, until it is told to stop: 'tranche submit' adds one, "
    "'tranche\n"
    "jobs' lists them, and what is interrupted, even by kill -9, goes on with the next\n"
    "server. Each job is a process of its own, and a run like any other. One server has a\n"
    "state folder at a time. docs/SERVE.md has the whole story, and a systemd unit.\n"
    "\n"
    "      --state DIR         where queue, history, cache and keys stand (default:\n"
    "                          $TRANCHE_HOME, or .tranche)\n"
    "      --jobs N            jobs that run at the same time (default: 1). Two that load\n"
    "                          into one table take turns\n"
    "      --listen tcp://HOST:PORT\n"
    "                          clients of other hosts come in here, with a key of their "
    "own\n"
    "                          ('tranche keys new --client'); without it only those of "
    "this\n"
    "                          user on this host\n"
    "      --listen-workers tcp://HOST:PORT\n"
    "                          the job that runs takes workers of other hosts here, as "
    "with\n"
    "                          'tranche run --listen'; with --jobs 1 only\n"
    "      --page [HOST:]PORT  a page, an API and metrics over HTTP, off unless given: on "
    "this\n"
    "                          host (127.0.0.1) when no HOST is, at any free port when "
    "PORT is\n"
    "                          0; the address is told, and stands in DIR/serve/page\n"
    "      --page-token FILE   who asks needs the token in FILE (yours alone, 32 "
    "characters at\n"
    "                          least): as password of the user tranche, or as bearer "
    "token;\n"
    "                          without it the page is for this host only\n"
    "      --page-host NAME,.. further names by which browsers know the page's host, as\n"
    "                          behind a proxy\n"
    "      --output human|json|quiet\n"
    "                          what is told of each job's begin and end; json: an object "
    "a\n"
    "                          line on standard output\n"
    "  -h, --help              show this help\n"
    "\n"
    "SIGTERM ends the jobs that run as Ctrl-C ends 'tranche run': they are queued again, "
    "at\n"
    "the front, for the next server. A second one kills them, with the same effect.\n"
    "\n"
    "Examples:\n"
    "  tranche serve --state /var/lib/tranche\n"
    "  tranche serve --jobs 2 --listen tcp://10.0.0.1:5556\n"
    "\n"
    "Exit codes:\n"
    "  0    it was told to stop\n"
    "  1    infrastructure: another server has the folder, disk, network\n"
    "  2    usage\n";

int cli_serve_parse(int argc, char **argv, struct serve_opts *out, FILE *say,
                    FILE *complain)
{
    const char *jobs = NULL, *output = NULL;
    uint64_t n = 1;
    struct err e;
    *out = (struct serve_opts){ .state = words_state() };
    const struct word all[] = {
        { "--state", &out->state, NULL },
        { "--jobs", &jobs, NULL },
        { "--listen", &out->listen, NULL },
        { "--listen-workers", &out->listen_workers, NULL },
        { "--page", &out->page, NULL },
        { "--page-token", &out->page_token, NULL },
        { "--page-host", &out->page_host, NULL },
        { "--output", &output, NULL },
        { NULL, NULL, NULL },
    };
    struct words w = { .command = "serve", .all = all, .complain = complain };
    if (words_want_help(argc, argv))
        return fputs(cli_serve_help, say) < 0 || fflush(say) ? CLI_INFRASTRUCTURE : CLI_OK;
    int code = words_read(&w, argc, argv);
    if (code >= 0) return code;
    if (!words_output(&w, output, &out->output)) return CLI_USAGE;
    if (jobs && !words_number(&w, "--jobs", jobs, 1, SERVE_JOBS_MAX, &n)) return CLI_USAGE;
    out->jobs = (uint32_t)n;
    if (out->listen && endpoint_check_tcp(out->listen, true, &e) != ERR_OK)
        return words_wrong(&w, "--listen: %s", e.text);
    if (out->listen_workers && endpoint_check_tcp(out->listen_workers, true, &e) != ERR_OK)
        return words_wrong(&w, "--listen-workers: %s", e.text);
    if (out->listen_workers && n > 1)
        return words_wrong(&w, "--listen-workers: the port is one job's at a time; leave "
                               "out --jobs");
    if (!out->page && (out->page_token || out->page_host))
        return words_wrong(&w, "--page-token and --page-host say who may see the page: "
                               "give --page, too");
    return -1;
}

int cli_serve(int argc, char **argv, FILE *say, FILE *complain)
{
    struct serve_opts o;
    int code = cli_serve_parse(argc, argv, &o, say, complain);
    return code < 0 ? serve_run(&o) : code;
}
