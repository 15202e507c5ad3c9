#include "coordinator/journal_impl.h"

#include "common/clock.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 8192, QUEUE_MAX = 16 << 20, QUEUE_FLUSH = 1 << 20 };

struct entry { // what journal_flush writes; the texts follow without NUL
    enum journal_statement what;
    uint32_t attempt, chunks;
    struct range range;
    int64_t at_ms, ms, peak_kb;
    uint32_t load_n, a_n, b_n; // a: worker, outcome or kind; b: text
};

// ---- opening ----

static err_t prepare(struct journal *j, struct err *e)
{
    static const char *const sql[] = {
#define X(name, text) text,
        JOURNAL_STATEMENTS(X)
#undef X
    };
    for (int i = 0; i < S_N; i++)
        if (sqlite3_prepare_v3(j->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &j->q[i],
                               NULL) != SQLITE_OK)
            return journal_db_fail(j->db, e);
    return ERR_OK;
}

err_t journal_open(struct journal **out, const char *dir, const char *lock_key,
                   struct err *e)
{
    *out = NULL;
    struct journal *j = calloc(1, sizeof *j);
    if (!j) return err_set(e, ERR_NOMEM, "out of memory");
    hash_hex(hash_bytes(lock_key, strlen(lock_key)), j->lock_key);
    err_t rc = run_lock_take(&j->lock, dir, lock_key, e);
    if (rc == ERR_OK) {
        rc = journal_db_open(&j->db, dir, true, j->note, sizeof j->note, e);
        if (rc == ERR_OK) rc = prepare(j, e);
        if (rc == ERR_BUSY)
            rc = err_wrap(e, ERR_DB, "history"); // BUSY is the run lock's word
    }
    if (rc == ERR_OK)
        *out = j;
    else
        journal_close(&j);
    return rc;
}

const char *journal_note(const struct journal *j)
{
    return j->note;
}

void journal_close(struct journal **j_)
{
    struct journal *j = *j_;
    if (!j) return;
    if (j->db && j->queue.n) (void)!journal_flush(j, NULL);
    for (int i = 0; i < S_N; i++)
        sqlite3_finalize(j->q[i]);
    sqlite3_close(j->db);
    run_lock_release(&j->lock);
    buf_free(&j->queue);
    spans_free(&j->spans);
    free(j->load_name);
    free(j);
    *j_ = NULL;
}

// ---- the queue ----

static uint32_t text_length(const char *s)
{
    return s ? (uint32_t)strnlen(s, TEXT_MAX) : 0;
}

static err_t add(struct journal *j, struct entry x, const char *load, const char *a,
                 const char *b, struct err *e)
{
    if (x.range.end > INT64_MAX)
        return err_set(e, ERR_TOOBIG, "a range ends past 2^63 bytes");
    if (j->queue.n > QUEUE_FLUSH) {
        err_t rc = journal_flush(j, e);
        if (rc != ERR_OK && j->queue.n > QUEUE_MAX) {
            j->queue.n = 0;
            return err_wrap(e, rc, "history is lost");
        }
    }
    if (x.what != S_ATTEMPT) spans_break(&j->spans);
    x.at_ms = clock_wall_ms();
    x.load_n = text_length(load);
    x.a_n = text_length(a);
    x.b_n = text_length(b);
    TRY(buf_reserve(&j->queue, sizeof x + x.load_n + x.a_n + x.b_n, e));
    if (x.what == S_ATTEMPT) j->last_attempt = j->queue.n;
    const struct slice parts[] = { { (const uint8_t *)&x, sizeof x },
                                   { (const uint8_t *)load, x.load_n },
                                   { (const uint8_t *)a, x.a_n },
                                   { (const uint8_t *)b, x.b_n } };
    for (int i = 0; i < 4; i++) {
        if (parts[i].n) memcpy(j->queue.p + j->queue.n, parts[i].p, parts[i].n);
        j->queue.n += parts[i].n;
    }
    return ERR_OK;
}

// As that of the attempt before.
static bool same_load(const struct journal *j, const char *load)
{
    struct entry last;
    if (!j->spans.last) return false;
    memcpy(&last, j->queue.p + j->last_attempt, sizeof last);
    return last.load_n == text_length(load) &&
           memcmp(j->queue.p + j->last_attempt + sizeof last, load, last.load_n) == 0;
}

err_t journal_attempt(struct journal *j, const char *load, struct range r, uint32_t attempt,
                      const char *worker, struct err *e)
{
    const struct span *span;
    if (!same_load(j, load)) spans_break(&j->spans);
    TRY(spans_add(&j->spans, r, attempt, worker ? worker : "", &span, e));
    if (span) { // its row is not written yet: flushing ends the last span
        struct entry x;
        memcpy(&x, j->queue.p + j->last_attempt, sizeof x);
        x.range = span->range;
        x.chunks = span->chunks;
        memcpy(j->queue.p + j->last_attempt, &x, sizeof x);
        return ERR_OK;
    }
    struct entry x = { .what = S_ATTEMPT, .range = r, .attempt = attempt, .chunks = 1 };
    err_t rc = add(j, x, load, worker, NULL, e);
    if (rc != ERR_OK) spans_break(&j->spans);
    return rc;
}

err_t journal_attempt_apart(struct journal *j, const char *load, struct range r,
                            uint32_t attempt, const char *worker, struct err *e)
{
    spans_break(&j->spans);
    err_t rc = journal_attempt(j, load, r, attempt, worker, e);
    spans_break(&j->spans);
    return rc;
}

err_t journal_attempt_end(struct journal *j, const char *load, struct range r,
                          uint32_t attempt, const char *outcome, int64_t ms,
                          int64_t peak_kb, const char *text, struct err *e)
{
    struct span_end end;
    struct entry x = {
        .what = S_ATTEMPT_END, .range = r, .attempt = attempt, .ms = ms, .peak_kb = peak_kb
    };
    spans_end(&j->spans, r, attempt, ms, peak_kb, &end);
    bool ok = strcmp(outcome, "ok") == 0;
    if (!end.in_span) return add(j, x, load, outcome, text, e);
    if (!ok) {
        x.what = S_ATTEMPT_OWN;
        TRY(add(j, x, load, outcome, text, e));
    }
    if (!end.whole) return ERR_OK;
    x = (struct entry){ .what = S_ATTEMPT_END,
                        .range = end.span.range,
                        .attempt = attempt,
                        .ms = end.span.ms,
                        .peak_kb = end.span.peak_kb };
    return add(j, x, load, "ok", "", e);
}

err_t journal_event(struct journal *j, const char *kind, const char *text, struct err *e)
{
    return add(j, (struct entry){ .what = S_EVENT }, NULL, kind, text, e);
}

// ---- writing it ----

err_t journal_step(struct journal *j, enum journal_statement what, struct err *e)
{
    sqlite3_stmt *q = j->q[what];
    int rc = sqlite3_step(q);
    err_t end = rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : journal_db_fail(j->db, e);
    sqlite3_reset(q);
    return end;
}

static void bind_text(sqlite3_stmt *q, int i, const char *p, uint32_t n)
{
    sqlite3_bind_text(q, i, n ? p : "", (int)n, SQLITE_STATIC);
}

static void bind_run(const struct journal *j, sqlite3_stmt *q, int i)
{
    if (j->run)
        sqlite3_bind_int64(q, i, j->run);
    else
        sqlite3_bind_null(q, i);
}

// The load's number; 0: it has none yet.
static err_t load_seq(struct journal *j, const char *name, uint32_t n, bool create,
                      int64_t *out, struct err *e)
{
    *out = j->load_seq;
    if (j->load_name && strlen(j->load_name) == n && !memcmp(j->load_name, name, n))
        return ERR_OK;
    if (create) {
        bind_text(j->q[S_LOAD_ADD], 1, name, n);
        TRY(journal_step(j, S_LOAD_ADD, e));
    }
    sqlite3_stmt *q = j->q[S_LOAD_FIND];
    bind_text(q, 1, name, n);
    int rc = sqlite3_step(q);
    *out = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    err_t end = rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : journal_db_fail(j->db, e);
    sqlite3_reset(q);
    if (end != ERR_OK || !*out || create) return end; // a new one may yet be rolled back
    free(j->load_name);
    j->load_name = strndup(name, n);
    j->load_seq = *out;
    return ERR_OK;
}

static void bind_range(sqlite3_stmt *q, int64_t load, struct range r)
{
    sqlite3_bind_int64(q, 1, load);
    sqlite3_bind_int64(q, 2, r.input);
    sqlite3_bind_int64(q, 3, (int64_t)r.begin);
    sqlite3_bind_int64(q, 4, (int64_t)r.end);
}

static err_t write_entry(struct journal *j, const struct entry *x, const char *texts,
                         struct err *e)
{
    sqlite3_stmt *q = j->q[x->what];
    const char *a = texts + x->load_n, *b = a + x->a_n;
    if (x->what == S_EVENT) {
        bind_run(j, q, 1);
        sqlite3_bind_int64(q, 2, x->at_ms);
        bind_text(q, 3, a, x->a_n);
        bind_text(q, 4, b, x->b_n);
        return journal_step(j, x->what, e);
    }
    int64_t load;
    TRY(load_seq(j, texts, x->load_n, true, &load, e));
    bind_range(q, load, x->range);
    sqlite3_bind_int64(q, 5, x->attempt);
    if (x->what == S_ATTEMPT) {
        bind_run(j, q, 6);
        bind_text(q, 7, a, x->a_n);
        sqlite3_bind_int64(q, 8, x->at_ms);
        sqlite3_bind_int64(q, 9, x->chunks);
    } else {
        bind_text(q, 6, a, x->a_n);
        sqlite3_bind_int64(q, 7, x->ms);
        sqlite3_bind_int64(q, 8, x->peak_kb);
        bind_text(q, 9, b, x->b_n);
    }
    return journal_step(j, x->what, e);
}

static err_t write_queue(struct journal *j, struct err *e)
{
    const uint8_t *p = j->queue.p, *end = p + j->queue.n;
    while (p < end) {
        struct entry x;
        memcpy(&x, p, sizeof x);
        p += sizeof x;
        TRY(write_entry(j, &x, (const char *)p, e));
        p += x.load_n + x.a_n + x.b_n;
    }
    return ERR_OK;
}

err_t journal_finish(struct journal *j, err_t rc, struct err *e)
{
    if (rc == ERR_OK) rc = journal_step(j, S_COMMIT, e);
    if (rc != ERR_OK && !sqlite3_get_autocommit(j->db))
        sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

err_t journal_flush(struct journal *j, struct err *e)
{
    spans_break(&j->spans); // its row is about to be written
    if (!j->queue.n) return ERR_OK;
    TRY(journal_step(j, S_BEGIN, e));
    TRY(journal_finish(j, write_queue(j, e), e));
    j->queue.n = 0;
    return ERR_OK;
}

static err_t numbers(struct journal *j, enum journal_statement what, uint32_t *a,
                     uint32_t *b, struct err *e)
{
    sqlite3_stmt *q = j->q[what];
    err_t rc = ERR_OK;
    if (sqlite3_step(q) == SQLITE_ROW) {
        *a = (uint32_t)sqlite3_column_int64(q, 0);
        if (b) *b = (uint32_t)sqlite3_column_int64(q, 1);
    } else {
        rc = journal_db_fail(j->db, e);
    }
    sqlite3_reset(q);
    return rc;
}

err_t journal_attempts_of(struct journal *j, const char *load, struct range r,
                          struct journal_attempts *out, struct err *e)
{
    *out = (struct journal_attempts){ 0 };
    TRY(journal_flush(j, e));
    int64_t seq;
    TRY(load_seq(j, load, text_length(load), false, &seq, e));
    if (!seq) return ERR_OK;
    bind_range(j->q[S_ATTEMPTS_OF], seq, r);
    TRY(numbers(j, S_ATTEMPTS_OF, &out->last, &out->failed, e));
    if (!out->last) return ERR_OK;
    bind_range(j->q[S_DEATHS_OF], seq, r);
    bind_run(j, j->q[S_DEATHS_OF], 5);
    return numbers(j, S_DEATHS_OF, &out->unfinished, NULL, e);
}
