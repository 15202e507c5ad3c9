#include "coordinator/past_impl.h"

#include "coordinator/history_place.h"
#include "coordinator/journal_db.h"
#include "coordinator/run_lock.h"

#include <stdio.h>
#include <string.h>

// ---- asking ----

err_t past_ask(sqlite3 *db, sqlite3_stmt **q, const char *sql, const struct past_value *v,
               int n, struct err *e)
{
    *q = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, q, NULL);
    if (rc != SQLITE_OK) return rc == SQLITE_ERROR ? ERR_OK : journal_db_fail(db, e);
    for (int i = 0; i < n; i++)
        if (v[i].text)
            sqlite3_bind_text(*q, i + 1, v[i].text, -1, SQLITE_TRANSIENT);
        else
            sqlite3_bind_int64(*q, i + 1, v[i].n);
    return ERR_OK;
}

bool past_next(sqlite3_stmt *q, err_t *rc, struct err *e)
{
    if (!q || *rc != ERR_OK) {
        sqlite3_finalize(q);
        return false;
    }
    int step = sqlite3_step(q);
    if (step == SQLITE_ROW) return true;
    if (step != SQLITE_DONE) *rc = journal_db_fail(sqlite3_db_handle(q), e);
    sqlite3_finalize(q);
    return false;
}

const char *past_text(struct past *p, sqlite3_stmt *q, int column)
{
    const char *s = (const char *)sqlite3_column_text(q, column);
    char *copy = s ? arena_strdup(&p->mem, s, strlen(s)) : NULL;
    return copy ? copy : "";
}

void *past_grow(struct past *p, void **v, uint32_t n, size_t size)
{
    if ((n & (n - 1)) == 0) { // 0, 1, 2, 4, ...
        void *more = arena_alloc(&p->mem, (n ? 2 * (size_t)n : 1) * size);
        if (!more) return NULL;
        if (n) memcpy(more, *v, n * size);
        *v = more;
    }
    return memset((char *)*v + n * size, 0, size);
}

err_t past_count(sqlite3 *db, const char *sql, const struct past_value *v, int n,
                 uint64_t *out, struct err *e)
{
    sqlite3_stmt *q;
    err_t rc = past_ask(db, &q, sql, v, n, e);
    *out = 0;
    if (past_next(q, &rc, e)) {
        *out = past_u64(q, 0);
        sqlite3_finalize(q);
    }
    return rc;
}

// ---- the run ----

static void read_run(struct past *p, sqlite3_stmt *q)
{
    struct journal_run *r = &p->run;
    p->seq = sqlite3_column_int64(q, 0);
    snprintf(r->id, sizeof r->id, "%s", past_text(p, q, 1));
    const char **texts[] = { &r->name, &r->job_file, &r->into, &r->table,
                             &p->spec, &r->status,   &r->error };
    for (int i = 0; i < 7; i++)
        *texts[i] = past_text(p, q, 2 + i);
    const char *holder = past_text(p, q, 9);
    p->started_ms = sqlite3_column_int64(q, 10);
    p->ended_ms = sqlite3_column_int64(q, 11);
    r->seconds = sqlite3_column_double(q, 12);
    r->exit_code = sqlite3_column_int(q, 13);
    uint64_t *numbers[] = { &r->rows_read,    &r->rows_parsed, &r->rows_rejected,
                            &r->rows_emitted, &r->rows_loaded, &r->rows_refused,
                            &r->chunks,       &r->retries,     &r->bytes_read };
    for (int i = 0; i < 9; i++)
        *numbers[i] = past_u64(q, 14 + i);
    r->workers = (uint32_t)past_u64(q, 23);
    p->goes_on = !strcmp(r->status, "running") && run_lock_holder_lives(holder);
    if (strcmp(r->status, "running") != 0 || p->goes_on) return;
    r->status = "interrupted";
    r->error = "its process died";
}

static err_t no_such_run(struct past *p, const char *dir, const char *run, struct err *e)
{
    sqlite3_stmt *q;
    err_t rc =
        past_ask(p->db, &q, "SELECT id FROM runs ORDER BY seq DESC LIMIT 1", NULL, 0, e);
    bool any = past_next(q, &rc, e);
    if (any) {
        err_set(e, ERR_INVALID,
                "no run in %s is called %s; the last one is %s, and 'tranche runs' lists "
                "them all",
                dir, run, past_text(p, q, 0));
        sqlite3_finalize(q);
        return ERR_INVALID;
    }
    return rc ? rc
              : err_set(e, ERR_INVALID, "there are no runs yet in " HISTORY_ELSEWHERE, dir);
}

// The newest of those whose ids begin so; more than one is a question.
static err_t find_run(struct past *p, const char *dir, const char *run, struct err *e)
{
    static const char sql[] =
        "SELECT seq, id, name, job_file, into_url, \"table\", spec, status, error, holder,"
        " started_ms, ended_ms, seconds, exit_code, rows_read, rows_parsed, rows_rejected,"
        " rows_emitted, rows_loaded, rows_refused, chunks, retries, bytes_read, workers"
        " FROM runs WHERE ?1 = 'last' OR substr(id, 1, length(?1)) = ?1"
        " ORDER BY id = ?1 DESC, seq DESC LIMIT 2";
    sqlite3_stmt *q;
    int n = 0;
    err_t rc = past_ask(p->db, &q, sql, &PAST_TEXT(run), 1, e);
    while (past_next(q, &rc, e))
        if (n++ == 0) read_run(p, q);
    if (rc == ERR_OK && !n) return no_such_run(p, dir, run, e);
    bool clear = n < 2 || !strcmp(run, "last") || !strcmp(p->run.id, run);
    if (rc != ERR_OK || clear) return rc;
    return err_set(e, ERR_INVALID, "several runs begin with %s, the newest is %s", run,
                   p->run.id);
}

static err_t find_place(struct past *p, struct err *e)
{
    sqlite3_stmt *q;
    p->load = p->database = "";
    err_t rc =
        past_ask(p->db, &q, "SELECT load, load_id, database FROM run_places WHERE run = ?",
                 &PAST_NUMBER(p->seq), 1, e);
    while (past_next(q, &rc, e)) {
        p->load = past_text(p, q, 0);
        p->load_id = past_u64(q, 1);
        p->database = past_text(p, q, 2);
    }
    return rc;
}

static err_t find_inputs(struct past *p, struct err *e)
{
    sqlite3_stmt *q;
    err_t rc = past_ask(p->db, &q,
                        "SELECT name, in_rows, begin, size, header_lines FROM run_inputs"
                        " WHERE run = ? ORDER BY input",
                        &PAST_NUMBER(p->seq), 1, e);
    while (past_next(q, &rc, e)) {
        struct past_input *in = past_grow(p, (void **)&p->inputs, p->n_inputs, sizeof *in);
        if (!in) rc = err_set(e, ERR_NOMEM, "out of memory");
        if (!in) continue;
        *in = (struct past_input){ past_text(p, q, 0), past_u64(q, 1), past_u64(q, 2),
                                   past_u64(q, 3), past_u64(q, 4) };
        p->n_inputs++;
    }
    return rc;
}

err_t past_open(struct past *p, const char *dir, const char *run, struct err *e)
{
    *p = (struct past){ 0 };
    TRY(journal_db_open(&p->db, dir, false, NULL, 0, e));
    if (!p->db)
        return err_set(e, ERR_INVALID, "there are no runs yet in " HISTORY_ELSEWHERE, dir);
    // What is gone through several times should be read from the disk once.
    TRY(journal_db_exec(p->db, "PRAGMA query_only=ON; PRAGMA cache_size=-32768", e));
    TRY(find_run(p, dir, run, e));
    TRY(find_place(p, e));
    TRY(find_inputs(p, e));
    uint64_t first;
    TRY(past_count(p->db, "SELECT seq FROM attempts WHERE run = ? ORDER BY seq LIMIT 1",
                   &PAST_NUMBER(p->seq), 1, &first, e));
    p->first_attempt = (int64_t)first;
    p->merged = strstr(p->spec, "\ncompute ") || strstr(p->spec, "\nmerge");
    TRY(journal_plan_find(dir, p->spec, &p->plan, &p->planned, e));
    p->planned &= p->plan.at_ms <= p->started_ms; // a later plan foretold nothing of it
    return ERR_OK;
}

void past_close(struct past *p)
{
    sqlite3_close(p->db);
    arena_free(&p->mem);
    *p = (struct past){ 0 };
}

// ---- names ----

const char *past_input_name(const struct past *p, uint32_t input)
{
    return input < p->n_inputs ? p->inputs[input].name : "input";
}

bool past_input_in_rows(const struct past *p, uint32_t input)
{
    return input < p->n_inputs && p->inputs[input].in_rows;
}

const char *past_chunk_name(const struct past *p, struct range r, char *out, size_t cap)
{
    snprintf(out, cap, "%.200s %s %llu-%llu", past_input_name(p, r.input),
             past_input_in_rows(p, r.input) ? "rows" : "bytes", (unsigned long long)r.begin,
             (unsigned long long)r.end);
    return out;
}

const char *past_outcome(const char *outcome)
{
    static const char *const all[][2] = {
        { "", "is not over" },
        { "ok", "ended well" },
        { "late", "ended well, but another attempt was faster" },
        { "lost", "was lost: its worker was gone, or said nothing any more" },
        { "expired", "was given up: its worker made no progress" },
        { "cancelled", "was not needed any more" },
        { "not run", "was given back by its worker" },
        { "failed", "failed" },
        { "died", "failed: its runner died" },
        { "timeout", "failed: it took longer than limits.timeout" },
        { "bad result", "gave a result that cannot be right" },
        { "interrupted", "was not over when the run ended" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i][0], outcome) == 0) return all[i][1];
    return outcome;
}
