#include "worker/xf_http.h"

#include <stdlib.h>
#include <string.h>

enum {
    WAITING_MAX = 4096, // rows that wait for a retry; more are not begun before
    NAP_MS = 5,         // while others have what we want: how soon to ask again
};

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: a request");
}

static bool is_sooner(const struct heap_node *a, const struct heap_node *b)
{
    const struct xf_http_call *x =
        (const void *)((const char *)a - offsetof(struct xf_http_call, node));
    const struct xf_http_call *y =
        (const void *)((const char *)b - offsetof(struct xf_http_call, node));
    return x->due != y->due ? x->due < y->due : x->row < y->row;
}

static struct xf_http_call *soonest(const struct xf_http *x)
{
    struct heap_node *n = heap_top(&x->waiting);
    return n ? (void *)((char *)n - offsetof(struct xf_http_call, node)) : NULL;
}

static err_t take_ends(struct xf_http *x, ns_t deadline, struct err *e)
{
    int left;
    for (CURLMsg *m; (m = x->lib->multi_info_read(x->multi, &left));) {
        struct xf_http_call *c = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        CURLcode code = m->data.result;
        x->lib->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        TRY(xf_http_ended(c, code, deadline, e));
    }
    return ERR_OK;
}

// ---- the loop ----

static err_t new_call(struct xf_http *x, struct xf_http_call **out, struct err *e)
{
    uint32_t row = x->next_row++;
    const char *why;
    char *url;
    *out = NULL;
    TRY(xf_http_row_url(x, row, &url, &why, e));
    if (why) {
        xf_http_end_row(x, row, why);
        return ERR_OK;
    }
    struct xf_http_call *c = calloc(1, sizeof *c);
    if (!c) {
        free(url);
        return no_memory(e);
    }
    *c = (struct xf_http_call){ .x = x, .row = row, .url = url };
    bool known;
    err_t rc = xf_http_remember_page(c, &known, e);
    if (rc == ERR_OK)
        *out = c;
    else
        xf_http_call_free(c);
    return rc;
}

static bool has_ready(const struct xf_http *x, ns_t now)
{
    const struct xf_http_call *c = soonest(x);
    if (c && c->due <= now) return true;
    return x->next_row < x->batch->rows && x->waiting.n < WAITING_MAX;
}

static err_t take_ready(struct xf_http *x, ns_t now, struct xf_http_call **out,
                        struct err *e)
{
    *out = soonest(x);
    if (!*out || (*out)->due > now) return new_call(x, out, e);
    heap_remove(&x->waiting, &(*out)->node);
    return ERR_OK;
}

// As many as there is room for. *until: when there may be room for the next.
static err_t begin_calls(struct xf_http *x, ns_t now, ns_t *until, struct err *e)
{
    *until = NS_NEVER;
    while (has_ready(x, now)) {
        struct xf_http_call *c;
        if (!http_share_take(&x->share, now, until)) {
            if (*until == NS_NEVER) *until = now + NAP_MS * NS_MS;
            return ERR_OK;
        }
        err_t rc = take_ready(x, now, &c, e);
        if (rc != ERR_OK || !c) http_share_give(&x->share);
        TRY(rc);
        if (c) TRY(xf_http_send(c, e));
    }
    http_share_enough(&x->share);
    return ERR_OK;
}

static err_t wait_for_event(struct xf_http *x, ns_t now, ns_t until, struct err *e)
{
    const struct xf_http_call *c = soonest(x);
    if (c && c->due > now && c->due < until) until = c->due;
    ns_t left = until > now ? until - now : 0;
    int ms = left > NS_S ? 1000 : (int)((left + NS_MS - 1) / NS_MS);
    int running;
    if (x->n_out == 0) {
        http_share_wait(&x->share, until);
        return ERR_OK;
    }
    bool ok = x->lib->multi_perform(x->multi, &running) == CURLM_OK;
    if (ok && (uint32_t)running == x->n_out)
        ok = x->lib->multi_poll(x->multi, NULL, 0, ms, NULL) == CURLM_OK &&
             x->lib->multi_perform(x->multi, &running) == CURLM_OK;
    return ok ? ERR_OK : err_set(e, ERR_IO, "libcurl cannot go on");
}

static err_t timed_out(const struct xf_http *x, struct err *e)
{
    return err_set(e, ERR_TIMEOUT,
                   "%u of %u requests had an answer within limits.timeout: take fewer rows "
                   "a batch (batch.rows)",
                   x->n_done, x->batch->rows);
}

static err_t too_much(const struct xf_http *x, struct err *e)
{
    return err_set(e, ERR_TOOBIG,
                   "the answers under way take more than %zu MiB: take a smaller "
                   "concurrency or max_body, or more limits.worker_memory",
                   x->max_bytes >> 20);
}

static err_t run(struct xf_http *x, ns_t deadline, struct err *e)
{
    while (x->n_done < x->batch->rows) {
        ns_t now = clock_ns(), until;
        if (now >= deadline) return timed_out(x, e);
        TRY(begin_calls(x, now, &until, e));
        if (x->n_done == x->batch->rows) break;
        TRY(wait_for_event(x, now, until < deadline ? until : deadline, e));
        TRY(take_ends(x, deadline, e));
        if (x->body_bytes > x->max_bytes) return too_much(x, e);
    }
    return ERR_OK;
}

err_t xf_http_fetch(struct xf_http *x, ns_t deadline, struct err *e)
{
    x->waiting.less = is_sooner;
    if (clock_ns() >= deadline || !http_share_enter(&x->share, deadline))
        return timed_out(x, e);
    err_t rc = run(x, deadline, e);
    xf_http_drop(x);
    return rc;
}

void xf_http_drop(struct xf_http *x)
{
    for (struct xf_http_call *c; (c = x->out_list);) {
        xf_http_bring_back(c);
        xf_http_call_free(c);
    }
    for (struct xf_http_call *c; (c = soonest(x));) {
        heap_remove(&x->waiting, &c->node);
        xf_http_call_free(c);
    }
    http_share_leave(&x->share);
}
