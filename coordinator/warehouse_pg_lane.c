// A second session, which puts half of a group's rows in while the first puts in the other:
// the server's work for one COPY is done by one of its processes, and is what a load waits
// for. Each half is a transaction with rows and ledger of its own.
//
// Only where neither can meet the other: a table without indexes, constraints and triggers.

#include "coordinator/warehouse_pg.h"

#include <pthread.h>
#include <stdlib.h>

void wpg_lane_free(struct warehouse *w)
{
    struct warehouse *lane = w->lane;
    w->lane = NULL;
    if (!lane) return;
    pg_close(&lane->pg);
    buf_free(&lane->kept);
    buf_free(&lane->reject_rows);
    buf_free(&lane->watermark.greatest.text);
    free(lane); // all else is of the first
}

static err_t is_plain(struct warehouse *w, bool *yes, struct err *e)
{
    int64_t n;
    const char *const values[] = { w->target };
    return wpg_int(w, e, &n, yes,
                   "SELECT 1 FROM pg_class c WHERE oid = to_regclass(quote_ident($1)) AND "
                   "relkind = 'r' AND NOT relhasindex AND NOT relhastriggers AND NOT "
                   "EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = c.oid)",
                   1, values);
}

err_t wpg_lane_make(struct warehouse *w, struct err *e)
{
    bool plain;
    wpg_lane_free(w);
    if (w->key.n) return ERR_OK;
    TRY(is_plain(w, &plain, e));
    if (!plain) return ERR_OK;
    w->lane = malloc(sizeof *w->lane);
    if (!w->lane) return err_set(e, ERR_NOMEM, "out of memory");
    *w->lane = *w;
    w->lane->lane = NULL;
    w->lane->pg = NULL;
    w->lane->say = NULL; // another thread's
    w->lane->unknown[0] = 0;
    w->lane->kept = w->lane->reject_rows = w->lane->watermark.greatest.text =
        (struct buf){ 0 };
    return ERR_OK;
}

struct half {
    pthread_t thread;
    wpg_group_fn *commit;
    struct warehouse *w;
    struct result *const *group;
    bool *const *dup;
    unsigned n;
    err_t rc;
    struct err e;
};

static void *run_half(void *arg)
{
    struct half *h = arg;
    h->rc = h->commit(h->w, h->group, h->n, h->dup, &h->e);
    return NULL;
}

// Where half of the bytes are reached; at least one result on either side.
static unsigned middle(struct result *const *group, unsigned n)
{
    size_t all = 0, left = 0;
    unsigned k = 0;
    for (unsigned i = 0; i < n; i++)
        all += group[i]->image_bytes;
    while (k < n - 1 && left < all / 2)
        left += group[k++]->image_bytes;
    return k ? k : 1;
}

// It may do without: the server may have no room for another session.
static bool lane_is_ready(struct warehouse *w)
{
    if (wpg_ready(w->lane, NULL) == ERR_OK) return true;
    // What became of its last COMMIT must be known before anything is tried again.
    if (!w->lane->unknown[0]) wpg_lane_free(w);
    return false;
}

err_t wpg_lane_commit(struct warehouse *w, struct result *const *group, unsigned n,
                      bool *const *dup, wpg_group_fn *commit, struct err *e)
{
    if (!w->lane || n < 2) return commit(w, group, n, dup, e);
    if (!lane_is_ready(w))
        return w->lane
                   ? err_set(e, ERR_BUSY,
                             "%s: what became of a commit is still to be heard", w->shown)
                   : commit(w, group, n, dup, e);
    unsigned k = middle(group, n);
    struct half right = {
        .commit = commit, .w = w->lane, .group = group + k, .dup = dup + k, .n = n - k
    };
    bool both = pthread_create(&right.thread, NULL, run_half, &right) == 0;
    err_t rc = commit(w, group, both ? k : n, dup, e);
    if (!both) return rc;
    pthread_join(right.thread, NULL);
    if (rc != ERR_OK || right.rc == ERR_OK) return rc;
    if (e) *e = right.e;
    return right.rc;
}
