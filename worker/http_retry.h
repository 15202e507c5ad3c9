// http_retry - which answers are asked for again, and when. Pure: time is an argument.

#ifndef WORKER_HTTP_RETRY_H
#define WORKER_HTTP_RETRY_H

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_RETRY_FIRST (250 * NS_MS)
#define HTTP_RETRY_MOST  (30 * NS_S)

// 408, 425, 429 and 5xx but 501: another time the same request may go well.
bool http_retry_status(long status);

// How long to wait before retry number `n` (from 0): HTTP_RETRY_FIRST, twice as much each
// time, HTTP_RETRY_MOST at most, of which `random` leaves between a half and all, so that
// those that failed together do not come back together. Not less than the server asked for
// (Retry-After; 0: it did not).
ns_t http_retry_wait(uint32_t n, ns_t asked, uint64_t random);

#endif
