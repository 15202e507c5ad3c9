// Chunks and their attempts.

#include "coordinator/past_impl.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Outcomes that are worth a look: somebody or something failed.
#define TROUBLE \
    "outcome IN ('failed','died','timeout','bad result','lost','expired','not run')"

// ---- lists ----

static err_t list_chunks(struct past *p, const char *sql, int64_t limit,
                         struct past_chunk **v, uint32_t *n, struct err *e)
{
    sqlite3_stmt *q;
    const struct past_value args[] = { PAST_NUMBER(p->seq), PAST_NUMBER(p->first_attempt),
                                       PAST_NUMBER(limit) };
    err_t rc = past_ask(p->db, &q, sql, args, 3, e);
    while (past_next(q, &rc, e)) {
        struct past_chunk *c = past_grow(p, (void **)v, *n, sizeof *c);
        if (!c) rc = err_set(e, ERR_NOMEM, "out of memory");
        if (!c) continue;
        *c = (struct past_chunk){ .range = { (uint32_t)past_u64(q, 0), past_u64(q, 1),
                                             past_u64(q, 2) },
                                  .number = past_u64(q, 3) - (uint64_t)p->first_attempt + 1,
                                  .chunks = past_u64(q, 4),
                                  .ms = sqlite3_column_int64(q, 5),
                                  .n_tries = (uint32_t)past_u64(q, 6),
                                  .worker = past_text(p, q, 7) };
        ++*n;
    }
    return rc;
}

// Of an attempt in a span that did not end well there is a row of its own, which counts.
static void drop_span_rows(struct past_chunk *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct past_try *t = &c->tries[i];
        bool own = false;
        for (uint32_t k = i; k-- > 0 && !own;)
            own = c->tries[k].chunks == 1 && c->tries[k].attempt == t->attempt &&
                  strcmp(c->tries[k].run, t->run) == 0;
        if (t->chunks == 1 || !own) c->tries[n++] = *t;
    }
    c->n = n;
}

// Its attempts in all runs of this load, as long as they mean the same input.
static err_t load_tries(struct past *p, struct past_chunk *c, struct err *e)
{
    static const char sql[] =
        "SELECT r.id, a.worker, coalesce((SELECT host FROM run_workers w WHERE w.run ="
        " a.run AND w.name = a.worker), ''), coalesce(a.outcome, ''), coalesce(a.text, ''),"
        " a.attempt, a.started_ms, a.ms, a.peak_kb, a.chunks FROM attempts a CROSS JOIN "
        "runs r"
        " ON r.seq = a.run WHERE a.load = (SELECT load FROM attempts WHERE seq = ?1) AND"
        " a.input = ?2 AND a.begin BETWEEN ?3 - 65536 AND ?3 AND (a.begin = ?3 AND "
        "a.\"end\" = ?4 AND (a.chunks = 1 OR ?8)"
        " OR a.chunks > 1 AND a.\"end\" >= ?4 AND"
        " a.\"end\" - a.begin > ?4 - ?3) AND (a.run = ?5 OR (SELECT name"
        " FROM run_inputs i WHERE i.run = a.run AND i.input = a.input) = ?6) ORDER BY"
        " a.run, a.attempt, a.chunks LIMIT ?7";
    sqlite3_stmt *q;
    const struct past_value v[] = {
        PAST_NUMBER(p->first_attempt), PAST_NUMBER(c->range.input),
        PAST_NUMBER(c->range.begin),   PAST_NUMBER(c->range.end),
        PAST_NUMBER(p->seq),           PAST_TEXT(past_input_name(p, c->range.input)),
        PAST_NUMBER(PAST_TRIES),       PAST_NUMBER(c->chunks > 1)
    };
    err_t rc = past_ask(p->db, &q, sql, v, sizeof v / sizeof *v, e);
    while (past_next(q, &rc, e)) {
        struct past_try *t = past_grow(p, (void **)&c->tries, c->n, sizeof *t);
        if (!t) rc = err_set(e, ERR_NOMEM, "out of memory");
        if (!t) continue;
        *t = (struct past_try){ .run = past_text(p, q, 0),
                                .worker = past_text(p, q, 1),
                                .host = past_text(p, q, 2),
                                .outcome = past_text(p, q, 3),
                                .text = past_text(p, q, 4),
                                .attempt = (uint32_t)past_u64(q, 5),
                                .started_ms = sqlite3_column_int64(q, 6),
                                .ms = sqlite3_column_int64(q, 7),
                                .peak_kb = sqlite3_column_int64(q, 8),
                                .chunks = past_u64(q, 9) };
        c->n++;
    }
    if (c->n < PAST_TRIES) { // all are here
        drop_span_rows(c);
        c->n_tries = c->n;
    }
    return rc;
}

static err_t add_troubled(struct past *p, struct range r, struct err *e)
{
    if (p->all_troubled++ >= PAST_TROUBLED) return ERR_OK;
    struct past_chunk *c = past_grow(p, (void **)&p->troubled, p->n_troubled, sizeof *c);
    if (!c) return err_set(e, ERR_NOMEM, "out of memory");
    c->range = r;
    p->n_troubled++;
    return ERR_OK;
}

// Those that did not end well, by chunk, in the order of the input. One that another lies
// in was halved on the way to that one, or given out together with it, and is only counted:
// sorted so, the next one lies in it.
static err_t list_troubled(struct past *p, struct err *e)
{
    sqlite3_stmt *q;
    bool any = false;
    struct range last = { 0 };
    const struct past_value v[] = { PAST_NUMBER(p->seq), PAST_NUMBER(p->first_attempt) };
    err_t rc =
        past_ask(p->db, &q,
                 "SELECT input, begin, \"end\", count(*) FILTER (WHERE outcome IN"
                 " ('failed', 'died', 'timeout', 'bad result')), count(*) FROM"
                 " attempts WHERE seq >= ?2 AND outcome <> 'ok' AND run = ?1 AND " TROUBLE
                 " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 DESC",
                 v, 2, e);
    while (past_next(q, &rc, e)) {
        struct range r = { (uint32_t)past_u64(q, 0), past_u64(q, 1), past_u64(q, 2) };
        uint64_t failed = past_u64(q, 3);
        p->failed += failed;
        p->lost += past_u64(q, 4) - failed;
        if (any && range_contains(last, r))
            p->all_halved++;
        else if (any)
            rc = add_troubled(p, last, e);
        last = r;
        any = true;
    }
    return rc == ERR_OK && any ? add_troubled(p, last, e) : rc;
}

// The rows of its own that the chunk has in this run; a span it stood in is another's.
static err_t sum_up(struct past *p, struct past_chunk *c, bool *own, struct err *e)
{
    // A bare column beside max() is its row's.
    static const char sql[] =
        "SELECT min(seq), chunks, max(ms), count(*), worker FROM attempts WHERE load ="
        " (SELECT load FROM attempts WHERE seq = ?2) AND input = ?3 AND begin = ?4 AND"
        " \"end\" = ?5 AND run = ?1 AND seq >= ?2 AND chunks = 1";
    sqlite3_stmt *q;
    const struct past_value v[] = { PAST_NUMBER(p->seq), PAST_NUMBER(p->first_attempt),
                                    PAST_NUMBER(c->range.input),
                                    PAST_NUMBER(c->range.begin),
                                    PAST_NUMBER(c->range.end) };
    err_t rc = past_ask(p->db, &q, sql, v, 5, e);
    while (past_next(q, &rc, e)) {
        c->n_tries = (uint32_t)past_u64(q, 3);
        c->number = past_u64(q, 0) - (uint64_t)p->first_attempt + 1;
        c->chunks = past_u64(q, 1);
        c->ms = sqlite3_column_int64(q, 2);
        c->worker = past_text(p, q, 4);
    }
    *own = c->n_tries > 0;
    return rc;
}

// A run may have a hundred thousand attempts, of which few are of interest: each statement
// goes through them once, in the order in which they stand in the file, or not at all.
err_t past_load_chunks(struct past *p, struct err *e)
{
    const struct past_value v[] = { PAST_NUMBER(p->seq), PAST_NUMBER(p->first_attempt) };
    TRY(past_count(p->db, "SELECT count(*) FROM attempts WHERE seq >= ?2 AND run = ?1", v,
                   2, &p->attempts, e));
    TRY(list_chunks(p,
                    "SELECT input, begin, \"end\", seq, chunks, ms / chunks, attempt,"
                    " worker FROM attempts WHERE seq >= ?2 AND run = ?1 AND outcome = 'ok'"
                    " ORDER BY ms / chunks DESC, seq LIMIT ?3",
                    PAST_SLOWEST, &p->slowest, &p->n_slowest, e));
    TRY(list_troubled(p, e));
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_troubled; i++) {
        struct past_chunk *c = &p->troubled[i];
        bool own;
        TRY(sum_up(p, c, &own, e));
        if (own) TRY(load_tries(p, c, e));
        if (own) p->troubled[n++] = *c;
    }
    p->n_troubled = n;
    return ERR_OK;
}

// ---- one of them ----

static err_t by_number(struct past *p, uint64_t number, struct past_chunk *c, bool *found,
                       struct err *e)
{
    struct past_chunk *v = NULL;
    uint32_t n = 0;
    if (number > INT64_MAX / 2) number = 0;
    err_t rc = list_chunks(p,
                           "SELECT input, begin, \"end\", seq, chunks, ms, attempt, worker"
                           " FROM attempts WHERE run = ?1 AND seq = ?2 + ?3 - 1",
                           (int64_t)number, &v, &n, e);
    *found = rc == ERR_OK && n && number;
    if (*found) *c = v[0];
    return rc;
}

// The smallest that has this byte, of those that ended well before others.
static err_t by_byte(struct past *p, uint32_t input, uint64_t byte, struct past_chunk *c,
                     bool *found, struct err *e)
{
    char sql[400];
    struct past_chunk *v = NULL;
    uint32_t n = 0;
    *found = false;
    if (byte > INT64_MAX) return ERR_OK;
    snprintf(sql, sizeof sql,
             "SELECT input, begin, \"end\", seq, chunks, ms, attempt, worker FROM attempts"
             " WHERE run = ?1 AND seq >= ?2 AND input = %u AND begin <= ?3 AND \"end\" >"
             " ?3 ORDER BY \"end\" - begin, seq LIMIT 1",
             input);
    TRY(list_chunks(p, sql, (int64_t)byte, &v, &n, e));
    *found = n > 0;
    if (n) *c = v[0];
    return ERR_OK;
}

// The first row of this very range, or of those it was given out with.
static err_t by_range(struct past *p, struct range r, struct past_chunk *c, struct err *e)
{
    bool found;
    TRY(by_byte(p, r.input, r.begin, c, &found, e));
    if (!found) *c = (struct past_chunk){ .worker = "" };
    bool one = c->chunks > 1 && (c->range.begin != r.begin || c->range.end != r.end);
    if (one) c->chunks = 1; // of those
    if (c->chunks <= 1 && (c->range.begin != r.begin || c->range.end != r.end))
        c->number = 0;
    c->range = r;
    return ERR_OK;
}

// The input that is called so, or the only one whose path ends so.
static err_t find_input(const struct past *p, const char *name, size_t n, uint32_t *out,
                        struct err *e)
{
    uint32_t ends = 0;
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        const char *own = p->inputs[i].name, *base = strrchr(own, '/');
        base = base ? base + 1 : own;
        if (strlen(own) == n && !memcmp(own, name, n)) return *out = i, ERR_OK;
        if (strlen(base) != n || memcmp(base, name, n) != 0) continue;
        ends++;
        *out = i;
    }
    if (ends == 1) return ERR_OK;
    if (ends)
        return err_set(e, ERR_INVALID, "%u inputs of this run are called %.*s: give a path",
                       ends, (int)n, name);
    return err_set(e, ERR_INVALID, "%.*s is no input of this run%s%s", (int)n, name,
                   p->n_inputs ? "; its first one is " : "",
                   p->n_inputs ? p->inputs[0].name : "");
}

static err_t by_place(struct past *p, const char *what, const char *at,
                      struct past_chunk *c, struct past_rows *rows, struct err *e)
{
    uint32_t input = 0;
    bool found = false, line = *at == ':';
    char *end;
    errno = 0;
    uint64_t x = strtoull(at + 1, &end, 10), byte = x;
    if (*end || !isdigit((unsigned char)at[1]) || errno)
        return err_set(e, ERR_INVALID, "%s is no %s: say FILE:LINE or FILE@BYTE", at + 1,
                       line ? "line" : "byte");
    TRY(find_input(p, what, (size_t)(at - what), &input, e));
    if (line && past_input_in_rows(p, input))
        return err_set(e, ERR_INVALID, "%s has rows and no lines: say %s@%s",
                       past_input_name(p, input), past_input_name(p, input), at + 1);
    TRY(past_ledger_at(p, input, &byte, line ? x : 0, rows, e));
    if (!rows->unknown) return by_range(p, rows->range, c, e);
    if (line)
        return err_set(e, ERR_INVALID, "which chunk has line %s cannot be told: %s", at + 1,
                       rows->unknown);
    TRY(by_byte(p, input, byte, c, &found, e));
    if (found) return ERR_OK;
    return err_set(e, ERR_INVALID, "no chunk of this run has byte %s of %s: %s", at + 1,
                   past_input_name(p, input), rows->unknown);
}

err_t past_find_chunk(struct past *p, const char *what, struct past_chunk *c,
                      struct past_rows *rows, struct err *e)
{
    bool found;
    *c = (struct past_chunk){ .worker = "" };
    *rows = (struct past_rows){ .first = -1, .last = -1 };
    size_t digits = strspn(what, "0123456789");
    if (digits && !what[digits]) {
        errno = 0;
        uint64_t n = strtoull(what, NULL, 10);
        TRY(by_number(p, errno ? 0 : n, c, &found, e));
        if (!found)
            return err_set(e, ERR_INVALID,
                           "run %s has no chunk %s: 'tranche explain %s' names those that "
                           "were slow or failed, and FILE:LINE or FILE@BYTE finds any",
                           p->run.id, what, p->run.id);
        uint64_t byte = c->range.begin;
        TRY(past_ledger_at(p, c->range.input, &byte, 0, rows, e));
    } else {
        const char *at = what + strlen(what);
        while (at > what && *at != ':' && *at != '@')
            at--;
        if (at == what)
            return err_set(e, ERR_INVALID,
                           "%s is no chunk: say its number, FILE:LINE or FILE@BYTE", what);
        TRY(by_place(p, what, at, c, rows, e));
    }
    return load_tries(p, c, e);
}
