// States of an aggregate as a worker sends them: records of u8 state, u16 length, bytes.
// Whatever comes, merging takes it or refuses it; and what it takes gives the same result
// in the other order and, for every eighth length of input, with so little memory that it
// goes to disk.

#include "common/agg_merge.h"
#include "tests/fuzz/fuzz.h"

static const char *const FUNCTIONS[] = {
    "count(*)",     "count(x)", "sum(x)",         "avg(y)",           "stddev(y)",
    "min(x)",       "max(x)",   "quantile(x, 1)", "quantile(x, 0.3)", "count_distinct(x)",
    "max_by(x, y)",
};
enum { N = sizeof FUNCTIONS / sizeof *FUNCTIONS, STATES = 9, RECORDS_MAX = 512 };

// What an honest worker gives for no row.
static void nothing(struct cell *c)
{
    static const uint8_t sum[] = { 0, 0, 0, 0, 0, 0 }, values[] = { 0, 0 };
    static const uint8_t squares[] = { 8, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, distinct[4] = { 0 };
    const struct cell empty[] = {
        { .kind = CELL_INTEGER, .i = 0 },
        { .kind = CELL_INTEGER, .i = 0 },
        { .kind = CELL_BLOB, .len = sizeof sum, .p = sum },
        { .kind = CELL_BLOB, .len = sizeof squares, .p = squares },
        { .kind = CELL_NULL },
        { .kind = CELL_NULL },
        { .kind = CELL_BLOB, .len = sizeof values, .p = values },
        { .kind = CELL_BLOB, .len = sizeof distinct, .p = distinct },
        { .kind = CELL_NULL },
    };
    memcpy(c, empty, sizeof empty);
}

static struct cell any_cell(const uint8_t *p, uint32_t n)
{
    struct cell c = { .kind = CELL_BLOB, .len = n, .p = p };
    if (n != 9 || p[0] > 2) return c;
    c = (struct cell){ .kind = p[0] };
    memcpy(&c.i, p + 1, sizeof c.i);
    return c;
}

struct record {
    const uint8_t *p;
    uint32_t n;
    uint8_t state;
};

static size_t cut(struct tape *t, struct record *v)
{
    size_t n = 0, got;
    for (; t->n >= 3 && n < RECORDS_MAX; n++) {
        v[n].state = (uint8_t)draw(t, 1) % STATES;
        uint32_t low = (uint32_t)draw(t, 1), high = (uint32_t)draw(t, 1);
        v[n].p = draw_bytes(t, low | high << 8, &got);
        v[n].n = (uint32_t)got;
    }
    return n;
}

static err_t add(struct agg_merge *m, const struct record *r)
{
    struct cell states[STATES];
    struct err e;
    uint8_t *copy = exact_copy(r->p, r->n);
    nothing(states);
    states[r->state] = any_cell(copy, r->n);
    err_t rc = agg_merge_add(m, states, &e);
    free(copy);
    if (rc != ERR_OK && rc != ERR_PROTO) abort();
    return rc;
}

// One is for all inputs, as one is for all groups of a job: whatever an input leaves in it
// must not be seen by the next, not even what was refused half way.
static void merge(struct agg_merge **pm, const struct agg *a, uint64_t memory,
                  const struct record *v, size_t n, bool backwards, err_t *rc)
{
    struct err e;
    if (!*pm) must(agg_merge_new(pm, a, memory, &e));
    if (agg_merge_states(*pm) != STATES) abort();
    agg_merge_start(*pm);
    *rc = ERR_OK;
    for (size_t i = 0; i < n && *rc == ERR_OK; i++)
        *rc = add(*pm, &v[backwards ? n - 1 - i : i]);
}

static void same(const struct cell *a, const struct cell *b)
{
    if (a->kind != b->kind || a->len != b->len) abort();
    if (a->kind == CELL_TEXT || a->kind == CELL_BLOB) {
        if (a->len && memcmp(a->p, b->p, a->len) != 0) abort();
    } else if (a->kind != CELL_NULL && a->i != b->i) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct agg a;
    static struct record v[RECORDS_MAX];
    struct cell there[N], back[N];
    struct err e;
    struct tape t = { data, size };
    err_t rc, other;
    for (size_t i = 0; a.n_fn < N; i++)
        must(agg_add_fn(&a, "f", FUNCTIONS[i], &e));
    size_t n = cut(&t, v);
    static struct agg_merge *large, *small, *w;
    struct agg_merge **m = size % 8 ? &large : &small;
    merge(m, &a, size % 8 ? 1 << 20 : 4096, v, n, false, &rc);
    merge(&w, &a, 1 << 20, v, n, true, &other);
    if (rc != other) abort();
    if (rc == ERR_OK) {
        must(agg_merge_result(*m, there, &e));
        must(agg_merge_result(w, back, &e));
        for (size_t i = 0; i < N; i++)
            same(&there[i], &back[i]);
    }
    return 0;
}
