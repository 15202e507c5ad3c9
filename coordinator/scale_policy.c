#include "coordinator/scale_policy.h"

static uint64_t clamp(uint64_t x, uint64_t low, uint64_t high)
{
    return x < low ? low : x > high ? high : x;
}

// Rounded up; the sum of its parts may be anything.
static uint64_t share(uint64_t n, uint32_t per)
{
    return n / per + (n % per != 0);
}

// A worker is full with two batches a slot: one that runs, one that waits there.
static uint32_t per_worker(const struct scale_rule *r, const struct scale_view *v)
{
    uint32_t slots = v->workers ? v->slots / v->workers : r->slots;
    if (r->per_worker) return r->per_worker;
    return slots ? 2 * slots : 2;
}

uint32_t scale_wanted(const struct scale_rule *r, const struct scale_view *v)
{
    uint64_t to_come = v->to_come > 0 ? (uint64_t)v->to_come : 0;
    uint64_t waiting =
        v->waiting > UINT64_MAX - to_come ? UINT64_MAX : v->waiting + to_come;
    uint64_t all = waiting > UINT64_MAX - v->running ? UINT64_MAX : waiting + v->running;
    uint64_t want = share(all, per_worker(r, v));
    bool all_busy = v->workers && !v->idle_slots && v->waiting;
    if (v->to_come < 0 && all_busy && want < 2 * (uint64_t)v->workers)
        want = 2 * (uint64_t)v->workers;
    if (v->waiting && v->idle_slots && v->have && want > v->have) want = v->have;
    want = clamp(want, r->min, r->max);
    if (want >= v->have) return (uint32_t)want;
    bool all_in_use = v->to_come < 0 && v->workers && !v->idle_slots;
    if (waiting || all_in_use)
        want = v->have;
    else if (want < v->running)
        want = v->running < v->have ? v->running : v->have;
    return (uint32_t)clamp(want, r->min, r->max);
}

// `pauses` were before this one.
static ns_t pause_of(ns_t first, uint32_t pauses)
{
    return first * (pauses < 4 ? 1u << pauses : SCALE_PAUSE_MOST);
}

bool scale_failed(struct scale_brake *b, uint32_t n, ns_t now)
{
    if (n == 0) return false;
    bool held = b->pauses && now < b->until;
    b->failures = n < UINT32_MAX - b->failures ? b->failures + n : UINT32_MAX;
    b->old = b->asked = UINT32_MAX; // the next count says how many
    b->since = 0;
    b->tries = false;
    if (held || b->failures < SCALE_FAILURES) return false;
    b->until = now + pause_of(b->pause, b->pauses++);
    return true;
}

void scale_proved(struct scale_brake *b)
{
    *b = (struct scale_brake){ .pause = b->pause };
}

// The old ones are taken to be the first that end: a proof may come late, but none comes
// too early.
static uint32_t old_left(uint32_t old, uint32_t ended, uint32_t there)
{
    old -= ended < old ? ended : old;
    return old < there ? old : there;
}

void scale_counted(struct scale_brake *b, uint32_t up, uint32_t pending,
                   uint32_t ended_well, ns_t now)
{
    if (!b->failures) return;
    bool new_ended = ended_well > b->old;
    b->old = old_left(b->old, ended_well, up);
    b->asked = old_left(b->asked, ended_well, up + pending);
    if (up == b->old)
        b->since = 0;
    else if (!b->since)
        b->since = now;
    b->tries = up + pending > b->asked;
    bool stays = b->since && now - b->since >= SCALE_PROOF;
    if (now >= b->until && (new_ended || stays)) scale_proved(b);
}

uint32_t scale_may_start(const struct scale_brake *b, ns_t now)
{
    if (b->failures < SCALE_FAILURES) return UINT32_MAX;
    return now < b->until || b->tries ? 0 : 1;
}

bool scale_left(struct scale_spare *s, const struct scale_view *v, uint32_t ended_well,
                ns_t now)
{
    if (!v->waiting)
        s->waits_since = 0;
    else if (!s->waits_since)
        s->waits_since = now;
    if (s->pauses && v->workers > s->workers) s->pauses = 0;
    bool got_none = s->waits_since && now - s->waits_since >= s->idle;
    if (ended_well == 0 || !got_none) return false;
    bool held = s->pauses && now < s->until;
    s->most = v->have;
    s->workers = v->workers;
    if (held) return false;
    s->until = now + pause_of(s->pause, s->pauses++);
    return true;
}

uint32_t scale_room(const struct scale_spare *s, const struct scale_rule *r, uint32_t have,
                    ns_t now)
{
    if (!s->pauses) return UINT32_MAX;
    uint64_t most = (uint64_t)s->most + (now >= s->until);
    if (most < r->min) most = r->min;
    return most > have ? (uint32_t)(most - have) : 0;
}
