// web - the HTTP side of `tranche serve`: page, API and metrics of one state folder, in a
// thread of its own. docs/API.md.
//
// It reads the folder as any other process would (web_view.h) and shares nothing with the
// server's loop; it answers GET and HEAD and changes nothing. Who may ask, and for what, is
// decided in web_guard.h and web_route.h.

#ifndef COORDINATOR_WEB_H
#define COORDINATOR_WEB_H

#include "common/err.h"
#include "coordinator/web_view.h"

struct web;

enum {
    WEB_CONNECTIONS = 64,     // at a time; more wait until one of them is over
    WEB_STREAMS = 16,         // of /events among them; more are refused with 503
    WEB_HEADER_MAX = 8 << 10, // request line and headers; more is 431
    WEB_HEADER_MS = 5000,     // from the connection to the end of its headers
    WEB_CROWDED_MS = 1000,    // the same while others may wait for its place
    WEB_ANSWER_MS = 30000,    // until the answer is taken
    WEB_HOSTS = 16,
};

struct web_opts {
    const char *listen;       // [HOST:]PORT; without HOST 127.0.0.1; port 0: a free one
    const char *token_file;   // of the token; NULL: none, on this host alone
    const char *const *hosts; // further names that Host may have, ends with NULL; or NULL
    struct web_facts facts;
};

// Writes the address to FACTS.STATE/serve/page. ERR_INVALID: address or token are refused,
// or libmicrohttpd is not there; ERR_IO: it cannot listen.
MUST_CHECK err_t web_start(struct web **out, const struct web_opts *o, struct err *e);
const char *web_address(const struct web *w); // "http://127.0.0.1:8080/"
void web_stop(struct web **w);                // what is under way is cut off

#endif
