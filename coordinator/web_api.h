// web_api - the routes for programs: JSON under /api/v1. docs/API.md names every member.

#ifndef COORDINATOR_WEB_API_H
#define COORDINATOR_WEB_API_H

#include "coordinator/web_route.h"

MUST_CHECK err_t web_api_error(const char *text, struct buf *out, struct err *e);

web_handler web_api_health;

#endif
