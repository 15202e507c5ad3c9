// app_impl - what the files of the run's loop share: app.c (loop, time, start and end),
// app_chunks.c (chunks from the source to the ledger), app_workers.c (messages and leases).

#ifndef COORDINATOR_APP_IMPL_H
#define COORDINATOR_APP_IMPL_H

#include "coordinator/app.h"
#include "coordinator/feeder.h"
#include "coordinator/sched.h"
#include "coordinator/sessions.h"
#include "coordinator/tune.h"
#include "coordinator/work.h"
#include "proto/lease.h"

#define APP_HEARTBEAT (2 * NS_S)
#define APP_SILENCE   (15 * NS_S)

struct app {
    const struct app_in *in;
    struct app_totals *t;
    struct works works;
    struct sessions sessions;
    struct sched *sched;
    struct feeder *feeder;
    struct loader *loader;
    struct queue *says; // lines of other threads
    struct tune tune;
    uint8_t secret[32];
    struct hash128 job;
    uint64_t in_loader, isolated; // rows rejected because they always fail
    uint32_t local_deaths, told_single;
    uint64_t bytes_done, bytes_total, seq;
    ns_t last_result, last_loop;
    bool fed, over, journal_failed;
    char waits[256];
    struct err e; // the first fault ends the run
    struct err scratch;
};

// ---- app.c ----
void app_fails(struct app *a, const struct err *e); // the first fault ends the run
void app_fails_nomem(struct app *a);
void app_say(struct app *a, const char *kind,
             const char *text); // to the user and the journal
// The journal's fault stands in a->scratch. Told once: history is for people, and the load
// is exactly-once without it.
void app_journal_failed(struct app *a);
// "flights.csv bytes 0-1048576"
const char *app_chunk_name(const struct app *a, const struct work *k, char *out,
                           size_t cap);

// ---- app_chunks.c ----
void app_take_chunks(struct app *a); // from the source, as many as the scheduler wants
void app_take_loaded(struct app *a); // outcomes of the loader
void app_put_in_order(struct app *a, struct work *k, struct load_item *i); // takes the item
void app_split(struct app *a, struct work *k);  // writes the SPLIT row; the children follow
void app_reject(struct app *a, struct work *k); // one record that always fails
void app_add_totals(struct app_totals *t, const struct ledger_row *r);

// ---- app_workers.c ----
void app_take_messages(struct app *a);
void app_act(struct app *a); // does what the scheduler says
bool app_post(struct app *a, struct session *s, struct msg *m, void *payload, size_t n,
              link_free_fn *free_fn, void *hint);
void app_send_committed(struct app *a, uint64_t sid, const struct lease *l);

#endif
