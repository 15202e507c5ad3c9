// web_api - the routes for programs: JSON under /api/v1. docs/API.md names every member.

#ifndef COORDINATOR_WEB_API_H
#define COORDINATOR_WEB_API_H

#include "coordinator/web_route.h"

enum { WEB_API_LIMIT = 100, WEB_API_LIMIT_MAX = 1000 }; // elements of a list

MUST_CHECK err_t web_api_error(const char *text, struct buf *out, struct err *e);

web_handler web_api_health, web_api_server, web_api_jobs, web_api_job, web_api_runs,
    web_api_workers;
// web_api_run.c: past.h for programs
web_handler web_api_run, web_api_samples, web_api_chunks, web_api_events, web_api_crew,
    web_api_reasons, web_api_rejects;

#endif
