// xf_http - what the parts of the http transform share.
//
//   xf_http         opens the step, and makes a batch of what came
//   xf_http_fetch   the requests of a batch, many at a time
//   xf_http_send    one request on its way out and back
//   xf_http_call    what follows its end: another try, another page, rows, or a reject
//   xf_http_url     the address of a row, and of what follows an answer
//   xf_http_answer  an answer into rows
//
// A row is one call at a time:
//
//     READY --begins--> OUT --answer--> done: its rows, or the reason against it
//       ^                |
//       +--- WAITING <---+ a retry, when its time comes; a redirect or a next page, at once

#ifndef WORKER_XF_HTTP_H
#define WORKER_XF_HTTP_H

#include "common/heap.h"
#include "common/json_path.h"
#include "common/url_template.h"
#include "worker/curl_lib.h"
#include "worker/http_share.h"
#include "worker/transform.h"

struct xf_http_page { // rows that one answer gave, in the batch's arena
    struct xf_http_page *next;
    struct cell *cells; // n_answer each
    uint32_t rows;
};

struct xf_http_row { // what became of a row of the batch
    struct xf_http_page *first, *last;
    const char *why; // it is rejected; in the batch's arena
};

struct xf_http_call {
    struct heap_node node; // among those that wait
    struct xf_http *x;
    uint32_t row;
    uint32_t tries, redirects, pages;
    bool foreign; // another server than the one that the headers are meant for
    ns_t due;
    char *url;
    uint64_t *seen; // hashes of the pages' addresses
    CURL *easy;     // while it is out
    struct buf body;
    size_t head_bytes;
    char *link;                        // the header Link's next page
    const char *cut;                   // why we hung up
    bool no_memory;                    // or for want of it
    struct xf_http_call *prev, *after; // of those that are out
};

struct xf_http {
    const struct curl_lib *lib;
    struct step step; // as the spec has it
    struct schema in, out;
    struct url_template url;
    uint32_t *from;            // of each column in url: its number; NO_COLUMN: a param ...
    char **param;              // ... with this text, or NULL
    uint32_t *keep;            // columns of the input
    uint32_t n_keep, n_answer; // and of the answer, behind them
    struct curl_slist *headers, *plain; // plain: for other servers
    struct http_share share;
    CURLM *multi;
    CURL **idle; // handles of calls that ended
    size_t n_idle, cap_idle, n_easy;
    struct json_pick *rows, *next;
    size_t max_bytes; // of a batch's result, and of answers under way
    uint64_t random;

    // Of the batch:
    const struct batch *batch;
    struct arena *mem;
    struct xf_http_row *row;
    uint32_t next_row;
    struct heap waiting;
    struct xf_http_call *out_list;
    uint32_t n_out, n_done;
    size_t body_bytes;      // held by those that are out
    struct buf cells, text; // of the answer being read
    uint32_t n_rows;        // likewise
    struct transform_reject *rejects;
    size_t n_rejects;
};

enum { XF_HTTP_NO_COLUMN = UINT32_MAX, XF_HTTP_URL_MAX = 64 << 10 };

// The columns of the template, found in x->in or among the params. ERR_TRANSFORM.
MUST_CHECK err_t xf_http_bind_url(struct xf_http *x, const struct spec *spec,
                                  struct err *e);
// The address for a row. *why: there is none for this row, and why (in x->mem).
MUST_CHECK err_t xf_http_row_url(struct xf_http *x, uint32_t row, char **url,
                                 const char **why, struct err *e);
// Where the call goes on: `to` as seen from its address. NULL: it may not go there, *why.
MUST_CHECK err_t xf_http_follow(struct xf_http_call *c, const char *to, const char *what,
                                char **url, const char **why, struct err *e);
// An address fit to be shown: without user and password.
const char *xf_http_shown(const char *url, char *out, size_t size);

// The answer's rows behind those that the row has. *why: it makes no sense; *next (malloc):
// the address of the next page, or NULL.
MUST_CHECK err_t xf_http_answer(struct xf_http_call *c, long status, const char **why,
                                char **next, struct err *e);
// How the columns of an answer are called, behind those in `out`.
MUST_CHECK err_t xf_http_columns(struct xf_http *x, struct schema *out, struct err *e);
MUST_CHECK err_t xf_http_open_paths(struct xf_http *x, struct err *e);

// All rows of x->batch: x->row says what became of them. ERR_TIMEOUT at the deadline.
MUST_CHECK err_t xf_http_fetch(struct xf_http *x, ns_t deadline, struct err *e);
void xf_http_drop(struct xf_http *x); // what is still under way

// Sends out a call that has a place in the share. It is lost with an error.
MUST_CHECK err_t xf_http_send(struct xf_http_call *c, struct err *e);
// The request has ended, or is given up; its place is free, and the call the caller's.
void xf_http_bring_back(struct xf_http_call *c);
// Takes a call whose request libcurl has ended.
MUST_CHECK err_t xf_http_ended(struct xf_http_call *c, CURLcode code, ns_t deadline,
                               struct err *e);
// The call's address is one of its pages from now on; *known: it was already.
MUST_CHECK err_t xf_http_remember_page(struct xf_http_call *c, bool *known, struct err *e);
void xf_http_call_free(struct xf_http_call *c);
void xf_http_end_row(struct xf_http *x, uint32_t row, const char *why); // NULL: it is good

// A sentence in the batch's arena; NULL: no memory.
const char *xf_http_say(struct xf_http *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
