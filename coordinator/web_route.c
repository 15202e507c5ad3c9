#include "coordinator/web_route.h"

#include "coordinator/pages.h"
#include "coordinator/web_api.h"
#include "coordinator/web_metrics.h"

#include <stdlib.h>
#include <string.h>

static const struct web_route routes[] = {
    { "/", WEB_PAGE, false, page_overview },
    { "/jobs", WEB_PAGE, false, page_jobs },
    { "/jobs/*", WEB_PAGE, false, page_job },
    { "/runs", WEB_PAGE, false, page_runs },
    { "/runs/*", WEB_PAGE, false, page_run },
    { "/runs/*/rejects", WEB_PAGE, false, page_rejects },
    { "/workers", WEB_PAGE, false, page_workers },
    { "/style.css", WEB_STYLE, false, page_style },
    { "/page.js", WEB_SCRIPT, false, page_script },
    { "/healthz", WEB_TEXT, true, web_api_health },
    { "/metrics", WEB_METRICS, false, web_metrics },
    { "/api/v1/server", WEB_JSON, false, web_api_server },
    { "/api/v1/jobs", WEB_JSON, false, web_api_jobs },
    { "/api/v1/jobs/*", WEB_JSON, false, web_api_job },
    { "/api/v1/runs", WEB_JSON, false, web_api_runs },
    { "/api/v1/runs/*", WEB_JSON, false, web_api_run },
    { "/api/v1/runs/*/samples", WEB_JSON, false, web_api_samples },
    { "/api/v1/runs/*/chunks", WEB_JSON, false, web_api_chunks },
    { "/api/v1/runs/*/events", WEB_JSON, false, web_api_events },
    { "/api/v1/runs/*/workers", WEB_JSON, false, web_api_crew },
    { "/api/v1/runs/*/reasons", WEB_JSON, false, web_api_reasons },
    { "/api/v1/runs/*/rejects", WEB_JSON, false, web_api_rejects },
    { "/api/v1/workers", WEB_JSON, false, web_api_workers },
};

const char *web_kind_type(enum web_kind kind)
{
    static const char *const types[] = {
        [WEB_PAGE] = "text/html; charset=utf-8",
        [WEB_JSON] = "application/json",
        [WEB_TEXT] = "text/plain; charset=utf-8",
        [WEB_STYLE] = "text/css; charset=utf-8",
        [WEB_SCRIPT] = "text/javascript; charset=utf-8",
        [WEB_METRICS] = "text/plain; version=0.0.4; charset=utf-8",
    };
    return types[kind];
}

// ---- finding ----

static bool matches(const char *pattern, const char *path, char name[WEB_NAME])
{
    const char *star = strchr(pattern, '*');
    *name = 0;
    if (!star) return strcmp(pattern, path) == 0;
    size_t before = (size_t)(star - pattern);
    if (strncmp(pattern, path, before) != 0) return false;
    size_t n = strcspn(path + before, "/");
    if (n == 0 || n >= WEB_NAME || strcmp(star + 1, path + before + n) != 0) return false;
    memcpy(name, path + before, n);
    name[n] = 0;
    return true;
}

const struct web_route *web_route_find(const char *path, char name[WEB_NAME])
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (matches(routes[i].path, path, name)) return &routes[i];
    *name = 0;
    return NULL;
}

enum web_kind web_route_kind(const char *path)
{
    return strncmp(path, "/api/", 5) == 0 ? WEB_JSON : WEB_PAGE;
}

// ---- what a request says ----

const char *web_param(const struct web_request *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_params; i++)
        if (strcmp(r->param[i].name, name) == 0) return r->param[i].value;
    return NULL;
}

static bool number(const char *text, uint64_t *out)
{
    size_t n = strlen(text);
    *out = 0;
    if (n == 0 || n > 18 || strspn(text, "0123456789") != n) return false;
    for (; *text; text++)
        *out = *out * 10 + (uint64_t)(*text - '0');
    return true;
}

err_t web_param_number(const struct web_request *r, const char *name, uint64_t least,
                       uint64_t most, uint64_t otherwise, uint64_t *out, struct err *e)
{
    const char *text = web_param(r, name);
    *out = otherwise;
    if (!text) return ERR_OK;
    if (number(text, out) && *out >= least && *out <= most) return ERR_OK;
    return err_set(e, ERR_PARSE, "%s is a number from %llu to %llu, and not '%.100s'", name,
                   (unsigned long long)least, (unsigned long long)most, text);
}

err_t web_name_number(const struct web_request *r, int64_t *out, struct err *e)
{
    uint64_t n;
    if (!number(r->name, &n) || n == 0)
        return err_set(e, ERR_INVALID, "'%s' is no number", r->name);
    *out = (int64_t)n;
    return ERR_OK;
}

// ---- answering ----

static int status_of(err_t rc)
{
    switch (rc) {
    case ERR_INVALID: return WEB_NOT_FOUND;
    case ERR_PARSE: return WEB_BAD_REQUEST;
    case ERR_BUSY:
    case ERR_FULL: return WEB_BUSY;
    default: return WEB_FAILED;
    }
}

err_t web_route_say(enum web_kind kind, int status, const char *text, struct buf *out,
                    struct err *e)
{
    if (kind == WEB_JSON) return web_api_error(text, out, e);
    if (kind == WEB_PAGE) return page_say(status, text, out, e);
    return buf_printf(out, e, "%s\n", text);
}

err_t web_route_answer(const struct web_route *route, struct web_view *v,
                       const struct web_request *r, int *status, struct buf *out,
                       struct err *e)
{
    *status = WEB_OK;
    err_t rc = route->handle(v, r, status, out, e);
    if (rc == ERR_OK || rc == ERR_NOMEM) return rc;
    if (*status == WEB_OK) *status = status_of(rc);
    struct err why = *e;
    out->n = 0;
    return web_route_say(route->kind, *status, why.text, out, e);
}
