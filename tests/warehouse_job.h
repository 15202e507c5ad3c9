// warehouse_job - a whole job on a SQLite warehouse, as a coordinator would run it, and
// what must be true afterwards whatever happened on the way.

#ifndef TESTS_WAREHOUSE_JOB_H
#define TESTS_WAREHOUSE_JOB_H

#include "tests/warehouse_kit.h"

enum { N_CHUNKS = 14, CHUNK = 40, END = 10 + N_CHUNKS * CHUNK, HALF = 10 + CHUNK / 2 };

// Tries `call` until its error is none that another attempt could help.
#define AGAIN(tries, e, call)                                                 \
    do {                                                                      \
        err_t rc_;                                                            \
        int left_ = (tries);                                                  \
        while ((rc_ = (call)) != ERR_OK && left_-- > 0 && err_retryable(rc_)) \
            ;                                                                 \
        if (rc_ != ERR_OK) return rc_;                                        \
    } while (0)

static inline bool in_ledger(const struct load_state *load, struct range r)
{
    for (size_t i = 0; i < load->n_ledger; i++)
        if (load->ledger[i].range.begin == r.begin && load->ledger[i].range.end == r.end)
            return true;
    return false;
}

static inline err_t commit_what_is_missing(struct kit *k, int tries, struct err *e)
{
    struct result all[N_CHUNKS + 1];
    bool dup[N_CHUNKS + 1];
    size_t n = 0, failed;
    k->images.n = 0;
    for (uint64_t i = 0; i <= N_CHUNKS; i++) { // the first chunk comes as two halves
        uint64_t begin = i == 0 ? 10 : i == 1 ? HALF : 10 + (i - 1) * CHUNK;
        uint64_t end = i == 0 ? HALF : 10 + i * CHUNK;
        if (!in_ledger(&k->load, (struct range){ 0, begin, end }))
            all[n++] = kit_result(k, 0, begin, end);
    }
    // In two calls, so that in every mode there are two transactions.
    size_t first = n < WAREHOUSE_GROUP ? n : WAREHOUSE_GROUP;
    if (n) AGAIN(tries, e, k->ops->commit(k->w, all, first, dup, &failed, e));
    if (n > first)
        AGAIN(tries, e, k->ops->commit(k->w, all + first, n - first, dup, &failed, e));
    return ERR_OK;
}

static inline err_t open_and_begin(struct kit *k, struct err *e)
{
    if (!k->w) TRY(k->ops->open(&k->w, k->url, kit_say, k, e));
    return kit_try_begin(k, e);
}

static inline err_t run_job(struct kit *k, int tries, struct err *e)
{
    struct ledger_row totals[3], split = kit_split(0, 10, 10 + CHUNK);
    AGAIN(tries, e, open_and_begin(k, e));
    AGAIN(tries, e, k->ops->note(k->w, &split, e));
    TRY(commit_what_is_missing(k, tries, e));
    AGAIN(tries, e, kit_try_finish(k, END, totals, e));
    if (totals[0].rows_loaded != N_CHUNKS * CHUNK / 10)
        return err_set(e, ERR_DB, "%llu rows", (unsigned long long)totals[0].rows_loaded);
    kit_close(k);
    return ERR_OK;
}

static inline void rows_are_there_once(const struct kit *k)
{
    EQ_I64(N_CHUNKS * CHUNK / 10, kit_count(k, "SELECT count(*) FROM t"));
    EQ_I64(N_CHUNKS * CHUNK / 10, kit_count(k, "SELECT count(DISTINCT a) FROM t WHERE "
                                               "b = 'r' || a"));
    EQ_I64(N_CHUNKS * CHUNK / 10,
           kit_count(k, "SELECT sum(rows_loaded) FROM tranche_ledger"));
    EQ_I64(N_CHUNKS + 2, kit_count(k, "SELECT count(*) FROM tranche_ledger"));
    assert_string_equal("complete",
                        kit_ask(k, "SELECT state FROM tranche_runs ORDER BY load_id "
                                   "DESC"));
    EQ_I64(0, kit_count(
                  k, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%!_!_tranche%' "
                     "ESCAPE '!'"));
    assert_string_equal("ok", kit_ask(k, "PRAGMA integrity_check"));
}

#endif
