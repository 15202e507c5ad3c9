// A table by ranges of its blocks, copied by several connections at once. The transaction
// of the source exports its snapshot, and the others take it: all see one state. Lane i
// copies the ranges i, i + lanes, i + 2 * lanes, ... in a thread of its own; their rows are
// handed out range after range, which is the order of ctid. So rows have the numbers that
// one connection would give them, and only the fetching is parallel.
//
//   lane 0  | range 0 | range 2 | ...     a lane waits while it holds lane_bytes: the range
//   lane 1  | range 1 | range 3 | ...     that is wanted is the oldest of its lane, so the
//                 \ handed out in order   lane that is waited for never waits itself
//
// Sources: postgresql.org/docs/15/sql-set-transaction.html (SNAPSHOT), release-14 (TID
// range scans).

#include "coordinator/source_postgres.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LANES_MOST = 4,
    RANGE_BLOCKS = 256,              // 2 MiB, and some milliseconds of a server
    WORTH_BLOCKS = 4 * RANGE_BLOCKS, // less is read before others have connected
    PIECE_BYTES = 256 << 10,         // rows that are handed over at once
    LANE_BYTES_MOST = 8 << 20,       // that one lane reads ahead
    LANES_SHARE = 16,                // a lane's part of what a batch may have
};

struct piece { // rows of one range, each behind its length (size_t)
    struct piece *next;
    struct buf rows;
    bool last; // of its range
};

struct lane {
    struct postgres_table *t;
    uint32_t number;
    struct pg_rows rows;
    struct pg *own; // its connection; NULL: that of the source
    pthread_t thread;
    bool started;
    struct piece *first, *newest; // with the lock
    size_t held;                  // bytes of their buffers
};

struct postgres_table {
    struct source *s;
    char *name; // in SQL, with its schema
    uint64_t n_ranges, range_blocks;
    size_t lane_bytes;
    struct lane lane[LANES_MOST];
    uint32_t n_lanes;
    bool running;
    struct piece *open; // that is handed out, from `at` on
    size_t at;
    uint64_t range; // of it
    pthread_mutex_t lock;
    pthread_cond_t changed; // pieces came or went, a lane failed, all shall end
    bool stop;
    err_t rc; // of the lane that failed first
    struct err why;
};

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory");
}

static void piece_free(struct piece *p)
{
    if (p) buf_free(&p->rows);
    free(p);
}

// ---- a lane: between its connection and its pieces ----

// Takes *p, and waits until there is room.
static err_t hand_over(struct lane *l, struct piece **p, struct err *e)
{
    struct postgres_table *t = l->t;
    pthread_mutex_lock(&t->lock);
    while (!t->stop && l->held >= t->lane_bytes)
        pthread_cond_wait(&t->changed, &t->lock);
    bool stop = t->stop;
    if (!stop) {
        *(l->first ? &l->newest->next : &l->first) = *p;
        l->newest = *p;
        l->held += (*p)->rows.cap;
        *p = NULL;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return stop ? err_set(e, ERR_CLOSED, "nobody wants these rows") : ERR_OK;
}

static err_t read_row(struct lane *l, struct buf *to, bool *got, struct err *e)
{
    size_t at = to->n, n = 0;
    TRY(buf_add(to, &n, sizeof n, e));
    TRY(postgres_rows_next(&l->rows, to, got, e));
    n = to->n - at - sizeof n;
    memcpy(to->p + at, &n, sizeof n);
    if (!*got) to->n = at;
    return ERR_OK;
}

static err_t fill(struct lane *l, struct piece **p, struct err *e)
{
    *p = calloc(1, sizeof **p);
    if (!*p) return no_memory(e);
    TRY(buf_reserve(&(*p)->rows, PIECE_BYTES + PIECE_BYTES / 8, e));
    for (bool got = true; got && (*p)->rows.n < PIECE_BYTES; (*p)->last = !got)
        TRY(read_row(l, &(*p)->rows, &got, e));
    return ERR_OK;
}

// The last range has no end: what the server says of the size decides nothing.
static err_t range_copy(const struct lane *l, uint64_t range, char **copy, struct err *e)
{
    const struct postgres_table *t = l->t;
    unsigned long long begin = range * t->range_blocks, behind = begin + t->range_blocks;
    char *sql, end[64] = "";
    if (range + 1 < t->n_ranges)
        snprintf(end, sizeof end, " AND ctid < '(%llu,0)'", behind);
    if (asprintf(&sql, "SELECT * FROM %s WHERE ctid >= '(%llu,0)'%s", t->name, begin, end) <
        0)
        return no_memory(e);
    err_t rc = postgres_query_copy(sql, l->rows.kind, l->rows.n_cols, copy, e);
    free(sql);
    return rc;
}

static err_t read_range(struct lane *l, uint64_t range, struct err *e)
{
    char *copy;
    TRY(range_copy(l, range, &copy, e));
    err_t rc = postgres_rows_begin(&l->rows, copy, e);
    free(copy);
    for (bool more = true; rc == ERR_OK && more;) {
        struct piece *p = NULL;
        rc = fill(l, &p, e);
        more = rc == ERR_OK && !p->last;
        if (rc == ERR_OK) rc = hand_over(l, &p, e);
        piece_free(p);
    }
    return rc;
}

static void *lane_main(void *arg)
{
    struct lane *l = arg;
    struct postgres_table *t = l->t;
    struct err e;
    err_t rc = ERR_OK;
    for (uint64_t r = l->number; rc == ERR_OK && r < t->n_ranges; r += t->n_lanes)
        rc = read_range(l, r, &e);
    if (rc == ERR_OK) return NULL;
    pthread_mutex_lock(&t->lock);
    if (t->rc == ERR_OK) {
        t->rc = rc;
        t->why = e;
    }
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

// ---- rows in their order ----

static err_t start(struct postgres_table *t, struct err *e)
{
    t->running = true;
    for (uint32_t i = 0; i < t->n_lanes; i++) {
        struct lane *l = &t->lane[i];
        l->started = pthread_create(&l->thread, NULL, lane_main, l) == 0;
        if (!l->started) return err_set(e, ERR_NOMEM, "a thread cannot be started");
    }
    return ERR_OK;
}

static err_t next_piece(struct postgres_table *t, struct err *e)
{
    struct lane *l = &t->lane[t->range % t->n_lanes];
    pthread_mutex_lock(&t->lock);
    while (t->rc == ERR_OK && !l->first)
        pthread_cond_wait(&t->changed, &t->lock);
    err_t rc = t->rc;
    if (rc == ERR_OK) {
        t->open = l->first;
        l->first = t->open->next;
        l->held -= t->open->rows.cap;
        pthread_cond_broadcast(&t->changed);
    } else if (e) {
        *e = t->why;
    }
    pthread_mutex_unlock(&t->lock);
    t->at = 0;
    return rc;
}

err_t postgres_table_step(const struct source *s, struct buf *to, bool *got, struct err *e)
{
    struct postgres_table *t = ((struct postgres_source *)s->own)->by_ctid;
    if (!t->running) TRY(start(t, e));
    while (t->range < t->n_ranges) {
        if (!t->open) TRY(next_piece(t, e));
        if (t->at < t->open->rows.n) {
            size_t n;
            memcpy(&n, t->open->rows.p + t->at, sizeof n);
            t->at += sizeof n;
            TRY(buf_add(to, t->open->rows.p + t->at, n, e));
            t->at += n;
            *got = true;
            return ERR_OK;
        }
        t->range += t->open->last;
        piece_free(t->open);
        t->open = NULL;
    }
    return ERR_OK;
}

// ---- connections ----

// What the ranges need: no plan but theirs. A pooled session shall not keep it.
static const char PLAN[] = "SET LOCAL enable_seqscan = off; SET LOCAL enable_tidscan = on";
// Rows of a table in the order of their places, whoever reads them.
static const char IN_ORDER[] = "SET LOCAL synchronize_seqscans = off;"
                               "SET LOCAL max_parallel_workers_per_gather = 0";

struct about { // the table, and where it is
    const char *name;
    uint64_t blocks, all_blocks; // of its rows; with what they hold elsewhere (TOAST)
    char *snapshot, *server;
};

static const char SERVER[] = "SELECT pg_postmaster_start_time()::text";

static err_t one_text(struct pg *pg, const char *sql, char **out, struct err *e)
{
    PGresult *r;
    TRY(pg_query(pg, &r, sql, 0, NULL, e));
    *out = strdup(PQntuples(r) ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    return *out ? ERR_OK : no_memory(e);
}

// Another connection, in the same state. Nobody who wants the table for himself may come
// between the locks: he would wait for us, and we for him.
static err_t join(struct pg *pg, const struct about *a, struct err *e)
{
    char *sql, *server = NULL;
    int n = asprintf(
        &sql, "SET TRANSACTION SNAPSHOT '%s'; LOCK TABLE %s IN ACCESS SHARE MODE NOWAIT",
        a->snapshot, a->name);
    if (n < 0) return no_memory(e);
    err_t rc = pg_do(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
    if (rc == ERR_OK) rc = pg_do(pg, sql, e);
    free(sql);
    if (rc == ERR_OK) rc = one_text(pg, SERVER, &server, e);
    if (rc == ERR_OK && strcmp(server, a->server) != 0)
        rc = err_set(e, ERR_DB, "another connection leads to another server");
    free(server);
    TRY(rc);
    TRY(pg_do(pg, IN_ORDER, e));
    return pg_do(pg, PLAN, e);
}

static void add_lane(struct postgres_table *t, struct pg *own)
{
    struct postgres_source *x = t->s->own;
    struct lane *l = &t->lane[t->n_lanes];
    *l = (struct lane){ .t = t, .number = t->n_lanes++, .own = own };
    l->rows = (struct pg_rows){ .pg = own ? own : x->pg,
                                .name = t->s->in->name,
                                .kind = x->kind,
                                .n_cols = x->rows.n_cols };
}

static err_t say(struct source *s, uint32_t lanes, const char *why, struct err *e)
{
    struct postgres_source *x = s->own;
    const char *name = s->in->name;
    int n = lanes == 1
                ? asprintf(&x->one_only, "%.200s: one connection reads it: %s", name, why)
                : asprintf(&x->one_only, "%.200s: %u connections read it, no more: %s",
                           name, lanes, why);
    if (n >= 0) return ERR_OK;
    x->one_only = NULL;
    return no_memory(e);
}

// As many as there are; a server that has no place for more is no reason to fail.
static err_t connect_lanes(struct postgres_table *t, const char *conninfo, uint32_t want,
                           const struct about *a, struct err *e)
{
    struct postgres_source *x = t->s->own;
    struct err why;
    err_t rc = ERR_OK;
    add_lane(t, NULL);
    while (rc == ERR_OK && t->n_lanes < want) {
        struct pg *pg = NULL;
        rc = pg_open(&pg, conninfo, t->s->stop_fd, &why);
        if (rc == ERR_OK) rc = join(pg, a, &why);
        if (rc == ERR_OK)
            add_lane(t, pg);
        else
            pg_close(&pg);
    }
    if (rc == ERR_NOMEM) return no_memory(e);
    if (rc != ERR_OK) TRY(say(t->s, t->n_lanes, why.text, e));
    return t->n_lanes > 1 ? pg_do(x->pg, PLAN, e) : ERR_OK;
}

static err_t table_new(struct source *s, const struct about *a, struct postgres_table **out,
                       struct err *e)
{
    struct postgres_table *t = calloc(1, sizeof *t);
    if (!t) return no_memory(e);
    t->s = s;
    t->range_blocks = RANGE_BLOCKS * a->blocks / a->all_blocks;
    if (t->range_blocks == 0) t->range_blocks = 1;
    t->n_ranges = (a->blocks + t->range_blocks - 1) / t->range_blocks;
    t->lane_bytes = s->batch_bytes_most / LANES_SHARE;
    if (t->lane_bytes > LANE_BYTES_MOST) t->lane_bytes = LANE_BYTES_MOST;
    if (t->lane_bytes == 0) t->lane_bytes = 1;
    t->name = strdup(a->name);
    if (!t->name || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t->name);
        free(t);
        return no_memory(e);
    }
    if (pthread_cond_init(&t->changed, NULL) != 0) {
        pthread_mutex_destroy(&t->lock);
        free(t->name);
        free(t);
        return no_memory(e);
    }
    *out = t;
    return ERR_OK;
}

static err_t open_lanes(struct source *s, const char *conninfo, struct about a,
                        struct err *e)
{
    struct postgres_source *x = s->own;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t want = cores < LANES_MOST ? (uint32_t)cores : LANES_MOST;
    if (cores < 2) return ERR_OK;
    err_t rc = one_text(x->pg, "SELECT pg_export_snapshot()", &a.snapshot, e);
    if (rc == ERR_OK) rc = one_text(x->pg, SERVER, &a.server, e);
    if (rc == ERR_OK) rc = table_new(s, &a, &x->by_ctid, e);
    if (rc == ERR_OK) rc = connect_lanes(x->by_ctid, conninfo, want, &a, e);
    free(a.snapshot);
    free(a.server);
    if (rc == ERR_OK && x->by_ctid->n_lanes < 2) postgres_table_close(s);
    return rc;
}

err_t postgres_table_open(struct source *s, const char *conninfo, struct err *e)
{
    static const char sql[] =
        "SELECT format('%I.%I', n.nspname, c.relname), CASE "
        "WHEN c.relkind <> 'r' THEN 'it is not an ordinary table' "
        "WHEN c.relhassubclass THEN 'other tables inherit from it' "
        "WHEN c.relrowsecurity THEN 'it has row level security' "
        "WHEN a.amname <> 'heap' THEN 'it is not stored as a heap' "
        "WHEN current_setting('server_version_num')::int < 140000 "
        "THEN 'the server is older than PostgreSQL 14' END, "
        "CASE c.relkind WHEN 'r' THEN "
        "pg_relation_size(c.oid) / current_setting('block_size')::int END, "
        "CASE c.relkind WHEN 'r' THEN "
        "pg_table_size(c.oid) / current_setting('block_size')::int END "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_am a ON a.oid = c.relam WHERE c.oid = $1::regclass";
    struct postgres_source *x = s->own;
    const char *args[] = { x->table };
    PGresult *r;
    TRY(pg_query(x->pg, &r, sql, 1, args, e));
    err_t rc = ERR_OK;
    if (PQntuples(r) == 1 && !PQgetisnull(r, 0, 1)) {
        rc = say(s, 1, PQgetvalue(r, 0, 1), e);
    } else if (PQntuples(r) == 1) {
        struct about a = { .name = PQgetvalue(r, 0, 0),
                           .blocks = strtoull(PQgetvalue(r, 0, 2), NULL, 10),
                           .all_blocks = strtoull(PQgetvalue(r, 0, 3), NULL, 10) };
        rc = pg_do(x->pg, IN_ORDER, e);
        if (rc == ERR_OK && a.blocks && a.all_blocks >= WORTH_BLOCKS)
            rc = open_lanes(s, conninfo, a, e);
    }
    PQclear(r);
    return rc;
}

// ---- the end ----

static void stop(struct postgres_table *t)
{
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    source_stop(t->s);
}

static void lane_close(struct lane *l)
{
    if (l->started) pthread_join(l->thread, NULL);
    pg_close(&l->own);
    buf_free(&l->rows.scratch);
    while (l->first) {
        struct piece *p = l->first;
        l->first = p->next;
        piece_free(p);
    }
}

void postgres_table_close(struct source *s)
{
    struct postgres_source *x = s->own;
    struct postgres_table *t = x->by_ctid;
    if (!t) return;
    if (t->running && t->range < t->n_ranges) stop(t);
    for (uint32_t i = 0; i < t->n_lanes; i++)
        lane_close(&t->lane[i]);
    piece_free(t->open);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t->name);
    free(t);
    x->by_ctid = NULL;
}
