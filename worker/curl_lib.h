// curl_lib - libcurl, loaded when the first http step is opened: it brings thirty libraries
// with it, which runners of all other jobs would load for nothing (docs/HTTP.md).

#ifndef WORKER_CURL_LIB_H
#define WORKER_CURL_LIB_H

#include "common/err.h"

#define CURL_DISABLE_TYPECHECK // its macros know nothing of pointers to functions
#include <curl/curl.h>

#define CURL_CALLS(X)      \
    X(global_init)         \
    X(easy_init)           \
    X(easy_setopt)         \
    X(easy_getinfo)        \
    X(easy_reset)          \
    X(easy_strerror)       \
    X(easy_cleanup)        \
    X(multi_init)          \
    X(multi_add_handle)    \
    X(multi_remove_handle) \
    X(multi_perform)       \
    X(multi_poll)          \
    X(multi_info_read)     \
    X(multi_cleanup)       \
    X(slist_append)        \
    X(slist_free_all)      \
    X(url)                 \
    X(url_set)             \
    X(url_get)             \
    X(url_cleanup)         \
    X(free)

struct curl_lib { // curl_easy_init is easy_init
#define X(name) __typeof__(curl_##name) *name;
    CURL_CALLS(X)
#undef X
};

// Stays loaded. From any thread. ERR_INVALID: this host does not have it.
MUST_CHECK err_t curl_lib_get(const struct curl_lib **out, struct err *e);

// libcurl asks for each address in a thread of its own, at any time, and a hundred usual
// stacks would not fit under the limit of a runner's memory. It lets nobody say how large
// they are, so that this is for all threads of the process that do not say it: not where a
// plugin may start some.
void curl_lib_keep_stacks_small(void);

#endif
