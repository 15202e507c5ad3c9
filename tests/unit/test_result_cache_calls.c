// Results that are kept for later runs, while each call and each allocation fails once:
// what is taken is what was kept, or nothing is.

#include "coordinator/result_cache.h"
#include "tests/failing_calls.h"
#include "tests/source_kit.h"

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES, EIO, SQLITE_IOERR, false },
    { "no_space", FAILING_FILES, ENOSPC, SQLITE_FULL, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_NOMEM, false },
};

enum { RESULTS = 5 };
static const char IMAGE[] = "the rows of a result";

struct caching {
    struct folder folder;
    struct spec spec;
    struct result_cache_opts opts;
    unsigned taken; // by a try in which something failed
};

static struct hash128 name_of(uint64_t i)
{
    return hash_bytes(&i, sizeof i);
}

static struct result result_of(uint64_t i)
{
    return (struct result){ .row = { .state = LEDGER_DONE, .rows_read = i + 1 },
                            .image = (const uint8_t *)IMAGE,
                            .image_bytes = i ? sizeof IMAGE : 0 };
}

static void set_up(struct caching *c)
{
    struct err e;
    *c = (struct caching){ .folder = folder_new() };
    PASS(&e, schema_add(&c->spec.in, "a", 1, TYPE_TEXT, false, &e));
    c->spec.dialect.delimiter = ',';
    c->spec.dialect.quote = '"';
    c->opts = (struct result_cache_opts){
        .state_dir = c->folder.path, .job = "a job", .spec = &c->spec, .max_bytes = 1 << 20
    };
}

static void tear_down(struct caching *c)
{
    spec_free(&c->spec);
    folder_rm(&c->folder);
}

// ---- what is done

static unsigned take_all(struct result_cache *cache)
{
    unsigned n = 0;
    for (uint64_t i = 0; i < RESULTS; i++) {
        struct result r, want = result_of(i);
        uint8_t *bytes = NULL;
        if (!result_cache_take(cache, name_of(i), &r, &bytes)) continue;
        n++;
        EQ_I64(want.row.rows_read, r.row.rows_read);
        EQ_I64(want.image_bytes, r.image_bytes);
        if (r.image_bytes) assert_memory_equal(IMAGE, bytes, sizeof IMAGE);
        free(bytes);
    }
    return n;
}

static err_t keep(void *arg, struct err *e)
{
    struct caching *c = arg;
    struct result_cache *cache;
    TRY(result_cache_open(&cache, &c->opts, e));
    for (uint64_t i = 0; i < RESULTS; i++) {
        struct result r = result_of(i);
        result_cache_keep(cache, name_of(i), &r);
    }
    const char *why = result_cache_why_not(cache);
    if (why) assert_non_null(strstr(why, "are not kept for the next one"));
    if (why) assert_null(result_cache_why_not(cache)); // once
    result_cache_close(&cache);
    return ERR_OK;
}

static err_t take(void *arg, struct err *e)
{
    struct caching *c = arg;
    struct result_cache *cache;
    TRY(result_cache_open(&cache, &c->opts, e));
    c->taken = take_all(cache);
    result_cache_close(&cache);
    return ERR_OK;
}

static void add_up(void *arg, const struct result_cache_sum *s)
{
    struct result_cache_sum *sum = arg;
    sum->results += s->results;
    sum->bytes += s->bytes;
}

static err_t list(void *arg, struct err *e)
{
    struct caching *c = arg;
    struct result_cache_sum sum = { 0 };
    return result_cache_list(c->folder.path, add_up, &sum, e);
}

static err_t clear(void *arg, struct err *e)
{
    struct caching *c = arg;
    struct result_cache_sum sum;
    return result_cache_clear(c->folder.path, &sum, e);
}

// ---- what is left

// Whatever failed, what is put in now can be taken.
static void works(void *arg, err_t rc, const struct err *e)
{
    struct caching *c = arg;
    struct err now;
    (void)rc, (void)e;
    PASS(&now, keep(c, &now));
    PASS(&now, take(c, &now));
    EQ_I64(RESULTS, c->taken);
}

static void starts_empty(void *arg, err_t rc, const struct err *e)
{
    struct caching *c = arg;
    struct err now;
    works(arg, rc, e);
    PASS(&now, clear(c, &now));
}

// ----

static void what_is_taken_is_what_was_kept(void **state)
{
    const struct failing_way *f = *state;
    struct caching c;
    struct err e;
    set_up(&c);
    assert_true(failing_ladder(f, keep, starts_empty, &c) > 0);
    works(&c, ERR_OK, NULL);
    assert_true(failing_ladder(f, take, works, &c) > 0);
    assert_true(failing_ladder(f, list, works, &c) > 0);
    assert_true(failing_ladder(f, clear, works, &c) > 0);
    PASS(&e, clear(&c, &e));
    PASS(&e, take(&c, &e));
    EQ_I64(0, c.taken);
    tear_down(&c);
}

// So little room that it is made to fit again and again.
static void a_small_cache_stays_small_whatever_fails(void **state)
{
    const struct failing_way *f = *state;
    struct caching c;
    struct err e;
    struct result_cache_sum sum = { 0 };
    set_up(&c);
    c.opts.max_bytes = 500;
    failing_ladder(f, keep, NULL, &c);
    PASS(&e, keep(&c, &e));
    PASS(&e, result_cache_list(c.folder.path, add_up, &sum, &e));
    assert_true(sum.results > 0 && sum.bytes <= c.opts.max_bytes);
    PASS(&e, take(&c, &e));
    assert_true(c.taken < RESULTS);
    tear_down(&c);
}

int main(void)
{
    int failed = test_main("result_cache_calls", NULL, 0,
                           TABLE(FAILS, what_is_taken_is_what_was_kept), N_OF(FAILS));
    return failed + test_main("result_cache_calls, small", NULL, 0,
                              TABLE(FAILS, a_small_cache_stays_small_whatever_fails),
                              N_OF(FAILS));
}
