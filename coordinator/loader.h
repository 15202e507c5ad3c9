// loader - the two threads that own the warehouse while a run goes on.
//
// Results go in, in the order in which they shall be committed; each comes out again with
// what became of it. The first thread checks them, the second one commits them; results
// that are checked while a transaction is under way share the next one, and small ones that
// come soon after it wait for each other a moment. A full disk or a
// locked database makes it wait, say so, and try again; nothing else is tried twice.
// Builds with TRANCHE_TEST_HOOKS put at most TRANCHE_COMMIT_MOST results into a
// transaction.
//
//   loader_push -> in -> checker -> checked -> committer -> out -> loader_next

#ifndef COORDINATOR_LOADER_H
#define COORDINATOR_LOADER_H

#include "coordinator/queue.h"
#include "coordinator/warehouse.h"
#include "proto/link.h"

enum load_kind { LOAD_RESULT, LOAD_NOTE };

struct load_item {
    enum load_kind kind;
    uint64_t chunk;       // the caller's id
    struct result result; // kind NOTE: only result.row
    struct link_in *in;   // what the result's bytes stand in; NULL: rejects of our own
    uint8_t *unpacked;    // the same, if they came packed
    struct rejects own;   // rejects made by the coordinator
    uint64_t held;        // bytes of the chunk that are freed with the commit
    struct result_cache *keep_in; // once it is checked; NULL: it is not kept
    struct hash128 keep_as;
    uint64_t from_cache; // bytes it counts for as long as it is known; 0: of a worker
    bool urgent;         // nothing else is under way: it is in vain to wait for company
    bool near_end; // all else that is to come is at work: better one transaction than two
    // outcome
    err_t code; // ERR_OK, ERR_DUP, ERR_PROTO (damaged), or what ended the loader
    struct err e;
};
void load_item_free(struct load_item **i);

struct loader;

// The warehouse stays the caller's, but is not to be touched until loader_stop returned.
// `say` is called from a thread of the loader.
MUST_CHECK err_t loader_start(struct loader **out, const struct warehouse_ops *ops,
                              struct warehouse *w, warehouse_say *say, void *say_arg,
                              struct err *e);
// Takes it, and never waits; false: it has ended, or memory is out. Small results are kept
// until there are many, or until loader_flush. Push, flush and take are for one thread.
bool loader_push(struct loader *l, struct load_item **i);
void loader_flush(struct loader *l);
struct load_item *loader_next(struct loader *l); // an outcome, or NULL
size_t loader_take(struct loader *l, struct load_item **out, size_t max); // up to `max`
int loader_fd(const struct loader *l);         // readable: an outcome is there
void loader_give_up_waiting(struct loader *l); // a full disk or a lock ends the loader now;
                                               // notes are left out
// Commits what is queued, ends the threads. Outcomes can still be taken until loader_free.
void loader_stop(struct loader *l);
void loader_free(struct loader **l);

ns_t loader_busy_ns(const struct loader *l); // time in commits so far, after loader_stop

#endif
