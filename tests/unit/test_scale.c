#include "coordinator/cli_scale.h"
#include "coordinator/scale_policy.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// ---- how many ----

struct wanted {
    const char *name;
    uint32_t min, max, per_worker;
    struct scale_view v; // running, waiting, to_come, idle_slots, workers, slots, have
    uint32_t want;
};

static const struct wanted wanted[] = {
    { "two_a_slot_where_nothing_is_said", 0, 10, 0, { 8, 57, 0, 0, 2, 16, 2 }, 5 },
    { "two_where_nobody_knows_the_slots", 0, 10, 0, { 0, 9, 0, 0, 0, 0, 0 }, 5 },
    { "nothing_to_do_wants_nobody", 0, 10, 4, { 0, 0, 0, 0, 0, 0, 0 }, 0 },
    { "the_least_are_there_in_any_case", 2, 10, 4, { 0, 0, 0, 0, 0, 0, 0 }, 2 },
    { "one_batch_is_reason_enough_for_one", 0, 10, 4, { 0, 1, 0, 0, 0, 0, 0 }, 1 },
    { "a_worker_for_each_few_batches", 0, 10, 4, { 0, 9, 0, 0, 0, 0, 0 }, 3 },
    { "what_is_to_come_counts", 0, 10, 4, { 0, 1, 30, 0, 0, 0, 0 }, 8 },
    { "what_runs_counts", 0, 10, 4, { 16, 0, 0, 0, 4, 0, 4 }, 4 },
    { "never_more_than_the_most", 0, 10, 4, { 8, 100, 1000000, 0, 2, 0, 2 }, 10 },
    { "huge_queues_are_no_small_ones",
      0,
      7,
      1,
      { UINT64_MAX, UINT64_MAX, INT64_MAX, 0, 0, 0, 0 },
      7 },
    { "nobody_leaves_while_batches_wait", 0, 10, 4, { 4, 4, 0, 0, 8, 0, 8 }, 8 },
    { "nobody_leaves_while_there_is_more_to_come", 0, 10, 4, { 4, 0, 4, 0, 8, 0, 8 }, 8 },
    { "at_the_end_those_with_batches_stay", 0, 10, 4, { 5, 0, 0, 3, 8, 0, 8 }, 5 },
    { "at_the_end_no_more_come", 0, 10, 1, { 5, 0, 0, 0, 5, 0, 5 }, 5 },
    { "more_batches_in_hand_than_workers_stay_as_many",
      0,
      10,
      4,
      { 9, 0, 0, 0, 4, 0, 4 },
      4 },
    { "the_least_stay", 3, 10, 4, { 0, 0, 0, 8, 8, 0, 8 }, 3 },
    { "more_than_the_most_are_too_many", 0, 4, 1, { 9, 9, 9, 0, 8, 0, 8 }, 4 },
    { "unknown_and_the_first_batch_wants_one", 0, 40, 4, { 0, 1, -1, 0, 0, 0, 0 }, 1 },
    { "unknown_and_all_busy_wants_twice_as_many", 0, 40, 4, { 6, 2, -1, 0, 3, 0, 3 }, 6 },
    { "unknown_and_somebody_idle_wants_no_more", 0, 40, 4, { 6, 2, -1, 1, 3, 0, 3 }, 3 },
    { "unknown_and_all_busy_but_nothing_waits", 0, 40, 4, { 6, 0, -1, 0, 3, 0, 3 }, 3 },
    { "unknown_and_all_idle_wants_fewer", 0, 40, 4, { 0, 0, -1, 3, 3, 0, 8 }, 0 },
    { "idle_slots_beside_batches_that_wait_want_no_more",
      0,
      9,
      1,
      { 6, 9, 9, 1, 3, 0, 3 },
      3 },
    { "idle_slots_and_the_least_are_not_there", 5, 9, 1, { 6, 9, 9, 1, 3, 0, 3 }, 5 },
    { "unknown_twice_as_many_within_the_most", 0, 40, 4, { 60, 2, -1, 0, 30, 0, 30 }, 40 },
};

static void is_wanted(void **state)
{
    const struct wanted *w = *state;
    struct scale_rule r = { .min = w->min, .max = w->max, .per_worker = w->per_worker };
    EQ_I64(w->want, scale_wanted(&r, &w->v));
}

static void whatever_comes_the_limits_hold(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    for (int i = 0; i < 20000; i++) {
        struct scale_rule r = { .per_worker = (uint32_t)rand() % 9 };
        r.min = (uint32_t)rand() % 5;
        r.max = r.min + 1 + (uint32_t)rand() % 50;
        struct scale_view v = { .running = (uint64_t)rand() % 60,
                                .waiting = (uint64_t)rand() % 60,
                                .to_come = rand() % 60 - 1,
                                .idle_slots = (uint32_t)rand() % 3,
                                .workers = (uint32_t)rand() % 60,
                                .slots = (uint32_t)rand() % 90,
                                .have = (uint32_t)rand() % 60 };
        uint32_t n = scale_wanted(&r, &v);
        assert_true(n >= r.min && n <= r.max);
        if (v.waiting && v.have <= r.max) assert_true(n >= v.have); // nobody leaves work
        if (v.waiting && v.have == 0) assert_true(n > 0);           // nobody is stuck
    }
}

static void slots_that_were_asked_for_count_until_workers_are_there(void **state)
{
    (void)state;
    struct scale_rule r = { .max = 10, .slots = 4 };
    EQ_I64(2, scale_wanted(&r, &(struct scale_view){ .waiting = 16 }));
    struct scale_view v = { .waiting = 16, .workers = 1, .slots = 1, .have = 1 };
    EQ_I64(8, scale_wanted(&r, &v));
}

// ---- workers that fail ----

static void three_failures_in_a_row_begin_a_pause_that_doubles(void **state)
{
    (void)state;
    struct scale_brake b = { .pause = 10 };
    assert_false(scale_failed(&b, 1, 0));
    assert_false(scale_failed(&b, 1, 1));
    EQ_I64(UINT32_MAX, scale_may_start(&b, 1));
    assert_true(scale_failed(&b, 1, 2));
    EQ_I64(12, b.until);
    EQ_I64(0, scale_may_start(&b, 11));
    assert_false(scale_failed(&b, 5, 11)); // those that were started before
    EQ_I64(1, scale_may_start(&b, 12));
    ns_t now = 12;
    for (int times = 2; times <= 16; times *= 2) {
        assert_true(scale_failed(&b, 1, now));
        EQ_I64(now + 10 * times, b.until);
        now = b.until;
    }
    assert_true(scale_failed(&b, 1, now));
    EQ_I64(now + 160, b.until);
}

static void one_that_comes_up_ends_the_row(void **state)
{
    (void)state;
    struct scale_brake b = { .pause = 10 };
    assert_false(scale_failed(&b, 2, 0));
    scale_proved(&b);
    assert_false(scale_failed(&b, 2, 0));
    assert_true(scale_failed(&b, 40, 0));
    EQ_I64(10, b.until);
    assert_false(scale_failed(&b, 0, 20));
}

static const ns_t PROOF = SCALE_PROOF;

static void workers_that_were_up_before_neither_cut_a_pause_short_nor_halve_it(void **state)
{
    (void)state;
    struct scale_brake b = { .pause = 2 * PROOF };
    ns_t now = 1;
    assert_true(scale_failed(&b, 3, now));
    for (int i = 0; now < b.until; i++, now += PROOF / 3) { // two work, and one leaves well
        scale_counted(&b, i < 2 ? 2 : 1, 0, i == 2, now);
        EQ_I64(0, scale_may_start(&b, now));
    }
    scale_counted(&b, 1, 0, 0, now);
    EQ_I64(1, scale_may_start(&b, now));
    scale_counted(&b, 2, 0, 0, ++now); // it was started
    EQ_I64(0, scale_may_start(&b, now));
    assert_true(scale_failed(&b, 1, ++now));
    EQ_I64(now + 4 * PROOF, b.until);
    scale_counted(&b, 1, 0, 0, now);
    EQ_I64(0, scale_may_start(&b, b.until - 1));
    EQ_I64(1, scale_may_start(&b, b.until));
}

static void one_that_begins_after_a_failure_and_stays_ends_the_row(void **state)
{
    (void)state;
    struct scale_brake b = { .pause = 10 };
    assert_true(scale_failed(&b, 3, 0));
    scale_counted(&b, 5, 1, 0, 1);
    EQ_I64(1, scale_may_start(&b, 12)); // beside the one that was asked for before
    scale_counted(&b, 5, 2, 0, 13);
    EQ_I64(0, scale_may_start(&b, 19)); // it has not begun
    scale_counted(&b, 6, 1, 0, 20);
    scale_counted(&b, 6, 1, 0, 19 + PROOF);
    EQ_I64(0, scale_may_start(&b, 19 + PROOF));
    scale_counted(&b, 6, 1, 0, 20 + PROOF);
    EQ_I64(UINT32_MAX, scale_may_start(&b, 20 + PROOF));
    EQ_I64(0, b.pauses);
}

static void one_that_begins_after_a_failure_and_ends_well_ends_the_row(void **state)
{
    (void)state;
    struct scale_brake b = { .pause = 10 };
    assert_true(scale_failed(&b, 3, 0));
    scale_counted(&b, 1, 0, 0, 1);
    scale_counted(&b, 1, 0, 1, 11); // the old one, as far as anybody knows
    EQ_I64(0, scale_may_start(&b, 11));
    scale_counted(&b, 0, 0, 1, 12);
    EQ_I64(UINT32_MAX, scale_may_start(&b, 12));
    scale_counted(&b, 0, 0, 9, 13); // no row, nothing to end
    EQ_I64(10, b.pause);
}

// ---- workers that get no batches ----

static bool left(struct scale_spare *s, uint32_t ended, uint32_t have, uint32_t workers,
                 ns_t now)
{
    struct scale_view v = { .waiting = 5, .workers = workers, .have = have };
    return scale_left(s, &v, ended, now);
}

static const struct scale_rule ANY = { .max = 40 };

static void workers_that_get_no_batches_are_not_replaced_at_once(void **state)
{
    (void)state;
    struct scale_spare s = { .pause = 10, .idle = 5 };
    assert_false(left(&s, 0, 3, 1, 1));
    EQ_I64(UINT32_MAX, scale_room(&s, &ANY, 3, 1));
    assert_true(left(&s, 1, 2, 1, 6));
    EQ_I64(0, scale_room(&s, &ANY, 2, 6));
    assert_false(left(&s, 1, 1, 1, 8)); // the other, in the same pause
    EQ_I64(0, scale_room(&s, &ANY, 1, 15));
    EQ_I64(1, scale_room(&s, &ANY, 0, 15)); // the one that works has failed
    EQ_I64(1, scale_room(&s, &ANY, 1, 16)); // tried
    EQ_I64(0, scale_room(&s, &ANY, 2, 16));
    assert_true(left(&s, 1, 1, 1, 21));
    EQ_I64(21 + 20, s.until);
    EQ_I64(0, scale_room(&s, &ANY, 1, 40));
    ns_t now = s.until;
    for (int i = 0; i < 5; i++) {
        now = s.until;
        assert_true(left(&s, 1, 1, 1, now));
    }
    EQ_I64(now + 10 * SCALE_PAUSE_MOST, s.until);
}

static void one_that_gets_batches_lifts_the_limit(void **state)
{
    (void)state;
    struct scale_spare s = { .pause = 10, .idle = 5 };
    assert_false(left(&s, 0, 3, 1, 1));
    assert_true(left(&s, 2, 1, 1, 6));
    assert_false(left(&s, 0, 2, 1, 17));
    EQ_I64(0, scale_room(&s, &ANY, 2, 17));
    assert_false(left(&s, 0, 2, 2, 18));
    EQ_I64(UINT32_MAX, scale_room(&s, &ANY, 2, 18));
}

static void the_least_are_started_in_any_case(void **state)
{
    (void)state;
    struct scale_spare s = { .pause = 10, .idle = 5 };
    struct scale_rule r = { .min = 2, .max = 40 };
    assert_false(left(&s, 0, 3, 0, 1));
    assert_true(left(&s, 3, 0, 0, 6));
    EQ_I64(0, scale_room(&s, &ANY, 0, 7));
    EQ_I64(2, scale_room(&s, &r, 0, 7));
}

static void who_leaves_when_nothing_waits_or_has_waited_long_was_just_idle(void **state)
{
    (void)state;
    struct scale_spare s = { .pause = 10, .idle = 5 };
    struct scale_view none = { .have = 1 };
    assert_false(scale_left(&s, &none, 2, 100));
    assert_false(left(&s, 1, 1, 1, 101));
    assert_false(left(&s, 1, 1, 1, 105));
    assert_false(scale_left(&s, &none, 1, 106));
    assert_false(left(&s, 1, 1, 1, 107));
    EQ_I64(UINT32_MAX, scale_room(&s, &ANY, 0, 107));
}

// ---- the command line ----

struct line {
    const char *name, *words; // with '|' between
    const char *says;         // on standard error; NULL: it is good
};

#define SSH   "scale|--launcher|ssh|--hosts|h|--access|a"
#define SEE   "; see 'tranche scale --help'\n"
#define WRONG "tranche: scale: "

static const struct line lines[] = {
    { "ssh", SSH, NULL },
    { "slurm", "scale|--launcher=slurm|--access|a|--max|3|--state|/tmp|--|--partition=x",
      NULL },
    { "compose", "scale|--launcher|compose|--max|3|--service|w", NULL },
    { "all_of_ssh",
      SSH "|--min|1|--max|2|--by|queue|--per-worker|2|--slots|4|--label|gpu|--label|big"
          "|--idle-timeout|90s|--worker|/opt/w|--interval|1s|--pause|2s|--wait|3s|--keep"
          "|--output|json|--|-p|22",
      NULL },
    { "no_launcher", "scale",
      WRONG "what starts the workers? --launcher ssh, slurm or compose" SEE },
    { "misspelt_launcher", "scale|--launcher|slrum",
      WRONG "--launcher 'slrum': did you mean 'slurm'?" SEE },
    { "strange_launcher", "scale|--launcher|kubernetes",
      WRONG "--launcher is ssh, slurm or compose, not 'kubernetes'" SEE },
    { "misspelt_flag", SSH "|--acess|x",
      WRONG "unknown flag '--acess'; did you mean '--access'?" SEE },
    { "flag_cut_short", SSH "|--slot|4", WRONG "'--slot' is cut short: write --slots" SEE },
    { "strange_flag", SSH "|--zebra", WRONG "unknown flag '--zebra'" SEE },
    { "value_for_a_switch", SSH "|--keep=1", WRONG "--keep takes no value" SEE },
    { "missing_value", SSH "|--max", WRONG "'--max' needs a value" SEE },
    { "operand", SSH "|x",
      WRONG "'x' is no flag; what ssh, sbatch or docker-compose get stands behind --" SEE },
    { "no_access", "scale|--launcher|ssh|--hosts|h",
      WRONG "how do the workers come in? --access FILE, made by 'tranche keys new'" SEE },
    { "hosts_of_slurm", "scale|--launcher|slurm|--access|a|--hosts|h",
      WRONG "--hosts is for --launcher ssh, not for slurm" SEE },
    { "service_of_ssh", SSH "|--service|x",
      WRONG "--service is for --launcher compose, not for ssh" SEE },
    { "slots_of_compose", "scale|--launcher|compose|--slots|2",
      WRONG
      "--slots is not for compose: what a worker runs stands in the compose file" SEE },
    { "by_what", SSH "|--by|load", WRONG "--by is queue, not 'load'" SEE },
    { "min_is_no_number", SSH "|--min|some",
      WRONG "--min takes a number from 0 to 100000, not 'some'" SEE },
    { "interval_without_unit", SSH "|--interval|5", WRONG "--interval '5': write 5s" SEE },
    { "no_interval", SSH "|--interval|0s",
      WRONG "--interval is longer than nothing, e.g. 10s" SEE },
    { "label_with_spaces", SSH "|--label|a b",
      WRONG "--label takes a short word without spaces, not 'a b'" SEE },
    { "newline_in_a_path", SSH "|--worker|a\nb",
      WRONG "--worker: 'a\\x0ab' cannot be meant" SEE },
    { "no_state_folder", "scale|--launcher|slurm|--access|a|--state|/nowhere/at/all",
      WRONG "cannot find the folder /nowhere/at/all of the run; --state names another: No "
            "such file or directory\n" },
};

static int parse(const char *text, struct scale_opts *o, char **says)
{
    char *words = strdup(text), *argv[64];
    int argc = 0;
    size_t n;
    for (char *rest = words, *w; (w = strsep(&rest, "|")) && argc < 63;)
        argv[argc++] = w;
    argv[argc] = NULL;
    FILE *f = open_memstream(says, &n);
    int code = cli_scale_parse(argc, argv, o, f, f);
    fclose(f);
    free(words); // what is looked at below is no text of it
    return code;
}

static void is_read(void **state)
{
    const struct line *l = *state;
    struct scale_opts o;
    char *says;
    int code = parse(l->words, &o, &says);
    assert_string_equal(l->says ? l->says : "", says);
    if (l->says)
        assert_true(code > 0);
    else
        EQ_I64(-1, code);
    cli_scale_free(&o);
    free(says);
}

static void flags_have_their_places(void **state)
{
    (void)state;
    struct scale_opts o;
    char *says;
    EQ_I64(-1, parse(lines[3].words, &o, &says));
    assert_ptr_equal(&launcher_ssh, o.ops);
    EQ_I64(1, o.rule.min);
    EQ_I64(2, o.rule.max);
    EQ_I64(2, o.rule.per_worker);
    EQ_I64(4, o.launcher.slots);
    EQ_I64(2, o.launcher.labels.n);
    EQ_I64(90000, o.launcher.idle_timeout_ms);
    EQ_I64(1000, o.interval_ms);
    EQ_I64(2000, o.pause_ms);
    EQ_I64(3000, o.wait_ms);
    EQ_I64(OUTPUT_JSON, o.output);
    EQ_I64(2, o.launcher.n_args);
    assert_true(o.launcher.keep && !o.dry_run);
    cli_scale_free(&o);
    free(says);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_comes_the_limits_hold),
        cmocka_unit_test(slots_that_were_asked_for_count_until_workers_are_there),
        cmocka_unit_test(three_failures_in_a_row_begin_a_pause_that_doubles),
        cmocka_unit_test(one_that_comes_up_ends_the_row),
        cmocka_unit_test(
            workers_that_were_up_before_neither_cut_a_pause_short_nor_halve_it),
        cmocka_unit_test(one_that_begins_after_a_failure_and_stays_ends_the_row),
        cmocka_unit_test(one_that_begins_after_a_failure_and_ends_well_ends_the_row),
        cmocka_unit_test(workers_that_get_no_batches_are_not_replaced_at_once),
        cmocka_unit_test(one_that_gets_batches_lifts_the_limit),
        cmocka_unit_test(the_least_are_started_in_any_case),
        cmocka_unit_test(who_leaves_when_nothing_waits_or_has_waited_long_was_just_idle),
        cmocka_unit_test(flags_have_their_places),
    };
    int bad =
        test_main("scale", tests, N_OF(tests), TABLE(wanted, is_wanted), N_OF(wanted));
    return bad | test_main("scale flags", NULL, 0, TABLE(lines, is_read), N_OF(lines));
}
