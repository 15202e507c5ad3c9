// A second session, which puts half of a group's rows in while the first puts in the other:
// the server's work for one COPY is done by one of its processes, and is what a load waits
// for. Each half is a transaction with rows and ledger of its own.
//
// Only where neither can meet the other: a table without indexes, constraints and triggers,
// and ranges that do not overlap.

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
    while (k + 1 < n && left < all / 2)
        left += group[k++]->image_bytes;
    return k ? k : 1;
}

// Two transactions at a time do not see what the other one adds to the ledger: a range and
// a part of it, from attempts that were cut differently, must come one after the other.
static bool halves_meet(struct result *const *group, unsigned k, unsigned n)
{
    for (unsigned i = 0; i < k; i++)
        for (unsigned j = k; j < n; j++)
            if (range_overlaps(group[i]->row.range, group[j]->row.range)) return true;
    return false;
}

// It may do without: the server may have no room for another session.
static bool lane_is_ready(struct warehouse *w)
{
    if (w->lane && wpg_ready(w->lane, NULL) == ERR_OK) return true;
    if (w->lane && !w->lane->unknown[0]) wpg_lane_free(w);
    return false;
}

// What became of the last COMMIT of either must be known before anything is tried again.
static err_t settle_both(struct warehouse *w, struct err *e)
{
    if (w->unknown[0]) TRY(wpg_ready(w, e));
    if (!w->lane || !w->lane->unknown[0] || lane_is_ready(w)) return ERR_OK;
    return err_set(e, ERR_BUSY, "%s: what became of a commit is still to be heard",
                   w->shown);
}

err_t wpg_lane_commit(struct warehouse *w, struct result *const *group, unsigned n,
                      bool *const *dup, wpg_group_fn *commit, struct err *e)
{
    unsigned k = middle(group, n);
    TRY(settle_both(w, e));
    if (n < 2 || halves_meet(group, k, n) || !lane_is_ready(w))
        return commit(w, group, n, dup, e);
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
