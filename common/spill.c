#include "common/spill.h"

#include "common/temp_file.h"
#include "common/varint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 64 << 10 };

struct run {
    uint64_t begin, end; // in the file
};

struct spill {
    int fd; // -1: not there yet
    struct run *run;
    size_t n_runs, cap_runs;
    uint64_t size;  // of the file, with what is in `out`
    struct buf out; // not written yet
};

err_t spill_new(struct spill **out, struct err *e)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return err_set(e, ERR_NOMEM, "out of memory");
    (*out)->fd = -1;
    return ERR_OK;
}

void spill_free(struct spill **ps)
{
    struct spill *s = *ps;
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    free(s->run);
    buf_free(&s->out);
    free(s);
    *ps = NULL;
}

bool spill_any(const struct spill *s)
{
    return s->n_runs > 0;
}

void spill_clear(struct spill *s)
{
    if (s->size && s->fd >= 0 && ftruncate(s->fd, 0) != 0) {
        close(s->fd);
        s->fd = -1;
    }
    s->n_runs = s->out.n = 0;
    s->size = 0;
}

static err_t flush(struct spill *s, struct err *e)
{
    uint64_t at = s->size - s->out.n;
    for (size_t done = 0; done < s->out.n;) {
        ssize_t n = pwrite(s->fd, s->out.p + done, s->out.n - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return temp_file_fail(e, "cannot write");
        done += (size_t)n;
    }
    s->out.n = 0;
    return ERR_OK;
}

err_t spill_begin(struct spill *s, struct err *e)
{
    if (s->fd < 0) TRY(temp_file_open(&s->fd, e));
    if (s->n_runs == s->cap_runs) {
        size_t cap = s->cap_runs ? s->cap_runs * 2 : 16;
        struct run *run = realloc(s->run, cap * sizeof *run);
        if (!run) return err_set(e, ERR_NOMEM, "out of memory");
        s->run = run;
        s->cap_runs = cap;
    }
    s->run[s->n_runs++] = (struct run){ s->size, s->size };
    return ERR_OK;
}

err_t spill_put(struct spill *s, const void *key, size_t n, uint64_t count, struct err *e)
{
    uint8_t head[VARINT_MAX], tail[VARINT_MAX];
    size_t head_n = (size_t)(varint_put(head, n) - head);
    size_t tail_n = (size_t)(varint_put(tail, count) - tail);
    if (s->out.n >= BLOCK) TRY(flush(s, e));
    TRY(buf_reserve(&s->out, head_n + n + tail_n, e));
    TRY(buf_add(&s->out, head, head_n, e));
    if (n) TRY(buf_add(&s->out, key, n, e));
    TRY(buf_add(&s->out, tail, tail_n, e));
    s->size += head_n + n + tail_n;
    return ERR_OK;
}

err_t spill_end(struct spill *s, struct err *e)
{
    s->run[s->n_runs - 1].end = s->size;
    return flush(s, e);
}

// ---- reading

struct reader { // of one run
    struct buf in;
    size_t at;          // in `in`
    uint64_t next, end; // in the file: what is not in `in` yet
    const uint8_t *key; // NULL: the run has ended
    size_t n;
    uint64_t count;
};

static err_t damaged(struct err *e)
{
    return err_set(e, ERR_IO, "a temporary file has changed while it was in use");
}

// At least `want` unread bytes in `in`, or all that there are.
static err_t fill(const struct spill *s, struct reader *r, size_t want, struct err *e)
{
    if (r->in.n - r->at >= want || r->next == r->end) return ERR_OK;
    if (r->at) memmove(r->in.p, r->in.p + r->at, r->in.n - r->at);
    r->in.n -= r->at;
    r->at = 0;
    size_t more = want > BLOCK ? want : BLOCK;
    if (more > r->end - r->next) more = (size_t)(r->end - r->next);
    TRY(buf_reserve(&r->in, more, e));
    while (more) {
        ssize_t n = pread(s->fd, r->in.p + r->in.n, more, (off_t)r->next);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return temp_file_fail(e, "cannot read");
        if (n == 0) return damaged(e);
        r->in.n += (size_t)n;
        r->next += (uint64_t)n;
        more -= (size_t)n;
    }
    return ERR_OK;
}

static err_t advance(const struct spill *s, struct reader *r, struct err *e)
{
    uint64_t n;
    TRY(fill(s, r, VARINT_MAX, e));
    r->key = NULL;
    if (r->at == r->in.n) return ERR_OK;
    const uint8_t *begin = r->in.p + r->at;
    const uint8_t *p = varint_get(begin, r->in.p + r->in.n, &n);
    if (!p || n > s->size) return damaged(e);
    size_t head = (size_t)(p - begin);
    TRY(fill(s, r, head + (size_t)n + VARINT_MAX, e));
    if (r->in.n - r->at < head + n) return damaged(e);
    r->key = r->in.p + r->at + head;
    r->n = (size_t)n;
    p = varint_get(r->key + n, r->in.p + r->in.n, &r->count);
    if (!p) return damaged(e);
    r->at = (size_t)(p - r->in.p);
    return ERR_OK;
}

static int compare(const uint8_t *a, size_t na, const uint8_t *b, size_t nb)
{
    size_t n = na < nb ? na : nb;
    int c = n ? memcmp(a, b, n) : 0;
    return c ? c : (na > nb) - (na < nb);
}

// There are few runs, each as large as the memory that may be used: no heap is needed.
static struct reader *least(struct reader *r, size_t n)
{
    struct reader *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (r[i].key && (!best || compare(r[i].key, r[i].n, best->key, best->n) < 0))
            best = &r[i];
    return best;
}

static err_t merge(struct spill *s, struct reader *r, struct buf *key, spill_fn *fn,
                   void *arg, struct err *e)
{
    for (size_t i = 0; i < s->n_runs; i++) {
        r[i].next = s->run[i].begin;
        r[i].end = s->run[i].end;
        TRY(advance(s, &r[i], e));
    }
    for (struct reader *best; (best = least(r, s->n_runs));) {
        uint64_t count = 0;
        key->n = 0;
        TRY(buf_reserve(key, best->n + 1, e));
        TRY(buf_add(key, best->key, best->n, e));
        for (size_t i = 0; i < s->n_runs; i++) {
            if (!r[i].key || compare(r[i].key, r[i].n, key->p, key->n) != 0) continue;
            count += r[i].count;
            TRY(advance(s, &r[i], e));
        }
        if (!fn(arg, key->p, key->n, count)) return ERR_OK;
    }
    return ERR_OK;
}

err_t spill_merge(struct spill *s, spill_fn *fn, void *arg, struct err *e)
{
    struct buf key = { 0 };
    struct reader *r = calloc(s->n_runs + 1, sizeof *r);
    if (!r) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = merge(s, r, &key, fn, arg, e);
    for (size_t i = 0; i < s->n_runs; i++)
        buf_free(&r[i].in);
    free(r);
    buf_free(&key);
    return rc;
}
