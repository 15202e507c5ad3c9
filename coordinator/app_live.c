// What a run does at the moment, told in the journal: how much waits for workers to whoever
// starts them, all of it to whoever looks.

#include "coordinator/app_impl.h"
#include "coordinator/journal_stats.h"

static const ns_t TELL_EVERY = NS_S;

// As many as the rest of the input makes, when they go on as large as they were.
static int64_t to_come(const struct app *a)
{
    uint64_t known = a->fed_bytes + a->ledger_bytes;
    if (a->fed || a->over) return 0;
    if (!a->bytes_total || !a->fed_bytes) return -1;
    if (known >= a->bytes_total) return 0;
    double each = (double)a->fed_bytes / (double)a->fed_chunks;
    return (int64_t)((double)(a->bytes_total - known) / each) + 1;
}

void app_tell_live(struct app *a, const struct sched_counts *c, bool last, ns_t now)
{
    if (!a->in->link[APP_TCP] || !a->in->journal) return;
    if (!last && a->live_told && now - a->live_told < TELL_EVERY) return;
    a->live_told = now;
    struct journal_live l = { .workers = c->workers,
                              .slots = c->slots,
                              .idle_slots = c->idle_slots,
                              .running = c->by_state[CHUNK_LEASED],
                              .waiting =
                                  c->by_state[CHUNK_PENDING] + c->by_state[CHUNK_SUSPECT],
                              .to_come = last ? 0 : to_come(a) };
    if (journal_live_put(a->in->journal, &l, &a->scratch) != ERR_OK) app_journal_failed(a);
}

void app_tell_now(struct app *a, const struct sched_counts *c, ns_t now)
{
    uint32_t n;
    if (!a->in->journal || a->journal_failed) return;
    if (now - a->in->run_began < TELL_EVERY || now - a->now_told < TELL_EVERY) return;
    a->now_told = now;
    const struct app_totals *t = a->t;
    struct journal_now x = {
        .at_ms = (now - a->in->run_began) / NS_MS,
        .rows_read = t->rows_read,
        .rows_rejected = t->rows_rejected + t->rows_refused,
        .rows_loaded = t->rows_loaded,
        .chunks = t->chunks,
        .retries = c->retries,
        .bytes_read = t->bytes_read,
        .in_rows = source_inputs(a->in->source, &n)->in_rows,
        .bytes = a->bytes_done,
        .bytes_total = a->bytes_total,
        .running = c->by_state[CHUNK_LEASED],
        .waiting = c->by_state[CHUNK_PENDING] + c->by_state[CHUNK_SUSPECT],
        .to_come = to_come(a),
        .workers = c->workers,
        .slots = c->slots,
        .busy = c->running,
        .results = a->in_loader,
    };
    if (journal_now_put(a->in->journal, &x, &a->scratch) != ERR_OK) app_journal_failed(a);
}
