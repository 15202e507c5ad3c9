#include "worker/xf_http.h"

#include "common/hash.h"
#include "common/text.h"
#include "worker/http_link.h"
#include "worker/http_retry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEAD_MAX = 64 << 10, // all headers of an answer
    WAITING_MAX = 4096,  // rows that wait for a retry; more are not begun before
    NAP_MS = 5,          // while others have what we want: how soon to ask again
    SHOWN = 300,
    BODY_SHOWN = 100,
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

// ---- a call's life ----

static void call_free(struct xf_http_call *c)
{
    free(c->url);
    free(c->seen);
    free(c->link);
    buf_free(&c->body);
    free(c);
}

static err_t wait_for(struct xf_http_call *c, ns_t due, struct err *e)
{
    struct xf_http *x = c->x;
    c->due = due;
    if (heap_reserve(&x->waiting, x->waiting.n + 1) != ERR_OK) {
        call_free(c);
        return no_memory(e);
    }
    heap_push(&x->waiting, &c->node);
    return ERR_OK;
}

static void end_row(struct xf_http *x, uint32_t row, const char *why)
{
    x->row[row].why = why;
    if (why) x->row[row].first = x->row[row].last = NULL;
    x->n_done++;
}

static err_t give_up(struct xf_http_call *c, struct err *e, const char *why)
{
    char shown[SHOWN];
    const char *said =
        why ? xf_http_say(c->x, "%s: %s", xf_http_shown(c->url, shown, sizeof shown), why)
            : NULL;
    end_row(c->x, c->row, said);
    call_free(c);
    return said ? ERR_OK : no_memory(e);
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

static err_t send_out(struct xf_http_call *c, struct err *e)
{
    struct xf_http *x = c->x;
    begin_answer(c);
    c->easy = new_handle(x);
    bool ready =
        c->easy && prepare(c) && x->lib->multi_add_handle(x->multi, c->easy) == CURLM_OK;
    if (!ready) {
        if (c->easy) x->idle[x->n_idle++] = c->easy;
        http_share_give(&x->share);
        call_free(c);
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
static void bring_back(struct xf_http_call *c)
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

// ---- what follows an answer ----

static err_t go_on(struct xf_http_call *c, char **url, struct err *e)
{
    free(c->url);
    c->url = *url;
    *url = NULL;
    c->tries = 0;
    buf_free(&c->body);
    return wait_for(c, 0, e);
}

static err_t redirected(struct xf_http_call *c, const char *to, struct err *e)
{
    char *url;
    const char *why;
    if (c->redirects++ == c->x->step.http.redirects) {
        char text[80];
        snprintf(text, sizeof text, "redirected more than %u times (redirects)",
                 c->x->step.http.redirects);
        return give_up(c, e, text);
    }
    err_t rc = xf_http_follow(c, to, "a redirect", &url, &why, e);
    if (rc != ERR_OK) call_free(c);
    TRY(rc);
    return why ? give_up(c, e, why) : go_on(c, &url, e);
}

static err_t remember_page(struct xf_http_call *c, bool *known, struct err *e)
{
    uint64_t h = hash_bytes(c->url, strlen(c->url)).lo;
    *known = false;
    for (uint32_t i = 0; i < c->pages; i++)
        *known |= c->seen[i] == h;
    uint64_t *v = realloc(c->seen, (c->pages + 1) * sizeof *v);
    if (!v) return no_memory(e);
    c->seen = v;
    v[c->pages++] = h;
    return ERR_OK;
}

static err_t next_page(struct xf_http_call *c, const char *to, struct err *e)
{
    char *url, text[100];
    const char *why;
    bool known;
    if (c->pages == c->x->step.http.pages) {
        snprintf(text, sizeof text, "there are more than %u pages (pages)", c->pages);
        return give_up(c, e, text);
    }
    err_t rc = xf_http_follow(c, to, "the next page", &url, &why, e);
    if (rc != ERR_OK) call_free(c);
    TRY(rc);
    if (why) return give_up(c, e, why);
    free(c->url);
    c->url = strdup(url);
    free(url);
    rc = c->url ? remember_page(c, &known, e) : no_memory(e);
    if (rc != ERR_OK) call_free(c);
    TRY(rc);
    if (known) return give_up(c, e, "the pages go in a circle");
    url = c->url;
    c->url = NULL;
    c->redirects = 0;
    return go_on(c, &url, e);
}

static err_t answered(struct xf_http_call *c, long status, struct err *e)
{
    const char *why;
    char *next;
    err_t rc = xf_http_answer(c, status, &why, &next, e);
    if (rc != ERR_OK) {
        free(next);
        call_free(c);
        return rc;
    }
    if (why)
        rc = give_up(c, e, why);
    else if (next) {
        rc = next_page(c, next, e);
    } else {
        end_row(c->x, c->row, NULL);
        call_free(c);
    }
    free(next);
    return rc;
}

static uint64_t next_random(struct xf_http *x)
{
    x->random ^= x->random << 13; // xorshift64
    x->random ^= x->random >> 7;
    x->random ^= x->random << 17;
    return x->random;
}

static err_t try_again(struct xf_http_call *c, const char *why, ns_t asked, ns_t deadline,
                       struct err *e)
{
    struct xf_http *x = c->x;
    char text[400];
    ns_t now = clock_ns(), wait = http_retry_wait(c->tries, asked, next_random(x));
    if (c->tries == x->step.http.retries) {
        snprintf(text, sizeof text, "%.300s (tried %u time%s)", why, c->tries + 1,
                 c->tries ? "s" : "");
        return give_up(c, e, text);
    }
    if (asked && (deadline - now) < wait) {
        snprintf(text, sizeof text,
                 "%.200s; it asks to wait for %lld s, longer than limits.timeout leaves",
                 why, (long long)(asked / NS_S));
        return give_up(c, e, text);
    }
    c->tries++;
    buf_free(&c->body);
    return wait_for(c, now + wait, e);
}

static const char *name_of_status(long status)
{
    switch (status) {
    case 400: return " (Bad Request)";
    case 401: return " (Unauthorized)";
    case 403: return " (Forbidden)";
    case 404: return " (Not Found)";
    case 408: return " (Request Timeout)";
    case 410: return " (Gone)";
    case 429: return " (Too Many Requests)";
    case 500: return " (Internal Server Error)";
    case 502: return " (Bad Gateway)";
    case 503: return " (Service Unavailable)";
    case 504: return " (Gateway Timeout)";
    default: return "";
    }
}

// The beginning of what it says, where that is text.
static void say_status(const struct xf_http_call *c, long status, char *out, size_t size)
{
    char begin[BODY_SHOWN + 1], shown[TEXT_QUOTED];
    size_t n = c->body.n < BODY_SHOWN ? c->body.n : BODY_SHOWN;
    if (n) memcpy(begin, c->body.p, n);
    begin[n] = 0;
    snprintf(out, size, "status %ld%s%s%s", status, name_of_status(status), n ? ": " : "",
             n ? text_quoted(begin, shown) : "");
}

static err_t on_status(struct xf_http_call *c, CURL *easy, ns_t deadline, struct err *e)
{
    const struct curl_lib *lib = c->x->lib;
    long status = 0;
    char *to = NULL, why[300];
    curl_off_t asked = 0;
    lib->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status <= 299) return answered(c, status, e);
    lib->easy_getinfo(easy, CURLINFO_REDIRECT_URL, &to);
    if (status >= 300 && status <= 399 && to) return redirected(c, to, e);
    say_status(c, status, why, sizeof why);
    if (!http_retry_status(status)) return give_up(c, e, why);
    lib->easy_getinfo(easy, CURLINFO_RETRY_AFTER, &asked);
    if (asked < 0 || asked > 86400 * 365) asked = 86400 * 365;
    return try_again(c, why, (ns_t)asked * NS_S, deadline, e);
}

// What would be the same the next time.
static bool is_final(CURLcode code)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY: return true;
    default: return false;
    }
}

static err_t on_end(struct xf_http_call *c, CURLcode code, ns_t deadline, struct err *e)
{
    CURL *easy = c->easy;
    bring_back(c);
    if (c->no_memory || code == CURLE_OUT_OF_MEMORY) {
        call_free(c);
        return no_memory(e);
    }
    if (code == CURLE_OK) return on_status(c, easy, deadline, e);
    if (c->cut) return give_up(c, e, c->cut);
    if (code == CURLE_FILESIZE_EXCEEDED)
        return give_up(c, e, "the answer is larger than max_body");
    const char *why = c->x->lib->easy_strerror(code);
    return is_final(code) ? give_up(c, e, why) : try_again(c, why, 0, deadline, e);
}

static err_t take_ends(struct xf_http *x, ns_t deadline, struct err *e)
{
    int left;
    for (CURLMsg *m; (m = x->lib->multi_info_read(x->multi, &left));) {
        struct xf_http_call *c = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        CURLcode code = m->data.result;
        x->lib->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        TRY(on_end(c, code, deadline, e));
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
        end_row(x, row, why);
        return ERR_OK;
    }
    struct xf_http_call *c = calloc(1, sizeof *c);
    if (!c) {
        free(url);
        return no_memory(e);
    }
    *c = (struct xf_http_call){ .x = x, .row = row, .url = url };
    bool known;
    err_t rc = remember_page(c, &known, e);
    if (rc == ERR_OK)
        *out = c;
    else
        call_free(c);
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
        if (c) TRY(send_out(c, e));
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
        bring_back(c);
        call_free(c);
    }
    for (struct xf_http_call *c; (c = soonest(x));) {
        heap_remove(&x->waiting, &c->node);
        call_free(c);
    }
    http_share_leave(&x->share);
}
