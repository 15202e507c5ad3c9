// Any events in any order, nonsense included: every invariant of the structure holds after
// each, and what is seen from outside is in order too. A chunk has one result at a time and
// never one besides a SPLIT or REJECT, nor after it was committed; it is split or rejected
// only after something went wrong with it; nothing is left when all is finished. And if no
// more goes wrong from the end of the input on, all of it finishes.
// The first bytes choose the options.

#include "coordinator/sched.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 256, STEPS_MAX = 20000 };

struct seen { // a chunk, as far as the outside knows
    chunk_id id;
    enum { NONE, OPEN, RECEIVED, TO_SPLIT, TO_REJECT, UNSURE } state; // TO_x: it was told
    struct range range;
    uint64_t records;
    uint64_t had; // workers that were given it, a bit each by their number
    bool guilty;  // something went wrong with it
};

struct input {
    const uint8_t *p;
    size_t n;
    struct sched_action said[16]; // some of the last, to answer them
    struct seen seen[SEEN_MAX];
    size_t n_seen;
    ns_t paused;
    bool strange; // times or options with which nothing needs to end
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

// ---- what the outside knows ----

static struct seen *find(struct input *in, chunk_id c)
{
    for (size_t i = 0; i < in->n_seen; i++)
        if (in->seen[i].id == c && in->seen[i].state) return &in->seen[i];
    return NULL;
}

static void added(struct input *in, chunk_id c, struct range r, uint64_t records,
                  bool guilty)
{
    struct seen *x = find(in, c);
    for (size_t i = 0; !x && i < in->n_seen; i++)
        if (!in->seen[i].state) x = &in->seen[i];
    if (!x) {
        assert(in->n_seen < SEEN_MAX);
        x = &in->seen[in->n_seen++];
    }
    *x = (struct seen){ c, OPEN, r, records, 0, guilty };
}

static bool add(struct sched *s, struct input *in, chunk_id c, struct range r,
                uint64_t records, uint64_t held, uint32_t failures, uint32_t last, ns_t now)
{
    bool splits = false; // it may be a part of one that failed: then it is not innocent
    for (size_t i = 0; i < in->n_seen; i++)
        splits |=
            in->seen[i].state && in->seen[i].guilty && range_contains(in->seen[i].range, r);
    if (in->n_seen == SEEN_MAX) return false;
    if (sched_chunk_add(s, c, r, records, held, failures, last, now) != ERR_OK)
        return false;
    added(in, c, r, records, failures || splits);
    return true;
}

static void result(struct sched *s, struct input *in, sid_u64 w, chunk_id c,
                   uint32_t attempt, uint64_t bytes, ns_t took, ns_t now)
{
    struct seen *x = find(in, c);
    bool first = sched_result(s, w, c, attempt, bytes, took, now);
    if (!first) return;
    assert(x && (x->state == OPEN || x->state == UNSURE));
    x->state = RECEIVED;
}

static void failed(struct sched *s, struct input *in, sid_u64 w, chunk_id c,
                   uint32_t attempt, enum sched_fail why, ns_t now)
{
    struct seen *x = find(in, c);
    if (x && why <= FAIL_RESULT) x->guilty = true;
    sched_failed(s, w, c, attempt, why, now);
}

// A session that vanishes may be the fault of any chunk it had.
static void gone(struct sched *s, struct input *in, sid_u64 w, ns_t now)
{
    for (size_t i = 0; i < in->n_seen; i++)
        in->seen[i].guilty |= in->seen[i].had >> w % 64 & 1;
    sched_worker_gone(s, w, now);
}

static void no_result(struct input *in, chunk_id c)
{
    struct seen *x = find(in, c);
    if (!x) return;
    x->guilty = true;
    if (x->state == RECEIVED) x->state = OPEN;
}

static void ended(struct input *in, chunk_id c, int in_state)
{
    struct seen *x = find(in, c);
    if (!x) return;
    if ((int)x->state == in_state)
        x->state = NONE;
    else if (x->state == OPEN) // it may be decided and not told yet
        x->state = UNSURE;
}

static void told(struct input *in, const struct sched_action *a)
{
    struct seen *x = find(in, a->chunk);
    if (a->what == SCHED_ASSIGN) {
        assert(x && (x->state == OPEN || x->state == UNSURE));
        x->had |= UINT64_C(1) << a->worker % 64;
    }
    if (a->what != SCHED_SPLIT && a->what != SCHED_REJECT) return;
    assert(x && x->guilty && (x->state == OPEN || x->state == UNSURE));
    x->state = a->what == SCHED_SPLIT ? TO_SPLIT : TO_REJECT;
}

static ns_t later(struct input *in, ns_t now)
{
    static const ns_t steps[] = { 0,    1,        NS_MS,     100 * NS_MS,
                                  NS_S, 5 * NS_S, 20 * NS_S, 90 * NS_S };
    uint8_t b = byte(in);
    if (b == 255) { // a clock that jumps
        in->strange = true;
        return (ns_t)number(in);
    }
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
    add(s, in, c, r, records, held, failures, last, now);
}

static void take_actions(struct sched *s, struct input *in, ns_t now)
{
    struct sched_action a;
    for (int n = byte(in) % 32; n > 0 && sched_next(s, &a, now); n--) {
        assert(a.what <= SCHED_REJECT);
        assert(a.what == SCHED_RESET || a.what == SCHED_ASSIGN || a.what == SCHED_CANCEL ||
               !a.worker);
        told(in, &a);
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
            failed(s, in, a.worker, a.chunk, a.attempt, how % 5, now);
        else
            result(s, in, a.worker, a.chunk, a.attempt, how, how * NS_MS, now);
        break;
    }
    case SCHED_RESET: gone(s, in, a.worker, now); break;
    case SCHED_SPLIT: {
        struct range r = { 0, number(in), number(in) };
        chunk_id part = number(in);
        uint64_t of = byte(in), held = byte(in);
        add(s, in, part, r, of, held, 0, 0, now);
        sched_split_done(s, a.chunk, now);
        ended(in, a.chunk, TO_SPLIT);
        break;
    }
    case SCHED_REJECT:
        sched_rejected(s, a.chunk, now);
        ended(in, a.chunk, TO_REJECT);
        break;
    }
}

static void slow_line(struct sched *s, struct input *in, ns_t now)
{
    sid_u64 w = number(in);
    ns_t when = (ns_t)number(in);
    in->strange |= when > now;
    sched_worker_sends(s, w, when, now);
    sched_sent(s, w, number(in), (uint32_t)number(in), number(in));
    sched_worker_takes(s, w, number(in), now);
}

// The loop cannot have stood still for longer than it runs.
static void paused(struct sched *s, struct input *in, ns_t now)
{
    ns_t gap = (ns_t)number(in);
    in->paused = gap > INT64_MAX / 4 || gap < 0 ? INT64_MAX / 4 : in->paused + gap;
    in->strange |= in->paused > now;
    sched_paused(s, gap, now);
}

static void one_event(struct sched *s, struct input *in, ns_t now)
{
    uint8_t what = byte(in) % 25;
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
    case 4: gone(s, in, w, now); break;
    case 5: (void)!sched_worker_join(s, w, byte(in) % 5, now); break;
    case 6: sched_progress(s, w, c, (uint32_t)number(in), now); break;
    case 7: {
        uint32_t attempt = (uint32_t)number(in);
        uint64_t bytes = number(in);
        result(s, in, w, c, attempt, bytes, (ns_t)number(in), now);
        break;
    }
    case 8: {
        uint32_t attempt = (uint32_t)number(in);
        failed(s, in, w, c, attempt, byte(in) % 5, now);
        break;
    }
    case 9:
        sched_committed(s, c, now);
        ended(in, c, RECEIVED);
        break;
    case 10:
        sched_result_bad(s, c, now);
        no_result(in, c);
        break;
    case 11:
        sched_split_done(s, c, now);
        ended(in, c, TO_SPLIT);
        break;
    case 12:
        sched_rejected(s, c, now);
        ended(in, c, TO_REJECT);
        break;
    case 13: paused(s, in, now); break;
    case 14: sched_tick(s, now); break;
    case 15: take_actions(s, in, now); break;
    case 16: sched_no_more_chunks(s, now); break;
    case 17: {
        chunk_id doubted = number(in);
        sched_result_doubted(s, doubted, now);
        no_result(in, doubted);
        break;
    }
    case 18: slow_line(s, in, now); break;
    case 19: sched_hold(s, byte(in) & 1); break;
    default: answer(s, in, now);
    }
}

static void ask(const struct sched *s, const struct input *in)
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
    for (size_t i = 0; sched_finished(s) && i < in->n_seen; i++)
        assert(in->seen[i].state == NONE || in->seen[i].state == UNSURE);
    (void)sched_worker_refuses(s, in->said[in->n % 16].worker); // another each time
}

// ---- from here on all goes well ----

static void obey(struct sched *s, struct input *in, const struct sched_action *a, ns_t now)
{
    static chunk_id fresh = UINT64_C(1) << 62;
    struct seen *x = find(in, a->chunk);
    told(in, a);
    switch (a->what) {
    case SCHED_ASSIGN:
        result(s, in, a->worker, a->chunk, a->attempt, 100, NS_MS, now);
        break;
    case SCHED_CANCEL:
        failed(s, in, a->worker, a->chunk, a->attempt, FAIL_REFUSED, now);
        break;
    case SCHED_RESET: gone(s, in, a->worker, now); break;
    case SCHED_SPLIT: {
        struct range half = { x->range.input, x->range.begin,
                              x->range.begin + (x->range.end - x->range.begin) / 2 };
        struct range rest = { half.input, half.end, x->range.end };
        if (half.end > half.begin) add(s, in, fresh++, half, x->records / 2, 0, 0, 0, now);
        if (rest.end > rest.begin)
            add(s, in, fresh++, rest, x->records - x->records / 2, 0, 0, 0, now);
        sched_split_done(s, a->chunk, now);
        ended(in, a->chunk, TO_SPLIT);
        break;
    }
    case SCHED_REJECT:
        sched_rejected(s, a->chunk, now);
        ended(in, a->chunk, TO_REJECT);
        break;
    }
}

static void commit_all(struct sched *s, struct input *in, ns_t now)
{
    for (size_t i = 0; i < in->n_seen; i++)
        if (in->seen[i].state == RECEIVED) {
            sched_committed(s, in->seen[i].id, now);
            ended(in, in->seen[i].id, RECEIVED);
        }
}

// What was told already and never answered.
static void catch_up(struct sched *s, struct input *in, ns_t now)
{
    for (size_t i = 0; i < in->n_seen; i++) {
        if (in->seen[i].state < TO_SPLIT) continue;
        sched_split_done(s, in->seen[i].id, now);
        sched_rejected(s, in->seen[i].id, now);
        if (in->seen[i].state != UNSURE) in->seen[i].state = NONE;
    }
}

static void all_goes_well(struct sched *s, struct input *in, ns_t now)
{
    const sid_u64 good = UINT64_C(1) << 61;
    struct sched_action a;
    int steps = 0;
    sched_hold(s, false);
    sched_no_more_chunks(s, now);
    catch_up(s, in, now);
    if (sched_worker_join(s, good, 2, now) != ERR_OK) return;
    while (!sched_finished(s)) {
        assert(++steps < STEPS_MAX);
        sched_worker_spoke(s, good, now);
        commit_all(s, in, now);
        if (sched_next(s, &a, now)) {
            if (a.what == SCHED_RESET) assert(a.worker != good);
            obey(s, in, &a, now);
            continue;
        }
        ns_t next = sched_tick(s, now);
        if (sched_finished(s)) break;
        now = next < now + NS_S && next > now ? next : now + NS_S; // it speaks each second
    }
    ask(s, in);
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
    if (byte(&in) > 250) {
        o.silence = (ns_t)number(&in), o.lease = (ns_t)number(&in);
        in.strange = true;
    }
    struct sched *s = sched_new(&o);
    assert(s);
    ns_t now = 0;
    while (in.n) {
        now = later(&in, now);
        one_event(s, &in, now);
        sched_check(s);
        ask(s, &in);
    }
    if (!in.strange) all_goes_well(s, &in, now);
    sched_free(&s);
    return 0;
}
