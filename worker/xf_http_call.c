#include "worker/xf_http.h"

#include "common/hash.h"
#include "common/text.h"
#include "worker/http_retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 300, BODY_SHOWN = 100 };

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: a request");
}

// ---- a call's life ----

void xf_http_call_free(struct xf_http_call *c)
{
    free(c->url);
    free(c->seen);
    free(c->link);
    buf_free(&c->body);
    free(c);
}

void xf_http_end_row(struct xf_http *x, uint32_t row, const char *why)
{
    x->row[row].why = why;
    if (why) x->row[row].first = x->row[row].last = NULL;
    x->n_done++;
}

err_t xf_http_remember_page(struct xf_http_call *c, bool *known, struct err *e)
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

static err_t wait_for(struct xf_http_call *c, ns_t due, struct err *e)
{
    struct xf_http *x = c->x;
    c->due = due;
    if (heap_reserve(&x->waiting, x->waiting.n + 1) != ERR_OK) {
        xf_http_call_free(c);
        return no_memory(e);
    }
    heap_push(&x->waiting, &c->node);
    return ERR_OK;
}

static err_t give_up(struct xf_http_call *c, struct err *e, const char *why)
{
    char shown[SHOWN];
    const char *said =
        why ? xf_http_say(c->x, "%s: %s", xf_http_shown(c->url, shown, sizeof shown), why)
            : NULL;
    xf_http_end_row(c->x, c->row, said);
    xf_http_call_free(c);
    return said ? ERR_OK : no_memory(e);
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
    if (rc != ERR_OK) xf_http_call_free(c);
    TRY(rc);
    return why ? give_up(c, e, why) : go_on(c, &url, e);
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
    if (rc != ERR_OK) xf_http_call_free(c);
    TRY(rc);
    if (why) return give_up(c, e, why);
    free(c->url);
    c->url = strdup(url);
    free(url);
    rc = c->url ? xf_http_remember_page(c, &known, e) : no_memory(e);
    if (rc != ERR_OK) xf_http_call_free(c);
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
        xf_http_call_free(c);
        return rc;
    }
    if (why)
        rc = give_up(c, e, why);
    else if (next) {
        rc = next_page(c, next, e);
    } else {
        xf_http_end_row(c->x, c->row, NULL);
        xf_http_call_free(c);
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

static const char *name_timeout(const struct xf_http_call *c, CURL *easy, char *out,
                                size_t size)
{
    const struct step_http *o = &c->x->step.http;
    curl_off_t connected_us = 0;
    c->x->lib->easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    if (connected_us || o->connect_ms > o->timeout_ms)
        snprintf(out, size, "no whole answer within http.timeout (%.3g s)",
                 (double)o->timeout_ms / 1e3);
    else
        snprintf(out, size, "no connection within http.connect_timeout (%.3g s)",
                 (double)o->connect_ms / 1e3);
    return out;
}

err_t xf_http_ended(struct xf_http_call *c, CURLcode code, ns_t deadline, struct err *e)
{
    CURL *easy = c->easy;
    xf_http_bring_back(c);
    if (c->no_memory || code == CURLE_OUT_OF_MEMORY) {
        xf_http_call_free(c);
        return no_memory(e);
    }
    if (code == CURLE_OK) return on_status(c, easy, deadline, e);
    if (c->cut) return give_up(c, e, c->cut);
    if (code == CURLE_FILESIZE_EXCEEDED)
        return give_up(c, e, "the answer is larger than max_body");
    char late[80];
    const char *why = c->x->lib->easy_strerror(code);
    if (code == CURLE_OPERATION_TIMEDOUT) why = name_timeout(c, easy, late, sizeof late);
    return is_final(code) ? give_up(c, e, why) : try_again(c, why, 0, deadline, e);
}
