#include "coordinator/web_totals.h"

#include "coordinator/web_view_impl.h"

#include <string.h>

// Runs that had ended before the server began do not count; one that went on then does.
static err_t begin(struct web_view *v, struct web_totals *t, struct err *e)
{
    sqlite3_stmt *q;
    err_t rc = ERR_OK;
    TRY(web_view_ask(v, &q,
                     "SELECT coalesce(max(seq), 0) + 1 FROM runs WHERE started_ms < ?",
                     &v->facts.since_ms, 1, e));
    while (web_view_next(q, &rc, e))
        t->from = sqlite3_column_int64(q, 0);
    for (uint32_t i = 0; i < v->n_runs; i++)
        if (v->runs[i].goes_on && v->runs[i].seq < t->from) t->from = v->runs[i].seq;
    return rc;
}

static bool goes_on(const struct web_view *v, int64_t seq)
{
    for (uint32_t i = 0; i < v->n_runs; i++)
        if (v->runs[i].seq == seq) return v->runs[i].goes_on;
    return false;
}

static void add_end(struct web_sums *s, const char *status)
{
    if (strcmp(status, "running") == 0) status = "interrupted"; // its process is gone
#define X(member, text) s->member += strcmp(status, text) == 0;
    WEB_ENDS(X)
#undef X
}

static void add(struct web_sums *s, sqlite3_stmt *q, bool on)
{
    int column = 3;
#define X(member, a, b) s->member += web_view_u64(q, column++);
    WEB_SUMS(X)
#undef X
    s->begun++;
    if (on) return;
    const char *status = (const char *)sqlite3_column_text(q, 1);
    add_end(s, status ? status : "");
    s->seconds_ms += web_view_u64(q, 2);
}

// Runs before the first that goes on are added once and for all: they may be forgotten.
err_t web_totals_read(struct web_view *v, struct web_totals *t, struct err *e)
{
#define X(member, of_run, of_now) ", coalesce(r." of_run ", n." of_now ", 0)"
    static const char sql[] =
        "SELECT r.seq, r.status, cast(r.seconds * 1000 AS INT)" WEB_SUMS(
            X) " FROM runs r LEFT JOIN run_now n ON n.run = r.seq WHERE r.seq >= ? ORDER "
               "BY r.seq";
#undef X
    sqlite3_stmt *q;
    err_t rc = ERR_OK;
    bool all_over = true;
    if (!t->from) TRY(begin(v, t, e));
    TRY(web_view_ask(v, &q, sql, &t->from, 1, e));
    t->now = t->over;
    while (web_view_next(q, &rc, e)) {
        int64_t seq = sqlite3_column_int64(q, 0);
        bool on = goes_on(v, seq);
        all_over &= !on;
        add(&t->now, q, on);
        if (!all_over) continue;
        add(&t->over, q, false);
        t->from = seq + 1;
    }
    return rc;
}
