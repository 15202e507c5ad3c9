// What every sink must do. The bodies are the same for all of them.

#include "common/sink.h"
#include "tests/random_batch.h"
#include "tests/test.h"

enum { ROOM = 1 << 20 };

struct row {
    const char *name; // of the test
    const char *sink;
    bool silent;  // gives no bytes
    size_t slack; // room that a row wants beyond what it takes
    void (*body)(const struct row *, const struct sink_ops *);
};

struct bench { // an open sink, a batch that it takes, and room
    const struct sink_ops *sink;
    void *state;
    struct schema schema;
    struct batch batch;
    struct region to;
};

static void open_sink(struct bench *x, const struct sink_ops *sink, uint32_t rows)
{
    static const struct batch_taste TASTE = { 10, 5, 2, 5, 30, 2000 };
    struct err e;
    struct rnd r = rnd_seed(sink->name);
    *x = (struct bench){ .sink = sink, .to = { malloc(ROOM), ROOM, 0 } };
    random_schema(&r, 6, 20, &x->schema);
    random_batch(&r, &x->schema, rows, &TASTE, &x->batch);
    PASS(&e, sink->open(&x->state, &x->schema, &e));
}

static void close_sink(struct bench *x)
{
    x->sink->close(&x->state);
    assert_null(x->state);
    schema_free(&x->schema);
    batch_free(&x->batch);
    free(x->to.p);
}

static void is_found_by_its_name(const struct row *row, const struct sink_ops *sink)
{
    assert_string_equal(row->sink, sink->name);
    assert_null(sink_find(""));
    assert_null(sink_find("sqlit"));
}

static void close_copes_with_nothing(const struct row *row, const struct sink_ops *sink)
{
    (void)row;
    void *state = NULL;
    sink->close(&state);
    sink->close(&state);
    assert_null(state);
}

static void the_same_batch_gives_the_same_bytes(const struct row *row,
                                                const struct sink_ops *sink)
{
    struct bench x;
    struct err e;
    open_sink(&x, sink, 300);
    memset(x.to.p, 0x55, ROOM); // what stood there before must not shine through
    PASS(&e, sink->encode(x.state, &x.batch, &x.to, &e));
    size_t n = x.to.n;
    assert_int_equal(row->silent, n == 0);
    memset(x.to.p + n, 0xaa, ROOM - n);
    PASS(&e, sink->encode(x.state, &x.batch, &x.to, &e));
    EQ_I64(2 * n, x.to.n);
    assert_memory_equal(x.to.p, x.to.p + n, n);
    close_sink(&x);
}

static void appends_behind_what_is_there(const struct row *row, const struct sink_ops *sink)
{
    (void)row;
    struct bench x;
    struct err e;
    open_sink(&x, sink, 100);
    memset(x.to.p, 0x77, ROOM);
    x.to.n = 13;
    PASS(&e, sink->encode(x.state, &x.batch, &x.to, &e));
    for (int i = 0; i < 13; i++)
        assert_int_equal(0x77, x.to.p[i]);
    for (size_t i = x.to.n; i < ROOM; i++)
        if (x.to.p[i] != 0x77) fail_msg("wrote at %zu, past its end at %zu", i, x.to.n);
    close_sink(&x);
}

static void no_room_is_an_error_that_changes_nothing(const struct row *row,
                                                     const struct sink_ops *sink)
{
    struct bench x;
    struct err e;
    open_sink(&x, sink, 300);
    PASS(&e, sink->encode(x.state, &x.batch, &x.to, &e));
    size_t need = x.to.n;
    for (size_t step = 1; step <= need; step *= 2) {
        uint8_t *p = malloc(need - step + 5);
        struct region tight = { p, need - step + 5, 5 };
        EXPECT(ERR_TOOBIG, &e, sink->encode(x.state, &x.batch, &tight, &e));
        assert_true(strlen(e.text) > 0);
        EQ_I64(5, tight.n);
        free(p);
    }
    assert_int_equal(row->silent, need == 0);
    x.to = (struct region){ x.to.p, need + row->slack, 0 };
    PASS(&e, sink->encode(x.state, &x.batch, &x.to, &e)); // and it can go on
    close_sink(&x);
}

static void a_batch_without_rows_is_no_error(const struct row *row,
                                             const struct sink_ops *sink)
{
    (void)row;
    struct bench x;
    struct err e;
    open_sink(&x, sink, 0);
    PASS(&e, sink->encode(x.state, &x.batch, &x.to, &e));
    close_sink(&x);
}

static void a_result_of_a_few_rows_is_small(const struct row *row,
                                            const struct sink_ops *sink)
{
    (void)row;
    static const struct batch_taste SHORT = { 0, 0, 0, 0, 10, 0 };
    static const struct {
        uint32_t rows;
        size_t most;
    } SIZES[] = { { 1, 4 << 10 }, { 100, 64 << 10 } };
    struct err e;
    struct rnd r = rnd_seed(sink->name);
    for (size_t i = 0; i < N_OF(SIZES); i++) {
        struct bench x = { .sink = sink, .to = { malloc(ROOM), ROOM, 0 } };
        random_schema(&r, 3, 9, &x.schema);
        random_batch(&r, &x.schema, SIZES[i].rows, &SHORT, &x.batch);
        PASS(&e, sink->open(&x.state, &x.schema, &e));
        PASS(&e, sink->encode(x.state, &x.batch, &x.to, &e));
        if (x.to.n > SIZES[i].most)
            fail_msg("%u rows take %zu bytes", SIZES[i].rows, x.to.n);
        close_sink(&x);
    }
}

static void run_row(void **state)
{
    const struct row *row = *state;
    const struct sink_ops *sink = sink_find(row->sink);
    assert_non_null(sink);
    row->body(row, sink);
}

#define EVERY(body)                                        \
    { "sqlite_" #body, "sqlite", false, 0, body },         \
        { "csv_" #body, "csv", false, 1 << 16, body },     \
        { "jsonl_" #body, "jsonl", false, 1 << 16, body }, \
        { "pg_" #body, "postgres", false, 1 << 16, body }, \
        { "rows_" #body, "rows", false, 0, body },         \
    {                                                      \
        "null_" #body, "null", true, 0, body               \
    }

static const struct row ROWS[] = {
    EVERY(is_found_by_its_name),
    EVERY(close_copes_with_nothing),
    EVERY(the_same_batch_gives_the_same_bytes),
    EVERY(appends_behind_what_is_there),
    EVERY(no_room_is_an_error_that_changes_nothing),
    EVERY(a_batch_without_rows_is_no_error),
    EVERY(a_result_of_a_few_rows_is_small),
};

int main(void)
{
    return test_main("sink", NULL, 0, TABLE(ROWS, run_row), N_OF(ROWS));
}
