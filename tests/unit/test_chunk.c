#include "coordinator/chunk.h"
#include "tests/test.h"

#include <stdbool.h>

struct row {
    const char *name;
    enum chunk_state from;
    bool final;
};

static const struct row rows[] = {
    { "pending", CHUNK_PENDING, false },
    { "leased", CHUNK_LEASED, false },
    { "suspect", CHUNK_SUSPECT, false },
    { "received", CHUNK_RECEIVED, false },
    { "committed_is_final", CHUNK_COMMITTED, true },
    { "split_is_final", CHUNK_SPLIT, true },
    { "rejected_is_final", CHUNK_REJECTED, true },
};

static const bool allowed[CHUNK_N_STATES][CHUNK_N_STATES] = {
    //                   PENDING LEASED SUSPECT RECEIVED COMMITTED SPLIT REJECTED
    [CHUNK_PENDING] = { false, true, false, true, false, false, false },
    [CHUNK_LEASED] = { true, false, true, true, false, true, true },
    [CHUNK_SUSPECT] = { false, true, false, true, false, true, true },
    [CHUNK_RECEIVED] = { true, false, true, false, true, true, true },
};

static void moves_where_the_drawing_says(void **state)
{
    const struct row *row = *state;
    for (int to = 0; to < CHUNK_N_STATES; to++)
        if (chunk_may_move(row->from, to) != allowed[row->from][to])
            fail_msg("%s to %s", chunk_state_name(row->from), chunk_state_name(to));
    assert_true(chunk_terminal(row->from) == row->final);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal("PENDING", chunk_state_name(CHUNK_PENDING));
    assert_string_equal("REJECTED", chunk_state_name(CHUNK_REJECTED));
    assert_string_equal("?", chunk_state_name(CHUNK_N_STATES));
    assert_false(chunk_may_move(CHUNK_N_STATES, CHUNK_PENDING));
    assert_false(chunk_may_move(CHUNK_PENDING, CHUNK_N_STATES));
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(states_have_names) };
    return test_main("chunk", tests, N_OF(tests), TABLE(rows, moves_where_the_drawing_says),
                     N_OF(rows));
}
