// Any events in any order, nonsense included: every invariant holds after each, and actions
// name only what is known. The first bytes choose the options.

#include "coordinator/sched.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct input {
    const uint8_t *p;
    size_t n;
    struct sched_action said[16]; // some of the last, to answer them
};

static uint8_t byte(struct input *in)
{
    if (!in->n) return 0;
    in->n--;
    return *in->p++;
}

// Small numbers most of the time, so that events meet; at times a huge one.
static uint64_t number(struct input *in)
{
    uint8_t b = byte(in);
    if (b < 240) return b % 12;
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x = x << 8 | byte(in);
    return x;
}

static ns_t later(struct input *in, ns_t now)
{
    static const ns_t steps[] = { 0,    1,        NS_MS,     100 * NS_MS,
                                  NS_S, 5 * NS_S, 20 * NS_S, 90 * NS_S };
    uint8_t b = byte(in);
    if (b == 255) return (ns_t)number(in); // a clock that jumps
    ns_t sum;
    return __builtin_add_overflow(now, steps[b % 8], &sum) ? now : sum;
}

static void add_chunk(struct sched *s, struct input *in, ns_t now)
{
    chunk_id c = number(in);
    struct range r = { (uint32_t)number(in) % 3, number(in), 0 };
    r.end = r.begin + number(in);
    uint64_t records = number(in), held = number(in);
    uint32_t failures = (uint32_t)number(in), last = (uint32_t)number(in);
    (void)!sched_chunk_add(s, c, r, records, held, failures, last, now);
}

static void take_actions(struct sched *s, struct input *in, ns_t now)
{
    struct sched_action a;
    for (int n = byte(in) % 32; n > 0 && sched_next(s, &a, now); n--) {
        assert(a.what <= SCHED_REJECT);
        assert(a.what == SCHED_RESET || a.what == SCHED_ASSIGN || a.what == SCHED_CANCEL ||
               !a.worker);
        in->said[in->n % 16] = a;
        sched_check(s);
    }
}

// What a well-behaved caller and worker might do about an action.
static void answer(struct sched *s, struct input *in, ns_t now)
{
    struct sched_action a = in->said[byte(in) % 16];
    switch (a.what) {
    case SCHED_ASSIGN:
    case SCHED_CANCEL: {
        uint8_t how = byte(in);
        if (how < 60)
            sched_progress(s, a.worker, a.chunk, a.attempt, now);
        else if (how < 120)
            sched_failed(s, a.worker, a.chunk, a.attempt, how % 5, now);
        else
            sched_result(s, a.worker, a.chunk, a.attempt, how, how * NS_MS, now);
        break;
    }
    case SCHED_RESET: sched_worker_gone(s, a.worker, now); break;
    case SCHED_SPLIT: {
        struct range r = { 0, number(in), number(in) };
        (void)!sched_chunk_add(s, number(in), r, byte(in), byte(in), 0, 0, now);
        sched_split_done(s, a.chunk, now);
        break;
    }
    case SCHED_REJECT: sched_rejected(s, a.chunk, now); break;
    }
}

static void slow_line(struct sched *s, struct input *in, ns_t now)
{
    sid_u64 w = number(in);
    sched_worker_sends(s, w, (ns_t)number(in), now);
    sched_sent(s, w, number(in), (uint32_t)number(in), number(in));
    sched_worker_takes(s, w, number(in), now);
}

static void one_event(struct sched *s, struct input *in, ns_t now)
{
    uint8_t what = byte(in) % 24;
    sid_u64 w = what >= 2 && what <= 8 ? number(in) : 0;
    chunk_id c = what >= 6 && what <= 12 ? number(in) : 0;
    switch (what) {
    case 0: add_chunk(s, in, now); break;
    case 1: {
        uint64_t slots = number(in);
        (void)!sched_worker_join(s, number(in), (uint32_t)slots % 9, now);
        break;
    }
    case 2: sched_worker_spoke(s, w, now); break;
    case 3: sched_worker_drain(s, w, now); break;
    case 4: sched_worker_gone(s, w, now); break;
    case 5: (void)!sched_worker_join(s, w, byte(in) % 5, now); break;
    case 6: sched_progress(s, w, c, (uint32_t)number(in), now); break;
    case 7:
        sched_result(s, w, c, (uint32_t)number(in), number(in), (ns_t)number(in), now);
        break;
    case 8: sched_failed(s, w, c, (uint32_t)number(in), byte(in) % 5, now); break;
    case 9: sched_committed(s, c, now); break;
    case 10: sched_result_bad(s, c, now); break;
    case 11: sched_split_done(s, c, now); break;
    case 12: sched_rejected(s, c, now); break;
    case 13: sched_paused(s, (ns_t)number(in), now); break;
    case 14: sched_tick(s, now); break;
    case 15: take_actions(s, in, now); break;
    case 16: sched_no_more_chunks(s, now); break;
    case 17: sched_result_doubted(s, number(in), now); break;
    case 18: slow_line(s, in, now); break;
    default: answer(s, in, now);
    }
}

static void ask(const struct sched *s)
{
    struct sched_counts n;
    struct sched_wait w;
    sched_count(s, &n);
    sched_wants(s);
    bool waits = sched_waits_for(s, &w);
    assert(waits == (n.by_state[CHUNK_PENDING] + n.by_state[CHUNK_LEASED] +
                         n.by_state[CHUNK_SUSPECT] >
                     0));
    assert(!sched_finished(s) || !waits);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct input in = { .p = p, .n = n };
    uint8_t flavour = byte(&in);
    struct sched_opts o = { .silence = 15 * NS_S,
                            .lease = 30 * NS_S,
                            .retry_backoff = flavour & 1 ? 50 * NS_MS : 0,
                            .retries = flavour >> 1 & 3,
                            .credit_min = flavour >> 3 & 3,
                            .credit_max = flavour >> 5 & 7,
                            .credit_work = 5 * NS_MS,
                            .memory_bytes = number(&in) };
    if (byte(&in) > 250) o.silence = (ns_t)number(&in), o.lease = (ns_t)number(&in);
    struct sched *s = sched_new(&o);
    assert(s);
    ns_t now = 0;
    while (in.n) {
        now = later(&in, now);
        one_event(s, &in, now);
        sched_check(s);
        ask(s);
    }
    sched_free(&s);
    return 0;
}
