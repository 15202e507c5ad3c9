#include "worker/xf_http.h"

#include "worker/http_link.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 64 << 10 }; // all headers of an answer

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: a request");
}

// ---- what libcurl tells ----

static size_t hang_up(struct xf_http_call *c, const char *why)
{
    c->cut = why;
    return 0;
}

static size_t hang_up_without_memory(struct xf_http_call *c)
{
    c->no_memory = true;
    return 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct xf_http_call *c = arg;
    n *= size;
    if (n > c->x->step.http.body_bytes - c->body.n)
        return hang_up(c, "the answer is larger than max_body");
    size_t before = c->body.cap;
    if (buf_add(&c->body, p, n, NULL) != ERR_OK) return hang_up_without_memory(c);
    c->x->body_bytes += c->body.cap - before;
    return n;
}

static bool keep_link(struct xf_http_call *c, struct slice link)
{
    if (link.n) c->link = strndup((const char *)link.p, link.n);
    return link.n == 0 || c->link;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct xf_http_call *c = arg;
    n *= size;
    c->head_bytes += n;
    if (c->head_bytes > HEAD_MAX) return hang_up(c, "headers of more than 64 KiB");
    bool links = c->x->step.http.next && !c->x->next;
    if (links && !c->link && n > 5 && strncasecmp(p, "link:", 5) == 0 && !memchr(p, 0, n) &&
        !keep_link(c, http_link_next(p + 5, n - 5)))
        return hang_up_without_memory(c);
    return n;
}

// ---- out ----

#define SET(option, value) ok &= lib->easy_setopt(h, option, value) == CURLE_OK

static bool prepare(struct xf_http_call *c)
{
    const struct curl_lib *lib = c->x->lib;
    const struct step_http *o = &c->x->step.http;
    CURL *h = c->easy;
    bool ok = true;
    lib->easy_reset(h);
    SET(CURLOPT_URL, c->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ACCEPT_ENCODING, "");
    SET(CURLOPT_USERAGENT, "tranche/" TRANCHE_VERSION);
    SET(CURLOPT_HTTPHEADER, c->foreign ? c->x->plain : c->x->headers);
    SET(CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)o->body_bytes);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, c);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, c);
    SET(CURLOPT_PRIVATE, c);
    // Many requests on one connection, where the server takes them (HTTP/2).
    if (strncasecmp(c->url, "https", 5) == 0) SET(CURLOPT_PIPEWAIT, 1L);
    return ok;
}

static CURL *new_handle(struct xf_http *x)
{
    if (x->n_idle) return x->idle[--x->n_idle];
    if (x->n_easy == x->cap_idle) {
        size_t cap = x->cap_idle ? 2 * x->cap_idle : 16;
        CURL **v = realloc(x->idle, cap * sizeof *v);
        if (!v) return NULL;
        x->idle = v;
        x->cap_idle = cap;
    }
    CURL *h = x->lib->easy_init();
    x->n_easy += h != NULL;
    return h;
}

static void begin_answer(struct xf_http_call *c)
{
    c->body.n = c->head_bytes = 0;
    c->cut = NULL;
    free(c->link);
    c->link = NULL;
}

err_t xf_http_send(struct xf_http_call *c, struct err *e)
{
    struct xf_http *x = c->x;
    begin_answer(c);
    c->easy = new_handle(x);
    bool ready =
        c->easy && prepare(c) && x->lib->multi_add_handle(x->multi, c->easy) == CURLM_OK;
    if (!ready) {
        if (c->easy) x->idle[x->n_idle++] = c->easy;
        http_share_give(&x->share);
        xf_http_call_free(c);
        return no_memory(e);
    }
    c->prev = NULL;
    c->after = x->out_list;
    if (c->after) c->after->prev = c;
    x->out_list = c;
    x->n_out++;
    return ERR_OK;
}

// It is nobody's then.
void xf_http_bring_back(struct xf_http_call *c)
{
    struct xf_http *x = c->x;
    x->lib->multi_remove_handle(x->multi, c->easy);
    x->idle[x->n_idle++] = c->easy;
    c->easy = NULL;
    if (c->after) c->after->prev = c->prev;
    if (c->prev)
        c->prev->after = c->after;
    else
        x->out_list = c->after;
    x->n_out--;
    x->body_bytes -= c->body.cap;
    http_share_give(&x->share);
}
