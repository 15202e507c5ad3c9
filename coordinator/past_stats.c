// Workers, samples, events and what the cache had.

#include "coordinator/past_impl.h"

#include <string.h>

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory");
}

static err_t load_workers(struct past *p, struct err *e)
{
    sqlite3_stmt *q;
    err_t rc = past_ask(
        p->db, &q,
        "SELECT name, role, host, cpu, cores, slots, memory_bytes, sessions, came_ms,"
        " left_ms, chunks, failed, busy_ms, bucket_ms, busy FROM run_workers WHERE run = ?"
        " ORDER BY role = 'coordinator' DESC, busy_ms DESC, name",
        &PAST_NUMBER(p->seq), 1, e);
    while (past_next(q, &rc, e)) {
        struct journal_worker *w =
            past_grow(p, (void **)&p->workers, p->n_workers, sizeof *w);
        if (!w) rc = no_memory(e);
        if (!w) continue;
        *w = (struct journal_worker){ .name = past_text(p, q, 0),
                                      .role = past_text(p, q, 1),
                                      .host = past_text(p, q, 2),
                                      .cpu = past_text(p, q, 3),
                                      .cores = (uint32_t)past_u64(q, 4),
                                      .slots = (uint32_t)past_u64(q, 5),
                                      .memory_bytes = past_u64(q, 6),
                                      .sessions = (uint32_t)past_u64(q, 7),
                                      .came_ms = sqlite3_column_int64(q, 8),
                                      .left_ms = sqlite3_column_int64(q, 9),
                                      .chunks = past_u64(q, 10),
                                      .failed = past_u64(q, 11),
                                      .busy_ms = sqlite3_column_int64(q, 12),
                                      .bucket_ms = sqlite3_column_int64(q, 13),
                                      .busy = past_text(p, q, 14) };
        p->n_workers++;
    }
    return rc;
}

err_t past_load_samples(struct past *p, struct err *e)
{
    sqlite3_stmt *q;
    err_t rc = past_ask(p->db, &q,
                        "SELECT at_ms, rows_read, rows_rejected, bytes, chunks,"
                        " chunks_cached, retries, workers, slots, busy, results"
                        " FROM run_samples WHERE run = ? ORDER BY n LIMIT 1024",
                        &PAST_NUMBER(p->seq), 1, e);
    while (past_next(q, &rc, e)) {
        struct journal_sample *s =
            past_grow(p, (void **)&p->samples, p->n_samples, sizeof *s);
        if (!s) rc = no_memory(e);
        if (!s) continue;
        *s = (struct journal_sample){ .at_ms = sqlite3_column_int64(q, 0),
                                      .rows_read = past_u64(q, 1),
                                      .rows_rejected = past_u64(q, 2),
                                      .bytes = past_u64(q, 3),
                                      .chunks = past_u64(q, 4),
                                      .chunks_cached = past_u64(q, 5),
                                      .retries = past_u64(q, 6),
                                      .workers = (uint32_t)past_u64(q, 7),
                                      .slots = (uint32_t)past_u64(q, 8),
                                      .busy = (uint32_t)past_u64(q, 9),
                                      .results = past_u64(q, 10) };
        p->n_samples++;
    }
    return rc;
}

static err_t load_reused(struct past *p, struct err *e)
{
    sqlite3_stmt *q;
    err_t rc = past_ask(p->db, &q,
                        "SELECT input, begin, \"end\", chunks, why FROM run_reused"
                        " WHERE run = ? ORDER BY input, begin LIMIT 100000",
                        &PAST_NUMBER(p->seq), 1, e);
    while (past_next(q, &rc, e)) {
        struct past_reused *r = past_grow(p, (void **)&p->reused, p->n_reused, sizeof *r);
        if (!r) rc = no_memory(e);
        if (!r) continue;
        *r = (struct past_reused){ { (uint32_t)past_u64(q, 0), past_u64(q, 1),
                                     past_u64(q, 2) },
                                   past_u64(q, 3),
                                   past_text(p, q, 4) };
        p->n_reused++;
    }
    return rc;
}

err_t past_load_stats(struct past *p, struct err *e)
{
    TRY(load_workers(p, e));
    TRY(past_load_samples(p, e));
    return load_reused(p, e);
}

err_t past_load_events(struct past *p, struct err *e)
{
    sqlite3_stmt *q;
    const struct past_value v[] = { PAST_NUMBER(p->seq), PAST_NUMBER(PAST_EVENTS / 2) };
    TRY(past_count(p->db, "SELECT count(*) FROM events WHERE run = ?", v, 1, &p->all_events,
                   e));
    err_t rc = past_ask(
        p->db, &q,
        "SELECT at_ms, kind, text, seq FROM (SELECT * FROM events WHERE run = ?1 ORDER BY"
        " seq LIMIT ?2) UNION SELECT at_ms, kind, text, seq FROM (SELECT * FROM events"
        " WHERE run = ?1 ORDER BY seq DESC LIMIT ?2) ORDER BY 4",
        v, 2, e);
    while (past_next(q, &rc, e)) {
        struct past_event *x = past_grow(p, (void **)&p->events, p->n_events, sizeof *x);
        if (!x) rc = no_memory(e);
        if (!x) continue;
        *x = (struct past_event){ sqlite3_column_int64(q, 0), past_text(p, q, 1),
                                  past_text(p, q, 2) };
        p->n_events++;
    }
    return rc;
}
