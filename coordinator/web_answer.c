// A request, from its headers to its answer.

#include "coordinator/web_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS "/events"

// As strict as pages of style sheets and scripts of their own allow.
static const char policy[] =
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src "
    "'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static bool add_headers(struct web *w, struct MHD_Response *r, int status, const char *type)
{
    static const char *const all[][2] = {
        { "Cache-Control", "no-store" },
        { "Content-Security-Policy", policy },
        { "X-Content-Type-Options", "nosniff" },
        { "X-Frame-Options", "DENY" },
        { "Referrer-Policy", "no-referrer" },
        { "Cross-Origin-Opener-Policy", "same-origin" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
        { "Connection", "close" },
    };
    bool ok = w->lib->add_response_header(r, "Content-Type", type) == MHD_YES;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ok &= w->lib->add_response_header(r, all[i][0], all[i][1]) == MHD_YES;
    if (status == WEB_NOT_ALLOWED)
        ok &= w->lib->add_response_header(r, "Allow", "GET, HEAD") == MHD_YES;
    if (status == WEB_BUSY)
        ok &= w->lib->add_response_header(r, "Retry-After", "5") == MHD_YES;
    if (status == WEB_UNAUTHORIZED)
        ok &=
            w->lib->add_response_header(
                r, "WWW-Authenticate",
                "Basic realm=\"user tranche, the token as password\", charset=\"UTF-8\"") ==
            MHD_YES;
    return ok;
}

enum MHD_Result web_send(struct web *w, struct MHD_Connection *c, int status,
                         const char *type, struct MHD_Response *r)
{
    enum MHD_Result rc = MHD_NO;
    if (add_headers(w, r, status, type))
        rc = w->lib->queue_response(c, (unsigned)status, r);
    w->lib->destroy_response(r);
    return rc;
}

// Takes the bytes.
static enum MHD_Result send_buf(struct web *w, struct MHD_Connection *c, enum web_kind kind,
                                int status, struct buf *body)
{
    static char nothing[1];
    struct MHD_Response *r = w->lib->create_response_from_buffer(
        body->n, body->p ? (void *)body->p : nothing,
        body->p ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r) {
        buf_free(body);
        return MHD_NO;
    }
    *body = (struct buf){ 0 };
    return web_send(w, c, status, web_kind_type(kind), r);
}

enum MHD_Result web_say(struct web *w, struct MHD_Connection *c, enum web_kind kind,
                        int status, const char *text)
{
    struct buf body = { 0 };
    struct err e;
    if (web_route_say(kind, status, text, &body, &e) == ERR_OK)
        return send_buf(w, c, kind, status, &body);
    buf_free(&body);
    return MHD_NO;
}

static const char *header(struct web *w, struct MHD_Connection *c, const char *name)
{
    return w->lib->lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result take_param(void *arg, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct web_request *r = arg;
    (void)kind;
    if (r->n_params < WEB_PARAMS)
        r->param[r->n_params++] = (struct web_param){ name, value ? value : "" };
    return MHD_YES;
}

static enum MHD_Result answer(struct web *w, struct MHD_Connection *c,
                              const struct web_route *route, struct web_request *r)
{
    struct buf body = { 0 };
    struct err e;
    int status;
    w->lib->get_connection_values(c, MHD_GET_ARGUMENT_KIND, take_param, r);
    if (!route->open && web_view_refresh(&w->view, clock_ns(), &e) != ERR_OK)
        return web_say(w, c, route->kind, WEB_BUSY, e.text);
    if (web_route_answer(route, &w->view, r, &status, &body, &e) == ERR_OK)
        return send_buf(w, c, route->kind, status, &body);
    buf_free(&body);
    return web_say(w, c, route->kind, WEB_FAILED, e.text);
}

static bool header_is_large(struct web *w, struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        w->lib->get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return !i || i->header_size > WEB_HEADER_MAX;
}

enum MHD_Result web_answer(void *arg, struct MHD_Connection *c, const char *url,
                           const char *method, const char *version, const char *upload,
                           size_t *n_upload, void **of_request)
{
    struct web *w = arg;
    struct web_request r = { .path = url };
    struct web_conn *conn = web_conn_of(w, c);
    (void)version, (void)upload, (void)n_upload, (void)of_request;
    if (!conn) return MHD_NO;
    conn->answered = true;
    enum web_kind kind = web_route_kind(url);
    bool events = strcmp(url, EVENTS) == 0, head = strcmp(method, "HEAD") == 0;
    if (header_is_large(w, c))
        return web_say(w, c, kind, WEB_HEADER_TOO_LARGE, "the headers are too large");
    if (!web_host_is_ours(header(w, c, "Host"), conn->own, w->hosts))
        return web_say(w, c, kind, WEB_FORBIDDEN,
                       "Host names another host than this one; 'tranche serve --page-host "
                       "NAME' allows a name");
    if (!head && strcmp(method, "GET") != 0)
        return web_say(w, c, kind, WEB_NOT_ALLOWED, "only GET and HEAD are answered");
    const struct web_route *route = web_route_find(url, r.name);
    if (!(route && route->open) &&
        !web_token_matches(&w->token, header(w, c, "Authorization")))
        return web_say(w, c, kind, WEB_UNAUTHORIZED,
                       "the token is missing or wrong: as password of the user tranche, or "
                       "behind 'Authorization: Bearer'");
    if (events && head) return web_say(w, c, WEB_TEXT, WEB_OK, "events");
    if (events) return web_events_open(w, c);
    if (!route) return web_say(w, c, kind, WEB_NOT_FOUND, "there is nothing here");
    return answer(w, c, route, &r);
}
