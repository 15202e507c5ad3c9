// Lines so slow that a message takes longer than a heartbeat: what flows on them says as
// much as messages do. Of a fast line messages say enough, and nobody is asked.

#include "coordinator/app_impl.h"

static const ns_t LOOK_EVERY = NS_S / 4;

static const ns_t LINE_EVERY = NS_S / 20;

void app_look_at_line(struct app *a, struct session *s, ns_t now)
{
    struct line_sample sample;
    struct pack_meter m = { 0 };
    if (s->peer.link != APP_TCP || now - s->line.at < LINE_EVERY) return;
    bool was = s->line.pack;
    link_line(a->in->link[APP_TCP], &s->peer, &sample);
    if (a->fetch) fetch_meter(a->fetch, &m);
    line_look(&s->line, &sample, &m, a->packing + !was, now);
    a->packing += s->line.pack;
    a->packing -= was;
}

static void look(struct app *a, struct session *s, ns_t now)
{
    struct conns_flow f;
    bool overdue = now - s->heard >= APP_HEARTBEAT, owes = s->to_come || s->to_read;
    if (s->peer.link != APP_TCP || !s->joined || (!overdue && !owes)) return;
    link_flow(a->in->link[APP_TCP], &s->peer, now, &f);
    if (overdue && f.came > s->heard) {
        s->heard = f.came;
        sched_worker_sends(a->sched, s->sid, f.came, now);
    }
    if (owes) sched_worker_takes(a->sched, s->sid, f.arrived, now);
    s->to_come = f.given > f.arrived;
}

void app_look_at_lines(struct app *a, ns_t now)
{
    struct session *s, *tmp;
    if (!a->in->link[APP_TCP] || now - a->lines_seen < clock_protocol(LOOK_EVERY)) return;
    a->lines_seen = now;
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        look(a, s, now);
    }
}

void app_is_on_its_way(struct app *a, struct session *s, const struct work *k,
                       uint32_t attempt, bool begun)
{
    if (s->peer.link != APP_TCP) return;
    uint64_t given = link_given(a->in->link[APP_TCP], &s->peer);
    sched_sent(a->sched, s->sid, k->id, attempt, begun ? given : SCHED_UNSENT);
    s->to_come = true;
}
