// page_lists - tables of jobs and of runs, on several pages.

#ifndef COORDINATOR_PAGE_LISTS_H
#define COORDINATOR_PAGE_LISTS_H

#include "coordinator/page_site.h"

void page_jobs_begin(struct page *p, const char *caption);
void page_jobs_row(struct page *p, const struct backlog_job *j);
void page_runs_begin(struct page *p, const char *caption);
void page_runs_row(struct page *p, const struct web_run *r);
// "12 more wait: all JOBS" with a link to /WHERE; nothing when there are none.
void page_more(struct page *p, uint64_t n, const char *what, const char *where);

#endif
