#include "coordinator/loader.h"

#include "coordinator/result_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE = 64,            // items that change threads together
    AT_ONCE_BYTES = 1 << 16, // less when they are large: work on them overlaps
    GATHER_BYTES = 1 << 16,  // more is worth a transaction at any time
};
// A transaction of a few small results after another: so that they take a hundredth of the
// time, but nobody waits long.
static const ns_t GATHER_LEAST = 50 * NS_MS, GATHER_MOST = 250 * NS_MS;
enum { GATHER_TIMES = 100 };
static const ns_t RETRY = NS_S / 2; // between attempts when disk or lock is in the way
static const ns_t LOCKED_MAX =
    120 * NS_S; // a lock that lasts longer ends the run, resumable

struct loader {
    pthread_t checker, committer;
    bool checking, committing;        // the threads run
    struct queue *in, *checked, *out; // limits.memory bounds them
    size_t inside, room;              // items pushed and not yet taken: each has room
    struct load_item *kept[AT_ONCE];  // pushed, and not yet handed over
    size_t n_kept, kept_bytes;
    const struct warehouse_ops *ops;
    struct warehouse *w;
    size_t most; // results in a transaction
    warehouse_say *say;
    void *say_arg;
    _Atomic bool give_up;
    ns_t busy, committed; // in transactions, and when the last one ended
    ns_t gather;          // how long after it the next one may wait for more
    struct err dead;      // once set, nothing is committed any more
};

void load_item_free(struct load_item **ii)
{
    struct load_item *i = *ii;
    if (!i) return;
    link_in_free(&i->in);
    free(i->unpacked);
    rejects_free(&i->own);
    free(i);
    *ii = NULL;
}

static size_t item_bytes(const struct load_item *i)
{
    return i->result.image_bytes + i->result.rejects.n;
}

struct gathered { // for one transaction
    struct load_item *item[WAREHOUSE_SMALL_GROUP];
    size_t n, n_large;
    uint64_t bytes;
    bool urgent;
    ns_t until; // the end of the run is near: so long it is waited for; 0: it is not
};

static void pass_on(struct queue *to, struct load_item **item, size_t n)
{
    if (n && !queue_push_all(to, (void *const *)item, n))
        for (size_t i = 0; i < n; i++)
            load_item_free(&item[i]);
}

static void finish_items(struct loader *l, struct load_item **item, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        link_in_free(&item[i]->in); // the memory counts until here
        item[i]->result.image = NULL;
        item[i]->result.rejects = (struct slice){ 0 };
    }
    pass_on(l->out, item, n);
}

static void all_fail(struct loader *l, struct load_item **item, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        item[i]->code = l->dead.code;
        item[i]->e = l->dead;
    }
}

// Waits before another attempt. False: it is time to give up.
static bool wait_for_room(struct loader *l, err_t rc, ns_t since, int tries,
                          const struct err *e)
{
    if (tries % 20 == 0) l->say(l->say_arg, e->text);
    if (rc == ERR_BUSY && clock_ns() - since > LOCKED_MAX) return false;
    for (ns_t until = clock_ns() + RETRY; clock_ns() < until;) {
        if (atomic_load(&l->give_up)) return false;
        struct timespec t = { 0, 20 * NS_MS };
        nanosleep(&t, NULL);
    }
    return true;
}

static bool worth_waiting(err_t rc)
{
    return rc == ERR_FULL || rc == ERR_BUSY || rc == ERR_UNKNOWN;
}

// A result that is in only when it is tried again was put in by the attempt before, whose
// answer was lost or which failed for others: it is no duplicate, and its numbers are those
// of the ledger.
static err_t commit_patiently(struct loader *l, struct result *r, size_t n, bool *dup,
                              size_t *failed, struct err *e)
{
    ns_t since = clock_ns();
    for (int tries = 0;; tries++) {
        err_t rc = l->ops->commit(l->w, r, n, dup, failed, e);
        if (rc == ERR_OK && tries)
            l->say(l->say_arg, "going on: the warehouse takes rows again");
        if ((rc == ERR_OK || rc == ERR_PROTO) && tries) memset(dup, 0, n * sizeof *dup);
        if (!worth_waiting(rc) || !wait_for_room(l, rc, since, tries, e)) return rc;
    }
}

// Results that were found damaged fall out before the transaction.
static size_t keep_undamaged(struct load_item **item, size_t n, struct load_item **good)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (item[i]->code == ERR_OK) good[k++] = item[i];
    return k;
}

static void commit_group(struct loader *l, struct load_item **item, size_t n)
{
    struct load_item *good[WAREHOUSE_SMALL_GROUP];
    struct result r[WAREHOUSE_SMALL_GROUP];
    bool dup[WAREHOUSE_SMALL_GROUP] = { false };
    struct err e = { 0 };
    size_t k = keep_undamaged(item, n, good), failed = SIZE_MAX;
    if (k == 0) return;
    for (size_t i = 0; i < k; i++)
        r[i] = good[i]->result;
    err_t rc = commit_patiently(l, r, k, dup, &failed, &e);
    if (rc != ERR_OK && rc != ERR_PROTO) {
        l->dead = e;
        l->dead.code = rc;
        all_fail(l, good, k);
        return;
    }
    for (size_t i = 0; i < k; i++) {
        good[i]->result.row = r[i].row;
        if (rc == ERR_PROTO && (i == failed || r[i].damaged))
            good[i]->code = rc, good[i]->e = e;
        else if (dup[i])
            good[i]->code = ERR_DUP;
    }
}

static void note(struct loader *l, struct load_item *i)
{
    ns_t since = clock_ns();
    for (int tries = 0;; tries++) {
        i->code = l->ops->note(l->w, &i->result.row, &i->e);
        if (!worth_waiting(i->code) || !wait_for_room(l, i->code, since, tries, &i->e))
            break;
    }
    if (i->code != ERR_OK && i->code != ERR_DUP) {
        l->dead = i->e;
        l->dead.code = i->code;
    }
}

static void flush(struct loader *l, struct gathered *g)
{
    ns_t start = clock_ns();
    if (g->n == 0) return;
    if (l->dead.code)
        all_fail(l, g->item, g->n);
    else
        commit_group(l, g->item, g->n);
    l->committed = clock_ns();
    l->busy += l->committed - start;
    l->gather = GATHER_TIMES * (l->committed - start);
    if (l->gather < GATHER_LEAST) l->gather = GATHER_LEAST;
    if (l->gather > GATHER_MOST) l->gather = GATHER_MOST;
    finish_items(l, g->item, g->n);
    *g = (struct gathered){ .n = 0 };
}

static void note_alone(struct loader *l, struct load_item *i)
{
    if (l->dead.code)
        all_fail(l, &i, 1);
    else if (atomic_load(&l->give_up))
        i->code = err_set(&i->e, ERR_CLOSED, "the run ends");
    else
        note(l, i);
    finish_items(l, &i, 1);
}

static void gather(struct loader *l, struct gathered *g, struct load_item *i)
{
    bool large = !result_is_small(&i->result);
    if (g->n == l->most || (large && g->n_large == WAREHOUSE_GROUP)) flush(l, g);
    g->item[g->n++] = i;
    g->n_large += large;
    g->bytes += item_bytes(i) + i->held;
    g->urgent |= i->urgent;
    if (i->near_end && !g->until)
        g->until = clock_ns() + (l->gather > GATHER_LEAST ? l->gather : GATHER_LEAST);
}

// How long the next results are waited for.
static ns_t patience(const struct loader *l, const struct gathered *g)
{
    if (g->n == 0) return 3600 * NS_S;
    if (g->urgent || g->bytes >= GATHER_BYTES) return 0;
    ns_t until = l->committed + l->gather;
    return (g->until > until ? g->until : until) - clock_ns();
}

static void take(struct loader *l, struct gathered *g, struct load_item *i)
{
    if (i->kind == LOAD_NOTE) {
        flush(l, g);
        note_alone(l, i);
    } else {
        gather(l, g, i);
    }
}

// What waits at this moment goes together: while a transaction is under way the next one
// gathers its results.
static void *committer_main(void *arg)
{
    struct loader *l = arg;
    struct load_item *item[AT_ONCE];
    struct gathered g = { .n = 0 };
    for (;;) {
        size_t n = queue_pop_some(l->checked, (void **)item, AT_ONCE, patience(l, &g));
        for (size_t i = 0; i < n; i++)
            take(l, &g, item[i]);
        if (n) continue;
        if (g.n == 0 && queue_closed(l->checked) && queue_length(l->checked) == 0)
            return NULL;
        flush(l, &g);
    }
}

// Its size was found to be what it says of image and rejects, and not too large.
static err_t unpack(struct load_item *i)
{
    i->unpacked = malloc(link_size(i->in));
    if (!i->unpacked) return err_set(&i->e, ERR_NOMEM, "out of memory: a result");
    if (link_unpack(i->in, i->unpacked, &i->e) != ERR_OK)
        return err_wrap(&i->e, ERR_PROTO, "the result arrived damaged");
    link_in_free(&i->in);
    i->result.image = i->result.image_bytes ? i->unpacked : NULL;
    i->result.rejects.p = i->unpacked + i->result.image_bytes;
    return ERR_OK;
}

// Half as much work as the commit, and none of it touches the database.
static void check(struct loader *l, struct load_item *i)
{
    if (i->in && link_msg(i->in)->unpacked) {
        i->code = unpack(i);
        if (i->code != ERR_OK) return;
    } else if (i->in && !link_check(i->in)) {
        i->code = err_set(&i->e, ERR_PROTO, "the result arrived damaged");
        return;
    }
    err_t rc = l->ops->check(l->w, &i->result, &i->e);
    i->result.checked = rc == ERR_OK;
    if (rc == ERR_OK && i->keep_in) result_cache_keep(i->keep_in, i->keep_as, &i->result);
    if (rc == ERR_PROTO) i->code = rc; // anything else is for the commit to find again
}

// The next objects of a queue; 0: it is closed and nothing is left.
static size_t next(struct queue *q, struct load_item *item[AT_ONCE])
{
    for (;;) {
        size_t n = queue_pop_some(q, (void **)item, AT_ONCE, 3600 * NS_S);
        if (n || (queue_closed(q) && queue_length(q) == 0)) return n;
    }
}

static void *checker_main(void *arg)
{
    struct loader *l = arg;
    struct load_item *item[AT_ONCE];
    for (size_t n; (n = next(l->in, item));) {
        size_t from = 0, bytes = 0;
        for (size_t i = 0; i < n; i++) {
            if (item[i]->kind == LOAD_RESULT) check(l, item[i]);
            bytes += item_bytes(item[i]);
            if (bytes < AT_ONCE_BYTES && i + 1 < n) continue;
            pass_on(l->checked, item + from, i + 1 - from);
            from = i + 1;
            bytes = 0;
        }
    }
    queue_close(l->checked);
    return NULL;
}

static size_t most_together(void)
{
    size_t n = WAREHOUSE_SMALL_GROUP;
#ifdef TRANCHE_TEST_HOOKS
    const char *text = getenv("TRANCHE_COMMIT_MOST");
    size_t given = text ? strtoul(text, NULL, 10) : 0;
    if (given && given < n) n = given;
#endif
    return n;
}

err_t loader_start(struct loader **out, const struct warehouse_ops *ops,
                   struct warehouse *w, warehouse_say *say, void *say_arg, struct err *e)
{
    *out = NULL;
    struct loader *l = calloc(1, sizeof *l);
    if (!l) return err_set(e, ERR_NOMEM, "out of memory");
    l->ops = ops;
    l->w = w;
    l->most = most_together();
    l->say = say;
    l->say_arg = say_arg;
    l->in = queue_new(QUEUE_ANY, QUEUE_ANY);
    l->checked = queue_new(QUEUE_ANY, QUEUE_ANY);
    l->out = queue_new(QUEUE_ANY, QUEUE_ANY);
    bool room = l->in && l->checked && l->out;
    l->committing = room && pthread_create(&l->committer, NULL, committer_main, l) == 0;
    l->checking = l->committing && pthread_create(&l->checker, NULL, checker_main, l) == 0;
    if (!l->checking) {
        loader_free(&l);
        return err_set(e, ERR_NOMEM, "cannot start the loader's threads");
    }
    pthread_setname_np(l->checker, "checker");
    pthread_setname_np(l->committer, "loader");
    *out = l;
    return ERR_OK;
}

void loader_flush(struct loader *l)
{
    pass_on(l->in, l->kept, l->n_kept);
    l->n_kept = l->kept_bytes = 0;
}

// Whatever is inside may stand in any of the queues.
static bool reserve(struct loader *l, size_t n)
{
    struct queue *q[] = { l->in, l->checked, l->out };
    if (n <= l->room) return true;
    size_t room = l->room ? 2 * l->room : AT_ONCE;
    for (size_t k = 0; k < sizeof q / sizeof q[0]; k++)
        if (!queue_reserve(q[k], room)) return false;
    l->room = room;
    return true;
}

bool loader_push(struct loader *l, struct load_item **i)
{
    if (!l->checking || !reserve(l, l->inside + 1)) return false;
    l->inside++;
    l->kept[l->n_kept++] = *i;
    l->kept_bytes += item_bytes(*i);
    *i = NULL;
    if (l->n_kept == AT_ONCE || l->kept_bytes >= AT_ONCE_BYTES) loader_flush(l);
    return true;
}

size_t loader_take(struct loader *l, struct load_item **out, size_t max)
{
    size_t n = queue_pop_some(l->out, (void **)out, max, 0);
    l->inside -= n;
    return n;
}

struct load_item *loader_next(struct loader *l)
{
    struct load_item *i;
    return loader_take(l, &i, 1) ? i : NULL;
}

int loader_fd(const struct loader *l)
{
    return queue_fd(l->out);
}

void loader_give_up_waiting(struct loader *l)
{
    atomic_store(&l->give_up, true);
}

void loader_stop(struct loader *l)
{
    if (l->checking) {
        loader_flush(l);
        queue_close(l->in);
        pthread_join(l->checker, NULL);
        l->checking = false;
    }
    if (l->committing) {
        queue_close(l->checked);
        pthread_join(l->committer, NULL);
        l->committing = false;
    }
}

void loader_free(struct loader **ll)
{
    struct loader *l = *ll;
    if (!l) return;
    loader_stop(l);
    for (size_t k = 0; k < l->n_kept; k++)
        load_item_free(&l->kept[k]);
    struct load_item *i;
    struct queue **q[] = { &l->in, &l->checked, &l->out };
    for (size_t n = 0; n < sizeof q / sizeof q[0]; n++) {
        while (*q[n] && (i = queue_pop(*q[n], 0)))
            load_item_free(&i);
        queue_free(q[n]);
    }
    free(l);
    *ll = NULL;
}

ns_t loader_busy_ns(const struct loader *l)
{
    return l->busy;
}
