// The loader's two threads, with a warehouse that does what the test says.

#include "coordinator/loader.h"
#include "tests/test.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAMAGED = 99 }; // rows_read of a result that check refuses

struct warehouse {
    sem_t begun, go; // every transaction posts the one and waits for the other
    bool held;
    _Atomic int checked;
    err_t answer; // of every commit
    err_t first;  // of the first one, which commits all the same
    size_t group[64], n_groups;
    char calls[64]; // 'c': a result was committed, 'n': a note
};

static err_t fake_check(const struct warehouse *w, const struct result *r, struct err *e)
{
    atomic_fetch_add((_Atomic int *)(uintptr_t)&w->checked, 1);
    return r->row.rows_read == DAMAGED ? err_set(e, ERR_PROTO, "damaged") : ERR_OK;
}

static err_t fake_commit(struct warehouse *w, struct result *r, size_t n, bool *dup,
                         size_t *failed, struct err *e)
{
    (void)failed;
    if (w->held) {
        sem_post(&w->begun);
        sem_wait(&w->go);
    }
    if (w->answer) return err_set(e, w->answer, "as the test wants");
    err_t first = w->first;
    w->first = ERR_OK;
    if (first) return err_set(e, first, "the answer to COMMIT is lost");
    if (w->n_groups < 64) w->group[w->n_groups++] = n;
    for (size_t i = 0; i < n; i++) {
        assert_true(r[i].checked);
        dup[i] = r[i].row.rows_read == 1;
        if (strlen(w->calls) + 1 < sizeof w->calls) strcat(w->calls, "c");
    }
    return ERR_OK;
}

static err_t fake_note(struct warehouse *w, const struct ledger_row *row, struct err *e)
{
    (void)row, (void)e;
    strcat(w->calls, "n");
    return ERR_OK;
}

static const struct warehouse_ops fake = {
    .check = fake_check,
    .commit = fake_commit,
    .note = fake_note,
};

struct fixture {
    struct warehouse w;
    struct loader *l;
};

static void ignore(void *arg, const char *text)
{
    (void)arg, (void)text;
}

static int set_up(void **state)
{
    struct err e;
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    sem_init(&f->w.begun, 0, 0);
    sem_init(&f->w.go, 0, 0);
    PASS(&e, loader_start(&f->l, &fake, &f->w, ignore, NULL, &e));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    loader_free(&f->l);
    free(f);
    return 0;
}

static void push_item(struct fixture *f, struct load_item with)
{
    struct load_item *i = malloc(sizeof *i);
    assert_non_null(i);
    *i = with;
    assert_true(loader_push(f->l, &i));
    assert_null(i);
    loader_flush(f->l);
}

static void push(struct fixture *f, enum load_kind kind, uint64_t id, uint64_t rows_read)
{
    push_item(f, (struct load_item){
                     .kind = kind, .chunk = id, .result.row.rows_read = rows_read });
}

// Outcomes must come in the order in which they went in.
static void expect(struct fixture *f, uint64_t id, err_t code)
{
    struct load_item *i = loader_next(f->l);
    assert_non_null(i);
    EQ_I64(id, i->chunk);
    if (i->code != code) fail_msg("%s: %s", err_name(i->code), i->e.text);
    load_item_free(&i);
}

// Pushes one result, and `n` more during its transaction.
static void push_behind_one(struct fixture *f, size_t image_bytes, uint64_t n)
{
    f->w.held = true;
    push(f, LOAD_RESULT, 0, 10);
    sem_wait(&f->w.begun); // the first one does not wait for others
    for (uint64_t id = 1; id <= n; id++)
        push_item(f, (struct load_item){ .chunk = id, .result.image_bytes = image_bytes });
    while (atomic_load(&f->w.checked) < (int)n + 1) // checked during the transaction
        sched_yield();
    f->w.held = false;
    sem_post(&f->w.go);
    loader_stop(f->l);
    EQ_I64(1, f->w.group[0]);
    for (uint64_t id = 0; id <= n; id++)
        expect(f, id, ERR_OK);
    assert_null(loader_next(f->l));
}

static void results_that_wait_share_a_transaction(void **state)
{
    struct fixture *f = *state;
    push_behind_one(f, WAREHOUSE_SMALL_BYTES + 1, 12);
    EQ_I64(WAREHOUSE_GROUP, f->w.group[1]);
}

static void many_more_of_them_do_when_they_are_small(void **state)
{
    struct fixture *f = *state;
    push_behind_one(f, 100, WAREHOUSE_SMALL_GROUP + 5);
    EQ_I64(WAREHOUSE_SMALL_GROUP, f->w.group[1]);
    EQ_I64(5, f->w.group[2]);
}

static void an_urgent_result_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    push(f, LOAD_RESULT, 0, 10);
    push_item(f, (struct load_item){ .chunk = 1, .urgent = true });
    for (uint64_t id = 0; id <= 1; id++) {
        struct pollfd p = { loader_fd(f->l), POLLIN, 0 };
        EQ_I64(1, poll(&p, 1, 60000));
        expect(f, id, ERR_OK);
    }
}

static void push_checked(struct fixture *f, uint64_t id, bool last)
{
    push_item(f, (struct load_item){ .chunk = id, .near_end = true, .urgent = last });
    while (atomic_load(&f->w.checked) < (int)id + 1)
        sched_yield();
}

static int share_near_the_end(void)
{
    void *fresh;
    assert_int_equal(0, set_up(&fresh));
    struct fixture *f = fresh;
    for (uint64_t id = 0; id <= 2; id++)
        push_checked(f, id, id == 2);
    loader_stop(f->l);
    for (uint64_t id = 0; id <= 2; id++)
        expect(f, id, ERR_OK);
    int first = (int)f->w.group[0];
    tear_down(&fresh);
    return first;
}

// Nobody else may use the machine for 50 ms, so not every time.
static void near_the_end_results_wait_for_the_last_one(void **state)
{
    (void)state;
    for (int tries = 0; tries < 100; tries++)
        if (share_near_the_end() == 3) return;
    fail_msg("each was committed alone, 100 times");
}

// None may come: its runner has died, or it never ends.
static void results_do_not_wait_for_ever_for_the_last_one(void **state)
{
    struct fixture *f = *state;
    push_item(f, (struct load_item){ .chunk = 0, .near_end = true });
    struct pollfd p = { loader_fd(f->l), POLLIN, 0 };
    EQ_I64(1, poll(&p, 1, 60000));
    expect(f, 0, ERR_OK);
    EQ_I64(1, f->w.group[0]);
}

static void a_damaged_result_falls_out_alone(void **state)
{
    struct fixture *f = *state;
    push(f, LOAD_RESULT, 1, 10);
    push(f, LOAD_RESULT, 2, DAMAGED);
    push(f, LOAD_RESULT, 3, 10);
    loader_stop(f->l);
    expect(f, 1, ERR_OK);
    expect(f, 2, ERR_PROTO);
    expect(f, 3, ERR_OK);
    assert_string_equal("cc", f->w.calls);
}

static void only_damaged_results_make_no_transaction(void **state)
{
    struct fixture *f = *state;
    push(f, LOAD_RESULT, 1, DAMAGED);
    loader_stop(f->l);
    expect(f, 1, ERR_PROTO);
    EQ_I64(0, f->w.n_groups);
}

static void what_the_ledger_has_comes_back_as_such(void **state)
{
    struct fixture *f = *state;
    push(f, LOAD_RESULT, 1, 1);
    loader_stop(f->l);
    expect(f, 1, ERR_DUP);
}

static void what_a_commit_without_an_answer_put_in_is_no_duplicate(void **state)
{
    struct fixture *f = *state;
    f->w.first = ERR_UNKNOWN;
    push(f, LOAD_RESULT, 1, 1);
    loader_stop(f->l);
    expect(f, 1, ERR_OK);
}

static void notes_keep_their_place(void **state)
{
    struct fixture *f = *state;
    push(f, LOAD_RESULT, 1, 10);
    push(f, LOAD_NOTE, 2, 0);
    push(f, LOAD_NOTE, 3, 0);
    push(f, LOAD_RESULT, 4, 10);
    loader_stop(f->l);
    for (uint64_t id = 1; id <= 4; id++)
        expect(f, id, ERR_OK);
    assert_string_equal("cnnc", f->w.calls);
}

static void after_a_fatal_error_nothing_is_committed(void **state)
{
    struct fixture *f = *state;
    f->w.held = true;
    f->w.answer = ERR_FENCED;
    push(f, LOAD_RESULT, 1, 10);
    sem_wait(&f->w.begun);
    push(f, LOAD_RESULT, 2, 10);
    push(f, LOAD_NOTE, 3, 0);
    f->w.held = false;
    sem_post(&f->w.go);
    loader_stop(f->l);
    expect(f, 1, ERR_FENCED);
    expect(f, 2, ERR_FENCED);
    expect(f, 3, ERR_FENCED);
    assert_string_equal("", f->w.calls);
}

static void waiting_for_space_can_be_given_up(void **state)
{
    struct fixture *f = *state;
    f->w.answer = ERR_FULL;
    loader_give_up_waiting(f->l);
    push(f, LOAD_RESULT, 1, 10);
    loader_stop(f->l);
    expect(f, 1, ERR_FULL);
}

// Of a run that ends: what a note is for would not come any more.
static void results_are_committed_and_notes_left_out_once_waiting_is_given_up(void **state)
{
    struct fixture *f = *state;
    loader_give_up_waiting(f->l);
    push(f, LOAD_RESULT, 1, 10);
    push(f, LOAD_NOTE, 2, 0);
    push(f, LOAD_RESULT, 3, 10);
    loader_stop(f->l);
    expect(f, 1, ERR_OK);
    expect(f, 2, ERR_CLOSED);
    expect(f, 3, ERR_OK);
    assert_null(strchr(f->w.calls, 'n'));
}

static void a_stopped_loader_takes_nothing(void **state)
{
    struct fixture *f = *state;
    loader_stop(f->l);
    struct load_item *i = calloc(1, sizeof *i);
    assert_false(loader_push(f->l, &i));
    load_item_free(&i);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

// Whoever pushes is who takes: three full queues would wait for each other for ever.
static void any_number_of_results_may_be_pushed_before_one_is_taken(void **state)
{
    enum { MANY = 40000 };
    struct fixture *f = *state;
    for (uint64_t id = 1; id <= MANY; id++)
        push(f, LOAD_RESULT, id, 5);
    loader_stop(f->l);
    for (uint64_t id = 1; id <= MANY; id++)
        expect(f, id, ERR_OK);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        EACH(results_that_wait_share_a_transaction),
        EACH(many_more_of_them_do_when_they_are_small),
        EACH(an_urgent_result_waits_for_nobody),
        cmocka_unit_test(near_the_end_results_wait_for_the_last_one),
        EACH(results_do_not_wait_for_ever_for_the_last_one),
        EACH(a_damaged_result_falls_out_alone),
        EACH(only_damaged_results_make_no_transaction),
        EACH(what_the_ledger_has_comes_back_as_such),
        EACH(what_a_commit_without_an_answer_put_in_is_no_duplicate),
        EACH(notes_keep_their_place),
        EACH(after_a_fatal_error_nothing_is_committed),
        EACH(waiting_for_space_can_be_given_up),
        EACH(results_are_committed_and_notes_left_out_once_waiting_is_given_up),
        EACH(a_stopped_loader_takes_nothing),
        EACH(any_number_of_results_may_be_pushed_before_one_is_taken),
    };
    return test_main("loader", plain, N_OF(plain), NULL, 0);
}
