// How many requests of http steps may be under way on this host: what the coordinator says.

#include "worker/app_impl.h"

void worker_on_share(struct app *a, const struct msg_SHARE *m)
{
    if (!a->share || !hash_equal(m->job, a->job) || m->step >= STEP_HTTP_MAX) return;
    uint32_t requests = m->requests < 1000000 ? (uint32_t)m->requests : 1000000;
    int64_t gap = m->gap_ns < INT64_MAX / 2 ? (int64_t)m->gap_ns : INT64_MAX / 2;
    http_share_set(a->share, (uint32_t)m->step, requests, gap);
    a->limit[m->step] = (struct app_limit){ true, requests, m->seq };
    worker_confirm_shares(a);
}

void worker_confirm_shares(struct app *a)
{
    for (uint32_t i = 0; a->share && i < STEP_HTTP_MAX; i++) {
        struct app_limit *l = &a->limit[i];
        if (!l->waits || http_share_held(a->share, i) > l->requests) continue;
        l->waits = false;
        struct msg m = { .type = MSG_SHARED,
                         .SHARED = { .job = a->job, .step = i, .seq = l->seq } };
        worker_post(a, &m);
    }
}

void worker_drop_shares(struct app *a)
{
    for (uint32_t i = 0; i < STEP_HTTP_MAX; i++) {
        a->limit[i] = (struct app_limit){ 0 };
        if (a->share) http_share_set(a->share, i, 0, 0);
    }
}
