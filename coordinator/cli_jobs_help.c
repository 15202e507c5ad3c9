// What submit, jobs, cancel, ... say of themselves.

#include "coordinator/cli_jobs.h"

#define WHICH_SERVER                                                                   \
    "      --state DIR         the server's folder on this host (default: "            \
    "$TRANCHE_HOME,\n"                                                                 \
    "                          or .tranche)\n"                                         \
    "      --access FILE       a server on another host: the file that 'tranche keys " \
    "new\n"                                                                            \
    "                          --client' made there\n"                                 \
    "  -h, --help              show this help\n"
#define OUTPUT_FLAG                     \
    "      --output human|json|quiet\n" \
    "                          json: an object a line on standard output\n"
#define EXITS                                           \
    "\nExit codes:\n"                                   \
    "  0    done\n"                                     \
    "  1    infrastructure: no server, network, disk\n" \
    "  2    usage, or the server says no\n"

const struct cli_jobs_command cli_jobs_commands[] = {
    { "submit", "tranche submit [JOB.yaml] [FLAGS]",
      "hand a job or pipeline to a server's queue",
      "Usage: tranche submit [JOB.yaml] [FLAGS] [FLAGS OF RUN]\n"
      "\n"
      "Hands a job to 'tranche serve': the same words as behind 'tranche run', and the "
      "same\n"
      "job. The file is read now; what becomes of it later changes nothing. Paths mean "
      "what\n"
      "they mean here, on the host of the server. When this command has said the job's\n"
      "number, the job is in the queue for good.\n"
      "\n"
      "      --priority N        0 to 100, higher ones go first (default: 50)\n"
      "      --wait              until it is over, with its exit code\n"
      "      --token TEXT        submitted again with the same text it is the same job: "
      "for\n"
      "                          scripts that try again\n" OUTPUT_FLAG WHICH_SERVER "\n"
      "Examples:\n"
      "  tranche submit examples/late-flights.yaml\n"
      "  tranche submit --csv 'data/*.csv' --into sqlite:warehouse.db --priority 80\n"
      "  tranche submit nightly.yaml --wait --token nightly-2026-11-22\n" EXITS
      "  with --wait those of 'tranche run'\n" },
    { "jobs", "tranche jobs [ID]", "list the jobs of a server",
      "Usage: tranche jobs [ID] [FLAGS]\n"
      "\n"
      "Lists the jobs of a server, oldest first: all that wait or run, and the last 20 "
      "that\n"
      "are over.\n"
      "\n"
      "      --all               the last 1000, over or not\n" OUTPUT_FLAG WHICH_SERVER
          EXITS },
    { "cancel", "tranche cancel ID", "take a job out of the queue, or stop it",
      "Usage: tranche cancel ID [FLAGS]\n"
      "\n"
      "A job that waits is not begun; one that runs is stopped as with Ctrl-C: what was\n"
      "committed is safe, and submitted again it goes on there. Its exit code is 130.\n"
      "\n" OUTPUT_FLAG WHICH_SERVER EXITS },
    { "wait", "tranche wait ID", "wait for the end of a job",
      "Usage: tranche wait ID [FLAGS]\n"
      "\n"
      "Waits until the job is over, through restarts of the server, and ends with the "
      "exit\n"
      "code of the job, which is that of 'tranche run': 130 when it was cancelled.\n"
      "\n" OUTPUT_FLAG WHICH_SERVER },
    { "logs", "tranche logs ID", "show what a job writes",
      "Usage: tranche logs ID [FLAGS]\n"
      "\n"
      "Shows what a job has written to its standard output and error: the last 2 to 4 MiB\n"
      "are kept, of the last 500 jobs.\n"
      "\n"
      "      --follow            go on until the job is over\n" WHICH_SERVER EXITS },
    { "workers", "tranche workers", "list the workers of the jobs that run",
      "Usage: tranche workers [FLAGS]\n"
      "\n"
      "Lists the workers that the jobs of a server have at the moment, or had a second or\n"
      "two ago: host, slots, since when, for which job, and the newest batch they have.\n"
      "\n" OUTPUT_FLAG WHICH_SERVER EXITS },
    { "drain", "tranche drain WORKER", "send a worker of another host away",
      "Usage: tranche drain WORKER [FLAGS]\n"
      "\n"
      "The worker ends what it has, takes nothing new, and leaves. When it is started "
      "again\n"
      "it is welcome.\n"
      "\n" OUTPUT_FLAG WHICH_SERVER EXITS },
    { NULL, NULL, NULL, NULL },
};
