// pages - the pages of a server, docs/PAGE.md: handlers of web_route.h. What they show was
// written by others (names, rows, logs) and is escaped; each is bounded in size.

#ifndef COORDINATOR_PAGES_H
#define COORDINATOR_PAGES_H

#include "coordinator/web_route.h"

web_handler page_overview; // "/"
web_handler page_jobs;     // "/jobs", before=ID
web_handler page_job;      // "/jobs/*"
web_handler page_runs;     // "/runs", before=SEQ
web_handler page_run;      // "/runs/*"
web_handler page_rejects;  // "/runs/*/rejects", after=ID
web_handler page_workers;  // "/workers", from=N
web_handler page_style;    // "/style.css"
web_handler page_script;   // "/page.js"

// What is shown in place of a page that cannot be.
MUST_CHECK err_t page_say(int status, const char *text, struct buf *out, struct err *e);

#endif
