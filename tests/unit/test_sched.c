#include "coordinator/sched.h"
#include "tests/test.h"

#include <stdbool.h>

// A scheduler and the clock of its test. `ran` keeps what it said last.
static struct sched *s;
static ns_t now;
static struct sched_action ran;

static const struct sched_opts usual = {
    .silence = 15 * NS_S,
    .lease = 60 * NS_S,
    .retry_backoff = 200 * NS_MS,
    .retries = 3,
    .credit_min = 2,
    .credit_max = 64,
    .credit_work = 5 * NS_MS,
    .memory_bytes = 1 << 20,
};

static void start_with(struct sched_opts o)
{
    sched_free(&s);
    s = sched_new(&o);
    assert_non_null(s);
    now = 1000 * NS_S;
}

static int fresh(void **state)
{
    (void)state;
    start_with(usual);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    sched_check(s);
    sched_free(&s);
    return 0;
}

static void add_sized(chunk_id c, uint64_t records, uint64_t held, uint32_t failures)
{
    struct range r = { 0, c * 100, c * 100 + 100 };
    struct err e = { 0 };
    PASS(&e, sched_chunk_add(s, c, r, records, held, failures, 0, now));
}

static void add(chunk_id c)
{
    add_sized(c, 10, 0, 0);
}

static void join(sid_u64 w, uint32_t slots)
{
    struct err e = { 0 };
    PASS(&e, sched_worker_join(s, w, slots, now));
}

static bool step(void)
{
    sched_check(s);
    bool any = sched_next(s, &ran, now);
    sched_check(s);
    return any;
}

static void quiet(void)
{
    if (step())
        fail_msg("unexpected action %d, worker %d, chunk %d", ran.what, (int)ran.worker,
                 (int)ran.chunk);
}

static void expect(enum sched_do what, sid_u64 w, chunk_id c)
{
    if (!step()) fail_msg("wanted action %d of chunk %d, got none", what, (int)c);
    EQ_I64(what, ran.what);
    EQ_I64(w, ran.worker);
    EQ_I64(c, ran.chunk);
}

// Expects that the chunk is assigned, to whomever, and returns to whom.
static sid_u64 assigned(chunk_id c)
{
    if (!step()) fail_msg("wanted chunk %d to be assigned, got nothing", (int)c);
    EQ_I64(SCHED_ASSIGN, ran.what);
    EQ_I64(c, ran.chunk);
    return ran.worker;
}

static bool result(sid_u64 w, chunk_id c, uint32_t attempt)
{
    return sched_result(s, w, c, attempt, 100, 10 * NS_MS, now);
}

static void done(sid_u64 w, chunk_id c, uint32_t attempt)
{
    assert_true(result(w, c, attempt));
    sched_committed(s, c, now);
}

static struct sched_counts counts(void)
{
    struct sched_counts n;
    sched_count(s, &n);
    return n;
}

// Lets time go by with all these sessions alive.
static void wait_alive(ns_t d, sid_u64 from, sid_u64 to)
{
    for (ns_t end = now + d; now < end;) {
        ns_t left = end - now;
        now += left < 5 * NS_S ? left : 5 * NS_S;
        for (sid_u64 w = from; w <= to; w++)
            sched_worker_spoke(s, w, now);
        sched_tick(s, now);
    }
}

// ---- dispatch ----

static void goes_in_input_order(void **state)
{
    (void)state;
    add(3);
    add(1);
    add(2);
    quiet();
    join(7, 2);
    assigned(1);
    assigned(2);
    assigned(3);
    EQ_I64(1, ran.attempt);
    quiet();
    done(7, 2, 1);
    done(7, 1, 1);
    done(7, 3, 1);
    assert_false(sched_finished(s));
    sched_no_more_chunks(s, now);
    assert_true(sched_finished(s));
    EQ_I64(3, counts().by_state[CHUNK_COMMITTED]);
}

static void spreads_over_workers_before_it_queues(void **state)
{
    (void)state;
    for (chunk_id c = 0; c < 8; c++)
        add(c);
    join(1, 1);
    join(2, 3);
    int per_worker[3] = { 0 };
    for (chunk_id c = 0; c < 4; c++)
        per_worker[assigned(c)]++;
    EQ_I64(1, per_worker[1]);
    EQ_I64(3, per_worker[2]);
    for (chunk_id c = 4; c < 8; c++)
        per_worker[assigned(c)]++;
    EQ_I64(2, per_worker[1]); // credit_min 2 a slot
    EQ_I64(6, per_worker[2]);
}

static void credit_grows_with_short_chunks_up_to_its_cap(void **state)
{
    (void)state;
    for (chunk_id c = 0; c < 200; c++)
        add(c);
    join(1, 1);
    assigned(0);
    assigned(1);
    quiet();
    for (chunk_id c = 0; c < 20; c++) { // 5 ms of work: 6, one more with each result
        assert_true(sched_result(s, 1, c, 1, 10, NS_MS, now));
        while (step())
            ;
        EQ_I64(c < 4 ? c + 3 : 6, counts().by_state[CHUNK_LEASED]);
    }
    for (chunk_id c = 20; c < 120; c++) { // the average follows
        assert_true(sched_result(s, 1, c, 1, 10, 1, now));
        while (step())
            ;
    }
    EQ_I64(64, counts().by_state[CHUNK_LEASED]);
    EQ_I64(0, counts().idle_slots);
}

static void credit_shrinks_when_results_come_late(void **state)
{
    (void)state;
    for (chunk_id c = 0; c < 400; c++)
        add(c);
    join(1, 2);
    for (chunk_id c = 0; c < 100; c++) {
        while (step())
            ;
        assert_true(sched_result(s, 1, c, 1, 10, 1, now));
    }
    EQ_I64(127, counts().by_state[CHUNK_LEASED]);
    for (chunk_id c = 100; c < 230; c++) { // one a second, however short the work
        now += NS_S;
        assert_true(sched_result(s, 1, c, 1, 10, 1, now));
        while (step())
            ;
    }
    EQ_I64(4, counts().by_state[CHUNK_LEASED]); // 2 a slot
}

static void wants_enough_for_all_credits_and_no_more(void **state)
{
    (void)state;
    EQ_I64(1, sched_wants(s)); // without workers: is there anything at all?
    join(1, 4);
    EQ_I64(12, sched_wants(s)); // 2 a slot, and one a slot in reserve
    for (chunk_id c = 0; c < 10; c++)
        add(c);
    EQ_I64(2, sched_wants(s));
    while (step())
        ;
    EQ_I64(8, counts().by_state[CHUNK_LEASED]);
    EQ_I64(2, sched_wants(s));
    sched_no_more_chunks(s, now);
    EQ_I64(0, sched_wants(s));
}

static void full_memory_lets_only_the_first_chunk_go(void **state)
{
    (void)state;
    struct sched_opts o = usual;
    o.memory_bytes = 1000;
    start_with(o);
    join(1, 4);
    add_sized(0, 10, 400, 0);
    add_sized(1, 10, 400, 0);
    assigned(0);
    assigned(1);
    // The second one's result comes first, and is large.
    assert_true(sched_result(s, 1, 1, 1, 5000, NS_MS, now));
    add_sized(2, 10, 10, 0);
    add_sized(3, 10, 10, 0);
    quiet();
    EQ_I64(0, sched_wants(s));
    sched_worker_gone(s, 1, now);
    join(2, 4);
    EQ_I64(2, assigned(0)); // the head is never held back
    quiet();
    done(2, 0, 2);
    sched_committed(s, 1, now);
    assigned(2);
}

static void a_busy_warehouse_holds_everything_back(void **state)
{
    (void)state;
    join(1, 4);
    add(0);
    add(1);
    assigned(0);
    sched_hold(s, true);
    quiet(); // not even the first chunk in order
    EQ_I64(0, sched_wants(s));
    sched_worker_gone(s, 1, now);
    join(2, 4);
    quiet();
    sched_hold(s, false);
    EQ_I64(2, assigned(0));
    assigned(1);
    assert_true(sched_wants(s) > 0);
}

static void a_chunk_larger_than_the_memory_is_asked_for(void **state)
{
    (void)state;
    struct sched_opts o = usual;
    o.memory_bytes = 10;
    start_with(o);
    join(1, 4);
    assert_true(sched_wants(s) >= 1);
    add_sized(0, 10, 4000, 0);
    EQ_I64(0, sched_wants(s));
    assigned(0);
    done(1, 0, 1);
    EQ_I64(1, sched_wants(s));
    EQ_I64(0, counts().held_bytes);
}

static void a_draining_worker_gets_nothing_new(void **state)
{
    (void)state;
    join(1, 2);
    add(0);
    assigned(0);
    sched_worker_drain(s, 1, now);
    add(1);
    quiet();
    done(1, 0, 1);
    quiet();
    join(2, 1);
    EQ_I64(2, assigned(1));
}

// ---- results ----

static void the_first_result_wins_and_later_ones_are_dropped(void **state)
{
    (void)state;
    join(1, 1);
    add(0);
    assigned(0);
    assert_true(result(1, 0, 1));
    assert_false(result(1, 0, 1));
    sched_committed(s, 0, now);
    assert_false(result(1, 0, 1));
    assert_false(result(9, 77, 1));
    EQ_I64(3, counts().duplicates);
}

static void a_late_result_of_a_lost_session_is_welcome(void **state)
{
    (void)state;
    join(1, 1);
    add(0);
    assigned(0);
    sched_worker_gone(s, 1, now);
    EQ_I64(1, counts().by_state[CHUNK_PENDING]);
    assert_true(result(1, 0, 1));
    join(2, 1);
    quiet();
    sched_committed(s, 0, now);
    EQ_I64(0, counts().retries);
}

// Chunk 0 was lost with worker 1 and runs on worker 2 when 1's result comes after all.
static void late_result_of_the_first_of_two(void)
{
    join(1, 1);
    add(0);
    assigned(0);
    sched_worker_gone(s, 1, now);
    join(2, 1);
    assigned(0);
    EQ_I64(2, ran.attempt);
    assert_true(result(1, 0, 1));
    expect(SCHED_CANCEL, 2, 0);
    EQ_I64(2, ran.attempt);
    add(1);
    add(2);
    assigned(1);
    quiet(); // the cancelled one holds its credit
}

static void a_cancelled_attempt_holds_its_credit_until_it_is_answered(void **state)
{
    (void)state;
    late_result_of_the_first_of_two();
    sched_failed(s, 2, 0, 2, FAIL_NOT_ITS, now);
    assigned(2);
    EQ_I64(1, counts().retries);
}

static void a_cancelled_attempt_holds_its_credit_until_its_chunk_is_done(void **state)
{
    (void)state;
    late_result_of_the_first_of_two();
    sched_committed(s, 0, now);
    assigned(2);
    sched_failed(s, 2, 0, 2, FAIL_NOT_ITS, now); // too late, harmless
    quiet();
}

static void attempts_count_on_from_earlier_incarnations(void **state)
{
    (void)state;
    struct err e = { 0 };
    join(1, 1);
    struct range r = { 0, 0, 10 };
    PASS(&e, sched_chunk_add(s, 5, r, 1, 0, 0, 41, now));
    assigned(5);
    EQ_I64(42, ran.attempt);
}

static void what_is_known_already_is_refused(void **state)
{
    (void)state;
    struct err e = { 0 };
    add(0);
    struct range r = { 0, 0, 10 }, none = { 0, 5, 5 };
    EXPECT(ERR_INVALID, &e, sched_chunk_add(s, 0, r, 1, 0, 0, 0, now));
    EXPECT(ERR_INVALID, &e, sched_chunk_add(s, 1, none, 1, 0, 0, 0, now));
    join(1, 1);
    EXPECT(ERR_INVALID, &e, sched_worker_join(s, 1, 1, now));
    EXPECT(ERR_INVALID, &e, sched_worker_join(s, 2, 0, now));
}

// ---- leases ----

static void a_lease_without_progress_expires_and_nobody_is_blamed(void **state)
{
    (void)state;
    join(1, 1);
    add_sized(0, 1, 0, 0);
    assigned(0);
    wait_alive(59 * NS_S, 1, 1);
    quiet();
    wait_alive(1 * NS_S, 1, 1);
    expect(SCHED_RESET, 1, 0);
    quiet(); // the session gets nothing until it comes back as another
    EQ_I64(1, counts().expired);
    EQ_I64(1, counts().by_state[CHUNK_PENDING]);
    sched_worker_gone(s, 1, now);
    join(2, 1);
    EQ_I64(2, assigned(0));
}

static void progress_renews_a_lease(void **state)
{
    (void)state;
    join(1, 1);
    add(0);
    assigned(0);
    for (int i = 0; i < 10; i++) {
        wait_alive(50 * NS_S, 1, 1);
        sched_progress(s, 1, 0, 1, now);
    }
    quiet();
    done(1, 0, 1);
}

static void what_waits_in_the_workers_queue_does_not_expire(void **state)
{
    (void)state;
    join(1, 1);
    add(0);
    add(1);
    assigned(0);
    assigned(1);
    for (int i = 0; i < 5; i++) {
        wait_alive(50 * NS_S, 1, 1);
        sched_progress(s, 1, 0, 1, now);
    }
    quiet();
    done(1, 0, 1); // now it is the second one's turn
    wait_alive(60 * NS_S, 1, 1);
    expect(SCHED_RESET, 1, 0);
}

static void a_silent_session_is_lost_and_told_so(void **state)
{
    (void)state;
    join(1, 1);
    add(0);
    assigned(0);
    now += 15 * NS_S;
    sched_tick(s, now);
    expect(SCHED_RESET, 1, 0);
    EQ_I64(0, counts().workers);
    sched_worker_gone(s, 1, now); // too late, harmless
    join(2, 1);
    EQ_I64(2, assigned(0));
}

static void a_reset_session_that_goes_on_speaking_is_told_again(void **state)
{
    (void)state;
    join(1, 1);
    add(0);
    assigned(0);
    wait_alive(60 * NS_S, 1, 1);
    expect(SCHED_RESET, 1, 0);
    wait_alive(10 * NS_S, 1, 1);
    quiet();
    now += 3600 * NS_S;
    EQ_I64(NS_NEVER, sched_tick(s, now));
    quiet();
    sched_worker_spoke(s, 1, now);
    expect(SCHED_RESET, 1, 0);
    sched_worker_gone(s, 1, now);
    quiet();
}

static void a_pause_of_the_loop_expires_nobody(void **state)
{
    (void)state;
    join(1, 1);
    add(0);
    assigned(0);
    now += 3600 * NS_S;
    sched_paused(s, 3600 * NS_S, now);
    ns_t next = sched_tick(s, now);
    quiet();
    EQ_I64(15 * NS_S, next - now);
    EQ_I64(1, counts().by_state[CHUNK_LEASED]);
}

static void tick_says_when_it_is_needed_next(void **state)
{
    (void)state;
    EQ_I64(NS_NEVER, sched_tick(s, now));
    join(1, 1);
    EQ_I64(now + 15 * NS_S, sched_tick(s, now));
    struct sched_opts o = usual;
    o.lease = NS_S;
    start_with(o);
    join(1, 1);
    add(0);
    assigned(0);
    EQ_I64(now + NS_S, sched_tick(s, now));
}

// ---- failures ----

static void a_failure_in_company_makes_a_suspect_that_runs_alone(void **state)
{
    (void)state;
    join(1, 2);
    for (chunk_id c = 0; c < 6; c++)
        add(c);
    for (chunk_id c = 0; c < 4; c++)
        assigned(c);
    sched_failed(s, 1, 0, 1, FAIL_RUNNER, now);
    EQ_I64(1, counts().by_state[CHUNK_SUSPECT]);
    assigned(4); // it waits out its back-off
    now += 200 * NS_MS;
    sched_tick(s, now);
    quiet(); // the only worker runs empty for it
    for (chunk_id c = 1; c < 5; c++) {
        quiet();
        done(1, c, 1);
    }
    assigned(0);
    EQ_I64(2, ran.attempt);
    quiet(); // nothing beside it
    done(1, 0, 2);
    assigned(5);
}

static void an_idle_worker_takes_a_suspect_first(void **state)
{
    (void)state;
    join(1, 1);
    join(2, 1);
    for (chunk_id c = 0; c < 2; c++)
        add(c);
    assigned(0);
    assigned(1);
    add_sized(5, 10, 0, 1); // failed in an earlier incarnation
    done(2, 1, 1);
    add(3);
    EQ_I64(2, assigned(5));
    EQ_I64(1, assigned(3));
    quiet();
}

static void a_lone_failure_of_many_records_splits_and_children_bisect_at_once(void **state)
{
    (void)state;
    struct err e = { 0 };
    join(1, 2);
    add_sized(0, 10, 0, 1);
    add(1);
    EQ_I64(1, assigned(0));
    sched_failed(s, 1, 0, 1, FAIL_TRANSFORM, now);
    expect(SCHED_SPLIT, 0, 0);
    assigned(1);
    quiet();
    PASS(&e, sched_chunk_add(s, 100, (struct range){ 0, 0, 50 }, 5, 0, 0, 0, now));
    PASS(&e, sched_chunk_add(s, 101, (struct range){ 0, 50, 100 }, 5, 0, 0, 0, now));
    sched_split_done(s, 0, now);
    assigned(100);
    assigned(101);
    sched_failed(s, 1, 101, 1, FAIL_TRANSFORM, now); // in company: splits all the same
    expect(SCHED_SPLIT, 0, 101);
    sched_split_done(s, 101, now);
    EQ_I64(2, counts().by_state[CHUNK_SPLIT]);
}

// Each part is split as soon as it is tried: whatever waits, only so many are under way.
static void parts_wait_while_many_splits_are_not_confirmed(void **state)
{
    (void)state;
    enum { AT_ONCE = 8, PARTS = 50 };
    struct err e = { 0 };
    join(1, 2);
    add_sized(0, 2 * PARTS, 0, 1);
    EQ_I64(1, assigned(0));
    sched_failed(s, 1, 0, 1, FAIL_TRANSFORM, now);
    expect(SCHED_SPLIT, 0, 0);
    for (uint64_t i = 0; i < PARTS; i++)
        PASS(&e, sched_chunk_add(s, 100 + i, (struct range){ 0, 2 * i, 2 * i + 2 }, 2, 0, 0,
                                 0, now));
    sched_split_done(s, 0, now);
    uint64_t first = 100, tried = 100;
    struct sched_action a;
    while (sched_next(s, &a, now)) {
        if (a.what == SCHED_ASSIGN) {
            EQ_I64(tried, a.chunk);
            sched_failed(s, 1, tried++, a.attempt, FAIL_TRANSFORM, now);
        }
        sched_check(s);
    }
    assert_true(tried >= 100 + AT_ONCE && tried < 100 + PARTS);
    uint64_t before = tried;
    sched_split_done(s, first++, now);
    while (sched_next(s, &a, now))
        if (a.what == SCHED_ASSIGN)
            sched_failed(s, 1, tried++, a.attempt, FAIL_TRANSFORM, now);
    EQ_I64(before + 1, tried);
    while (first < tried) { // all come to their turn
        sched_split_done(s, first++, now);
        while (sched_next(s, &a, now))
            if (a.what == SCHED_ASSIGN)
                sched_failed(s, 1, tried++, a.attempt, FAIL_TRANSFORM, now);
    }
    EQ_I64(100 + PARTS, tried);
    sched_check(s);
}

// A transform that fails where a record from `first_bad` on is among them. Chunks stand at
// their first record, which is a byte long.
struct hunt {
    struct seen_chunk {
        uint64_t begin, end;
    } chunk[4096];
    chunk_id n;
    uint64_t first_bad;
    uint32_t attempts, rejected, wholes_split;
};

static void hunt_add(struct hunt *h, uint64_t begin, uint64_t end)
{
    struct err e = { 0 };
    assert_true(h->n < N_OF(h->chunk));
    h->chunk[h->n] = (struct seen_chunk){ begin, end };
    PASS(&e, sched_chunk_add(s, h->n, (struct range){ 0, begin, end }, end - begin, 0, 0, 0,
                             now));
    h->n++;
}

static void hunt_step(struct hunt *h, uint64_t whole)
{
    struct seen_chunk c = h->chunk[ran.chunk];
    uint64_t middle = c.begin + (c.end - c.begin) / 2;
    if (ran.what == SCHED_ASSIGN) {
        h->attempts++;
        now += 2 * NS_MS;
        sched_worker_spoke(s, 1, now);
        sched_tick(s, now);
        if (c.end > h->first_bad)
            sched_failed(s, ran.worker, ran.chunk, ran.attempt, FAIL_TRANSFORM, now);
        else
            done(ran.worker, ran.chunk, ran.attempt);
    } else if (ran.what == SCHED_SPLIT) {
        h->wholes_split += c.end - c.begin == whole;
        hunt_add(h, c.begin, middle);
        hunt_add(h, middle, c.end);
        sched_split_done(s, ran.chunk, now);
    } else {
        EQ_I64(SCHED_REJECT, ran.what);
        EQ_I64(1, c.end - c.begin);
        h->rejected++;
        sched_rejected(s, ran.chunk, now);
    }
}

static void hunt(struct hunt *h, uint64_t whole, uint32_t rejects)
{
    while (h->rejected < rejects) {
        while (h->rejected < rejects && step())
            hunt_step(h, whole);
        now += 10 * NS_MS;
        sched_worker_spoke(s, 1, now);
        sched_tick(s, now);
    }
}

// Breadth first it would take 100,000 attempts to come to the first of them.
static void what_fails_at_every_row_is_followed_to_its_first_rows(void **state)
{
    (void)state;
    enum { WHOLES = 40, WHOLE = 4096 };
    static struct hunt h;
    h = (struct hunt){ .first_bad = 5 * WHOLE + 1000 };
    struct sched_opts o = usual;
    o.retry_backoff = 50 * NS_MS;
    start_with(o);
    join(1, 2);
    for (uint64_t i = 0; i < WHOLES; i++)
        hunt_add(&h, i * WHOLE, (i + 1) * WHOLE);
    hunt(&h, WHOLE, 20);
    // Each of the wholes was tried once, in company.
    assert_true(h.attempts - WHOLES < 300);
    assert_true(h.wholes_split <= 5);
}

static void one_record_of_what_failed_fails_just_as_often_as_it_may(void **state)
{
    (void)state;
    static const uint32_t retries[][2] = { { 0, 1 }, { 1, 1 }, { 2, 2 }, { 3, 3 } };
    for (size_t i = 0; i < N_OF(retries); i++) {
        struct sched_opts o = usual;
        o.retries = retries[i][0];
        start_with(o);
        join(1, 2);
        static struct hunt h;
        h = (struct hunt){ .first_bad = 1 };
        hunt_add(&h, 0, 2);
        hunt(&h, 2, 1);
        // Twice both together, once the good one.
        EQ_I64(2 + 1 + retries[i][1], h.attempts);
    }
}

static void parts_of_what_failed_leave_half_of_the_slots_to_others(void **state)
{
    (void)state;
    struct err e = { 0 };
    join(1, 4);
    add_sized(0, 100, 0, 1);
    EQ_I64(1, assigned(0));
    sched_failed(s, 1, 0, 1, FAIL_TRANSFORM, now);
    expect(SCHED_SPLIT, 0, 0);
    for (uint64_t i = 0; i < 10; i++)
        PASS(&e, sched_chunk_add(s, 100 + i, (struct range){ 0, 10 * i, 10 * i + 10 }, 10,
                                 0, 0, 0, now));
    sched_split_done(s, 0, now);
    for (chunk_id c = 1; c < 8; c++)
        add(c);
    assigned(100);
    assigned(101);
    for (chunk_id c = 1; c < 7; c++)
        assigned(c);
    quiet();
    done(1, 100, 1);
    assigned(102);
    sched_failed(s, 1, 101, 1, FAIL_TRANSFORM, now);
    expect(SCHED_SPLIT, 0, 101);
    assigned(103);
}

// In order nothing of the others can be loaded before it.
static void the_first_of_all_is_halved_whatever_else_is(void **state)
{
    (void)state;
    struct err e = { 0 };
    join(1, 1);
    add_sized(5, 100, 0, 1);
    assigned(5);
    sched_failed(s, 1, 5, 1, FAIL_TRANSFORM, now);
    expect(SCHED_SPLIT, 0, 5);
    PASS(&e, sched_chunk_add(s, 100, (struct range){ 0, 500, 550 }, 50, 0, 0, 0, now));
    PASS(&e, sched_chunk_add(s, 101, (struct range){ 0, 550, 600 }, 50, 0, 0, 0, now));
    sched_split_done(s, 5, now);
    add_sized(6, 100, 0, 1); // waits for the parts of 5
    assigned(100);
    assigned(101);
    quiet();
    add_sized(3, 100, 0, 1);
    quiet(); // until the worker is empty
    done(1, 100, 1);
    done(1, 101, 1);
    assigned(3);
    done(1, 3, 1);
    assigned(6);
}

static void a_record_that_fails_alone_every_time_is_rejected(void **state)
{
    (void)state;
    join(1, 2);
    add_sized(0, 1, 0, 0);
    assigned(0);
    sched_failed(s, 1, 0, 1, FAIL_TRANSFORM, now); // in company by definition: no blame
    ns_t waits[] = { 200 * NS_MS, 400 * NS_MS, 800 * NS_MS };
    for (uint32_t i = 0; i < 3; i++) {
        quiet();
        EQ_I64(now + waits[i], sched_tick(s, now));
        now += waits[i];
        sched_tick(s, now);
        assigned(0);
        EQ_I64(i + 2, ran.attempt);
        sched_failed(s, 1, 0, i + 2, FAIL_TRANSFORM, now);
    }
    expect(SCHED_REJECT, 0, 0);
    sched_no_more_chunks(s, now);
    assert_false(sched_finished(s));
    sched_rejected(s, 0, now);
    assert_true(sched_finished(s));
    EQ_I64(3, counts().retries);
}

static void a_nack_blames_nobody_but_does_not_spin(void **state)
{
    (void)state;
    join(1, 1);
    add_sized(0, 1, 0, 0);
    assigned(0);
    sched_failed(s, 1, 0, 1, FAIL_NOT_ITS, now);
    assigned(0);
    sched_failed(s, 1, 0, 2, FAIL_NOT_ITS, now);
    quiet();
    now += 200 * NS_MS;
    sched_tick(s, now);
    assigned(0);
    EQ_I64(0, counts().by_state[CHUNK_SUSPECT]);
}

static void a_failure_of_a_lease_given_up_counts_for_nothing(void **state)
{
    (void)state;
    join(1, 1);
    add_sized(0, 1, 0, 0);
    assigned(0);
    wait_alive(60 * NS_S, 1, 1);
    expect(SCHED_RESET, 1, 0);
    sched_failed(s, 1, 0, 1, FAIL_RUNNER, now);
    EQ_I64(1, counts().by_state[CHUNK_PENDING]);
}

static void a_damaged_result_is_tried_again_alone_then_split(void **state)
{
    (void)state;
    join(1, 1);
    add(0);
    assigned(0);
    assert_true(result(1, 0, 1));
    sched_result_bad(s, 0, now);
    EQ_I64(1, counts().by_state[CHUNK_SUSPECT]);
    now += 200 * NS_MS;
    sched_tick(s, now);
    assigned(0);
    assert_true(result(1, 0, 2));
    EQ_I64(100, counts().held_bytes);
    sched_result_bad(s, 0, now);
    expect(SCHED_SPLIT, 0, 0);
    sched_split_done(s, 0, now);
    EQ_I64(0, counts().held_bytes);
}

static void a_chunk_that_killed_earlier_coordinators_is_not_run_again(void **state)
{
    (void)state;
    join(1, 1);
    add_sized(0, 1, 0, SCHED_HOPELESS);
    add_sized(1, 10, 0, SCHED_HOPELESS);
    expect(SCHED_REJECT, 0, 0);
    expect(SCHED_SPLIT, 0, 1);
    quiet();
    sched_split_done(s, 1, now);
    sched_rejected(s, 0, now);
}

static void failures_of_earlier_incarnations_leave_one_attempt(void **state)
{
    (void)state;
    join(1, 1);
    add_sized(0, 1, 0, 9);
    assigned(0);
    sched_failed(s, 1, 0, 1, FAIL_TRANSFORM, now);
    expect(SCHED_REJECT, 0, 0);
    sched_rejected(s, 0, now);
}

static void a_chunk_under_which_workers_vanish_is_suspected_split_and_rejected(void **state)
{
    (void)state;
    struct err e = { 0 };
    add_sized(0, 2, 0, 0);
    sid_u64 w = 1;
    for (int i = 0; i < 3; i++, w++) {
        join(w, 1);
        EQ_I64(0, counts().by_state[CHUNK_SUSPECT]);
        assigned(0);
        sched_worker_gone(s, w, now);
    }
    EQ_I64(1, counts().by_state[CHUNK_SUSPECT]);
    for (int i = 0; i < 3; i++, w++) {
        now += NS_S; // others may have their turn in between
        sched_tick(s, now);
        join(w, 1);
        assigned(0);
        sched_worker_gone(s, w, now);
    }
    expect(SCHED_SPLIT, 0, 0);
    PASS(&e, sched_chunk_add(s, 1, (struct range){ 0, 0, 50 }, 1, 0, 0, 0, now));
    sched_split_done(s, 0, now);
    EQ_I64(1, counts().by_state[CHUNK_SUSPECT]);
    int killed = 0;
    for (; killed < 100; killed++, w++) {
        now += 60 * NS_S;
        sched_tick(s, now);
        join(w, 1);
        if (!step() || ran.what == SCHED_REJECT) break;
        sched_worker_gone(s, w, now);
    }
    EQ_I64(SCHED_REJECT, ran.what);
    assert_true(killed >= 9); // three failures, each at least three in a row
}

static void workers_that_vanish_now_and_then_make_no_suspects(void **state)
{
    (void)state;
    for (sid_u64 w = 1; w <= 50; w++) {
        chunk_id c = w;
        join(w, 1);
        add_sized(c, 1, 0, 0);
        assigned(c);
        sched_worker_gone(s, w, now);
        join(w + 100, 1);
        assigned(c);
        done(w + 100, c, 2);
        sched_worker_gone(s, w + 100, now);
    }
    EQ_I64(50, counts().by_state[CHUNK_COMMITTED]);
}

// ---- stragglers ----

static void a_straggler_gets_a_second_attempt_elsewhere(void **state)
{
    (void)state;
    join(1, 1);
    join(2, 1);
    add(0);
    add(1);
    assigned(0);
    sid_u64 second = assigned(1);
    sched_no_more_chunks(s, now);
    now += NS_S / 2;
    done(second, 1, 1);
    quiet();
    ns_t next = sched_tick(s, now);
    EQ_I64(NS_S / 2, next - now);
    now = next;
    sched_tick(s, now);
    expect(SCHED_ASSIGN, second, 0);
    EQ_I64(2, ran.attempt);
    quiet();
    EQ_I64(1, counts().speculated);
    EQ_I64(0, counts().retries);
    assert_true(result(second, 0, 2));
    expect(SCHED_CANCEL, 3 - second, 0);
    EQ_I64(1, ran.attempt);
    assert_false(result(3 - second, 0, 1)); // it was faster than the cancel
    sched_committed(s, 0, now);
    assert_true(sched_finished(s));
}

static void one_worker_alone_does_not_race_itself(void **state)
{
    (void)state;
    join(1, 4);
    add(0);
    add(1);
    assigned(0);
    assigned(1);
    done(1, 1, 1);
    now += 10 * NS_S;
    sched_worker_spoke(s, 1, now);
    sched_tick(s, now);
    quiet();
}

static void either_of_two_attempts_may_be_lost(void **state)
{
    (void)state;
    join(1, 1);
    join(2, 1);
    add(0);
    add(1);
    assigned(0);
    assigned(1);
    done(2, 1, 1);
    now += 2 * NS_S;
    sched_tick(s, now);
    expect(SCHED_ASSIGN, 2, 0);
    sched_worker_gone(s, 1, now);
    EQ_I64(1, counts().by_state[CHUNK_LEASED]);
    quiet();
    sched_failed(s, 2, 0, 2, FAIL_RUNNER, now);
    EQ_I64(1, counts().by_state[CHUNK_SUSPECT]);
}

// ---- answers ----

static void says_what_it_waits_for(void **state)
{
    (void)state;
    struct sched_wait w;
    assert_false(sched_waits_for(s, &w));
    add(1);
    add(2);
    assert_true(sched_waits_for(s, &w));
    EQ_I64(1, w.chunk);
    EQ_I64(CHUNK_PENDING, w.state);
    EQ_I64(0, w.worker);
    join(9, 1);
    now += NS_S;
    assigned(1);
    assert_true(sched_waits_for(s, &w));
    EQ_I64(CHUNK_LEASED, w.state);
    EQ_I64(9, w.worker);
    EQ_I64(1, w.attempt);
    EQ_I64(now, w.since);
    assert_true(result(9, 1, 1));
    assert_true(sched_waits_for(s, &w));
    EQ_I64(2, w.chunk);
}

static void a_worker_that_gives_everything_back_gets_no_more(void **state)
{
    (void)state;
    add(0);
    join(1, 1);
    for (uint32_t i = 1; i <= 17; i++) {
        EQ_I64(0, sched_worker_refuses(s, 1));
        assigned(0);
        sched_failed(s, 1, 0, i, FAIL_REFUSED, now);
        now += 60 * NS_S;
        sched_worker_spoke(s, 1, now);
        sched_tick(s, now);
    }
    EQ_I64(1, sched_worker_refuses(s, 1));
    quiet();
    join(2, 1);
    assigned(0);
    EQ_I64(2, ran.worker);
}

static void one_result_forgives_what_was_given_back(void **state)
{
    (void)state;
    add(0);
    add(1);
    join(1, 1);
    assigned(0);
    assigned(1);
    for (uint32_t i = 1; i <= 16; i++) {
        sched_failed(s, 1, 0, i, FAIL_REFUSED, now);
        now += 60 * NS_S;
        sched_worker_spoke(s, 1, now);
        sched_progress(s, 1, 1, 1, now);
        sched_tick(s, now);
        assigned(0);
    }
    assert_true(result(1, 1, 1));
    sched_failed(s, 1, 0, 17, FAIL_REFUSED, now);
    EQ_I64(0, sched_worker_refuses(s, 1));
}

static void a_result_that_is_its_workers_fault_is_made_anew_by_anybody(void **state)
{
    (void)state;
    add(0);
    add(1);
    join(1, 2);
    assigned(0);
    assigned(1);
    assert_true(result(1, 0, 1));
    sched_result_doubted(s, 0, now);
    assigned(0); // beside the other one: it is no suspect
    EQ_I64(2, ran.attempt);
    sched_result_doubted(s, 0, now); // not received: changes nothing
    quiet();
}

// Time goes by, five seconds a step, while the worker says nothing but this.
static void pass_with(ns_t d, void (*flow)(void))
{
    for (ns_t end = now + d; now < end;) {
        now += 5 * NS_S;
        flow();
        sched_tick(s, now);
    }
}

static uint64_t taken;

static void sends(void)
{
    sched_worker_sends(s, 1, now - NS_S, now);
}

static void takes_more(void)
{
    sched_worker_spoke(s, 1, now);
    sched_worker_takes(s, 1, taken += 10, now);
}

static void takes_nothing(void)
{
    sched_worker_spoke(s, 1, now);
    sched_worker_takes(s, 1, taken, now);
}

static void a_worker_that_sends_a_long_message_lives_and_keeps_its_leases(void **state)
{
    (void)state;
    add(0);
    add(1);
    join(1, 2);
    assigned(0);
    assigned(1);
    pass_with(600 * NS_S, sends);
    quiet();
    EQ_I64(0, counts().expired);
    done(1, 0, 1);
    now += 16 * NS_S;
    sched_tick(s, now);
    expect(SCHED_RESET, 1, 0);
}

static void bytes_that_came_long_ago_save_nobody(void **state)
{
    (void)state;
    add(0);
    join(1, 1);
    assigned(0);
    ns_t then = now;
    now += 15 * NS_S;
    sched_worker_sends(s, 1, then, now);
    sched_tick(s, now);
    expect(SCHED_RESET, 1, 0);
}

static void a_lease_begins_when_its_chunk_has_arrived(void **state)
{
    (void)state;
    taken = 0;
    add(0);
    join(1, 1);
    assigned(0);
    sched_sent(s, 1, 0, 1, 1205);
    pass_with(600 * NS_S, takes_more); // 1200 bytes
    EQ_I64(0, counts().expired);
    pass_with(5 * NS_S, takes_more);
    pass_with(55 * NS_S, takes_more); // other bytes mean nothing to it
    EQ_I64(0, counts().expired);
    pass_with(5 * NS_S, takes_more);
    EQ_I64(1, counts().expired);
    expect(SCHED_RESET, 1, 0);
}

static void a_chunk_that_no_longer_moves_loses_its_lease(void **state)
{
    (void)state;
    taken = 0;
    add(0);
    join(1, 1);
    assigned(0);
    sched_sent(s, 1, 0, 1, 1000);
    pass_with(60 * NS_S, takes_more);
    pass_with(55 * NS_S, takes_nothing);
    EQ_I64(0, counts().expired);
    pass_with(5 * NS_S, takes_nothing);
    EQ_I64(1, counts().expired);
}

static void a_chunk_that_we_read_first_waits_for_us(void **state)
{
    (void)state;
    taken = 0;
    add(0);
    join(1, 1);
    assigned(0);
    sched_sent(s, 1, 0, 1, SCHED_UNSENT);
    pass_with(600 * NS_S, takes_nothing);
    EQ_I64(0, counts().expired);
    sched_sent(s, 1, 0, 1, 0);
    pass_with(60 * NS_S, takes_nothing);
    EQ_I64(1, counts().expired);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(goes_in_input_order),
        T(spreads_over_workers_before_it_queues),
        T(credit_grows_with_short_chunks_up_to_its_cap),
        T(credit_shrinks_when_results_come_late),
        T(wants_enough_for_all_credits_and_no_more),
        T(full_memory_lets_only_the_first_chunk_go),
        T(a_busy_warehouse_holds_everything_back),
        T(a_chunk_larger_than_the_memory_is_asked_for),
        T(a_draining_worker_gets_nothing_new),
        T(the_first_result_wins_and_later_ones_are_dropped),
        T(a_late_result_of_a_lost_session_is_welcome),
        T(a_cancelled_attempt_holds_its_credit_until_it_is_answered),
        T(a_cancelled_attempt_holds_its_credit_until_its_chunk_is_done),
        T(attempts_count_on_from_earlier_incarnations),
        T(what_is_known_already_is_refused),
        T(a_lease_without_progress_expires_and_nobody_is_blamed),
        T(progress_renews_a_lease),
        T(what_waits_in_the_workers_queue_does_not_expire),
        T(a_silent_session_is_lost_and_told_so),
        T(a_reset_session_that_goes_on_speaking_is_told_again),
        T(a_pause_of_the_loop_expires_nobody),
        T(tick_says_when_it_is_needed_next),
        T(a_failure_in_company_makes_a_suspect_that_runs_alone),
        T(an_idle_worker_takes_a_suspect_first),
        T(a_lone_failure_of_many_records_splits_and_children_bisect_at_once),
        T(parts_wait_while_many_splits_are_not_confirmed),
        T(what_fails_at_every_row_is_followed_to_its_first_rows),
        T(one_record_of_what_failed_fails_just_as_often_as_it_may),
        T(parts_of_what_failed_leave_half_of_the_slots_to_others),
        T(the_first_of_all_is_halved_whatever_else_is),
        T(a_record_that_fails_alone_every_time_is_rejected),
        T(a_nack_blames_nobody_but_does_not_spin),
        T(a_failure_of_a_lease_given_up_counts_for_nothing),
        T(a_damaged_result_is_tried_again_alone_then_split),
        T(a_chunk_that_killed_earlier_coordinators_is_not_run_again),
        T(failures_of_earlier_incarnations_leave_one_attempt),
        T(a_chunk_under_which_workers_vanish_is_suspected_split_and_rejected),
        T(workers_that_vanish_now_and_then_make_no_suspects),
        T(a_straggler_gets_a_second_attempt_elsewhere),
        T(one_worker_alone_does_not_race_itself),
        T(either_of_two_attempts_may_be_lost),
        T(says_what_it_waits_for),
        T(a_worker_that_gives_everything_back_gets_no_more),
        T(one_result_forgives_what_was_given_back),
        T(a_result_that_is_its_workers_fault_is_made_anew_by_anybody),
        T(a_worker_that_sends_a_long_message_lives_and_keeps_its_leases),
        T(bytes_that_came_long_ago_save_nobody),
        T(a_lease_begins_when_its_chunk_has_arrived),
        T(a_chunk_that_no_longer_moves_loses_its_lease),
        T(a_chunk_that_we_read_first_waits_for_us),
    };
    return test_main("sched", tests, N_OF(tests), NULL, 0);
}
