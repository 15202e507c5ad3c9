// What a source asks of the C library, SQLite or PostgreSQL fails, each call once, from its
// opening to its end: a sentence and nothing left behind, or the very same rows.

#include "coordinator/source.h"
#include "tests/failing_calls.h"
#include "tests/source_kinds.h"

enum { N_ROWS = 60, BATCH = 17, CHUNKS = 16 };

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES | FAILING_SQLITE, EIO, SQLITE_IOERR, false },
    { "no_space", FAILING_FILES | FAILING_SQLITE, ENOSPC, SQLITE_FULL, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_NOMEM, false },
    { "refused", FAILING_POSTGRES, EIO, SQLITE_IOERR, false },
    { "cut", FAILING_POSTGRES, EIO, SQLITE_IOERR, true },
};

struct reading {
    const struct kind *kind;
    struct job job;
    struct buf rows; // all of them, as a person sees them
    struct committed done[CHUNKS];
    size_t n_done;
    struct buf rest; // without those
};

static bool is_in_database(const struct kind *k)
{
    return strncmp(k->name, "postgres", 8) == 0;
}

// ---- a run, of which any call may fail

// The rows of a chunk, or of one that is read again where it holds none.
static err_t show(const struct source *s, const struct chunk_data *c, struct buf *to,
                  struct committed *done, struct err *e)
{
    struct chunk_data *again[2] = { NULL, NULL };
    uint32_t n;
    err_t rc = ERR_OK;
    bool range = source_inputs(s, &n)->in_rows && !c->unread && !c->held;
    if (!c->held && !range)
        rc = source_reread(s, c->range, c->first_line, c->digest, false, again, e);
    const struct chunk_data *held = again[0] ? again[0] : c;
    for (size_t at = 0; rc == ERR_OK && !range && at < held->held;) {
        rc = source_show(s, held, &at, to, e);
        if (rc == ERR_OK) rc = buf_printf(to, e, "\n");
    }
    if (rc == ERR_OK && range)
        rc = buf_printf(to, e, "%llu-%llu\n", (unsigned long long)c->range.begin,
                        (unsigned long long)c->range.end);
    *done =
        (struct committed){ c->range, c->lines, c->records, c->unterminated, held->digest };
    chunk_data_free(&again[0]);
    return rc;
}

static err_t halve(const struct source *s, const struct chunk_data *c, struct err *e)
{
    struct chunk_data *half[2] = { NULL, NULL };
    err_t rc = c->held || c->unread
                   ? source_halve(s, c, half, e)
                   : source_reread(s, c->range, c->first_line, c->digest, true, half, e);
    if (rc == ERR_OK) {
        uint64_t n = half[0]->records + (half[1] ? half[1]->records : 0);
        if (n != c->records) fail_msg("%llu records in halves", (unsigned long long)n);
    }
    chunk_data_free(&half[0]);
    chunk_data_free(&half[1]);
    return rc;
}

static err_t begin(struct reading *r, struct source **s, struct err *e)
{
    struct schema names = { 0 }, types = { 0 };
    struct strings notes = { 0 };
    struct buf trial = { 0 };
    uint64_t about;
    err_t rc = source_open(s, &r->job, e);
    if (rc == ERR_OK) rc = source_names(*s, &names, &notes, e);
    if (rc == ERR_OK) rc = source_infer(*s, &r->job, &types, &trial, &about, e);
    if (rc == ERR_OK) rc = source_settle(*s, e);
    schema_free(&names);
    schema_free(&types);
    strings_free(&notes);
    buf_free(&trial);
    return rc;
}

static err_t read_on(struct source *s, struct buf *to, struct committed *done, size_t *n,
                     struct err *e)
{
    _Atomic uint64_t target = 100;
    struct chunk_data *c = NULL, *bad = NULL;
    err_t rc;
    *n = 0;
    while ((rc = source_next(s, &target, &c, &bad, e)) == ERR_OK && c) {
        assert_true(*n < CHUNKS);
        rc = show(s, c, to, &done[(*n)++], e);
        if (rc == ERR_OK && *n == 2) rc = halve(s, c, e);
        chunk_data_free(&c);
        if (rc != ERR_OK) break;
    }
    chunk_data_free(&bad);
    return rc;
}

static err_t read_all(struct reading *r, const struct committed *skip, size_t n_skip,
                      struct buf *to, struct committed *done, size_t *n, struct err *e)
{
    struct source *s = NULL;
    err_t rc = begin(r, &s, e);
    if (rc == ERR_OK && n_skip) rc = source_skip(s, 0, skip, n_skip, false, e);
    if (rc == ERR_OK) rc = read_on(s, to, done, n, e);
    source_close(&s);
    return rc;
}

static void is_same(const struct buf *want, const struct buf *got)
{
    if (want->n != got->n || memcmp(want->p, got->p, got->n) != 0)
        fail_msg("wanted\n%.*s\ngot\n%.*s", (int)want->n, (char *)want->p, (int)got->n,
                 (char *)got->p);
}

static err_t whole(void *arg, struct err *e)
{
    struct reading *r = arg;
    struct buf got = { 0 };
    struct committed done[CHUNKS];
    size_t n;
    err_t rc = read_all(r, NULL, 0, &got, done, &n, e);
    if (rc == ERR_OK) is_same(&r->rows, &got);
    buf_free(&got);
    return rc;
}

static err_t resumed(void *arg, struct err *e)
{
    struct reading *r = arg;
    struct buf got = { 0 };
    struct committed done[CHUNKS];
    size_t n;
    err_t rc = read_all(r, r->done, r->n_done, &got, done, &n, e);
    if (rc == ERR_OK) is_same(&r->rest, &got);
    buf_free(&got);
    return rc;
}

// ----

// Every second chunk is committed; what is left is read without a failure.
static void read_well(struct reading *r)
{
    struct err e;
    struct committed all[CHUNKS], rest[CHUNKS];
    size_t n, n_rest;
    PASS(&e, read_all(r, NULL, 0, &r->rows, all, &n, &e));
    assert_true(n > 2);
    for (size_t i = 0; i < n; i += 2)
        r->done[r->n_done++] = all[i];
    PASS(&e, read_all(r, r->done, r->n_done, &r->rest, rest, &n_rest, &e));
    EQ_I64(n - r->n_done, n_rest);
}

static void told(void *arg, err_t rc, const struct err *e)
{
    static const err_t may[] = { ERR_OK,   ERR_NOMEM, ERR_IO,     ERR_DB,
                                 ERR_FULL, ERR_BUSY,  ERR_CLOSED, ERR_INVALID };
    struct reading *r = arg;
    for (size_t i = 0; i < N_OF(may); i++)
        if (rc == may[i]) return;
    fail_msg("%s, %s failed: %s (%s)", r->kind->name, failing.was, err_name(rc), e->text);
}

static const struct kind *now;

static void what_fails_is_told_or_the_rows_are_the_same(void **state)
{
    const struct failing_way *f = *state;
    struct reading r = { .kind = now };
    struct folder folder = folder_new();
    if (!(f->kinds & FAILING_MEMORY) &&
        is_in_database(now) != !!(f->kinds & FAILING_POSTGRES))
        skip();
    now->make(&folder, &r.job, N_ROWS);
    r.job.batch_rows = BATCH;
    read_well(&r);
    long n = failing_ladder(f, whole, told, &r);
    n += failing_ladder(f, resumed, told, &r);
    assert_true(n > 3 || strcmp(now->name, "range") == 0);
    buf_free(&r.rows);
    buf_free(&r.rest);
    job_free(&r.job);
    folder_rm(&folder);
}

int main(int argc, char **argv)
{
    int failed = 0;
    pg_kit_start(&server);
    for (size_t i = 0; i < N_OF(kinds); i++) {
        now = &kinds[i];
        if (argc > 1 && strcmp(argv[1], now->name) != 0) continue;
        failed += test_main(now->name, NULL, 0,
                            TABLE(FAILS, what_fails_is_told_or_the_rows_are_the_same),
                            N_OF(FAILS));
    }
    pg_kit_end(&server);
    return failed;
}
