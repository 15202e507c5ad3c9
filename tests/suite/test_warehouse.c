// What every warehouse must do, whatever is behind it. Run once for each of them; what
// needs memory of an earlier run is left out for those that keep nothing.

#include "tests/pg_kit.h"
#include "tests/warehouse_kit.h"

#include <fcntl.h>

static const struct backend {
    const char *name, *scheme;
    bool keeps;
    bool tables; // more than one behind an address
    bool merges; // the rows are parts, of which a table is made at the end
} BACKENDS[] = {
    { "null", "null", false, false, false },
    { "sqlite", "sqlite", true, true, false },
    { "sqlite_merged", "sqlite", true, true, true },
    { "csv", "csv", true, false, false },
    { "csv_merged", "csv", true, false, true },
    { "jsonl", "jsonl", true, false, false },
    { "jsonl_merged", "jsonl", true, false, true },
    { "stdout", "stdout", false, false, false },
    { "stdout_merged", "stdout", false, false, true },
    { "postgres", "postgres", true, true, false },
    { "postgres_merged", "postgres", true, true, true },
};

static struct pg_server server;

static const struct backend *now; // the one this round is about

// All rows, as they are.
static void merge(struct kit *k)
{
    static struct spec spec;
    static struct load_merge all;
    all = (struct load_merge){ .spec = &spec,
                               .rows = &k->schema,
                               .sql = "SELECT * FROM parts",
                               .memory_bytes = 1 << 20 };
    if (!k->ops->merges && k->ops->merging) k->ops = k->ops->merging;
    assert_true(k->ops->merges);
    k->id.mode = MODE_REPLACE;
    k->id.merge = &all;
}

static int standard_output = -1; // while rows go nowhere

static void hush(struct kit *k)
{
    snprintf(k->url, sizeof k->url, "stdout:");
    fflush(stdout);
    standard_output = dup(STDOUT_FILENO);
    int null = open("/dev/null", O_WRONLY);
    assert_true(standard_output >= 0 && null >= 0 && dup2(null, STDOUT_FILENO) >= 0);
    close(null);
}

static void done(struct kit *k)
{
    kit_free(k);
    if (standard_output < 0) return;
    assert_true(dup2(standard_output, STDOUT_FILENO) >= 0);
    close(standard_output);
    standard_output = -1;
}

// A schema of PostgreSQL for each test, a path for the others.
static void init(struct kit *k)
{
    static int serial;
    char sql[64];
    kit_init(k, now->scheme);
    if (now->merges) merge(k);
    if (strcmp(now->scheme, "stdout") == 0) hush(k);
    if (strcmp(now->scheme, "postgres") != 0) return;
    if (!server.pid) {
        pg_kit_start(&server);
        pg_kit_do(server.url, "ALTER ROLE tranche SET synchronous_commit = off");
    }
    snprintf(sql, sizeof sql, "CREATE SCHEMA s%d", ++serial);
    pg_kit_do(server.url, sql);
    snprintf(k->url, sizeof k->url, "postgres:%s?options=-csearch_path%%3Ds%d", server.url,
             serial);
}

static int set_up(void **state)
{
    struct kit *k = malloc(sizeof *k);
    if (!k) return -1;
    init(k);
    kit_open(k);
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    done(*state);
    free(*state);
    return 0;
}

static void only_what_keeps(void)
{
    if (!now->keeps) skip();
}

// A table that is made of all parts is made anew each time.
static void only_what_appends(void)
{
    only_what_keeps();
    if (now->merges) skip();
}

// ---- the rule about ranges

enum did { DONE, SPLIT, REJECTED };
enum says { TAKEN, DUP };

struct offer_step {
    enum did did;
    uint64_t begin, end;
    enum says says;
};

static const struct overlap {
    const char *name;
    struct offer_step steps[6]; // until begin = end
} OVERLAPS[] = {
    { "neighbours_are_taken",
      { { DONE, 100, 200, TAKEN }, { DONE, 200, 300, TAKEN }, { DONE, 50, 100, TAKEN } } },
    { "the_same_range_is_a_duplicate",
      { { DONE, 100, 200, TAKEN }, { DONE, 100, 200, DUP } } },
    { "a_part_on_the_left_is_a_duplicate",
      { { DONE, 100, 200, TAKEN }, { DONE, 100, 150, DUP } } },
    { "a_part_on_the_right_is_a_duplicate",
      { { DONE, 100, 200, TAKEN }, { DONE, 150, 200, DUP } } },
    { "a_part_inside_is_a_duplicate",
      { { DONE, 100, 200, TAKEN }, { DONE, 120, 130, DUP } } },
    { "a_range_that_contains_it_is_a_duplicate",
      { { DONE, 100, 200, TAKEN }, { DONE, 50, 250, DUP } } },
    { "one_that_ends_in_it_is_a_duplicate",
      { { DONE, 100, 200, TAKEN }, { DONE, 50, 101, DUP } } },
    { "one_that_begins_in_it_is_a_duplicate",
      { { DONE, 100, 200, TAKEN }, { DONE, 199, 250, DUP } } },
    { "a_longer_one_from_the_same_byte_is_a_duplicate",
      { { DONE, 100, 200, TAKEN }, { DONE, 100, 300, DUP } } },
    { "one_that_reaches_over_several_is_a_duplicate",
      { { DONE, 100, 200, TAKEN },
        { DONE, 200, 300, TAKEN },
        { DONE, 400, 500, TAKEN },
        { DONE, 250, 450, DUP },
        { DONE, 300, 400, TAKEN } } },
    { "a_rejected_range_counts_like_a_loaded_one",
      { { REJECTED, 100, 200, TAKEN },
        { DONE, 150, 160, DUP },
        { SPLIT, 100, 200, DUP },
        { REJECTED, 200, 300, TAKEN } } },
    { "after_a_split_only_proper_parts_follow",
      { { SPLIT, 100, 200, TAKEN },
        { DONE, 100, 200, DUP },
        { DONE, 50, 250, DUP },
        { DONE, 100, 150, TAKEN },
        { DONE, 150, 200, TAKEN },
        { DONE, 200, 300, TAKEN } } },
    { "what_crosses_the_edge_of_a_split_is_taken_for_a_resume_cuts_elsewhere",
      { { SPLIT, 100, 200, TAKEN }, { DONE, 50, 150, TAKEN }, { DONE, 150, 250, TAKEN } } },
    { "behind_a_finished_part_what_crosses_the_right_edge_is_taken",
      { { SPLIT, 100, 200, TAKEN },
        { DONE, 100, 150, TAKEN },
        { DONE, 150, 210, TAKEN },
        { DONE, 160, 200, DUP } } },
    { "splits_nest",
      { { SPLIT, 100, 200, TAKEN },
        { SPLIT, 100, 150, TAKEN },
        { DONE, 100, 150, DUP },
        { DONE, 100, 120, TAKEN },
        { REJECTED, 120, 150, TAKEN },
        { DONE, 140, 160, DUP } } },
    { "what_is_loaded_can_not_be_split",
      { { DONE, 100, 200, TAKEN }, { SPLIT, 100, 200, DUP }, { SPLIT, 50, 150, DUP } } },
    { "noting_a_split_twice_is_fine",
      { { SPLIT, 100, 200, TAKEN },
        { SPLIT, 100, 200, TAKEN },
        { SPLIT, 100, 300, DUP } } },
    { "noting_a_split_again_is_fine_when_its_parts_are_in",
      { { SPLIT, 100, 200, TAKEN },
        { DONE, 100, 150, TAKEN },
        { SPLIT, 100, 200, TAKEN },
        { SPLIT, 150, 200, TAKEN },
        { SPLIT, 100, 150, DUP },
        { SPLIT, 150, 200, TAKEN } } },
};

static void ranges_follow_the_rule(void **state)
{
    const struct overlap *o = *state;
    struct kit k;
    init(&k);
    kit_open(&k);
    kit_begin(&k);
    for (const struct offer_step *s = o->steps; s < o->steps + 6 && s->begin != s->end;
         s++) {
        struct err e;
        bool dup = false;
        size_t failed;
        if (s->did == SPLIT) {
            struct ledger_row row = kit_split(0, s->begin, s->end);
            EXPECT(s->says == DUP ? ERR_DUP : ERR_OK, &e, k.ops->note(k.w, &row, &e));
            continue;
        }
        struct result r = kit_result(&k, 0, s->begin, s->end);
        if (s->did == REJECTED) {
            r.row.state = LEDGER_REJECTED;
            r.image = NULL;
            r.row.rows_emitted = r.row.rows_parsed = r.row.rows_read = 0;
        }
        PASS(&e, k.ops->commit(k.w, &r, 1, &dup, &failed, &e));
        if (dup != (s->says == DUP))
            fail_msg("step %td: wanted %d, got %d", s - o->steps, s->says == DUP, dup);
    }
    done(&k);
}

static void inputs_do_not_overlap_each_other(void **state)
{
    struct kit *k = *state;
    k->n_inputs = 2;
    kit_begin(k);
    assert_false(kit_commit(k, 0, 10, 100));
    assert_false(kit_commit(k, 1, 10, 100));
    assert_true(kit_commit(k, 1, 50, 60));
}

// ---- results

static void many_results_are_committed_in_one_call(void **state)
{
    struct kit *k = *state;
    enum { N = WAREHOUSE_SMALL_GROUP + 2 * WAREHOUSE_GROUP + 3 };
    struct result r[N];
    bool dup[N];
    size_t failed;
    struct err e;
    struct ledger_row totals[3];
    kit_begin(k);
    for (int i = 0; i < N; i++)
        r[i] = kit_result(k, 0, 10 + 100 * (uint64_t)i, 110 + 100 * (uint64_t)i);
    for (int i = 1; i < N; i += 50)
        r[i].checked = k->ops->check(k->w, &r[i], &e) == ERR_OK;
    PASS(&e, k->ops->commit(k->w, r, N, dup, &failed, &e));
    for (int i = 0; i < N; i++) {
        assert_false(dup[i]);
        EQ_I64(10, r[i].row.rows_loaded);
        EQ_I64(0, r[i].row.rows_refused);
    }
    PASS(&e, kit_try_finish(k, 10 + 100 * N, totals, &e));
    EQ_I64(10 * N, totals[0].rows_loaded);
    EQ_I64(10 * N, totals[0].rows_read);
    EQ_I64(N * 10, totals[0].records);
}

static void a_duplicate_is_dropped_alone(void **state)
{
    struct kit *k = *state;
    struct result r[3];
    bool dup[3];
    size_t failed;
    struct err e;
    kit_begin(k);
    kit_commit(k, 0, 100, 200);
    for (int i = 0; i < 3; i++)
        r[i] = kit_result(k, 0, 100 * (uint64_t)i, 100 * (uint64_t)(i + 1));
    PASS(&e, k->ops->commit(k->w, r, 3, dup, &failed, &e));
    assert_false(dup[0]);
    assert_true(dup[1]);
    assert_false(dup[2]);
    EQ_I64(10, r[1].row.rows_loaded); // what the ledger says of that very range
}

static void two_results_of_one_call_may_not_overlap(void **state)
{
    struct kit *k = *state;
    bool dup[2];
    size_t failed;
    struct err e;
    kit_begin(k);
    struct result r[] = { kit_result(k, 0, 100, 200), kit_result(k, 0, 150, 250) };
    PASS(&e, k->ops->commit(k->w, r, 2, dup, &failed, &e));
    assert_false(dup[0]);
    assert_true(dup[1]);
}

static const struct damage {
    const char *name;
    struct ledger_row row;
} DAMAGE[] = {
    { "a_range_without_bytes", { .range = { 0, 50, 50 } } },
    { "a_range_that_runs_backwards", { .range = { 0, 60, 50 } } },
    { "a_range_past_every_file", { .range = { 0, 0, UINT64_MAX } } },
    { "counts_that_do_not_add_up", { .range = { 0, 10, 20 }, .rows_read = 3 } },
    { "an_absurd_count", { .range = { 0, 10, 20 }, .misfits = UINT64_MAX } },
};

static void damage_is_refused(void **state)
{
    const struct damage *d = *state;
    struct kit k;
    struct err e;
    bool dup[3];
    size_t failed = 99;
    init(&k);
    kit_open(&k);
    kit_begin(&k);
    struct result bad = { .row = d->row };
    bad.row.state = LEDGER_DONE;
    struct result r[] = { kit_result(&k, 0, 100, 200), bad, kit_result(&k, 0, 200, 300) };
    PASS(&e, k.ops->check(k.w, &r[0], &e));
    EXPECT(ERR_PROTO, &e, k.ops->check(k.w, &r[1], &e));
    EXPECT(ERR_PROTO, &e, k.ops->commit(k.w, r, 3, dup, &failed, &e));
    EQ_I64(1, failed);
    assert_true(r[1].damaged && !r[0].damaged && !r[2].damaged);
    assert_true(kit_commit(&k, 0, 100, 200)); // the others are in
    assert_true(kit_commit(&k, 0, 200, 300));
    done(&k);
}

// ---- the proof at the end

static const struct tiling {
    const char *name;
    struct range done[4]; // until begin = end
    uint64_t end;
    const char *complaint; // NULL: it is a proof
} TILINGS[] = {
    { "whole", { { 0, 10, 50 }, { 0, 50, 90 } }, 90, NULL },
    { "whole_in_any_order", { { 0, 50, 90 }, { 0, 10, 50 } }, 90, NULL },
    { "a_gap", { { 0, 10, 50 }, { 0, 60, 90 } }, 90, "bytes 50 to 60 " },
    { "a_gap_at_the_start", { { 0, 20, 90 } }, 90, "bytes 10 to 20 " },
    { "a_gap_at_the_end", { { 0, 10, 80 } }, 90, "bytes 80 to 90 " },
    { "nothing_at_all", { { 0, 0, 0 } }, 90, "bytes 10 to 90 " },
    { "an_input_without_rows", { { 0, 0, 0 } }, 10, NULL },
    { "more_than_the_file_has", { { 0, 10, 100 } }, 90, "bytes 10 to 100" },
    { "bytes_before_the_first_row", { { 0, 5, 90 } }, 90, "bytes 5 to 90" },
    { "an_end_before_the_start", { { 0, 0, 0 } }, 5, "its end 5" },
};

static void finish_proves_the_tiling(void **state)
{
    const struct tiling *t = *state;
    struct kit k;
    struct err e;
    struct ledger_row totals[3];
    init(&k);
    kit_open(&k);
    kit_begin(&k);
    for (const struct range *r = t->done; r < t->done + 4 && r->begin != r->end; r++)
        kit_commit(&k, 0, r->begin, r->end);
    if (t->complaint) {
        EXPECT(ERR_DB, &e, kit_try_finish(&k, t->end, totals, &e));
        if (!strstr(e.text, t->complaint))
            fail_msg("'%s' lacks '%s'", e.text, t->complaint);
        assert_non_null(strstr(e.text, "one.csv"));
    } else {
        PASS(&e, kit_try_finish(&k, t->end, totals, &e));
    }
    done(&k);
}

static void parts_of_splits_tile(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3], split = kit_split(0, 10, 90);
    kit_begin(k);
    PASS(&e, k->ops->note(k->w, &split, &e));
    kit_commit(k, 0, 50, 90);
    EXPECT(ERR_DB, &e, kit_try_finish(k, 90, totals, &e));
    kit_commit(k, 0, 10, 50);
    PASS(&e, kit_try_finish(k, 90, totals, &e));
    EQ_I64(8, totals[0].rows_loaded);
}

// ---- what an earlier run left

static void a_new_load_knows_nothing(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    assert_false(k->load.resumed || k->load.complete_before);
    EQ_I64(1, k->load.epoch);
    EQ_I64(0, k->load.n_ledger);
    EQ_I64(1, k->load.n_inputs);
    assert_string_equal("", k->load.inputs[0].name);
}

static void an_unfinished_load_goes_on(void **state)
{
    only_what_keeps();
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3], split = kit_split(0, 50, 90);
    struct buf params = { (uint8_t *)(uintptr_t) "p1", 2, 0 };
    PASS(&e, k->ops->begin(k->w, &k->id, &k->schema, k->inputs, 1, &params, &k->load, &e));
    kit_commit(k, 0, 20, 50);
    PASS(&e, k->ops->note(k->w, &split, &e));
    kit_commit(k, 0, 50, 60);
    uint64_t load_id = k->load.load_id;

    kit_close(k);
    kit_open(k);
    kit_begin(k); // without parameters: those of the first run count
    assert_true(k->load.resumed);
    EQ_I64(load_id, k->load.load_id);
    EQ_I64(2, k->load.epoch);
    EQ_I64(2, k->load.params.n);
    assert_memory_equal("p1", k->load.params.p, 2);
    assert_string_equal("one.csv", k->load.inputs[0].name);
    EQ_I64(1000, k->load.inputs[0].size);
    EQ_I64(3, k->load.n_ledger);
    EQ_I64(20, k->load.ledger[0].range.begin);
    EQ_I64(20, k->load.ledger[0].digest.lo);
    EQ_I64(50, k->load.ledger[0].digest.hi);
    EQ_I64(3, k->load.ledger[0].rows_loaded);
    EQ_I64(3, k->load.ledger[0].records);
    EQ_I64(1, k->load.ledger[0].attempt);
    assert_string_equal("w1", k->load.ledger[0].worker);
    EQ_I64(LEDGER_DONE, k->load.ledger[1].state);
    EQ_I64(60, k->load.ledger[1].range.end);
    EQ_I64(LEDGER_SPLIT, k->load.ledger[2].state);

    assert_true(kit_commit(k, 0, 20, 50));
    kit_commit(k, 0, 60, 90);
    kit_commit(k, 0, 10, 20);
    PASS(&e, kit_try_finish(k, 90, totals, &e));
    EQ_I64(8, totals[0].rows_loaded);
}

static void a_complete_load_goes_on_with_what_is_new(void **state)
{
    only_what_appends();
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    PASS(&e, kit_try_finish(k, 50, totals, &e));

    k->inputs[0].size = 2000; // it grew
    kit_begin(k);
    assert_true(k->load.complete_before && !k->load.resumed);
    EQ_I64(1000, k->load.inputs[0].size);
    EQ_I64(1, k->load.n_ledger);
    kit_commit(k, 0, 50, 90);
    PASS(&e, kit_try_finish(k, 90, totals, &e));
    EQ_I64(8, totals[0].rows_loaded);

    kit_begin(k);
    EQ_I64(2000, k->load.inputs[0].size);
    EQ_I64(3, k->load.epoch);
}

// A run that is refused before it has committed anything; then `job` begins.
static void refuse_and_begin(struct kit *k, const char *job)
{
    struct err e;
    struct ledger_row totals[3];
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    PASS(&e, kit_try_finish(k, 50, totals, &e));
    k->inputs[0].size = 2000;
    kit_begin(k);
    assert_true(k->load.complete_before);
    kit_close(k);

    kit_open(k);
    k->id.sources = job;
    kit_begin(k);
}

static void a_complete_load_stays_complete_until_something_new_is_committed(void **state)
{
    only_what_appends();
    struct kit *k = *state;
    refuse_and_begin(k, k->id.sources);
    assert_true(k->load.complete_before && !k->load.resumed);
    EQ_I64(3, k->load.epoch);
    EQ_I64(1000, k->load.inputs[0].size); // as it was when it was complete
    kit_commit(k, 0, 50, 90);
    kit_close(k);

    kit_open(k);
    kit_begin(k);
    assert_true(k->load.resumed && !k->load.complete_before);
    EQ_I64(2, k->load.n_ledger);
}

static void a_complete_load_is_unfinished_from_its_first_split(void **state)
{
    only_what_appends();
    struct kit *k = *state;
    struct err e;
    struct ledger_row split = kit_split(0, 50, 90);
    refuse_and_begin(k, k->id.sources);
    PASS(&e, k->ops->note(k->w, &split, &e));
    kit_begin(k);
    assert_true(k->load.resumed && !k->load.complete_before);
}

static void a_refused_run_does_not_block_the_table(void **state)
{
    only_what_appends();
    struct kit *k = *state;
    refuse_and_begin(k, "other.csv");
    EQ_I64(2, k->load.load_id);
    assert_false(kit_commit(k, 0, 10, 50));
}

static void a_complete_load_with_more_to_load_waits_for_another(void **state)
{
    only_what_appends();
    struct kit *k = *state, second = *k;
    struct err e;
    bool dup;
    kit_begin(k);
    PASS(&e, kit_try_finish(k, 10, (struct ledger_row[3]){ 0 }, &e));
    kit_begin(k);
    second.load = (struct load_state){ 0 };
    second.id.sources = "other.csv";
    kit_open(&second);
    kit_begin(&second);
    EXPECT(ERR_INVALID, &e, kit_try_commit(k, 0, 10, 50, &dup, &e));
    assert_non_null(strstr(e.text, ": load 2 began meanwhile, and is unfinished"));
    second.images = k->images;
    assert_false(kit_commit(&second, 0, 10, 50));
    kit_close(&second);
    load_state_free(&second.load);
}

static void parameters_of_a_complete_load_are_those_of_the_run(void **state)
{
    only_what_appends();
    struct kit *k = *state;
    struct err e;
    struct buf p1 = { (uint8_t *)(uintptr_t) "p1", 2, 0 };
    struct buf p2 = { (uint8_t *)(uintptr_t) "p2", 2, 0 };
    PASS(&e, k->ops->begin(k->w, &k->id, &k->schema, k->inputs, 1, &p1, &k->load, &e));
    kit_commit(k, 0, 10, 50);
    PASS(&e, kit_try_finish(k, 50, (struct ledger_row[3]){ 0 }, &e));
    load_state_free(&k->load);
    PASS(&e, k->ops->begin(k->w, &k->id, &k->schema, k->inputs, 1, &p2, &k->load, &e));
    assert_memory_equal("p2", k->load.params.p, 2);
    kit_commit(k, 0, 50, 90);
    kit_begin(k); // unfinished now: without, those of then
    EQ_I64(2, k->load.params.n);
    assert_memory_equal("p2", k->load.params.p, 2);
}

static void a_replace_takes_the_place_of_what_an_unfinished_load_began(void **state)
{
    only_what_appends();
    struct kit *k = *state, replace = *k;
    struct err e;
    bool dup;
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    replace.load = (struct load_state){ 0 };
    replace.id.mode = MODE_REPLACE;
    kit_open(&replace);
    for (int fresh = 0; fresh < (now->tables ? 2 : 1); fresh++) {
        replace.id.fresh = fresh;
        kit_begin(&replace);
        replace.images = k->images;
        assert_false(kit_commit(&replace, 0, 10, 50));
    }
    kit_begin(k); // the unfinished one may still go on
    assert_true(k->load.resumed);
    PASS(&e, kit_try_finish(&replace, 50, (struct ledger_row[3]){ 0 }, &e));
    EXPECT(ERR_FENCED, &e, kit_try_commit(k, 0, 50, 90, &dup, &e));
    kit_close(&replace);
    load_state_free(&replace.load);
    kit_begin(k);
    assert_false(k->load.resumed || k->load.complete_before);
}

static void inputs_are_known_by_name_not_by_number(void **state)
{
    only_what_appends();
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    k->n_inputs = 2;
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    kit_commit(k, 1, 10, 90);
    PASS(&e, k->ops->finish(k->w, (const uint64_t[]){ 50, 90 }, true, totals, &e));

    struct load_input one = k->inputs[0]; // now: a new file, two.csv; one.csv is gone
    k->inputs[0] = one;
    k->inputs[0].name = (char *)(uintptr_t) "new.csv";
    kit_begin(k);
    EQ_I64(1, k->load.n_ledger);
    EQ_I64(1, k->load.ledger[0].range.input);
    EQ_I64(90, k->load.ledger[0].range.end);
    assert_string_equal("", k->load.inputs[0].name);
    assert_string_equal("two.csv", k->load.inputs[1].name);
    assert_false(kit_commit(k, 0, 10, 90));
    assert_true(kit_commit(k, 1, 10, 90));
    PASS(&e, k->ops->finish(k->w, (const uint64_t[]){ 90, 90 }, true, totals, &e));
    EQ_I64(8, totals[0].rows_loaded);
    EQ_I64(8, totals[1].rows_loaded);

    k->inputs[1] = one; // and one.csv is back
    kit_begin(k);
    EQ_I64(2, k->load.n_ledger);
    EQ_I64(50, k->load.ledger[1].range.end);
}

static void a_changed_header_is_refused(void **state)
{
    only_what_keeps();
    struct kit *k = *state;
    struct err e;
    kit_begin(k);
    k->inputs[0].data_begin = 12; // nothing is loaded yet: fine
    kit_begin(k);
    kit_commit(k, 0, 12, 50);
    k->inputs[0].data_begin = 14;
    EXPECT(ERR_CHANGED, &e, kit_try_begin(k, &e));
    assert_non_null(strstr(e.text, "one.csv"));
}

static void another_unfinished_load_stands_in_the_way(void **state)
{
    only_what_keeps();
    struct kit *k = *state;
    struct err e;
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    k->id.sources = "other/*.csv";
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    assert_non_null(strstr(e.text, "load 1, started "));
    assert_non_null(strstr(e.text, "*.csv"));
    assert_non_null(strstr(e.text, "4 rows"));
    assert_non_null(strstr(e.text, "--fresh"));

    k->id.fresh = true;
    kit_begin(k);
    k->id.fresh = false;
    EQ_I64(2, k->load.load_id);
    EQ_I64(0, k->load.n_ledger);
    assert_false(kit_commit(k, 0, 10, 50));
}

static void two_tables_have_nothing_to_do_with_each_other(void **state)
{
    if (!now->tables) skip();
    struct kit *k = *state;
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    k->id.table = "u";
    kit_begin(k);
    EQ_I64(2, k->load.load_id);
    assert_false(kit_commit(k, 0, 10, 50));
}

static void a_second_coordinator_fences_the_first(void **state)
{
    only_what_keeps();
    struct kit *k = *state, second = *k;
    struct err e;
    struct ledger_row totals[3], split = kit_split(0, 50, 90);
    bool dup;
    kit_begin(k);
    kit_commit(k, 0, 10, 20);
    second.load = (struct load_state){ 0 };
    kit_open(&second);
    kit_begin(&second);
    EQ_I64(2, second.load.epoch);

    EXPECT(ERR_FENCED, &e, kit_try_commit(k, 0, 20, 30, &dup, &e));
    EXPECT(ERR_FENCED, &e, k->ops->note(k->w, &split, &e));
    EXPECT(ERR_FENCED, &e, kit_try_finish(k, 20, totals, &e));
    second.images = k->images;
    assert_false(kit_commit(&second, 0, 20, 30));
    PASS(&e, kit_try_finish(&second, 30, totals, &e));
    EQ_I64(2, totals[0].rows_loaded);
    EXPECT(ERR_FENCED, &e, kit_try_finish(k, 30, totals, &e));
    kit_close(&second);
    load_state_free(&second.load);
}

static void finish_may_be_asked_twice(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    PASS(&e, kit_try_finish(k, 50, totals, &e));
    totals[0].rows_loaded = 0;
    PASS(&e, kit_try_finish(k, 50, totals, &e)); // as after an unknown outcome
    EQ_I64(4, totals[0].rows_loaded);
}

static void replace_starts_over_every_time(void **state)
{
    only_what_keeps();
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    k->id.mode = MODE_REPLACE;
    for (uint64_t i = 1; i <= 3; i++) {
        kit_begin(k);
        EQ_I64(i, k->load.load_id);
        assert_false(k->load.complete_before);
        assert_false(kit_commit(k, 0, 10, 50));
        PASS(&e, kit_try_finish(k, 50, totals, &e));
    }
}

static void replace_without_a_swap_is_dropped(void **state)
{
    only_what_keeps();
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    PASS(&e, k->ops->finish(k->w, (const uint64_t[]){ 50 }, false, totals, &e));
    EQ_I64(4, totals[0].rows_loaded);
    kit_begin(k);
    EQ_I64(2, k->load.load_id);
    EQ_I64(0, k->load.n_ledger);
}

// ---- what only PostgreSQL has

int __real_PQputCopyData(PGconn *c, const char *p, int n);
int __wrap_PQputCopyData(PGconn *c, const char *p, int n);

static int sent_until_it_fails = -1; // -1: it does not

int __wrap_PQputCopyData(PGconn *c, const char *p, int n)
{
    if (sent_until_it_fails-- == 0) return -1;
    return __real_PQputCopyData(c, p, n);
}

static void a_copy_that_can_not_be_sent_is_tried_again(void **state)
{
    if (strcmp(now->scheme, "postgres") != 0) skip();
    struct kit *k = *state;
    struct err e;
    bool dup;
    kit_begin(k);
    for (int sent = 0; sent < 3; sent++) { // header, rows, trailer
        uint64_t at = 10 + 40 * (uint64_t)sent;
        sent_until_it_fails = sent;
        EXPECT(ERR_BUSY, &e, kit_try_commit(k, 0, at, at + 40, &dup, &e));
        assert_non_null(strstr(e.text, "the rows could not be sent"));
        sent_until_it_fails = -1;
        assert_false(kit_commit(k, 0, at, at + 40));
    }
    struct ledger_row totals[3];
    PASS(&e, kit_try_finish(k, 130, totals, &e));
    EQ_I64(12, totals[0].rows_loaded);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest PLAIN[] = {
    EACH(inputs_do_not_overlap_each_other),
    EACH(many_results_are_committed_in_one_call),
    EACH(a_duplicate_is_dropped_alone),
    EACH(two_results_of_one_call_may_not_overlap),
    EACH(parts_of_splits_tile),
    EACH(a_new_load_knows_nothing),
    EACH(an_unfinished_load_goes_on),
    EACH(a_complete_load_goes_on_with_what_is_new),
    EACH(a_complete_load_stays_complete_until_something_new_is_committed),
    EACH(a_complete_load_is_unfinished_from_its_first_split),
    EACH(a_refused_run_does_not_block_the_table),
    EACH(a_complete_load_with_more_to_load_waits_for_another),
    EACH(parameters_of_a_complete_load_are_those_of_the_run),
    EACH(a_replace_takes_the_place_of_what_an_unfinished_load_began),
    EACH(inputs_are_known_by_name_not_by_number),
    EACH(a_changed_header_is_refused),
    EACH(another_unfinished_load_stands_in_the_way),
    EACH(two_tables_have_nothing_to_do_with_each_other),
    EACH(a_second_coordinator_fences_the_first),
    EACH(finish_may_be_asked_twice),
    EACH(replace_starts_over_every_time),
    EACH(replace_without_a_swap_is_dropped),
    EACH(a_copy_that_can_not_be_sent_is_tried_again),
};

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < N_OF(BACKENDS); i++) {
        now = &BACKENDS[i];
        failed += test_main(now->name, PLAIN, N_OF(PLAIN), NULL, 0);
        failed += test_main(now->name, NULL, 0, TABLE(OVERLAPS, ranges_follow_the_rule),
                            N_OF(OVERLAPS));
        failed +=
            test_main(now->name, NULL, 0, TABLE(DAMAGE, damage_is_refused), N_OF(DAMAGE));
        failed += test_main(now->name, NULL, 0, TABLE(TILINGS, finish_proves_the_tiling),
                            N_OF(TILINGS));
    }
    pg_kit_end(&server);
    return failed;
}
