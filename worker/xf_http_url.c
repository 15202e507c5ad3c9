#include "worker/xf_http.h"

#include "common/number.h"
#include "common/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: an address");
}

// ---- the columns ----

// False: it has no text that may stand in an address.
static bool cell_text(const struct cell *c, struct slice *out, char number[NUMBER_MAX])
{
    *out = (struct slice){ (const uint8_t *)number, 0 };
    switch ((enum cell_kind)c->kind) {
    case CELL_INTEGER: out->n = number_put_integer(number, c->i); break;
    case CELL_REAL: out->n = number_put_real(number, c->r); break;
    case CELL_TEXT: *out = (struct slice){ c->p, c->len }; break;
    case CELL_NULL:
    case CELL_BLOB: return false;
    }
    return true;
}

static err_t bind_param(struct xf_http *x, size_t piece, const struct spec_param *p,
                        struct err *e)
{
    char number[NUMBER_MAX];
    struct slice text;
    x->from[piece] = XF_HTTP_NO_COLUMN;
    if (!cell_text(&p->value, &text, number))
        return ERR_OK; // a check does not know its value
    x->param[piece] = strndup((const char *)text.p, text.n);
    return x->param[piece] ? ERR_OK : no_memory(e);
}

static err_t no_such_column(const struct xf_http *x, const char *name, struct err *e)
{
    struct suggest s = { .word = name };
    for (uint32_t i = 0; i < x->in.n; i++)
        suggest_offer(&s, x->in.f[i].name);
    if (s.best)
        return err_set(e, ERR_TRANSFORM,
                       "url: there is no column '%.100s'; did you mean '%.100s'?", name,
                       s.best);
    return err_set(e, ERR_TRANSFORM, "url: there is no column and no param '%.100s'", name);
}

static err_t bind_piece(struct xf_http *x, const struct spec *spec, size_t piece,
                        struct err *e)
{
    const char *name = x->url.v[piece].text;
    int column = schema_find(&x->in, name);
    x->from[piece] = (uint32_t)column;
    if (column >= 0) return ERR_OK;
    for (size_t i = 0; i < spec->n_params; i++)
        if (strcmp(spec->params[i].name, name) == 0)
            return bind_param(x, piece, &spec->params[i], e);
    return no_such_column(x, name, e);
}

err_t xf_http_bind_url(struct xf_http *x, const struct spec *spec, struct err *e)
{
    err_t rc = url_template_parse(&x->url, x->step.http.url, e);
    if (rc == ERR_INVALID) return err_wrap(e, ERR_TRANSFORM, "url");
    TRY(rc);
    x->from = calloc(x->url.n, sizeof *x->from);
    x->param = calloc(x->url.n, sizeof *x->param);
    if (!x->from || !x->param) return no_memory(e);
    for (size_t i = 0; i < x->url.n; i++)
        if (x->url.v[i].column) TRY(bind_piece(x, spec, i, e));
    return ERR_OK;
}

// ---- the address of a row ----

static bool is_whole(const uint8_t *p, size_t n)
{
    return (n > 7 && strncasecmp((const char *)p, "http://", 7) == 0) ||
           (n > 8 && strncasecmp((const char *)p, "https://", 8) == 0);
}

static bool has_space(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] <= ' ' || p[i] == 0x7f) return true;
    return false;
}

static err_t too_long(struct xf_http *x, const char **why, struct err *e)
{
    *why = xf_http_say(x, "an address of more than %d bytes", XF_HTTP_URL_MAX);
    return *why ? ERR_OK : no_memory(e);
}

static err_t add_value(struct xf_http *x, size_t piece, uint32_t row, struct buf *to,
                       const char **why, struct err *e)
{
    char number[NUMBER_MAX];
    struct slice text = { 0 };
    bool good;
    const char *name = x->url.v[piece].text;
    if (x->from[piece] != XF_HTTP_NO_COLUMN) {
        struct cell c = vec_cell(&x->batch->col[x->from[piece]], row);
        good = cell_text(&c, &text, number);
    } else if ((good = x->param[piece])) {
        text = (struct slice){ (const uint8_t *)x->param[piece], strlen(x->param[piece]) };
    }
    if (!good) {
        *why = xf_http_say(x, "%.100s stands in the address, and is NULL or a blob", name);
        return *why ? ERR_OK : no_memory(e);
    }
    if (text.n > XF_HTTP_URL_MAX) return too_long(x, why, e);
    if (url_template_escapes(&x->url, piece)) return url_escape(to, text.p, text.n, e);
    return text.n ? buf_add(to, text.p, text.n, e) : ERR_OK;
}

static err_t build(struct xf_http *x, uint32_t row, struct buf *to, const char **why,
                   struct err *e)
{
    for (size_t i = 0; i < x->url.n && !*why; i++) {
        const char *text = x->url.v[i].text;
        if (x->url.v[i].column)
            TRY(add_value(x, i, row, to, why, e));
        else
            TRY(buf_add(to, text, strlen(text), e));
        if (!*why && to->n > XF_HTTP_URL_MAX) TRY(too_long(x, why, e));
    }
    if (*why) return ERR_OK;
    if (!is_whole(to->p, to->n) || has_space(to->p, to->n)) {
        *why = xf_http_say(x, "no address that begins with http:// or https://");
        return *why ? ERR_OK : no_memory(e);
    }
    return buf_add(to, "", 1, e);
}

err_t xf_http_row_url(struct xf_http *x, uint32_t row, char **url, const char **why,
                      struct err *e)
{
    struct buf b = { 0 };
    *url = NULL;
    *why = NULL;
    err_t rc = build(x, row, &b, why, e);
    if (rc == ERR_OK && !*why)
        *url = (char *)b.p;
    else
        buf_free(&b);
    return rc;
}

// ---- where it goes on ----

struct place { // of an address
    char *scheme, *host, *port, *whole;
};

static void forget(const struct curl_lib *lib, struct place *p)
{
    lib->free(p->scheme);
    lib->free(p->host);
    lib->free(p->port);
    lib->free(p->whole);
}

// Host and port stay NULL where an address of its scheme has none.
static bool look(const struct curl_lib *lib, CURLU *u, struct place *p)
{
    (void)lib->url_get(u, CURLUPART_HOST, &p->host, 0);
    (void)lib->url_get(u, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT);
    return lib->url_get(u, CURLUPART_SCHEME, &p->scheme, 0) == CURLUE_OK &&
           lib->url_get(u, CURLUPART_URL, &p->whole, 0) == CURLUE_OK;
}

static bool is_same_server(const struct place *a, const struct place *b)
{
    return a->host && b->host && a->port && b->port &&
           strcasecmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}

static const char *judge(struct xf_http_call *c, const struct place *from,
                         const struct place *to, const char *what)
{
    char shown[300];
    bool secure = strcmp(to->scheme, "https") == 0;
    xf_http_shown(to->whole, shown, sizeof shown);
    if (!secure && strcmp(to->scheme, "http") != 0)
        return xf_http_say(c->x, "%s leads to %s, which is neither http nor https", what,
                           shown);
    if (!secure && strcmp(from->scheme, "https") == 0)
        return xf_http_say(c->x, "%s leads from https to %s, which anybody can read", what,
                           shown);
    if (!is_same_server(from, to)) c->foreign = true;
    return NULL;
}

static err_t follow(struct xf_http_call *c, CURLU *u, const char *to, const char *what,
                    char **url, const char **why, struct err *e)
{
    const struct curl_lib *lib = c->x->lib;
    struct place a = { 0 }, b = { 0 };
    bool known = lib->url_set(u, CURLUPART_URL, c->url, 0) == CURLUE_OK && look(lib, u, &a);
    if (!known || strlen(to) > XF_HTTP_URL_MAX ||
        lib->url_set(u, CURLUPART_URL, to, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        !look(lib, u, &b)) {
        *why = xf_http_say(c->x, "%s leads to what is no address", what);
    } else if (!(*why = judge(c, &a, &b, what))) {
        *url = strdup(b.whole);
    }
    forget(lib, &a);
    forget(lib, &b);
    return *why || *url ? ERR_OK : no_memory(e);
}

err_t xf_http_follow(struct xf_http_call *c, const char *to, const char *what, char **url,
                     const char **why, struct err *e)
{
    CURLU *u = c->x->lib->url();
    *url = NULL;
    *why = NULL;
    if (!u) return no_memory(e);
    err_t rc = follow(c, u, to, what, url, why, e);
    c->x->lib->url_cleanup(u);
    return rc;
}

const char *xf_http_shown(const char *url, char *out, size_t size)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t n = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', n);
    snprintf(out, size, "%.*s%.*s", (int)(host - url), url, 800, at ? at + 1 : host);
    return out;
}
