// When memory runs out in the middle, the codecs say so and keep nothing.

#include "proto/msg.h"
#include "proto/spec.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static long left = -1; // allocations until one fails; -1: none does
static long live;      // blocks that our code holds

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strndup(const char *s, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

static void *counted(void *p)
{
    live += p != NULL;
    return p;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
    if (fails()) return NULL;
    live -= p != NULL;
    return counted(__real_realloc(p, n));
}

char *__wrap_strndup(const char *s, size_t n)
{
    return fails() ? NULL : counted(__real_strndup(s, n));
}

void __wrap_free(void *p)
{
    live -= p != NULL;
    __real_free(p);
}

// What the tests work on. Everything in it is static: only the codecs allocate.
static const char *const nulls[] = { "NA", "-" };
#define T(text) ((char[]){ text }) // of the kind that a spec owns
static struct field columns[] = { { T("a"), TYPE_TEXT, false },
                                  { T("b"), TYPE_ANY, true } };
static char *argv[] = { T("python3"), T("a.py") };
static struct job_pair pairs[] = { { T("A"), T("b") } };
static struct step steps[] = {
    { .kind = STEP_SQL, .sql = T("SELECT 1") },
    { .kind = STEP_EXEC, .argv = { argv, N_OF(argv) }, .env = { pairs, 1 }, .dir = T("/") },
    { .kind = STEP_PLUGIN, .path = T("/a.so"), .args = { pairs, 1 } },
    { .kind = STEP_FORECAST,
      .forecast = { { argv, 1 }, T("ds"), T("y"), 30, 800, STEP_DAY, STEP_HOLIDAYS_US } },
};
static struct spec_param params[] = {
    { T("day"), { .kind = CELL_TEXT, .len = 3, .p = (const uint8_t *)"now" } },
    { T("n"), { .kind = CELL_INTEGER, .i = 7 } }
};
static struct spec_table tables[] = {
    { .name = T("t"),
      .schema = { columns, N_OF(columns) },
      .csv = (uint8_t *)"1,2\n",
      .csv_bytes = 4 },
    { .name = T("f"), .schema = { columns, N_OF(columns) }, .csv_bytes = 70000 }
};
static struct job_file files[] = {
    { .name = T("t.csv"), .path = T("/job/t.csv"), .size = 70010, .mode = 0400 },
    { .name = T("clean.py"), .path = T("/job/clean.py"), .size = 5, .mode = 0500 }
};
static const struct spec whole = { .dialect = { ',', '"', nulls, N_OF(nulls) },
                                   .in = { columns, N_OF(columns) },
                                   .steps = steps,
                                   .n_steps = N_OF(steps),
                                   .params = params,
                                   .n_params = N_OF(params),
                                   .tables = tables,
                                   .n_tables = N_OF(tables),
                                   .files = { files, N_OF(files) },
                                   .sink = T("sqlite"),
                                   .out = { columns, 1 } };

static err_t encode_spec(struct err *e)
{
    struct buf b = { 0 };
    err_t rc = spec_encode(&whole, &b, e);
    buf_free(&b);
    return rc;
}

static err_t decode_spec(struct err *e)
{
    static uint8_t bytes[1024];
    static size_t n;
    if (n == 0) { // the first time nothing fails
        struct buf b = { 0 };
        PASS(e, spec_encode(&whole, &b, e));
        assert_true(b.n <= sizeof bytes);
        memcpy(bytes, b.p, n = b.n);
        buf_free(&b);
    }
    struct spec s;
    err_t rc = spec_decode(&s, bytes, n, e);
    if (rc == ERR_OK) spec_free(&s);
    return rc;
}

static err_t encode_msg(struct err *e)
{
    static char tail[4096];
    memset(tail, 'x', sizeof tail);
    struct msg m = { .type = MSG_FAIL, .FAIL.stderr_tail = msg_str(tail, sizeof tail) };
    struct buf b = { 0 };
    err_t rc = msg_encode(&m, &b, e);
    buf_free(&b);
    return rc;
}

struct work {
    const char *name;
    err_t (*run)(struct err *e);
    long least; // allocations that it makes at least
};

static const struct work works[] = {
    { "encoding_a_spec", encode_spec, 3 },
    { "decoding_a_spec", decode_spec, 20 },
    { "encoding_a_message", encode_msg, 2 },
};

static void every_allocation_may_fail(void **state)
{
    const struct work *w = *state;
    struct err e;
    PASS(&e, w->run(&e));
    long before = live, nth = 0;
    for (err_t rc = ERR_NOMEM; rc != ERR_OK; nth++) {
        left = nth;
        rc = w->run(&e);
        bool failed = left < 0;
        left = -1;
        EQ_I64(before, live);
        EQ_I64(failed ? ERR_NOMEM : ERR_OK, rc);
    }
    assert_true(nth > w->least);
}

int main(void)
{
    return test_main("protocol without memory", NULL, 0,
                     TABLE(works, every_allocation_may_fail), N_OF(works));
}
