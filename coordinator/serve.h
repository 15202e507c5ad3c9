// serve - `tranche serve`: a process that owns a queue of jobs (backlog.h), begins them one
// after the other, each as a process of its own (serve_job.h), keeps what they write
// (job_log.h), and answers clients (client.h). docs/SERVE.md.

#ifndef COORDINATOR_SERVE_H
#define COORDINATOR_SERVE_H

#include "common/err.h"
#include "common/job.h"

#include <stdint.h>

enum { SERVE_JOBS_MAX = 64 };

struct serve_opts {
    const char *state;          // the folder, as given
    const char *listen;         // where clients of other hosts come in; NULL: nowhere
    const char *listen_workers; // what each job gets as --listen; NULL: nothing
    const char *page;           // [HOST:]PORT of web.h; NULL: no page
    const char *page_token;     // file; NULL: none
    const char *page_host;      // a further name of the page's host, or several with commas
    uint32_t jobs;              // at a time, 1 to SERVE_JOBS_MAX
    enum job_output output;
};

// Until it is told to stop. Exit codes of cli.h.
int serve_run(const struct serve_opts *o);

// The lock of a server's state folder (run_lock.h), and its folder below it.
#define SERVE_LOCK   "serve"
#define SERVE_FOLDER "serve"
enum { SERVE_MESSAGE_MAX = 5 << 20 }; // on both sides

#endif
