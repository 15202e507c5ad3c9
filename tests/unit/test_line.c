#include "proto/line.h"
#include "tests/test.h"

static const uint64_t MB = 1000000;

struct example {
    const char *name;
    uint64_t line;  // bytes a second that it carries
    uint64_t load;  // bytes a second that we have to say
    uint64_t speed; // of the packer; 0: it has done nothing yet
    double ratio;
    unsigned sharers;
    bool was, want;
};

static const struct example examples[] = {
    { "100_mbit_pays", 12, 100, 0, 0, 1, false, true },
    { "1_gbit_pays", 118, 500, 0, 0, 1, false, true },
    { "1_gbit_pays_with_figures", 118, 500, 360, 2.4, 1, false, true },
    { "10_gbit_does_not", 1180, 3000, 0, 0, 1, false, false },
    { "10_gbit_does_not_go_on", 1180, 3000, 360, 2.4, 1, true, false },
    { "a_line_that_is_idle_most_of_the_time_is_left_alone", 12, 1, 0, 0, 1, false, false },
    { "what_was_begun_goes_on_although_less_is_sent_now", 12, 2, 360, 2.4, 1, true, true },
    { "bytes_that_do_not_shrink_are_left_alone", 12, 100, 360, 1.0, 1, true, false },
    { "bytes_that_shrink_little_go_on", 12, 100, 360, 1.2, 1, true, true },
    { "four_lines_of_1_gbit_are_too_many_for_one_packer", 118, 500, 360, 2.4, 4, false,
      false },
    { "thirty_lines_of_10_mbit_are_not", 1, 100, 360, 2.4, 30, false, true },
};

// Four seconds of the line in forty looks, after the one that begins it.
static void decides(void **state)
{
    const struct example *x = *state;
    struct line l = { .pack = x->was };
    struct pack_meter m = { (double)(x->speed * MB), x->ratio };
    struct line_sample s = { 1000, NS_MS };
    ns_t now = 7 * NS_S, tenth = NS_S / 10;
    uint64_t sent = x->line < x->load ? x->line : x->load;
    line_look(&l, &s, &m, x->sharers, now);
    EQ_I64(x->was, l.pack);
    for (int i = 0; i < 40; i++) {
        now += tenth;
        s.acked += sent * MB / 10;
        s.busy += (ns_t)(tenth * (int64_t)sent / (int64_t)x->line);
        line_look(&l, &s, &m, x->sharers, now);
    }
    EQ_I64(x->want, l.pack);
}

static void few_bytes_say_nothing(void **state)
{
    (void)state;
    struct line l = { 0 };
    struct pack_meter m = { 0 };
    struct line_sample s = { 0 };
    ns_t now = NS_S;
    line_look(&l, &s, &m, 1, now);
    for (int i = 0; i < 1000; i++) { // a heartbeat each takes a round trip of 50 ms
        s.acked += 100;
        s.busy += 50 * NS_MS;
        now += 2 * NS_S;
        line_look(&l, &s, &m, 1, now);
        assert_false(l.pack);
    }
    assert_true(l.bytes_per_s == 0);
}

static void another_connection_begins_anew(void **state)
{
    (void)state;
    struct line l = { 0 };
    struct pack_meter m = { 0 };
    struct line_sample s = { 500 * MB, 10 * NS_S };
    line_look(&l, &s, &m, 1, NS_S);
    s = (struct line_sample){ MB, NS_MS };
    line_look(&l, &s, &m, 1, 2 * NS_S); // 499 MB less were acknowledged
    assert_true(l.bytes_per_s == 0);
    s.acked += 10 * MB;
    s.busy += NS_S;
    line_look(&l, &s, &m, 1, 3 * NS_S);
    EQ_I64(10 * MB, l.bytes_per_s);
    assert_true(l.pack);
}

// A machine that has other things to do lets a fast line look slow most of the time.
static void what_a_line_has_carried_lately_it_can(void **state)
{
    (void)state;
    struct line l = { 0 };
    struct pack_meter m = { 0 };
    struct line_sample s = { 0 };
    ns_t now = NS_S;
    line_look(&l, &s, &m, 1, now);
    for (int i = 0; i < 100; i++) {
        bool lucky = i % 5 == 0;
        s.acked += 4 * MB;
        s.busy += (lucky ? 4 : 80) * NS_MS; // 1 GB/s, 50 MB/s
        now += 100 * NS_MS;
        line_look(&l, &s, &m, 1, now);
        assert_false(l.pack);
    }
    for (int i = 0; i < 100 && !l.pack; i++) { // and now it is slow
        s.acked += 4 * MB;
        s.busy += 80 * NS_MS;
        now += 100 * NS_MS;
        line_look(&l, &s, &m, 1, now);
    }
    assert_true(l.pack);
}

static void a_kernel_that_tells_nothing_packs_nothing(void **state)
{
    (void)state;
    struct line l = { 0 };
    struct pack_meter m = { 0 };
    struct line_sample s = { 0 };
    for (int i = 0; i < 100; i++) {
        s.acked += 10 * MB; // but never was it busy
        line_look(&l, &s, &m, 1, (i + 1) * NS_S);
        assert_false(l.pack);
    }
}

static void the_meter_forgets_slowly(void **state)
{
    (void)state;
    struct pack_meter m = { 0 };
    pack_meter_add(&m, 2 * MB, MB, NS_S / 100);
    assert_float_equal(200e6, m.bytes_per_s, 1);
    assert_float_equal(2, m.ratio, 1e-9);
    pack_meter_add(&m, 4 * MB, MB, NS_S / 100);
    assert_float_equal(240e6, m.bytes_per_s, 1);
    assert_float_equal(2.4, m.ratio, 1e-9);
    pack_meter_add(&m, 1, 0, 1); // nothing came of it
    pack_meter_add(&m, 1, 1, 0);
    assert_float_equal(2.4, m.ratio, 1e-9);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_bytes_say_nothing),
        cmocka_unit_test(another_connection_begins_anew),
        cmocka_unit_test(what_a_line_has_carried_lately_it_can),
        cmocka_unit_test(a_kernel_that_tells_nothing_packs_nothing),
        cmocka_unit_test(the_meter_forgets_slowly),
    };
    return test_main("line", tests, N_OF(tests), TABLE(examples, decides), N_OF(examples));
}
