// Sheets of rows become text in their order, whoever prints them, and what goes wrong on
// the way is told to whoever fills them.

#include "coordinator/press.h"
#include "tests/batches.h"
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool no_threads;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *),
                          void *arg)
{
    return no_threads ? EAGAIN : __real_pthread_create(t, a, f, arg);
}

struct paper {
    struct press press;
    struct schema schema;
    struct buf text;
    pthread_t here;
    int puts, elsewhere; // all of them, and those from another thread
    int fails;           // this one, counted from 1; 0: none
};

static err_t put(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct paper *x = arg;
    x->elsewhere += !pthread_equal(x->here, pthread_self());
    if (++x->puts == x->fails)
        return err_set(e, ERR_FULL, "no paper for sheet %d", x->puts);
    return buf_add(&x->text, p, n, e);
}

static void open_press(struct paper *x)
{
    struct err e;
    *x = (struct paper){ .here = pthread_self() };
    schema_of(&x->schema, "n integer");
    PASS(&e, press_open(&x->press, sink_find("jsonl"), &x->schema, put, x, &e));
}

static void close_press(struct paper *x)
{
    press_close(&x->press);
    schema_free(&x->schema);
    buf_free(&x->text);
}

// A sheet with one row, its number.
static err_t fill(struct paper *x, int64_t n, struct err *e)
{
    struct sheet *s;
    TRY(press_sheet(&x->press, &s, e));
    EQ_I64(0, s->batch.rows);
    s->batch.col[0].any[0] = (struct cell){ .kind = CELL_INTEGER, .i = n };
    s->batch.rows = 1;
    return press_turn(&x->press, e);
}

static void has_rows(const struct paper *x, int64_t n)
{
    const char *at = (const char *)x->text.p;
    for (int64_t i = 0; i < n; i++) {
        char row[40];
        int length = snprintf(row, sizeof row, "{\"n\":%lld}\n", (long long)i);
        assert_memory_equal(row, at, (size_t)length);
        at += length;
    }
    EQ_I64(x->text.n, at - (const char *)x->text.p);
}

static void many_sheets_are_printed_in_order_while_others_are_filled(void **state)
{
    (void)state;
    enum { MANY = 500 };
    struct paper x;
    struct err e;
    open_press(&x);
    for (int64_t i = 0; i < MANY; i++)
        PASS(&e, fill(&x, i, &e));
    PASS(&e, press_end(&x.press, &e));
    has_rows(&x, MANY);
    EQ_I64(MANY - 1, x.elsewhere);
    close_press(&x);
}

static void one_sheet_needs_no_thread(void **state)
{
    (void)state;
    struct paper x;
    struct err e;
    open_press(&x);
    PASS(&e, fill(&x, 0, &e));
    has_rows(&x, 1);
    PASS(&e, press_end(&x.press, &e));
    EQ_I64(0, x.elsewhere);
    close_press(&x);
}

static void without_threads_the_caller_prints(void **state)
{
    (void)state;
    struct paper x;
    struct err e;
    open_press(&x);
    no_threads = true;
    for (int64_t i = 0; i < 3 * SHEETS; i++)
        PASS(&e, fill(&x, i, &e));
    no_threads = false;
    PASS(&e, press_end(&x.press, &e));
    has_rows(&x, 3 * SHEETS);
    EQ_I64(0, x.elsewhere);
    close_press(&x);
}

static void no_sheet_is_no_text(void **state)
{
    (void)state;
    struct paper x;
    struct err e;
    open_press(&x);
    PASS(&e, press_end(&x.press, &e));
    EQ_I64(0, x.puts);
    close_press(&x);
}

static void what_fails_in_the_thread_ends_the_filling(void **state)
{
    (void)state;
    struct paper x;
    struct err e;
    err_t rc = ERR_OK;
    int64_t n = 0;
    open_press(&x);
    x.fails = 3;
    while (rc == ERR_OK) // sheets are few: it waits for one that is never given back
        rc = fill(&x, n++, &e);
    EXPECT(ERR_FULL, &e, rc);
    assert_string_equal("no paper for sheet 3", e.text);
    EQ_I64(3, x.puts);
    EXPECT(ERR_FULL, &e, press_end(&x.press, &e));
    has_rows(&x, 2);
    close_press(&x);
}

static void what_fails_last_is_told_at_the_end(void **state)
{
    (void)state;
    struct paper x;
    struct err e = { 0 };
    open_press(&x);
    x.fails = 2;
    PASS(&e, fill(&x, 0, &e));
    PASS(&e, fill(&x, 1, &e));
    EXPECT(ERR_FULL, &e, press_end(&x.press, &e));
    assert_string_equal("no paper for sheet 2", e.text);
    close_press(&x);
}

static void what_fails_on_the_first_sheet_is_told_at_once(void **state)
{
    (void)state;
    struct paper x;
    struct err e;
    open_press(&x);
    x.fails = 1;
    EXPECT(ERR_FULL, &e, fill(&x, 0, &e));
    close_press(&x);
}

static void closing_waits_for_what_is_being_printed(void **state)
{
    (void)state;
    struct paper x;
    struct err e;
    open_press(&x);
    for (int64_t i = 0; i < SHEETS; i++)
        PASS(&e, fill(&x, i, &e));
    press_close(&x.press);
    has_rows(&x, SHEETS);
    schema_free(&x.schema);
    buf_free(&x.text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_sheets_are_printed_in_order_while_others_are_filled),
        cmocka_unit_test(one_sheet_needs_no_thread),
        cmocka_unit_test(without_threads_the_caller_prints),
        cmocka_unit_test(no_sheet_is_no_text),
        cmocka_unit_test(what_fails_in_the_thread_ends_the_filling),
        cmocka_unit_test(what_fails_last_is_told_at_the_end),
        cmocka_unit_test(what_fails_on_the_first_sheet_is_told_at_once),
        cmocka_unit_test(closing_waits_for_what_is_being_printed),
    };
    return test_main("press", tests, N_OF(tests), NULL, 0);
}
