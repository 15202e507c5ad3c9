// http_link - the address of the next page in a header Link (RFC 8288).

#ifndef WORKER_HTTP_LINK_H
#define WORKER_HTTP_LINK_H

#include "common/buf.h"

// The target of the first link whose rel names "next", in the value of a header; empty:
// there is none, or the value is not as it should be up to there. Borrowed.
struct slice http_link_next(const char *p, size_t n);

#endif
