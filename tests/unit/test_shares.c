// Requests are shared among workers that come and go, and never promised twice.

#include "coordinator/shares.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void join(struct shares *s, uint64_t id, uint32_t slots)
{
    struct err e;
    PASS(&e, shares_join(s, id, slots, &e));
}

// Every message arrives, and is confirmed at once.
static void settle(struct shares *s)
{
    struct shares_message m;
    while (shares_next(s, &m))
        shares_confirm(s, m.id, m.seq);
}

static void one_worker_gets_all(void **state)
{
    (void)state;
    struct shares s = { .total = 8 };
    join(&s, 1, 2);
    settle(&s);
    EQ_I64(8, shares_of(&s, 1));
    EQ_I64(0, shares_of(&s, 2));
    shares_free(&s);
}

static void parts_follow_the_slots(void **state)
{
    (void)state;
    struct shares s = { .total = 10 };
    join(&s, 1, 1);
    join(&s, 2, 3);
    settle(&s);
    EQ_I64(3, shares_of(&s, 1));
    EQ_I64(7, shares_of(&s, 2));
    join(&s, 2, 50); // is there already
    settle(&s);
    EQ_I64(7, shares_of(&s, 2));
    shares_free(&s);
}

static void more_workers_than_requests_wait_for_their_turn(void **state)
{
    (void)state;
    struct shares s = { .total = 2 };
    for (uint64_t id = 1; id <= 4; id++)
        join(&s, id, 8);
    settle(&s);
    EQ_I64(1, shares_of(&s, 1));
    EQ_I64(1, shares_of(&s, 2));
    EQ_I64(0, shares_of(&s, 3));
    assert_false(shares_wants(&s, 3));
    shares_leave(&s, 1);
    assert_true(shares_wants(&s, 3));
    settle(&s);
    EQ_I64(1, shares_of(&s, 3));
    EQ_I64(0, shares_of(&s, 4));
    shares_free(&s);
}

static void what_shrinks_is_given_away_only_when_it_is_confirmed(void **state)
{
    (void)state;
    struct shares s = { .total = 8 };
    struct shares_message m;
    join(&s, 1, 1);
    settle(&s);
    join(&s, 2, 1);
    assert_true(shares_next(&s, &m));
    EQ_I64(1, m.id);
    EQ_I64(4, m.requests);
    assert_false(shares_next(&s, &m));
    assert_true(shares_wants(&s, 2));
    uint64_t seq = m.seq;
    shares_confirm(&s, 1, seq - 1); // an older one
    assert_false(shares_next(&s, &m));
    shares_confirm(&s, 1, seq);
    assert_true(shares_next(&s, &m));
    EQ_I64(2, m.id);
    EQ_I64(4, m.requests);
    shares_free(&s);
}

// ---- workers that obey, messages that are under way ----

enum { WORKERS = 12, STEPS = 4000 };

struct worker {
    bool there;
    struct shares_message box[64]; // under way to it
    size_t n_box;
    uint32_t limit, busy;
    uint64_t owes[64]; // confirmations under way from it
    size_t n_owes;
    struct shares_message last; // not confirmed yet; seq 0: it was
};

static uint32_t pick(uint64_t *random, uint32_t n)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33) % n;
}

static void move(struct worker *w, struct shares *s, uint64_t id, uint32_t what)
{
    if (what == 0 && w->n_box) { // a message arrives
        w->last = w->box[0];
        w->limit = w->last.requests;
        memmove(w->box, w->box + 1, --w->n_box * sizeof *w->box);
    } else if (what == 1 && w->last.seq && w->busy <= w->limit) { // it confirms
        w->owes[w->n_owes++] = w->last.seq;
        w->last.seq = 0;
    } else if (what == 2 && w->n_owes) { // the confirmation arrives
        shares_confirm(s, id, w->owes[0]);
        memmove(w->owes, w->owes + 1, --w->n_owes * sizeof *w->owes);
    } else if (what == 3 && w->busy) {
        w->busy--;
    } else if (what >= 4 && w->busy < w->limit) {
        w->busy++;
    }
}

static void come_or_go(struct worker *w, struct shares *s, uint64_t id, uint64_t *random)
{
    if (w->there)
        shares_leave(s, id);
    else
        join(s, id, 1 + pick(random, 8));
    *w = (struct worker){ .there = !w->there };
}

static void simulate(uint64_t seed)
{
    static struct worker w[WORKERS];
    uint64_t random = seed;
    struct shares s = { .total = 1 + pick(&random, 20) };
    memset(w, 0, sizeof w);
    for (int i = 0; i < STEPS; i++) {
        uint32_t k = pick(&random, WORKERS), all = 0;
        struct shares_message m;
        if (pick(&random, 40) == 0)
            come_or_go(&w[k], &s, k, &random);
        else if (w[k].there)
            move(&w[k], &s, k, pick(&random, 7));
        while (shares_next(&s, &m)) {
            if (w[m.id].n_box == N_OF(w[m.id].box)) break;
            w[m.id].box[w[m.id].n_box++] = m;
        }
        for (int n = 0; n < WORKERS; n++)
            all += w[n].busy;
        if (all > s.total) fail_msg("step %d: %u requests of %u", i, all, s.total);
    }
    shares_free(&s);
}

static void never_more_than_the_total_is_under_way(void **state)
{
    (void)state;
    uint64_t seed =
        getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : (uint64_t)time(NULL);
    for (int i = 0; i < 100; i++) {
        print_message("SEED=%llu\n", (unsigned long long)(seed + (uint64_t)i));
        simulate(seed + (uint64_t)i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_gets_all),
        cmocka_unit_test(parts_follow_the_slots),
        cmocka_unit_test(more_workers_than_requests_wait_for_their_turn),
        cmocka_unit_test(what_shrinks_is_given_away_only_when_it_is_confirmed),
        cmocka_unit_test(never_more_than_the_total_is_under_way),
    };
    return test_main("shares", tests, N_OF(tests), NULL, 0);
}
