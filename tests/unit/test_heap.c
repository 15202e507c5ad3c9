#include "common/heap.h"
#include "common/list.h"
#include "tests/test.h"

#include <stdlib.h>

struct item {
    int key;
    struct heap_node node;
};

static bool less(const struct heap_node *a, const struct heap_node *b)
{
    return LIST_OF(a, struct item, node)->key < LIST_OF(b, struct item, node)->key;
}

static void check_order(const struct heap *h)
{
    for (size_t i = 0; i < h->n; i++) {
        EQ_I64(i + 1, h->nodes[i]->at);
        if (i) assert_false(less(h->nodes[i], h->nodes[(i - 1) / 2]));
    }
}

static void gives_its_nodes_back_in_order(void **state)
{
    (void)state;
    struct heap h = { .less = less };
    struct item items[500] = { 0 };
    struct err e;
    PASS(&e, heap_reserve(&h, N_OF(items)));
    for (size_t i = 0; i < N_OF(items); i++) {
        items[i].key = (int)(i * 7919 % 501);
        heap_push(&h, &items[i].node);
    }
    check_order(&h);
    for (int last = -1; h.n;) {
        struct item *top = LIST_OF(heap_top(&h), struct item, node);
        assert_true(last <= top->key);
        last = top->key;
        heap_remove(&h, &top->node);
        EQ_I64(0, top->node.at);
    }
    assert_null(heap_top(&h));
    heap_free(&h);
}

static void keeps_its_order_when_any_node_moves_or_leaves(void **state)
{
    (void)state;
    struct heap h = { .less = less };
    struct item items[64] = { 0 };
    struct err e;
    PASS(&e, heap_reserve(&h, N_OF(items)));
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1103515245 + 12345;
        struct item *x = &items[seed >> 8 & 63];
        int key = (int)(seed >> 16 & 255);
        if (!x->node.at) {
            x->key = key;
            heap_push(&h, &x->node);
        } else if (key & 1) {
            x->key = key;
            heap_fix(&h, &x->node);
        } else {
            heap_remove(&h, &x->node);
        }
        check_order(&h);
    }
    heap_free(&h);
}

static void a_size_that_can_not_be_had_is_an_error(void **state)
{
    (void)state;
    struct err e;
    struct heap h = { .less = less };
    EXPECT(ERR_NOMEM, &e, heap_reserve(&h, SIZE_MAX / 4));
    assert_null(heap_top(&h));
}

static void removing_what_is_in_no_heap_is_harmless(void **state)
{
    (void)state;
    struct heap h = { .less = less };
    struct item x = { 0 };
    heap_remove(&h, &x.node);
    EQ_I64(0, h.n);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_its_nodes_back_in_order),
        cmocka_unit_test(keeps_its_order_when_any_node_moves_or_leaves),
        cmocka_unit_test(a_size_that_can_not_be_had_is_an_error),
        cmocka_unit_test(removing_what_is_in_no_heap_is_harmless),
    };
    return test_main("heap", tests, N_OF(tests), NULL, 0);
}
