// endpoint - where a link leads: ipc:///absolute/path or tcp://HOST:PORT.

#ifndef PROTO_ENDPOINT_H
#define PROTO_ENDPOINT_H

#include "common/err.h"

#include <stdbool.h>

enum { ENDPOINT_HOST = 260 };

bool endpoint_is_tcp(const char *endpoint);
// Well formed; '*' for all addresses, and port 0, only when listening.
MUST_CHECK err_t endpoint_check_tcp(const char *endpoint, bool listening, struct err *e);
// ERR_CLOSED: its host has no address now. libzmq would try for ever, silently.
MUST_CHECK err_t endpoint_resolve(const char *endpoint, struct err *e);

MUST_CHECK err_t endpoint_check_ipc(const char *endpoint, const char **path, struct err *e);
// Without keys the socket's folder is what keeps other users out.
MUST_CHECK err_t endpoint_check_folder(const char *path, struct err *e);

#endif
