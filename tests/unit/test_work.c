#include "coordinator/work.h"
#include "tests/test.h"

#include <stdlib.h>

static struct work *add(struct works *w, uint64_t begin, uint64_t end, struct work *before)
{
    struct chunk_data *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->range = (struct range){ 0, begin, end };
    struct work *k = work_add(w, &c, before);
    assert_non_null(k);
    return k;
}

static void order_is(const struct works *w, const uint64_t *begins, size_t n)
{
    const struct work *k = w->first, *prev = NULL;
    for (size_t i = 0; i < n; i++, prev = k, k = k->next) {
        assert_non_null(k);
        EQ_I64(begins[i], k->key.begin);
        assert_ptr_equal(prev, k->prev);
    }
    assert_null(k);
    assert_ptr_equal(prev, w->last);
}

static void halves_stand_where_their_chunk_stood(void **state)
{
    (void)state;
    struct works w = { 0 };
    add(&w, 0, 10, NULL);
    struct work *k = add(&w, 10, 20, NULL);
    add(&w, 20, 30, NULL);
    add(&w, 10, 14, k);
    add(&w, 14, 20, k);
    work_drop(&w, &k);
    order_is(&w, (const uint64_t[]){ 0, 10, 14, 20 }, 4);
    works_free(&w);
}

// Its place was given up when its result went to the loader, where it turned out damaged.
static void a_chunk_whose_result_was_bad_stands_first_again(void **state)
{
    (void)state;
    struct works w = { 0 };
    struct work *k = add(&w, 0, 10, NULL);
    add(&w, 10, 20, NULL);
    work_leave_order(&w, k);
    order_is(&w, (const uint64_t[]){ 10 }, 1);
    work_rejoin_order(&w, k);
    work_rejoin_order(&w, k);
    order_is(&w, (const uint64_t[]){ 0, 10 }, 2);
    add(&w, 0, 4, k);
    add(&w, 4, 10, k);
    work_drop(&w, &k);
    order_is(&w, (const uint64_t[]){ 0, 4, 10 }, 3);
    works_free(&w);
}

static void several_bad_results_take_their_places_again(void **state)
{
    (void)state;
    struct works w = { 0 };
    struct work *k[4];
    for (uint64_t i = 0; i < 4; i++)
        k[i] = add(&w, 10 * i, 10 * i + 10, NULL);
    for (int i = 0; i < 3; i++)
        work_leave_order(&w, k[i]);
    for (int i = 0; i < 3; i++)
        work_rejoin_order(&w, k[i]);
    order_is(&w, (const uint64_t[]){ 0, 10, 20, 30 }, 4);
    works_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_stand_where_their_chunk_stood),
        cmocka_unit_test(a_chunk_whose_result_was_bad_stands_first_again),
        cmocka_unit_test(several_bad_results_take_their_places_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
