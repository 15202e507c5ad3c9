// web_route - which address has which answer: one table, in web_route.c. Pages, API and
// metrics are handlers; they read a snapshot and append to a buffer, in the web thread.

#ifndef COORDINATOR_WEB_ROUTE_H
#define COORDINATOR_WEB_ROUTE_H

#include "common/buf.h"
#include "coordinator/web_view.h"

#include <stdbool.h>

enum {
    WEB_OK = 200,
    WEB_BAD_REQUEST = 400,
    WEB_UNAUTHORIZED = 401,
    WEB_FORBIDDEN = 403,
    WEB_NOT_FOUND = 404,
    WEB_NOT_ALLOWED = 405,
    WEB_HEADER_TOO_LARGE = 431,
    WEB_FAILED = 500,
    WEB_BUSY = 503,
};

enum { WEB_PARAMS = 8, WEB_NAME = 200 };

struct web_param { // of the query, decoded
    const char *name, *value;
};

struct web_request {
    const char *path;    // decoded, without the query
    char name[WEB_NAME]; // what stood for the '*' of the route's path, or ""
    struct web_param param[WEB_PARAMS];
    uint32_t n_params; // further ones are not seen
};
const char *web_param(const struct web_request *r, const char *name); // NULL: not given
// `otherwise` when it is not given. ERR_PARSE: no number from least to most.
MUST_CHECK err_t web_param_number(const struct web_request *r, const char *name,
                                  uint64_t least, uint64_t most, uint64_t otherwise,
                                  uint64_t *out, struct err *e);
// The name as a number from 1 on. ERR_INVALID: it is none.
MUST_CHECK err_t web_name_number(const struct web_request *r, int64_t *out, struct err *e);

// On failure what is in `out` is thrown away and the sentence is sent, in the route's kind.
// *status is WEB_OK before; a handler that fails sets one of the above, or leaves it: then
// ERR_INVALID is 404, ERR_PARSE 400, ERR_BUSY and ERR_FULL 503, anything else 500.
typedef err_t web_handler(struct web_view *v, const struct web_request *r, int *status,
                          struct buf *out, struct err *e);

enum web_kind { WEB_PAGE, WEB_JSON, WEB_TEXT, WEB_STYLE, WEB_SCRIPT, WEB_METRICS };
const char *web_kind_type(enum web_kind kind); // "text/html; charset=utf-8"

struct web_route {
    const char *path; // one '*' in it stands for a part without '/'
    enum web_kind kind;
    bool open; // without a token, too
    web_handler *handle;
};
// NULL: there is none; *name gets what stood for the '*'.
const struct web_route *web_route_find(const char *path, char name[WEB_NAME]);
// Of a path without a route what its beginning says: /api/... is JSON, all else a page.
enum web_kind web_route_kind(const char *path);
// The handler's answer, or what went wrong as one. ERR_NOMEM only.
MUST_CHECK err_t web_route_answer(const struct web_route *route, struct web_view *v,
                                  const struct web_request *r, int *status, struct buf *out,
                                  struct err *e);
// What is said instead of an answer.
MUST_CHECK err_t web_route_say(enum web_kind kind, int status, const char *text,
                               struct buf *out, struct err *e);

#endif
