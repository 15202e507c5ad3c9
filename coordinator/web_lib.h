// web_lib - libmicrohttpd, loaded when a server with a page starts: it brings ten libraries
// with it, which every other command would load for nothing.

#ifndef COORDINATOR_WEB_LIB_H
#define COORDINATOR_WEB_LIB_H

#include "common/err.h"

#include <microhttpd.h>

#define WEB_CALLS(X)                 \
    X(start_daemon)                  \
    X(stop_daemon)                   \
    X(run)                           \
    X(get_timeout)                   \
    X(get_daemon_info)               \
    X(get_connection_info)           \
    X(get_connection_values)         \
    X(lookup_connection_value)       \
    X(suspend_connection)            \
    X(resume_connection)             \
    X(create_response_from_buffer)   \
    X(create_response_from_callback) \
    X(add_response_header)           \
    X(queue_response)                \
    X(destroy_response)

struct web_lib { // MHD_run is run
#define X(name) __typeof__(MHD_##name) *name;
    WEB_CALLS(X)
#undef X
};

// Stays loaded. ERR_INVALID: this host does not have it.
MUST_CHECK err_t web_lib_get(const struct web_lib **out, struct err *e);

#endif
