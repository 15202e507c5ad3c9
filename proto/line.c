#include "proto/line.h"

#include <stdlib.h>
#include <string.h>

static const double TYPICAL_SPEED = 300e6, TYPICAL_RATIO = 2;
enum {
    SAMPLE_BYTES = 1 << 20, // fewer say what a window that opens, or one answer, does ...
    SLOW_BYTES = 64 << 10,  // ... unless they take their time
};
static const ns_t SAMPLE_SLOW = NS_S,
                  SAMPLE_MAX = 5 * NS_S; // without them for so long the line is idle

void pack_meter_add(struct pack_meter *m, uint64_t bytes, uint64_t packed, ns_t took)
{
    if (took <= 0 || packed == 0) return;
    double speed = (double)bytes * (double)NS_S / (double)took;
    double ratio = (double)bytes / (double)packed;
    bool first = m->bytes_per_s == 0;
    m->bytes_per_s = first ? speed : m->bytes_per_s * 0.8 + speed * 0.2;
    m->ratio = first ? ratio : m->ratio * 0.8 + ratio * 0.2;
}

// Bytes a second before packing that get through: the slower of the two decides.
static bool pays(const struct line *l, const struct pack_meter *m, unsigned sharers)
{
    double speed = (m->bytes_per_s > 0 ? m->bytes_per_s : TYPICAL_SPEED) / sharers;
    double packed = l->bytes_per_s * (m->ratio > 0 ? m->ratio : TYPICAL_RATIO);
    if (packed > speed) packed = speed;
    // What was begun goes on for as long as it does not lose: no flapping.
    if (l->pack) return packed > l->bytes_per_s && l->share > 0.05;
    return packed > 1.5 * l->bytes_per_s && l->share > 0.25;
}

static void start(struct line *l, const struct line_sample *s, ns_t now)
{
    l->last = *s;
    l->at = now;
}

#ifdef TRANCHE_TEST_HOOKS
static bool forced(bool *pack)
{
    const char *text = getenv("TRANCHE_PACK"); // "always", "never"
    if (!text) return false;
    *pack = strcmp(text, "always") == 0;
    return true;
}
#else
static bool forced(bool *pack)
{
    (void)pack;
    return false;
}
#endif

void line_look(struct line *l, const struct line_sample *s, const struct pack_meter *m,
               unsigned sharers, ns_t now)
{
    if (forced(&l->pack)) return;
    bool other = s->acked < l->last.acked || s->busy < l->last.busy; // another connection
    if (l->at == 0 || other) {
        l->bytes_per_s = 0;
        start(l, s, now);
        return;
    }
    uint64_t bytes = s->acked - l->last.acked;
    ns_t busy = s->busy - l->last.busy, passed = now - l->at;
    if (bytes < SAMPLE_BYTES && !(bytes >= SLOW_BYTES && busy >= SAMPLE_SLOW)) {
        if (passed > SAMPLE_MAX) start(l, s, now);
        return;
    }
    if (busy <= 0) busy = 1;
    if (passed < busy) passed = busy;
    double now_carried = (double)bytes * (double)NS_S / (double)busy;
    // What a line has carried once, it can: a busy machine makes it look slower, never
    // faster.
    l->bytes_per_s = now_carried > l->bytes_per_s
                         ? now_carried
                         : l->bytes_per_s * 0.8 + now_carried * 0.2;
    l->share = (double)busy / (double)passed;
    l->pack = pays(l, m, sharers ? sharers : 1);
    start(l, s, now);
}
