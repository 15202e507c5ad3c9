// How much waits for workers, told in the journal to whoever starts them.

#include "coordinator/app_impl.h"

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
